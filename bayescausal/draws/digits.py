"""Numbers as text: how many digits, and what a rounded number must not become.

A posterior mean is known to about its standard deviation, so a number is written to the second
significant digit of the sd, as laboratories report a result with its uncertainty [1]_: 3.73 with
sd 1.03 is 3.7. An end of an interval is never rounded onto zero, nor onto the value that means no
effect: a reader takes "0.0" for an interval that touches zero, and the next digits are written
where -0.02 would become it. Numbers without an sd are written to so many significant digits.
Thousands are set apart by commas; exponents stand only where zeros would fill the line.

References
----------
.. [1] Joint Committee for Guides in Metrology, "Evaluation of measurement data: guide to the
   expression of uncertainty in measurement", JCGM 100:2008, section 7.2.6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = [
    "decimals",
    "end_text",
    "level_text",
    "number_text",
    "numbers",
    "p_text",
    "rows_text",
    "significant",
    "three",
]

_MOST = 8  # decimals; a smaller spread is none
_WHOLE = 1e15  # below it, whole numbers are written in full
_LEAST, _LARGEST = 1e-4, 1e12  # sizes between which no exponent is written


def decimals(sd: float) -> int | None:
    """Return the decimals that show two significant digits of a spread; None without one."""
    if not math.isfinite(sd) or sd <= 0:
        return None
    wanted = 1 - int(f"{sd:.1e}".partition("e")[2])
    return max(0, wanted) if wanted <= _MOST + 1 else None


def p_text(p: float) -> str:
    """Return a p-value as it is reported.

    Examples
    --------
    >>> p_text(0.0421), p_text(1e-9)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def number_text(value: float, places: int | None) -> str:
    """Return a number with that many decimals; four significant digits for None."""
    if not math.isfinite(value):
        return "-"
    if places is None:
        return significant(value)
    return f"{round(value, places) + 0.0:,.{places}f}"


def end_text(value: float, places: int | None, apart: Iterable[float | None] = ()) -> str:
    """Return an end of an interval, never rounded onto zero or another value that it is not.

    - `places`: as in `number_text`.
    - `apart`: values beside zero that matter: that of no effect. None is passed over.
    """
    if not math.isfinite(value) or places is None:
        return number_text(value, places)
    kept = [0.0, *(float(a) for a in apart if a is not None)]
    for more in range(_MOST + 1):
        text = number_text(value, places + more)
        shown = float(text.replace(",", ""))
        if all((shown > a) == (value > a) and (shown < a) == (value < a) for a in kept):
            return text
    return significant(value, 2) if abs(value) < _LEAST else f"{value:.12g}"


def numbers(
    spread: float, *values: float, ends: bool = False, apart: Iterable[float | None] = ()
) -> list[str]:
    """Return numbers with the decimals that a spread supports.

    - `spread`: the posterior sd.
    - `ends`: whether all but the first are ends of intervals.
    - `apart`: as in `end_text`.
    """
    places, apart = decimals(spread), list(apart)
    return [
        end_text(v, places, apart) if ends and k else number_text(v, places)
        for k, v in enumerate(values)
    ]


def significant(value: float, digits: int = 4) -> str:
    """Return a number to so many significant digits, whole thousands as they are."""
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    if size and not _LEAST <= size < _LARGEST:
        return f"{value:.{digits}g}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    places = max(0, digits - 1 - exponent)
    text = f"{round(value, places) + 0.0:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def level_text(value: float) -> str:
    """Return a level of a variable: whole numbers in full, others to six significant digits.

    A level is a name of what is done, and two levels never become one by rounding whole numbers.
    """
    whole = abs(value) < _WHOLE and value == round(value)
    return f"{value + 0.0:.0f}" if whole else f"{value:.6g}"


def three(value: float) -> str:
    """Return a number of a table of a check: three significant digits."""
    return significant(value, 3)


def rows_text(frame: pd.DataFrame, null: float | None = None) -> pd.DataFrame:
    """Return a summary as text: every row with the digits of its own sd.

    Columns named ``mean``, ``median``, ``truth`` and ends of intervals (``_lb``, ``_ub``,
    ``lower``, ``upper``) follow
    the row's ``sd``; effective draws are whole; ``r_hat`` has three decimals and Monte Carlo errors
    have two significant digits. Other columns stay as they are.

    - `frame`: of a posterior, with a column ``sd``.
    - `null`: the value of no effect, onto which no end of an interval is rounded.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"mean": [3.73], "sd": [1.03], "hdi94_lb": [1.75], "ess_bulk": [1e3]})
    >>> rows_text(table).iloc[0].tolist()
    ['3.7', '1.0', '1.8', '1,000']
    """
    shown = frame.astype(object).copy()
    spreads = frame["sd"] if "sd" in frame else [float("nan")] * len(frame)
    for column in frame.columns:
        cells = zip(frame[column], spreads, strict=True)
        shown[column] = [_summary_cell(str(column), v, float(sd), null) for v, sd in cells]
    return shown


def _summary_cell(column: str, value: Any, sd: float, null: float | None) -> Any:
    """Return one cell of a summary as text; what is no number as it is."""
    if isinstance(value, str | bool | np.bool_) or value is None:
        return value
    value = float(value)
    if column.startswith("ess"):
        return number_text(value, 0)
    if column == "r_hat":
        return number_text(value, 3)
    if column.startswith("mc"):
        return "0" if value == 0 else significant(value, 2)
    if column.endswith(("_lb", "_ub")) or column in ("lower", "upper"):
        return end_text(value, decimals(sd), [null])
    if column in ("mean", "sd", "median", "truth"):
        return number_text(value, decimals(sd))
    return significant(value)
