r"""Averages over units in closed form: sums of products of what varies and what does not.

Many outcomes' means are sums of products

.. math:: E[Y_i] = \sum_t c_t(\theta)\, f_t(x_i) \prod_{j \in J_t} U_{ij}

of a coefficient that reads parameters alone, a feature that reads data of the unit alone, and
noise. The average over units is then :math:`\sum_t c_t(\theta)\, \bar f_t`, with no noise where it
has mean zero and each factor of a term is another variable's: features are averaged once, and a
posterior draw costs as much as there are terms, whatever the number of units. It is the same number
as the mean over units and noise, not an approximation.

The expansion is symbolic, on the expression that worlds were substituted into. It ends, and the
units are evaluated one by one, where an operation is neither a sum nor a product (a link function)
or joins what varies with units and with draws in one variable (latents).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph
from pytensor.scalar import basic as ps
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Shape, Shape_i

from bayescausal.worlds.backend import Compiled
from bayescausal.worlds.memo import remember

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable

    from bayescausal.worlds.program import Program

__all__ = ["Expansion", "expand"]

#: Terms of one expression.
MOST = 256
#: Noise that has mean zero.
CENTRED = ("normal", "logistic")

_DATA, _PARAMETER, _NOISE, _OTHER = "data", "parameter", "noise", "other"


class _NoExpansionError(Exception):
    """The expression is no sum of products."""


@dataclass(frozen=True, eq=False)
class _Term:
    """``coefficient x feature x noise``; None is 1."""

    coefficient: Variable | None
    feature: Variable | None
    noise: frozenset[Variable] = frozenset()


@dataclass(frozen=True, eq=False)
class Expansion:
    """Results of a program as sums of coefficients times averages of features.

    Attributes
    ----------
    results : tuple of int
        Which of the program's results.
    terms : tuple of tuple of (int, int)
        For each result, pairs of a coefficient's and a feature's position; -1 is the number 1.
    coefficients, features : callable
        From the program's arguments, by position, to a list of arrays: coefficients (draw, ...),
        features with the unit axes.
    n_coefficients, n_features : int
    """

    results: tuple[int, ...]
    terms: tuple[tuple[tuple[int, int], ...], ...]
    coefficients: Any
    features: Any
    n_coefficients: int
    n_features: int


def expand(program: Program, results: range, reads: tuple[int, ...] = ()) -> Expansion | None:
    """Expand some results of a program; None where one is no sum of products.

    Parameters
    ----------
    program : Program
    results : range
        Positions of the results.
    reads : tuple of int
        Results that must be features themselves: what subgroups are formed by. They are the last
        features.

    Returns
    -------
    Expansion or None
    """
    key = (tuple(results), reads)
    return remember(program, key, lambda: _expand(program, results, reads))  # type: ignore[no-any-return]


def _expand(program: Program, results: range, reads: tuple[int, ...]) -> Expansion | None:
    kinds = {item.variable: _kind(program, item) for item in program.inputs}
    walker = _Walker(kinds)
    try:
        sums = [walker.terms(program.expressions[i]) for i in results]
        for i in reads:
            if walker.reads(program.expressions[i]) - {_DATA}:
                return None
    except _NoExpansionError:
        return None
    coefficients: dict[Variable, int] = {}
    features: dict[Variable, int] = {}
    pairs = []
    for terms in sums:
        found = []
        for term in terms:
            if term.noise:
                continue
            c = -1 if term.coefficient is None else term.coefficient
            f = -1 if term.feature is None else term.feature
            found.append(
                (
                    -1 if isinstance(c, int) else coefficients.setdefault(c, len(coefficients)),
                    -1 if isinstance(f, int) else features.setdefault(f, len(features)),
                )
            )
        pairs.append(tuple(found))
    shown = [*features, *(program.expressions[i] for i in reads)]
    return Expansion(
        tuple(results),
        tuple(pairs),
        _compiled(program, list(coefficients), batch=True),
        _compiled(program, shown, batch=False),
        len(coefficients),
        len(features),
    )


def _kind(program: Program, item: Any) -> str:
    if item.kind == "noise":
        return _NOISE if item.base in CENTRED else _OTHER
    if item.kind == "length":
        return _OTHER  # fit for shapes only: whatever counts units differs between them
    wide = any(d in program.unit_dims for d in item.dims)
    if item.kind == "set":
        return _DATA
    if wide:
        return _OTHER if item.batched else _DATA
    return _PARAMETER


class _Walker:
    """Expands expressions; every variable once."""

    def __init__(self, kinds: dict[Variable, str]) -> None:
        self.kinds = kinds
        self.known: dict[Variable, frozenset[str]] = {}
        self.memo: dict[Variable, list[_Term]] = {}

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
                self.known[top] = frozenset() if top.owner is None else frozenset([_OTHER])
                continue
            waiting = [v for v in top.owner.inputs if v not in self.known]
            if waiting:
                stack.extend(waiting)
                continue
            wide = isinstance(top.owner.op, Alloc)
            parts = [self.known[v] for v in top.owner.inputs[: 1 if wide else None]]
            self.known[top] = frozenset().union(*parts)
        return self.known[root]

    def terms(self, root: Variable) -> list[_Term]:
        """Return the terms of an expression."""
        if root not in self.memo:
            self.memo[root] = self._terms(root)
        return self.memo[root]

    def _terms(self, root: Variable) -> list[_Term]:
        read = self.reads(root)
        if _OTHER in read:
            raise _NoExpansionError
        if not read & {_DATA, _NOISE}:
            return [_Term(root, None)]
        if read == {_DATA}:
            return [_Term(None, root)]
        if root in self.kinds:
            return [_Term(None, None, frozenset([root]))]
        op, inputs = root.owner.op, root.owner.inputs
        if isinstance(op, DimShuffle):
            order, ndim = op.new_order, inputs[0].type.ndim
            return [_shuffled(t, order, ndim) for t in self.terms(inputs[0])]
        if isinstance(op, Alloc):
            return self.terms(inputs[0])
        if isinstance(op, Elemwise):
            return _bounded(self._elementwise(op.scalar_op, root, list(inputs)))
        raise _NoExpansionError

    def _elementwise(self, op: Any, root: Variable, inputs: list[Variable]) -> list[_Term]:
        if isinstance(op, ps.Add):
            return [t for v in inputs for t in self.terms(v)]
        if isinstance(op, ps.Sub):
            return [*self.terms(inputs[0]), *(_negative(t) for t in self.terms(inputs[1]))]
        if isinstance(op, ps.Neg):
            return [_negative(t) for t in self.terms(inputs[0])]
        if isinstance(op, ps.Second):
            return self.terms(inputs[1])
        if isinstance(op, ps.Identity | ps.Cast):
            if not str(root.type.dtype).startswith("float"):
                raise _NoExpansionError
            return self.terms(inputs[0])
        if isinstance(op, ps.Mul):
            found = self.terms(inputs[0])
            for v in inputs[1:]:
                found = _bounded([_product(a, b) for a in found for b in self.terms(v)])
            return found
        if isinstance(op, ps.TrueDiv):
            below = self.terms(inputs[1])
            if len(below) != 1 or below[0].noise:
                raise _NoExpansionError
            return [_quotient(t, below[0]) for t in self.terms(inputs[0])]
        if isinstance(op, ps.Switch):
            return self._switch(*inputs)
        raise _NoExpansionError

    def _switch(self, condition: Variable, yes: Variable, no: Variable) -> list[_Term]:
        read = self.reads(condition)
        if len(read) > 1 or read & {_NOISE, _OTHER}:
            raise _NoExpansionError
        by_unit = read == {_DATA}
        found = []
        for branch, on in ((yes, True), (no, False)):
            for t in self.terms(branch):
                inner = t.feature if by_unit else t.coefficient
                inner = pt.as_tensor(1.0) if inner is None else inner
                zero = pt.zeros((), dtype=inner.type.dtype)
                kept = (
                    pt.switch(condition, inner, zero) if on else pt.switch(condition, zero, inner)
                )
                if by_unit:
                    found.append(_Term(t.coefficient, kept, t.noise))
                else:
                    found.append(_Term(kept, t.feature, t.noise))
        return found


def _bounded(terms: list[_Term]) -> list[_Term]:
    if len(terms) > MOST:
        raise _NoExpansionError
    return terms


def _times(a: Variable | None, b: Variable | None) -> Variable | None:
    if a is None or b is None:
        return a if b is None else b
    return a * b


def _product(a: _Term, b: _Term) -> _Term:
    if a.noise & b.noise:
        raise _NoExpansionError  # a square of noise has no mean of zero
    return _Term(
        _times(a.coefficient, b.coefficient), _times(a.feature, b.feature), a.noise | b.noise
    )


def _quotient(a: _Term, b: _Term) -> _Term:
    def over(x: Variable | None, y: Variable | None) -> Variable | None:
        if y is None:
            return x
        return 1.0 / y if x is None else x / y

    return _Term(over(a.coefficient, b.coefficient), over(a.feature, b.feature), a.noise)


def _negative(t: _Term) -> _Term:
    coefficient = pt.as_tensor(-1.0) if t.coefficient is None else -t.coefficient
    return _Term(coefficient, t.feature, t.noise)


def _shuffled(t: _Term, order: Any, ndim: int) -> _Term:
    def moved(x: Variable | None) -> Variable | None:
        if x is None:
            return None
        wide = x.dimshuffle(*("x",) * (ndim - x.type.ndim), *range(x.type.ndim))
        return wide.dimshuffle(*order)

    return _Term(moved(t.coefficient), moved(t.feature), t.noise)


def _compiled(program: Program, outputs: list[Variable], *, batch: bool) -> Any:
    """Return a function of the program's arguments by position (a mapping), draws first."""
    if not outputs:
        return lambda arguments: []
    from bayescausal.worlds.program import inputs_of

    needed = inputs_of(outputs)
    used = [(k, item) for k, item in enumerate(program.inputs) if item.variable in needed]
    swap, arguments = {}, []
    for _, item in used:
        variable = item.variable
        if batch and item.batched:
            shape = (None, *variable.type.shape)
            variable = pt.TensorType(variable.type.dtype, shape)(f"b_{variable.name}")
            swap[item.variable] = variable
        arguments.append(variable)
    results = list(vectorize_graph(outputs, replace=swap)) if swap else outputs
    call = Compiled(arguments, results)

    def run(values: Any) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return [np.asarray(v) for v in call(*(values(k) for k, _ in used))]

    return run
