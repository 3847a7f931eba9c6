r"""The conditional average treatment effect of every unit, per posterior draw.

.. math:: \tau(x_i) = E[Y \mid do(X=1), Z = z_i] - E[Y \mid do(X=0), Z = z_i],

with :math:`Z` all that the treatment does not change: what is observed of the unit, or drawn of it.
It is an expectation over the unit's noise (of mediators too), so no assumption on how the two
worlds of one unit go together is in it; the effect on the unit itself, :class:`bayescausal.ITE`,
needs one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.effects.averaging.closed_form import closed_form
from bayescausal.effects.averaging.frame import Frame, Weights
from bayescausal.effects.estimands.functionals import Mean, Probability
from bayescausal.effects.estimate import prepared
from bayescausal.effects.evaluation.question import resolve
from bayescausal.evaluation.evaluate import Block, evaluate
from bayescausal.evaluation.label_levels import is_category
from bayescausal.inference.given import as_fit
from bayescausal.types import DataError, EmptySubgroupError, EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayescausal.annotations import Array
    from bayescausal.effects.averaging.closed_form import ClosedForm
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.inference.record import Fit

__all__ = ["UnitEffects", "unit_effects"]

#: Draws of a unit's noise over which an expectation is taken that is not known in closed form: at
#: first, and at most.
REPLICATES, MOST = 32, 1024
#: Share of the variance of a unit's effect that may be Monte Carlo error.
SHARE = 0.01
#: Numbers (draws times units) that are kept; more draws are thinned. In double precision up to:
KEPT, DOUBLE = 100_000_000, 50_000_000
#: Units whose effects are computed at a time, where they are products of matrices.
UNITS = 2_000


@dataclass(frozen=True, eq=False)
class UnitEffects:
    """The conditional effect of each unit."""

    question: Question
    seed: int
    tau: Array  # (draw, unit) Of the units that belong to the question's population
    rows: Array  # (unit, int) Their places in the data
    covariates: dict[str, Array]  # (unit) What the treatment does not change; labels of categories
    notes: tuple[str, ...]
    # Monte Carlo variance of an effect, averaged over units and over draws; 0 where expectations
    # are known in closed form.
    noise: tuple[Array, Array]

    @property
    def labels(self) -> pd.Index:
        """The labels of the units; their places, where several dims count them."""
        dims, coords = self.question.structure.unit_dims, self.question.units.coords
        names = np.asarray(coords[dims[0]])[self.rows] if len(dims) == 1 else self.rows
        return pd.Index(names, name="unit")


def unit_effects(
    fit: Fit, estimand: Estimand, covariates: Sequence[str] | None, seed: int | None, verb: str
) -> UnitEffects:
    """Return the conditional effects of the units of a fit.

    - `estimand`: a difference of two means or probabilities, such as an ATE.
    - `covariates`: default: the observed causes of the outcome that the treatment does not change.
    - `seed`: of the noise; the fit's by default.
    - `verb`: who asks, for messages.
    Raises EstimandError, DataError, EmptySubgroupError.
    """
    fit = prepared(as_fit(fit, verb), estimand)
    seed = fit.seed if seed is None else int(seed)
    _refuse(estimand, verb)
    question = resolve(fit, estimand, seed=seed)
    if question.population not in ("sample", "superpopulation") or question.units.fresh:
        raise DataError(
            f"{verb} is about the units of the data, and the population is {question.words}.",
            remedy="Fit the model to data, and ask with the default population.",
        )
    if question.abducted:
        raise EstimandError(
            f"{estimand.label()} is about a subgroup that the treatment changes.",
            remedy="Form the subgroup by what is known before treatment.",
        )
    named = _covariates(question, covariates, verb)
    draws = _thinned(question)
    found = _evaluated(question, draws, seed)
    rows = np.flatnonzero(found.member)
    if not len(rows):
        raise EmptySubgroupError(
            f"No unit of {found.member.size:,} has {estimand.condition.describe()}.",
            expected="at least one unit.",
            remedy=estimand.condition.labels_there_are(fit.labels) or "Widen the condition.",
        )
    error = float(found.over_draws[rows].mean())
    known = error and len(found.tau) > 1
    spread = float(found.tau.var(axis=0, dtype=float)[rows].mean()) if known else 0.0
    share = error / spread if spread > 0 else 0.0
    replicates = REPLICATES
    if share > SHARE:
        replicates = min(int(np.ceil(REPLICATES * share / SHARE)), MOST)
        found = _evaluated(question, draws, seed, replicates=replicates)
    values = {name: _column(question, name)[rows] for name in named}
    tau = found.tau if len(rows) == len(found.member) else found.tau[:, rows]
    notes = question.notes
    if question.population == "superpopulation":
        notes = (*notes, "About the very units of the data: which units were drawn is no part of "
                 "these intervals. bc.estimate knows it for the average.")  # fmt: skip
    if draws.step > 1:
        notes = (*notes, f"Of {fit.n_draws:,} draws {len(tau):,}, evenly spaced, are used.")
    if found.over_draws[rows].any():
        error = float(np.sqrt(found.over_draws[rows].mean()))
        notes = (
            *notes,
            f"An effect is an average over {replicates:,} draws of the unit's noise; the Monte "
            f"Carlo error of one draw of one unit's effect is {error:.2g}, and is taken out of the "
            "standard deviations.",
        )
    noise = found.over_units, found.over_draws[rows]
    return UnitEffects(question, seed, tau, rows, values, notes, noise)


def _thinned(question: Question) -> slice:
    """Return the draws that are used: all, or evenly spaced ones of many units."""
    total = question.fit.n_draws
    kept = max(min(total, KEPT // max(question.units.count, 1)), min(total, 100))
    return slice(0, total, -(-total // kept))


def curve_effects(found: UnitEffects, name: str, grid: Array, most: int) -> Array:
    """Return the average effect with one covariate set for all units, (draw, grid).

    - `grid`: values of the covariate; codes of a category.
    - `most`: units that are averaged over, evenly spaced ones where there are more.
    """
    units = found.question.units
    chosen = found.rows[np.linspace(0, len(found.rows) - 1, min(most, len(found.rows))).astype(int)]
    first = units.structure.unit_dims[0]
    base = chosen if units.rows is None else units.rows[chosen]
    part = replace(
        units,
        sizes={**units.sizes, first: len(chosen)},
        coords={**units.coords, first: np.arange(len(chosen))},
        rows=base,
        columns={n: _cut(units.structure.dims.get(n, ()), v, first, chosen)
                 for n, v in units.columns.items()},
        latents={n: _cut(("", *units.structure.dims.get(n, ())), v, first, chosen)
                 for n, v in units.latents.items()},
    )  # fmt: skip
    kind = np.asarray(units.value(name, slice(0, 1))).dtype
    out = []
    for value in grid:
        column = np.full(len(chosen), value, dtype=kind)
        own = replace(part, columns={**part.columns, name: column})
        question = replace(found.question, units=own)
        every = _thinned(found.question)
        out.append(_evaluated(question, every, found.seed, whole=False).tau.mean(axis=1))
    return np.stack(out, axis=1)


def _cut(dims: Sequence[str | None], value: Array, first: str, chosen: Array) -> Array:
    return np.take(value, chosen, axis=list(dims).index(first)) if first in dims else value


def _refuse(estimand: Estimand, verb: str) -> None:
    """Refuse what is no difference of two expectations."""
    functional = estimand.functional
    scale = getattr(estimand, "scale", None)
    wrong = None
    if not isinstance(functional, Mean | Probability):
        wrong = f"a {functional.describe('Y') if hasattr(functional, 'describe') else functional}"
    elif scale is None or scale.name != "difference":
        wrong = f"a {scale.name}" if scale is not None else "no contrast of two worlds"
    elif estimand.joint or estimand.derivative or estimand.weighting is not None:
        wrong = "no difference of two expectations"
    elif estimand.by:
        wrong = "asked by groups"
    if wrong is not None:
        raise EstimandError(
            f"{verb} takes a question whose answer differs between units; {estimand.label()} is "
            f"{wrong}.",
            expected="a difference of means or probabilities, such as bc.ATE(x, y).",
        )


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """Effects, who belongs, and the Monte Carlo variance by draw (of these) and by unit."""

    tau: Array
    member: Array
    over_units: Array
    over_draws: Array


def _evaluated(
    question: Question,
    draws: slice,
    seed: int,
    *,
    whole: bool = True,
    replicates: int = REPLICATES,
) -> _Evaluated:
    """Return the effects, (draw, unit), and which units belong (`whole`; else all do)."""
    program, where = question.program()
    structure = question.structure
    frame = [d for d in structure.dims[question.outcome] if d in structure.unit_dims]
    if len(frame) != 1 or frame[0] != structure.unit_dims[0] or len(program.dims[0]) != 1:
        raise EstimandError(
            f"{question.outcome!r} has the dims {', '.join(structure.dims[question.outcome])}.",
            expected="an outcome with one value for each unit.",
        )
    count = question.units.sizes[frame[0]]
    rows = range(question.fit.n_draws)[draws]
    tau = np.empty((len(rows), count), np.float32 if len(rows) * count > DOUBLE else np.float64)
    member = np.ones(count, dtype=bool)
    over_units, over_draws = np.zeros(len(rows)), np.zeros(count)
    question = replace(question, population="sample")
    weights = Weights(question, seed)
    sums = closed_form(question, program, where, (), seed)
    if sums is not None:
        for window, effect, held in _products(sums, draws, len(rows)):
            tau[:, window] = effect
            laid = Frame(question, program, where, Block(draws, 0, window, held), weights)
            member[window] &= _belongs(question, laid, member[window].shape, whole)
        return _Evaluated(tau, member, over_units, over_draws)
    source = question.noise(seed)
    for block in evaluate(program, question.units, draws, source, replicates=replicates):
        laid = Frame(question, program, where, block, weights)
        effect = laid.outcome(0) - laid.outcome(1)
        at = slice(rows.index(block.draws.start), None)
        at = slice(at.start, at.start + len(range(question.fit.n_draws)[block.draws]))
        tau[at, block.units] = effect.mean(axis=1)
        inside = _belongs(question, laid, member[block.units].shape, whole)
        if effect.shape[1] > 1:
            error = effect.var(axis=1, ddof=1) / effect.shape[1]
            error = np.broadcast_to(error, tau[at, block.units].shape)
            over_units[at] += error[:, inside].sum(axis=1)
            over_draws[block.units] += error.sum(axis=0)
        member[block.units] &= inside
    return _Evaluated(tau, member, over_units / max(member.sum(), 1), over_draws / len(rows))


def _belongs(question: Question, laid: Frame, shape: tuple[int, ...], whole: bool) -> Array:
    """Return which units of a block belong to the subgroups of both arms (`whole`; else all)."""
    member = np.ones(shape, dtype=bool)
    for arm in question.arms[:2] if whole else ():
        inside = laid.weight(arm.condition)
        if np.ptp(inside, axis=(0, 1)).any():
            raise EstimandError(
                "Which units belong to the subgroup differs between draws.",
                remedy="Form the subgroup by an observed variable.",
            )
        member &= np.broadcast_to(inside[0, 0] > 0, shape)
    return member


def _products(sums: ClosedForm, draws: slice, n: int) -> Iterator[tuple[slice, Array, list[Any]]]:
    r"""Yield a window of units, their effects, and what is read of them.

    Where both expectations are sums of products (:mod:`bayescausal.evaluation.expand`), so is
    their difference, :math:`\tau^{(s)}(x_i) = \sum_t c_t(\theta^{(s)})\, f_t(x_i)`: a matrix of
    coefficients times one of features.
    """
    found = sums.coefficients(draws, n)
    count = sums.expansion.n_features
    weights = np.zeros((n, count + 1))  # the last of what is the same for all units
    grouped = []  # terms whose coefficient is that of the unit's group
    for sign, terms in zip((1, -1), sums.expansion.terms[:2], strict=True):
        for place, feature, index in terms:
            if index:
                grouped.append((feature, index, sign * found[place].reshape(n, -1).T))
            else:
                weights[:, feature] += sign * (1.0 if place < 0 else found[place])
    used = np.flatnonzero(weights.any(axis=0))
    length = sums.question.units.count
    for window, values in sums.features():
        held: list[Any] = [None] * len(sums.program.requests)
        for i, value in zip(sums.where.values(), values[count:], strict=True):
            held[i] = value[None, None]
        span = range(length)[window]
        rows = np.ones((len(used), len(span)))
        for row, k in zip(rows, used, strict=True):
            row[:] = values[k].reshape(-1) if k < count else 1.0
        groups = sums.spread(values[:count], (len(span),)) if grouped else {}
        for lo in range(0, len(span), UNITS):
            effect = weights[:, used] @ rows[:, lo : lo + UNITS]
            for feature, index, each in grouped:
                effect += (groups[feature, index][lo : lo + UNITS] @ each).T
            part = slice(span.start + lo, min(span.start + lo + UNITS, span.stop))
            own = [None if v is None else v[:, :, lo : lo + UNITS] if v.shape[2] > 1 else v
                   for v in held]  # fmt: skip
            yield part, effect, own


def _covariates(question: Question, named: Sequence[str] | None, verb: str) -> list[str]:
    """Return the covariates by name; refuse what the treatment changes, and what is not known."""
    structure = question.structure
    treatments = set(question.estimand.treatments)
    changed = set(structure.descendants(treatments)) | treatments
    first = structure.unit_dims[0]
    above = structure.ancestors([question.outcome])
    known = [
        n
        for n in structure.graph.nodes
        if n in above
        and n not in changed
        and tuple(structure.dims.get(n, ())) == (first,)
        and not question.units.varies(n)
        and n not in structure.deterministics
    ]
    if named is None:
        return known
    for name in named:
        structure.require(name)
        if name in changed:
            raise EstimandError(
                f"{name!r} is the treatment, or what it changes.",
                expected="covariates that the treatment does not change.",
                names=closest(name, known),
            )
        if question.units.varies(name) or tuple(structure.dims.get(name, ())) != (first,):
            raise EstimandError(
                f"{name!r} is not observed for each unit.",
                expected=f"for {verb}, observed covariates with one value for each unit.",
                names=closest(name, known),
            )
    return list(dict.fromkeys(named))


def _column(question: Question, name: str) -> Array:
    """Return a covariate of all units; of a category its labels as objects, numbers too."""
    column = np.asarray(question.units.value(name, slice(0, 1))).reshape(-1)
    labels = question.fit.labels.get(name)
    if labels:
        return np.array(list(labels), dtype=object)[column.astype(int)]
    return column.astype(object) if is_category(question.fit, name) else column
