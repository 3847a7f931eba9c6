"""Trials, instruments, mediation: published numbers, closed forms, tables that are refused."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.types import DataError, IdentificationError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the published data are not here")

QUIET = {"seed": 1, "progressbar": False}


def estimated(design, name="ATE", **options):
    fit = bc.fit(design, **{**QUIET, **options})
    return fit, bc.estimate(fit, design.effects[name], progressbar=False)


# ------------------------------------------------------------------------------ trials


def test_a_yes_or_no_outcome_has_a_beta_posterior_in_each_arm():
    y = np.repeat([1, 0, 1, 0], [20, 30, 50, 30])
    data = {"group": np.repeat([0, 1], [50, 80]), "y": y}
    design = bc.designs.ab_test(data)
    fit, ate = estimated(design)
    one, two = stats.beta(51, 31), stats.beta(21, 31)
    se = np.sqrt(one.var() + two.var())
    assert ate.mean() == pytest.approx(one.mean() - two.mean(), abs=5 * se / np.sqrt(4000))
    assert ate.sd() == pytest.approx(se, rel=0.06)
    grid = np.linspace(0, 1, 4001)
    best = np.trapezoid(one.pdf(grid) * two.cdf(grid), grid)
    table = design.checks["arms"](fit)
    assert table.loc[1, "probability best"] == pytest.approx(best, abs=0.005)
    loss = np.trapezoid(one.cdf(grid) * (1 - two.cdf(grid)), grid)  # E[(p0 - p1)+]
    assert table.loc[1, "expected loss"] == pytest.approx(loss, abs=2e-4)
    lift = bc.estimate(fit, design.effects["relative lift"])
    means = table["mean"]
    assert lift.mean() == pytest.approx(means[1] / means[0] - 1, abs=0.05)


@needs_data
def test_published_trials():
    hiv = pd.read_csv(SHARED / "thornton_hiv.csv")[["got", "any"]].dropna()
    _, ate = estimated(bc.designs.ab_test(hiv, outcome="got", arm="any"))
    assert ate.mean() == pytest.approx(0.450552, abs=0.0015)
    assert ate.sd() == pytest.approx(0.019198, rel=0.08)
    aids = pd.read_csv(SHARED / "actg175.csv")
    aids["given"] = np.where(aids["arms"] == 0, "zidovudine", "other")
    for pre, value, se in ((None, 46.810, 7.165), ("cd40", 49.381, 5.780)):
        design = bc.designs.ab_test(
            aids, outcome="cd420", arm="given", pre=pre, control="zidovudine"
        )
        _, ate = estimated(design)
        assert ate.mean() == pytest.approx(value, abs=0.1 * se)
        assert ate.sd() == pytest.approx(se, rel=0.08)
    work = pd.read_csv(SHARED / "nsw_dw.csv")
    fit, ate = estimated(bc.designs.ab_test(work, outcome="re78", arm="treat"))
    assert ate.mean() == pytest.approx(1794.3424, abs=0.1 * 632.85)
    assert fit.design.checks["shape"](fit).attrs["verdict"] == "warn"  # a third earn nothing


def test_arms_that_differ_before_and_shares_that_were_not_planned_are_noticed():
    rng = np.random.default_rng(1)
    y0 = rng.normal(size=600)
    lost = (y0 < 0) & (rng.random(600) < 0.7)  # those who were worse off leave arm B
    group = rng.choice(["A", "B"], 600)
    data = pd.DataFrame({"y0": y0, "group": group, "y": y0 + rng.normal(size=600)})
    data = data[~(lost & (group == "B"))]
    design = bc.designs.ab_test(data, pre="y0", shares={"A": 1, "B": 1})
    fit = bc.fit(design, draws=200, **QUIET)
    assert design.checks["balance"](fit).attrs["verdict"] == "warn"
    assert design.checks["sample ratio"](fit).attrs["verdict"] == "warn"


def test_several_arms_clusters_and_blocks():
    rng = np.random.default_rng(2)
    g = rng.integers(0, 30, 600)
    arm = np.array(["a", "b", "c"])[g % 3]
    y = (g % 3) + rng.normal(0, 0.3, 30)[g] + rng.normal(size=600)
    design = bc.designs.ab_test({"y": y, "group": arm, "g": g}, clusters="g", control="b")
    each = [f"{name}{arm}" for arm in ("", " a", " c") for name in ("ATE", "relative lift")]
    assert list(design.effects) == each
    assert design.effects["ATE"] == design.effects["ATE a"]
    _, ate = estimated(design, "ATE c", draws=300)
    means = pd.DataFrame({"y": y, "g": g}).groupby("g")["y"].mean()
    wanted = means[2::3].mean() - means[1::3].mean()
    assert ate.mean() == pytest.approx(wanted, abs=0.1)
    naive = np.sqrt(2 / 200)
    assert ate.sd() > 1.2 * naive


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"family": "lognormal"}, "zero_inflated_lognormal"),
        ({"family": "poison"}, "'poisson'"),
        ({"control": "D"}, "control='D' is no arm"),
        ({"shares": {"A": 1}}, "A share above 0 for each of 'A', 'B'"),
        ({"clusters": "one"}, "has one cluster"),
        ({"outcome": "flat"}, "the one value 1"),
    ],
)
def test_bad_trials_are_refused(options, said):
    data = pd.DataFrame({"group": list("AABB"), "y": [0.0, 1.5, 2.0, 3.0]})
    data["one"], data["flat"] = data["group"], 1.0
    with pytest.raises(DataError, match=said):
        bc.designs.ab_test(data, **options)


# -------------------------------------------------------------------------- instruments


@needs_data
def test_card():
    """2SLS by nearc4 and exper, black, south, married, smsa: 0.124164 (0.049956)."""
    data = pd.read_csv(SHARED / "card_close_college.csv").astype(float).dropna()
    design = bc.designs.instrument(
        data,
        treatment="educ",
        outcome="lwage",
        instrument="nearc4",
        covariates=["exper", "black", "south", "married", "smsa"],
    )
    fit, ate = estimated(design)
    beside = design.checks["two-stage least squares"](fit)
    assert beside.loc["two-stage least squares"].tolist() == pytest.approx(
        [0.124164, 0.049956], abs=1e-5
    )
    assert beside.loc["ordinary least squares", "value"] == pytest.approx(0.071173, abs=1e-5)
    low, high = ate.interval()
    assert low < 0.124164 < high
    assert ate.mean() == pytest.approx(0.124164, abs=0.3 * 0.049956)
    assert fit.summary(["b_lwage_educ", "rho"])["ess_bulk"].min() > 400
    assert ate.identification.status == "under assumption"


def simulated(direct=0.0, strength=1.0, n=800):
    rng = np.random.default_rng(5)
    z, u = rng.integers(0, 2, n), rng.normal(size=n)
    x = strength * z + u + rng.normal(size=n)
    y = 1.5 * x - 2 * u + direct * z + rng.normal(size=n)
    return {"z": z, "x": x, "y": y}


def test_what_clusters_share_is_no_evidence_of_an_effect():
    """Levels of groups that move treatment and outcome together bias what ignores them."""
    rng = np.random.default_rng(3)
    n, groups = 1200, 60
    g, z, u = rng.integers(0, groups, n), rng.integers(0, 2, n), rng.normal(size=n)
    level = rng.normal(size=groups)
    x = z + u + rng.normal(size=n) + level[g]
    y = 1.5 * x - 2 * u + rng.normal(size=n) + 2 * level[g] + rng.normal(size=groups)[g]
    columns = {"z": z, "x": x, "y": y, "g": g}
    design = bc.designs.instrument(
        columns, treatment="x", outcome="y", instrument="z", clusters="g"
    )
    fit, ate = estimated(design, draws=500)
    assert "nuts" not in fit.methods.values()
    assert abs(ate.mean() - 1.5) < 3 * ate.sd()

    def within(v):
        return v - np.bincount(g, v)[g] / np.bincount(g)[g]

    inside = within(z) @ within(y) / (within(z) @ within(x))
    noise = within(y) - inside * within(x)
    error = np.sqrt(noise @ noise / (n - groups - 1) * (within(z) @ within(z)))
    error = error / abs(within(z) @ within(x))
    assert abs(ate.mean() - inside) < 0.3 * error
    assert ate.sd() == pytest.approx(error, rel=0.15)
    assert any(a.name == "clusters" for a in design.assumptions)


@pytest.mark.slow
def test_heavy_tails_cost_a_robust_instrument_little():
    rng = np.random.default_rng(5)
    z, u = rng.integers(0, 2, 800), rng.normal(size=800)
    x = z + u + rng.normal(size=800)
    y = 1.5 * x - 2 * u + rng.standard_t(1.5, 800)
    columns = {"z": z, "x": x, "y": y}
    found = {}
    for robust in (False, True):
        design = bc.designs.instrument(
            columns, treatment="x", outcome="y", instrument="z", robust=robust
        )
        found[robust] = estimated(design, draws=500)[1]
    assert abs(found[True].mean() - 1.5) < 3 * found[True].sd()
    assert found[True].sd() < 0.8 * found[False].sd()
    assert found[True].identification.method.startswith("instrument")


def test_a_table_of_cells_is_that_of_its_units():
    cells = pd.DataFrame({"z": [0, 0, 1], "d": [0, 1, 1], "y": [1, 0, 1], "n": [3, 0, 2]})
    cells = pd.concat([cells, pd.DataFrame({"z": [1], "d": [0], "y": [0], "n": [4]})])
    names = {"treatment": "d", "outcome": "y", "instrument": "z", "form": "strata"}
    design = bc.designs.instrument(cells, counts="n", **names)
    counted = design.data[["z", "d", "y"]].value_counts().to_dict()
    assert counted == {(1, 0, 0): 4, (0, 0, 1): 3, (1, 1, 1): 2}
    with pytest.raises(DataError, match="n"):
        bc.designs.instrument(cells.assign(n=[1, 2, 1.5, 1]), counts="n", **names)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
def test_angrist_and_evans_from_their_cells():
    """Same sex of two children -> a third -> work: Wald -.137614 (worked), -6.313685 (weeks)."""
    cells = pd.read_csv(SHARED / "angrist_evans_1980_cells.csv")
    both = ["samesex", "morekids"]
    whole = cells.groupby(both, as_index=False)[["n", "n_worked", "sum_weeks", "sum_sq"]].sum()
    names = {"treatment": "morekids", "instrument": "samesex"}
    parts = [
        whole.assign(worked=1, count=whole.n_worked),
        whole.assign(worked=0, count=whole.n - whole.n_worked),
    ]
    table = pd.concat(parts)[[*both, "worked", "count"]]
    design = bc.designs.instrument(table, outcome="worked", form="strata", counts="count", **names)
    fit = bc.fit(design, draws=500, **QUIET)
    wald = design.checks["Wald"](fit).loc["ratio (Wald)"]
    assert wald["value"] == pytest.approx(-0.137614, abs=1e-6)
    drawn = fit.posterior["p_worked"].sel(stratum_level="complier")
    effect = (drawn[..., 1] - drawn[..., 0]).to_numpy()
    assert effect.mean() == pytest.approx(-0.137614, abs=0.3 * wald["se"])
    assert effect.std() == pytest.approx(wald["se"], rel=0.25)
    # rows with the sum and the sum of squares of each cell: what a linear equation reads of them
    rows = []
    for cell in whole.itertuples():
        mean, pairs = cell.sum_weeks / cell.n, cell.n // 2
        spread = np.sqrt((cell.sum_sq - cell.n * mean**2) / (2 * pairs))
        for weeks, count in ((mean - spread, pairs), (mean + spread, pairs), (mean, cell.n % 2)):
            rows.append((cell.samesex, cell.morekids, weeks, count))
    table = pd.DataFrame(rows, columns=[*both, "weeks", "count"])
    design = bc.designs.instrument(table, outcome="weeks", counts="count", **names)
    fit = bc.fit(design, draws=50, chains=2, **QUIET)
    beside = design.checks["two-stage least squares"](fit)
    value, error = beside.loc["two-stage least squares"]
    assert value == pytest.approx(-6.313685, abs=1e-5)
    mean, sd = beside.loc["posterior"]
    assert abs(mean - value) < 0.3 * error + 4 * sd / 10


def test_a_direct_path_widens_the_answer_by_its_prior_over_the_first_stage():
    data = simulated()
    ask = {"treatment": "x", "outcome": "y", "instrument": "z"}
    _, plain = estimated(bc.designs.instrument(data, **ask), draws=500)
    _, wide = estimated(bc.designs.instrument(data, **ask, direct=0.5), draws=500)
    first = np.mean(data["x"][data["z"] == 1]) - np.mean(data["x"][data["z"] == 0])
    wanted = np.hypot(plain.sd(), 0.5 / first)
    assert wide.sd() == pytest.approx(wanted, rel=0.15)


def test_a_weak_instrument_is_said():
    data = simulated(strength=0.05)
    design = bc.designs.instrument(data, treatment="x", outcome="y", instrument="z")
    fit = bc.prior(design, draws=5, seed=1)
    assert design.checks["first stage"](fit).attrs["verdict"] == "warn"
    ax = design.plots["first stage"](fit)  # the mean of each variable at each of two values
    shown = np.sort(ax.lines[0].get_xydata(), axis=0)
    arms = [[data[n][data["z"] == k].mean() - data[n].mean() for n in ("x", "y")] for k in (0, 1)]
    np.testing.assert_allclose(shown, np.sort(arms, axis=0), atol=1e-12)
    plt.close("all")


def test_compliers_are_the_ratio_of_two_effects():
    rng = np.random.default_rng(3)
    z = rng.integers(0, 2, 3000)
    kind = rng.choice(3, 3000, p=[0.2, 0.6, 0.2])  # never, complier, always
    d = np.where(kind == 1, z, kind == 2).astype(int)
    y = (rng.random(3000) < 0.3 + 0.2 * d + 0.1 * kind).astype(int)
    data = {"z": z, "d": d, "y": y}
    design = bc.designs.instrument(data, treatment="d", outcome="y", instrument="z", form="strata")
    fit = bc.fit(design, draws=250, **QUIET)
    wald = design.checks["Wald"](fit).loc["ratio (Wald)"]
    p = fit.posterior["p_y"].sel(stratum_level="complier").values
    late = p[..., 1] - p[..., 0]
    assert late.mean() == pytest.approx(wald["value"], abs=0.25 * wald["se"])
    assert late.std() == pytest.approx(wald["se"], rel=0.15)
    shares = design.checks["compliance"](fit)["share"]
    assert shares.to_dict() == pytest.approx(
        {"never taker": 0.2, "complier": 0.6, "always taker": 0.2}, abs=0.04
    )


@pytest.mark.parametrize(
    ("changed", "options", "said"),
    [
        ({}, {"direct": -1}, "A standard deviation above 0"),
        ({}, {"direct": {"w": 1}}, "'w', which is no instrument"),
        ({}, {"covariates": ["copy"]}, "is a linear function of copy"),
        ({}, {"form": "strat"}, "'strata'"),
        ({}, {"form": "strata"}, "Say what is 1"),
        ({"z": 1.0}, {}, "the one value 1"),
        ({"x": "z"}, {"form": "strata"}, "Everybody took what z said"),
    ],
)
def test_bad_instruments_are_refused(changed, options, said):
    data = pd.DataFrame(simulated(n=50))
    data["copy"] = 2 * data["z"] + 1
    for name, value in changed.items():
        data[name] = data[value] if isinstance(value, str) else value
    with pytest.raises(DataError, match=said):
        bc.designs.instrument(data, treatment="x", outcome="y", instrument="z", **options)


# ---------------------------------------------------------------------------- mediation


@pytest.fixture(scope="module")
def mediated():
    rng = np.random.default_rng(1)
    t = rng.integers(0, 2, 500)
    m = 0.8 * t + rng.normal(size=500)
    data = {"t": t, "m": m, "y": 0.5 * t + m + 0.3 * t * m + rng.normal(size=500)}
    design = bc.designs.mediation(data, treatment="t", mediators="m", outcome="y")
    fit = bc.fit(design, draws=500, **QUIET)
    return data, design, fit


def test_linear_parts_are_products_of_coefficients(mediated):
    _, design, fit = mediated
    effects = dict(zip(design.effects, bc.estimate(fit, [*design.effects.values()]), strict=True))
    b = {n: fit.posterior[n].values for n in ("b_m_t", "b_y_m", "b_y_t", "b_y_t:m")}
    level = fit.posterior["b_m_Intercept"].values
    assert np.allclose(effects["NIE"].draws, b["b_m_t"] * b["b_y_m"])
    assert np.allclose(effects["NDE"].draws, b["b_y_t"] + b["b_y_t:m"] * level)
    table = design.checks["proportion mediated"](fit)
    total, direct = effects["TE"].draws.values, effects["NDE"].draws.values
    assert table.loc["proportion mediated", "median"] == pytest.approx(
        np.median(1 - direct / total)
    )
    assert table.loc["indirect, treated", "median"] == pytest.approx(np.median(total - direct))


def test_the_proportion_mediated_is_one_less_the_direct_share(mediated):
    data, d, fit = mediated
    total, direct, share = bc.estimate(
        fit, [d.effects[n] for n in ("TE", "NDE", "proportion mediated")]
    )
    np.testing.assert_allclose(share.draws, 1 - direct.draws / total.draws, rtol=1e-9)
    assert share.identification.status == direct.identification.status
    start = "The share of the effect of t on y that goes through m is"
    assert share.sentence().startswith(start)
    table = d.checks["proportion mediated"](fit)
    assert table.loc["proportion mediated", "median"] == np.median(share.draws)
    assert not [n for n in share.notes if "one sign" in n]
    # a direct effect that takes back what goes through m leaves nothing to have a share of
    none = data | {"y": data["y"] - total.mean() * data["t"]}
    d = bc.designs.mediation(none, treatment="t", mediators="m", outcome="y")
    fit = bc.fit(d, draws=250, **QUIET)
    total, share = bc.estimate(fit, [d.effects["TE"], d.effects["proportion mediated"]])
    assert 0.05 < total.probability(above=0) < 0.95
    assert [n for n in share.notes if "one sign with probability" in n]


def test_the_correlation_that_undoes_the_effect_is_the_one_that_was_put_in():
    rng = np.random.default_rng(2)
    n, rho = 4000, 0.5
    t = rng.integers(0, 2, n)
    em, ey = rng.multivariate_normal([0, 0], [[1, 2 * rho], [2 * rho, 4]], n).T
    data = {"t": t, "m": t + em, "y": 0.5 * t + ey}  # the mediator does nothing
    design = bc.designs.mediation(
        data, treatment="t", mediators="m", outcome="y", interaction=False
    )
    fit = bc.fit(design, draws=500, **QUIET)
    table = design.checks["sensitivity"](fit)
    assert table.loc[0.0, "NIE"] > 0.8  # what one would have believed
    row = table.loc[0.5]
    assert row["hdi94_lb"] < 0 < row["hdi94_ub"]
    assert "correlated by 0." in table.attrs["finding"]


def test_confounders_that_the_treatment_causes_are_refused_with_what_to_ask(mediated):
    data = {**mediated[0], "later": mediated[0]["m"] + 1.0 * mediated[0]["t"]}
    with pytest.raises(IdentificationError, match=r"mediators=\['later', 'm'\] with sequential"):
        bc.designs.mediation(
            data, treatment="t", mediators="m", outcome="y", exposure_induced=["later"]
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mediators": []}, "names no column"),
        ({"treated": 2}, "treated=2 is no value of 't'"),
        ({"families": {"k": "gaussian"}}, "'k', which has no equation"),
    ],
)
def test_bad_mediation_is_refused(mediated, options, said):
    with pytest.raises(DataError, match=said):
        bc.designs.mediation(
            mediated[0], **{"treatment": "t", "mediators": ["m"], "outcome": "y"} | options
        )


@needs_data
@pytest.mark.slow
def test_framing():
    """Natural effects of the news framing experiment through emotion: 0.084 and 0.0116."""
    data = pd.read_csv(SHARED / "framing.csv")
    design = bc.designs.mediation(
        data,
        treatment="treat",
        mediators=["emo"],
        outcome="cong_mesg",
        covariates=["age", "educ", "gender", "income"],
        interaction=False,
    )
    fit = bc.fit(design, **QUIET)
    nie, nde = bc.estimate(fit, [design.effects["NIE"], design.effects["NDE"]])
    assert nie.mean() == pytest.approx(0.084, abs=0.01)
    assert nde.mean() == pytest.approx(0.0116, abs=0.01)
    table = design.checks["sensitivity"](fit)
    assert table.loc[0.0, "NIE"] == pytest.approx(nie.mean(), abs=0.003)


@pytest.mark.slow
def test_vitamin_a():
    """23,682 children of Sommer and Zeger: the effect on compliers is .003226 (.001144)."""
    z = np.repeat([0, 1], [11588, 12094])
    d = np.repeat([0, 0, 1], [11588, 2419, 9675])
    y = np.repeat([0, 1, 0, 1, 0, 1], [74, 11514, 34, 2385, 12, 9663])
    design = bc.designs.instrument(
        {"z": z, "d": d, "y": y}, treatment="d", outcome="y", instrument="z", form="strata"
    )
    fit = bc.fit(design, draws=500, **QUIET)
    p = fit.posterior["p_y"].sel(stratum_level="complier").values
    late = p[..., 1] - p[..., 0]
    assert late.mean() == pytest.approx(3.226e-3, abs=1.5e-4)
    assert late.std() == pytest.approx(1.144e-3, rel=0.1)


@pytest.mark.slow
def test_instruments_recover_a_truth():
    data = simulated(n=300)
    design = bc.designs.instrument(data, treatment="x", outcome="y", instrument="z")
    truth = {"b_x_Intercept": 0.5, "b_x_z": 1.0, "b_y_Intercept": 0.7, "b_y_x": 1.5}
    truth |= {"rho": -0.5, "sigma_x": 1.4, "sigma_y": 1.7}
    study = bc.recover(
        design, truth, design.effects["ATE"], units=300, replicates=200, seed=1,
        progressbar=False, draws=250, observed=["x", "y"],
    )  # fmt: skip
    covered = study.rows["covered"].sum()
    low, high = stats.binom.interval(0.999, 200, 0.94)
    assert low <= covered <= high


def test_covariates_of_a_treatment_with_labels_are_compared_as_of_its_code():
    """Drug is 1 and placebo 0, whatever their order; units of a third level are left out."""
    rng = np.random.default_rng(4)
    t, old = rng.integers(0, 2, 300), rng.normal(size=300)
    m = t + old + rng.normal(size=300)
    data = {"m": m, "y": m + rng.normal(size=300), "old": old + 0.5 * t}
    names = {"mediators": "m", "outcome": "y", "covariates": ["old"]}
    table = {k: np.concatenate([v, v[:50] + 9]) for k, v in data.items()}
    word = np.concatenate([np.where(t == 1, "drug", "placebo"), np.full(50, "other")])
    design = bc.designs.mediation(
        {**table, "t": word}, treatment="t", treated="drug", control="placebo", **names
    )
    fit = bc.prior(design, draws=5, seed=1)
    found = design.checks["balance"](fit)["correlation with treatment"]
    assert found["old"] == pytest.approx(np.corrcoef(t, data["old"])[0, 1])
    assert found["old"] > 0
    with pytest.raises(DataError, match="as 0 and 1"):
        design.checks["sensitivity"](fit)
