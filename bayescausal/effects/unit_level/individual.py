"""The effect on each unit, and the distribution of that effect.

The effect on one unit, ``Y(1) - Y(0)`` with its own noise kept, is a rung-three number: one of
the two outcomes was never seen, and how the worlds go together for one unit is fixed by the noise
form (rank preservation; a coupling for discrete variables), not by data.

Over units, quantiles of the effect and the probability that treatment harms depend on that joint
too. What the data can say about them are bounds. With the unit's distribution functions ``F1``
and ``F0`` given its covariates and latents, the sharp bounds on ``P(Y(1) - Y(0) <= d)`` are
Makarov's [1]_, [2]_,

    ``sup_y max(F1(y) - F0(y - d), 0)``  and  ``1 + inf_y min(F1(y) - F0(y - d), 0)``,

averaged over units. Where something between treatment and outcome is recomputed too, the
distribution functions are those of the population, which gives wider bounds.

References
----------
.. [1] G. D. Makarov, "Estimates for the distribution function of a sum of two random variables
   when the marginal distributions are fixed", Theory of Probability 26 (1981), 803-806.
.. [2] Y. Fan and S. S. Park, "Sharp bounds on the distribution of treatment effects and their
   statistical inference", Econometric Theory 26 (2010), 931-951.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pytensor.tensor.random.basic import NormalRV

from bayescausal.counterfactuals.predict import impossible_note
from bayescausal.effects.averaging.closed_form import ClosedForm, expansion_of
from bayescausal.effects.effect import Effect
from bayescausal.effects.unit_level.makarov import difference_bounds
from bayescausal.evaluation.evaluate import argument, evaluate
from bayescausal.evaluation.program import Request
from bayescausal.inference.stream.source_data import NotHeld
from bayescausal.types import DataError, EmptySubgroupError, EstimandError

if TYPE_CHECKING:
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.evaluate import NoiseSource
    from bayescausal.evaluation.program import Program
    from bayescausal.model.structure.structure import Structure

__all__ = ["individual"]

#: Numbers that are worked at a time.
AT_A_TIME = 200_000


def individual(question: Question, seed: int) -> Effect:
    """Answer an ITE: unit by unit, or a functional of its distribution over units.

    Returns: dims chain, draw and the unit dims; or chain and draw alone, with bounds.
    Raises DataError if the model calls the evidence of a unit impossible.
    Raises EmptySubgroupError, EstimandError.
    """
    estimand: Any = question.estimand
    if estimand.by:
        raise EstimandError("ITE is by unit already.", remedy="Leave out by=.")
    effects, chosen, source = _unit_effects(question, seed)
    note = impossible_note(source, question.units)
    if note:
        raise DataError(note, remedy="Leave these units out, or check the model.")
    fit = question.fit
    chains, draws = (int(fit.posterior.sizes[d]) for d in ("chain", "draw"))
    program = source.program
    once = question.drawn_once(program, question.couplings)
    notes = (*question.notes, *question.assumptions(program), *once)
    if estimand.per_unit:
        effects.flags.writeable = False  # so the answer is not copied
        array = _named(question, effects, chosen).values
        shaped = xr.DataArray(
            array.reshape(chains, draws, *array.shape[1:]),
            dims=("chain", "draw", *_frame(question)),
            coords=_coords(question, chosen),
        )
        return Effect(
            draws=shaped,
            estimand=estimand,
            mc_error=0.0,
            seed=seed,
            population=question.words,
            notes=notes,
        )
    flat = effects.reshape(len(effects), -1)
    if chosen is not None:
        flat = flat[:, chosen.reshape(-1)]
    values = np.asarray(estimand.functional.of(flat, None, axis=1), dtype=float)
    bounds, words = difference_bounds(question, seed, chosen)
    edges = np.stack([np.minimum(bounds[0], values), np.maximum(bounds[1], values)], axis=-1)
    return Effect(
        draws=xr.DataArray(values.reshape(chains, draws), dims=("chain", "draw")),
        estimand=estimand,
        mc_error=0.0,
        seed=seed,
        population=question.words,
        notes=(*notes, words),
        bounds=xr.DataArray(
            edges.reshape(chains, draws, 2),
            dims=("chain", "draw", "bound"),
            coords={"bound": ["lower", "upper"]},
        ),
    )


def _unit_effects(question: Question, seed: int) -> tuple[np.ndarray, np.ndarray | None, Any]:
    """Return the effect of every unit, (draw, *frame), which units belong, and the noise."""
    estimand: Any = question.estimand
    units = question.units
    reads = question.reads
    outcome = question.outcome
    requests = [question.drawn(w) for w in ("treated", "control")]
    requests += [Request("natural course", name, "draw") for name in reads]
    program = question.compiled(requests)
    frame = _frame(question)
    if len(program.dims[0]) != len(frame):
        raise EstimandError(
            f"{outcome!r} is a vector for each unit.", remedy="Ask about a Deterministic of it."
        )
    source: Any = question.noise(seed)
    source.program = program
    total = units.fit.n_draws
    effects = _without_noise(question, program, source, seed)
    if effects is None:
        effects = np.empty((total, *(units.sizes[d] for d in frame)))
        first = question.structure.unit_dims[0]
        place = frame.index(first) if first in frame else None
        for block in evaluate(program, units, slice(0, total), source, replicates=1):
            where: list[Any] = [block.draws]
            where += [block.units if i == place else slice(None) for i in range(len(frame))]
            treated, control = (np.asarray(v[:, 0], dtype=float) for v in block.values[:2])
            effects[tuple(where)] = estimand.scale.combine(treated, control)
    return effects, _members(question, program, source) if estimand.given else None, source


def _without_noise(
    question: Question, program: Program, source: NoiseSource, seed: int
) -> np.ndarray | None:
    """Return effects that no unit's noise has a part in; None where it has, or may have.

    In a difference of sums of products the noise of both worlds cancels, and what is left is
    coefficients, one row for each draw, times features, one column for each unit. The noise is
    looked at in a few units: that it exists there says that it exists everywhere.
    """
    units, structure = question.units, question.structure
    plain = question.estimand.scale.name == "difference" and not structure.mixes(program.names)
    if (
        not plain
        or program.dims[0] != structure.unit_dims
        or isinstance(units.fit.columns, NotHeld)
    ):
        return None
    if not all(_one_spread(structure, item.name) for item in program.noise):
        return None
    expansion = expansion_of(question, program, 2, differences=True, held_noise=True)
    if expansion is None:
        return None
    total, first = units.fit.n_draws, structure.unit_dims[0]
    for item in program.noise:
        argument(item, units, range(total), slice(0, total), 0, 1, first, slice(0, 2), source, {})
    form = ClosedForm(question, program, {}, (), seed, expansion)
    treated, control = (Counter(terms) for terms in expansion.terms)
    terms = [(t, 1.0) for t in (treated - control).elements()]
    terms += [(t, -1.0) for t in (control - treated).elements()]
    held = form.coefficients(slice(0, total), total)
    effects = np.empty((total, *(units.sizes[d] for d in structure.unit_dims)))
    for window, values in form.features():
        there = effects[:, window]
        along = form.spread(values, there.shape[1:])
        rows = max(1, AT_A_TIME // max(int(np.prod(there.shape[1:])), 1))
        for lo in range(0, total, rows):
            found = np.zeros((len(there[lo : lo + rows]), *there.shape[1:]))
            for (place, feature, index), sign in terms:
                part = np.full((total, 1), 1.0) if place < 0 else held[place].reshape(total, -1)
                part = sign * part[lo : lo + rows]
                if index:
                    part = (along[feature, index] @ part.T).T
                elif feature >= 0:
                    part = part * along[feature, index]
                found += part.reshape(-1, *found.shape[1:]) if part.shape[1] > 1 else part
            there[lo : lo + rows] = found
    return effects


def _one_spread(structure: Structure, name: str) -> bool:
    """Whether a variable is Normal with one standard deviation for all units."""
    node = structure.model[name].owner if name in structure.model.named_vars else None
    if node is None or not isinstance(node.op, NormalRV):
        return False
    return all(node.op.dist_params(node)[1].type.broadcastable)


def _members(question: Question, program: Program, source: NoiseSource) -> np.ndarray:
    """Return which units belong, the same in every draw."""
    estimand: Any = question.estimand
    frame = _frame(question)
    units = question.units
    values = {}
    for name in question.reads:
        if units.varies(name):
            raise EstimandError(
                f"Whether a unit belongs depends on {name!r}, which is not observed, so the "
                "units would differ between draws.",
                remedy="Ask about all units, or form the subgroup by an observed variable.",
            )
        if name in question.structure.deterministics:
            [block] = evaluate(program, units, slice(0, 1), source, replicates=1, whole_units=True)
            column = block.values[2 + question.reads.index(name)][0, 0]
        else:
            column = units.value(name, slice(0, 1))
        own = [d for d in question.structure.dims[name] if d in frame]
        column = column.reshape([units.sizes[d] if d in own else 1 for d in frame])
        labels = question.fit.labels.get(name)
        values[name] = np.asarray(labels)[column.astype(int)] if labels else column
    member = np.asarray(estimand.given.member(values))
    member = np.broadcast_to(member, tuple(units.sizes[d] for d in frame))
    if not member.any():
        raise EmptySubgroupError(
            f"0 of {units.count:,} units have {estimand.given.describe()}.",
            expected="at least one unit.",
        )
    return member


def _frame(question: Question) -> list[str]:
    dims = question.structure.dims[question.outcome]
    return [d for d in dims if d in question.structure.unit_dims]


def _named(question: Question, effects: np.ndarray, chosen: np.ndarray | None) -> xr.DataArray:
    """Return the effects of the units that belong, in named dims."""
    frame = _frame(question)
    array = xr.DataArray(effects, dims=("sample", *frame))
    if chosen is None:
        return array
    if len(frame) > 1:
        raise EstimandError(
            "A subgroup of ITE needs one unit dim.", remedy="Ask about all units, and select."
        )
    return array.isel({frame[0]: np.flatnonzero(chosen)})


def _coords(question: Question, chosen: np.ndarray | None) -> dict[str, Any]:
    coords = {}
    for dim in _frame(question):
        labels = question.units.coords.get(dim)
        if labels is not None:
            labels = np.asarray(labels)
            coords[dim] = labels if chosen is None else labels[np.flatnonzero(chosen)]
    return coords
