"""Tables that checks of designs return: what they found in words, and intervals of draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.draws.intervals import hdi

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["ends", "interval", "said"]


def said(table: pd.DataFrame, verdict: str, finding: str) -> pd.DataFrame:
    """Return a table with a verdict ("pass", "warn" or "fail") and what was found in words.

    Examples
    --------
    >>> import pandas as pd
    >>> said(pd.DataFrame(), "pass", "Nothing is odd.").attrs
    {'verdict': 'pass', 'finding': 'Nothing is odd.'}
    """
    table.attrs |= {"verdict": verdict, "finding": finding}
    return table


def ends(drawn: np.ndarray, prob: float = 0.94) -> tuple[float, float]:
    """Return the ends of the narrowest interval that holds a share `prob` of draws.

    Examples
    --------
    >>> import numpy as np
    >>> ends(np.array([1.0, 1.0, 1.0]))
    (1.0, 1.0)
    """
    low, high = hdi(drawn[None, :], prob).to_numpy().tolist()
    return low, high


def interval(drawn: np.ndarray) -> dict[str, float]:
    """Return the ends of the 94% interval of draws, as columns of a table.

    Examples
    --------
    >>> import numpy as np
    >>> interval(np.array([1.0, 1.0, 1.0]))
    {'hdi94_lb': 1.0, 'hdi94_ub': 1.0}
    """
    low, high = ends(drawn)
    return {"hdi94_lb": low, "hdi94_ub": high}
