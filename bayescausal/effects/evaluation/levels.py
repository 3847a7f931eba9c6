"""Levels of a treatment that nobody named and no unit has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.model.interventions.support import support_of
from bayescausal.model.structure.integer_roles import role_of
from bayescausal.types import InterventionError, Set

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.types import Intervention

__all__ = ["refuse_default_levels"]


def refuse_default_levels(
    fit: Fit, estimand: Estimand, worlds: Mapping[str, Mapping[str, Intervention]]
) -> None:
    """Refuse levels of a label that nobody named and no unit has."""
    if not getattr(estimand, "_default_levels", False):
        return
    structure = fit.structure
    for name in estimand.treatments:
        column = fit.columns.get(name)
        labelled = name in structure.data and role_of(structure, name) == "label"
        if name in structure.random and name not in structure.imputed:
            labelled = support_of(structure.variable(name)).categorical
        if column is None or not labelled:
            continue
        seen = np.unique(np.asarray(column))
        for do in worlds.values():
            act = do.get(name)
            if not isinstance(act, Set) or np.ndim(act.value) or act.value not in (0, 1):
                continue  # another value was named
            if act.value not in seen:
                shown = ", ".join(f"{v:g}" for v in seen[:12])
                raise InterventionError(
                    f"{estimand.label()} compares the levels 1 and 0 where none are named, and no "
                    f"unit has {name} = {float(act.value):g}.",
                    expected=f"levels among {shown}{', ...' if len(seen) > 12 else '.'}",
                    remedy="Name treated= and control=.",
                )
