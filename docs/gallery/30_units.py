"""The effect on each unit, sorted.

Of every unit the effect that is expected for one like it, with its interval.
"""

import bayescausal as bc
from common import drug_fit


def figure():
    found = bc.heterogeneity(drug_fit(), bc.ATE("drug", "relief"))
    return found.plot("units").figure
