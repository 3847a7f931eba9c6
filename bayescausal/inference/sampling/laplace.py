r"""Laplace approximations, corrected by importance weights.

On the unconstrained scale :math:`u` the log-density has a mode :math:`\hat u` and a curvature
:math:`H = -\nabla^2 \log p(\hat u)`. Draws from a Student-t law with 7 degrees of freedom,

.. math:: u^{(s)} = \hat u + H^{-1/2} t_7^{(s)}, \qquad
   w^{(s)} \propto p(u^{(s)}) / q(u^{(s)}),

are weighted, the largest weights smoothed by a Pareto law, and resampled [1]_. The shape
:math:`\hat k` of that law says whether the weights can be trusted: above 0.7 they cannot, and the
approximation is given up: :func:`bayescausal.fit` falls back to NUTS.

It fails where the posterior has several modes (only one is seen, and no weight tells), a funnel, or
heavy tails; the last two show in :math:`\hat k`. Never chosen by ``method="auto"``.

References
----------
.. [1] A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, Pareto smoothed importance sampling,
   *Journal of Machine Learning Research* 25, 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import xarray as xr
from pymc.pytensorf import compile as compile_function
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayescausal.inference.conditioning.plan import as_array
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    import pymc as pm

__all__ = [
    "LIMIT",
    "LaplaceApproximation",
    "importance_resample",
    "laplace_draws",
    "student_draws",
    "untransformed",
]

#: Above this k-hat the weights are not to be trusted.
LIMIT = 0.7
#: Degrees of freedom of the proposal.
FREEDOM = 7.0
#: Proposals per draw that is kept.
MORE = 2


class LaplaceApproximation:
    """The log-density of a model over one vector, its mode and its curvature.

    - `model`: its free variables are continuous.
    - `most`: the most unknowns that are worth a try.
    Raises ArithmeticError if there is no mode with a curvature that bends down in every direction.
    """

    def __init__(self, model: pm.Model, most: int | None = None) -> None:
        self.model = model
        values = [model.rvs_to_values[rv] for rv in model.free_RVs]
        start = model.initial_point(random_seed=1)
        self.names = [str(v.name) for v in values]
        self.shapes = [np.shape(start[n]) for n in self.names]
        size = sum(int(np.prod(s)) for s in self.shapes)
        if most is not None and size > most:
            raise ArithmeticError(f"there are {size:,} unknowns, more than {most}")
        logp = model.logp()
        slopes = model.dlogp()
        options: dict[str, Any] = {"mode": PY_MODE, "on_unused_input": "ignore"}
        self._both = compile_function(values, [logp, slopes], **options)
        self._one = compile_function(values, logp, **options)
        flat = np.concatenate([np.ravel(start[n]) for n in self.names]).astype(float)
        self.mode = self.climb(flat)
        self.root = self._curvature()

    def parts(self, flat: np.ndarray) -> list[np.ndarray]:
        """Return the values of one vector, variable by variable."""
        out, at = [], 0
        for shape in self.shapes:
            size = int(np.prod(shape))
            out.append(flat[at : at + size].reshape(shape))
            at += size
        return out

    def density(self, flat: np.ndarray) -> float:
        """Return the log-density."""
        with np.errstate(all="ignore"):
            found = float(self._one(*self.parts(flat)))
        return found if np.isfinite(found) else -np.inf

    def _slope(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            height, slope = self._both(*self.parts(flat))
        if not np.isfinite(height) or not np.all(np.isfinite(slope)):
            return 1e300, np.zeros_like(flat)
        return -float(height), -np.asarray(slope, dtype=float)

    def climb(self, start: np.ndarray) -> np.ndarray:
        """Return the mode that is uphill from a point."""
        from scipy.optimize import minimize

        found = minimize(self._slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000})
        found = minimize(self._slope, found.x, jac=True, method="BFGS")
        if not np.isfinite(found.fun) or found.fun > 1e299:
            raise ArithmeticError("no mode was found")
        return np.asarray(found.x)

    def _curvature(self) -> np.ndarray:
        """Return the lower root of the curvature, from differences of slopes."""
        size = len(self.mode)
        matrix = np.empty((size, size))
        for i in range(size):
            step = 1e-4 * max(1.0, abs(self.mode[i]))
            for _ in range(2):  # the second time with a step that fits the curvature
                ahead, behind = self.mode.copy(), self.mode.copy()
                ahead[i] += step
                behind[i] -= step
                row = (self._slope(ahead)[1] - self._slope(behind)[1]) / (2 * step)
                if row[i] > 0:
                    step = 1e-2 / np.sqrt(row[i])
            matrix[i] = row
        try:
            return np.asarray(cholesky((matrix + matrix.T) / 2, lower=True))
        except (LinAlgError, ValueError):
            raise ArithmeticError("the log-density does not bend down at its mode") from None

    def propose(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return points and their log importance ratios."""
        z, log_q = student_draws(len(self.mode), count, rng)
        points = self.mode + solve_triangular(self.root.T, z.T).T
        return points, np.array([self.density(p) for p in points]) - log_q


def laplace_draws(
    model: pm.Model, *, draws: int, chains: int, seed: int
) -> tuple[xr.Dataset, float]:
    """Draw from the Laplace approximation of a model, resampled by smoothed importance weights.

    Returned are the draws, Deterministics included, and the Pareto shape of the weights. Refused
    where there is no mode with a curvature, or the approximation misses the posterior.
    """
    if any(is_discrete(rv) for rv in model.free_RVs):
        raise ArithmeticError("there are discrete unknowns")
    found = LaplaceApproximation(model)
    names = sorted(rv.name for rv in model.free_RVs)
    rng = np.random.default_rng([seed, crc32(",".join(names).encode())])
    points, ratios = found.propose(MORE * draws * chains, rng)
    if not np.isfinite(ratios).any():
        raise ArithmeticError("its draws miss the posterior")
    pick, k_hat, _ = importance_resample(ratios, draws * chains, rng)
    return untransformed(found, points[pick], draws, chains), k_hat


def student_draws(size: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of a standard Student-t vector, and their log-density up to a constant."""
    normal = rng.standard_normal((count, size))
    z = normal * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, count))[:, None]
    return z, -0.5 * (FREEDOM + size) * np.log1p(np.sum(z**2, axis=1) / FREEDOM)


def importance_resample(
    ratios: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, float, float]:
    """Return places drawn with Pareto-smoothed importance weights.

    They are drawn systematically, one from each ``1 / size`` of the weights, and come in random
    order.

    `ratios`: log importance ratios, of which one or more are finite.
    Returns:
    - `places` (size, int)
    - `k_hat`: the Pareto shape of the weights.
    - `worth`: how many independent draws the weights are worth.
    """
    from arviz_stats.base import array_stats

    floored = np.maximum(ratios, ratios.max() - 700.0)
    smooth, k_hat = array_stats.psislw(-floored)  # it takes minus the log of the ratio
    weights = np.exp(np.asarray(smooth) - np.max(smooth))
    weights = weights / weights.sum()
    ladder = (np.arange(size) + rng.random()) / size
    places = np.minimum(np.searchsorted(np.cumsum(weights), ladder), len(weights) - 1)
    return rng.permutation(places), float(k_hat), float(1.0 / np.sum(weights**2))


# ------------------------------------------------------------------------------- private


def untransformed(
    found: LaplaceApproximation, points: np.ndarray, draws: int, chains: int
) -> xr.Dataset:
    """Return points as draws of the model's variables."""
    model = found.model
    wanted = [*model.free_RVs, *model.deterministics]
    outputs = model.replace_rvs_by_values(wanted)
    values = [model.rvs_to_values[rv] for rv in model.free_RVs]
    call = compile_function(values, outputs, mode=PY_MODE, on_unused_input="ignore")
    with np.errstate(all="ignore"):
        rows = [call(*found.parts(p)) for p in points]
    made = {}
    for i, variable in enumerate(wanted):
        array = np.stack([np.asarray(row[i]) for row in rows])
        array = array.reshape(chains, draws, *array.shape[1:])
        made[variable.name] = as_array(model, variable.name, array, {})
    return xr.Dataset(made)
