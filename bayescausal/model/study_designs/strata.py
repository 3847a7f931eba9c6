r"""Principal strata: what identifies the effect on those whom an encouragement moves.

A latent kind of each unit, :math:`S`, and an encouragement :math:`Z` decide the treatment,
:math:`D = d(S, Z)`; the outcome reads :math:`S` and :math:`D`, and :math:`Z` through :math:`D`
alone (*exclusion*); :math:`Z` has no cause in common with :math:`S` or the outcome
(*randomisation*); and no kind does the opposite of what another is moved to (*monotonicity*). The
first two say that :math:`Z` is separated from :math:`S` and the outcome but for its arrow to
:math:`D`, maybe given what is measured and :math:`D` does not change. Then the effect of the
treatment on the kind that :math:`Z` moves, the compliers, is the effect of :math:`Z` on the outcome
divided by that on the treatment [1]_. That on the other kinds is not identified: their treatment
never varies.

References
----------
.. [1] J. D. Angrist, G. W. Imbens and D. B. Rubin, "Identification of causal effects using
   instrumental variables", Journal of the American Statistical Association 91, 1996.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from pytensor.graph.traversal import ancestors

from bayescausal.graph.structure.independences import separated
from bayescausal.graph.text.parse import as_graph
from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.structure import family_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["STRATA", "on_compliers"]

#: The method of the verdict.
STRATA = "principal strata"
#: Values of an encouragement that are looked at.
MOST = 50


def on_compliers(
    found: Identification,
    structure: Structure,
    stratum: str,
    level: float,
    measured: Collection[str],
    columns: Mapping[str, Any] | None = None,
) -> Identification:
    """Return the verdict on an effect within one value of a latent kind of the units.

    - `found`: from the arrows: not identified, since the kind is not measured.
    - `stratum`: the latent variable that is conditioned on.
    - `level`: the value.
    - `columns`: of the data, which say what values an encouragement has.
    - `measured`: names of what is measured.
    """
    question = found.question
    if len(question.treatment) != 1 or len(question.outcome) != 1:
        return found
    [x], [y] = question.treatment, question.outcome
    graph = structure.graph
    if not {x, y, stratum} <= set(structure.random) or not {x, y} <= set(measured):
        return found
    causes = [n for n in graph.predecessors(x) if n != stratum]
    if len(causes) != 1 or stratum not in graph.predecessors(x) or causes[0] not in measured:
        return found
    [z] = causes
    if not {x, stratum} <= set(graph.predecessors(y)):
        return found
    held = _randomised(as_graph(graph), z, x, (stratum, y), measured)
    if held is None:
        return found
    values = _values(structure, z, columns)
    takes = None if values is None else _table(structure, x, stratum, z, values)
    if values is None or takes is None or not 0 <= level < len(takes) or level != int(level):
        return found
    own = takes[int(level)]
    if np.all(own == own[0]):
        reason = f"{stratum} = {level:g} has one value of {x} whatever {z} is"
        return replace(found, reason=reason)
    alone = [  # kinds that are moved alike are not told apart
        (a, b)
        for a, b in combinations(range(len(values)), 2)
        if np.flatnonzero(takes[:, b] != takes[:, a]).tolist() == [int(level)]
    ]
    if not alone:
        return found
    a, b = alone[0]
    against = "less" if own[b] > own[a] else "more"
    between = "" if len(values) == 2 else f" between {z} = {values[a]} and {z} = {values[b]}"
    given, other = (f" given {', '.join(held)}", "other ") if held else ("", "")
    return replace(
        found,
        status="under assumption",
        method=STRATA,
        hedge=None,
        reason="",
        assumptions=(
            f"{z} is as good as randomised{given}: it has no {other}cause in common with {stratum} "
            f"or {y}",
            f"exclusion: {z} has no effect on {y} but through {x}{given}",
            f"monotonicity: {z} makes nobody take {against} of {x}{between}; the compliers, whose "
            f"{x} changes with {z}, are {stratum} = {level:g}",
        ),
        compliers=f"the compliers (whose {x} changes with {z}{between})",
    )


def _randomised(
    graph: nx.DiGraph, z: str, x: str, others: tuple[str, str], measured: Collection[str]
) -> list[str] | None:
    """Return what is held where an encouragement bears on the others through the treatment alone.

    Returns: names of what is measured and not changed by the treatment, few; None if it does not.
    """
    cut: nx.DiGraph = nx.DiGraph(graph)
    cut.remove_edge(z, x)
    causes = set().union(*(nx.ancestors(graph, n) for n in (z, *others)))
    held = sorted((causes & {*measured}) - nx.descendants(graph, x) - {z, x, *others})
    if not separated(cut, z, others, held):
        return None if not separated(cut, z, others) else []
    for name in tuple(held):
        less = [n for n in held if n != name]
        held = less if separated(cut, z, others, less) else held
    return held


def _values(structure: Structure, z: str, columns: Mapping[str, Any] | None) -> list[int] | None:
    """Return the values that an encouragement takes: all of its law, or those of its column."""
    rv = structure.model.named_vars[z]
    match family_name(rv):
        case "Bernoulli":
            return [0, 1]
        case "Categorical":
            return list(range(int(evaluate([params_of(rv)[0].shape[-1]])[0])))
    column = None if columns is None else columns.get(z)
    seen = np.array([0, 1]) if column is None else np.unique(np.asarray(column))
    whole = seen.dtype.kind in "biuf" and np.all(seen == np.round(seen)) and len(seen) <= MOST
    return [int(v) for v in seen] if whole else None


def _table(
    structure: Structure, x: str, stratum: str, z: str, values: list[int]
) -> np.ndarray | None:
    """Return the treatment of each kind at the values of an encouragement, (kind, value).

    None where it is not decided by the two, or is not 0 or 1.
    """
    named = structure.model.named_vars
    own, kind, cause = named[x], named[stratum], named[z]
    if family_name(own) != "Bernoulli" or family_name(kind) != "Categorical":
        return None
    [chance] = params_of(own)[:1]
    others = {v for n, v in named.items() if n not in (stratum, z)}
    if others & set(ancestors([chance], blockers=[kind, cause])):
        return None
    count = int(evaluate([params_of(kind)[0].shape[-1]])[0])
    pairs = np.array(list(product(range(count), values)))
    try:
        [found] = evaluate([chance], {kind: pairs[:, 0], cause: pairs[:, 1]})
    except (ValueError, IndexError, TypeError):
        return None
    table = np.broadcast_to(found, (len(pairs),)).reshape(count, len(values))
    return table if np.all((table == 0) | (table == 1)) else None
