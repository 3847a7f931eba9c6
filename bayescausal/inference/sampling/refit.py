r"""One model, many data sets: plan once, compile once.

A study fits one model to hundreds of data sets :math:`y^{(1)}, y^{(2)}, \dots`. What depends on the
model alone is done once:

* how the posterior splits, and the design functions of blocks that are drawn exactly;
* the log-density of the rest, compiled as a function of the data,

.. math:: (u, y) \mapsto \log p(\theta(u), y) + \log |\theta'(u)|,

so that a fit is reading the data, adding up statistics, and the Markov chain itself [1]_. The data
may have any number of units. Latent variables are unknowns per unit: there, one density is compiled
for each number of units.

Normal latents and empty cells that are integrated out are no unknowns, nor are empty cells of an
outcome that nothing reads: where a column is empty is data like its values.

It fails where the unknowns depend on the data set itself: other empty cells are unknowns of their
own, discrete unknowns are summed out for the data at hand, unknowns whose law reads a column start
from it. Such fits take the plain path of :func:`bayescausal.fit`, and say so.

References
----------
.. [1] S. Talts, M. Betancourt, D. Simpson, A. Vehtari and A. Gelman, Validating Bayesian inference
   algorithms with simulation-based calibration, arXiv:1804.06788, 2018.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.inference.augmentation.data_augmentation import (
    draw_augmented,
    find_augmented,
    without,
)
from bayescausal.inference.closed_forms.compress import Compression, fuse, lean, measure, reducible
from bayescausal.inference.conditioning.atoms import without_atoms
from bayescausal.inference.conditioning.plan import Plan, draw_exact, make_plan, with_arrays
from bayescausal.inference.conditioning.posterior import (
    compression_notes,
    draw_posterior,
    gap_methods,
    no_exact,
    of_times,
    relabelled,
)
from bayescausal.inference.conditioning.remainder import (
    Remainder,
    joined,
    not_compressed,
    open_remainder,
)
from bayescausal.inference.data.read import holding
from bayescausal.inference.fit import check_options, recorded, resolve_seed
from bayescausal.inference.marginalize.empty_outcomes import Gaps, draw_gaps, find_gaps
from bayescausal.inference.sampling.few import Few
from bayescausal.inference.sampling.refit_recipe import (
    PlainError,
    Recipe,
    inner_draws,
    kind_of_data,
    names_of_data,
    read_columns,
    sample_compiled,
    starts_from_data,
    values_at_hand,
    why_plain,
)
from bayescausal.inference.sampling.sample import CAREFUL, INTEGRATED, Drawn, chooses_chain
from bayescausal.model.given import model_of
from bayescausal.model.names import Joined
from bayescausal.model.structure.read import readable, structure_of
from bayescausal.types import BayesCausalError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.inference.augmentation.equations import Augmented
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.inference.record import Fit
    from bayescausal.model.design import Design

__all__ = ["Refitter"]

#: Compiled models that are kept: one per set of sizes of the parameters.
KEPT = 8


class Refitter:
    """A model made ready to be fitted again and again.

    ``refitter.fit(data, seed=s)`` has the distribution of ``bc.fit(model, data, seed=s)``: the same
    blocks by the same methods, from the same random numbers. Blocks that are drawn exactly give the
    same draws bit for bit; the log-density of the others agrees up to rounding, which a Markov
    chain amplifies: its draws have the same distribution and need not be the same. Draws depend on
    model, data and seed alone, not on what was fitted before.

    May be used from several threads at once: reading and exact blocks take turns, chains run side
    by side. It can be pickled, and is compiled anew, on first use, where it is unpickled.

    Parameters
    ----------
    model : pm.Model
        A generative model. It must not be changed afterwards.
    columns : sequence of str
        The variables that will be observed. Other columns of the data are ignored, except for
        ``pm.Data``; other variables are latent.
    method : {"auto", "exact", "nuts", ...}
        As in :func:`bayescausal.fit`.
    draws, chains : int
        Draws kept per chain, and chains.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.
    sampler : str, optional
        As in :func:`bayescausal.fit`. Others than nutpie take the plain path.
    **options
        As in :func:`bayescausal.fit`: ``tune``, ``target_accept``, ``cores``, ...

    Attributes
    ----------
    structure : Structure
        The model, read.
    columns : tuple of str
        As given.
    plain : str
        Why every fit takes the plain path; empty where none has to.

    Raises
    ------
    UnknownVariableError
        If a column is no variable of the model.
    BayesCausalError
        If an option is not known.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     m = pm.Normal("m", 0, 10)
    ...     y = pm.Normal("y", m, 1, dims="unit")
    >>> refitter = bc.Refitter(model, ["y"], draws=500)
    >>> [len(refitter.fit({"y": y}, seed=1).data) for y in ([1.0, 2.0], [0.0, 1.0, 2.0])]
    [2, 3]
    """

    def __init__(
        self,
        model: pm.Model | Design,
        columns: Iterable[str],
        *,
        method: str = "auto",
        draws: int = 1000,
        chains: int = 4,
        unit_dims: str | Sequence[str] | None = None,
        sampler: str | None = None,
        **options: Any,
    ) -> None:
        options = check_options(method, draws, chains, options, sampler)
        columns = (columns,) if isinstance(columns, str) else columns
        self.model = readable(model_of(model))
        self.columns = tuple(dict.fromkeys(map(str, columns)))
        self.method, self.draws, self.chains = method, draws, chains
        self.unit_dims, self.sampler = unit_dims, options
        data = [v.name for v in self.model.data_vars]
        random = [v.name for v in self.model.basic_RVs if v.type.ndim]
        lost = [n for n in self.columns if n not in (*random, *data)]
        if not lost:
            structure = structure_of(model, unit_dims=unit_dims, named=self.columns)
            self.structure = holding(structure, {})
            self.model = self.structure.model
            lost = [n for n in self.columns if n not in (*self.structure.random, *data)]
            random = list(self.structure.random)
        if lost:
            raise unknown_variable(lost[0], (*random, *data))
        if not self.columns:
            raise BayesCausalError(
                "columns=[] leaves nothing to condition on.", expected="The names of variables."
            )
        self.plain = why_plain(self.structure, self.columns, method, self.sampler)
        self._plans: dict[Any, tuple[Any, ...]] = {}
        self._recipes: OrderedDict[Any, Recipe | str] = OrderedDict()
        self._cells: dict[str, Any] = {}
        self._lock = threading.RLock()

    def fit(self, data: Data, *, seed: int) -> Fit:
        """Fit the model to one data set.

        Parameters
        ----------
        data : DataFrame, Mapping or Dataset
            As in :func:`bayescausal.fit`; any number of units.
        seed : int
            Same data and seed, same draws.

        Returns
        -------
        Fit

        Raises
        ------
        DataError, FixedUnitsError
            If the data do not fit the model.
        """
        if seed is None:
            raise BayesCausalError("seed=None.", expected="An integer from 0, for every fit.")
        seed = resolve_seed(seed)
        options = dict[str, Any](method=self.method, draws=self.draws, chains=self.chains)
        with self._lock:
            observed = read_columns(self, data)
        why, start = self.plain, time.perf_counter()
        if not why:
            try:
                return recorded(observed, self._draw(observed.conformed, seed), seed, start)
            except PlainError as error:
                why, start = str(error), time.perf_counter()
        note = f"Fitted on the plain path, compiled for these data alone ({why})."
        options |= {"progressbar": False, **self.sampler}
        drawn = draw_posterior(observed.structure, observed.conformed, seed=seed, **options)
        return recorded(observed, drawn, seed, start, (note,))

    def _draw(self, conformed: Conformed, seed: int) -> Drawn:
        """Draw the posterior by what is kept."""
        structure = self.structure
        inner = inner_draws(self, conformed, seed)
        if inner is not None:
            return inner
        with self._lock:
            whole = conformed
            gaps, plan, blocks, terms = self._planned(conformed)
            sizes: dict[str, Any] = {"draws": self.draws, "chains": self.chains, "seed": seed}
            found = Compression({}, {})
            rows: dict[str, np.ndarray] = {}
            if gaps is not None:
                found, conformed, rows = gaps.leave_out(structure, conformed)
            arrays, methods, held = draw_exact(plan, structure, conformed, rows=rows, **sizes)
            if len(held.samplers) < len(plan.samplers):
                raise PlainError(held.rest[-1][1])
            made = draw_augmented(blocks, structure, conformed, plan, **sizes)
            arrays, methods, conformed = (
                arrays | made.arrays,
                methods | made.methods,
                made.conformed,
            )
            if len(made.plan.rest) + len(blocks) > len(plan.rest):
                raise PlainError("chains of parameters and empty cells do not mix")
            short = joined(found, measure(terms, structure, conformed))
            if self.method == "compressed" and short.left:
                raise not_compressed(short)
            if self.method != "nuts":
                short = fuse(short, structure, conformed)
            recipe = self._recipe(without(plan, blocks), blocks, short, conformed)
            data = values_at_hand(recipe, conformed, short.data())
            few = None if recipe.few is None else recipe.few.draw(data, **sizes)
            compiled = recipe.with_data(data) if few is None else None
        careful = {} if recipe.integral is None else {"target_accept": CAREFUL}
        if compiled is None:
            index = {"chain": np.arange(self.chains), "draw": np.arange(self.draws)}
            groups = {"posterior": xr.Dataset(coords=index)}
        else:
            groups = sample_compiled(compiled, conformed, careful, self.sampler, **sizes)
        with self._lock:
            groups = with_arrays(structure, conformed.coords, groups, few or {}, conformed.columns)
            if recipe.integral is not None:
                rng = np.random.default_rng([seed, 2])
                arrays |= recipe.integral.recover(groups["posterior"], rng, data, conformed.missing)
            before = groups["posterior"]
            if rows:
                arrays |= draw_gaps(structure, whole, rows, arrays, before, seed, self._cells)
            groups = with_arrays(structure, conformed.coords, groups, arrays, conformed.columns)
        methods |= {
            **recipe.told(compiled=few is None),
            **gap_methods(rows, gaps.exact if gaps else ()),
        }
        return Drawn(groups, methods, compression_notes(structure, short, conformed))

    def _planned(
        self, conformed: Conformed
    ) -> tuple[Gaps | None, Plan, tuple[Augmented, ...], dict[str, Any]]:
        """Return the blocks, those with empty cells, and equations that might be shortened."""
        latent = any(n not in conformed.columns for n in self.structure.random)
        sizes = conformed.sizes if latent else {}  # paths are as long as the data
        key = tuple(tuple(sorted(v)) for v in (conformed.columns, conformed.missing, sizes.items()))
        if key not in self._plans:
            structure, plan = self.structure, Plan((), (), ())
            generalised = self.method == "auto" and not chooses_chain(self.sampler)
            gaps = find_gaps(structure, conformed, self.method, generalised=generalised)
            if gaps is not None:
                plan = gaps.plan
            elif self.method != "nuts":
                names = set(conformed.columns), set(conformed.missing), conformed.sizes
                plan = make_plan(structure, *names, generalised=generalised)
            if self.method == "exact" and plan.rest:
                raise no_exact(*plan.rest[0])
            if self.method == "compressed":
                plan = Plan((), (), plan.idle)
            blocks: tuple[Augmented, ...] = ()
            if self.method == "auto" and not chooses_chain(self.sampler):
                known = conformed if gaps is None else gaps.leave_out(structure, conformed)[1]
                blocks = find_augmented(structure, known, plan)
            away = {*plan.idle, *(n for s in (*plan.samplers, *blocks) for n in s.observed)}
            seen = {*conformed.columns, *structure.observed}
            seen -= set(conformed.missing)
            left = [n for n in structure.random if n not in away and n in seen]
            terms = reducible(structure, conformed, left) if self.method != "nuts" else {}
            self._plans[key] = gaps, plan, blocks, terms
        return self._plans[key]

    def _recipe(
        self, plan: Plan, blocks: Sequence[Augmented], short: Compression, conformed: Conformed
    ) -> Recipe:
        """Return what is kept for data like these, made if need be."""
        key = (*kind_of_data(self.structure, conformed), short.kind())
        if key not in self._recipes:
            try:
                self._recipes[key] = self._make(plan, blocks, short, conformed)
            except PlainError as error:
                self._recipes[key] = str(error)
            while len(self._recipes) > KEPT:
                self._recipes.popitem(last=False)
        self._recipes.move_to_end(key)
        found = self._recipes[key]
        if isinstance(found, str):
            raise PlainError(found)
        return found

    def _make(
        self, plan: Plan, blocks: Sequence[Augmented], short: Compression, conformed: Conformed
    ) -> Recipe:
        """Make ready what is left."""
        structure = self.structure
        if (plan.samplers or blocks) and not plan.rest:
            return Recipe()
        gone = [n for s in (*plan.samplers, *blocks) for n in s.names]
        held = [n for s in plan.samplers for n in s.observed]
        left = Remainder(gone=gone, held=(*held, *plan.idle), found=short)
        conditioned, integral, _ = open_remainder(
            structure, conformed, left, integrated=self.method != "nuts"
        )
        out = () if integral is None else integral.names
        if split := [n for n in conformed.missing if n not in out]:
            raise PlainError(f"{', '.join(split)}: cells are empty")
        if atoms := without_atoms(structure, conditioned)[1]:
            raise PlainError(f"{', '.join(atoms)} takes some values with a probability")
        whole = conditioned.model if integral is None else integral.model
        model = lean(structure, whole)
        free = [rv.name for rv in model.free_RVs]
        seen = [v for v in structure.model.basic_RVs if v.name in conformed.columns]
        if reason := starts_from_data(structure.model, seen, [*out, *gone]):
            raise PlainError(reason)
        read = [] if integral is None else [str(v.name) for v in integral.data]
        few = None
        if free:
            read += [*names_of_data(model), *names_of_data(whole)]
            alone = integral is None and of_times(structure, short)
            if self.method == "auto" and not chooses_chain(self.sampler) and not alone:
                few = Few.of(whole)
        names = {new: old for old, new in conditioned.data_names.items()}
        holes = {str(p.mask.name): name for name, p in conditioned.partly.items()}
        numbers, sources = short.data(), {}
        for name in read:
            source = names.get(name, name)
            if name in numbers or source in conformed.columns or source in conformed.sizes:
                sources[name] = source
        methods = relabelled(structure, conformed, short, {Joined(free): "nuts"} if free else {})
        if integral is not None:
            methods[Joined(integral.drawn(conformed.missing))] = INTEGRATED
        masks = {name: holes[name] for name in read if name in holes}
        return Recipe(model if free else None, few, sources, masks, methods, integral)

    def __getstate__(self) -> dict[str, Any]:
        import cloudpickle

        made = ("_lock", "_plans", "_recipes", "_cells", "_inner", "structure")  # made anew
        state = {k: v for k, v in vars(self).items() if k not in made}
        return {**state, "model": cloudpickle.dumps(self.model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import cloudpickle

        vars(self).update({**state, "model": cloudpickle.loads(state["model"])})
        self.structure = structure_of(self.model, unit_dims=self.unit_dims, named=self.columns)
        self._plans, self._recipes, self._cells = {}, OrderedDict(), {}
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        how = f"plain path: {self.plain}" if self.plain else f"method={self.method!r}"
        return (
            f"Refitter({', '.join(self.columns)}; {self.chains} chains x {self.draws} draws; {how})"
        )
