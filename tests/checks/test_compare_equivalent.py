"""Rival graphs that no data tell apart: weights are stated, not estimated.

The kind of fault: a number that the data do not determine is taken from noise in a score. Siblings
that were looked at: `ModelComparison.best` and its sentence (the class is named beside it), models
of one graph with different equations (data do judge them: stacking, also inside a class), graphs
over different measured variables (no class), a model that lacks an edge (stacking), the picture
(draws the weights of the table), a score of p(y | x) beside one of p(y) (refused).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.checks.comparison.equivalence_classes import divided
from bayescausal.types import DataError, EstimandError, UnknownVariableError


def pairwise(order, scale=1.0):
    """Return a saturated linear model of three variables, causes first."""
    with pm.Model(coords={"unit": [0]}) as model:
        made = {}
        for name in order:
            slopes = [pm.Normal(f"{name}_{p}", 0, 2) for p in made]
            mean = sum((b * v for b, v in zip(slopes, made.values(), strict=True)), 0.0)
            made[name] = pm.Normal(name, mean, pm.HalfNormal(f"s_{name}", 2) * scale, dims="unit")
    return model


def draws_of(model, order, data, draws=300, seed=1):
    """A posterior of these linear equations: least squares and its law, in plain numpy."""
    rng = np.random.default_rng(seed)
    trace = {}
    for i, name in enumerate(order):
        y = data[name].to_numpy()
        above = data[list(order[:i])].to_numpy()
        gram = np.linalg.inv(above.T @ above) if i else np.zeros((0, 0))
        b = gram @ above.T @ y if i else np.zeros(0)
        s2 = float(np.sum((y - above @ b) ** 2)) / rng.chisquare(len(y) - i, size=draws)
        z = rng.normal(size=(draws, i))
        slopes = b + np.sqrt(s2)[:, None] * (z @ np.linalg.cholesky(gram).T if i else z)
        trace |= {f"{name}_{p}": slopes[None, :, j] for j, p in enumerate(order[:i])}
        trace[f"s_{name}"] = np.sqrt(s2)[None]
    return bc.Fit(model, trace, data)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    m = 0.8 * x + rng.normal(size=300)
    return pd.DataFrame({"x": x, "m": m, "y": 0.5 * x + 0.7 * m + rng.normal(size=300)})


@pytest.fixture(scope="module")
def class_of_three(data):
    return {
        "".join(order): draws_of(pairwise(order), order, data)
        for order in (("x", "m", "y"), ("m", "x", "y"), ("y", "x", "m"))
    }


def test_graphs_of_one_class_have_equal_weights_and_the_answer_is_the_mixture(class_of_three):
    found = bc.compare(class_of_three, bc.ATE("x", "y"))
    assert len(found.equivalent) == 3
    assert found.table["weight"].to_numpy() == pytest.approx(1 / 3)
    means = {n: e.mean() for n, e in found.effects.items()}
    # .5 + .7 * .8 = 1.06 where m mediates, .5 where it confounds, 0 where y comes first; an sd of
    # the slopes of about 1 / sqrt(300) and twice that for the product
    assert means["xmy"] == pytest.approx(1.06, abs=0.4)
    assert means["mxy"] == pytest.approx(0.5, abs=0.3)
    assert means["yxm"] == 0.0
    mixed = found.stacked.draws.values.reshape(-1)
    middle = np.mean(list(means.values()))
    assert mixed.mean() == pytest.approx(middle, abs=0.02)
    within = np.mean([e.sd() ** 2 for e in found.effects.values()])
    between = np.var(list(means.values()))
    assert mixed.var() == pytest.approx(within + between, rel=0.1)
    text = found.sentence()
    assert "the weights are equal for each graph, not the score's" in text
    assert f"the mixture has an sd of {np.sqrt(between):.2g} between the graphs" in text
    assert f"between 0 and {means['xmy']:.3g}" in text
    assert "; mixture " in text
    assert found.stacked.label.endswith("mixture")
    assert "stated beforehand" in found.stacked.notes[0]


def test_weights_that_were_stated(class_of_three):
    stated = {"xmy": 3.0, "mxy": 1, "yxm": 1}
    found = bc.compare(class_of_three, bc.ATE("x", "y"), weights=stated)
    for name, weight in stated.items():
        assert found.table.loc[name, "weight"] == pytest.approx(weight / 5)
    assert "the weights are those that were stated" in found.sentence()
    for weights, error, words in (
        ({"xmy": 1.0}, EstimandError, "'mxy' is None"),
        ({**stated, "mxy": 0}, EstimandError, "'mxy' is 0"),
        ({**stated, "q": 1}, UnknownVariableError, "'q' is not one of the models"),
        ([1, 1, 1], EstimandError, "by name"),
    ):
        with pytest.raises(error, match=words):
            bc.compare(class_of_three, weights=weights)


def test_between_classes_and_inside_one_graph_data_decide(data, class_of_three):
    """x -> m -> y without the direct arrow is refuted; a second model of the first graph with a
    spread that is twice too large predicts worse, and that is about equations."""
    order = ("x", "m", "y")
    wide = draws_of(pairwise(order, scale=2.0), order, data)
    with pm.Model(coords={"unit": [0]}) as chain:
        x = pm.Normal("x", 0, pm.HalfNormal("s_x"), dims="unit")
        m = pm.Normal("m", pm.Normal("m_x") * x, pm.HalfNormal("s_m"), dims="unit")
        pm.Normal("y", pm.Normal("y_m") * m, pm.HalfNormal("s_y"), dims="unit")
    less = draws_of(pairwise(order), order, data).posterior
    trace = {n: less[n].values for n in ("s_x", "m_x", "s_m", "s_y")}
    slope = (data.m @ data.y) / (data.m @ data.m)
    trace["y_m"] = np.full((1, 300), slope)
    fits = {"xmy": class_of_three["xmy"], "yxm": class_of_three["yxm"]}
    found = bc.compare({**fits, "wide": wide, "chain": bc.Fit(chain, trace, data)})
    weight = found.table["weight"]
    assert weight["chain"] < 0.05
    assert weight["yxm"] == pytest.approx((1 - weight["chain"]) / 2)
    assert weight["wide"] < 0.05
    assert weight.sum() == pytest.approx(1)
    text = found.sentence()
    assert "That wide predicts worse by" in text
    assert "speaks against its equations or priors, not its arrows" in text
    alone = bc.compare({"xmy": fits["xmy"], "wide": wide})
    assert alone.classes == ()
    assert alone.table["weight"]["wide"] < 0.05


def test_dividing_keeps_the_weight_of_a_class():
    stacking = pd.Series({"a": 0.6, "b": 0.0, "c": 0.3, "d": 0.1})
    two = divided(stacking, [[["a"], ["b", "d"]]], None)
    assert two.tolist() == pytest.approx([0.35, 0.0, 0.3, 0.35])
    none = divided(pd.Series({"a": 0.0, "b": 0.0, "c": 1.0}), [[["a"], ["b"]]], None)
    assert none.tolist() == [0.0, 0.0, 1.0]


def test_scores_of_different_things_are_refused(data):
    """p(y | x) is the higher, by n I(x; y), whichever way the arrow points."""
    with pm.Model(coords={"unit": [0]}) as given:
        x = pm.Data("x", np.zeros(1), dims="unit")
        pm.Normal("y", pm.Normal("y_x") * x, pm.HalfNormal("s_y"), dims="unit")
    forward = draws_of(pairwise(("x", "y")), ("x", "y"), data).posterior
    trace = {n: forward[n].values for n in ("y_x", "s_y")}
    fits = {
        "data": bc.Fit(given, trace, data[["x", "y"]]),
        "back": draws_of(pairwise(("y", "x")), ("y", "x"), data),
    }
    with pytest.raises(DataError, match="'data' predicts y given x, which in 'back' comes after"):
        bc.compare(fits)
    fits = {"data": fits["data"], "same": draws_of(pairwise(("x", "y")), ("x", "y"), data)}
    assert bc.compare(fits).variables == ("y",)
    rivals = {o: draws_of(pairwise(tuple(o)), tuple(o), data) for o in ("xy", "yx")}
    assert set(bc.compare(rivals).variables) == {"x", "y"}
    with pytest.raises(DataError, match="'xy' predicts y given x"):
        bc.compare(rivals, variables="y")
