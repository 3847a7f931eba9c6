r"""Normal latents, empty cells and group effects, integrated out exactly and drawn back.

Where the factors that read a Normal latent :math:`z` are Normal with means affine in it, and no
unit reads another's cell, the log-density is a quadratic in every cell and its integral is known
(:mod:`.gaussian_integrals`). What remains has no unknown per unit: the sampler sees the parameters
alone, and none of the narrow valleys in which the strength of a hidden cause and the noise of its
effects trade places while thousands of cells have to follow. Then the latents are drawn from their
exact conditional, once per posterior draw.

*Group effects* are such latents, of the groups: without them the funnel of a hierarchical model, in
which the spread of the effects and the effects themselves shrink together, is gone.

*Empty cells.* A column :math:`x` that is empty in part is
:math:`x = m \cdot z + (1 - m) \cdot x_{obs}` with the mask :math:`m`, and :math:`z` a latent that
is standard normal where nothing is empty and so changes nothing there. A variable that no other
reads needs no integral: where it is empty its factor is left out.

*Several latents* of one level are integrated jointly, cell by cell; levels one after the other, the
finer first, for what an integral leaves is a quadratic again. They are drawn back in the opposite
order.

That the log-density is such a quadratic is read off the expressions (:mod:`.cellwise`), whatever
the data are. Where it cannot be seen the latent stays an unknown of the Markov chain.

References
----------
.. [1] S. L. Lauritzen, Propagation of probabilities, means and variances in mixed graphical
   association models, *JASA* 87(420), 1992.
.. [2] G. Casella and C. P. Robert, Rao-Blackwellisation of sampling schemes, *Biometrika* 83(1),
   1996: why integrating out beats drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import NullTypeGradError, disconnected_grad
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.basic import NormalRV

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.compress import unit_deterministics
from bayescausal.inference.conditioning.factors import Factors, StaysError
from bayescausal.inference.marginalize.affine_latents import integrable_groups
from bayescausal.inference.marginalize.gaussian_integrals import GaussianConditional, Quadratic
from bayescausal.model.structure.function_graph import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    import xarray as xr
    from pytensor.graph.basic import Variable

    from bayescausal.inference.conditioning.condition import Partly
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["Integrated", "integrate", "normal_vectors", "whole_columns"]


@dataclass(frozen=True, eq=False)
class Integrated:
    """A model without some of its Normal unknowns, and the way back to them."""

    model: pm.Model  # the factors that read the latents are Potentials
    # The latents and columns with empty cells that are gone, in the order of the model.
    names: tuple[str, ...]
    notes: tuple[str, ...]  # in words
    conditionals: tuple[GaussianConditional, ...]  # in the order in which they went

    @property
    def data(self) -> tuple[Any, ...]:
        """The shared variables that the way back reads."""
        return tuple(dict.fromkeys(v for c in self.conditionals for v in c.data))

    def drawn(self, missing: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what :meth:`recover` draws, columns named in `missing` being empty in part."""
        return tuple(f"{n}_unobserved" if n in missing else n for n in self.names)

    def recover(
        self,
        posterior: xr.Dataset,
        rng: np.random.Generator,
        data: Mapping[str, Any] | None = None,
        missing: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Draw the latents from their exact conditional, once per draw of the free variables.

        Of a column ``x`` that is empty in part (`missing`) the empty cells are returned, as
        ``x_unobserved``. `data` are other values of the model's data, of the same shapes.
        """
        sizes = posterior.sizes["chain"], posterior.sizes["draw"]
        total = sizes[0] * sizes[1]
        missing, data = missing or {}, data or {}
        flat = {}
        for n, v in posterior.data_vars.items():
            array = v.transpose("chain", "draw", ...).values
            flat[str(n)] = array.reshape(total, *array.shape[2:])
        step = min(c.step(data) for c in self.conditionals)
        keys = dict(zip(self.names, self.drawn(missing), strict=True))
        out: dict[str, np.ndarray] = {}
        for start in range(0, total, step):
            cut = slice(start, min(start + step, total))
            held = {n: v[cut] for n, v in flat.items()}
            for c in reversed(self.conditionals):
                held |= c.draw(held, data, rng, cut.stop - cut.start)
            for name, key in keys.items():
                value = held[name][:, missing[name]] if name in missing else held[name]
                if key not in out:
                    out[key] = np.empty((total, *value.shape[1:]))
                out[key][cut] = value
        out = {key: value.reshape(*sizes, *value.shape[1:]) for key, value in out.items()}
        return out


def integrate(
    structure: Structure, model: pm.Model, partly: Mapping[str, Partly] | None = None
) -> Integrated | None:
    """Integrate out the Normal latents, empty cells and group effects that can be, exactly.

    None if there is nothing to integrate out. `partly` are columns that are empty in part, and free
    variables of the conditioned model.

    Examples
    --------
    >>> import numpy as np, pymc as pm, xarray as xr
    >>> from bayescausal.inference import as_table
    >>> from bayescausal.inference import condition
    >>> from bayescausal.inference import conform
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     u = pm.Normal("u", dims="unit")
    ...     y = pm.Normal("y", 3 * u, 4, dims="unit")
    >>> structure = structure_of(model)
    >>> known = condition(structure, conform(as_table({"y": [5.0, 0.0]}, structure), structure))
    >>> made = integrate(structure, known.model)
    >>> made.names, made.model.free_RVs
    (('u',), [])
    >>> round(float(made.model.compile_logp()({})), 3)  # two of N(0, 3^2 + 4^2), at 5 and 0
    -5.557
    """
    partly = partly or {}
    names = normal_vectors(structure, model)
    groups = integrable_groups(structure, names, partly)
    if not groups:
        return None
    work = _Integration(model, [n for n in names if any(n in g for g in groups)], partly)
    work.run(groups)
    if not work.conditionals:
        return None
    gone = tuple(n for n in names if n in {m for c in work.conditionals for m in c.names})
    made = work.factors.close(gone, work.spent, work.potentials)
    what = [f"the empty cells of {n}" if n in partly else n for n in gone]
    note = f"Integrated out exactly and drawn back, being Normal: {', '.join(what)}."
    return Integrated(made, gone, (note,), tuple(work.conditionals))


def whole_columns(structure: Structure, conformed: Conformed) -> list[str]:
    """Return the columns with empty cells that may be integrated out: left free as a whole."""
    return [
        n
        for n in conformed.missing
        if n not in structure.imputed and _is_normal(structure.model, n)
    ]


def normal_vectors(structure: Structure, model: pm.Model) -> list[str]:
    """Return the free Normal variables that are arrays, in the order of the model.

    Left out is what a Deterministic reads that is kept and reads units, such as their mean: it is
    drawn with the chain.
    """
    own = structure.model
    known = {v.name for v in own.basic_RVs}
    names = [v.name for v in model.free_RVs if v.name in known and _is_normal(own, v.name)]
    if not names:
        return []
    unit = {*structure.nodes, *structure.imputed}
    leaves = {*own.basic_RVs, *own.data_vars}
    heavy = unit_deterministics(structure, own)
    lost: set[str] = set()
    for d in own.deterministics:
        read = {str(v.name) for v in named_parents([d], leaves)}
        if d not in heavy and read & unit:
            lost |= read
    return [n for n in names if n not in lost]


# ------------------------------------------------------------------------------- private


def _is_normal(model: pm.Model, name: str) -> bool:
    rv = model[name]
    return (
        bool(rv.type.ndim)
        and isinstance(rv.owner.op, NormalRV)
        and model.rvs_to_transforms.get(rv) is None
    )


class _Integration:
    """The factors of a model, as some latents are taken out of them."""

    def __init__(self, model: pm.Model, names: Sequence[str], partly: Mapping[str, Partly]) -> None:
        self.factors = Factors(model)
        places = self.factors.places
        # Products, not switches: these are moved about when a gradient is prepared, and what was
        # not chosen is divided by zero there.
        self.empty = {n: pt.cast(p.mask, places[n].type.dtype) for n, p in partly.items()}
        self.factors.stands = {
            n: self.empty[n] * places[n] + (1 - self.empty[n]) * p.values
            for n, p in partly.items()
            if n in names
        }
        self.model, self.names, self.partly = model, names, partly
        self.reading = dict(self.factors.reading(names))
        self.shapes = {n: tuple(int(i) for i in evaluate([model[n].shape])[0]) for n in names}
        self.expressions: dict[str, Variable] = {}
        self.potentials: dict[str, Variable] = {}
        self.spent: list[str] = []
        self.conditionals: list[GaussianConditional] = []

    def run(self, groups: Sequence[Sequence[str]]) -> None:
        """Take out what can be: leaves first, then the groups in their order."""
        for name in reversed(self.names):
            if [f for f, reads in self.reading.items() if name in reads] == [name]:
                self._leaf(name)
        gone = {n for c in self.conditionals for n in c.names}
        for group in groups:
            left = tuple(n for n in group if n not in gone)
            if left and not self._group(left):
                return  # what is coarser would have to wait for it

    def _cells(self, factor: str) -> Variable:
        """Return a factor, cell by cell."""
        if factor not in self.expressions:
            self.expressions[factor] = self.factors.log_density(factor, self.names)
        return self.expressions[factor]

    def _leaf(self, name: str) -> None:
        """Take out a latent that nobody reads: its factor integrates to one."""
        try:
            own = self._cells(name)
        except StaysError:
            return
        hole = self.factors.places[name]
        slope = pt.grad(own.sum(), hole)
        curve = pt.grad(slope.sum(), hole)
        rest = None
        if name in self.partly:
            seen = 1 - self.empty[name]
            curve = curve - seen  # never zero: what is not empty is drawn too, and left aside
            rest = seen * own
        zero = {hole: pt.zeros(self.shapes[name], dtype=hole.type.dtype)}
        [slope, curve] = graph_replace([slope, curve], zero, strict=False)
        self._done((name,), Quadratic((slope,), {(0, 0): -curve}))
        reads = self.reading.pop(name) - {name}
        self._spend([name])
        if rest is not None:
            [rest] = graph_replace([rest], zero, strict=False)
            self._put(f"{name}_seen", rest, reads)

    def _group(self, group: Sequence[str]) -> bool:
        """Integrate some latents out jointly, if they can be."""
        mine = [f for f, reads in self.reading.items() if reads & set(group)]
        try:
            quadratic = self._quadratic(group, mine)
        except (StaysError, NotImplementedError, NullTypeGradError):
            return False
        self._done(group, quadratic)
        reads = frozenset().union(*(self.reading.pop(f) for f in mine)) - set(group)
        self._spend(mine)
        modes = quadratic.modes()
        if not reads:  # the slope is zero at the mode; latents still to go need its own movement
            modes = [disconnected_grad(mode) for mode in modes]
        moved = {self.factors.places[n]: mode for n, mode in zip(group, modes, strict=True)}
        [value] = graph_replace([self._total(group, mine)], moved, strict=False)
        self._put(f"{'_'.join(group)}_integrated_out", value + quadratic.width(), reads)
        return True

    def _spend(self, factors: Sequence[str]) -> None:
        for f in factors:
            if self.potentials.pop(f, None) is None:
                self.spent.append(f)

    def _put(self, name: str, value: Variable, reads: frozenset[str]) -> None:
        self.potentials[name] = self.expressions[name] = value
        self.reading[name] = reads

    def _done(self, group: Sequence[str], quadratic: Quadratic) -> None:
        shape = self.shapes[group[0]]
        self.conditionals.append(
            GaussianConditional.of(group, shape, quadratic, self.factors.places)
        )

    def _quadratic(self, group: Sequence[str], mine: Sequence[str]) -> Quadratic:
        """Return the log-density of some factors as a quadratic in some latents; or refuse."""
        if len({self.shapes[n] for n in group}) > 1:
            raise StaysError
        holes = [self.factors.places[n] for n in group]
        slopes = pt.grad(self._total(group, mine), holes, disconnected_inputs="raise")
        curves = {}
        for i, slope in enumerate(slopes):
            for j in range(i + 1):
                if holes[j] in set(ancestors([slope])):
                    curves[i, j] = -pt.grad(slope.sum(), holes[j], disconnected_inputs="ignore")
        if any((j, j) not in curves for j in range(len(group))):
            raise StaysError
        zero = {h: pt.zeros(self.shapes[group[0]], dtype=h.type.dtype) for h in holes}
        keys = list(curves)
        found = graph_replace([*slopes, *curves.values()], zero, strict=False)
        slopes, values = found[: len(holes)], found[len(holes) :]
        return Quadratic(tuple(slopes), dict(zip(keys, values, strict=True)))

    def _total(self, group: Sequence[str], mine: Sequence[str]) -> Variable:
        """Return the sum of some factors."""
        total = sum((pt.sum(self._cells(f)) for f in mine), pt.constant(0.0))
        for name in group:
            if name in self.partly:  # where nothing is empty, a standard normal of its own
                hole = self.factors.places[name]
                idle = -0.5 * (hole * hole + np.log(2 * np.pi))
                total = total + pt.sum((1 - self.empty[name]) * idle)
        return total
