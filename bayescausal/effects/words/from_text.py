"""A question written as text: ``CATE(x, y, treated=high, given={'age': (40, 60)})``.

The text is the Python call, read and never run: names of estimands, of interventions and of the few
other things a question is made of, with plain values inside. A bare word is a name or a label, so
that a command line needs no quotes within quotes. What a question may not hold as text (a function,
an array) is refused with the place where it stands.
"""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import bayescausal.effects.estimands as estimands
from bayescausal.effects.averaging.time_functionals import (
    CumulativeIncidence,
    RestrictedMean,
    Survival,
)
from bayescausal.effects.estimands.functionals import Probability, Quantile
from bayescausal.effects.estimands.populations import Superpopulation
from bayescausal.effects.evaluation.question import couplings_of, post_treatment
from bayescausal.effects.evaluation.slopes import refuse_labels
from bayescausal.evaluation.build import recomputed_by
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table
from bayescausal.model.interventions.parse_do import parse_interventions
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, EstimandError, Scale, Set, Shift, closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import networkx as nx

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "check_levels",
    "check_question",
    "labels_of",
    "level_from_text",
    "question_from_text",
    "question_of",
    "questions_known",
    "structure_of",
]

#: What a question may be made of, beside estimands.
PARTS: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(Set, Shift, Scale),
        *(Quantile, Probability, RestrictedMean, Survival, CumulativeIncidence),
        Superpopulation,
    )
}
EXAMPLE = "such as ATE(x, y) or CATE(x, y, treated=high, given={'age': (40, 60)})."


def questions_known() -> dict[str, Any]:
    """Return every estimand by name.

    Examples
    --------
    >>> "ATE" in questions_known(), "Estimand" in questions_known()
    (True, False)
    """
    found = {n: getattr(estimands, n) for n in estimands.__all__ if n != "Estimand"}
    return {n: v for n, v in found.items() if isinstance(v, type)}


def question_from_text(text: str) -> Estimand:
    """Return the estimand that a text stands for.

    `text`: a call of an estimand; ``bc.`` before a name is passed over.
    Raises EstimandError if the text is no such call, or the estimand refuses its arguments.

    Examples
    --------
    >>> question_from_text("ATE(x, y, treated=2, population=model)")
    ATE('x', 'y', population='model', treated=2)
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise EstimandError(
            f"The question {text!r} cannot be read: {error.msg}.", expected=f"a call, {EXAMPLE}"
        ) from error
    if not isinstance(tree, ast.Call):
        raise EstimandError(f"{text!r} is not a question.", expected=f"a call, {EXAMPLE}")
    return _called(tree, questions_known(), "a question")  # type: ignore[no-any-return]


def question_of(
    name: str,
    treatment: str,
    outcome: str,
    said: Mapping[str, str | None],
    labels: Mapping[str, Any],
) -> Estimand:
    """Return a question about a treatment and an outcome from words.

    - `name`: of the estimand.
    - `said`: ``treated``, ``control`` and ``population`` as text; None where nothing was said.
    - `labels`: of the variables that are categories.
    Raises EstimandError if there is no such estimand, or it needs more.

    Examples
    --------
    >>> question_of("ATT", "x", "y", {"treated": "2"}, {})
    ATT('x', 'y', treated=2.0)
    """
    known = questions_known()
    if name not in known:
        raise EstimandError(
            f"{name!r} is not a question.",
            expected=f"one of {', '.join(known)}.",
            names=closest(name, known)[:1],
        )
    accepted = inspect.signature(known[name]).parameters
    options = {key: text for key, text in said.items() if text is not None and key in accepted}
    for role in {"treated", "control"} & options.keys():
        options[role] = level_from_text(options[role], treatment, labels)
    try:
        return known[name](treatment, outcome, **options)  # type: ignore[no-any-return]
    except TypeError as error:
        raise EstimandError(
            f"{name} needs more than a treatment and an outcome: {error}.",
            remedy=f"Write the whole question: {name}(...).",
        ) from error


def level_from_text(text: str, name: str, labels: Mapping[str, Any]) -> Any:
    """Return a level of a variable: one of its labels, or a number.

    Examples
    --------
    >>> level_from_text("late", "shift", {"shift": ("early", "late")})
    'late'
    """
    known = list(labels.get(name, ()))
    if known:
        found = [label for label in known if str(label) == text]
        if found:
            return found[0]
        raise _no_category(text, name, known)
    try:
        return float(text)
    except ValueError as error:
        raise EstimandError(
            f"The level {text!r} of {name!r} is not a valid float, and {name!r} has no categories "
            "with labels.",
            expected="a number.",
        ) from error


def labels_of(structure: Structure, rows: object) -> dict[str, tuple[Any, ...]]:
    """Return the labels of every category among the columns of a table."""
    return dict(conform(as_table(rows, structure), structure).labels)


def check_question(
    structure: Structure, columns: Iterable[Any], question: Estimand, labels: Mapping[str, Any]
) -> None:
    """Refuse, before anything is sampled, a question that names what is not there.

    Raises UnknownVariableError, EstimandError, DataError, CouplingError if a name is not in the
      model, a level cannot be, a treatment or the outcome has no column, or a coupling is missing.
    """
    for name in question.names:
        structure.require(name)
    if question.derivative:
        refuse_labels(structure, question)
    graph = structure.graph_for(question.names)
    check_levels(question, labels, graph)
    worlds = question.worlds(graph)
    for world in worlds.values():
        coded = {n: act for n, act in world.items() if n not in labels}
        parse_interventions(structure, coded)
    names = [str(column) for column in columns]
    for name in dict.fromkeys((*question.treatments, question.outcome_name)):
        seen = name in names or any(column.startswith(f"{name}[") for column in names)
        if name in structure.random and not seen:
            raise DataError(
                f"The data have no column {name!r}.",
                remedy=f"Columns: {', '.join(names)}.",
                names=closest(name, names)[:1],
            )
    _check_coupling(structure, question, worlds)


def check_levels(
    estimand: Estimand, labels: Mapping[str, Any], graph: nx.DiGraph | None = None
) -> None:
    """Refuse a level that is no category of its variable, in worlds and in subgroups.

    - `labels`: of the variables that are categories.
    - `graph`: where the question leaves its mediators to the graph.

    Examples
    --------
    >>> from bayescausal.effects.estimands import ATE
    >>> check_levels(ATE("x", "y", treated="late", control="early"), {"x": ("early", "late")})
    """
    worlds = estimand.worlds(graph).values()
    asked = [(n, a.value) for w in worlds for n, a in w.items() if isinstance(a, Set)]
    groups = [estimand.condition, *getattr(estimand, "arms", {}).values()]
    for name, value in [*asked, *(clause for group in groups for clause in group.clauses)]:
        known = list(labels.get(name, ()))
        for each in value if isinstance(value, list | tuple | set | frozenset) else [value]:
            if isinstance(each, str) and not known:
                raise EstimandError(
                    f"{name!r} has no categories with labels, so {each!r} cannot be one.",
                    expected="a number.",
                )
            if known and isinstance(each, str | int | float) and each not in known:
                raise _no_category(each, name, known)


# --------------------------------------------------------------------------- private


def _check_coupling(structure: Structure, question: Estimand, worlds: Mapping[str, Any]) -> None:
    """Refuse a question that rests on a coupling and names none."""
    arms = question.requested(structure.graph_for(question.names))
    reads = dict.fromkeys([r for arm in arms for r in arm.condition.reads] + [*question.by])
    who = question.population.name
    finite = who == "finite"
    changed = () if finite else post_treatment(structure, tuple(reads), worlds, question)
    reached = recomputed_by(structure, worlds.values())
    joint = finite or bool(changed) or question.joint
    couplings_of(structure, question, reached, joint, who, changed)


def _no_category(found: object, name: str, known: list[Any]) -> EstimandError:
    return EstimandError(
        f"{found!r} is not a category of {name!r}.",
        expected=f"one of {', '.join(map(str, known))}.",
        remedy=""
        if isinstance(found, str)
        else "Name the levels that are compared: treated=, control= (or --treated, --control).",
        names=closest(str(found), map(str, known))[:1],
    )


def _called(node: ast.Call, known: Mapping[str, Any], what: str) -> Any:
    """Return what a call makes."""
    name = _name_of(node.func) or ""
    if name not in known:
        raise EstimandError(
            f"{name or ast.unparse(node.func)!r} is not {what}.",
            expected=f"one of {', '.join(known)}.",
            names=closest(name, known)[:1],
        )
    arguments = [_value(a) for a in node.args]
    options = {}
    for each in node.keywords:
        if each.arg is None:
            raise EstimandError(f"{ast.unparse(node)!r} unpacks a mapping.", expected="names.")
        options[each.arg] = _value(each.value)
    try:
        return known[name](*arguments, **options)
    except TypeError as error:
        said = str(error).replace("__init__()", name).replace(f"{name}.{name}", name)
        raise EstimandError(
            f"{ast.unparse(node)}: {said}.", expected=f"a call, {EXAMPLE}"
        ) from error


def _name_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id in ("bc", "bayescausal") else None
    return node.id if isinstance(node, ast.Name) else None


def _value(node: ast.expr) -> Any:
    """Return a plain value; a bare word is text."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Call():
            return _called(node, PARTS, "a part of a question")
        case ast.List(elts=each):
            return [_value(v) for v in each]
        case ast.Tuple(elts=each):
            return tuple(_value(v) for v in each)
        case ast.Set(elts=each):
            return [_value(v) for v in each]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return {_value(k): _value(v) for k, v in pairs}  # type: ignore[arg-type]
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise EstimandError(
            f"{ast.unparse(node)!r} is not a plain value.",
            expected="numbers, words, lists, mappings, and Set, Shift, Scale of them.",
        ) from error
