"""The record of a fit: a model, the data it saw, and draws of what it did not see.

A :class:`Fit` is a pair made safe. The draws (a ``DataTree`` of ArviZ's schema) hold the
*parameters*, the *latent* structural variables with all their dims, and the *cells* that were
empty in the data; the columns hold everything else. Together they give every structural variable
a value in every draw, which is what evaluating a world needs:

.. math:: v^{(s)} = v_{obs} \\text{ where seen}, \\quad v^{(s)} \\sim p(v \\mid data) \\text{ where not}.

Draws from the prior and known parameters take the same form (``kind``), so that every question
can be asked of all three.

A pair fails to belong together if a parameter has no draws, if shapes disagree, if what was
observed is not what the data say, or if draws are not numbers. All reasons are found before any is
told.

References
----------
.. [1] R. Kumar, C. Carroll, A. Hartikainen and O. Martin, ArviZ a unified library for exploratory
   analysis of Bayesian models in Python, *Journal of Open Source Software* 4(33), 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.inference.conform import Conformed, conform
from bayescausal.inference.diagnose import Diagnostics, diagnose
from bayescausal.inference.table import Table, as_table, own_table
from bayescausal.model.rebuild import data_values
from bayescausal.model.structure import Structure, structure_of
from bayescausal.types import FitMismatchError, unknown_variable

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import pandas as pd
    import pymc as pm

__all__ = ["Fit", "build_fit", "read_data"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Fit:
    """A model, its data and its draws, known to belong together.

    Made by :func:`bayescausal.fit`, :func:`bayescausal.prior` and :func:`bayescausal.truth`; or
    by hand, from a model and a trace of one's own.

    Parameters
    ----------
    model : pm.Model
        The model, generative or conditioned.
    trace : DataTree, Dataset or mapping of str to array
        Draws with leading dims chain and draw; of a DataTree, the group ``posterior``.
    data : DataFrame, Mapping or Dataset, optional
        What was observed. Default: what the model says was observed.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.

    Attributes
    ----------
    model : pm.Model
        As given.
    structure : Structure
        The model, read.
    data : Table or None
        The columns as they came; None without data.
    draws : xarray.DataTree
        Group ``posterior`` (dims chain, draw, ...), and ``sample_stats`` where sampled.
    kind : {"posterior", "prior", "truth"}
        What the draws are draws from.
    seed : int
        The seed that makes the draws again.
    notes : tuple of str
        What was done and assumed, in words.
    methods : mapping of str to str
        How each block of variables was drawn.
    columns : mapping of str to ndarray
        Data that fit the variables, NaN where missing.
    missing : mapping of str to ndarray of bool
        Where a column is empty.
    coords : mapping of str to ndarray
        Labels of the dims, those of the units as in the data.
    sizes : mapping of str to int, or None
        Lengths of the dims; None where there are no units.
    labels : mapping of str to tuple
        What the codes of a categorical column stand for.
    diagnostics : Diagnostics
        Divergences, r_hat and effective sample size.

    Raises
    ------
    FitMismatchError
        If they do not belong together, with every reason.

    Examples
    --------
    >>> import numpy as np, pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     m = pm.Normal("m")
    ...     y = pm.Normal("y", m, dims="unit")
    >>> draws = np.random.default_rng(1).normal(0.5, 0.7, size=(2, 500))
    >>> bc.Fit(model, {"m": draws}, {"y": [0.2, 0.8]})
    Fit(posterior; 2 units; 2 chains x 500 draws of m)
    """

    model: pm.Model
    structure: Structure
    data: Table | None
    draws: xr.DataTree
    kind: str
    seed: int
    notes: tuple[str, ...]
    methods: Mapping[str, str]
    columns: Mapping[str, np.ndarray]
    missing: Mapping[str, np.ndarray]
    coords: Mapping[str, np.ndarray]
    sizes: Mapping[str, int] | None
    labels: Mapping[str, tuple[Any, ...]]
    diagnostics: Diagnostics

    def __init__(
        self,
        model: pm.Model,
        trace: Any,
        data: Any = None,
        *,
        unit_dims: str | Sequence[str] | None = None,
    ) -> None:
        structure, table, conformed = read_data(model, data, unit_dims)
        if table is None:
            raise FitMismatchError(
                "Neither the model nor `data` say what was observed.",
                expected="data=, or a model with observed variables.",
                remedy="For draws from the prior use bayescausal.prior, for known parameters "
                "bayescausal.truth.",
            )
        tree = _as_tree(trace)
        posterior = _matched(structure, conformed, tree)
        groups = {name: node.to_dataset() for name, node in tree.children.items()}
        _fill(
            self,
            structure=structure,
            table=table,
            conformed=conformed,
            groups={**groups, "posterior": posterior},
            kind="posterior",
            seed=0,
            methods={", ".join(str(v) for v in posterior.data_vars): "given"},
            notes=_beyond(structure, conformed),
        )

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of parameters, latents and missing cells: dims chain, draw and their own."""
        return self.draws["posterior"].to_dataset()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.structure.parameters

    @property
    def latent(self) -> tuple[str, ...]:
        """Structural variables that were not observed, in whole."""
        return tuple(n for n in self.structure.random if n not in self.columns)

    @property
    def observed(self) -> tuple[str, ...]:
        """Random structural variables that were observed, in whole or in part."""
        return tuple(n for n in self.structure.random if n in self.columns)

    @property
    def n_draws(self) -> int:
        """Number of draws, all chains together."""
        sizes = self.draws["posterior"].sizes
        return int(sizes["chain"] * sizes["draw"])

    def varies(self, name: str) -> bool:
        """Whether the value of a variable differs between draws.

        Parameters
        ----------
        name : str
            A structural variable, parameter or ``pm.Data``.

        Returns
        -------
        bool
        """
        return name in self.missing or name in self.draws["posterior"].data_vars

    def value(self, name: str, chain_draw: slice = slice(None)) -> np.ndarray:
        """Return the value of a variable in a block of draws.

        Parameters
        ----------
        name : str
            A structural variable, parameter or ``pm.Data``.
        chain_draw : slice
            Of the draws in a row, chain after chain.

        Returns
        -------
        ndarray
            With the dims of the variable, if it does not vary over draws; else the block of
            draws comes first. Empty cells are filled with their draws.

        Raises
        ------
        UnknownVariableError
            If there is no such variable.
        """
        held = self.draws["posterior"]
        if name in self.missing:
            block = _flat(held[f"{name}_unobserved"], chain_draw)
            array = self.columns[name]
            out = np.repeat(array[None], len(block), axis=0)
            out[:, self.missing[name]] = block.reshape(len(block), -1)
            return out.astype(self._dtype(name))
        if name in self.columns:
            return self.columns[name]
        if name in held.data_vars:
            return _flat(held[name], chain_draw)
        own = data_values(self.model)
        if name in own:
            return own[name]
        raise unknown_variable(name, (*self.structure.nodes, *self.structure.parameters))

    def _dtype(self, name: str) -> Any:
        """Return the dtype of a variable of the model."""
        return self.structure.variable(name).type.dtype

    def summary(self, names: Sequence[str] | None = None, *, prob: float = 0.94) -> pd.DataFrame:
        """Return the parameters as a table.

        Parameters
        ----------
        names : sequence of str, optional
            Default: the parameters.
        prob : float
            Of the highest-density interval.

        Returns
        -------
        DataFrame
            A row per scalar: mean, sd, hdi bounds, and, where there are enough draws, ess, r_hat
            and Monte Carlo errors.
        """
        from bayescausal.inference.diagnose import summarise

        held = self.posterior
        chosen = list(names) if names is not None else [p for p in self.parameters if p in held]
        for name in chosen:
            if name not in held:
                raise unknown_variable(name, [str(v) for v in held.data_vars], what="drawn")
        return summarise(held[chosen], prob=prob)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a file, at once or not at all.

        Parameters
        ----------
        path : path
            Ends in ``.nc`` (netCDF) or ``.zarr``. The model itself is code and is not written:
            :func:`bayescausal.load_fit` takes it back and checks that it is the same.
        """
        from bayescausal.inference.store import save_fit

        save_fit(self, path)

    def __repr__(self) -> str:
        sizes = self.draws["posterior"].sizes
        names = ", ".join(str(v) for v in self.draws["posterior"].data_vars)
        units = _units(self)
        return (
            f"Fit({self.kind}; {units}; {sizes['chain']} chains x {sizes['draw']} draws of {names})"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        head = escape(repr(self))
        return f"<p><code>{head}</code></p>{self.summary().to_html()}<ul>{notes}</ul>"


def build_fit(**fields: Any) -> Fit:
    """Return a :class:`Fit` of parts that were made together (structure, table, ...)."""
    fit = object.__new__(Fit)
    _fill(fit, **fields)
    return fit


def read_data(
    model: pm.Model, data: Any, unit_dims: str | Sequence[str] | None
) -> tuple[Structure, Table | None, Conformed]:
    """Read a model together with the data that it is to be conditioned on.

    Parameters
    ----------
    model : pm.Model
        Generative, or conditioned in whole or in part.
    data : DataFrame, Mapping, Dataset, Table or None
        None: what the model itself observes.
    unit_dims : str or sequence of str, optional
        The dims that count units.

    Returns
    -------
    structure : Structure
        What is named in the data votes on the unit dims.
    table : Table or None
        None where nothing at all is observed.
    conformed : Conformed
        The columns that fit the model (none without data).
    """
    if data is None:
        structure = structure_of(model, unit_dims=unit_dims)
        if not structure.observed:
            return structure, None, Conformed({}, {}, (), {}, {}, {}, ())
        table = own_table(structure)
    else:
        structure = structure_of(model, unit_dims=unit_dims, named=_names_in(data))
        table = own_table(structure, as_table(data, structure))
    return structure, table, conform(table, structure)


# ------------------------------------------------------------------------------- private


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
    return (*names, *(n.partition("[")[0] for n in names if n.endswith("]")))


def _fill(
    fit: Fit,
    *,
    structure: Structure,
    table: Table | None,
    conformed: Conformed,
    groups: Mapping[str, xr.Dataset],
    kind: str,
    seed: int,
    methods: Mapping[str, str],
    notes: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Set the fields of a frozen record."""
    groups = {**groups, "posterior": _ordered(groups["posterior"], structure)}
    diagnostics = diagnose(groups, structure, sampled=kind == "posterior")
    values = {
        "model": structure.model,
        "structure": structure,
        "data": table,
        "draws": xr.DataTree.from_dict(dict(groups)),
        "kind": kind,
        "seed": seed,
        "notes": (*conformed.notes, *notes, *diagnostics.messages),
        "methods": dict(methods),
        "columns": conformed.columns,
        "missing": conformed.missing,
        "coords": conformed.coords,
        "sizes": sizes if table is None else conformed.sizes,
        "labels": conformed.labels,
        "diagnostics": diagnostics,
    }
    for name, value in values.items():
        object.__setattr__(fit, name, value)


def _ordered(posterior: xr.Dataset, structure: Structure) -> xr.Dataset:
    """Return the draws with their variables in the order of the model."""
    rank = {name: i for i, name in enumerate(structure.full)}

    def place(name: Any) -> tuple[int, str]:
        base = str(name).removesuffix("_unobserved")
        return rank.get(str(name), rank.get(base, len(rank))), str(name)

    return posterior[sorted(posterior.data_vars, key=place)]


def _flat(array: xr.DataArray, block: slice) -> np.ndarray:
    """Return a block of the draws, chain after chain, as the first axis."""
    values = array.values
    return values.reshape(-1, *values.shape[2:])[block]


def _units(fit: Fit) -> str:
    """Return the number of units in words."""
    if fit.sizes is None:
        return "no units"
    return " x ".join(f"{fit.sizes[d]} {d}s" for d in fit.structure.unit_dims if d in fit.sizes)


def _as_tree(trace: Any) -> xr.DataTree:
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


def _matched(structure: Structure, conformed: Conformed, tree: xr.DataTree) -> xr.Dataset:
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
        arrays[name] = _shaped(name, held[name], structure, conformed, reasons)
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
    for name, array in arrays.items():
        if array is not None and not np.isfinite(array.values).all():
            reasons.append(f"the draws of {name!r} are not all finite")
    if reasons:
        raise FitMismatchError(
            f"The model, the data and the draws do not belong together: {'; '.join(reasons)}.",
            expected="Draws that pm.sample made with this model on these data.",
        )
    keep = [
        d.name for d in structure.model.deterministics
        if d.name in held and d.name not in structure.deterministics and d.name not in arrays
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


def _beyond(structure: Structure, conformed: Conformed) -> tuple[str, ...]:
    """Say what else is part of the density."""
    if not structure.potentials:
        return ()
    names = ", ".join(structure.potentials)
    return (
        f"The Potentials {names} act on structural variables and are part of the fitted density: "
        "if they select units, an effect in the population needs an argument of its own.",
    )
