"""Survival curves.

Under treatment of all and of none, adjusted for age, beside Kaplan and Meier's
curves.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(7)
    age, drug = rng.normal(60, 10, 400), rng.integers(0, 2, 400)
    days = 400 * np.exp(0.5 * drug - 0.05 * (age - 60)) * rng.weibull(1.3, 400)
    end = rng.uniform(200, 1000, 400)
    data = pd.DataFrame(
        {"days": np.minimum(days, end), "died": (days < end).astype(int)}
    )
    data["drug"], data["age"] = drug, age
    design = bc.designs.survival(
        data, time="days", event="died", treatment="drug", covariates=["age"], upto=730
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["survival"](fit).figure
