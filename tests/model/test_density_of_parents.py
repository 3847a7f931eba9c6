"""Densities are functions of the very parents of a variable: none is drawn anew on the way."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable
from scipy import stats

from bayescausal.model.structure.function_graph import density_of, evaluate

M, S = pt.constant(np.array(0.3)), pt.constant(np.array(1.5))


def start(m, s):
    return pm.Normal.dist(m, s)


#: Of a location and a scale.
KINDS = {
    "walk": lambda m, s: pm.GaussianRandomWalk("v", mu=m, sigma=s, init_dist=start(m, s), steps=2),
    "path": lambda m, s: pm.AR("v", [m, 0.2], sigma=s, init_dist=start(m, s), steps=2),
    "garch": lambda m, s: pm.GARCH11(
        "v", omega=s, alpha_1=0.2, beta_1=0.3, initial_vol=s, steps=2
    ),
    "several": lambda m, s: pm.MvGaussianRandomWalk(
        "v",
        mu=pt.stack([m, -m]),
        chol=np.eye(2) * s,
        init_dist=pm.MvNormal.dist(pt.stack([m, m]), np.eye(2) * s),
        steps=2,
    ),
    "censored": lambda m, s: pm.Censored("v", pm.Normal.dist(m, s), lower=0, upper=2, shape=3),
    "truncated": lambda m, s: pm.Truncated("v", pm.Normal.dist(m, s), lower=0, upper=2, shape=3),
    "mixture": lambda m, s: pm.Mixture("v", [0.3, 0.7], [start(m, s), start(-m, s)], shape=3),
    "zeros": lambda m, s: pm.ZeroInflatedPoisson("v", 0.3, s, shape=3),
    "ordered": lambda m, s: pm.OrderedLogistic("v", m, pt.stack([m, m + s]), shape=3),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_densities_hold_their_parents(kind):
    with pm.Model():
        m, s = pm.Normal("m"), pm.Gamma("s", 4, 4)
        own = KINDS[kind](m, s)
    with pm.Model():
        known = KINDS[kind](M, S)
    at = np.array([[0.2, 0.9], [1.1, 0.4], [0.1, 0.7]]) if own.ndim == 2 else [0.2, 0.9, 1.1]
    at = np.asarray(np.round(at) if own.dtype.startswith("int") else at, own.dtype)
    for value in (at, pt.constant(at)):
        found = density_of(pm.logp, own, value)
        drawn = [
            v
            for v in ancestors([found], blockers=[m, s])
            if v.owner is not None and isinstance(v.owner.op, RandomVariable)
        ]
        assert {*drawn} <= {m, s}
        [found] = graph_replace([found], {m: M, s: S}, strict=False)
        found, right = evaluate([found, pm.logp(known, at)])
        np.testing.assert_allclose(found, right, rtol=1e-9)


def test_a_walk_has_the_density_of_its_steps():
    with pm.Model():
        m, s = pm.Normal("m"), pm.Gamma("s", 4, 4)
        own = KINDS["walk"](m, s)
    at = np.array([0.2, 0.9, 1.1])
    found = density_of(pm.logp, own, at)
    [found] = graph_replace([found], {m: M, s: S}, strict=False)
    right = stats.norm.logpdf(np.diff(at, prepend=0), 0.3, 1.5).sum()
    assert float(evaluate([found])[0].sum()) == pytest.approx(right, rel=1e-12)
