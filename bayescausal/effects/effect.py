r"""The answer: a posterior of the effect, with everything needed to read it.

An :class:`Effect` keeps the draws, never only a number: one value of the effect for each posterior
draw (and for each cell, where the question has several). Mean, interval and probability are
computed from them on the scale that is shown. The interval is over draws, not over units.

Two errors are kept apart. ``mcse_mean`` is the error of the posterior mean from having finitely
many draws of the chain; ``mc_error`` is the error within each draw from averaging over simulated
noise, zero where the mean is exact.

Effects combine draw by draw, ``effect - effect``, which is right only when both come from the same
posterior draws in the same order (and, where noise is simulated, from one seed); numbers of chains
and draws that differ are refused. An effect can be made from draws alone, so estimators without a
model return the same record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayescausal.draws.intervals import interval as _interval
from bayescausal.draws.named import DRAW_DIMS, as_draws, cells
from bayescausal.draws.summary import sd
from bayescausal.effects.arithmetic import combine, negative
from bayescausal.effects.bounds import checked_bounds, share_inside
from bayescausal.effects.export import as_datatree, as_dict, as_html, as_table, as_text
from bayescausal.effects.words.sentence import say
from bayescausal.figures.dose import plot_dose_response
from bayescausal.figures.effects import plot_effect
from bayescausal.figures.forest import plot_forest
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayescausal.figures.style import Axes
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["Effect"]


class _Default(float):
    """The default limit of `Effect.probability`; an explicit 0.0 is another object."""


_ABOVE = _Default(0.0)


@dataclass(frozen=True, eq=False, repr=False)
class Effect:
    """The posterior of an effect.

    Parameters
    ----------
    draws : DataArray or array_like
        One value for each draw: dims ``chain``, ``draw`` and one for each way in which the
        question has several cells; or an array ``(draw,)`` or ``(chain, draw)``.
    estimand : Estimand, optional
        What was asked.
    identification : optional
        The verdict on whether the data can tell.
    mc_error : float or DataArray, optional
        Monte Carlo error of the posterior mean from simulated noise; 0 where exact.
    seed : int, optional
        The seed of the noise.
    population : str, optional
        Over whom, in words.
    notes : sequence of str
        What a reader must know.
    bounds : DataArray, optional
        Bounds where the answer depends on how worlds are joined: the dims of `draws` and a last dim
        ``bound`` with ``lower``, ``upper``.
    null : float, optional
        The value that means no effect. Default: that of the estimand's scale; 0 without estimand.
    name : str, optional
        A short name. Default: the estimand's heading.
    kind : {"posterior", "prior", "truth"}, optional
        What the draws are draws from. Default: not said, and read as a posterior.
    units : str
        What one calls the units, several of them: ``"patients"``.
    binary : bool
        Whether the outcome is 0 or 1, so that its mean is a probability.
    measured : str, optional
        Of a censored or rounded outcome: whether the variable or its record is meant, in words.

    Raises
    ------
    DataError
        If the draws are not finite numbers, or their axes cannot be told.
    EstimandError
        If the bounds do not fit the draws.

    Examples
    --------
    >>> import numpy as np
    >>> import bayescausal as bc
    >>> bc.Effect(np.linspace(0.1, 0.3, 1001), name="gain")
    gain: 0.200, 94% HDI [0.101, 0.289]
    """

    draws: Any
    estimand: Any = None
    identification: Identification | None = None
    mc_error: Any = None
    seed: int | None = None
    population: str | None = None
    notes: tuple[str, ...] = ()
    bounds: Any = None
    null: float | None = None
    name: str | None = None
    kind: str | None = None
    units: str = "units"
    binary: bool = False
    measured: str | None = None

    def __post_init__(self) -> None:
        label = self.name or (self.estimand.heading() if self.estimand is not None else None)
        _put(self, "draws", as_draws(self.draws, label))
        _put(self, "notes", (self.notes,) if isinstance(self.notes, str) else tuple(self.notes))
        if self.null is None:
            _put(self, "null", 0.0 if self.estimand is None else self.estimand.null)
        if self.bounds is not None:
            _put(self, "bounds", checked_bounds(self.bounds, self.draws))

    @property
    def label(self) -> str:
        """A short name: the name, the estimand's heading, or ``Effect``."""
        return str(self.draws.name or "Effect")

    @property
    def dims(self) -> tuple[str, ...]:
        """The dims of the answer other than chain and draw; empty for one number."""
        return cells(self.draws)

    def mean(self) -> float | xr.DataArray:
        """Return the posterior mean.

        Returns
        -------
        float, or DataArray with the dims of the answer
        """
        return _scalar(self.draws.mean(DRAW_DIMS))

    def sd(self) -> float | xr.DataArray:
        """Return the posterior standard deviation; NaN for one draw.

        Returns
        -------
        float, or DataArray with the dims of the answer
        """
        return _scalar(sd(self.draws))

    def interval(self, prob: float = 0.94, kind: str = "hdi") -> tuple[float, float] | xr.DataArray:
        """Return a credible interval over draws, on the scale that is shown.

        Parameters
        ----------
        prob : float
            Between 0 and 1, both excluded.
        kind : str
            ``"hdi"`` (narrowest) or ``"eti"`` (equal tails).

        Returns
        -------
        (float, float), or DataArray with the dims of the answer and ``ci_bound``

        Raises
        ------
        EstimandError
            For another kind, or a probability outside (0, 1).

        Examples
        --------
        >>> import bayescausal as bc
        >>> bc.Effect(range(101)).interval(prob=0.5, kind="eti")
        (25.0, 75.0)
        """
        ends = _interval(self.draws, prob, kind)
        if self.dims:
            return ends
        low, high = ends.values.tolist()
        return (low, high)

    def probability(
        self,
        above: float | None = _ABOVE,
        below: float | None = None,
        between: tuple[float, float] | None = None,
    ) -> float | xr.DataArray:
        """Return the posterior probability that the effect lies somewhere.

        Parameters
        ----------
        above : float
            Strictly above this; 0 when nothing is said, whatever the scale. For ratios the
            value that means no effect is 1: ask ``above=1``, or ``above=effect.null``.
        below : float, optional
            Strictly below this, instead.
        between : (float, float), optional
            Between these, both included, instead.

        Returns
        -------
        float, or DataArray with the dims of the answer

        Raises
        ------
        EstimandError
            If more than one place is named, or a limit is not a number.

        Examples
        --------
        >>> import bayescausal as bc
        >>> effect = bc.Effect([-1.0, 1.0, 2.0, 3.0])
        >>> effect.probability(), effect.probability(below=0), effect.probability(between=(1, 2))
        (0.75, 0.25, 0.5)
        """
        if above is _ABOVE and (below is not None or between is not None):
            above = None
        return _scalar(share_inside(self.draws, above=above, below=below, between=between))

    def summary(self, prob: float = 0.94, kind: str = "hdi") -> pd.DataFrame:
        """Return a tidy table, one row for each cell of the answer.

        Parameters
        ----------
        prob : float
            Probability of the interval.
        kind : str
            ``"hdi"`` or ``"eti"``.

        Returns
        -------
        DataFrame
            ``mean``, ``sd``, interval ends (``hdi94_lb``, ``hdi94_ub``), ``ess_bulk``,
            ``ess_tail``, ``r_hat``, ``mcse_mean``, ``mc_error``, and the posterior means of the
            bounds (``bound_lb``, ``bound_ub``) if there are any; ``identification`` where it was
            decided. NaN where undefined.
        """
        return as_table(self, prob, kind)

    @property
    def verdict(self) -> str:
        """Whether the data can tell, in a few words, such as ``identified (back door)``."""
        decided = self.identification
        if decided is None:
            return ""
        known = decided.status in ("identified", "under assumption")
        known = known and decided.method not in ("none", "observed")
        return f"{decided.status} ({decided.method})" if known else str(decided.status)

    def __float__(self) -> float:
        if self.dims:
            sizes = ", ".join(f"{dim}: {self.draws.sizes[dim]}" for dim in self.dims)
            raise EstimandError(
                f"{self.label} has several cells ({sizes}), so it is not one number.",
                remedy="Use mean(), or select a cell of draws.",
            )
        return float(self.draws.mean())

    def __neg__(self) -> Effect:
        return negative(self)

    def __sub__(self, other: Effect | float) -> Effect:
        return self._combine(self, other, "-")

    def __rsub__(self, other: Effect | float) -> Effect:
        return self._combine(other, self, "-")

    def __add__(self, other: Effect | float) -> Effect:
        return self._combine(self, other, "+")

    __radd__ = __add__

    def __truediv__(self, other: Effect | float) -> Effect:
        return self._combine(self, other, "/")

    def __rtruediv__(self, other: Effect | float) -> Effect:
        return self._combine(other, self, "/")

    def __mul__(self, other: Effect | float) -> Effect:
        return self._combine(self, other, "*")

    __rmul__ = __mul__

    def _combine(self, a: Effect | float, b: Effect | float, sign: str) -> Effect:
        fields = combine(a, b, sign)
        return NotImplemented if fields is NotImplemented else Effect(**fields)

    def sentence(self, prob: float = 0.94) -> str:
        """Say the answer in words: direction, size, interval, over whom, and why it can be told.

        Parameters
        ----------
        prob : float
            Probability of the highest-density interval.

        Returns
        -------
        str
            An effect *raises* or *lowers* only where the whole interval lies on that side of no
            effect; a lowering is a positive size, so its interval's ends change places.

        Raises
        ------
        EstimandError
            For a probability outside (0, 1).

        Examples
        --------
        >>> import numpy as np
        >>> import bayescausal as bc
        >>> bc.Effect(np.linspace(-0.104, 0.064, 1001), bc.ATE("X", "Y")).sentence()
        'Raising X from 0 to 1 changes Y by -0.020 on average (94% HDI 0.104 lower to 0.054 \
higher).'
        """
        return say(self, prob)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the answer: a density, a forest of several cells, or a curve over doses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: a new figure.
        **options
            Those of :func:`bayescausal.plot_effect`, :func:`bayescausal.plot_forest` or
            :func:`bayescausal.plot_dose_response`, whichever draws it.

        Returns
        -------
        matplotlib.axes.Axes
            Nothing is shown or saved.

        Examples
        --------
        >>> import bayescausal as bc
        >>> ax = bc.Effect([0.1, 0.2, 0.3, 0.2], name="gain").plot()
        >>> ax.get_xlabel()
        'gain'
        """
        if not self.dims:
            return plot_effect(self, ax=ax, **options)
        dose = self.estimand is not None and self.estimand.curve is not None
        return (plot_dose_response if dose else plot_forest)(self, ax=ax, **options)

    def to_datatree(self) -> xr.DataTree:
        """Return the draws in the form that ArviZ reads.

        Returns
        -------
        xarray.DataTree
            Group ``posterior`` (``prior`` where they are draws from the prior) with one variable,
            named by the effect, and ``<name> bounds`` where there are bounds.

        Examples
        --------
        >>> import bayescausal as bc
        >>> tree = bc.Effect([[0.1, 0.3], [0.2, 0.2]], name="gain").to_datatree()
        >>> round(float(tree["posterior/gain"].mean()), 3)
        0.2
        """
        return as_datatree(self)

    def to_dict(self, prob: float = 0.94) -> dict[str, Any]:
        """Return the answer as plain Python values, ready for JSON.

        Parameters
        ----------
        prob : float
            Probability of the interval.

        Returns
        -------
        dict
            What was asked, over whom, and for each cell its labels and the columns of `summary`;
            None where undefined.
        """
        return as_dict(self, prob)

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


# --------------------------------------------------------------------------- private


def _put(effect: Effect, name: str, value: object) -> None:
    object.__setattr__(effect, name, value)


def _scalar(array: xr.DataArray) -> float | xr.DataArray:
    """Return a float for one number, else the array."""
    return array if array.ndim else float(array)
