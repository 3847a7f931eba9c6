"""Averages taken inside the loop over blocks, and how well they are known.

Per posterior draw and arm the answer is ``F`` of the mixture over units and their noise. Means
and probabilities are ratios of two sums (weights, subgroup membership), accumulated block by
block; quantiles need the values of one draw together and no more.

Noise that is simulated rather than integrated leaves a Monte Carlo error. The inner replicates
are dealt into *batches*; the answer is computed from all, and from each batch, and the spread of
the batches says how far the answer of one draw is from its exact value (the method of batch
means [1]_, with independent batches).

References
----------
.. [1] C. J. Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7(4), 1992.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.averaging.count_quantiles import Parameters, mixture_quantile
from bayescausal.effects.averaging.frame import Frame, Weights
from bayescausal.evaluation.evaluate import block_of, count_tasks, tasks
from bayescausal.evaluation.noise import BLOCK
from bayescausal.inference.progress import tracked
from bayescausal.model.noise.read_off import law_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.estimands.conditions import Condition
    from bayescausal.effects.estimands.parts import Arm
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.evaluate import Block, NoiseSource
    from bayescausal.evaluation.program import Program

#: Values from which the spread of the outcome is read.
ENOUGH = 1_000_000

__all__ = ["Cell", "Reduction", "reduce_question"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One subgroup of the answer: its label along each ``by`` dim, and what it asks."""

    labels: tuple[Any, ...]
    condition: Condition


@dataclass(frozen=True, eq=False)
class Reduction:
    """The functional of each arm and cell."""

    total: np.ndarray  # dims (arm, cell, draw, *event)
    # Dims (arm, cell, batch, draw, *event); one batch where nothing is simulated.
    batches: np.ndarray
    size: np.ndarray  # dims (arm, cell, draw): weight of the subgroup (a count where unweighted)
    # Standard deviation of the values that were averaged, over units, noise and draws.
    spread: float


def reduce_question(
    question: Question,
    program: Program,
    where: dict[str, int],
    cells: Sequence[Cell],
    draws: slice,
    noise: NoiseSource,
    *,
    replicates: int,
    inner: int,
    batches: int,
    seed: int,
    dealt: bool = False,
) -> Reduction:
    """Evaluate a question for some posterior draws.

    - `program`: results: one per arm, then what the conditions read.
    - `where`: position of each variable read among the results.
    - `draws`: of the flattened chains.
    - `replicates`, `inner`: inner replicates in all (a multiple of `inner`), and per evaluation.
    - `batches`: into which the replicates are dealt.
    - `seed`: of the bootstrap weights.
    - `dealt`: deal the units into batches, not the replicates, of which there is one.
    """
    groups = range(max(replicates // inner, 1))
    functional = question.estimand.functional
    linear = functional.linear
    keep = _Dealt if dealt else _Sums if linear else _Values
    if isinstance(program.requests[0].event, Parameters):
        keep = _Laws
    rows = range(question.fit.n_draws)[draws]
    count = batches if dealt else min(batches, max(replicates, 1))
    store = keep(question, cells, rows, count, batches if dealt else inner)
    weights = Weights(question, seed)

    cutting: dict[str, Any] = {"groups": groups, "replicates": inner, "whole_units": not linear}
    total = partial(count_tasks, program, question.units, draws, **cutting)
    for task in tracked(tasks(program, question.units, draws, **cutting), total):
        block = block_of(program, question.units, task, noise)
        store.add(block, Frame(question, program, where, block, weights))
    return store.finish()


def _moments(value: np.ndarray, lengths: tuple[int, ...]) -> np.ndarray:
    """Return number, sum and sum of squares of a value filled to all units."""
    full = np.broadcast_to(value, (*value.shape[:2], *lengths, *value.shape[2 + len(lengths) :]))
    times = full.size / max(value.size, 1)
    squares = np.square(value, dtype=float).sum()
    return np.array([full.size, value.sum() * times, squares * times], dtype=float)


def _total(full: np.ndarray, units: int, cut: int | None) -> np.ndarray:
    """Sum over the unit axes, (draw, replicate, *event), by blocks of units of a fixed length.

    Sums in floating point depend on their order: with blocks of one length, added one after the
    other, the total is the same to the last bit however the units were cut for evaluation.
    """
    axes = tuple(range(2, 2 + units))
    if cut is None or full.shape[2 + cut] <= BLOCK:
        return np.asarray(np.ascontiguousarray(full).sum(axis=axes))
    total: np.ndarray | None = None
    for lo in range(0, full.shape[2 + cut], BLOCK):
        piece = full[(*(slice(None),) * (2 + cut), slice(lo, lo + BLOCK))]
        found = np.ascontiguousarray(piece).sum(axis=axes)
        total = found if total is None else total + found
    assert total is not None
    return np.asarray(total)


class _Sums:
    """Numerators and denominators of weighted means, per batch of replicates."""

    def __init__(
        self,
        question: Question,
        cells: Sequence[Cell],
        rows: range,
        batches: int,
        inner: int,
    ) -> None:
        self.arms, self.cells, self.inner, self.nb = question.arms, cells, inner, batches
        self.rows = rows
        self.num: np.ndarray | None = None
        self.den = np.zeros((len(self.arms), len(cells), batches, len(rows)))
        self.moments = np.zeros(3)

    def _one(
        self, value: np.ndarray, weight: np.ndarray, lengths: tuple[int, ...], cut: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted sum and the sum of weights, (draw, replicate, *event)."""
        event = value.shape[2 + len(lengths) :]
        full = np.broadcast_to(value, (*value.shape[:2], *lengths, *event))
        if weight.size == 1:
            num = _total(full, len(lengths), cut) * weight.item()
            return num, np.full((1, 1), weight.item() * np.prod(lengths))
        w = weight.reshape(*weight.shape, *(1,) * len(event))
        spread = np.broadcast_to(weight, (*weight.shape[:2], *lengths))
        return _total(full * w, len(lengths), cut), _total(spread, len(lengths), cut)

    def add(self, block: Block, frame: Frame) -> None:
        """Add the sums of one block."""
        first = (block.draws.start - self.rows.start) // self.rows.step
        n = len(range(block.draws.start, block.draws.stop, self.rows.step))
        place = slice(first, first + n)
        lengths = tuple(frame.lengths)
        measured = self.moments[0] >= ENOUGH
        weights: dict[tuple[int, int], np.ndarray] = {}
        for c, cell in enumerate(self.cells):
            for a, arm in enumerate(self.arms):
                key = (id(arm.condition), c)  # what is held: a passing object's id is used again
                if key not in weights:
                    weights[key] = frame.weight(arm.condition & cell.condition)
                value = frame.outcome(a)
                if not measured:
                    self.moments += _moments(value, lengths)
                num, den = self._one(value, weights[key], lengths, frame.cut)
                self._put((a, c), block.group, place, num, den)

    def _put(
        self, where: tuple[int, int], group: int, place: slice, num: np.ndarray, den: np.ndarray
    ) -> None:
        """Add the sums, (draw, replicate, *event), of one arm and cell to their batches."""
        n, event = place.stop - place.start, num.shape[2:]
        reps = max(num.shape[1], den.shape[1], self.inner)
        num = np.broadcast_to(num, (n, reps, *event))
        den = np.broadcast_to(den, (n, reps))
        if self.num is None:
            self.num = np.zeros((*self.den.shape, *event))
        batch = (group * self.inner + np.arange(reps)) % self.nb
        for b in range(self.nb) if reps >= self.nb else np.unique(batch):
            chosen = batch == b
            self.num[(*where, b, place)] += num[:, chosen].sum(axis=1)
            self.den[(*where, b, place)] += den[:, chosen].sum(axis=1)

    def finish(self) -> Reduction:
        assert self.num is not None
        extra = (1,) * (self.num.ndim - self.den.ndim)
        den = self.den.reshape(*self.den.shape, *extra)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = self.num.sum(axis=2) / den.sum(axis=2)
            batches = self.num / den
        count, first, second = self.moments
        spread = float(np.sqrt(max(second / count - (first / count) ** 2, 0.0)))
        return Reduction(total, batches, self.den.sum(axis=2), spread)


class _Dealt(_Sums):
    """The same with the units in batches."""

    def _one(
        self, value: np.ndarray, weight: np.ndarray, lengths: tuple[int, ...], cut: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        n, _, *event = (*value.shape[:2], *value.shape[2 + len(lengths) :])
        full = np.broadcast_to(value, (n, 1, *lengths, *event))
        each = lengths[0] // self.nb
        return super()._one(full.reshape(n, self.nb, each, *event), weight, (each,), None)


class _Values:
    """Values of one block of draws, pooled over replicates, for quantiles."""

    def __init__(
        self,
        question: Question,
        cells: Sequence[Cell],
        rows: range,
        batches: int,
        inner: int,
    ) -> None:
        self.question, self.cells, self.rows = question, cells, rows
        self.nb, self.inner = batches, inner
        self.total: list[Any] = []
        self.batch: list[Any] = []
        self.size: list[Any] = []
        self.held: list[tuple[Block, Frame]] = []
        self.moments = np.zeros(3)

    def add(self, block: Block, frame: Frame) -> None:
        """Hold the values until those of the same draws are together."""
        if self.held and self.held[0][0].draws != block.draws:
            self._flush()
        self.held.append((block, frame))

    def _flush(self) -> None:
        question = self.question
        n = len(range(question.fit.n_draws)[self.held[0][0].draws])
        total, batch, size = [], [], []
        for a, arm in enumerate(question.arms):
            rows_t, rows_b, rows_s = [], [], []
            for cell in self.cells:
                values, weights = self._pool(a, arm, cell, n)
                rows_t.append(self._functional(values, weights))
                rows_s.append(weights.sum(axis=(1, 2)))
                count = min(self.nb, values.shape[1])
                rows_b.append(
                    [
                        self._functional(values[:, b :: self.nb], weights[:, b :: self.nb])
                        for b in range(count)
                    ]
                    if count > 1
                    else rows_t[-1:]
                )
            total.append(rows_t)
            batch.append(rows_b)
            size.append(rows_s)
        self.total.append(np.asarray(total))
        self.batch.append(np.asarray(batch))
        self.size.append(np.asarray(size))
        self.held = []

    def _pool(self, a: int, arm: Arm, cell: Cell, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return values (draw, replicate, unit, *event) and weights (draw, replicate, unit)."""
        values, weights = [], []
        for _, frame in self.held:
            lengths = tuple(frame.lengths)
            value = frame.outcome(a)
            event = value.shape[2 + len(lengths) :]
            weight = frame.weight(arm.condition & cell.condition)
            reps = max(value.shape[1], weight.shape[1])
            full = np.broadcast_to(value, (n, reps, *lengths, *event))
            if self.moments[0] < ENOUGH:
                self.moments += _moments(value, lengths)
            values.append(full.reshape(n, reps, -1, *event))
            weights.append(np.broadcast_to(weight, (n, reps, *lengths)).reshape(n, reps, -1))
        return np.concatenate(values, axis=1), np.concatenate(weights, axis=1)

    def _functional(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        n, event = values.shape[0], values.shape[3:]
        flat = values.reshape(n, -1, *event)
        w = weights.reshape(n, -1)
        if np.any(w.sum(axis=1) <= 0):
            return np.full((n, *event), np.nan)
        w = np.broadcast_to(w.reshape(n, -1, *(1,) * len(event)), flat.shape)
        equal = bool(np.all(w == w.flat[0]))
        return np.asarray(
            self.question.estimand.functional.of(flat, None if equal else w, axis=1), dtype=float
        )

    def finish(self) -> Reduction:
        self._flush()
        count, first, second = self.moments
        spread = float(np.sqrt(max(second / count - (first / count) ** 2, 0.0)))
        return Reduction(
            np.concatenate(self.total, axis=2),
            np.concatenate(self.batch, axis=3),
            np.concatenate(self.size, axis=2),
            spread,
        )


class _Laws(_Values):
    """Parameters of the laws of the units, whose mixture has the quantile."""

    def _functional(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        question: Any = self.question
        law, _ = law_of(question.structure.variable(question.outcome))
        n, columns = len(values), values.shape[-1]
        flat = values.reshape(n, -1, columns)
        w = weights.reshape(n, -1)
        if np.any(w.sum(axis=1) <= 0):
            return np.full(n, np.nan)
        vectors = max(len(law.cores) - law.cores.count(0), 1)
        wide = (columns - law.cores.count(0)) // vectors
        params, at = [], 0
        for core in law.cores:
            params.append(flat[..., at : at + wide] if core else flat[..., at])
            at += wide if core else 1
        return mixture_quantile(law, params, w, question.estimand.functional.q)
