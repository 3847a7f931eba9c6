r"""Each equation's predictions for the units at hand, given their parents.

For a variable with equation :math:`v_i \sim D(\mathrm{pa}_i, \theta)` and posterior draws
:math:`\theta^{(s)}`, *replicas* are draws :math:`v_i^{(s)} \sim D(\mathrm{pa}_i, \theta^{(s)})`
with the parents as they were. The *PIT value* of unit i is the place of its value among its
predictions,

.. math::

   u_i = \sum_s w_i^{(s)} \left[ F(v_i^- \mid \mathrm{pa}_i, \theta^{(s)})
         + a_i \, p(v_i \mid \mathrm{pa}_i, \theta^{(s)}) \right], \quad a_i \sim U(0, 1),

randomised where the value has positive probability [1]_, and computed from distribution functions,
not from replicas. The weights :math:`w_i^{(s)} \propto 1 / p(v_i \mid \theta^{(s)})`, truncated
[2]_, leave unit i out of the posterior that predicts it: with equal weights the values would
pile up in the middle, since every unit has helped to predict itself.

References
----------
.. [1] C. Czado, T. Gneiting and L. Held, "Predictive model assessment for count data", Biometrics
   65 (2009), 1254-1261.
.. [2] E. L. Ionides, "Truncated importance sampling", Journal of Computational and Graphical
   Statistics 17 (2008), 295-311.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special as sp

from bayescausal.effects.evaluation.outcome_distributions import is_finite, kept_values, laws_of
from bayescausal.evaluation.label_levels import is_category
from bayescausal.model.noise import noise_rule
from bayescausal.model.structure.function_graph import density_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.evaluation.builder import Builder
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.inference.record import Fit

__all__ = ["Replicas", "kind_of", "replicas_of"]


@dataclass(frozen=True, eq=False)
class Replicas:
    """What one equation predicts, beside what was seen.

    ``name``: the variable; of a vector, one entry, ``v[label]``.
    ``kind``: ``"number"``, ``"count"``, ``"binary"`` or ``"categories"``.
    ``seen`` (cell,): the values, without empty cells.
    ``drawn`` (draw, cell): the replicas.
    ``pit`` (cell,): PIT values, NaN where the model calls the value impossible.
    ``parents`` (cell,): the parents that are numbers.
    ``chance`` (draw, cell): the probability of a one, of a binary variable.
    """

    name: str
    kind: str
    seen: np.ndarray
    drawn: np.ndarray
    pit: np.ndarray
    parents: Mapping[str, np.ndarray] = field(default_factory=dict)
    chance: np.ndarray | None = None


def kind_of(fit: Fit, name: str) -> str:
    """Return the type of a random variable, which decides how it is looked at.

    ``name``: a random structural variable.
    """
    variable = fit.structure.variable(name)
    op = getattr(variable.owner.op, "name", None)
    if is_finite(fit, name):
        return "binary" if op == "bernoulli" else "categories"
    integer = str(variable.type.dtype).startswith(("int", "uint", "bool"))
    return "count" if integer else "number"


def replicas_of(
    fit: Fit, units: Units, name: str, draws: slice, *, seed: int, leave_out: bool
) -> list[Replicas]:
    """Return the predictions of one equation; of a vector, of each of its entries.

    ``name``: an observed random variable.
    ``seed``: of the replicas and of the randomised PIT values.
    ``leave_out``: whether each unit is left out of the posterior that predicts it.
    Raises NoiseFormError if the family has no distribution function.
    """
    structure = fit.structure
    rule = noise_rule(structure.variable(name))
    lower, upper, drawn, density = laws_of(units, name, _build, draws, seed=seed)
    cdf = sp.ndtr if rule.base == "normal" else sp.expit
    dims = structure.dims.get(name, ())
    event = tuple(i for i, d in enumerate(dims) if d not in structure.unit_dims)
    kind = kind_of(fit, name)
    seen = np.asarray(fit.columns[name], dtype=float)
    hole = fit.missing.get(name, np.zeros(seen.shape, dtype=bool))
    shape = tuple(seen.shape[i] for i in event)
    chance = None
    if kind == "binary":
        chance = cdf(-_threshold(lower, upper, seen))
    rng = np.random.default_rng([seed, 17])
    found = []
    for cell in np.ndindex(*shape):
        where: list[Any] = [slice(None)] * len(dims)
        for axis, at in zip(event, cell, strict=True):
            where[axis] = at
        keep = ~hole[tuple(where)].reshape(-1)
        lo, hi, rep, dens = (
            np.asarray(a[(slice(None), *where)]).reshape(len(a), -1)[:, keep]
            for a in (lower, upper, drawn, density)
        )
        pit = _pit(cdf(lo), cdf(hi), dens if leave_out else None, rng.random(int(keep.sum())))
        pit[np.isneginf(dens).all(axis=0)] = np.nan
        part = None if chance is None else chance.reshape(len(chance), -1)[:, keep]
        labels = [_label(fit, dims[axis], at) for axis, at in zip(event, cell, strict=True)]
        found.append(
            Replicas(
                f"{name}[{','.join(labels)}]" if labels else name,
                kind,
                seen[tuple(where)].reshape(-1)[keep],
                rep.astype(float),
                pit,
                _parents(fit, units, name, draws, keep),
                part,
            )
        )
    return found


# ------------------------------------------------------------------------------- private


def _build(rv: TensorVariable, value: TensorVariable, builder: Builder) -> list[Any]:
    """Return the ends of the noise, a new draw, and the log density, each as wide as the value."""
    import pymc as pm
    import pytensor.tensor as pt

    rule = noise_rule(rv)
    wide = pt.zeros_like(value, dtype="float64")
    lower, upper = rule.interval(value)
    drawn = rule.forward(builder.noise(rv.name, rule))
    density = density_of(pm.logp, rv, value)
    for _ in range(value.type.ndim - density.type.ndim):
        density = density[..., None]
    return [lower + wide, upper + wide, drawn, density + wide]


def _threshold(lower: np.ndarray, upper: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the noise above which a binary variable is one."""
    return np.where(seen == 1, lower, upper)


def _pit(
    below: np.ndarray, upto: np.ndarray, density: np.ndarray | None, share: np.ndarray
) -> np.ndarray:
    """Return randomised PIT values, averaged over draws with leave-one-out weights."""
    each = below + share * (upto - below)
    if density is None or len(density) < 2:
        return np.asarray(each.mean(axis=0))
    with np.errstate(all="ignore"):
        logw = -density
        logw = logw - sp.logsumexp(logw, axis=0) + np.log(len(logw))
        weights = np.minimum(np.exp(logw), np.sqrt(len(logw)))  # truncated at sqrt(draws) x mean
        return np.asarray((weights * each).sum(axis=0) / weights.sum(axis=0))


def _label(fit: Fit, dim: str | None, at: int) -> str:
    labels = None if dim is None else fit.structure.model.coords.get(dim)
    return str(at if labels is None else labels[at])


def _parents(
    fit: Fit, units: Units, name: str, draws: slice, keep: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the parents that were observed in full and are numbers, cell by cell."""
    structure = fit.structure
    frame = [d for d in structure.dims.get(name, ()) if d in structure.unit_dims]
    found = {}
    for parent in structure.graph.predecessors(name):
        dims = structure.dims.get(parent, ())
        nominal = is_category(fit, parent) or (
            parent in structure.random and kind_of(fit, parent) == "categories"
        )
        if nominal or units.varies(parent) or any(d not in frame for d in dims):
            continue
        value = np.asarray(kept_values(units, parent, draws)[0], dtype=float)
        moved = np.transpose(value, [dims.index(d) for d in frame if d in dims])
        shape = tuple(units.sizes[d] if d in dims else 1 for d in frame)
        wide = np.broadcast_to(moved.reshape(shape), tuple(units.sizes[d] for d in frame))
        column = wide.reshape(-1)[keep]
        if column.size and np.ptp(column) > 0:
            found[parent] = column
    return found
