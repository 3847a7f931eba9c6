"""Discrete latents, summed out exactly and drawn back.

A discrete latent :math:`z_i` with few states makes the posterior rough. If units do not touch
through it, its sum is cheap: with the factors that read :math:`z_i` collected,

.. math:: \\log p(\\cdot) = \\sum_i \\log \\sum_{s} \\exp \\ell_i(s), \\qquad
   \\ell_i(s) = \\log p(z_i = s \\mid pa_i) + \\sum_{f : m(f) = i} \\log p_f(v_f \\mid z_i = s),

where :math:`m(f)` is the cell of :math:`z` that the cell :math:`f` of a child reads (itself; its
school, for pupils; its unit, for a panel). What remains is smooth and NUTS runs on it; then
:math:`z_i` is drawn from its exact conditional,
:math:`P(z_i = s) \\propto e^{\\ell_i(s)}`, once per posterior draw.
Latents that meet in one factor are summed jointly.

That units do not touch, and the map :math:`m`, are *found by trying*: :math:`\\ell` is evaluated
with all cells in one state, then with states that spell out the number of each cell in binary,
which tells every child cell whom it listens to; random states confirm it. An equation that mixes
units fails the confirmation, and the latent is left to a compound step.

References
----------
.. [1] Stan Development Team, *Stan User's Guide*, chapter "Latent discrete parameters".
.. [2] G. Casella and C. P. Robert, Rao-Blackwellisation of sampling schemes, *Biometrika* 83(1),
   1996: why summing out beats drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.model.fgraph import (
    ModelFreeRV,
    ModelObservedRV,
    model_free_rv,
    model_potential,
)
from pymc.pytensorf import toposort_replace
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.traversal import ancestors, walk

from bayescausal.inference.cells import cell_map, collect
from bayescausal.inference.states import (
    MAX_STATES,
    Group,
    data_of,
    few_states,
    joined,
    log_sum,
    without_checks,
)
from bayescausal.model.rebuild import PY_MODE, close, evaluate, open_model
from bayescausal.model.support import is_discrete

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from pytensor.graph import FunctionGraph
    from pytensor.graph.basic import Variable

    from bayescausal.inference.condition import Conditioned
    from bayescausal.model.structure import Structure

__all__ = ["Marginal", "marginalise"]

#: Transforms that need no arguments, and a distribution with constant density on their range.
_FLAT: dict[str | None, Callable[..., Any]] = {
    None: lambda shape: pm.Flat.dist(shape=shape),
    "log": lambda shape: pm.HalfFlat.dist(shape=shape),
    "logodds": lambda shape: pm.Uniform.dist(0.0, 1.0, shape=shape),
}


@dataclass(frozen=True, eq=False)
class Marginal:
    """A model without some of its discrete latents, and the way back to them.

    Attributes
    ----------
    model : pm.Model
        The factors that read the latents are one Potential per group.
    names : tuple of str
        The latents that are gone.
    notes : tuple of str
        In words.
    groups : tuple of Group
        Latents that were summed out jointly.
    """

    model: pm.Model
    names: tuple[str, ...]
    notes: tuple[str, ...]
    groups: tuple[Group, ...]

    def recover(self, posterior: xr.Dataset, rng: np.random.Generator) -> dict[str, xr.DataArray]:
        """Draw the latents from their exact conditional, once per draw.

        Parameters
        ----------
        posterior : Dataset
            Draws of the free variables of ``model``.
        rng : numpy Generator

        Returns
        -------
        dict of str to DataArray
            Dims chain, draw and those of the latent; the smallest integer type that holds it.
        """
        out: dict[str, xr.DataArray] = {}
        for group in self.groups:
            out.update(group.recover(posterior, rng))
        return out


def marginalise(structure: Structure, conditioned: Conditioned) -> Marginal | None:
    """Sum out the discrete latents that can be, exactly.

    Parameters
    ----------
    structure : Structure
        The model, read.
    conditioned : Conditioned
        The model with its data.

    Returns
    -------
    Marginal or None
        None if there is nothing to sum out. Latents with more than 64 joint states per unit, or
        through which units touch, stay in the model.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table, condition, conform
    >>> from bayescausal.inference.marginal import marginalise
    >>> from bayescausal.model.structure import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     z = pm.Bernoulli("z", 0.3, dims="unit")
    ...     y = pm.Normal("y", 2.0 * z, 1, dims="unit")
    >>> structure = structure_of(model)
    >>> known = condition(structure, conform(as_table({"y": [0.0, 2.0]}, structure), structure))
    >>> group = marginalise(structure, known).groups[0]
    >>> group.probabilities({})[1].round(3)  # P(z = 1 | y) of the two units
    array([0.055, 0.76 ])
    """
    skip: set[str] = set()
    while True:
        result, failed = _attempt(structure, conditioned, skip)
        if not failed:
            return result
        skip |= failed


# --------------------------------------------------------------------------------- work


class _CannotSumError(Exception):
    """A group that has to stay in the model."""


def _attempt(
    structure: Structure, conditioned: Conditioned, skip: set[str]
) -> tuple[Marginal | None, set[str]]:
    """Try to sum out all latents but those in `skip`; return those that turn out impossible."""
    model = conditioned.model
    latents = {}
    for rv in model.free_RVs:
        if rv.name in skip or not is_discrete(rv):
            continue
        states = few_states(rv)
        if states is not None:
            latents[rv.name] = states
    if not latents:
        return None, set()
    fgraph, memo, initvals = open_model(model)
    factors = _factors(model, memo, latents)
    groups, todo = [], []
    for names in joined(latents, factors):
        try:
            todo.append(_Work(model, memo, names, latents, factors))
        except _CannotSumError:
            return None, set(names)
    for work in todo:
        groups.append(work.group())
    _rewrite(fgraph, memo, model, todo)
    unit = [n for g in groups for n in g.names]
    note = f"{', '.join(unit)}: discrete and latent, summed out exactly and drawn back."
    result = Marginal(close(fgraph, initvals), tuple(unit), (note,), tuple(groups))
    return result, set()


def _factors(
    model: pm.Model, memo: Mapping[Variable, Variable], latents: Mapping[str, np.ndarray]
) -> dict[str, frozenset[str]]:
    """Return, for every random variable or Potential, the latents that its density reads."""
    marker_of = {memo[model[name]]: name for name in latents}
    found = {}
    for var in [*model.basic_RVs, *model.potentials]:
        marker = memo[var]
        reads = set()
        for node in _within(marker):
            if node in marker_of and node is not marker:
                reads.add(marker_of[node])
        if var.name in latents:
            reads.add(var.name)
        if reads:
            found[var.name] = frozenset(reads)
    return found


def _within(marker: Variable) -> set[Variable]:
    """Return the variables of one equation, up to and including the named ones it reads."""
    start = marker.owner.inputs[0]

    def expand(var: Variable) -> Any:
        if var.owner is None or (var is not start and _is_marker(var)):
            return ()
        return var.owner.inputs

    return set(walk([start], expand))


def _is_marker(var: Variable) -> bool:
    return var.owner is not None and isinstance(var.owner.op, ModelFreeRV | ModelObservedRV)


class _Work:
    """The factors of one group of latents, as one expression over its joint states."""

    def __init__(
        self,
        model: pm.Model,
        memo: Mapping[Variable, Variable],
        names: tuple[str, ...],
        latents: Mapping[str, np.ndarray],
        factors: Mapping[str, frozenset[str]],
    ) -> None:
        self.model, self.memo, self.names = model, memo, names
        grids = np.meshgrid(*[latents[n] for n in names], indexing="ij")
        self.states = np.stack([g.ravel() for g in grids], axis=1)
        if len(self.states) > MAX_STATES:
            raise _CannotSumError
        shapes = {tuple(int(s) for s in evaluate([model[n].shape])[0]) for n in names}
        if len(shapes) > 1:
            raise _CannotSumError
        self.shape = shapes.pop()
        self.children = [n for n, reads in factors.items() if reads & set(names)]
        self.holes = {n: model[n].type(name=f"{n}_state") for n in names}
        self.places = {rv: rv.type(name=rv.name) for rv in model.free_RVs if rv.name not in names}
        self.density = self._density()

    def _density(self) -> Variable:
        """Return log p(cell in joint state s, what reads it), an array (states, *shape)."""
        total: Variable | None = None
        batch = {
            self.holes[n]: pt.as_tensor_variable(self._spread(self.states[:, j]))
            for j, n in enumerate(self.names)
        }
        values = self._probe_values()
        for child in self.children:
            one = self._log_factor(child)
            listen = cell_map(
                one, [self.holes[n] for n in self.names], self.states, self.shape, values
            )
            if listen is None:
                raise _CannotSumError
            if any(hole in set(ancestors([one])) for hole in batch):
                [many] = vectorize_graph([one], replace=batch)
            else:
                many = pt.broadcast_to(one, (len(self.states), *one.shape))
            part = collect(many, listen, self.shape, len(self.states))
            total = part if total is None else total + part
        assert total is not None
        return total

    def _spread(self, states: np.ndarray) -> np.ndarray:
        """Return every cell in state s, for each s: an array (states, *shape)."""
        column = states.reshape(-1, *(1,) * len(self.shape))
        return np.broadcast_to(column, (len(states), *self.shape)).astype("int64")

    def _log_factor(self, name: str) -> Variable:
        """Return the log-density of one variable, cell by cell, with holes for the latents."""
        var = self.model[name]
        marker = self.memo[var]
        # Every named variable becomes a root of the expression: replacing copies what is above.
        roots: dict[Variable, Variable] = {self.memo[rv]: p for rv, p in self.places.items()}
        roots |= {self.memo[self.model[n]]: hole for n, hole in self.holes.items()}
        roots |= {self.memo[rv]: data_of(self.memo[rv]) for rv in self.model.observed_RVs}
        inner = marker.owner.inputs[0]
        if var in self.model.potentials:
            return without_checks(graph_replace([inner], roots, strict=False)[0])
        if isinstance(marker.owner.op, ModelFreeRV) and name not in self.holes:
            transform = marker.owner.op.transform
            if (None if transform is None else getattr(transform, "name", "?")) not in _FLAT:
                raise _CannotSumError
        stand = inner.type(name=f"{name}_value")
        try:
            expression = pm.logp(inner, stand, warn_rvs=False)
        except (NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            raise _CannotSumError from error
        [expression] = graph_replace([expression], {**roots, stand: roots[marker]}, strict=False)
        return without_checks(expression)

    def _probe_values(self) -> list[dict[Variable, np.ndarray]]:
        """Return values of the free variables to try the density at: draws from the prior."""
        free = [rv for rv in self.model.free_RVs if rv.name not in self.names]
        draw = pm.compile([], free, random_seed=1, mode=PY_MODE, on_unused_input="ignore")
        try:
            points = [draw() for _ in range(4)]
        except NotImplementedError:  # an improper prior: try a plain point instead
            start = np.random.default_rng(1)
            shapes = evaluate([rv.shape for rv in free])
            points = [[start.uniform(0.2, 0.8, tuple(s)) for s in shapes] for _ in range(4)]
        return [
            {
                self.places[rv]: np.asarray(v).astype(rv.type.dtype)
                for rv, v in zip(free, point, strict=True)
            }
            for point in points
        ]

    def free_children(self) -> list[str]:
        """Return children that are themselves unknown (and not summed out)."""
        free = {rv.name for rv in self.model.free_RVs}
        return [n for n in self.children if n in free and n not in self.names]

    def group(self) -> Group:
        """Return the record that draws the latents back."""
        inside = set(ancestors([self.density]))
        used = [rv for rv, place in self.places.items() if place in inside]
        function = pytensor.function(
            [self.places[rv] for rv in used],
            [self.density],
            mode=PY_MODE,
            on_unused_input="ignore",
            allow_input_downcast=True,
        )
        dims = tuple(
            tuple(self.model.named_vars_to_dims.get(n) or ())
            or tuple(f"{n}_dim_{i}" for i in range(len(self.shape)))
            for n in self.names
        )
        return Group(self.names, dims, self.states, tuple(rv.name for rv in used), function)


def _rewrite(
    fgraph: FunctionGraph,
    memo: Mapping[Variable, Variable],
    model: pm.Model,
    todo: list[_Work],
) -> None:
    """Put one Potential per group in the place of the latents and the factors that read them."""
    gone = {name for work in todo for name in (*work.names, *work.children)}
    flat = {name for work in todo for name in work.free_children()}
    latents = {memo[model[n]] for work in todo for n in work.names}
    for i in reversed(range(len(fgraph.outputs))):
        out = fgraph.outputs[i]
        name = getattr(getattr(out.owner, "op", None), "name", None)
        reads = latents & _within(out) if _is_named(out) else set()
        if name in gone or reads:
            fgraph.remove_output(i)
    for work in todo:
        name = "_".join([*work.names, "summed_out"])
        while name in model.named_vars:
            name += "_"
        back = {place: memo[rv] for rv, place in work.places.items()}
        [density] = graph_replace([log_sum(work.density)], back, strict=False)
        potential = model_potential(density, name)
        fgraph.add_output(potential, import_missing=True)
    replacements = []
    for name in flat:
        marker = memo[model[name]]
        if marker not in fgraph.variables:
            continue
        op, value = marker.owner.op, marker.owner.inputs[1]
        shape = tuple(int(s) for s in evaluate([model[name].shape])[0])
        kind = None if op.transform is None else op.transform.name
        replacements.append(
            (marker, model_free_rv(_FLAT[kind](shape), value, op.transform, name, *op.dims))
        )
    for rv in model.observed_RVs:
        if rv.name in gone and memo[rv] in fgraph.variables:
            replacements.append((memo[rv], memo[rv].owner.inputs[1]))
    toposort_replace(fgraph, tuple(replacements))


def _is_named(var: Variable) -> bool:
    return var.owner is not None and hasattr(var.owner.op, "dims") and hasattr(var.owner.op, "name")
