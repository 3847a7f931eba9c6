"""Recognising equations whose coefficients can be integrated out, whatever the scales are.

See :mod:`.coefficients` for the form. Which unknowns are coefficients is read off the expressions:
first all that are Normal, then without those that an equation, a prior or a spread reads in
another way than affinely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.replace import graph_replace
from pytensor.scalar.basic import Mul
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Shape, Shape_i

from bayescausal.inference.closed_forms.affine import Expressions, NotAffineError, degree, shapes_of
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.noise_factor import factored, stripped
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock
from bayescausal.inference.hierarchies.parts import FLAT, NORMAL, VECTOR, Equation, Hierarchy, Prior
from bayescausal.inference.hierarchies.scale_map import ScaleMap
from bayescausal.model.interventions.support import is_discrete

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.model.structure.structure import Structure

__all__ = ["coefficient_block"]

#: Scales: the draws are made from a mixture that is fitted in as many dimensions.
MOST_SCALES = 12
#: Coefficients, and effective coefficients of an equation.
MOST = 40_000


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
    try:
        return CoefficientBlock(_hierarchy(work, structure, block))
    except NotAffineError as error:
        return str(error)


def _hierarchy(work: _Reading, structure: Structure, block: Block) -> Hierarchy:
    """Return the parts of a block, or refuse."""
    work.check()
    coefficients = work.coefficients()
    others = [n for n in block.unknowns if n not in coefficients]
    if not coefficients:
        raise NotAffineError("no coefficient with a Normal prior is affine in its equations")
    work.check_scales(others)
    shapes = shapes_of(structure, coefficients)
    if sum(int(np.prod(s)) for s in shapes.values()) > MOST:
        raise NotAffineError(f"it has more than {MOST:,} coefficients")
    held = {work.rv[n] for n in coefficients}
    equations, effective, sigmas = zip(*(work.equation(n, held) for n in work.means), strict=True)
    priors, laws = zip(*(work.law(n, shapes[n]) for n in coefficients), strict=True)
    nodes = [part for parts in effective for part in parts]
    read = [v for v in (*nodes, *sigmas, *(v for law in laws for v in law)) if v is not None]
    read += [i for n in others for i in work.rv[n].owner.inputs]
    given = sorted(set().union(*(work.static_columns(v) for v in read)))

    def build() -> ScaleMap:
        return ScaleMap.of(structure.model, others, shapes, nodes, sigmas, laws, given)

    return Hierarchy(shapes, tuple(others), equations, priors, build, tuple(given))


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

    def check(self) -> None:
        """Read the observed equations; refuse where they are not Normal."""
        for factor in self.block.observed:
            rv = self.structure.variable(factor.name)
            family = type(rv.owner.op).__name__
            if family not in (NORMAL, "LogNormalRV"):
                raise NotAffineError(f"{factor.name!r} is not Normal")
            self.means[factor.name] = tuple(rv.owner.op.dist_params(rv.owner))
            self.families[factor.name] = family
        if not self.means:
            raise NotAffineError("no equation reads it")

    def check_scales(self, names: Sequence[str]) -> None:
        """Refuse scales that are discrete, too many, or whose priors read rows."""
        sizes = [int(np.prod(s)) for s in shapes_of(self.structure, names).values()]
        if not 0 < sum(sizes) <= MOST_SCALES:
            raise NotAffineError(f"it has {sum(sizes)} scales, of at most {MOST_SCALES}")
        for name in names:
            if is_discrete(self.rv[name]):
                raise NotAffineError(f"{name!r} is discrete")
            if any(self.row_columns(i) for i in self.rv[name].owner.inputs):
                raise NotAffineError(f"the prior of {name!r} reads the data")

    def equation(
        self, name: str, held: set[Variable]
    ) -> tuple[Equation, list[TensorVariable], TensorVariable | None]:
        """Return an equation, its effective coefficients, and the noise if that is unknown."""
        mean, spread = self.means[name]
        free = set(self.rv.values())
        noisy = bool(self.reads(spread) & free)
        factor: TensorVariable | None = spread
        if noisy:
            taken = factored(spread, free, self.rows)
            if taken is None:
                raise NotAffineError(f"the noise of {name!r} is not one number for all units")
            spread, factor = taken
        mean = self.multiplied_out(mean)
        parts = self.effective(mean)
        if any(degree(part, held, self.leaves - held) > 1 for part in parts):
            raise NotAffineError(f"the mean of {name!r} is not affine")
        places = {part: f"{name}|{i}" for i, part in enumerate(parts)}
        sizes = self.shapes(parts)
        if sum(int(np.prod(s)) for s in sizes) > MOST:
            raise NotAffineError(f"{name!r} reads more than {MOST:,} effective coefficients")
        if degree(mean, set(parts), self.leaves - free) > 1:
            raise NotAffineError(f"the mean of {name!r} is not affine")
        equation = Equation(
            name,
            Expressions(self.structure, [mean], self.columns, places),
            None if factor is None else Expressions(self.structure, [factor], self.columns),
            dict(zip(places.values(), sizes, strict=True)),
            self.families[name] == "LogNormalRV",
            not noisy,
        )
        return equation, parts, spread if noisy else None

    def law(
        self, name: str, shape: tuple[int, ...]
    ) -> tuple[Prior, tuple[TensorVariable | None, TensorVariable | None]]:
        """Return the form of a coefficient's prior, and its mean and spread."""
        family, mean, spread = self.prior(name)
        if mean is None or spread is None:
            return Prior(shape, family, False), (None, None)
        if family in VECTOR and spread.type.ndim != 2:
            raise NotAffineError(f"the groups of {name!r} have different prior covariances")
        shared = not stripped(spread).type.ndim
        wide = pt.broadcast_to(mean, self.rv[name].shape)
        return Prior(shape, family, shared), (wide, stripped(spread) if shared else spread)

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
        if family == FLAT:
            return family, None, None
        mean, spread = rv.owner.op.dist_params(rv.owner)
        if family in VECTOR:  # one covariance for all groups, made as wide as these
            while spread.type.ndim > 2 and _adds_axis(spread):
                spread = spread.owner.inputs[0]
        return family, mean, spread

    def coefficients(self) -> list[str]:
        """Return the unknowns in which all factors are Gaussian and affine."""
        model = self.structure.model
        found = [
            n
            for n, rv in self.rv.items()
            if type(rv.owner.op).__name__ in (NORMAL, *VECTOR, FLAT)
            and model.rvs_to_transforms.get(rv) is None
            and not (type(rv.owner.op).__name__ != FLAT and self._odd(n))
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

    def _flags(self, root: Variable) -> dict[Variable, tuple[bool, bool]]:
        """Return, for all that an expression is made of, whether it reads unknowns, and rows."""
        lengths = set(self.structure.fixed.values())
        free = set(self.rv.values())
        flags: dict[Variable, tuple[bool, bool]] = {}

        def leaf(v: Variable) -> tuple[bool, bool] | None:
            if v in free:
                return True, False
            if v in self.leaves:
                return False, v in self.rows
            if isinstance(v, Constant):
                return False, bool(lengths & set(getattr(v.type, "shape", ())))
            no_value = v.owner is None or isinstance(v.owner.op, Shape | Shape_i)
            return (False, False) if no_value else None

        for v in _inputs_first(root, lambda v: leaf(v) is not None):
            own = leaf(v)
            if own is None:
                parts = [flags[i] for i in v.owner.inputs]
                own = any(p[0] for p in parts), any(p[1] for p in parts)
            flags[v] = own
        return flags

    def effective(self, mean: TensorVariable) -> list[TensorVariable]:
        """Return the largest parts of a mean that read unknowns and no rows."""
        flags = self._flags(mean)
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
        return [cast("TensorVariable", v) for v in found]

    def multiplied_out(self, mean: TensorVariable) -> TensorVariable:
        """Return a mean in which numbers multiply coefficients, not rows: s z[g] is (s z)[g].

        Where r is affine in its effective coefficients e, s r(e) = r(s e) - r(0) + s r(0).
        """
        for _ in range(MOST_SCALES):
            flags = self._flags(mean)
            found = next((v for v in flags if self._scaled(v, flags)), None)
            if found is None:
                return mean
            inputs = list(found.owner.inputs)
            rows = next(i for i in inputs if all(flags[i]))
            others = [i for i in inputs if i is not rows]
            number = pt.mul(*others) if len(others) > 1 else others[0]
            parts = self.effective(rows)
            nothing = zip(parts, self.shapes(parts), strict=True)
            scaled = self._with(rows, {e: _times(e, number) for e in parts})
            none = self._with(
                rows, {e: pt.constant(np.zeros(s), dtype=e.dtype) for e, s in nothing}
            )
            mean = self._with(mean, {found: scaled - none + number * none})
        return mean

    def _scaled(self, v: Variable, flags: Mapping[Variable, tuple[bool, bool]]) -> bool:
        """Whether something is a number that reads unknowns, times rows that read unknowns."""
        op = getattr(v.owner, "op", None)
        if not isinstance(op, Elemwise) or not isinstance(op.scalar_op, Mul) or not all(flags[v]):
            return False
        unknown = [i for i in v.owner.inputs if flags[i][0]]
        rows = [i for i in unknown if flags[i][1]]
        return (
            len(unknown) > 1
            and len(rows) == 1
            and all(all(i.type.broadcastable) for i in v.owner.inputs if i is not rows[0])
        )

    def _with(
        self, expression: TensorVariable, change: Mapping[Variable, Variable]
    ) -> TensorVariable:
        """Return an expression with parts replaced; what it reads stays what it is."""
        same = {v: v for v in named_parents([expression], self.leaves)}
        [out] = graph_replace([expression], {**same, **change}, strict=False)
        return cast("TensorVariable", out)

    def shapes(self, parts: Iterable[TensorVariable]) -> list[tuple[int, ...]]:
        from bayescausal.model.structure.rebuild import evaluate

        parts = list(parts)
        found = evaluate([part.shape for part in parts]) if parts else []
        return [tuple(int(k) for k in np.atleast_1d(shape)) for shape in found]


def _times(part: TensorVariable, number: TensorVariable) -> TensorVariable:
    """Return a part times one number, in the shape of the part."""
    return part * pt.squeeze(number) if number.type.ndim else part * number


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
