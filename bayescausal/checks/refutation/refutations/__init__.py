"""The refutations, in the order in which they are reported; each kind has its own file.

A new one is a file here and a line in this table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.checks.refutation.refutations.clusters import Clusters
from bayescausal.checks.refutation.refutations.dummy_outcome import DummyOutcome
from bayescausal.checks.refutation.refutations.negative_control import NegativeControl
from bayescausal.checks.refutation.refutations.placebo import Permuted, Redrawn
from bayescausal.checks.refutation.refutations.random_common_cause import CommonCause
from bayescausal.checks.refutation.refutations.resampled import Bootstrap, Subset
from bayescausal.checks.refutation.refutations.simulated import Planted, Zero

if TYPE_CHECKING:
    from bayescausal.checks.refutation.refutation import Refutation

__all__ = ["REFUTATIONS"]

REFUTATIONS: dict[str, Refutation] = {
    refutation.name: refutation
    for refutation in (
        Permuted(),
        Redrawn(),
        CommonCause(),
        Zero(),
        Planted(),
        Subset(),
        Bootstrap(),
        Clusters(),
        NegativeControl(),
        DummyOutcome(),
    )
}
