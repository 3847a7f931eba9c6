"""Refutation.

The effect after the treatment was shuffled, a cause was added, and rows were left
out.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    check = bc.refute(coating_fit(), bc.ATE("dilution", "coating"), seed=1)
    return check.plot().figure
