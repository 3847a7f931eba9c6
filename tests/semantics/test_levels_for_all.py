"""One level set for all units, where units touch: the level counts once for each unit.

The kind of fault: the averages in closed form kept a number that is filled to all units as one
number, so that a sum over the units was that of a single one (`do(x=1)` of a sum over seven units
gave 1, "identified"). Looked at: sums, shares, products, sorted and shifted values, distances
between units, through a Deterministic; data and random variables; two worlds, curves, ratios,
probabilities; quantiles, ITE, counterfactuals and `worlds` (right before). Without touching units
the closed form is as it was.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.effects.averaging.closed_form import closed_form
from bayescausal.effects.evaluation.question import resolve

N = 7
X = np.random.default_rng(3).normal(size=N)

#: The mean of y as an expression and as a function of an array.
MEANS = {
    "sum": (lambda x: x.sum() + 0 * x, np.sum),
    "share": (lambda x: x / x.sum(), lambda x: x / x.sum()),
    "others": (lambda x: x.sum() - x, lambda x: x.sum() - x),
    "product": (lambda x: pt.prod(x) + 0 * x, np.prod),
    "inner product": (lambda x: pt.dot(x, x) + 0 * x, lambda x: x @ x),
    "cumulative": (lambda x: pt.cumsum(x), np.cumsum),
    "neighbour": (
        lambda x: pt.concatenate([0 * x[:1], x[:-1]]),
        lambda x: np.append(0.0, x[:-1]),
    ),
    "kernel": (
        lambda x: pt.exp(-((x[:, None] - x[None]) ** 2)).sum(axis=1),
        lambda x: np.exp(-((x[:, None] - x[None]) ** 2)).sum(axis=1),
    ),
    "mean": (lambda x: x.mean() + 0 * x, np.mean),
    "named": (lambda x: pm.Deterministic("total", (2 * x).sum()) + 0 * x, lambda x: 2 * np.sum(x)),
}


def known_of(mean, *, data=False):
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Data("x", X, dims="unit") if data else pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * mean(x), 1, dims="unit")
    return bc.truth(model, {"b": 1.5}, {"x": X, "y": np.zeros(N)})


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("name", MEANS)
def test_a_level_counts_once_for_each_unit(name, data):
    mean, plain = MEANS[name]
    known = known_of(mean, data=data)
    one, two = (1.5 * np.mean(plain(np.full(N, level))) for level in (0.1, 1.3))
    found = bc.estimate(known, bc.Expected("y", {"x": 0.1}))
    assert found.mean() == pytest.approx(one)
    ate = bc.estimate(known, bc.ATE("x", "y", treated=1.3, control=0.1))
    assert ate.mean() == pytest.approx(two - one, abs=1e-12)
    worlds = bc.worlds(known, {"one": {"x": 0.1}}, variables="y", kind="expected")["y"]
    assert float(worlds.mean()) == pytest.approx(one)


def test_curves_and_ratios():
    known = known_of(lambda x: x.sum() + 0 * x)
    curve = bc.estimate(known, bc.DoseResponse("x", "y", values=[1.0, 2.0]))
    np.testing.assert_allclose(curve.mean(), [1.5 * N, 3.0 * N])
    ratio = bc.estimate(known, bc.ATE("x", "y", treated=3, control=1, scale="ratio"))
    assert ratio.mean() == pytest.approx(3.0)
    spill = known_of(lambda x: x + 0.5 * (x.sum() - x))
    assert bc.estimate(spill, bc.ATE("x", "y")).mean() == pytest.approx(1.5 * (1 + 0.5 * (N - 1)))


def test_units_that_do_not_touch_keep_the_closed_form():
    for mean, expected in ((lambda x: x, True), (lambda x: x.sum() + 0 * x, False)):
        question = resolve(known_of(mean), bc.Expected("y", {"x": 1.0}))
        program, where = question.program()
        found = closed_form(question, program, where, [], 0)
        assert (found is not None) == expected


TRENDS = {
    "count": (lambda b: b * pt.arange(N), lambda b: b * np.arange(N)),
    "no slope": (lambda b: pt.arange(N), lambda b: np.arange(N)),
    "grid": (lambda b: b * pt.linspace(0, 1, N), lambda b: b * np.linspace(0, 1, N)),
    "steps": (lambda b: b * pt.ge(pt.arange(N), 3), lambda b: b * (np.arange(N) >= 3)),
    "decay": (lambda b: pt.exp(-b * pt.arange(N)), lambda b: np.exp(-b * np.arange(N))),
}


@pytest.mark.parametrize("name", TRENDS)
def test_positions_of_units_are_averaged_over_the_units_in_each_draw(name):
    """As many draws as units: a trend was taken for one number per draw, or the shapes clashed."""
    trend, plain = TRENDS[name]
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", trend(pm.Normal("b")) * x, 1, dims="unit")
    fit = bc.prior(model, {"x": X, "y": np.zeros(N)}, draws=N, seed=1)
    right = [np.mean(plain(b)) for b in fit.posterior["b"].values.ravel()]
    found = bc.estimate(fit, bc.ATE("x", "y", treated=2.0, control=1.0))
    np.testing.assert_allclose(found.draws.values.ravel(), right, rtol=1e-12)
