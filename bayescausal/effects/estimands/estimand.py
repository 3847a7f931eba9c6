r"""The estimand record: what every question has, and how it is parsed, checked and written.

A causal question is a value. It names an outcome, the worlds that are compared, the population
and subgroup, the functional taken of the outcome in each world and the scale that combines the
worlds. Everything is parsed and checked when the value is made, so whoever answers it can trust
it. The questions themselves are in :mod:`~bayescausal.effects.estimands`.

A *world* is a mapping from variables to interventions; the empty mapping is the natural course.
Levels may be values (``X := 1``), modified treatments (``Shift``, ``Scale``, ``Policy``,
``Stochastic``) or None for the natural course. Where the treatment is modified rather than set,
the control defaults to the natural course, since "a dose higher by one" is compared with
the dose as it is [1]_.

References
----------
.. [1] I. Diaz and M. J. van der Laan, "Population intervention causal effects based on
   stochastic interventions", Biometrics 68 (2012), 541-549.
"""

from __future__ import annotations

import dataclasses
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from bayescausal.effects.estimands.conditions import Condition
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.estimands.notation import LATEX, PLAIN, Notation
from bayescausal.effects.estimands.parsing import (
    NATURAL_UNLESS_SET,
    PARSERS,
    World,
    as_world,
    has_default_control,
    is_default,
    parse_treatment,
    refuse_overlaps,
)
from bayescausal.effects.estimands.parts import Arm, Identity, Strategy, Teller, Weighting, same_key
from bayescausal.effects.words.headings import details
from bayescausal.effects.words.intervention import intervention_text
from bayescausal.effects.words.subject import ask_contrast, effect_of, open_contrast
from bayescausal.graph.identification.effect_query import EffectQuery

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import networkx as nx

    from bayescausal.effects.estimands.functionals import Functional
    from bayescausal.effects.estimands.scales import EffectScale
    from bayescausal.graph.identification.verdict import Identification
    from bayescausal.types import Intervention

__all__ = ["NATURAL_UNLESS_SET", "Estimand", "World"]


@dataclass(frozen=True, eq=False, repr=False)
class Estimand:
    """What every question has. Use one of its subclasses, such as :class:`ATE`.

    Parameters
    ----------
    given : mapping, mask, callable, optional
        The subgroup, conditioned on and never intervened on: see
        :func:`~bayescausal.effects.estimands.populations.parse_given`.
    population : str, Superpopulation or table
        Over whom: see :mod:`~bayescausal.effects.estimands.populations`.
    functional : str or Functional
        What is taken of the outcome: ``"mean"``, ``"total"``, ``Quantile(q)``, ``Survival(t)``.
    by : str or sequence of str, optional
        Variables whose values split the answer: it gets a dim for each.
    coupling : str or mapping, optional
        How a discrete variable's noise goes together across worlds, where the answer depends on
        it (units with their own noise, post-treatment subgroups, unit-level questions):
        ``"monotone"``, ``"gumbel"``, or a mapping by variable. There is no default.

    Notes
    -----
    Two estimands that say the same are equal: their fields are compared as they were parsed, a
    function or a table by being the same object. After construction the fields hold what was
    parsed: a ``Condition``, ``Population``, ``Functional`` and ``EffectScale``.

    A new question is a subclass in a file of its own; whoever answers asks it, never what class it
    is. What it says otherwise than by default: `worlds`, `requested`, `combine`, `query`, `write`,
    and its words `doing`, `claim`, `opening`, `ask`.
    """

    kind: ClassVar[str] = "estimand"
    strategy: ClassVar[Strategy] = "averages"  # how it is answered
    identity: ClassVar[Identity | None] = None  # what ties it to other questions
    derivative: ClassVar[bool] = False  # a limit of contrasts, in the one treatment
    grouped_by: ClassVar[str | None] = None  # of groups that were seen: what forms them
    called: ClassVar[str] = ""  # what the literature calls it, where the words do not say it
    remark: ClassVar[str] = ""  # what every answer to it says
    #: What stands beside it in a report; nothing beside a part of an effect, or no effect.
    beside: ClassVar[Literal["levels", "line", "part", "nothing"]] = "levels"

    given: Any = field(default=None, kw_only=True)
    population: Any = field(default="sample", kw_only=True)
    functional: Any = field(default="mean", kw_only=True)
    by: Any = field(default=None, kw_only=True)
    coupling: Any = field(default=None, kw_only=True)

    if TYPE_CHECKING:  # fields that most questions have: hasattr tells

        @property
        def outcome(self) -> str: ...
        @property
        def treatment(self) -> str | tuple[str, ...]: ...
        @property
        def treated(self) -> Any: ...
        @property
        def control(self) -> Any: ...
        @property
        def mediators(self) -> tuple[str, ...] | None: ...
        @property
        def scale(self) -> EffectScale: ...

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            parse = PARSERS.get(each.name)
            if parse is not None:
                self._put(each.name, parse(getattr(self, each.name)))
        if hasattr(self, "treatment"):
            parse_treatment(self)
        refuse_overlaps(self)
        self._check()

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check(self) -> None:
        """Refuse what makes no sense for this question."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Estimand):
            return NotImplemented
        return type(self) is type(other) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> Hashable:
        """What two questions share that say the same."""
        own = (same_key(getattr(self, each.name)) for each in dataclasses.fields(self))
        return type(self).__name__, *own

    @property
    def outcome_name(self) -> str:
        """Name of the outcome."""
        return str(self.outcome)

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the treatments."""
        named: str | tuple[str, ...] = getattr(self, "treatment", ())
        return (named,) if isinstance(named, str) else tuple(named)

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable the question mentions, each once: all must exist in the model."""
        asked = (*self.treatments, self.outcome_name, *(getattr(self, "mediators", None) or ()))
        return (*dict.fromkeys((*asked, *self.functional.others, *self.condition.reads, *self.by)),)

    @property
    def condition(self) -> Condition:
        """The whole subgroup: `given` and what the estimand itself conditions on."""
        return self.given  # type: ignore[no-any-return]

    @property
    def subgroup(self) -> Condition:
        """The subgroup beside what the question itself is about: what a sentence must add."""
        return self.condition

    @property
    def weighting(self) -> Weighting | None:
        """What units weigh beside what the population says."""
        return None

    @property
    def null(self) -> float | None:
        """The value that means no effect, if there is one."""
        scale = getattr(self, "scale", None)
        return None if scale is None else scale.null

    @property
    def signed(self) -> bool:
        """Whether the answer is a difference, which has a sign."""
        return getattr(getattr(self, "scale", None), "name", "") == "difference"

    @property
    def multiplies(self) -> bool:
        """Whether it is told on a scale whose value of no effect a reader must be told."""
        return getattr(self, "scale", None) is not None and not self.signed

    @property
    def collapsible(self) -> bool:
        """Whether the population's value is a weighted average of subgroups' values."""
        scale = getattr(self, "scale", None)
        return scale is None or bool(scale.collapsible)

    @property
    def joint(self) -> bool:
        """Whether the answer depends on how worlds go together in one unit."""
        return self.strategy != "averages"

    @property
    def per_unit(self) -> bool:
        """Whether the answer has the unit dims."""
        return False

    @property
    def curve(self) -> tuple[str, Any] | None:
        """The name and the values of the axis along which the answer is a curve, if it is one."""
        return None

    @property
    def title(self) -> str:
        """What the question is called in code: ``ATE``."""
        return type(self).__name__

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the worlds: ``"treated"`` and ``"control"`` are compared, or ``"expected"`` alone.

        Any other world only serves as a source of ``FromWorld``. The empty mapping is the natural
        course. The graph is needed where the question leaves mediators to it.
        """
        return {role: self._arm(role) for role in ("treated", "control")}

    def _arm(self, role: str) -> World:
        """Return the world in which the treatments are at the level of that role."""
        level = getattr(self, role)
        levels = (level,) if isinstance(self.treatment, str) else level
        return as_world(dict(zip(self.treatments, levels, strict=True)))

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return what is requested of the evaluator: one number for each arm."""
        worlds, condition = self.worlds(graph), self.condition
        found = [name for name in ("expected", "treated", "control") if name in worlds]
        return tuple(Arm(name, name, condition) for name in found)

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return the answer from the numbers of the arms, the first axis."""
        return np.asarray(self.scale.combine(values[0], values[1]))

    def doubts(self, values: np.ndarray) -> list[str]:
        """Return what a reader must know of the numbers of the arms, the first axis."""
        return []

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return what must be a function of the observed distribution."""
        return EffectQuery(self.title, self.treatments, self.outcome_name)

    def relatives(self) -> list[Estimand]:
        """Return the other questions that the same identity is about, all else equal."""
        if self.identity is None:
            return []
        kinds = Estimand.__subclasses__()
        for kind in kinds:  # it grows while it is read
            kinds += kind.__subclasses__()
        kinds = [k for k in kinds if k.identity is self.identity and k.kind != Estimand.kind]
        return [each for kind in kinds for each in kind.like(self) if each != self]

    @classmethod
    def like(cls, other: Estimand) -> list[Self]:
        """Return the questions of this kind that ask all else as another one does."""
        names = [each.name for each in dataclasses.fields(cls) if hasattr(other, each.name)]
        return [cls(**{name: getattr(other, name) for name in names})]

    def asking(self, functional: str | Functional) -> Self:
        """Return the same question about another functional, which is not checked."""
        (asked := copy(self))._put("functional", functional)
        return asked

    def identify(
        self,
        model_or_graph: object,
        *,
        observed: Iterable[str] | None = None,
        unit_dims: str | Sequence[str] | None = None,
    ) -> Identification:
        """Decide whether this question is identified: the same as ``bc.identify(model, question)``.

        Parameters
        ----------
        model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
            A model or a fit, whose graph is read off, or a graph.
        observed : iterable of str, optional
            The measured variables, as in :func:`bayescausal.identify`.
        unit_dims : str or sequence of str, optional
            The dims that index units, where a model leaves them open.

        Returns
        -------
        Identification

        Examples
        --------
        >>> import bayescausal as bc
        >>> print(bc.ATE("x", "y").identify("z -> x -> y; z -> y"))
        Identified by the back door: adjust for z. Assumes no other common cause of x and y.
        """
        # here: it reads models, and questions are made without PyMC
        from bayescausal.effects.evaluation.verdict import verdict_of

        return verdict_of(self, model_or_graph, observed, unit_dims)

    def write(self, notation: Notation) -> str:
        """Return the question as mathematics in that notation."""
        worlds = self.worlds()
        arms = (self._expected(notation, worlds[role]) for role in ("treated", "control"))
        return self.scale.write(notation, *arms)

    def _expected(self, notation: Notation, world: Mapping[str, Intervention], *more: str) -> str:
        """Return ``E[Y | do(world), given]``."""
        condition = (notation.do(world), *more, self.given.write(notation))
        shown = ", ".join(part for part in condition if part)
        return str(self.functional.write(notation, notation.name(self.outcome_name), shown))

    def _potential(self, notation: Notation, world: Mapping[str, Intervention]) -> str:
        """Return ``Y(1)``, the outcome in that world of one unit."""
        inside = ", ".join(notation.argument(name, what) for name, what in world.items())
        return notation.name(self.outcome_name) + (f"({inside})" if inside else "")

    def _contrast(self, notation: Notation, treated: str, control: str, condition: str) -> str:
        """Return the scale of the functional of two potential outcomes."""
        functional, scale = self.functional, self.scale
        if isinstance(functional, Mean) and scale.name == "difference":
            return functional.write(notation, f"{treated} - {control}", condition)
        parts = (functional.write(notation, body, condition) for body in (treated, control))
        return str(scale.write(notation, *parts))

    def describe(self) -> str:
        """Return the question as plain mathematics."""
        each = f", for each {', '.join(self.by)}" if self.by else ""
        return self.write(PLAIN) + self.functional.tail(PLAIN) + each

    def latex(self) -> str:
        """Return the question as LaTeX, without dollar signs."""
        each = rf",\ \text{{for each }}{', '.join(map(LATEX.name, self.by))}" if self.by else ""
        return self.write(LATEX) + self.functional.tail(LATEX) + each

    def label(self) -> str:
        """Return a short name, such as ``ATE dilution -> coating``."""
        arrow = f"{', '.join(self.treatments)} -> " if self.treatments else ""
        given = f" given {self.given.describe()}" if self.given else ""
        return f"{type(self).__name__} {arrow}{self.outcome_name}{given}"

    def heading(self) -> str:
        """Return the short name and what is not by default: ``ATE dose -> pain (3 against 2)``."""
        return f"{self.label()}{details(self)}"

    def doing(self) -> str:
        """Return what is done: the treated world against the control."""
        roles = ("treated", "control")
        worlds = Estimand.worlds(self) if hasattr(self, "treatment") else self.worlds()
        return intervention_text(*(worlds[role] for role in roles))

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return subject, verb and amount of one number; and how it is taken over units."""
        if getattr(self, "scale", None) is None:
            return f"{self.label()} is {said.text(cell['mean'], cell)}", ""
        what, _ = said.quantity()
        return effect_of(self, said, cell, what), said.taken() if self.signed else ""

    def opening(self, said: Teller) -> str:
        """Return the opening of a sentence about several cells."""
        if getattr(self, "scale", None) is None:
            return f"{self.label()}{said.within()}"
        return open_contrast(self, said)

    def ask(self, said: Teller) -> str:
        """Return the question as a person would ask it, without its population and its mark."""
        return ask_contrast(self, said, f"{said.quantity()[0]}{said.taken()}")

    def if_empty(self, condition: str, column: np.ndarray | None) -> str:
        """Return what to ask in place of a subgroup that no unit belongs to."""
        more = ": a set of values, or of numbers a range (low, high)." if "=" in condition else "."
        return f"Widen the condition{more}"

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        parts = []
        for each in sorted(dataclasses.fields(self), key=lambda f: bool(f.kw_only)):
            value = getattr(self, each.name)
            if each.default is NATURAL_UNLESS_SET and has_default_control(self):
                continue
            if not each.kw_only:
                parts.append(repr(list(value) if isinstance(value, tuple) else value))
            elif not is_default(each.name, value, each.default):
                shown = f"<{value.describe()}>" if isinstance(value, Condition) else repr(value)
                parts.append(f"{each.name}={shown}")
        return f"{type(self).__name__}({', '.join(parts)})"
