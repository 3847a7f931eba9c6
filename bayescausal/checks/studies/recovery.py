r"""What a recovery study found: rows, and what they say of bias, spread, coverage and power.

With :math:`R` replicates, truth :math:`\theta_r`, posterior mean :math:`m_r`, sd :math:`s_r` and
intervals :math:`I_r`:

==============  ====================================================================================
truth, mean     averages of :math:`\theta_r` and of :math:`m_r`
bias            average of :math:`m_r - \theta_r`
rmse            root of the average of :math:`(m_r - \theta_r)^2`
sd, width       averages of :math:`s_r`, and of the lengths of the 94% intervals
coverage_50/94  share of replicates whose interval holds the truth
sign_error      of the replicates whose 94% interval excludes the null, the share on the wrong side
                of it (a type S error [2]_); undefined where the truth is the null
power           share of replicates whose 94% interval excludes the null
failed          share of replicates without an answer; they count in nothing else
stopped, seen   with looks: share of replicates that one of them stopped, average of units seen
==============  ====================================================================================

Each has a Monte Carlo standard error, ``sd / sqrt(R)`` of what is averaged (for the rmse by the
delta method) [1]_. A share of exactly 0 or 1 has an error of 0 by this formula: with R replicates
a true share up to 3 / R goes unseen. Answers per unit are averaged within a replicate first, since
units of one replicate share a posterior.

At a fixed truth a right posterior need not cover it at the nominal rate: the prior pulls. Coverage
is exact on average over the prior, which is what :func:`bayescausal.calibrate` tests.

References
----------
.. [1] T. P. Morris, I. R. White and M. J. Crowther, "Using simulation studies to evaluate
   statistical methods", Statistics in Medicine 38(11), 2019.
.. [2] A. Gelman and J. Carlin, "Beyond power calculations: assessing type S (sign) and type M
   (magnitude) errors", Perspectives on Psychological Science 9(6), 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.studies.rows import LOOKED
from bayescausal.draws.digits import three
from bayescausal.figures.checks.recovery import plot_intervals, plot_panels
from bayescausal.types import StudyError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.figures.style import Axes

__all__ = ["MEASURES", "Recovery", "failures", "summarise_rows", "with_names"]

#: Columns of a summary; each has its Monte Carlo error behind them.
MEASURES = (
    "truth",
    "mean",
    "bias",
    "rmse",
    "sd",
    "width",
    "coverage_50",
    "coverage_94",
    "sign_error",
    "power",
    "failed",
)


@dataclass(frozen=True, eq=False, repr=False)
class Recovery:
    """The result of :func:`bayescausal.recover`.

    Parameters
    ----------
    rows : DataFrame
        One row per replicate and number asked for: ``replicate``, ``estimand``, ``cell`` (of an
        answer with several), ``kind``, ``truth``, ``mean``, ``sd``, ``hdi50_lb``, ``hdi50_ub``,
        ``hdi94_lb``, ``hdi94_ub``, ``covered_50``, ``covered`` (by the 94% interval), ``null``,
        ``ess``, ``r_hat``, ``divergences``, ``mc_error``, ``method``, ``seconds`` (of the whole
        replicate), ``failure`` (empty, or what went wrong).
    replicates : int
        Of the study.
    units : int, mapping or None
        Per replicate.
    seed : int
        The seed that makes the study again.
    notes : tuple of str
        What a reader should know.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> study = bc.recover(model, {"b": 2.0}, bc.ATE("x", "y"), units=50, replicates=3, seed=1,
    ...                    progressbar=False)
    >>> study
    Recovery(3 replicates of 50 units; ATE x -> y)
    >>> study.rows["failure"].tolist()
    ['', '', '']
    """

    rows: pd.DataFrame
    replicates: int
    units: Any
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def estimands(self) -> tuple[str, ...]:
        """The names of the questions."""
        chosen = self.rows["kind"] == "estimand"
        return tuple(dict.fromkeys(self.rows.loc[chosen, "estimand"]))

    @property
    def failures(self) -> pd.DataFrame:
        """The replicates without an answer, and why."""
        found = self.rows[self.rows["failure"] != ""]
        return found[["replicate", "estimand", "failure"]].reset_index(drop=True)

    def summary(self, *, parameters: bool = False) -> pd.DataFrame:
        """Return bias, spread, coverage and power, with their Monte Carlo errors.

        Parameters
        ----------
        parameters : bool, default False
            Of the parameters too, where the study kept them.

        Returns
        -------
        DataFrame
            One row per estimand (per cell where an answer has several): the columns above, then
            each with ``_mcse``.

        Raises
        ------
        StudyError
            If the study did not keep the parameters.
        """
        rows = self.rows[self.rows["kind"] == "estimand"]
        if parameters:
            more = self.rows[self.rows["kind"] == "parameter"]
            if more.empty:
                raise StudyError(
                    "The study kept no parameters.", remedy="Run recover(..., parameters=True)."
                )
            rows = pd.concat([rows, more])
        return summarise_rows(rows, self.replicates)

    def plot(
        self, estimand: str | Sequence[str] | None = None, ax: Axes | None = None
    ) -> Axes | Array:
        """Draw the intervals of all replicates, sorted, with the truth.

        Parameters
        ----------
        estimand : str or sequence of str, optional
            Names from the index of the summary. Default: all estimands.
        ax : matplotlib Axes, optional
            Where to draw one of them. Default: a new figure, a panel for each.

        Returns
        -------
        matplotlib Axes, or array of them
            One for one estimand.

        Raises
        ------
        StudyError
            If there is no such estimand, or several for one `ax`.
        """
        rows = with_names(self.rows)
        known = list(dict.fromkeys(rows.loc[rows["kind"] == "estimand", "name"]))
        chosen = known if estimand is None else estimand
        chosen = [chosen] if isinstance(chosen, str) else list(chosen)
        every = set(rows["name"])
        for name in chosen:
            if name not in every:
                raise StudyError(
                    f"The study has no estimand {name!r}.",
                    expected=f"Among {', '.join(map(repr, known))}.",
                    names=closest(name, every)[:1],
                )
        tables = {name: rows[rows["name"] == name] for name in chosen}
        if len(chosen) == 1:
            return plot_intervals(tables[chosen[0]], title=chosen[0], ax=ax)
        if ax is not None:
            raise StudyError(
                f"One ax for {len(chosen)} estimands.",
                remedy="Name one: plot(estimand=..., ax=ax).",
            )
        return plot_panels(tables)

    def __repr__(self) -> str:
        failed = self.rows.loc[self.rows["failure"] != "", "replicate"].nunique()
        shown = ", ".join(self.estimands[:4]) + (", ..." if len(self.estimands) > 4 else "")
        units = "" if self.units is None else f" of {_said(self.units)} units"
        also = f"; {failed} failed" if failed else ""
        return f"Recovery({self.replicates} replicates{units}; {shown}{also})"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        found = self.summary()
        shown = [c for c in found.columns if not str(c).endswith("_mcse")]
        table = found[shown].to_html(float_format=three)
        return f"<p><code>{escape(repr(self))}</code></p>{table}" + (
            f"<ul>{notes}</ul>" if notes else ""
        )


def summarise_rows(rows: pd.DataFrame, replicates: int) -> pd.DataFrame:
    """Return the measures of each estimand and cell.

    ``rows``: as in :class:`Recovery`.
    ``replicates``: of which every estimand should have an answer.
    """
    named = with_names(rows)
    lines = {}
    measures = (*MEASURES, *(c for c in LOOKED if c in rows))
    for name in dict.fromkeys(named["name"]):
        mine = named[named["name"] == name]
        lines[name] = _measures(mine, replicates, measures)
    columns = [*measures, *(f"{m}_mcse" for m in measures)]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("estimand")


def with_names(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the ``name`` of each number: the estimand, and the cell unless it is a unit.

    A failure of an answer with several cells is a failure of each of them: a row for each.
    """
    inside = (rows["cell"] != "") & ~rows["pooled"].astype(bool)
    names = rows["estimand"].where(~inside, rows["estimand"] + " [" + rows["cell"] + "]")
    answered = inside & (rows["failure"] == "")
    cells = names[answered].groupby(rows["estimand"]).unique()
    lost = (rows["failure"] != "") & rows["estimand"].isin(cells.index)
    every = [
        list(cells[asked]) if gone else [name]
        for name, asked, gone in zip(names, rows["estimand"], lost, strict=True)
    ]
    named = pd.Series(every, index=rows.index, dtype=object)
    return rows.assign(name=named).explode("name", ignore_index=True)


def _measures(mine: pd.DataFrame, replicates: int, measures: Sequence[str]) -> list[float]:
    good = mine[mine["failure"] == ""]
    values: dict[str, tuple[float, float]] = dict.fromkeys(measures, (np.nan, np.nan))
    share = 1.0 - good["replicate"].nunique() / replicates
    values["failed"] = (share, float(np.sqrt(share * (1 - share) / replicates)))
    if len(good):
        error = good["mean"] - good["truth"]
        width = good["hdi94_ub"] - good["hdi94_lb"]
        squares = _average(good, error**2)
        rmse = float(np.sqrt(squares[0]))
        values |= {
            "truth": _average(good, good["truth"]),
            "mean": _average(good, good["mean"]),
            "bias": _average(good, error),
            "rmse": (rmse, squares[1] / (2 * rmse) if rmse > 0 else 0.0),
            "sd": _average(good, good["sd"]),
            "width": _average(good, width),
            "coverage_50": _average(good, good["covered_50"], share=True),
            "coverage_94": _average(good, good["covered"], share=True),
            **_decisions(good),
            **{c: _average(good, good[c], share=c == "stopped") for c in LOOKED if c in good},
        }
    return [values[m][0] for m in measures] + [values[m][1] for m in measures]


def _decisions(good: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return power and sign error, where there is a null."""
    good = good[~good["null"].isna()]
    if good.empty:
        return {}
    below = good["hdi94_ub"] < good["null"]
    above = good["hdi94_lb"] > good["null"]
    found = {"power": _average(good, (below | above).astype(float), share=True)}
    # A truth that is the null up to rounding has no sign.
    apart = (good["truth"] - good["null"]).abs() > 1e-9 * good["sd"]
    decided = good[(below | above) & apart]
    if len(decided):
        wrong = (decided["hdi94_lb"] > decided["null"]) != (decided["truth"] > decided["null"])
        found["sign_error"] = _average(decided, wrong.astype(float), share=True)
    return found


def _average(rows: pd.DataFrame, values: pd.Series, *, share: bool = False) -> tuple[float, float]:
    """Return the mean over replicates and its standard error; rows of a replicate count once."""
    each = values.groupby(rows["replicate"]).mean()
    n = len(each)
    if share:
        return float(each.mean()), float(each.std(ddof=0) / np.sqrt(n))
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def _said(units: object) -> str:
    return (
        " x ".join(f"{v} {k}" for k, v in units.items()) if hasattr(units, "items") else str(units)
    )


def failures(rows: pd.DataFrame) -> list[str]:
    """Say in how many replicates something failed, and in how many the sampler diverged."""
    found, whole = [], f"of {rows['replicate'].nunique()} replicates"
    failed = rows[rows["failure"] != ""]
    if len(failed):
        first = failed.iloc[0]
        found.append(
            f"{failed['replicate'].nunique()} {whole} failed in something; replicate "
            f"{first['replicate']}: {first['failure']}"
        )
    diverged = rows.loc[rows["divergences"] > 0, "replicate"].nunique()
    if diverged:
        found.append(f"The sampler diverged in {diverged} {whole}.")
    return found
