r"""Kidney stones: the treatment that wins in each group and loses in the sum.

Charig et al. [1]_ compared open surgery (treatment A) with percutaneous nephrolithotomy
(treatment B) on 700 patients. Counts of successes:

=============  ===========  ===========
stone          A            B
=============  ===========  ===========
small          81 of 87     234 of 270
large          192 of 263   55 of 80
all            273 of 350   289 of 350
=============  ===========  ===========

A is better for small stones and better for large ones, and yet worse in the bottom row: the
hard cases were given A. Size is a cause of the treatment and of the outcome, so the effect is
found by adjusting for it [2]_:

.. math::

    E[\text{success} \mid do(A)] - E[\text{success} \mid do(B)]
    = \sum_z P(z)\,\bigl(P(\text{success} \mid A, z) - P(\text{success} \mid B, z)\bigr).

The model gives each proportion its own :math:`\operatorname{Beta}(1, 1)` prior. The posterior
is then five independent Beta laws for the terms of that sum (the share of large stones and the
four success rates), and its mean and variance are known without sampling. The conclusion rests
on size being the only common cause; the table cannot say whether it is.

References
----------
.. [1] C. R. Charig, D. R. Webb, S. R. Payne, J. E. Wickham, "Comparison of treatment of renal
   calculi by open surgery, percutaneous nephrolithotomy, and extracorporeal shockwave
   lithotripsy", BMJ 292:879-882, 1986.
.. [2] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 3.3.
"""

from __future__ import annotations

import math
from fractions import Fraction

import pandas as pd
import pymc as pm

from bayescausal.datasets.example import Example

__all__ = ["kidney_stones"]

# (treatment A?, large stone?) -> (successes, patients)
_COUNTS = {
    (1, 0): (81, 87),
    (1, 1): (192, 263),
    (0, 0): (234, 270),
    (0, 1): (55, 80),
}


def kidney_stones() -> Example:
    """Return the 700 patients of 1986, a model of them, and the exact answers.

    Returns
    -------
    Example
        `data` has one row per patient and the columns large, treatment (1 is A, open surgery)
        and success. `answers` has the naive difference, the effects computed from the counts
        (``"ATE"``, ``"ATT"``, ``"ATU"``) and the exact posterior mean and standard deviation
        of the ATE, over new patients (``"posterior mean"``, ``"posterior sd"``) and over these
        700 (``"posterior mean, sample"``, ``"posterior sd, sample"``).

    Examples
    --------
    >>> from bayescausal import datasets
    >>> stones = datasets.kidney_stones()
    >>> len(stones.data)
    700
    >>> round(stones.answers["naive"], 3), round(stones.answers["ATE"], 3)
    (-0.046, 0.054)
    """
    return Example(
        name="kidney stones",
        model=_model(),
        treatment="treatment",
        outcome="success",
        answers={**_plug_in(), **_posterior()},
        data=_rows(),
        source="Charig, Webb, Payne and Wickham, BMJ 292:879, 1986.",
    )


def _model() -> pm.Model:
    """Build the saturated model: one proportion per cell."""
    coords = {"patient": [0], "arm": ["B", "A"], "size": ["small", "large"]}
    with pm.Model(coords=coords) as model:
        p_large = pm.Beta("p_large", 1, 1)
        p_treatment = pm.Beta("p_treatment", 1, 1, dims="size")
        p_success = pm.Beta("p_success", 1, 1, dims=("arm", "size"))
        large = pm.Bernoulli("large", p_large, dims="patient")
        treatment = pm.Bernoulli("treatment", p_treatment[large], dims="patient")
        pm.Bernoulli("success", p_success[treatment, large], dims="patient")
    return model


def _rows() -> pd.DataFrame:
    """Write the counts out, one row per patient."""
    rows = []
    for (arm, large), (successes, patients) in _COUNTS.items():
        rows += [(large, arm, 1)] * successes + [(large, arm, 0)] * (patients - successes)
    return pd.DataFrame(rows, columns=["large", "treatment", "success"])


def _plug_in() -> dict[str, float]:
    """Compute the naive difference and the adjusted effects from the counts, exactly."""
    rate = {cell: Fraction(*counts) for cell, counts in _COUNTS.items()}
    size = {cell: patients for cell, (_, patients) in _COUNTS.items()}
    gap = {z: rate[1, z] - rate[0, z] for z in (0, 1)}

    def average(weight: dict[int, int]) -> float:
        return float(sum(weight[z] * gap[z] for z in (0, 1)) / sum(weight.values()))

    def arm(a: int) -> Fraction:
        return Fraction(sum(_COUNTS[a, z][0] for z in (0, 1)), size[a, 0] + size[a, 1])

    return {
        "naive": float(arm(1) - arm(0)),
        "ATE": average({z: size[0, z] + size[1, z] for z in (0, 1)}),
        "ATT": average({z: size[1, z] for z in (0, 1)}),
        "ATU": average({z: size[0, z] for z in (0, 1)}),
    }


def _posterior() -> dict[str, float]:
    """Compute the posterior mean and sd of the ATE, in closed form.

    The ATE is ``w d1 + (1 - w) d0`` with ``w`` the share of large stones and ``dz`` the gap in
    group z, all independent. Its second moment is ``E[w^2] E[d1^2] + E[(1 - w)^2] E[d0^2]
    + 2 E[w (1 - w)] E[d1] E[d0]``. Over these 700 patients w is known: its variance is zero.
    """

    def moments(successes: int, patients: int) -> tuple[float, float]:
        a, b = 1 + successes, 1 + patients - successes
        return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))

    cells = {cell: moments(*counts) for cell, counts in _COUNTS.items()}
    gap = [cells[1, z][0] - cells[0, z][0] for z in (0, 1)]
    square = [gap[z] ** 2 + cells[1, z][1] + cells[0, z][1] for z in (0, 1)]

    def ate(w: float, w_var: float) -> tuple[float, float]:
        mean = w * gap[1] + (1 - w) * gap[0]
        second = (
            (w**2 + w_var) * square[1]
            + ((1 - w) ** 2 + w_var) * square[0]
            + 2 * (w * (1 - w) - w_var) * gap[1] * gap[0]
        )
        return mean, math.sqrt(second - mean**2)

    large = sum(_COUNTS[a, 1][1] for a in (0, 1))
    everyone = sum(patients for _, patients in _COUNTS.values())
    new = ate(*moments(large, everyone))
    here = ate(large / everyone, 0.0)
    return {
        "posterior mean": new[0],
        "posterior sd": new[1],
        "posterior mean, sample": here[0],
        "posterior sd, sample": here[1],
    }
