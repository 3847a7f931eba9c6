"""Published and exactly known results, and the same analysis done by hand in PyMC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc

LALONDE = Path(__file__).parents[2].parent / "shared" / "data" / "lalonde.csv"


# ------------------------------------------------------------------ kidney stones


def kidney():
    """Charig et al. 1986: stone size decides the treatment, both decide success."""
    with pm.Model(coords={"patient": range(700), "cell": range(4)}) as model:
        p_large = pm.Beta("p_large", 1, 1)
        p_open = pm.Beta("p_open", 1, 1, shape=2)
        success = pm.Beta("p_success", 1, 1, dims="cell")  # 2 * large + open
        large = pm.Bernoulli("large", p_large, dims="patient")
        opened = pm.Bernoulli("open", p_open[large], dims="patient")
        pm.Bernoulli("success", success[2 * large + opened], dims="patient")
    return model


#: (large, open): successes, patients
COUNTS = {(0, 1): (81, 87), (1, 1): (192, 263), (0, 0): (234, 270), (1, 0): (55, 80)}


def patients():
    rows = []
    for (large, opened), (good, n) in COUNTS.items():
        rows += [(large, opened, 1)] * good + [(large, opened, 0)] * (n - good)
    return pd.DataFrame(rows, columns=["large", "open", "success"])


@pytest.fixture(scope="module")
def stones():
    """Beta(1, 1) priors on five proportions: the posterior is five independent Betas."""
    rng = np.random.default_rng(1)
    size = (4, 5000)
    n_large = sum(n for (large, _), (_, n) in COUNTS.items() if large)
    cells = [COUNTS[large, opened] for large in (0, 1) for opened in (0, 1)]
    draws = {
        "p_large": rng.beta(1 + n_large, 1 + 700 - n_large, size),
        "p_open": np.stack(
            [
                rng.beta(1 + COUNTS[z, 1][1], 1 + COUNTS[z, 0][1], size)
                for z in (0, 1)
            ],
            axis=-1,
        ),
        "p_success": np.stack([rng.beta(1 + s, 1 + n - s, size) for s, n in cells], axis=-1),
    }  # fmt: skip
    return bc.Fit(kidney(), draws, patients()), draws


def test_kidney_stones_in_the_population(stones):
    fit, draws = stones
    effect = bc.estimate(fit, bc.ATE("open", "success", population="model"))
    w, s = draws["p_large"], draws["p_success"]
    exact = w * (s[..., 3] - s[..., 2]) + (1 - w) * (s[..., 1] - s[..., 0])
    assert effect.mc_error == 0  # the size is summed out, not simulated
    np.testing.assert_allclose(effect.draws.values, exact, atol=1e-12)
    # 20,000 independent draws: error of the mean 0.0336 / sqrt(20,000), of the sd that / sqrt 2
    se = 0.0336 / np.sqrt(20_000)
    assert effect.mean() == pytest.approx(0.051496, abs=4 * se)
    assert effect.draws.std().item() == pytest.approx(0.0336, abs=4 * se / np.sqrt(2) + 5e-5)
    low, high = effect.interval()
    assert low == pytest.approx(-0.0113, abs=0.003)  # an HDI's end is known to about 4 se of
    assert high == pytest.approx(0.1152, abs=0.003)  # a quantile: sqrt(.03 .97 / n) / density
    assert effect.probability(above=0.0) == pytest.approx(0.938, abs=4 * 0.0017)


def test_kidney_stones_reverse_against_the_association(stones):
    fit, draws = stones
    seen = bc.estimate(fit, bc.Association("open", "success"))
    assert seen.mean() < 0 < bc.estimate(fit, bc.ATE("open", "success")).mean()
    data = patients()
    s = draws["p_success"]
    groups = [
        sum((data.large[data.open == x] == z).mean() * s[..., 2 * z + x] for z in (0, 1))
        for x in (0, 1)
    ]
    np.testing.assert_allclose(seen.draws.values, groups[1] - groups[0], atol=1e-12)


def test_kidney_stones_plug_in():
    """At the observed proportions: 3274803 / 61016000, ATT and ATU as in the table."""
    rates = [COUNTS[z, x][0] / COUNTS[z, x][1] for z in (0, 1) for x in (0, 1)]
    params = {
        "p_large": 343 / 700,
        "p_open": [87 / 357, 263 / 343],
        "p_success": rates,
    }
    known = bc.truth(kidney(), params, patients())
    ate, att, atu, one, zero, naive = bc.estimate(
        known,
        [
            bc.ATE("open", "success"),
            bc.ATT("open", "success"),
            bc.ATU("open", "success"),
            bc.Expected("success", {"open": 1}),
            bc.Expected("success", {"open": 0}),
            bc.Association("open", "success"),
        ],
    )
    assert ate.mean() == pytest.approx(3274803 / 61016000, abs=1e-12)
    assert att.mean() == pytest.approx(0.047964, abs=1e-6)
    assert atu.mean() == pytest.approx(0.059378, abs=1e-6)
    assert one.mean() == pytest.approx(634983 / 762700, abs=1e-12)
    assert zero.mean() == pytest.approx(6231 / 8000, abs=1e-12)
    assert naive.mean() == pytest.approx(273 / 350 - 289 / 350, abs=1e-12)


def test_pearls_drug_and_enzyme():
    """Pearl 2012: NDE 0.32, NIE 0.035, TE 0.46; the parts do not add up to the whole."""
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        m = pm.Bernoulli("m", p=0.40 + 0.35 * t, dims="unit")
        pm.Bernoulli("y", p=0.2 + 0.1 * m + 0.2 * t + 0.3 * m * t, dims="unit")
    te, nde, nie = bc.estimate(
        bc.truth(model, {}), [bc.TE("t", "y"), bc.NDE("t", "y"), bc.NIE("t", "y")]
    )
    assert te.mean() == pytest.approx(0.46, abs=1e-12)
    assert nde.mean() == pytest.approx(0.32, abs=1e-12)
    assert nie.mean() == pytest.approx(0.035, abs=1e-12)


def test_pearls_smoking_and_tar():
    """The front-door table as a model with its latent: do differs in sign from see."""
    with pm.Model(coords={"unit": [0]}) as model:
        s = pm.Bernoulli("s", 0.5, dims="unit")
        tar = pm.Bernoulli("tar", p=0.05 + 0.90 * s, dims="unit")
        pm.Bernoulli("c", p=0.1 + 0.8 * s - 0.05 * tar, dims="unit")
    known = bc.truth(model, {})
    # tar's own effect, averaged over smokers as they are, is the front door's second step
    front = bc.estimate(known, bc.ATE("tar", "c", population="model"))
    assert front.mean() == pytest.approx(-0.05, abs=5 * max(front.mc_error, 1e-12))
    assert front.mean() * 0.90 == pytest.approx(-0.045, abs=5 * max(front.mc_error, 1e-12))


# ------------------------------------------------------------------ Lalonde


@pytest.mark.skipif(not LALONDE.exists(), reason="the Lalonde data are not here")
def test_lalonde_linear_model():
    """OLS gives 1548.24 (se 781.28) for `treat`; weak priors move it by less than 0.1 sd."""
    table = pd.read_csv(LALONDE)
    race = pd.get_dummies(table.race)[["black", "hispan"]].astype(float)
    covariates = pd.concat(
        [table[["age", "educ", "married", "nodegree", "re74", "re75"]], race], axis=1
    )
    covariates = ((covariates - covariates.mean()) / covariates.std()).to_numpy()
    scale = table.re78.std()
    centre = table.re78.mean()
    k = covariates.shape[1]
    with pm.Model(coords={"unit": range(len(table)), "covariate": range(k)}) as model:
        x = pm.Data("x", covariates, dims=("unit", "covariate"))
        treat = pm.Data("treat", table.treat.to_numpy().astype(float), dims="unit")
        a = pm.Normal("a", 0, 2.5)
        b = pm.Normal("b", 0, 2.5)
        beta = pm.Normal("beta", 0, 2.5, dims="covariate")
        s = pm.HalfNormal("s", 2.5)
        pm.Normal("re78", a + b * treat + x @ beta, s, dims="unit")
    outcome = ((table.re78 - centre) / scale).to_numpy()
    fit = bc.fit(
        model,
        {"x": covariates, "treat": table.treat.to_numpy().astype(float), "re78": outcome},
        draws=1000, chains=2, seed=1, progressbar=False,
    )  # fmt: skip
    effect = bc.estimate(fit, bc.ATE("treat", "re78"))
    dollars = effect.draws * scale
    sd = dollars.std().item()
    error = 4 * sd / np.sqrt(1000)  # 2,000 draws, at worst half of them effective
    assert dollars.mean().item() == pytest.approx(1548.24, abs=0.1 * sd + error)
    assert sd == pytest.approx(781.28, rel=0.05 + 4 / np.sqrt(2 * 1000))
    np.testing.assert_allclose(effect.draws.values, fit.posterior["b"].values, atol=1e-10)


# ------------------------------------------------------------------ by hand


def coating(n):
    with pm.Model(coords={"unit": range(n)}) as model:
        humid = pm.Normal("humid", 0, 1, dims="unit")
        b_d0, b_hd = pm.Normal("b_d0"), pm.Normal("b_hd")
        dilution = pm.Bernoulli("dilution", logit_p=b_d0 + b_hd * humid, dims="unit")
        b_c0, b_dc, b_hc = pm.Normal("b_c0"), pm.Normal("b_dc"), pm.Normal("b_hc")
        sigma = pm.HalfNormal("sigma")
        pm.Normal("coating", b_c0 + b_dc * dilution + b_hc * humid, sigma, dims="unit")
    return model


TRUTH = {"b_d0": 0.4893, "b_hd": -0.39, "b_c0": 0.5128, "b_dc": -0.421, "b_hc": -0.54, "sigma": 0.2}


@pytest.mark.slow
def test_the_flow_by_hand_in_pymc_gives_the_same_answer():
    """do, observe, sample, two posterior predictives, subtract; then the same in two lines."""
    n = 300
    model = coating(n)
    data = bc.simulate(model, TRUTH, units=n, seed=1)
    arrays = {c: data[c].to_numpy() for c in ("humid", "dilution", "coating")}
    conditioned = pm.observe(model, arrays)
    trace = pm.sample(
        500, tune=500, chains=2, cores=1, random_seed=1, progressbar=False, quiet=True,
        model=conditioned,
    )  # fmt: skip
    arms = []
    for level, seed in ((1, 2), (0, 3)):
        world = pm.do(
            pm.observe(model, {"humid": arrays["humid"]}),
            {"dilution": np.full(n, level)},
        )
        predictive = pm.sample_posterior_predictive(
            trace, model=world, var_names=["coating"], random_seed=seed, progressbar=False
        )
        arms.append(predictive.posterior_predictive["coating"])
    by_hand = (arms[0] - arms[1]).mean("unit")
    effect = bc.estimate(bc.Fit(conditioned, trace), bc.ATE("dilution", "coating"))
    np.testing.assert_allclose(effect.draws.values, trace.posterior["b_dc"].values, atol=1e-12)
    # each hand-made draw carries the noise of two independent arms of n units, and of humid too:
    # posterior predictive sampling draws an observed variable that is not in the trace afresh
    noise = np.hypot(TRUTH["sigma"], TRUTH["b_hc"]) * np.sqrt(2 / n)
    gap = (by_hand - effect.draws).values
    assert gap.std() == pytest.approx(noise, rel=0.15)  # 1,000 draws: 5 / sqrt(2,000) = 11%
    assert abs(gap.mean()) < 5 * noise / np.sqrt(gap.size)
    assert by_hand.std().item() > 1.1 * effect.draws.std().item()  # the wider interval
    assert abs(effect.mean() - TRUTH["b_dc"]) < 4 * effect.draws.std().item()
    # and from the data in one call: the same posterior within the errors of the chains
    fit = bc.fit(model, data, draws=500, chains=2, seed=4, progressbar=False)
    ours = bc.estimate(fit, bc.ATE("dilution", "coating"))
    sd = ours.draws.std().item()
    # 1,000 draws each; an effective size of 500 at worst: sd sqrt(2 / 500), five of them
    assert ours.mean() == pytest.approx(effect.mean(), abs=5 * sd * np.sqrt(2 / 500))
    assert sd == pytest.approx(effect.draws.std().item(), rel=5 * np.sqrt(1 / 500))
