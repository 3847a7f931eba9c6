"""A hidden confounder: bias formulas, planted truths, invariance, benchmarks, messages."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.effects.estimate import answer
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.data.read import read_data
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.parameters import fix_parameters
from bayescausal.sensitivity.confounding.confounder import (
    add_confounder,
    integrate_out,
    place_confounder,
)
from bayescausal.sensitivity.confounding.hidden_record import _crossing
from bayescausal.sensitivity.confounding.strength_grid import Cells
from bayescausal.sensitivity.equations import Equations
from bayescausal.types import (
    BayesCausalError,
    EstimandError,
    FitMismatchError,
    ModelError,
    UnknownVariableError,
)

GAMMA, DELTA, EFFECT = 0.8, 0.9, 0.5
ATE = bc.ATE("x", "y")


def linear():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a0, a1, s = pm.Normal("a0", 0, 3), pm.Normal("a1", 0, 3), pm.HalfNormal("s", 3)
        x = pm.Normal("x", a0 + a1 * z, s, dims="unit")
        b0, b1, b2 = pm.Normal("b0", 0, 3), pm.Normal("b1", 0, 3), pm.Normal("b2", 0, 3)
        t = pm.HalfNormal("t", 3)
        pm.Normal("y", b0 + b1 * x + b2 * z, t, dims="unit")
    return model


def table(n=600, seed=4):
    rng = np.random.default_rng(seed)
    z, u = rng.normal(size=(2, n))
    x = 0.5 * z + GAMMA * u + rng.normal(size=n)
    y = EFFECT * x + 0.4 * z + DELTA * u + rng.normal(size=n)
    return {"x": x, "y": y, "z": z}


@pytest.fixture(scope="module")
def fit():
    return bc.fit(linear(), table(), draws=500, chains=4, seed=1, progressbar=False)


@pytest.fixture(scope="module")
def result(fit):
    return bc.hidden_confounder(fit, ATE, gamma=[0.4, GAMMA], delta=[-DELTA, 0.5, DELTA], seed=3)


# ------------------------------------------------------------------------- numbers


def test_every_cell_is_the_omitted_variable_formula(fit, result):
    """The effect moves by gamma delta / Var(x | z).

    The prior (sd 3) moves it by less than 0.01 posterior sds; what is left is the error of 600
    draws, sd / 24, the sd of a few cells being up to twice that of the plain fit: 4.5 errors.
    """
    data = table()
    residual = data["x"] - np.polyval(np.polyfit(data["z"], data["x"], 1), data["z"])
    total = np.sum(residual**2) / (len(residual) - 2)
    gamma, delta = result.surface["gamma"], result.surface["delta"]
    expected = float(result.effect) - gamma * delta / total
    error = 4.5 * result.surface["sd"] / np.sqrt(600) + 0.01 * np.abs(gamma * delta)
    assert np.all(np.abs(result.surface["mean"] - expected) < error)


def test_the_true_strengths_give_back_the_truth(result):
    cell = result.surface.sel(gamma=GAMMA, delta=DELTA)
    assert abs(float(cell["mean"]) - EFFECT) < 3 * float(cell["sd"])
    assert abs(float(result.effect) - EFFECT) > 5 * float(cell["sd"])


def test_zero_strengths_are_the_plain_fit(fit, result):
    zero = result.surface.sel(gamma=0, delta=0)
    assert float(zero["mean"]) == pytest.approx(float(result.effect), rel=1e-12)
    low, high = result.effect.interval()
    assert (float(zero["lower"]), float(zero["upper"])) == (low, high)
    where = place_confounder(fit, ATE)
    cells = Cells(fit, where, draws=300, chains=2)
    made = answer(cells.fit(0.0, 0.0, seed=2), ATE, 2)
    plain = result.effect
    assert abs(float(made) - float(plain)) < 4.5 * plain.sd() * np.sqrt(1 / 600 + 1 / 2000)
    assert made.sd() == pytest.approx(plain.sd(), rel=4.5 / np.sqrt(2 * 600))
    assert cells.methods == {"importance": 1, "nuts": 0}


def density(model, point):
    logp = model.logp(jacobian=False)
    values = {}
    for rv in model.free_RVs:
        transform = model.rvs_to_transforms[rv]
        value = np.asarray(point[rv.name])
        value = value if transform is None else transform.forward(value, *rv.owner.inputs)
        values[model.rvs_to_values[rv]] = evaluate([pm.math.stack([value])[0]])[0]
    return float(evaluate([logp], values)[0])


def test_the_likelihood_does_not_move_with_the_strengths():
    """In a linear-Gaussian model the confounder only renames coefficients and variances.

    A point of the plain model and its image under strengths (gamma, delta) have the same observed
    likelihood; compared are log densities less those of the priors.
    """
    model, data = linear(), table(40)
    fit = bc.fit(model, data, draws=50, chains=1, seed=1, progressbar=False)
    where = place_confounder(fit, ATE)
    structure = fit.structure
    known = condition(structure, read_data(model, data, None)[2]).model
    plain = {"a0": 0.1, "a1": 0.6, "s": 1.3, "b0": -0.2, "b1": 0.9, "b2": 0.3, "t": 1.4}

    def prior(point):
        wide, half = stats.norm(0, 3), stats.halfnorm(0, 3)
        return sum((half if k in ("s", "t") else wide).logpdf(v) for k, v in point.items())

    base = density(known, plain) - prior(plain)
    for gamma, delta in [(0.5, 0.7), (1.0, -0.8), (0.0, 0.9), (0.9, 0.0)]:
        s = np.sqrt(plain["s"] ** 2 - gamma**2)
        k = gamma * delta / plain["s"] ** 2
        t = np.sqrt(plain["t"] ** 2 - delta**2 * s**2 / plain["s"] ** 2)
        moved = {
            **plain,
            "s": s,
            "b1": plain["b1"] - k,
            "b0": plain["b0"] + k * plain["a0"],
            "b2": plain["b2"] + k * plain["a1"],
            "t": t,
        }
        strengths = {where.gamma: np.array(gamma), where.delta: np.array(delta)}
        integrated = fix_parameters(integrate_out(known, where), strengths)
        assert density(integrated, moved) - prior(moved) == pytest.approx(base, abs=1e-8)


def test_the_confounder_is_drawn_back_from_its_conditional(fit):
    """Given the parameters, U is normal with the closed-form mean and precision."""
    where = place_confounder(fit, ATE)
    cells = Cells(fit, where, draws=1000, chains=4)
    made = cells.fit(GAMMA, DELTA, seed=1)
    p = {n: made.posterior[n].values.ravel()[:, None] for n in fit.parameters}
    data = table()
    f = p["a0"] + p["a1"] * data["z"]
    g = p["b0"] + p["b1"] * data["x"] + p["b2"] * data["z"]
    q = 1 + (GAMMA / p["s"]) ** 2 + (DELTA / p["t"]) ** 2
    m = (GAMMA * (data["x"] - f) / p["s"] ** 2 + DELTA * (data["y"] - g) / p["t"] ** 2) / q
    u = made.posterior["U"].values.reshape(len(q), -1)
    residual = (u - m) * np.sqrt(q)
    # 2.4 million standard normals: mean and variance within 4.5 errors
    assert abs(residual.mean()) < 4.5 / np.sqrt(residual.size)
    assert abs(residual.var() - 1) < 4.5 * np.sqrt(2 / residual.size)


def bernoulli_data(n=1500, seed=5):
    rng = np.random.default_rng(seed)

    def flip(eta):
        return (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)

    z, u = rng.normal(size=n), rng.random(n) < 0.5
    x = flip(0.4 * z + 2.0 * (u - 0.5))
    y = rng.poisson(np.exp(0.2 + 0.3 * x + 0.2 * z + 1.0 * (u - 0.5)))
    return {"x": x, "y": y, "z": z}


def counts():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a0, a1 = pm.Normal("a0", 0, 2), pm.Normal("a1", 0, 2)
        x = pm.Bernoulli("x", logit_p=a0 + a1 * z, dims="unit")
        b0, b1, b2 = pm.Normal("b0", 0, 2), pm.Normal("b1", 0, 2), pm.Normal("b2", 0, 2)
        pm.Poisson("y", pm.math.exp(b0 + b1 * x + b2 * z), dims="unit")
    return model


def flags():
    with pm.Model(coords={"unit": [0], "arm": [0, 1]}) as model:
        x = pm.Bernoulli("x", pm.Beta("p_x", 1, 1), dims="unit")
        pm.Bernoulli("y", pm.Beta("p_y", 1, 1, dims="arm")[x], dims="unit")
    return model


def test_a_two_valued_confounder_of_flags_gives_back_the_planted_difference():
    """Treatment and outcome Bernoulli, adding 2 and 1.5 to their log odds."""
    rng = np.random.default_rng(8)

    def chance(eta):
        return 1 / (1 + np.exp(-eta))

    u = np.repeat([-0.5, 0.5], 600)
    x = (rng.random(1200) < chance(2.0 * u)).astype(int)
    y = (rng.random(1200) < chance(-0.5 + 0.6 * x + 1.5 * u)).astype(int)
    truth = np.mean(chance(0.1 + 1.5 * u) - chance(-0.5 + 1.5 * u))
    fit = bc.fit(flags(), {"x": x, "y": y}, seed=1, progressbar=False)
    result = bc.hidden_confounder(fit, ATE, gamma=2.0, delta=1.5, draws=200, seed=2)
    cell = result.surface.sel(gamma=2.0, delta=1.5)
    assert abs(float(cell["mean"]) - truth) < 3 * float(cell["sd"])
    assert float(result.effect) > truth + 3 * float(cell["sd"])
    assert result.confounder.kind == "bernoulli"
    assert result.confounder.links == ("logit", "logit")
    assert "no measured covariate to compare with" in result.sentence()
    assert result.plot().get_ylabel().endswith("(delta)")


@pytest.mark.slow
def test_a_two_valued_confounder_of_counts_gives_back_the_planted_ratio():
    """Treatment Bernoulli, outcome Poisson: with the true strengths the ratio is exp(0.3)."""
    fit = bc.fit(counts(), bernoulli_data(), draws=300, chains=2, seed=1, progressbar=False)
    question = bc.ATE("x", "y", scale="ratio")
    result = bc.hidden_confounder(fit, question, gamma=2.0, delta=1.0, seed=2)
    assert result.confounder.kind == "bernoulli"
    cell = result.surface.sel(gamma=2.0, delta=1.0)
    assert abs(float(cell["mean"]) - np.exp(0.3)) < 3 * float(cell["sd"])
    assert float(result.effect) > np.exp(0.3) + 3 * float(cell["sd"])
    assert result.e_value == pytest.approx(bc.e_value(result.effect))
    assert result.robustness_value is None
    assert "risk ratios" in result.sentence()
    assert any("two-valued one, prevalence 0.5" in note for note in result.notes)


@pytest.mark.slow
def test_importance_sampling_agrees_with_a_markov_chain():
    fit = bc.fit(linear(), table(), seed=1, progressbar=False)
    where = place_confounder(fit, ATE)
    quick = Cells(fit, where, draws=2000, chains=2).fit(GAMMA, DELTA, seed=1)
    chain = Cells(fit, where, method="nuts", draws=2000, chains=2).fit(GAMMA, DELTA, seed=1)
    for name in fit.parameters:
        a, b = quick.posterior[name], chain.posterior[name]
        sd = float(b.std())
        assert abs(float(a.mean() - b.mean())) < 5 * sd * np.sqrt(2 / 2000)  # 2,000 effective
        assert float(a.std()) == pytest.approx(sd, rel=5 * np.sqrt(1 / 2000))


@pytest.mark.slow
def test_the_integral_agrees_with_a_latent_per_unit():
    """The exact route and NUTS on one unknown per unit are the same posterior."""
    data = table(150)
    fit = bc.fit(linear(), data, draws=500, chains=2, seed=1, progressbar=False)
    where = place_confounder(fit, ATE)
    exact = answer(Cells(fit, where, draws=1000, chains=2).fit(0.6, 0.6, seed=1), ATE, 1)
    model = add_confounder(fit.structure, where)
    fixed = fix_parameters(model, {where.gamma: np.array(0.6), where.delta: np.array(0.6)})
    slow = bc.fit(fixed, data, draws=1000, chains=2, seed=2, progressbar=False)
    latent = bc.estimate(slow, ATE)
    assert abs(float(exact) - float(latent)) < 5 * exact.sd() * np.sqrt(1 / 400 + 1 / 2000)
    assert exact.sd() == pytest.approx(latent.sd(), rel=0.15)  # 400 effective draws: 4.5 errors


@pytest.mark.slow
def test_random_strengths_widen_the_effect(fit):
    prior = {"gamma": pm.Normal.dist(0, 0.4), "delta": pm.Normal.dist(0, 0.4)}
    result = bc.hidden_confounder(fit, ATE, gamma=0.4, delta=0.4, prior=prior, draws=500)
    assert result.under_prior.sd() > 1.3 * result.effect.sd()
    assert abs(float(result.under_prior) - float(result.effect)) < 3 * result.effect.sd()
    assert set(result.strengths.data_vars) == {"gamma", "delta"}
    assert "With random strengths" in result.sentence()


# ----------------------------------------------------------------------- the record


def test_benchmarks_are_coefficients_times_sds(fit, result):
    row = result.benchmarks.loc["z"]
    means, sd = fit.posterior.mean(), table()["z"].std()
    assert row["on_treatment"] == pytest.approx(float(means["a1"]) * sd, rel=0.02)
    assert row["on_outcome"] == pytest.approx(float(means["b2"]) * sd, abs=0.02)
    shift = row["on_treatment"] * row["on_outcome"]
    total = np.var(
        table()["x"] - np.polyval(np.polyfit(table()["z"], table()["x"], 1), table()["z"])
    )
    assert row["mean"] == pytest.approx(float(result.effect) - abs(shift) / total, abs=0.02)


@pytest.mark.parametrize("labels", [["u", "v", "w"], [0, 1, 2]])
def test_the_strength_of_categories_has_no_sign(labels):
    with pm.Model(coords={"unit": [0], "k": labels}) as model:
        g = pm.Categorical("g", [0.3, 0.4, 0.3], dims="unit")
        a = pm.Normal("a", 0, 3, dims="k")
        x = pm.Normal("x", a[g], 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    rng = np.random.default_rng(1)
    codes = rng.choice(3, size=300)
    location = np.array([0.0, 2.0, 0.5])[codes]
    g, x = np.array(labels)[codes], location + rng.normal(size=300)
    data = {"g": g, "x": x, "y": x + rng.normal(size=300)}
    fit = bc.Fit(model, {"a": np.array([[[0.0, 2.0, 0.5]]])}, data)
    found = Equations(fit, ("x",)).strength("x", "g", shuffles=40)
    assert found == pytest.approx(location.std(), rel=0.05)
    assert Equations(fit, ("y",)).strength("y", "g") == 0.0


def test_the_tipping_point_is_where_the_formula_says(result):
    data = table()
    residual = data["x"] - np.polyval(np.polyfit(data["z"], data["x"], 1), data["z"])
    total = np.sum(residual**2) / (len(residual) - 2)
    tips = result.tipping_point
    wanted = float(result.effect) * total / GAMMA
    if wanted < DELTA:
        assert tips.loc[GAMMA, "mean"] == pytest.approx(wanted, rel=0.05)
    else:
        assert np.isnan(tips.loc[GAMMA, "mean"])
    assert np.isnan(tips.loc[0.0]).all()


def test_crossings_are_interpolated_and_the_nearest_is_taken():
    at = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert _crossing(at, np.array([-1.0, 1.0, 2.0, 1.0, -1.0])) == pytest.approx(1.5)
    assert _crossing(at, np.array([1.0, -1.0, 3.0, 2.0, 2.0])) == pytest.approx(-0.75)
    assert np.isnan(_crossing(at, np.ones(5)))
    assert _crossing(at, -np.ones(5)) == 0.0


def test_the_record_speaks_and_draws(result):
    assert result.summary().shape[0] == 3 * 4
    assert result.draws.dims == ("chain", "draw", "gamma", "delta")
    text = result.sentence()
    assert "Without a hidden confounder" in text
    assert "strongest measured" in text
    assert "of the residual variance of both" in text
    assert text in repr(result)
    assert "standard Normal one, called U" in result.notes[0]
    ax = result.plot()
    assert "on x (gamma)" in ax.get_xlabel()
    assert "as strong as z" in [t.get_text() for t in ax.texts]
    assert set(result.model.named_vars) >= {"U", "U_on_x", "U_on_y"}
    assert result.e_value is None
    assert "<table" in result._repr_html_()


def test_same_seed_same_surface_and_order_does_not_matter(fit, result):
    again = bc.hidden_confounder(fit, ATE, gamma=GAMMA, delta=[DELTA], seed=3)
    one = again.surface.sel(gamma=GAMMA, delta=DELTA)
    assert float(one["mean"]) == float(result.surface.sel(gamma=GAMMA, delta=DELTA)["mean"])


# ------------------------------------------------------------------------- messages


def ask(fit, *question, **options):
    return bc.hidden_confounder(fit, *question, **options)


def other(**options):
    with pm.Model(coords={"unit": [0], "k": range(3)}) as model:
        w = pm.Data("w", [0.0], dims="unit") if options.get("data") else None
        x = pm.Normal("x", 0 if w is None else w, 1, dims="unit")
        hidden = pm.Normal("hidden", x, 1, dims="unit")
        c = pm.Categorical("c", [0.2, 0.3, 0.5], dims="unit")
        twice = pm.Deterministic("twice", 2 * x, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * twice + hidden + c, 1, dims="unit")
    data = {"x": [0.0, 1.0], "y": [0.0, 1.0], "c": [0, 2]} | ({"w": [0.0, 1.0]} if w else {})
    draws = {"b": np.zeros((1, 4)), "hidden": np.zeros((1, 4, 2))}
    return bc.Fit(model, draws, data)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: ask(f, bc.ATE("c", "y")), ModelError, "c ~ Categorical has no location"),
        (lambda f: ask(f, bc.ATE("x", "hidden")), ModelError, "'hidden' has no column"),
        (lambda f: ask(f, bc.ATE("twice", "y")), ModelError, "'twice' is a Deterministic"),
        (lambda f: ask(f, bc.ATE("y", "x")), EstimandError, "'x' is not after 'y' in the graph"),
        (
            lambda f: ask(f, bc.ATE(["x", "c"], "y", treated=[1, 1], control=[0, 0])),
            EstimandError,
            "has 2 treatments",
        ),
        (lambda f: ask(f, ATE, treatment="z"), UnknownVariableError, "'z' is not a variable"),
        (lambda f: ask(f, "x"), EstimandError, "Found 'x' where a question is needed"),
        (lambda f: ask(f, ATE, gamma="big"), EstimandError, "gamma='big'"),
        (
            lambda f: ask(f, ATE, confounder="cauchy"),
            EstimandError,
            "confounder='cauchy' is not known",
        ),
        (lambda f: ask(f, ATE, prevalence=1.0), EstimandError, "prevalence=1.0"),
        (lambda f: ask(f, ATE, method="exact"), EstimandError, "method='exact' is not known"),
        (lambda f: ask(f, ATE, draws=0), BayesCausalError, "draws=0"),
        (lambda f: ask(f, ATE, prior={"gamma": 1}), EstimandError, "made by .dist"),
        (
            lambda f: ask(f, ATE, prior={"gamma": 1, "delta": 2}),
            EstimandError,
            "The prior of gamma is 1",
        ),
        (
            lambda f: ask(f, ATE, benchmarks=["x"]),
            UnknownVariableError,
            "'x' is not a measured cause of treatment or outcome",
        ),
        (
            lambda f: ask(f, bc.DoseResponse("x", "y", values=[0, 1])),
            EstimandError,
            "is not one number",
        ),
        (
            lambda f: ask(bc.prior(f.model, draws=3), ATE),
            FitMismatchError,
            "Found a fit of kind 'prior'",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error) as caught:
        call(other())
    assert message in str(caught.value)


def test_data_have_no_equation():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Data("w", [0.0], dims="unit")
        pm.Normal("y", pm.Normal("b") * w, 1, dims="unit")
    fit = bc.Fit(model, {"b": np.zeros((1, 4))}, {"w": [0.0, 1.0], "y": [0.0, 1.0]})
    with pytest.raises(ModelError, match="it has no equation that a confounder"):
        bc.hidden_confounder(fit, bc.ATE("w", "y"))


def test_names_that_are_taken_are_left_alone():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("U", 0, 1, dims="unit")
        x = pm.Normal("x", u, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * x + u, 1, dims="unit")
    data = {"U": [0.0, 1.0, 0.3], "x": [0.0, 1.0, 0.5], "y": [0.1, 1.0, 0.2]}
    fit = bc.Fit(model, {"b": np.zeros((1, 4))}, data)
    assert place_confounder(fit, ATE).name == "U_"
