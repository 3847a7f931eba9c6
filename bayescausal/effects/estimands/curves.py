r"""Beyond one average: quantile effects, dose-response curves, slopes.

.. math::

   Q_q[Y \mid do(1)] - Q_q[Y \mid do(0)], \qquad
   x \mapsto E[Y \mid do(x)], \qquad
   \frac{d}{dh} E[Y \mid do(X + h)] \Big|_{h=0}.

A quantile effect compares the same rank in two populations, not the same person. A dose-response
curve outside the doses that were seen is extrapolation by the model. A slope is an average of
derivatives at the units' own doses, which equals the derivative of the curve only where the curve
is straight or the dose is common.

References
----------
S. Firpo, "Efficient semiparametric estimation of quantile treatment effects", Econometrica 75
(2007), 259-276.
J. L. Powell, J. H. Stock and T. M. Stoker, "Semiparametric estimation of index coefficients",
Econometrica 57 (1989), 1403-1430.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.effects.estimands.averages import TreatmentEffect
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.estimands.functionals import Quantile
from bayescausal.effects.estimands.notation import Notation, Symbol, number
from bayescausal.effects.estimands.parsing import (
    World,
    as_world,
    refuse_options,
    refuse_same_worlds,
)
from bayescausal.effects.estimands.parts import Arm
from bayescausal.effects.words.intervention import circumstance
from bayescausal.effects.words.subject import among, on_scale, told_as
from bayescausal.types import EstimandError, Set, Shift

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.effects.estimands.parts import Teller

__all__ = ["QTE", "DoseResponse", "Slope"]

#: Step of a slope whose treatment has no spread.
STEP = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class QTE(TreatmentEffect):
    """The quantile treatment effect, ``Q_q[Y | do(X=1)] - Q_q[Y | do(X=0)]``.

    A difference of marginal quantiles: not the quantile of the unit-level differences, for
    which ask ``ITE(functional=Quantile(q))``.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`ATE`.
    q : float
        Between 0 and 1, both excluded.
    given, population, by
        As for every question (:class:`Estimand`). The functional is the quantile.

    Raises
    ------
    EstimandError
        As for :class:`ATE`, for q outside (0, 1), and for another functional.

    References
    ----------
    S. Firpo, "Efficient semiparametric estimation of quantile treatment effects",
    Econometrica 75 (2007), 259-276.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.QTE("X", "Y", q=0.9).describe()
    'Q_0.9[Y | do(X=1)] - Q_0.9[Y | do(X=0)]'
    """

    kind: ClassVar[str] = "qte"

    q: float = field(kw_only=True)

    def _check(self) -> None:
        quantile = Quantile(self.q)
        if self.functional != quantile:
            refuse_options(self, functional="mean")
        self._put("functional", quantile)
        refuse_same_worlds(self)

    def label(self) -> str:
        """Return ``QTE(0.9) X -> Y``."""
        return super().label().replace("QTE", f"QTE({number(self.q)})", 1)


@dataclass(frozen=True, eq=False, repr=False)
class DoseResponse(Estimand):
    """The dose-response curve, ``x -> E[Y | do(X=x)]``.

    Parameters
    ----------
    treatment : str
        One treatment; the answer has a dim of that name.
    outcome : str
        The outcome.
    values : sequence of float
        Where the curve is evaluated: finite and different.
    control : level, optional
        With it the curve is the effect of each value against this one, on `scale`. Without it
        (the default) it is the expected outcome itself.
    scale : str or EffectScale
        How each value is compared with the control; needs `control`.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        If there is no value, values repeat or are not finite, or a scale has no control.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.DoseResponse("dose", "pain", values=[0, 1, 2]).describe()
    'E[pain | do(dose=x)], x in {0, 1, 2}'
    """

    kind: ClassVar[str] = "dose-response"

    treatment: Any
    outcome: str
    values: Any = field(kw_only=True)
    control: Any = field(default=None, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        if not isinstance(self.treatment, str):
            raise EstimandError(
                f"DoseResponse of {len(self.treatments)} treatments.",
                remedy="Name one; ask Expected for chosen combinations of several.",
            )
        values = np.atleast_1d(np.asarray(self.values))
        if values.ndim != 1 or not values.size or values.dtype.kind not in "biuf":
            raise EstimandError(
                f"values={self.values!r} for {self.treatment!r}.",
                expected="One or more numbers, in one list.",
                remedy="Of a category ask Expected for each level.",
            )
        as_world({self.treatment: values})
        if len(np.unique(values)) < len(values):
            raise EstimandError(f"values={self.values!r} repeats a value.")
        values.setflags(write=False)
        self._put("values", values)
        if self.control is None:
            refuse_options(self, scale="difference")

    @property
    def null(self) -> float | None:
        """The scale's null where there is a control, else None."""
        return None if self.control is None else self.scale.null

    @property
    def levels(self) -> dict[str, Any]:
        """The value of each world that is a point of the curve, in the order of `values`."""
        return {f"{self.treatment}={value!r}": value for value in self.values.tolist()}

    def _at(self, value: float) -> float:
        """Return a value, the control's where the two differ by rounding alone."""
        level = self.control.value if isinstance(self.control, Set) else self.control
        number = isinstance(level, Real) and not isinstance(level, bool)
        rounding = 1e-14 * float(np.abs(self.values).max())
        return level if number and 0 < abs(value - level) <= rounding else value

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return one world for each value (see `levels`), and ``"control"`` if there is one."""
        curve: dict[str, World] = {
            key: {self.treatment: Set(self._at(value))} for key, value in self.levels.items()
        }
        if self.control is not None:
            curve["control"] = as_world({self.treatment: self.control})
        return curve

    @property
    def curve(self) -> tuple[str, Any]:
        """The treatment and its values: the axis of the curve."""
        return self.treatment, self.values

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return an arm for each value, and the control's if there is one."""
        condition = self.condition
        return tuple(Arm(name, name, condition) for name in self.worlds())

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return the curve along the first axis, against the control if there is one."""
        if self.control is None:
            return values
        return np.stack([self.scale.combine(value, values[-1]) for value in values[:-1]])

    def opening(self, said: Teller) -> str:
        """Return ``with dose set to each value, Y on average is``."""
        if self.control is None:
            what = f"{said.quantity()[0]}{said.taken()}"
            return f"with {self.treatment} set to each value, {what}{said.within()} is"
        levels = f"setting {self.treatment} to each value rather than {self._base() or 'nothing'}"
        return f"{levels} changes{on_scale(self, said)}{said.within()}"

    def ask(self, said: Teller) -> str:
        """Return ``what is Y on average with dose set to each value``."""
        setting = f"{self.treatment} set to each value"
        what = f"{said.quantity()[0]}{said.taken()}{among(said.units, self.given)}"
        if self.control is None:
            return f"what is {what} with {setting}"
        base = self._base() or "nothing done"
        return f"how does {what} with {setting} differ from that with {base}{told_as(self)}"

    def _base(self) -> str:
        return circumstance(self.worlds()["control"])

    def write(self, notation: Notation) -> str:
        """Return ``E[Y | do(X=x)], x in {...}``."""
        curve = self._expected(notation, {self.treatment: Symbol("x")})
        if self.control is not None:
            control = self._expected(notation, as_world({self.treatment: self.control}))
            curve = self.scale.write(notation, curve, control)
        values = self.values.tolist()
        if len(values) > 6:
            values = [number(values[0]), number(values[1]), "...", number(values[-1])]
            inside = ", ".join(values).replace("...", r"\dots" if notation.latex else "...")
            levels = rf"\{{{inside}\}}" if notation.latex else f"{{{inside}}}"
        else:
            levels = notation.levels(values)
        return f"{curve}, {notation.relation('x', 'in', levels)}"


@dataclass(frozen=True, eq=False, repr=False)
class Slope(Estimand):
    """The average derivative of the outcome in the treatment.

    Each unit's treatment is moved a little from where it is, ``d/dh E[Y | do(X=X+h)]`` at h = 0,
    or from one common value with ``at=x``. Taken as a central difference between two worlds,
    with an error of order `step` squared.

    Parameters
    ----------
    treatment, outcome : str
        One continuous treatment, and the outcome.
    at : float, optional
        The common value from which the treatment is moved. Default: each unit's own.
    step : float, optional
        Half the distance between the two worlds, in the units of the treatment. The answer is
        the contrast of the worlds divided by `divisor`. Default: a thousandth of the treatment's
        standard deviation among the units, .001 where it has none.
    scale : str
        ``"difference"``, or ``"log ratio"`` for the relative change per unit of treatment.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        For several treatments, a step that is not positive, or another scale.

    References
    ----------
    J. L. Powell, J. H. Stock and T. M. Stoker, "Semiparametric estimation of index
    coefficients", Econometrica 57 (1989), 1403-1430.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Slope("dose", "pain").describe()
    'd/dh E[pain | do(dose=dose+h)] at h=0'
    """

    kind: ClassVar[str] = "slope"
    derivative: ClassVar[bool] = True
    beside: ClassVar = "line"

    treatment: Any
    outcome: str
    at: Any = field(default=None, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        if not isinstance(self.treatment, str):
            raise EstimandError(
                f"Slope in {len(self.treatments)} treatments.", remedy="Ask one slope for each."
            )
        if self.step is not None and (np.ndim(self.step) or not 0 < self.step < np.inf):
            raise EstimandError(f"step={self.step!r}.", expected="A positive number.")
        if self.at is not None and not (isinstance(self.at, Real) and np.isfinite(float(self.at))):
            raise EstimandError(f"at={self.at!r}.", expected="One finite value, or None.")
        if self.scale.name not in ("difference", "log ratio"):
            raise EstimandError(
                f"Slope has no scale {self.scale.name!r}.",
                expected="'difference' or 'log ratio'.",
            )

    @property
    def null(self) -> float:
        """Zero: the outcome does not change."""
        return 0.0

    @property
    def divisor(self) -> float:
        """What the contrast of the two worlds is divided by: the distance between them."""
        return 2.0 * self._half

    @property
    def _half(self) -> float:
        return STEP if self.step is None else self.step

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the worlds a step above (``"treated"``) and a step below (``"control"``)."""
        if self.at is None:
            return {
                "treated": {self.treatment: Shift(self._half)},
                "control": {self.treatment: Shift(-self._half)},
            }
        return {
            "treated": {self.treatment: Set(self.at + self._half)},
            "control": {self.treatment: Set(self.at - self._half)},
        }

    @property
    def multiplies(self) -> bool:
        """No: zero means no effect on both scales."""
        return False

    @property
    def collapsible(self) -> bool:
        """A relative change is told as one number."""
        return True

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return the contrast of the two worlds over their distance."""
        return super().combine(values) / self.divisor

    def doing(self) -> str:
        """Return ``raising dose a little from where it is``."""
        where = "where it is" if self.at is None else number(self.at)
        return f"raising {self.treatment} a little from {where}"

    def write(self, notation: Notation) -> str:
        """Return ``d/dh E[Y | do(X=X+h)] at h=0``."""
        name = notation.name(self.treatment)
        level, symbol, at = (f"{name}+h", "h", 0) if self.at is None else ("x", "x", self.at)
        curve = self._expected(notation, {self.treatment: Symbol(level)})
        if self.scale.name == "log ratio":
            curve = f"{notation.word('log')} {curve}"
        if notation.latex:
            return rf"\frac{{d}}{{d{symbol}}} {curve}\Big|_{{{symbol}={number(at)}}}"
        return f"d/d{symbol} {curve} at {symbol}={number(at)}"
