"""Unknowns that are neither continuous nor discrete: real numbers, some with a probability.

A censored variable, a hurdle, a spike and a slab: their density is taken with respect to a measure
that has atoms. A Markov chain that moves along a gradient never stands on an atom, so that it would
draw from what is left of the law without them. So where an unknown of this kind is read by nothing
else, it says nothing about the rest and is drawn from its own equation afterwards; where something
reads it, it is refused, with the way to write it as a function of unknowns that can be drawn. A
discrete unknown that nothing reads, such as an outcome without a column, is drawn so too, without
the steps of a chain.

References
----------
R. E. Kass and A. E. Raftery, Bayes factors, *Journal of the American Statistical Association* 90,
1995, section 3.2: point hypotheses and the mass that they need.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.graph.traversal import ancestors

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.noise.read_off import family_of, law_of
from bayescausal.model.noise.records import record_of
from bayescausal.model.structure.function_graph import PY_MODE, close, observed_values, open_model
from bayescausal.types import ModelError, NoiseFormError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.conditioning.condition import Conditioned
    from bayescausal.model.structure.structure import Structure

__all__ = ["draw_atoms", "has_atoms", "without_atoms"]

CELLS = "_unobserved"


def has_atoms(rv: TensorVariable) -> bool:
    """Whether a random variable takes some of its real values with a probability.

    Examples
    --------
    >>> import pymc as pm
    >>> has_atoms(pm.Censored.dist(pm.Normal.dist(), 0.0, None)), has_atoms(pm.Normal.dist())
    (True, False)
    """
    if rv.owner is None or is_discrete(rv):
        return False
    try:
        return record_of(rv) is not None or law_of(rv)[0].kind == "mixed"
    except NoiseFormError:  # no law that is known here: a map of continuous ones
        return False


def without_atoms(
    structure: Structure, conditioned: Conditioned, *, discrete: bool = False
) -> tuple[Conditioned, list[str]]:
    """Return what a Markov chain can draw of a conditioned model, and the names of the rest.

    - `discrete`: whether discrete unknowns that nothing reads are among the rest too.

    Raises ModelError if something reads an unknown whose law has atoms.
    """
    model = conditioned.model
    held: dict[TensorVariable, str] = {}
    for free in model.free_RVs:
        name = str(free.name)
        plain = name.removesuffix(CELLS)
        rv = structure.model[plain if plain in structure.model.named_vars else name]
        if has_atoms(rv) or (discrete and is_discrete(free)):
            held[free] = plain
    found: list[str] = []
    while unread := [v for v in held if not _is_read(v, model, found)]:
        found += [str(v.name) for v in unread]
        held = {v: plain for v, plain in held.items() if v not in unread}
    for free, plain in held.items():
        if not is_discrete(free):
            rv = structure.model[plain if plain in structure.model.named_vars else free.name]
            raise _read(rv, plain, free.name != plain, structure)
    if not found:
        return conditioned, []
    fgraph, memo, initvals = open_model(model)
    below = [d for d in model.deterministics if named_parents([d], {model[n] for n in found})]
    gone = {memo[v] for v in (*below, *(model[n] for n in found))}
    for i in reversed(range(len(fgraph.outputs))):
        if fgraph.outputs[i] in gone:
            fgraph.remove_output(i)
    left = close(fgraph, {k: v for k, v in initvals.items() if k not in found})
    return replace(conditioned, model=left), found


def _is_read(free: TensorVariable, model: pm.Model, gone: Sequence[str]) -> bool:
    """Whether a variable of a model, those that are gone left out, or a Potential reads another."""
    left = [v for v in model.basic_RVs if v is not free and v.name not in gone]
    return free in set(ancestors([*left, *model.potentials]))


def draw_atoms(
    model: pm.Model, names: Sequence[str], posterior: xr.Dataset, seed: int
) -> dict[str, np.ndarray]:
    """Draw unknowns that nothing reads from their own equations, once per posterior draw."""
    shape = tuple(posterior.sizes[d] for d in ("chain", "draw"))
    posterior = posterior.assign(_draw=(("chain", "draw"), np.zeros(shape)))  # never empty
    # what is seen and pm.Data are held: else they, and what reads them, would be drawn anew
    held = pm.do(freeze_dims_and_data(model), observed_values(model))
    logger = logging.getLogger("pymc.sampling.forward")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        made = pm.sample_posterior_predictive(
            posterior,
            model=held,
            var_names=list(names),
            random_seed=seed,
            progressbar=False,
            compile_kwargs={"mode": PY_MODE},
        )
    finally:
        logger.setLevel(level)
    return {name: made["posterior_predictive"][name].values for name in names}


def _read(rv: TensorVariable, name: str, cells: bool, structure: Structure) -> ModelError:
    """Return the error for an unknown with atoms that something reads."""
    units = bool(set(structure.unit_dims) & set(structure.dims.get(name, ())))
    what = f"The empty cells of {name!r} are" if cells else f"{name!r} is"
    record = record_of(rv) is not None
    remedy = "Drop those rows" if cells else f"Give {name!r} a column" if units else ""
    way = (
        "write what was measured as a variable of its own, and its record as a Deterministic of it."
        if record
        else "write it as a product or switch of a Bernoulli and a continuous variable."
    )
    return ModelError(
        f"{what} unknown and read by other variables, and {family_of(rv)} has values with a "
        "probability of their own among real numbers: no Markov chain of a gradient visits them.",
        remedy=f"{remedy}, or {way}" if remedy else way[0].upper() + way[1:],
    )
