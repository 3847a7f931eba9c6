r"""Means that draws do not tell: tails so heavy that a mean may not exist.

The mean of a simulated outcome is that of its draws, whether there is one or not. If the tail
falls like :math:`x^{-\alpha}`, sums of draws have the same tail for :math:`\alpha < 2`, and a mean
exists for :math:`\alpha > 1`. The Hill estimator of :math:`k = 1 / \alpha` [1]_, from the distances
of the batches of inner draws to their median in each posterior draw, is near 0.3 where the batches
are Normal.

References
----------
.. [1] B. M. Hill, A simple general approach to inference about the tail of a distribution, *Annals
   of Statistics* 3(5), 1975.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.effects.averaging.blocks import Reduction
    from bayescausal.effects.evaluation.question import Question

__all__ = ["INSTEAD", "tail_notes"]

#: The tail above which it is said, and the fewest distances that tell it.
HEAVY, FEWEST = 0.7, 40
#: Share of a mean that is a small Monte Carlo error.
KNOWN = 0.02
#: What exists where a mean does not.
INSTEAD = (
    "Ask for a quantile instead, bc.QTE(..., q=0.5), or for a probability, "
    "functional=bc.Probability(above=...)."
)


def tail_notes(question: Question, reduction: Reduction, error: Array | float) -> list[str]:
    """Say that a mean may not exist, where the batches of inner draws look like it.

    `error`: of the answer of one draw. Means that are known well exist as far as anyone can tell.
    """
    known = np.max(error) <= KNOWN * np.max(np.abs(reduction.total), initial=0.0)
    if known or not question.estimand.functional.averaged:
        return []
    batches = np.moveaxis(reduction.batches, 2, 0)  # (batch, arm, cell, draw, ...)
    if len(batches) < 4 or not max(map(_tail, np.moveaxis(batches, 1, 0)), default=0.0) > HEAVY:
        return []
    return [
        f"The tails of {question.outcome} are so heavy that its mean may not exist; if it does, "
        f"the draws do not tell it. {INSTEAD}"
    ]


def _tail(batches: Array) -> float:
    """Return the Hill estimate from batches, the first axis."""
    away = np.abs(batches - np.median(batches, axis=0)).reshape(len(batches), -1)
    size = np.median(away, axis=0)
    known = np.isfinite(size) & (size > 0)
    ordered = np.sort((away[:, known] / size[known]).ravel())
    if ordered.size < FEWEST:
        return 0.0
    top = ordered[-ordered.size // (5 if ordered.size < 200 else 10) :]
    return float(np.mean(np.log(top / top[0])))
