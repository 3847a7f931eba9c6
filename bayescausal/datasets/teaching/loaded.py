"""Exercises that were read from a file: data, checks and solutions as far as the file tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.datasets.exercise import Exercise, made
from bayescausal.datasets.linear_exercise import exercise_graph
from bayescausal.datasets.teaching.key import FITS, Known, Mistake, Unwritten
from bayescausal.datasets.teaching.sealed import FORMAT, cells, opened, unboxed
from bayescausal.datasets.teaching.world import ModelWorld
from bayescausal.effects.words.from_text import question_from_text
from bayescausal.model.files import no_file
from bayescausal.types import DataError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pymc as pm

__all__ = ["load_exercise"]


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
        raise no_file(DataError, where, "Give one that save wrote.")
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
class FileWorld(Unwritten):
    """The model in a file, if it can be opened."""

    body: Mapping[str, Any] | None

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units."""
        return self._made("Data").simulate(units, seed)

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return the teacher's model."""
        return self._made("The model").model(variables)

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
class FileKey(Unwritten):
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
