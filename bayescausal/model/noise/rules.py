"""One rule per family: how a random variable is a function of its own noise.

A structural causal model in *noise form* writes each variable as a deterministic function of its
parents and of exogenous noise that nothing else shares [1]_,

    ``v := q(U_v; parents)``.

The density ``p(v | parents)`` fixes the distribution of the right-hand side, not the function: the
function is chosen. It is here the conditional quantile function (the noise is the *rank* of the
value among units with the same parents) [2]_, carried on one of three scales so that the tails
survive in double precision:

========  ===========================================  ==================================
base      noise                                        families
========  ===========================================  ==================================
normal    standard normal, the standardised residual   Normal, LogNormal, LogitNormal,
                                                       MvNormal and other maps of normals
logistic  standard logistic, the logit of the rank     all other univariate families
gumbel    one standard Gumbel for each category        Categorical with coupling="gumbel"
========  ===========================================  ==================================

Given a value, the noise is one number where the distribution function is continuous, and an
interval where it jumps: there the noise is uncertain even when all else is known.

When it fails: averages in one world do not depend on the choice of the function; joint statements
about one unit in two worlds do, and for discrete variables strongly [3]_. For ordered categories
the order *is* the coupling.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 7.1.
.. [2] V. Chernozhukov and C. Hansen, "An IV model of quantile treatment effects", Econometrica 73
   (2005) 245-261 (rank invariance).
.. [3] M. Oberst and D. Sontag, "Counterfactual off-policy evaluation with Gumbel-max structural
   causal models", ICML 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.basic import BernoulliRV, CategoricalRV, LogNormalRV, NormalRV

from bayescausal.model.noise.families.closed import symbolic
from bayescausal.model.noise.families.table import FAMILIES
from bayescausal.model.noise.laws import Leaf
from bayescausal.model.noise.ops import NoiseInterval, Quantile, double
from bayescausal.model.noise.read_off import family_of, law_of
from bayescausal.types import NoiseFormError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.graph.op import Op
    from pytensor.tensor.variable import TensorVariable

    type Pair = tuple[TensorVariable, TensorVariable]

__all__ = ["COUPLINGS", "NoiseRule", "logit", "noise_rule", "rule_of"]

#: The ways to choose the function for a discrete variable.
COUPLINGS: tuple[str, ...] = ("monotone", "gumbel")


@dataclass(frozen=True)
class NoiseRule:
    """How one random variable is a function of its noise.

    Parameters
    ----------
    family : str
        Name of the distribution.
    base : {"normal", "logistic", "gumbel"}
        The standard distribution of the noise.
    discrete : bool
        Whether any value has positive probability, so that its noise is an interval.
    event_ndim : int
        Trailing axes of the noise that are not batch axes of the variable: 1 for MvNormal (its
        event axis) and for Gumbel noise (the categories).
    forward : callable
        Symbolic: noise -> value. The noise has the full shape of the variable (batch and event;
        Gumbel noise has the categories as a last axis). The value has the variable's type.
    interval : callable
        Symbolic: value -> ``(lo, hi)``, the noise that gives it; equal where it is one number,
        ``lo < noise <= hi`` at atoms, NaN where the value is impossible.
    event_shape : tuple of TensorVariable
        Symbolic lengths of axes that the variable itself does not have (the number of categories,
        for Gumbel noise); empty otherwise.
    log_p : TensorVariable, optional
        For Gumbel noise, the log probabilities of the categories, which
        :func:`sample_gumbel` needs.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.noise import noise_rule
    >>> rule = noise_rule(pm.Exponential.dist(scale=2.0))
    >>> rule.family, rule.base, rule.discrete
    ('Exponential', 'logistic', False)
    """

    family: str
    base: str
    discrete: bool
    event_ndim: int
    forward: Callable[[TensorVariable], TensorVariable]
    interval: Callable[[TensorVariable], Pair]
    event_shape: tuple[Any, ...] = ()
    log_p: TensorVariable | None = None


def noise_rule(rv: TensorVariable, *, coupling: str = "monotone") -> NoiseRule:
    """Return how `rv` is a function of its noise and its own parameters.

    - `rv`: a random variable of a PyMC model, or one made by ``.dist``.
    - `coupling` ("monotone" or "gumbel"): for categories: a common rank in their order, or Gumbel
      noise for each. Continuous variables and two-valued ones have the same function under both.

    References
    ----------
    .. [1] M. Oberst and D. Sontag, "Counterfactual off-policy evaluation with Gumbel-max
       structural causal models", ICML 2019.

    Examples
    --------
    >>> import pymc as pm, pytensor.tensor as pt
    >>> from bayescausal.model.noise import noise_rule
    >>> rule = noise_rule(pm.Poisson.dist(mu=3.0))
    >>> int(rule.forward(pt.constant(0.0)).eval(mode="FAST_COMPILE"))
    3
    """
    if coupling not in COUPLINGS:
        raise NoiseFormError(
            f"coupling={coupling!r} is not known.",
            expected="'monotone' or 'gumbel'.",
            names=closest(str(coupling), COUPLINGS)[:1],
        )
    if rv.owner is None:
        raise NoiseFormError(f"{rv.name or rv!s} is not a random variable.")
    rule = rule_of(rv.owner.op, rv, coupling)
    if coupling == "gumbel" and rule.base == "logistic" and rule.discrete and rv.dtype != "bool":
        _require_nominal(rv)
    return rule


def _require_nominal(rv: TensorVariable) -> None:
    """Refuse Gumbel noise for counts, where it has no meaning; two values need none."""
    if isinstance(rv.owner.op, BernoulliRV) or str(rv.dtype).startswith("float"):
        return
    raise NoiseFormError(
        f"coupling='gumbel' needs a finite set of categories, found {family_of(rv)}.",
        remedy="Use coupling='monotone' for it; couplings can be given by variable.",
    )


# ---------------------------------------------------------------------- rules, by operation


@singledispatch
def rule_of(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    """Return the rule of a univariate family that has a law."""
    law, params = law_of(rv)
    params = [double(p) for p in params]
    family, dtype = family_of(rv), rv.dtype
    closed = FAMILIES[law.family].closed if isinstance(law, Leaf) else None
    if closed is not None:

        def forward(u: TensorVariable) -> TensorVariable:
            return _typed(closed(symbolic(), pt.as_tensor_variable(u), *params), u, dtype)

    else:

        def forward(u: TensorVariable) -> TensorVariable:
            return Quantile(law, dtype)(u, *params)

    def interval(value: TensorVariable) -> Pair:
        return tuple(NoiseInterval(law)(value, *params))

    return NoiseRule(family, "logistic", law.kind != "continuous", 0, forward, interval)


def _typed(value: TensorVariable, u: TensorVariable, dtype: str) -> TensorVariable:
    """Cast to the variable's type; NaN noise cannot be an integer and becomes the lowest one."""
    if dtype.startswith(("int", "uint")):
        lowest = np.iinfo(dtype).min
        bad = pt.isnan(value)
        return pt.switch(bad, lowest, pt.switch(bad, 0.0, value).astype(dtype)).astype(dtype)
    return value.astype(dtype) if value.dtype != dtype else value


@rule_of.register(NormalRV)
def _normal(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    mu, sigma = op.dist_params(rv.owner)

    def interval(value: TensorVariable) -> Pair:
        z = (value - mu) / sigma
        return z, z

    return NoiseRule(
        "Normal", "normal", False, 0, lambda u: _typed(mu + sigma * u, u, rv.dtype), interval
    )


@rule_of.register(LogNormalRV)
def _log_normal(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    mu, sigma = (double(p) for p in op.dist_params(rv.owner))

    def interval(value: TensorVariable) -> Pair:
        z = (pt.log(value) - mu) / sigma
        return z, z

    return NoiseRule(
        "LogNormal",
        "normal",
        False,
        0,
        lambda u: _typed(pt.exp(mu + sigma * u), u, rv.dtype),
        interval,
    )


@rule_of.register(BernoulliRV)
def _bernoulli(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    (p,) = op.dist_params(rv.owner)
    threshold = -logit(p)

    def forward(u: TensorVariable) -> TensorVariable:
        return pt.gt(u, threshold).astype(rv.dtype)

    def interval(value: TensorVariable) -> Pair:
        one = pt.eq(value, 1)
        known = pt.or_(one, pt.eq(value, 0))
        lo = pt.switch(one, threshold, -np.inf)
        hi = pt.switch(one, np.inf, threshold)
        known = pt.and_(known, pt.lt(lo, hi))
        return pt.switch(known, lo, np.nan), pt.switch(known, hi, np.nan)

    return NoiseRule("Bernoulli", "logistic", True, 0, forward, interval)


def logit(p: TensorVariable) -> TensorVariable:
    """Return the logit of a probability: the linear predictor itself where `p` is its sigmoid."""
    node = p.owner
    if (
        node is not None
        and isinstance(node.op, Elemwise)
        and isinstance(node.op.scalar_op, Sigmoid)
    ):
        return node.inputs[0]
    p = double(p)
    return pt.log(p) - pt.log1p(-p)


@rule_of.register(CategoricalRV)
def _categorical(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    if coupling == "monotone":
        return rule_of.dispatch(object)(op, rv, coupling)
    (p,) = op.dist_params(rv.owner)
    log_p = pt.log(p)

    def interval(value: TensorVariable) -> Pair:
        raise NoiseFormError(
            "Gumbel noise is a vector, so no interval gives a category.",
            remedy="Draw it with sample_gumbel(log_p, category, rng).",
        )

    return NoiseRule(
        "Categorical",
        "gumbel",
        True,
        1,
        lambda u: pt.argmax(log_p + u, axis=-1).astype(rv.dtype),
        interval,
        event_shape=(p.shape[-1],),
        log_p=log_p,
    )
