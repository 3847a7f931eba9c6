r"""Ordered categories with a logistic law, as binary rows and a term of the cutpoints.

With :math:`\sigma(u) - \sigma(l) = \sigma(u) \sigma(-l) (1 - e^{-(u - l)})` the probability of the
category :math:`k` between the cutpoints :math:`\kappa_{k-1} < \kappa_k` [1]_ is

.. math:: \sigma(\kappa_k - \eta_i)\; \sigma(\eta_i - \kappa_{k-1})\; (1 - e^{-(\kappa_k -
   \kappa_{k-1})}) ,

two rows of a logistic equation whose coefficients are those of :math:`\eta` and the cutpoints, and
a factor of the cutpoints alone, concave, that needs the counts of the categories only.

References
----------
.. [1] P. McCullagh, Regression models for ordinal data, *JRSS B* 42(2), 1980.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymc import OrderedLogistic
from pymc.distributions.transforms import Ordered
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import equal_computations
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.basic import CategoricalRV

from bayescausal.inference.sampling.families import Equation

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.model.structure.structure import Structure

__all__ = ["Gaps", "binary_rows", "cutpoints_of", "ordered_cutpoints"]


@dataclass(frozen=True, eq=False)
class Gaps:
    """The factor of the cutpoints: the sum of ``n_k log(1 - exp(-gap_k))``."""

    place: slice  # of the cutpoints among all coefficients
    counts: Array  # (n_cutpoints - 1) of the categories between two of them

    @classmethod
    def of(cls, rows: Equation, place: slice) -> Gaps:
        """Return the factor that belongs to binary rows."""
        weight = rows.counts * (rows.y > 0)
        return cls(place, np.asarray(weight @ rows.x[:, place])[1:])

    def start(self, size: int) -> Array:
        """Return coefficients at which the density is finite."""
        point = np.zeros(size)
        count = self.place.stop - self.place.start
        point[self.place] = np.arange(count) - (count - 1) / 2
        return point

    def value(self, points: Array) -> Array:
        """Return the factor's logarithm at points, (n_points, n_coefficients)."""
        gaps = np.diff(points[:, self.place], axis=1)
        with np.errstate(all="ignore"):
            logs = np.where(self.counts > 0, self.counts * np.log(-np.expm1(-gaps)), 0.0)
        return np.where((gaps > 0).all(axis=1), logs.sum(axis=1), -np.inf)

    def slopes(self, point: Array) -> tuple[Array, Array]:
        """Return its gradient at a point, and minus its second derivatives."""
        cuts = np.arange(len(point))[self.place]
        gradient, curvature = np.zeros(len(point)), np.zeros((len(point), len(point)))
        for low, high, count, gap in zip(
            cuts[:-1], cuts[1:], self.counts, np.diff(point[self.place]), strict=True
        ):
            first, second = count / np.expm1(gap), count / (4 * np.sinh(gap / 2) ** 2)
            gradient[high] += first
            gradient[low] -= first
            pair = np.ix_([low, high], [low, high])
            curvature[pair] += second * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return gradient, curvature


def binary_rows(rows: Equation, place: slice) -> Equation:
    """Return logistic rows of categories: `rows` hold their numbers, `place` is of cutpoints."""
    count = place.stop - place.start
    k = rows.y.astype(int)
    if k.size and not 0 <= k.min() <= k.max() <= count:
        raise ArithmeticError("a category lies beyond the cutpoints")
    parts = []
    for cut, outcome in ((k, 1.0), (k - 1, 0.0)):
        seen = np.flatnonzero((cut >= 0) & (cut < count))
        x = -rows.x[seen]
        x[np.arange(len(seen)), place.start + cut[seen]] += 1.0
        ones = np.ones(len(seen))
        parts.append(
            Equation("logistic", -rows.offset[seen], x, outcome * ones, ones, rows.counts[seen])
        )
    return parts[0] + parts[1]


def cutpoints_of(rv: TensorVariable) -> tuple[Variable, Variable] | None:
    """Return the predictor and the cutpoints of ``pm.OrderedLogistic``; None of what is none."""
    if not isinstance(rv.owner.op, CategoricalRV):
        return None
    p = _bare(rv.owner.op.dist_params(rv.owner)[0])
    for node in ancestors([p]):
        inner = node.owner.inputs[0].owner if _is(node, Sigmoid) else None
        if inner is None or not _is(inner.outputs[0], ps.Sub):
            continue
        cuts, eta = (
            v.owner.inputs[0] if v.owner is not None and isinstance(v.owner.op, DimShuffle) else v
            for v in inner.inputs
        )
        if cuts.type.ndim == 1 and equal_computations([p], [OrderedLogistic.compute_p(eta, cuts)]):
            return eta, cuts
    return None


def ordered_cutpoints(structure: Structure, block: Block) -> list[str]:
    """Return the unknowns of a block that are ordered, and cutpoints of its equations."""
    found = [cutpoints_of(structure.variable(f.name)) for f in block.observed]
    names = {str(each[1].name) for each in found if each is not None}
    moves = structure.model.rvs_to_transforms
    moved = [n for n in block.unknowns if n in names]
    return [n for n in moved if isinstance(moves.get(structure.variable(n)), Ordered)]


def _is(v: Variable, kind: type[ps.ScalarOp]) -> bool:
    op = None if v.owner is None else v.owner.op
    return isinstance(op, Elemwise) and isinstance(op.scalar_op, kind)


def _bare(v: Variable) -> Variable:
    """Return a variable without the copy that a Deterministic makes."""
    while _is(v, ps.Identity) or (v.owner is not None and isinstance(v.owner.op, ViewOp)):
        v = v.owner.inputs[0]
    return v
