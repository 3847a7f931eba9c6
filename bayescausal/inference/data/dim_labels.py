"""Labels of units as a variable: a question at a time, over times, or by time.

Where units are the cells of a dim with labels (``time``, or ``unit`` and ``time``), a question may
name the dim as it names a column: ``given={"time": (2005, 2009)}``, ``by="time"``. Its labels are
then a column of the data that no equation reads, so that a condition on it is one on where a unit
lies, which no intervention changes. Labels that are no numbers are categories, by their text.

Data that were simulated hold the codes of a category; a question may name its levels all the same.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytensor

from bayescausal.inference.data.conform import Conformed
from bayescausal.inference.record import build_fit
from bayescausal.inference.stream.source_data import StreamTable
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.model.structure.read import structure_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import Array
    from bayescausal.inference.record import Fit

__all__ = ["with_labels", "with_levels"]


def with_labels(fit: Fit, names: Iterable[Any]) -> Fit:
    """Return the fit with the labels of the dims that a question names, as variables.

    The same fit where it names none; asked again, the same as before.
    """
    structure = fit.structure
    known = {*structure.names(), *structure.full}
    dims = [d for d in structure.unit_dims if d in fit.coords and d not in known]
    asked = {n for n in names if isinstance(n, str)}
    wanted = tuple(d for d in dims if d in asked)
    if not wanted or isinstance(fit.data, StreamTable):
        return fit
    made: dict[tuple[str, ...], Fit] = fit.__dict__.setdefault("_with_labels", {})
    if wanted not in made:
        made[wanted] = _labelled(fit, wanted)
    return made[wanted]


def with_levels(fit: Fit, names: Iterable[str]) -> Fit:
    """Return the fit of data that came as codes, with what the model says that these stand for.

    - `names`: of categories that a question names by text; the dim ``<name>_level`` has the text.
    The same fit where nothing is to be added; asked again, the same as before.
    """
    coords = fit.structure.model.coords
    found = {n: tuple(coords.get(f"{n}_level") or ()) for n in sorted(names) if n not in fit.labels}
    found = {n: levels for n, levels in found.items() if levels}
    if not found:
        return fit
    made: dict[tuple[str, ...], Fit] = fit.__dict__.setdefault("_with_levels", {})
    if tuple(found) not in made:
        made[tuple(found)] = labelled = copy(fit)
        object.__setattr__(labelled, "labels", {**fit.labels, **found})
    return made[tuple(found)]


# ------------------------------------------------------------------------------- private


def _labelled(fit: Fit, dims: tuple[str, ...]) -> Fit:
    old = fit.structure
    columns: dict[str, Array] = {}
    labels: dict[str, tuple[Any, ...]] = {}
    for dim in dims:
        columns[dim], found = _column(np.asarray(fit.coords[dim]))
        labels |= {dim: found} if found else {}
    fgraph, _, initvals = open_model(old.model, inlined_views=True)
    model = close(fgraph, initvals)
    for dim, column in columns.items():  # PyMC has no variable of the name of a dim
        shared = pytensor.shared(column, name=dim, shape=(None,))
        model.data_vars.append(shared)
        model.named_vars[dim] = shared
        model.named_vars_to_dims[dim] = (dim,)
    structure = structure_of(model, unit_dims=old.unit_dims)
    table = fit.data
    if table is not None:
        values = {**table.values, **columns}
        own = {**table.dims, **{d: (d,) for d in dims}}
        table = replace(table, values=values, dims=own)
    return build_fit(
        structure=structure,
        table=table,
        conformed=Conformed(
            {**fit.columns, **columns},
            fit.missing,
            fit.latent,
            fit.sizes or {},
            fit.coords,
            {**fit.labels, **labels},
            (),
        ),
        groups={name: node.to_dataset() for name, node in fit.draws.children.items()},
        kind=fit.kind,
        seed=fit.seed,
        methods=fit.methods,
        sizes=fit.sizes,
        all_notes=fit.notes,
    )


def _column(labels: Array) -> tuple[Array, tuple[Any, ...]]:
    """Return labels as numbers, and what the numbers stand for where they are no numbers."""
    if labels.dtype.kind in "iuf":
        return labels, ()
    index = pd.Index(labels)
    if isinstance(index, pd.DatetimeIndex):  # a day as 1983-02-01
        text = index.strftime("%Y-%m-%d" if (index == index.normalize()).all() else "%Y-%m-%d %X")
    else:
        text = index.astype(str)
    order = list(dict.fromkeys(text.tolist()))
    rank = {v: i for i, v in enumerate(order)}
    return np.array([rank[v] for v in text.tolist()]), tuple(order)
