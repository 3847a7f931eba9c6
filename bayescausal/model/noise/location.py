r"""Where a common cause enters an equation: the location of a family, on its link scale.

A random variable :math:`v \sim D(\theta)` has, for many families, one parameter that says where its
values lie, and a scale on which any number may be added to it:

=========  =======================================  ====================================
link       families                                 what a shift by :math:`a` does
=========  =======================================  ====================================
identity   Normal, StudentT, Laplace, Logistic,     values move by :math:`a`
           Cauchy, Gumbel, SkewNormal, ...
identity   LogNormal, LogitNormal                   the log (the logit) moves by :math:`a`
logit      Bernoulli, Binomial, Beta                odds are multiplied by :math:`e^a`
log        Poisson, NegativeBinomial, Gamma,        the mean is multiplied by :math:`e^a`
           Exponential, Weibull, InverseGamma
=========  =======================================  ====================================

The Beta keeps its precision :math:`\alpha + \beta`, the negative binomial its :math:`\alpha`, the
others their remaining parameters. In a Censored variable the shift acts on what is censored.

*When it fails.* Categories have no location, a mixture has several, and a family on the positive
half-line without a mean parameter (HalfNormal) has none that a cause could move: these are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.shape_utils import rv_size_is_none

from bayescausal.model.interventions.support import LOCATIONS
from bayescausal.model.noise.ops import double
from bayescausal.model.noise.read_off import family_of
from bayescausal.model.noise.rules import logit
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["LINKS", "link_of", "location_of", "shifted"]

_LOGIT = {"Bernoulli": 0, "Binomial": 1}
_LOG = {
    "Poisson": 0,
    "Exponential": 0,
    "Gamma": 1,
    "Weibull": 1,
    "InverseGamma": 1,
}

#: The link of every family that has one.
LINKS: dict[str, str] = {
    **dict.fromkeys(LOCATIONS, "identity"),
    **dict.fromkeys((*_LOGIT, "Beta"), "logit"),
    **dict.fromkeys((*_LOG, "NegativeBinomial"), "log"),
}


def link_of(rv: Variable) -> str:
    """Return the scale on which a cause is added to a random variable.

    Raises ModelError if the family has no location.

    Examples
    --------
    >>> import pymc as pm
    >>> link_of(pm.Poisson.dist(3.0)), link_of(pm.Censored.dist(pm.Normal.dist(), 0, None))
    ('log', 'identity')
    """
    if isinstance(rv.owner.op, CensoredRV):
        return link_of(rv.owner.inputs[0])
    family = family_of(rv)
    if family not in LINKS:
        known = ", ".join(LINKS)
        raise ModelError(
            f"{rv.name or 'A variable'} ~ {family} has no location that a common cause could move.",
            expected=f"one of {known}.",
            remedy="Write the variable with such a family, or let a hidden confounder act on "
            "another variable: treatment=, outcome=.",
        )
    return LINKS[family]


def location_of(rv: Variable) -> Variable:
    """Return the location of a random variable on its link scale, as an expression.

    Raises ModelError if the family has no location.
    """
    link = link_of(rv)
    if isinstance(rv.owner.op, CensoredRV):
        return location_of(rv.owner.inputs[0])
    family, params = family_of(rv), _params(rv)
    if link == "identity":
        return params[LOCATIONS[family]]
    if family == "Beta":
        alpha, beta = (double(p) for p in params)
        return pt.log(alpha) - pt.log(beta)
    if family == "NegativeBinomial":
        n, p = params
        return pt.log(n) + pt.log1p(-p) - pt.log(p)
    if link == "logit":
        return logit(params[_LOGIT[family]])
    return pt.log(params[_LOG[family]])


def shifted(rv: Variable, by: Variable) -> Variable:
    """Return a random variable of the same family with `by` added to its location.

    ``rv``: a random variable; not changed.
    ``by``: on the link scale; broadcasts with the parameters.
    Raises ModelError if the family has no location.

    Examples
    --------
    >>> import numpy as np, pymc as pm, pytensor.tensor as pt
    >>> moved = shifted(pm.Normal.dist(1.0, 2.0), pt.constant(0.5))
    >>> round(float(np.exp(pm.logp(moved, 1.5).eval(mode="FAST_COMPILE"))), 4)
    0.1995
    """
    link = link_of(rv)
    op = rv.owner.op
    if isinstance(op, CensoredRV):
        dist, *bounds = rv.owner.inputs
        return op.make_node(shifted(dist, by), *bounds).outputs[0]
    family = family_of(rv)
    if family == "LogitNormal":  # a distribution built from others: made anew
        mu, sigma = _params(rv)
        size = op.size_param(rv.owner)
        return pm.LogitNormal.dist(mu + by, sigma, size=None if rv_size_is_none(size) else size)
    if link == "identity":
        return _rebuilt(rv, {LOCATIONS[family]: lambda mu: mu + by})
    if family == "Beta":
        alpha, beta = (double(p) for p in _params(rv))
        total = alpha + beta
        mean = pt.sigmoid(pt.log(alpha) - pt.log(beta) + by)
        return _rebuilt(rv, {0: lambda _: mean * total, 1: lambda _: (1 - mean) * total})
    if family == "NegativeBinomial":
        return _rebuilt(rv, {1: lambda p: pt.sigmoid(logit(p) - by)})
    if link == "logit":
        return _rebuilt(rv, {_LOGIT[family]: lambda p: pt.sigmoid(logit(p) + by)})
    return _rebuilt(rv, {_LOG[family]: lambda mean: mean * pt.exp(by)})


# ------------------------------------------------------------------------------- private


def _params(rv: Variable) -> list[Any]:
    return list(rv.owner.op.dist_params(rv.owner))


def _rebuilt(rv: Variable, changes: dict[int, Callable[[Any], Any]]) -> Variable:
    """Return the same random variable with some parameters changed."""
    node, params = rv.owner, _params(rv)
    new: Sequence[Any] = [changes[i](p) if i in changes else p for i, p in enumerate(params)]
    if isinstance(node.op, SymbolicRandomVariable):  # its inner graph is typed: made anew
        return type(node.op).rv_op(*new, size=node.op.size_param(node))
    before = node.inputs[: len(node.inputs) - len(new)]  # by place: two may be one variable
    return node.op.make_node(*before, *new).outputs[node.outputs.index(rv)]
