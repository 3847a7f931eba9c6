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
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.weights import bayesian_bootstrap
from bayescausal.effects.functionals import Mean, Probability
from bayescausal.worlds.evaluate import Block, evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.conditions import Condition
    from bayescausal.effects.question import Arm, Question
    from bayescausal.worlds.program import Program

#: Values from which the spread of the outcome is read.
ENOUGH = 1_000_000

__all__ = ["Cell", "Frame", "Reduction", "reduce_question"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One subgroup of the answer: its label along each ``by`` dim, and what it asks."""

    labels: tuple[Any, ...]
    condition: Condition


@dataclass(frozen=True, eq=False)
class Reduction:
    """The functional of each arm and cell.

    Attributes
    ----------
    total : ndarray
        Dims (arm, cell, draw, *event).
    batches : ndarray
        Dims (arm, cell, batch, draw, *event); one batch where nothing is simulated.
    size : ndarray
        Dims (arm, cell, draw): weight of the subgroup (a count where unweighted).
    spread : float
        Standard deviation of the values that were averaged, over units, noise and draws.
    """

    total: np.ndarray
    batches: np.ndarray
    size: np.ndarray
    spread: float


def reduce_question(
    question: Question,
    program: Program,
    where: dict[str, int],
    cells: Sequence[Cell],
    draws: slice,
    noise: Any,
    *,
    replicates: int,
    inner: int,
    batches: int,
    seed: int,
) -> Reduction:
    """Evaluate a question for some posterior draws.

    Parameters
    ----------
    question : Question
    program : Program
        Results: one per arm, then what the conditions read.
    where : dict of str to int
        Position of each variable read among the results.
    cells : sequence of Cell
    draws : slice
        Of the flattened chains.
    noise : NoiseSource
    replicates, inner : int
        Inner replicates in all (a multiple of `inner`), and per evaluation.
    batches : int
        Into which the replicates are dealt.
    seed : int
        Of the bootstrap weights.

    Returns
    -------
    Reduction
    """
    groups = range(max(replicates // inner, 1))
    functional = question.estimand.functional
    linear = isinstance(functional, Mean | Probability)
    keep = _Sums if linear else _Values
    rows = range(question.fit.n_draws)[draws]
    store = keep(question, program, cells, rows, min(batches, max(replicates, 1)), inner)
    for block in evaluate(
        program,
        question.units,
        draws,
        noise,
        groups=groups,
        replicates=inner,
        whole_units=not linear,
    ):
        store.add(block, Frame(question, program, where, block, rows, seed))
    return store.finish()


class Frame:
    """One block laid out along the outcome's unit dims, with weights per arm and cell."""

    def __init__(
        self,
        question: Question,
        program: Program,
        where: dict[str, int],
        block: Block,
        rows: range,
        seed: int,
    ) -> None:
        self.question = question
        self.block = block
        structure = question.structure
        dims = program.dims[0]
        self.dims: list[str] = [d for d in dims if d is not None and d in structure.unit_dims]
        self.axes = [i for i, d in enumerate(dims) if d in structure.unit_dims]
        self.event = len(dims) - len(self.axes)
        first = structure.unit_dims[0]
        sizes = question.units.sizes
        window = block.units
        self.lengths = [len(range(sizes[d])[window]) if d == first else sizes[d] for d in self.dims]
        self.values = {
            name: self._lay(block.values[i], program.dims[i]) for name, i in where.items()
        }
        self.weights = self._population_weights(first, seed)

    def _lay(self, value: np.ndarray, dims: Sequence[Any]) -> np.ndarray:
        """Return a value with axes (draw, replicate, *frame)."""
        own = [d for d in dims if d in self.dims]
        array = value.transpose(0, 1, *(2 + dims.index(d) for d in self.dims if d in own))
        shape = [array.shape[0], array.shape[1]]
        axis = 2
        for d in self.dims:
            if d in own:
                shape.append(array.shape[axis])
                axis += 1
            else:
                shape.append(1)
        return array.reshape(shape)

    def _population_weights(self, first: str, seed: int) -> np.ndarray | None:
        question = self.question
        if question.counts is not None:
            return np.asarray(question.counts[self.block.units])[None, None]
        if question.population != "superpopulation" or first not in self.dims:
            return None
        chosen = range(question.fit.n_draws)[self.block.draws]
        length = question.units.sizes[first]
        weights = bayesian_bootstrap(length, np.asarray(chosen), seed, question.clusters)
        weights = weights[:, self.block.units]
        shape = [len(chosen), 1] + [weights.shape[1] if d == first else 1 for d in self.dims]
        return weights.reshape(shape)

    def weight(self, condition: Condition) -> np.ndarray:
        """Return the weights of a subgroup: (draw, replicate, *frame), length 1 if constant."""
        weights = self.weights
        if condition:
            decoded = {n: _decode(self.question, n, v) for n, v in self.values.items()}
            member = condition.member(decoded)
            if condition.masks:
                member = self._cut_mask(condition, decoded)
            inside = np.asarray(member, dtype=float)
            inside = inside.reshape((1,) * (2 + len(self.dims) - inside.ndim) + inside.shape)
            weights = inside if weights is None else weights * inside
        if weights is None:
            return np.ones((1, 1, *(1,) * len(self.dims)))
        return weights

    def _cut_mask(self, condition: Condition, values: Any) -> np.ndarray:
        """Return membership where masks cover all units and the block only some."""
        from bayescausal.effects.conditions import Condition as Clauses

        first = self.question.structure.unit_dims[0]
        place = self.dims.index(first) if first in self.dims else None
        clauses: list[tuple[str, Any]] = []
        for name, spec in condition.clauses:
            if not name and isinstance(spec, np.ndarray) and place is not None:
                cut = (*(slice(None),) * place, self.block.units)
                clauses.append((name, spec[cut]))
            else:
                clauses.append((name, spec))
        return Clauses(tuple(clauses)).member(values)

    def outcome(self, arm: int) -> np.ndarray:
        """Return the outcome of an arm: (draw, replicate, *frame, *event)."""
        value = self.block.values[arm]
        rest = [i for i in range(value.ndim - 2) if i not in self.axes]
        return value.transpose(0, 1, *(2 + i for i in self.axes), *(2 + i for i in rest))


def _decode(question: Question, name: str, values: np.ndarray) -> np.ndarray:
    """Return labels in the place of codes, for a variable that has labels."""
    labels = question.fit.labels.get(name)
    if not labels:
        return values
    return np.asarray(labels)[values.astype(int)]


class _Sums:
    """Numerators and denominators of weighted means, per batch of replicates."""

    def __init__(
        self,
        question: Question,
        program: Program,
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

    def add(self, block: Block, frame: Frame) -> None:
        first = (block.draws.start - self.rows.start) // self.rows.step
        n = len(range(block.draws.start, block.draws.stop, self.rows.step))
        place = slice(first, first + n)
        axes = tuple(range(2, 2 + len(frame.dims)))
        weights: dict[tuple[int, int], np.ndarray] = {}
        for c, cell in enumerate(self.cells):
            for a, arm in enumerate(self.arms):
                condition = arm.condition & cell.condition
                key = (id(arm.condition), c)  # what is held: a passing object's id is used again
                if key not in weights:
                    weights[key] = frame.weight(condition)
                self._one(a, c, frame, frame.outcome(a), weights[key], axes, place, n, block)

    def _one(
        self,
        a: int,
        c: int,
        frame: Frame,
        value: np.ndarray,
        weight: np.ndarray,
        axes: tuple[int, ...],
        place: slice,
        n: int,
        block: Block,
    ) -> None:
        lengths = tuple(frame.lengths)
        event = value.shape[2 + len(lengths) :]
        full = np.broadcast_to(value, (*value.shape[:2], *lengths, *event))
        if self.moments[0] < ENOUGH:
            self.moments += (full.size, full.sum(), np.square(full, dtype=float).sum())
        w = weight.reshape(*weight.shape, *(1,) * len(event))
        if weight.size == 1:
            num = full.sum(axis=axes) * weight.item()
            den = np.full((1, 1), weight.item() * np.prod(lengths))
        else:
            num = (full * w).sum(axis=axes)
            spread = np.broadcast_to(weight, (*weight.shape[:2], *lengths))
            den = spread.sum(axis=axes)
        reps = max(num.shape[1], den.shape[1], self.inner)
        num = np.broadcast_to(num, (n, reps, *event))
        den = np.broadcast_to(den, (n, reps))
        if self.num is None:
            self.num = np.zeros((*self.den.shape, *event))
        batch = (block.group * self.inner + np.arange(reps)) % self.nb
        for b in np.unique(batch):
            chosen = batch == b
            self.num[a, c, b, place] += num[:, chosen].sum(axis=1)
            self.den[a, c, b, place] += den[:, chosen].sum(axis=1)

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


class _Values:
    """Values of one block of draws, pooled over replicates, for quantiles."""

    def __init__(
        self,
        question: Question,
        program: Program,
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
                reps = values.shape[1]
                rows_b.append(
                    [
                        self._functional(values[:, b :: self.nb], weights[:, b :: self.nb])
                        for b in range(min(self.nb, reps))
                    ]
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
                self.moments += (full.size, full.sum(), np.square(full, dtype=float).sum())
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
