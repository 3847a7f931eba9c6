"""Over whom, of what, and on which scale: each against a closed form or an independent sum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scm_oracles import over_normal, sigmoid, within

import bayescausal as bc
from bayescausal.types import (
    DataError,
    EmptySubgroupError,
    EstimandError,
    MixingError,
    UndefinedEffectError,
    UnknownVariableError,
)

# ------------------------------------------------------------------ a logistic outcome


def logistic():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=0.5 * z, dims="unit")
        b = pm.Normal("b")
        pm.Bernoulli("y", logit_p=-0.5 + b * t + 1.5 * z, dims="unit")
    return model


@pytest.fixture(scope="module")
def logistic_fit():
    model = logistic()
    data = bc.simulate(model, {"b": 1.0}, units=150, seed=4)
    draws = np.random.default_rng(1).normal(1.0, 0.2, size=(2, 30))
    return bc.Fit(model, {"b": draws}, data), data, draws


def risks(data, draws):
    base = -0.5 + 1.5 * data.z.to_numpy()
    treated = sigmoid(base + draws[..., None]).mean(-1)
    return treated, np.full_like(treated, sigmoid(base).mean())


def test_scales_combine_marginal_risks(logistic_fit):
    fit, data, draws = logistic_fit
    p1, p0 = risks(data, draws)
    wanted = {
        "difference": p1 - p0,
        "ratio": p1 / p0,
        "log ratio": np.log(p1 / p0),
        "odds ratio": p1 / (1 - p1) / (p0 / (1 - p0)),
    }
    for scale, value in wanted.items():
        effect = bc.estimate(fit, bc.ATE("t", "y", scale=scale))
        assert effect.mc_error == 0
        np.testing.assert_allclose(effect.draws.values, value, rtol=1e-12)


def test_the_odds_ratio_is_marginal_not_the_mean_of_the_units(logistic_fit):
    """Every unit's odds ratio is exp(b); the marginal one is nearer to one, and says so."""
    fit, _, draws = logistic_fit
    effect = bc.estimate(fit, bc.ATE("t", "y", scale="odds ratio"))
    assert np.all(effect.draws.values < np.exp(draws))
    assert any("collapsible" in note for note in effect.notes)


def test_ratio_of_averages_is_not_the_average_of_ratios(logistic_fit):
    fit, data, draws = logistic_fit
    base = -0.5 + 1.5 * data.z.to_numpy()
    each = (sigmoid(base + draws[..., None]) / sigmoid(base)).mean(-1)
    effect = bc.estimate(fit, bc.ATE("t", "y", scale="ratio"))
    assert np.all(effect.draws.values < each - 0.01)  # Jensen: the baseline risk varies


def test_a_zero_denominator_is_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", 2.0 * t, 1, dims="unit")
    known = bc.truth(model, {}, {"t": [0, 1], "y": [0.0, 2.0]})
    with pytest.raises(UndefinedEffectError, match="zero"):
        bc.estimate(known, bc.ATE("t", "y", scale="ratio"))


# ------------------------------------------------------------------ populations


def linear():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 1, 2, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * t * z + z, 1, dims="unit")
    return model


def test_sample_against_superpopulation():
    """The same mean, and a spread that has the sampling of z in it: var(z) / (n + 1) under
    Dirichlet(1, ..., 1) weights (Rubin 1981), times E[b]^2, plus the sample's own."""
    n = 60
    data = bc.simulate(linear(), {"b": 1.5}, units=n, seed=2)
    draws = np.random.default_rng(3).normal(1.5, 0.05, size=(2, 3000))
    fit = bc.Fit(linear(), {"b": draws}, data)
    sample = bc.estimate(fit, bc.ATE("t", "y"))
    wide = bc.estimate(fit, bc.ATE("t", "y", population="superpopulation"))
    zbar, spread = data.z.mean(), data.z.var(ddof=0) / (n + 1)
    np.testing.assert_allclose(sample.draws.values, draws * zbar, rtol=1e-12)
    e_b2 = 1.5**2 + 0.05**2
    sd = np.sqrt(0.05**2 * zbar**2 + e_b2 * spread)
    # 6,000 draws: relative error of an sd is 1 / sqrt(12,000) = 0.9%; five of those
    assert wide.draws.std().item() == pytest.approx(sd, rel=0.046)
    assert wide.mean() == pytest.approx(1.5 * zbar, abs=5 * sd / np.sqrt(6000))
    assert sample.draws.std().item() < 0.3 * sd
    assert "bootstrap" in wide.population


def test_superpopulation_over_clusters():
    """Whole clusters are weighted: var = sum_c (S_c - m n_c)^2 / n^2 G / (G + 1), approximately.

    With clusters of equal size the weighted mean is a Dirichlet mixture of the G cluster means:
    the variance is exactly var(cluster means) / (G + 1).
    """
    groups, size = 10, 6
    labels = np.repeat(np.arange(groups), size)
    centre = np.random.default_rng(4).normal(0, 2, groups)
    z = centre[labels] + np.random.default_rng(5).normal(0, 0.1, groups * size)
    data = pd.DataFrame({"z": z, "t": np.arange(groups * size) % 2, "y": z})
    fit = bc.Fit(linear(), {"b": np.full((2, 2000), 1.0)}, data)
    effect = bc.estimate(fit, bc.ATE("t", "y", population=bc.Superpopulation(clusters=labels)))
    means = z.reshape(groups, size).mean(1)
    wanted = np.sqrt(means.var(ddof=0) / (groups + 1))
    assert effect.draws.std().item() == pytest.approx(wanted, rel=0.056)  # 5 / sqrt(2 * 4000)
    naive = np.sqrt(z.var(ddof=0) / (groups * size + 1))
    assert wanted > 2 * naive
    # clusters may be a column of the model: two of them, t = 0 and t = 1
    two = bc.estimate(fit, bc.ATE("t", "y", population=bc.Superpopulation(clusters="t")))
    halves = np.array([z[0::2].mean(), z[1::2].mean()])
    assert two.draws.std().item() == pytest.approx(np.sqrt(halves.var() / 3), rel=0.056)
    with pytest.raises(UnknownVariableError, match=r"'klass'.*pass its labels"):
        bc.estimate(fit, bc.ATE("t", "y", population=bc.Superpopulation(clusters="klass")))
    with pytest.raises(DataError, match="cluster labels"):
        bc.estimate(fit, bc.ATE("t", "y", population=bc.Superpopulation(clusters=[1, 2])))


def test_one_weight_vector_serves_both_worlds():
    """E[Y | do(1)] - E[Y | do(0)] equals the ATE draw by draw under bootstrap weights."""
    data = bc.simulate(linear(), {"b": 1.5}, units=40, seed=2)
    fit = bc.Fit(linear(), {"b": np.full((1, 50), 1.5)}, data)
    wide = {"population": "superpopulation"}
    one, zero, ate = bc.estimate(
        fit,
        [bc.Expected("y", {"t": 1}, **wide), bc.Expected("y", {"t": 0}, **wide),
         bc.ATE("t", "y", **wide)],
    )  # fmt: skip
    np.testing.assert_allclose((one.draws - zero.draws).values, ate.draws.values, atol=1e-12)


def test_population_of_the_model_and_of_a_table():
    data = bc.simulate(linear(), {"b": 1.5}, units=40, seed=2)
    fit = bc.Fit(linear(), {"b": np.full((1, 20), 1.5)}, data)
    model = bc.estimate(fit, bc.ATE("t", "y", population="model"))
    assert within(model, 1.5)  # b E[z] = 1.5 * 1
    target = pd.DataFrame({"z": [0.0, 5.0, 10.0]})
    effect = bc.estimate(fit, bc.ATE("t", "y", population=target))
    assert effect.mc_error == 0
    assert effect.mean() == pytest.approx(1.5 * 5)
    assert "3 units" in effect.population
    with pytest.raises(DataError, match="lacks 'z'"):
        bc.estimate(fit, bc.ATE("t", "y", population=pd.DataFrame({"t": [0, 1]})))
    with pytest.raises(DataError, match="no column of the model"):
        bc.estimate(fit, bc.ATE("t", "y", population=pd.DataFrame({"q": [0, 1]})))
    with pytest.raises(DataError, match="empty cells"):
        bc.estimate(fit, bc.ATE("t", "y", population=pd.DataFrame({"z": [0.0, np.nan]})))


def test_populations_that_are_not_there():
    truth = bc.truth(linear(), {"b": 1.0})
    with pytest.raises(DataError, match="made without data"):
        bc.estimate(truth, bc.ATE("t", "y", population="superpopulation"))
    effect = bc.estimate(truth, bc.ATE("t", "y"))
    assert effect.population == "fresh units from the model"
    assert any("no data" in note for note in effect.notes)
    with pytest.raises(EstimandError, match="mask"):
        bc.estimate(truth, bc.ATE("t", "y", given=np.array([True]), population="model"))
    with pm.Model(coords={"unit": [0, 1]}) as model:
        w = pm.Data("w", [0.0, 1.0], dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", t * w, 1, dims="unit")
    fit = bc.truth(model, {}, {"w": [0.0, 1.0], "t": [0, 1], "y": [0.0, 0.0]})
    with pytest.raises(DataError, match=r"pm\.Data"):
        bc.estimate(fit, bc.ATE("t", "y", population="model"))


def test_a_bootstrap_needs_units_that_do_not_touch():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x - x.mean(), 1, dims="unit")
    fit = bc.truth(model, {}, {"x": [0.0, 1.0], "y": [0.0, 0.0]})
    with pytest.raises(MixingError, match="bootstrap"):
        bc.estimate(fit, bc.ATE("x", "y", population="superpopulation"))


# ------------------------------------------------------------------ subgroups


@pytest.fixture(scope="module")
def grouped():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        g = pm.Categorical("g", p=[0.3, 0.3, 0.4], dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * t * (z + g), 1, dims="unit")
    data = bc.simulate(model, {"b": 2.0}, units=80, seed=7)
    draws = np.random.default_rng(1).normal(2, 0.3, size=(2, 20))
    return bc.Fit(model, {"b": draws}, data), data, draws


def test_given_in_all_its_forms(grouped):
    fit, data, draws = grouped
    unit = (data.z + data.g).to_numpy()
    z, g = data.z.to_numpy(), data.g.to_numpy()
    cases = [
        ({"g": 1}, g == 1),
        ({"z": (0, 1.5)}, (z >= 0) & (z <= 1.5)),
        ({"z": (None, 0)}, z <= 0),
        ({"g": {0, 2}}, np.isin(g, [0, 2])),
        ({"g": [0, 2], "z": (0, None)}, np.isin(g, [0, 2]) & (z >= 0)),
        (z > g, z > g),
        (lambda z, g: z < g, z < g),
        (bc.Where(lambda a: a > 0.5, reads=["z"]), z > 0.5),
    ]
    for given, member in cases:
        assert 0 < member.sum() < len(member)
        effect = bc.estimate(fit, bc.CATE("t", "y", given=given))
        assert effect.mc_error == 0
        np.testing.assert_allclose(effect.draws.values, draws * unit[member].mean(), rtol=1e-12)
        same = bc.estimate(fit, bc.ATE("t", "y", given=given))
        np.testing.assert_array_equal(same.draws.values, effect.draws.values)


def test_subgroups_that_are_not_there(grouped):
    fit, _, _ = grouped
    with pytest.raises(EmptySubgroupError, match=r"0 of 80 units have z=0\.3"):
        bc.estimate(fit, bc.CATE("t", "y", given={"z": 0.3}))
    with pytest.raises(EmptySubgroupError, match="mask"):
        bc.estimate(fit, bc.CATE("t", "y", given=np.array([True, False])))
    with pytest.raises(UnknownVariableError, match="Did you mean"):
        bc.estimate(fit, bc.CATE("t", "y", given={"zz": 1}))


def test_by_gives_a_dim_and_the_parts_make_the_whole(grouped):
    fit, data, draws = grouped
    effect = bc.estimate(fit, bc.ATE("t", "y", by="g"))
    assert effect.draws.dims == ("chain", "draw", "g")
    share = 0.0
    for level in (0, 1, 2):
        one = bc.estimate(fit, bc.CATE("t", "y", given={"g": level}))
        np.testing.assert_allclose(effect.draws.sel(g=level).values, one.draws.values)
        share = share + (data.g == level).mean() * effect.draws.sel(g=level)
    whole = bc.estimate(fit, bc.ATE("t", "y"))
    np.testing.assert_allclose(share.values, whole.draws.values, rtol=1e-12)
    two = bc.estimate(fit, bc.ATE("t", "y", by=["g"], given={"z": (0, None)}))
    member = (data.z >= 0) & (data.g == 2)
    np.testing.assert_allclose(
        two.draws.sel(g=2).values, draws * (data.z + 2)[member].mean(), rtol=1e-12
    )


def test_by_a_latent_variable_is_formed_in_every_draw():
    """U is latent with known draws: the cell of a unit changes from draw to draw."""
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Bernoulli("u", 0.5, dims="unit")
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", t * (z + 10 * u), 1, dims="unit")
    rng = np.random.default_rng(3)
    n = 30
    u_draws = rng.integers(0, 2, size=(2, 10, n))
    z_obs = rng.normal(size=n)
    data = {"z": z_obs, "t": rng.integers(0, 2, n), "y": rng.normal(size=n)}
    fit = bc.Fit(model, {"u": u_draws}, data)
    effect = bc.estimate(fit, bc.ATE("t", "y", by="u"))
    for level in (0, 1):
        inside = u_draws == level
        wanted = (z_obs * inside).sum(-1) / inside.sum(-1) + 10 * level
        np.testing.assert_allclose(effect.draws.sel(u=level).values, wanted, rtol=1e-12)


def test_a_treated_range_defines_who_is_treated():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        dose = pm.Normal("dose", z, 1, dims="unit")
        pm.Normal("y", dose * z, 1, dims="unit")
    data = bc.simulate(model, {}, units=200, seed=8)
    fit = bc.truth(model, {}, data)
    effect = bc.estimate(fit, bc.ATT("dose", "y", treated=(0.5, None), control=0))
    inside = data.dose >= 0.5  # each keeps its own dose in the treated world
    assert effect.mean() == pytest.approx((data.dose * data.z)[inside].mean(), rel=1e-12)


# ------------------------------------------------------------------ association


def test_association_is_the_observed_contrast_and_not_the_effect():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        t = pm.Bernoulli("t", p=0.2 + 0.6 * z, dims="unit")
        pm.Normal("y", 1 * t + 5 * z, 1, dims="unit")
    known = bc.truth(model, {})
    # P(z = 1 | t = 1) = 0.8, P(z = 1 | t = 0) = 0.2: 1 + 5 * 0.6 = 4
    assert within(bc.estimate(known, bc.Association("t", "y", population="model")), 4.0)
    data = bc.simulate(model, {}, units=50, seed=1)
    seen = bc.estimate(bc.truth(model, {}, data), bc.Association("t", "y"))
    means = (data.t + 5 * data.z).groupby(data.t).mean()
    assert seen.mean() == pytest.approx(means[1] - means[0], rel=1e-12)
    with pytest.raises(EstimandError, match="comes before"):
        bc.estimate(bc.truth(model, {}, data), bc.Association("t", "z"))


def test_undefined_means_are_refused_with_what_to_ask():
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Cauchy("y", 2.0 * t, 1, dims="unit")
        pm.Categorical("k", p=pm.math.stack([0.5 - 0.1 * t, 0.3 + 0 * t, 0.2 + 0.1 * t], axis=-1),
                       dims="unit")  # fmt: skip
    known = bc.truth(model, {}, draws=4)
    for outcome in ("y", "k"):
        with pytest.raises(UndefinedEffectError, match=r"(?i)quantile|probability"):
            bc.estimate(known, bc.ATE("t", outcome))
    assert within(bc.estimate(known, bc.QTE("t", "y", q=0.5)), 2.0)
    share = bc.estimate(known, bc.ATE("t", "k", functional=bc.Probability(equals=2)))
    assert share.mean() == pytest.approx(0.1, abs=1e-12)


def test_marginal_risk_of_fresh_units_by_quadrature():
    known = bc.truth(logistic(), {"b": 1.0})
    effect = bc.estimate(known, bc.ATE("t", "y", population="model"))
    wanted = over_normal(lambda z: sigmoid(0.5 + 1.5 * z) - sigmoid(-0.5 + 1.5 * z))
    assert within(effect, wanted)
