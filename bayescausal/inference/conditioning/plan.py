"""Which block is drawn how: the exact samplers of a posterior, and what is left for a Markov chain.

A block is drawn exactly where one of the conjugate forms fits (:mod:`.linear`, :mod:`.counts`). The
forms are tried on the expressions first, without data; the numbers have the last word, and a block
that they contradict goes to the rest. So does a generalised linear equation whose posterior is no
Gaussian (:mod:`..sampling.generalised`). What is left is one smaller model: the equations of exact
blocks are cut from it, their variables held at the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pymc.distributions.transforms import _default_transform
from pymc.pytensorf import toposort_replace
from pytensor.compile import SharedVariable
from pytensor.graph.replace import vectorize_graph

from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.inference.closed_forms.blocks import Block, named_parents, split
from bayescausal.inference.closed_forms.counts import CountBlock, count_block
from bayescausal.inference.closed_forms.linear import LinearBlock
from bayescausal.inference.closed_forms.linear_form import linear_block
from bayescausal.inference.closed_forms.simplex import SimplexBlock, simplex_block
from bayescausal.inference.conditioning.row_sums import accumulate, measured, rows_of
from bayescausal.inference.hamiltonian.bounded import BoundedBlock, bounded_block
from bayescausal.inference.hamiltonian.mixed import MixedBlock, mixed_block
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock
from bayescausal.inference.hierarchies.hierarchy import coefficient_block
from bayescausal.inference.sampling.generalised import GeneralisedBlock, generalised_block
from bayescausal.inference.sampling.ordered import ordered_cutpoints
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.names import Joined
from bayescausal.model.structure.function_graph import close, dim_sizes, open_model
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pymc as pm
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "Plan",
    "Sampler",
    "as_array",
    "derived",
    "draw_exact",
    "is_moved",
    "layout",
    "make_plan",
    "rest_of",
    "with_arrays",
]


Sampler = (
    LinearBlock
    | CountBlock
    | CoefficientBlock
    | SimplexBlock
    | BoundedBlock
    | GeneralisedBlock
    | MixedBlock
)


@dataclass(frozen=True, eq=False)
class Plan:
    """The blocks of a posterior."""

    samplers: tuple[Sampler, ...]  # of the blocks that are drawn exactly
    rest: tuple[tuple[Block, str], ...]  # the others, and why they are not
    idle: tuple[str, ...]  # observed variables whose equations have no unknown


def make_plan(
    structure: Structure,
    columns: Collection[str],
    partly: Collection[str] = (),
    sizes: Mapping[str, int] | None = None,
    *,
    generalised: bool = False,
) -> Plan:
    """Return how each block can be drawn, from the expressions and the names of the data alone.

    - `columns`, `partly`: names of columns, and of those with empty cells.
    - `sizes`: how many units there are, for latent paths along them. Without it these are not
      tried.
    - `generalised`: whether generalised linear equations are drawn on their rows, about their mode,
      and many scales by a chain of their own.

    Examples
    --------
    >>> from bayescausal import datasets
    >>> from bayescausal.model.structure.read import structure_of
    >>> world = datasets.coating()
    >>> plan = make_plan(structure_of(world.model), {"humid", "dilution", "coating"})
    >>> [sampler.names for sampler in plan.samplers]
    [('b_c0', 'b_dc', 'b_hc', 'sigma')]
    >>> [(block.unknowns, reason) for block, reason in plan.rest]
    [(('b_d0', 'b_hd'), "'dilution' is not Normal")]
    """
    observed = {n for n in structure.random if n in columns and n not in partly}
    observed |= {rv.name for rv in structure.model.observed_RVs} - set(partly)
    samplers: list[Sampler] = []
    rest: list[tuple[Block, str]] = []
    for block in split(structure, observed, partly):
        if block.opaque and not (block.together and sizes):
            rest.append((block, block.opaque))
            continue
        odd = [n for n in block.unknowns if is_moved(structure, n)]
        if odd and not (generalised and odd == ordered_cutpoints(structure, block)):
            rest.append((block, f"{', '.join(odd)} has a transform of its own"))
            continue
        if block.opaque:
            path = _path_block(structure, block, columns, sizes or {})
            if isinstance(path, str):
                rest.append((block, block.opaque))
            else:
                samplers.append(path)
            continue
        found: Sampler | str = linear_block(structure, block, columns)
        coefficients = partial(coefficient_block, chains=generalised)
        forms = count_block, simplex_block, bounded_block, coefficients
        for form in (*forms, *((generalised_block, mixed_block) if generalised else ())):
            if isinstance(found, str):
                other = form(structure, block, columns)
                found = found if isinstance(other, str) else other
        if isinstance(found, str):
            rest.append((block, found))
        else:
            samplers.append(found)
    used = {n for s in samplers for n in s.observed}
    used |= {f.name for block, _ in rest for f in block.observed}
    idle = tuple(n for n in structure.random if n in observed and n not in used)
    return Plan(tuple(samplers), tuple(rest), idle)


def _path_block(
    structure: Structure, block: Block, columns: Collection[str], sizes: Mapping[str, int]
) -> CoefficientBlock | str:
    """Return a sampler of paths that run along the units at hand."""
    now = dim_sizes(structure.model)
    if any(now.get(d, n) != n for d, n in sizes.items()):
        fgraph, _, initvals = open_model(structure.model, inlined_views=True)
        fitting = close(fgraph, initvals, sizes=sizes)
        structure = structure_of(fitting, unit_dims=structure.unit_dims)
    return coefficient_block(structure, block, columns, together=True)


def is_moved(structure: Structure, name: str) -> bool:
    """Whether a variable has another transform than its family: an order, an interval."""
    rv = structure.variable(name)
    own = structure.model.rvs_to_transforms.get(rv)
    return rv in structure.model.free_RVs and type(own) is not type(
        None if is_discrete(rv) else _default_transform(rv.owner.op, rv)
    )


def draw_exact(
    plan: Plan,
    structure: Structure,
    conformed: Conformed,
    *,
    draws: int,
    chains: int,
    seed: int,
    rows: Mapping[str, np.ndarray] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, str], Plan]:
    """Draw the blocks that can be drawn exactly.

    Blocks that the numbers contradict are moved to the rest of the plan that is returned. `rows`
    are, of outcomes with a sampler of their own, the rows that count.
    """
    arrays: dict[str, np.ndarray] = {}
    methods: dict[str, str] = {}
    kept, failed = [], list(plan.rest)
    for sampler in plan.samplers:
        key = [seed, crc32(",".join(sorted(sampler.names)).encode())]
        used: Sampler = sampler
        try:
            cells = {n: v for n, v in (rows or {}).items() if n in sampler.observed}
            if getattr(sampler, "together", False):
                statistics = accumulate(sampler, structure, conformed.columns, counts=cells)
            else:
                columns = rows_of(structure, sampler.observed[0], conformed.columns, cells)
                used, statistics = measured(sampler, structure, columns)
            try:
                found = used.draw(statistics, chains * draws, key)
            except ArithmeticError:
                if not isinstance(used, CoefficientBlock) or used.chained is None:
                    raise
                used = used.chained  # the scales by a chain of their own, where nothing else fits
                found = used.draw(statistics, chains * draws, key)
        except (NotAffineError, ArithmeticError) as error:
            failed.append((_block_of(structure, plan, sampler), str(error)))
            continue
        kept.append(sampler)
        for name, values in found.items():
            arrays[name] = values.reshape(chains, draws, *values.shape[1:])
        methods[Joined(sampler.names)] = used.method
    return arrays, methods, Plan(tuple(kept), tuple(failed), plan.idle)


def _block_of(structure: Structure, plan: Plan, sampler: Sampler) -> Block:
    blocks = split(structure, {n for s in plan.samplers for n in s.observed}, ())
    return next(b for b in blocks if set(sampler.names) & set(b.unknowns))


def rest_of(model: pm.Model, gone: Sequence[str], held: Sequence[str]) -> pm.Model:
    """Return what is left of a conditioned model without some blocks.

    Gone are the unknowns that are drawn elsewhere, and Deterministics that read them; the equations
    of what is held are left out, and its variables keep the values of the data.
    """
    if not gone and not held:
        return model
    away = {model[n] for n in gone}
    random = set(model.basic_RVs)
    below = {d for d in model.deterministics if _reads(d, random) & away}
    fgraph, memo, initvals = open_model(model)
    drop = {memo[v] for v in (*away, *below)}
    for i in reversed(range(len(fgraph.outputs))):
        if fgraph.outputs[i] in drop:
            fgraph.remove_output(i)
    cut = [(memo[model[n]], memo[model[n]].owner.inputs[1]) for n in held]
    toposort_replace(fgraph, tuple(cut), reverse=True)
    return close(fgraph, {k: v for k, v in initvals.items() if k not in gone})


def _reads(variable: TensorVariable, leaves: set[Any]) -> set[Any]:
    return named_parents(list(variable.owner.inputs), leaves)


def with_arrays(
    structure: Structure,
    coords: Mapping[str, Any],
    groups: Mapping[str, xr.Dataset],
    arrays: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray],
) -> dict[str, xr.Dataset]:
    """Return groups with draws, and what they determine, put in."""
    if not arrays:
        return dict(groups)
    before = groups["posterior"]
    variables: dict[str, Any] = {str(n): v.variable for n, v in before.data_vars.items()}
    labels: dict[str, Any] = {}
    for name, value in arrays.items():  # put together at once: this is a large part of a refit
        dims, own = layout(structure.model, name, value, coords)
        variables[name] = dims, value
        labels |= {d: v for d, v in own.items() if d not in before.coords}
    posterior = xr.Dataset(variables, {**before.coords, **labels}, before.attrs)
    made = derived(structure, posterior, coords, data)
    return {**groups, "posterior": posterior.assign(made) if made else posterior}


def derived(
    structure: Structure,
    posterior: xr.Dataset,
    coords: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
) -> dict[str, xr.DataArray]:
    """Return the parameters' Deterministics that the draws and ``pm.Data`` determine."""
    model = structure.model
    leaves = {*model.basic_RVs, *model.data_vars}
    unit = {*structure.nodes, *structure.deterministics, *structure.imputed}
    wanted = []
    for d in model.deterministics:
        read = {v.name for v in named_parents([d], leaves)}
        data = {v.name for v in model.data_vars}
        if d.name in posterior or d.name in unit or read & unit:
            continue
        if read - data <= {str(v) for v in posterior.data_vars} and read - data:
            wanted.append((d, sorted(read - data)))
    if not wanted:
        return {}
    names = sorted({n for _, read in wanted for n in read})
    flat = {n: posterior[n].values.reshape(-1, *posterior[n].shape[2:]) for n in names}
    batch = {
        model[n]: pt.TensorType(str(model[n].type.dtype), (None,) * v.ndim)(f"all_{n}")
        for n, v in flat.items()
    }
    outputs = vectorize_graph([d for d, _ in wanted], batch)
    given = {
        v: pt.constant(np.asarray(values[v.name], dtype=v.type.dtype))
        for v in model.data_vars
        if v.name in values and isinstance(v, SharedVariable)
    }
    call = pytensor.function(list(batch.values()), outputs, givens=given, mode=PY_MODE)
    with np.errstate(all="ignore"):
        found = call(*(v.astype(model[n].type.dtype) for n, v in flat.items()))
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    made = {}
    for (d, _), value in zip(wanted, found, strict=True):
        value = np.asarray(value).reshape(*sizes, *np.shape(value)[1:])
        made[d.name] = as_array(model, d.name, value, coords)
    return made


def as_array(
    model: pm.Model, name: str, value: np.ndarray, coords: Mapping[str, np.ndarray]
) -> xr.DataArray:
    """Return draws with the dims and labels that PyMC would give them."""
    dims, labels = layout(model, name, value, coords)
    index = {"chain": np.arange(value.shape[0]), "draw": np.arange(value.shape[1])}
    return xr.DataArray(value, dims=dims, coords={**index, **labels})


def layout(
    model: pm.Model, name: str, value: np.ndarray, coords: Mapping[str, np.ndarray]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return the dims of draws, and the labels of those but chain and draw, as PyMC has them."""
    own = model.named_vars_to_dims.get(name)
    dims = [d or f"{name}_dim_{i}" for i, d in enumerate(own or (None,) * (value.ndim - 2))]
    labels = {}
    for d, n in zip(dims, value.shape[2:], strict=True):
        found = coords.get(d)
        if found is None:
            found = model.coords.get(d)
        labels[d] = np.asarray(found) if found is not None and len(found) == n else np.arange(n)
    return ("chain", "draw", *dims), labels
