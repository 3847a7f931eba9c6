r"""Coating: a continuous outcome, a two-valued treatment, one confounder.

A workshop sprays parts. In humid air the operator dilutes the paint less often, and humid air
thins the coating by itself. Humidity is therefore a common cause of the treatment and of the
outcome:

.. math::

    \text{humid} &\sim N(0, 1) \\
    \text{dilution} &\sim \operatorname{Bernoulli}(
        \operatorname{logit}^{-1}(b_{d0} + b_{hd}\,\text{humid})) \\
    \text{coating} &\sim N(b_{c0} + b_{dc}\,\text{dilution} + b_{hc}\,\text{humid}, \sigma)

The outcome is linear in the treatment, so the average effect is :math:`b_{dc}` in every
population. The naive contrast is not: among diluted parts the air is drier, so

.. math::

    E[\text{coating} \mid \text{dilution}=1] - E[\text{coating} \mid \text{dilution}=0]
    = b_{dc} + b_{hc}\,(E[\text{humid} \mid \text{dilution}=1]
                        - E[\text{humid} \mid \text{dilution}=0]),

and the two terms have opposite signs. The naive contrast shows about half of the effect.

The bracket has no closed form. With :math:`p(h)` the probability of dilution it is
:math:`\operatorname{cov}(h, p(h)) / (\bar p (1 - \bar p))`, two integrals against the normal
density, computed here by Gauss-Hermite quadrature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm

from bayescausal.datasets.example import Example

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["coating"]

_TRUTH = {
    "b_d0": 0.4893,
    "b_hd": -0.39,
    "b_c0": 0.5128,
    "b_dc": -0.421,
    "b_hc": -0.54,
    "sigma": 0.2,
}


def coating() -> Example:
    """Return the coating model, its true parameters and its true effects.

    Returns
    -------
    Example
        `model` has the unit dim ``"unit"`` and the structural variables humid, dilution and
        coating. `answers` has ``"ATE"`` (the causal effect of diluting) and ``"naive"`` (the
        difference of the two conditional means in an infinite sample).

    Examples
    --------
    >>> from bayescausal import datasets
    >>> world = datasets.coating()
    >>> {name: round(value, 3) for name, value in world.answers.items()}
    {'ATE': -0.421, 'naive': -0.218}
    """
    return Example(
        name="coating",
        model=_model(),
        treatment="dilution",
        outcome="coating",
        answers={"ATE": _TRUTH["b_dc"], "naive": _naive(_TRUTH)},
        truth=_TRUTH,
        source="Simulated. The answers follow from the parameters.",
    )


def _model() -> pm.Model:
    """Build the model as a user would write it."""
    with pm.Model(coords={"unit": [0]}) as model:
        humid = pm.Normal("humid", 0, 1, dims="unit")
        b_d0 = pm.Normal("b_d0", 0, 1)
        b_hd = pm.Normal("b_hd", 0, 1)
        dilution = pm.Bernoulli("dilution", logit_p=b_d0 + b_hd * humid, dims="unit")
        b_c0 = pm.Normal("b_c0", 0, 1)
        b_dc = pm.Normal("b_dc", 0, 1)
        b_hc = pm.Normal("b_hc", 0, 1)
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("coating", b_c0 + b_dc * dilution + b_hc * humid, sigma, dims="unit")
    return model


def _naive(truth: Mapping[str, float]) -> float:
    """Return E[coating | dilution=1] - E[coating | dilution=0] by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    p = 1 / (1 + np.exp(-(truth["b_d0"] + truth["b_hd"] * nodes)))
    mean = float(weights @ p)
    humid_gap = float(weights @ (nodes * p)) / (mean * (1 - mean))
    return truth["b_dc"] + truth["b_hc"] * humid_gap
