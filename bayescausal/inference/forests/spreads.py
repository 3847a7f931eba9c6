r"""The spread of a forest, :math:`s\, f(x)`, in the same sweep as its trees.

Leaves are Normal with standard deviation :math:`\ell` in :math:`f`. The spread is drawn twice in a
sweep, given the leaves of :math:`f` (then the data tell it), and given those of :math:`s f` (then
only the leaves do):

.. math:: p(s \mid f, y) \propto p(s)\, L(y \mid s f), \qquad
   p(s \mid g = s f) \propto p(s) \prod_l N(g_l; 0, s^2 \ell^2).

Either alone hardly moves where the other one is fast: the first where effects are well known, the
second where they are nearly nothing [1]_. Nothing is rescaled: the spread is the product of two
factors, the outer one the weight of the forest as it is held, the inner one in the standard
deviation of its leaves. The first draw moves the outer factor, the second the inner one.

A constant of the forest and a coefficient of the same number, :math:`b\, w + s\, w f(x)`, can be
told apart by their priors alone; each tree by itself moves the constant only a little. So
:math:`d` is drawn of :math:`b + d,\; f - d / s`, from the Gaussian that the priors of coefficients
and leaves make; the predictor stays as it is.

References
----------
.. [1] Y. Yu and X.-L. Meng, To center or not to center: that is not the question, *Journal of
   Computational and Graphical Statistics* 20(3), 2011.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.inference.forests.chains import slice_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.inference.forests.linear_forests import LinearForests, Spread

__all__ = ["Factors", "same_as", "shift"]

#: The first steps of the slice of the inner factor, in logarithms.
WIDTH = 0.3


class Factors:
    """The two factors of a spread; both 1 where there is none."""

    def __init__(self, spread: Spread | None, rng: np.random.Generator) -> None:
        self.spread, self.rng = spread, rng
        self.outer = 1.0 if spread is None else spread.start
        self.inner = 1.0

    @property
    def value(self) -> float:
        """The spread."""
        return self.outer * self.inner

    def given_data(self, likelihood: Callable[[float], float], information: float) -> None:
        """Draw the outer factor.

        - `likelihood`: the logarithm of that of an outer factor.
        - `information`: minus its second derivative.
        """
        assert self.spread is not None
        prior, inner = self.spread.log_prior, self.inner
        width = (information + (inner / (self.spread.start or 1.0)) ** 2) ** -0.5
        self.outer = slice_step(
            lambda outer: prior(outer * inner) + likelihood(outer), self.outer, width, self.rng
        )

    def given_leaves(self, squares: float, count: int, leaf: float) -> None:
        """Draw the inner factor.

        - `squares`: the sum over leaves of their squares, as they are held.
        - `leaf`: their standard deviation where the inner factor is 1.
        """
        assert self.spread is not None
        prior, outer = self.spread.log_prior, self.outer

        def density(log: float) -> float:
            inner = float(np.exp(log))
            return prior(outer * inner) - (count - 1) * log - squares / (2 * (inner * leaf) ** 2)

        self.inner = float(np.exp(slice_step(density, np.log(self.inner), WIDTH, self.rng)))


def same_as(form: LinearForests, k: int) -> Array | None:
    """Return the coefficients (q) that come to the weight of a forest, None if there are none."""
    weight = form.weights[k]
    if not form.design.shape[1] or not weight.any():
        return None
    found = np.linalg.lstsq(form.design, weight, rcond=None)[0]
    near = np.allclose(form.design @ found, weight, rtol=0, atol=1e-9 * np.abs(weight).max())
    return found if near else None


def shift(
    form: LinearForests,
    k: int,
    b: Array,
    direction: Array,
    spread: Factors,
    leaves: tuple[float, int],
) -> float:
    """Draw how far coefficients go in a direction, and the constant of a forest the other way.

    - `direction` (q): from :func:`same_as`.
    - `leaves`: their sum, as they are held, and their number.
    """
    shape, (total, count) = form.shapes[k], leaves
    each, precision = 1 / (spread.outer * shape.trees), (spread.inner * shape.leaf) ** -2.0
    information = direction @ form.precision @ direction + count * each**2 * precision
    push = total * each * precision - direction @ form.precision @ (b - form.middle)
    return float(push / information + spread.rng.standard_normal() * information**-0.5)
