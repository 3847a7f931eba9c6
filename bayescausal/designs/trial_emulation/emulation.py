"""Checks of an emulated trial: who was excluded, why follow-up ended, immortal time, copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.time_to_event.nonparametric import cox
from bayescausal.designs.trial_emulation.follow_up import REASONS

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.designs.trial_emulation.cohort import Cohort
    from bayescausal.designs.trial_emulation.protocol import Protocol
    from bayescausal.inference.record import Fit

__all__ = ["Emulation"]

#: Replicates of the bootstrap over units.
REPLICATES = 100


@dataclass(frozen=True, eq=False)
class Emulation:
    """What the checks of an emulated trial read."""

    protocol: Protocol
    cohort: Cohort
    history: pd.DataFrame  # when things happened after time zero, one row for each that is eligible
    rows: pd.DataFrame  # those that are followed, one row for each unit, trial and arm

    def flow(self, fit: Fit | None = None) -> pd.DataFrame:
        """Return, step by step, how many are left and how many were excluded, and why."""
        return self.cohort.flow.table()

    def ends(self, fit: Fit | None = None) -> pd.DataFrame:
        """Return, of each arm, how many were followed and why that ended."""
        words = {1: f"{self.protocol.treatment}", 0: f"no {self.protocol.treatment}"}
        table = pd.crosstab(self.rows["arm"].map(words), self.rows["reason"])
        table = table.reindex(columns=list(REASONS), fill_value=0)
        table.insert(0, "followed", table.sum(axis=1))
        table["time"] = self.rows.groupby(self.rows["arm"].map(words))["time"].sum()
        table.index.name, table.columns.name = "arm", None
        return table

    def immortal_time(self, fit: Fit | None = None) -> pd.DataFrame:
        """Compare the trial with the naive analysis: ever treated against never, from time zero.

        Those who are treated in the end cannot have had the outcome before: ``immortal time`` is
        what they gain by being counted as treated from time zero on. Both rows are Cox regressions
        with the same covariates; the verdict says by how many standard errors they differ.
        """
        h = self.history
        end = np.minimum.reduce(
            [h["outcome"].to_numpy(), h["lost"].to_numpy(), np.full(len(h), self._limit())]
        )
        ever = (h["started"].to_numpy() <= end).astype(float)
        seen = h["outcome"].to_numpy() <= end
        naive = self._cox(end, seen, ever, self.cohort.frame)
        rows = self.rows
        own = self._cox(
            rows["time"].to_numpy(), rows["status"].to_numpy() == 1, rows["arm"].to_numpy(float),
            rows,
        )  # fmt: skip
        gained = float(h["started"].to_numpy()[ever == 1].sum())
        apart = abs(naive[0] - own[0]) / np.hypot(naive[1], own[1])
        found = pd.DataFrame(
            {
                "log hazard ratio": [naive[0], own[0]],
                "se": [naive[1], own[1]],
                "immortal time": [gained, 0.0],
                "verdict": [f"{apart:.1f} standard errors from the trial", ""],
            },
            index=["ever treated, from time zero", "this trial"],
        )
        found.index.name = "analysis"
        return found

    def copies(self, fit: Fit | None = None) -> pd.DataFrame:
        """Say how often a unit is in the rows, and what that does to the standard error.

        A unit may be in several trials, and in both arms until it departs from one. The rows of one
        unit are not independent. The standard error of the log hazard ratio (Cox) is compared with
        that of a bootstrap over units.
        """
        rows = self.rows
        time, status = rows["time"].to_numpy(), rows["status"].to_numpy() == 1
        arm = rows["arm"].to_numpy(float)
        _, plain = self._cox(time, status, arm, rows)
        units, codes = np.unique(rows["unit"].to_numpy(), return_inverse=True)
        where = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
        rng = np.random.default_rng(1)
        found = []
        for _ in range(REPLICATES):
            pick = np.concatenate([where[u] for u in rng.integers(0, len(units), len(units))])
            value = self._cox(time[pick], status[pick], arm[pick], rows.iloc[pick])[0]
            if np.isfinite(value):
                found.append(value)
        spread = float(np.std(found, ddof=1)) if len(found) > 1 else np.nan
        ratio = spread / plain
        return pd.DataFrame(
            {
                "units": [len(units)],
                "rows": [len(rows)],
                "se": [plain],
                "se over units": [spread],
                "ratio": [ratio],
                "verdict": ["intervals too narrow" if ratio > 1.25 else "no matter"],
            }
        )

    def _limit(self) -> float:
        return self.protocol.follow_up

    def _cox(
        self, time: Array, event: Array, arm: Array, frame: pd.DataFrame
    ) -> tuple[float, float]:
        """Return the log hazard ratio of the arms given the covariates, and its standard error."""
        names = [n for n in self.protocol.adjusted if n in frame]
        parts = [pd.Series(arm, name="arm").to_frame()]
        for name in names:
            column = frame[name].reset_index(drop=True)
            if pd.api.types.is_numeric_dtype(column):
                parts.append(column.astype(float).to_frame())
            else:
                parts.append(pd.get_dummies(column, dtype=float).iloc[:, 1:])
        design = pd.concat(parts, axis=1).to_numpy(dtype=float)
        moving = np.ptp(design, axis=0) > 0
        if not moving[0]:
            return np.nan, np.nan
        try:
            beta, error = cox(time, event, design[:, moving])
        except ArithmeticError:
            return np.nan, np.nan
        return float(beta[0]), float(error[0])
