"""How many units are needed.

The probability that the interval will exclude zero, by the number of units, where the
effect is drawn from what is known of it.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    scale = pd.DataFrame({"x": np.linspace(-2, 2, 50), "y": np.linspace(-2, 2, 50)})
    model = bc.model_from_formulas(["x ~ 1", "y ~ x"], data=scale)
    truth = {"b_x_Intercept": 0, "sigma_x": 1, "b_y_Intercept": 0}
    truth |= {"b_y_x": 0.4, "sigma_y": 1}
    found = bc.assurance(
        model, truth, bc.ATE("x", "y"), units=[20, 40, 60, 80, 120], replicates=60,
        seed=1, progressbar=False,
    )  # fmt: skip
    return found.plot().figure
