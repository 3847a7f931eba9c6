r"""Tables of discrete data: counts per cell, and the posterior of the cells' probabilities.

For discrete variables the whole of what data say about their joint distribution is the table of
counts :math:`n_c`. With a Dirichlet prior of :math:`a` pseudo-counts in every cell,

.. math::

    p \mid n \sim \operatorname{Dirichlet}(n_c + a),

exactly [1]_. Conditionals and marginals of p are Dirichlet too, so one pseudo-count in each cell is
a uniform prior on every conditional given the finest cells, and several pseudo-counts on what is
aggregated. In a large table that prior would drown the data, so its weight is bounded: the cells of
a table of more than eight share the pseudo-counts of eight [3]_. :math:`a = 0` is the Bayesian
bootstrap of the rows [2]_, which gives unseen cells probability zero.

*When it fails.* A combination that is conditioned on and holds no row has the prior's answer. One
of m rows understates the variance of a mean within it by a share of about :math:`2 / (m + 1)`, for
the draws vary about the mean of these rows as the bootstrap does. :func:`thin` looks for both.
Values that hardly ever occur twice are not discrete, and are refused.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, section 3.4.
.. [2] D. B. Rubin, "The Bayesian bootstrap", The Annals of Statistics 9, 1981.
.. [3] W. Perks, "Some observations on inverse probability including a new indifference rule",
   Journal of the Institute of Actuaries 73, 1947.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.rows import as_pandas
from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError, EstimandError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

__all__ = ["Cells", "Thin", "check_dirichlet", "read_cells", "read_frame", "thin"]

#: A table with more cells is refused: its posterior would be the prior.
MOST_CELLS = 2_000_000

#: So many numbers are held at once.
AT_ONCE = 2_000_000

#: Cells whose pseudo-counts the prior has at most: larger tables share them.
PRIOR_CELLS = 8

#: With more values than the first, and fewer rows for each than the second, it is not discrete.
#: Numbers with a fraction are so with more values than the last.
MANY_VALUES, ROWS_EACH, FRACTIONS = 20, 5, 10

#: Shares of the variance that are understated, above which a table is called sparse.
UNDERSTATED = 0.15


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

    def pseudo_counts(self, prior: float) -> float:
        """Return the total weight of the prior, in rows."""
        return prior * min(self.counts.size, PRIOR_CELLS)

    def posterior(
        self, draws: int, prior: float, seed: int | None, *, wider: int = 1
    ) -> Iterator[np.ndarray]:
        """Draw from the posterior of the cells' probabilities, block by block.

        Parameters
        ----------
        draws : int
            How many.
        prior : float
            Pseudo-counts in every cell of a table of up to eight; a larger one shares those of
            eight.
        seed : int or None
            The same draws whatever the size of the blocks.
        wider : int
            How many times a block will be blown up by what is done with it.

        Yields
        ------
        ndarray
            One axis of draws, then one per variable. Where the prior has pseudo-counts no
            probability is zero.
        """
        roots = np.random.SeedSequence(seed).spawn(2)
        rng, first, second = (np.random.default_rng(s) for s in (seed, *roots))
        weights = self.counts + self.pseudo_counts(prior) / self.counts.size
        small = (weights > 0) & (weights < SMALL_SHAPE)
        size = max(1, AT_ONCE // (self.counts.size * wider))
        for start in range(0, draws, size):
            many = min(size, draws - start)
            gamma = rng.standard_gamma(weights, size=(many, *weights.shape))
            if small.any():
                shape = np.broadcast_to(weights[small], (many, int(small.sum())))
                gamma[:, small] = _small_gamma(shape, first, second)
            yield gamma / gamma.sum(axis=tuple(range(1, gamma.ndim)), keepdims=True)


#: Shapes of a Gamma law below which its draws can be too small for a float.
SMALL_SHAPE = 0.05


def _small_gamma(
    shape: np.ndarray, first: np.random.Generator, second: np.random.Generator
) -> np.ndarray:
    """Draw from Gamma laws of small shapes; what a float cannot hold keeps its order, above zero.

    ``G(a) = G(a + 1) U ** (1 / a)``. Far down (below e**-100 of a row) only the order of the cells
    matters: which of several empty ones takes all.
    """
    uniform = 1.0 - second.random(shape.shape)
    log = np.log(first.standard_gamma(shape + 1.0)) + np.log(uniform) / shape
    low = np.minimum(log + 100.0, 0.0)
    return np.exp(np.maximum(log, -100.0) - 10.0 * np.log1p(-low / 10.0))


@dataclass(frozen=True)
class Thin:
    """What a table lacks for a formula that conditions on combinations of some variables.

    Parameters
    ----------
    names : tuple of str
        The variables.
    combinations : int
        How many combinations of their values the formula conditions on.
    empty : int
        How many of them hold no row, where other treatments do.
    share : float
        The share of the rows that are concerned.
    understated : float
        By what share the sd within combinations is understated.
    """

    names: tuple[str, ...]
    combinations: int
    empty: int
    share: float
    understated: float

    @property
    def warns(self) -> bool:
        """Whether it is said loudly: nothing observed stands behind a part of the answer."""
        return self.empty > 0 or self.combinations > PRIOR_CELLS

    def sentence(self) -> str:
        """Return it in words."""
        what = f"{self.combinations:,} combinations of {', '.join(self.names)}"
        if self.empty:
            return (
                f"The table is sparse: {self.empty:,} of the {what} that the formula conditions on "
                f"hold no row, so for {max(self.share, 0.001):.1%} of the rows the answer is the "
                "prior's. Merge levels, or fit a model."
            )
        return (
            f"The table is sparse: there are few rows for each of the {what} that the formula "
            f"conditions on, and the sd within them is about {self.understated:.0%} too small. "
            "Merge levels, or fit a model."
        )


def thin(
    cells: Cells,
    strata: Iterable[Iterable[str]],
    asked: Mapping[str, Sequence[int]],
    acted: Sequence[str] = (),
) -> Thin | None:
    """Return where a table is too thin for what a formula conditions on.

    Parameters
    ----------
    strata : iterable of iterable of str
        The sets of variables that it conditions on.
    asked : mapping of str to sequence of int
        Places of the levels that the question is about; other variables: all.
    acted : sequence of str
        The treatments: a combination counts as empty where another treatment has rows.

    Returns
    -------
    Thin or None
        The worst; None where the table is full.
    """
    found = []
    for chosen in {frozenset(s) & frozenset(cells.names) for s in strata} - {frozenset()}:
        names = tuple(n for n in cells.names if n in chosen)
        rest = tuple(i for i, n in enumerate(cells.names) if n not in chosen)
        table = cells.counts.sum(axis=rest)
        own = tuple(i for i, n in enumerate(names) if n in acted)
        among = np.broadcast_to(table.sum(axis=own, keepdims=True), table.shape)
        for i, name in enumerate(names):
            if name in asked:
                table, among = (t.take(sorted(set(asked[name])), axis=i) for t in (table, among))
        empty = (table <= 0) & (among > 0)
        one = among.max(axis=own) if own else among
        share = float(one[empty.any(axis=own)].sum() / max(one.sum(), 1e-300)) if own else 0.0
        rows = table[table > 0]
        lost = float((rows * 2 / (rows + 1)).sum() / rows.sum()) if rows.size else 1.0
        if empty.any() or lost > UNDERSTATED:
            sd = 1 - np.sqrt(max(1 - lost, 0.0))
            found.append(Thin(names, int(table.size), int(empty.sum()), share, float(sd)))
    return max(found, key=lambda t: (t.share, t.empty, t.understated), default=None)


def read_frame(data: Any) -> pd.DataFrame:
    """Return tabular data as pandas: a data frame of any kind, or a mapping of columns.

    Parameters
    ----------
    data : DataFrame or Mapping
        pandas, polars, pyarrow or anything that narwhals reads; or a mapping of columns.

    Raises
    ------
    DataError
        If it is not a table, has no rows, or columns of different lengths.

    Examples
    --------
    >>> from bayescausal.effects.without_model.discrete import read_frame
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

    Raises
    ------
    UnknownVariableError
        If a column is missing.
    DataError
        If a value is missing, counts are not counts, or a variable is not discrete: its values
        hardly ever occur twice, and `levels` does not list them.

    Examples
    --------
    >>> from bayescausal.effects.without_model.discrete import read_cells
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
    for name, (values, codes) in zip(names, found, strict=True):
        if name not in levels:
            _refuse_continuous(name, values, codes, weights, frame)
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


def _refuse_continuous(
    name: str, values: np.ndarray, codes: np.ndarray, weights: np.ndarray, frame: pd.DataFrame
) -> None:
    """Refuse a column whose values hardly ever occur twice."""
    rows = weights.sum()
    if rows <= 1 + 1e-6 and len(frame) > 1:  # shares: how many rows they rest on is not known
        return
    seen = len(np.unique(codes[weights > 0]))
    fractions = values.dtype.kind == "f" and bool((values != np.round(values)).any())
    if seen > (FRACTIONS if fractions else MANY_VALUES) and seen * ROWS_EACH > rows:
        raise DataError(
            f"{name} has {seen:,} different values in {rows:,.0f} rows: it is not discrete.",
            expected="discrete variables, whose values occur many times each.",
            remedy=f"Bin {name}, name its values if they are these (levels={{{name!r}: [...]}}), "
            "or fit a model.",
        )


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
