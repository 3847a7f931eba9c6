"""A logistic equation on its rows, as one operation (see :mod:`.logistic`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.equation import NotReducedError, placeholder
from bayescausal.inference.closed_forms.logistic import logit_of, logit_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["LogitTerm"]


class LogitTerm:
    """A logistic equation on its rows, evaluated in one pass (see :mod:`.logistic`)."""

    def __init__(self, structure: Structure, name: str) -> None:
        rv = structure.variable(name)
        eta = None
        if type(rv.owner.op).__name__ == "BernoulliRV":
            eta = logit_of(rv.owner.op.dist_params(rv.owner)[0])
        if eta is None:
            raise NotReducedError("it is no logistic equation")
        leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
        inputs = {
            v: placeholder(f"in_{v.name}", v, ("unit",)) for v in named_parents([eta], leaves)
        }
        [self.eta] = clone_replace([eta], replace=inputs, rebuild_strict=False)
        self.name, self.inputs = name, {str(v.name): place for v, place in inputs.items()}
        self.leaves = tuple(sorted(self.inputs))

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the values as floats."""
        return {"value": np.asarray(columns[self.name], dtype=float)}

    def term(self, data: Mapping[str, Variable], found: Mapping[str, Variable]) -> Variable:
        """Return the log-likelihood; parameters as in :meth:`CellTerm.term`."""
        inside = set(ancestors([self.eta]))
        back = {v: found[n] for n, v in self.inputs.items() if v in inside}
        eta, y = graph_replace([self.eta], back, strict=False)[0], data["value"]
        if eta.type.ndim != 1 or y.type.ndim != 1 or eta.type.broadcastable[0]:
            eta = (eta + pt.zeros_like(y)).flatten()
        return logit_sum(eta, y.flatten() if y.type.ndim != 1 else y)[0]
