"""A weighted average of columns that stands for one untreated series: synthetic control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.structure import family_name
from bayescausal.model.study_designs.boundary import switches_once
from bayescausal.model.study_designs.two_way import looked_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.graph.basic import Variable

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["weighted_donors"]

#: The method of the verdict.
MATCH = "the match continues"
#: Longest step between times over the shortest: months differ by three days.
UNEVEN = 1.2


def weighted_donors(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
) -> Identification:
    """Lower a verdict that rests on columns weighted by a Dirichlet parameter.

    The treatment begins once along a column of evenly spaced times, for all rows or within each
    unit, and the outcome's equation has a term that is the product of the columns of the donors,
    two dims of data, and of Dirichlet weights.
    """
    own = values.get(x)
    if own is None or own.ndim != 1:
        return found
    pool = next((n for n in _weighted(structure, y) if values[n].ndim == 2), None)
    if pool is None or not _begins(own, structure, y, x, values):
        return found
    text = (
        f"{MATCH}: but for {x}, {y} would have gone on as the weighted average of {pool} that it "
        f"was before; {x} does nothing to {pool}, and nothing else changed {y} when {x} began"
    )
    return replace(
        found,
        status="under assumption",
        method=MATCH,
        estimand=None,
        reason="",
        assumptions=(text,),
    )


def _weighted(structure: Structure, y: str) -> list[str]:
    """Return the data whose average with Dirichlet weights is a term of an equation."""
    model = structure.model
    named = {v: n for n, v in model.named_vars.items()}
    weights = [v for v in model.free_RVs if family_name(v) == "Dirichlet"]
    todo, found = list(params_of(structure.variable(y))), []
    while todo:
        node = _whole(todo.pop()).owner
        scalar = getattr(getattr(node, "op", None), "scalar_op", None)
        if isinstance(scalar, ps.Add | ps.Sub):
            todo += node.inputs
            continue
        if node is not None and isinstance(node.op, Sum):
            node = _whole(node.inputs[0]).owner
            scalar = getattr(getattr(node, "op", None), "scalar_op", None)
        product = node is not None and isinstance(getattr(node.op, "core_op", node.op), Dot)
        factors = [_whole(i) for i in node.inputs] if product or isinstance(scalar, ps.Mul) else []
        if any(f in weights for f in factors):
            found += [named[f] for f in factors if named.get(f) in structure.data]
    return found


def _whole(v: Variable) -> Variable:
    """Return what an expression is a view or a selection of."""
    views = DimShuffle | Subtensor | AdvancedSubtensor
    while (node := v.owner) is not None:
        scalar = getattr(node.op, "scalar_op", None)
        if not isinstance(node.op, views) and not isinstance(scalar, ps.Identity | ps.Cast):
            break
        v = node.inputs[0]
    return v


def _begins(
    own: np.ndarray, structure: Structure, y: str, x: str, values: Mapping[str, np.ndarray]
) -> bool:
    """Whether a treatment begins once along some column of times, within each unit."""
    columns = {n: v for n, v in values.items() if n not in (x, y) and v.shape == own.shape}
    parts = [np.zeros(len(own), dtype=int)]
    for name in looked_up(structure, y):
        if name in columns:
            parts.append(np.unique(columns[name], return_inverse=True)[1].reshape(-1))
    return any(
        all(_once(own[part == k], time[part == k]) for k in range(part.max() + 1))
        for time in columns.values()
        for part in parts
    )


def _once(x: np.ndarray, time: np.ndarray) -> bool:
    """Whether x begins at one of several times, a row each, about as far from each other."""
    seen = np.isfinite(np.asarray(x, dtype=float)) & np.isfinite(np.asarray(time, dtype=float))
    x, time = x[seen], time[seen]
    if not switches_once(x, time, after=1):
        return False
    steps = np.diff(np.sort(time))
    return bool(x[time.argmax()] > x.min() and 0 < steps.max() <= UNEVEN * steps.min())
