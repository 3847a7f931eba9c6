"""Weights.

How unequal the weights are; a stroke marks the largest of each arm.
"""

import bayescausal as bc
from common import training_fit


def figure():
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=["ipw", "aipw"], seed=1
    )
    return result.plot("weights").figure
