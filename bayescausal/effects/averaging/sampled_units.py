r"""An average over many units from some of them, drawn anew for every posterior draw.

Where the noise is simulated, an answer of one draw is known within a Monte Carlo error anyway.
With n units and one value of their noise its variance is :math:`\sigma^2 / n`, often far below what
is asked for. The same question of :math:`m < n` units, drawn at random with replacement and
independently for each posterior draw, is unbiased with variance :math:`\sigma^2 / m`, where
:math:`\sigma^2` now holds the differences between units as well [1]_. It is measured from batches
of the units that were drawn, and m is chosen for an error below a tenth of the posterior sd, or
below a fifth of what is accepted of an answer from all units.

Units are drawn only where there are many, everyone is averaged over with equal weight, and units
share no noise. All worlds of a question have the same units with the same noise. Subgroups are not
answered from some units, so that laws that tie them to the whole hold draw by draw.

References
----------
.. [1] W. G. Cochran, *Sampling Techniques*, 3rd ed., Wiley, 1977, section 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.evaluation.noise import BLOCK

if TYPE_CHECKING:
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.evaluation.program import Program

__all__ = ["PILOT_UNITS", "sampled_units", "units_needed"]

#: Units times posterior draws from which some units may answer for all.
LEAST = 4_000_000
#: Units of a draw: at least, at most, and of a pilot.
FEWEST, MOST, PILOT_UNITS = 64, BLOCK, 512
#: How many times fewer they must be.
GAIN = 2
#: Posterior draws whose values are held at a time.
AT_A_TIME = 64
#: Keeps this stream apart from others made from the same seed.
_STREAM = 0x5A3B


def sampled_units(question: Question, program: Program, count: int, seed: int) -> Question | None:
    """Return the same question of some units of each draw; None where all are needed.

    - `count`: units of a draw.
    - `seed`: the units of a draw depend on this, on the draw and on `count` alone.
    """
    units = question.units
    if units.count * units.fit.n_draws < LEAST or units.count < GAIN * count:
        return None
    if not _is_plain(question) or not _are_independent(question, program):
        return None
    first, draws = question.structure.unit_dims[0], units.fit.n_draws
    key = np.random.SeedSequence(int(seed), spawn_key=(_STREAM, count))
    rows = np.random.default_rng(key).integers(0, units.sizes[first], (draws, count))
    wide = [i.name for i in program.inputs if i.kind == "value" and first in i.dims]
    drawn = replace(
        units,
        sizes={**units.sizes, first: count},
        coords={**units.coords, first: np.arange(count)},
        latents={**units.latents, **{n: _values(units, n, rows) for n in wide}},
        rows=None,
    )
    return replace(question, units=drawn)


def units_needed(wanted: float, units: int) -> int:
    """Return how many units to draw where `wanted` would do: by 64; 0 where all are taken.

    Examples
    --------
    >>> units_needed(300.0, 100_000), units_needed(3.0, 100_000), units_needed(300.0, 600)
    (320, 64, 0)
    """
    count = FEWEST * int(np.ceil(min(max(wanted, 1.0), MOST + 1) / FEWEST))
    return count if count <= MOST and count * GAIN <= units else 0


def _is_plain(question: Question) -> bool:
    """Whether a mean over all units at hand is asked, each counted once."""
    functional = question.estimand.functional
    if question.abducted or question.counts is not None or question.clusters is not None:
        return False
    if question.population != "sample" or question.reads or question.estimand.weighting is not None:
        return False
    if any(arm.condition for arm in question.arms):
        return False
    return functional.linear and not functional.summed


def _are_independent(question: Question, program: Program) -> bool:
    """Whether units have noise of their own, and nothing that is carried along with their order."""
    structure = question.structure
    if len(structure.unit_dims) != 1 or structure.fixed or structure.mixes(program.names):
        return False
    first = structure.unit_dims[0]
    if any(dims[:1] != (first,) for dims in program.dims) or not program.noise:
        return False
    if any(i.dims[:1] != (first,) for i in program.noise):
        return False
    wide = [i for i in program.inputs if first in i.dims and i.kind != "noise"]
    return all(i.kind == "value" and i.dims[:1] == (first,) for i in wide)


def _values(units: Units, name: str, rows: np.ndarray) -> np.ndarray:
    """Return the values of the units of each draw, draws first."""
    draws = len(rows)
    if not units.varies(name):
        return np.asarray(units.value(name, slice(0, draws)))[rows]
    parts = []
    for lo in range(0, draws, AT_A_TIME):
        block = units.value(name, slice(lo, min(lo + AT_A_TIME, draws)))
        parts.append(block[np.arange(len(block))[:, None], rows[lo : lo + AT_A_TIME]])
    return np.concatenate(parts)
