"""The record of an exercise: a task, data with a hidden truth, and a check of the answer.

A student reads the task and the graph, takes data, writes a model, fits it, estimates, and hands
the effect in. The check compares its posterior with the truth and with the numbers that known
mistakes lead to:

* *right*: the truth is within 3 posterior sds, no mistake is;
* *wrong*: the truth is not. If a mistake's number is, it is named, with the reason;
* *undecided*: both are, so the data cannot tell: take more units.

A posterior that is right lies within 3 sds of the truth in all but about 0.3% of data sets. Where
a number was itself simulated, its standard error is added to the sd of the answer.

The numbers are held by a *key* (:mod:`bayescausal.datasets.teaching.key`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.datasets.teaching.key import FITS, Solution, WrongAnswer
from bayescausal.datasets.teaching.marking import hand_in, mark_folder, seed_of, write_tables
from bayescausal.datasets.teaching.sealed import written
from bayescausal.draws.check import Check
from bayescausal.effects.effect import Effect
from bayescausal.effects.words.as_code import as_code
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    import networkx as nx

    from bayescausal.datasets.teaching.key import Key, World
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["Exercise", "made"]


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
    units: int = 1000
    _world: World = field(init=False)
    _key: Key = field(init=False)
    _variables: tuple[str, ...] = field(init=False)
    _origin: int = field(init=False)

    def simulate(self, units: int | None = None, seed: int = 0) -> pd.DataFrame:
        """Return data of the exercise: only what can be observed.

        Parameters
        ----------
        units : int, optional
            Rows. Default: as many as the exercise has.
        seed : int
            Same seed, same data.

        Returns
        -------
        DataFrame
        """
        units = self.units if units is None else units
        for label, value, least in (("units", units, 1), ("seed", seed, 0)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least:
                raise DataError(f"{label}={value!r}.", expected=f"an integer from {least}.")
        return self._world.simulate(int(units), int(seed))[list(self.observed)]

    def data(self, student: str, units: int | None = None) -> pd.DataFrame:
        """Return the data set of a student: the same name gives the same data.

        Parameters
        ----------
        student : str
            A name or number that no other student has. Case and outer blanks do not matter.
        units : int, optional
            Rows. Default: as many as the exercise has.

        Examples
        --------
        >>> import bayescausal as bc
        >>> fork = bc.exercise("fork")
        >>> fork.data("Ada").equals(fork.data(" ada")), fork.data("Ada").equals(fork.data("Bo"))
        (True, False)
        """
        return self.simulate(units, seed_of(student, self._origin))

    def hand_out(
        self, students: Iterable[str], folder: str | os.PathLike[str], units: int | None = None
    ) -> list[Path]:
        """Write the data set of each student to a file of the folder.

        A file is called like its student, in lower case and with ``_`` for what is no letter,
        digit, dot or hyphen: ``ada_lovelace.csv``.

        Parameters
        ----------
        students : iterable of str
            The names. No two may be the same but for case and blanks.
        folder : path
            Made if it is not there.
        units : int, optional
            Rows. Default: as many as the exercise has.

        Returns
        -------
        list of Path
        """
        return write_tables(students, folder, lambda student: self.data(student, units))

    def check(self, answer: Effect | float, *, strict: bool = False) -> Check:
        """Say whether an answer is right, and why not if it is wrong.

        Parameters
        ----------
        answer : Effect or float
            The answer, of one number; best an Effect, whose posterior says how sure it is. Its
            treatment and outcome must be those of the question. An answer to another question about
            them (the average effect where the direct one was asked) is compared by its number, and
            the result names the question that it answers.
        strict : bool, default False
            Raise an error where the answer is not right, as an autograder needs it.

        Returns
        -------
        Check
            ``"pass"``: right; ``"fail"``: wrong; ``"undecided"``: too wide to tell. The truth is
            not shown.

        Raises
        ------
        EstimandError
            If the answer is about another treatment or outcome, or is not one number.
        WrongAnswer
            With ``strict=True``, if the answer is wrong or too wide; an ``AssertionError``.
        """
        found = self._judge(*self._read(answer))
        asked = answer.estimand if isinstance(answer, Effect) else None
        if asked is not None and asked != self.question:
            other = f"The answer is to another question: {asked.describe()}."
            found = replace(found, meaning=f"{found.meaning} {other}")
        if strict and not found:
            raise WrongAnswer(found.sentence())
        return found

    def _judge(self, mean: float, sd: float, ends: tuple[float, float]) -> Check:
        """Compare an answer with the truth and with the mistakes."""
        found = self._key.near(mean, sd)
        fits, near = (True, []) if found is None else found
        wide = found is None or (not self._key.can_tell and sd * FITS > self._key.resolution)
        table = pd.DataFrame(
            {"mean": [mean], "sd": [sd], "lower": [ends[0]], "upper": [ends[1]]},
            index=[self.question.label()],
        )
        if fits and wide:
            verdict, finding = "undecided", "The answer is too wide: nearly any number fits it."
            meaning = "Simulate more units and ask again."
        elif fits and not near:
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
        values = {"mistake": near[0].name if near and not fits else ""}
        return Check(f"exercise {self.name}", verdict, finding, meaning, table, values=values)

    def hand_in(
        self, answer: Effect | float, student: str, folder: str | os.PathLike[str] = "."
    ) -> Path:
        """Write an answer to a file that :meth:`mark` reads.

        Parameters
        ----------
        answer : Effect or float
            To the question of the exercise.
        student : str
            Whose answer it is.
        folder : path
            Where the file goes, ``<student>.json``. Made if it is not there.

        Returns
        -------
        Path
        """
        mean, sd, _ = self._read(answer)
        sure = isinstance(answer, Effect) and float(answer.sd()) > 0
        return hand_in(
            self.name, self.question.label(), student, folder, mean, sd if sure else None
        )

    def mark(self, folder: str | os.PathLike[str]) -> pd.DataFrame:
        """Mark the answers in a folder.

        Files that :meth:`hand_in` wrote (``.json``), an effect's ``to_dict()`` as JSON, a number in
        a ``.txt`` file, and tables (``.csv``) with the columns ``student`` and ``answer``, and
        ``sd`` if there is one. Files with other endings are left alone. Nothing in a file is run.

        Parameters
        ----------
        folder : path
            With the answers.

        Returns
        -------
        DataFrame
            One row for each answer, by student: ``answer``, ``sd``, ``verdict`` (right, wrong,
            undecided, unreadable), ``mistake``, ``points`` (1 or 0), ``comment`` and ``file``.

        Raises
        ------
        DataError
            If there is no such folder, or no answer in it.

        Examples
        --------
        >>> import tempfile, bayescausal as bc
        >>> fork = bc.exercise("fork")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = fork.hand_in(0.5, "Ada", folder)
        ...     fork.mark(folder)["verdict"].to_dict()
        {'Ada': 'right'}
        """
        return mark_folder(folder, self.name, self.question.label(), self._number)

    def _number(self, mean: float, sd: float | None) -> Check:
        """Judge an answer that was read from a file."""
        if sd is None:
            return self.check(mean)
        return self._judge(mean, sd, (mean - 1.88 * sd, mean + 1.88 * sd))

    def save(self, path: str | os.PathLike[str], *, password: str | None = None) -> Path:
        """Write the exercise to a file that students can be given: the truth is not read off it.

        Without a password the numbers are encoded, not secret: a student who opens the file does
        not see them, one who writes code to decode it can. With one, the model that makes the data
        is encrypted, so that data sets are handed out by :meth:`hand_out`; answers are still
        checked, against hashes that only trying all numbers reveals.

        Parameters
        ----------
        path : path
            Ends in ``.json``.
        password : str, optional
            Needed again for data, for :meth:`reveal` and nothing else.

        Returns
        -------
        Path

        Raises
        ------
        DataError
            If the exercise cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".json" or not target.resolve().parent.is_dir():
            raise DataError(f"{str(target)!r}.", expected="a .json file in a folder that exists.")
        question = as_code(self.question)
        if question is None:
            raise DataError(
                f"The question {self.question!r} cannot be written to a file.",
                expected="one of names, numbers and labels.",
            )
        if password is not None and not password:
            raise DataError("password=''.", expected="a password, or None for no password.")
        shown = {
            "name": self.name,
            "task": self.text,
            "question": question,
            "observed": list(self.observed),
            "variables": list(self.graph),
            "arrows": list(self.graph.edges),
            "units": self.units,
            "seed": self._origin,
        }
        hidden = {**self._world.recipe(), **self._key.recipe()}
        text = written(shown, hidden, self._key.resolution, password)
        target.write_text(text, encoding="utf-8")
        return target

    def reveal(self) -> Solution:
        """Return what is hidden: the truth, the mistakes, and how to do it right.

        Returns
        -------
        Solution

        Raises
        ------
        DataError
            If the exercise was read from a file without the teacher's password.
        """
        truth, wrong, how = self._key.solution()
        mistakes = pd.DataFrame(
            {"value": [m.value for m in wrong], "why": [m.why for m in wrong]},
            index=[m.name for m in wrong],
        )
        model = self._world.model(self._variables)
        return Solution(truth=truth, mistakes=mistakes, how=how, model=model)

    def _read(self, effect: Effect | float) -> tuple[float, float, tuple[float, float]]:
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
            return value, 0.3 * self._key.resolution / FITS, (value, value)
        if effect.dims:
            said = f"{effect.label} has several cells."
            raise EstimandError(said, expected="an answer of one number.")
        asked = effect.estimand
        pair = (self.question.treatments, self.question.outcome_name)
        if asked is not None and (asked.treatments, asked.outcome_name) != pair:
            own = self.question.label()
            raise EstimandError(f"The answer is to {asked.label()}.", expected=f"one to {own}.")
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
    *, world: World, key: Key, variables: Sequence[str], origin: int = 0, **shown: Any
) -> Exercise:
    """Return an exercise with what it hides.

    - `world`: where its data come from.
    - `key`: what an answer is compared with.
    - `variables`: of the model that finds the truth.
    - `origin`: from which the seeds of all students are made.
    - `shown`: the fields that everybody sees.
    """
    exercise = Exercise(**shown)
    hidden = {"world": world, "key": key, "variables": tuple(variables), "origin": origin}
    for name, value in hidden.items():
        object.__setattr__(exercise, f"_{name}", value)
    return exercise
