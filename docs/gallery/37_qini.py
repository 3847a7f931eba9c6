"""Qini curve of a learner.

What treating the share with the largest predicted effects gains beyond treating as many
at random.
"""

from common import learner_result


def figure():
    return learner_result().plot("benefit").figure
