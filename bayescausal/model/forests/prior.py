r"""The prior of a forest: trees that stop growing, leaves that are small.

A node at depth :math:`d` is split with probability :math:`\alpha (1 + d)^{-\beta}`, on a column
drawn with the weights of the columns and a threshold drawn among those that the data have; leaves
are Normal with standard deviation :math:`s / \sqrt m` [1]_, so that the sum of :math:`m` trees has
the standard deviation :math:`s` wherever it is evaluated.

It fails where the covariates have no values yet: then there are no thresholds to draw from, and
drawing from the prior is refused. Given data, none are needed beforehand.

References
----------
.. [1] H. A. Chipman, E. I. George and R. E. McCulloch, BART: Bayesian additive regression trees,
   *Annals of Applied Statistics* 4(1), 2010, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.abstract import _logprob
from pytensor.graph.basic import Apply
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.forests.packed import HEAD, LEAF, Tree, pack
from bayescausal.types import ModelError, ParameterError

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["Forest", "ForestRV", "Shape", "as_forest", "cuts_of", "forest_of", "is_forest"]

#: Thresholds of one column, at most: quantiles of its values.
CUTS = 100


@dataclass(frozen=True)
class Shape:
    """What a forest may look like."""

    trees: int
    # alpha, beta: a node at depth d is split with probability ``alpha * (1 + d) ** -beta``.
    alpha: float
    beta: float
    constant: float  # the value of a forest without trees
    # Standard deviation of the forest at any point; of a leaf, divided by the root of `trees`.
    spread: float
    weights: tuple[float, ...] = ()  # of each column, how often it is asked about, in proportion
    # Of each column, the thresholds that the data have; empty where there are no data yet.
    cuts: tuple[Array, ...] = field(default=(), compare=False)

    @property
    def leaf(self) -> float:
        """Standard deviation of a leaf."""
        return float(self.spread / np.sqrt(self.trees))

    def draw(self, rng: np.random.Generator) -> Array:
        """Draw a forest from its prior, packed."""
        if not self.cuts:
            raise ModelError(
                "The prior of a forest has thresholds among the values of its covariates, and "
                "they have none yet.",
                expected="data for every covariate of the forest.",
                remedy="Fit the model first, or write it with bart() in "
                "bayescausal.model_from_formulas(..., data=...), which keeps the thresholds.",
            )
        weights = self.column_weights
        trees = [self._tree(rng, weights) for _ in range(self.trees)]
        return pack(trees, self.constant)

    @property
    def column_weights(self) -> Array:
        """Of each column, how often it is asked about; 0 where it has no threshold."""
        pairs = zip(self.weights or (1.0,) * len(self.cuts), self.cuts, strict=True)
        return np.array([w if len(c) else 0.0 for w, c in pairs])

    def _tree(self, rng: np.random.Generator, weights: Array) -> Tree:
        column: list[int] = []
        value: list[float] = []
        right: list[int] = []
        total = weights.sum()
        waiting: list[tuple[int, int]] = [(0, -1)]
        while waiting:
            depth, parent = waiting.pop()
            here = len(column)
            if parent >= 0:
                right[parent] = here
            splits = total > 0 and rng.random() < self.alpha * (1.0 + depth) ** -self.beta
            right.append(0)
            if not splits:
                column.append(LEAF)
                value.append(self.leaf * rng.standard_normal())
                continue
            v = int(rng.choice(len(weights), p=weights / total))
            column.append(v)
            value.append(float(rng.choice(self.cuts[v])))
            waiting += [(depth + 1, here), (depth + 1, -1)]
        return Tree(np.array(column), np.array(value), np.array(right))


def cuts_of(x: Array) -> tuple[Array, ...]:
    """Return the thresholds of each column: its values but the largest, or quantiles of them.

    Examples
    --------
    >>> import numpy as np
    >>> cuts_of(np.array([[0.0], [1.0], [1.0], [2.0]]))
    (array([0., 1.]),)
    """
    found = []
    for values in np.asarray(x, dtype=float).T:
        own = np.unique(values[np.isfinite(values)])[:-1]
        if len(own) > CUTS:
            own = np.unique(np.quantile(own, np.linspace(0, 1, CUTS), method="lower"))
        found.append(own)
    return tuple(found)


class ForestRV(RandomVariable):
    """A packed forest as a random variable: of no fixed length."""

    name = "forest"
    signature = "()->(k)"
    dtype = "float64"
    _print_name = ("BART", "\\operatorname{BART}")

    def __init__(self, shape: Shape, **options: Any) -> None:
        self.shape = shape
        super().__init__(**options)

    __props__ = ("name", "signature", "dtype", "inplace", "shape")

    def _supp_shape_from_params(self, dist_params: Any, param_shapes: Any = None) -> list[Any]:
        return [pt.constant(1)]

    def make_node(self, rng: Any, size: Any, *parameters: Any) -> Apply:
        """Return the draw, as long as it will be."""
        node = super().make_node(rng, size, *parameters)
        kind = node.outputs[1].type
        free = pt.TensorType(kind.dtype, (*kind.shape[:-1], None))()
        return Apply(self, node.inputs, [node.outputs[0].type(), free])

    def rng_fn(self, rng: np.random.Generator, leaf: Array, size: Any = None) -> Array:
        """Draw from the prior."""
        return self.shape.draw(rng)


class Forest(pm.Continuous):
    """The prior of a forest in a model.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> shape = Shape(10, 0.95, 2.0, 0.0, 1.0, cuts=cuts_of(np.arange(5.0)[:, None]))
    >>> with pm.Model() as model:
    ...     forest = Forest("forest", shape)
    >>> is_forest(forest)
    True
    """

    def __new__(cls, name: str, shape: Shape, **kwargs: Any) -> TensorVariable:
        """Add it to the model at hand."""
        return pm.Model.get_context().register_rv(cls.dist(shape), name, default_transform=None)

    @classmethod
    def dist(cls, shape: Shape, **kwargs: Any) -> TensorVariable:  # type: ignore[override]
        """Return it without a model."""
        rng = pt.random.shared_rng(seed=None)
        leaf = pt.constant(shape.leaf, dtype="float64")
        return ForestRV(shape).make_node(rng, None, leaf).outputs[1]  # type: ignore[no-any-return]


@_logprob.register(ForestRV)
def _no_density(op: ForestRV, values: Any, *inputs: Any, **kwargs: Any) -> TensorVariable:
    raise NotImplementedError(
        "The density of a forest is over trees and leaves, and has no gradient: forests are drawn "
        "by their own sampler."
    )


def is_forest(variable: object) -> bool:
    """Whether a variable of a model is a forest."""
    return isinstance(getattr(getattr(variable, "owner", None), "op", None), ForestRV)


def as_forest(name: str, value: Array) -> Array:
    """Return a known forest, without the stamp of a draw; refuse what is no packed forest."""
    whole = value.ndim == 1 and len(value) > HEAD and value[1] >= 1 and value[3] >= value[1]
    if not whole or len(value) < HEAD + value[1] + 2 * value[3]:
        raise ParameterError(
            f"{name!r} is no forest.",
            expected="one packed row of trees, as bayescausal.prior draws it: "
            f"fit.posterior[{name!r}].values[0, 0].",
        )
    found = value.copy()
    found[0] = 0.0
    return found


def forest_of(variable: Any) -> Shape:
    """Return what a forest of a model may look like."""
    return variable.owner.op.shape  # type: ignore[no-any-return]
