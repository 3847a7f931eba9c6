"""One observed equation by itself: its leaves are inputs, and what they are is known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.scalar.math import Erf, Erfc, Sigmoid
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.function_graph import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["NotReducedError", "logit_of", "probit_of"]


class NotReducedError(Exception):
    """An equation that has to keep its rows; the message says why."""


class Equation:
    """An observed equation with its leaves replaced by free-standing inputs.

    - `rv` (Variable): the random variable, cloned.
    - `inputs` (dict of str to Variable): what stands for each leaf, by its name.
    - `unknown`, `varying`, `steady` (tuple of str): leaves that are unknown, that are given per
      unit, that are given for all.
    - `leaves` (tuple of str): what a term reads: the unknown and the steady ones.
    """

    def __init__(self, structure: Structure, name: str, known: Collection[str]) -> None:
        model = structure.model
        rv = structure.variable(name)
        unit = set(structure.unit_dims)
        leaves = {*model.basic_RVs, *model.data_vars}
        found = named_parents(rv.owner.inputs, leaves)
        inputs = {
            v: placeholder(f"in_{v.name}", v, unit & set(structure.dims.get(str(v.name), ())))
            for v in sorted(found, key=lambda v: str(v.name))
        }
        [self.rv] = clone_replace([rv], replace=inputs, rebuild_strict=False)
        self.structure, self.name = structure, name
        self.inputs = {str(v.name): place for v, place in inputs.items()}
        read = {str(v.name) for v in named_parents(params_of(rv), leaves)}
        data = {str(v.name) for v in model.data_vars}
        self.unknown = tuple(n for n in self.inputs if n in read and n not in {*known, *data})
        given = [n for n in self.inputs if n in read and n not in self.unknown]
        self.varying = tuple(n for n in given if unit & set(structure.dims.get(n, ())))
        self.steady = tuple(n for n in given if n not in self.varying)
        self.leaves = (*self.unknown, *self.steady)
        latent = [n for n in self.unknown if unit & set(structure.dims.get(n, ()))]
        parts = {p for pair in structure.imputed.values() for p in pair}
        if structure.mixing.get(name):
            [reason, *_] = structure.mixing[name].values()
            raise NotReducedError(f"units depend on each other ({reason})")
        if latent:
            raise NotReducedError(f"{', '.join(latent)} is unknown for each unit")
        if name in parts or parts & {*self.unknown, *given}:
            raise NotReducedError("cells are imputed")

    def function(
        self, outputs: Sequence[Variable], more: Sequence[Variable] = ()
    ) -> Callable[[Mapping[str, Any]], list[np.ndarray]]:
        """Return a function of named inputs; ``more`` are inputs besides the leaves."""
        places = {**self.inputs, **{str(v.name): v for v in more}}
        inside = set(ancestors(list(outputs), blockers=list(more)))
        used = {n: v for n, v in places.items() if v in inside}
        call = pytensor.function(
            list(used.values()), list(outputs), mode=PY_MODE, on_unused_input="ignore"
        )

        def at(values: Mapping[str, Any]) -> list[np.ndarray]:
            with np.errstate(all="ignore"):
                found = call(*(np.asarray(values[n], dtype=v.type.dtype) for n, v in used.items()))
            return [np.asarray(v) for v in found]

        return at

    def placed(self, term: Variable, found: Mapping[str, Variable]) -> Variable:
        """Return a term with its inputs replaced by variables of a model."""
        inside = set(ancestors([term]))
        back = {v: pt.cast(found[n], v.dtype) for n, v in self.inputs.items() if v in inside}
        return graph_replace([term], back, strict=False)[0]


def placeholder(name: str, variable: Variable, units: Collection[str] = ()) -> Variable:
    """Return an input in the place of a variable: of any length, but for ones that broadcast."""
    shape = [1 if k == 1 and not units else None for k in variable.type.shape]
    return pt.TensorType(variable.type.dtype, tuple(shape))(name)


def logit_of(probability: Variable) -> Variable | None:
    """Return the logit of an expression that is a sigmoid, as written; None if it is not.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> eta = pt.vector("eta")
    >>> logit_of(pt.sigmoid(eta)) is eta, logit_of(eta)
    (True, None)
    """
    node = probability.owner
    if node is None or not isinstance(node.op, Elemwise):
        return None
    return node.inputs[0] if isinstance(node.op.scalar_op, Sigmoid) else None


def probit_of(probability: Variable) -> Variable | None:
    """Return the probit of an expression that is written by erf or erfc; None if it is not.

    Examples
    --------
    >>> import pymc as pm, pytensor.tensor as pt
    >>> eta = pt.vector("eta")
    >>> round(float(probit_of(pm.math.invprobit(eta)).eval({eta: [0.7]})[0]), 6)
    0.7
    >>> probit_of(pt.erf(eta)) is None
    True
    """
    start, slope, v = 0.0, 1.0, probability
    while v.owner is not None and isinstance(v.owner.op, Elemwise):
        op = v.owner.op.scalar_op
        if isinstance(op, Erf | Erfc):
            ends = np.array([start, slope]) if isinstance(op, Erf) else [start + slope, -slope]
            if not np.allclose(np.abs(ends), 0.5, rtol=1e-12) or ends[0] < 0:
                return None
            return np.sign(ends[1]) * np.sqrt(2.0) * v.owner.inputs[0]
        numbers = [_number(i) for i in v.owner.inputs]
        left = [k for k, number in enumerate(numbers) if number is None]
        if len(left) != 1:
            return None
        k, known = left[0], [n for n in numbers if n is not None]
        if isinstance(op, ps.Add):
            start += slope * sum(known)
        elif isinstance(op, ps.Sub):
            start, slope = start + slope * known[0] * (1 if k else -1), slope * (-1 if k else 1)
        elif isinstance(op, ps.Mul):
            slope *= float(np.prod(known))
        elif isinstance(op, ps.TrueDiv) and not k:
            slope /= known[0]
        elif isinstance(op, ps.Neg):
            slope = -slope
        else:
            return None
        v = v.owner.inputs[k]
    return None


def _number(v: Variable) -> float | None:
    """Return the one number that a constant is."""
    while v.owner is not None and isinstance(v.owner.op, DimShuffle):
        v = v.owner.inputs[0]
    return float(v.data.item()) if isinstance(v, Constant) and np.size(v.data) == 1 else None
