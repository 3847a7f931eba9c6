"""Simulate, then recover.

Does the study find an effect that is known? One interval for each replicate.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    scale = pd.DataFrame({"x": np.linspace(-2, 2, 50), "y": np.linspace(-2, 2, 50)})
    model = bc.model_from_formulas(["x ~ 1", "y ~ x"], data=scale)
    truth = {
        "b_x_Intercept": 0,
        "sigma_x": 1,
        "b_y_Intercept": 0,
        "b_y_x": 0.5,
        "sigma_y": 1,
    }
    result = bc.recover(
        model, truth, bc.ATE("x", "y"), units=100, replicates=60, seed=1
    )
    return result.plot().figure
