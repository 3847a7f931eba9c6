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
import xarray as xr
from arviz_stats.base import array_stats
from scipy.sparse import csr_array
from scipy.stats import kurtosis

import bayescausal as bc
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.hierarchies import coefficients
from bayescausal.inference.hierarchies.coefficients import (
    CoefficientBlock,
    GaussianPosterior,
    posterior_of,
)
from bayescausal.inference.hierarchies.hierarchy import coefficient_block
from bayescausal.inference.hierarchies.sparse_gaussian import SparseGaussian, Terms
from bayescausal.model.structure.function_graph import PY_MODE
from bayescausal.model.structure.read import structure_of

UNITS, GROUPS = 40, 3


def table(seed=0):
    rng = np.random.default_rng(seed)
    g = np.arange(UNITS) % GROUPS
    x, t = rng.normal(size=UNITS), rng.normal(size=UNITS)
    y = 1 + 0.5 * x + rng.normal(size=GROUPS)[g] + 0.7 * t + rng.normal(size=UNITS)
    return {"y": y, "x": x, "t": t, "g": g, "k": np.arange(UNITS) % 4, "unit_of_y": 0.5}


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


def scale_outside_the_index():
    x, g = columns("x")[0], index()
    sd = pm.HalfNormal("sd", 2)
    z = pm.Normal("z", dims="group")
    return pm.Normal("b", 0, 3) + sd * (z[g] + 0.3 * x) + pm.Normal("c", 0, 2) * x


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


def scaled_by_data():
    """A scale whose prior, and an effective coefficient that, reads a number given by the data."""
    x, g = columns("x")[0], index()
    unit = pm.Data("unit_of_y", 3.0)
    sd = pm.HalfNormal("sd", unit)
    return unit * (sd * pm.Normal("z", dims="group"))[g] + pm.Normal("c", 0, unit) * x


FORMS = [
    scale_outside_the_index,
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
    scaled_by_data,
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


def marginals(model, data, block, points, observed=("y",)):
    """The log-density of the scales at some points, from the whole log-density alone."""
    known = {n: data[n] for n in data if n in model.named_vars}
    names = [n for n in known if model[n] in model.data_vars]
    with model.copy() as copy:
        pm.set_data({n: known[n] for n in names}, coords={"unit": np.arange(UNITS)})
    conditioned = pm.observe(copy, {n: known[n] for n in observed})
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
    posterior = posterior_of(block.hierarchy, block.statistics(held))
    points = 0.7 * np.random.default_rng(3).normal(size=(6, posterior.map.dimension))
    want = marginals(model, data, block, points)
    found = posterior.log_density(points)
    np.testing.assert_allclose(found - found[0], want - want[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", [intercepts_centred, slopes_cholesky])
def test_the_logarithm_of_an_outcome(form):
    """A LogNormal outcome is the Normal one of its logarithm."""
    data = table()
    blocks = [
        block_of(model_of(form, family), values)
        for family, values in (
            (pm.Normal, data),
            (pm.LogNormal, {**data, "y": np.exp(data["y"])}),
        )
    ]
    made = [posterior_of(b.hierarchy, b.statistics(held)) for b, held in blocks]
    points = np.random.default_rng(4).normal(size=(5, made[0].map.dimension))
    plain, log = (p.log_density(points) for p in made)
    np.testing.assert_allclose(plain, log, rtol=1e-9)


def test_statistics_of_parts_add():
    block, held = block_of(model_of(slopes_uncorrelated), table())
    rows = {n: v for n, v in held.items() if np.ndim(v) and len(v) == UNITS}
    first, second = ({n: v[c] for n, v in rows.items()} for c in (slice(0, 13), slice(13, None)))
    parts = block.statistics({**held, **first}) + block.statistics({**held, **second})
    posteriors = [posterior_of(block.hierarchy, s) for s in (block.statistics(held), parts)]
    points = np.random.default_rng(5).normal(size=(4, posteriors[0].map.dimension))
    np.testing.assert_allclose(*(p.log_density(points) for p in posteriors), rtol=1e-8)


def test_equations_with_their_own_noise_share_coefficients():
    """Two equations, one of them with a known noise, and effects that both read."""

    def build():
        with pm.Model(coords=coords()) as model:
            x, g = columns("x")[0], index()
            a = pm.Normal("a", 0, pm.HalfNormal("sd", 2), dims="group")
            b = pm.Normal("b", 0, 2)
            pm.Normal("w", a[g], 0.8, dims="unit")
            pm.Normal("y", a[g] + b * x, pm.HalfNormal("sigma", 2), dims="unit")
        return model

    model, data = build(), table()
    data["w"] = data["y"] - 0.2 * data["x"] + 0.1
    block, held = block_of(model, data)
    posterior = posterior_of(block.hierarchy, block.statistics(held))
    points = 0.5 * np.random.default_rng(6).normal(size=(4, posterior.map.dimension))
    want = marginals(model, data, block, points, observed=("w", "y"))
    found = posterior.log_density(points)
    np.testing.assert_allclose(found - found[0], want - want[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ("groups differ in noise", "not one number for all units"),
        ("many scales", "scales, of at most"),
        ("a curve in a coefficient", "no coefficient with a Normal prior"),
        ("counts", "is not Normal"),
    ],
)
def test_what_is_not_of_the_form_says_why(spoiled, reason):
    with pm.Model(coords=coords()) as model:
        x, g = columns("x")[0], index()
        b = pm.Normal("b")
        sigma = pm.HalfNormal("sigma", dims="group")
        if spoiled == "groups differ in noise":
            pm.Normal("y", b * x, sigma[g], dims="unit")
        elif spoiled == "many scales":
            many = pm.HalfNormal("many", shape=30)
            pm.Normal("y", b * x + many.sum(), 1, dims="unit")
        elif spoiled == "a curve in a coefficient":
            pm.Normal("y", pt.exp(b * x), sigma[0], dims="unit")
        else:
            pm.Poisson("y", pt.exp(b * x), dims="unit")
    structure = structure_of(model, unit_dims="unit")
    block = next(p for p in split(structure, {"y"}, ()) if "b" in p.unknowns)
    assert reason in coefficient_block(structure, block, {"x", "g", "y"})


@pytest.mark.parametrize("shared", [True, False])
def test_few_scales_have_a_chain_to_fall_back_on_where_each_of_several_coefficients_has_its_own(
    shared,
):
    """Ten scales of ten coefficients; or two scales, which a ridge may tie together."""
    with pm.Model(coords={"unit": [0], "k": range(10)}) as model:
        x = pm.Data("x", np.zeros((1, 10)), dims=("unit", "k"))
        sd = pm.HalfCauchy("sd", 1) if shared else pm.HalfCauchy("sd", 1, dims="k")
        b = pm.Normal("b", 0, sd, dims="k")
        pm.Normal("y", x @ b, pm.HalfNormal("sigma"), dims="unit")
    structure = structure_of(model)
    [block] = split(structure, {"y"}, ())
    found = coefficient_block(structure, block, {"x", "y"}, chains=True)
    assert (found.chained is None) == shared


def test_a_product_of_two_leaves_the_smaller_one_with_the_scales():
    """Loadings: b * (a * x) is affine in either, not in both."""
    with pm.Model(coords=coords()) as model:
        g = index()
        a, b = pm.Normal("a", dims="group"), pm.Normal("b", 1, 0.3)
        pm.Normal("y", b * a[g], pm.HalfNormal("sigma"), dims="unit")
    block, _ = block_of(model, table())
    assert list(block.hierarchy.shapes) == ["a"]
    assert set(block.hierarchy.others) == {"b", "sigma"}


def test_fit_says_so_and_repeats_itself():
    data = {n: v for n, v in table().items() if n in ("y", "x", "g")}
    options = {"seed": 3, "draws": 200, "chains": 2, "progressbar": False}
    first, second = (bc.fit(model_of(intercepts_noncentred), data, **options) for _ in range(2))
    assert set(first.methods.values()) == {"coefficients integrated out"}
    xr.testing.assert_equal(first.posterior, second.posterior)
    np.testing.assert_array_less(0, first.posterior["sd"])


def test_a_refitter_repeats_itself_and_a_fit():
    """What is kept between refits has no state: same data and seed, same draws."""
    data = {n: v for n, v in table().items() if n in ("y", "x", "g")}
    options = {"draws": 100, "chains": 2}
    refitter = bc.Refitter(model_of(intercepts_noncentred), list(data), **options)
    found = [refitter.fit(data, seed=3).posterior for _ in range(3)]
    plain = bc.fit(model_of(intercepts_noncentred), data, seed=3, progressbar=False, **options)
    for posterior in (*found[1:], plain.posterior):
        xr.testing.assert_equal(found[0], posterior)


def test_a_polynomial_takes_the_place_of_a_dear_density(monkeypatch):
    """The same posterior: means and sds of the scales within four standard errors."""
    monkeypatch.setattr("test_coefficients.GROUPS", 2_500)
    monkeypatch.setattr("test_coefficients.UNITS", 15_000)
    data = table()
    data["y"] += np.random.default_rng(5).normal(size=2_500)[data["g"]] * data["t"]
    block, held = block_of(model_of(slopes_cholesky), data)
    statistics = block.statistics(held)
    asked, exact = [], []
    own = GaussianPosterior.log_density
    monkeypatch.setattr(
        GaussianPosterior, "log_density", lambda self, at: asked.append(len(at)) or own(self, at)
    )
    draws = []
    for limit in (10**9, 2_000):
        asked.clear()
        monkeypatch.setattr(coefficients, "COSTLY", limit)
        draws.append(block.draw(statistics, 1_000, 1))
        exact.append(sum(asked))
    assert exact[1] < exact[0] / 1.5
    for name, one in draws[0].items():
        one, two = (v[name].reshape(1_000, -1)[:, 0] for v in draws)
        if np.std(one):
            assert abs(one.mean() - two.mean()) < 4 * one.std() * np.sqrt(2 / 500), name
            assert abs(np.log(one.std() / two.std())) < 4 * np.sqrt(1 / 500), name


@pytest.mark.slow  # Markov chains on the rows
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")
@pytest.mark.parametrize("form", [intercepts_noncentred, slopes_cholesky, curve])
def test_draws_against_a_markov_chain(form, monkeypatch):
    """Means within 5 joint Monte Carlo errors of long chains on the rows, sds within 7%.

    The sd of S draws has a relative error of about sqrt(1 / (2 S)) for a Normal quantity, and
    of sqrt((kurtosis - 1) / (4 S)) in general: 1.4% at 2,500 effective draws and kurtosis 3, 2.2%
    at kurtosis 6, which scales of three groups have.
    """
    monkeypatch.setattr("test_coefficients.GROUPS", 12)  # with three the chain has a funnel
    monkeypatch.setattr("test_coefficients.UNITS", 240)
    data = {n: v for n, v in table().items() if n in model_of(form).named_vars or n == "y"}
    found = bc.fit(model_of(form), data, seed=1, draws=2_000, progressbar=False)
    options = {"draws": 4_000, "target_accept": 0.97, "progressbar": False}
    chain = bc.fit(model_of(form), data, seed=2, method="nuts", **options)
    for name in found.structure.parameters:
        mine, theirs = (f.posterior[name] for f in (found, chain))
        errors = [
            array_stats.mcse(v.values.reshape(*v.shape[:2], -1)[..., k], chain_axis=0, draw_axis=1)
            for v in (mine, theirs)
            for k in [0]
        ]
        a, b = (v.values.reshape(*v.shape[:2], -1)[..., 0] for v in (mine, theirs))
        assert abs(a.mean() - b.mean()) < 5 * np.hypot(*map(float, errors)), name
        heavy = max(1.0, float(kurtosis(b, axis=None)) / 3)
        assert abs(np.log(a.std() / b.std())) < 0.07 * np.sqrt(heavy), name


def test_crossed_groupings_are_eliminated_one_at_once():
    """The larger grouping by its diagonal; integral, mean and draws are those of the whole."""
    rng = np.random.default_rng(1)
    large, small = 60, 40
    a, b = (v.ravel() for v in np.meshgrid(np.arange(large), np.arange(small), indexing="ij"))
    count = rng.integers(1, 4, len(a)).astype(float)
    own = np.concatenate([np.bincount(a, count), np.bincount(b, count)])
    size = large + small
    whole = np.diag(own)
    whole[a, large + b] = whole[large + b, a] = count
    rows, columns = np.nonzero(whole)
    data = Terms(rows, columns, whole[rows, columns], np.zeros(len(rows), int))
    prior = [
        Terms(np.arange(lo, hi), np.arange(lo, hi), np.ones(hi - lo), np.full(hi - lo, k))
        for k, lo, hi in ((1, 0, large), (2, large, size))
    ]
    form = SparseGaussian(csr_array(np.eye(size)), Terms.joined([data, *prior]))
    assert form.full
    assert form.apart == large
    weights, push = rng.uniform(0.5, 2, (3, 3)), rng.normal(size=(3, size))
    one, zero = np.ones((1, size)), np.zeros((1, size))
    heights, means = form(one, weights, push, zero, np.zeros(3))
    often = [np.repeat(v[:1], 4_000, 0) for v in (weights, push)]
    draws = form.draw(one, *often, zero, rng)
    for w, g, height, mean in zip(weights, push, heights, means, strict=True):
        q = w[0] * whole + np.diag(np.repeat(w[1:], [large, small]))
        np.testing.assert_allclose(mean, np.linalg.solve(q, g), rtol=1e-9, atol=1e-12)
        want = -0.5 * np.linalg.slogdet(q)[1] + 0.5 * g @ np.linalg.solve(q, g)
        assert height == pytest.approx(want, rel=1e-10)
    q = weights[0, 0] * whole + np.diag(np.repeat(weights[0, 1:], [large, small]))
    along = rng.normal(size=(5, size))
    found, want = np.cov((draws @ along.T).T), along @ np.linalg.inv(q) @ along.T
    scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))
    # a correlation of 4,000 draws has an error of 1 / sqrt(4,000): five of them
    assert np.all(np.abs(found - want) < 5 * 1.5 * scale / np.sqrt(4_000))
