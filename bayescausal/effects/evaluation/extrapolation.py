r"""Does an answer extrapolate? Whether the units asked about could have had the treatment.

An average of :math:`Y_t` over units needs, for each of them, others like it that had treatment t
(positivity): :math:`P(T = t \mid \mathrm{pa}_i(T)) > 0`. Where that chance is tiny the model still
gives a number, by its form alone. A unit is *beyond the support* of a level if its chance of it,
under the model's own equation of the treatment, is less than a tenth of the average chance,

.. math:: P(T = t \mid \mathrm{pa}_i) < \tfrac{1}{10}\, \overline{P(T = t \mid \mathrm{pa})},

which is a stabilised weight above ten. The limit is relative, so that a treatment that is rare for
everybody has no unit beyond its support; with two even arms it is a chance below 0.05 [1]_.

The note on levels is given for Bernoulli and categorical treatments with parents, from few
posterior draws; :func:`bayescausal.overlap` looks closely. It says nothing of treatments whose
equation is wrong.

A treatment with many values is compared with its own: where it is set below the smallest or above
the largest of the data, each equation that is no straight line in it is named. A curve has no data
there: a penalised spline goes on straight, a monotone one flat, a Gaussian process falls back to
its prior, a polynomial goes wherever its highest power takes it, and a sum of trees is flat, with
an interval that does not widen.

Within its range a dose may still be one that no unit like these had. The causes of such an equation
that the treatment does not move are laid beside it, all in standard deviations, and each unit's
place at the new dose is compared with the data: it is *far* if its nearest row is further than any
row of the data is from its own nearest other row. That is said where it holds for more than one
unit in twenty; in many dimensions, where all rows are far apart, it says nothing.

References
----------
.. [1] R. K. Crump, V. J. Hotz, G. W. Imbens and O. A. Mitnik, "Dealing with limited overlap in
   estimation of average treatment effects", Biometrika 96 (2009), 187-199.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.traversal import ancestors
from scipy.spatial import cKDTree

from bayescausal.effects.evaluation.outcome_distributions import (
    chances,
    is_finite,
    members_of,
    some_draws,
)
from bayescausal.evaluation.evaluate import units_of
from bayescausal.evaluation.label_levels import encode
from bayescausal.evaluation.program_cache import remember
from bayescausal.inference.closed_forms.affine import degree
from bayescausal.model.forests.op import ForestValue
from bayescausal.types import BayesCausalError, Set

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["LIMIT", "TOO_MANY", "bends", "support_notes"]

#: A chance below this share of the average one is beyond support.
LIMIT = 0.1
#: A share of units beyond support that is worth a note.
TOO_MANY = 0.05
#: Posterior draws and units that are looked at for a note.
DRAWS, UNITS = 8, 2000
#: Values up to which a treatment is no dose.
FEW = 10


def support_notes(fit: Fit, estimand: Estimand) -> tuple[str, ...]:
    """Say where an answer extrapolates to treatments that units could hardly have had.

    Returns: one note for each level that too many of its units are beyond the support of.

    Examples
    --------
    >>> import numpy as np, pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     z = pm.Normal("z", 0, 1, dims="unit")
    ...     x = pm.Bernoulli("x", logit_p=5 * z, dims="unit")
    ...     y = pm.Normal("y", x + z, 1, dims="unit")
    >>> known = bc.truth(model, {}, bc.simulate(model, {}, units=500, seed=1))
    >>> [note] = support_notes(known, bc.ATE("x", "y"))[:1]
    >>> note.startswith("Extrapolates: ")
    True
    """
    if estimand.population.name not in ("sample", "finite", "superpopulation"):
        return ()
    if estimand.weighting is not None:  # units beyond support weigh next to nothing
        return ()
    if fit.kind == "prior" or units_of(fit) is None:
        return ()
    notes = [*_beyond(fit, estimand), *_far(fit, estimand)]
    for name, code in _levels(fit, estimand):
        found = remember(fit, ("chances", name), partial(_support, fit, name))
        if found is None or code >= found[0].shape[-1]:
            continue
        p, rows = found
        limit = LIMIT * p[..., code].mean()
        members = _members(fit, estimand, name, p.shape[:-1], rows)
        share = float((p[..., code] < limit)[members].mean()) if members.any() else 0.0
        if share > TOO_MANY:
            label = fit.labels[name][code] if name in fit.labels else code
            notes.append(
                f"Extrapolates: for {share:.0%} of these units the chance of {name}={label} is "
                "less than a tenth of the average one, so their outcome under it rests on the "
                "form of the model rather than on units like them (see bayescausal.overlap)."
            )
    return tuple(notes)


# ------------------------------------------------------------------------------- private


def _levels(fit: Fit, estimand: Estimand) -> list[tuple[str, int]]:
    """Return the levels that finite treatments are set to, as codes, each once."""
    found: dict[tuple[str, int], None] = {}
    for world in estimand.worlds(fit.structure.graph_for(estimand.names)).values():
        for name, act in world.items():
            if not isinstance(act, Set) or np.ndim(act.value) or not _has_law(fit, name):
                continue
            value = act.value.item() if hasattr(act.value, "item") else act.value
            found[name, int(encode(fit, name, value))] = None
    return list(found)


def _beyond(fit: Fit, estimand: Estimand) -> list[str]:
    """Return a note for each treatment set beyond its data in which an equation bends."""
    notes = []
    for name, values in _doses(fit, estimand).items():
        column = np.asarray(fit.columns[name], dtype=float)
        low, high = float(np.nanmin(column)), float(np.nanmax(column))
        two = low < high and bool(np.isin(column, (low, high)).all())
        if two and getattr(estimand, "_default_levels", False):
            odd = [v for v in sorted({*values}) if v not in (low, high)]
            if odd:
                notes.append(
                    f"Nobody has {name} = {', '.join(f'{v:g}' for v in odd)}: it takes the values "
                    f"{low:g} and {high:g}. For these pass control={low:g}, treated={high:g}."
                )
        out = sorted({v for v in values if np.isfinite(v) and not low <= v <= high})
        curved = bends(fit.structure, name) if out else ()
        if curved:
            shown = ", ".join(f"{v:.4g}" for v in (out if len(out) < 4 else (out[0], out[-1])))
            notes.append(
                f"Extrapolates: {name} is set to {shown}, and its data go from {low:.4g} to "
                f"{high:.4g}. Beyond them the equation of {', '.join(curved)} goes on in its form "
                "and its prior alone."
            )
            flat = [n for n in curved if _has_forest(fit.structure.variable(n))]
            if flat:
                notes[-1] += (
                    f" The sum of trees in that of {', '.join(flat)} stays flat there, and its "
                    "interval does not widen."
                )
    return notes


def _doses(fit: Fit, estimand: Estimand) -> dict[str, list[float]]:
    """Return the numbers that observed treatments are set to."""
    asked: dict[str, list[float]] = {}
    for world in estimand.worlds(fit.structure.graph_for(estimand.names)).values():
        for name, act in world.items():
            held = fit.columns.get(name) is not None and name not in fit.labels
            if isinstance(act, Set) and held:
                asked.setdefault(name, []).extend(np.ravel(np.asarray(act.value, dtype=float)))
    return asked


def _has_forest(variable: TensorVariable) -> bool:
    held = ancestors([variable])
    return any(v.owner is not None and isinstance(v.owner.op, ForestValue) for v in held)


def _far(fit: Fit, estimand: Estimand) -> list[str]:
    """Return a note for each dose that units like these did not have, in an equation that bends."""
    notes = []
    for name, values in _doses(fit, estimand).items():
        column = np.asarray(fit.columns[name], dtype=float)
        if column.ndim != 1 or not np.isfinite(column).all() or len(np.unique(column)) <= FEW:
            continue
        low, high = np.nanmin(column), np.nanmax(column)
        inside = sorted({v for v in values if low <= v <= high})
        for outcome in bends(fit.structure, name) if inside else ():
            others, x = _beside(fit, name, outcome)
            if not others:
                continue
            rows = np.linspace(0, len(x) - 1, min(len(x), UNITS)).astype(int)
            t = column / column.std()
            tree = cKDTree(np.column_stack([t, x]))
            near = tree.query(np.column_stack([t, x])[rows], k=2)[0][:, 1].max()
            members = _members(fit, estimand, name, rows.shape, rows)
            shares = []
            for value in inside:
                moved = np.full(len(rows), value / column.std())
                off = tree.query(np.column_stack([moved, x[rows]]))[0]
                shares.append(float((off > near)[members].mean()) if members.any() else 0.0)
            worst = int(np.argmax(shares))
            if shares[worst] > TOO_MANY:
                notes.append(
                    f"Extrapolates: for {shares[worst]:.0%} of these units no unit near them in "
                    f"{', '.join(others)} had {name} near {inside[worst]:.4g}; the equation of "
                    f"{outcome} goes on there in its form and its prior alone."
                )
    return notes


def _beside(fit: Fit, name: str, outcome: str) -> tuple[list[str], np.ndarray]:
    """Return the other numbers that an equation reads and a treatment leaves alone, scaled."""
    below = fit.structure.descendants([name])
    found = {}
    for other in sorted(fit.structure.graph.predecessors(outcome)):
        held = fit.columns.get(other)
        if other == name or other in below or other in fit.labels or held is None:
            continue
        column = np.asarray(held, dtype=float)
        whole = bool(np.isfinite(column).all())
        if whole and column.shape == np.shape(fit.columns[name]) and column.std() > 0:
            found[other] = column / column.std()
    return list(found), np.column_stack(list(found.values())) if found else np.zeros((0, 0))


def bends(structure: Structure, name: str) -> tuple[str, ...]:
    """Return the variables whose equations are no straight line in a variable that they read."""
    own = structure.variable(name)
    model = structure.model
    leaves = {*model.basic_RVs, *model.data_vars} - {own}
    return tuple(
        other
        for other in structure.random
        if other != name
        and (node := structure.variable(other).owner) is not None
        and any(degree(v, {own}, leaves) > 1 for v in node.inputs)
    )


def _has_law(fit: Fit, name: str) -> bool:
    """Whether a treatment was observed, is finite, and has parents that could make it certain."""
    seen = name in fit.columns and is_finite(fit, name)
    return seen and fit.structure.graph.in_degree(name) > 0


def _support(fit: Fit, name: str) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return the mean chance of each level, (the dims of the variable, level); and which units."""
    units = units_of(fit)
    assert units is not None
    first = units.structure.unit_dims[0]
    length = units.sizes[first]
    rows = None
    single = len(units.structure.unit_dims) == 1 and units.structure.parts(first)
    if single and length > UNITS:
        rows = np.linspace(0, length - 1, UNITS).astype(int)
        units = replace(units, rows=rows, sizes={**units.sizes, first: len(rows)})
    try:
        return chances(units, name, some_draws(fit, DRAWS)).mean(axis=0), rows
    except (BayesCausalError, NotImplementedError):  # no law: nothing to say
        return None


def _members(
    fit: Fit, estimand: Estimand, name: str, shape: tuple[int, ...], rows: np.ndarray | None
) -> np.ndarray:
    """Return the units that the question is about; everyone where that is not plain to see."""
    units = units_of(fit)
    assert units is not None
    everyone, inside = np.ones(shape, dtype=bool), members_of(units, estimand.condition)
    if inside is None:
        return everyone
    try:
        inside = inside if rows is None else np.broadcast_to(inside, units.count)[rows]
        return np.broadcast_to(inside, shape)
    except ValueError:
        return everyone
