r"""Quadratics in every cell: their integral, and drawing from the Gaussian that they are.

For :math:`k` latents of one shape, a log-density that is quadratic in every cell is

.. math:: \ell(z) = \ell(0) + \sum_i \left(b_i' z_i - \tfrac12 z_i' C_i z_i\right), \qquad
   C_i = L_i D_i L_i' ,

with :math:`L` unit lower triangular, spelled out for all cells at once. With :math:`L y = b`,

.. math:: \log \int e^{\ell(z)} dz = \ell(z^*) + \frac12 \sum_{i,j} \left(\log 2\pi
   - \log d_{ij}\right), \qquad
   z_i = L_i'^{-1} \left(D_i^{-1} y_i + D_i^{-1/2} \varepsilon_i\right),\
   \varepsilon_i \sim N(0, I),

the mode :math:`z^*` being the draw without noise. The value is taken there and not at zero, where
much would cancel; and it moves there with the parameters by what they change directly, for
:math:`\nabla \ell(z^*) = 0`.

References
----------
.. [1] G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., Johns Hopkins University
   Press, 2013, section 4.1: the factorisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile import SharedVariable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.traversal import ancestors

from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["GaussianConditional", "Quadratic"]

#: Draws x cells that are evaluated at a time: what fits a processor's cache.
CELLS = 50_000


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A quadratic in every cell of some latents of one shape."""

    slopes: tuple[Variable, ...]  # of each latent, at zero: cell by cell
    # Minus the second derivatives, first index at least the second; zero where there is none.
    curves: Mapping[tuple[int, int], Variable]

    def modes(self) -> list[Variable]:
        """Return where each latent has its mode, cell by cell."""
        d, lower = self._factorised()
        return _solved(d, lower, self.slopes)

    def width(self) -> Variable:
        """Return the log of the integral less the value at the mode, over all cells."""
        d, _ = self._factorised()
        like = pt.zeros_like(self.slopes[0])
        parts = [pt.sum(0.5 * (np.log(2 * np.pi) - pt.log(dj + like))) for dj in d]
        return sum(parts[1:], parts[0])

    def draw(self, noise: Sequence[Variable]) -> list[Variable]:
        """Return a draw of every latent from standard normal noise of their shape."""
        d, lower = self._factorised()
        spread = [e / pt.sqrt(dj) for e, dj in zip(noise, d, strict=True)]
        around = _back(lower, spread)
        return [m + s for m, s in zip(_solved(d, lower, self.slopes), around, strict=True)]

    def _factorised(self) -> tuple[list[Variable], dict[tuple[int, int], Variable]]:
        """Return the diagonal and what is below it."""
        d: list[Variable] = []
        lower: dict[tuple[int, int], Variable] = {}
        for j in range(len(self.slopes)):
            pivot = self.curves[j, j]
            for m in range(j):
                if (j, m) in lower:
                    pivot = pivot - lower[j, m] * lower[j, m] * d[m]
            d.append(pivot)
            for i in range(j + 1, len(self.slopes)):
                entry = self.curves.get((i, j))
                for m in range(j):
                    if (i, m) in lower and (j, m) in lower:
                        part = lower[i, m] * lower[j, m] * d[m]
                        entry = -part if entry is None else entry - part
                if entry is not None:
                    lower[i, j] = entry / pivot
        return d, lower


def _solved(
    d: Sequence[Variable], lower: Mapping[tuple[int, int], Variable], right: Sequence[Variable]
) -> list[Variable]:
    """Return the solution for a right-hand side."""
    ahead = list(right)
    for (i, m), value in sorted(lower.items(), key=lambda item: item[0][1]):
        ahead[i] = ahead[i] - value * ahead[m]
    return _back(lower, [y / dj for y, dj in zip(ahead, d, strict=True)])


def _back(lower: Mapping[tuple[int, int], Variable], right: Sequence[Variable]) -> list[Variable]:
    """Return the solution of the upper triangle."""
    out = list(right)
    for (row, column), value in sorted(lower.items(), key=lambda item: -item[0][0]):
        out[column] = out[column] - value * out[row]
    return out


@dataclass(frozen=True, eq=False)
class GaussianConditional:
    """The conditional of some latents of one shape."""

    names: tuple[str, ...]
    shape: tuple[int, ...]  # of each
    inputs: tuple[str, ...]  # free variables that it reads
    data: tuple[Any, ...]  # Data that it reads
    # From noise and values of both, many draws of each free variable, to as many draws.
    function: Callable[..., Any]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        shape: tuple[int, ...],
        quadratic: Quadratic,
        places: Mapping[str, Variable],
    ) -> GaussianConditional:
        """Return the record for a quadratic of `places` and the data."""
        noise = [places[n].type(name=f"{n}_noise") for n in names]
        drawn = [d + pt.zeros_like(e) for d, e in zip(quadratic.draw(noise), noise, strict=True)]
        behind = set(ancestors(drawn))
        inputs = tuple(n for n, place in places.items() if place in behind)
        shared = tuple(v for v in behind if isinstance(v, SharedVariable))
        given = {v: v.type(name=v.name) for v in shared}
        drawn = graph_replace(drawn, given, strict=False)
        many = {
            v: pt.TensorType(v.type.dtype, (None, *v.type.shape))(name=v.name)
            for v in [*noise, *(places[n] for n in inputs)]
        }
        function = pytensor.function(
            [*many.values(), *given.values()],
            vectorize_graph(drawn, many),
            mode=PY_MODE,
            on_unused_input="ignore",
            allow_input_downcast=True,
        )
        return cls(tuple(names), shape, inputs, shared, function)

    def step(self, data: Mapping[str, Any]) -> int:
        """Return how many draws are made at a time: by the largest array that is read."""
        sizes = [np.size(v) for v in self._given(data)]
        return max(1, CELLS // max(1, int(np.prod(self.shape)), *sizes))

    def draw(
        self,
        held: Mapping[str, np.ndarray],
        data: Mapping[str, Any],
        rng: np.random.Generator,
        count: int,
    ) -> dict[str, np.ndarray]:
        """Return one draw of every latent, (count, *shape), for every draw of what it reads."""
        noise = rng.standard_normal((count, len(self.names), *self.shape))
        own = [noise[:, j] for j in range(len(self.names))]
        found = self.function(*own, *(held[n] for n in self.inputs), *self._given(data))
        return dict(zip(self.names, found, strict=True))

    def _given(self, data: Mapping[str, Any]) -> list[Any]:
        return [data.get(str(v.name), v.get_value(borrow=True)) for v in self.data]
