r"""For whom: how much an effect differs between units, and with what.

The posterior of each unit's conditional effect :math:`\tau(x_i)` (:mod:`.unit_effects`) is
summarised: its standard deviation over units, the share of the outcome's variance that it is,
projections on covariates and a small tree (:mod:`.summaries`), groups by predicted effect and
partial curves.

All of these are summaries of one posterior, however many are looked at: shrinkage is that of the
model's priors, and the probability of a sign is one whether or not others were asked about [1]_. A
model whose equation has no product with the treatment has one effect for all, by assumption.

References
----------
.. [1] A. Gelman, J. Hill and M. Yajima, Why we (usually) don't have to worry about multiple
   comparisons, *Journal of Research on Educational Effectiveness* 5(2), 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.conditional_effects.pictures import PICTURES
from bayescausal.conditional_effects.summaries import (
    LEVELS,
    averages,
    described,
    grow,
    moments,
    projections,
    quantile_groups,
    shares,
    subgroups,
)
from bayescausal.conditional_effects.unit_effects import UnitEffects, curve_effects, unit_effects
from bayescausal.draws.digits import numbers, significant
from bayescausal.draws.intervals import check_prob, narrowest
from bayescausal.draws.summary import interval_columns
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.types import BayesCausalError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bayescausal.annotations import Array
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = ["Heterogeneity", "heterogeneity"]

#: Units over which a partial curve is averaged.
CURVE_UNITS = 500


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """The posterior of conditional effects, in summaries. Made by :func:`heterogeneity`.

    Attributes
    ----------
    estimand : Estimand
        The question.
    units : DataFrame
        One row a unit: mean, sd, interval of its conditional effect, probability above 0.
    average, sd, share : ndarray, (draw,)
        Draws of the mean and standard deviation of the effects over units, and of their variance
        as a share of the outcome's (NaN for the probability of an event).
    projections : DataFrame
        Summaries on each covariate, on all of them and on a tree, with their R^2.
    tree : DataFrame
        The groups of a tree of depth 2 grown on the posterior mean of the effects.
    deciles : DataFrame
        Average effects of tenths of the units by the posterior mean of their effect.
    subgroups : DataFrame
        Average effects by level or quarter of each covariate.
    prob : float
    notes : tuple of str
    draws : ndarray or None, (draw, unit)
        The effects themselves, where they were asked for.
    """

    estimand: Estimand
    units: pd.DataFrame
    average: Array
    sd: Array
    share: Array
    projections: pd.DataFrame
    tree: pd.DataFrame
    deciles: pd.DataFrame
    subgroups: pd.DataFrame
    prob: float
    notes: tuple[str, ...]
    draws: Array | None
    found: UnitEffects

    def curve(self, covariate: str, points: int = 12) -> pd.DataFrame:
        """Return the partial curve of one covariate: the average effect with it set for all.

        Parameters
        ----------
        covariate : str
        points : int
            Values of the curve, at quantiles of the covariate; all levels where they are few.

        Returns
        -------
        DataFrame
            Index: the values. Columns: mean, sd, interval, probability above 0.

        Raises
        ------
        BayesCausalError
            If it is no covariate of the record.
        """
        if covariate not in self.found.covariates:
            raise BayesCausalError(
                f"{covariate!r} is no covariate of this record.",
                expected=f"one of {', '.join(self.found.covariates) or 'none'}.",
                names=closest(covariate, self.found.covariates)[:1],
            )
        values = np.asarray(self.found.covariates[covariate])
        labels = self.found.question.fit.labels.get(covariate)
        if labels:
            grid: Array = np.arange(len(labels))
            shown = list(labels)
        elif values.dtype == object:
            shown = np.unique(values).tolist()
            grid = np.asarray(shown)
        else:
            levels = np.unique(values)
            few = len(levels) <= LEVELS or values.dtype.kind not in "f"
            spread = np.unique(np.quantile(values, np.linspace(0.02, 0.98, points)))
            if values.dtype.kind != "f":  # whole numbers stay whole
                spread = np.unique(np.rint(spread))
            grid = levels if few and len(levels) <= 30 else spread
            shown = grid.tolist()
        tau = curve_effects(self.found, covariate, grid, CURVE_UNITS)
        rows = [described(tau[:, k], self.prob) for k in range(len(grid))]
        return pd.DataFrame(rows, index=pd.Index(shown, name=covariate))

    def sentence(self) -> str:
        """Return how much the effect differs between units, and with what, in words."""
        mean = float(np.mean(self.average))
        if float(np.max(self.sd)) <= 1e-9 * max(abs(mean), 1e-300):
            return (
                f"{self.estimand.label()} is the same for all {len(self.units):,} units: the "
                "equations have no product with the treatment, so this is assumed and not found."
            )
        low, high = (float(v) for v in narrowest(self.sd, self.prob))
        shown = numbers(float(np.std(self.sd)), float(np.mean(self.sd)), low, high, ends=True)
        alone = self.projections.drop(index=["all, additive", "tree"], errors="ignore")
        best = ""
        if len(alone):
            top = str(alone["R2 mean"].idxmax())
            share = float(alone["R2 mean"].max())
            best = f" Of the covariates alone, {top} tells most of it (R2 {share:.2f})."
        looked = (
            f" {len(self.subgroups):,} subgroups were looked at." if len(self.subgroups) else ""
        )
        return (
            f"The effect differs between the {len(self.units):,} units with a standard deviation "
            f"of {shown[0]} ({100 * self.prob:g}% HDI {shown[1]} to {shown[2]}) about an average "
            f"of {significant(mean, 3)}.{best}{looked}"
        )

    def plot(self, kind: str = "units", ax: Axes | None = None, **options: object) -> Axes:
        """Draw one of the summaries.

        Parameters
        ----------
        kind : {"units", "spread", "projections", "deciles", "curve", "subgroups"}
            ``"curve"`` takes ``covariate=``.
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        if kind not in PICTURES:
            raise BayesCausalError(
                f"There is no picture {kind!r}.",
                expected=f"one of {', '.join(PICTURES)}.",
                names=closest(kind, PICTURES)[:1],
            )
        return PICTURES[kind](self, ax, **options)

    def __repr__(self) -> str:
        return f"Heterogeneity({self.sentence()})"


def heterogeneity(
    fit: Fit,
    estimand: Estimand,
    *,
    covariates: Sequence[str] | None = None,
    prob: float = 0.94,
    draws: bool = False,
    seed: int | None = None,
) -> Heterogeneity:
    """Return how much an effect differs between units, and with what.

    Parameters
    ----------
    fit : Fit
        To data; its units are those asked about.
    estimand : Estimand
        A difference of means or probabilities: ``bc.ATE("t", "y")``, ``bc.ATT(...)``, or one of a
        subgroup.
    covariates : sequence of str, optional
        Default: the observed causes of the outcome that the treatment does not change.
    prob : float
        Of the highest-density intervals.
    draws : bool
        Keep the draws of all units' effects, (draw, unit).
    seed : int, optional
        Of the noise that expectations are taken over; default: the fit's.

    Returns
    -------
    Heterogeneity

    Raises
    ------
    EstimandError
        If the question is no difference of expectations, or a covariate is changed by the
        treatment.
    DataError, EmptySubgroupError
        If there are no units, or none belongs.

    References
    ----------
    S. Woody, C. M. Carvalho and J. S. Murray, "Model interpretation through lower-dimensional
    posterior summarization", Journal of Computational and Graphical Statistics 30(1), 2021.

    Examples
    --------
    >>> import numpy as np, pandas as pd, bayescausal as bc
    >>> x = np.arange(40) / 10
    >>> data = pd.DataFrame({"x": x, "t": np.arange(40) % 2})
    >>> data["y"] = x + data["t"] * (1 + x) + np.sin(7 * x) / 5
    >>> model = bc.model_from_formulas(["y ~ t * x"], data=data)
    >>> fit = bc.fit(model, data, seed=1, draws=200, progressbar=False)
    >>> found = bc.heterogeneity(fit, bc.ATE("t", "y"))
    >>> float(found.projections.loc["x", "R2 mean"].round(2))
    1.0
    """
    check_prob(prob)
    found = unit_effects(fit, estimand, covariates, seed, "heterogeneity")
    tau = found.tau
    by_draw, by_unit = found.noise
    average, spread = moments(tau)
    sd = np.sqrt(np.maximum(spread - by_draw, 0.0))
    centre = tau.mean(axis=0, dtype=float)
    outcome = np.asarray(
        found.question.units.value(found.question.outcome, slice(0, 1)), dtype=float
    ).ravel()
    outcome = outcome[found.rows] if outcome.size > found.rows.max() else outcome
    known = isinstance(found.question.estimand.functional, Mean)
    variance = float(np.nanvar(outcome)) if known else 0.0
    groups = quantile_groups(centre, min(10, tau.shape[1]))
    tenths = [groups == g for g in range(groups.max() + 1)]
    leaves = grow(centre, found.covariates, depth=2)
    parts = [*tenths, *(leaf.member for leaf in leaves)]
    rows = [
        {"units": int(member.sum()), **described(own, prob)}
        for member, own in zip(parts, averages(tau, shares(parts)).T, strict=True)
    ]
    deciles, tree = rows[: len(tenths)], rows[len(tenths) :]
    return Heterogeneity(
        estimand=estimand,
        units=_table(tau, found.labels, prob, by_unit),
        average=average,
        sd=sd,
        share=sd**2 / variance if variance > 0 else np.full(len(sd), np.nan),
        projections=projections(tau, found.covariates, prob, by_draw),
        tree=pd.DataFrame(tree, index=pd.Index([leaf.words for leaf in leaves], name="group")),
        deciles=pd.DataFrame(deciles, index=pd.RangeIndex(1, len(deciles) + 1, name="tenth")),
        subgroups=subgroups(tau, found.covariates, prob),
        prob=prob,
        notes=found.notes,
        draws=tau if draws else None,
        found=found,
    )


def _table(tau: Array, labels: pd.Index, prob: float, noise: Array) -> pd.DataFrame:
    """Return mean, sd, interval and sign of each unit's effect, some units at a time.

    `noise`, (unit,), is the Monte Carlo variance of a draw.
    """
    step = max(1, 1_000_000 // len(tau))
    lower, upper = interval_columns(prob)
    parts = []
    for start in range(0, tau.shape[1], step):
        own = np.asarray(tau[:, start : start + step], dtype=float)
        low, high = narrowest(own, prob)
        variance = own.var(axis=0, ddof=min(1, len(own) - 1))
        parts.append(
            pd.DataFrame({
                "mean": own.mean(axis=0),
                "sd": np.sqrt(np.maximum(variance - noise[start : start + step], 0.0)),
                lower: low,
                upper: high,
                "P(>0)": (own > 0).mean(axis=0),
            })
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True).set_axis(labels)
