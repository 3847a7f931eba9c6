"""From one answer and one truth to one row.

Per replicate and cell: the truth, the posterior mean and sd, the 50% and 94% highest-density
intervals and whether they hold the truth, the rank of the truth among thinned draws (for
calibration), and how the draws were made. A failure is a row too: numbers are NaN, the text says
what happened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.diagnostics import diagnose
from bayescausal.draws.intervals import narrowest
from bayescausal.draws.summary import ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.inference.record import Fit

__all__ = ["COLUMNS", "LOOKED", "TEXT", "Answer", "blank", "measure", "thinned"]

#: Columns of a row, in their order.
COLUMNS = (
    "replicate",
    "estimand",
    "cell",
    "kind",
    "pooled",
    "truth",
    "mean",
    "sd",
    "hdi50_lb",
    "hdi50_ub",
    "hdi94_lb",
    "hdi94_ub",
    "covered_50",
    "covered",
    "null",
    "rank",
    "ranked",
    "slack",
    "ess",
    "r_hat",
    "divergences",
    "mc_error",
    "method",
    "seconds",
    "failure",
)
#: More of a study that is looked at: units seen in the end, and whether a look stopped it.
LOOKED = ("seen", "stopped")
#: Those that hold text or truth values.
TEXT = ("estimand", "cell", "kind", "pooled", "method", "failure")


def blank(replicate: int, estimand: str, kind: str, failure: str, **more: Any) -> dict[str, Any]:
    """Return the row of a failure."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
    row |= {"cell": "", "pooled": False, "method": ""}
    return (
        row
        | {"replicate": replicate, "estimand": estimand, "kind": kind, "failure": failure}
        | more
    )


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer beside its truth: the draws and the true value of each of its cells."""

    name: str
    kind: str
    labels: Sequence[str]
    draws: np.ndarray  #: (chain, draw, cell)
    truth: np.ndarray  #: (cell,)
    null: float = math.nan
    mc_error: float = math.nan
    pooled: bool = False


def measure(
    replicate: int,
    answers: Sequence[Answer],
    *,
    fit: Fit | None,
    rank_draws: int,
    seed: int,
    interval: Callable[..., Any] = narrowest,
) -> list[dict[str, Any]]:
    """Return the rows of a replicate's answers.

    ``fit``: how the draws were made; None: as independent draws.
    ``rank_draws``: draws among which the truth is ranked; 0 for no ranks.
    ``seed``: for ties.
    ``interval``: ``(sorted draws, prob) -> (lower, upper)``.
    """
    if not answers:
        return []
    draws = np.concatenate([a.draws for a in answers], axis=-1)
    truth = np.concatenate([np.asarray(a.truth, dtype=float) for a in answers])
    columns = _columns(draws, truth, fit, rank_draws, seed, interval)
    same: dict[str, Any] = {"method": "estimator", "divergences": 0.0}
    if fit is not None:
        method = ", ".join(sorted(set(fit.methods.values())))
        same = {"method": method, "divergences": float(fit.diagnostics.divergences)}
    rows, place = [], 0
    for answer in answers:
        own = {"pooled": answer.pooled, "null": answer.null, "mc_error": answer.mc_error, **same}
        for label in answer.labels:
            row = blank(replicate, answer.name, answer.kind, "", cell=label, **own)
            rows.append(row | {k: float(v[place]) for k, v in columns.items()})
            place += 1
    return rows


def _columns(
    draws: np.ndarray,
    truth: np.ndarray,
    fit: Fit | None,
    rank_draws: int,
    seed: int,
    interval: Callable[..., Any],
) -> dict[str, np.ndarray]:
    """Return the numbers of all cells at once."""
    cells = draws.shape[-1]
    flat = draws.reshape(-1, cells)
    ordered = np.sort(flat, axis=0)
    known = ~np.isnan(truth)
    out: dict[str, np.ndarray] = {
        "truth": truth,
        "mean": flat.mean(axis=0),
        "sd": flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(cells, math.nan),
    }
    for percent, column in ((50, "covered_50"), (94, "covered")):
        low, high = interval(ordered, percent / 100)
        out[f"hdi{percent}_lb"], out[f"hdi{percent}_ub"] = low, high
        out[column] = np.where(known, (truth >= low) & (truth <= high), math.nan)
    out["ess"], out["r_hat"] = np.full(cells, float(len(flat))), np.full(cells, math.nan)
    if fit is not None and any(not how.startswith("conjugate") for how in fit.methods.values()):
        found = diagnose(np.moveaxis(draws, -1, 0))
        lowest = np.fmin(found["ess_bulk"], found["ess_tail"])
        out["ess"], out["r_hat"] = np.fmin(lowest, len(flat)), found["r_hat"]
    if rank_draws:
        some = thinned(flat, rank_draws)
        out["rank"] = np.where(known, ranks(some.T, truth, seed=seed), math.nan)
        out["ranked"] = np.full(cells, float(len(some)))
        out["slack"] = _slack(ordered, out["hdi94_lb"], out["hdi94_ub"])
    return out


def _slack(ordered: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return how much wider an interval is than the narrowest with as many draws, as a share."""
    out = np.zeros(ordered.shape[1])
    for i, (column, a, b) in enumerate(zip(ordered.T, low, high, strict=True)):
        inside = int(np.searchsorted(column, b, "right") - np.searchsorted(column, a, "left"))
        if inside > 1:
            least = float(np.min(column[inside - 1 :] - column[: len(column) - inside + 1]))
            out[i] = (b - a) / least - 1.0 if least > 0 else 0.0
    return out


def thinned(flat: np.ndarray, count: int) -> np.ndarray:
    """Return `count` draws, evenly spaced along the chains laid end to end.

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.arange(10), 5).tolist()
    [1, 3, 5, 7, 9]
    """
    n = len(flat)
    if count >= n:
        return flat
    return flat[(np.arange(1, count + 1) * n) // count - 1]
