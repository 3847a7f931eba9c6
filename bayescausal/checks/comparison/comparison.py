"""The record of a comparison: scores, answers, and what the scores do not say."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from bayescausal.draws.digits import numbers, rows_text, significant, three
from bayescausal.draws.summary import interval_columns
from bayescausal.figures.checks.comparison import plot_comparison

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.effect import Effect
    from bayescausal.figures.style import Axes

__all__ = ["ModelComparison"]

WARNING = (
    "Prediction does not pick causes: the score says which equations describe the data, not which "
    "way the arrows point."
)


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison:
    """Rival models, scored by prediction and asked the same question.

    Parameters
    ----------
    table : DataFrame
        A row per model, best first.
    variables : tuple of str
        What was predicted.
    effects : mapping of str to Effect
        The answer under each model.
    stacked : Effect or None
        The answer under their mixture, by ``table["weight"]``.
    pareto_k : DataFrame
        A row per unit, a column per model.
    pointwise : DataFrame
        The score of each unit under each model.
    threshold : mapping of str to float
        Above it a Pareto k is too large.
    equivalent : tuple of (str, str)
        Models that imply the same independences.
    notes : tuple of str
        What a reader should know.
    classes : tuple of tuple of str
        Models over the same measured variables whose graphs no data tell apart.
    stated : bool
        Whether weights inside a class were stated; otherwise they are equal for each graph.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayescausal as bc
    >>> row = {"elpd": [-10.0, -19.0], "se": 1.0, "elpd_diff": [0.0, -9.0], "dse": [0.0, 2.0],
    ...        "p_loo": 1.0, "weight": [1.0, 0.0], "k_max": 0.2, "k_bad": 0}
    >>> found = bc.ModelComparison(pd.DataFrame(row, index=["a", "b"]), ("y",), {}, None,
    ...                         pd.DataFrame(), pd.DataFrame(), {})
    >>> found.best, found.verdict
    ('a', 'pass')
    """

    table: pd.DataFrame
    variables: tuple[str, ...]
    effects: Mapping[str, Effect]
    stacked: Effect | None
    pareto_k: pd.DataFrame
    pointwise: pd.DataFrame
    threshold: Mapping[str, float]
    equivalent: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    classes: tuple[tuple[str, ...], ...] = ()
    stated: bool = False

    @property
    def best(self) -> str:
        """The model that predicts best."""
        return str(self.table.index[0])

    @property
    def verdict(self) -> str:
        """``"pass"`` if every score can be trusted, ``"warn"`` if a Pareto k is too large."""
        return "warn" if self.table["k_bad"].sum() else "pass"

    def summary(self) -> pd.DataFrame:
        """Return scores and answers, the mixture last.

        Returns
        -------
        DataFrame
            A row per model.
        """
        table = self.table.copy()
        if self.stacked is None:
            return table
        answers = {**self.effects, "stacked": self.stacked}
        low, high = interval_columns(0.94)
        rows = {}
        for name, effect in answers.items():
            ends = effect.interval(0.94)
            rows[name] = {
                "mean": effect.mean(),
                "sd": effect.sd(),
                low: ends[0],
                high: ends[1],
                "identification": effect.verdict,
            }
        answered = pd.DataFrame.from_dict(rows, orient="index")
        order = [*table.index, "stacked"]
        return table.reindex(order).join(answered.reindex(order))

    def sentence(self) -> str:
        """Return the comparison in words."""
        first = self.table.iloc[0]
        parts = [
            f"Of {len(self.table)} models, {self.best} predicts {', '.join(self.variables)} of a "
            f"left-out unit best (elpd {first['elpd']:.1f})."
        ]
        close = []
        for name, row in self.table.iloc[1:].iterrows():
            if abs(row["elpd_diff"]) > 2 * row["dse"] and abs(row["elpd_diff"]) > 4:
                parts.append(
                    f"{name} is worse by {abs(row['elpd_diff']):.1f} (se {row['dse']:.1f})."
                )
            else:
                close.append(str(name))
        if close:
            parts.append(f"{', '.join(close)} cannot be told from it by prediction.")
        if self.stacked is not None:
            said = "; ".join(f"{n} {_short(e)}" for n, e in self.effects.items())
            label = next(iter(self.effects.values())).label
            mixed = "mixture" if self.classes else "stacked"
            parts.append(f"{label}: {said}; {mixed} {_short(self.stacked)}.")
        bad = self.table[self.table["k_bad"] > 0]
        for name, row in bad.iterrows():
            parts.append(
                f"{int(row['k_bad'])} units are too influential under {name} (Pareto k up to "
                f"{row['k_max']:.2f}): its score is not reliable."
            )
        parts.append(WARNING)
        for a, b in self.equivalent:
            parts.append(f"{a} and {b} imply the same independences: no such data tell them apart.")
        parts += [self._undecided(names) for names in self.classes]
        return " ".join(parts)

    def _undecided(self, names: tuple[str, ...]) -> str:
        """Say how weight is divided where no data can, and how far the answers are apart."""
        rows = self.table.loc[list(names)]
        weights = rows["weight"] / rows["weight"].sum() if rows["weight"].sum() > 0 else None
        how = "those that were stated" if self.stated else "equal for each graph"
        text = (
            f"Among {', '.join(names)} the weights are {how}, not the score's: it cannot tell "
            "which way the arrows point."
        )
        gap = rows["elpd"].max() - rows["elpd"]
        worst = str(gap.idxmax())
        told = gap.max() > 4 and gap.max() > 2 * self._se(str(gap.idxmin()), worst)
        if told:
            text += (
                f" That {worst} predicts worse by {gap.max():.1f} speaks against its equations or "
                "priors, not its arrows: mend them, or leave it out."
            )
        if self.effects and weights is not None:
            means = pd.Series({n: float(self.effects[n].mean()) for n in names})
            middle = float((weights * means).sum())
            sd = float(((means - middle) ** 2 * weights).sum()) ** 0.5
            text += (
                f" Their answers lie between {three(means.min())} and {three(means.max())}; the "
                f"mixture has an sd of {significant(sd, 2)} between the graphs, which no data of "
                "this kind reduce."
            )
        return text

    def _se(self, one: str, other: str) -> float:
        """Return the standard error of a difference of two scores."""
        if one not in self.pointwise or other not in self.pointwise:
            return 0.0
        gap = self.pointwise[one] - self.pointwise[other]
        return float(gap.std(ddof=1) * len(gap) ** 0.5)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw scores and answers, model by model.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw the scores. Default: a new figure, with the answers beside them.

        Returns
        -------
        matplotlib Axes
        """
        return plot_comparison(self.summary(), list(self.table.index), ax=ax)

    def __repr__(self) -> str:
        return f"{self.sentence()}\n{rows_text(self.summary()).to_string()}"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = rows_text(self.summary()).to_html()
        return f"<p>{escape(self.sentence())}</p>{table}" + (f"<ul>{notes}</ul>" if notes else "")


def _short(effect: Effect) -> str:
    low, high = effect.interval(0.94)
    said = numbers(float(effect.sd()), float(effect), low, high, ends=True, apart=[effect.null])
    return f"{said[0]} [{said[1]}, {said[2]}]"
