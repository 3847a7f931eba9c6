"""Normal latents: the integral is exact, the way back is exact, what is no bell is left alone."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy.stats import multivariate_normal, norm

import bayescausal as bc
from bayescausal.inference import as_table, condition, conform
from bayescausal.inference.conditioning.remainder import Remainder, open_remainder
from bayescausal.inference.marginalize import affine_latents as cellwise
from bayescausal.inference.sampling.sample import INTEGRATED
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of

FEW_DRAWS = pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
NAN = np.nan
UNIT = {"unit": [0]}


@pytest.fixture
def unlimited(monkeypatch):
    """Integrate jointly whatever can be, however long that takes to compile."""
    monkeypatch.setattr(cellwise, "MOST", 9)
    monkeypatch.setattr(cellwise, "MOST_EMPTY", 9)


def conditioned(model, data, unit_dims=None):
    structure = structure_of(model, unit_dims=unit_dims, named=list(data))
    conformed = conform(as_table(data, structure), structure)
    return (
        conformed,
        condition(structure, conformed),
        open_remainder(structure, conformed, Remainder()).integral,
    )


def logp(model):
    return model.compile_logp(mode=PY_MODE)


def dense(known, names, point):
    """Return value, slope and curvature at zero of the joint log-density, from its values alone.

    Exact for a quadratic whatever touches whatever: nothing here assumes a diagonal.
    """
    joint = logp(known.model)
    shapes = [np.shape(known.model.initial_point()[n]) for n in names]
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])

    def at(flat):
        parts = {n: flat[ends[i] : ends[i + 1]].reshape(shapes[i]) for i, n in enumerate(names)}
        return float(joint({**point, **parts}))

    size = int(ends[-1])
    unit = np.eye(size)
    zero = at(np.zeros(size))
    plus, minus = np.array([at(e) for e in unit]), np.array([at(-e) for e in unit])
    curve = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            both = plus[i] + minus[i] if i == j else at(unit[i] + unit[j])
            curve[i, j] = both - 2 * zero if i == j else both - plus[i] - plus[j] + zero
    return zero, (plus - minus) / 2, -curve


def instrument():
    with pm.Model(coords=UNIT) as model:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        u = pm.Normal("u", 0.3, 1.2, dims="unit")
        z = pm.Normal("z", dims="unit")
        x = pm.Normal("x", z - 2 * u, s, dims="unit")
        pm.Normal("y", b * x + u, 0.7, dims="unit")
    data = {"z": [0.1, 1.0, -2.0], "x": [0.4, 0.0, 1.5], "y": [2.0, 0.3, -1.0]}
    return model, data, {"b": 0.6, "s_log__": -0.2}, ["u"], None


def panel():
    coords = {"person": range(3), "time": range(4)}
    with pm.Model(coords=coords) as model:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        trait = pm.Normal("trait", 0, s, dims="person")
        x = pm.Normal("x", 0.5 * trait[:, None], 1, dims=("person", "time"))
        pm.Normal("y", b * x + trait[:, None], 1, dims=("person", "time"))
    rng = np.random.default_rng(1)
    data = {n: xr.DataArray(rng.normal(size=(3, 4)), dims=("person", "time")) for n in "xy"}
    data = xr.Dataset(data)
    return model, data, {"b": 0.6, "s_log__": 0.3}, ["trait"], ("person", "time")


def chain_of_latents():
    with pm.Model(coords=UNIT) as model:
        b = pm.Normal("b")
        u = pm.Normal("u", 1, 2, dims="unit")
        v = pm.Normal("v", b * u, 0.5, dims="unit")
        pm.Normal("y", v, 1, dims="unit")
    return model, {"y": [0.4, 1.0]}, {"b": -0.8}, ["u", "v"], None


def two_that_meet():
    with pm.Model(coords=UNIT) as model:
        b = pm.Normal("b")
        u = pm.Normal("u", dims="unit")
        v = pm.Normal("v", dims="unit")
        pm.Normal("x", u - v, 0.6, dims="unit")
        pm.LogNormal("y", b * u + v, 1, dims="unit")
    return model, {"x": [0.4, 1.0], "y": [0.2, 5.0]}, {"b": 1.7}, ["u", "v"], None


def empty_cells():
    with pm.Model(coords=UNIT) as model:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        w = pm.Normal("w", dims="unit")
        x = pm.Normal("x", 0.5 * w, 1, dims="unit")
        pm.Normal("y", b * x + w, s, dims="unit")
    data = {"w": [NAN, 1.0, NAN, 0.2], "x": [NAN, NAN, 1.0, 2.0], "y": [0.3, 1.0, NAN, 1.0]}
    names = ["w_unobserved", "x_unobserved", "y_unobserved"]
    return model, data, {"b": 0.4, "s_log__": 0.1}, names, None


def latent_with_empty_child():
    with pm.Model(coords=UNIT) as model:
        b = pm.Normal("b")
        u = pm.Normal("u", dims="unit")
        x = pm.Normal("x", u, 0.5, dims="unit")
        pm.Normal("y", b * x + u, 1, dims="unit")
    data = {"x": [NAN, 1.0, 0.5], "y": [0.3, 1.0, -2.0]}
    return model, data, {"b": 0.4}, ["u", "x_unobserved"], None


def schools():
    where = np.array([0, 1, 1, 2, 0])
    with pm.Model(coords={"school": range(3), "pupil": range(5)}) as model:
        mean, tau = pm.Normal("mean"), pm.HalfNormal("tau")
        a = pm.Normal("a", mean, tau, dims="school")
        w = pm.Data("where", where, dims="pupil")
        pm.Normal("y", a[w], 0.8, dims="pupil")
    data = {"where": where, "y": [0.3, 1.0, 2.0, -1.0, 0.0]}
    return model, data, {"mean": 0.3, "tau_log__": -0.4}, ["a"], "pupil"


def random_slopes():
    where = np.array([0, 1, 1, 2, 0])
    with pm.Model(coords={"school": range(3), "pupil": range(5)}) as model:
        tau, tb = pm.HalfNormal("tau"), pm.HalfNormal("tb")
        a = pm.Normal("a", 0, tau, dims="school")
        raw = pm.Normal("raw", dims="school")
        w = pm.Data("where", where, dims="pupil")
        x = pm.Normal("x", dims="pupil")
        pm.Normal("y", a[w] + tb * raw[w] * x, 0.8, dims="pupil")
    data = {"where": where, "x": [1.0, 0.0, 2.0, 1.0, -1.0], "y": [0.3, 1.0, 2.0, -1.0, 0.0]}
    return model, data, {"tb_log__": 0.3, "tau_log__": -0.4}, ["a", "raw"], "pupil"


def four_columns_with_holes():
    """Empty cells that meet in some units and not in others."""
    with pm.Model(coords=UNIT) as model:
        made = []
        for i in range(4):
            mean = 0
            for j, cause in enumerate(made):
                mean = mean + pm.Normal(f"b{i}{j}", 0, 0.5) * cause
            made.append(pm.Normal(f"x{i}", mean, 1.3, dims="unit"))
    values = np.random.default_rng(1).normal(size=(5, 4))
    for row, column in [(0, 1), (0, 2), (1, 0), (2, 3)]:
        values[row, column] = NAN
    point = {f"b{i}{j}": 0.3 for i in range(4) for j in range(i)}
    names = [f"x{i}_unobserved" for i in range(4)]
    return model, {f"x{i}": values[:, i] for i in range(4)}, point, names, None


def pupils_in_schools(schools, where):
    with pm.Model(coords={"unit": range(3), "school": range(schools)}) as model:
        b, tau = pm.Normal("b"), pm.HalfNormal("tau")
        w = pm.Data("where", np.array(where), dims="unit")
        e = pm.Normal("e", 0.4, tau, dims="school")
        u = pm.Normal("u", 0.1, 1.1, dims="unit")
        pm.Normal("x", u, 0.5, dims="unit")
        pm.Normal("y", b * u + e[w], 0.7, dims="unit")
    data = {"where": where, "x": [0.2, 1.0, -0.4], "y": [1.0, 2.0, 0.5]}
    return model, data, {"b": 0.8, "tau_log__": 0.2}, ["u", "e"], "unit"


def as_many_schools_as_pupils():
    return pupils_in_schools(3, [0, 2, 2])


def more_schools_than_pupils():
    return pupils_in_schools(5, [0, 2, 2])


def a_value_and_the_one_before():
    """y reads u plainly and v one step back: v is coarser, and its cells do not touch."""
    with pm.Model(coords={"unit": range(3)}) as model:
        b = pm.Normal("b")
        v, u = pm.Normal("v", dims="unit"), pm.Normal("u", dims="unit")
        pm.Normal("x", v, 0.5, dims="unit")
        pm.Normal("y", b * u + v[pt.constant([2, 0, 1])], 0.7, dims="unit")
    return model, {"x": [0.2, 1.0, -0.4], "y": [1.0, 2.0, 0.5]}, {"b": 0.8}, ["v", "u"], "unit"


CASES = [
    as_many_schools_as_pupils,
    more_schools_than_pupils,
    a_value_and_the_one_before,
    four_columns_with_holes,
    schools,
    random_slopes,
    instrument,
    panel,
    chain_of_latents,
    two_that_meet,
    empty_cells,
    latent_with_empty_child,
]


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_the_integral_is_that_of_the_joint_quadratic(case, unlimited):
    model, data, point, names, unit_dims = case()
    _, known, made = conditioned(model, data, unit_dims)
    assert set(made.names) == {n.removesuffix("_unobserved") for n in names}
    assert not {rv.name for rv in made.model.free_RVs} & set(names)
    zero, slope, curve = dense(known, names, point)
    expected = zero + slope @ np.linalg.solve(curve, slope) / 2
    expected += len(slope) / 2 * np.log(2 * np.pi) - np.linalg.slogdet(curve)[1] / 2
    assert float(logp(made.model)(point)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "case", [instrument, panel, random_slopes, empty_cells], ids=lambda f: f.__name__
)
def test_the_gradient_is_that_of_the_integral(case, unlimited):
    """As PyMC prepares it for a sampler. Central differences: off by rounding over 1e-5.

    More of them stand beside random models (slow).
    """
    model, data, point, _, unit_dims = case()
    _, _, made = conditioned(model, data, unit_dims)
    free = [v.name for v in made.model.value_vars]
    at = logp(made.model)
    found = made.model.compile_dlogp(mode=PY_MODE)({n: np.asarray(point[n]) for n in free})
    step = 1e-5
    expected = [
        (float(at({**point, n: point[n] + step})) - float(at({**point, n: point[n] - step})))
        / (2 * step)
        for n in free
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_the_way_back_has_the_joint_conditional(case, unlimited):
    """Means and covariances of 20,000 draws, each within 5 of its standard errors."""
    model, data, point, names, unit_dims = case()
    conformed, known, made = conditioned(model, data, unit_dims)
    _, slope, curve = dense(known, names, point)
    cov = np.linalg.inv(curve)
    n = 20_000
    natural = {
        k.removesuffix("_log__"): np.exp(v) if "_log__" in k else v for k, v in point.items()
    }
    posterior = xr.Dataset(
        {k: (("chain", "draw"), np.full((2, n // 2), v)) for k, v in natural.items()},
        coords={"chain": [0, 1], "draw": np.arange(n // 2)},
    )
    back = made.recover(posterior, np.random.default_rng(3), missing=conformed.missing)
    flat = np.concatenate([back[m].reshape(n, -1) for m in names], axis=1)
    gap = (flat.mean(0) - cov @ slope) / np.sqrt(np.diag(cov) / n)
    assert np.abs(gap).max() < 5
    found = np.cov(flat, rowvar=False)
    error = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / n)
    assert (np.abs(found - cov) / error).max() < 5


def test_a_hidden_cause_gives_the_normal_law_of_what_it_moves():
    """Closed form, apart from PyMC: (x, y) ~ N(0, [[a² + s², ab], [ab, b² + t²]])."""
    with pm.Model(coords=UNIT) as model:
        a, b = pm.HalfNormal("a"), pm.Normal("b")
        u = pm.Normal("u", dims="unit")
        pm.Normal("x", a * u, 0.4, dims="unit")
        pm.Normal("y", b * u, 0.9, dims="unit")
    data = {"x": [0.4, -1.0, 3.0], "y": [0.1, 2.0, -1.0]}
    _, _, made = conditioned(model, data)
    point = {"a_log__": np.log(0.7), "b": -1.1}
    cov = [[0.7**2 + 0.4**2, -0.77], [-0.77, 1.21 + 0.81]]
    likelihood = multivariate_normal([0, 0], cov).logpdf(np.c_[data["x"], data["y"]]).sum()
    prior = sum(
        float(logp(m)(p))
        for m, p in [(_alone("a"), {"a_log__": np.log(0.7)}), (_alone("b"), {"b": -1.1})]
    )
    assert float(logp(made.model)(point)) == pytest.approx(likelihood + prior, rel=1e-10)


def _alone(name):
    with pm.Model() as model:
        pm.HalfNormal(name) if name == "a" else pm.Normal(name)
    return model


def stays_logistic(u):
    pm.Bernoulli("y", logit_p=u, dims="unit")


def stays_kinked(u):
    pm.Normal("y", pt.maximum(u, 40.0), 1, dims="unit")


def stays_mixing_units(u):
    pm.Normal("y", u - u.mean(), 1, dims="unit")


def stays_scale(u):
    pm.Normal("y", 0, pt.exp(u), dims="unit")


def stays_heavy(u):
    pm.StudentT("y", nu=4, mu=u, sigma=1, dims="unit")


def stays_curved(u):
    pm.Normal("y", u**2, 1, dims="unit")


def stays_switched(u):
    pm.Normal("y", pt.switch(u > 0, 1.0, -1.0), 0.5, dims="unit")


def stays_kinked_far_away(u):
    pm.Normal("y", pt.maximum(u - 20_000.0, 0.0), 1, dims="unit")


def stays_index(u):
    pm.Normal("y", pt.constant([0.0, 1.0, 2.0])[pt.cast(pt.round(u), "int64")], 1, dims="unit")


def stays_two_look_ups(u):
    back = pt.constant([2, 1, 0])
    pm.Normal("y", u[back] - 2 * u, 1, dims="unit")


def stays_product_of_matrices(u):
    pm.Normal("y", pt.constant(np.eye(3)) @ u, 1, dims="unit")


def stays_lagged(u):
    pm.Normal("y", pt.concatenate([u[:1], u[:-1]]) + u, 1, dims="unit")


LEFT = [
    stays_switched,
    stays_kinked_far_away,
    stays_index,
    stays_two_look_ups,
    stays_product_of_matrices,
    stays_logistic,
    stays_kinked,
    stays_mixing_units,
    stays_scale,
    stays_heavy,
    stays_curved,
    stays_lagged,
]


@pytest.mark.parametrize("child", LEFT, ids=lambda f: f.__name__)
def test_what_is_no_bell_in_every_cell_stays(child):
    with pm.Model(coords={"unit": range(3)}) as model:
        u = pm.Normal("u", dims="unit")
        child(u)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, made = conditioned(model, {"y": [0.0, 1.0, 1.0]}, "unit")
    assert made is None


def crossed():
    with pm.Model(coords={"unit": range(4), "row": range(2), "column": range(2)}) as model:
        e, f = pm.Normal("e", dims="row"), pm.Normal("f", 0.3, 2, dims="column")
        r = pm.Data("r", [0, 0, 1, 1], dims="unit")
        c = pm.Data("c", [0, 1, 0, 1], dims="unit")
        pm.Normal("y", e[r] + f[c], 0.5, dims="unit")
    return model, {"r": [0, 0, 1, 1], "c": [0, 1, 0, 1], "y": [0.1, 2.0, 1.0, -1.0]}


def a_chain_through_time():
    """x reads u and v of one time, y u of this and v of the time before: all cells touch."""
    with pm.Model(coords={"unit": range(3)}) as model:
        u, v = pm.Normal("u", dims="unit"), pm.Normal("v", 0.3, 2, dims="unit")
        pm.Normal("x", u - v, 0.5, dims="unit")
        pm.Normal("y", u + v[pt.constant([2, 0, 1])], 0.7, dims="unit")
    return model, {"x": [0.2, 1.0, -0.4], "y": [1.0, 2.0, 0.5]}


@pytest.mark.parametrize("case", [crossed, a_chain_through_time], ids=lambda f: f.__name__)
def test_of_two_that_touch_across_cells_one_goes(case):
    model, data = case()
    _, known, made = conditioned(model, data, "unit")
    [gone], [left] = made.names, [rv.name for rv in made.model.free_RVs]
    point = {left: np.linspace(-1, 1, made.model[left].eval().size)}
    zero, slope, curve = dense(known, [gone], point)
    expected = zero + slope @ np.linalg.solve(curve, slope) / 2
    expected += len(slope) / 2 * np.log(2 * np.pi) - np.linalg.slogdet(curve)[1] / 2
    assert float(logp(made.model)(point)) == pytest.approx(expected, rel=1e-9)


def test_what_would_take_long_to_compile_stays():
    """Of empty cells that meet one column goes; the others are split, and no less right."""
    model, data, point, names, _ = four_columns_with_holes()
    _, known, made = conditioned(model, data)
    left = [rv.name for rv in made.model.free_RVs if rv.type.ndim]
    assert set(made.names) == {"x3", "x2"}  # x3 is read by nobody
    assert set(left) == {"x0_unobserved", "x1_unobserved"}
    rng = np.random.default_rng(2)
    point = {**point, **{n: rng.normal(size=made.model[n].eval().size) for n in left}}
    gone = [n for n in names if n not in left]
    zero, slope, curve = dense(known, gone, point)
    expected = zero + slope @ np.linalg.solve(curve, slope) / 2
    expected += len(slope) / 2 * np.log(2 * np.pi) - np.linalg.slogdet(curve)[1] / 2
    assert float(logp(made.model)(point)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("level", "wide", "narrow"), [(1e6, 1, 0.1), (1e6, 1e3, 1e-3), (1.7e9, 3600, 1), (2e3, 5, 0.01)]
)
def test_no_digits_are_lost_far_from_zero(level, wide, narrow):
    rng = np.random.default_rng(1)
    y = level + np.hypot(wide, narrow) * rng.normal(size=50)
    with pm.Model(coords=UNIT) as model:
        c = pm.Normal("c")
        u = pm.Normal("u", level + wide * c, wide, dims="unit")
        pm.Normal("y", u, narrow, dims="unit")
    _, _, made = conditioned(model, {"y": y})
    found, expected = [], []
    for c in (0.0, 0.1):
        found.append(float(logp(made.model)({"c": np.array(c)})))
        likelihood = norm(level + wide * c, np.hypot(wide, narrow)).logpdf(y).sum()
        expected.append(likelihood + norm.logpdf(c))
    # y itself has 16 digits: residuals are off by that, in units of the narrow noise
    lost = level * 2.3e-16 / narrow
    error = 50 * 10 * lost * max(1.0, lost) + 1e-8
    assert found[1] - found[0] == pytest.approx(expected[1] - expected[0], abs=error)
    # PyMC's own log sqrt(2 pi) is a constant of single precision: 3e-8 for each cell
    assert found[0] == pytest.approx(expected[0], abs=error + 50 * 4e-8)


@pytest.mark.slow
@FEW_DRAWS
def test_beside_a_sum_over_states_a_latent_stays():
    with pm.Model(coords=UNIT) as model:
        k = pm.Bernoulli("k", 0.4, dims="unit")
        u = pm.Normal("u", dims="unit")
        pm.Normal("y", u + 3.0 * k, 0.5, dims="unit")
    fit = bc.fit(model, {"y": [0.1, 3.2, 2.9]}, seed=1, draws=100, chains=2, progressbar=False)
    assert fit.methods == {"u": "nuts", "k": "summed out"}


@FEW_DRAWS
def test_beside_a_compound_step_a_latent_goes():
    with pm.Model(coords=UNIT) as model:
        u = pm.Normal("u", dims="unit")
        k = pm.Poisson("k", 3, dims="unit")
        pm.Normal("x", u, 1, dims="unit")
        pm.Normal("y", k, 1, dims="unit")
    fit = bc.fit(
        model, {"x": [0.1, 0.4], "y": [3.0, 2.0]}, seed=1, draws=50, tune=50, chains=1,
        progressbar=False,
    )  # fmt: skip
    assert fit.methods == {"k": "compound", "u": INTEGRATED}


def test_what_a_deterministic_keeps_of_the_units_stays():
    with pm.Model(coords=UNIT) as model:
        u = pm.Normal("u", dims="unit")
        v = pm.Normal("v", dims="unit")
        pm.Deterministic("middle", u.mean())
        pm.Deterministic("shown", 2 * v, dims="unit")
        pm.Normal("y", u + v, 1, dims="unit")
    assert conditioned(model, {"y": [0.1, 0.4]})[2].names == ("v",)


def test_deterministics_read_the_data_of_the_fit():
    """Both where an exact block and where an integral brought the draws."""
    with pm.Model(coords={"school": range(3), "unit": [0]}) as model:
        k = pm.Data("k", 2.0)
        tau, s = pm.HalfNormal("tau"), pm.HalfNormal("s", dims="school")
        e = pm.Normal("e", 0, tau, dims="school")
        w = pm.Data("where", [0], dims="unit")
        b = pm.Normal("b")
        pm.Deterministic("times", k * e, dims="school")
        pm.Deterministic("scaled", k * b)
        pm.Normal("y", e[w], s[w], dims="unit")
        pm.Normal("z", b, 1, dims="unit")
    data = {"where": [0, 1, 2, 0], "y": [0.1, 1.0, 2.0, 0.3], "z": [1.0, 2.0, 0.0, 1.0], "k": 5.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bc.fit(
            model, data, seed=1, draws=50, tune=100, chains=1, unit_dims="unit", progressbar=False
        )
    assert fit.methods["e"] == INTEGRATED
    assert fit.methods["b"].startswith("conjugate")
    np.testing.assert_allclose(fit.posterior["times"], 5 * fit.posterior["e"])
    np.testing.assert_allclose(fit.posterior["scaled"], 5 * fit.posterior["b"])


def test_a_start_from_the_prior_is_dropped_where_the_prior_went_into_the_integral():
    with pm.Model(coords=UNIT) as model:
        u = pm.Normal("u", dims="unit")
        v = pm.Normal("v", u, 1, dims="unit", initval="prior")
        pm.Normal("x", u, 1, dims="unit")
        pm.Bernoulli("t", logit_p=v, dims="unit")
    _, _, made = conditioned(model, {"x": [0.1, 0.4], "t": [0, 1]})
    assert made.names == ("u",)
    assert np.isfinite(list(made.model.initial_point().values())).all()


def test_a_few_empty_cells_of_a_long_column_take_little_memory():
    """4,000 draws of 5 cells of 20,000 rows: the whole column would be 640 MB."""
    rows = 20_000
    x = np.random.default_rng(1).normal(size=rows)
    with pm.Model(coords=UNIT) as model:
        b = pm.Normal("b")
        column = pm.Normal("x", dims="unit")
        pm.Normal("y", b * column, 1, dims="unit")
    data = {"x": np.where(np.arange(rows) < 5, NAN, x), "y": x}
    conformed, _, made = conditioned(model, data)
    posterior = xr.Dataset({"b": (("chain", "draw"), np.full((4, 1000), 0.5))})
    tracemalloc.start()
    back = made.recover(posterior, np.random.default_rng(1), missing=conformed.missing)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert back["x_unobserved"].shape == (4, 1000, 5)
    assert peak < 30e6


def test_of_a_product_one_goes_and_the_other_stays():
    with pm.Model(coords=UNIT) as model:
        u = pm.Normal("u", dims="unit")
        v = pm.Normal("v", dims="unit")
        pm.Normal("y", u * v, 0.5, dims="unit")
    _, known, made = conditioned(model, {"y": [0.3, -2.0]})
    [gone], [left] = made.names, [rv.name for rv in made.model.free_RVs]
    assert {gone, left} == {"u", "v"}
    point = {left: np.array([0.4, -1.3])}
    zero, slope, curve = dense(known, [gone], point)
    expected = zero + slope @ np.linalg.solve(curve, slope) / 2
    expected += np.log(2 * np.pi) - np.linalg.slogdet(curve)[1] / 2
    assert float(logp(made.model)(point)) == pytest.approx(expected, rel=1e-9)


def test_a_latent_above_one_that_stays_goes():
    """v stays for its logistic child; its own factor goes into the integral over u."""
    with pm.Model(coords=UNIT) as model:
        u = pm.Normal("u", dims="unit")
        v = pm.Normal("v", 2 * u, 0.5, dims="unit")
        pm.Normal("x", u, 1, dims="unit")
        pm.Bernoulli("y", logit_p=v, dims="unit")
    _, known, made = conditioned(model, {"x": [0.3, -2.0], "y": [0, 1]})
    assert made.names == ("u",)
    v = np.array([0.4, -1.3])
    zero, slope, curve = dense(known, ["u"], {"v": v})
    expected = zero + slope @ np.linalg.solve(curve, slope) / 2
    expected += np.log(2 * np.pi) - np.linalg.slogdet(curve)[1] / 2
    assert float(logp(made.model)({"v": v})) == pytest.approx(expected, rel=1e-9)


def test_coefficients_that_meet_in_a_row_stay():
    rows = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    with pm.Model(coords={"unit": range(3), "k": [0, 1]}) as model:
        beta = pm.Normal("beta", 0, 1, dims="k")
        w = pm.Data("w", rows, dims=("unit", "k"))
        pm.Normal("y", w @ beta, pm.HalfNormal("s"), dims="unit")
    assert conditioned(model, {"w": rows, "y": [0.0, 1.0, 2.0]}, "unit")[2] is None


@pytest.mark.slow
def test_labels_and_what_follows_from_them_are_those_of_the_plain_path():
    where = np.arange(12) % 3
    with pm.Model(coords={"school": ["A", "B", "C"], "pupil": [0]}) as model:
        mean, tau = pm.Normal("mean"), pm.HalfNormal("tau")
        a = pm.Normal("a", mean, tau, dims="school")
        b = pm.Normal("b", 0, tau, shape=3)
        pm.Deterministic("twice", 2 * a, dims="school")
        pm.Deterministic("gap", a[0] - b[1])
        w = pm.Data("where", [0], dims="pupil")
        t = pm.Bernoulli("t", 0.5, dims="pupil")
        pm.Normal("y", a[w] + b[w] * t, 1, dims="pupil")
    rng = np.random.default_rng(1)
    data = {"where": where, "t": rng.integers(0, 2, 12), "y": rng.normal(size=12)}
    options = {"seed": 1, "draws": 100, "chains": 2, "unit_dims": "pupil", "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own, plain = (bc.fit(model, data, method=m, **options) for m in ("auto", "nuts"))
        again = bc.Refitter(model, ["t", "y"], unit_dims="pupil", draws=100, chains=2).fit(
            data, seed=1
        )
    assert own.methods["b, a" if "b, a" in own.methods else "a, b"] == INTEGRATED
    for found in (own, again):
        assert set(found.posterior) == set(plain.posterior)
        for name, array in plain.posterior.items():
            assert found.posterior[name].dims == array.dims
            for dim in array.dims:
                assert found.posterior[dim].to_numpy().tolist() == array[dim].to_numpy().tolist()
        np.testing.assert_array_equal(found.posterior["twice"], 2 * found.posterior["a"])


@pytest.mark.slow
def test_eight_schools_against_quadrature():
    """Effects and errors of [1]_; the mean of tau is a sum over a fine grid.

    .. [1] D. B. Rubin, "Estimation in parallel randomized experiments", *Journal of Educational
       Statistics* 6(4), 1981.
    """
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    sigma = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    with pm.Model(coords={"school": range(8)}) as model:
        mean, tau = pm.Normal("mean", 0, 10), pm.HalfNormal("tau", 10)
        effect = pm.Normal("effect", mean, tau, dims="school")
        error = pm.Data("error", sigma, dims="school")
        pm.Normal("y", effect, error, dims="school")
    fit = bc.fit(model, {"y": y, "error": sigma}, seed=3, draws=2000, progressbar=False)
    assert fit.methods["effect"] == INTEGRATED
    assert fit.diagnostics.divergences == 0
    grid = np.linspace(0.005, 60, 6000)
    cov = [np.diag(sigma**2 + t**2) + 100.0 for t in grid]
    log = np.array([multivariate_normal(np.zeros(8), c).logpdf(y) for c in cov]) - grid**2 / 200
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    draws = fit.posterior["tau"]
    import arviz as az

    error = float(az.mcse(draws.to_dataset(name="v"))["v"])
    assert abs(float(draws.mean()) - weight @ grid) < 5 * error


def _confounded():
    """A hidden cause with an instrument, and noise that is known where data cannot tell it."""
    with pm.Model(coords=UNIT) as model:
        b = pm.Normal("b", 0, 2)
        g = pm.Normal("g", 0, 1)
        s = pm.HalfNormal("s", 1)
        z = pm.Normal("z", dims="unit")
        u = pm.Normal("u", dims="unit")
        x = pm.Normal("x", z + u, 0.8, dims="unit")
        pm.Normal("y", b * x + g * u, s, dims="unit")
    return model


def _data(n=60):
    rng = np.random.default_rng(4)
    z, u = rng.normal(size=(2, n))
    x = z + u + 0.8 * rng.normal(size=n)
    y = 0.5 * x + 0.7 * u + 0.6 * rng.normal(size=n)
    return {"z": z, "x": x, "y": y}


def _gap(one, two, name):
    """Return the largest difference of two posterior means in units of its standard error."""
    import arviz as az

    arrays = [f.posterior[name] for f in (one, two)]
    arrays = [a.isel(unit=[0, 1, 2]) if "unit" in a.dims else a for a in arrays]
    means = [a.mean(("chain", "draw")) for a in arrays]
    errors = [az.mcse(a.to_dataset(name="v"))["v"] for a in arrays]
    return np.abs((means[0] - means[1]) / np.sqrt(errors[0] ** 2 + errors[1] ** 2)).max()


@pytest.mark.slow
def test_fit_says_so_and_agrees_with_the_plain_path():
    """Every parameter and three latents within 5 standard errors of a plain Markov chain."""
    model, data = _confounded(), _data()
    own = bc.fit(model, data, seed=1, draws=1500, progressbar=False)
    plain = bc.fit(model, data, seed=2, draws=1500, method="nuts", progressbar=False)
    assert own.methods["u"] == INTEGRATED
    assert "Integrated out exactly and drawn back, being Normal: u." in own.notes
    assert "u" in [n.strip() for k in plain.methods for n in k.split(",")]
    assert INTEGRATED not in plain.methods.values()
    assert own.posterior["u"].dims == plain.posterior["u"].dims
    for name in ("b", "g", "s", "u"):
        assert _gap(own, plain, name) < 5
    sd = own.posterior["u"].std(("chain", "draw")) / plain.posterior["u"].std(("chain", "draw"))
    assert np.abs(np.log(sd)).max() < 5 * np.sqrt(1 / 1000)  # at least 1,000 effective draws each


def test_everything_unknown_integrated_needs_no_chain():
    with pm.Model(coords=UNIT) as model:
        u = pm.Normal("u", dims="unit")
        pm.Normal("y", u, 1, dims="unit")
    fit = bc.fit(model, {"y": [1.0, 3.0]}, seed=1, draws=4000, progressbar=False)
    assert fit.methods == {"u": INTEGRATED}
    u = fit.posterior["u"]
    assert np.abs(u.mean(("chain", "draw")) - [0.5, 1.5]).max() < 5 * np.sqrt(0.5 / 16_000)


def test_initial_values_of_what_is_integrated_out_are_left_out():
    starts = {"u": np.zeros(60), "b": 0.3}
    options = {"seed": 1, "draws": 50, "tune": 50, "chains": 1, "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bc.fit(_confounded(), _data(), initvals=starts, **options)
    assert found.methods["u"] == INTEGRATED


@pytest.mark.slow
def test_refits_take_the_same_path():
    model = _confounded()
    refitter = bc.Refitter(model, ["z", "x", "y"], draws=300, chains=2)
    refitter.fit(_data(60), seed=3)
    again = refitter.fit({n: v + 0.1 for n, v in _data(60).items()}, seed=5)
    alone = bc.fit(
        model,
        {n: v + 0.1 for n, v in _data(60).items()},
        seed=5,
        draws=300,
        chains=2,
        progressbar=False,
    )
    assert again.methods == alone.methods
    assert len(refitter._recipes) == 1
    for name in ("b", "g", "s", "u"):
        assert _gap(again, alone, name) < 5
