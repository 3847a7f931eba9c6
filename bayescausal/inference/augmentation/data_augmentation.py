r"""Data augmentation: parameters given empty cells, empty cells given parameters, in turn.

An empty cell :math:`z` of a Normal column enters the factors of its own row alone: its own equation
and those that read it. Where these are Normal its conditional is Normal. With generalised linear
ones,

.. math:: \log p(z \mid \cdot) = -\tfrac12 P z^2 + L z + \sum_k \ell_k(o_k + b_k z),

it is proposed from a Student-t law about the point to which Newton's method leads from
:math:`L / P`, all cells of a column at once, and accepted by Metropolis-Hastings [2]_. Either way
the posterior is left exactly invariant [1]_. Empty cells that no equation reads are drawn from
their equations and say nothing of the parameters.

Four chains run at once; if they have not mixed, they run on, each time twice as far. Where most of
a column is empty, neighbouring states are much alike, and a Markov chain on all unknowns at once
may be called for instead.

References
----------
.. [1] M. A. Tanner and W. H. Wong, The calculation of posterior distributions by data augmentation,
   *JASA* 82(398), 1987.
.. [2] L. Tierney, Markov chains for exploring posterior distributions, *Annals of Statistics* 22,
   1994.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from bayescausal.inference.augmentation.equations import augmented
from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.inference.conditioning.plan import Plan
from bayescausal.inference.marginalize.empty_outcomes import filled
from bayescausal.model.names import Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.augmentation.equations import Augmented
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["METHOD", "draw_augmented", "find_augmented", "without"]

#: How such a block was drawn, in words.
METHOD = "data augmentation (gibbs)"


class Filled(NamedTuple):
    """What data augmentation has drawn, and what is left of a posterior."""

    plan: Plan
    arrays: dict[str, Array]  # (chain, draw, ...) Parameters and empty cells
    methods: dict[str, str]
    conformed: Conformed  # with some values in the cells, which nothing reads any more


def find_augmented(structure: Structure, conformed: Conformed, plan: Plan) -> tuple[Augmented, ...]:
    """Return the blocks that are drawn so, as far as expressions and names of columns tell."""
    columns, partly = set(conformed.columns), set(conformed.missing)
    found = (augmented(structure, b, columns, partly) for b, _ in plan.rest if partly)
    return tuple(f for f in found if not isinstance(f, str))


def draw_augmented(
    found: Sequence[Augmented],
    structure: Structure,
    conformed: Conformed,
    plan: Plan,
    *,
    draws: int,
    chains: int,
    seed: int,
) -> Filled:
    """Draw blocks with empty cells; those whose chains do not mix stay in the plan."""
    arrays: dict[str, Array] = {}
    methods: dict[str, str] = {}
    done: list[Augmented] = []
    for each in found:
        loops = import_module("bayescausal.inference.augmentation.chain")  # they load numba
        key = [seed, crc32(",".join(sorted(each.block.unknowns)).encode())]
        rng = np.random.default_rng(key)
        try:
            drawn = loops.draw_chains(each, structure, conformed, chains * draws, rng)
        except (NotAffineError, ArithmeticError):
            continue
        arrays |= {n: v.reshape(chains, draws, *v.shape[1:]) for n, v in drawn.items()}
        methods[Joined([*each.names, *(f"{n}_unobserved" for n in each.holes)])] = METHOD
        done.append(each)
    rows = {n: ~conformed.missing[n] for each in done for n in each.holes}
    return Filled(without(plan, done), arrays, methods, filled(conformed, rows))


def without(plan: Plan, found: Sequence[Augmented]) -> Plan:
    """Return a plan without some blocks, whose equations are idle."""
    away = {n for each in found for n in each.block.unknowns}
    rest = tuple((b, why) for b, why in plan.rest if not away & set(b.unknowns))
    idle = dict.fromkeys([*plan.idle, *(n for each in found for n in each.observed)])
    return Plan(plan.samplers, rest, tuple(idle))
