"""Effects in subgroups.

The average effect in each value of a covariate, or in each quarter of its range.
"""

import bayescausal as bc
from common import drug_fit


def figure():
    found = bc.heterogeneity(drug_fit(), bc.ATE("drug", "relief"))
    return found.plot("subgroups").figure
