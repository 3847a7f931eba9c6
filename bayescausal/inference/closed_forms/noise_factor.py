r"""Noise that is one unknown number times a known number of each row.

A kernel or precision weight :math:`w_i` enters a generative model through the noise,

.. math:: y_i \sim N(\mu_i,\; g(s)\, f_i), \qquad f_i = w_i^{-1/2},

so that the likelihood of a row is that of :math:`w_i` rows' mean [1]_: sums of squares and
products weighted by :math:`f_i^{-2}`, and a count of rows that is not. Here the noise is taken
apart into :math:`g(s)` and :math:`f_i`, through products, quotients, roots and powers.

A row of weight zero has infinite noise and no likelihood: it is no row of the data.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, section 14.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytensor.graph.basic import Variable

    from bayescausal.annotations import Array

__all__ = ["factored", "stripped", "weights_of"]


def stripped(expression: Variable) -> Variable:
    """Return what was broadcast to make an expression."""
    while expression.owner is not None and expression.type.ndim:
        op = expression.owner.op
        wide = isinstance(op, DimShuffle | Alloc)
        fill = isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.Second)
        if not wide and not fill:
            break
        expression = expression.owner.inputs[1 if fill else 0]
    return expression


def factored(
    spread: Variable, unknown: Collection[Variable], given: Collection[Variable]
) -> tuple[Variable, Variable | None] | None:
    """Return the noise as one unknown number, and the known factor of each row.

    Parameters
    ----------
    spread : TensorVariable
        The noise.
    unknown, given : collection of TensorVariable
        Leaves that are unknown, and that are known: data, columns.

    Returns
    -------
    (TensorVariable, TensorVariable or None) or None
        The number, without dims; the factor, None where there is none. None where the noise is no
        such product.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from bayescausal.inference.closed_forms.noise_factor import factored
    >>> s, w = pt.scalar("s"), pt.vector("w")
    >>> number, factor = factored(pt.exp(s) / pt.sqrt(w), {s}, {w})
    >>> number.eval({s: 0.0}).item(), factor.eval({w: [4.0, 1.0]}).tolist()
    (1.0, [0.5, 1.0])
    >>> factored(s + w, {s}, {w}) is None
    True
    """
    one = stripped(spread)
    behind = set(ancestors([one]))
    if not behind & set(unknown):
        return None
    if not one.type.ndim and not behind & set(given):
        return one, None
    return _taken_apart(spread, set(unknown), set(given))


def weights_of(name: str, factor: Array, rows: tuple[int, ...]) -> Array:
    """Return the weight of each row, ``1 / f**2``.

    Raises
    ------
    DataError
        If some factor is infinite: a weight of zero.
    NotAffineError
        If some factor is not positive.
    """
    wide = np.broadcast_to(factor, rows).reshape(-1)
    none = int(np.isposinf(wide).sum())
    if none:
        raise DataError(
            f"{none:,} of {wide.size:,} rows of {name!r} have infinite noise: a weight of zero.",
            expected="positive weights.",
            remedy="Leave these rows out of the data; a row without weight says nothing.",
        )
    if not np.all(wide > 0):
        raise NotAffineError(f"the noise of {name!r} is not positive")
    return np.asarray(1.0 / wide**2)


# --------------------------------------------------------------------------- private


def _taken_apart(
    v: Variable, unknown: set[Variable], given: set[Variable]
) -> tuple[Variable, Variable] | None:
    """Return a number that reads the unknown alone, and a factor that does not."""
    behind = set(ancestors([v]))
    if not behind & unknown:
        return pt.constant(1.0), v
    one = stripped(v)
    if not one.type.ndim and not set(ancestors([one])) & given:
        return one, pt.constant(1.0)
    node = v.owner
    if node is None:
        return None
    if isinstance(node.op, DimShuffle):
        inner = _taken_apart(node.inputs[0], unknown, given)
        if inner is None or not inner[1].type.ndim:
            return inner
        same = inner[1].type.ndim == node.inputs[0].type.ndim
        return (inner[0], node.op(inner[1])) if same else None
    if not isinstance(node.op, Elemwise):
        return None
    op = node.op.scalar_op
    if isinstance(op, ps.Mul | ps.TrueDiv):
        parts = [_taken_apart(i, unknown, given) for i in node.inputs]
        if any(p is None for p in parts):
            return None
        numbers, factors = zip(*(p for p in parts if p is not None), strict=True)
        return node.op(*numbers), node.op(*factors)
    if isinstance(op, ps.Sqrt | ps.Sqr | ps.Identity | ps.Cast | ps.Reciprocal):
        inner = _taken_apart(node.inputs[0], unknown, given)
        return None if inner is None else (node.op(inner[0]), node.op(inner[1]))
    if isinstance(op, ps.Pow) and isinstance(stripped(node.inputs[1]), Constant):
        inner = _taken_apart(node.inputs[0], unknown, given)
        power = stripped(node.inputs[1])
        return None if inner is None else (inner[0] ** power, inner[1] ** power)
    return None
