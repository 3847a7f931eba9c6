"""The record of a hidden confounder: the effect as a surface, and where the conclusion tips.

The *tipping point* along the strength on the outcome, for a given strength on the treatment, is the
smallest one at which the interval first holds the value of no effect, and the one at which the
mean reaches it; between the cells of the grid it is interpolated. For a covariate it is a multiple:
how many times as strong as the covariate a confounder would have to be, on both sides, to do it.
What lies beyond the grid is NaN: stronger than anything that was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.interpolate import RegularGridInterpolator

from bayescausal.draws.digits import numbers, significant, three
from bayescausal.figures.sensitivity import plot_surface
from bayescausal.sensitivity.confounding.evalues import e_value

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.figures.style import Axes
    from bayescausal.sensitivity.confounding.allowed import Allowed
    from bayescausal.sensitivity.confounding.confounder import Confounder
    from bayescausal.sensitivity.confounding.evalues import EValue

__all__ = ["HiddenConfounder", "worst_sign"]


@dataclass(frozen=True, eq=False, repr=False)
class HiddenConfounder:
    """The answer to a question if there were a hidden confounder, for a range of strengths.

    Attributes
    ----------
    estimand : Estimand
        What was asked.
    confounder : Confounder
        What it acts on, and how it is distributed.
    allowed : Allowed
        The strengths that the data allow.
    effect : Effect
        The answer without it.
    surface : xarray.Dataset
        ``mean``, ``sd``, ``lower``, ``upper`` and ``above_null`` (a probability), dims gamma and
        delta: the strengths on treatment and outcome. ``allowed``: whether the data allow them.
    draws : xarray.DataArray
        Of the effect: dims chain, draw, gamma, delta.
    benchmarks : DataFrame
        A row per covariate: its strengths per sd (``on_treatment``, ``on_outcome``), the effect if
        the confounder were as strong (``mean``, ``lower``, ``upper``; NaN where the data rule that
        out), and how many times as strong
        it must be to tip the interval and the mean (``times_interval``, ``times_mean``).
    under_prior : Effect or None
        The answer with random strengths.
    strengths : xarray.Dataset or None
        Draws of the random strengths.
    robustness_value : Effect or None
        For linear models: see :func:`bayescausal.robustness_value`.
    model : pm.Model
        With the confounder, its strengths being parameters.
    prob : float
        Of the intervals.
    notes : tuple of str
        What a reader should know.
    """

    estimand: Estimand
    confounder: Confounder
    allowed: Allowed
    effect: Effect
    surface: xr.Dataset
    draws: xr.DataArray
    benchmarks: pd.DataFrame
    model: pm.Model
    prob: float
    under_prior: Effect | None = None
    strengths: xr.Dataset | None = None
    robustness_value: Effect | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        table = self.benchmarks.copy()
        for column, kind in (("times_interval", "interval"), ("times_mean", "mean")):
            table[column] = [self._multiple(name, kind) for name in table.index]
        object.__setattr__(self, "benchmarks", table)

    @property
    def null(self) -> float:
        """The value that means no effect."""
        return float(self.effect.null)  # type: ignore[arg-type]

    @property
    def e_value(self) -> EValue | None:
        """The E-value of the effect, for ratios; None on other scales."""
        scale = getattr(getattr(self.estimand, "scale", None), "name", "")
        if str(scale).replace("_", " ") not in ("ratio", "log ratio", "odds ratio"):
            return None
        return e_value(self.effect, prob=self.prob)

    @property
    def tipping_point(self) -> pd.DataFrame:
        """The strength on the outcome that tips the conclusion, for each on the treatment.

        Returns
        -------
        DataFrame
            Index gamma; ``interval``: the smallest delta at which the interval holds no effect;
            ``mean``: that at which the mean crosses it. NaN: not within the grid.
        """
        rows = {}
        for gamma in self.surface["gamma"].values:
            line = self.surface.sel(gamma=gamma)
            rows[float(gamma)] = {
                kind: _crossing(line["delta"].values, self._margin(line, kind))
                for kind in ("interval", "mean")
            }
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index.name = "gamma"
        return table

    def _margin(self, cells: xr.Dataset, kind: str) -> np.ndarray:
        """Return how far the conclusion is from tipping: negative once it has."""
        below = float(self.effect) < self.null
        end = "mean" if kind == "mean" else ("upper" if below else "lower")
        distance = cells[end].values - self.null
        return np.where(cells["allowed"].values, -distance if below else distance, np.nan)

    def _multiple(self, name: str, kind: str) -> float:
        """Return how many times as strong as a covariate tips the conclusion."""
        row = self.benchmarks.loc[name]
        grid = [self.surface["gamma"].values, self.surface["delta"].values]
        if min(len(g) for g in grid) < 2:
            return float("nan")
        margin = RegularGridInterpolator(grid, self._margin(self.surface, kind))
        sd = self.confounder.sd
        sign = worst_sign(self.surface, self.null)
        ray = np.array([abs(row["on_treatment"]), sign * abs(row["on_outcome"])]) / sd
        if not np.all(ray):
            return float("nan")
        limits = [(g.max() if r > 0 else g.min()) / r for g, r in zip(grid, ray, strict=True) if r]
        times = np.linspace(0, min(limits), 201)
        points = np.clip(times[:, None] * ray, [g.min() for g in grid], [g.max() for g in grid])
        return _crossing(times, margin(points))

    def summary(self) -> pd.DataFrame:
        """Return the surface as a table, one row per pair of strengths."""
        return self.surface.to_dataframe().reset_index()

    def sentence(self) -> str:
        """Return what was found, in words."""
        c = self.confounder
        parts = [f"Without a hidden confounder: {self.effect!r}."]
        tips = self.tipping_point["mean"].dropna()
        if len(tips):
            strongest = max((float(g) for g in tips.index), key=lambda g: (abs(g), g))
            parts.append(
                f"A confounder that adds {significant(strongest)} to {c.treatment} must add "
                f"{significant(tips.loc[strongest], 2)} to {c.outcome} (on their link scales) to "
                f"move the mean to {self.null:g}."
            )
        else:
            parts.append(f"No strength on this grid moves the mean to {self.null:g}.")
        parts.append(self._against_benchmarks())
        if self.robustness_value is not None:
            share = float(self.robustness_value)
            parts.append(
                f"It would have to explain {share:.0%} of the residual variance of both to explain "
                "the effect away."
            )
        if self.e_value is not None:
            parts.append(self.e_value.sentence())
        if self.under_prior is not None:
            parts.append(f"With random strengths: {self.under_prior!r}.")
        return " ".join(part for part in parts if part)

    def _against_benchmarks(self) -> str:
        """Say how the tipping point compares with the measured covariates."""
        if not len(self.benchmarks):
            return "There is no measured covariate to compare with."
        size = (self.benchmarks["on_treatment"] * self.benchmarks["on_outcome"]).abs()
        name = str(size.idxmax())
        row = self.benchmarks.loc[name]
        first = f"One as strong as {name}, the strongest measured one, would"
        if not np.isfinite(row["mean"]):
            return (
                f"{first} explain more than the equations leave unexplained: the data rule it out."
            )
        spread = float(self.effect.sd())
        ends: list[float] = [float(row[n]) for n in ("mean", "lower", "upper")]  # type: ignore[arg-type]
        mean, low, high = numbers(spread, *ends, ends=True, apart=[self.null])
        text = f"{first} leave {mean} [{low}, {high}]"
        times = row["times_interval"]
        if np.isfinite(times):
            return f"{text}; at {times:.1f} times its strength the interval holds {self.null:g}."
        return f"{text}; no multiple of it within the grid makes the interval hold {self.null:g}."

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the surface, where it tips, and the benchmarks on it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure.
        **options
            ``levels``: how many colours.

        Returns
        -------
        matplotlib Axes
        """
        sd, sign = self.confounder.sd, worst_sign(self.surface, self.null)
        points = {
            str(name): (abs(row["on_treatment"]) / sd, sign * abs(row["on_outcome"]) / sd)
            for name, row in self.benchmarks.iterrows()
        }
        below = float(self.effect) < self.null
        return plot_surface(
            self.surface["gamma"].values,
            self.surface["delta"].values,
            self.surface["mean"].values,
            self.surface["upper" if below else "lower"].values,
            null=self.null,
            points=points,
            names=(self.confounder.treatment, self.confounder.outcome),
            label=self.effect.label,
            prob=self.prob,
            limits=self._limits(),
            ax=ax,
            **options,
        )

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest strengths on the outcome along those on the treatment."""
        ends = self.surface["gamma"].values
        fine = np.linspace(ends.min(), ends.max(), 201)
        largest = np.where(np.abs(fine) <= self.allowed.gamma, self.allowed.delta(fine), 0.0)
        return fine, largest

    def __repr__(self) -> str:
        sizes = self.surface.sizes
        return (
            f"HiddenConfounder({self.effect.label}; {sizes['gamma']} x {sizes['delta']} strengths. "
            f"{self.sentence()})"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = self.benchmarks.to_html(float_format=three)
        return f"<p>{escape(self.sentence())}</p>{table}<ul>{notes}</ul>"


def worst_sign(surface: xr.Dataset, null: float) -> float:
    """Return the sign of delta that takes the effect towards no effect, at positive gamma.

    ``surface``: with ``mean`` and ``allowed``, dims gamma and delta.
    Result: 1 or -1.
    """
    mean = surface["mean"]
    gamma = float(mean["gamma"][np.abs(mean["gamma"].values).argmax()])
    held = surface["allowed"].sel(gamma=gamma).values
    line = mean.sel(gamma=gamma).values[held]
    plain = float(mean.sel(gamma=0.0, delta=0.0))
    delta = mean["delta"].values[held]
    if not delta.size:
        return 1.0
    centred = delta - delta.mean()
    if gamma == 0 or not np.any(centred):
        return 1.0
    slope = float(np.sum(centred * (line - line.mean()))) * np.sign(gamma)
    return -1.0 if slope * (plain - null) > 0 else 1.0


def _crossing(at: np.ndarray, margin: np.ndarray) -> float:
    """Return the point nearest to 0 where the margin becomes negative, by interpolation."""
    order = np.argsort(at)
    at, margin = np.asarray(at, dtype=float)[order], np.asarray(margin)[order]
    start = int(np.abs(at).argmin())
    if margin[start] <= 0:
        return float(at[start])
    found = []
    for step in (1, -1):
        i = start
        while 0 <= i + step < len(at):
            j = i + step
            if margin[j] <= 0:
                share = margin[i] / (margin[i] - margin[j])
                found.append(float(at[i] + share * (at[j] - at[i])))
                break
            i = j
    return min(found, key=abs) if found else float("nan")
