r"""What does the prior expect? The prior predictive, beside the data and beside the question.

A prior is easiest to judge by the data it expects. With data, each variable is predicted from its
parents as they were, under the prior; without, the whole model is simulated. Three things go
wrong:

* *too wide*: the middle 90% of the prior predictive is more than 20 times as wide as that of
  the data (or a yes-or-no variable is all but certain in more than half of the draws: wide priors
  on a logit put their weight on 0 and 1 [1]_). Such a prior is harmless with much data, slow to
  sample, and carries the answer where data are few.
* *too narrow or in the wrong place*: more than 5% of the values lie outside the central 99% of
  what the prior expects of their unit. Such a prior and the data disagree.
* *the answer is given*: the prior of an effect is so narrow, or so wide, that it is the prior that
  speaks: its 94% interval is below 0.05 or above 20 standard deviations of the outcome.

References
----------
.. [1] J. Gabry, D. Simpson, A. Vehtari, M. Betancourt and A. Gelman, "Visualization in Bayesian
   workflow", Journal of the Royal Statistical Society A 182 (2019), 389-402.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.predictive.posterior import predictions, tree_of
from bayescausal.checks.predictive.replicas import Replicas, kind_of
from bayescausal.draws.check import Check
from bayescausal.draws.digits import three
from bayescausal.effects.as_estimand import as_estimands
from bayescausal.effects.estimate import estimate
from bayescausal.evaluation.build import build_program
from bayescausal.evaluation.evaluate import evaluate, fresh_units
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Request
from bayescausal.figures.checks.predictive import plot_prior
from bayescausal.inference.sampling.prior_and_truth import prior
from bayescausal.model.structure.function_graph import data_values
from bayescausal.simulation.simulate import unit_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.figures.style import Axes
    from bayescausal.inference.record import Fit
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["prior_check"]

#: Widths that are too much, shares that are too many, and what counts as certain.
WIDE, OUTSIDE, CERTAIN, MOSTLY, NARROW = 20.0, 0.05, 0.01, 0.5, 0.05
#: Units that are simulated where there are no data.
FRESH = 200

MEANING = {
    "pass": "The prior expects data like these and leaves the answer open.",
    "warn": "A prior this wide costs nothing with much data, and decides the answer with little: "
    "scale the priors to the units of the variables.",
    "fail": "The prior does not expect data like these: mend its scale or its place, or find out "
    "why the data surprise.",
    "undecided": "Without data nothing says whether that is much: pass data, or judge by what you "
    "know of the variables.",
}


def prior_check(
    model: pm.Model | Design,
    data: Data | None = None,
    *,
    estimands: Estimand | Effect | Sequence[Estimand | Effect] | None = None,
    units: int | Mapping[str, int] | None = None,
    draws: int = 500,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Check:
    """Check what data, and what effects, the prior expects.

    Parameters
    ----------
    model : pm.Model or Design
        A generative model.
    data : DataFrame, Mapping or Dataset, optional
        What was seen. It is compared with, and informs nothing.
    estimands : Estimand or Effect, or a sequence of them, optional
        Questions: their prior is judged too.
    units : int or mapping of str to int, optional
        Without data: how many units are simulated.
    draws : int
        Prior draws.
    seed : int, optional
        Same seed, same check.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.

    Returns
    -------
    Check
        Its table has a row per variable and question: quantiles of what the prior expects
        (``q03`` to ``q97``), ``seen_mean`` and ``seen_sd`` of the data, ``width`` (of the middle
        90%, relative to the data's), ``outside`` (share of values outside the central 99%),
        ``certain`` (share of near-certain draws of a yes-or-no variable) and ``verdict``.
        ``values["tree"]`` has the replicas in the form of ArviZ, ``values["effects"]`` the prior
        effects.

    Raises
    ------
    EstimandError
        If a question is none.
    ModelError
        If a prior is improper.

    References
    ----------
    J. Gabry et al., "Visualization in Bayesian workflow", Journal of the Royal Statistical Society
    A 182 (2019), 389-402.

    Examples
    --------
    >>> import bayescausal as bc
    >>> world = bc.datasets.coating()
    >>> data = bc.simulate(world.model, world.truth, units=100, seed=1)
    >>> bc.prior_check(world.model, data, seed=1, draws=200).verdict
    'pass'
    """
    asked = [] if estimands is None else as_estimands(estimands)
    if data is None and units is None:
        known = prior(model, draws=draws, seed=seed, unit_dims=unit_dims)
    else:
        known = prior(model, data, units=units, draws=draws, seed=seed, unit_dims=unit_dims)
    if data is None and units is not None:
        unit_sizes(known.structure, units)  # refuses other units than those of the model's own data
    seen = known.data is not None
    notes: tuple[str, ...] = tuple(known.notes)
    if seen:
        found, more = predictions(known, None, draws=draws, seed=known.seed)
        notes = (*notes, *(n for n in more if "the check is optimistic" not in n))
    else:
        found = _forward(known)
    rows = {r.name: _row(r, seen) for r in found}
    effects = [estimate(known, each) for each in asked]
    spread = {r.name: float(np.std(r.seen if seen else r.drawn)) for r in found}
    for effect in effects:
        rows |= _effect_rows(effect, spread if seen else {})
    columns = ["q03", "q25", "q50", "q75", "q97", "seen_mean", "seen_sd", "width"]
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=[*columns, "outside", "certain", "why", "verdict"]
    )
    table.index.name = "variable"
    verdict = next((v for v in ("fail", "warn") if (table["verdict"] == v).any()), "")
    verdict = verdict or ("pass" if seen else "undecided")
    return Check(
        name="prior predictive",
        verdict=verdict,
        finding=_finding(table, seen),
        meaning=MEANING[verdict],
        table=table,
        notes=notes,
        values={"tree": tree_of(found), "effects": tuple(effects)},
        picture=partial(_draw, table=table),
    )


# ------------------------------------------------------------------------------- private


def _forward(known: Fit) -> list[Replicas]:
    """Simulate every random variable of fresh units, parents first, in each draw."""
    structure = known.structure
    first = structure.unit_dims[0]
    count = int((known.sizes or _own_sizes(structure)).get(first, FRESH))
    units = fresh_units(known, count)
    names = [n for n in structure.random if n not in structure.imputed]
    binary = [n for n in names if kind_of(known, n) == "binary"]
    random = frozenset(v.name for v in structure.model.basic_RVs) & frozenset(structure.random)
    program = build_program(
        structure,
        {"natural": {}},
        [
            *(Request("natural", n, "draw") for n in names),
            *(Request("natural", n, "mean") for n in binary),
        ],
        recomputed=random,
        varying=units.varies,
    )
    parts: list[list[np.ndarray]] = [[] for _ in program.requests]
    whole, source = slice(0, known.n_draws), FreshNoise(known.seed)
    for block in evaluate(program, units, whole, source, replicates=1, whole_units=True):
        many = len(range(known.n_draws)[block.draws])
        for part, value in zip(parts, block.values, strict=True):
            flat = value[:, 0]
            part.append(np.broadcast_to(flat, (many, *flat.shape[1:])).reshape(many, -1))
    arrays = [np.concatenate(p).astype(float) for p in parts]
    chances = dict(zip(binary, arrays[len(names) :], strict=True))
    none = np.array([])
    return [
        Replicas(n, kind_of(known, n), none, drawn, none, chance=chances.get(n))
        for n, drawn in zip(names, arrays, strict=False)
    ]


def _own_sizes(structure: Structure) -> dict[str, int]:
    """Return the units that the model's own data have: others would have no value of theirs."""
    held = data_values(structure.model)
    return {
        dim: int(size)
        for name in structure.data
        if name in held
        for dim, size in zip(structure.dims[name], held[name].shape, strict=True)
        if dim in structure.unit_dims
    }


def _row(replicas: Replicas, seen: bool) -> list[Any]:
    """Return what the prior expects of a variable, and what is wrong with it."""
    drawn, values, kind = replicas.drawn, replicas.seen, replicas.kind
    ends = [float(q) for q in np.quantile(drawn, [0.03, 0.25, 0.5, 0.75, 0.97])]
    certain = np.nan
    if kind == "binary":
        chance = replicas.chance if replicas.chance is not None else drawn.mean(axis=1)
        certain = float(((chance < CERTAIN) | (chance > 1 - CERTAIN)).mean())
    width = outside = mean = sd = np.nan
    if seen:
        mean, sd = float(values.mean()), float(values.std())
        place = np.where(np.isfinite(replicas.pit), replicas.pit, 0.0)
        outside = float(((place < 0.005) | (place > 0.995)).mean())
        if kind in ("number", "count"):
            mine, theirs = (
                float(np.subtract(*np.quantile(x, [0.95, 0.05]))) for x in (drawn, values)
            )
            width = mine / theirs if theirs > 0 else np.nan
    why, verdict = "", "pass" if seen else "undecided"
    if not np.isfinite(drawn).all():
        why, verdict = "values that are not finite", "fail"
    elif outside > OUTSIDE:
        why, verdict = f"{outside:.0%} of the values lie where the prior expects none", "fail"
    elif width > WIDE:
        why, verdict = f"the prior predictive is {three(width)} times as wide as the data", "warn"
    elif certain > MOSTLY:
        why, verdict = f"{certain:.0%} of the prior's chances are within 0.01 of 0 or 1", "warn"
    return [*ends, mean, sd, width, outside, certain, why, verdict]


def _effect_rows(effect: Effect, spread: Mapping[str, float]) -> dict[str, list[Any]]:
    """Return one row per cell of a prior effect."""
    estimand = effect.estimand
    scale = getattr(estimand, "scale", None)
    plain = getattr(scale, "name", "difference") == "difference"
    sd = spread.get(estimand.outcome_name, np.nan) if plain else np.nan
    flat = effect.draws.stack(sample=("chain", "draw")).transpose("sample", ...).values
    flat = flat.reshape(len(flat), -1)
    rows = {}
    for i in range(flat.shape[1]):
        draws = flat[:, i]
        ends = [float(q) for q in np.quantile(draws, [0.03, 0.25, 0.5, 0.75, 0.97])]
        width = (ends[-1] - ends[0]) / sd if sd > 0 else np.nan
        why, verdict = "", "pass" if np.isfinite(width) else "undecided"
        if width > WIDE:
            why, verdict = f"its prior spans {three(width)} sd of the outcome", "warn"
        elif width < NARROW:
            why, verdict = f"its prior spans {width:.2g} sd of the outcome: it is settled", "warn"
        label = effect.label if flat.shape[1] == 1 else f"{effect.label} ({i})"
        rows[label] = [*ends, np.nan, np.nan, width, np.nan, np.nan, why, verdict]
    return rows


def _finding(table: pd.DataFrame, seen: bool) -> str:
    bad = table[table["why"] != ""]
    if len(bad):
        return "; ".join(f"{name}: {row['why']}" for name, row in bad.iterrows()) + "."
    if seen:
        return f"{', '.join(map(str, table.index))}: what was seen is what the prior expects."
    shown = "; ".join(
        f"{name} between {three(row['q03'])} and {three(row['q97'])}"
        for name, row in table.iterrows()
    )
    return f"The prior expects {shown} (94% of draws)."


def _draw(ax: Axes | None = None, *, table: pd.DataFrame) -> Axes:
    """Draw what the prior expects, variable by variable."""
    variables = table
    if table["seen_sd"].notna().any():  # questions have no data: they are left to the table
        variables = table[table["seen_sd"].notna()]
    return plot_prior(variables, ax=ax)
