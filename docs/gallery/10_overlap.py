"""Overlap of treated and untreated units.

The chance of treatment in each arm, from the posterior of the treatment's equation.
"""

import bayescausal as bc
from common import training_fit


def figure():
    return bc.overlap(training_fit(), "train").plot().figure
