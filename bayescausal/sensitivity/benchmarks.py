"""Measured covariates as a measure of what was not measured.

A strength means little by itself. Beside it stand the strengths of the covariates that the model
has: the causes of treatment or outcome that do not descend from the treatment. They also say how
far a grid should go by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.types import UndefinedEffectError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.inference.record import Fit
    from bayescausal.sensitivity.confounder import Confounder
    from bayescausal.sensitivity.equations import Equations

__all__ = ["benchmark_strengths", "default_strengths"]

#: Largest default strength: in residual sds on the identity scale, in logs otherwise.
_LARGEST = {"identity": 0.9, "logit": 2.0, "log": 1.0}
#: A Normal treatment cannot owe more than this share of its residual sd to a confounder.
_CAP = 0.95


def benchmark_strengths(
    fit: Fit, where: Confounder, equations: Equations, asked: Sequence[str] | None
) -> pd.DataFrame:
    """Return how strongly each covariate acts on treatment and outcome.

    Parameters
    ----------
    fit : Fit
    where : Confounder
    equations : Equations
        Of treatment and outcome.
    asked : sequence of str or None
        Default: their measured parents that do not descend from the treatment.

    Returns
    -------
    DataFrame
        A row per covariate: ``on_treatment`` and ``on_outcome``, per sd of the covariate.

    Raises
    ------
    UnknownVariableError
        If one is no such covariate.
    """
    structure = fit.structure
    after = structure.descendants([where.treatment]) | {where.treatment, where.outcome}
    graph = structure.graph
    parents = [
        n
        for n in structure.nodes
        if n not in after
        and n in fit.columns
        and (graph.has_edge(n, where.treatment) or graph.has_edge(n, where.outcome))
    ]
    if asked is not None:
        asked = (asked,) if isinstance(asked, str) else tuple(asked)
        for name in asked:
            if name not in parents:
                raise unknown_variable(
                    name, parents, what="a measured cause of treatment or outcome"
                )
        parents = list(asked)
    rows = {
        n: (equations.strength(where.treatment, n), equations.strength(where.outcome, n))
        for n in parents
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["on_treatment", "on_outcome"])
    return table.astype(float)


def default_strengths(
    where: Confounder, equations: Equations, strengths: pd.DataFrame, side: int
) -> np.ndarray:
    """Return default strengths: past the strongest covariate, short of the impossible.

    Parameters
    ----------
    where : Confounder
    equations : Equations
        Of treatment and outcome.
    strengths : DataFrame
        From :func:`benchmark_strengths`.
    side : {0, 1}
        Of the treatment, or of the outcome.

    Returns
    -------
    ndarray
    """
    link = where.links[side]
    name = (where.treatment, where.outcome)[side]
    residual = 1.0
    if link == "identity":
        try:
            residual = float(equations.residual_sd(name).mean())
        except (UndefinedEffectError, AttributeError, TypeError):  # no mean in closed form
            residual = float(np.nanstd(equations.fit.columns[name]))
    top = _LARGEST[link] * residual / where.sd
    column = ("on_treatment", "on_outcome")[side]
    if len(strengths):
        top = max(top, 1.2 * float(strengths[column].abs().max()) / where.sd)
    if side == 0:
        if link == "identity":
            top = min(top, _CAP * residual / where.sd)
        return np.linspace(0, top, 5)
    return np.linspace(-top, top, 7)
