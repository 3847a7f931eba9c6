r"""The generative model of an interrupted series.

With :math:`D_t = 1` from the start :math:`t_0` on,

.. math::

   Y_t = a + b\,(t - t_0) + s_{t \bmod p} + c'X_t + \ell_t
         + D_t\,[\beta + \gamma\,(t - t_0)] + \sigma \varepsilon_t,

where :math:`\ell_t` is nothing, a stationary autoregression of order one (errors that correlate),
a random walk (local level), or a walk whose drift is a walk (local trend) [1]_. In the reading by
prediction the bracket is a coefficient :math:`\delta_t` of each time.

Priors of coefficients are Normal with 2.5 standard deviations of the outcome per root mean square
of what their column adds to all others.

References
----------
.. [1] A. C. Harvey, *Forecasting, Structural Time Series Models and the Kalman Filter*, Cambridge
   University Press, 1989.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.designs.spread import own_spread
from bayescausal.model.formulas.priors import Prior, Priors, digits, near

if TYPE_CHECKING:
    from bayescausal.designs.series.timeline import Timeline

__all__ = ["EFFECT", "INTERVENTION", "OWN", "SeriesForm", "series_model"]

#: The variable that says whether the intervention is on.
INTERVENTION = "intervention"
#: The coefficients of the reading by prediction, and how wide their priors are, in sd of y.
EFFECT, WIDE = "effect", 30.0
#: Names that the design takes itself.
OWN = (INTERVENTION, EFFECT, "unit", "level", "slope", "error", "season", "since_start")


@dataclass(frozen=True)
class SeriesForm:
    """The form of the equation."""

    trend: bool
    season: int | None
    errors: str  # ("independent" or "ar1")
    level: str  # ("fixed", "local level" or "local trend")
    effect: str  # ("level and slope", "level", "slope" or "each time")
    family: str  # ("gaussian", "student-t" or "poisson")
    priors: Priors

    @property
    def ordered(self) -> bool:
        """Whether errors go on from time to time."""
        return self.errors != "independent" or self.level != "fixed"


def series_model(timeline: Timeline, form: SeriesForm) -> pm.Model:
    """Return the model of a series."""
    frame, y = timeline.frame, timeline.outcome
    coords: dict[str, Any] = {"unit": range(len(frame))}
    with pm.Model(coords=coords) as model:
        time = pm.Data(timeline.time, frame[timeline.time].to_numpy(), dims="unit")
        since = time - timeline.first if timeline.first else time
        steps = since / timeline.step if timeline.step != 1.0 else since
        controls = {c: pm.Data(c, frame[c].to_numpy(), dims="unit") for c in timeline.controls}
        on = pm.Deterministic(
            INTERVENTION, pt.cast(pt.ge(time, timeline.first), "int64"), dims="unit"
        )
        eta = _predictor(timeline, form, since, steps, on, controls)
        if form.ordered:
            eta = eta + _path(timeline, form)
        sigma = None
        if form.family != "poisson":
            prior = Prior("HalfStudentT", (4, digits(_sd(timeline, form))))
            sigma = form.priors.make(f"sigma_{y}", y, ("sigma",), prior)
        if form.family == "poisson":
            pm.Poisson(y, pt.exp(eta), dims="unit")
        elif form.family == "student-t":
            nu = form.priors.make(f"nu_{y}", y, ("nu",), Prior("Gamma", (2, 0.1)))
            pm.StudentT(y, nu=nu, mu=eta, sigma=sigma, dims="unit")
        else:
            pm.Normal(y, eta, sigma, dims="unit")
    form.priors.refuse_unused()
    return model


def _predictor(
    timeline: Timeline, form: SeriesForm, since: Any, steps: Any, on: Any, controls: dict[str, Any]
) -> Any:
    """Return the linear predictor without what goes on from time to time."""
    y, priors, seen = timeline.outcome, form.priors, timeline.observed
    place = timeline.place.astype(float)
    elapsed, after = place * timeline.step, timeline.after.astype(float)
    columns: list[tuple[str, Any, np.ndarray]] = []
    if form.trend:
        columns.append((timeline.time, since, elapsed))
    if form.effect in ("level and slope", "level"):
        columns.append((INTERVENTION, on, after))
    if form.effect in ("level and slope", "slope"):
        columns.append(("since_start", on * since, after * elapsed))
    columns += [(c, v, timeline.frame[c].to_numpy(dtype=float)) for c, v in controls.items()]
    seasons = np.zeros((len(place), 0))
    if form.season is not None:
        codes = (timeline.place + timeline.phase) % form.season
        seasons = np.eye(form.season)[codes][:, 1:]
    values = [v[seen] for _, _, v in columns] + list(seasons[seen].T)
    level, spread = _location(timeline, form)
    own = own_spread(values) if values else [1.0]
    if form.family == "poisson":
        own = [1.0, *(float(np.std(v)) or 1.0 for v in values)]  # a link has a scale of its own
    parts: list[Any] = []
    if form.level == "fixed":
        prior = Prior("Normal", (near(level, spread), digits(spread / own[0])))
        parts.append(priors.make(f"b_{y}_Intercept", y, ("Intercept",), prior))
    for (name, variable, _), sd in zip(columns, own[1:], strict=False):
        prior = Prior("Normal", (0, digits(spread / sd)))
        parts.append(priors.make(f"b_{y}_{name}", y, (name,), prior) * variable)
    if form.season is not None:
        wide = digits(np.asarray([spread / sd for sd in own[1 + len(columns) :]]))
        pm.modelcontext(None).add_coord("season", range(2, form.season + 1))
        b = priors.make(f"b_{y}_season", y, ("season",), Prior("Normal", (0, wide)), ("season",))
        turn = pt.cast(pt.round(steps) + timeline.phase % form.season, "int64") % form.season
        parts.append(pt.concatenate([pt.zeros(1), b])[turn])
    if form.effect == "each time":
        parts.append(_each_time(timeline, form, steps, on))
    return _total(parts)


def _total(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else _total([parts[0] + parts[1], *parts[2:]])


def _each_time(timeline: Timeline, form: SeriesForm, steps: Any, on: Any) -> Any:
    """Return an effect of each time after the start; there is none of times before."""
    y, last = timeline.outcome, int(timeline.place[-1])
    pm.modelcontext(None).add_coord("after_start", range(last + 1))
    wide = 2.5 if form.family == "poisson" else digits(WIDE * _sd(timeline, form))
    prior = Prior("Normal", (0, wide))
    delta = form.priors.make(EFFECT, y, (EFFECT,), prior, ("after_start",))
    which = pt.clip(pt.cast(pt.round(steps), "int64"), 0, last)
    return on * delta[which]


def _path(timeline: Timeline, form: SeriesForm) -> Any:
    """Return what goes on from time to time: an autoregression, a walk, a walk with a drift."""
    y, priors = timeline.outcome, form.priors
    level, spread = _location(timeline, form)
    sd = spread / 2.5
    seen = timeline.frame[y].dropna().to_numpy(dtype=float)
    moves = float(np.std(np.diff(seen))) or sd
    parts: list[Any] = []
    if form.level != "fixed":
        step = priors.make("sd_level", y, ("sd_level",), Prior("HalfNormal", (digits(moves),)))
        first = pm.Normal.dist(near(level, spread), digits(4 * spread))
        parts.append(pm.GaussianRandomWalk("level", sigma=step, init_dist=first, dims="unit"))
    if form.level == "local trend":
        prior = Prior("HalfNormal", (digits(moves / 4),))
        step = priors.make("sd_slope", y, ("sd_slope",), prior)
        first = pm.Normal.dist(0, digits(2.5 * moves))
        slope = pm.GaussianRandomWalk("slope", sigma=step, init_dist=first, dims="unit")
        parts.append(pt.cumsum(slope))
    if form.errors == "ar1":
        rho = priors.make("rho", y, ("rho",), Prior("Uniform", (-1, 1)))
        step = priors.make("sd_error", y, ("sd_error",), Prior("HalfNormal", (digits(sd),)))
        first = pm.Normal.dist(0, step / pt.sqrt(1 - rho**2))
        parts.append(
            pm.AR("error", rho=[rho], sigma=step, init_dist=first, ar_order=1, dims="unit")
        )
    return _total(parts)


def _location(timeline: Timeline, form: SeriesForm) -> tuple[float, float]:
    """Return where the predictor lies, and the scale of what a standard column adds to it."""
    values = timeline.frame[timeline.outcome].dropna()
    if form.family == "poisson":
        return float(np.log(values.mean())), 1.5
    return float(values.mean()), 2.5 * float(values.std())


def _sd(timeline: Timeline, form: SeriesForm) -> float:
    return _location(timeline, form)[1] / 2.5
