"""Do a model, data and draws belong together? All reasons are found before any is told.

For every variable that the data do not hold there have to be finite draws of the right shape: the
parameters, the latent variables, the empty cells. And what the trace says was observed has to be
what the data say.

References
----------
.. [1] R. Kumar, C. Carroll, A. Hartikainen and O. Martin, ArviZ a unified library for exploratory
   analysis of Bayesian models in Python, *Journal of Open Source Software* 4(33), 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayescausal.model.forests.packed import without_fill
from bayescausal.model.forests.prior import is_forest
from bayescausal.model.labels import in_order
from bayescausal.types import DataError, FitMismatchError

if TYPE_CHECKING:
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["as_tree", "matched"]


def as_tree(trace: object) -> xr.DataTree:
    """Return draws in any form as a DataTree with a posterior."""
    if isinstance(trace, xr.DataTree):
        if "posterior" not in trace.children:
            groups = ", ".join(trace.children) or "none"
            raise FitMismatchError(
                "The trace has no posterior.",
                expected="A DataTree with the group 'posterior', as pm.sample returns.",
                remedy=f"Groups found: {groups}.",
            )
        return trace
    if isinstance(trace, xr.Dataset):
        return xr.DataTree.from_dict({"posterior": trace})
    if isinstance(trace, Mapping):
        arrays = {}
        for name, value in trace.items():
            value = np.asarray(value)
            dims = ["chain", "draw", *(f"{name}_dim_{i}" for i in range(value.ndim - 2))]
            if value.ndim < 2:
                raise FitMismatchError(
                    f"The draws of {name!r} have {value.ndim} dimensions.",
                    expected="Chain and draw first, then the dims of the variable.",
                )
            arrays[str(name)] = (dims, value)
        return xr.DataTree.from_dict({"posterior": xr.Dataset(arrays)})
    raise FitMismatchError(
        f"Draws of type {type(trace).__name__} cannot be read.",
        expected="A DataTree as pm.sample returns, a Dataset, or a mapping of arrays.",
    )


def matched(structure: Structure, conformed: Conformed, tree: xr.DataTree) -> xr.Dataset:
    """Return the draws of what is not observed, or every reason why they do not fit."""
    held = tree["posterior"].to_dataset()
    reasons: list[str] = []
    arrays: dict[str, xr.DataArray] = {}
    if not {"chain", "draw"} <= set(held.dims):
        raise FitMismatchError(
            f"The posterior has dims {tuple(map(str, held.dims))}.", expected="chain and draw."
        )
    wanted = [*structure.parameters, *(n for n in structure.random if n not in conformed.columns)]
    for name in wanted:
        role = "parameter" if name in structure.parameters else "latent variable"
        if name not in held:
            reasons.append(f"the {role} {name!r} has no draws")
            continue
        shaped = _shaped(name, held[name], structure, conformed, reasons)
        if shaped is not None:
            arrays[name] = shaped
    for name, mask in conformed.missing.items():
        cells = f"{name}_unobserved"
        count = int(mask.sum())
        if cells in held and int(np.prod(held[cells].shape[2:])) == count:
            arrays[cells] = held[cells].transpose("chain", "draw", ...)
        elif name in held and held[name].shape[2:] == mask.shape:
            values = held[name].transpose("chain", "draw", ...).values[:, :, mask]
            arrays[cells] = xr.DataArray(values, dims=("chain", "draw", f"{cells}_dim_0"))
        else:
            reasons.append(f"{name!r} has {count} empty cells, and {cells!r} has no draws of them")
    for name in conformed.columns:
        if name in held and name not in conformed.missing and name in structure.random:
            reasons.append(f"{name!r} is observed in the data, but drawn in the trace")
    if "observed_data" in tree.children:
        reasons += _other_data(tree["observed_data"].to_dataset(), conformed)
    for name in structure.parameters:
        if name in arrays and is_forest(structure.variable(name)):
            arrays[name] = without_fill(arrays[name])
    for name, array in arrays.items():
        if not np.isfinite(array.values).all():
            reasons.append(f"the draws of {name!r} are not all finite")
    if reasons:
        raise FitMismatchError(
            f"The model, the data and the draws do not belong together: {'; '.join(reasons)}.",
            expected="Draws that pm.sample made with this model on these data.",
        )
    keep = [
        d.name
        for d in structure.model.deterministics
        if d.name in held
        and d.name not in structure.deterministics
        and d.name not in arrays
        and d.name not in structure.imputed
    ]
    return xr.Dataset({**arrays, **{name: held[name] for name in keep}})


def _shaped(
    name: str,
    array: xr.DataArray,
    structure: Structure,
    conformed: Conformed,
    reasons: list[str],
) -> xr.DataArray | None:
    """Return the draws of one variable with its own dims, or add a reason."""
    dims = structure.dims.get(name, ())
    extra = [str(d) for d in array.dims if d not in ("chain", "draw")]
    order = list(dims) if set(extra) == set(dims) else extra
    array = array.transpose("chain", "draw", *order)
    if order == list(dims):
        labels = {**structure.model.coords, **conformed.coords}
        try:
            array = in_order(array, ("chain", "draw", *dims), labels, f"{name!r} in the trace")
        except DataError as error:
            reasons.append(str(error).partition(" Expected:")[0].rstrip("."))
            return None
    if dims:
        expected: tuple[int | None, ...] = tuple(conformed.sizes[d] for d in dims)
    else:
        expected = tuple(structure.variable(name).type.shape)
    found = array.shape[2:]
    fits = len(found) == len(expected) and all(
        e is None or e == f for e, f in zip(expected, found, strict=True)
    )
    if not fits:
        reasons.append(f"{name!r} has shape {found} in the trace and {expected} in the model")
        return None
    return array.rename(dict(zip(order, dims, strict=True))) if dims else array


def _other_data(seen: xr.Dataset, conformed: Conformed) -> list[str]:
    """Return where the observed data of a trace are not the columns at hand."""
    reasons = []
    for name, column in conformed.columns.items():
        if name not in seen or name in conformed.missing:
            continue
        other = seen[name].values
        if other.shape != column.shape:
            reasons.append(
                f"{name!r} had shape {other.shape} when it was sampled and has {column.shape} in "
                "the data"
            )
        elif not np.allclose(other, column, rtol=1e-6, atol=0, equal_nan=True):
            count = int(np.sum(~np.isclose(other, column, rtol=1e-6, atol=0, equal_nan=True)))
            reasons.append(f"{name!r} had other values in {count} cells when it was sampled")
    return reasons
