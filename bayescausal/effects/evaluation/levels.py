"""Levels of a treatment: labels of categories, their codes, and what was not named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.interventions.support import support_of
from bayescausal.model.structure.integer_roles import role_of
from bayescausal.types import (
    EstimandError,
    InterventionError,
    Set,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.types import Intervention

__all__ = ["coded_levels", "encode", "refuse_default_levels"]


def encode(fit: Fit, name: str, label: object) -> Any:
    """Return the code of a category's label; other values as they are.

    Raises
    ------
    EstimandError
        If the variable has labels and this is none of them.
    """
    labels = list(fit.labels.get(name, ()))
    if not labels:
        if isinstance(label, str):
            raise EstimandError(
                f"{name!r} has no categories with labels, so {label!r} cannot be one.",
                expected="a number.",
            )
        return label
    if label in labels:
        return labels.index(label)
    raise EstimandError(
        f"{label!r} is not a category of {name!r}.",
        expected=f"one of {', '.join(map(str, labels))}.",
        remedy="Name the levels that are compared; where none are named they are 1 and 0.",
    )


def coded_levels(fit: Fit, do: Mapping[str, Intervention]) -> dict[str, Any]:
    """Return a world with labels of categories replaced by their codes."""
    coded: dict[str, Any] = {}
    for name, act in do.items():
        if isinstance(act, Set) and name in fit.labels and np.ndim(act.value) == 0:
            value = act.value.item() if hasattr(act.value, "item") else act.value
            coded[name] = Set(encode(fit, name, value))
        else:
            coded[name] = act
    return coded


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
