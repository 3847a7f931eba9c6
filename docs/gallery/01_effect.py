"""A posterior effect.

The density of the average effect with its 94% HDI, beside the value of no effect.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    fit = coating_fit()
    effect = bc.estimate(fit, bc.ATE("dilution", "coating"), seed=1)
    return bc.plot_effect(effect).figure
