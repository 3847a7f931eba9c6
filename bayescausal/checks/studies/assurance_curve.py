"""The curve of an assurance study, and the number of units read off it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats

from bayescausal.draws.digits import three
from bayescausal.figures.checks.assurance import plot_assurance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from bayescausal.figures.style import Axes

__all__ = ["Assurance", "crossing", "rising", "wilson"]


@dataclass(frozen=True, eq=False, repr=False)
class Assurance:
    """The result of :func:`bayescausal.assurance`.

    Parameters
    ----------
    curve : DataFrame
        One row per number of units: ``units``, ``replicates``, ``met`` (share that met the rule),
        ``lower``, ``upper`` (Wilson's 95% interval), ``fitted`` (the monotone curve), ``width``
        (mean length of the 94% HDI), ``failed`` (share without an answer; it counts as not met).
    probability : float
        The wanted one.
    rule : str
        In words.
    label : str
        What was asked.
    needed : float
        Units at which the curve reaches the probability: ``inf`` if it does not, among those
        tried; the smallest number tried if that is enough already.
    needed_interval : (float, float)
        Where the curves through the ends of the intervals reach it.
    rows : DataFrame
        As those of :class:`bayescausal.Recovery`, with a column ``units``.
    seed : int
        The seed that makes the study again.
    notes : tuple of str
        What a reader should know.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> study = bc.assurance(model, {"b": 0.5}, bc.ATE("x", "y"), units=[10, 40, 160],
    ...                      replicates=20, seed=1, progressbar=False)
    >>> study.curve["units"].tolist(), bool(10 < study.needed < 160)
    ([10, 40, 160], True)
    """

    curve: pd.DataFrame
    probability: float
    rule: str
    label: str
    needed: float
    needed_interval: tuple[float, float]
    rows: pd.DataFrame
    seed: int
    notes: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Say how many units are needed."""
        share = f"{self.probability:.0%}"
        sizes = self.curve["units"]
        if math.isinf(self.needed):
            best = self.curve["fitted"].max()
            return (
                f"{self.label}: {self.rule} with probability {share} needs more than "
                f"{sizes.max():,} units, or never happens: {best:.0%} at most were reached."
            )
        if self.needed <= sizes.min():
            return (
                f"{self.label}: {self.rule} with probability {share} at {sizes.min():,} units "
                "already, the smallest number tried."
            )
        low, high = self.needed_interval
        top = f"{math.ceil(high):,}" if np.isfinite(high) else f"more than {sizes.max():,}"
        return (
            f"{self.label}: {self.rule} with probability {share} at about "
            f"{math.ceil(self.needed):,} units (Monte Carlo: {math.floor(low):,} to {top})."
        )

    def summary(self) -> pd.DataFrame:
        """Return the curve as a table."""
        return self.curve.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve, with its intervals and the number needed.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure.

        Returns
        -------
        matplotlib Axes
        """
        return plot_assurance(
            self.curve, self.probability, self.needed, title=self.label, rule=self.rule, ax=ax
        )

    def __repr__(self) -> str:
        return f"Assurance({self.sentence()})"

    def _repr_html_(self) -> str:
        table = self.curve.to_html(index=False, float_format=three)
        return f"<p>{escape(self.sentence())}</p>{table}"


def wilson(met: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal
    of the American Statistical Association 22, 1927.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    low, high = stats.binomtest(met, of).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


def rising(values: ArrayLike) -> np.ndarray:
    """Return the closest sequence that does not fall: neighbours that do are averaged.

    Examples
    --------
    >>> rising([0.1, 0.4, 0.2, 0.9]).round(3).tolist()
    [0.1, 0.3, 0.3, 0.9]
    """
    return np.asarray(optimize.isotonic_regression(values).x)


def crossing(sizes: Sequence[int], curve: np.ndarray, probability: float) -> float:
    """Return where a rising curve reaches the probability, between the numbers tried.

    Examples
    --------
    >>> import numpy as np
    >>> crossing([25, 100], np.array([0.6, 1.0]), 0.8)
    56.25
    """
    reached = np.flatnonzero(curve >= probability)
    if not len(reached):
        return math.inf
    k = int(reached[0])
    if k == 0:
        return float(sizes[0])
    share = (probability - curve[k - 1]) / (curve[k] - curve[k - 1])
    low, high = math.sqrt(sizes[k - 1]), math.sqrt(sizes[k])
    return float((low + share * (high - low)) ** 2)
