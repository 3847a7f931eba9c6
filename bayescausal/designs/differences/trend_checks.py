r"""What speaks for or against parallel trends, and what other computations say.

``pretrends``
    The deviations of the treated cohorts before their treatment, relative to the last period before
    it: those of the model where it has them, else differences of means. Zero under parallel trends
    without anticipation; that they are zero before does not show that they are afterwards.
``two_way``
    The coefficient of the treatment in the regression on unit and time effects is
    :math:`\sum_i w_i y_i` with :math:`w = \tilde d / \tilde d'\tilde d`, the residual of the
    treatment. On the treated the weights add up to one and may be negative [1]_.
``differences``
    Group-time differences of means without a model [2]_, beside the posterior.
``violations``
    The average effect, if each treated cohort may have deviated from parallel trends by an amount
    with a normal prior: in each treated period anew (``"level"``), or along a line from the period
    before treatment (``"linear"``), of a standard deviation :math:`s`; and the largest :math:`s`
    up to which the interval excludes zero.

References
----------
.. [1] C. de Chaisemartin and X. D'Haultfoeuille, "Two-way fixed effects estimators with
   heterogeneous treatment effects", American Economic Review 110(9), 2020.
.. [2] B. Callaway and P. H. C. Sant'Anna, "Difference-in-differences with multiple time periods",
   Journal of Econometrics 225(2), 2021.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.check_tables import ends
from bayescausal.designs.differences.equation import CELL, LEAD
from bayescausal.draws.intervals import narrowest
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.designs.differences.equation import Equation
    from bayescausal.inference.record import Fit

__all__ = ["att_draws", "checks_of", "coefficients", "differences"]

#: Rounds of taking out unit and time means.
ROUNDS = 10_000


def checks_of(equation: Equation) -> dict[str, Callable[..., pd.DataFrame]]:
    """Return the checks of the design."""
    return {
        "pretrends": partial(_pretrends, equation),
        "two_way": partial(_two_way, equation),
        "differences": partial(_differences, equation),
        "violations": partial(_violations, equation),
    }


def coefficients(fit: Fit, equation: Equation, name: str) -> tuple[np.ndarray, list[str]]:
    """Return draws of the effects (``CELL``) or leads (``LEAD``), (draw, cell), and the cells."""
    term = f"{equation.treated}:{CELL}" if name == CELL else name
    drawn = fit.posterior[f"b_{equation.outcome}_{term}"]
    cells = [str(v) for v in drawn[drawn.dims[-1]].values]
    flat = drawn.to_numpy().reshape(-1, len(cells))
    kept = [k for k, c in enumerate(cells) if c != "none"]
    return flat[:, kept], [cells[k] for k in kept]


def att_draws(fit: Fit, equation: Equation) -> np.ndarray:
    """Return draws of the average effect over treated rows, on the scale of the coefficients."""
    draws, cells = coefficients(fit, equation, CELL)
    share = _shares(equation, cells)
    return np.asarray(draws @ share)


def _shares(equation: Equation, cells: Sequence[str]) -> np.ndarray:
    """Return the share of each cell among the treated rows."""
    names, _ = equation.cell(equation.cohorts.treated == 1)
    counts = pd.Series(names).value_counts()
    share = np.array([counts.get(c, 0) for c in cells], dtype=float)
    return np.asarray(share / share.sum())


# ------------------------------------------------------------------------- differences of means


def differences(equation: Equation) -> pd.DataFrame:
    """Return differences in differences of means, for each cohort and time but its reference.

    On the scale of the link, with standard errors from units where each is seen once at both
    times and the scale is that of the outcome, and from rows otherwise.
    """
    found = equation.cohorts
    y = found.table.frame[equation.outcome].to_numpy(dtype=float)
    panel = not found.table.repeated and equation.gaussian
    wide = found.table.wide(equation.outcome) if panel else np.zeros((0, 0))
    start_of = pd.Series(found.start).groupby(found.table.unit).first().to_numpy()
    rows = []
    for start in found.starts:
        base = start - 1 - found.anticipation
        for t in range(len(found.table.times)):
            if t == base:
                continue
            controls = _controls(equation, start, t, base)
            if panel:
                change = wide[:, t] - wide[:, base]
                value, error = _contrast(
                    change[start_of == start], change[np.isin(start_of, controls)]
                )
            else:
                value, error = _four_means(equation, y, start, controls, t, base)
            rows.append(
                {
                    "cohort": found.label[start],
                    "time": found.table.labels[t],
                    "event_time": t - start,
                    "difference": value,
                    "se": error,
                }
            )
    return pd.DataFrame(rows)


def _controls(equation: Equation, start: int, t: int, base: int) -> list[int]:
    """Return the cohorts that are compared with at that time."""
    found = equation.cohorts
    if equation.control == "never":
        return [found.never]
    later = max(t, base) + found.anticipation
    return [s for s in (*found.starts, found.never) if s > later and s != start]


def _contrast(treated: np.ndarray, control: np.ndarray) -> tuple[float, float]:
    a, b = (v[np.isfinite(v)] for v in (treated, control))
    if not len(a) or not len(b):
        return float("nan"), float("nan")
    error = sum(v.var(ddof=1) / len(v) if len(v) > 1 else np.nan for v in (a, b))
    return float(a.mean() - b.mean()), float(np.sqrt(error))


def _four_means(
    equation: Equation, y: np.ndarray, start: int, controls: Sequence[int], t: int, base: int
) -> tuple[float, float]:
    """Return the difference of four means on the scale of the link."""
    found, value, variance = equation.cohorts, 0.0, 0.0
    for who, sign in (([start], 1.0), (controls, -1.0)):
        for when, side in ((t, 1.0), (base, -1.0)):
            seen = y[np.isin(found.start, who) & (found.table.period == when)]
            if not len(seen):
                return float("nan"), float("nan")
            height, slope = _link(equation.family, float(seen.mean()))
            value += sign * side * height
            spread = seen.var(ddof=1) / len(seen) if len(seen) > 1 else np.nan
            variance += slope**2 * spread
    return value, float(np.sqrt(variance))


def _link(family: str, mean: float) -> tuple[float, float]:
    """Return the link of a mean, and its derivative."""
    name = family.split("(")[0].strip().replace("_", " ")
    with np.errstate(all="ignore"):
        if name in ("bernoulli", "binomial", "beta"):
            return float(np.log(mean / (1 - mean))), float(1 / (mean * (1 - mean)))
        if name in ("poisson", "negative binomial", "gamma"):
            return float(np.log(mean)), float(1 / np.float64(mean))
    return mean, 1.0


# ---------------------------------------------------------------------------------- the checks


def _pretrends(equation: Equation, fit: Fit) -> pd.DataFrame:
    """Return the deviations before treatment, and all of them together in the last row."""
    table = differences(equation)
    table = table[table["event_time"] < 0].reset_index(drop=True)
    if not len(table):
        raise DataError(
            f"There is one period before {equation.treated} begins: nothing shows whether trends "
            "were parallel.",
            expected="Two or more periods before.",
            remedy="Say how far they may have deviated: the check 'violations'.",
        )
    if LEAD in fit.columns and equation.effect == "cohort_time":
        draws, cells = coefficients(fit, equation, LEAD)
        place = [f"{c}, {t}" for c, t in zip(table["cohort"], table["time"], strict=True)]
        kept = [cells.index(p) for p in place if p in cells]
        table = table[[p in cells for p in place]].reset_index(drop=True)
        draws = draws[:, kept]
    elif LEAD in fit.columns:
        draws, cells = coefficients(fit, equation, LEAD)
        table = pd.DataFrame({"cohort": "all", "time": "", "event_time": [int(c) for c in cells]})
    else:
        rng = np.random.default_rng(fit.seed)
        noise = rng.standard_normal((fit.n_draws, len(table)))
        draws = table["difference"].to_numpy() + noise * table["se"].to_numpy()
    lower, upper = narrowest(draws, 0.94)
    above = (draws > 0).mean(axis=0)
    covariance = np.atleast_2d(np.cov(draws.T))
    mean = draws.mean(axis=0)
    rows = table[["cohort", "time", "event_time"]].assign(
        mean=mean,
        sd=draws.std(axis=0),
        hdi_lower=lower,
        hdi_upper=upper,
        tail=2 * np.minimum(above, 1 - above),
    )
    from scipy.stats import chi2

    distance = float(mean @ np.linalg.pinv(covariance) @ mean)
    together = {"cohort": "together", "time": "", "tail": float(chi2.sf(distance, len(mean)))}
    rows["event_time"] = rows["event_time"].astype("Int64")
    return pd.concat([rows, pd.DataFrame([together])], ignore_index=True)


def _residual(treated: np.ndarray, unit: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return the treatment less its unit and time effects: means taken out in turn."""
    rest = treated.astype(float)
    sizes = np.bincount(unit), np.bincount(period)
    for _ in range(ROUNDS):
        old = rest
        for codes, size in zip((unit, period), sizes, strict=True):
            means = np.bincount(codes, rest, len(size)) / np.maximum(size, 1)
            rest = rest - means[codes]
        if np.max(np.abs(rest - old)) < 1e-13:
            break
    return rest


def _two_way(equation: Equation, fit: Fit) -> pd.DataFrame:
    """Return the two-way coefficient beside the effects that it averages, and its weights."""
    found = equation.cohorts
    y = found.table.frame[equation.outcome].to_numpy(dtype=float)
    rest = _residual(found.treated, found.table.unit, found.table.period)
    weight = rest / (rest @ rest)
    on = found.treated == 1
    names, _ = equation.cell(on)
    draws, cells = coefficients(fit, equation, CELL)
    by_cell = pd.Series(np.where(on, weight, 0.0)).groupby(names).sum()
    rows = pd.DataFrame(
        {
            "cell": cells,
            "effect": draws.mean(axis=0),
            "weight_two_way": [float(by_cell.get(c, 0.0)) for c in cells],
            "weight_ATT": _shares(equation, cells),
        }
    )
    last = {
        "cell": "two-way coefficient",
        "effect": float(weight @ y),
        "weight_two_way": rows["weight_two_way"].sum(),
    }
    average = {
        "cell": "ATT",
        "effect": float(draws.mean(axis=0) @ _shares(equation, cells)),
        "weight_ATT": rows["weight_ATT"].sum(),
    }
    return pd.concat([rows, pd.DataFrame([average, last])], ignore_index=True)


def _differences(equation: Equation, fit: Fit) -> pd.DataFrame:
    """Return differences of means beside the posterior of the same effects."""
    table = differences(equation)
    table = table[table["event_time"] >= 0].reset_index(drop=True)
    draws, cells = coefficients(fit, equation, CELL)
    if equation.effect == "event_time":
        place = [cells.index(str(e)) for e in table["event_time"]]
    else:
        place = [
            cells.index(f"{c}, {t}") for c, t in zip(table["cohort"], table["time"], strict=True)
        ]
    return table.assign(effect=draws.mean(axis=0)[place], sd=draws.std(axis=0)[place])


def _violations(
    equation: Equation, fit: Fit, scales: Sequence[float] | None = None, *, prob: float = 0.94
) -> pd.DataFrame:
    """Return the average effect under deviations from parallel trends of several sizes.

    Beside those that the model has already. `scales` are standard deviations in units of the
    outcome (of the link, where there is one); by default multiples of the effect's own.
    """
    effect = att_draws(fit, equation)
    spread, rows = float(effect.std()), []
    if scales is None:
        scales = [0.0, *(float(f"{k * spread:.2g}") for k in (0.5, 1.0, 2.0, 4.0))]
    if any(not s >= 0 for s in scales):
        raise DataError(f"scales={list(scales)}.", expected="Standard deviations, 0 or more.")
    for form in ("level", "linear"):
        push = _deviations(equation, form, np.random.default_rng([fit.seed, 3]), len(effect))
        for scale in scales:
            lower, upper = ends(effect - scale * push, prob)
            rows.append((form, scale, float(effect.mean()), lower, upper, not lower < 0 < upper))
        largest = _breakdown(effect, push, prob)
        lower, upper = ends(effect - largest * push, prob)
        rows.append((f"{form}, largest", largest, float(effect.mean()), lower, upper, True))
    names = ["violation", "scale", "mean", "hdi_lower", "hdi_upper", "excludes_zero"]
    table = pd.DataFrame(rows, columns=names)
    crossed = ends(effect, prob)
    none = crossed[0] < 0 < crossed[1]
    table.loc[table["violation"].str.endswith("largest"), "excludes_zero"] = not none
    return table


def _deviations(equation: Equation, form: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return draws of the average deviation over treated rows, for a scale of one."""
    found, on = equation.cohorts, equation.cohorts.treated == 1
    if form == "level":
        names, _ = equation.cell(on)
        share = pd.Series(names[on]).value_counts(normalize=True).to_numpy()
    else:
        since = found.table.period - (found.start - 1 - found.anticipation)
        total = pd.Series(since[on]).groupby(found.start[on]).sum()
        share = total.to_numpy() / on.sum()
    noise = rng.standard_normal(size)  # a sum of independent normals is one
    noise = (noise - noise.mean()) / noise.std()
    return np.asarray(noise * np.sqrt((share**2).sum()))


def _breakdown(effect: np.ndarray, push: np.ndarray, prob: float) -> float:
    """Return the largest scale up to which the interval excludes zero; 0 where none does."""

    def excludes(scale: float) -> bool:
        lower, upper = ends(effect - scale * push, prob)
        return not lower < 0 < upper

    if not excludes(0.0):
        return 0.0
    high = abs(float(effect.mean())) / max(float(push.std()), 1e-300)
    low = 0.0
    while excludes(high):
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
    return low
