r"""Sliders: a question at other levels of the treatment, and in subgroups, answered beforehand.

An average effect of :math:`x_1` against :math:`x_0` is one point of a surface: the expected outcome
:math:`E[y \mid do(x), g]` for every level x and subgroup g, and its contrasts with
:math:`x = x_0`. A report holds that surface at a few levels and subgroups, each answered by
:func:`bayescausal.estimate` on all draws, with the noise of the question itself.

Not all of it can be had for every fit: the work is draws times units times worlds, and a file must
stay small. Both are bounded, and what was left out is said.

*Subgroups* are those of columns that the treatment does not act on: each value of a column with few
values, thirds of one with many. They are averages over the units at hand that belong to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from bayescausal.draws.digits import decimals, level_text, significant
from bayescausal.effects.estimands.averages import Expected
from bayescausal.effects.estimands.curves import DoseResponse
from bayescausal.effects.estimate import estimate
from bayescausal.model.graph_queries.queries import with_latents
from bayescausal.reporting.live.subgroups import columns_of, subgroups_of
from bayescausal.types import BayesCausalError, EstimandError, Set, closest, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import xarray as xr

    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

    type Level = float | str

__all__ = ["Moved", "check_choices", "moved"]

#: Questions that have other levels: contrasts of two levels over units that do not depend on them.
KINDS = ("ATE", "CATE", "QTE")
#: Stops of the slider.
MOST_LEVELS = 7
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
    ``notes``: what was left out, and why.
    """

    levels: list[str]
    groups: list[str]
    draws: dict[tuple[int, int], xr.DataArray | None]
    expected: dict[tuple[int, int], xr.DataArray] = field(default_factory=dict)
    asked: tuple[int, int] = (0, 0)
    treatment: str = ""
    notes: list[str] = field(default_factory=list)


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
    asked = levels is not None or subgroups is not None
    unmoved = ["levels= and subgroups= do not apply to this question."] if asked else []
    if effect.dims:
        cells = _cells(effect)
        if cells is not None:
            cells.notes += unmoved
        return cells
    own = Moved([""], [_everyone(effect)], {(0, 0): effect.draws})
    ends = _ends(fit, effect)
    if ends is None:
        own.notes = unmoved
        return own
    treated, control = ends
    wanted = _levels(fit, effect, treated, control, levels)
    columns = columns_of(fit, effect) if subgroups is None else list(subgroups)
    wanted, columns, notes = _within(fit, wanted, columns, (treated, control), levels, subgroups)
    if not wanted:
        own.notes = notes
        return own
    return _surface(fit, effect, wanted, columns, (treated, control), notes, seed)


# --------------------------------------------------------------------------- private


def _everyone(effect: Effect) -> str:
    """Return what the units of a question are called."""
    given: Any = getattr(effect.estimand, "given", None)
    if given:
        return f"units with {given.describe()}"
    return effect.population or "all"


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


def _ends(fit: Fit, effect: Effect) -> tuple[Level, Level] | None:
    """Return the levels that a question compares, where they are plain and can be others."""
    asked: Any = effect.estimand
    if type(asked).__name__ not in KINDS or len(asked.treatments) != 1 or fit.data is None:
        return None
    if asked.population.name != "sample":
        return None
    found = [getattr(asked, role) for role in ("treated", "control")]
    plain = [level.value if isinstance(level, Set) else level for level in found]
    if any(np.ndim(v) or not isinstance(v, str | int | float | np.number) for v in plain):
        return None
    treated, control = (v if isinstance(v, str) else float(v) for v in plain)
    return treated, control


def _levels(
    fit: Fit,
    effect: Effect,
    treated: Level,
    control: Level,
    levels: Sequence[Level] | None,
) -> list[Level]:
    """Return the levels of the slider, those of the question among them, in order."""
    name = effect.estimand.treatments[0]
    if isinstance(treated, str) or isinstance(control, str):
        known = list(fit.labels.get(name, ()))
        chosen = known if levels is None else [str(v) for v in levels]
        others = [v for v in known if v in chosen and v not in (treated, control)]
        kept = {*others[: 2 * MOST_LEVELS - 2], treated, control}
        return [v for v in known if v in kept]
    chosen_numbers = _observed(fit, name) if levels is None else [float(v) for v in levels]
    return sorted({*chosen_numbers, float(treated), float(control)})


def _observed(fit: Fit, name: str) -> list[float]:
    """Return levels that units have: all where there are few, else some from 5% to 95%."""
    values = fit.columns.get(name)
    if values is None or values.dtype.kind not in "biuf":
        return []
    seen = np.asarray(values, dtype=float).ravel()
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        return []
    distinct = np.unique(seen)
    if len(distinct) <= MOST_LEVELS:
        return [float(v) for v in distinct]
    low, high = (float(v) for v in np.quantile(seen, [0.05, 0.95]))
    stops = np.linspace(low, high, MOST_LEVELS)
    whole = bool(np.all(distinct == np.round(distinct)))
    places = 0 if whole else (decimals(float(seen.std())) or 0)
    return sorted({float(np.round(v, places)) for v in stops})


def _within(
    fit: Fit,
    wanted: list[Level],
    columns: list[str],
    ends: tuple[Level, Level],
    levels: Sequence[Level] | None,
    subgroups: Sequence[str] | None,
) -> tuple[list[Level], list[str], list[str]]:
    """Return levels and columns whose work is bounded, and what was left out."""
    if levels is not None or subgroups is not None:
        return wanted, columns, []
    pairs = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    pairs *= max((np.size(v) for v in fit.columns.values()), default=1)

    def work(levels: int, columns: int) -> int:
        return pairs * levels * (1 + columns)

    kept, few = list(columns), list(wanted)
    while kept and work(len(few), len(kept)) > WORK:
        kept.pop()
    while len(few) > len({*ends}) and work(len(few), len(kept)) > WORK:
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


def _surface(
    fit: Fit,
    effect: Effect,
    levels: list[Level],
    columns: list[str],
    ends: tuple[Level, Level],
    notes: list[str],
    seed: int,
) -> Moved:
    """Answer the question at every level in every subgroup."""
    asked: Any = effect.estimand
    treated, control = (levels.index(end) for end in ends)
    own = Moved(
        [_text(v) for v in levels], [], {}, {}, (treated, 0), asked.treatments[0], list(notes)
    )
    everyone, within = _everyone(effect), f" with {asked.given.describe()}" if asked.given else ""
    for name, given, by in [
        (everyone, asked.given, None),
        *subgroups_of(fit, asked, columns, own.notes),
    ]:
        try:
            curve = _curve(fit, asked, levels, given, by, seed)
        except BayesCausalError as error:
            own.notes.append(f"{name}: {error}")
            if not own.groups:  # without the answer for everybody there is nothing to compare
                return Moved([""], [everyone], {(0, 0): effect.draws}, notes=own.notes)
            continue
        cells = [""] if by is None else [_text(v) for v in curve[0][by].values.tolist()]
        for k, cell in enumerate(cells):
            own.groups.append(name if by is None else f"{name} {cell}{within}")
            at = [c if by is None else c.isel({by: k}, drop=True) for c in curve]
            for i, draws in enumerate(at):
                where = (i, len(own.groups) - 1)
                own.expected[where] = draws
                own.draws[where] = None if i == control else asked.scale.combine(draws, at[control])
    noise = float(np.max(effect.mc_error)) if effect.mc_error is not None else 0.0
    here = own.draws[treated, 0]
    if here is None or not _same(here, effect.draws, noise):
        told = "Other levels were not computed: this answer is not that of the fit of the report."
        return Moved([""], [everyone], {(0, 0): effect.draws}, notes=[*notes, told])
    own.draws[treated, 0] = effect.draws
    if noise > 0:
        own.notes.append(
            "Noise is simulated for this answer: at another stop bayescausal.estimate may differ "
            f"by a few of its Monte Carlo errors, {significant(noise, 2)} here."
        )
    return own


def _same(here: xr.DataArray, draws: xr.DataArray, error: float) -> bool:
    """Whether two answers are those of one fit, up to Monte Carlo error."""
    if here.sizes != draws.sizes:
        return False
    spread = float(draws.std())
    near = 1e-6 * (spread + abs(float(draws.mean()))) + 8 * error
    return abs(float(here.mean()) - float(draws.mean())) <= near


def _curve(
    fit: Fit, question: Estimand, levels: list[Level], given: object, by: str | None, seed: int
) -> list[xr.DataArray]:
    """Return the draws of the expected outcome at each level."""
    asked: Any = question
    name, outcome = asked.treatments[0], asked.outcome
    options: dict[str, Any] = {
        "given": given,
        "population": asked.population,
        "functional": asked.functional,
        "by": by,
        "coupling": asked.coupling,
    }
    if any(isinstance(level, str) for level in levels):
        single = [Expected(outcome, {name: level}, **options) for level in levels]
        found = estimate(fit, single, seed=seed, progressbar=False)
        return [effect.draws for effect in found]
    curve = estimate(
        fit,
        DoseResponse(name, outcome, values=levels, **options),
        seed=seed,
        progressbar=False,
    ).draws
    return [curve.isel({name: k}, drop=True) for k in range(len(levels))]
