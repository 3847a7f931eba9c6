"""The columns of a fit, one value for each unit of the outcome, labels as they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.evaluation.group_membership import index_of
from bayescausal.effects.evaluation.verdict import asked_records, verdict_of
from bayescausal.evaluation.label_levels import is_category
from bayescausal.evaluation.measured import plain_name, recorded_notes
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.stream.source_data import is_streamed
from bayescausal.model.structure.integer_roles import role_of
from bayescausal.types import DataError, EstimandError, MixingError

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.graph.identification.verdict import Identification
    from bayescausal.inference.record import Fit

__all__ = ["columns_of"]


def columns_of(fit: Fit, estimand: Estimand) -> tuple[Identification, dict[str, np.ndarray]]:
    """Return the verdict on a question under a fit, and the columns by their names.

    Raises DataError if the fit has no data, or its rows are not in memory.
    Raises MixingError if equations of the outcome mix units, so that these are no sample of their
      own.
    Raises EstimandError if the outcome stands for another variable that was recorded with bounds.
    """
    if fit.data is None:
        raise DataError(
            f"The {fit.kind} has no data, and an estimator knows nothing else.",
            remedy="Pass data to prior or truth, or a graph with data=.",
        )
    if is_streamed(fit):
        raise DataError(
            "The rows of this fit are not in memory.",
            expected="a table in memory.",
            remedy="Pass a graph with data=, a part of the rows that fits.",
        )
    fit = with_columns(fit, estimand.names)
    for name in estimand.names:
        fit.structure.require(name)
    recorded = recorded_notes(fit, asked_records(estimand))
    outcome = plain_name(estimand.outcome_name)
    if recorded and outcome == estimand.outcome_name:
        raise EstimandError(
            f"{estimand.outcome_name!r} was recorded with bounds, and the question is about what "
            "was measured: estimators see the record alone.",
            remedy=f'Ask about "recorded({outcome})".',
        )
    decided = verdict_of(estimand, fit)
    frame = tuple(d for d in fit.structure.dims[outcome] if d in fit.structure.unit_dims)
    mixed = {d: why for d, why in fit.structure.mixes().items() if d in frame}
    if mixed:
        raise MixingError(
            f"Units depend on each other: {next(iter(mixed.values()))}. They are no sample whose "
            "units could be weighted one by one.",
            remedy="Ask bc.estimate(fit, ...), which knows the equations.",
        )
    table = {}
    for name in dict.fromkeys((*fit.columns, *fit.structure.data)):
        own = (*estimand.treatments, outcome)
        column = _unit_column(fit, name, outcome, frame, label=name not in own)
        if column is not None:
            table[name] = column
    table[estimand.outcome_name] = table[outcome]
    return decided, table


def _unit_column(
    fit: Fit, name: str, outcome: str, frame: tuple[str, ...], *, label: bool
) -> np.ndarray | None:
    """Return a column with one value for each unit; None where it has none.

    With `label`, whole numbers that name groups are no numbers: three groups are not on a line.
    """
    structure = fit.structure
    dims = structure.dims.get(name, ())
    value = np.asarray(fit.columns[name] if name in fit.columns else fit.value(name))
    if value.ndim != len(dims):
        return None
    for other in [d for d in dims if d not in frame]:
        index = index_of(structure, outcome, frame, other)
        if index is None or index not in fit.columns or len(dims) != 1:
            return None
        value = value[np.asarray(fit.columns[index]).astype(int)]
        dims = frame
    assert fit.sizes is not None
    sizes = [int(fit.sizes[d]) for d in frame]
    order = [dims.index(d) for d in frame if d in dims]
    shape = [fit.sizes[d] if d in dims else 1 for d in frame]
    wide = np.broadcast_to(np.transpose(value, order).reshape(shape), sizes).reshape(-1)
    labels = fit.labels.get(name)
    if not labels and name != outcome and _is_code(fit, name, wide):
        labels = tuple(range(int(np.nanmax(wide)) + 1))
    if not labels:
        many = label and is_category(fit, name)
        return wide.astype(object) if many else np.array(wide)
    named = np.empty(len(labels) + 1, dtype=object)
    named[:-1] = list(labels)
    codes = np.where(np.isnan(wide), len(labels), wide) if wide.dtype.kind == "f" else wide
    return np.asarray(named[codes.astype(int)])


def _is_code(fit: Fit, name: str, values: np.ndarray) -> bool:
    """Whether numbers are codes of categories: the equations take them as an index."""
    seen = values[np.isfinite(values)] if values.dtype.kind in "iuf" else np.empty(0)
    whole = len(seen) > 0 and seen.min() >= 0 and (seen == np.floor(seen)).all()
    if not whole or len(np.unique(seen)) < 3:
        return False
    return role_of(fit.structure, name) == "label"
