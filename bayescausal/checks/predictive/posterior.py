r"""Does each equation predict what was seen? Posterior and prior predictive checks.

A structural model has one equation per variable, and each can be wrong on its own. So every
observed variable is predicted from its parents *as they were*, not from simulated ones: a
misfit is then the fault of that equation and not of another upstream. Two things are looked at: the
PIT values, which are uniform if the equation's predictive law is right
(:mod:`~bayescausal.checks.predictive.replicas`), and test quantities
(:mod:`~bayescausal.checks.predictive.quantities`).

The rule: of m comparisons, one *fails* if m times its p-value is at most the level (0.05). A right
model fails in at most about 5% of data sets; quantities that were fitted make it rarer. With many
units every deviation is seen, so PIT values whose distribution function is nowhere more than 0.02
from uniform *warn* only.

*When it misleads.* An equation that fits says nothing of what would happen under an intervention:
the graph may be wrong all the same. Where a parent is latent, its posterior draw has seen the
child, and the check is optimistic. So is that of one data set by a posterior that was fitted to
it; leaving each unit out mends most of that.

References
----------
A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, chapter 6.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.checks.predictive.quantities import p_value, quantities_of
from bayescausal.checks.predictive.replicas import Replicas, replicas_of
from bayescausal.checks.predictive.uniform import uniformity
from bayescausal.draws.check import Check
from bayescausal.draws.digits import three
from bayescausal.effects.evaluation.outcome_distributions import some_draws
from bayescausal.evaluation.evaluate import units_of
from bayescausal.figures.checks.predictive import plot_pit, plot_quantities, plot_replicas
from bayescausal.inference.fit import resolve_seed
from bayescausal.inference.given import as_fit
from bayescausal.types import EstimandError, NoiseFormError, closest, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bayescausal.figures.style import Axes
    from bayescausal.inference.record import Fit

__all__ = ["posterior_check", "predictions", "tree_of"]

#: Draws at least and at most, and draws x cells at most.
FEWEST, MOST, CELLS = 200, 1000, 20_000_000
#: A gap between the distribution function of PIT values and uniform that is too small to matter.
SMALL = 0.02

KINDS = ("pit", "quantities", "predictive")

MEANING = {
    "pass": "These equations predict data like these. It does not show that the arrows are right.",
    "warn": "The deviation is certain and small: say so, and see whether it matters to the answer.",
    "fail": "The equation does not produce data like these, so what it says of other worlds cannot "
    "be trusted yet: mend its form (a curve, an interaction, heavier tails, another family).",
    "undecided": "No equation could be looked at.",
}


def posterior_check(
    fit: Fit,
    variables: str | Sequence[str] | None = None,
    *,
    quantities: Mapping[str, Callable[[np.ndarray], float]] | None = None,
    level: float = 0.05,
    draws: int | None = None,
    seed: int | None = None,
) -> Check:
    """Check whether each equation predicts what was seen.

    Parameters
    ----------
    fit : Fit
        A posterior with data (or a truth: then the check is of known parameters).
    variables : str or sequence of str, optional
        Observed random variables. Default: all.
    quantities : mapping of str to callable, optional
        Further test quantities, of every variable: from a one-dimensional array of its values to
        a number.
    level : float
        The probability that a right model fails.
    draws : int, optional
        At most so many posterior draws. Default: up to 1,000, fewer with many units.
    seed : int, optional
        Of the replicas. Default: the fit's.

    Returns
    -------
    Check
        Its table has a row per variable and comparison: ``seen``, ``predicted`` (mean over
        replicas) with a 94% interval, ``p_value`` (two-sided) and ``verdict``; the rows ``PIT``
        have the largest gap from uniform in place of a value. ``values["pit"]`` has the PIT values
        of each variable, ``values["tree"]`` a DataTree with the groups ``posterior_predictive``
        and ``observed_data``, for ``az.plot_ppc_dist`` and the like. ``plot()`` shows the PIT
        values with their band, ``plot(kind="quantities")`` the quantities,
        ``plot(kind="predictive", variable=...)`` one variable beside its replicas.

    Raises
    ------
    EstimandError
        If the fit has no data, a variable was not observed, or an option is out of range.

    References
    ----------
    A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, chapter 6.

    Examples
    --------
    >>> import bayescausal as bc
    >>> world = bc.datasets.coating()
    >>> data = bc.simulate(world.model, world.truth, units=200, seed=1)
    >>> known = bc.truth(world.model, world.truth, data, draws=200, seed=1)
    >>> bc.posterior_check(known).verdict
    'pass'
    """
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise EstimandError(f"level={level!r}.", expected="A probability between 0 and 1.")
    fit = as_fit(fit, "posterior_check")
    seed = fit.seed if seed is None else resolve_seed(seed)
    found, notes = predictions(fit, variables, draws=draws, seed=seed)
    table, pits = _compare(found, quantities, level)
    verdict = _worst(table["verdict"]) if len(table) else "undecided"
    return Check(
        name="posterior predictive",
        verdict=verdict,
        finding=_finding(table, found, notes),
        meaning=MEANING[verdict],
        table=table,
        notes=notes,
        values={
            "pit": {r.name: r.pit for r in found},
            "tree": tree_of(found),
            "level": level,
        },
        picture=partial(_draw, table=table, found=found, pits=pits),
    )


def predictions(
    fit: Fit, variables: str | Sequence[str] | None, *, draws: int | None, seed: int
) -> tuple[list[Replicas], tuple[str, ...]]:
    """Return the predictions of each observed equation, and what a reader should know.

    ``variables``: which. Default: all that were observed.
    """
    units = units_of(fit)
    if units is None:
        raise EstimandError(
            "The fit has no data to compare with.",
            remedy="Pass data, or use prior_check for a model without any.",
        )
    names = _names(fit, variables)
    if draws is not None and (
        isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1
    ):
        raise EstimandError(f"draws={draws!r}.", expected="A whole number of 1 or more.")
    found: list[Replicas] = []
    notes: list[str] = []
    for name in names:
        cells = max(np.size(fit.columns[name]), 1)
        many = int(np.clip(CELLS // cells, FEWEST, MOST)) if draws is None else int(draws)
        touching = fit.structure.mixing.get(name)
        alone = fit.kind == "posterior" and not touching
        if name in fit.structure.imputed:
            notes.append(f"{name}: its equation is split by PyMC's own imputation; not looked at.")
            continue
        try:
            found += replicas_of(
                fit, units, name, some_draws(fit, many), seed=seed, leave_out=alone
            )
        except (NoiseFormError, NotImplementedError) as error:
            notes.append(f"{name}: not looked at. {error}")
            continue
        if touching:
            notes.append(
                f"{name}: its units depend on each other, so each was predicted with itself in the "
                "data."
            )
        latent = sorted(set(fit.structure.graph.predecessors(name)) & set(fit.latent))
        if latent:
            notes.append(
                f"{name} is predicted from {', '.join(latent)}, latent, which was fitted to the "
                "same data: the check is optimistic."
            )
    return found, tuple(notes)


def tree_of(found: Sequence[Replicas]) -> xr.DataTree:
    """Return replicas and values in the form of ArviZ.

    Result: groups ``posterior_predictive`` (chain, draw, cells) and ``observed_data``.
    """
    drawn, seen = {}, {}
    for each in found:
        dim = f"{each.name}_cell"
        drawn[each.name] = (("chain", "draw", dim), each.drawn[None])
        seen[each.name] = ((dim,), each.seen)
    groups = {"posterior_predictive": xr.Dataset(drawn), "observed_data": xr.Dataset(seen)}
    return xr.DataTree.from_dict(groups)


# ------------------------------------------------------------------------------- private


def _names(fit: Fit, variables: str | Sequence[str] | None) -> list[str]:
    if variables is None:
        return list(fit.observed)
    names = [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        fit.structure.require(name)
        if name not in fit.observed:
            raise unknown_variable(name, fit.observed, what="an observed random variable")
    return names


def _compare(
    found: Sequence[Replicas],
    own: Mapping[str, Callable[[np.ndarray], float]] | None,
    level: float,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table, and the curve of each variable's PIT values."""
    rows: list[dict[str, Any]] = []
    pits = {}
    for each in found:
        good = each.pit[np.isfinite(each.pit)]
        row: dict[str, Any] = {"variable": each.name, "comparison": "PIT"}
        if len(good) < len(each.pit):
            row |= {"seen": np.nan, "p_value": 0.0, "impossible": len(each.pit) - len(good)}
        if len(good):
            pits[each.name] = uniformity(good)
            row["seen"] = pits[each.name].gap
            row.setdefault("p_value", pits[each.name].p_value)
        rows.append({"impossible": 0, **row})
        for label, (seen, drawn) in quantities_of(each, own).items():
            low, high = np.quantile(drawn, [0.03, 0.97])
            rows.append(
                {
                    "variable": each.name,
                    "comparison": label,
                    "seen": seen,
                    "predicted": float(drawn.mean()),
                    "lower": float(low),
                    "upper": float(high),
                    "p_value": p_value(seen, drawn),
                    "spread": float(drawn.std()),
                    "impossible": 0,
                }
            )
    columns = ["variable", "comparison", "seen", "predicted", "lower", "upper", "p_value"]
    table = pd.DataFrame(rows, columns=[*columns, "spread", "impossible"])
    clear = table["p_value"] * len(table) <= level
    small = (table["comparison"] == "PIT") & (table["seen"] <= SMALL) & (table["impossible"] == 0)
    table["verdict"] = np.where(clear, np.where(small, "warn", "fail"), "pass")
    return table.set_index(["variable", "comparison"]), pits


def _worst(verdicts: pd.Series) -> str:
    for verdict in ("fail", "warn", "pass"):
        if (verdicts == verdict).any():
            return verdict
    return "undecided"


def _finding(table: pd.DataFrame, found: Sequence[Replicas], notes: Sequence[str]) -> str:
    if not len(table):
        return "Nothing was compared. " + " ".join(notes)
    bad = table[table["verdict"] != "pass"]
    bad = bad.sort_values(["impossible", "p_value"], ascending=[False, True], kind="stable")
    names = ", ".join(dict.fromkeys(r.name for r in found))
    if not len(bad):
        return f"All {len(table)} comparisons of {names} with their replicas agree."
    said = []
    for key, row in list(bad.iterrows())[:3]:
        variable, comparison = key if isinstance(key, tuple) else (key, "")
        if row["impossible"]:
            said.append(f"{int(row['impossible'])} values of {variable} are impossible under it")
        elif comparison == "PIT":
            said.append(f"the PIT values of {variable} are up to {row['seen']:.2f} from uniform")
        else:
            own, mean, low, high = (three(row[c]) for c in ("seen", "predicted", "lower", "upper"))
            said.append(
                f"the {comparison} of {variable} is {own}, against {mean} [{low}, {high}] of its "
                "replicas"
            )
    more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
    return f"{len(bad)} of {len(table)} comparisons differ: {'; '.join(said)}{more}."


def _draw(
    ax: Axes | None = None,
    *,
    kind: str = "pit",
    variable: str | None = None,
    table: pd.DataFrame,
    found: Sequence[Replicas],
    pits: Mapping[str, Any],
) -> Axes:
    """Draw PIT values, quantities, or one variable beside its replicas."""
    if kind not in KINDS:
        raise EstimandError(
            f"kind={kind!r} is not a picture of this check.",
            expected=f"one of {', '.join(map(repr, KINDS))}.",
            names=closest(str(kind), KINDS)[:1],
        )
    by_name = {r.name: r for r in found}
    if variable is not None and variable not in by_name:
        raise unknown_variable(variable, by_name, what="a variable of this check")
    if kind == "pit":
        return plot_pit({n: p for n, p in pits.items() if variable in (None, n)}, ax=ax)
    if kind == "quantities":
        rows = table if variable is None else table.loc[[variable]]
        return plot_quantities(rows[rows["spread"].notna()], ax=ax)
    chosen = by_name[variable if variable is not None else found[-1].name]
    whole = chosen.kind != "number"
    return plot_replicas(chosen.seen, chosen.drawn, name=chosen.name, whole=whole, ax=ax)
