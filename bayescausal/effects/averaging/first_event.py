r"""Which of several events comes first, and when: the cumulative incidence of one of them.

Of times :math:`T_1, \dots, T_k` that are independent given their parents, the chance that the first
one comes by *t*, before all others, is

.. math:: P(T_1 \le t,\; T_1 < \min_k T_k) = \int_0^t \prod_{k > 1} S_k(u)\, dF_1(u)
   = \int_0^{F_1(t)} \prod_{k > 1} S_k(q_1(p))\, dp .

The data of competing events tell the hazard of each among those who have had none, and this
probability is a function of these hazards alone: it is the same for every dependence of the times
that leaves the hazards what they are, so that independence is no assumption about it [1]_. (It is
one about what would happen if other events were prevented, which is the law of :math:`T_1`.)

With hazards that are constant between cuts the integral is a sum,

.. math:: \sum_j S(c_{j-1})\, \frac{h_{1j}}{\lambda_j}
   \left(1 - e^{-\lambda_j w_j}\right), \qquad \lambda_j = \sum_k h_{kj};

of other laws it is taken by Gauss-Legendre rules over levels *p*, between the levels of the times
that are asked for and of some between zero and these.

References
----------
.. [1] A. Tsiatis, "A nonidentifiability aspect of the problem of competing risks", Proceedings of
   the National Academy of Sciences 72(1), 1975.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.type import TensorType

from bayescausal.model.noise.laws import Leaf
from bayescausal.model.noise.ops import _align, _batch_shape, _static_batch, double, silent_in_numba
from bayescausal.model.noise.read_off import law_of
from bayescausal.types import NoiseFormError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.noise.laws import Law

__all__ = ["First", "incidence"]

#: Parts of the way from zero to a time, where intervals are cut, and nodes in each interval.
PARTS, NODES = (1 / 64, 1 / 8, 1 / 4, 1 / 2, 1.0), 10


@dataclass(frozen=True)
class First:
    """Whether a time comes by each of several times and before other times, along a last axis.

    Without a name for that axis there is one time, and no axis.
    """

    name: str
    values: tuple[float, ...]
    others: tuple[str, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """The name of the last axis."""
        return (self.name,) if self.name else ()

    def of_draw(self, value: TensorVariable, *others: TensorVariable) -> TensorVariable:
        """Return indicators, the times last."""
        first = value
        for other in others:
            first = pt.switch(pt.lt(value, other), first, np.inf)
        found = pt.le(first[..., None], np.array(self.values)).astype("float64")
        return found if self.name else found[..., 0]

    def of_law(self, rv: TensorVariable, *others: TensorVariable) -> TensorVariable | None:
        """Return probabilities given the parents, the times last; None where not known."""
        try:
            found = [law_of(v) for v in (rv, *others)]
        except NoiseFormError:
            return None
        if any(law.kind != "continuous" for law, _ in found):
            return None
        params = [double(p) for _, own in found for p in own]
        value: TensorVariable = _Incidence(tuple(law for law, _ in found), self.values)(*params)
        if value.type.ndim != rv.type.ndim + 1:
            return None
        return value if self.name else value[..., 0]


def incidence(
    laws: Sequence[Law], params: Sequence[Sequence[Array]], times: Sequence[float]
) -> Array:
    """Return the chance that the first of several times comes by each of some times, these last.

    Examples
    --------
    Of two equal constant hazards each comes first half of the time.

    >>> from bayescausal.model.noise.laws import Leaf
    >>> both = [Leaf("Exponential"), Leaf("Exponential")]
    >>> incidence(both, [[2.0], [2.0]], [1.0, 50.0]).round(6).tolist()
    [0.31606, 0.5]
    """
    given = [[np.asarray(p, dtype=float) for p in own] for own in params]
    with np.errstate(all="ignore"):
        return _incidence(laws, given, times)


# ------------------------------------------------------------------------------- private


def _incidence(
    laws: Sequence[Law], given: Sequence[Sequence[Array]], times: Sequence[float]
) -> Array:
    pieces = [_pieces(law, own) for law, own in zip(laws, given, strict=True)]
    known = [p for p in pieces if p is not None]
    if len(known) == len(pieces):
        return _by_pieces(known, times)
    return _by_levels(laws, given, times)


def _pieces(law: Law, params: Sequence[Array]) -> tuple[Array, Array] | None:
    """Return hazards, the pieces last, and the cuts between them; None if they are not constant."""
    family = law.family if isinstance(law, Leaf) else ""
    if family == "Exponential":
        return 1.0 / params[0][..., None], np.zeros(0)
    if family != "PiecewiseExponential":
        return None
    eta, logs, cuts = params
    cuts = cuts.reshape(-1, cuts.shape[-1])
    return (np.exp(eta[..., None] + logs), cuts[0]) if (cuts == cuts[:1]).all() else None


def _by_pieces(pieces: Sequence[tuple[Array, Array]], times: Sequence[float]) -> Array:
    """Return the sum over pieces of constant hazards."""
    ends = np.unique(np.concatenate([*(cuts for _, cuts in pieces), times]))
    ends = ends[ends <= max(times)]
    starts = np.concatenate([[0.0], ends[:-1]])
    left: Array | float = 0.0
    total: Array | float = 0.0
    found = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        own = [h[..., np.searchsorted(cuts, start, side="right")] for h, cuts in pieces]
        every = sum(own[1:], own[0])
        total = total - np.exp(-left) * own[0] / every * np.expm1(-every * (end - start))
        left = left + every * (end - start)
        found[end] = total
    return np.stack([np.asarray(found[t]) for t in times], axis=-1)


def _by_levels(
    laws: Sequence[Law], params: Sequence[Sequence[Array]], times: Sequence[float]
) -> Array:
    """Return the integral over levels of the first time."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    first, *others = zip(laws, params, strict=True)
    spans = pairwise((0.0, *times))
    ends = [stop * part for start, stop in spans for part in PARTS if stop * part > start]
    low: Array | float = 0.0
    total: Array | float = 0.0
    found: dict[float, Array | float] = {0.0: 0.0}
    for end in ends:
        high = np.exp(first[0].tails(np.asarray(end), first[1])[0])
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            level = low + (high - low) * node
            at = first[0].quantile(np.log(level) - np.log1p(-level), first[1])
            log_left = sum(law.tails(at, own)[1] for law, own in others)
            part = weight * (high - low) * np.exp(log_left)
            total = total + np.where(high > low, part, 0.0)
        low, found[end] = high, total
    return np.stack(np.broadcast_arrays(*(found[t] for t in times)), axis=-1)


@silent_in_numba
class _Incidence(Op):
    """The cumulative incidence of the first law, at fixed times along the last axis."""

    __props__ = ("laws", "times")

    def __init__(self, laws: tuple[Law, ...], times: tuple[float, ...]) -> None:
        self.laws, self.times = laws, times
        self.cores = tuple(core for law in laws for core in law.cores)

    def make_node(self, *params: Any) -> Apply:
        """Build the node, aligning batch axes."""
        inputs = _align([pt.as_tensor_variable(v) for v in params], self.cores)
        shape = (*_static_batch(inputs, self.cores), len(self.times))
        return Apply(self, inputs, [TensorType("float64", shape)()])

    def perform(self, node: Apply, inputs: list[Array], outputs: list[list[Any]]) -> None:
        """Evaluate the integral."""
        own, start = [], 0
        for law in self.laws:
            own.append([np.asarray(v) for v in inputs[start : start + len(law.cores)]])
            start += len(law.cores)
        value = incidence(self.laws, own, self.times)
        shapes = [np.shape(v)[: np.ndim(v) - c] for v, c in zip(inputs, self.cores, strict=True)]
        whole = (*np.broadcast_shapes(*shapes), len(self.times))
        outputs[0][0] = np.array(np.broadcast_to(value, whole))

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the broadcast batch shape, and the number of times."""
        return [(*_batch_shape(shapes, self.cores), pt.constant(len(self.times)))]


@_vectorize_node.register(_Incidence)
def _vectorize(op: _Incidence, node: Apply, *batched: TensorVariable) -> Apply:
    return op.make_node(*batched)
