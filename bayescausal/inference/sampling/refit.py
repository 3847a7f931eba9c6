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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pytensor.compile import SharedVariable

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.compress import (
    Compression,
    fuse,
    lean,
    measure,
    reducible,
)
from bayescausal.inference.closed_forms.plan import Plan, draw_exact, make_plan, with_arrays
from bayescausal.inference.conditioning.posterior import (
    draw_posterior,
    gap_methods,
    no_exact,
    relabelled,
    told,
)
from bayescausal.inference.conditioning.remainder import (
    Remainder,
    joined,
    not_compressed,
    open_remainder,
)
from bayescausal.inference.data.arrays import own_table
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import Observed, as_table
from bayescausal.inference.fit import check_options, recorded, resolve_seed
from bayescausal.inference.marginalize.affine_latents import admitted
from bayescausal.inference.marginalize.empty_outcomes import Gaps, draw_gaps, find_gaps
from bayescausal.inference.marginalize.integrate import normal_vectors
from bayescausal.inference.sampling.sample import CAREFUL, INTEGRATED, Drawn, at_once
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.names import Joined
from bayescausal.model.structure.read import structure_of
from bayescausal.types import BayesCausalError, DataError, closest, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.inference.marginalize.integrate import Integrated
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["Refitter"]

#: Compiled models that are kept: one per set of sizes of the parameters.
KEPT = 8
#: Options of a Markov chain that a compiled model can take; others go the plain path.
_OPTIONS = {"tune", "target_accept", "cores", "nuts", "nuts_sampler", "progressbar", "quiet"}


class _PlainError(Exception):
    """Only the plain path will do; the message says why."""


@dataclass(frozen=True, eq=False)
class _Recipe:
    """What is kept between fits of data of one kind.

    Attributes
    ----------
    compiled : nutpie model or None
        The rest of the model; None where nothing is left.
    sources : mapping of str to str
        Data of the compiled model, and the column or dim that they come from.
    masks : mapping of str to str
        Data that say where a column is empty, and the column.
    methods : mapping of str to str
        Of what is left.
    integral : Integrated, optional
        Draws back the latents that were integrated out.
    """

    compiled: Any = None
    sources: dict[str, str] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    integral: Integrated | None = None


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
        model: pm.Model,
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
        if isinstance(columns, str):
            columns = (columns,)
        self.model, self.columns = model, tuple(dict.fromkeys(map(str, columns)))
        self.method, self.draws, self.chains = method, draws, chains
        self.unit_dims, self.sampler = unit_dims, options
        data = [v.name for v in model.data_vars]
        random = [v.name for v in model.basic_RVs if v.type.ndim]
        lost = [n for n in self.columns if n not in (*random, *data)]
        if not lost:
            self.structure = structure_of(model, unit_dims=unit_dims, named=self.columns)
            lost = [n for n in self.columns if n not in (*self.structure.random, *data)]
            random = list(self.structure.random)
        if lost:
            raise unknown_variable(lost[0], (*random, *data))
        if not self.columns:
            raise BayesCausalError(
                "columns=[] leaves nothing to condition on.",
                expected="The names of the variables that will be observed.",
            )
        self.plain = _why_plain(self.structure, self.columns, method, self.sampler)
        self._plans: dict[Any, tuple[Gaps | None, Plan, dict[str, Any]]] = {}
        self._recipes: OrderedDict[Any, _Recipe | str] = OrderedDict()
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
        options: dict[str, Any] = {
            "method": self.method,
            "draws": self.draws,
            "chains": self.chains,
        }
        with self._lock:
            observed = self._read(data)
        why, start = self.plain, time.perf_counter()
        if not why:
            try:
                return recorded(observed, self._draw(observed.conformed, seed), seed, start)
            except _PlainError as error:
                why, start = str(error), time.perf_counter()
        note = f"Fitted on the plain path, compiled for these data alone ({why})."
        options |= {"progressbar": False, **self.sampler}
        drawn = draw_posterior(observed.structure, observed.conformed, seed=seed, **options)
        return recorded(observed, drawn, seed, start, (note,))

    def _read(self, data: Data) -> Observed:
        """Return the columns that were promised, and no others."""
        table = as_table(data, self.structure)
        wanted = {*self.columns, *(v.name for v in self.model.data_vars)}
        lost = [n for n in self.columns if n not in table]
        if lost:
            raise DataError(
                f"The data have no column for {', '.join(map(repr, lost))}.",
                expected=f"The columns {', '.join(map(repr, self.columns))}.",
                remedy="To leave it latent, make a Refitter without it.",
                names=[hit for n in lost for hit in closest(n, table.ignored)[:1]],
            )
        extra = tuple(n for n in table.columns if n not in wanted)
        if extra:
            table = replace(
                table,
                values={n: v for n, v in table.values.items() if n in wanted},
                dims={n: d for n, d in table.dims.items() if n in wanted},
                categories={n: c for n, c in table.categories.items() if n in wanted},
                ignored=(*table.ignored, *extra),
            )
        table = own_table(self.structure, table)
        return Observed(self.structure, table, conform(table, self.structure))

    def _draw(self, conformed: Conformed, seed: int) -> Drawn:
        """Draw the posterior by what is kept."""
        structure = self.structure
        with self._lock:
            whole = conformed
            gaps, plan, terms = self._planned(conformed)
            sizes: dict[str, Any] = {"draws": self.draws, "chains": self.chains, "seed": seed}
            found = Compression({}, {})
            rows: dict[str, np.ndarray] = {}
            if gaps is not None:
                found, conformed, rows = gaps.leave_out(structure, conformed)
            arrays, methods, held = draw_exact(plan, structure, conformed, rows=rows, **sizes)
            if len(held.samplers) < len(plan.samplers):
                raise _PlainError(held.rest[-1][1])
            short = joined(found, measure(terms, structure, conformed))
            if self.method == "compressed" and short.left:
                raise not_compressed(short)
            if self.method != "nuts":
                short = fuse(short, structure, conformed)
            recipe = self._recipe(plan, short, conformed)
            data = _data_of(recipe, conformed, short.data())
            compiled = recipe.compiled
            if compiled is not None:
                own = {str(v.name) for v in compiled.shared_var_keys}
                compiled = compiled.with_data(**{n: v for n, v in data.items() if n in own})
        careful = {} if recipe.integral is None else {"target_accept": CAREFUL}
        groups = self._sample(compiled, conformed, seed, careful)
        with self._lock:
            if recipe.integral is not None:
                rng = np.random.default_rng([seed, 2])
                arrays |= recipe.integral.recover(groups["posterior"], rng, data, conformed.missing)
            before = groups["posterior"]
            if rows:
                arrays |= draw_gaps(structure, whole, rows, arrays, before, seed, self._cells)
            groups = with_arrays(structure, conformed.coords, groups, arrays, conformed.columns)
        methods |= {**recipe.methods, **gap_methods(rows, gaps.exact if gaps else ())}
        return Drawn(groups, methods, told(structure, short, conformed))

    def _planned(self, conformed: Conformed) -> tuple[Gaps | None, Plan, dict[str, Any]]:
        """Return the blocks, and the terms of equations that might be shortened."""
        key = tuple(sorted(conformed.columns)), tuple(sorted(conformed.missing))
        if key not in self._plans:
            structure = self.structure
            plan = Plan((), (), ())
            gaps = find_gaps(structure, conformed, self.method)
            if gaps is not None:
                plan = gaps.plan
            elif self.method != "nuts":
                plan = make_plan(structure, set(conformed.columns), set(conformed.missing))
            if self.method == "exact" and plan.rest:
                raise no_exact(*plan.rest[0])
            if self.method == "compressed":
                plan = Plan((), (), plan.idle)
            away = {*plan.idle, *(n for s in plan.samplers for n in s.observed)}
            seen = {*conformed.columns, *structure.observed}
            seen -= set(conformed.missing)
            left = [n for n in structure.random if n not in away and n in seen]
            terms = reducible(structure, conformed, left) if self.method != "nuts" else {}
            self._plans[key] = gaps, plan, terms
        return self._plans[key]

    def _recipe(self, plan: Plan, short: Compression, conformed: Conformed) -> _Recipe:
        """Return what is kept for data like these, made if need be."""
        key = (*_kind(self.structure, conformed), short.kind())
        if key not in self._recipes:
            try:
                self._recipes[key] = self._make(plan, short, conformed)
            except _PlainError as error:
                self._recipes[key] = str(error)
            while len(self._recipes) > KEPT:
                self._recipes.popitem(last=False)
        self._recipes.move_to_end(key)
        found = self._recipes[key]
        if isinstance(found, str):
            raise _PlainError(found)
        return found

    def _make(self, plan: Plan, short: Compression, conformed: Conformed) -> _Recipe:
        """Compile what is left."""
        structure = self.structure
        if plan.samplers and not plan.rest:
            return _Recipe()
        gone = [n for s in plan.samplers for n in s.names]
        held = [n for s in plan.samplers for n in s.observed]

        left = Remainder(gone=gone, held=(*held, *plan.idle), found=short)
        conditioned, integral, _ = open_remainder(
            structure, conformed, left, integrated=self.method != "nuts"
        )
        out = () if integral is None else integral.names
        split = [n for n in conformed.missing if n not in out]
        if split:
            raise _PlainError(f"{', '.join(split)}: cells are empty")
        model = lean(structure, conditioned.model if integral is None else integral.model)
        free = [rv.name for rv in model.free_RVs]
        seen = [v for v in structure.model.basic_RVs if v.name in conformed.columns]
        reason = _starts_from_data(structure.model, seen, [*out, *gone])
        if reason:
            raise _PlainError(reason)
        read = [] if integral is None else [str(v.name) for v in integral.data]
        compiled = None
        if free:
            compiled = _compile(model, self.sampler)
            own = [str(v.name) for v in compiled.shared_var_keys]
            if len(set(own)) < len(own):
                raise _PlainError("two data of the model have the same name")
            read += own
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
        return _Recipe(compiled, sources, masks, methods, integral)

    def _sample(
        self, compiled: Any, conformed: Conformed, seed: int, more: dict[str, Any]
    ) -> dict[str, xr.Dataset]:
        """Run the Markov chains, as ``pm.sample`` does."""
        if compiled is None:
            index = {"chain": np.arange(self.chains), "draw": np.arange(self.draws)}
            return {"posterior": xr.Dataset(coords=index)}
        import nutpie

        options = {**more, **(self.sampler.get("nuts") or {})}
        if "target_accept" in self.sampler:
            options["target_accept"] = self.sampler["target_accept"]
        if "max_treedepth" in options:
            options["maxdepth"] = options.pop("max_treedepth")
        tune = self.sampler.get("tune")
        first = np.random.default_rng(seed).spawn(self.chains)[0]
        try:
            tree = nutpie.sample(
                compiled,
                draws=self.draws,
                tune=None if tune is None else max(1, tune),
                chains=self.chains,
                cores=self.sampler.get("cores") or at_once(self.chains),
                seed=int(first.integers(2**30)),
                save_warmup=False,
                progress_bar=False,
                **options,
            )
        except RuntimeError as error:
            raise _PlainError(f"the compiled sampler stopped: {error}") from error
        groups = {name: tree[name].to_dataset() for name in ("posterior", "sample_stats")}
        posterior = groups["posterior"]
        labels = {
            d: np.asarray(conformed.coords[d])
            for d in posterior.dims
            if d in conformed.coords and len(conformed.coords[d]) == posterior.sizes[d]
        }
        return {**groups, "posterior": posterior.assign_coords(labels)}

    def __getstate__(self) -> dict[str, Any]:
        import cloudpickle

        made = ("_lock", "_plans", "_recipes", "_cells", "structure")  # made again where it arrives
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


# ------------------------------------------------------------------------------- private


def _why_plain(
    structure: Structure, columns: Sequence[str], method: str, sampler: dict[str, Any]
) -> str:
    """Return why every fit takes the plain path; empty where none has to."""
    model = structure.model
    if method not in ("auto", "exact", "compressed", "nuts"):
        return f"method={method!r}"
    odd = [k for k in sampler if k not in _OPTIONS]
    if odd:
        return f"the option {odd[0]}="
    if sampler.get("nuts_sampler") not in (None, "nutpie"):
        return f"nuts_sampler={sampler['nuts_sampler']!r}"
    if structure.imputed:
        return f"the model imputes {', '.join(structure.imputed)}"
    seen = {*columns, *structure.observed}
    free = [rv for rv in model.free_RVs if rv.name not in seen]
    discrete = [rv.name for rv in free if is_discrete(rv)]
    if discrete:
        return f"{', '.join(discrete)} discrete and unknown"
    groups = admitted(structure, normal_vectors(structure, model)) if method != "nuts" else []
    latents = [n for group in groups for n in group]
    given = [v for v in model.basic_RVs if v.name in seen]
    return _starts_from_data(model, given, latents)


def _starts_from_data(
    model: pm.Model, observed: Iterable[Any], integrated: Sequence[str] = ()
) -> str:
    """Say which unknown starts from the first data: draws would depend on the order of fits."""
    given = {*model.data_vars, *observed}
    for rv in model.free_RVs:
        if rv in given:
            continue
        inputs = rv.owner.inputs
        if rv.name in integrated:  # it starts nowhere, but may have as many cells as data say
            if model.named_vars_to_dims.get(rv.name):
                continue
            inputs = [rv.owner.op.size_param(rv.owner)]
        read = named_parents(inputs, given)
        if read:
            return f"the law of {rv.name} reads {', '.join(sorted(str(v.name) for v in read))}"
    return ""


def _kind(structure: Structure, conformed: Conformed) -> tuple[Any, ...]:
    """Return what data must share to be fitted by one recipe: all but the units.

    Latent variables and empty cells belong to units, so that their number counts too.
    """
    unit = set(structure.unit_dims)
    latent = [n for n in structure.random if n not in {*conformed.columns, *structure.observed}]
    if latent or conformed.missing:
        unit = set()
    sizes = tuple(sorted((d, n) for d, n in conformed.sizes.items() if d not in unit))
    shapes = tuple(
        (n, conformed.columns[n].shape)
        for n in sorted(conformed.columns)
        if not unit & set(structure.dims.get(n, ()))
    )
    return tuple(sorted(conformed.columns)), tuple(sorted(conformed.missing)), sizes, shapes


def _compile(model: pm.Model, sampler: dict[str, Any]) -> Any:
    """Compile a model whose data can be exchanged."""
    import nutpie

    for var in model.data_vars:
        inner = var.owner.inputs[0] if var.owner is not None else var
        if not isinstance(inner, SharedVariable):
            raise _PlainError(f"{var.name!r} is frozen in the model")
    return nutpie.compile_pymc_model(model, freeze_model=False)


def _data_of(recipe: _Recipe, conformed: Conformed, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the data at hand under the names of what was compiled."""
    values: dict[str, Any] = {}
    for name, source in recipe.sources.items():
        if name in numbers:
            values[name] = numbers[name]
        elif source in conformed.missing:
            values[name] = np.where(conformed.missing[source], 0, conformed.columns[source])
        elif source in conformed.columns:
            values[name] = conformed.columns[source]
        else:
            values[name] = conformed.sizes[source]
    return values | {name: conformed.missing[column] for name, column in recipe.masks.items()}
