"""``estimate``: the one verb that answers every estimand.

Per posterior draw: (1) the outcome's distribution in each world is the mixture over the
population's units and their noise; (2) the functional is taken of that mixture; (3) the scale
combines the worlds. The interval is taken across draws of that number, never across units.

How many inner replicates of the noise are needed is found by a pilot on a few posterior draws:
they grow until the Monte Carlo error of one draw is below
``max(posterior sd / 10, 0.001 sd of the outcome)``, which inflates the posterior sd by less
than half a percent, or until a stated cap on the work.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.counterfactuals.noise import AbductedNoise
from bayescausal.counterfactuals.predict import impossible_note
from bayescausal.effects.averages import ATE, Association, Expected
from bayescausal.effects.causation import ITE, PN, PNS, PS
from bayescausal.effects.conditions import EVERYONE, Condition
from bayescausal.effects.curves import DoseResponse, Slope
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimand import Estimand
from bayescausal.effects.functionals import Probability
from bayescausal.effects.groups import ATT, ATU
from bayescausal.effects.individual import individual
from bayescausal.effects.joint import causation, is_exact
from bayescausal.effects.mediation import NDE, NIE, TE
from bayescausal.effects.question import Question, resolve
from bayescausal.effects.reduce import Cell, Reduction, reduce_question
from bayescausal.effects.verdict import contraction, verdict
from bayescausal.model.support import support_of
from bayescausal.types import (
    DataError,
    EmptySubgroupError,
    EstimandError,
    IdentificationError,
    Set,
    UndefinedEffectError,
)
from bayescausal.worlds.noise import FreshNoise, replicates_per_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.graph.identification import Identification
    from bayescausal.inference.record import Fit
    from bayescausal.worlds.program import Program

__all__ = ["answer", "estimate"]

#: Posterior draws of the pilot.
PILOT_DRAWS = 64
#: Batches of inner replicates, from which the Monte Carlo error is read.
BATCHES = 8
#: Cap on draws x units x replicates.
WORK = 400_000_000
#: Levels that `by` may have.
LEVELS = 200


def estimate(
    fit: Fit,
    estimand: Estimand | Sequence[Estimand],
    *,
    seed: int | None = None,
    strict: bool = False,
    ignore_potentials: bool = False,
) -> Any:
    """Answer a causal question with a posterior.

    Parameters
    ----------
    fit : Fit
        From :func:`bayescausal.fit`, :func:`bayescausal.prior` or :func:`bayescausal.truth`.
    estimand : Estimand or sequence of Estimand
        What is asked.
    seed : int, optional
        Of the noise. Default: the fit's, so that separate calls share their noise. Questions of
        one list also share how many inner draws they take: laws hold draw by draw in it.
    strict : bool, default False
        Refuse what is not identified nonparametrically.
    ignore_potentials : bool, default False
        Go on although Potentials act on structural variables.

    Returns
    -------
    Effect or list of Effect
        ``effect.draws`` has dims chain, draw and one per ``by`` variable, dose or event dim.

    Raises
    ------
    EstimandError
        If the question is not well posed for this model.
    EmptySubgroupError
        If no unit belongs to the subgroup.
    UndefinedEffectError
        If the functional or scale does not exist, with what to ask instead.
    UnknownVariableError, InterventionError, DataError, PotentialError
        If a name, level, population or model does not allow the question.
    IdentificationError
        With ``strict=True``, if the effect is not identified.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     b = pm.Normal("b", 0, 1)
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> bc.estimate(bc.truth(model, {"b": 2}), bc.ATE("x", "y")).mean()
    2.0
    """
    if isinstance(estimand, Estimand):
        return _estimate_all(fit, [estimand], seed, strict, ignore_potentials)[0]
    if isinstance(estimand, str) or not hasattr(estimand, "__iter__"):
        raise EstimandError(
            f"Found {estimand!r} where a question is needed.",
            expected="an estimand, such as ATE('treatment', 'outcome'), or a list of them.",
        )
    return _estimate_all(fit, list(estimand), seed, strict, ignore_potentials)


def _estimate_all(
    fit: Fit, estimands: list[Estimand], seed: int | None, strict: bool, ignore_potentials: bool
) -> list[Effect]:
    chosen = fit.seed if seed is None else int(seed)
    verdicts = [_decide(fit, each, strict) for each in estimands]
    effects = _answers(fit, estimands, chosen, ignore_potentials)
    finished = []
    for estimand, decided, effect in zip(estimands, verdicts, effects, strict=True):
        notes = list(effect.notes)
        if decided is not None and not decided:
            notes.append(_unidentified(fit, estimand, effect, decided, chosen))
        finished.append(replace(effect, identification=decided, notes=tuple(notes)))
    return finished


def _decide(fit: Fit, estimand: Estimand, strict: bool) -> Identification | None:
    if not isinstance(estimand, Estimand):
        raise EstimandError(
            f"Found {estimand!r} where an estimand is needed.",
            expected="a value such as ATE('treatment', 'outcome').",
        )
    for name in estimand.names:
        fit.structure.require(name)
    decided = verdict(fit, estimand)
    if strict and not decided:
        raise IdentificationError(
            f"{estimand.label()} is not identified without a further assumption. "
            f"{decided.sentence() if decided is not None else ''}",
            remedy="Ask with strict=False for an answer that rests on the model's form.",
        )
    return decided


def answer(fit: Fit, estimand: Estimand, seed: int, *, ignore_potentials: bool = False) -> Effect:
    """Return the number, without the verdict on what identifies it."""
    return _answers(fit, [estimand], seed, ignore_potentials)[0]


def _answers(
    fit: Fit, estimands: list[Estimand], seed: int, ignore_potentials: bool
) -> list[Effect]:
    """Return the numbers; questions on one outcome take the same inner draws.

    So identities between them (the total effect is the direct minus the reversed indirect one)
    hold draw by draw, and not only within Monte Carlo error.
    """
    questions = [resolve(fit, each, ignore_potentials=ignore_potentials, seed=seed)
                 for each in estimands]  # fmt: skip
    runs: dict[int, _Run] = {}
    for i, question in enumerate(questions):
        if not isinstance(question.estimand, ITE):
            program, where = question.program()
            cells = _cells(question, program, where, seed)
            runs[i] = _Run(question, program, where, cells, seed)
    simulated = {i: run for i, run in runs.items() if not _is_closed(run.question)}
    plans = _shared({i: _plan(run) for i, run in simulated.items()}, simulated)
    effects = []
    for i, question in enumerate(questions):
        if i not in runs:
            effects.append(individual(question, seed))
            continue
        run = runs.pop(i)
        if i not in plans:
            effects.append(causation(run, None))
            continue
        plan = plans[i]
        reduction = run.reduce(slice(0, fit.n_draws), plan.replicates)
        run.refuse_empty(reduction)
        run.refuse_impossible()
        values = run.combine(reduction.total)
        effect = _effect(run, values, plan, run.error(reduction, plan))
        ask = question.estimand
        effects.append(causation(run, effect) if isinstance(ask, PN | PS | PNS) else effect)
    return effects


def _is_closed(question: Question) -> bool:
    """Whether a probability of causation has a closed form."""
    return isinstance(question.estimand, PN | PS | PNS) and is_exact(question)


#: Questions that one identity ties together: they take the same inner draws, asked together or not.
_FAMILIES: tuple[tuple[type, ...], ...] = ((TE, NDE, NIE), (ATE, ATT, ATU))


def _plan(run: _Run) -> _Plan:
    """Plan a question, with the most replicates that any question of its family needs."""
    plan, question = run.plan(), run.question
    if run.exact:
        return plan
    for relative in _relatives(question):
        try:
            other = resolve(question.fit, relative, ignore_potentials=True, seed=run.seed)
            program, where = other.program()
            sibling = _Run(other, program, where, _cells(other, program, where, run.seed), run.seed)
            wanted = sibling.plan().replicates
        except EstimandError:
            continue
        plan = replace(plan, replicates=max(plan.replicates, wanted))
    return plan


def _relatives(question: Question) -> list[Estimand]:
    """Return the other questions of the family, all else equal, where the identity holds."""
    estimand = question.estimand
    if isinstance(estimand, ATE | ATT | ATU) and not _two_valued(question):
        return []
    family = next((f for f in _FAMILIES if type(estimand) in f), ())
    if not family or estimand.population.name == "target":
        return []
    shared = ("treated", "control", "scale", "given", "population", "functional", "by")
    fields = {n: getattr(estimand, n) for n in shared}
    fields["given"] = estimand.given or None
    if TE in family:
        fields["mediators"] = getattr(estimand, "mediators", None)
    found: list[Estimand] = []
    for kind in family:
        options = dict(fields)
        if kind is TE:
            options.pop("mediators")
        for reverse in (False, True) if kind is NIE else (False,):
            if kind is NIE:
                options["reverse"] = reverse
            if kind is type(estimand) and reverse == getattr(estimand, "reverse", False):
                continue
            found.append(kind(estimand.treatment, estimand.outcome, **options))  # type: ignore[call-arg,attr-defined]
    return found


def _two_valued(question: Question) -> bool:
    """Whether the treatment is set to the two values that it can take."""
    structure = question.structure
    for name in question.estimand.treatments:
        if name not in structure.random or name in structure.imputed:
            return False
        support = support_of(structure.variable(name))
        if not (support.integer and np.all(support.lower == 0) and np.all(support.upper == 1)):
            return False
    acts = [act for arm in question.estimand.worlds().values() for act in arm.values()]
    return bool(acts) and all(isinstance(act, Set) for act in acts)


def _shared(plans: dict[int, _Plan], runs: dict[int, _Run]) -> dict[int, _Plan]:
    """Give questions on the same outcome and population the most replicates of any of them.

    Those whose noise cancels between their worlds need no more than they have.
    """
    keys = {
        i: (run.question.outcome, run.question.population, run.inner, run.question.abducted)
        for i, run in runs.items()
        if np.max(plans[i].variance) > (1e-6 * plans[i].target) ** 2
    }
    most: dict[Any, int] = {}
    for i, key in keys.items():
        most[key] = max(most.get(key, 0), plans[i].replicates)
    return {
        i: replace(plan, replicates=most[keys[i]]) if i in keys else plan
        for i, plan in plans.items()
    }


def _unidentified(fit: Fit, estimand: Estimand, effect: Effect, decided: Any, seed: int) -> str:
    """Say what an answer rests on that the data alone do not identify."""
    said = str(decided.sentence())
    if fit.kind != "posterior":
        return said
    share = contraction(fit, estimand, effect, seed=seed)
    if share is None:
        return f"{said} The posterior rests on the prior and the model's form."
    return (
        f"{said} The posterior rests on the prior and the model's form: the data reduced the "
        f"prior variance of this effect by {max(share, 0.0):.0%}."
    )


@dataclass(frozen=True)
class _Plan:
    """How many replicates, and what the pilot knows of the error of one."""

    replicates: int
    variance: np.ndarray | float
    target: float
    capped: bool


@dataclass(eq=False)
class _Run:
    question: Question
    program: Program
    where: dict[str, int]
    cells: list[Cell]
    seed: int

    @property
    def exact(self) -> bool:
        """Whether nothing in the answer is simulated."""
        if not self.question.abducted:
            return not self.program.noise
        return not any(self.noise.discrete(i.name) for i in self.program.noise)

    @cached_property
    def noise(self) -> Any:
        """The source of the noise: fresh, or that of each unit."""
        if self.question.abducted:
            return AbductedNoise(self.question.units, self.seed, self.question.couplings)
        return FreshNoise(self.seed)

    @property
    def inner(self) -> int:
        return 1 if self.exact else replicates_per_group(self.question.units.count)

    def reduce(self, draws: slice, replicates: int) -> Reduction:
        """Evaluate the question for some draws."""
        inner = min(self.inner, replicates)
        return reduce_question(
            self.question,
            self.program,
            self.where,
            self.cells,
            draws,
            self.noise,
            replicates=replicates,
            inner=inner,
            batches=BATCHES,
            seed=self.seed,
        )

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Combine arms, the first axis, on the estimand's scale."""
        estimand = self.question.estimand
        if isinstance(estimand, Expected | PS | PNS):
            return values[0]
        if isinstance(estimand, PN):
            return 1.0 - values[0]
        scale = estimand.scale  # type: ignore[attr-defined]
        if isinstance(estimand, DoseResponse):
            if estimand.control is None:
                return values
            return np.stack([scale.combine(v, values[-1]) for v in values[:-1]])
        result = np.asarray(scale.combine(values[0], values[1]))
        return result / estimand.divisor if isinstance(estimand, Slope) else result

    def plan(self) -> _Plan:
        """Find the number of inner replicates by a pilot on a few draws."""
        if self.exact:
            return _Plan(1, 0.0, 0.0, False)
        total, units = self.question.fit.n_draws, self.question.units.count
        many = max(4, min(PILOT_DRAWS, 20_000_000 // max(units * 8, 1)))
        step = max(total // min(many, total), 1)
        replicates = max(self.inner, BATCHES if units * BATCHES <= 4_000_000 else 2)
        if total < 8:
            replicates = max(replicates, 64 * BATCHES)
        replicates = -(-replicates // self.inner) * self.inner
        pilot = self.reduce(slice(0, total, step), replicates)
        self.refuse_empty(pilot)
        variance = self.variance(pilot) * replicates
        answer = self.combine(pilot.total)
        axis = self._draw_axis
        posterior = 0.0
        if answer.shape[axis] >= 8:
            noise = variance / replicates
            spread = np.var(answer, axis=axis, ddof=1) - noise
            posterior = float(np.sqrt(np.clip(np.min(spread), 0.0, None)))
        target = max(posterior / 10, 1e-3 * self._outcome_sd(pilot) * self._unit)
        worst = float(np.max(variance))
        none = worst == 0 or target == 0  # nothing varies but by rounding
        wanted = 1 if none else int(np.ceil(worst / target**2))
        cap = max(WORK // max(total * units, 1), 1)
        used = max(min(wanted, cap), 1)
        used = -(-used // self.inner) * self.inner
        return _Plan(used, variance, target, wanted > used)

    def _outcome_sd(self, pilot: Reduction) -> float:
        """Return the sd of the outcome: what was averaged may be means, which vary less."""
        question = self.question
        spread = pilot.spread
        binary = isinstance(question.estimand.functional, Probability)
        if question.outcome in question.structure.random and not binary:
            support = support_of(question.structure.variable(question.outcome))
            binary = bool(np.all(support.lower == 0) and np.all(support.upper == 1))
            binary = binary and support.integer
            column = question.fit.columns.get(question.outcome)
            if column is not None and column.dtype.kind in "biuf":
                spread = max(spread, float(np.nanstd(column)))
        if binary:
            p = np.clip(pilot.total, 0.0, 1.0)
            spread = max(spread, float(np.sqrt(np.nanmean(p * (1 - p)))))
        return spread

    @property
    def _unit(self) -> float:
        """How a change of the outcome's mean shows in the answer."""
        estimand = self.question.estimand
        return 1.0 / estimand.divisor if isinstance(estimand, Slope) else 1.0

    @property
    def _draw_axis(self) -> int:
        return 2 if isinstance(self.question.estimand, DoseResponse) else 1

    def variance(self, reduction: Reduction) -> np.ndarray:
        """Return the variance of the answer of one draw, from the spread of the batches."""
        count = reduction.batches.shape[2]
        if count < 2:
            return np.zeros(())
        with np.errstate(invalid="ignore", divide="ignore"):
            try:
                each = np.stack([self.combine(reduction.batches[:, :, b]) for b in range(count)])
            except UndefinedEffectError:
                return self._delta(reduction)
            spread = np.nanvar(each, axis=0, ddof=1) / count
        return np.asarray(np.nanmean(spread, axis=self._draw_axis))

    def _delta(self, reduction: Reduction) -> np.ndarray:
        """Return the variance by the delta method, where a batch alone has no answer."""
        count = reduction.batches.shape[2]
        centre = self.combine(reduction.total)
        each = []
        for b in range(count):
            left = reduction.total * count - np.nan_to_num(reduction.batches[:, :, b])
            each.append(self.combine(left / (count - 1)))
        spread = ((np.stack(each) - centre) ** 2).sum(axis=0) * (count - 1) / count
        return np.asarray(np.nanmean(spread, axis=self._draw_axis))

    def error(self, reduction: Reduction, plan: _Plan) -> Any:
        """Return the Monte Carlo error of one draw's answer."""
        if self.exact:
            return 0.0
        count = reduction.batches.shape[2]
        few = self.question.fit.n_draws * max(count - 1, 0) < 50
        if few:
            return np.sqrt(np.asarray(plan.variance) / plan.replicates)
        return np.sqrt(self.variance(reduction))

    def laid(self, values: np.ndarray) -> xr.DataArray:
        """Return one number per cell and draw, (cell, draw), in named dims."""
        sizes = self.question.fit.posterior.sizes
        by = self.question.by
        levels = [list(dict.fromkeys(c.labels[i] for c in self.cells)) for i in range(len(by))]
        shape = [*(len(v) for v in levels), int(sizes["chain"]), int(sizes["draw"])]
        array = xr.DataArray(
            np.asarray(values).reshape(shape),
            dims=(*by, "chain", "draw"),
            coords=dict(zip(by, levels, strict=True)),
        )
        return array.transpose("chain", "draw", *by)

    def blank(self, draws: xr.DataArray, error: float) -> Effect:
        """Return an effect with all but bounds, from its draws."""
        return Effect(
            draws=draws,
            estimand=self.question.estimand,
            mc_error=error,
            seed=self.seed,
            population=self.question.words,
            notes=_notes(self, _Plan(1, 0.0, 0.0, False), error),
        )

    def refuse_impossible(self) -> None:
        """Refuse units whose evidence the model calls impossible."""
        if self.question.abducted:
            note = impossible_note(self.noise, self.question.units)
            if note:
                raise DataError(note, remedy="Leave these units out, or check the model.")

    def refuse_empty(self, reduction: Reduction) -> None:
        """Refuse a subgroup without a unit, with the counts."""
        question = self.question
        for c, cell in enumerate(self.cells):
            for a, arm in enumerate(question.arms):
                empty = int(np.sum(reduction.size[a, c] <= 0))
                if not empty:
                    continue
                total = reduction.size.shape[2]
                condition = (arm.condition & cell.condition).describe()
                count = question.units.count
                found = f"0 of {count:,} units have {condition}"
                if empty < total:
                    found = f"In {empty} of {total} posterior draws no unit has {condition}"
                raise EmptySubgroupError(
                    f"{found}.",
                    expected="at least one unit in every draw.",
                    remedy="Widen the condition"
                    + (" to a range (low, high)." if "=" in condition else "."),
                )


def _cells(question: Question, program: Program, where: dict[str, int], seed: int) -> list[Cell]:
    """Return the subgroups that `by` asks for; one cell for everyone without it."""
    if not question.by:
        return [Cell((), EVERYONE)]
    levels = []
    for name in question.by:
        found = _levels(question, name, program, where, seed)
        if len(found) > LEVELS:
            raise EstimandError(
                f"by={name!r} has {len(found)} values.",
                expected=f"at most {LEVELS}: a discrete variable.",
                remedy="Ask for ranges with given={...}, one at a time.",
            )
        levels.append(found)
    return [
        Cell(
            labels,
            Condition(tuple((n, _plain(v)) for n, v in zip(question.by, labels, strict=True))),
        )
        for labels in itertools.product(*levels)
    ]


def _levels(
    question: Question, name: str, program: Program, where: dict[str, int], seed: int
) -> list[Any]:
    labels = question.fit.labels.get(name)
    units = question.units
    if name not in question.recomputed and not units.fresh:
        values = np.unique(units.value(name, slice(0, question.fit.n_draws)))
    else:
        from bayescausal.worlds.evaluate import evaluate

        step = max(question.fit.n_draws // 16, 1)
        found = [
            np.unique(b.values[where[name]])
            for b in evaluate(
                program, units, slice(0, question.fit.n_draws, step), FreshNoise(seed)
            )
        ]
        values = np.unique(np.concatenate(found))
    if labels:
        return [labels[int(v)] for v in values]
    return [_plain(v) for v in values]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _effect(run: _Run, answer: np.ndarray, plan: _Plan, error: Any) -> Effect:
    """Put the answer into named dims, with words."""
    question = run.question
    estimand, fit = question.estimand, question.fit
    sizes = fit.posterior.sizes
    shape = (int(sizes["chain"]), int(sizes["draw"]))
    curve = isinstance(estimand, DoseResponse)
    cells, by = len(run.cells), question.by
    levels = [list(dict.fromkeys(c.labels[i] for c in run.cells)) for i in range(len(by))]
    lead = (len(estimand.values),) if curve else ()  # type: ignore[attr-defined]
    event = answer.shape[len(lead) + 2 :]
    grid = tuple(len(v) for v in levels)
    array = answer.reshape(*lead, *(grid or (cells,)), *shape, *event)
    if not by:
        array = array.reshape(*lead, *shape, *event)
    dims = [estimand.treatments[0]] if curve else []
    dims += [*by, "chain", "draw"]
    names = _event_dims(run, len(event))
    coords: dict[str, Any] = dict(zip(by, levels, strict=True))
    if curve:
        coords[estimand.treatments[0]] = list(estimand.values)  # type: ignore[attr-defined]
    coords.update({n: list(v) for n, v in _event_coords(run, names).items()})
    draws = xr.DataArray(array, dims=(*dims, *names), coords=coords)
    rest = [d for d in draws.dims if d not in ("chain", "draw")]
    draws = draws.transpose("chain", "draw", *rest)
    return Effect(
        draws=draws,
        estimand=estimand,
        identification=None,
        mc_error=_shaped_error(error, draws, rest, lead, grid, event),
        seed=run.seed,
        population=question.words,
        notes=_notes(run, plan, error),
    )


def _shaped_error(
    error: Any, draws: xr.DataArray, rest: list[Any], lead: Any, grid: Any, event: Any
) -> Any:
    array = np.asarray(error, dtype=float)
    if not rest:
        return float(array.reshape(-1)[0]) if array.size == 1 else float(np.max(array))
    if array.size == 1:
        return float(array.reshape(-1)[0])
    shaped = array.reshape(*lead, *grid, *event)
    return xr.DataArray(
        shaped, dims=rest, coords={d: draws.coords[d] for d in rest if d in draws.coords}
    )


def _event_dims(run: _Run, count: int) -> list[str]:
    if not count:
        return []
    dims = run.program.dims[0]
    event = [d for d in dims if d not in run.question.structure.unit_dims]
    return [d if d is not None else f"{run.question.outcome}_dim_{i}" for i, d in enumerate(event)]


def _event_coords(run: _Run, names: list[str]) -> dict[str, Any]:
    coords = run.question.structure.model.coords
    return {n: coords[n] for n in names if coords.get(n) is not None}


def _notes(run: _Run, plan: _Plan, error: Any) -> tuple[str, ...]:
    question, estimand = run.question, run.question.estimand
    notes = list(question.notes)
    notes += question.assumptions(run.program)
    mixed = question.structure.mixes(run.program.names)
    if mixed:
        notes.append(
            f"Units touch ({next(iter(mixed.values()))}): the intervention acts on all at once."
        )
    scale = getattr(estimand, "scale", None)
    if scale is not None and not scale.collapsible and not isinstance(estimand, Slope):
        notes.append(
            f"The {scale.name} is marginal and not collapsible: it is no average of subgroups' "
            "values."
        )
    worst = float(np.max(np.asarray(error)))
    if plan.capped or worst > 1.5 * plan.target > 0:
        cap = f" the cap of {plan.replicates} inner draws was reached" if plan.capped else ""
        notes.append(
            f"The Monte Carlo error of one draw, {worst:.2g}, is above its target of "
            f"{plan.target:.2g}{';' if cap else ''}{cap}."
        )
    latent = [n for n in question.fit.latent if n in run.program.names]
    if latent and not question.units.fresh:
        notes.append(f"Latent, drawn from the {question.fit.kind}: {', '.join(latent)}.")
    if isinstance(estimand, Association):
        notes.append("An association: what is seen, not what would be done.")
    return tuple(notes)
