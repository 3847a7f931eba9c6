"""Competing events: incidence against closed forms and counting, the design, its check, words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.integrate import quad

import bayescausal as bc
from bayescausal.designs.time_to_event.nonparametric import aalen_johansen
from bayescausal.effects.averaging.first_event import incidence
from bayescausal.effects.words.from_text import question_from_text
from bayescausal.model.noise.laws import Leaf
from bayescausal.types import DataError, EstimandError


@pytest.mark.parametrize(
    ("first", "second"),
    [((1.2, 4.0), (0.8, 3.0)), ((0.5, 4.0), (3.0, 0.5)), ((3.0, 1.0), (0.4, 9.0))],
)
def test_the_incidence_of_weibull_times_is_the_integral(first, second):
    times = [0.05, 1.0, 6.0]
    found = incidence([Leaf("Weibull")] * 2, [first, second], times)

    def after(u):  # the integrand in u = v ** 4, which has no pole
        v, (a, s), (b, t) = u, first, second
        x = v**4
        return 4 * v**3 * a / s * (x / s) ** (a - 1) * np.exp(-((x / s) ** a) - (x / t) ** b)

    right = [quad(after, 0, t**0.25, epsabs=1e-10, limit=200)[0] for t in times]
    np.testing.assert_allclose(found, right, atol=1e-4)


@pytest.mark.parametrize("shapes", [(0.5, 3.0), (3.0, 0.4), (2.0, 2.0)])
def test_an_incidence_does_not_depend_on_which_other_times_are_asked(shapes):
    given = [(shapes[0], 1.0), (shapes[1], 2.0)]
    both = [Leaf("Weibull")] * 2
    alone = incidence(both, given, [6.0])[-1]
    for times in ([0.0, 6.0], [1e-6, 6.0], [0.001, 0.3, 6.0], [0.24 * k for k in range(1, 26)]):
        found = incidence(both, given, times)
        assert abs(found[-1] - alone) < 5e-5, times
        assert times[0] > 0 or found[0] == 0
    assert incidence(both, given, [0.0]).tolist() == [0.0]


def test_constant_hazards_between_cuts_are_summed_exactly():
    cuts, h1, h2 = np.array([1.0, 3.0]), np.array([0.1, 0.2, 0.5]), np.array([0.3, 0.2, 0.1])
    pieces = [Leaf("PiecewiseExponential")] * 2
    eta = np.array([0.0, 0.4])
    given = [[eta, np.log(h1), cuts], [eta - 0.2, np.log(h2), cuts]]
    found = incidence(pieces, given, [0.5, 4.0])
    grid = np.linspace(0, 4, 400_001)[:-1] + 5e-6
    at = np.searchsorted(cuts, grid)
    for row, e in enumerate(eta):
        one, two = np.exp(e) * h1[at], np.exp(e - 0.2) * h2[at]
        density = one * np.exp(-np.cumsum(one + two) * 1e-5 + (one + two) * 5e-6)
        right = [density[grid < t].sum() * 1e-5 for t in (0.5, 4.0)]
        np.testing.assert_allclose(found[row], right, atol=1e-6)


def two_exponentials():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Censored("t", pm.Exponential.dist(pm.math.exp(a * x)), None, 2.0, dims="unit")
        pm.Censored("d", pm.Exponential.dist(pm.math.exp(b * x)), None, 2.0, dims="unit")
    return model


def test_a_question_about_the_first_event_is_answered_exactly():
    draws = {"a": np.array([[0.5, -0.2]]), "b": np.array([[-1.0, 0.3]])}
    data = {
        "x": np.array([0, 1, 1]),
        "t": np.array([0.5, 2.0, 0.4]),
        "d": np.array([2.0, 1.0, 2.0]),
    }
    fit = bc.Fit(two_exponentials(), draws, data)
    curve = bc.estimate(fit, bc.ATE("x", "t", functional=bc.CumulativeIncidence([1, 5], "d")))
    assert curve.draws.dims == ("chain", "draw", "time")
    assert np.max(curve.mc_error) == 0

    def right(t, one, two):
        return one / (one + two) * (1 - np.exp(-(one + two) * t))

    one, two = np.exp(draws["a"][0]), np.exp(draws["b"][0])
    for k, t in enumerate((1, 5)):
        np.testing.assert_allclose(
            curve.draws[0, :, k], right(t, one, two) - right(t, 1, 1), atol=1e-6
        )
    single = bc.estimate(fit, bc.ATE("x", "t", functional=bc.CumulativeIncidence(5, before=["d"])))
    np.testing.assert_allclose(single.draws, curve.draws[..., 1])
    own = bc.estimate(
        fit, bc.Expected("t", functional=bc.CumulativeIncidence(5, "d"), population="finite")
    )
    np.testing.assert_allclose(own.draws, 2 / 3)  # two of the three had it first, as was seen


def other_not_reached(n=40):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        z = pm.Data("z", np.zeros(1), dims="unit")
        pm.Censored("t", pm.Exponential.dist(pm.math.exp(x)), None, 2.0, dims="unit")
        pm.Censored("d", pm.Exponential.dist(pm.math.exp(z)), None, 2.0, dims="unit")
    rng = np.random.default_rng(1)
    data = {
        "x": np.arange(n) % 2,
        "z": np.zeros(n),
        "t": np.full(n, 0.3),
        "d": np.minimum(rng.exponential(1, n), 2),
    }
    return bc.truth(model, {}, data)


@pytest.mark.parametrize(("t", "d"), [("t", "d"), ("d", "t")])
def test_a_time_that_the_intervention_does_not_reach_is_drawn_from_its_law_too(t, d):
    """The hazards are e and 1 where x = 1, and 1 and 1 where x = 0."""
    fit = other_not_reached()
    first = bc.CumulativeIncidence(2, before=d)

    def right(x):
        both = np.exp(x) + 1
        return (np.exp(x) if t == "t" else 1) / both * (1 - np.exp(-2 * both))

    for asked in (bc.ATE("x", t, functional=first), bc.Association("x", t, functional=first)):
        effect = bc.estimate(fit, asked)
        assert float(effect) == pytest.approx(right(1) - right(0), abs=1e-9), asked
        assert np.max(effect.mc_error) == 0


def test_times_that_follow_from_one_another_are_compared_draw_by_draw():
    """t is exponential with hazard 1; d comes after it, at a further rate of 1 + t."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        t = pm.Exponential("t", pm.math.exp(0.0 * x), dims="unit")
        pm.Exponential("d", 1.0 + 3.0 * t, dims="unit")
    question = bc.Expected("t", {"x": 1}, functional=bc.CumulativeIncidence(9.0, before="d"))
    effect = bc.estimate(bc.truth(model, {}), question)
    # P(t < d) = E exp(-(1 + 3 t) t), with t exponential
    right = quad(lambda v: np.exp(-v - v - 3 * v * v), 0, 9)[0]
    assert abs(float(effect) - right) < 4 * float(np.max(effect.mc_error)) < 0.02


def test_the_verdict_is_about_both_events():
    dag = "x -> t; x -> d; u -> x; u -> d"
    question = bc.ATE("x", "t", functional=bc.CumulativeIncidence([1], before="d"))
    assert bc.identify(dag, question, observed=["x", "t", "d", "u"])
    assert not bc.identify(dag, question, observed=["x", "t", "d"])
    assert bc.identify(dag, bc.ATE("x", "t"), observed=["x", "t", "d"])


def test_the_functional_says_what_it_is_and_refuses_what_it_is_not():
    given = bc.CumulativeIncidence([1, 2], before="d")
    question = bc.ATE("x", "t", functional=given)
    assert question.describe().startswith("P(t <= t, before d | do(x=1))")
    assert (
        question_from_text("ATE(x, t, functional=CumulativeIncidence([1, 2], before='d'))")
        == question
    )
    assert given.of([0.5, np.inf, 1.5, 3.0]).tolist() == [0.25, 0.5]
    with pytest.raises(EstimandError, match="each larger"):
        bc.CumulativeIncidence([2, 1], before="d")
    with pytest.raises(EstimandError, match="none is negative"):
        bc.CumulativeIncidence([-1, 1], before="d")
    for names in ((), ("d", "d")):
        with pytest.raises(EstimandError, match="other events"):
            bc.CumulativeIncidence([1], before=names)
    for outcome in ("d", "recorded(d)"):
        with pytest.raises(EstimandError, match="is the outcome"):
            bc.ATE("x", "d", functional=bc.CumulativeIncidence(1, before=outcome))


def table(n=300, seed=1):
    rng = np.random.default_rng(seed)
    rx = rng.integers(0, 2, n)
    one = rng.exponential(2.0 * np.exp(0.7 * rx))
    two = rng.exponential(3.0, n)
    end = rng.uniform(1, 5, n)
    time = np.minimum(np.minimum(one, two), end)
    kind = np.select([time == one, time == two], [1, 2], 0)
    return pd.DataFrame({"time": time, "kind": kind, "rx": rx})


def test_the_estimate_of_aalen_and_johansen_counts():
    """Without censoring the incidence is a share, and its standard error that of a share."""
    data = table()
    time, kind = data.time.to_numpy(), data.kind.replace(0, 2).to_numpy()
    at = np.array([0.5, 1.0, 2.5])
    found = aalen_johansen(time, kind, at)
    for cause in (1, 2):
        share = np.array([((time <= t) & (kind == cause)).mean() for t in at])
        np.testing.assert_allclose(found[cause][0], share, atol=1e-12)
        np.testing.assert_allclose(
            found[cause][1], np.sqrt(share * (1 - share) / len(time)), rtol=0.02
        )
    late = aalen_johansen(time, kind, at, entry=np.zeros(len(time)))
    np.testing.assert_allclose(late[1][0], found[1][0])


@pytest.mark.slow
def test_the_design_answers_for_each_event_and_agrees_with_counting():
    data = table(n=800)
    d = bc.designs.survival(
        data, time="time", event="kind", treatment="rx", competing={"death": 2}, upto=2.0,
        family="exponential",
    )  # fmt: skip
    assert {"cumulative incidence", "risk difference", "risk difference, death"} <= set(d.effects)
    assert "RMST, others prevented" in d.effects
    fit = bc.fit(d, draws=300, seed=1, progressbar=False)
    lam = np.exp(-0.7 * np.array([0, 1])) / 2
    for name, own, other in (
        ("risk difference", lam, 1 / 3),
        ("risk difference, death", np.full(2, 1 / 3), lam),
    ):
        risk = own / (own + other) * (1 - np.exp(-2 * (own + other)))
        effect = bc.estimate(fit, d.effects[name])
        assert abs(float(effect) - (risk[1] - risk[0])) < 3 * float(effect.sd()), name
    check = d.checks["incidence against Aalen-Johansen"](fit)
    assert set(check.verdict) == {"agrees"}
    assert len(check) == 20
    assert d.plots["incidence"](fit).get_xlabel() == "time"
    assert any(a.name == "others prevented" for a in d.assumptions)


@pytest.mark.parametrize(
    ("competing", "said"),
    [
        ({"death": 3}, "competing events"),
        (1, "other than 0"),
        ({"a b": 2}, "Name the event"),
        ([2.5], "Codes"),
    ],
)
def test_codes_that_cannot_be_are_refused(competing, said):
    with pytest.raises(DataError, match=said):
        bc.designs.survival(
            table(50), time="time", event="kind", treatment="rx", competing=competing
        )


def test_a_contrast_by_the_order_of_labels_is_said():
    data = table(60).assign(rx=lambda t: np.where(t.rx == 1, "new", "old"))
    d = bc.designs.survival(
        data.replace({"kind": {2: 0}}), time="time", event="kind", treatment="rx"
    )
    [said] = [a.text for a in d.assumptions if a.name == "contrast"]
    assert "rx = old is compared with new" in said
    e = bc.designs.survival(
        data.replace({"kind": {2: 0}}), time="time", event="kind", treatment="rx", control="old"
    )
    assert not any(a.name == "contrast" for a in e.assumptions)
