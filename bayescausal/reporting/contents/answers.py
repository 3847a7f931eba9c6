"""The answers of a report: what is seen beside what would be done, then each effect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import decimals, end_text, numbers, significant
from bayescausal.figures.forest import plot_forest
from bayescausal.reporting.decision import PROB, UNKNOWN, decide, rule
from bayescausal.reporting.live.levels import LEVELS, at_levels, in_digits
from bayescausal.reporting.page.blocks import (
    Bullets,
    Facts,
    Grid,
    Live,
    Picture,
    Section,
    Text,
    cell,
    grid,
)
from bayescausal.reporting.page.pictures import draw

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.reporting.contents.material import Material

__all__ = ["answers"]


def answers(material: Material) -> Section:
    """Return what is seen beside what would be done, then each effect."""
    parts = [_compared(material)] if any(n is not None for n in material.naive) else []
    parts += [_one(material, k) for k in range(len(material.effects))]
    rules: dict[str, list[str]] = {}
    for effect, rope in zip(material.effects, material.ropes, strict=True):
        if effect.null is not None or rope is not None:
            rules.setdefault(rule(effect.null, rope), []).append(effect.label)
    blocks: tuple[Any, ...] = tuple(
        Text(f"{'; '.join(whose)}: {said}" if len(rules) > 1 else said, "note")
        for said, whose in rules.items()
    )
    single = [e for e in material.effects if not e.dims]
    if len(single) > 1 and len({e.null for e in single}) == 1:
        height = 1.1 + 0.4 * len(single)
        width = 5.4 + 0.07 * max(0, max(len(e.label) for e in single) - 30)  # room for long names
        shown = draw(lambda ax: plot_forest(single, ax=ax), width=width, height=height)
        alt = "; ".join(repr(e) for e in single)
        blocks += (Picture(shown, f"All effects that are one number. {alt}."),)
    return Section("Answers", blocks, tuple(parts))


def _compared(material: Material) -> Section:
    """Return the association that is seen beside the effect."""
    rows: list[Any] = []
    notes: list[str] = []
    unknown = False
    for effect, naive, true in zip(material.effects, material.naive, material.truths, strict=True):
        if naive is None:
            continue
        if isinstance(naive, str):
            notes.append(f"{effect.label}: {naive}")
            continue
        seen = naive[0] if isinstance(naive, tuple) else naive
        decided = effect.identification
        unknown |= decided is not None and decided.status in UNKNOWN
        mark = f" ({decided.status})" if decided is not None and decided.status in UNKNOWN else ""
        row = (
            effect.label,
            at_levels(lambda level, e=seen: _with_ends(e, level)),  # type: ignore[misc]
            at_levels(lambda level, e=effect, mark=mark: _with_ends(e, level) + mark),  # type: ignore[misc]
        )
        notes += [naive[1]] if isinstance(naive, tuple) else []
        rows.append((*row, cell(float(true))) if true is not None else row)
    heads: tuple[str, ...] = ("question", "observed association", "causal effect")
    known = any(t is not None for t in material.truths)
    blocks: list[Any] = []
    if rows:
        rows = [(*r, "-") if known and len(r) == 3 else r for r in rows]
        heads = (*heads, "truth") if known else heads
        blocks.append(
            Grid(heads, tuple(rows), at_levels(lambda level: f"Means with {100 * level:g}% HDI"))
        )
        blocks.append(
            Text(
                "The association compares units that differ in whatever made their treatment "
                "differ; the effect compares the same units under two treatments. "
                + (
                    "Where the effect is not identified, how far they part is not known from data."
                    if unknown
                    else "Where they part, the rest is confounding (or a selection), not effect."
                )
            )
        )
    blocks += [Text(note, "note") for note in dict.fromkeys(notes)]
    return Section("Observed association and causal effect", tuple(blocks))


def _with_ends(effect: Effect, level: float) -> str:
    mean, low, high = in_digits(effect, level)
    return f"{mean} [{low}, {high}]"


def _one(material: Material, k: int) -> Section:
    """Return one effect: sentence, decision, numbers, picture."""
    effect, rope, true = material.effects[k], material.ropes[k], material.truths[k]
    blocks: list[Any] = [Text(at_levels(effect.sentence), "lead")]
    if effect.dims:
        blocks.append(_cells(effect, rope))
    else:
        blocks.append(_facts(effect, rope, true))
    blocks.append(_picture(effect, rope, true))
    if k < len(material.live) and material.live[k] is not None:
        blocks.append(Live("effect", material.live[k]))
    decided = effect.identification
    verdict = decided.sentence() if decided is not None else ""  # said once, and first
    notes = [note.removeprefix(verdict).strip() for note in effect.notes]
    notes = [note for note in notes if note not in effect.sentence(PROB)]
    if any(notes):
        blocks.append(Text("Notes:"))
        blocks.append(Bullets(tuple(note for note in notes if note)))
    return Section(material.headings[k], tuple(blocks))


def _status(effect: Effect) -> str:
    return "" if effect.identification is None else str(effect.identification.status)


def _directions(effect: Effect) -> list[tuple[str, float]]:
    """Return, for each cell, the side where most of the posterior lies and how much of it."""
    null = effect.null
    if null is None:
        return []
    above = np.ravel(effect.probability(above=null))
    below = np.ravel(effect.probability(below=null))
    return [
        (f"above {null:g}", float(a)) if a >= b else (f"below {null:g}", float(b))
        for a, b in zip(above, below, strict=True)
    ]


def _share(value: float) -> str:
    if 0.9995 < value < 1:
        return "> 0.999"
    return "< 0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def _facts(effect: Effect, rope: tuple[float, float] | None, true: Effect | None) -> Facts:
    """Return the numbers of one effect."""
    row = effect.summary(PROB).iloc[0]
    low, high = effect.interval(PROB)
    several = effect.draws.sizes["chain"] * effect.draws.sizes["draw"] > 1
    pairs = [("Mean", in_digits(effect)[0])]
    if several:
        pairs.append(
            (at_levels(_hdi), at_levels(lambda level: " to ".join(in_digits(effect, level)[1:])))
        )
        pairs.append(("Posterior sd", numbers(float(row["sd"]), float(row["sd"]))[0]))
        pairs += [(f"Probability {side}", _share(p)) for side, p in _directions(effect)]
    if rope is not None:
        inside = float(effect.probability(between=rope))
        pairs.append((f"Probability in the ROPE, {rope[0]:g} to {rope[1]:g}", _share(inside)))
    if true is not None:
        pairs.append(("Truth", cell(float(true))))
    said = decide(low, high, effect.null, rope, _status(effect))
    if said and several:
        pairs.append(("Decision", said))
    if "bound_lb" in row:
        ends = (0.0, row["bound_lb"], row["bound_ub"])
        _, least, most = numbers(float(row["sd"]), *ends, ends=True, apart=[effect.null])
        pairs.append(("Bounds for any coupling", f"{least} to {most}"))
    error = row["mc_error"]
    exact = "0 (the averages over noise are exact)"
    pairs.append(
        (
            "Monte Carlo error in a draw",
            exact if error <= 1e-9 * row["sd"] else significant(error, 2),
        )
    )
    if several:
        pairs.append(("Monte Carlo error of the mean (mcse)", significant(row["mcse_mean"], 2)))
        sizes = ", ".join(cell(row[f"ess_{part}"], ",.0f") for part in ("bulk", "tail"))
        pairs.append(("Effective draws (bulk, tail)", sizes))
        pairs.append(("r_hat of this number", cell(row["r_hat"], ".4f")))
    pairs.append(("Population", effect.population or "-"))
    return Facts(tuple(pairs))


def _cells(effect: Effect, rope: tuple[float, float] | None) -> Grid:
    """Return the numbers of an effect with several cells."""
    table = effect.summary(PROB)
    sides = _directions(effect)
    if sides:
        table["probability of direction"] = [f"{_share(p)} ({side})" for side, p in sides]
    if rope is not None:
        table["in the ROPE"] = [_share(p) for p in np.ravel(effect.probability(between=rope))]
    ends = zip(table["hdi94_lb"], table["hdi94_ub"], strict=True)
    said = [decide(low, high, effect.null, rope, _status(effect)) for low, high in ends]
    if any(said):
        table["decision"] = said
    table = table.drop(columns=["identification"], errors="ignore")
    names = {"hdi94_lb": "94% HDI from", "hdi94_ub": "to", "mcse_mean": "mcse"}
    first = ", ".join(map(str, effect.dims))
    within = "Among" if getattr(effect.estimand, "by", ()) else "Over"
    caption = f"{within} {effect.population}" if effect.population else ""
    options = {"names": names, "most": 30, "null": effect.null, "label": effect.label}
    made = grid(table, caption, first=first, **options)  # type: ignore[arg-type]
    return _moving(made, effect)


def _hdi(level: float) -> str:
    return f"{100 * level:g}% HDI"


def _moving(made: Grid, effect: Effect) -> Grid:
    """Return a table of cells whose intervals follow the level."""
    low = made.heads.index("94% HDI from")
    spreads = np.ravel(np.asarray(effect.sd()))
    ends = {
        level: np.reshape(
            np.asarray(effect.interval(level).transpose(..., "ci_bound")),  # type: ignore[union-attr]
            (-1, 2),
        )
        for level in LEVELS
    }

    def text(row: int, side: int, level: float) -> str:
        return end_text(float(ends[level][row, side]), decimals(float(spreads[row])), [effect.null])

    rows = []
    for k, row in enumerate(made.rows):
        own = [*row]
        for side in (0, 1):
            own[low + side] = at_levels(lambda level, k=k, side=side: text(k, side, level))  # type: ignore[misc]
        rows.append(tuple(own))
    heads = [*made.heads]
    heads[low] = at_levels(lambda level: f"{_hdi(level)} from")
    return replace(made, heads=tuple(heads), rows=tuple(rows))


def _picture(effect: Effect, rope: tuple[float, float] | None, true: Effect | None) -> Picture:
    """Return the picture of an effect."""
    options: dict[str, Any] = {"prob": PROB}
    height = 2.9
    if not effect.dims:
        options |= {"rope": rope, "truth": None if true is None else float(true)}
    elif effect.estimand is not None and effect.estimand.curve is not None:
        options = {"truth": None if true is None else np.ravel(true.mean())}
        if len(effect.dims) > 1:
            options = {}
        height = 3.3
    else:
        options |= {"rope": rope, "truth": None if true is None else np.ravel(true.mean())}
        cells = int(np.prod([effect.draws.sizes[d] for d in effect.dims]))
        height = float(np.clip(1.1 + 0.3 * cells, 1.9, 8.0))
    try:
        shown = draw(lambda ax: effect.plot(ax=ax, **options), height=height)
    except ValueError:  # a curve that cannot be drawn as one is drawn as rows
        shown = draw(lambda ax: plot_forest(effect, ax=ax), height=6.0)
    return Picture(shown, f"Posterior of {effect.label}. {effect.sentence(PROB)}")
