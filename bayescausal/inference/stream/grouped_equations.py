"""Blocks that are not conjugate, but whose equations come down to few numbers.

What :func:`bayescausal.compress` makes of rows in memory is gathered in the pass: counts of
distinct rows for equations of discrete columns, sums of squares and products for affine-Gaussian
ones, and the means of a family's statistics for others whose parents are discrete. NUTS then runs
on a model of these numbers, at a cost that does not grow with the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.inference.closed_forms.affine_term import AffineTerm, numbers_of
from bayescausal.inference.closed_forms.compress import Compression, insert, reducible
from bayescausal.inference.closed_forms.design import MOST
from bayescausal.inference.closed_forms.equation import NotReducedError
from bayescausal.inference.closed_forms.points import POINTS
from bayescausal.inference.closed_forms.reduce import CellTerm
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.conditioning.plan import rest_of
from bayescausal.inference.conditioning.posterior import COMPRESSED
from bayescausal.inference.data.conform import Conformed
from bayescausal.inference.sampling.sample import Drawn, draw_unknowns
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import data_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.closed_forms.linear import LinearStatistics
    from bayescausal.inference.closed_forms.reduce import Term
    from bayescausal.inference.stream.source_columns import Column
    from bayescausal.model.structure.structure import Structure

__all__ = ["AffineSums", "PointSums", "counted_names", "draw_shortened", "pointed", "shorten"]

#: Cells of one equation.
CELLS = 100_000


def shorten(
    structure: Structure, columns: Mapping[str, Column], blocks: Sequence[tuple[Block, str]]
) -> dict[str, Term] | tuple[str, str]:
    """Return how the equations of blocks are gathered in a pass, from the expressions alone.

    By equation; or the equations that cannot be, and why.
    """
    known = Conformed(dict.fromkeys(columns), {}, (), {}, {}, {}, ())  # type: ignore[arg-type]
    terms: dict[str, Term] = {}
    for block, reason in blocks:
        names = [f.name for f in block.observed]
        here = ", ".join(map(repr, names or block.unknowns))
        if block.opaque:
            return here, block.opaque
        if any(is_discrete(structure.variable(n)) for n in block.unknowns):
            return here, f"{reason}, and an unknown is discrete"
        for name, options in reducible(structure, known, names).items():
            if isinstance(options, str):
                return repr(name), options
            fit = [t for t in options if _gathered(t, columns)]
            if not fit:
                return repr(name), f"{reason}, and it reads continuous columns"
            if isinstance(fit[0], AffineTerm) and AffineSums(structure, fit[0]).size > MOST:
                return repr(name), f"it has more than {MOST} coefficients"
            terms[name] = fit[0]
    return terms


def _gathered(term: Term, columns: Mapping[str, Column]) -> bool:
    """Whether a pass can gather a term's numbers."""
    if isinstance(term, AffineTerm):
        return True
    if not isinstance(term, CellTerm):
        return False
    names = term.equation.varying if pointed(term) else counted_names(term)
    return all(columns[n].finite for n in names)


def pointed(term: Term) -> bool:
    """Whether a term has cells of equal parents, whose values come down to means."""
    return isinstance(term, CellTerm) and term.points is not None


def counted_names(term: CellTerm) -> tuple[str, ...]:
    """Return the variables whose distinct rows a term needs."""
    return (*term.equation.varying, term.name)


class AffineSums:
    """The sums of an affine-Gaussian equation, gathered like those of an exact sampler.

    `columns`, `observed` (tuple of str)
    """

    def __init__(self, structure: Structure, term: AffineTerm) -> None:
        self.term = term
        self.observed, self.columns = term.observed, term.columns
        held = data_values(structure.model)
        self.steady = {n: held[n] for n in term.equation.steady}
        self.shapes = term.shapes(self.steady)
        self.size = sum(int(np.prod(s)) for s in self.shapes.values())

    def statistics(
        self,
        chunk: Mapping[str, np.ndarray],
        counts: np.ndarray | None = None,
        *,
        reference: np.ndarray | None = None,
    ) -> LinearStatistics:
        """Return the statistics of some rows; as of an exact sampler."""
        y = np.asarray(chunk[self.term.name], dtype=float)
        values = {n: chunk[n] for n in self.term.equation.varying} | self.steady
        return self.term.sums(values, y, self.shapes, self.size, reference)


@dataclass(frozen=True, eq=False)
class CellSums:
    """What the values of each cell come down to. Those of two sets of rows add."""

    family: str  # of :data:`.POINTS`
    cells: np.ndarray  # (n_cells, n_columns) The parents' values
    counts: np.ndarray  # (n_cells)
    summaries: np.ndarray  # (k, n_cells)

    def __add__(self, other: CellSums) -> CellSums:
        """Return those of both sets of rows."""
        weights = np.concatenate([self.counts, other.counts])
        parts = np.concatenate([self.summaries, other.summaries], axis=1)
        rows = np.concatenate([self.cells, other.cells])
        return _summed(self.family, rows, weights, parts)

    def numbers(self, term: CellTerm, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the points and counts of :class:`.CellTerm`."""
        points = POINTS[self.family].points(self.summaries)
        fold = len(points)
        if not np.isfinite(points).all():
            raise NotReducedError("its sums are not finite")
        out, at = {}, 0
        for name in term.equation.varying:
            shape, kind = np.shape(like[name])[1:], np.asarray(like[name]).dtype
            width = int(np.prod(shape))
            own = self.cells[:, at : at + width].reshape(-1, *shape).astype(kind)
            out[name], at = np.concatenate([own] * fold), at + width
        counts = np.concatenate([self.counts / fold] * fold)
        return {**out, "value": points.reshape(-1), "counts": counts}


class PointSums:
    """The means of an equation with discrete parents, gathered like the sums of a sampler.

    `columns`, `observed` (tuple of str)
    """

    def __init__(self, term: CellTerm) -> None:
        self.term = term
        self.observed = (term.name,)
        self.columns = (term.name, *term.equation.varying)

    def statistics(
        self,
        chunk: Mapping[str, np.ndarray],
        counts: np.ndarray | None = None,
        *,
        reference: np.ndarray | None = None,
    ) -> CellSums:
        """Return the statistics of some rows; as of an exact sampler."""
        y = np.asarray(chunk[self.term.name], dtype=float)
        parents = [np.asarray(chunk[n], float) for n in self.term.equation.varying]
        none = np.empty((len(y), 0))
        rows = np.concatenate([none, *(p.reshape(len(y), -1) for p in parents)], axis=1)
        weights = np.ones(len(y)) if counts is None else np.asarray(counts, float)
        with np.errstate(all="ignore"):
            parts = POINTS[self.term.family].start(y)
            return _summed(self.term.family, rows, weights, parts)


def _summed(family: str, rows: np.ndarray, weights: np.ndarray, parts: np.ndarray) -> CellSums:
    """Return summaries by distinct rows."""
    if rows.shape[1]:
        cells, code = np.unique(rows, axis=0, return_inverse=True)
        code = code.reshape(-1)
    else:
        cells, code = rows[:1], np.zeros(len(rows), dtype=int)
    if len(cells) > CELLS:
        raise NotAffineError(f"it has more than {CELLS:,} cells")
    counts = np.bincount(code, weights, minlength=len(cells))
    with np.errstate(all="ignore"):
        found = POINTS[family].merged(parts, weights, code, counts)
    return CellSums(family, cells, counts, found)


def _cells(
    term: CellTerm, structure: Structure, chunk: Mapping[str, np.ndarray], counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return distinct rows and counts, checked: the density of a row must not hang on its place."""
    cells = {n: chunk[n] for n in term.equation.varying}
    value = chunk[term.name]
    back = slice(None, None, -1)
    turned = {n: v[back] for n, v in {**cells, term.name: value}.items()}
    steady = {n: v for n, v in data_values(structure.model).items() if n in term.equation.steady}
    term.verify({**turned, **steady}, cells, value, np.arange(len(value))[back])
    return {**cells, "value": value, "counts": counts}


def draw_shortened(
    structure: Structure,
    terms: Mapping[str, Term],
    gathered: Mapping[str, Any],
    head: Mapping[str, np.ndarray],
    rows: int,
    gone: tuple[Sequence[str], Sequence[str]],
    **options: Any,
) -> Drawn:
    """Draw what has no exact method from the numbers that a pass has gathered.

    - `gathered`: by equation: statistics, or distinct rows and counts.
    - `head`: some rows, to condition the model on; their equations are taken out again.
    - `rows`: number of all rows.
    - `gone` (sequence of str, sequence of str): unknowns that are drawn already, and observed
      variables whose equations are left out.
    - `options`: as for :func:`bayescausal.inference.sampling.sample.draw_unknowns`.
    Raises NotReducedError if the numbers contradict the form.
    """
    chosen = {}
    for name, term in terms.items():
        found = gathered[name]
        if isinstance(term, AffineTerm):
            numbers = numbers_of(found)
        elif isinstance(found, CellSums):
            numbers = found.numbers(term, head)
        else:
            numbers = _cells(term, structure, *found)
        chosen[name] = (term, numbers)
    [unit] = structure.unit_dims
    many = len(next(iter(head.values())))
    own = {d: v for d, v in structure.model.coords.items() if v is not None and d != unit}
    coords: dict[str, Any] = {d: np.asarray(v) for d, v in own.items()}
    coords[unit] = np.arange(many)
    small = Conformed(dict(head), {}, (), {d: len(v) for d, v in coords.items()}, coords, {}, ())
    conditioned = condition(structure, small)
    model = rest_of(conditioned.model, *gone)
    model = insert(structure, model, Compression(chosen, {}))
    groups, methods, notes = draw_unknowns(structure, replace(conditioned, model=model), **options)
    if terms:
        methods = {n: COMPRESSED if how == "nuts" else how for n, how in methods.items()}
    said = [
        f"The equation of {name} is compressed to {term.words(numbers, rows)}."
        for name, (term, numbers) in chosen.items()
    ]
    return Drawn(groups, methods, (*said, *notes))
