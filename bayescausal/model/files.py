"""Files that are not there, and what is called like them; tables that were read as one column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bayescausal.types import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.types import BayesCausalError

__all__ = ["no_file", "unsplit"]


def unsplit(columns: Iterable[object]) -> str:
    """Return how to read a table whose one column is a whole line; nothing of other tables.

    Examples
    --------
    >>> unsplit(["sex;dose"]), unsplit(["sex", "dose"])
    ("Its one column is 'sex;dose': read the file with sep=';', or save it with commas.", '')
    """
    names = [str(name) for name in columns]
    found = [mark for mark in (";", "\t", "|") if len(names) == 1 and mark in names[0]]
    if not found:
        return ""
    return (
        f"Its one column is {names[0]!r}: read the file with sep={found[0]!r}, or save it with "
        "commas."
    )


def no_file[E: BayesCausalError](kind: type[E], path: str | Path, remedy: str) -> E:
    """Return the error for a path that is no file.

    - `kind`: its class.
    - `remedy`: what to give instead.

    Examples
    --------
    >>> import tempfile
    >>> from bayescausal.types import DataError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "parts.csv").write_text("x")
    ...     print(str(no_file(DataError, Path(folder, "part.csv"), "Give a CSV file."))
    ...           .replace(folder, "/here"))
    There is no file '/here/part.csv'. Did you mean 'parts.csv'? Give a CSV file.
    """
    path = Path(path)
    folder = path.resolve().parent
    if path.is_dir():
        return kind(f"{str(path)!r} is a folder.", remedy=remedy)
    if not folder.is_dir():
        return kind(f"There is no file {str(path)!r}: no folder {folder}.", remedy=remedy)
    beside = sorted(p.name for p in folder.iterdir() if p.is_file())
    same = [name for name in beside if Path(name).suffix == path.suffix]
    name, where = (str(path), "") if path.is_absolute() else (path.name, f" in {folder}")
    return kind(
        f"There is no file {name!r}{where}.",
        names=closest(path.name, same or beside)[:2],
        remedy=remedy,
    )
