"""Measured covariates as a measure of what was not measured.

A strength means little by itself. Beside it stand the strengths of the covariates that the model
has: the causes of treatment or outcome that do not descend from the treatment. They also say how
far a grid should go by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.sensitivity.confounding.allowed import residual
from bayescausal.types import unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.inference.record import Fit
    from bayescausal.sensitivity.confounding.allowed import Allowed
    from bayescausal.sensitivity.confounding.confounder import Confounder
    from bayescausal.sensitivity.equations import Equations

__all__ = ["benchmark_strengths", "default_strengths"]

#: Largest default strength: in residual sds on the identity scale, in logs otherwise.
_LARGEST = {"identity": 0.9, "logit": 2.0, "log": 1.0}
#: Default strengths keep to this share of the largest that the data allow; a two-valued confounder
#: to half of the residual variance, beyond which Normal residuals would show two humps.
_CAP = {"normal": 0.95, "bernoulli": 0.7}


def benchmark_strengths(
    fit: Fit, where: Confounder, equations: Equations, asked: Sequence[str] | None
) -> pd.DataFrame:
    """Return how strongly each covariate acts on treatment and outcome.

    ``equations``: of treatment and outcome.
    ``asked``: default: their measured parents that do not descend from the treatment.
    Result: a row per covariate: ``on_treatment`` and ``on_outcome``, per sd of the covariate.
    Raises UnknownVariableError if one is no such covariate.
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
    where: Confounder,
    equations: Equations,
    strengths: pd.DataFrame,
    allowed: Allowed,
    gamma: np.ndarray | None = None,
) -> np.ndarray:
    """Return default strengths: past the strongest covariate, short of the impossible.

    ``equations``: of treatment and outcome.
    ``allowed``: what the data allow.
    ``gamma``: strengths on the treatment, for those on the outcome. Default: those on the
        treatment.
    """
    side = 0 if gamma is None else 1
    link = where.links[side]
    name = (where.treatment, where.outcome)[side]
    spread = residual(equations, name) if link == "identity" else 1.0
    top = _LARGEST[link] * spread / where.sd
    column = ("on_treatment", "on_outcome")[side]
    if len(strengths):
        top = max(top, 1.2 * float(strengths[column].abs().max()) / where.sd)
    cap = _CAP[where.kind]
    if gamma is None:
        return np.unique(np.linspace(0, min(top, cap * allowed.gamma), 5))
    top = min(top, cap * float(allowed.delta(np.abs(gamma).min())))
    above = np.linspace(0, top, 4)[1:]  # not -top to top: its middle may be 1e-16, not 0
    return np.unique(np.concatenate([-above, [0.0], above]))
