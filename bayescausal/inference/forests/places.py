r"""Where a model evaluates its forests, and which trees belong to which draws.

A sampler moves the value of each forest at the data, :math:`\mu_i = f(X_i)`, and the trees behind
it are written down chain by chain; chains that run side by side end in any order. So which trees
belong to which chain is not taken from an order: the trees of every draw are evaluated at the data
and compared with the :math:`\mu` that the chain recorded in that draw. Every draw of every chain
must agree to :data:`AGREE` of the size of :math:`\mu`, or there is no fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pymc.model.fgraph import ModelDeterministic, model_free_rv
from pymc.pytensorf import toposort_replace
from pytensor.graph.traversal import ancestors

from bayescausal.model.forests.op import ForestValue, forest_at
from bayescausal.model.forests.packed import evaluate_forests
from bayescausal.model.forests.prior import forest_of
from bayescausal.model.structure.function_graph import close, evaluate, open_model
from bayescausal.types import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.model.structure.structure import Structure

__all__ = ["AGREE", "ROWS", "matched_chains", "with_values"]

#: How exactly the trees of a draw must give what was recorded, in sizes of what was.
AGREE = 1e-6
#: Rows at which the mixing of forests is looked at.
ROWS = 50


def matched_chains(held: Sequence[Array], recorded: Array, x: Array, name: str) -> Array:
    """Return the forests of each chain and draw, (chain, draw, k), as they were recorded.

    - `held` (draw, k): the forests of each chain, chains in no order.
    - `recorded` (chain, draw, n): the value of the forest at the data.
    - `x` (n, p)
    - `name`: for messages.
    """
    chains, draws = recorded.shape[:2]
    left = [f for f in held if len(f) == draws]
    wide = max((f.shape[1] for f in left), default=0)
    out = np.zeros((chains, draws, wide))
    size = AGREE * max(1.0, float(np.abs(recorded).max()))
    for chain, values in enumerate(recorded):
        best, found = np.inf, -1
        for k, forests in enumerate(left):
            off = float(np.abs(evaluate_forests(x, forests[-1]) - values[-1]).max())
            if off < best:
                best, found = off, k
        worst = np.inf
        if found >= 0:
            worst = max(
                float(np.abs(evaluate_forests(x, forest) - value).max())
                for forest, value in zip(left[found], values, strict=True)
            )
        if not worst <= size:
            raise ModelError(
                f"The trees of {name!r} in chain {chain} are not those of its draws: at the data "
                f"they differ by {worst:.3g} from what was recorded.",
                expected=f"agreement to {AGREE:g}, in every draw.",
                remedy="Run the chains one after the other, fit(..., cores=1), and report it.",
            )
        forests = left.pop(found)
        out[chain, :, : forests.shape[1]] = forests
    return out


def with_values(
    structure: Structure, model: pm.Model
) -> tuple[pm.Model, dict[str, tuple[str, Array]]]:
    """Return a conditioned model with the value of each forest at the data as a free vector.

    With it, for each such vector, the name of its forest and the covariates.
    """
    fgraph, _, initvals = open_model(model, inlined_views=True)
    replace, starts = {}, {}
    places: dict[str, tuple[str, Array]] = {}
    for marker, node in _evaluations(fgraph):
        forest = node.inputs[1].owner.op.name
        if forest in (f for f, _ in places.values()):
            raise ModelError(
                f"{forest!r} is evaluated twice.", expected="One place for each forest."
            )
        name = str(marker.owner.op.name)
        x = _at_data(model, name)
        free = pm.Flat.dist(shape=(len(x),))
        unknown = model_free_rv(free, free.type(name=name), None, name, *marker.owner.op.dims)
        replace[marker] = unknown
        places[name] = forest, x
        starts[name] = np.full(len(x), forest_of(structure.variable(forest)).constant)
    gone = {f for f, _ in places.values()}
    for i in reversed(range(len(fgraph.outputs))):
        if getattr(fgraph.outputs[i].owner.op, "name", None) in gone:
            fgraph.remove_output(i)
    toposort_replace(fgraph, tuple(replace.items()), reverse=True)
    kept = {k: v for k, v in initvals.items() if k not in gone}
    return close(fgraph, {**kept, **starts}), places


def _evaluations(fgraph: Any) -> list[tuple[Any, Any]]:
    """Return the named values of forests, and the nodes that evaluate them."""
    found, places = [], 0
    for node in fgraph.toposort():
        places += isinstance(node.op, ForestValue)
        if isinstance(node.op, ModelDeterministic):
            inner = forest_at(node.inputs[0])
            if inner is not None:
                found.append((node.outputs[0], inner))
    if len(found) != places:
        raise ModelError(
            "A forest has no name of its own in the model.",
            remedy='Name it: pm.Deterministic("f", ..., dims="unit").',
        )
    return found


def _at_data(model: pm.Model, name: str) -> Array:
    """Return the covariates of a forest at the data; refuse those that are not known."""
    [node] = [
        v.owner
        for v in ancestors([model[name]])
        if v.owner is not None and isinstance(v.owner.op, ForestValue)
    ]
    x = node.inputs[0]
    data = {rv: evaluate([model.rvs_to_values[rv]])[0] for rv in model.observed_RVs}
    used = set(ancestors([x], blockers=[*data, *model.free_RVs]))
    unknown = [str(rv.name) for rv in model.free_RVs if rv in used]
    if unknown:
        raise DataError(
            f"The forest {name!r} splits on {', '.join(map(repr, unknown))}, which the data do not "
            "give: its trees cannot be drawn beside values that change.",
            expected="complete columns for the covariates of a forest.",
            remedy="Leave the rows with empty cells out, or give a latent covariate a term of its "
            "own (b * x, s(x)) beside the forest.",
        )
    [values] = evaluate([x], {rv: v for rv, v in data.items() if rv in used})
    return np.asarray(values, dtype=float)
