"""Whom to treat.

The gain of treating a share of the units, those with the largest expected effect first,
at a cost for each.
"""

import bayescausal as bc
from common import drug_fit


def figure():
    question = bc.ATE("drug", "relief")
    return bc.policy(drug_fit(), question, cost=0.5, rule="tree").plot().figure
