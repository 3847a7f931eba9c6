"""From worlds and what is requested of them to a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.evaluation.builder import Builder
from bayescausal.evaluation.program_cache import event_key, remember, signature
from bayescausal.evaluation.variable_elimination import average

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bayescausal.evaluation.program import Program, Request
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = ["build_program", "kept_builder", "recomputed_by"]


def recomputed_by(
    structure: Structure, worlds: Iterable[Mapping[str, Intervention]]
) -> frozenset[str]:
    """Return R: the random variables that some world's interventions reach.

    Returns: names of random variables, parameters and PyMC's imputed parts included.
    """
    below: set[str] = set()
    for world in worlds:
        below |= structure.descendants(world)
    random = {v.name for v in structure.model.basic_RVs}
    return frozenset(below & random)


def build_program(
    structure: Structure,
    worlds: Mapping[str, Mapping[str, Intervention]],
    requests: Sequence[Request],
    *,
    recomputed: frozenset[str],
    varying: Callable[[str], bool],
    coupling: Mapping[str, str] | None = None,
    conditions: Iterable[str] = (),
    own_noise: bool = False,
    consistent: bool = False,
) -> Program:
    """Build and compile the evaluation of `requests`.

    - `structure`: of the generative (or conditioned) model.
    - `worlds`: ``{world: {variable: intervention}}``, parsed and checked.
    - `requests`: what to return.
    - `recomputed`: random variables that take their value from their equation.
    - `varying`: whether a kept variable differs between posterior draws.
    - `coupling`: noise form by variable, where it is not the monotone one.
    - `conditions`: variables that decide who belongs to a subgroup: neither they nor their causes
      are summed out of an average.
    - `own_noise`: whether the noise is each unit's own, so that what no intervention reaches is
      what was observed, to the last digit.
    - `consistent`: then also whatever has the parameters that it had, and not only where an
      equation that jumps reads it.
    """
    coupling, conditions = dict(coupling or {}), tuple(conditions)

    def build() -> Program:
        builder = Builder(structure, worlds, recomputed, varying, dict(coupling), own_noise)
        if own_noise and consistent:
            builder.exact = frozenset(structure.random)
        builder.held = frozenset(conditions) | structure.ancestors(conditions)
        outputs = [average(builder, r) for r in requests]
        return builder.compile(tuple(requests), outputs)

    acts, events = signature(worlds), event_key(tuple(r.event for r in requests))
    if acts is None or events is None:
        return build()
    names = sorted(structure.model.named_vars)
    moving = tuple(n for n in names if varying(n))
    asked = tuple((r.world, r.variable, r.kind, r.other) for r in requests)
    forms = (tuple(sorted(coupling.items())), own_noise, consistent)
    key = (acts, asked, events, recomputed, moving, forms, conditions)
    return remember(structure, key, build)


def kept_builder(
    structure: Structure, varying: Callable[[str], bool], coupling: Mapping[str, str]
) -> Builder:
    """Return a builder of one world, ``builder.only``, in which every variable is kept."""
    return Builder(structure, {"kept": {}}, frozenset(), varying, dict(coupling))
