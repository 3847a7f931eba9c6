r"""Positivity: could the units that are compared have had the other treatment?

A causal contrast compares units with others like them that were treated differently. Where there
are none, the answer comes from the form of the model. The propensity is the model's own: the
equation of the treatment, evaluated for each unit in each posterior draw. Its inverse, as a weight,
makes the arms alike in what the treatment's equation reads: what is left of the differences says
whether that equation is right.

The rule: the check *fails* if more than 5% of the units are beyond the support of a level that
the effect needs (with posterior probability above one half), or an arm keeps less than a fifth of
its size after weighting. It *warns* if more than 1% are beyond support, an arm keeps less than
half, or a covariate still differs by more than 0.1 standard deviations and by more than sampling
leaves [1]_.

*When it misleads.* Overlap in what the model reads says nothing of what it does not. Units inside
the support may still be few. With a latent parent of the treatment the propensity is that given
the latent variable, as the posterior draws have it.

References
----------
.. [1] G. W. Imbens and D. B. Rubin, *Causal Inference for Statistics, Social, and Biomedical
   Sciences*, Cambridge University Press, 2015, chapter 14.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.overlap.balance import balance_table
from bayescausal.checks.overlap.covariates import covariate_columns, covariates_of
from bayescausal.checks.overlap.propensity import Support, effective_size, support_of_treatment
from bayescausal.draws.check import Check
from bayescausal.draws.intervals import hdi
from bayescausal.effects.evaluation.extrapolation import LIMIT, TOO_MANY
from bayescausal.effects.evaluation.outcome_distributions import some_draws
from bayescausal.evaluation.evaluate import Units, units_of
from bayescausal.evaluation.measured import plain_name
from bayescausal.figures.checks.overlap import plot_balance, plot_chances
from bayescausal.inference.data.design_matrix import names_in, with_columns
from bayescausal.inference.given import as_fit
from bayescausal.model.graph_queries.graph_of_anything import named, question_in
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Names
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.figures.style import Axes
    from bayescausal.inference.record import Fit

__all__ = ["overlap"]

EFFECTS = ("ATE", "ATT", "ATU", "ATO")
#: Shares of units beyond support, and of an arm's size that is kept, that fail or warn.
FEW, LEAST, LITTLE = 0.01, 0.2, 0.5
#: A standardised difference that matters.
DIFFERS = 0.1

MEANING = {
    "pass": "Every unit had a fair chance of each level, so the comparison rests on like units.",
    "warn": "The comparison rests on like units for the most part: say for whom it does not, or "
    "ask about those alone (given=).",
    "fail": "For some units there are no like ones that were treated differently: their effect "
    "rests on the form of the model. Ask about the units inside the support (given=), or about "
    "the treated alone (ATT).",
}
#: The same of the overlap population, which leaves units without like ones nearly out by itself.
MEANING_WEIGHTED = {
    "pass": "Units whose treatment was open weigh most, and they are many in both arms.",
    "warn": "The answer is about those whose treatment was open, a part of the units: say who they "
    "are (values['units'] has their weights).",
    "fail": "Even weighted by overlap, the answer rests on units without like ones that were "
    "treated differently. Ask about the units inside the support (given=).",
}


def overlap(
    fit: Fit,
    treatment: str | Estimand | Effect,
    outcome: str | None = None,
    *,
    covariates: Sequence[str] | None = None,
    effect: str | None = None,
    limit: float = LIMIT,
    draws: int = 200,
) -> Check:
    """Check positivity: whether units could have had the treatment they are compared under.

    Parameters
    ----------
    fit : Fit
        A posterior (or a truth) with data in which the treatment was observed.
    treatment : str, Estimand or Effect
        A random variable of the model: its equation gives the propensity. Counts and continuous
        treatments are cut into three strata. A question names its outcome too.
    outcome : str, optional
        With it, the covariates of the back-door set are balanced too.
    covariates : sequence of str, optional
        What to balance. Default: the observed parents of the treatment, and the adjustment set.
    effect : {"ATE", "ATT", "ATU", "ATO"}
        For whom: everyone; those at the larger of two levels; those at the smaller; everyone by
        overlap weights. Default: as the question says, or everyone.
    limit : float
        A unit is beyond the support of a level if its chance of it is below this share of the
        average chance.
    draws : int
        At most so many posterior draws are used.

    Returns
    -------
    Check
        Its table has a row per arm: ``units``, their own propensity (``chance``, posterior mean,
        and the smallest, ``chance_min``), ``beyond`` (units beyond support, with a 94% interval
        over draws) and the effective sample size of the weights (``ess``, ``ess_share``).
        ``values["balance"]`` has the covariates, ``values["units"]`` the propensities of each
        unit, its probability of being beyond support and its mean weight. ``plot()`` shows the
        propensities, ``plot(kind="balance")`` the love plot.

    Raises
    ------
    EstimandError
        If the treatment has no equation, was not observed or does not vary.
    UnknownVariableError
        If a name is not in the model.

    References
    ----------
    G. W. Imbens and D. B. Rubin, *Causal Inference for Statistics, Social, and Biomedical
    Sciences*, Cambridge University Press, 2015, chapter 14.

    Examples
    --------
    >>> import bayescausal as bc
    >>> world = bc.datasets.coating()
    >>> data = bc.simulate(world.model, world.truth, units=500, seed=1)
    >>> known = bc.truth(world.model, world.truth, data)
    >>> check = bc.overlap(known, "dilution")
    >>> check.verdict
    'pass'
    """
    fit = as_fit(fit, "overlap")
    question = question_in(treatment)
    if effect is None:
        groups = {"treated": "ATT", "control": "ATU"}
        weighted = getattr(question, "weighting", None) is not None
        effect = "ATO" if weighted else groups.get(getattr(question, "group", ""), "ATE")
    treatment, outcome = _one(*named(treatment, outcome))
    _check_options(effect, limit, draws)
    treatment, outcome = plain_name(treatment), outcome and plain_name(outcome)
    fit = with_columns(fit, [treatment, outcome, *names_in(covariates)])
    units = _units(fit, treatment)
    chosen = some_draws(fit, draws)
    support = support_of_treatment(fit, units, treatment, chosen, effect)
    levels = {"ATT": (0,), "ATU": (1,)}.get(effect)
    concerned = _concerned(support, effect)
    beyond = support.beyond(limit, levels) & concerned
    arms = _arms(support, beyond, effect)
    names, notes = covariates_of(fit, treatment, outcome, covariates)
    columns, more = covariate_columns(fit, units, treatment, names, chosen)
    balance = balance_table(columns, support)
    share = _share(support, beyond, concerned, effect)
    verdict, reasons = _verdict(share, arms, balance, effect)
    latent = sorted(set(fit.structure.graph.predecessors(treatment)) & set(fit.latent))
    if latent:
        notes.append(f"The propensity is given {', '.join(latent)}, latent, as the draws have it.")
    if not fit.structure.graph.in_degree(treatment):
        notes.append(f"{treatment} has no parents in the model: it is randomised there.")
    table = _unit_table(support, beyond, concerned)
    return Check(
        name=f"overlap of {treatment}",
        verdict=verdict,
        finding=_finding(treatment, support, beyond, concerned, arms, reasons, effect),
        meaning=(MEANING_WEIGHTED if effect == "ATO" else MEANING)[verdict],
        table=arms,
        notes=(*notes, *more),
        values={
            "balance": balance,
            "units": table,
            "chance": support.chance,
            "weights": support.weights,
            "arm": support.arm,
            "levels": support.labels,
        },
        picture=partial(
            _draw,
            treatment=treatment,
            chance=support.chance,
            arm=support.arm,
            labels=support.labels,
            balance=balance,
            strata=support.kind == "strata",
        ),
    )


# ------------------------------------------------------------------------------- private


def _check_options(effect: str, limit: float, draws: int) -> None:
    if effect not in EFFECTS:
        raise EstimandError(
            f"effect={effect!r}.",
            expected=f"one of {', '.join(EFFECTS)}.",
            names=closest(str(effect), EFFECTS)[:1],
        )
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1:
        raise EstimandError(f"limit={limit!r}.", expected="A share between 0 and 1.")
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise EstimandError(f"draws={draws!r}.", expected="A whole number of 1 or more.")


def _units(fit: Fit, treatment: str) -> Units:
    """Return the units of the fit; refuse a treatment without a law or without values."""
    structure = fit.structure
    structure.require(treatment)
    units = units_of(fit)
    if units is None:
        raise EstimandError(
            "The fit has no units: it was made without data.",
            remedy="Pass data to fit or truth.",
        )
    if treatment not in structure.random or treatment in structure.imputed:
        raise EstimandError(
            f"{treatment!r} has no equation of its own in the model, so no propensity.",
            expected="A random variable, such as pm.Bernoulli.",
            remedy="Write the treatment as a random variable of its causes.",
        )
    if treatment not in fit.columns or treatment in fit.missing:
        what = "has empty cells" if treatment in fit.missing else "was not observed"
        raise EstimandError(
            f"{treatment!r} {what}, so that no unit has a level of it.",
            expected="A treatment that was observed in every unit.",
        )
    dims = structure.dims.get(treatment, ())
    if any(d not in structure.unit_dims for d in dims):
        raise EstimandError(
            f"{treatment!r} is a vector for each unit.", expected="One number for each unit."
        )
    return units


def _one(treatment: Names | None, outcome: str | None) -> tuple[str, str | None]:
    """Return the one treatment whose chance is looked at."""
    names = (treatment,) if isinstance(treatment, str) else tuple(treatment or ())
    if len(names) != 1:
        raise EstimandError(
            f"{len(names)} treatments ({', '.join(names)}) at once.",
            expected="One: the chance of each is looked at by itself.",
        )
    return names[0], outcome


def _concerned(support: Support, effect: str) -> np.ndarray:
    """Return the units that the effect is about."""
    if effect in ("ATE", "ATO"):
        return np.ones(len(support.arm), dtype=bool)
    return np.asarray(support.arm == (1 if effect == "ATT" else 0))


def _share(support: Support, beyond: np.ndarray, concerned: np.ndarray, effect: str) -> float:
    """Return the share of the population asked about that is beyond support."""
    out = (beyond.mean(axis=0) > 0.5)[concerned]
    if effect != "ATO":
        return float(out.mean())
    weigh = support.chance.prod(axis=-1).mean(axis=0)
    return float(weigh[out].sum() / weigh.sum())


def _arms(support: Support, beyond: np.ndarray, effect: str) -> pd.DataFrame:
    """Return one row per arm."""
    own = np.take_along_axis(support.chance, support.arm[None, :, None], axis=-1)[..., 0]
    mean = own.mean(axis=0)
    rows = {}
    for k, label in enumerate(support.labels):
        inside = support.arm == k
        count = beyond[:, inside].sum(axis=1)
        low, high = hdi(count.astype(float)).values
        ess = effective_size(support.weights[:, inside])
        rows[label] = {
            "units": int(inside.sum()),
            "chance": float(mean[inside].mean()),
            "chance_min": float(mean[inside].min()),
            "beyond": int((beyond[:, inside].mean(axis=0) > 0.5).sum()),
            "beyond_lb": float(low),
            "beyond_ub": float(high),
            "ess": float(ess.mean()),
            "ess_share": float(ess.mean() / inside.sum()),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "arm"
    return table


def _verdict(
    share: float, arms: pd.DataFrame, balance: pd.DataFrame, effect: str
) -> tuple[str, dict[str, list[str]]]:
    """Apply the rule; return the reasons beside the verdict."""
    kept = arms["ess_share"]
    uneven = balance.index[
        balance["after"].abs() > np.maximum(DIFFERS, balance["chance"].to_numpy(dtype=float))
    ]
    reasons = {"kept": list(kept.index[kept < LITTLE]), "uneven": [str(n) for n in uneven]}
    # overlap weights are never large: few that weigh much say who is asked about
    if share > TOO_MANY or (effect != "ATO" and bool((kept < LEAST).any())):
        return "fail", reasons
    if share > FEW or reasons["kept"] or reasons["uneven"]:
        return "warn", reasons
    return "pass", reasons


def _finding(
    treatment: str,
    support: Support,
    beyond: np.ndarray,
    concerned: np.ndarray,
    arms: pd.DataFrame,
    reasons: dict[str, list[str]],
    effect: str,
) -> str:
    out = beyond.mean(axis=0) > 0.5
    whom = {"ATT": "treated units", "ATU": "control units"}.get(effect, "units")
    total = int(concerned.sum())
    if out.any():
        split = [
            f"{many} of the {units} with {treatment} {_is(support)} {label}"
            for label, many, units in zip(arms.index, arms["beyond"], arms["units"], strict=True)
            if many
        ]
        text = (
            f"{int(out.sum())} of {total} {whom} ({out.sum() / total:.0%}) are beyond the support "
            f"of a level of {treatment}: {'; '.join(split)}."
        )
        if effect == "ATO":
            share = _share(support, beyond, concerned, effect)
            text += f" They carry {share:.1%} of the overlap weights."
    else:
        text = f"None of {total} {whom} is beyond the support of a level of {treatment}."
    at = int(arms["ess_share"].argmin())
    text += (
        f" After weighting, the {arms['units'].iloc[at]} units with {treatment} = "
        f"{arms.index[at]} count as {arms['ess'].iloc[at]:.0f}."
    )
    if reasons["uneven"]:
        text += f" Weighting leaves a difference in {', '.join(reasons['uneven'])}."
    return text


def _is(support: Support) -> str:
    return "=" if support.kind == "levels" else "from"


def _unit_table(support: Support, beyond: np.ndarray, concerned: np.ndarray) -> pd.DataFrame:
    mean = support.chance.mean(axis=0)
    columns: dict[str, Any] = {
        "arm": np.asarray(support.labels, dtype=object)[support.arm],
        **{f"chance of {label}": mean[:, k] for k, label in enumerate(support.labels)},
        "beyond": np.where(concerned, beyond.mean(axis=0), np.nan),
        "weight": support.weights.mean(axis=0),
    }
    return pd.DataFrame(columns)


def _draw(ax: Axes | None = None, *, kind: str = "propensity", **parts: Any) -> Axes:
    """Draw the propensities by arm, or the love plot."""
    if kind == "balance":
        return plot_balance(parts["balance"], ax=ax)
    if kind != "propensity":
        raise EstimandError(
            f"kind={kind!r} is not a picture of this check.",
            expected="'propensity' or 'balance'.",
            names=closest(str(kind), ("propensity", "balance"))[:1],
        )
    return plot_chances(
        parts["chance"], parts["arm"], parts["labels"], name=parts["treatment"], ax=ax
    )
