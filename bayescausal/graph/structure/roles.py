"""The role of each variable for a question, and whether to adjust for it.

"Control for everything" is the most common mistake: whether a variable removes bias or makes it
depends on where it stands [1]_.

==========================  ==================  ==========================================
role                        adjust?             because
==========================  ==================  ==========================================
confounder                  yes, or shut its    it acts on the outcome, and on the treatment
                            path elsewhere      or shares a cause with it; left open, it is
                                                taken for an effect
mediator                    no                  it carries part of the effect
descendant of a mediator    no                  it gives part of the effect away
outcome's descendant        no                  it selects on the outcome
collider                    no                  it is a common effect: adjusting opens a path
descendant of a collider    no                  so does a consequence of one
instrument                  no                  it removes no bias and costs precision, and
                                                makes what bias there is larger
precision variable          may                 it explains the outcome and nothing else
treatment's descendant      may (with care)     it is on no path that matters
unrelated                   may                 it changes nothing
==========================  ==================  ==========================================

A variable may have several roles; what is said about adjusting is decided by the adjustment
criterion, never by the name of the role.

References
----------
.. [1] C. Cinelli, A. Forney and J. Pearl, "A crash course in good and bad controls",
   Sociological Methods & Research 53, 2024.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bayescausal.graph.identification.adjustment import minimal_adjustment, optimal_of, usable
from bayescausal.graph.identification.instruments import instruments
from bayescausal.graph.identification.query import Query, read_query
from bayescausal.graph.structure.marks import latents, nameless
from bayescausal.graph.structure.mixed_graph import bits, project
from bayescausal.graph.structure.separators import AHEAD
from bayescausal.graph.text.display import TableDict
from bayescausal.graph.text.notation import joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import GraphLike

__all__ = ["Role", "roles"]

Adjust = Literal["yes", "may", "no", "cannot"]


@dataclass(frozen=True)
class Role:
    """What a variable is to a question.

    ``variable``: its name.
    ``roles``: from: treatment, outcome, confounder, mediator, descendant of a mediator, descendant
        of the outcome, collider, descendant of a collider, instrument, precision variable,
        descendant of the treatment, unrelated; and latent.
    ``adjust``: "yes": every adjustment set needs it; "may": it does no harm, or is one of several
        ways; "no": it would bias the answer, or only cost precision; "cannot": it is not measured.
    ``sentence``: whether to adjust for it, and why.
    """

    variable: str
    roles: tuple[str, ...]
    adjust: Adjust
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Roles(TableDict):
    """Roles by variable, which show themselves as a table."""

    columns = ("variable", "role", "adjust", "why")
    nothing = "No variable."

    def rows(self) -> list[tuple[str, ...]]:
        """Return each variable, its roles, and whether to adjust for it and why."""
        return [(n, ", ".join(r.roles), r.adjust, r.sentence) for n, r in self.items()]


def roles(
    graph: GraphLike,
    treatment: str | Iterable[str] | None = None,
    outcome: str | Iterable[str] | None = None,
    *,
    observed: Iterable[str] | None = None,
) -> dict[str, Role]:
    """Say what each variable is to a question, and whether to adjust for it.

    Examples
    --------
    >>> from bayescausal.graph import roles
    >>> for role in roles("Z -> X -> M -> Y; Z -> Y; X -> C <- Y", "X", "Y").values():
    ...     print(role)
    Z is a confounder: adjust for it, or X and Y stay associated through it.
    X is the treatment.
    M is a mediator: do not adjust for it, it carries part of the effect.
    Y is the outcome.
    C is a collider and a descendant of the outcome: do not adjust for it, it is a common effect \
and adjusting would make an association.
"""
    query = read_query(graph, treatment, outcome, observed=observed)
    facts = _Facts(query)
    hidden = nameless(query.graph)
    return Roles({name: facts.role(name) for name in facts.full.names if name not in hidden})


class _Facts:
    """What is needed to name roles, computed once for a question."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.full = full = project(query.graph, query.graph.nodes)
        self.x, self.y = full.mask(query.treatment), full.mask(query.outcome)
        self.causal = full.causal_nodes(self.x, self.y)
        self.after = full.descendants(self.x)
        self.without_x = full.cut(out_of=self.x)
        self.causes_y = self.without_x.ancestors(self.y)
        self.causes_x = full.ancestors(self.x)
        admg = query.admg
        beside = [admg.named(admg.siblings[i]) for i in bits(query.x)]
        self.beside_x = full.mask(frozenset().union(*beside))
        self.usable = usable(admg, query.x, query.y)
        self.back_door = admg.proper_back_door(query.x, query.y)
        self.sets = list(itertools.islice(minimal_adjustment(admg, query.x, query.y), AHEAD))
        self.best = optimal_of(query) or frozenset()
        found = instruments(query.graph, query.treatment, query.outcome, observed=admg.names)
        self.instruments = {i.variable for i in found if frozenset() in i.given_any_of}
        self.conditional = {i.variable for i in found} - self.instruments

    def role(self, name: str) -> Role:
        """Return the role of one variable."""
        if name in self.query.treatment or name in self.query.outcome:
            which = "treatment" if name in self.query.treatment else "outcome"
            return Role(name, (which,), "no", f"{name} is the {which}.")
        names = self.names(name)
        measured = name in self.query.admg.index
        if not measured:
            names.append("latent" if name in latents(self.query.graph) else "not measured")
        adjust = self.adjust(name) if measured else "cannot"
        return Role(name, tuple(names), adjust, self.sentence(name, names, adjust))

    def names(self, name: str) -> list[str]:
        """Return the roles that the graph gives to a variable."""
        node = self.full.mask([name])
        causal = self.causal & ~self.y
        found = []
        of_both = node & self.causes_y & (self.causes_x | self.beside_x)
        if not node & self.after and of_both:
            found.append("confounder")
        if node & causal:
            found.append("mediator")
        found += self.collider(node)
        if node & self.full.descendants(self.y):
            found.append("descendant of the outcome")
        elif not node & self.causal and node & self.full.descendants(causal):
            found.append("descendant of a mediator")
        if name in self.instruments and node & self.causes_x and "confounder" not in found:
            found.append("instrument")
        elif name in self.conditional and not found and node & self.causes_x:
            found.append("conditional instrument")
        if not found and node & self.causes_y and not node & (self.causes_x | self.after):
            found.append("precision variable")
        if not found and node & self.after:
            found.append("descendant of the treatment")
        if not found and node & self.causes_x:
            found.append("cause of the treatment")
        return found or ["unrelated"]

    def collider(self, node: int) -> list[str]:
        """Tell whether adjusting for a node opens a path between treatment and outcome."""
        full, x, y = self.full, self.x, self.y
        if node & (self.causal | self.causes_x | self.causes_y) & ~self.after and self.valid(node):
            return []
        into = full.parents_of(node)
        if node & self.after:
            from_x = full.descendants(x) & ~full.descendants(y)
            from_y = full.descendants(y)
            both = node & full.descendants(y) and _two_ways(into, from_x, from_y)
            return ["collider"] if both else []
        back_door = full.proper_back_door(x, y)
        known = next((full.mask(self.query.admg.listed(s)) for s in self.sets), 0) & ~node
        if not back_door.separated(x, y, known) or back_door.separated(x, y, known | node):
            return []
        side_x = back_door.connected(x, known) | x
        side_y = back_door.connected(y, known) | y
        direct = _two_ways(into, side_x & ~side_y, side_y & ~side_x)
        return ["collider" if direct else "descendant of a collider"]

    def valid(self, node: int) -> bool:
        """Tell whether a measured node may join some minimal adjustment set."""
        admg = self.query.admg
        names = self.full.listed(node)
        if not set(names) <= set(admg.names):
            return False
        own = admg.mask(names)
        if own & ~self.usable:
            return False
        x, y = self.query.x, self.query.y
        return any(self.back_door.separated(x, y, s | own) for s in self.sets)

    def adjust(self, name: str) -> Adjust:
        """Decide by the adjustment criterion."""
        node = self.query.admg.mask([name])
        if not self.sets:
            return "no"
        if all(s & node for s in self.sets):
            return "yes"
        if any(s & node for s in self.sets) or name in self.best:
            return "may"
        causes_x = bool(self.full.mask([name]) & self.causes_x)
        if (name in self.instruments and causes_x) or not self.valid(self.full.mask([name])):
            return "no"
        return "may"

    def sentence(self, name: str, names: list[str], adjust: Adjust) -> str:
        """Say it in one sentence."""
        x, y = joined(self.query.treatment), joined(self.query.outcome)
        shown = [n for n in names if n not in ("latent", "not measured")]
        is_ = f"{name} is {joined([_article(n) for n in shown])}"
        if adjust == "cannot":
            if "confounder" in names:
                return (
                    f"{is_} that is not measured: it cannot be adjusted for, only its paths shut."
                )
            return f"{is_} and not measured."
        for role, why in _NO.items():
            if role in names and adjust == "no":
                return f"{is_}: do not adjust for it, {why}."
        if adjust == "yes":
            return f"{is_}: adjust for it, or {x} and {y} stay associated through it."
        if "confounder" in names:
            if adjust == "may":
                return f"{is_}: its paths must be shut, by it or by others on them."
            return f"{is_}: adjusting for measured variables cannot remove all confounding here."
        if adjust == "no":
            return f"{is_}: adjusting for it would not make the answer right."
        if name in self.best or "precision variable" in names:
            return f"{is_}: it may be adjusted for, which makes the answer more precise."
        return f"{is_}: it may be adjusted for, but need not be."


#: Why not to adjust, most telling role first.
_NO = {
    "mediator": "it carries part of the effect",
    "collider": "it is a common effect and adjusting would make an association",
    "descendant of a collider": "a collider acts on it and adjusting would make an association",
    "descendant of the outcome": "that selects on the outcome",
    "descendant of a mediator": "that removes part of the effect",
    "instrument": "it removes no bias and costs precision",
    "conditional instrument": "it removes no bias and costs precision",
}


def _article(role: str) -> str:
    if role == "unrelated":
        return role
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def _two_ways(into: int, one: int, other: int) -> bool:
    """Tell whether two different parents come from the two sides."""
    return any(into & one & ~(1 << i) for i in bits(into & other))
