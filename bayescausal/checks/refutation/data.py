"""Fits and data sets made from a fit: other columns, other draws, some of the units.

A refutation refits the model to data that were changed in a known way. Data are handed over as
arrays by variable, codes instead of labels; answers are taken of the *original* units with the new
parameters wherever nothing unknown belongs to units, so that a subset of the units does not change
the question.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.evaluation.measured import records
from bayescausal.evaluation.worlds import worlds
from bayescausal.types import DataError, EstimandError, MixingError, Set, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.annotations import Array
    from bayescausal.inference.record import Fit

__all__ = [
    "at_draw",
    "cluster_codes",
    "columns_of",
    "has_unknown_units",
    "permuted",
    "simulated",
    "standardized",
    "taken",
    "unit_values",
    "why_units_touch",
    "with_parts",
]


def columns_of(fit: Fit) -> dict[str, np.ndarray]:
    """Return the data of a fit, arrays by variable, ``pm.Data`` of the units included."""
    structure = fit.structure
    units = set(structure.unit_dims)
    found = {n: np.asarray(v) for n, v in fit.columns.items()}
    for name in structure.data:
        if name not in found and units & set(structure.dims.get(name, ())):
            found[name] = np.asarray(fit.value(name))
    return found


def with_parts(
    fit: Fit,
    posterior: xr.Dataset | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
) -> Fit:
    """Return a fit with other draws or other columns, the rest as it was.

    ``posterior``: draws with the variables and dims of the fit's own.
    ``columns``: columns in the place of the fit's.
    """
    other = copy(fit)
    if posterior is not None:
        object.__setattr__(other, "draws", xr.DataTree.from_dict({"posterior": posterior}))
    if columns is not None:
        object.__setattr__(other, "columns", {**fit.columns, **columns})
    return other


def at_draw(fit: Fit, place: int) -> Fit:
    """Return a fit with one posterior draw, of all chains in a row."""
    posterior = fit.posterior
    chain, draw = divmod(int(place), int(posterior.sizes["draw"]))
    return with_parts(fit, posterior.isel(chain=[chain], draw=[draw]))


def has_unknown_units(fit: Fit) -> bool:
    """Whether something of the units was not observed, so that draws belong to these units."""
    return bool(fit.latent) or bool(fit.missing)


def taken(fit: Fit, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the data of some units along the first unit dim, repeated as `rows` repeats them.

    ``rows``: places along the first unit dim.
    """
    first = fit.structure.unit_dims[0]
    found = {}
    for name, value in columns_of(fit).items():
        dims = fit.structure.dims.get(name, ())
        found[name] = np.take(value, rows, axis=dims.index(first)) if first in dims else value
    return found


def why_units_touch(fit: Fit) -> MixingError | None:
    """Return why units cannot be left out or repeated, if they cannot."""
    structure = fit.structure
    first = structure.unit_dims[0]
    mixed = structure.mixes().get(first)
    if mixed:
        reason = f"Units depend on each other: {mixed}."
    elif first in structure.fixed:
        reason = f"The model fixes the number of {first}s by arrays of its own."
    elif any(first not in structure.dims.get(n, ()) for n in structure.random):
        reason = f"Some variables do not lie along {first}: the units are nested."
    else:
        return None
    return MixingError(
        f"{reason} A subset or a bootstrap of units would be another model.",
        expected="Units that are independent of each other.",
        remedy="Ask for other refutations: tests=[...].",
    )


def permuted(fit: Fit, names: tuple[str, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return columns whose units changed places, all by the same permutation."""
    columns = columns_of(fit)
    found = {}
    orders: dict[str, np.ndarray] = {}
    for name in names:
        dims = fit.structure.dims[name]
        along = next(d for d in fit.structure.unit_dims if d in dims)
        axis = dims.index(along)
        size = columns[name].shape[axis]
        order = orders.setdefault(along, rng.permutation(size))
        found[name] = np.take(columns[name], order, axis=axis)
    return found


def simulated(
    fit: Fit, treatments: tuple[str, ...], place: int, seed: int, values: Mapping[str, Any]
) -> tuple[Fit, dict[str, np.ndarray]]:
    """Simulate everything that the treatments reach, with the treatments held, in one draw.

    ``values``: what the treatments are while the rest is simulated; codes of categories.
    Result: that draw alone; the simulated columns, of what was observed.
    """
    one = at_draw(fit, place)
    below = fit.structure.descendants(treatments)
    names = [n for n in fit.structure.random if n in below and n in fit.columns]
    world = {name: Set(value) for name, value in values.items()}
    kept = {n: f"recorded({n})" if n in records(fit.structure, [n]) else n for n in names}
    asked = list(kept.values())  # data are what was recorded
    plain = copy(one)
    object.__setattr__(plain, "labels", {})  # codes in, codes out
    drawn = worlds(plain, {"simulated": world}, variables=asked, kind="draw", seed=seed)
    columns = {}
    for name in names:
        array = np.asarray(drawn[kept[name]].isel(world=0, chain=0, draw=0).values)
        columns[name] = array.astype(fit.columns[name].dtype)
        if name in fit.missing:  # what was empty stays empty
            columns[name] = np.where(fit.missing[name], np.nan, columns[name].astype(float))
    return one, columns


def unit_values(fit: Fit, given: object, what: str, like: str) -> np.ndarray:
    """Return a number per unit: the name of a column, or the values themselves.

    ``given``: what the caller gave.
    ``what``: the argument's name.
    ``like``: the variable whose shape it must have.
    """
    if isinstance(given, str):
        if given not in fit.columns:
            raise unknown_variable(given, fit.columns, what="a column of the fit")
        given = fit.columns[given]
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise DataError(
            f"{what}= holds what is no number.", expected="One number per unit."
        ) from None
    shape = np.shape(fit.columns[like])
    if values.shape != shape or not np.isfinite(values).all():
        raise DataError(
            f"{what}= has shape {values.shape}, or cells that are no finite numbers.",
            expected=f"Finite numbers with the shape of {like!r}, {shape}.",
        )
    if np.ptp(values) == 0:
        raise DataError(f"{what}= is constant.", expected="Values that vary between units.")
    return values


def standardized(values: Array) -> Array:
    """Return values with mean 0 and sd 1."""
    return np.asarray((values - np.mean(values)) / np.std(values))


def cluster_codes(fit: Fit, clusters: object) -> tuple[np.ndarray, list[str]]:
    """Return the cluster of each unit along the first unit dim, and the labels.

    ``clusters``: Name of a column, or a label per unit.
    """
    if isinstance(clusters, str):
        known = columns_of(fit)
        if clusters not in known:
            raise unknown_variable(clusters, known, what="a column of the fit")
        labels: Any = known[clusters]
        levels = fit.labels.get(clusters)
        if levels:
            labels = np.asarray(levels, dtype=object)[labels.astype(int)]
    else:
        labels = np.asarray(clusters)
    first = fit.structure.unit_dims[0]
    length = int((fit.sizes or {})[first])
    if np.shape(labels) != (length,):
        raise DataError(
            f"clusters= has shape {np.shape(labels)}.", expected=f"One label for each {first}."
        )
    names, codes = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    if len(names) < 3:
        raise EstimandError(
            f"clusters= has {len(names)} labels.", expected="Three clusters or more."
        )
    return codes, [str(n) for n in names]
