"""Kind: a prior that depends on where a column has its zero.

A coefficient's default prior was scaled by its raw column: a product with calendar years then had a
prior near zero, whatever the data said. Looked at: products of two and three, powers, categories
times numbers (also without the number or the category by itself), splines times numbers, curves
that learn their shape and sums of trees times numbers and categories, functions, offsets,
intercepts and models without one, levels of the outcome far from zero, group slopes (also in a bar
of their own, and of products, in other units), ordinal cutpoints, the logit and log links.

Right values: least squares for the posterior; for the prior, that the law of the linear predictor
at the data (mean and covariance, by the Gaussian algebra of the model's own coefficients) is the
same before and after a shift.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors

import bayescausal as bc
from bayescausal.model.formulas.beyond import beyond
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.read import structure_of

if TYPE_CHECKING:
    import pymc as pm


def world(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    year = rng.integers(2000, 2021, n).astype(float)
    t = rng.integers(0, 2, n).astype(float)
    frame = pd.DataFrame({"t": t, "yr": year, "x": rng.normal(3, 1, n)})
    frame["g"] = rng.choice(["a", "b", "c"], n)
    late = year - 2000
    frame["y"] = 0.9 * t + 0.1 * t * late + 0.05 * late + rng.normal(0, 1, n)
    frame["b"] = rng.integers(0, 2, n)
    frame["k"] = rng.poisson(2, n)
    frame["o"] = rng.choice(["lo", "mid", "hi"], n)
    return frame


def effect(data: pd.DataFrame, formula: str, shift: float, year: float) -> float:
    moved = data.assign(yr=data.yr - shift)
    model = bc.model_from_formulas([formula], data=moved)
    fit = bc.fit(model, moved, seed=1, draws=2000, chains=2, progressbar=False)
    return float(bc.estimate(fit, bc.CATE("t", "y", given={"yr": year - shift})))


@pytest.mark.parametrize("n", [300, 3000])
def test_the_effect_of_a_product_with_calendar_years_is_that_of_least_squares(n):
    """The prior of the effect has an sd of 2.5 s_y / s_t > 7, the data one below 0.25: it moves the
    mean by less than (0.25 / 7)^2 of it, below 0.005; four Monte Carlo errors of 4,000 independent
    draws are below 0.016."""
    data = world(n)
    late = data.yr - 2020
    design = np.column_stack([np.ones(n), data.t, late, data.t * late])
    want = np.linalg.lstsq(design, data.y, rcond=None)[0][1]
    for shift in (0.0, 2010.0):
        assert effect(data, "y ~ t * yr", shift, 2020.0) == pytest.approx(want, abs=0.021)


def test_a_square_of_calendar_years_is_that_of_least_squares():
    """From 2005 to 2006 the curve moves by b1 + b2 (2006^2 - 2005^2)."""
    data = world(400)
    late = data.yr - 2005
    data["y"] = 0.3 * late - 0.05 * late**2 + np.random.default_rng(3).normal(0, 1, 400)
    b = np.linalg.lstsq(np.column_stack([np.ones(400), late, late**2]), data.y, rcond=None)[0]
    for shift in (0.0, 2010.0):
        moved = data.assign(yr=data.yr - shift)
        model = bc.model_from_formulas(["y ~ yr + I(yr**2)"], data=moved)
        fit = bc.fit(model, moved, seed=1, draws=2000, chains=2, progressbar=False)
        ask = bc.ATE("yr", "y", treated=2006 - shift, control=2005 - shift)
        assert float(bc.estimate(fit, ask)) == pytest.approx(b[1] + b[2], abs=0.01)


@pytest.mark.parametrize("formula", ["y ~ g:yr", "y ~ t + g:yr", "y ~ g:h:yr"])
def test_a_trend_of_all_levels_without_a_term_of_its_own_is_that_of_least_squares(formula):
    """The columns of ``g:yr`` differ by thousands and add up to a year that moves by 20. The prior
    of each slope has an sd of 2.5 s_y / s_yr > 1, the data one below 0.02."""
    rng = np.random.default_rng(1)
    data = world(400).assign(h=lambda d: np.where(np.arange(len(d)) % 2, "u", "v"))
    data["y"] = 0.5 * (data.yr - 2010) + rng.normal(size=400)
    cell = data.g if "h" not in formula else data.g + data.h
    parts = [pd.Series(1.0, data.index), *(data.yr * (cell == c) for c in sorted(cell.unique()))]
    parts += [data.t] if "t +" in formula else []
    design = np.column_stack(parts)
    slopes = np.linalg.lstsq(design, data.y, rcond=None)[0][1 : 1 + cell.nunique()]
    model = bc.model_from_formulas([formula], data=data)
    fit = bc.fit(model, data, seed=1, draws=2000, chains=2, progressbar=False)
    got = bc.estimate(fit, bc.Slope("yr", "y"))
    want = float(np.mean([slopes[sorted(cell.unique()).index(c)] for c in cell]))
    assert float(got) == pytest.approx(want, abs=0.003)


def test_a_bar_of_slopes_beside_a_bar_of_intercepts_is_written_as_their_two_bars_in_one():
    data = world(60)
    found = []
    for right in ("yr + (1 | g) + (0 + yr | g)", "yr + (yr || g)"):
        with pytest.warns(bc.FormulaWarning, match="about the mean.*intercepts of g"):
            model = bc.model_from_formulas([f"y ~ {right}"], data=data)
        values = dict.fromkeys(["b_y_Intercept", "b_y_yr"], 0.0)
        values |= dict.fromkeys(["sigma_y", "sd_y_1|g", "sd_y_yr|g"], 1.0)
        values |= {"z_y_1|g": [1.0, 0.0, 0.0], "z_y_yr|g": [0.0, 2.0, 0.0]}
        truth = bc.truth(model, values, data)
        ask = bc.Expected("y", {"g": "b", "yr": 2020.0})
        assert float(bc.estimate(truth, ask)) == pytest.approx(2.0 * (2020 - data.yr.mean()))
        found.append(bc.prior_summary(model)["prior"].filter(like="sd_").tolist())
    assert found[0] == found[1]


# ------------------------------------------------------------------- the law of the prior


def prior_law(model: pm.Model, response: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the linear predictor at the data, under the prior.

    Coefficients are jointly Gaussian: each is affine in standard normals, which are put in the
    place of the random variables one by one.
    """
    structure = structure_of(model)
    names = [n for n in structure.parameters if n.startswith(("b_", "cutpoints_"))]
    size = {n: int(np.prod([len(model.coords[d]) for d in model.named_vars_to_dims.get(n) or ()],
                           dtype=int)) for n in names}  # fmt: skip
    noise = pt.vector("noise")
    made: dict = {}
    start = 0

    def place(name: str) -> None:
        nonlocal start
        rv = model[name]
        mean, scale = rv.owner.op.dist_params(rv.owner)
        for other in names:
            if other not in made and model[other] in ancestors_of(mean):
                place(other)
        z = noise[start : start + size[name]].reshape(rv.shape.eval() if rv.ndim else ())
        start += size[name]
        swap = {model[o]: v for o, v in made.items()}
        [mean] = replaced(mean, swap)
        made[name] = mean + scale * z

    for name in names:
        if name not in made:
            place(name)
    rv = model[response]
    params = rv.owner.op.dist_params(rv.owner)
    below = lambda p: p[:, :-1].cumsum(axis=-1)  # noqa: E731
    eta = {
        "Bernoulli": lambda: pt.log(params[0] / (1 - params[0])),
        "Poisson": lambda: pt.log(params[0]),
        "Categorical": lambda: pt.log(below(params[0]) / (1 - below(params[0]))).ravel(),
    }
    kind = type(rv.owner.op).__name__.removesuffix("RV")
    out = eta.get(kind, lambda: params[0])()
    [out] = replaced(out, {model[n]: v for n, v in made.items()})
    out = pt.as_tensor(out)
    total = sum(size.values())

    def at(values: np.ndarray) -> np.ndarray:
        [swapped] = replaced(out, {noise: pt.constant(values)})
        return np.asarray(evaluate([swapped])[0])

    centre = at(np.zeros(total))
    step = 1e-3
    root = np.stack([(at(step * e) - at(-step * e)) / (2 * step) for e in np.eye(total)], axis=1)
    return centre, root @ root.T


def replaced(root, swap):
    return clone_replace([root], swap, rebuild_strict=False)


def ancestors_of(root) -> set:
    return set(ancestors([root]))


HEAVY = pytest.mark.slow  # the algebra of many coefficients

CASES = [
    ("y ~ t * yr", {}),
    pytest.param("y ~ t * x * yr", {}, marks=HEAVY),
    ("y ~ yr + I(yr**2) + I(yr**3)", {}),
    ("y ~ I(yr**2) + yr", {}),
    ("y ~ g * yr", {}),
    ("y ~ 0 + g + g:yr", {}),
    pytest.param("y ~ g * t * yr", {}, marks=HEAVY),
    pytest.param("y ~ ns(x, 3) * yr", {}, marks=HEAVY),
    ("y ~ t * poly(yr, 2)", {}),
    ("y ~ t + offset(yr)", {}),
    ("y ~ log(x) * yr", {}),
    ("b ~ t * yr", {"b": "bernoulli"}),
    ("k ~ t * yr", {"k": "poisson"}),
    ("o ~ t * yr", {"o": "ordinal"}),
]


@pytest.mark.parametrize(
    ("formula", "families"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_the_prior_of_the_predictor_does_not_move_with_the_zero_of_a_column(formula, families):
    data = world(12)
    response = formula[0]
    laws = []
    for shift in (0.0, 2010.0):
        moved = data.assign(yr=data.yr - shift)
        model = bc.model_from_formulas([formula], data=moved, families=families)
        laws.append(prior_law(model, response))
    scale = np.sqrt(np.diag(laws[1][1])).mean()
    np.testing.assert_allclose(laws[0][0], laws[1][0], atol=2e-3 * scale)
    np.testing.assert_allclose(laws[0][1], laws[1][1], rtol=0.01, atol=0.01 * scale**2)
    assert scale < 60 * (data.y.std() if response == "y" else 1.0)  # weak, and not flat


def test_the_outcome_may_be_far_from_zero():
    """A prior N(m_y, 2.5 s_y) rounded to three digits of m_y would miss y = 123,456 +- 1 by 456."""
    data = world(50).assign(y=lambda d: 123_456.0 + d.t)
    for formula in ("y ~ t", "y ~ 0 + g"):
        model = bc.model_from_formulas([formula], data=data)
        centre, cov = prior_law(model, "y")
        assert np.all(np.abs(centre - data.y.mean()) < 0.1 * np.sqrt(np.diag(cov)))


def test_what_a_column_adds_is_its_residual():
    """By least squares: t * yr on 1, t and yr."""
    data = world(80)
    model = bc.model_from_formulas(["y ~ t * yr"], data=data)
    t, yr = data.t, data.yr - data.yr.mean()
    basis = np.column_stack([np.ones(80), t, yr])
    rest = t * yr - basis @ np.linalg.lstsq(basis, t * yr, rcond=None)[0]
    [_, sigma] = model["b_y_t:yr"].owner.op.dist_params(model["b_y_t:yr"].owner)
    want = 2.5 * data.y.std(ddof=0) / rest.std(ddof=0)
    assert float(evaluate([sigma])[0]) == pytest.approx(want, rel=0.006)
    assert beyond([], 0, constant=True) == []


def test_the_summary_and_the_source_say_what_is_used():
    data = world(40)
    model = bc.model_from_formulas(["y ~ t * yr + g"], data=data)
    shown = bc.prior_summary(model)["prior"]
    assert list(shown.index)[:2] == ["b_y_Intercept", "b_y_t"]
    assert shown["b_y_t"].startswith("Normal(-")
    assert "b_y_t:yr" in shown["b_y_t"]
    namespace = {"data": {"t": data.t.to_numpy(), "yr": data.yr.to_numpy(),
                          "g": pd.Categorical(data.g).codes.astype(int)}}  # fmt: skip
    exec(bc.model_source(model), namespace)
    other = namespace["model"]
    rng = np.random.default_rng(2)
    shape = lambda n: tuple(len(model.coords[d]) for d in model.named_vars_to_dims.get(n) or ())  # noqa: E731
    values = {n: rng.normal(size=shape(n)) for n in shown.index if n.startswith("b_")}
    for name in values:
        found = []
        for m in (model, other):
            mean = m[name].owner.op.dist_params(m[name].owner)[0]
            swap = {m[n]: pt.constant(v) for n, v in values.items()}
            found.append(evaluate(replaced(mean, swap))[0])
        np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_group_slopes_of_calendar_years_are_about_their_mean_and_it_is_said():
    data = world(60)
    with pytest.warns(bc.FormulaWarning, match=r"\(1\+yr\|g\).*about the mean"):
        far = bc.model_from_formulas(["y ~ yr + (1 + yr | g)"], data=data)
    near = bc.model_from_formulas(
        ["y ~ yr + (1 + yr | g)"], data=data.assign(yr=data.yr - data.yr.mean())
    )
    one, two = (bc.prior_summary(m).loc["sd_y|g", "prior"] for m in (far, near))
    assert one == two
    values = {"b_y_Intercept": 0.0, "b_y_yr": 0.0, "sigma_y": 1.0, "sd_y|g": [1.0, 1.0],
              "half_y|g": [0.5], "z_y|g": [[1.0, 0.5], [0.0, 2.0], [0.0, 0.0]]}  # fmt: skip
    truth = bc.truth(far, values, data)
    got = float(bc.estimate(truth, bc.Expected("y", {"g": "b", "yr": 2020.0})))
    assert got == pytest.approx(2.0 * (2020 - data.yr.mean()))
    wide = bc.model_from_formulas(["y ~ x + (1 + x | g)"], data=data)  # zero is near: as written
    [first, second] = (float(v) for v in evaluate(
        [wide["sd_y|g"].owner.op.dist_params(wide["sd_y|g"].owner)[-1]])[0])  # fmt: skip
    assert first == pytest.approx(
        np.hypot(2.5 * data.y.std(ddof=0), data.x.mean() * second), rel=0.01
    )


@pytest.mark.parametrize("curve", ["s(x, k=6)", pytest.param("hsgp(x, m=8)", marks=HEAVY)])
def test_a_curve_times_calendar_years_moves_in_twenty_years_of_two_thousand(curve):
    """The outcome moves by 4 sin(2 x) from 2000 to 2020; multiplied by the years themselves, the
    prior of that was about 0 with an sd of 20 / 2,000 of what it is now. Years from their mean, to
    the digits that are used, give the same model: means agree within four Monte Carlo errors."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"yr": rng.integers(2000, 2021, 200).astype(float)})
    data["x"] = rng.uniform(-1.5, 1.5, 200)
    data["y"] = 0.2 * (data.yr - 2010) * np.sin(2 * data.x) + rng.normal(0, 0.5, 200)
    want = 4 * np.sin(2 * data.x[data.x.between(0.5, 1.0)]).mean()
    found = []
    for shift in (0.0, round(data.yr.mean(), 2)):
        moved = data.assign(yr=data.yr - shift)
        far = pytest.warns(bc.FormulaWarning, match="multiplied by its distance from 20")
        with nullcontext() if shift else far:
            model = bc.model_from_formulas([f"y ~ yr * {curve}"], data=moved)
        fit = bc.fit(model, moved, seed=1, draws=500, chains=2, progressbar=False)
        levels = {"treated": 2020 - shift, "control": 2000 - shift}
        found.append(bc.estimate(fit, bc.CATE("yr", "y", given={"x": (0.5, 1.0)}, **levels)).draws)
    sd = float(found[0].std())
    assert float(found[0].mean()) == pytest.approx(want, abs=4 * sd)
    assert abs(float(found[0].mean() - found[1].mean())) < 4 * sd * np.sqrt(2 / 1000)


def test_a_curve_that_is_multiplied_has_a_height_of_its_own():
    """The effect of t is 0.3 (yr - 2010): a line through 0 in the year 0 cannot say that."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"yr": rng.integers(2000, 2021, 250).astype(float)})
    data["t"] = rng.integers(0, 2, 250)
    data["y"] = 0.3 * (data.yr - 2010) * data.t + rng.normal(0, 0.5, 250)
    model = bc.model_from_formulas(["y ~ yr + s(yr, k=5, by=t)"], data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)
    effect = bc.estimate(fit, bc.CATE("t", "y", given={"yr": 2020.0}))
    assert float(effect) == pytest.approx(3.0, abs=4 * float(effect.draws.std()))
    assert float(effect.draws.std()) < 0.3


def test_the_products_of_a_bar_do_not_depend_on_units():
    """Whether zero is far was asked of numbers in the units of another column."""
    data = world(60)
    words = [warned(data.assign(x=data.x * unit)) for unit in (1e-6, 1.0, 1e6)]
    assert words == [[], [], []]
    words = [warned(data.assign(x=data.x * unit + 100 * unit)) for unit in (1e-6, 1.0, 1e6)]
    assert [len(w) for w in words] == [1, 1, 1]


def warned(data: pd.DataFrame) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bc.model_from_formulas(["y ~ x * t + (x * t | g)"], data=data)
    return [str(w.message) for w in caught]


def test_a_prior_of_the_callers_is_about_the_parameter_itself():
    data = world(30)
    model = bc.model_from_formulas(
        ["y ~ t * yr"], data=data, priors={"y": {"t": "Normal(0, 1)", "t:yr": "Normal(0, 0.5)"}}
    )
    shown = bc.prior_summary(model)["prior"]
    assert shown["b_y_t"] == "Normal(0, 1)"
    assert shown["b_y_t:yr"] == "Normal(0, 0.5)"
    assert "b_y_t:yr" in shown["b_y_yr"]


@pytest.mark.slow
@pytest.mark.parametrize(("response", "family"), [("b", "bernoulli"), ("k", "poisson")])
def test_chains_move_in_calendar_years(response, family):
    """The mean and sd of the effect agree with those in centred years within Monte Carlo errors."""
    data, found = world(300), []
    for shift in (0.0, 2010.0):
        moved = data.assign(yr=data.yr - shift)
        model = bc.model_from_formulas(
            [f"{response} ~ t * yr + I(yr**2)"], data=moved, families={response: family}
        )
        fit = bc.fit(model, moved, seed=1, draws=1000, chains=2, progressbar=False)
        assert not fit.diagnostics.severe
        found.append(bc.estimate(fit, bc.ATE("t", response)).draws)
    one, two = found
    error = float(one.std()) * np.sqrt(2 / 400)
    assert abs(float(one.mean() - two.mean())) < 4 * error
