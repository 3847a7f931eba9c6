"""What the equation of one variable does with values that may be new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.logprob.utils import CheckParameterValue
from pytensor.compile.ops import ViewOp
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.scalar import math as pm_scalar
from pytensor.tensor.basic import Alloc, Join, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from bayescausal.model.interventions.total import ARRAYS, TOTAL, is_count, is_nan, is_total
from bayescausal.model.noise.signs import constant_of, op_of, plain_of, sign_of
from bayescausal.model.structure.function_graph import density_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["Check", "Step", "Walk"]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation that can fail: its value, words for it, and what it reads."""

    value: Variable
    words: str
    reads: tuple[str, ...]
    keys: tuple[float, ...] = ()
    spread: Variable | None = None  #: a denominator that sums over entries
    limits: tuple[float, ...] = ()  #: between which the equation has a value
    written: Variable | None = None  #: the operation as the model has it


@dataclass(frozen=True, eq=False)
class Check:
    """Something that must hold for an equation to be defined.

    Attributes
    ----------
    equation : str
        Name of the variable whose equation it is.
    kind : {"number", "index", "parameter", "spread"}
        `tested` is no NaN and not infinite; lies within a table of `length` entries; is true;
        is not next to zero.
    tested : Variable
    reads : tuple of str
        The changed variables that it reads.
    words : str
        The condition on a parameter, in PyMC's words, or the step.
    length : Variable or None
        Entries of the axis that an index points into.
    steps : tuple of Step
        Operations that may explain a NaN.
    direct : tuple of bool
        Of a spread: which of `reads` are no Deterministics.
    """

    equation: str
    kind: str
    tested: Variable
    reads: tuple[str, ...]
    words: str = ""
    length: Variable | None = None
    steps: tuple[Step, ...] = ()
    direct: tuple[bool, ...] = ()


#: Operations that hand on single entries: a Deterministic, a check, a stack of columns, an entry.
_MOVES = (
    ViewOp, CheckParameterValue, DimShuffle, Alloc, Join, MakeVector, Reshape, SpecifyShape,
    ScalarFromTensor, TensorFromScalar, Subtensor, AdvancedSubtensor,
)  # fmt: skip


class Walk:
    """What the equation of one variable does with values that may be new."""

    def __init__(self, structure: Structure, name: str, touched: frozenset[str]) -> None:
        self.name, self.touched = name, touched
        self.mixes = bool(structure.mixes())
        own = structure.model.named_vars[name]
        self.named = {v: n for n, v in structure.model.named_vars.items() if v is not own}
        self.memo: dict[Variable, frozenset[str]] = {}

    def _reads(self, variable: Variable) -> frozenset[str]:
        """Return the changed variables that an expression reads."""
        stack = [variable]
        while stack:
            top = stack[-1]
            if top in self.memo:
                stack.pop()
            elif top in self.named:
                name = self.named[top]
                self.memo[top] = frozenset([name]) & self.touched
            elif top.owner is None or isinstance(top.owner.op, Shape | Shape_i):
                self.memo[top] = frozenset()
            else:
                todo = [i for i in top.owner.inputs if i not in self.memo]
                if todo:
                    stack.extend(todo)
                else:
                    self.memo[top] = frozenset().union(*(self.memo[i] for i in top.owner.inputs))
        return self.memo[variable]

    def changes(self, variable: Variable) -> bool:
        return bool(self._reads(variable))

    def reads(self, variable: Variable) -> tuple[str, ...]:
        return tuple(sorted(self._reads(variable)))

    def nodes(self, roots: list[Variable]) -> list[Any]:
        """Return the operations between the roots and named variables that read what changes."""
        out: dict[Any, None] = {}
        done: set[Variable] = set()

        def visit(root: Variable) -> None:
            stack: list[tuple[Variable, bool]] = [(root, False)]
            while stack:
                variable, ready = stack.pop()
                if ready:
                    out.setdefault(variable.owner)
                    continue
                if variable in done or variable in self.named or variable.owner is None:
                    continue
                done.add(variable)
                if not self.changes(variable):
                    continue
                stack.append((variable, True))
                stack.extend((i, False) for i in variable.owner.inputs)

        for root in roots:
            visit(root)
        return list(out)

    def indexes(self, roots: list[Variable]) -> list[Check]:
        """Return a check for every table lookup whose index may be new."""
        out = []
        for node in self.nodes(roots):
            for table, axis, index in _lookups(node):
                if self.changes(index):
                    where = pt.as_tensor_variable(index)
                    words = str(table.name) if table.name else "a table"
                    out.append(
                        Check(
                            self.name, "index", where, self.reads(index), words, table.shape[axis]
                        )
                    )
        return out

    def steps(self, root: Variable) -> tuple[Step, ...]:
        """Return the operations that may turn numbers into NaN or infinity."""
        return tuple(s for n in self.nodes([root]) if (s := self._step(n)) is not None)

    def _step(self, node: Apply) -> Step | None:
        op = node.op
        value = node.outputs[0]
        if not str(getattr(value.type, "dtype", "")).startswith("float"):
            return None
        reads = self.reads(value)
        keys: tuple[float, ...] = ()
        limits: tuple[float, ...] = ()
        spread, words, kept = None, "", value
        kind = type(op.scalar_op) if isinstance(op, Elemwise) else type(op)
        if isinstance(op, Elemwise):
            scalar = op.scalar_op
            if isinstance(scalar, ps.Switch) and any(is_nan(i) for i in node.inputs[1:]):
                keys = self._keys(node.inputs[0])
                limits, words = self._limits(node.inputs[0])
            elif isinstance(scalar, TOTAL):
                return None
            elif isinstance(scalar, ps.TrueDiv | ps.IntDiv | ps.Mod | ps.Reciprocal):
                below = node.inputs[-1]
                if not self.changes(below) or sign_of(below) == "positive":
                    return None
                if isinstance(getattr(op_of(plain_of(below)), "scalar_op", None), ps.Abs):
                    at_pole = pt.switch(pt.eq(node.inputs[0], 0), np.nan, np.inf)
                    kept = pt.switch(pt.eq(below, 0), at_pole, value)  # x/|x| is no sign
                guarded = sign_of(below, through=True) == "positive"
                spread = below if self._sums(below) and not guarded else None
            elif isinstance(scalar, ps.Pow):
                base, power = node.inputs
                if not self.changes(power) and is_count(power):
                    return None
                falling = (constant_of(power) or 0.0) < 0 and self.changes(base)
                if falling and sign_of(base) == "positive":
                    return None
                spread = base if falling and self._sums(base) else None
            elif isinstance(scalar, ps.Log | ps.Log2 | ps.Log10 | ps.Log1p | ps.Sqrt):
                sign = sign_of(node.inputs[0])
                if sign == "positive" or (sign and isinstance(scalar, ps.Sqrt | ps.Log1p)):
                    return None
                if not isinstance(scalar, ps.Sqrt | ps.Log1p) and self._sums(node.inputs[0]):
                    spread = node.inputs[0]
        elif isinstance(op, ARRAYS) or is_total(op):
            return None
        return Step(
            kept, words or _phrase(kind.__name__, reads), reads, keys, spread, limits, value
        )

    def _limits(self, condition: Variable) -> tuple[tuple[float, ...], str]:
        """Return the ends of an interval, and what must lie in it: ``|v - middle| <= half``."""
        away, half = _operands(condition, ps.LE, 2)
        [inner] = _operands(away, ps.Abs, 1)
        shifted, middle = _operands(inner, ps.Sub, 2)
        middle, half = (None if v is None else constant_of(v) for v in (middle, half))
        if shifted is None or middle is None or half is None:
            return (), ""
        own = self.named.get(plain_of(shifted))
        words = own or f"an expression of {', '.join(self.reads(shifted))}"
        return (middle - half, middle + half), words

    def _keys(self, condition: Variable) -> tuple[float, ...]:
        """Return the values that a variable is compared with."""
        keys = []
        for v in ancestors([condition]):
            op = op_of(v)
            if isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.EQ):
                for i in v.owner.inputs:
                    number = constant_of(i)
                    if number is not None:
                        keys.append(number)
        return tuple(sorted(set(keys)))

    def _sums(self, variable: Variable) -> bool:
        """Whether an expression, or a Deterministic in it, sums or sorts what changes of units."""
        own = [variable] if self.mixes else []
        done: set[Variable] = set()
        while own:
            top = own.pop()
            if top in done or (top in self.named and not self._is_expression(top)):
                continue
            done.add(top)
            for node in self.nodes([top]) if top not in self.named else [top.owner]:
                if node is None:
                    continue
                if not isinstance(node.op, (Elemwise, *_MOVES)):
                    return True
                own += [i for i in node.inputs if i in self.named and self._is_expression(i)]
            if top in self.named and top.owner is not None:
                own += [i for i in top.owner.inputs if self.changes(i)]
        return False

    def _is_expression(self, variable: Variable) -> bool:
        """Whether a named variable that changes is a Deterministic."""
        random = isinstance(op_of(variable), RandomVariable | SymbolicRandomVariable)
        return variable.owner is not None and not random and self.changes(variable)

    def direct(self, names: tuple[str, ...]) -> tuple[bool, ...]:
        """Return which named variables are no Deterministics."""
        kind = {n: self._is_expression(v) for v, n in self.named.items() if n in names}
        return tuple(not kind[n] for n in names)

    def conditions(self, rv: Variable) -> list[Check]:
        """Return what PyMC's log-density asks of the parameters."""
        if not isinstance(op_of(rv), RandomVariable | SymbolicRandomVariable):
            return []
        value = rv.type()
        try:
            density = density_of(pm.logp, rv, value, warn_rvs=False)
        except Exception:  # no density, no conditions
            return []
        out = []
        for v in ancestors([density]):
            if isinstance(op_of(v), CheckParameterValue):
                for condition in _leaves(v.owner.inputs[1:]):
                    behind = set(ancestors([condition]))
                    if value in behind or not self.changes(condition) or _surely(condition):
                        continue
                    drawn = any(
                        isinstance(op_of(b), RandomVariable | SymbolicRandomVariable)
                        and b not in self.named
                        for b in self.inside([condition])
                    )
                    if not drawn:
                        words = v.owner.op.msg
                        out.append(
                            Check(self.name, "parameter", condition, self.reads(condition), words)
                        )
        return out

    def inside(self, roots: list[Variable]) -> list[Variable]:
        """Return the variables behind expressions up to named ones."""
        out: list[Variable] = []
        seen: set[Variable] = set()
        stack = list(roots)
        while stack:
            top = stack.pop()
            if top in seen or top in self.named:
                continue
            seen.add(top)
            out.append(top)
            if top.owner is not None:
                stack.extend(top.owner.inputs)
        return out


def _lookups(node: Apply) -> list[tuple[Variable, int, Variable]]:
    """Return the tables, axes and indexes of a table lookup."""
    op = node.op
    if not isinstance(op, AdvancedSubtensor | Subtensor):
        return []
    out, axis = [], 0
    for entry in op.idx_list:
        if isinstance(entry, slice):
            axis += 1
            continue
        if not isinstance(entry, int | np.integer):
            continue
        index = node.inputs[1 + int(entry)]
        if str(index.type.dtype) == "bool":
            axis += index.type.ndim
            continue
        out.append((node.inputs[0], axis, index))
        axis += 1
    return out


def _operands(variable: Variable | None, kind: type, count: int) -> list[Variable | None]:
    """Return what an operation of a kind is applied to; else None for each."""
    node = None if variable is None else plain_of(variable).owner
    if node is not None and isinstance(getattr(node.op, "scalar_op", None), kind):
        return list(node.inputs)
    return [None] * count


def _leaves(conditions: Iterable[Variable]) -> list[Variable]:
    """Return the elementwise conditions that an assertion joins."""
    out: list[Variable] = []
    stack = list(conditions)
    while stack:
        top = stack.pop()
        op = op_of(top)
        joined = (
            isinstance(op, MakeVector | Join | ScalarFromTensor | TensorFromScalar)
            or (isinstance(op, CAReduce) and isinstance(op.scalar_op, ps.AND))
            or (isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.AND))
        )
        if joined:
            stack.extend(top.owner.inputs)
        elif str(top.type.dtype) == "bool":
            out.append(top)
    return out[::-1]


def _surely(condition: Variable) -> bool:
    """Whether a condition follows from the form of the expression."""
    op = op_of(condition)
    if not isinstance(op, Elemwise):
        return False
    scalar = op.scalar_op
    if len(condition.owner.inputs) != 2:
        return False
    left, right = condition.owner.inputs
    bound = constant_of(right)
    if isinstance(scalar, ps.GE | ps.GT) and bound == 0:
        sign = sign_of(left)
        return sign == "positive" or (sign == "not negative" and isinstance(scalar, ps.GE))
    if isinstance(scalar, ps.LE) and bound == 1:
        return isinstance(getattr(op_of(plain_of(left)), "scalar_op", None), pm_scalar.Sigmoid)
    return False


def _phrase(kind: str, reads: tuple[str, ...]) -> str:
    """Return words for an operation."""
    inside = ", ".join(reads)
    if kind in ("TrueDiv", "IntDiv", "Mod", "Reciprocal"):
        return f"a division by an expression of {inside}"
    if kind == "Pow":
        return f"a power of an expression of {inside}"
    if kind == "Switch":
        return f"a case of {inside}"
    if kind in ("Log", "Log2", "Log10", "Log1p", "Sqrt", "Exp", "Expm1"):
        return f"{kind.lower()}({inside})"
    return f"{kind}({inside})"
