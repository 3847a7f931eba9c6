"""The Laplace approximation: right where it is right, and it says where it is not."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from models import logistic

import bayescausal as bc
from bayescausal.inference.sampling.laplace import LIMIT, laplace_draws
from bayescausal.types import BayesCausalError

OPTIONS = {"draws": 1000, "chains": 2, "progressbar": False}
SHORT = {"draws": 50, "tune": 50, "chains": 1, "progressbar": False}


def test_a_gaussian_posterior_is_found_exactly():
    with pm.Model(coords={"unit": range(4)}) as model:
        m = pm.Normal("m", 0, 2)
        pm.Deterministic("twice", 2 * m)
        pm.Normal("y", m, 1, dims="unit", observed=[1.0, 2.0, 0.5, 1.5])
    posterior, k_hat = laplace_draws(model, draws=4000, chains=2, seed=1)
    precision = 0.25 + 4
    mean, sd = 5.0 / precision, precision**-0.5
    assert k_hat < 0.5
    values = posterior["m"].values
    # resampled from twice as many proposals: at least 2,000 effective draws, 5 errors
    assert abs(values.mean() - mean) < 5 * sd / np.sqrt(2000)
    assert values.std() == pytest.approx(sd, rel=5 / np.sqrt(2 * 2000))
    np.testing.assert_allclose(posterior["twice"], 2 * values)


@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
def test_it_agrees_with_nuts_and_says_its_k_hat():
    model = logistic()
    data = bc.simulate(model, {"a": 0.2, "b": 1.0}, units=200, seed=1)
    fast = bc.fit(model, data, method="laplace", seed=2, **OPTIONS)
    slow = bc.fit(model, data, method="nuts", seed=3, **OPTIONS)
    [how] = fast.methods.values()
    assert how.startswith("laplace (k-hat ")
    assert any("k-hat" in note for note in fast.notes)
    for n in ("a", "b"):
        one, two = fast.posterior[n].values, slow.posterior[n].values
        assert abs(one.mean() - two.mean()) < 5 * two.std() * np.sqrt(2 / 500)
        assert one.std() == pytest.approx(two.std(), rel=5 * np.sqrt(2 / 2 / 500))
    again = bc.fit(model, data, method="laplace", seed=2, **OPTIONS)
    np.testing.assert_array_equal(again.posterior["a"], fast.posterior["a"])


def test_constrained_parameters_come_back_on_their_own_scale():
    with pm.Model(coords={"unit": [0]}) as model:
        s = pm.HalfNormal("s", 2)
        pm.Normal("y", pm.Normal("m", 0, 5), s, dims="unit")
    rng = np.random.default_rng(3)
    data = {"y": rng.normal(1, 1.5, 200)}
    fast = bc.fit(model, data, method="laplace", seed=2, **OPTIONS)
    exact = bc.fit(model, data, method="exact", seed=2, **OPTIONS)
    for n in ("m", "s"):
        one, two = fast.posterior[n].values, exact.posterior[n].values
        assert abs(one.mean() - two.mean()) < 5 * two.std() * np.sqrt(2 / 1000)


@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
def test_a_poor_bell_falls_back_to_nuts_and_says_so():
    with pm.Model(coords={"unit": [0]}) as model:
        v = pm.Normal("v", 0, 3)
        w = pm.Normal("w", 0, pm.math.exp(v), shape=9)  # a funnel: no bell fits
        pm.Normal("y", w.sum(), 100.0, dims="unit")
    found = bc.fit(model, {"y": [0.0, 1.0]}, method="laplace", seed=1, **SHORT)
    assert set(found.methods.values()) <= {"nuts", "compressed (nuts)"}
    assert any("drawn by NUTS" in note for note in found.notes)
    assert LIMIT == 0.7


def test_samplers_and_methods_that_there_are_not():
    model = logistic()
    data = {"x": [0.0, 1.0], "t": [0, 1]}
    with pytest.raises(BayesCausalError, match="Did you mean 'laplace'"):
        bc.fit(model, data, method="laplac")
    with pytest.raises(BayesCausalError, match="Did you mean 'numpyro'"):
        bc.fit(model, data, sampler="numpiro")
    with pytest.raises(BayesCausalError, match="are the same option"):
        bc.fit(model, data, sampler="pymc", nuts_sampler="nutpie")


def test_a_sampler_that_is_not_installed(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("jax", "numpyro") else real(name, *rest),
    )
    with pytest.raises(BayesCausalError, match=r"needs jax and numpyro.*pip install"):
        bc.fit(logistic(), {"x": [0.0, 1.0], "t": [0, 1]}, sampler="numpyro")


@pytest.mark.parametrize(("version", "works"), [("1.5", True), ("1.6", False), ("1.7.1", False)])
def test_a_sampler_whose_interface_is_gone(monkeypatch, version, works):
    """PyMC 6.4 passes `progress_bar` to blackjax, which took it out in 1.6."""
    import importlib.metadata
    import importlib.util

    from bayescausal.inference.fit import check_options

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    asked = {"method": "auto", "draws": 10, "chains": 1, "sampler": "blackjax"}
    if works:
        assert check_options(**asked, options={})["nuts_sampler"] == "blackjax"
        return
    with pytest.raises(BayesCausalError, match=rf"blackjax {version}.*pip install 'blackjax<1.6'"):
        check_options(**asked, options={})
