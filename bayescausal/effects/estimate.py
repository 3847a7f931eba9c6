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

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, overload

import numpy as np

from bayescausal.effects.arithmetic import CHANGES_SIGN
from bayescausal.effects.as_estimand import as_estimands
from bayescausal.effects.averaging.flat_quantiles import flat_note, settled
from bayescausal.effects.averaging.heavy_tails import tail_notes
from bayescausal.effects.estimands.parsing import named_by_text
from bayescausal.effects.evaluation.extrapolation import support_notes
from bayescausal.effects.evaluation.inner_draws import Run
from bayescausal.effects.evaluation.levels import naming_undefined, refuse_unknown_labels
from bayescausal.effects.evaluation.planning import plan_run, share_plans
from bayescausal.effects.evaluation.population_units import is_binary, units_noun
from bayescausal.effects.evaluation.question import Question, resolve
from bayescausal.effects.evaluation.result import as_effect
from bayescausal.effects.evaluation.streamed import streamed_run
from bayescausal.effects.evaluation.verdict import asked_records, verdict
from bayescausal.effects.listed import Effects
from bayescausal.effects.unit_level.finite_bounds import seen_bounds
from bayescausal.effects.unit_level.individual import individual
from bayescausal.effects.unit_level.joint import causation, is_exact
from bayescausal.evaluation.measured import measured, recorded_notes
from bayescausal.inference.data.design_matrix import policy_reads, with_columns
from bayescausal.inference.data.dim_labels import with_labels, with_levels
from bayescausal.inference.given import as_fit
from bayescausal.inference.progress import showing
from bayescausal.inference.sampling.prior_and_truth import prior
from bayescausal.inference.stream.source_data import is_streamed
from bayescausal.model.graph_queries.graph_of_anything import question_in
from bayescausal.model.structure.design_matrix import whole_note
from bayescausal.types import BayesCausalError, IdentificationError, UnknownVariableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.evaluation.inner_draws import Plan
    from bayescausal.graph.identification.verdict import Identification
    from bayescausal.inference.record import Fit

__all__ = ["answer", "answers", "estimate", "fit_of", "labelled", "prepared"]

#: The fit that each effect was estimated from, for as long as both exist.
_FITS: weakref.WeakKeyDictionary[Effect, weakref.ref[Fit]] = weakref.WeakKeyDictionary()


def fit_of(effect: Effect) -> Fit | None:
    """Return the fit that an effect was estimated from.

    Returns: None if it was made otherwise, read from a file, or the fit is gone.
    """
    held = _FITS.get(effect)
    return None if held is None else held()


@overload
def estimate(
    fit: Fit,
    estimand: Estimand | Effect,
    *,
    seed: int | None = None,
    strict: bool = False,
    ignore_potentials: bool = False,
    progressbar: bool = True,
) -> Effect: ...


@overload
def estimate(
    fit: Fit,
    estimand: Sequence[Estimand | Effect],
    *,
    seed: int | None = None,
    strict: bool = False,
    ignore_potentials: bool = False,
    progressbar: bool = True,
) -> Effects: ...


def estimate(
    fit: Fit,
    estimand: Estimand | Effect | Sequence[Estimand | Effect],
    *,
    seed: int | None = None,
    strict: bool = False,
    ignore_potentials: bool = False,
    progressbar: bool = True,
) -> Effect | Effects:
    """Answer a causal question with a posterior.

    Of a censored or rounded outcome ``"T"`` (``pm.Censored``, a CustomDist that clips or rounds)
    the question is about the variable that was measured; ``"recorded(T)"`` names its record.

    Parameters
    ----------
    fit : Fit
        From :func:`bayescausal.fit`, :func:`bayescausal.prior` or :func:`bayescausal.truth`.
    estimand : Estimand or Effect, or a sequence of them
        What is asked; of an effect, what it answered.
    seed : int, optional
        Of the noise. Default: the fit's, so that separate calls share their noise. Questions of
        one list also share how many inner draws they take: laws hold draw by draw in it.
    strict : bool, default False
        Refuse what is not identified nonparametrically.
    ignore_potentials : bool, default False
        Go on although Potentials act on structural variables.
    progressbar : bool, default True
        Show a bar where it takes long (quantiles, many units with noise); short work shows none.

    Returns
    -------
    Effect, or Effects: a list of them
        ``effect.draws`` has dims chain, draw and one per ``by`` variable, dose or event dim.

    Raises
    ------
    FitMismatchError
        If there is no fit: a trace or a model alone, with what to do instead.
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
    fit = as_fit(fit, "estimate")
    asked = as_estimands(estimand)
    title = asked[0].label() if len(asked) == 1 else f"{len(asked)} questions"
    with showing(title, progressbar):
        effects = _estimate_all(fit, asked, seed, strict, ignore_potentials)
    return effects[0] if question_in(estimand) is not None else Effects(effects)


def _estimate_all(
    fit: Fit, estimands: list[Estimand], seed: int | None, strict: bool, ignore_potentials: bool
) -> list[Effect]:
    fit = _opened(fit, estimands)
    chosen = fit.seed if seed is None else int(seed)
    pairs = [(measured(fit, asked_records(each)), each) for each in estimands]
    verdicts = [_decide(own, each, strict) for own, each in pairs]
    with naming_undefined(fit, estimands):
        effects = _answers(pairs, chosen, ignore_potentials)
    return [
        _explained(fit, estimand, decided, effect, chosen)
        for estimand, decided, effect in zip(estimands, verdicts, effects, strict=True)
    ]


def _explained(
    fit: Fit, estimand: Estimand, decided: Identification | None, effect: Effect, seed: int
) -> Effect:
    """Return an answer with its verdict, and with what a reader must know of it."""
    notes = list(effect.notes)
    if decided is not None and not decided:
        notes.append(_unidentified(fit, estimand, effect, decided, seed))
    notes += [
        f"The equation of {each.equation} reads the noise of {each.of}, {each.of} minus its own "
        f"mean: it keeps the value that each unit has, and is no effect of {each.of}."
        for each in fit.structure.noise_readers
        if each.of in estimand.treatments
    ]
    notes += support_notes(fit, estimand)
    notes += whole_note(fit.structure, estimand.treatments)
    which = recorded_notes(fit, asked_records(estimand))
    notes += [" ".join(each) for each in which]
    done = replace(
        effect,
        estimand=estimand,  # as it was asked: a slope is evaluated with a step of the data's
        identification=decided,
        notes=tuple(notes),
        units=units_noun(fit.structure),
        kind=fit.kind,
        binary=is_binary(fit, estimand.outcome_name),
        measured=" ".join(first for first, _ in which) or None,
    )
    _FITS[done] = weakref.ref(fit)
    return done


def prepared(fit: Fit, estimand: Estimand) -> Fit:
    """Return the fit as a question reads it: vectors by columns, records as what was measured."""
    return measured(_opened(fit, [estimand]), asked_records(estimand))


def _opened(fit: Fit, estimands: Sequence[Estimand]) -> Fit:
    """Return the fit with the columns of vectors that questions name as variables."""
    fit.structure.refuse_constants()
    fit = with_levels(fit, {n for e in estimands for n in named_by_text(e)})
    labelled = with_labels(fit, [n for e in estimands for n in (*e.condition.reads, *e.by)])
    for estimand in estimands:
        for condition in (estimand.condition, *getattr(estimand, "arms", {}).values()):
            refuse_unknown_labels(labelled, condition)
    return with_columns(
        labelled, [n for e in estimands for n in (*e.names, *policy_reads(vars(e)))]
    )


def _decide(fit: Fit, estimand: Estimand, strict: bool) -> Identification | None:
    for name in estimand.names:
        _require(fit, estimand, name)
    decided = verdict(fit, estimand)
    if strict and not decided:
        raise IdentificationError(
            f"{estimand.label()} is not identified without a further assumption. "
            f"{decided.sentence() if decided is not None else ''}",
            remedy="Ask with strict=False for an answer that rests on the model's form.",
        )
    return decided


def _require(fit: Fit, estimand: Estimand, name: str) -> None:
    """Refuse a name that the model does not have; of units, a mask says what it cannot."""
    try:
        fit.structure.require(name)
    except UnknownVariableError as error:
        if name not in (*estimand.condition.reads, *estimand.by):
            raise
        raise UnknownVariableError(
            error.found,
            expected=error.expected,
            remedy=f"{error.remedy} A column that the model does not have picks units by a mask, "
            f"one boolean for each: given=(data[{name!r}] == level).",
            names=error.names,
        ) from None


def answer(fit: Fit, estimand: Estimand, seed: int, *, ignore_potentials: bool = False) -> Effect:
    """Return the number, without the verdict on what identifies it."""
    return answers(fit, [estimand], seed, ignore_potentials=ignore_potentials)[0]


def answers(
    fit: Fit, estimands: Sequence[Estimand], seed: int, *, ignore_potentials: bool = False
) -> list[Effect]:
    """Return the numbers of several questions, without the verdicts on what identifies them."""
    fit = _opened(fit, estimands)
    pairs = [(measured(fit, asked_records(each)), each) for each in estimands]
    with naming_undefined(fit, estimands):
        found = zip(_answers(pairs, seed, ignore_potentials), estimands, strict=True)
    return [e if e.estimand is asked else replace(e, estimand=asked) for e, asked in found]


def _answers(
    pairs: Sequence[tuple[Fit, Estimand]], seed: int, ignore_potentials: bool
) -> list[Effect]:
    """Return the numbers; questions on one outcome take the same inner draws.

    So identities between them (the total effect is the direct minus the reversed indirect one)
    hold draw by draw, and not only within Monte Carlo error.
    """
    streamed = is_streamed(pairs[0][0])
    works = [_work(fit, each, seed, ignore_potentials) for fit, each in pairs]
    simulated = {
        i: work
        for i, work in enumerate(works)
        if isinstance(work, Run) and not _is_closed(work.question)
    }
    plans = share_plans(
        {i: run.plan() if streamed else plan_run(run) for i, run in simulated.items()}, simulated
    )
    effects = []
    for i in range(len(works)):
        work = works.pop(0)  # what it holds of the draws goes before the next is evaluated
        if isinstance(work, Question):
            effect, signs = individual(work, seed), _signs(work, ())
            effects.append(replace(effect, notes=(*effect.notes, *signs)) if signs else effect)
        elif i in plans:
            simulated.pop(i)
            effects.append(_simulated(work, plans[i], streamed))
        else:
            effects.append(causation(work, None))
    return effects


def _work(fit: Fit, estimand: Estimand, seed: int, ignore_potentials: bool) -> Run | Question:
    """Return a question compiled, or only resolved where each unit has an answer of its own."""
    if is_streamed(fit):
        return streamed_run(fit, estimand, seed, ignore_potentials=ignore_potentials)
    question = resolve(fit, estimand, seed=seed, ignore_potentials=ignore_potentials)
    return question if estimand.strategy == "each unit" else Run.of(question, seed)


def _simulated(run: Run, plan: Plan, streamed: bool) -> Effect:
    """Return the answer from averages over the units and their noise."""
    question = run.question
    reduction = run.reduce(slice(0, question.fit.n_draws), plan.replicates, plan.units)
    run.refuse_empty(reduction)
    run.refuse_impossible()
    error, notes = run.error(reduction, plan), []
    if plan.flat:
        found = None if streamed else settled(run, reduction)
        notes = [] if found is not None else [flat_note(run, reduction)]
        reduction, error = (reduction, error) if found is None else (found, 0.0)
        plan = replace(plan, target=np.inf)
    notes += [] if run.exact else tail_notes(question, reduction, error)
    notes += [*_signs(question, reduction.total), *question.estimand.doubts(reduction.total)]
    effect = as_effect(run, run.combine(reduction.total), plan, error, notes)
    if question.estimand.strategy == "causation":
        return causation(run, effect)
    return seen_bounds(run, effect) if question.abducted and question.couplings else effect


def _signs(question: Question, numbers: ArrayLike) -> list[str]:
    """Warn of a ratio of numbers that have no natural zero: those of an outcome of both signs."""
    scale = getattr(question.estimand, "scale", None)
    if scale is None or scale.name not in ("ratio", "log ratio"):
        return []
    seen = [np.asarray(numbers, dtype=float)]
    column = question.fit.columns.get(question.outcome)
    if not question.estimand.functional.share and column is not None:
        seen += [np.asarray(column)] if np.asarray(column).dtype.kind in "iuf" else []
    if not any(bool((v < 0).any() and (v > 0).any()) for v in seen):
        return []
    return [CHANGES_SIGN.format(what=question.outcome)]


def _is_closed(question: Question) -> bool:
    """Whether a probability of causation has a closed form."""
    return question.estimand.strategy == "causation" and is_exact(question)


def _unidentified(
    fit: Fit, estimand: Estimand, effect: Effect, decided: Identification, seed: int
) -> str:
    """Say what an answer rests on that the data alone do not identify."""
    said = str(decided.sentence())
    if fit.kind != "posterior" or estimand.joint or decided.status == "under assumption":
        return said
    share = _contraction(fit, estimand, effect, seed)
    if share is None:
        return f"{said} The posterior rests on the prior and the model's form."
    return (
        f"{said} The posterior rests on the prior and the model's form: the data reduced the "
        f"prior variance of this effect by {max(share, 0.0):.0%}."
    )


def labelled(fit: Fit) -> dict[str, np.ndarray]:
    """Return the columns of a fit as data: categories by their labels."""
    return {
        name: np.asarray(fit.labels[name])[column] if name in fit.labels else column
        for name, column in fit.columns.items()
    }


def _contraction(fit: Fit, estimand: Estimand, effect: Effect, seed: int) -> float | None:
    r"""Return how far the posterior of an effect moved from its prior; None if not known.

    ``1 - Var(effect | data) / Var(effect)`` (posterior contraction [1]_), the smallest over the
    cells of the answer: near one if the data speak, near zero (or below) if the prior does.

    References
    ----------
    .. [1] M. Betancourt, "Towards a principled Bayesian workflow", 2020.
    """
    try:
        before = prior(
            fit.model, labelled(fit), draws=500, seed=seed, unit_dims=fit.structure.unit_dims
        )
        wide = answer(before, estimand, seed)
    except BayesCausalError:
        return None
    over = ("chain", "draw")
    ratio = effect.draws.var(over) / wide.draws.var(over)
    value = 1.0 - float(np.max(np.asarray(ratio)))
    return value if np.isfinite(value) else None
