r"""The factors of a conditioned model: what reads a latent, and putting something in its place.

The density of a model is a product with one factor per random variable and Potential. To take a
latent :math:`z` out of the model, the factors that read it are collected, integrated or summed over
:math:`z`, and one Potential put in their place:

.. math:: \int \prod_{f \in F(z)} p_f(v_f \mid z, \cdot)\, dz .

A child that is itself unknown loses its own factor to that Potential, and keeps a constant density
on its range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pymc.model.fgraph import ModelFreeRV, ModelObservedRV, ModelVar, model_free_rv, model_potential
from pymc.pytensorf import toposort_replace
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors, walk
from pytensor.raise_op import CheckAndRaise

from bayescausal.model.structure.function_graph import close, evaluate, open_model
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["Factors", "StaysError", "used", "without_checks"]

#: Transforms that need no arguments, and a distribution with constant density on their range.
_FLAT: dict[str | None, Callable[..., Any]] = {
    None: lambda shape: pm.Flat.dist(shape=shape),
    "log": lambda shape: pm.HalfFlat.dist(shape=shape),
    "logodds": lambda shape: pm.Uniform.dist(0.0, 1.0, shape=shape),
}


class StaysError(Exception):
    """A latent that has to stay in the model."""


class Factors:
    """A conditioned model, opened.

    - `places` (dict of str to TensorVariable): what stands for each free variable in the
      expressions.
    - `stands` (dict of str to TensorVariable): expressions of ``places`` that stand for some of
      them instead.
    """

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        self.fgraph, self.memo, self.initvals = open_model(model)
        self.places: dict[str, Variable] = {rv.name: rv.type(name=rv.name) for rv in model.free_RVs}
        self.stands: dict[str, Variable] = {}

    def reading(self, latents: Collection[str]) -> dict[str, frozenset[str]]:
        """Return, for every factor that reads some latents, which: its own variable among them."""
        marker_of = {self.memo[self.model[name]]: name for name in latents}
        found = {}
        for var in [*self.model.basic_RVs, *self.model.potentials]:
            marker = self.memo[var]
            reads = {
                marker_of[node]
                for node in _within(marker)
                if node in marker_of and node is not marker
            }
            if var.name in latents:
                reads.add(var.name)
            if reads:
                found[var.name] = frozenset(reads)
        return found

    def log_density(self, name: str, latents: Collection[str]) -> Variable:
        """Return the log-density of a variable or Potential, by cell, of ``places`` and data.

        Refused where it has none, or the variable is unknown and could not go without it.
        """
        var = self.model[name]
        marker = self.memo[var]
        # Every named variable becomes a root of the expression: replacing copies what is above.
        places = {**self.places, **self.stands}
        roots = {self.memo[self.model[n]]: place for n, place in places.items()}
        roots |= {self.memo[rv]: _data_of(self.memo[rv]) for rv in self.model.observed_RVs}
        inner = marker.owner.inputs[0]
        if var in self.model.potentials:
            return without_checks(graph_replace([inner], roots, strict=False)[0])
        stays = isinstance(marker.owner.op, ModelFreeRV) and name not in latents
        if stays and _transform(marker.owner.op) not in _FLAT:
            raise StaysError
        stand = inner.type(name=f"{name}_value")
        # first the roots: a density that is derived (of what is censored) copies what is above
        [inner] = graph_replace(
            [inner], {k: v for k, v in roots.items() if k is not marker}, strict=False
        )
        try:
            expression = pm.logp(inner, stand, warn_rvs=False)
        except (NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            raise StaysError from error
        [expression] = graph_replace([expression], {stand: roots[marker]}, strict=False)
        return without_checks(expression)

    def points(self, latents: Collection[str]) -> list[dict[Variable, np.ndarray]]:
        """Return values of the other free variables to try a density at: draws from the prior."""
        free = [rv for rv in self.model.free_RVs if rv.name not in latents]
        draw = pm.compile([], free, random_seed=1, mode=PY_MODE, on_unused_input="ignore")
        try:
            found = [draw() for _ in range(4)]
        except (NotImplementedError, ValueError):  # an improper prior, or a law of what it drew
            start = np.random.default_rng(1)
            shapes = evaluate([rv.shape for rv in free])
            found = [[start.uniform(0.2, 0.8, tuple(s)) for s in shapes] for _ in range(4)]
        return [
            {
                self.places[rv.name]: np.asarray(v).astype(rv.type.dtype)
                for rv, v in zip(free, point, strict=True)
            }
            for point in found
        ]

    def close(
        self,
        latents: Collection[str],
        factors: Collection[str],
        potentials: Mapping[str, Variable],
    ) -> pm.Model:
        """Return the model with Potentials in the place of latents and what reads them.

        Deterministics that read a latent go as well. This object is used up.
        """
        fgraph, memo, model = self.fgraph, self.memo, self.model
        away = {memo[model[n]] for n in latents}
        gone = {*latents, *factors}
        free = {rv.name: rv for rv in model.free_RVs}
        unknown = [n for n in factors if n in free and n not in latents]
        for i in reversed(range(len(fgraph.outputs))):
            out = fgraph.outputs[i]
            name = getattr(getattr(out.owner, "op", None), "name", None)
            if name in gone or (_is_named(out) and away & _within(out)):
                fgraph.remove_output(i)
        back = {place: memo[model[n]] for n, place in self.places.items()}
        back |= {_data_of(memo[rv]): memo[rv].owner.inputs[1] for rv in model.observed_RVs}
        for name, expression in potentials.items():
            while name in model.named_vars:
                name += "_"
            [expression] = graph_replace([expression], back, strict=False)
            fgraph.add_output(model_potential(expression, name), import_missing=True)
        replacements = []
        for name in unknown:
            marker = memo[model[name]]
            if marker not in fgraph.variables:
                continue
            op, value = marker.owner.op, marker.owner.inputs[1]
            shape = tuple(int(s) for s in evaluate([model[name].shape])[0])
            flat = _FLAT[_transform(op)](shape)
            replacements.append((marker, model_free_rv(flat, value, op.transform, name, *op.dims)))
        for rv in model.observed_RVs:
            if rv.name in gone and memo[rv] in fgraph.variables:
                replacements.append((memo[rv], memo[rv].owner.inputs[1]))
        toposort_replace(fgraph, tuple(replacements))
        drawn = {n for n in unknown if isinstance(self.initvals.get(n), str)}
        return close(fgraph, {n: v for n, v in self.initvals.items() if n not in drawn})


def used(expressions: Iterable[Variable], places: Mapping[str, Variable]) -> tuple[str, ...]:
    """Return the free variables that expressions read, in the order of the model."""
    inside = set(ancestors(list(expressions)))
    return tuple(name for name, place in places.items() if place in inside)


def without_checks(expression: Variable) -> Variable:
    """Return the expression without parameter checks: they do not vectorise and cost time."""
    while True:
        checks = [
            v
            for v in ancestors([expression])
            if v.owner is not None and isinstance(v.owner.op, CheckAndRaise)
        ]
        if not checks:
            return expression
        if expression in checks:
            expression = expression.owner.inputs[0]
            continue
        last = checks[-1]
        [expression] = graph_replace([expression], {last: last.owner.inputs[0]}, strict=False)


# ------------------------------------------------------------------------------- private


def _within(marker: Variable) -> set[Variable]:
    """Return the variables of one equation, up to and including the named ones it reads."""
    start = marker.owner.inputs[0]

    def expand(var: Variable) -> Sequence[Variable]:
        if var.owner is None or (var is not start and _is_marker(var)):
            return ()
        return tuple(var.owner.inputs)

    return set(walk([start], expand))


def _is_marker(var: Variable) -> bool:
    return var.owner is not None and isinstance(var.owner.op, ModelFreeRV | ModelObservedRV)


def _is_named(var: Variable) -> bool:
    return var.owner is not None and hasattr(var.owner.op, "dims") and hasattr(var.owner.op, "name")


def _transform(op: ModelFreeRV) -> str | None:
    return None if op.transform is None else getattr(op.transform, "name", "?")


def _data_of(marker: Variable) -> Variable:
    """Return the data behind an observed variable, bare of PyMC's marker."""
    value = marker.owner.inputs[1]
    inner = getattr(value.owner, "op", None)
    return value.owner.inputs[0] if isinstance(inner, ModelVar) else value
