"""How much the effect differs.

The posterior of the standard deviation of the effect over units.
"""

import bayescausal as bc
from common import drug_fit


def figure():
    found = bc.heterogeneity(drug_fit(), bc.ATE("drug", "relief"))
    return found.plot("spread").figure
