"""Sensitivity of a mediation analysis.

The indirect effect along the correlation that an unmeasured common cause of mediator
and outcome would leave between their errors.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"t": rng.integers(0, 2, 500)})
    data["m"] = 0.8 * data["t"] + rng.normal(size=500)
    data["y"] = 0.5 * data["t"] + data["m"] + rng.normal(size=500)
    design = bc.designs.mediation(data, treatment="t", mediators=["m"], outcome="y")
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["sensitivity"](fit).figure
