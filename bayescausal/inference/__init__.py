"""Data in, posterior out."""

from __future__ import annotations

from bayescausal.inference.conditioning.condition import Conditioned, condition
from bayescausal.inference.data.arrays import own_table
from bayescausal.inference.data.columns import Table
from bayescausal.inference.data.conform import Conformed, conform
from bayescausal.inference.data.read import as_table
from bayescausal.inference.fit import fit
from bayescausal.inference.record import Fit
from bayescausal.inference.sampling.diagnose import Diagnostics
from bayescausal.inference.sampling.prior_and_truth import prior, truth
from bayescausal.inference.store import load_fit

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
