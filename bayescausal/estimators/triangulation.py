"""The answers of several estimators to one question: their effects, a table, words and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.digits import rows_text
from bayescausal.draws.summary import interval_columns
from bayescausal.estimators.explain.agreement import agreement
from bayescausal.estimators.explain.balance import differences, weight_summary
from bayescausal.estimators.explain.conditional import (
    benefit,
    conditional_effects,
    gates,
    losses_of,
)
from bayescausal.estimators.explain.pictures import draw
from bayescausal.estimators.explain.words import tell
from bayescausal.figures.forest import plot_forest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.estimators.estimator import Estimator, Prepared
    from bayescausal.estimators.explain.agreement import Agreement
    from bayescausal.estimators.problem.problem import Problem
    from bayescausal.figures.style import Axes

__all__ = ["Answered", "Triangulation", "Triangulations"]


@dataclass(frozen=True, eq=False)
class Answered:
    """The answer of one estimator."""

    estimator: Estimator  # with its options
    effect: Effect  # its draws
    prepared: tuple[Prepared, ...]  # what it did, for each subgroup
    points: tuple[float, ...]  # the estimate at equal weights, for each subgroup


@dataclass(frozen=True, eq=False, repr=False)
class Triangulation:
    """What several estimators say of one question. Made by :func:`bayescausal.triangulate`.

    Attributes
    ----------
    question : Estimand
        What was asked.
    answers : mapping of str to Answered
        Each estimator with its effect, its weights, its propensity.
    refused : mapping of str to str
        Of the default panel: who has no answer, and why.
    model : Effect or None
        What the fit's own model says, where there is one.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> x = rng.binomial(1, 0.5, size=200)
    >>> data = {"x": x, "y": x + rng.normal(size=200)}
    >>> found = bc.triangulate("x -> y", bc.ATE("x", "y"), estimators=["regression"], data=data)
    >>> list(found.effects), found.table.loc["regression", "models"]
    (['regression'], 'outcome')
    """

    question: Estimand
    answers: Mapping[str, Answered]
    refused: Mapping[str, str]
    problem: Problem
    cells: tuple[tuple[tuple[Any, ...], Problem], ...]
    model: Effect | None = field(default=None)

    @cached_property
    def effects(self) -> Mapping[str, Effect]:
        """The answers by name."""
        return MappingProxyType({name: each.effect for name, each in self.answers.items()})

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row an estimator: its answer, what it models and assumes, and on what it rests.

        ``estimate``, on the data as they are; ``mean``, ``sd``, ``hdi94_lb``, ``hdi94_ub`` of the
        draws; ``se``, of a difference, by its own formula; ``models``, ``assumes``;
        ``ess_treated`` and ``ess_control``, the effective sample size of each arm;
        ``largest_weight``, the largest share of an arm that one unit carries; ``balance``, the
        largest standardised difference that is left. NaN where it has no weights. With ``by`` a
        row for each subgroup.
        """
        rows: dict[Any, dict[str, Any]] = {}
        difference = self.question.scale.name == "difference"
        for name, each in self.answers.items():
            summary = each.effect.summary()
            low, high = interval_columns(0.94)
            for (labels, cell), own, point, (_, line) in zip(
                self.cells, each.prepared, each.points, summary.iterrows(), strict=True
            ):
                rows[(name, *labels) if labels else name] = {
                    "estimate": point,
                    "mean": line["mean"],
                    "sd": line["sd"],
                    low: line[low],
                    high: line[high],
                    "se": own.se if difference else float("nan"),
                    "models": each.estimator.models,
                    "assumes": each.estimator.assumes,
                    **weight_summary(cell, own.weights),
                }
        table = pd.DataFrame.from_dict(rows, orient="index")
        if self.question.by:
            table.index = pd.MultiIndex.from_tuples(
                list(rows), names=("estimator", *self.question.by)
            )
        else:
            table.index.name = "estimator"
        return table

    @cached_property
    def agreement(self) -> Agreement | None:
        """Whether those that ask about the same population agree; None for fewer than two."""
        if self.question.by:
            return None
        comparable = {
            name: np.ravel(each.effect.draws)
            for name, each in self.answers.items()
            if not each.prepared[0].whom
        }
        return agreement(comparable) if len(comparable) > 1 else None

    @cached_property
    def balance(self) -> pd.DataFrame:
        """Standardised differences between the arms: before, and after each one's weights."""
        if self.question.by:
            raise ValueError("Balance is told without by=, for one population at a time.")
        found = {"before": differences(self.problem)}
        for name, each in self.answers.items():
            if each.prepared[0].weights is not None:
                found[name] = differences(self.problem, each.prepared[0].weights)
        return pd.DataFrame(found)

    @cached_property
    def conditional_effects(self) -> pd.DataFrame:
        """The effect at each unit's covariates: a row a unit, a column an estimator that has one.

        Of learners, each predicted by models of the other folds; of models of the outcome, the
        difference of their predictions.
        """
        return conditional_effects(self)

    def gates(self, name: str, groups: int = 5) -> pd.DataFrame:
        """Return the average effect of groups of units by the effect that a learner predicts.

        Parameters
        ----------
        name : str
            The estimator whose effects sort the units.
        groups : int

        Returns
        -------
        DataFrame
            One row a group, the smallest predicted effects first: units, predicted effect, and
            mean, sd and interval of the average of doubly robust scores.
        """
        return gates(self, name, groups)

    def benefit(self, name: str) -> pd.DataFrame:
        """Return what treating the units with the largest predicted effects gains (Qini curve).

        Parameters
        ----------
        name : str
            The estimator whose effects sort the units.

        Returns
        -------
        DataFrame
            Index: share treated. Mean and interval of the gain per unit over treating nobody, by
            doubly robust scores; the last row, named ``"RATE"``, is the area beyond random
            assignment.
        """
        return benefit(self, name)

    def losses(
        self, outcome: object = None, treatment: object = "logistic", folds: int = 5
    ) -> pd.DataFrame:
        """Return the R-loss and the DR-loss of all conditional effects: the smaller the better.

        Parameters
        ----------
        outcome, treatment
            The models by which all are scored; default: gradient boosted trees, logistic
            regression. :func:`bayescausal.estimators.nuisance_scores` chooses among such models.
        folds : int

        Returns
        -------
        DataFrame
            One row an estimator with an effect for each unit: ``r_loss``, ``dr_loss``.
        """
        return losses_of(self, outcome, treatment, folds)

    def sentence(self) -> str:
        """Say whether the estimators agree, and if not, which reading fits.

        Returns
        -------
        str
        """
        return tell(self)

    def plot(self, kind: str = "forest", ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the answers, or what they rest on.

        Parameters
        ----------
        kind : str
            ``"forest"``; ``"love"``, differences before and after weighting; ``"propensity"``, the
            overlap of the arms; ``"weights"``, their distribution; ``"calibration"`` and ``"roc"``
            of the propensity; ``"accuracy"``, of the outcome's model by arm, held out; of learners
            ``"effects"``, the distribution of conditional effects, ``"gates"``, their calibration
            in groups, and ``"benefit"``, the Qini curve with the RATE.
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: a new figure.
        **options
            Of the forest: those of :func:`bayescausal.plot_forest`; of ``"gates"`` and
            ``"benefit"``: ``name=``, the estimator whose effects are meant (default: the first
            learner); of ``"gates"``: ``groups=``.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        EstimandError
            For an unknown kind, or where there is nothing of it to draw.
        """
        return draw(self, kind, ax, **options)

    def __repr__(self) -> str:
        lines = [f"{self.question.label()}: {len(self.answers)} estimators"]
        lines += [f"  {name}: {each.effect!r}" for name, each in self.answers.items()]
        lines += [f"  {name}: no answer. {why}" for name, why in self.refused.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = f"<p>{escape(self.sentence())}</p>"
        return head + rows_text(self.table.drop(columns="assumes")).to_html()


class Triangulations(list[Triangulation]):
    """Several questions, each with its answers; of one it stands for that one.

    Examples
    --------
    >>> Triangulations([]).effects
    mappingproxy({})
    """

    @property
    def effects(self) -> Mapping[str, Effect]:
        """The answers by name; of several questions the name is behind the question."""
        if len(self) == 1:
            return self[0].effects
        return MappingProxyType(
            {f"{t.question.label()}: {n}": e for t in self for n, e in t.effects.items()}
        )

    @property
    def table(self) -> pd.DataFrame:
        """The tables, below each other."""
        if len(self) == 1:
            return self[0].table
        return pd.concat({t.question.label(): t.table for t in self}, names=["question"])

    def sentence(self) -> str:
        """Return what is said of each question."""
        return " ".join(each.sentence() for each in self)

    def plot(self, kind: str = "forest", ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the answers to all questions; other kinds are about the first."""
        if len(self) == 1 or kind != "forest":
            return self[0].plot(kind, ax, **options)
        return plot_forest(self.effects, ax=ax, **options)
