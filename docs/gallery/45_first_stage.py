"""First stage of an instrument.

Treatment and outcome along the instrument.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(1)
    near, ability = rng.integers(0, 2, 800), rng.normal(size=800)
    data = pd.DataFrame(
        {"near": near, "educ": 12 + near + ability + rng.normal(size=800)}
    )
    data["wage"] = 0.5 * data["educ"] - ability + rng.normal(size=800)
    design = bc.designs.instrument(
        data, treatment="educ", outcome="wage", instrument="near"
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["first stage"](fit).figure
