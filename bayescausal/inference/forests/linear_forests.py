r"""Equations whose rows are independent and linear in forests, up to a link.

.. math:: g(E[y_i]) = a_i + \sum_k w_{ik}\, s_k\, f_k(X_{ik}) + \sum_j c_{ij}\, b_j,

with forests :math:`f_k`, numbers :math:`w` (1, or a treatment), spreads :math:`s_k` that are 1 or
parameters of their own with any prior, and coefficients :math:`b` with Normal priors. The outcome
is Normal with one scale, or of a family of :mod:`bayescausal.inference.sampling.families`, in which
a Negative Binomial and a Gamma variable have one shape; scale and shape may have any prior. The
numbers are found by evaluating the predictor: at zero, with each forest at 1 (and each parameter
that may be its spread), with each coefficient at 1. Then it is evaluated at random values of all of
them; where it is not the sum, the equation is left to the sampler that takes any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.distribution import support_point
from pytensor.graph.replace import graph_replace
from pytensor.tensor.random.basic import NormalRV

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.conditioning.plan import is_moved, rest_of
from bayescausal.inference.densities.one_number import log_density_of
from bayescausal.inference.forests.places import with_values
from bayescausal.inference.sampling.generalised import Form, form_of
from bayescausal.model.forests.prior import cuts_of, forest_of
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import PY_MODE, evaluate
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.forests.prior import Shape
    from bayescausal.model.structure.structure import Structure

__all__ = ["NORMAL", "Extra", "LinearForests", "Noise", "Spread", "linear_forests"]

NORMAL = "normal"
#: Coefficients beside forests, at most.
MOST = 300


@dataclass(frozen=True, eq=False)
class Spread:
    """A parameter that is one number: what a forest is multiplied by."""

    name: str
    start: float  # where the prior is not 0
    log_prior: Callable[[float], float]


@dataclass(frozen=True, eq=False)
class Extra(Spread):
    """The scale or the shape of an equation."""

    unit: float  # the standard deviation of Normal noise where the scale is 1


@dataclass(frozen=True, eq=False)
class Noise:
    """The standard deviation of each row, a function of parameters of its own."""

    names: dict[str, tuple[int, ...]]  # the parameters and their shapes
    start: Array  # (k)
    positive: Array  # (k) Whether each cannot be negative
    width: Array  # (k) About how far apart likely values are, of logarithms of positive ones
    log_prior: Callable[[Array], float]
    sd: Callable[[Array], Array]  # of (k): one number for all rows, or (n)

    @classmethod
    def of(cls, extra: Extra, n: int) -> Noise:
        """Return that of a scale that all rows have."""
        return cls(
            {extra.name: ()},
            np.array([extra.start]),
            np.array([True]),
            np.array([n**-0.5]),
            lambda v: extra.log_prior(float(v[0])),
            lambda v: np.asarray(v[0] * extra.unit),
        )


@dataclass(frozen=True, eq=False)
class LinearForests:
    """An equation with a predictor that is linear in forests and coefficients."""

    outcome: str
    family: str  # NORMAL, or of a generalised linear equation
    forests: tuple[str, ...]
    shapes: tuple[Shape, ...]
    x: tuple[Array, ...]  # (n, p) The covariates of each forest
    weights: tuple[Array, ...]  # (n) What multiplies each
    spreads: tuple[Spread | None, ...]  # of each; None where it is 1
    # y, trials, offset: (n); the last is the part of the predictor that is known
    y: Array
    trials: Array
    offset: Array
    design: Array  # (n, q) Of the coefficients
    names: dict[str, tuple[int, ...]]  # coefficients and their shapes, in the order of the columns
    # Of the joint Normal prior of the coefficients: (q) and (q, q).
    middle: Array
    precision: Array
    extra: Extra | None
    power: int  # of the shape in the scale of a Gamma variable
    noise: Noise | None = None  # in the place of `extra`, where the scale differs between rows

    def seen(self, rows: Array) -> LinearForests:
        """Return the equation of some rows: those whose outcome is not empty."""
        parts: dict[str, Any] = {
            n: getattr(self, n)[rows] for n in ("y", "trials", "offset", "design")
        }
        x = tuple(x[rows] for x in self.x)
        if (noise := self.noise) is not None:
            parts["noise"] = replace(noise, sd=lambda v: noise.sd(v)[rows])
        return replace(self, x=x, weights=tuple(w[rows] for w in self.weights), **parts)


def linear_forests(structure: Structure, conformed: Conformed, block: Block) -> LinearForests | str:
    """Return the equation of a block with forests, or why it has another form."""
    seen = block.observed
    if len(seen) != 1 or block.opaque or not set(block.unknowns) <= set(structure.parameters):
        return block.opaque or "several equations hold its unknowns"
    if moved := [n for n in block.unknowns if is_moved(structure, n)]:
        return f"{', '.join(moved)} has a transform of its own"
    outcome = seen[0].name
    model = condition(structure, conformed).model
    gone = [rv.name for rv in model.free_RVs if rv.name not in block.unknowns]
    held = [rv.name for rv in model.observed_RVs if rv.name != outcome]
    model = rest_of(model, gone, held)
    try:
        model, places = with_values(structure, model)
    except ModelError as error:
        return str(error)
    return _read(structure, model, places, outcome)


def _read(
    structure: Structure, model: pm.Model, places: dict[str, tuple[str, Array]], outcome: str
) -> LinearForests | str:
    rv = model[outcome]
    normal = isinstance(rv.owner.op, NormalRV)
    form = Form(NORMAL, rv.owner.op.dist_params(rv.owner)[0]) if normal else form_of(rv)
    if form is None:
        return f"{outcome!r} is no generalised linear equation"
    if model.potentials:
        return "there are Potentials"
    free = set(model.free_RVs)
    reads = named_parents([form.predictor], free)
    extra = _extra(rv, form, free, reads)
    if isinstance(extra, str):
        return extra
    others = [v for v in model.free_RVs if v in reads and v.name not in places]
    own = {v for v in free if v not in reads}
    held = set() if extra is None else {*getattr(extra, "names", [getattr(extra, "name", "")])}
    above = {a for v in others for a in named_parents(list(v.owner.inputs), free)}
    of_own = {a for v in own for a in named_parents(list(v.owner.inputs), free)}
    if {v.name for v in own} != held or of_own or not above <= {*others}:
        return "its coefficients have spreads that are unknown too"
    if any(is_discrete(v) for v in others):
        return "a parameter of its predictor is discrete"
    y = evaluate([model.rvs_to_values[rv]])[0].astype(float)
    trials = 1.0
    if form.trials is not None:
        if named_parents([form.trials], free):
            return f"the trials of {outcome!r} are unknown"
        trials = evaluate([form.trials])[0]
    linear = _linear(model, form.predictor, places, others, y.shape)
    if isinstance(linear, str):
        return linear
    start, weights, spreads, design, names = linear
    others = [v for v in others if v.name in names]
    prior = _prior_of_all(others, names)
    if isinstance(prior, str):
        return prior
    shapes = [_with_cuts(forest_of(structure.variable(f)), x) for f, x in places.values()]
    if any(s and shape.constant for s, shape in zip(spreads, shapes, strict=True)):
        return "a forest that a parameter multiplies has a mean that is not 0"
    return LinearForests(
        outcome=outcome,
        family=form.family,
        forests=tuple(f for f, _ in places.values()),
        shapes=tuple(shapes),
        x=tuple(x for _, x in places.values()),
        weights=tuple(weights),
        spreads=tuple(None if v is None else Spread(*_prior_of(model[v])) for v in spreads),
        y=y,
        trials=np.broadcast_to(trials, y.shape).astype(float),
        offset=start,
        design=design,
        names=names,
        middle=prior[0],
        precision=prior[1],
        extra=extra if isinstance(extra, Extra) else None,
        noise=extra if isinstance(extra, Noise) else None,
        power=form.power,
    )


def _prior_of_all(
    others: list[Any], names: dict[str, tuple[int, ...]]
) -> tuple[Array, Array] | str:
    """Return the mean and the precision of coefficients whose prior is jointly Normal.

    The mean of one may be affine in others, as that of a slope at the middle of what it is
    multiplied by: :math:`b = m + A b + s e` has the precision :math:`(I - A)' s^{-2} (I - A)`.
    """
    if not all(isinstance(v.owner.op, NormalRV) for v in others):
        return "a coefficient is not Normal"
    if not others:
        return np.zeros(0), np.zeros((0, 0))
    inputs = [v.type() for v in others]
    given = [v.owner.op.dist_params(v.owner) for v in others]
    if any(named_parents([sd], set(others)) for _, sd in given):
        return "its coefficients have spreads that are unknown too"
    means = graph_replace(
        [mean + pt.zeros(names[v.name]) for v, (mean, _) in zip(others, given, strict=True)],
        dict(zip(others, inputs, strict=True)),
        strict=False,
    )
    call = pytensor.function(inputs, means, mode=PY_MODE, on_unused_input="ignore")
    ends = np.cumsum([np.prod(names[v.name], dtype=int) for v in others])

    def at(b: Array) -> Array:
        parts = [
            part.reshape(names[v.name])
            for part, v in zip(np.split(b, ends[:-1]), others, strict=True)
        ]
        return np.concatenate([np.ravel(mean) for mean in call(*parts)]).astype(float)

    q = int(ends[-1])
    start = at(np.zeros(q))
    others_in = np.stack([at(one) - start for one in np.eye(q)], axis=1)
    tried = np.random.default_rng(0).normal(size=q)
    if not np.allclose(at(tried), start + others_in @ tried, rtol=1e-9, atol=1e-12):
        return "the mean of a coefficient is not affine in the others"
    apart = np.eye(q) - others_in
    spread = np.concatenate([
        np.broadcast_to(evaluate([sd])[0], names[v.name]).ravel()
        for v, (_, sd) in zip(others, given, strict=True)
    ]).astype(float)  # fmt: skip
    return np.linalg.solve(apart, start), (apart.T * spread**-2.0) @ apart


def _with_cuts(shape: Shape, x: Array) -> Shape:
    return shape if shape.cuts else replace(shape, cuts=cuts_of(x))


def _extra(rv: Any, form: Form, free: set[Any], reads: set[Any]) -> Extra | Noise | str | None:
    """Return the scale or shape of an equation, None if it has none, or why it is another one."""
    unit, own = 1.0, form.shape
    if form.family == NORMAL:
        sd = rv.owner.op.dist_params(rv.owner)[1]
        of_sd = sorted(named_parents([sd], free), key=lambda v: str(v.name))
        if not of_sd or reads & {*of_sd} or any(map(is_discrete, of_sd)):
            return "its scale has no parameter of its own"
        own = of_sd[0]
        if len(of_sd) > 1 or own.type.ndim:
            return _noise(rv, sd, of_sd)
        at = [evaluate([sd], {own: s})[0] for s in (1.0, 2.0, 3.5)]
        unit = float(at[0].flat[0])
        if not all(np.allclose(v, s * unit) for v, s in zip(at, (1.0, 2.0, 3.5), strict=True)):
            return _noise(rv, sd, of_sd)
    if own is None:
        return None
    if own not in free or own in reads or is_discrete(own):
        return "its scale or shape is no parameter of its own"
    return Extra(*_prior_of(own), unit)


def _noise(rv: TensorVariable, sd: TensorVariable, own: list[TensorVariable]) -> Noise | str:
    """Return the standard deviation of rows as a function of several parameters, or of one."""
    [shape, *shapes] = evaluate([rv.shape, *(v.shape for v in own)])
    names = {str(v.name): tuple(s.tolist()) for v, s in zip(own, shapes, strict=True)}
    ends = np.cumsum([np.prod(s, dtype=int) for s in names.values()])
    inputs = [v.type() for v in own]
    log_prior = sum((pm.logp(v, at).sum() for v, at in zip(own, inputs, strict=True)), start=0)
    [found] = graph_replace([sd], dict(zip(own, inputs, strict=True)), strict=False)
    prior, scale = (
        pytensor.function(inputs, out, mode=PY_MODE, on_unused_input="ignore")
        for out in (log_prior, pt.broadcast_to(found, shape))
    )

    def parts(v: Array) -> list[Array]:
        held = np.split(v, ends[:-1])
        return [part.reshape(s) for part, s in zip(held, names.values(), strict=True)]

    start = np.concatenate([
        np.broadcast_to(evaluate([support_point(v)])[0], s).ravel()
        for v, s in zip(own, names.values(), strict=True)
    ]).astype(float)  # fmt: skip
    positive, width = np.ones(len(start), bool), np.full(len(start), shape[0] ** -0.5)
    sizes = np.repeat(range(len(own)), np.diff(ends, prepend=0))
    for k, which in enumerate(sizes):
        v = own[which]
        tried = np.where(np.arange(len(start)) == k, -abs(start) - 1e-3, start)
        if np.isfinite(prior(*parts(tried))):
            if not isinstance(v.owner.op, NormalRV):
                return "a parameter of its scale that may be negative is not Normal"
            positive[k] = False
            width[k] *= np.max(evaluate([v.owner.op.dist_params(v.owner)[1]])[0])
    return Noise(
        names,
        start,
        positive,
        width,
        lambda v: float(prior(*parts(v))),
        lambda v: np.asarray(scale(*parts(v)), dtype=float),
    )


def _prior_of(own: TensorVariable) -> tuple[str, float, Callable[[float], float]]:
    """Return the name of a parameter of one number, a likely value, and its log-density."""
    [start] = evaluate([support_point(own)])
    return str(own.name), float(start), log_density_of(own)


def _linear(
    model: pm.Model,
    predictor: Any,
    places: dict[str, tuple[str, Array]],
    others: list[Any],
    shape: tuple[int, ...],
) -> tuple[Array, list[Array], list[str | None], Array, dict[str, tuple[int, ...]]] | str:
    """Return the predictor at zero, weights and spreads of forests, and columns of coefficients."""
    unknown = [model[n] for n in places] + others
    inputs = [v.type(f"in_{v.name}") for v in unknown]
    [out] = graph_replace([predictor], dict(zip(unknown, inputs, strict=True)), strict=False)
    call = pytensor.function(inputs, out, mode=PY_MODE, on_unused_input="ignore")
    count = len(places)
    sizes = [shape] * count + [tuple(evaluate([v.shape])[0].tolist()) for v in others]
    if len(shape) != 1 or sum(int(np.prod(s)) for s in sizes[count:]) > MOST:
        return f"it has more than {MOST} coefficients, or several dims"

    def at(values: dict[int, Array]) -> Array:
        """Return the predictor at some values; the others are 0."""
        given = [values.get(k, np.zeros(s)) for k, s in enumerate(sizes)]
        return np.broadcast_to(np.asarray(call(*given), dtype=float), shape).copy()

    start = at({})
    weights, spreads = _weights(at, start, sizes, count)
    gone = [k for k in spreads if k is not None]
    if len(set(gone)) < len(gone):
        return "two forests have one spread"
    kept = [k for k in range(count, len(sizes)) if k not in gone]
    columns = []
    for k in kept:
        for cell in np.ndindex(*sizes[k]):
            one = np.zeros(sizes[k])
            one[cell] = 1.0
            columns.append(at({k: one}) - start)
    design = np.stack(columns, axis=1) if columns else np.zeros((shape[0], 0))
    rng = np.random.default_rng(0)
    for _ in range(2):
        tried: list[Array] = [np.asarray(rng.normal(size=s)) for s in sizes]
        expected = start + design @ np.concatenate([np.zeros(0), *(tried[k].ravel() for k in kept)])
        for weight, spread, values in zip(weights, spreads, tried, strict=False):
            expected = expected + weight * values * (1.0 if spread is None else tried[spread])
        found = at(dict(enumerate(tried)))
        if not np.allclose(found, expected, rtol=1e-9, atol=1e-9 * (1 + np.abs(start).max())):
            return "its predictor is not linear in forests and coefficients"
    names = {str(others[k - count].name): sizes[k] for k in kept}
    named = [None if k is None else str(others[k - count].name) for k in spreads]
    return start, weights, named, design, names


def _weights(
    at: Callable[[dict[int, Array]], Array], start: Array, sizes: list[tuple[int, ...]], count: int
) -> tuple[list[Array], list[int | None]]:
    """Return what multiplies each forest: numbers, and the place of a parameter, if one does."""
    weights: list[Array] = []
    spreads: list[int | None] = []
    for k in range(count):
        one = {k: np.ones(sizes[k])}
        found: list[tuple[Array, int | None]] = [(at(one) - start, None)]
        found += [
            (at({**one, v: np.ones(())}) - at({v: np.ones(())}), v)
            for v in range(count, len(sizes))
            if not sizes[v]
        ]
        weight, spread = next((f for f in found if f[0].any()), found[0])
        weights.append(weight)
        spreads.append(spread)
    return weights, spreads
