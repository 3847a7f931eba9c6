"""Ask everything about a drawn graph in one call: JSON in, JSON out.

An editor draws and sends what was drawn; all that is said of it is said here, by the functions that
:mod:`bayescausal.graph` has for graphs of any origin. So a page in a browser, a widget in a
notebook and a script get the same answer, and there is one implementation.

=================  ===============================================================================
``"ask"``          what comes back
=================  ===============================================================================
``"look"``         of ``drawing``: the verdict, sets, paths, roles, independences, arrows, texts
``"read"``         ``text`` in any language of graphs, as a drawing
``"exercises"``    the exercises, by level
``"start"``        the drawing that the exercise ``id`` begins with, and its task
``"check"``        whether ``drawing`` solves the exercise ``id``, and what stands in the way
=================  ===============================================================================

What cannot be answered is a ``"problem"`` in words; the rest of the answer is still there.
"""

from __future__ import annotations

import itertools
import json
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from bayescausal.graph.identification.adjustment import is_adjustment_set
from bayescausal.graph.identification.identify import identify
from bayescausal.graph.playground.as_code import as_formulas, as_pymc
from bayescausal.graph.playground.drawings import Drawn, drawing_of, read_drawing
from bayescausal.graph.playground.exercises import EXAMPLES, EXERCISES, check, exercise_of
from bayescausal.graph.structure.facts import Path, paths
from bayescausal.graph.structure.independences import implied_independences
from bayescausal.graph.structure.marks import latents
from bayescausal.graph.structure.roles import roles
from bayescausal.graph.text.export import to_dagitty, to_dot, to_mermaid, to_text
from bayescausal.graph.text.notation import joined
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.graph.identification.verdict import Identification

    type Answer = dict[str, Any]

__all__ = ["explore"]

#: How many sets, paths and independences are shown; what is left out is said.
MOST_SETS, MOST_PATHS, MOST_CLAIMS = 12, 60, 60


def explore(request: str) -> str:
    """Answer a question about a drawn graph.

    `request`: JSON: ``{"ask": "look", "drawing": {...}}``, or one of the other questions.
    Returns: JSON: the answer; ``"problem"`` where there is none.

    Examples
    --------
    >>> import json
    >>> drawing = json.loads(explore('{"ask": "read", "text": "Z -> X -> Y; Z -> Y"}'))["drawing"]
    >>> for node in drawing["nodes"]:
    ...     node["treatment"], node["outcome"] = node["name"] == "X", node["name"] == "Y"
    >>> answer = json.loads(explore(json.dumps({"ask": "look", "drawing": drawing})))
    >>> answer["verdict"]["headline"], answer["sets"]["adjustment"]
    ('Identified by the back door: adjust for Z.', [['Z']])
    """
    asked = json.loads(request)
    try:
        return json.dumps(_ASKS[asked["ask"]](asked), ensure_ascii=False)
    except BayesCausalError as error:
        return json.dumps({"problem": str(error)}, ensure_ascii=False)


# --------------------------------------------------------------------------- private


def _read(asked: Answer) -> Answer:
    return {"drawing": drawing_of(asked["text"])}


def _exercises(_: Answer) -> Answer:
    return {
        "exercises": [{"id": e.id, "level": e.level, "title": e.title} for e in EXERCISES],
        "examples": [{"title": title, "text": text} for title, text in EXAMPLES.items()],
    }


def _start(asked: Answer) -> Answer:
    exercise = exercise_of(asked["id"])
    return {"drawing": drawing_of(exercise.start), "title": exercise.title, "task": exercise.task,
            "hint": exercise.hint}  # fmt: skip


def _check(asked: Answer) -> Answer:
    solved, message = check(asked["id"], read_drawing(asked["drawing"]))
    return {"solved": solved, "message": message}


def _look(asked: Answer) -> Answer:
    """Say all there is to say of a drawing; what fails says why, and stops nothing."""
    drawn = read_drawing(asked["drawing"])
    answer: Answer = {"texts": _texts(drawn), "independences": _claims(drawn)}
    if not drawn.treatment or not drawn.outcome:
        lacks = joined([w for w in ("treatment", "outcome") if not getattr(drawn, w)])
        return answer | {"waiting": f"Mark a variable as {lacks}."}
    answer["verdict"] = _attempt(lambda: _verdict(drawn))
    answer["sets"] = _attempt(lambda: _sets(drawn))
    answer["given"] = _attempt(lambda: _given(drawn))
    answer["paths"] = _attempt(lambda: _paths(drawn))
    answer["roles"] = _attempt(lambda: _roles(drawn))
    answer["arrows"] = _attempt(lambda: _arrows(drawn))
    return answer


_ASKS: dict[str, Callable[[Answer], Answer]] = {
    "look": _look,
    "read": _read,
    "exercises": _exercises,
    "start": _start,
    "check": _check,
}


def _attempt(part: Callable[[], Answer]) -> Answer:
    try:
        return part()
    except BayesCausalError as error:
        return {"problem": str(error)}


def _verdict(drawn: Drawn) -> Answer:
    """Say whether the effect is identified, and how; and among units alike in what is given."""
    found = identify(drawn.graph, drawn.treatment, drawn.outcome)
    answer = _in_words(found)
    if drawn.given:
        answer["within"] = _attempt(
            lambda: _in_words(
                identify(drawn.graph, drawn.treatment, drawn.outcome, given=drawn.given)
            )
        )
    return answer


def _in_words(found: Identification) -> Answer:
    estimand = found.estimand
    return {
        "status": found.status,
        "method": found.method,
        "query": found.query,
        "headline": found.headline(),
        "sentence": found.sentence(),
        "estimand": None if estimand is None else str(estimand),
        "latex": None if estimand is None else estimand.latex(),
        "assumptions": list(found.assumptions),
        "warnings": list(found.warnings),
        "hedge": [] if found.hedge is None else sorted(found.hedge.F),
    }


def _sets(drawn: Drawn) -> Answer:
    """Return the sets to adjust for, the front doors, the instruments."""
    found = identify(drawn.graph, drawn.treatment, drawn.outcome)
    first = [sorted(s) for s in itertools.islice(found.adjustment_sets, MOST_SETS + 1)]
    best = found.optimal_adjustment_set
    none = found.method == "no causal path"  # nothing that an instrument would be for
    return {
        "adjustment": first[:MOST_SETS],
        "more": len(first) > MOST_SETS,
        "optimal": None if best is None else sorted(best),
        "frontdoor": [sorted(s) for s in itertools.islice(found.frontdoor_sets, MOST_SETS)],
        "instruments": [] if none else [str(i) for i in found.instruments][:MOST_SETS],
    }


def _given(drawn: Drawn) -> Answer:
    """Say whether what is marked as given would do as an adjustment set."""
    names, given = joined(drawn.given), drawn.given
    unseen = sorted(set(given) & latents(drawn.graph))
    if unseen:
        is_ = "is" if len(unseen) == 1 else "are"
        return {"valid": False, "sentence": f"{joined(unseen)} {is_} not measured: nothing can be "
                "adjusted for that is not in the data."}  # fmt: skip
    valid = is_adjustment_set(drawn.graph, drawn.treatment, drawn.outcome, given)
    what = f"Adjusting for {names}" if given else "Adjusting for nothing"
    if valid:
        return {"valid": True, "sentence": f"{what} removes all confounding and keeps the whole "
                "effect."}  # fmt: skip
    return {
        "valid": False,
        "sentence": f"{what} does not give the effect. {_wrong_with_set(drawn)}".strip(),
    }


def _wrong_with_set(drawn: Drawn) -> str:
    """Name what is wrong with a set: what should not be in it, and what stays open."""
    told = roles(drawn.graph, drawn.treatment, drawn.outcome)
    on_the_way = {"mediator", "descendant of a mediator", "descendant of the outcome"}
    wrong = [n for n in drawn.given if on_the_way & {*told[n].roles}]
    if wrong:
        return " ".join(told[n].sentence for n in wrong)
    open_ = [p for p in _all_paths(drawn, drawn.given) if p.open and p.kind != "causal"]
    if open_:
        return f"This path stays open and is no effect: {open_[0]}."
    return ""


def _all_paths(drawn: Drawn, given: tuple[str, ...]) -> list[Path]:
    """Return the paths from each treatment to each outcome."""
    found: list[Path] = []
    for x, y in product(drawn.treatment, drawn.outcome):
        if x != y:
            found += paths(drawn.graph, x, y, given=[g for g in given if g not in (x, y)],
                           limit=10 * MOST_PATHS)  # fmt: skip
    return found


def _paths(drawn: Drawn) -> Answer:
    """Return each path: what it carries, whether it is open, and why."""
    found = _all_paths(drawn, drawn.given)
    listed = [
        {
            "text": str(path),
            "nodes": list(path.nodes),
            "arrows": list(path.arrows),
            "kind": path.kind,
            "open": path.open,
            "blocked_by": list(path.blocked_by),
            "opened_by": list(path.opened_by),
            "sentence": path.sentence(),
        }
        for path in found[:MOST_PATHS]
    ]
    return {"listed": listed, "count": len(found)}


def _roles(drawn: Drawn) -> Answer:
    """Return what each variable is, whether to adjust for it, and what marking it changes."""
    told = roles(drawn.graph, drawn.treatment, drawn.outcome)
    now = {str(p): p for p in _all_paths(drawn, drawn.given)}
    answer: Answer = {}
    for name, role in told.items():
        answer[name] = {
            "roles": list(role.roles),
            "adjust": role.adjust,
            "sentence": role.sentence,
            "change": "",
        }
        asked = name in (*drawn.treatment, *drawn.outcome) or name in latents(drawn.graph)
        if not asked and len(now) <= MOST_PATHS:
            answer[name]["change"] = _change(drawn, name, now)
    return answer


def _change(drawn: Drawn, name: str, now: dict[str, Path]) -> str:
    """Say which paths open and shut if a variable is given, or is no longer."""
    out = name in drawn.given
    given = tuple(g for g in drawn.given if g != name) if out else (*drawn.given, name)
    then = {str(p): p for p in _all_paths(drawn, given)}
    opened = [p for p, path in then.items() if path.open and not now[p].open]
    shut = [p for p, path in then.items() if not path.open and now[p].open]
    if not opened and not shut:
        return f"{'Leaving it out' if out else 'Adding it'} changes no path."
    parts = [f"opens {'; '.join(opened)}"] if opened else []
    parts += [f"shuts {'; '.join(shut)}"] if shut else []
    return f"{'Leaving it out' if out else 'Adding it'} {', and '.join(parts)}."


def _arrows(drawn: Drawn) -> Answer:
    """Return the arrows that carry the effect, and those on open paths that are none."""
    answer: Answer = {}
    for path in _all_paths(drawn, drawn.given):
        if path.kind == "causal" or path.open:
            for (a, b), arrow in zip(pairwise(path.nodes), path.arrows, strict=True):
                left, right = (b, a) if arrow == "<-" else (a, b)
                left, right = sorted((a, b)) if arrow == "<->" else (left, right)
                key = f"{left} {'<->' if arrow == '<->' else '->'} {right}"
                kind = "causal" if path.kind == "causal" else "open"
                answer[key] = "causal" if "causal" in (kind, answer.get(key)) else "open"
    return answer


def _claims(drawn: Drawn) -> Answer:
    """Return the independences that data could refute, one for each pair."""
    claims = implied_independences(drawn.graph, one_per_pair=True)
    listed = [{"text": str(c), "left": c.left, "right": c.right, "given": list(c.given)}
              for c in claims[:MOST_CLAIMS]]  # fmt: skip
    return {"listed": listed, "count": len(claims)}


def _texts(drawn: Drawn) -> Answer:
    """Return the graph in the languages that it can be copied in."""
    marked = drawn.marked
    if not marked:
        return {}
    plain: Answer = {
        "formulas": as_formulas,
        "pymc": as_pymc,
        "dagitty": to_dagitty,
        "mermaid": to_mermaid,
        "text": to_text,
        "dot": to_dot,
    }
    return {name: _text(writer, marked) for name, writer in plain.items()}


def _text(writer: Callable[..., str], graph: object) -> str:
    try:
        return writer(graph)
    except BayesCausalError as error:
        return f"# {error}"
