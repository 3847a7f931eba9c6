"""A threshold of a running variable as an instrument: fuzzy discontinuities and kinks.

Crossing the threshold moves the treatment, and the outcome through it alone. The equation of the
outcome may have slopes of its own on each side, which meet at the threshold: whether it *jumps*
there is seen by evaluating it at the threshold, once on either side, all else held.

Comparisons and bends stand in many equations that are no such design: a number kept off zero
before its logarithm is taken, a predictor clipped at both ends, a spline with several knots, the
dummy of a category, steps of the noise's spread. A threshold is *one* number to which a variable
itself is compared, with data on both sides of it, and which moves the location of the treatment.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayescausal.model.interventions.support import LOCATIONS, params_of
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.structure import family_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["LEAST", "bends_at", "steps_at", "threshold"]

#: The method of the verdict.
THRESHOLD = "threshold as an instrument"
#: Values of a running variable on each side of a bend, at least: a slope of each side is seen.
LEAST = 3

_ORDER = (ps.LT, ps.GT, ps.LE, ps.GE)
_BENDS = (ps.ScalarMaximum, ps.ScalarMinimum)
#: Steps along which what is added to an equation stays a part of it.
_AFFINE = (ps.Add, ps.Sub, ps.Neg, ps.Mul, ps.TrueDiv, ps.Identity, ps.Cast, ps.Switch)
#: Operations after which a function of a variable may jump, and those after which it may bend.
_JUMPING = (
    ps.LogicalComparison, ps.Sign, ps.Floor, ps.Ceil, ps.RoundHalfToEven,
    ps.RoundHalfAwayFromZero, ps.Trunc, ps.IntDiv, ps.Mod, ps.IsNan, ps.IsInf,
)  # fmt: skip
_BENDING = (*_JUMPING, *_BENDS, ps.Clip, ps.Abs)


@dataclass(frozen=True, eq=False)
class Step:
    """An operation that compares a variable with a number."""

    node: Apply
    variable: Variable
    at: float


def threshold(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
    measured: Collection[str] | None,
) -> Identification:
    """Find a threshold of a measured variable that moves x, and y through x alone."""
    if x not in structure.random:
        return found
    seen = set(structure.nodes if measured is None else measured) - {x, y}
    without = structure.graph.copy()
    without.remove_node(x)
    rest = [n for n in (y, *nx.ancestors(without, y)) if n in structure.random]

    def excluded(r: str, kinds: tuple[type, ...]) -> bool:
        return not any(_breaks(structure, n, r, kinds) for n in rest if n != r)

    steps = steps_at(structure, x, seen, values)
    place = _locations(structure, x)
    jump = [
        r
        for r, own in steps.items()
        if _jumps(structure, place, own, unknown=False) and excluded(r, _JUMPING)
    ]
    bend = [r for r in bends_at(structure, x, seen, values) if excluded(r, _BENDING)]
    if not jump and not bend:
        return found
    r = sorted(jump or bend)[0]
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


def steps_at(
    structure: Structure,
    name: str,
    among: Collection[str],
    values: Mapping[str, np.ndarray],
) -> dict[str, list[Step]]:
    """Return the variables that an equation compares with one number inside their data."""
    return _thresholds(structure, name, among, values, _ORDER, 1)


def bends_at(
    structure: Structure,
    name: str,
    among: Collection[str],
    values: Mapping[str, np.ndarray],
) -> dict[str, list[Step]]:
    """Return the variables of which an equation takes the larger or smaller of one and a number."""
    return _thresholds(structure, name, among, values, _BENDS, LEAST)


def _thresholds(
    structure: Structure,
    name: str,
    among: Collection[str],
    values: Mapping[str, np.ndarray],
    kinds: tuple[type, ...],
    least: int,
) -> dict[str, list[Step]]:
    """Return the steps of such kinds in the location of an equation, by variable.

    Each has one threshold with `least` values or more of its variable on both sides.
    """
    model = structure.model
    named = {model.named_vars[n]: n for n in structure.nodes if n in among and n != name}
    found: dict[str, list[Step]] = defaultdict(list)
    for node in _parts(structure, name):
        if isinstance(node.op.scalar_op, kinds) and (step := _step(node, structure, named)):
            found[named[step.variable]].append(step)
    single = {r: steps for r, steps in found.items() if len({s.at for s in steps}) == 1}
    return {r: s for r, s in single.items() if _inside(s[0].at, values.get(r), least)}


def _inside(at: float, column: np.ndarray | None, least: int) -> bool:
    """Whether data lie on both sides of a number; true where there are none."""
    if column is None:
        return True
    if column.ndim != 1 or column.dtype.kind not in "iuf":
        return False
    distinct = np.unique(column)
    return bool(min(np.sum(distinct < at), np.sum(distinct > at)) >= least)


def _parts(structure: Structure, name: str) -> Iterator[Apply]:
    """Yield the elementwise operations whose results are parts of the location of an equation.

    A result that a function of that one variable alone takes up, as in log(maximum(r, .1)), is
    none: what is kept off zero there is the argument of the function.
    """
    own = structure.model.named_vars[name]
    stops = {structure.model.named_vars[n] for n in structure.nodes} - {own}
    todo, seen = _locations(structure, name), set()
    while todo:
        v = todo.pop()
        node = v.owner
        if node is None or v in seen or v in stops:
            continue
        seen.add(v)
        if not isinstance(node.op, Elemwise):
            todo += node.inputs
            continue
        yield node
        if isinstance(node.op.scalar_op, _AFFINE):
            todo += node.inputs
        elif not isinstance(node.op.scalar_op, (*_ORDER, *_BENDS)) and len(_read(v, stops)) > 1:
            todo += node.inputs  # an inverse link


def _read(v: Variable, stops: Collection[Variable]) -> set[Variable]:
    """Return the variables and parameters that an expression is a function of."""
    return {
        a
        for a in ancestors([v], blockers=stops)
        if a in stops or (a.owner is not None and hasattr(a.owner.op, "dist_params"))
    }


def _locations(structure: Structure, name: str) -> list[Variable]:
    """Return what says where the values of a variable lie: its spread is left out."""
    own = structure.model.named_vars[name]
    if name not in structure.random:
        return [own]
    params, place = list(params_of(own)), LOCATIONS.get(family_name(own))
    return params if place is None else [params[place]]


def _step(node: Apply, structure: Structure, named: Mapping[Variable, str]) -> Step | None:
    """Return at which value of which variable an operation changes sides."""
    one, other = node.inputs
    for moving, fixed in ((one, other), (other, one)):
        line, bound = _line(moving, structure, named), _number(fixed, structure)
        if line is not None and bound is not None:
            variable, slope, shift = line
            return Step(node, variable, (bound - shift) / slope)
    return None


def _line(
    v: Variable, structure: Structure, named: Mapping[Variable, str]
) -> tuple[Variable, float, float] | None:
    """Return a variable, slope and shift of which an expression consists: r - 3 is (r, 1, -3)."""
    if v in named:
        return v, 1.0, 0.0
    node = v.owner
    if node is not None and isinstance(node.op, DimShuffle):
        return _line(node.inputs[0], structure, named)
    op = getattr(getattr(node, "op", None), "scalar_op", None)
    if isinstance(op, ps.Identity | ps.Neg) or (isinstance(op, ps.Cast) and not _rounds(node)):
        line = _line(node.inputs[0], structure, named)
        sign = -1.0 if isinstance(op, ps.Neg) else 1.0
        return line and (line[0], sign * line[1], sign * line[2])
    if not isinstance(op, ps.Add | ps.Sub | ps.Mul | ps.TrueDiv) or len(node.inputs) != 2:
        return None
    one, other = (_line(i, structure, named) for i in node.inputs)
    line, number = one or other, _number(node.inputs[1 if one else 0], structure)
    if line is None or (one and other) or number is None:
        return None
    variable, slope, shift = line
    match op:
        case ps.Add():
            return variable, slope, shift + number
        case ps.Sub():
            sign = 1.0 if one else -1.0
            return variable, sign * slope, sign * (shift - number)
        case ps.Mul():
            return (variable, slope * number, shift * number) if number else None
    return (variable, slope / number, shift / number) if one and number else None


def _number(v: Variable, structure: Structure) -> float | None:
    """Return the one value of an expression that reads no random variable, None otherwise."""
    if not set(structure.model.basic_RVs).isdisjoint(ancestors([v])):
        return None
    try:
        found = np.unique(evaluate([v])[0])
    except Exception:  # a shape that is open
        return None
    return float(found[0]) if len(found) == 1 else None


def _rounds(node: Apply) -> bool:
    """Whether a cast makes a whole number of one that may have decimals."""
    return node.inputs[0].type.dtype.startswith("float") and not node.outputs[
        0
    ].type.dtype.startswith("float")


def _breaks(structure: Structure, name: str, r: str, kinds: tuple[type, ...]) -> bool:
    """Whether an equation may jump, or bend, at a value of a variable.

    Steps that are seen to meet at their threshold are no jump.
    """
    own, moving = (structure.model.named_vars[n] for n in (name, r))
    stops = [v for n, v in structure.model.named_vars.items() if n in structure.nodes]
    steps: list[Step] = []
    for v in ancestors(params_of(own), blockers=[s for s in stops if s is not own]):
        node = v.owner
        if node is None:
            continue
        if isinstance(node.op, AdvancedSubtensor):
            breaks, read = True, node.inputs[1:]
        else:
            op, read = getattr(node.op, "scalar_op", None), node.inputs
            breaks = isinstance(op, kinds) or (isinstance(op, ps.Cast) and _rounds(node))
        if not breaks or moving not in ancestors(read, blockers=stops):
            continue
        step = _step(node, structure, {moving: r}) if _orders(node) else None
        if step is None or kinds is not _JUMPING:
            return True
        steps.append(step)
    return bool(steps) and _jumps(structure, params_of(own), steps, unknown=True)


def _orders(node: Apply) -> bool:
    return isinstance(getattr(node.op, "scalar_op", None), _ORDER)


def _jumps(
    structure: Structure, roots: list[Variable], steps: list[Step], *, unknown: bool
) -> bool:
    """Whether expressions have two values where one of their comparisons is an equality.

    Parameters and other variables are held at a draw; `unknown` is what is said where that cannot
    be evaluated.
    """
    random = [v for v in ancestors(roots) if v in structure.model.basic_RVs]
    try:
        held = dict(zip(random, map(pt.constant, evaluate(list(random))), strict=True))
        for step in steps:
            moving, [value] = step.variable, step.node.outputs
            at = pt.full_like(moving, np.array(step.at)).astype(moving.type.dtype)
            sides = [
                graph_replace(
                    roots,
                    {**held, moving: at, value: pt.full_like(value, np.array(side))},
                    strict=False,
                )
                for side in (True, False)
            ]
            found = evaluate([*sides[0], *sides[1]])
            pairs = zip(found[: len(roots)], found[len(roots) :], strict=True)
            # whatever the level: both sides are the same numbers but for rounding, or jump
            if not all(np.allclose(*pair, rtol=1e-10) for pair in pairs):
                return True
    except Exception:  # a prior without draws, a shape that is open
        return unknown
    return False
