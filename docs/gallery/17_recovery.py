"""Simulate, then recover.

Does the study find an effect that is known? One interval for each replicate.
"""

import bayescausal as bc
from bayescausal import datasets


def figure():
    world = datasets.coating()
    effect = bc.ATE("dilution", "coating")
    result = bc.recover(
        world.model, world.truth, effect, units=300, replicates=20, seed=1
    )
    return result.plot().figure
