r"""Fuzzy discontinuities: eligibility is an instrument at the cutoff.

*One effect, errors that correlate.* Treatment :math:`D` and outcome :math:`Y` have a common cause
:math:`U` that nobody saw, and eligibility :math:`Z` moves the outcome through the treatment alone,

.. math::

   D = a_D + \pi Z + (s_D + u_D Z)\, x + \sigma_D\, e_D, \qquad
   Y = a_Y + \tau D + (s_Y + u_Y Z)\, x + \sigma_Y\, e_Y,

with :math:`\mathrm{corr}(e_D, e_Y) = \rho` through :math:`U`, which is all that one covariance can
tell. Then :math:`\tau` is the ratio of the two jumps [1]_.

*Principal strata.* Of a treatment that is 0 or 1, each unit is one who always takes it, never, or
as the rule says (a complier); nobody does the opposite. A stratum is a latent variable with a mean
of its own; the effect is that on compliers [2]_.

References
----------
.. [1] J. Hahn, P. Todd and W. van der Klaauw, "Identification and estimation of treatment effects
   with a regression-discontinuity design", *Econometrica* 69 (2001), 201-209.
.. [2] C. E. Frangakis and D. B. Rubin, "Principal stratification in causal inference",
   *Biometrics* 58 (2002), 21-29.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.designs.discontinuity.model import Equations, coords_of
from bayescausal.model.formulas.priors import Prior

if TYPE_CHECKING:
    from bayescausal.designs.discontinuity.model import Form
    from bayescausal.designs.discontinuity.window import Window

__all__ = ["linear_model", "strata_model"]


def linear_model(window: Window, form: Form) -> pm.Model:
    """Return the model of one effect, with a common cause that correlates the errors."""
    treatment, outcome = str(window.treatment), window.outcome
    taken = window.frame[treatment].to_numpy()
    with pm.Model(coords=coords_of(window)) as model:
        equations = Equations(window, form)
        rho = form.priors.make("rho", outcome, ("rho",), Prior("Uniform", (-1, 1)))
        common = pm.Normal("U", dims="unit")
        share = pt.sqrt(pt.abs(rho))
        rest = pt.sqrt(1 - pt.abs(rho))
        first = equations.predictor(treatment, {form.rule: (equations.rule, equations.rule_values)})
        sigma = equations.noise(treatment)
        received = pm.Normal(
            treatment, first + sigma * share * common, sigma * rest, dims="unit"
        )
        eta = equations.predictor(outcome, {treatment: (received, taken)})
        sigma = equations.noise(outcome)
        pm.Normal(
            outcome, eta + pt.sign(rho) * sigma * share * common, sigma * rest, dims="unit"
        )
    form.priors.refuse_unused()
    return model
