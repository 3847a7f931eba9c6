"""Whole numbers of a model in 64 bits.

PyTensor keeps a literal such as 17 in a byte, and adds and multiplies bytes in a byte. So the
density that PyMC writes for ``HalfStudentT("s", 4, 17)`` has :math:`17^2 = 33` in it, that of
``Beta("p", 100, 100)`` has :math:`100 + 100 = -56`, and the bounds of ``Uniform("x", -100, 100)``
are -56 apart. Equations are no better: ``100 + 50 * t`` with a column of true and false is -106 for
150, whole numbers of ``pm.Data`` are kept in 32 bits, in which the square of 60,000 is negative,
and ``-x`` of an unsigned column is large. Here such a model is read with these numbers in 64 bits.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, toposort
from pytensor.scalar.basic import Add, Mul, Neg, Pow, Sqr, Sub
from pytensor.tensor.basic import constant
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.structure.function_graph import close, copied, open_model

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["with_wide_constants"]

type _Ends = dict[Variable, tuple[float, float]]

_NARROW = ("int8", "int16", "uint8", "uint16")
_SMALL = (*_NARROW, "int32", "uint32", "uint64")
#: PyMC adds and multiplies no two parameters of these, in densities and draws.
_APART = (
    "BinomialRV CategoricalRV CauchyRV ExponentialRV GammaRV GeometricRV GumbelRV HalfCauchyRV "
    "HalfNormalRV InvGammaRV LogisticRV MultinomialRV MvNormalRV NormalRV ParetoRV PoissonRV "
    "StudentTRV VonMisesRV WaldRV"
)
#: Here it adds two at most, which fit into a byte up to 63.
_SUMS = "BetaBinomialRV BetaRV DiscreteUniformRV LaplaceRV UniformRV"
_KNOWN: WeakKeyDictionary[Any, tuple[list[Any], Any]] = WeakKeyDictionary()


def with_wide_constants(model: pm.Model) -> pm.Model:
    """Return a model in which no distribution or equation computes with too few bits.

    A model of which none does is returned as it is; of the same model with the same data, the same
    one.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model() as model:
    ...     s = pm.HalfStudentT("s", nu=4, sigma=17)
    >>> read = with_wide_constants(model)
    >>> print([round(float(pm.logp(v, 10.0).eval()), 3) for v in (s, read["s"])])
    [-3.446, -3.328]
    """
    return copied(_KNOWN, model, lambda: _widened(model)) or model


def _may_overflow(node: Apply) -> bool:
    """Whether the numbers of a distribution may be too large for what is done with them."""
    if not _is_distribution(node):
        return False
    kind = type(node.op).__name__
    largest = max((_largest(v) for v in node.inputs if _is_narrow(v)), default=0)
    return kind not in _APART.split() and largest > (63 if kind in _SUMS.split() else 5)


def _is_narrow(variable: Variable, among: tuple[str, ...] = _NARROW) -> bool:
    drawn = variable.owner is not None and _is_distribution(variable.owner)
    return not drawn and getattr(variable.type, "dtype", "") in among


def _wraps(node: Apply, seen: _Ends) -> bool:
    """Whether arithmetic on whole numbers may leave the range of its type."""
    [out, *_] = node.outputs
    if getattr(out.type, "dtype", "") not in _SMALL or not _is_arithmetic(node):
        return False
    bits = np.iinfo(out.type.dtype)
    low, high = _range(node, seen)
    return low < bits.min or high > bits.max


def _is_arithmetic(node: Apply) -> bool:
    known = (Add, Sub, Neg, Mul, Sqr, Pow)
    return isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, known)


def _range(node: Apply, seen: _Ends) -> tuple[float, float]:
    """Return between what the result of arithmetic lies, were its type wide enough."""
    ends = [_ends(v, seen) for v in node.inputs]
    match node.op.scalar_op:
        case Add():
            return sum(a for a, _ in ends), sum(b for _, b in ends)
        case Sub():
            return ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]
        case Neg():
            return -ends[0][1], -ends[0][0]
        case Mul():
            low, high = ends[0]
            for a, b in ends[1:]:
                corners = (low * a, low * b, high * a, high * b)
                low, high = min(corners), max(corners)
            return low, high
    power = max(ends[1][1], 0) if len(ends) == 2 else 2
    largest = max(map(abs, ends[0]))
    size = np.float64(largest) ** min(power, 64)
    return -size if ends[0][0] < 0 else 0, size


def _ends(variable: Variable, seen: _Ends) -> tuple[float, float]:
    """Return between what a whole number lies, each looked at once.

    Of long types, room is left for sums and shifts.
    """
    if variable not in seen:
        seen[variable] = _ends_of(variable, seen)
    return seen[variable]


def _ends_of(variable: Variable, seen: _Ends) -> tuple[float, float]:
    if isinstance(variable, Constant):
        held = np.asarray(variable.data, dtype=float)
        return held.min(initial=0), held.max(initial=0)
    dtype = variable.type.dtype
    if dtype == "bool":
        return 0, 1
    bits = np.iinfo(dtype)
    room = 4 if dtype in ("int32", "uint32", "uint64") else 1
    whole = (bits.min / room, bits.max / room)
    node = variable.owner
    if node is not None and isinstance(node.op, DimShuffle):
        return _ends(node.inputs[0], seen)
    if node is None or not _is_arithmetic(node):
        return whole
    low, high = _range(node, seen)
    return (low, high) if bits.min <= low and high <= bits.max else whole


def _is_distribution(node: Apply) -> bool:
    return isinstance(node.op, RandomVariable | SymbolicRandomVariable)


def _largest(parameter: Variable) -> int:
    """Return the largest number behind a parameter, or 127 where it is not a constant."""
    leaves = [v for v in ancestors([parameter]) if v.owner is None]
    if not all(isinstance(leaf, Constant) for leaf in leaves):
        return 127
    sizes = (np.abs(np.asarray(leaf.data, dtype=float)).max(initial=0) for leaf in leaves)
    return int(max(sizes, default=0))


def _widened(model: pm.Model) -> pm.Model | None:
    """Return the model with wide constants, None where nothing may overflow."""
    roots = [*model.basic_RVs, *model.potentials, *model.deterministics]
    seen: _Ends = {}
    nodes = list(toposort(roots))
    if not any(_may_overflow(node) or _wraps(node, seen) for node in nodes):
        return None
    fgraph, _, initvals = open_model(model)
    memo: dict[Variable, Variable] = {}
    for node in fgraph.toposort():
        inputs = [memo.get(v, v) for v in node.inputs]
        moved = any(a.type != b.type for a, b in zip(inputs, node.inputs, strict=True))
        if _wraps(node, seen):
            made = node.op.make_node(*(v.astype("int64") for v in inputs))
        elif _may_overflow(node) or (moved and isinstance(node.op, SymbolicRandomVariable)):
            made = _remade(node, inputs)
        elif inputs != node.inputs:
            made = node.clone_with_new_inputs(inputs, strict=False)
        else:
            continue
        memo.update(zip(node.outputs, made.outputs, strict=True))
    new = FunctionGraph(outputs=[memo.get(v, v) for v in fgraph.outputs], clone=False)
    new._coords, new._dim_lengths = fgraph._coords, fgraph._dim_lengths
    made = close(new, initvals)
    if hasattr(model, "recipe"):  # the formulas that it was made of
        made.recipe = model.recipe  # type: ignore[attr-defined]
    return made


def _remade(node: Apply, inputs: list[Variable]) -> Apply:
    """Return a distribution with its parameters in 64 bits."""
    wide = [_wide(v) if _is_narrow(v, _SMALL) else v for v in inputs]
    return _wide_op(node.op).make_node(*wide)


def _wide_op(op: Op) -> Op:
    """Return what draws, for parameters in 64 bits: what is made of a graph holds their types."""
    if not isinstance(op, SymbolicRandomVariable):
        return op
    inner = op.fgraph.unfreeze()
    memo = {v: v.astype("int64").type() if _is_narrow(v, _SMALL) else v for v in inner.inputs}
    inputs = list(memo.values())
    for node in inner.toposort():
        given = [memo.get(v, v) for v in node.inputs]
        symbolic = isinstance(node.op, SymbolicRandomVariable)
        made = _remade(node, given) if symbolic else node.op.make_node(*given)
        memo.update(zip(node.outputs, made.outputs, strict=True))
    new = copy(op)
    for name, held in vars(op).items():
        if isinstance(held, Op):  # what is truncated
            setattr(new, name, _wide_op(held))
    outputs = [memo[v] for v in inner.outputs]
    options = {"inline": op.is_inline, "name": op.name, "on_unused_input": "ignore"}
    OpFromGraph.__init__(new, inputs, outputs, **options)
    new.output_types = list(op.output_types)  # a shape that was known stays so
    return new


def _wide(parameter: Variable) -> Variable:
    above = list(ancestors([parameter]))
    if not all(isinstance(v, Constant) for v in above if v.owner is None):
        return parameter.astype("int64")
    leaves = [v for v in above if isinstance(v, Constant) and v.type.dtype in _NARROW]
    wide = {leaf: constant(leaf.data.astype("int64")) for leaf in leaves}
    [found] = clone_replace([parameter], replace=wide, rebuild_strict=False)
    return found
