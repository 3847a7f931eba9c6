"""Fixed covariates at any number of units: ``pm.Data`` of the units, taken from a table.

A study with the covariates that it has, simulated again, keeps their rows as they are; one of
another size draws rows of the table with replacement, so that columns stay together and their joint
distribution is that of the table (the bootstrap [1]_). What has an equation is drawn from it.

It fails where rows belong together (panels, schools): a sample of rows is not a sample of these.

References
----------
.. [1] B. Efron and R. J. Tibshirani, *An Introduction to the Bootstrap*, Chapman & Hall, 1993.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.kinds import are_numbers, kind_of
from bayescausal.model.label_codes import codes_of
from bayescausal.model.labels import in_order, same_order
from bayescausal.model.structure.function_graph import close, is_index, open_model
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pymc as pm
    from numpy.typing import ArrayLike

    from bayescausal.model.structure.structure import Structure

__all__ = ["with_fixed_columns"]


def with_fixed_columns(
    structure: Structure,
    data: pd.DataFrame | Mapping[str, ArrayLike],
    units: object,
    seed: int | None,
) -> tuple[pm.Model, int]:
    """Return the model with the columns of a table in its ``pm.Data``, and the number of units.

    - `data`: with a column for each ``pm.Data`` of the units.
    - `units` (int or None): how many; None: as many as the table has rows.
    Raises DataError if a column is missing or no numbers, or the units are not counted along one
      dim.
    """
    dims = structure.unit_dims
    if len(dims) != 1 or structure.fixed:
        raise DataError(
            f"data= gives one row for each unit, and the model counts them along {', '.join(dims)}"
            f"{' with arrays of its own' if structure.fixed else ''}.",
            expected="one unit dim, and columns in pm.Data.",
            remedy="Put the columns into the model with pm.set_data.",
        )
    if isinstance(data, Mapping):
        data = same_order(data)
    given = [str(n) for n in getattr(data, "columns", data)]
    columns: dict[str, np.ndarray] = {}
    for name in structure.data:
        if name not in given:
            raise DataError(
                f"The table has no column {name!r}, which is pm.Data of the model.",
                expected=f"columns {', '.join(structure.data)}.",
                names=closest(name, given)[:1],
            )
        columns[name] = _values(structure, name, data[name])
        if columns[name].dtype.kind not in "biuf" or not np.isfinite(columns[name]).all():
            raise DataError(
                f"The column {name!r} is not complete, or no numbers.",
                expected="a number in every row; categories as the codes that the model reads.",
            )
    if not columns:
        raise DataError(
            "data= has the values of pm.Data, and the model has none for its units.",
            remedy="Hold a variable at values with do={'x': values}.",
        )
    rows = len(next(iter(columns.values())))
    if units is None or units == rows:
        count = rows
    elif isinstance(units, bool) or not isinstance(units, int | np.integer) or units < 1:
        raise DataError(f"units={units!r}.", expected="A whole number of at least 1.")
    else:
        count = int(units)
        picked = np.random.default_rng(None if seed is None else [seed, 3]).integers(0, rows, count)
        columns = {name: values[picked] for name, values in columns.items()}
    columns |= _of_groups(structure, data, given)
    fgraph, memo, initvals = open_model(structure.model)
    for name, values in columns.items():
        inner = memo[structure.model[name]].owner.inputs[0]
        if not hasattr(inner, "set_value"):
            raise DataError(f"{name!r} is frozen in the model.", remedy="Build the model anew.")
        inner.set_value(values.astype(inner.type.dtype))
    [dim] = dims
    made = close(fgraph, initvals, sizes={dim: count}, coords={dim: range(count)})
    return made, count


def _values(structure: Structure, name: str, column: ArrayLike) -> np.ndarray:
    """Return a column as a fit reads it: numbers, or the codes of labels that point at entries."""
    kind, variable = kind_of(column), structure.model[name]
    if kind.what != "label":
        return kind.values
    numbers = kind.categories is not None and are_numbers(kind.categories)
    empty = any(v is None for v in kind.values.ravel())
    if not empty and is_discrete(variable) and (not numbers or is_index(variable, structure.model)):
        return codes_of(name, kind.values, kind.categories, None, structure)[0]
    return kind.values.astype(float) if numbers else kind.values


def _of_groups(
    structure: Structure, data: pd.DataFrame | Mapping[str, ArrayLike], given: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the values of ``pm.Data`` that is not of the units: numbers, one for each group."""
    found = {}
    for variable in structure.model.data_vars:
        name = str(variable.name)
        if name in structure.data or name not in given:
            continue
        dims = tuple(structure.model.named_vars_to_dims.get(name, ()))
        labels = {d: v for d, v in structure.model.coords.items() if v is not None}
        values = np.asarray(in_order(data[name], dims, labels, f"Column {name!r}"))
        if values.ndim != variable.type.ndim:
            raise DataError(
                f"{name!r} has {values.ndim} dimensions, and is pm.Data that is not of the units.",
                expected=f"{variable.type.ndim} dimensions.",
                remedy="Give it in a mapping: data={'x': column, 'rate': 3.0}.",
            )
        found[name] = values
    return found
