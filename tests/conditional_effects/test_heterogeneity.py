"""Effects that differ between units: the numbers of known models, laws, and messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.conditional_effects.policy import _simple, _union
from bayescausal.conditional_effects.summaries import grow, projections, quantile_groups
from bayescausal.effects.averaging.closed_form import closed_form
from bayescausal.types import BayesCausalError, EstimandError


def study(n=60, slope=2.0):
    """Return a model y = 1 + t (1 + slope x + z) with a mediator, and its data."""
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=n), rng.integers(0, 2, n)
    t = rng.integers(0, 2, n)
    with pm.Model(coords={"unit": range(n)}) as model:
        xs = pm.Data("x", x, dims="unit")
        zs = pm.Data("z", z.astype(float), dims="unit")
        ts = pm.Data("t", t.astype(float), dims="unit")
        a = pm.Normal("a", 1, 1)
        b = pm.Normal("b", slope, 1)
        m = pm.Normal("m", ts * xs, 1, dims="unit")
        pm.Normal("y", 1 + ts * (a + b * xs + zs) + m, 0.5, dims="unit")
    return model, {"x": x, "z": z.astype(float), "t": t.astype(float)}


@pytest.fixture(scope="module")
def posterior():
    model, columns = study()
    known = bc.truth(model, {"a": 1.0, "b": 2.0}, data=columns)
    held = pm.do(model, {"a": 1.0, "b": 2.0})
    m, y = pm.draw([held["m"], held["y"]], random_seed=1)
    fit = bc.fit(model, {**columns, "m": m, "y": y}, draws=100, chains=2, seed=1, progressbar=False)
    return columns, known, fit


def test_the_effect_of_each_unit_is_that_of_its_equation(posterior):
    columns, known, fit = posterior
    right = 1 + 3 * columns["x"] + columns["z"]
    found = bc.heterogeneity(known, bc.ATE("t", "y"), draws=True)
    assert np.allclose(found.draws, right)
    a, b = (fit.posterior[n].values.reshape(-1, 1) for n in "ab")
    found = bc.heterogeneity(fit, bc.ATE("t", "y"), draws=True)
    effects = a + (b + 1) * columns["x"] + columns["z"]
    assert np.allclose(found.draws, effects)
    assert np.allclose(found.units["mean"], effects.mean(axis=0))
    assert np.allclose(found.sd, effects.std(axis=1))
    assert np.allclose(found.average, effects.mean(axis=1))
    ate = bc.estimate(fit, bc.ATE("t", "y"))
    assert np.allclose(ate.draws.values.ravel(), found.average)
    assert "m" not in found.found.covariates


def test_effects_of_groups_are_looked_up_for_each_unit():
    rng = np.random.default_rng(3)
    n, g = 50, rng.integers(0, 4, 50)
    columns = {"g": g, "x": rng.normal(size=n), "t": rng.integers(0, 2, n).astype(float)}
    with pm.Model(coords={"unit": range(n), "school": range(4)}) as model:
        data = {name: pm.Data(name, value, dims="unit") for name, value in columns.items()}
        b = pm.Normal("b", 1, 1, dims="school")
        c = pm.Normal("c", 0, 1, dims="school")
        effect = b[data["g"]] + 2.0 * data["x"] * c[data["g"]] + data["x"]
        pm.Normal("y", 1 + data["t"] * effect, 0.5, dims="unit")
    fit = bc.prior(model, columns, draws=30, seed=1)
    found = bc.heterogeneity(fit, bc.ATE("t", "y"), draws=True)
    b, c = (fit.posterior[name].values.reshape(-1, 4) for name in "bc")
    right = b[:, g] + 2 * columns["x"] * c[:, g] + columns["x"]
    np.testing.assert_allclose(found.draws, right, atol=1e-9)


def test_products_of_matrices_give_what_the_worlds_give(posterior, monkeypatch):
    """The same numbers, units of a subgroup too, where no sum of products is looked for."""
    _, _, fit = posterior
    asked = [bc.ATE("t", "y"), bc.ATT("t", "y"), bc.CATE("t", "y", given={"z": 1.0})]
    taken = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "bayescausal.conditional_effects.unit_effects.closed_form",
            lambda *given: taken.append(closed_form(*given)) or taken[-1],
        )
        short = [bc.heterogeneity(fit, q, draws=True) for q in asked]
    assert len(taken) == 3
    assert None not in taken
    monkeypatch.setattr(
        "bayescausal.conditional_effects.unit_effects.closed_form", lambda *given: None
    )
    for question, found in zip(asked, short, strict=True):
        each = bc.heterogeneity(fit, question, draws=True)
        assert np.allclose(each.draws, found.draws)
        assert np.array_equal(each.units.index, found.units.index)


def test_what_is_averaged_over_is_noise_of_mediators_too():
    """A logistic outcome behind a mediator: the expectation, and not the effect of one draw."""
    rng = np.random.default_rng(0)
    n = 40
    with pm.Model(coords={"unit": range(n)}) as model:
        t = pm.Data("t", rng.integers(0, 2, n).astype(float), dims="unit")
        x = pm.Data("x", rng.normal(size=n), dims="unit")
        m = pm.Normal("m", t * x, 1, dims="unit")
        pm.Bernoulli("y", p=pm.math.sigmoid(2 * m), dims="unit")
    known = bc.truth(model, {}, data={n: model[n].get_value() for n in ("t", "x")})
    found = bc.heterogeneity(known, bc.ATE("t", "y"), draws=True)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    chance = lambda mean: (weights / weights.sum()) @ (1 / (1 + np.exp(-2 * (mean + nodes))))  # noqa: E731
    right = np.array([chance(v) - chance(0.0) for v in model["x"].get_value()])
    # the sd of one probability is below .5, and that of a difference of two with one noise too
    assert np.all(np.abs(found.draws.mean(axis=0) - right) < 5 * 0.5 * np.sqrt(2 / 32))


def test_monte_carlo_error_is_no_heterogeneity():
    """Behind a mediator whose noise is simulated one effect for all stays one effect for all."""
    n = 200
    with pm.Model(coords={"unit": range(n)}) as model:
        t = pm.Data("t", (np.arange(n) % 2).astype(float), dims="unit")
        x = pm.Data("x", np.linspace(-1, 1, n), dims="unit")
        b = pm.Normal("b", 1, 0.3)
        m = pm.Normal("m", t, 1, dims="unit")
        pm.Normal("y", pm.math.exp(0.5 * b * m) + x, 1, dims="unit")
    known = bc.prior(model, {"t": t.get_value(), "x": x.get_value()}, draws=50, seed=1)
    found = bc.heterogeneity(known, bc.ATE("t", "y"), covariates=["x"], draws=True)
    raw = found.draws.std(axis=1)
    said = " ".join(found.notes)
    assert "Monte Carlo error" in said
    # the variance that is left is that of an estimate of a variance: sqrt(2 / n) of the error's
    error = np.sqrt(found.found.noise[0])
    assert np.all(found.sd < 1.5 * raw)
    assert np.mean(found.sd**2) < 4 * np.mean(error**2) * np.sqrt(2 / n)


@pytest.mark.slow
def test_monte_carlo_error_of_others_is_not_taken_out_of_a_subgroup():
    """Where z = 0 the effect is x, without error; where z = 1 it is dominated by noise."""
    x, z = np.linspace(-1, 1, 40), np.arange(40) % 2
    with pm.Model(coords={"unit": [0]}) as model:
        xs, zs, ts = (pm.Data(name, np.zeros(1), dims="unit") for name in "xzt")
        m = pm.Normal("m", ts, 1, dims="unit")
        pm.Normal("y", ts * (xs + zs * pm.math.exp(2 * m)), 1, dims="unit")
    known = bc.truth(model, {}, {"x": x, "z": z.astype(float), "t": np.zeros(40)}, draws=2)
    found = bc.heterogeneity(known, bc.CATE("t", "y", given={"z": 0}))
    assert np.allclose(found.sd, x[z == 0].std())
    assert found.projections.loc["x", "R2 mean"] == pytest.approx(1)


def test_many_units_are_answered_by_fewer_draws(posterior, monkeypatch):
    from bayescausal.conditional_effects import unit_effects

    _, _, fit = posterior
    whole = bc.heterogeneity(fit, bc.ATE("t", "y"), draws=True)
    monkeypatch.setattr(unit_effects, "KEPT", 60 * 110)
    thin = bc.heterogeneity(fit, bc.ATE("t", "y"), draws=True)
    assert np.array_equal(thin.draws, whole.draws[::2])
    assert "Of 200 draws 100, evenly spaced" in " ".join(thin.notes)


def test_a_curve_of_whole_numbers_stays_whole():
    n = 300
    x = np.arange(n) % 60
    data = pd.DataFrame({"x": x, "t": (np.arange(n) // 60) % 2, "y": 0.0})
    model = bc.model_from_formulas(["y ~ t * x"], data=data)
    values = {"b_y_Intercept": 0, "b_y_t": 0, "b_y_x": 0, "b_y_t:x": 1, "sigma_y": 1}
    known = bc.truth(model, values, data=data[["x", "t"]])
    curve = bc.heterogeneity(known, bc.ATE("t", "y")).curve("x", points=9)
    assert np.allclose(curve["mean"], np.asarray(curve.index, float))


def test_projections_are_least_squares_of_each_draw():
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=80), rng.choice(["a", "b", "c"], 80)
    tau = rng.normal(size=(5, 1)) * x + rng.normal(size=(5, 80)) + (g == "b")
    table = projections(tau, {"x": x, "g": g}, 0.9)
    design = {
        "x": np.c_[np.ones(80), x],
        "g": np.c_[np.ones(80), g == "b", g == "c"].astype(float),
    }
    design["all, additive"] = np.c_[design["x"], design["g"][:, 1:]]
    for name, columns in design.items():
        shares = []
        for row in tau:
            rest = row - columns @ np.linalg.lstsq(columns, row, rcond=None)[0]
            shares.append(1 - rest.var() / row.var())
        assert np.isclose(table.loc[name, "R2 mean"], np.mean(shares))
    slopes = [np.polyfit(x, row, 1)[0] * x.std() for row in tau]
    assert np.isclose(table.loc["x", "slope mean"], np.mean(slopes))


def test_a_tree_finds_the_groups_that_there_are():
    rng = np.random.default_rng(3)
    x, g = rng.uniform(0, 1, 200), rng.choice(["a", "b"], 200)
    target = 3.0 * (g == "b") + (x > 0.5)
    leaves = grow(target, {"x": x, "g": g}, depth=2)
    assert len(leaves) == 4
    assert all(np.ptp(target[leaf.member]) < 1.0 + 1e-9 for leaf in leaves)
    assert sum(leaf.member.sum() for leaf in leaves) == 200
    assert {leaf.rule[0][0] for leaf in leaves} == {"g"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([2000, 2004, 2005, 2009], "x >= 2004.5"),
        ([10000, 22400, 22550, 30000], "x >= 22500"),
        ([0.1, 0.123456, 0.123457, 0.5], "x >= 0.1234565"),
    ],
)
def test_the_words_of_a_cut_say_who_is_there(values, words):
    x = np.array(values, dtype=float)
    [_, right] = grow((np.arange(4) > 1).astype(float), {"x": x}, depth=1)
    assert right.words == words
    assert (x >= right.rule[0][2]).tolist() == right.member.tolist() == [False, False, True, True]


@pytest.mark.parametrize("kind", ["index", "categorical", "numeric labels"])
def test_whole_numbers_that_name_groups_are_groups(kind):
    """Effects 0, 5, 0 of three groups: a line through their codes is flat."""
    g = np.tile([0, 1, 2], 40)
    effect = np.array([0.0, 5.0, 0.0])
    with pm.Model(coords={"unit": [0]}) as model:
        if kind == "index":
            own = pm.Data("g", [0], dims="unit")
        else:
            own = pm.Categorical("g", [0.3, 0.3, 0.4], dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", pt.constant(effect)[own] * t, 1, dims="unit")
    data = pd.DataFrame({"g": g, "t": np.arange(120) % 2, "y": 0.0})
    if kind == "numeric labels":
        data["g"] = pd.Categorical(10 * (g + 1))
    found = bc.heterogeneity(bc.truth(model, {}, data), bc.ATE("t", "y"))
    assert found.projections.loc["g", "R2 mean"] == pytest.approx(1.0)
    curve = found.curve("g")
    assert curve["mean"].tolist() == pytest.approx(effect.tolist())
    names = [10, 20, 30] if kind == "numeric labels" else [0, 1, 2]
    assert list(curve.index) == names
    treat = bc.policy(found.found.question.fit, bc.ATE("t", "y"), rule="threshold", cost=1)
    assert np.array_equal(treat.treat, g == 1)


def test_groups_by_rank_are_of_one_size_and_in_order():
    score = np.random.default_rng(1).normal(size=103)
    groups = quantile_groups(score, 10)
    assert np.bincount(groups).max() - np.bincount(groups).min() <= 1
    assert score[groups == 3].max() < score[groups == 4].min()


def test_a_partial_curve_sets_one_covariate_for_all(posterior):
    columns, known, _ = posterior
    found = bc.heterogeneity(known, bc.ATE("t", "y"))
    curve = found.curve("z")
    assert list(curve.index) == [0.0, 1.0]
    right = 1 + 3 * columns["x"].mean()
    assert np.allclose(curve["mean"], [right, right + 1])
    with pytest.raises(BayesCausalError, match="no covariate"):
        found.curve("m")


def test_one_effect_for_all_is_said_to_be_assumed():
    data = pd.DataFrame({"t": np.arange(20) % 2, "x": np.arange(20.0)})
    model = bc.model_from_formulas(["y ~ t + x"], data=data)
    values = {"b_y_Intercept": 0, "b_y_t": 2, "b_y_x": 1, "sigma_y": 1}
    found = bc.heterogeneity(bc.truth(model, values, data=data), bc.ATE("t", "y"))
    assert "assumed and not found" in found.sentence()
    assert float(found.sd.max()) == pytest.approx(0)


def test_subgroups_of_a_population(posterior):
    columns, known, _ = posterior
    found = bc.heterogeneity(known, bc.ATT("t", "y"))
    assert list(found.units.index) == list(np.flatnonzero(columns["t"] == 1))
    found = bc.heterogeneity(known, bc.CATE("t", "y", given={"z": 1.0}))
    assert list(found.units.index) == list(np.flatnonzero(columns["z"] == 1))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (bc.QTE("t", "y", q=0.5), "takes a question whose answer differs"),
        (bc.ATE("t", "y", scale="ratio"), "a ratio"),
        (bc.ATE("t", "y", by="z"), "by groups"),
    ],
)
def test_what_has_no_unit_effect_is_refused(posterior, question, message):
    with pytest.raises(EstimandError, match=message):
        bc.heterogeneity(posterior[1], question)


def test_covariates_are_checked(posterior):
    with pytest.raises(EstimandError, match="changes"):
        bc.heterogeneity(posterior[1], bc.ATE("t", "y"), covariates=["m"])


def test_every_picture_is_drawn(posterior):
    found = bc.heterogeneity(posterior[2], bc.ATE("t", "y"))
    for kind in ("units", "spread", "projections", "deciles", "subgroups"):
        assert found.plot(kind).get_xlabel()
    assert found.plot("curve", covariate="x").get_xlabel() == "x"
    with pytest.raises(BayesCausalError, match="no picture"):
        found.plot("unit")


# -------------------------------------------------------------------------- whom to treat


def test_the_best_rule_of_known_effects_has_no_regret(posterior):
    columns, known, _ = posterior
    right = 1 + 3 * columns["x"] + columns["z"]
    rule = bc.policy(known, bc.ATE("t", "y"), cost=0.5)
    assert np.array_equal(rule.treat, right > 0.5)
    assert rule.information == pytest.approx(0)
    value = np.maximum(right - 0.5, 0).mean()
    assert rule.table.loc["score", "value mean"] == pytest.approx(value)
    assert rule.table.loc["treat all", "value mean"] == pytest.approx((right - 0.5).mean())
    assert rule.table.loc["treat nobody", "value mean"] == 0
    limited = bc.policy(known, bc.ATE("t", "y"), cost=0.5, budget=0.1)
    assert limited.treat.sum() == 6
    assert set(right[limited.treat.to_numpy()]) == set(np.sort(right)[-6:])
    less = bc.policy(known, bc.ATE("t", "y"), maximise=False)
    assert np.array_equal(less.treat, right < 0)


def test_values_regret_and_information_are_those_of_the_draws(posterior):
    _, _, fit = posterior
    tau = bc.heterogeneity(fit, bc.ATE("t", "y"), draws=True).draws
    rule = bc.policy(fit, bc.ATE("t", "y"), cost=1.0)
    gain = tau - 1.0
    treat = gain.mean(axis=0) > 0
    value = (gain * treat).mean(axis=1)
    oracle = np.maximum(gain, 0).mean(axis=1)
    assert rule.table.loc["score", "value mean"] == pytest.approx(value.mean())
    assert rule.information == pytest.approx((oracle - value).mean())
    assert rule.benefit["mean"].iloc[-1] == pytest.approx(tau.mean())
    assert "Treat units with an expected effect above 1" in rule.sentence()
    assert rule.plot().get_xlabel()


@pytest.mark.parametrize("most", [40, 12])
def test_no_tree_of_depth_two_is_better(most):
    """Against all trees, enumerated, on covariates of few values."""
    rng = np.random.default_rng(6)
    n = 40
    held = {"x": rng.integers(0, 3, n).astype(float), "g": rng.choice(["a", "b", "c"], n)}
    mean = rng.normal(size=n)
    found = _union(_simple(mean, held, most, 2), n)
    sides = [held["x"] < 0.5, held["x"] < 1.5, *(held["g"] == v for v in "abc")]
    best = 0.0
    for root in sides:
        options = [
            [
                inside & s
                for s in [np.ones(n, bool), np.zeros(n, bool), *sides, *(~s for s in sides)]
            ]
            for inside in (root, ~root)
        ]
        for left in options[0]:
            for right in options[1]:
                if (left | right).sum() <= most:
                    best = max(best, mean[left | right].sum())
    assert found.sum() <= most
    assert mean[found].sum() == pytest.approx(best)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "trees"}, "is not known"),
        ({"budget": 2}, "share of the units"),
        ({"cost": np.nan}, "a number"),
    ],
)
def test_options_of_a_policy_are_checked(posterior, options, message):
    with pytest.raises(BayesCausalError, match=message):
        bc.policy(posterior[1], bc.ATE("t", "y"), **options)


def test_a_superpopulation_is_said_to_be_these_units(posterior):
    asked = bc.ATE("t", "y", population="superpopulation")
    told = "which units were drawn is no part of these intervals"
    assert any(told in note for note in bc.heterogeneity(posterior[2], asked).notes)
    assert not any(told in note for note in bc.heterogeneity(posterior[2], bc.ATE("t", "y")).notes)
