"""The fits that the gallery's scripts share, linear or small and so quick."""

import functools

import numpy as np
import pandas as pd

import bayescausal as bc


@functools.cache
def coating_fit():
    """Return the fit of 400 coated parts."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"humid": rng.normal(size=400)})
    data["dilution"] = rng.normal(-0.7 * data["humid"], 0.7)
    data["coating"] = rng.normal(
        0.5 - 0.42 * data["dilution"] - 0.54 * data["humid"], 0.2
    )
    formulas = ["humid ~ 1", "dilution ~ humid", "coating ~ dilution + humid"]
    model = bc.model_from_formulas(formulas, data=data)
    return bc.fit(model, data, seed=1, progressbar=False)


@functools.cache
def training_fit():
    """Return the fit of a training programme that the poor take more often."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        {"before": rng.normal(10, 3, 600), "age": rng.normal(30, 6, 600)}
    )
    chance = 1 / (1 + np.exp((data["before"] - 9) / 3 + (data["age"] - 30) / 10))
    data["train"] = (rng.random(600) < chance).astype(int)
    data["earn"] = rng.normal(2 + 0.8 * data["before"] + 1.5 * data["train"], 2)
    formulas = ["train ~ before + age", "earn ~ train + before + age"]
    model = bc.model_from_formulas(formulas, families={"train": "bernoulli"}, data=data)
    return bc.fit(model, data, seed=1, progressbar=False)


@functools.cache
def drug_fit():
    """Return the fit of a drug that helps the middle-aged and the severely ill."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"age": rng.uniform(20, 80, 400)})
    data["severe"] = rng.integers(0, 2, 400)
    data["drug"] = rng.binomial(1, np.where(data["severe"] == 1, 0.7, 0.3))
    gain = 2 - np.abs(data["age"] - 50) / 10 + data["severe"]
    data["relief"] = rng.normal(0.05 * data["age"] + data["drug"] * gain, 1)
    formula = "relief ~ drug * s(age) + drug * severe"
    model = bc.model_from_formulas([formula], data=data)
    return bc.fit(model, data, seed=1, progressbar=False)


@functools.cache
def learner_result():
    """Return the effects of the programme that an X-learner predicts."""
    question = bc.ATE("train", "earn")
    return bc.triangulate(training_fit(), question, estimators=["x_learner"], seed=1)


@functools.cache
def jobs_fit():
    """Return the fit of a law that came in some shops' states, by year."""
    rng = np.random.default_rng(2)
    starts = rng.permutation([0] * 30 + [4] * 15 + [6] * 15)
    shops = pd.DataFrame({"shop": range(60), "law_from": starts})
    data = shops.merge(pd.DataFrame({"year": range(1, 9)}), how="cross")
    since = data["year"] - data["law_from"]
    lost = np.where((data["law_from"] > 0) & (since >= 0), 1 + 0.5 * since, 0)
    data["jobs"] = (
        rng.normal(10, 2, 60)[data["shop"]] + rng.normal(0, 0.5, len(data)) - lost
    )
    design = bc.designs.difference_in_differences(
        data, "jobs", unit="shop", time="year", first_treated="law_from"
    )
    return bc.fit(design, seed=1, progressbar=False)


@functools.cache
def income_fit():
    """Return the fit of a grant above a score of 60."""
    rng = np.random.default_rng(1)
    score = rng.uniform(20, 100, 1000)
    income = 20 + 0.1 * (score - 60) + 4 * (score >= 60) + rng.normal(0, 3, 1000)
    data = pd.DataFrame({"score": score, "income": income})
    design = bc.designs.regression_discontinuity(
        data, outcome="income", running="score", cutoff=60
    )
    return bc.fit(design, seed=1, progressbar=False)


@functools.cache
def accidents_fit():
    """Return the fit of monthly accidents before and after an intervention."""
    rng = np.random.default_rng(4)
    t = np.arange(120)
    y = (
        100
        + 0.1 * t
        + 8 * np.sin(2 * np.pi * t / 12)
        + rng.normal(0, 2, 120)
        - 10 * (t >= 90)
    )
    months = pd.date_range("2014-01", periods=120, freq="MS")
    data = pd.DataFrame({"month": months, "accidents": y})
    design = bc.designs.interrupted_time_series(
        data, outcome="accidents", time="month", start="2021-07", season=12
    )
    return bc.fit(design, seed=1, progressbar=False)


@functools.cache
def packs_fit():
    """Return the fit of cigarette packs in one treated state and eleven others."""
    rng = np.random.default_rng(4)
    years, states = np.arange(1980, 2005), list("ABCDEFGHIJKL")
    common = np.cumsum(rng.normal(0, 1.5, (2, 25)), axis=1)
    packs = 100 + rng.normal(0, 8, 12)[:, None] + rng.normal(1, 1, (12, 2)) @ common
    packs[0] = 0.5 * packs[1] + 0.3 * packs[2] + 0.2 * packs[3]
    packs += rng.normal(0, 0.7, packs.shape)
    packs[0, 15:] -= np.arange(1, 11)
    columns = {"state": np.repeat(states, 25), "year": np.tile(years, 12)}
    data = pd.DataFrame({**columns, "packs": packs.ravel()})
    design = bc.designs.synthetic_control(
        data, outcome="packs", unit="state", time="year", treated="A", start=1995
    )
    return bc.fit(design, seed=1, progressbar=False)


@functools.cache
def mediation_fit():
    """Return the fit of a trial with one mediator."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"t": rng.integers(0, 2, 500)})
    data["m"] = 0.8 * data["t"] + rng.normal(size=500)
    data["y"] = 0.5 * data["t"] + data["m"] + rng.normal(size=500)
    design = bc.designs.mediation(data, treatment="t", mediators=["m"], outcome="y")
    return bc.fit(design, seed=1, progressbar=False)
