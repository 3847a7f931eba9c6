"""A table with a cutoff as a structural model: the function of the design."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bayescausal.designs.discontinuity import cutoff_checks as checks
from bayescausal.designs.discontinuity import cutoff_plots as plots
from bayescausal.designs.discontinuity.assumptions import assumptions_of
from bayescausal.designs.discontinuity.fuzzy import linear_model, strata_model
from bayescausal.designs.discontinuity.side_models import Form, sharp_model
from bayescausal.designs.discontinuity.window import Window, open_window
from bayescausal.designs.table import check_choice
from bayescausal.effects.estimands import ATE
from bayescausal.model.design import Design
from bayescausal.model.formulas.priors import Priors
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from bayescausal.annotations import Data

__all__ = ["regression_discontinuity"]


def regression_discontinuity(
    data: Data,
    outcome: str,
    running: str,
    cutoff: float = 0.0,
    *,
    bandwidth: float | None = None,
    kernel: str | None = None,
    treatment: str | None = None,
    fuzzy: bool | None = None,
    kink: bool = False,
    form: str = "linear",
    order: int = 1,
    side: str = "above",
    ties: str | None = None,
    compliance: str = "linear",
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    family: str = "gaussian",
    priors: Mapping[str, Any] | None = None,
) -> Design:
    """A treatment that a rule gives on one side of a cutoff, as a structural model.

    Parameters
    ----------
    data : DataFrame or other table
        One row per unit. Rows without an outcome are left out.
    outcome, running : str
        The columns of the outcome and of the variable that has the cutoff.
    cutoff : float
    bandwidth : float, optional
        How far from the cutoff rows are read. Default: the rule of Imbens and Kalyanaraman for a
        straight line, all rows for a curve; ``float("inf")`` takes all rows.
    kernel : {"triangular", "uniform", "epanechnikov"}, optional
        How rows weigh by their distance; default uniform. The others stand for noise that grows
        away from the cutoff.
    treatment : str, optional
        The column of the treatment received, where it may differ from what the rule says. Where
        it never does the design is sharp.
    fuzzy : bool, optional
        Whether the treatment may differ from the rule. False refuses a table in which it does.
    kink : bool
        A rule whose slope changes at the cutoff, in place of one that jumps. The effect is the
        change of slope; with `treatment`, per change of slope of the treatment.
    form : {"linear", "gp"}
        Polynomials, or a Gaussian process around them, on each side.
    order : int
        Of the polynomials.
    side : {"above", "below"}
        On which side of the cutoff the rule gives the treatment.
    ties : {"eligible", "not eligible"}, optional
        What the rule says of units exactly at the cutoff; must be said where there are some.
    compliance : {"linear", "strata"}
        Of a fuzzy design: one effect and errors that correlate, or principal strata (always
        takers, never takers, compliers) of a treatment that is 0 or 1.
    covariates : sequence of str
        Columns of numbers that enter every equation.
    cluster : str, optional
        A column of groups, each with an effect of its own from a common distribution.
    family : {"gaussian", "student-t", "bernoulli", "poisson"}
        Of the outcome.
    priors : mapping, optional
        By parameter, as in :func:`bayescausal.model_from_formulas`.

    Returns
    -------
    Design
        Effects ``"at_cutoff"``; of a fuzzy design also ``"LATE"``, ``"ITT"`` and
        ``"first_stage"``.

    Raises
    ------
    DataError
        If a column is missing or no numbers, a side has too few rows, units lie at the cutoff and
        nobody says on which side, the treatment contradicts the rule or does not jump.

    References
    ----------
    G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice", Journal
    of Econometrics 142 (2008), 615-635.

    Examples
    --------
    >>> import numpy as np, pandas as pd, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> score = rng.uniform(-1, 1, 500)
    >>> y = rng.normal(2.0 * (score >= 0) + score, 0.5)
    >>> table = pd.DataFrame({"score": score, "y": y})
    >>> d = bc.designs.regression_discontinuity(
    ...     table, outcome="y", running="score", bandwidth=1, kernel="uniform"
    ... )
    >>> fit = bc.fit(d, seed=1, progressbar=False)
    >>> round(float(bc.estimate(fit, d.effects["at_cutoff"])), 1)
    2.0
    """
    made = dict(locals())
    _check_options(form, order, family, compliance, kink, kernel, treatment, fuzzy)
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    if bandwidth is None and (form == "gp" or order > 1):
        bandwidth = float("inf")
    kernel = "uniform" if kernel is None else kernel
    named = "treated" if treatment is None else "eligible"
    rule = f"{running}_beyond" if kink else named
    window = open_window(
        data,
        outcome,
        running,
        treatment=treatment,
        covariates=covariates,
        cluster=cluster,
        cutoff=cutoff,
        bandwidth=bandwidth,
        kernel=kernel,
        side=side,
        ties=ties,
        order=order,
        rule=rule,
    )
    fuzzy = _is_fuzzy(window, fuzzy, kink)
    if not fuzzy and treatment is not None:
        rule = treatment
    held = Priors(priors, [outcome, *([treatment] if fuzzy and treatment else [])])
    shape = Form(rule, order, kink, form == "gp", family, held)
    if fuzzy:
        model = (strata_model if compliance == "strata" else linear_model)(window, shape)
    else:
        model = sharp_model(window, shape)
    strata = fuzzy and compliance == "strata"
    return Design(
        "regression_discontinuity",
        model,
        window.frame if fuzzy or treatment is None else window.frame.drop(columns=treatment),
        _effects(window, rule, fuzzy, strata),
        assumptions_of(window, shape, fuzzy, strata),
        _checks(window, shape, fuzzy, partial(_again, made)),
        _plots(window, shape, partial(_again, made)),
    )


def _again(made: dict[str, Any], **changed: Any) -> Design:
    """Return the same design with other options."""
    return regression_discontinuity(**{**made, **changed})


def _check_options(
    form: str,
    order: int,
    family: str,
    compliance: str,
    kink: bool,
    kernel: str | None,
    treatment: str | None,
    fuzzy: bool | None,
) -> None:
    check_choice("form", form, ("linear", "gp"))
    check_choice("compliance", compliance, ("linear", "strata"))
    check_choice("family", family, ("gaussian", "student-t", "bernoulli", "poisson"))
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise DataError(f"order={order!r}.", expected="1 for straight lines, 2, 3, ...")
    if kink and form == "gp":
        raise DataError(
            "A kink is a change of slope, which a free Gaussian process on each side has none of.",
            remedy="Pass form='linear', with order=2 for curves.",
        )
    if family in ("bernoulli", "poisson"):
        if kernel not in (None, "uniform"):
            raise DataError(
                f"kernel={kernel!r} with family={family!r}: a kernel weight is a noise that grows "
                "away from the cutoff, and this family has no scale of its own.",
                remedy="Pass kernel='uniform'.",
            )
        if treatment is not None and fuzzy is not False:
            raise DataError(
                f"A fuzzy design needs an outcome with an error of its own, not family={family!r}.",
                remedy="Pass family='gaussian' (of a binary outcome: a linear probability), or "
                "fuzzy=False where the treatment is what the rule says.",
            )


def _is_fuzzy(window: Window, fuzzy: bool | None, kink: bool) -> bool:
    """Return whether the treatment differs from the rule; refuse what contradicts the caller."""
    if window.treatment is None:
        if fuzzy:
            raise DataError(
                "fuzzy=True without the treatment received.", remedy="Pass treatment='column'."
            )
        return False
    taken = window.frame[window.treatment].to_numpy()
    if kink:
        return True
    wrong = int((taken != window.eligible).sum())
    if not wrong and not fuzzy:
        return False
    if fuzzy is False:
        raise DataError(
            f"In {wrong:,} of {len(taken):,} rows {window.treatment!r} contradicts the cutoff: the "
            f"rule gives it where {window.rule}, and nowhere else.",
            remedy="Pass fuzzy=True if units may deviate from the rule; side= or ties= if the rule "
            "is another.",
        )
    if (taken == 1 - window.eligible).all():
        other = "below" if window.side == "above" else "above"
        raise DataError(
            f"Every row has {window.treatment!r} where the rule does not give it: {window.rule}.",
            remedy=f"Pass side={other!r}.",
        )
    if taken.min() == taken.max():
        raise DataError(
            f"{window.treatment!r} does not jump at the cutoff: it is {taken[0]:g} in all "
            f"{len(taken):,} rows.",
            expected="a treatment that the rule moves.",
        )
    return True


def _effects(window: Window, rule: str, fuzzy: bool, strata: bool) -> dict[str, Any]:
    """Return the questions: at the cutoff, covariates as they are in the rows."""
    others = [*window.covariates, *([window.cluster] if window.cluster is not None else [])]
    units: pd.DataFrame = window.frame[[window.running, *others]]
    units = units.assign(**{window.running: window.cutoff})
    units = units if others or strata else units.head(1)  # strata are drawn of each unit
    if not fuzzy:
        return {"at_cutoff": ATE(rule, window.outcome, population=units)}
    assert window.treatment is not None
    late = ATE(window.treatment, window.outcome, population=units)
    if strata:
        compliers = (units if others else units.head(1)).assign(stratum="complier")
        late = ATE(window.treatment, window.outcome, population=compliers)
    return {
        "at_cutoff": late,
        "LATE": late,
        "ITT": ATE(rule, window.outcome, population=units),
        "first_stage": ATE(rule, window.treatment, population=units),
    }


def _checks(
    window: Window, form: Form, fuzzy: bool, again: Callable[..., Design]
) -> dict[str, Callable[..., pd.DataFrame]]:
    found: dict[str, Callable[..., pd.DataFrame]] = {
        "density": partial(checks.density, window=window),
        "balance": partial(checks.balance, window=window, form=form),
        "bandwidths": partial(checks.bandwidths, window=window, again=again),
        "donut": partial(checks.donut, window=window, again=again),
        "placebo_cutoffs": partial(checks.placebo_cutoffs, window=window, form=form),
        "least_squares": partial(checks.least_squares, window=window, form=form),
    }
    if fuzzy:
        found["first_stage"] = partial(checks.first_stage, window=window, form=form)
    if checks.is_discrete(window):
        found["mass_points"] = partial(checks.mass_points, window=window)
    return found


def _plots(
    window: Window, form: Form, again: Callable[..., Design]
) -> dict[str, Callable[..., object]]:
    return {
        "discontinuity": partial(plots.discontinuity, window=window, form=form),
        "bandwidths": partial(plots.bandwidths, window=window, again=again),
        "density": partial(plots.density, window=window),
    }
