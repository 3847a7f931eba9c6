"""What a graph forbids: the independences that data can refute.

A graph makes its claims by the edges it lacks. For every two variables a, b that some set
separates, each minimal such set Z claims ``a independent of b given Z`` [1]_. A pair without an
edge need not be separable when there are latent variables (``a -> c <- b`` with ``c <-> a``
and c an ancestor of b has an *inducing path*); such pairs claim no independence, though they may
constrain P(V) otherwise [2]_.

The claims for all pairs imply all others of a DAG without latent variables; one set per pair
does too, and is shorter. That a claim is not refuted does not make the graph right: graphs
with the same claims exist, all arrows of which may point the other way.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 1.2.
.. [2] T. Verma and J. Pearl, "Equivalence and synthesis of causal models", UAI 1990.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayescausal.graph.structure.marks import as_names, observables, roots_of_selection
from bayescausal.graph.structure.mixed_graph import project
from bayescausal.graph.structure.separators import minimal_separators
from bayescausal.graph.text.display import TableList
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import GraphLike

__all__ = ["Independence", "claim_of", "implied_independences", "separated"]


@dataclass(frozen=True, order=True)
class Independence:
    """``left`` and ``right`` are independent given ``given``.

    ``left``, ``right``: the two variables, in alphabetical order.
    ``given``: what is held fixed, in alphabetical order.
    """

    left: str
    right: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = f" | {', '.join(self.given)}" if self.given else ""
        return f"{self.left} ⊥ {self.right}{given}"


class Independences(TableList):
    """A list of independences, which shows itself as a table."""

    columns = ("one", "other", "given")
    nothing = "No independence among what is measured."

    def rows(self) -> list[tuple[str, ...]]:
        """Return the two variables and what is held fixed."""
        return [(c.left, c.right, ", ".join(c.given) or "nothing") for c in self]


def implied_independences(
    graph: GraphLike,
    *,
    observed: Iterable[str] | None = None,
    one_per_pair: bool = False,
    limit: int | None = None,
) -> list[Independence]:
    """List the independences that a graph implies among its measured variables.

    ``graph``: the graph. Selection nodes are held fixed throughout.
    ``observed``: the measured variables. Default: all that are not marked latent.
    ``one_per_pair``: only the smallest of the minimal sets for each pair.
    ``limit``: at most so many, from the first pair on; a pair may have exponentially many sets.
    Result: Sorted by pair, then by size and name of the set.

    Examples
    --------
    >>> from bayescausal.graph import implied_independences
    >>> for claim in implied_independences("Z -> X -> Y; W -> Y"):
    ...     print(claim)
    W ⊥ X
    W ⊥ Z
    Y ⊥ Z | X
    """
    dag = as_graph(graph)
    seen = observables(dag, observed)
    selection = roots_of_selection(dag)
    admg = project(dag, seen | selection)
    fixed = admg.mask(selection)
    if limit is not None and (isinstance(limit, bool) or limit < 1):
        raise EstimandError(f"limit={limit!r}.", expected="at least 1, or None for all.")
    claims: list[Independence] = []
    for left, right in itertools.combinations(sorted(seen - selection), 2):
        x, y = admg.mask([left]), admg.mask([right])
        rest = None if limit is None else limit - len(claims)
        if rest == 0:
            break
        generated = minimal_separators(admg, x, y, required=fixed)
        sets = [
            tuple(sorted(admg.listed(found & ~fixed)))
            for found in itertools.islice(generated, None if one_per_pair else rest)
        ]
        sets.sort(key=lambda names: (len(names), names))
        claims += [
            Independence(left, right, names) for names in sets[: 1 if one_per_pair else None]
        ]
    return Independences(claims)


def claim_of(
    graph: GraphLike, left: str, right: str, *, observed: Iterable[str] | None = None
) -> Independence | None:
    """Return the smallest claim that a graph makes of one pair; None if it makes none.

    Examples
    --------
    >>> print(claim_of("Z -> X -> Y", "Z", "Y"), claim_of("Z -> X -> Y", "X", "Y"))
    Y ⊥ Z | X None
    """
    dag = as_graph(graph)
    selection = roots_of_selection(dag)
    admg = project(dag, observables(dag, observed) | selection)
    fixed = admg.mask(selection)
    first, last = sorted((left, right))
    found = minimal_separators(admg, admg.mask([first]), admg.mask([last]), required=fixed)
    sets = [tuple(sorted(admg.listed(each & ~fixed))) for each in found]
    best = min(sets, key=lambda names: (len(names), names), default=None)
    return None if best is None else Independence(first, last, best)


def separated(
    graph: GraphLike,
    left: str | Iterable[str],
    right: str | Iterable[str],
    given: str | Iterable[str] | None = None,
) -> bool:
    """Tell whether the graph separates two sets of variables given a third (d-separation).

    ``graph``: the graph. Latent nodes may be named too.
    ``given``: what is held fixed.
    Result: True if no path between them is open: they are independent given `given` in every model
        with this graph.
    Raises EstimandError if the sets overlap.

    Examples
    --------
    >>> from bayescausal.graph import separated
    >>> separated("X -> C <- Y", "X", "Y"), separated("X -> C <- Y", "X", "Y", "C")
    (True, False)
    """
    dag = as_graph(graph)
    a, b, z = (as_names(dag, names) for names in (left, right, given))
    overlap = sorted((set(a) & set(b)) | (set(a) & set(z)) | (set(b) & set(z)))
    if overlap:
        raise EstimandError(
            f"{overlap[0]!r} is named twice.", expected="three sets that do not overlap."
        )
    admg = project(dag, dag.nodes)
    return admg.separated(admg.mask(a), admg.mask(b), admg.mask(z))
