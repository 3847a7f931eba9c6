"""Overlap of propensities.

The distribution of the propensity in each arm.
"""

import bayescausal as bc
from common import training_fit


def figure():
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=["ipw", "aipw"], seed=1
    )
    return result.plot("propensity").figure
