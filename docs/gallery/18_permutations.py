"""Is the graph better than chance?

The graph beside the same graph with its variables exchanged: how many of the
independences that each implies are denied by the data.
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
    result = bc.falsify("z -> x -> m -> y; z -> y", data, permutations=99, seed=1)
    return bc.plot_permutations(result).figure
