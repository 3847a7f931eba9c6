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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


__all__ = ["Cells", "Thin", "check_dirichlet", "thin"]


#: So many numbers are held at once.
AT_ONCE = 2_000_000

#: Cells whose pseudo-counts the prior has at most: larger tables share them.
PRIOR_CELLS = 8


#: Shares of the variance that are understated, above which a table is called sparse.
UNDERSTATED = 0.15


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts of discrete data."""

    names: tuple[str, ...]  # the variables
    levels: tuple[np.ndarray, ...]  # the values of each
    counts: np.ndarray  # one axis per variable

    def place(self, name: str, value: object) -> int:
        """Return where a value stands among the levels of a variable."""
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
        """Return the levels of a variable as numbers."""
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

        - `draws`: how many.
        - `prior`: pseudo-counts in every cell of a table of up to eight; a larger one shares those
          of eight.
        - `seed`: the same draws whatever the size of the blocks.
        - `wider`: how many times a block will be blown up by what is done with it.
        Yields: one axis of draws, then one per variable. Where the prior has pseudo-counts no
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
    """What a table lacks for a formula that conditions on combinations of some variables."""

    names: tuple[str, ...]  # the variables
    combinations: int  # how many combinations of their values the formula conditions on
    empty: int  # how many of them hold no row, where other treatments do
    share: float  # the share of the rows that are concerned
    understated: float  # by what share the sd within combinations is understated

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

    - `strata`: the sets of variables that it conditions on.
    - `asked`: places of the levels that the question is about; other variables: all.
    - `acted`: the treatments: a combination counts as empty where another treatment has rows.
    Returns: the worst; None where the table is full.
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


# --------------------------------------------------------------------------- private


def check_dirichlet(draws: Any, prior: Any) -> None:
    """Refuse a number of draws or a pseudo-count that a Dirichlet posterior cannot have."""
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise EstimandError(f"draws={draws!r}.", expected="a whole number from 1 upwards.")
    if not np.isfinite(prior) or prior < 0:
        raise EstimandError(f"prior={prior!r}.", expected="pseudo-counts, from 0 upwards.")
