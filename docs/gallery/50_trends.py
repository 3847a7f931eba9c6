"""Trends of groups.

The averages of the groups that got the law in the same year, and of those without it.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(2)
    starts = rng.permutation([0] * 30 + [4] * 15 + [6] * 15)
    shops = pd.DataFrame({"shop": range(60), "law_from": starts})
    data = shops.merge(pd.DataFrame({"year": range(1, 9)}), how="cross")
    since = data["year"] - data["law_from"]
    lost = np.where((data["law_from"] > 0) & (since >= 0), 1 + 0.5 * since, 0)
    data["jobs"] = (
        rng.normal(10, 2, 60)[data["shop"]] + rng.normal(0, 0.5, len(data)) - lost
    )
    design = bc.designs.difference_in_differences(
        data, "jobs", unit="shop", time="year", first_treated="law_from"
    )
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["trends"](fit).figure
