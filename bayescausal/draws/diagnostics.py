r"""Is the chain long enough: effective sample size, split R-hat, Monte Carlo standard error.

Draws of a chain are correlated, so `n` of them are worth fewer [1]_:

.. math:: n_{\mathrm{eff}} = \frac{m n}{-1 + 2 \sum_k P_k}, \qquad P_k = \rho_{2k} + \rho_{2k+1},

with autocorrelations `rho` from within and between the `m` split chains, summed while the pairs
stay positive and made monotone (Geyer's initial sequence). *Bulk* ESS takes it of the
rank-normalised draws, *tail* ESS is the smaller one of the indicators of the 5 % and 95 %
quantiles. Split R-hat is the larger of that of the rank-normalised draws and of their folded
version. The Monte Carlo standard error of the mean is ``sd / sqrt(n_eff)``.

They look at one quantity at a time and see only what the chains visited: chains that all missed a
mode look fine. The formulas are ArviZ's [2]_; what is decided here is where there is nothing to
compute (one chain for R-hat, fewer than four draws, constant draws): NaN, without a warning.

References
----------
.. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Buerkner, "Rank-normalization,
   folding, and localization: an improved R-hat for assessing convergence of MCMC",
   Bayesian Analysis 16 (2021), 667-718.
.. [2] R. Kumar, C. Carroll, A. Hartikainen and O. Martin, "ArviZ a unified library for
   exploratory analysis of Bayesian models in Python", Journal of Open Source Software 4(33), 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["diagnose"]


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
    from arviz_stats.base import array_stats

    draws = np.asarray(values, dtype=float)
    n_cells, n_chains, n_draws = draws.shape
    out = {k: np.full(n_cells, np.nan) for k in ("ess_bulk", "ess_tail", "r_hat", "mcse_mean")}
    spread = np.ptp(draws, axis=(1, 2))
    # A spread below the rounding of the values is no spread.
    vary = spread > np.finfo(float).eps * np.abs(draws).max(axis=(1, 2))
    if n_draws < 4 or not vary.any():
        return out
    # A power of two, so exact: ArviZ compares the spread with an absolute 1e-15.
    unit = np.ldexp(1.0, np.frexp(spread[vary])[1])
    moving = draws[vary] / unit[:, np.newaxis, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        out["ess_bulk"][vary] = array_stats.ess(moving, method="bulk")
        out["ess_tail"][vary] = array_stats.ess(moving, method="tail", prob=(0.05, 0.95))
        out["mcse_mean"][vary] = array_stats.mcse(moving, method="mean") * unit
        if n_chains > 1:
            out["r_hat"][vary] = array_stats.rhat(moving)
    return out
