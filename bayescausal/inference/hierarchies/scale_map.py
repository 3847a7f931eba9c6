r"""From scales to a Gaussian: priors, noise and effective coefficients as functions of the scales.

Everything is evaluated at many points at once, without a compiler. Which coefficients the effective
ones read is found in :mod:`.affine_map`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace, vectorize_graph
from pytensor.graph.traversal import ancestors

from bayescausal.inference.closed_forms.affine import widened
from bayescausal.inference.conditioning.factors import without_checks
from bayescausal.model.structure.function_graph import PY_MODE, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.walks import Stand

__all__ = ["STARTS", "ScaleMap", "Scales"]

#: Draws from the prior among which a start is looked for.
STARTS = 60


@dataclass(frozen=True, eq=False)
class Scales:
    """What does not read coefficients, at some points."""

    terms: Array  # (n, ...) Log-densities of the scales themselves, unconstrained
    sigmas: list[Array | None]  # the noise of each equation, where it is unknown; shape (n,)
    # Prior sd or covariance of each coefficient; shape (n, ...), or without the n.
    spreads: list[Array | None]

    @property
    def log_prior(self) -> Array:
        """The log-density of all scales, (n)."""
        return self.terms.sum(axis=1)


@dataclass(frozen=True, eq=False)
class ScaleMap:
    """Functions of unconstrained scales. Made by :meth:`of`."""

    sizes: tuple[tuple[str, tuple[int, ...]], ...]  # names and unconstrained shapes of the scales
    # Names and shapes of the coefficients, laid out one after the other.
    coefficients: Mapping[str, tuple[int, ...]]
    given: Mapping[str, Array]  # columns that priors read
    _scales: Callable[..., list[Array]]
    _means: Callable[..., list[Array]]
    _moving: Callable[..., list[Array]]
    # (n, dimension) Points among which one is likely. Drawn once: a function of them repeats
    # itself.
    starts: Array
    # Of each effective coefficient and each prior mean, whether it reads no scale.
    steady: tuple[bool, ...]
    with_prior: tuple[str, ...]  # the coefficients that have a prior mean
    _which: tuple[Sequence[bool], Sequence[bool]]
    _back: Callable[..., list[Array]]
    _walks: tuple[str, ...]

    @classmethod
    def of(
        cls,
        model: pm.Model,
        scales: Sequence[str],
        shapes: Mapping[str, tuple[int, ...]],
        effective: Sequence[TensorVariable],
        sigmas: Sequence[TensorVariable | None],
        priors: Sequence[tuple[TensorVariable | None, TensorVariable | None]],
        given: Sequence[str],
        stands: Mapping[str, Stand],
    ) -> ScaleMap:
        """Return the functions.

        - `scales`, `given`: of the unknowns that are no coefficients, and of columns that priors
          read.
        - `effective`: affine in the coefficients.
        - `sigmas`: of each equation.
        - `priors`: of each coefficient.
        - `stands`: what stands for each coefficient.
        Raises NotImplementedError if a density is not known.
        """
        rvs = [model[n] for n in scales]
        values = [model.rvs_to_values[rv] for rv in rvs]
        places_of = {n: stands[n].place for n in shapes}
        own = [model.rvs_to_values.get(v, v) for v in places_of.values()]
        walks = tuple(n for n, v in places_of.items() if v is not model[n])
        shared = [model[n] for n in given]
        places = [v.type(name=f"given_{v.name}") for v in shared]

        def opened(found: Sequence[TensorVariable]) -> list[TensorVariable]:
            inner = clone_replace(list(found), dict(zip(shared, places, strict=True)))
            return [without_checks(v) for v in inner]

        terms = model.logp(vars=rvs, jacobian=True, sum=False)
        noisy = [s for s in sigmas if s is not None]
        spreads = [s for _, s in priors if s is not None]
        first = opened([*terms, *model.replace_rvs_by_values([*noisy, *spreads, *rvs])])
        means = [m for m, _ in priors if m is not None]
        second = opened(model.replace_rvs_by_values([*effective, *means]))
        third = opened(model.replace_rvs_by_values([stands[n].value for n in walks]))
        free = [
            rv if t is None else t.forward(rv, *rv.owner.inputs)
            for rv, t in ((rv, model.rvs_to_transforms[rv]) for rv in rvs)
        ]
        draw = pm.compile([], free, random_seed=1, mode=PY_MODE)
        wide = [v for v in free if v.type.ndim]
        shaped = dict(zip(wide, evaluate([v.shape for v in wide]) if wide else (), strict=True))
        sizes = tuple(
            (n, tuple(int(k) for k in shaped.get(v, ()))) for n, v in zip(scales, free, strict=True)
        )
        inputs = {v: shape for v, (_, shape) in zip(values, sizes, strict=True)}
        read = set(values)
        steady = tuple(not read & set(ancestors([v])) for v in second)
        moving = [v for v, still in zip(second, steady, strict=True) if not still]
        whole = inputs | dict(zip(own, shapes.values(), strict=True))
        return cls(
            sizes,
            dict(shapes),
            {},
            _at_many(first, inputs, places),
            _at_many(second, whole, places),
            _at_many(moving, whole, places),
            _starts(draw, sum(int(np.prod(shape)) for _, shape in sizes)),
            steady,
            tuple(n for n, (_, s) in zip(shapes, priors, strict=True) if s is not None),
            ([s is not None for s in sigmas], [s is not None for _, s in priors]),
            _at_many(third, whole, places),
            walks,
        )

    def at(self, given: Mapping[str, Array]) -> ScaleMap:
        """Return the functions at values of the columns that priors read."""
        return replace(self, given=dict(given))

    @property
    def dimension(self) -> int:
        """The number of unconstrained scales."""
        return sum(int(np.prod(shape)) for _, shape in self.sizes)

    def _split(self, points: Array) -> list[Array]:
        out, start = [], 0
        for _, shape in self.sizes:
            stop = start + int(np.prod(shape))
            out.append(points[:, start:stop].reshape(len(points), *shape))
            start = stop
        return out

    def scales(self, points: Array) -> Scales:
        """Return what does not read coefficients."""
        found = map(widened, self._scales(self._split(points), self.given, len(points)))
        n = len(points)
        terms = np.concatenate([next(found).reshape(n, -1) for _ in self.sizes], axis=1)
        sigmas = [next(found).reshape(n) if has else None for has in self._which[0]]
        spreads = [next(found) if has else None for has in self._which[1]]
        return Scales(terms, sigmas, spreads)

    def _coefficients(self, flat: Array) -> dict[str, Array]:
        out, start = {}, 0
        for name, shape in self.coefficients.items():
            stop = start + int(np.prod(shape))
            out[name] = flat[:, start:stop].reshape(len(flat), *shape)
            start = stop
        return out

    def back(self, points: Array, flat: Array) -> dict[str, Array]:
        """Return the coefficients, those that walks stand for computed from these."""
        found = self._coefficients(flat)
        if self._walks:
            arrays = [*self._split(points), *found.values()]
            steps = self._back(arrays, self.given, len(points))
            found |= dict(zip(self._walks, steps, strict=True))
        return found

    def values(self, points: Array) -> dict[str, Array]:
        """Return the scales as the model has them."""
        found = self._scales(self._split(points), self.given, len(points))
        names = [n for n, _ in self.sizes]
        return dict(zip(names, found[len(found) - len(names) :], strict=True))

    def parts(self, points: Array, flat: Array, *, moving: bool = False) -> list[Array]:
        """Return the effective coefficients, and the prior means; or those that read scales."""
        arrays = [*self._split(points), *self._coefficients(flat).values()]
        call = self._moving if moving else self._means
        found = call(arrays, self.given, len(points))
        return [np.asarray(v, dtype=float).reshape(len(points), -1) for v in found]

    def rows(self, points: Array, flat: Array) -> Array:
        """Return the effective coefficients, then the prior means, one after the other.

        `flat` (n, n_coefficients)
        Returns (n, n_rows).
        """
        return np.concatenate(self.parts(points, flat), axis=1)


def _starts(draw: Callable[[], list[Array]], dimension: int) -> Array:
    """Return draws from the prior of the scales, and points about zero."""
    found = [0.5 * np.random.default_rng(1).standard_normal((STARTS, dimension))]
    try:
        drawn = [np.concatenate([np.ravel(v) for v in draw()]) for _ in range(STARTS)]
        found.append(np.stack(drawn))
    except (NotImplementedError, ValueError):  # an improper prior has no draws
        pass
    whole = np.concatenate(found)
    return np.asarray(whole[np.isfinite(whole).all(axis=1)])


def _at_many(
    outputs: Sequence[TensorVariable],
    inputs: Mapping[TensorVariable, tuple[int, ...]],
    given: Sequence[TensorVariable],
) -> Callable[..., list[Array]]:
    """Return a function of many values of the inputs, of the given shapes, at once.

    It is built when it is first called: not every model asks for all of them.
    """
    many = {v: pt.TensorType(v.type.dtype, (None, *v.type.shape))(f"many_{v.name}") for v in inputs}
    batched = vectorize_graph(list(outputs), many)
    wide = [b.type.ndim > o.type.ndim for b, o in zip(batched, outputs, strict=True)]

    @cache
    def built() -> Callable[..., list[Array]]:
        arguments = [*many.values(), *given]
        return pytensor.function(arguments, batched, mode=PY_MODE, on_unused_input="ignore")

    types = [str(v.type.dtype) for v in given]
    names = [str(v.name).removeprefix("given_") for v in given]

    def at(arrays: Sequence[Array], columns: Mapping[str, Array], size: int) -> list[Array]:
        more = (np.asarray(columns[n], dtype=t) for n, t in zip(names, types, strict=True))
        if size == 1:  # one of many would be broadcast, which is not allowed at run time
            arrays = [np.concatenate([v, v]) for v in arrays]
        with np.errstate(all="ignore"):
            found = built()(*arrays, *more)
        found = [v[:size] if w else v for v, w in zip(found, wide, strict=True)]
        return [
            np.asarray(v) if w else np.broadcast_to(v, (size, *np.shape(v)))
            for v, w in zip(found, wide, strict=True)
        ]

    return at
