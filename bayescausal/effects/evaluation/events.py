"""Events of an outcome, as expressions of a graph.

The probability of an event given the parents is exact where the law has a distribution function:
``P(Y > a | parents) = 1 - F(a; parents)``. It is then averaged over parents, never simulated. So
are the outcome cut at a limit, and a curve of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pymc.distributions.custom import CustomSymbolicDistRV
from pymc.distributions.mixture import _BaseMixtureRV
from pymc.distributions.shape_utils import rv_size_is_none
from pymc.distributions.truncated import TruncatedRV
from pytensor.graph.traversal import walk

from bayescausal.model.noise import noise_rule
from bayescausal.model.noise.ops import NoiseInterval, double
from bayescausal.model.noise.read_off import law_of
from bayescausal.model.noise.restricted import restricted_mean_of
from bayescausal.model.structure.function_graph import density_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.effects.estimands.functionals import Probability

__all__ = ["Curve", "Cut", "Event", "Labelled", "Values", "broadcast_to_size"]


@dataclass(frozen=True, eq=False)
class Event:
    """An event of a random variable, for the evaluation of worlds."""

    event: Probability  # with numbers, not labels

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return the indicator of the event as a float."""
        return self._happens(value).astype("float64")

    def _happens(self, v: TensorVariable) -> TensorVariable:
        e = self.event
        if e.above is not None:
            return pt.gt(v, e.above)
        if e.below is not None:
            return pt.lt(v, e.below)
        if e.between is not None:
            return pt.and_(pt.ge(v, e.between[0]), pt.le(v, e.between[1]))
        if e.at_least is not None:
            return pt.ge(v, e.at_least)
        if e.at_most is not None:
            return pt.le(v, e.at_most)
        return pt.eq(v, e.equals)

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return the probability given the parents, or None where it is not known exactly.

        Only discrete laws and continuous ones with a distribution function qualify; vectors
        do not.
        """
        if rv.owner.op.ndim_supp:
            return None
        try:
            return self._exact(rv)
        except (NotImplementedError, TypeError, ValueError):
            return None

    def _exact(self, rv: TensorVariable) -> TensorVariable | None:
        e = self.event
        discrete = _is_discrete(rv)
        if not discrete and _has_atoms(rv):
            return self._mixed(rv)
        if e.equals is not None:
            value = float(e.equals)
            if not discrete or value != np.round(value):
                return None
            return broadcast_to_size(rv, pt.exp(self._logp(rv, value)))
        if "Categorical" in type(rv.owner.op).__name__:
            return self._categories(rv)
        if not discrete:
            return self._continuous(rv)
        if _one_value_at_a_time(rv):
            law, parameters = law_of(rv)
            ends = NoiseInterval(law, possible=False)
            return self._between(rv, lambda limit: ends(limit, *map(double, parameters)))
        if e.above is not None:
            p = -pt.expm1(self._logcdf(rv, np.floor(e.above)))
        elif e.at_least is not None:
            p = -pt.expm1(self._logcdf(rv, np.ceil(e.at_least) - 1))
        elif e.below is not None:
            p = pt.exp(self._logcdf(rv, np.ceil(e.below) - 1))
        elif e.at_most is not None:
            p = pt.exp(self._logcdf(rv, np.floor(e.at_most)))
        else:
            low, high = e.between or (-np.inf, np.inf)
            p = pt.exp(self._logcdf(rv, np.floor(high))) - pt.exp(
                self._logcdf(rv, np.ceil(low) - 1)
            )
        return broadcast_to_size(rv, p)

    def _mixed(self, rv: TensorVariable) -> TensorVariable | None:
        """Return the probability under a law with atoms, from the noise ``(lo, hi]`` at its ends.

        The noise is logistic, so ``P(Y <= a) = expit(hi(a))`` and ``P(Y < a) = expit(lo(a))``.
        """
        rule = noise_rule(rv)
        if rule.base != "logistic" or isinstance(rv.owner.op, CustomSymbolicDistRV):
            return None
        return self._between(rv, rule.interval)

    def _between(
        self, rv: TensorVariable, logits: Callable[[TensorVariable], Sequence[TensorVariable]]
    ) -> TensorVariable:
        """Return the probability from the logits of ``P(Y < a)`` and ``P(Y <= a)`` at a limit."""
        e = self.event
        ends = [v for v in (e.above, e.below, e.at_least, e.at_most, e.equals) if v is not None]
        low, high = e.between or (ends[0], ends[0])
        lo = logits(pt.constant(float(low)))[0]
        hi = logits(pt.constant(float(high)))[1]
        if e.above is not None:
            p = pt.sigmoid(-hi)
        elif e.at_least is not None:
            p = pt.sigmoid(-lo)
        elif e.below is not None:
            p = pt.sigmoid(lo)
        elif e.at_most is not None:
            p = pt.sigmoid(hi)
        else:
            p = pt.sigmoid(hi) - pt.sigmoid(lo)
        return broadcast_to_size(rv, p)

    def _continuous(self, rv: TensorVariable) -> TensorVariable:
        e = self.event
        if e.between is not None:
            p = pt.exp(self._logcdf(rv, e.between[1])) - pt.exp(self._logcdf(rv, e.between[0]))
        elif e.above is not None or e.at_least is not None:
            p = -pt.expm1(self._logcdf(rv, e.above if e.above is not None else e.at_least))
        else:
            p = pt.exp(self._logcdf(rv, e.below if e.below is not None else e.at_most))
        return broadcast_to_size(rv, p)

    def _categories(self, rv: TensorVariable) -> TensorVariable:
        [p] = rv.owner.op.dist_params(rv.owner)
        codes = pt.arange(p.shape[-1])
        return broadcast_to_size(rv, pt.sum(p * self._happens(codes), axis=-1))

    @staticmethod
    def _logp(rv: TensorVariable, value: float) -> TensorVariable:
        return density_of(pm.logp, rv, np.asarray(value).astype(rv.type.dtype))

    @staticmethod
    def _logcdf(rv: TensorVariable, value: Variable) -> TensorVariable:
        at = np.asarray(value).astype(rv.type.dtype)
        if not isinstance(rv.owner.op, TruncatedRV):
            return density_of(pm.logcdf, rv, at)
        lower, upper = rv.owner.inputs[-2:]  # outside PyMC subtracts probabilities: 0/0
        inside = density_of(pm.logcdf, rv, pt.clip(at, lower, upper).astype(rv.type.dtype))
        return pt.switch(pt.lt(at, lower), -np.inf, pt.switch(pt.ge(at, upper), 0.0, inside))


@dataclass(frozen=True, eq=False)
class Values:
    """The probability of each of several values of a discrete variable, along a last axis."""

    values: np.ndarray

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return indicators, (..., n_values)."""
        return pt.eq(value[..., None], self.values).astype("float64")

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return probabilities given the parents, (..., n_values); None if not known exactly."""
        if rv.owner.op.ndim_supp:
            return None
        column = self.values.astype(rv.type.dtype).reshape(-1, *(1,) * rv.type.ndim)
        try:
            return pt.moveaxis(pt.exp(density_of(pm.logp, rv, pt.as_tensor(column))), 0, -1)
        except (NotImplementedError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Labelled:
    """The label of a category, where labels are numbers."""

    labels: tuple[float, ...]

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return the label in the place of its code."""
        return pt.constant(np.asarray(self.labels, dtype=float))[value]

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return None: it is no mean."""
        return None


@dataclass(frozen=True)
class Cut:
    """The outcome, cut at a limit."""

    upto: float

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return the value, or the limit where that is less."""
        return pt.minimum(value, self.upto).astype("float64")

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return the mean of the cut value given the parents; None where it is not known."""
        found = restricted_mean_of(rv, self.upto)
        return None if found is None else broadcast_to_size(rv, found)


@dataclass(frozen=True)
class Curve:
    """Several events of the outcome, along a last axis."""

    name: str
    each: tuple[Probability, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """The name of the last axis."""
        return (self.name,)

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return indicators, the events last."""
        return pt.stack([event.of_draw(value) for event in self._events()], axis=-1)

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return probabilities given the parents, the events last; None where not known."""
        each = [event.of_law(rv) for event in self._events()]
        if any(p is None or p.type.ndim != rv.type.ndim for p in each):
            return None
        return pt.stack(each, axis=-1)

    def _events(self) -> list[Event]:
        return [Event(each) for each in self.each]


def broadcast_to_size(rv: TensorVariable, p: TensorVariable) -> TensorVariable | None:
    """Broadcast to the variable's shape, which its size fixes."""
    if p.type.ndim > rv.type.ndim:
        return None
    size = _size_of(rv)
    if size is None:
        return p
    return pt.broadcast_to(p, [size[i] for i in range(rv.type.ndim)])


def _size_of(rv: TensorVariable) -> Variable:
    """Return the size that a random variable was given, itself or in its parts; None if none."""
    node = rv.owner
    op = node.op
    if isinstance(op, CensoredRV):
        return _size_of(node.inputs[0])
    if isinstance(op, TruncatedRV):
        return _size_of(op.base_rv_op.make_node(*node.inputs[:-2]).default_output())
    if isinstance(op, _BaseMixtureRV):
        first = node.inputs[2]
        size = _size_of(first)
        stacked = len(node.inputs) == 3  # the components are the last axis of one variable
        return size if size is None or not stacked else size[: first.type.ndim - 1]
    size = op.size_param(node) if hasattr(op, "size_param") else None
    return None if size is None or rv_size_is_none(size) else size


def _is_discrete(rv: TensorVariable) -> bool:
    """Whether only integers have a probability: a truncated count can have the dtype of a float."""
    if str(rv.type.dtype).startswith(("int", "uint", "bool")):
        return True
    return isinstance(rv.owner.op, TruncatedRV) and law_of(rv)[0].kind == "integer"


def _one_value_at_a_time(rv: TensorVariable) -> bool:
    """Whether PyMC sums the distribution function up, for one value and one set of parameters.

    With parameters of the units it would add along the units.
    """

    def inside(v: Variable) -> list[Variable] | None:
        if v.owner is None or (v is not rv and v.name):
            return None
        inner = getattr(v.owner.op, "fgraph", None)
        return [*v.owner.inputs, *(inner.outputs if inner else ())]

    named = (getattr(getattr(v.owner, "op", None), "name", "") for v in walk([rv], inside))
    return not {"beta_binomial", "hypergeometric"}.isdisjoint(named)


def _has_atoms(rv: TensorVariable) -> bool:
    """Whether a continuous variable has points of positive probability."""
    return noise_rule(rv).discrete
