"""Differences in differences: published numbers, regressions beside them, refusals."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.types import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data"
there = pytest.mark.skipif(not (SHARED / "mpdta.csv").exists(), reason="data not there")

# Callaway-Sant'Anna, never treated as controls, no covariates (the did package's mpdta).
GROUP_TIME = {
    "2004, 2004": -0.0105,
    "2004, 2005": -0.0704,
    "2004, 2006": -0.1373,
    "2004, 2007": -0.1008,
    "2006, 2006": -0.0046,
    "2006, 2007": -0.0412,
    "2007, 2007": -0.0261,
}
SIMPLE, BY_GROUP, EVENT_AVERAGE, TOLERANCE = -0.039951, -0.031018, -0.07724, 0.004


def panel(starts=(0, 0, 0, 3, 3, 4, 4), periods=6, seed=1, effect=2.0):
    """Return a balanced panel: first treated at `starts`, 0 never."""
    rng = np.random.default_rng(seed)
    n = len(starts)
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), periods),
            "t": np.tile(np.arange(1, periods + 1), n),
            "g": np.repeat(starts, periods),
        }
    )
    frame["d"] = ((frame["g"] > 0) & (frame["t"] >= frame["g"])).astype(int)
    level = np.repeat(rng.normal(size=n), periods)
    frame["y"] = level + 0.5 * frame["t"] + effect * frame["d"] + rng.normal(0, 0.5, len(frame))
    return frame


def did(data, **options):
    options = {"first_treated": "g"} | options
    return bc.designs.difference_in_differences(data, "y", unit="id", time="t", **options)


def saturated(frame, treated, *, leads):
    """Return least squares of y on units, times, and every treated (and lead) cell."""
    event = np.where(frame["g"] > 0, frame["t"] - frame["g"], -1)
    keep = (event >= 0) | ((event < -1) & leads)
    cells = frame["g"].astype(str) + ", " + frame["t"].astype(str)
    names = sorted(set(cells[keep]))
    x = np.column_stack(
        [
            pd.get_dummies(frame["id"]).to_numpy(float),
            pd.get_dummies(frame["t"]).to_numpy(float)[:, 1:],
            *((cells == c) & keep for c in names),
        ]
    ).astype(float)
    b = np.linalg.lstsq(x, frame["y"].to_numpy(), rcond=None)[0]
    return dict(zip(names, b[-len(names) :], strict=True))


@pytest.fixture(scope="module")
def minimum_wage():
    if not (SHARED / "mpdta.csv").exists():
        pytest.skip("data not there")
    data = pd.read_csv(SHARED / "mpdta.csv")
    design = bc.designs.difference_in_differences(
        data, "lemp", unit="countyreal", time="year", first_treated="first.treat"
    )
    return data, design, bc.fit(design, seed=1, progressbar=False)


def test_staggered_minimum_wage_is_what_callaway_and_santanna_publish(minimum_wage):
    data, design, fit = minimum_wage
    table = design.checks["differences"](fit)
    cells = table["cohort"].astype(str) + ", " + table["time"]
    # the reference: differences of four means, in numpy
    for cell, value in zip(cells, table["difference"], strict=True):
        g, t = (int(v) for v in cell.split(", "))
        mean = data.groupby(["first.treat", "year"])["lemp"].mean()
        want = mean[g, t] - mean[g, g - 1] - (mean[0, t] - mean[0, g - 1])
        assert value == pytest.approx(want, abs=1e-12)
        assert value == pytest.approx(GROUP_TIME[cell], abs=1e-4)
    # the posterior: the same up to the prior and Monte Carlo error
    assert np.abs(table["effect"] - table["difference"]).max() < TOLERANCE
    effect = bc.estimate(fit, design.effects["ATT"])
    assert float(effect.mean()) == pytest.approx(SIMPLE, abs=TOLERANCE)
    lower, upper = effect.interval()
    assert lower < SIMPLE < upper
    sizes = data.groupby("first.treat")["countyreal"].nunique()
    by_cohort = table.groupby("cohort")["effect"].mean()
    weights = sizes[by_cohort.index]
    assert np.average(by_cohort, weights=weights) == pytest.approx(BY_GROUP, abs=TOLERANCE)
    cohort = table.assign(size=sizes[table["cohort"]].to_numpy())
    event = [
        np.average(rows["effect"], weights=rows["size"]) for _, rows in cohort.groupby("event_time")
    ]
    assert np.mean(event) == pytest.approx(EVENT_AVERAGE, abs=TOLERANCE)


def test_two_way_weights_are_those_of_the_regression_and_one_is_negative(minimum_wage):
    data, design, fit = minimum_wage
    table = design.checks["two_way"](fit)
    d = ((data["first.treat"] > 0) & (data["year"] >= data["first.treat"])).to_numpy(float)
    unit = pd.get_dummies(data["countyreal"]).to_numpy(float)
    x = np.column_stack([d, unit, pd.get_dummies(data["year"]).to_numpy(float)[:, 1:]])
    want = np.linalg.lstsq(x, data["lemp"].to_numpy(), rcond=None)[0][0]
    shown = table.set_index("cell")
    assert shown.loc["two-way coefficient", "effect"] == pytest.approx(want, abs=1e-9)
    cells = shown.iloc[:-2]
    assert cells["weight_two_way"].sum() == pytest.approx(1.0)
    assert cells.loc["2004, 2007", "weight_two_way"] < 0
    assert cells["weight_ATT"].sum() == pytest.approx(1.0)


def test_pretrends_and_pictures_read_the_leads(minimum_wage):
    _, design, fit = minimum_wage
    table = design.checks["pretrends"](fit)
    assert table["event_time"].dropna().tolist() == [-3, -2, -4, -3, -2]
    assert 0.05 < table["tail"].iloc[-1] < 1
    ax = design.plots["event_study"](fit)
    assert "lemp" in ax.get_ylabel()
    assert len(design.plots["trends"](fit).lines) >= 4


@there
def test_card_and_krueger_are_four_means():
    table = pd.read_csv(SHARED / "card_krueger.csv")
    table["id"] = range(len(table))
    waves = [("fte", 0), ("fte2", 1)]
    long = pd.concat([table[["id", "state"]].assign(y=table[c], t=t) for c, t in waves])
    long["d"] = long["state"] * long["t"]
    mean = long.groupby(["state", "t"])["y"].mean()
    want = mean[1, 1] - mean[1, 0] - (mean[0, 1] - mean[0, 0])
    assert want == pytest.approx(2.753606, abs=1e-6)
    design = bc.designs.difference_in_differences(
        long.dropna(), "y", unit="state", time="t", treated="d"
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    effect = bc.estimate(fit, design.effects["ATT"])
    assert float(effect.mean()) == pytest.approx(2.753606, abs=0.1)
    lower, upper = effect.interval()
    assert lower < 2.753606 < upper
    # restaurants themselves: those seen once leave it open whether they are treated
    by_unit = bc.designs.difference_in_differences(
        long, "y", unit="id", time="t", treated="d", missing="drop"
    )
    assert len(by_unit.data) == 2 * 384
    assert "left out" in str(by_unit)


@pytest.mark.parametrize("control", ["never", "not_yet"])
def test_posterior_equals_the_saturated_regression_with_fixed_units(control):
    frame = panel((0,) * 8 + (3,) * 6 + (4,) * 6)
    want = saturated(frame, "d", leads=control == "never")
    design = did(frame, control=control, unit_effects=False)
    fit = bc.fit(design, seed=1, progressbar=False)
    drawn = fit.posterior["b_y_treated:cohort_time"]
    for cell, value in want.items():
        g, t = (int(v) for v in cell.split(", "))
        if t >= g:
            own = drawn.sel(cohort_time_level=cell)
            assert float(own.mean()) == pytest.approx(value, abs=4 * float(own.std()) / 60 + 0.02)


def test_event_time_effects_are_shared_and_violations_widen():
    frame = panel()
    design = did(frame, effect="event_time", control="not_yet", unit_effects=False)
    fit = bc.fit(design, seed=1, draws=500, progressbar=False)
    assert fit.posterior["b_y_treated:cohort_time"].sizes["cohort_time_level"] == 5
    table = design.checks["violations"](fit, scales=[0.0, 1.0])
    width = (table["hdi_upper"] - table["hdi_lower"]).to_numpy()
    assert width[1] > width[0]
    assert width[4] > width[3]
    wide = did(frame, violation="level", violation_scale=1.0, unit_effects=False)
    assert "Normal(0, 1.0)" in str(wide.model.recipe["priors"])
    other = bc.fit(wide, seed=1, draws=500, progressbar=False)
    plain = did(frame, unit_effects=False)
    base = bc.fit(plain, seed=1, draws=500, progressbar=False)
    spread = [
        float(bc.estimate(f, d.effects["ATT"]).draws.std())
        for f, d in ((other, wide), (base, plain))
    ]
    # cells of cohort 3 (4 times, 2 units) and 4 (3 times): 7 deviations, weighted by 2 rows each
    assert spread[0] ** 2 - spread[1] ** 2 == pytest.approx(1 / 7, rel=0.2)


def test_pretrends_notice_a_trend_of_the_treated():
    frame = panel((0,) * 20 + (4,) * 20, effect=0.0)
    for slope, quiet in ((0.0, True), (1.0, False)):
        bent = frame.assign(y=frame["y"] + slope * frame["t"] * (frame["g"] > 0))
        design = did(bent, unit_effects=False)
        fit = bc.fit(design, seed=1, draws=300, progressbar=False)
        tail = design.checks["pretrends"](fit)["tail"].iloc[-1]
        assert (tail > 0.02) == quiet


def test_not_yet_treated_are_compared_until_the_last_begins():
    frame = panel((3, 3, 5, 5))
    with pytest.raises(DataError, match='control="not_yet" compares'):
        did(frame)
    design = did(frame, control="not_yet")
    assert len(design.data) == 4 * 4
    assert "From 5 on everybody is treated" in str(design)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda f: f[(f["id"] != 1) | (f["t"] != 3)], {}, "1 of 7 units lack periods: id 1"),
        (lambda f: f[f["t"] != 3], {}, "no row between 2 and 4"),
        (lambda f: pd.concat([f, f.iloc[:1]]), {}, "pairs of id and t have several rows"),
        (lambda f: f.assign(g=0), {}, "No unit is treated within the table"),
        (lambda f: f.assign(g=3), {}, "no unit is never treated"),
        (lambda f: f.assign(g=1), {}, "Every unit is treated from the first period on"),
        (lambda f: f.assign(g=f["g"].replace(3, 1)), {}, "2 of 7 units are treated from the first"),
        (lambda f: f.assign(y=1.0), {}, "the one value 1"),
        (lambda f: f.rename(columns={"y": "Y"}), {}, "'y' is not a column"),
        (lambda f: f, {"clusters": "one"}, "has one cluster"),
        (lambda f: f, {"clusters": "g2"}, "Every cohort is one cluster"),
        (lambda f: f, {"anticipation": 2}, "no period before anticipation=2"),
        (lambda f: f, {"violation": "linear"}, "violation_scale=None"),
        (lambda f: f, {"control": "nevr"}, "control='nevr'"),
        (lambda f: f, {"treated": "d"}, "are both given"),
        (lambda f: f.assign(g=f["t"]), {}, "differs between rows of one unit"),
        (lambda f: f.assign(y=f["y"].where(f["t"] > 1)), {}, "rows have an empty cell"),
        (lambda f: f, {"robust": True, "family": "poisson"}, "robust=True with family"),
    ],
)
def test_bad_tables_are_refused(change, options, said):
    frame = panel().assign(one="a", g2=lambda f: f["g"].astype(str))
    with pytest.raises((DataError, bc.BayesCausalError), match=said):
        did(change(frame), **options)


def test_a_treatment_that_is_switched_off_is_refused():
    frame = panel()
    frame.loc[(frame["id"] == 3) & (frame["t"] == 6), "d"] = 0
    with pytest.raises(DataError, match="is switched off: id 3 is treated and at 6 no longer"):
        did(frame, first_treated=None, treated="d")
    frame.loc[(frame["id"] == 3) & (frame["t"] == 6), "d"] = 2
    with pytest.raises(DataError, match="0 and 1"):
        did(frame, first_treated=None, treated="d")


def test_rows_are_sorted_and_dates_are_times():
    frame = panel()
    mixed = frame.sample(frac=1, random_state=1)
    one, two = did(frame, first_treated=None, treated="d"), did(mixed)
    pd.testing.assert_frame_equal(
        one.data.drop(columns="d"), two.data.drop(columns="treated"), check_dtype=False
    )
    dates = frame.assign(
        t=pd.to_datetime("2000-01-01") + pd.to_timedelta(frame["t"] * 31, unit="D")
    )
    by_date = did(dates, first_treated=None, treated="d")
    assert by_date.data["event_time"].tolist() == one.data["event_time"].tolist()
    assert list(by_date.data["cohort"].cat.categories) == ["never", "2000-04-03", "2000-05-04"]


DAY = {k: f"{2000 + k}-01-01" for k in range(1, 7)}


def timed(kind):
    """The panel with times as ordered labels, dates as text, or periods; starts likewise."""
    frame = panel()
    if kind == "labels":
        frame["g"] = frame["g"].map({0: "never", 3: "q3", 4: "q4"})
        kinds = [f"q{k}" for k in range(8)]
        return frame.assign(t=pd.Categorical(frame["t"].map("q{}".format), kinds, ordered=True))
    day = frame["t"].map(DAY)
    start = frame["g"].map({0: None, **DAY})
    if kind == "periods":
        return frame.assign(t=pd.PeriodIndex(day, freq="Y"), g=pd.PeriodIndex(start, freq="Y"))
    return frame.assign(t=day, g=start)


@pytest.mark.parametrize("kind", ["labels", "dates", "periods"])
def test_starts_are_read_as_the_times_are(kind):
    right = did(panel()).data["event_time"].tolist()
    assert did(timed(kind)).data["event_time"].tolist() == right


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("labels", "Q3"),
        ("labels", "q0"),  # before the table: treated always, no control
        ("dates", "before 2003"),
        ("dates", "01.07.2003"),
        ("dates", 2003),
    ],
)
def test_a_start_that_cannot_be_read_is_not_never(kind, start):
    frame = timed(kind)
    frame["g"] = frame["g"].astype(object).where(frame["id"] != 0, start)
    with pytest.raises(DataError, match=re.escape(f"(first_treated=) holds {start!r}")):
        did(frame)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_binary_and_count_outcomes(family):
    rng = np.random.default_rng(3)
    frame = panel((0,) * 150 + (4,) * 150)
    eta = -0.5 + 0.1 * frame["t"] + 0.4 * (frame["g"] > 0) + 0.8 * frame["d"]
    chance = 1 / (1 + np.exp(-eta))
    frame["y"] = rng.binomial(1, chance) if family == "bernoulli" else rng.poisson(np.exp(eta))
    design = did(frame, family=family, unit_effects=False, control="not_yet", effect="event_time")
    fit = bc.fit(design, seed=1, progressbar=False)
    effect = bc.estimate(fit, design.effects["ATT"])
    mean = (lambda e: 1 / (1 + np.exp(-e))) if family == "bernoulli" else np.exp
    on = frame["d"] == 1
    truth = float((mean(eta[on]) - mean(eta[on] - 0.8)).mean())
    lower, upper = effect.interval(0.99)
    assert lower < truth < upper


@pytest.mark.slow
def test_coverage_of_a_simulated_truth():
    inside = 0
    for seed in range(200):
        frame = panel((0,) * 10 + (3,) * 5 + (5,) * 5, seed=seed)
        design = did(frame, unit_effects=False)
        frame = frame.assign(y=frame["y"] - frame.groupby("id")["y"].transform("mean"))
        fit = bc.fit(design, seed=seed, progressbar=False)
        lower, upper = bc.estimate(fit, design.effects["ATT"]).interval()
        inside += bool(lower < 2.0 < upper)
    assert inside >= 175  # levels of units are in the noise here: intervals are no shorter


@pytest.mark.parametrize("column", ["unit", "shop"])
def test_the_units_may_be_in_a_column_called_unit(column):
    """The rows of a model are its own dim ``unit``: the column has another name in it."""
    rng = np.random.default_rng(2)
    units = pd.DataFrame({column: range(12), "since": [0] * 6 + [3] * 3 + [4] * 3})
    data = units.merge(pd.DataFrame({"year": range(1, 7)}), how="cross")
    data["jobs"] = rng.normal(size=len(data))
    names = {"unit": column, "time": "year", "first_treated": "since"}
    d = bc.designs.difference_in_differences(data, "jobs", **names)
    inside = "units" if column == "unit" else column
    assert d.data[inside].astype(str).tolist() == data[column].astype(str).tolist()
    assert any(inside in str(name) for name in bc.prior_summary(d.model).index)


def test_a_name_that_the_design_gives_itself_is_said():
    rng = np.random.default_rng(2)
    units = pd.DataFrame({"shop": range(12), "since": [0] * 6 + [3] * 3 + [4] * 3})
    data = units.merge(pd.DataFrame({"year": range(1, 7)}), how="cross")
    data["jobs"] = rng.normal(size=len(data))
    names = {"outcome": "jobs", "unit": "shop", "time": "year", "first_treated": "since"}
    for role, old, own in (("unit", "shop", "treated"), ("outcome", "jobs", "unit")):
        with pytest.raises(DataError, match=f"'{own}' has a name that the design needs"):
            bc.designs.difference_in_differences(
                data.rename(columns={old: own}), **(names | {role: own})
            )
