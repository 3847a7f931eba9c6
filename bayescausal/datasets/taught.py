"""``make_exercise``: an exercise of a teacher's own model; and exercises read from a file.

The teacher says how the world works (a model and its parameters), what is asked, and which mistakes
are expected. The truth is what :func:`bayescausal.estimate` answers for known parameters; the
number of each mistake is what the wrong analysis finds in a large data set of the same world
(:mod:`bayescausal.datasets.mistakes`). No number is typed in.

It fails where an answer could not be told right from wrong: a mistake that leads to the truth is
refused by name. Numbers that a student's few units cannot tell apart are not refused: such answers
are *undecided*.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.datasets.exercise import FITS, Exercise, Known, Mistake, made
from bayescausal.datasets.linear_exercise import exercise_graph
from bayescausal.datasets.mistakes import UNITS, Study, analyses, mistake_of, one_number
from bayescausal.datasets.sealed import FORMAT, cells, opened, unboxed
from bayescausal.effects.asked import as_estimands
from bayescausal.effects.estimate import estimate
from bayescausal.effects.words.from_text import question_from_text
from bayescausal.inference.sampling.prior_and_truth import truth as known_truth
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.model.given import model_of
from bayescausal.model.source.code import model_source
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.simulate import simulate
from bayescausal.types import DataError, ModelError, closest

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.model.design import Design

__all__ = ["load_exercise", "make_exercise"]


def make_exercise(
    model: pm.Model | Design | Sequence[str] | str,
    truth: Mapping[str, Any],
    question: Estimand,
    mistakes: Any = (),
    *,
    path: str | os.PathLike[str] | None = None,
    name: str = "exercise",
    task: str | None = None,
    how: str = "",
    hidden: Iterable[str] = (),
    units: int = 1000,
    families: Mapping[str, Any] | None = None,
    seed: int = 0,
    password: str | None = None,
) -> Exercise:
    """Make an exercise of your own model, whose truth is hidden from those who solve it.

    Parameters
    ----------
    model : pm.Model, Design, or formulas
        The world that the data come from.
    truth : mapping of str to float or array_like
        A value for each parameter.
    question : Estimand
        What is asked, one number.
    mistakes : list or mapping
        Wrong analyses that are recognised. Each is a list of the variables that are adjusted for
        (``[]``: none), one of the phrases ``"without z"``, ``"adjusting for c"`` and
        ``"unadjusted"``, a model or formulas that are fitted, another question, or a function of
        the data that returns a number or an Effect. Named by a mapping, ``{"no age": []}``, or as
        ``(name, analysis, why it is wrong)``. Their numbers are computed.
    path : path, optional
        A file (``.json``) to write it to at once; see :meth:`Exercise.save`.
    name : str
        Short name.
    task : str, optional
        What students read. Default: the question and the columns.
    how : str
        How the right answer is found; shown by ``reveal()``.
    hidden : iterable of str
        Variables that students do not get.
    units : int
        Rows of a data set, unless another number is asked for.
    families : mapping, optional
        With formulas: as for :func:`bayescausal.model_from_formulas`.
    seed : int
        Another number gives all students other data.
    password : str, optional
        Of the file; see :meth:`Exercise.save`.

    Returns
    -------
    Exercise
        With ``data(student)``, ``hand_out``, ``check``, ``hand_in``, ``mark``, ``save``, and
        ``reveal()`` for the teacher.

    Raises
    ------
    DataError
        If a mistake has no number, or leads to the truth; if a name is unknown.
    ParameterError
        If a parameter is missing, unknown, or of the wrong shape or support.
    EstimandError
        If the question has no answer in this model, or several.

    See Also
    --------
    load_exercise : Read the file.
    exercise : Exercises that are there.

    References
    ----------
    M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020.

    Examples
    --------
    >>> import bayescausal as bc
    >>> salt = bc.make_exercise(
    ...     ["age ~ 1", "salt ~ age", "pressure ~ salt + age"],
    ...     {"b_age_Intercept": 0, "sigma_age": 1, "b_salt_Intercept": 0, "b_salt_age": -0.8,
    ...      "sigma_salt": 1, "b_pressure_Intercept": 0, "b_pressure_salt": 0.5,
    ...      "b_pressure_age": 1, "sigma_pressure": 1},
    ...     bc.ATE("salt", "pressure"),
    ...     mistakes=["without age"],
    ... )
    >>> salt.data("Ada").shape
    (1000, 3)
    >>> salt.check(0.5).verdict, salt.check(0.02).values["mistake"]
    ('pass', 'without age')
    """
    if isinstance(model, str | list | tuple):
        model = model_from_formulas(model, families)
    elif families is not None:
        raise DataError("families= was given with a model.", expected="families with formulas.")
    model = model_of(model)
    [asked] = as_estimands(question)
    world = ModelWorld(model, dict(truth))
    table = world.simulate(UNITS, 0)
    observed = _observed(table, hidden, asked)
    fitted = known_truth(model, truth, table if len(world.columns) else None, seed=1)
    value, error = one_number(estimate(fitted, asked, progressbar=False), simulated=True)
    graph = structure_of(model).graph
    study = Study(fitted, graph, table, observed, asked, families)
    key = Known(
        Mistake("truth", value, "", error),
        tuple(mistake_of(each, study) for each in analyses(mistakes)),
        how,
        float(table[asked.outcome_name].std()) or 1.0,
    )
    _told_apart(key)
    text = task or f"{asked.describe()} Columns: {', '.join(observed)}."
    whole = made(
        world=world,
        key=key,
        variables=observed,
        origin=int(seed),
        name=str(name),
        text=text,
        question=asked,
        observed=observed,
        graph=exercise_graph(list(graph.edges), observed, list(graph)),
        units=units,
    )
    whole.simulate()  # units and seeds that are none are refused now
    if path is not None:
        whole.save(path, password=password)
    return whole


def load_exercise(path: str | os.PathLike[str], password: str | None = None) -> Exercise:
    """Read an exercise from a file.

    Reading runs nothing. ``data`` and ``reveal`` run the model in the file, which is code: take
    exercises from people whose notebooks you would run.

    Parameters
    ----------
    path : path
        Written by :meth:`Exercise.save` or :func:`make_exercise`.
    password : str, optional
        The teacher's, if there is one: it opens ``data`` and ``reveal``.

    Returns
    -------
    Exercise
        ``check``, ``hand_in`` and ``mark`` work for everybody; ``data`` if the file has no
        password, or it is given; ``reveal`` with the password only.

    Raises
    ------
    DataError
        If there is no such file, it holds no exercise, or the password is wrong.

    Examples
    --------
    >>> import pathlib, tempfile, bayescausal as bc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "two.json"
    ...     made = bc.make_exercise(
    ...         ["x ~ 1", "y ~ x"],
    ...         {"b_x_Intercept": 0, "sigma_x": 1, "b_y_Intercept": 0, "b_y_x": 2, "sigma_y": 1},
    ...         bc.ATE("x", "y"),
    ...         path=path,
    ...     )
    ...     bc.load_exercise(path).check(2.0).verdict
    'pass'
    """
    where = Path(path)
    if not where.is_file():
        raise DataError(f"There is no file {str(where)!r}.", expected="one that save wrote.")
    try:
        held = json.loads(where.read_text(encoding="utf-8"))
    except ValueError:
        held = None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise DataError(f"{str(where)!r} holds no exercise.", expected="a file that save wrote.")
    body = None
    if not held["locked"] or password is not None:
        body = opened(held["body"], held["salt"], password if held["locked"] else None)
    observed = tuple(held["observed"])
    told = body is not None and held["locked"]
    return made(
        world=FileWorld(body),
        key=_known(body) if told and body is not None else FileKey(held),
        variables=observed,
        origin=int(held["seed"]),
        name=held["name"],
        text=held["task"],
        question=question_from_text(held["question"]),
        observed=observed,
        graph=exercise_graph([(a, b) for a, b in held["arrows"]], observed, held["variables"]),
        units=int(held["units"]),
    )


@dataclass(frozen=True, eq=False)
class ModelWorld:
    """A model with known parameters, as the place where data come from."""

    teachers: pm.Model
    truth: Mapping[str, Any]

    @property
    def columns(self) -> pd.DataFrame:
        """The columns that the model holds as data, from which rows are drawn."""
        dims = structure_of(self.teachers).unit_dims
        held = self.teachers.named_vars_to_dims
        own = [each for each in self.teachers.data_vars if held.get(each.name) == dims]
        return pd.DataFrame({each.name: each.get_value() for each in own})

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units, all variables in it."""
        rows = self.columns if len(self.columns) else None
        table = simulate(self.teachers, self.truth, units=units, data=rows, seed=seed)
        return table.reset_index(drop=table.index.nlevels == 1)

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return the model; what is not among `variables` has no column, and is latent."""
        return self.teachers

    def recipe(self) -> dict[str, Any]:
        """Return the model as code, with its parameters and its data, for a file."""
        try:
            source = model_source(self.teachers)
        except ModelError as error:
            raise DataError(
                f"The model cannot be written to a file: {error}",
                remedy="Keep make_exercise in a script of your own, and give out data sets: "
                "hand_out(students, folder).",
            ) from error
        names = re.findall(r"^#   (\S+): ", source, re.M)
        lost = [name for name in names if name not in self.teachers.named_vars]
        if lost:
            raise DataError(
                f"The model holds a long array without a name ({lost[0]}).",
                expected="long arrays as pm.Data.",
            )
        held = {name: self.teachers[name].get_value().tolist() for name in names}
        plain = {name: np.asarray(value).tolist() for name, value in self.truth.items()}
        return {"source": source, "data": held, "truth": plain}


@dataclass(frozen=True, eq=False)
class FileWorld:
    """The model in a file, if it can be opened."""

    body: Mapping[str, Any] | None

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units."""
        return self._made("Data").simulate(units, seed)

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return the teacher's model."""
        return self._made("The model").model(variables)

    def recipe(self) -> dict[str, Any]:
        """Refuse: what was read is a file already."""
        raise DataError("The exercise was read from a file.", remedy="Copy the file.")

    def _made(self, what: str) -> ModelWorld:
        if self.body is None:
            raise DataError(
                f"{what}: this exercise is locked with a password.",
                expected="a data set from your teacher, who makes it with hand_out; or "
                "load_exercise(path, password).",
            )
        scope: dict[str, Any] = {
            "data": {name: np.asarray(v) for name, v in self.body["data"].items()}
        }
        exec(self.body["source"], scope)
        return ModelWorld(scope["model"], self.body["truth"])


@dataclass(frozen=True, eq=False)
class FileKey:
    """The numbers in a file, each found only where it is handed in."""

    held: Mapping[str, Any]

    @property
    def resolution(self) -> float:
        """How far apart the numbers are."""
        return float(self.held["resolution"])

    @property
    def can_tell(self) -> bool:
        """Whether there are mistakes."""
        return bool(self.held["mistakes"])

    def near(self, mean: float, sd: float) -> tuple[bool, list[Mistake]] | None:
        """Open the boxes of the cells that an answer touches."""
        reach = FITS * float(np.hypot(sd, self.held["slack"]))
        asked = cells(mean, reach, self.resolution)
        if asked is None:
            return None
        found = [Mistake(**each) for each in unboxed(asked, self.held["bands"], self.held["salt"])]
        near = sorted(
            (m for m in found if m.distance(mean, sd) <= FITS), key=lambda m: m.distance(mean, sd)
        )
        return any(not m.name for m in near), [m for m in near if m.name]

    def solution(self) -> tuple[float, tuple[Mistake, ...], str]:
        """Refuse: the file does not tell."""
        raise DataError(
            "The solution of this exercise is not told.",
            expected="load_exercise(path, password), with the password that the teacher saved it "
            "with; or the script that made it.",
        )


# ------------------------------------------------------------------------------- private


def _known(body: Mapping[str, Any]) -> Known:
    """Return the numbers of a file that was opened with its password."""
    return Known(
        Mistake(**body["numbers"][0]),
        tuple(Mistake(**each) for each in body["numbers"][1:]),
        body["how"],
        body["spread"],
    )


def _observed(table: pd.DataFrame, hidden: Iterable[str], asked: Estimand) -> tuple[str, ...]:
    """Return the columns that students get."""
    away = {hidden} if isinstance(hidden, str) else set(hidden)
    for name in sorted(away):
        if name not in table:
            raise DataError(
                f"hidden names {name!r}, which is no variable.", names=closest(name, table)[:1]
            )
        if name in (*asked.treatments, asked.outcome_name):
            raise DataError(f"{name!r} is hidden, and the question is about it.")
    return tuple(name for name in table.columns if name not in away)


def _told_apart(key: Known) -> None:
    """Refuse a mistake that leads to the truth."""
    for each in key.mistakes:
        gap = abs(each.value - key.truth.value)
        noise = float(np.hypot(each.error, key.truth.error))
        if gap <= 6 * noise or gap <= 1e-9 * max(abs(each.value), key.spread):
            raise DataError(
                f"The mistake {each.name!r} leads to the right answer here: {each.value:.4g}, "
                f"where the truth is {key.truth.value:.4g} (error of the comparison {noise:.2g}).",
                remedy="Leave it out, or choose parameters under which it matters.",
            )
