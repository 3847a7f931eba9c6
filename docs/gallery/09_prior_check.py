"""Prior predictive check.

Whether the priors allow nonsense: the range of each outcome that they expect, beside
what was measured.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    fit = coating_fit()
    return bc.prior_check(fit.model, fit.data, seed=1).plot().figure
