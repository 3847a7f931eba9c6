"""The series of treated units and donors, and their model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from bayescausal.designs.panel_table import time_text
from bayescausal.designs.synthetic.least_squares import simplex_weights
from bayescausal.effects.estimands.treated_groups import ATT
from bayescausal.model.formulas.priors import Prior, Priors, digits
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

    from bayescausal.designs.panel_table import PanelTable

__all__ = ["Options", "Series", "series_of"]

#: Periods before treatment that weights need.
LEAST = 2


@dataclass(frozen=True)
class Options:
    """Names and options of the design."""

    #: Names that the model has for itself.
    own: ClassVar[tuple[str, ...]] = (
        "treated",
        "donors",
        "weights",
        "effect",
        "sigma",
        "intercept",
        "ridge",
        "period",
        "row",
        "donor",
    )

    outcome: str
    unit: str
    time: str
    intercept: bool
    augmented: bool | float
    concentration: float
    robust: bool


@dataclass(frozen=True, eq=False)
class Series:
    """Outcomes by time."""

    options: Options
    # treated, donors, times: labels.
    treated: tuple[Any, ...]
    donors: tuple[Any, ...]
    times: tuple[Any, ...]
    y: np.ndarray  # (n_treated, n_times)
    pool: np.ndarray  # (n_donors, n_times)
    start: np.ndarray  # (n_treated, int) The first treated period of each

    @property
    def on(self) -> np.ndarray:
        """Whether each treated unit is treated at each time."""
        return np.arange(len(self.times)) >= self.start[:, None]

    @property
    def clock(self) -> np.ndarray:
        """The times as numbers."""
        if all(isinstance(t, int | float) for t in self.times):
            return np.array(self.times, dtype=float)
        return np.arange(len(self.times), dtype=float)

    @property
    def means(self) -> np.ndarray:
        """The donors' means before each treatment, (n_treated, n_donors)."""
        return np.stack([self.pool[:, :s].mean(axis=1) for s in self.start])

    def data(self) -> dict[str, Any]:
        """Return the columns, one entry for each treated unit and time."""
        o, n, k = self.options, len(self.times), len(self.treated)
        cells = np.zeros((k, n), dtype=np.int64)
        cells[self.on] = np.arange(int(self.on.sum()))
        columns: dict[str, Any] = {
            o.outcome: self.y.ravel(),
            "treated": self.on.astype(int).ravel(),
            o.time: np.tile(self.clock, k),
            "period": cells.ravel(),
            "donors": np.tile(self.pool.T, (k, 1)),
        }
        if k > 1:
            names = [str(u) for u in self.treated]
            columns[o.unit] = pd.Categorical(np.repeat(names, n), names)
        return columns

    def model(self, priors: Mapping[str, Any] | None) -> pm.Model:
        """Return the model."""
        import pymc as pm
        import pytensor.tensor as pt

        o, columns, several = self.options, self.data(), len(self.treated) > 1
        before = [y[:s] for y, s in zip(self.y, self.start, strict=True)]
        spread = float(np.mean([v.std() for v in before])) or 1.0
        steps = float(np.mean([np.diff(v).std() for v in before]))
        rough = digits(max(steps, 0.1 * spread))
        held = Priors(priors, (o.outcome,))
        names = [f"{u}, {time_text(self.times[t])}" for u, t in self._cells()]
        coords = {"row": range(self.y.size), "donor": [str(d) for d in self.donors]}
        coords["effect_at"] = names
        if several:
            coords[f"{o.unit}_level"] = [str(u) for u in self.treated]
        per: tuple[str, ...] = (f"{o.unit}_level",) if several else ()

        def made(label: str, prior: Prior, dims: tuple[str, ...]) -> Any:
            return held.make(label, o.outcome, (label,), prior, dims)

        with pm.Model(coords=coords) as model:
            pool = pm.Data("donors", columns["donors"], dims=("row", "donor"))
            pm.Data(o.time, columns[o.time], dims="row")
            treated = pm.Data("treated", columns["treated"], dims="row")
            period = pm.Data("period", columns["period"], dims="row")
            which: Any = ...
            if several:
                which = pm.Data(o.unit, columns[o.unit].codes.astype(np.int64), dims="row")
            alpha = np.full(len(self.donors), o.concentration)
            weights = made("weights", Prior("Dirichlet", (alpha,)), (*per, "donor"))
            mean = (pool * weights[which]).sum(axis=-1)
            if o.intercept:
                mean = mean + made("intercept", Prior("Normal", (0, 5 * spread)), per)[which]
            if o.augmented is not False:
                sd = 1 / len(self.donors) if o.augmented is True else float(o.augmented)
                ridge = made("ridge", Prior("Normal", (0, sd)), (*per, "donor"))
                middle = pt.as_tensor_variable(self.means)[which] if several else self.means[0]
                mean = mean + ((pool - middle) * ridge[which]).sum(axis=-1)
            wide = digits(10 * max(spread, float(self.y.std())))
            effect = made("effect", Prior("Normal", (0, wide)), ("effect_at",))
            sigma = made("sigma", Prior("HalfNormal", (rough,)), ())
            if several:  # each in proportion to how well donors match it
                sigma = sigma * pt.as_tensor_variable(self.noise())[which]
            mean = mean + effect[period] * treated
            if o.robust:
                pm.StudentT(o.outcome, nu=4, mu=mean, sigma=sigma, dims="row")
            else:
                pm.Normal(o.outcome, mean, sigma, dims="row")
        held.refuse_unused()
        return model

    def noise(self) -> np.ndarray:
        """The error of the best match before treatment of each unit, relative to their mean."""
        found = []
        for y, s in zip(self.y, self.start, strict=True):
            inside = self.pool[:, :s]
            w = simplex_weights(y[:s], inside, intercept=self.options.intercept)
            gap = y[:s] - w @ inside
            gap = gap - gap.mean() if self.options.intercept else gap
            steps = float(np.diff(y[:s]).std())
            found.append(max(float(np.sqrt(np.mean(gap**2))), 0.1 * steps, 1e-12))
        return np.array(found) / np.mean(found)

    def _cells(self) -> list[tuple[Any, int]]:
        """Return treated unit and period of every effect."""
        where = np.argwhere(self.on)
        return [(self.treated[k], int(t)) for k, t in where]

    def effects(self) -> dict[str, Any]:
        """Return the questions of the design."""

        o = self.options
        found = {
            "ATT": ATT("treated", o.outcome),
            "average": ATT("treated", o.outcome),
            "cumulative": ATT("treated", o.outcome, functional="total"),
            "by_time": ATT("treated", o.outcome, by=o.time),
        }
        if len(self.treated) > 1:
            found["by_unit"] = ATT("treated", o.outcome, by=o.unit)
        return found


def series_of(
    table: PanelTable,
    treated: Sequence[object],
    start: Mapping[Any, Any],
    options: Options,
    donors: Sequence[object] | None,
) -> Series:
    """Return the series; refuse units and times that are not there."""
    place = {u: k for k, u in enumerate(table.units)}
    for label in (*treated, *(donors or ())):
        if label not in place:
            raise DataError(
                f"{label!r} is no unit of the column {options.unit!r}.",
                expected="Labels as in the data.",
                names=closest(str(label), map(str, table.units))[:1],
            )
    if donors is not None and set(donors) & set(treated):
        both = next(iter(set(donors) & set(treated)))
        raise DataError(f"{both!r} is treated and a donor at once.")
    missing = [u for u in treated if u not in start]
    if missing or set(start) - set(treated):
        odd = missing[0] if missing else next(iter(set(start) - set(treated)))
        raise DataError(
            f"start= has {'no time' if missing else 'a time'} for {odd!r}"
            f"{'' if missing else ', which is not treated'}.",
            expected="A time for each treated unit.",
        )
    pool = tuple(u for u in table.units if u not in set(treated))
    if len(pool) < 2:
        raise DataError(
            f"There {'is 1 donor' if len(pool) == 1 else 'are no donors'}.",
            expected="Two or more units without treatment.",
        )
    starts = np.array([_start(table, start[u], u) for u in treated])
    wide = table.wide(options.outcome)
    return Series(
        options,
        tuple(treated),
        pool,
        table.times,
        wide[[place[u] for u in treated]],
        wide[[place[u] for u in pool]],
        starts,
    )


def _start(table: PanelTable, start: Any, label: object) -> int:
    """Return the first treated period."""
    times = table.times
    when = pd.Timestamp(start) if isinstance(times[0], pd.Timestamp) else start
    if isinstance(times[0], str):
        first = times.index(when) if when in times else len(times)
    else:
        try:
            first = sum(bool(t < when) for t in times)
        except TypeError as error:
            raise DataError(
                f"start={start!r} cannot be compared with times such as {time_text(times[0])}.",
                expected="A time as in the column of times.",
            ) from error
    if first >= len(times):
        raise DataError(
            f"No time of the table is at or after start={time_text(start)} of {label}.",
            expected=f"A start up to {time_text(times[-1])}.",
        )
    if first < LEAST:
        raise DataError(
            f"{first} time{'s' * (first != 1)} of the table lie{'s' * (first == 1)} before "
            f"start={time_text(start)} of {label}: nothing to match.",
            expected=f"{LEAST} or more periods before, better as many as donors that matter.",
        )
    return first
