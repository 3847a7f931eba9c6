"""Instruments: what moves the treatment and reaches the outcome through it alone.

z is a *conditional instrument* for (x, y) given W if [1]_ [2]_

1. W separates z from y once the first edges of the causal paths from x to y are removed
   (exclusion, and no common cause of z and y);
2. W does not separate z from x (relevance);
3. neither z nor W descends from a node on a causal path from x to y.

An instrument identifies no effect by itself: linearity, homogeneity or monotonicity is
assumed as well, and under monotonicity the effect is that on the compliers alone. Without such an
assumption it gives bounds. So a graph with an instrument is *identified under a further
assumption*, which is not the same as identified.

Finding some W for a given z is NP-hard in general, but easy if W is to be minimal for condition 1
(an *ancestral* instrument) [2]_. In graphs of up to ten candidates for W all minimal sets are
found; in larger ones those that are minimal for condition 1, of which the first few hundred are
looked at.

References
----------
.. [1] C. Brito and J. Pearl, "Generalized instrumental variables", UAI 2002.
.. [2] B. van der Zander, J. Textor and M. Liskiewicz, "Efficiently finding conditional
   instruments for causal inference", IJCAI 2015.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayescausal.graph.identification.query import read_query
from bayescausal.graph.structure.mixed_graph import ADMG, bits
from bayescausal.graph.structure.separators import AHEAD, minimal_separators

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bayescausal.annotations import GraphLike

__all__ = ["Instrument", "instruments"]

#: Up to so many candidates, every set is tried.
FEW = 10


@dataclass(frozen=True)
class Instrument:
    """A variable that is an instrument given any one of some sets.

    ``variable``: the instrument.
    ``given_any_of``: the minimal sets to condition on, small first; the empty set: none is needed.
    """

    variable: str
    given_any_of: tuple[frozenset[str], ...]

    def __str__(self) -> str:
        given = sorted(self.given_any_of[0])
        return f"{self.variable} given {', '.join(given)}" if given else self.variable


def instruments(
    graph: GraphLike,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    *,
    observed: Iterable[str] | None = None,
    given: Iterable[str] = (),
) -> list[Instrument]:
    """Find the instruments for the effect of one variable on another.

    ``treatment``, ``outcome``: the variables. With several of either, no instrument is looked for.
    ``observed``: the measured variables. Latent ones are neither offered nor conditioned on.
    ``given``: what is conditioned on in any case, as within a subgroup.
    Result: in alphabetical order.

    Examples
    --------
    >>> from bayescausal.graph import instruments
    >>> for found in instruments("Z -> X -> Y; X <-> Y; W -> Z; W -> Y", "X", "Y"):
    ...     print(found)
    Z given W
    """
    query = read_query(graph, treatment, outcome, observed=observed)
    if len(query.treatment) > 1 or len(query.outcome) > 1:
        return []
    admg, x, y = query.admg, query.x, query.y
    back_door = admg.proper_back_door(x, y)
    held = admg.mask(given) & ~(x | y)
    after = admg.descendants(admg.causal_nodes(x, y))
    if held & after:
        return []
    usable = admg.everything & ~(x | y | after | held)
    found = []
    for i in bits(usable):
        sets = list(_conditions(admg, back_door, 1 << i, x, y, usable & ~(1 << i), held))
        if sets:
            named = sorted((admg.named(s) for s in sets), key=lambda s: (len(s), sorted(s)))
            found.append(Instrument(admg.names[i], tuple(named)))
    return sorted(found, key=lambda instrument: instrument.variable)


def _conditions(
    admg: ADMG, back_door: ADMG, z: int, x: int, y: int, usable: int, held: int
) -> Iterator[int]:
    """Generate the minimal sets that make z, beside what is `held`, an instrument."""
    candidates = list(bits(usable))
    if len(candidates) > FEW:
        separators = minimal_separators(back_door, z, y, allowed=usable, required=held)
        for given in itertools.islice(separators, AHEAD):
            if not admg.separated(z, x, given):
                yield given & ~held
        return
    found: list[int] = []
    for size in range(len(candidates) + 1):
        for chosen in itertools.combinations(candidates, size):
            given = sum(1 << i for i in chosen)
            if any(not smaller & ~given for smaller in found):
                continue
            all_ = given | held
            if back_door.separated(z, y, all_) and not admg.separated(z, x, all_):
                found.append(given)
                yield given
