"""Over whom: from the population that a question names to units, and what is known of them.

Units at hand, fresh units of the model, the units of another table, and each unit for itself.
Whatever a population lacks for the question asked is refused with the remedy; nothing is made up,
but what is latent is drawn given what is known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from bayescausal.counterfactuals.evidence import evidence_units
from bayescausal.effects.estimands.populations import Superpopulation, Target
from bayescausal.evaluation.evaluate import Units, fresh_units, units_of
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table
from bayescausal.model.axes.tags import LOOKUP
from bayescausal.model.labels import in_order
from bayescausal.model.names import owner_of
from bayescausal.model.structure.nested import group_index, weighted_dim
from bayescausal.types import DataError, EstimandError, MixingError, Set, UnknownVariableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.annotations import Array
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.estimands.populations import Population
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "called",
    "clusters_of",
    "complete_table",
    "is_binary",
    "plural",
    "population_of",
    "refuse_functional",
    "units_noun",
]

#: Fresh units per inner replicate, for ``population="model"``.
FRESH = 1024


#: Names of a unit dim that say nothing about what a unit is.
PLAIN_DIMS = re.compile(r"units?|obs|obs_?ids?|observations?|rows?|index|idx|ids?|cases?|samples?")
IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women"}


def units_noun(structure: Structure) -> str:
    """Return what the model calls its units, several of them: its unit dim.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> [units_noun(SimpleNamespace(unit_dims=d)) for d in (["patient"], ["obs_id"], ["a", "b"])]
    ['patients', 'units', 'units']
    """
    if len(structure.unit_dims) != 1:
        return "units"
    word = str(structure.unit_dims[0]).replace("_", " ")
    letters = word.replace(" ", "")
    if not letters.isalpha() or len(letters) < 3 or PLAIN_DIMS.fullmatch(letters.lower()):
        return "units"
    return plural(word)


def plural(word: str) -> str:
    """Return the plural of the name of a unit dim.

    Examples
    --------
    >>> [plural(word) for word in ("school", "country", "class", "person", "parts")]
    ['schools', 'countries', 'classes', 'people', 'parts']
    """
    if word in IRREGULAR or (word.endswith("s") and not word.endswith("ss")):
        return IRREGULAR.get(word, word)
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("x", "ch", "sh", "ss")) else f"{word}s"


def is_binary(fit: Fit, name: str) -> bool:
    """Return whether a variable is 0 or 1 by its distribution, or true or false by its type."""
    structure = fit.structure
    rv = structure.model.named_vars.get(name)
    if name not in structure.random:
        return getattr(getattr(rv, "type", None), "dtype", None) == "bool"
    owner = getattr(rv, "owner", None)
    return getattr(getattr(owner, "op", None), "name", None) == "bernoulli"


def population_of(
    fit: Fit, estimand: Estimand, seed: int
) -> tuple[Units, str, str, tuple[str, ...]]:
    """Return the units, the population's name, its words, and notes."""
    units, name, words, notes = _population(fit, estimand, seed)
    return units, name, called(words, fit.structure), (*notes, *_pooled(fit, estimand))


def called(words: str, structure: Structure) -> str:
    """Return words about units with what the model calls them."""
    return re.sub(r"\bunits\b", units_noun(structure), words)


def _pooled(fit: Fit, estimand: Estimand) -> list[str]:
    """Say which entries of the outcome count as units although nothing else is measured of them.

    They may be different outcomes: of two items with effects of 1 and 3 the average is 2.
    """
    structure, outcome = fit.structure, estimand.outcome_name
    own = [d for d in structure.dims[outcome] if d in structure.unit_dims]
    held = [n for n in structure.nodes if n in fit.columns or n in structure.data]
    seen = {d for n in held if n != outcome for d in structure.dims[n]}
    rest = tuple(d for d in own if d in seen)
    if len(own) < 2 or not rest or len(rest) == len(own):
        return []
    named = " and ".join(repr(d) for d in own if d not in seen)
    kept = repr(rest[0]) if len(rest) == 1 else repr(rest)
    return [
        f"Every entry along {named} counts as a unit, and nothing but {outcome} is measured along "
        f"it: if they are different outcomes, unit_dims={kept} gives an effect for each."
    ]


def _population(fit: Fit, estimand: Estimand, seed: int) -> tuple[Units, str, str, tuple[str, ...]]:
    asked = estimand.population
    name = asked.name
    units = units_of(fit)
    if estimand.strategy == "each unit":
        return _people(fit, asked, units, seed)
    if name != "model" and units is None and name != "target":
        if name != "sample":
            raise DataError(
                f"population={name!r} needs units, and the {fit.kind} was made without data.",
                remedy='Pass data to prior or truth, or ask population="model".',
            )
        name = "model"
        note = f"The {fit.kind} has no data: the answer is for fresh units from the model."
        units, words = _fresh(fit), "fresh units from the model"
        return units, name, words, (note,)
    if name == "model":
        return _fresh(fit), name, asked.words, ()
    if name == "target":
        return _target(fit, asked), name, asked.words, ()
    assert units is not None
    count = " x ".join(f"{units.sizes[d]:,}" for d in fit.structure.unit_dims)
    words = f"the {count} units at hand" if name == "sample" else asked.words
    if name == "superpopulation":
        _refuse_touching(fit, estimand, asked)
        words = f"{asked.words}, {count} seen"
    return units, name, words, ()


def _refuse_touching(fit: Fit, estimand: Estimand, population: Population) -> None:
    """Refuse a bootstrap of dependent units; units that share a group are drawn by group."""
    structure = fit.structure
    mixed = structure.mixes()
    frame = structure.dims[estimand.outcome_name]
    named = getattr(population, "clusters", None)
    lookups = [d for d, why in mixed.items() if d not in frame and why.endswith(LOOKUP)]
    left = [d for d in mixed if d not in lookups or named is None]
    if left:
        whole = f"Draw whole groups: population=bayescausal.Superpopulation(clusters={left[0]!r})."
        raise MixingError(
            f"A bootstrap over units is not possible: {mixed[left[0]]}.",
            remedy=whole if left == lookups else 'Ask population="sample".',
        )


def _people(
    fit: Fit, population: Population, units: Units | None, seed: int
) -> tuple[Units, str, str, tuple[str, ...]]:
    """Return the units that are asked about one by one."""
    if isinstance(population, Target):
        found, notes = evidence_units(fit, population.data, seed)
        return found, "finite", population.words, tuple(notes)
    if population.name not in ("sample", "finite"):
        raise EstimandError(
            f"ITE asks about each unit, and population={population.name!r} has no units.",
            expected='population="sample", or a table of units.',
        )
    if units is None:
        raise DataError(
            f"ITE needs units, and the {fit.kind} was made without data.",
            remedy="Pass data to prior or truth, or a table as population=.",
        )
    count = " x ".join(f"{units.sizes[d]:,}" for d in fit.structure.unit_dims)
    return units, "finite", f"each of the {count} units at hand, its own noise kept", ()


def _fresh(fit: Fit) -> Units:
    structure = fit.structure
    if structure.data:
        raise DataError(
            f"population='model' needs fresh values of {', '.join(map(repr, structure.data))}, "
            "and the model has no distribution for pm.Data.",
            remedy="Ask about the units at hand, pass a table of units, or give it a distribution.",
        )
    if structure.imputed:
        raise DataError(
            "population='model' is not possible: PyMC split "
            f"{', '.join(map(repr, structure.imputed))} into observed and missing cells.",
            remedy="Fit the generative model with bayescausal.fit(model, data).",
        )
    return fresh_units(fit, FRESH)


def _target(fit: Fit, population: Target) -> Units:
    """Return the units of a table."""
    structure = fit.structure
    if structure.fixed:
        raise DataError(
            "The model carries arrays of its own length, so it cannot take other units.",
            remedy="Put the array in pm.Data with the unit dim.",
        )
    known = set(structure.nodes)
    data = population.data
    columns = [c for c in data.columns if owner_of(str(c), known)]
    if not columns:
        raise DataError(
            "The target population's table has no column of the model.",
            expected=f"among {', '.join(structure.nodes)}.",
        )
    table = as_table(data[columns], structure)
    conformed = conform(table, structure, fit.labels, whole=False)  # complete_table: what is needed
    if conformed.missing:
        raise DataError(
            f"The target population has empty cells in {', '.join(map(repr, conformed.missing))}.",
            expected="complete pre-treatment columns.",
        )
    sizes = {d: int(conformed.sizes[d]) for d in structure.unit_dims}
    return Units(structure, sizes, conformed.coords, fit, columns=conformed.columns)


def complete_table(
    structure: Structure,
    units: Units,
    estimand: Estimand,
    recomputed: frozenset[str],
    worlds: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> tuple[Units, tuple[str, ...]]:
    """Return the units of a table with all that the answer needs, or refuse.

    What is latent in the fit cannot be in a table: it is drawn given the pre-treatment columns.

    Raises DataError if a column is missing that the fit has.
    """
    set_everywhere = {
        n for n in estimand.treatments if all(isinstance(do.get(n), Set) for do in worlds.values())
    }
    asked = {estimand.outcome_name, *estimand.condition.reads, *estimand.by}
    asked |= {*estimand.functional.others, *filter(None, [estimand.grouped_by])}
    asked |= {n for do in worlds.values() for act in do.values() for n in getattr(act, "reads", ())}
    set_everywhere -= (
        asked  # what a unit's own value is asked of is needed beside what it is set to
    )
    cut: nx.DiGraph = nx.DiGraph(structure.full)
    for name in set_everywhere | (asked & set(units.columns)):
        cut.remove_edges_from(list(cut.in_edges(name)))
    if estimand.weighting is not None:
        asked |= {*structure.full.predecessors(estimand.weighting.variable)}
    needed = set(asked).union(*(nx.ancestors(cut, n) for n in asked))
    lacking = [
        n
        for n in structure.nodes
        if n in needed
        and n not in recomputed
        and n not in units.columns
        and n not in set_everywhere
    ]
    seen = () if units.fit.kind == "truth" else units.fit.columns  # of a truth every law is known
    known = [n for n in lacking if n in seen or n in structure.data]
    if known:
        raise DataError(
            f"The target population's table lacks {', '.join(map(repr, known))}, "
            f"on which the effect on {estimand.outcome_name!r} depends.",
            remedy="Add the columns, or ask about the units at hand.",
        )
    if not lacking:
        return units, ()
    first = structure.unit_dims[0]
    before = {n: v for n, v in units.columns.items() if n not in recomputed}
    frame = pd.DataFrame(
        {n: v for n, v in before.items() if v.ndim == 1}, index=np.asarray(units.coords[first])
    )
    found, _ = evidence_units(units.fit, frame, seed)
    note = f"Drawn given the table's columns, in each draw: {', '.join(lacking)}."
    return found, (note,)


def clusters_of(fit: Fit, estimand: Estimand, units: Units) -> Array | None:
    """Return the cluster of each unit along the first unit dim, if clusters were named."""
    asked = estimand.population
    if not isinstance(asked, Superpopulation) or asked.clusters is None:
        return None
    labels = asked.clusters
    along = weighted_dim(fit.structure, estimand.outcome_name)
    length = units.sizes[along]
    if isinstance(labels, str):
        name = labels
        index = group_index(fit.structure, name, estimand.outcome_name)
        if index is not None and index in fit.columns:
            labels = fit.columns[index]
        elif name == along:
            labels = np.arange(length)
        elif name in fit.columns:
            labels = fit.columns[name]
        elif fit.data is not None and name in fit.data.columns:
            labels = np.concatenate([np.asarray(c[name]) for c in fit.data.chunks()])
        else:
            known = list(fit.data.columns) if fit.data is not None else []
            raise UnknownVariableError(
                f"clusters={name!r} is not a column of the data.",
                remedy=f"Columns kept with the fit: {', '.join(map(str, known))}. For another "
                "one pass its labels: Superpopulation(clusters=data['school']).",
            )
    return cluster_labels(labels, along, units.coords.get(along), length)


def cluster_labels(labels: Any, dim: str, units: Any, length: int) -> Array:
    """Return the cluster of each unit, in the order of the labels of the units.

    Raises DataError if there is not one for each unit, or some are empty.
    """
    found = np.asarray(in_order(labels, (dim,), {dim: units}, "clusters="))
    if found.shape != (length,):
        raise DataError(
            f"The cluster labels have shape {found.shape}.", expected=f"{length} labels."
        )
    empty = int(pd.isna(found).sum())
    if empty:
        raise DataError(
            f"clusters= is empty for {empty:,} of {length:,} units.",
            expected="the cluster of each unit.",
            remedy="Give units that stand alone a label each, or leave them out.",
        )
    return found


# ------------------------------------------------- functionals that need units of a kind


#: Populations whose units are counted.
COUNTED = ("sample", "finite", "target")


def refuse_functional(structure: Structure, estimand: Estimand, population: str) -> None:
    """Refuse a functional that has no meaning for a question.

    Raises EstimandError if a total is asked of units that are not counted, a curve along a dim that
      the units have, or either of units one by one.
    """
    functional = estimand.functional
    if estimand.strategy == "each unit" and functional.linear and not hasattr(functional, "event"):
        if repr(functional) == "'mean'":
            return
        raise EstimandError(
            f"{estimand.label()} is about the effect of each unit, and {functional!r} is taken of "
            "the outcome.",
            expected="functional= 'mean', Quantile(q) or Probability(...) of the units' effects.",
            remedy=f"Ask ATE(..., functional={functional!r}) for the effect on it.",
        )
    if functional.summed:
        _refuse_total(estimand, population)
    if functional.axis is not None:
        name = functional.axis[0]
        if name in structure.unit_dims or name in estimand.by:
            raise EstimandError(
                f"The answer to {estimand.label()} has a dim {name!r} of its own, and "
                f"{'the units' if name in structure.unit_dims else 'by='} has {name!r} too.",
                remedy="Ask for one time: functional=Probability(above=...).",
            )


def _refuse_total(estimand: Estimand, population: str) -> None:
    if population not in COUNTED:
        raise EstimandError(
            f"A total over population={population!r}: its units are not counted.",
            expected=f"population= one of {', '.join(map(repr, COUNTED))}, or a table.",
            remedy="Ask the mean, and multiply it by the number of units that is meant.",
        )
    if estimand.grouped_by is not None:
        raise EstimandError(
            "The totals of two groups differ by their sizes already.",
            remedy="Ask the mean of each: functional='mean'.",
        )
