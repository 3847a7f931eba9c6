"""Levels: those of a treatment that nobody named, and labels of an outcome that are numbers.

A category is held as a code 0, 1, ... Where its labels are numbers (an answer from 1 to 5), an
event "at least 4" is about the labels, and so are a quantile, a survival curve and the effect on a
unit. Labels that are text have no order and no differences: such questions are refused.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.counterfactuals.noise import AbductedNoise, drawn_anew
from bayescausal.effects.averaging.heavy_tails import INSTEAD
from bayescausal.effects.estimands.conditions import Condition, Outside
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.estimands.parts import NATURAL
from bayescausal.effects.evaluation.outcome_distributions import members_of
from bayescausal.effects.evaluation.slopes import refuse_jumps, refuse_kinks
from bayescausal.evaluation.label_levels import encode, numbers_of
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.support import refuse_outside, refuse_undefined
from bayescausal.model.interventions.defined import naming
from bayescausal.model.interventions.support import support_of
from bayescausal.model.structure.integer_roles import compared_with, role_of
from bayescausal.types import (
    EstimandError,
    InterventionError,
    NotFiniteError,
    Set,
    UndefinedEffectError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = [
    "coded_event",
    "naming_undefined",
    "natural_reads",
    "noise_of",
    "number_labels",
    "refuse_default_levels",
    "refuse_mean",
    "refuse_no_times",
    "refuse_unheld",
    "refuse_unknown_labels",
    "refuse_values",
]


def number_labels(fit: Fit, name: str) -> tuple[float, ...]:
    """Return the labels of a category where they are numbers other than its codes; else none.

    Raises EstimandError if they are no numbers.
    """
    labels = tuple(fit.labels.get(name, ()))
    if not all(isinstance(v, Real) for v in labels):
        raise EstimandError(
            f"The categories of {name!r} are {', '.join(map(str, labels[:12]))}: they are no "
            "numbers, so nothing is above or below them, and they have no differences.",
            remedy="Ask for each category: functional=Probability(equals=...).",
        )
    return numbers_of(labels)


def refuse_mean(fit: Fit, estimand: Estimand) -> None:
    """Refuse the mean of categories, whoever they are averaged over.

    Raises UndefinedEffectError.
    """
    name, structure = estimand.outcome_name, fit.structure
    if estimand.strategy != "averages" or not estimand.functional.averaged:
        return
    random = name in structure.random and name not in structure.imputed
    if fit.labels.get(name) or (random and support_of(structure.variable(name)).categorical):
        raise UndefinedEffectError(
            f"The values of {name!r} are categories, which have no mean.",
            remedy="Ask for the probability of a category: functional=Probability(...).",
        )


def refuse_no_times(fit: Fit, names: Iterable[str]) -> None:
    """Refuse categories with labels in the place of times."""
    for name in names:
        if fit.labels.get(name):
            raise EstimandError(
                f"{name!r} is a category, and times are compared.", expected="a number."
            )


def refuse_unknown_labels(fit: Fit, condition: Condition) -> None:
    """Refuse a condition on a label that a variable does not have: nobody has it, or in a set
    the others alone would be meant without a word.

    Raises EstimandError naming the label and those that there are.
    """
    for name, spec in condition.clauses:
        for level in _asked_levels(spec):
            known = name in fit.structure.model.named_vars  # other names are refused as such
            labelled = (isinstance(level, str) and known) or fit.labels.get(name)
            if name and labelled and isinstance(level, str | Real):
                encode(fit, name, level, remedy="Conditions name labels of the data.")


def refuse_unheld(units: Units, clauses: Iterable[tuple[str, Any]]) -> None:
    """Refuse a set of levels with one of a label, held as a number, that no unit has.

    Raises EstimandError naming the level and those that there are.
    """
    structure = units.structure
    for name, spec in clauses:
        held, levels = units.columns.get(name, units.fit.columns.get(name)), _asked_levels(spec)
        if held is None or len(levels) < 2 or name not in structure.data:
            continue
        if role_of(structure, name) != "label" or len(compared_with(structure, name)) == 1:
            continue  # of data that are compared with one number, others are one level
        seen = np.unique(np.asarray(held))
        strange = [v for v in levels if isinstance(v, Real) and float(v) not in seen]
        if strange:
            shown = ", ".join(f"{v:g}" for v in seen[:12])
            raise EstimandError(
                f"No unit has {name}={float(strange[0]):g}, and {name!r} is a label.",
                expected=f"levels among {shown}{', ...' if len(seen) > 12 else '.'}",
                remedy="Conditions name labels of the data.",
            )


def _asked_levels(spec: object) -> list[object]:
    """Return the levels that a clause of a condition names."""
    event = spec.event if isinstance(spec, Outside) else spec
    asked = event.equals if isinstance(event, Probability) else event
    return list(asked) if isinstance(asked, list) else [asked]


@contextmanager
def naming_undefined(fit: Fit, estimands: Sequence[Estimand]) -> Iterator[None]:
    """Name the equation that is not defined, where the draws of an answer are not finite.

    Where all are, it is a mean that does not exist: of Student's t with one degree of freedom.
    """

    def some_draws() -> Iterator[dict[str, np.ndarray]]:
        held = fit.posterior.stack(sample=("chain", "draw"))
        for place in range(0, held.sizes["sample"], max(fit.n_draws // 64, 1)):
            yield {n: held[n].isel(sample=place).values for n in fit.structure.parameters}

    try:
        with naming(fit.structure, fit.columns, some_draws):
            yield
    except NotFiniteError as error:
        means = [e for e in estimands if e.functional.averaged]
        if len(means) < len(estimands):
            raise
        raise UndefinedEffectError(
            f"The mean of {means[0].outcome_name!r} does not exist, or is beyond the largest "
            f"number: {error.found}",
            remedy=INSTEAD,
        ) from error


def coded_event(fit: Fit, name: str, event: Probability) -> Probability:
    """Return an event of labels as one of codes.

    Raises EstimandError for a label that there is not, or a limit where labels have no order.
    """
    if event.equals is not None:
        return Probability(equals=float(encode(fit, name, event.equals)))
    labels = number_labels(fit, name)
    if not labels:
        return event
    if list(labels) != sorted(labels):
        raise EstimandError(
            f"The categories of {name!r} have the order {', '.join(f'{v:g}' for v in labels)}: "
            "above and below are not those of numbers.",
            remedy="Ask for each category: Probability(equals=...).",
        )
    if event.between is not None:
        low, high = event.between
        first = int(np.searchsorted(labels, low))
        last = int(np.searchsorted(labels, high, "right")) - 1
        return Probability(at_most=-1) if first > last else Probability(between=(first, last))
    if event.above is not None:
        return Probability(at_least=int(np.searchsorted(labels, event.above, "right")))
    if event.at_least is not None:
        return Probability(at_least=int(np.searchsorted(labels, event.at_least)))
    if event.at_most is not None:
        return Probability(at_most=int(np.searchsorted(labels, event.at_most, "right")) - 1)
    below = float(np.inf if event.below is None else event.below)
    return Probability(at_most=int(np.searchsorted(labels, below)) - 1)


def refuse_default_levels(
    fit: Fit, estimand: Estimand, worlds: Mapping[str, Mapping[str, Intervention]]
) -> None:
    """Refuse levels of a label that nobody named and no unit has."""
    if not getattr(estimand, "_default_levels", False):
        return
    structure = fit.structure
    for name in estimand.treatments:
        column = fit.columns.get(name)
        labelled = name in structure.data and role_of(structure, name) == "label"
        if name in structure.random and name not in structure.imputed:
            labelled = support_of(structure.variable(name)).categorical
        if column is None or not labelled:
            continue
        seen = np.unique(np.asarray(column))
        for do in worlds.values():
            act = do.get(name)
            if not isinstance(act, Set) or np.ndim(act.value) or act.value not in (0, 1):
                continue  # another value was named
            if act.value not in seen:
                shown = ", ".join(f"{v:g}" for v in seen[:12])
                raise InterventionError(
                    f"{estimand.label()} compares the levels 1 and 0 where none are named, and no "
                    f"unit has {name} = {float(act.value):g}.",
                    expected=f"levels among {shown}{', ...' if len(seen) > 12 else '.'}",
                    remedy="Name treated= and control=.",
                )


def refuse_values(
    units: Units,
    estimand: Estimand,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    couplings: Mapping[str, str],
    reads: tuple[str, ...],
    seed: int,
    abducted: bool,
) -> None:
    """Refuse levels at which the equations that are asked about are not defined."""
    asked_of = None if units.fresh else members_of(units, estimand.condition)
    refuse_outside(units, worlds, recomputed, seed=seed, asked_of=asked_of)
    step, at = worlds, getattr(estimand, "at", None)
    if estimand.derivative and at is not None:  # a step may reach over what is not defined at it
        worlds = {**worlds, "at": {n: Set(at) for n in estimand.treatments}}
    natural = natural_reads(units.structure, estimand, reads)
    own = noise_of(units, worlds, recomputed, couplings, seed, abducted, natural)
    mean = estimand.functional.averaged and not abducted
    read = (estimand.outcome_name, *estimand.functional.others, *reads)
    refuse_undefined(units, worlds, recomputed, read, means=mean, noise=own, coupling=couplings)
    if estimand.derivative:
        first = units.structure.unit_dims[0]
        if asked_of is not None and units.rows is None and not units.columns and asked_of.any():
            rows = np.flatnonzero(asked_of)
            if rows[-1] < units.sizes[first]:
                units = replace(units, rows=rows, sizes={**units.sizes, first: len(rows)})
        refuse_jumps(units, estimand, step, recomputed, mean=mean)
        refuse_kinks(units, estimand, step, recomputed, mean=mean)


def noise_of(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    couplings: Mapping[str, str],
    seed: int,
    abducted: bool,
    natural: frozenset[str],
) -> AbductedNoise | FreshNoise:
    """Return the source of the noise: each unit's own, abducted, or fresh."""
    asked = {name: do for name, do in worlds.items() if name != NATURAL}
    anew = drawn_anew(asked, recomputed, natural)
    return AbductedNoise(units, seed, couplings, anew=anew) if abducted else FreshNoise(seed)


def natural_reads(structure: Structure, estimand: Estimand, reads: Iterable[str]) -> frozenset[str]:
    """Return what the natural course computes for the subgroup and the weights of a question."""
    weighed = () if estimand.weighting is None else (estimand.weighting.variable,)
    names = {*reads, *weighed}
    return frozenset(names | structure.ancestors(names))
