"""An equation of censored times on its rows, as one operation (see :mod:`.kernels`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Exp
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.inference.closed_forms.affine import Expressions
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.equation import NotReducedError, placeholder
from bayescausal.model.structure.structure import family_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.structure.structure import Structure

    type Parts = tuple[str, Variable, Variable]

__all__ = ["FAMILIES", "TimeTerm"]

#: Distributions of times that have such a form.
FAMILIES = ("Weibull", "Exponential", "LogNormal", "LogLogistic")
#: What is known of a time: it is later, it is that, it is earlier.
RIGHT, EVENT, LEFT = 0.0, 1.0, 2.0


class TimeTerm:
    """An equation of times censored on the right or on the left, evaluated in one pass."""

    def __init__(self, structure: Structure, name: str) -> None:
        rv = structure.variable(name)
        if not isinstance(rv.owner.op, CensoredRV):
            raise NotReducedError("it is no censored time")
        base, lower, upper = rv.owner.inputs
        self.family, eta, shape = _parts(base)
        model = structure.model
        leaves = {*model.basic_RVs, *model.data_vars}
        data = {str(v.name) for v in model.data_vars}
        self.bounds = Expressions(structure, [lower, upper], data)
        if set(self.bounds.reads) - data:
            raise NotReducedError("its bounds are not data")
        inputs = {
            v: placeholder(f"in_{v.name}", v, ("unit",))
            for v in named_parents([eta, shape], leaves)
        }
        self.eta, self.shape = clone_replace([eta, shape], replace=inputs, rebuild_strict=False)
        if self.shape.type.ndim and not all(self.shape.type.broadcastable):
            raise NotReducedError("its shape differs between rows")
        self.name, self.inputs = name, {str(v.name): place for v, place in inputs.items()}
        self.leaves = tuple(sorted(self.inputs))

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the logarithm of each time, and what is known of it.

        Refused are times that no such distribution has.
        """
        time = np.asarray(columns[self.name], dtype=float)
        lower, upper = (np.broadcast_to(v, time.shape) for v in self.bounds(columns))
        kind = np.where(time >= upper, RIGHT, np.where(time <= lower, LEFT, EVENT))
        fine = (time > 0) & (time <= upper) & (time >= lower) & (lower < upper)
        if time.ndim != 1 or not np.all(fine):
            raise NotReducedError("its times are not positive, or not within their bounds")
        log = np.log(time)
        return {"log": log, "kind": kind, "jacobian": np.sum(log[kind == EVENT])}

    def term(self, data: Mapping[str, Variable], found: Mapping[str, Variable]) -> Variable:
        """Return the log-likelihood; parameters as in :meth:`CellTerm.term`."""
        from bayescausal.inference.censored.kernels import TimeSum  # it loads numba

        inside = set(ancestors([self.eta, self.shape]))
        back = {v: found[n] for n, v in self.inputs.items() if v in inside}
        eta, shape = graph_replace([self.eta, self.shape], back, strict=False)
        log_t, kind = data["log"], data["kind"]
        if eta.type.ndim != 1 or eta.type.broadcastable[0]:
            eta = (eta + pt.zeros_like(log_t)).flatten()
        one = shape.flatten()[0] if shape.type.ndim else shape
        return TimeSum(self.family)(eta, one, log_t, kind)[0] - data["jacobian"]


# ------------------------------------------------------------------------------- private


def _parts(base: TensorVariable) -> Parts:
    """Return the family of a time, its predictor and its shape."""
    kind = family_name(base)
    if kind not in FAMILIES:
        raise NotReducedError("its distribution has no such form")
    parameters = base.owner.op.dist_params(base.owner)
    if kind == "Weibull":
        return "weibull", _log_of(parameters[1]), parameters[0]
    if kind == "Exponential":
        return "weibull", _log_of(parameters[0]), pt.constant(1.0)
    return ("lognormal" if kind == "LogNormal" else "loglogistic"), parameters[0], parameters[1]


def _log_of(scale: Variable) -> Variable:
    """Return the logarithm of a scale: the predictor itself where it is its exponential."""
    node = scale.owner
    if node is not None and isinstance(node.op, DimShuffle):
        inner = _log_of(node.inputs[0])
        return node.op(inner)
    if node is not None and isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Exp):
        return node.inputs[0]
    return pt.log(scale)
