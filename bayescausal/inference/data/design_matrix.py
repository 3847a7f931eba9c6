"""A fit in which the columns of a design matrix are variables.

The draws do not change: ``X`` and its columns say the same (see
:mod:`bayescausal.model.structure.design_matrix`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.conform import Conformed
from bayescausal.inference.record import Fit, build_fit
from bayescausal.inference.stream.source_data import NotHeld, StreamTable
from bayescausal.model.structure.design_matrix import (
    columns_asked,
    entries_of,
    entry_names,
    split_structure,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from bayescausal.model.structure.structure import Structure

__all__ = ["names_in", "policy_reads", "with_columns"]


def names_in(variables: str | Iterable[Any] | None) -> tuple[Any, ...]:
    """Return a name, several, or none as a tuple."""
    return (variables,) if isinstance(variables, str) else tuple(variables or ())


def policy_reads(*acts: Any) -> list[str]:
    """Return what interventions name themselves, also inside of mappings and sequences."""
    found: list[str] = []
    for act in acts:
        if isinstance(act, Mapping):
            found += [*(k for k in act if isinstance(k, str)), *policy_reads(*act.values())]
        elif isinstance(act, tuple | list):
            found += policy_reads(*act)
        else:
            reads = getattr(act, "reads", None)
            found += (
                [r for r in reads if isinstance(r, str)] if isinstance(reads, tuple | list) else []
            )
    return found


def with_columns(fit: Fit, names: Iterable[Any]) -> Fit:
    """Return the fit with the columns that a question names, such as ``"X[age]"``, as variables.

    The same fit where it names none; asked again, the same as before.
    """
    structure = fit.structure
    names = list(names)
    vectors = columns_asked(structure, names)
    if not vectors:
        return fit
    made: dict[tuple[str, ...], Fit] = fit.__dict__.setdefault("_with_columns", {})
    if vectors not in made:
        made[vectors] = _split(fit, vectors, split_structure(structure, names))
    return made[vectors]


# ------------------------------------------------------------------------------- private


def _split(fit: Fit, vectors: tuple[str, ...], structure: Structure) -> Fit:
    old, table = fit.structure, fit.data
    columns: Mapping[str, Any]
    if isinstance(table, StreamTable):
        table = _split_stream(table, old, vectors, structure)
        columns = table.values
    else:
        columns = _parts(old, vectors, fit.columns)
        if table is not None:
            values = _parts(old, vectors, table.values)
            dims = {n: structure.dims.get(n, table.dims.get(n, ())) for n in values}
            categories = {n: v for n, v in table.categories.items() if n not in vectors}
            table = replace(table, values=values, dims=dims, categories=categories)
    return build_fit(
        structure=structure,
        table=table,
        conformed=Conformed(
            columns, fit.missing, fit.latent, fit.sizes or {}, fit.coords, fit.labels, ()
        ),
        groups={name: node.to_dataset() for name, node in fit.draws.children.items()},
        kind=fit.kind,
        seed=fit.seed,
        methods=fit.methods,
        sizes=fit.sizes,
        all_notes=fit.notes,
        design=fit.design,
    )


def _split_stream(
    table: StreamTable, old: Structure, vectors: tuple[str, ...], structure: Structure
) -> StreamTable:
    """Return the record of a source in which columns of vectors are read by themselves."""
    readers = {}
    for name, reader in table.readers.items():
        if name not in vectors:
            readers[name] = reader
            continue
        for entry, part in zip(entry_names(old, name), reader.parts, strict=True):
            variable, own = structure.model[entry], structure.dims[entry]
            readers[entry] = replace(
                reader, name=entry, parts=(part,), variable=variable, dims=own, place=0
            )
    dims = {n: r.dims for n, r in readers.items()}
    values = NotHeld(readers, table.source.words)
    return replace(table, values=values, dims=dims, readers=readers)


def _parts(
    structure: Structure, vectors: tuple[str, ...], values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return arrays by name, vectors taken apart."""
    out: dict[str, np.ndarray] = {}
    for name, array in values.items():
        out |= entries_of(structure, name, array) if name in vectors else {name: array}
    return out
