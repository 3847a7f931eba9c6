"""A graph.

Read off the model, with the causal path, the adjustment set and open back doors coloured.
"""

from common import coating_fit

import bayescausal as bc


def figure():
    fit = coating_fit()
    return bc.plot_graph(fit.model, treatment="dilution", outcome="coating").figure
