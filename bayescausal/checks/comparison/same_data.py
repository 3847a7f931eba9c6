"""Did rival models see the same data, and how likely is each unit under each of them?

The log density of a unit is the sum over the scored variables, and over everything of the unit that
they hold (the times of a panel, the entries of a vector), of the density of its own equation given
its parents. Empty cells are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.evaluation.outcome_distributions import laws_of, some_draws
from bayescausal.evaluation.evaluate import units_of
from bayescausal.inference.conditioning.atoms import has_atoms
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import density_of
from bayescausal.types import DataError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.evaluation.builder import Builder
    from bayescausal.inference.record import Fit

__all__ = ["common_variables", "refuse_other_data", "refuse_unlike_scores", "unit_densities"]


def refuse_other_data(named: Mapping[str, Fit]) -> None:
    """Refuse fits that did not see the same data.

    Raises DataError naming two fits and what differs.
    """
    (first, one), *others = named.items()
    for name, other in others:
        dim, theirs = one.structure.unit_dims[0], other.structure.unit_dims[0]
        sizes = [int((f.sizes or {})[d]) for f, d in ((one, dim), (other, theirs))]
        if sizes[0] != sizes[1]:
            raise DataError(
                f"{first!r} has {sizes[0]} units and {name!r} has {sizes[1]}.",
                expected="Models fitted to the same data.",
            )
        for column in one.columns:
            if column not in other.columns:
                continue
            if not _equal(one, other, column):
                raise DataError(
                    f"{first!r} and {name!r} saw different values of {column!r}.",
                    expected="Models fitted to the same data, its rows in the same order.",
                )


def common_variables(named: Mapping[str, Fit], variables: str | Sequence[str] | None) -> list[str]:
    """Return the random variables that every model observes.

    ``variables``: those that are asked for.
    Raises UnknownVariableError if one that is asked for is not among them; DataError if there is
        none.
    """
    fits = list(named.values())
    common = [
        n
        for n in fits[0].structure.nodes
        if all(n in f.observed and n not in f.structure.imputed for f in fits)
        and all(f.structure.unit_dims[0] in f.structure.dims.get(n, ()) for f in fits)
    ]
    if not common:
        raise DataError(
            "The models have no random variable in common that all of them observe.",
            expected="One at least, such as the outcome.",
        )
    if variables is None:
        return common
    chosen = [variables] if isinstance(variables, str) else list(variables)
    for name in chosen:
        if name not in common:
            raise unknown_variable(name, common, what="observed by all the models")
    return chosen


def refuse_unlike_scores(named: Mapping[str, Fit], scored: Sequence[str]) -> None:
    """Refuse scores of different things.

    They are so where one is p(y | x) and the other p(y), x being a consequence of y there; and
    where one is a probability and the other a density, which has the units of 1 / y.

    ``scored``: the variables whose densities are added up.
    Raises DataError if one model predicts given what in another one comes after, unscored, or by
        densities what another one gives probabilities.
    """
    for each in scored:
        kinds = {name: _score_of(fit.structure.variable(each)) for name, fit in named.items()}
        (first, one), *others = kinds.items()
        for name, other in others:
            if other != one:
                raise DataError(
                    f"The score of {each} is {one} under {first!r} and {other} under {name!r}: "
                    "densities can be as large as a small scale makes them.",
                    expected="Probabilities under every model, or densities.",
                    remedy=f"Give {each} families of one kind, or leave it out: variables=.",
                )
    for name, fit in named.items():
        graph = fit.structure.graph
        given = {p for n in scored for p in graph.predecessors(n)} - {*scored, *fit.latent}
        for other, rival in named.items():
            after = sorted(given & rival.structure.descendants(scored))
            if after:
                raise DataError(
                    f"{name!r} predicts {', '.join(scored)} given {', '.join(after)}, which in "
                    f"{other!r} comes after and is not scored: the scores would be of different "
                    "things, p(y | x) and p(y).",
                    expected="Models that predict the same variables together.",
                    remedy=f"Score {after[0]!r} too: every model must observe it as a random "
                    "variable, and variables= must not leave it out.",
                )


def unit_densities(fit: Fit, scored: Sequence[str], draws: int) -> tuple[np.ndarray, xr.Dataset]:
    """Return the log density of each unit in each draw, and the draws themselves.

    ``scored``: the variables whose densities are added up.
    Result: the parameters in these draws.
    """
    units = units_of(fit)
    assert units is not None
    drawn = fit.posterior
    chains, each = int(drawn.sizes["chain"]), int(drawn.sizes["draw"])
    step = some_draws(fit, draws).step
    kept = range(0, each, step)
    chosen = np.concatenate([c * each + np.asarray(kept) for c in range(chains)])
    first = fit.structure.unit_dims[0]
    total = np.zeros((len(chosen), units.sizes[first]))
    for name in scored:
        whole = slice(0, fit.n_draws, 1 if each % step else step)
        density = laws_of(units, name, _density, whole)[0]
        if each % step:
            density = density[chosen]
        dims = fit.structure.dims[name]
        if name in fit.missing:
            density = np.where(fit.missing[name], 0.0, density)
        axes = tuple(1 + i for i, d in enumerate(dims) if d != first and i < density.ndim - 1)
        total += density.sum(axis=axes)
    names = [p for p in fit.parameters if p in drawn]
    posterior = drawn[names].isel(draw=list(kept))
    return total.reshape(chains, len(kept), -1), posterior


# ------------------------------------------------------------------------------- private


def _density(rv: TensorVariable, value: TensorVariable, builder: Builder) -> list[Any]:
    """Return the log density; of a vector in the place of its first entry, zero in the others."""
    import pymc as pm
    import pytensor.tensor as pt

    density = density_of(pm.logp, rv, value)
    event = value.type.ndim - density.type.ndim
    for _ in range(event):
        density = density[..., None]
    wide = pt.zeros_like(value, dtype="float64")
    for axis in range(value.type.ndim - event, value.type.ndim):
        place = pt.arange(value.shape[axis])
        shape: list[Any] = ["x"] * value.type.ndim
        shape[axis] = 0
        wide = pt.switch(pt.eq(place.dimshuffle(*shape), 0), wide, -np.inf)
    return [pt.switch(pt.isinf(wide), 0.0, density + pt.zeros_like(value, dtype="float64"))]


def _score_of(rv: TensorVariable) -> str:
    """Say what the values of a variable are scored by."""
    if is_discrete(rv):
        return "the probability of its values"
    if has_atoms(rv):
        return "the probability of some of its values and the density of the others"
    return "the density of its values"


def _equal(one: Fit, other: Fit, column: str) -> bool:
    """Whether two fits saw the same values, labels in the place of codes."""
    arrays = []
    for fit in (one, other):
        values: Any = np.asarray(fit.columns[column])
        labels = fit.labels.get(column)
        if labels:
            codes = np.nan_to_num(values.astype(float), nan=-1.0).astype(int)
            values = np.asarray([*labels, ""], dtype=object)[codes].astype(str)
        arrays.append(values)
    if arrays[0].shape != arrays[1].shape:
        return False
    if any(a.dtype.kind in "OUS" for a in arrays):
        return bool((arrays[0] == arrays[1]).all())
    left, right = (a.astype(float) for a in arrays)
    return bool(np.array_equal(left, right, equal_nan=True))
