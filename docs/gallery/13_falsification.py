"""Which implied independences the data deny.

Treatment and outcome share the cause z, and the graph leaves out its arrow to x.
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
