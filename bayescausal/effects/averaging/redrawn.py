"""Variables that are drawn from their laws although no intervention reaches them.

What an association compares is the law of the outcome given its parents; a probability that one
time comes before others is about the laws of all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = ["compared", "seen_anew"]


def seen_anew(structure: Structure, estimand: Estimand, population: str) -> frozenset[str]:
    """Return the outcome of an association, drawn given its observed parents.

    Raises EstimandError where x comes after y.
    """
    x, y = estimand.grouped_by, estimand.outcome_name
    if population != "model" and x in structure.descendants([y]):
        raise EstimandError(
            f"{y!r} comes before {x!r} in the model, so its expectation given "
            f"{x!r} is not an average over the units at hand.",
            remedy='Ask population="model".',
        )
    return _drawn(structure, y)


def compared(
    structure: Structure,
    estimand: Estimand,
    worlds: Mapping[str, Mapping[str, Intervention]],
    reads: tuple[str, ...],
) -> frozenset[str]:
    """Return times that are drawn from their laws, although no intervention reaches them.

    A probability that one time comes before others is about the law of all of them. One that
    another of them follows from, or that forms the subgroup, is kept as it is.
    """
    several = (estimand.outcome_name, *estimand.functional.others)
    if len(several) == 1 or not (any(worlds.values()) or estimand.grouped_by):
        return frozenset()
    last = [n for n in several if n not in reads and not structure.descendants([n]) & {*several}]
    return frozenset().union(*(_drawn(structure, n) for n in last))


def _drawn(structure: Structure, name: str) -> frozenset[str]:
    """Return the random variables whose equation makes a variable: it, or PyMC's parts of it."""
    parts = structure.imputed.get(name, ())
    return frozenset(parts or ([name] if name in structure.random else []))
