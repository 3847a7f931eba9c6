"""The laws of counterfactuals on random models of mixed families."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from cf_random import FAMILIES, NOMINAL, Random, broken_laws, observed, target_of
from scipy import stats

import bayescausal as bc


def laws_of(seed, units=60):
    scm = Random(seed)
    fit = bc.truth(scm.model, scm.params, scm.data(units, seed), seed=seed)
    return broken_laws(fit, scm.coupling, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(12))
def test_laws_under_known_parameters(seed):
    assert laws_of(seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(100))
def test_laws_on_thousands_of_graphs(chunk):
    for seed in range(100 + 20 * chunk, 120 + 20 * chunk):
        assert laws_of(seed, units=200) == [], seed


@pytest.mark.parametrize("family", FAMILIES)
def test_laws_family_by_family_in_the_tails(family):
    """The data come from one parameter set and are asked under 15 others: tails included."""
    scm = Random(5, 3, [family])
    fit = bc.prior(scm.model, scm.data(40, 3), draws=15, seed=4)
    coupling = dict.fromkeys(scm.coupling, "gumbel") if family in NOMINAL else scm.coupling
    assert (
        broken_laws(
            fit,
            coupling,
            np.random.default_rng(1),
            target="v0" if scm.model["v0"].ndim == 1 else None,
        )
        == []
    )


@pytest.mark.parametrize("family", NOMINAL)
def test_laws_of_categories_under_the_quantile_coupling(family):
    scm = Random(5, 3, [family])
    fit = bc.truth(scm.model, scm.params, scm.data(60, 3), seed=4)
    coupling = dict.fromkeys(scm.coupling, "monotone")
    assert broken_laws(fit, coupling, np.random.default_rng(1)) == []


def test_far_tails():
    """Values dozens of standard deviations out, where a uniform rank would be 0 or 1."""
    import pymc as pm

    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        k = pm.Poisson("k", pm.math.exp(0.1 * x), dims="unit")
        g = pm.Gamma("g", alpha=2 + 0.05 * x, beta=1, dims="unit")
        t = pm.StudentT("t", nu=5, mu=x, sigma=1, dims="unit")
        pm.Censored("c", pm.Normal.dist(x, 1), lower=-3, upper=60, dims="unit")
        pm.LogNormal("z", 0.1 * k + 0.01 * g + 0.01 * t, 1, dims="unit")
    data = {
        "x": [-30.0, 0.0, 20.0, 5.0],
        "k": [90, 40, 0, 150],
        "g": [200.0, 1e-6, 90.0, 2.0],
        "t": [-400.0, 90.0, 1e4, 0.0],
        "c": [-3.0, 30.0, 60.0, -2.5],
        "z": [1e-6, 1e9, 1.0, 3.0],
    }
    fit = bc.truth(model, {}, data, draws=20)
    assert broken_laws(fit, {"k": "monotone"}, np.random.default_rng(0), target="x") == []


@pytest.mark.parametrize("seed", [1, 4, 7, 9])
def test_abducted_noise_has_its_standard_distribution(seed):
    """Probability integral transform under the parameters that made the data.

    Kolmogorov-Smirnov over 1,500 units and every noise; a false alarm in 1e-4 of all runs.
    """
    scm = Random(seed)
    fit = bc.truth(scm.model, scm.params, scm.data(1_500, 50 + seed), seed=seed)
    noise = bc.abduct(fit, coupling=scm.coupling)
    laws = {"normal": stats.norm, "logistic": stats.logistic, "gumbel": stats.gumbel_r}
    tests = []
    for name in noise.data_vars:
        values = noise[name].values[0, 0]
        columns = values.reshape(len(values), -1).T
        law = laws[noise[name].attrs["base"]]
        tests += [(name, stats.kstest(column, law.cdf).pvalue) for column in columns]
    assert noise.attrs["impossible"] == ""
    assert [(n, p) for n, p in tests if p < 1e-4 / 40] == []


@pytest.mark.parametrize("seed", [0, 3, 6])
def test_the_mean_of_unit_counterfactuals_is_the_interventional_answer(seed):
    """Two routes to E[Y | do(X = x)], one by abduction, one by fresh noise.

    The units' noise is a sample from its law, so the two differ by at most the standard error of
    a mean of independent outcomes; 4.5 of them is a chance of 7e-6.
    """
    families = ["Normal", "Gamma", "Bernoulli", "Poisson", "Exponential", "Beta"]
    scm = Random(seed, 5, families)
    count = 3_000
    fit = bc.truth(scm.model, scm.params, scm.data(count, seed), seed=seed)
    rng = np.random.default_rng(seed)
    target = target_of(scm.model, rng, scm.names[:3])
    outcome = sorted(nx.descendants(bc.graph_of(scm.model), target))[-1]
    level = observed(fit, target)[0]
    found = bc.counterfactual(
        fit, {target: level}, variables=outcome, coupling=scm.coupling or None
    )
    values = found[outcome].sel(world="counterfactual").values.reshape(-1).astype(float)
    answer = bc.estimate(fit, bc.Expected(outcome, {target: level}))
    error = np.hypot(values.std() / np.sqrt(count), float(answer.mc_error))
    assert abs(values.mean() - answer.mean()) < 4.5 * error


@pytest.mark.parametrize("seed", [2, 8])
def test_total_is_direct_minus_reversed_indirect_draw_by_draw(seed):
    """In one list and in separate calls; unit by unit too, through counterfactual worlds."""
    families = ["Normal", "Gamma", "Bernoulli", "Poisson", "LogNormal"]
    scm = Random(seed, 4, families)
    fit = bc.prior(scm.model, scm.data(30, seed), draws=12, seed=seed)
    low, high = np.quantile(observed(fit, "v0"), [0.2, 0.9], method="nearest")
    levels = {"treated": high, "control": low}
    if low == high:
        levels = {"treated": 1, "control": 0}
    asked = [
        bc.TE("v0", "v3", **levels),
        bc.NDE("v0", "v3", **levels),
        bc.NIE("v0", "v3", reverse=True, **levels),
    ]
    together = bc.estimate(fit, asked)
    apart = [bc.estimate(fit, a) for a in asked]
    for total, direct, indirect in (together, apart):
        gap = total.draws.values - (direct.draws.values - indirect.draws.values)
        assert np.abs(gap).max() <= 1e-9 * max(1.0, np.abs(total.draws.values).max())
