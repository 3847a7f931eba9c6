r"""The law of one variable for each unit, as its own equation gives it: parents kept, draw by draw.

For a variable with equation :math:`v \sim D(\mathrm{pa}(v), \theta)` and a posterior draw
:math:`\theta^{(s)}`, every unit has a law of its own,
:math:`D(\mathrm{pa}_i(v)^{(s)}, \theta^{(s)})`: the parents have the values that were observed, or
the posterior draw where they were not. From it follow the chance of each level (the propensity of
a treatment [1]_), the density at a value, the place of a value in its law, and new draws.

Nothing is intervened on, so no world is built; expressions of the model are evaluated with
everything kept, in blocks of draws and units.

*When it fails.* A ``pm.Data`` has no equation and so no law; a family without a distribution
function has a density but no place.

References
----------
.. [1] P. R. Rosenbaum and D. B. Rubin, "The central role of the propensity score in observational
   studies for causal effects", Biometrika 70 (1983), 41-55.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.evaluation.build import kept_builder
from bayescausal.evaluation.evaluate import Units, evaluate
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Program, Request
from bayescausal.evaluation.program_cache import remember
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.effects.estimands.conditions import Condition
    from bayescausal.evaluation.builder import Builder
    from bayescausal.inference.record import Fit

__all__ = ["chances", "is_finite", "kept_values", "laws_of", "some_draws"]


def some_draws(fit: Fit, most: int) -> slice:
    """Return at most `most` posterior draws, evenly spaced over the chains.

    Returns: of the draws in a row, chain after chain.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> some_draws(SimpleNamespace(n_draws=1000), 300)
    slice(0, 1000, 4)
    """
    return slice(0, fit.n_draws, max(-(-fit.n_draws // most), 1))


def laws_of(
    units: Units,
    name: str,
    build: Callable[[Any, Any, Builder], Sequence[Any]],
    draws: slice,
    *,
    seed: int = 0,
    columns: Mapping[str, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Evaluate expressions of one variable's own equation, for every unit and draw.

    - `units`: the units, and what is known of them.
    - `name`: a random structural variable.
    - `build`: takes the random variable, its kept value and a builder of one world in which
      everything is kept; returns expressions of the random variable's parents and of that value,
      each with the shape of the variable, or with more axes at the end.
    - `draws`: which posterior draws.
    - `seed`: of the noise, where an expression reads it.
    - `columns`: values in the place of those that the units have.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> from bayescausal.evaluation.evaluate import units_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [0.0, 1.0], "y": [0.1, 2.2]})
    >>> residual = lambda rv, value, _: [value - rv.owner.op.dist_params(rv.owner)[0]]
    >>> laws_of(units_of(known), "y", residual, slice(0, 1))[0].round(3).tolist()
    [[0.1, 0.2]]
    """
    structure = units.structure
    if columns:
        units = replace(units, columns={**units.columns, **columns})
    program = remember(structure, _key(units, name, build), lambda: _program(units, name, build))
    first = structure.unit_dims[0]
    whole = not structure.parts(first, [name])
    rows = range(units.fit.n_draws)[draws]
    found: list[np.ndarray | None] = [None] * len(program.requests)
    noise = FreshNoise(seed)
    for block in evaluate(program, units, draws, noise, replicates=1, whole_units=whole):
        taken = range(units.fit.n_draws)[block.draws]
        start = rows.index(taken[0])
        for i, part in enumerate(block.values):
            flat = part[:, 0]
            dims = program.dims[i]
            shape = tuple(
                units.sizes[d] if d is not None and d in units.sizes else flat.shape[1 + axis]
                for axis, d in enumerate(dims)
            )
            if found[i] is None:
                found[i] = np.empty((len(rows), *shape, *flat.shape[1 + len(dims) :]), flat.dtype)
            where: list[slice] = [slice(start, start + len(taken))]
            where += [block.units if d == first else slice(None) for d in dims]
            found[i][tuple(where)] = flat  # type: ignore[index]
    return [f for f in found if f is not None]


def kept_values(units: Units, name: str, draws: slice) -> np.ndarray:
    """Return the values of a variable, draws first: one row where they do not vary.

    - `units`: the units, and what is known of them.
    - `name`: a structural variable.
    - `draws`: which posterior draws.
    """
    if name in units.structure.deterministics:
        return _deterministic(units, name, draws)
    value = np.asarray(units.value(name, draws))
    return value if units.varies(name) else value[None]


def members_of(units: Units, condition: Condition) -> np.ndarray | None:
    """Return which units meet a condition; None where that is not plain to see, or all do."""
    fit = units.fit
    if not condition or any(units.varies(r) or r not in fit.columns for r in condition.reads):
        return None
    values = {}
    for read in condition.reads:
        value = kept_values(units, read, slice(0, 1))[0]
        labels = fit.labels.get(read)
        values[read] = np.asarray(labels, dtype=object)[value.astype(int)] if labels else value
    try:
        return condition.member(values)
    except (BayesCausalError, ValueError):
        return None


def is_finite(fit: Fit, name: str) -> bool:
    """Whether a variable is Bernoulli or categorical: its levels have chances."""
    if name not in fit.structure.random or name in fit.structure.imputed:
        return False
    op = getattr(fit.structure.variable(name).owner, "op", None)
    return getattr(op, "name", None) in ("bernoulli", "categorical")


def chances(units: Units, name: str, draws: slice) -> np.ndarray:
    """Return the chance of each level of a Bernoulli or categorical variable.

    - `units`: the units, and what is known of them.
    - `name`: a Bernoulli or categorical variable.
    - `draws`: which posterior draws.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> from bayescausal.evaluation.evaluate import units_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Bernoulli("x", 0.25, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [0, 1]})
    >>> chances(units_of(known), "x", slice(0, 1)).tolist()
    [[[0.75, 0.25], [0.75, 0.25]]]
    """
    return laws_of(units, name, _chances, draws)[0]


# ------------------------------------------------------------------------------- private


def _program(
    units: Units, name: str, build: Callable[[Any, Any, Builder], Sequence[Any]]
) -> Program:
    """Compile the expressions."""
    builder = kept_builder(units.structure, units.varies, {})
    made = list(build(units.structure.variable(name), builder.kept(name), builder))
    outputs = builder.substitute(made, builder.only)
    return builder.compile(tuple(Request(builder.only, name) for _ in outputs), list(outputs))


def _key(units: Units, name: str, build: Callable[..., Any]) -> tuple[Any, ...] | None:
    """Return what tells compiled expressions of one structure apart; None for passing functions."""
    if "<locals>" in build.__qualname__ or "<lambda>" in build.__qualname__:
        return None
    structure = units.structure
    known = (*structure.names(), *structure.parameters)
    return ("law", name, build, tuple(n for n in known if units.varies(n)))


def _chances(rv: TensorVariable, value: Variable, builder: Builder) -> list[Any]:
    import pytensor.tensor as pt

    (p,) = rv.owner.op.dist_params(rv.owner)
    wide = pt.zeros_like(value, dtype="float64")
    if rv.owner.op.name == "bernoulli":
        p = p + wide
        return [pt.stack([1.0 - p, p], axis=-1)]
    return [p + wide[..., None]]


def _deterministic(units: Units, name: str, draws: slice) -> np.ndarray:
    """Return a unit-level Deterministic, from its parents' kept values."""
    builder = kept_builder(units.structure, units.varies, {})
    program = builder.compile((Request(builder.only, name),), [builder.value(name, builder.only)])
    parts = [
        b.values[0][:, 0]
        for b in evaluate(program, units, draws, FreshNoise(0), replicates=1, whole_units=True)
    ]
    return np.concatenate(parts) if program.batched[0] else parts[0]
