"""The noise of each unit, given what was seen of it: abduction.

In noise form ``v := q(U_v; parents)``. Given the value of ``v`` and of its parents, in one
posterior draw, the noise is known where the quantile function is continuous (its exact inverse),
and known up to an interval where it jumps (a discrete value, the bound of a censored one):

    ``U_v`` is uniform in ``(F(v-), F(v)]`` given ``v`` and the parents.

Gumbel noise of a nominal variable is drawn given which category won. Latent variables and
imputed cells take their value from the posterior draw. Since every variable's value is there
(observed or drawn), the noises are independent given them, and abduction is exact.

It ends with *predict, compare, redraw*: the noise must reproduce the value through the same
equation, to the last category and to nine digits. Where the model calls a value impossible there
is no such noise, and the unit is reported.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, theorem 7.1.7 (abduction).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.replace import vectorize_graph
from scipy.special import expit

from bayescausal.evaluation.backend import Compiled, inputs_of, with_draws
from bayescausal.evaluation.build import kept_builder
from bayescausal.evaluation.evaluate import Units, argument
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Input, per_draw
from bayescausal.evaluation.program_cache import remember
from bayescausal.model.noise import sample_gumbel, sample_interval
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.types import InterventionError, Stochastic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["AbductedNoise", "drawn_anew"]

#: Times that noise is drawn again where it does not reproduce the value.
REDRAWS = 20


@dataclass(frozen=True, eq=False)
class _Equation:
    """Abduction of one variable: the interval of its noise, and its prediction."""

    name: str
    base: str
    discrete: bool
    inputs: tuple[Input, ...]
    interval: Any
    predict: Any
    batched: tuple[bool, ...]


@dataclass(eq=False)
class AbductedNoise:
    """The noise of given units, as a source for the evaluation of worlds."""

    units: Units  # the units, and all that is known of them in each posterior draw
    # Of the draws within intervals: they too are functions of (seed, variable, draw, unit).
    seed: int
    # The noise form of discrete variables.
    coupling: Mapping[str, str] = field(default_factory=dict)
    # Variables that have a new random mechanism in some world: it has noise of its own, not the
    # unit's. See :func:`drawn_anew`.
    anew: frozenset[str] = frozenset()
    impossible: dict[str, np.ndarray] = field(default_factory=dict)
    cells: dict[str, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    _equations: dict[str, _Equation] = field(default_factory=dict)

    def draw(
        self,
        variable: str,
        base: str,
        draws: Sequence[int] | np.ndarray,
        group: int,
        replicates: int,
        shape: tuple[int, ...],
        *,
        along: int | None = None,
        start: int = 0,
    ) -> np.ndarray:
        """Return the abducted noise of one variable for a block: see ``FreshNoise.draw``."""
        if variable in self.anew:
            label = f"{variable}\x1eanew"
            return self._by_address(label, base, draws, group, replicates, shape, along, start)
        equation = self._equation(variable)
        part = range(draws[0], draws[-1] + 1, draws[1] - draws[0]) if len(draws) > 1 else None
        rows = part if part is not None else range(int(draws[0]), int(draws[0]) + 1)
        block = slice(rows.start, rows.stop, rows.step)
        first = self.units.structure.unit_dims[0]
        length = shape[along] if along is not None else self.units.sizes[first]
        window = slice(start, start + length)
        cut = first if along is not None else None
        held: dict[str, np.ndarray] = {}
        arguments = [
            argument(i, self.units, rows, block, group, 1, cut, window, None, held)
            for i in equation.inputs
        ]
        with np.errstate(all="ignore"):
            found = equation.interval(*arguments)
        shapes = [shape, shape[:-1]] if equation.base == "gumbel" else [shape, shape]
        full = [
            _full(np.asarray(f), b, len(rows), target)
            for f, b, target in zip(found, equation.batched, shapes, strict=False)
        ]
        noise = self._sample(equation, full, rows, group, replicates, shape, along, start)
        return self._check(equation, noise, arguments, full, rows, group, shape, along, start)

    def base(self, variable: str) -> str:
        """Return the standard distribution of a variable's noise."""
        return self._equation(variable).base

    def discrete(self, variable: str) -> bool:
        """Whether a variable's noise is drawn from an interval rather than known."""
        return self._equation(variable).discrete

    def dims(self, variable: str) -> tuple[str | None, ...]:
        """Return the dims of a variable."""
        builder = kept_builder(self.units.structure, self.units.varies, self.coupling)
        return builder.dims_of(variable)

    def whole(self, variable: str, draws: int) -> np.ndarray:
        """Return the noise of one variable for all units, (draw, *dims)."""
        structure = self.units.structure
        dims = self.dims(variable)
        static = structure.variable(variable).type.shape
        own = dim_sizes(structure.model)
        shape = tuple(
            int(self.units.sizes[d])
            if d is not None and d in self.units.sizes
            else int(s)
            if s is not None
            else int(own[d] if d is not None else 1)
            for d, s in zip(dims, static, strict=True)
        )
        first = structure.unit_dims[0]
        along = dims.index(first) if first in dims and not structure.mixes().get(first) else None
        step = max(1, 200_000 // max(int(np.prod(shape)), 1))
        parts = [
            self.draw(variable, "", range(lo, min(lo + step, draws)), 0, 1, shape, along=along)[
                :, 0
            ]
            for lo in range(0, draws, step)
        ]
        return np.concatenate(parts)

    # -- private

    def _rng(
        self,
        equation: _Equation,
        rows: range,
        group: int,
        replicates: int,
        shape: tuple[int, ...],
        along: int | None,
        start: int,
        attempt: int,
    ) -> _Addressed:
        label = f"{equation.name}\x1eabduct{attempt}"
        drawn = self._by_address(label, "logistic", rows, group, replicates, shape, along, start)
        return _Addressed(expit(drawn))

    def _by_address(
        self,
        label: str,
        base: str,
        rows: Sequence[int] | np.ndarray,
        group: int,
        replicates: int,
        shape: tuple[int, ...],
        along: int | None,
        start: int,
    ) -> np.ndarray:
        """Return fresh noise; of selected units, that which they have among all."""
        source = FreshNoise(self.seed)
        if self.units.rows is None or along is None:
            return source.draw(
                label, base, rows, group, replicates, shape, along=along, start=start
            )
        picked = self.units.rows[start : start + shape[along]]
        last = int(picked.max()) + 1 if len(picked) else 0
        whole = (*shape[:along], last, *shape[along + 1 :])
        drawn = source.draw(label, base, rows, group, replicates, whole, along=along, start=0)
        return np.take(drawn, picked, axis=2 + along)

    def _sample(
        self,
        equation: _Equation,
        full: list[np.ndarray],
        rows: range,
        group: int,
        replicates: int,
        shape: tuple[int, ...],
        along: int | None,
        start: int,
        attempt: int = 0,
    ) -> np.ndarray:
        if not equation.discrete:
            return np.broadcast_to(full[0], (len(rows), replicates, *shape)).copy()
        rng: Any = self._rng(equation, rows, group, replicates, shape, along, start, attempt)
        if equation.base == "gumbel":
            log_p, value = full
            wide = (len(rows), replicates, *log_p.shape[2:])
            return sample_gumbel(
                np.broadcast_to(log_p, wide), np.broadcast_to(value, wide[:-1]), rng
            )
        target = (len(rows), replicates, *shape)
        lo, hi = (np.broadcast_to(f, target) for f in full)
        return sample_interval(equation.base, lo, hi, rng)

    def _check(
        self,
        equation: _Equation,
        noise: np.ndarray,
        arguments: list[Any],
        full: list[np.ndarray],
        rows: range,
        group: int,
        shape: tuple[int, ...],
        along: int | None,
        start: int,
    ) -> np.ndarray:
        """Predict, compare, redraw; note the units whose value cannot be reproduced."""
        if not equation.discrete:
            bad = ~np.isfinite(noise)
            noise[bad] = np.nan
            self._report(equation, bad, along, start, rows)
            return noise
        replicates = noise.shape[1]
        for attempt in range(1, REDRAWS + 1):
            wrong = self._wrong(equation, noise, arguments)
            fixable = wrong & np.isfinite(noise if wrong.shape == noise.shape else noise[..., 0])
            if not fixable.any():
                break
            again = self._sample(
                equation, full, rows, group, replicates, shape, along, start, attempt
            )
            noise = np.where(
                fixable if wrong.shape == noise.shape else fixable[..., None], again, noise
            )
        else:
            wrong = self._wrong(equation, noise, arguments)
        if wrong.any():
            noise = np.where(
                wrong if wrong.shape == noise.shape else wrong[..., None], np.nan, noise
            )
        self._report(equation, wrong, along, start, rows)
        return noise

    def _wrong(self, equation: _Equation, noise: np.ndarray, arguments: list[Any]) -> np.ndarray:
        """Return where the noise does not reproduce the value."""
        rows, replicates = noise.shape[:2]
        flat = noise.reshape(-1, *noise.shape[2:])
        spread = [
            np.repeat(a, replicates, axis=0) if i.batched and replicates > 1 else a
            for a, i in zip(arguments, equation.inputs, strict=True)
        ]
        with np.errstate(all="ignore"):
            predicted, value = equation.predict(np.nan_to_num(flat), *spread)
        close = np.isclose(predicted, value, rtol=1e-9, atol=1e-300) | (predicted == value)
        wrong = ~np.broadcast_to(close, predicted.shape)
        wrong = wrong.reshape(rows, replicates, *wrong.shape[1:])
        nan = np.isnan(noise)
        return wrong | (nan.any(axis=-1) if nan.ndim > wrong.ndim else nan)

    def _report(
        self,
        equation: _Equation,
        wrong: np.ndarray,
        along: int | None,
        start: int,
        rows: range,
    ) -> None:
        if not wrong.any():
            return
        if along is None or wrong.ndim <= 2 + along:
            self.impossible.setdefault(equation.name, np.zeros(1))[0] += wrong.mean()
            return
        axes = tuple(a for a in range(wrong.ndim) if a != 2 + along)
        first = self.units.structure.unit_dims[0]
        counts = self.impossible.setdefault(equation.name, np.zeros(self.units.sizes[first]))
        counts[start : start + wrong.shape[2 + along]] += wrong.any(axis=axes)
        draw, unit = np.nonzero(wrong.any(axis=tuple(a for a in axes if a)))
        self.cells.setdefault(equation.name, []).append((np.asarray(rows)[draw], unit + start))

    def _equation(self, name: str) -> _Equation:
        if name not in self._equations:
            structure, varies = self.units.structure, self.units.varies
            moving = tuple(n for n in sorted(structure.model.named_vars) if varies(n))
            key = ("abduct", name, tuple(sorted(self.coupling.items())), moving)
            self._equations[name] = remember(structure, key, lambda: self._build(name))
        return self._equations[name]

    def _build(self, name: str) -> _Equation:
        """Compile the abduction of one variable from its value and its parents' values."""
        builder = kept_builder(self.units.structure, self.units.varies, self.coupling)
        rule = builder.rule(name)
        value = builder.kept(name)
        if rule.base == "gumbel":
            [log_p] = builder.substitute([rule.log_p], builder.only)
            outputs = [log_p, value]
        else:
            lo, hi = rule.interval(value)
            outputs = builder.substitute([lo, hi], builder.only)
        if not rule.discrete:
            outputs = outputs[:1]
        noise = builder.noise(name, rule)
        [predicted] = builder.substitute([rule.forward(noise)], builder.only)
        needed = inputs_of([*outputs, predicted, value])
        inputs = tuple(
            i for i in builder.inputs.values() if i.kind != "noise" and i.variable in needed
        )
        arguments, batch = per_draw(inputs)
        interval = vectorize_graph(outputs, replace=batch) if batch else outputs
        flags = tuple(b.type.ndim > o.type.ndim for b, o in zip(interval, outputs, strict=True))
        batched_noise = with_draws(noise)
        forward, seen = vectorize_graph([predicted, value], replace={**batch, noise: batched_noise})
        return _Equation(
            name,
            rule.base,
            rule.discrete,
            inputs,
            Compiled(arguments, interval),
            Compiled([batched_noise, *arguments], [forward, seen]),
            flags,
        )


def drawn_anew(
    worlds: Mapping[str, Mapping[str, Any]],
    recomputed: frozenset[str],
    natural: Collection[str] = (),
) -> frozenset[str]:
    """Return the variables that a world draws from a new distribution.

    `natural`: variables that are computed in the natural course too.
    Raises InterventionError if another world computes such a variable from its own equation, so
      that it needs its unit's noise too.
    """
    names = {n for do in worlds.values() for n, act in do.items() if isinstance(act, Stochastic)}
    own = {n for do in worlds.values() for n in names if n not in do} | {*natural}
    both = sorted(names & recomputed & own)
    if both:
        raise InterventionError(
            f"{both[0]!r} is drawn from a new distribution in one world and follows from its own "
            "equation in another, which takes two noises of one unit.",
            remedy="Ask about the worlds in separate calls.",
        )
    return frozenset(names)


@dataclass(frozen=True)
class _Addressed:
    """Uniform numbers drawn beforehand, in the guise of a generator."""

    uniform: np.ndarray

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(self.uniform, shape)

    def standard_exponential(self, shape: tuple[int, ...]) -> np.ndarray:
        return -np.log1p(-np.broadcast_to(self.uniform, shape))


def _full(array: np.ndarray, batched: bool, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array as (draws, 1, *shape)."""
    lead = array if batched else array[None]
    missing = len(shape) + 1 - lead.ndim
    lead = lead.reshape(lead.shape[0], *(1,) * missing, *lead.shape[1:])
    return np.broadcast_to(lead, (rows, *shape))[:, None]
