"""Whole again: variables that PyMC split because ``observed=`` has NaN.

PyMC turns ``y ~ D(mu)`` with empty cells into ``y_observed ~ D(mu[seen])``,
``y_unobserved ~ D(mu[empty])`` and their join ``y``. The pair has the density of the whole, but
its equations index units by position, and no question about other units can be asked of it. Here
the equation is put together again, :math:`y \\sim D(\\mu)`, observed to be what it was with NaN
where it was empty; conditioning splits it again where the posterior needs that.

Left as it is: a discrete variable (its empty cells are unknowns of the model, not data), and a pair
that does not come from one equation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.distributions.distribution import PartialObservedRV
from pymc.model.fgraph import model_observed_rv
from pymc.pytensorf import toposort_replace
from pytensor.graph.basic import Constant, equal_computations
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.subtensor import AdvancedSubtensor, indices_from_subtensor

from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import close, evaluate, imputed_values, open_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

__all__ = ["whole"]


def whole(model: pm.Model) -> pm.Model:
    """Return the model with imputed pairs put together again.

    `model`: not changed.
    Returns: the same one where nothing is imputed. Where a pair is joined, its variable is
    observed, NaN where a cell is empty.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np, pymc as pm
    >>> with warnings.catch_warnings(action="ignore"), pm.Model(coords={"unit": [0, 1]}) as model:
    ...     y = pm.Normal("y", observed=[1.0, np.nan], dims="unit")
    >>> [v.name for v in model.free_RVs], [v.name for v in whole(model).free_RVs]
    (['y_unobserved'], [])
    """
    names = [str(v.name) for v in model.deterministics]
    pairs = {
        name: _parts(name)
        for name in names
        if all(p in model.named_vars for p in _parts(name))
        and name in model.named_vars_to_dims
        and not is_discrete(model[_parts(name)[0]])
    }
    if not pairs or model.parent is not None:
        return model
    values = imputed_values(model, pairs)
    fgraph, memo, initvals = open_model(model, inlined_views=True)
    replacements = []
    for name, (seen, empty) in pairs.items():
        value, mask = values[name]
        made = _equation(memo[model[seen]], memo[model[empty]], mask)
        if made is None:
            return model
        dims = memo[model[name]].owner.op.dims
        if isinstance(made, tuple):
            op, parameters = made
            shape = [fgraph._dim_lengths[d] for d in dims][: len(dims) - op.ndim_supp]
            rng = pt.random.shared_rng(seed=None)
            made = op(*parameters, size=shape, rng=rng, return_next_rng=True)[1]
        data = np.where(mask, np.nan, value).astype(made.type.dtype)
        held = pytensor.shared(data, name=f"{name}_data")
        replacements.append((memo[model[name]], model_observed_rv(made, held, name, *dims)))
    toposort_replace(fgraph, tuple(replacements), reverse=True)
    for i in reversed(range(len(fgraph.outputs))):
        op = getattr(fgraph.outputs[i].owner, "op", None)
        if getattr(op, "name", None) in {p for pair in pairs.values() for p in pair}:
            fgraph.remove_output(i)
    return close(fgraph, initvals)


# ------------------------------------------------------------------------------- private


def _parts(name: str) -> tuple[str, str]:
    return f"{name}_observed", f"{name}_unobserved"


def _equation(seen: Variable, empty: Variable, mask: np.ndarray) -> Variable | None:
    """Return the whole variable, or its distribution and parameters; None if it cannot be told."""
    node, other = seen.owner.inputs[0].owner, empty.owner.inputs[0].owner
    if isinstance(node.op, PartialObservedRV):
        return node.inputs[0] if node is other else None
    if not isinstance(node.op, RandomVariable) or node.op != other.op:
        return None
    parameters = []
    cores = node.op.ndims_params
    pairs = zip(node.op.dist_params(node), other.op.dist_params(other), cores, strict=True)
    for mine, theirs, core in pairs:
        full = _stripped(mine, theirs, mask, core)
        if full is None:
            return None
        parameters.append(full)
    return node.op, parameters


def _stripped(mine: Variable, theirs: Variable, mask: np.ndarray, core: int) -> Variable | None:
    """Return the parameter of which two others are the cells that are seen and empty."""
    if equal_computations([mine], [theirs]):
        batch = mine.type.shape[: mine.type.ndim - core]
        return mine if all(n == 1 for n in batch) else None
    for part, cells in ((mine, ~mask), (theirs, mask)):
        if part.owner is None or not isinstance(part.owner.op, AdvancedSubtensor):
            return None
        index = indices_from_subtensor(part.owner.inputs[1:], part.owner.op.idx_list)
        if not _is_index(index, cells):
            return None
    if mine.owner.inputs[0] is not theirs.owner.inputs[0]:
        return None
    return mine.owner.inputs[0]


def _is_index(index: Sequence[object], cells: np.ndarray) -> bool:
    """Whether an index takes these cells: as a mask, or by position (0 along what broadcasts)."""
    arrays = [i for i in index if not isinstance(i, slice)]
    roots = [v for v in ancestors(arrays) if v.owner is None]
    if not all(isinstance(v, Constant) for v in roots):
        return False
    numbers = evaluate(arrays)
    if len(numbers) == 1 and numbers[0].dtype == bool:
        held = numbers[0]
        trimmed = cells[(...,) + (0,) * (cells.ndim - held.ndim)]
        return held.shape == trimmed.shape and np.array_equal(held, trimmed)
    places = np.nonzero(cells)
    if len(numbers) > len(places):
        return False
    return all(
        np.array_equal(a, p) or not np.any(a)
        for a, p in zip(numbers, places[len(places) - len(numbers) :], strict=True)
    )
