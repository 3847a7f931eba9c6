"""The subgroups of an answer, and the answer in named dims and in words."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.effects.averaging.blocks import Cell
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.conditions import EVERYONE, Condition
from bayescausal.effects.evaluation.group_membership import groups_seen
from bayescausal.effects.evaluation.question import Question
from bayescausal.evaluation.evaluate import evaluate
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.inference.data.duplicate_columns import notes_about
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.effects.evaluation.inner_draws import Plan, Run
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.program import Program

__all__ = ["as_effect", "axes_of", "cells_of", "notes_of"]

#: Levels that `by` may have.
LEVELS = 200
#: The dim of subgroups where not every combination has units.
CELL = "cell"
#: So many subgroups without a unit are named.
SHOWN = 12
#: Values of a treatment that the picture of a dose response marks; of more, quantiles.
MOST_SEEN = 400


def cells_of(question: Question, program: Program, where: dict[str, int], seed: int) -> list[Cell]:
    """Return the subgroups that `by` asks for; one cell for everyone without it."""
    if not question.by:
        return [Cell((), EVERYONE)]
    levels = []
    for name in question.by:
        found = _levels(question, name, program, where, seed)
        if len(found) > LEVELS:
            raise EstimandError(
                f"by={name!r} has {len(found)} values.",
                expected=f"at most {LEVELS}: a discrete variable.",
                remedy="Ask for ranges with given={...}, one at a time.",
            )
        levels.append(found)
    return [
        Cell(
            labels,
            Condition(tuple((n, _plain(v)) for n, v in zip(question.by, labels, strict=True))),
        )
        for labels in itertools.product(*levels)
    ]


def _levels(
    question: Question, name: str, program: Program, where: dict[str, int], seed: int
) -> list[Any]:
    labels = question.fit.labels.get(name)
    units = question.units
    anew = name in question.recomputed and not question.abducted  # else as it was observed
    computed = anew or name in question.structure.deterministics
    if not computed and not units.fresh:
        values = np.unique(units.value(name, slice(0, question.fit.n_draws)))
    else:
        step = max(question.fit.n_draws // 16, 1)
        found = [
            np.unique(b.values[where[name]])
            for b in evaluate(
                program, units, slice(0, question.fit.n_draws, step), FreshNoise(seed)
            )
        ]
        values = np.unique(np.concatenate(found))
    if labels:
        return [labels[int(v)] for v in values]
    return [_plain(v) for v in values]


def _plain(value: object) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_effect(
    run: Run, answer: np.ndarray, plan: Plan, error: Array | float, notes: Sequence[str] = ()
) -> Effect:
    """Put the answer into named dims, with words; `notes` come after its own."""
    question = run.question
    estimand, fit = question.estimand, question.fit
    sizes = fit.posterior.sizes
    shape = (int(sizes["chain"]), int(sizes["draw"]))
    along = [] if estimand.curve is None else [estimand.curve]
    by, own, grid = axes_of(run)
    lead = tuple(len(values) for _, values in along)
    event = answer.shape[len(lead) + 2 :]
    array = answer.reshape(*lead, *grid, *shape, *event)
    dims = [*(name for name, _ in along), *by, "chain", "draw"]
    names = _event_dims(run, len(event))
    coords: dict[str, Any] = {name: list(values) for name, values in along}
    coords.update({n: list(v) for n, v in _event_coords(run, names).items()})
    if estimand.functional.axis is not None:
        name, values = estimand.functional.axis
        coords[name] = list(values)
    draws = xr.DataArray(array, dims=(*dims, *names), coords=coords).assign_coords(own)
    rest = [d for d in draws.dims if d not in ("chain", "draw")]
    draws = draws.transpose("chain", "draw", *rest)
    words, few = groups_seen(question, [cell.condition for cell in run.cells])
    for name, _ in along:
        draws[name].attrs["seen"] = _seen(None if name in fit.labels else fit.columns.get(name))
    return Effect(
        draws=draws,
        estimand=estimand,
        identification=None,
        mc_error=_shaped_error(error, draws, rest, lead, grid, event),
        seed=run.seed,
        population=words,
        notes=(*notes_of(run, plan, error), *few, *_unseen(run, answer, plan), *notes),
    )


def _seen(column: object) -> list[float]:
    """Return what a picture shows of a column in memory: its values, or quantiles of many."""
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "biuf":
        return []
    values = column[np.isfinite(column)].astype(float)
    if len(values) > MOST_SEEN:
        values = np.quantile(values, np.linspace(0, 1, MOST_SEEN))
    return [float(value) for value in np.ravel(values)]


def axes_of(run: Run) -> tuple[list[str], xr.Coordinates, tuple[int, ...]]:
    """Return the dims of the subgroups of `by`, their labels, and their lengths.

    One dim for each variable; where not every combination has units, one dim ``cell`` of those
    that have.
    """
    by = run.question.by
    levels = [list(dict.fromkeys(c.labels[i] for c in run.cells)) for i in range(len(by))]
    grid = tuple(len(values) for values in levels)
    if len(run.cells) == int(np.prod(grid)):
        return list(by), xr.Coordinates(dict(zip(by, levels, strict=True))), grid
    index = pd.MultiIndex.from_tuples([c.labels for c in run.cells], names=by)
    return [CELL], xr.Coordinates.from_pandas_multiindex(index, CELL), (len(run.cells),)


def _left_out(run: Run) -> list[str]:
    """Say which subgroups of `by` have no unit."""
    if not run.left_out:
        return []
    shown = [cell.condition.describe() for cell in run.left_out[:SHOWN]]
    more = len(run.left_out) - len(shown)
    named = "; ".join(shown) + (f"; and {more:,} more" if more else "")
    group = run.question.estimand.condition.describe()
    total = len(run.cells) + len(run.left_out)
    return [
        f"{len(run.left_out):,} of {total:,} subgroups are left out, for no unit"
        f"{f' with {group}' if group else ''} is in them: {named}."
    ]


def _unseen(run: Run, answer: np.ndarray, plan: Plan) -> list[str]:
    """Return what a simulated answer of exactly zero leaves open (the rule of three [1]_).

    .. [1] J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all right?",
       JAMA 249(13), 1983.
    """
    if run.exact or plan.flat or np.any(answer):
        return []
    units = plan.units or run.question.units.count
    count = units * plan.replicates * run.question.fit.n_draws
    return [
        f"Zero, as far as {count:,} simulated units show; what happens to less than a share of "
        f"{3 / count:.1g} of them would not be seen."
    ]


def _shaped_error(
    error: Array | float,
    draws: xr.DataArray,
    rest: list[Any],
    lead: tuple[int, ...],
    grid: tuple[int, ...],
    event: tuple[int, ...],
) -> xr.DataArray | float:
    array = np.asarray(error, dtype=float)
    if not rest:
        return float(array.reshape(-1)[0]) if array.size == 1 else float(np.max(array))
    if array.size == 1:
        return float(array.reshape(-1)[0])
    shaped = array.reshape(*lead, *grid, *event)
    return xr.DataArray(
        shaped, dims=rest, coords={d: draws.coords[d] for d in rest if d in draws.coords}
    )


def _event_dims(run: Run, count: int) -> list[str]:
    if not count:
        return []
    dims = run.program.dims[0]
    event = [d for d in dims if d not in run.question.structure.unit_dims]
    return [d if d is not None else f"{run.question.outcome}_dim_{i}" for i, d in enumerate(event)]


def _event_coords(run: Run, names: list[str]) -> dict[str, Any]:
    coords = run.question.structure.model.coords
    return {n: coords[n] for n in names if coords.get(n) is not None}


def notes_of(run: Run, plan: Plan, error: Array | float) -> tuple[str, ...]:
    question, estimand = run.question, run.question.estimand
    notes = list(question.notes)
    notes += _left_out(run)
    set_here = {name for do in question.worlds.values() for name in do}
    moved = question.structure.descendants(set_here)
    notes += notes_about(question.fit.notes, set_here, moved)
    notes += question.assumptions(run.program)
    mixed = question.structure.mixes(run.program.names)
    if mixed:
        notes.append(
            f"Units depend on each other ({next(iter(mixed.values()))}): the intervention acts on "
            "all of them at once."
        )
    if not estimand.collapsible:
        scale = estimand.scale  # type: ignore[attr-defined]
        notes.append(
            f"The {scale.name} is marginal and not collapsible: it is no average of subgroups' "
            "values."
        )
    worst = float(np.max(np.asarray(error)))
    if plan.capped or worst > 1.5 * plan.target > 0:
        cap = f" the cap of {plan.replicates} inner draws was reached" if plan.capped else ""
        notes.append(
            f"The Monte Carlo error of one draw, {worst:.2g}, is above its target of "
            f"{plan.target:.2g}{';' if cap else ''}{cap}."
        )
    latent = [n for n in question.fit.latent if n in run.program.names]
    if latent and not question.units.fresh:
        notes.append(f"Latent, drawn from the {question.fit.kind}: {', '.join(latent)}.")
    notes += question.drawn_once(run.program)
    if estimand.remark:
        notes.append(estimand.remark)
    return tuple(notes)
