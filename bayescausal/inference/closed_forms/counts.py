r"""Conjugate blocks of counts: Beta, Dirichlet and Gamma posteriors.

Rows pick one entry of a table of unknowns, by discrete parents or not at all:

.. math::

   p_k \sim Beta(a, b),\quad y_i \sim Bernoulli(p_{k(i)}) \;&\Rightarrow\;
   p_k \mid y \sim Beta(a + s_k, b + f_k), \\
   P_k \sim Dirichlet(\alpha),\quad y_i \sim Categorical(P_{k(i)}) \;&\Rightarrow\;
   P_k \mid y \sim Dirichlet(\alpha + n_k), \\
   \lambda_k \sim Gamma(a, b),\quad y_i \sim Poisson(w_i \lambda_{k(i)}) \;&\Rightarrow\;
   \lambda_k \mid y \sim Gamma(a + \textstyle\sum y, b + \sum w)

(and Binomial, Geometric for the first) [1]_. That a row uses one entry, and how, is read off by
probing the expression, which is affine in the table (see :mod:`.affine`): offset 0 and weight 1, or
1 and -1 for the complement of a probability. The data enter through two sums per entry.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, chapters 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.closed_forms.affine import Expressions, NotAffineError, degree, shapes_of
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.design import design_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.model.structure.structure import Structure

__all__ = ["CountBlock", "CountStatistics", "count_block"]


@dataclass(frozen=True, eq=False)
class CountStatistics:
    """Two sums per entry of the tables. Those of two sets of rows add."""

    # first, second: (n_entries) Successes and failures; counts of a category, and nothing; events
    # and exposure.
    first: np.ndarray
    second: np.ndarray

    def __add__(self, other: CountStatistics) -> CountStatistics:
        return CountStatistics(self.first + other.first, self.second + other.second)


@dataclass(frozen=True, eq=False)
class _Equation:
    name: str
    family: str
    call: Expressions


#: Families of a row's law that go with a family of the table's prior.
_LIKELIHOODS = {
    "beta": ("BernoulliRV", "BinomialRV", "GeometricRV"),
    "dirichlet": ("CategoricalRV",),
    "gamma": ("PoissonRV",),
}
_PRIORS = {
    "BetaRV": "beta",
    "UniformRV": "beta",
    "DirichletRV": "dirichlet",
    "GammaRV": "gamma",
    "ExponentialRV": "gamma",
}
_WORDS = {
    "beta": "conjugate (Beta)",
    "dirichlet": "conjugate (Dirichlet)",
    "gamma": "conjugate (Gamma)",
}


class CountBlock:
    """A block with exact independent draws. Made by :func:`count_block`.

    - `names` (tuple of str)
    - `columns` (tuple of str): the columns that the statistics need.
    - `observed` (tuple of str): the variables whose equations it holds.
    - `method` (str): how it is drawn, in words.
    """

    def __init__(
        self,
        kind: str,
        shapes: dict[str, tuple[int, ...]],
        prior: CountStatistics,
        equations: list[_Equation],
    ) -> None:
        self.kind, self.shapes, self.prior, self.equations = kind, shapes, prior, equations
        self.names = tuple(shapes)
        self.method = _WORDS[kind]
        self.observed = tuple(e.name for e in equations)
        reads = [n for e in equations for n in (e.name, *e.call.reads) if n not in shapes]
        self.columns = tuple(dict.fromkeys(reads))

    def statistics(
        self,
        chunk: Mapping[str, np.ndarray],
        counts: np.ndarray | None = None,
        *,
        reference: np.ndarray | None = None,
    ) -> CountStatistics:
        """Return the statistics of some rows; as of a linear block, and without a reference.

        Refused is a row that uses several entries, or part of one.
        """
        size = len(self.prior.first)
        total = CountStatistics(np.zeros(size), np.zeros(size))
        for equation in self.equations:
            y = np.asarray(chunk[equation.name])
            weight = np.ones(y.size)
            if counts is not None:
                spread = np.asarray(counts, dtype=float).reshape(-1, *(1,) * (y.ndim - 1))
                weight = np.broadcast_to(spread, y.shape).reshape(-1)
            add = self._categories if self.kind == "dirichlet" else self._pairs
            total = total + add(equation, chunk, y, weight)
        return total

    def _pairs(
        self, equation: _Equation, chunk: Mapping[str, np.ndarray], y: np.ndarray, w: np.ndarray
    ) -> CountStatistics:
        """Return sums of rows that pick one number."""
        trials = None
        if equation.family == "BinomialRV":
            zero = {n: np.zeros(s) for n, s in self.shapes.items()}
            trials = np.broadcast_to(equation.call({**chunk, **zero})[1], y.shape).reshape(-1)
        place, offset, slope = self._picked(equation, chunk, y.shape)
        seen = y.reshape(-1).astype(float)
        size = len(self.prior.first)
        if self.kind == "gamma":
            if np.any(offset != 0) or np.any(slope < 0):
                raise NotAffineError(f"the rate of {equation.name!r} is no multiple of one unknown")
            if np.any((slope == 0) & (seen > 0)):
                raise NotAffineError(f"{equation.name!r} has events where it has no exposure")
            return CountStatistics(
                np.bincount(place, w * seen, minlength=size),
                np.bincount(place, w * slope, minlength=size),
            )
        plain = (offset == 0) & (slope == 1)
        flipped = (offset == 1) & (slope == -1)
        if not np.all(plain | flipped):
            raise NotAffineError(f"the probability of {equation.name!r} is not one of the unknowns")
        if equation.family == "GeometricRV":
            success, failure = np.ones_like(seen), seen - 1.0
        else:
            success, failure = seen, (1.0 if trials is None else trials) - seen
        yes, no = np.where(plain, success, failure), np.where(plain, failure, success)
        return CountStatistics(
            np.bincount(place, w * yes, minlength=size), np.bincount(place, w * no, minlength=size)
        )

    def _picked(
        self, equation: _Equation, chunk: Mapping[str, np.ndarray], rows: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, for each row, the entry it uses, its offset and its weight."""

        def law(values: Mapping[str, Any]) -> np.ndarray:
            return equation.call(values)[0]

        design = design_of(law, chunk, self.shapes, rows)
        n = len(design.offset)
        place, slope = np.zeros(n, dtype=np.intp), np.zeros(n)
        for columns, block in design.dense:
            used = block != 0
            several = used.sum(axis=1) + (slope != 0) > 1
            if np.any(several):
                raise NotAffineError(f"rows of {equation.name!r} use several unknowns")
            row, column = np.nonzero(used)
            place[row], slope[row] = columns.start + column, block[row, column]
        for columns, index, weight in design.scattered:
            used = weight != 0
            if np.any(used & (slope != 0)):
                raise NotAffineError(f"rows of {equation.name!r} use several unknowns")
            place[used], slope[used] = columns.start + index[used], weight[used]
        return place, design.offset, slope

    def _categories(
        self, equation: _Equation, chunk: Mapping[str, np.ndarray], y: np.ndarray, w: np.ndarray
    ) -> CountStatistics:
        """Return counts of rows that pick one vector of probabilities."""
        zero = {n: np.zeros(s) for n, s in self.shapes.items()}
        length = np.shape(equation.call({**chunk, **zero})[0])[-1]
        place, offset, slope = self._picked(equation, chunk, (*y.shape, length))
        table = place.reshape(-1, length)
        straight = table == table[:, :1] + np.arange(length)
        if np.any(offset != 0) or np.any(slope != 1) or not np.all(straight):
            raise NotAffineError(
                f"the probabilities of {equation.name!r} are not a row of the unknowns"
            )
        start = 0
        for shape in self.shapes.values():
            held = (table[:, 0] >= start) & (table[:, 0] < start + int(np.prod(shape)))
            if np.any((table[held, 0] - start) % shape[-1]) or (
                np.any(held) and shape[-1] != length
            ):
                raise NotAffineError(f"rows of {equation.name!r} use part of a vector")
            start += int(np.prod(shape))
        entry = table[np.arange(len(table)), y.reshape(-1).astype(int)]
        size = len(self.prior.first)
        return CountStatistics(np.bincount(entry, w, minlength=size), np.zeros(size))

    def draw(
        self, statistics: CountStatistics, size: int, seed: Sequence[int]
    ) -> dict[str, np.ndarray]:
        """Return independent draws of the unknowns."""
        rng = np.random.default_rng(seed)
        total = self.prior + statistics
        out, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            first = total.first[start:stop].reshape(shape)
            second = total.second[start:stop].reshape(shape)
            start = stop
            if self.kind == "beta":
                found = rng.beta(first, second, size=(size, *shape))
            elif self.kind == "gamma":
                found = rng.gamma(first, 1.0 / second, size=(size, *shape))
            else:
                gamma = rng.standard_gamma(first, size=(size, *shape))
                found = gamma / gamma.sum(axis=-1, keepdims=True)
            out[name] = found
        return out


def count_block(structure: Structure, block: Block, columns: Collection[str]) -> CountBlock | str:
    """Return a block's exact sampler, or why it is no conjugate block of counts."""
    if not block.observed:
        return "no equation reads it"
    unknown = {n: structure.variable(n) for n in block.unknowns}
    kinds = {_PRIORS.get(type(rv.owner.op).__name__, "") for rv in unknown.values()}
    kind = next(iter(kinds))
    if len(kinds) > 1 or not kind:
        return "the priors are not of one conjugate family"
    leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
    held = set(unknown.values())
    for factor in block.factors:
        if factor.name in unknown and factor.parents:
            return f"the prior of {factor.name!r} is not fixed"
    equations = []
    for factor in block.observed:
        rv = structure.variable(factor.name)
        family = type(rv.owner.op).__name__
        if family not in _LIKELIHOODS[kind]:
            return f"{factor.name!r} is {family.removesuffix('RV')}, not conjugate to its prior"
        params = rv.owner.op.dist_params(rv.owner)
        law, more = (params[1], [params[0]]) if family == "BinomialRV" else (params[0], [])
        if named_parents(more, leaves) & held:
            return f"the number of trials of {factor.name!r} is unknown"
        if degree(law, held, leaves - held) > 1:
            return f"the law of {factor.name!r} is not an entry of its unknowns"
        call = Expressions(structure, [law, *more], columns)
        equations.append(_Equation(factor.name, family, call))
    shapes = shapes_of(structure, block.unknowns)
    first, second = [], []
    for name, rv in unknown.items():
        a, b = _prior(structure, rv, shapes[name])
        if a is None or b is None:
            return f"the prior of {name!r} is not conjugate"
        first.append(a.reshape(-1))
        second.append(b.reshape(-1))
    prior = CountStatistics(np.concatenate(first), np.concatenate(second))
    return CountBlock(kind, shapes, prior, equations)


def _prior(
    structure: Structure, rv: TensorVariable, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return the prior as sums that were seen before."""
    family = type(rv.owner.op).__name__
    params = Expressions(structure, list(rv.owner.op.dist_params(rv.owner)), ())({})
    wide = [np.broadcast_to(np.asarray(p, dtype=float), shape) for p in params]
    if family == "UniformRV":
        unit = np.all(wide[0] == 0) and np.all(wide[1] == 1)
        return (np.ones(shape), np.ones(shape)) if unit else (None, None)
    if family == "DirichletRV":
        return wide[0], np.zeros(shape)
    if family == "ExponentialRV":
        return np.ones(shape), 1.0 / wide[0]
    if family == "GammaRV":
        return wide[0], 1.0 / wide[1]
    return wide[0], wide[1]
