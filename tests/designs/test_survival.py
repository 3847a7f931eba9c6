"""Survival: published numbers, the likelihood against SciPy, records of every kind, bad tables.

Numbers of the colon cancer trial (Lev+5FU against observation, death) are those of
``shared/reference/designs.yaml``: Cox log hazard ratio -.371710 (se .118754, all three arms),
Weibull log hazard ratio -.3946 and shape 1.0127 (two arms), difference of the restricted means at
1825 days 111.33 (se 46.95), of the survival .1083; recurrence -.512093.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

import bayescausal as bc
from bayescausal.designs.time_to_event.likelihood import censored_likelihood
from bayescausal.designs.time_to_event.nonparametric import cox, kaplan_meier
from bayescausal.designs.time_to_event.records import read_records
from bayescausal.types import DataError

COLON = Path(__file__).parents[3] / "shared" / "data" / "colon.csv"
needs_colon = pytest.mark.skipif(not COLON.exists(), reason="no shared data")


def colon(kind=2, arms=("Obs", "Lev+5FU")):
    data = pd.read_csv(COLON)
    return data[(data.etype == kind) & data.rx.isin(arms)].reset_index(drop=True)


@pytest.fixture(scope="module")
def study():
    if not COLON.exists():
        pytest.skip("no shared data")
    design = bc.designs.survival(
        colon(), time="time", event="status", treatment="rx", control="Obs", upto=1825
    )
    fit = bc.fit(design.model, design.data, draws=500, seed=1, progressbar=False)
    return design, fit


# ------------------------------------------------------------------ without a model


@needs_colon
@pytest.mark.parametrize(("kind", "right"), [(2, -0.371710), (1, -0.512093)])
def test_cox_regression_gives_the_published_log_hazard_ratio(kind, right):
    data = colon(kind, ("Obs", "Lev", "Lev+5FU"))
    design = np.stack([data.rx == "Lev", data.rx == "Lev+5FU"], axis=1).astype(float)
    beta, error = cox(data.time.to_numpy(), data.status.to_numpy() == 1, design)
    assert beta[1] == pytest.approx(right, abs=2e-6)
    if kind == 2:
        assert error[1] == pytest.approx(0.118754, abs=1e-6)


@needs_colon
def test_kaplan_meier_gives_the_published_restricted_mean_and_survival():
    data = colon()
    curves = {
        arm: kaplan_meier(rows.time.to_numpy(), rows.status.to_numpy() == 1)
        for arm, rows in data.groupby("rx")
    }
    means = {arm: c.restricted_mean(1825.0) for arm, c in curves.items()}
    assert means["Lev+5FU"][0] - means["Obs"][0] == pytest.approx(111.33, abs=0.01)
    assert np.hypot(means["Lev+5FU"][1], means["Obs"][1]) == pytest.approx(46.95, abs=0.05)
    at = np.array([1825.0])
    assert float(curves["Lev+5FU"].at(at)[0] - curves["Obs"].at(at)[0]) == pytest.approx(
        0.1083, abs=1e-4
    )


def test_late_entries_are_at_risk_from_their_entry_on():
    time, event = np.array([2.0, 4.0, 6.0, 8.0]), np.array([True, True, True, False])
    curve = kaplan_meier(time, event, np.array([0.0, 3.0, 0.0, 5.0]))
    assert curve.at_risk.tolist() == [2.0, 2.0, 2.0]  # 1 and 3; 2 and 3; 3 and 4
    assert curve.survival.tolist() == [0.5, 0.25, 0.125]
    beta, _ = cox(time, event, np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([0, 3.0, 0, 5]))
    # x = 1 and 0 at risk at 4 (the first has it) and at 6 (the second): the slope is 1 - 2p
    assert beta[0] == pytest.approx(0.0, abs=1e-9)


# ------------------------------------------------------------------ published numbers


def test_the_posterior_is_that_of_the_published_weibull_regression(study):
    _, fit = study
    assert fit.methods["alpha_time, b_time_rx, b_time_Intercept"] == "laplace (metropolis)"
    data = colon()
    x, t, d = (data.rx == "Lev+5FU").to_numpy(float), data.time.to_numpy(float), data.status

    def loss(p):
        law = stats.weibull_min(np.exp(p[2]), scale=np.exp(p[0] + p[1] * x))
        return -np.where(d == 1, law.logpdf(t), law.logsf(t)).sum()

    best = minimize(loss, [8.0, 0.0, 0.0]).x
    ratio, shape = -np.exp(best[2]) * best[1], np.exp(best[2])
    assert (ratio, shape) == (pytest.approx(-0.3946, abs=1e-4), pytest.approx(1.0127, abs=1e-4))
    draws = fit.posterior["log_hazard_ratio"].values.ravel()
    # weak priors pull by less than a tenth of the posterior sd; Monte Carlo by 1 / sqrt(1,000)
    assert abs(draws.mean() - ratio) < (0.1 + 4 / np.sqrt(1_000)) * draws.std()
    shapes = fit.posterior["alpha_time"].values.ravel()
    assert abs(shapes.mean() - shape) < (0.1 + 4 / np.sqrt(1_000)) * shapes.std()
    assert draws.std() == pytest.approx(0.1188, rel=0.06)


def test_effects_hold_what_was_published_and_are_those_of_the_draws(study):
    design, fit = study
    rmst, alive = (bc.estimate(fit, design.effects[n]) for n in ("RMST", "survival at upto"))
    low, high = rmst.interval(0.94)
    assert low < 111.33 < high
    low, high = alive.interval(0.94)
    assert low < 0.1083 < high
    post = {n: fit.posterior[n].values.ravel() for n in ("alpha_time", "b_time_Intercept")}
    b = fit.posterior["b_time_rx"].values.ravel()
    grid = np.linspace(0, 1825, 2_001)
    curves = [
        np.exp(-((grid[:, None] / np.exp(post["b_time_Intercept"] + b * x)) ** post["alpha_time"]))
        for x in (0, 1)
    ]
    area = np.trapezoid(curves[1] - curves[0], grid, axis=0)
    np.testing.assert_allclose(rmst.draws.values.ravel(), area, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        alive.draws.values.ravel(), (curves[1] - curves[0])[-1], rtol=1e-6, atol=1e-9
    )
    risk = bc.estimate(fit, design.effects["risk difference"])
    np.testing.assert_allclose(risk.draws, -alive.draws, atol=1e-12)
    median = bc.estimate(fit, design.effects["median"]).draws.values.ravel()
    half = np.log(2) ** (1 / post["alpha_time"])
    right = half * (np.exp(post["b_time_Intercept"] + b) - np.exp(post["b_time_Intercept"]))
    # a quantile is searched among drawn units, anew in each draw: the noise is averaged over draws
    noise = (median - right).std() / np.sqrt(len(right))
    assert abs((median - right).mean()) < 4 * noise < 0.02 * right.mean()
    assert "not its censored record" in rmst.sentence()


def test_a_censored_unit_keeps_its_own_time(study):
    _, fit = study
    data = colon()
    known = bc.counterfactual(fit, {"rx": 1})["time"]
    row = int(np.flatnonzero((data.status == 1) & (data.rx == "Obs"))[0])
    b = fit.posterior["b_time_rx"].values[..., 0]
    # the same noise in a Weibull of another scale: the time times exp(b)
    np.testing.assert_allclose(
        known.sel(world="counterfactual").values[..., row], data.time[row] * np.exp(b), rtol=1e-6
    )


# ------------------------------------------------------------------ checks, words, pictures


def test_checks_speak_to_the_assumptions(study):
    design, fit = study
    against = design.checks["fit against Kaplan-Meier"](fit)
    assert set(against.verdict) == {"agrees"}
    assert len(against) == 10
    hazards = design.checks["proportional hazards"](fit)
    assert hazards.loc["second half", "verdict"] == "no change seen"
    seen = design.checks["follow-up"](fit)
    assert seen["rows"].tolist() == [315, 304]
    assert set(seen.verdict) == {"seen"}
    table = design.checks["families"](fit)
    assert table.loc["weibull", "in use"] == "*"
    assert table.index[0] == "lognormal"
    named = {a.name: a for a in design.assumptions}
    assert "not collapsible" in named["hazard ratio"].text
    assert {a.check for a in design.assumptions if a.check} - {"bc.hidden_confounder"} <= set(
        design.checks
    )
    ax = design.plots["survival"](fit)
    assert next(line.get_label() for line in ax.lines) == "do(rx = Obs)"


def crossing(n=1500, seed=2):
    """Hazards that cross: the treated have three times the hazard before 1, a third after."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, n)
    early, late = np.where(x == 1, 0.9, 0.3), np.where(x == 1, 0.1, 0.3)
    e = rng.exponential(size=n)
    t = np.where(e < early, e / early, 1.0 + (e - early) / late)
    c = rng.uniform(1, 8, n)
    return pd.DataFrame({"t": np.minimum(t, c), "d": (t < c).astype(int), "x": x})


def test_hazards_that_cross_are_noticed_by_both_checks():
    design = bc.designs.survival(
        crossing(), time="t", event="d", treatment="x", family="exponential", upto=6.0
    )
    hazards = design.checks["proportional hazards"](None)
    assert hazards.loc["second half", "verdict"] == "changes"
    assert hazards["log hazard ratio"].iloc[1] > 0.7 > -0.2 > hazards["log hazard ratio"].iloc[2]
    fit = bc.fit(design.model, design.data, draws=200, seed=1, progressbar=False)
    assert "differs" in set(design.checks["fit against Kaplan-Meier"](fit).verdict)


def test_beyond_the_follow_up_it_is_said_that_the_family_answers():
    data = crossing(200)
    design = bc.designs.survival(data, time="t", event="d", treatment="x", upto=50)
    [said] = [a for a in design.assumptions if a.name == "extrapolation"][:1]
    assert "up to 50 the answer is the weibull family's" in said.text
    assert set(design.checks["follow-up"](None).verdict) == {"extrapolated"}
    plain = bc.designs.survival(data, time="t", event="d", treatment="x")
    assert "extrapolation" not in {a.name for a in plain.assumptions}
    last = data.groupby("x").t.max().min()
    assert plain.effects["RMST"].functional == bc.RestrictedMean(upto=last)


# ------------------------------------------------------------------ records of every kind


def windows(n=700, seed=3):
    """Times with late entry, seen exactly, later, earlier or in an interval; and the truth."""
    rng = np.random.default_rng(seed)
    x, z = rng.integers(0, 2, n), rng.normal(size=n)
    t = np.exp(1 + 0.5 * x + 0.3 * z) * rng.weibull(1.4, n)
    entry = rng.uniform(0, 2, n) * (rng.random(n) < 0.6)
    x, z, t, entry = (v[t > entry] for v in (x, z, t, entry))
    end = entry + rng.uniform(1, 8, len(t))
    status, time = (t < end).astype(int), np.minimum(t, end)
    upper, floor = np.full(len(t), np.nan), np.floor(t / 1.5) * 1.5
    between = (status == 1) & (rng.random(len(t)) < 0.4) & (floor > entry)
    time, upper = np.where(between, floor, time), np.where(between, floor + 1.5, upper)
    early = (status == 1) & ~between & (rng.random(len(t)) < 0.2)
    time = np.where(early, t * 1.3, time)
    status = np.select([between, early], [3, 2], status)
    return pd.DataFrame({"t": time, "s": status, "x": x, "z": z, "a": entry, "u": upper})


def test_late_entry_and_intervals_have_the_likelihood_of_scipy():
    data = windows()
    design = bc.designs.survival(
        data, time="t", event="s", treatment="x", covariates=["z"], entry="a", upper="u", upto=5
    )
    fit = bc.fit(design.model, design.data, draws=300, seed=1, progressbar=False)

    def loss(p):
        law = stats.weibull_min(np.exp(p[3]), scale=np.exp(p[0] + p[1] * data.x + p[2] * data.z))
        inside = np.log(law.sf(data.t) - law.sf(data.u.fillna(99.0)))
        before = np.log(law.sf(data.a) - law.sf(data.t))  # in the study, then with the event
        cases = [law.logpdf(data.t), law.logsf(data.t), before]
        terms = np.select([data.s == 1, data.s == 0, data.s == 2], cases, inside)
        return -(terms - law.logsf(data.a)).sum()

    best = minimize(loss, [1.0, 0.0, 0.0, 0.0]).x
    names = ["b_t_Intercept", "b_t_x", "b_t_z", "alpha_t"]
    for name, right in zip(names, [*best[:3], np.exp(best[3])], strict=True):
        draws = fit.posterior[name].values.ravel()
        assert abs(draws.mean() - right) < (0.15 + 4 / np.sqrt(600)) * draws.std(), name
    rmst = bc.estimate(fit, design.effects["RMST"])
    z = data.z.to_numpy()
    grid = np.linspace(0, 5, 201)[:, None]
    alive = [stats.weibull_min(1.4, scale=np.exp(1 + 0.5 * x + 0.3 * z)).sf(grid) for x in (0, 1)]
    truth = np.trapezoid((alive[1] - alive[0]).mean(axis=1), grid[:, 0])
    low, high = rmst.interval(0.99)
    assert low < truth < high
    # a unit of which an interval is known stays in it
    row = int(np.flatnonzero(data.s == 3)[0])
    known = bc.counterfactual(fit, {"x": int(data.x[row])})["t"].sel(world="factual")[..., row]
    assert float(known.min()) > data.t[row]
    assert float(known.max()) <= data.u[row]


def test_a_treatment_that_changes_within_units_is_compared_by_the_time_at_risk():
    """Two intervals a unit: the second enters where the first ends, which is no lag."""
    rng = np.random.default_rng(7)
    n = 300
    late = rng.integers(0, 2, n)
    time = rng.exponential(2.0 * np.exp(0.5 * late))
    end = rng.uniform(1, 6, n)
    seen, last = (time <= end).astype(int), np.minimum(time, end)
    rows = pd.DataFrame({
        "id": np.repeat(np.arange(n), 2), "start": np.c_[np.zeros(n), last / 2].ravel(),
        "stop": np.c_[last / 2, last].ravel(), "event": np.c_[np.zeros(n, int), seen].ravel(),
        "x": np.c_[np.zeros(n, int), late].ravel(),
    })  # fmt: skip
    design = bc.designs.survival(
        rows, time="stop", event="event", treatment="x", covariates=[], unit="id", entry="start",
        family="exponential", upto=4,
    )  # fmt: skip
    fit = bc.fit(design, seed=1, progressbar=False)
    # the likelihood is that of events in the time at risk: rates are their quotients
    risk = (rows["stop"] - rows["start"]).groupby(rows["x"]).sum()
    rate = rows.groupby("x")["event"].sum() / risk
    ratio = fit.posterior["log_hazard_ratio"].values
    right = np.log(rate[1] / rate[0])
    assert abs(ratio.mean() - right) < (0.15 + 4 / np.sqrt(1000)) * ratio.std()
    effect = bc.estimate(fit, design.effects["RMST"])
    exact = (1 - np.exp(-4 * rate)) / rate
    assert abs(float(effect.mean()) - (exact[1] - exact[0])) < 0.3 * float(effect.draws.std())


def test_the_check_of_the_family_has_the_same_likelihood():
    data = windows().iloc[:200]
    records, _ = read_records(
        data, time="t", event="s", treatment="x", covariates=[], treated=1, control=0, entry="a",
        upper="u", frailty=None, unit=None, missing="refuse",
    )  # fmt: skip
    law = stats.weibull_min(1.4, scale=2.0)
    inside = np.log(law.sf(data.t) - law.sf(data.u.fillna(99.0)))
    before = np.log(law.sf(data.a) - law.sf(data.t))
    terms = np.select(
        [data.s == 1, data.s == 0, data.s == 2],
        [law.logpdf(data.t), law.logsf(data.t), before],
        inside,
    )
    middle = np.full(len(data), np.log(2.0))
    found = censored_likelihood("weibull", records, middle, np.log(1.4))
    assert found == pytest.approx(float((terms - law.logsf(data.a)).sum()))


# ------------------------------------------------------------------ bad tables

GOOD = {"t": [1.0, 2.0, 3.0, 4.0], "d": [1, 1, 1, 0], "x": [0, 1, 0, 1], "a": [0.0] * 4}


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"t": [0.0, 2, 3, 4]}, {}, "1 of 4 times in 't' are not positive, such as 0 in row 0"),
        ({"t": [-1.0, 2, 3, 4]}, {}, "such as -1 in row 0"),
        ({"d": ["dead", "dead", "alive", "dead"]}, {}, r"\(data\['d'\] == 'dead'\)"),
        ({"d": [1, 4, 0, 1]}, {}, "holds 1, 4, 0"),
        ({"d": [3, 1, 0, 1]}, {}, "need its end: upper="),
        ({"d": [1, 2, 2, 1]}, {}, r"R's tables .*\(data\['d'\] == 2\)"),
        ({"d": [0, 0, 0, 0]}, {}, "There is no event"),
        ({"d": [1, 0, 1, 0]}, {}, "Nobody of the 2 rows with x = 1 has the event"),
        ({"a": [2.0, 0, 0, 0]}, {"entry": "a"}, "1 rows end before they begin, such as row 0"),
        ({"a": [-2.0, 0, 0, 0]}, {"entry": "a"}, "goes down to -2"),
        ({"x": [2, 1, 2, 1]}, {}, r"takes the values 1, 2.*treated=2, control=1"),
        ({"x": list("abca")}, {}, "has 3 levels: 'a', 'b', 'c'"),
        ({"x": list("abab")}, {"treated": "B"}, "treated='B' is no level"),
        ({}, {"family": "weibul"}, "Did you mean 'weibull'"),
        ({}, {"upto": -1}, "upto=-1"),
        ({}, {"upto": np.inf}, "A finite number"),
        ({}, {"times": [0.0]}, "Positive numbers"),
        ({}, {"pieces": 3}, "A family whose baseline has pieces"),
        ({"d": [3, 1, 1, 0], "u": [0.5, 0, 0, 0]}, {"upper": "u"}, "do not end after they begin"),
        ({"t": [np.nan, 2, 3, 4]}, {}, "have an empty cell"),
        ({}, {"covariates": ["agee"]}, "agee"),
    ],
)
def test_tables_that_cannot_be_are_refused_in_words(change, options, said):
    data = {**GOOD, **change}
    with pytest.raises(DataError if "agee" not in said else ValueError, match=said):
        bc.designs.survival(data, time="t", event="d", treatment="x", **options)


def test_events_before_their_time_are_counted_among_the_assumptions():
    """As codes of pbc, 0 censored, 1 transplant, 2 dead, would be read without competing=."""
    data = {**GOOD, "d": [1, 0, 2, 1]}
    design = bc.designs.survival(data, time="t", event="d", treatment="x")
    said = [a.text for a in design.assumptions if a.name == "codes of the event"]
    assert said == [
        "The 1 of 4 rows with code 2 had the event at some time before t. Where 2 is another "
        "event, name it: competing=."
    ]


@pytest.mark.parametrize("family", ["weibull", "exponential", "lognormal", "gamma"])
def test_the_model_is_shown_as_code_that_makes_it(family):
    import pymc as pm

    data = {**GOOD, "d": [1, 1, 2, 0], "x": list("abab")}
    design = bc.designs.survival(data, time="t", event="d", treatment="x", family=family)
    scope: dict = {}
    exec(bc.model_source(design.model), scope)
    both = [pm.observe(m, {"t": np.array(data["t"])}) for m in (design.model, scope["model"])]
    point = {n: v + 0.1 for n, v in both[0].initial_point().items()}
    first, second = (m.compile_logp(mode="FAST_COMPILE")(point) for m in both)
    assert float(first) == pytest.approx(float(second), rel=1e-12)
