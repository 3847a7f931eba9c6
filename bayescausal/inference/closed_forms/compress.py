r"""The likelihood replaced by sufficient statistics: a model that costs the same at any size.

``compress`` is a transform ``pm.Model -> pm.Model``. For every set of parameters,

.. math:: \log p_{compressed}(\theta) = \log p(\theta, data) + const,

so that anything that works on log-densities (NUTS, a mode, tempering) gives the same posterior.
Observed equations become Potentials over a few numbers (see :mod:`.reduce`): distinct rows
with counts, or sums of squares and products [1]_. Equations that cannot be shortened keep their
rows; so do those in which units depend on each other.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytensor
from pymc.model.fgraph import ModelNamed, ModelObservedRV, model_named, model_potential
from pymc.pytensorf import toposort_replace

from bayescausal.inference.censored.term import TimeTerm
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.equation import NotReducedError
from bayescausal.inference.closed_forms.reduce import LogitTerm, reductions
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.conditioning.row_sums import rows_of
from bayescausal.inference.data.read import read_data
from bayescausal.inference.sampling.reparametrize import centred
from bayescausal.model.structure.function_graph import close, data_values, open_model
from bayescausal.types import DataError, MixingError, ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy as np
    import pymc as pm
    from pytensor.graph import FunctionGraph
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Data
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["Compression", "compress", "fuse", "insert", "lean", "measure", "reducible"]


@dataclass(frozen=True, eq=False)
class Compression:
    """Which equations are shortened for the data at hand, and to what."""

    # (term, dict of str to ndarray) The equation's reduced term, and its numbers.
    chosen: dict[str, tuple[Any, dict[str, np.ndarray]]]
    left: dict[str, str]  # equations that keep their rows, and why
    # (term, dict of str to ndarray) Those of them that are written as one operation over the rows:
    # the same density, faster.
    fused: dict[str, tuple[Any, dict[str, np.ndarray]]] = field(default_factory=dict)

    def kind(self) -> tuple[tuple[str, str], ...]:
        """Return which equations are shortened how: data with the same can share a model."""
        return tuple((n, type(term).__name__) for n, (term, _) in self._terms())

    def _terms(self) -> Iterator[tuple[str, tuple[Any, dict[str, np.ndarray]]]]:
        yield from self.chosen.items()
        yield from self.fused.items()

    def data(self) -> dict[str, np.ndarray]:
        """Return the numbers under the names that they have in the model."""
        return {
            _name_of(n, key): value for n, (_, held) in self._terms() for key, value in held.items()
        }


def compress(
    model: pm.Model | Design,
    data: Data | None = None,
    *,
    unit_dims: str | Sequence[str] | None = None,
) -> pm.Model:
    """Return a model with the same log-density but for a constant, over fewer numbers.

    Parameters
    ----------
    model : pm.Model or Design
        Conditioned, or generative with ``data``. It is not changed.
    data : DataFrame, Mapping or Dataset, optional
        As in :func:`bayescausal.fit`. Default: what the model itself was observed to be.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.

    Returns
    -------
    pm.Model
        Its observed equations are Potentials ``"<name>_compressed"``; equations that cannot be
        shortened are as they were. Deterministics of the units are gone.

    Raises
    ------
    MixingError
        If no equation can be shortened, and units depend on each other in one.
    ModelError
        If no equation can be shortened, with the reason for each.
    DataError
        If nothing is observed, or the data do not fit.

    Examples
    --------
    >>> import numpy as np, pymc as pm, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> with pm.Model(coords={"unit": range(1000)}) as model:
    ...     x = pm.Bernoulli("x", 0.3, dims="unit", observed=rng.integers(0, 2, 1000))
    ...     a, b = pm.Normal("a"), pm.Normal("b")
    ...     y = pm.Bernoulli("y", logit_p=a + b * x, dims="unit", observed=rng.integers(0, 2, 1000))
    >>> small = bc.compress(model)
    >>> sorted(v.name for v in small.potentials), small["y_counts"].get_value().sum()
    (['x_compressed', 'y_compressed'], np.float64(1000.0))
    >>> points = [{"a": 0.0, "b": 0.0}, {"a": 0.3, "b": -0.4}]
    >>> densities = [m.compile_logp(mode="FAST_COMPILE") for m in (model, small)]
    >>> before, after = [np.diff([density(p) for p in points]) for density in densities]
    >>> bool(np.allclose(before, after))
    True
    """
    structure, table, conformed, _ = read_data(model, data, unit_dims, constants=True)
    if table is None:
        raise DataError(
            "There is nothing to compress.",
            expected="data=, or a model with observed variables.",
        )
    conditioned = condition(structure, conformed)
    names = [rv.name for rv in conditioned.model.observed_RVs]
    terms = reducible(structure, conformed, names)
    found = measure(terms, structure, conformed)
    if not found.chosen:
        reasons = "; ".join(f"{n}: {why}" for n, why in found.left.items())
        touching = any(structure.mixing.get(n) for n in found.left)
        raise (MixingError if touching else ModelError)(
            f"No equation can be compressed ({reasons}).",
            remedy="Use the model as it is.",
        )
    return insert(structure, conditioned.model, found)


def reducible(
    structure: Structure, conformed: Conformed, names: Collection[str]
) -> dict[str, list[Any] | str]:
    """Return how observed equations might be shortened, or why not, from the expressions alone."""
    known = {n for n in structure.random if n in conformed.columns and n not in conformed.missing}
    known |= {rv.name for rv in structure.model.observed_RVs}
    found: dict[str, list[Any] | str] = {}
    for name in names:
        if name not in structure.random:
            found[name] = "it has no units, or cells are imputed"
        elif name in conformed.missing:
            found[name] = "cells are imputed"
        else:
            found[name] = reductions(structure, name, known)
    return found


def measure(
    terms: Mapping[str, list[Any] | str],
    structure: Structure,
    conformed: Conformed,
    rows: Mapping[str, np.ndarray] | None = None,
) -> Compression:
    """Return the numbers that take the place of the rows, or of those that `rows` selects."""
    columns = {**data_values(structure.model), **conformed.columns}
    chosen, left = {}, {}
    for name, options in terms.items():
        if isinstance(options, str):
            left[name] = options
            continue
        seen = rows_of(structure, name, columns, rows or {})
        for term in options:
            try:
                chosen[name] = (term, term.measure(seen))
                break
            except NotReducedError as error:
                left[name] = str(error)
    return Compression(chosen, {n: why for n, why in left.items() if n not in chosen})


def fuse(found: Compression, structure: Structure, conformed: Conformed) -> Compression:
    """Return the same compression, with equations that keep their rows fused where they can be."""
    fused = dict(found.fused)
    joined = {*conformed.missing, *structure.imputed}
    joined |= {part for pair in structure.imputed.values() for part in pair}
    columns = {**data_values(structure.model), **conformed.columns}
    for name in found.left:
        if name not in structure.random or name in {*joined, *fused}:
            continue
        for form in (LogitTerm, TimeTerm):
            try:
                term = form(structure, name)
                if not joined & set(term.leaves):
                    fused[name] = term, term.measure(columns)
                break
            except NotReducedError:
                continue
    return replace(found, fused=fused)


def insert(structure: Structure, model: pm.Model, found: Compression) -> pm.Model:
    """Return a conditioned model with some equations shortened, without data that nothing reads."""
    terms = {**found.chosen, **found.fused}
    if not terms:
        return model
    model = lean(structure, model)
    fgraph, memo, initvals = open_model(model)
    for name, (term, numbers) in terms.items():
        held = {
            key: model_named(
                pytensor.shared(value, name=_name_of(name, key)),
                _name_of(name, key),
            )
            for key, value in numbers.items()
        }
        for variable in held.values():
            fgraph.add_output(variable, import_missing=True)
        whole = term.term(held, {n: memo[_source(model, n)] for n in term.leaves})
        label = "compressed" if name in found.chosen else "fused"
        fgraph.add_output(model_potential(whole, f"{name}_{label}"), import_missing=True)
    gone = {memo[model[n]]: memo[model[n]].owner.inputs[1] for n in terms}
    _remove(fgraph, set(gone))
    inside = fgraph.variables
    toposort_replace(fgraph, tuple((v, w) for v, w in gone.items() if v in inside), reverse=True)
    _remove_idle_data(fgraph, structure)
    small = close(fgraph, initvals)
    _drop_idle_dims(small, structure)
    return small


def lean(structure: Structure, model: pm.Model) -> pm.Model:
    """Return a model as it is sampled: without Deterministics of the units, and centred.

    The Deterministics would be kept per draw; see :mod:`.centred`.
    """
    model = centred(structure, model)
    gone = unit_deterministics(structure, model)
    if not gone:
        return model
    fgraph, memo, initvals = open_model(model)
    inlined = [(memo[d], memo[d].owner.inputs[0]) for d in gone]
    markers = {marker for marker, _ in inlined}
    toposort_replace(fgraph, tuple(inlined))
    for i in reversed(range(len(fgraph.outputs))):
        out = fgraph.outputs[i]
        if out in markers or out.owner is None or not hasattr(out.owner.op, "dims"):
            fgraph.remove_output(i)
    return close(fgraph, initvals)


def unit_deterministics(structure: Structure, model: pm.Model) -> list[Any]:
    """Return the Deterministics of a model that have a value for each unit."""
    unit = set(structure.unit_dims)
    below = structure.descendants(structure.nodes) if structure.nodes else frozenset()
    parts = {*structure.deterministics, *structure.imputed, *below}
    return [
        d
        for d in model.deterministics
        if d.type.ndim
        and (d.name in parts or unit & set(model.named_vars_to_dims.get(d.name) or ()))
    ]


# ------------------------------------------------------------------------------- private


def _source(model: pm.Model, name: str) -> TensorVariable:
    """Return a variable, or the data that it was replaced by where its equation was left out."""
    held = name
    while held not in model.named_vars:
        held = f"{held}_" if held != name else f"{name}_data"
    return model[held]


def _name_of(equation: str, key: str) -> str:
    """Return the name of a number in the model."""
    return f"{equation}_{key}"


def _remove(fgraph: FunctionGraph, variables: set[Any]) -> None:
    for i in reversed(range(len(fgraph.outputs))):
        if fgraph.outputs[i] in variables:
            fgraph.remove_output(i)


def _remove_idle_data(fgraph: FunctionGraph, structure: Structure) -> None:
    """Remove data of the units that no variable reads any more."""
    unit = set(structure.unit_dims)
    data = {
        v
        for v in fgraph.outputs
        if isinstance(v.owner.op, ModelNamed)
        and unit & set(v.owner.op.dims or ())
        and not isinstance(v.owner.op, ModelObservedRV)
    }
    data = {v for v in data if v.owner.inputs[0].owner is None}
    others = [v for v in fgraph.outputs if v not in data]
    read = named_parents(others, data)
    _remove(fgraph, data - read)


def _drop_idle_dims(model: pm.Model, structure: Structure) -> None:
    """Forget dims of the units that no variable has any more."""
    used = {d for dims in model.named_vars_to_dims.values() for d in dims or ()}
    for dim in structure.unit_dims:
        if dim not in used and dim in model._coords:
            model._coords.pop(dim)
            model._dim_lengths.pop(dim, None)
