r"""What data say against exclusion: instruments that disagree, and shares that cannot be negative.

*Several instruments.* If each acts through the treatment alone, each gives the same effect. At the
efficient estimate of it, with :math:`u` what it leaves of the outcome and :math:`Z` the
instruments, covariates out of all,

.. math:: J = n\, \bar g' S^{-1} \bar g, \qquad \bar g = Z'u / n,

is :math:`\chi^2` with as many degrees of freedom *f* as there are instruments beyond the first
[1]_. It cannot exceed the number *m* of units (of clusters, whose moments are summed), so that for
few clusters :math:`\frac{m - f}{f} \frac{J}{m - J}` is compared with the :math:`F_{f, m - f}` of
Hotelling's statistic, which is the same for many. Effects that differ between those whom each
instrument moves raise it too.

*An instrument and a treatment of 0 and 1.* The instrument takes nobody out of the treatment (or
brings nobody into it, where fewer are treated at *Z* = 1: read *1 - Z*), and acts through it alone.
So in every set *B* of values of the outcome

.. math:: P(Y \in B, D = 1 \mid Z = 1) \ge P(Y \in B, D = 1 \mid Z = 0), \qquad
   P(Y \in B, D = 0 \mid Z = 0) \ge P(Y \in B, D = 0 \mid Z = 1),

the differences being shares of compliers [2]_.

*One instrument otherwise.* There are as many unknowns as the data have moments: no data can speak
against it, and only ``direct=`` says how the answer moves if it fails by so much.

References
----------
.. [1] L. P. Hansen, "Large sample properties of generalized method of moments estimators",
   *Econometrica* 50, 1982.
.. [2] T. Kitagawa, "A test for instrument validity", *Econometrica* 83, 2015.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from bayescausal.designs.check_tables import said
from bayescausal.designs.instrumental.first_stage_checks import residual

if TYPE_CHECKING:
    from bayescausal.designs.instrumental.linear import InstrumentRoles
    from bayescausal.inference.record import Fit

__all__ = ["exclusion"]

#: Below this chance of the data the assumption is doubted.
DOUBT = 0.05
#: Sets of values of a continuous outcome, and units of one value of the instrument, at least.
SETS, LEAST = 8, 5


def exclusion(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return what the data say against exclusion; where they cannot speak, say so."""
    if len(roles.instruments) > 1:
        return _agreement(fit, roles)
    z, d = (np.asarray(fit.columns[n]) for n in (roles.instruments[0], roles.treatment))
    if not roles.covariates and all(set(np.unique(v).tolist()) == {0, 1} for v in (z, d)):
        return _shares(fit, roles)
    table = pd.DataFrame(
        {"instruments": [1], "effects": [1], "to spare": [0]},
        index=pd.Index([roles.instruments[0]], name="instrument"),
    )
    return _silent(
        table,
        f"No data can speak against it: with {roles.instruments[0]} alone, a path of its own to "
        f"{roles.outcome} and another effect of {roles.treatment} look the same. Name a further "
        "instrument, or say with direct= how far it may fail.",
    )


def _agreement(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return whether several instruments agree on one effect."""
    columns, n = dict(fit.columns), fit.columns[roles.outcome].size
    a, b = (residual(columns, v, roles.covariates) for v in (roles.treatment, roles.outcome))
    z = np.column_stack([residual(columns, v, roles.covariates) for v in roles.instruments])
    groups = None if roles.cluster is None else np.asarray(columns[roles.cluster])
    many = n if groups is None else len(np.unique(groups))
    who, free = ", ".join(roles.instruments), len(roles.instruments) - 1
    if many <= free + 1:
        table = pd.DataFrame({"instruments": [free + 1], "apart": [many]}, index=["clusters"])
        return _silent(
            table,
            f"{many} {roles.cluster or 'units'} are too few to tell whether {who} agree on one "
            "effect. Name fewer instruments, or say with direct= how far exclusion may fail.",
        )
    weight = np.linalg.inv(z.T @ z / n)
    for _ in range(2):  # two-stage least squares, then weights from what it leaves
        push = a @ z @ weight
        slope = float(push @ (z.T @ b)) / float(push @ (z.T @ a))
        moments = z * (b - slope * a)[:, None]
        if groups is not None:
            moments = pd.DataFrame(moments).groupby(groups).sum().to_numpy()
        weight = np.linalg.inv(moments.T @ moments / n)
    push = a @ z @ weight
    slope = float(push @ (z.T @ b)) / float(push @ (z.T @ a))
    mean = z.T @ (b - slope * a) / n
    j = float(n * mean @ weight @ mean)
    p = float(stats.f.sf((many - free) / free * j / max(many - j, 1e-300), free, many - free))
    table = pd.DataFrame(
        {"J": [j], "degrees of freedom": [free], "p": [p]},
        index=pd.Index(["the instruments agree"], name="test"),
    )
    return _judged(
        table,
        f"{who} do not agree on one effect: some act on {roles.outcome} in another way, share a "
        f"cause with it, or move others, for whom {roles.treatment} has another effect",
        f"{who} agree on one effect; that all fail alike would not be seen",
        p,
    )


def _shares(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return the shares of compliers within sets of outcomes, none of which can be negative."""
    z, d, y = (
        np.asarray(fit.columns[n], dtype=float)
        for n in (roles.instruments[0], roles.treatment, roles.outcome)
    )
    z = z if d[z == 1].mean() >= d[z == 0].mean() else 1 - z  # compliers are moved as z moves d
    units = np.arange(y.size) if roles.cluster is None else np.asarray(fit.columns[roles.cluster])
    values = np.unique(y)
    if len(values) > SETS:
        cuts = np.unique(np.quantile(y, np.linspace(0, 1, SETS + 1)[1:-1]))
        code = np.searchsorted(cuts, y, side="right")
        ends = [f"{v:.4g}" for v in (y.min(), *cuts, y.max())]
        names = [f"{low} to {high}" for low, high in pairwise(ends)]
    else:
        code, names = np.searchsorted(values, y), [f"{v:g}" for v in values]
    rows = {}
    for taken in (1, 0):
        for k, name in enumerate(names):
            inside = (code == k) & (d == taken)
            parts = np.zeros(y.size)  # what each unit adds to the error of the difference
            share = {}
            for side, sign in ((taken, 1.0), (1 - taken, -1.0)):
                there = z == side
                share[side] = inside[there].mean()
                parts[there] = sign * (inside[there] - share[side]) / there.sum()
            spread = pd.Series(parts).groupby(units).sum()
            if inside.sum() >= LEAST:
                rows[f"{roles.treatment} = {taken}, {roles.outcome} = {name}"] = (
                    share[taken] - share[1 - taken],
                    float((spread**2).sum() ** 0.5),
                )
    table = pd.DataFrame(rows, index=["share of compliers", "se"]).T
    table.index.name = "units"
    if not rows:
        return _silent(
            table,
            f"Too few units to tell: no set of values of {roles.outcome} holds {LEAST} at one "
            f"level of {roles.treatment}.",
        )
    table["p"] = stats.norm.cdf(table["share of compliers"] / table["se"])
    p = min(float(table["p"].min()) * len(table), 1.0)
    worst = table["p"].idxmin()
    return _judged(
        table,
        f"Among units with {worst}, compliers have a share below zero: {roles.instruments[0]} acts "
        f"on {roles.outcome} in another way, shares a cause with it, or makes some do the opposite",
        "No share of compliers is below zero; a weak path of its own would not be seen",
        p,
    )


def _silent(table: pd.DataFrame, finding: str) -> pd.DataFrame:
    """Return a table without a verdict: the data cannot speak."""
    table.attrs["finding"] = finding
    return table


def _judged(table: pd.DataFrame, doubt: str, fine: str, p: float) -> pd.DataFrame:
    broken = p < DOUBT
    return said(table, "warn" if broken else "pass", f"{doubt if broken else fine} (p = {p:.2g}).")
