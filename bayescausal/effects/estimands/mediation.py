r"""Mediation: total, natural direct and indirect, and path-specific effects.

Nested worlds give a variable the value it has in another world. With `M` the mediators,

.. math::

   TE &= E[Y_1 - Y_0], \\
   NDE &= E[Y_{1, M_0} - Y_0], \\
   NIE &= E[Y_{0, M_1} - Y_0], \qquad NIE_r = E[Y_{1, M_0} - Y_1], \\
   TE &= NDE - NIE_r .

A *path-specific* effect carries the treated level along chosen directed paths and the control level
along all others. On a chosen path each parent has its value from the chosen side or from the
control world. It is undefined where a *recanting witness* would need both values of one variable: a
variable reached by a chosen path from which some continuation is chosen and some is not [1]_. No
experiment makes a nested world: these rest on no confounder of mediator and outcome that the
treatment changes [2]_.

References
----------
.. [1] C. Avin, I. Shpitser and J. Pearl, "Identifiability of path-specific effects", IJCAI
   2005, 357-363.
.. [2] J. Pearl, "Direct and indirect effects", UAI 2001, 411-420.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import networkx as nx

from bayescausal.effects.estimands.averages import TreatmentEffect
from bayescausal.effects.estimands.parsing import World, parse_names, parse_paths, same_world
from bayescausal.effects.estimands.parts import Identity
from bayescausal.effects.words.intervention import circumstance, listed
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.graph.identification.path_specific import refuse_undefined_paths
from bayescausal.types import EstimandError, FromWorld

if TYPE_CHECKING:
    from typing import Self

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.estimands.notation import Notation

__all__ = ["NDE", "NIE", "PSE", "TE"]

#: What ties the total effect to its parts.
TOTAL = Identity("TE = NDE - reversed NIE")


@dataclass(frozen=True, eq=False, repr=False)
class TE(TreatmentEffect):
    """The total effect, ``E[Y(1) - Y(0)]``: the ATE, as mediation analysis writes it.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`~bayescausal.effects.estimands.ATE`.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.TE("X", "Y").describe()
    'E[Y(1) - Y(0)]'
    """

    kind: ClassVar[str] = "te"
    identity: ClassVar = TOTAL
    called: ClassVar[str] = "the total effect, along all paths"

    def write(self, notation: Notation) -> str:
        """Return ``E[Y(1) - Y(0)]``."""
        return self._contrast(notation, *self._potentials(notation), self.given.write(notation))


@dataclass(frozen=True, eq=False, repr=False)
class NDE(TreatmentEffect):
    """The natural direct effect, ``E[Y(1, M(0)) - Y(0)]``.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`~bayescausal.effects.estimands.ATE`.
    mediators : str or sequence of str, optional
        Default: all variables on directed paths from treatment to outcome.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    References
    ----------
    J. Pearl, "Direct and indirect effects", UAI 2001, 411-420.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.NDE("X", "Y", mediators="M").describe()
    'E[Y(1, M(0)) - Y(0)]'
    """

    kind: ClassVar[str] = "nde"
    identity: ClassVar = TOTAL
    beside: ClassVar = "part"
    called: ClassVar[str] = "the natural direct effect: not through the mediators"

    mediators: Any = field(default=None, kw_only=True)

    def _check(self) -> None:
        _check_mediators(self)

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the nested world ``"treated"`` and the ``"control"`` it takes M from."""
        frozen: World = {m: FromWorld("control") for m in _mediators(self, graph)}
        return {"treated": self._arm("treated") | frozen, "control": self._arm("control")}

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return ``P(Y_{x, M_x'})``."""
        return _query(self)

    def doing(self) -> str:
        """Return ``raising X, while M keeps the value it would have had under X = 0,``."""
        names = listed(list(self.mediators)) if self.mediators else "the mediators"
        keep = "keeps the value it" if len(self.mediators or ()) == 1 else "keep the values they"
        under = _state(self, "control").replace(" held at ", " = ")
        return f"{super().doing()}, while {names} {keep} would have had under {under},"

    def write(self, notation: Notation) -> str:
        """Return ``E[Y(1, M(0)) - Y(0)]``."""
        nested = _nested(self, notation, "treated", "control")
        control = self._potential(notation, self._arm("control"))
        return self._contrast(notation, nested, control, self.given.write(notation))


@dataclass(frozen=True, eq=False, repr=False)
class NIE(TreatmentEffect):
    """The natural indirect effect, ``E[Y(0, M(1)) - Y(0)]``.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`~bayescausal.effects.estimands.ATE`.
    mediators : str or sequence of str, optional
        Default: all variables on directed paths from treatment to outcome.
    reverse : bool
        ``E[Y(1, M(0)) - Y(1)]`` instead, so that TE = NDE - reversed NIE.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    References
    ----------
    J. Pearl, "Direct and indirect effects", UAI 2001, 411-420.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.NIE("X", "Y", mediators="M", reverse=True).describe()
    'E[Y(1, M(0)) - Y(1)]'
    """

    kind: ClassVar[str] = "nie"
    identity: ClassVar = TOTAL
    beside: ClassVar = "part"
    called: ClassVar[str] = "the natural indirect effect: through the mediators alone"

    mediators: Any = field(default=None, kw_only=True)
    reverse: bool = field(default=False, kw_only=True)

    def _check(self) -> None:
        if not isinstance(self.reverse, bool):
            raise EstimandError(f"reverse={self.reverse!r}.", expected="True or False.")
        _check_mediators(self)

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return ``"treated"`` (nested), ``"control"``, and ``"mediator"``, the source of M."""
        here, there = self._sides
        moved: World = {m: FromWorld("mediator") for m in _mediators(self, graph)}
        return {
            "treated": self._arm(here) | moved,
            "control": self._arm(here),
            "mediator": self._arm(there),
        }

    @property
    def _sides(self) -> tuple[str, str]:
        """Where the treatment stays, and where the mediators move to."""
        return ("treated", "control") if self.reverse else ("control", "treated")

    @classmethod
    def like(cls, other: Estimand) -> list[Self]:
        """Return both: the indirect effect and the reversed one."""
        [one] = super().like(other)
        return [replace(one, reverse=reverse) for reverse in (False, True)]

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return ``P(Y_{x, M_x'})``."""
        return _query(self)

    def doing(self) -> str:
        """Return ``with X held at 0, moving M from its value with X at 0 to that at 1``."""
        here, there = (_state(self, side) for side in self._sides)
        names = listed(list(self.mediators)) if self.mediators else "the mediators"
        own = "its value" if len(self.mediators or ()) == 1 else "their values"
        return f"with {here}, moving {names} from {own} with {here} to {own} with {there}"

    def write(self, notation: Notation) -> str:
        """Return ``E[Y(0, M(1)) - Y(0)]``."""
        here, there = self._sides
        nested = _nested(self, notation, here, there)
        base = self._potential(notation, self._arm(here))
        return self._contrast(notation, nested, base, self.given.write(notation))


@dataclass(frozen=True, eq=False, repr=False)
class PSE(TreatmentEffect):
    """The path-specific effect: the treated level travels along the chosen paths only.

    Parameters
    ----------
    treatment : str
        One treatment.
    outcome : str
        The outcome.
    paths : str or sequence
        Directed paths from treatment to outcome: ``"X -> M -> Y"``, or lists of names.
    treated, control, scale
        As for :class:`~bayescausal.effects.estimands.ATE`.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        If a path does not lead from treatment to outcome; from `worlds`, if an arrow is not in
        the graph, or a recanting witness makes the effect undefined.

    References
    ----------
    C. Avin, I. Shpitser and J. Pearl, "Identifiability of path-specific effects", IJCAI 2005,
    357-363.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.PSE("X", "Y", paths="X -> M -> Y").describe()
    'E[Y(1 along X -> M -> Y) - Y(0)]'
    """

    kind: ClassVar[str] = "pse"
    beside: ClassVar = "part"
    called: ClassVar[str] = "a path-specific effect"

    paths: Any = field(kw_only=True)

    def _check(self) -> None:
        if not isinstance(self.treatment, str):
            raise EstimandError("PSE follows the paths of one treatment.", expected="One name.")
        self._put("paths", parse_paths(self.paths, self.treatment, self.outcome))
        _refuse_same_levels(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable the question mentions, each once."""
        on_paths = (name for path in self.paths for name in path)
        mentioned = (self.treatment, self.outcome, *on_paths, *self.condition.reads, *self.by)
        return tuple(dict.fromkeys(mentioned))

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return ``"treated"``, ``"control"``, and a world for each variable on a chosen path."""
        if graph is None:
            raise EstimandError("The worlds of a PSE need the graph.", remedy="worlds(graph).")
        refuse_undefined_paths(graph, self.paths)
        levels = {role: self._arm(role) for role in ("treated", "control")}
        changed = nx.descendants(graph, self.treatment)
        chosen: dict[str, set[str]] = defaultdict(set)
        for path in self.paths:
            for parent, child in pairwise(path):
                chosen[child].add(parent)
        worlds: dict[str, World] = {}
        for node, parents in chosen.items():
            world: World = dict(levels["treated" if self.treatment in parents else "control"])
            for parent in graph.predecessors(node):
                if parent in parents and parent != self.treatment:
                    world[parent] = FromWorld(f"path: {parent}")
                elif parent in changed:
                    world[parent] = FromWorld("control")
            worlds["treated" if node == self.outcome else f"path: {node}"] = world
        rest = {k: v for k, v in worlds.items() if k != "treated"}
        return {"treated": worlds["treated"], "control": levels["control"], **rest}

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return the edges along which the treated value travels."""
        first = frozenset(path[1] for path in self.paths)
        asked = EffectQuery(self.title, self.treatments, self.outcome, along=first)
        return replace(asked, text=self.describe())

    def doing(self) -> str:
        """Return ``raising X from 0 to 1 along X -> M -> Y alone``."""
        return f"{super().doing()} along {listed([' -> '.join(p) for p in self.paths])} alone"

    def write(self, notation: Notation) -> str:
        """Return ``E[Y(1 along X -> M -> Y) - Y(0)]``."""
        arrow, along = (r" \to ", r"\text{ along }") if notation.latex else (" -> ", " along ")
        routes = ", ".join(arrow.join(notation.name(v) for v in path) for path in self.paths)
        level = self._potential(notation, self._arm("treated")).removesuffix(")")
        treated = f"{level}{along}{routes})"
        control = self._potential(notation, self._arm("control"))
        return self._contrast(notation, treated, control, self.given.write(notation))


# --------------------------------------------------------------------------- private


def _query(estimand: NDE | NIE) -> EffectQuery:
    asked = EffectQuery(estimand.title, estimand.treatments, estimand.outcome, mediated=True)
    return replace(asked, mediators=tuple(estimand.mediators or ()))


def _state(estimand: Estimand, role: str) -> str:
    """Return where the treatment is in the world of a role."""
    return circumstance(estimand._arm(role)) or "nothing done"


def _refuse_same_levels(estimand: Estimand) -> None:
    """Refuse equal levels where the worlds themselves need the graph."""
    if same_world(estimand._arm("treated"), estimand._arm("control")):
        raise EstimandError(
            f"{estimand.title}: treated and control are the same level.",
            remedy="Name two different levels; the effect would be zero by definition.",
        )


def _check_mediators(estimand: Estimand) -> None:
    if estimand.mediators is not None:
        estimand._put("mediators", parse_names(estimand.mediators, "mediators"))
        for name in (*estimand.treatments, estimand.outcome):
            if name in estimand.mediators:
                raise EstimandError(f"{name!r} is a mediator and the treatment or outcome too.")
    _refuse_same_levels(estimand)


def _mediators(estimand: Estimand, graph: nx.DiGraph | None) -> tuple[str, ...]:
    """Return the mediators, read off the graph where they were not named."""
    if estimand.mediators is not None:
        return tuple(estimand.mediators)
    if graph is None:
        raise EstimandError(
            f"The mediators of {estimand.label()} are left to the graph, which is not there.",
            remedy="worlds(graph), or name them: mediators=[...].",
        )
    if graph.nodes.get(estimand.outcome, {}).get("kind") == "deterministic":
        parts = ", ".join(map(repr, graph.predecessors(estimand.outcome)))
        raise EstimandError(
            f"{estimand.outcome!r} is computed from {parts}: nothing says whether these are "
            "mediators or parts of the outcome.",
            remedy="Name the mediators: mediators=[...].",
        )
    above = nx.ancestors(graph, estimand.outcome)
    below = set().union(*(nx.descendants(graph, t) for t in estimand.treatments))
    between = (above & below) - set(estimand.treatments)
    return tuple(n for n in nx.lexicographical_topological_sort(graph, key=str) if n in between)


def _nested(estimand: Estimand, notation: Notation, here: str, there: str) -> str:
    """Return ``Y(1, M(0))``; M stands for mediators left to the graph."""
    levels = [notation.argument(n, w) for n, w in estimand._arm(here).items()]
    source = ", ".join(notation.argument(n, w) for n, w in estimand._arm(there).items())
    names = estimand.mediators or ("M",)
    moved = [notation.name(m) + (f"({source})" if source else "") for m in names]
    return f"{notation.name(estimand.outcome)}({', '.join(levels + moved)})"
