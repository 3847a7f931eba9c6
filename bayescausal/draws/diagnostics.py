r"""Is the chain long enough: effective sample size, split R-hat, Monte Carlo standard error.

Draws of a chain are correlated, so `n` of them are worth fewer [1]_:

.. math:: n_{\mathrm{eff}} = \frac{m n}{-1 + 2 \sum_k P_k}, \qquad P_k = \rho_{2k} + \rho_{2k+1},

with autocorrelations `rho` from within and between the `m` split chains, summed while the pairs
stay positive and made monotone (Geyer's initial sequence). *Bulk* ESS takes it of the
rank-normalised draws, *tail* ESS is the smaller one of the indicators of the 5% and 95%
quantiles. Split R-hat is the larger of that of the rank-normalised draws and of their folded
version. The Monte Carlo standard error of the mean is ``sd / sqrt(n_eff)``.

They look at one quantity at a time and see only what the chains visited: chains that all missed a
mode look fine. The numbers are ArviZ's [2]_, which the tests compare with. What is ours is that
many quantities are worked at once: an effect per unit has ten thousand of them, at some
milliseconds each one by one. Autocorrelations are taken lag by lag and only for quantities whose
sum goes on; nearly independent draws need three. Where there is nothing to compute (one chain for
R-hat, fewer than four draws, constant draws, values that are not numbers) the answer is NaN,
without a warning.

References
----------
.. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Buerkner, "Rank-normalization,
   folding, and localization: an improved R-hat for assessing convergence of MCMC",
   Bayesian Analysis 16 (2021), 667-718.
.. [2] R. Kumar, C. Carroll, A. Hartikainen and O. Martin, "ArviZ a unified library for
   exploratory analysis of Bayesian models in Python", Journal of Open Source Software 4(33), 2019.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["DIAGNOSTICS", "diagnose"]

#: Draws that are worked at once: what a processor's own memory holds.
_BLOCK = 200_000
#: What is found of each cell.
DIAGNOSTICS = ("ess_bulk", "ess_tail", "r_hat", "mcse_mean")


def diagnose(values: ArrayLike | xr.DataArray) -> dict[str, np.ndarray]:
    """Return ESS, R-hat and Monte Carlo standard error of each cell.

    `values` (cell, chain, draw): draws.

    References
    ----------
    A. Vehtari et al., "Rank-normalization, folding, and localization", Bayesian Analysis 16 (2021),
    667-718.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(1).normal(size=(1, 4, 500))
    >>> bool(diagnose(draws)["r_hat"][0] < 1.01)
    True
    """
    draws = np.asarray(values, dtype=float)
    n_cells, n_chains, n_draws = draws.shape
    out = {k: np.full(n_cells, np.nan) for k in DIAGNOSTICS}
    if n_draws < 4 or not n_cells:
        return out
    width = max(1, _BLOCK // (n_chains * n_draws))
    blocks = [slice(i, i + width) for i in range(0, n_cells, width)]
    if len(blocks) == 1:
        _fill(out, draws, blocks[0])
        return out
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda block: _fill(out, draws, block), blocks))
    return out


# ------------------------------------------------------------------------------- private


def _fill(out: dict[str, np.ndarray], draws: np.ndarray, block: slice) -> None:
    """Work some cells."""
    cells = draws[block]
    with np.errstate(all="ignore"):
        spread = np.ptp(cells, axis=(1, 2))
        # A spread below the rounding of the values is no spread.
        vary = spread > np.finfo(float).eps * np.abs(cells).max(axis=(1, 2))
        vary &= np.isfinite(cells).all(axis=(1, 2))
        if not vary.any():
            return
        unit = np.ldexp(1.0, np.frexp(spread[vary])[1])  # a power of two, so exact
        bulk, tail, r_hat, error = _numbers(cells[vary] / unit[:, np.newaxis, np.newaxis])
        for key, found in zip(DIAGNOSTICS, (bulk, tail, r_hat, error * unit), strict=True):
            out[key][block][vary] = found


def _numbers(x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return bulk and tail ESS, R-hat, and the error of the mean, of cells that all vary."""
    n_cells, n_chains, _ = x.shape
    halves = _split(x)
    ranked = _rank_normal(halves)
    ordered = np.sort(x.reshape(n_cells, -1), axis=1)
    tails = []
    for prob in (0.05, 0.95):
        limit = _quantile(ordered, prob)[:, np.newaxis, np.newaxis]
        tails.append(_ess(_split((x <= limit).astype(float))))
    error = np.std(x, axis=(1, 2), ddof=1) / np.sqrt(_ess(halves))
    r_hat = np.full(n_cells, np.nan)
    if n_chains > 1:
        flat = halves.reshape(n_cells, -1)
        whole = flat.shape[1] == ordered.shape[1]  # the halves leave out the middle of odd chains
        middle = _quantile(ordered, 0.5) if whole else np.median(flat, axis=1)
        folded = np.abs(halves - middle[:, np.newaxis, np.newaxis])
        r_hat = np.fmax(_r_hat(ranked), _r_hat(_rank_normal(folded)))
    return _ess(ranked), np.minimum(*tails), r_hat, error


def _split(x: np.ndarray) -> np.ndarray:
    """Return the two halves of each chain as chains of their own."""
    half = x.shape[2] // 2
    return np.concatenate((x[:, :, :half], x[:, :, -half:]), axis=1)


def _quantile(ordered: np.ndarray, prob: float) -> np.ndarray:
    """Return a quantile of sorted rows, between two draws in proportion."""
    place = prob * (ordered.shape[1] - 1)
    low = int(place)
    one, two = ordered[:, low], ordered[:, min(low + 1, ordered.shape[1] - 1)]
    return one + (two - one) * (place - low)


def _rank_normal(x: np.ndarray) -> np.ndarray:
    """Return the normal scores of the ranks of each cell; equal draws share their mean rank."""
    flat = x.reshape(len(x), -1)
    n = flat.shape[1]
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    score = ndtri((np.arange(1, n + 1) - 3 / 8) / (n + 1 / 4))
    scores = np.broadcast_to(score, flat.shape)
    same = ordered[:, 1:] == ordered[:, :-1]
    count = np.count_nonzero(same, axis=1)
    if count.any():
        scores = scores.copy()
        pair = same[:, 0] & (count == 1)  # as the two draws beside a median are, folded about it
        scores[pair, :2] = ndtri((1.5 - 3 / 8) / (n + 1 / 4))
        tied = (count > 0) & ~pair
        if tied.any():
            scores[tied] = _tied(same[tied])
    out = np.empty_like(flat)
    np.put_along_axis(out, order, scores, axis=1)
    return out.reshape(x.shape)


def _tied(same: np.ndarray) -> np.ndarray:
    """Return the scores of sorted rows, from where a draw equals the one before it."""
    rows, n = len(same), same.shape[1] + 1
    place = np.arange(n)
    edge = np.ones((rows, 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack((edge, ~same)), place, 0), axis=1)
    ends = np.where(np.hstack((~same, edge)), place, n - 1)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return ndtri((1 + (first + last) / 2 - 3 / 8) / (n + 1 / 4))


def _r_hat(x: np.ndarray) -> np.ndarray:
    """Return the potential scale reduction of chains."""
    n = x.shape[2]
    between = n * np.var(x.mean(axis=2), axis=1, ddof=1)
    within = np.var(x, axis=2, ddof=1).mean(axis=1)
    return np.sqrt((between / within + n - 1) / n)


def _ess(x: np.ndarray) -> np.ndarray:
    """Return the effective sample size of chains, by Geyer's initial monotone sequence."""
    n_cells, n_chains, n = x.shape
    means = x.mean(axis=2)
    centred = x - means[:, :, np.newaxis]

    def lag(t: int, of: np.ndarray) -> np.ndarray:
        return np.einsum("cmi,cmi->c", of[:, :, t:], of[:, :, : n - t]) / (n * n_chains)

    within = lag(0, centred)
    mean_var = within * n / (n - 1.0)
    var_plus = within + (np.var(means, axis=1, ddof=1) if n_chains > 1 else 0.0)

    def rho(t: int, of: np.ndarray, some: np.ndarray) -> np.ndarray:
        return 1.0 - (mean_var[some] - lag(t, of)) / var_plus[some]

    going = np.arange(n_cells)
    pairs = [np.stack((np.ones(n_cells), rho(1, centred, going)))]
    last = np.zeros((2, n_cells))  # the pair at which the sum ends, and how many there are before
    last[0] = pairs[0][0]
    on = pairs[0].sum(axis=0) > 0
    going, centred = going[on], centred[on]
    t = 1
    while len(going) and t < n - 3:
        pair = np.stack((rho(t + 1, centred, going), rho(t + 2, centred, going)))
        kept = pair.sum(axis=0) >= 0
        pairs.append(np.zeros((2, n_cells)))
        pairs[-1][:, going] = np.where(kept, pair, 0.0)
        last[0, going], last[1, going] = pair[0], len(pairs) - 1
        on = pair.sum(axis=0) > 0
        going, centred = going[on], centred[on]
        t += 2
    size = n_chains * n
    return np.where(np.ptp(x, axis=(1, 2)) > 0, _summed(np.array(pairs), last, size), size)


def _summed(pairs: np.ndarray, last: np.ndarray, size: int) -> np.ndarray:
    """Return the effective sample size from pairs of autocorrelations, dims (pair, 2, cell)."""
    even, ends = last[0], last[1].astype(int)
    index = np.arange(pairs.shape[2])
    pairs[ends, 0, index] = np.where(even > 0, even, pairs[ends, 0, index])
    for k in range(1, len(pairs)):
        above = (k < ends) & (pairs[k].sum(axis=0) > pairs[k - 1].sum(axis=0))
        pairs[k] = np.where(above, pairs[k - 1].sum(axis=0) / 2.0, pairs[k])
    before = np.arange(len(pairs))[:, np.newaxis] < ends
    total = -1.0 + 2.0 * np.where(before, pairs.sum(axis=1), 0.0).sum(axis=0)
    total += pairs[ends, 0, index]
    return size / np.maximum(total, 1 / np.log10(size))
