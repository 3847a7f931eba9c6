r"""A time of which it is known that it lies in a window, and that it is after an entry.

A unit's record of its time :math:`T` is

.. math:: v = \begin{cases} m & \text{if } l < T \le u, \\ T & \text{otherwise,} \end{cases}

with :math:`m = l` (or :math:`u`, where :math:`l = 0`): censoring on the right is the window
:math:`(l, \infty)`, on the left :math:`(0, u]`. Its likelihood is :math:`S(l) - S(u)` inside the
window and the density outside; of a unit that came in at :math:`a` both are divided by
:math:`S(a)`, since it would not be in the table otherwise [1]_. Entry belongs to how the table came
about, not to the time, so that the variable itself has the distribution of the whole population.

References
----------
.. [1] J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003,
   sections 3.3 to 3.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.abstract import _logccdf_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

__all__ = ["FOREVER", "windowed"]

#: The end of a window that has none: data are finite.
FOREVER = 1e30


def windowed(
    name: str,
    parameters: Sequence[TensorVariable],
    dist: Callable[..., TensorVariable],
    held: Mapping[str, TensorVariable],
    signature: str,
) -> TensorVariable:
    """Add a time with windows and entries to the model at hand.

    - `parameters`, `dist`: of the distribution of the time itself.
    - `held`: ``window_from``, ``window_to``, ``entered_at``.
    - `signature`: of the parameters, as in NumPy.
    """

    def random(*given: Any) -> TensorVariable:
        *own, low, high, _, size = given
        time = dist(*own, size=size)
        return pt.switch(pt.and_(pt.gt(time, low), pt.le(time, high)), _mark(low, high), time)

    def logp(value: TensorVariable, *given: Any) -> TensorVariable:
        *own, low, high, entry = given
        time = dist(*own)
        # who came in at `entry` was without the event until then, whatever the window
        after = _log_survival(time, pt.maximum(low, entry))
        open_end = pt.ge(high, FOREVER)
        until = _log_survival(time, pt.switch(open_end, low + 1.0, high))
        inside = pt.switch(open_end, after, after + pt.log1mexp(until - after))
        found = pt.switch(pt.eq(value, _mark(low, high)), inside, pm.logp(time, value))
        return found - _log_survival(time, entry)

    bounds = [held[n] for n in ("window_from", "window_to", "entered_at")]
    return pm.CustomDist(
        name,
        *parameters,
        *bounds,
        dist=random,
        logp=logp,
        signature=f"{signature},(),(),()->()",
        dims="unit",
    )


def _mark(low: TensorVariable, high: TensorVariable) -> TensorVariable:
    """Return what is recorded of a time in its window."""
    return pt.switch(pt.gt(low, 0.0), low, high)


def _log_survival(time: TensorVariable, at: TensorVariable) -> TensorVariable:
    """Return the log of the survival function: 0 at 0, and with a finite slope."""
    later = pt.gt(at, 0.0)
    return pt.switch(later, _logccdf_helper(time, pt.switch(later, at, 1.0)), 0.0)
