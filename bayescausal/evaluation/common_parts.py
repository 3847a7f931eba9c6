r"""What several worlds have in common drops out of their differences.

A unit's latent variable, its noise, or any function of what no world changes, may enter the mean of
the outcome of every world in the same terms,

.. math:: E[Y_i(a)] = \sum_t c_t f_t(x_i, a) + \sum_s c_s f_s(x_i) g_s(u_i),

the second sum being the same for all :math:`a`. Whatever :math:`g_s(u_i)` is, it cancels in
:math:`E[Y_i(1)] - E[Y_i(0)]`, so it need not be known: a latent common cause of 100,000 units is
not drawn for a contrast that it drops out of. What is left, the first sum, is exact.

It is seen term by term: terms are the same if their factors are written the same.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Constant

from bayescausal.evaluation.terms import NoExpansionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.evaluation.terms import Term

__all__ = ["Written", "without_common"]


class Written:
    """Expressions in which what is written the same is one expression."""

    def __init__(self) -> None:
        self.memo: dict[Variable, Variable] = {}
        self.table: dict[Any, Variable] = {}

    def of(self, root: Variable) -> Variable:
        """Return the expression that stands for all that are written like this one.

        Examples
        --------
        >>> import pytensor.tensor as pt
        >>> x, y, written = pt.vector("x"), pt.vector("y"), Written()
        >>> written.of(2.0 * (x + y)) is written.of(2.0 * (x + y))
        True
        >>> written.of(2.0 * (x + y)) is written.of(2.0 * (x - y))
        False
        """
        stack = [root]
        while stack:
            top = stack[-1]
            node = top.owner
            if top in self.memo:
                stack.pop()
            elif node is None:
                self.memo[top] = self._leaf(top)
            elif waiting := [v for v in node.inputs if v not in self.memo]:
                stack.extend(waiting)
            else:
                parts = [self.memo[v] for v in node.inputs]
                place = node.outputs.index(top)
                same = all(a is b for a, b in zip(parts, node.inputs, strict=True))
                made = top if same else node.clone_with_new_inputs(parts).outputs[place]
                self.memo[top] = self.table.setdefault((node.op, place, *map(id, parts)), made)
        return self.memo[root]

    def _leaf(self, leaf: Variable) -> Variable:
        if not isinstance(leaf, Constant) or not isinstance(leaf.data, np.ndarray):
            return leaf
        return self.table.setdefault((leaf.type, leaf.data.tobytes()), leaf)


def without_common(
    sums: Sequence[list[Term]], known: Callable[[Term], bool], written: Written
) -> list[list[Term]]:
    """Return the terms of each world whose averages are known; the others must be the same in all.

    Raises NoExpansionError if the others differ between the worlds.
    """

    def same(v: Variable | None) -> int:
        return 0 if v is None else id(written.of(v))

    left = [
        Counter(
            (same(t.coefficient), tuple(sorted(map(same, t.features))), *map(same, t.index))
            for t in terms
            if not known(t)
        )
        for terms in sums
    ]
    if any(each != left[0] for each in left):
        raise NoExpansionError
    return [[t for t in terms if known(t)] for terms in sums]
