"""Another table of units as the population: standardisation to a target population.

.. math:: \\tau = \\frac{1}{|T|} \\sum_{i \\in T} \\tau(x_i)

Effects are estimated from the data and averaged over the rows of the table; of a question about a
subgroup (``given``, ``by``), over the rows of the subgroup; of the effect on the treated, over the
rows that the table says are treated. The overlap population has no rows of its own there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.estimands.populations import Target
from bayescausal.effects.without_model.read_table import read_frame
from bayescausal.estimators.problem.encoding import encode, is_number
from bayescausal.inference.data.rows import plain
from bayescausal.types import DataError, EstimandError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["TargetRows", "refuse_empty_cells", "target_rows"]


@dataclass(frozen=True, eq=False)
class TargetRows:
    """The rows of a target population."""

    x: np.ndarray  # (row, column, float) The columns adjusted for, coded as those of the data
    table: Mapping[str, np.ndarray]  # (row) The columns that form subgroups, as they came

    def part(self, inside: np.ndarray) -> TargetRows:
        """Return some of the rows."""
        return TargetRows(self.x[inside], {n: v[inside] for n, v in self.table.items()})

    def columns(self, kept: np.ndarray) -> TargetRows:
        """Return the rows with some of the columns adjusted for."""
        return TargetRows(self.x[:, kept], self.table)


def target_rows(
    estimand: Estimand, adjusted: tuple[str, ...], table: Mapping[str, np.ndarray], group: str
) -> TargetRows | None:
    """Return the rows of the table that is the population; None where it is not a table.

    - `estimand`: what is asked.
    - `adjusted`: the variables adjusted for.
    - `table` (unit): the data.
    - `group` ("all", "treated", "control" or "overlap"): over whom of the population.
    Raises EstimandError if the overlap population of a table is asked for.
    Raises UnknownVariableError, DataError if the table lacks a column, has empty cells, a level
      that the data have not, or no row of the group.
    """
    if not isinstance(estimand.population, Target):
        return None
    if group == "overlap":
        raise EstimandError(
            f"{estimand.label()} is about the units at hand, weighted by their propensity; a table "
            "has none.",
            expected="ATE, CATE, ATT or ATU over a table of units.",
        )
    frame = read_frame(estimand.population.data)
    [treatment] = estimand.treatments
    arm = () if group == "all" else (treatment,)
    there: dict[str, np.ndarray] = {}
    for name in dict.fromkeys((*adjusted, *estimand.given.reads, *estimand.by, *arm)):
        if name not in frame.columns:
            raise unknown_variable(name, map(str, frame.columns), what="a column of the target")
        there[name] = plain(frame[name])
        refuse_empty_cells(name, there[name], "of the target")
        if is_number(table[name]) and not is_number(there[name]):
            raise DataError(
                f"{name!r} holds numbers in the data and {there[name][0]!r} in the target table.",
                expected="columns of the same kind.",
            )
        if not is_number(table[name]):
            new = sorted({*there[name].tolist()} - {*table[name].tolist()}, key=str)
            if new:
                raise DataError(
                    f"{name} = {new[0]} occurs in the target table and in no unit of the data.",
                    expected="levels that the data have.",
                )
    both = {name: np.concatenate([table[name], there[name]]) for name in adjusted}
    x = encode(both)[0][-len(frame) :] if adjusted else np.empty((len(frame), 0))
    rows = TargetRows(x, there)
    if not arm:
        return rows
    level = getattr(estimand.worlds()[group].get(treatment), "value", None)
    inside = np.asarray(there[treatment] == level, dtype=bool)
    if not inside.any():
        raise DataError(
            f"No row of the target table has {treatment} = {level}.",
            expected=f"rows of those who are {group}, over whom {estimand.label()} averages.",
            remedy="Ask the ATE over the table.",
        )
    return rows.part(inside)


def refuse_empty_cells(name: str, column: np.ndarray, where: str = "") -> None:
    """Refuse a column with empty cells.

    Raises DataError with how many there are.
    """
    empty = _empty(column)
    if empty.any():
        raise DataError(
            f"{name!r}{f' {where}' if where else ''} is empty in {int(empty.sum()):,} of "
            f"{len(column):,} rows.",
            expected="a value in each row of treatment, outcome and subgroup.",
            remedy="Drop these rows if they are missing by chance, or fit a model, which imputes.",
        )


def _empty(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "iub":
        return np.zeros(len(column), dtype=bool)
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.array([v is None or v != v for v in column])
