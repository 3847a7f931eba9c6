"""The record of an exercise: a task, data with a hidden truth, and a check of the answer.

A student reads the task and the graph, simulates data, writes a model, fits it, estimates, and
hands the effect in. The check compares its posterior with the truth and with the numbers that known
mistakes lead to, all exact:

* *right*: the truth is within 3 posterior sds, no mistake is;
* *wrong*: the truth is not. If a mistake's number is, it is named, with the reason;
* *undecided*: both are, so the data cannot tell: take more units.

A posterior that is right lies within 3 sds of the truth in all but about 0.3 % of data sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.check import Check
from bayescausal.effects.effect import Effect
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    import networkx as nx
    import pymc as pm

    from bayescausal.datasets.exercise_worlds import LinearWorld, TableWorld
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["Exercise", "Mistake", "Solution", "made"]

#: Posterior sds within which a number fits an answer.
FITS = 3.0


@dataclass(frozen=True)
class Mistake:
    """A wrong analysis, the number it leads to, and why it is wrong."""

    name: str
    value: float
    why: str


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """What an exercise hides.

    Attributes
    ----------
    truth : float
        The right answer.
    mistakes : DataFrame
        The number that each known mistake leads to, and why it is wrong.
    how : str
        How the right answer is found.
    model : pm.Model
        A model that finds it.
    """

    truth: float
    mistakes: pd.DataFrame
    how: str
    model: pm.Model

    def __repr__(self) -> str:
        wrong = "; ".join(f"{name}: {row['value']:.3g}" for name, row in self.mistakes.iterrows())
        return f"Solution(truth {self.truth:.3g}. {self.how} Wrong: {wrong})"


@dataclass(frozen=True, eq=False, repr=False)
class Exercise:
    """A causal question about a world whose truth is hidden.

    Attributes
    ----------
    name : str
        Short name.
    text : str
        The task.
    question : Estimand
        What is asked.
    observed : tuple of str
        The columns of the data.
    graph : networkx.DiGraph
        The causal graph, frozen; nodes have the attribute ``observed``.

    Examples
    --------
    >>> import bayescausal as bc
    >>> fork = bc.exercise("fork")
    >>> fork.simulate(100, seed=1).columns.tolist()
    ['age', 'salt', 'pressure']
    """

    name: str
    text: str
    question: Estimand
    observed: tuple[str, ...]
    graph: nx.DiGraph
    _world: LinearWorld | TableWorld = field(init=False)
    _truth: float = field(init=False)
    _mistakes: tuple[Mistake, ...] = field(init=False)
    _how: str = field(init=False)
    _variables: tuple[str, ...] = field(init=False)

    def simulate(self, units: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Return data of the exercise: only what can be observed.

        Parameters
        ----------
        units : int
            Rows.
        seed : int
            Same seed, same data.

        Returns
        -------
        DataFrame
        """
        for label, value, least in (("units", units, 1), ("seed", seed, 0)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least:
                raise DataError(f"{label}={value!r}.", expected=f"an integer from {least}.")
        return self._world.simulate(int(units), int(seed))[list(self.observed)]

    def check(self, effect: Effect | float) -> Check:
        """Say whether an answer is right, and why not if it is wrong.

        Parameters
        ----------
        effect : Effect or float
            The answer, of one number; best an Effect, whose posterior says how sure it is.

        Returns
        -------
        Check
            ``"pass"``: right; ``"fail"``: wrong; ``"undecided"``: too wide to tell. The truth is
            not shown.

        Raises
        ------
        EstimandError
            If the answer is to another question, or is not one number.
        """
        mean, sd, ends = self._read(effect)
        away = {m: abs(mean - m.value) / sd for m in self._mistakes}
        near = sorted((m for m in away if away[m] <= FITS), key=away.__getitem__)
        fits = abs(mean - self._truth) / sd <= FITS
        table = pd.DataFrame(
            {"mean": [mean], "sd": [sd], "lower": [ends[0]], "upper": [ends[1]]},
            index=[self.question.label()],
        )
        if fits and not near:
            verdict, finding = "pass", "Right: the truth lies where the answer says."
            meaning = "The known mistakes of this exercise would have given another number."
        elif fits:
            verdict = "undecided"
            finding = (
                f"The truth fits the answer, and so does a wrong number ({near[0].name}): the "
                "answer is too wide to tell them apart."
            )
            meaning = "Simulate more units and ask again."
        elif near:
            verdict = "fail"
            finding = f"Wrong, and the number is that of a known mistake: {near[0].name}."
            meaning = near[0].why
        else:
            verdict, finding = "fail", "Wrong: the truth does not lie where the answer says."
            meaning = (
                "It is none of the mistakes known here. Look at the model (its arrows, its "
                "equations, what is latent) and at the question that was asked."
            )
        return Check(f"exercise {self.name}", verdict, finding, meaning, table)

    def reveal(self) -> Solution:
        """Return what is hidden: the truth, the mistakes, and how to do it right.

        Returns
        -------
        Solution
        """
        mistakes = pd.DataFrame(
            {"value": [m.value for m in self._mistakes], "why": [m.why for m in self._mistakes]},
            index=[m.name for m in self._mistakes],
        )
        model = self._world.model(self._variables)
        return Solution(truth=self._truth, mistakes=mistakes, how=self._how, model=model)

    def _read(self, effect: Any) -> tuple[float, float, tuple[float, float]]:
        """Return mean, sd and interval of an answer."""
        if not isinstance(effect, Effect):
            try:
                value = float(effect)
            except (TypeError, ValueError):
                value = np.nan
            if not np.isfinite(value):
                raise EstimandError(
                    f"Found {effect!r} where an answer is needed.",
                    expected="an Effect, from estimate; or a number.",
                )
            gap = min(abs(m.value - self._truth) for m in self._mistakes)
            return value, 0.2 * gap / FITS, (value, value)
        if effect.dims:
            raise EstimandError(
                f"{effect.label} has several cells.", expected="an answer of one number."
            )
        asked = effect.estimand
        pair = (self.question.treatments, self.question.outcome_name)
        if asked is not None and (asked.treatments, asked.outcome_name) != pair:
            raise EstimandError(
                f"The answer is to {asked.label()}.",
                expected=f"one to {self.question.label()}.",
            )
        sd = float(effect.sd())
        if not sd > 0:
            return self._read(float(effect))
        low, high = effect.interval(0.94)
        return float(effect.mean()), sd, (low, high)

    def __repr__(self) -> str:
        return f"Exercise({self.name}: {self.question.describe()})"

    def _repr_html_(self) -> str:
        head = f"<strong>{escape(self.name)}</strong>: {escape(self.text)}"
        return f"<p>{head}</p><p>{escape(self.question.describe())}</p>"


def made(
    *,
    world: LinearWorld | TableWorld,
    truth: float,
    mistakes: tuple[Mistake, ...],
    how: str,
    variables: tuple[str, ...],
    **shown: Any,
) -> Exercise:
    """Return an exercise with what it hides.

    Parameters
    ----------
    world : LinearWorld or TableWorld
        Where its data come from.
    truth : float
        The right answer.
    mistakes : tuple of Mistake
        Wrong answers, and why they are wrong.
    how : str
        How the right answer is found.
    variables : tuple of str
        Of the model that finds it.
    **shown
        The fields that everybody sees.
    """
    exercise = Exercise(**shown)
    hidden = {"world": world, "truth": truth, "mistakes": mistakes, "how": how}
    for name, value in {**hidden, "variables": variables}.items():
        object.__setattr__(exercise, f"_{name}", value)
    return exercise
