"""Files that are written whole or not at all.

A result file that is half-written is worse than none: it looks like an answer. The text goes to
a temporary file in the same directory, which then takes the place of the target in one step
(:func:`os.replace` is atomic within a file system). If anything fails on the way, the target is
as it was before and the temporary file is gone.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from pathlib import Path

from bayescausal.types import DataError

__all__ = ["check_path", "write_json", "write_text"]

REPORTS = (".html", ".htm", ".md")


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return where a report goes, or refuse a place where it could not be written.

    ``path``: ends in ``.html`` or ``.md``; its directory must exist.
    Raises DataError for another ending, a directory, or a directory that is not there.
    """
    target = Path(path)
    if target.suffix.lower() not in REPORTS:
        raise DataError(
            f"{target.name!r} ends in {target.suffix or 'nothing'!r}.",
            expected="the name of a file that ends in .html or .md.",
        )
    if target.is_dir():
        raise DataError(f"{str(target)!r} is a directory.", expected="the name of a file.")
    if not target.resolve().parent.is_dir():
        raise DataError(
            f"There is no directory {str(target.parent)!r}.", remedy="Make it, or name another."
        )
    return target


def write_json(path: str | Path, value: object) -> None:
    """Write a value as JSON, whole or not at all.

    ``path``: the target. Its directory must exist.
    ``value``: Nested as you like. Arrays become lists; NaN and infinities, which JSON does not
        have, become null; anything else is written as its text.
    """
    write_text(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all.

    ``path``: the target. Its directory must exist. An existing file is replaced.
    """
    target = Path(path).resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    """Return the permissions that new files are denied here."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(value: object) -> object:
    """Return plain JSON values."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, type(None))) else str(value)
