r"""The linear instrument as a generative model, its common cause given by a correlation.

.. math::

   x &= a + \pi' z + \gamma' w + \sigma_x (\sqrt{|\rho|}\, u + \sqrt{1 - |\rho|}\, e_x), \\
   y &= c + b x + \delta' w + \sigma_y (s \sqrt{|\rho|}\, u + \sqrt{1 - |\rho|}\, e_y)

with u, e_x, e_y standard Normal and s the sign of :math:`\rho`. What the hidden cause adds to x and
to y, and the noise of each, are four scales of which the data show three moments. Here there are
three unknowns for them: the correlation :math:`\rho` of the disturbances, of which every value is
possible, and two standard deviations, of x's disturbance and of y's given x's,
:math:`\tau = \sigma_y \sqrt{1 - \rho^2}` (``sigma_y`` in the model). The data tell the latter two
whatever :math:`\rho` is, so that the three are nearly independent and the posterior has no valley.
The priors are :math:`\rho \sim U(-1, 1)` and a half-t of :math:`\sigma_x` and :math:`\sigma_y`.
Interventions act on x: u stays what it is, and the effect is b.

*Robust.* With Student-t disturbances the common cause is written as what x shows of it,

.. math:: y = c + b x + \delta' w + \lambda (x - E[x \mid z, w]) + \sigma_y e_y ,

with e_x and e_y of a Student t: no unknown per unit is left.

*Clusters.* Members of a group share a level in x, :math:`r_g`, and one in y,
:math:`\kappa r_g + s_g`: what moves both in a group is no evidence of an effect.

The columns of instruments and
covariates are taken about their means, so that the intercepts are levels at the means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.formulas.priors import Prior, Priors, digits, near

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pymc as pm
    from pytensor.tensor.variable import TensorVariable

__all__ = ["LATENT", "InstrumentRoles", "linear_model"]

#: The name of the common cause.
LATENT = "common_cause"
#: Prior standard deviation of coefficients and intercepts, in those of the variable.
WIDE = 2.5
#: Of degrees of freedom.
HEAVY = Prior("Gamma", (2, 0.1))
#: That of the effect, which confounding may hide in large part.
FREE = 10.0


@dataclass(frozen=True)
class InstrumentRoles:
    """The columns of a study with an instrument."""

    treatment: str
    outcome: str
    instruments: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    cluster: str | None = None
    robust: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """Columns without an equation."""
        return (*self.instruments, *self.covariates)


def linear_model(
    frame: pd.DataFrame,
    roles: InstrumentRoles,
    direct: Mapping[str, float],
    priors: Mapping[str, object] | None,
) -> pm.Model:
    """Return the model of a linear instrument.

    - `frame`: numbers, without empty cells.
    - `roles`: the columns.
    - `direct`: of instruments with a path of their own to the outcome, its prior standard
      deviation.
    - `priors`: in place of the defaults, by parameter.
    """
    import pymc as pm
    import pytensor.tensor as pt

    x, y = roles.treatment, roles.outcome
    held = Priors(priors, (x, y))
    coords: dict[str, Any] = {"unit": range(len(frame))}
    if roles.cluster:
        coords[f"{roles.cluster}_level"] = range(int(frame[roles.cluster].max()) + 1)
    with pm.Model(coords=coords) as model:
        columns = {n: pm.Data(n, frame[n].to_numpy(float), dims="unit") for n in roles.given}
        first = _Equation(frame, x, held, columns)
        first.add(roles.given)
        group = effects = None
        if roles.cluster:
            group = pm.Data(roles.cluster, frame[roles.cluster].to_numpy(int), dims="unit")
            effects = first.groups(roles.cluster)
            first.mean = first.mean + effects[group]
        if roles.robust:
            noise = held.make(f"nu_{x}", x, ("nu",), HEAVY)
            taken = pm.StudentT(x, nu=noise, mu=first.mean, sigma=first.scale, dims="unit")
            rest: TensorVariable | float = 1.0
        else:
            common = pm.Normal(LATENT, 0, 1, dims="unit")
            rho = held.make("rho", y, ("rho",), Prior("Uniform", (-1, 1)))
            shared, own = pt.sqrt(pt.abs(rho)), pt.sqrt(1 - pt.abs(rho))
            mean = first.mean + first.scale * shared * common
            taken = pm.Normal(x, mean, first.scale * own, dims="unit")
            rest = pt.sqrt(1 - rho**2)
        second = _Equation(frame, y, held, {**columns, x: taken}, rest)
        second.add((x,), wide=FREE)
        second.add(roles.covariates)
        for name, sd in direct.items():
            second.add((name,), sd=sd)
        if effects is not None and roles.cluster is not None:
            wide = Prior("Normal", (0, digits(WIDE * second.sd / first.sd)))
            slope = held.make(f"b_{y}_{roles.cluster}", y, (f"slope_{roles.cluster}",), wide)
            second.mean = (
                second.mean + (slope * effects + second.groups(roles.cluster or ""))[group]
            )
        if roles.robust:
            wide = Prior("Normal", (0, digits(FREE * second.sd / first.sd)))
            hidden = held.make(f"b_{y}_disturbance", y, ("disturbance",), wide)
            mean = second.mean + hidden * (taken - first.mean)
            noise = held.make(f"nu_{y}", y, ("nu",), HEAVY)
            pm.StudentT(y, nu=noise, mu=mean, sigma=second.scale, dims="unit")
        else:
            scale = second.scale / rest
            mean = second.mean + scale * pt.sign(rho) * shared * common
            pm.Normal(y, mean, scale * own, dims="unit")
    held.refuse_unused()
    return model


class _Equation:
    """A linear equation at the means of its columns, its priors scaled from the data.

    ``left``: the share of the standard deviation that is left when others are given.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        name: str,
        priors: Priors,
        variables: Mapping[str, TensorVariable],
        left: TensorVariable | float = 1.0,
    ) -> None:
        self.frame, self.name, self.priors, self.variables = frame, name, priors, variables
        self.sd = float(frame[name].std())
        level = near(float(frame[name].mean()), WIDE * self.sd)
        self.mean = self._parameter("Intercept", "Normal", level, digits(WIDE * self.sd))
        self.scale = priors.make(
            f"sigma_{name}",
            name,
            ("sigma",),
            Prior("HalfStudentT", (), {"nu": 4, "sigma": float(f"{self.sd:.3g}") * left}),
        )

    def add(self, names: Sequence[str], *, wide: float = WIDE, sd: float | None = None) -> None:
        """Add columns with a coefficient each, whose prior is so wide, or has that spread."""
        for name in names:
            values = self.frame[name].to_numpy(float)
            spread = digits(wide * self.sd / float(np.std(values))) if sd is None else sd
            b = self._parameter(name, "Normal", 0, spread)
            self.mean = self.mean + b * (self.variables[name] - float(values.mean()))

    def _parameter(self, term: str, family: str, *numbers: object) -> TensorVariable:
        label = f"b_{self.name}_{term}"
        return self.priors.make(label, self.name, (term,), Prior(family, numbers))

    def groups(self, group: str) -> TensorVariable:
        """Return the levels of groups, whose spread is unknown."""
        half = Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(self.sd)})
        spread = self.priors.make(f"sd_{self.name}_{group}", self.name, (f"sd_{group}",), half)
        drawn = Prior("Normal", (0, spread))
        label = f"r_{self.name}_{group}"
        return self.priors.make(label, self.name, (group,), drawn, (f"{group}_level",))
