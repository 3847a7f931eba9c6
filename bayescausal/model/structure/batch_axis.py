"""A batch axis for composite functions that PyTensor would loop over in Python.

Posterior draws are added to an expression as a first axis (``vectorize_graph``). PyTensor knows
how for single operations; a composite function without a rule of its own is wrapped in a loop over
the batch, whose body is compiled apart: seconds to build, and a Python step for each draw. The
functions here act entry by entry, or along axes that only move, so they serve a batch as they are.

Importing the module registers them with PyTensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.special import LogAddExp, LogSumExp, XLog1PY, XLogY

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op
    from pytensor.tensor.variable import TensorVariable

__all__: list[str] = []


@_vectorize_node.register(LogSumExp)
def _along_axes(op: Op, node: Apply, x: TensorVariable) -> list[Variable]:
    """Move the axes of a sum behind those of the batch."""
    core = node.inputs[0].type.ndim
    more = x.type.ndim - core
    axes = tuple(axis % core + more for axis in op.axis)
    return [type(op)(axis=axes)(x)]


@_vectorize_node.register(LogAddExp)
@_vectorize_node.register(XLog1PY)
@_vectorize_node.register(XLogY)
def _entrywise(op: Op, node: Apply, *batched: Any) -> list[Variable]:
    """Line the axes of the operands up: those of the batch first."""
    core = max(v.type.ndim for v in node.inputs)
    lined = []
    for old, new in zip(node.inputs, batched, strict=True):
        more = new.type.ndim - old.type.ndim
        missing = core - old.type.ndim if more else 0
        lined.append(pt.expand_dims(new, tuple(range(more, more + missing))))
    return [op(*lined)]
