"""Effects of groups by a learner.

The average effect of groups of units by the effect that a learner predicts for them,
by doubly robust scores: on the line where its predictions are right.
"""

import bayescausal as bc
from common import training_fit


def figure():
    result = bc.triangulate(
        training_fit(), bc.ATE("train", "earn"), estimators=["x_learner"], seed=1
    )
    return result.plot("gates").figure
