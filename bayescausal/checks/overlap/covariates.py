"""What is balanced between the arms: covariates as columns of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.evaluation.outcome_distributions import is_finite, kept_values
from bayescausal.evaluation.label_levels import is_category
from bayescausal.model.graph_queries.queries import identify
from bayescausal.types import EstimandError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.evaluation.evaluate import Units
    from bayescausal.inference.record import Fit

__all__ = ["covariate_columns", "covariates_of"]


def covariates_of(
    fit: Fit, treatment: str, outcome: str | None, covariates: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Return what is to be balanced, and what to say about it."""
    structure, graph = fit.structure, fit.structure.graph
    if covariates is not None:
        named = [covariates] if isinstance(covariates, str) else list(covariates)
        for name in named:
            if name not in structure.names():
                raise unknown_variable(name, structure.names())
            if name == treatment:
                raise EstimandError(f"{name!r} is the treatment.", expected="Covariates.")
        return named, []
    parents = [n for n in graph.predecessors(treatment) if n not in fit.latent]
    if outcome is None:
        return parents, []
    structure.require(outcome)

    decided = identify(fit, treatment, outcome)
    adjust = next(iter(decided.adjustment_sets), None)
    if adjust is None:
        return parents, [f"No back-door set is known for {treatment} -> {outcome}."]
    return list(dict.fromkeys([*parents, *sorted(adjust)])), []


def covariate_columns(
    fit: Fit, units: Units, treatment: str, names: list[str], draws: slice
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return each covariate as numbers (draw or 1, unit): a category as one column per level."""
    structure = fit.structure
    frame = structure.dims[treatment]
    columns: dict[str, np.ndarray] = {}
    notes = []
    for name in names:
        dims = structure.dims.get(name, ())
        if any(d not in frame for d in dims):
            notes.append(f"{name} lies at another level than {treatment}: not balanced.")
            continue
        value = kept_values(units, name, draws)
        order = [0, *(1 + dims.index(d) for d in frame if d in dims)]
        moved = np.transpose(value, order)
        shape = (len(value), *(units.sizes[d] if d in dims else 1 for d in frame))
        wide = np.broadcast_to(
            moved.reshape(shape), (len(value), *(units.sizes[d] for d in frame))
        ).reshape(len(value), -1)
        labels = fit.labels.get(name)
        category = is_category(fit, name) or (is_finite(fit, name) and wide.max() > 1)
        if labels or category:
            codes = np.unique(wide)
            for code in codes if len(codes) > 2 else codes[1:]:
                shown = labels[int(code)] if labels else f"{code:g}"
                columns[f"{name}={shown}"] = (wide == code).astype(float)
        else:
            columns[name] = wide.astype(float)
    return columns, notes
