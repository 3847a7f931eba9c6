"""Whole numbers of a model: a byte must not overflow, in densities, draws and fits."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.wide_constants import with_wide_constants
from bayescausal.types import DataError, InterventionError

whole = int  # as people write them


def double(number):
    """Return a number in double precision: PyTensor keeps a literal 17.0 in single precision."""
    return np.array(float(number))


def variables(number):
    """Distributions whose numbers overflow a byte when they are added or multiplied."""
    n = number
    return {
        "HalfStudentT": lambda k: pm.HalfStudentT(k, nu=n(4), sigma=n(17)),
        "Uniform": lambda k: pm.Uniform(k, n(-100), n(100)),
        "Beta": lambda k: pm.Beta(k, n(100), n(100)),
        "Laplace": lambda k: pm.Laplace(k, n(0), n(100)),
        "Triangular": lambda k: pm.Triangular(k, lower=n(-8), c=n(0), upper=n(8)),
        "ExGaussian": lambda k: pm.ExGaussian(k, mu=n(0), sigma=n(20), nu=n(30)),
        "SkewNormal": lambda k: pm.SkewNormal(k, mu=n(0), sigma=n(20), alpha=n(30)),
        "AsymmetricLaplace": lambda k: pm.AsymmetricLaplace(k, b=n(20), kappa=n(20), mu=n(0)),
        "BetaBinomial": lambda k: pm.BetaBinomial(k, alpha=n(100), beta=n(100), n=20),
        "bounded normal": lambda k: pm.TruncatedNormal(
            k, n(0), n(20), lower=n(-100), upper=n(100)
        ),
        "truncated": lambda k: pm.Truncated(
            k, pm.ExGaussian.dist(mu=n(0), sigma=n(17), nu=n(30)), lower=n(0), upper=n(100)
        ),
        "mixture": lambda k: pm.Mixture(
            k, [0.5, 0.5], [pm.HalfStudentT.dist(n(4), n(17)), pm.HalfStudentT.dist(n(4), n(9))]
        ),
        "walk": lambda k: pm.GaussianRandomWalk(
            k, n(0), n(20), init_dist=pm.HalfStudentT.dist(n(4), n(17)), steps=3
        ),
        "path": lambda k: pm.AR(
            k, [0.5], sigma=n(20), init_dist=pm.HalfStudentT.dist(n(4), n(17)), steps=3
        ),
    }  # fmt: skip


def built(kind, number):
    with pm.Model() as model:
        variables(number)[kind]("v")
    return model


@pytest.mark.parametrize("kind", variables(whole))
def test_densities_and_draws_are_those_of_the_numbers(kind):
    given, right = built(kind, whole), built(kind, double)
    wide = with_wide_constants(given)
    assert wide is not given
    assert with_wide_constants(given) is wide
    assert with_wide_constants(right) is right
    draws = [pm.draw(m["v"], 3, random_seed=4, mode=PY_MODE) for m in (wide, right)]
    np.testing.assert_allclose(*draws, rtol=1e-6)
    point = right.initial_point(random_seed=1)
    for at in (point, {k: np.asarray(v * 0.9).astype(v.dtype) for k, v in point.items()}):
        found = [float(m.compile_logp(mode="FAST_COMPILE")(at)) for m in (wide, right)]
        np.testing.assert_allclose(*found, rtol=1e-6)


def test_ordinary_models_are_read_as_they_are():
    with pm.Model() as model:
        b = pm.Normal("b", 0, 100)
        s = pm.HalfNormal("s", 100)
        p = pm.Beta("p", 10, 10)
        u = pm.Uniform("u", 0, 60)
        k = pm.Binomial("k", 100, p) + pm.ZeroInflatedPoisson("z", psi=p, mu=100)
        pm.Normal("y", b + u + k, s)
    assert with_wide_constants(model) is model


def test_fits_have_the_prior_that_was_written():
    """Sd of one group of data: its density on a grid, against draws by PyMC and in closed form."""
    y = np.array([-3.0, 1.0, 2.5])

    def model(number):
        with pm.Model(coords={"unit": [0]}) as made:
            m = pm.Normal("m", 0, number(20))
            s = pm.HalfStudentT("s", number(4), number(17))
            pm.Normal("y", m, s, dims="unit")
        return made

    grid = np.linspace(1e-3, 120, 200_001)
    # m ~ N(0, 20^2): y ~ N(0, s^2 I + 400 J), by its two eigenvalues
    n, mean = len(y), y.mean()
    wide = grid**2 + n * 400
    log = -((n - 1) * np.log(grid) + np.log(wide) / 2)
    log -= (np.sum((y - mean) ** 2) / grid**2 + n * mean**2 / wide) / 2
    log += stats.t.logpdf(grid, 4, scale=17)
    weight = np.exp(log - log.max())
    cdf = np.cumsum(weight) / weight.sum()
    for options in ({}, {"method": "nuts", "tune": 500, "cores": 1}):
        fit = bc.fit(model(whole), {"y": y}, draws=1000, chains=2, seed=3, **options)
        found = fit.posterior["s"].values
        u = np.interp(found, grid, cdf).reshape(-1)
        ess = 400 if options else u.size
        # mean of uniforms, five standard errors of the effective sample
        assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / ess)


def test_questions_of_a_model_that_was_read_anew():
    with pm.Model(coords={"unit": range(4)}) as model:
        dose = pm.Data("dose", [1, 2, 3, 4], dims="unit")
        x = pm.Uniform("x", -100, 100, dims="unit")
        b = pm.HalfStudentT("b", 4, 17)
        pm.Normal("y", b * x + dose, 20, dims="unit")
    units = {"x": [0.0, 10, 20, 30], "dose": [1, 2, 3, 4]}
    known = bc.truth(model, {"b": 2.0}, data=units)
    effect = bc.estimate(known, bc.ATE("x", "y", treated=90, control=-90))
    assert effect.mean() == pytest.approx(360.0)
    assert 'pm.HalfStudentT("b", nu=4, sigma=17)' in bc.model_source(model)
    assert list(bc.graph_of(model).edges) == [("dose", "y"), ("x", "y")]
    moved = bc.estimate(
        known, bc.ATE("dose", "y", treated=bc.Policy(lambda dose: 2 * dose), control=0)
    )
    assert moved.mean() == pytest.approx(5.0)


@pytest.mark.parametrize("number", [whole, double])
def test_data_that_are_set_later_are_those_of_the_model_as_it_is_now(number):
    """E[y | do(x)] = k b x: k is 1, and then 5; what was known of the first stays."""
    with pm.Model(coords={"unit": range(2)}) as model:
        x = pm.Data("x", np.zeros(2), dims="unit")
        k = pm.Data("k", 1.0)
        b = pm.Normal("b")
        s = pm.HalfStudentT("s", number(4), number(17))
        pm.Normal("y", k * b * x, s, dims="unit")

    def known():
        return bc.truth(model, {"b": 2.0, "s": 1.0}, data={"x": np.zeros(2)})

    def ate(fit):
        return bc.estimate(fit, bc.ATE("x", "y")).mean()

    first = known()
    assert ate(first) == pytest.approx(2.0)
    with model:
        pm.set_data({"k": 5.0})
    assert ate(known()) == pytest.approx(10.0)
    assert ate(first) == pytest.approx(2.0)


def test_formulas_are_known_of_a_model_that_was_read_anew():
    data = {"x": np.arange(6.0), "y": np.array([0.0, 2.0, 1.0, 4.0, 3.0, 6.0])}
    model = bc.model_from_formulas(["y ~ x"], data=data, priors={"sigma_y": "HalfStudentT(4, 17)"})
    read = with_wide_constants(model)
    assert read is not model
    assert read.recipe == model.recipe


@pytest.fixture(scope="module")
def narrow():
    """Equations that PyTensor computes in a byte, or in the 32 bits of ``pm.Data``."""
    t = np.arange(40) % 2 == 1
    with pm.Model(coords={"unit": range(40)}) as model:
        treated = pm.Data("t", t, dims="unit")
        age = pm.Data("age", np.arange(30, 70, dtype="uint8"), dims="unit")
        income = pm.Data("income", np.arange(50_000, 90_000, 1_000), dims="unit")
        x = pm.Data("x", np.linspace(-1, 1, 40), dims="unit")
        pm.Normal("literal", 100 + 50 * treated, 1, dims="unit")
        pm.Normal("compared", 100 * (x > 0) + 50, 1, dims="unit")
        chosen = pm.math.switch(treated, 100, 50)
        pm.Normal("both", chosen + chosen, 1, dims="unit")
        pm.TruncatedNormal("bounded", 100 + 50 * treated, 1, lower=0, dims="unit")
        pm.Normal("square", age**2 / 1e3, 1, dims="unit")
        pm.Normal("product", age * age / 1e3, 1, dims="unit")
        pm.Normal("less", (age - 2 * age) / 1.0, 1, dims="unit")
        pm.Normal("wealth", income**2 / 1e9, 1, dims="unit")
    names = ("t", "age", "income", "x")
    return bc.truth(model, {}, {name: model[name].get_value() for name in names})


@pytest.mark.parametrize(
    ("outcome", "levels", "right"),
    [
        ("literal", {"t": (1, 0)}, 50),
        ("compared", {"x": (1, -1)}, 100),
        ("both", {"t": (1, 0)}, 2 * (100 - 50)),
        ("bounded", {"t": (1, 0)}, 50),
        ("square", {"age": (bc.Shift(1), bc.Shift(0))}, (2 * np.arange(30, 70) + 1).mean() / 1e3),
        ("product", {"age": (60, 20)}, (60**2 - 20**2) / 1e3),
        ("less", {"age": (bc.Shift(1), bc.Shift(0))}, -1),
        ("wealth", {"income": (60_000, 50_000)}, (60_000**2 - 50_000**2) / 1e9),
        (
            "wealth",
            {"income": (bc.Scale(2), bc.Scale(1))},
            3 * (np.arange(50, 90) ** 2).mean() / 1e3,
        ),
    ],
)
def test_equations_do_not_overflow(narrow, outcome, levels, right):
    [(name, (treated, control))] = levels.items()
    effect = bc.estimate(narrow, bc.ATE(name, outcome, treated=treated, control=control))
    assert effect.mean() == pytest.approx(right)


def test_fits_read_the_square_of_whole_numbers():
    """y = b income^2 + noise of variance 1, b ~ N(0, 1): the posterior mean in closed form."""
    income = np.arange(50_000, 90_000, 500)
    square = income**2 / 1e9
    y = 2 * square + np.random.default_rng(1).normal(size=len(income))
    with pm.Model(coords={"unit": range(len(income))}) as model:
        b = pm.Normal("b")
        read = pm.Data("income", income, dims="unit")
        pm.Normal("y", b * read**2 / 1e9, 1, dims="unit")
    fit = bc.fit(model, {"income": income, "y": y}, draws=500, chains=2, seed=1)
    precision = 1 + square @ square
    error = np.sqrt(1 / precision / 1000)  # of 1,000 independent draws
    assert abs(float(fit.posterior["b"].mean()) - square @ y / precision) < 5 * error


def test_ordinary_equations_are_read_as_they_are():
    with pm.Model(coords={"unit": range(3)}) as model:
        g = pm.Data("g", np.array([1, 2, 3]), dims="unit")
        t = pm.Data("t", np.array([True, False, True]), dims="unit")
        a = pm.Normal("a", shape=3)
        pm.Normal("y", a[g - 1] + 2 * (1 - t) + 10 * t + g, 1, dims="unit")
    assert with_wide_constants(model) is model


def test_columns_that_the_data_of_a_model_cannot_hold_are_refused():
    with pm.Model(coords={"unit": range(2)}) as model:
        people = pm.Data("people", np.array([1, 2]), dims="unit")
        pm.Normal("y", people / 1e9, 1, dims="unit")
    with pytest.raises(DataError, match=r"3000000000.*to 2147483647, or float data"):
        bc.truth(model, {}, {"people": [3_000_000_000, 1]})


def test_long_sums_of_whole_numbers_are_looked_at_once():
    """Each term twice: a walk that came back to every part would take 2**400 steps."""
    with pm.Model(coords={"unit": range(3)}) as model:
        x = pm.Data("x", np.array([0, 1, 1], dtype="int8"), dims="unit")
        total = x
        for _ in range(400):
            total = total * x + 0 * total
        pm.Normal("y", total, 1, dims="unit")
    assert with_wide_constants(model) is not None


def test_whole_numbers_that_are_made_of_others_are_read():
    with pm.Model(coords={"unit": range(3)}) as model:
        x = pm.Data("x", np.array([0.5, 1.5, 100.5]), dims="unit")
        pm.Deterministic("d", x.astype("int8") + 100, dims="unit")
    assert with_wide_constants(model)["d"].eval().tolist() == [100, 101, 200]


INTEGERS = {
    "int64": [60_000, 70_000, 80_000],
    "int32": [60_000, -70_000, 80_000],
    "uint64": [60_000, 70_000, 1],
    "uint8": [100, 200, 250],
    "int8": [-100, 110, 120],
    "uint16": [60_000, 1, 2],
}
RULES = {
    "square": lambda dose: dose * dose,
    "cube": lambda dose: dose**3,
    "negative": lambda dose: -dose,
    "less": lambda dose: dose - 251,
    "double": lambda dose: dose + dose,
    "numpy": lambda dose: np.where(dose > 0, 3 * dose, dose),
}


@pytest.mark.parametrize("kind", INTEGERS)
def test_policies_and_equations_of_integers_are_those_of_the_numbers(kind):
    """E[y | do(dose = r(dose))] = mean r(dose), and of an equation in -dose and dose * dose."""
    values = np.array(INTEGERS[kind], kind)
    right = values.astype(float)
    with pm.Model(coords={"unit": range(3)}) as model:
        dose = pm.Data("dose", values, dims="unit")
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * dose, 1, dims="unit")
        pm.Normal("z", b * (-dose) + x, 1, dims="unit")
        pm.Normal("w", b * (dose * dose) + x, 1, dims="unit")
        pm.Normal("v", b * (dose - values[:1]) + x, 1, dims="unit")
    known = bc.truth(model, {"b": 1.0}, data={"dose": values})
    asked = [bc.Expected("y", {"dose": bc.Policy(rule)}) for rule in RULES.values()]
    asked += [bc.Expected(outcome, {"x": 0.0}) for outcome in "zwv"]
    expected = [rule(right).mean() for rule in RULES.values()]
    expected += [-right.mean(), (right * right).mean(), (right - right[0]).mean()]
    found = [bc.estimate(known, question).mean() for question in asked]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_policy_of_a_label_does_not_wrap():
    """2**32 labels further is the label itself in 32 bits."""
    with pm.Model(coords={"unit": range(3), "place": range(4)}) as model:
        g = pm.Data("g", [1, 2, 3], dims="unit")
        x = pm.Normal("x", 0, 1, dims="unit")
        a = pm.Normal("a", dims="place")
        pm.Normal("y", a[g] + x, 1, dims="unit")
    known = bc.truth(model, {"a": [1.0, 2, 3, 5]}, data={"g": [1, 2, 3]})

    def level(action):
        return bc.estimate(known, bc.Expected("y", {"g": action, "x": 0.0})).mean()

    assert level(bc.Policy(lambda g: g - 1)) == pytest.approx(2.0)
    for action in (bc.Policy(lambda g: g + 2**32 - 1), bc.Stochastic(pm.Poisson.dist(2.0**40))):
        with pytest.raises(InterventionError, match="from -2147483648 to 2147483647"):
            level(action)
