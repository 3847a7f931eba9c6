"""Expressions: what they rest on, and putting something in the place of a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.graph.traversal import ancestors, io_toposort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["behind", "inputs_of", "replaced"]


def replaced(
    expressions: Sequence[Variable], replace: Mapping[Variable, Variable]
) -> list[Variable]:
    """Return expressions with some variables replaced.

    Only what reads a replaced variable is built anew, each operation once; what is put in is
    shared and not copied, so that substituting the equations of a graph into each other takes
    work in proportion to their number, not to that of the paths.
    """
    known = dict(replace)
    stack = list(expressions)
    while stack:
        top = stack[-1]
        if top in known:
            stack.pop()
        elif top.owner is None:
            known[top] = top
        elif waiting := [v for v in top.owner.inputs if v not in known]:
            stack.extend(waiting)
        else:
            node = top.owner
            inputs = [known[v] for v in node.inputs]
            if any(new is not old for new, old in zip(inputs, node.inputs, strict=True)):
                node = node.clone_with_new_inputs(inputs, strict=False)
            for old, new in zip(top.owner.outputs, node.outputs, strict=True):
                known.setdefault(old, new)
    return [known[v] for v in expressions]


def inputs_of(outputs: Sequence[Variable]) -> set[Variable]:
    """Return the variables that expressions rest on."""
    return {v for v in ancestors(list(outputs)) if v.owner is None}


def behind(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> frozenset[Variable]:
    """Return some inputs and all that rests on them."""
    found = set(inputs)
    for node in io_toposort(list(inputs), list(outputs)):
        if found.intersection(node.inputs):
            found.update(node.outputs)
    return frozenset(found)
