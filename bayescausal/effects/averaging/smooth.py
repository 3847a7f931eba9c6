r"""Fewer draws with the same averages: an average over many units is smooth in the parameters.

With many units the posterior is narrow, and over its width the average

.. math:: g(\theta) = \frac1n\sum_i E[Y_i \mid \theta]

is a polynomial of the parameters to many digits. It is evaluated at some of the draws, the
outermost ones among them so that nothing is extrapolated, a polynomial of total degree at most 6 in
the whitened parameters is fitted to these, and the other draws take its value: work that does not
grow with the number of draws.

That it is a polynomial is not assumed but seen: at draws that were left out of the fit, half of
them the next outermost ones, it must agree with the evaluation to :math:`10^{-10}` of the size of
the averages. If it does not, for a posterior that is wide or an average that jumps, every draw is
evaluated. The idea is that of a polynomial surrogate (collocation) [1]_.

References
----------
.. [1] D. Xiu and J. S. Hesthaven, "High-order collocation methods for differential equations with
   random inputs", SIAM Journal on Scientific Computing 27(3), 2005.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.averaging.collapse import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.effects.averaging.blocks import Reduction
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.program import Program

__all__ = ["polynomial", "smooth"]

#: Draws x units from which it pays, and how many times fewer draws there must be.
WORK, GAIN = 200_000_000, 3
#: Parameters at most; degrees tried; draws evaluated per term; draws it is checked on.
PARAMETERS, DEGREES, PER_TERM, CHECKED = 12, (2, 3, 4, 5, 6), 1.5, 32


def smooth(
    question: Question,
    program: Program,
    reads: tuple[int, ...],
    evaluate: Callable[[Question, slice], Reduction],
) -> Reduction | None:
    """Return the averages of all draws from those of some; None where they must all be evaluated.

    - `question`: of an average without simulated noise.
    - `reads`: results by which subgroups are formed.
    - `evaluate`: from a question and draws to the averages.
    """
    total = question.fit.n_draws
    if total * question.units.count < WORK or program.noise or question.abducted:
        return None
    if question.estimand.functional.axis is not None:
        return None
    if question.population == "superpopulation" or any(program.batched[i] for i in reads):
        return None
    moving = [i for i in program.inputs if i.kind == "value" and i.batched]
    if any(d in program.unit_dims for i in moving for d in i.dims):
        return None
    values = {i.name: question.units.value(i.name, slice(0, total)) for i in moving}
    theta = np.column_stack([np.ones(total), *(v.reshape(total, -1) for v in values.values())])
    white = _whitened(theta[:, 1:].astype(float))
    if white is None or not 0 < white.shape[1] <= PARAMETERS:
        return None
    order = _order(white)
    latents = {**question.units.latents, **{n: v[order] for n, v in values.items()}}
    sorted_ = replace(question, units=replace(question.units, latents=latents))
    held, fitted = 0, None
    parts: list[Reduction] = []
    for degree in DEGREES:
        basis = polynomial(white[order], degree)
        wanted = int(PER_TERM * basis.shape[1]) + CHECKED
        if wanted * GAIN > total:
            return None
        parts.append(evaluate(sorted_, slice(held, wanted)))
        held = wanted
        known = np.concatenate([p.total for p in parts], axis=2)
        fitted = _fitted(basis, known)
        if fitted is not None:
            break
    if fitted is None:
        return None
    fitted[:, :, :held] = np.concatenate([p.total for p in parts], axis=2)
    out = np.empty_like(fitted)
    out[:, :, order] = fitted
    size = np.repeat(parts[0].size[:, :, :1], total, axis=2)
    return replace(parts[0], total=out, batches=out[:, :, None], size=size)


def polynomial(x: np.ndarray, degree: int) -> np.ndarray:
    """Return all monomials up to a total degree.

    Examples
    --------
    >>> import numpy as np
    >>> polynomial(np.array([[2.0, 3.0]]), 2).tolist()
    [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    columns = [np.ones(len(x))]
    for k in range(1, degree + 1):
        for picked in itertools.combinations_with_replacement(range(x.shape[1]), k):
            columns.append(np.prod(x[:, picked], axis=1))
    return np.column_stack(columns)


def _whitened(theta: np.ndarray) -> np.ndarray | None:
    """Return uncorrelated coordinates within [-1, 1]."""
    if not np.isfinite(theta).all() or theta.shape[1] > 4 * PARAMETERS:
        return None
    centred = theta - theta.mean(axis=0)
    scale = np.abs(centred).max(axis=0)
    centred = centred[:, scale > 0] / scale[scale > 0]
    if not centred.size:
        return None
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    left = left[:, size > 1e-9 * size[0]]
    return np.asarray(left / np.abs(left).max(axis=0))


def _order(white: np.ndarray) -> np.ndarray:
    """Return draws by turns from the outside and from anywhere."""
    radius = np.linalg.norm(white / white.std(axis=0), axis=1)
    outer = np.argsort(-radius, kind="stable")
    anywhere = np.random.default_rng(0).permutation(len(white))
    mixed = np.stack([outer, anywhere], axis=1).reshape(-1)
    _, first = np.unique(mixed, return_index=True)
    return np.asarray(mixed[np.sort(first)])


def _fitted(basis: np.ndarray, known: np.ndarray) -> Array | None:
    """Return the polynomial at all draws, (arm, cell, draw); None if it is seen not to fit."""
    flat = known.reshape(-1, known.shape[2]).T
    if not np.isfinite(flat).all():
        return None
    train = len(flat) - CHECKED
    coefficients, *_ = np.linalg.lstsq(basis[:train], flat[:train], rcond=None)
    found = basis @ coefficients
    scale = np.abs(flat).max() + 1e-300
    if not np.abs(found[: len(flat)] - flat).max() <= TOLERANCE * scale:
        return None
    return np.ascontiguousarray(found.T).reshape(*known.shape[:2], len(basis))
