"""What would have happened to a unit.

The coating that three parts would have had with dilution at 1, their own noise kept.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    fit = coating_fit()
    answer = bc.counterfactual(fit, {"dilution": 1.0}, units=[0, 1, 2])
    return bc.plot_counterfactual(answer, "coating").figure
