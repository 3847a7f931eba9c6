"""Recognising equations whose coefficients can be integrated out, whatever the scales are.

See :mod:`.coefficients` for the form. Which unknowns are coefficients is read off the expressions:
first all that are Normal, then without those that an equation, a prior or a spread reads in
another way than affinely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Constant
from pytensor.tensor.elemwise import DimShuffle

from bayescausal.inference.closed_forms.affine import Expressions, degree, shapes_of
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.linear_form import stripped
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock
from bayescausal.inference.hierarchies.scale_map import ScaleMap
from bayescausal.inference.hierarchies.sparse_gaussian import Terms
from bayescausal.model.interventions.support import is_discrete

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.model.structure.structure import Structure

__all__ = ["Equation", "Hierarchy", "Prior", "coefficient_block"]

#: Scales: the draws are made from a mixture that is fitted in as many dimensions.
MOST_SCALES = 12
#: Coefficients, and effective coefficients of an equation.
MOST = 40_000

_NORMAL = "NormalRV"
_VECTOR = ("MvNormalRV", "MultivariateNormalRV")
_FLAT = "FlatRV"


@dataclass(frozen=True, eq=False)
class Equation:
    """One observed equation.

    Attributes
    ----------
    name : str
    mean, sigma : Expressions
        Of columns and effective coefficients; `sigma` is None where the noise is unknown.
    shapes : dict of str to tuple of int
        Of the effective coefficients.
    log : bool
        Whether the logarithm is Normal.
    """

    name: str
    mean: Expressions
    sigma: Expressions | None
    shapes: dict[str, tuple[int, ...]]
    log: bool

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns."""
        more = () if self.sigma is None else self.sigma.reads
        return tuple(n for n in (*self.mean.reads, *more) if n not in self.shapes)

    @property
    def size(self) -> int:
        """Number of effective coefficients."""
        return sum(int(np.prod(s)) for s in self.shapes.values())


@dataclass(frozen=True, eq=False)
class Prior:
    """The family of a coefficient's prior, and what its precision is made of.

    Attributes
    ----------
    shape : tuple of int
    family : str
    shared : bool
        Whether one sd serves all elements.
    """

    shape: tuple[int, ...]
    family: str
    shared: bool

    @property
    def size(self) -> int:
        """Rows of residuals: none where the prior is flat."""
        return 0 if self.family == _FLAT else int(np.prod(self.shape))

    @property
    def weights(self) -> int:
        """Different entries of the precision."""
        if self.family in _VECTOR:
            return self.shape[-1] ** 2
        return min(self.size, 1) if self.shared else self.size

    def terms(self, start: int, base: int) -> Terms | None:
        """Return the entries of the precision, from a row and a weight on."""
        if self.family == _FLAT:
            return None
        places = np.arange(self.size)
        if self.family not in _VECTOR:
            weight = base + (np.zeros_like(places) if self.shared else places)
            return Terms(start + places, start + places, np.ones(self.size), weight)
        k = self.shape[-1]
        group, inner = places[::k, None], np.arange(k * k)
        rows, columns = (group + inner // k).ravel(), (group + inner % k).ravel()
        weight = np.tile(base + inner, len(group))
        return Terms(start + rows, start + columns, np.ones(len(rows)), weight)

    def precision(self, spread: Array | None, n: int) -> tuple[Array, Array | float]:
        """Return the entries, shape (n, weights), and half the log-determinants."""
        if spread is None:
            return np.zeros((n, 0)), 0.0
        if self.family in _VECTOR:
            k = self.shape[-1]
            entries = np.full((n, k, k), np.nan)
            _, height = np.linalg.slogdet(spread)
            good = np.isfinite(height)
            entries[good] = np.linalg.inv(spread[good])
            return entries.reshape(n, -1), -0.5 * (self.size // k) * height
        if self.shared:
            sd = spread.reshape(n, 1)
            return 1.0 / sd**2, -self.size * np.log(sd[:, 0])
        sd = np.broadcast_to(spread, (n, *self.shape)).reshape(n, -1)
        return 1.0 / sd**2, -np.log(sd).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A block, read.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Of the coefficients.
    others : tuple of str
        The other unknowns.
    given : tuple of str
        Columns that priors read.
    """

    shapes: dict[str, tuple[int, ...]]
    others: tuple[str, ...]
    equations: tuple[Equation, ...]
    priors: tuple[Prior, ...]
    map: ScaleMap
    given: tuple[str, ...]


def coefficient_block(
    structure: Structure, block: Block, columns: Collection[str]
) -> CoefficientBlock | str:
    """Return a block's sampler, or why its coefficients cannot be integrated out.

    Parameters
    ----------
    columns : collection of str
        Names that are given by data.
    """
    work = _Reading(structure, block, columns)
    reason = work.check()
    if reason:
        return reason
    coefficients = work.coefficients()
    others = [n for n in block.unknowns if n not in coefficients]
    if not coefficients:
        return "no coefficient with a Normal prior is affine in its equations"
    if any(is_discrete(work.rv[n]) for n in others):
        return "a scale is discrete"
    held = {work.rv[n] for n in coefficients}
    free = {work.rv[n] for n in block.unknowns}
    sigmas: list[Any] = []
    equations: list[Equation] = []
    effective: list[TensorVariable] = []
    shapes = shapes_of(structure, coefficients)
    if sum(int(np.prod(s)) for s in shapes.values()) > MOST:
        return f"it has more than {MOST:,} coefficients"
    for name, (mean, spread) in work.means.items():
        noisy = work.reads(spread) & free
        spread = stripped(spread) if noisy else spread
        if noisy and (spread.type.ndim or work.row_columns(spread)):
            return f"the noise of {name!r} is not one number for all units"
        parts = work.effective(mean, free)
        if any(degree(part, held, work.leaves - held) > 1 for part in parts):
            return f"the mean of {name!r} is not affine"
        places = {part: f"{name}|{i}" for i, part in enumerate(parts)}
        sizes = work.shapes(parts)
        if sum(int(np.prod(s)) for s in sizes) > MOST:
            return f"the mean of {name!r} reads more than {MOST:,} effective coefficients"
        if degree(mean, set(parts), work.leaves - free) > 1:
            return f"the mean of {name!r} is not affine"
        equations.append(
            Equation(
                name,
                Expressions(structure, [mean], columns, places),
                None if noisy else Expressions(structure, [spread], columns),
                dict(zip(places.values(), sizes, strict=True)),
                work.families[name] == "LogNormalRV",
            )
        )
        sigmas.append(spread if noisy else None)
        effective += parts
    priors, laws = [], []
    for name in coefficients:
        family, mean, spread = work.prior(name)
        shared = spread is not None and not stripped(spread).type.ndim
        if family in _VECTOR and spread is not None and spread.type.ndim != 2:
            return f"the groups of {name!r} have different prior covariances"
        priors.append(Prior(shapes[name], family, shared))
        laws.append((mean, stripped(spread) if shared and spread is not None else spread))
    read = [v for law in laws for v in law if v is not None] + effective
    given = sorted(set().union(*(work.static_columns(v) for v in read)))
    laws = [(_wide(m, work.rv[n]), s) for n, (m, s) in zip(coefficients, laws, strict=True)]
    try:
        made = ScaleMap.of(structure.model, others, shapes, effective, sigmas, laws, given)
    except (NotImplementedError, TypeError, ValueError) as error:
        return f"the density of its scales cannot be evaluated at many points: {error}"
    if not 0 < made.dimension <= MOST_SCALES:
        return f"it has {made.dimension} scales, of at most {MOST_SCALES}"
    return CoefficientBlock(
        Hierarchy(shapes, tuple(others), tuple(equations), tuple(priors), made, tuple(given))
    )


def _wide(mean: TensorVariable | None, rv: TensorVariable) -> TensorVariable | None:
    """Return a prior mean in the shape of its coefficient."""
    import pytensor.tensor as pt

    return None if mean is None else pt.broadcast_to(mean, rv.shape)


class _Reading:
    """What the factors of a block read."""

    def __init__(self, structure: Structure, block: Block, columns: Collection[str]) -> None:
        model = structure.model
        self.structure, self.block, self.columns = structure, block, set(columns)
        self.rv = {n: structure.variable(n) for n in block.unknowns}
        self.leaves = {*model.basic_RVs, *model.data_vars}
        self.rows = {
            v
            for v in self.leaves
            if v.name not in self.rv
            and (v in model.basic_RVs or set(structure.dims.get(v.name, ())) & self._unit_dims())
        }
        self.means: dict[str, tuple[TensorVariable, TensorVariable]] = {}
        self.families: dict[str, str] = {}

    def _unit_dims(self) -> set[str]:
        dims = (self.structure.dims[f.name] for f in self.block.observed)
        return {d for own in dims for d in own if d in self.structure.unit_dims}

    def check(self) -> str:
        """Read the observed equations; say why they are not Normal."""
        for factor in self.block.observed:
            rv = self.structure.variable(factor.name)
            family = type(rv.owner.op).__name__
            if family not in (_NORMAL, "LogNormalRV"):
                return f"{factor.name!r} is not Normal"
            self.means[factor.name] = tuple(rv.owner.op.dist_params(rv.owner))
            self.families[factor.name] = family
        return "" if self.means else "no equation reads it"

    def reads(self, expression: Variable) -> set[Variable]:
        return named_parents([expression], self.leaves)

    def row_columns(self, expression: Variable) -> set[Variable]:
        return self.reads(expression) & self.rows

    def static_columns(self, expression: Variable) -> set[str]:
        """Return columns of groups that an expression reads."""
        found = self.reads(expression) - self.rows
        return {str(v.name) for v in found if v.name in self.columns and v.name not in self.rv}

    def prior(self, name: str) -> tuple[str, TensorVariable | None, TensorVariable | None]:
        rv = self.rv[name]
        family = type(rv.owner.op).__name__
        if family == _FLAT:
            return family, None, None
        mean, spread = rv.owner.op.dist_params(rv.owner)
        if family in _VECTOR:  # one covariance for all groups, made as wide as these
            while spread.type.ndim > 2 and _adds_axis(spread):
                spread = spread.owner.inputs[0]
        return family, mean, spread

    def coefficients(self) -> list[str]:
        """Return the unknowns in which all factors are Gaussian and affine."""
        model = self.structure.model
        found = [
            n
            for n, rv in self.rv.items()
            if type(rv.owner.op).__name__ in (_NORMAL, *_VECTOR, _FLAT)
            and model.rvs_to_transforms.get(rv) is None
            and not (type(rv.owner.op).__name__ != _FLAT and self._odd(n))
        ]
        sizes = {n: int(np.prod(s)) for n, s in shapes_of(self.structure, found).items()}
        while True:
            lost = self._misread(found, sizes)
            if not lost:
                return found
            found = [n for n in found if n not in lost]

    def _odd(self, name: str) -> bool:
        """Whether the prior reads rows, or is no function of scales alone."""
        _, mean, spread = self.prior(name)
        assert mean is not None
        assert spread is not None
        return bool(self.row_columns(mean) | self.row_columns(spread))

    def _misread(self, names: list[str], sizes: Mapping[str, int]) -> set[str]:
        """Return coefficients that cannot be ones, because of one factor; empty if all can."""
        held = {self.rv[n]: n for n in names}
        affine = [mean for mean, _ in self.means.values()]
        other = [spread for _, spread in self.means.values()]
        for n, rv in self.rv.items():
            if n in names:
                _, mean, spread = self.prior(n)
                affine += [] if mean is None else [mean]
                other += [] if spread is None else [spread]
            else:
                other += list(rv.owner.inputs)
        for expression in other:
            read = self.reads(expression) & set(held)
            if read:
                return {held[v] for v in read}
        for expression in affine:
            if degree(expression, set(held), self.leaves - set(held)) <= 1:
                continue
            read = self.reads(expression) & set(held)
            alone = {v for v in read if degree(expression, {v}, self.leaves - {v}) > 1}
            if alone:
                return {held[v] for v in alone}
            # a product of two: the smaller one stays with the scales
            return {min((held[v] for v in read), key=lambda n: (sizes[n], n))}
        return set()

    def effective(self, mean: TensorVariable, free: set[Variable]) -> list[TensorVariable]:
        """Return the largest parts of a mean that read unknowns and no rows."""
        lengths = set(self.structure.fixed.values())
        flags: dict[Variable, tuple[bool, bool]] = {}

        def leaf(v: Variable) -> tuple[bool, bool] | None:
            if v in free:
                return True, False
            if v in self.leaves:
                return False, v in self.rows
            if isinstance(v, Constant):
                return False, bool(lengths & set(getattr(v.type, "shape", ())))
            return (False, False) if v.owner is None else None

        for v in _inputs_first(mean, lambda v: leaf(v) is not None):
            own = leaf(v)
            if own is None:
                parts = [flags[i] for i in v.owner.inputs]
                own = any(p[0] for p in parts), any(p[1] for p in parts)
            flags[v] = own
        found: dict[Variable, None] = {}
        seen: set[Variable] = set()
        stack: list[Variable] = [mean]
        while stack:
            v = stack.pop()
            if v in seen or not flags[v][0]:
                continue
            seen.add(v)
            if flags[v][1]:
                stack.extend(v.owner.inputs)
            else:
                found[v] = None
        return list(found)  # type: ignore[arg-type]

    def shapes(self, parts: Iterable[TensorVariable]) -> list[tuple[int, ...]]:
        from bayescausal.model.structure.rebuild import evaluate

        parts = list(parts)
        found = evaluate([part.shape for part in parts]) if parts else []
        return [tuple(int(k) for k in np.atleast_1d(shape)) for shape in found]


def _adds_axis(expression: Variable) -> bool:
    """Whether an expression is another with an axis of length one in front."""
    op = getattr(expression.owner, "op", None)
    if not isinstance(op, DimShuffle):
        return False
    return op.new_order == ("x", *range(expression.type.ndim - 1))


def _inputs_first(root: Variable, is_leaf: Any) -> list[Variable]:
    out: list[Variable] = []
    done: set[Variable] = set()
    stack: list[tuple[Variable, bool]] = [(root, False)]
    while stack:
        v, ready = stack.pop()
        if v in done:
            continue
        if ready or is_leaf(v):
            done.add(v)
            out.append(v)
            continue
        stack.append((v, True))
        stack.extend((i, False) for i in v.owner.inputs)
    return out
