r"""The questions: associations, interventions, counterfactuals.

With `Y_x` the outcome in the world where the treatment `X` is set to `x`, `F` a functional (mean,
quantile, probability) and `-` a scale (difference, ratio, log ratio, odds ratio),

==============  ====================================================  =======================
Expected        ``F[Y_x]``                                            one world
Association     ``F[Y | X=1] - F[Y | X=0]``                           what is seen
ATE, CATE       ``F[Y_1 | Z] - F[Y_0 | Z]``                           what would be done
ATT, ATU        ``F[Y_1 - Y_0 | X=1]``, ``... | X=0]``                to those who were (not)
CDE             ``F[Y_1m] - F[Y_0m]``                                 mediators held
QTE             ``Q_q[Y_1] - Q_q[Y_0]``                               marginal quantiles
DoseResponse    ``x -> F[Y_x]``                                       a curve
Slope           ``d/dh F[Y_{X+h}]``                                   average derivative
Contrast        any two worlds
TE, NDE, NIE    total, natural direct and indirect effect             nested worlds
PSE             the effect along chosen paths                         nested worlds
ITE             ``Y_1 - Y_0`` of each unit                            unit level
PN, PS, PNS     necessity, sufficiency, both                          unit level
==============  ====================================================  =======================

This file lists them; each kind has its own: :mod:`~bayescausal.effects.estimands.averages`,
:mod:`~bayescausal.effects.estimands.association`,
:mod:`~bayescausal.effects.estimands.treated_groups`, :mod:`~bayescausal.effects.estimands.curves`,
:mod:`~bayescausal.effects.estimands.mediation`, :mod:`~bayescausal.effects.estimands.causation`.

An association equals an effect only without confounding; a conditional effect conditions on `Z` and
never sets it; an ATT differs from the ATE whenever the treated are special in something that
modifies the effect. An estimand says what is asked, not whether data can tell: that is
identification.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, chapters 3, 4 and 9.
M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020.
"""

from __future__ import annotations

from bayescausal.effects.estimands.association import Association
from bayescausal.effects.estimands.averages import ATE, CATE, CDE, Contrast, Expected
from bayescausal.effects.estimands.causation import ITE, PN, PNS, PS
from bayescausal.effects.estimands.curves import QTE, DoseResponse, Slope
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.estimands.mediation import NDE, NIE, PSE, TE
from bayescausal.effects.estimands.overlap import ATO
from bayescausal.effects.estimands.treated_groups import ATT, ATU

__all__ = [
    "ATE",
    "ATO",
    "ATT",
    "ATU",
    "CATE",
    "CDE",
    "ITE",
    "NDE",
    "NIE",
    "PN",
    "PNS",
    "PS",
    "PSE",
    "QTE",
    "TE",
    "Association",
    "Contrast",
    "DoseResponse",
    "Estimand",
    "Expected",
    "Slope",
]
