"""Making columns fit their variables, or saying exactly why they cannot.

Every column is checked against the variable of its name: length, kind of number, support. Three
things are done on the way, and nothing else is:

* whole floats and booleans become integers where the variable is discrete;
* labels become codes where the model says *categorical* (a Categorical or ordered variable, an
  integer ``pm.Data``): in the order of the coords of the dim ``<variable>_level``, of the
  categories the column came with, or of the coords of the one dim of the model that knows them
  all;
* empty cells of a continuous variable stay empty, and become unknowns of the model: they are
  *missing at random given the model* [1]_, that is, what hides a cell may depend on what is seen
  of the unit, not on the hidden value.

Empty cells of a discrete variable are refused: there is no such general treatment of them. A
structural variable without a column is latent; ``pm.Data`` never is.

References
----------
.. [1] D. B. Rubin, Inference and missing data, *Biometrika* 63(3), 1976.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.coding import refuse_doubtful, refuse_unknown
from bayescausal.inference.data.duplicate_columns import one_name_each
from bayescausal.inference.data.lags import lags_held
from bayescausal.inference.data.misspelt import look_for_misspelt
from bayescausal.model.formulas.text import by_accident
from bayescausal.model.interventions.support import Support, is_discrete, support_of
from bayescausal.model.kinds import kind_of
from bayescausal.model.label_codes import codes_of
from bayescausal.model.structure.function_graph import data_values, is_index
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.data.columns import Table
    from bayescausal.model.structure.structure import Structure

#: Families of continuous numbers, of which 0 and 1 alone are a sample that they nearly never give.
_CONTINUOUS = ("NormalRV", "StudentTRV", "LaplaceRV", "LogisticRV", "CauchyRV")

__all__ = [
    "Conformed",
    "check_support",
    "coding_notes",
    "conform",
    "other_values",
    "redundant_note",
]


@dataclass(frozen=True, eq=False)
class Conformed:
    """Columns that fit the model."""

    # Structural variables and ``pm.Data`` with the dims and dtype of the variable; a column with
    # empty cells is float, NaN there.
    columns: Mapping[str, np.ndarray]
    missing: Mapping[str, np.ndarray]  # (bool) Where a column is empty; only columns that are
    latent: tuple[str, ...]  # random structural variables without a column
    # sizes, coords: length and labels of every dim of the model, those of the units as in the data.
    sizes: Mapping[str, int]
    coords: Mapping[str, np.ndarray]
    labels: Mapping[str, tuple[Any, ...]]  # what the codes of a categorical column stand for
    notes: tuple[str, ...]  # what was done or assumed, in words


def conform(
    table: Table,
    structure: Structure,
    known: Mapping[str, tuple[Any, ...]] | None = None,
    *,
    moved: bool = False,
    whole: bool = True,
) -> Conformed:
    """Check every column of a table against its variable.

    - `known`: what the codes of categories stand for already, such as the labels of a fit.
    - `moved`: whether ``pm.Data`` that are not of the units may have other values than the model
      holds.
    - `whole`: whether there has to be a column for every ``pm.Data`` of the units.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table
    >>> from bayescausal.inference import conform
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Bernoulli("x", 0.5, dims="unit")
    ...     y = pm.Normal("y", x, dims="unit")
    >>> structure = structure_of(model)
    >>> table = as_table({"x": [True, False], "y": [1.5, 2.0]}, structure)
    >>> conform(table, structure).columns["x"]
    array([1, 0])
    """
    if known:
        coded = {
            n: order
            for n, order in known.items()
            if n in table and (n in table.categories or _is_labels(table[n], _empty(table[n])))
        }
        refuse_unknown(table, coded)
        refuse_doubtful(table, {n: order for n, order in known.items() if n not in coded})
        table = replace(table, categories={**table.categories, **coded})
    columns: dict[str, np.ndarray] = {}
    missing: dict[str, np.ndarray] = {}
    labels: dict[str, tuple[Any, ...]] = {}
    data = {v.name: v for v in structure.model.data_vars}
    lost = [name for name in structure.data if name not in table]
    if lost and whole:
        near = [hit for name in lost for hit in closest(name, table.ignored)[:1]]
        raise DataError(
            f"The data have no column for {', '.join(map(repr, lost))}, pm.Data of the model.",
            expected="A complete column for every pm.Data of the units.",
            names=near,
            remedy=_held(lost[0], data, table),
        )
    for name in table.columns:
        if name not in data:
            continue
        columns[name], found = _data_column(name, table, data[name], structure)
        labels.update({name: found} if found else {})
        if name not in structure.data and not moved:
            _refuse_other_values(name, columns[name], structure)
    given = {data[name]: columns[name] for name in columns}
    for name in structure.random:
        if name not in table:
            continue
        support = support_of(structure.variable(name), given)
        if name in structure.imputed:
            support = support_of(structure.model[structure.imputed[name][0]], given)
        array, found = _random_column(name, table, support, structure)
        labels.update({name: found} if found else {})
        if array.dtype.kind == "f" and np.isnan(array).any():
            missing[name] = np.isnan(array)
        check_support(name, array, support, table.coords, table.dims[name], missing.get(name))
        columns[name] = array
    latent = tuple(n for n in structure.random if n not in columns)
    look_for_misspelt(table, structure, latent)
    notes = _notes(table, structure, latent, missing, labels, columns)
    notes = (*notes, *one_name_each(structure, columns), *lags_held(structure, columns))
    return Conformed(columns, missing, latent, table.sizes, table.coords, labels, notes)


def check_support(
    name: str,
    array: np.ndarray,
    support: Support,
    coords: Mapping[str, Any],
    dims: tuple[str, ...],
    missing: np.ndarray | None = None,
) -> None:
    """Refuse values that the variable cannot take, naming the first and counting the rest."""
    inside = support.contains(array)
    if missing is not None:
        inside = inside | missing
    bad = np.argwhere(~np.broadcast_to(inside, array.shape))
    if len(bad):
        where, value = _where(bad[0], dims, coords), array[tuple(bad[0])]
        more = f" (and {len(bad) - 1} more like it)" if len(bad) > 1 else ""
        raise DataError(
            f"{name!r} is {value} at {where}{more}, outside the support of its "
            f"{support.family} distribution.",
            expected=f"{support.describe()}.",
        )


# ------------------------------------------------------------------------------- columns


def _where(cell: np.ndarray, dims: tuple[str, ...], coords: Mapping[str, Any]) -> str:
    """Return the labels of a cell, for messages."""
    return ", ".join(
        f"{d}={coords[d][i]!s}" if d in coords else f"position {i}"
        for d, i in zip(dims, cell, strict=True)
    )


def _empty(array: np.ndarray) -> np.ndarray:
    """Return where an array has no value: NaN, None, NaT, pd.NA."""
    import pandas as pd

    return np.asarray(pd.isna(array))


def _random_column(
    name: str, table: Table, support: Support, structure: Structure
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return one column of a random variable in its dtype, with the labels of its codes."""
    raw = table[name]
    empty = _empty(raw)
    discrete = support.integer or is_discrete(structure.variable(name))
    if discrete and empty.any() and name not in structure.imputed:
        where = _where(np.argwhere(empty)[0], table.dims[name], table.coords)
        raise DataError(
            f"{name!r} is discrete and has {int(empty.sum())} empty cells, the first at {where}.",
            expected="A value in every row.",
            remedy="Drop those rows, or leave the column out: the variable is then latent and "
            "summed out.",
        )
    if empty.all():
        raise DataError(
            f"{name!r} has no value at all.",
            expected="Some values.",
            remedy="Leave the column out: the variable is then latent.",
        )
    labels: tuple[Any, ...] = ()
    if _is_labels(raw, empty) or (name in table.categories and support.categorical):
        if not support.categorical:
            raise _not_numeric(name, raw, empty, support.family, table)
        raw, labels = codes_of(name, raw, table.categories.get(name), support.categories, structure)
    array = _numbers(name, raw, empty, table)
    if discrete and not empty.any():
        return _integers(name, array, structure.variable(name).type.dtype, table), labels
    return array, labels


def _held(name: str, data: Mapping[str, Any], table: Table) -> str | None:
    """Return what to do where the model holds values, but not of as many units as the data have."""
    held: tuple[int, ...] = np.shape(data[name].get_value(borrow=True)) if name in data else ()
    if len(held) != 1 or held[0] == len(table):
        return None
    return (
        f"The model holds {held[0]} of its values, and the data have {len(table)} rows: add the "
        f'column, or put as many into the model: pm.set_data({{"{name}": values}}), or '
        f'pm.do(model, {{"{name}": values}}).'
    )


def _data_column(
    name: str, table: Table, variable: TensorVariable, structure: Structure
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return one column of a ``pm.Data``, complete and in its dtype."""
    raw = table[name]
    empty = _empty(raw)
    if empty.any():
        where = _where(np.argwhere(empty)[0], table.dims[name], table.coords)
        raise DataError(
            f"{name!r} is pm.Data and has {int(empty.sum())} empty cells, the first at {where}.",
            expected="A complete column.",
            remedy="To have empty cells imputed, give the variable a distribution.",
        )
    labels: tuple[Any, ...] = ()
    labelled = _is_labels(raw, empty)
    if labelled or (name in table.categories and is_index(variable, structure.model)):
        if not is_discrete(variable):
            raise _not_numeric(name, raw, empty, "data", table)
        raw, labels = codes_of(name, raw, table.categories.get(name), None, structure)
    array = _numbers(name, raw, empty, table)
    if array.ndim != variable.type.ndim:
        raise DataError(f"{name!r} has {array.ndim} dimensions.", expected=f"{variable.type.ndim}.")
    if is_discrete(variable):
        return _integers(name, array, variable.type.dtype, table), labels
    return array.astype(variable.type.dtype), labels


def _refuse_other_values(name: str, array: np.ndarray, structure: Structure) -> None:
    """Refuse values of ``pm.Data`` that is not of the units, where the model holds others."""
    if name in other_values(structure, {name: array}):
        raise DataError(
            f"{name!r} is pm.Data that is not of the units, and the data have other values of it "
            "than the model holds: those of the model would be used.",
            expected="The values of the model, or none.",
            remedy=f'Put them into the model: with model: pm.set_data({{"{name}": values}}), in '
            "the order of its coords.",
        )


def other_values(structure: Structure, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the values of ``pm.Data`` that is not of the units, where the model holds others."""
    held = data_values(structure.model)
    apart = {n: v for n, v in columns.items() if n in held and n not in structure.data}
    return {n: v for n, v in apart.items() if not np.array_equal(v, held[n])}


def _is_labels(raw: np.ndarray, empty: np.ndarray) -> bool:
    """Whether a column holds anything but numbers."""
    if raw.dtype.kind in "biuf":
        return False
    return kind_of(raw[~empty]).what != "number"


def _not_numeric(
    name: str, raw: np.ndarray, empty: np.ndarray, family: str, table: Table
) -> DataError:
    """Build the error for labels where numbers belong."""
    cell = np.argwhere(~empty)[0]
    shown = raw[tuple(cell)]
    shown = shown.item() if isinstance(shown, np.generic) else shown
    where = _where(cell, table.dims[name], table.coords)
    return DataError(
        f"{name!r} is {shown!r} at {where}, but the model says {family}, not categorical.",
        expected="Numbers.",
        remedy="Say in what unit the dates count, such as days since the first."
        if kind_of(raw).what == "date"
        else by_accident(name, kind_of(raw.ravel())) or "Code the labels as numbers yourself.",
    )


def _numbers(name: str, raw: np.ndarray, empty: np.ndarray, table: Table) -> np.ndarray:
    """Return a column as integers or floats; empty cells are NaN; infinity is refused."""
    if raw.dtype.kind in "iu":
        return raw
    if raw.dtype.kind == "b":
        return raw.astype(np.int64)
    array = np.full(raw.shape, np.nan)
    array[~empty] = raw[~empty].astype(float)
    wild = np.argwhere(np.isinf(array))
    if len(wild):
        where = _where(wild[0], table.dims[name], table.coords)
        raise DataError(
            f"{name!r} is {array[tuple(wild[0])]} at {where}.",
            expected="Finite numbers.",
            remedy="Leave the cell empty if the value is not known.",
        )
    return array


def _integers(name: str, array: np.ndarray, dtype: str, table: Table) -> np.ndarray:
    """Return whole numbers as integers, refusing others."""
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    bad = np.argwhere((array != np.round(array)) | (array < low) | (array > high))
    if len(bad):
        where = _where(bad[0], table.dims[name], table.coords)
        raise DataError(
            f"{name!r} is {array[tuple(bad[0])]} at {where}, but the variable is discrete.",
            expected=f"Whole numbers from {low} to {high}, or float data in the model.",
        )
    return array.astype(dtype)


# --------------------------------------------------------------------------------- notes


def _notes(
    table: Table,
    structure: Structure,
    latent: tuple[str, ...],
    missing: Mapping[str, np.ndarray],
    labels: Mapping[str, tuple[Any, ...]],
    columns: Mapping[str, np.ndarray],
) -> tuple[str, ...]:
    """Say in words what was assumed."""
    notes = []
    if latent:
        verb = "has" if len(latent) == 1 else "have"
        be = "is" if len(latent) == 1 else "are"
        notes.append(f"{', '.join(latent)} {verb} no column and so {be} latent.")
    for name, mask in missing.items():
        notes.append(
            f"{name}: {int(mask.sum())} of {mask.size} cells are empty and are imputed, missing "
            "at random given the model."
        )
    notes += coding_notes(labels)
    for name in structure.random:
        family = type(structure.variable(name).owner.op).__name__
        if name in columns and family in _CONTINUOUS and _is_binary(columns[name]):
            notes.append(
                f"{name}: holds 0 and 1 alone, and its distribution is "
                f"{family.removesuffix('RV')}, for continuous numbers."
            )
    return (*notes, *redundant_note(table.ignored, structure))


def coding_notes(labels: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Say which code each label of a category has."""
    notes = []
    for name, order in labels.items():
        shown = ", ".join(f"{i} = {label}" for i, label in enumerate(order[:8]))
        notes.append(f"{name}: coded {shown}{', ...' if len(order) > 8 else ''}.")
    return notes


def redundant_note(ignored: Iterable[str], structure: Structure) -> tuple[str, ...]:
    """Say which columns are parameters or Deterministics, and so were ignored."""
    known = {*structure.parameters, *structure.deterministics}
    redundant = [name for name in ignored if name in known]
    if not redundant:
        return ()
    return (
        f"The columns {', '.join(redundant)} were ignored: parameters and Deterministics are "
        "not data.",
    )


def _is_binary(column: np.ndarray) -> bool:
    """Whether what is seen of a column are zeros and ones, both of them."""
    seen = column[~np.isnan(column)]
    return bool(np.isin(seen, (0.0, 1.0)).all() and len(seen) and seen.min() < seen.max())
