"""The mean of each time in each posterior draw, and the errors around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from bayescausal.designs.series.series_model import EFFECT, INTERVENTION

if TYPE_CHECKING:
    from bayescausal.designs.series.series_model import SeriesForm
    from bayescausal.designs.series.timeline import Timeline
    from bayescausal.inference.record import Fit

__all__ = ["errors_of", "means_of"]


def means_of(
    fit: Fit, timeline: Timeline, form: SeriesForm, *, without: bool = False
) -> np.ndarray:
    """Return the mean of each time as things were, or without the intervention; draws first."""
    posterior, y = fit.posterior, timeline.outcome
    place, after = timeline.place, timeline.after * (not without)
    elapsed = place * timeline.step
    columns = {
        "Intercept": np.ones(len(place)),
        timeline.time: elapsed,
        INTERVENTION: after,
        "since_start": after * elapsed,
        **{c: timeline.frame[c].to_numpy(dtype=float) for c in timeline.controls},
    }

    def drawn(name: str) -> np.ndarray:
        values = posterior[name].to_numpy()
        return np.asarray(values.reshape(values.shape[0] * values.shape[1], *values.shape[2:]))

    eta = np.zeros((posterior.sizes["chain"] * posterior.sizes["draw"], len(place)))
    for name, column in columns.items():
        if f"b_{y}_{name}" in posterior:
            eta = eta + drawn(f"b_{y}_{name}")[:, None] * column
    if form.season is not None:
        b = drawn(f"b_{y}_season")
        b = np.column_stack([np.zeros(len(b)), b])
        eta = eta + b[:, (place + timeline.phase) % form.season]
    if form.effect == "each time":
        eta = eta + after * drawn(EFFECT)[:, np.maximum(place, 0)]
    for path in ("level", "error"):
        if path in posterior:
            eta = eta + drawn(path)
    if "slope" in posterior:
        eta = eta + np.cumsum(drawn("slope"), axis=1)
    return np.exp(eta) if form.family == "poisson" else eta


def errors_of(fit: Fit, timeline: Timeline, form: SeriesForm) -> np.ndarray:
    """Return the errors of each draw on the scale of standard Normals (of counts: standardised)."""
    mean = means_of(fit, timeline, form)
    y = timeline.frame[timeline.outcome].to_numpy(dtype=float)
    if form.family == "poisson":
        return np.asarray((y - mean) / np.sqrt(mean))
    posterior, name = fit.posterior, timeline.outcome
    errors = (y - mean) / posterior[f"sigma_{name}"].to_numpy().reshape(-1, 1)
    if form.family == "student-t":
        nu = posterior[f"nu_{name}"].to_numpy().reshape(-1, 1)
        return np.asarray(norm.ppf(student.cdf(errors, nu)))
    return np.asarray(errors)
