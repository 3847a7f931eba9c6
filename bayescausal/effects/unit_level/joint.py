"""Probabilities of causation: values under a coupling, and what the data alone allow.

Let ``p1 = P(Y(1) in E)`` and ``p0 = P(Y(0) in E)`` for one unit, given its covariates and
latents. No data tell how the two go together, but

    ``max(0, p1 - p0) <= P(Y(1) in E, Y(0) not in E) <= min(p1, 1 - p0)``

(Frechet). Averaged over units this gives the sharp bounds of the model (``bounds="model"``).
From the margins of the population alone, ``P(Y_x)``, ``P(Y_x')`` and ``P(X, Y)``, follow the wider
bounds of Tian and Pearl [1]_ (``bounds="margins"``), written below for treatments that may have
other levels too. The value under the coupling lies inside both.

Where the outcome's own noise is the only noise, the coupling is a common rank and the event is
"more than" or "less than", the lower Frechet bound *is* the value, and nothing is simulated.

Of units whose own outcome was seen (``population="finite"``) both ends are given what was seen: of
one at the treated level with E, ``max(0, p1 - p0) / p1`` and ``min(p1, 1 - p0) / p1``; without E,
zero. That is all of the outcome where it has two values.

References
----------
.. [1] J. Tian and J. Pearl, "Probabilities of causation: bounds and identification", Annals of
   Mathematics and Artificial Intelligence 28 (2000), 287-313, equations (19), (24), (25).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayescausal.effects.averaging.frame import Frame, Weights
from bayescausal.effects.estimands.parts import Sums
from bayescausal.effects.evaluation.events import Event
from bayescausal.effects.evaluation.question import parsed_worlds
from bayescausal.evaluation.build import build_program
from bayescausal.evaluation.evaluate import Units, evaluate
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Request
from bayescausal.model.interventions.support import support_of

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.causation import Causation
    from bayescausal.effects.estimands.conditions import Condition
    from bayescausal.effects.evaluation.inner_draws import Run
    from bayescausal.effects.evaluation.question import Question

__all__ = ["causation", "is_exact"]

#: Inner replicates where the probability of the event given covariates is not exact.
REPLICATES = 256
#: Fresh units per draw, for bounds under population="model".
FRESH = 500_000
#: Draws x fresh units.
WORK = 8_000_000


_ALL = ("weight", "p1", "p0", "low", "high")
_AT = ("at_weight", "at_p", "at_low", "at_high")


def causation(run: Run, effect: Effect | None) -> Effect:
    """Return a probability of causation with its bounds, and its exact value where there is one.

    - `run`: the evaluation that gave `effect`.
    - `effect`: the value under the coupling, simulated; None where :func:`is_exact` says that the
      lower Frechet bound is the value.
    """
    question: Question = run.question
    estimand: Causation = question.estimand  # type: ignore[assignment]
    if effect is not None and question.abducted and (why := _no_bounds(question)):
        return replace(effect, notes=(*effect.notes, f"No bounds: {why}."))
    sums, spread = _sums(run)
    model = estimand.frechet(sums)
    value = model[0] if effect is None else np.clip(_flat(effect, run), *model)
    bounds = model if estimand.bounds == "model" else estimand.tian_pearl(sums)
    bounds = np.clip(bounds, 0.0, 1.0)
    words = (
        "Bounds: Frechet within each unit's covariates and latents, averaged; sharp given the "
        "model."
        if estimand.bounds == "model"
        else "Bounds: Tian and Pearl (2000), from the margins alone."
    )
    draws = run.laid(value)
    edges = xr.concat([run.laid(b) for b in bounds], dim="bound")
    edges = edges.assign_coords(bound=["lower", "upper"]).transpose(*draws.dims, "bound")
    if effect is None:
        effect = run.blank(draws, spread)
    return replace(effect, draws=draws, bounds=edges, notes=(*effect.notes, words))


# --------------------------------------------------------------------------- sums


def _sums(run: Run) -> tuple[Sums, float]:
    """Return the sums, and the standard error that fresh units leave in an average."""
    question: Question = run.question
    estimand: Causation = question.estimand  # type: ignore[assignment]
    fresh = question.population == "model"
    if fresh:
        question = _frozen_population(question, run.seed)
    event = Event(question.coded(estimand.event))
    outcome = question.outcome
    requests = [Request(w, outcome, "probability", event) for w in ("treated", "control")]
    reads = [n for n in question.reads if n != outcome]
    treatments = [n for n in estimand.treatments if n not in reads]
    requests += [Request("natural course", n, "draw") for n in (*reads, *treatments)]
    where = {n: 2 + i for i, n in enumerate((*reads, *treatments))}
    worlds = parsed_worlds(run.question.fit, estimand, run.question.units)
    program = build_program(
        question.structure,
        {**worlds, "natural course": {}},
        requests,
        recomputed=question.recomputed,
        varying=question.units.varies,
    )
    inner = REPLICATES if program.noise else 1
    total = question.fit.n_draws
    shape = (len(run.cells), total)
    out = {f: np.zeros(shape) for f in Sums.__dataclass_fields__}
    squares = np.zeros((3, *shape))
    levels = {role: estimand.at(role) for role in ("treated", "control")}
    weights = Weights(question, run.seed)
    at = levels[estimand.own or "treated"]
    for block in evaluate(
        program,
        question.units,
        slice(0, total),
        FreshNoise(run.seed),
        replicates=inner,
        whole_units=question.abducted,
    ):
        frame = Frame(question, program, where, block, weights)
        lengths = (1, 1, *frame.lengths)
        p1, p0 = (
            np.broadcast_to(v, np.broadcast_shapes(v.shape, lengths))
            for v in (frame.outcome(i).mean(axis=1, keepdims=True) for i in (0, 1))
        )
        low, high = np.maximum(p1 - p0, 0.0), np.minimum(p1, 1.0 - p0)
        if question.abducted:
            frame.values[outcome] = _own_outcome(frame)
            p1, p0, low, high = _given_seen(frame, levels, p1, p0, low, high)
        for c, cell in enumerate(run.cells):
            base = cell.condition & estimand.given
            wanted = _summed(estimand, base, levels, p1, p0, low, high)
            for name, values, condition in wanted:
                weight = frame.weight(condition).mean(axis=1, keepdims=True)
                product = values * weight
                found = product.sum(axis=tuple(range(1, product.ndim)))
                out[name][c, block.draws] += found
            top, bottom = low, estimand.known(p1, p0)
            weight = frame.weight(base & at if estimand.own else base)
            weight = weight.mean(axis=1, keepdims=True)
            for k, product in enumerate((top * top, top * bottom, bottom * bottom)):
                square = product * weight**2
                squares[k, c, block.draws] += square.sum(axis=tuple(range(1, square.ndim)))
    sums = Sums(**out)
    return sums, _ratio_error(estimand, sums, squares) if fresh else 0.0


def _summed(
    estimand: Causation, base: Condition, levels: dict[str, Condition], *chances: np.ndarray
) -> list[tuple[str, np.ndarray, Condition]]:
    """Return what is summed over the units: its name, its values, and which units.

    - `base`: the units asked about; `levels`: those at the treated, and at the control level.
    - `chances`: ``p1``, ``p0``, ``low`` and ``high`` of :class:`Sums`, for each unit.
    """
    p1, p0, low, high = chances
    one = np.ones_like(p1)
    own = p0 if estimand.own == "control" else p1
    at = levels[estimand.own or "treated"]
    wanted = [(n, v, base) for n, v in zip(_ALL, (one, *chances), strict=True)]
    wanted += [(n, v, base & at) for n, v in zip(_AT, (one, own, low, high), strict=True)]
    for x, role, p in (("x1", "treated", p1), ("x0", "control", p0)):
        wanted += [(x, one, base & levels[role]), (f"{x}_e", p, base & levels[role])]
    return wanted


def _given_seen(
    frame: Frame, levels: dict[str, Condition], p1: np.ndarray, p0: np.ndarray, *ends: np.ndarray
) -> list[np.ndarray]:
    """Return chances of the event, and ends of the joint one, given each unit's own outcome.

    - `levels`: the units at the treated, and at the control level.
    - `p1`, `p0`: the chances before the outcome was seen.
    - `ends`: bounds on P(event if treated, not if control), the same way.
    """
    question = frame.question
    estimand: Causation = question.estimand  # type: ignore[assignment]
    seen = question.coded(estimand.event).indicator(_own_outcome(frame))
    treated, control = (frame.weight(levels[role]) > 0 for role in ("treated", "control"))
    chance = np.where(treated, np.where(seen > 0, p1, np.inf), 1.0)
    chance = np.where(control, np.where(seen > 0, np.inf, 1.0 - p0), chance)
    shares = [e / np.where(chance > 0, chance, np.inf) for e in ends]
    return [np.where(treated, seen, p1), np.where(control, seen, p0), *shares]


def _own_outcome(frame: Frame) -> np.ndarray:
    """Return the outcome that was seen of each unit, (draw, 1, *frame)."""
    question = frame.question
    outcome = question.outcome
    values = np.asarray(question.units.value(outcome, frame.block.draws))
    values = values[:, None] if question.units.varies(outcome) else values[None, None]
    return frame._lay(values, question.structure.dims[outcome])


def _ratio_error(estimand: Causation, sums: Sums, squares: np.ndarray) -> float:
    """Return the standard error that a finite number of fresh units leaves in a ratio."""
    low, _ = estimand.frechet(sums)
    total = estimand.total(sums)
    spread = squares[0] - 2 * low * squares[1] + low**2 * squares[2]
    return float(np.sqrt(np.mean(np.clip(spread, 0.0, None) / total**2)))


def _frozen_population(question: Question, seed: int) -> Question:
    """Return fresh units, drawn once for each posterior draw and then kept."""
    fit, structure = question.fit, question.structure
    total = fit.n_draws
    first = structure.unit_dims[0]
    sizes = dict(question.units.sizes)
    sizes[first] = max(64, min(FRESH, WORK // max(total, 1)))
    units = replace(question.units, sizes=sizes, coords={first: np.arange(sizes[first])})
    names = list(structure.random)
    program = build_program(
        structure,
        {"natural course": {}},
        [Request("natural course", n, "draw") for n in names],
        recomputed=question.recomputed,
        varying=units.varies,
    )
    latents: dict[str, np.ndarray] = {}
    for block in evaluate(
        program, units, slice(0, total), FreshNoise(seed), replicates=1, whole_units=True
    ):
        for name, value, dims in zip(names, block.values, program.dims, strict=True):
            lengths = [sizes.get(d or "", n) for d, n in zip(dims, value.shape[2:], strict=True)]
            full = np.broadcast_to(value[:, 0], (value.shape[0], *lengths))
            if name not in latents:
                latents[name] = np.empty((total, *full.shape[1:]), dtype=value.dtype)
            latents[name][block.draws] = full
    below = structure.descendants(question.estimand.treatments)
    kept = Units(structure, sizes, units.coords, fit, latents=latents)
    return replace(
        question,
        units=kept,
        population="sample",
        recomputed=question.recomputed & below,
    )


# ------------------------------------------------------------------------ private


def _between(question: Question) -> list[str]:
    """Return the variables between treatment and outcome that are recomputed."""
    structure = question.structure
    below = structure.descendants(question.estimand.treatments)
    above = structure.ancestors([question.outcome])
    return [n for n in question.recomputed if n in below and n in above]


def _no_bounds(question: Question) -> str:
    """Say why units whose own outcome was seen have no bounds; nothing where they have."""
    estimand: Causation = question.estimand  # type: ignore[assignment]
    if _between(question):
        return "something between treatment and outcome was observed of each unit"
    if estimand.bounds == "margins":
        return "the margins are those of a population, and each unit's own outcome was seen"
    return "" if _two_valued(question) else "more was seen of each unit than whether the event was"


def _two_valued(question: Question) -> bool:
    """Whether the outcome is 0 or 1."""
    support = support_of(question.structure.variable(question.outcome))
    return bool(np.all(support.lower == 0) and np.all(support.upper == 1)) and support.integer


def is_exact(question: Question) -> bool:
    """Whether the lower Frechet bound is the value: one noise, a common rank, a tail event."""
    estimand: Causation = question.estimand  # type: ignore[assignment]
    if question.abducted or _between(question) or question.outcome not in question.structure.random:
        return False
    kind = question.couplings.get(question.outcome, "monotone")
    event = estimand.event
    tail = any(getattr(event, k) is not None for k in ("above", "below", "at_least", "at_most"))
    return _two_valued(question) or (kind == "monotone" and tail)


def _flat(effect: Effect, run: Run) -> np.ndarray:
    """Return the draws as (cell, draw)."""
    order = [*run.question.by, "chain", "draw"]
    return np.asarray(effect.draws.transpose(*order).values.reshape(len(run.cells), -1))
