"""Receiver operating characteristic of the propensity.

Well above the diagonal: the arms differ, and overlap is to be looked at.
"""

import bayescausal as bc
from common import training_fit


def figure():
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=["ipw", "aipw"], seed=1
    )
    return result.plot("roc").figure
