r"""The likelihood of an affine-Gaussian equation from sums of squares and products.

With a mean that is affine in expressions :math:`c(\theta)` that do not vary over rows, and one
noise (or one times a known factor of each row, by which all sums but the count are weighted),

.. math:: \ell = -n \log \sigma - \frac{1}{2 \sigma^2}
   \bigl(r'r - 2\, d' X'r + d' X'X d\bigr), \qquad d = c(\theta) - \hat c,\; r = y - X \hat c - o,

about a reference :math:`\hat c` near the least-squares fit, so that nothing cancels. Coefficients
may be hierarchical, and have any prior.

A non-centred effect of groups is written :math:`\tau\, z_{g(i)}`, a product of unknowns. It equals
:math:`(\tau z)_{g(i)}`: looking up commutes with whatever acts element by element. Written that
way (:func:`lifted`) the mean is affine in the vector :math:`\tau z`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayescausal.inference.closed_forms.affine import (
    NotAffineError,
    degree,
    factored,
    shapes_of,
    weights_of,
)
from bayescausal.inference.closed_forms.design import MOST, SAME, design_of, resolved
from bayescausal.inference.closed_forms.equation import Equation, NotReducedError, placeholder
from bayescausal.inference.closed_forms.linear import LinearStatistics
from bayescausal.inference.conditioning.row_sums import row_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytensor.graph.basic import Apply, Variable


__all__ = ["AffineTerm", "numbers_of"]


def numbers_of(total: LinearStatistics) -> dict[str, np.ndarray]:
    """Return the sums about the least-squares fit, by their names in the model."""
    total = total.about(total.fitted())
    return {
        "reference": total.reference,
        "gram": total.gram,
        "moment": total.moment,
        "square": np.asarray(total.square),
        "count": np.asarray(total.count),
    }


class AffineTerm:
    """The sums of squares and products of an affine-Gaussian equation."""

    def __init__(self, equation: Equation) -> None:
        rv = equation.rv
        self.equation, self.name, self.leaves = equation, equation.name, equation.leaves
        family = type(rv.owner.op).__name__
        if family not in ("NormalRV", "LogNormalRV"):
            raise NotReducedError(f"it is {family.removesuffix('RV')}, and its rows differ")
        self.log = family == "LogNormalRV"
        self.columns: tuple[str, ...] = (self.name, *equation.varying)
        self.observed: tuple[str, ...] = (self.name,)
        mean, spread = rv.owner.op.dist_params(rv.owner)
        rows = {equation.inputs[n] for n in equation.varying}
        unknown = {equation.inputs[n] for n in equation.unknown}
        mean = lifted(mean, rows)
        self.known = not set(ancestors([spread])) & unknown
        self.spread, self.factor = spread, spread if self.known else None
        if not self.known:
            parts = factored(spread, unknown, rows)
            if parts is None:
                raise NotReducedError("its noise is not one number, nor one times known numbers")
            self.spread, self.factor = parts
        self.cuts = _cuts(mean, rows, unknown)
        if any(not str(c.type.dtype).startswith("float") for c in self.cuts):
            raise NotReducedError("its mean is not affine in what is unknown")
        if degree(mean, self.cuts, rows) > 1:
            raise NotReducedError("its mean is not affine in what is unknown")
        places = [placeholder(f"cut_{i}", c) for i, c in enumerate(self.cuts)]
        outputs = [mean] if self.factor is None else [mean, self.factor]
        swapped = clone_replace(
            outputs, dict(zip(self.cuts, places, strict=True)), rebuild_strict=False
        )
        self._call = equation.function(swapped, places)
        self._sizes = equation.function([pt.as_tensor(c.shape) for c in self.cuts])
        self._shapes = shapes_of(equation.structure, equation.unknown)

    def shapes(self, steady: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the expressions in which the mean is affine."""
        zero = {n: np.zeros(s) for n, s in self._shapes.items()}
        found = self._sizes({**zero, **steady}) if self.cuts else []
        return {f"cut_{i}": tuple(int(k) for k in s) for i, s in enumerate(found)}

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the sums: ``reference``, ``gram``, ``moment``, ``square``, ``count``.

        Refused where the numbers contradict the form, or there are too many coefficients.
        """
        steady = {n: columns[n] for n in self.equation.steady}
        shapes = self.shapes(steady)
        size = sum(int(np.prod(s)) for s in shapes.values())
        if size > MOST:
            raise NotReducedError(f"it has more than {MOST} coefficients")
        if 2 * (size + 1) > np.size(columns[self.name]):
            raise NotReducedError("it has about as many coefficients as rows")
        total: LinearStatistics | None = None
        for rows in row_chunks(self, self.equation.structure, columns):
            y = np.asarray(rows[self.name], dtype=float)
            reference = None if total is None else total.reference
            try:
                one = self.sums({**rows, **steady}, y, shapes, size, reference)
            except NotAffineError as error:
                raise NotReducedError(str(error)) from error
            total = one if total is None else total + one
        assert total is not None

        def designs() -> Iterator[np.ndarray]:
            for rows in row_chunks(self, self.equation.structure, columns):
                shape = np.shape(rows[self.name])
                design = design_of(lambda v: self._call(v)[0], {**rows, **steady}, shapes, shape)
                yield design.sparse(size)[1].toarray()

        if not resolved(total.gram, designs):
            raise NotReducedError(SAME)
        return numbers_of(total)

    def sums(
        self,
        values: Mapping[str, np.ndarray],
        y: np.ndarray,
        shapes: Mapping[str, tuple[int, ...]],
        size: int,
        reference: np.ndarray | None,
    ) -> LinearStatistics:
        """Return the statistics of some rows."""
        design = design_of(lambda v: self._call(v)[0], values, shapes, y.shape)
        seen = (np.log(y) if self.log else y).reshape(-1)
        weight = np.ones(len(seen))
        if self.factor is not None:
            nothing = {n: np.zeros(s) for n, s in shapes.items()}
            weight = weights_of(self.name, self._call({**values, **nothing})[1], y.shape)
        gram = design.gram(weight, size)
        none = (np.zeros((size, size)), np.zeros(size), 0.0)

        def about(at: np.ndarray) -> LinearStatistics:
            rest = seen - design.offset - design.times(at)
            moment = design.transposed(weight * rest, size)
            square = float(np.sum(weight * rest * rest))
            return LinearStatistics(at, float(len(seen)), gram, moment, square, *none)

        return about(about(np.zeros(size)).fitted() if reference is None else reference)

    def term(self, data: Mapping[str, Variable], found: Mapping[str, Variable]) -> Variable:
        """Return the log-likelihood; parameters as in :meth:`CellTerm.term`."""
        cost = data["square"]
        if self.cuts:
            flat = pt.concatenate([c.flatten() if c.type.ndim else c[None] for c in self.cuts])
            step = flat - data["reference"]
            cost = (
                cost
                - 2.0 * pt.sum(step * data["moment"])
                + pt.sum(step * pt.dot(data["gram"], step))
            )
        if self.known:
            total = -0.5 * cost
        else:
            s = self.spread
            inside = -data["count"] * pt.log(s) - 0.5 * cost / s**2
            total = pt.switch(s > 0, inside, -np.inf)
        return self.equation.placed(total, found)

    def words(self, measured: Mapping[str, np.ndarray], rows: int) -> str:
        """Say what was done."""
        return (
            f"sums of squares and products of {len(measured['reference'])} terms for {rows:,} rows"
        )


def _cuts(mean: Variable, rows: set[Variable], unknown: set[Variable]) -> list[Variable]:
    """Return the largest expressions of unknowns that do not vary over rows."""
    moving: dict[Variable, bool] = {}
    touched: dict[Variable, bool] = {}
    for v in reversed(list(_ordered(mean))):
        inputs = v.owner.inputs if v.owner is not None else []
        moving[v] = v in rows or any(moving[i] for i in inputs)
        touched[v] = v in unknown or any(touched[i] for i in inputs)
    found: dict[Variable, None] = {}
    stack, seen = [mean], set()
    while stack:
        v = stack.pop()
        if v in seen or not touched[v]:
            continue
        seen.add(v)
        if not moving[v]:
            found[v] = None
        else:
            stack.extend(reversed(v.owner.inputs))
    return list(found)


def _ordered(root: Variable) -> list[Variable]:
    """Return all ancestors, children before parents."""
    done: dict[Variable, None] = {}
    stack = [(root, False)]
    while stack:
        v, ready = stack.pop()
        if v in done:
            continue
        if ready or v.owner is None:
            done[v] = None
            continue
        stack.append((v, True))
        stack.extend((i, False) for i in v.owner.inputs if i not in done)
    return list(reversed(done))


# ------------------------------------------------------ effects of groups, scaled


def lifted(root: Variable, rows: set[Variable]) -> Variable:
    """Return an equal expression with look-ups moved outward past what acts element by element.

    Leaves in `rows` vary over rows.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from bayescausal.inference.closed_forms.affine import degree
    >>> tau, z, g = pt.scalar("tau"), pt.vector("z"), pt.lvector("g")
    >>> lifted(tau * z[g], {g}).owner.op.__class__.__name__
    'AdvancedSubtensor'
    """
    for _ in range(100):
        for variable in ancestors([root]):
            swap = _swap(variable.owner, rows) if variable.owner is not None else None
            if swap is not None:
                if variable is root:
                    root = swap
                else:
                    [root] = clone_replace([root], {variable: swap}, rebuild_strict=False)
                break
        else:
            return root
    return root


def _moves(variable: Variable, rows: set[Variable]) -> bool:
    return bool(rows & set(ancestors([variable])))


def _swap(node: Apply, rows: set[Variable]) -> Variable | None:
    """Return what to write for an element-wise node over look-ups; None if there is nothing."""
    if not isinstance(node.op, Elemwise):
        return None
    looked = [v for v in node.inputs if _is_look_up(v, rows)]
    if not looked:
        return None
    index = looked[0].owner.inputs[1]
    inner = []
    for v in node.inputs:
        if v in looked:
            if v.owner.inputs[1] is not index:
                return None
            inner.append(v.owner.inputs[0])
        elif (not any(v.type.broadcastable) and v.type.ndim) or _moves(v, rows):
            return None
        else:
            inner.append(v)
    first = looked[0].owner
    return first.op.make_node(node.op(*inner), *first.inputs[1:]).outputs[0]


def _is_look_up(variable: Variable, rows: set[Variable]) -> bool:
    """Whether it is ``vector[index]`` of a vector that does not vary over rows."""
    node = variable.owner
    if node is None or not isinstance(node.op, AdvancedSubtensor) or len(node.inputs) != 2:
        return False
    vector, index = node.inputs
    one = vector.type.ndim == 1 and index.type.ndim == 1 and not index.type.dtype.startswith("bool")
    return one and not _moves(vector, rows) and _moves(index, rows)
