"""Data from known parameters."""

from __future__ import annotations

from bayescausal.simulation.simulate import simulate

__all__ = ["simulate"]
