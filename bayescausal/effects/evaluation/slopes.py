r"""Has the average outcome a derivative that two close worlds show?

A slope is taken as a central difference, which is exact to second order where the outcome is smooth
in the treatment. Where it jumps (a threshold, a count that the treatment changes and that must be
drawn), the difference of two close worlds measures which units and draws happen to lie next to the
jump: its error grows as the step shrinks. Such slopes are refused, and so are slopes in a label. A
step that is no longer small beside the distance to a pole is refused too.

References
----------
P. Glasserman, *Monte Carlo Methods in Financial Engineering*, Springer, 2003, section 7.1 (finite
differences of discontinuous outcomes).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.estimands.functionals import Mean
from bayescausal.evaluation.builder import Builder
from bayescausal.evaluation.evaluate import evaluate
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.model.interventions.support import is_discrete, support_of
from bayescausal.model.structure.discontinuities import Jump, bent_roots, jumps_of
from bayescausal.model.structure.integer_roles import is_number, role_of
from bayescausal.types import BayesCausalError, EstimandError, Set, Shift

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.evaluation.evaluate import Block, Units
    from bayescausal.evaluation.program import Program
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = [
    "refuse_drawn_jumps",
    "refuse_jumps",
    "refuse_kinks",
    "refuse_labels",
    "spread_of",
    "with_step",
]

#: Posterior draws on which continuity is tried; values on which crossings are looked for.
DRAWS, TRIED = 4, 4_000_000
#: The step as a share of the least of positive values, at most.
LEAST = 0.02
#: Where an equation is looked at, in steps.
STEPS = (-1.0, -0.125, 0.0, 0.125, 1.0)
#: Shares of a slope: what kinks may make of it, and what a smaller step may change.
SEEN, CHANGE = 0.02, 0.005
#: What the step may change of a denominator, as a share of it: the error is of its square.
SHARE = 0.05


def refuse_labels(structure: Structure, estimand: Estimand) -> None:
    """Refuse a slope in a label, a category or a count."""
    name = estimand.treatments[0]
    variable = structure.variable(name)
    labelled = name in structure.data and role_of(structure, name) == "label"
    if is_number(structure, name) or not (labelled or is_discrete(variable)):
        return
    what = "takes whole numbers only"
    if labelled or (name in structure.random and support_of(variable).categorical):
        what = "is a label"
    raise EstimandError(
        f"{estimand.label()}: {name!r} {what}, so there is no derivative in it.",
        remedy=f"Compare two levels: ATE({name!r}, {estimand.outcome_name!r}, treated=..., "
        "control=...).",
    )


def refuse_jumps(
    units: Units,
    estimand: Estimand,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    *,
    mean: bool,
) -> None:
    """Refuse a slope through an equation that jumps.

    - `worlds`: parsed: the worlds a step above and below.
    - `mean`: whether the mean of the outcome is asked about.
    """
    structure = units.structure
    [name] = estimand.treatments
    outcome = estimand.outcome_name
    touched = {name} | structure.descendants([name])
    above = {outcome} | structure.ancestors([outcome])
    jumps = [
        jump
        for n in structure.full
        if n in touched & above and (n in recomputed or n in structure.deterministics)
        for jump in jumps_of(structure, n, touched, mean=mean and n == outcome)
    ]
    moved = isinstance(worlds["treated"].get(name), Shift)  # each unit from where it is
    for jump in jumps:
        flips = moved or set(jump.reads) != {name} or jump.condition is None
        if not (flips and not jump.pole) and not _flips(units, jump, worlds, recomputed):
            if jump.pole and _is_near(units, jump, worlds, recomputed):
                raise _beside_a_pole(estimand, jump.equation)
            continue
        if jump.sides is None or _differ(units, jump, recomputed):
            raise _no_derivative(
                estimand,
                f"{jump.words} of {', '.join(jump.reads)} in the equation of {jump.equation!r}",
            )


def refuse_kinks(
    units: Units,
    estimand: Estimand,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    *,
    mean: bool,
) -> None:
    """Refuse a slope at a kink or beside a pole of an equation, such as those of ``log(abs(x))``.

    What close steps to both sides show of a smooth equation differs by a share of the step, so an
    eighth of the step makes it an eighth; at a kink it stays as it is, at a pole it grows. Where
    the equation is smooth, the two steps show one slope.

    - `worlds`, `mean`: as for :func:`refuse_jumps`.
    """
    structure = units.structure
    [name] = estimand.treatments
    touched = frozenset({name} | structure.descendants([name]))
    above = {estimand.outcome_name} | structure.ancestors([estimand.outcome_name])
    half, at = estimand.divisor / 2, estimand.at  # type: ignore[attr-defined]
    steps = {f"{k:g}": {**worlds["treated"], name: _moved(at, k * half)} for k in STEPS}
    for n in structure.full:
        if n not in touched & above or not (n in recomputed or n in structure.deterministics):
            continue
        outcome = n == estimand.outcome_name
        for root in bent_roots(structure, n, touched, mean=mean and outcome):
            wanted = [(root, world) for world in steps]
            blocks = [_bends(v, half) for v in _values(units, steps, recomputed, wanted)]
            wide, close, far, near, change = np.mean(blocks, axis=0)
            smooth = np.isfinite(close) and close <= max(wide / 4, SEEN * near)
            if not smooth or near > 1.5 * max(far, close):
                raise _no_derivative(estimand, f"a kink or a pole in the equation of {n!r}")
            if change > CHANGE * near > CHANGE * close:
                raise _beside_a_pole(estimand, n)


def _moved(at: float | None, by: float) -> Intervention:
    """Return a treatment a step away from where it is, or from where the slope is asked for."""
    return Shift(by) if at is None else Set(at + by)


def _bends(block: Block, half: float) -> np.ndarray:
    """Return, on average: how slopes to both sides differ (both steps), slopes, and their change.

    `block`: an equation at each of STEPS.
    """
    far, near, here, up, out = (np.asarray(v, dtype=float) for v in block.values)
    with np.errstate(invalid="ignore"):
        wide, close = abs(out - 2 * here + far) / half, abs(up - 2 * here + near) / (half / 8)
        one, other = (out - far) / (2 * half), (up - near) / (half / 4)
        return np.array([np.mean(v) for v in (wide, close, abs(one), abs(other), abs(one - other))])


def spread_of(units: Units, name: str) -> float | None:
    """Return the sd of a treatment among units and draws; None where it has none."""
    values = _treatments(units, name)
    spread = None if values is None else float(np.nanstd(values))
    return spread if spread is not None and 0 < spread < np.inf else None


def _treatments(units: Units, name: str) -> np.ndarray | None:
    """Return the values of a treatment among units and some draws; None where it has none."""
    column = units.columns.get(name, None if units.fresh else units.fit.columns.get(name))
    if column is not None and column.dtype.kind in "biuf":
        return np.asarray(column, dtype=float).reshape(-1)
    redrawn = frozenset(units.structure.random) if units.fresh else frozenset()
    try:
        blocks = _values(units, {"natural": {}}, redrawn, [(name, "natural")])
        drawn = [np.asarray(block.values[0], dtype=float).reshape(-1) for block in blocks]
    except BayesCausalError:
        return None
    return np.concatenate(drawn)


def with_step(units: Units, estimand: Any) -> Estimand:
    """Return a slope with a step: a small one on the scale on which the treatment varies.

    Of positive values, which logarithms and quotients are made of, it is small beside the least.
    """
    name = estimand.treatments[0]
    spread = None if estimand.step is not None else spread_of(units, name)
    values = None if spread is None else _treatments(units, name)
    if spread is None or values is None:
        return estimand
    low = float(np.nanmin(values if estimand.at is None else [np.nanmin(values), estimand.at]))
    near = LEAST * low if low > 0 else np.inf
    return replace(estimand, step=max(min(1e-3 * spread, near), 1e-9 * spread))


def refuse_drawn_jumps(structure: Structure, estimand: Estimand, program: Program) -> None:
    """Refuse a slope of what jumps from draw to draw.

    That is a slope behind a discrete variable that the treatment changes and that must be drawn; of
    the probability of an event that is counted in draws; of a quantile, which moves with the one
    unit that stands at it.
    """
    functional = estimand.functional
    if not functional.linear:
        raise _no_derivative(estimand, "the one unit that stands at the quantile")
    if functional.share and any(i.name == estimand.outcome_name for i in program.noise):
        raise _no_derivative(estimand, "the event, which is counted in draws,")
    below = structure.descendants(estimand.treatments)
    for item in program.noise:
        rv = structure.model.named_vars[item.name]
        if item.name in below and is_discrete(rv):
            raise _no_derivative(estimand, f"the whole numbers of {item.name!r}")


def _no_derivative(estimand: Estimand, where: str) -> EstimandError:
    x, y = estimand.treatments[0], estimand.outcome_name
    plain = isinstance(estimand.functional, Mean)
    same = "" if plain else f", functional={estimand.functional!r}"
    return EstimandError(
        f"{estimand.label()}: the outcome jumps with {where}, and the difference of two close "
        "worlds would measure which units happen to lie next to a jump.",
        expected="an outcome that is smooth in the treatment.",
        remedy="Compare two worlds a stated distance apart: "
        f"ATE({x!r}, {y!r}, treated=Shift(0.5), control=Shift(-0.5){same}).",
    )


def _beside_a_pole(estimand: Estimand, equation: str) -> EstimandError:
    half = estimand.divisor / 2  # type: ignore[attr-defined]
    return EstimandError(
        f"{estimand.label()}: a step of {half:.3g} to each side is not small beside the distance "
        f"to where the equation of {equation!r} divides by 0, or has a kink.",
        expected="a step that changes each denominator by less than a twentieth.",
        remedy=f"Name a smaller one, such as step={half / 1000:.1g}, or ask where the outcome has "
        "a derivative: at=, given=.",
    )


def _values(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    wanted: Any,
) -> Any:
    """Return the blocks of some variables (by name) or expressions, each in its world."""
    builder = Builder(units.structure, worlds, recomputed, units.varies, {})
    named = ((v if isinstance(v, str) else builder.named.get(v), v, w) for v, w in wanted)
    outputs = [
        builder.substitute([v], w, inside=True)[0] if name is None else builder.value(name, w)
        for name, v, w in named
    ]
    program = builder.compile((), outputs)
    total = units.fit.n_draws
    draws = slice(0, total, max(total // DRAWS, 1))
    return evaluate(program, units, draws, FreshNoise(units.fit.seed), replicates=1)


def _flips(
    units: Units,
    jump: Jump,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
) -> bool:
    """Whether the step takes any unit across the threshold, or draws put it on both sides of it."""
    builder = Builder(units.structure, worlds, recomputed, units.varies, {})
    sides = [
        builder.substitute([jump.condition], world, inside=True)[0]
        for world in ("treated", "control")
    ]
    program = builder.compile((), sides)
    total = units.fit.n_draws if any(program.batched) else 1
    draws = slice(0, total, max(total * units.count // TRIED, 1))
    seen: dict[tuple[int | None, int | None], list[Any]] = {}
    for block in evaluate(program, units, draws, FreshNoise(units.fit.seed), replicates=1):
        above, below = (np.asarray(v) for v in block.values)
        if np.any(above != below):
            return True
        found = [above.all(axis=(0, 1)), ~above.any(axis=(0, 1))]
        key = block.units.start, block.units.stop
        seen[key] = [a & b for a, b in zip(seen.get(key, found), found, strict=True)]
        if not jump.pole and not np.all(np.logical_or(*seen[key])):
            return True
    return False


def _is_near(
    units: Units,
    jump: Jump,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
) -> bool:
    """Whether the step changes a denominator by more than a small share of it, on one side of 0."""
    assert jump.condition is not None
    below = jump.condition.owner.inputs[0]
    wanted = [(below, world) for world in ("treated", "control")]
    for block in _values(units, worlds, recomputed, wanted):
        one, other = (np.asarray(v, dtype=float) for v in block.values)
        change, size = np.abs(one - other), np.abs(one + other)
        if np.any((one * other > 0) & (change > 2 * SHARE * size)):
            return True
    return False


def _differ(units: Units, jump: Jump, recomputed: frozenset[str]) -> bool:
    """Whether an equation is not the same on both sides of a threshold."""
    assert jump.sides is not None
    for block in _values(units, {"natural": {}}, recomputed, [(s, "natural") for s in jump.sides]):
        one, other = (np.asarray(v, dtype=float) for v in block.values)
        gap, size = np.abs(one - other), np.maximum(np.abs(one), np.abs(other))
        if np.any(gap > 1e-7 * np.maximum(size, 1e-3)):  # NaN beside a threshold says nothing
            return True
    return False
