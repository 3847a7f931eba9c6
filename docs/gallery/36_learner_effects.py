"""Conditional effects by a learner.

The distribution over units of the effects that a learner predicts.
"""

from common import learner_result


def figure():
    return learner_result().plot("effects").figure
