"""Coefficients integrated out: the density of the scales against the whole model's log-density.

The log-density of a model that is Gaussian in its coefficients is a quadratic in them, so it is
known from its values at zero, at the unit vectors and at their pairs; the integral over the
coefficients follows, and with it the density of the scales, by another road than the one tested.
"""

from __future__ import annotations

import itertools

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock, _Posterior
from bayescausal.inference.hierarchies.hierarchy import coefficient_block
from bayescausal.model.structure.read import structure_of
from bayescausal.model.structure.rebuild import PY_MODE

UNITS, GROUPS = 40, 3


def table(seed=0):
    rng = np.random.default_rng(seed)
    g = np.arange(UNITS) % GROUPS
    x, t = rng.normal(size=UNITS), rng.normal(size=UNITS)
    y = 1 + 0.5 * x + rng.normal(size=GROUPS)[g] + 0.7 * t + rng.normal(size=UNITS)
    return {"y": y, "x": x, "t": t, "g": g, "k": np.arange(UNITS) % 4}


def columns(names=("x", "t")):
    return [pm.Data(n, np.zeros(2), dims="unit") for n in names]


def coords():
    return {"unit": [0, 1], "group": range(GROUPS), "kind": range(4), "two": range(2)}


def index(name="g"):
    return pm.Data(name, np.zeros(2, dtype=int), dims="unit")


def intercepts_noncentred():
    x, g = columns("x")[0], index()
    sd = pm.HalfNormal("sd", 2)
    z = pm.Normal("z", dims="group")
    b = pm.Normal("b", 0, 3)
    return b + (sd * z)[g] + pm.Normal("c", 0, 2) * x


def intercepts_centred():
    x, g = columns("x")[0], index()
    sd = pm.Exponential("sd", 1)
    centre = pm.Normal("centre", 0, 3)
    return pm.Normal("a", centre, sd, dims="group")[g] + pm.Normal("c", 0, 2) * x


def slopes_uncorrelated():
    t, g = columns("t")[0], index()
    sd = pm.HalfNormal("sd", 2, dims="two")
    e = pm.Normal("e", pm.Normal("m", 0, 2, dims="two"), sd, dims=("group", "two"))
    return e[g, 0] + e[g, 1] * t


def slopes_cholesky():
    t, g = columns("t")[0], index()
    chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=pm.Exponential.dist(1, size=2))
    z = pm.Normal("z", dims=("group", "two"))
    e = pt.dot(z, chol.T)
    return pm.Normal("b", 0, 2) + e[g, 0] + e[g, 1] * t


def slopes_joint_prior():
    t, g = columns("t")[0], index()
    chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=pm.Exponential.dist(1, size=2))
    e = pm.MvNormal("e", pm.Normal("m", 0, 2, dims="two"), chol=chol, dims=("group", "two"))
    return e[g, 0] + e[g, 1] * t


def crossed():
    x, g, k = columns("x")[0], index(), index("k")
    a = pm.Normal("a", 0, pm.HalfNormal("sa", 2), dims="group")
    b = pm.Normal("b", 0, pm.HalfNormal("sb", 2), dims="kind")
    return pm.Normal("m", 0, 3) + a[g] + b[k] + pm.Normal("c", 0, 2) * x


def shrunk():
    x, t = columns()
    beta = pm.Normal(
        "beta", 0, pm.HalfCauchy("tau", 1) * pm.HalfCauchy("own", 1, dims="two"), dims="two"
    )
    return beta[0] * x + beta[1] * t


def curve():
    x = columns("x")[0]
    scale = pm.InverseGamma("scale", 3, 2)
    beta = pm.Normal("beta", dims="group")
    frequency = np.arange(1, GROUPS + 1)
    weight = pm.HalfNormal("eta", 1) * pt.exp(-0.25 * scale**2 * frequency**2)
    basis = pt.stack([pt.sin(f * x) for f in frequency], axis=1)
    return pt.dot(basis, weight * beta)


def walk():
    k = index("k")
    return pt.cumsum(pm.Normal("z", dims="kind") * pm.HalfNormal("step", 1))[k]


def constrained_slope():
    x, g = columns("x")[0], index()
    return pm.Normal("a", 0, pm.HalfNormal("sd", 2), dims="group")[g] + pm.HalfNormal("b", 2) * x


def predicted_by_group():
    x, g = columns("x")[0], index()
    size = pm.Data("size", np.array([1.0, 2.0, 4.0]), dims="group")
    mean = pm.Normal("m0", 0, 2) + pm.Normal("m1", 0, 2) * size
    return pm.Normal("a", mean, pm.HalfNormal("sd", 2), dims="group")[g] + pm.Normal("c", 0, 2) * x


FORMS = [
    intercepts_noncentred,
    intercepts_centred,
    slopes_uncorrelated,
    slopes_cholesky,
    slopes_joint_prior,
    crossed,
    shrunk,
    curve,
    walk,
    constrained_slope,
    predicted_by_group,
]


def model_of(form, family=pm.Normal):
    with pm.Model(coords=coords()) as model:
        family("y", form(), pm.HalfNormal("sigma", 2), dims="unit")
    return model


def block_of(model, data):
    structure = structure_of(model)
    given = {*structure.random, *(d.name for d in model.data_vars)}
    [block] = split(structure, set(structure.random), ())
    found = coefficient_block(structure, block, given)
    assert isinstance(found, CoefficientBlock), found
    held = {d.name: d.get_value() for d in model.data_vars} | data
    return found, {n: held[n] for n in found.columns}


def marginals(model, data, block, points):
    """The log-density of the scales at some points, from the whole log-density alone."""
    known = {n: data[n] for n in data if n in model.named_vars}
    names = [n for n in known if model[n] in model.data_vars]
    with model.copy() as copy:
        pm.set_data({n: known[n] for n in names}, coords={"unit": np.arange(UNITS)})
    conditioned = pm.observe(copy, {"y": known["y"]})
    logp = conditioned.compile_logp(mode=PY_MODE)
    made = block.hierarchy.map
    shapes = block.hierarchy.shapes
    size = sum(int(np.prod(s)) for s in shapes.values())
    out = []
    for point in points:
        scales = dict(zip((n for n, _ in made.sizes), made._split(point[None]), strict=True))

        def at(c, scales=scales):
            values, place = {}, 0
            for n, shape in shapes.items():
                stop = place + int(np.prod(shape))
                values[n] = c[place:stop].reshape(shape)
                place = stop
            for n, v in scales.items():
                values[str(conditioned.rvs_to_values[conditioned[n]].name)] = v[0]
            return float(logp(values))

        eye = np.eye(size)
        zero = at(np.zeros(size))
        one = np.array([at(e) for e in eye])
        back = np.array([at(-e) for e in eye])
        slope, curve = (one - back) / 2, np.diag(one + back - 2 * zero)
        for i, j in itertools.combinations(range(size), 2):
            both = at(eye[i] + eye[j])
            curve[i, j] = curve[j, i] = both - one[i] - one[j] + zero
        top = 0.5 * slope @ np.linalg.solve(-curve, slope)
        log_volume = size / 2 * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(-curve)[1]
        out.append(zero + top + log_volume)
    return np.array(out)


@pytest.mark.parametrize("form", FORMS)
def test_the_density_of_the_scales(form):
    model, data = model_of(form), table()
    block, held = block_of(model, data)
    posterior = _Posterior(block.hierarchy, block.statistics(held))
    points = 0.7 * np.random.default_rng(3).normal(size=(6, posterior.map.dimension))
    want = marginals(model, data, block, points)
    found = posterior.log_density(points)
    np.testing.assert_allclose(found - found[0], want - want[0], rtol=1e-6, atol=1e-6)
