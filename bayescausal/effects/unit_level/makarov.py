"""Sharp bounds on the distribution of a difference of two outcomes, from their margins.

For distribution functions ``F1`` and ``F0``, with ``F(y-)`` the limit from the left
(Makarov 1981; the limits matter where the outcomes have atoms),

    ``sup_y max(F1(y) - F0((y - d)-), 0) <= P(Y1 - Y0 <= d)``
    ``P(Y1 - Y0 <= d) <= 1 + inf_y min(F1(y) - F0(y - d), 0)``,

and for ``P(Y1 - Y0 < d)`` the same with ``F0(y - d)`` in the first and ``F1(y-)`` in the second.

The margins are given here as sorted equally likely values (quantiles at ``(k + 1/2) / K``), and
one sweep over both finds the supremum. Bounds on a quantile follow by inverting the bounds on
the distribution function.

References
----------
G. D. Makarov, "Estimates for the distribution function of a sum of two random variables when the
marginal distributions are fixed", Theory of Probability 26 (1981), 803-806.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logit, ndtri

from bayescausal.effects.estimands.functionals import Probability, Quantile
from bayescausal.evaluation.evaluate import evaluate
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Number
    from bayescausal.effects.evaluation.question import Question

__all__ = ["cdf_bounds", "difference_bounds"]

#: Quantiles of each margin.
GRID = 128
#: Draws x units x quantiles that are swept at once.
BATCH = 4_000_000
#: Draws x units at most, for each kind of functional.
PAIRS = {"probability": 4_000_000, "quantile": 200_000}


def cdf_bounds(
    one: np.ndarray, zero: np.ndarray, d: Number, *, strict: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return Makarov's bounds on ``P(Y1 - Y0 <= d)``.

    - `one`, `zero`: sorted, equally likely values of each outcome along the last axis; leading axes
      agree.
    - `d`: broadcasts against the leading axes.
    - `strict`: bounds on ``P(Y1 - Y0 < d)`` instead.
    Returns: shape of the leading axes.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.arange(4.0)
    >>> [float(b) for b in cdf_bounds(y + 2, y, 2.0)]
    [0.25, 1.0]
    >>> [float(b) for b in cdf_bounds(y + 2, y, 2.0, strict=True)]
    [0.0, 0.75]
    """
    from bayescausal.effects.unit_level.makarov_sweep import sweep

    lower, upper = sweep(
        np.ascontiguousarray(one, dtype=float),
        np.ascontiguousarray(zero, dtype=float),
        np.asarray(d, dtype=float),
        strict,
    )
    return np.asarray(lower), np.asarray(upper)


def difference_bounds(
    question: Question, seed: int, chosen: np.ndarray | None
) -> tuple[tuple[np.ndarray, np.ndarray], str]:
    """Return bounds on the functional of the unit-level effect, and how they were found.

    - `question`: of an ITE with a quantile or probability.
    - `chosen` (bool): the units that belong.
    Returns:
    - `bounds` (ndarray, ndarray): lower and upper, dims (draw,).
    - `words`
    """
    estimand: Any = question.estimand
    if estimand.scale.name != "difference":
        raise EstimandError(
            "Bounds on the distribution of unit effects are for differences.",
            remedy='Ask scale="difference".',
        )
    functional = estimand.functional
    kind = "probability" if isinstance(functional, Probability) else "quantile"
    own = _only_own_noise(question)
    margins = estimand.bounds == "margins" or not own
    rows, words = _rows(question, chosen, kind)
    total = question.fit.n_draws
    lower, upper = np.empty(total), np.empty(total)
    for draws, one, zero in _margins(question, seed, rows, own):
        if margins:
            n = one.shape[0]
            one = np.sort(_thin(one.reshape(n, 1, -1)), axis=-1)
            zero = np.sort(_thin(zero.reshape(n, 1, -1)), axis=-1)
        low, high = _functional_bounds(functional, one, zero)
        lower[draws], upper[draws] = low, high
    said = (
        "Bounds: Makarov, within each unit's covariates and latents, averaged"
        if not margins
        else "Bounds: Makarov, from the population's margins"
    )
    return (lower, upper), f"{said}{words}; exact to {1 / GRID:.1%}."


def _functional_bounds(
    functional: Quantile | Probability, one: np.ndarray, zero: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds averaged over units, (draw,), from quantiles (draw, unit, grid)."""

    def below(d: Number, strict: bool = False) -> tuple[np.ndarray, np.ndarray]:
        low, high = cdf_bounds(one, zero, d, strict=strict)
        return low.mean(axis=1), high.mean(axis=1)

    if isinstance(functional, Probability):
        return _event_bounds(functional, below)
    q = functional.q
    spread = (one[..., -1] - zero[..., 0]).max(axis=1), (one[..., 0] - zero[..., -1]).min(axis=1)
    ends = []
    for side in (1, 0):  # the upper bound of F gives the lower bound of the quantile
        high, low = spread[0].copy(), spread[1].copy()
        for _ in range(40):
            middle = (low + high) / 2
            reached = below(middle[:, None])[side] >= q
            high = np.where(reached, middle, high)
            low = np.where(reached, low, middle)
        ends.append(high)
    return ends[0], ends[1]


def _event_bounds(event: Probability, below: Any) -> tuple[np.ndarray, np.ndarray]:
    if event.at_most is not None:
        low, high = below(event.at_most)
        return low, high
    if event.above is not None:
        low, high = below(event.above)
        return 1.0 - high, 1.0 - low
    if event.below is not None:
        low, high = below(event.below, strict=True)
        return low, high
    if event.at_least is not None:
        low, high = below(event.at_least, strict=True)
        return 1.0 - high, 1.0 - low
    if event.between is None and not isinstance(event.equals, int | float):
        raise EstimandError(f"The effect cannot equal {event.equals!r}.", expected="a number.")
    a, b = event.between or (event.equals, event.equals)
    low_a, high_a = below(np.nextafter(float(a or 0.0), -np.inf))
    low_b, high_b = below(float(b or 0.0))
    return np.maximum(low_b - high_a, 0.0), np.minimum(high_b - low_a, 1.0)


def _only_own_noise(question: Question) -> bool:
    structure = question.structure
    above = structure.ancestors([question.outcome])
    between = [n for n in question.recomputed if n in above]
    return not between and question.outcome in structure.random


def _rows(question: Question, chosen: np.ndarray | None, kind: str) -> tuple[np.ndarray, str]:
    """Return positions of the units that are swept, evenly spaced where there are too many."""
    count = question.units.count
    rows = np.arange(count) if chosen is None else np.flatnonzero(chosen.reshape(-1))
    most = max(PAIRS[kind] // max(question.fit.n_draws, 1), 50)
    if len(rows) <= most:
        return rows, ""
    return rows[:: -(-len(rows) // most)], f", over every {-(-len(rows) // most)}th unit"


def _thin(pooled: np.ndarray) -> np.ndarray:
    """Return evenly spaced order statistics of many pooled values."""
    ordered = np.sort(pooled, axis=-1)
    n = ordered.shape[-1]
    most = 4 * GRID
    if n <= most:
        return ordered
    places = ((np.arange(most) + 0.5) / most * n).astype(int)
    return ordered[..., places]


class _Stratified:
    """Noise on a grid of ranks for the outcome, fresh for everything before it."""

    def __init__(self, outcome: str, seed: int, own: bool) -> None:
        self.outcome, self.fresh, self.own = outcome, FreshNoise(seed), own

    def draw(
        self,
        variable: str,
        base: str,
        draws: Sequence[int] | np.ndarray,
        group: int,
        replicates: int,
        shape: tuple[int, ...],
        *,
        along: int | None = None,
        start: int = 0,
    ) -> np.ndarray:
        if variable != self.outcome or not self.own or base == "gumbel":
            return self.fresh.draw(
                variable, base, draws, group, replicates, shape, along=along, start=start
            )
        rank = (np.arange(replicates) + 0.5) / replicates
        grid = ndtri(rank) if base == "normal" else logit(rank)
        grid = grid.reshape(1, replicates, *(1,) * len(shape))
        return np.broadcast_to(grid, (len(draws), replicates, *shape))


def _margins(question: Question, seed: int, rows: np.ndarray, own: bool) -> Any:
    """Yield (draws, sorted outcomes when treated, when not), (draw, unit, grid)."""
    requests = [question.drawn(w) for w in ("treated", "control")]
    units = question.units
    program = question.compiled(requests)
    total = question.fit.n_draws
    source = _Stratified(question.outcome, seed, own)
    step = max(1, BATCH // (units.count * GRID))
    for lo in range(0, total, step):
        draws = slice(lo, min(lo + step, total))
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        count = draws.stop - draws.start
        for block in evaluate(program, units, draws, source, replicates=GRID, whole_units=True):
            pair = []
            for value in block.values:
                n = len(range(total)[block.draws])
                full = np.broadcast_to(
                    value, (n, GRID, *(units.sizes[d] for d in _frame(question)))
                )
                flat = full.reshape(n, GRID, -1)[:, :, rows]
                pair.append(np.sort(np.moveaxis(flat, 1, -1).astype(float), axis=-1))
            parts.append((pair[0], pair[1]))
        one = np.concatenate([p[0] for p in parts])
        zero = np.concatenate([p[1] for p in parts])
        assert len(one) == count
        yield draws, one, zero


def _frame(question: Question) -> list[str]:
    dims = question.structure.dims[question.outcome]
    return [d for d in dims if d in question.structure.unit_dims]
