"""How each operation passes the labels of its inputs' axes on: kept, moved, or consumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Constant, Variable
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
from pytensor.tensor.extra_ops import CumOp, SearchsortedOp
from pytensor.tensor.math import Argmax, Dot
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
    indices_from_subtensor,
)

from bayescausal.model.axes.tags import (
    COUNTED,
    LOOKUP,
    NONE,
    PUT_IN,
    Axes,
    Tag,
    align,
    blank,
    core_labels,
    has_units,
    is_tensor,
    members_only,
    ndim_of,
    only_constants,
    random_core_ndims,
    random_parameters,
)
from bayescausal.model.forests.op import Trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op

    from bayescausal.model.axes.mixing import Tracer


__all__ = ["axis_rule"]


def axis_rule(op: Op) -> Callable[[Tracer, Apply, list[Axes]], list[Axes]]:
    for kinds, rule in _RULES:
        if isinstance(op, kinds):
            return rule
    if isinstance(op, (ViewOp, CheckAndRaise)):
        return _pass_first
    return _unknown


def _elementwise(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    if isinstance(getattr(node.op, "scalar_op", None), Second):  # only the shape of the first
        inputs = [tuple(map(members_only, inputs[0])), *inputs[1:]]
    return [align(inputs)] * len(node.outputs)


def _pass_first(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [inputs[0]]


def _nothing(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [blank(out) for out in node.outputs]


def _unknown(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    label = getattr(node.op, "_print_name", (type(node.op).__name__,))[0]
    tracer.consume_all(inputs, f"the operation {label}")
    return _nothing(tracer, node, inputs)


def _dimshuffle(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [tuple(NONE if i == "x" else inputs[0][i] for i in node.op.new_order)]


def _alloc(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    out = [NONE] * ndim_of(node.outputs[0])
    for i, tags in enumerate(reversed(inputs[0])):
        out[len(out) - 1 - i] = tags
    return [tuple(out)]


def _along(axes: int | Sequence[int] | None, ndim: int) -> set[int]:
    if axes is None:
        return set(range(ndim))
    if isinstance(axes, int):
        axes = (axes,)
    return {a % ndim for a in axes} if ndim else set()


def _reduce(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    ndim = len(inputs[0])
    gone = _along(node.op.axis, ndim)
    for a in gone:
        tracer.consume(inputs[0][a], f"a reduction ({type(node.op).__name__.lower()})")
    kept = tuple(t for a, t in enumerate(inputs[0]) if a not in gone)
    return [kept if len(kept) == ndim_of(o) else blank(o) for o in node.outputs]


def _keep_but_mix_axis(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
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
    return [kept if len(kept) == ndim_of(o) else blank(o) for o in node.outputs]


def _is_full(entry: object) -> bool:
    def none(v: object) -> bool:
        return v is None or (isinstance(v, Constant) and v.data is None)

    return isinstance(entry, slice) and none(entry.start) and none(entry.stop) and none(entry.step)


def _is_whole(entry: object, tags: frozenset[Tag]) -> bool:
    return _is_full(entry) or not tags


def _subtensor(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    entries = indices_from_subtensor(node.inputs[1:], node.op.idx_list)
    source = inputs[0]
    out: list[frozenset[Tag]] = []
    for a, tags in enumerate(source):
        entry = entries[a] if a < len(entries) else slice(None)
        if not _is_whole(entry, tags):
            tracer.consume(tags, LOOKUP)
        if isinstance(entry, slice):
            out.append(tags if _is_full(entry) else frozenset(t for t in tags if t[0] != "dim"))
    return [tuple(out) if len(out) == ndim_of(node.outputs[0]) else blank(node.outputs[0])]


def _advanced_subtensor(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """Gather: indexed axes are consumed, the axes of the index take their place."""
    entries = list(indices_from_subtensor(node.inputs[1:], node.op.idx_list))
    source = inputs[0]
    of_input = dict(zip(node.inputs, inputs, strict=True))
    is_array = [not isinstance(e, slice) for e in entries]
    if any(getattr(getattr(e, "type", None), "dtype", "") == "bool" for e in entries):
        return _unknown(tracer, node, inputs)
    for a, entry in enumerate(entries):
        if not _is_whole(entry, source[a]):
            counted = len(entries) > 1 and _counts(entry, of_input)
            tracer.consume(source[a], COUNTED if counted else LOOKUP)
    index_axes = align(
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
    return [tuple(kept) if len(kept) == ndim_of(out) else blank(out)]


def _counts(entry: object, of_input: Mapping[Variable, Axes]) -> bool:
    """Whether an index is 0, 1, 2, ...: the rows themselves."""
    if isinstance(entry, Constant):
        return np.ndim(entry.data) == 1 and np.array_equal(entry.data, np.arange(len(entry.data)))
    axes = of_input.get(entry, ()) if isinstance(entry, Variable) else ()
    return any(("order", "") in tags for tags in axes)


def _members(index: Axes, source: frozenset[Tag]) -> Axes:
    """Return the axes of an index; a constant one into what groups have says who belongs."""
    if not any(kind in ("dim", "group") for kind, _ in source):
        return index
    return tuple(members_only(tags) for tags in index)


def _put_in(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    tracer.consume_all(inputs, PUT_IN)
    return _nothing(tracer, node, inputs)


def _dot(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    left, right = inputs[0], inputs[1]
    if left:
        tracer.consume(left[-1], "a matrix product")
    if right:
        tracer.consume(right[-2] if len(right) > 1 else right[-1], "a matrix product")
    rest = (right[:-2] + right[-1:]) if len(right) > 1 else ()
    if right and has_units(right[-2] if len(right) > 1 else right[-1]):
        left = tuple(members_only(tags) for tags in left)
    if left and has_units(left[-1]):
        rest = tuple(members_only(tags) for tags in rest)
    out = (*left[:-1], *rest)
    return [out if len(out) == ndim_of(node.outputs[0]) else blank(node.outputs[0])]


def _blockwise(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    signature = node.op.signature
    cores = core_labels(signature)
    outs = core_labels(signature.split("->")[1] + "->")
    product = isinstance(node.op.core_op, Dot)
    batches, labelled = [], {}
    contracted = {c for core in cores for c in core} - {c for o in outs for c in o}
    touch = product and any(
        label in contracted and has_units(tags)
        for axes, core in zip(inputs, cores, strict=True)
        for label, tags in zip(core, axes[len(axes) - len(core) :], strict=True)
    )
    for axes, core in zip(inputs, cores, strict=True):
        cut = len(axes) - len(core)
        batches.append(axes[:cut])
        for label, tags in zip(core, axes[cut:], strict=True):
            if product and label not in contracted:
                labelled[label] = members_only(tags) if touch else tags
            else:
                tracer.consume(tags, "a matrix product" if product else "linear algebra")
    batch = align(batches)
    result = []
    for out, core in zip(node.outputs, outs, strict=False):
        axes = (*batch, *(labelled.get(c, NONE) for c in core))
        result.append(axes if len(axes) == ndim_of(out) else blank(out))
    return result


def _forest(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """A row of covariates goes through trees by itself: rows stay, columns are read."""
    x, forest = inputs
    tracer.consume(x[-1], "a forest")
    tracer.consume(forest[-1], "a forest")
    return [(*align([x[:-2], forest[:-1]]), x[-2])]


def _join(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    where = int(node.op.axis) % len(inputs[0])
    for axes in inputs:
        tracer.consume(axes[where], "a concatenation")
    merged = list(align(inputs))
    if not any(axes[where] for axes in inputs):
        merged[where] = frozenset({("joined", "")})
    else:
        merged[where] = only_constants(merged[where])
    return [tuple(merged)]


def _reshape(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
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


def _scan(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """A loop mixes whatever it reads; constants that it steps through lie along its results."""
    label = "the operation Scan"
    tracer.consume_all(inputs, label)
    of_input = dict(zip(node.inputs, inputs, strict=True))
    steps = [of_input[s][0] for s in node.op.outer_seqs(node.inputs) if of_input[s]]
    along = frozenset(t for tags in steps for t in only_constants(tags))
    return [(along, *blank(out)[1:]) if ndim_of(out) else () for out in node.outputs]


def _arange(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    return [(frozenset({("order", "")}),)]


def _searchsorted(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """The place of each value among sorted ones is its own."""
    tracer.consume_all([inputs[0], *inputs[2:]], LOOKUP)
    return [inputs[1]]


def _inner_graph(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
    """Follow the axes through an operation that is itself a graph."""
    fgraph = node.op.fgraph.unfreeze()
    inner = type(tracer)(dict(zip(fgraph.inputs, inputs, strict=False)))
    found = [inner.of(o) if is_tensor(o) else () for o in fgraph.outputs]
    for name, reason in inner.mixed.items():
        tracer.mixed.setdefault(name, reason)
    return [
        axes if len(axes) == ndim_of(out) else blank(out)
        for axes, out in zip(found, node.outputs, strict=False)
    ]


def _random(tracer: Tracer, node: Apply, inputs: list[Axes]) -> list[Axes]:
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
        if not is_tensor(variable):
            out.append(())
            continue
        batch = align(batches)
        missing = ndim_of(variable) - len(batch)
        event = int(getattr(node.op, "ndim_supp", 0) or 0)
        lead = max(missing - event, 0)
        axes = ((NONE,) * lead + batch + (NONE,) * max(missing - lead, 0))[: ndim_of(variable)]
        out.append(axes)
    return out


def _rules() -> list[tuple[Any, Callable[[Tracer, Apply, list[Axes]], list[Axes]]]]:
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
        ((IncSubtensor, AdvancedIncSubtensor), _put_in),
        (Dot, _dot),
        (Blockwise, _blockwise),
        (Join, _join),
        (Trees, _forest),
        (Reshape, _reshape),
        (SpecifyShape, _pass_first),
        (ARange, _arange),
        (SearchsortedOp, _searchsorted),
        (Scan, _scan),
        (OpFromGraph, _inner_graph),
    ]


_RULES = _rules()
