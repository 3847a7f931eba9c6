"""An identification formula evaluated on tables of cells, one for each posterior draw.

What a formula averages over and the outcome are axes of the tables; what it is asked at are places
on them. For the overlap population the average over the causes z of a treatment is weighted by
``P(z) e(z) (1 - e(z))``, with e(z) the chance of treatment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.without_model.discrete import Cells, Thin, thin
from bayescausal.graph.identification.algebra import conditioned
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bayescausal.graph.identification.expression import Expression

__all__ = ["FormulaReader"]


class FormulaReader:
    """The formula of one question, evaluated on arrays of P(V)."""

    def __init__(
        self,
        cells: Cells,
        formula: Expression,
        outcome: tuple[str, ...],
        treatment: tuple[str, ...],
        loose: frozenset[str],
        event: object,
    ) -> None:
        self.cells, self.formula, self.treatment = cells, formula, treatment
        self.outcome = tuple(n for n in outcome if n in formula.free)
        self.loose = tuple(n for n in cells.names if n in loose)
        self.fixed = tuple(sorted(formula.free - {*self.outcome, *loose}))
        self.score = self._score(outcome, event)
        self.weigh: Callable[[np.ndarray], np.ndarray] | None = None
        own = [n for n in self.fixed if n not in cells.names]
        self.wider = int(np.prod([len(self._levels(n)) for n in own], initial=1))

    def _levels(self, name: str) -> np.ndarray:
        return self.cells.levels[self.cells.names.index(self._base(name))]

    def _base(self, name: str) -> str:
        while name not in self.cells.names:
            name = name[:-1]  # the marks of the values that are set
        return name

    def _score(self, outcome: tuple[str, ...], event: object) -> np.ndarray:
        """Return what each value of the outcomes counts for: a number, or whether it happens."""
        if event is None:
            if len(outcome) > 1:
                raise EstimandError(
                    f"There are several outcomes, {', '.join(outcome)}, and no one mean.",
                    remedy="Ask for the probability of values: event={name: value, ...}.",
                )
            return self.cells.numbers(outcome[0])
        happens = event if isinstance(event, Mapping) else {outcome[0]: event}
        if set(happens) != set(outcome):
            raise EstimandError(
                f"event={event!r} does not name the outcomes.",
                expected=f"a value for each of {', '.join(outcome)}.",
            )
        score = np.ones(())
        for name in self.outcome:
            one = np.zeros(len(self._levels(name)))
            one[self.cells.place(name, happens[name])] = 1.0
            score = np.multiply.outer(score, one)
        return np.asarray(score)

    def at(self, world: Mapping[str, Any]) -> tuple[int, ...]:
        """Return where the fixed values of a world stand."""
        return tuple(self.cells.place(self._base(n), world[n]) for n in self.fixed)

    def weight_by_overlap(
        self,
        worlds: Sequence[dict[str, Any]],
        averaged: Sequence[str],
        causes: Sequence[str],
        fixed: Mapping[str, Any],
    ) -> None:
        """Average by ``P(z) e(z) (1 - e(z))`` over the causes z of the treatment, or some of them.

        Raises EstimandError if the treatment has other than two values.
        """
        cells, [name] = self.cells, self.treatment
        place = cells.names.index(name)
        levels = [cells.place(name, world[name]) for world in worlds]
        if len(cells.levels[place]) != 2 or levels[0] == levels[1]:
            raise EstimandError(
                f"ATO weights units by their chance of one of two values; {name!r} has "
                f"{len(cells.levels[place])}.",
                expected="a treatment of two values, compared with each other.",
                remedy="Keep the rows of two of its values.",
            )
        self.loose = tuple(n for n in cells.names if n in (*self.loose, *averaged))
        held = {n: cells.place(n, v) for n, v in fixed.items() if n in cells.names}

        def weights(joint: np.ndarray) -> np.ndarray:
            table = np.moveaxis(joint, 1 + place, -1)
            rest = [n for n in cells.names if n != name]
            chance = table.sum(axis=_axes(rest, causes), keepdims=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                chance = chance / chance.sum(axis=-1, keepdims=True)
            own = table.sum(axis=-1) * np.nan_to_num(chance.prod(axis=-1))
            for n, at in held.items():
                own = np.take(own, [at], axis=1 + rest.index(n))
            return np.asarray(own.sum(axis=_axes(rest, self.loose)))

        self.weigh = weights

    def thin(self, arms: Sequence[tuple[int, ...]]) -> Thin | None:
        """Return where the table is too thin for what the formula conditions on."""
        asked: dict[str, list[int]] = {}
        for arm in arms:
            for name, at in zip(self.fixed, arm, strict=True):
                asked.setdefault(self._base(name), []).append(at)
        acted = [n for n in self.treatment if n in self.cells.names]
        return thin(self.cells, conditioned(self.formula), asked, acted)

    def evaluate(self, joint: np.ndarray, arms: Sequence[tuple[int, ...]]) -> np.ndarray:
        """Return ``(arm, draw)``: the expected score in each world."""
        cells = self.cells
        inside = [n for n in self.loose if n in self.formula.free]
        absent = tuple(1 + i for i, n in enumerate(self.loose) if n not in inside)
        order = (*self.fixed, *inside, *self.outcome)
        with np.errstate(divide="ignore", invalid="ignore"):
            table = self.formula.evaluate(joint, cells.names, order)
        many = tuple(range(1, 1 + len(self.fixed)))
        table = np.moveaxis(table, many, range(len(many)))
        found = []
        for arm in arms:
            values = table[arm]  # draw, loose, outcome
            size = len(self.outcome)
            mean = np.tensordot(values, self.score, axes=size) if size else values
            found.append(self._averaged(np.expand_dims(mean, absent), joint))
        return np.stack(found)

    def _averaged(self, mean: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """Average over the values of variables that the answer does not depend on."""
        if self.loose:
            rest = _axes(self.cells.names, self.loose)
            weight = joint.sum(axis=rest) if self.weigh is None else self.weigh(joint)
            if self.weigh is not None:
                weight = weight / weight.reshape(len(joint), -1).sum(axis=1).reshape(
                    -1, *(1 for _ in self.loose)
                )
            mean = np.where(weight > 0, weight * mean, 0.0).reshape(len(joint), -1).sum(axis=1)
        mean = np.broadcast_to(mean, (len(joint),))
        bad = int((~np.isfinite(mean)).sum())
        if bad:
            raise DataError(
                f"The formula {self.formula} is undefined in {bad} of {len(joint)} draws: a cell "
                "that it conditions on is empty.",
                expected="units of every kind that the formula conditions on (positivity).",
                remedy="Use a larger prior=, merge levels, or ask about another contrast.",
            )
        return mean


def _axes(names: Sequence[str], kept: Iterable[str]) -> tuple[int, ...]:
    """Return the axes of a table, draws first, of all names but some."""
    return tuple(1 + i for i, n in enumerate(names) if n not in kept)
