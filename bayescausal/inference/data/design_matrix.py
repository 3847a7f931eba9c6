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
from bayescausal.model.structure.design_matrix import columns_asked, entry_names, split_structure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.model.structure.structure import Structure

__all__ = ["names_in", "policy_reads", "with_columns"]


def names_in(variables: str | Iterable[Any] | None) -> tuple[Any, ...]:
    """Return a name, several, or none as a tuple."""
    return (variables,) if isinstance(variables, str) else tuple(variables or ())


def policy_reads(*acts: Any) -> list[str]:
    """Return what interventions name themselves, also inside of mappings and sequences.

    Parameters
    ----------
    *acts : object

    Returns
    -------
    list of str
    """
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
    """Return the fit with the columns that a question names as variables.

    Parameters
    ----------
    fit : Fit
    names : iterable
        What the question names, such as ``"X[age]"``.

    Returns
    -------
    Fit
        The same one where no column of a vector is named. Asked again, the same as before.

    Raises
    ------
    UnknownVariableError
        If a vector has no such column.
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
    old = fit.structure
    columns = _parts(old, vectors, fit.columns)
    table = fit.data
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
    )


def _parts(structure: Structure, vectors: tuple[str, ...], values: Any) -> dict[str, np.ndarray]:
    """Return arrays by name, vectors taken apart."""
    out: dict[str, np.ndarray] = {}
    for name, array in values.items():
        if name not in vectors:
            out[name] = array
            continue
        dims = structure.dims[name]
        axis = next(i for i, d in enumerate(dims) if d not in structure.unit_dims)
        for k, entry in enumerate(entry_names(structure, name)):
            out[entry] = np.take(array, k, axis=axis)
    return out
