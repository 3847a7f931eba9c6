"""What has to be identified for a question: its own query, as a record.

A question of :mod:`bayescausal.effects.estimands` returns its own; the text of
:func:`bayescausal.identify_effect` stands for one of `QUERIES`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUERIES", "EffectQuery"]


@dataclass(frozen=True)
class EffectQuery:
    """What must be a function of P(V); by default ``P(outcome | do(treatment), given)``.

    ``kind``: what the question is called.
    ``treatment``: empty: nothing is intervened on.
    ``given``: what it is conditional on.
    ``mediators``: Named; empty where they are left to the graph, or there are none.
    ``seen``: a property of P(V) itself: nothing is done.
    ``controlled``: the mediators are set too, ``P(y | do(x, m))``.
    ``mediated``: the mediators are as in another world, ``P(Y_{x, M_x'})``.
    ``own_treatment``, ``own_outcome``: of each unit its own treatment, its own outcome is known.
    ``joint``: the outcome in two worlds of one unit.
    ``along``: Children of the treatment along which its treated value travels, where not along all.
    ``text``: the question as mathematics, where the verdict says it so.
    ``coupling``: how worlds go together in one unit.
    ``weighing``: what it is conditional on makes weights of units, and forms no subgroup.
    ``natural_value``: what is set depends on the value the treatment would have had.
    """

    kind: str
    treatment: tuple[str, ...] = ()
    outcome: str | tuple[str, ...] | None = None
    given: tuple[str, ...] = ()
    mediators: tuple[str, ...] = ()
    seen: bool = False
    controlled: bool = False
    mediated: bool = False
    own_treatment: bool = False
    own_outcome: bool = False
    joint: bool = False
    along: frozenset[str] = frozenset()
    text: str = ""
    coupling: str | None = None
    natural_value: bool = False
    weighing: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is ``P(y | do(x), z)`` and nothing else."""
        other = self.controlled or self.mediated or self.joint or self.own_treatment
        return not (other or self.seen or self.along)


#: The queries of the questions that `identify_effect` decides, by their names.
QUERIES: dict[str, EffectQuery] = {
    query.kind: query
    for query in (
        *map(EffectQuery, ("ATE", "CATE", "Contrast", "DoseResponse", "Expected", "QTE")),
        *map(EffectQuery, ("Slope", "TE")),
        EffectQuery("CDE", controlled=True),
        EffectQuery("ATT", own_treatment=True),
        EffectQuery("ATU", own_treatment=True),
        EffectQuery("NDE", mediated=True),
        EffectQuery("NIE", mediated=True),
        EffectQuery("ITE", joint=True),
        EffectQuery("PN", joint=True, own_treatment=True, own_outcome=True),
        EffectQuery("PS", joint=True, own_treatment=True, own_outcome=True),
        EffectQuery("PNS", joint=True),
        EffectQuery("Association", seen=True),
    )
}
