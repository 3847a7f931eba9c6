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

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bayescausal.effects.causation import ITE, PN, PNS, PS
from bayescausal.effects.estimand import Estimand
from bayescausal.effects.finite_bounds import seen_bounds
from bayescausal.effects.individual import individual
from bayescausal.effects.joint import causation, is_exact
from bayescausal.effects.planning import plan_run, share_plans
from bayescausal.effects.present import as_effect, cells_of
from bayescausal.effects.question import Question, resolve
from bayescausal.effects.run import Run
from bayescausal.effects.streamed import streamed_run
from bayescausal.effects.support import support_notes
from bayescausal.effects.verdict import contraction, verdict
from bayescausal.inference.entries import policy_reads, with_columns
from bayescausal.inference.stream.held import is_streamed
from bayescausal.model.entries import whole_note
from bayescausal.types import (
    EstimandError,
    IdentificationError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.effect import Effect
    from bayescausal.graph.identification import Identification
    from bayescausal.inference.record import Fit

__all__ = ["answer", "answers", "estimate"]


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
    fit = _opened(fit, estimands)
    chosen = fit.seed if seed is None else int(seed)
    verdicts = [_decide(fit, each, strict) for each in estimands]
    effects = _answers(fit, estimands, chosen, ignore_potentials)
    finished = []
    for estimand, decided, effect in zip(estimands, verdicts, effects, strict=True):
        notes = list(effect.notes)
        if decided is not None and not decided:
            notes.append(_unidentified(fit, estimand, effect, decided, chosen))
        notes += support_notes(fit, estimand)
        notes += whole_note(fit.structure, estimand.treatments)
        finished.append(replace(effect, identification=decided, notes=tuple(notes), kind=fit.kind))
    return finished


def _opened(fit: Fit, estimands: Sequence[Any]) -> Fit:
    """Return the fit with the columns of vectors that questions name as variables."""
    fit.structure.refuse_constants()
    asked = [e for e in estimands if isinstance(e, Estimand)]
    if is_streamed(fit):
        return fit
    return with_columns(fit, [n for e in asked for n in (*e.names, *policy_reads(vars(e)))])


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


def answers(
    fit: Fit, estimands: Sequence[Estimand], seed: int, *, ignore_potentials: bool = False
) -> list[Effect]:
    """Return the numbers of several questions, without the verdicts on what identifies them."""
    return _answers(fit, list(estimands), seed, ignore_potentials)


def _answers(
    fit: Fit, estimands: list[Estimand], seed: int, ignore_potentials: bool
) -> list[Effect]:
    """Return the numbers; questions on one outcome take the same inner draws.

    So identities between them (the total effect is the direct minus the reversed indirect one)
    hold draw by draw, and not only within Monte Carlo error.
    """
    fit = _opened(fit, estimands)
    streamed = is_streamed(fit)
    runs: dict[int, Run] = {}
    if streamed:
        runs = {
            i: streamed_run(fit, each, seed, ignore_potentials=ignore_potentials)
            for i, each in enumerate(estimands)
        }
        questions = [run.question for run in runs.values()]
    else:
        questions = [resolve(fit, each, ignore_potentials=ignore_potentials, seed=seed)
                     for each in estimands]  # fmt: skip
    for i, question in enumerate(questions):
        if i not in runs and not isinstance(question.estimand, ITE):
            program, where = question.program()
            cells = cells_of(question, program, where, seed)
            runs[i] = Run(question, program, where, cells, seed)
    simulated = {i: run for i, run in runs.items() if not _is_closed(run.question)}
    planned = {i: run.plan() if streamed else plan_run(run) for i, run in simulated.items()}
    plans = share_plans(planned, simulated)
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
        effect = as_effect(run, values, plan, run.error(reduction, plan))
        if isinstance(question.estimand, PN | PS | PNS):
            effect = causation(run, effect)
        elif question.abducted and question.couplings:
            effect = seen_bounds(run, effect)
        effects.append(effect)
    return effects


def _is_closed(question: Question) -> bool:
    """Whether a probability of causation has a closed form."""
    return isinstance(question.estimand, PN | PS | PNS) and is_exact(question)


def _unidentified(fit: Fit, estimand: Estimand, effect: Effect, decided: Any, seed: int) -> str:
    """Say what an answer rests on that the data alone do not identify."""
    said = str(decided.sentence())
    coupled = isinstance(estimand, ITE | PN | PS | PNS)
    if fit.kind != "posterior" or coupled or decided.status == "under assumption":
        return said
    share = contraction(fit, estimand, effect, seed=seed)
    if share is None:
        return f"{said} The posterior rests on the prior and the model's form."
    return (
        f"{said} The posterior rests on the prior and the model's form: the data reduced the "
        f"prior variance of this effect by {max(share, 0.0):.0%}."
    )
