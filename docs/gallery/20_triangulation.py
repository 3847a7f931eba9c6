"""One question, several estimators.

The structural model beside regression, weighting, matching and doubly robust
estimators.
"""

import bayescausal as bc
from common import training_fit


def figure():
    panel = ["regression", "ipw", "matching", "aipw"]
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=panel, seed=1
    )
    return result.plot().figure
