"""``abduct`` and ``counterfactual``: what would have happened to these units.

Three steps, per posterior draw and unit [1]_:

1. *abduction*: the noise of the unit, from everything that was seen of it;
2. *action*: the interventions, in a world of their own;
3. *prediction*: the equations with the unit's own noise.

The factual world run through the same steps gives back the data. What the model does not fix,
the joint of one unit's outcomes across worlds, is fixed by the noise form: rank preservation for
continuous variables, and for discrete ones the coupling that the caller names.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, theorem 7.1.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.counterfactuals.coupling import depends_on_coupling, resolve_coupling
from bayescausal.counterfactuals.evidence import evidence_units
from bayescausal.counterfactuals.noise import AbductedNoise, drawn_anew
from bayescausal.counterfactuals.units import select_units
from bayescausal.evaluation.build import build_program, recomputed_by
from bayescausal.evaluation.evaluate import Units, units_of
from bayescausal.evaluation.measured import measured, measured_units, recorded_notes
from bayescausal.evaluation.program import Request
from bayescausal.evaluation.support import refuse_outside, refuse_undefined
from bayescausal.evaluation.worlds import (
    asked_of,
    assemble,
    chosen_variables,
    collect,
    parse_worlds,
)
from bayescausal.inference.data.design_matrix import names_in, policy_reads, with_columns
from bayescausal.inference.given import as_fit
from bayescausal.model.interventions.parse_do import refuse_potentials
from bayescausal.types import DataError, Intervention, InterventionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Data
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["abduct", "counterfactual", "impossible_note"]


def abduct(
    fit: Fit,
    *,
    coupling: str | Mapping[str, str] = "monotone",
    seed: int | None = None,
) -> xr.Dataset:
    """Return the exogenous noise of every unit.

    Parameters
    ----------
    fit : Fit
        With data.
    coupling : str or mapping, default "monotone"
        The noise form of discrete variables.
    seed : int, optional
        Of the draws within intervals. Default: the fit's.

    Returns
    -------
    xarray.Dataset
        One variable ``U_<name>`` for each random structural variable, dims ``chain, draw`` and
        its own: a standard normal or standard logistic (``attrs["base"]``). Gumbel noise has a
        last dim ``<name>_category``. NaN where the model calls the value impossible;
        ``attrs["impossible"]`` says of which units.

    Raises
    ------
    DataError
        If the fit has no units.
    NoiseFormError
        If a distribution has no noise form.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 1, 2, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [5.0]})
    >>> float(bc.abduct(known)["U_x"].squeeze())
    2.0
    """
    fit = as_fit(fit, "abduct")
    units = _units(fit)
    structure = fit.structure
    names = [p for n in structure.random for p in structure.imputed.get(n, (n,))]
    discrete = depends_on_coupling(structure, names, names)
    chosen = resolve_coupling(structure, coupling, discrete, what="The noise")
    source = AbductedNoise(units, fit.seed if seed is None else int(seed), chosen)
    total = fit.n_draws
    chains, draws = (int(fit.posterior.sizes[d]) for d in ("chain", "draw"))
    variables: dict[str, Any] = {}
    for name in names:
        noise = source.whole(name, total)
        dims = [d or f"{name}_dim_{i}" for i, d in enumerate(source.dims(name))]
        dims += [f"{name}_category"] * (noise.ndim - 1 - len(dims))
        array = noise.reshape(chains, draws, *noise.shape[1:])
        variables[f"U_{name}"] = (("chain", "draw", *dims), array, {"base": source.base(name)})
    used = {d for dims, _, _ in variables.values() for d in dims}
    coords = {d: list(v) for d, v in units.coords.items() if d in used and v is not None}
    data = xr.Dataset(variables, coords=coords)
    data.attrs = {"seed": source.seed, "impossible": impossible_note(source, units)}
    return data


def counterfactual(
    fit: Fit,
    do: Mapping[str, Any],
    *,
    units: object = None,
    evidence: Data | None = None,
    variables: str | Sequence[str] | None = None,
    coupling: str | Mapping[str, str] | None = None,
    seed: int | None = None,
    ignore_potentials: bool = False,
) -> xr.Dataset:
    """Return what would have happened to each unit, its own noise kept.

    Parameters
    ----------
    fit : Fit
        A posterior, prior or truth.
    do : mapping
        ``{variable: intervention}``, or several named worlds ``{name: {variable: ...}}``.
    units : label, list of labels, slice of labels or mask, optional
        Which units of the data, along the first unit dim. Default: all.
    evidence : DataFrame, optional
        New units instead, with whatever was observed of them; the rest is drawn given it, in
        each posterior draw. Evidence does not update the parameters.
    variables : str or sequence of str, optional
        What to return. Default: all structural variables.
    coupling : str or mapping, optional
        ``"monotone"``, ``"gumbel"`` or a mapping by variable: required where a discrete
        variable that the intervention reaches takes part.
    seed : int, optional
        Default: the fit's.
    ignore_potentials : bool, default False
        Go on although Potentials act on structural variables.

    Returns
    -------
    xarray.Dataset
        Dims ``world`` (``"factual"``, then ``"counterfactual"`` or the given names),
        ``chain, draw`` and those of each variable. ``attrs["notes"]`` state what it assumes.
        Categories have their labels where these are numbers, else codes of ``attrs["labels"]``.

    Raises
    ------
    CouplingError
        If a coupling is needed and not given.
    InterventionError, UnknownVariableError, DataError, NoiseFormError, PotentialError

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [1.0], "y": [2.5]})
    >>> both = bc.counterfactual(known, {"x": 0})
    >>> float(both["y"].sel(world="counterfactual").squeeze())
    0.5
    """
    fit = with_columns(as_fit(fit, "counterfactual"), [*policy_reads(do), *names_in(variables)])
    worlds = {"factual": {}, **_named_worlds(do)}
    given, asked = fit, asked_of(fit.structure, worlds, variables)
    fit = measured(fit, asked)
    structure = fit.structure
    if not ignore_potentials:
        refuse_potentials(structure)
    if evidence is not None and units is not None:
        raise DataError(
            "Both units= and evidence= are given.", remedy="Ask about one or the other."
        )
    chosen_seed = fit.seed if seed is None else int(seed)
    notes: list[str] = []
    if evidence is not None:
        members, notes = evidence_units(given, evidence, chosen_seed)
        members = measured_units(members, fit, chosen_seed)
    else:
        members = select_units(_units(fit), units)
    parsed = parse_worlds(fit, worlds, members)
    recomputed = recomputed_by(structure, parsed.values())
    refuse_outside(members, parsed, recomputed)
    names = chosen_variables(structure, variables)
    needed = depends_on_coupling(structure, recomputed, names)
    couplings = resolve_coupling(
        structure, coupling, needed, what=f"The counterfactual of {', '.join(names)}"
    )
    anew = drawn_anew(parsed, recomputed)
    source = AbductedNoise(members, chosen_seed, couplings, anew=anew)
    refuse_undefined(members, parsed, recomputed, names, noise=source, coupling=couplings)
    requests = [Request(w, n, "draw") for w in parsed for n in names]
    program = build_program(
        structure,
        parsed,
        requests,
        recomputed=recomputed,
        varying=members.varies,
        coupling=couplings,
        own_noise=True,
        consistent=True,
    )
    arrays, _ = collect(program, members, source, inner=1)
    data = assemble(fit, members, list(parsed), names, program, arrays)
    _blank_impossible(data, source, members, parsed, recomputed)
    notes += _assumptions(structure, recomputed, names, couplings)
    notes += [" ".join(each) for each in recorded_notes(given, asked)]
    impossible = impossible_note(source, members)
    if impossible:
        notes.append(impossible)
    data.attrs = {
        "kind": "counterfactual",
        "seed": chosen_seed,
        "recomputed": sorted(recomputed & set(structure.nodes)),
        "coupling": [f"{k}: {v}" for k, v in couplings.items()],
        "notes": notes,
    }
    return data


def _blank_impossible(
    data: xr.Dataset,
    source: AbductedNoise,
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
) -> None:
    """Put NaN where there is no noise, and for all that follows from it."""
    structure, first = units.structure, units.structure.unit_dims[0]
    for name, cells in source.cells.items():
        bad = np.zeros((units.fit.n_draws, units.sizes[first]), dtype=bool)
        for draw, unit in cells:
            bad[draw, unit] = True
        shape = (data.sizes["chain"], data.sizes["draw"], -1)
        mask = xr.DataArray(bad.reshape(shape), dims=("chain", "draw", first))
        below = {name} | structure.descendants([name])
        for n in data.data_vars:
            if n in below & recomputed and first in data[n].dims:
                free = xr.DataArray([n not in do for do in worlds.values()], dims="world")
                dims = data[n].dims
                data[n] = data[n].where(~(mask & free)).transpose(*dims)


def impossible_note(source: AbductedNoise, units: Units) -> str:
    """Return which units' evidence the model calls impossible, in words; empty if none."""
    parts = []
    first = units.structure.unit_dims[0]
    labels = units.coords.get(first)
    for name, counts in source.impossible.items():
        where = np.flatnonzero(counts)
        if len(where) and len(counts) > 1:
            shown = [str(labels[i]) if labels is not None else str(i) for i in where[:5]]
            more = f" and {len(where) - 5} more" if len(where) > 5 else ""
            parts.append(f"{name!r} of {first} {', '.join(shown)}{more}")
        elif len(where):
            parts.append(f"{name!r}")
    if not parts:
        return ""
    return f"The model calls the evidence impossible in some draws: {'; '.join(parts)}."


# ------------------------------------------------------------------------ private


def _units(fit: Fit) -> Units:
    units = units_of(fit)
    if units is None:
        raise DataError(
            "The fit has no units: it was made without data.",
            remedy="Pass data to prior or truth, or evidence= to counterfactual.",
        )
    return units


def _named_worlds(do: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{name: interventions}`` from one world or several."""
    several = (
        isinstance(do, Mapping)
        and bool(do)
        and all(isinstance(v, Mapping) and not isinstance(v, Intervention) for v in do.values())
    )
    if not several:
        return {"counterfactual": do}
    if "factual" in do:
        raise InterventionError(
            "A world is called 'factual'.", expected="another name: that one is always there."
        )
    return dict(do)


def _assumptions(
    structure: Structure, recomputed: frozenset[str], names: list[str], couplings: Mapping[str, str]
) -> list[str]:
    """Return what fixes the joint across worlds, in words."""
    above = set(names) | structure.ancestors(names)
    continuous = [n for n in structure.random if n in recomputed & above and n not in couplings]
    notes = []
    if continuous:
        notes.append(
            f"Rank preservation: each unit keeps its rank of {', '.join(continuous)} among units "
            "with the same parents. The data cannot tell."
        )
    for name, kind in couplings.items():
        words = "a common quantile" if kind == "monotone" else "Gumbel noise per category"
        notes.append(f"Coupling of {name!r}: {kind} ({words}). The data cannot tell.")
    return notes
