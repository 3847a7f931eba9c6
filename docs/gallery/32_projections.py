"""With what the effect differs.

The share of the differences that one covariate, all of them, or a tree tells.
"""

import bayescausal as bc
from common import drug_fit


def figure():
    found = bc.heterogeneity(drug_fit(), bc.ATE("drug", "relief"))
    return found.plot("projections").figure
