r"""Which equations with empty cells are drawn by data augmentation, and their rows.

Given the empty cells the posterior splits into blocks as that of complete data does: linear ones
(:mod:`..closed_forms.linear`) and generalised linear ones (:mod:`..sampling.generalised`). Given
the parameters, each empty cell is a number of its row alone, if every mean and predictor is affine
in the cells,

.. math:: \eta_i = o_i + x_i'c + \sum_j z_{ij} (o_{ij} + x_{ij}'c) .

That is proved by degrees; the numbers are read off by probing (:mod:`..closed_forms.design`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.tensor.random.basic import NormalRV

from bayescausal.inference.closed_forms.affine import NotAffineError, degree, weights_of
from bayescausal.inference.closed_forms.blocks import Block
from bayescausal.inference.closed_forms.design import design_of
from bayescausal.inference.closed_forms.linear import LinearBlock
from bayescausal.inference.closed_forms.linear_form import linear_block
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.sampling.families import Equation
from bayescausal.inference.sampling.generalised import (
    CELLS,
    MOST,
    GeneralisedBlock,
    form_of,
    generalised_block,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.affine import Expressions
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["Augmented", "Rows", "augmented", "rows_of_part"]


@dataclass(frozen=True, eq=False)
class Augmented:
    """A block of a posterior with empty cells, and what it splits into without them."""

    block: Block
    parts: tuple[LinearBlock | GeneralisedBlock, ...]
    holes: tuple[str, ...]  # the columns with empty cells, parents first

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return tuple(n for p in self.parts for n in p.names)

    @property
    def loose(self) -> list[str]:
        """The columns with empty cells that no equation reads."""
        calls = [
            e.call for p in self.parts for e in (p.equations if isinstance(p, LinearBlock) else [p])
        ]
        read = {n for call in calls for n in call.reads}
        return [n for n in self.holes if n not in read]

    @property
    def observed(self) -> tuple[str, ...]:
        """The variables whose equations it holds."""
        return tuple(n for p in self.parts for n in p.observed)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one equation: the whole ones, and those that are or read an empty cell."""

    name: str
    whole: Equation
    torn: Equation  # with zeros in the empty cells
    # Of each column that is read: where its empty cells stand among the torn rows, and the offset
    # and columns that one unit of each adds to the predictor.
    slopes: Mapping[str, tuple[Array, Array, Array]]
    own: Array  # where its own empty cells stand among the torn rows
    weights: Array  # of the torn rows: their counts, and zero for an empty cell that nothing reads


def augmented(
    structure: Structure, block: Block, columns: Collection[str], partly: Collection[str]
) -> Augmented | str:
    """Return what a block splits into once its empty cells are known, or why it cannot be drawn."""
    variables = {f.name for f in block.factors}
    holes = tuple(n for n in structure.random if n in partly and n in variables)
    odd = [f for f in block.factors if f.opaque and f.name not in holes]
    if not holes or odd:
        return odd[0].opaque if odd else "it has no empty cells"
    cells = {structure.variable(n) for n in holes}
    dims = {structure.dims[n] for n in holes}
    if len(dims) > 1 or any(len(d) != 1 for d in dims):
        return "its empty cells are not of one list of units"
    for n in holes:
        if not isinstance(structure.variable(n).owner.op, NormalRV):
            return f"{n!r} is not Normal"
    for name in variables & set(structure.random):
        if structure.mixing.get(name):
            return f"the equation of {name!r} mixes units"
    parts = _parts(structure, block, columns, variables)
    if isinstance(parts, str):
        return parts
    if set(block.unknowns) - set(holes) != {n for p in parts for n in p.names}:
        return "some of its parameters have no equation"
    leaves = {*structure.model.basic_RVs, *structure.model.data_vars} - cells
    for name in [n for p in parts for n in p.observed]:
        for rest, place in zip(*_read_by(structure, name), strict=True):
            if degree(place, cells, leaves) > (1 if rest else 0):
                return f"the equation of {name!r} is not affine in the empty cells"
    return Augmented(block, parts, holes)


def _parts(
    structure: Structure, block: Block, columns: Collection[str], variables: Collection[str]
) -> tuple[LinearBlock | GeneralisedBlock, ...] | str:
    """Return the blocks of complete data."""
    plan = make_plan(structure, columns, generalised=True)
    mine = set(block.unknowns)
    for other, why in plan.rest:
        if mine & set(other.unknowns):
            return why
    found: list[Any] = [s for s in plan.samplers if mine & set(s.names)]
    for factor in block.factors:
        if factor.name in plan.idle:  # without a parameter of its own
            alone = Block((), (replace(factor, observed=True, opaque=""),))
            form: Any = linear_block(structure, alone, columns)
            if isinstance(form, str):
                form = generalised_block(structure, alone, columns)
            found.append(form)
    for each in found:
        if not isinstance(each, LinearBlock | GeneralisedBlock):
            return each if isinstance(each, str) else f"{each.names[0]!r} is {each.method}"
    lost = {n for n in variables if n in structure.random} - {n for p in found for n in p.observed}
    return f"{min(lost)!r} has no closed form" if lost else tuple(found)


def _read_by(structure: Structure, name: str) -> tuple[list[bool], list[Any]]:
    """Return the arguments of a distribution, and whether cells may enter each."""
    rv = structure.variable(name)
    params = list(rv.owner.op.dist_params(rv.owner))
    form = form_of(rv)
    if form is None:
        return [True, *(False for _ in params[1:])], params
    more = [v for v in (form.trials, form.shape) if v is not None]
    return [True, *(False for _ in more)], [form.predictor, *more]


def rows_of_part(
    part: LinearBlock | GeneralisedBlock,
    structure: Structure,
    conformed: Conformed,
    found: Augmented,
) -> list[Rows]:
    """Return the rows of the equations of a part; refuse numbers that contradict the form."""
    holes = found.holes
    base = dict(conformed.columns)
    for n in holes:
        base[n] = np.where(conformed.missing[n], 0.0, base[n])
    if isinstance(part, LinearBlock):
        return [_rows(part, e.name, e.call, base, conformed, found) for e in part.equations]
    return [_rows(part, part.observed[0], part.call, base, conformed, found)]


def _rows(
    part: LinearBlock | GeneralisedBlock,
    name: str,
    call: Expressions,
    base: dict[str, Array],
    conformed: Conformed,
    found: Augmented,
) -> Rows:
    y = np.asarray(base[name], dtype=float)
    if y.size * max(part.size, 1) > CELLS:
        raise ArithmeticError("its design is large")
    chunk = {n: base[n] for n in (name, *call.reads) if n in base}

    def at(values: Mapping[str, Array]) -> tuple[Array, Array]:
        design = design_of(
            lambda v: call(v)[0], {**chunk, **values}, part.shapes, y.shape, dense=MOST
        )
        offset, x = design.sparse(part.size)
        return offset, x.toarray()

    read = [n for n in found.holes if n in call.reads]
    empty = {n: conformed.missing[n] for n in found.holes if n in (*read, name)}
    torn = np.zeros(y.size, dtype=bool)
    for mask in empty.values():
        torn |= mask
    place = np.cumsum(torn) - 1
    offset, x = at({})
    slopes = {}
    for n in read:
        mask = empty[n]
        one, wide = at({n: np.where(mask, 1.0, base[n])})
        slopes[n] = place[mask], (one - offset)[mask], (wide - x)[mask]
    rng = np.random.default_rng(22)
    cells = {n: rng.normal(size=int(empty[n].sum())) for n in read}
    want = at({n: _put(base[n], empty[n], v) for n, v in cells.items()})
    have = offset.copy(), x.copy()
    for n, v in cells.items():
        have[0][empty[n]] += v * slopes[n][1]
        have[1][empty[n]] += v[:, None] * slopes[n][2]
    for one, other in zip(want, have, strict=True):
        if not np.all(np.abs(one - other) <= 1e-8 * (1 + np.abs(one))):
            raise NotAffineError(f"the equation of {name!r} is not affine in the empty cells")
    whole = _equation(part, name, call, chunk, offset, x, y)
    counts = np.ones(y.size)
    if name in found.loose:
        counts[conformed.missing[name]] = 0.0
    own = place[empty[name]] if name in empty else np.zeros(0, dtype=int)
    ends = [whole.some(rows, whole.counts[rows]) for rows in (~torn, torn)]
    return Rows(name, ends[0], ends[1], slopes, own, ends[1].counts * counts[torn])


def _put(column: Array, empty: Array, cells: Array) -> Array:
    out = column.copy()
    out[empty] = cells
    return out


def _equation(
    part: LinearBlock | GeneralisedBlock,
    name: str,
    call: Expressions,
    chunk: Mapping[str, Array],
    offset: Array,
    x: Array,
    y: Array,
) -> Equation:
    """Return all rows: of a Normal equation the counts are the known parts of the precision."""
    zero = {n: np.zeros(s) for n, s in part.shapes.items()}
    ones = np.ones(y.size)
    if isinstance(part, LinearBlock):
        [own] = [e for e in part.equations if e.name == name]
        values = (np.log(y) if own.log else y).reshape(-1)
        counts = ones
        if own.weighted:
            counts = weights_of(name, call({**chunk, **zero})[1], y.shape)
        return Equation("normal", offset, x, values, ones, counts)
    trials = ones
    if part.form.trials is not None:
        trials = np.broadcast_to(call({**chunk, **zero})[1], y.shape).reshape(-1).astype(float)
    return Equation(part.form.family, offset, x, y.reshape(-1), trials, ones, part.form.power)
