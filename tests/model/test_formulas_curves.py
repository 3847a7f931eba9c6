"""Curves in formulas: what their bases are, what the parts of a formula mean, and messages.

The numbers are compared with the definitions: the integral of a squared second derivative, the
kernel of a Gaussian process, a monotone function, Hill's equation.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.integrate import quad

import bayescausal as bc
from bayescausal.model.formulas.curves.curve_terms import Curve
from bayescausal.model.formulas.curves.penalised import _spline
from bayescausal.model.formulas.parse import parse_formula
from bayescausal.model.formulas.terms import Scope
from bayescausal.model.formulas.variables import Column
from bayescausal.model.interventions.defined import naming
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.types import BayesCausalError, DataError, FormulaError, NotFiniteError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    n = 300
    x = rng.uniform(0, 4, n)
    z = rng.normal(size=n)
    t = rng.binomial(1, 1 / (1 + np.exp(2 - x)))
    g = rng.choice(["a", "b"], n)
    y = np.sin(2 * x) + t * (1 + 0.5 * x) + rng.normal(0, 0.3, n)
    return pd.DataFrame({"x": x, "z": z, "t": t, "g": g, "y": y, "w": rng.uniform(1, 2, n)})


def at(model, values, columns, name="y"):
    """Return the mean of y at parameters and columns."""
    with model:
        pm.set_data(columns, coords={"unit": range(len(next(iter(columns.values()))))})
    known = pm.do(model, values)[name]
    return pm.draw(known.owner.op.dist_params(known.owner)[0])


def zeros(model, **more):
    """Return all parameters at 0 (scales at 1), some at values of their own."""
    sizes = {v.name: v.eval().shape for v in model.free_RVs if v.name != "y"}
    held = {n: np.full(s, float(n.startswith(("sd", "ell", "sigma")))) for n, s in sizes.items()}
    return {**held, **{k: np.broadcast_to(np.asarray(v, float), sizes[k]) for k, v in more.items()}}


# -------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("text", "plain", "curves"),
    [
        ("y ~ s(x)", ["x"], ["s(x)"]),
        ("y ~ x + s(x, k=5)", ["x"], ["s(x)"]),
        ("y ~ t * s(x)", ["t", "x", "t:x"], ["s(x)", "t:s(x)"]),
        ("y ~ s(x, by=g)", ["g", "g:x"], ["g:s(x)"]),
        ("y ~ 0 + s(x, by=g)", ["g:x"], ["g:s(x)"]),
        (
            "y ~ t:s(x, z)",
            ["t", "t:x", "t:z", "t:x:z"],
            ["t:line(x):s(z)", "t:line(z):s(x)", "t:s(x):s(z)"],
        ),
        ("y ~ s(log(x))", ["log(x)"], ["s(log(x))"]),
        ("y ~ s(`a b`)", ["a b"], ["s(a b)"]),
        (
            "y ~ s(x, z)",
            ["z", "x", "x:z"],
            ["line(x):s(z)", "line(z):s(x)", "s(x):s(z)"],
        ),
        ("y ~ t + hsgp(x, z)", ["t"], ["hsgp(x, z)"]),
        ("y ~ t:mono(x)", [], ["t:mono(x)"]),
    ],
)
def test_a_curve_is_a_line_and_what_is_about_it(text, plain, curves):
    formula = parse_formula(text)
    assert sorted(t.label for t in formula.terms) == sorted(plain)
    assert [t.label for t in formula.curves] == curves


def test_the_graph_knows_what_a_curve_reads(data):
    model = bc.model_from_formulas(["t ~ s(x)", "y ~ t * s(x, z) + hsgp(w, by=g)"],
                                   families={"t": "bernoulli"}, data=data)  # fmt: skip
    assert set(bc.graph_of(model).edges) >= {(v, "y") for v in "txzwg"} | {("x", "t")}


# -------------------------------------------------------------------------- bases


def basis_of(data, k=8):
    """Return a model with one curve, and its basis."""
    model = bc.model_from_formulas([f"y ~ s(x, k={k})"], data=data)
    column = Column("x", None, data["x"].to_numpy(), True)
    held = SimpleNamespace(
        formula=parse_formula("y ~ s(x)"), scope=Scope({"x": column}, {"x": model["x"]})
    )
    return model, _spline(held, Curve("s", ("x",), {"k": k}, "s(x)"), 10)


def test_the_prior_of_a_penalised_spline_is_its_penalty(data):
    """r'r / scale is the integral of f''^2: the columns are orthogonal in it, of one size."""
    _, basis = basis_of(data)
    x = data["x"].to_numpy()
    columns = basis.numbers()
    line = np.stack([np.ones_like(x), x], axis=1)
    assert np.allclose(line.T @ columns, 0, atol=1e-8 * len(x))
    assert np.isclose((columns**2).sum(axis=1).mean(), 1)

    def bend(k):
        def second(v):
            place = np.searchsorted(basis.breaks[1:-1], v, side="right")
            t = v - basis.breaks[place]
            return 2 * basis.powers[place, k, 2] + 6 * basis.powers[place, k, 3] * t

        return second

    count = columns.shape[1]
    knots = basis.breaks[1:-1]
    gram = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1):
            pieces = [
                quad(lambda v, i=i, j=j: bend(i)(v) * bend(j)(v), a + 1e-12, b - 1e-12)[0]
                for a, b in itertools.pairwise(knots)
            ]
            gram[i, j] = gram[j, i] = sum(pieces)
    assert np.allclose(gram, gram[0, 0] * np.eye(count), atol=1e-6 * gram[0, 0])


def test_expression_and_numbers_agree_and_go_on_straight(data):
    model, basis = basis_of(data)
    rng = np.random.default_rng(1)
    r = rng.normal(size=basis.powers.shape[1])
    new = np.array([-2.0, -1.0, 0.0, 0.5, 2.2, 3.9, 6.0, 7.0, 8.0])
    got = at(model, zeros(model, **{"z_y_s(x)": r}), {"x": new})
    place = np.searchsorted(basis.breaks[1:-1], new, side="right")
    t = new - basis.breaks[place]
    rows = [basis.powers[p] @ np.array([1, h, h**2, h**3]) for p, h in zip(place, t, strict=True)]
    assert np.allclose(got, np.array(rows) @ r)
    assert np.isclose(got[8] - got[7], got[7] - got[6])


@pytest.mark.parametrize("kernel", ["matern52", "expquad"])
def test_the_process_has_its_kernel(data, kernel):
    """With many terms and a wide boundary the covariance is that of the kernel."""
    model = bc.model_from_formulas(
        [f"y ~ hsgp(x, m=150, c=4, cov='{kernel}')"], data=data, noncentered=True
    )
    new = np.array([0.3, 1.0, 1.6, 3.5])
    ell = 0.6
    rng = np.random.default_rng(0)
    z = rng.normal(size=150)
    got = at(model, zeros(model, **{"z_y_hsgp(x)": z, "ell_y_hsgp(x)": ell, "sd_y_hsgp(x)": 1.7}),
             {"x": new})  # fmt: skip
    x = data["x"]
    middle, half = (x.min() + x.max()) / 2, 4 * (x.max() - x.min()) / 2
    w = np.pi * np.arange(1, 151) / (2 * half)
    phi = half**-0.5 * np.sin(w * (new[:, None] - middle + half))
    gap = np.abs(new[:, None] - new)
    if kernel == "matern52":
        density = 16 / 3 * 5**2.5 / ell**5 / (5 / ell**2 + w**2) ** 3
        u = np.sqrt(5) * gap / ell
        covariance = (1 + u + u**2 / 3) * np.exp(-u)
    else:
        density = np.sqrt(2 * np.pi) * ell * np.exp(-((ell * w) ** 2) / 2)
        covariance = np.exp(-((gap / ell) ** 2) / 2)
    assert np.allclose((phi * density) @ phi.T, covariance, atol=2e-3)
    assert np.allclose(got, 1.7 * (phi * np.sqrt(density)) @ z)


def test_a_process_has_no_value_beyond_its_boundary(data):
    model = bc.model_from_formulas(["y ~ hsgp(x, m=5)"], data=data)
    got = at(model, zeros(model), {"x": np.array([1.0, 5.5])})
    assert np.isfinite(got[0])
    assert np.isnan(got[1])
    known = bc.truth(
        model, {k: v for k, v in zeros(model).items() if k != "y"}, data={"x": data["x"]}
    )
    middle, half = (data["x"].min() + data["x"].max()) / 2, 0.75 * np.ptp(data["x"])
    ends = f"from {middle - half:.4g} to {middle + half:.4g}"
    said = f"x is beyond the boundary of a curve, {ends}, at x={{}}. .*reach="
    for act, first in ((5.5, "5.5"), (bc.Shift(9.0), f"{data['x'][0] + 9.0:.6g}")):
        with pytest.raises(BayesCausalError, match=said.format(first)):
            bc.estimate(known, bc.ATE("x", "y", treated=act, control=1.0))
    away = pd.DataFrame({"x": [1.0, 7.0]})
    with pytest.raises(BayesCausalError, match=said.format("7")):
        bc.estimate(known, bc.Expected("y", do={"x": bc.Shift(0.0)}, population=away))
    columns = {"x": data["x"].where(data.index != 1, 7.0).to_numpy(), "y": data["y"].to_numpy()}
    refused = pytest.raises(DataError, match=f"defined for the data: {said.format('7')}")
    with refused, naming(known.structure, columns):  # as a fit does
        raise NotFiniteError("")


def test_a_process_reaches_the_levels_that_questions_are_about(data):
    """The boundary is 1.5 half ranges of data and levels; the prior that of the data alone."""
    low, high = data["x"].min(), data["x"].max()
    question = bc.ATE("x", "y", treated=high + 6.0, control=low - 1.0)
    middle, half = (low + high + 5.0) / 2, (high - low + 7.0) / 2
    gap = np.ptp(data["x"].to_numpy())
    for reach in ([bc.ATE("x", "y"), question], {"x": (low - 1.0, high + 6.0)}):
        model = bc.model_from_formulas(["y ~ hsgp(x, cov='expquad')"], data=data, reach=reach)
        [count] = [len(labels) for dim, labels in model.coords.items() if dim.endswith("_term")]
        assert count == np.ceil(20 * (gap + 7.0) / gap)
        ends = middle + 1.5 * half * np.array([-0.999, 0.999, 1.001])
        assert np.isfinite(at(model, zeros(model), {"x": ends})).tolist() == [True, True, False]
        ell = model["ell_y_hsgp(x)"].owner
        assert float(evaluate([ell.op.dist_params(ell)[0]])[0]) == pytest.approx(
            np.log(0.35 * gap), abs=0.01
        )
    shifted = bc.ATE("x", "y", treated=bc.Shift(9.0), control=bc.Shift(0.0))
    model = bc.model_from_formulas(["y ~ hsgp(x**2)"], data=data, reach=shifted)
    top = at(model, zeros(model), {"x": np.array([high + 9.0, 3 * (high + 9.0)])})
    assert np.isfinite(top).tolist() == [True, False]
    for wrong in ({"g": (0, 1)}, {"x": ("a", "b")}, 3):
        with pytest.raises(BayesCausalError, match="reach="):
            bc.model_from_formulas(["y ~ hsgp(x) + g"], data=data, reach=wrong)
    with pytest.raises(BayesCausalError, match="all that is asked about"):
        bc.model_from_formulas([f"y ~ hsgp(x, upper={high + 1})"], data=data, reach=question)


@pytest.mark.parametrize("direction", ["increasing", "decreasing"])
def test_a_monotone_curve_is_monotone_and_flat_outside(data, direction):
    model = bc.model_from_formulas([f"y ~ mono(x, direction='{direction}')"], data=data)
    new = np.linspace(-1, 5, 200)
    rng = np.random.default_rng(3)
    size = model["b_y_mono(x)"].eval().shape
    b = np.abs(rng.normal(size=size))
    got = at(model, zeros(model, **{"b_y_mono(x)": b}), {"x": new})
    sign = 1 if direction == "increasing" else -1
    assert np.all(sign * np.diff(got) >= -1e-12)
    assert np.isclose(sign * (got[-1] - got[0]), b.sum())
    assert np.isclose(got[0], got[10])
    assert np.isclose(got[-1], got[-10])


def test_a_hill_curve(data):
    model = bc.model_from_formulas(["y ~ hill(w)"], data=data)
    values = zeros(model, **{"top_y_hill(w)": 3.0, "half_y_hill(w)": 1.5, "steep_y_hill(w)": 2.0})
    dose = np.array([0.0, 0.5, 1.5, 40.0])
    got = at(model, values, {"w": dose})
    assert np.allclose(got, 3 * dose**2 / (1.5**2 + dose**2))


# -------------------------------------------------------------------------- answers


def test_a_varying_effect_is_drawn_exactly_and_found(data):
    model = bc.model_from_formulas(["y ~ t * s(x, k=6)"], data=data)
    fit = bc.fit(model, data, draws=500, seed=2, progressbar=False)
    assert set(fit.methods.values()) == {"coefficients integrated out"}
    ate = bc.estimate(fit, bc.ATE("t", "y"))
    truth = float(np.mean(1 + 0.5 * data["x"]))
    assert abs(ate.mean() - truth) < 4 * ate.sd()
    straight = bc.fit(bc.model_from_formulas(["y ~ t * x"], data=data), data, seed=2,
                      progressbar=False)  # fmt: skip
    assert fit.posterior["sigma_y"].mean() < 0.6 * straight.posterior["sigma_y"].mean()


def test_the_code_of_a_model_with_curves_runs(data):
    model = bc.model_from_formulas(["y ~ s(x, by=g) + hsgp(z, m=4) + mono(w)"], data=data)
    space = {"data": data.assign(g=(data["g"] == "b").astype(int))}  # codes, as in the model
    exec(bc.model_source(model), space)
    assert {v.name for v in space["model"].free_RVs} == {v.name for v in model.free_RVs}


# -------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ s(x, df=3)", "takes no option 'df'"),
        ("y ~ s(x, k=2)", "whole number from 4"),
        ("y ~ s(t)", "2 different values"),
        ("y ~ s(g)", "categorical"),
        ("y ~ s(x, z, w)", "cannot be read"),
        ("y ~ s()", "cannot be read"),
        ("y ~ s(x):bs(z, 4)", "both curves"),
        ("y ~ hsgp(x, cov='rbf')", "'matern52' or 'expquad'"),
        ("y ~ hsgp(x, upper=2)", "all of the data"),
        ("y ~ hsgp(x, c=1)", "boundary factor"),
        ("y ~ mono(x, by=g)", "multiplies mono by g"),
        ("y ~ mono(x, direction='up')", "'increasing' or 'decreasing'"),
        ("y ~ mono(x, k=3.7)", "whole number k"),
        ("y ~ hill(z)", "doses from 0"),
        ("y ~ log(s(x))", "several columns"),
    ],
)
def test_what_is_wrong_is_said(data, formula, message):
    with pytest.raises(FormulaError, match=message):
        bc.model_from_formulas([formula], data=data)


def test_a_curve_without_data_is_refused():
    with pytest.raises(FormulaError, match="takes its shape from data"):
        bc.model_from_formulas(["x ~ 1", "y ~ s(x)"])


def test_labels_leave_options_out():
    assert Curve("s", ("`a b`",), {"k": 4}, "s(`a b`, k=4)").label == "s(a b)"


# -------------------------------------------------------------------------- beyond the data


def known(formula, data, values=None):
    model = bc.model_from_formulas([formula], data=data)
    held = {k: v for k, v in zeros(model, **(values or {})).items() if k != "y"}
    return bc.truth(model, held, data=data.drop(columns="y"))


def test_a_curve_says_that_it_extrapolates(data):
    columns = data[["x", "t", "y"]]
    curved = known("y ~ t * s(x, k=5)", columns)
    low, high = columns["x"].min(), columns["x"].max()
    inside = bc.estimate(curved, bc.ATE("x", "y", treated=3.0, control=1.0))
    assert not any("Extrapolates" in n for n in inside.notes)
    outside = bc.estimate(curved, bc.ATE("x", "y", treated=6.0, control=1.0))
    [note] = [n for n in outside.notes if "Extrapolates" in n]
    assert f"x is set to 6, and its data go from {low:.4g} to {high:.4g}" in note
    assert "the equation of y" in note
    straight = bc.estimate(known("y ~ t * x", columns), bc.ATE("x", "y", treated=6.0, control=1.0))
    assert not any("Extrapolates" in n for n in straight.notes)


@pytest.mark.slow
def test_the_interval_of_a_curve_widens_beyond_the_data():
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 4, 80)
    columns = pd.DataFrame({"x": x, "y": np.sin(x) + rng.normal(0, 0.3, 80)})
    model = bc.model_from_formulas(["y ~ s(x, k=5)"], data=columns)
    fit = bc.fit(model, columns, draws=250, chains=2, seed=1, progressbar=False)
    sd = [bc.estimate(fit, bc.Expected("y", do={"x": v})).sd() for v in (2.0, 6.0, 10.0)]
    assert sd[0] < sd[1] < sd[2]


def test_surfaces_and_levels_times_a_treatment_are_drawn_exactly(data):
    """Fitted with method="exact", which refuses a chain; the average effect is the truth's."""
    model = bc.model_from_formulas(["y ~ t * s(x, z, k=4)"], data=data)
    fit = bc.fit(model, data, method="exact", draws=500, chains=2, seed=2, progressbar=False)
    ate = bc.estimate(fit, bc.ATE("t", "y"))
    assert abs(ate.mean() - float(np.mean(1 + 0.5 * data["x"]))) < 4 * ate.sd()
    tau = bc.heterogeneity(fit, bc.ATE("t", "y"), draws=True)
    assert np.allclose(tau.average, ate.draws.values.ravel())
    # unit by unit, by two evaluations of the equation at the first draw
    one = {v.name: fit.posterior[v.name].values[0, 0] for v in model.free_RVs if v.name != "y"}
    columns = {n: data[n].to_numpy() for n in "xz"}
    arms = [at(model, one, {**columns, "t": np.full(len(data), level)}) for level in (1, 0)]
    assert np.allclose(tau.draws[0], arms[0] - arms[1])
