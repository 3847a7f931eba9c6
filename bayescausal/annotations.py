"""Names for types that stand in many signatures.

Room 0, for annotations alone: import it under ``if TYPE_CHECKING``. It loads nothing, so that
signatures can name PyMC's and PyTensor's types where these are not loaded yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    import networkx as nx
    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray
    from pytensor.tensor.variable import TensorVariable

__all__ = [
    "Array",
    "ArrayNamespace",
    "Data",
    "Executor",
    "GraphLike",
    "Names",
    "Number",
    "Tensor",
]

type Array = NDArray[Any]
"""Numbers, truth values or labels in memory."""

type Number = float | int | np.number[Any] | np.bool_
"""One number."""

type Tensor = Number | Array | TensorVariable
"""Numbers in memory, or the expression of numbers: what a formula written once for both reads."""

type Names = str | Iterable[str]
"""One name or several."""

type GraphLike = str | nx.DiGraph | Mapping[str, Iterable[str]] | Iterable[tuple[str, str]]
"""A graph in any of the forms that :func:`bayescausal.graph.text.read.as_graph` reads."""

type Data = pd.DataFrame | Mapping[str, ArrayLike] | xr.Dataset | str | Path | object
"""Data of units: a table (of any library), a mapping of arrays, a Dataset, or a source of rows."""


class ArrayNamespace(Protocol):
    """The functions that NumPy and PyTensor's ``tensor`` share, for formulas written once."""

    def __getattr__(self, name: str, /) -> Callable[..., Any]: ...


class Executor(Protocol):
    """Runs functions elsewhere: a pool of :mod:`concurrent.futures`, a Dask client."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]: ...
