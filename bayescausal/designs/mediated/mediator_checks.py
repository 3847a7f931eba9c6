r"""Checks and pictures of mediation: the parts of the effect, and a hidden cause of m and y.

A hidden common cause of mediator and outcome makes their disturbances correlate. With
:math:`\epsilon_m \sim N(0, \sigma_m^2)` and :math:`\epsilon_y` of correlation :math:`\rho`,
:math:`E[\epsilon_y \mid \epsilon_m] = \rho \sigma_y \epsilon_m / \sigma_m`, the coefficients of the
outcome's equation that the data show, :math:`\hat\gamma` of m and the noise :math:`\hat\sigma`, are

.. math::

   \hat\gamma = \gamma + \rho\, \sigma_y / \sigma_m, \qquad \hat\sigma = \sigma_y \sqrt{1 - \rho^2},

so that every draw gives the effect for every :math:`\rho` [1]_. For a probit outcome
:math:`\sigma_y = 1`, and what the data show is divided by :math:`\sqrt{1 - \rho^2}`.

References
----------
.. [1] K. Imai, L. Keele and T. Yamamoto, "Identification, inference and sensitivity analysis for
   causal mediation effects", Statistical Science 25(1), 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.check_tables import interval, said
from bayescausal.effects.estimate import estimate, labelled
from bayescausal.evaluation.label_levels import is_category
from bayescausal.figures.forest import plot_forest
from bayescausal.figures.style import BLUE, new_axes, quiet, tidy
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = [
    "MediationRoles",
    "balance",
    "decomposition",
    "plot_effects",
    "plot_sensitivity",
    "sensitivity",
]

#: Correlations that are tried, and the one below which an answer is called fragile.
RHOS = np.arange(-9, 10) / 10
FRAGILE = 0.2


@dataclass(frozen=True)
class MediationRoles:
    """The columns of a mediation analysis."""

    treatment: str
    mediators: tuple[str, ...]
    outcome: str
    covariates: tuple[str, ...]
    families: Mapping[str, str]
    interaction: bool
    effects: Mapping[str, Estimand]

    @property
    def probit(self) -> bool:
        """Whether the outcome is a probit."""
        return "probit" in self.families[self.outcome]

    @property
    def has_rho(self) -> bool:
        """Whether the effect is known for every correlation: one Normal mediator."""
        first = self.families[self.mediators[0]]
        known = self.probit or self.families[self.outcome] == "gaussian"
        levels = [getattr(self.effects["NIE"], side) for side in ("treated", "control")]
        plain = all(isinstance(v, int | float) for v in levels)
        return len(self.mediators) == 1 and first == "gaussian" and known and plain


def decomposition(fit: Fit, roles: MediationRoles) -> pd.DataFrame:
    """Return the parts of the total effect, and the share that goes through the mediators.

    The share is 1 - NDE / TE; a ratio of two uncertain numbers has no mean, so its middle is the
    median.
    """
    asked = [roles.effects[n] for n in ("TE", "NDE", "NIE", "proportion mediated")]
    draws = [e.draws.values.ravel() for e in estimate(fit, asked, progressbar=False)]
    total, direct, indirect, share = draws
    rows = {}
    for name, drawn in (
        ("total", total),
        ("direct", direct),
        ("indirect", indirect),
        ("indirect, treated", total - direct),
        ("proportion mediated", share),
    ):
        rows[name] = {"median": float(np.median(drawn)), **interval(drawn)}
    table = pd.DataFrame(rows).T
    table.index.name = "effect"
    sign = max(np.mean(total > 0), np.mean(total < 0))
    table.attrs["finding"] = f"The total effect has one sign with probability {sign:.2f}" + (
        "; a share of an effect that may be zero says little."
        if sign < 0.97
        else f", and {np.median(share):.0%} of it goes through {', '.join(roles.mediators)}."
    )
    return table


def sensitivity(fit: Fit, roles: MediationRoles) -> pd.DataFrame:
    """Return the indirect effect for correlations of the disturbances of mediator and outcome."""
    if not roles.has_rho:
        raise DataError(
            "The indirect effect is known for every correlation with a treatment of numbers, one "
            "Normal mediator and a Normal or probit outcome only.",
            remedy="Code a treatment with labels as 0 and 1; of other families ask "
            "bayescausal.hidden_confounder about the mediator's effect.",
        )
    rows = {}
    for rho in RHOS:
        drawn = _indirect(fit, roles, float(rho))
        rows[rho] = {"NIE": float(drawn.mean()), **interval(drawn)}
    table = pd.DataFrame(rows).T
    table.index.name = "rho"
    null = _zero(table["NIE"])
    weak = null is not None and abs(null) < FRAGILE
    return said(
        table,
        "warn" if weak else "pass",
        f"No correlation up to {RHOS[-1]:g} makes the indirect effect zero."
        if null is None
        else f"The indirect effect would be zero if the disturbances of {roles.mediators[0]} and "
        f"{roles.outcome} correlated by {null:.2f}.",
    )


def balance(fit: Fit, roles: MediationRoles) -> pd.DataFrame:
    """Return how the covariates correlate with the treatment: zero where it was randomised.

    A treatment with labels is 1 at the treated level, and 0 at the control level.
    """
    columns = labelled(fit)
    t, there = columns[roles.treatment], np.ones(len(columns[roles.treatment]), dtype=bool)
    if is_category(fit, roles.treatment):
        treated, control = (getattr(roles.effects["TE"], side) for side in ("treated", "control"))
        t, there = t == treated, (t == treated) | (t == control)
    t = t[there].astype(float)
    rows: dict[str, float] = {}
    for name in roles.covariates:
        values = columns[name][there]
        parts = {name: values.astype(float)} if not is_category(fit, name) else {
            f"{name}[{v}]": (values == v) * 1.0 for v in dict.fromkeys(np.sort(values).tolist())
        }  # fmt: skip
        rows |= {label: float(np.corrcoef(t, column)[0, 1]) for label, column in parts.items()}
    table = pd.DataFrame({"correlation with treatment": rows})
    table.index.name = "covariate"
    return table


def plot_effects(fit: Fit, roles: MediationRoles, ax: Axes | None = None) -> Axes:
    """Draw the total, direct and indirect effects."""
    asked = [question for question in roles.effects.values() if question.signed]  # on one scale
    effects = estimate(fit, asked, progressbar=False)
    return plot_forest(list(effects), ax=ax)


def plot_sensitivity(fit: Fit, roles: MediationRoles, ax: Axes | None = None) -> Axes:
    """Draw the indirect effect against the correlation of the disturbances."""
    table = sensitivity(fit, roles)
    ax = new_axes(ax)
    low, high = table["hdi94_lb"], table["hdi94_ub"]
    ax.fill_between(table.index, low, high, color=BLUE, alpha=0.25, lw=0, label="94% HDI")
    ax.plot(table.index, table["NIE"], color=BLUE, label="mean")
    ax.axhline(0, color=quiet(), lw=0.8)
    ax.axvline(0, color=quiet(), lw=0.8, ls=":")
    ax.set_xlabel(f"correlation of the disturbances of {roles.mediators[0]} and {roles.outcome}")
    ax.set_ylabel("natural indirect effect")
    ax.legend(frameon=False)
    return tidy(ax, grid="y", left=True)


# ------------------------------------------------------------------------------- private


def _zero(means: pd.Series) -> float | None:
    """Return where a curve crosses zero nearest to rho = 0; None if it does not."""
    at, values = means.index.to_numpy(float), means.to_numpy()
    found = [
        at[k] - values[k] * (at[k + 1] - at[k]) / (values[k + 1] - values[k])
        for k in range(len(at) - 1)
        if values[k] * values[k + 1] <= 0 and values[k] != values[k + 1]
    ]
    return min(found, key=abs) if found else None


def _indirect(fit: Fit, roles: MediationRoles, rho: float) -> np.ndarray:
    """Return draws of NIE, or its mean over units, at a correlation."""
    t, m, y = roles.treatment, roles.mediators[0], roles.outcome
    low, high = (float(getattr(roles.effects["NIE"], s)) for s in ("control", "treated"))

    def b(name: str) -> np.ndarray:
        return np.asarray(fit.posterior[name].values).reshape(-1)

    moved = b(f"b_{m}_{t}") * (high - low)
    slope = b(f"b_{y}_{m}")
    if roles.interaction:
        slope = slope + b(_product(fit, y, t, m)) * low
    spread = b(f"sigma_{m}")
    if not roles.probit:
        own = b(f"sigma_{y}") / np.sqrt(1 - rho**2)
        return (slope - rho * own / spread) * moved
    return _probit(fit, roles, rho, low, moved, slope, spread)


def _product(fit: Fit, y: str, t: str, m: str) -> str:
    """Return the name of the coefficient of a product."""
    return next(n for n in (f"b_{y}_{t}:{m}", f"b_{y}_{m}:{t}") if n in fit.posterior)


def _probit(
    fit: Fit,
    roles: MediationRoles,
    rho: float,
    low: float,
    moved: np.ndarray,
    slope: np.ndarray,
    spread: np.ndarray,
) -> np.ndarray:
    """Return the indirect effect on a probability, the noise of the mediator averaged out."""
    from scipy.special import ndtr

    t, m, y = roles.treatment, roles.mediators[0], roles.outcome
    root = np.sqrt(1 - rho**2)
    true = slope * root - rho / spread
    scale = np.sqrt(true**2 * spread**2 + 2 * rho * true * spread + 1)
    mediator = _predictor(fit, m, roles.covariates) + (_b(fit, m, t) * low)[:, None]
    seen = _predictor(fit, y, roles.covariates) + (_b(fit, y, t) * low)[:, None]
    # what is seen has rho (m - its mean) / sd in it: taken out, the rest is divided by the root
    rest = seen * root + (rho / spread)[:, None] * mediator
    base = rest + true[:, None] * mediator
    after = ndtr((base + (true * moved)[:, None]) / scale[:, None])
    return np.asarray((after - ndtr(base / scale[:, None])).mean(axis=1))


def _b(fit: Fit, name: str, term: str) -> np.ndarray:
    return np.asarray(fit.posterior[f"b_{name}_{term}"].values).reshape(-1)


def _predictor(fit: Fit, name: str, covariates: tuple[str, ...]) -> np.ndarray:
    """Return intercept and covariates of an equation: (draws, units)."""
    total = _b(fit, name, "Intercept")[:, None]
    model, columns = fit.model, labelled(fit)
    for c in covariates:
        b = np.asarray(fit.posterior[f"b_{name}_{c}"].values)
        b = b.reshape(b.shape[0] * b.shape[1], -1)
        dims = model.named_vars_to_dims.get(f"b_{name}_{c}", ())
        if dims:  # one coefficient for each level beside the first
            total = total + b @ np.stack([columns[c] == v for v in model.coords[dims[-1]]])
        else:
            total = total + b * columns[c].astype(float)[None]
    return np.asarray(total)
