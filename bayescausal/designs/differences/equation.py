"""The equation of differences in differences, written as a formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.designs.panel_table import in_model
from bayescausal.designs.table import refuse_names
from bayescausal.effects.estimands.treated_groups import ATT
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm

    from bayescausal.designs.differences.cohorts import Cohorts

__all__ = ["CELL", "COHORT", "EVENT", "LEAD", "Equation", "compared", "equation_of"]

#: What the design adds to the table.
COHORT, CELL, LEAD, EVENT, DEVIATION = (
    "cohort",
    "cohort_time",
    "lead",
    "event_time",
    "deviation",
)
NONE = "none"


@dataclass(frozen=True, eq=False)
class Equation:
    """What the outcome depends on."""

    cohorts: Cohorts
    # outcome, unit, time, treated: names in the model.
    outcome: str
    unit: str
    time: str
    treated: str
    covariates: tuple[str, ...]
    clusters: tuple[str, ...]
    # control, effect, family, violation, scale: as in the design's arguments.
    control: str
    effect: str
    family: str
    violation: str | None
    scale: float | None
    unit_effects: bool = True

    @property
    def gaussian(self) -> bool:
        """Whether effects are differences of the outcome itself."""
        return self.family in ("gaussian", "student-t")

    @property
    def leads(self) -> np.ndarray:
        """Rows before treatment with a deviation of their own."""
        found = self.cohorts
        if self.control == "never" and self.violation != "linear":
            return found.before
        return found.before & (found.event_time >= -found.anticipation)

    def cell(self, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Return the name of each row's cell, and the names in order, ``"none"`` first."""
        found, event = self.cohorts, self.cohorts.event_time
        names = np.full(len(rows), NONE, dtype=object)
        if self.effect == "event_time":
            names[rows] = [str(e) for e in event[rows]]
            order = [str(e) for e in np.unique(event[rows])]
        else:
            labels, label = found.table.labels, found.label
            pairs = [(int(s), int(t)) for s, t in zip(found.start, found.table.period, strict=True)]
            text = {(s, t): f"{label[s]}, {labels[t]}" for s, t in set(pairs)}
            names[rows] = [text[pairs[k]] for k in np.flatnonzero(rows)]
            order = [text[p] for p in sorted({pairs[k] for k in np.flatnonzero(rows)})]
        return names, [NONE, *order]

    def model(self, priors: Mapping[str, Any] | None) -> tuple[pm.Model, pd.DataFrame]:
        """Return the model and the columns that it is conditioned on."""
        import pymc as pm

        found, frame = self.cohorts, self.cohorts.table.frame
        columns = pd.DataFrame({self.outcome: frame[self.outcome]})
        label = found.label
        order = [label[found.never], *(label[s] for s in found.starts)]
        columns[COHORT] = pd.Categorical([label[s] for s in found.start], order)
        times = self._times()
        columns[self.time] = pd.Categorical([times[p] for p in found.table.period], times)
        columns[self.treated] = found.treated
        terms = [COHORT, self.time]
        own: dict[str, Any] = {}
        if self.leads.any():
            names, levels = self.cell(self.leads)
            columns[LEAD] = pd.Categorical(names, levels)
            terms.append(LEAD)
        names, levels = self.cell(found.treated == 1)
        columns[CELL] = pd.Categorical(names, levels)
        terms.append(f"{self.treated}:{CELL}")
        terms += self._violations(columns, own)
        terms += self._covariates(columns)
        groups = [*((self.unit,) if self.unit_effects else ()), *self.clusters]
        for name in dict.fromkeys(groups):
            own_name = in_model(name, [*map(str, columns), *groups])
            columns[own_name] = pd.Categorical(frame[name].astype(str))
            terms.append(f"(1 | {own_name})")
        model = model_from_formulas(
            [f"{self.outcome} ~ {' + '.join(terms)}"],
            {self.outcome: self.family},
            columns,
            own | dict(priors or {}),
            noncentered=self.family != "gaussian",
        )
        columns[EVENT] = found.event_time.astype(float)
        with model:
            pm.Data(EVENT, columns[EVENT].to_numpy(), dims="unit")
        return model, columns

    def _times(self) -> list[Any]:
        """Return the labels of the times, as numbers where they are."""
        times = self.cohorts.table.times
        whole = all(isinstance(t, int | float) and float(t).is_integer() for t in times)
        return [int(t) for t in times] if whole else self.cohorts.table.labels

    def _violations(self, columns: pd.DataFrame, own: dict[str, Any]) -> list[str]:
        """Add the columns of deviations from parallel trends; return their terms."""
        found, prior = self.cohorts, f"Normal(0, {self.scale})"
        if self.violation == "level":
            names, levels = self.cell(found.treated == 1)
            columns[DEVIATION] = pd.Categorical(names, levels)
            own[f"b_{self.outcome}_{DEVIATION}"] = prior
            return [DEVIATION]
        if self.violation is None:
            return []
        terms = []
        since = found.table.period - (found.start - 1 - found.anticipation)
        for k, start in enumerate(found.starts):
            name = f"trend_{k + 1}"
            columns[name] = np.where(found.start == start, since, 0).astype(float)
            own[f"b_{self.outcome}_{name}"] = prior
            terms.append(name)
        return terms

    def _covariates(self, columns: pd.DataFrame) -> list[str]:
        """Add the covariates; those constant in each unit also by time."""
        table, terms = self.cohorts.table, []
        for name in self.covariates:
            columns[name] = table.frame[name]
            terms.append(name)
            if not (table.frame[name].groupby(table.unit).nunique() > 1).any():
                terms.append(f"{name}:{self.time}")
        return terms

    def effects(self) -> dict[str, Any]:
        """Return the questions of the design."""

        d, y = self.treated, self.outcome
        return {
            "ATT": ATT(d, y),
            "by_cohort": ATT(d, y, by=COHORT),
            "by_time": ATT(d, y, by=self.time),
            "by_event_time": ATT(d, y, by=EVENT),
            "by_cohort_and_time": ATT(d, y, by=(COHORT, self.time)),
        }


def compared(cohorts: Cohorts, control: str) -> tuple[Cohorts, str]:
    """Return the cohorts that have somebody to be compared with, and what was left out."""
    never = bool((cohorts.start == cohorts.never).any())
    if never:
        return cohorts, ""
    last, labels = cohorts.starts[-1], cohorts.table.labels
    if control == "never":
        raise DataError(
            "Every unit is treated in the end: no unit is never treated.",
            expected='Units without treatment for control="never".',
            remedy='control="not_yet" compares with units that are treated later.'
            if len(cohorts.starts) > 1
            else "Without units to compare with, bc.designs.interrupted_time_series takes the "
            "past of the treated themselves.",
        )
    if len(cohorts.starts) < 2:
        raise DataError(
            f"Every unit is treated from {labels[last]} on: nobody is left to compare with.",
            expected="Units never treated, or treated at another time.",
        )
    cut = last - cohorts.anticipation
    rows = cohorts.table.period < cut
    left = cohorts.kept(rows, cut)
    if not left.starts:
        raise DataError("Nobody is treated before those who are compared with expect to be.")
    n = int((~rows).sum())
    return left, (
        f" From {labels[cut]} on everybody is treated"
        f"{' or expects to be' if cohorts.anticipation else ''}: these {n:,} rows are left out, "
        f"and those first treated at {labels[last]} are compared with."
    )


def equation_of(equation: Equation, unit_effects: bool | None) -> Equation:
    """Return the equation with its group effects; refuse groups that cannot be told apart."""
    cohorts, table = equation.cohorts, equation.cohorts.table
    units = pd.Series(cohorts.start).groupby(table.unit).first().value_counts()
    single = bool((units == 1).all())
    if unit_effects is None:
        unit_effects = not single
    elif unit_effects and single:
        raise DataError(
            f"unit_effects=True with one {equation.unit} in each cohort.",
            expected="Cohorts of several units.",
            remedy="The level of the only unit of a cohort is the level of the cohort.",
        )
    own = [COHORT, CELL, LEAD, EVENT, DEVIATION]
    own += [f"trend_{k + 1}" for k in range(len(cohorts.starts))] * (equation.violation is not None)
    grouped = {*equation.clusters, *((equation.unit,) if unit_effects else ())} - {"unit"}
    names = [equation.outcome, equation.time, *equation.covariates, *grouped]
    refuse_names(names, [*own, equation.treated])
    refuse_names([equation.treated], own)
    for name in equation.clusters:
        _refuse_cluster(equation, name)
    return replace(equation, unit_effects=unit_effects)


def _refuse_cluster(equation: Equation, name: str) -> None:
    """Refuse clusters whose shocks cannot be told from the cohorts."""
    frame = equation.cohorts.table.frame
    levels = frame[name].nunique()
    if levels < 2:
        raise DataError(
            f"The column {name!r} (clusters=) has one cluster.", expected="Several clusters."
        )
    per = pd.Series(frame[name].to_numpy()).groupby(equation.cohorts.start).nunique()
    if (per == 1).all():
        raise DataError(
            f"Every cohort is one cluster of {name!r}: its shocks cannot be told from the effect.",
            expected="Several clusters in some cohort.",
            remedy="Say how large such shocks may be: violation='level', violation_scale=...",
        )
