"""Cumulative incidence with a competing event.

The probability of relapse by a time, under treatment of all and of none, where death
comes before it for some.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(7)
    age, drug = rng.normal(60, 10, 200), rng.integers(0, 2, 200)
    relapse = 500 * np.exp(0.6 * drug - 0.03 * (age - 60)) * rng.weibull(1.2, 200)
    death = 700 * np.exp(-0.05 * (age - 60)) * rng.weibull(1.2, 200)
    end = rng.uniform(300, 1000, 200)
    time = np.minimum(np.minimum(relapse, death), end)
    kind = np.select([time == relapse, time == death], [1, 2], 0)
    data = pd.DataFrame({"time": time, "kind": kind, "drug": drug, "age": age})
    design = bc.designs.survival(
        data, time="time", event="kind", treatment="drug", covariates=["age"],
        competing={"death": 2}, upto=600,
    )  # fmt: skip
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["incidence"](fit).figure
