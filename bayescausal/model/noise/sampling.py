"""Noise given what it must explain: draws from an interval, and from a winning category.

Given a value of a discrete variable, its noise has the base distribution conditioned on an
interval ``(lo, hi]``. With ``w`` uniform,

    ``F(l) = F(lo) + w (F(hi) - F(lo))``,

done in logarithms on the side of the interval that is small, which keeps intervals that lie 500
units out in the tail exact.

Given that category ``k`` wins ``argmax_j (log p_j + G_j)``, the Gumbel noises are drawn top-down
[1]_: the maximum is Gumbel at ``log sum p`` whatever wins, and the others are Gumbels truncated
below it.

When it fails: an empty interval (evidence that the model calls impossible) gives NaN.

References
----------
.. [1] C. J. Maddison, D. Tarlow and T. Minka, "A* sampling", NeurIPS 2014, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special as sp

from bayescausal.model.noise.families.continuous import log1mexp
from bayescausal.types import NoiseFormError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["sample_base", "sample_gumbel", "sample_interval"]


def sample_base(base: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return fresh noise.

    - `base` ("normal", "logistic" or "gumbel"): its distribution.
    - `rng`: where the randomness comes from.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.model.noise import sample_base
    >>> sample_base("normal", (2, 3), np.random.default_rng(1)).shape
    (2, 3)
    """
    if base == "normal":
        return rng.standard_normal(shape)
    if base == "logistic":
        return rng.logistic(size=shape)
    if base == "gumbel":
        return rng.gumbel(size=shape)
    raise NoiseFormError(f"{base!r} is no base noise.", expected="normal, logistic or gumbel.")


def sample_interval(
    base: str, lo: ArrayLike, hi: ArrayLike, rng: np.random.Generator
) -> np.ndarray:
    """Return base noise conditioned on ``(lo, hi]``, element by element.

    - `base` ("normal" or "logistic"): distribution of the noise.
    - `lo`, `hi`: ends; infinite ones are allowed. Where they are equal that number is returned.
    - `rng`: where the randomness comes from; one number is used per element, whatever the ends.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.model.noise import sample_interval
    >>> rng = np.random.default_rng(1)
    >>> noise = sample_interval("logistic", [300.0, 1.5], [301.0, 1.5], rng)
    >>> bool(300 < noise[0] <= 301), float(noise[1])
    (True, 1.5)
    """
    if base not in ("normal", "logistic"):
        raise NoiseFormError(
            f"Noise on the {base!r} scale is not drawn from intervals.",
            expected="normal or logistic.",
        )
    lo, hi = np.broadcast_arrays(np.asarray(lo, float), np.asarray(hi, float))
    w = 1.0 - rng.random(lo.shape)  # in (0, 1], as the interval
    with np.errstate(all="ignore"):
        flip = lo + hi > 0  # work in the lower half, where probabilities are small
        flip |= np.isposinf(hi) & np.isfinite(lo) & (lo > 0)
        start, end = np.where(flip, -hi, lo), np.where(flip, -lo, hi)
        share = np.where(flip, 1.0 - w, w)
        cdf, quantile = (
            (sp.log_ndtr, sp.ndtri_exp) if base == "normal" else (sp.log_expit, _logit_exp)
        )
        log_start, log_end = cdf(start), cdf(end)
        ratio = np.exp(log_start - log_end)
        ratio = np.where(np.isneginf(start), 0.0, ratio)
        level = log_end + np.log(share + (1.0 - share) * ratio)
        upper = np.logaddexp(cdf(-end), log1mexp(log_start - log_end) + log_end + np.log1p(-share))
        x = np.where(level < -0.5, quantile(level), -quantile(upper))
        x = np.where(flip, -x, x)
        inside = np.clip(x, np.nextafter(lo, np.inf), hi)
    out = np.where(lo < hi, inside, np.nan)
    return np.where(lo == hi, hi, out)


def _logit_exp(log_u: np.ndarray) -> np.ndarray:
    """Return the logit of ``exp(log_u)``."""
    return log_u - log1mexp(log_u)


def sample_gumbel(log_p: ArrayLike, k: ArrayLike, rng: np.random.Generator) -> np.ndarray:
    """Return Gumbel noise given that category `k` has the largest ``log_p + noise``.

    - `log_p` (..., categories): log probabilities; ``-inf`` is allowed.
    - `k` (...): the category that was seen.
    - `rng`: where the randomness comes from.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.model.noise import sample_gumbel
    >>> log_p = np.log([0.2, 0.5, 0.3])
    >>> noise = sample_gumbel(log_p, 2, np.random.default_rng(1))
    >>> int(np.argmax(log_p + noise))
    2
    """
    log_p = np.asarray(log_p, float)
    k = np.asarray(k)
    shape = np.broadcast_shapes(log_p.shape[:-1], k.shape)
    log_p = np.broadcast_to(log_p, (*shape, log_p.shape[-1]))
    waiting = rng.standard_exponential(log_p.shape)
    seen = np.arange(log_p.shape[-1]) == np.broadcast_to(k, shape)[..., None]
    with np.errstate(all="ignore"):
        own = np.where(seen, waiting, 0.0).sum(axis=-1, keepdims=True)
        best = sp.logsumexp(log_p, axis=-1, keepdims=True) - np.log(own)
        others = -np.log(waiting + np.exp(log_p - best))
        noise = np.where(seen, best - log_p, others)
        possible = np.isfinite(np.where(seen, log_p, 0.0).sum(axis=-1)) & seen.any(axis=-1)
    return np.where(possible[..., None], noise, np.nan)
