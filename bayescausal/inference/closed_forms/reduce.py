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

*Affine-Gaussian.* With a mean that is affine in expressions :math:`c(\theta)` that do not vary over
rows, and one noise,

.. math:: \ell = -n \log \sigma - \frac{1}{2 \sigma^2}
   \bigl(r'r - 2\, d' X'r + d' X'X d\bigr), \qquad d = c(\theta) - \hat c,\; r = y - X \hat c - o,

about a reference :math:`\hat c` near the least-squares fit, so that nothing cancels. Coefficients
may be hierarchical, and have any prior.

It fails where units touch, or where a row holds a continuous number that enters otherwise than
through an affine mean: those equations stay as they are.

References
----------
.. [1] L. D. Brown, *Fundamentals of Statistical Exponential Families*, IMS, 1986.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors

from bayescausal.inference.closed_forms.affine import (
    MOST,
    NotAffineError,
    degree,
    design_of,
    shapes_of,
)
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.lifted import lifted
from bayescausal.inference.closed_forms.linear import LinearStatistics, stripped
from bayescausal.inference.closed_forms.logistic import logit_of, logit_sum
from bayescausal.inference.closed_forms.points import POINTS
from bayescausal.inference.conditioning.factors import without_checks
from bayescausal.model.interventions.support import is_discrete, params_of
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["AffineTerm", "CellTerm", "LogitTerm", "NotReducedError", "distinct", "reductions"]

#: Rows whose designs are held at a time.
ROWS = 50_000
#: Rows on which a cell's density is compared with the rows' own.
CHECKED = 500


class NotReducedError(Exception):
    """An equation that has to keep its rows; the message says why."""


class _Equation:
    """An observed equation with its leaves replaced by free-standing inputs.

    Attributes
    ----------
    name : str
    rv : Variable
        The random variable, cloned.
    inputs : dict of str to Variable
        What stands for each leaf, by its name.
    unknown, varying, steady : tuple of str
        Leaves that are unknown, that are given per unit, that are given for all.
    leaves : tuple of str
        What a term reads: the unknown and the steady ones.
    """

    def __init__(self, structure: Structure, name: str, known: Collection[str]) -> None:
        model = structure.model
        rv = structure.variable(name)
        unit = set(structure.unit_dims)
        leaves = {*model.basic_RVs, *model.data_vars}
        found = named_parents(rv.owner.inputs, leaves)
        inputs = {
            v: _place(f"in_{v.name}", v, unit & set(structure.dims.get(str(v.name), ())))
            for v in sorted(found, key=lambda v: str(v.name))
        }
        [self.rv] = clone_replace([rv], replace=inputs, rebuild_strict=False)
        self.structure, self.name = structure, name
        self.inputs = {str(v.name): place for v, place in inputs.items()}
        read = {str(v.name) for v in named_parents(params_of(rv), leaves)}
        data = {str(v.name) for v in model.data_vars}
        self.unknown = tuple(n for n in self.inputs if n in read and n not in {*known, *data})
        given = [n for n in self.inputs if n in read and n not in self.unknown]
        self.varying = tuple(n for n in given if unit & set(structure.dims.get(n, ())))
        self.steady = tuple(n for n in given if n not in self.varying)
        self.leaves = (*self.unknown, *self.steady)
        latent = [n for n in self.unknown if unit & set(structure.dims.get(n, ()))]
        parts = {p for pair in structure.imputed.values() for p in pair}
        if structure.mixing.get(name):
            [reason, *_] = structure.mixing[name].values()
            raise NotReducedError(f"units touch ({reason})")
        if latent:
            raise NotReducedError(f"{', '.join(latent)} is unknown for each unit")
        if name in parts or parts & {*self.unknown, *given}:
            raise NotReducedError("cells are imputed")

    def function(self, outputs: Sequence[Variable], more: Sequence[Variable] = ()) -> Any:
        """Return a function of named inputs; ``more`` are inputs besides the leaves."""
        places = {**self.inputs, **{str(v.name): v for v in more}}
        inside = set(ancestors(list(outputs), blockers=list(more)))
        used = {n: v for n, v in places.items() if v in inside}
        call = pytensor.function(
            list(used.values()), list(outputs), mode=PY_MODE, on_unused_input="ignore"
        )

        def at(values: Mapping[str, Any]) -> list[np.ndarray]:
            with np.errstate(all="ignore"):
                found = call(*(np.asarray(values[n], dtype=v.type.dtype) for n, v in used.items()))
            return [np.asarray(v) for v in found]

        return at

    def placed(self, term: Variable, found: Mapping[str, Variable]) -> Variable:
        """Return a term with its inputs replaced by variables of a model."""
        inside = set(ancestors([term]))
        back = {v: found[n] for n, v in self.inputs.items() if v in inside}
        return graph_replace([term], back, strict=False)[0]


class CellTerm:
    """A sum over distinct rows, times their counts. Made by :func:`reductions`."""

    def __init__(self, equation: _Equation) -> None:
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
            self.density = pm.logp(rv, self.value, warn_rvs=False)
        except (NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            raise NotReducedError("its density is not known") from error
        self.counts = pt.vector("counts", dtype="float64")
        self._check = equation.function([without_checks(self.density)], [self.value])
        self._shapes = shapes_of(structure, equation.unknown)

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the distinct rows and their counts.

        Returns
        -------
        dict of str to ndarray
            A column for each parent, ``value`` and ``counts``.

        Raises
        ------
        NotReducedError
            If more than half of the rows differ.
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
            self._verify(columns, cells, value, code)
        return {**cells, "value": value, "counts": counts}

    def _verify(
        self, columns: Mapping[str, Any], cells: Mapping[str, Any], value: Any, code: Any
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
        """Return the log-likelihood.

        Parameters
        ----------
        data : mapping of str to Variable
            What :meth:`measure` returned, in the model.
        found : mapping of str to Variable
            The unknowns and the steady data, in the model.
        """
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


class AffineTerm:
    """The sums of squares and products of an affine-Gaussian equation."""

    def __init__(self, equation: _Equation) -> None:
        rv = equation.rv
        self.equation, self.name, self.leaves = equation, equation.name, equation.leaves
        family = type(rv.owner.op).__name__
        if family not in ("NormalRV", "LogNormalRV"):
            raise NotReducedError(f"it is {family.removesuffix('RV')}, and its rows differ")
        self.log = family == "LogNormalRV"
        mean, spread = rv.owner.op.dist_params(rv.owner)
        rows = {equation.inputs[n] for n in equation.varying}
        unknown = {equation.inputs[n] for n in equation.unknown}
        mean = lifted(mean, rows)
        moving = set(ancestors([spread])) & rows
        self.known = not set(ancestors([spread])) & unknown
        if moving and not self.known:
            raise NotReducedError("its noise differs between rows")
        self.spread = spread if self.known else stripped(spread)
        if not self.known and self.spread.type.ndim:
            raise NotReducedError("its noise is not one number")
        self.cuts = _cuts(mean, rows, unknown)
        if any(not str(c.type.dtype).startswith("float") for c in self.cuts):
            raise NotReducedError("its mean is not affine in what is unknown")
        if degree(mean, self.cuts, rows) > 1:
            raise NotReducedError("its mean is not affine in what is unknown")
        places = [_place(f"cut_{i}", c) for i, c in enumerate(self.cuts)]
        outputs = [mean, spread] if self.known else [mean]
        swapped = clone_replace(
            outputs, dict(zip(self.cuts, places, strict=True)), rebuild_strict=False
        )
        self._call = equation.function(swapped, places)
        self._sizes = equation.function([pt.as_tensor(c.shape) for c in self.cuts])
        self._shapes = shapes_of(equation.structure, equation.unknown)

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the sums.

        Returns
        -------
        dict of str to ndarray
            ``reference``, ``gram``, ``moment``, ``square``, ``count``.

        Raises
        ------
        NotReducedError
            If the numbers contradict the form, or there are too many coefficients.
        """
        steady = {n: columns[n] for n in self.equation.steady}
        zero = {n: np.zeros(s) for n, s in self._shapes.items()}
        found = self._sizes({**zero, **steady}) if self.cuts else []
        shapes = {f"cut_{i}": tuple(int(k) for k in s) for i, s in enumerate(found)}
        size = sum(int(np.prod(s)) for s in shapes.values())
        if size > MOST:
            raise NotReducedError(f"it has more than {MOST} coefficients")
        y = np.asarray(columns[self.name], dtype=float)
        if 2 * (size + 1) > y.size:
            raise NotReducedError("it has about as many coefficients as rows")
        total: Any = None
        for rows, part in self._chunks(columns, y):
            try:
                one = self._sums({**rows, **steady}, part, shapes, size, total)
            except NotAffineError as error:
                raise NotReducedError(str(error)) from error
            total = one if total is None else total + one
        total = total.about(total.fitted())
        return {
            "reference": total.reference,
            "gram": total.gram,
            "moment": total.moment,
            "square": np.asarray(total.square),
            "count": np.asarray(total.count),
        }

    def _chunks(self, columns: Mapping[str, np.ndarray], y: np.ndarray) -> Any:
        """Yield columns and values, some rows at a time where rows run along the first axis."""
        structure = self.equation.structure
        dims = structure.dims[self.name]
        held = {n: columns[n] for n in self.equation.varying}
        first = dims[0]
        inner = any(first in structure.dims[n][1:] for n in held)
        if inner or first in structure.fixed or first not in structure.unit_dims:
            yield held, y
            return
        for start in range(0, len(y), ROWS):
            cut = slice(start, start + ROWS)
            along = {n: v[cut] if structure.dims[n][0] == first else v for n, v in held.items()}
            yield along, y[cut]

    def _sums(
        self,
        values: Mapping[str, np.ndarray],
        y: np.ndarray,
        shapes: Mapping[str, tuple[int, ...]],
        size: int,
        before: LinearStatistics | None,
    ) -> LinearStatistics:
        """Return the statistics of some rows."""
        design = design_of(lambda v: self._call(v)[0], values, shapes, y.shape)
        seen = (np.log(y) if self.log else y).reshape(-1)
        weight = np.ones(len(seen))
        if self.known:
            nothing = {n: np.zeros(s) for n, s in shapes.items()}
            sigma = np.broadcast_to(self._call({**values, **nothing})[1], y.shape).reshape(-1)
            if not np.all(sigma > 0):
                raise NotAffineError("its noise is not positive")
            weight = 1.0 / sigma**2
        gram = design.gram(weight, size)
        none = (np.zeros((size, size)), np.zeros(size), 0.0)

        def about(reference: np.ndarray) -> LinearStatistics:
            rest = seen - design.offset - design.times(reference)
            moment = design.transposed(weight * rest, size)
            square = float(np.sum(weight * rest * rest))
            return LinearStatistics(reference, float(len(seen)), gram, moment, square, *none)

        return about(about(np.zeros(size)).fitted() if before is None else before.reference)

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
        inputs = {v: _place(f"in_{v.name}", v, ("unit",)) for v in named_parents([eta], leaves)}
        [self.eta] = clone_replace([eta], replace=inputs, rebuild_strict=False)
        self.name, self.inputs = name, {str(v.name): place for v, place in inputs.items()}
        self.leaves = tuple(sorted(self.inputs))

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the values as floats."""
        return {"value": np.asarray(columns[self.name], dtype=float)}

    def term(self, data: Mapping[str, Variable], found: Mapping[str, Variable]) -> Variable:
        """Return the log-likelihood; parameters as in :meth:`CellTerm.term`."""
        inside = set(ancestors([self.eta]))
        back = {v: found[n] for n, v in self.inputs.items() if v in inside}
        eta, y = graph_replace([self.eta], back, strict=False)[0], data["value"]
        if eta.type.ndim != 1 or y.type.ndim != 1 or eta.type.broadcastable[0]:
            eta = (eta + pt.zeros_like(y)).flatten()
        return logit_sum(eta, y.flatten() if y.type.ndim != 1 else y)[0]


def reductions(structure: Structure, name: str, known: Collection[str]) -> list[Any] | str:
    """Return how an observed equation can be shortened, best first; or why it cannot.

    Parameters
    ----------
    name : str
        An observed variable.
    known : collection of str
        Random variables that were observed, in every cell.

    Returns
    -------
    list of AffineTerm or CellTerm, or str
        Some may fail on the numbers.
    """
    try:
        equation = _Equation(structure, name, known)
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

    Parameters
    ----------
    arrays : sequence of ndarray
        Rows along the first axis.
    size : int
        Number of rows.

    Returns
    -------
    code : ndarray, shape (size,)
        In the order of the sorted rows.
    first : ndarray
        A row that has each code.

    Raises
    ------
    NotReducedError
        If more than half of the rows differ.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.inference.closed_forms.reduce import distinct
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


def _place(name: str, variable: Variable, units: Collection[str] = ()) -> Variable:
    """Return an input in the place of a variable: of any length, but for ones that broadcast."""
    shape = [1 if k == 1 and not units else None for k in variable.type.shape]
    return pt.TensorType(variable.type.dtype, tuple(shape))(name)


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
