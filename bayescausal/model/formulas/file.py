"""A model in a text file: one formula on each line.

::

    # what happens in the workshop
    humid ~ 1
    dilution ~ humid
    coating ~ dilution * humid + (1 | batch)

    family dilution: bernoulli
    prior b_coating_dilution: Normal(0, 1)
    levels shift: early, late

Lines are formulas, or begin with ``family``, ``prior`` or ``levels``, a name, and a colon. What
follows ``#`` is a comment.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayescausal.model.files import no_file
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.types import FormulaError, ModelError

if TYPE_CHECKING:
    import pymc as pm

    from bayescausal.annotations import Data

__all__ = ["SUFFIXES", "model_from_text", "read_lines"]

#: Ends of the names of files with formulas.
SUFFIXES = (".txt", ".formulas")

_LINE = re.compile(r"(family|families|prior|priors|level|levels)\s+(`[^`]+`|[^:~]+?)\s*:\s*(.+)")


def read_lines(text: str) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the formulas of a text, and its families, priors and levels.

    Returns:
    - `formulas`
    - `options`: ``families``, ``priors``, ``levels``, by name.
    """
    formulas: list[str] = []
    options: dict[str, dict[str, Any]] = {"families": {}, "priors": {}, "levels": {}}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        found = _LINE.fullmatch(content)
        if found is None:
            if "~" not in content:
                raise FormulaError(
                    f"Line {number} is {content!r}.",
                    expected="a formula (y ~ x), or family y: ..., prior b_y_x: ..., "
                    "levels y: a, b, c.",
                )
            formulas.append(content)
            continue
        word, name, value = found.groups()
        kind = {"f": "families", "p": "priors", "l": "levels"}[word[0]]
        name = name.strip("`")
        if name in options[kind]:
            raise FormulaError(f"Line {number} gives the {kind} of {name!r} a second time.")
        options[kind][name] = _levels(value) if kind == "levels" else value
    return formulas, options


def _levels(text: str) -> list[Any]:
    """Return levels as they are written: as whole numbers, where all of them are that."""
    words = [v.strip() for v in text.split(",")]
    whole = all(v.removeprefix("-").isdecimal() and str(int(v)) == v for v in words)
    return [int(v) for v in words] if whole else list(words)


def model_from_text(path: str | Path, data: Data | None = None) -> pm.Model:
    """Build the model of a file with formulas.

    `data`: as in :func:`bayescausal.model_from_formulas`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "study.txt")
    ...     _ = path.write_text("x ~ 1\\ny ~ x\\nfamily x: bernoulli\\n")
    ...     [v.name for v in model_from_text(path).free_RVs if "_" not in v.name]
    ['x', 'y']
    """
    path = Path(path)
    if not path.is_file():
        raise no_file(ModelError, path, "Give a text file with one formula on each line.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"The file {str(path)!r} cannot be read: {error}.",
            expected="a text file with one formula on each line.",
        ) from error
    formulas, options = read_lines(text)
    return model_from_formulas(
        formulas,
        families=options["families"],
        data=data,
        priors=options["priors"] or None,
        levels=options["levels"],
    )
