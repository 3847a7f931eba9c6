r"""The eigenfunctions of the Laplacian on an interval: a basis of Gaussian processes.

.. math:: \phi_j(x) = L^{-1/2} \sin(\omega_j (x - c + L)), \qquad \omega_j = \pi j / 2L,

on :math:`[c - L, c + L]`, at whose ends they are 0 [1]_. Beyond the ends they would go on as waves,
which no Gaussian process does: their value there is NaN, which no later step takes for an answer.

References
----------
.. [1] G. Riutort-Mayol et al., Practical Hilbert space approximate Bayesian Gaussian processes for
   probabilistic programming, *Statistics and Computing* 33, 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.values import Value

__all__ = ["Harmonics"]


@dataclass(frozen=True, eq=False)
class Harmonics:
    """The first eigenfunctions, as a factor with several columns."""

    label: str
    value: Value  # the argument
    # middle, half: the interval is from ``middle - half`` to ``middle + half``; outside, the value
    # is NaN.
    middle: float
    half: float
    count: int  # how many
    full: bool = True

    @property
    def dim(self) -> str:
        """The dim of the weights."""
        return f"{self.label}_term"

    @property
    def labels(self) -> tuple[str, ...]:
        """One number for each function."""
        return tuple(str(j + 1) for j in range(self.count))

    @property
    def frequencies(self) -> Array:
        """The square roots of the eigenvalues."""
        return np.pi * np.arange(1, self.count + 1) / (2 * self.half)

    def columns(self) -> list[Any]:
        """Return each eigenfunction."""
        basis = self.basis()
        return [basis[..., j] for j in range(self.count)]

    def basis(self) -> TensorVariable:
        """Return all functions, the last axis."""
        away = pt.expand_dims(self.value.symbolic - self.middle, -1)
        inside = pt.switch(pt.le(pt.abs(away), self.half), 1.0, np.nan)
        return inside * (self.half**-0.5 * pt.sin(self.frequencies * (away + self.half)))

    def contract(self, b: TensorVariable) -> TensorVariable:
        """Return the sum of the functions with weights `b`."""
        return pt.dot(self.basis(), b)

    def numbers(self) -> Array | None:
        """Return the functions at the data, (n, m)."""
        if self.value.numeric is None:
            return None
        away = np.asarray(self.value.numeric, float)[:, None] - self.middle
        return self.half**-0.5 * np.sin(self.frequencies * (away + self.half))
