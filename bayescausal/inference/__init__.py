"""Data in, posterior out."""

from __future__ import annotations

from bayescausal.inference.columns import Table
from bayescausal.inference.condition import Conditioned, condition
from bayescausal.inference.conform import Conformed, conform
from bayescausal.inference.diagnose import Diagnostics
from bayescausal.inference.fit import fit
from bayescausal.inference.known import prior, truth
from bayescausal.inference.record import Fit
from bayescausal.inference.store import load_fit
from bayescausal.inference.table import as_table, own_table

__all__ = [
    "Conditioned",
    "Conformed",
    "Diagnostics",
    "Fit",
    "Table",
    "as_table",
    "condition",
    "conform",
    "fit",
    "load_fit",
    "own_table",
    "prior",
    "truth",
]
