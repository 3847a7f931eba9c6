"""Discontinuities: published jumps, least squares beside, tables refused, checks that see."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.designs.discontinuity.bandwidth import kernel_weights, optimal_bandwidth

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
rd = bc.designs.regression_discontinuity


def published(name):
    return pd.read_csv(DATA / name)


def jump(x, y, weights, order):
    """Return the jump and the HC1 standard error of a weighted polynomial on each side."""
    right = (x >= 0).astype(float)
    powers = [x**k for k in range(order + 1)]
    design = np.column_stack([right, *powers, *(right * p for p in powers[1:])])
    bread = np.linalg.inv(design.T @ (weights[:, None] * design))
    b = bread @ design.T @ (weights * y)
    score = design * (weights * (y - design @ b))[:, None]
    n, k = design.shape
    meat = bread @ score.T @ score @ bread * n / (n - k)
    return b[0], np.sqrt(meat[0, 0])


SENATE = {"bandwidth": 17.754, "kernel": "triangular"}

#: Facts of ../shared/reference/designs.yaml: file, outcome, running, cutoff, scale, options, value.
PUBLISHED = {
    "senate": ("rdrobust_senate.csv", "vote", "margin", 0.0, 1, SENATE, 7.414152),
    "lee, order 4": ("lee08.csv", "voteshare", "margin", 0.0, 100, {"order": 4}, 0.076585),
    "lee, local": (
        "lee08.csv",
        "voteshare",
        "margin",
        0.0,
        100,
        {"bandwidth": 0.25, "kernel": "uniform"},
        0.082346,
    ),
    "drinking age": (
        "drinking.csv",
        "all",
        "agecell",
        21.0,
        1,
        {"bandwidth": np.inf},
        7.662712,
    ),
    "drinking age, quadratic": ("drinking.csv", "all", "agecell", 21.0, 1, {"order": 2}, 9.547789),
    "motor accidents": (
        "drinking.csv",
        "mva",
        "agecell",
        21.0,
        1,
        {"bandwidth": np.inf},
        4.534034,
    ),
}


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_jumps_come_out(name):
    """The mean is within a tenth of a posterior sd (and four Monte Carlo errors) of the value."""
    file, outcome, running, cutoff, scale, options, value = PUBLISHED[name]
    table = published(file)[[running, outcome]].dropna() / scale
    design = rd(table, outcome=outcome, running=running, cutoff=cutoff, **options)
    x = design.data[running].to_numpy() - cutoff
    weights = np.ones(len(x))
    if options.get("kernel") == "triangular":
        weights = 1 - np.abs(x) / options["bandwidth"]
    y = design.data[outcome].to_numpy()
    assert jump(x, y, weights, options.get("order", 1))[0] == pytest.approx(value, abs=2e-6)
    fit = bc.fit(design, seed=1, progressbar=False)
    assert {m.split(" (")[0] for m in fit.methods.values()} == {"conjugate"}
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    sd = float(effect.draws.std())
    low, high = effect.interval()
    assert low < value < high
    assert abs(effect.mean() - value) < 0.1 * sd + 4 * sd / np.sqrt(4000)


@needs_data
def test_the_sandwich_of_the_senate_stands_beside_the_posterior():
    table = published("rdrobust_senate.csv")
    design = rd(table, outcome="vote", running="margin", bandwidth=17.754, kernel="triangular")
    fit = bc.fit(design, seed=1, progressbar=False)
    found = design.checks["least_squares"](fit)
    assert found["estimate"].iloc[0] == pytest.approx(7.414152, abs=1e-6)
    assert found["sd"].iloc[0] == pytest.approx(1.4593, abs=5e-5)
    assert "93 rows without vote are left out" in str(design)


def simulated(n=600, seed=1, effect=2.0, **more):
    rng = np.random.default_rng(seed)
    r = rng.uniform(-1, 1, n)
    table = pd.DataFrame({"r": r, "y": rng.normal(effect * (r >= 0) + r, 0.5), **more})
    table["c"] = rng.normal(size=n)
    return table


@pytest.fixture(scope="module")
def sharp():
    design = rd(simulated(), outcome="y", running="r", bandwidth=1, kernel="uniform")
    return design, bc.fit(design, seed=1, draws=500, progressbar=False)


def test_the_posterior_is_that_of_the_conjugate_form(sharp):
    """At the mean of sigma, mean and sd of the jump are ridge regression's, derived here."""
    design, fit = sharp
    x, y = design.data["r"].to_numpy(), design.data["y"].to_numpy()
    right = (x >= 0).astype(float)
    names = ["Intercept", "treated", "r", "treated:r"]
    design_matrix = np.column_stack([np.ones_like(x), right, x, right * x])
    rms = [
        np.sqrt(np.mean((c - o @ np.linalg.lstsq(o, c, rcond=None)[0]) ** 2))
        for j, c in enumerate(design_matrix.T)
        for o in [np.delete(design_matrix, j, axis=1)]
    ]
    prior_sd = 2.5 * design.data["y"].std() / np.array(rms)
    priors = bc.prior_summary(design)["prior"]
    for name, sd in zip(names, prior_sd, strict=True):
        assert priors[f"b_y_{name}"].endswith(f"{float(f'{sd:.3g}'):g})")
    sigma = float(fit.posterior["sigma_y"].mean())
    start = np.array([y.mean(), 0, 0, 0]) / prior_sd**2
    precision = design_matrix.T @ design_matrix / sigma**2 + np.diag(prior_sd**-2.0)
    mean = np.linalg.solve(precision, design_matrix.T @ y / sigma**2 + start)
    sd = np.sqrt(np.linalg.inv(precision)[1, 1])
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    assert effect.mean() == pytest.approx(mean[1], abs=5 * sd / np.sqrt(2000))
    assert float(effect.draws.std()) == pytest.approx(sd, rel=5 / np.sqrt(2 * 2000))


def test_triangular_weights_on_equal_noise_are_noticed():
    """At a boundary their spread is sqrt(3 / 4.8) of the sandwich's: moments of the kernel."""
    table = simulated(4000)
    design = rd(table, outcome="y", running="r", bandwidth=1, kernel="triangular")
    fit = bc.fit(design, seed=1, progressbar=False)
    found = design.checks["least_squares"](fit)
    assert found.attrs["verdict"] == "warn"
    ratio = found["sd"].loc["posterior"] / found["sd"].iloc[0]
    assert ratio == pytest.approx(np.sqrt(3 / 4.8), rel=0.08)


def test_effects_at_the_cutoff_are_the_coefficient(sharp):
    design, fit = sharp
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    np.testing.assert_allclose(
        effect.draws.transpose("chain", "draw"), fit.posterior["b_y_treated"], atol=1e-9
    )


def test_checks_of_a_sound_design_pass(sharp):
    design, fit = sharp
    less = {"bandwidths": {"values": [0.6, 1.0]}, "donut": {"radii": [0.05]}}
    for name in ("density", "balance", "placebo_cutoffs", "least_squares", "bandwidths", "donut"):
        table = design.checks[name](fit, **less.get(name, {}))
        assert table.attrs["verdict"] == "pass", (name, table)
    assert list(design.checks["balance"](fit).index) == ["c"]


def test_plots_draw_on_given_axes(sharp):
    import matplotlib as mpl

    mpl.use("Agg")

    design, fit = sharp
    more = {"discontinuity": {"grid": 4}, "bandwidths": {"values": [1.0]}}
    for name in design.plots:
        ax = plt.subplots()[1]
        assert design.plots[name](fit, ax=ax, **more.get(name, {})) is ax
        assert ax.get_xlabel()
    plt.close("all")


def test_broken_assumptions_are_noticed(sharp):
    _, fit = sharp
    rng = np.random.default_rng(3)
    table = simulated(2000)
    sorted_out = table[~((table["r"] < 0) & (table["r"] > -0.1) & (rng.uniform(size=2000) < 0.8))]
    found = rd(sorted_out, outcome="y", running="r", bandwidth=1).checks["density"](fit)
    assert found.attrs["verdict"] == "warn"
    assert "choose their side" in found.attrs["finding"]
    table["c"] = rng.normal(1.0 * (table["r"] >= 0), 1)
    found = rd(table, outcome="y", running="r", bandwidth=1).checks["balance"](fit)
    assert found.attrs["verdict"] == "warn"
    assert "c jumps too" in found.attrs["finding"]
    table["y"] = rng.normal(2.0 * (table["r"] >= 0) + 1.0 * (table["r"] >= 0.5), 0.5)
    design = rd(table, outcome="y", running="r", bandwidth=0.4)
    found = design.checks["placebo_cutoffs"](fit, cutoffs=[0.5])
    assert found.attrs["verdict"] == "warn"


def test_a_bent_curve_makes_the_bandwidth_matter():
    table = simulated(2000)
    table["y"] += 8 * table["r"] ** 2 * np.sign(table["r"])
    design = rd(table, outcome="y", running="r", bandwidth=0.3, kernel="uniform")
    fit = bc.fit(design, seed=1, draws=250, progressbar=False)
    found = design.checks["bandwidths"](fit, values=[0.3, 1.0])
    assert found.attrs["verdict"] == "warn"
    x, y = table["r"].to_numpy(), table["y"].to_numpy()
    right = jump(x, y, np.ones(2000), 1)[0]
    assert found["mean"].iloc[1] == pytest.approx(right, abs=0.02)
    assert found["rows"].tolist() == [int((np.abs(x) <= 0.3).sum()), 2000]


def test_a_fuzzy_design_is_the_ratio_of_jumps():
    rng = np.random.default_rng(2)
    n = 1500
    r, u = rng.uniform(-1, 1, n), rng.normal(size=n)
    d = (1.2 * (r >= 0) - 0.6 + u + rng.normal(size=n) > 0).astype(float)
    y = 1.5 * d + 0.5 * r + u + rng.normal(size=n)
    table = pd.DataFrame({"r": r, "d": d, "y": y})
    design = rd(table, outcome="y", running="r", treatment="d", bandwidth=1, kernel="uniform")
    fit = bc.fit(design, seed=1, progressbar=False)
    assert "nuts" not in fit.methods.values()
    assert design.checks["first_stage"](fit).attrs["verdict"] == "pass"
    one = np.ones(n)
    ratio = jump(r, y, one, 1)[0] / jump(r, d, one, 1)[0]
    effect = bc.estimate(fit, design.effects["LATE"])
    sd = float(effect.draws.std())
    assert abs(effect.mean() - ratio) < 0.15 * sd
    assert abs(effect.mean() - 1.5) < 3 * sd
    assert float(fit.posterior["rho"].mean()) > 0.2
    first = bc.estimate(fit, design.effects["first_stage"])
    assert first.mean() == pytest.approx(jump(r, d, one, 1)[0], abs=0.02)
    itt = bc.estimate(fit, design.effects["ITT"])
    np.testing.assert_allclose(itt.draws, effect.draws * first.draws, rtol=1e-6)


@pytest.mark.slow
def test_principal_strata_find_the_effect_on_compliers():
    rng = np.random.default_rng(2)
    n = 800
    r = rng.uniform(-1, 1, n)
    z, s = (r >= 0).astype(int), rng.choice(3, n, p=[0.25, 0.55, 0.2])
    d = np.where(s == 1, z, s == 2).astype(int)
    y = np.array([0.0, 1.0, 2.0])[s] + 1.5 * d + 0.5 * r + rng.normal(0, 0.6, n)
    table = pd.DataFrame({"r": r, "d": d, "y": y})
    design = rd(
        table,
        outcome="y",
        running="r",
        treatment="d",
        bandwidth=1,
        kernel="uniform",
        compliance="strata",
    )
    fit = bc.fit(design, seed=1, draws=500, chains=2, progressbar=False)
    effect = bc.estimate(fit, design.effects["LATE"])
    low, high = effect.interval()
    assert low < 1.5 < high
    assert float(effect.draws.std()) < 0.2
    share = (fit.posterior["stratum"] == 1).mean().item()
    assert share == pytest.approx((s == 1).mean(), abs=0.06)


def test_a_kink_is_the_change_of_slope():
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, 800)
    table = pd.DataFrame({"x": x, "y": rng.normal(1 + 0.5 * x + 2.0 * np.maximum(x, 0), 0.3)})
    design = rd(table, outcome="y", running="x", kink=True, bandwidth=1, kernel="uniform")
    fit = bc.fit(design, seed=1, draws=500, progressbar=False)
    matrix = np.column_stack([np.maximum(x, 0), np.ones_like(x), x])
    right = np.linalg.lstsq(matrix, table["y"], rcond=None)[0][0]
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    assert effect.mean() == pytest.approx(right, abs=0.01)
    assert design.checks["least_squares"](fit)["estimate"].iloc[0] == pytest.approx(right)
    jump, level, slope = np.linalg.lstsq(matrix, table["y"], rcond=None)[0]
    for line in design.plots["discontinuity"](fit).get_lines()[:2]:
        at, drawn = line.get_data()
        np.testing.assert_allclose(drawn, level + slope * at + jump * np.maximum(at, 0), atol=0.02)
    plt.close("all")


def test_a_gaussian_process_on_each_side_follows_a_bent_curve():
    table = simulated(400)
    table["y"] = table["y"] - table["r"] + np.sin(3 * table["r"])
    design = rd(table, outcome="y", running="r", form="gp")
    fit = bc.fit(design, seed=1, draws=500, progressbar=False)
    assert "nuts" not in fit.methods.values()
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    low, high = effect.interval()
    assert low < 2.0 < high
    assert high - low < 1.0


def test_numbers_of_clusters_are_labels():
    """Whatever numbers name the clusters, and whichever of them lie in the window: one answer."""
    rng = np.random.default_rng(1)
    x, g = rng.uniform(-1, 1, 300), rng.integers(0, 12, 300)
    y = 2 * (x >= 0) + rng.normal(size=12)[g] + rng.normal(0, 0.5, 300)
    found = []
    for name in ("text", "district", "below zero", "one row each"):
        held = {"text": [f"g{i:02}" for i in g], "district": 100 + 7 * g, "below zero": g - 6}
        table = {"x": x, "y": y, "g": held.get(name, 5 + np.arange(300))}
        design = rd(table, outcome="y", running="x", bandwidth=0.5, cluster="g")
        fit = bc.fit(design, seed=1, draws=250, progressbar=False)
        found.append(bc.estimate(fit, design.effects["at_cutoff"]).mean())
        labels = sorted({str(v) for v in np.asarray(table["g"])[np.abs(x) <= 0.5]})
        assert sorted(map(str, design.model.coords["g_level"])) == labels
    assert found[0] == found[1] == found[2]
    # of one row each, a level is noise: the answer is that of the same rows without clusters
    side = x[np.abs(x) <= 0.5] >= 0
    columns = np.column_stack([np.ones(side.size), x[np.abs(x) <= 0.5], side])
    columns = np.column_stack([columns, columns[:, 1] * side])
    squares, *_ = np.linalg.lstsq(columns, y[np.abs(x) <= 0.5], rcond=None)
    left = y[np.abs(x) <= 0.5] - columns @ squares
    spread = left @ left / (side.size - 4) * np.linalg.inv(columns.T @ columns)[2, 2]
    # the prior of the jump has two and a half standard deviations of y: it draws it to zero by a
    # share of the ratio of variances; 4 chains of 250 draws leave an error of sd / sqrt(1,000)
    shrunk = spread / (2.5 * y[np.abs(x) <= 0.5].std() / side.std()) ** 2 * abs(squares[2])
    assert abs(found[3] - squares[2]) < 4 * np.sqrt(spread / 1_000) + 4 * shrunk


@pytest.mark.slow
def test_clusters_robust_noise_and_the_other_side():
    rng = np.random.default_rng(5)
    x, g = rng.uniform(-1, 1, 1500), rng.integers(0, 30, 1500)
    c = rng.normal(size=1500)
    y = 1.5 * (x < 0) + x + c + rng.normal(size=30)[g] + rng.normal(0, 0.5, 1500)
    table = pd.DataFrame({"x": x, "y": y, "g": [f"g{i}" for i in g], "c": c})
    design = rd(
        table, outcome="y", running="x", side="below", bandwidth=1, covariates=["c"], cluster="g"
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    low, high = bc.estimate(fit, design.effects["at_cutoff"]).interval()
    assert low < 1.5 < high
    assert high - low < 0.6
    table["y"] = 1.5 * (x < 0) + x + 0.3 * rng.standard_t(2, 1500)
    design = rd(
        table,
        outcome="y",
        running="x",
        side="below",
        family="student-t",
        bandwidth=1,
        kernel="uniform",
    )
    fit = bc.fit(design, seed=1, draws=250, progressbar=False)
    low, high = bc.estimate(fit, design.effects["at_cutoff"]).interval()
    assert low < 1.5 < high
    table["y"] = (rng.uniform(size=1500) < 0.3 + 0.4 * (x < 0)).astype(int)
    design = rd(table, outcome="y", running="x", side="below", family="bernoulli", bandwidth=1)
    fit = bc.fit(design, seed=1, draws=250, progressbar=False)
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    right = jump(-x, table["y"].to_numpy(), np.ones(1500), 1)[0]  # a linear probability
    assert abs(effect.mean() - right) < 0.5 * float(effect.draws.std())


# ------------------------------------------------------------------------------- bandwidth


def test_the_bandwidth_follows_the_units_and_not_the_outcome():
    table = simulated(800)
    x, y = table["r"].to_numpy(), table["y"].to_numpy() + table["r"].to_numpy() ** 3
    h = optimal_bandwidth(x, y, 0.0)
    assert optimal_bandwidth(100 * x + 7, y, 7.0) == pytest.approx(100 * h)
    assert optimal_bandwidth(x, 3 * y - 2, 0.0) == pytest.approx(h)
    assert optimal_bandwidth(-x, y, 0.0) == pytest.approx(h, rel=0.05)
    rectangular = optimal_bandwidth(x, y, 0.0, "uniform")
    assert rectangular == pytest.approx(h * 5.40 / 3.4375)


def test_the_bandwidth_is_that_of_the_formula():
    """Imbens and Kalyanaraman step by step, by polynomials of numpy."""
    rng = np.random.default_rng(6)
    x = rng.uniform(-1, 1, 1000)
    y = rng.normal(np.where(x >= 0, 1 + x + 2 * x**2, x - x**2), 0.3)
    n, h1 = 1000, 1.84 * x.std(ddof=1) * 1000**-0.2
    near, sides = np.abs(x) <= h1, [x < 0, x >= 0]
    f = near.sum() / (2 * n * h1)
    s2 = [np.var(y[near & s], ddof=1) for s in sides]
    matrix = np.column_stack([sides[1], x**0, x, x**2, x**3])
    m3 = 6 * np.linalg.lstsq(matrix, y, rcond=None)[0][4]
    second, r = [], 0.0
    for s, v in zip(sides, s2, strict=True):
        h2 = 3.56 * (v / (f * m3**2)) ** (1 / 7) * s.sum() ** (-1 / 7)
        inside = s & (np.abs(x) <= h2)
        second.append(2 * np.polyfit(x[inside], y[inside], 2)[0])
        r += 2160 * v / (inside.sum() * h2**4)
    right = 3.4375 * (sum(s2) / (f * ((second[1] - second[0]) ** 2 + r))) ** 0.2 * n**-0.2
    assert optimal_bandwidth(x, y, 0.0) == pytest.approx(right, rel=1e-9)


def test_kernels():
    u = np.array([0.0, -0.5, 1.0, 2.0])
    assert kernel_weights(u, 1.0, "uniform").tolist() == [1, 1, 1, 0]
    assert kernel_weights(u, 1.0, "triangular").tolist() == [1, 0.5, 0, 0]
    assert kernel_weights(u, 1.0, "epanechnikov").tolist() == [1, 0.75, 0, 0]


# ------------------------------------------------------------------------------- bad tables


def refused(words, table=None, **options):
    table = simulated(60) if table is None else table
    options = {"outcome": "y", "running": "r", "bandwidth": 1, **options}
    with pytest.raises(bc.BayesCausalError, match=words):
        rd(table, **options)


def test_tables_in_which_the_cutoff_says_nothing_are_refused():
    table = simulated(60)
    refused("outside the range of 'r'", cutoff=50)
    refused("All 60 rows lie on one side", table, cutoff=float(table["r"].min()))
    tied = pd.concat([table, table.head(3).assign(r=0.0)])
    refused("3 rows have r exactly at the cutoff 0", tied)
    design = rd(tied, outcome="y", running="r", bandwidth=1, ties="not eligible")
    assert "eligible where r > 0" in str(design)
    assert int(design.data["r"].eq(0).sum()) == 3
    refused("bandwidth=-1", bandwidth=-1)


def test_a_thin_side_is_refused():
    table = simulated(60)
    width = float(np.sort(table["r"].abs())[1]) * 1.001
    refused("different values of 'r'", table, bandwidth=width, kernel="uniform")
    refused("'y' does not vary", table.assign(y=1.0))


def test_treatments_that_contradict_the_rule_are_refused():
    table = simulated(60)
    rule = (table["r"] >= 0).astype(int)
    wrong = rule.copy()
    wrong.iloc[:4] = 1 - wrong.iloc[:4]
    refused(
        "In 4 of 60 rows 'd' contradicts the cutoff",
        table.assign(d=wrong),
        treatment="d",
        fuzzy=False,
        kernel="uniform",
    )
    refused("side='below'", table.assign(d=1 - rule), treatment="d")
    refused("does not jump at the cutoff: it is 1 in all", table.assign(d=1), treatment="d")
    refused("fuzzy=True without the treatment", fuzzy=True)
    design = rd(table.assign(d=rule), outcome="y", running="r", bandwidth=1, treatment="d")
    assert list(design.effects) == ["at_cutoff"]
    assert design.effects["at_cutoff"].treatments == ("d",)


def test_a_weak_first_stage_fails_its_check(sharp):
    _, fit = sharp
    rng = np.random.default_rng(7)
    table = simulated(300).assign(d=rng.integers(0, 2, 300))
    design = rd(table, outcome="y", running="r", bandwidth=1, treatment="d")
    found = design.checks["first_stage"](fit)
    assert found.attrs["verdict"] == "fail"
    assert found["F"].iloc[0] < 10


def test_columns_and_options_are_refused_by_name():
    refused("'yy'", outcome="yy")
    refused("text|labels", simulated(60).assign(w="a"), covariates=["w"])
    refused("1 of 60 rows with an outcome", _holed("c"), covariates=["c"])
    refused("kernel='gaussian'", kernel="gaussian")
    refused("order=0", order=0)
    refused("all rows would weigh the same", bandwidth=np.inf, kernel="triangular")
    refused("no scale of its own", family="poisson", kernel="triangular")
    refused("A kink is a change of slope", kink=True, form="gp")
    refused("A fuzzy design needs an outcome", family="bernoulli", treatment="c")
    refused("no parameter of the model", priors={"b_y_tretaed": "Normal(0, 1)"})
    assert (
        "Normal(0, 1)"
        in bc.prior_summary(
            rd(
                simulated(60),
                outcome="y",
                running="r",
                bandwidth=1,
                priors={"b_y_treated": "Normal(0, 1)"},
            )
        ).loc["b_y_treated", "prior"]
    )


def _holed(name):
    table = simulated(60)
    table.loc[3, name] = np.nan
    return table


def test_a_discrete_running_variable_is_said():
    table = simulated(400)
    table["r"] = (np.floor(table["r"] * 10) + 0.5) / 10
    design = rd(table, outcome="y", running="r", bandwidth=1)
    assert "discrete running variable" in [a.name for a in design.assumptions]
    fit = bc.fit(design, seed=1, draws=250, progressbar=False)
    found = design.checks["mass_points"](fit, each_side=3)
    np.testing.assert_allclose(found.index, [-0.25, -0.15, -0.05, 0.05, 0.15, 0.25])
    assert found["rows"].tolist() == [int(np.isclose(table["r"], v).sum()) for v in found.index]


def test_other_frames_are_read():
    import polars as pl

    table = simulated(60)
    design = rd(pl.DataFrame(table.to_dict("list")), outcome="y", running="r", bandwidth=1)
    same = rd(table.to_dict("list"), outcome="y", running="r", bandwidth=1)
    pd.testing.assert_frame_equal(design.data, same.data)


@pytest.mark.slow
def test_intervals_cover_a_simulated_truth():
    """200 replicates of a straight line on each side: 94% intervals inside the binomial band."""
    hits = 0
    rng = np.random.default_rng(8)
    x = rng.uniform(-1, 1, 200)
    for k in range(200):
        table = pd.DataFrame({"x": x, "y": rng.normal(1.0 * (x >= 0) + x, 1)})
        design = rd(table, outcome="y", running="x", bandwidth=1, kernel="uniform")
        fit = bc.fit(design, seed=k, draws=250, progressbar=False)
        low, high = np.quantile(fit.posterior["b_y_treated"], [0.03, 0.97])
        hits += low < 1.0 < high
    spread = np.sqrt(200 * 0.94 * 0.06)
    assert abs(hits - 188) < 3.3 * spread


def test_the_model_is_shown_as_code_that_makes_it_again(sharp):
    design, fit = sharp
    held = {"data": {k: v.to_numpy() for k, v in design.data.items()}}
    exec(bc.model_source(design), held)
    again = bc.fit(held["model"], design.data, seed=1, draws=500, progressbar=False)
    a, b = (bc.estimate(f, design.effects["at_cutoff"]).mean() for f in (fit, again))
    assert a == pytest.approx(b, rel=1e-9)


def test_a_fuzzy_design_with_kernel_weights_is_drawn_exactly():
    """Both noises have the weights of the rows: the answer is weighted two-stage least squares."""
    rng = np.random.default_rng(3)
    r, u = rng.uniform(-1, 1, 800), rng.normal(size=800)
    d = 1.0 * (r >= 0) + 0.5 * r + 0.5 * u + rng.normal(0, 0.5, 800)
    y = 2 * d - u + r + rng.normal(size=800)
    design = bc.designs.regression_discontinuity(
        pd.DataFrame({"r": r, "d": d, "y": y}), outcome="y", running="r", cutoff=0.0,
        bandwidth=0.8, kernel="triangular", treatment="d",
    )  # fmt: skip
    fit = bc.fit(design, draws=500, seed=1, progressbar=False)
    assert "nuts" not in fit.methods.values()
    w = 1 - np.abs(r) / 0.8
    x, z, w, yy = (v[w > 0] for v in (d, 1.0 * (r >= 0), w, y))
    rest = np.column_stack([np.ones(len(x)), r[np.abs(r) < 0.8], r[np.abs(r) < 0.8] * z])
    left = [
        v - rest @ np.linalg.solve(rest.T @ (w[:, None] * rest), rest.T @ (w * v))
        for v in (x, z, yy)
    ]
    jump = (left[1] * w) @ left[2] / ((left[1] * w) @ left[0])
    effect = bc.estimate(fit, design.effects["at_cutoff"])
    assert abs(float(effect) - jump) < 0.2 * float(effect.sd())
    common = np.asarray(fit.posterior["U"])
    assert np.corrcoef(common.mean((0, 1)), u[np.abs(r) < 0.8])[0, 1] > 0.6
    assert common.std() == pytest.approx(1, abs=0.02)
