r"""Populations and conditions: over whom an effect is averaged.

A population is part of the estimand. With covariates `Z`, noise `U` and potential outcomes
`Y_x(Z, U)`,

===================  ========================================================================
``"sample"``         the units at hand: their `Z` kept, noise integrated out
``"finite"``         the units at hand with their own noise: the mean of unit contrasts
``"superpopulation"`` where the units came from: as sample, with Bayesian-bootstrap weights
``"model"``          fresh units from the model
a table              the units of that table (standardisation to a target population)
===================  ========================================================================

They differ in value and, more often, in spread: the sample average effect has no sampling
error of `Z`, the superpopulation's has [1]_.

What restricts a population to a subgroup is a condition:
:mod:`~bayescausal.effects.estimands.conditions`, exported from here too.

References
----------
.. [1] G. W. Imbens, "Nonparametric estimation of average treatment effects under exogeneity:
   a review", Review of Economics and Statistics 86 (2004), 4-29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayescausal.effects.estimands.conditions import (
    EVERYONE,
    Condition,
    Outside,
    Where,
    parse_given,
)
from bayescausal.effects.estimands.notation import number
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Sized

    from numpy.typing import ArrayLike

__all__ = [
    "EVERYONE",
    "Condition",
    "Outside",
    "Population",
    "Superpopulation",
    "Target",
    "Where",
    "parse_given",
    "parse_population",
]


@dataclass(frozen=True, eq=False)
class Population:
    """Over whom an effect is averaged.

    Parameters
    ----------
    name : str
        Short name, as in ``population="sample"``.
    words : str
        What it is, in words, for a report.

    Examples
    --------
    >>> from bayescausal.effects.estimands.populations import parse_population
    >>> parse_population("sample").words
    'the units at hand, their covariates kept, noise integrated out'
    """

    name: str
    words: str

    def __repr__(self) -> str:
        return repr(self.name)


@dataclass(frozen=True, eq=False, init=False)
class Superpopulation(Population):
    """Where the units at hand came from: Bayesian-bootstrap weights over units or clusters.

    Parameters
    ----------
    clusters : str or array_like, optional
        Name of the column that holds the cluster of each unit, or the labels themselves.

    References
    ----------
    D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981), 130-134.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Superpopulation(clusters="school").words
    'the population the units came from, Bayesian-bootstrap weights over school'
    """

    clusters: Any = None

    def __init__(self, clusters: ArrayLike | None = None) -> None:
        over = "units"
        if clusters is not None:
            over = clusters if isinstance(clusters, str) else "clusters"
        object.__setattr__(self, "name", "superpopulation")
        object.__setattr__(
            self,
            "words",
            f"the population the units came from, Bayesian-bootstrap weights over {over}",
        )
        object.__setattr__(self, "clusters", clusters)

    def __repr__(self) -> str:
        if self.clusters is None:
            return repr(self.name)
        shown = repr(self.clusters) if isinstance(self.clusters, str) else number(self.clusters)
        return f"Superpopulation(clusters={shown})"


@dataclass(frozen=True, eq=False, init=False)
class Target(Population):
    """The units of a table: standardisation to a target population.

    Raises EstimandError if the table has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> Target(pd.DataFrame({"humid": [0.1, 0.4]})).words
    'the 2 units of the given table'
    """

    # (DataFrame or other table) The pre-treatment columns of the target's units, one row for each
    # unit.
    data: Any

    def __init__(self, data: Sized) -> None:
        if not len(data):
            raise EstimandError(
                "The target population's table has no rows.", expected="One row for each unit."
            )
        object.__setattr__(self, "name", "target")
        object.__setattr__(self, "words", _table_words(data))
        object.__setattr__(self, "data", data)

    def __repr__(self) -> str:
        return f"<table of {len(self.data)} units>"


def _table_words(data: Sized) -> str:
    """Say who stands in a table: a single row of few columns by its values."""
    row = data.iloc[0].to_dict() if len(data) == 1 and isinstance(data, pd.DataFrame) else {}
    if 0 < len(row) < 4:
        return f"units with {', '.join(f'{name}={number(v)}' for name, v in row.items())}"
    return f"the {f'{len(data)} units' if len(data) > 1 else 'unit'} of the given table"


_NAMED = {
    "sample": Population(
        "sample", "the units at hand, their covariates kept, noise integrated out"
    ),
    "finite": Population("finite", "the units at hand, each with its own noise"),
    "superpopulation": Superpopulation(),
    "model": Population("model", "fresh units from the model"),
}


def parse_population(population: object) -> Population:
    """Return the population that is meant.

    `population` (str, Population or table): ``"sample"``, ``"finite"``, ``"superpopulation"``,
    ``"model"``, :class:`Superpopulation`, or a table (with ``columns``) of the target's units.

    Examples
    --------
    >>> parse_population("model").name
    'model'
    """
    if isinstance(population, Population):
        return population
    if isinstance(population, str) and population.lower() in _NAMED:
        return _NAMED[population.lower()]
    if hasattr(population, "columns") and hasattr(population, "__len__"):
        return Target(population)
    shown = repr(population) if isinstance(population, str) else type(population).__name__
    raise EstimandError(
        f"{shown} is not a population.",
        expected=f"One of {', '.join(map(repr, _NAMED))}, Superpopulation(clusters=...), "
        "or a table of units.",
        names=closest(str(population), _NAMED)[:1] if isinstance(population, str) else (),
    )
