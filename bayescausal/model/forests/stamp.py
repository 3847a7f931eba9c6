r"""Which forest belongs to which draw: a stamp on each forest, of what was drawn beside it.

The forest, the noise scale and the coefficients of one equation are one draw from their joint
posterior. Pairing the forests of one draw with the scale of another leaves every marginal right
and every answer that needs both wrong, so nothing would show it. So each packed forest carries a
checksum of what its equations read in the same draw: scales, coefficients, other forests. It is
compared whenever a forest is read.

Forests that were not drawn from a posterior (of the prior, of known parameters) have no stamp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from bayescausal.model.forests.packed import HEAD
from bayescausal.model.forests.prior import is_forest
from bayescausal.types import FitMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bayescausal.annotations import Array
    from bayescausal.model.structure.structure import Structure

__all__ = ["beside", "check_drawn", "check_stamps", "forests_in", "stamped"]


def forests_in(structure: Structure) -> tuple[str, ...]:
    """Return the names of the forests of a model."""
    return tuple(n for n in structure.parameters if is_forest(structure.variable(n)))


def beside(structure: Structure, forest: str) -> tuple[str, ...]:
    """Return the other parameters that the equations with a forest read.

    Equations are followed through Deterministics, down to the outcomes and back up.
    """
    full, random = structure.full, {*structure.random, *structure.parameters}
    parts = {p for pair in structure.imputed.values() for p in pair}

    def reached(start: str, step: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for name in getattr(full, step)(waiting.pop()):
                if name not in found:
                    found.add(name)
                    if name not in random | parts:
                        waiting.append(name)
        return found

    outcomes = reached(forest, "successors") & (random | parts)
    near = {n for y in outcomes for n in reached(y, "predecessors")}
    return tuple(n for n in structure.parameters if n in near and n != forest)


def stamped(structure: Structure, draws: Mapping[str, Array]) -> dict[str, Array]:
    """Return the forests among some draws, each with the stamp of its draw.

    `draws` (chain, draw, ...): of forests, and of what was drawn beside them.
    """
    found = {}
    for name in forests_in(structure):
        if name in draws:
            forest = draws[name].copy()
            others = _others(structure, name, draws)
            if others:
                flat = {n: o.reshape(-1, *o.shape[2:]) for n, o in others.items()}
                forest[..., 0] = _stamps(structure, flat).reshape(forest.shape[:2])
            found[name] = forest
    return found


def check_stamps(structure: Structure, name: str, draws: Mapping[str, Array]) -> None:
    """Refuse forests that stand beside the scales or coefficients of another draw.

    - `name`: of the forest.
    - `draws` (draw, ...): of the forest, and of what was drawn beside it.
    """
    stamps = draws[name][:, 0]
    others = _others(structure, name, draws) if stamps.any() else {}
    if not others:
        return
    wrong = (stamps != 0) & (stamps != _stamps(structure, others))
    if wrong.any():
        names = ", ".join(map(repr, others))
        raise FitMismatchError(
            f"{int(wrong.sum())} of {len(wrong)} forests of {name!r} stand beside {names} of "
            "another draw.",
            expected="the forest of each draw with what was drawn beside it.",
            remedy="Take, thin, join and reorder whole draws, all variables of fit.posterior "
            "alike, in double precision.",
        )


def check_drawn(
    structure: Structure,
    name: str,
    drawn: Callable[[str], Array | None],
    chain_draw: slice = slice(None),
) -> None:
    """Refuse forests of a fit that stand beside the scales or coefficients of another draw.

    - `drawn`: from the name of a variable to its draws, (chain, draw, ...), or None.
    - `chain_draw`: of the draws in a row, chain after chain.
    """
    held = {n: drawn(n) for n in (name, *beside(structure, name))}
    flat = {n: v.reshape(-1, *v.shape[2:])[chain_draw] for n, v in held.items() if v is not None}
    if name in flat:
        check_stamps(structure, name, flat)


def _others(structure: Structure, name: str, draws: Mapping[str, Array]) -> dict[str, Array]:
    return {n: draws[n] for n in beside(structure, name) if n in draws}


def _stamps(structure: Structure, others: Mapping[str, Array]) -> Array:
    """Return a checksum for each draw, never 0.

    Of another forest the trees count: not its own stamp, nor the zeros that fill its row.
    """
    forests = set(forests_in(structure))
    found = np.empty(len(next(iter(others.values()))))
    for i in range(len(found)):
        code = 0
        for name, array in others.items():
            row = np.ascontiguousarray(array[i], dtype=np.float64)
            if name in forests:
                row = row[1 : HEAD + int(row[1]) + 2 * int(row[3])]
            code = crc32(row.tobytes(), code)
        found[i] = code or 1
    return found
