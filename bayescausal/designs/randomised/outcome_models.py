r"""A randomised experiment as a generative model.

The arm of each unit is drawn, :math:`A \sim Categorical(\pi)`, and acts on the outcome,

.. math:: g(E[Y \mid A, X]) = \lambda_A + \beta' (X - \bar X) + c_{cluster} + d_{block} ,

with a level for each arm. Measures taken before, X, are causes of the outcome that the arm does not
act on: they take their share out of the noise, and the effect is known better for it (regression
adjustment, CUPED [1]_). A yes-or-no outcome without any of them has a probability for each arm and
a Beta prior: its posterior is a Beta distribution.

Money that many do not spend is two questions: whether a unit spends, and how much if it does,

.. math:: Y = B \cdot M, \qquad B \sim Bernoulli(p_A), \quad \log M \sim N(\mu_A, \sigma_A) .

References
----------
.. [1] A. Deng, Y. Xu, R. Kohavi and T. Walker, "Improving the sensitivity of online controlled
   experiments by utilizing pre-experiment data", WSDM 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.formulas.priors import Prior, Priors, digits, near

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pymc as pm
    from pytensor.tensor.variable import TensorVariable

__all__ = ["FAMILIES", "TrialRoles", "amount_of", "any_of", "trial_model"]

#: The families of outcomes.
FAMILIES = (
    "bernoulli",
    "gaussian",
    "student-t",
    "lognormal",
    "zero_inflated_lognormal",
    "poisson",
    "negative_binomial",
)
#: Prior standard deviation of coefficients and levels, in those of the outcome; of logits and logs.
WIDE, LOGIT, LOG = 2.5, 1.5, 2.5


@dataclass(frozen=True)
class TrialRoles:
    """The columns of a trial."""

    outcome: str
    arm: str
    pre: tuple[str, ...]
    clusters: str | None
    blocks: str | None
    family: str
    arms: tuple[Any, ...]
    control: Any

    @property
    def others(self) -> tuple[Any, ...]:
        """The arms that are compared with the control."""
        return tuple(a for a in self.arms if a != self.control)

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns of clusters and blocks."""
        return tuple(n for n in (self.clusters, self.blocks) if n is not None)


def any_of(name: str) -> str:
    """Return the name of whether a unit spends."""
    return f"{name}_any"


def amount_of(name: str) -> str:
    """Return the name of how much a unit spends if it does."""
    return f"{name}_amount"


def trial_model(
    frame: pd.DataFrame, roles: TrialRoles, priors: Mapping[str, object] | None
) -> pm.Model:
    """Return the model; `frame` has the codes of the arms, of clusters and of blocks."""
    import pymc as pm

    held = Priors(priors, (roles.outcome, roles.arm, *roles.pre))
    dim = f"{roles.arm}_level"
    coords: dict[str, Any] = {"unit": [0], dim: list(roles.arms)}
    if roles.groups:
        coords["unit"] = range(len(frame))
    for name in roles.groups:
        coords[f"{name}_level"] = range(int(frame[name].max()) + 1)
    with pm.Model(coords=coords) as model:
        arm = _arm(roles, held, dim)
        groups = {n: pm.Data(n, frame[n].to_numpy(int), dims="unit") for n in roles.groups}
        columns = {n: _before(frame, n, held) for n in roles.pre}
        part = _Part(frame, roles, held, arm, columns, groups, dim)
        part.outcome()
    held.refuse_unused()
    return model


def _arm(roles: TrialRoles, held: Priors, dim: str) -> TensorVariable:
    """Add the assignment."""
    import pymc as pm

    if roles.arms == (0, 1):
        share = held.make(f"p_{roles.arm}", roles.arm, ("p",), Prior("Beta", (1, 1)))
        return pm.Bernoulli(roles.arm, share, dims="unit")
    even = Prior("Dirichlet", (np.ones(len(roles.arms)),))
    shares = held.make(f"p_{roles.arm}", roles.arm, ("p",), even, (dim,))
    return pm.Categorical(roles.arm, shares, dims="unit")


def _before(frame: pd.DataFrame, name: str, held: Priors) -> TensorVariable:
    """Add a measure that was taken before."""
    import pymc as pm

    values = frame[name].to_numpy(float)
    if set(np.unique(values)) <= {0, 1}:
        share = held.make(f"p_{name}", name, ("p",), Prior("Beta", (1, 1)))
        return pm.Bernoulli(name, share, dims="unit")
    mean, sd = float(values.mean()), float(values.std())
    wide = Prior("Normal", (near(mean, WIDE * sd), digits(WIDE * sd)))
    level = held.make(f"b_{name}_Intercept", name, ("Intercept",), wide)
    half = Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(sd)})
    return pm.Normal(name, level, held.make(f"sigma_{name}", name, ("sigma",), half), dims="unit")


class _Part:
    """Adds the outcome: a level for each arm, measures before, groups."""

    def __init__(
        self,
        frame: pd.DataFrame,
        roles: TrialRoles,
        held: Priors,
        arm: TensorVariable,
        columns: Mapping[str, TensorVariable],
        groups: Mapping[str, TensorVariable],
        dim: str,
    ) -> None:
        self.frame, self.roles, self.held, self.arm = frame, roles, held, arm
        self.columns, self.groups, self.dim = columns, groups, dim

    def outcome(self) -> None:
        """Add the equation of the outcome."""
        import pymc as pm

        y, family = self.roles.outcome, self.roles.family
        if family == "zero_inflated_lognormal":
            return self._money()
        values = self.frame[y].to_numpy(float)
        if family == "bernoulli":
            self._yes_no(y)
        elif family in ("gaussian", "student-t"):
            mean, sd = float(values.mean()), float(values.std())
            mu = self._predictor(y, near(mean, WIDE * sd), WIDE * sd, sd)
            sigma = self._sigma(y, sd)
            if family == "student-t":
                nu = self.held.make(f"nu_{y}", y, ("nu",), Prior("Gamma", (2, 0.1)))
                pm.StudentT(y, nu=nu, mu=mu, sigma=sigma, dims="unit")
            else:
                pm.Normal(y, mu, sigma, dims="unit")
        elif family == "lognormal":
            logs = np.log(values)
            mean, sd = float(logs.mean()), float(logs.std())
            mu = self._predictor(y, near(mean, WIDE * sd), WIDE * sd, sd)
            pm.LogNormal(y, mu, self._sigma(y, sd), dims="unit")
        else:
            mu = pm.math.exp(self._predictor(y, near(float(np.log(values.mean())), 1), LOG, 1.0))
            if family == "poisson":
                pm.Poisson(y, mu, dims="unit")
            else:
                alpha = self.held.make(f"alpha_{y}", y, ("alpha",), Prior("Exponential", (0.5,)))
                pm.NegativeBinomial(y, mu=mu, alpha=alpha, dims="unit")
        return None

    def _yes_no(self, name: str) -> None:
        """Add a yes-or-no variable: a probability for each arm, or logits."""
        import pymc as pm

        if not self.columns and not self.groups:
            beta = Prior("Beta", (1, 1))
            p = self.held.make(f"p_{name}", self.roles.outcome, ("p",), beta, (self.dim,))
            pm.Bernoulli(name, p[self.arm], dims="unit")
            return
        pm.Bernoulli(name, logit_p=self._predictor(name, 0.0, LOGIT, 1.0), dims="unit")

    def _money(self) -> None:
        """Add whether a unit spends, how much if it does, and what it spends."""
        import pymc as pm

        y = self.roles.outcome
        self._yes_no(any_of(y))
        values = self.frame[y].to_numpy(float)
        logs = np.log(values[values > 0])
        mean, sd = float(logs.mean()), float(logs.std())
        mu = self._predictor(amount_of(y), near(mean, WIDE * sd), WIDE * sd, sd)
        half = Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(sd)})
        sigma = self.held.make(f"sigma_{y}", y, ("sigma",), half, (self.dim,))
        pm.LogNormal(amount_of(y), mu, sigma[self.arm], dims="unit")
        model = pm.modelcontext(None)
        pm.Deterministic(y, model[any_of(y)] * model[amount_of(y)], dims="unit")

    def _sigma(self, name: str, sd: float) -> TensorVariable:
        half = Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(sd)})
        return self.held.make(f"sigma_{name}", self.roles.outcome, ("sigma",), half)

    def _predictor(self, name: str, middle: float, wide: float, sd: float) -> TensorVariable:
        """Return the level of the arm, and what measures before and groups add."""
        y = self.roles.outcome
        level = Prior("Normal", (middle, digits(wide)))
        eta = self.held.make(f"level_{name}", y, ("level",), level, (self.dim,))[self.arm]
        for column, variable in self.columns.items():
            values = self.frame[column].to_numpy(float)
            slope = Prior("Normal", (0, digits(WIDE * sd / float(values.std()))))
            b = self.held.make(f"b_{name}_{column}", y, (column,), slope)
            eta = eta + b * (variable - float(values.mean()))
        for group, index in self.groups.items():
            half = Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(sd)})
            spread = self.held.make(f"sd_{name}_{group}", y, (f"sd_{group}",), half)
            drawn = Prior("Normal", (0, spread))
            r = self.held.make(f"r_{name}_{group}", y, (group,), drawn, (f"{group}_level",))
            eta = eta + r[index]
        return eta
