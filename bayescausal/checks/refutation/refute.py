r"""Attempts to refute an answer: change the data so that the right answer is known, and refit.

If the treatment is shuffled there is no effect to find; if the outcome is simulated its effect is
known; if a few units are left out little should change. An answer that does not behave so was not
made by the treatment. The reverse does not hold: an omitted common cause passes most of this, since
no shuffled or simulated data know of it. Only a negative control (and knowledge) speaks of that
[1]_.

By which rule one fails stands in :mod:`~bayescausal.checks.refutation.rule`.

References
----------
.. [1] M. Lipsitch, E. Tchetgen Tchetgen and T. Cohen, "Negative controls: a tool for detecting
   confounding and bias in observational studies", Epidemiology 21 (2010), 383-388.
.. [2] A. Sharma and E. Kiciman, "DoWhy: an end-to-end library for causal inference", 2020,
   arXiv:2011.04216 (refuters).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.refutation.data import why_units_touch
from bayescausal.checks.refutation.refits import Refits, Trial
from bayescausal.checks.refutation.refutations import REFUTATIONS
from bayescausal.checks.refutation.rule import finding, table_of
from bayescausal.draws.check import Check
from bayescausal.draws.digits import significant
from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.estimate import answer
from bayescausal.effects.evaluation.verdict import asked_records
from bayescausal.evaluation.measured import measured, plain_name
from bayescausal.figures.checks.refutation import plot_refutation
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.fit import check_keywords, resolve_seed
from bayescausal.inference.given import as_fit
from bayescausal.model.labels import in_order
from bayescausal.types import DataError, EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from bayescausal.checks.refutation.refutation import Refutation
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = ["refute"]

#: How many times as many refits a borderline refutation is made again with, and their seeds' place.
AGAIN, FAR = 3, 100_003

MEANING = {
    "pass": "The answer behaves as one that the treatment made. A common cause that nobody "
    "measured would pass too: see hidden_confounder.",
    "warn": "A refutation is borderline, also when made again with more refits. Look at what it "
    "says before the answer is used.",
    "fail": "The answer does what one made by the treatment would not do. Mend that before it is "
    "used.",
    "undecided": "Too few refutations could be made: nothing is known from them either way.",
}


def refute(
    fit: Fit,
    estimand: Estimand | Effect,
    *,
    tests: str | Sequence[str] | None = None,
    clusters: str | ArrayLike | None = None,
    negative_control: str | ArrayLike | None = None,
    common_cause: str | ArrayLike | None = None,
    replicates: int = 10,
    share: float = 0.5,
    level: float = 0.05,
    method: str = "auto",
    draws: int = 500,
    chains: int = 2,
    seed: int | None = None,
    **sampler: Any,
) -> Check:
    """Try to refute an answer.

    Parameters
    ----------
    fit : Fit
        A posterior with data.
    estimand : Estimand
        A question with one number as its answer, and a value that means no effect.
    tests : str or sequence of str, optional
        Which refutations: ``"permuted"`` and ``"redrawn"`` (placebo treatments),
        ``"common_cause"``, ``"zero"`` and ``"planted"`` (simulated outcomes), ``"subset"``,
        ``"bootstrap"``, ``"clusters"``, ``"negative_control"``, ``"dummy_outcome"`` (the outcome,
        shuffled). Default: all but the last; those of clusters and of a negative control if their
        data are given.
    clusters : str or array_like, optional
        Name of a column, or a label per unit: each cluster is left out in turn (of more than 40,
        the largest).
    negative_control : str or array_like, optional
        An outcome that the treatment cannot change and that shares its causes with the outcome:
        values per unit, or the name of a column. It takes the place of the outcome; on a
        continuous scale it is brought to the outcome's mean and sd.
    common_cause : str or array_like, optional
        A candidate confounder in the place of noise.
    replicates : int
        Refits of each refutation.
    share : float
        Of the units, in a subset.
    level : float
        The probability that a right model fails any of them.
    method, draws, chains
        Of the refits, as in :func:`bayescausal.fit`.
    seed : int, optional
        Same seed, same answer. Default: the fit's.
    **sampler
        Further options of the refits.

    Returns
    -------
    Check
        Its table has a row per refutation: ``expected``, ``found`` (mean over refits), ``shift``
        (its typical size, in posterior sd of the effect), ``allowed`` (the largest shift that
        passes, so that a row passes just where its shift is below), ``refits``, ``p_value``,
        ``verdict``, and in words what ``passing`` and ``failing`` mean.
        ``values["refits"]`` has every refit, ``values["effect"]`` the answer that is refuted.

    Raises
    ------
    EstimandError
        If the question has several numbers, or an option is not known.
    MixingError
        If a subset, a bootstrap or clusters are asked for by name, and units depend on each other.
    DataError
        If the values of an argument do not fit the units.

    References
    ----------
    M. Lipsitch, E. Tchetgen Tchetgen and T. Cohen, "Negative controls: a tool for detecting
    confounding and bias in observational studies", Epidemiology 21 (2010), 383-388.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     z = pm.Normal("z", 0, 1, dims="unit")
    ...     x = pm.Normal("x", z, 1, dims="unit")
    ...     b, c = pm.Normal("b"), pm.Normal("c")
    ...     y = pm.Normal("y", b * x + c * z, 1, dims="unit")
    >>> data = bc.simulate(model, {"b": 0.5, "c": 1.0}, units=200, seed=1)
    >>> fit = bc.fit(model, data, draws=500, seed=1, progressbar=False)
    >>> bc.refute(fit, bc.ATE("x", "y"), tests=["permuted", "planted"], replicates=4).verdict
    'pass'
    """
    fit, estimand = as_fit(fit, "refute"), as_estimand(estimand)
    _check_options(replicates, share, level)
    check_keywords(sampler, own=["sampler"])
    values = {
        "clusters": clusters,
        "negative_control": negative_control,
        "common_cause": common_cause,
    }
    coords = {} if fit.data is None else fit.data.coords
    values = {
        name: in_order(value, fit.structure.unit_dims, coords, f"{name}=")
        for name, value in values.items()
        if value is not None
    }
    chosen = _chosen(tests, values)
    fit = with_columns(fit, getattr(estimand, "names", ()))
    _check_question(fit, estimand)
    if tests is not None and any(refutation.resamples for refutation in chosen):
        touch = why_units_touch(fit)
        if touch is not None:
            raise touch
    outcome = plain_name(estimand.outcome_name)
    given = {
        refutation.name: refutation.prepare(fit, values[refutation.name], outcome)
        for refutation in chosen
        if refutation.name in values
    }
    seed = fit.seed if seed is None else resolve_seed(seed)
    effect = answer(fit, estimand, fit.seed)
    if effect.dims or effect.null is None:
        raise EstimandError(
            f"{estimand.label()} has no single number with a value that means no effect.",
            expected="A contrast such as ATE('treatment', 'outcome').",
            remedy="Ask for one dose, one subgroup or one contrast.",
        )
    options = {"method": method, "draws": draws, "chains": chains, **sampler}
    mean, sd = float(effect.draws.mean()), float(effect.draws.std(ddof=1))
    if not sd > 0:
        raise EstimandError(
            f"{estimand.label()} has the same value in every draw, {mean:g}: nothing was learned.",
            expected="A posterior.",
        )
    refits = Refits(fit, estimand, mean, sd, effect.null, replicates, share, seed, options, given)
    trials = [refutation.run(refits) for refutation in chosen]
    table = table_of(trials, sd, level)
    again = [
        _made_again(refutation, refits, trial)
        if table.loc[refutation.title, "verdict"] == "warn" and refutation.varies(refits)
        else trial
        for refutation, trial in zip(chosen, trials, strict=True)
    ]
    return _record(refits, effect, table_of(again, sd, level), again, level, (trials, table))


# ------------------------------------------------------------------------------- private


def _check_options(replicates: int, share: float, level: float) -> None:
    whole = isinstance(replicates, int | np.integer) and not isinstance(replicates, bool)
    if not whole or replicates < 1:
        raise EstimandError(f"replicates={replicates!r}.", expected="A whole number of 1 or more.")
    for name, value in (("share", share), ("level", level)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise EstimandError(f"{name}={value!r}.", expected="A number between 0 and 1.")


def _made_again(refutation: Refutation, refits: Refits, trial: Trial) -> Trial:
    """Make a borderline refutation again with more refits."""
    more = replace(refits, replicates=AGAIN * refits.replicates, seed=refits.seed + FAR)
    made = refutation.run(more)
    return made if made.found else trial


def _chosen(tests: str | Sequence[str] | None, values: Mapping[str, object]) -> list[Refutation]:
    """Return the refutations that are asked for, in their order."""
    if tests is None:
        return [
            refutation
            for refutation in REFUTATIONS.values()
            if refutation.by_default and (refutation.name in values or not refutation.needs_values)
        ]
    names = [tests] if isinstance(tests, str) else list(tests)
    for name in names:
        if name not in REFUTATIONS:
            raise EstimandError(
                f"{name!r} is not a refutation.",
                expected=f"one of {', '.join(REFUTATIONS)}.",
                names=closest(str(name), REFUTATIONS)[:1],
            )
        if REFUTATIONS[name].needs_values and name not in values:
            raise DataError(f"The refutation {name!r} needs {name}=.", expected="Its values.")
    return [REFUTATIONS[name] for name in dict.fromkeys(names)]


def _check_question(fit: Fit, estimand: Estimand) -> None:
    if fit.kind != "posterior" or fit.data is None:
        raise EstimandError(
            f"A {fit.kind} without a posterior cannot be refuted.", expected="A fit to data."
        )
    structure = measured(fit, asked_records(estimand)).structure
    for name in estimand.names:
        structure.require(name)
    for name in (*estimand.treatments, estimand.outcome_name):
        if plain_name(name) not in fit.columns:
            raise EstimandError(
                f"{name!r} was not observed, so it cannot be shuffled, redrawn or simulated.",
                expected="An observed treatment and an observed outcome.",
            )
    if not estimand.treatments:
        raise EstimandError(
            f"{estimand.label()} names no treatment.", expected="A question about a treatment."
        )


def _record(
    refits: Refits,
    effect: Effect,
    table: pd.DataFrame,
    trials: Sequence[Trial],
    level: float,
    before: tuple[Sequence[Trial], pd.DataFrame],
) -> Check:
    notes = []
    for trial, first in zip(trials, before[0], strict=True):
        title = REFUTATIONS[trial.name].title
        if trial is not first:
            p = float(before[1]["p_value"][title])
            notes.append(
                f"{title}: borderline with {len(first.found)} refits (p = {significant(p, 2)}), so "
                f"it was made again; the {len(trial.found)} new refits decide."
            )
        if trial.refused:
            notes.append(f"{title}: not tried. {trial.refused}")
        elif trial.failed:
            many = len(trial.failed) + len(trial.found)
            notes.append(f"{title}: {len(trial.failed)} of {many} refits failed. {trial.failed[0]}")
    tried = table[table["verdict"] != "undecided"]
    verdict = next((v for v in ("fail", "warn") if (tried["verdict"] == v).any()), "pass")
    undecided = table["verdict"] == "undecided"
    lost = sum(bool(t.failed) and bool(undecided[REFUTATIONS[t.name].title]) for t in trials)
    if verdict == "pass" and (not len(tried) or lost > len(tried)):
        verdict = "undecided"  # most could not be made: that nothing speaks against it says little
    rows = pd.DataFrame(
        [
            (REFUTATIONS[t.name].title, label, found, expected, allowed)
            for t in trials
            for label, found, expected, allowed in zip(
                t.labels, t.found, t.expected, t.allowed, strict=True
            )
        ],
        columns=["refutation", "label", "found", "expected", "allowed"],
    )
    low, high = effect.interval()
    answer_ = {"mean": float(effect.draws.mean()), "low": low, "high": high, "null": refits.null}
    return Check(
        name=f"refutation of {refits.estimand.label()}",
        verdict=verdict,
        finding=finding(table, tried, trials, lost),
        meaning=MEANING[verdict],
        table=table,
        notes=tuple(notes),
        values={"refits": rows, "effect": effect, "level": level},
        picture=partial(plot_refutation, table, rows, answer_),
    )
