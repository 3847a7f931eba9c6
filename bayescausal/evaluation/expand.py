r"""Averages over units in closed form: sums of products of what varies and what does not.

Many outcomes' means are sums of products

.. math:: E[Y_i] = \sum_t c_t(\theta)\, f_t(x_i) \prod_{j \in J_t} U_{ij}

of a coefficient that reads parameters alone, a feature that reads data of the unit alone, and
noise of mean zero. A term with noise has mean zero where each of its factors is the noise of
another variable, which is seen from the noise that the two sides of every product read; such terms
are left out from the start. The average over units is then :math:`\sum_t c_t(\theta)\, \bar f_t`:
features are averaged once, and a posterior draw costs as much as there are terms, whatever the
number of units. It is the same number as the mean over units and noise, not an approximation.
Terms with equal features are added up at every variable, so that they do not multiply with the
number of paths through a graph. A coefficient that is looked up by a column of data, the effect of
a unit's group, stays one coefficient for each group (:mod:`.terms`).

The expansion is symbolic, on the expression that worlds were substituted into. It ends, and the
units are evaluated one by one, where an operation is neither a sum nor a product (a link function)
or joins what varies with units and with draws in one variable (latents). Where only differences of
worlds are asked, such a part is one unknown factor (:mod:`.terms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.scalar import basic as ps
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayescausal.evaluation.backend import behind, inputs_of
from bayescausal.evaluation.program import evaluator
from bayescausal.evaluation.program_cache import remember
from bayescausal.evaluation.terms import (
    NoExpansionError,
    Term,
    Written,
    contracted,
    is_matrix_product,
    merged,
    narrowed,
    negated,
    ordered,
    product,
    single,
    without_common,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable
    from pytensor.scalar.basic import ScalarOp

    from bayescausal.evaluation.program import Evaluator, Input, Program

__all__ = ["Expansion", "expand"]

#: Noise that has mean zero.
CENTRED = ("normal", "logistic")

_DATA, _PARAMETER, _NOISE, _OTHER = "data", "parameter", "noise", "other"


@dataclass(frozen=True, eq=False)
class Expansion:
    """Results of a program as sums of coefficients times averages of features."""

    results: tuple[int, ...]  # which of the program's results
    # For each result: positions of a coefficient and of a feature, -1 being the number 1, and, of a
    # coefficient with an element for each group, the features that tell the group of a unit.
    terms: tuple[tuple[tuple[int, int, tuple[int, ...]], ...], ...]
    # coefficients, features: from the program's arguments, by position, to a list of arrays:
    # coefficients (draw, ...), features with the unit axes.
    coefficients: Evaluator
    features: Evaluator
    axes: tuple[int, ...]  # of each coefficient, how many axes it has within a draw
    n_features: int
    common: bool = False  # whether terms that are the same in all results were left out


def expand(
    program: Program,
    results: range,
    reads: tuple[int, ...] = (),
    *,
    lengths: frozenset[int] = frozenset(),
    widths: tuple[tuple[str, int], ...] = (),
    mixes: bool = False,
    differences: bool = False,
    held_noise: bool = False,
) -> Expansion | None:
    """Expand some results of a program; None where one is no sum of products.

    - `results`: positions of the results.
    - `reads`: results that subgroups are formed by, features themselves: the last ones.
    - `lengths`: arrays of the model's own that are as long as this are data: along the units.
    - `widths`: lengths of the dims that are not the units'.
    - `mixes`: whether an equation mixes units. A level that is set for all units is then not taken
      for one number where it is summed, sorted or moved along the units.
    - `differences`, `held_noise`: whether only differences are asked, and what all have in common
      is left out; whether noise has values, and no mean of zero.
    """
    key = (tuple(results), reads, lengths, widths, mixes, differences, held_noise)
    return remember(program, key, lambda: _expand(program, *key))


def _expand(
    program: Program,
    results: tuple[int, ...],
    reads: tuple[int, ...],
    lengths: frozenset[int],
    widths: tuple[tuple[str, int], ...],
    mixes: bool,
    differences: bool,
    held_noise: bool,
) -> Expansion | None:
    kinds = {i.variable: _kind(program, i, held_noise) for i in program.inputs}
    sizes = [i.variable for i in program.inputs if i.kind == "length"]
    filled = behind(sizes, program.expressions) if mixes else frozenset()
    shapes = {i.variable: [dict(widths).get(d or "") for d in i.dims] for i in program.inputs}
    random = frozenset(i.variable for i in program.noise)
    walker = _Walker(kinds, lengths, filled, shapes, random, differences)
    written, roots = Written(), [program.expressions[i] for i in results]
    try:
        sums = [walker.terms(written.of(v) if differences else v) for v in roots]
        sums = without_common(sums, walker.known_average, written) if walker.common else sums
        for i in reads:
            if walker.reads(program.expressions[i]) - {_DATA}:
                return None
    except NoExpansionError:
        return None
    coefficients: dict[Variable, int] = {}
    features: dict[Variable, int] = {}
    pairs = []
    for terms in sums:
        found = []
        for term in terms:
            c = -1 if term.coefficient is None else term.coefficient
            f = walker.feature(term) if term.features else -1
            one = -1 if isinstance(c, int) else coefficients.setdefault(c, len(coefficients))
            two = -1 if isinstance(f, int) else features.setdefault(f, len(features))
            groups = tuple(features.setdefault(g, len(features)) for g in term.index)
            found.append((one, two, groups))
        pairs.append(tuple(found))
    shown = [*features, *(program.expressions[i] for i in reads)]
    return Expansion(
        results,
        tuple(pairs),
        evaluator(program, list(coefficients), batch=True),
        evaluator(program, shown, batch=False),
        tuple(c.type.ndim for c in coefficients),
        len(features),
        walker.common,
    )


def _kind(program: Program, item: Input, held_noise: bool) -> str:
    if item.kind == "noise":
        return _NOISE if item.base in CENTRED and not held_noise else _OTHER
    if item.kind == "length":
        return _OTHER  # for shapes only: whatever counts units differs between them
    wide = any(d in program.unit_dims for d in item.dims)
    if item.kind == "set" or (wide and not item.batched):
        return _DATA
    return _OTHER if wide else _PARAMETER


class _Walker:
    """Expands expressions; every variable once."""

    def __init__(
        self,
        kinds: dict[Variable, str],
        lengths: frozenset[int],
        filled: frozenset[Variable],
        shapes: dict[Variable, list[int | None]],
        random: frozenset[Variable],
        differences: bool,
    ) -> None:
        self.common = False  # whether there is such a factor
        self.differences = differences  # what is no sum of products is then one unknown factor
        self.kinds, self.lengths, self.filled, self.shapes = kinds, lengths, filled, shapes
        self.random = random
        self.known: dict[Variable, frozenset[str]] = {}
        self.expanded: dict[Variable, list[Term]] = {}
        self.noises: dict[Variable, frozenset[Variable]] = {}
        self.products: dict[tuple[Variable, ...], Variable] = {}
        self.moves: dict[Any, Variable] = {}
        self.narrow: dict[Variable, Variable] = {}

    def known_average(self, term: Term) -> bool:
        """Whether a term's features read data alone."""
        return not any(self.reads(f) - {_DATA} for f in term.features)

    def feature(self, term: Term) -> Variable:
        """Return the product of a term's features, one expression for equal products."""
        if term.features not in self.products:
            first, *rest = term.features
            for each in rest:
                first = first * each
            self.products[term.features] = first
        return self.products[term.features]

    def reads(self, root: Variable) -> frozenset[str]:
        """Return the kinds of input that an expression reads, other than as a shape to fill."""
        stack = [root]
        while stack:
            top = stack[-1]
            if top in self.known:
                stack.pop()
                continue
            if top in self.kinds:
                self.known[top] = frozenset([self.kinds[top]])
                continue
            if top.owner is None or isinstance(top.owner.op, Shape | Shape_i):
                self.known[top] = self._constant(top) if top.owner is None else frozenset([_OTHER])
                continue
            waiting = [v for v in top.owner.inputs if v not in self.known]
            if waiting:
                stack.extend(waiting)
                continue
            wide = isinstance(top.owner.op, Alloc)
            parts = [self.known[v] for v in top.owner.inputs[: 1 if wide else None]]
            plain = isinstance(top.owner.op, Elemwise | DimShuffle | Alloc)
            if not plain and self.filled.intersection(top.owner.inputs):
                parts.append(frozenset([_OTHER]))  # it may count units, or tell them apart
            if not plain and not any(parts):
                parts.append(self._constant(top))  # made of numbers: a count, a table of steps
            self.known[top] = frozenset().union(*parts)
        return self.known[root]

    def _constant(self, leaf: Variable) -> frozenset[str]:
        """Return what an array of the model's own is: data where it is as long as the units."""
        shape = set(getattr(leaf.type, "shape", ()))
        along = [_DATA] if self.lengths & shape else []
        return frozenset([_OTHER] if None in shape else along)

    def terms(self, root: Variable) -> list[Term]:
        """Return the terms of an expression that have no noise, inputs before what reads them."""
        stack = [root]
        while stack:
            top = stack[-1]
            if top in self.expanded:
                stack.pop()
                continue
            try:
                parts = self._parts(top)
                waiting = [v for v in parts if v not in self.expanded]
                if waiting:
                    stack.extend(waiting)
                    continue
                self.noises[top] = self._noise(top, parts)
                self.expanded[top] = merged(self._terms(top))
            except NoExpansionError:
                if not self.differences:
                    raise
                self.common = True
                self.noises[top] = frozenset(inputs_of([top]) & self.random)
                self.expanded[top] = [Term(None, (top,))]
        return self.expanded[root]

    def _parts(self, root: Variable) -> list[Variable]:
        """Return what must be expanded before an expression is; nothing below one whole term."""
        read = self.reads(root)
        if _OTHER in read and (not self.differences or root.owner is None):
            raise NoExpansionError
        if root in self.kinds or (not read & {_NOISE, _OTHER} and len(read) < 2):
            return []
        op, inputs = root.owner.op, list(root.owner.inputs)
        if isinstance(op, DimShuffle | Alloc):
            return inputs[:1]
        if is_matrix_product(op):
            kinds = [self.reads(v) for v in inputs]
            if not any(pair == [{_DATA}, {_PARAMETER}] for pair in (kinds, kinds[::-1])):
                raise NoExpansionError
            return []
        if self._is_lookup(root):
            return []
        if not isinstance(op, Elemwise):
            raise NoExpansionError
        if isinstance(op.scalar_op, ps.Second | ps.Switch):
            return inputs[1:]
        return inputs

    def _is_lookup(self, root: Variable) -> bool:
        """Whether an expression is one element of an array of parameters for each unit, by data."""
        if not isinstance(root.owner.op, AdvancedSubtensor):
            return False
        array, *index = root.owner.inputs
        whole = root.owner.op.idx_list == tuple(range(array.type.ndim))
        if not whole or self.reads(array) != {_PARAMETER}:
            return False
        wide = [v for v in index if v.type.ndim]
        if any(all(isinstance(i, Constant) for i in inputs_of([v])) for v in wide):
            return False  # it counts the rows of an array that may be one row for all units
        return all(self.reads(v) <= {_DATA} and v.type.dtype != "bool" for v in index)

    def _noise(self, root: Variable, parts: list[Variable]) -> frozenset[Variable]:
        """Return the noise that an expression is linear in, each by itself."""
        if root in self.kinds:
            return frozenset([root] if self.kinds[root] == _NOISE else [])
        if not parts:
            return frozenset()
        found = [self.noises[v] for v in parts]
        together = frozenset().union(*found)
        product = isinstance(getattr(root.owner.op, "scalar_op", None), ps.Mul)
        if product and sum(map(len, found)) > len(together):
            raise NoExpansionError  # a square of noise has no mean of zero
        return together

    def _terms(self, root: Variable) -> list[Term]:
        read = self.reads(root)
        if not read & {_DATA, _NOISE, _OTHER}:
            return [Term(narrowed(root, self.narrow))]
        if read == {_DATA}:
            return [Term(None, (root,))]
        if root in self.kinds:
            return []  # noise, of mean zero
        op, inputs = root.owner.op, root.owner.inputs
        if isinstance(op, DimShuffle):
            order, ndim = op.new_order, inputs[0].type.ndim
            return [self._shuffled(t, order, ndim) for t in self.terms(inputs[0])]
        if isinstance(op, Alloc):
            return self.terms(inputs[0])
        if isinstance(op, AdvancedSubtensor):
            return [Term(inputs[0], (), tuple(inputs[1:]))]
        if is_matrix_product(op):
            axis = int(self.reads(inputs[0]) == {_DATA})
            matrix, vector = inputs if axis else reversed(inputs)
            return contracted(matrix, vector, axis, self.moves, self.shapes)
        return self._elementwise(op.scalar_op, root, list(inputs))

    def _elementwise(self, op: ScalarOp, root: Variable, inputs: list[Variable]) -> list[Term]:
        if isinstance(op, ps.Add):
            return [t for v in inputs for t in self.terms(v)]
        if isinstance(op, ps.Sub):
            return [*self.terms(inputs[0]), *(negated(t) for t in self.terms(inputs[1]))]
        if isinstance(op, ps.Neg):
            return [negated(t) for t in self.terms(inputs[0])]
        if isinstance(op, ps.Second):
            return self.terms(inputs[1])
        if isinstance(op, ps.Identity | ps.Cast):
            if not str(root.type.dtype).startswith("float"):
                raise NoExpansionError
            return self.terms(inputs[0])
        if isinstance(op, ps.Mul):
            found = self.terms(inputs[0])
            for v in inputs[1:]:
                found = merged([product(a, b) for a in found for b in self.terms(v)])
            return found
        if isinstance(op, ps.TrueDiv):
            below = self.terms(inputs[1])
            if len(below) != 1 or self.noises[inputs[1]] or not self.known_average(below[0]):
                raise NoExpansionError
            return [self._quotient(t, below[0]) for t in self.terms(inputs[0])]
        if isinstance(op, ps.Switch):
            return self._switch(*inputs)
        raise NoExpansionError

    def _switch(self, condition: Variable, yes: Variable, no: Variable) -> list[Term]:
        read = self.reads(condition)
        if len(read) > 1 or read & {_NOISE, _OTHER}:
            raise NoExpansionError
        by_unit = read == {_DATA}
        found = []
        for branch, on in ((yes, True), (no, False)):
            for t in self.terms(branch):
                inner = (self.feature(t) if t.features else None) if by_unit else t.coefficient
                inner = pt.as_tensor(1.0) if inner is None else inner
                zero = pt.zeros((), dtype=inner.type.dtype)
                asked = single(condition) if t.index and not by_unit else condition
                kept = pt.switch(asked, inner, zero) if on else pt.switch(asked, zero, inner)
                coefficient, features = (t.coefficient, (kept,)) if by_unit else (kept, t.features)
                found.append(Term(coefficient, features, t.index))
        return found

    def _shuffled(self, t: Term, order: Sequence[int | str], ndim: int) -> Term:
        def moved(x: Variable) -> Variable:
            key = (x, tuple(order), ndim)
            if key not in self.moves:
                wide = x.dimshuffle(*("x",) * (ndim - x.type.ndim), *range(x.type.ndim))
                self.moves[key] = wide.dimshuffle(*order)
            return self.moves[key]

        return Term(
            t.coefficient if t.coefficient is None or t.index else moved(t.coefficient),
            ordered(moved(f) for f in t.features),
            tuple(moved(g) for g in t.index),
        )

    def _quotient(self, a: Term, b: Term) -> Term:
        below = None if b.coefficient is None else 1.0 / b.coefficient
        features = (1.0 / self.feature(b),) if b.features else ()
        return product(a, Term(below, features, b.index))
