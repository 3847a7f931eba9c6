"""What the variables of a model are called in code, and in which order they are written."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from pytensor.graph.traversal import ancestors

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["python_names", "written_order"]


def python_names(model: pm.Model, name: str) -> dict[str, str]:
    """Return a Python name for each variable."""
    taken = {name, "np", "pm", "pt", "data"}
    found: dict[str, str] = {}
    for label in model.named_vars:
        plain = re.sub(r"\W+", "_", label).strip("_") or "v"
        if plain[0].isdigit() or keyword.iskeyword(plain):
            plain = f"v_{plain}"
        base, count = plain, 1
        while plain in taken:
            count += 1
            plain = f"{base}_{count}"
        taken.add(plain)
        found[label] = plain
    return found


def written_order(model: pm.Model) -> list[str]:
    """Return the names in the order they were made, which is one that can be run."""
    named = {v: n for n, v in model.named_vars.items()}
    order: list[str] = []

    def visit(label: str) -> None:
        if label in order:
            return
        variable = model.named_vars[label]
        for each in ancestors([variable], blockers=[v for v in named if v is not variable]):
            if each in named and each is not variable:
                visit(named[each])
        order.append(label)

    for label in model.named_vars:
        visit(label)
    return order
