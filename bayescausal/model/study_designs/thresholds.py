"""A threshold of a running variable as an instrument: fuzzy discontinuities and kinks.

Crossing the threshold moves the treatment, and the outcome through it alone. The equation of the
outcome may have slopes of its own on each side, which meet at the threshold: whether it *jumps*
there is seen by evaluating it at the threshold, once on either side, all else held.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import Elemwise

from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.rebuild import evaluate

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["comparisons", "kinks", "threshold"]

#: The method of the verdict.
THRESHOLD = "threshold as an instrument"


def threshold(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    measured: Collection[str] | None,
) -> Identification:
    """Find a threshold of a measured variable that moves x, and y through x alone."""
    if x not in structure.random:
        return found
    seen = set(structure.nodes if measured is None else measured) - {x, y}
    own, others = comparisons(structure, x, seen), comparisons(structure, y, seen)
    jump = [
        r
        for r, steps in own.items()
        if r not in others or (_jumps(structure, x, steps) and not _jumps(structure, y, others[r]))
    ]
    bend = sorted(set(kinks(structure, x, seen)) - set(kinks(structure, y, seen)) - set(others))
    if not jump and not bend:
        return found
    r = sorted(jump)[0] if jump else bend[0]
    what = f"{y} changes" if jump else f"the slope of {y} changes"
    assumptions = (
        f"the threshold of {r} moves {x} and has no effect on {y} but through {x}",
        f"continuity at the cutoff: but for {x}, {what} continuously with {r} there",
        "monotonicity: crossing it makes nobody do the opposite; the effect is that on the "
        "compliers at the cutoff, and elsewhere it rests on the form of the equations",
    )
    return replace(
        found, status="under assumption", method=THRESHOLD, hedge=None, assumptions=assumptions
    )


def comparisons(structure: Structure, name: str, among: Collection[str]) -> dict[str, list[Apply]]:
    """Return the variables of which the equation of another compares one alone with a number."""
    return _reading_one(structure, name, among, (ps.LogicalComparison,))


def kinks(structure: Structure, name: str, among: Collection[str]) -> dict[str, list[Apply]]:
    """Return the variables of which an equation takes the larger or smaller of one and a number."""
    return _reading_one(structure, name, among, (ps.ScalarMaximum, ps.ScalarMinimum))


def _reading_one(
    structure: Structure, name: str, among: Collection[str], kinds: tuple[type, ...]
) -> dict[str, list[Apply]]:
    """Return the operations of such kinds in an equation that read one variable, by variable."""
    model = structure.model
    named = {v: n for n, v in model.named_vars.items()}
    own = model.named_vars[name]
    stops = [v for n, v in model.named_vars.items() if n in structure.nodes and v is not own]
    found: dict[str, list[Apply]] = {}
    for v in ancestors(_roots(structure, name), blockers=stops):
        node = v.owner
        if node is None or not isinstance(node.op, Elemwise):
            continue
        if not isinstance(node.op.scalar_op, kinds):
            continue
        above = ancestors([v], blockers=stops)
        read = {named[a] for a in above if a in named} & set(structure.nodes)
        if len(read) == 1 and read <= set(among):
            found.setdefault(read.pop(), []).append(node)
    return found


def _roots(structure: Structure, name: str) -> list[Variable]:
    own = structure.model.named_vars[name]
    return list(params_of(own)) if name in structure.random else [own]


def _jumps(structure: Structure, name: str, steps: list[Apply]) -> bool:
    """Whether an equation has two values where one of its comparisons is an equality.

    Parameters and other variables are held at a draw. What cannot be evaluated is taken to jump.
    """
    roots = _roots(structure, name)
    named = {v: n for n, v in structure.model.named_vars.items()}
    random = [v for v in ancestors(roots) if v in structure.model.basic_RVs]
    try:
        held = dict(zip(random, map(pt.constant, evaluate(list(random))), strict=True))
        for node in steps:
            moving, at = node.inputs if node.inputs[0] in named else node.inputs[::-1]
            if moving not in named:
                return True  # a function of it is compared, which may stand elsewhere too
            [value] = node.outputs
            here = {**held, moving: pt.second(moving, at).astype(moving.type.dtype)}
            sides = [
                graph_replace(
                    roots, {**here, value: pt.full_like(value, np.array(side))}, strict=False
                )
                for side in (True, False)
            ]
            found = evaluate([*sides[0], *sides[1]])
            if not all(map(np.allclose, found[: len(roots)], found[len(roots) :])):
                return True
    except Exception:  # a prior without draws, a shape that is open
        return True
    return False
