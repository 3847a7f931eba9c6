"""The way in for data: a model is read together with what it is conditioned on.

A model speaks of variables with named dims; data come as rows, as arrays, or as a source of rows
that need not fit in memory. Whatever they come in, what goes on from here is one record,
:class:`Observed`: the model's structure, the columns as they came, and the columns as they fit the
variables. Model and data are read together because each says something about the other: what the
data name votes on the unit dims of the model, and what the model observes itself completes the
data.

*Tidy*, one row per unit (pandas, polars, pyarrow, ...). A variable :math:`v` with unit dims
:math:`D(v)` takes the value of row :math:`i` at the cell :math:`(\\ell_d(i))_{d \\in D(v)}`, where
:math:`\\ell_d(i)` is the label of row :math:`i` along the unit dim :math:`d` [1]_ (see
:mod:`.rows`).

*Arrays* (a mapping, an xarray Dataset). One array per variable, with the dims of the variable (see
:mod:`.arrays`).

*Sources of rows* (Parquet files, DuckDB, Dask). Left where they are for :func:`bayescausal.fit`,
which needs one pass over them; read into memory, if they are few, for everything else.

References
----------
.. [1] H. Wickham, Tidy data, *Journal of Statistical Software* 59(10), 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.inference.data.arrays import from_dataset, from_mapping, own_table
from bayescausal.inference.data.columns import Table, before_brackets, check_sizes
from bayescausal.inference.data.conform import Conformed, conform, other_values
from bayescausal.inference.data.rows import as_pandas, from_frame
from bayescausal.inference.stream.source import in_memory, is_source
from bayescausal.inference.stream.source_data import read_source
from bayescausal.model.given import design_in
from bayescausal.model.interventions.domain import lookups_of
from bayescausal.model.interventions.undefined import fails, failure
from bayescausal.model.structure.function_graph import evaluate, observed_values
from bayescausal.model.structure.integer_roles import with_types
from bayescausal.model.structure.read import structure_of, whole_model
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["Observed", "as_table", "beyond", "read_data"]

#: What holds its values in memory already. Of anything else it is asked whether it is a source.
IN_MEMORY = (pd.DataFrame, Table, xr.Dataset, Mapping)


class Observed(NamedTuple):
    """A model and the data that it is conditioned on."""

    structure: Structure  # the model, read. What is named in the data votes on the unit dims.
    table: Table | None  # the columns as they came; None where nothing at all is observed
    conformed: Conformed  # the columns that fit the model (none without data)
    design: Design | None = None  # that was given in the place of a model


def read_data(
    model: pm.Model | Design,
    data: Data | None,
    unit_dims: str | Sequence[str] | None,
    *,
    constants: bool = False,
    passes: bool = False,
) -> Observed:
    """Read a model together with the data that it is to be conditioned on.

    - `model`: generative, or conditioned in whole or in part. A design brings its data.
    - `data`: None: what the model itself observes.
    - `unit_dims`: the dims that count units.
    - `constants`: whether equations may read constant arrays along the units: where no question
      about the graph follows.
    - `passes`: whether the rows of a source may stay where they are, to be read in passes: the
      table is then a :class:`.StreamTable`. Otherwise they are read into memory.
    """
    design = design_in(model)
    if design is not None:
        data = design.data if data is None else data
        model = design.model
    if not isinstance(data, IN_MEMORY) and is_source(data):
        if passes:
            read = Observed(*read_source(model, data, unit_dims), design)
            return read._replace(structure=holding(read.structure, {}))
        data = in_memory(data)
    model = whole_model(model)
    if data is None:
        structure = structure_of(model, unit_dims=unit_dims)
        if not structure.observed:
            nothing = Conformed({}, {}, (), {}, {}, {}, ())
            return Observed(holding(structure, {}), None, nothing, design)
        table = own_table(structure)
    else:
        structure = structure_of(model, unit_dims=unit_dims, named=_names_in(data))
        table = given = as_table(data, structure)
        if structure.observed or structure.imputed or any(n not in given for n in structure.data):
            table = own_table(structure, given)
    if not constants:
        structure.refuse_constants()
    conformed = conform(table, structure, moved=True)
    structure = holding(structure, conformed.columns)
    _refuse_bad_indexes(structure, conformed)
    if data is not None:
        more = (*_contradicted(structure, conformed), *_taken(structure, given))
        conformed = replace(conformed, notes=(*conformed.notes, *more))
    return Observed(structure, table, conformed, design)


def holding(structure: Structure, columns: Mapping[str, np.ndarray]) -> Structure:
    """Return the structure of a model that holds what the data have of ``pm.Data`` not of units.

    It is a copy, whose values stay as they are when those of the given model are set anew.
    """
    if all(v.name in structure.data for v in structure.model.data_vars):
        return structure
    copy, _ = with_types(structure.model, {}, {})
    for name, values in other_values(structure, columns).items():
        copy[name].set_value(values.astype(copy[name].type.dtype))
    return structure_of(copy, unit_dims=structure.unit_dims)


def as_table(data: Data, structure: Structure) -> Table:
    """Return `data` as a :class:`Table` of the variables of a model; other names in ``ignored``.

    Refused are data that are empty, have duplicate columns or rows, or shapes that disagree, and
    other numbers of units than the model fixes.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", dims="unit")
    ...     y = pm.Normal("y", x, dims="unit")
    >>> as_table({"x": [0.1, 0.2], "y": [1.0, 2.0], "note": ["a", "b"]}, structure_of(model))
    Table(x, y; unit: 2)
    """
    if not isinstance(data, IN_MEMORY) and is_source(data):
        data = in_memory(data)
    if isinstance(data, Table):
        table = data
    elif isinstance(data, xr.Dataset):
        table = from_dataset(data, structure)
    elif isinstance(data, Mapping):
        table = from_mapping(data, structure)
    else:
        table = from_frame(as_pandas(data), structure)
    check_sizes(table, structure)
    return table


def beyond(structure: Structure) -> tuple[str, ...]:
    """Say if Potentials that act on structural variables are part of the density."""
    if not structure.potentials:
        return ()
    names = ", ".join(structure.potentials)
    return (
        f"The Potentials {names} act on structural variables and are part of the fitted density: "
        "if they select units, an effect in the population needs an argument of its own.",
    )


# ------------------------------------------------------------------------------- private


def _refuse_bad_indexes(structure: Structure, conformed: Conformed) -> None:
    """Refuse data that point beyond a table of the model."""
    columns = {
        n: v for n, v in conformed.columns.items() if n in structure.data and v.dtype.kind in "iu"
    }
    if not columns:
        return
    for name in structure.random:
        for check in lookups_of(structure, name, columns):
            given = {structure.variable(n): columns[n] for n in check.reads}
            try:
                here = evaluate([check.tested, check.length], given)
            except Exception:  # what cannot be evaluated yet is tried when it is asked about
                continue
            bad = fails(check, here, here)
            if np.any(bad):
                values = [np.asarray(columns[n]) for n in check.reads]
                words, expected = failure(check, [*here, *values], bad)
                raise DataError(
                    f"The equation of {name!r} is not defined for the data: {words}.",
                    expected=expected,
                )


def _taken(structure: Structure, given: Table) -> tuple[str, ...]:
    """Say which ``pm.Data`` keep the values that the model holds."""
    names = [n for n in structure.data if n not in given]
    if not names:
        return ()
    verb = "has" if len(names) == 1 else "have"
    return (f"{', '.join(names)} {verb} no column: the values of pm.Data in the model are used.",)


def _contradicted(structure: Structure, conformed: Conformed) -> tuple[str, ...]:
    """Say where the data have other values than ``observed=`` in the model."""
    seen = observed_values(structure.model)
    other = []
    for name in structure.observed:
        if name not in seen or name not in conformed.columns:
            continue
        mine, theirs = np.asarray(seen[name]), np.asarray(conformed.columns[name])
        if mine.shape != theirs.shape or not np.array_equal(
            mine.astype(float), theirs.astype(float), equal_nan=True
        ):
            other.append(name)
    if not other:
        return ()
    verb = "has" if len(other) == 1 else "have"
    return (
        f"{', '.join(other)} {verb} other values in the data than in observed= of the model: the "
        "data are used.",
    )


def _names_in(data: Data) -> tuple[str, ...]:
    """Return the column names of any data; of a vector ``"v[label]"``, also ``"v"``."""
    columns = getattr(data, "data_vars", None)
    if columns is None and hasattr(data, "collect_schema"):
        columns = data.collect_schema().names()
    if columns is None:
        columns = getattr(data, "column_names", None)
    if columns is None:
        columns = getattr(data, "columns", None)
    if columns is None:
        columns = data if isinstance(data, Mapping) else ()
    names = [str(c) for c in columns]
    return (*names, *before_brackets(names))
