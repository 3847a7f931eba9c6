"""Expressions of a model as Python text.

A graph of operations is written with the operators and functions that one would have typed:
``b0 + b1 * x``, ``r[batch]``, ``pt.exp(eta)``. Brackets are those that Python needs. What is used
in several places is named once. Operations without a name in Python are refused, with their name.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Constant
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar import basic as ps
from pytensor.tensor.basic import Alloc, Join, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Argmax, Dot
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor, indices_from_subtensor

from bayescausal.model.forests.op import KnownForest
from bayescausal.model.forests.packed import LEAF, Tree, unpack
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike
    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op

    from bayescausal.annotations import Array

__all__ = ["Writer", "literal", "unpadded"]

#: Numbers of a constant that are written out; more come from data or are refused.
MOST = 2_000

# How tightly Python binds.
_ATOM, _POWER, _UNARY, _TIMES, _PLUS, _LOOSE = 6, 5, 4, 3, 2, 0

_INFIX: dict[type, tuple[str, int]] = {
    ps.Add: (" + ", _PLUS),
    ps.Sub: (" - ", _PLUS),
    ps.Mul: (" * ", _TIMES),
    ps.TrueDiv: (" / ", _TIMES),
    ps.IntDiv: (" // ", _TIMES),
    ps.Mod: (" % ", _TIMES),
    ps.Pow: ("**", _POWER),
}

_COMPARE: dict[type, str] = {
    ps.LT: "pt.lt",
    ps.GT: "pt.gt",
    ps.LE: "pt.le",
    ps.GE: "pt.ge",
    ps.EQ: "pt.eq",
    ps.NEQ: "pt.neq",
    ps.AND: "pt.and_",
    ps.OR: "pt.or_",
    ps.XOR: "pt.xor",
    ps.Switch: "pt.switch",
}


def _functions() -> dict[Any, str]:
    """Return the elementwise functions of PyTensor by what they compute."""
    found: dict[Any, str] = {}
    for name in dir(pt):
        held = getattr(pt, name, None)
        if isinstance(held, Elemwise) and not name.startswith("_"):
            found.setdefault(held.scalar_op, name)
    return found


def literal(value: ArrayLike, what: str) -> str:
    """Return a number or an array as Python text.

    Examples
    --------
    >>> import numpy as np
    >>> literal(np.float64(2.5), "x"), literal(np.array([1, 2]), "x")
    ('2.5', 'np.array([1, 2])')
    """
    array = np.asarray(value)
    if array.ndim == 0:
        plain = array.item()
        if isinstance(plain, float) and not np.isfinite(plain):
            return {np.inf: "np.inf", -np.inf: "-np.inf"}.get(plain, "np.nan")
        if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1e15:
            return f"{plain:.1f}" if abs(plain) < 1e6 else repr(plain)
        return repr(plain)
    if array.size > MOST:
        raise ModelError(
            f"{what} holds a constant of {array.size:,} numbers.",
            expected=f"at most {MOST:,}.",
            remedy="Put it in pm.Data.",
        )
    shown = repr(array.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    kind = (
        ""
        if array.dtype.kind in "if" and array.dtype.itemsize == 8 and array.size
        else (f', dtype="{array.dtype}"')
    )
    return f"np.array({shown}{kind})"


def _joined(sign: str, text: str) -> str:
    """Return a term behind its sign: minus a negative term is plus its positive."""
    turned = {" - ": " + ", " + ": " - "}.get(sign)
    return f"{turned}{text[1:]}" if turned and text.startswith("-") else f"{sign}{text}"


class Writer:
    """Writes the expressions of one model.

    `names`: the Python names of the model's own variables, where writing stops.
    """

    def __init__(self, names: Mapping[Variable, str]) -> None:
        self.names: dict[Variable, str] = dict(names)
        self.before: list[str] = []
        self.functions = _functions()
        self.what = ""
        self.count = 0

    def statement(self, roots: list[Variable], what: str) -> tuple[list[str], list[str]]:
        """Return lines that name shared parts, and the text of each root.

        `what`: the variable they belong to, for messages.
        """
        self.what, self.before = what, []
        for shared in self._shared(roots):
            if shared not in self.names:
                text = self.text(shared, _LOOSE)
                self.count += 1
                name = f"part_{self.count}"
                self.before.append(f"{name} = {text}")
                self.names[shared] = name
        return self.before, [self.text(unpadded(r, self.names), _LOOSE) for r in roots]

    def _shared(self, roots: list[Variable]) -> list[Variable]:
        """Return what is used more than once and long enough to be named, inner parts first."""
        uses: Counter[Variable] = Counter()
        order: list[Variable] = []
        seen: set[Variable] = set()
        stack: list[tuple[Variable, bool]] = [(r, False) for r in reversed(roots)]
        while stack:
            top, done = stack.pop()
            if done:
                order.append(top)
                continue
            if top in seen or top in self.names or top.owner is None:
                continue
            seen.add(top)
            stack.append((top, True))
            for each in reversed(_followed(top.owner)):
                uses[each] += 1
                stack.append((each, False))
        sizes: dict[Variable, int] = {}
        return [v for v in order if uses[v] > 1 and self._size(v, sizes) > 3]

    def _size(self, variable: Variable, sizes: dict[Variable, int]) -> int:
        """Return the number of operations in the text of an expression, each part counted once."""
        if variable in self.names or variable.owner is None:
            return 1
        if variable not in sizes:
            op, node = variable.owner.op, variable.owner
            plain = DimShuffle | Alloc | SpecifyShape | TensorFromScalar | ScalarFromTensor
            if isinstance(op, plain):
                sizes[variable] = self._size(node.inputs[0], sizes)
            else:
                parts = (self._size(v, sizes) for v in _followed(node)[:3])
                sizes[variable] = 1 + sum(parts)
        return sizes[variable]

    # -- one variable

    def text(self, variable: Variable, outer: int) -> str:
        """Return the text of a variable, in brackets if what stands around it binds tighter."""
        found, binds = self._written(variable)
        return f"({found})" if binds < outer else found

    def _written(self, variable: Variable) -> tuple[str, int]:
        if variable in self.names:
            return self.names[variable], _ATOM
        if isinstance(variable, Constant):
            shown = literal(variable.data, self.what)
            return shown, _UNARY if shown.startswith("-") else _ATOM
        if variable.owner is None:
            if hasattr(variable, "get_value"):
                shown = literal(variable.get_value(), self.what)
                return shown, _UNARY if shown.startswith("-") else _ATOM
            raise self._unknown(str(variable))
        return self._apply(variable.owner)

    def _unknown(self, what: str) -> ModelError:
        return ModelError(
            f"The equation of {self.what!r} cannot be written as code: it uses {what}.",
            remedy="Write it with elementwise functions, indexing, sums and products.",
        )

    def _apply(self, node: Apply) -> tuple[str, int]:
        op, inputs = node.op, node.inputs
        if isinstance(op, Blockwise):
            op = op.core_op
        if isinstance(op, Elemwise):
            return self._elementwise(op.scalar_op, node)
        if isinstance(op, TensorFromScalar | ScalarFromTensor | SpecifyShape | ViewOp):
            return self._written(inputs[0])
        if isinstance(op, CheckAndRaise):
            return self._written(inputs[0])
        if isinstance(op, DimShuffle):
            return self._dimshuffle(node)
        if isinstance(op, Subtensor | AdvancedSubtensor):
            entries = indices_from_subtensor(inputs[1:], op.idx_list)
            table = self.text(inputs[0], _ATOM)
            if isinstance(inputs[0], Constant):
                table = f"pt.constant({table})"
            return f"{table}[{', '.join(map(self._entry, entries))}]", _ATOM
        if isinstance(op, Dot) or type(op).__name__ in ("MatMul", "BatchedDot"):
            return " @ ".join(self.text(v, _TIMES + 1) for v in inputs), _TIMES
        if isinstance(op, MakeVector):
            return f"pt.stack([{', '.join(self.text(v, _LOOSE) for v in inputs)}])", _ATOM
        if isinstance(op, Join):
            parts = ", ".join(self.text(v, _LOOSE) for v in inputs)
            return f"pt.concatenate([{parts}], axis={int(op.axis)})", _ATOM
        if isinstance(op, Alloc):
            value, *sizes = (self.text(v, _LOOSE) for v in inputs)
            return f"pt.full(({', '.join(sizes)},), {value})", _ATOM
        if isinstance(op, Shape):
            return f"pt.shape({self.text(inputs[0], _LOOSE)})", _ATOM
        if isinstance(op, Shape_i):
            return f"{self.text(inputs[0], _ATOM)}.shape[{op.i}]", _ATOM
        if isinstance(op, KnownForest):
            self.names[node.outputs[0]] = self._trees(inputs[0], inputs[1].data)
            return self.names[node.outputs[0]], _ATOM
        return self._along(op, node)

    def _trees(self, x: Variable, packed: Array) -> str:
        """Write a forest of known trees, a line for each, and return its name."""
        columns = self.text(x, _LOOSE)
        self.count += 2
        matrix, total = f"part_{self.count - 1}", f"part_{self.count}"
        self.before.append(f"{matrix} = {columns}")
        trees, constant = unpack(packed)

        def written(tree: Tree, k: int) -> str:
            if tree.column[k] == LEAF:
                return f"{tree.value[k]:.12g}"
            left, right = written(tree, k + 1), written(tree, int(tree.right[k]))
            asked = f"{matrix}[:, {tree.column[k]}] <= {float(tree.value[k])!r}"
            return f"pt.where({asked}, {left}, {right})"

        self.before.append(f"{total} = {constant:.12g}")
        self.before += [f"{total} = {total} + {written(tree, 0)}" for tree in trees]
        return total

    def _along(self, op: Op, node: Apply) -> tuple[str, int]:
        """Write an operation along an axis."""
        inner = self.text(node.inputs[0], _LOOSE)
        axis: Any
        if isinstance(op, CAReduce):
            kind = {ps.Add: "sum", ps.Mul: "prod", ps.ScalarMaximum: "max", ps.ScalarMinimum: "min",
                    ps.AND: "all", ps.OR: "any"}.get(type(op.scalar_op))  # fmt: skip
            if kind is None:
                raise self._unknown(f"a reduction by {op.scalar_op}")
            axis = None if op.axis is None else tuple(int(a) for a in op.axis)
            axis = axis[0] if axis is not None and len(axis) == 1 else axis
            return f"pt.{kind}({inner}, axis={axis})", _ATOM
        if isinstance(op, Softmax | LogSoftmax):
            kind = "softmax" if isinstance(op, Softmax) else "log_softmax"
            axis = op.axis[0] if isinstance(op.axis, tuple) and len(op.axis) == 1 else op.axis
            return f"pt.special.{kind}({inner}, axis={axis})", _ATOM
        if isinstance(op, CumOp):
            kind = "cumsum" if op.mode == "add" else "cumprod"
            return f"pt.{kind}({inner}, axis={op.axis})", _ATOM
        if isinstance(op, Argmax):
            axis = None if op.axis is None else int(op.axis[0])
            return f"pt.argmax({inner}, axis={axis})", _ATOM
        if isinstance(op, Reshape):
            return f"pt.reshape({inner}, {self.text(node.inputs[1], _LOOSE)})", _ATOM
        if type(op).__name__ == "Cholesky":
            return f"pt.linalg.cholesky({inner})", _ATOM
        raise self._unknown(f"the operation {type(op).__name__}")

    def _elementwise(self, op: Op, node: Apply) -> tuple[str, int]:
        ndim = node.outputs[0].type.ndim
        inputs = [unpadded(v, self.names) for v in node.inputs]
        if max((v.type.ndim for v in inputs), default=0) < ndim:
            inputs = list(node.inputs)
        if type(op) in _INFIX:
            sign, binds = _INFIX[type(op)]
            tight = binds + 1
            first = self.text(inputs[0], tight if isinstance(op, ps.Pow) else binds)
            rest = [self.text(v, binds if isinstance(op, ps.Pow) else tight) for v in inputs[1:]]
            return first + "".join(_joined(sign, text) for text in rest), binds
        if isinstance(op, ps.Neg):
            return f"-{self.text(inputs[0], _UNARY)}", _UNARY
        if isinstance(op, ps.Identity):
            return self._written(inputs[0])
        if isinstance(op, ps.Cast):
            return f'pt.cast({self.text(inputs[0], _LOOSE)}, "{op.o_type.dtype}")', _ATOM
        if isinstance(op, ps.Sqr):
            return f"{self.text(inputs[0], _POWER + 1)}**2", _POWER
        if isinstance(op, ps.Reciprocal):
            return f"1 / {self.text(inputs[0], _TIMES + 1)}", _TIMES
        if isinstance(op, ps.Second):
            return f"pt.second({', '.join(self.text(v, _LOOSE) for v in inputs)})", _ATOM
        name = _COMPARE.get(type(op)) or (
            f"pt.{self.functions[op]}" if op in self.functions else None
        )
        if name is None:
            raise self._unknown(f"the function {op}")
        if name in ("pt.second",):
            raise self._unknown(f"the function {op}")
        return f"{name}({', '.join(self.text(v, _LOOSE) for v in inputs)})", _ATOM

    def _dimshuffle(self, node: Apply) -> tuple[str, int]:
        order, [source] = node.op.new_order, node.inputs
        inner = self.text(source, _ATOM)
        kept = [o for o in order if o != "x"]
        if not order or kept == list(range(source.type.ndim)) == list(order):
            return inner, _ATOM
        if kept == list(range(source.type.ndim)) and kept:
            places = ", ".join("None" if o == "x" else ":" for o in order)
            return f"{inner}[{places}]", _ATOM
        if order == (1, 0):
            return f"{inner}.T", _ATOM
        if source.type.ndim == 0:
            inner = f"pt.as_tensor({inner})"
        return f"{inner}.dimshuffle({', '.join(map(repr, order))})", _ATOM

    def _entry(self, entry: slice | Variable | int) -> str:
        """Return one index."""
        if isinstance(entry, slice):
            parts = [
                "" if p is None or (isinstance(p, Constant) and p.data is None) else self._index(p)
                for p in (entry.start, entry.stop, entry.step)
            ]
            return ":".join(parts[:2]) + (f":{parts[2]}" if parts[2] else "")
        return self._index(entry)

    def _index(self, entry: Variable | int) -> str:
        if isinstance(entry, Constant) and np.ndim(entry.data) == 0:
            return str(int(entry.data))
        return str(entry) if isinstance(entry, int) else self.text(entry, _LOOSE)


def _followed(node: Apply) -> list[Variable]:
    return [v for v in node.inputs if hasattr(v.type, "ndim") or hasattr(v.type, "dtype")]


def unpadded(variable: Variable, names: Mapping[Variable, str]) -> Variable:
    """Leave out the axes of length one on the left, which broadcasting adds by itself."""
    while variable not in names and variable.owner is not None:
        op = variable.owner.op
        if not isinstance(op, DimShuffle):
            return variable
        source = variable.owner.inputs[0]
        pad = len(op.new_order) - source.type.ndim
        if list(op.new_order) != ["x"] * pad + list(range(source.type.ndim)):
            return variable
        variable = source
    return variable
