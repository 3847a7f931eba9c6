"""A causal question about a graph, read and checked once.

`read_query` turns names into a `Query`: the graph, its latent projection onto the measured
variables and the sets of the question as bits. What is wrong with a question is found here, so
that the searches need not look again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayescausal.graph.structure.marks import as_names, observables, roots_of_selection
from bayescausal.graph.structure.mixed_graph import ADMG, project
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import networkx as nx

    from bayescausal.annotations import GraphLike

__all__ = ["Query", "read_query"]


@dataclass(frozen=True)
class Query:
    """``P(outcome | do(treatment), given)`` in a graph.

    ``graph``: the graph, latent nodes included.
    ``admg``: its projection onto the measured variables.
    ``treatment``, ``outcome``, ``given``, ``selection``: the names of the question; `selection` are
        the selection nodes of the graph.
    ``weighing``: whether what is `given` makes weights of units, and forms no subgroup.
    ``natural``: the treatments whose own value is conditioned on as well, or decides what is set.
    """

    graph: nx.DiGraph[str]
    admg: ADMG
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    given: tuple[str, ...]
    selection: tuple[str, ...]
    natural: tuple[str, ...] = ()
    weighing: bool = False

    @property
    def crossed(self) -> bool:
        """Return whether the treatment's own value matters beside the one that is set."""
        return bool(self.natural) or bool(self.z & self.admg.descendants(self.x))

    @property
    def x(self) -> int:
        """Return the treatments as bits."""
        return self.admg.mask(self.treatment)

    @property
    def y(self) -> int:
        """Return the outcomes as bits."""
        return self.admg.mask(self.outcome)

    @property
    def z(self) -> int:
        """Return what is conditioned on as bits."""
        return self.admg.mask(self.given)

    @property
    def marked(self) -> int:
        """Return what the graph marks as adjusted for, as bits."""
        roles = self.graph.nodes(data="role")
        asked = {*self.treatment, *self.outcome, *self.given}
        return self.admg.mask(
            n for n, role in roles if role == "adjusted" and n in self.admg.index and n not in asked
        )

    def known(self, names: str | Iterable[str] | None, what: str) -> tuple[str, ...]:
        """Return names as a tuple, all of them nodes of the graph."""
        return as_names(self.graph, names, what)


def read_query(
    graph: GraphLike,
    treatment: str | Iterable[str] | None,
    outcome: str | Iterable[str] | None,
    *,
    observed: Iterable[str] | None = None,
    given: str | Iterable[str] | None = None,
) -> Query:
    """Read a question, refusing one that makes no sense.

    ``treatment``, ``outcome``: None: the nodes that the graph itself marks with that role.
    ``observed``: the measured variables. Default: all that are not marked latent.
    ``given``: what is conditioned on.
    Result: Selection nodes are left out of its projection unless they are part of the question.
    Raises UnknownVariableError if a name is not a node of the graph; EstimandError if a set is
        empty, two of them overlap, or one of them is not measured.
    """
    dag = as_graph(graph)
    asked: dict[str, tuple[str, ...]] = {}
    for what, names in (("treatment", treatment), ("outcome", outcome), ("given", given)):
        found = as_names(dag, names, what)
        if names is None and what != "given":
            found = tuple(sorted(n for n, r in dag.nodes(data="role") if r == what))
        if not found and what != "given":
            raise EstimandError(f"No {what} is named.", expected=f"the name of the {what}.")
        asked[what] = found
    _check_apart(asked)
    seen = observables(dag, observed)
    for what, found in asked.items():
        hidden = [n for n in found if n not in seen]
        if hidden:
            raise EstimandError(
                f"The {what} {hidden[0]!r} is not measured.",
                expected="a variable that is observed.",
                remedy="Name it in observed=, or unmark it as latent.",
            )
    named = {n for found in asked.values() for n in found}
    selection = roots_of_selection(dag) - named
    admg = project(dag, seen - selection)
    return Query(
        dag, admg, asked["treatment"], asked["outcome"], asked["given"], tuple(sorted(selection))
    )


def _check_apart(asked: dict[str, tuple[str, ...]]) -> None:
    pairs = (("treatment", "outcome"), ("treatment", "given"), ("outcome", "given"))
    for first, second in pairs:
        both = sorted(set(asked[first]) & set(asked[second]))
        if both:
            raise EstimandError(
                f"{both[0]!r} is both {first} and {second}.", expected="different variables."
            )
