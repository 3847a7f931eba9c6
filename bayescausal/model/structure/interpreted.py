"""Evaluation without a compiler: NumPy's kernels, compound operations spelt out.

Posterior draws are added to an expression as a first axis (``vectorize_graph``). PyTensor knows
how for single operations; a composite function without a rule of its own is wrapped in a loop over
the batch, whose body is compiled apart: seconds to build, and a Python step for each draw. The
functions that are registered here act entry by entry, or along axes that only move, so they serve
a batch as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import Mode
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.features import Feature
from pytensor.graph.op import HasInnerGraph, Op
from pytensor.graph.replace import _vectorize_node
from pytensor.graph.rewriting.basic import GraphRewriter, dfs_rewriter, node_rewriter
from pytensor.scalar.basic import Add, Clip, Mul, Switch
from pytensor.scalar.math import Log1mexp, Sigmoid, Softplus
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.special import LogAddExp, LogSumExp, XLog1PY, XLogY
from pytensor.tensor.variable import TensorConstant

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.graph.fg import FrozenFunctionGraph, FunctionGraph
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["PY_MODE"]


class _Logistic(Op):
    """1 / (1 + exp(-x)) in one array: to the last digit in both tails, and at NumPy's speed.

    SciPy's function takes three times as long, and four operations with an array each a fifth more
    on large blocks (half as much again on small ones, where the interpreter's steps weigh).
    """

    __props__ = ()

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: list[Array], outputs: list[list[Array | None]]) -> None:
        [x] = inputs
        out = np.negative(x, out=np.empty_like(x))
        with np.errstate(over="ignore"):
            np.exp(out, out=out)
        np.add(out, 1, out=out)
        outputs[0][0] = np.reciprocal(out, out=out)


_logistic = _Logistic()


def _numpy_kernels(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Spell out the scalar functions that have no NumPy kernel, which would be looped over."""
    kind = type(node.op.scalar_op)
    x = node.inputs[0]
    if kind is Sigmoid:
        out = _logistic(pt.cast(x, node.outputs[0].type.dtype))
    elif kind is Softplus:
        out = pt.log1p(pt.exp(-pt.abs(x))) + pt.maximum(x, np.asarray(0, x.type.dtype))
    elif kind is Log1mexp:
        out = pt.switch(x > -np.log(2.0), pt.log(-pt.expm1(x)), pt.log1p(-pt.exp(x)))
    elif kind is Clip:
        low, high = node.inputs[1:]  # PyMC has no upper bound by high = x, which may be below low
        out = pt.switch(pt.lt(x, low), low, pt.minimum(x, high))
    else:
        return None
    return [out.astype(node.outputs[0].type.dtype)]


def _one_branch(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Choose between two arguments, not two values, of a function: it is taken of one of them.

    The density of a 0/1 variable chooses between log p and log (1 - p), both of them a softplus.
    """
    if not isinstance(node.op.scalar_op, Switch):
        return None
    which, one, two = node.inputs
    outer: list[Op] = []
    while True:
        first, second = one.owner, two.owner
        if first is None or second is None or first.op != second.op or len(first.inputs) > 1:
            break
        alone = all(len(fgraph.clients.get(v, [0])) == 1 for v in (one, two))
        wide = all(v.type.broadcastable == node.outputs[0].type.broadcastable for v in (one, two))
        if not isinstance(first.op, Elemwise) or not alone or not wide:
            break
        outer.append(first.op)
        [one], [two] = first.inputs, second.inputs
    if not outer:
        return None
    out = node.op(which, one, two)
    for op in reversed(outer):
        out = op(out)
    return [out]


#: Operands that one sum or product takes: NumPy's kernels stop at 32, the result among them.
OPERANDS = 16


def _few_operands(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Group the terms of a long sum or product, which Python's evaluation would refuse."""
    if type(node.op.scalar_op) not in (Add, Mul) or len(node.inputs) <= OPERANDS:
        return None
    terms = list(node.inputs)
    while len(terms) > 1:
        groups = [terms[i : i + OPERANDS] for i in range(0, len(terms), OPERANDS)]
        terms = [node.op(*group) if len(group) > 1 else group[0] for group in groups]
    return terms


def _inlined(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Put a compound operation (softmax, log-sum-exp) in the place of the function it stands for.

    PyTensor would compile the function by itself, with a compiler, and keep it on the operation:
    every compiled function that holds the operation enters that one, from any thread.
    """
    return None if isinstance(node.op, SymbolicRandomVariable) else inline_ofg_node(node)


def _everywhere(rewrite: Callable[[FunctionGraph, Apply], list[Variable] | None]) -> GraphRewriter:
    """Return a rewrite of whole graphs. Not a decorator: what is compiled must travel by name."""
    return dfs_rewriter(node_rewriter([Elemwise])(rewrite))


class _Untraced(Feature):
    """Forgets the lines of code in which a variable was made, as soon as it is in the graph.

    Some rewrites (`local_useless_switch`, of two equal branches) add those of their inputs to those
    of one of their inputs: a list that doubles each time, until no memory is left.
    """

    def on_attach(self, fgraph: FunctionGraph) -> None:
        """Forget what is there."""
        for node in fgraph.apply_nodes:
            self.on_import(fgraph, node, None)

    def on_import(self, fgraph: FunctionGraph, node: Apply, reason: object) -> None:
        """Forget what comes in."""
        for variable in (*node.inputs, *node.outputs):
            if getattr(variable.tag, "trace", None):
                variable.tag.trace = []


class _Untrace(GraphRewriter):
    """Comes before the first rewrite."""

    def apply(self, fgraph: FunctionGraph) -> None:
        """Forget, from now on."""
        fgraph.attach_feature(_Untraced())


class _Owned(GraphRewriter):
    """Comes last: gives each number the memory of its own, within loops as well.

    PyTensor makes the number that a constant holds read-only when it looks at it. Where other
    constants are views of it, such as ``nu=4`` as one row, SciPy's generators fail from then on.
    """

    def apply(self, fgraph: FunctionGraph | FrozenFunctionGraph) -> None:
        """Copy what is a view."""
        for variable in fgraph.variables:
            if isinstance(variable, TensorConstant) and variable.data.base is not None:
                variable.data = variable.data.copy() if variable.data.size == 1 else variable.data
        for node in fgraph.apply_nodes:
            if isinstance(node.op, HasInnerGraph):
                self.apply(node.op.fgraph)


#: Evaluates without a compiler: milliseconds to build, array arithmetic at NumPy's speed.
#: Compound operations are spelt out. Left out: constant folding, which goes through the default
#: (compiled) mode; small powers as one fused operation, which Python would loop over; products
#: multiplied out and sums searched for products of matrices, whose number can double with every
#: step of a recursion (a logistic map) and which NumPy does not need.
PY_MODE = (
    Mode("py", "fast_run")
    .excluding("fusion", "inplace", "constant_folding", "local_pow_to_nested_squaring")
    .excluding("local_greedy_distributor", "BlasOpt")
    .register(
        (_Untrace(), -1.0),
        (dfs_rewriter(node_rewriter([OpFromGraph])(_inlined)), 47.9),
        (_everywhere(_one_branch), 47.95),
        (_everywhere(_numpy_kernels), 48.0),
        (_everywhere(_few_operands), 48.1),
        (_Owned(), 1_000.0),
    )
)


# ------------------------------------------------- a batch axis, without a loop


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
def _entrywise(op: Op, node: Apply, *batched: TensorVariable) -> list[Variable]:
    """Line the axes of the operands up: those of the batch first."""
    core = max(v.type.ndim for v in node.inputs)
    lined = []
    for old, new in zip(node.inputs, batched, strict=True):
        more = new.type.ndim - old.type.ndim
        missing = core - old.type.ndim if more else 0
        lined.append(pt.expand_dims(new, tuple(range(more, more + missing))))
    return [op(*lined)]
