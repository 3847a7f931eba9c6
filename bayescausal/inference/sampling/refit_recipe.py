"""What can be kept between fits of one model to many data sets, and when nothing can.

A compiled model can be used again where its unknowns do not depend on the data set: where no other
cells are empty, no discrete unknown is summed out for the data at hand, and no unknown starts from
a column.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.compile import SharedVariable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.sharedvar import TensorSharedVariable

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.conditioning.posterior import with_shared
from bayescausal.inference.data.arrays import own_table
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import Observed, as_table
from bayescausal.inference.marginalize.affine_latents import integrable_groups
from bayescausal.inference.marginalize.in_sequence import in_sequence
from bayescausal.inference.marginalize.integrate import normal_vectors
from bayescausal.inference.sampling.few import METHOD
from bayescausal.inference.sampling.sample import INTEGRATED, at_once
from bayescausal.model.forests.stamp import forests_in
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.names import Joined
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    import xarray as xr
    from nutpie.compile_pymc import CompiledPyMCModel

    from bayescausal.annotations import Data
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.inference.marginalize.integrate import Integrated
    from bayescausal.inference.sampling.few import Few
    from bayescausal.inference.sampling.refit import Refitter
    from bayescausal.inference.sampling.sample import Drawn
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "OPTIONS",
    "PlainError",
    "Recipe",
    "compiled_model",
    "inner_draws",
    "kind_of_data",
    "names_of_data",
    "read_columns",
    "sample_compiled",
    "starts_from_data",
    "values_at_hand",
    "why_plain",
]

#: Options of a Markov chain that a compiled model can take; others go the plain path.
OPTIONS = {"tune", "target_accept", "cores", "nuts", "nuts_sampler", "progressbar", "quiet"}


class PlainError(Exception):
    """Only the plain path will do; the message says why."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is kept between fits of data of one kind."""

    model: pm.Model | None = None  # the rest, as it is compiled; None where nothing is left
    few: Few | None = None  # the rest, as it is drawn without a Markov chain where that can be
    # Data of the model, and the column or dim that they come from.
    sources: dict[str, str] = field(default_factory=dict)
    # Data that say where a column is empty, and the column.
    masks: dict[str, str] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)  # of a Markov chain on what is left
    integral: Integrated | None = None  # draws back the latents that were integrated out

    @cached_property
    def compiled(self) -> CompiledPyMCModel:
        """The rest, compiled when a Markov chain is first needed."""
        assert self.model is not None
        return compiled_model(self.model)

    def with_data(self, data: dict[str, Any]) -> CompiledPyMCModel | None:
        """Return the compiled model of some data; None where nothing is left."""
        if self.model is None:
            return None
        own = {str(v.name) for v in self.compiled.shared_var_keys}
        return self.compiled.with_data(**{n: v for n, v in data.items() if n in own})

    def told(self, *, compiled: bool) -> dict[str, str]:
        """Return how what is left was drawn: by a Markov chain on what is compiled, or not."""
        if compiled or self.few is None:
            return self.methods
        rest = {n: how for n, how in self.methods.items() if how == INTEGRATED}
        return {Joined(rv.name for rv in self.few.model.free_RVs): METHOD, **rest}


def why_plain(
    structure: Structure, columns: Sequence[str], method: str, sampler: dict[str, Any]
) -> str:
    """Return why every fit takes the plain path; empty where none has to."""
    model = structure.model
    if forests_in(structure):
        return "trees are drawn by a sampler of their own"
    if method not in ("auto", "exact", "compressed", "nuts"):
        return f"method={method!r}"
    odd = [k for k in sampler if k not in OPTIONS]
    if odd:
        return f"the option {odd[0]}="
    if sampler.get("nuts_sampler") not in (None, "nutpie"):
        return f"nuts_sampler={sampler['nuts_sampler']!r}"
    if structure.imputed:
        return f"the model imputes {', '.join(structure.imputed)}"
    seen = {*columns, *structure.observed}
    free = [rv for rv in model.free_RVs if rv.name not in seen]
    discrete = [rv.name for rv in free if is_discrete(rv)]
    if discrete:
        return f"{', '.join(discrete)} discrete and unknown"
    groups = (
        integrable_groups(structure, normal_vectors(structure, model)) if method != "nuts" else []
    )
    latents = [n for group in groups for n in group]
    given = [v for v in model.basic_RVs if v.name in seen]
    return starts_from_data(model, given, latents)


def read_columns(refitter: Refitter, data: Data) -> Observed:
    """Return the columns that were promised, and no others."""
    table = as_table(data, refitter.structure)
    wanted = {*refitter.columns, *(v.name for v in refitter.model.data_vars)}
    lost = [n for n in refitter.columns if n not in table]
    if lost:
        raise DataError(
            f"The data have no column for {', '.join(map(repr, lost))}.",
            expected=f"The columns {', '.join(map(repr, refitter.columns))}.",
            remedy="To leave it latent, make a Refitter without it.",
            names=[hit for n in lost for hit in closest(n, table.ignored)[:1]],
        )
    extra = tuple(n for n in table.columns if n not in wanted)
    if extra:
        table = replace(
            table,
            values={n: v for n, v in table.values.items() if n in wanted},
            dims={n: d for n, d in table.dims.items() if n in wanted},
            categories={n: c for n, c in table.categories.items() if n in wanted},
            ignored=(*table.ignored, *extra),
        )
    table = own_table(refitter.structure, table)
    return Observed(refitter.structure, table, conform(table, refitter.structure))


def inner_draws(refitter: Refitter, conformed: Conformed, seed: int) -> Drawn | None:
    """Draw by a refitter of the model without a latent whose effects follow each other.

    None where there is no such latent. What is found is kept in the refitter.
    """
    if refitter.method not in ("auto", "exact"):
        return None
    held: dict[Any, Any] = vars(refitter).setdefault("_inner", {})
    key = frozenset(conformed.columns), frozenset(conformed.missing)
    with refitter._lock:
        if key not in held:
            found = in_sequence(refitter.structure, conformed)
            options = {**refitter.sampler, "method": refitter.method}
            held[key] = found and (
                found,
                type(refitter)(
                    found.structure.model,
                    refitter.columns,
                    draws=refitter.draws,
                    chains=refitter.chains,
                    unit_dims=found.structure.unit_dims,
                    **options,
                ),
            )
    if held[key] is None:
        return None
    found, inner = held[key]
    drawn = inner._draw(found.conformed(conformed), seed)
    return with_shared(found, drawn, conformed, seed)


def starts_from_data(
    model: pm.Model, observed: Iterable[Any], integrated: Sequence[str] = ()
) -> str:
    """Say which unknown starts from the first data: draws would depend on the order of fits."""
    given = {*model.data_vars, *observed}
    for rv in model.free_RVs:
        if rv in given:
            continue
        inputs = rv.owner.inputs
        if rv.name in integrated:  # it starts nowhere, but may have as many cells as data say
            if model.named_vars_to_dims.get(rv.name):
                continue
            inputs = [rv.owner.op.size_param(rv.owner)]
        read = named_parents(inputs, given)
        if read:
            return f"the law of {rv.name} reads {', '.join(sorted(str(v.name) for v in read))}"
    return ""


def kind_of_data(structure: Structure, conformed: Conformed) -> tuple[Any, ...]:
    """Return what data must share to be fitted by one recipe: all but the units.

    Latent variables and empty cells belong to units, so that their number counts too.
    """
    unit = set(structure.unit_dims)
    latent = [n for n in structure.random if n not in {*conformed.columns, *structure.observed}]
    if latent or conformed.missing:
        unit = set()
    sizes = tuple(sorted((d, n) for d, n in conformed.sizes.items() if d not in unit))
    shapes = tuple(
        (n, conformed.columns[n].shape)
        for n in sorted(conformed.columns)
        if not unit & set(structure.dims.get(n, ()))
    )
    return tuple(sorted(conformed.columns)), tuple(sorted(conformed.missing)), sizes, shapes


def compiled_model(model: pm.Model) -> CompiledPyMCModel:
    """Compile a model whose data can be exchanged."""
    import nutpie

    _refuse_frozen(model)
    return nutpie.compile_pymc_model(model, freeze_model=False)


def _refuse_frozen(model: pm.Model) -> None:
    for var in model.data_vars:
        inner = var.owner.inputs[0] if var.owner is not None else var
        if not isinstance(inner, SharedVariable):
            raise PlainError(f"{var.name!r} is frozen in the model")


def names_of_data(model: pm.Model) -> list[str]:
    """Return the names of a model's data, which can be exchanged."""
    _refuse_frozen(model)
    outputs = [*model.basic_RVs, *model.potentials, *model.deterministics]
    inside = ancestors([*outputs, *model.rvs_to_values.values()])
    names = [str(v.name) for v in inside if isinstance(v, TensorSharedVariable)]
    if len(set(names)) < len(names):
        raise PlainError("two data of the model have the same name")
    return names


def values_at_hand(recipe: Recipe, conformed: Conformed, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the data at hand under the names of what was compiled."""
    values: dict[str, Any] = {}
    for name, source in recipe.sources.items():
        if name in numbers:
            values[name] = numbers[name]
        elif source in conformed.missing:
            values[name] = np.where(conformed.missing[source], 0, conformed.columns[source])
        elif source in conformed.columns:
            values[name] = conformed.columns[source]
        else:
            values[name] = conformed.sizes[source]
    return values | {name: conformed.missing[column] for name, column in recipe.masks.items()}


def sample_compiled(
    compiled: CompiledPyMCModel,
    conformed: Conformed,
    careful: Mapping[str, float],
    sampler: Mapping[str, Any],
    *,
    draws: int,
    chains: int,
    seed: int,
) -> dict[str, xr.Dataset]:
    """Run the Markov chains of a compiled model, as ``pm.sample`` does.

    - `careful`: options that those of the caller take the place of.
    - `sampler`: the caller's.
    """
    import nutpie

    options = {**careful, **(sampler.get("nuts") or {})}
    if "target_accept" in sampler:
        options["target_accept"] = sampler["target_accept"]
    if "max_treedepth" in options:
        options["maxdepth"] = options.pop("max_treedepth")
    tune = sampler.get("tune")
    first = np.random.default_rng(seed).spawn(chains)[0]
    try:
        tree = nutpie.sample(
            compiled,
            draws=draws,
            tune=None if tune is None else max(1, tune),
            chains=chains,
            cores=sampler.get("cores") or at_once(chains),
            seed=int(first.integers(2**30)),
            save_warmup=False,
            progress_bar=False,
            **options,
        )
    except RuntimeError as error:
        raise PlainError(f"the compiled sampler stopped: {error}") from error
    groups = {name: tree[name].to_dataset() for name in ("posterior", "sample_stats")}
    posterior = groups["posterior"]
    labels = {
        d: np.asarray(conformed.coords[d])
        for d in posterior.dims
        if d in conformed.coords and len(conformed.coords[d]) == posterior.sizes[d]
    }
    return {**groups, "posterior": posterior.assign_coords(labels)}
