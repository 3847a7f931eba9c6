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

from bayescausal.designs.discontinuity.side_models import Equations, coords_of
from bayescausal.designs.table import yes_no
from bayescausal.model.formulas.priors import Prior, digits

if TYPE_CHECKING:
    from bayescausal.designs.discontinuity.side_models import Form
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
        received = pm.Normal(treatment, first + sigma * share * common, sigma * rest, dims="unit")
        eta = equations.predictor(outcome, {treatment: (received, taken)})
        sigma = equations.noise(outcome)
        pm.Normal(outcome, eta + pt.sign(rho) * sigma * share * common, sigma * rest, dims="unit")
    form.priors.refuse_unused()
    return model


def strata_model(window: Window, form: Form) -> pm.Model:
    """Return the model of principal strata: never takers, compliers, always takers.

    A stratum that no row can belong to is left out: without treated rows among those not eligible
    there are no always takers.
    """
    treatment, outcome, priors = str(window.treatment), window.outcome, form.priors
    taken = yes_no(window.frame, treatment, "treatment", varies=False)
    rule = window.eligible
    strata = [
        *(["never taker"] if ((taken == 0) & (rule == 1)).any() else []),
        "complier",
        *(["always taker"] if ((taken == 1) & (rule == 0)).any() else []),
    ]
    coords = {**coords_of(window), "stratum_level": strata, "stratum_other": strata[:-1]}
    base = strata.index("complier")
    with pm.Model(coords=coords) as model:
        equations = Equations(window, form)
        wide = Prior("Normal", (0, 1.5))
        at = priors.make("b_stratum_Intercept", treatment, ("stratum",), wide, ("stratum_other",))
        unit = float(np.abs(window.distance).max())
        slope = priors.make(
            f"b_stratum_{window.running}",
            treatment,
            ("stratum_slope",),
            Prior("Normal", (0, digits(1.5 / unit))),
            ("stratum_other",),
        )
        odds = pt.stack(
            [
                *(at[k] + slope[k] * equations.x for k in range(len(strata) - 1)),
                pt.zeros_like(equations.x),
            ],
            axis=-1,
        )
        stratum = pm.Categorical("stratum", p=pm.math.softmax(odds, axis=-1), dims="unit")
        always = pt.eq(stratum, strata.index("always taker")) if "always taker" in strata else 0
        complier = pt.eq(stratum, base)
        received = pm.Bernoulli(
            treatment, p=pt.where(complier, equations.rule, always), dims="unit"
        )
        eta = equations.predictor(outcome, {treatment: (received, taken.astype(float))})
        scale = float(window.frame[outcome].std())
        others = [s for s in strata if s != "complier"]
        model.add_coord("stratum_against_complier", others)
        apart = priors.make(
            f"b_{outcome}_stratum",
            outcome,
            ("stratum",),
            Prior("Normal", (0, digits(2.5 * scale))),
            ("stratum_against_complier",),
        )
        for k, name in enumerate(others):
            eta = eta + apart[k] * pt.eq(stratum, strata.index(name))
        equations.add(outcome, eta)
    priors.refuse_unused()
    return model
