r"""Questions about the variable that was measured, not about its record.

A survival time beyond the end of the study is recorded as the end of the study; a concentration
below the limit of detection as the limit. The model says so, ``v ~ Censored(T, lower, upper)``, and
the question is about ``T``. So a censored or rounded outcome is asked about in a model of its own:

.. math:: T \sim D(\text{parents}), \qquad
   \texttt{recorded(v)} = \min(\max(T, \text{lower}), \text{upper}),

where ``v`` names the variable ``T`` itself, ``recorded(v)`` its record, and what read ``v`` reads
the record. Of a unit whose record is exact, ``T`` is known. Of the others it is known to lie in an
interval, and is drawn there given the unit's parents, in each posterior draw:
``T | record, parents`` is ``D`` cut to the interval, whatever reads the record.

What the data say about ``T`` beyond the bounds they say through the form of ``D`` alone, and only
if the bound has no cause in common with ``T`` but its parents (independent censoring [1]_).

References
----------
.. [1] J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003,
   section 3.2.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.replace import vectorize_graph

from bayescausal.evaluation.backend import Compiled, inputs_of, with_draws
from bayescausal.evaluation.build import kept_builder
from bayescausal.evaluation.evaluate import Units, argument, units_of
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import per_draw
from bayescausal.evaluation.program_cache import remember
from bayescausal.inference.record import Fit
from bayescausal.model.noise import family_of, noise_rule, sample_interval
from bayescausal.model.noise.records import Record, plain_name, record_of, records, rewritten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bayescausal.model.structure.structure import Structure

__all__ = [
    "measured",
    "measured_structure",
    "measured_units",
    "plain_name",
    "recorded_notes",
    "records",
]


def measured_structure(structure: Structure, names: Iterable[str]) -> Structure:
    """Return the structure in which some records are replaced by what was measured.

    `names`: what is asked about; names that are no records do not matter.
    Returns: `structure` itself, if none is a record.
    """
    chosen = tuple(sorted(records(structure, names)))
    if not chosen:
        return structure
    return remember(structure, ("measured", chosen), lambda: rewritten(structure, chosen))


def measured(fit: Fit, names: Iterable[str]) -> Fit:
    """Return a fit for questions about what was measured.

    Returns: `fit` itself, if none is a record.
    """
    structure = measured_structure(fit.structure, names)
    if structure is fit.structure:
        return fit
    made = copy.copy(fit)
    fields: dict[str, Any] = {
        "__class__": _MeasuredFit,
        "model": structure.model,
        "structure": structure,
        "origin": getattr(fit, "origin", fit.structure),
        "of": tuple(sorted({*getattr(fit, "of", ()), *records(fit.structure, names)})),
    }
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def measured_units(units: Units, fit: Fit, seed: int) -> Units:
    """Return units of records as units of what was measured.

    - `units`: new units, complete in each draw: their records stand beside the fit's.
    - `fit`: from :func:`measured`.
    - `seed`: of what is drawn within the intervals.
    """
    if not isinstance(fit, _MeasuredFit):
        return units
    drawn = {
        name: _behind(units, fit.origin, name, slice(0, units.fit.n_draws), seed)
        for name in fit.of
        if name in units.columns or name in units.latents
    }
    return replace(units, structure=fit.structure, fit=fit, latents={**units.latents, **drawn})


def recorded_notes(fit: Fit, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Say, of each name that is a record or stands for one, which of the two is meant.

    Returns: which it is, and what that rests on.
    """
    notes: list[tuple[str, str]] = []
    asked = set(names)
    for name, record in records(fit.structure, asked).items():
        label = f"recorded({name})"
        if label in asked:
            notes.append(
                (
                    f"{label} is {name} as it was recorded, {record.how}.",
                    f"Ask about {name!r} for the variable that was measured.",
                )
            )
        if name not in asked:
            continue
        share = _share(fit, name, record)
        family = family_of(record.base)
        if record.how == "rounded":
            tail = f"Within the rounding it is drawn from its {family} distribution."
        else:
            tail = (
                f"Beyond the bounds the answer rests on the form of its {family} distribution and "
                f"on bounds that have no cause in common with {name} but its parents."
            )
        notes.append(
            (
                f"{name} is the variable that was measured, not its {record.how} record{share}.",
                f"{tail} Ask about {label!r} for the record.",
            )
        )
    return tuple(notes)


# ------------------------------------------------------------------------------- private


class _MeasuredFit(Fit):
    """A fit that draws what was measured, where the record leaves it open, when it is asked for."""

    origin: Structure
    of: tuple[str, ...]

    def varies(self, name: str) -> bool:
        """Whether the value of a variable differs between draws."""
        return name in self.of or super().varies(name)

    def value(self, name: str, chain_draw: slice = slice(None)) -> np.ndarray:
        """Return the value of a variable in a block of draws."""
        if name not in self.of:
            return super().value(name, chain_draw)
        units = units_of(self._plain())
        if units is None:
            return super().value(name, chain_draw)
        return _behind(units, self.origin, name, chain_draw, self.seed)

    def _plain(self) -> Fit:
        """Return the fit of records: the same data and draws, the model as it was given."""
        made = copy.copy(self)
        fields = {"__class__": Fit, "structure": self.origin, "model": self.origin.model}
        for name, value in fields.items():
            object.__setattr__(made, name, value)
        return made


def _behind(units: Units, structure: Structure, name: str, draws: slice, seed: int) -> np.ndarray:
    """Return what was measured, (draw, *dims): known, or drawn where the record leaves it open."""
    moving = tuple(n for n in sorted(structure.model.named_vars) if units.varies(n))
    inputs, interval, forward, batched, dims, base = remember(
        structure, ("behind", name, moving), lambda: _compiled(units, structure, name)
    )
    rows = range(units.fit.n_draws)[draws]
    held: dict[str, np.ndarray] = {}
    whole = slice(0, units.sizes[structure.unit_dims[0]])
    arguments = [argument(i, units, rows, draws, 0, 1, None, whole, None, held) for i in inputs]
    with np.errstate(all="ignore"):
        value, low, high = (
            np.asarray(v) if b else np.asarray(v)[None]
            for v, b in zip(interval(*arguments), batched, strict=True)
        )
        shape = (len(rows), *np.broadcast_shapes(value.shape[1:], low.shape[1:], high.shape[1:]))
        value, low, high = (np.broadcast_to(v, shape) for v in (value, low, high))
        first = structure.unit_dims[0]
        along = dims.index(first) if first in dims else None
        label = f"{name}\x1emeasured"
        uniform = FreshNoise(seed).draw(label, "logistic", rows, 0, 1, shape[1:], along=along)
        noise = sample_interval(base, low, high, _Given(1.0 / (1.0 + np.exp(-uniform[:, 0]))))  # type: ignore[arg-type]
        drawn = forward(noise, *arguments)[0]
    return np.where(low == high, value, drawn)


def _compiled(units: Units, structure: Structure, name: str) -> tuple[Any, ...]:
    """Compile the interval of noise that a record leaves, and the value that noise gives."""
    builder = kept_builder(structure, units.varies, {})
    record = record_of(structure.variable(name))
    assert record is not None
    rule = noise_rule(record.base)
    value = builder.kept(name)
    found = builder.substitute([value, *record.interval(value)], builder.only)
    noise = builder._fresh(name, f"U_{name}", (), "float64")
    [whole] = builder.substitute([rule.forward(noise)], builder.only)
    needed = inputs_of([*found, whole])
    inputs = tuple(i for i in builder.inputs.values() if i.variable in needed)
    arguments, batch = per_draw(inputs)
    batch[noise] = with_draws(noise)
    interval = list(vectorize_graph(found, replace=batch))
    forward = vectorize_graph([whole], replace=batch)
    return (
        inputs,
        Compiled(arguments, interval),
        Compiled([batch[noise], *arguments], forward),
        tuple(b.type.ndim > f.type.ndim for b, f in zip(interval, found, strict=True)),
        builder.dims_of(name),
        rule.base,
    )


class _Given:
    """Uniform numbers drawn beforehand, in the guise of a generator."""

    def __init__(self, uniform: np.ndarray) -> None:
        self.uniform = uniform

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(self.uniform, shape)


def _share(fit: Fit, name: str, record: Record) -> str:
    """Return how many of the values at hand are at a bound, in words; empty if not known."""
    column: Mapping[str, Any] | Any = fit.columns.get(name)
    units = units_of(fit)
    if record.how != "censored" or column is None or units is None:
        return ""
    builder = kept_builder(fit.structure, units.varies, {})
    value = builder.kept(name)
    outputs = builder.substitute(list(record.before(value)), builder.only)
    needed = inputs_of(outputs)
    inputs = [i for i in builder.inputs.values() if i.variable in needed]
    if any(i.batched for i in inputs):
        return ""
    whole = slice(0, units.sizes[fit.structure.unit_dims[0]])
    arguments = [
        argument(i, units, range(1), slice(0, 1), 0, 1, None, whole, None, {}) for i in inputs
    ]
    low, high = Compiled([i.variable for i in inputs], outputs)(*arguments)
    return f" ({np.mean(np.asarray(low) != np.asarray(high)):.0%} of its values are at a bound)"
