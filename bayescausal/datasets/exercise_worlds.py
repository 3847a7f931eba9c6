r"""Small worlds whose every number is known: what is true, and what each wrong analysis finds.

A *linear world* is a set of equations :math:`v_j = \sum_i b_{ij} v_i + s_j \varepsilon_j` with
standard normal noise, parents before children. With :math:`B` the matrix of coefficients and
:math:`A = (I - B)^{-1}`, the total effect of x on y is :math:`A_{yx}` and the covariance of all
variables is :math:`\Sigma = A S^2 A'`. A regression of y on x and a set Z finds, in a sample
without end, the first entry of :math:`\Sigma_{(x,Z),(x,Z)}^{-1} \Sigma_{(x,Z),y}`: so the number
that a wrong adjustment set leads to is as exact as the truth.

Where only units with :math:`v_s > c` are seen, the covariance among them is

.. math:: \Sigma - \frac{\lambda (\lambda - a)}{\sigma_s^2}\, \Sigma_{\cdot s} \Sigma_{s \cdot},
   \qquad a = c / \sigma_s, \quad \lambda = \phi(a) / (1 - \Phi(a)).

A *table world* has two-valued variables and the probabilities of all their combinations.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, chapter 5.
.. [2] G. M. Tallis, "The moment generating function of the truncated multi-normal distribution",
   JRSS B 23(1), 1961.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pymc as pm

from bayescausal.datasets.teaching.key import OfThePackage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LinearWorld", "TableWorld"]


@dataclass(frozen=True, eq=False)
class LinearWorld(OfThePackage):
    """Linear equations with normal noise."""

    # ``variable -> {parent: coefficient}``, parents before children.
    equations: Mapping[str, Mapping[str, float]]
    noise: Mapping[str, float]  # standard deviations of the noise; 1 where not named
    # Only units in which this variable is above this value are seen.
    selected: tuple[str, float] | None = None

    @property
    def names(self) -> list[str]:
        """The variables, parents before children."""
        return list(self.equations)

    def edges(self) -> list[tuple[str, str]]:
        """Return the arrows."""
        return [(parent, name) for name, row in self.equations.items() for parent in row]

    def _coefficients(self) -> np.ndarray:
        place = {name: i for i, name in enumerate(self.names)}
        matrix = np.zeros((len(place), len(place)))
        for name, row in self.equations.items():
            for parent, value in row.items():
                matrix[place[name], place[parent]] = value
        return matrix

    def _sds(self) -> np.ndarray:
        return np.array([self.noise.get(name, 1.0) for name in self.names])

    def effect(self, treatment: str, outcome: str, held: Sequence[str] = ()) -> float:
        """Return the effect of one unit more of the treatment, some variables held.

        `held`: mediators that are held where they are.
        """
        matrix = self._coefficients()
        place = {name: i for i, name in enumerate(self.names)}
        for name in (treatment, *held):
            matrix[place[name]] = 0
        solved = np.linalg.inv(np.eye(len(matrix)) - matrix)
        return float(solved[place[outcome], place[treatment]])

    def covariance(self) -> pd.DataFrame:
        """Return the covariance of all variables among the units that are seen."""
        solved = np.linalg.inv(np.eye(len(self.names)) - self._coefficients())
        sigma = solved @ np.diag(self._sds() ** 2) @ solved.T
        if self.selected is not None:
            from math import erfc, exp, pi, sqrt

            name, least = self.selected
            at = self.names.index(name)
            a = least / sqrt(sigma[at, at])
            ratio = exp(-(a**2) / 2) / sqrt(2 * pi) / (0.5 * erfc(a / sqrt(2)))
            share = ratio * (ratio - a) / sigma[at, at]
            sigma = sigma - share * np.outer(sigma[:, at], sigma[at])
        return pd.DataFrame(sigma, index=self.names, columns=self.names)

    def regression(self, treatment: str, outcome: str, adjusted: Sequence[str] = ()) -> float:
        """Return the coefficient of the treatment in a regression of the outcome.

        `adjusted`: the other regressors.
        Returns: in a sample without end.
        """
        sigma = self.covariance()
        on = [treatment, *adjusted]
        return float(np.linalg.solve(sigma.loc[on, on], sigma.loc[on, outcome])[0])

    def fitted(self, equations: Mapping[str, Sequence[str]], treatment: str, outcome: str) -> float:
        """Return the effect in another model: its equations, fitted in a sample without end.

        `equations`: ``variable -> parents``, parents before children.
        """
        sigma = self.covariance()
        slopes = {
            name: dict(
                zip(on, np.linalg.solve(sigma.loc[on, on], sigma.loc[on, name]), strict=True)
            )
            for name, on in ((name, list(parents)) for name, parents in equations.items())
        }
        others: dict[str, dict[str, float]] = {
            name: {} for name in self.names if name not in slopes
        }
        return LinearWorld(others | slopes, {}).effect(treatment, outcome)

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units that are seen, all variables in it."""
        rng = np.random.default_rng(seed)
        solved = np.linalg.inv(np.eye(len(self.names)) - self._coefficients())
        parts: list[pd.DataFrame] = []
        while sum(map(len, parts)) < units:
            noise = rng.normal(size=(units, len(self.names))) * self._sds()
            table = pd.DataFrame(noise @ solved.T, columns=self.names)
            if self.selected is not None:
                table = table[table[self.selected[0]] > self.selected[1]]
            parts.append(table)
        return pd.concat(parts, ignore_index=True).iloc[:units]

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return a PyMC model of some of the variables, with the arrows among them.

        `variables`: in any order. One that has no column in the data is latent; its first
        coefficient is positive, since its sign says nothing.
        """
        kept = [name for name in self.names if name in variables]
        hidden = {name for name in kept if name.startswith("U")}
        signed: set[str] = set()
        with pm.Model(coords={"unit": [0]}) as model:
            made: dict[str, pm.Distribution] = {}
            for name in kept:
                if name in hidden:
                    made[name] = pm.Normal(name, 0, 1, dims="unit")
                    continue
                mean = pm.Normal(f"{name}_level", 0, 2)
                for parent in self.equations[name]:
                    if parent not in made:
                        continue
                    first = parent in hidden and parent not in signed
                    signed.add(parent)
                    prior = pm.HalfNormal if first else pm.Normal
                    slope = prior(f"{parent}_to_{name}", sigma=2)
                    mean = mean + slope * made[parent]
                sigma = pm.HalfNormal(f"{name}_noise", 2)
                made[name] = pm.Normal(name, mean, sigma, dims="unit")
        return model


@dataclass(frozen=True, eq=False)
class TableWorld(OfThePackage):
    """A two-valued cause Z of a two-valued treatment and a two-valued outcome."""

    names: tuple[str, str, str]  # Z, treatment and outcome
    p_z: float  # P(Z = 1)
    p_x: tuple[float, float]  # P(treatment = 1 | Z = 0, 1)
    # P(outcome = 1 | treatment, Z), rows being the treatment.
    p_y: tuple[tuple[float, float], tuple[float, float]]

    def edges(self) -> list[tuple[str, str]]:
        """Return the arrows."""
        z, x, y = self.names
        return [(z, x), (z, y), (x, y)]

    def effect(self) -> float:
        """Return the average effect of the treatment."""
        share = (1 - self.p_z, self.p_z)
        return sum(s * (self.p_y[1][z] - self.p_y[0][z]) for z, s in enumerate(share))

    def difference(self) -> float:
        """Return the difference of the outcome between those treated and those not."""
        share = (1 - self.p_z, self.p_z)
        arms = []
        for arm in (0, 1):
            taken = [s * (p if arm else 1 - p) for s, p in zip(share, self.p_x, strict=True)]
            total = sum(taken)
            arms.append(sum(w * self.p_y[arm][z] for z, w in enumerate(taken)) / total)
        return arms[1] - arms[0]

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units."""
        rng = np.random.default_rng(seed)
        z = (rng.random(units) < self.p_z).astype(int)
        x = (rng.random(units) < np.array(self.p_x)[z]).astype(int)
        y = (rng.random(units) < np.array(self.p_y)[x, z]).astype(int)
        return pd.DataFrame(dict(zip(self.names, (z, x, y), strict=True)))

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return a PyMC model with a probability for each combination.

        `variables`: all three names.
        """
        z, x, y = (name for name in self.names if name in variables)
        coords = {"unit": [0], "level": [0, 1], "arm": [0, 1]}
        with pm.Model(coords=coords) as model:
            p_z = pm.Beta(f"p_{z}", 1, 1)
            p_x = pm.Beta(f"p_{x}", 1, 1, dims="level")
            p_y = pm.Beta(f"p_{y}", 1, 1, dims=("arm", "level"))
            first = pm.Bernoulli(z, p_z, dims="unit")
            second = pm.Bernoulli(x, p_x[first], dims="unit")
            pm.Bernoulli(y, p_y[second, first], dims="unit")
        return model
