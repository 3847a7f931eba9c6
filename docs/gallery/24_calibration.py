"""Calibration of the propensity.

Predicted chances of treatment against the shares that were treated.
"""

import bayescausal as bc
from common import training_fit


def figure():
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=["ipw", "aipw"], seed=1
    )
    return result.plot("calibration").figure
