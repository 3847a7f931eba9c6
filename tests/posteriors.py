"""Draws of a posterior against its moments."""

from __future__ import annotations

import arviz_stats as azs
import numpy as np
from scipy import stats


def close(draws, mean, sd):
    """Whether draws, (chain, draw), have a mean and an sd, to four standard errors of them."""
    worth = float(azs.ess(np.asarray(draws)))
    assert worth > 400
    kurtosis = max(3.0, float(stats.kurtosis(np.ravel(draws), fisher=False)))
    assert abs(np.mean(draws) - mean) < 4 * sd / np.sqrt(worth)
    assert abs(np.std(draws) / sd - 1) < 4 * np.sqrt((kurtosis - 1) / 4 / worth)
