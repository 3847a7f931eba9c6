"""Rules that people write as functions, evaluated inside a graph.

A policy is given as a plain function of the values it reads. It is first called with symbolic
variables, so that arithmetic, comparisons and PyTensor's functions become part of the graph.
A function that cannot take them (NumPy's ``where``, a lookup) is wrapped whole and called with
arrays when the graph is evaluated, and so is one that asks what is equal: of symbolic variables
``==`` says whether two are the same object, and ``x == 0`` is false for every x. Either way it is
taken to act unit by unit.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, AtomicVariable, Constant, Variable
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.type import TensorType

from bayescausal.types import InterventionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bayescausal.annotations import Array, Tensor
    from bayescausal.types import Policy

__all__ = ["PolicyOp", "Whole", "apply_policy", "cast", "whole"]

#: One rule is called at a time.
_LOCK = RLock()


class PolicyOp(Op):
    """Calls a function of arrays, elementwise over units.

    - `name`: the target, for messages.
    - `function`: of arrays that broadcast against each other.
    """

    __props__ = ("name", "function")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function

    def make_node(self, *inputs: Any) -> Apply:
        """Make the node: the output has as many axes as the largest input."""
        tensors = [pt.as_tensor_variable(i) for i in inputs]
        ndim = max((t.type.ndim for t in tensors), default=0)
        out = TensorType("float64", shape=(None,) * ndim)
        return Apply(self, tensors, [out()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: list[list[Array | None]]
    ) -> None:
        """Call the function with arrays and check what it returns."""
        ndim = node.outputs[0].type.ndim
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                result = np.asarray(self.function(*inputs), dtype="float64")
            except InterventionError:
                raise
            except Exception as error:
                raise InterventionError(
                    f"The policy for {self.name!r} failed: {type(error).__name__}: {error}",
                    expected="a function of arrays, one value per unit "
                    "(np.where(x > 0, 1, 0), not 1 if x > 0 else 0).",
                ) from error
        full = np.broadcast_shapes(*(np.shape(i) for i in inputs), np.shape(result))
        if len(full) != ndim:
            raise InterventionError(
                f"The policy for {self.name!r} returned an array of shape {result.shape}.",
                expected="one value per unit.",
            )
        if not np.all(np.isfinite(result)):
            raise InterventionError(
                f"The policy for {self.name!r} returned NaN or infinite values.",
                expected="finite numbers.",
            )
        outputs[0][0] = np.array(np.broadcast_to(result, full))


@_vectorize_node.register(PolicyOp)
def _vectorize_policy(op: PolicyOp, node: Apply, *batched: Variable) -> Apply:
    """Batch by left-padding the axes of unbatched inputs: the function broadcasts."""
    extra = max(b.type.ndim - i.type.ndim for b, i in zip(batched, node.inputs, strict=True))
    padded = []
    for b, i in zip(batched, node.inputs, strict=True):
        missing = extra - (b.type.ndim - i.type.ndim)
        padded.append(pt.shape_padleft(b, missing) if missing else b)
    out: Apply = op.make_node(*padded)
    return out


class Whole(Op):
    """Turns whole numbers into integers and refuses others.

    `name`: the target, for messages.
    """

    __props__ = ("dtype", "name")

    def __init__(self, name: str, dtype: str) -> None:
        self.name, self.dtype = name, dtype

    def make_node(self, value: Tensor) -> Apply:
        """Make the node: the same shape in the integer type."""
        value = pt.as_tensor_variable(value)
        return Apply(self, [value], [TensorType(self.dtype, shape=value.type.shape)()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: list[list[Array | None]]
    ) -> None:
        """Check that the values are whole."""
        value = np.asarray(inputs[0])
        with np.errstate(invalid="ignore"):
            made = value.astype(self.dtype)
        bad = made != value
        if np.any(bad):
            truth = self.dtype == "bool"
            first = value[bad].flat[0]
            held = "is true or false" if truth else "takes whole numbers"
            if not truth and first == np.floor(first):
                held += f" from {np.iinfo(self.dtype).min} to {np.iinfo(self.dtype).max}"
            raise InterventionError(
                f"The policy for {self.name!r} gives {first:g}, and {self.name!r} {held}.",
                expected="0 or 1." if truth else "whole numbers.",
                remedy="Round in the policy (np.round), or draw the value: Stochastic.",
            )
        outputs[0][0] = made

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the shape of the values."""
        return shapes


@_vectorize_node.register(Whole)
def _vectorize_whole(op: Whole, node: Apply, value: Variable) -> Apply:
    out: Apply = op.make_node(value)
    return out


def whole(name: str, variable: Variable, dtype: str) -> Variable:
    """Return what a policy gives in the variable's type; what the type cannot hold is refused.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> int(whole("x", pt.constant(2.0), "int64").eval(mode="FAST_COMPILE"))
    2
    """
    if np.can_cast(variable.type.dtype, dtype) or not dtype.startswith(("int", "uint", "bool")):
        return cast(variable, dtype)
    out: Variable = Whole(name, dtype)(variable)
    return out


def cast(variable: Variable, dtype: str) -> Variable:
    """Return a variable in another dtype; a constant stays a constant."""
    if variable.type.dtype == dtype:
        return variable
    if isinstance(variable, Constant):
        return pt.as_tensor_variable(np.asarray(variable.data).astype(dtype))
    return variable.astype(dtype)


def apply_policy(name: str, policy: Policy, values: Sequence[Variable]) -> Variable:
    """Return the expression of a policy's value given what it reads.

    Whole numbers are read in 64 bits: those of ``pm.Data`` are kept in fewer.

    - `name`: the target, for messages.
    - `policy`: the rule.
    - `values`: what it reads, in the order of ``policy.reads``.
    """
    values = [cast(v, "int64") if "int" in v.type.dtype else v for v in values]
    try:
        with warnings.catch_warnings(), _comparing() as compared:
            warnings.simplefilter("ignore")
            result = policy.function(*values)
        if compared:
            return PolicyOp(name, policy.function)(*values)
        if isinstance(result, Variable) and result.type.ndim <= max(
            (v.type.ndim for v in values), default=0
        ):
            return result
        if np.isscalar(result):
            return pt.as_tensor_variable(np.asarray(result, dtype=float))
    except Exception:
        pass
    return PolicyOp(name, policy.function)(*values)


@contextmanager
def _comparing() -> Iterator[list[Variable]]:
    """Note what a rule compares by ``==``, ``!=`` or ``in``; what PyTensor compares is left out."""
    met: list[Variable] = []

    def noting(before: Callable[[Any, object], Any]) -> Callable[[Variable, object], Any]:
        def compare(self: Variable, other: object) -> object:
            asks = str(sys._getframe(1).f_globals.get("__name__"))
            if not asks.startswith(("pytensor.", "pymc.")):
                met.append(self)
            return before(self, other)

        return compare

    places = [(k, name) for k in (Variable, AtomicVariable) for name in ("__eq__", "__ne__")]
    with _LOCK:
        own = [vars(kind).get(name) for kind, name in places]
        held = [getattr(kind, name) for kind, name in places]
        try:
            for (kind, name), before in zip(places, held, strict=True):
                setattr(kind, name, noting(before))
            yield met
        finally:
            for (kind, name), before in zip(places, own, strict=True):
                if before is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, before)
