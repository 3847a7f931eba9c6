"""Each design recovers a simulated truth: 94% intervals hold it as often as they say.

Of 200 data sets an interval that is right holds the truth a binomial number of times. Data come
from the design's own model at a truth near the middle of its priors, on its own columns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.checks.studies.collect import make_recipe

REPLICATES = 200
LOW, HIGH = (int(v) for v in stats.binom.interval(0.999, REPLICATES, 0.94))


def trial():
    data = {"y": np.tile([0, 1, 1], 60), "group": np.repeat([0, 1], 90)}
    return bc.designs.ab_test(data), {"p_group": 0.5, "p_y": [0.3, 0.45]}, "ATE"


def adjusted_trial():
    rng = np.random.default_rng(1)
    y0, group = rng.normal(size=150), np.tile([0, 1], 75)
    data = {"y": y0 + group + rng.normal(size=150), "group": group, "y0": y0}
    truth = {"p_group": 0.5, "level_y": [0.0, 0.8], "b_y_y0": 0.7, "sigma_y": 1.2}
    truth |= {"b_y0_Intercept": 0.0, "sigma_y0": 1.0}
    return bc.designs.ab_test(data, pre="y0"), truth, "ATE"


def jump():
    rng = np.random.default_rng(2)
    r = rng.uniform(-1, 1, 300)
    data = pd.DataFrame({"r": r, "y": 1.0 * (r > 0) + r + rng.normal(size=300)})
    design = bc.designs.regression_discontinuity(data, "y", "r", bandwidth=1.0, kernel="triangular")
    truth = {"b_y_Intercept": 0.1, "b_y_treated": 0.8, "b_y_r": 0.7, "b_y_treated:r": -0.4}
    return design, truth | {"sigma_y": 0.7}, "at_cutoff"


def fuzzy_jump():
    rng = np.random.default_rng(3)
    r = rng.uniform(-1, 1, 400)
    d = 1.0 * (r > 0) + 0.5 * r + rng.normal(0, 0.6, 400)
    data = pd.DataFrame({"r": r, "d": d, "y": d + r + rng.normal(size=400)})
    design = bc.designs.regression_discontinuity(
        data, "y", "r", bandwidth=1.0, kernel="uniform", treatment="d"
    )
    truth = {"b_d_Intercept": 0.0, "b_d_eligible": 1.0, "b_d_r": 0.5, "b_d_eligible:r": 0.2}
    truth |= {"b_y_Intercept": 0.3, "b_y_d": 0.9, "b_y_r": 0.6, "b_y_eligible:r": -0.3}
    return design, truth | {"rho": 0.4, "sigma_d": 0.6, "sigma_y": 1.0}, "LATE"


def series():
    t = np.arange(60)
    y = 10 + 0.1 * t - 2.0 * (t >= 40) + np.random.default_rng(4).normal(size=60)
    data = pd.DataFrame({"t": t, "y": y})
    design = bc.designs.interrupted_time_series(data, "y", "t", start=40)
    truth = {"b_y_Intercept": 14.0, "b_y_t": 0.1, "b_y_intervention": -2.0}
    return design, truth | {"b_y_since_start": 0.05, "sigma_y": 1.0}, "average"


def weighted_donors():
    rng = np.random.default_rng(5)
    level = rng.normal(0, 1, (6, 30)).cumsum(axis=1) + 20
    rows = [(f"s{u}", t, level[u, t]) for u in range(6) for t in range(30)]
    data = pd.DataFrame(rows, columns=["shop", "week", "sales"])
    design = bc.designs.synthetic_control(
        data, "sales", "shop", "week", treated="s0", start=24, concentration=1.0
    )
    weights = np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    return design, {"weights": weights, "effect": -1.0, "sigma": 0.5}, "ATT"


def survival_times():
    rng = np.random.default_rng(6)
    rx, age = rng.integers(0, 2, 200), rng.normal(size=200)
    t = 3 * np.exp(0.5 * rx - 0.3 * age) * rng.weibull(1.3, 200)
    data = {"time": np.minimum(t, 5.0), "status": (t < 5).astype(int), "rx": rx, "age": age}
    design = bc.designs.survival(
        data, time="time", event="status", treatment="rx", covariates=["age"], upto=4.0
    )
    truth = {"b_time_Intercept": 1.1, "b_time_rx": 0.5, "b_time_age": -0.3, "alpha_time": 1.3}
    return design, truth, "RMST"


def mediated():
    rng = np.random.default_rng(7)
    t = rng.integers(0, 2, 200)
    m = t + rng.normal(size=200)
    data = {"t": t, "m": m, "y": 0.5 * t + m + rng.normal(size=200)}
    design = bc.designs.mediation(
        data, treatment="t", mediators="m", outcome="y", interaction=False
    )
    truth = {"b_m_Intercept": 0.0, "b_m_t": 0.7, "sigma_m": 1.0}
    truth |= {"b_y_Intercept": 0.0, "b_y_t": 0.4, "b_y_m": 0.6, "sigma_y": 1.0}
    return design, truth, "NIE"


def waves():
    rng = np.random.default_rng(8)
    n = 200
    data = {"id": np.repeat(np.arange(n), 2), "t": np.tile([0, 1], n)}
    data |= {"a": rng.integers(0, 2, 2 * n), "y": rng.normal(size=2 * n)}
    design = bc.designs.panel(data, "y", "a", unit="id", time="t")
    truth = {"b_y_0_Intercept": 0.0, "b_y_0_a_0": 0.4, "sigma_y_0": 1.0}
    truth |= {"b_y_1_Intercept": 0.0, "b_y_1_a_0": 0.3, "b_y_1_a_1": 0.5, "b_y_1_y_0": 0.4}
    return design, truth | {"sigma_y_1": 1.0}, "ATE"


def cohorts():
    rng = np.random.default_rng(9)
    unit, time = np.repeat(np.arange(60), 5), np.tile(np.arange(5), 60)
    start = np.where(np.arange(60) < 30, 3, 9)[unit]
    data = pd.DataFrame({"id": unit, "t": time, "g": np.where(start < 9, start, np.nan)})
    data["y"] = rng.normal(size=60)[unit] + (time >= start) + rng.normal(size=300)
    return bc.designs.difference_in_differences(data, "y", "id", "t", first_treated="g"), {}, "ATT"


def emulated():
    rng = np.random.default_rng(10)
    rows = []
    for k in range(200):
        rows.append((k, 0.0, "seen"))
        if k % 2:
            rows.append((k, 0.0, "drug"))
        rows.append((k, float(rng.weibull(1.2) * 40 * (1 + 0.5 * (k % 2))), "death"))
    events = pd.DataFrame(rows, columns=["id", "day", "type"])
    design = bc.designs.target_trial(
        events, time="day", treatment="drug", outcome="death", follow_up=60
    )
    name = "time_to_death"
    truth = {f"b_{name}_Intercept": 3.6, f"b_{name}_drug": 0.4, f"alpha_{name}": 1.2}
    return design, truth, "RMST"


def rivals():
    rng = np.random.default_rng(11)
    rx = rng.integers(0, 2, 250)
    one, two = rng.exponential(2 * np.exp(0.6 * rx)), rng.exponential(3.0, 250)
    first = np.minimum(np.minimum(one, two), 4.0)
    kind = np.select([first == one, first == two], [1, 2], 0)
    design = bc.designs.survival(
        {"time": first, "kind": kind, "rx": rx}, time="time", event="kind", treatment="rx",
        competing={"other": 2}, family="exponential", upto=3.0,
    )  # fmt: skip
    truth = {"b_time_Intercept": 0.7, "b_time_rx": 0.5}
    return (
        design,
        truth | {"b_time_other_Intercept": 1.1, "b_time_other_rx": 0.0},
        "risk difference",
    )


def encouraged():
    rng = np.random.default_rng(12)
    z, u = rng.integers(0, 2, 300), rng.normal(size=300)
    x = z + u + rng.normal(size=300)
    data = {"z": z, "x": x, "y": 0.5 * x - u + rng.normal(size=300)}
    design = bc.designs.instrument(data, treatment="x", outcome="y", instrument="z")
    truth = {"b_x_Intercept": 0.0, "b_x_z": 1.0, "sigma_x": 1.2}
    truth |= {"b_y_Intercept": 0.0, "b_y_x": 0.5, "sigma_y": 1.0, "rho": -0.4}
    return design, truth, "LATE"


def compliers():
    rng = np.random.default_rng(13)
    z, kind = np.tile([0, 1], 250), rng.choice(3, 500, p=[0.25, 0.55, 0.2])
    d = np.where(kind == 2, 1, np.where(kind == 1, z, 0))
    data = {"z": z, "d": d, "y": rng.binomial(1, 0.3 + 0.2 * d)}
    design = bc.designs.instrument(data, treatment="d", outcome="y", instrument="z", form="strata")
    truth = {"p_z": 0.5, "p_stratum": [0.25, 0.55, 0.2]}
    return design, truth | {"p_y": [[0.3, 0.5], [0.4, 0.6], [0.2, 0.5]]}, "LATE"


def staggered():
    rng = np.random.default_rng(14)
    unit, time = np.repeat(np.arange(60), 6), np.tile(np.arange(6), 60)
    start = np.select([np.arange(60) < 15, np.arange(60) < 35], [2, 4], 9)[unit]
    data = pd.DataFrame({"id": unit, "t": time, "g": np.where(start < 9, start, np.nan)})
    data["y"] = rng.normal(size=60)[unit] + (time >= start) + rng.normal(size=360)
    design = bc.designs.difference_in_differences(data, "y", "id", "t", first_treated="g")
    return design, {}, "by_event_time"


DESIGNS = {
    f.__name__: f
    for f in (
        trial,
        adjusted_trial,
        jump,
        fuzzy_jump,
        series,
        weighted_donors,
        survival_times,
        mediated,
        waves,
        cohorts,
        emulated,
        rivals,
        encouraged,
        compliers,
        staggered,
    )
}


def completed(design, truth):
    """Return the truth with a value for every parameter: those not named are at their middle."""
    prior = bc.prior(design, draws=200, seed=1)
    found = {n: np.median(prior.posterior[n], axis=(0, 1)) for n in prior.parameters}
    shapes = {n: v.shape for n, v in found.items() if n in design.model.named_vars}
    lost = set(truth) - set(found)
    assert not lost, (lost, sorted(found))
    free = {rv.name for rv in design.model.free_RVs}
    return {n: np.broadcast_to(truth.get(n, found[n]), shapes[n]) for n in found if n in free}


@pytest.mark.parametrize(
    ("name", "latent"), [("encouraged", "common_cause"), ("compliers", "stratum")]
)
def test_a_study_of_a_design_does_not_show_the_fit_what_nobody_measures(name, latent):
    design, truth, effect = DESIGNS[name]()
    nothing = dict.fromkeys(("fit_model", "observed", "do", "unit_dims"))
    recipe = make_recipe(
        design, completed(design, truth), {effect: design.effects[effect]},
        units=None, seed=1, options={"draws": 10}, **nothing,
    )  # fmt: skip
    assert set(recipe.columns) == set(design.data)
    assert latent in recipe.model.named_vars


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_intervals_hold_a_simulated_truth_as_often_as_they_say(name):
    design, truth, effect = DESIGNS[name]()
    study = bc.recover(
        design, completed(design, truth), {effect: design.effects[effect]}, units=None,
        replicates=REPLICATES, draws=250, seed=1, progressbar=False,
    )  # fmt: skip
    rows = study.rows
    assert not (rows["failure"] != "").any(), rows["failure"].iloc[0]
    covered = int(rows["covered"].sum())
    assert LOW <= covered <= HIGH, (name, covered)
