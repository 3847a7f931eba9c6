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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bayescausal.effects.estimands.conditions import Condition
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.estimands.notation import LATEX, PLAIN, Notation
from bayescausal.effects.estimands.parsing import (
    NATURAL_UNLESS_SET,
    PARSERS,
    World,
    as_world,
    default_control,
    is_default,
    parse_levels,
    parse_names,
)
from bayescausal.types import EstimandError, Intervention

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bayescausal.graph.identification.verdict import Identification

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
        What is taken of the outcome: ``"mean"``, ``Quantile(q)``, ``Probability(above=...)``.
    by : str or sequence of str, optional
        Variables whose values split the answer: it gets a dim for each.
    coupling : str or mapping, optional
        How a discrete variable's noise goes together across worlds, where the answer depends on
        it (units with their own noise, post-treatment subgroups, unit-level questions):
        ``"monotone"``, ``"gumbel"``, or a mapping by variable. There is no default.

    Notes
    -----
    Estimands are compared by identity. After construction the fields hold what was parsed:
    a ``Condition``, ``Population``, ``Functional`` and ``EffectScale``.
    """

    kind: ClassVar[str] = "estimand"

    given: Any = field(default=None, kw_only=True)
    population: Any = field(default="sample", kw_only=True)
    functional: Any = field(default="mean", kw_only=True)
    by: Any = field(default=None, kw_only=True)
    coupling: Any = field(default=None, kw_only=True)

    # ------------------------------------------------------------------ parsing

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            parse = PARSERS.get(each.name)
            if parse is not None:
                self._put(each.name, parse(getattr(self, each.name)))
        if hasattr(self, "treatment"):
            self._parse_treatment()
        for name in self.by:
            if name == self.outcome_name or name in self.treatments:
                raise EstimandError(
                    f"by={name!r} is the treatment or the outcome.",
                    remedy="Split by a variable that the treatment does not change.",
                )
        self._check()

    def _put(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _parse_treatment(self) -> None:
        """Check treatments and levels; several treatments become tuples."""
        me: Any = self
        names = parse_names(me.treatment, "treatment")
        single = isinstance(me.treatment, str)
        self._put("treatment", names[0] if single else names)
        if self.outcome_name in names:
            raise EstimandError(
                f"{self.outcome_name!r} is both treatment and outcome.",
                remedy="Name two different variables.",
            )
        roles = [role for role in ("treated", "control") if hasattr(self, role)]
        if not single:
            for role in roles:
                self._put(role, parse_levels(names, getattr(self, role), role))
        if len(roles) == 2:
            self._put("_default_levels", me.control is NATURAL_UNLESS_SET)
            treated, control = ((v,) if single else v for v in (me.treated, me.control))
            resolved = tuple(default_control(*pair) for pair in zip(treated, control, strict=True))
            self._put("control", resolved[0] if single else resolved)

    def _has_default_control(self) -> bool:
        """Return whether the control is what it would be had it not been named."""
        me: Any = self
        single = isinstance(me.treatment, str)
        treated, control = ((v,) if single else v for v in (me.treated, me.control))
        return all(
            c is default_control(t, NATURAL_UNLESS_SET)
            for t, c in zip(treated, control, strict=True)
        )

    def _check(self) -> None:
        """Refuse what makes no sense for this question."""

    # ---------------------------------------------------------------- the question

    @property
    def outcome_name(self) -> str:
        """Name of the outcome."""
        return str(self.outcome)  # type: ignore[attr-defined]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the treatments."""
        treatment = getattr(self, "treatment", ())
        return (treatment,) if isinstance(treatment, str) else tuple(treatment)

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable the question mentions, each once: all must exist in the model."""
        mediators = getattr(self, "mediators", None) or ()
        mentioned = (
            *self.treatments,
            self.outcome_name,
            *mediators,
            *self.condition.reads,
            *self.by,
        )
        return tuple(dict.fromkeys(mentioned))

    @property
    def condition(self) -> Condition:
        """The whole subgroup: `given` and what the estimand itself conditions on."""
        return self.given  # type: ignore[no-any-return]

    @property
    def null(self) -> float | None:
        """The value that means no effect, if there is one."""
        scale = getattr(self, "scale", None)
        return None if scale is None else scale.null

    def worlds(self, graph: Any = None) -> dict[str, World]:
        """Return the worlds of the question.

        Parameters
        ----------
        graph : networkx.DiGraph, optional
            The causal graph. Needed only where the question leaves mediators to it.

        Returns
        -------
        dict of str to dict of str to Intervention
            ``"treated"`` and ``"control"`` are compared; any other world only serves as a
            source of ``FromWorld``. Questions about one world name it ``"expected"``. The empty
            mapping is the natural course.

        Raises
        ------
        EstimandError
            If the graph is needed and missing, or does not allow the question.
        """
        return {role: self._arm(role) for role in ("treated", "control")}

    def _arm(self, role: str) -> World:
        """Return the world in which the treatments are at the level of that role."""
        level = getattr(self, role)
        if isinstance(self.treatment, str):  # type: ignore[attr-defined]
            return as_world({self.treatments[0]: level})
        return as_world(dict(zip(self.treatments, level, strict=True)))

    def identify(
        self,
        model_or_graph: Any,
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

        Raises
        ------
        UnknownVariableError
            If a name is not a variable.
        EstimandError
            If there is nothing to identify: a model of one variable, an outcome that is set.

        Examples
        --------
        >>> from bayescausal.effects.estimands import ATE
        >>> print(ATE("x", "y").identify("z -> x -> y; z -> y"))
        Identified by the back door: adjust for z. Assumes no other common cause of x and y.
        """
        from bayescausal.effects.evaluation.verdict import verdict_of

        return verdict_of(self, model_or_graph, observed, unit_dims)

    # ------------------------------------------------------------------- writing

    def write(self, notation: Notation) -> str:
        """Return the question as mathematics in that notation."""
        worlds = self.worlds()
        return self.scale.write(  # type: ignore[attr-defined, no-any-return]
            notation,
            self._expected(notation, worlds["treated"]),
            self._expected(notation, worlds["control"]),
        )

    def _expected(self, notation: Notation, world: Mapping[str, Intervention], *more: str) -> str:
        """Return ``E[Y | do(world), given]``."""
        condition = (notation.do(world), *more, self.given.write(notation))
        body = notation.name(self.outcome_name)
        return self.functional.write(  # type: ignore[no-any-return]
            notation, body, ", ".join(part for part in condition if part)
        )

    def _potential(self, notation: Notation, world: Mapping[str, Intervention]) -> str:
        """Return ``Y(1)``, the outcome in that world of one unit."""
        inside = ", ".join(notation.argument(name, what) for name, what in world.items())
        return notation.name(self.outcome_name) + (f"({inside})" if inside else "")

    def _contrast(self, notation: Notation, treated: str, control: str, condition: str) -> str:
        """Return the scale of the functional of two potential outcomes."""
        functional, scale = self.functional, self.scale  # type: ignore[attr-defined]
        if isinstance(functional, Mean) and scale.name == "difference":
            return functional.write(notation, f"{treated} - {control}", condition)
        parts = (functional.write(notation, body, condition) for body in (treated, control))
        return str(scale.write(notation, *parts))

    def describe(self) -> str:
        """Return the question as plain mathematics."""
        tail = f", for each {', '.join(self.by)}" if self.by else ""
        return self.write(PLAIN) + tail

    def latex(self) -> str:
        """Return the question as LaTeX, without dollar signs."""
        names = ", ".join(LATEX.name(name) for name in self.by)
        return self.write(LATEX) + (rf",\ \text{{for each }}{names}" if names else "")

    def label(self) -> str:
        """Return a short name, such as ``ATE dilution -> coating``."""
        arrow = f"{', '.join(self.treatments)} -> " if self.treatments else ""
        given = f" given {self.given.describe()}" if self.given else ""
        return f"{type(self).__name__} {arrow}{self.outcome_name}{given}"

    def heading(self) -> str:
        """Return the short name and whatever was asked otherwise than by default.

        Two different questions have different headings: ``ATE dose -> pain (3 against 2)``.
        """
        from bayescausal.effects.words.headings import details

        return f"{self.label()}{details(self)}"

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        parts = []
        for each in sorted(dataclasses.fields(self), key=lambda f: bool(f.kw_only)):
            value = getattr(self, each.name)
            if each.default is NATURAL_UNLESS_SET and self._has_default_control():
                continue
            if not each.kw_only:
                parts.append(repr(list(value) if isinstance(value, tuple) else value))
            elif not is_default(each.name, value, each.default):
                shown = f"<{value.describe()}>" if isinstance(value, Condition) else repr(value)
                parts.append(f"{each.name}={shown}")
        return f"{type(self).__name__}({', '.join(parts)})"
