"""Sensitivity to the prior.

The answer with every prior, and the likelihood, made stronger and weaker.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    return (
        bc.prior_sensitivity(coating_fit(), bc.ATE("dilution", "coating")).plot().figure
    )
