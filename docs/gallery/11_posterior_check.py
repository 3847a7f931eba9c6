"""Posterior predictive check.

Whether the fitted model would produce data like these.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    return bc.posterior_check(coating_fit(), seed=1).plot().figure
