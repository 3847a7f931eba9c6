"""How strong a hidden common cause would have to be.

The effect over the strengths with which an unmeasured cause acts on treatment and
outcome.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    return (
        bc.hidden_confounder(coating_fit(), bc.ATE("dilution", "coating"), seed=1)
        .plot()
        .figure
    )
