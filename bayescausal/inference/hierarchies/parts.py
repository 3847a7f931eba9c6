"""What is read off a block whose coefficients can be integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.utils import MissingInputError

from bayescausal.inference.hierarchies.sparse_gaussian import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.affine import Expressions
    from bayescausal.inference.hierarchies.scale_map import ScaleMap

__all__ = ["FLAT", "NORMAL", "VECTOR", "AffineEquation", "Hierarchy", "Prior"]

NORMAL = "NormalRV"
VECTOR = ("MvNormalRV", "MultivariateNormalRV")
FLAT = "FlatRV"


@dataclass(frozen=True, eq=False)
class AffineEquation:
    """One observed equation."""

    name: str
    # mean, sigma: of columns and effective coefficients; `sigma` is what is known of the noise of a
    # row, None where nothing is.
    mean: Expressions
    sigma: Expressions | None
    shapes: dict[str, tuple[int, ...]]  # of the effective coefficients
    log: bool  # whether the logarithm is Normal
    known: bool  # whether `sigma` is all of the noise

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
    """The family of a coefficient's prior, and what its precision is made of."""

    shape: tuple[int, ...]
    family: str
    shared: bool  # whether one sd serves all elements
    # (int) Which of several sds each element has, in the shape of the coefficient.
    which: Array | None = None

    @property
    def size(self) -> int:
        """Rows of residuals: none where the prior is flat."""
        return 0 if self.family == FLAT else int(np.prod(self.shape))

    @property
    def weights(self) -> int:
        """Different entries of the precision."""
        if self.family in VECTOR:
            return self.shape[-1] ** 2
        if self.which is not None:
            return int(self.which.max(initial=-1)) + 1
        return min(self.size, 1) if self.shared else self.size

    def terms(self, start: int, base: int) -> Terms | None:
        """Return the entries of the precision, from a row and a weight on."""
        if self.family == FLAT:
            return None
        places = np.arange(self.size)
        if self.family not in VECTOR:
            own = places if self.which is None else self.which.reshape(-1)
            weight = base + (np.zeros_like(places) if self.shared else own)
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
        if self.family in VECTOR:
            k = self.shape[-1]
            entries = np.full((n, k, k), np.nan)
            _, height = np.linalg.slogdet(spread)
            good = np.isfinite(height)
            entries[good] = np.linalg.inv(spread[good])
            return entries.reshape(n, -1), -0.5 * (self.size // k) * height
        if self.which is not None:
            sd = spread.reshape(n, -1)
            counts = np.bincount(self.which.reshape(-1), minlength=sd.shape[1])
            return 1.0 / sd**2, -(np.log(sd) @ counts)
        if self.shared:
            sd = spread.reshape(n, 1)
            return 1.0 / sd**2, -self.size * np.log(sd[:, 0])
        sd = np.broadcast_to(spread, (n, *self.shape)).reshape(n, -1)
        return 1.0 / sd**2, -np.log(sd).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A block, read."""

    shapes: dict[str, tuple[int, ...]]  # of the coefficients
    others: tuple[str, ...]  # the other unknowns
    equations: tuple[AffineEquation, ...]
    priors: tuple[Prior, ...]
    build: Callable[[], ScaleMap]
    given: tuple[str, ...]  # columns that priors read

    @cached_property
    def map(self) -> ScaleMap:
        """Priors, noise and effective coefficients as functions of the scales.

        Raises ArithmeticError if the density of the scales cannot be evaluated at many points.
        """
        try:
            return self.build()
        except (NotImplementedError, TypeError, ValueError, MissingInputError) as error:
            raise ArithmeticError(f"the density of its scales is not known: {error}") from error
