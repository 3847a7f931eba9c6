"""Inverting a distribution function: bracket, then close in, for whole arrays at once.

The quantile of level ``u`` is the smallest value whose distribution function reaches it,

    ``Q(u) = min {v : F(v) >= u}``.

Both searches work on the logit scale (``logit F(v) = log F(v) - log S(v)`` against the logit of
``u``), so that they are as good at ``1e-300`` from either end as in the middle.

Continuous values: bisection on the *ordering of the floating point numbers* finds the sign and the
binary exponent in a dozen steps, whatever the scale; Chandrupatla's method [1]_ then closes in on
the last digit, by inverse quadratic interpolation where that is safe and bisection where it is
not. Integers: a bracket grown by doubling from a guess, then bisection.

Elements that are done leave the working set.

When it fails: if the distribution function is flat at the level (a gap in the support), every
value of the gap is a quantile and some value of it is returned; observed data are never there.

References
----------
.. [1] T. R. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a
   nonlinear function without using derivatives", Advances in Engineering Software 28 (1997)
   145-149.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.annotations import Array
    from bayescausal.model.noise.laws import Law

    type Tails = Callable[[Array, Sequence[Array]], tuple[Array, Array]]

__all__ = ["invert_continuous", "invert_integer", "search_law"]

HUGE = float(np.finfo(float).max)
LAST = float(2**62)


def _logit(tails: Tails, x: Array, params: Sequence[Array]) -> Array:
    log_f, log_s = tails(x, params)
    return log_f - log_s


def search_law(law: Law, ell: Array, params: Sequence[Array]) -> Array:
    """Return the quantile of any law at the level ``sigmoid(ell)``, element by element.

    - `law`: its tails, atoms, support and brackets are used.
    - `ell`: logits of the quantile levels.
    - `params`: the law's parameters, broadcasting with `ell` on the left of the law's own axes.
    """
    cores = law.cores
    batches = [np.shape(p)[: np.ndim(p) - core] for p, core in zip(params, cores, strict=True)]
    shape = np.broadcast_shapes(np.shape(ell), *batches)
    flat = np.broadcast_to(ell, shape).ravel()
    rows = []
    for p, core in zip(params, cores, strict=True):
        tail = np.shape(p)[np.ndim(p) - core :]
        rows.append(np.broadcast_to(p, (*shape, *tail)).reshape(flat.size, *tail))
    bracket = law.bracket(flat, rows)
    if law.kind == "integer":
        first, last = (np.asarray(v, float) for v in (bracket or law.support(rows)))
        guess = np.where(np.isfinite(first), first, 0.0)
        return invert_integer(law.tails, flat, rows, (first, last), guess).reshape(shape)
    out = np.full(flat.shape, np.nan)
    waiting = ~np.isnan(flat)
    for atom in law.atoms(rows):
        lo, hi = (f - s for f, s in (law.left(atom, rows), law.tails(atom, rows)))
        here = waiting & (lo < flat) & (flat <= hi)
        out[here] = np.broadcast_to(atom, flat.shape)[here]
        waiting &= ~here
    todo = np.flatnonzero(waiting)
    ends = None if bracket is None else (bracket[0][todo], bracket[1][todo])
    out[todo] = invert_continuous(law.tails, flat[todo], [p[todo] for p in rows], ends)
    return out.reshape(shape)


def invert_continuous(
    tails: Tails,
    ell: Array,
    params: Sequence[Array],
    bracket: tuple[Array, Array] | None = None,
) -> Array:
    """Return the values at which ``log F - log S`` equals `ell`.

    - `tails`: ``tails(x, params) -> (log F, log S)``, vectorised over the leading axis.
    - `ell` (n): logits of the quantile levels; NaN gives NaN.
    - `params` (n, ...): parameters, one row per element.
    - `bracket`: values known to enclose the roots. Checked; where they do not, the line is
      searched.
    """
    out = np.full(ell.shape, np.nan)
    active = np.flatnonzero(~np.isnan(ell))
    if active.size == 0:
        return out
    rows, ell = [p[active] for p in params], ell[active]
    if bracket is None:
        low, high = _bracket(tails, ell, rows)
    else:
        low, high = _checked(tails, ell, rows, bracket[0][active], bracket[1][active])
    out[active] = _chandrupatla(tails, ell, rows, low, high)
    return out


def _checked(
    tails: Tails, ell: Array, rows: Sequence[Array], low: Array, high: Array
) -> tuple[Array, Array]:
    """Widen a bracket by a few roundings, and search the line where it holds no root."""
    low = np.clip(low - 8 * np.abs(np.spacing(low)), -HUGE, HUGE)
    high = np.clip(high + 8 * np.abs(np.spacing(high)), -HUGE, HUGE)
    good = (_logit(tails, low, rows) <= ell) & (ell <= _logit(tails, high, rows))
    bad = np.flatnonzero(~good)
    if bad.size:
        low[bad], high[bad] = _bracket(tails, ell[bad], [p[bad] for p in rows])
    return low, high


def _bracket(tails: Tails, ell: Array, rows: Sequence[Array]) -> tuple[Array, Array]:
    """Return neighbours within a factor of two that enclose each root."""
    low, high = np.full(ell.shape, _key(-HUGE)), np.full(ell.shape, _key(HUGE))
    for _ in range(12):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        below = _logit(tails, _unkey(middle), rows) < ell
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return _unkey(low), _unkey(high)


def _key(x: float | Array) -> Array:
    """Map doubles to integers in the same order."""
    bits = np.asarray(x, float).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _unkey(key: Array) -> Array:
    bits = np.where(key < 0, np.int64(-(2**63)) - key, key)
    return np.asarray(bits, np.int64).view(float)


def _chandrupatla(
    tails: Tails, ell: Array, rows: Sequence[Array], low: Array, high: Array
) -> Array:
    """Close in on the root between low and high, keeping a bracket [b, a] with b the newest."""
    f_low = _logit(tails, low, rows) - ell
    f_high = _logit(tails, high, rows) - ell
    root = np.where(np.abs(f_low) < np.abs(f_high), low, high)
    best = np.fmin(np.abs(f_low), np.abs(f_high))
    index = np.arange(ell.size)
    b, a, c, fb, fa, fc = low, high, high, f_low, f_high, f_high
    t = np.full(ell.shape, 0.5)
    for _ in range(200):
        x = a + t * (b - a)
        f = _logit(tails, x, rows) - ell
        better = np.abs(f) < best[index]
        root[index[better]], best[index[better]] = x[better], np.abs(f[better])
        same = (f < 0) == (fa < 0)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, f
        width = np.abs(b - a)
        tolerance = 2.0 * np.spacing(np.abs(root[index]))
        rounding = np.spacing(np.maximum(np.abs(ell), 1.0))  # the logit itself is no better
        live = (np.abs(f) > rounding) & (width > tolerance)
        if not live.any():
            break
        index = index[live]
        a, b, c, fa, fb, fc, ell = (v[live] for v in (a, b, c, fa, fb, fc, ell))
        rows = [p[live] for p in rows]
        t = _step(a, b, c, fa, fb, fc, 0.5 * tolerance[live] / width[live])
    return root


def _step(a: Array, b: Array, c: Array, fa: Array, fb: Array, fc: Array, least: Array) -> Array:
    """Return the next fraction of the way from a to b (Chandrupatla's criterion)."""
    with np.errstate(all="ignore"):
        xi = (a - b) / (c - b)
        phi = (fa - fb) / (fc - fb)
        t = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        quadratic = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi) & np.isfinite(t)
    t = np.where(quadratic, t, 0.5)
    return np.clip(t, least, 1.0 - least)


def invert_integer(
    tails: Tails,
    ell: Array,
    params: Sequence[Array],
    support: tuple[Array, Array],
    guess: Array,
) -> Array:
    """Return the smallest integers (as floats) with ``log F - log S >= ell``.

    - `tails`: ``tails(k, params) -> (log F, log S)``, vectorised over the leading axis.
    - `ell` (n): logits of the quantile levels; NaN gives NaN.
    - `params` (n, ...): parameters, one row per element.
    - `support`: first and last value; infinite bounds are cut at 2**62.
    - `guess` (n): where to start; any value is right, a close one is fast.
    """
    first = np.maximum(np.broadcast_to(support[0], ell.shape), -LAST)
    last = np.minimum(np.broadcast_to(support[1], ell.shape), LAST)
    out = np.where(np.isnan(ell) | np.isnan(first) | np.isnan(last), np.nan, 0.0)
    todo = np.flatnonzero(~np.isnan(out))
    if todo.size == 0:
        return out
    ell, first, last = ell[todo], first[todo], last[todo]
    rows = [p[todo] for p in params]
    start = np.clip(np.floor(np.nan_to_num(np.broadcast_to(guess, out.shape)[todo])), first, last)
    low = _grow(tails, ell, rows, np.maximum(start - 1, first - 1), first - 1, last, down=True)
    high = _grow(tails, ell, rows, np.maximum(low + 1, start), first - 1, last, down=False)
    index = np.flatnonzero(high - low > 1)
    while index.size:
        middle = np.floor(0.5 * (low[index] + high[index]))
        middle = np.clip(middle, low[index] + 1, high[index] - 1)
        reached = _logit(tails, middle, [p[index] for p in rows]) >= ell[index]
        high[index] = np.where(reached, middle, high[index])
        low[index] = np.where(reached, low[index], middle)
        index = index[_apart(low[index], high[index])]
    out[todo] = high
    return out


def _apart(low: Array, high: Array) -> Array:
    """Return where an integer, that a double can tell apart, lies between."""
    return (high - low > 1) & (np.nextafter(low, np.inf) < high)


def _grow(
    tails: Tails,
    ell: Array,
    rows: Sequence[Array],
    start: Array,
    floor: Array,
    last: Array,
    *,
    down: bool,
) -> Array:
    """Move from start, doubling the step, until below the level (down) or at it (up)."""
    at = start.copy()
    limit = floor if down else last
    index = np.flatnonzero(at > limit if down else at < limit)
    step = 1.0
    while index.size:
        reached = _logit(tails, at[index], [p[index] for p in rows]) >= ell[index]
        index = index[reached if down else ~reached]
        at[index] = (
            np.maximum(at[index] - step, limit[index])
            if down
            else np.minimum(at[index] + step, limit[index])
        )
        index = index[at[index] > limit[index] if down else at[index] < limit[index]]
        step *= 2.0
    return at
