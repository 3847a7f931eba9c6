"""Checks and pictures of an instrument: how strong it is, what it alone says, what bounds say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.designs.check_tables import said
from bayescausal.effects.without_model.instrument_bounds import instrument_bounds
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from bayescausal.designs.instrumental.linear import InstrumentRoles
    from bayescausal.inference.record import Fit

__all__ = ["bounds", "first_stage", "plot_first_stage", "residual", "two_stage"]

#: Below this F the usual inference is misleading (Staiger and Stock 1997); above the second, no
#: more than 5% of a nominal 5% test is lost (Lee et al. 2022).
WEAK, STRONG = 10.0, 104.7

#: Points of the picture: groups along the instrument.
GROUPS = 20


def residual(columns: Mapping[str, np.ndarray], name: str, given: Sequence[str]) -> np.ndarray:
    """Return a column less its least-squares fit on others and a constant."""
    y = np.asarray(columns[name], dtype=float)
    design = np.column_stack(
        [np.ones(len(y)), *(np.asarray(columns[n], dtype=float) for n in given)]
    )
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def first_stage(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return how strongly the instruments move the treatment, given the covariates.

    Where members of clusters share levels, F is that of the sums within clusters.
    """
    columns = fit.columns
    without = residual(columns, roles.treatment, roles.covariates)
    left = residual(columns, roles.treatment, roles.given)
    q, n = len(roles.instruments), len(left)
    if roles.cluster is None:
        free = n - 1 - len(roles.given)
        f = float((without @ without - left @ left) / q / (left @ left / free))
    else:
        z = np.column_stack([residual(columns, v, roles.covariates) for v in roles.instruments])
        sums, small = _by_cluster(z * left[:, None], fit, roles)
        moved = z.T @ without  # the coefficients times Z'Z; their errors, too
        f = float(moved @ np.linalg.pinv(small * sums.T @ sums) @ moved) / q
    partial = 1 - float(left @ left) / float(without @ without)
    table = pd.DataFrame(
        {"F": [f], "instruments": [q], "rows": [n], "partial R2": [partial]},
        index=pd.Index([roles.treatment], name="treatment"),
    )
    weak = f < WEAK
    return said(
        table,
        "warn" if weak else "pass",
        f"The first-stage F of {' and '.join(roles.instruments)} is {f:.1f}: "
        + (
            f"below {WEAK:g}, the instrument is weak. The posterior is then wide and leans on its "
            "priors; intervals of two-stage least squares would be too narrow."
            if weak
            else "strong enough for two-stage least squares to be nearly unbiased"
            + ("." if f >= STRONG else ", though its 5% test may still reject too often.")
        ),
    )


def two_stage(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return two-stage and ordinary least squares beside the posterior of the coefficient."""
    columns, x, y = dict(fit.columns), roles.treatment, roles.outcome
    a, b = residual(columns, x, roles.covariates), residual(columns, y, roles.covariates)
    z = np.column_stack([residual(columns, n, roles.covariates) for n in roles.instruments])
    hat = z @ np.linalg.lstsq(z, a, rcond=None)[0]
    free = len(a) - 2 - len(roles.covariates)
    rows = {}
    for label, by in (("two-stage least squares", hat), ("ordinary least squares", a)):
        slope = float(by @ b) / float(by @ a)
        left = b - slope * a
        square = left @ left / free * (by @ by)
        if roles.cluster is not None:
            sums, small = _by_cluster(by * left, fit, roles)
            square = small * sums @ sums
        rows[label] = slope, float(np.sqrt(square) / (by @ by))
    drawn = fit.posterior[f"b_{y}_{x}"]
    rows["posterior"] = float(drawn.mean()), float(drawn.std())
    return pd.DataFrame(rows, index=["value", "se or sd"]).T


def _by_cluster(parts: np.ndarray, fit: Fit, roles: InstrumentRoles) -> tuple[np.ndarray, float]:
    """Return sums of the rows' parts within clusters, and what makes up for there being few."""
    groups = np.asarray(fit.columns[str(roles.cluster)])
    sums = pd.DataFrame(parts).groupby(groups).sum().to_numpy()
    return np.squeeze(sums, axis=1) if parts.ndim == 1 else sums, len(sums) / (len(sums) - 1)


def bounds(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return what a discrete instrument says of the average effect without any form."""
    names = (roles.instruments[0], roles.treatment, roles.outcome)
    for name in names:
        if len(np.unique(np.asarray(fit.columns[name]))) > 2:
            raise DataError(f"{name!r} has more than two values, so there are no finite bounds.")
    if len(roles.instruments) > 1 or roles.covariates:
        raise DataError("Bounds are for one instrument without covariates.")
    data = {n: np.asarray(fit.columns[n]).astype(int) for n in names}
    found = instrument_bounds(data, *names, seed=fit.seed)
    return found.summary()


def plot_first_stage(fit: Fit, roles: InstrumentRoles, ax: Axes | None = None) -> Axes:
    """Draw the outcome against the treatment as the instrument moves both, covariates out."""
    import matplotlib.pyplot as plt

    columns = dict(fit.columns)
    a = residual(columns, roles.treatment, roles.covariates)
    b = residual(columns, roles.outcome, roles.covariates)
    z = np.column_stack([residual(columns, n, roles.covariates) for n in roles.instruments])
    score = z @ np.linalg.lstsq(z, a, rcond=None)[0]
    ax = ax if ax is not None else plt.subplots(figsize=(5.4, 3.6), layout="constrained")[1]
    values, place = np.unique(np.round(score, 9), return_inverse=True)
    if len(values) > GROUPS:
        edges = np.quantile(score, np.linspace(0, 1, GROUPS + 1)[1:-1])
        place = np.searchsorted(edges, score, side="right")
    centres = [(a[place == k].mean(), b[place == k].mean()) for k in np.unique(place)]
    dots = np.array(centres)
    ax.plot(dots[:, 0], dots[:, 1], "o", color="#1b1f24", ms=4, label="means along the instrument")
    drawn = fit.posterior[f"b_{roles.outcome}_{roles.treatment}"].values.ravel()
    reach = np.linspace(dots[:, 0].min(), dots[:, 0].max(), 41)
    low, high = np.quantile(np.outer(drawn, reach), [0.03, 0.97], axis=0)
    ax.fill_between(reach, low, high, color="#2f7dc4", alpha=0.25, lw=0, label="94% of posterior")
    ax.plot(reach, drawn.mean() * reach, color="#2f7dc4", label="effect")
    given = ", given the covariates" if roles.covariates else ""
    ax.set_xlabel(f"{roles.treatment}{given}")
    ax.set_ylabel(f"{roles.outcome}{given}")
    ax.legend(frameon=False)
    return ax


def bound(check: Callable[..., Any], roles: InstrumentRoles) -> Callable[..., Any]:
    """Return a check of these columns, as a function of the fit (and of the axes) alone."""

    def call(fit: Fit, **options: Any) -> Any:
        return check(fit, roles, **options)

    call.__doc__ = check.__doc__
    return call
