"""The columns of a table as what a test needs: numbers, or levels.

A variable is *discrete* if its model reads it as labels (an index, a categorical variable), if it
is text, a category or a boolean, or takes two values, or whole numbers of at most ten values; what
else has more is a number. Discrete numbers keep their order where a test can use it. A vector
variable has a column ``v[label]`` for each entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.checks.falsification.regression import Column
from bayescausal.effects.without_model.read_table import read_frame
from bayescausal.graph.structure.marks import latents, nameless, roots_of_selection
from bayescausal.model.graph_queries.graph_of_anything import structure_and_columns
from bayescausal.model.interventions.support import support_of
from bayescausal.model.kinds import kind_of
from bayescausal.model.names import owner_of
from bayescausal.model.structure.integer_roles import role_of
from bayescausal.types import DataError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import networkx as nx

    from bayescausal.annotations import Data
    from bayescausal.model.graph_queries.graph_of_anything import ModelOrGraph

__all__ = ["as_column", "categories_of", "read_variables"]

#: Whole numbers with more values than this are numbers.
MOST_LEVELS = 10

#: Text with more values than this is refused: it is a label, not a variable.
MOST_WORDS = 50


def read_variables(
    data: Data,
    dag: nx.DiGraph[str],
    observed: Sequence[str] | None,
    discrete: Mapping[str, bool] | None,
    *,
    lenient: bool = False,
    categories: Collection[str] = (),
) -> tuple[dict[str, list[Column]], list[str]]:
    """Return the columns of each measured variable, and their names in the order of the graph.

    ``observed``: what is measured; None for all that is not latent.
    ``discrete``: variables to take as discrete or not.
    ``lenient``: Measured is what has a column, whatever `observed` says.
    ``categories``: variables whose whole numbers name groups, as their model says.
    Raises UnknownVariableError if a measured variable has no column; DataError if a column cannot
        be tested.
    """
    frame = read_frame(data)
    frame = frame.rename(columns=str)
    seen = set(dag) - latents(dag) if observed is None else set(observed)
    seen -= roots_of_selection(dag)
    places = {name: _columns_of(name, frame, dag) for name in dag}
    if lenient:
        seen = {n for n, found in places.items() if found}
    for name in discrete or {}:
        if name not in dag:
            raise unknown_variable(name, dag, what="a variable of this graph")
    names = [n for n in dag if n in seen]
    if len(names) < 2:
        raise DataError(
            f"The data have columns for {', '.join(names) or 'none'} of "
            f"{', '.join(n for n in dag if n not in nameless(dag))}.",
            expected="columns of two variables or more.",
        )
    columns = {}
    for name in names:
        if not places[name]:
            raise unknown_variable(name, frame.columns, what="a column of the data")
        told = (discrete or {}).get(name)
        if told is None and name in categories:
            columns[name] = [_levels(frame[c], str(c), None, most=None) for c in places[name]]
            continue
        columns[name] = [as_column(frame[c], str(c), told) for c in places[name]]
    return columns, names


def categories_of(model_or_graph: ModelOrGraph) -> frozenset[str]:
    """Return the variables of a model whose whole numbers name groups; none of a graph."""
    structure, _ = structure_and_columns(model_or_graph, None)
    if structure is None:
        return frozenset()
    kinds = [n for n in structure.random if n not in structure.imputed]
    found = [n for n in kinds if support_of(structure.variable(n)).categorical]
    return frozenset([*found, *(n for n in structure.data if role_of(structure, n) == "label")])


def as_column(values: pd.Series, name: str, discrete: bool | None = None) -> Column:
    """Return one column as numbers or levels; missing values are NaN.

    ``discrete``: whether it is discrete. Default: by its values.
    Raises DataError if it is text and said to be a number, is a label, or holds an infinity.
    """
    kind = kind_of(values)
    if kind.what != "number":
        return _levels(values, name, discrete)
    numbers = kind.values.astype(float)
    if np.isinf(numbers).any():
        raise DataError(f"{name} holds an infinity.", expected="finite numbers, or missing ones.")
    distinct = np.unique(numbers[~np.isnan(numbers)])
    if discrete is None:
        whole = bool((distinct == np.round(distinct)).all())
        discrete = len(distinct) <= 2 or (whole and len(distinct) <= MOST_LEVELS)
    return Column(name, numbers, discrete, ordered=True)


# --------------------------------------------------------------------------- private


def _columns_of(name: str, frame: pd.DataFrame, known: Collection[str]) -> list[str]:
    if name in frame.columns:
        return [name]
    return [str(c) for c in frame.columns if owner_of(str(c), known) == name]


def _levels(
    values: pd.Series, name: str, discrete: bool | None, most: int | None = MOST_WORDS
) -> Column:
    if discrete is False:
        raise DataError(
            f"{name} is not a number.", expected="a column of numbers, or discrete=True."
        )
    codes, levels = pd.factorize(values, sort=not isinstance(values.dtype, pd.CategoricalDtype))
    if most is not None and len(levels) > most:
        raise DataError(
            f"{name} has {len(levels)} different values that are not numbers.",
            expected=f"at most {most} levels.",
            remedy="Merge levels, or leave the variable out of observed=.",
        )
    return Column(name, np.where(codes < 0, np.nan, codes.astype(float)), True, ordered=False)
