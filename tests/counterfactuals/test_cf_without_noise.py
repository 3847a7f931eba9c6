"""Effects on units in which every unit's noise cancels, against the model's equations by hand.

With the noise u of y and v of m, the outcome in a world is written out below: the effects are the
differences of two worlds with the same u and v, found from the data. Where these do not cancel,
the effects must still be right, found unit by unit.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.unit_level import individual as module
from bayescausal.types import DataError

N, DRAWS = 40, 6
RNG = np.random.default_rng(3)
X, T, G = RNG.normal(size=N), RNG.integers(0, 2, N), RNG.integers(0, 3, N)
DATA = {"x": X, "t": T, "g": G, "m": RNG.normal(size=N), "y": RNG.normal(size=N)}
NAMES = ("a", "b", "c", "d", "e", "s", "k")
DRAWN = {n: RNG.normal(size=(1, DRAWS)) for n in NAMES} | {"r": RNG.normal(size=(1, DRAWS, 3))}
DRAWN["s"] = np.exp(DRAWN["s"])


def fitted(mean, spread=lambda p, t: p["s"], middle=lambda p, t, x: p["k"] * t + p["e"] * x):
    """A fit with draws; the equations of y and m are functions of (parameters, t, x, m, g)."""
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        x, t, g = (pm.Data(n, np.zeros(1, int if n == "g" else float), dims="unit") for n in "xtg")
        p = {n: pm.HalfNormal(n) if n == "s" else pm.Normal(n) for n in NAMES}
        p["r"] = pm.Normal("r", dims="group")
        m = pm.Normal("m", middle(p, t, x), 0.5, dims="unit")
        pm.Normal("y", mean(p, t, x, m, g), spread(p, t), dims="unit")
    return bc.Fit(model, DRAWN, DATA)


def by_hand(
    mean, treated, spread=lambda p, t: p["s"], middle=lambda p, t, x: p["k"] * t + p["e"] * x
):
    p = {n: v[0][:, None] for n, v in DRAWN.items() if n != "r"} | {"r": DRAWN["r"][0].T}
    v = DATA["m"] - middle(p, T, X)
    u = (DATA["y"] - mean(p, T, X, DATA["m"], G)) / spread(p, T)

    def outcome(t):
        looked_up = dict(p, r=p["r"])
        return mean(looked_up, t, X, middle(p, t, X) + v, G) + spread(p, t) * u

    return outcome(treated(T)) - outcome(T * 0.0)


def of_group(p, g):
    """The effect of each unit's group: of an expression, or of arrays (group, draw)."""
    return p["r"][g].T if isinstance(p["r"], np.ndarray) else p["r"][g]


CANCELS = {
    "constant": lambda p, t, x, m, g: p["a"] + p["b"] * t,
    "modified": lambda p, t, x, m, g: p["a"] + (p["b"] + p["d"] * x) * t + p["c"] * x**2,
    "mediated": lambda p, t, x, m, g: p["a"] + p["b"] * t + (p["c"] + p["d"] * x) * m,
    "groups": lambda p, t, x, m, g: p["a"] * x + (p["b"] + of_group(p, g)) * t,
}
STAYS = {
    "noise times treatment": lambda p, t, x, m, g: p["b"] * t + p["c"] * m * t,
    "curved": lambda p, t, x, m, g: p["b"] * t + p["c"] * m**2,
}


@pytest.fixture
def taken(monkeypatch):
    """What the closed form returned, call by call."""
    found = []
    own = module._without_noise
    monkeypatch.setattr(module, "_without_noise", lambda *a: found.append(own(*a)) or found[-1])
    return found


@pytest.mark.parametrize("name", [*CANCELS, *STAYS])
def test_effects_are_those_of_the_equations(name, taken):
    mean = (CANCELS | STAYS)[name]
    for treated, level in ((lambda t: t * 0 + 1.5, 1.5), (lambda t: t + 0.5, bc.Shift(0.5))):
        found = bc.estimate(fitted(mean), bc.ITE("t", "y", treated=level, control=0))
        np.testing.assert_allclose(found.draws[0], by_hand(mean, treated), rtol=1e-9, atol=1e-12)
    assert [t is not None for t in taken] == 2 * [name in CANCELS]


def test_noise_of_another_size_when_treated_does_not_cancel(taken):
    mean = CANCELS["modified"]
    spread = lambda p, t: p["s"] * (1 + t)  # noqa: E731
    found = bc.estimate(fitted(mean, spread), bc.ITE("t", "y"))
    expected = by_hand(mean, lambda t: t * 0 + 1, spread)
    np.testing.assert_allclose(found.draws[0], expected, rtol=1e-9)
    assert taken == [None]


def test_a_subgroup_and_the_share_above_zero(taken):
    mean = CANCELS["modified"]
    expected = by_hand(mean, lambda t: t * 0 + 1)
    some = bc.estimate(fitted(mean), bc.ITE("t", "y", given={"g": 1}))
    np.testing.assert_allclose(some.draws[0], expected[:, G == 1], rtol=1e-9)
    share = bc.estimate(fitted(mean), bc.ITE("t", "y", functional=bc.Probability(above=0)))
    np.testing.assert_allclose(share.draws[0], (expected > 0).mean(axis=1))
    assert all(t is not None for t in taken)


def test_evidence_that_cannot_be_is_refused_although_the_noise_cancels(monkeypatch):
    """Without noise y is its mean, which the data are not."""
    monkeypatch.setitem(DRAWN, "s", np.zeros((1, DRAWS)))
    with pytest.raises(DataError, match="impossible"):
        bc.estimate(fitted(CANCELS["constant"]), bc.ITE("t", "y"))
