r"""Are the groups alike? Standardised differences before and after weighting.

Between two arms a covariate z differs by

.. math:: d = \frac{\bar z_1 - \bar z_0}{\sqrt{(s_1^2 + s_0^2) / 2}},

its spread being that before weighting, so that the two differences share one unit [1]_, and its
variances have the ratio :math:`s_1^2 / s_0^2`. With several arms each is held against all the
others. For a dose the measure is the correlation of covariate and dose [2]_. Levels of a
categorical covariate count one by one. After weighting there is a value in each posterior draw.

References
----------
.. [1] P. C. Austin, "Balance diagnostics for comparing the distribution of baseline covariates
   between treatment groups in propensity-score matched samples", Statistics in Medicine 28
   (2009), 3083-3107.
.. [2] Y. Zhu, D. L. Coffman and D. Ghosh, "A boosting algorithm for estimating generalized
   propensity scores with continuous treatments", Journal of Causal Inference 3 (2015), 25-40.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.intervals import hdi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.checks.overlap.propensity import Support

__all__ = ["balance_table"]


def balance_table(covariates: Mapping[str, np.ndarray], support: Support) -> pd.DataFrame:
    """Return the balance of each covariate before and after weighting.

    ``covariates`` (draw or 1, unit): numbers, or indicators of levels.
    Result: a row per covariate: ``measure``, ``before``, ``after`` (posterior mean) with its 94%
        interval (``after_lb``, ``after_ub``), ``ratio_before`` and ``ratio_after`` of the variances
        (NaN for indicators and doses), ``chance`` (what sampling alone leaves, three standard
        errors). Of several arms, the one that differs most.
    """
    rows = {name: _row(z, support) for name, z in covariates.items()}
    columns = ["measure", "before", "after", "after_lb", "after_ub"]
    columns += ["ratio_before", "ratio_after", "chance"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


# ------------------------------------------------------------------------------- private


def _row(z: np.ndarray, support: Support) -> list[Any]:
    if support.kind == "strata":
        flat = np.ones_like(support.weights[:1])
        before = _correlation(z, support.values, flat)
        after = _correlation(z, support.values, support.weights)
        size = support.weights.sum(axis=1) ** 2 / (support.weights**2).sum(axis=1)
        low, high = hdi(after).values
        spread = 3.0 / np.sqrt(size.mean())
        return [
            "correlation", before.mean(), after.mean(), low, high, np.nan, np.nan, spread
        ]  # fmt: skip
    arms = range(len(support.labels)) if len(support.labels) > 2 else range(1, 2)
    best: list[Any] = []
    for arm in arms:
        found = _difference(z, support.arm == arm, support.weights)
        if not best or abs(found[2]) > abs(float(best[2])):
            best = found
    return best


def _difference(z: np.ndarray, inside: np.ndarray, weights: np.ndarray) -> list[Any]:
    """Return the standardised difference of one arm from the rest."""
    ones = np.ones((1, z.shape[1]))
    (m1, v1), (m0, v0) = (_moments(z, ones * g) for g in (inside, ~inside))
    spread = np.sqrt((v1 + v0) / 2)
    before = _over(m1 - m0, spread)
    (w1, u1), (w0, u0) = (_moments(z, weights * g) for g in (inside, ~inside))
    after = _over(w1 - w0, spread)
    sizes = [(weights * g).sum(axis=1) ** 2 / ((weights * g) ** 2).sum(axis=1)
             for g in (inside, ~inside)]  # fmt: skip
    chance = 3.0 * np.sqrt(sum(1 / s.mean() for s in sizes))
    low, high = hdi(np.broadcast_to(after, len(weights))).values
    numbers = len(np.unique(z)) > 2
    ratios = [float(_over(a, b).mean()) if numbers else np.nan for a, b in ((v1, v0), (u1, u0))]
    return [
        "difference", float(before.mean()), float(after.mean()), low, high, *ratios, chance
    ]  # fmt: skip


def _moments(z: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = weights.sum(axis=1)
    mean = (weights * z).sum(axis=1) / total
    return mean, (weights * (z - mean[:, None]) ** 2).sum(axis=1) / total


def _correlation(z: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1, keepdims=True)
    a = z - (weights * z).sum(axis=1, keepdims=True) / total
    b = values - (weights * values).sum(axis=1, keepdims=True) / total
    covariance = (weights * a * b).sum(axis=1)
    return _over(covariance, np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1)))


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b; nothing over nothing is 0."""
    with np.errstate(all="ignore"):
        return np.where((b == 0) & (np.abs(a) < 1e-12), 0.0, a / b)
