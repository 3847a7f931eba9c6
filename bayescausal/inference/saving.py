"""A fit written to disk: netCDF or zarr, written at once or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.model.names import names_of
from bayescausal.model.structure.function_graph import data_values
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["fingerprint", "save_fit"]

_KEY = "bayescausal"


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to ``.nc`` or ``.zarr``: a temporary file that takes the name when complete."""
    path = Path(path)
    if path.suffix not in (".nc", ".zarr"):
        raise DataError(
            f"{path.name!r} ends in {path.suffix or 'nothing'!r}.", expected="'.nc' or '.zarr'."
        )
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {str(path.parent)!r}.")
    tree = _tree(fit)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
    try:
        draft = holder / path.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix == ".nc":
                tree.to_netcdf(draft, engine="h5netcdf")
            else:
                tree.to_zarr(draft, mode="w")
        if path.is_dir():
            os.replace(path, holder / "old")
        os.replace(draft, path)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def fingerprint(structure: Structure) -> dict[str, Any]:
    """Return what makes a model the same, as plain data: variables, families, dims and arrows.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     y = pm.Normal("y", dims="unit")
    >>> fingerprint(structure_of(model))
    {'variables': {'y': ['Normal', ['unit']]}, 'edges': []}
    """
    variables = {}
    for name in sorted(structure.full):
        var = structure.model.named_vars[name]
        op = getattr(var.owner, "op", None)
        label = getattr(op, "_print_name", None)
        family = str(label[0]) if label and hasattr(op, "ndim_supp") else "expression"
        variables[name] = [family, list(structure.dims.get(name, ()))]
    edges = sorted([str(a), str(b)] for a, b in structure.full.edges)
    return {"variables": variables, "edges": edges}


def _tree(fit: Fit) -> xr.DataTree:
    """Return everything a file holds."""
    groups = {name: _writable(node.to_dataset()) for name, node in fit.draws.children.items()}
    meta: dict[str, Any] = {
        "fingerprint": fingerprint(fit.structure),
        "unit_dims": list(fit.structure.unit_dims),
        "kind": fit.kind,
        "seed": fit.seed,
        "notes": list(fit.notes),
        "methods": [[list(names_of(names)), how] for names, how in fit.methods.items()],
        "sizes": None if fit.sizes is None else {d: int(n) for d, n in fit.sizes.items()},
        "labels": {n: [_plain(v) for v in labels] for n, labels in fit.labels.items()},
        "missing": list(fit.missing),
        "has_data": fit.data is not None,
        "column_dims": {},
        "design": None if fit.design is None else fit.design.name,
    }
    if fit.data is not None:
        arrays = {}
        for name, value in fit.columns.items():
            dims = fit.data.dims[name]
            meta["column_dims"][name] = list(dims)
            arrays[name] = (dims, value)
        held = {d for dims in fit.data.dims.values() for d in dims}
        coords = {d: np.asarray(v) for d, v in fit.coords.items() if d in held}
        every = {d: np.asarray(v) for d, v in fit.coords.items()}
        groups["columns"] = _writable(xr.Dataset(arrays, coords={**every, **coords}))
    own = data_values(fit.model)
    apart = {n: np.asarray(v) for n, v in own.items() if n not in fit.structure.data}
    if apart:  # pm.Data that is not of the units
        groups["held"] = _writable(
            xr.Dataset({n: ([f"{n}_{i}" for i in range(v.ndim)], v) for n, v in apart.items()})
        )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs[_KEY] = json.dumps(meta)
    return tree


def _plain(value: object) -> object:
    """Return a label as JSON can hold it."""
    return value.item() if isinstance(value, np.generic) else value


def _writable(data: xr.Dataset) -> xr.Dataset:
    """Return a Dataset whose labels a file can hold: text where they are mixed."""
    data = data.copy()
    for name, coord in data.coords.items():
        if coord.dtype == object or coord.dtype.kind in "US":
            data = data.assign_coords({name: (coord.dims, coord.values.astype(str))})
    for name, array in data.data_vars.items():
        if array.dtype == bool:
            data[name] = array.astype("int8").assign_attrs(was_bool=1)
    for variable in data.variables.values():
        variable.encoding = {}
    data.attrs = {k: v for k, v in data.attrs.items() if isinstance(v, str | int | float)}
    return data
