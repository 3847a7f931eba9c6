"""Exact matching on coarsened columns: all units of a cell are matches of each other.

Numbers with more values than bins are cut at quantiles; labels and numbers with few values are
taken as they are. Cells without one arm are left out, and the answer is about the others [1]_.

References
----------
.. [1] S. M. Iacus, G. King and G. Porro, "Causal inference without balance checking: coarsened
   exact matching", Political Analysis 20 (2012), 1-24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.estimators.estimator import Prepared
from bayescausal.estimators.problem.encoding import is_number, refuse_holes
from bayescausal.estimators.weighting.extremes import extreme_notes
from bayescausal.estimators.weighting.strata import complete, implied_weights, stratified_means
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.estimators.estimator import Estimator
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["cells_of_columns", "coarsened_means"]


def coarsened_means(estimator: Estimator, problem: Problem, bins: int | None) -> Prepared:
    """Return the means of both worlds within cells, ready for any weights."""
    cell, cut = cells_of_columns(problem, bins)
    kept = complete(problem, cell)
    wanted = problem.population() > 0
    asked = kept & wanted
    if not asked.any():
        raise DataError(
            f"No cell of {', '.join(problem.adjust or ())} holds units of both arms.",
            expected="units of both levels that agree.",
            remedy="Ask for fewer bins=, or metric='mahalanobis'.",
        )
    population = problem.population() * kept
    own = implied_weights(problem, cell, kept, population)
    notes = [f"{len(np.unique(cell[kept])):,} cells hold units of both arms."]
    if cut:
        notes.append(f"Cut at quantiles into {bins}: {', '.join(cut)}.")
    whom = ""
    if asked.sum() < wanted.sum():
        whom = (
            f"the {int(asked.sum()):,} of {int(wanted.sum()):,} {problem.units} asked about with "
            "an exact match"
        )
    return Prepared(
        stratified_means(problem, cell, kept, population),
        estimator.draws_text(problem) + " The cells are held.",
        weights=own,
        whom=whom,
        notes=(*notes, *extreme_notes(problem, own)),
    )


def cells_of_columns(problem: Problem, bins: int | None) -> tuple[np.ndarray, list[str]]:
    """Return the cell of each unit, and the names of the columns that were cut."""
    refuse_holes(problem.x, problem.names, "exact matching")
    parts, cut = {}, []
    for name in problem.adjust or ():
        values = problem.table[name]
        if is_number(values) and bins is not None and len(np.unique(values)) > bins:
            ends = np.unique(np.quantile(values.astype(float), np.arange(1, bins) / bins))
            parts[name] = np.searchsorted(ends, values.astype(float), side="left")
            cut.append(name)
        else:
            parts[name] = pd.factorize(values)[0]
    if not parts:
        return np.zeros(problem.n, dtype=int), cut
    return pd.DataFrame(parts).groupby(list(parts), sort=True).ngroup().to_numpy(), cut
