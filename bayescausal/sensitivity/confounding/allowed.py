r"""Which strengths of a hidden confounder the data allow.

A confounder cannot explain more than the equations leave unexplained. With residual variances
:math:`R_X^2, R_Y^2` of the fit without it, strengths :math:`(\gamma, \delta)` need

.. math:: \gamma^2 \operatorname{Var}(U) \le R_X^2, \qquad
    \delta^2 \operatorname{E}[\operatorname{Var}(U \mid X)] \le R_Y^2,

each where the variable is a location with a spread (identity link): a share of the residual
variance, a partial :math:`R^2`, is at most 1 [1]_. What the treatment already tells of :math:`U`
is bias, and no part of the residual, so a confounder that is strong on the treatment may be
stronger on the outcome. For a Normal treatment it leaves the share
:math:`1 - \gamma^2 \operatorname{Var}(U) / R_X^2` open; for a two-valued one the expectation is
summed at the observed share of treated; for a count it is taken to first order, from the
information :math:`\operatorname{E}[X]` on a log rate.

Beyond these limits a posterior exists and means nothing: to fit at all, the confounder has to copy
the treatment. Limits are necessary, not sufficient: a two-valued confounder that explains most of a
residual leaves two humps, which Normal residuals contradict well before.

References
----------
.. [1] C. Cinelli and C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
   JRSS B 82(1), 2020, section 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from bayescausal.types import UndefinedEffectError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bayescausal.sensitivity.confounding.confounder import Confounder
    from bayescausal.sensitivity.equations import Equations

__all__ = ["Allowed", "allowed_strengths"]


@dataclass(frozen=True)
class Allowed:
    """The strengths that the data allow.

    ``residuals``: residual sd of treatment and outcome on their own scales; infinite where there is
        none.
    ``level``: mean of the treatment.
    """

    where: Confounder
    residuals: tuple[float, float]
    level: float

    @property
    def gamma(self) -> float:
        """The largest strength on the treatment."""
        return self.residuals[0] / self.where.sd

    def delta(self, gamma: ArrayLike) -> np.ndarray:
        """Return the largest strength on the outcome at strengths on the treatment."""
        left = np.array([self._left(float(g)) for g in np.ravel(gamma)]).reshape(np.shape(gamma))
        with np.errstate(divide="ignore"):
            return self.residuals[1] / (self.where.sd * np.sqrt(left))

    def __call__(self, gamma: ArrayLike, delta: ArrayLike) -> np.ndarray:
        """Return whether strengths are allowed.

        ``gamma``, ``delta``: broadcast against each other.
        """
        gamma, delta = np.broadcast_arrays(np.abs(gamma), np.abs(delta))
        return (gamma <= self.gamma) & (delta <= self.delta(gamma))

    def _left(self, gamma: float) -> float:
        """Return the share of the confounder's variance that the treatment leaves open."""
        c, gamma = self.where, abs(gamma)
        if gamma == 0:
            return 1.0
        variance = c.sd**2
        if c.links[0] == "identity":
            return max(0.0, 1 - gamma**2 * variance / self.residuals[0] ** 2)
        if c.links[0] == "log":
            return 1 / (1 + gamma**2 * variance * self.level)
        at, weights = _points(c)

        def given(base: float) -> np.ndarray:
            return np.asarray(expit(base + gamma * at))

        level = min(max(self.level, 1e-6), 1 - 1e-6)
        wide = 40 + gamma * float(np.abs(at).max())
        base = brentq(lambda b: float(weights @ given(b)) - level, -wide, wide)
        left = 0.0
        for chance in (given(float(base)), 1 - given(float(base))):
            share = float(weights @ chance)
            posterior = weights * chance / share
            left += share * float(posterior @ at**2 - (posterior @ at) ** 2)
        return left / variance


def allowed_strengths(where: Confounder, equations: Equations) -> Allowed:
    """Return what the data allow.

    ``equations``: of treatment and outcome.
    """
    names = (where.treatment, where.outcome)
    first, second = (
        residual(equations, name) if link == "identity" else float("inf")
        for name, link in zip(names, where.links, strict=True)
    )
    level = float(np.nanmean(np.asarray(equations.fit.columns[where.treatment], dtype=float)))
    return Allowed(where, (first, second), level)


def residual(equations: Equations, name: str) -> float:
    """Return the residual sd of a variable, or its sd where it has no mean in closed form."""
    try:
        return float(equations.residual_sd(name).mean())
    except (UndefinedEffectError, AttributeError, TypeError):
        return float(np.nanstd(equations.fit.columns[name]))


def _points(c: Confounder) -> tuple[np.ndarray, np.ndarray]:
    """Return values of the confounder and their weights."""
    if c.kind == "bernoulli":
        p = c.prevalence
        return np.array([1 - p, -p]), np.array([p, 1 - p])
    at, weights = np.polynomial.hermite_e.hermegauss(40)
    return at, weights / weights.sum()
