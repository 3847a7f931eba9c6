"""Units that were not in the data, with whatever was seen of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from cf_oracles import States, frequencies_fit
from models import slope

import bayescausal as bc


def product():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", u, 1, dims="unit")
        pm.Normal("y", u * x, 0.5, dims="unit")
    return model


def test_evidence_downstream_of_what_is_missing():
    """U | X = 1, Y = 2 is N(5/3, 1/6): precision 1 + 1 + 4, mean (1 + 4 * 2) / 6 = 1.5.

    do(X = 0): Y = 0 * U + e with e = Y - U X, so e = 2 - U has mean .5 and sd sqrt(1/6) = .408.
    """
    draws = 4_000
    known = bc.truth(product(), {}, draws=draws, seed=1)
    found = bc.counterfactual(known, {"x": 0}, evidence=pd.DataFrame({"x": [1.0], "y": [2.0]}))
    y = found["y"].sel(world="counterfactual").values.reshape(-1)
    sd = np.sqrt(1 / 6)
    # draws are independent chains: 4 standard errors of a mean and of a standard deviation
    assert abs(y.mean() - 0.5) < 4 * sd / np.sqrt(draws)
    assert abs(y.std() - sd) < 4 * sd / np.sqrt(2 * draws)
    factual = found.sel(world="factual")
    assert np.all(factual["x"].values == 1)
    np.testing.assert_allclose(factual["y"].values, 2.0, rtol=1e-9)
    assert any("does not update the parameters" in n for n in found.attrs["notes"])
    assert any("u" in n and "Drawn given" in n for n in found.attrs["notes"])


def test_linear_gaussian_patterns_equal_exact_conditioning():
    """Each row another pattern: joint normal of both worlds, conditioned by matrix algebra."""
    b = np.array([[0, 0, 0, 0], [0.8, 0, 0, 0], [0.5, -0.7, 0, 0], [0, 1.1, 0.6, 0]])
    s = np.array([1.0, 0.5, 0.3, 0.4])
    with pm.Model(coords={"unit": [0]}) as model:
        v = []
        for i in range(4):
            mu = sum((b[i, j] * v[j] for j in range(i) if b[i, j]), 0.0)
            v.append(pm.Normal(f"v{i}", mu, s[i], dims="unit"))
    draws = 3_000
    nan = np.nan
    rows = np.array(
        [
            [nan, 1.0, nan, 2.0],
            [0.5, nan, nan, -1.0],
            [nan, nan, nan, 1.5],
            [0.3, 0.2, nan, nan],
            [0.1, 0.2, 0.3, 0.4],
        ]
    )
    evidence = pd.DataFrame(rows, columns=[f"v{i}" for i in range(4)], index=list("abcde"))
    known = bc.truth(model, {}, draws=draws, seed=2)
    found = bc.counterfactual(known, {"v1": 1.0}, evidence=evidence)
    assert list(found["unit"].values) == list("abcde")
    factual = np.linalg.inv(np.eye(4) - b)
    cut = b.copy()
    cut[1] = 0
    keep = np.diag([1.0, 0, 1, 1])
    other = np.linalg.inv(np.eye(4) - cut)
    for r, label in enumerate("abcde"):
        seen = ~np.isnan(rows[r])
        prior = np.diag(s**2)
        to_seen = factual[seen]
        gain = prior @ to_seen.T @ np.linalg.inv(to_seen @ prior @ to_seen.T)
        mean = gain @ rows[r][seen]
        cov = prior - gain @ to_seen @ prior
        wanted = other @ (keep @ mean + np.array([0, 1.0, 0, 0]))
        spread = np.sqrt(np.clip(np.diag(other @ keep @ cov @ keep @ other.T), 0, None))
        values = found.sel(world="counterfactual", unit=label)
        for i in range(4):
            y = values[f"v{i}"].values.reshape(-1)
            # 5 rows x 4 variables x 2 moments, 4.5 standard errors each
            assert abs(y.mean() - wanted[i]) <= 4.5 * spread[i] / np.sqrt(draws) + 1e-9, (label, i)
            assert abs(y.std() - spread[i]) <= 4.5 * spread[i] / np.sqrt(2 * draws) + 1e-7
        for i in np.flatnonzero(seen):
            y = found[f"v{i}"].sel(world="factual", unit=label).values
            np.testing.assert_allclose(y, rows[r, i], rtol=1e-9)


@pytest.mark.parametrize("kinds", [("gumbel", "monotone", "gumbel")])
def test_discrete_missing_equals_enumeration(kinds):
    scm = States.random(np.random.default_rng(4), [3, 2, 3])
    patterns = [{2: 1}, {0: 2, 2: 0}]
    frame = pd.DataFrame(
        [{scm.names[i]: float(v) for i, v in p.items()} for p in patterns], columns=scm.names
    )
    known = bc.truth(scm.model(), {}, draws=800, seed=6)
    coupling = dict(zip(scm.names, kinds, strict=True))
    found = bc.counterfactual(known, {"v0": 1}, evidence=frame, coupling=coupling)
    found = found.sel(world="counterfactual")
    values = np.stack([found[n].values[0] for n in scm.names], axis=-1)
    for u, seen in enumerate(patterns):
        law = scm.given(seen, {0: 1}, kinds)
        counts = Counter(tuple(int(v) for v in row) for row in values[:, u])
        assert frequencies_fit(counts, law, tests=2), seen


def test_a_unit_that_was_seen_whole_is_as_one_in_the_data():
    model = slope()
    row = {"x": [0.4, 2.0], "y": [1.0, -1.0]}
    fit = bc.prior(model, row, draws=15, seed=1)
    inside = bc.counterfactual(fit, {"x": 3})
    outside = bc.counterfactual(fit, {"x": 3}, evidence=pd.DataFrame(row))
    np.testing.assert_allclose(outside["y"].values, inside["y"].values, rtol=1e-12)


def test_ite_of_new_units():
    known = bc.truth(product(), {}, draws=500, seed=3)
    people = pd.DataFrame({"x": [1.0], "y": [2.0]})
    effect = bc.estimate(known, bc.ITE("x", "y", treated=1, control=0, population=people))
    # y(1) - y(0) = u | x = 1, y = 2 ~ N(1.5, 1/6)
    assert abs(effect.draws.values.mean() - 1.5) < 4 * np.sqrt(1 / 6 / 500)
    assert any("does not update the parameters" in n for n in effect.notes)


def with_data():
    with pm.Model(coords={"unit": [0, 1]}) as model:
        w = pm.Data("w", [0.0, 1.0], dims="unit")
        x = pm.Normal("x", w, 1, dims="unit")
        k = pm.Poisson("k", pm.math.exp(x), dims="unit")
        pm.Gamma("g", 1 + k, 1, dims="unit")
    return bc.truth(model, {}, {"w": [0.0, 1.0], "x": [0.0, 1.0], "k": [1, 2], "g": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"x": [1.0]}, "'w', which is pm.Data.*Add the column"),
        ({"w": [1.0, np.nan], "x": [1.0, 2.0]}, "'w', which is pm.Data"),
        ({"q": [1.0]}, "no column of the model.*among"),
        ({"w": []}, "no rows"),
        ({"w": [0.0], "k": [2], "g": [-1.0]}, "outside|impossible|support"),
        ({"w": [0.0], "k": [1.5]}, "discrete.*Whole numbers"),
    ],
)
def test_what_is_refused(evidence, message):
    with pytest.raises(bc.BayesCausalError, match=message):
        bc.counterfactual(
            with_data(), {"x": 0}, evidence=pd.DataFrame(evidence), coupling="monotone"
        )


def test_evidence_that_the_model_calls_impossible():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Uniform("u", 0, 1, dims="unit")
        pm.Uniform("y", 0, u, dims="unit")
    known = bc.truth(model, {}, draws=4)
    with pytest.raises(bc.BayesCausalError, match="evidence of unit b impossible"):
        bc.counterfactual(
            known, {"u": 0.5}, evidence=pd.DataFrame({"y": [0.5, 3.0]}, index=["a", "b"])
        )


@pytest.mark.parametrize("evidence", [5, {"x": 1.0}])
def test_evidence_that_is_no_table(evidence):
    with pytest.raises(bc.BayesCausalError, match=r"no table.*DataFrame"):
        bc.counterfactual(with_data(), {"x": 0}, evidence=evidence)


def test_evidence_and_units_together_are_refused():
    with pytest.raises(bc.BayesCausalError, match="Both units= and evidence="):
        bc.counterfactual(with_data(), {"x": 0}, units=[0], evidence=pd.DataFrame({"x": [1.0]}))


def test_evidence_about_units_that_touch_or_are_two_dimensional_is_refused():
    with pm.Model(coords={"unit": [0, 1, 2]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x - x.mean(), 1, dims="unit")
    known = bc.truth(model, {}, {"x": [0.0, 1, 2], "y": [0.0, 1, 2]})
    with pytest.raises(bc.BayesCausalError, match="cannot be asked about on their own"):
        bc.counterfactual(known, {"x": 0}, evidence=pd.DataFrame({"x": [1.0]}))
    with pytest.raises(bc.BayesCausalError, match="without the others"):
        bc.counterfactual(known, {"x": 0}, units=[1])
    with pm.Model(coords={"unit": [0, 1], "time": [0, 1]}) as model:
        x = pm.Normal("x", 0, 1, dims=("unit", "time"))
        pm.Normal("y", x, 1, dims=("unit", "time"))
    known = bc.truth(model, {}, {"x": np.zeros((2, 2)), "y": np.ones((2, 2))})
    with pytest.raises(bc.BayesCausalError, match="needs one unit dim"):
        bc.counterfactual(known, {"x": 0}, evidence=pd.DataFrame({"x": [1.0]}))
