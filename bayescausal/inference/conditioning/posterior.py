"""Which block of a posterior is drawn how, and putting the draws together.

A block is drawn by the fastest method that is exact: independent draws where a conjugate form fits
(see ``conditioning.plan``); NUTS on sufficient statistics where the equations can be shortened (see
``closed_forms.compress``), at a cost that does not grow with the rows; NUTS on the rows otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from bayescausal.inference.augmentation.data_augmentation import draw_augmented, find_augmented
from bayescausal.inference.censored.independence import independence_draws
from bayescausal.inference.censored.term import FAMILIES as TIMES
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.closed_forms.compress import Compression, lean
from bayescausal.inference.conditioning.atoms import without_atoms
from bayescausal.inference.conditioning.plan import Plan, draw_exact, make_plan, with_arrays
from bayescausal.inference.conditioning.remainder import Remainder, open_remainder
from bayescausal.inference.forests.apart import draw_linear, without_empty
from bayescausal.inference.forests.drawn import check_forest_options, draw_forests, with_stamps
from bayescausal.inference.marginalize.empty_outcomes import (
    draw_gaps,
    find_gaps,
    unread,
    without_cells,
)
from bayescausal.inference.marginalize.in_sequence import HELD, InSequence, in_sequence
from bayescausal.inference.sampling.laplace import LIMIT, laplace_draws
from bayescausal.inference.sampling.sample import (
    INTEGRATED,
    Drawn,
    chooses_chain,
    draw_unknowns,
)
from bayescausal.model.forests.stamp import forests_in
from bayescausal.model.names import Joined, names_of
from bayescausal.model.noise.records import record_of
from bayescausal.model.structure.structure import family_name
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pymc as pm

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "COMPRESSED",
    "METHODS",
    "compression_notes",
    "draw_posterior",
    "gap_methods",
    "no_exact",
    "of_times",
    "relabelled",
]

#: How the unknowns can be drawn.
METHODS = ("auto", "exact", "compressed", "nuts", "laplace")
#: NUTS on sufficient statistics.
COMPRESSED = "compressed (nuts)"
#: Independence Metropolis-Hastings about the mode.
INDEPENDENT = "laplace (metropolis)"
#: Distributions of times whose log-density has one mode, as a rule.
_TIMES = (*TIMES, "PiecewiseExponential")


def draw_posterior(
    structure: Structure,
    conformed: Conformed,
    *,
    method: str,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    postpone: bool = True,
    **sampler: Any,
) -> Drawn:
    """Draw each block of a posterior by its own method; `postpone` a latent that is large."""
    sizes: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
    if forests_in(structure):
        options = {**sizes, "method": method, "progressbar": progressbar, **sampler}
        return _with_forests(structure, conformed, **options)
    if method in ("auto", "exact"):
        shared = in_sequence(structure, conformed)
        if shared is not None:
            options = {"method": method, "progressbar": progressbar, **sizes, **sampler}
            options["postpone"] = False
            inner = draw_posterior(shared.structure, shared.conformed(conformed), **options)
            return with_shared(shared, inner, conformed, seed, postpone=postpone)
    glm = method == "auto" and not chooses_chain(sampler)
    closed = _closed_forms(structure, conformed, method=method, glm=glm, **sizes)
    if method == "exact" and closed.plan.rest:
        raise no_exact(*closed.plan.rest[0])
    if glm:
        blocks = find_augmented(structure, closed.conformed, closed.plan)
        made = draw_augmented(blocks, structure, closed.conformed, closed.plan, **sizes)
        arrays, methods = closed.arrays | made.arrays, closed.methods | made.methods
        known = made.conformed
        closed = closed._replace(plan=made.plan, arrays=arrays, methods=methods, conformed=known)
    sizes |= {"method": method, "progressbar": progressbar, **sampler}
    return _draw_rest(structure, conformed, closed, **sizes)


def _draw_rest(
    structure: Structure,
    whole: Conformed,
    closed: ClosedForms,
    *,
    method: str,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    **sampler: Any,
) -> Drawn:
    """Draw what has no closed form, and put the draws together."""
    sizes: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
    plan, arrays, methods, found, conformed, rows = closed
    if (plan.samplers or arrays) and not plan.rest:
        empty = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
        if rows:
            arrays |= draw_gaps(structure, whole, rows, arrays, empty, seed)
            methods |= gap_methods(rows, set(rows) - set(plan.idle))
        groups = with_arrays(
            structure, conformed.coords, {"posterior": empty}, arrays, conformed.columns
        )
        return Drawn(groups, methods, ())
    held = [n for s in plan.samplers for n in s.observed]
    left = Remainder(
        gone=tuple(arrays),
        held=(*held, *plan.idle),
        found=found,
        shorten=method != "nuts",
        done=tuple(rows),
        must=method == "compressed",
        fused=method != "nuts" and not _in_jax(sampler),
    )
    tried = method not in ("nuts", "laplace")
    conditioned, integral, found = open_remainder(structure, conformed, left, integrated=tried)
    if method != "nuts" and integral is None:
        cut = [n for n in unread(structure, conformed, latents=True) if n not in rows]
        conditioned = replace(conditioned, model=without_cells(conditioned.model, cut))
        rows |= {n: ~conformed.missing[n] for n in cut}
    notes = compression_notes(structure, found, conformed)
    drawn = None
    if method == "laplace" and without_atoms(structure, conditioned)[1]:
        notes = (*notes, "No Laplace approximation (an unknown has atoms): drawn by NUTS.")
    elif method == "laplace":
        drawn, told_too = draw_laplace(lean(structure, conditioned.model), **sizes)
        notes = (*notes, *told_too)
    free = method == "auto" and not chooses_chain(sampler)
    if free and integral is None and of_times(structure, found):
        drawn = draw_independent(lean(structure, conditioned.model), **sizes)
    if drawn is None:
        drawn = draw_unknowns(
            structure,
            conditioned,
            **sizes,
            progressbar=progressbar,
            integral=integral or tried,
            missing=conformed.missing,
            compiled=not free,
            **sampler,
        )
        if method != "nuts":
            more = relabelled(structure, conformed, found, drawn.methods)
            drawn = drawn._replace(methods=more)
    if rows:
        arrays |= draw_gaps(structure, whole, rows, arrays, drawn.groups["posterior"], seed)
    groups = with_arrays(structure, conformed.coords, drawn.groups, arrays, conformed.columns)
    methods |= {**drawn.methods, **gap_methods(rows, held)}
    return Drawn(groups, methods, (*notes, *drawn.notes))


def _with_forests(
    structure: Structure,
    conformed: Conformed,
    *,
    method: str,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str,
    **sampler: Any,
) -> Drawn:
    """Draw a posterior with forests: what does not touch them in closed form where that is."""
    if method not in ("auto", "nuts"):
        names = ", ".join(forests_in(structure))
        raise ModelError(
            f"method={method!r} cannot draw the forest {names}: trees have neither a closed form "
            "nor sums over rows.",
            remedy='Fit with method="auto".',
        )
    check_forest_options(sampler)
    sizes: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
    whole, empty, seen = conformed, dict[str, np.ndarray](), dict[str, np.ndarray]()
    apart = method == "auto"
    if apart and conformed.missing:
        conformed, empty = without_empty(structure, conformed)
    closed = _closed_forms(structure, conformed, method=method, **sizes)
    closed = closed._replace(rows=closed.rows | empty)
    if apart:
        given: dict[str, Any] = {k: sampler.get(k) for k in ("tune", "cores")}
        linear = draw_linear(
            structure, closed.conformed, closed.plan.rest, closed.rows, **given, **sizes
        )
        seen = linear.seen
        plan = Plan(closed.plan.samplers, linear.rest, (*closed.plan.idle, *linear.outcomes))
        arrays, methods = {**closed.arrays, **linear.arrays}, {**closed.methods, **linear.methods}
        closed = closed._replace(plan=plan, arrays=arrays, methods=methods)
    plan, arrays, methods, _, conformed, rows = closed
    if set(forests_in(structure)) <= set(arrays):
        options: dict[str, Any] = {"method": method, "progressbar": progressbar, **sampler}
        drawn = _draw_rest(structure, whole, closed, **sizes, **options)
    else:
        held = [n for s in plan.samplers for n in s.observed]
        left = Remainder(gone=tuple(arrays), held=(*held, *plan.idle))
        conditioned, _, _ = open_remainder(structure, conformed, left, integrated=False)
        drawn = draw_forests(structure, conditioned, **sizes, progressbar=progressbar, **sampler)
        if rows:
            arrays |= draw_gaps(structure, whole, rows, arrays, drawn.groups["posterior"], seed)
        groups = with_arrays(structure, conformed.coords, drawn.groups, arrays, conformed.columns)
        methods = {**methods, **drawn.methods, **gap_methods(rows, held)}
        drawn = Drawn(groups, methods, drawn.notes)
    return with_stamps(structure, drawn, seen)


def with_shared(
    shared: InSequence, drawn: Drawn, conformed: Conformed, seed: int, *, postpone: bool = False
) -> Drawn:
    """Return draws with a latent that was integrated out of a sequence of equations."""
    posterior = drawn.groups["posterior"]
    units = int(np.prod(shared.shape(conformed.columns)))
    if postpone and posterior.sizes["chain"] * posterior.sizes["draw"] * units > HELD:
        groups = {**drawn.groups, "posterior": posterior.assign_attrs(postponed=shared.name)}
        note = f"Integrated out exactly, drawn when it is asked for, being large: {shared.name}."
        return Drawn(groups, {**drawn.methods, shared.name: INTEGRATED}, (*drawn.notes, note))
    array = shared.recover(posterior, conformed.columns, seed)
    groups = with_arrays(
        shared.given, conformed.coords, drawn.groups, {shared.name: array}, conformed.columns
    )
    note = f"Integrated out exactly and drawn back, being Normal: {shared.name}."
    return Drawn(groups, {**drawn.methods, shared.name: INTEGRATED}, (*drawn.notes, note))


class ClosedForms(NamedTuple):
    """What was drawn in closed form, and what is left."""

    plan: Plan  # with blocks that the numbers contradicted moved to the rest
    arrays: dict[str, np.ndarray]  # (chain, draw, ...)
    methods: dict[str, str]
    found: Compression  # of outcomes without a closed form whose empty cells are left out
    conformed: Conformed  # for what is left: in empty cells that are left out stands something
    rows: dict[str, np.ndarray]  # (bool) Of each outcome with such cells, where it is seen


def _closed_forms(
    structure: Structure, conformed: Conformed, *, method: str, glm: bool = False, **sizes: Any
) -> ClosedForms:
    """Draw the blocks with a closed form; leave out empty cells that nothing reads.

    With `glm` also those that are drawn about their mode.
    """
    none, failed = Compression({}, {}), set[str]()
    while conformed.missing:
        gaps = find_gaps(structure, conformed, method, failed, generalised=glm)
        if gaps is None:
            break
        found, known, rows = gaps.leave_out(structure, conformed)
        arrays, methods, plan = draw_exact(gaps.plan, structure, known, rows=rows, **sizes)
        lost = gaps.exact - {n for s in plan.samplers for n in s.observed}
        if not lost:
            return ClosedForms(plan, arrays, methods, found, known, rows)
        failed |= lost
    plan = Plan((), (), ())
    if method != "nuts":
        columns, partly = set(conformed.columns), set(conformed.missing)
        plan = make_plan(structure, columns, partly, conformed.sizes, generalised=glm)
    if method in ("auto", "exact"):
        arrays, methods, plan = draw_exact(plan, structure, conformed, **sizes)
        return ClosedForms(plan, arrays, methods, none, conformed, {})
    return ClosedForms(Plan((), (), plan.idle), {}, {}, none, conformed, {})


def gap_methods(rows: Collection[str], exact: Collection[str]) -> dict[str, str]:
    """Return how the empty cells of outcomes were drawn: independently where the rest was."""
    how = "drawn given the rest"
    return {f"{n}_unobserved": f"conjugate ({how})" if n in exact else how for n in rows}


def draw_laplace(
    model: pm.Model, *, draws: int, chains: int, seed: int
) -> tuple[Drawn | None, tuple[str, ...]]:
    """Draw from a Laplace approximation of a lean model, or say why NUTS has to be run."""
    try:
        found, k_hat = laplace_draws(model, draws=draws, chains=chains, seed=seed)
    except ArithmeticError as error:
        return None, (f"No Laplace approximation ({error}): drawn by NUTS.",)
    if not k_hat <= LIMIT:
        note = f"The Laplace approximation is poor (k-hat {k_hat:.2f}, above {LIMIT})"
        return None, (f"{note}: drawn by NUTS.",)
    names = Joined(str(rv.name) for rv in model.free_RVs)
    note = (
        f"Drawn from a Laplace approximation, corrected by importance weights: k-hat {k_hat:.2f}."
    )
    return Drawn({"posterior": found}, {names: f"laplace (k-hat {k_hat:.2f})"}, (note,)), ()


def draw_independent(model: pm.Model, *, draws: int, chains: int, seed: int) -> Drawn | None:
    """Draw from a lean model about its mode, exactly; None where that does not work."""
    try:
        found = independence_draws(model, draws=draws, chains=chains, seed=seed)
    except ArithmeticError:
        return None
    names = Joined(str(rv.name) for rv in model.free_RVs)
    return Drawn({"posterior": found}, {names: INDEPENDENT}, ())


def of_times(structure: Structure, found: Compression) -> bool:
    """Whether a Gaussian at the mode is worth a try: of censored times, on rows that stay."""
    kept = [n for n in found.left if n in structure.random]
    bases = [record_of(structure.variable(n)) for n in kept]
    return len(kept) == len(found.left) > 0 and all(
        r is not None and r.how == "censored" and family_name(r.base) in _TIMES for r in bases
    )


def relabelled(
    structure: Structure,
    conformed: Conformed,
    found: Compression,
    methods: Mapping[str, str],
) -> dict[str, str]:
    """Return how each block was drawn: apart, those whose equations are all shortened."""
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


def compression_notes(
    structure: Structure, found: Compression, conformed: Conformed
) -> tuple[str, ...]:
    """Say which equations were shortened to what, and which not, as their units are dependent."""
    notes = [
        f"The equation of {name} is compressed to "
        f"{term.words(numbers, _rows_in(numbers, conformed.columns[name].size))}."
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


def _rows_in(numbers: Mapping[str, np.ndarray], size: int) -> int:
    """Return the number of rows that were added up: those that are seen."""
    held = numbers.get("count", numbers.get("counts"))
    return size if held is None else round(float(np.sum(held)))


def _in_jax(options: Mapping[str, Any]) -> bool:
    """Whether the density is to be evaluated by JAX, which has no fused operations of ours."""
    return options.get("nuts_sampler") in ("numpyro", "blackjax") or bool(
        {"backend", "compile_kwargs"} & set(options)
    )
