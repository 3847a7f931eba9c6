"""Models from formulas are the models one would have written by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from pytensor.graph.traversal import explicit_graph_inputs
from scipy.interpolate import CubicSpline

import bayescausal as bc
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of


def parts(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "humid": rng.normal(size=n),
            "age": rng.uniform(20, 70, size=n),
            "batch": rng.choice(["a", "b", "c", "d"], n),
            "plant": rng.choice([3, 7, 9], n),
            "region": rng.choice(["north", "south", "west"], n),
        }
    )
    frame["dilution"] = rng.integers(0, 2, n)
    frame["coating"] = frame.humid - 0.4 * frame.dilution + rng.normal(0, 0.3, n)
    frame["count"] = rng.poisson(3, n)
    frame["share"] = rng.uniform(0.1, 0.9, n)
    frame["size"] = rng.gamma(2, 1, n)
    frame["kind"] = rng.choice(["p", "q", "r"], n)
    frame["grade"] = pd.Categorical(
        rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"], ordered=True
    )
    frame["trials"] = rng.integers(2, 9, n)
    frame["wins"] = rng.binomial(frame.trials, 0.4)
    return frame


FLAT = "Normal(0, 1)"


def logp_of(model: pm.Model, data: dict) -> tuple:
    """Return the conditioned model's log-probability and its parameters' value names."""
    seen = pm.observe(model, data)
    return fast_logp(seen), [v.name for v in seen.value_vars], seen


def fast_logp(model: pm.Model):
    """Return the log-probability without a compiler."""
    run = pytensor.function(model.value_vars, model.logp(), mode=PY_MODE, on_unused_input="ignore")
    return lambda point: run(*(np.asarray(point[v.name], v.type.dtype) for v in model.value_vars))


def size_of(model: pm.Model, name: str) -> int:
    dims = model.named_vars_to_dims.get(name) or ()
    return int(np.prod([len(model.coords[d]) for d in dims], dtype=int))


def same_logp(left: tuple, right: tuple, renamed: dict[str, str]) -> None:
    """Both log-probabilities agree at three random points, up to the names of parameters."""
    (f, names, model), (g, others, _) = left, right
    assert sorted(renamed.get(n, n) for n in names) == sorted(others)
    rng = np.random.default_rng(5)
    start = model.initial_point()
    for _ in range(3):
        point = {n: np.asarray(start[n]) + rng.normal(0, 0.3, np.shape(start[n])) for n in names}
        for name in names:  # cutpoints keep their order
            if name.endswith("_ordered__"):
                point[name] = np.asarray(start[name]) + 0.1
        there = {renamed.get(n, n): v for n, v in point.items()}
        assert float(f(point)) == pytest.approx(float(g(there)), rel=1e-7)


# ------------------------------------------------------------------------- by hand


def test_the_coating_model_has_the_log_probability_of_the_one_by_hand():
    data = parts()
    labels = sorted(data.batch.unique())
    codes = np.array([labels.index(b) for b in data.batch])
    model = bc.model_from_formulas(
        ["humid ~ 1", "dilution ~ humid", "coating ~ dilution * humid + (1 | batch)"],
        families={"dilution": "bernoulli"},
        data=data,
        priors={
            "humid": {"Intercept": FLAT, "sigma": "HalfNormal(1)"},
            "dilution": {"Intercept": FLAT, "humid": pm.Normal.dist(0, 2)},
            "b_coating_Intercept": FLAT,
            "b_coating_dilution": FLAT,
            "b_coating_humid": FLAT,
            "coating": {
                "dilution:humid": FLAT,
                "1|batch": "HalfNormal(2)",
                "sigma": "HalfNormal(1)",
            },
        },
    )
    with pm.Model(coords={"unit": range(len(data)), "batch_level": labels}) as hand:
        batch = pm.Data("batch", codes, dims="unit")
        humid = pm.Normal("humid", pm.Normal("a_h"), pm.HalfNormal("s_h"), dims="unit")
        a_d, b_d = pm.Normal("a_d"), pm.Normal("b_d", 0, 2)
        dilution = pm.Bernoulli("dilution", logit_p=a_d + b_d * humid, dims="unit")
        a, b1, b2, b3 = (pm.Normal(n) for n in ("a", "b1", "b2", "b3"))
        tau = pm.HalfNormal("tau", 2)
        z = pm.Normal("z", dims="batch_level")
        mu = a + b1 * dilution + b2 * humid + b3 * dilution * humid + (tau * z)[batch]
        pm.Normal("coating", mu, pm.HalfNormal("s"), dims="unit")
    columns = {k: data[k].to_numpy() for k in ("humid", "dilution", "coating")}
    renamed = {
        "b_humid_Intercept": "a_h",
        "sigma_humid_log__": "s_h_log__",
        "b_dilution_Intercept": "a_d",
        "b_dilution_humid": "b_d",
        "b_coating_Intercept": "a",
        "b_coating_dilution": "b1",
        "b_coating_humid": "b2",
        "b_coating_dilution:humid": "b3",
        "sd_coating_1|batch_log__": "tau_log__",
        "z_coating_1|batch": "z",
        "sigma_coating_log__": "s_log__",
    }
    same_logp(logp_of(model, columns), logp_of(hand, columns), renamed)
    assert sorted(bc.graph_of(model).edges) == sorted(bc.graph_of(hand).edges)


def test_centred_group_effects_and_correlated_ones_by_hand():
    data = parts()
    model = bc.model_from_formulas(
        "coating ~ 0 + (1 + humid | batch)",
        data=data,
        priors={"coating": {"batch": "HalfNormal(1)", "sigma": "HalfNormal(1)"}},
    )
    labels = sorted(data.batch.unique())
    codes = np.array([labels.index(b) for b in data.batch])
    with pm.Model(
        coords={"unit": range(len(data)), "g": labels, "k": ["1", "humid"], "pair": ["p"]}
    ) as hand:
        sd = pm.HalfNormal("sd", 1, dims="k")
        half = pm.Beta("half", 2, 2, dims="pair")
        z = pm.Normal("z", dims=("g", "k"))
        rho = 2 * half[0] - 1
        r0 = sd[0] * z[:, 0]
        r1 = sd[1] * (rho * z[:, 0] + pm.math.sqrt(1 - rho**2) * z[:, 1])
        mu = r0[codes] + r1[codes] * data.humid.to_numpy()
        pm.Normal("coating", mu, pm.HalfNormal("s"), dims="unit")
    columns = {"coating": data.coating.to_numpy()}
    left, right = logp_of(model, columns), logp_of(hand, columns)
    renamed = {
        "sd_coating|batch_log__": "sd_log__",
        "z_coating|batch": "z",
        "sigma_coating_log__": "s_log__",
    }
    renamed["half_coating|batch_logodds__"] = "half_logodds__"
    same_logp(left, right, renamed)
    direct = bc.model_from_formulas("coating ~ (1 | batch)", data=data, noncentered=False)
    assert "r_coating_1|batch" in [v.name for v in direct.free_RVs]
    assert "z_coating_1|batch" not in direct.named_vars


# --------------------------------------------------------------------------- Bambi

BAMBI = {
    "gaussian": ("coating", "gaussian", {"sigma": "HalfNormal(1)"}),
    "student-t": ("coating", "t", {"sigma": "HalfNormal(1)", "nu": "Gamma(2, 0.1)"}),
    "bernoulli": ("dilution", "bernoulli", {}),
    "bernoulli(link=probit)": ("dilution", "bernoulli", {}),
    "bernoulli(link=cloglog)": ("dilution", "bernoulli", {}),
    "binomial(trials=trials)": ("wins", "binomial", {}),
    "poisson": ("count", "poisson", {}),
    "negative binomial": ("count", "negativebinomial", {"alpha": "HalfNormal(1)"}),
    "gamma": ("size", "gamma", {"alpha": "HalfNormal(1)"}),
    "beta": ("share", "beta", {"kappa": "HalfNormal(5)"}),
    "categorical": ("kind", "categorical", {}),
    "ordinal": ("grade", "cumulative", {}),
}


def bambi_prior(text: str):
    import bambi as bmb

    name, _, rest = text.partition("(")
    numbers = [float(v) for v in rest.rstrip(")").split(",")]
    keys = {"Normal": ("mu", "sigma"), "HalfNormal": ("sigma",), "Gamma": ("alpha", "beta")}[name]
    return bmb.Prior(name, **dict(zip(keys, numbers, strict=True)))


QUICK = {"gaussian", "bernoulli", "negative binomial", "ordinal"}


@pytest.mark.parametrize(
    "spec", [s if s in QUICK else pytest.param(s, marks=pytest.mark.slow) for s in BAMBI]
)
def test_one_equation_has_the_log_probability_of_bambi(spec):
    """Equal densities, so equal posteriors: no Markov chain is needed to compare them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bambi as bmb

    data = parts()
    response, family, aux = BAMBI[spec]
    right = "humid * region + (1 | batch)" if spec != "categorical" else "humid + region"
    terms = ["humid", "region", "humid:region"][: 3 if "*" in right else 2]
    priors: dict = dict.fromkeys(terms, FLAT) | aux
    theirs = {t: bambi_prior(FLAT) for t in terms}
    theirs |= {k: bambi_prior(v) for k, v in aux.items()}
    if spec != "ordinal":
        priors["Intercept"] = FLAT
        theirs["Intercept"] = bambi_prior(FLAT)
    if "batch" in right:
        priors["1|batch"] = "HalfNormal(1)"
        theirs["1|batch"] = bmb.Prior("Normal", mu=0, sigma=bambi_prior("HalfNormal(1)"))
    link = spec.partition("link=")[2].rstrip(")") or {"gamma": "log"}.get(family)
    left_side = "p(wins, trials)" if family == "binomial" else response
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = bmb.Model(
            f"{left_side} ~ {right}", data, family=family, priors=theirs, link=link,
            center_predictors=False,
        )  # fmt: skip
        other.build()
    model = bc.model_from_formulas(
        [f"{response} ~ {right}"], families={response: spec}, data=data, priors={response: priors}
    )
    observed = data[response]
    if response in ("kind", "grade"):
        levels = list(model.coords[f"{response}_level"])
        observed = observed.map(levels.index).astype(int)
    left = logp_of(model, {response: observed.to_numpy()})
    built = other.backend.model
    right_logp = fast_logp(built), [v.name for v in built.value_vars], built
    renamed = {}
    for name in left[1]:
        plain = name.replace("_log__", "").replace("_interval__", "").replace("_ordered__", "")
        suffix = name.removeprefix(plain)
        term = plain.removeprefix(f"b_{response}_").removesuffix(f"_{response}")
        term = {
            f"sd_{response}_1|batch": "1|batch_sigma",
            f"z_{response}_1|batch": "1|batch_offset",
        }.get(term, term)
        renamed[name] = {"cutpoints": "threshold"}.get(term, term) + suffix
    same_logp(left, right_logp, renamed)


def test_default_scales_are_those_of_bambi():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bambi as bmb

        data = parts()
        for response, family in [("coating", "gaussian"), ("dilution", "bernoulli")]:
            right = "humid + age + region"  # products: see test_formulas_zero.py
            theirs = bmb.Model(f"{response} ~ {right}", data, family=family)
            theirs.build()
            mine = bc.model_from_formulas(
                [f"{response} ~ {right}"], families={response: family}, data=data
            )
            component = theirs.components[theirs.family.likelihood.parent]
            for name, term in component.common_terms.items():
                rv = mine[f"b_{response}_{name}"]
                [_, sigma] = rv.owner.op.dist_params(rv.owner)
                want = np.asarray(term.prior.args["sigma"], dtype=float)
                np.testing.assert_allclose(
                    sigma.owner.inputs[0].data if sigma.owner else sigma.data, want, rtol=0.006
                )


@pytest.mark.slow
def test_the_posterior_of_a_formula_is_bambis():
    """Means within four joint Monte Carlo errors for 6 parameters: false alarm below 0.0004.

    Bambi knows independent priors alone. Those of a formula are independent for the coefficients of
    what each column adds to those inside it, so Bambi gets these columns, made by least squares,
    and what it draws is turned back.
    """
    data = parts()
    t, x = (data[n] - data[n].mean() for n in ("dilution", "humid"))
    product = data.dilution * data.humid
    inside = np.column_stack([np.ones(len(data)), t, x])
    h = np.linalg.lstsq(inside, product, rcond=None)[0]
    columns = {"dilution": t, "humid": x, "rest": product - inside @ h}
    model = bc.model_from_formulas(["coating ~ dilution * humid + (1 | batch)"], data=data)
    table = bc.prior_summary(model)["prior"]
    last = lambda name: float(table[name].rpartition(" ")[2].rpartition("(")[2].rstrip(")"))  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz as az
        import bambi as bmb

        s = data.coating.std(ddof=0)
        priors = {n: bmb.Prior("Normal", mu=0, sigma=2.5 * s / c.std(ddof=0))
                  for n, c in columns.items()}  # fmt: skip
        priors["Intercept"] = bmb.Prior("Normal", mu=data.coating.mean(), sigma=2.5 * s)
        tau = bmb.Prior("HalfNormal", sigma=last("sd_coating_1|batch"))
        priors["1|batch"] = bmb.Prior("Normal", mu=0, sigma=tau)
        priors["sigma"] = bmb.Prior("HalfStudentT", nu=4, sigma=last("sigma_coating"))
        own = pd.DataFrame({**columns, "batch": data.batch, "coating": data.coating})
        right = "dilution + humid + rest + (1 | batch)"
        other = bmb.Model(f"coating ~ {right}", own, priors=priors, center_predictors=False)
        drawn = other.fit(
            draws=2000, chains=2, cores=1, random_seed=1, progressbar=False, target_accept=0.95
        ).posterior
        mine = bc.fit(model, data, draws=2000, chains=2, seed=2, progressbar=False,
                      target_accept=0.95, cores=1)  # fmt: skip
    c = drawn["rest"]
    theirs = {
        "b_coating_dilution:humid": c,
        "b_coating_dilution": drawn["dilution"] - h[1] * c,
        "b_coating_humid": drawn["humid"] - h[2] * c,
        "b_coating_Intercept": drawn["Intercept"]
        - drawn["dilution"] * data.dilution.mean()
        - drawn["humid"] * data.humid.mean()
        - c * (h[0] - h[1] * data.dilution.mean() - h[2] * data.humid.mean()),
        "sigma_coating": drawn["sigma"],
        "sd_coating_1|batch": drawn["1|batch_sigma"],
    }
    for name, one in theirs.items():
        two = mine.posterior[name]
        error = np.hypot(float(az.mcse(one)), float(az.mcse(two)))
        assert abs(float(one.mean()) - float(two.mean())) < 4 * error, name


# ------------------------------------------------------------------ do, in closed form


def known(model: pm.Model, data=None, **values) -> object:
    """Return the model with given parameters, the others zero or one."""
    filled = {}
    for name in structure_of(model).parameters:
        plain = 0.0 if name.startswith(("b_", "z_", "r_")) else 1.0
        filled[name] = values.pop(name, plain)
    assert not values, f"unknown parameters {list(values)}"
    return bc.truth(model, filled, data)


def ate(fit, x, y, treated=1, control=0, **options) -> float:
    return float(
        bc.estimate(fit, bc.ATE(x, y, treated=treated, control=control, **options), seed=1)
    )


def test_an_interaction_moves_with_both_of_its_parents():
    model = bc.model_from_formulas(["z ~ 1", "x ~ z", "y ~ x * z"])
    data = pd.DataFrame({"z": [0.0, 1.0, 5.0], "x": [0.0, 1.0, 2.0], "y": [0.0, 0.0, 0.0]})
    fit = known(model, data, **{"b_y_x": 2.0, "b_y_x:z": 0.5, "b_y_z": 3.0, "b_x_z": 1.5})
    assert ate(fit, "x", "y") == pytest.approx(2 + 0.5 * 2)  # the mean of z is 2
    # z moves x by 1.5, and both move y: E[y | do(z)] = 2 * 1.5 z + 0.5 * 1.5 z**2 + 3 z
    assert ate(fit, "z", "y") == pytest.approx(3 + 0.75 + 3, abs=0.05)


def test_transforms_are_applied_to_what_an_intervention_sets():
    data = parts()
    model = bc.model_from_formulas(
        ["coating ~ log(age) + I(humid**2 + 1) + center(humid) + scale(age) + sqrt(age):dilution"],
        data=data,
    )
    fit = known(
        model,
        data,
        **{
            "b_coating_log(age)": 2.0,
            "b_coating_I(humid ** 2 + 1)": -1.0,
            "b_coating_center(humid)": 0.5,
            "b_coating_scale(age)": 0.3,
            "b_coating_sqrt(age):dilution": 0.1,
        },
    )
    want = 2 * np.log(60 / 30) + 0.3 * 30 / data.age.std()
    want += 0.1 * (np.sqrt(60) - np.sqrt(30)) * data.dilution.mean()
    assert ate(fit, "age", "coating", 60, 30) == pytest.approx(want)
    assert ate(fit, "humid", "coating", 3, 1) == pytest.approx(-8 + 0.5 * 2)


def test_and_or_not_of_columns_ask_whether_they_are_zero():
    model = bc.model_from_formulas(
        ["t ~ 1", "k ~ 1", "y ~ I(~t) + I(t & k) + I(t | k)"],
        families={"t": "bernoulli", "k": "poisson"},
    )
    data = pd.DataFrame({"t": [0, 1, 0, 1], "k": [0, 0, 2, 3], "y": 0.0})
    coefs = {"b_y_I(~t)": 100.0, "b_y_I(t & k)": 10.0, "b_y_I(t | k)": 1.0}
    fit = known(model, data, **coefs)
    # from t = 0 to 1: not-t ends; where k > 0 both hold; where k = 0 one of them holds
    assert ate(fit, "t", "y") == pytest.approx(-100 + 0.5 * 10 + 0.5 * 1)


def test_means_in_terms_are_fixed_at_build_so_units_do_not_touch():
    data = parts()
    model = bc.model_from_formulas(["coating ~ center(humid) + scale(age)"], data=data)
    structure = structure_of(model)
    assert not structure.mixing
    assert not structure.fixed
    fit = known(model, data.iloc[:7], **{"b_coating_center(humid)": 1.0})
    expected = bc.estimate(fit, bc.Expected("coating", {"humid": 1.0}))
    assert float(expected) == pytest.approx(1.0 - data.humid.mean())


def test_a_spline_has_a_value_at_every_value_that_is_set():
    data = parts()
    inner = [30.0, 45.0, 60.0]
    text = "ns(age, knots=[30, 45, 60], lower=20, upper=70)"
    model = bc.model_from_formulas([f"coating ~ {text} * dilution"], data=data)
    b = np.array([1.0, -1.0, 2.0, 0.5])
    fit = known(model, data, **{f"b_coating_{text}": b})
    curve = CubicSpline([20.0, *inner, 70.0], [0.0, *b], bc_type="natural")
    assert ate(fit, "age", "coating", 52, 33) == pytest.approx(curve(52) - curve(33))
    # straight beyond the last knot, with the slope there
    assert ate(fit, "age", "coating", 90, 70) == pytest.approx(20 * curve(70, 1))


@pytest.mark.parametrize("term", ["bs(humid, df=5)", "ns(humid, 3)", "poly(humid, 3)"])
def test_splines_and_polynomials_have_the_columns_of_formulaic_or_scipy(term):
    from formulaic import model_matrix

    data = parts()
    model = bc.model_from_formulas([f"coating ~ {term}"], data=data)
    label = next(n for n in structure_of(model).parameters if "(" in n)
    size = size_of(model, label)
    rng = np.random.default_rng(1)
    b = rng.normal(size=size)
    fit = known(model, data, **{label: b})
    got = [float(bc.estimate(fit, bc.Expected("coating", {"humid": v}))) for v in data.humid[:5]]
    if term.startswith("ns"):
        knots = np.quantile(data.humid, [0, 1 / 3, 2 / 3, 1])
        want = CubicSpline(knots, [0, *b], bc_type="natural")(data.humid[:5])
    else:
        matrix = np.asarray(model_matrix(term, data))
        matrix = matrix[:, -size:] if term.startswith("bs") else matrix[:, 1:]
        want = (matrix @ b)[:5]
    np.testing.assert_allclose(got, want, atol=1e-8)


def test_categories_enter_by_their_levels():
    data = parts()
    model = bc.model_from_formulas(
        ["coating ~ region * humid + C(plant) + C(region, ref='west'):age"], data=data
    )
    assert list(model.coords["region_level"]) == ["north", "south", "west"]
    fit = known(
        model,
        data,
        **{
            "b_coating_region": [1.0, 4.0],
            "b_coating_region:humid": [0.0, 2.0],
            "b_coating_C(plant)": [10.0, 30.0],
        },
    )
    assert ate(fit, "region", "coating", "south", "north") == pytest.approx(1.0)
    assert ate(fit, "region", "coating", "west", "north") == pytest.approx(
        4 + 2 * data.humid.mean()
    )
    assert ate(fit, "plant", "coating", 9, 7) == pytest.approx(20.0)
    assert ate(fit, "plant", "coating", 7, 3) == pytest.approx(10.0)


def test_a_level_that_the_data_never_had_gives_no_number():
    data = parts()
    model = bc.model_from_formulas(["coating ~ C(plant)"], data=data)
    fit = known(model, data)
    try:
        answer = ate(fit, "plant", "coating", 5, 3)
    except bc.BayesCausalError:
        return
    assert np.isnan(answer)


def test_codings_span_what_patsys_do():
    """The number of coefficients of each term, for sets of terms with known full rank."""
    data = parts()
    cases = {
        "coating ~ region": {"region": 2},
        "coating ~ 0 + region": {"region": 3},
        "coating ~ region + kind": {"region": 2, "kind": 2},
        "coating ~ 0 + region + kind": {"region": 3, "kind": 2},
        "coating ~ region * kind": {"region": 2, "kind": 2, "region:kind": 4},
        "coating ~ region:kind": {"kind": 2, "region:kind": 6},
        "coating ~ 0 + region:kind": {"region:kind": 9},
        "coating ~ region + region:humid": {"region": 2, "region:humid": 3},
        "coating ~ humid + region:humid": {"humid": 1, "region:humid": 2},
    }
    for formula, want in cases.items():
        model = bc.model_from_formulas([formula], data=data)
        got = {
            v.name.removeprefix("b_coating_"): size_of(model, v.name)
            for v in model.free_RVs
            if v.name.startswith("b_") and not v.name.endswith("Intercept")
        }
        assert sum(got.values()) == sum(want.values()), formula
        assert got == want, formula


def test_correlations_of_three_effects_are_lkj():
    """The density of the correlation matrix is |R| up to a constant: LKJ with eta = 2."""
    data = parts()
    model = bc.model_from_formulas(["coating ~ (humid + age | batch)"], data=data)
    half = model["half_coating|batch"]
    log_density = pm.logp(half, half.type()).sum()
    [value] = explicit_graph_inputs([log_density])
    density = pytensor.function([value], log_density, mode=PY_MODE)

    def corr(h: np.ndarray) -> np.ndarray:
        p = 2 * h - 1
        lower = np.eye(3)
        lower[1, :2] = p[0], np.sqrt(1 - p[0] ** 2)
        rest = np.sqrt(1 - p[1] ** 2)
        lower[2] = p[1], p[2] * rest, rest * np.sqrt(1 - p[2] ** 2)
        return lower @ lower.T

    rng = np.random.default_rng(2)
    constants = []
    for h in rng.uniform(0.1, 0.9, size=(4, 3)):
        entries = lambda v: corr(v)[np.tril_indices(3, -1)]  # noqa: E731
        steps = np.eye(3) * 1e-6
        jacobian = [(entries(h + s) - entries(h - s)) / 2e-6 for s in steps]
        change = np.log(abs(np.linalg.det(jacobian)))
        constants.append(float(density(h)) - change - np.log(np.linalg.det(corr(h))))
    np.testing.assert_allclose(constants, constants[0], rtol=1e-6)


def test_group_effects_take_labels_and_numbers_and_products():
    data = parts()
    model = bc.model_from_formulas(
        ["coating ~ (1 | plant) + (humid || batch) + (1 | batch:region)"],
        data=data,
        noncentered=False,
    )
    assert list(model.coords["plant_level"]) == [3, 7, 9]
    assert len(model.coords["batch:region_level"]) == 12
    by_batch = np.arange(4.0)
    both = np.arange(12.0)
    fit = known(
        model,
        data,
        **{
            "r_coating_1|plant": [1.0, 20.0, 300.0],
            "r_coating_humid|batch": by_batch,
            "r_coating_1|batch:region": both,
        },
    )
    batch = data.batch.map("abcd".index)
    region = data.region.map(["north", "south", "west"].index)
    plant = data.plant.map({3: 1.0, 7: 20.0, 9: 300.0})
    want = plant + batch * data.humid + batch * 3 + region
    assert float(bc.estimate(fit, bc.Expected("coating", {"humid": bc.Shift(0)}))) == pytest.approx(
        want.mean()
    )
    assert ate(fit, "plant", "coating", 9, 3) == pytest.approx(299.0)
    slope = bc.estimate(fit, bc.ATE("humid", "coating"))
    assert float(slope) == pytest.approx(batch.mean())


# ------------------------------------------------------------- through the whole house


def test_linear_gaussian_formulas_are_drawn_exactly():
    data = parts()
    formulas = ["humid ~ 1", "coating ~ dilution * humid + region + ns(age, 3) + poly(age, 2)"]
    model = bc.model_from_formulas(formulas, data=data)
    fit = bc.fit(model, data, method="exact", draws=100, chains=2, seed=1, progressbar=False)
    assert {*fit.methods.values()} == {"conjugate (linear-Gaussian)"}
    more = bc.model_from_formulas(
        [*formulas, "dilution ~ humid"], families={"dilution": "bernoulli"}, data=data
    )
    plan = make_plan(structure_of(more), {"humid", "dilution", "coating", "region", "age"})
    assert len(plan.samplers) == 2
    assert [block.unknowns for block, _ in plan.rest] == [
        ("b_dilution_Intercept", "b_dilution_humid")
    ]


def test_label_columns_are_coded_as_in_the_model():
    data = parts()
    model = bc.model_from_formulas(["coating ~ region + (1 | batch)"], data=data)
    few = data[data.region != "north"].copy()  # without the reference level
    few["batch"] = pd.Categorical(few.batch, categories=["d", "c", "b", "a"])  # in another order
    fit = known(model, few, b_coating_region=[1.0, 4.0])
    want = few.region.map({"south": 1.0, "west": 4.0}).mean()
    assert float(bc.estimate(fit, bc.Expected("coating", {"batch": "a"}))) == pytest.approx(want)
    few["region"] = "east"
    with pytest.raises(bc.BayesCausalError, match=r"'east' in the data.*none of its levels"):
        known(model, few)


def test_simulate_then_fit_with_latent_and_missing_variables():
    model = bc.model_from_formulas(["u ~ 1", "x ~ u", "y ~ x + u"])
    truth = dict.fromkeys(structure_of(model).parameters, 0.5)
    data = bc.simulate(model, truth, units=50, seed=1)
    assert list(data.columns) == ["u", "x", "y"]
    assert len(data) == 50
    again = bc.model_from_formulas(["u ~ 1", "x ~ u", "y ~ x + u"], data=data.drop(columns="u"))
    assert structure_of(again).nodes == ("u", "x", "y")


def test_every_family_simulates_within_its_support():
    data = parts()
    for spec, (response, _, _) in BAMBI.items():
        model = bc.model_from_formulas(
            [f"{response} ~ humid"], families={response: spec}, data=data
        )
        values = {n: 0.3 for n in structure_of(model).parameters if n.startswith("b_")}
        values |= {n: 2.0 for n in structure_of(model).parameters if n not in values}
        if spec == "ordinal":
            values["cutpoints_grade"] = [-1.0, 1.0]
        drawn = bc.simulate(model, values, seed=1)[response]
        low, high = {"beta": (0, 1), "bernoulli": (0, 1)}.get(spec, (-np.inf, np.inf))
        assert drawn.between(low, high).all(), spec
        assert drawn.nunique() > 1, spec


def test_other_tables_and_texts_are_read_alike():
    polars = pytest.importorskip("polars")
    data = parts()[["humid", "region", "coating"]]
    text = "humid ~ 1  # a comment\ncoating ~ humid + region"
    models = [
        bc.model_from_formulas(text, data=d)
        for d in (data, dict(data), polars.DataFrame(data.to_dict("list")))
    ]
    shown = [bc.prior_summary(m)["prior"].tolist() for m in models]
    assert shown[0] == shown[1] == shown[2]


def test_levels_can_be_declared_without_data():
    model = bc.model_from_formulas(
        ["grade ~ 1", "y ~ grade + (1 | batch)"],
        families={"grade": "ordinal"},
        levels={"grade": ["lo", "mid", "hi"], "batch": ["b1", "b2"]},
    )
    assert list(model.coords["batch_level"]) == ["b1", "b2"]
    assert list(model.coords["grade_vs_lo"]) == ["mid", "hi"]
    assert sorted(bc.graph_of(model).edges) == [("batch", "y"), ("grade", "y")]


def test_group_effects_without_data_have_a_graph():
    model = bc.model_from_formulas(["y ~ (1 | batch)"])
    assert list(bc.graph_of(model).edges) == [("batch", "y")]
