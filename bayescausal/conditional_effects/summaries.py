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

from bayescausal.draws.digits import level_text, significant
from bayescausal.draws.intervals import narrowest
from bayescausal.draws.summary import interval_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array

__all__ = [
    "OPPOSITE",
    "Leaf",
    "averages",
    "described",
    "grow",
    "moments",
    "projections",
    "quantile_groups",
    "shares",
    "subgroups",
    "thresholds",
]

#: Cuts of a covariate that a tree tries, at quantiles of the units.
CUTS = 32
#: Units that are turned into double precision at a time.
UNITS = 2_000
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


def averages(tau: Array, weights: Array) -> Array:
    """Return weighted sums of the effects over units, (draw, column).

    `weights` (unit, column)
    """
    out = np.zeros((len(tau), weights.shape[1]))
    for start in range(0, tau.shape[1], UNITS):
        part = slice(start, start + UNITS)
        out += np.asarray(tau[:, part], dtype=float) @ weights[part]
    return out


def shares(groups: Sequence[Array]) -> Array:
    """Return weights, (unit, group), whose sums are averages of the groups' members."""
    return np.stack([member / member.sum() for member in groups], axis=1)


def moments(tau: Array) -> tuple[Array, Array]:
    """Return mean and variance of the effects over units, (draw,)."""
    count = tau.shape[1]
    mean = averages(tau, np.full((count, 1), 1 / count))[:, 0]
    square = np.zeros(len(tau))
    for start in range(0, count, UNITS):
        about = tau[:, start : start + UNITS] - mean[:, None]
        square += np.einsum("du,du->d", about, about)
    return mean, square / count


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

    `noise` (draw): Monte Carlo variance of the effects.
    Returns: rows: covariates, ``"all, additive"``, ``"tree"``. Columns: the slope of numbers (per
    standard deviation, mean and interval) and R^2 (mean and interval).
    """
    error = np.zeros(len(tau)) if noise is None else noise
    rows: dict[str, dict[str, Any]] = {}
    blocks = {name: encoded(v) for name, v in covariates.items()}
    blocks = {name: b for name, b in blocks.items() if b.shape[1] and np.ptp(b, axis=0).any()}
    if not blocks:
        return pd.DataFrame()
    leaves = grow(tau.mean(axis=0, dtype=float), covariates, depth=2)
    member = np.stack([leaf.member for leaf in leaves], axis=1).astype(float)
    columns = np.concatenate([*blocks.values(), member[:, 1:]], axis=1)
    columns = columns - columns.mean(axis=0)
    ends = np.cumsum([0, *(b.shape[1] for b in blocks.values()), len(leaves) - 1])
    gram, product = columns.T @ columns / len(columns), averages(tau, columns / len(columns))
    mean, variance = moments(tau)

    def told(first: int, last: int) -> tuple[Array, Array]:
        part = slice(first, last)
        own = product[:, part], gram[part, part]
        return _projected(*own, variance - error, variance + mean**2)

    for name, first, last in zip(blocks, ends[:-1], ends[1:], strict=False):
        slope, share = told(first, last)
        row: dict[str, Any] = {}
        if last == first + 1:
            per_sd = slope[:, 0] * np.sqrt(gram[first, first])
            row = {f"slope {k}": v for k, v in described(per_sd, prob).items()}
        rows[name] = {**row, **_shares(share, prob)}
    if len(blocks) > 1:
        rows["all, additive"] = _shares(told(0, ends[-2])[1], prob)
    rows["tree"] = _shares(told(ends[-2], ends[-1])[1], prob)
    return pd.DataFrame.from_dict(rows, orient="index")


def _shares(share: Array, prob: float) -> dict[str, float]:
    return {f"R2 {k}": v for k, v in described(share, prob, sign=False).items() if k != "sd"}


def _projected(product: Array, gram: Array, total: Array, scale: Array) -> tuple[Array, Array]:
    """Return least-squares coefficients, (draw, column), and R^2 of each draw.

    - `product` (draw, column): of the effects with the columns, per unit.
    - `gram` (column, column): of the columns about their means, per unit.
    - `total`, `scale` (draw): what there is to tell, and the mean square of the effects.
    """
    slopes = product @ np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    told = np.einsum("sk,kl,sl->s", slopes, gram, slopes)
    some = total > 1e-20 * scale
    share = told / np.where(some, total, 1.0)
    return slopes, np.where(some, np.minimum(share, 1.0), 0.0)


def quantile_groups(score: Array, count: int) -> Array:
    """Return the group, 0 to count - 1, of each unit by the rank of its score."""
    order = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    return (order * count // len(score)).astype(int)


def subgroups(tau: Array, covariates: Mapping[str, Array], prob: float) -> pd.DataFrame:
    """Return the average effect of each level, or quarter, of each covariate.

    Returns: index: covariate and group. Columns: units, mean, sd, interval, probability above 0,
    and the probability that the group's average is above that of all units.
    """
    groups = {
        (name, label): member
        for name, values in covariates.items()
        for label, member in _groups(values)
    }
    whole = np.ones(tau.shape[1], dtype=bool)
    *found, overall = averages(tau, shares([*groups.values(), whole])).T
    rows = {
        key: {
            "units": int(member.sum()),
            **described(own, prob),
            "P(above average)": float(np.mean(own > overall)),
        }
        for (key, member), own in zip(groups.items(), found, strict=True)
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=["covariate", "group"])
    return pd.DataFrame(list(rows.values()), index=index if rows else None)


def _groups(values: Array) -> list[tuple[str, Array]]:
    levels = np.unique(values)
    if values.dtype.kind not in "iuf" or len(levels) <= LEVELS:
        number = values.dtype.kind in "iuf"
        return [(level_text(float(v)) if number else str(v), values == v) for v in levels]
    ends = np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    shown = [significant(float(v), 3) for v in ends]
    if len({*shown}) < len(shown):
        shown = [level_text(float(v)) for v in ends]
    out = []
    for k, (low, high) in enumerate(itertools.pairwise(ends)):
        member = (values >= low) & ((values < high) | (k == len(ends) - 2))
        out.append((f"{shown[k]} to {shown[k + 1]}", member))
    return out


# ------------------------------------------------------------------------------- trees


@dataclass(frozen=True, eq=False)
class Leaf:
    """A group of units that conditions on covariates form."""

    # ``("age", "<", 40.0)``, ``("sex", "==", "f")``, ...: all hold.
    rule: tuple[tuple[str, str, Any], ...]
    member: Array  # (unit, bool)

    @property
    def words(self) -> str:
        """The conditions in words."""
        shown = [f"{n} {op} {v if isinstance(v, str) else f'{v:.15g}'}" for n, op, v in self.rule]
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
                left = own < cut
                if left.any() and not left.all():
                    short = _shortest(own[left].max(), own[~left].min(), float(cut))
                    out.append(((name, "<", short), left))
        else:
            out += [((name, "==", str(v)), values == v) for v in np.unique(values)]
    return [(rule, left) for rule, left in out if left.any() and not left.all()]


def _shortest(low: float, high: float, cut: float) -> float:
    """Return the number of fewest digits above `low` and up to `high`: the same cut, to be read."""
    tried = (float(f"{cut:.{digits}g}") for digits in range(1, 18))
    return next((value for value in tried if low < value <= high), cut)


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
