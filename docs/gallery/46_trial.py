"""Arms of a trial.

The mean of each arm with its HDI.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(3)
    data = pd.DataFrame(
        {"group": rng.choice(["A", "B", "C"], 600), "y0": rng.normal(10, 3, 600)}
    )
    gain = data["group"].map({"A": 0.0, "B": 0.5, "C": 0.8})
    data["y"] = data["y0"] + gain + rng.normal(0, 1, 600)
    design = bc.designs.ab_test(data, outcome="y", arm="group", pre="y0")
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["arms"](fit).figure
