"""Effects by decile.

The average effect in each tenth of the units, sorted by their own.
"""

import bayescausal as bc
from common import drug_fit


def figure():
    found = bc.heterogeneity(drug_fit(), bc.ATE("drug", "relief"))
    return found.plot("deciles").figure
