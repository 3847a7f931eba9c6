r"""Who could have had which level: propensities, support, weights.

For a finite treatment the *propensity* of level t for unit i is
:math:`e_{it} = P(T = t \mid \mathrm{pa}_i, \theta)`. A count or a continuous treatment is cut into
strata of about equal size, and the propensity of a stratum is the probability that the model's law
of the unit's dose puts there; its weights use the density itself (the generalised propensity
score [1]_).

A unit is beyond the support of level t where :math:`e_{it} < \text{limit} \cdot \bar e_t`. Its
inverse-probability weight, stabilised, is

.. math::

   w_i = \bar e_{t_i} / e_{i t_i} \quad\text{(finite)}, \qquad
   w_i = f(t_i) / p(t_i \mid \mathrm{pa}_i), \;
   f(t) = \tfrac1n \textstyle\sum_j p(t \mid \mathrm{pa}_j) \quad\text{(doses)},

and the effective sample size of a group is :math:`(\sum w)^2 / \sum w^2` [2]_. All are computed in
each posterior draw.

References
----------
.. [1] K. Hirano and G. W. Imbens, "The propensity score with continuous treatments", in A. Gelman
   and X.-L. Meng (eds.), *Applied Bayesian Modeling and Causal Inference from Incomplete-Data
   Perspectives*, Wiley, 2004, 73-84.
.. [2] L. Kish, *Survey Sampling*, Wiley, 1965, section 11.7.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special as sp
from scipy.interpolate import PchipInterpolator

from bayescausal.effects.evaluation.outcome_distributions import chances, is_finite, laws_of
from bayescausal.model.noise import noise_rule
from bayescausal.model.structure.function_graph import density_of
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.evaluation.builder import Builder
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.inference.record import Fit

__all__ = ["Support", "effective_size", "support_of_treatment"]

#: Strata of a dose; points at which its marginal density is known, and units it is the average of.
STRATA, POINTS, MARGIN = 3, 60, 1000


@dataclass(frozen=True, eq=False)
class Support:
    """Propensities and weights of the units, in some posterior draws.

    ``kind``: ``"levels"``, values of the treatment, or ``"strata"`` of its doses.
    ``labels``: the levels.
    ``arm`` (unit,): the level that each unit had.
    ``chance`` (draw, unit, level): the propensity of each level.
    ``weights`` (draw, unit): stabilised inverse-probability weights; for the overlap
        population, the chance of the other level.
    ``values`` (unit,): the treatment itself.
    """

    kind: str
    labels: tuple[str, ...]
    arm: np.ndarray
    chance: np.ndarray
    weights: np.ndarray
    values: np.ndarray

    def beyond(self, limit: float, levels: tuple[int, ...] | None = None) -> np.ndarray:
        """Return, for each draw and unit, whether some level is out of its reach.

        ``limit``: of the average propensity of a level.
        ``levels``: the levels that matter. Default: all.
        """
        chosen = self.chance if levels is None else self.chance[..., list(levels)]
        return np.asarray((chosen < limit * chosen.mean(axis=1, keepdims=True)).any(axis=-1))


def support_of_treatment(
    fit: Fit, units: Units, treatment: str, draws: slice, effect: str
) -> Support:
    """Return propensities and weights of an observed treatment.

    ``treatment``: a random variable that was observed.
    ``effect``: for whom: everyone, those at the last or the first of two levels, or everyone by
        overlap.
    Raises EstimandError if the treatment does not vary, is a vector, or `effect` does not apply to
        it.
    """
    values = np.asarray(fit.columns[treatment], dtype=float).reshape(-1)
    if len(np.unique(values)) < 2:
        raise EstimandError(
            f"{treatment!r} has one value in these data, {values.flat[0]:g}.",
            expected="A treatment that varies.",
        )
    if is_finite(fit, treatment):
        return _levels(fit, units, treatment, draws, values, effect)
    if effect != "ATE":
        raise EstimandError(
            f"effect={effect!r} for {treatment!r}, which has no two levels.",
            expected="'ATE' for a dose.",
        )
    return _strata(units, treatment, draws, values)


def effective_size(weights: np.ndarray) -> np.ndarray:
    """Return the effective sample size of weighted units, for each draw.

    Examples
    --------
    >>> import numpy as np
    >>> effective_size(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])).tolist()
    [3.0, 1.0]
    """
    return np.asarray(weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1))


# ------------------------------------------------------------------------------- private


def _levels(
    fit: Fit, units: Units, treatment: str, draws: slice, values: np.ndarray, effect: str
) -> Support:
    codes = np.unique(values).astype(int)
    chance = chances(units, treatment, draws)
    chance = chance.reshape(len(chance), -1, chance.shape[-1])[..., codes]
    arm = np.searchsorted(codes, values.astype(int))
    given = fit.labels.get(treatment)
    labels = tuple(str(given[c]) if given else f"{c}" for c in codes)
    own = np.take_along_axis(chance, arm[None, :, None], axis=-1)[..., 0]
    share = chance.mean(axis=1)
    if effect == "ATE":
        weights = share[:, arm] / own
    elif len(codes) != 2:
        raise EstimandError(
            f"effect={effect!r} for {treatment!r}, which has {len(codes)} levels.",
            expected="'ATE', or a treatment with two levels.",
        )
    elif effect == "ATO":
        weights = 1.0 - own
    else:
        target = 1 if effect == "ATT" else 0
        weights = chance[..., target] / own
    return Support("levels", labels, arm, chance, weights, values)


def _strata(units: Units, treatment: str, draws: slice, values: np.ndarray) -> Support:
    cuts = np.unique(np.quantile(values, np.arange(1, STRATA) / STRATA, method="lower"))
    cuts = cuts[cuts < values.max()]
    arm = np.searchsorted(cuts, values, side="left")
    shape = np.shape(units.value(treatment, draws))
    below = [_place(units, treatment, draws, np.full(shape, c)) for c in cuts]
    edges = np.stack([np.zeros_like(below[0]), *below, np.ones_like(below[0])], axis=-1)
    if np.isnan(edges).any():
        raise EstimandError(
            f"The law of {treatment!r} gives some units no place for the doses of others: its "
            "support depends on its parents.",
            remedy="Look at the units by hand; no propensity of a stratum exists for them.",
        )
    ends = [values.min(), *cuts, values.max()]
    labels = [f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(ends)]
    if np.array_equal(values, np.round(values)):  # counts: whole numbers, ends included
        lows = [int(ends[0]), *(int(c) + 1 for c in cuts)]
        highs = [*(int(c) for c in cuts), int(ends[-1])]
        labels = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(lows, highs, strict=True)]
    weights = _dose_weights(units, treatment, draws, values, shape)
    return Support("strata", tuple(labels), arm, np.diff(edges, axis=-1), weights, values)


def _place(units: Units, name: str, draws: slice, at: np.ndarray) -> np.ndarray:
    """Return P(T <= at) for each draw and unit."""

    def build(rv: TensorVariable, value: TensorVariable, builder: Builder) -> list[Any]:
        import pytensor.tensor as pt

        rule = noise_rule(rv)
        return [rule.interval(value)[1] + pt.zeros_like(value, dtype="float64")]

    base = noise_rule(units.structure.variable(name)).base
    found = laws_of(units, name, build, draws, columns={name: at})[0]
    cdf = sp.ndtr(found) if base == "normal" else sp.expit(found)
    return np.asarray(cdf).reshape(len(cdf), -1)


def _dose_weights(
    units: Units, name: str, draws: slice, values: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return f(t_i) / p(t_i | parents), f being the average of p over the units."""

    def own(rv: TensorVariable, value: TensorVariable, builder: Builder) -> list[Any]:
        import pymc as pm
        import pytensor.tensor as pt

        return [density_of(pm.logp, rv, value) + pt.zeros_like(value, dtype="float64")]

    def over(rv: TensorVariable, value: TensorVariable, builder: Builder) -> list[Any]:
        import pymc as pm
        import pytensor.tensor as pt

        points = pt.as_tensor_variable(grid.astype(rv.type.dtype))
        wide = density_of(pm.logp, rv, points.dimshuffle(0, *("x",) * value.type.ndim))
        return [pt.moveaxis(wide, 0, -1) + pt.zeros_like(value, dtype="float64")[..., None]]

    density = laws_of(units, name, own, draws)[0]
    density = density.reshape(len(density), -1)
    grid = np.unique(values)
    if len(grid) > POINTS:
        even = np.linspace(grid[0], grid[-1], POINTS // 2)
        places = np.quantile(values, np.linspace(0, 1, POINTS // 2))
        whole = np.array_equal(values, np.round(values))
        grid = np.unique(np.concatenate([np.round(even) if whole else even, places]))
    some = _fewer(units)
    table = laws_of(some, name, over, draws)[0]
    table = table.reshape(len(table), -1, len(grid))
    marginal = sp.logsumexp(table, axis=1) - np.log(table.shape[1])
    at = PchipInterpolator(grid, marginal, axis=1)(values) if len(grid) > 1 else marginal
    return np.asarray(np.exp(at - density))


def _fewer(units: Units) -> Units:
    """Return at most so many units, evenly spaced, where they can be told apart."""
    structure = units.structure
    first = structure.unit_dims[0]
    length = units.sizes[first]
    if len(structure.unit_dims) > 1 or structure.mixes() or length <= MARGIN:
        return units
    rows = np.linspace(0, length - 1, MARGIN).astype(int)
    return replace(units, rows=rows, sizes={**units.sizes, first: MARGIN})
