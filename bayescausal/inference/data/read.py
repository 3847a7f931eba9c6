"""Reading a model together with its data.

The two are read together because each says something about the other: what the data name votes on
the unit dims of the model, and what the model observes itself completes the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.conform import Conformed, conform
from bayescausal.inference.data.table import as_table, own_table
from bayescausal.inference.stream.source import in_memory, is_source
from bayescausal.model.interventions.domain import lookups_of
from bayescausal.model.interventions.undefined import fails, failure
from bayescausal.model.structure.read import structure_of, whole_model
from bayescausal.model.structure.rebuild import evaluate, observed_values
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm

    from bayescausal.inference.data.columns import Table
    from bayescausal.model.structure.structure import Structure

__all__ = ["before_brackets", "beyond", "read_data"]


def read_data(
    model: pm.Model,
    data: Any,
    unit_dims: str | Sequence[str] | None,
    *,
    constants: bool = False,
) -> tuple[Structure, Table | None, Conformed]:
    """Read a model together with the data that it is to be conditioned on.

    Parameters
    ----------
    model : pm.Model
        Generative, or conditioned in whole or in part.
    data : DataFrame, Mapping, Dataset, Table, source of rows or None
        None: what the model itself observes. The rows of a source are read into memory.
    unit_dims : str or sequence of str, optional
        The dims that count units.
    constants : bool, default False
        Whether equations may read constant arrays along the units: where no question about the
        graph follows.

    Returns
    -------
    structure : Structure
        What is named in the data votes on the unit dims.
    table : Table or None
        None where nothing at all is observed.
    conformed : Conformed
        The columns that fit the model (none without data).
    """
    if is_source(data):
        data = in_memory(data)
    model = whole_model(model)
    if data is None:
        structure = structure_of(model, unit_dims=unit_dims)
        if not structure.observed:
            return structure, None, Conformed({}, {}, (), {}, {}, {}, ())
        table = own_table(structure)
    else:
        structure = structure_of(model, unit_dims=unit_dims, named=_names_in(data))
        given = as_table(data, structure)
        table = own_table(structure, given)
    if not constants:
        structure.refuse_constants()
    conformed = conform(table, structure)
    _refuse_bad_indexes(structure, conformed)
    if data is not None:
        more = (*_contradicted(structure, conformed), *_taken(structure, given))
        conformed = replace(conformed, notes=(*conformed.notes, *more))
    return structure, table, conformed


def beyond(structure: Structure) -> tuple[str, ...]:
    """Say what else is part of the density.

    Parameters
    ----------
    structure : Structure
        The model, read.

    Returns
    -------
    tuple of str
        A note if Potentials act on structural variables.
    """
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


def before_brackets(names: Sequence[str]) -> list[str]:
    """Return what may be the vectors whose entries ``"v[label]"`` are."""
    ends = [n for n in names if n.endswith("]")]
    return [n[:i] for n in ends for i, letter in enumerate(n) if letter == "["]


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


def _names_in(data: Any) -> tuple[str, ...]:
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
