"""Exercises on a graph: shut the paths, find the fewest variables, draw what identifies.

Each begins with a drawing and has a goal that is decided by the same functions as every other
question about a graph. What is wrong with a wrong answer is said by naming the path or the
variable. ``random:SEED`` is an exercise of the second kind in a graph made for the seed, so that
there is always another one.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from bayescausal.graph.identification.adjustment import is_adjustment_set
from bayescausal.graph.identification.identify import identify
from bayescausal.graph.structure.facts import paths
from bayescausal.graph.structure.independences import implied_independences
from bayescausal.graph.structure.marks import latents
from bayescausal.graph.structure.roles import roles
from bayescausal.graph.text.export import to_edges, to_text
from bayescausal.graph.text.notation import joined
from bayescausal.graph.text.parse import parse_graph
from bayescausal.types import GraphError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.graph.playground.drawings import Drawn

    type Goal = Callable[[Drawn], tuple[bool, str]]

__all__ = ["EXAMPLES", "EXERCISES", "Exercise", "check", "exercise_of"]

#: Graphs that are known by name, to look at.
EXAMPLES = {
    "Confounder": "humid -> dilution -> coating; humid -> coating; "
    "dilution [treatment]; coating [outcome]",
    "Collider": "talent -> star <- looks; talent [treatment]; looks [outcome]",
    "Mediator": "drug -> enzyme -> recovery; drug -> recovery; "
    "drug [treatment]; recovery [outcome]",
    "Front door": "smoking -> tar -> cancer; smoking <-> cancer; "
    "smoking [treatment]; cancer [outcome]",
    "Instrument": "lottery -> service -> earnings; service <-> earnings; "
    "service [treatment]; earnings [outcome]",
    "M-bias": "X [treatment]; Y [outcome]; X <- A -> M <- B -> Y; X -> Y; A [latent]; B [latent]",
    "Selection": "exposure -> hospital <- disease; hospital [selected]; "
    "exposure [treatment]; disease [outcome]",
    "Napkin": "W -> Z -> X -> Y; W <-> X; W <-> Y; X [treatment]; Y [outcome]",
    "Bow": "X -> Y; X <-> Y; X [treatment]; Y [outcome]",
}

_XY = "X [treatment]; Y [outcome]; "
_FEWEST = (
    "Block all back doors with the fewest variables: mark as given what has to be adjusted for to "
    "get the effect of X on Y, and nothing that is not needed."
)
#: Letters of the variables of an exercise that is made.
_LETTERS = "ABCDEFG"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    ``level``: 1 to 5, easy ones first.
    ``start``: the graph it begins with, as text.
    ``fixed``: whether only the mark "given" may be changed.
    ``goal``: decides a drawing: whether it is solved, and what to say.
    """

    id: str
    level: int
    title: str
    task: str
    hint: str
    start: str
    fixed: bool
    goal: Goal


def exercise_of(id: str) -> Exercise:
    """Return an exercise by its name.

    Raises GraphError if there is none.

    Examples
    --------
    >>> exercise_of("fork").level, exercise_of("random:7").start.count("->") > 5
    (1, True)
    """
    made = re.fullmatch(r"random:(\d{1,9})", id)
    if made:
        return _made(int(made[1]))
    for exercise in EXERCISES:
        if exercise.id == id:
            return exercise
    raise GraphError(
        f"There is no exercise {id!r}.",
        expected=f"one of {', '.join(e.id for e in EXERCISES)}, or random:SEED.",
        remedy=f"Did you mean {closest(id, [e.id for e in EXERCISES])[0]!r}?"
        if closest(id, [e.id for e in EXERCISES])
        else None,
    )


def check(id: str, drawn: Drawn) -> tuple[bool, str]:
    """Tell whether a drawing solves an exercise, and what to say.

    Examples
    --------
    >>> from bayescausal.graph.playground.drawings import drawing_of, read_drawing
    >>> drawing = drawing_of(exercise_of("fork").start)
    >>> check("fork", read_drawing(drawing))
    (False, 'Not yet: X <- Z -> Y (back door) is open.')
    """
    exercise = exercise_of(id)
    if exercise.fixed and to_edges(drawn.graph) != to_edges(parse_graph(exercise.start)):
        return False, "The arrows have changed: begin the exercise again."
    if exercise.fixed and latents(drawn.graph) != latents(parse_graph(exercise.start)):
        return False, "What is measured has changed: begin the exercise again."
    if drawn.treatment != ("X",) or drawn.outcome != ("Y",):
        return False, "X has to be the treatment and Y the outcome, and nothing else."
    solved, said = exercise.goal(drawn)
    return solved, f"Solved. {said}" if solved else f"Not yet: {said}"


# --------------------------------------------------------------------------- goals


def _shut(drawn: Drawn) -> tuple[bool, str]:
    """All paths are shut."""
    found = paths(drawn.graph, "X", "Y", given=drawn.given)
    open_ = [p for p in found if p.open]
    if open_:
        return False, open_[0].sentence()
    return True, f"{joined([str(p) for p in found])} carries no association now."


def _opened(drawn: Drawn) -> tuple[bool, str]:
    """Some path is open that is no effect."""
    found = paths(drawn.graph, "X", "Y", given=drawn.given)
    open_ = [p for p in found if p.open]
    if not open_:
        return False, f"{found[0].sentence()}"
    return True, (
        f"{open_[0].sentence()} X and Y, which have nothing to do with each other, are associated "
        "among units that are alike in what was given: this is selection bias."
    )


def _fewest(drawn: Drawn) -> tuple[bool, str]:
    """What is given is a valid set, and no smaller one is."""
    graph, given = drawn.graph, drawn.given
    unseen = sorted(set(given) & latents(graph))
    if unseen:
        return False, f"{joined(unseen)} cannot be adjusted for, it is not measured."
    if not is_adjustment_set(graph, "X", "Y", given):
        told = roles(graph, "X", "Y")
        bad = {"mediator", "descendant of a mediator", "descendant of the outcome"}
        wrong = [n for n in given if bad & {*told[n].roles}]
        if wrong:
            return False, told[wrong[0]].sentence
        found = paths(graph, "X", "Y", given=given)
        return False, next(p.sentence() for p in found if p.open and p.kind != "causal")
    fewest = len(identify(graph, "X", "Y").adjustment_sets[0])
    if len(given) > fewest:
        if not fewest:
            return False, "this set is valid, but nothing has to be adjusted for."
        more = "variables are" if fewest > 1 else "variable is"
        return False, f"this set is valid, but {fewest} {more} enough."
    what = joined(given) if given else "nothing"
    return True, f"Adjusting for {what} shuts every back door, and no smaller set does."


def _measured(drawn: Drawn) -> tuple[bool, str]:
    """The effect is identified, with one latent variable measured."""
    start = parse_graph(exercise_of("measure").start)
    if to_edges(drawn.graph) != to_edges(start):
        return False, "the arrows have changed: begin the exercise again."
    more = latents(start) - latents(drawn.graph)
    found = identify(drawn.graph, "X", "Y")
    if not found:
        return False, found.headline()
    if len(more) > 1:
        return False, f"one is enough, and {joined(sorted(more))} are measured now."
    return True, found.headline()


def _by_front_door(drawn: Drawn) -> tuple[bool, str]:
    """The effect is identified by the front door, its common cause still hidden."""
    if not _confounded(drawn):
        return False, "X and Y have to keep an unmeasured common cause."
    found = identify(drawn.graph, "X", "Y")
    if found.method != "front door":
        return False, found.headline()
    return True, found.headline()


def _by_instrument(drawn: Drawn) -> tuple[bool, str]:
    """There is an instrument, and the common cause is still hidden."""
    if not _confounded(drawn):
        return False, "X and Y have to keep an unmeasured common cause."
    found = identify(drawn.graph, "X", "Y")
    if found:
        return False, "the effect is identified without an instrument."
    if not found.instruments:
        return False, "no variable is an instrument: none acts on X and reaches Y through X alone."
    return True, found.headline()


def _confounded(drawn: Drawn) -> bool:
    found = paths(drawn.graph, "X", "Y", given=())
    hidden = latents(drawn.graph)
    return any(p.kind == "back door" and p.open and {*p.nodes[1:-1]} <= hidden for p in found)


def _claims_exactly(wanted: str) -> Goal:
    """The graph implies one independence and no other."""

    def goal(drawn: Drawn) -> tuple[bool, str]:
        measured = sorted(set(drawn.graph) - latents(drawn.graph))
        if measured != ["X", "Y", "Z"] or latents(drawn.graph):
            return False, "use X, Y and Z alone, all measured."
        found = [str(c) for c in implied_independences(drawn.graph)]
        if found != [wanted]:
            return False, f"it implies {joined(found) or 'no independence'}."
        return (
            True,
            f"This graph implies {wanted} and nothing else; others with other arrows may too.",
        )

    return goal


def _one_arrow_less(drawn: Drawn) -> tuple[bool, str]:
    """One arc of the napkin is gone, and adjusting is enough."""
    start = {tuple(e) for e in to_edges(parse_graph(exercise_of("napkin").start))}
    now = {tuple(e) for e in to_edges(drawn.graph)}
    if not now < start or len(start - now) != 1:
        return False, "take away one arrow or arc of the first drawing, and add none."
    found = identify(drawn.graph, "X", "Y")
    if found.method != "back door":
        return False, found.headline()
    return True, found.headline()


# --------------------------------------------------------------------------- the exercises

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "chain", 1, "A chain", "M carries the whole effect of X on Y. Shut the path: mark what, "
        "given, leaves X and Y unassociated.", "Association passes through M.",
        f"{_XY}X -> M -> Y", True, _shut,
    ),
    Exercise(
        "fork", 1, "A fork", "Z is a common cause of X and Y, and X has no effect on Y. Shut the "
        "path.", "Compare units that are alike in Z.", f"{_XY}X <- Z -> Y", True, _shut,
    ),
    Exercise(
        "collider", 1, "A collider", "X and Y both act on C and have nothing else to do with each "
        "other: the path is shut. Open it.", "Talent and looks both make a star. Look at stars "
        "alone.", f"{_XY}X -> C <- Y", True, _opened,
    ),
    Exercise(
        "confounder", 2, "One confounder", _FEWEST, "Which variable acts on both?",
        f"{_XY}Z -> X -> Y; Z -> Y", True, _fewest,
    ),
    Exercise(
        "long", 2, "A long back door", _FEWEST, "One variable on the path is enough, wherever it "
        "stands.", f"{_XY}X <- A <- B -> C -> Y; X -> Y", True, _fewest,
    ),
    Exercise(
        "m", 2, "Nothing to do?", _FEWEST, "Is any back door open before you adjust?",
        f"{_XY}M [adjusted]; X <- A -> M <- B -> Y; X -> Y", True, _fewest,
    ),
    Exercise(
        "butterfly", 3, "The butterfly", _FEWEST, "B is a confounder and a collider: adjusting for "
        "it shuts a path and opens another.",
        f"{_XY}A -> X; A -> B; C -> B; B -> X; C -> Y; X -> Y", True, _fewest,
    ),
    Exercise(
        "traps", 3, "Traps", _FEWEST, "Leave alone what X acts on, and what acts on X alone.",
        f"{_XY}I -> X -> M -> Y; Z -> X; Z -> Y; X -> C <- Y; W -> Y", True, _fewest,
    ),
    Exercise(
        "proxy", 3, "A hidden confounder with a measured road", _FEWEST, "U is not measured. Does "
        "its path pass something that is?",
        f"{_XY}U [latent]; U -> A -> X; U -> B -> Y; X -> Y; A -> B", True, _fewest,
    ),
    Exercise(
        "measure", 4, "What to measure", "U, V and W are not measured, and the effect is not "
        "identified. You can afford to measure one of them. Take away one mark 'latent'.",
        "Which one closes all open back doors?",
        f"{_XY}U [latent]; V [latent]; W [latent]; X <- U -> A -> Y; X <- V -> Y; W -> Y; "
        "W -> V; X -> Y", False, _measured,
    ),
    Exercise(
        "front-door", 4, "The front door", "X and Y share a common cause that cannot be measured. "
        "Change how X acts on Y so that the effect is identified all the same.",
        "Let the whole effect pass through a variable that the common cause does not reach.",
        f"{_XY}X -> Y; X <-> Y", False, _by_front_door,
    ),
    Exercise(
        "instrument", 4, "An instrument", "X and Y share a common cause that cannot be measured. "
        "Add a variable that is an instrument.", "It acts on X, and on Y through X alone.",
        f"{_XY}X -> Y; X <-> Y", False, _by_instrument,
    ),
    Exercise(
        "separated", 5, "What data could refute", "Draw arrows between X, Y and Z so that the "
        "graph implies X ⊥ Y | Z and no other independence.", "There are three such graphs.",
        f"{_XY}X; Y; Z", False, _claims_exactly("X ⊥ Y | Z"),
    ),
    Exercise(
        "marginal", 5, "Independent until given", "Draw arrows between X, Y and Z so that the "
        "graph implies X ⊥ Y and no other independence.", "There is one such graph.",
        f"{_XY}X; Y; Z", False, _claims_exactly("X ⊥ Y"),
    ),
    Exercise(
        "napkin", 5, "The napkin", "No adjustment gives this effect, and yet it is identified: ID "
        "finds the formula. Take away one arrow or arc so that adjusting is enough.",
        "Which arc makes W a collider that must be opened?",
        f"{_XY}W -> Z -> X -> Y; W <-> X; W <-> Y", False, _one_arrow_less,
    ),
)  # fmt: skip


def _made(seed: int) -> Exercise:
    """Make a graph in which a few of the variables have to be adjusted for, and others must not."""
    rng = random.Random(seed)
    while True:
        order = [*rng.sample(_LETTERS, rng.choice((5, 6)))]
        first = rng.randrange(2, len(order))
        order.insert(first, "X")
        order.insert(rng.randrange(first + 2, len(order) + 1), "Y")
        edges = [e for e in combinations(order, 2) if rng.random() < 0.33]
        edges += [] if ("X", "Y") in edges else [("X", "Y")]
        text = "; ".join(f"{a} -> {b}" for a, b in edges)
        graph = parse_graph(_XY + text)
        found = identify(graph, "X", "Y")
        least = len(found.adjustment_sets[0]) if found.adjustment_sets else 0
        traps = [r for r in roles(graph, "X", "Y").values() if r.adjust == "no"]
        if 1 <= least <= 3 and len(traps) > 2 and all(graph.degree(n) for n in graph):
            start = to_text(graph)
            return Exercise(f"random:{seed}", 3, f"Exercise {seed}", _FEWEST,
                            "Look at each back door in turn.", start, True, _fewest)  # fmt: skip
