r"""Bounds on averages over units whose own discrete outcome was seen.

A unit was seen with ``Y = y``. What its outcome would be in another world is not in the model: the
model fixes the distribution of that outcome, ``Q``, not how it goes together with the one seen. A
unit seen at ``y`` took up a share ``P(Y = y)`` of all noise, so its outcome in the other world is
spread over *some* share of that size of ``Q`` [1]_:

.. math::

   \frac1{p_y}\int_0^{p_y} Q(u)\,du \;\le\; E[Y_w \mid Y = y]
   \;\le\; \frac1{p_y}\int_{1-p_y}^1 Q(u)\,du .

Units with the same parents share one coupling, so their shares must not overlap: of the values seen
among them the one that is overrepresented most, :math:`n_y / p_y`, takes the best share first. That
is the rearrangement that maximises :math:`\sum_y n_y E[Y_w \mid Y = y]`, and the bounds are sharp
given the model. Where a world leaves a unit's parents as they were, its outcome is the one seen.

They are for outcomes whose own noise is the only noise between treatment and outcome.

References
----------
.. [1] J. Tian and J. Pearl, "Probabilities of causation: bounds and identification", Annals of
   Mathematics and Artificial Intelligence 28 (2000), 287-313: the case of two values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
import xarray as xr

from bayescausal.effects.averaging.frame import Frame, Weights
from bayescausal.effects.estimands.functionals import Mean, Probability
from bayescausal.effects.evaluation.events import Event, Values
from bayescausal.evaluation.build import build_program
from bayescausal.evaluation.evaluate import evaluate
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Request
from bayescausal.evaluation.support import data_of
from bayescausal.model.interventions.support import support_of
from bayescausal.model.structure.function_graph import evaluate as value_of

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.evaluation.inner_draws import Run
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.program import Program

__all__ = ["rank_shares", "seen_bounds"]

#: Values above the smallest one that an outcome is followed through.
MOST = 256
#: Elements (draws x units x values) at a time.
BATCH = 4_000_000
#: Probability that may lie beyond the values followed.
TAIL = 1e-6
NATURAL = "natural course"


def rank_shares(count: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the share of each value ends, if the most overrepresented take the top.

    Returns (..., n_values): ranks in [0, 1]: the share of a value is ``(low, high]``.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = rank_shares(np.array([3, 1]), np.array([0.5, 0.5]))
    >>> low.tolist(), high.tolist()
    ([0.5, 0.0], [1.0, 0.5])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(count > 0, count / share, -1.0)
    order = np.argsort(-ratio, axis=-1, kind="stable")
    taken = np.cumsum(np.take_along_axis(share, order, axis=-1), axis=-1)
    high = np.empty_like(taken)
    np.put_along_axis(high, order, 1.0 - taken + np.take_along_axis(share, order, -1), axis=-1)
    high = np.clip(high, 0.0, 1.0)
    return np.clip(high - share, 0.0, 1.0), high


def seen_bounds(run: Run, effect: Effect) -> Effect:
    """Return an average over units with their own noise, its bounds beside it.

    Returns: with bounds, or with a note on why there are none.
    """
    question: Question = run.question
    found: Any = _no_bounds(question)
    if found is None:
        found = _Seen(run).bounds()
    if isinstance(found, str):
        note = f"No bounds on what the coupling decides: {found}."
        return replace(effect, notes=(*effect.notes, note))
    edges = xr.concat([run.laid(b) for b in found], dim="bound")
    edges = edges.assign_coords(bound=["lower", "upper"]).transpose(*effect.draws.dims, "bound")
    words = (
        "Bounds: whatever the coupling, from each unit's parents and the outcome seen; sharp "
        "given the model."
    )
    inside = effect.draws.clip(
        edges.sel(bound="lower", drop=True), edges.sel(bound="upper", drop=True)
    )
    return replace(effect, draws=inside, bounds=edges, notes=(*effect.notes, words))


def _no_bounds(question: Question) -> str | None:
    """Say why there are no bounds; None where there are."""
    structure, estimand = question.structure, question.estimand
    functional = estimand.functional
    scale = getattr(estimand, "scale", None)
    above = structure.ancestors([question.outcome])
    between = sorted(n for n in question.recomputed if n in above)
    if question.outcome not in structure.random or between:
        named = ", ".join(between) or question.outcome
        return f"{named} is recomputed between treatment and outcome"
    if not isinstance(functional, Mean | Probability):
        return "they are for means and probabilities"
    if scale is not None and scale.name != "difference":
        return "they are for differences"
    if estimand.weighting is not None:
        return "they are not for weighted units"
    if estimand.derivative:
        return "they are not for slopes"
    if len(question.arms) > 2 or not {a.name for a in question.arms} <= {
        "treated",
        "control",
        "expected",
    }:
        return "they are for one world or the difference of two"
    if structure.variable(question.outcome).owner.op.ndim_supp:
        return "the outcome is a vector"
    return None


class _Seen:
    """The pieces of one answer: laws in every world, values seen, groups of units."""

    def __init__(self, run: Run) -> None:
        self.run, self.question = run, run.question
        question = self.question
        structure, outcome = question.structure, question.outcome
        support = support_of(structure.variable(outcome), data_of(question.units))
        functional = question.estimand.functional
        self.event = (
            Event(question.coded(functional)) if isinstance(functional, Probability) else None
        )
        self.seen = np.asarray(question.units.value(outcome, slice(0, question.fit.n_draws)))
        low, high = float(np.min(support.lower)), float(np.max(support.upper))
        if support.categories:
            low, high = 0.0, float(support.categories - 1)
        low = low if np.isfinite(low) else float(self.seen.min())
        if not np.isfinite(high):
            high = low + 30.0 + 4.0 * max(float(self.seen.max()) - low, 1.0)
        self.lowest, self.values = low, np.arange(low, high + 1.0)
        self.parents = list(structure.graph.predecessors(outcome))
        self.moved = [n for n in question.estimand.treatments if n in self.parents]
        self.worlds = list(dict.fromkeys([NATURAL, *(a.world for a in question.arms)]))
        self.gain = self._gains()
        self.order = np.argsort(self.gain, kind="stable")

    def bounds(self) -> tuple[np.ndarray, np.ndarray] | str:
        """Return lower and upper, (cell, draw), or why there are none."""
        question, run = self.question, self.run
        if len(self.values) > MOST:
            return f"the outcome has more than {MOST} values"
        program = self._program()
        if program.noise:
            return "the probability of an outcome is not known exactly"
        total = question.fit.n_draws
        work = question.units.count * len(self.values) * len(self.worlds)
        step = max(1, BATCH // work)
        out = np.empty((2, len(run.cells), total))
        for lo in range(0, total, step):
            draws = slice(lo, min(lo + step, total))
            laws, moved = self._laws(program, draws)
            if max(float(np.max(1.0 - law.sum(axis=-1))) for law in laws.values()) > TAIL:
                return "the outcome's tail is too long to be followed"
            weights = self._weights(draws)
            keys = self._keys(moved, draws)
            for c in range(len(run.cells)):
                ends = np.zeros((2, draws.stop - draws.start))
                for a, arm in enumerate(question.arms):
                    weight = weights[a][c]
                    each = self._each(laws, moved, draws, arm.world, keys, weight)
                    low, high = ((e * weight).sum(axis=1) / weight.sum(axis=1) for e in each)
                    ends += (-high, -low) if arm.name == "control" else (low, high)
                out[:, c, draws] = ends
        return out[0], out[1]

    def _program(self) -> Program:
        """Compile the law of the outcome, and the treatments, in every world."""
        question = self.question
        requests = [
            Request(w, question.outcome, "probability", Values(self.values)) for w in self.worlds
        ]
        requests += [Request(w, n, "draw") for w in self.worlds for n in self.moved]
        return build_program(
            question.structure,
            {**question.worlds, NATURAL: {}},
            requests,
            recomputed=question.recomputed,
            varying=question.units.varies,
        )

    def _laws(
        self, program: Program, draws: slice
    ) -> tuple[dict[str, np.ndarray], dict[str, list[np.ndarray]]]:
        """Return the probability of each value, (draw, unit, value), and treatments, per world."""
        question, seed = self.question, self.run.seed
        split, k, m = len(self.worlds), len(self.values), len(self.moved)
        total = range(question.fit.n_draws)
        parts: list[list[np.ndarray]] = []
        weights = Weights(question, seed)
        for block in evaluate(program, question.units, draws, FreshNoise(seed), whole_units=True):
            frame = Frame(question, program, {}, block, weights)
            n = len(total[block.draws])
            laid: list[np.ndarray] = []
            for i, value in enumerate(block.values):
                if i < split:
                    shape = (n, *frame.lengths, k)
                    own = np.broadcast_to(frame.outcome(i)[:, 0], shape)
                    laid.append(own.reshape(n, -1, k))
                else:
                    own = frame._lay(value, program.dims[i])[:, 0]
                    laid.append(np.broadcast_to(own, (n, *frame.lengths)).reshape(n, -1))
            parts.append(laid)
        results = [np.concatenate(p) for p in zip(*parts, strict=True)]
        laws = dict(zip(self.worlds, results[:split], strict=True))
        moved = {w: results[split + i * m :][:m] for i, w in enumerate(self.worlds)}
        return laws, moved

    def _each(
        self,
        laws: dict[str, np.ndarray],
        moved: dict[str, list[np.ndarray]],
        draws: slice,
        world: str,
        keys: np.ndarray | None,
        weight: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds on each unit's expected outcome in a world, (draw, unit)."""
        own, law = laws[NATURAL], laws[world][..., self.order]
        n, units, _ = own.shape
        code = (self._seen_values(draws, n, units) - self.lowest).astype(int)
        above = np.clip(1.0 - np.cumsum(law, axis=-1)[..., :-1], 0.0, 1.0)
        if keys is None or np.any(weight != weight[:1]):
            share = np.take_along_axis(own, code[..., None], axis=-1)[..., 0]
            low, high = 1.0 - share, np.ones_like(share)
        else:
            counts = np.zeros((int(keys.max()) + 1, len(self.values)))
            np.add.at(counts, (keys, code[0]), weight[0])
            first = np.unique(keys, return_index=True)[1]
            starts, stops = rank_shares(counts[None], own[:, first])
            low, high = starts[:, keys, code[0]], stops[:, keys, code[0]]
        ends = (
            self._over(above, 1.0 - high, 1.0 - low),
            self._over(above, low, high),
        )
        same = np.ones((n, units), dtype=bool)
        for mine, natural in zip(moved[world], moved[NATURAL], strict=True):
            same &= mine == natural
        bottom, top = (np.where(same, self.gain[code], e) for e in ends)
        return bottom, top

    def _gains(self) -> np.ndarray:
        """Return what each value counts for: itself, or whether the event happens."""
        if self.event is None:
            return self.values.astype(float)
        return np.asarray(value_of([self.event.of_draw(pt.as_tensor(self.values))])[0], dtype=float)

    def _over(self, above: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the mean gain over the ranks ``(low, high]``, values in order of their gain."""
        gain = self.gain[self.order]
        width = np.maximum(high - low, 1e-300)
        inside = np.clip(high[..., None] - np.maximum(low[..., None], 1.0 - above), 0.0, None)
        return np.asarray(gain[0] + (inside * np.diff(gain)).sum(axis=-1) / width)

    def _seen_values(self, draws: slice, n: int, units: int) -> np.ndarray:
        varies = self.question.units.varies(self.question.outcome)
        seen = self.seen[draws] if varies else self.seen[None]
        return np.broadcast_to(seen.reshape(seen.shape[0], -1), (n, units))

    def _keys(self, moved: dict[str, list[np.ndarray]], draws: slice) -> np.ndarray | None:
        """Return a number per unit, equal where all parents are; None where they vary by draw."""
        question, units = self.question, self.question.units
        columns = [v for w in self.worlds for v in moved[w]]
        if any(units.varies(n) for n in (*self.parents, question.outcome)):
            return None
        if any(np.any(v != v[:1]) for v in columns):
            return None
        structure = question.structure
        dims = [d for d in structure.dims[question.outcome] if d in structure.unit_dims]
        rows = [v[0] for v in columns]
        for name in self.parents:
            own = [d for d in structure.dims[name] if d in structure.unit_dims]
            value = np.asarray(units.value(name, slice(0, 1)))
            if value.ndim > len(own) or value.dtype.kind not in "biuf":
                return None
            value = value.transpose([own.index(d) for d in dims if d in own])
            shape = [units.sizes[d] if d in own else 1 for d in dims]
            full = np.broadcast_to(value.reshape(shape), [units.sizes[d] for d in dims])
            rows.append(full.reshape(-1).astype(float))
        _, keys = np.unique(np.column_stack(rows), axis=0, return_inverse=True)
        return np.asarray(keys).reshape(-1)

    def _weights(self, draws: slice) -> list[list[np.ndarray]]:
        """Return who counts, per arm and cell, (draw, unit)."""
        question, run = self.question, self.run
        total = range(question.fit.n_draws)
        conditions = [[a.condition & c.condition for c in run.cells] for a in question.arms]
        if not any(c for row in conditions for c in row):
            one = np.ones((draws.stop - draws.start, question.units.count))
            return [[one for _ in row] for row in conditions]
        found: list[list[list[np.ndarray]]] = [[[] for _ in row] for row in conditions]
        weights = Weights(question, run.seed)
        for block in evaluate(run.program, question.units, draws, run.noise, whole_units=True):
            frame = Frame(question, run.program, run.where, block, weights)
            n = len(total[block.draws])
            for a, row in enumerate(conditions):
                for c, condition in enumerate(row):
                    weight = frame.weight(condition).mean(axis=1)
                    full = np.broadcast_to(weight, (n, *frame.lengths))
                    found[a][c].append(full.reshape(n, -1))
        return [[np.concatenate(w) for w in row] for row in found]
