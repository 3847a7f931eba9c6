"""Exercises: hidden truths, known mistakes, and checks that tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.types import DataError, EstimandError

DIMS = ("chain", "draw", "dose")
NAMES = [
    "fork",
    "chain",
    "collider",
    "m_bias",
    "front_door",
    "instrument",
    "selection",
    "mediator_outcome",
    "simpson",
]
#: What a regression must be adjusted for to be right, and to be wrong in the way that is named.
SETS = {
    "fork": (["age"], {"unadjusted": []}),
    "chain": ([], {"mediator-adjusted": ["leaves"]}),
    "collider": ([], {"collider-adjusted": ["fame"]}),
    "m_bias": ([], {"collider-adjusted": ["record"]}),
    "front_door": (None, {"unadjusted": [], "mediator-adjusted": ["tar"]}),
    "instrument": (None, {"unadjusted": [], "instrument-adjusted": ["voucher"]}),
    "selection": (["time"], {"unadjusted": []}),
    "mediator_outcome": (
        ["skill", "experience"],
        {"total effect": [], "mediator-adjusted, its confounder not": ["skill"]},
    ),
    "simpson": (None, {"unadjusted": []}),
}


def regression(exercise, adjusted, units=4000, seed=3):
    """Return the regression coefficient as an Effect: its sampling law stands for a posterior."""
    data = exercise.simulate(units, seed=seed)
    x, y = exercise.question.treatments[0], exercise.question.outcome_name
    design = np.column_stack([np.ones(units), data[x], *(data[name] for name in adjusted)])
    outcome = data[y].to_numpy(float)
    beta, rss, _, _ = np.linalg.lstsq(design, outcome, rcond=None)
    variance = rss[0] / (units - design.shape[1]) * np.linalg.inv(design.T @ design)[1, 1]
    draws = beta[1] + np.sqrt(variance) * np.random.default_rng(1).normal(size=2000)
    return bc.Effect(draws, estimand=exercise.question)


def test_the_list_names_all():
    table = bc.exercise()
    assert list(table.index) == NAMES
    assert list(table.columns) == ["question", "observed", "task"]


@pytest.mark.parametrize("name", NAMES)
def test_data_have_only_what_can_be_observed_and_the_truth_is_hidden(name):
    exercise = bc.exercise(name)
    data = exercise.simulate(50, seed=1)
    assert list(data.columns) == list(exercise.observed)
    assert len(data) == 50
    assert data.equals(exercise.simulate(50, seed=1))
    assert not data.equals(exercise.simulate(50, seed=2))
    solution = exercise.reveal()
    for text in (repr(exercise), exercise._repr_html_(), exercise.text):
        assert f"{solution.truth:.3g}" not in text
    seen = {n for n, observed in exercise.graph.nodes(data="observed") if observed}
    assert seen == set(exercise.observed)
    assert f"{solution.truth:.3g}" in repr(solution)


@pytest.mark.parametrize("name", NAMES)
def test_a_check_names_the_mistake_that_was_made(name):
    """The right regression is judged right; each wrong one is named. z < 3: 0.3% false alarms."""
    exercise = bc.exercise(name)
    right, wrong = SETS[name]
    if right is not None:
        assert exercise.check(regression(exercise, right)).verdict == "pass"
    for label, adjusted in wrong.items():
        check = exercise.check(regression(exercise, adjusted))
        assert check.verdict == "fail"
        assert label in check.finding
        assert check.meaning == exercise.reveal().mistakes.loc[label, "why"]


def test_numbers_of_mistakes_are_the_limits_of_regressions():
    for name in ("selection", "m_bias", "mediator_outcome", "simpson"):
        exercise = bc.exercise(name)
        for label, adjusted in SETS[name][1].items():
            effect = regression(exercise, adjusted, units=200_000)
            value = exercise.reveal().mistakes.loc[label, "value"]
            assert abs(float(effect) - value) < 4.5 * effect.sd()


def test_mistakes_that_are_no_adjustment_set():
    """By hand: var(tar) = .64 * 2 + 1, cov(tar, gene) = .8; two units of schooling a voucher."""
    front = bc.exercise("front_door").reveal().mistakes["value"]
    assert front["confounder dropped"] == pytest.approx(0.8 * (0.5 + 1.5 * 0.8 / 2.28))
    voucher = bc.exercise("instrument").reveal().mistakes["value"]
    assert voucher["effect of the voucher"] == pytest.approx(2 * 0.3)
    own = bc.exercise("front_door")
    found = own.check(front["confounder dropped"])
    assert "confounder dropped" in found.finding
    assert "latent variable" in found.meaning


@pytest.mark.slow
def test_a_model_without_the_gene_is_the_mistake_that_is_named():
    own = bc.exercise("front_door")
    data = own.data("Ada")
    model = bc.model_from_formulas(["smoking ~ 1", "tar ~ smoking", "damage ~ tar"], data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)
    found = own.check(bc.estimate(fit, own.question))
    assert found.values["mistake"] == "confounder dropped"


def test_a_bare_wrong_number_is_recognised():
    """By hand: var(salt) = .64 + 1, cov(salt, age) = -.8, so 0.5 - 0.8 / 1.64 unadjusted.

    A number without a posterior, rounded as a student writes it, names the mistake.
    """
    fork = bc.exercise("fork")
    naive = 0.5 - 0.8 / 1.64
    assert fork.reveal().mistakes.loc["unadjusted", "value"] == pytest.approx(naive)
    for said in (naive, round(naive, 2), f"{naive:.2f}"):
        found = fork.check(said)
        assert found.values["mistake"] == "unadjusted"
        assert "that of a known mistake: unadjusted" in found.finding
    assert fork.check(0.5).verdict == "pass"
    apart = fork.check(0.25)  # between the two: no mistake is named
    assert (apart.verdict, apart.values["mistake"]) == ("fail", "")


def test_an_answer_to_another_question_says_which():
    """Treatment and outcome must agree; else the number is compared, and the question is named."""
    own = bc.exercise("mediator_outcome")
    total = bc.ATE("training", "pay")
    value = own.reveal().mistakes.loc["total effect", "value"]
    found = own.check(bc.Effect(np.random.default_rng(1).normal(value, 0.01, 500), estimand=total))
    assert found.values["mistake"] == "total effect"
    assert found.meaning.endswith(f"The answer is to another question: {total.describe()}.")
    same = own.check(bc.Effect([own.reveal().truth] * 9, estimand=own.question))
    assert "another question" not in same.meaning


def test_closed_forms_of_some_truths():
    truths = {name: bc.exercise(name).reveal().truth for name in NAMES}
    assert truths["chain"] == pytest.approx(0.2 + 0.9 * 0.7)
    assert truths["front_door"] == pytest.approx(0.8 * 0.5)
    assert truths["mediator_outcome"] == pytest.approx(0.4)
    assert truths["simpson"] == pytest.approx(0.5 * (0.92 - 0.80) + 0.5 * (0.50 - 0.35))


def test_a_fitted_model_is_judged_right():
    exercise = bc.exercise("mediator_outcome")
    fit = bc.fit(
        exercise.reveal().model, exercise.simulate(2000, seed=5), seed=1, progressbar=False
    )
    assert exercise.check(bc.estimate(fit, exercise.question)).verdict == "pass"
    total = bc.estimate(fit, bc.ATE("training", "pay"))
    assert "total effect" in exercise.check(total).finding


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_revealed_model_finds_the_truth(name):
    exercise = bc.exercise(name)
    data = exercise.simulate(1500, seed=11)
    fit = bc.fit(exercise.reveal().model, data, seed=1, progressbar=False, target_accept=0.95)
    effect = bc.estimate(fit, exercise.question)
    assert abs(float(effect) - exercise.reveal().truth) < 3.5 * effect.sd()


def test_verdicts_of_numbers_and_of_wide_answers():
    exercise = bc.exercise("fork")
    truth = exercise.reveal().truth
    assert exercise.check(truth).verdict == "pass"
    assert exercise.check(truth + 5).meaning.startswith("It is none of the mistakes known here.")
    wide = bc.Effect(np.random.default_rng(1).normal(truth, 1.0, size=500))
    check = exercise.check(wide)
    assert check.verdict == "undecided"
    assert "Simulate more units" in check.meaning
    constant = exercise.check(bc.Effect([truth] * 4))
    assert constant.verdict == "pass"
    assert f"{truth:.3g}" not in check.finding + check.meaning


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda e: bc.exercise("colider"),
            DataError,
            "'colider' is not an exercise. Did you mean 'collider'",
        ),
        (lambda e: e.simulate(0), DataError, "units=0. Expected: an integer from 1."),
        (lambda e: e.simulate(10, seed=-1), DataError, "seed=-1. Expected: an integer from 0."),
        (
            lambda e: e.check("0.5 or so"),
            EstimandError,
            "Found '0.5 or so' where an answer is needed",
        ),
        (
            lambda e: e.check(bc.Effect([0.1, 0.2], estimand=bc.ATE("age", "pressure"))),
            EstimandError,
            "The answer is to ATE age -> pressure. Expected: one to ATE salt -> pressure.",
        ),
        (
            lambda e: e.check(bc.Effect(xr.DataArray(np.ones((2, 5, 3)), dims=DIMS))),
            EstimandError,
            "has several cells",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error) as caught:
        call(bc.exercise("fork"))
    assert message in str(caught.value)


def test_names_are_read_generously():
    assert bc.exercise("Front-Door").name == "front_door"
    assert bc.exercise("m bias").name == "m_bias"
