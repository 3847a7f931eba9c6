"""A class: a data set for each name, answers in files, and a table of marks.

A seed is made from the student's name and a number of the exercise by SHA-256, so the same name has
the same data on every machine. Answers are read as data, never run: JSON, text and tables.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from bayescausal.types import BayesCausalError, DataError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from bayescausal.draws.check import Check

__all__ = ["hand_in", "mark_folder", "seed_of", "write_tables"]

ENDINGS = (".json", ".txt", ".csv")
#: What a file or a row of it may raise; it becomes a row of the table.
UNREADABLE = (BayesCausalError, ValueError, TypeError, KeyError, OverflowError, OSError)
WORDS = {"pass": "right", "fail": "wrong", "undecided": "undecided"}


class Answer(NamedTuple):
    """What a file says."""

    student: str
    mean: float
    sd: float | None


def seed_of(student: str, origin: int) -> int:
    """Return the seed of a student's data.

    Examples
    --------
    >>> seed_of("Ada Lovelace", 0) == seed_of(" ada  lovelace", 0)
    True
    """
    text = f"{origin}|{_plain(student)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def write_tables(
    students: Iterable[str],
    folder: str | os.PathLike[str],
    data: Callable[[str], pd.DataFrame],
) -> list[Path]:
    """Write each student's data to a file of the folder."""
    if isinstance(students, str):
        raise DataError(f"students={students!r}.", expected="a list of names.")
    names: dict[str, str] = {}
    for each in students:
        key = _file(each)
        if key in names:
            raise DataError(
                f"{names[key]!r} and {each!r} would have the same data and the same file.",
                expected="a name for each student that no other has.",
            )
        names[key] = each
    if not names:
        raise DataError("students is empty.", expected="at least one name.")
    target = _folder(folder)
    paths = [target / f"{key}.csv" for key in names]
    for path, student in zip(paths, names.values(), strict=True):
        data(student).to_csv(path, index=False)
    return paths


def hand_in(
    exercise: str,
    question: str,
    student: str,
    folder: str | os.PathLike[str],
    mean: float,
    sd: float | None,
) -> Path:
    """Write an answer to a file of the folder."""
    path = _folder(folder) / f"{_file(student)}.json"
    said = {"exercise": exercise, "question": question, "student": str(student), "answer": mean}
    path.write_text(json.dumps(said | {"sd": sd}, indent=2) + "\n", encoding="utf-8")
    return path


def mark_folder(
    folder: str | os.PathLike[str],
    exercise: str,
    question: str,
    judge: Callable[[float, float | None], Check],
) -> pd.DataFrame:
    """Return a table with a row for each answer in the folder."""
    where = Path(folder)
    if not where.is_dir():
        raise DataError(f"There is no folder {str(where)!r}.", expected="a folder with answers.")
    files = sorted(p for p in where.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
    rows: list[dict[str, Any]] = []
    for path in files:
        try:
            given = list(_answers(path, exercise, question))
        except UNREADABLE as error:
            rows.append(_unreadable(path, path.stem, error))
            continue
        for student, mean, sd in given:
            try:
                rows.append(_row(path, _checked(student, mean, sd), judge))
            except UNREADABLE as error:
                rows.append(_unreadable(path, student.strip() or path.stem, error))
    if not rows:
        raise DataError(
            f"No answer in {str(where)!r}.",
            expected=f"files that end in {', '.join(ENDINGS)}; hand_in writes them.",
        )
    return pd.DataFrame(rows).set_index("student")


# ------------------------------------------------------------------------------- private


def _plain(student: str) -> str:
    """Return a name without case and needless blanks."""
    text = " ".join(unicodedata.normalize("NFKC", str(student)).casefold().split())
    if not text:
        raise DataError(f"student={student!r}.", expected="the name or number of a student.")
    return text


def _file(student: str) -> str:
    """Return the name of a student as that of a file."""
    plain = _plain(student)
    text = re.sub(r"[^\w.-]+", "_", plain).strip("._")
    return text or hashlib.sha256(plain.encode()).hexdigest()[:12]


def _folder(folder: str | os.PathLike[str]) -> Path:
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise DataError(f"{str(target)!r} is a file.", expected="a folder.")
    target.mkdir(parents=True, exist_ok=True)
    return target


def _answers(
    path: Path, exercise: str, question: str
) -> Iterator[tuple[str, str | float, str | float | None]]:
    """Yield student, answer and sd as a file has them."""
    ending = path.suffix.lower()
    if ending == ".csv":
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        lost = {"student", "answer"} - set(table)
        if lost:
            raise DataError(f"No column {', '.join(map(repr, sorted(lost)))}.")
        for row in table.to_dict("records"):
            yield row["student"], row["answer"], row.get("sd")
        return
    text = path.read_text(encoding="utf-8")
    if ending == ".txt":
        yield path.stem, text.strip(), None
        return
    said = json.loads(text)
    if not isinstance(said, dict):
        raise DataError("No answer in this file.", expected="one that hand_in wrote.")
    if "cells" in said:  # an effect as values
        if len(said["cells"]) != 1:
            raise DataError("The answer has several cells.", expected="an answer of one number.")
        cell = said["cells"][0]
        said = {"student": path.stem, "answer": cell["mean"], "sd": cell["sd"]} | {
            "question": said.get("label", question)
        }
    for key, own in (("exercise", exercise), ("question", question)):
        if said.get(key, own) != own:
            raise DataError(f"An answer to {said[key]}.", expected=f"one to {own}.")
    yield str(said.get("student", path.stem)), said["answer"], said.get("sd")


def _checked(student: str, mean: str | float, sd: str | float | None) -> Answer:
    """Return an answer of a student with a name, whose numbers are numbers."""
    _plain(student)
    try:
        value = float(mean)
        spread = None if sd is None or sd == "" else float(sd)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"answer {mean!r}, sd {sd!r}.", expected="numbers.") from error
    if spread is not None and math.isnan(spread):
        spread = None
    if not math.isfinite(value) or (spread is not None and not 0 <= spread < math.inf):
        raise DataError(f"answer {mean!r}, sd {sd!r}.", expected="finite numbers, sd from 0.")
    return Answer(student, value, spread or None)


def _row(
    path: Path, answer: Answer, judge: Callable[[float, float | None], Check]
) -> dict[str, Any]:
    found = judge(answer.mean, answer.sd)
    return {
        "student": answer.student,
        "answer": answer.mean,
        "sd": answer.sd,
        "verdict": WORDS[found.verdict],
        "mistake": found.values["mistake"],
        "points": int(bool(found)),
        "comment": found.sentence(),
        "file": path.name,
    }


def _unreadable(path: Path, student: str, error: Exception) -> dict[str, Any]:
    said = f"No {error}." if isinstance(error, KeyError) else str(error)
    return {
        "student": student,
        "answer": None,
        "sd": None,
        "verdict": "unreadable",
        "mistake": "",
        "points": 0,
        "comment": said,
        "file": path.name,
    }
