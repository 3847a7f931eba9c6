"""Equations taken apart by a latent: what does not read it, and what it is multiplied by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.replace import clone_replace
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Add, Cast, Identity, Mul, Neg, Sub, TrueDiv
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import SpecifyShape

from bayescausal.inference.closed_forms.affine import factored, stripped
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["NotLinearError", "Reader", "added", "times"]


class NotLinearError(Exception):
    """An equation is not affine in the latent, cell by cell."""


class Reader:
    """Takes equations apart that read a latent themselves, and not through another variable."""

    def __init__(
        self, hole: Variable, leaves: set[Variable], given: Mapping[Variable, np.ndarray]
    ) -> None:
        self.hole, self.leaves, self.given = hole, leaves, given
        self.known: dict[Variable, bool] = {}

    def reads(self, var: Variable) -> bool:
        if var not in self.known:
            self.known[var] = self.hole in named_parents([var], self.leaves)
        return self.known[var]

    def apart(self, sigma: Variable, slope: Variable) -> tuple[Variable, Variable, Variable | None]:
        """Return noise and path as numbers, and the known factor of the rows that both have."""
        unknown = self.leaves - set(self.given)
        both = [factored(v, unknown, set(self.given)) for v in (sigma, slope)]
        if any(found is None or found[1] is None for found in both):
            return sigma, slope, None
        (a, k), (b, other) = both  # type: ignore[misc]
        held = {v: pt.constant(array) for v, array in self.given.items()}
        one, two = pytensor.function([], clone_replace([k, other], held), mode=PY_MODE)()
        return (a, b, k) if np.allclose(one, two, rtol=1e-12) else (sigma, slope, None)

    def parts(self, var: Variable) -> tuple[Variable | None, Variable | None]:
        """Return an expression as rest + slope * hole: (None, slope) without a rest."""
        if var is self.hole:
            return None, pt.constant(1.0)
        if not self.reads(var):
            return var, None
        node = var.owner
        kind = type(node.op.scalar_op) if isinstance(node.op, Elemwise) else None
        moving = [i for i, v in enumerate(node.inputs) if self.reads(v)]
        if kind in (Add, Sub, Neg):
            parts = [self.parts(v) for v in node.inputs]
            signs = [
                -1.0 if kind is Neg or (kind is Sub and i == 1) else 1.0 for i in range(len(parts))
            ]
            return added([p[0] for p in parts], signs), added([p[1] for p in parts], signs)
        if (kind is Mul and len(moving) == 1) or (kind is TrueDiv and moving == [0]):
            rest, slope = self.parts(node.inputs[moving[0]])
            others = [stripped(v) for i, v in enumerate(node.inputs) if i != moving[0]]

            def scaled(part: Variable | None) -> Variable | None:
                for other in others if part is not None else ():
                    part = part / other if kind is TrueDiv else part * other
                return part

            return scaled(rest), scaled(slope)
        through = isinstance(node.op, SpecifyShape | CheckAndRaise | ViewOp)
        floats = kind is Cast and str(var.type.dtype).startswith("float")
        if (through or floats or kind is Identity) and moving == [0]:
            return self.parts(node.inputs[0])
        raise NotLinearError


def times(factor: Variable | None, value: Variable) -> Variable:
    """Return a product with a known factor of each row, if there is one."""
    return value if factor is None else factor * value


def added(parts: Sequence[Variable | None], signs: Sequence[float]) -> Variable | None:
    total: Any = None
    for part, sign in zip(parts, signs, strict=True):
        if part is not None:
            one = part if sign > 0 else -part
            total = one if total is None else total + one
    return total
