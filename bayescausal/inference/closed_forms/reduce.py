r"""Equations whose likelihood needs fewer numbers than there are rows.

An observed equation contributes :math:`\ell(\theta) = \sum_i \log p(y_i \mid x_i, \theta)`. Two
things shorten the sum without changing it by more than a constant:

*Cells.* Rows that are equal have equal terms: a sum over distinct rows, times their counts. In an
exponential family :math:`y` enters through :math:`T(y)` alone, so rows with the same *parents* can
share a cell too: the sum of :math:`\log p` over the :math:`n` rows of a cell is, up to a constant,

.. math:: \tfrac n2 \log p(u \mid x, \theta) + \tfrac n2 \log p(v \mid x, \theta)

for two points with the same mean of :math:`T`, the mean :math:`\pm` the standard deviation for a
Normal [1]_ (see :mod:`.points`). The model's own density is evaluated there: no formula is written
twice.

*Affine-Gaussian.* Where the mean is affine and the noise one number, the sums of squares and
products are enough (see :mod:`.affine_term`).

It fails where units depend on each other, or where a row holds a continuous number that enters
otherwise than through an affine mean: those equations stay as they are.

References
----------
.. [1] L. D. Brown, *Fundamentals of Statistical Exponential Families*, IMS, 1986.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors

from bayescausal.inference.closed_forms.affine import shapes_of
from bayescausal.inference.closed_forms.affine_term import AffineTerm
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.equation import (
    Equation,
    NotReducedError,
    logit_of,
    placeholder,
)
from bayescausal.inference.closed_forms.points import POINTS
from bayescausal.inference.conditioning.factors import without_checks
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import density_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["CellTerm", "LogitTerm", "Term", "distinct", "reductions"]

#: Rows on which a cell's density is compared with the rows' own.
CHECKED = 500


class CellTerm:
    """A sum over distinct rows, times their counts. Made by :func:`reductions`."""

    def __init__(self, equation: Equation) -> None:
        structure, name = equation.structure, equation.name
        self.equation, self.name, self.leaves = equation, name, equation.leaves
        unit = set(structure.unit_dims)
        dims = structure.dims[name]
        along = [d for d in dims if d in unit]
        if len(along) != 1 or dims[0] != along[0]:
            raise NotReducedError("it does not run along one dim of units, the first")
        for n in equation.varying:
            held = structure.dims[n]
            if held[0] != along[0] or unit & set(held[1:]):
                raise NotReducedError(f"{n!r} runs along other dims")
        if along[0] in structure.fixed:
            raise NotReducedError("the model carries arrays of the units' length")
        rv = equation.rv
        self.family = type(rv.owner.op).__name__
        self.points = None if is_discrete(rv) or rv.type.ndim != 1 else POINTS.get(self.family)
        self.value = pt.tensor("value", dtype=rv.type.dtype, shape=(None,) * rv.type.ndim)
        try:
            self.density = density_of(pm.logp, rv, self.value, warn_rvs=False)
        except (NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            raise NotReducedError("its density is not known") from error
        self.counts = pt.vector("counts", dtype="float64")
        self._check = equation.function([without_checks(self.density)], [self.value])
        self._shapes = shapes_of(structure, equation.unknown)

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the distinct rows: a column for each parent, ``value`` and ``counts``.

        Refused where more than half of the rows differ.
        """
        y = np.asarray(columns[self.name])
        parents = {n: np.asarray(columns[n]) for n in self.equation.varying}
        rows = list(parents.values()) if self.points else [*parents.values(), y]
        code, first = distinct(rows, len(y))
        counts = np.bincount(code, minlength=len(first)).astype(float)
        cells = {n: v[first] for n, v in parents.items()}
        if self.points:
            value, fold = self.points(y.astype(float), code, counts)
            cells = {n: np.concatenate([v] * fold) for n, v in cells.items()}
            counts = np.concatenate([counts / fold] * fold)
            if not np.all(np.isfinite(value)):
                raise NotReducedError("its sums are not finite")
        else:
            value = y[first]
        if 2 * len(counts) > len(y):
            raise NotReducedError("more than half of its rows differ")
        if not self.points:
            self.verify(columns, cells, value, code)
        return {**cells, "value": value, "counts": counts}

    def verify(
        self,
        columns: Mapping[str, Any],
        cells: Mapping[str, Any],
        value: np.ndarray,
        code: np.ndarray,
    ) -> None:
        """Compare the density of some rows with that of their cells, at a random point."""
        rng = np.random.default_rng(22)
        point = {n: rng.uniform(0.2, 0.8, size=s) for n, s in self._shapes.items()}
        steady = {n: columns[n] for n in self.equation.steady}
        some = slice(0, CHECKED)
        rows = {n: columns[n][some] for n in self.equation.varying}
        try:
            [mine] = self._check({**point, **steady, **cells, "value": value})
            [theirs] = self._check(
                {**point, **steady, **rows, "value": np.asarray(columns[self.name])[some]}
            )
            mine = np.broadcast_to(mine, value.shape[: mine.ndim])[code[some]]
        except (ValueError, IndexError) as error:
            raise NotReducedError(f"its rows cannot be taken apart ({error})") from error
        if not np.allclose(mine, np.broadcast_to(theirs, mine.shape), equal_nan=True):
            raise NotReducedError("the density of a row depends on where it stands")

    def term(self, data: Mapping[str, Variable], found: Mapping[str, Variable]) -> Variable:
        """Return the log-likelihood of the numbers and the leaves, in the model."""
        shape = (-1, *(1,) * (self.density.type.ndim - 1))
        total = pt.sum(self.density * self.counts.reshape(shape))
        [total] = graph_replace(
            [total], {self.value: data["value"], self.counts: data["counts"]}, strict=False
        )
        return self.equation.placed(total, {**found, **data})

    def words(self, measured: Mapping[str, np.ndarray], rows: int) -> str:
        """Say what was done."""
        kind = "points" if self.points else "distinct rows with counts"
        return f"{len(measured['counts']):,} {kind} for {rows:,} rows"


type Term = AffineTerm | CellTerm
"""How an equation is shortened."""


def reductions(structure: Structure, name: str, known: Collection[str]) -> list[Term] | str:
    """Return how an observed equation can be shortened, best first; or why it cannot.

    `known` are the variables that were observed in every cell. A term may fail on the numbers.
    """
    try:
        equation = Equation(structure, name, known)
    except NotReducedError as error:
        return str(error)
    found, reasons = [], []
    for kind in (AffineTerm, CellTerm):
        try:
            found.append(kind(equation))
        except NotReducedError as error:
            reasons.append(str(error))
    return found or reasons[-1]


def distinct(arrays: Sequence[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for rows spread over arrays, the code of each, and one row for each code.

    Codes are in the order of the sorted rows. Refused where more than half of the rows differ.

    Examples
    --------
    >>> import numpy as np
    >>> code, first = distinct([np.array([1, 0, 1, 0]), np.array([2, 2, 2, 2])], 4)
    >>> code.tolist(), first.tolist()
    ([1, 0, 1, 0], [1, 0])
    """
    code = np.zeros(size, dtype=np.int64)
    columns = [c for a in arrays for c in np.asarray(a).reshape(size, -1).T]
    for column in columns:
        one, values = pd.factorize(column)
        if 2 * len(values) > size:
            raise NotReducedError("more than half of its rows differ")
        code, joint = pd.factorize(code * len(values) + one)
        if 2 * len(joint) > size:
            raise NotReducedError("more than half of its rows differ")
    count = int(code.max()) + 1
    first = np.empty(count, dtype=np.int64)
    first[code[::-1]] = np.arange(size)[::-1]
    if columns:
        order = np.lexsort([c[first] for c in columns[::-1]])
        place = np.empty(count, dtype=np.int64)
        place[order] = np.arange(count)
        code, first = place[code], first[order]
    return code, first


class LogitTerm:
    """A logistic equation on its rows, evaluated in one pass (see :mod:`.logistic`)."""

    def __init__(self, structure: Structure, name: str) -> None:
        rv = structure.variable(name)
        eta = None
        if type(rv.owner.op).__name__ == "BernoulliRV":
            eta = logit_of(rv.owner.op.dist_params(rv.owner)[0])
        if eta is None:
            raise NotReducedError("it is no logistic equation")
        leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
        inputs = {
            v: placeholder(f"in_{v.name}", v, ("unit",)) for v in named_parents([eta], leaves)
        }
        [self.eta] = clone_replace([eta], replace=inputs, rebuild_strict=False)
        self.name, self.inputs = name, {str(v.name): place for v, place in inputs.items()}
        self.leaves = tuple(sorted(self.inputs))

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the values as floats."""
        return {"value": np.asarray(columns[self.name], dtype=float)}

    def term(self, data: Mapping[str, Variable], found: Mapping[str, Variable]) -> Variable:
        """Return the log-likelihood; parameters as in :meth:`CellTerm.term`."""
        from bayescausal.inference.closed_forms.logistic import logit_sum  # it loads numba

        inside = set(ancestors([self.eta]))
        back = {v: found[n] for n, v in self.inputs.items() if v in inside}
        eta, y = graph_replace([self.eta], back, strict=False)[0], data["value"]
        if eta.type.ndim != 1 or y.type.ndim != 1 or eta.type.broadcastable[0]:
            eta = (eta + pt.zeros_like(y)).flatten()
        return logit_sum(eta, y.flatten() if y.type.ndim != 1 else y)[0]
