r"""Forests in a Normal equation by Bayesian backfitting: each tree given what the others leave.

With Normal noise and Normal leaves, leaves are integrated out of the choice between trees: a node
is grown or pruned by Metropolis-Hastings on the marginal likelihood, then leaves are drawn [1]_. A
chain begins with trees grown from the root [2]_. The engine is stochtree's (C++); coefficients and
scale are drawn here, in the same sweep:

.. math:: b \mid f, \sigma \sim N, \qquad
   p(\sigma \mid f, b) \propto p(\sigma)\, \sigma^{-n} e^{-S / 2\sigma^2},

the second by slice sampling of :math:`\log \sigma`, so that any prior will do. Parameters of a
scale that differs between rows are drawn one after the other, and spreads of forests likewise
(:mod:`.spreads`). The forest, its spread, the scale and the coefficients of a draw are written down
at the end of the same sweep.

References
----------
.. [1] H. A. Chipman, E. I. George and R. E. McCulloch, BART: Bayesian additive regression trees,
   *Annals of Applied Statistics* 4(1), 2010, section 3.
.. [2] J. He and P. R. Hahn, Stochastic tree ensembles for regularized nonlinear regression,
   *Journal of the American Statistical Association* 118, 2023.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.forests.chains import Run, draw_chains, seen_rows, slice_step
from bayescausal.inference.forests.linear_forests import Noise
from bayescausal.inference.forests.spreads import Factors, same_as, shift
from bayescausal.model.forests.packed import LEAF, Tree, pack, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.forests.linear_forests import LinearForests

__all__ = ["METHOD", "backfit", "has_engine"]

METHOD = "backfitting"
#: Sweeps that grow all trees from the root, and sweeps after them that are left out.
GROWN, BURN_IN = 10, 300


def has_engine() -> bool:
    """Whether stochtree is installed."""
    return importlib.util.find_spec("stochtree") is not None


def backfit(
    form: LinearForests,
    *,
    draws: int,
    chains: int,
    seed: Sequence[int],
    tune: int | None,
    cores: int | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Draw the unknowns of a Normal equation, as :func:`.chains.draw_chains`."""
    burn = BURN_IN if tune is None else tune
    return draw_chains(_Chain, form, draws=draws, burn=burn, chains=chains, seed=seed, cores=cores)


class _Chain:
    """One chain."""

    def __init__(self, form: LinearForests, seed: np.random.SeedSequence) -> None:
        if (noise := form.noise) is None:
            assert form.extra is not None
            noise = Noise.of(form.extra, len(form.y))
        self.noise, self.width = noise, noise.width.copy()
        self.tree = tree = importlib.import_module("stochtree")
        self.form, self.rest = form, form.y - form.offset
        self.rng = np.random.default_rng(seed)
        self.engine_rng = tree.RNG(int(self.rng.integers(2**31 - 1)))
        self.scale = self._start()
        self.sd = noise.sd(self.scale)
        self.b = form.middle.copy()
        first = self.rest - form.design @ self.b
        for weight, shape in zip(form.weights, form.shapes, strict=True):
            first = first - weight * shape.constant
        self.residual = tree.Residual(first.copy())
        self.world = tree.GlobalModelConfig(
            global_error_variance=1.0 if self.sd.ndim else float(self.sd) ** 2
        )
        self.spreads = [Factors(spread, self.rng) for spread in form.spreads]
        self.same = [same_as(form, k) for k in range(len(form.forests))]
        self.parts = [self._part(k) for k in range(len(form.forests))]

    def _start(self) -> Array:
        """Return parameters of the scale near which that of the outcome is, if they are likely."""
        noise, start = self.noise, self.noise.start
        size = float(self.rest.std()) or 1.0
        tried = np.where(noise.positive, start * size / np.median(noise.sd(start)), start)
        return tried if np.isfinite(noise.log_prior(tried)) else start

    def _part(self, k: int) -> dict[str, Any]:
        """Set up one forest."""
        tree, x, weight, shape = (
            self.tree,
            np.ascontiguousarray(self.form.x[k]),
            self.spreads[k].outer * self.form.weights[k],
            self.form.shapes[k],
        )
        n, p = x.shape
        held = self.form.spreads[k] is None and self.same[k] is None
        plain = held and bool(np.all(weight == 1.0))
        data, rows = tree.Dataset(), tree.Dataset()
        data.add_covariates(x)
        rows.add_covariates(np.ascontiguousarray(x[seen_rows(self.form)]))
        if not plain:
            data.add_basis(np.ascontiguousarray(weight[:, None]))
            rows.add_basis(np.ones((len(seen_rows(self.form)), 1)))
        if self.sd.ndim:
            data.add_variance_weights(self.sd**2)
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

    def run(self, draws: int, burn: int) -> Run:
        """Return the draws of the chain."""
        form = self.form
        scales, b = np.empty((draws, len(self.scale))), np.empty((draws, len(self.b)))
        seen = np.empty((len(self.parts), draws, len(seen_rows(form))))
        added, inner, spreads = np.zeros((3, len(self.parts), draws))
        for i in range(-(GROWN + burn), draws):
            for k, part in enumerate(self.parts):
                part["sampler"].sample_one_iteration(
                    part["kept"], part["active"], part["data"], self.residual, self.engine_rng,
                    self.world, part["config"], i >= 0, i < -burn,
                )  # fmt: skip
                if form.spreads[k] is not None:
                    self._spread(k)
            self._coefficients()
            moved = self._constants()
            self._scale(tuning=i < 0)
            if i >= 0:
                scales[i], b[i] = self.scale, self.b
                for k, part in enumerate(self.parts):
                    value = part["active"].predict_raw(part["rows"])
                    seen[k, i] = part["constant"] + np.ravel(value) / self.spreads[k].inner
                    inner[k, i], spreads[k, i] = self.spreads[k].inner, self.spreads[k].value
                    added[k, i] = moved.get(k, 0.0)  # since the forest was written down
        forests = [
            _packed(part["kept"].dump_json_string(), added[k], inner[k], part["constant"])
            for k, part in enumerate(self.parts)
        ]
        return Run(b, scales, seen, forests, spreads)

    def _spread(self, k: int) -> None:
        """Draw the spread of a forest."""
        part, spread, weight = self.parts[k], self.spreads[k], self.form.weights[k]
        active, noise = part["active"], self.sd**2
        column = weight * np.ravel(active.predict_raw(part["data"]))
        left = np.ravel(self.residual.get_residual()) + spread.outer * column
        square, product = float(np.sum(column**2 / noise)), float(np.sum(column * left / noise))
        spread.given_data(lambda outer: outer * (product - outer * square / 2), square)
        part["data"].update_basis(np.ascontiguousarray((spread.outer * weight)[:, None]))
        part["sampler"].propagate_basis_update(part["data"], self.residual, active)
        leaf = self.form.shapes[k].leaf
        # The Python methods of these two are not those of one forest.
        squares, count = active.forest_cpp.SumLeafSquared(0), active.forest_cpp.NumLeavesForest()
        spread.given_leaves(float(squares), int(count), leaf)
        part["config"].update_leaf_model_scale((spread.inner * leaf) ** 2)

    def _constants(self) -> dict[int, float]:
        """Move the constants of forests against coefficients of the same number.

        Return what was added to each leaf of these forests.
        """
        moved = {}
        for k, direction in enumerate(self.same):
            spread, part = self.spreads[k], self.parts[k]
            if direction is None or not spread.outer:
                continue
            left, active = np.ravel(self.residual.get_residual()), part["active"]
            trees = self.form.shapes[k].trees
            leaves = [active.get_tree_leaves(j) for j in range(trees)]
            held = [
                float(active.node_leaf_values(j, n)[0]) for j in range(trees) for n in leaves[j]
            ]
            far = shift(self.form, k, self.b, direction, spread, (sum(held), len(held)))
            self.b = self.b + far * direction
            moved[k] = -far / (spread.outer * trees)
            active.add_constant(moved[k])
            part["sampler"].propagate_basis_update(part["data"], self.residual, active)
            self.residual.update_data(left)  # coefficients and forest come to what they did
        return moved

    def _coefficients(self) -> None:
        """Draw the coefficients given forests and scale."""
        form = self.form
        if not len(self.b):
            return
        left = np.ravel(self.residual.get_residual()) + form.design @ self.b
        weighted = form.design.T * self.sd**-2.0
        precision = weighted @ form.design + form.precision
        root = np.linalg.cholesky(precision)
        middle = np.linalg.solve(precision, weighted @ left + form.precision @ form.middle)
        self.b = middle + np.linalg.solve(root.T, self.rng.standard_normal(len(middle)))
        self.residual.update_data(np.ascontiguousarray(left - form.design @ self.b))

    def _scale(self, *, tuning: bool) -> None:
        """Draw the parameters of the scale given the residuals, one after the other, by slices."""
        squares, noise = np.ravel(self.residual.get_residual()) ** 2, self.noise
        n, total = len(squares), float(squares.sum())

        def moved(k: int, to: float) -> Array:
            new = self.scale.copy()
            new[k] = np.exp(to) if noise.positive[k] else to
            return new

        def density(k: int, to: float) -> float:
            new = moved(k, to)
            sd = noise.sd(new)
            far = float(np.sum(squares / sd**2)) if sd.ndim else total / float(sd) ** 2
            logs = float(np.log(sd).sum()) if sd.ndim else n * float(np.log(sd))
            return noise.log_prior(new) - logs - far / 2 + (to if noise.positive[k] else 0)

        for k in range(len(self.scale)):
            at = np.log(self.scale[k]) if noise.positive[k] else self.scale[k]
            to = slice_step(partial(density, k), float(at), float(self.width[k]), self.rng)
            if tuning:
                self.width[k] += (3 * abs(to - at) - self.width[k]) / 20
            self.scale = moved(k, to)
        self.sd = noise.sd(self.scale)
        if not self.sd.ndim:
            self.world.update_global_error_variance(float(self.sd) ** 2)
        else:
            for part in self.parts:
                part["data"].update_variance_weights(self.sd**2)


def _packed(text: str, added: Array, inner: Array, constant: float) -> Array:
    """Return the forests that stochtree wrote down, one row for each draw.

    `added`, `inner` (draw): what is added to each leaf, and what it is divided by then.
    """
    held = json.loads(text)
    found = []
    for i, leaf in enumerate(zip(added, inner, strict=True)):
        forest = held[f"forest_{i}"]
        trees = [_tree(forest[f"tree_{j}"], *leaf) for j in range(forest["num_trees"])]
        found.append(pack(trees, constant))
    return stacked(found)


def _tree(held: dict[str, Any], added: float, inner: float) -> Tree:
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
            value.append((held["leaf_value"][k] + added) / inner)
        else:
            waiting += [(held["right"][k], len(column)), (left[k], -1)]
            column.append(asked[k])
            value.append(held["threshold"][k])
        right.append(0)
    return Tree(np.array(column), np.array(value), np.array(right))
