"""The wide form of a panel: a variable for each column at each time, and its equation."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.designs.table import numbers
from bayescausal.effects.estimands.averages import ATE, Contrast
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.types import DataError, Policy, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm

    from bayescausal.designs.panel_table import PanelTable

__all__ = ["Waves", "waves_of"]

UNIT_EFFECT = "unit_effect"


@dataclass(frozen=True, eq=False)
class Waves:
    """A panel in its wide form."""

    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    baseline: tuple[str, ...]
    lags: int
    levels: tuple[float, float]  # treated, control
    interactions: bool
    unit_effects: bool
    families: dict[str, str]  # by column of the long table
    times: tuple[str, ...] = ()  # what ends the names of variables
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)  # one row per unit
    dropped: str = ""  # what was left out, in words

    def name(self, column: str, t: int) -> str | None:
        """Return the variable of a column at a time; None where there is none."""
        name = f"{column}_{self.times[t]}"
        return name if t >= 0 and name in self.columns else None

    def past(self, column: str, t: int, first: int) -> list[str]:
        """Return a column's variables from `first` times before t back to the last lag."""
        found = [self.name(column, s) for s in range(t - first, t - self.lags - 1, -1) if s >= 0]
        return [n for n in found if n is not None]

    def at(self, column: str) -> list[int]:
        """Return the times at which a column is a variable."""
        return [t for t in range(len(self.times)) if self.name(column, t)]

    def alike(self) -> list[str]:
        """Return the times up to the last outcome at which all units are treated alike."""
        upto = self.at(self.outcome)[-1]
        return [self.times[t] for t in range(upto + 1) if not self.name(self.treatment, t)]

    def formulas(self) -> dict[str, str]:
        """Return the equation of every variable, in the order of time."""
        out: dict[str, str] = {}
        y, a = self.outcome, self.treatment
        for t in range(len(self.times)):
            for k, c in enumerate(self.covariates):
                earlier = [self.name(other, t) for other in self.covariates[:k]]
                self._add(out, c, t, [n for n in earlier if n])
            now = [n for c in self.covariates if (n := self.name(c, t))]
            self._add(out, a, t, now)
            dose = self.name(a, t)
            more = [dose, *now] if dose else now
            if self.interactions and dose:
                more += [f"{dose}:{n}" for n in (*now, *self.past(a, t, 1)[:1])]
            effect = [f"offset({UNIT_EFFECT})"] if self.unit_effects else []
            self._add(out, y, t, more, effect)
        return out

    def _add(
        self,
        out: dict[str, str],
        column: str,
        t: int,
        more: list[str],
        also: list[str] | None = None,
    ) -> None:
        name = self.name(column, t)
        if name is None:
            return
        everything = (*self.covariates, self.treatment, self.outcome)
        terms = [*more, *(n for c in everything for n in self.past(c, t, 1)), *self.baseline]
        out[name] = f"{name} ~ {' + '.join([*terms, *(also or [])]) or '1'}"

    def model(self, priors: Mapping[str, Any] | None) -> pm.Model:
        """Return the model."""

        formulas, families = self.formulas(), {}
        for name in formulas:
            column = name.rsplit("_", 1)[0]
            values = self.columns[name].dropna().unique()
            binary = set(values.tolist()) <= {0, 1}
            families[name] = self.families.get(column, "bernoulli" if binary else "gaussian")
        own: dict[str, Any] = {}
        lines = list(formulas.values())
        if self.unit_effects:
            last = self.columns[self._outcomes()[-1]]
            own[f"sigma_{UNIT_EFFECT}"] = f"HalfNormal({float(f'{last.std():.3g}')})"
            lines = [f"{UNIT_EFFECT} ~ 0", *lines]
        return model_from_formulas(lines, families, self.columns, own | dict(priors or {}))

    def _outcomes(self) -> list[str]:
        return [f"{self.outcome}_{self.times[t]}" for t in self.at(self.outcome)]

    def _doses(self, upto: int) -> list[str]:
        return [f"{self.treatment}_{self.times[t]}" for t in self.at(self.treatment) if t <= upto]

    def effects(self, regimes: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
        """Return the questions of the design."""

        on, off = self.levels
        last = self.at(self.outcome)[-1]
        y = f"{self.outcome}_{self.times[last]}"

        def always(t: int) -> ATE:
            doses, outcome = self._doses(t), f"{self.outcome}_{self.times[t]}"
            if len(doses) == 1:
                return ATE(doses[0], outcome, treated=on, control=off)
            return ATE(doses, outcome, treated=[on] * len(doses), control=[off] * len(doses))

        found: dict[str, Any] = {"ATE": always(last)}
        for t in self.at(self.outcome):
            if self._doses(t):
                found[f"at_{self.times[t]}"] = always(t)
        doses = self._doses(last)
        never = dict.fromkeys(doses, off)
        if len(doses) > 1:
            found["first"] = Contrast(y, never | {doses[0]: on}, never)
        for label, rule in regimes.items():
            if label in found:
                raise DataError(f"regimes= names {label!r}, which is an effect of the design.")
            world = {
                d: self._rule(rule, t) for t, d in zip(self.at(self.treatment), doses, strict=False)
            }
            found[label] = Contrast(y, world, never)
        return found

    def _rule(self, rule: Callable[..., Any], t: int) -> Any:
        """Return a rule as a policy of one time."""

        reads = []
        known = (*self.covariates, *self.baseline, self.outcome)
        for argument in inspect.signature(rule).parameters:
            if argument not in known:
                raise DataError(
                    f"A rule of regimes= reads {argument!r}.",
                    expected=f"Arguments among {', '.join(known)}.",
                    names=closest(argument, known)[:1],
                )
            if argument in self.baseline:
                reads.append(argument)
                continue
            when = t - 1 if argument == self.outcome else t
            name = self.name(argument, when) if when >= 0 else None
            if name is None:
                raise DataError(
                    f"A rule of regimes= reads {argument!r}, of which there is none at time "
                    f"{self.times[t]}{' or before' if argument == self.outcome else ''}.",
                    remedy="Let it read what is measured at every time; or write the worlds "
                    "yourself: bc.Contrast(outcome, {variable: bc.Policy(...)}).",
                )
            reads.append(name)
        return Policy(rule, reads=tuple(reads))


def waves_of(table: PanelTable, waves: Waves, missing: str) -> Waves:
    """Return the wide form; refuse what does not vary or has holes."""
    labels = tuple(text if text.isalnum() else str(k) for k, text in enumerate(table.labels))
    columns: dict[str, np.ndarray] = {}
    for column in (*waves.covariates, waves.treatment, waves.outcome):
        role = {waves.treatment: "treatment", waves.outcome: "outcome"}.get(column, "covariates")
        numbers(table.frame, column, role)
        wide = table.wide(column)
        for t, label in enumerate(labels):
            values = wide[:, t]
            seen = values[~np.isnan(values)]
            if len(seen) and seen.min() < seen.max():
                columns[f"{column}_{label}"] = values
        if not any(name.rsplit("_", 1)[0] == column for name in columns):
            raise DataError(
                f"The column {column!r} ({role}=) does not vary between units at any time.",
                expected="Values that differ.",
            )
    frame = pd.DataFrame(columns)
    for column in waves.baseline:
        if column in columns:
            raise DataError(
                f"The column {column!r} (baseline=) is called like one of a time of another.",
                expected="Names other than a column's name, _, and a time.",
                remedy=f"Rename it: data.rename(columns={{{column!r}: ...}}).",
            )
        own = table.frame[column].groupby(table.unit)
        if (own.nunique() > 1).any():
            who = table.units[int(np.flatnonzero((own.nunique() > 1).to_numpy())[0])]
            raise DataError(
                f"The column {column!r} (baseline=) changes with time, in unit {who}.",
                expected="Columns that are constant in each unit.",
                remedy="Name it in covariates=.",
            )
        frame[column] = own.first().to_numpy()
    frame, said = _whole(frame, missing, table)
    for column in [c for c in frame.columns if set(frame[c].dropna().unique().tolist()) <= {0, 1}]:
        frame[column] = frame[column].astype(int)
    unknown = [
        c for c in waves.families if c not in (*waves.covariates, waves.treatment, waves.outcome)
    ]
    if unknown:
        raise DataError(
            f"families= names {unknown[0]!r}.",
            expected="Columns of covariates, treatment and outcome.",
            names=closest(unknown[0], (*waves.covariates, waves.treatment, waves.outcome))[:1],
        )
    return replace(waves, times=labels, columns=frame, dropped=said)


def _whole(frame: pd.DataFrame, missing: str, table: PanelTable) -> tuple[pd.DataFrame, str]:
    """Refuse or leave out units with an empty cell."""
    holes = frame.isna()
    rows = holes.any(axis=1)
    if not rows.any():
        return frame, ""
    first = holes.columns[holes.any()][0]
    who = table.units[int(np.flatnonzero(holes[first].to_numpy())[0])]
    found = f"{int(rows.sum()):,} of {len(frame):,} units lack a value, such as {first} of {who}."
    if missing == "refuse" or rows.all():
        raise DataError(
            found,
            expected="A value of every unit at every time at which some have one.",
            remedy='Fill them in; or say missing="drop" to leave these units out, if being empty '
            "has nothing to do with what is missing.",
        )
    return frame.loc[~rows].reset_index(drop=True), f"{found} They were left out."
