"""The law of `model_source`: running the text gives a model with the same log-probability."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pymc.distributions.shape_utils import change_dist_size
from pymc.distributions.transforms import ordered

import bayescausal as bc
from bayescausal import datasets
from bayescausal.model.structure.function_graph import data_values, observed_values
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import ModelError


def run(model: pm.Model) -> pm.Model:
    """Return the model that the source of a model makes."""
    data = {**data_values(model), **observed_values(model)}
    scope: dict = {"data": data}
    exec(bc.model_source(model), scope)
    return scope["model"]


def log_probability(model: pm.Model):
    values = sorted(model.value_vars, key=lambda v: v.name)
    run = pytensor.function(values, model.logp(), mode=PY_MODE, on_unused_input="ignore")
    return lambda point: float(run(*(np.asarray(point[v.name], v.type.dtype) for v in values)))


def same(model: pm.Model, *, tries: int = 3) -> pm.Model:
    """Assert equal log-probability at random points; return the second model."""
    again = run(model)
    assert sorted(v.name for v in again.value_vars) == sorted(v.name for v in model.value_vars)
    assert {n: tuple(d) for n, d in again.named_vars_to_dims.items()} == {
        n: tuple(d) for n, d in model.named_vars_to_dims.items()
    }
    assert sorted(again.named_vars) == sorted(model.named_vars)
    first, second = log_probability(model), log_probability(again)
    rng = np.random.default_rng(4)
    start = model.initial_point(random_seed=1)
    finite = 0
    for _ in range(tries):
        point = {}
        for name, value in start.items():
            whole = np.asarray(value).dtype.kind in "iu"
            point[name] = value if whole else rng.normal(0, 0.5, np.shape(value))
        a, b = first(point), second(point)
        finite += np.isfinite(a)
        assert a == pytest.approx(b, rel=1e-9)
    assert finite
    return again


def table(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "age": rng.uniform(20, 70, n)})
    frame["region"] = rng.choice(["n", "s", "w"], n)
    frame["batch"] = rng.choice([2, 5, 6], n)
    frame["y"] = rng.normal(frame.x, 1)
    frame["k"] = rng.poisson(2, n)
    frame["p"] = rng.uniform(0.1, 0.9, n)
    frame["b"] = rng.integers(0, 2, n)
    frame["c"] = rng.choice(["u", "v", "w"], n)
    frame["t"] = 5
    return frame


FORMULAS = [
    (["x ~ 1", "y ~ x * region + log(age) + I(x**2 / 3 - x)"], {}),
    (["y ~ ns(age, 3) * x + bs(x, df=4) + poly(age, 2) + C(batch)"], {}),
    (["y ~ scale(age) + center(x) + where(x > 0, x, -x) + offset(age)"], {}),
    (["y ~ (1 + x + age | region) + (x || batch) + (1 | region:batch)"], {}),
    (["b ~ x", "k ~ b + x"], {"b": "bernoulli", "k": "poisson"}),
    (["b ~ x", "k ~ x"], {"b": "bernoulli(link=probit)", "k": "negative binomial"}),
    (["b ~ x", "k ~ x"], {"b": "bernoulli(link=cloglog)", "k": "binomial(trials=30)"}),
    (["k ~ x"], {"k": "binomial(trials=t)"}),
    (["p ~ x", "age ~ x", "y ~ x"], {"p": "beta", "age": "gamma", "y": "student-t"}),
    (["age ~ x", "c ~ x + (1 | region)"], {"age": "lognormal", "c": "categorical"}),
    (["c ~ x", "y ~ c * x"], {"c": "ordinal"}),
]


#: Of the default run: splines, correlated groups, logits, probits, ordinal categories.
QUICK = {1, 3, 4, 5, 10}


@pytest.mark.parametrize(
    ("formulas", "families"),
    [
        pytest.param(*case, marks=() if i in QUICK else pytest.mark.slow)
        for i, case in enumerate(FORMULAS)
    ],
)
def test_models_from_formulas(formulas, families):
    data = table().assign(k=lambda d: np.minimum(d.k, 5))
    model = bc.model_from_formulas(formulas, families=families, data=data)
    again = same(model)
    assert list(bc.graph_of(again).edges) == list(bc.graph_of(model).edges)


@pytest.mark.parametrize("world", [datasets.coating, datasets.kidney_stones])
def test_models_of_the_datasets(world):
    same(world().model)


def test_conditioned_models_and_models_under_do():
    world = datasets.coating()
    data = bc.simulate(world.model, world.truth, units=20, seed=1)
    same(pm.observe(world.model, {k: data[k].to_numpy() for k in data}))
    same(bc.intervene(world.model, {"dilution": 1}))


def test_a_hierarchical_model_of_two_levels():
    groups = np.arange(30) % 3
    coords = {"school": ["a", "b", "c"], "pupil": range(30)}
    with pm.Model(coords=coords) as model:
        group = pm.Data("group", groups, dims="pupil")
        w = pm.Normal("w", 0, 1, dims="school")
        tau = pm.HalfNormal("tau", 2)
        a = pm.Normal("a", 0.5 * w, tau, dims="school")
        mean = pm.Deterministic("mean", a - a.mean(), dims="school")
        eps = pm.Exponential("eps", 2.0)
        pm.Normal("y", mean[group], eps, dims="pupil")
        pm.Potential("soft", -0.5 * (a.sum()) ** 2)
    again = bc.model_source(model)
    assert "pm.Potential" in again
    scope: dict = {"data": data_values(model)}
    exec(again, scope)
    first, second = log_probability(model), log_probability(scope["model"])
    point = {k: np.asarray(v) + 0.3 for k, v in model.initial_point().items()}
    assert first(point) == pytest.approx(second(point), rel=1e-9)


def every_distribution() -> pm.Model:
    with pm.Model(coords={"unit": range(3), "k": ["p", "q", "r"]}) as model:
        s = pm.HalfCauchy("s", 2)
        pm.HalfNormal("hn", 1.5)
        pm.HalfStudentT("ht", 3, 2)
        pm.InverseGamma("ig", 3, 2)
        pm.Uniform("u", -1, 2)
        pm.Gamma("g", 2, s)
        pm.Gamma("g2", mu=2.0, sigma=1.0)
        pm.Exponential("e", scale=s)
        pm.Beta("be", 2, 3)
        pm.Normal("cut", mu=[-1, 0, 1], sigma=2, transform=ordered, dims="k")
        pm.Normal("free", 0, 1, shape=(2, 2))
        weights = pm.Dirichlet("weights", np.ones(3), dims="k")
        pm.Flat("flat")
        rows = {
            "laplace": pm.Laplace.dist(0, s),
            "logistic": pm.Logistic.dist(0, s),
            "gumbel": pm.Gumbel.dist(0, s),
            "cauchy": pm.Cauchy.dist(0, s),
            "skew": pm.SkewNormal.dist(alpha=1, mu=0, sigma=s),
            "trunc": pm.TruncatedNormal.dist(0, s, lower=-1, upper=np.inf),
            "tri": pm.Triangular.dist(lower=-1, c=0, upper=2),
            "moyal": pm.Moyal.dist(0, s),
            "vm": pm.VonMises.dist(0, 2),
            "pareto": pm.Pareto.dist(2, 1),
            "bb": pm.BetaBinomial.dist(alpha=1, beta=2, n=4),
            "nb": pm.NegativeBinomial.dist(mu=s, alpha=2),
            "geo": pm.Geometric.dist(0.4),
            "du": pm.DiscreteUniform.dist(0, 5),
            "cat": pm.Categorical.dist(weights),
        }
        for name, dist in rows.items():
            model.register_rv(change_dist_size(dist, (3,)), name=name, dims=("unit",))
        pm.MvNormal("mv", np.zeros(3), np.eye(3), dims=("unit", "k"))
    return model


def test_every_distribution_that_is_known():
    same(every_distribution())


def test_operations():
    with pm.Model(coords={"unit": range(4), "k": range(2)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        z = pm.Normal("z", 0, 1, dims=("unit", "k"))
        b = pm.Normal("b", 0, 1, dims="k")
        c = pm.Normal("class", 0, 1)  # a Python keyword
        d = pm.Normal("1st x-y", 0, 1)  # no identifier
        mu = -(x**2) + (x - (c - d)) / (1 + pt.exp(x)) - c * -x
        mu += z @ b + pt.sum(z * b, axis=1) + pt.max(z, axis=1) + pt.prod(z, axis=1)
        mu += pt.cumsum(z, axis=1)[:, -1] + z[:, 0] * z[:, 1:][:, 0] + pt.abs(x) ** 1.5
        mu += pt.special.softmax(z, axis=1)[:, 0] + pt.log1p(pt.sigmoid(x)) + pt.sqrt(x * x)
        mu += pt.switch(pt.and_(x > 0, x < 1), pt.maximum(x, c), pt.floor(x)) + 1 / (x * c)
        mu += pt.stack([c, d])[pt.cast(x > 0, "int64")] + pt.argmax(z, axis=1) * c
        pm.Normal("y", mu, pt.exp(c) * 2 ** (d * d), dims="unit")
    again = same(model)
    assert set(again.named_vars) >= {"class", "1st x-y"}


def test_it_reads_like_code_one_would_write():
    data = table()
    text = bc.model_source(bc.model_from_formulas(["y ~ x + (1 | region)"], data=data))
    assert 'b_y_x = pm.Normal("b_y_x", 0,' in text
    assert "r_y_1_region[region]" in text
    assert "#   region: 40 numbers, codes into region_level" in text
    assert max(map(len, text.splitlines())) < 140


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: pm.Mixture(
                "y", [0.5, 0.5], [pm.Normal.dist(0, 1), pm.Normal.dist(2, 1)], dims="unit"
            ),
            "'y' cannot be written as code: .*not among",
        ),
        (
            lambda: pm.Normal(
                "y", 0, 1, dims="unit", transform=pm.distributions.transforms.circular
            ),
            "has the transform CircularTransform",
        ),
        (
            lambda: pm.Normal("y", pt.sort(pm.Normal("x", dims="unit")), 1, dims="unit"),
            "equation of 'y' cannot be written as code: it uses the operation SortOp",
        ),
        (
            lambda: pm.Normal("y", np.arange(3_000.0), 1, dims="long"),
            "y holds a constant of 3,000 numbers.*pm.Data",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(make, said):
    with pm.Model(coords={"unit": range(3), "long": range(3_000)}) as model:
        make()
    with pytest.raises(ModelError, match=said):
        bc.model_source(model)


@pytest.mark.filterwarnings("ignore::pymc.exceptions.ImputationWarning")
def test_imputed_models_and_wrong_names_are_refused():
    with pm.Model(coords={"unit": range(3)}) as model:
        pm.Normal("y", 0, 1, observed=np.array([1.0, np.nan, 2.0]), dims="unit")
    with pytest.raises(ModelError, match="'y' has imputed cells"):
        bc.model_source(model)
    with pytest.raises(ModelError, match="Found int where a PyMC model"):
        bc.model_source(3)
    with pytest.raises(ModelError, match="name='a b'"):
        bc.model_source(datasets.coating().model, name="a b")


def test_minus_a_negative_number_is_written_as_plus():
    """A column whose mean is below 0, by which its intercept's prior is moved."""
    data = pd.DataFrame({"x": [-3.0, -1.0, 1.0], "y": [0.0, 2.0, 1.0]})
    model = bc.model_from_formulas(["y ~ x"], data=data)
    prior = bc.prior_summary(model)["prior"]["b_y_Intercept"]
    assert re.fullmatch(r"Normal\(1 \+ 1 \* b_y_x, [\d.]+\)|Normal\(1 \+ b_y_x, [\d.]+\)", prior)
    assert "- -" not in bc.model_source(model)
