r"""What a Markov chain is left with, once blocks are drawn in closed form and equations shortened.

The conditioned model :math:`p(\theta, v_{latent}, v_{missing} \mid v_{obs})` loses, in this order,
the unknowns that are drawn elsewhere and the equations that hold no other unknown; the rows of
equations that come down to sufficient statistics; and the Normal latents, group effects and empty
cells that can be integrated out exactly.

A column with empty cells is one unknown where it is integrated out and two variables, what is seen
and what is not, where it is not. Which of the two it is shows only when the integral is tried, so
that the model is conditioned anew where a try fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from bayescausal.inference.closed_forms.compress import (
    Compression,
    fuse,
    insert,
    measure,
    reducible,
)
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.conditioning.plan import rest_of
from bayescausal.inference.marginalize.integrate import integrate, whole_columns
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.parameters import fix_parameters
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    import pymc as pm

    from bayescausal.inference.conditioning.condition import Conditioned
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.inference.marginalize.integrate import Integrated
    from bayescausal.model.structure.structure import Structure

__all__ = ["Opened", "Remainder", "compression_of", "joined", "not_compressed", "open_remainder"]


@dataclass(frozen=True, eq=False)
class Remainder:
    """What is taken out of a conditioned model before a Markov chain runs."""

    gone: Sequence[str] = ()  # unknowns that are drawn elsewhere
    # Observed variables whose equations are left out: they keep the values of the data.
    held: Sequence[str] = ()
    fixed: Mapping[str, np.ndarray] = field(default_factory=dict)  # parameters that are known
    # Equations that are known to be shortened.
    found: Compression = field(default_factory=lambda: Compression({}, {}))
    shorten: bool = False  # whether the other equations are to be shortened where they can be
    done: Collection[str] = ()  # equations for which that is settled
    must: bool = False  # whether an equation that keeps its rows is refused
    # Whether equations that keep their rows are written as one operation where they can be.
    fused: bool = False

    def of(
        self, structure: Structure, conformed: Conformed, model: pm.Model
    ) -> tuple[pm.Model, Compression]:
        """Return what is left of a conditioned model, and how its equations are shortened."""
        model = rest_of(model, [n for n in self.gone if n in model.named_vars], self.held)
        if self.fixed:
            model = fix_parameters(model, self.fixed)
        found = self.found
        if self.shorten:
            found = joined(found, compression_of(structure, conformed, model, self.done))
        if self.must and found.left:
            raise not_compressed(found)
        if self.fused:
            found = fuse(found, structure, conformed)
        return insert(structure, model, found), found


class Opened(NamedTuple):
    """A conditioned model as it is sampled."""

    # Columns with empty cells are free as a whole where they are integrated out, and split in two
    # otherwise.
    conditioned: Conditioned
    integral: Integrated | None  # what is integrated out of it
    found: Compression  # how its equations are shortened


def open_remainder(
    structure: Structure, conformed: Conformed, left: Remainder, *, integrated: bool = True
) -> Opened:
    """Condition a model on data, and take out what is drawn, summed up or integrated elsewhere.

    `integrated`: whether Normal latents, group effects and empty cells are integrated out where
    they can be. They are not where a discrete unknown is summed out first: that does not know of
    columns that are partly free.
    """
    own = structure.model
    unknown = (rv for rv in own.free_RVs if rv.name not in conformed.columns)
    integrated = integrated and not any(is_discrete(rv) for rv in unknown)
    whole = whole_columns(structure, conformed) if integrated else []
    while True:
        conditioned = condition(structure, conformed, whole)
        model, found = left.of(structure, conformed, conditioned.model)
        conditioned = replace(conditioned, model=model)
        if not integrated:
            return Opened(conditioned, None, found)
        integral = integrate(structure, model, conditioned.partly)
        done = [n for n in whole if integral is not None and n in integral.names]
        if done == whole:
            return Opened(conditioned, integral, found)
        whole = done


def joined(one: Compression, other: Compression) -> Compression:
    """Return what is known of different equations together."""
    return Compression(
        {**one.chosen, **other.chosen}, {**one.left, **other.left}, {**one.fused, **other.fused}
    )


def not_compressed(found: Compression) -> ModelError:
    """Return the error for equations that keep their rows."""
    [name, reason] = next(iter(found.left.items()))
    return ModelError(
        f"The equation of {name!r} cannot be compressed: {reason}.",
        remedy='Fit with method="auto".',
    )


def compression_of(
    structure: Structure, conformed: Conformed, model: pm.Model, done: Collection[str] = ()
) -> Compression:
    """Return how the equations of what is left can be shortened for the data at hand."""
    names = [rv.name for rv in model.observed_RVs if rv.name not in done]
    discrete = [rv.name for rv in model.free_RVs if is_discrete(rv)]
    if discrete:
        why = f"{', '.join(discrete)} is discrete and unknown"
        return Compression({}, dict.fromkeys(names, why))
    return measure(reducible(structure, conformed, names), structure, conformed)
