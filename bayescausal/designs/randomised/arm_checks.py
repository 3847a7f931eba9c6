"""Checks and pictures of an experiment: which arm, and was it randomised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from bayescausal.designs.check_tables import interval, said
from bayescausal.effects.estimands import Expected
from bayescausal.effects.estimands.scales import EffectScale
from bayescausal.effects.estimate import estimate
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from bayescausal.designs.randomised.outcome_models import TrialRoles
    from bayescausal.effects.estimands.notation import Notation
    from bayescausal.inference.record import Fit

__all__ = [
    "LIFT",
    "balance",
    "compare_arms",
    "expected_loss",
    "plot_arms",
    "sample_ratio",
    "shape",
]

#: P-values below which shares or measures before are not those of a randomised trial.
BROKEN = 0.001
#: Share of zeros, and skewness, from which a Normal outcome deserves a second thought.
ZEROS, SKEWED = 0.1, 2.0


def _write_lift(notation: Notation, treated: str, control: str) -> str:
    return f"{treated} / {control} - 1"


def _no_base(treated: Any, control: Any) -> tuple[Any, str, str]:
    zero = np.asarray(control) == 0
    return zero, "the control's mean is zero", "Ask for the difference."


#: The effect in parts of the control's mean.
LIFT = EffectScale(
    "relative lift",
    lambda a, b: a / b - 1,
    0.0,
    False,
    "the change relative to the control's mean",
    _write_lift,
    _no_base,
)


def _means(fit: Fit, roles: TrialRoles) -> dict[Any, np.ndarray]:
    """Return draws of the expected outcome in each arm."""
    asked = [Expected(roles.outcome, {roles.arm: a}) for a in roles.arms]
    effects = estimate(fit, asked, progressbar=False)
    return {a: e.draws.values.ravel() for a, e in zip(roles.arms, effects, strict=True)}


def compare_arms(fit: Fit, roles: TrialRoles) -> pd.DataFrame:
    """Return the expected outcome of each arm, and the probability that it is the largest."""
    means = _means(fit, roles)
    drawn = np.stack(list(means.values()))
    best = np.argmax(drawn, axis=0)
    loss = (drawn.max(axis=0) - drawn).mean(axis=1)
    rows = {}
    for k, (arm, values) in enumerate(means.items()):
        rows[arm] = {
            "mean": float(values.mean()),
            "sd": float(values.std()),
            **interval(values),
            "probability best": float(np.mean(best == k)),
            "expected loss": float(loss[k]),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = roles.arm
    top = next(a for a in rows if rows[a]["probability best"] == table["probability best"].max())
    table.attrs["finding"] = (
        f"{roles.arm} {top} has the largest mean with probability "
        f"{table['probability best'].max():.3f}; choosing it loses "
        f"{rows[top]['expected loss']:.3g} of {roles.outcome} on average."
    )
    return table


def expected_loss(fit: Fit, roles: TrialRoles) -> pd.DataFrame:
    """Return what choosing an arm loses against the best one, on average over the posterior."""
    table = compare_arms(fit, roles)[["expected loss", "probability best"]]
    return table.sort_values("expected loss")


def sample_ratio(fit: Fit, roles: TrialRoles, planned: Mapping[Any, float] | None) -> pd.DataFrame:
    """Return how many units each arm has, and how many it was planned to have."""
    codes = np.asarray(fit.columns[roles.arm]).astype(int)
    counts = np.bincount(codes, minlength=len(roles.arms))
    equal = dict.fromkeys(roles.arms, 1 / len(roles.arms))
    wanted = np.array([(planned or equal)[a] for a in roles.arms]) * len(codes)
    p = float(stats.chisquare(counts, wanted).pvalue)
    label = "equal shares" if planned is None else "planned"
    table = pd.DataFrame({"units": counts, label: wanted}, index=list(roles.arms))
    table.index.name = roles.arm
    if planned is None:
        table.attrs["finding"] = (
            "Which shares were planned is not said: shares={...}. Of equal ones these would have "
            f"p = {p:.2g}."
        )
        return table
    if p >= BROKEN:
        return said(table, "pass", f"The shares of the arms are as planned (p = {p:.2g}).")
    text = (
        f"The shares of the arms are not those that were planned (p = {p:.2g}): units were lost, "
    )
    return said(table, "warn", f"{text}or the draw was another.")


def balance(fit: Fit, roles: TrialRoles) -> pd.DataFrame:
    """Return how far the arms differ in what was measured before, in standard deviations."""
    if not roles.pre:
        raise DataError("Nothing was measured before: pre= names no column.")
    codes = np.asarray(fit.columns[roles.arm]).astype(int)
    first = roles.arms.index(roles.control)
    rows, smallest = {}, 1.0
    for name in roles.pre:
        values = np.asarray(fit.columns[name], dtype=float)
        parts = [values[codes == k] for k in range(len(roles.arms))]
        p = float(stats.f_oneway(*parts).pvalue)
        smallest = min(smallest, p)
        gaps = {
            f"{a} - {roles.control}": (parts[k].mean() - parts[first].mean()) / values.std()
            for k, a in enumerate(roles.arms)
            if k != first
        }
        rows[name] = {**gaps, "p": p}
    table = pd.DataFrame(rows).T
    table.index.name = "before"
    broken = smallest < BROKEN / len(roles.pre)
    more = "more" if broken else "no more"
    text = f"The arms differ in what was measured before by {more} than chance explains."
    return said(table, "warn" if broken else "pass", text)


def shape(fit: Fit, roles: TrialRoles) -> pd.DataFrame:
    """Return what the outcome looks like, and whether another family is nearer to it."""
    name = roles.outcome
    if roles.family == "zero_inflated_lognormal":
        raise DataError("Zeros and amounts have an equation each.")
    values = np.asarray(fit.columns[name], dtype=float)
    zeros, skew = float(np.mean(values == 0)), float(stats.skew(values))
    spread = float(values.var() / values.mean()) if values.mean() > 0 else float("nan")
    table = pd.DataFrame(
        {"zeros": [zeros], "skewness": [skew], "variance / mean": [spread]},
        index=pd.Index([name], name="outcome"),
    )
    doubt = ""
    amounts = bool((values >= 0).all())
    if roles.family == "gaussian" and amounts and zeros > ZEROS and skew > SKEWED:
        doubt = "many zeros and a long tail: see family='zero_inflated_lognormal'."
    elif roles.family == "gaussian" and abs(skew) > 2 * SKEWED:
        doubt = "a long tail: the mean rests on few units; see family='student-t' or 'lognormal'."
    elif roles.family == "poisson" and spread > 1.5:
        doubt = "counts that vary more than Poisson counts: see family='negative_binomial'."
    text = f"{name} has {doubt}" if doubt else f"{roles.family} fits {name}."
    return said(table, "warn" if doubt else "pass", text)


def plot_arms(fit: Fit, roles: TrialRoles, ax: Axes | None = None) -> Axes:
    """Draw the posterior of the expected outcome in each arm."""
    import matplotlib.pyplot as plt

    means = _means(fit, roles)
    ax = ax if ax is not None else plt.subplots(figsize=(5.4, 3.2), layout="constrained")[1]
    whole = np.concatenate(list(means.values()))
    low, high = np.quantile(whole, [0.0005, 0.9995]).tolist()
    grid = np.linspace(low, high, 300)
    for k, (arm, values) in enumerate(means.items()):
        if np.ptp(values) == 0:
            ax.axvline(values[0], color=f"C{k}", label=f"{roles.arm} {arm}")
            continue
        height = stats.gaussian_kde(values)(grid)
        ax.plot(grid, height, color=f"C{k}", label=f"{roles.arm} {arm}")
        ax.fill_between(grid, height, color=f"C{k}", alpha=0.2, lw=0)
    ax.set_xlabel(f"mean of {roles.outcome}")
    ax.set_yticks([])
    ax.legend(frameon=False)
    return ax
