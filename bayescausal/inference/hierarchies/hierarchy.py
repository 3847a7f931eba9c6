"""Recognising equations whose coefficients can be integrated out, whatever the scales are.

See :mod:`.coefficients` for the form. Which unknowns are coefficients is read off the expressions:
first all that are Normal, or Gaussian paths (:mod:`.paths`), then without those that an equation, a
prior or a spread reads in another way than affinely. Walks take the place of steps that are summed
up (:mod:`.walks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.elemwise import DimShuffle

from bayescausal.inference.closed_forms.affine import (
    Expressions,
    NotAffineError,
    degree,
    factored,
    shapes_of,
    stripped,
)
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock
from bayescausal.inference.hierarchies.effective import Means
from bayescausal.inference.hierarchies.parts import (
    FLAT,
    NORMAL,
    VECTOR,
    AffineEquation,
    Hierarchy,
    Prior,
)
from bayescausal.inference.hierarchies.paths import PATHS, PathLaw, path_law
from bayescausal.inference.hierarchies.scale_map import ScaleMap
from bayescausal.inference.hierarchies.walks import Stand, sums, walked
from bayescausal.model.interventions.support import is_discrete

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.model.structure.structure import Structure

__all__ = ["FEW_SCALES", "Reading", "coefficient_block", "read_hierarchy"]

#: Scales: the draws are made from a mixture that is fitted in as many dimensions, or by a chain
#: that moves them one by one. Of so few as the first, that chain is not run where a mixture does
#: not fit, unless there is one for each of several coefficients: a ridge between them, which other
#: samplers follow, would stop it.
SURE_SCALES, FEW_SCALES, MOST_SCALES = 12, 24, 2_000
#: Coefficients, and effective coefficients of an equation.
MOST = 40_000


def coefficient_block(
    structure: Structure,
    block: Block,
    columns: Collection[str],
    *,
    together: bool = False,
    chains: bool = False,
) -> CoefficientBlock | str:
    """Return a block's sampler, or why its coefficients cannot be integrated out.

    - `columns`: names that are given by data.
    - `together`: whether rows hang together: paths run along the units. Only blocks with a path are
      taken.
    - `chains`: whether scales may be drawn by a Markov chain: many, or where nothing else fits.
    """
    work = Reading(structure, block, columns)
    try:
        if together and not work.has_path():
            raise NotAffineError(block.opaque)
        hierarchy, scales = read_hierarchy(
            work, structure, block, MOST_SCALES if chains else FEW_SCALES
        )
        own = shapes_of(structure, [n for n in block.unknowns if n not in hierarchy.shapes])
        several = scales > SURE_SCALES or any(np.prod(shape) > 1 for shape in own.values())
        many, chains = scales > FEW_SCALES, chains and several
        return CoefficientBlock(hierarchy, together=together, many=many, chains=chains)
    except NotAffineError as error:
        return str(error)


def read_hierarchy(
    work: Reading, structure: Structure, block: Block, most: int
) -> tuple[Hierarchy, int]:
    """Return the parts of a block, and how many scales it has; or refuse."""
    work.check()
    coefficients = work.coefficients()
    others = [n for n in block.unknowns if n not in coefficients]
    if not coefficients:
        raise NotAffineError("no coefficient with a Normal prior is affine in its equations")
    scales = work.check_scales(others, most)
    shapes = shapes_of(structure, coefficients)
    if sum(int(np.prod(s)) for s in shapes.values()) > MOST:
        raise NotAffineError(f"it has more than {MOST:,} coefficients")
    stands = work.stands(coefficients)
    held = {s.place for s in stands.values()}
    equations, effective, sigmas = zip(*(work.equation(n, held) for n in work.means), strict=True)
    priors, laws = zip(*(work.law(n, shapes[n]) for n in coefficients), strict=True)
    nodes = [part for parts in effective for part in parts]
    read = [v for v in (*nodes, *sigmas, *(v for law in laws for v in law)) if v is not None]
    read += [i for n in others for i in work.rv[n].owner.inputs]
    given = sorted(set().union(*(work.static_columns(v) for v in read)))

    def build() -> ScaleMap:
        return ScaleMap.of(structure.model, others, shapes, nodes, sigmas, laws, given, stands)

    found = Hierarchy(shapes, tuple(others), equations, priors, build, tuple(given))
    return found, scales


class Reading(Means):
    """What the factors of a block read."""

    def __init__(self, structure: Structure, block: Block, columns: Collection[str]) -> None:
        dims = {d for f in block.observed for d in structure.dims[f.name]}
        super().__init__(structure, block.unknowns, dims & set(structure.unit_dims))
        self.block, self.columns = block, set(columns)
        self.means: dict[str, tuple[TensorVariable, TensorVariable]] = {}
        self.laws: dict[str, PathLaw] = {}
        self.families: dict[str, str] = {}

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

    def check_scales(self, names: Sequence[str], most: int) -> int:
        """Return the number of scales; refuse discrete ones, too many, priors that read rows."""
        size = sum(int(np.prod(s)) for s in shapes_of(self.structure, names).values())
        if not 0 < size <= most:
            raise NotAffineError(f"it has {size} scales, of at most {most}")
        for name in names:
            if is_discrete(self.rv[name]):
                raise NotAffineError(f"{name!r} is discrete")
            if any(self.row_columns(i) for i in self.rv[name].owner.inputs):
                raise NotAffineError(f"the prior of {name!r} reads the data")
        return size

    def equation(
        self, name: str, held: set[Variable]
    ) -> tuple[AffineEquation, list[TensorVariable], TensorVariable | None]:
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
        equation = AffineEquation(
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
        if name in self.walks:
            stand = self.walks[name]
            return Prior(shape, NORMAL, False, stand.which), (stand.mean, stand.spread)
        family, mean, spread = self.prior(name)
        if mean is None or spread is None:
            return Prior(shape, family, False), (None, None)
        if family in PATHS:
            return Prior(shape, NORMAL, False, self.laws[name].which), (mean, spread)
        if family in VECTOR and spread.type.ndim != 2:
            raise NotAffineError(f"the groups of {name!r} have different prior covariances")
        shared = not stripped(spread).type.ndim
        wide = pt.broadcast_to(mean, self.rv[name].shape)
        return Prior(shape, family, shared), (wide, stripped(spread) if shared else spread)

    def static_columns(self, expression: Variable) -> set[str]:
        """Return columns of groups that an expression reads."""
        found = self.reads(expression) - self.rows
        return {str(v.name) for v in found if v.name in self.columns and v.name not in self.rv}

    def prior(self, name: str) -> tuple[str, TensorVariable | None, TensorVariable | None]:
        rv = self.rv[name]
        family = type(rv.owner.op).__name__
        if family == FLAT:
            return family, None, None
        if family in PATHS:
            if name not in self.laws:
                [shape] = shapes_of(self.structure, [name]).values()
                self.laws[name] = path_law(rv, shape)
            return family, self.laws[name].mean, self.laws[name].spread
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
            if type(rv.owner.op).__name__ in (NORMAL, *VECTOR, FLAT, *PATHS)
            and model.rvs_to_transforms.get(rv) is None
            and not (type(rv.owner.op).__name__ != FLAT and self._odd(n))
        ]
        sizes = {n: int(np.prod(s)) for n, s in shapes_of(self.structure, found).items()}
        while True:
            lost = self._misread(found, sizes)
            if not lost:
                return found
            found = [n for n in found if n not in lost]

    def has_path(self) -> bool:
        """Whether an unknown is a path, or the mean of an equation a sum along one."""
        if any(type(rv.owner.op).__name__ in PATHS for rv in self.rv.values()):
            return True
        means = [rv.owner.op.dist_params(rv.owner)[0] for rv in self._normal()]
        free = set(self.rv.values())
        return any(self.reads(v) & free for v in sums(means, self.leaves))

    def _normal(self) -> list[TensorVariable]:
        found = [self.structure.variable(f.name) for f in self.block.observed]
        kinds = NORMAL, "LogNormalRV"
        return [rv for rv in found if type(rv.owner.op).__name__ in kinds]

    def stands(self, names: Sequence[str]) -> dict[str, Stand]:
        """Return what stands for each coefficient: itself, or a walk that it is the steps of."""
        shapes = shapes_of(self.structure, names)
        found = {}
        for n in names:
            rv, (family, mean, spread) = self.rv[n], self.prior(n)
            if mean is None or spread is None or family in VECTOR:
                continue
            path = self.laws.get(n)
            which = None if path is None else path.which
            wide = pt.broadcast_to(mean, shapes[n])
            if path is None and all(spread.type.broadcastable):
                which, spread = np.zeros(shapes[n], dtype=int), spread.flatten()
            found[n] = Stand(rv, wide, spread, which, rv, path is None)

        def is_free(v: Variable) -> bool:
            flags = self.flags(v)[v]
            return flags[0] and not flags[1]

        means = {n: mean for n, (mean, _) in self.means.items()}
        means, after = walked(means, found, self.leaves, shapes.__getitem__, is_free)
        self.means = {n: (means[n], spread) for n, (_, spread) in self.means.items()}
        self.walks = {n: s for n, s in after.items() if s is not found[n]}
        self.rv |= {n: cast("TensorVariable", s.place) for n, s in self.walks.items()}
        plain = {n: Stand(rv, rv, rv, None, rv, True) for n, rv in self.rv.items() if n in names}
        return plain | self.walks

    def _odd(self, name: str) -> bool:
        """Whether the prior reads rows, or is no function of scales alone."""
        try:
            _, mean, spread = self.prior(name)
        except NotAffineError:
            return True
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


def _adds_axis(expression: Variable) -> bool:
    """Whether an expression is another with an axis of length one in front."""
    op = getattr(expression.owner, "op", None)
    if not isinstance(op, DimShuffle):
        return False
    return op.new_order == ("x", *range(expression.type.ndim - 1))
