r"""Times to an event as outcomes of any estimator: pseudo-outcomes of the restricted mean.

Of a censored time nobody knows :math:`\min(T, h)`, the time lived up to a horizon h. Its mean is
known, the area under Kaplan and Meier's curve, :math:`\hat\theta = \int_0^h \hat S(t)\,dt`. The
pseudo-outcome of a unit is what it adds to that [1]_,

.. math:: \tilde Y_i = n\,\hat\theta - (n - 1)\,\hat\theta_{-i},

the second without the unit. Without censoring it is :math:`\min(T_i, h)` itself; with censoring
that is independent of time and covariates, its mean given covariates is that of
:math:`\min(T, h)` [2]_, so that regressions, weights and learners of it answer questions about
months lived. It fails where censoring depends on covariates; where it depends on the treatment
alone, curves within each arm (`by`) are right.

References
----------
.. [1] P. K. Andersen, J. P. Klein and S. Rosthoj, "Generalised linear models for correlated
   pseudo-observations, with applications to multi-state models", Biometrika 90 (2003), 15-27.
.. [2] F. Graw, T. A. Gerds and M. Schumacher, "On pseudo-values for regression analysis in
   competing risks models", Lifetime Data Analysis 15 (2009), 241-255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.types import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["pseudo_outcomes"]

#: Survival (units times event times) that is held at once.
HELD = 4_000_000


def pseudo_outcomes(
    time: ArrayLike, event: ArrayLike, horizon: float, *, by: ArrayLike | None = None
) -> np.ndarray:
    """Return for each unit the pseudo-outcome of the time lived up to a horizon.

    Parameters
    ----------
    time : array_like
        To the event, or to the end of follow-up.
    event : array_like of bool or 0 and 1
        Whether the event happened.
    horizon : float
        No later than the last time that was seen, in each group.
    by : array_like, optional
        Groups with curves of their own, such as the arms.

    Returns
    -------
    ndarray
        A column to ask about: ``bc.ATE("treatment", "lived")`` is the difference of restricted
        mean survival times.

    Raises
    ------
    DataError
        If times are negative or empty, events are not 0 and 1, a group has one unit, or the
        horizon lies beyond what was seen.

    References
    ----------
    P. K. Andersen, J. P. Klein and S. Rosthoj, "Generalised linear models for correlated
    pseudo-observations", Biometrika 90 (2003), 15-27.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.pseudo_outcomes([1, 2, 3, 9], [1, 1, 1, 1], horizon=5).round(6).tolist()
    [1.0, 2.0, 3.0, 5.0]
    """
    t, happened = np.asarray(time, dtype=float), np.asarray(event)
    if t.ndim != 1 or happened.shape != t.shape:
        raise DataError(
            f"time has the shape {t.shape} and event {happened.shape}.",
            expected="one value of each for every unit.",
        )
    if not np.isfinite(t).all() or (t < 0).any():
        raise DataError("Some times are empty, infinite or negative.", expected="times from 0 on.")
    if not np.isin(happened, (0, 1)).all():
        raise DataError("event holds other values than 0 and 1.", expected="whether it happened.")
    code = np.zeros(len(t), dtype=int) if by is None else pd.factorize(np.asarray(by))[0]
    if code.shape != t.shape or (code < 0).any():
        raise DataError("by= has empty cells or another length.", expected="a group of each unit.")
    found = np.empty(len(t))
    for k in range(int(code.max(initial=-1)) + 1):
        rows = np.flatnonzero(code == k)
        _refuse(t[rows], happened[rows].astype(bool), horizon)
        found[rows] = _pseudo(t[rows], happened[rows].astype(bool), float(horizon))
    return found


# ------------------------------------------------------------------------------- private


def _refuse(t: np.ndarray, happened: np.ndarray, horizon: float) -> None:
    if len(t) < 2:
        raise DataError("A group has one unit alone.", expected="two at least.")
    last = t.max()
    if not 0 < horizon < np.inf or (horizon > last and not happened[t == last].all()):
        raise DataError(
            f"horizon={horizon!r}: nobody of a group was followed beyond {last:g}.",
            expected=f"a horizon above 0, up to {last:g}.",
        )


def _pseudo(t: np.ndarray, happened: np.ndarray, horizon: float) -> np.ndarray:
    """Return the pseudo-outcomes of one group, by curves that leave each unit out."""
    n = len(t)
    at = np.unique(t[happened & (t <= horizon)])
    gaps = np.diff(np.concatenate([[0.0], at, [horizon]]))
    order = np.sort(t)
    risk = n - np.searchsorted(order, at, side="left")
    died = np.searchsorted(np.sort(t[happened]), at, side="right") - np.searchsorted(
        np.sort(t[happened]), at, side="left"
    )
    whole = _area(np.zeros(1), np.zeros(1, dtype=bool), at, risk, died, gaps, leave=False)[0]
    found = np.empty(n)
    step = max(1, HELD // max(len(at), 1))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        left = _area(t[rows], happened[rows], at, risk, died, gaps, leave=True)
        found[rows] = n * whole - (n - 1) * left
    return found


def _area(
    t: np.ndarray,
    happened: np.ndarray,
    at: np.ndarray,
    risk: np.ndarray,
    died: np.ndarray,
    gaps: np.ndarray,
    *,
    leave: bool,
) -> np.ndarray:
    """Return the area under Kaplan and Meier's curve, for each unit without it."""
    there = (t[:, None] >= at) if leave else np.zeros((len(t), len(at)), dtype=bool)
    own = (t[:, None] == at) & happened[:, None] & leave
    alive = risk - there
    lost = np.where(alive > 0, (died - own) / np.maximum(alive, 1), 0.0)
    curve = np.cumprod(1.0 - lost, axis=1)
    return gaps[0] + curve @ gaps[1:]
