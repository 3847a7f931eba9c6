"""The verdict: what `identify` returns, and how it is said.

An `Identification` is true only if the effect is a function of the observed distribution,
whatever the equations are. There are four states:

===================  ===================================================================
identified           by adjustment, the front door, ID or IDC
under assumption     by an instrument, a coupling, or the form of an equation where positivity
                     fails: a further assumption, which is named
not identified       two models with this graph and the same data differ; a hedge proves it
undecided            no rule that is implemented settles it
===================  ===================================================================

The lists of sets are computed when they are looked at, so that asking for the verdict of a large
graph costs no enumeration.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from bayescausal.graph.identification.adjustment import (
    optimal_of,
    question_sets,
    survives_selection,
)
from bayescausal.graph.identification.expression import needed
from bayescausal.graph.identification.frontdoor import front_doors
from bayescausal.graph.identification.idc import Hedge, NotIdentified, identify_conditional
from bayescausal.graph.identification.instruments import Instrument, instruments
from bayescausal.graph.identification.positivity import CONTINUITY, FORM, TREND, determines
from bayescausal.graph.structure.marks import bidirected_edges, column_causes
from bayescausal.graph.structure.mixed_graph import project
from bayescausal.graph.structure.separators import LazySets
from bayescausal.graph.text.notation import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayescausal.graph.identification.expression import Expression
    from bayescausal.graph.identification.query import Query

__all__ = ["Identification", "Status"]

Status = Literal["identified", "under assumption", "not identified", "undecided"]

#: With so many unmeasured nodes or fewer, pairs of them are tried for `measure` too.
FEW_LATENTS = 12


@dataclass(frozen=True)
class Identification:
    """Whether an effect is identified, why, and what that assumes.

    True only if `status` is ``"identified"``.

    Parameters
    ----------
    kind : str
        The estimand asked about, such as ``"ATE"``.
    query : str
        The question as mathematics, such as ``"P(Y | do(X))"``.
    status : {"identified", "under assumption", "not identified", "undecided"}
        The verdict.
    method : str
        What gives it: "no causal path", "back door", "front door", "ID", "IDC", "cross-world",
        "observed", "instrument", "coupling", "form of the equation", what a study design assumes
        (such as "parallel trends", "continuity at the cutoff") or "none".
    estimand : Expression or None
        The formula in observed probabilities; it prints as text and as LaTeX.
    hedge : Hedge or None
        The proof that it is not identified, where that is how it was found.
    reason : str
        Why it is not identified, or undecided.
    assumptions : tuple of str
        What the verdict rests on.
    warnings : tuple of str
        What to beware of in the question itself: selection, conditioning on a consequence.
    question : Query
        The question, with its graph.
    adjustable : bool, default True
        Whether it is one that adjustment sets and instruments are about: an effect of what is set.
    function_of : tuple of str
        Where positivity fails: what the treatment is a function of.
    asked : Estimand or None
        The question that it was asked with: its levels, subgroup and scale.
    compliers : str
        Who the subgroup is, where it is the units that an instrument moves.

    Examples
    --------
    >>> import bayescausal as bc
    >>> verdict = bc.identify("humid -> dilution -> coating; humid -> coating", "dilution",
    ...     "coating")
    >>> bool(verdict), verdict.adjustment_sets
    (True, [{humid}])
    >>> print(verdict.sentence())
    Identified by the back door: adjust for humid. Assumes no other common cause of dilution and \
coating.
    """

    kind: str
    query: str
    status: Status
    method: str
    estimand: Expression | None = None
    hedge: Hedge | None = None
    reason: str = ""
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    question: Query = field(repr=False, kw_only=True)
    adjustable: bool = field(default=True, repr=False, kw_only=True)
    function_of: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    asked: object = field(default=None, repr=False, compare=False, kw_only=True)
    compliers: str = field(default="", repr=False, kw_only=True)

    def __bool__(self) -> bool:
        """Return whether the effect is identified without a further assumption."""
        return self.status == "identified"

    # ------------------------------------------------------------------- all that applies

    @cached_property
    def adjustment_sets(self) -> LazySets:
        """Return all minimal adjustment sets, small first; empty where there is none."""
        q = self.question

        def generate() -> Iterator[frozenset[str]]:
            if not self._by_adjustment:
                return
            for found in question_sets(q, before=bool(q.natural)):
                if survives_selection(q, found):
                    yield q.admg.named(found)

        def key(names: frozenset[str]) -> tuple[bool, int, list[str]]:
            fixed = determines(q.graph, {*names, *q.given}, q.treatment)
            return bool(fixed), *_by_size(names)

        return LazySets(generate, key=key)

    @cached_property
    def optimal_adjustment_set(self) -> frozenset[str] | None:
        """Return the adjustment set with the smallest asymptotic variance, if there is one."""
        if self.question.given or self.question.selection or not self._by_adjustment:
            return None
        return optimal_of(self.question)

    @cached_property
    def frontdoor_sets(self) -> LazySets:
        """Return all front-door sets, small first; empty where there is none."""
        q = self.question

        def generate() -> Iterator[frozenset[str]]:
            if not q.given and not q.selection and self._by_adjustment:
                yield from map(q.admg.named, front_doors(q.admg, q.x, q.y))

        return LazySets(generate, key=lambda names: by_size_of_door(q, names))

    @cached_property
    def instruments(self) -> list[Instrument]:
        """Return the instruments, conditional ones too; within a subgroup those that hold there."""
        q = self.question
        if q.selection or not self._by_adjustment:
            return []
        names, held = q.admg.names, () if q.weighing else q.given
        return instruments(q.graph, q.treatment, q.outcome, observed=names, given=held)

    @property
    def rests_on(self) -> frozenset[str]:
        """Return the measured variables that the estimand needs, those of the question too."""
        return frozenset() if self.estimand is None else frozenset(needed(self.estimand))

    @property
    def any_value(self) -> frozenset[str]:
        """Return the variables free in the estimand that are not part of the question.

        The estimand does not depend on their value in the population. In a sample it may, a
        little; any weights over their values then give an estimate.
        """
        if self.estimand is None:
            return frozenset()
        q = self.question
        return self.estimand.free & set(q.admg.names) - {*q.treatment, *q.outcome, *q.given}

    @cached_property
    def measure(self) -> list[frozenset[str]]:
        """Return the smallest sets of unmeasured variables that would identify it if measured.

        Single ones; pairs where no single one does. A bidirected edge is named ``"X<->Y"``.
        Empty if it is identified, or if nothing of the kind would help.
        """
        if self or self.question.selection or not self._by_adjustment:
            return []
        q = self.question
        hidden = sorted(set(q.graph) - set(q.admg.names) - set(column_causes(q.graph)))
        for size in (1, 2):
            if size > 1 and len(hidden) > FEW_LATENTS:
                break
            found = [
                frozenset(chosen)
                for chosen in itertools.combinations(hidden, size)
                if self._identified_with(chosen)
            ]
            if found:
                return found
        return []

    # ---------------------------------------------------------------------------- words

    def headline(self) -> str:
        """Return the verdict alone, in one sentence, without what it assumes."""
        return self._verdict()

    def sentence(self) -> str:
        """Return the verdict for a person, in one to four sentences."""
        parts = [self.headline()]
        if self.assumptions:
            parts.append("Assumes " + "; ".join(self.assumptions) + ".")
        if self.status in ("not identified", "under assumption"):
            parts += self._remedies()
        return " ".join([*parts, *self.warnings])

    def __str__(self) -> str:
        return self.sentence()

    def _repr_markdown_(self) -> str:
        lines = [self.sentence()]
        if self.estimand is not None:
            lines.append(f"$${self.estimand.latex()}$$")
        return "\n\n".join(lines)

    # --------------------------------------------------------------------------- private

    def __getstate__(self) -> dict[str, Any]:
        """Leave what was computed on demand out of a pickle: it is computed again."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def _by_adjustment(self) -> bool:
        """Whether the question is one that adjustment sets and instruments are about."""
        return self.adjustable or self.method in ("back door", "front door", "instrument")

    def _verdict(self) -> str:
        x, y = joined(self.question.treatment), joined(self.question.outcome)
        if self.status == "under assumption":
            if self.method == "instrument":
                how = str(self.instruments[0])
                return f"Identified only under a further assumption: {how} is an instrument."
            if self.method in (FORM, CONTINUITY, TREND):
                return f"Identified only by the form of the equations: {self.reason}."
            return f"Identified only under a further assumption ({self.method})."
        if self.status == "undecided":
            return f"Undecided: {self.reason}."
        if self.status == "not identified":
            return f"{self.query} is not identified: {self.reason}."
        if self.method == "no causal path":
            return f"Identified: {x} has no effect on {y}, for no directed path joins them."
        if self.method == "back door":
            best, q_given = self.adjustment_sets[0], self.question.given
            if not best and q_given:
                return f"Identified by the back door, given {joined(q_given)}."
            if not best:
                return "Identified without adjustment."
            return f"Identified by the back door: adjust for {joined(sorted(best))}."
        if self.method == "front door":
            return f"Identified by the front door through {joined(sorted(self.frontdoor_sets[0]))}."
        if self.method == "observed":
            return "Identified: it is a property of the observed distribution."
        if self.method == "cross-world":
            return "Identified across worlds, by the formula."
        return f"Identified by the {self.method} algorithm; adjustment alone is not enough."

    def _remedies(self) -> list[str]:
        found = []
        if self.measure:
            shown = [self._described(s) for s in self.measure[:3]]
            further = " without that" if self.status == "under assumption" else ""
            found.append(f"It would be identified{further} if {', or '.join(shown)} were measured.")
        if self.method == "coupling" and self.status == "not identified":
            found.append(
                "A coupling of the potential outcomes (their joint distribution) would have to be "
                "assumed."
            )
        return found

    def _described(self, chosen: frozenset[str]) -> str:
        hidden = bidirected_edges(self.question.graph)
        names = [
            f"the common cause of {hidden[n][0]} and {hidden[n][1]}" if n in hidden else n
            for n in sorted(chosen)
        ]
        return joined(names)

    def _identified_with(self, chosen: tuple[str, ...]) -> bool:
        q = self.question
        admg = project(q.graph, {*q.admg.names, *chosen})
        x, y, z = admg.mask(q.treatment), admg.mask(q.outcome), admg.mask(q.given)
        try:
            identify_conditional(admg, y, x, z)
        except NotIdentified:
            return False
        return True


def _by_size(names: frozenset[str]) -> tuple[int, list[str]]:
    return len(names), sorted(names)


def by_size_of_door(query: Query, names: frozenset[str]) -> tuple[bool, int, list[str]]:
    """Order front-door sets: last those that are functions of the treatment, small first."""
    return bool(determines(query.graph, query.treatment, names)), *_by_size(names)
