"""Forests in formulas: what is refused, and in which words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.model.forests.prior import forest_of
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.types import FormulaError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 30
    return pd.DataFrame({
        "x": rng.normal(size=n), "z": rng.integers(0, 5, n), "t": np.arange(n) % 2,
        "g": np.resize(["a", "b", "c"], n), "h": np.resize(["lo", "hi"], n),
        "one": np.ones(n), "y": rng.normal(size=n),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("bart()", "bart.. of different variables, with options by name: bart.x, z, m=50."),
        ("bart(x, x)", "cannot be read"),
        ("bart(x, m=0)", "m=0 in"),
        ("bart(x, m=2.5)", "a whole number of trees m"),
        ("bart(x, m=True)", "m=True in"),
        ("bart(x, alpha=1.5)", "alpha between 0 and 1"),
        ("bart(x, beta=-1)", "beta and spread above 0"),
        ("bart(x, spread=0)", "spread=0 in"),
        ("bart(x, k=3)", "takes no option 'k'"),
        (
            "bart(x, by=g)",
            "is multiplied by g",
        ),
        ("bart(x, by=(g, h))", "several variables in by="),
        ("bart(x) * bart(t)", "is multiplied by bart"),
        ("h * bart(x)", "is multiplied by h"),
        ("bart(x) + bart(x, m=9)", "are the same curve with other options"),
        ("s(x) + s(x, k=9)", "are the same curve with other options"),
        ("bcf(t, by=x) + bcf(one, by=x)", "Write the second as one . bart.x."),
        ("bart(nope)", "'nope' has no formula"),
        ("bart(one)", "has one value in the data"),
        ("bart(y)", "stands on both sides"),
        ("bcf(t)", "a treatment, and the covariates"),
        ("bcf(t, by=())", "a treatment, and the covariates"),
        ("bcf(t, by=(t, x))", "a treatment, and the covariates"),
        ("bcf(t, x)", "bcf.. of one variable, with options by name: bcf.t, by="),
        ("x * bcf(t, by=z)", "a treatment, and the covariates"),
        ("bcf(g, by=x)", "no treatment of one number"),
        ("bcf(h, by=x)", "'bcf.h, by=x.' is multiplied by h"),
        ("bcf(t, by=x, m_effect=0)", "m_effect=0 in"),
        ("bcf(t, by=x, k=3)", "takes no option 'k'"),
    ],
)
def test_what_cannot_be_a_forest_is_refused_in_words(data, term, message):
    with pytest.raises(FormulaError, match=message):
        bc.model_from_formulas([f"y ~ {term}"], data=data)


def test_an_outcome_of_several_categories_has_no_forest(data):
    with pytest.raises(FormulaError, match="a sum for each of its categories"):
        bc.model_from_formulas(["g ~ bart(x)"], {"g": "categorical"}, data)


def test_options_reach_the_prior_and_the_propensity_is_a_column_of_both(data):
    formula = "y ~ bcf(t, by=(x, g), m=7, alpha=0.8, beta=1, spread=2, m_effect=3, spread_effect=1)"
    model = bc.model_from_formulas([formula], data=data)
    level = forest_of(model["f_y_prognosis(x, g)_forest"])
    effect = forest_of(model["f_y_t:effect(x, g)_forest"])
    assert (level.trees, level.alpha, level.beta, level.spread) == (7, 0.8, 1.0, 2.0)
    assert (effect.trees, effect.alpha, effect.beta, effect.spread) == (3, 0.25, 3.0, 1.0)
    spread = model["sd_y_t:effect(x, g)"]
    assert evaluate(spread.owner.op.dist_params(spread.owner))[1] == 1.0
    assert (len(level.cuts), len(effect.cuts)) == (5, 5)  # x, three levels of g, the propensity
    assert effect.constant == 0.0
    integers = bc.model_from_formulas(["y ~ bart(z)"], data=data)
    assert forest_of(integers["f_y_bart(z)_forest"]).cuts[0].tolist() == [0.0, 1.0, 2.0, 3.0]
