"""Wherever a question or a fit is handed over, it is read in one way.

The kind: a verb that takes a question took an estimand alone, and one that takes a fit fell over a
trace, a model or exchanged arguments without a word on what to do. Looked at: every public function
with a parameter `fit`, `estimand(s)`, or treatment and outcome.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError, FitMismatchError, UnknownVariableError

B = 1.5
TRUTH = {"b": B, "s": 1.0}


def make() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=0.4 * z, dims="unit")
        b = pm.Normal("b", 0, 2)
        s = pm.HalfNormal("s", 1)
        pm.Normal("y", b * x + z, s, dims="unit")
    return model


@pytest.fixture(scope="module")
def model() -> pm.Model:
    return make()


@pytest.fixture(scope="module")
def data(model):
    return bc.simulate(model, TRUTH, units=60, seed=1)


@pytest.fixture(scope="module")
def fit(model, data):
    return bc.fit(model, data, draws=100, chains=2, seed=2, progressbar=False)


@pytest.fixture(scope="module")
def ate(fit):
    return bc.estimate(fit, bc.ATE("x", "y"))


def same(left, right) -> bool:
    return bool((left.draws.values == right.draws.values).all())


# ------------------------------------------------------------------- an effect is a question


def test_every_verb_takes_an_effect_where_it_takes_an_estimand(model, data, fit, ate):
    asked = bc.ATE("x", "y")
    assert same(bc.estimate(fit, ate), ate)
    assert [same(e, ate) for e in bc.estimate(fit, [ate, asked])] == [True, True]
    for ask in (
        lambda q: bc.robustness_value(fit, q).draws.values.tolist(),
        lambda q: bc.prior_sensitivity(fit, q).table.to_dict(),
        lambda q: bc.prior_posterior(fit, q).contraction,
        lambda q: str(bc.identify(fit, q)),
        lambda q: [str(p) for p in bc.paths(fit, q)],
        lambda q: {k: str(v) for k, v in bc.roles(fit, q).items()},
        lambda q: bc.overlap(fit, q).table.to_dict(),
        lambda q: bc.report(fit, q, checks=False).effects[0].draws.values.tolist(),
        lambda q: bc.prior_check(model, units=20, estimands=q, draws=20, seed=1).table.to_dict(),
        lambda q: sorted(t.get_text() for t in bc.plot_graph(model, treatment=q).texts),
        lambda q: (
            bc.refute(fit, q, tests="zero", replicates=1, draws=50, seed=1, progressbar=False)
            .table.drop(columns="seconds", errors="ignore")
            .to_dict()
        ),
        lambda q: bc.compare({"a": fit, "b": fit}, q).effects["a"].draws.values.tolist(),
        lambda q: (
            bc.hidden_confounder(
                fit, q, gamma=[0.0, 0.5], delta=[0.0, 0.5], draws=50, seed=1, progressbar=False
            )
            .surface["mean"]
            .values.tolist()
        ),
    ):
        assert str(ask(ate)) == str(ask(asked))


def test_studies_read_an_effect_as_its_question(ate):
    """`calibrate`, `assurance` and `recover` read what they ask in one place."""
    from bayescausal.checks.studies.questions import parse_questions

    for given in (ate, [ate], {"ATE x -> y": ate}):
        [(name, question)] = parse_questions(given).items()
        assert (name, question) == ("ATE x -> y", ate.estimand)


def test_an_effect_of_arithmetic_carries_no_question(fit, ate):
    for ask in (
        lambda: bc.estimate(fit, ate - ate),
        lambda: bc.refute(fit, ate - ate),
        lambda: bc.identify(fit, ate - ate),
        lambda: bc.report(fit, ate - ate, checks=False),
        lambda: bc.recover(fit.model, TRUTH, [ate - ate], units=20),
    ):
        with pytest.raises(EstimandError, match="carries no question: it was made by arithmetic"):
            ask()


def test_an_exercise_is_a_question():
    exercise = bc.exercise("fork")
    assert bc.identify(exercise.graph, exercise).kind == type(exercise.question).__name__


# ------------------------------------------------------------------------ identify(fit, question)


def test_identify_answers_a_question_with_its_own_verdict(fit, model, data):
    """A fit, its model observed and its graph as text agree; the kind is that of the question."""
    for asked in (bc.ATE("x", "y"), bc.ATT("x", "y"), bc.CATE("x", "y", given={"z": (-1, 1)})):
        own = bc.estimate(bc.truth(model, TRUTH, data), asked).identification
        for place in (fit, model, "z -> x -> y; z -> y"):
            found = bc.identify(place, asked)
            assert (found.kind, found.status, found.method) == (own.kind, own.status, own.method)
            # of a model that observes nothing the verdict also says what it takes as measured
            assert str(found).removesuffix(" ".join(["", *found.warnings])) == str(own)
            assert bool(found.warnings) == (place is model)
    hidden = bc.identify(model, bc.ATE("x", "y"), observed=["x", "y"])
    assert not hidden
    assert hidden.status == "not identified"
    assert bc.identify("x -> y; x <-> y", bc.ATE("x", "y")).status == "not identified"


def test_identify_refuses_what_is_no_question_of_the_model(fit):
    with pytest.raises(UnknownVariableError, match="'w'"):
        bc.identify(fit, bc.ATE("w", "y"))
    with pytest.raises(UnknownVariableError, match="'w'"):
        bc.identify("x -> y", bc.ATE("w", "y"))
    with pytest.raises(EstimandError, match="names its outcome and its subgroup"):
        bc.identify(fit, bc.ATE("x", "y"), "y")
    with pytest.raises(EstimandError, match=r"Exchange the two arguments"):
        bc.identify(bc.ATE("x", "y"), fit)
    with pytest.raises(EstimandError, match="nothing to identify"):
        bc.identify(fit, bc.Expected("y", {"y": 1}))
    with pytest.raises(EstimandError, match="two variables, or a question"):
        bc.paths(fit, "x")


# --------------------------------------------------------------- what stands in place of a fit

VERBS = {
    "estimate": lambda f: bc.estimate(f, bc.ATE("x", "y")),
    "refute": lambda f: bc.refute(f, bc.ATE("x", "y")),
    "hidden_confounder": lambda f: bc.hidden_confounder(f, bc.ATE("x", "y")),
    "prior_sensitivity": lambda f: bc.prior_sensitivity(f, bc.ATE("x", "y")),
    "prior_posterior": lambda f: bc.prior_posterior(f, bc.ATE("x", "y")),
    "robustness_value": lambda f: bc.robustness_value(f, bc.ATE("x", "y")),
    "overlap": lambda f: bc.overlap(f, "x"),
    "posterior_check": lambda f: bc.posterior_check(f),
    "report": lambda f: bc.report(f, bc.ATE("x", "y")),
    "worlds": lambda f: bc.worlds(f, {"a": {"x": 1}}),
    "abduct": lambda f: bc.abduct(f),
    "counterfactual": lambda f: bc.counterfactual(f, {"x": 1}),
}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_trace_a_model_or_data_alone_are_told_what_to_do(verb, model, fit, data):
    ask = VERBS[verb]
    for given, message in (
        (fit.draws, r"given a trace \(a DataTree\).*bc\.Fit\(model, trace\)"),
        (fit.posterior, r"given a trace \(a Dataset\).*bc\.Fit\(model, trace\)"),
        (model, r"given a model, which has no draws.*bc\.fit\(model, data\).*bc\.Fit\(model, tr"),
        (data, r"given data \(a DataFrame\).*bc\.fit\(model, data\)"),
        (bc.graph_of(model), r"given a graph.*bc\.identify"),
        (3, r"given int in the place of a fit.*bc\.Fit"),
    ):
        with pytest.raises(FitMismatchError, match=rf"^{verb}\(\) was {message}"):
            ask(given)


def test_the_remedy_for_a_trace_works(model, data):
    """``bc.Fit(model, trace, data)``, as the message says."""
    trace = np.full((1, 4), B)
    found = bc.estimate(bc.Fit(model, {"b": trace, "s": np.abs(trace)}, data), bc.ATE("x", "y"))
    assert found.mean() == pytest.approx(B, abs=1e-12)


def test_exchanged_arguments_are_seen(fit, ate, tmp_path):
    for given in (bc.ATE("x", "y"), ate, [ate]):
        with pytest.raises(FitMismatchError, match=r"a question in the place of a fit.*Exchange"):
            bc.estimate(given, fit)
    with pytest.raises(EstimandError, match=r"Found a Fit where a question is needed.*Exchange"):
        bc.estimate(fit, fit)
    path = tmp_path / "page.html"
    for where in (path, str(path)):
        with pytest.raises(EstimandError, match=r"stands where the question.*report\(fit, questi"):
            bc.report(fit, where, bc.ATE("x", "y"))
    assert not path.exists()


@pytest.mark.parametrize(
    "asked",
    [
        bc.ATE("x", "y", given={"z": (-1, 1)}),
        bc.Slope("z", "y"),  # evaluated with a step that the data give
        bc.Slope("z", "y", step=0.5),
        bc.DoseResponse("x", "y", values=[0.0, 1.0]),
        bc.ITE("x", "y"),
    ],
    ids=repr,
)
def test_an_answer_carries_its_question_as_it_was_asked(model, data, asked):
    known = bc.truth(model, TRUTH, data)
    assert bc.estimate(known, asked).estimand == asked
    [both, _] = bc.estimate(known, [asked, bc.ATE("x", "y")])
    assert both.estimand == asked
