"""A forest.

One effect in several subgroups, and several questions side by side.
"""

import bayescausal as bc
from common import coating_fit


def figure():
    fit = coating_fit()
    questions = [
        bc.ATE("dilution", "coating"),
        bc.ATE("humid", "coating"),
        bc.CDE("humid", "coating", mediators={"dilution": 0.0}),
        bc.NIE("humid", "coating"),
    ]
    return bc.plot_forest(bc.estimate(fit, questions, seed=1)).figure
