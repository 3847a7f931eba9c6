"""Which parts of a mean read unknowns and no rows: its effective coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.replace import graph_replace
from pytensor.scalar.basic import Mul
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import Shape, Shape_i

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.model.structure.function_graph import evaluate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.hierarchies.walks import Stand
    from bayescausal.model.structure.structure import Structure

__all__ = ["Means"]

#: Numbers that multiply rows: each is taken into them by itself.
MOST = 12


class Means:
    """What expressions of a block are made of.

    - `unknowns`: of the block.
    - `unit_dims`: dims along which there are rows.
    """

    def __init__(
        self, structure: Structure, unknowns: Collection[str], unit_dims: Collection[str]
    ) -> None:
        self.structure = structure
        self.rv = {n: structure.variable(n) for n in unknowns}
        model = structure.model
        self.leaves: set[Variable] = {*model.basic_RVs, *model.data_vars}
        self.rows = {
            v
            for v in self.leaves
            if v.name not in self.rv
            and (v in model.basic_RVs or set(structure.dims.get(v.name, ())) & set(unit_dims))
        }
        self.walks: dict[str, Stand] = {}

    def reads(self, expression: Variable) -> set[Variable]:
        return named_parents([expression], self.leaves)

    def row_columns(self, expression: Variable) -> set[Variable]:
        return self.reads(expression) & self.rows

    def flags(self, root: Variable) -> dict[Variable, tuple[bool, bool]]:
        """Return, for all that an expression is made of, whether it reads unknowns, and rows."""
        lengths = set(self.structure.fixed.values())
        free = set(self.rv.values())
        flags: dict[Variable, tuple[bool, bool]] = {}

        def leaf(v: Variable) -> tuple[bool, bool] | None:
            if v in free:
                return True, False
            if v in self.leaves:
                return False, v in self.rows
            if isinstance(v, Constant):
                return False, bool(lengths & set(getattr(v.type, "shape", ())))
            no_value = v.owner is None or isinstance(v.owner.op, Shape | Shape_i)
            return (False, False) if no_value else None

        for v in _inputs_first(root, lambda v: leaf(v) is not None):
            own = leaf(v)
            if own is None:
                parts = [flags[i] for i in v.owner.inputs]
                own = any(p[0] for p in parts), any(p[1] for p in parts)
            flags[v] = own
        return flags

    def effective(self, mean: TensorVariable) -> list[TensorVariable]:
        """Return the largest parts of a mean that read unknowns and no rows."""
        flags = self.flags(mean)
        found: dict[Variable, None] = {}
        seen: set[Variable] = set()
        stack: list[Variable] = [mean]
        while stack:
            v = stack.pop()
            if v in seen or not flags[v][0]:
                continue
            seen.add(v)
            if flags[v][1]:
                stack.extend(v.owner.inputs)
            else:
                found[v] = None
        return [cast("TensorVariable", v) for v in found]

    def multiplied_out(self, mean: TensorVariable) -> TensorVariable:
        """Return a mean in which numbers multiply coefficients, not rows: s z[g] is (s z)[g].

        Where r is affine in its effective coefficients e, s r(e) = r(s e) - r(0) + s r(0).
        """
        for _ in range(MOST):
            flags = self.flags(mean)
            found = next((v for v in flags if self._scaled(v, flags)), None)
            if found is None:
                return mean
            inputs = list(found.owner.inputs)
            rows = next(i for i in inputs if all(flags[i]))
            others = [i for i in inputs if i is not rows]
            number = pt.mul(*others) if len(others) > 1 else others[0]
            parts = self.effective(rows)
            nothing = zip(parts, self.shapes(parts), strict=True)
            scaled = self._with(rows, {e: _times(e, number) for e in parts})
            none = self._with(
                rows, {e: pt.constant(np.zeros(s), dtype=e.dtype) for e, s in nothing}
            )
            mean = self._with(mean, {found: scaled - none + number * none})
        return mean

    def _scaled(self, v: Variable, flags: Mapping[Variable, tuple[bool, bool]]) -> bool:
        """Whether something is a number that reads unknowns, times rows that read unknowns."""
        op = getattr(v.owner, "op", None)
        if not isinstance(op, Elemwise) or not isinstance(op.scalar_op, Mul) or not all(flags[v]):
            return False
        unknown = [i for i in v.owner.inputs if flags[i][0]]
        rows = [i for i in unknown if flags[i][1]]
        return (
            len(unknown) > 1
            and len(rows) == 1
            and all(all(i.type.broadcastable) for i in v.owner.inputs if i is not rows[0])
        )

    def _with(
        self, expression: TensorVariable, change: Mapping[Variable, Variable]
    ) -> TensorVariable:
        """Return an expression with parts replaced; what it reads stays what it is."""
        same = {v: v for v in named_parents([expression], self.leaves)}
        [out] = graph_replace([expression], {**same, **change}, strict=False)
        return cast("TensorVariable", out)

    def shapes(self, parts: Iterable[TensorVariable]) -> list[tuple[int, ...]]:
        parts = list(parts)
        walks = {s.place: np.zeros(s.place.type.shape) for s in self.walks.values()}
        found = evaluate([part.shape for part in parts], walks) if parts else []
        return [tuple(int(k) for k in np.atleast_1d(shape)) for shape in found]


def _times(part: TensorVariable, number: TensorVariable) -> TensorVariable:
    """Return a part times one number, in the shape of the part."""
    return part * pt.squeeze(number) if number.type.ndim else part * number


def _inputs_first(root: Variable, is_leaf: Any) -> list[Variable]:
    out: list[Variable] = []
    done: set[Variable] = set()
    stack: list[tuple[Variable, bool]] = [(root, False)]
    while stack:
        v, ready = stack.pop()
        if v in done:
            continue
        if ready or is_leaf(v):
            done.add(v)
            out.append(v)
            continue
        stack.append((v, True))
        stack.extend((i, False) for i in v.owner.inputs)
    return out
