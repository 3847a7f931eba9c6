"""What of a question is about what was measured, or about its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.evaluation.measured import plain_name

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["asked_records"]


def asked_records(estimand: Estimand) -> tuple[str, ...]:
    """Return the names of a question that are about what was measured, or about its record.

    The outcome is; treatments, mediators and conditions are what the arrows of the model carry.
    """
    named = [n for n in estimand.names if plain_name(n) != n]
    return tuple(dict.fromkeys([estimand.outcome_name, *named]))
