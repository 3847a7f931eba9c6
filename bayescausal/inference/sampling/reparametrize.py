r"""Coefficients whose priors hang together are sampled in coordinates in which they do not.

The coefficients of ``yr`` and ``yr**2`` in calendar years are correlated by :math:`1 - 10^{-10}`,
in the prior as in the posterior: a Markov chain does not move there. Where a prior is
:math:`b \sim N(m - \sum_j h_j b_j, s)` with known :math:`h` and :math:`s`, the chain moves

.. math:: z = (b - m + \textstyle\sum_j h_j b_j) / s

in its place, which is standard normal and independent of the :math:`b_j` a priori [1]_. The density
of :math:`b` is the same; :math:`s` is known, so there is no funnel to trade for.

References
----------
.. [1] O. Papaspiliopoulos, G. O. Roberts and M. Sköld, "A general framework for the parametrization
   of hierarchical models", *Statistical Science* 22(1), 2007.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pymc.distributions.transforms import Ordered
from pymc.logprob.transforms import ChainedTransform, Transform
from pymc.model.fgraph import ModelFreeRV, model_free_rv
from pymc.pytensorf import toposort_replace
from pytensor.graph.traversal import ancestors

from bayescausal.model.structure.function_graph import close, open_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["Centred", "centred", "prior_names"]


class Centred(Transform):
    """The distance of a Normal from its mean, in standard deviations.

    `first`: from the mean of its first element: what is in order stays so.
    """

    name = "centred"
    ndim_supp = 0

    def __init__(self, *, first: bool = False) -> None:
        self.first = first

    def _about(self, inputs: Sequence[Variable]) -> tuple[Variable, Variable]:
        mean, scale = inputs[-2:]
        return (mean[..., :1] if self.first else mean), scale

    def forward(self, value: Variable, *inputs: Variable) -> Variable:
        """Return the distance."""
        mean, scale = self._about(inputs)
        return (value - mean) / scale

    def backward(self, value: Variable, *inputs: Variable) -> Variable:
        """Return the value."""
        mean, scale = self._about(inputs)
        return mean + scale * value

    def log_jac_det(self, value: Variable, *inputs: Variable) -> Variable:
        """Return the logarithm of the standard deviation."""
        return pt.zeros_like(value) + pt.log(inputs[-1])


def centred(structure: Structure, model: pm.Model) -> pm.Model:
    """Return a model whose chained Normal parameters are sampled about their means.

    The same one where no mean of a prior reads another parameter.
    """
    chained = _chained(structure, model)
    if not chained:
        return model
    fgraph, memo, initvals = open_model(model)
    inside = {memo[rv]: model.rvs_to_transforms[rv] for rv in chained}
    replacements = {}
    for node in fgraph.apply_nodes:
        if not isinstance(node.op, ModelFreeRV) or node.outputs[0] not in inside:
            continue
        own = inside[node.outputs[0]]
        transform = Centred() if own is None else ChainedTransform([Centred(first=True), own])
        rv = node.inputs[0]
        value = rv.type(name=f"{node.op.name}_{transform.name}__")
        replacements[node.outputs[0]] = model_free_rv(
            rv, value, transform, node.op.name, *node.op.dims
        )
    toposort_replace(fgraph, tuple(replacements.items()))
    return close(fgraph, initvals)


def prior_names(structure: Structure, names: Iterable[str]) -> list[str]:
    """Return the parameters whose densities make the prior.

    Those without parameters above them, and coefficients whose prior is stated given others that
    stand in the same equation themselves. What is left has a distribution with parameters of its
    own: the effects of groups.

    `names`: parameters.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0], "g": range(3)}) as model:
    ...     slope, m = pm.Normal("slope"), pm.Normal("m")
    ...     level, effects = pm.Normal("level", -2 * slope), pm.Normal("effects", m, dims="g")
    ...     y = pm.Normal("y", level + slope + effects.sum(), dims="unit")
    >>> prior_names(structure_of(model), ["slope", "m", "level", "effects"])
    ['slope', 'm', 'level']
    """
    graph, names = structure.full, list(names)
    reads = {n: {a for a in structure.ancestors([n]) if a in set(names)} for n in names}
    used = {n: set(graph.successors(n)) - set(names) for n in names}
    return [n for n in names if all(used[n] & used[a] for a in reads[n])]


def _chained(structure: Structure, model: pm.Model) -> set[Any]:
    """Return the Normal parameters of known scale whose means read each other."""
    free = set(model.free_RVs)
    parameters = set(structure.parameters)
    normal, reads = set(), {}
    for rv in free:
        own = model.rvs_to_transforms.get(rv)
        if type(rv.owner.op).__name__ != "NormalRV" or rv.name not in parameters:
            continue
        mean, scale = rv.owner.op.dist_params(rv.owner)
        if not (own is None or isinstance(own, Ordered)) or free & set(ancestors([scale])):
            continue
        normal.add(rv)
        reads[rv] = free & set(ancestors([mean]))
    whole = {rv for rv in normal if reads[rv] and reads[rv] <= normal}
    return whole | {other for rv in whole for other in reads[rv]}
