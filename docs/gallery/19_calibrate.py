"""Calibration of the whole study.

Truths from the prior, ranked among the draws of the posterior that each data set gives:
within the bands, the intervals hold as often as they say.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    scale = pd.DataFrame({"x": np.linspace(-2, 2, 50), "y": np.linspace(-2, 2, 50)})
    model = bc.model_from_formulas(["x ~ 1", "y ~ x"], data=scale)
    study = bc.calibrate(
        model, bc.ATE("x", "y"), units=30, replicates=100, seed=1, progressbar=False
    )
    return study.plot(quantity="ATE x -> y").figure
