"""Which block of a posterior is drawn how, and putting the draws together.

A block is drawn by the fastest method that is exact: independent draws where a conjugate form fits
(:mod:`.exact.plan`); NUTS on sufficient statistics where the equations can be shortened
(:mod:`.compress`), at a cost that does not grow with the rows; NUTS on the rows otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.closed_forms.compress import (
    Compression,
    fuse,
    insert,
    lean,
    measure,
    reducible,
)
from bayescausal.inference.closed_forms.plan import (
    Plan,
    draw_exact,
    make_plan,
    rest_of,
    with_arrays,
)
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.marginalize.empty_outcomes import draw_gaps, find_gaps
from bayescausal.inference.marginalize.integrate import opened
from bayescausal.inference.sampling.laplace import LIMIT, draw_bell
from bayescausal.inference.sampling.sample import draw_unknowns
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.names import Joined, names_of
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.inference.marginalize.integrate import Integrated
    from bayescausal.inference.sampling.sample import Drawn
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "COMPRESSED",
    "METHODS",
    "compression_of",
    "draw_posterior",
    "no_exact",
    "not_compressed",
    "relabelled",
    "told",
]

#: How the unknowns can be drawn.
METHODS = ("auto", "exact", "compressed", "nuts", "laplace")
#: NUTS on sufficient statistics.
COMPRESSED = "compressed (nuts)"


def draw_posterior(
    structure: Structure,
    conformed: Conformed,
    *,
    method: str,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    **sampler: Any,
) -> Drawn:
    """Draw each block of a posterior by its own method.

    Parameters
    ----------
    structure : Structure
        The model, read.
    conformed : Conformed
        The data.
    method, draws, chains, seed, progressbar, **sampler
        As in :func:`bayescausal.fit`.

    Returns
    -------
    groups, methods, notes
        As :func:`.sample.draw_unknowns`.
    """
    sizes = {"draws": draws, "chains": chains, "seed": seed}
    plan = Plan((), (), ())
    arrays: dict[str, np.ndarray] = {}
    methods: dict[str, str] = {}
    if method in ("auto", "exact"):
        arrays, methods, plan, conformed = _drawn_exactly(structure, conformed, **sizes)
    elif method != "nuts":
        plan = make_plan(structure, set(conformed.columns), set(conformed.missing))
        plan = Plan((), (), plan.idle) if plan.samplers else plan
    if method == "exact" and plan.rest:
        raise no_exact(*plan.rest[0])
    if plan.samplers and not plan.rest:
        empty = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
        groups = with_arrays(
            structure, conformed.coords, {"posterior": empty}, arrays, conformed.columns
        )
        return groups, methods, ()
    held = [n for s in plan.samplers for n in s.observed]
    found = Compression({}, {})

    def change(model: pm.Model) -> pm.Model:
        nonlocal found
        gone = [n for n in arrays if n in model.named_vars]
        model = rest_of(model, gone, [*held, *plan.idle])
        if method == "nuts":
            return model
        found = compression_of(structure, conformed, model)
        if method == "compressed" and found.left:
            raise not_compressed(found)
        if not _in_jax(sampler):
            found = fuse(found, structure, conformed)
        return insert(structure, model, found)

    integral: Integrated | bool | None = False
    if method in ("nuts", "laplace"):
        conditioned = condition(structure, conformed)
        conditioned = replace(conditioned, model=change(conditioned.model))
    else:
        conditioned, integral = opened(structure, conformed, change)
    notes = told(structure, found, conformed)
    bell = None
    if method == "laplace":
        bell, more, told_too = draw_laplace(lean(structure, conditioned.model), **sizes)
        notes = (*notes, *told_too)
    if bell is not None:
        groups = {"posterior": bell}
    else:
        groups, more, told_too = draw_unknowns(
            structure,
            conditioned,
            **sizes,
            progressbar=progressbar,
            integral=True if integral is None else integral,
            missing=conformed.missing,
            **sampler,
        )
        notes = (*notes, *told_too)
        if method != "nuts":
            more = relabelled(structure, conformed, found, more)
    groups = with_arrays(structure, conformed.coords, groups, arrays, conformed.columns)
    return groups, {**methods, **more}, notes


def _drawn_exactly(
    structure: Structure, conformed: Conformed, *, draws: int, chains: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, str], Plan, Conformed]:
    """Draw the blocks with a closed form; outcomes with empty cells without their empty rows.

    Returns
    -------
    arrays, methods, plan
        As :func:`.exact.plan.draw_exact`.
    conformed : Conformed
        For what is left: such outcomes are held, whatever stands in their empty cells.
    """
    sizes: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
    gaps = find_gaps(structure, conformed) if conformed.missing else None
    if gaps is not None:
        arrays, methods, plan = draw_exact(
            gaps.plan, structure, gaps.conformed, rows=gaps.rows, **sizes
        )
        if set(gaps.rows) <= {n for s in plan.samplers for n in s.observed}:
            cells = draw_gaps(structure, conformed, gaps.rows, arrays, seed)
            told = dict.fromkeys(cells, "conjugate (drawn given the rest)")
            return {**arrays, **cells}, {**methods, **told}, plan, gaps.conformed
    plan = make_plan(structure, set(conformed.columns), set(conformed.missing))
    return *draw_exact(plan, structure, conformed, **sizes), conformed


def draw_laplace(
    model: pm.Model, *, draws: int, chains: int, seed: int
) -> tuple[xr.Dataset | None, dict[str, str], tuple[str, ...]]:
    """Draw from the bell at the mode, if its weights can be trusted.

    Parameters
    ----------
    model : pm.Model
        Conditioned, lean.
    draws, chains, seed : int

    Returns
    -------
    posterior : Dataset or None
        None where NUTS has to be run.
    methods, notes
        As :func:`.sample.draw_unknowns`.
    """
    try:
        found, k_hat = draw_bell(model, draws=draws, chains=chains, seed=seed)
    except ArithmeticError as error:
        return None, {}, (f"No Laplace approximation ({error}): drawn by NUTS.",)
    if not k_hat <= LIMIT:
        note = f"The Laplace approximation is poor (k-hat {k_hat:.2f}, above {LIMIT})"
        return None, {}, (f"{note}: drawn by NUTS.",)
    names = ", ".join(rv.name for rv in model.free_RVs)
    note = (
        f"Drawn from a Laplace approximation, corrected by importance weights: k-hat {k_hat:.2f}."
    )
    return found, {names: f"laplace (k-hat {k_hat:.2f})"}, (note,)


def compression_of(structure: Structure, conformed: Conformed, model: Any) -> Compression:
    """Return how the equations of what is left can be shortened for the data at hand.

    Parameters
    ----------
    structure : Structure
    conformed : Conformed
    model : pm.Model
        Conditioned, without the blocks that were drawn already.

    Returns
    -------
    Compression
    """
    names = [rv.name for rv in model.observed_RVs]
    discrete = [rv.name for rv in model.free_RVs if is_discrete(rv)]
    if discrete:
        why = f"{', '.join(discrete)} is discrete and unknown"
        return Compression({}, dict.fromkeys(names, why))
    return measure(reducible(structure, conformed, names), structure, conformed)


def relabelled(
    structure: Structure,
    conformed: Conformed,
    found: Compression,
    methods: Mapping[str, str],
) -> dict[str, str]:
    """Return how each block was drawn: apart, those whose equations are all shortened.

    Parameters
    ----------
    structure : Structure
    conformed : Conformed
    found : Compression
    methods : mapping of str to str
        Of one Markov chain.

    Returns
    -------
    dict of str to str
    """
    partly = set(conformed.missing)
    seen = {n for n in structure.random if n in conformed.columns} - partly
    seen |= {rv.name for rv in structure.model.observed_RVs} - partly
    short: set[str] = set()
    for block in split(structure, seen, partly):
        equations = {f.name for f in block.observed}
        if equations and equations <= set(found.chosen) and not block.opaque:
            short |= set(block.unknowns)
    out: dict[str, str] = {}
    for names, how in methods.items():
        if how != "nuts":
            out[names] = how
            continue
        both = {COMPRESSED: [], "nuts": []}  # type: dict[str, list[str]]
        rank = {n: i for i, n in enumerate(structure.full)}
        for name in sorted(names_of(names), key=lambda n: rank.get(n, len(rank))):
            both[COMPRESSED if name in short else "nuts"].append(name)
        out.update({Joined(own): kind for kind, own in both.items() if own})
    return out


def told(structure: Structure, found: Compression, conformed: Conformed) -> tuple[str, ...]:
    """Say which equations were shortened to what, and which could not be because units touch.

    Parameters
    ----------
    structure : Structure
    found : Compression
    conformed : Conformed

    Returns
    -------
    tuple of str
    """
    notes = [
        f"The equation of {name} is compressed to "
        f"{term.words(numbers, conformed.columns[name].size)}."
        for name, (term, numbers) in found.chosen.items()
    ]
    for name in found.left:
        for reason in list(structure.mixing.get(name, {}).values())[:1]:
            notes.append(f"The equation of {name} mixes units ({reason}): drawn on the plain path.")
    return tuple(notes)


def no_exact(block: Block, reason: str) -> ModelError:
    """Return the error for a block that has no exact method."""
    return ModelError(
        f"The posterior of {', '.join(block.unknowns)} has no exact method: {reason}.",
        remedy='Fit with method="auto".',
    )


def _in_jax(options: Mapping[str, Any]) -> bool:
    """Whether the density is to be evaluated by JAX, which has no fused operations of ours."""
    return options.get("nuts_sampler") in ("numpyro", "blackjax") or bool(
        {"backend", "compile_kwargs"} & set(options)
    )


def not_compressed(found: Compression) -> ModelError:
    """Return the error for equations that keep their rows."""
    [name, reason] = next(iter(found.left.items()))
    return ModelError(
        f"The equation of {name!r} cannot be compressed: {reason}.",
        remedy='Fit with method="auto".',
    )
