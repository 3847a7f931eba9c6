"""Effect at each time.

The effect of the intervention on the average of the series, month by month.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(4)
    t = np.arange(120)
    y = (
        100
        + 0.1 * t
        + 8 * np.sin(2 * np.pi * t / 12)
        + rng.normal(0, 2, 120)
        - 10 * (t >= 90)
    )
    months = pd.date_range("2014-01", periods=120, freq="MS")
    data = pd.DataFrame({"month": months, "accidents": y})
    design = bc.designs.interrupted_time_series(
        data, outcome="accidents", time="month", start="2021-07", season=12
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["pointwise"](fit).figure
