"""The record of data by name: one array per variable, each with its own dims.

A model speaks of variables with named dims. A :class:`Table` holds one array per variable, with
the dims of *that* variable, and one set of labels per dim; it is what the fit keeps of the data.
Code that goes through many units takes them in blocks (:meth:`Table.chunks`), so that the data
need not be in memory as a whole.

References
----------
.. [1] S. Hoyer and J. Hamman, xarray: N-D labeled arrays and datasets in Python, *Journal of Open
   Research Software* 5(1), 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.files import unsplit
from bayescausal.model.labels import OtherLabelsError, order_of
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.types import DataError, FixedUnitsError, closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from bayescausal.model.structure.structure import Structure

__all__ = ["Table", "aligned", "before_brackets", "check_sizes", "dim_labels", "wanted_columns"]


def aligned(values: ArrayLike) -> np.ndarray:
    """Return an array whose elements lie where the processor expects them.

    Fields of packed records and what arrives over a network may not, and compiled code refuses
    them.
    """
    return np.require(values, requirements="A")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name, each with its own dims.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.inference import Table
    >>> table = Table({"x": np.arange(5.0)}, {"x": ("unit",)}, {"unit": np.arange(5)}, ("unit",))
    >>> len(table), table.columns, [chunk["x"].tolist() for chunk in table.chunks(rows=3)]
    (5, ('x',), [[0.0, 1.0, 2.0], [3.0, 4.0]])
    """

    values: Mapping[str, np.ndarray]  # one array per column
    dims: Mapping[str, tuple[str, ...]]  # the dims of each column
    coords: Mapping[str, np.ndarray]  # the labels of every dim that a column has
    unit_dims: tuple[str, ...]  # the dims that count units
    # For columns that came as a categorical: its categories, in order.
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()  # names of columns that the model does not have

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.values)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each dim."""
        return {dim: len(labels) for dim, labels in self.coords.items()}

    @property
    def index(self) -> np.ndarray | pd.MultiIndex:
        """Labels of the units: an array, or the product of the labels for several unit dims."""
        if len(self.unit_dims) == 1:
            return self.coords[self.unit_dims[0]]
        import pandas as pd

        return pd.MultiIndex.from_product(
            [self.coords[dim] for dim in self.unit_dims], names=self.unit_dims
        )

    def __len__(self) -> int:
        """Return the number of rows of the tidy form: the cells of the largest column."""
        sizes = self.sizes
        cells = [
            int(np.prod([sizes[d] for d in dims if d in self.unit_dims], dtype=int))
            for dims in self.dims.values()
        ]
        return max(cells, default=0)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one column."""
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __repr__(self) -> str:
        sizes = ", ".join(f"{d}: {n}" for d, n in self.sizes.items() if d in self.unit_dims)
        return f"Table({', '.join(self.columns)}; {sizes})"

    def chunks(self, rows: int = 50_000) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns in blocks of at most `rows` units along the first unit dim.

        `rows`: units of the first unit dim per block.
        Yields: columns without that dim are yielded whole in every block.
        """
        if rows < 1:
            raise DataError(f"chunks(rows={rows}) cannot advance.", expected="rows of 1 or more.")
        first = self.unit_dims[0]
        for start in range(0, self.sizes.get(first, 0), rows):
            yield {
                name: np.take(
                    value,
                    np.arange(start, min(start + rows, self.sizes[first])),
                    axis=self.dims[name].index(first),
                )
                if first in self.dims[name]
                else value
                for name, value in self.values.items()
            }


def wanted_columns(structure: Structure) -> dict[str, tuple[str, ...]]:
    """Return the variables that data may speak of, with their dims."""
    names = dict.fromkeys(structure.nodes)
    names.update(dict.fromkeys(v.name for v in structure.model.data_vars))
    return {name: tuple(structure.dims.get(name, ())) for name in names}


def dim_labels(
    given: Mapping[str, np.ndarray], sizes: Mapping[str, int], structure: Structure
) -> dict[str, np.ndarray]:
    """Return the labels of every dim of the model: given, the model's own, or positions."""
    coords: dict[str, np.ndarray] = {}
    own = dim_sizes(structure.model)
    for dim, length in {**own, **sizes}.items():
        mine = structure.model.coords.get(dim)
        if dim in given and len(given[dim]) == length:
            labels = np.asarray(given[dim])
            if len(set(labels.tolist())) != length:
                raise DataError(
                    f"The labels of {dim!r} are not unique.", expected="One label per unit."
                )
            coords[dim] = labels
        elif mine is not None and len(mine) == length:
            coords[dim] = np.asarray(mine)
        else:
            coords[dim] = np.arange(length)
    return coords


def before_brackets(names: Sequence[str]) -> list[str]:
    """Return what may be the vectors whose entries ``"v[label]"`` are."""
    ends = [n for n in names if n.endswith("]")]
    return [n[:i] for n in ends for i, letter in enumerate(n) if letter == "["]


def check_sizes(table: Table, structure: Structure) -> None:
    """Refuse data without rows, and lengths that the model does not allow."""
    sizes = table.sizes
    named = [name for name in table.columns if name in structure.nodes]
    if not named:
        known = ", ".join(structure.nodes)
        near = tuple(hit for name in table.ignored for hit in closest(name, structure.nodes)[:1])
        raise DataError(
            "No column of the data is a variable of the model.",
            expected=f"Columns among: {known}.",
            names=tuple(dict.fromkeys(near))[:3],
            remedy=unsplit(table.ignored),
        )
    for dim in table.unit_dims:
        if sizes.get(dim) == 0:
            raise DataError(f"The data have no units along {dim!r}.", expected="One or more rows.")
        length = structure.fixed.get(dim)
        if length is not None and dim in sizes:
            _refuse_other_order(structure, dim, table.coords[dim])
        if length is not None and dim in sizes and sizes[dim] != length:
            raise FixedUnitsError(
                f"The data have {sizes[dim]} units along {dim!r}, but the model carries arrays of "
                f"length {length} of its own.",
                expected=f"{length} units.",
                remedy=f"Put those arrays in pm.Data(..., dims={dim!r}), so that they come with "
                "the data.",
            )


def _refuse_other_order(structure: Structure, dim: str, labels: np.ndarray) -> None:
    """Refuse units in another order than that of the arrays which the model carries."""
    mine = structure.model.coords.get(dim)
    try:
        other = mine is not None and order_of(list(mine), labels.tolist()) is not None
    except OtherLabelsError:
        other = True
    if other:
        raise FixedUnitsError(
            f"The model carries arrays of its own along {dim!r}, and the data have its labels in "
            "another order, or other labels.",
            expected=f"rows in the order of the model's {dim!r}.",
            remedy=f"Put those arrays in pm.Data(..., dims={dim!r}), so that they come with the "
            "data; or sort the rows. If the index of the data says nothing of the units, reset it "
            "(reset_index(drop=True)).",
        )
