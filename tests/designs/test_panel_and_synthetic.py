"""Panels by the g-formula, synthetic controls: published numbers, and tables that are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.designs.synthetic.least_squares import simplex_weights
from bayescausal.types import BayesCausalError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "california_prop99.csv"

# Hernan and Robins, What If, table 20.1: a0, l1, a1, number, mean outcome.
TABLE = [
    (0, 0, 0, 2400, 84),
    (0, 0, 1, 1600, 84),
    (0, 1, 0, 2400, 52),
    (0, 1, 1, 9600, 52),
    (1, 0, 0, 4800, 76),
    (1, 0, 1, 3200, 76),
    (1, 1, 0, 1600, 44),
    (1, 1, 1, 6400, 44),
]


def what_if(share=1):
    parts = []
    for a0, l1, a1, n, y in TABLE:
        size = n // share
        noise = np.resize([10.0, -10.0], size)
        parts.append(pd.DataFrame({"a0": a0, "l1": l1, "a1": a1, "y": y + noise}, range(size)))
    wide = pd.concat(parts, ignore_index=True)
    first = pd.DataFrame({"id": wide.index, "t": 0, "l": 0, "a": wide["a0"], "y": np.nan})
    second = pd.DataFrame(
        {"id": wide.index, "t": 1, "l": wide["l1"], "a": wide["a1"], "y": wide["y"]}
    )
    return pd.concat([first, second]), wide


def test_treatment_confounder_feedback_is_adjusted_for():
    long, wide = what_if(share=100)
    d = bc.designs.panel(long, "y", "a", unit="id", time="t", covariates="l")
    # the parameters of the table itself: logits of its shares, its means
    logit = lambda p: float(np.log(p / (1 - p)))  # noqa: E731
    truth = {
        "b_a_0_Intercept": 0.0,
        "b_l_1_Intercept": logit(0.75),
        "b_l_1_a_0": logit(0.5) - logit(0.75),
        "b_a_1_Intercept": logit(0.4),
        "b_a_1_l_1": logit(0.8) - logit(0.4),
        "b_a_1_a_0": 0.0,
        "b_y_1_Intercept": 84.0,
        "b_y_1_l_1": -32.0,
        "b_y_1_a_0": -8.0,
        "b_y_1_a_1": 0.0,
        "sigma_y_1": 10.0,
    }
    known = bc.truth(d.model, truth, d.data)
    effect = bc.estimate(known, d.effects["ATE"])
    assert float(effect.mean()) == pytest.approx(0.0, abs=1e-9)
    naive = wide.groupby(["a0", "a1"])["y"].mean()
    assert naive[1, 1] - naive[0, 0] < -5
    table = d.checks["naive"](known)
    assert table.loc["regression, with covariates", "effect"] == pytest.approx(-8.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.iloc[:-1], "units lack periods"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "have several rows"),
        (lambda f: f.assign(a=1), "does not vary"),
        (lambda f: f.rename(columns={"a": "A"}), "'a' is not a column"),
    ],
)
def test_bad_panels_are_refused(change, said):
    long, _ = what_if(share=800)
    with pytest.raises(BayesCausalError, match=said):
        bc.designs.panel(change(long), "y", "a", unit="id", time="t", covariates="l")


def test_times_at_which_all_are_treated_alike_are_said():
    long, _ = what_if(share=100)
    third = long[long["t"] == 1].assign(t=2, a=1, y=lambda f: f["y"] + 1, l=0)
    d = bc.designs.panel(pd.concat([long, third]), "y", "a", unit="id", time="t", covariates="l")
    [positivity] = [a.text for a in d.assumptions if a.name == "positivity"]
    assert "but at 2: there all units have one level" in positivity
    assert d.effects["ATE"].treatments == ("a_0", "a_1")
    whole = bc.designs.panel(long, "y", "a", unit="id", time="t", covariates="l")
    assert "but at" not in str(whole)


def test_a_baseline_called_like_a_time_is_refused():
    long, _ = what_if(share=100)
    long = long.assign(a_1=lambda f: f["id"] % 3)
    with pytest.raises(BayesCausalError, match=r"'a_1' .baseline=. is called like one of a time"):
        bc.designs.panel(long, "y", "a", unit="id", time="t", covariates="l", baseline="a_1")


def test_proposition_99():
    if not SHARED.exists():
        pytest.skip("data not there")
    data = pd.read_csv(SHARED)
    d = bc.designs.synthetic_control(
        data, "PacksPerCapita", "State", "Year", treated="California", start=1989
    )
    wide = data.pivot(index="State", columns="Year", values="PacksPerCapita")
    y, pool = wide.loc["California"].to_numpy(), wide.drop("California").to_numpy()
    w = simplex_weights(y[:19], pool[:, :19])
    gap = y - w @ pool
    assert gap[19:].mean() == pytest.approx(-19.61966, abs=0.2)  # published, with a small ridge
    assert gap[-1] == pytest.approx(-26.597, abs=0.05)
    fit = bc.fit(d, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {"simplex (coefficients integrated out)"}
    effect = bc.estimate(fit, d.effects["ATT"])
    lower, upper = effect.interval()
    assert lower < -19.61966 < upper
    # a posterior mean is nearer to even weights, and so to the -27.3 of the donors' mean
    assert float(effect.mean()) == pytest.approx(-19.61966, abs=2.5)
    total = bc.estimate(fit, d.effects["cumulative"])
    assert float(total.mean()) == pytest.approx(12 * float(effect.mean()))
    placebo = d.checks["placebo_space"](fit)
    assert len(placebo) == 39
    assert placebo["p_value"].count() == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"treated": "z"}, "'z' is no unit"),
        ({"start": 40}, "No time of the table is at or after"),
        ({"start": 1}, "1 time of the table lies before|nothing to match"),
        ({"donors": ["b"]}, "There is 1 donor"),
        ({"concentration": 0}, "concentration=0"),
    ],
)
def test_bad_series_are_refused(options, said):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"u": np.repeat(list("abcd"), 8), "t": np.tile(range(8), 4)})
    data["y"] = rng.normal(size=32)
    with pytest.raises(BayesCausalError, match=said):
        bc.designs.synthetic_control(
            data, "y", "u", "t", **({"treated": "a", "start": 5} | options)
        )


def levels():
    """Six shops of which the first is the mean of two others, exactly, over 30 weeks."""
    y = np.random.default_rng(3).normal(0, 1, (6, 30)).cumsum(axis=1) + 20
    y[0] = (y[1] + y[2]) / 2
    return y


def table_of(y):
    rows = [(f"s{u}", t, y[u, t]) for u in range(len(y)) for t in range(y.shape[1])]
    return pd.DataFrame(rows, columns=["shop", "week", "sales"])


def control(data):
    return bc.designs.synthetic_control(data, "sales", "shop", "week", treated="s0", start=24)


def test_a_match_that_ends_before_the_treatment_is_noticed_by_the_placebo_in_time():
    sound = levels()
    broken = sound.copy()
    broken[0, 16:] -= 3.0  # something else happened, eight weeks before
    for y, shift in ((sound, 0.0), (broken, -3.0)):
        table = control(table_of(y)).checks["placebo_time"](None, start=16)
        gap = float(table.loc[table["time"] == "average", "gap"].iloc[0])
        assert gap == pytest.approx(shift, abs=1e-6)  # weights of a half each, to the optimiser


def test_a_donor_that_is_treated_too_is_noticed_when_it_is_left_out():
    y = levels()
    y[0, 24:] -= 2.0
    y[1, 24:] -= 2.0  # the treatment of s0 reaches s1
    table = control(table_of(y)).checks["leave_one_out"](None)
    by = table.set_index("without")["average_gap"]
    assert by["none"] == pytest.approx(-1.0, abs=1e-6)  # half of it is hidden by s1
    assert abs(by["s1"] - by["none"]) > 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(index=40), "lacks? periods|lack periods"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "several rows"),
        (lambda f: f.assign(sales=1.0), "one value"),
        (lambda f: f[f["week"] >= 23], "1 time of the table lies before"),
    ],
)
def test_bad_tables_of_donors_are_refused(change, said):
    with pytest.raises(BayesCausalError, match=said):
        control(change(table_of(levels())))


def test_times_out_of_order_are_sorted():
    data = table_of(levels())
    mixed = control(data.sample(frac=1.0, random_state=1))
    assert np.array_equal(mixed.data["donors"], control(data).data["donors"])


def test_regimes_that_nobody_followed_are_noticed():
    rng = np.random.default_rng(2)
    first = rng.integers(0, 2, 100)
    long = pd.DataFrame({"id": np.tile(range(100), 2), "t": np.repeat([0, 1], 100)})
    long["a"] = np.concatenate([first, 1 - first])  # whoever took it stops, and the others begin
    long["y"] = rng.normal(size=200)
    d = bc.designs.panel(long, "y", "a", unit="id", time="t")
    table = d.checks["positivity"](None)
    assert table["followed"].tolist() == [first.sum(), 0, 100 - first.sum(), 0]
    assert table["share"].tolist()[1::2] == [0.0, 0.0]


@pytest.mark.parametrize("options", [{}, {"augmented": True, "intercept": True}])
def test_several_units_treated_at_different_times_have_effects_of_their_own(options):
    """Each is a mixture of donors and, from its start on, 2 or 5 more."""
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(4, 24)).cumsum(axis=1)
    noise = rng.normal(0, 0.1, (2, 24))
    start, time = {"a": 14, "b": 18}, np.arange(24)
    series = dict(zip("wxyz", pool, strict=True))
    series["a"] = 0.5 * pool[0] + 0.5 * pool[1] + noise[0] + 2.0 * (time >= 14)
    series["b"] = 0.3 * pool[2] + 0.7 * pool[3] + noise[1] + 5.0 * (time >= 18)
    long = pd.concat([pd.DataFrame({"unit": u, "t": time, "y": y}) for u, y in series.items()])
    d = bc.designs.synthetic_control(
        long, "y", "unit", "t", treated=["a", "b"], start=start, **options
    )
    fit = bc.fit(d, seed=1, draws=250, progressbar=False)
    each = bc.estimate(fit, d.effects["by_unit"]).draws.mean(("chain", "draw")).to_numpy()
    np.testing.assert_allclose(each, [2.0, 5.0], atol=0.3)
    found = bc.estimate(fit, d.effects["ATT"]).mean()
    assert found == pytest.approx((10 * each[0] + 6 * each[1]) / 16)  # cells count alike
    assert len(d.checks["placebo_time"](fit, unit="b"))
