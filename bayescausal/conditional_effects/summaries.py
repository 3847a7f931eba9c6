r"""Summaries of conditional effects: projections, a tree, deciles, subgroups.

The posterior of :math:`\tau(x)` is a posterior over functions. A *summary* is the member
:math:`\gamma` of a simple class that is nearest to each draw at the units' covariates,

.. math:: \hat\gamma^{(s)} = \arg\min_\gamma \sum_i \{\tau^{(s)}(x_i) - \gamma(x_i)\}^2, \qquad
          R^2_{(s)} = 1 - \frac{\sum_i \{\tau^{(s)}(x_i) - \hat\gamma^{(s)}(x_i)\}^2}
                               {\sum_i \{\tau^{(s)}(x_i) - \bar\tau^{(s)}\}^2},

so that what is said of it has a posterior, and :math:`R^2` says how much of the heterogeneity it
tells [1]_. No data are used twice: the summary is of the posterior, not of the outcome.

When it fails: an :math:`R^2` near 0 says that the covariate alone does not tell the effect, not
that the effect does not depend on it; an :math:`R^2` of a posterior without heterogeneity
(:math:`sd(\tau)` near 0) is one of noise.

References
----------
.. [1] S. Woody, C. M. Carvalho and J. S. Murray, Model interpretation through lower-dimensional
   posterior summarization, *Journal of Computational and Graphical Statistics* 30(1), 2021.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.intervals import narrowest
from bayescausal.draws.summary import interval_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.annotations import Array

__all__ = [
    "OPPOSITE",
    "Leaf",
    "described",
    "grow",
    "projections",
    "quantile_groups",
    "subgroups",
    "thresholds",
]

#: Cuts of a covariate that a tree tries, at quantiles of the units.
CUTS = 32
#: Different values up to which a number is taken as levels.
LEVELS = 6


def described(draws: Array, prob: float, *, sign: bool = True) -> dict[str, float]:
    """Return mean, sd and highest-density interval of a number, and the probability above 0."""
    low, high = narrowest(np.asarray(draws, float), prob)
    lower, upper = interval_columns(prob)
    out = {
        "mean": float(np.mean(draws)),
        "sd": float(np.std(draws, ddof=min(1, len(draws) - 1))),
        lower: float(low),
        upper: float(high),
    }
    return {**out, "P(>0)": float(np.mean(np.asarray(draws) > 0))} if sign else out


def encoded(values: Array) -> Array:
    """Return a covariate as columns, (unit, column): itself, or indicators but for the first."""
    if values.dtype.kind in "biuf":
        return np.asarray(values, float)[:, None]
    _, codes = np.unique(values, return_inverse=True)
    return (codes[:, None] == np.arange(1, codes.max() + 1)).astype(float)


def projections(
    tau: Array, covariates: Mapping[str, Array], prob: float, noise: Array | None = None
) -> pd.DataFrame:
    """Return the summary on each covariate, on all in a sum, and on a tree of depth 2.

    Parameters
    ----------
    noise : ndarray, (draw,), optional
        Monte Carlo variance of the effects.

    Returns
    -------
    DataFrame
        Rows: covariates, ``"all, additive"``, ``"tree"``. Columns: the slope of numbers (per
        standard deviation, mean and interval) and R^2 (mean and interval).
    """
    error = np.zeros(len(tau)) if noise is None else noise
    rows: dict[str, dict[str, Any]] = {}
    blocks = {name: encoded(v) for name, v in covariates.items()}
    blocks = {name: b for name, b in blocks.items() if b.shape[1] and np.ptp(b, axis=0).any()}
    for name, block in blocks.items():
        slope, share = _projected(tau, block, error)
        row: dict[str, Any] = {}
        if block.shape[1] == 1:
            per_sd = slope[:, 0] * block[:, 0].std()
            row = {f"slope {k}": v for k, v in described(per_sd, prob).items()}
        rows[name] = {**row, **_shares(share, prob)}
    if len(blocks) > 1:
        _, share = _projected(tau, np.concatenate(list(blocks.values()), axis=1), error)
        rows["all, additive"] = _shares(share, prob)
    if blocks:
        leaves = grow(tau.mean(axis=0), covariates, depth=2)
        member = np.stack([leaf.member for leaf in leaves], axis=1).astype(float)
        _, share = _projected(tau, member[:, 1:], error)
        rows["tree"] = _shares(share, prob)
    return pd.DataFrame.from_dict(rows, orient="index")


def _shares(share: Array, prob: float) -> dict[str, float]:
    return {f"R2 {k}": v for k, v in described(share, prob, sign=False).items() if k != "sd"}


def _projected(tau: Array, columns: Array, noise: Array) -> tuple[Array, Array]:
    """Return least-squares coefficients, (draw, column), and R^2 of each draw.

    `noise`, (draw,), is the Monte Carlo variance of the effects, which no summary can tell.
    """
    about = columns - columns.mean(axis=0)
    gram = about.T @ about
    inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    slopes = np.stack([inverse @ (about.T @ row) for row in tau])
    told = np.einsum("sk,kl,sl->s", slopes, gram, slopes)
    total = np.array([row.var(dtype=float) for row in tau]) - noise
    some = total > 1e-20 * np.array([np.mean(np.square(row, dtype=float)) for row in tau])
    share = told / len(columns) / np.where(some, total, 1.0)
    return slopes, np.where(some, np.minimum(share, 1.0), 0.0)


def quantile_groups(score: Array, count: int) -> Array:
    """Return the group, 0 to count - 1, of each unit by the rank of its score."""
    order = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    return (order * count // len(score)).astype(int)


def subgroups(tau: Array, covariates: Mapping[str, Array], prob: float) -> pd.DataFrame:
    """Return the average effect of each level, or quarter, of each covariate.

    Returns
    -------
    DataFrame
        Index: covariate and group. Columns: units, mean, sd, interval, probability above 0, and
        the probability that the group's average is above that of all units.
    """
    rows = {}
    overall = tau.mean(axis=1)
    for name, values in covariates.items():
        for label, member in _groups(values):
            own = tau[:, member].mean(axis=1)
            rows[name, label] = {
                "units": int(member.sum()),
                **described(own, prob),
                "P(above average)": float(np.mean(own > overall)),
            }
    index = pd.MultiIndex.from_tuples(list(rows), names=["covariate", "group"])
    return pd.DataFrame(list(rows.values()), index=index if rows else None)


def _groups(values: Array) -> list[tuple[str, Array]]:
    levels = np.unique(values)
    if values.dtype.kind not in "iuf" or len(levels) <= LEVELS:
        return [(str(v), values == v) for v in levels]
    ends = np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    out = []
    for k, (low, high) in enumerate(itertools.pairwise(ends)):
        member = (values >= low) & ((values < high) | (k == len(ends) - 2))
        out.append((f"{low:.4g} to {high:.4g}", member))
    return out


# ------------------------------------------------------------------------------- trees


@dataclass(frozen=True, eq=False)
class Leaf:
    """A group of units that conditions on covariates form.

    Attributes
    ----------
    rule : tuple of (str, str, object)
        ``("age", "<", 40.0)``, ``("sex", "==", "f")``, ...: all hold.
    member : ndarray of bool, (unit,)
    """

    rule: tuple[tuple[str, str, Any], ...]
    member: Array

    @property
    def words(self) -> str:
        """The conditions in words."""
        shown = [f"{n} {op} {v:.4g}" if not isinstance(v, str) else f"{n} {op} {v}"
                 for n, op, v in self.rule]  # fmt: skip
        return " and ".join(shown) or "all units"


def thresholds(covariates: Mapping[str, Array]) -> list[tuple[tuple[str, str, Any], Array]]:
    """Return the cuts of all covariates: the condition of the left side, and who is there."""
    out: list[tuple[tuple[str, str, Any], Array]] = []
    for name, values in covariates.items():
        if values.dtype.kind in "biuf":
            own = np.asarray(values, float)
            levels = np.unique(own)
            if len(levels) > CUTS + 1:
                levels = np.unique(np.quantile(own, np.linspace(0, 1, CUTS + 2)))
            for cut in (levels[:-1] + levels[1:]) / 2:
                out.append(((name, "<", float(cut)), own < cut))
        else:
            out += [((name, "==", str(v)), values == v) for v in np.unique(values)]
    return [(rule, left) for rule, left in out if left.any() and not left.all()]


#: What holds where a condition does not.
OPPOSITE = {"<": ">=", "==": "!="}


def grow(target: Array, covariates: Mapping[str, Array], depth: int) -> list[Leaf]:
    """Return the leaves of a regression tree, grown greedily by squared error (CART)."""
    cuts = thresholds(covariates)

    def split(leaf: Leaf, left: int) -> list[Leaf]:
        inside = leaf.member
        count, total = inside.sum(), target[inside].sum()
        best: tuple[float, int] = (0.0, -1)
        for k, (_, side) in enumerate(cuts):
            both = inside & side
            n = both.sum()
            if n == 0 or n == count:
                continue
            part = target[both].sum()
            gain = part**2 / n + (total - part) ** 2 / (count - n) - total**2 / count
            if gain > best[0] * (1 + 1e-12) + 1e-12 * np.abs(target).max() ** 2:
                best = (float(gain), k)
        if left == 0 or best[1] < 0:
            return [leaf]
        (name, op, value), side = cuts[best[1]]
        here = Leaf((*leaf.rule, (name, op, value)), inside & side)
        there = Leaf((*leaf.rule, (name, OPPOSITE[op], value)), inside & ~side)
        return [*split(here, left - 1), *split(there, left - 1)]

    return split(Leaf((), np.ones(len(target), dtype=bool)), depth)
