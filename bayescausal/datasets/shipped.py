"""Published tables that come with the package.

Each is the table of its source, every row and column unchanged, as a file of its own under
``files``: nothing is fetched. A table is shipped where its licence allows; ``files/catalogue.toml``
says what it is, who published the numbers first, from which package and under which licence it was
taken, and what its columns are; ``files/LICENCES.txt`` has the licences.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, overload

import pandas as pd

from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TableDescription", "describe", "load"]

FOLDER = Path(__file__).parent / "files"


@dataclass(frozen=True, eq=False, repr=False)
class TableDescription:
    """What a shipped table is and where it is from.

    Attributes
    ----------
    name : str
        The name that :func:`load` knows.
    title : str
        What the rows are.
    question : str
        A causal question that the table is used for.
    rows : int
        How many rows it has.
    source : str
        Where the numbers were published.
    taken_from : str
        The package whose copy this is.
    licence : str
        The licence of that copy.
    columns : Series
        What each column is, by its name.
    """

    name: str
    title: str
    question: str
    rows: int
    source: str
    taken_from: str
    licence: str
    columns: pd.Series

    def __repr__(self) -> str:
        width = max(map(len, self.columns.index))
        lines = [
            f"{self.name}: {self.title}",
            f"Question: {self.question}",
            f"Source: {self.source}",
            f"Copy of {self.taken_from}, licence: {self.licence}. {self.rows:,} rows.",
            *(f"  {name:<{width}}  {text}" for name, text in self.columns.items()),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *rest = repr(self).split("\n")[:4]
        lines = "<br>".join(escape(line) for line in rest)
        return f"<p><strong>{escape(head)}</strong><br>{lines}</p>" + self.columns.to_frame(
            "meaning"
        ).to_html(escape=True)


def load(name: str) -> pd.DataFrame:
    """Return a published table that comes with the package.

    Parameters
    ----------
    name : str
        Its name, one of those that :func:`describe` lists.

    Returns
    -------
    DataFrame
        The table of the source, every row and column unchanged; cells without a value are NaN.

    Raises
    ------
    DataError
        If there is no such table, with the name that comes closest.

    See Also
    --------
    describe : What a table is, its source, its licence and its columns.

    Examples
    --------
    >>> from bayescausal import datasets
    >>> smokers = datasets.load("nhefs")
    >>> smokers.groupby("qsmk")["wt82_71"].mean().round(1).to_dict()
    {0: 2.0, 1: 4.5}
    """
    return pd.read_csv(FOLDER / str(_entry(name)["file"]))


@overload
def describe(name: None = None) -> pd.DataFrame: ...
@overload
def describe(name: str) -> TableDescription: ...
def describe(name: str | None = None) -> TableDescription | pd.DataFrame:
    """Say what a table is: title, source, licence, columns.

    Parameters
    ----------
    name : str, optional
        The table. Default: list all of them.

    Returns
    -------
    TableDescription or DataFrame
        Of one table its description; without a name a frame with a row for each table.

    Raises
    ------
    DataError
        If there is no such table, with the name that comes closest.

    See Also
    --------
    load : The table itself.

    Examples
    --------
    >>> from bayescausal import datasets
    >>> print(datasets.describe("snow"))
    snow: Cholera in London by water company, 1849 and 1854
    Question: What did the cleaner water of one company do? Differences in differences, four \
numbers.
    Source: J. Snow, On the Mode of Communication of Cholera, John Churchill, 1855; T. Coleman, \
SSRN 3262234, 2019.
    Copy of causaldata, licence: MIT. 4 rows.
      year       1849: before, 1854: after the intake of the Lambeth company was moved
      supplier   districts by their water companies
      treatment  the water: dirty, or a mixture with clean
      deathrate  deaths by cholera for each 10,000 people
    >>> datasets.describe().loc["nhefs", "rows"]
    np.int64(1629)
    """
    if name is not None:
        entry = _entry(name)
        return TableDescription(
            name=name,
            title=str(entry["title"]),
            question=str(entry["question"]),
            rows=int(str(entry["rows"])),
            source=str(entry["source"]),
            taken_from=str(entry["from"]),
            licence=str(entry["licence"]),
            columns=pd.Series(entry["columns"], name="meaning", dtype=str),
        )
    known = _catalogue()
    parts = ("title", "question", "rows", "licence", "from", "source")
    frame = pd.DataFrame(
        {part: [entry[part] for entry in known.values()] for part in parts}, index=list(known)
    )
    return frame.rename_axis("name").rename(columns={"from": "taken_from"})


@cache
def _catalogue() -> dict[str, Mapping[str, object]]:
    """Read what is known of the tables."""
    return tomllib.loads((FOLDER / "catalogue.toml").read_text(encoding="utf-8"))


def _entry(name: str) -> Mapping[str, object]:
    """Return what is known of one table."""
    known = _catalogue()
    if not isinstance(name, str) or name not in known:
        raise DataError(
            f"There is no table {name!r}.",
            expected=f"one of {', '.join(known)}.",
            names=closest(str(name), known)[:1],
        )
    return known[name]
