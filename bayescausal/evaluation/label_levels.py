"""Does a label have the level that a world gives it?

An equation that compares a label with 2 and with 3 has three levels: these, and whatever else the
units have. At a level that nobody has every comparison is false: nothing fails, and the answer is
that of the reference level. A label that points into a table has no levels between the entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.evaluation.build import build_program
from bayescausal.evaluation.evaluate import Units, evaluate
from bayescausal.evaluation.program import Request
from bayescausal.model.structure.integer_roles import compared_with, role_of
from bayescausal.types import FromWorld, InterventionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.evaluation.evaluate import NoiseSource
    from bayescausal.types import Intervention

__all__ = ["refuse_strangers"]

#: Posterior draws that are tried.
DRAWS = 8


def refuse_strangers(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    source: NoiseSource,
) -> None:
    """Refuse levels that a label does not have.

    Raises
    ------
    InterventionError
        Naming the equation, the variable and the level.
    """
    structure = units.structure
    labels = {
        name: levels
        for name in dict.fromkeys(n for do in worlds.values() for n in do)
        if name in structure.data and (levels := _levels_of(units, name)) is not None
    }
    asked = [
        (world, name, act)
        for world, do in worlds.items()
        for name, act in do.items()
        if name in labels and not isinstance(act, FromWorld)
    ]
    if not asked:
        return
    requests = [Request(world, name, "draw") for world, name, _ in asked]
    program = build_program(
        structure, worlds, requests, recomputed=recomputed, varying=units.varies
    )
    step = max(units.fit.n_draws // DRAWS, 1)
    draws = slice(0, units.fit.n_draws, step)
    for block in evaluate(program, units, draws, source, replicates=1):
        for value, (_, name, act) in zip(block.values, asked, strict=True):
            known = labels[name]
            array = np.asarray(value)
            inside = np.isin(array, known) if len(known) else array == np.round(array)
            if np.all(inside):
                continue
            bad = array[~inside].flat[0]
            equations = ", ".join(repr(n) for n in structure.full.successors(name))
            if not len(known):
                raise InterventionError(
                    f"do({act.describe(name)}) is impossible: {name}={bad:g} lies between the "
                    f"entries of a table that the equation of {equations} reads.",
                    expected=f"whole numbers: {name!r} is a label, not a number.",
                )
            shown = ", ".join(f"{v:g}" for v in known[:12])
            raise InterventionError(
                f"do({act.describe(name)}) is impossible: no unit has {name}={bad:g}, and the "
                f"equation of {equations} does not name it.",
                expected=f"levels among {shown}{', ...' if len(known) > 12 else '.'}",
                remedy="Choose a level that is known. Where all others are one level, the "
                "equation can say so: a threshold, such as pt.ge, in place of an equality.",
            )


def _levels_of(units: Units, name: str) -> np.ndarray | None:
    """Return the levels of data that equations compare with several numbers; or point with: empty.

    Of data that are compared with one number there are two: it, and whatever else.
    """
    held = units.columns.get(name, units.fit.columns.get(name))
    if held is None or role_of(units.structure, name) != "label":
        return None
    keys = compared_with(units.structure, name)
    if not keys and np.asarray(held).dtype.kind == "f":
        return np.zeros(0) if np.all(held == np.round(held)) else None
    return np.union1d(np.asarray(held), sorted(keys)) if len(keys) > 1 else None
