"""Which implied independences the data deny.

A graph without the arrow from humid air to dilution is refuted.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"z": rng.normal(size=300)})
    data["x"] = rng.normal(data["z"], 1)
    data["m"] = rng.normal(data["x"], 1)
    data["y"] = rng.normal(data["m"] + data["z"], 1)
    result = bc.falsify("x -> m -> y; z -> y", data, permutations=99, seed=1)
    return bc.plot_falsification(result).figure
