r"""Is the chain long enough: effective sample size, split R-hat, Monte Carlo standard error.

Draws of a chain are correlated, so `n` of them are worth fewer [1]_:

.. math:: n_{\mathrm{eff}} = \frac{m n}{-1 + 2 \sum_k P_k}, \qquad P_k = \rho_{2k} + \rho_{2k+1},

with autocorrelations `rho` from within and between the `m` split chains, summed while the pairs
stay positive and made monotone (Geyer's initial sequence). *Bulk* ESS takes it of the
rank-normalised draws, *tail* ESS is the smaller one of the indicators of the 5 % and 95 %
quantiles. Split R-hat is the larger of that of the rank-normalised draws and of their folded
version. The Monte Carlo standard error of the mean is ``sd / sqrt(n_eff)``.

They look at one quantity at a time and see only what the chains visited: chains that all missed a
mode look fine. Where they cannot be computed (one chain for R-hat, fewer than four draws, constant
draws) they are NaN. All cells are worked at once, so that a result for each of many units
stays fast.

References
----------
.. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Buerkner, "Rank-normalization,
   folding, and localization: an improved R-hat for assessing convergence of MCMC",
   Bayesian Analysis 16 (2021), 667-718.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft, special, stats

__all__ = ["diagnose"]

# Cells per block are chosen so that a block's Fourier transform stays near this many numbers.
_BLOCK = 4_000_000


def diagnose(values: Any) -> dict[str, np.ndarray]:
    """Return ESS, R-hat and Monte Carlo standard error of each cell.

    Parameters
    ----------
    values : array_like, dims (cell, chain, draw)
        Draws.

    Returns
    -------
    dict of str to numpy array, dims (cell,)
        ``ess_bulk``, ``ess_tail``, ``r_hat``, ``mcse_mean``; NaN where undefined.

    References
    ----------
    A. Vehtari et al., "Rank-normalization, folding, and localization", Bayesian Analysis 16 (2021),
    667-718.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.draws.diagnostics import diagnose
    >>> draws = np.random.default_rng(1).normal(size=(1, 4, 500))
    >>> bool(diagnose(draws)["r_hat"][0] < 1.01)
    True
    """
    draws = np.asarray(values, dtype=float)
    n_cells, n_chains, n_draws = draws.shape
    out = {k: np.full(n_cells, np.nan) for k in ("ess_bulk", "ess_tail", "r_hat", "mcse_mean")}
    if n_draws < 4:
        return out
    size = max(1, _BLOCK // (n_chains * n_draws * 4))
    for start in range(0, n_cells, size):
        block = draws[start : start + size]
        vary = np.flatnonzero(np.ptp(block, axis=(1, 2)) > np.finfo(float).eps * _magnitude(block))
        if len(vary):
            for key, value in _diagnose_block(block[vary]).items():
                out[key][start + vary] = value
    return out


def _magnitude(block: np.ndarray) -> np.ndarray:
    """Largest absolute value of each cell: a spread below its rounding is no spread."""
    return np.asarray(np.abs(block).max(axis=(1, 2)))


def _diagnose_block(draws: np.ndarray) -> dict[str, np.ndarray]:
    split = _split(draws)
    normal = _rank_normal(split)
    low, high = np.quantile(draws, [0.05, 0.95], axis=(1, 2))
    tails = [
        _ess(_split((draws <= limit[:, np.newaxis, np.newaxis]).astype(float)))
        for limit in (low, high)
    ]
    sd = draws.std(axis=(1, 2), ddof=1)
    r_hat = np.full(len(draws), np.nan)
    if draws.shape[1] > 1:
        folded = np.abs(split - np.median(split, axis=(1, 2), keepdims=True))
        r_hat = np.maximum(_r_hat(normal), _r_hat(_rank_normal(folded)))
    return {
        "ess_bulk": _ess(normal),
        "ess_tail": np.minimum(*tails),
        "r_hat": r_hat,
        "mcse_mean": sd / np.sqrt(_ess(split)),
    }


def _split(draws: np.ndarray) -> np.ndarray:
    """Cut each chain into two halves, leaving out the middle draw of an odd chain."""
    half = draws.shape[-1] // 2
    return np.concatenate([draws[..., :half], draws[..., -half:]], axis=1)


def _rank_normal(draws: np.ndarray) -> np.ndarray:
    """Replace draws by normal scores of their ranks over all chains of a cell."""
    flat = draws.reshape(len(draws), -1)
    ranks = stats.rankdata(flat, method="average", axis=-1)
    return np.asarray(special.ndtri((ranks - 0.375) / (flat.shape[-1] + 0.25))).reshape(draws.shape)


def _r_hat(draws: np.ndarray) -> np.ndarray:
    n = draws.shape[-1]
    between = n * draws.mean(axis=-1).var(axis=-1, ddof=1)
    within = draws.var(axis=-1, ddof=1).mean(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((between / within + n - 1) / n))


def _autocovariance(draws: np.ndarray) -> np.ndarray:
    """Return autocovariances of each chain at all lags (divided by the number of draws)."""
    n = draws.shape[-1]
    centred = draws - draws.mean(axis=-1, keepdims=True)
    size = fft.next_fast_len(2 * n, real=True)
    spectrum = fft.rfft(centred, n=size, axis=-1)
    return np.asarray(fft.irfft(np.abs(spectrum) ** 2, n=size, axis=-1)[..., :n]) / n


def _ess(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size of split chains, cells first."""
    _, m, n = draws.shape
    covariance = _autocovariance(draws)
    mean_variance = covariance[..., 0].mean(axis=-1) * n / (n - 1.0)
    total = mean_variance * (n - 1.0) / n + draws.mean(axis=-1).var(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1.0 - (mean_variance[:, np.newaxis] - covariance.mean(axis=1)) / total[:, np.newaxis]
    rho[:, 0] = 1.0
    pairs = max(1, (n - 1) // 2)
    even, odd = rho[:, 0 : 2 * pairs : 2], rho[:, 1 : 2 * pairs : 2]
    sums = even + odd
    # the first pair that is not positive ends the sequence; the last one always does
    ends = sums <= 0
    ends[:, -1] = True
    stop = np.argmax(ends, axis=-1)
    kept = np.arange(pairs) < stop[:, np.newaxis]
    monotone = np.minimum.accumulate(sums, axis=-1)
    last = np.maximum(even[np.arange(len(rho)), stop], 0.0)
    tau = -1.0 + 2.0 * np.where(kept, monotone, 0.0).sum(axis=-1) + last
    size = float(m * n)
    return np.asarray(size / np.maximum(tau, 1.0 / np.log10(size)))
