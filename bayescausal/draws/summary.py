"""Summaries of draws: one tidy row for each cell, and ranks.

The columns are ``mean``, ``sd``, the ends of the interval (``hdi94_lb``, ``hdi94_ub`` at
probability 0.94), ``ess_bulk``, ``ess_tail``, ``r_hat`` and ``mcse_mean`` (see
:mod:`~bayescausal.draws.diagnostics`). What cannot be computed (the sd of one draw, the
R-hat of one chain, anything of constant draws) is NaN, without a warning.

The *rank* of a true value among its posterior draws is uniform when the posterior is right [1]_;
ties are broken at random, or a discrete quantity would look miscalibrated.

References
----------
.. [1] S. Talts, M. Betancourt, D. Simpson, A. Vehtari and A. Gelman, "Validating Bayesian
   inference algorithms with simulation-based calibration", 2018, arXiv:1804.06788.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayescausal.draws.diagnostics import DIAGNOSTICS, diagnose
from bayescausal.draws.intervals import check_kind, check_prob, ends_of, inside
from bayescausal.draws.named import DRAW_DIMS, as_draws, cells
from bayescausal.types import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

#: Draws that are summarised at a time, and from how many each cell is sorted once, by a kernel.
AT_A_TIME, MANY = 4_000_000, 4_000_000

__all__ = ["interval_columns", "ranks", "sd", "summarise"]


def summarise(
    draws: ArrayLike | xr.DataArray, prob: float = 0.94, kind: str = "hdi"
) -> pd.DataFrame:
    """Summarise draws, one row for each cell.

    - `draws`: draws, as :func:`~bayescausal.draws.named.as_draws` takes them.
    - `prob`: probability of the interval.
    - `kind`: ``"hdi"`` or ``"eti"``.
    """
    named = as_draws(draws, getattr(draws, "name", None))
    extra, ends = cells(named), interval_columns(prob, check_kind(kind))
    chains, length = named.sizes["chain"], named.sizes["draw"]
    flat = named.values.reshape((chains * length, -1))
    if flat.size >= MANY and length > 3 and length % 2 == 0:
        found = _many(flat, chains, prob)
        if kind != "hdi":
            found[2:4] = ends_of(flat, prob, kind)
        names = ("mean", "sd", *ends, *DIAGNOSTICS)
        return pd.DataFrame(dict(zip(names, found, strict=True)), index=_index(named, extra))
    columns: dict[str, list[np.ndarray]] = {}
    step = max(1, AT_A_TIME // len(flat))
    for start in range(0, flat.shape[1], step):
        block = flat[:, start : start + step]
        spread = block.std(axis=0, ddof=1) if len(block) > 1 else np.full(block.shape[1], np.nan)
        parts = {"mean": block.mean(axis=0), "sd": spread}
        parts |= dict(zip(ends, ends_of(block, prob, kind), strict=True))
        parts |= diagnose(np.ascontiguousarray(block.T).reshape(-1, chains, length))
        for name, part in parts.items():
            columns.setdefault(name, []).append(part)
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    return pd.DataFrame(whole, index=_index(named, extra))


def _many(flat: np.ndarray, chains: int, prob: float) -> np.ndarray:
    """Return mean, sd, HDI and diagnostics of many cells, (column, cell)."""
    from bayescausal.draws.cell_kernels import summarise_cells  # it loads numba

    size, cells = flat.shape
    found = np.empty((8, cells))
    scores = ndtri((1 + np.arange(2 * size - 1) / 2 - 3 / 8) / (size + 1 / 4))
    edges = np.linspace(0, cells, 4 * (os.cpu_count() or 1) + 1).astype(int)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = [
            pool.submit(summarise_cells, flat, lo, hi, chains, inside(size, prob), scores, found)
            for lo, hi in pairwise(edges.tolist())
        ]
        for part in done:
            part.result()
    return found


def sd(draws: xr.DataArray) -> xr.DataArray:
    """Return the standard deviation over chain and draw; NaN for one draw.

    Examples
    --------
    >>> from bayescausal.draws.named import as_draws
    >>> sd(as_draws([1.0, 2.0, 3.0])).item()
    1.0
    """
    if draws.sizes["chain"] * draws.sizes["draw"] < 2:
        return draws.isel(chain=0, draw=0, drop=True) * np.nan
    return draws.std(DRAW_DIMS, ddof=1)


def interval_columns(prob: float, kind: str = "hdi") -> tuple[str, str]:
    """Return the names of the columns that hold an interval."""
    percent = f"{100 * check_prob(prob):.6g}"
    return f"{kind}{percent}_lb", f"{kind}{percent}_ub"


def ranks(
    draws: ArrayLike | xr.DataArray, truth: ArrayLike | xr.DataArray, seed: int | None = None
) -> np.ndarray:
    """Return the rank of a true value among its draws, ties broken at random.

    - `draws` (..., draw): posterior draws, thinned to be nearly independent.
    - `truth` (...): the true values.
    - `seed`: for the ties.

    References
    ----------
    S. Talts et al., "Validating Bayesian inference algorithms with simulation-based calibration",
    2018, arXiv:1804.06788.
    """
    x, t = np.asarray(draws, dtype=float), np.asarray(truth, dtype=float)
    if x.ndim != t.ndim + 1 or x.shape[:-1] != t.shape:
        raise DataError(
            f"Draws of shape {x.shape} for true values of shape {t.shape}.",
            expected="One more axis for the draws, the last.",
        )
    below = (x < t[..., np.newaxis]).sum(axis=-1)
    ties = (x == t[..., np.newaxis]).sum(axis=-1)
    return np.asarray(below + np.random.default_rng(seed).integers(0, ties + 1))


def _index(named: xr.DataArray, extra: tuple[str, ...]) -> pd.Index:
    """Return the labels of the cells, in the order of a flattened array."""
    if not extra:
        return pd.Index([str(named.name) if named.name is not None else "value"])
    labels = [
        named.indexes[dim] if dim in named.indexes else pd.RangeIndex(named.sizes[dim], name=dim)
        for dim in extra
    ]
    if len(labels) == 1:
        return labels[0].rename(extra[0]) if labels[0].nlevels == 1 else labels[0]
    return pd.MultiIndex.from_product(labels, names=list(extra))
