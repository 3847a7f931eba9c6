"""How an effect is shown: one line, a text table, an HTML table.

Digits follow the posterior sd (:mod:`~bayescausal.draws.digits`). Everything that goes into HTML is
escaped: names of variables are text and may hold anything.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayescausal.draws.digits import decimals, end_text, number_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["decimals", "html_table", "number_text", "one_line", "text_table"]

_MAX_ROWS = 20


def one_line(label: str, table: pd.DataFrame, null: float | None = None) -> str:
    """Return ``label: mean, 94% HDI [low, high]`` of a table of one row.

    Examples
    --------
    >>> import pandas as pd
    >>> row = pd.DataFrame({"mean": [0.2], "sd": [0.03], "lb": [0.14], "ub": [0.26]})
    >>> one_line("gain", row)
    'gain: 0.200, 94% HDI [0.140, 0.260]'
    """
    row = table.iloc[0]
    places = decimals(float(row["sd"]))
    shown = _row(row, null)
    text = f"{label}: {shown[0]}"
    if places is not None or row.iloc[2] != row.iloc[3]:
        text += f", 94% HDI [{shown[2]}, {shown[3]}]"
    if "bound_lb" in table:
        text += f", bounds [{shown[4]}, {shown[5]}]"
    return text


def text_table(label: str, table: pd.DataFrame, null: float | None = None) -> str:
    """Return a label and a table of cells, at most twenty rows.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"mean": [1.0, 2.0]}, index=pd.Index([0, 1], name="dose"))
    >>> print(text_table("curve", rows.assign(sd=0.1, lb=0.8, ub=1.2)))
    curve
          mean    sd 94% HDI lower upper
    dose
    0     1.00  0.10          0.80  1.20
    1     2.00  0.10          0.80  1.20
    """
    lines = [line.rstrip() for line in _strings(table, null).to_string().splitlines()]
    more = len(table) - _MAX_ROWS
    return "\n".join([label, *lines] + ([f"... and {more} more rows"] if more > 0 else []))


def html_table(
    label: str,
    question: str,
    population: str,
    table: pd.DataFrame,
    notes: Sequence[str],
    labelled: bool,
    null: float | None = None,
) -> str:
    """Return a small HTML table, everything escaped.

    Examples
    --------
    >>> import pandas as pd
    >>> row = pd.DataFrame({"mean": [0.2], "sd": [0.03], "lb": [0.14], "ub": [0.26]})
    >>> "a &lt; b" in html_table("a < b", "", "", row, (), False)
    True
    """
    shown = _strings(table, null)
    names = [str(name) if name is not None else "" for name in shown.index.names]
    heads = (names if labelled else []) + list(shown.columns)
    parts = ["<table>", f"<caption>{html.escape(label)}"]
    parts += [f"<br><code>{html.escape(question)}</code>"] if question else []
    parts += [f"<br>Population: {html.escape(population)}"] if population else []
    parts += ["</caption>", "<thead><tr>"]
    parts += [f"<th>{html.escape(str(head))}</th>" for head in heads]
    parts.append("</tr></thead><tbody>")
    for key, row in zip(shown.index, shown.itertuples(index=False), strict=True):
        keys = key if isinstance(key, tuple) else (key,)
        parts.append("<tr>")
        parts += [f"<th>{html.escape(str(k))}</th>" for k in keys] if labelled else []
        parts += [f"<td>{html.escape(cell)}</td>" for cell in row]
        parts.append("</tr>")
    more = len(table) - _MAX_ROWS
    if more > 0:
        parts.append(f'<tr><td colspan="{len(heads)}">and {more} more rows</td></tr>')
    parts.append("</tbody></table>")
    if notes:
        parts.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>")
    return "".join(parts)


def _strings(table: pd.DataFrame, null: float | None) -> pd.DataFrame:
    """Return the first rows as text, with the digits that each row's sd supports."""
    top = table.iloc[:_MAX_ROWS]
    titles = ["mean", "sd", "94% HDI lower", "upper", "bound lower", "bound upper"]
    rows: list[list[Any]] = [_row(row, null) for _, row in top.iterrows()]
    return pd.DataFrame(rows, columns=titles[: top.shape[1]], index=top.index)


def _row(row: pd.Series, null: float | None) -> list[str]:
    """Return mean, sd, and ends of intervals with the digits that the sd supports."""
    places = decimals(float(row.iloc[1]))
    said = [number_text(float(v), places) for v in row.iloc[:2]]
    return said + [end_text(float(v), places, [null]) for v in row.iloc[2:]]
