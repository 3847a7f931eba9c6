"""Discrete latents, summed out exactly and drawn back.

A discrete latent :math:`z_i` with few states makes the posterior rough. If units do not depend
on each other through it, its sum is cheap: with the factors that read :math:`z_i` collected,

.. math:: \\log p(\\cdot) = \\sum_i \\log \\sum_{s} \\exp \\ell_i(s), \\qquad
   \\ell_i(s) = \\log p(z_i = s \\mid pa_i) + \\sum_{f : m(f) = i} \\log p_f(v_f \\mid z_i = s),

where :math:`m(f)` is the cell of :math:`z` that the cell :math:`f` of a child reads (itself; its
school, for pupils; its unit, for a panel). What remains is smooth and NUTS runs on it; then
:math:`z_i` is drawn from its exact conditional,
:math:`P(z_i = s) \\propto e^{\\ell_i(s)}`, once per posterior draw.
Latents that meet in one factor are summed jointly.

That units do not depend on each other, and the map :math:`m`, are *found by trying*:
:math:`\\ell` is evaluated with all cells in one state, then with states that spell out the number
of each cell in binary, which tells which cell every child cell reads; random states confirm it. An
equation that mixes units fails the confirmation, and the latent is left to a compound step.

References
----------
.. [1] Stan Development Team, *Stan User's Guide*, chapter "Latent discrete parameters".
.. [2] G. Casella and C. P. Robert, Rao-Blackwellisation of sampling schemes, *Biometrika* 83(1),
   1996: why summing out beats drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors

from bayescausal.inference.conditioning.factors import Factors, StaysError, used
from bayescausal.inference.marginalize.equal_units import equal_units
from bayescausal.inference.marginalize.index_maps import cell_map, collect
from bayescausal.inference.marginalize.variable_elimination import (
    MAX_STATES,
    Group,
    few_states,
    joined,
)
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm
    import xarray as xr
    from pytensor.graph.basic import Variable

    from bayescausal.inference.conditioning.condition import Conditioned
    from bayescausal.model.structure.structure import Structure

__all__ = ["Marginal", "marginalise"]


@dataclass(frozen=True, eq=False)
class Marginal:
    """A model without some of its discrete latents, and the way back to them."""

    model: pm.Model  # the factors that read the latents are one Potential per group
    names: tuple[str, ...]  # the latents that are gone
    notes: tuple[str, ...]  # in words
    groups: tuple[Group, ...]  # latents that were summed out jointly
    short: bool = False  # whether no equation has a row for each unit any more

    def recover(self, posterior: xr.Dataset, rng: np.random.Generator) -> dict[str, xr.DataArray]:
        """Draw the latents from their exact conditional, once per draw."""
        drawn = [group.recover(posterior, rng) for group in self.groups]
        return {name: array for found in drawn for name, array in found.items()}


def marginalise(structure: Structure, conditioned: Conditioned) -> Marginal | None:
    """Sum out the discrete latents that can be, exactly; None if there is none.

    Latents with more than 64 joint states per unit, or on which several units depend, stay.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table
    >>> from bayescausal.inference import condition
    >>> from bayescausal.inference import conform
    >>> from bayescausal.model.structure.read import structure_of
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


# ------------------------------------------------------------------------------- private


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
    factors = Factors(model)
    reading = factors.reading(latents)
    todo = []
    for names in joined(latents, reading):
        try:
            todo.append(_Marginalisation(factors, names, latents, reading))
        except StaysError:
            return None, set(names)
    groups = tuple(work.group() for work in todo)
    names = tuple(n for g in groups for n in g.names)
    potentials = {"_".join([*w.names, "summed_out"]): w.summed() for w in todo}
    made = factors.close(names, [n for w in todo for n in w.children], potentials)
    note = f"{', '.join(names)}: discrete and latent, summed out exactly and drawn back"
    short = [f"{w.words()}" for w in todo if w.equal is not None]
    note = "; ".join([note, *short]) + "."
    whole = len(short) == len(todo) and not made.observed_RVs
    return Marginal(made, names, (note,), groups, whole), set()


class _Marginalisation:
    """The factors of one group of latents, as one expression over its joint states."""

    def __init__(
        self,
        factors: Factors,
        names: tuple[str, ...],
        latents: Mapping[str, np.ndarray],
        reading: Mapping[str, frozenset[str]],
    ) -> None:
        self.factors, self.names = factors, names
        model = factors.model
        grids = np.meshgrid(*[latents[n] for n in names], indexing="ij")
        self.states = np.stack([g.ravel() for g in grids], axis=1)
        if len(self.states) > MAX_STATES:
            raise StaysError
        shapes = {tuple(int(s) for s in evaluate([model[n].shape])[0]) for n in names}
        if len(shapes) > 1:
            raise StaysError
        self.shape = shapes.pop()
        self.children = [n for n, reads in reading.items() if reads & set(names)]
        self.density = self._density()
        self.equal = equal_units(self.density, self.shape, factors.places, factors.points(names))

    def summed(self) -> Variable:
        """Return the log-density of the units, the latents summed out."""
        if self.equal is None:
            return pt.logsumexp(self.density, axis=0)
        return pt.logsumexp(self.equal.density, axis=0) * self.equal.counts

    def words(self) -> str:
        """Say over how many rows the sum is."""
        assert self.equal is not None
        rows = len(self.equal.counts)
        return f"{self.shape[0]:,} units of {rows:,} distinct kinds are summed up by kind"

    def _density(self) -> Variable:
        """Return log p(cell in joint state s, what reads it), an array (states, *shape)."""
        total: Variable | None = None
        holes = [self.factors.places[n] for n in self.names]
        batch = {
            hole: pt.as_tensor_variable(self._spread(self.states[:, j]))
            for j, hole in enumerate(holes)
        }
        values = self.factors.points(self.names)
        for child in self.children:
            one = self.factors.log_density(child, self.names)
            index = cell_map(one, holes, self.states, self.shape, values)
            if index is None:
                raise StaysError
            if any(hole in set(ancestors([one])) for hole in holes):
                [many] = vectorize_graph([one], replace=batch)
            else:
                many = pt.broadcast_to(one, (len(self.states), *one.shape))
            part = collect(many, index, self.shape, len(self.states))
            total = part if total is None else total + part
        assert total is not None
        return total

    def _spread(self, states: np.ndarray) -> np.ndarray:
        """Return every cell in state s, for each s: an array (states, *shape)."""
        column = states.reshape(-1, *(1,) * len(self.shape))
        return np.broadcast_to(column, (len(states), *self.shape)).astype("int64")

    def group(self) -> Group:
        """Return the record that draws the latents back."""
        places, equal = self.factors.places, self.equal
        density = self.density if equal is None else equal.density
        inputs = used([density], places)
        arguments = [places[n] for n in inputs]
        if inputs:  # many draws at a time
            many = [
                pt.TensorType(v.type.dtype, (None, *v.type.shape))(f"many_{v.name}")
                for v in arguments
            ]
            [density] = vectorize_graph([density], dict(zip(arguments, many, strict=True)))
            arguments = many
        function = pytensor.function(
            arguments,
            [density],
            mode=PY_MODE,
            on_unused_input="ignore",
            allow_input_downcast=True,
        )
        own = self.factors.model.named_vars_to_dims
        dims = tuple(
            tuple(own.get(n) or ()) or tuple(f"{n}_dim_{i}" for i in range(len(self.shape)))
            for n in self.names
        )
        code = None if equal is None else equal.code
        rows = int(np.prod(self.shape)) if equal is None else len(equal.counts)
        cells = len(self.states) * rows
        return Group(self.names, dims, self.states, inputs, function, cells, code)
