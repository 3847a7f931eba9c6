"""Prior and posterior of an effect.

How much of what is known comes from the data.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    return (
        bc.prior_posterior(coating_fit(), bc.ATE("dilution", "coating"), seed=1)
        .plot()
        .figure
    )
