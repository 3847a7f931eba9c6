"""Which group a unit belongs to: the index by which an equation reads groups, as ``x[school]``.

A treatment of schools has treated schools. Their pupils are treated pupils, and the model says
which they are wherever an equation of pupils reads something of schools by an index of pupils. A
subgroup of pupils can then be formed by what is known of schools. It fails where the model holds
two indices from pupils to schools (the school of today, and the first one): which is meant cannot
be told.

References
----------
A. Gelman and J. Hill, *Data Analysis Using Regression and Multilevel/Hierarchical Models*,
Cambridge University Press, 2007, section 11.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.traversal import ancestors
from pytensor.tensor.subtensor import AdvancedSubtensor, indices_from_subtensor

from bayescausal.effects.evaluation.outcome_distributions import members_of
from bayescausal.effects.without_model.read_table import hardly_twice
from bayescausal.types import EmptySubgroupError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.estimands.conditions import Condition
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.model.structure.structure import Structure

__all__ = ["groups_read", "groups_seen", "index_of"]

#: A group of fewer units is noted: which ones they are matters more than the interval says.
FEW = 10


def index_of(structure: Structure, outcome: str, frame: Sequence[str], dim: str) -> str | None:
    """Return the name of the index from the outcome's units to the groups of another dim.

    Returns: None if there is none, or more than one.
    """
    if len(frame) != 1:
        return None
    model = structure.model
    named = {v: n for n, v in model.named_vars.items()}
    found = set()
    for variable in ancestors([model[outcome]]):
        node = variable.owner
        if node is None or not isinstance(node.op, AdvancedSubtensor):
            continue
        indices = indices_from_subtensor(node.inputs[1:], node.op.idx_list)
        places = [named[i] for i in indices if i in named]
        if len(indices) != 1 or not places:
            continue
        own = tuple(model.named_vars_to_dims.get(places[0]) or ())
        integer = str(model[places[0]].dtype).startswith(("int", "uint"))
        base = node.inputs[0]
        looked_up = [  # groups of groups, by another index: x[district][school]
            v for v in ancestors([base]) if isinstance(getattr(v.owner, "op", None), type(node.op))
        ]
        groups = {
            tuple(model.named_vars_to_dims.get(named[v]) or ())
            for v in ancestors([base], blockers=looked_up)
            if v in named and getattr(v, "ndim", 0) == base.ndim
        }
        if own == tuple(frame) and integer and (dim,) in groups:
            found.add(places[0])
    return found.pop() if len(found) == 1 else None


def groups_read(
    structure: Structure, units: Units, estimand: Estimand, reads: Sequence[str]
) -> dict[str, str]:
    """Return the index that says which group a unit belongs to, for each dim of groups read.

    Refuse subgroups that are formed at another level than the outcome's where there is none.
    """
    frame = [d for d in structure.dims[estimand.outcome_name] if d in structure.unit_dims]
    belongs: dict[str, str] = {}
    for name in reads:
        own = [d for d in structure.dims[name] if d in structure.unit_dims]
        for other in [d for d in own if d not in frame]:
            index = belongs.get(other) or index_of(structure, estimand.outcome_name, frame, other)
            if index is None:
                raise EstimandError(
                    f"{name!r} varies over {', '.join(own)}, and {estimand.outcome_name!r} over "
                    f"{', '.join(frame)}: which {(frame or ['unit'])[0]} belongs cannot be told.",
                    remedy="Form the subgroup by a variable of the outcome's level.",
                )
            belongs[other] = index
    lengths = tuple(units.sizes[d] for d in frame)
    for mask in estimand.condition.masks:
        if mask.shape != lengths:
            raise EmptySubgroupError(
                f"The mask has shape {mask.shape}.",
                expected=f"{lengths}, one boolean per unit, in the order of the data.",
            )
    return belongs


def groups_seen(question: Question, cells: Sequence[Condition]) -> tuple[str, list[str]]:
    """Return over whom two groups that were seen are compared, with their sizes; and notes.

    - `cells`: the subgroups of `by`; of everyone without it.
    """
    asked: Any = question.estimand
    if asked.grouped_by is None:
        return question.words, []
    counts = [[_count(question, arm.condition & cell) for arm in question.arms] for cell in cells]
    known = question.population != "superpopulation"
    if any(n is None for each in counts for n in each):
        return f"{question.words}{', in two groups' if known else ''}", []
    words = question.words
    if known and len(cells) == 1:
        sizes = zip(counts[0], question.arms, strict=True)
        words += ", " + " and ".join(f"{n:,} where {a.condition.describe()}" for n, a in sizes)
    few = [
        f"{n} with {', '.join(filter(None, [who, cell.describe()]))}"
        for each, cell in zip(counts, cells, strict=True)
        for n, who in zip(each, asked.groups, strict=True)
        if n is not None and n < FEW
    ]
    if not few:
        return words, []
    named = "; ".join(few[:FEW]) + (f"; and {len(few) - FEW} more" if len(few) > FEW else "")
    told = f"Few units in a group: {named}. Which units these are is chance"
    told += ", and no interval holds it." if known else "."
    column = question.fit.columns.get(asked.grouped_by)
    if column is not None and asked.grouped_by not in question.fit.labels:
        values = np.unique(column[np.isfinite(column)])
        if hardly_twice(values, len(values), column.size):
            told += f" {asked.if_empty(f'{asked.grouped_by}=', column)}"
    return words, [told]


def _count(question: Question, who: Condition) -> int | None:
    """Return how many units meet a condition, where that is the same in every draw."""
    drawn = question.units.fresh or not question.recomputed.isdisjoint(who.reads)
    inside = None if drawn else members_of(question.units, who)
    if inside is None or inside.size != question.units.count:
        return None
    if question.counts is None:
        return int(inside.sum())
    stand_for = np.ravel(np.asarray(question.counts, dtype=float))  # distinct rows, for several
    return round(float(stand_for[np.ravel(inside)].sum()))
