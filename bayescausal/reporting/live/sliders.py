r"""Sliders: a question at other levels of the treatment, and in subgroups, answered beforehand.

An average effect of :math:`x_1` against :math:`x_0` is one point of a surface: the expected outcome
:math:`E[y \mid do(x), g]` for every level x and subgroup g, and its contrasts with
:math:`x = x_0`. So is every other question that sets one variable: a direct effect, an effect on
the treated, a quantile. A report holds that surface at a few levels and subgroups, each answered by
:func:`bayescausal.estimate` on all draws, with the noise of the question itself.

Not all of it can be had for every fit: the work is draws times units times worlds, and a file must
stay small. Both are bounded, and what was left out is said.

*Subgroups* are those of columns that the treatment does not act on: each value of a column with few
values, thirds of one with many. They are averages over the units at hand that belong to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from bayescausal.draws.digits import level_text, significant
from bayescausal.effects.estimands.averages import Expected
from bayescausal.effects.estimands.curves import DoseResponse
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.estimands.parsing import as_world, same_world
from bayescausal.effects.estimate import estimate
from bayescausal.model.graph_queries.queries import with_latents
from bayescausal.reporting.live.stops import Stops, levels_of, stops_of
from bayescausal.reporting.live.subgroups import columns_of, subgroups_of
from bayescausal.types import BayesCausalError, EstimandError, closest, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import xarray as xr

    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

    type Level = float | str

__all__ = ["Moved", "check_choices", "moved"]

#: Populations whose units are those of the data, so that subgroups of them can be told.
SPLIT = ("sample", "superpopulation")
#: Worlds of a question that does not compare two plain ones, at most in all that are common.
NESTED = 3
#: What a quantile costs beside a mean.
DEAR = 20
#: Pairs of draw and unit in all worlds together: a few seconds of work.
WORK = 30_000_000
#: Cells of an answer with dims that are offered.
MOST_CELLS = 60


@dataclass
class Moved:
    """An answer at several levels of the treatment and in several subgroups.

    ``levels``, ``groups``: what the stops are called.
    ``draws``: of the effect, by level and group; None where there is none.
    ``expected``: of the outcome in the world of that level alone, by level and group.
    ``asked``: the level and the group of the question itself.
    ``treatment``: what the slider sets; empty without one.
    ``labels``: what the question is called at each level; empty where it is the same.
    ``notes``: what was left out, and why.
    """

    levels: list[str]
    groups: list[str]
    draws: dict[tuple[int, int], xr.DataArray | None]
    expected: dict[tuple[int, int], xr.DataArray] = field(default_factory=dict)
    asked: tuple[int, int] = (0, 0)
    treatment: str = ""
    notes: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Asked:
    """A question, the levels at which it is asked, and whether it compares two plain worlds."""

    question: Any
    stops: Stops | None
    levels: list[Level]
    plain: bool
    seed: int

    @property
    def at(self) -> int:
        """The place of the question's own level."""
        return 0 if self.stops is None or not self.levels else self.levels.index(self.stops.own)


def check_choices(
    fit: Fit,
    estimands: Sequence[Any],
    levels: Sequence[Level] | None,
    subgroups: Sequence[str] | None,
) -> None:
    """Refuse levels that are none, and subgroups of what is no column or follows the treatment."""
    for level in levels or ():
        if not isinstance(level, str) and not np.isfinite(level):
            raise EstimandError(f"levels={levels!r}.", expected="finite numbers, or labels.")
        names = dict.fromkeys(name for e in estimands for name in e.treatments)
        known = [str(v) for name in names for v in fit.labels.get(name, ())]
        if isinstance(level, str) and level not in known:
            raise EstimandError(
                f"{level!r} is no level of {', '.join(names)}.",
                expected=f"among {', '.join(known)}." if known else "numbers.",
                names=closest(level, known)[:1],
            )
    for name in subgroups or ():
        if name not in fit.columns:
            raise unknown_variable(name, list(fit.columns), what="a column of the data")
        graph = with_latents(fit, None)
        for treatment in (t for e in estimands for t in e.treatments if t in graph):
            if name == treatment or name in nx.descendants(graph, treatment):
                raise EstimandError(
                    f"subgroups: {treatment} acts on {name}, so units alike in it under two "
                    "treatments are not the same units.",
                    expected="columns that the treatment does not act on.",
                    remedy=f"Ask for it by itself: bc.ATE(..., by={name!r}) is answered as a "
                    "counterfactual.",
                )


def moved(
    fit: Fit,
    effect: Effect,
    levels: Sequence[Level] | None,
    subgroups: Sequence[str] | None,
    seed: int,
) -> Moved | None:
    """Return an answer at other levels and in subgroups; None where it cannot be moved.

    ``levels``, ``subgroups``: what a reader may choose. Default: as many as the work allows.
    """
    own = Moved([""], [_everyone(effect, None)], {(0, 0): effect.draws})
    if effect.dims:
        cells = _cells(effect)
        if cells is None:
            return None
        own = cells
    asked: Any = effect.estimand
    stops, wanted, columns = None, [], []
    if asked is not None and fit.data is not None and {*effect.dims} == {*asked.by}:
        stops = stops_of(fit, asked)
        wanted = [] if stops is None else levels_of(fit, stops, levels)
        if asked.population.name in SPLIT and not asked.by:
            columns = columns_of(fit, effect) if subgroups is None else list(subgroups)
    if stops is None and not columns:
        if levels is not None or subgroups is not None:
            own.notes.append("levels= and subgroups= do not apply to this question.")
        return own
    plain = _is_plain(fit, asked, stops)
    if levels is None and subgroups is None:
        mean = isinstance(asked.functional, Mean)
        wanted, columns, own.notes = _within(fit, wanted, columns, stops, plain, mean)
        if not wanted and own.notes:
            return own
    if stops is not None and not plain:
        wanted = [level for level in wanted if level != stops.other]
    return _surface(fit, effect, _Asked(asked, stops, wanted, plain, seed), columns, own)


# --------------------------------------------------------------------------- private


def _everyone(effect: Effect, moving: Stops | None) -> str:
    """Return what the units of a question are called."""
    who = _who(effect.estimand, moving)
    return f"units{who}" if who else effect.population or "all"


def _who(asked: Any, moving: Stops | None) -> str:
    """Return what the units of a question have in common: ``with t=1``."""
    if moving is not None and moving.own_units:
        given = f" and {asked.given.describe()}" if asked.given else ""
        return f" that had this level of {moving.name} themselves{given}"
    condition = getattr(asked, "condition", None)
    return f" with {condition.describe()}" if condition else ""


def _cells(effect: Effect) -> Moved | None:
    """Return the cells of an answer that has several: its curve as levels, the rest as groups."""
    sizes = [effect.draws.sizes[d] for d in effect.dims]
    if int(np.prod(sizes)) > MOST_CELLS:
        return None
    curve = getattr(effect.estimand, "curve", None)
    along = curve[0] if curve is not None and curve[0] in effect.dims else None
    rest = [d for d in effect.dims if d != along]
    levels: list[Any] = [None] if along is None else effect.draws[along].values.tolist()
    groups = list(product(*(range(effect.draws.sizes[d]) for d in rest)))
    draws: dict[tuple[int, int], xr.DataArray | None] = {}
    for i, j in product(range(len(levels)), range(len(groups))):
        at: dict[Hashable, int] = dict(zip(rest, groups[j], strict=True))
        draws[i, j] = effect.draws.isel(at if along is None else {**at, along: i}, drop=True)
    names = [", ".join(f"{d} {_text(effect.draws[d].values[k])}" for d, k in
             zip(rest, group, strict=True)) or "all" for group in groups]  # fmt: skip
    return Moved([_text(v) for v in levels], names, draws, treatment=str(along or ""))


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else level_text(float(value))  # type: ignore[arg-type]


def _is_plain(fit: Fit, asked: Any, stops: Stops | None) -> bool:
    """Whether a question compares what is expected at two levels, among units of neither."""
    if stops is None or stops.other is None or asked.strategy != "averages":
        return False
    if asked.grouped_by or asked.weighting is not None or asked.condition is not asked.given:
        return False
    levels = {"treated": stops.own, "control": stops.other}
    worlds = asked.worlds(with_latents(fit, None))
    return {*worlds} == {*levels} and all(
        same_world(worlds[role], as_world({stops.name: level})) for role, level in levels.items()
    )


def _within(
    fit: Fit,
    wanted: list[Level],
    columns: list[str],
    stops: Stops | None,
    plain: bool,
    mean: bool,
) -> tuple[list[Level], list[str], list[str]]:
    """Return levels and columns whose work is bounded, and what was left out."""
    pairs = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    pairs *= max((np.size(v) for v in fit.columns.values()), default=1)
    ends = set() if stops is None else stops.kept
    each = (1 if plain else NESTED) * (1 if mean else DEAR)

    def work(levels: int, columns: int) -> int:
        return pairs * max(levels, 1) * (1 + columns) * each

    kept, few = list(columns), list(wanted)
    while kept and work(len(few), len(kept)) > WORK:
        kept.pop()
    while len(few) > len(ends) and work(len(few), len(kept)) > WORK:
        others = [v for v in few if v not in ends]
        few = [v for v in few if v in ends or v in others[::2][: len(others) // 2]]
    if work(len(few), 0) > WORK:
        few = []
    if (few, kept) == (wanted, columns):
        return few, kept, []
    less = "Levels and subgroups were" if few else "Other levels and subgroups were not"
    how = "left out" if few else "computed"
    note = (
        f"{less} {how} to keep the report quick ({pairs:,} pairs of draw and unit in a world). "
        "Ask for them: report(..., levels=[...], subgroups=[...])."
    )
    return few, kept, [note]


def _surface(fit: Fit, effect: Effect, asked: _Asked, columns: list[str], alone: Moved) -> Moved:
    """Answer the question at every level in every subgroup; `alone`: what is left without that."""
    question, stops = asked.question, asked.stops
    own = Moved([""], [], {}, asked=(asked.at, 0), notes=alone.notes)
    moving = stops if len(asked.levels) > 1 else None
    if moving is not None:
        own.levels, own.treatment = [_text(v) for v in asked.levels], moving.name
        own.labels = [
            effect.label if v in moving.kept else moving.question(v).heading() for v in asked.levels
        ]
    who = _who(question, moving)
    for name, given, by in [
        (_everyone(effect, moving), question.given, question.by),
        *subgroups_of(fit, question, columns, own.notes),
    ]:
        try:
            found, expected = _curve(fit, asked, given, by)
        except BayesCausalError as error:
            own.notes.append(f"{name}: {error}")
            if not own.groups:  # without the answer for everybody there is nothing to compare
                return alone
            continue
        first = next(draws for draws in found if draws is not None)
        for cell in _cells_of(first):
            shown = ", ".join(f"{d} {_text(first[d].values[k])}" for d, k in cell.items())
            told = shown if cell else name
            own.groups.append(f"{told}{who}" if own.groups or cell else told)
            for i, draws in enumerate(found):
                where = (i, len(own.groups) - 1)
                own.draws[where] = None if draws is None else draws.isel(cell, drop=True)
                if expected is not None:
                    own.expected[where] = expected[i].isel(cell, drop=True)
    noise = float(np.max(effect.mc_error)) if effect.mc_error is not None else 0.0
    for j, cell in enumerate(_cells_of(effect.draws)):
        draws = effect.draws.isel(cell, drop=True)
        here = own.draws[asked.at, j]
        if here is None or not _same(here, draws, noise):
            told = (
                "Other levels were not computed: this answer is not that of the fit of the report."
            )
            alone.notes.append(told)
            return alone
        own.draws[asked.at, j] = draws
    if noise > 1e-6 * float(effect.draws.std()):
        own.notes.append(
            "Noise is simulated for this answer: at another stop bayescausal.estimate may differ "
            f"by a few of its Monte Carlo errors, {significant(noise, 2)} here."
        )
    return own


def _cells_of(draws: xr.DataArray) -> list[dict[Hashable, int]]:
    """Return the places of the cells of an answer; one without a dim where it is one number."""
    dims = [d for d in draws.dims if d not in ("chain", "draw")]
    places = product(*(range(draws.sizes[d]) for d in dims))
    return [dict(zip(dims, place, strict=True)) for place in places]


def _same(here: xr.DataArray, draws: xr.DataArray, error: float) -> bool:
    """Whether two answers are those of one fit, up to Monte Carlo error."""
    if here.sizes != draws.sizes:
        return False
    spread = float(draws.std())
    near = 1e-6 * (spread + abs(float(draws.mean()))) + 8 * error
    return abs(float(here.mean()) - float(draws.mean())) <= near


def _curve(
    fit: Fit, asked: _Asked, given: object, by: Any
) -> tuple[list[xr.DataArray | None], list[xr.DataArray] | None]:
    """Return the draws of the answer at each level, and of the expected outcome where it has one.

    At the level that others are compared with there is no answer.
    """
    question, stops = asked.question, asked.stops
    if stops is None or not asked.plain:
        own = [question] if stops is None or not asked.levels else [
            stops.question(level) for level in asked.levels
        ]  # fmt: skip
        own = [replace(each, given=given, by=by) for each in own]
        found = estimate(fit, own, seed=asked.seed, progressbar=False)
        return [effect.draws for effect in found], None
    options: dict[str, Any] = {
        "given": given,
        "population": question.population,
        "functional": question.functional,
        "by": by,
        "coupling": question.coupling,
    }
    name, outcome, levels = stops.name, question.outcome, asked.levels
    if any(isinstance(level, str) for level in levels):
        single = [Expected(outcome, {name: level}, **options) for level in levels]
        answers = estimate(fit, single, seed=asked.seed, progressbar=False)
        expected = [effect.draws for effect in answers]
    else:
        whole = DoseResponse(name, outcome, values=levels, **options)
        curve = estimate(fit, whole, seed=asked.seed, progressbar=False).draws
        expected = [curve.isel({name: k}, drop=True) for k in range(len(levels))]
    base = levels.index(stops.other) if stops.other is not None else -1
    combine = question.scale.combine
    return [None if i == base else combine(draws, expected[base])
            for i, draws in enumerate(expected)], expected  # fmt: skip
