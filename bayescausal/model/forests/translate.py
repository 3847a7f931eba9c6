"""Forests of PyMC-BART as parameters: ``pmb.BART("mu", X, Y)`` as a function of X and a forest.

PyMC-BART writes :math:`\\mu \\sim \\mathrm{BART}(X, Y)`, one random vector whose value at the data
is in the trace, while the trees behind it are kept on the side, in the order in which chains
happened to end. Here the same model has the forest itself as its parameter ``mu_forest``, and
:math:`\\mu` is what the forest is at :math:`X`,

.. math:: f \\sim \\mathrm{BART}(m, \\alpha, \\beta), \\qquad \\mu_i = f(X_i),

so that a world evaluates the forest of a draw at that world's parents. `Y` gives the constant (its
mean) and the spread of the prior (its standard deviation, and 3 where it is 0 or 1) [1]_.

References
----------
.. [1] M. Quiroga, P. G. Garay, J. M. Alonso, J. M. Loyola and O. A. Martin, Bayesian additive
   regression trees for probabilistic programming, arXiv:2206.03619, 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from pymc.model.fgraph import model_deterministic, model_free_rv
from pymc.pytensorf import toposort_replace
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors

from bayescausal.model.forests.op import forest_value
from bayescausal.model.forests.prior import Forest, Shape, cuts_of
from bayescausal.model.structure.function_graph import close, copied, evaluate, open_model
from bayescausal.types import ModelError

if TYPE_CHECKING:
    import pymc as pm

    from bayescausal.annotations import Array

__all__ = ["with_forests"]

#: How PyMC-BART splits a column: both at a threshold, the second at a value of the data.
_RULES = ("ContinuousSplit", "OneHotSplit")
_KNOWN: WeakKeyDictionary[Any, tuple[list[Any], Any]] = WeakKeyDictionary()


def with_forests(model: pm.Model) -> pm.Model:
    """Return a model with the nodes of PyMC-BART as forests at their covariates.

    A model without such nodes is returned as it is; of the same model with the same data, the same
    one.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model() as model:
    ...     b = pm.Normal("b")
    >>> with_forests(model) is model
    True
    """
    nodes = [rv for rv in model.free_RVs if _is_bart(rv)]
    if not nodes:
        return model
    return copied(_KNOWN, model, lambda: _translated(model, nodes))


def _is_bart(rv: Variable) -> bool:
    op = getattr(rv.owner, "op", None)
    return any(kind.__name__ == "BARTRV" for kind in type(op).__mro__)


def _translated(model: pm.Model, nodes: list[Any]) -> pm.Model:
    shapes = {rv.name: _shape_of(model, rv) for rv in nodes}
    fgraph, memo, initvals = open_model(model)
    replace = {}
    for rv in nodes:
        marker = memo[rv]
        inner = marker.owner.inputs[0]
        x = inner.owner.op.dist_params(inner.owner)[0]
        name = f"{rv.name}_forest"
        if name in model.named_vars:
            raise ModelError(
                f"{name!r} is the name of the trees of {rv.name!r}, and of another variable.",
                remedy="Rename the other variable.",
            )
        forest = Forest.dist(shapes[rv.name])
        parameter = model_free_rv(forest, forest.type(name=name), None, name)
        replace[marker] = model_deterministic(
            forest_value(x, parameter).copy(), rv.name, *marker.owner.op.dims
        )
        fgraph.add_output(parameter, import_missing=True)
    toposort_replace(fgraph, tuple(replace.items()), reverse=True)
    gone = {str(rv.name) for rv in nodes}
    return close(fgraph, {k: v for k, v in initvals.items() if k not in gone})


def _shape_of(model: pm.Model, rv: Any) -> Shape:
    """Return the prior of a node of PyMC-BART; refuse what a forest here is not."""
    op = rv.owner.op
    x = op.dist_params(rv.owner)[0]
    if op.response != "constant":
        raise ModelError(
            f"{rv.name!r} has response={op.response!r}: leaves that are lines.",
            expected="leaves that are constant.",
            remedy='Leave response= out; a line may stand beside the forest, b * x + pmb.BART("f"'
            ", ...).",
        )
    if rv.type.ndim != 1:
        raise ModelError(
            f"{rv.name!r} is a forest with several outputs, of {rv.type.ndim} dimensions.",
            expected="one number for each unit.",
            remedy="Write one pmb.BART node for each output.",
        )
    count = x.type.shape[1]
    rules = list(op.split_rules or [])
    odd = [r for r in rules if r not in _RULES]
    if odd:
        raise ModelError(
            f"{rv.name!r} has the split rule {odd[0]!r}.",
            expected=f"{' or '.join(map(repr, _RULES))}.",
        )
    y = evaluate([op.Y])[0] if isinstance(op.Y, Variable) else np.asarray(op.Y, dtype=float)
    found = _values(model, x)
    if found is not None:
        count = found.shape[1]
    binary = bool(np.isin(y, (0, 1)).all()) and len(np.unique(y)) == 2
    weights = np.asarray(op.split_prior, dtype=float)
    for what, given in (("split rules", len(rules)), ("weights in split_prior", len(weights))):
        if count is not None and given not in (0, count):
            raise ModelError(
                f"{rv.name!r} has {given} {what} and {count} columns.", expected="One for each."
            )
    return Shape(
        trees=int(op.m),
        alpha=float(op.alpha),
        beta=float(op.beta),
        constant=float(y.mean()),
        spread=3.0 if binary else float(y.std()) or 1.0,
        weights=tuple(weights.tolist()),
        cuts=() if found is None else cuts_of(found),
    )


def _values(model: pm.Model, x: Any) -> Array | None:
    """Return the covariates of a node in the data that the model holds; None if it has none."""
    leaves = {rv: model.rvs_to_values[rv] for rv in model.observed_RVs}
    unseen = set(model.free_RVs)
    if unseen & set(ancestors([x], blockers=list(leaves))):
        return None
    data = {rv: evaluate([value])[0] for rv, value in leaves.items()}
    used = set(ancestors([x], blockers=list(leaves)))
    [found] = evaluate([x], {rv: v for rv, v in data.items() if rv in used})
    return np.asarray(found, dtype=float)
