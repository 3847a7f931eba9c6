r"""What an instrument says without linearity or monotonicity: bounds.

An instrument Z acts on X, on Y through X alone, and shares no cause with either:
``Z -> X -> Y; X <-> Y``. For discrete variables the unmeasured causes of X and Y matter only
through the unit's *response type* [1]_: the function :math:`r_X` by which its X follows Z and the
function :math:`r_Y` by which its Y follows X. With :math:`q(r_X, r_Y)` the shares of the types,
what is seen is linear in q,

.. math::

    P(x, y \mid z) = \sum_{r_X(z) = x,\; r_Y(x) = y} q(r_X, r_Y),

and so is :math:`E[Y \mid do(x)] = \sum q\, r_Y(x)`. The smallest and the largest value over all
q that reproduce :math:`P(x, y \mid z)` are two linear programs; they are sharp bounds. For each
draw of P from its Dirichlet posterior they give a draw of the bounds, so the uncertainty of finite
data is added to what the instrument leaves open.

Solving a program per draw is not needed: the optimal basis of one draw stays optimal wherever it
stays feasible, so a few programs, found by HiGHS, serve thousands of draws by matrix products.

*When it fails.* No q may exist: the data then refute the instrument (its *instrumental inequality*
fails [2]_). Draws of which that is so are left out, and their share is reported; where it is nearly
all, the call is refused.

References
----------
.. [1] A. Balke and J. Pearl, "Bounds on treatment effects from studies with imperfect compliance",
   Journal of the American Statistical Association 92, 1997.
.. [2] J. Pearl, "On the testability of causal models with latent and instrumental variables",
   UAI 1995.
"""

from __future__ import annotations

import html
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.intervals import check_prob, hdi
from bayescausal.effects.without_model.discrete import Cells, check_dirichlet, thin
from bayescausal.effects.without_model.read_table import read_cells
from bayescausal.effects.without_model.response_types import response_bounds
from bayescausal.types import DataError, EstimandError, IdentificationError, SparseTableWarning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Data

__all__ = ["InstrumentBounds", "instrument_bounds"]


@dataclass(frozen=True, eq=False, repr=False)
class InstrumentBounds:
    """Bounds on an effect, one pair for each draw.

    Parameters
    ----------
    lower, upper : mapping from str to ndarray
        For ``"difference"``, ``"treated"`` and ``"control"``: a value for each draw.
    instrument, treatment, outcome : str
        The variables.
    treated, control : value
        The values of the treatment.
    refuted : float
        The share of posterior draws that no instrument could have produced; they are left out.
    rows : float
        How many rows the table has.
    seed : int or None
        The seed of the draws.
    event : value, optional
        The outcome is whether the variable has this value.
    """

    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    instrument: str
    treatment: str
    outcome: str
    treated: Any
    control: Any
    refuted: float
    rows: float
    seed: int | None = field(default=None)
    event: Any = None

    def summary(self, prob: float = 0.94) -> pd.DataFrame:
        """Return a table with a row for the difference and for each world.

        Parameters
        ----------
        prob : float
            Probability of the intervals.

        Returns
        -------
        DataFrame
            Posterior means of the bounds (``lower``, ``upper``), and the narrowest pair of
            limits that contains both bounds with probability at least `prob` by equal
            tails (``region_lb``, ``region_ub``): the effect lies there with at least that
            probability, whatever the types.
        """
        tail = (1 - check_prob(prob)) / 2
        rows = {}
        for what, name in self._labels().items():
            low, high = self.lower[what], self.upper[what]
            rows[name] = {
                "lower": low.mean(),
                "upper": high.mean(),
                "region_lb": np.quantile(low, tail),
                "region_ub": np.quantile(high, 1 - tail),
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def interval(self, prob: float = 0.94, bound: str = "lower") -> tuple[float, float]:
        """Return the HDI of one bound of the difference.

        Parameters
        ----------
        prob : float
            Probability of the interval.
        bound : {"lower", "upper"}
            Which.

        Returns
        -------
        (float, float)

        Raises
        ------
        EstimandError
            For another bound.
        """
        if bound not in ("lower", "upper"):
            raise EstimandError(f"bound={bound!r}.", expected="'lower' or 'upper'.")
        low, high = hdi(getattr(self, bound)["difference"], prob).values.tolist()
        return low, high

    def sentence(self) -> str:
        """Return the bounds in words."""
        row = self.summary().iloc[0]
        parts = [
            f"With {self.instrument} as an instrument, and nothing assumed about the equations, "
            f"the effect of {self.treatment} on {self._outcome()} lies between "
            f"{row['lower']:.4f} and {row['upper']:.4f}."
        ]
        if len(self.lower["difference"]) > 1:
            parts.append(
                f"With the uncertainty of {self.rows:g} rows: between {row['region_lb']:.4f} and "
                f"{row['region_ub']:.4f}, with probability at least 94%."
            )
        if self.refuted > 0.001:
            parts.append(
                f"{self.refuted:.1%} of the posterior draws could come from no instrument."
            )
        return " ".join(parts)

    def __repr__(self) -> str:
        row = self.summary().iloc[0]
        text = f"{self._labels()['difference']}: between {row['lower']:.4f} and {row['upper']:.4f}"
        if len(self.lower["difference"]) > 1:
            text += f", 94% region [{row['region_lb']:.4f}, {row['region_ub']:.4f}]"
        return text

    def _repr_html_(self) -> str:
        table = self.summary().to_html(float_format=lambda v: f"{v:.4f}", border=0)
        return f"<p>{html.escape(self.sentence())}</p>{table}"

    def _outcome(self) -> str:
        return self.outcome if self.event is None else f"{self.outcome}={self.event}"

    def _labels(self) -> dict[str, str]:
        form = "E[{} | do({}={})]" if self.event is None else "P({} | do({}={}))"
        one, other = (
            form.format(self._outcome(), self.treatment, v) for v in (self.treated, self.control)
        )
        return {"difference": f"{one} - {other}", "treated": one, "control": other}


def instrument_bounds(
    data: Data,
    instrument: str,
    treatment: str,
    outcome: str,
    *,
    treated: object = 1,
    control: object = 0,
    event: object = None,
    count: str | None = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
    draws: int = 4000,
    prior: float = 1.0,
    empirical: bool = False,
    seed: int | None = None,
) -> InstrumentBounds:
    """Bound the average effect by an instrument, for each draw of a Dirichlet posterior.

    Parameters
    ----------
    data : DataFrame or Mapping
        Discrete columns, one row per unit; or one row per cell, with `count`.
    instrument, treatment, outcome : str
        The columns. Each may have several values; the outcome needs numbers, or an `event`.
    treated, control : value
        The two values of the treatment.
    event : value, optional
        Bound the probability of this value of the outcome instead of its mean.
    count : str, optional
        The column of counts.
    levels : mapping from str to sequence, optional
        The values that a variable can take, where the data may not show all of them.
    draws : int
        Draws from the posterior.
    prior : float
        Pseudo-counts in each cell of (instrument, treatment, outcome); a table of more than eight
        cells shares those of eight.
    empirical : bool
        Bounds from the shares of the data instead: one pair, no posterior.
    seed : int, optional
        Seed of the draws.

    Returns
    -------
    InstrumentBounds
        Bounds on the difference and on each world's mean, a value for each draw.

    Warns
    -----
    SparseTableWarning
        If there are few rows at each value of the instrument.

    Raises
    ------
    IdentificationError
        If the data refute the instrument: 95% of the draws or more, or the shares themselves.
    EstimandError
        If a value is unknown, variables coincide, or there are too many response types.
    UnknownVariableError
        If a column is missing.
    DataError
        If the data are not discrete and complete, or an arm of the instrument is empty.

    Examples
    --------
    >>> import bayescausal as bc
    >>> vitamin_a = {
    ...     "assigned": [0, 0, 1, 1, 1, 1],
    ...     "taken": [0, 0, 0, 0, 1, 1],
    ...     "survived": [0, 1, 0, 1, 0, 1],
    ...     "n": [74, 11514, 34, 2385, 12, 9663],
    ... }
    >>> bc.instrument_bounds(vitamin_a, "assigned", "taken", "survived", count="n", empirical=True)
    E[survived | do(taken=1)] - E[survived | do(taken=0)]: between -0.1946 and 0.0054
    """
    names = (instrument, treatment, outcome)
    if len(set(names)) < 3:
        raise EstimandError(
            f"The variables {', '.join(map(str, names))} are not three.",
            expected="an instrument, a treatment and an outcome.",
        )
    check_dirichlet(draws, prior)
    cells = read_cells(data, names, count=count, levels=levels)
    places = (cells.place(treatment, treated), cells.place(treatment, control))
    score = cells.numbers(outcome) if event is None else _indicator(cells, outcome, event)
    if empirical:
        joint = cells.probabilities()[None]
    else:
        if cells.counts.sum() <= 1 + 1e-6 and count is not None:
            raise DataError(
                f"The column {count!r} sums to {cells.counts.sum():.4g}: shares, not counts.",
                expected="counts.",
                remedy="Pass counts, or empirical=True for the bounds without a posterior.",
            )
        joint = np.concatenate(list(cells.posterior(draws, prior, seed)))
        sparse = thin(cells, [[instrument]], {})
        if sparse is not None and sparse.warns:
            warnings.warn(sparse.sentence(), SparseTableWarning, stacklevel=2)
    arms = joint.sum(axis=(2, 3), keepdims=True)
    if (arms <= 0).any():
        at = int(np.argwhere(arms[:, :, 0, 0] <= 0)[0, 1])
        raise DataError(
            f"No unit has {instrument}={cells.levels[0].tolist()[at]!r}.",
            expected="units at every value of the instrument.",
        )
    lower, upper, possible = response_bounds(joint / arms, score, *places)
    if possible.mean() <= 0.05:
        raise IdentificationError(
            f"{instrument} is no instrument for {treatment} and {outcome}: {possible.mean():.1%} "
            "of the posterior draws satisfy the instrumental inequality.",
            expected="an instrument that acts on the outcome through the treatment alone.",
            remedy="Look for a direct effect, or a common cause of the two.",
        )
    return InstrumentBounds(
        lower,
        upper,
        *names,
        treated,
        control,
        1 - float(possible.mean()),
        float(cells.counts.sum()),
        None if empirical else seed,
        event,
    )


# --------------------------------------------------------------------------- private


def _indicator(cells: Cells, name: str, event: object) -> np.ndarray:
    score = np.zeros(len(cells.levels[cells.names.index(name)]))
    score[cells.place(name, event)] = 1.0
    return score
