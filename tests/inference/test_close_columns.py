"""Columns that are the same number to many digits: a year, its square and its cube."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.inference.closed_forms.design import SAME, are_close, basis_of, resolved
from bayescausal.inference.conditioning.plan import draw_exact, make_plan
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table
from bayescausal.model.structure.read import structure_of

UNITS, DRAWS = 300, 1_000


def table(start=2000.0, span=21, seed=1):
    """Return years, and outcomes that are a cubic of them."""
    rng = np.random.default_rng(seed)
    year = start + rng.integers(0, span, UNITS)
    z = (year - start - 10) / 6
    t = rng.integers(0, 2, UNITS)
    mean = z + 0.5 * z**2 - 0.7 * z**3 + t
    return pd.DataFrame({
        "year": year, "z": z, "t": t, "g": rng.choice(list("abcdef"), UNITS),
        "y": mean + rng.normal(size=UNITS), "k": rng.poisson(np.exp(0.4 * mean)),
    })  # fmt: skip


def effect(formula, data, variable, treated, control, family="gaussian"):
    outcome = formula.split(" ")[0]
    model = bc.model_from_formulas([formula], families={outcome: family}, data=data)
    fit = bc.fit(model, data, draws=DRAWS, chains=4, seed=1, progressbar=False)
    found = bc.estimate(fit, bc.ATE(variable, outcome, treated=treated, control=control))
    return float(found.mean()), float(found.sd()), list(fit.methods.values())


@pytest.mark.parametrize(("family", "outcome"), [("gaussian", "y"), ("poisson", "k")])
def test_a_cubic_has_the_posterior_that_it_has_about_its_middle(family, outcome):
    data = table()
    right = "t + {0} + I({0}**2) + I({0}**3)"
    far = effect(f"{outcome} ~ {right.format('year')}", data, "year", 2018.0, 2010.0, family)
    near = effect(f"{outcome} ~ {right.format('z')}", data, "z", 8 / 6, 0.0, family)
    assert far[2] == near[2]
    draws = 4 * DRAWS if family == "gaussian" else DRAWS  # independent, or of a chain
    assert abs(far[0] - near[0]) < 5 * near[1] * np.sqrt(2 / draws)
    assert abs(far[1] / near[1] - 1) < 5 * np.sqrt(1 / draws)


@pytest.mark.parametrize("start", [1e4, 1e6])
def test_a_square_by_hand_is_least_squares_where_the_prior_is_wide(start):
    data = table(start, seed=2)
    x = data["year"].to_numpy()
    with pm.Model(coords={"unit": range(UNITS)}) as model:
        year = pm.Data("year", x, dims="unit")
        a, b, c = (pm.Flat(n) for n in "abc")
        s = pm.HalfNormal("s", 5)
        pm.Normal("y", a + b * year + c * year**2, s, dims="unit")
    fit = bc.fit(model, data[["year", "y"]], draws=DRAWS, chains=4, seed=1, progressbar=False)
    assert list(fit.methods.values()) == ["conjugate (linear-Gaussian)"]
    found = bc.estimate(fit, bc.ATE("year", "y", treated=start + 18, control=start + 10))
    z = x - start - 10
    columns = np.column_stack([np.ones(UNITS), z, z**2])
    slope = np.linalg.lstsq(columns, data["y"], rcond=None)[0]
    want = slope @ [0, 8, 64]
    rest = data["y"] - columns @ slope
    at = np.array([0.0, 8, 64])
    sd = np.sqrt(rest.var() * at @ np.linalg.solve(columns.T @ columns, at))
    assert abs(float(found.mean()) - want) < 5 * sd / np.sqrt(4 * DRAWS)


def test_groups_leave_products_that_have_lost_their_digits():
    data = table()
    for start, lost in ((2000.0, True), (-10.0, False)):
        shifted = data.assign(year=data["year"] - 2000 + start)
        formula = "y ~ t + year + I(year**2) + I(year**3) + (1 | g)"
        model = bc.model_from_formulas([formula], data=shifted)
        structure = structure_of(model)
        conformed = conform(as_table(shifted, structure), structure)
        plan = make_plan(structure, set(conformed.columns), sizes=conformed.sizes)
        assert [s.method for s in plan.samplers] == ["coefficients integrated out"]
        _, methods, left = draw_exact(plan, structure, conformed, draws=10, chains=1, seed=1)
        assert [reason for _, reason in left.rest] == ([SAME] if lost else [])
        assert bool(methods) is not lost


def test_a_stream_says_what_to_do(tmp_path):
    data = table()
    formula = "y ~ t + year + I(year**2) + I(year**3)"
    model = bc.model_from_formulas([formula], data=data)
    data.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(bc.types.ModelError, match="year - 2010 and its square"):
        bc.fit(model, tmp_path / "rows.parquet", draws=10, seed=1, progressbar=False)


def test_columns_that_add_up_to_others_are_no_loss():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 2))
    same = np.column_stack([x, x.sum(axis=1)])
    assert are_close(same.T @ same)
    assert resolved(same.T @ same, lambda: [same])
    near = np.column_stack([np.ones(50), 1e6 + x[:, 0], (1e6 + x[:, 0]) ** 2])
    assert not resolved(near.T @ near, lambda: [near[:20], near[20:]])
    turned = near @ basis_of([near])
    np.testing.assert_allclose(turned.T @ turned, np.eye(3), atol=1e-3)
    with pytest.raises(ArithmeticError, match="not determined"):
        basis_of([same])


def test_a_level_for_every_group_beside_a_constant_stays_exact():
    data = table()
    with pm.Model(coords={"unit": range(UNITS), "group": list("abcdef")}) as model:
        g = pm.Data("g", pd.Categorical(data["g"]).codes, dims="unit")
        a = pm.Normal("a", 0, 5)
        u = pm.Normal("u", 0, 1, dims="group")
        s = pm.HalfNormal("s", 5)
        pm.Normal("y", a + u[g], s, dims="unit")
    fit = bc.fit(model, data[["g", "y"]], draws=100, chains=2, seed=1, progressbar=False)
    assert list(fit.methods.values()) == ["conjugate (linear-Gaussian)"]


def test_the_prior_of_a_square_is_that_of_what_it_adds_however_far_its_zero_is():
    rng = np.random.default_rng(4)
    z = 2 * rng.normal(size=UNITS)
    scales = []
    for start in (0.0, 1e4, 1e6):
        data = pd.DataFrame({"x": start + z, "y": 3 * z + 0.5 * z**2 + rng.normal(size=UNITS)})
        model = bc.model_from_formulas(["y ~ x + I(x**2)"], data=data)
        sd = float(model["b_y_I(x ** 2)"].owner.inputs[3].data) / data["y"].std()
        scales.append(sd * (z**2 - np.polyval(np.polyfit(z, z**2, 1), z)).std())
    np.testing.assert_allclose(scales, scales[0], rtol=0.03)  # priors have three digits


def test_a_count_of_a_year_and_its_square_is_drawn_about_its_mode():
    """Against importance sampling in coordinates in which the columns are orthogonal.

    Before, a heavier tail in one of some chains sent it to a mixture in coordinates a million times
    as wide in one direction as in another, and from there to chains that did not move.
    """
    rng = np.random.default_rng(0)
    n = 200
    year, t = rng.integers(1990, 2020, n).astype(float), rng.binomial(1, 0.5, n).astype(float)
    y = rng.poisson(np.exp(0.5 + 0.3 * t + 0.02 * (year - 2005)))
    with pm.Model(coords={"unit": range(n)}) as model:
        a, b = pm.Normal("a", 0, 10), pm.Normal("b", 0, 1)
        c, d = pm.Normal("c", 0, 1), pm.Normal("d", 0, 1)
        x, when = pm.Data("t", t, dims="unit"), pm.Data("year", year, dims="unit")
        pm.Poisson("y", pm.math.exp(a + b * x + c * when + d * when**2), dims="unit")
    fit = bc.fit(model, {"t": t, "year": year, "y": y}, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {"laplace (metropolis)"}
    q, r = np.linalg.qr(np.column_stack([np.ones(n), t, year, year**2]))
    back = np.linalg.inv(r)
    prior = back.T @ np.diag([0.01, 1.0, 1.0, 1.0]) @ back
    u = q.T @ np.log(y + 0.5)
    for _ in range(50):
        mean = np.exp(q @ u)
        curve = q.T @ (mean[:, None] * q) + prior
        u = u + np.linalg.solve(curve, q.T @ (y - mean) - prior @ u)
    law = stats.multivariate_t(u, np.linalg.inv(curve), df=8, seed=2)
    points = law.rvs(100_000)
    eta = points @ q.T
    log = eta @ y - np.exp(eta).sum(axis=1) - 0.5 * ((points @ prior) * points).sum(axis=1)
    ratio = log - law.logpdf(points)
    weight = np.exp(ratio - ratio.max())
    weight /= weight.sum()
    right = points @ back.T
    for k, name in ((1, "b"), (2, "c"), (3, "d")):
        mean = float(weight @ right[:, k])
        sd = float(np.sqrt(weight @ (right[:, k] - mean) ** 2))
        error = sd * np.sqrt(1 / 2_000 + float(weight @ weight))
        assert abs(float(fit.posterior[name].mean()) - mean) < 5 * error
