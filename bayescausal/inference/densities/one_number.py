"""The log-density of one number, for samplers that ask for it at one value after the other.

A compiled function is asked for some microseconds of arithmetic, and answers after a fraction of a
millisecond. So the scalar operations of the expression are called one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
from pytensor.graph.basic import Constant
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.model.structure.function_graph import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

__all__ = ["log_density_of"]


def log_density_of(variable: TensorVariable) -> Callable[[float], float]:
    """Return the log-density of a random variable that is one number, of a value.

    Examples
    --------
    >>> density = log_density_of(pm.HalfNormal.dist(2.0))
    >>> round(density(2.0), 4), density(-1.0)
    (-1.4189, -inf)
    """
    value = variable.type("value")
    function = pytensor.function([value], pm.logp(variable, value), mode=PY_MODE)
    graph = function.maker.fgraph
    places = {graph.inputs[0]: 0}
    held: list[Any] = [None]
    steps: list[tuple[Callable[..., Any] | None, list[int], int]] = []

    def place(read: Variable) -> int:
        if read not in places:
            if not isinstance(read, Constant) or np.ndim(read.data):
                raise LookupError
            places[read] = len(held)
            held.append(np.float64(read.data))
        return places[read]

    try:
        for node in graph.toposort():
            elemwise = isinstance(node.op, Elemwise)
            if node.outputs[0].type.ndim or not (elemwise or isinstance(node.op, DimShuffle)):
                raise LookupError
            given = [place(i) for i in node.inputs]
            places[node.outputs[0]] = len(held)
            steps.append((node.op.scalar_op.impl if elemwise else None, given, len(held)))
            held.append(None)
        last = place(graph.outputs[0])
    except LookupError:
        return lambda number: float(function(number))

    def density(number: float) -> float:
        held[0] = np.float64(number)
        with np.errstate(all="ignore"):
            for operation, given, to in steps:
                values = [held[i] for i in given]
                held[to] = values[0] if operation is None else operation(*values)
        return float(held[last])

    return density
