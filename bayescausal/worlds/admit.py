"""Do modified treatments stay where the variable can be?

A value that is set is checked at the door. What a shift, a scale, a policy or a new distribution
gives depends on the units: it is tried on a few posterior draws, and refused where it leaves the
support (a negative count, a third value of a binary variable).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.model.support import support_of
from bayescausal.types import FromWorld, InterventionError, Set
from bayescausal.worlds.evaluate import Units, evaluate
from bayescausal.worlds.noise import FreshNoise
from bayescausal.worlds.program import Request, build_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.types import Intervention

__all__ = ["refuse_outside"]

#: Posterior draws that are tried.
DRAWS = 8


def refuse_outside(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    *,
    seed: int = 0,
) -> None:
    """Refuse worlds in which a modified treatment leaves its support.

    Parameters
    ----------
    units : Units
    worlds : mapping
        Parsed.
    recomputed : frozenset of str
        What the interventions reach.
    seed : int
        Of the noise.

    Raises
    ------
    InterventionError
        Naming the variable, a value and the support.
    """
    structure = units.structure
    asked = []
    for world, do in worlds.items():
        for name, act in do.items():
            if isinstance(act, Set | FromWorld) or name not in structure.random:
                continue
            if name in structure.imputed:
                continue
            support = support_of(structure.variable(name))
            free = np.all(np.isneginf(support.lower)) and np.all(np.isposinf(support.upper))
            if support.integer or not free:
                asked.append((world, name, support, act))
    if not asked:
        return
    program = build_program(
        structure,
        worlds,
        [Request(world, name, "draw") for world, name, _, _ in asked],
        recomputed=recomputed,
        varying=units.varies,
    )
    step = max(units.fit.n_draws // DRAWS, 1)
    for block in evaluate(
        program, units, slice(0, units.fit.n_draws, step), FreshNoise(seed), replicates=1
    ):
        for value, (_, name, support, act) in zip(block.values, asked, strict=True):
            if np.ndim(support.lower) or np.ndim(support.upper):
                continue
            inside = support.contains(value)
            if not np.all(inside):
                bad = np.asarray(value)[~np.asarray(inside)].flat[0]
                raise InterventionError(
                    f"{act.describe(name)} gives {float(bad):g}, outside the support of the "
                    f"{support.family} variable {name!r}.",
                    expected=f"values that stay {support.describe()}.",
                    remedy="Use a Policy that stays inside, such as np.clip.",
                )
