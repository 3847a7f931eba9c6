r"""An encouragement that not all follow: principal strata.

What a unit takes, :math:`D`, follows what it is assigned to, :math:`Z`, by its *stratum* [1]_:
*never* takes it, takes it *always*, or *complies*; that nobody does the opposite is *monotonicity*.

.. math::

   Z \sim Bernoulli(p), \quad S \sim Categorical(\pi), \quad D = 1\{S = always\} + Z\, 1\{S =
   complier\}, \quad Y \sim p(y \mid S, D)

Y does not read Z: the *exclusion restriction*. Strata are not seen, and a mixture of two of them is
seen in each cell that could hold two. The effect on the compliers is identified; what the treatment
would do to the others is not, and rests on its prior: their effects stand in the model so that it
can be said.

References
----------
.. [1] C. E. Frangakis and D. B. Rubin, "Principal stratification in causal inference", Biometrics
   58(1), 2002.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.model.formulas.priors import Prior, Priors, digits, near

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pymc as pm

    from bayescausal.designs.instrumental.linear import InstrumentRoles

__all__ = ["STRATUM", "strata_model", "strata_of"]

#: The name of the latent stratum.
STRATUM = "stratum"


def strata_of(frame: pd.DataFrame, roles: InstrumentRoles) -> tuple[str, ...]:
    """Return the strata that the table speaks of: always takers only if somebody crossed over."""
    z, d = frame[roles.instruments[0]], frame[roles.treatment]
    crossed = bool(((z == 0) & (d == 1)).any())
    refused = bool(((z == 1) & (d == 0)).any())
    return (
        *(("never taker",) if refused else ()),
        "complier",
        *(("always taker",) if crossed else ()),
    )


def strata_model(
    frame: pd.DataFrame, roles: InstrumentRoles, priors: Mapping[str, object] | None
) -> pm.Model:
    """Return the model of principal strata for a binary outcome or a Normal one."""
    import pymc as pm
    import pytensor.tensor as pt

    z, d, y = roles.instruments[0], roles.treatment, roles.outcome
    names = strata_of(frame, roles)
    binary = set(np.unique(frame[y])) <= {0, 1}
    held = Priors(priors, (z, d, y))
    takes = np.array([[n == "always taker", n != "never taker"] for n in names], dtype=float)
    dims = f"{STRATUM}_level", f"{d}_level"
    coords = {"unit": [0], dims[0]: names, dims[1]: [0, 1]}
    with pm.Model(coords=coords) as model:
        share = held.make(f"p_{z}", z, ("p",), Prior("Beta", (1, 1)))
        assigned = pm.Bernoulli(z, share, dims="unit")
        shares = held.make(
            f"p_{STRATUM}", d, (STRATUM,), Prior("Dirichlet", (np.ones(len(names)),)), (dims[0],)
        )
        stratum = pm.Categorical(STRATUM, shares, dims="unit")
        taken = pm.Bernoulli(d, pt.constant(takes)[stratum, assigned], dims="unit")
        if binary:
            level = held.make(f"p_{y}", y, ("p",), Prior("Beta", (1, 1)), dims)
            pm.Bernoulli(y, level[stratum, taken], dims="unit")
        else:
            sd = float(frame[y].std())
            wide = Prior("Normal", (near(float(frame[y].mean()), sd), digits(2.5 * sd)))
            level = held.make(f"level_{y}", y, ("level",), wide, dims)
            half = Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(sd)})
            sigma = held.make(f"sigma_{y}", y, ("sigma",), half)
            pm.Normal(y, level[stratum, taken], sigma, dims="unit")
    held.refuse_unused()
    return model
