"""Interrupted series: published numbers, least squares beside, tables refused, checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

import bayescausal as bc

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
its = bc.designs.interrupted_time_series


def walk_regression(y, matrix):
    """Return coefficients and standard errors with a random walk and noise as the error.

    Generalised least squares at the maximum of the profile likelihood in the ratio of variances.
    """
    n = len(y)
    steps = np.minimum.outer(np.arange(n), np.arange(n))

    def fitted(log_ratio):
        inverse = np.linalg.inv(np.eye(n) + np.exp(log_ratio) * steps)
        precision = matrix.T @ inverse @ matrix
        b = np.linalg.solve(precision, matrix.T @ inverse @ y)
        rest = y - matrix @ b
        s2 = rest @ inverse @ rest / n
        cost = n * np.log(s2) - np.linalg.slogdet(inverse)[1]
        return cost, b, np.sqrt(s2 * np.diag(np.linalg.inv(precision)))

    best = minimize_scalar(lambda v: fitted(v)[0], bounds=(-8, 2), method="bounded")
    return fitted(best.x)[1:]


@needs_data
def test_the_seat_belt_law_comes_out():
    """Harvey and Durbin's series: law -0.23590 (se 0.0449), petrol -0.28168.

    Values of ../shared/reference/designs.yaml, by maximum likelihood; the reference here maximises
    over one ratio of variances, and the posterior averages over it.
    """
    table = pd.read_csv(DATA / "seatbelts.csv")
    table["month"] = pd.period_range("1969-01", periods=192, freq="M")
    table["y"], table["petrol"] = np.log(table["drivers"]), np.log(table["PetrolPrice"])
    design = its(
        table,
        outcome="y",
        time="month",
        start="1983-02",
        trend=False,
        season=12,
        level="local level",
        effect="level",
        controls=["petrol"],
    )
    assert design.data["month"].iloc[[0, 169, 191]].tolist() == [-169, 0, 22]
    seasons = np.eye(12)[np.arange(192) % 12][:, 1:]
    after = (np.arange(192) >= 169).astype(float)
    matrix = np.column_stack([after, table["petrol"], np.ones(192), seasons])
    b, se = walk_regression(table["y"].to_numpy(), matrix)
    assert b[0] == pytest.approx(-0.23590, abs=2e-3)
    assert b[1] == pytest.approx(-0.28168, abs=1e-2)
    assert se[0] == pytest.approx(0.0449, rel=0.1)
    fit = bc.fit(design, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {"coefficients integrated out"}
    law = bc.estimate(fit, design.effects["average"])
    sd = float(law.draws.std())
    low, high = law.interval()
    assert low < -0.23590 < high
    assert abs(law.mean() + 0.23590) < 0.1 * sd + 4 * sd / np.sqrt(4000)
    petrol = fit.posterior["b_y_petrol"]
    assert abs(float(petrol.mean()) + 0.28168) < 0.15 * float(petrol.std())
    total = bc.estimate(fit, design.effects["cumulative"])
    np.testing.assert_allclose(total.draws, 23 * law.draws, rtol=1e-9)
    season = fit.posterior["b_y_season"].mean(("chain", "draw"))
    assert season.sel(season=12).item() == pytest.approx(b[3 + 10], abs=0.02)
    for name in ("autocorrelation", "pre_period"):
        assert design.checks[name](fit).attrs["verdict"] == "pass"


def simulated(n=60, at=40, seed=1, level=-3.0, slope=0.2, noise=0.5):
    t = np.arange(n)
    mean = 10 + 0.1 * t + (t >= at) * (level + slope * (t - at))
    return pd.DataFrame(
        {
            "month": pd.date_range("2020-01", periods=n, freq="MS"),
            "y": np.random.default_rng(seed).normal(mean, noise),
        }
    )


@pytest.fixture(scope="module")
def lines():
    design = its(simulated(), outcome="y", time="month", start="2023-05")
    return design, bc.fit(design, seed=1, draws=500, progressbar=False)


def segments(n=60, at=40):
    t = np.arange(n) - at
    after = (t >= 0).astype(float)
    return np.column_stack([np.ones(n), t, after, after * t]), t, after


def test_level_and_slope_are_those_of_segmented_regression(lines):
    design, fit = lines
    assert {m.split(" (")[0] for m in fit.methods.values()} == {"conjugate"}
    matrix, t, after = segments()
    b = np.linalg.lstsq(matrix, simulated()["y"], rcond=None)[0]
    for name, right in zip(("Intercept", "month", "intervention", "since_start"), b, strict=True):
        drawn = fit.posterior[f"b_y_{name}"]
        assert float(drawn.mean()) == pytest.approx(right, abs=0.1 * float(drawn.std()))
    by_hand = b[2] + b[3] * t[after == 1]
    average = bc.estimate(fit, design.effects["average"])
    assert average.mean() == pytest.approx(by_hand.mean(), abs=0.1 * float(average.draws.std()))
    total = bc.estimate(fit, design.effects["cumulative"])
    np.testing.assert_allclose(total.draws, 20 * average.draws, rtol=1e-9)
    assert bc.estimate(fit, design.effects["ATT"]).mean() == average.mean()


def test_the_effect_by_time_has_the_times_that_were_treated(lines):
    design, fit = lines
    effect = bc.estimate(fit, design.effects["by_time"])
    assert effect.draws.sizes["month"] == 20
    place = effect.draws["month"].to_numpy().astype(float)
    level, slope = (fit.posterior[f"b_y_{n}"] for n in ("intervention", "since_start"))
    for at, drawn in zip(place, effect.draws.transpose("month", "chain", "draw"), strict=True):
        np.testing.assert_allclose(drawn, level + slope * at, atol=1e-9)


def test_prediction_from_the_pre_period_is_the_fit_of_the_pre_period_alone():
    """The average effect is observed less predicted, with the variance of a prediction."""
    design = its(simulated(), outcome="y", time="month", start="2023-05", effect="each time")
    fit = bc.fit(design, seed=1, progressbar=False)
    matrix, _, after = segments()
    y = simulated()["y"].to_numpy()
    x0, y0, x1 = matrix[after == 0][:, :2], y[after == 0], matrix[after == 1][:, :2]
    b = np.linalg.lstsq(x0, y0, rcond=None)[0]
    gap = y[after == 1] - x1 @ b
    average = bc.estimate(fit, design.effects["average"])
    s2 = np.sum((y0 - x0 @ b) ** 2) / (40 - 2)
    mean_row = x1.mean(axis=0)
    variance = s2 * (1 / 20 + mean_row @ np.linalg.solve(x0.T @ x0, mean_row))
    sd = float(average.draws.std())
    assert average.mean() == pytest.approx(gap.mean(), abs=0.1 * sd)
    assert sd == pytest.approx(np.sqrt(variance), rel=0.1)
    each = fit.posterior["effect"].mean(("chain", "draw"))
    np.testing.assert_allclose(each, gap, atol=0.1)


def test_errors_that_carry_over_widen_the_interval():
    rng = np.random.default_rng(3)
    errors = np.zeros(160)
    for k in range(1, 160):
        errors[k] = 0.8 * errors[k - 1] + rng.normal(0, 0.5)
    table = simulated(160, 100)
    table["y"] = 5 + errors - 1.0 * (np.arange(160) >= 100)
    start = table["month"][100]
    widths = {}
    for kind in ("independent", "ar1"):
        design = its(table, "y", "month", start, trend=False, effect="level", errors=kind)
        fit = bc.fit(design, seed=1, draws=250, progressbar=False)
        effect = bc.estimate(fit, design.effects["average"])
        widths[kind] = float(effect.draws.std())
        found = design.checks["autocorrelation"](fit)
        assert found.attrs["verdict"] == ("warn" if kind == "independent" else "pass")
    assert widths["ar1"] > 1.5 * widths["independent"]
    assert fit.posterior["rho"].mean().item() == pytest.approx(0.8, abs=0.2)
    assert abs(effect.mean() + 1.0) < 3 * widths["ar1"]


@pytest.mark.slow
def test_a_local_trend_and_counts_are_fitted():
    table = simulated()
    design = its(table, "y", "month", "2023-05", trend=False, level="local trend", effect="level")
    fit = bc.fit(design, seed=1, draws=250, progressbar=False)
    assert "nuts" not in fit.methods.values()
    assert bc.estimate(fit, design.effects["average"]).interval()[1] < 0
    mean = np.exp(3 + 0.01 * np.arange(60) - 0.7 * (np.arange(60) >= 40))
    table["y"] = np.random.default_rng(4).poisson(mean)
    design = its(table, "y", "month", "2023-05", family="poisson", effect="level")
    fit = bc.fit(design, seed=1, draws=250, progressbar=False)
    truth = (mean[40:] * (1 - np.exp(0.7))).mean()
    low, high = bc.estimate(fit, design.effects["average"]).interval()
    assert low < truth < high
    assert design.checks["pre_period"](fit).attrs["verdict"] == "pass"


def test_starts_before_the_start_show_a_series_that_turned_by_itself(lines):
    design, fit = lines
    assert design.checks["placebo_starts"](fit, shares=(0.5,)).attrs["verdict"] == "pass"
    table = simulated()
    table["y"] += 2.0 * (np.arange(60) >= 20)
    turned = its(table, outcome="y", time="month", start="2023-05", effect="level")
    found = turned.checks["placebo_starts"](fit, shares=(0.5,))
    assert found.attrs["verdict"] == "warn"
    assert list(found.index) == ["2021-09-01 00:00:00"]
    assert found["mean"].iloc[0] == pytest.approx(2.0, abs=0.5)


def test_a_model_that_does_not_give_the_pre_period_back_is_noticed(lines):
    design, fit = lines
    assert design.checks["pre_period"](fit).attrs["verdict"] == "pass"
    assert design.checks["autocorrelation"](fit).attrs["verdict"] == "pass"
    table = simulated()
    table["y"] += 3 * np.sin(np.arange(60) * np.pi / 6)
    wavy = its(table, outcome="y", time="month", start="2023-05")
    fit = bc.fit(wavy, seed=1, draws=250, progressbar=False)
    assert wavy.checks["pre_period"](fit).attrs["verdict"] == "warn"
    assert "season" not in str(wavy)


def test_plots_draw_on_given_axes(lines):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    design, fit = lines
    for name in design.plots:
        ax = plt.subplots()[1]
        assert design.plots[name](fit, ax=ax) is ax
        assert ax.get_xlabel() == "month"
    plt.close("all")


# ------------------------------------------------------------------------------- tables


def refused(words, table=None, **options):
    table = simulated() if table is None else table
    options = {"outcome": "y", "time": "month", "start": "2023-05", **options}
    with pytest.raises(bc.BayesCausalError, match=words):
        its(table, **options)


def test_series_without_a_before_or_an_after_are_refused():
    refused("has no pre-period", start="2020-01")
    refused("lies outside the series", start="2031-01")
    refused("lies outside the series", start="2019-01")
    refused("is no date", start="soon")
    refused("The pre-period has 2 observations", start="2020-03", season=12)
    refused("There is 1 observation after the start", start="2024-12")
    table = simulated()
    table.loc[40:, "y"] = np.nan
    refused("No time at or after the start 2023-05 has an observed y", table)
    refused("does not vary before the start", simulated().assign(y=[1.0] * 40 + [2.0] * 20))


def test_times_are_sorted_and_never_twice():
    table = simulated()
    again = its(table.iloc[::-1], outcome="y", time="month", start="2023-05")
    assert "Rows were sorted by time" in str(again)
    right = its(table, outcome="y", time="month", start="2023-05")
    pd.testing.assert_frame_equal(again.data, right.data)
    assert "sorted" not in str(right)
    refused("2 rows share their month", pd.concat([table, table.tail(1)]))
    refused("'month'", table.drop(columns="month"))
    uneven = table.assign(month=np.arange(60) ** 1.5)
    refused("not evenly spaced", uneven, start=100)


def test_missing_months_are_gaps_where_errors_are_ordered():
    table = simulated().drop(index=[10, 11, 50])
    loose = its(table, outcome="y", time="month", start="2023-05")
    assert len(loose.data) == 57
    assert "3 times without a row are left out" in str(loose)
    kept = its(table, outcome="y", time="month", start="2023-05", errors="ar1")
    assert len(kept.data) == 60
    assert kept.data["y"].isna().to_numpy().nonzero()[0].tolist() == [10, 11, 50]
    assert kept.data["month"].tolist() == list(range(-40, 20))
    assert "3 times without a row are kept as gaps" in str(kept)
    refused("no value of c", table.assign(c=1.0 * np.arange(57)), errors="ar1", controls=["c"])


def test_numbers_quarters_days_and_text_are_times():
    years = simulated().assign(month=np.arange(1960, 2020))
    design = its(years, outcome="y", time="month", start=2000)
    assert design.data["month"].tolist() == list(range(1960, 2020))
    refused("start='2000' where 'month' holds numbers", years, start="2000")
    quarters = simulated().assign(month=pd.period_range("2000Q1", periods=60, freq="Q"))
    design = its(quarters, outcome="y", time="month", start="2010-01", season=4)
    assert design.data["month"].tolist() == list(range(-40, 20))
    days = simulated().assign(month=pd.date_range("2024-01-01", periods=60).astype(str))
    design = its(days, outcome="y", time="month", start="2024-02-10")
    assert design.data["month"].iloc[40] == 0
    text = simulated()["month"]
    for form, start in (("%d/%m/%Y", "01/05/2023"), ("%Y%m", "202305")):
        table = simulated().assign(month=pd.to_datetime(text).dt.strftime(form))
        refused(r"holds text such as .*to_datetime\(data\['month'\], format", table, start=start)
    refused("is no date", start="01/05/2023")
    month = pd.to_datetime(text)
    numbers = simulated().assign(month=month.dt.year * 100 + month.dt.month)
    refused("years and months written together", numbers, start=202305)
    sparse = simulated().assign(month=np.where(np.arange(60) < 59, np.arange(60), 400))
    refused("401 steps, of which 60", sparse, start=40, errors="ar1")
    between = its(simulated(), outcome="y", time="month", start="2023-04-15")
    assert int((between.data["month"] >= 0).sum()) == 20


def test_options_are_refused_by_name():
    refused("errors='ar2'", errors="ar2")
    refused("season=1", season=1)
    refused("cannot tell a wandering level", errors="ar1", level="local level")
    refused("family='poisson' with errors", errors="ar1", family="poisson")
    refused("both|at once", controls=["y"])
    refused("has a name that the design needs", simulated().assign(level=1.0), controls=["level"])
    refused("no parameter of the model", priors={"b_y_montj": "Normal(0, 1)"})


def test_paths_are_shown_as_code():
    design = its(
        simulated(), "y", "month", "2023-05", trend=False, level="local trend", effect="level"
    )
    code = bc.model_source(design)
    assert 'pm.GaussianRandomWalk("level", mu=0, sigma=sd_level, init_dist=pm.Normal.dist(' in code
    held = {"data": {k: v.to_numpy() for k, v in design.data.items()}}
    exec(code, held)
    assert bc.model_source(held["model"]) == code
    design = its(simulated(), "y", "month", "2023-05", errors="ar1")
    assert 'pm.AR("error", rho=' in bc.model_source(design)


@pytest.mark.slow
def test_intervals_cover_a_simulated_truth():
    """200 replicates of two lines: 94% intervals of the average inside the binomial band."""
    hits = 0
    for k in range(200):
        table = simulated(seed=100 + k)
        design = its(table, outcome="y", time="month", start="2023-05")
        fit = bc.fit(design, seed=k, draws=250, progressbar=False)
        drawn = fit.posterior["b_y_intervention"] + 9.5 * fit.posterior["b_y_since_start"]
        low, high = np.quantile(drawn, [0.03, 0.97])
        hits += low < -3.0 + 0.2 * 9.5 < high
    assert abs(hits - 188) < 3.3 * np.sqrt(200 * 0.94 * 0.06)
