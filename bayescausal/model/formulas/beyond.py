r"""What a column adds beyond the terms that it contains: scales that do not depend on a zero.

The coefficient of :math:`t` in ``t * year`` is the effect of :math:`t` in the year 0, and the
product moves with :math:`t` nearly as much as :math:`t` itself: neither has a scale of its own.
What has one is the part of a column that the lower terms do not say. With the terms in order of
their degree, column :math:`x_j` is regressed by least squares on the constant and on what the
columns before it *that read no other variables* add,

.. math:: x_j = h_{0j} + \sum_{i \prec j} h_{ij}\, r_i + r_j ,

so that :math:`\eta = c_0 + \sum_j c_j r_j` with :math:`c_i = b_i + \sum_{j \succ i} h_{ij} b_j`:
for ``t * year``, :math:`c_t` is the mean effect of :math:`t` over the data. Priors stated for the
:math:`c_j`, with scales from the standard deviations of the :math:`r_j`, are the same whatever
constant is added to a variable, because the spaces spanned are [1]_. Written for the coefficients
themselves they are

.. math:: b_i \mid b_{j \succ i} \sim N\Bigl(m_i - \sum_{j \succ i} h_{ij} b_j,\; s_i\Bigr).

Categories have no zero, so their products are only taken about their means. The columns of
``g:year`` add up to the year: without a term ``year`` or ``g``, each has the scale of that sum if
it is the smaller one, so that a trend of all levels is not shut out. Where a column says
nothing that those before it did not, no scale follows from the data, and none matters to them: it
has that of the column itself.

References
----------
.. [1] P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed., Chapman & Hall, 1989,
   section 3.5, "marginality".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.formulas.terms import Effect
    from bayescausal.model.formulas.values import Value

__all__ = ["FAR", "Beyond", "beyond", "less", "mean_of", "ranked", "times"]

#: Standard deviations from its mean beyond which the zero of a column is outside of the data.
FAR = 5.0
#: Share of a column below which what is left of it is rounding.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Beyond:
    """What the columns of one effect add."""

    # (K) Standard deviation of what each column adds; 1 where that is not known or nothing.
    sd: np.ndarray
    mean: np.ndarray  # (K) Its mean in the data, ``h[0, j]``
    on: dict[int, np.ndarray]  # (K_i, K) By the place of the effect i that it contains, ``h[i, j]``
    away: np.ndarray  # (K) The largest standard deviation of what it takes from one of them

    @property
    def far(self) -> bool:
        """Whether the zero of a variable is outside of what the data show of it."""
        return bool(np.any(np.maximum(np.abs(self.mean), self.away) > FAR * self.sd))


def less(start: TensorVariable | float, parts: Sequence[Any]) -> TensorVariable | float:
    """Return a number or expression minus others, without a zero in front."""
    for part in parts:
        start = -part if isinstance(start, int | float) and not start else start - part
    return start


def mean_of(offset: Value) -> float:
    """Return the mean of an offset in the data, 0 where they do not have it."""
    seen = np.asarray(np.nan if offset.numeric is None else offset.numeric, dtype=float)
    seen = seen[np.isfinite(seen)]
    return float(seen.mean()) if seen.size else 0.0


def ranked(effects: Sequence[Effect]) -> list[int]:
    """Return the places of effects, each after all that it contains."""
    return sorted(range(len(effects)), key=lambda k: (effects[k].degree, not effects[k].plain, k))


def beyond(effects: Sequence[Effect], rows: int, *, constant: bool) -> list[Beyond]:
    """Return what each effect adds to those that it contains.

    - `rows`: of the data; 0 without.
    - `constant`: whether the constant is among what the effects span.
    """
    seen = [effect.numbers(rows) if rows else None for effect in effects]
    known = [x for x in seen if x is not None]
    whole = np.ones(rows, dtype=bool)
    for columns in known:
        whole &= np.isfinite(columns).all(axis=1)
    found: dict[int, Beyond] = {}
    rests: dict[int, np.ndarray] = {}
    for k in ranked(effects):
        effect, x = effects[k], seen[k]
        if x is None or whole.sum() < 2:
            size = int(np.prod([len(v.labels) for v in effect.vectors], dtype=int))
            found[k] = Beyond(np.ones(size), np.zeros(size), {}, np.zeros(size))
            continue
        inside = [] if effect.categorical else [
            i for i in rests if effects[i].reads <= effect.reads
        ]  # fmt: skip
        found[k], rests[k] = _split(x[whole], {i: rests[i] for i in inside}, constant)
        found[k] = _together(found[k], rests[k], effect)
    return [found[k] for k in range(len(effects))]


def _together(found: Beyond, rest: np.ndarray, effect: Effect) -> Beyond:
    """Return scales no larger than that of what columns of all levels of a category add up to."""
    full = [i for i, v in enumerate(effect.vectors) if getattr(v, "full", False)]
    if effect.categorical or not full:
        return found
    shape = [len(v.labels) for v in effect.vectors]
    axes = tuple(1 + i for i in full)
    total = rest.reshape(len(rest), *shape).sum(axis=axes, keepdims=True).std(axis=0)
    smallest = np.broadcast_to(total, shape).ravel()
    some = smallest > ROUNDING * np.abs(rest).max(initial=0.0)
    return replace(found, sd=np.where(some, np.minimum(found.sd, smallest), found.sd))


def _split(
    x: np.ndarray, inside: dict[int, np.ndarray], constant: bool
) -> tuple[Beyond, np.ndarray]:
    """Regress columns on the constant and on what others add."""
    mean = x.mean(axis=0)
    about = x - mean
    own = about.std(axis=0)
    if not constant:
        mean, about = np.zeros_like(mean), x
    basis = np.concatenate([np.zeros((len(x), 0)), *inside.values()], axis=1)
    width = np.sqrt((basis**2).mean(axis=0))
    unit = basis / np.where(width > 0, width, 1.0)
    coefficients = np.zeros((basis.shape[1], x.shape[1]))
    rest = about
    for _ in range(2):  # the second time takes out what rounding left
        step = np.linalg.lstsq(unit, rest, rcond=1e-8)[0] if basis.shape[1] else coefficients
        coefficients = coefficients + step
        rest = rest - unit @ step
    sd = rest.std(axis=0)
    nothing = sd <= ROUNDING * np.abs(x).max(axis=0)
    rest = np.where(nothing, 0.0, rest)
    sd = np.where(nothing, own, sd)
    away = np.abs(coefficients).max(axis=0, initial=0.0)
    coefficients = coefficients / np.where(width > 0, width, 1.0)[:, None]
    coefficients[np.abs(coefficients) * width[:, None] <= 1e-9 * sd] = 0.0
    mean = np.where(np.abs(mean) <= 1e-9 * np.where(sd > 0, sd, 1.0), 0.0, mean)
    on, start = {}, 0
    for i, columns in inside.items():
        stop = start + columns.shape[1]
        if np.any(coefficients[start:stop]):
            on[i] = coefficients[start:stop]
        start = stop
    return Beyond(np.where(sd > 0, sd, 1.0), mean, on, away), rest


def times(
    h: np.ndarray, b: TensorVariable, inner: tuple[int, ...], outer: tuple[int, ...]
) -> TensorVariable:
    """Return ``h b`` as an expression, with coefficients of any number of dims.

    - `b`: shape `outer`, then what else the coefficients differ by.
    - `inner`, `outer`: the shapes that K_i and K_j are the sizes of.
    """
    more = b.type.ndim - len(outer)
    held = np.array([[float(f"{v:.12g}") for v in row] for row in h]).reshape(inner + outer)
    product = held.reshape(held.shape + (1,) * more) * b if held.ndim else float(held) * b
    axes = tuple(range(len(inner), len(inner) + len(outer)))
    return product.sum(axis=axes) if axes else product
