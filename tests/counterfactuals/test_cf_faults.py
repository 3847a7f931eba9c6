"""Faults planted in the machinery, each caught by a law."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pymc as pm
import pytest
from cf_oracles import States, frequencies_fit
from cf_random import broken_laws

import bayescausal as bc
from bayescausal.counterfactuals import noise, predict
from bayescausal.evaluation.builder import Builder
from bayescausal.evaluation.noise import FreshNoise


def chain():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Gamma("m", alpha=2, beta=pm.math.exp(-0.4 * x), dims="unit")
        k = pm.Poisson("k", pm.math.exp(0.3 * x), dims="unit")
        pm.Normal("y", 0.5 * x + m + 0.3 * k, 1, dims="unit")
    return bc.truth(model, {}, bc.simulate(model, {}, units=30, seed=1), draws=3, seed=2)


def laws(fit):
    return broken_laws(fit, {"k": "monotone"}, np.random.default_rng(3), target="x")


def test_the_laws_hold_without_a_fault():
    assert laws(chain()) == []


def test_noise_redrawn_instead_of_abducted(monkeypatch):
    fit = chain()

    def redrawn(self, variable, base, *args, **kwargs):
        return FreshNoise(self.seed).draw(variable, base, *args, **kwargs)

    monkeypatch.setattr(noise.AbductedNoise, "draw", redrawn)
    broken = laws(fit)
    assert not any("factual world" in b for b in broken)  # it is what was seen, whatever the noise
    assert any("do(x = observed)" in b for b in broken)


def test_a_stale_mediator(monkeypatch):
    """The mediator keeps its observed value: the laws within a world hold, the joint ones fail.

    Setting everything to what was seen hides it; the law of TE, or a unit's closed form, does not.
    """
    real = predict.recomputed_by
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Normal("m", 2 * x, 1, dims="unit")
        pm.Normal("y", x + 3 * m, 1, dims="unit")
    fit = bc.truth(model, {}, {"x": [0.5, -1.0], "m": [1.0, 2.0], "y": [4.0, 0.0]})

    def shifted():
        found = bc.counterfactual(fit, {"x": bc.Shift(1)})
        change = found.sel(world="counterfactual") - found.sel(world="factual")
        return {n: np.unique(change[n].values.round(9)).tolist() for n in ("x", "m", "y")}

    wanted = {"x": [1.0], "m": [2.0], "y": [7.0]}
    assert shifted() == wanted
    monkeypatch.setattr(predict, "recomputed_by", lambda *args: frozenset(real(*args)) - {"m"})
    assert shifted() != wanted


def coin(kinds, draws=2_000):
    """Frequencies of the worlds of a few discrete units against their law."""
    scm = States.random(np.random.default_rng(9), [2, 3, 3])
    units = [(0, 1, 2), (1, 0, 1)]
    data = {n: [u[i] for u in units] for i, n in enumerate(scm.names)}
    fit = bc.truth(scm.model(), {}, data, draws=draws, seed=5)
    found = bc.counterfactual(
        fit, {"v0": [1, 0]}, coupling=dict(zip(scm.names, kinds, strict=True))
    ).sel(world="counterfactual")
    values = np.stack([found[n].values[0] for n in scm.names], axis=-1)
    fits = []
    for u, state in enumerate(units):
        law = scm.given(dict(enumerate(state)), {0: 1 - state[0]}, kinds)
        counts = Counter(tuple(int(v) for v in row) for row in values[:, u])
        if not set(counts) <= {s for s, p in law.items() if p > 0}:
            return False
        fits.append(frequencies_fit(counts, law, tests=2))
    return all(fits)


@pytest.mark.parametrize("kind", ["monotone", "gumbel"])
def test_one_noise_draw_used_for_all_posterior_draws(monkeypatch, kind):
    assert coin((kind,) * 3)
    real = FreshNoise.draw

    def frozen(self, variable, base, draws, *args, **kwargs):
        return real(self, variable, base, [0] * len(draws), *args, **kwargs)

    monkeypatch.setattr(FreshNoise, "draw", frozen)
    assert not coin((kind,) * 3)


def test_coupling_ignored(monkeypatch):
    assert coin(("gumbel",) * 3)
    monkeypatch.setattr(
        Builder,
        "rule",
        lambda self, name: __import__(
            "bayescausal.model.noise", fromlist=["noise_rule"]
        ).noise_rule(self.structure.variable(name)),
    )
    assert not coin(("gumbel",) * 3)
