"""Checks of a discontinuity design: what the data can say about its assumptions.

The density of the running variable should not jump at the cutoff, as it would if units chose their
side [1]_; covariates should not; nor the outcome where there is no rule; and the effect should not
hang on the bandwidth, or on the rows next to the cutoff.

References
----------
.. [1] J. McCrary, "Manipulation of the running variable in the regression discontinuity design: a
   density test", *Journal of Econometrics* 142 (2008), 698-714.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from bayescausal.designs.check_tables import said
from bayescausal.designs.discontinuity.bandwidth import kernel_weights
from bayescausal.designs.discontinuity.local import density_jump, local_jump
from bayescausal.designs.table import numbers
from bayescausal.effects.estimate import estimate
from bayescausal.inference.fit import fit as fit_again
from bayescausal.types import DataError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.designs.discontinuity.side_models import Form
    from bayescausal.designs.discontinuity.window import Window
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.model.design import Design

__all__ = [
    "balance",
    "bandwidths",
    "density",
    "donut",
    "first_stage",
    "is_discrete",
    "least_squares",
    "mass_points",
    "placebo_cutoffs",
]

#: p-values below which a check warns, and F below which a first stage is weak.
SMALL, WEAK = 0.01, 10.0


def is_discrete(window: Window) -> bool:
    """Whether most rows share their value of the running variable with others."""
    values = window.frame[window.running]
    return bool(values.nunique() < 0.5 * len(values))


def density(fit: Fit, *, window: Window, nearest: Sequence[int] = (20, 50, 100)) -> pd.DataFrame:
    """Compare how many units there are just below and just above the cutoff.

    One row for each number of nearest units, with the binomial test of equal counts, and one for
    McCrary's test of the log of the density.
    """
    distance = _all_distances(window)
    size = np.sort(np.abs(distance))
    rows = []
    for count in nearest:
        if count > len(distance) // 2:
            continue
        inside = np.abs(distance) <= size[count - 1]
        up = int((distance[inside] >= 0).sum())
        total = int(inside.sum())
        p = float(binomtest(up, total).pvalue)
        rows.append((f"{count} nearest", size[count - 1], total - up, up, np.nan, np.nan, p))
    jump, se, width = density_jump(distance)
    near = np.abs(distance) <= width
    below, above = int((distance[near] < 0).sum()), int((distance[near] >= 0).sum())
    p = float(2 * norm.sf(abs(jump / se))) if se > 0 else np.nan
    rows.append(("log density (McCrary)", width, below, above, jump, se, p))
    columns = ["test", "within", "below", "above", "log ratio", "se", "p"]
    table = pd.DataFrame(rows, columns=columns).set_index("test")
    least = float(table["p"].min()) * len(table)  # several looks at the same counts
    where = f"{window.running} = {window.cutoff:g}"
    if least < SMALL:
        return said(table, "warn", f"The density of {where.split(' =')[0]} jumps at {where}: do "
                     "units choose their side?")  # fmt: skip
    return said(table, "pass", f"The number of units does not jump at {where}.")


def balance(
    fit: Fit, *, window: Window, form: Form, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the jump of each covariate at the cutoff; there should be none.

    ``columns``: default the covariates of the design, or all other columns of numbers.
    """
    taken = (window.outcome, window.running, window.treatment)
    if columns is None:
        columns = window.covariates or [
            str(c)
            for c in window.table.columns
            if c not in taken and pd.api.types.is_numeric_dtype(window.table[c])
        ]
    rows = {}
    for name in columns:
        if name not in window.table.columns:
            raise unknown_variable(name, map(str, window.table.columns), what="a column")
        values = numbers(window.table, name, "columns")
        running = numbers(window.table, window.running, "running")
        there = ~np.isnan(values) & ~np.isnan(running)
        x = running[there] - window.cutoff
        weights = kernel_weights(x, window.bandwidth, window.kernel)
        rows[name] = local_jump(x, values[there], weights, window, form.order, kink=form.kink)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["jump", "se", "rows"])
    table.index.name = "covariate"
    table["p"] = 2 * norm.sf(np.abs(table["jump"] / table["se"]))
    off = table.index[table["p"] * len(table) < SMALL]
    if len(off):
        shown = ", ".join(map(str, off))
        return said(table, "warn", f"At the cutoff {shown} jumps too: is there another rule?")
    if not len(table):
        return said(table, "pass", "There is no covariate to compare.")
    return said(table, "pass", "No covariate jumps at the cutoff.")


def bandwidths(
    fit: Fit,
    *,
    window: Window,
    again: Callable[..., Design],
    values: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the effect at several bandwidths: the model fitted again at each.

    ``values``: default half, three quarters, one, one and a half and twice the design's.
    """
    if values is None:
        widest = float(np.abs(_all_distances(window)).max())
        own = min(window.bandwidth, widest)
        values = sorted({min(own * f, widest * 1.001) for f in (0.5, 0.75, 1.0, 1.5, 2.0)})
    rows = []
    for width in values:
        found = _effect_of(fit, again, bandwidth=float(width), kernel=window.kernel)
        rows.append((float(width), *found))
    columns = ["bandwidth", "rows", "mean", "sd", "hdi_3%", "hdi_97%"]
    table = pd.DataFrame(rows, columns=columns).set_index("bandwidth")
    at = int(np.argmin(np.abs(table.index - min(window.bandwidth, max(table.index)))))
    low, high = table.iloc[at][["hdi_3%", "hdi_97%"]]
    off = table.index[(table["mean"] < low) | (table["mean"] > high)]
    if len(off):
        shown = ", ".join(f"{w:.4g}" for w in off)
        return said(table, "warn", f"The effect hangs on the bandwidth: at {shown} its mean lies "
                     "outside the interval of the design's own.")  # fmt: skip
    return said(table, "pass", "The effect is much the same at other bandwidths.")


def donut(
    fit: Fit,
    *,
    window: Window,
    again: Callable[..., Design],
    radii: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the effect without the rows next to the cutoff, where units would choose their side.

    ``radii``: how far from the cutoff rows are left out; default those of the nearest 2 and 5%.
    """
    size = np.abs(window.distance)
    if radii is None:
        radii = [float(np.quantile(size, q)) for q in (0.02, 0.05)]
    distance = np.abs(numbers(window.table, window.running, "running") - window.cutoff)
    rows = []
    for radius in (0.0, *radii):
        kept = window.table[distance >= radius] if radius else window.table
        found = _effect_of(fit, again, data=kept, bandwidth=window.bandwidth, kernel=window.kernel)
        rows.append((radius, *found))
    columns = ["radius", "rows", "mean", "sd", "hdi_3%", "hdi_97%"]
    table = pd.DataFrame(rows, columns=columns).set_index("radius")
    low, high = table.iloc[0][["hdi_3%", "hdi_97%"]]
    if ((table["mean"] < low) | (table["mean"] > high)).any():
        return said(table, "warn", "The effect hangs on the few rows next to the cutoff.")
    return said(table, "pass", "The effect is much the same without the rows next to the cutoff.")


def placebo_cutoffs(
    fit: Fit, *, window: Window, form: Form, cutoffs: Sequence[float] | None = None
) -> pd.DataFrame:
    """Return the jump of the outcome at cutoffs where there is no rule, each side by itself.

    ``cutoffs``: default the median of each side.
    """
    running = numbers(window.table, window.running, "running")
    outcome = numbers(window.table, window.outcome, "outcome")
    there = ~np.isnan(running) & ~np.isnan(outcome)
    x, y = running[there] - window.cutoff, outcome[there]
    if cutoffs is None:
        cutoffs = [float(np.median(x[s]) + window.cutoff) for s in (x < 0, x >= 0)]
    rows = {}
    for cutoff in cutoffs:
        place = cutoff - window.cutoff
        side = (x >= 0) == (place >= 0)
        weights = kernel_weights(x[side] - place, window.bandwidth, window.kernel)
        rows[float(cutoff)] = local_jump(
            x[side] - place, y[side], weights, window, form.order, kink=form.kink
        )
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["jump", "se", "rows"])
    table.index.name = "cutoff"
    table["p"] = 2 * norm.sf(np.abs(table["jump"] / table["se"]))
    if (table["p"] * len(table) < SMALL).any():
        return said(table, "warn", f"{window.outcome} jumps where there is no rule: the form of "
                     "the curve does not fit.")  # fmt: skip
    return said(table, "pass", f"{window.outcome} does not jump where there is no rule.")


def least_squares(fit: Fit, *, window: Window, form: Form) -> pd.DataFrame:
    """Compare the posterior with weighted least squares and its sandwich standard error (HC1)."""
    x, weights = window.distance, window.weights
    others = window.frame[list(window.covariates)].to_numpy(dtype=float)
    y = window.frame[window.outcome].to_numpy()
    jump, se, count = local_jump(x, y, weights, window, form.order, others, kink=form.kink)
    if window.treatment is not None and "first_stage" in _effects(fit):
        taken = window.frame[window.treatment].to_numpy()
        share = local_jump(x, taken, weights, window, form.order, others, kink=form.kink)[0]
        late = jump / share
        se = local_jump(x, y - late * taken, weights, window, form.order, others, kink=form.kink)[
            1
        ] / abs(share)
        jump = late
    mean, sd = _posterior(fit)
    table = pd.DataFrame(
        {"estimate": [jump, mean], "sd": [se, sd], "rows": [count, len(x)]},
        index=pd.Index(["weighted least squares, HC1", "posterior"], name="method"),
    )
    if form.family in ("bernoulli", "poisson"):
        return said(table, "pass", "A straight line beside the model's own family.")
    if sd < 0.85 * se:
        return said(table, "warn", f"The posterior is narrower than the sandwich standard error "
                     f"({sd:.3g} against {se:.3g}): noise is not as the weights say.")  # fmt: skip
    return said(table, "pass", "The spread of the posterior agrees with the sandwich's.")


def first_stage(fit: Fit, *, window: Window, form: Form) -> pd.DataFrame:
    """Return the jump of the treatment at the cutoff, and its F statistic."""
    others = window.frame[list(window.covariates)].to_numpy(dtype=float)
    taken = window.frame[str(window.treatment)].to_numpy()
    jump, se, count = local_jump(
        window.distance, taken, window.weights, window, form.order, others, kink=form.kink
    )
    f = (jump / se) ** 2 if se > 0 else np.inf
    table = pd.DataFrame(
        {"jump": [jump], "se": [se], "F": [f], "rows": [count]},
        index=pd.Index([window.treatment], name="treatment"),
    )
    if f < WEAK:
        return said(table, "fail", f"{window.treatment} hardly jumps at the cutoff (F = {f:.1f}): "
                     "the effect rests on the priors.")  # fmt: skip
    return said(table, "pass", f"{window.treatment} jumps at the cutoff (F = {f:.0f}).")


def mass_points(fit: Fit, *, window: Window, each_side: int = 5) -> pd.DataFrame:
    """Return the values of a discrete running variable nearest to the cutoff."""
    grouped = window.frame.groupby(window.running)[window.outcome]
    table = grouped.agg(rows="size", mean="mean", sd="std")
    table["eligible"] = [
        int(window.eligible[window.frame[window.running] == v][0]) for v in table.index
    ]
    distance = np.abs(table.index.to_numpy() - window.cutoff)
    kept = [
        table.index[table["eligible"] == side][
            np.argsort(distance[table["eligible"] == side])[:each_side]
        ]
        for side in (0, 1)
    ]
    near = cast("pd.DataFrame", table.loc[table.index.isin([*kept[0], *kept[1]])]).copy()
    gap = float(distance[table["eligible"] == 0].min() + distance[table["eligible"] == 1].min())
    few = int(min((table["eligible"] == side).sum() for side in (0, 1)))
    text = f"The nearest values on both sides are {gap:.4g} apart, {few} or more on each side."
    return said(near, "warn" if few < 5 else "pass", text)


# ------------------------------------------------------------------------------- private


def _all_distances(window: Window) -> np.ndarray:
    running = numbers(window.table, window.running, "running")
    return np.asarray(running[~np.isnan(running)] - window.cutoff)


def _effects(fit: Fit) -> dict[str, object]:
    return {} if fit.design is None else dict(fit.design.effects)


def _posterior(fit: Fit) -> tuple[float, float]:
    """Return mean and standard deviation of the effect at the cutoff."""

    if fit.design is None:
        raise DataError("The fit is not one of a design.", remedy="Pass bc.fit(design).")
    effect = estimate(fit, cast("Estimand", fit.design.effects["at_cutoff"]))
    return float(effect.mean()), float(effect.draws.std())


def _effect_of(
    fit: Fit, again: Callable[..., Design], **changed: object
) -> tuple[int, float, float, float, float]:
    """Return rows, mean, sd and interval of the effect of a design made with other options."""

    design = again(**changed)
    chains, draws = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    posterior = fit_again(design, seed=fit.seed, chains=chains, draws=draws, progressbar=False)
    effect = estimate(posterior, cast("Estimand", design.effects["at_cutoff"]))
    low, high = effect.interval()
    return (
        len(cast("pd.DataFrame", design.data)),
        float(effect.mean()),
        float(effect.draws.std()),
        float(low),
        float(high),
    )
