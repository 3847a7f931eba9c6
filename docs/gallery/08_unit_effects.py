"""The effect on each unit.

Sorted, with the interval of each.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        {"age": rng.uniform(20, 70, 300), "drug": rng.integers(0, 2, 300)}
    )
    gain = data["drug"] * (70 - data["age"]) / 25
    data["score"] = rng.normal(10 + gain - 0.05 * data["age"], 1)
    model = bc.model_from_formulas(["score ~ drug * age"], data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)
    return bc.plot_ite(bc.estimate(fit, bc.ITE("drug", "score"), seed=1)).figure
