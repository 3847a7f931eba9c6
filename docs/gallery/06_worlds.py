"""One variable under several interventions.

The distribution of expected values over the units, and the average of each world with
its HDI.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    fit = coating_fit()
    worlds = bc.worlds(
        fit, {"dry, diluted": {"humid": -1, "dilution": 1}, "as it was": {}}
    )
    return bc.plot_worlds(worlds, "coating").figure
