"""Which law a random variable has, read off its operation.

PyMC builds a univariate random variable in one of three ways: as a single operation with
parameters, as one operation around others (a truncation, a censoring), or as a mixture whose
inputs are random variables themselves. :func:`law_of` follows all three down to the families with
tails of their own, and returns a law with the parameter *expressions*. The random variable itself,
and any size it was given, are left behind, so that parents can be replaced and units added.

When it fails: a family whose distribution function is not known is refused, by name.

References
----------
.. [1] G. McLachlan and D. Peel, *Finite Mixture Models*, Wiley, 2000, section 1.4.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pymc.distributions.continuous import TruncatedNormalRV
from pymc.distributions.distribution import DiracDeltaRV, SymbolicRandomVariable
from pymc.distributions.mixture import _BaseMixtureRV, _HurdleRV
from pymc.distributions.truncated import TruncatedRV
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.noise.families.table import FAMILIES
from bayescausal.model.noise.laws import Censored, Dirac, Law, Leaf, Mixture, Truncated
from bayescausal.types import NoiseFormError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable
    from pytensor.graph.op import Op
    from pytensor.tensor.variable import TensorVariable

__all__ = ["family_of", "inner_expression", "is_random", "law_of", "random_input", "refusal"]


def family_of(rv: TensorVariable) -> str:
    """Return the family of a random variable as PyMC prints it."""
    op = rv.owner.op
    label = getattr(op, "_print_name", None)
    return label[0] if label else type(op).__name__


def law_of(rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    """Return the law of a univariate random variable and its parameters, in the law's order.

    `rv`: a random variable.

    Examples
    --------
    >>> import pymc as pm
    >>> law, params = law_of(pm.ZeroInflatedPoisson.dist(psi=0.4, mu=2.0))
    >>> law.kind, len(params)
    ('integer', 3)
    """
    return _law(rv.owner.op, rv)


@singledispatch
def _law(op: Op, rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    family = family_of(rv)
    if family not in FAMILIES:
        raise refusal(rv)
    return Leaf(family), list(op.dist_params(rv.owner))


def refusal(rv: TensorVariable) -> NoiseFormError:
    """Return the error for a family without a rule."""
    family = family_of(rv)
    name = f"{rv.name!r} ~ {family}" if rv.name else family
    return NoiseFormError(
        f"{name} has no noise form: neither its quantile nor its distribution function is known.",
        expected="A univariate family with a distribution function, or a map of normals.",
        remedy=(
            "Write the variable as a Deterministic of variables that have one, or give a "
            "CustomDist a dist= function."
        ),
    )


@_law.register(DiracDeltaRV)
def _dirac_law(op: Op, rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    value = rv.owner.inputs[-1]
    return Dirac(not rv.dtype.startswith("float")), [value]


@_law.register(_BaseMixtureRV)
def _mixture_law(op: Op, rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    if op.ndim_supp:
        raise refusal(rv)
    _, weights, *components = rv.owner.inputs
    laws, params = zip(*(law_of(component) for component in components), strict=True)
    if len(components) > 1:
        hurdle = isinstance(op, _HurdleRV)
        flat = [p for inner in params for p in inner]
        return Mixture(laws, in_order=hurdle and _positive(laws[1])), [weights, *flat]
    (law,), (inner,) = laws, params
    padded = [
        pt.expand_dims(p, 0) if p.ndim == core else p
        for p, core in zip(inner, law.cores, strict=True)
    ]
    return Mixture(laws, stacked=True), [weights, *padded]


def _positive(law: Law) -> bool:
    """Return whether a law has nothing at or below zero, so that zeros come before it."""
    positive = ("Gamma", "LogNormal")
    return isinstance(law, Truncated) or (isinstance(law, Leaf) and law.family in positive)


@_law.register(CensoredRV)
def _censored_law(op: Op, rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    dist, lower, upper = rv.owner.inputs
    law, params = law_of(dist)
    return Censored(law), [*params, lower, upper]


@_law.register(TruncatedRV)
def _truncated_law(op: Op, rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    *inputs, lower, upper = rv.owner.inputs
    law, params = law_of(op.base_rv_op.make_node(*inputs).default_output())
    return Truncated(law), [*params, lower, upper]


@_law.register(TruncatedNormalRV)
def _truncated_normal_law(op: Op, rv: TensorVariable) -> tuple[Law, list[TensorVariable]]:
    return Truncated(Leaf("Normal")), list(op.dist_params(rv.owner))


# ---------------------------------------------- the dist= function of a CustomDist


def is_random(variable: Variable) -> bool:
    """Return whether a variable is drawn, rather than computed."""
    node = variable.owner
    return node is not None and isinstance(node.op, RandomVariable | SymbolicRandomVariable)


def inner_expression(rv: TensorVariable) -> TensorVariable:
    """Return what the ``dist=`` function of a CustomDist computes, in its own parameters."""
    op = rv.owner.op
    return op.fgraph.bind(rv.owner.inputs)[op.default_output]


def random_input(expression: TensorVariable, given: Sequence[Variable]) -> int | None:
    """Return which input of an elementwise expression is random; None unless exactly one is.

    What the distribution is given, its parameters, is not: other variables of a model, or
    expressions of them.
    """
    node = expression.owner
    if node is None or not isinstance(node.op, Elemwise):
        return None
    held = set(given)
    drawn = [
        each not in held and any(is_random(v) and v not in held for v in ancestors([each], held))
        for each in node.inputs
    ]
    return drawn.index(True) if sum(drawn) == 1 else None
