r"""Quantiles of a count whose parents are known: from distribution functions, nothing simulated.

Over units the outcome of one draw has the law :math:`F(k) = \sum_i w_i F(k; \theta_i)`, a mixture
of laws that are known, and its quantile is the smallest integer with :math:`F(k) \ge q`. Two ways
lead to it, both exact:

* the probabilities of Poisson, binomial and negative binomial laws follow each other by
  :math:`p_k = p_{k-1} (a + b / k)` [1]_, and are added up from zero, all draws together;
* of other laws, and of large counts, the integers are searched by bisection.

Where parents of the outcome are themselves random given what is held, its law is no such mixture,
and it is simulated.

References
----------
.. [1] H. H. Panjer, "Recursive evaluation of a family of compound distributions", ASTIN Bulletin
   12(1), 1981.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from bayescausal.effects.evaluation.events import broadcast_to_size
from bayescausal.effects.evaluation.levels import number_labels
from bayescausal.model.noise.laws import Leaf
from bayescausal.model.noise.ops import double
from bayescausal.model.noise.read_off import law_of
from bayescausal.types import NoiseFormError, Stochastic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.model.noise.laws import Law

__all__ = ["ROUNDING", "Parameters", "mixture_quantile", "parameters_of"]

#: Slack of a probability that is exact but for rounding, relative: PyTensor holds a number such as
#: 1.5 in single precision, and its logarithm is then good to seven digits.
ROUNDING = 5e-7
#: Probabilities that are added up, and the smallest logarithm of the first of them.
TERMS, SMALLEST = 128, -700.0


@dataclass(frozen=True)
class Parameters:
    """The parameters of the outcome's law given its parents, along a last axis."""

    dims = ("parameter",)

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return the parameters, (..., n_parameters); None where they are not all known."""
        law, params = law_of(rv)
        columns: list[TensorVariable | None] = []
        for param, core in zip(params, law.cores, strict=True):
            own = double(param)
            if core:  # weights of a mixture: one column each
                columns += [broadcast_to_size(rv, own[..., j]) for j in range(own.type.shape[-1])]
            else:
                columns.append(broadcast_to_size(rv, own))
        known = [c for c in columns if c is not None and c.type.ndim <= rv.type.ndim]
        if len(known) < len(columns):
            return None
        wide = [pt.shape_padleft(c, rv.type.ndim - c.type.ndim) for c in known]
        return pt.stack(pt.broadcast_arrays(*wide), axis=-1)


def parameters_of(question: Question) -> Parameters | None:
    """Return what to ask of the outcome where its quantile follows from its law; None elsewhere."""
    structure, name = question.structure, question.outcome
    if question.abducted or question.estimand.derivative or name not in structure.random:
        return None
    acts = [act for do in question.worlds.values() for act in do.values()]
    if any(isinstance(act, Stochastic) for act in acts) or any(
        name in do for do in question.worlds.values()
    ):
        return None
    above = structure.ancestors([name])
    held = {*question.reads, *structure.ancestors(question.reads)}
    if name not in question.recomputed or name in held or above & question.recomputed:
        return None
    if name in structure.imputed or number_labels(question.fit, name):
        return None
    rv = structure.variable(name)
    try:
        law, params = law_of(rv)
    except NoiseFormError:
        return None
    if law.kind != "integer" or any(c > 1 for c in law.cores):
        return None
    lengths = {p.type.shape[-1] for p, core in zip(params, law.cores, strict=True) if core}
    if None in lengths or len(lengths) > 1:
        return None
    return Parameters() if Parameters().of_law(rv) is not None else None


def mixture_quantile(
    law: Law, params: Sequence[Array], weights: Array | None, q: float
) -> np.ndarray:
    """Return the quantile of a mixture over units, one for each draw.

    - `params`: of the units, each (draw, unit, *core).
    - `weights` (draw, unit): None where all are equal.

    Examples
    --------
    >>> import numpy as np
    >>> mu = np.array([[0.0, 5.0], [1.0, 1.0]])
    >>> mixture_quantile(Leaf("Poisson"), [mu], None, 0.5).tolist()
    [0.0, 1.0]
    """
    n = len(params[0])
    if weights is None:
        weights = np.full(params[0].shape[:2], 1.0 / params[0].shape[1])
    level = q * (1 - ROUNDING) * weights.sum(axis=1)
    out = np.full(n, np.nan)
    sound = ~np.logical_or.reduce([np.isnan(p).reshape(n, -1).any(axis=1) for p in params])
    rows = np.flatnonzero(sound)
    recursion = _RECURSIONS.get(law.family) if isinstance(law, Leaf) else None
    if recursion is not None:
        with np.errstate(all="ignore"):
            first, a, b = np.broadcast_arrays(*recursion(*params))
            valid = (np.isfinite(a) & np.isfinite(b) & ((first <= 0) | np.isnan(first))).all(axis=1)
            small = rows[(valid & (first > SMALLEST).all(axis=1))[rows]]
        out[small] = _added(first[small], a[small], b[small], weights[small], level[small])
        rows = rows[np.isnan(out[rows])]
    if len(rows):
        own = [p[rows] for p in params]

        def below(k: Array) -> np.ndarray:
            with np.errstate(all="ignore"):
                return (weights[rows] * np.exp(law.tails(k[:, None], own)[0])).sum(axis=1)

        ends = [np.broadcast_to(e, own[0].shape[:2]) for e in law.support(own)]
        out[rows] = _searched(below, ends[0].min(axis=1), ends[1].max(axis=1), level[rows])
    return out


def _added(first: Array, a: Array, b: Array, weights: Array, level: Array) -> np.ndarray:
    """Add probabilities up until the level is reached; NaN where it takes too many."""
    out = np.full(len(level), np.nan)
    rows = np.arange(len(level))
    term = weights * np.exp(first)
    total = term.sum(axis=1)
    for k in range(TERMS):
        done = total >= level
        if done.any():
            out[rows[done]] = k
            rows, total, level, term, a, b = (v[~done] for v in (rows, total, level, term, a, b))
        if not len(rows):
            break
        term = term * (a + b / (k + 1.0))
        total = total + term.sum(axis=1)
    return out


def _searched(
    below: Callable[[Array], Array], first: Array, last: Array, level: Array
) -> np.ndarray:
    """Return the smallest integers at which a distribution function reaches a level."""
    low, step = first - 1.0, np.ones(len(first))
    high = np.minimum(low + step, last)
    while True:
        short = (below(high) < level) & (high < last)
        if not short.any():
            break
        low = np.where(short, high, low)
        step = np.where(short, 2 * step, step)
        high = np.where(short, np.minimum(high + step, last), high)
    while np.any(high - low > 1):
        middle = np.where(high - low > 1, np.floor((low + high) / 2), high)
        reached = below(middle) >= level
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(np.isnan(below(high)), np.nan, high)


def _binomial(n: Array, p: Array) -> tuple[Array, Array, Array]:
    odds = np.where((p >= 0) & (p < 1), p, np.nan) / (1 - p)
    return n * np.log1p(-p), -odds, (n + 1) * odds


def _negative_binomial(n: Array, p: Array) -> tuple[Array, Array, Array]:
    rest = np.where((p > 0) & (p <= 1) & (n > 0), 1 - p, np.nan)
    return n * np.log(p), rest, (n - 1) * rest


#: By family: the logarithm of the first probability, and a and b of the recursion.
_RECURSIONS: dict[str, Callable[..., tuple[Array, Array, Array]]] = {
    "Poisson": lambda mu: (-mu, np.zeros_like(mu), np.where(mu >= 0, mu, np.nan)),
    "Bernoulli": lambda p: _binomial(np.ones_like(p), p),
    "Binomial": _binomial,
    "NegativeBinomial": _negative_binomial,
}
