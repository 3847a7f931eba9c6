r"""Bounds over response types: many small linear programs at once.

With shares q of response types, ``P(x, y | z) = A q``, and a mean under do(x) is ``c q``. The ends
of ``{c q : A q = p, q >= 0}`` are found for thousands of p with a few programs: the basis that is
optimal for one p is dual feasible for all, so it is optimal wherever it is feasible [1]_. In the
same way one proof that a p is impossible, a vector y with ``y A <= 0 < y p`` (Farkas), disposes of
many.

It fails to share where p is degenerate (a cell of probability zero): such p get a program each.

References
----------
.. [1] D. Bertsimas and J. N. Tsitsiklis, *Introduction to Linear Optimization*, Athena Scientific,
   1997, sections 4.6 and 5.1.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["response_bounds", "response_types"]

#: More response types than this are refused.
MOST_TYPES = 20_000

#: A share that misses by less than this counts as met.
SLACK = 1e-9

#: The presolve of HiGHS takes programs with shares below 1e-6 for infeasible that are not.
_HIGHS: dict[str, Any] = {"method": "highs", "options": {"presolve": False}}


def response_bounds(
    conditional: ArrayLike, score: ArrayLike, treated: int, control: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Solve the two linear programs for many conditional distributions at once.

    - `conditional` (draw, z, x, y): ``P(x, y | z)``.
    - `score` (y): what each value of the outcome counts for.
    - `treated`, `control`: places of the two values among the values of x.

    Returns
    -------
    lower, upper : dict of str to ndarray
        For ``"difference"``, ``"treated"`` and ``"control"``, one value for each possible draw.
    possible : ndarray of bool, shape (draw,)
        Whether some shares of types reproduce the draw.

    Examples
    --------
    >>> import numpy as np
    >>> perfect = np.array([[[[0.3, 0.7], [0.0, 0.0]], [[0.0, 0.0], [0.1, 0.9]]]])
    >>> lower, upper, possible = response_bounds(perfect, [0, 1], 1, 0)
    >>> lower["difference"].round(6), upper["difference"].round(6), possible
    (array([0.2]), array([0.2]), array([ True]))
    """
    p = np.asarray(conditional, dtype=float)
    n_z, n_x, n_y = p.shape[1:]
    matrix, values = response_types(n_z, n_x, n_y, np.asarray(score, dtype=float))
    p = p.reshape(len(p), -1)
    possible = _feasible(matrix, p)
    objectives = {
        "difference": values[treated] - values[control],
        "treated": values[treated],
        "control": values[control],
    }
    seen = p[possible]
    lower = {name: _minimum(matrix, c, seen) for name, c in objectives.items()}
    upper = {name: -_minimum(matrix, -c, seen) for name, c in objectives.items()}
    return lower, upper, possible


def response_types(
    n_z: int, n_x: int, n_y: int, score: np.ndarray
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the matrix from shares of types to P(x, y | z), and the score of each under do(x).

    - `n_z`, `n_x`, `n_y`: how many values the instrument, the treatment and the outcome have.
    - `score` (y): what each value of the outcome counts for.

    Examples
    --------
    >>> import numpy as np
    >>> response_types(2, 2, 2, np.array([0.0, 1.0]))[0].shape
    (8, 16)
    """
    total = float(n_x) ** n_z * float(n_y) ** n_x
    if total > MOST_TYPES:
        raise EstimandError(
            f"An instrument with {n_z} values, a treatment with {n_x} and an outcome with {n_y} "
            f"make {total:.3g} response types.",
            expected=f"at most {MOST_TYPES:,}.",
            remedy="Merge values.",
        )
    follow_z = np.array(list(itertools.product(range(n_x), repeat=n_z)))
    follow_x = np.array(list(itertools.product(range(n_y), repeat=n_x)))
    pairs = [(i, j) for i in range(len(follow_z)) for j in range(len(follow_x))]
    r_x = follow_z[[i for i, _ in pairs]]
    r_y = follow_x[[j for _, j in pairs]]
    matrix = np.zeros((n_z, n_x, n_y, len(pairs)))
    at = np.arange(len(pairs))
    for z in range(n_z):
        x = r_x[:, z]
        matrix[z, x, r_y[at, x], at] = 1.0
    return matrix.reshape(-1, len(pairs)), {x: score[r_y[:, x]] for x in range(n_x)}


# --------------------------------------------------------------------------- private


def _minimum(matrix: np.ndarray, cost: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return ``min cost @ q`` over ``matrix @ q = p, q >= 0`` for each row of `p`."""
    from scipy.optimize import linprog

    rank = np.linalg.matrix_rank(matrix)
    answer = np.full(len(p), np.nan)
    left = np.arange(len(p))
    while left.size:
        first = left[0]
        solved = linprog(cost, A_eq=matrix, b_eq=p[first], **_HIGHS)
        if solved.status != 0:  # feasible up to rounding only
            solved = linprog(
                cost,
                A_ub=np.vstack([matrix, -matrix]),
                b_ub=np.concatenate([p[first], -p[first]]) + SLACK,
                **_HIGHS,
            )
        answer[first] = solved.fun
        basis = np.flatnonzero(solved.x > 1e-12)
        left = left[1:]
        if len(basis) != rank or not left.size:
            continue
        # The basis is dual feasible whatever p is: it is optimal wherever it is feasible.
        shares = p[left] @ np.linalg.pinv(matrix[:, basis]).T
        holds = (shares >= 0).all(axis=1)
        answer[left[holds]] = shares[holds] @ cost[basis]
        left = left[~holds]
    return answer


def _feasible(matrix: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Tell which rows of `p` some q >= 0 reproduces.

    A basis that is feasible for one row is tried on all; so is a proof that one is infeasible, a
    vector y with ``y @ matrix <= 0 < y @ p`` (Farkas).
    """
    from scipy.optimize import linprog

    rows, types = matrix.shape
    rank = np.linalg.matrix_rank(matrix)
    wide = np.hstack([matrix, np.eye(rows), -np.eye(rows)])
    cost = np.concatenate([np.zeros(types), np.ones(2 * rows)])
    possible = np.zeros(len(p), dtype=bool)
    left = np.arange(len(p))
    while left.size:
        first = left[0]
        solved = linprog(cost, A_eq=wide, b_eq=p[first], **_HIGHS)
        rest = left[1:]
        if solved.fun > SLACK:
            proof = solved.eqlin.marginals
            left = rest[p[rest] @ proof <= SLACK]
            continue
        possible[first] = True
        basis = np.flatnonzero(solved.x[:types] > 1e-12)
        left = rest
        if len(basis) == rank and rest.size:
            holds = (p[rest] @ np.linalg.pinv(matrix[:, basis]).T >= 0).all(axis=1)
            possible[rest[holds]] = True
            left = rest[~holds]
    return possible
