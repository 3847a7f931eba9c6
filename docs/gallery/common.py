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
