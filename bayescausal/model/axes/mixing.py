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
29(4), 2014: units that depend on each other, and what that does to a causal question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pymc as pm
from pytensor.graph.basic import Constant
from pytensor.tensor.basic import Alloc, ARange
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.model.axes.axis_rules import axis_rule
from bayescausal.model.axes.tags import (
    NONE,
    Axes,
    Tag,
    align,
    blank,
    constant_axes,
    followed_inputs,
    is_tensor,
    leaf_axes,
    only_constants,
    random_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Apply, Variable


__all__ = ["Trace", "inside", "trace_axes", "written_inside"]


@dataclass
class Trace:
    """What following the axes of one equation found."""

    axes: Axes = ()
    #: unit dim -> why the equation mixes units along it
    mixed: dict[str, str] = field(default_factory=dict)


class Tracer:
    """Passes axis labels from the named variables of a model to one expression."""

    def __init__(self, leaves: Mapping[Variable, Axes]) -> None:
        self.known: dict[Variable, Axes] = dict(leaves)
        self.mixed: dict[str, str] = {}
        self.steady: set[Variable] = set()

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
                self.known[top] = leaf_axes(top)
                continue
            waiting = [i for i in followed_inputs(top.owner) if i not in self.known]
            if waiting:
                stack.extend(waiting)
                continue
            self._apply(top.owner)
        return self.known[variable]

    def _apply(self, node: Apply) -> None:
        inputs = [self.known.get(i, blank(i)) for i in node.inputs]
        rule = axis_rule(node.op)
        outputs = rule(self, node, inputs)
        for out, axes in zip(node.outputs, outputs, strict=False):
            self.known[out] = axes
        for out in node.outputs:
            self.known.setdefault(out, blank(out))
        read = followed_inputs(node)
        if all(isinstance(i, Constant) or i in self.steady for i in read):
            self.steady.update(node.outputs)
            self._made_of_numbers(node, inputs)

    def _made_of_numbers(self, node: Apply, inputs: Sequence[Axes]) -> None:
        """Label what is made of constants alone as its value says, however it is made.

        Positions stay positions: a trend counts the units.
        """
        plain = isinstance(node.op, Elemwise | DimShuffle | ARange | Alloc)
        if plain or hasattr(node.op, "ndim_supp"):
            return
        counted = any(("order", "") in tags for axes in inputs for tags in axes)
        for out in node.outputs:
            if (axes := constant_axes(out)) is None:
                continue
            order = frozenset({("order", "")})
            self.known[out] = tuple(order if tags else NONE for tags in axes) if counted else axes


def trace_axes(expressions: Sequence[Variable], leaves: Mapping[Variable, Axes]) -> Trace:
    """Follow the axes of `expressions`, aligned from the right, down to `leaves`.

    - `expressions`: the parameters of one distribution, or one Deterministic's expression.
    - `leaves`: the axes of the named variables of the model, where following stops.
    """
    tracer = Tracer(leaves)
    merged = align([tracer.of(e) for e in expressions])
    return Trace(axes=merged, mixed=tracer.mixed)


# ------------------------------------------------------------------------ helpers


# -------------------------------------------------------------------- rules by operation


def inside(node: Apply | None) -> list[Variable]:
    """Return what the caller's own functions make of the parameters of a CustomDist."""
    from pymc.distributions.custom import CustomDistRV, CustomSymbolicDistRV

    op = getattr(node, "op", None)
    if node is None or not isinstance(op, CustomDistRV | CustomSymbolicDistRV):
        return []
    if isinstance(op, CustomSymbolicDistRV):
        return [o for o in op.fgraph.unfreeze().outputs if is_tensor(o)]
    out = node.outputs[-1]
    try:
        return [pm.logp(out, out.type(), warn_rvs=False)]
    except NotImplementedError:  # a distribution without a density
        return []


def written_inside(node: Apply) -> Axes:
    """Return the constants along the axes of a CustomDist that its own functions read."""
    stops = {p: blank(p) for p in random_parameters(node)}
    found = [Tracer(stops).of(o) for o in inside(node)]
    return tuple(only_constants(tags) for tags in align(found))
