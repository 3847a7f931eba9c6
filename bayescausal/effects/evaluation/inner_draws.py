"""One evaluation of a question: how many inner draws it takes, and how well it is known.

How many inner replicates of the noise are needed is found by a pilot on a few posterior draws:
they grow until the Monte Carlo error of one draw is below
``max(posterior sd / 10, 0.001 sd of the outcome)``, which inflates the posterior sd by less
than half a percent, or until a stated cap on the work. On a ratio scale the second of these is what
the answer moves by when a world's mean moves by 0.001 sd, so that it has no units either.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from bayescausal.counterfactuals.noise import AbductedNoise
from bayescausal.counterfactuals.predict import impossible_note
from bayescausal.effects.averaging.blocks import Cell, Reduction, reduce_question
from bayescausal.effects.averaging.closed_form import ClosedForm, closed_form
from bayescausal.effects.averaging.collapse import TOLERANCE, collapse
from bayescausal.effects.averaging.flat_quantiles import settled
from bayescausal.effects.averaging.sampled_units import sampled_units
from bayescausal.effects.averaging.smooth import smooth
from bayescausal.effects.averaging.tolerance import draw_axis, error_unit, outcome_sd
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.functionals import Quantile
from bayescausal.effects.evaluation.question import Question
from bayescausal.effects.evaluation.result import axes_of, cells_of, notes_of
from bayescausal.evaluation.noise import FreshNoise, replicates_per_group
from bayescausal.inference.stream.source_data import is_streamed
from bayescausal.types import DataError, EmptySubgroupError, UndefinedEffectError

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.program import Program

__all__ = ["ACCEPTED", "Plan", "Run"]

#: Posterior draws of the pilot.
PILOT_DRAWS = 64
#: Batches of inner replicates, from which the Monte Carlo error is read.
BATCHES = 8
#: With fewer posterior draws than the first: the second. Their spread is then seen in one draw.
FEW_DRAWS, MANY_BATCHES = 8, 64
#: Draws on which an approximation is checked.
CHECKED = 4
#: Whether a quantile settles is looked at where it wants so many times the draws of the pilot.
FLAT = 16
#: Monte Carlo error of one draw, in units of the outcome's sd, that is small enough in any case.
ACCEPTED = 1e-3
#: Cap on draws x units x replicates.
WORK = 400_000_000


@dataclass(frozen=True)
class Plan:
    """How many replicates, and what the pilot knows of the error of one."""

    replicates: int
    variance: np.ndarray | float
    target: float
    capped: bool
    flat: bool = False  #: whether the variance of a quantile does not fall with more draws
    units: int = 0  #: how many units are drawn for each posterior draw; 0: all are averaged over


@dataclass(eq=False)
class Run:
    """A question, compiled, with its subgroups."""

    question: Question
    program: Program
    where: dict[str, int]
    cells: list[Cell]
    seed: int
    left_out: tuple[Cell, ...] = field(default=(), kw_only=True)  #: of `by`, without a unit

    @classmethod
    def of(cls, question: Question, seed: int, **fields: Any) -> Self:
        """Return a question compiled, with its subgroups found: of `by` those that have units."""
        program, where = question.program()
        cells = cells_of(question, program, where, seed)
        whole = cls(question, program, where, cells, seed, **fields)
        empty = whole._without_units()
        if not empty or len(empty) == len(cells):
            return whole
        kept = [cell for cell in cells if cell not in empty]
        return cls(question, program, where, kept, seed, left_out=tuple(empty), **fields)

    def _without_units(self) -> list[Cell]:
        """Return the cells of `by` that no unit belongs to, whatever the draw."""
        question, program = self.question, self.program
        if len(self.cells) < 2 or any(program.batched[i] for i in self.where.values()):
            return []
        probe = reduce_question(
            question,
            program,
            self.where,
            self.cells,
            slice(0, 1),
            self.noise,
            replicates=1,
            inner=1,
            batches=1,
            seed=self.seed,
        )
        found = np.any(probe.size[:, :, 0] <= 0, axis=0)
        return [cell for cell, none in zip(self.cells, found, strict=True) if none]

    @property
    def exact(self) -> bool:
        """Whether nothing in the answer is simulated."""
        if self.closed is not None:
            return True
        noise = self.noise
        if isinstance(noise, AbductedNoise):
            return not any(noise.discrete(i.name) for i in self.program.noise)
        return not self.program.noise

    @cached_property
    def closed(self) -> ClosedForm | None:
        """The averages in closed form, where the outcome is a sum of products."""
        return closed_form(self.question, self.program, self.where, self.cells, self.seed)

    @cached_property
    def fewer(self) -> tuple[Question, Program] | None:
        """The same question of fewer, weighted units, where that gives the same averages."""
        found = collapse(self.question, self.program)
        if found is None:
            return None
        question, program, checked = found
        if not checked:
            total = self.question.fit.n_draws
            some = slice(0, total, max(total // CHECKED, 1))
            near, whole = (
                self._evaluated(q, p, some, 1, 1).total
                for q, p in ((question, program), (self.question, self.program))
            )
            scale = np.nanmax(np.abs(whole)) + 1e-300
            if not np.nanmax(np.abs(near - whole)) <= TOLERANCE * scale:
                return None
        return question, program

    @cached_property
    def smooth(self) -> Reduction | None:
        """The averages of all draws from those of some, where that gives the same averages."""
        question, program = self.fewer or (self.question, self.program)
        reads = tuple(self.where.values())
        return smooth(
            question, program, reads, lambda q, draws: self._evaluated(q, program, draws, 1, 1)
        )

    @cached_property
    def noise(self) -> AbductedNoise | FreshNoise:
        """The source of the noise: fresh, or that of each unit."""
        return self.question.noise(self.seed)

    @property
    def batches(self) -> int:
        """Batches of replicates."""
        return MANY_BATCHES if self.question.fit.n_draws < FEW_DRAWS else BATCHES

    @property
    def inner(self) -> int:
        """Inner replicates per evaluation."""
        return 1 if self.exact else replicates_per_group(self.question.units.count)

    def sampled(self, units: int) -> Run | None:
        """Return the question of some units of each draw, where these can answer for all."""
        question = sampled_units(self.question, self.program, units, self.seed)
        if question is None:
            return None
        program, where = question.program()
        return Run(question, program, where, self.cells, self.seed)

    def reduce(self, draws: slice, replicates: int, units: int = 0) -> Reduction:
        """Evaluate the question for some draws; with `units` of so many units of each."""
        some = self.sampled(units) if units else None
        if some is not None:
            return some._evaluated(some.question, some.program, draws, 1, 1, dealt=True)
        found, times = self._averaged(draws, replicates), 1
        if not self.question.estimand.functional.summed:
            return found
        if not self.exact:
            inner = min(self.inner, replicates)
            times = max(replicates // inner, 1) * inner
        count = found.size / times  # of the units of each arm and cell
        count = count.reshape(*count.shape, *(1,) * (found.total.ndim - count.ndim))
        return replace(found, total=found.total * count, batches=found.batches * count[:, :, None])

    def _averaged(self, draws: slice, replicates: int) -> Reduction:
        if self.closed is not None:
            return self.closed.reduce(draws)
        if self.exact and draws == slice(0, self.question.fit.n_draws) and self.smooth is not None:
            return self.smooth
        if self.fewer is not None:
            return self._evaluated(*self.fewer, draws, 1, 1)
        # a piece of streamed rows is asked for the replicates of the whole, and gives no others
        inner = max(k for k in range(1, min(self.inner, replicates) + 1) if replicates % k == 0)
        return self._evaluated(self.question, self.program, draws, replicates, inner)

    def _evaluated(
        self,
        question: Question,
        program: Program,
        draws: slice,
        replicates: int,
        inner: int,
        dealt: bool = False,
    ) -> Reduction:
        return reduce_question(
            question,
            program,
            self.where,
            self.cells,
            draws,
            self.noise,
            replicates=replicates,
            inner=inner,
            batches=self.batches,
            seed=self.seed,
            dealt=dealt,
        )

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Combine arms, the first axis, as the estimand says."""
        return self.question.estimand.combine(values)

    @property
    def pilot_draws(self) -> slice:
        """A few posterior draws, evenly spaced."""
        total, units = self.question.fit.n_draws, self.question.units.count
        many = max(4, min(PILOT_DRAWS, 20_000_000 // max(units * 8, 1)))
        return slice(0, total, max(total // min(many, total), 1))

    def plan(self) -> Plan:
        """Find the number of inner replicates by a pilot on a few draws."""
        if self.exact:
            return Plan(1, 0.0, 0.0, False)
        total, units = self.question.fit.n_draws, self.question.units.count
        replicates = max(self.inner, BATCHES if units * BATCHES <= 4_000_000 else 2)
        if total < FEW_DRAWS:
            replicates = max(replicates, 8 * MANY_BATCHES)
        replicates = -(-replicates // self.inner) * self.inner
        pilot = self.reduce(self.pilot_draws, replicates)
        self.refuse_empty(pilot)
        variance = self.variance(pilot) * replicates
        goal, needed, at = self.needed(pilot, variance, replicates)
        wanted, target = max(int(np.ceil(needed.flat[at])), 1), float(goal.flat[at])
        cap = max(WORK // max(total * units, 1), 1)
        if wanted > FLAT * replicates and (
            self._is_settled(pilot) or self._is_flat(self.pilot_draws, replicates, needed)
        ):
            return Plan(4 * replicates, variance, target, False, flat=True)
        used = max(min(wanted, cap), 1)
        used = -(-used // self.inner) * self.inner
        return Plan(used, variance, target, wanted > used)

    def needed(
        self, pilot: Reduction, variance: np.ndarray, replicates: int, accepted: float = ACCEPTED
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the error that is asked for, what it takes in each cell, and which takes most.

        - `variance`: of the answer of one draw from one replicate.
        - `replicates`: of the pilot.
        - `accepted`: an error in units of the outcome's sd that is small enough in any case.
        """
        answer = self.combine(pilot.total)
        axis = self._draw_axis
        posterior = 0.0
        if answer.shape[axis] >= 8:
            noise = variance / replicates
            spread = np.var(answer, axis=axis, ddof=1) - noise
            posterior = float(np.sqrt(np.clip(np.min(spread), 0.0, None)))
        sd = outcome_sd(self.question, pilot)
        if self.question.estimand.functional.summed:
            sd *= float(np.max(pilot.size)) / replicates
        goal = np.maximum(posterior / 10, accepted * sd * error_unit(self.question, pilot, sd))
        goal, variance = np.broadcast_arrays(goal, variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where((variance == 0) | (goal == 0), 0.0, variance / goal**2)
        return goal, needed, int(np.nanargmax(needed)) if np.isfinite(needed).any() else 0

    def _is_settled(self, pilot: Reduction) -> bool:
        """Whether a quantile is read off probabilities that are exact, however near they are."""
        if not isinstance(self.question.estimand.functional, Quantile):
            return False
        return not is_streamed(self.question.fit) and settled(self, pilot) is not None

    def _is_flat(self, draws: slice, replicates: int, needed: np.ndarray) -> bool:
        """Whether four times the draws leave the variance of a quantile where it was."""
        if not isinstance(self.question.estimand.functional, Quantile):
            return False
        before, after = (
            float(self.variance(self.reduce(draws, n)).flat[int(np.nanargmax(needed))])
            for n in (replicates, 4 * replicates)
        )
        return after > before / 2

    @property
    def _draw_axis(self) -> int:
        return draw_axis(self.question)

    def variance(self, reduction: Reduction) -> np.ndarray:
        """Return the variance of the answer of one draw, from the spread of the batches."""
        count = reduction.batches.shape[2]
        if count < 2:
            return np.zeros(())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                each = np.stack([self.combine(reduction.batches[:, :, b]) for b in range(count)])
            except UndefinedEffectError:
                return self._delta(reduction)
            spread = np.nanvar(each, axis=0, ddof=1) / count
            return np.asarray(np.nanmean(spread, axis=self._draw_axis))

    def _delta(self, reduction: Reduction) -> np.ndarray:
        """Return the variance by the delta method, where a batch alone has no answer."""
        count = reduction.batches.shape[2]
        centre = self.combine(reduction.total)
        each = []
        for b in range(count):
            left = reduction.total * count - np.nan_to_num(reduction.batches[:, :, b])
            each.append(self.combine(left / (count - 1)))
        spread = ((np.stack(each) - centre) ** 2).sum(axis=0) * (count - 1) / count
        return np.asarray(np.nanmean(spread, axis=self._draw_axis))

    def error(self, reduction: Reduction, plan: Plan) -> Array | float:
        """Return the Monte Carlo error of one draw's answer."""
        if self.exact:
            return 0.0
        count = reduction.batches.shape[2]
        few = self.question.fit.n_draws * max(count - 1, 0) < 50
        if few:
            return np.sqrt(np.asarray(plan.variance) / plan.replicates)
        return np.sqrt(self.variance(reduction))

    def laid(self, values: np.ndarray) -> xr.DataArray:
        """Return one number per cell and draw, (cell, draw), in named dims."""
        sizes = self.question.fit.posterior.sizes
        dims, coords, grid = axes_of(self)
        shape = [*grid, int(sizes["chain"]), int(sizes["draw"])]
        array = xr.DataArray(
            np.asarray(values).reshape(shape), dims=(*dims, "chain", "draw")
        ).assign_coords(coords)
        return array.transpose("chain", "draw", *dims)

    def blank(self, draws: xr.DataArray, error: float) -> Effect:
        """Return an effect with all but bounds, from its draws."""
        return Effect(
            draws=draws,
            estimand=self.question.estimand,
            mc_error=error,
            seed=self.seed,
            population=self.question.words,
            notes=notes_of(self, Plan(1, 0.0, 0.0, False), error),
        )

    def refuse_impossible(self) -> None:
        """Refuse units whose evidence the model calls impossible."""
        if isinstance(self.noise, AbductedNoise):
            note = impossible_note(self.noise, self.question.units)
            if note:
                raise DataError(note, remedy="Leave these units out, or check the model.")

    def refuse_empty(self, reduction: Reduction) -> None:
        """Refuse a subgroup without a unit, with the counts."""
        question = self.question
        for c, cell in enumerate(self.cells):
            for a, arm in enumerate(question.arms):
                empty = int(np.sum(reduction.size[a, c] <= 0))
                if not empty:
                    continue
                total = reduction.size.shape[2]
                who = arm.condition & cell.condition
                condition = who.describe()
                count = question.units.count
                found = f"0 of {count:,} units have {condition}"
                if empty < total:
                    found = f"In {empty} of {total} posterior draws no unit has {condition}"
                raise EmptySubgroupError(
                    f"{found}.",
                    expected="at least one unit in every draw.",
                    remedy=who.labels_there_are(question.fit.labels)
                    or question.estimand.if_empty(
                        condition, question.fit.columns.get(question.estimand.grouped_by or "")
                    ),
                )
