"""One block of results laid out along the outcome's units, and who counts how much in it.

Results of a program have the dims of their variables; a subgroup may be formed by variables that
vary over fewer of them. Here all are laid out along the outcome's unit dims, so that a condition,
the bootstrap's weights and the outcome can be multiplied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.weights import bayesian_bootstrap
from bayescausal.effects.estimands.conditions import Condition
from bayescausal.effects.evaluation.unit_weights import CHANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.evaluate import Block
    from bayescausal.evaluation.program import Program

__all__ = ["Frame", "Weights"]


class Weights:
    """The bootstrap's weights of the draws at work; a block of units is cut from them."""

    def __init__(self, question: Question, seed: int) -> None:
        self.question, self.seed = question, seed
        self.kept: dict[tuple[int, int, int], np.ndarray] = {}

    def of(self, rows: range) -> np.ndarray:
        """Return weights of all units, (draw, unit)."""
        question = self.question
        key = (rows.start, rows.stop, rows.step)
        if key not in self.kept:
            self.kept.clear()  # blocks come in the order of their draws
            length = question.units.sizes[question.weighted]
            self.kept[key] = bayesian_bootstrap(
                length, np.asarray(rows), self.seed, question.clusters, question.counts
            )
        return self.kept[key]


class Frame:
    """One block laid out along the outcome's unit dims, with weights per arm and cell."""

    def __init__(
        self,
        question: Question,
        program: Program,
        where: dict[str, int],
        block: Block,
        weights: Weights,
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
        self.cut = self.dims.index(first) if first in self.dims else None
        self.values = {
            name: self._lay(block.values[i], program.dims[i]) for name, i in where.items()
        }
        self.weights = self._population_weights(first, weights)
        weighting = question.estimand.weighting
        if weighting is not None:
            own = weighting.of(self.values[CHANCE])
            self.weights = own if self.weights is None else self.weights * own

    def _lay(self, value: np.ndarray, dims: Sequence[Any]) -> np.ndarray:
        """Return a value with axes (draw, replicate, *frame)."""
        value, dims = self._of_units(value, list(dims))
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

    def _of_units(self, value: np.ndarray, dims: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """Return what is known of groups for each unit of the outcome: that of its own group."""
        question = self.question
        for at, dim in enumerate(dims):
            if dim not in question.belongs or dim in self.dims:
                continue
            index = np.asarray(question.units.value(question.belongs[dim], slice(0, 1))).reshape(-1)
            if self.cut is not None:
                index = index[self.block.units]
            value = value.take(index.astype(int), axis=2 + at)
            dims = [*dims[:at], self.dims[0], *dims[at + 1 :]]
        return value, dims

    def _population_weights(self, first: str, source: Weights) -> np.ndarray | None:
        question = self.question
        if question.counts is not None and question.population != "superpopulation":
            return np.asarray(question.counts[self.block.units])[None, None]
        along = question.weighted
        if question.population != "superpopulation" or along not in self.dims:
            return None
        rows = range(question.fit.n_draws)[self.block.draws]
        weights = source.of(rows)
        weights = weights[:, self.block.units] if along == first else weights
        shape = [len(rows), 1] + [weights.shape[1] if d == along else 1 for d in self.dims]
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

    def _cut_mask(self, condition: Condition, values: dict[str, Array]) -> np.ndarray:
        """Return membership where masks cover all units and the block only some."""
        first = self.question.structure.unit_dims[0]
        place = self.dims.index(first) if first in self.dims else None
        clauses: list[tuple[str, Any]] = []
        for name, spec in condition.clauses:
            if not name and isinstance(spec, np.ndarray) and place is not None:
                cut = (*(slice(None),) * place, self.block.units)
                clauses.append((name, spec[cut]))
            else:
                clauses.append((name, spec))
        return Condition(tuple(clauses)).member(values)

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
