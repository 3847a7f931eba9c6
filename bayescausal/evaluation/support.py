"""Are the equations defined at the values that the worlds ask for?

A value that is set is checked against its own support when it is parsed. What it does to the
equations that read it depends on the units: a logarithm of a negative dose, an index out of range,
a probability above 1. So everything that can fail (:mod:`bayescausal.model.interventions.domain`)
is evaluated before the question is, in each world and in the natural course, with the units at hand
and some posterior draws. What fails in a world and holds in the natural course is the
intervention's doing, and is refused by the names of the equation, the variable and the level.

What a shift, a scale, a policy or a new distribution gives is tried in the same way, and refused
where it leaves the support (a negative count, a third value of a binary variable).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.evaluation.build import build_program
from bayescausal.evaluation.builder import Builder
from bayescausal.evaluation.evaluate import Units, evaluate
from bayescausal.evaluation.label_levels import refuse_strangers
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Request
from bayescausal.evaluation.program_cache import remember, signature
from bayescausal.model.interventions.domain import checks_of
from bayescausal.model.interventions.support import ends_of_data, refuse_level, support_of
from bayescausal.model.interventions.undefined import fails, failure
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.types import (
    DataError,
    FromWorld,
    InterventionError,
    NoiseFormError,
    Set,
    UndefinedEffectError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytensor.graph.basic import Variable

    from bayescausal.annotations import Array
    from bayescausal.evaluation.evaluate import NoiseSource
    from bayescausal.model.interventions.equation_walk import Check
    from bayescausal.types import Intervention

__all__ = ["refuse_outside", "refuse_undefined"]

#: Posterior draws that are tried at least, and values that are tried at most beyond them.
DRAWS, WORK = 8, 1_000_000
#: Values of each drawn variable that are tried, where there are few units and draws.
VALUES = 4096
#: The world without interventions.
NATURAL = "\0natural"


def refuse_outside(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    *,
    seed: int = 0,
    asked_of: np.ndarray | None = None,
) -> None:
    """Refuse worlds in which a modified treatment leaves its support.

    `asked_of` (bool): of which units the question is. Default: of all.
    Raises InterventionError naming the variable, a value and the support.
    """
    structure = units.structure
    asked = []
    for world, do in worlds.items():
        for name, act in do.items():
            if name not in structure.random or name in structure.imputed:
                continue
            variable = structure.variable(name)
            given = data_of(units, do) if ends_of_data(variable) else {}
            if isinstance(act, Set) and given:
                refuse_level(variable, act.value, given, asked_of)
            if isinstance(act, Set | FromWorld):
                continue
            support = support_of(variable, given)
            free = np.all(np.isneginf(support.lower)) and np.all(np.isposinf(support.upper))
            if support.integer or not free:
                asked.append((world, name, support, act))
    if not asked:
        return
    program = build_program(
        structure,
        worlds,
        [Request(world, name, "draw") for world, name, _, _ in asked],
        recomputed=recomputed,
        varying=units.varies,
    )
    step = max(units.fit.n_draws // DRAWS, 1)
    for block in evaluate(
        program, units, slice(0, units.fit.n_draws, step), FreshNoise(seed), replicates=1
    ):
        for value, (_, name, support, act) in zip(block.values, asked, strict=True):
            inside = support.contains(value)
            if not np.all(inside):
                bad = np.asarray(value)[~np.asarray(inside)].flat[0]
                raise InterventionError(
                    f"{act.describe(name)} gives {float(bad):g}, outside the support of the "
                    f"{support.family} variable {name!r}.",
                    expected=f"values that stay {support.describe()}.",
                    remedy="Use a Policy that stays inside, such as np.clip.",
                )


def data_of(units: Units, do: Mapping[str, Intervention] | None = None) -> dict[Variable, Any]:
    """Return the columns of data of the units, those that a world sets as it sets them."""
    structure = units.structure
    sizes = {**dim_sizes(structure.model), **units.sizes}
    found: dict[Variable, Any] = {}
    for name in structure.data:
        variable, act = structure.variable(name), (do or {}).get(name)
        if isinstance(act, Set):
            value = np.broadcast_to(act.value, [sizes[d] for d in structure.dims[name]])
        elif act is not None or units.varies(name):
            continue
        else:
            value = np.asarray(units.value(name, slice(0, 1)))
            value = value.reshape(value.shape[value.ndim - variable.type.ndim :])
        found[variable] = value
    return found


def refuse_undefined(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    outcomes: Iterable[str],
    *,
    means: bool = False,
    noise: NoiseSource | None = None,
    coupling: Mapping[str, str] | None = None,
) -> None:
    """Refuse worlds in which an equation is not defined.

    - `worlds`: parsed.
    - `recomputed`: what the interventions reach.
    - `outcomes`: what is asked about: equations that no outcome rests on are not looked at.
    - `means`: only the mean of an outcome is asked about.
    - `noise`: default: fresh noise.
    - `coupling`: noise form by variable.
    Raises InterventionError naming the equation, the variable and the level.
    Raises DataError if an equation is not defined for the units of a table as they are.
    Raises UndefinedEffectError if it is not defined for values that the model itself gives one of
      its variables.
    """
    structure = units.structure
    outcomes = tuple(outcomes)
    acting = {w: do for w, do in worlds.items() if do}
    other = frozenset(units.columns) | frozenset(units.latents)
    touched = frozenset(n for do in acting.values() for n in do)
    touched |= structure.descendants(touched) | other
    moving = tuple(n for n in sorted(structure.model.named_vars) if units.varies(n))
    acts = signature(acting)
    pairs = tuple(sorted((coupling or {}).items()))
    # rows that stay in their source: what is set everywhere was not read
    held = units.fit.columns
    baseline = not any(n in held and held.get(n) is None for do in acting.values() for n in do)
    what = ("domain", baseline, acts, recomputed, outcomes, means, moving, pairs, touched)
    key = None if acts is None else what

    def build() -> list[_Trial]:
        return _trials(
            units, acting, recomputed, outcomes, touched, means, dict(pairs), baseline=baseline
        )

    source = FreshNoise(units.fit.seed) if noise is None else noise

    def try_all() -> bool:
        _try(units, remember(structure, key, build), acting, recomputed, source)
        refuse_strangers(units, acting, recomputed, source)
        return True

    # the fit's own units, or fresh ones, are tried once for each question
    own = units.rows is None and not units.columns and not units.latents
    known = isinstance(source, FreshNoise) and structure is units.fit.structure and own
    seed = getattr(source, "seed", None)
    tried = (key, seed, units.count, units.fresh) if known and key is not None else None
    remember(units.fit, tried, try_all)


def _try(
    units: Units,
    trials: list[_Trial],
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    source: NoiseSource,
) -> None:
    """Evaluate trials, and refuse what fails."""
    total = units.fit.n_draws
    judge = _Judge(units, worlds, recomputed, isinstance(source, FreshNoise))
    for trial in trials:
        most = max(DRAWS, WORK // max(units.count * len(trial.entries), 1))
        step = max(-(-total // most), 1) if any(trial.program.batched) else total
        tried = max(units.count * -(-total // step), 1)
        inner = int(np.clip(VALUES // tried, 1, 256)) if isinstance(source, FreshNoise) else 1
        draws = slice(0, total, step)
        for block in evaluate(trial.program, units, draws, source, replicates=inner):
            for entry in trial.entries:
                judge(entry, block.values)


@dataclass(frozen=True, eq=False)
class _Entry:
    """One check in one world, and where its values stand among the results."""

    world: str
    check: Check
    here: slice
    natural: slice | None


@dataclass(frozen=True, eq=False)
class _Trial:
    """Checks that are evaluated together."""

    program: Any
    entries: tuple[_Entry, ...]


def _trials(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    outcomes: tuple[str, ...],
    touched: frozenset[str],
    means: bool,
    coupling: dict[str, str],
    *,
    baseline: bool,
) -> list[_Trial]:
    """Return what can fail, compiled; every index on its own, for what comes after may need it."""
    structure = units.structure
    above = set(outcomes) | structure.ancestors(outcomes)
    equations = [
        n
        for n in structure.full
        if n in above and (n in recomputed or n in structure.deterministics)
    ]
    read = {p for n in equations for p in structure.full.predecessors(n)}
    alone: list[list[Check]] = []
    together: list[Check] = []
    for name in equations:
        mean = means and name in outcomes and name not in read
        for check in checks_of(structure, name, touched, mean=mean):
            if check.kind == "index":
                alone.append([check])
            else:
                together.append(check)
    out = []
    for checks in [*alone, together] if together else alone:
        builder = Builder(structure, {**worlds, NATURAL: {}}, recomputed, units.varies, coupling)
        outputs: list[Any] = []
        entries = []
        try:
            for check in checks:
                natural = _add(builder, outputs, check, NATURAL) if baseline else None
                if natural is not None:
                    entries.append(_Entry(NATURAL, check, natural, natural))
                for world, do in worlds.items():
                    if check.equation in do or not builder.touched[world] & set(check.reads):
                        continue
                    here = _add(builder, outputs, check, world)
                    entries.append(_Entry(world, check, here, natural))
        except NoiseFormError:  # nothing of it can be drawn: said where it is needed
            continue
        out.append(_Trial(builder.compile((), outputs), tuple(entries)))
    return out


def _add(builder: Builder, outputs: list[Any], check: Check, world: str) -> slice:
    """Put what is tested, what may explain it and what it reads among the results."""
    start = len(outputs)
    wanted = [check.tested]
    wanted += [] if check.length is None else [check.length]
    wanted += [step.value for step in check.steps]
    outputs += builder.substitute(wanted, world, inside=_is_named(builder, check))
    outputs += [builder.value(name, world) for name in check.reads]
    return slice(start, len(outputs))


def _is_named(builder: Builder, check: Check) -> bool:
    """Whether what is tested is the whole expression of a Deterministic."""
    return builder.named.get(check.tested) == check.equation


@dataclass(frozen=True, eq=False)
class _Judge:
    """Refuses what fails, and says whose doing it is."""

    units: Units
    worlds: Mapping[str, Mapping[str, Intervention]]
    recomputed: frozenset[str]
    fresh: bool

    def __call__(self, entry: _Entry, values: list[np.ndarray]) -> None:
        check, here = entry.check, values[entry.here]
        if entry.natural is None:
            bad = fails(check, here, None)
            if np.any(bad):
                raise self._refusal(entry, here, bad)
            return
        natural = values[entry.natural]
        before = self._fails(check, natural, natural)
        if entry.world == NATURAL:
            if np.any(before):
                self._refuse_units(check, here, before)
            return
        bad = self._fails(check, here, natural) & ~before
        if np.any(bad):
            raise self._refusal(entry, here, bad)

    def _fails(self, check: Check, here: list[np.ndarray], natural: list[np.ndarray]) -> Array:
        """Return where a check fails, elementwise."""
        if natural is not here:
            return fails(check, here, natural)
        held = self.units.fit.columns
        own = not self.units.columns or any(
            np.any(np.asarray(held.get(n, 0), dtype=float) < 0) for n in check.reads
        )
        return fails(check, here, here if own else None)

    def _refuse_units(self, check: Check, here: list[np.ndarray], bad: np.ndarray) -> None:
        """Refuse units, or a model, for which an equation is not defined as they are."""
        given = {*self.units.columns, *self.units.latents, *self.units.structure.data}
        found, expected = failure(check, here, bad)
        drawn = [n for n in check.reads if n in self.recomputed]
        if (check.kind == "index" and not (drawn and self.fresh)) or (
            check.kind == "number" and self.units.columns and given >= set(check.reads)
        ):
            raise DataError(
                f"The equation of {check.equation!r} is not defined for the units as they are: "
                f"{found}.",
                expected=expected,
            )
        if check.kind in ("index", "number") and drawn and self.fresh:
            raise UndefinedEffectError(
                f"The equation of {check.equation!r} is not defined for values that the model "
                f"itself gives {', '.join(map(repr, drawn))}: {found}.",
                expected=expected,
                remedy=f"Give {drawn[0]!r} a distribution that stays where the equation is "
                "defined, or change the equation.",
            )

    def _refusal(self, entry: _Entry, here: list[np.ndarray], bad: np.ndarray) -> Exception:
        check, structure = entry.check, self.units.structure
        do = self.worlds[entry.world]
        mine = {
            n: act
            for n, act in do.items()
            if n in check.reads or structure.descendants([n]) & set(check.reads)
        }
        acts = ", ".join(act.describe(n) for n, act in (mine or do).items())
        found, expected = failure(check, here, bad)
        return InterventionError(
            f"do({acts}) is impossible: the equation of {check.equation!r} is not defined there, "
            f"for {found}.",
            expected=expected,
            remedy=self._remedy(check, mine),
        )

    def _remedy(self, check: Check, acts: Mapping[str, Intervention]) -> str:
        if check.kind == "spread":
            return (
                "Standardise by fixed numbers: take the mean and sd of the data once, and write "
                "them into the model as constants."
            )
        for name, act in acts.items():
            column = self.units.fit.columns.get(name)
            if isinstance(act, Set) and column is not None:
                seen = np.unique(np.asarray(column))
                few = len(seen) <= 12 and np.all(seen == np.round(seen))
                shown = (
                    ", ".join(f"{v:g}" for v in seen)
                    if few
                    else (f"{seen[0]:.4g} to {seen[-1]:.4g}")
                )
                return (
                    f"Name levels at which it is defined, by treated= and control= (0 where none "
                    f"is named): the units have {name} = {shown}."
                )
        return "Choose an intervention that stays where the equation is defined."
