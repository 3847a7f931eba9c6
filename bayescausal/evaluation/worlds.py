"""``worlds``: every unit in several worlds at once, with one shared noise.

For one question let ``R`` be the variables that some world's interventions reach. In each world
the variables of ``R`` are recomputed from noise that all worlds share; everything else keeps its
value for that unit, observed or drawn from the posterior.

``kind="expected"`` integrates the noise out: ``E[v | do(world), what is kept, parameters]``. The
mean given recomputed parents is taken exactly where the distribution's mean is known, and is
averaged over the parents' noise: it is never the mean *at the parents' mean*, which is wrong as
soon as anything is nonlinear (Jensen). ``kind="draw"`` returns one draw per unit.

Neither is a counterfactual: the noise is fresh, not that of the unit. See
:func:`bayescausal.counterfactual`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.evaluation.build import build_program, recomputed_by
from bayescausal.evaluation.evaluate import NoiseSource, Units, evaluate, units_of
from bayescausal.evaluation.label_levels import in_unit_order, labels_or_codes, numbers_of
from bayescausal.evaluation.measured import measured, recorded_notes
from bayescausal.evaluation.noise import FreshNoise
from bayescausal.evaluation.program import Program, Request
from bayescausal.evaluation.support import refuse_outside, refuse_undefined
from bayescausal.inference.data.design_matrix import names_in, policy_reads, with_columns
from bayescausal.inference.given import as_fit
from bayescausal.model.interventions.parse_do import parse_interventions, refuse_potentials
from bayescausal.model.noise.means import mean_of
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.types import (
    DataError,
    EstimandError,
    InterventionError,
    UndefinedEffectError,
    closest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = ["asked_of", "assemble", "chosen_variables", "collect", "parse_worlds", "worlds"]

#: Inner replicates that "expected" takes where a mean is not known in closed form: at least, most.
REPLICATES = (64, 4096)
#: Evaluations of one unit in one draw that they may cost together.
WORK = 40_000_000


def worlds(
    fit: Fit,
    worlds: Mapping[str, Mapping[str, Any] | None],
    *,
    variables: str | Sequence[str] | None = None,
    kind: str = "expected",
    seed: int | None = None,
    ignore_potentials: bool = False,
) -> xr.Dataset:
    """Evaluate the units of a fit in several worlds.

    Parameters
    ----------
    fit : Fit
        A posterior, prior or truth, with data.
    worlds : mapping
        ``{name: {variable: intervention}}``; ``{}`` is the natural course.
    variables : str or sequence of str, optional
        What to return. Default: all structural variables that have a mean (``"expected"``), or
        all (``"draw"``).
    kind : {"expected", "draw"}
        The mean with the noise of everything recomputed integrated out, or one draw with the
        noise shared by all worlds.
    seed : int, optional
        Of the noise. Default: the fit's, so that separate calls share their noise.
    ignore_potentials : bool, default False
        Go on although Potentials act on structural variables.

    Returns
    -------
    xarray.Dataset
        Dims ``world, chain, draw`` and the dims of each variable. ``attrs`` say the kind, the
        seed and, per variable, the largest Monte Carlo standard error (``mc_error``). Categories
        have their labels where these are numbers, and codes of ``attrs["labels"]`` where not.

    Raises
    ------
    InterventionError, UnknownVariableError
        If a world is not possible.
    UndefinedEffectError
        If a requested variable has no mean (Cauchy, nominal).
    DataError
        If the fit has no units.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [0.0, 1.0], "y": [0.1, 2.2]})
    >>> both = bc.worlds(known, {"low": {"x": 0}, "high": {"x": 3}}, variables="y")
    >>> both["y"].sel(world="high").values
    array([[[6., 6.]]])
    """
    if kind not in ("expected", "draw"):
        raise EstimandError(
            f"kind is {kind!r}.",
            expected="'expected' or 'draw'.",
            names=closest(str(kind), ("expected", "draw"))[:1],
        )
    fit = with_columns(as_fit(fit, "worlds"), [*policy_reads(worlds), *names_in(variables)])
    given, asked = fit, asked_of(fit.structure, worlds, variables)
    fit = measured(fit, asked)
    structure = fit.structure
    units = units_of(fit)
    if units is None:
        raise DataError(
            "The fit has no units: it was made without data.",
            remedy='Pass data to prior or truth, or ask estimate with population="model".',
        )
    if not ignore_potentials:
        refuse_potentials(structure)
    parsed = parse_worlds(fit, worlds, units)
    recomputed = recomputed_by(structure, parsed.values())
    refuse_outside(units, parsed, recomputed)
    names = chosen_variables(structure, variables)
    requests, kept = _requests(structure, parsed, names, kind, explicit=variables is not None)
    source = FreshNoise(fit.seed if seed is None else int(seed))
    means = kind == "expected"
    refuse_undefined(units, parsed, recomputed, kept, means=means, noise=source)
    program = build_program(
        structure, parsed, requests, recomputed=recomputed, varying=units.varies
    )
    inner = _replicates(program, units) if kind == "expected" else 1
    arrays, errors = collect(program, units, source, inner=inner)
    data = assemble(fit, units, list(parsed), kept, program, arrays)
    data.attrs = {
        "kind": kind,
        "seed": source.seed,
        "mc_error": [f"{n}: {e:.3g}" for n, e in errors.items()],
        "recomputed": sorted(recomputed & set(structure.nodes)),
        **_mixing_note(structure, program),
    }
    which = recorded_notes(given, asked)
    if which:
        data.attrs["measured"] = [" ".join(each) for each in which]
    return data


def parse_worlds(
    fit: Fit,
    worlds: Mapping[str, Mapping[str, Any] | None],
    units: Units,
) -> dict[str, dict[str, Intervention]]:
    """Parse and check every world of a question."""
    if not hasattr(worlds, "items") or not worlds:
        raise InterventionError(
            "No worlds are given.", expected='a mapping, as {"control": {"X": 0}}.'
        )
    return {
        str(name): parse_interventions(
            fit.structure,
            labels_or_codes(fit, in_unit_order(fit, do or {}, units.coords)),
            sizes=units.sizes,
        )
        for name, do in worlds.items()
    }


# ------------------------------------------------------------------------ private


def asked_of(
    structure: Structure, worlds: object, variables: str | Sequence[str] | None
) -> tuple[str, ...]:
    """Return the variables that are asked about and that no world sets."""
    names = [variables] if isinstance(variables, str) else list(variables or structure.random)
    every = list(worlds.values()) if hasattr(worlds, "values") else []
    acted = {str(n) for do in every if hasattr(do, "keys") for n in do}
    return tuple(str(n) for n in names if n not in acted)


def chosen_variables(structure: Structure, variables: str | Sequence[str] | None) -> list[str]:
    if variables is None:
        return list(structure.nodes)
    names = [variables] if isinstance(variables, str) else list(variables)
    return [structure.require(n) for n in names]


def _requests(
    structure: Structure,
    parsed: Mapping[str, Mapping[str, Intervention]],
    names: list[str],
    kind: str,
    *,
    explicit: bool,
) -> tuple[list[Request], list[str]]:
    """Return the requests, world by world, leaving out what has no mean unless it was named."""
    kept = []
    reached = recomputed_by(structure, parsed.values())
    for name in names:
        if kind == "expected" and name in reached and name not in structure.imputed:
            try:
                mean_of(structure.variable(name))
            except UndefinedEffectError:
                if explicit:
                    raise
                continue
        kept.append(name)
    what = "mean" if kind == "expected" else "draw"
    return [Request(w, n, what) for w in parsed for n in kept], kept


def _replicates(program: Program, units: Units) -> int:
    """Return how many inner replicates an expectation takes: more for fewer units and draws."""
    if all(program.exact):
        return 1
    return int(np.clip(WORK // max(units.count * units.fit.n_draws, 1), *REPLICATES))


def collect(
    program: Program, units: Units, source: NoiseSource, *, inner: int
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Evaluate all results of a program, averaged over inner replicates.

    Returns:
    - `arrays`: for each request (draw, *dims); one row where it does not vary over draws.
    - `errors`: the largest Monte Carlo standard error of each variable; empty for one replicate.
    """
    total = units.fit.n_draws
    first = units.structure.unit_dims[0]
    sums: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    for dims, batched, request in zip(program.dims, program.batched, program.requests, strict=True):
        shape = _shape(dims, units, request.variable)
        rows = total if batched else 1
        sums.append(np.zeros((rows, *shape)))
        squares.append(np.zeros((rows, *shape)) if inner > 1 else np.zeros(0))
    for block in evaluate(program, units, slice(0, total), source, replicates=inner):
        for i, (value, dims) in enumerate(zip(block.values, program.dims, strict=True)):
            where: list[slice] = [block.draws if program.batched[i] else slice(None)]
            where += [block.units if d == first else slice(None) for d in dims]
            sums[i][tuple(where)] = value.mean(axis=1)
            if inner > 1:
                squares[i][tuple(where)] = value.var(axis=1)
    errors: dict[str, float] = {}
    if inner > 1:
        for i, request in enumerate(program.requests):
            error = float(np.sqrt(squares[i].max(initial=0.0) / (inner - 1)))
            errors[request.variable] = max(error, errors.get(request.variable, 0.0))
    return sums, errors


def _shape(dims: tuple[str | None, ...], units: Units, name: str) -> tuple[int, ...]:
    own = dim_sizes(units.structure.model)
    static = units.structure.variable(name).type.shape
    lengths = []
    for axis, dim in enumerate(dims):
        if dim is not None and dim in units.sizes:
            lengths.append(units.sizes[dim])
        elif static[axis] is not None:
            lengths.append(static[axis])
        else:
            lengths.append(own[dim] if dim is not None else 1)
    return tuple(int(n) for n in lengths)


def assemble(
    fit: Fit,
    units: Units,
    names: list[str],
    kept: list[str],
    program: Program,
    arrays: list[np.ndarray],
) -> xr.Dataset:
    """Put the results of a program, world by world, into named dims."""
    sizes = fit.posterior.sizes
    chains, draws = int(sizes["chain"]), int(sizes["draw"])
    variables = {}
    for position, name in enumerate(kept):
        dims = program.dims[position]
        labels = [d if d is not None else f"{name}_dim_{i}" for i, d in enumerate(dims)]
        stacked = []
        for w in range(len(names)):
            array = arrays[w * len(kept) + position]
            full = np.broadcast_to(array, (chains * draws, *array.shape[1:]))
            stacked.append(full.reshape(chains, draws, *array.shape[1:]))
        values = np.stack(stacked)
        known = fit.labels.get(name, ())
        said = {"labels": [str(v) for v in known]} if known else {}
        if numbers := numbers_of(known):
            values = np.asarray(numbers)[values.astype(int)]
        variables[name] = (("world", "chain", "draw", *labels), values, said)
    coords: dict[str, Any] = {"world": names}
    used = {d for dims, *_ in variables.values() for d in dims}
    coords.update({d: list(v) for d, v in units.coords.items() if d in used and v is not None})
    return xr.Dataset(variables, coords=coords)


def _mixing_note(structure: Structure, program: Program) -> dict[str, str]:
    mixed = structure.mixes(program.names)
    if not mixed:
        return {}
    return {"mixing": "; ".join(mixed.values()) + ": the intervention acts on all units at once"}
