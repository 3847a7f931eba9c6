r"""Tables of discrete data: counts per cell, and the posterior of the cells' probabilities.

For discrete variables the whole of what data say about their joint distribution is the table of
counts :math:`n_c`. With a Dirichlet prior of :math:`a` pseudo-counts in every cell,

.. math::

    p \mid n \sim \operatorname{Dirichlet}(n_c + a),

exactly [1]_. Conditionals and marginals of p are Dirichlet too, so :math:`a = 1` puts a uniform
prior on every conditional given the finest cells, and one of *several* pseudo-counts on what is
aggregated. With many cells and few rows the prior speaks louder than the data; :math:`a = 0` is the
Bayesian bootstrap of the rows [2]_, which gives unseen cells probability zero.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, section 3.4.
.. [2] D. B. Rubin, "The Bayesian bootstrap", The Annals of Statistics 9, 1981.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError, EstimandError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

__all__ = ["Cells", "check_dirichlet", "read_cells", "read_frame"]

#: A table with more cells is refused: its posterior would be the prior.
MOST_CELLS = 2_000_000

#: So many numbers are held at once.
AT_ONCE = 2_000_000


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts of discrete data.

    Parameters
    ----------
    names : tuple of str
        The variables.
    levels : tuple of ndarray
        The values of each.
    counts : ndarray
        One axis per variable.
    """

    names: tuple[str, ...]
    levels: tuple[np.ndarray, ...]
    counts: np.ndarray

    def place(self, name: str, value: Any) -> int:
        """Return where a value stands among the levels of a variable.

        Raises
        ------
        EstimandError
            If the data never show it.
        """
        levels = self.levels[self.names.index(name)]
        found = [i for i, level in enumerate(levels.tolist()) if level == value]
        if not found:
            raise EstimandError(
                f"{name} is never {value!r} in the data.",
                expected=f"one of {', '.join(map(repr, levels.tolist()[:20]))}.",
                remedy=f"Name the values it can take: levels={{{name!r}: [...]}}.",
            )
        return found[0]

    def numbers(self, name: str) -> np.ndarray:
        """Return the levels of a variable as numbers.

        Raises
        ------
        EstimandError
            If they are not numbers.
        """
        levels = self.levels[self.names.index(name)]
        if levels.dtype.kind not in "biuf":
            raise EstimandError(
                f"{name} has the values {', '.join(map(repr, levels.tolist()[:5]))}, which have "
                "no mean.",
                remedy=f"Ask for the probability of one of them: event={levels.tolist()[0]!r}.",
            )
        return levels.astype(float)

    def probabilities(self) -> np.ndarray:
        """Return the shares of the cells in the data."""
        return np.asarray(self.counts / self.counts.sum())

    def posterior(
        self, draws: int, prior: float, seed: int | None, *, wider: int = 1
    ) -> Iterator[np.ndarray]:
        """Draw from the posterior of the cells' probabilities, block by block.

        Parameters
        ----------
        draws : int
            How many.
        prior : float
            Pseudo-counts in every cell.
        seed : int or None
            The same draws whatever the size of the blocks.
        wider : int
            How many times a block will be blown up by what is done with it.

        Yields
        ------
        ndarray
            One axis of draws, then one per variable.
        """
        rng = np.random.default_rng(seed)
        size = max(1, AT_ONCE // (self.counts.size * wider))
        for start in range(0, draws, size):
            shape = (min(size, draws - start), *self.counts.shape)
            gamma = rng.standard_gamma(self.counts + prior, size=shape)
            yield gamma / gamma.sum(axis=tuple(range(1, gamma.ndim)), keepdims=True)


def read_frame(data: Any) -> pd.DataFrame:
    """Return tabular data as pandas: a data frame of any kind, or a mapping of columns.

    Parameters
    ----------
    data : DataFrame or Mapping
        pandas, polars, pyarrow or anything that narwhals reads; or a mapping of columns.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    DataError
        If it is not a table, has no rows, or columns of different lengths.

    Examples
    --------
    >>> from bayescausal.effects.discrete import read_frame
    >>> read_frame({"x": [0, 1], "y": [1, 1]}).shape
    (2, 2)
    """
    import pandas as pd

    if isinstance(data, Mapping):
        try:
            data = pd.DataFrame({str(name): np.asarray(column) for name, column in data.items()})
        except ValueError as error:
            raise DataError(
                "The columns of the data do not make a table.",
                expected="columns of one dimension and the same length.",
            ) from error
    if not isinstance(data, pd.DataFrame):
        from bayescausal.inference.rows import as_pandas

        return as_pandas(data)
    twice = data.columns[data.columns.duplicated()].unique()
    if len(twice) or not len(data):
        raise DataError(
            f"The data have several columns named {twice[0]!r}."
            if len(twice)
            else "The data have no rows.",
            expected="one column per name, and one row or more.",
        )
    return data


def read_cells(
    data: Any,
    names: Sequence[str],
    *,
    count: str | None = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
) -> Cells:
    """Count the rows in each cell of discrete variables.

    Parameters
    ----------
    data : DataFrame or Mapping
        One row per unit, or one row per cell with a column of counts.
    names : sequence of str
        The variables.
    count : str, optional
        The column of counts (or probabilities).
    levels : mapping from str to sequence, optional
        The values a variable can take, where the data may not show all of them.

    Returns
    -------
    Cells

    Raises
    ------
    UnknownVariableError
        If a column is missing.
    DataError
        If a value is missing, counts are not counts, or the table is too large to be discrete.

    Examples
    --------
    >>> from bayescausal.effects.discrete import read_cells
    >>> read_cells({"x": [0, 1, 1], "y": [0, 0, 1]}, ["x", "y"]).counts
    array([[1., 0.],
           [1., 1.]])
    """
    frame = read_frame(data)
    for name in (*names, *((count,) if count is not None else ())):
        if name not in frame.columns:
            raise unknown_variable(name, map(str, frame.columns), what="a column of the data")
    levels = dict(levels or {})
    for name in levels:
        if name not in names:
            raise unknown_variable(name, names, what="a variable of the formula")
    weights = _weights(frame, count)
    found = [_levels(frame, name, levels.get(name)) for name in names]
    size = int(np.prod([float(len(values)) for values, _ in found]))
    if size > MOST_CELLS:
        raise DataError(
            f"The table of {', '.join(names)} has {size:,} cells.",
            expected="discrete variables with few values.",
            remedy="Bin the variables, or fit a model.",
        )
    counts = np.zeros([len(values) for values, _ in found])
    np.add.at(counts, tuple(codes for _, codes in found), weights)
    return Cells(tuple(names), tuple(values for values, _ in found), counts)


# --------------------------------------------------------------------------- private


def _weights(frame: pd.DataFrame, count: str | None) -> np.ndarray:
    if count is None:
        return np.ones(len(frame))
    try:
        weights = frame[count].to_numpy(dtype=float)
    except (TypeError, ValueError):
        weights = np.array([np.nan])
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise DataError(
            f"The column {count!r} does not hold counts.",
            expected="numbers from zero upwards, not all zero.",
        )
    return weights


def _levels(
    frame: pd.DataFrame, name: str, wanted: Sequence[Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column in order, and which of them each row has."""
    import pandas as pd

    column = frame[name]
    kind = kind_of(column)
    if kind.what == "number":
        column = pd.Series(kind.values)
    missing = int(column.isna().sum())
    if missing:
        raise DataError(
            f"{name} is missing in {missing} of {len(column)} rows.",
            expected="complete rows.",
            remedy="Leave those rows out if they are missing at random, or fit a model.",
        )
    if wanted is not None:
        values = np.array(list(dict.fromkeys(wanted)))
    elif kind.categories is not None:
        values = np.array(list(kind.categories))
    else:
        values = np.array(sorted(column.unique().tolist(), key=_order))
    at = {value: i for i, value in enumerate(values.tolist())}
    codes = np.array([at.get(value, -1) for value in column.tolist()])
    if (codes < 0).any():
        other = column.tolist()[int(np.argmin(codes))]
        raise DataError(
            f"{name} is {other!r} in the data, which levels= does not list.",
            expected=f"one of {', '.join(map(repr, values.tolist()[:20]))}.",
        )
    return values, codes


def _order(value: Any) -> tuple[bool, Any]:
    number = isinstance(value, (bool, int, float))
    return (not number, value if number else str(value))


def check_dirichlet(draws: Any, prior: Any) -> None:
    """Refuse a number of draws or a pseudo-count that a Dirichlet posterior cannot have.

    Raises
    ------
    EstimandError
    """
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise EstimandError(f"draws={draws!r}.", expected="a whole number from 1 upwards.")
    if not np.isfinite(prior) or prior < 0:
        raise EstimandError(f"prior={prior!r}.", expected="pseudo-counts, from 0 upwards.")
