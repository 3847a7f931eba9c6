"""Accuracy of the outcome model.

Predictions of the outcome against what was measured, by arm, on rows held out.
"""

import bayescausal as bc
from common import training_fit


def figure():
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=["ipw", "aipw"], seed=1
    )
    return result.plot("accuracy").figure
