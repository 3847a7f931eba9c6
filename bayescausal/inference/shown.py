"""A fit in a few words: how many units, drawn how."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayescausal.inference.record import Fit

__all__ = ["how_drawn", "units_of_fit"]


def how_drawn(fit: Fit) -> str:
    """Return the methods of a posterior in words; those of a trace that was given are not known."""
    known = dict.fromkeys(m.partition(" (")[0] for m in fit.methods.values() if m != "given")
    return f"; {', '.join(known)}" if known and fit.kind == "posterior" else ""


def units_of_fit(fit: Fit) -> str:
    """Return the number of units in words."""
    if fit.sizes is None:
        return "no units"
    return " x ".join(f"{fit.sizes[d]} {d}s" for d in fit.structure.unit_dims if d in fit.sizes)
