r"""Forests in a Markov chain, each put with the draw that it belongs to, and checked.

The chain moves the value of each forest at the data, :math:`\mu_i = f(X_i)`, and the trees behind
it are written down chain by chain; chains that run side by side end in any order. So which trees
belong to which chain is not taken from an order: the trees of every draw are evaluated at the data
and compared with the :math:`\mu` that the chain recorded in that draw. Every draw of every chain
must agree to :data:`AGREE` of the spread of :math:`\mu`, or there is no fit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.model.fgraph import ModelDeterministic, model_free_rv
from pymc.pytensorf import toposort_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Identity

from bayescausal.inference.forests.particle_gibbs import ParticleGibbs, engine, stored_forests
from bayescausal.inference.progress import can_show
from bayescausal.inference.sampling.sample import Drawn, at_once
from bayescausal.model.forests.op import ForestValue
from bayescausal.model.forests.packed import evaluate_forests
from bayescausal.model.forests.prior import forest_of
from bayescausal.model.forests.stamp import forests_in, stamped
from bayescausal.model.names import Joined
from bayescausal.model.structure.rebuild import close, evaluate, open_model
from bayescausal.types import BayesCausalError, DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.conditioning.condition import Conditioned
    from bayescausal.model.structure.structure import Structure

__all__ = ["AGREE", "draw_forests", "matched_chains"]

#: How exactly the trees of a draw must give what was recorded, in spreads of what was.
AGREE = 1e-6
#: Rows at which the mixing of forests is looked at.
ROWS = 50
METHOD = "particle gibbs"


def draw_forests(
    structure: Structure,
    conditioned: Conditioned,
    *,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    **sampler: Any,
) -> Drawn:
    """Draw what a conditioned model does not know, forests among it, by a Markov chain."""
    _refuse(sampler)
    engine()
    own = dict(sampler.pop("pgbart", {}))
    model, places = _with_values(structure, conditioned.model)
    others = [rv.name for rv in model.free_RVs if rv.name not in places]
    with tempfile.TemporaryDirectory(prefix="forests-") as folder:
        steps = []
        with model:
            for name, (forest, x) in places.items():
                (folder_of := _sub(folder, forest)).mkdir()
                shape = forest_of(structure.variable(forest))
                steps.append(ParticleGibbs(model, name, shape, x, str(folder_of), **own))
        sampler.setdefault("cores", at_once(chains))
        try:
            tree = pm.sample(
                draws,
                chains=chains,
                random_seed=seed,
                step=steps,
                model=model,
                progressbar=progressbar if can_show() else False,
                compute_convergence_checks=False,
                quiet=not progressbar,
                nuts_sampler="pymc",
                **sampler,
            )
        except (pm.exceptions.SamplingError, RuntimeError) as error:
            raise ModelError(f"The sampler stopped: {error}") from error
        posterior = tree["posterior"].to_dataset()
        found, seen = {}, {}
        for name, (forest, x) in places.items():
            recorded = posterior[name].values
            held = stored_forests(str(_sub(folder, forest)))
            found[forest] = matched_chains(held, recorded, x, name)
            pick = np.unique(np.linspace(0, recorded.shape[2] - 1, ROWS).astype(int))
            seen[f"{forest}_at"] = (("chain", "draw", f"{forest}_row"), recorded[:, :, pick])
    return _groups(structure, tree, posterior, places, found, seen, others)


def matched_chains(held: Sequence[Array], recorded: Array, x: Array, name: str) -> Array:
    """Return the forests of each chain and draw, (chain, draw, k), as they were recorded.

    Parameters
    ----------
    held : sequence of ndarray, shape (draw, k)
        The forests of each chain, chains in no order.
    recorded : ndarray, shape (chain, draw, n)
        The value of the forest at the data.
    x : ndarray, shape (n, p)
    name : str
        For messages.
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


# ------------------------------------------------------------------------------- private


def _sub(folder: str, name: str) -> Path:
    return Path(folder) / "".join(c if c.isalnum() else f"-{ord(c)}-" for c in name)


def _refuse(sampler: Mapping[str, Any]) -> None:
    """Refuse options of a sampler that forests have no use for."""
    chosen = sampler.get("nuts_sampler", "pymc")
    if chosen != "pymc":
        raise BayesCausalError(
            f"sampler={chosen!r} does not draw forests: they have no gradient.",
            expected="sampler='pymc', or none.",
        )
    if "step" in sampler:
        raise BayesCausalError(
            "step= was given for a model with forests, which have a step of their own.",
            remedy="Leave it out.",
        )


def _with_values(
    structure: Structure, model: pm.Model
) -> tuple[pm.Model, dict[str, tuple[str, Array]]]:
    """Return a conditioned model with the value of each forest at the data as a free vector.

    With it, for each such vector, the name of its forest and the covariates.
    """
    fgraph, _, initvals = open_model(model, inlined_views=True)
    replace, places, starts = {}, {}, {}
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
            inner = node.inputs[0].owner
            if inner is not None and isinstance(getattr(inner.op, "scalar_op", None), Identity):
                inner = inner.inputs[0].owner
            if inner is not None and isinstance(inner.op, ForestValue):
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
    used = set(ancestors([x], blockers=list(data)))
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


def _groups(
    structure: Structure,
    tree: xr.DataTree,
    posterior: xr.Dataset,
    places: Mapping[str, tuple[str, Array]],
    found: Mapping[str, Array],
    seen: Mapping[str, Any],
    others: Sequence[str],
) -> Drawn:
    """Return the draws with stamped forests in the place of their values at the data."""
    keep = ("posterior", "sample_stats")
    groups = {name: tree[name].to_dataset() for name in keep if name in tree.children}
    plain = {str(n): v.values for n, v in posterior.data_vars.items() if n not in places}
    forests = stamped(structure, {**plain, **found})
    assert set(forests) == set(found) <= set(forests_in(structure))
    arrays = {n: (("chain", "draw", f"{n}_dim_0"), v) for n, v in forests.items()}
    groups["posterior"] = posterior.drop_vars(list(places)).assign(arrays)
    groups["posterior"] = groups["posterior"].drop_dims(
        [d for d in groups["posterior"].dims if d not in _dims_used(groups["posterior"])]
    )
    groups["sample_stats"] = groups["sample_stats"].assign(seen)
    methods = {Joined(forests): METHOD}
    if others:
        methods[Joined(others)] = "nuts"
    return Drawn(groups, methods, ())


def _dims_used(data: xr.Dataset) -> set[str]:
    return {str(d) for v in data.data_vars.values() for d in v.dims}
