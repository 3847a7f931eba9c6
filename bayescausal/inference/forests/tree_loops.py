"""The inner loops of forests beside outcomes that are separable over rows, compiled and kept.

A tree is a row of arrays with a place for each node: the root at 0, children in pairs. `parent` is
-1 where a place is free.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from bayescausal.inference.forests.moves import BACK, DF, LOG_T, PRIOR, SPLIT
from bayescausal.inference.forests.row_densities import (
    HALF_LOG,
    Rows,
    height_of,
    heights,
    slopes_of,
)

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["Prior", "Trees", "packed", "sweep", "values"]

LEAF, WIDE = -1, 1 << 20


class Prior(NamedTuple):
    """What a forest may look like: `cuts` of column v are those from `starts[v]` on."""

    upto: Array  # (p) Chance of the columns up to each; zeros where none has a threshold
    starts: Array
    cuts: Array
    alpha: float
    beta: float
    leaf: float


class Trees(NamedTuple):
    """The trees of a forest: (tree, node); `at` (tree, row): the leaf of each row."""

    column: Array
    split: Array
    leaf: Array
    low: Array
    parent: Array
    depth: Array
    at: Array


# ------------------------------------------------------------------------- leaves


@njit(cache=True, nogil=True, error_model="numpy")
def _look(
    rows: Rows,
    precision: float,
    index: Array,
    place: Array,
    rest: Array,
    weight: Array,
    slope: Array,
    bend: Array,
    centre: Array,
    scale: Array,
) -> None:
    """Find where leaves are looked for: two Newton steps from 0, at which derivatives are given.

    - `index`: the rows that count.
    - `place`: the leaf of each row.
    """
    up, bent = np.zeros(len(centre)), np.zeros(len(centre))
    most = 5.0 * precision**-0.5
    centre[:] = 0.0
    for again in range(2):
        up[:] = 0.0
        bent[:] = 0.0
        for r in index:
            k = place[r]
            if again == 0:
                up[k] += slope[r]
                bent[k] += bend[r]
                continue
            w = weight[r]
            first, second = slopes_of(
                rows.family, rest[r] + w * centre[k], rows.y[r], rows.trials[r], rows.extra
            )
            up[k] += w * first
            bent[k] += w * w * second
        for k in range(len(centre)):
            information = precision + bent[k]
            step = (up[k] - precision * centre[k]) / information
            centre[k] += min(max(step, -most), most)
            scale[k] = information**-0.5


@njit(cache=True, nogil=True, error_model="numpy")
def _drawn(rng: np.random.Generator, centre: float, scale: float, spread: float) -> float:
    """Propose a leaf."""
    if rng.random() < PRIOR:
        return spread * rng.standard_normal()
    chi = 2.0 * rng.standard_gamma(DF / 2.0)
    return centre + scale * rng.standard_normal() / math.sqrt(chi / DF)


@njit(cache=True, nogil=True, error_model="numpy")
def _worth(leaf: float, centre: float, scale: float, spread: float) -> float:
    """Log-density of a leaf in the prior over that with which it is proposed."""
    z, prior = (leaf - centre) / scale, -0.5 * (leaf / spread) ** 2 - math.log(spread) - HALF_LOG
    near = math.log1p(-PRIOR) + LOG_T - math.log(scale) - (DF + 1.0) / 2.0 * math.log1p(z * z / DF)
    far = math.log(PRIOR) + prior
    return prior - max(near, far) - math.log1p(math.exp(-abs(near - far)))


@njit(cache=True, nogil=True, error_model="numpy")
def _leaves(
    rng: np.random.Generator,
    rows: Rows,
    spread: float,
    trees: Trees,
    j: int,
    index: Array,
    rest: Array,
    weight: Array,
    centre: Array,
    scale: Array,
    eta: Array,
    height: Array,
) -> None:
    """Draw each leaf of a tree anew, and take it or not: given the tree they are independent."""
    at, leaf = trees.at[j], trees.leaf[j]
    size = len(leaf)
    new, gain = np.zeros(size), np.zeros(size)
    for k in range(size):
        if trees.parent[j, k] >= 0 and trees.column[j, k] == LEAF:
            new[k] = _drawn(rng, centre[k], scale[k], spread)
            gain[k] = _worth(new[k], centre[k], scale[k], spread)
            gain[k] -= _worth(leaf[k], centre[k], scale[k], spread)
    there = np.empty(len(rest))
    for r in index:
        there[r] = height_of(
            rows.family, rest[r] + weight[r] * new[at[r]], rows.y[r], rows.trials[r], rows.extra
        )
        gain[at[r]] += there[r] - height[r]
    taken = np.zeros(size, dtype=np.bool_)
    for k in range(size):
        if trees.parent[j, k] >= 0 and trees.column[j, k] == LEAF:
            taken[k] = math.log(rng.random()) < gain[k]
            if taken[k]:
                leaf[k] = new[k]
    for r in index:
        if taken[at[r]]:
            height[r] = there[r]
            eta[r] = rest[r] + weight[r] * leaf[at[r]]


# ------------------------------------------------------------------------- trees


@njit(cache=True, nogil=True, error_model="numpy")
def _is_last(trees: Trees, j: int, k: int) -> bool:
    """Whether a node is a split with two leaves."""
    if trees.parent[j, k] < 0 or trees.column[j, k] == LEAF:
        return False
    low = trees.low[j, k]
    return trees.column[j, low] == LEAF and trees.column[j, low + 1] == LEAF


@njit(cache=True, nogil=True, error_model="numpy")
def _pick(rng: np.random.Generator, trees: Trees, j: int, last: bool, count: int) -> int:
    """Draw one of the leaves of a tree, or of its last splits."""
    left = int(count * rng.random())
    for k in range(trees.column.shape[1]):
        leaf = trees.parent[j, k] >= 0 and trees.column[j, k] == LEAF
        if _is_last(trees, j, k) if last else leaf:
            if left == 0:
                return k
            left -= 1
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _splits(prior: Prior, depth: int) -> float:
    """Log ratio of the priors of a tree with and without a split at a depth."""
    own = prior.alpha * (1.0 + depth) ** -prior.beta
    below = prior.alpha * (2.0 + depth) ** -prior.beta
    return math.log(own) + 2.0 * math.log1p(-below) - math.log1p(-own)


@njit(cache=True, nogil=True, error_model="numpy")
def _choice(rng: np.random.Generator, prior: Prior, trees: Trees, j: int) -> tuple[int, int, float]:
    """Draw a move (0: split, 1: take back, 2: ask something else), its node, and its log ratio.

    The ratio is of priors and of choices, there over here; what a node asks is drawn from its
    prior, so that it cancels.
    """
    leaves, last = 0, 0
    for k in range(trees.column.shape[1]):
        leaves += trees.parent[j, k] >= 0 and trees.column[j, k] == LEAF
        last += _is_last(trees, j, k)
    which = rng.random() if last else 0.0
    if which < SPLIT:
        k = _pick(rng, trees, j, False, leaves)
        above = trees.parent[j, k]
        after = last + 1 - (k > 0 and _is_last(trees, j, above))
        chance = SPLIT if last else 1.0
        ratio = math.log(BACK / after) - math.log(chance / leaves)
        return 0, k, ratio + _splits(prior, trees.depth[j, k])
    k = _pick(rng, trees, j, True, last)
    if which >= SPLIT + BACK:
        return 2, k, 0.0
    beside = k + 1 if k % 2 else k - 1  # pairs begin at 1, 3, 5, ...
    after = last - 1 + (k > 0 and trees.column[j, beside] == LEAF)
    chance = SPLIT if after else 1.0
    ratio = math.log(chance / (leaves - 1)) - math.log(BACK / last)
    return 1, k, ratio - _splits(prior, trees.depth[j, k])


@njit(cache=True, nogil=True, error_model="numpy")
def _asked(rng: np.random.Generator, prior: Prior) -> tuple[int, float]:
    """Draw a column and a threshold."""
    v = int(np.searchsorted(prior.upto, rng.random(), side="right"))
    count = prior.starts[v + 1] - prior.starts[v]
    return v, prior.cuts[prior.starts[v] + int(count * rng.random())]


@njit(cache=True, nogil=True, error_model="numpy")
def _put(trees: Trees, j: int, move: int, k: int, v: int, threshold: float, x: Array) -> int:
    """Make a move; return the place of the first of the leaves that it made."""
    column, parent, at = trees.column[j], trees.parent[j], trees.at[j]
    low = trees.low[j, k]
    if move == 0:
        low = 1
        while parent[low] >= 0:
            low += 2
        trees.low[j, k] = low
        for child in (low, low + 1):
            column[child], parent[child] = LEAF, k
            trees.depth[j, child] = trees.depth[j, k] + 1
    if move == 1:
        column[k] = LEAF
        parent[low] = parent[low + 1] = -1
        for r in range(len(at)):
            if at[r] == low or at[r] == low + 1:
                at[r] = k
        return k
    column[k], trees.split[j, k] = v, threshold
    for r in range(len(at)):
        if at[r] == k or (move == 2 and (at[r] == low or at[r] == low + 1)):
            at[r] = low if x[v, r] <= threshold else low + 1
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def _jump(
    rng: np.random.Generator,
    rows: Rows,
    prior: Prior,
    trees: Trees,
    j: int,
    x: Array,
    index: Array,
    rest: Array,
    weight: Array,
    slope: Array,
    bend: Array,
    centre: Array,
    scale: Array,
    eta: Array,
    height: Array,
) -> None:
    """Move to another tree or not; leaves that the move does not touch stay as they are."""
    move, k, ratio = _choice(rng, prior, trees, j)
    v, threshold = _asked(rng, prior)
    at, leaf, spread = trees.at[j], trees.leaf[j], prior.leaf
    old = k if move == 0 else trees.low[j, k]
    for here in range(old, old + 1 if move == 0 else old + 2):
        ratio -= _worth(leaf[here], centre[here], scale[here], spread)
    some, place = np.empty(len(index), dtype=np.int64), np.zeros(len(rest), dtype=np.int64)
    count = 0
    for r in index:
        if at[r] == old or (move > 0 and at[r] == old + 1):
            some[count] = r
            place[r] = move != 1 and x[v, r] > threshold
            count += 1
    some = some[:count]
    size = 1 if move == 1 else 2
    middle, width, new = np.empty(size), np.empty(size), np.empty(size)
    _look(rows, spread**-2.0, some, place, rest, weight, slope, bend, middle, width)
    for i in range(size):
        new[i] = _drawn(rng, middle[i], width[i], spread)
        ratio += _worth(new[i], middle[i], width[i], spread)
    there = np.empty(count)
    for i in range(count):
        r = some[i]
        to = rest[r] + weight[r] * new[place[r]]
        there[i] = height_of(rows.family, to, rows.y[r], rows.trials[r], rows.extra)
        ratio += there[i] - height[r]
    if not math.log(rng.random()) < ratio:
        return
    first = _put(trees, j, move, k, v, threshold, x)
    for i in range(size):
        leaf[first + i], centre[first + i], scale[first + i] = new[i], middle[i], width[i]
    for i in range(count):
        r = some[i]
        height[r], eta[r] = there[i], rest[r] + weight[r] * new[place[r]]


@njit(cache=True, nogil=True, error_model="numpy")
def sweep(
    rng: np.random.Generator,
    rows: Rows,
    prior: Prior,
    trees: Trees,
    x: Array,
    weight: Array,
    index: Array,
    eta: Array,
) -> None:
    """Move every tree of a forest, and the predictor with it.

    - `x` (p, n)
    - `index`: rows in which the forest has a weight that is not 0.
    """
    n, size = len(eta), trees.column.shape[1]
    rest, slope, bend = eta.copy(), np.empty(n), np.empty(n)
    centre, scale = np.empty(size), np.empty(size)
    height = heights(rows, eta)
    splits = prior.upto[-1] > 0.0
    for j in range(len(trees.column)):
        at, leaf = trees.at[j], trees.leaf[j]
        for r in index:
            w = weight[r]
            rest[r] = eta[r] - w * leaf[at[r]]
            first, second = slopes_of(rows.family, rest[r], rows.y[r], rows.trials[r], rows.extra)
            slope[r], bend[r] = w * first, w * w * second
        _look(rows, prior.leaf**-2.0, index, at, rest, weight, slope, bend, centre, scale)
        if splits:
            _jump(
                rng, rows, prior, trees, j, x, index, rest, weight, slope, bend, centre, scale,
                eta, height,
            )  # fmt: skip
        _leaves(rng, rows, prior.leaf, trees, j, index, rest, weight, centre, scale, eta, height)


# ---------------------------------------------------------------------- writing down


@njit(cache=True, nogil=True)
def values(trees: Trees) -> Array:
    """What the trees come to in each row."""
    out = np.zeros(trees.at.shape[1])
    for j in range(len(trees.at)):
        for r in range(len(out)):
            out[r] += trees.leaf[j, trees.at[j, r]]
    return out


@njit(cache=True, nogil=True)
def packed(trees: Trees, constant: float) -> Array:
    """Return the forest as a row of numbers: parents first, the left child behind its parent."""
    m = len(trees.column)
    count = (trees.parent >= 0).sum()
    out = np.zeros(4 + m + 2 * count)
    out[1], out[2], out[3] = m, constant, count
    node = out[4 + m :].reshape(count, 2)
    waiting = np.empty((trees.column.shape[1] + 1, 2), dtype=np.int64)
    here = 0
    for j in range(m):
        out[4 + j] = here
        waiting[0] = 0, -1
        size = 1
        while size:
            size -= 1
            k, above = waiting[size]
            if above >= 0:
                node[above, 0] += (here - above) * WIDE
            node[here, 0] = trees.column[j, k]
            if trees.column[j, k] == LEAF:
                node[here, 1] = trees.leaf[j, k]
            else:
                node[here, 1] = trees.split[j, k]
                waiting[size] = trees.low[j, k] + 1, here
                waiting[size + 1] = trees.low[j, k], -1
                size += 2
            here += 1
    return out
