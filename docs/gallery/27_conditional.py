"""Effects of groups by a learner.

The average effect of groups of units by the effect that a learner predicts for them,
by doubly robust scores: on the line where its predictions are right.
"""

from common import learner_result


def figure():
    return learner_result().plot("gates").figure
