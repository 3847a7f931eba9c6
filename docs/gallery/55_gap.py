"""Gap to the synthetic control.

The treated state less its synthetic one, before and after the treatment.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(4)
    years, states = np.arange(1980, 2005), list("ABCDEFGHIJKL")
    common = np.cumsum(rng.normal(0, 1.5, (2, 25)), axis=1)
    packs = 100 + rng.normal(0, 8, 12)[:, None] + rng.normal(1, 1, (12, 2)) @ common
    packs[0] = 0.5 * packs[1] + 0.3 * packs[2] + 0.2 * packs[3]
    packs += rng.normal(0, 0.7, packs.shape)
    packs[0, 15:] -= np.arange(1, 11)
    columns = {"state": np.repeat(states, 25), "year": np.tile(years, 12)}
    data = pd.DataFrame({**columns, "packs": packs.ravel()})
    design = bc.designs.synthetic_control(
        data, outcome="packs", unit="state", time="year", treated="A", start=1995
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["gap"](fit).figure
