r"""Many claims on one table: each tested once, their p-values adjusted, the graph permuted.

With m p-values in order, :math:`q_{(i)} = \min_{j \ge i} m\, p_{(j)} / j` [1]_: those with
:math:`q \le \alpha` hold at most a share :math:`\alpha` of false ones, if the tests are independent
or depend on each other positively; times :math:`\sum 1 / i` under any dependence [2]_. A graph is
compared with those that have its shape and the names in other places: exchanging names in a graph
exchanges them in its claims, so no graph is searched again.

References
----------
.. [1] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal
   Statistical Society B 57, 1995.
.. [2] Y. Benjamini and D. Yekutieli, "The control of the false discovery rate in multiple testing
   under dependency", The Annals of Statistics 29, 2001.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from bayescausal.checks.falsification.independence_tests import Outcome, check_independence
from bayescausal.graph.structure.independences import Independence
from bayescausal.graph.structure.marks import roots_of_selection
from bayescausal.graph.structure.mixed_graph import project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import networkx as nx
    from numpy.typing import ArrayLike

    from bayescausal.checks.falsification.regression import Column

__all__ = ["Tester", "adjusted", "against_permuted"]


class Tester:
    """Tests of claims on one table, each made once."""

    def __init__(self, columns: dict[str, list[Column]], method: str) -> None:
        self.columns, self.method = columns, method
        self.known: dict[tuple[frozenset[str], frozenset[str]], Outcome] = {}
        self.rows = len(next(iter(columns.values()))[0].values) if columns else 0

    def test(self, left: str, right: str, given: Iterable[str]) -> Outcome:
        """Test one claim on the rows that are complete in its variables."""
        key = (frozenset((left, right)), frozenset(given))
        if key not in self.known:
            left, right = sorted(key[0])
            sides = [self.columns[left], self.columns[right]]
            sides.append([c for name in sorted(key[1]) for c in self.columns[name]])
            complete = ~np.any([np.isnan(c.values) for side in sides for c in side], axis=0)
            if not complete.all():
                sides = [[c.take(complete) for c in side] for side in sides]
            if complete.sum() < 3:
                found = Outcome(self.method, int(complete.sum()), note="there are too few rows")
            else:
                found = check_independence(*sides, method=self.method)
            self.known[key] = found
        return self.known[key]

    def p_value(self, claim: Independence) -> float:
        """Return the p-value of a claim."""
        return self.test(claim.left, claim.right, claim.given).p_value


def adjusted(p_values: ArrayLike, correction: str = "benjamini-hochberg") -> np.ndarray:
    """Return p-values adjusted for how many there are; NaN stay and do not count.

    ``correction``: ``"benjamini-hochberg"``, ``"benjamini-yekutieli"`` or ``"none"``.

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=float)
    q = p.copy()
    known = np.flatnonzero(~np.isnan(p))
    if correction != "none" and len(known):
        method = "by" if "yekutieli" in correction else "bh"
        q[known] = stats.false_discovery_control(p[known], method=method)
    return q


def against_permuted(
    dag: nx.DiGraph[str],
    claims: Sequence[Independence],
    names: Sequence[str],
    tester: Tester,
    level: float,
    permutations: int,
    seed: int | None,
) -> tuple[float, float, int, np.ndarray]:
    """Compare violations (p below the level) with those of graphs with the names exchanged.

    Returns the share of permuted graphs that violate no more claims, the share that implies all the
    claims of the graph, how many were tried, and their violations.
    """
    if not claims:
        return math.nan, math.nan, 0, np.array([], dtype=int)
    own = _violations(claims, tester, level)
    admg = project(dag, {*names, *roots_of_selection(dag)})
    fixed = admg.mask(roots_of_selection(dag))
    counts, same = [], 0
    for order in _orders(names, permutations, seed):
        to = dict(zip(names, order, strict=True))
        moved = [_moved(claim, to) for claim in claims]
        counts.append(_violations(moved, tester, level))
        same += all(
            admg.separated(admg.mask([c.left]), admg.mask([c.right]), admg.mask(c.given) | fixed)
            for c in moved
        )
    violations = np.array(counts, dtype=int)
    if not len(violations):
        return math.nan, math.nan, 0, violations
    return float((violations <= own).mean()), same / len(counts), len(counts), violations


# --------------------------------------------------------------------------- private


def _orders(names: Sequence[str], permutations: int, seed: int | None) -> list[tuple[str, ...]]:
    """Return all orders of few names, else some at random; the own order may be among them."""
    if math.factorial(min(len(names), 12)) <= max(permutations, 24):
        return list(itertools.permutations(names))
    rng = np.random.default_rng(seed)
    return [tuple(names[i] for i in rng.permutation(len(names))) for _ in range(permutations)]


def _moved(claim: Independence, to: Mapping[str, str]) -> Independence:
    left, right = sorted((to[claim.left], to[claim.right]))
    return Independence(left, right, tuple(sorted(to[n] for n in claim.given)))


def _violations(claims: Iterable[Independence], tester: Tester, level: float) -> int:
    return sum(tester.p_value(claim) <= level for claim in claims)
