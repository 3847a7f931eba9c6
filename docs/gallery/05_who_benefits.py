"""Who benefits.

The effect of a treatment along a covariate, with bands; the effect is a penalised
curve.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"age": rng.uniform(20, 80, 300)})
    data["drug"] = rng.binomial(1, 1 / (1 + np.exp((data["age"] - 50) / 20)))
    effect = 2 - np.abs(data["age"] - 50) / 10
    data["relief"] = rng.normal(0.02 * data["age"] + data["drug"] * effect, 0.8)
    model = bc.model_from_formulas(["relief ~ drug * s(age)"], data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)
    found = bc.heterogeneity(fit, bc.ATE("drug", "relief"))
    return found.plot("curve", covariate="age").figure
