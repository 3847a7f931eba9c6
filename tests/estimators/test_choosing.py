"""What is chosen before estimators are asked: covariates, models on the way, an outcome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.estimators import EstimatorWarning, nuisance_scores, pseudo_outcomes, screen
from bayescausal.types import DataError, EstimandError, IdentificationError

GRAPH = "w -> x -> y; x <- z -> y <- p; x -> m -> y; x -> c; q -> y"
ATE = bc.ATE("x", "y")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    z, w, p, q = rng.normal(size=(4, 400))
    x = rng.binomial(1, expit(z + w))
    m, c = x + rng.normal(size=(2, 400))
    y = x + 0.01 * z + p + m + rng.normal(size=400)
    return pd.DataFrame(dict(zip("zwpqxmcy", (z, w, p, q, x, m, c, y), strict=True)))


# ---------------------------------------------------------------------------- covariates


def test_screening_respects_the_graph(data):
    """z hardly moves y, and stays: the graph needs it. Nothing that x changes is offered."""
    found = screen(GRAPH, ATE, data=data)
    assert found.adjust == ("p", "z")
    why = found.table["why"]
    assert found.table.loc["z", "p_outcome"] > 0.1
    assert why["z"] == "the graph needs it"
    assert why["p"].endswith("it adds precision")
    assert why["w"].startswith("an instrument")
    assert why["m"] == why["c"] == "the treatment changes it"
    assert "the data show nothing of it" in why["q"]
    text = found.sentence()
    assert text.startswith("Adjust for p and z. ")
    assert "w: an instrument" in text
    used = bc.triangulate(GRAPH, ATE, data=data, estimators="ipw", adjust=found.adjust, draws=5)
    assert used.problem.adjust == ("p", "z")
    # the p-value of one column is that of its t test
    design = np.column_stack([np.ones(400), data[["p", "z", "x"]]])
    beta = np.linalg.lstsq(design, data["y"], rcond=None)[0]
    left = data["y"] - design @ beta
    inverse = np.linalg.inv(design.T @ design)
    t = beta[2] / np.sqrt(left @ left / 396 * inverse[2, 2])
    from scipy.stats import t as student

    assert found.table.loc["z", "p_outcome"] == pytest.approx(2 * student.sf(abs(t), 396))


def test_an_instrument_is_kept_when_asked_and_said_to_be_one(data):
    found = screen(GRAPH, ATE, data=data, keep="w")
    assert found.adjust == ("p", "w", "z")
    assert "w: an instrument" in found.sentence()
    with pytest.warns(EstimatorWarning, match="w: an instrument, given the others"):
        used = bc.triangulate(GRAPH, ATE, data=data, estimators="ipw", adjust=["z", "w"], draws=5)
    assert any(note.startswith("w: an instrument") for note in used.effects["ipw"].notes)


def test_screening_refuses_what_does_not_serve(data):
    with pytest.raises(IdentificationError, match=r"descends from the treatment \(x -> m\)"):
        screen(GRAPH, ATE, data=data, keep=["m"])
    with pytest.raises(IdentificationError, match="No set of measured variables serves"):
        screen(GRAPH + "; x <-> y", ATE, data=data)
    with pytest.raises(EstimandError, match=r"level=2"):
        screen(GRAPH, ATE, data=data, level=2)
    with pytest.raises(DataError, match="z: empty cells in 1 of 400 rows, which screening"):
        screen(GRAPH, ATE, data=data.assign(z=data["z"].where(data.index > 0)))


def test_a_collider_before_the_treatment_stays_out():
    """u -> c <- v with u -> x and v -> y: c opens the path, either of its causes shuts it."""
    rng = np.random.default_rng(2)
    u, v = rng.normal(size=(2, 400))
    x = rng.binomial(1, expit(u))
    table = {"u": u, "v": v, "c": u + v, "x": x, "y": x + v + rng.normal(size=400)}
    found = screen("u -> c <- v; u -> x -> y <- v", ATE, data=table)
    assert found.adjust == ("v",)
    assert "common effect" in found.table.loc["c", "why"]
    assert found.table.loc["u", "why"].startswith("an instrument")


# ------------------------------------------------------------------------------- models


def test_scores_of_models_are_those_of_held_out_predictions(data):
    """Of means alone: everything by hand, on the package's folds."""
    from bayescausal.estimators.nuisance.folds import folds_of, splits
    from bayescausal.estimators.problem.reading import read_problem

    class Means:
        def fit(self, x, y):
            self.mean = np.mean(y)
            return self

        def predict(self, x):
            return np.full(len(x), self.mean)

    graph = "z -> x -> y; z -> y"
    outcomes = {"means": Means(), "line": "linear"}
    chances = {"mean": Means(), "logistic": "logistic"}
    found = nuisance_scores(graph, ATE, data=data, folds=4, outcome=outcomes, treatment=chances)
    problem = read_problem(graph, ATE, data=data)
    y, t = problem.y, problem.treated.astype(float)
    both, e, line = np.empty((2, 400)), np.empty(400), np.empty(400)
    for seen, asked in splits(folds_of(problem, 4)):
        e[asked] = t[seen].mean()
        for k, level in enumerate((1, 0)):
            rows = seen[t[seen] == level]
            both[k, asked] = y[rows].mean()
            own = asked[t[asked] == level]
            slope = np.polyfit(problem.x[rows, 0], y[rows], 1)
            line[own] = np.polyval(slope, problem.x[own, 0])
    own = np.where(t == 1, both[0], both[1])
    row = found.loc[("means", "mean")]
    assert row["outcome_loss"] == pytest.approx(np.mean((y - own) ** 2))
    assert found.loc[("line", "mean"), "outcome_loss"] == pytest.approx(np.mean((y - line) ** 2))
    assert row["treatment_loss"] == pytest.approx(-np.log(np.where(t == 1, e, 1 - e)).mean())
    left = y - e * both[0] - (1 - e) * both[1]
    one = left @ (t - e) / ((t - e) @ (t - e))
    assert row["r_loss"] == pytest.approx(np.mean((left - one * (t - e)) ** 2))
    scores = both[0] - both[1] + (t / e - (1 - t) / (1 - e)) * (y - own)
    assert row["dr_loss"] == pytest.approx(scores.var())
    assert row["estimate"] == pytest.approx(scores.mean())
    assert row["se"] == pytest.approx(scores.std() / 20)
    assert found["treatment_loss"].idxmin()[1] == "logistic"  # x does depend on z


def test_models_to_score_have_names(data):
    with pytest.raises(EstimandError, match="two models of one name, linear, linear"):
        nuisance_scores(GRAPH, ATE, data=data, outcome=["linear", "linear"])
    with pytest.raises(EstimandError, match="differences over all units"):
        nuisance_scores(GRAPH, bc.ATT("x", "y"), data=data)
    with pytest.raises(EstimandError, match="folds=1"):
        nuisance_scores(GRAPH, ATE, data=data, folds=1)
    with pytest.raises(IdentificationError, match="No adjustment identifies it"):
        nuisance_scores("x -> y; x <-> y", ATE, data=data)


# ------------------------------------------------------------------------------ survival


def area(t, happened, horizon):
    """Return the area under Kaplan and Meier's curve, event by event."""
    alive, total, last = 1.0, 0.0, 0.0
    for v in np.unique(t[happened & (t <= horizon)]):
        total += alive * (v - last)
        alive *= 1 - ((t == v) & happened).sum() / (t >= v).sum()
        last = v
    return total + alive * (horizon - last)


def test_pseudo_outcomes_leave_one_out():
    rng = np.random.default_rng(3)
    t = rng.exponential(2, size=40).round(1)
    end = rng.exponential(3, size=40).round(1)
    happened, seen = t <= end, np.minimum(t, end)
    arm = rng.integers(0, 2, 40)
    for groups in (None, arm):
        found = pseudo_outcomes(seen, happened, 1.5, by=groups)
        for i in range(40):
            mine = np.ones(40, dtype=bool) if groups is None else arm == arm[i]
            others = mine & (np.arange(40) != i)
            n = mine.sum()
            right = n * area(seen[mine], happened[mine], 1.5)
            right -= (n - 1) * area(seen[others], happened[others], 1.5)
            assert found[i] == pytest.approx(right)
    whole = pseudo_outcomes(t, np.ones(40), 1.5)
    np.testing.assert_allclose(whole, np.minimum(t, 1.5))  # nobody censored


def test_pseudo_outcomes_of_bad_data():
    for arguments, said in (
        (([1, 2], [1], 1), "one value of each"),
        (([1, -2], [1, 1], 1), "negative"),
        (([1, 2], [1, 2], 1), "other values than 0 and 1"),
        (([1, 2], [1, 0], 3), "nobody of a group was followed beyond 2"),
        (([1, 2], [1, 0], 0), "horizon=0"),
        (([1], [1], 1), "one unit alone"),
    ):
        with pytest.raises(DataError, match=said):
            pseudo_outcomes(*arguments)
    with pytest.raises(DataError, match="by= has empty cells"):
        pseudo_outcomes([1, 2, 3], [1, 1, 1], 2, by=["a", None, "a"])


@pytest.mark.skipif(not (SHARED / "colon.csv").exists(), reason="the shared data are absent")
def test_months_lived_in_the_colon_trial():
    """Lev+5FU against observation: the difference of the arms' Kaplan-Meier areas, five years."""
    table = pd.read_csv(SHARED / "colon.csv")
    table = table[(table["etype"] == 2) & table["rx"].isin(["Obs", "Lev+5FU"])]
    horizon = 5 * 365.25
    happened = table["status"].to_numpy() == 1
    days = table["time"].to_numpy(float)
    table = table.assign(
        treated=(table["rx"] == "Lev+5FU").astype(int),
        lived=pseudo_outcomes(days, happened, horizon, by=table["rx"]) / 365.25,
    )
    arms = [(table["rx"] == name).to_numpy() for name in ("Lev+5FU", "Obs")]
    right = np.subtract(*(area(days[a], happened[a], horizon) / 365.25 for a in arms))
    found = bc.triangulate("treated -> lived; age -> lived; nodes -> lived",
                           bc.ATE("treated", "lived", population="superpopulation"), data=table,
                           estimators=["regression"], draws=300)  # fmt: skip
    assert found.table["estimate"].iloc[0] == pytest.approx(right, abs=1e-3)
    # a z test of areas by Greenwood's variance has about this error
    assert 0.08 < found.effects["regression"].sd() < 0.16
