"""Two operations that put a law into a PyTensor graph: its quantile, and its inverse.

``Quantile(law)(l, *params)`` is ``F^-1(sigmoid(l))``, and ``NoiseInterval(law)(v, *params)`` the
interval of logistic noise that gives the value v. Both are generalised ufuncs: every input has its
batch axes on the left and the law's own axes (the categories, say) on the right. Batching a graph
only adds axes on the left, so vectorising is nothing but applying the operation again, and worlds
are evaluated without a Python loop over draws.

When it fails: the operations run NumPy and have no gradient; families with a closed quantile do not
use them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.type import TensorType

from bayescausal.model.noise.laws import noise_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Tensor
    from bayescausal.model.noise.laws import Law

__all__ = ["NoiseInterval", "Quantile", "double", "register_numba", "silent_in_numba"]


def double(variable: TensorVariable) -> TensorVariable:
    """Return a parameter in double precision; a constant stays a constant.

    Small integer constants such as ``kappa=2`` arrive as int8, of which PyTensor takes logarithms
    and ratios in half precision.
    """
    if variable.dtype == "float64":
        return variable
    if isinstance(variable, Constant):
        return pt.constant(np.asarray(variable.data, dtype=np.float64))
    return variable.astype("float64")


def _align(variables: list[TensorVariable], cores: tuple[int, ...]) -> list[TensorVariable]:
    """Pad each variable on the left until all have the same number of batch axes."""
    ndim = max(v.ndim - core for v, core in zip(variables, cores, strict=True))
    return [
        pt.shape_padleft(v, ndim + core - v.ndim) if v.ndim < ndim + core else v
        for v, core in zip(variables, cores, strict=True)
    ]


def _static_batch(
    variables: list[TensorVariable], cores: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return what is known about the broadcast batch shape before running."""
    shapes = [v.type.shape[: v.ndim - core] for v, core in zip(variables, cores, strict=True)]
    out: list[int | None] = []
    for lengths in zip(*shapes, strict=True):
        known = {length for length in lengths if length not in (None, 1)}
        out.append(known.pop() if known else None if None in lengths else 1)
    return tuple(out)


def _batch_shape(shapes: list[tuple[Any, ...]], cores: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the symbolic broadcast batch shape."""
    batches = [s[: len(s) - core] for s, core in zip(shapes, cores, strict=True)]
    return pt.broadcast_shape(*batches, arrays_are_shapes=True)


class Quantile(Op):
    """The quantile of a law at the level whose logit is the first input."""

    __props__ = ("dtype", "law")

    def __init__(self, law: Law, dtype: str) -> None:
        self.law, self.dtype = law, dtype

    def make_node(self, ell: Tensor, *params: Any) -> Apply:
        """Build the node, aligning batch axes."""
        cores = (0, *self.law.cores)
        inputs = _align([pt.as_tensor_variable(v) for v in (ell, *params)], cores)
        shape = _static_batch(inputs, cores)
        return Apply(self, inputs, [TensorType(self.dtype, shape)()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[Any]]) -> None:
        """Evaluate the quantile."""
        ell, *params = (_double(v) for v in inputs)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value = self.law.quantile(ell, params)
        shape = np.broadcast_shapes(
            *(
                np.shape(v)[: np.ndim(v) - c]
                for v, c in zip(inputs, (0, *self.law.cores), strict=True)
            )
        )
        outputs[0][0] = _cast(np.broadcast_to(value, shape), self.dtype)

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the broadcast batch shape."""
        return [_batch_shape(shapes, (0, *self.law.cores))]


class NoiseInterval(Op):
    """The logistic noise ``(lo, hi]`` under which a law takes the value in the first input.

    Its ends are the logits of ``P(Y < value)`` and ``P(Y <= value)``. Of a value that an integer
    law does not have they are NaN, unless it need not be `possible`.
    """

    __props__ = ("law", "possible")

    def __init__(self, law: Law, possible: bool = True) -> None:
        self.law = law
        self.possible = possible

    def make_node(self, value: Tensor, *params: Any) -> Apply:
        """Build the node, aligning batch axes."""
        cores = (0, *self.law.cores)
        inputs = _align([pt.as_tensor_variable(v) for v in (value, *params)], cores)
        kind = TensorType("float64", _static_batch(inputs, cores))
        return Apply(self, inputs, [kind(), kind()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[Any]]) -> None:
        """Evaluate both ends."""
        value, *params = (_double(v) for v in inputs)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            both = noise_interval(self.law, value, params, possible=self.possible)
        shape = np.broadcast_shapes(
            *(
                np.shape(v)[: np.ndim(v) - c]
                for v, c in zip(inputs, (0, *self.law.cores), strict=True)
            )
        )
        for storage, end in zip(outputs, both, strict=True):
            storage[0] = _cast(np.broadcast_to(end, shape), "float64")

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the broadcast batch shape, twice."""
        return [_batch_shape(shapes, (0, *self.law.cores))] * 2


@_vectorize_node.register(Quantile)
@_vectorize_node.register(NoiseInterval)
def _vectorize(op: Op, node: Apply, *batched: TensorVariable) -> Apply:
    return op.make_node(*batched)


#: Operations whose NumPy code the numba back end is to use without a warning.
_SILENT: list[type[Op]] = [Quantile, NoiseInterval]


def silent_in_numba(op_type: type[Op]) -> type[Op]:
    """Add an operation to those that :func:`register_numba` registers."""
    _SILENT.append(op_type)
    return op_type


def register_numba() -> None:
    """Let the numba back end run these operations by their NumPy code, without a warning.

    PyTensor would do the same but warn. Importing its numba dispatch is slow, so this is done only
    when a model is returned that others may compile.
    """
    from pytensor.link.numba.dispatch.basic import generate_fallback_impl, numba_funcify

    def fallback(op: Op, node: Apply | None = None, **kwargs: Any) -> object:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Numba will use object mode", UserWarning)
            return generate_fallback_impl(op, node, **kwargs)

    for op_type in _SILENT:
        if op_type not in numba_funcify.registry:
            numba_funcify.register(op_type, fallback)


def _double(value: ArrayLike) -> np.ndarray:
    return np.asarray(value, dtype=np.float64)


def _cast(value: np.ndarray, dtype: str) -> np.ndarray:
    """Cast to the variable's type; what is not a number becomes the lowest integer."""
    if np.dtype(dtype).kind in "iu":
        lowest = np.iinfo(dtype).min
        top = float(np.iinfo(dtype).max)
        bad = np.isnan(value)
        value = np.where(bad, 0.0, np.clip(value, float(lowest), np.nextafter(top, 0.0)))
        return np.where(bad, lowest, value.astype(dtype)).astype(dtype)
    return np.array(value, dtype=dtype)
