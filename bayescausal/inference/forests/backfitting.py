r"""Forests in a Normal equation by Bayesian backfitting: each tree given what the others leave.

With Normal noise and Normal leaves, leaves are integrated out of the choice between trees: a node
is grown or pruned by Metropolis-Hastings on the marginal likelihood, then leaves are drawn [1]_. A
chain begins with trees grown from the root [2]_. The engine is stochtree's (C++); coefficients and
scale are drawn here, in the same sweep:

.. math:: b \mid f, \sigma \sim N, \qquad
   p(\sigma \mid f, b) \propto p(\sigma)\, \sigma^{-n} e^{-S / 2\sigma^2},

the second by slice sampling of :math:`\log \sigma`, so that any prior will do. The forest, the
scale and the coefficients of a draw are written down at the end of the same sweep.

References
----------
.. [1] H. A. Chipman, E. I. George and R. E. McCulloch, BART: Bayesian additive regression trees,
   *Annals of Applied Statistics* 4(1), 2010, section 3.
.. [2] J. He and P. R. Hahn, Stochastic tree ensembles for regularized nonlinear regression,
   *Journal of the American Statistical Association* 118, 2023.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.forests.places import ROWS, matched_chains
from bayescausal.inference.sampling.sample import at_once
from bayescausal.model.forests.packed import LEAF, Tree, pack, stacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.forests.gaussian import GaussianForests

__all__ = ["METHOD", "backfit", "has_engine"]

METHOD = "backfitting"
#: Sweeps that grow all trees from the root, and sweeps after them that are left out.
GROWN, BURN_IN = 10, 300
#: Rows times trees times sweeps from which chains run in processes of their own: some seconds.
LONG = 2e7


def has_engine() -> bool:
    """Whether stochtree is installed."""
    return importlib.util.find_spec("stochtree") is not None


def backfit(
    form: GaussianForests,
    *,
    draws: int,
    chains: int,
    seed: Sequence[int],
    tune: int | None,
    cores: int | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Draw the unknowns of an equation.

    Returns:
    - `arrays` (chain, draw, ...): of forests (packed), coefficients and the scale.
    - `seen` (chain, draw, row): the value of each forest at some rows, as it was recorded in the
      sweep.
    """
    tree = importlib.import_module("stochtree")
    burn = BURN_IN if tune is None else tune
    seeds = np.random.SeedSequence(seed).spawn(chains)
    chains_of = [_Chain(tree, form, s) for s in seeds]
    work = len(form.rest) * sum(s.trees for s in form.shapes) * (draws + burn)
    few = work < LONG or "fork" not in multiprocessing.get_all_start_methods()
    runs = _side_by_side(chains_of, draws, burn, 1 if few else cores or at_once(chains))
    arrays, seen = {}, {}
    for k, name in enumerate(form.forests):
        seen[name] = np.stack([run["seen"][k] for run in runs])
        held = [run["forests"][k] for run in runs]
        rows = form.x[k][_rows(form)]
        arrays[name] = matched_chains(held, seen[name], rows, name)
    place = 0
    b = np.stack([run["b"] for run in runs])
    for name, shape in form.names.items():
        size = int(np.prod(shape))
        arrays[name] = b[..., place : place + size].reshape(chains, draws, *shape)
        place += size
    arrays[form.scale] = np.stack([run["scale"] for run in runs])
    return arrays, seen


def _rows(form: GaussianForests) -> Array:
    return np.unique(np.linspace(0, len(form.rest) - 1, ROWS).astype(int))


#: Chains that processes of their own take over, with the memory that they are forked from.
_HELD: list[Callable[[], dict[str, Any]]] = []


def _side_by_side(chains: list[_Chain], draws: int, burn: int, cores: int) -> list[dict[str, Any]]:
    """Run chains, several at once where there are several cores."""
    if cores < 2 or len(chains) < 2:
        return [chain.run(draws, burn) for chain in chains]
    _HELD[:] = [functools.partial(chain.run, draws, burn) for chain in chains]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(min(cores, len(chains)), mp_context=context) as pool:
                return list(pool.map(_run, range(len(chains))))
    finally:
        _HELD.clear()


def _run(place: int) -> dict[str, Any]:
    return _HELD[place]()


class _Chain:
    """One chain."""

    def __init__(self, tree: Any, form: GaussianForests, seed: np.random.SeedSequence) -> None:
        self.tree, self.form = tree, form
        self.rng = np.random.default_rng(seed)
        self.engine_rng = tree.RNG(int(self.rng.integers(2**31 - 1)))
        start = float(form.rest.std()) or 1.0
        self.scale = start / form.unit
        self.b = form.middle.copy()
        first = form.rest - form.design @ self.b
        for weight, shape in zip(form.weights, form.shapes, strict=True):
            first = first - weight * shape.constant
        self.residual = tree.Residual(first.copy())
        self.world = tree.GlobalModelConfig(global_error_variance=start**2)
        self.parts = [self._part(k) for k in range(len(form.forests))]

    def _part(self, k: int) -> dict[str, Any]:
        """Set up one forest."""
        tree, x, weight, shape = (
            self.tree,
            np.ascontiguousarray(self.form.x[k]),
            self.form.weights[k],
            self.form.shapes[k],
        )
        n, p = x.shape
        plain = bool(np.all(weight == 1.0))
        data, rows = tree.Dataset(), tree.Dataset()
        data.add_covariates(x)
        rows.add_covariates(np.ascontiguousarray(x[_rows(self.form)]))
        if not plain:
            data.add_basis(np.ascontiguousarray(weight[:, None]))
            rows.add_basis(np.ones((len(_rows(self.form)), 1)))
        chances = np.asarray(shape.weights or (1.0,) * p)
        config = tree.ForestModelConfig(
            feature_types=np.zeros(p, int),
            num_trees=shape.trees,
            num_features=p,
            num_observations=n,
            variable_weights=chances / chances.sum(),
            leaf_dimension=1,
            alpha=shape.alpha,
            beta=shape.beta,
            min_samples_leaf=1,
            max_depth=-1,
            leaf_model_type=0 if plain else 1,
            leaf_model_scale=shape.leaf**2,
        )
        sampler = tree.ForestSampler(data, self.world, config)
        kept = tree.ForestContainer(shape.trees, 1, plain, False)
        active = tree.Forest(shape.trees, 1, plain, False)
        leaf = 0 if plain else 1
        sampler.prepare_for_sampler(data, self.residual, active, leaf, np.zeros(1))
        return {
            "data": data, "rows": rows, "config": config, "sampler": sampler, "kept": kept,
            "active": active, "constant": shape.constant,
        }  # fmt: skip

    def run(self, draws: int, burn: int) -> dict[str, Any]:
        """Return the draws of the chain."""
        form = self.form
        scales, b = np.empty(draws), np.empty((draws, len(self.b)))
        seen = np.empty((len(self.parts), draws, len(_rows(form))))
        for i in range(-(GROWN + burn), draws):
            for part in self.parts:
                part["sampler"].sample_one_iteration(
                    part["kept"], part["active"], part["data"], self.residual, self.engine_rng,
                    self.world, part["config"], i >= 0, i < -burn,
                )  # fmt: skip
            self._coefficients()
            self._scale()
            if i >= 0:
                scales[i], b[i] = self.scale, self.b
                for k, part in enumerate(self.parts):
                    value = part["active"].predict_raw(part["rows"])
                    seen[k, i] = part["constant"] + np.ravel(value)
        forests = [
            _packed(part["kept"].dump_json_string(), draws, part["constant"]) for part in self.parts
        ]
        return {"scale": scales, "b": b, "seen": seen, "forests": forests}

    def _coefficients(self) -> None:
        """Draw the coefficients given forests and scale."""
        form = self.form
        if not len(self.b):
            return
        left = np.ravel(self.residual.get_residual()) + form.design @ self.b
        weight = (self.scale * form.unit) ** -2.0
        precision = weight * form.design.T @ form.design + np.diag(form.precision)
        root = np.linalg.cholesky(precision)
        middle = np.linalg.solve(
            precision, weight * form.design.T @ left + form.precision * form.middle
        )
        self.b = middle + np.linalg.solve(root.T, self.rng.standard_normal(len(middle)))
        self.residual.update_data(np.ascontiguousarray(left - form.design @ self.b))

    def _scale(self) -> None:
        """Draw the scale given the residuals, by slice sampling of its logarithm."""
        left = np.ravel(self.residual.get_residual())
        total, n, unit = float(left @ left), len(left), self.form.unit

        def density(log_scale: float) -> float:
            scale = float(np.exp(log_scale))
            far = total / (2 * (scale * unit) ** 2)
            return self.form.log_prior(scale) - (n - 1) * log_scale - far

        self.scale = float(np.exp(_slice(density, np.log(self.scale), n**-0.5, self.rng)))
        self.world.update_global_error_variance((self.scale * unit) ** 2)


def _slice(
    density: Callable[[float], float], at: float, width: float, rng: np.random.Generator
) -> float:
    """Return the next state of a slice sampler: step out, shrink."""
    level = density(at) - rng.exponential()
    low = at - width * rng.random()
    high = low + width
    while density(low) > level:
        low -= width
    while density(high) > level:
        high += width
    while True:
        new = rng.uniform(low, high)
        if density(new) > level:
            return float(new)
        low, high = (new, high) if new < at else (low, new)


def _packed(text: str, draws: int, constant: float) -> Array:
    """Return the forests that stochtree wrote down, one row for each draw."""
    held = json.loads(text)
    found = []
    for i in range(draws):
        forest = held[f"forest_{i}"]
        trees = [_tree(forest[f"tree_{j}"]) for j in range(forest["num_trees"])]
        found.append(pack(trees, constant))
    return stacked(found)


def _tree(held: dict[str, Any]) -> Tree:
    """Return one tree, the left child directly behind its parent."""
    left, asked = held["left"], held["split_index"]
    column: list[int] = []
    value: list[float] = []
    right: list[int] = []
    waiting = [(0, -1)]
    while waiting:
        k, parent = waiting.pop()
        if parent >= 0:
            right[parent] = len(column)
        if left[k] < 0:
            column.append(LEAF)
            value.append(held["leaf_value"][k])
        else:
            waiting += [(held["right"][k], len(column)), (left[k], -1)]
            column.append(asked[k])
            value.append(held["threshold"][k])
        right.append(0)
    return Tree(np.array(column), np.array(value), np.array(right))
