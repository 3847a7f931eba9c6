"""A check: one thing that was looked at, what was found, and what that means.

Every check of this package answers in the same form, whether it looks at calibration, overlap,
fit or a refutation: a verdict, one plain sentence of what was found, one on what passing and
failing mean, and the table behind them. A check that passed shows that *this* way of being wrong
was not seen; it never shows that the graph is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bayescausal.draws.digits import three

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["VERDICTS", "Check"]

#: From good to bad; ``undecided`` where there is too little to go on.
VERDICTS = ("pass", "warn", "fail", "undecided")


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """The outcome of one check.

    Parameters
    ----------
    name : str
        What was checked.
    verdict : {"pass", "warn", "fail", "undecided"}
        The one verdict; ``bool(check)`` is true for ``"pass"`` alone.
    finding : str
        What was found, a sentence with the numbers.
    meaning : str
        What passing and failing mean, and what to do.
    table : DataFrame
        The numbers, one row per thing that was looked at.
    notes : tuple of str
        What a reader should know.
    values : mapping of str to any
        Arrays behind the table, for pictures and for further work.
    picture : callable, optional
        Draws the check: takes an axes (or None) and options, returns the axes.

    Raises
    ------
    ValueError
        If the verdict is not one of those above.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.draws.check import Check
    >>> check = Check("balance", "pass", "All differences are small.", "Arms can be compared.",
    ...               pd.DataFrame({"difference": [0.02]}, index=["age"]))
    >>> check
    Check(balance: pass. All differences are small.)
    >>> bool(check)
    True
    """

    name: str
    verdict: str
    finding: str
    meaning: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    picture: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict={self.verdict!r}. Expected: one of {', '.join(VERDICTS)}.")
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "values": dict(self.values)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            object.__setattr__(self, key, MappingProxyType(value) if key == "values" else value)

    def sentence(self) -> str:
        """Return what was found and what it means."""
        return f"{self.finding} {self.meaning}".strip()

    def summary(self) -> pd.DataFrame:
        """Return the numbers as a table."""
        return self.table.copy()

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the check.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure.
        **options
            Passed to the picture.

        Returns
        -------
        matplotlib Axes
        """
        if self.picture is None:
            raise ValueError(f"The check {self.name!r} has no picture. Its numbers: summary().")
        return self.picture(ax=ax, **options)

    def __repr__(self) -> str:
        return f"Check({self.name}: {self.verdict}. {self.finding})"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        head = f"<strong>{escape(self.name)}: {self.verdict}.</strong> {escape(self.sentence())}"
        return f"<p>{head}</p>{self.table.to_html(float_format=three)}" + (
            f"<ul>{notes}</ul>" if notes else ""
        )
