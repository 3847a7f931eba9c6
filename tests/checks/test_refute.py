"""A right answer survives, and each way of being wrong is found by the refutation made for it."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

import bayescausal as bc
from bayescausal.checks.refutation import refits as refits_
from bayescausal.checks.refutation.common_cause import COLUMN, with_common_cause
from bayescausal.checks.refutation.data import columns_of
from bayescausal.checks.refutation.refits import Refits, Trial
from bayescausal.checks.refutation.refutation import Refutation
from bayescausal.checks.refutation.refutations import REFUTATIONS
from bayescausal.checks.refutation.rule import table_of
from bayescausal.types import (
    BayesCausalError,
    DataError,
    EstimandError,
    MixingError,
    UnknownVariableError,
)

mpl.use("Agg")
ATE = bc.ATE("x", "y")
UNITS = 300


def line(prior=(0.0, 3.0), square=False):
    """Return z -> x -> y <- z with straight lines; conjugate, so that refits cost little."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a, c, e, g = (pm.Normal(n, 0, 3) for n in "aceg")
        b = pm.Normal("b", *prior)
        x = pm.Normal("x", a + c * (z**2 if square else z), 1, dims="unit")
        s = pm.HalfNormal("s", 3)
        pm.Normal("y", g + e * z + b * x, s, dims="unit")
    return model


def rows(seed=1, noise=lambda x, z, r: r.normal(size=len(x)), bend=False, units=UNITS):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=units)
    x = (z**2 if bend else z) + rng.normal(size=units)
    y = (z**2 if bend else z) + 0.5 * x + noise(x, z, rng)
    return pd.DataFrame({"z": z, "x": x, "y": y})


def fitted(data, **model):
    return bc.fit(line(**model), data, draws=500, chains=2, seed=1, progressbar=False)


def verdict(check, name):
    return check.table.loc[REFUTATIONS[name].title, "verdict"]


def made_instead(monkeypatch, **runs):
    """Let refutations by these names run otherwise."""
    for name, run in runs.items():
        other = type(
            name, (type(REFUTATIONS[name]),), {"run": lambda self, refits, f=run: f(refits)}
        )
        monkeypatch.setitem(REFUTATIONS, name, other())


@pytest.fixture(scope="module")
def right():
    return fitted(rows())


# ----------------------------------------------------------------------- right answers


def test_a_right_answer_survives_all(right):
    rng = np.random.default_rng(3)
    control = right.columns["z"] + rng.normal(size=UNITS)
    check = bc.refute(
        right,
        ATE,
        clusters=rng.integers(0, 6, UNITS),
        negative_control=control,
        replicates=6,
        seed=5,
    )
    assert check.verdict == "pass"
    assert check.table.index.tolist() == [r.title for r in REFUTATIONS.values() if r.by_default]
    assert (check.table["verdict"] == "pass").all()
    assert check.finding == "All 9 refutation tests passed."
    assert "hidden_confounder" in check.meaning
    refits = check.values["refits"]
    assert len(refits) == 7 * 6 + 6 + 1
    row = check.table.loc["bootstrap of units"]
    mine = refits[refits["refutation"] == row.name]
    z = (mine["found"] - mine["expected"]) / mine["allowed"]
    assert row["p_value"] == pytest.approx(stats.chi2.sf((z**2).sum(), 6))
    # of nine refutations one is said at p = 4 x 0.05 / 9; six refits of one posterior sd each
    assert row["allowed"] == pytest.approx(np.sqrt(stats.chi2.isf(0.2 / 9, 6) / 6))
    assert check.plot() is not None


def test_the_same_seed_gives_the_same_table(right):
    tables = [
        bc.refute(right, ATE, tests=["redrawn", "subset"], replicates=3, seed=4).table
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_refits_are_those_of_fit(right):
    """A subset of all units is the fit itself: exact draws are the same bit for bit."""
    options = {"method": "auto", "draws": 500, "chains": 2}
    effect = bc.estimate(right, ATE)
    refits = Refits(right, ATE, effect.mean(), effect.sd(), 0.0, 1, 0.5, 1, options)
    assert refits.effect(columns_of(right), 1, same=True) == pytest.approx(
        (effect.mean(), effect.sd()), rel=1e-10
    )


# ------------------------------------------------------------------- each planted fault


def test_an_effect_that_the_prior_makes_fails_the_placebos_and_the_zero():
    fit = fitted(rows(), prior=(2.0, 0.02))
    check = bc.refute(fit, ATE, tests=["permuted", "redrawn", "zero"], replicates=4)
    assert check.verdict == "fail"
    assert [verdict(check, n) for n in ("permuted", "redrawn", "zero")] == ["fail"] * 3
    assert "it comes from the prior or the form of the model" in check.finding


@pytest.mark.parametrize("formulas", [
    ["w ~ 1", "z ~ 1", "x ~ w + z", "y ~ x + z"],
    ["w ~ 1", "z ~ w", "x ~ w", "m ~ x", "y ~ m + z"],
])  # fmt: skip
def test_a_cause_of_the_treatment_alone_refutes_nothing(formulas):
    """Drawn anew from w, x goes with y because x itself does, through w: that is no wrong form.

    Found once, of x = w + u and y = x + v: Cov(w + u', w + u + v) / Var(w + u') = 1/2, "where 0 was
    expected".
    """
    rng = np.random.default_rng(6)
    w, z, u, v, e = rng.normal(size=(5, UNITS))
    data = {"w": w, "z": z, "x": w + z * ("m" not in str(formulas)) + u}
    if "m ~ x" in formulas:
        data |= {"z": z + w, "m": data["x"] + e}
    data["y"] = data.get("m", data["x"]) + data["z"] + v
    model = bc.model_from_formulas(formulas, data=pd.DataFrame(data))
    fit = bc.fit(model, data, draws=500, chains=2, seed=1, progressbar=False)
    check = bc.refute(fit, ATE, tests=["permuted", "redrawn"], replicates=4)
    assert verdict(check, "permuted") == "pass"
    assert verdict(check, "redrawn") == "undecided"
    child = "m" if "m" in data else "y"
    assert any(f"the equation of {child} does not read" in note for note in check.notes)


def test_no_placebo_is_made_of_a_treatment_with_an_instrument():
    """The model must put down to a shuffled x that z moves y: its effect can be of any size."""
    rng = np.random.default_rng(7)
    z, u, e, v = rng.normal(size=(4, UNITS))
    data = {"z": z, "x": z + u + e, "y": z + 2 * u + e + v}
    design = bc.designs.instrument(data, treatment="x", outcome="y", instrument="z")
    fit = bc.prior(design, draws=5, seed=1)
    refits = SimpleNamespace(fit=fit, treatments=("x",), estimand=ATE)
    assert "latent cause in common" in REFUTATIONS["permuted"].refuse(refits)
    assert "does not read" in REFUTATIONS["redrawn"].refuse(refits)


def test_adjustment_of_the_wrong_form_fails_the_redrawn_placebo_alone():
    fit = fitted(rows(bend=True), square=True)  # y is bent in z, the model draws a straight line
    check = bc.refute(fit, ATE, tests=["permuted", "redrawn"], replicates=6)
    assert verdict(check, "permuted") == "pass"
    assert verdict(check, "redrawn") == "fail"
    assert "the outcome's equation has the wrong form" in check.finding


def test_draws_that_refitting_does_not_give_fail_the_planted_effect():
    """A trace that the model would not have made: its effect is not recovered."""
    model = line(prior=(0.0, 0.02))
    rng = np.random.default_rng(1)
    trace = {
        n: v + 0.01 * rng.normal(size=(2, 200)) for n, v in zip("aceg", (0, 1, 1, 0), strict=True)
    }
    trace |= {"b": 3 + 0.05 * rng.normal(size=(2, 200)), "s": 1 + 0 * trace["a"]}
    check = bc.refute(bc.Fit(model, trace, rows()), ATE, tests="planted", replicates=3)
    assert verdict(check, "planted") == "fail"


def test_a_confounder_that_was_left_out_moves_the_answer(right):
    hidden = np.random.default_rng(2).normal(size=UNITS)
    data = rows()
    data["x"] += hidden
    data["y"] += 0.5 * hidden + 2 * hidden
    fit = fitted(data)
    noise = bc.refute(fit, ATE, tests="common_cause", replicates=3)
    assert verdict(noise, "common_cause") == "pass"  # noise tells nothing of what was left out
    check = bc.refute(fit, ATE, tests="common_cause", common_cause=hidden)
    assert verdict(check, "common_cause") == "fail"
    assert check.table.loc["random common cause", "found"] == pytest.approx(0.5, abs=0.3)
    assert "a confounder that the model left out" in check.finding
    harmless = bc.refute(right, ATE, tests="common_cause", common_cause=hidden)
    assert verdict(harmless, "common_cause") == "pass"


def test_a_confounder_moves_the_answer_beside_empty_cells_too():
    """What is found is the least-squares coefficient of the complete rows, all columns in."""
    hidden = np.random.default_rng(2).normal(size=UNITS)
    data = rows()
    data["x"] += hidden
    data["y"] += 0.5 * hidden + 2 * hidden
    data.loc[:9, "y"] = np.nan
    fit = fitted(data)
    check = bc.refute(fit, ATE, tests="common_cause", common_cause=hidden)
    assert verdict(check, "common_cause") == "fail"
    seen = data["y"].notna()
    columns = np.column_stack([np.ones(UNITS), data["x"], data["z"], hidden])[seen]
    right = np.linalg.lstsq(columns, data["y"][seen], rcond=None)[0][1]
    assert check.table.loc["random common cause", "found"] == pytest.approx(right, abs=0.1)


def test_a_posterior_that_is_too_narrow_fails_bootstrap_and_subset():
    data = rows(noise=lambda x, z, r: r.normal(size=len(x)) * (0.2 + (x - z) ** 2))
    check = bc.refute(fitted(data), ATE, tests=["subset", "bootstrap"], replicates=12)
    assert verdict(check, "bootstrap") == verdict(check, "subset") == "fail"
    assert "the posterior is too narrow" in check.finding
    assert "parts of the data disagree" in check.finding


def test_units_that_come_in_copies_fail_when_a_cluster_is_left_out():
    """Ten copies of 30 units are taken for 300: each cluster moves the answer too much."""
    data = pd.concat([rows(units=30)] * 10, ignore_index=True)
    fit = fitted(data)
    check = bc.refute(fit, ATE, tests=["clusters"], clusters=np.tile(np.arange(30), 10))
    assert verdict(check, "clusters") == "fail"


def test_one_cluster_that_makes_the_answer_is_named():
    data = rows()
    towns = np.random.default_rng(4).choice(["bonn", "cork", "graz", "lodz", "oulu"], UNITS)
    data.loc[towns == "graz", "y"] += 3 * data.loc[towns == "graz", "x"]
    check = bc.refute(fitted(data), ATE, tests=["clusters"], clusters=towns)
    assert check.verdict == "fail"
    assert "without graz the effect is" in check.finding
    assert set(check.values["refits"]["label"]) == {"bonn", "cork", "graz", "lodz", "oulu"}


def test_a_negative_control_that_is_changed_fails(right):
    rng = np.random.default_rng(5)
    changed = right.columns["z"] + 0.7 * right.columns["x"] + rng.normal(size=UNITS)
    check = bc.refute(right, ATE, tests="negative_control", negative_control=changed)
    assert check.verdict == "fail"
    assert "a common cause of both is left out" in check.finding


def test_a_wrong_prior_of_the_adjustment_fails_the_dummy_outcome_and_no_placebo(right):
    """The prior says of z what z and x do together: redrawn, x has nothing left to say."""
    data = rows()
    together = float(np.polyfit(data["z"], data["y"], 1)[0])
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a, b, c = (pm.Normal(n, 0, 3) for n in "abc")
        e = pm.Normal("e", together, 0.01)
        x = pm.Normal("x", a + c * z, 1, dims="unit")
        pm.Normal("y", e * z + b * x, pm.HalfNormal("s", 3), dims="unit")
    fit = bc.fit(model, data, draws=500, chains=2, seed=1, progressbar=False)
    assert bc.estimate(fit, ATE).mean() < 0.35  # 0.5 is right
    check = bc.refute(fit, ATE, tests=["permuted", "redrawn", "dummy_outcome"], replicates=4)
    assert [verdict(check, n) for n in ("permuted", "redrawn")] == ["pass"] * 2
    assert verdict(check, "dummy_outcome") == "fail"
    assert "an effect is found on an outcome that nothing changes" in check.finding
    passed = bc.refute(right, ATE, tests="dummy_outcome", replicates=6)
    assert verdict(passed, "dummy_outcome") == "pass"


class Halved(Refutation):
    """Make every outcome half as large: so is the effect."""

    name = "halved"
    title = "outcome halved"
    passing = "half an outcome has half the effect"
    failing = "the unit of the outcome decides"

    def refit(self, refits, number, rng):
        half = refits.columns | {refits.outcome: refits.columns[refits.outcome] / 2}
        mean, sd = refits.effect(half, refits.seed + number, same=True)
        return mean, refits.mean / 2, sd


def test_a_new_refutation_is_one_class_and_one_line(right, monkeypatch):
    monkeypatch.setitem(REFUTATIONS, "halved", Halved())
    named = bc.refute(right, ATE, tests="halved", replicates=2)
    assert named.table.index.tolist() == ["outcome halved"]
    assert named.verdict == "pass"
    assert named.table["found"].iloc[0] == pytest.approx(
        bc.estimate(right, ATE).mean() / 2, rel=0.1
    )
    with pytest.raises(EstimandError, match="'halve' is not a refutation"):
        bc.refute(right, ATE, tests="halve")
    monkeypatch.setattr(Refits, "effect", lambda self, data, seed, same: (0.0, 1.0))
    others = [n for n, r in REFUTATIONS.items() if r.by_default and n != "halved"]
    made_instead(monkeypatch, **{n: lambda _, n=n: trial(n, [0.1]) for n in others})
    page = bc.report(right, ATE, checks="refute", progressbar=False)
    assert "outcome halved" in page.html
    assert "half an outcome has half the effect" in page.html
    assert "dummy outcome" not in page.html


# ------------------------------------------------------------------------ other models


def test_yes_and_no_counts_mediators_and_labels():
    with pm.Model(coords={"unit": [0]}) as model:
        p = pm.Beta("p", 1, 1)
        x = pm.Bernoulli("x", p, dims="unit")
        q = pm.Beta("q", 1, 1, shape=2)
        m = pm.Bernoulli("m", q[x], dims="unit")
        r = pm.Beta("r", 1, 1, shape=(2, 2))
        pm.Bernoulli("y", r[x, m], dims="unit")
    truth = {"p": 0.5, "q": [0.2, 0.8], "r": [[0.2, 0.5], [0.4, 0.8]]}
    data = bc.simulate(model, truth, units=400, seed=2)
    fit = bc.fit(model, data, draws=500, chains=2, seed=1, progressbar=False)
    tests = ["permuted", "redrawn", "zero", "planted", "subset", "bootstrap"]
    for estimand in (ATE, bc.NIE("x", "y"), bc.ATE("x", "y", scale="ratio")):
        check = bc.refute(fit, estimand, tests=tests, replicates=3, seed=2)
        assert check.verdict in ("pass", "warn"), check.sentence()
        assert (check.table["refits"] == 3).all()
    assert check.table["expected"].iloc[0] == 1.0  # a ratio that means no effect


def test_a_common_cause_enters_each_family_on_its_own_scale():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", logit_p=pm.Normal("a"), dims="unit")
        pm.Poisson("y", pm.math.exp(pm.Normal("b") + x), dims="unit")
    data = {"x": [0, 1, 1, 0], "y": [1, 2, 3, 0]}
    fit = bc.truth(model, {"a": 0.0, "b": 0.0}, data)
    w = np.array([0.5, -1.0, 0.3, 2.0])
    wide = with_common_cause(fit, ("x", "y"), w)
    names = [f"{COLUMN}_on_x", f"{COLUMN}_on_y"]
    assert {v.name for v in wide.free_RVs} >= set(names)
    observed = pm.observe(wide, {"x": np.array(data["x"]), "y": np.array(data["y"])})
    logp = observed.compile_logp(vars=observed.observed_RVs, mode="FAST_COMPILE")
    point = {"a": 0.2, "b": 0.1, names[0]: 0.7, names[1]: -0.4}
    p = 1 / (1 + np.exp(-(0.2 + 0.7 * w)))
    mu = np.exp(0.1 + np.array(data["x"]) - 0.4 * w)
    expected = (
        stats.bernoulli.logpmf(data["x"], p).sum() + stats.poisson.logpmf(data["y"], mu).sum()
    )
    assert float(logp(point)) == pytest.approx(expected)
    with pm.Model(coords={"unit": [0]}) as nominal:
        pm.Categorical("x", [0.2, 0.8], dims="unit")
    with pytest.raises(BayesCausalError, match="no location that a common cause could move"):
        with_common_cause(bc.truth(nominal, {}, {"x": [0, 1]}), ("x",), np.zeros(2))


def test_units_that_touch_are_not_resampled(monkeypatch):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b, s = pm.Normal("b", 0, 2), pm.HalfNormal("s", 2)
        pm.Normal("y", b * x + 0.5 * (x - x.mean()), s, dims="unit")
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    fit = bc.fit(
        model,
        {"x": x, "y": x + rng.normal(size=60)},
        draws=200,
        chains=2,
        seed=1,
        progressbar=False,
    )
    with pytest.raises(
        MixingError, match="A subset or a bootstrap of units would be another model"
    ):
        bc.refute(fit, ATE, tests=["bootstrap"])
    monkeypatch.setattr(Refits, "effect", lambda self, data, seed, same: (0.0, 1.0))
    made_instead(monkeypatch, common_cause=lambda _: Trial("common_cause"))
    check = bc.refute(fit, ATE, replicates=2)
    assert verdict(check, "bootstrap") == verdict(check, "subset") == "undecided"
    assert any(n.startswith("bootstrap of units: not tried.") for n in check.notes)
    assert verdict(check, "permuted") != "undecided"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tests": "placebo"}, EstimandError, "'placebo' is not a refutation"),
        ({"tests": "clusters"}, DataError, "needs clusters="),
        ({"clusters": [1, 2]}, DataError, "One label for each unit"),
        ({"clusters": np.arange(UNITS) % 2}, EstimandError, "Three clusters or more"),
        ({"clusters": "town"}, UnknownVariableError, "'town' is not a column of the fit"),
        ({"negative_control": "w"}, UnknownVariableError, "'w' is not a column of the fit"),
        ({"negative_control": [1.0]}, DataError, "Finite numbers with the shape of 'y'"),
        ({"negative_control": ["a"] * UNITS}, DataError, "holds what is no number"),
        ({"common_cause": np.ones(UNITS)}, DataError, "common_cause= is constant"),
        ({"replicates": 0}, EstimandError, "replicates=0"),
        ({"share": 1.0}, EstimandError, "share=1.0"),
        ({"level": "x"}, EstimandError, "level='x'"),
    ],
)
def test_options_that_make_no_sense_are_refused(right, options, error, message):
    tests = (
        [*options] if "negative_control" in options or "common_cause" in options else ["clusters"]
    )
    asked = {"tests": tests} if set(options) & {"clusters", *tests} else {}
    with pytest.raises(error, match=message):
        bc.refute(right, ATE, **{**asked, **options})


def test_questions_that_cannot_be_refuted_are_refused(right):
    for estimand, message in (
        ("ATE", "where a question is needed"),
        (bc.Expected("y"), "names no treatment"),
        (bc.DoseResponse("x", "y", values=[0, 1]), "no single number"),
    ):
        with pytest.raises(EstimandError, match=message):
            bc.refute(right, estimand)
    model = line()
    values = dict.fromkeys("acegb", 0.0) | {"s": 1.0}
    with pytest.raises(EstimandError, match="cannot be refuted"):
        bc.refute(bc.truth(model, values, rows()), ATE)
    trace = {k: np.full((1, 4), v) for k, v in values.items()}
    with pytest.raises(EstimandError, match="the same value in every draw"):
        bc.refute(bc.Fit(model, trace, rows()), ATE)
    latent = {**{k: v + np.zeros((1, 4)) for k, v in trace.items()}, "x": np.zeros((1, 4, UNITS))}
    with pytest.raises(EstimandError, match="'x' was not observed"):
        bc.refute(bc.Fit(model, latent, rows().drop(columns="x")), ATE)


def test_a_refit_whose_sampler_had_trouble_does_not_count(right, monkeypatch):
    lost = {"divergences": right.n_draws, "messages": ("Draws diverged.",)}
    bad, other = copy.copy(right), copy.copy(right)
    object.__setattr__(bad, "diagnostics", dataclasses.replace(right.diagnostics, **lost))
    # chains that disagree about something that was not asked for
    object.__setattr__(other, "diagnostics", dataclasses.replace(right.diagnostics, r_hat=2.7))
    answers = [right, bad, other]

    class Fitter:
        def fit(self, data, seed):
            return answers.pop()

    monkeypatch.setattr(refits_, "Refitter", lambda *_, **__: Fitter())
    check = bc.refute(right, ATE, tests="permuted", replicates=3)
    assert check.table["refits"].tolist() == [2]
    assert "1 of 3 refits failed. The sampler had trouble. Draws diverged." in check.notes[0]
    answers = [bad]
    control = np.random.default_rng(1).normal(size=UNITS)
    check = bc.refute(right, ATE, tests="negative_control", negative_control=control)
    assert check.verdict == "undecided"
    assert check.finding == "No refutation could be tried."
    assert "not tried. The sampler had trouble" in check.notes[0]
    answers = [right]
    apart = np.random.default_rng(2).normal(size=(2, 50)) + np.array([[0.0], [9.0]])
    held = SimpleNamespace(draws=xr.DataArray(apart, dims=("chain", "draw")))
    monkeypatch.setattr(refits_, "answer", lambda *_: held)
    check = bc.refute(right, ATE, tests="negative_control", negative_control=control)
    assert "the chains disagree about the effect, with an r_hat of" in check.notes[0]


# ------------------------------------------------- a table and a verdict that say the same


def trial(name, z, failed=0):
    """Return a refutation whose refits are off by so many sds of chance."""
    made = Trial(name)
    for k, each in enumerate(z):
        made.add(0.3 + each * 0.1 * (1 + k), 0.3, 0.1 * (1 + k), str(k))
    made.failed = ["It diverged."] * failed
    return made


@pytest.mark.parametrize("seed", range(5))
def test_a_row_passes_just_where_its_shift_is_below_what_is_allowed(seed):
    rng = np.random.default_rng(seed)
    names = [n for n in REFUTATIONS if n != "negative_control"]
    table = table_of(
        [trial(n, rng.normal(size=5) * rng.choice([1, 1.7])) for n in names], 0.2, 0.05
    )
    assert ((table["shift"] <= table["allowed"]) == (table["verdict"] == "pass")).all()


def borderline(count, tried=1, level=0.05):
    """Return z of refits with p between the level and four times it."""
    return [float(np.sqrt(stats.chi2.isf(2 * level / tried, count) / count))] * count


@pytest.mark.parametrize(
    ("then", "said"), [([0.5] * 12, "pass"), ([3.0] * 12, "fail"), (borderline(12), "warn")]
)
def test_what_is_borderline_is_made_again_and_the_new_refits_decide(right, monkeypatch, then, said):
    asked = []

    def permuted(refits):
        asked.append((refits.replicates, refits.seed))
        return trial("permuted", borderline(4) if refits.replicates == 4 else then)

    made_instead(monkeypatch, permuted=permuted)
    check = bc.refute(right, ATE, tests="permuted", replicates=4, seed=1)
    assert [n for n, _ in asked] == [4, 12]
    assert asked[0][1] != asked[1][1]
    assert check.verdict == said
    assert check.table["refits"].tolist() == [12]
    assert "borderline with 4 refits (p = 0.1), so it was made again" in check.notes[0]


@pytest.mark.parametrize(("z", "asked"), [([0.1] * 4, 1), ([4.0] * 4, 1)])
def test_what_is_settled_is_not_made_again(right, monkeypatch, z, asked):
    calls = []
    made_instead(monkeypatch, permuted=lambda b: calls.append(1) or trial("permuted", z))
    bc.refute(right, ATE, tests="permuted", replicates=4)
    assert len(calls) == asked


def test_a_refutation_of_which_most_refits_failed_does_not_pass(right, monkeypatch):
    made_instead(monkeypatch, permuted=lambda _: trial("permuted", [0.1], failed=3))
    made_instead(monkeypatch, zero=lambda _: trial("zero", [0.1] * 4))
    made_instead(monkeypatch, planted=lambda _: trial("planted", [9.0], failed=3))
    alone = bc.refute(right, ATE, tests="permuted", replicates=4)
    assert alone.verdict == alone.table["verdict"].iloc[0] == "undecided"
    assert "3 of 4 refits failed" in alone.notes[0]
    both = bc.refute(right, ATE, tests=["permuted", "zero"], replicates=4)
    assert both.verdict == "pass"
    assert both.finding.endswith("Of 1 more, most refits failed.")
    assert bc.refute(right, ATE, tests="planted", replicates=4).verdict == "fail"


# ------------------------------------------------------------------------ false alarms


@pytest.mark.slow
def test_right_models_fail_as_rarely_as_stated():
    """In 60 studies 5% fail at most: more than 9 has probability below .002."""
    failed = 0
    for seed in range(60):
        fit = fitted(rows(seed=100 + seed))
        failed += bc.refute(fit, ATE, replicates=6, seed=seed).verdict == "fail"
    assert failed <= 9
