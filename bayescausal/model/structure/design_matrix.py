r"""The columns of a vector that data give: a design matrix read as the variables it is made of.

A regression is often written on a matrix, :math:`\mu_i = \sum_k x_{ik} \beta_k` with
``X = pm.Data("X", ..., dims=("unit", "predictor"))``. The node ``X`` is a vector for each unit;
its columns are variables of their own, and a question about one of them names it by its label:
``"X[age]"``. Then the model is rewritten: each column is ``pm.Data`` of the units, and ``X`` a
Deterministic that puts them side by side. Nothing else changes, so draws of the parameters stay
what they are, and the other columns are columns without an equation, to be adjusted for.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.model.fgraph import model_deterministic, model_named
from pymc.pytensorf import toposort_replace
from pytensor.compile import SharedVariable
from pytensor.graph.basic import Constant

from bayescausal.model.noise.records import plain_name, records, rewritten
from bayescausal.model.structure.function_graph import close, data_values, dim_sizes, open_model
from bayescausal.model.structure.read import structure_of
from bayescausal.model.structure.structure import Structure
from bayescausal.types import closest, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm

    from bayescausal.annotations import Tensor
    from bayescausal.model.structure.structure import Structure
__all__ = [
    "columns_asked",
    "entries_of",
    "entry_names",
    "named_structure",
    "split_model",
    "split_structure",
    "whole_note",
]


def entry_names(structure: Structure, name: str) -> tuple[str, ...]:
    """Return the names of a vector's columns; none where it is no vector of the units.

    `name`: a node.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": range(3), "predictor": ["age", "bmi"]}) as model:
    ...     x = pm.Data("X", np.zeros((3, 2)), dims=("unit", "predictor"))
    ...     y = pm.Normal("y", x.sum(axis=1), dims="unit")
    >>> entry_names(structure_of(model), "X")
    ('X[age]', 'X[bmi]')
    """
    dims = structure.dims.get(name, ())
    own = [d for d in dims if d not in structure.unit_dims]
    if name not in structure.nodes or not own or len(own) == len(dims):
        return ()
    coords, sizes = structure.model.coords, dim_sizes(structure.model)
    labels = [range(sizes[d]) if coords.get(d) is None else coords[d] for d in own]
    return tuple(f"{name}[{','.join(map(str, cell))}]" for cell in itertools.product(*labels))


def entries_of(structure: Structure, name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of a vector's values, by their names.

    - `name`: a vector of the units.
    - `array`: with the dims of the vector.
    """
    dims = structure.dims[name]
    event = [i for i, d in enumerate(dims) if d not in structure.unit_dims]
    flat = np.moveaxis(array, event, range(len(event)))
    flat = flat.reshape(-1, *flat.shape[len(event) :])
    return dict(zip(entry_names(structure, name), flat, strict=True))


def columns_asked(structure: Structure, names: Iterable[Any]) -> tuple[str, ...]:
    """Return the vectors of which a question names a column.

    `names`: what the question names; anything that is no text is left alone.
    """
    asked = set()
    for name in names:
        if not isinstance(name, str) or name in structure.names() or not name.endswith("]"):
            continue
        base = name.partition("[")[0]
        entries = entry_names(structure, base)
        if not entries:
            continue
        if name not in entries:
            error = unknown_variable(name, ())
            raise type(error)(
                f"{base!r} has no column {name[len(base) + 1 : -1]!r}.",
                expected=f"one of {', '.join(map(repr, entries))}.",
                names=closest(name, entries)[:1],
            )
        if base not in structure.data:
            raise type(unknown_variable(name, ()))(
                f"{name!r} is an entry of {base!r}, which has one equation for all its entries.",
                expected=f"{base!r} as a whole, or a column of pm.Data.",
                remedy="Write the entries as random variables of their own.",
            )
        asked.add(base)
    return tuple(n for n in structure.nodes if n in asked)


def split_model(structure: Structure, vectors: Iterable[str]) -> pm.Model:
    """Return the model with the columns of some vectors as data of their own.

    - `structure`: the model is not changed.
    - `vectors`: ``pm.Data`` with dims beside those of the units.
    """
    model = structure.model
    sizes = dim_sizes(model)
    fgraph, memo, initvals = open_model(model, inlined_views=True)
    for dim, length in model.dim_lengths.items():
        if not isinstance(length, SharedVariable | Constant):  # it follows from data
            fgraph._dim_lengths[dim] = pytensor.shared(np.asarray(sizes[dim]), name=dim)
    values = data_values(model)
    replacements = []
    for name in vectors:
        dims = structure.dims[name]
        units = tuple(d for d in dims if d in structure.unit_dims)
        parts = []
        for entry, array in entries_of(structure, name, values[name]).items():
            shared = pytensor.shared(array, name=entry, shape=(None,) * array.ndim)
            parts.append(model_named(shared, entry, *units))
        joined = model_deterministic(_joined(parts, dims, units, sizes), name, *dims)
        replacements.append((memo[model[name]], joined))
    toposort_replace(fgraph, tuple(replacements), reverse=True)
    return close(fgraph, initvals)


def split_structure(structure: Structure, names: Iterable[Any]) -> Structure:
    """Return the structure in which all columns that a question names are nodes.

    `names`: what the question names.
    """
    vectors = columns_asked(structure, names)
    if not vectors:
        return structure
    return structure_of(split_model(structure, vectors), unit_dims=structure.unit_dims)


def named_structure(structure: Structure, names: Iterable[Any]) -> Structure:
    """Return the structure in which columns of vectors, and records, that are named are nodes.

    `names`: what the question names, such as ``"X[age]"`` or ``"recorded(y)"``.
    """
    names = [n for n in names if isinstance(n, str)]
    opened = split_structure(structure, names)
    written = [n for n in names if plain_name(n) != n and n not in opened.names()]
    found = records(opened, written) if written else {}
    return rewritten(opened, found) if found else opened


def whole_note(structure: Structure, names: Iterable[str]) -> tuple[str, ...]:
    """Say what an intervention on a vector as a whole sets.

    `names`: the treatments.
    """
    notes = []
    for name in names:
        dims = structure.dims.get(name, ())
        if name not in structure.names() or len(dims) < 2:
            continue
        own = [d for d in dims if d not in structure.unit_dims]
        if not own:
            continue
        sizes = dim_sizes(structure.model)
        count = int(np.prod([sizes[d] for d in own]))
        labels = structure.model.coords.get(own[0]) if len(own) == 1 else None
        shown = ", ".join(str(v) for v in (labels or ())[:6]) + (", ..." if count > 6 else "")
        one = entry_names(structure, name) if name in structure.data else ()
        notes.append(
            f"{name} is a vector of {count} entries along {', '.join(own)}"
            f"{f' ({shown})' if labels else ''}: the question sets all of them at once."
            + (f" One column is asked about by its name, such as {one[0]!r}." if one else "")
        )
    return tuple(notes)


# ------------------------------------------------------------------------------- private


def _joined(
    parts: Sequence[Any], dims: Sequence[str], units: Sequence[str], sizes: Mapping[str, int]
) -> Tensor:
    """Return columns side by side, along the dims that are not of the units."""
    event = [d for d in dims if d not in units]
    if not event:
        return parts[0]
    step = sizes[event[-1]]  # columns come in the order of the dims, the last one fastest
    rest = [d for d in dims if d != event[-1]]
    whole = [_joined(parts[k::step], rest, units, sizes) for k in range(step)]
    return pt.stack(whole, axis=list(dims).index(event[-1]))
