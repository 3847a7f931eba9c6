"""The record of a fit: a model, the data it saw, and draws of what it did not see.

A :class:`Fit` is a pair made safe. The draws (a ``DataTree`` of ArviZ's schema) hold the
*parameters*, the *latent* structural variables with all their dims, and the *cells* that were
empty in the data; the columns hold everything else. Together they give every structural variable
a value in every draw, which is what evaluating a world needs:

.. math:: v^{(s)} = v_{obs} \\text{ where seen}, \\quad
   v^{(s)} \\sim p(v \\mid data) \\text{ where not}.

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

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.draws.digits import rows_text
from bayescausal.inference.data.match import as_tree, matched
from bayescausal.inference.data.read import beyond, read_data
from bayescausal.inference.datatree import as_datatree
from bayescausal.inference.marginalize.in_sequence import (
    postponed,
    postponed_draws,
    refuse_postponed,
)
from bayescausal.inference.sampling.diagnose import Diagnostics, diagnose, summarise
from bayescausal.inference.saving import save_fit
from bayescausal.inference.shown import how_drawn, units_of_fit
from bayescausal.model.forests.prior import is_forest
from bayescausal.model.forests.stamp import check_drawn, forests_in
from bayescausal.model.names import Joined, names_of, owner_of
from bayescausal.model.structure.function_graph import data_values
from bayescausal.types import FitMismatchError, unknown_variable

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd
    import pymc as pm
    from numpy.typing import ArrayLike

    from bayescausal.annotations import Data
    from bayescausal.inference.data.columns import Table
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["Fit", "build_fit"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Fit:
    """A model, its data and its draws, known to belong together.

    Made by :func:`bayescausal.fit`, :func:`bayescausal.prior` and :func:`bayescausal.truth`; or
    by hand, from a model and a trace of one's own.

    Parameters
    ----------
    model : pm.Model or Design
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
        As given; a copy where it has ``pm.Data`` that is not of the units.
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
    design : Design or None
        The study design that was fitted; None of a plain model.

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
    design: Design | None

    def __init__(
        self,
        model: pm.Model | Design,
        trace: xr.DataTree | xr.Dataset | Mapping[str, ArrayLike],
        data: Data | None = None,
        *,
        unit_dims: str | Sequence[str] | None = None,
    ) -> None:
        observed = read_data(model, data, unit_dims)
        if observed.table is None:
            raise FitMismatchError(
                "Neither the model nor `data` say what was observed.",
                expected="data=, or a model with observed variables.",
                remedy="For draws from the prior use bayescausal.prior, for known parameters "
                "bayescausal.truth.",
            )
        tree = as_tree(trace)
        posterior = matched(observed.structure, observed.conformed, tree)
        groups = {name: node.to_dataset() for name, node in tree.children.items()}
        made = build_fit(
            **observed._asdict(),
            groups={**groups, "posterior": posterior},
            kind="posterior",
            seed=0,
            methods={Joined(str(v) for v in posterior.data_vars): "given"},
            notes=beyond(observed.structure),
        )
        self.__dict__.update(made.__dict__)

    @property
    def seconds(self) -> float:
        """How long the draws took, compilation included; NaN where nobody looked."""
        return float(self.posterior.attrs.get("fitting_time", np.nan))

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of parameters, latents and missing cells: dims chain, draw and their own."""
        return self.draws["posterior"].to_dataset()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that are numbers; sums of trees are :attr:`forests`."""
        return tuple(n for n in self.structure.parameters if n not in self.forests)

    @property
    def forests(self) -> tuple[str, ...]:
        """Names of the parameters that are sums of trees."""
        return forests_in(self.structure)

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
        """Whether the value of a variable differs between draws."""
        drawn = self._drawn(name) is not None or name in postponed(self.draws)
        return name in self.missing or drawn

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
        """
        if name in self.missing:
            block = self.value(f"{name}_unobserved", chain_draw)
            array = self.columns[name]
            out = np.repeat(array[None], len(block), axis=0)
            out[:, self.missing[name]] = block.reshape(len(block), -1)
            return out.astype(self.structure.variable(name).type.dtype)
        if name in self.columns:
            return self.columns[name]
        drawn = self._drawn(name)
        if drawn is not None:
            if is_forest(self.structure.model.named_vars.get(name)):
                check_drawn(self.structure, name, self._drawn, chain_draw)
            return drawn.reshape(-1, *drawn.shape[2:])[chain_draw]
        if name in postponed(self.draws):
            return postponed_draws(self, name, chain_draw)
        own = data_values(self.model)
        if name in own:
            return own[name]
        raise unknown_variable(name, (*self.structure.nodes, *self.structure.parameters))

    def _drawn(self, name: str) -> np.ndarray | None:
        """Return the draws of a variable, past the records of xarray; None if it has none."""
        found = self.draws.children["posterior"].variables.get(name)
        if found is None or found.dims[:2] != ("chain", "draw"):
            return None
        return np.asarray(found.values)

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
            and Monte Carlo errors; of a posterior, the method by which it was drawn.
        """
        held = self.posterior
        chosen = list(names) if names is not None else [p for p in self.parameters if p in held]
        refuse_postponed(self.draws, chosen)
        if odd := [name for name in chosen if name not in held]:
            raise unknown_variable(odd[0], [str(v) for v in held.data_vars], what="drawn")
        table = summarise(held[chosen], prob=prob)
        if self.kind == "posterior":
            how = {n: m for names, m in self.methods.items() for n in names_of(names)}
            table["method"] = [how.get(owner_of(str(row), how) or "", "") for row in table.index]
        return table

    def to_datatree(
        self, groups: Sequence[str] | None = None, *, seed: int | None = None
    ) -> xr.DataTree:
        """Return the fit with the groups that ArviZ expects.

        Parameters
        ----------
        groups : sequence of str, optional
            Among ``"posterior"``, ``"sample_stats"``, ``"log_likelihood"``, ``"log_prior"``,
            ``"posterior_predictive"``, ``"prior"``, ``"observed_data"`` and ``"constant_data"``.
            Default: all that there are; ``tree.attrs["left_out"]`` says why others are not.
        seed : int, optional
            Of the prior and the predictions. Default: the fit's.

        Returns
        -------
        xarray.DataTree
            For ``az.summary``, ``az.loo``, ``az.plot_ppc_dist``, ``az.psense_summary``, ...
        """
        return as_datatree(self, groups, seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a file, at once or not at all.

        Parameters
        ----------
        path : path
            Ends in ``.nc`` (netCDF) or ``.zarr``. The model, or design, is code and is not
            written: :func:`bayescausal.load_fit` takes it back and checks that it is the same.
        """
        save_fit(self, path)

    def __repr__(self) -> str:
        sizes = self.draws["posterior"].sizes
        names = ", ".join(str(v) for v in self.draws["posterior"].data_vars)
        how = how_drawn(self)
        return (
            f"Fit({self.kind}; {units_of_fit(self)}; "
            f"{sizes['chain']} chains x {sizes['draw']} draws of {names}{how})"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = rows_text(self.summary()).to_html()
        return f"<p><code>{escape(repr(self))}</code></p>{table}<ul>{notes}</ul>"


def build_fit(
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
    all_notes: tuple[str, ...] | None = None,
    design: Design | None = None,
) -> Fit:
    """Return a :class:`Fit` of parts that were made together.

    - `sizes`: lengths of the dims, where there are no data.
    - `all_notes`: in the place of those of the data, `notes`, and those of the diagnostics.
    """
    fit = object.__new__(Fit)
    groups = {**groups, "posterior": _ordered(groups["posterior"], structure)}
    diagnostics = diagnose(groups, structure, methods if kind == "posterior" else None)
    values = {
        "model": structure.model,
        "structure": structure,
        "data": table,
        "draws": xr.DataTree.from_dict(dict(groups)),
        "kind": kind,
        "seed": seed,
        "notes": (
            (*conformed.notes, *notes, *diagnostics.messages) if all_notes is None else all_notes
        ),
        "methods": dict(methods),
        "columns": conformed.columns,
        "missing": conformed.missing,
        "coords": conformed.coords,
        "sizes": sizes if table is None else conformed.sizes,
        "labels": conformed.labels,
        "diagnostics": diagnostics,
        "design": design,
    }
    fit.__dict__.update(values)
    for name in fit.forests:
        check_drawn(structure, name, fit._drawn)
    return fit


# ------------------------------------------------------------------------------- private


def _ordered(posterior: xr.Dataset, structure: Structure) -> xr.Dataset:
    """Return the draws with their variables in the order of the model."""
    rank = {name: i for i, name in enumerate(structure.full)}

    def place(name: Hashable) -> tuple[int, str]:
        base = str(name).removesuffix("_unobserved")
        return rank.get(str(name), rank.get(base, len(rank))), str(name)

    order = sorted(posterior.data_vars, key=place)
    if order == list(posterior.data_vars):
        return posterior
    held = {d: posterior.coords[d] for d in ("chain", "draw") if d in posterior.coords}
    return posterior[order].assign_coords(held)
