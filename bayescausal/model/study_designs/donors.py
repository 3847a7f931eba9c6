"""A weighted average of columns that stands for one untreated series: synthetic control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.traversal import ancestors

from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.structure import family_name
from bayescausal.model.study_designs.boundary import switches_once
from bayescausal.model.study_designs.two_way import looked_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["weighted_donors"]

#: The method of the verdict.
MATCH = "the match continues"


def weighted_donors(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
) -> Identification:
    """Lower a verdict that rests on columns weighted by a Dirichlet parameter.

    The treatment begins once along a column (the time), for all rows or within each unit; the
    outcome's equation reads a column for each of several donors.
    """
    own = values.get(x)
    if own is None or own.ndim != 1:
        return found
    named = {v: n for n, v in structure.model.named_vars.items()}
    read = [named[v] for v in ancestors(params_of(structure.variable(y))) if v in named]
    pools = [n for n in read if n in structure.data and values[n].ndim == 2]
    weighted = any(family_name(structure.model[n]) == "Dirichlet" for n in read)
    if not weighted or not pools or not _begins(own, structure, y, x, values):
        return found
    pool = pools[0]
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


def _begins(
    own: np.ndarray, structure: Structure, y: str, x: str, values: Mapping[str, np.ndarray]
) -> bool:
    """Whether a treatment begins once along some column, within each unit."""
    columns = {n: v for n, v in values.items() if n not in (x, y) and v.shape == own.shape}
    parts = [np.zeros(len(own), dtype=int)]
    for name in looked_up(structure, y):
        if name in columns:
            parts.append(np.unique(columns[name], return_inverse=True)[1].reshape(-1))
    times = [v for v in columns.values() if v.dtype.kind in "iuf"]
    return any(
        all(switches_once(own[part == k], time[part == k]) for k in range(part.max() + 1))
        for time in times
        for part in parts
    )
