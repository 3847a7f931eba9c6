"""From a model to its structure and its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm

from bayescausal.model.given import model_of
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import networkx as nx

from bayescausal.model.forests.translate import with_forests
from bayescausal.model.structure.imputed import whole
from bayescausal.model.structure.reader import Reader
from bayescausal.model.structure.structure import Structure, structural_graph
from bayescausal.model.structure.wide_constants import with_wide_constants

__all__ = ["Structure", "graph_of", "readable", "structure_of", "whole_model"]


def graph_of(
    model: object,
    *,
    unit_dims: str | Sequence[str] | None = None,
    deterministics: bool = False,
) -> nx.DiGraph:
    """Read the causal graph off a PyMC model.

    Parameters
    ----------
    model : pymc.Model or Design
        Any model: generative, conditioned on data, or already under ``pm.do``.
    unit_dims : str or sequence of str, optional
        The dims that index units, where the model leaves them open.
    deterministics : bool, default False
        Show the unit-level Deterministics as nodes instead of passing through them.

    Returns
    -------
    networkx.DiGraph
        Frozen. Nodes are the structural variables, parents first, with attributes ``kind``
        (``"random"``, ``"data"`` or ``"deterministic"``), ``family``, ``dims``, ``observed``
        and ``mixes`` (a mapping from unit dim to the reason why the equation mixes units).

    Raises
    ------
    UnitDimsError
        If the unit dims cannot be told: pass `unit_dims`, or give the variables dims.
    FixedUnitsError
        If an equation reads a constant array along the units: put it in ``pm.Data``.
    ModelError
        If the model cannot be read.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     b = pm.Normal("b", 0, 1)
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> list(bc.graph_of(model).edges)
    [('x', 'y')]
    """
    structure = structure_of(whole_model(model), unit_dims=unit_dims)
    structure.refuse_constants()
    if not deterministics:
        return structure.graph
    shown = (*structure.nodes, *structure.deterministics)
    return structural_graph(structure.full, shown, structure)


def whole_model(model: object) -> object:
    """Return a model with the variables that PyMC split for empty cells put together again."""
    model = model_of(model)
    return whole(readable(model)) if isinstance(model, pm.Model) else model


def readable(model: pm.Model) -> pm.Model:
    """Return a model with forests in the place of PyMC-BART's nodes, and whole numbers in 64 bits.

    The same model where it has neither.
    """
    return with_wide_constants(with_forests(model))


def structure_of(
    model: object,
    *,
    unit_dims: str | Sequence[str] | None = None,
    named: Iterable[str] = (),
) -> Structure:
    """Read units, variables and equations off a PyMC model.

    - `model` (pymc.Model): any model.
    - `unit_dims`: the dims that index units, where the model leaves them open.
    - `named`: variables that the data have a column for: then only they, and what the model
      observes, vote on the unit dims.
    """
    model = model.model if isinstance(model, Structure) else model_of(model)
    if not isinstance(model, pm.Model):
        raise ModelError(
            f"Found {type(model).__name__} where a PyMC model is needed.",
            expected="a pymc.Model.",
            remedy="Pass the model itself: with pm.Model(...) as model: ...",
        )
    return Reader(readable(model)).read(unit_dims, frozenset(named))
