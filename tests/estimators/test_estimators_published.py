"""Numbers that others published, on the same data.

R. LaLonde's job training data as MatchIt ships them (614 rows: 185 treated, 429 controls) and the
NHEFS follow-up of M. Hernan and J. Robins, *Causal Inference: What If*, chapters 12 and 13.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.estimators import AIPW, IPW, Matching

DATA = Path(__file__).parents[3] / "shared" / "data"
COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]


def confounders(names, treatment, outcome):
    return "; ".join(f"{n} -> {treatment} -> {outcome}; {n} -> {outcome}" for n in names)


@pytest.fixture(scope="module")
def lalonde():
    if not (DATA / "lalonde.csv").exists():
        pytest.skip("the job training data are not here")
    return pd.read_csv(DATA / "lalonde.csv")


def asked(data, question, estimators, names=COVARIATES, draws=400, **options):
    graph = confounders(names, "treat", "re78")
    return bc.triangulate(
        graph, question, estimators=estimators, data=data, draws=draws, seed=1, **options
    )


def test_average_effects_of_the_training(lalonde):
    found = asked(
        lalonde,
        bc.ATE("treat", "re78"),
        [
            "regression",
            "stratified",
            IPW(),
            AIPW(),
            AIPW(interactions=True),
        ],
        draws=1000,
    )
    table = found.table
    published = {
        "regression": 1548.243802,  # least squares with all covariates
        "stratified": 1074.91,
        "ipw": 224.68,
        "AIPW()": 887.17,
        "AIPW(interactions=True)": 469.64,
    }
    for name, value in published.items():
        assert table.loc[name, "estimate"] == pytest.approx(value, abs=0.01)
    numbers = found.answers["regression"].prepared[0].numbers
    assert numbers["classical"] == pytest.approx(781.28, abs=0.01)
    assert numbers["hc3"] == pytest.approx(749.99, abs=0.01)
    # the draws have the spread of the robust error: HC3 overstates it a little
    assert found.effects["regression"].sd() == pytest.approx(numbers["hc3"], rel=0.08)
    assert float(found.effects["regression"]) == pytest.approx(1548.24, abs=4 * 750 / 1000**0.5)


def test_effects_on_the_trained(lalonde):
    ask = [
        "stratified",
        "ipw",
        AIPW(),
        AIPW(interactions=True),
        *(Matching(k=k) for k in (1, 2, 5)),
        Matching(replace=False),
        Matching(replace=False, caliper=0.2),
    ]
    found = asked(lalonde, bc.ATT("treat", "re78"), ask)
    values = found.table["estimate"].tolist()
    published = [1647.58, 1214.07, 1202.08, 1226.54, 1967.94, 1778.87, 1449.58, 894.367, 1571.744]
    assert values == pytest.approx(published, abs=0.01)
    pairs = found.answers["Matching(caliper=0.2, replace=False)"]
    assert pairs.effect.population == "the 113 of 185 treated units with a match"
    assert np.isfinite(found.table["sd"]).all()


def test_propensity_matching_in_both_directions(lalonde):
    """The published ties are those of a ball tree after L2-penalised logistic regression.

    Many people share all five columns, so who is the nearest is often a tie: with the first in the
    data in place of the tree's choice the number is another, and the answer says so.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors

    names = ["age", "educ", "nodegree", "married", "re75"]
    published = Matching(
        treatment=LogisticRegression(), search=NearestNeighbors(algorithm="ball_tree")
    )
    values = {}
    for question in (bc.ATE, bc.ATT, bc.ATU):
        found = asked(
            lalonde, question("treat", "re78"), [published], names=names, draws=50, adjust=names
        )
        values[question.__name__] = float(found.effects["matching"])
    assert values == pytest.approx({"ATE": 959.031, "ATT": 390.03, "ATU": 1204.40}, abs=0.01)
    assert values["ATE"] == pytest.approx((185 * values["ATT"] + 429 * values["ATU"]) / 614)
    own = asked(lalonde, bc.ATT("treat", "re78"), ["matching"], names=names, draws=50)
    assert any(note.startswith("Ties: ") for note in own.effects["matching"].notes)


@pytest.fixture(scope="module")
def nhefs():
    if not (DATA / "nhefs.csv").exists():
        pytest.skip("the NHEFS data are not here")
    data = pd.read_csv(DATA / "nhefs.csv").dropna(subset=["wt82_71"])
    for name in ("age", "smokeintensity", "smokeyrs", "wt71"):
        data[f"{name}_squared"] = data[name] ** 2
    for name in ("education", "exercise", "active"):
        data[name] = data[name].astype("category")
    return data


def test_quitting_smoking_and_weight(nhefs):
    names = ["sex", "race", "age", "education", "smokeintensity", "smokeyrs", "exercise", "active"]
    names += ["wt71", *(c for c in nhefs if c.endswith("_squared"))]
    found = bc.triangulate(
        confounders(names, "qsmk", "wt82_71"),
        bc.ATE("qsmk", "wt82_71", population="superpopulation"),
        estimators=["ipw", "standardization", "aipw", "tmle"],
        data=nhefs,
        draws=500,
        seed=1,
    )
    table = found.table
    assert len(nhefs) == 1566
    assert table.loc["ipw", "estimate"] == pytest.approx(3.4, abs=0.05)
    # the book's robust 95% interval, 2.4 to 4.5, takes the propensity as known: on the wide side
    low, high = found.effects["ipw"].interval(0.95, kind="eti")
    assert 2.35 < low < 2.65
    assert 4.25 < high < 4.55
    for name in ("standardization", "aipw", "tmle"):
        assert table.loc[name, "estimate"] == pytest.approx(3.5, abs=0.08)
    assert "agree within their joint uncertainty" in found.sentence()
