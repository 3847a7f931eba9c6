r"""Group effects: coefficients that differ between batches, schools, people.

Every level :math:`g` of a grouping variable has its own coefficient :math:`r_g \sim N(0, \tau)`
with a spread :math:`\tau` learnt from all of them, so that small groups borrow from the others
[1]_. Written directly, :math:`r_g` and :math:`\tau` depend on each other strongly where groups are
small, and samplers stick; written as :math:`r_g = \tau z_g` with :math:`z_g \sim N(0, 1)` they do
not. Several effects of one bar are correlated, :math:`r_g = \operatorname{diag}(\tau)\, L\, z_g`
with :math:`L L'` a correlation matrix of the LKJ distribution with :math:`\eta = 2` [2]_. It is
built from its canonical partial correlations, which are independent and
:math:`2\,\mathrm{Beta}(\alpha_j, \alpha_j) - 1` with :math:`\alpha_j = \eta + (n - 2 - j)/2` for
those given the first :math:`j` effects. Of two effects there is one, the correlation itself.

The spread of a group's intercepts is theirs where the columns are zero. Where that is outside of
what the data show of a column (calendar years), no prior for it is sensible, and two effects that
hang together by :math:`1 - 10^{-5}` are beyond that of the correlations. The columns of such a bar
are then replaced by what they add to the others (:mod:`.beyond`), which is said: its intercepts
are those at the mean of the columns.

The group of a unit is data: an index into the effects. An intervention may move a unit to another
group, but not to a group that the model does not have.

References
----------
.. [1] A. Gelman and J. Hill, *Data Analysis Using Regression and Multilevel/Hierarchical Models*,
   Cambridge University Press, 2007, chapters 12-13.
.. [2] D. Lewandowski, D. Kurowicka and H. Joe, "Generating random correlation matrices based on
   vines and extended onion method", *Journal of Multivariate Analysis* 100(9), 2009.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.model.formulas.beyond import beyond, ranked
from bayescausal.model.formulas.priors import Prior, digits, near
from bayescausal.model.formulas.terms import Effect, effects_of, safe
from bayescausal.model.formulas.tokens import pointed
from bayescausal.types import FormulaError, FormulaWarning

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.parse import GroupTerm

__all__ = ["add_group", "add_scale"]


def add_group(equation: Equation, group: GroupTerm) -> list[Any]:
    """Add the effects of one bar to the model at hand.

    `equation`: the formula that they are in.
    """
    dim, index = _index(equation, group)
    has_intercept = any(not t.factors for t in group.terms)
    slopes = [t for t in group.terms if t.factors]
    effects, offsets = effects_of(equation.formula, slopes, has_intercept, equation.scope)
    if offsets:
        raise FormulaError(
            f"A group effect has no offset.{pointed(equation.formula.text, 'offset')}"
        )
    if has_intercept:
        effects = [Effect("1", None, ()), *effects]
    by = ":".join(group.group)
    slopes_of = _slopes(equation, effects, has_intercept, group)
    columns = sum(len(s.columns) for s in slopes_of)
    if group.correlated and columns > 1:
        if equation.contrasts:
            raise FormulaError(
                f"Correlated group effects of a categorical response are not known."
                f"{pointed(equation.formula.text, '|')}",
                remedy="Write two bars: (x || g).",
            )
        return [_correlated(equation, slopes_of, dim, index, by)]
    count = max(len(equation.contrasts), 1)
    totals: list[list[Any]] = [[] for _ in range(count)]
    for slope in slopes_of:
        effect = slope.effect
        r = _independent(equation, slope, dim, safe(f"{effect.label}|{by}"))
        shape = tuple(len(v) for v in effect.dims.values())
        places = list(np.ndindex(*shape)) if shape else [()]
        for k in range(count):
            last = (k,) if equation.contrasts else ()
            for place, column in zip(places, slope.columns, strict=True):
                own = r[(slice(None), *place, *last)] if place or last else r
                totals[k].append(own[index] if _is_one(column) else own[index] * column)
    return [sum(t[1:], t[0]) for t in totals]


def add_scale(equation: Equation, prior: Prior) -> TensorVariable:
    """Add a scale for each label of a column, or one whose logarithm is linear in its numbers."""
    of, name = str(equation.choice.sigma), f"sigma_{equation.name}"
    column, variable = equation.scope.columns[of], equation.scope.variables[of]
    if column.levels is not None:
        levels, place = _levels(equation, of)
        dims = (f"{of}_level",)
        equation._coords({dims[0]: levels})
        return equation.priors.make(name, equation.name, ("sigma",), prior, dims)[place]
    seen = np.asarray(() if column.numeric is None else column.numeric, dtype=float)
    seen = seen[np.isfinite(seen)]
    mean, sd = (float(seen.mean()), float(seen.std()) or 1.0) if seen.size else (0.0, 1.0)
    term, slope = f"sigma:{of}", Prior("Normal", (0, digits(0.5 / sd)))
    b = equation.priors.make(f"b_{name}_{of}", equation.name, (term,), slope)
    middle = equation.priors.make(name, equation.name, ("sigma",), prior)
    return middle * pt.exp(b * (variable - near(mean, sd)))


def _is_one(column: TensorVariable | float) -> bool:
    return isinstance(column, float) and column == 1.0


def _index(equation: Equation, group: GroupTerm) -> tuple[str, Any]:
    """Return the dim of the levels, and the index of each unit's level."""
    labels: list[tuple[Any, ...]] = []
    index: Any = None
    for name in group.group:
        own, position = _levels(equation, name)
        labels.append(own)
        index = position if index is None else index * len(own) + position
    if len(group.group) == 1:
        equation._coords({f"{group.group[0]}_level": labels[0]})
        return f"{group.group[0]}_level", index
    dim = f"{':'.join(group.group)}_level"
    equation._coords({dim: [":".join(map(str, pair)) for pair in product(*labels)]})
    return dim, index


def _levels(equation: Equation, name: str) -> tuple[tuple[Any, ...], Any]:
    """Return the levels of a grouping variable and the position of each unit's."""
    column = equation.scope.columns[name]
    variable = equation.scope.variables[name]
    if column.keys is not None:
        return column.levels or (), _place_of(column.keys, variable)
    if column.levels is not None:
        return column.levels, variable
    text = equation.formula.text
    seen = column.numeric
    if seen is None or not np.all(np.isfinite(seen)) or np.any(seen != np.round(seen)):
        raise FormulaError(
            f"{name!r} groups units, and its levels are not known."
            f"{pointed(text, name, start=text.index('|'))}",
            expected="labels or whole numbers in the data, or the family categorical.",
        )
    levels = np.unique(seen).astype(np.int64)
    if np.array_equal(levels, np.arange(len(levels))):
        return tuple(levels.tolist()), variable
    first, width = int(levels[0]), int(levels[-1] - levels[0]) + 1
    if width > 1_000_000:
        raise FormulaError(
            f"{name!r} groups units by numbers from {first} to {levels[-1]}."
            f"{pointed(text, name, start=text.index('|'))}",
            remedy=f"Make labels of them: data[{name!r}].astype(str).",
        )
    table = np.full(width + 1, len(levels), dtype=np.int64)  # the last: no such level
    table[levels - first] = np.arange(len(levels))
    below = pt.lt(variable, first)
    return tuple(levels.tolist()), pt.constant(table)[pt.switch(below, width, variable - first)]


def _claim(equation: Equation, label: str, kinds: tuple[str, ...]) -> None:
    """Take the names of parameters that have no prior of their own."""
    for kind in kinds:
        what = f"the effects {label[1:]} in the formula of {equation.name!r}"
        equation.priors.claim(f"{kind}_{equation.name}{label}", what)


def _place_of(keys: tuple[Any, ...], variable: TensorVariable) -> TensorVariable:
    """Return the place of each unit's number among the levels; after them if it is none."""
    order = np.argsort(keys)
    ascending = np.asarray(keys)[order]
    at = pt.minimum(pt.searchsorted(pt.constant(ascending), variable), len(keys) - 1)
    hit = pt.eq(pt.constant(ascending)[at], variable)
    return pt.switch(hit, pt.constant(order.astype(np.int64))[at], len(keys))


@dataclass(frozen=True, eq=False)
class _Slope:
    """One effect of a bar: its columns, and the scales of their standard deviations."""

    effect: Effect
    columns: list[Any]
    scale: np.ndarray


def _slopes(
    equation: Equation, effects: list[Effect], has_intercept: bool, group: GroupTerm
) -> list[_Slope]:
    """Return the effects of a bar, about the mean of their columns where zero is far from it.

    The intercepts may be those of another bar of the same groups, ``(1 | g) + (0 + x | g)``.
    """
    sd = 2.5 * equation.scale.sd
    columns = [effect.columns() for effect in effects]
    level = has_intercept or any(
        g.group == group.group and any(not t.factors for t in g.terms)
        for g in equation.formula.groups
    )
    found = beyond(effects, equation.names.rows, constant=level)
    far = level and any(f.far for f in found[int(has_intercept) :])
    label = group.label
    if far:
        columns = _rests(effects, columns, found)
        warnings.warn(
            f"({label}): zero is far from the data of a column, so group effects are written about "
            f"the mean of the columns: the intercepts of {':'.join(group.group)} are those there.",
            FormulaWarning,
            stacklevel=4,
        )
    scales = [sd / f.sd for f in found]
    if has_intercept and not far:  # at zero, as the spread at the mean of the columns implies
        moved = sum(float(np.sum((f.mean / f.sd) ** 2)) for f in found[1:])
        scales[0] = np.full(1, sd * np.sqrt(1 + moved))
    return [_Slope(*parts) for parts in zip(effects, columns, scales, strict=True)]


def _rests(effects: list[Effect], columns: list[list[Any]], found: list[Any]) -> list[list[Any]]:
    """Return what each column adds to those before it, as expressions."""
    rests: dict[int, list[Any]] = {}
    for k in ranked(effects):
        if not effects[k].reads:  # the intercept
            rests[k] = columns[k]
            continue
        rests[k] = []
        for place, column in enumerate(columns[k]):
            rest = column - float(found[k].mean[place])
            for i, h in found[k].on.items():
                for at, held in enumerate(rests[i]):
                    if h[at, place]:
                        rest = rest - float(h[at, place]) * held
            rests[k].append(rest)
    return [rests[k] for k in range(len(effects))]


def _independent(equation: Equation, slope: _Slope, dim: str, label: str) -> TensorVariable:
    """Add effects with a standard deviation for each column."""
    own = slope.effect.dims
    equation._coords(own)
    inner = (*own, *equation.contrast_dim)
    scale = slope.scale
    shape = tuple(len(v) for v in own.values())
    sigma = digits(scale.reshape(shape) if shape else scale.ravel()[0])
    flat = np.unique(np.asarray(sigma))
    if equation.contrasts and shape and len(flat) > 1:
        sigma = np.asarray(sigma)[..., None].tolist()
    sigma = float(flat[0]) if len(flat) == 1 else sigma
    name = equation.name
    sd = equation.priors.make(
        f"sd_{name}_{label}", name, (label,), Prior("HalfNormal", (sigma,)), inner
    )
    _claim(equation, f"_{label}", ("r", "z") if equation.noncentered else ("r",))
    if not equation.noncentered:
        return pm.Normal(f"r_{name}_{label}", 0, sd, dims=(dim, *inner))
    z = pm.Normal(f"z_{name}_{label}", 0, 1, dims=(dim, *inner))
    return pm.Deterministic(f"r_{name}_{label}", z * sd, dims=(dim, *inner))


def _correlated(
    equation: Equation, slopes: list[_Slope], dim: str, index: TensorVariable, by: str
) -> TensorVariable:
    """Add effects of one bar with a correlation matrix."""
    name = equation.name
    columns: list[Any] = []
    labels: list[str] = []
    scales: list[float] = []
    for slope in slopes:
        effect, found = slope.effect, slope.columns
        names = [":".join(map(str, c)) for c in product(*effect.dims.values())]
        columns += found
        labels += [effect.label] if len(found) == 1 else [f"{effect.label}[{n}]" for n in names]
        scales += slope.scale.tolist()
    along = f"{name}|{by}_effect"
    equation._coords({along: labels})
    count = len(columns)
    sd = equation.priors.make(
        f"sd_{name}|{by}", name, (by, f"|{by}"), Prior("HalfNormal", (digits(scales),)), (along,)
    )
    _claim(equation, f"|{by}", ("half", "cor", "z", "r"))
    pairs = [f"{one}~{two}" for i, two in enumerate(labels) for one in labels[:i]]
    equation._coords({f"{name}|{by}_pair": pairs})
    shape: Any = [2 + (count - 2 - j) / 2 for i in range(count) for j in range(i)]
    shape = shape[0] if count == 2 else shape
    half = pm.Beta(f"half_{name}|{by}", shape, shape, dims=f"{name}|{by}_pair")
    partial = pm.Deterministic(f"cor_{name}|{by}", 2 * half - 1, dims=f"{name}|{by}_pair")
    z = pm.Normal(f"z_{name}|{by}", 0, 1, dims=(dim, along))
    turned = [_row(partial, i, z) for i in range(count)]
    r = pm.Deterministic(f"r_{name}|{by}", pt.stack(turned, axis=-1) * sd, dims=(dim, along))
    parts = [
        r[:, k][index] if _is_one(column) else r[:, k][index] * column
        for k, column in enumerate(columns)
    ]
    return sum(parts[1:], parts[0])


def _row(partial: TensorVariable, i: int, z: TensorVariable) -> TensorVariable:
    """Return row i of the Cholesky factor times the standard normals."""
    start = i * (i - 1) // 2
    out: Any = None
    rest: Any = None
    for j in range(i):
        own = partial[start + j]
        entry = own if rest is None else own * rest
        out = entry * z[:, j] if out is None else out + entry * z[:, j]
        left = pt.sqrt(1 - own**2)
        rest = left if rest is None else rest * left
    return z[:, 0] if out is None else out + rest * z[:, i]
