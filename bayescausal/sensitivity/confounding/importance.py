r"""Posteriors near a known one, without a Markov chain: a Laplace proposal, corrected and checked.

The cells of a sensitivity grid are posteriors of the same few parameters, each close to the next.
The log-posterior of a cell is maximised from the mode of the last one, draws are taken from a
Student-t around the mode with the curvature there, and weighted by

.. math:: w_s \propto p(\theta_s, y) / q(\theta_s),

which makes them draws of the posterior itself, whatever its shape, as long as the weights are not
ruled by a few [1]_. That is looked at: the weights are smoothed by a Pareto fit to their tail, and
where its shape :math:`\hat k` is above 0.7, or the weights are worth fewer draws than are
wanted, nothing is returned and a Markov chain has to do the work.

All of it is array arithmetic on unconstrained parameters: nothing is compiled.

*When it fails.* Several modes of which one is found: weights cannot show it. A posterior that is
far from any Student-t, or has more than :data:`MOST_PARAMETERS` unknowns, is left to the chain.

References
----------
.. [1] A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, "Pareto smoothed importance
   sampling", Journal of Machine Learning Research 25(72), 2024.
.. [2] L. Tierney and J. B. Kadane, "Accurate approximations for posterior moments and marginal
   densities", Journal of the American Statistical Association 81, 1986.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph.replace import clone_replace, vectorize_graph

from bayescausal.inference.conditioning.plan import as_array
from bayescausal.inference.sampling.laplace import LIMIT, importance_resample, student_draws
from bayescausal.model.structure.function_graph import PY_MODE, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm

    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["MOST_PARAMETERS", "Importance"]

#: Unknowns up to which a Laplace proposal is tried.
MOST_PARAMETERS = 60
#: Proposals for each draw that is kept: at first, and where these are worth too few draws.
PROPOSALS = 2, 4
#: Newton steps to the mode.
STEPS = 30
#: Elements that are evaluated at a time.
BLOCK = 250_000


class Importance:
    """The posterior of a small model, for data that change.

    ``model``: conditioned, with what is to be changed as ``pm.Data``. It is ours: its data are set.
    ``structure``: for the dims of the draws.
    ``fit``: a posterior of the same unknowns, to start from.
    ``units``: number of units, for the size of blocks.
    Raises ValueError if the model is not of the kind that this can do; the message says why.
    """

    def __init__(
        self,
        model: pm.Model,
        structure: Structure,
        coords: Mapping[str, np.ndarray],
        fit: Fit,
        units: int,
    ) -> None:
        self.model, self.structure, self.coords = model, structure, coords
        posterior = fit.posterior
        free = list(model.free_RVs)
        lost = [rv.name for rv in free if rv.name not in posterior]
        if lost or not free:
            raise ValueError(f"no draws to start from of {', '.join(lost) or 'anything'}")
        means = {rv: posterior[rv.name].mean(("chain", "draw")).values for rv in free}
        size = int(sum(np.size(v) for v in means.values()))
        if size > MOST_PARAMETERS:
            raise ValueError(f"{size} unknowns")
        known = _unconstrained(model, posterior)
        if not np.isfinite(known).all():
            raise ValueError("the start is not finite")
        self.start = known.mean(axis=0)
        spread = np.cov(known, rowvar=False).reshape(size, size)
        try:
            self.root = np.linalg.cholesky(spread)
        except np.linalg.LinAlgError:
            raise ValueError("the draws to start from do not vary") from None
        self.rows = max(1, BLOCK // max(1, units))
        self._functions([np.shape(v) for v in means.values()])

    def _functions(self, shapes: list[tuple[int, ...]]) -> None:
        """Build the log-density of many points, and the way back from them."""
        model = self.model
        self._shapes = shapes
        values = [model.rvs_to_values[rv] for rv in model.free_RVs]
        many = {
            v: pt.TensorType(v.type.dtype, (None, *v.type.shape))(f"many_{v.name}") for v in values
        }
        named = list(model.unobserved_RVs)
        outputs = vectorize_graph([model.logp(), *model.replace_rvs_by_values(named)], many)
        given = list(many.values())
        options: dict[str, Any] = {"mode": PY_MODE, "allow_input_downcast": True}
        self._density = pytensor.function(given, outputs[:1], **options)
        self._back = pytensor.function(given, outputs[1:], on_unused_input="ignore", **options)
        self._names = [v.name for v in named]

    def _split(self, points: np.ndarray) -> list[np.ndarray]:
        """Return the values of each unknown at points in unconstrained space."""
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self._shapes])
        parts = np.split(points, ends[:-1], axis=1)
        return [v.reshape(-1, *shape) for v, shape in zip(parts, self._shapes, strict=True)]

    def density(self, points: np.ndarray) -> np.ndarray:
        """Return the log-density at points in unconstrained space, -inf where undefined."""
        blocks = range(0, len(points), self.rows)
        with np.errstate(all="ignore"):
            found = [self._density(*self._split(points[i : i + self.rows]))[0] for i in blocks]
        value = np.concatenate(found)
        return np.where(np.isfinite(value), value, -np.inf)

    def draw(self, draws: int, chains: int, seed: int) -> tuple[xr.Dataset, float] | None:
        """Draw from the posterior at the data that the model has now.

        Result: the draws, and the shape of the tail of their weights; None where weights are ruled
            by too few, or no mode was found.
        """
        found = self._mode()
        if found is None:
            return None
        mode, root = found
        rng = np.random.default_rng([seed, 11])
        wanted = draws * chains
        for many in PROPOSALS:
            z, log_q = student_draws(len(mode), many * wanted, rng)
            proposals = mode + z @ root.T
            ratios = self.density(proposals) - log_q
            if not np.isfinite(ratios).any():
                return None
            chosen, k, worth = importance_resample(ratios, wanted, rng)
            if k <= LIMIT and worth >= wanted:
                break
        else:
            return None
        values = self._back(*self._split(proposals[chosen]))
        arrays = {}
        for name, value in zip(self._names, values, strict=True):
            value = np.asarray(value)
            shaped = value.reshape(chains, draws, *value.shape[1:])
            arrays[name] = as_array(self.structure.model, name, shaped, self.coords)
        return xr.Dataset(arrays), k

    def _mode(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the mode and a root of the covariance there, by Newton's method.

        In coordinates that make the known posterior a standard normal, so that one step of
        differences, a tenth of a standard deviation, suits every unknown.
        """
        p = len(self.start)
        z, value = np.zeros(p), -np.inf
        for _ in range(STEPS):
            centre, slope, curvature = self._quadratic(z)
            if not (np.isfinite(centre) and np.isfinite(slope).all()):
                return None
            sizes, axes = np.linalg.eigh(curvature)
            if sizes.min() <= 0 and np.isfinite(value) and centre <= value:
                return None
            inverse = axes / np.maximum(np.abs(sizes), 1e-6) @ axes.T
            step = inverse @ slope
            if slope @ step < 1e-3 and sizes.min() > 0:
                root = self.root @ (axes / np.sqrt(sizes))
                return self.start + self.root @ z, root
            tries = z + step * 0.5 ** np.arange(8)[:, None]
            values = self.density(self.start + tries @ self.root.T)
            if not values.max() > centre:
                return None
            z, value = tries[values.argmax()], centre
        return None

    def _quadratic(self, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return value, slope and minus the curvature of the log-density, by differences."""
        p, h = len(z), 0.1
        unit = h * np.eye(p)
        pairs = [(i, j) for i in range(p) for j in range(i)]
        corner = np.array([unit[i] + unit[j] for i, j in pairs]).reshape(len(pairs), p)
        moves = np.concatenate([np.zeros((1, p)), unit, -unit, corner])
        f = self.density(self.start + (z + moves) @ self.root.T)
        centre, ahead, behind, both = f[0], f[1 : p + 1], f[p + 1 : 2 * p + 1], f[2 * p + 1 :]
        slope = (ahead - behind) / (2 * h)
        curvature = np.diag(-(ahead + behind - 2 * centre) / h**2)
        half = (ahead + behind - 2 * centre) / 2  # h^2 H_ii / 2
        for (i, j), value in zip(pairs, both, strict=True):
            mixed = value - centre - h * (slope[i] + slope[j]) - half[i] - half[j]
            curvature[i, j] = curvature[j, i] = -mixed / h**2
        return float(centre), slope, curvature


def _unconstrained(model: pm.Model, posterior: xr.Dataset) -> np.ndarray:
    """Return known draws in unconstrained space, a row per draw."""
    free = list(model.free_RVs)
    draws = {rv: posterior[rv.name].values for rv in free}
    flat = {rv: v.reshape(-1, *v.shape[2:]) for rv, v in draws.items()}
    single = {rv: rv.type(name=f"one_{rv.name}") for rv in free}
    outputs = []
    for rv in free:
        transform = model.rvs_to_transforms[rv]
        value = single[rv] if transform is None else transform.forward(rv, *rv.owner.inputs)
        outputs.append(value)
    outputs = clone_replace(outputs, single, rebuild_strict=False)
    many = {single[rv]: pt.as_tensor_variable(flat[rv].astype(rv.type.dtype)) for rv in free}
    found = evaluate(vectorize_graph(outputs, many))
    return np.concatenate([np.asarray(v).reshape(len(v), -1) for v in found], axis=1)
