"""Averages whose outcome is a sum of products: features of units averaged once, not per draw.

See :mod:`bayescausal.evaluation.expand` for the algebra. What is left here is who counts:
subgroups, and the Bayesian bootstrap's weights, which differ between draws. Where a coefficient has
an element for each group, a feature is averaged over the units of every group by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from bayescausal.effects.averaging.blocks import Reduction
from bayescausal.effects.averaging.frame import Frame, Weights
from bayescausal.evaluation.evaluate import Block, argument
from bayescausal.evaluation.expand import Expansion, expand
from bayescausal.inference.stream.source_data import NotHeld

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayescausal.annotations import Array
    from bayescausal.effects.averaging.blocks import Cell
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.program import Program

__all__ = ["ClosedForm", "closed_form", "expansion_of"]

#: Units whose features are held at a time.
UNITS = 200_000
#: Elements of the bootstrap's weights that are held at a time.
WEIGHTS = 4_000_000
#: Averages over the units of groups that are held: of arms, subgroups, draws and groups.
AVERAGES = 30_000_000

#: A feature, and the features that tell the group of a unit.
type Key = tuple[int, tuple[int, ...]]


def closed_form(
    question: Question, program: Program, where: dict[str, int], cells: Sequence[Cell], seed: int
) -> ClosedForm | None:
    """Return the closed form of a question's averages; None where there is none.

    - `program`: results: one per arm, then what the conditions read.
    - `where`: position of each variable read among the results.
    - `seed`: of the bootstrap's weights.
    """
    functional = question.estimand.functional
    weighed = question.estimand.weighting is not None
    if question.abducted or weighed or not functional.linear:
        return None
    units = question.structure.unit_dims
    if any(d not in units for i in range(len(question.arms)) for d in program.dims[i]):
        return None
    if question.population == "superpopulation" and units[0] not in program.dims[0]:
        return None
    expansion = expansion_of(
        question, program, len(question.arms), tuple(where.values()), _differences(question)
    )
    if expansion is None:
        return None
    found = ClosedForm(question, program, where, cells, seed, expansion)
    draws = question.fit.n_draws if question.population == "superpopulation" else 1
    numbers = sum(int(np.prod(shape)) for shape in found.groups.values())
    if numbers * len(question.arms) * len(cells) * draws > AVERAGES:
        return None
    return found


def expansion_of(
    question: Question,
    program: Program,
    arms: int,
    reads: tuple[int, ...] = (),
    differences: bool = False,
    held_noise: bool = False,
) -> Expansion | None:
    """Return the first results of a program as sums of products; see :func:`.expand.expand`."""
    units = question.structure.unit_dims
    sizes = dict(question.units.fit.sizes or {})
    # a model whose rows are read in pieces has no arrays along them
    streamed = isinstance(question.units.fit.columns, NotHeld)
    along = [] if streamed else [question.units.sizes[d] for d in units]
    return expand(
        program,
        range(arms),
        reads,
        lengths=frozenset([*question.structure.fixed.values(), *along]),
        widths=tuple(sorted((d, int(n)) for d, n in sizes.items() if d not in units)),
        mixes=bool(question.structure.mixes(program.names)),
        differences=differences,
        held_noise=held_noise,
    )


def _differences(question: Question) -> bool:
    """Whether an answer is made of differences between arms over the same units alone."""
    estimand, first = question.estimand, question.arms[0].condition
    levels = estimand.curve is not None and getattr(estimand, "control", None) is None
    same = len(question.arms) > 1 and all(arm.condition is first for arm in question.arms)
    return estimand.signed and same and not levels and not estimand.joint


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The averages of a question, as coefficients times averages of features."""

    question: Question
    program: Program
    where: dict[str, int]
    cells: Sequence[Cell]
    seed: int
    expansion: Expansion

    @cached_property
    def groups(self) -> dict[Key, tuple[int, ...]]:
        """The shape of the groups over which each feature is averaged; of one number, ()."""
        found: dict[Key, tuple[int, ...]] = {}
        held: list[np.ndarray] = []
        for place, feature, index in (t for terms in self.expansion.terms for t in terms):
            if index and not held:
                held = self.coefficients(slice(0, 1), 1)
            if index or feature >= 0:
                found[feature, index] = held[place].shape[1:] if index else ()
        return found

    def packed(self, averages: dict[Key, np.ndarray]) -> np.ndarray:
        """Return the averages of all features as one array, features and groups last."""
        parts = [
            averages[key] if shape else averages[key][..., None]
            for key, shape in self.groups.items()
        ]
        lead = next((p.shape[:3] for p in parts), (len(self.question.arms), len(self.cells), 1))
        return np.concatenate([np.zeros((*lead, 0)), *parts], axis=-1)

    def unpacked(self, array: np.ndarray) -> dict[Key, np.ndarray]:
        """Return what :meth:`packed` put together."""
        out: dict[Key, np.ndarray] = {}
        start = 0
        for key, shape in self.groups.items():
            stop = start + int(np.prod(shape))
            out[key] = array[..., start:stop] if shape else array[..., start]
            start = stop
        return out

    def reduce(self, draws: slice) -> Reduction:
        """Return the average of each arm and cell, for some posterior draws."""
        total = range(self.question.fit.n_draws)
        rows = total[draws]
        sums, size = self._averages(rows)
        coefficients = self.coefficients(draws, len(rows))
        arms, cells = len(self.question.arms), len(self.cells)
        out = np.zeros((arms, cells, len(rows)))
        for a, terms in enumerate(self.expansion.terms):
            for c in range(cells):
                for place, feature, index in terms:
                    average = 1.0 if feature < 0 and not index else sums[feature, index][a, c]
                    if index:
                        each = coefficients[place].reshape(len(rows), -1)
                        out[a, c] += np.einsum("dg,dg->d", each, average)
                    else:
                        out[a, c] += (1.0 if place < 0 else coefficients[place]) * average
        with np.errstate(invalid="ignore"):
            out = np.where(size > 0, out, np.nan)
        return Reduction(out, out[:, :, None], size, 0.0)

    def coefficients(self, draws: slice, n: int) -> list[np.ndarray]:
        """Return every coefficient: one number per draw, or one per draw and group."""
        inputs, units = self.program.inputs, self.question.units
        part = range(self.question.fit.n_draws)[draws]

        def value(k: int) -> Array:
            if inputs[k].kind == "length":
                return np.asarray(1)
            return argument(inputs[k], units, part, draws, 0, 1, None, slice(None), None, {})

        found = self.expansion.coefficients(value)
        indexed = {c for terms in self.expansion.terms for c, _, index in terms if index}
        for k, v in enumerate(found):
            if k in indexed:
                axes = self.expansion.axes[k]
                v = v if v.ndim > axes else v[None]
                found[k] = np.broadcast_to(v, (n, *v.shape[1:]))
            else:
                found[k] = np.broadcast_to(v.reshape(-1) if v.size > 1 else v.item(), (n,))
        return found

    def _averages(self, rows: range) -> tuple[dict[Key, np.ndarray], np.ndarray]:
        """Return averages of features, (arm, cell, draw or 1[, group]), and subgroups' sizes."""
        question = self.question
        varying = question.population == "superpopulation"
        shape = (len(question.arms), len(self.cells))
        count = self.expansion.n_features
        n = len(rows) if varying else 1
        weights = Weights(question, self.seed)
        num = {
            key: np.zeros((*shape, n, *([int(np.prod(g))] if g else [])))
            for key, g in self.groups.items()
        }
        den = np.zeros((*shape, n))
        for window, values in self.features():
            features, reads = values[:count], values[count:]
            held: list[Any] = [None] * len(self.program.inputs + self.program.requests)
            for i, value in zip(self.where.values(), reads, strict=True):
                held[i] = value[None, None]
            for part in self._parts(rows, window if varying else None):
                block = Block(slice(part.start, part.stop, part.step), 0, window, held)
                frame = Frame(question, self.program, self.where, block, weights)
                place = slice(0, 1)
                if varying:
                    start = (part.start - rows.start) // rows.step
                    place = slice(start, start + len(part))
                parts = {key: value[:, :, place] for key, value in num.items()}
                self._add(frame, features, parts, den[..., place])
        with np.errstate(invalid="ignore", divide="ignore"):
            found = {
                key: value / (den[..., None] if self.groups[key] else den)
                for key, value in num.items()
            }
        return found, np.broadcast_to(den, (*shape, len(rows)))

    def spread(self, features: list[np.ndarray], lengths: tuple[int, ...]) -> dict[Key, Any]:
        """Return features along the units, those of groups as a matrix of units by groups."""
        out: dict[Key, Any] = {}
        for (feature, index), shape in self.groups.items():
            full = features[feature] if feature >= 0 else np.ones(())
            flat = np.broadcast_to(full, lengths).reshape(-1)
            if index:
                at = np.zeros(len(flat), dtype=np.int64)
                for k, size in zip(index, shape, strict=True):
                    own = np.broadcast_to(features[k], lengths).reshape(-1).astype(np.int64)
                    if len(own) and (own.max() >= size or own.min() < -size):
                        raise IndexError(f"group {own.max()} of {size}")
                    at = at * size + own % size
                rows = np.arange(len(flat) + 1)
                flat = csr_array((flat.astype(float), at, rows), shape=(len(at), np.prod(shape)))
            out[feature, index] = flat
        return out

    def _add(
        self,
        frame: Frame,
        features: list[np.ndarray],
        num: dict[Key, np.ndarray],
        den: np.ndarray,
    ) -> None:
        lengths = tuple(frame.lengths)
        spread = self.spread(features, lengths)
        known: dict[tuple[int, int], np.ndarray] = {}
        for c, cell in enumerate(self.cells):
            for a, arm in enumerate(self.question.arms):
                who = (id(arm.condition), c)
                if who not in known:
                    weight = frame.weight(arm.condition & cell.condition)[:, 0]
                    known[who] = np.broadcast_to(weight, (len(weight), *lengths)).reshape(
                        len(weight), -1
                    )
                weight = known[who]
                den[a, c] += weight.sum(axis=1)
                for key, flat in spread.items():
                    num[key][a, c] += weight @ flat

    def _parts(self, rows: range, window: slice | None) -> Iterator[range]:
        """Yield draws that share a pass over the weights."""
        if window is None:
            yield rows[:1]
            return
        step = max(1, WEIGHTS // max(self.question.units.count, 1))
        for lo in range(0, len(rows), step):
            yield rows[lo : lo + step]

    def features(self) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Yield a window of units and the features in it."""
        units, inputs = self.question.units, self.program.inputs
        first = self.question.structure.unit_dims[0]
        length = units.sizes[first]
        parts = units.structure.parts(first, self.program.names)
        whole = not parts or self.question.population == "superpopulation"
        step = length if whole else max(1, UNITS * length // max(units.count, 1))
        cut = None if whole else first
        for start in range(0, length, max(step, 1)):
            window = slice(start, min(start + step, length))
            held: dict[str, np.ndarray] = {}

            def value(k: int, window: slice = window, held: dict[str, Array] = held) -> Array:
                part = range(1)
                return argument(inputs[k], units, part, slice(0, 1), 0, 1, cut, window, None, held)

            yield (slice(None) if whole else window), self.expansion.features(value)
