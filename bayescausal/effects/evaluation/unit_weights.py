r"""Units that weigh by their chance of the treatment: the tilted populations of balancing weights.

With ``e(z)`` the chance of the treatment given its causes, a function ``h(e)`` makes another
population of the same units [1]_,

.. math:: \frac{E[h(e(Z))\, Y_x]}{E[h(e(Z))]},

the overlap-weighted one for ``h = e (1 - e)``. The chance is the model's own, in each posterior
draw, so that what is not known of it widens the answer.

References
----------
.. [1] F. Li, K. L. Morgan and A. M. Zaslavsky, "Balancing covariates via propensity score
   weighting", Journal of the American Statistical Association 113 (2018), 390-400.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.model.interventions.support import support_of
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.model.structure.structure import Structure

__all__ = ["CHANCE", "refuse_weighting"]

#: Where the chance of each unit stands among the values of a block.
CHANCE = "chance of the treatment"


def refuse_weighting(structure: Structure, estimand: Estimand, changed: tuple[str, ...]) -> None:
    """Refuse weights by the chance of a treatment that has no law of two values.

    - `estimand`: with a weighting.
    - `changed`: what its subgroup reads of what the treatment changes.
    """
    assert estimand.weighting is not None
    name, what = estimand.weighting.variable, estimand.label()
    if name not in structure.random or name in structure.imputed:
        raise EstimandError(
            f"{what} weights units by their chance of {name!r}, and {name!r} has no distribution "
            "in the model.",
            remedy=f"Give {name!r} an equation: pm.Bernoulli given its causes.",
        )
    support = support_of(structure.variable(name))
    if not (support.integer and np.all(support.lower == 0) and np.all(support.upper == 1)):
        raise EstimandError(
            f"{what} weights units by their chance of one of two treatments, and {name!r} has "
            "other values.",
            expected="a treatment of two values, such as pm.Bernoulli.",
            remedy="Ask ATE, or compare two doses in the population of interest.",
        )
    if changed:
        raise EstimandError(
            f"{what} weights units by their chance before the treatment, and the subgroup reads "
            f"{', '.join(map(repr, changed))}, which the treatment changes.",
            remedy="Form the subgroup by a variable that the treatment does not change.",
        )
