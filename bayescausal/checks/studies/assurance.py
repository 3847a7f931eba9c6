r"""Assurance: how many units until the answer is good enough, with the wanted probability?

For each number of units, data sets are simulated, fitted and asked, and the share that meets a
*rule* is counted: the HDI excludes the null, or is narrower than w. At one known truth the share
is the power of the study; over truths drawn from a prior it is its *assurance* [1]_, the
probability of success that one really has before the data,

.. math:: A(n) = \int P(\text{rule met} \mid n, \theta)\, p(\theta)\, d\theta,

which may stay below the wanted probability whatever n is: a truth near the null is never found.

Shares of simulated data sets have Monte Carlo errors: intervals are Wilson's at 95%. The number of
units needed is read off a monotone curve (more units do no harm: pool adjacent violators),
linear in the square root of the number between those that were tried; its interval is where the
curves through the ends of the intervals cross.

References
----------
.. [1] A. O'Hagan, J. W. Stevens and M. J. Campbell, "Assurance in clinical trial design",
   Pharmaceutical Statistics 4(3), 2005.
.. [2] J. K. Kruschke, *Doing Bayesian Data Analysis*, 2nd ed., Academic Press, 2015, chapter 13.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.studies.assurance_curve import Assurance, crossing, rising, wilson
from bayescausal.checks.studies.collect import check_replicates, collect, make_recipe
from bayescausal.checks.studies.engine import check_executor
from bayescausal.checks.studies.recovery import with_names
from bayescausal.inference.fit import resolve_seed
from bayescausal.inference.record import Fit
from bayescausal.types import StudyError, closest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import ArrayLike

    from bayescausal.annotations import Executor
    from bayescausal.checks.studies.questions import Questions
    from bayescausal.model.design import Design

__all__ = ["assurance"]

#: Rules by name.
RULES = ("excludes zero", "excludes null")


def assurance(
    model: pm.Model | Design,
    truth_or_prior: str | Fit | Mapping[str, Any],
    estimand: Questions,
    *,
    units: Sequence[int],
    rule: str | float | Callable[[Mapping[str, Any]], bool] = "excludes zero",
    probability: float = 0.8,
    replicates: int = 200,
    fit_model: pm.Model | Design | None = None,
    observed: Sequence[str] | None = None,
    do: Mapping[Any, Any] | None = None,
    data: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    seed: int | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
    path: str | os.PathLike[str] | None = None,
    unit_dims: str | Sequence[str] | None = None,
    **fit_options: Any,
) -> Assurance:
    """Find how many units an answer needs.

    Parameters
    ----------
    model : pm.Model or Design
        What the data come from.
    truth_or_prior : mapping, Fit or "prior"
        Where truths come from: values of the parameters; draws to take them from, such as
        :func:`bayescausal.prior` gives, or the fit of a pilot study; ``"prior"``: the model's own
        prior.
    estimand : Estimand or callable
        One question with one number.
    units : sequence of int
        Numbers of units to try.
    rule : str, float or callable
        ``"excludes zero"``: the 94% HDI excludes the null (0; 1 for ratios). A number w, or
        ``"narrower than w"``: it is narrower than w. Or a function of a row of
        :class:`bayescausal.Recovery`, a mapping, that says whether the answer is good enough.
    probability : float
        With which the rule should be met.
    replicates : int
        Data sets per number of units.
    fit_model, observed, do, data
        As in :func:`bayescausal.recover`.
    seed : int, optional
        Same seed, same curve, whatever the executor.
    executor : concurrent.futures.Executor, optional
        As in :func:`bayescausal.recover`.
    progressbar : bool
        Show a bar that counts replicates.
    path : path, optional
        As in :func:`bayescausal.recover`; one file per number of units, ``name-100.jsonl``.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the models leave it open.
    **fit_options
        Passed to :class:`bayescausal.Refitter`.

    Returns
    -------
    Assurance
        The curve with its Monte Carlo intervals, and the number of units needed.

    Raises
    ------
    StudyError
        If sizes, rule or probability make no sense, or the answer has several numbers.
    ParameterError, UnknownVariableError, EstimandError, FixedUnitsError
        As in :func:`bayescausal.recover`.

    References
    ----------
    A. O'Hagan, J. W. Stevens and M. J. Campbell, "Assurance in clinical trial design",
    Pharmaceutical Statistics 4(3), 2005.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> study = bc.assurance(model, {"b": 0.5}, bc.ATE("x", "y"), units=[20, 80], rule=0.3,
    ...                      replicates=10, seed=1, progressbar=False)
    >>> study.curve["met"].tolist()
    [0.0, 0.0]
    """
    replicates = check_replicates(replicates)
    check_executor(executor)
    sizes = _check_sizes(units)
    said, meets = _check_rule(rule)
    if isinstance(probability, bool | str) or not 0 < probability < 1:
        raise StudyError(f"probability={probability!r}.", expected="A number between 0 and 1.")
    params = _check_truth(truth_or_prior)
    given = seed is not None
    seed = resolve_seed(seed)
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    label = ""
    for n in sizes:
        recipe = make_recipe(
            model,
            params,
            estimand,
            units=n,
            fit_model=fit_model,
            observed=observed,
            do=do,
            data=data,
            seed=seed,
            unit_dims=unit_dims,
            options=fit_options,
            spawn=(n,),
        )
        if len(recipe.questions) > 1:
            raise StudyError(
                f"{len(recipe.questions)} estimands.", expected="One question with one number."
            )
        label = next(iter(recipe.questions))
        rows, recipe, more = collect(
            "assurance",
            recipe,
            replicates,
            path=_path(path, n),
            seed_given=given or bool(tables),
            executor=executor,
            progressbar=progressbar,
            on_replicate=None,
            title=f"assurance, {n:,} units",
        )
        seed = recipe.seed
        names = set(with_names(rows[rows["failure"] == ""])["name"])
        if len(names) > 1 or rows["pooled"].any():
            raise StudyError(
                f"The answer to {label!r} has several numbers.",
                expected="One question with one number.",
                remedy="Ask about one group, one dose or the average over units.",
            )
        tables.append(rows.drop(columns=["rank", "ranked", "slack"]).assign(units=n))
        notes += list(more)
    whole = pd.concat(tables, ignore_index=True)
    return _result(whole, sizes, replicates, probability, said, meets, label, seed, tuple(notes))


# ------------------------------------------------------------------------------- private


def _result(
    rows: pd.DataFrame,
    sizes: Sequence[int],
    replicates: int,
    probability: float,
    said: str,
    meets: Callable[[Mapping[str, Any]], bool],
    label: str,
    seed: int,
    notes: tuple[str, ...],
) -> Assurance:
    lines = []
    for n in sizes:
        mine = rows[rows["units"] == n]
        good = mine[mine["failure"] == ""]
        records: list[Any] = good.to_dict("records")
        met = sum(bool(meets(row)) for row in records)
        low, high = wilson(met, replicates)
        width = float((good["hdi94_ub"] - good["hdi94_lb"]).mean()) if len(good) else math.nan
        failed = 1.0 - len(good) / replicates
        lines.append((n, replicates, met / replicates, low, high, 0.0, width, failed))
    names = ["units", "replicates", "met", "lower", "upper", "fitted", "width", "failed"]
    curve = pd.DataFrame(lines, columns=names)
    curve["fitted"] = rising(curve["met"])
    place = [crossing(sizes, rising(curve[c]), probability) for c in ("fitted", "upper", "lower")]
    lost = rows[rows["failure"] != ""]
    if len(lost):
        first = lost.iloc[0]["failure"]
        notes = (*notes, f"{len(lost)} fits failed and count as not met, the first: {first}")
    return Assurance(
        curve=curve,
        probability=float(probability),
        rule=said,
        label=label,
        needed=place[0],
        needed_interval=(place[1], place[2]),
        rows=rows,
        seed=seed,
        notes=notes,
    )


def _check_sizes(units: object) -> list[int]:
    many = list(units) if hasattr(units, "__iter__") and not isinstance(units, str | dict) else None
    if not many:
        raise StudyError(
            f"units={units!r}.", expected="Several numbers of units, such as [50, 100, 200]."
        )
    for n in many:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise StudyError(f"units holds {n!r}.", expected="Whole numbers of at least 1.")
    return sorted({int(n) for n in many})


def _check_rule(
    rule: str | float | Callable[[Mapping[str, Any]], bool],
) -> tuple[str, Callable[[Mapping[str, Any]], bool]]:
    """Return a rule in words and as a function of a row."""
    if isinstance(rule, str):
        rule = " ".join(rule.replace("_", " ").replace("-", " ").split())
        width = re.fullmatch(r"(?:is )?narrower than (\d*\.?\d+(?:e ?\d+)?)", rule)
        if width is not None:
            return _check_rule(float(width[1]))
        if rule not in RULES:
            raise StudyError(
                f"rule={rule!r} is not known.",
                expected="'excludes zero', 'narrower than 0.2', a width, or a function of a row.",
                names=closest(rule, RULES)[:1],
            )
        return "the 94% HDI excludes the null", _excludes
    if callable(rule):
        name = str(getattr(rule, "__name__", "the rule"))
        return ("the rule is met" if name == "<lambda>" else name.replace("_", " ")), rule
    number = isinstance(rule, int | float | np.number) and not isinstance(rule, bool)
    if not number or not 0 < rule < math.inf:
        raise StudyError(f"rule={rule!r}.", expected="A width above 0, a name or a function.")
    wide = float(rule)
    return (
        f"the 94% HDI is narrower than {wide:g}",
        lambda row: row["hdi94_ub"] - row["hdi94_lb"] < wide,
    )


def _excludes(row: Mapping[str, Any]) -> bool:
    if math.isnan(row["null"]):
        raise StudyError(
            f"{row['estimand']!r} has no null that an interval could exclude.",
            remedy="Ask about a contrast, or give a width: rule=0.2.",
        )
    return bool(row["hdi94_lb"] > row["null"] or row["hdi94_ub"] < row["null"])


def _check_truth(
    given: str | Fit | Mapping[str, Any],
) -> Fit | dict[str, Any] | None:
    if isinstance(given, str):
        if given != "prior":
            raise StudyError(
                f"truth_or_prior={given!r}.",
                expected="'prior', values of the parameters, or a Fit.",
            )
        return None
    if isinstance(given, Fit):
        return given
    if hasattr(given, "keys"):
        return dict(given)
    raise StudyError(
        f"truth_or_prior is a {type(given).__name__}.",
        expected="'prior', values of the parameters, or a Fit.",
    )


def _path(path: str | os.PathLike[str] | None, n: int) -> Path | None:
    if path is None:
        return None
    base = Path(path)
    return base.with_name(f"{base.stem}-{n}{base.suffix}")
