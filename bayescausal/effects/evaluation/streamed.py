r"""Questions about rows that are not in memory: a second pass over their source.

What a question reads of each unit decides how it is answered:

* nothing, or discrete columns alone: the average over units is a sum over distinct rows,

  .. math:: \frac1n \sum_i f(x_i) = \sum_v \frac{n(v)}{n} f(v),

  counted by the engine that holds them; then everything is as for a table of few, weighted units;
* otherwise averages are added up piece by piece: sums of features where the outcome is a sum of
  products, the outcome itself where it is not.

An average, a probability and their contrasts can be had so. A quantile of continuous rows, a
subgroup formed by a mask, and answers for single units cannot, and are refused with the remedy.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from bayescausal.effects.averaging.blocks import Reduction
from bayescausal.effects.averaging.closed_form import ClosedForm, Key, closed_form
from bayescausal.effects.evaluation.inner_draws import Run
from bayescausal.effects.evaluation.population_units import called
from bayescausal.effects.evaluation.question import Question, resolve
from bayescausal.effects.evaluation.result import cells_of
from bayescausal.inference.stream.source_data import stand_in
from bayescausal.types import EstimandError, Set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.averaging.blocks import Cell
    from bayescausal.effects.averaging.closed_form import Key
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.evaluation.program import Program
    from bayescausal.inference.record import Fit

__all__ = ["streamed_run"]

#: Values of a column that an answer is given by.
MOST_LEVELS = 1_000
_REMEDY = "Read some of the rows into memory, and ask about that table: population=table."


def streamed_run(
    fit: Fit, estimand: Estimand, seed: int, *, ignore_potentials: bool = False
) -> Run:
    """Return a question about rows that stay in their source, ready to be answered.

    Raises EstimandError if the answer needs all rows at once.
    """
    table: Any = fit.data
    options = {"ignore_potentials": ignore_potentials, "seed": seed}
    if estimand.strategy == "each unit":
        raise EstimandError(
            f"{estimand.label()} has an answer for each of {len(table):,} units, which are not in "
            "memory.",
            remedy=_REMEDY,
        )
    if estimand.population.name in ("model", "target"):
        question = resolve(fit, estimand, **options)  # type: ignore[arg-type]
        return Run.of(question, seed)
    _refuse(fit, estimand)
    first = table.columns[0]
    probe = stand_in(fit, table.head(table.columns), len(table.head([first])[first]))
    question = resolve(probe, estimand, partial=True, **options)  # type: ignore[arg-type]
    estimand = question.estimand  # a slope has one step
    if question.abducted:
        raise EstimandError(
            f"The answer to {estimand.label()} rests on each unit's own noise, and the "
            f"{len(table):,} units are not in memory.",
            remedy=_REMEDY,
        )
    program, _ = question.program()
    names = _needed(question, program)
    words = _words(question, len(table))
    counted = table.distinct(names) if table.finite(names) else None
    if counted is not None:
        values, counts = counted
        question = resolve(stand_in(fit, values, len(counts)), estimand, **options)  # type: ignore[arg-type]
        question = replace(question, counts=counts, words=words)
        return CountedRun.of(question, seed, rows=len(table))
    _refuse_pieces(question, len(table))
    return _in_pieces(fit, question, names, words, seed, ignore_potentials)


def _needed(question: Question, program: Program) -> list[str]:
    """Return the columns that a question reads of each unit."""
    units = set(question.structure.unit_dims)
    read = [i.name for i in program.inputs if i.kind == "value" and units & set(i.dims)]
    if question.estimand.strategy == "causation":
        read += [*question.estimand.treatments, *question.reads]
    read += [n for n in (*question.reads, *question.by) if n not in question.recomputed]
    return [n for n in dict.fromkeys(read) if n in question.fit.columns]


def _words(question: Question, rows: int) -> str:
    asked = question.estimand.population
    at_hand = question.population == "sample"
    words = f"the {rows:,} units at hand" if at_hand else f"{asked.words}, {rows:,} seen"
    return called(words, question.structure)


# ----------------------------------------------------------------------------- refusing


def _refuse(fit: Fit, estimand: Estimand) -> None:
    """Refuse what no pass can answer."""
    table: Any = fit.data
    population = estimand.population
    if population.name == "finite":
        raise EstimandError(
            f"population='finite' keeps each unit's own noise, and the {len(table):,} units are "
            "not in memory.",
            expected="population='sample': with this many units the two differ by little.",
        )
    if getattr(population, "clusters", None) is not None:
        raise EstimandError(
            f"Clusters of {len(table):,} units that are not in memory cannot be weighted.",
            expected="population='sample' or 'superpopulation'.",
        )
    masks = [m for c in (estimand.condition, estimand.given) for m in getattr(c, "masks", ())]
    if masks:
        raise EstimandError(
            "A mask selects rows by their place, and rows that are not in memory have none.",
            remedy='Use a condition such as given={"Z": 1}, or a callable that names what it '
            "reads.",
        )
    [unit] = fit.structure.unit_dims
    for world in estimand.worlds(fit.structure.graph_for(estimand.names)).values():
        for name, act in world.items():
            value = getattr(act, "value", None) if isinstance(act, Set) else None
            dims = fit.structure.dims.get(name, ())
            if np.ndim(value) and np.ndim(value) == len(dims) and unit in dims:  # type: ignore[arg-type]
                raise EstimandError(
                    f"{name!r} is set to a value for each unit, and the {len(table):,} units are "
                    "not in memory.",
                    remedy="Use a Policy: a rule that reads other variables.",
                )


def _refuse_pieces(question: Question, rows: int) -> None:
    """Refuse what cannot be added up piece by piece."""
    estimand = question.estimand
    label = estimand.label()
    linear = estimand.functional.linear and not estimand.functional.summed
    if not linear or estimand.strategy != "averages":
        raise EstimandError(
            f"The answer to {label} is no average over units, and it reads continuous columns of "
            f"{rows:,} rows that are not in memory.",
            expected="A mean or a probability.",
            remedy=_REMEDY,
        )
    if question.population == "superpopulation":
        raise EstimandError(
            "population='superpopulation' weights each unit anew in every draw, and the answer "
            f"reads continuous columns of {rows:,} rows that are not in memory.",
            expected="population='sample': with this many units the two differ by little.",
        )


# ------------------------------------------------------------------------- distinct rows


@dataclass(eq=False)
class CountedRun(Run):
    """A question about distinct rows with counts."""

    rows: int = 0

    def refuse_empty(self, reduction: Reduction) -> None:
        """Refuse a subgroup without a unit, with the counts."""
        [unit] = self.question.structure.unit_dims
        units = replace(self.question.units, sizes={**self.question.units.sizes, unit: self.rows})
        whole = replace(self.question, units=units, counts=None)
        Run(whole, self.program, self.where, self.cells, self.seed).refuse_empty(reduction)


# --------------------------------------------------------------------------- in pieces


def _in_pieces(
    fit: Fit, question: Question, names: list[str], words: str, seed: int, ignore: bool
) -> Run:
    table: Any = fit.data
    [unit] = fit.structure.unit_dims
    program, where = question.program()
    levels = {}
    for name in question.by:
        counted = table.distinct([name]) if table.readers[name].place == 0 else None
        if counted is None or len(counted[1]) > MOST_LEVELS:
            raise EstimandError(
                f"by={name!r} has too many values: more than {MOST_LEVELS:,}.",
                expected="a discrete variable.",
                remedy="Ask for ranges with given={...}, one at a time.",
            )
        levels[name] = counted[0][name]
    some = replace(question, units=replace(question.units, columns=levels))
    cells = cells_of(some, program, where, seed)
    units = replace(question.units, sizes={**question.units.sizes, unit: len(table)})
    question = replace(question, units=units, words=words)
    run = PiecesRun(question, program, where, cells, seed)
    run.whole, run.names, run.ignore = fit, names, ignore
    return run


@dataclass(eq=False)
class PiecesRun(Run):
    """A question that is added up piece by piece."""

    whole: Any = None
    names: Sequence[str] = field(default=())
    ignore: bool = False

    @cached_property
    def closed(self) -> ClosedForm | None:
        """The averages in closed form, their features averaged in a pass."""
        found = closed_form(self.question, self.program, self.where, self.cells, self.seed)
        tied = self.question.estimand.identity is not None
        if found is None or (tied and found.expansion.common):  # see planning.plan_run
            return None
        return PassedForm(**{f.name: getattr(found, f.name) for f in fields(found)}, run=self)

    @cached_property
    def fewer(self) -> None:
        """Nothing: each piece is made smaller by itself."""
        return None

    def _evaluated(
        self,
        question: Question,
        program: Program,
        draws: slice,
        replicates: int,
        inner: int,
        dealt: bool = False,
    ) -> Reduction:
        sums = self.passed(draws, replicates)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = sums.num / sums.den
            batches = sums.batches / sums.den[:, :, None]
        spread = float(np.sqrt(max(sums.square / sums.rows - (sums.mean / sums.rows) ** 2, 0.0)))
        return Reduction(total, batches, sums.den, spread)

    def passed(self, draws: slice | None, replicates: int) -> RowSums:
        """Return the sums of a pass."""
        table = self.whole.data
        small = stand_in(self.whole, {}, 0)
        readers = {n: table.readers[n] for n in self.names}
        work = Averaging(
            small,
            readers,
            {n: v for n, v in table.orders.items() if n in readers},
            self.question.estimand,
            tuple(self.cells),
            draws,
            replicates,
            self.seed,
            self.ignore,
        )
        found = table.reduce(self.names, work)
        table.expect(0 if found is None else found.rows)
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class PassedForm(ClosedForm):
    """A closed form whose features are averaged in a pass."""

    run: Any = None

    def _averages(self, rows: range) -> tuple[dict[Key, np.ndarray], np.ndarray]:
        sums = self.run.passed(None, 1)
        shape = (*sums.den.shape[:2], len(rows))
        with np.errstate(invalid="ignore", divide="ignore"):
            averages = sums.num / sums.den[..., None]
        return self.unpacked(averages), np.broadcast_to(sums.den, shape)


@dataclass
class RowSums:
    """What some rows add to an answer."""

    rows: int
    # num, den: weighted sums, (arm, cell, ...), those of a closed form one feature, or one group of
    # it, after the other; and sums of weights, (arm, cell, draw or 1).
    num: np.ndarray
    den: np.ndarray
    batches: np.ndarray  # weighted sums of batches of noise
    # mean, square: rows times the mean of what was averaged, and of its square.
    mean: float = 0.0
    square: float = 0.0


class Averaging:
    """The pass that adds up averages. It can be sent to other processes."""

    def __init__(
        self,
        fit: Fit,
        readers: dict[str, Any],
        orders: dict[str, Any],
        estimand: Estimand,
        cells: tuple[Cell, ...],
        draws: slice | None,
        replicates: int,
        seed: int,
        ignore: bool,
    ) -> None:
        self.fit, self.readers, self.orders, self.estimand = fit, readers, orders, estimand
        self.cells, self.draws, self.replicates = cells, draws, replicates
        self.seed, self.ignore = seed, ignore
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def __call__(self, batch: Any) -> RowSums:
        """Return what a piece of the rows adds."""
        rows = batch.num_rows
        chunk = {n: c.read(batch, self.orders.get(n, ()))[0] for n, c in self.readers.items()}
        run = self._run(chunk, rows)
        if self.draws is None:
            closed = self._closed(run)
            assert closed is not None
            averages, size = closed._averages(range(1))
            den = np.array(size[..., :1])
            num = np.where(den[..., None] > 0, closed.packed(averages), 0.0) * den[..., None]
            return RowSums(rows, num, den, np.zeros(1))
        found = run.reduce(self.draws, self.replicates)
        weight = found.size
        event = (1,) * (found.total.ndim - weight.ndim)
        wide = weight.reshape(*weight.shape, *event)
        whole = np.where(wide > 0, found.total, 0.0)
        middle = float(np.mean(whole))
        return RowSums(
            rows,
            whole * wide,
            wide,
            np.nan_to_num(found.batches) * wide[:, :, None],
            rows * middle,
            rows * (found.spread**2 + middle**2),
        )

    def _run(self, chunk: dict[str, np.ndarray], rows: int) -> Run:
        """Return the question about a piece, with noise of its own."""
        own = stand_in(self.fit, chunk, rows)
        marks = [crc32(np.ascontiguousarray(v[:4096]).tobytes()) for v in chunk.values()]
        seed = int(np.random.SeedSequence([self.seed, rows, *marks]).generate_state(1)[0])
        question = resolve(own, self.estimand, ignore_potentials=self.ignore, seed=seed)
        program, where = question.program()
        return Run(question, program, where, list(self.cells), seed)

    def _closed(self, run: Run) -> ClosedForm | None:
        """Return the closed form of a piece; what was compiled before is used again."""
        held = getattr(self._local, "closed", None)
        if held is not None and held.program is run.program:
            return replace(held, question=run.question)
        found = run.closed
        self._local.closed = found
        return found

    def add(self, one: RowSums, other: RowSums) -> RowSums:
        """Return what two pieces add."""
        return RowSums(
            one.rows + other.rows,
            one.num + other.num,
            one.den + other.den,
            one.batches + other.batches,
            one.mean + other.mean,
            one.square + other.square,
        )
