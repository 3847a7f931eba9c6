"""People who were not in the data, of whom only something was seen.

Let ``e`` be what was observed of a new unit and ``z`` the noise of the variables that were not.
For each posterior draw of the parameters the rest of the unit must be drawn from

    ``p(z | e, parameters)  proportional to  p(z) prod_{v in e} p(v | parents(z))``,

also where the evidence lies *downstream* of what is missing (a latent cause of an observed
effect). Drawing forward and ignoring what is downstream is a different, wrong, answer.

Where nothing observed lies downstream, drawing forward is exact. Otherwise the noise is first
drawn by importance resampling from the prior, and then moved by elliptical slice sampling [1]_:
``z`` is standard normal a priori (logistic noise through its quantiles), so each move needs
neither gradients nor tuning, leaves the target exactly invariant, and serves discrete variables
as well. All posterior draws and units move together, each a chain of its own of which the last
state is kept.

Evidence does not update the parameters.

References
----------
.. [1] I. Murray, R. P. Adams and D. J. C. MacKay, "Elliptical slice sampling", AISTATS 2010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
from pymc.logprob.basic import logp
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.random.basic import CategoricalRV
from scipy.special import log_ndtr

from bayescausal.evaluation.backend import inputs_of
from bayescausal.evaluation.builder import Builder
from bayescausal.evaluation.evaluate import Units, argument
from bayescausal.evaluation.program import per_draw
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table
from bayescausal.model.names import owner_of
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import DataError, MixingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Data
    from bayescausal.evaluation.program import Input
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["evidence_units"]

#: Prior draws from which each chain's start is resampled.
PARTICLES = 128
#: Moves of elliptical slice sampling.
MOVES = 120
#: Times that one move shrinks its bracket before it stays where it is.
SHRINKS = 60
#: Draws x units moved together.
BATCH = 40_000


def evidence_units(fit: Fit, evidence: Data, seed: int) -> tuple[Units, list[str]]:
    """Return new units with whatever was observed of them, the rest drawn given it.

    `evidence`: one row per unit; absent columns and empty cells were not observed.
    Returns:
    - `units`: complete in each posterior draw.
    - `notes`: what was observed, what was drawn, and how.
    """
    structure = fit.structure
    _refuse(structure)
    table = _frame(evidence, structure)
    patterns = _patterns(table, structure)
    count = len(table)
    first = structure.unit_dims[0]
    total = fit.n_draws
    columns: dict[str, np.ndarray] = {}
    latents: dict[str, np.ndarray] = {}
    for names, rows in patterns.items():
        part, drawn = _one_pattern(fit, table.iloc[rows], names, rows, seed)
        for name in structure.nodes:
            if name in drawn:
                if name not in latents:
                    latents[name] = _blank(structure, name, total, count)
                    if name in columns:
                        latents[name][:] = columns.pop(name)
                latents[name][:, rows] = drawn[name]
            elif name in latents:
                latents[name][:, rows] = part[name]
            else:
                if name not in columns:
                    columns[name] = _blank(structure, name, 1, count)[0]
                columns[name][rows] = part[name]
    units = Units(
        structure,
        {first: count},
        {first: np.asarray(table.index)},
        fit,
        columns=columns,
        latents=latents,
    )
    return units, _words(structure, patterns, latents)


def _refuse(structure: Structure) -> None:
    if len(structure.unit_dims) > 1:
        raise DataError(
            "Evidence about new units needs one unit dim, and the model has "
            f"{', '.join(structure.unit_dims)}.",
            remedy="Add the unit to the data and fit again.",
        )
    mixed = structure.mixes()
    if mixed:
        raise MixingError(
            f"New units cannot be asked about on their own: {next(iter(mixed.values()))}.",
            remedy="Add the unit to the data and fit again.",
        )
    if structure.fixed:
        raise DataError(
            "The model carries arrays of its own length, so it cannot take new units.",
            remedy="Put the array in pm.Data with the unit dim.",
        )


def _frame(evidence: Data, structure: Structure) -> pd.DataFrame:
    try:
        given: Any = evidence
        frame = given if isinstance(given, pd.DataFrame) else pd.DataFrame(given)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The evidence is no table: found {type(evidence).__name__} ({error}).",
            expected='a DataFrame, or a mapping of columns such as {"x": [1.0]}.',
        ) from error
    if not len(frame):
        raise DataError("The evidence has no rows.", expected="one row per unit.")
    known = set(structure.nodes)
    columns = [c for c in frame.columns if owner_of(str(c), known)]
    if not columns:
        raise DataError(
            "The evidence has no column of the model.",
            expected=f"among {', '.join(structure.nodes)}.",
        )
    lacking = [n for n in structure.data if n not in columns or frame[n].isna().any()]
    if lacking:
        raise DataError(
            f"The evidence lacks {', '.join(map(repr, lacking))}, which is pm.Data: the model has "
            "no distribution to draw it from.",
            remedy="Add the column.",
        )
    return frame[columns]


def _patterns(frame: pd.DataFrame, structure: Structure) -> dict[tuple[str, ...], np.ndarray]:
    """Group the rows by which columns were seen."""
    seen = frame.notna().to_numpy()
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(seen):
        names = tuple(str(c) for c, there in zip(frame.columns, row, strict=True) if there)
        groups.setdefault(names, []).append(i)
    return {names: np.asarray(rows) for names, rows in groups.items()}


def _blank(structure: Structure, name: str, draws: int, count: int) -> np.ndarray:
    variable = structure.variable(name)
    own = dim_sizes(structure.model)
    dims = structure.dims.get(name, ())
    shape = [count if d in structure.unit_dims else own[d] for d in dims] or [
        count
    ] * variable.type.ndim
    return np.zeros((draws, *shape), dtype=variable.type.dtype)


def _one_pattern(
    fit: Fit, frame: pd.DataFrame, names: tuple[str, ...], rows: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return observed columns and drawn values, (draw, unit, ...), of rows seen alike."""
    structure = fit.structure
    first = structure.unit_dims[0]
    columns: dict[str, np.ndarray] = {}
    if names:
        conformed = conform(as_table(frame[list(names)], structure), structure, fit.labels)
        columns = dict(conformed.columns)
    missing = [n for n in structure.random if n not in columns]
    if not missing:
        return columns, {}
    units = Units(
        structure, {first: len(frame)}, {first: np.asarray(frame.index)}, fit, columns=columns
    )
    chain = _Chain(units, missing, columns, seed, rows)
    return columns, chain.run()


class _Chain:
    """The noise of what is missing of some units, moved to its distribution given the rest."""

    def __init__(
        self,
        units: Units,
        missing: Sequence[str],
        columns: dict[str, np.ndarray],
        seed: int,
        rows: np.ndarray,
    ) -> None:
        self.units, self.missing, self.rows, self.seed = units, list(missing), rows, seed
        self.fit = units.fit
        structure = units.structure
        builder = Builder(structure, {"kept": {}}, frozenset(missing), units.varies, {})
        values = [builder.value(n, "kept") for n in missing]
        below = structure.descendants(missing)
        seen = [n for n in structure.random if n in columns and n in below]
        terms = []
        for name in seen:
            rv = structure.variable(name)
            [term] = builder.substitute([_log_law(rv, builder.kept(name))], "kept")
            term = term.sum(axis=tuple(range(1, term.type.ndim))) if term.type.ndim > 1 else term
            terms.append(term)
        density = pt.zeros(()) if not terms else sum(terms[1:], terms[0])
        self.conditioned = bool(terms)
        needed = inputs_of([*values, density])
        self.inputs = [i for i in builder.inputs.values() if i.variable in needed]
        self.noise = [i for i in self.inputs if i.kind == "noise"]
        arguments, batch = per_draw(self.inputs)
        outputs = vectorize_graph([density, *values], replace=batch)
        options: dict[str, Any] = {"mode": PY_MODE, "on_unused_input": "ignore"}
        self.density = pytensor.function(arguments, outputs[0], **options)
        self.values = pytensor.function(arguments, outputs[1:], **options)

    def run(self) -> dict[str, np.ndarray]:
        """Return the drawn values of every missing variable, (draw, unit, ...)."""
        total, count = self.fit.n_draws, self.units.count
        step = max(1, BATCH // count)
        parts = [self._block(range(lo, min(lo + step, total))) for lo in range(0, total, step)]
        return {name: np.concatenate([p[i] for p in parts]) for i, name in enumerate(self.missing)}

    def _block(self, part: range) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed % 2**63, 0xE71D, part.start, int(self.rows[0])])
        held: dict[str, np.ndarray] = {}
        block = slice(part.start, part.stop)
        window = slice(0, self.units.count)
        fixed = {
            i.name: argument(i, self.units, part, block, 0, 1, None, window, None, held)
            for i in self.inputs
            if i.kind != "noise"
        }
        z = self._start(part, fixed, rng)
        if self.conditioned:
            level = self._log_density(z, fixed)
            for _ in range(MOVES):
                z, level = self._move(z, level, fixed, rng)
            if np.isneginf(level).any():
                bad = np.unique(np.nonzero(np.isneginf(level))[1])
                labels = self.units.coords[self.units.structure.unit_dims[0]][bad[:5]]
                raise DataError(
                    f"The model calls the evidence of unit {', '.join(map(str, labels))} "
                    "impossible.",
                    remedy="Check the row, or the model's support.",
                )
        with np.errstate(all="ignore"):
            found = self.values(*self._arguments(z, fixed))
        shape = (len(part), self.units.count)
        return [np.array(np.broadcast_to(f, (*shape, *f.shape[2:]))) for f in found]

    def _shape(self, item: Input, n: int) -> tuple[int, ...]:
        structure = self.units.structure
        own = dim_sizes(structure.model) | dict.fromkeys(structure.unit_dims, self.units.count)
        return (n, *(1 if d is None else own[d] for d in item.dims))

    def _arguments(self, z: list[np.ndarray], fixed: dict[str, Any]) -> list[Any]:
        place = {i.name: k for k, i in enumerate(self.noise)}
        out = []
        for item in self.inputs:
            if item.kind == "noise":
                value = z[place[item.name]]
                out.append(value if item.base == "normal" else _logistic(value))
            else:
                out.append(fixed[item.name])
        return out

    def _of_rows(self, fixed: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
        """Return what is kept, of some of the draws."""
        return {
            i.name: fixed[i.name][rows] if i.batched else fixed[i.name]
            for i in self.inputs
            if i.kind != "noise"
        }

    def _log_density(self, z: list[np.ndarray], fixed: dict[str, Any]) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = np.asarray(self.density(*self._arguments(z, fixed)), dtype=float)
        shape = (len(z[0]), self.units.count)
        return np.where(np.isnan(found), -np.inf, np.broadcast_to(found, shape))

    def _start(
        self, part: range, fixed: dict[str, Any], rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Draw from the prior; given evidence downstream, resample among several draws."""
        z = [rng.standard_normal(self._shape(i, len(part))) for i in self.noise]
        if not self.conditioned:
            return z
        best = self._log_density(z, fixed) + rng.gumbel(size=(len(part), self.units.count))
        for _ in range(PARTICLES - 1):
            other = [rng.standard_normal(x.shape) for x in z]
            score = self._log_density(other, fixed) + rng.gumbel(size=best.shape)
            take = score > best
            best = np.where(take, score, best)
            z = [_choose(take, o, x) for o, x in zip(other, z, strict=True)]
        return z

    def _move(
        self,
        z: list[np.ndarray],
        level: np.ndarray,
        fixed: dict[str, Any],
        rng: np.random.Generator,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """One elliptical slice move of every (draw, unit)."""
        direction = [rng.standard_normal(x.shape) for x in z]
        slices = level + np.log1p(-rng.random(level.shape))
        angle = rng.uniform(0, 2 * np.pi, level.shape)
        low, high = angle - 2 * np.pi, angle.copy()
        new = [x.copy() for x in z]
        reached = level.copy()
        waiting = np.ones(level.shape, dtype=bool)
        for _ in range(SHRINKS):
            rows = np.flatnonzero(waiting.any(axis=1))  # few are left after the first trials
            turn, still = angle[rows], waiting[rows]
            trial = [
                _choose(
                    still,
                    x[rows] * _wide(np.cos(turn), x) + d[rows] * _wide(np.sin(turn), x),
                    n[rows],
                )
                for x, d, n in zip(z, direction, new, strict=True)
            ]
            density = self._log_density(trial, self._of_rows(fixed, rows))
            accept = still & (density > slices[rows])
            for n, t in zip(new, trial, strict=True):
                n[rows] = _choose(accept, t, n[rows])
            reached[rows] = np.where(accept, density, reached[rows])
            waiting[rows] = still & ~accept
            if not waiting.any():
                break
            low = np.where(waiting & (angle < 0), angle, low)
            high = np.where(waiting & (angle >= 0), angle, high)
            angle = np.where(waiting, rng.uniform(low, high), angle)
        return new, reached


def _log_law(rv: TensorVariable, value: Variable) -> TensorVariable:
    """Return the log density; of categories by comparison, which takes a batch without a loop."""
    op = rv.owner.op
    if not isinstance(op, CategoricalRV):
        return logp(rv, value)
    (p,) = op.dist_params(rv.owner)
    same = pt.eq(pt.arange(p.shape[-1]), value[..., None])
    return pt.sum(pt.switch(same, pt.log(p), 0.0), axis=-1)


def _wide(flags: np.ndarray, like: np.ndarray) -> np.ndarray:
    return flags.reshape(*flags.shape, *(1,) * (like.ndim - flags.ndim))


def _choose(flags: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    return np.where(_wide(flags, yes), yes, no)


def _logistic(z: np.ndarray) -> np.ndarray:
    """Return standard logistic noise of the same rank as standard normal noise."""
    return np.asarray(log_ndtr(z) - log_ndtr(-z))


def _words(
    structure: Structure,
    patterns: dict[tuple[str, ...], np.ndarray],
    latents: dict[str, np.ndarray],
) -> list[str]:
    notes = ["New units: the evidence does not update the parameters."]
    if latents:
        notes.append(f"Drawn given what was observed of the unit: {', '.join(latents)}.")
    return notes
