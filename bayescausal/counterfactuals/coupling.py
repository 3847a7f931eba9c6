"""Which joint across worlds: the coupling of discrete variables.

The model fixes the distribution of a variable in each world. How the worlds go together for one
unit is not in it, and no data of this kind can tell [1]_. The noise form chooses:

* continuous variables keep their *rank* among units with the same parents (stated, not asked);
* discrete ones must be given a coupling: ``"monotone"``, a common quantile, which reads the
  categories in their order (it does not assume that treatment never harms); ``"gumbel"``, one
  Gumbel noise per category, for nominal ones; or a mapping by variable.

An average over the units of one world, or over units like those at hand, does not depend on it.
That of the very units at hand (``population="finite"``) does, for each is taken with its own noise;
so does one over a subgroup that is formed by what the treatment changes.

References
----------
.. [1] M. Oberst and D. Sontag, "Counterfactual off-policy evaluation with Gumbel-max structural
   causal models", ICML 2019, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.noise import COUPLINGS, noise_rule
from bayescausal.types import CouplingError, FromWorld, closest, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = ["depends_on_coupling", "resolve_coupling", "taken_couplings"]


def depends_on_coupling(
    structure: Structure, recomputed: Iterable[str], variables: Iterable[str]
) -> tuple[str, ...]:
    """Return the discrete variables whose joint across worlds the values of `variables` need."""
    asked = set(variables)
    above = asked | structure.ancestors(asked)
    found = []
    for name in structure.full:
        if name not in recomputed or name not in above:
            continue
        variable = structure.variable(name)
        if str(variable.type.dtype).startswith(("int", "uint", "bool")):
            found.append(name)
    return tuple(found)


def resolve_coupling(
    structure: Structure,
    coupling: object,
    needed: tuple[str, ...],
    *,
    what: str,
    why: str = "",
    remedy: str = "Averages such as ATE do not depend on it.",
) -> dict[str, str]:
    """Return the coupling of each discrete variable, or refuse to guess it.

    - `coupling` (str, mapping or None): as given by the user.
    - `needed`: the discrete variables on which the answer depends.
    - `what`: the question, for the message.
    - `why`, `remedy`: why it depends on the coupling, and what does not, for the message.
    Raises CouplingError if it is missing, unknown, or leaves a variable out.
    """
    if coupling is None:
        if not needed:
            return {}
        listed = ", ".join(map(repr, needed))
        raise CouplingError(
            f"{what} depends on how the noise of {listed} is shared between worlds, which the "
            f"model and data cannot tell.{f' {why}' if why else ''}",
            expected='coupling="monotone" (a common quantile, categories in their order), '
            'coupling="gumbel" (nominal categories), or a mapping by variable.',
            remedy=remedy,
        )
    chosen = coupling if isinstance(coupling, Mapping) else dict.fromkeys(needed, coupling)
    for name, kind in chosen.items():
        if name not in structure.random:
            raise unknown_variable(name, structure.random)
        if kind not in COUPLINGS:
            raise CouplingError(
                f"coupling={kind!r} is not known.",
                expected=f"one of {', '.join(map(repr, COUPLINGS))}, or a mapping by variable.",
                names=closest(str(kind), COUPLINGS)[:1],
            )
        noise_rule(structure.variable(name), coupling=kind)
    missing = [n for n in needed if n not in chosen]
    if missing:
        raise CouplingError(
            f"The coupling of {', '.join(map(repr, missing))} is missing.",
            expected=f"a coupling for each of {', '.join(needed)}.",
        )
    return dict(chosen)


def taken_couplings(
    structure: Structure,
    worlds: Mapping[str, Mapping[str, Intervention]],
    outcome: str,
    couplings: Mapping[str, str],
) -> list[str]:
    """Return notes on couplings that nobody chose and a cross-world answer depends on."""
    return [
        f"Coupling of {name}: monotone, as none was chosen by coupling=; the answer depends on it, "
        "and the data cannot tell."
        for name in _two_versions(structure, worlds, outcome)
        if name not in couplings and is_discrete(structure.variable(name))
    ]


def _two_versions(
    structure: Structure, worlds: Mapping[str, Mapping[str, Intervention]], outcome: str
) -> list[str]:
    """Return what the outcome of a world and a mediator taken from another one both read.

    Such a variable is needed in two versions, and how these go together in one unit matters.
    """

    def behind(name: str, do: Mapping[str, Intervention]) -> set[str]:
        found, stack = set(), [name]
        while stack:
            for parent in structure.full.predecessors(stack.pop()):
                if parent not in found and parent not in do:
                    found.add(parent)
                    stack.append(parent)
        return found

    twice: set[str] = set()
    for do in worlds.values():
        taken = {n: act.world for n, act in do.items() if isinstance(act, FromWorld)}
        own = behind(outcome, do) if taken else set()
        for name, world in taken.items():
            twice |= own & behind(name, worlds[world])
    changed = structure.descendants({n for do in worlds.values() for n in do})
    return [n for n in structure.random if n in twice & changed]
