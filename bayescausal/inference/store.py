"""A fit on disk: netCDF or zarr, written at once or not at all, read back against its model.

A file holds the draws (ArviZ's groups), the columns of the data (group ``columns``) and, as JSON
in the attributes, what was done and a *fingerprint* of the model: its variables with their
families and dims, and the arrows between them. The model itself is code and is given back by the
caller; a model with another fingerprint is refused, naming what differs. Equations are not
compared: a coefficient that changed from 1 to 2 leaves the fingerprint as it is.

References
----------
.. [1] S. Hoyer and J. Hamman, xarray: N-D labeled arrays and datasets in Python, *Journal of Open
   Research Software* 5(1), 2017.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.inference.data.columns import Table
from bayescausal.inference.data.conform import Conformed
from bayescausal.inference.data.read import holding
from bayescausal.inference.record import Fit, build_fit
from bayescausal.inference.saving import _KEY, fingerprint
from bayescausal.model.files import no_file
from bayescausal.model.given import design_in
from bayescausal.model.names import Joined
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, FitMismatchError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pymc as pm

    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["load_fit"]


def load_fit(path: str | os.PathLike[str], model: pm.Model | Design) -> Fit:
    """Read a fit that was saved, for the model that it was made with.

    Parameters
    ----------
    path : path
        Written by ``Fit.save``.
    model : pm.Model or Design
        The same model, built again. The design it was made of brings its checks and plots back;
        with its model alone the fit has no design, and says so.

    Returns
    -------
    Fit

    Raises
    ------
    FitMismatchError
        If the model is another one, naming the differences, or the file holds no fit.
    DataError
        If there is no such file.

    References
    ----------
    R. Kumar, C. Carroll, A. Hartikainen and O. Martin, "ArviZ a unified library for exploratory
    analysis of Bayesian models in Python", Journal of Open Source Software 4(33), 2019.

    Examples
    --------
    >>> import pathlib, tempfile, pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     y = pm.Normal("y", b, 1, dims="unit")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "truth.nc"
    ...     bc.truth(model, {"b": 0.5}).save(path)
    ...     bc.load_fit(path, model)
    Fit(truth; no units; 1 chains x 1 draws of b)
    """
    path = Path(path)
    if not path.exists():
        raise no_file(DataError, path, "Give one that save wrote.")
    tree = _open(path)
    if _KEY not in tree.attrs:
        raise FitMismatchError(
            f"{str(path)!r} holds no fit.", expected="A file written by Fit.save."
        )
    meta = json.loads(tree.attrs[_KEY])
    structure = structure_of(model, unit_dims=tuple(meta["unit_dims"]))
    design, name = design_in(model), meta.get("design")
    differences = _differences(meta["fingerprint"], fingerprint(structure))
    if design is not None and name != design.name:
        differences.append(f"the design was {name or 'none'} and is {design.name}")
    if differences:
        raise FitMismatchError(
            f"The fit was made with another model: {'; '.join(differences)}.",
            expected="The model that it was made with.",
        )
    table, conformed = _columns(tree, meta, structure)
    groups = {n: node.to_dataset() for n, node in tree.children.items() if n != "columns"}
    held = {str(n): v.values for n, v in groups.pop("held", xr.Dataset()).items()}
    structure = holding(structure, {**conformed.columns, **held})
    return build_fit(
        structure=structure,
        table=table,
        conformed=conformed,
        groups=groups,
        kind=meta["kind"],
        seed=meta["seed"],
        methods=_methods(meta["methods"]),
        notes=(),
        sizes=meta["sizes"],
        all_notes=(*meta["notes"], *_without_design(name, design)),
        design=design,
    )


# ------------------------------------------------------------------------------- private


def _without_design(name: str | None, design: Design | None) -> tuple[str, ...]:
    """Say that a fit of a design was read with its model alone."""
    if name is None or design is not None:
        return ()
    return (
        f"The fit was made of a design ({name}), and read with its model alone: its assumptions, "
        "checks and plots come back with load_fit(path, design).",
    )


def _open(path: Path) -> xr.DataTree:
    """Read a file whole, so that it can be replaced afterwards."""
    engine = "zarr" if path.is_dir() else "h5netcdf"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with xr.open_datatree(path, engine=engine) as tree:
                return tree.load().copy(deep=True)
    except (OSError, ValueError, KeyError) as error:
        raise FitMismatchError(
            f"{str(path)!r} cannot be read: {error}", expected="A file written by Fit.save."
        ) from error


def _methods(held: dict[str, str] | list[tuple[list[str], str]]) -> dict[str, str]:
    """Return how blocks were drawn; files of earlier versions have their names joined."""
    if isinstance(held, dict):
        return held
    return {Joined(names): how for names, how in held}


def _columns(
    tree: xr.DataTree, meta: Mapping[str, Any], structure: Structure
) -> tuple[Table | None, Conformed]:
    """Return the data of a fit as they were."""
    if not meta["has_data"]:
        return None, Conformed({}, {}, (), {}, {}, {}, ())
    held = tree["columns"].to_dataset()
    columns, dims = {}, {}
    for name, mine in meta["column_dims"].items():
        variable = structure.variable(name)
        array = held[name].transpose(*mine).values
        columns[name] = array if name in meta["missing"] else array.astype(variable.type.dtype)
        dims[name] = tuple(mine)
    coords = {str(d): np.asarray(held[d].values) for d in held.coords}
    table = Table(columns, dims, coords, structure.unit_dims)
    missing = {name: np.isnan(columns[name]) for name in meta["missing"]}
    latent = tuple(n for n in structure.random if n not in columns)
    labels = {name: tuple(v) for name, v in meta["labels"].items()}
    return table, Conformed(columns, missing, latent, meta["sizes"], coords, labels, ())


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say how two fingerprints differ."""
    old, new = saved["variables"], now["variables"]
    out = [f"{name!r} is gone" for name in old if name not in new]
    out += [f"{name!r} is new" for name in new if name not in old]
    for name in old:
        if name not in new or old[name] == new[name]:
            continue
        (family, dims), (family_now, dims_now) = old[name], new[name]
        if family != family_now:
            out.append(f"{name!r} was {family} and is {family_now}")
        if dims != dims_now:
            out.append(f"{name!r} had dims {tuple(dims)} and has {tuple(dims_now)}")
    before = {tuple(e) for e in saved["edges"]}
    after = {tuple(e) for e in now["edges"]}
    out += [f"the arrow {a} -> {b} is gone" for a, b in sorted(before - after)]
    out += [f"the arrow {a} -> {b} is new" for a, b in sorted(after - before)]
    return out
