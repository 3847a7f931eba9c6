r"""Units that are equal in all that is known of them share one sum over states.

With a latent summed out the density of the units is :math:`\sum_i g(x_i; \theta)`, where
:math:`x_i` holds every column that unit *i* has and :math:`g = \log\sum_s e^{\ell(s)}`. Equal rows
have equal terms:

.. math:: \sum_i g(x_i; \theta) = \sum_c n_c\, g(x_c; \theta).

The trial of vitamin A has 23,682 children of five distinct kinds, so that principal strata [1]_ (a
latent type, an assignment, a treatment received and an outcome) cost five rows. Which columns a
density reads is seen in its expression, and that nothing else tells units apart is *confirmed by
evaluation*: the density of the distinct rows must be that of all rows, at several points.

Where more than half of the rows differ, or units depend on each other, the rows stay.

References
----------
.. [1] C. E. Frangakis and D. B. Rubin, "Principal stratification in causal inference", Biometrics
   58 (2002), 21-29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors

from bayescausal.inference.closed_forms.equation import NotReducedError
from bayescausal.inference.closed_forms.reduce import distinct
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["EqualUnits", "equal_units"]

#: Units from which it pays.
LEAST = 200


@dataclass(frozen=True, eq=False)
class EqualUnits:
    """A density over distinct rows."""

    density: Variable  # log-densities, (states, rows)
    code: np.ndarray  # (int) The row of each unit
    counts: np.ndarray  # the units of each row


def equal_units(
    density: Variable,
    shape: tuple[int, ...],
    places: Mapping[str, Variable],
    points: Sequence[Mapping[Variable, Any]],
) -> EqualUnits | None:
    """Return the density of distinct rows, or None where that is not shorter, or not the same.

    - `density`: log-densities, (states, *shape).
    - `shape`: of the latents.
    - `places`: what stands for the other unknowns.
    - `points`: values of these to compare at.
    """
    if len(shape) != 1 or shape[0] < LEAST:
        return None
    size = shape[0]
    leaves = [v for v in ancestors([density]) if v.owner is None and v not in places.values()]
    wide = {v: _value(v) for v in leaves if isinstance(v, Constant | SharedVariable)}
    held = {v: x for v, x in wide.items() if size in x.shape}
    columns = []
    for x in held.values():
        if x.shape.count(size) > 1:
            return None
        columns.append(np.moveaxis(x, x.shape.index(size), 0).reshape(size, -1))
    varying = [c for x in columns for c in x.T if np.any(c != c[0])]
    try:
        code, first = distinct(varying, size)
    except NotReducedError:
        return None
    small: dict[Variable, Variable] = {}
    for v, x in held.items():
        small[v] = pt.constant(np.take(x, first, axis=x.shape.index(size)), dtype=v.type.dtype)
    lengths = {
        v: pt.constant(np.asarray(len(first), dtype=v.type.dtype))
        for v, x in wide.items()
        if isinstance(v, SharedVariable) and not x.ndim and x == size
    }
    try:
        [short] = clone_replace([density], {**small, **lengths}, rebuild_strict=False)
        same = _agree(density, short, code, points)
    except (ValueError, TypeError, IndexError):  # shapes that are written out
        return None
    return EqualUnits(short, code, np.bincount(code).astype(float)) if same else None


def _value(leaf: Variable) -> np.ndarray:
    value = leaf.data if isinstance(leaf, Constant) else leaf.get_value(borrow=True)
    return np.asarray(value)


def _agree(
    density: Variable, short: Variable, code: np.ndarray, points: Sequence[Mapping[Variable, Any]]
) -> bool:
    """Whether the distinct rows have the density of all rows, at every point."""
    names = list(points[0]) if points else []
    both = pytensor.function(names, [density, short], mode=PY_MODE, on_unused_input="ignore")
    for point in points:
        with np.errstate(all="ignore"):
            whole, rows = both(*(point[v] for v in names))
        if rows.shape != (len(whole), int(code.max()) + 1):
            return False
        if not np.allclose(rows[:, code], whole, rtol=1e-10, atol=1e-12, equal_nan=True):
            return False
    return True
