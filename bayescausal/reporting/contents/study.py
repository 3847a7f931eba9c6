"""The design in a report: what it assumes, its own checks, its pictures.

A check of a design is a table. Its ``attrs`` may hold a ``"verdict"`` (``"pass"``, ``"warn"`` or
``"fail"``) and a ``"finding"``, a sentence: the first decides whether the report opens with the
second. What cannot be computed gives a line with the reason, and stops nothing.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayescausal.reporting.page.blocks import Picture, Section, Text, grid
from bayescausal.reporting.page.pictures import draw
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.inference.record import Fit
    from bayescausal.model.design import Design

__all__ = ["DOUBTS", "design_doubts", "design_section", "design_tables"]

#: Verdicts that a report opens with.
DOUBTS = ("warn", "fail")


def design_tables(fit: Fit, checked: bool = True) -> dict[str, pd.DataFrame | str]:
    """Return the tables of the checks of a fit's design; words where one cannot be made."""
    if fit.design is None or not checked:
        return {}
    return {name: _attempt(check, fit) for name, check in fit.design.checks.items()}


def design_doubts(tables: dict[str, pd.DataFrame | str]) -> list[str]:
    """Return what speaks against the assumptions of a design."""
    found = []
    for name, table in tables.items():
        attrs = {} if isinstance(table, str) else table.attrs
        if attrs.get("verdict") in DOUBTS:
            found.append(f"{name}: {attrs['verdict']}. {attrs.get('finding', '')}".strip())
    return found


def design_section(fit: Fit, tables: dict[str, pd.DataFrame | str]) -> tuple[Section, ...]:
    """Return the design of a fit as a section; none for a plain model."""
    design = fit.design
    if design is None:
        return ()
    blocks: list[Any] = [Text(f"The study is analysed as: {design.name.replace('_', ' ')}.")]
    if design.assumptions:
        table = pd.DataFrame(
            {
                "in this study": [a.text for a in design.assumptions],
                "what speaks to it": [a.check or "no data" for a in design.assumptions],
            },
            index=[a.name for a in design.assumptions],
        )
        blocks.append(grid(table, "", first="assumption", label="Assumptions of the design"))
    parts = [_part(name, table) for name, table in tables.items()]
    parts += [_picture(fit, design, name) for name in design.plots]
    return (Section("Design", tuple(blocks), tuple(parts)),)


# --------------------------------------------------------------------------- private


def _attempt(check: Callable[..., pd.DataFrame], fit: Fit) -> pd.DataFrame | str:
    """Return the table of a check, or why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(fit)
        except BayesCausalError as error:
            return str(error)
        except Exception as error:  # one check must not take the report with it
            return f"it stopped with {type(error).__name__}: {error}"


def _part(name: str, table: pd.DataFrame | str) -> Section:
    """Return one check: what was found, and its table."""
    title = name.replace("_", " ")
    title = title[:1].upper() + title[1:]
    if isinstance(table, str):
        return Section(title, (Text(f"Not applicable: {table}"),))
    first = ", ".join(str(n).replace("_", " ") for n in table.index.names if n is not None)
    blocks: list[Any] = []
    if table.attrs.get("finding"):
        blocks.append(Text(str(table.attrs["finding"])))
    shown = grid(table.rename(columns=str), "", first=first, label=title)
    return Section(title, (*blocks, shown))


def _picture(fit: Fit, design: Design, name: str) -> Section:
    """Return one picture of the design."""
    title = name.replace("_", " ")
    title = title[:1].upper() + title[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            svg = draw(lambda: design.plots[name](fit))
        except Exception as error:
            return Section(title, (Text(f"The picture could not be drawn: {error}", "note"),))
    return Section(title, (Picture(svg, f"{title} of the design {design.name}."),))
