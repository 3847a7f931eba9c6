"""A graph.

Read off the model, with the causal path, the adjustment set and open back doors
coloured.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    fit = coating_fit()
    return bc.plot_graph(fit.model, treatment="dilution", outcome="coating").figure
