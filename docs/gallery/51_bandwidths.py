"""Bandwidths of a discontinuity.

The jump at the cutoff by how far from it units are used.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(1)
    score = rng.uniform(20, 100, 1000)
    income = 20 + 0.1 * (score - 60) + 4 * (score >= 60) + rng.normal(0, 3, 1000)
    data = pd.DataFrame({"score": score, "income": income})
    design = bc.designs.regression_discontinuity(
        data, outcome="income", running="score", cutoff=60
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["bandwidths"](fit).figure
