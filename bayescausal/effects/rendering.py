"""How an effect is shown: one line, a text table, an HTML table.

Digits follow the spread: a number is shown to the first digit that the posterior sd reaches, and
no further, since the rest is not known. Everything that goes into HTML is escaped: names of
variables are text and may hold anything.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["decimals", "html_table", "number_text", "one_line", "text_table"]

_MAX_ROWS = 20


def decimals(sd: float) -> int | None:
    """Return how many decimals a spread supports; None where it says nothing.

    Examples
    --------
    >>> from bayescausal.effects.rendering import decimals
    >>> decimals(0.013), decimals(0.4), decimals(30.0), decimals(float("nan"))
    (2, 1, 0, None)
    """
    if not math.isfinite(sd) or sd <= 0:
        return None
    wanted = math.ceil(-math.log10(sd))
    return max(0, wanted) if wanted <= 8 else None


def number_text(value: float, places: int | None) -> str:
    """Return a number with that many decimals; four significant digits for None.

    Examples
    --------
    >>> from bayescausal.effects.rendering import number_text
    >>> number_text(-0.0004, 2), number_text(0.123456, None)
    ('0.00', '0.1235')
    """
    if not math.isfinite(value):
        return "-"
    if places is None:
        return f"{value:.4g}"
    return f"{round(value, places) + 0.0:.{places}f}"


def one_line(label: str, table: pd.DataFrame) -> str:
    """Return ``label: mean, 94% HDI [low, high]`` of a table of one row.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.effects.rendering import one_line
    >>> row = pd.DataFrame({"mean": [0.2], "sd": [0.03], "lb": [0.14], "ub": [0.26]})
    >>> one_line("gain", row)
    'gain: 0.20, 94% HDI [0.14, 0.26]'
    """
    row = table.iloc[0]
    places = decimals(float(row["sd"]))
    shown = [number_text(float(v), places) for v in row]
    text = f"{label}: {shown[0]}"
    if places is not None or row.iloc[2] != row.iloc[3]:
        text += f", 94% HDI [{shown[2]}, {shown[3]}]"
    if "bound_lb" in table:
        text += f", bounds [{shown[4]}, {shown[5]}]"
    return text


def text_table(label: str, table: pd.DataFrame) -> str:
    """Return a label and a table of cells, at most twenty rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.effects.rendering import text_table
    >>> rows = pd.DataFrame({"mean": [1.0, 2.0]}, index=pd.Index([0, 1], name="dose"))
    >>> print(text_table("curve", rows.assign(sd=0.1, lb=0.8, ub=1.2)))
    curve
         mean    sd 94% HDI lower upper
    dose
    0     1.0  0.10           0.8   1.2
    1     2.0  0.10           0.8   1.2
    """
    lines = [line.rstrip() for line in _strings(table).to_string().splitlines()]
    more = len(table) - _MAX_ROWS
    return "\n".join([label, *lines] + ([f"... and {more} more rows"] if more > 0 else []))


def html_table(
    label: str,
    question: str,
    population: str,
    table: pd.DataFrame,
    notes: Sequence[str],
    labelled: bool,
) -> str:
    """Return a small HTML table, everything escaped.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.effects.rendering import html_table
    >>> row = pd.DataFrame({"mean": [0.2], "sd": [0.03], "lb": [0.14], "ub": [0.26]})
    >>> "a &lt; b" in html_table("a < b", "", "", row, (), False)
    True
    """
    shown = _strings(table)
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


def _strings(table: pd.DataFrame) -> pd.DataFrame:
    """Return the first rows as text, with the digits that each row's sd supports."""
    top = table.iloc[:_MAX_ROWS]
    titles = ["mean", "sd", "94% HDI lower", "upper", "bound lower", "bound upper"]
    rows: list[list[Any]] = []
    for values in top.itertuples(index=False):
        places = decimals(float(values[1]))
        wider = None if places is None else places + 1
        rows.append(
            [
                number_text(float(v), wider if column == 1 else places)
                for column, v in enumerate(values)
            ]
        )
    return pd.DataFrame(rows, columns=titles[: top.shape[1]], index=top.index)
