"""Facts about a graph: relatives of a node, and the paths between two.

A *path* is a sequence of nodes, each joined to the next by an edge of either direction, no node
twice. It is

- *causal* if all its arrows point from start to end: it carries the effect;
- *back door* if it begins with an arrow into the start: it carries association from a common
  cause, or from a cause of the start;
- *non-causal* if it begins with an arrow out of the start but turns round later: it
  contains a collider.

It is *open* given Z if every collider on it is in Z or has a descendant in Z and no other
node on it is in Z. Conditioning shuts a path at a cause or a mediator and opens it at a collider:
that is the whole of adjustment. A graph may have more paths than anyone wants to see, so `paths`
refuses beyond a number; the searches of this package never list paths.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 1.2.3.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import networkx as nx

from bayescausal.graph.structure.marks import as_names, nameless
from bayescausal.graph.text.display import TableList
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import EstimandError, GraphError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bayescausal.annotations import GraphLike

__all__ = ["Path", "ancestors", "children", "descendants", "parents", "paths"]

#: `paths` refuses to list more than this unless told to.
MANY = 5000


@dataclass(frozen=True)
class Path:
    """A path between two variables, and whether it is open.

    ``nodes``: from start to end. The latent node of a bidirected edge is not listed.
    ``arrows``: between the nodes: ``"->"``, ``"<-"`` or ``"<->"``.
    ``kind``: what it carries.
    ``open``: whether it is open given what was conditioned on.
    ``blocked_by``: the nodes that shut it: conditioned non-colliders, and unconditioned colliders.
    ``opened_by``: the colliders on it that are open, because they or descendants are conditioned
        on.
    """

    nodes: tuple[str, ...]
    arrows: tuple[str, ...]
    kind: Literal["causal", "back door", "non-causal"]
    open: bool
    blocked_by: tuple[str, ...]
    opened_by: tuple[str, ...]

    def __str__(self) -> str:
        steps = (
            f" {arrow} {node}" for arrow, node in zip(self.arrows, self.nodes[1:], strict=True)
        )
        return self.nodes[0] + "".join(steps)

    def sentence(self) -> str:
        """Return the path with the reason why it is open or shut."""
        colliders = {
            node
            for left, node, right in zip(self.arrows, self.nodes[1:], self.arrows[1:], strict=False)
            if left.endswith(">") and right.startswith("<")
        }
        if self.open:
            why = (
                f", opened by conditioning on {' and '.join(self.opened_by)} (a collider) or below"
            )
            return f"{self} ({self.kind}) is open{why if self.opened_by else ''}."
        shown = [f"{n} (a collider)" if n in colliders else n for n in self.blocked_by]
        return f"{self} ({self.kind}) is shut at {' and '.join(shown)}."


class Paths(TableList):
    """A list of paths, which shows itself as a table."""

    columns = ("path", "kind", "state")
    nothing = "No path."

    def rows(self) -> list[tuple[str, ...]]:
        """Return each path, what it carries, and whether it is open."""
        return [
            (
                str(path),
                path.kind,
                "open" if path.open else f"shut at {', '.join(path.blocked_by)}",
            )
            for path in self
        ]


def parents(graph: GraphLike, name: str) -> frozenset[str]:
    """Return the direct causes of a variable, latent ones included.

    Examples
    --------
    >>> from bayescausal.graph import parents
    >>> sorted(parents("Z -> X -> Y; Z -> Y", "Y"))
    ['X', 'Z']
    """
    dag = as_graph(graph)
    return frozenset(dag.predecessors(_one(dag, name))) - nameless(dag)


def children(graph: GraphLike, name: str) -> frozenset[str]:
    """Return the direct effects of a variable.

    Examples
    --------
    >>> from bayescausal.graph import children
    >>> sorted(children("Z -> X -> Y; Z -> Y", "Z"))
    ['X', 'Y']
    """
    dag = as_graph(graph)
    return frozenset(dag.successors(_one(dag, name)))


def ancestors(graph: GraphLike, names: str | Iterable[str]) -> frozenset[str]:
    """Return all causes of some variables, themselves left out.

    Examples
    --------
    >>> from bayescausal.graph import ancestors
    >>> sorted(ancestors("Z -> X -> Y", "Y"))
    ['X', 'Z']
    """
    dag = as_graph(graph)
    start = as_names(dag, names)
    found = set().union(*(nx.ancestors(dag, name) for name in start))
    return frozenset(found - set(start) - nameless(dag))


def descendants(graph: GraphLike, names: str | Iterable[str]) -> frozenset[str]:
    """Return all effects of some variables, themselves left out.

    Examples
    --------
    >>> from bayescausal.graph import descendants
    >>> sorted(descendants("Z -> X -> Y", "Z"))
    ['X', 'Y']
    """
    dag = as_graph(graph)
    start = as_names(dag, names)
    found = set().union(*(nx.descendants(dag, name) for name in start))
    return frozenset(found - set(start))


def paths(
    graph: GraphLike,
    start: str,
    end: str,
    *,
    given: str | Iterable[str] | None = None,
    limit: int = MANY,
) -> list[Path]:
    """List all paths between two variables, what each carries and whether it is open.

    ``given``: what is conditioned on. Default: what the graph marks as adjusted for; ``[]`` for
        nothing.
    ``limit``: how many paths there may be.
    Result: Causal paths first, then short ones first.
    Raises GraphError if there are more than `limit`; EstimandError if start and end are the same,
        or conditioned on.

    Examples
    --------
    >>> from bayescausal.graph import paths
    >>> for path in paths("Z -> X -> Y; Z -> Y; X -> C <- Y", "X", "Y", given="Z"):
    ...     print(path.sentence())
    X -> Y (causal) is open.
    X <- Z -> Y (back door) is shut at Z.
    X -> C <- Y (non-causal) is shut at C (a collider).
    """
    dag = as_graph(graph)
    first, last = _one(dag, start), _one(dag, end)
    fixed = frozenset(as_names(dag, given, "given"))
    if given is None:
        roles = dag.nodes(data="role")
        fixed = frozenset(n for n, role in roles if role == "adjusted") - {first, last}
    if first == last or fixed & {first, last}:
        raise EstimandError(
            f"The ends {first!r} and {last!r} are the same, or conditioned on.",
            expected="two variables, neither of which is in given=.",
        )
    opened = fixed.union(*(nx.ancestors(dag, name) for name in fixed))
    hidden = nameless(dag)
    found: list[Path] = []
    routes = nx.all_simple_paths(dag.to_undirected(as_view=True), first, last)
    for nodes in itertools.islice(routes, limit + 1):
        if len(found) == limit:
            raise GraphError(
                f"There are more than {limit} paths from {first} to {last}.",
                remedy="Ask for the adjustment sets instead, or raise limit=.",
            )
        found.append(_described(dag, nodes, fixed, opened, hidden))
    order = {"causal": 0, "back door": 1, "non-causal": 2}

    def place(path: Path) -> tuple[int, int, tuple[str, ...], tuple[str, ...]]:
        return order[path.kind], len(path.nodes), path.nodes, path.arrows

    return Paths(sorted(found, key=place))


# --------------------------------------------------------------------------- private


def _one(dag: nx.DiGraph[str], name: str) -> str:
    (found,) = as_names(dag, (name,))
    return found


def _described(
    dag: nx.DiGraph[str],
    nodes: list[str],
    fixed: frozenset[str],
    opened: frozenset[str],
    hidden: frozenset[str],
) -> Path:
    forward = [dag.has_edge(a, b) for a, b in itertools.pairwise(nodes)]
    blocked: list[str] = []
    opening: list[str] = []
    for node, into, out in zip(nodes[1:], forward, forward[1:], strict=False):
        if into and not out:  # a collider
            (opening if node in opened else blocked).append(node)
        elif node in fixed:
            blocked.append(node)
    kind: Literal["causal", "back door", "non-causal"] = "non-causal"
    if all(forward):
        kind = "causal"
    elif not forward[0]:
        kind = "back door"
    shown, arrows = _shown(nodes, forward, hidden)
    return Path(shown, arrows, kind, not blocked, tuple(blocked), tuple(opening))


def _shown(
    nodes: list[str], forward: list[bool], hidden: frozenset[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write the latent node of a bidirected edge as the edge it stands for."""
    names, arrows = [nodes[0]], []
    for node, ahead in _steps(nodes, forward, hidden):
        names.append(node)
        arrows.append(ahead)
    return tuple(names), tuple(arrows)


def _steps(
    nodes: list[str], forward: list[bool], hidden: frozenset[str]
) -> Iterator[tuple[str, str]]:
    skipped = False
    for node, ahead in zip(nodes[1:], forward, strict=True):
        if node in hidden:
            skipped = True
            continue
        yield node, "<->" if skipped else "->" if ahead else "<-"
        skipped = False
