r"""Families of times to an event: what the predictor moves, and what else there is to know.

Accelerated failure times: :math:`\log T = \eta + s\,\varepsilon`, so that a coefficient multiplies
every quantile of the time by :math:`e^b`; proportional hazards: :math:`h(t) = h_0(t) e^{\eta}`
[1]_. The Weibull (and the exponential within it) is both: :math:`-\alpha b` is its log hazard
ratio.

======================  ================================  ==========================
family                  distribution                      a coefficient is
======================  ================================  ==========================
weibull, exponential    ``Weibull(alpha, exp(eta))``      log ratio of times
lognormal               ``LogNormal(eta, sigma)``         log ratio of times
loglogistic             ``log T ~ Logistic(eta, sigma)``  log ratio of times
gamma                   ``Gamma``, mean ``exp(eta)``      log ratio of times
piecewise_exponential   hazard constant between cuts      log hazard ratio
flexible                spline of the log hazard          log hazard ratio
======================  ================================  ==========================

References
----------
.. [1] D. Collett, *Modelling Survival Data in Medical Research*, 3rd ed., CRC Press, 2015,
   chapters 5 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.interpolate import BSpline

from bayescausal.designs.time_to_event.distributions import LogLogistic, PiecewiseExponential
from bayescausal.model.formulas.priors import Prior

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.families import Scale

    type Made = tuple[list[TensorVariable], Callable[..., TensorVariable]]
    """The parameters of a distribution, and the function from them to it."""

__all__ = ["FAMILIES", "TimeFamily", "baseline", "cuts_of"]

#: Pieces of a flexible baseline, and coefficients of its spline.
FINE, KNOTS = 24, 6


@dataclass(frozen=True)
class TimeFamily:
    """A family of times."""

    name: str
    aux: Mapping[str, Callable[[Scale], Prior]]  # further parameters, with their default priors
    # ``make(eta, aux)`` gives the parameters of the distribution, and the function to it.
    make: Callable[..., Made]
    hazards: bool = False  # whether the predictor is that of a log hazard, not of a log time
    # The parameter that turns a log ratio of times into minus a log hazard ratio; empty if there is
    # none.
    shape: str = ""
    signature: str = "(),()"  # of the parameters, as in NumPy
    words: str = ""  # what the form of the distribution assumes


def _about_one(scale: Scale) -> Prior:
    return Prior("LogNormal", (0, 1))


def _weibull(eta: Any, aux: Mapping[str, Any]) -> Made:
    return [aux["alpha"], pt.exp(eta)], pm.Weibull.dist


def _exponential(eta: Any, aux: Mapping[str, Any]) -> Made:
    return [pt.exp(eta)], lambda scale, **more: pm.Exponential.dist(scale=scale, **more)


def _lognormal(eta: Any, aux: Mapping[str, Any]) -> Made:
    return [eta, aux["sigma"]], pm.LogNormal.dist


def _loglogistic(eta: Any, aux: Mapping[str, Any]) -> Made:
    return [eta, aux["sigma"]], LogLogistic.dist


def _gamma(eta: Any, aux: Mapping[str, Any]) -> Made:
    return [aux["alpha"], aux["alpha"] / pt.exp(eta)], pm.Gamma.dist


def _piecewise(eta: Any, aux: Mapping[str, Any]) -> Made:
    return [eta, aux["log_hazards"], aux["cuts"]], PiecewiseExponential.dist


#: The families, by name.
FAMILIES: dict[str, TimeFamily] = {
    f.name: f
    for f in (
        TimeFamily(
            "weibull",
            {"alpha": _about_one},
            _weibull,
            shape="alpha",
            words="a hazard that is a power of time, proportional in both arms",
        ),
        TimeFamily(
            "exponential",
            {},
            _exponential,
            shape="1",
            signature="()",
            words="a hazard that is constant in time, in each arm",
        ),
        TimeFamily(
            "lognormal",
            {"sigma": _about_one},
            _lognormal,
            words="log times that are Normal, with one standard deviation in both arms",
        ),
        TimeFamily(
            "loglogistic",
            {"sigma": _about_one},
            _loglogistic,
            words="log times that are logistic, with one scale in both arms",
        ),
        TimeFamily(
            "gamma",
            {"alpha": _about_one},
            _gamma,
            words="Gamma times, with one shape in both arms",
        ),
        TimeFamily(
            "piecewise_exponential",
            {},
            _piecewise,
            hazards=True,
            signature="(),(j),(k)",
            words="a hazard that is constant between the cuts, and proportional in both arms",
        ),
        TimeFamily(
            "flexible",
            {},
            _piecewise,
            hazards=True,
            signature="(),(j),(k)",
            words="a smooth log hazard, and proportional hazards in both arms",
        ),
    )
}


def cuts_of(
    family: str, pieces: int | Sequence[float] | None, times: Array, events: Array
) -> Array:
    """Return where the baseline hazard may change: at quantiles of the times of events.

    `pieces`: how many pieces, or the cuts themselves.
    """
    if pieces is not None and not isinstance(pieces, int | np.integer):
        return np.unique(np.asarray(pieces, dtype=float))
    count = int(pieces or (FINE if family == "flexible" else 5))
    seen = times[events]
    count = max(2, min(count, len(np.unique(seen))))
    found = np.unique(np.quantile(seen, np.arange(1, count) / count))
    return found if len(found) else np.array([float(np.median(seen))])


def baseline(
    name: str, family: str, cuts: Array, make: Callable[..., TensorVariable]
) -> dict[str, TensorVariable]:
    """Add the log hazards of the pieces, relative to the first, to the model at hand.

    They are a random walk; of a flexible baseline, the coefficients of a cubic spline along the
    pieces are.

    `make`: ``make(label, default, dims)`` adds a parameter with the caller's prior or the default.
    """
    model = pm.modelcontext(None)
    pieces = len(cuts) + 1
    if family == "flexible" and pieces > KNOTS:
        basis = _spline(np.linspace(0.0, 1.0, pieces), KNOTS)
        basis = basis - basis[0]
        dim, labels = f"{name}_knot", [f"knot {k}" for k in range(1, KNOTS)]
    else:
        basis = np.eye(pieces)
        edges = [0.0, *cuts.tolist()]
        dim, labels = f"{name}_piece", [f"from {e:g}" for e in edges[1:]]
    model.add_coord(dim, labels)
    steps = make(f"step_{name}", Prior("Normal", (0, 1)), (dim,))
    walk = pt.concatenate([np.zeros(1), pt.cumsum(steps)])
    return {"log_hazards": pt.dot(basis, walk), "cuts": pt.constant(cuts)}


def _spline(x: Array, size: int) -> Array:
    """Return the cubic B-splines on the unit interval."""
    inner = np.linspace(0.0, 1.0, size - 2)[1:-1]
    knots = np.concatenate([np.zeros(4), inner, np.ones(4)])
    return np.asarray(BSpline.design_matrix(np.clip(x, 0.0, 1.0), knots, 3).toarray())
