"""Does an equation mix units? Follow every axis of its expression.

The outcome of one unit may depend on that unit's own values alone, or on those of others too:
``y ~ Normal(b * x)`` and ``y ~ Normal(b * (x - x.mean()))``. In the second, an intervention on
one unit reaches the others, the equation cannot be evaluated on a subset of the units, and no
statistic per unit suffices. The two are told apart by the axes of the expression. Let each
axis of a named array carry the name of its dim, and pass the labels through the operations:

* elementwise operations, transpositions and broadcasting keep every axis where it was;
* a reduction, sort, cumulative sum, scan, slice or matrix product *consumes* an axis;
* indexing by an array replaces the axis that is indexed by those of the index.

A unit dim whose axis is consumed is *mixed*. What is not known to keep an axis is taken to
mix it: the error is then a slower answer, never a wrong one.

Two more things are found on the way: constant arrays that lie along a unit dim (they fix the
number of units), and arrays without dims that do (their place in the graph is lost).

References
----------
E. L. Ogburn and T. J. VanderWeele, "Causal diagrams for interference", Statistical Science
29(4), 2014: units that touch, and what that does to a causal question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Constant
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Second
from pytensor.scan.op import Scan
from pytensor.tensor.basic import (
    Alloc,
    ARange,
    Join,
    MakeVector,
    ScalarFromTensor,
    TensorFromScalar,
)
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Argmax, Dot
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor, indices_from_subtensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op

    from bayescausal.annotations import Array

__all__ = [
    "LOOKUP",
    "Axes",
    "Trace",
    "followed_inputs",
    "inside",
    "only_constants",
    "random_core_ndims",
    "random_parameters",
    "trace_axes",
    "written_inside",
]

#: What lies along one axis: ("dim", name), ("array", name), ("constant", length), ("order", ""),
#: ("joined", ""), ("member", length), ("group", name). A "constant" is a column without a name; a
#: "member" only fixes the number of units: one value for all, who belongs, who touches whom.
Tag = tuple[str, Any]
#: One frozenset of tags per axis.
Axes = tuple[frozenset[Tag], ...]

NONE: frozenset[Tag] = frozenset()

#: Why the units of a group are tied together: they look up what their group is.
LOOKUP = "indexing one unit by another"


@dataclass
class Trace:
    """What following the axes of one equation found."""

    axes: Axes = ()
    #: unit dim -> why the equation mixes units along it
    mixed: dict[str, str] = field(default_factory=dict)


class _Tracer:
    """Passes axis labels from the named variables of a model to one expression."""

    def __init__(self, leaves: Mapping[Variable, Axes]) -> None:
        self.known: dict[Variable, Axes] = dict(leaves)
        self.mixed: dict[str, str] = {}

    def consume(self, tags: frozenset[Tag], reason: str) -> None:
        """Note that the axis carrying `tags` is consumed."""
        for kind, name in tags:
            if kind == "dim":
                self.mixed.setdefault(name, reason)

    def consume_all(self, axes: Sequence[Axes], reason: str) -> None:
        for each in axes:
            for tags in each:
                self.consume(tags, reason)

    def of(self, variable: Variable) -> Axes:
        """Return the axes of `variable`, following its inputs without recursion."""
        stack = [variable]
        while stack:
            top = stack[-1]
            if top in self.known:
                stack.pop()
                continue
            if top.owner is None:
                self.known[top] = _leaf_axes(top)
                continue
            waiting = [i for i in followed_inputs(top.owner) if i not in self.known]
            if waiting:
                stack.extend(waiting)
                continue
            self._apply(top.owner)
        return self.known[variable]

    def _apply(self, node: Apply) -> None:
        inputs = [self.known.get(i, _blank(i)) for i in node.inputs]
        rule = _rule_for(node.op)
        outputs = rule(self, node, inputs)
        for out, axes in zip(node.outputs, outputs, strict=False):
            self.known[out] = axes
        for out in node.outputs:
            self.known.setdefault(out, _blank(out))


def trace_axes(expressions: Sequence[Variable], leaves: Mapping[Variable, Axes]) -> Trace:
    """Follow the axes of `expressions`, aligned from the right, down to `leaves`.

    Parameters
    ----------
    expressions : sequence of Variable
        The parameters of one distribution, or one Deterministic's expression.
    leaves : mapping from Variable to Axes
        The axes of the named variables of the model, where following stops.

    Returns
    -------
    Trace
        The axes of each expression merged from the right, and the unit dims that are mixed.
    """
    tracer = _Tracer(leaves)
    merged = _align([tracer.of(e) for e in expressions])
    return Trace(axes=merged, mixed=tracer.mixed)


# ------------------------------------------------------------------------ helpers


def _ndim(variable: Variable) -> int:
    return int(getattr(variable.type, "ndim", 0) or 0)


def _blank(variable: Variable) -> Axes:
    return (NONE,) * _ndim(variable)


def _leaf_axes(variable: Variable) -> Axes:
    """Label the axes of a constant or shared array by its length; length 1 broadcasts."""
    shape: tuple[int, ...] = ()
    flat: set[int] = set()
    if isinstance(variable, Constant):
        shape = tuple(getattr(variable.data, "shape", ()))
        flat = {a for a, n in enumerate(shape) if n > 1 and _is_flat(variable.data, a)}
    elif hasattr(variable, "get_value") and _ndim(variable):
        shape = tuple(variable.get_value(borrow=True).shape)
    if len(shape) != _ndim(variable):
        return _blank(variable)
    return tuple(
        NONE if n == 1 else frozenset({("member" if a in flat else "constant", int(n))})
        for a, n in enumerate(shape)
    )


def _is_flat(values: Array, axis: int) -> bool:
    """Whether an array has the same value all along an axis, as ``np.zeros(n)`` has."""
    return bool(np.all(values == np.take(values, [0], axis=axis)))


def _members_only(tags: frozenset[Tag]) -> frozenset[Tag]:
    """Return the tags of an axis whose constants only fix the number of units."""
    return frozenset(("member", t[1]) if t[0] == "constant" else t for t in tags)


def only_constants(tags: frozenset[Tag]) -> frozenset[Tag]:
    """Return the constants along an axis, which remain where its units are mixed."""
    return frozenset(t for t in tags if t[0] in ("constant", "member"))


def _align(several: Sequence[Axes]) -> Axes:
    """Merge axes from the right, as broadcasting does."""
    ndim = max((len(a) for a in several), default=0)
    merged = [NONE] * ndim
    for axes in several:
        for i, tags in enumerate(reversed(axes)):
            merged[ndim - 1 - i] = merged[ndim - 1 - i] | tags
    return tuple(merged)


def followed_inputs(node: Apply) -> list[Variable]:
    """Return the inputs whose *values* matter: shapes and random states are left out."""
    op = node.op
    if isinstance(op, (Shape, Shape_i)):
        return []
    if isinstance(op, Alloc):
        return [node.inputs[0]]
    if isinstance(op, RandomVariable):
        return list(op.dist_params(node))
    return [i for i in node.inputs if _is_tensor(i)]


def _is_tensor(variable: Variable) -> bool:
    return hasattr(variable.type, "ndim") and hasattr(variable.type, "dtype")


# -------------------------------------------------------------------- rules by operation


def _rule_for(op: Op) -> Callable[[_Tracer, Apply, list[Axes]], list[Axes]]:
    for kinds, rule in _RULES:
        if isinstance(op, kinds):
            return rule
    if isinstance(op, (ViewOp, CheckAndRaise)):
        return _pass_first
    return _unknown


def _elementwise(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    if isinstance(getattr(node.op, "scalar_op", None), Second):  # only the shape of the first
        inputs = [tuple(map(_members_only, inputs[0])), *inputs[1:]]
    return [_align(inputs)] * len(node.outputs)


def _pass_first(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [inputs[0]]


def _nothing(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [_blank(out) for out in node.outputs]


def _unknown(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    label = getattr(node.op, "_print_name", (type(node.op).__name__,))[0]
    tracer.consume_all(inputs, f"the operation {label}")
    return _nothing(tracer, node, inputs)


def _dimshuffle(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [tuple(NONE if i == "x" else inputs[0][i] for i in node.op.new_order)]


def _alloc(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    out = [NONE] * _ndim(node.outputs[0])
    for i, tags in enumerate(reversed(inputs[0])):
        out[len(out) - 1 - i] = tags
    return [tuple(out)]


def _along(axes: int | Sequence[int] | None, ndim: int) -> set[int]:
    if axes is None:
        return set(range(ndim))
    if isinstance(axes, int):
        axes = (axes,)
    return {a % ndim for a in axes} if ndim else set()


def _reduce(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    ndim = len(inputs[0])
    gone = _along(node.op.axis, ndim)
    for a in gone:
        tracer.consume(inputs[0][a], f"a reduction ({type(node.op).__name__.lower()})")
    kept = tuple(t for a, t in enumerate(inputs[0]) if a not in gone)
    return [kept if len(kept) == _ndim(o) else _blank(o) for o in node.outputs]


def _keep_but_mix_axis(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """Softmax, cumulative sums, sorting: the shape stays, values move along an axis."""
    axis = getattr(node.op, "axis", None)
    if isinstance(node.op, (SortOp, ArgSortOp)) and len(node.inputs) > 1:
        constant = node.inputs[1]
        axis = int(constant.data) if isinstance(constant, Constant) else None
    mixing = _along(axis, len(inputs[0]))
    label = str(node.op).split("{")[0].lower()
    for a in mixing:
        tracer.consume(inputs[0][a], f"a {label} along it")
    kept = tuple(only_constants(t) if a in mixing else t for a, t in enumerate(inputs[0]))
    return [kept if len(kept) == _ndim(o) else _blank(o) for o in node.outputs]


def _is_full(entry: object) -> bool:
    def none(v: object) -> bool:
        return v is None or (isinstance(v, Constant) and v.data is None)

    return isinstance(entry, slice) and none(entry.start) and none(entry.stop) and none(entry.step)


def _is_whole(entry: object, tags: frozenset[Tag]) -> bool:
    return _is_full(entry) or not tags


def _subtensor(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    entries = indices_from_subtensor(node.inputs[1:], node.op.idx_list)
    source = inputs[0]
    out: list[frozenset[Tag]] = []
    for a, tags in enumerate(source):
        entry = entries[a] if a < len(entries) else slice(None)
        if not _is_whole(entry, tags):
            tracer.consume(tags, LOOKUP)
        if isinstance(entry, slice):
            out.append(tags if _is_full(entry) else frozenset(t for t in tags if t[0] != "dim"))
    return [tuple(out) if len(out) == _ndim(node.outputs[0]) else _blank(node.outputs[0])]


def _advanced_subtensor(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """Gather: indexed axes are consumed, the axes of the index take their place."""
    entries = list(indices_from_subtensor(node.inputs[1:], node.op.idx_list))
    source = inputs[0]
    of_input = dict(zip(node.inputs, inputs, strict=True))
    is_array = [not isinstance(e, slice) for e in entries]
    if any(getattr(getattr(e, "type", None), "dtype", "") == "bool" for e in entries):
        return _unknown(tracer, node, inputs)
    for a, entry in enumerate(entries):
        if not _is_whole(entry, source[a]):
            tracer.consume(source[a], LOOKUP)
    index_axes = _align(
        [
            _members(of_input.get(e, ()), source[a])
            for a, e in enumerate(entries)
            if not isinstance(e, slice)
        ]
    )
    places = [a for a, arr in enumerate(is_array) if arr]
    contiguous = bool(places) and places == list(range(places[0], places[-1] + 1))
    kept: list[frozenset[Tag]] = []
    for a in range(len(source)):
        if a < len(entries) and is_array[a]:
            if contiguous and a == places[0]:
                kept.extend(index_axes)
            continue
        entry = entries[a] if a < len(entries) else slice(None)
        kept.append(source[a] if _is_full(entry) else NONE)
    if places and not contiguous:
        kept = [*index_axes, *kept]
    out = node.outputs[0]
    return [tuple(kept) if len(kept) == _ndim(out) else _blank(out)]


def _members(index: Axes, source: frozenset[Tag]) -> Axes:
    """Return the axes of an index; a constant one into what groups have says who belongs."""
    if not any(kind in ("dim", "group") for kind, _ in source):
        return index
    return tuple(_members_only(tags) for tags in index)


def _dot(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    left, right = inputs[0], inputs[1]
    if left:
        tracer.consume(left[-1], "a matrix product")
    if right:
        tracer.consume(right[-2] if len(right) > 1 else right[-1], "a matrix product")
    rest = (right[:-2] + right[-1:]) if len(right) > 1 else ()
    if right and _has_units(right[-2] if len(right) > 1 else right[-1]):
        left = tuple(_members_only(tags) for tags in left)
    if left and _has_units(left[-1]):
        rest = tuple(_members_only(tags) for tags in rest)
    out = (*left[:-1], *rest)
    return [out if len(out) == _ndim(node.outputs[0]) else _blank(node.outputs[0])]


def _has_units(tags: frozenset[Tag]) -> bool:
    return any(kind == "dim" for kind, _ in tags)


def _core_labels(signature: str) -> list[list[str]]:
    left = signature.split("->")[0]
    groups = left.replace(" ", "").strip("()").split("),(")
    return [[c for c in g.split(",") if c] for g in groups]


def _blockwise(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    signature = node.op.signature
    cores = _core_labels(signature)
    outs = _core_labels(signature.split("->")[1] + "->")
    product = isinstance(node.op.core_op, Dot)
    batches, labelled = [], {}
    contracted = {c for core in cores for c in core} - {c for o in outs for c in o}
    touch = product and any(
        label in contracted and _has_units(tags)
        for axes, core in zip(inputs, cores, strict=True)
        for label, tags in zip(core, axes[len(axes) - len(core) :], strict=True)
    )
    for axes, core in zip(inputs, cores, strict=True):
        cut = len(axes) - len(core)
        batches.append(axes[:cut])
        for label, tags in zip(core, axes[cut:], strict=True):
            if product and label not in contracted:
                labelled[label] = _members_only(tags) if touch else tags
            else:
                tracer.consume(tags, "a matrix product" if product else "linear algebra")
    batch = _align(batches)
    result = []
    for out, core in zip(node.outputs, outs, strict=False):
        axes = (*batch, *(labelled.get(c, NONE) for c in core))
        result.append(axes if len(axes) == _ndim(out) else _blank(out))
    return result


def _join(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    where = int(node.op.axis) % len(inputs[0])
    for axes in inputs:
        tracer.consume(axes[where], "a concatenation")
    merged = list(_align(inputs))
    if not any(axes[where] for axes in inputs):
        merged[where] = frozenset({("joined", "")})
    else:
        merged[where] = only_constants(merged[where])
    return [tuple(merged)]


def _reshape(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """An axis stays where as many entries stand before it, and behind it, as did before."""
    before, after = node.inputs[0].type.shape, node.outputs[0].type.shape
    out = [NONE] * len(after)
    for p, tags in enumerate(inputs[0]):
        if not tags:
            continue
        around = _count(before[:p]), _count(before[p + 1 :])
        places = [
            q
            for q, length in enumerate(after)
            if length != 1 and (_count(after[:q]), _count(after[q + 1 :])) == around
        ]
        if None in around or len(places) != 1:
            tracer.consume(tags, "a reshape")
        else:
            out[places[0]] |= tags
    return [tuple(out)]


def _count(lengths: Sequence[int | None]) -> int | None:
    """Return the number of entries of axes; None where a length is not known."""
    total = 1
    for n in lengths:
        if n is None:
            return None
        total *= n
    return total


def _scan(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """A loop mixes whatever it reads; constants that it steps through lie along its results."""
    label = "the operation Scan"
    tracer.consume_all(inputs, label)
    of_input = dict(zip(node.inputs, inputs, strict=True))
    steps = [of_input[s][0] for s in node.op.outer_seqs(node.inputs) if of_input[s]]
    along = frozenset(t for tags in steps for t in only_constants(tags))
    return [(along, *_blank(out)[1:]) if _ndim(out) else () for out in node.outputs]


def _arange(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [(frozenset({("order", "")}),)]


def _inner_graph(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """Follow the axes through an operation that is itself a graph."""
    fgraph = node.op.fgraph
    inner = _Tracer(dict(zip(fgraph.inputs, inputs, strict=False)))
    found = [inner.of(o) if _is_tensor(o) else () for o in fgraph.outputs]
    for name, reason in inner.mixed.items():
        tracer.mixed.setdefault(name, reason)
    return [
        axes if len(axes) == _ndim(out) else _blank(out)
        for axes, out in zip(found, node.outputs, strict=False)
    ]


def _random(tracer: _Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """An unnamed random variable inside a Mixture, Censored, ...: batch axes pass."""
    parameters = random_parameters(node)
    cores = random_core_ndims(node, len(parameters))
    batches = []
    for parameter, core in zip(parameters, cores, strict=True):
        axes = tracer.of(parameter)
        cut = max(len(axes) - core, 0)
        batches.append(axes[:cut])
        for tags in axes[cut:]:
            tracer.consume(tags, "a multivariate distribution along it")
    out: list[Axes] = []
    for variable in node.outputs:
        if not _is_tensor(variable):
            out.append(())
            continue
        batch = _align(batches)
        missing = _ndim(variable) - len(batch)
        event = int(getattr(node.op, "ndim_supp", 0) or 0)
        lead = max(missing - event, 0)
        axes = ((NONE,) * lead + batch + (NONE,) * max(missing - lead, 0))[: _ndim(variable)]
        out.append(axes)
    return out


def inside(node: Apply | None) -> list[Variable]:
    """Return what the caller's own functions make of the parameters of a CustomDist."""
    from pymc.distributions.custom import CustomDistRV, CustomSymbolicDistRV

    op = getattr(node, "op", None)
    if node is None or not isinstance(op, CustomDistRV | CustomSymbolicDistRV):
        return []
    if isinstance(op, CustomSymbolicDistRV):
        return [o for o in op.fgraph.outputs if _is_tensor(o)]
    out = node.outputs[-1]
    try:
        return [pm.logp(out, out.type(), warn_rvs=False)]
    except NotImplementedError:  # a distribution without a density
        return []


def written_inside(node: Apply) -> Axes:
    """Return the constants along the axes of a CustomDist that its own functions read."""
    stops = {p: _blank(p) for p in random_parameters(node)}
    found = [_Tracer(stops).of(o) for o in inside(node)]
    return tuple(only_constants(tags) for tags in _align(found))


def random_parameters(node: Apply) -> list[Variable]:
    """Return the parameters of a random variable's node, without random state and size."""
    op = node.op
    try:
        return [p for p in op.dist_params(node) if _is_tensor(p)]
    except (ValueError, NotImplementedError, AttributeError):
        return [i for i in node.inputs if _is_tensor(i)]


def random_core_ndims(node: Apply, n: int) -> list[int]:
    """Return how many trailing axes of each parameter belong to one event."""
    cores = getattr(node.op, "ndims_params", None)
    if cores is None or len(cores) != n:
        return [0] * n
    return [int(c) for c in cores]


def _rules() -> list[tuple[Any, Callable[[_Tracer, Apply, list[Axes]], list[Axes]]]]:
    from pymc.distributions.distribution import SymbolicRandomVariable

    return [
        ((RandomVariable, SymbolicRandomVariable), _random),
        ((Shape, Shape_i, MakeVector), _nothing),
        ((TensorFromScalar, ScalarFromTensor), _nothing),
        (Elemwise, _elementwise),
        (DimShuffle, _dimshuffle),
        (Alloc, _alloc),
        ((Softmax, LogSoftmax, CumOp, SortOp, ArgSortOp), _keep_but_mix_axis),
        ((CAReduce, Argmax), _reduce),
        (Subtensor, _subtensor),
        (AdvancedSubtensor, _advanced_subtensor),
        (Dot, _dot),
        (Blockwise, _blockwise),
        (Join, _join),
        (Reshape, _reshape),
        (SpecifyShape, _pass_first),
        (ARange, _arange),
        (Scan, _scan),
        (OpFromGraph, _inner_graph),
    ]


_RULES = _rules()
