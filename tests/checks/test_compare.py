"""Rival models are scored on the same thing, and prediction is not taken for causation."""

from __future__ import annotations

import arviz as az
import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.checks.comparison.same_data import refuse_unlike_scores, unit_densities
from bayescausal.types import DataError, EstimandError, UnknownVariableError

mpl.use("Agg")
TRUTH = {"a": 0.8, "b": 0.7, "s": 1.0}


def fork(**_):
    """Return z -> x, z -> y, x -> y."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a, b, c = (pm.Normal(n, 0, 2) for n in "abc")
        s = pm.HalfNormal("s", 2)
        x = pm.Normal("x", a * z, 1, dims="unit")
        pm.Normal("y", b * x + c * z, s, dims="unit")
    return model


def chain(reverse=False, skip=False):
    """Return x -> y, or y -> x; or neither."""
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b", 0, 2)
        s, t = pm.HalfNormal("s", 2), pm.HalfNormal("t", 2)
        if reverse:
            y = pm.Normal("y", 0, t, dims="unit")
            pm.Normal("x", b * y, s, dims="unit")
        else:
            x = pm.Normal("x", 0, t, dims="unit")
            pm.Normal("y", 0 if skip else b * x, s, dims="unit")
    return model


def pair(seed=1, units=200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=units)
    return pd.DataFrame({"x": x, "y": 0.8 * x + rng.normal(size=units)})


def fit(model, data, draws=400, **options):
    return bc.fit(model, data, draws=draws, chains=2, seed=1, progressbar=False, **options)


@pytest.fixture(scope="module")
def three():
    data = pair()
    return {
        "right": fit(chain(), data),
        "reversed": fit(chain(reverse=True), data),
        "nothing": fit(chain(skip=True), data),
    }


def test_the_score_is_the_leave_one_out_density_of_all_equations(three):
    own = three["right"]
    density, posterior = unit_densities(own, ["x", "y"], 10_000)
    x, y = own.columns["x"], own.columns["y"]
    b, s, t = (posterior[n].values[..., None] for n in "bst")
    exact = stats.norm.logpdf(x, 0, t) + stats.norm.logpdf(y, b * x, s)
    np.testing.assert_allclose(density, exact, rtol=1e-10)
    observed = pm.observe(own.model, {"x": x, "y": y})
    tree = az.from_dict({"posterior": {n: own.posterior[n].values for n in "bst"}})
    both = pm.compute_log_likelihood(tree, model=observed, progressbar=False)["log_likelihood"]
    np.testing.assert_allclose(density, both["x"].values + both["y"].values, rtol=1e-8)
    fewer, thinned = unit_densities(own, ["x", "y"], 100)
    assert fewer.shape == (2, 50, 200)
    assert thinned.sizes["draw"] == 50
    np.testing.assert_allclose(fewer, density[:, ::8])


def test_an_equation_without_unknowns_is_scored_by_its_density(three):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b", 0, 2)
        pm.Normal("y", b * x, 1, dims="unit")
    own = fit(model, pair())
    scored = bc.compare({"known": own, "learned": three["right"]}, variables=["x"])
    exact = stats.norm.logpdf(own.columns["x"])
    np.testing.assert_allclose(scored.pointwise["known"], exact, rtol=1e-10)
    assert scored.table.loc["known", "k_max"] == 0
    assert abs(scored.table.loc["known", "p_loo"]) < 1e-9
    y = pair().assign(y=lambda d: d["y"].where(d.index > 3))  # four units have no outcome
    both = bc.compare({"known": fit(model, y), "other": fit(chain(), y)})
    np.testing.assert_allclose(both.pointwise["known"][:4], exact[:4], rtol=1e-10)
    assert (both.pareto_k["known"][:4] == 0).all()
    assert (both.pareto_k["known"][4:] != 0).all()


def test_leave_one_out_agrees_with_leaving_out():
    """Refit without each unit; units with a large Pareto k are left to the next test."""
    data = pair(units=30, seed=3)
    model = chain()
    found = bc.compare([fit(model, data, draws=2000), fit(chain(skip=True), data)])
    refitter = bc.Refitter(model, ["x", "y"], draws=1000, chains=2)
    exact = []
    for i in range(10):
        rest = refitter.fit(data.drop(index=i).reset_index(drop=True), seed=i).posterior
        b, s, t = (rest[n].values.ravel() for n in "bst")
        x, y = data.loc[i, ["x", "y"]]
        each = stats.norm.logpdf(x, 0, t) + stats.norm.logpdf(y, b * x, s)
        exact.append(np.log(np.exp(each).mean()))
    good = (found.pareto_k["model 1"][:10] < 0.5).to_numpy()
    assert good.sum() >= 7
    np.testing.assert_allclose(
        found.pointwise["model 1"][:10][good], np.asarray(exact)[good], atol=0.05
    )


def test_a_model_that_lacks_an_edge_predicts_worse_and_rivals_of_one_class_alike(three):
    found = bc.compare(three, bc.ATE("x", "y"))
    table = found.summary()
    assert table.loc["nothing", "elpd_diff"] < -20
    assert abs(table.loc["right", "elpd"] - table.loc["reversed", "elpd"]) < 1.0
    assert table.loc["nothing", "weight"] < 0.05
    assert found.verdict == "pass"
    assert found.equivalent == (("right", "reversed"),)
    text = found.sentence()
    assert "Prediction does not pick causes" in text
    assert "right and reversed imply the same independences: no such data tell them apart" in text
    assert "nothing is worse by" in text
    assert "cannot be told from it by prediction" in text
    assert table.loc["right", "mean"] == pytest.approx(0.8, abs=0.25)
    assert table.loc["reversed", "mean"] == 0.0
    assert found.best in ("right", "reversed")


def test_the_stacked_answer_is_the_mixture_by_weights(three):
    found = bc.compare(three, bc.ATE("x", "y"))
    weights = found.table["weight"]
    expected = sum(weights[n] * e.mean() for n, e in found.effects.items())
    assert found.stacked.mean() == pytest.approx(expected, abs=0.05)
    zero = float((found.stacked.draws == 0).mean())
    assert zero == pytest.approx(weights["reversed"] + weights["nothing"], abs=0.01)
    assert found.summary().index[-1] == "stacked"


def test_an_influential_unit_is_shown():
    data = pair(units=40)
    data.loc[0, ["x", "y"]] = [40.0, -60.0]
    found = bc.compare([fit(chain(), data), fit(chain(skip=True), data)])
    assert found.verdict == "warn"
    assert found.table["k_max"].max() > 0.7
    assert "too influential under" in found.sentence()
    assert found.pareto_k.max(axis=1).idxmax() == 0


def test_models_are_compared_on_what_all_of_them_observe():
    rng = np.random.default_rng(2)
    data = pair().assign(z=rng.normal(size=200))
    fits = [fit(fork(), data), fit(chain(), data[["x", "y"]])]
    found = bc.compare(fits)
    assert found.variables == ("x", "y")
    assert any("model 1: z not scored" in n for n in found.notes)
    assert bc.compare(fits, variables="y").variables == ("y",)
    with pytest.raises(UnknownVariableError, match="'z' is not observed by all the models"):
        bc.compare(fits, variables=["z"])


def test_vectors_and_panels_count_as_one_unit():
    with pm.Model(coords={"unit": [0], "t": range(3), "k": ["l", "r"]}) as model:
        m = pm.Normal("m", 0, 1)
        x = pm.Normal("x", m, 1, dims=("unit", "t"))
        pm.MvNormal("v", np.zeros(2), np.eye(2), dims=("unit", "k"))
        pm.Normal("y", x, 1, dims=("unit", "t"))
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    draws = rng.normal(size=(1, 6))
    fitted = bc.Fit(model, {"m": draws}, {"x": x, "v": v, "y": x + 1}, unit_dims="unit")
    density, _ = unit_densities(fitted, ["x", "v", "y"], 100)
    exact = stats.norm.logpdf(x[None], draws[0][:, None, None]).sum(axis=-1)
    exact = exact + stats.norm.logpdf(v).sum(axis=-1) + 3 * stats.norm.logpdf(1.0)
    np.testing.assert_allclose(density[0], exact)


def test_other_data_are_refused(three):
    other, shorter = pair(seed=2), pair(units=50)
    with pytest.raises(DataError, match="'right' and 'b' saw different values of 'x'"):
        bc.compare({"right": three["right"], "b": fit(chain(), other)})
    with pytest.raises(DataError, match="'right' has 200 units and 'b' has 50"):
        bc.compare({"right": three["right"], "b": fit(chain(), shorter)})
    with pm.Model(coords={"unit": [0]}) as alone:
        pm.Normal("w", pm.Normal("m"), 1, dims="unit")
    with pytest.raises(DataError, match="no random variable in common"):
        bc.compare([three["right"], fit(alone, {"w": np.zeros(200)})])


def test_what_makes_no_sense_is_refused(three):
    own = three["right"]
    for fits, message in (
        (own, "1 fit to compare"),
        ([own], "1 fit to compare"),
        ([own, "b"], "'model 2' is str, not a fit"),
        ([own, bc.truth(chain(), {"b": 1.0, "s": 1.0, "t": 1.0}, pair())], "'model 2' is a truth"),
    ):
        with pytest.raises(EstimandError, match=message):
            bc.compare(fits)
    with pytest.raises(EstimandError, match="where a question is needed"):
        bc.compare(three, "ATE")
    with pytest.raises(EstimandError, match="draws=1"):
        bc.compare(three, draws=1)
    with pytest.raises(EstimandError, match="has several numbers"):
        bc.compare(three, bc.DoseResponse("x", "y", values=[0, 1], control=None))


def outcome(family):
    with pm.Model(coords={"unit": [0]}) as model:
        m = pm.Normal("m")
        x = pm.Normal("x", m, 1, dims="unit")
        family("y", m + 0 * x, dims="unit")
    return model


def test_a_probability_is_not_compared_with_a_density():
    """Twelve 0 and 1: a Normal of sd s at its own mean scores -log(s sqrt(2 pi)), without bound."""
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=12), "y": np.tile([0, 1], 6)}

    def drawn(family):
        return bc.Fit(outcome(family), {"m": rng.normal(0.5, 0.1, (2, 50))}, data)

    def censored(name, m, dims):
        return pm.Censored(name, pm.Normal.dist(m, 1), 0, None, dims=dims)

    families = {
        "bell": lambda name, m, dims: pm.Normal(name, m, 1e-3, dims=dims),
        "coin": lambda name, m, dims: pm.Bernoulli(name, logit_p=m, dims=dims),
        "count": lambda name, m, dims: pm.Poisson(name, pm.math.exp(m), dims=dims),
        "bound": censored,
    }
    fits = {name: drawn(family) for name, family in families.items()}
    for one, other in (("bell", "coin"), ("count", "bell"), ("bell", "bound")):
        with pytest.raises(DataError, match=r"The score of y is the (density|probability) of"):
            bc.compare({one: fits[one], other: fits[other]})
    refuse_unlike_scores({name: fits[name] for name in ("coin", "count")}, ["x", "y"])
    refuse_unlike_scores(fits, ["x"])


def test_latent_variables_and_touching_units_are_said():
    data = pair(units=30)
    with pm.Model(coords={"unit": [0]}) as hidden:
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", u, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * (x - x.mean()) + u, 1, dims="unit")
    rng = np.random.default_rng(1)
    trace = {"u": rng.normal(size=(1, 50, 30)), "b": rng.normal(size=(1, 50))}
    found = bc.compare({"a": fit(chain(), data), "h": bc.Fit(hidden, trace, data)})
    assert any("h: predicts given u, latent" in n for n in found.notes)
    assert any("h: units depend on each other" in n for n in found.notes)


def test_pictures(three):
    import matplotlib.pyplot as plt

    found = bc.compare(three, bc.ATE("x", "y"))
    left = found.plot()
    assert [t.get_text() for t in left.get_yticklabels()] == list(found.summary().index)
    assert len(left.figure.axes) == 2
    _, ax = plt.subplots()
    assert found.plot(ax) is ax
    assert "<table" in found._repr_html_()
    assert "elpd" in repr(found)
    plt.close("all")
