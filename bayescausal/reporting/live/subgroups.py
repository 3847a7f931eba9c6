"""Subgroups that a reader may choose: of columns that the treatment does not act on.

Each value of a column with few values is one, and each third of one with many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from bayescausal.draws.digits import significant
from bayescausal.effects.estimands.conditions import parse_given
from bayescausal.model.graph_queries.queries import with_latents

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = ["columns_of", "subgroups_of"]

#: Columns whose subgroups are offered; values of a column that are subgroups.
MOST_COLUMNS, FEW_VALUES = 2, 4


def columns_of(fit: Fit, effect: Effect) -> list[str]:
    """Return columns that the treatment does not act on, causes of the outcome first."""
    asked: Any = effect.estimand
    graph = with_latents(fit, None)
    outcome = asked.outcome_name
    if not asked.treatments or not {outcome, *asked.treatments} <= {*graph}:
        return []
    held = {*asked.treatments, *(getattr(asked, "mediators", None) or ())} & {*graph}
    after = held.union(*(nx.descendants(graph, name) for name in held))
    size = max((np.size(v) for v in fit.columns.values()), default=0)
    fine = [
        name
        for name, values in fit.columns.items()
        if name in graph
        and name not in {*after, *asked.condition.reads}
        and np.ndim(values) == 1
        and np.size(values) == size
        and name not in fit.missing
        and len(np.unique(values)) > 1
    ]
    near = set(graph.predecessors(outcome))
    return sorted(fine, key=lambda name: name not in near)[:MOST_COLUMNS]


def subgroups_of(
    fit: Fit, asked: Estimand, columns: list[str], notes: list[str]
) -> list[tuple[str, Any, str | None]]:
    """Return what subgroups are called, their condition, and the column they are split by."""
    found: list[tuple[str, Any, str | None]] = []
    for name in columns:
        values = np.asarray(fit.columns[name])
        if name in fit.labels or len(np.unique(values)) <= FEW_VALUES:
            found.append((name, asked.given, name))
        elif values.dtype.kind not in "iuf":
            notes.append(f"{name} is not split: it has more than {FEW_VALUES} values.")
        else:
            for low, high in _thirds(values.astype(float)):
                count = int(((values >= low) & (values <= high)).sum())
                told = f"{name} from {significant(low, 3)} to {significant(high, 3)}"
                told += "" if asked.condition else f" ({count:,} of {values.size:,})"
                found.append((told, asked.given & parse_given({name: (low, high)}), None))
    return found


def _thirds(values: Array) -> list[tuple[float, float]]:
    """Return three ranges that hold a third of the values each, none of them twice."""
    ordered = np.unique(values)
    if len(ordered) < 2:
        return []
    cuts = []
    for share in (1 / 3, 2 / 3):
        low = ordered[ordered <= np.quantile(values, share)]
        k = min(len(low), len(ordered) - 1)
        cuts.append((ordered[k - 1], ordered[k]))
    (a, b), (c, d) = cuts
    ends = [(ordered[0], a), (b, c), (d, ordered[-1])]
    return [(float(low), float(high)) for low, high in ends if low <= high]
