"""Data from known parameters: one draw of every structural variable, for as many units as asked.

Given numbers for its parameters, a structural model is a recipe: for every unit, in the order of
the arrows,

.. math:: v_i \\sim D_v(pa_i(v); \\theta).

The unit dims are set to the number of units asked for and *one* vectorised draw is taken, not one
prior draw per unit: the whole is a few array operations, and a million units take about a second.
``do`` replaces equations first; what is not intervened on keeps its own.

When it fails: data of the model at unit level (``pm.Data``, constant arrays) come with their own
number of units, and other numbers are refused; a Potential on structural variables selects units,
which a forward draw cannot do.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 1.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
from pytensor.graph.basic import Variable

from bayescausal.model.interventions.defined import Domain
from bayescausal.model.interventions.interventions import intervene
from bayescausal.model.interventions.parse_do import refuse_potentials
from bayescausal.model.interventions.support import ends_of_data, refuse_level
from bayescausal.model.structure.function_graph import close, data_values, dim_sizes, open_model
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.parameters import check_parameters, fix_parameters
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.fixed_columns import with_fixed_columns
from bayescausal.types import (
    BayesCausalError,
    DataError,
    FixedUnitsError,
    Intervention,
    Set,
    closest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["simulate", "unit_sizes"]


def simulate(
    model: pm.Model | Design,
    params: Mapping[str, Any],
    *,
    units: int | Mapping[str, int] | None = None,
    data: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    do: Mapping[Any, Any] | None = None,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
    ignore_potentials: bool = False,
) -> pd.DataFrame:
    """Draw data from a model with known parameters.

    Parameters
    ----------
    model : pm.Model
        Not changed.
    params : mapping of str to float or array_like
        A value for every parameter; a number stands for all entries of an array.
    units : int or mapping of str to int, optional
        How many units; with several unit dims a length for each (a single number is that of the
        first, the others keep the length they have in the model). Default: 1000, or as many as
        the model's own data have.
    data : table or mapping, optional
        Fixed covariates: a column for each ``pm.Data`` of the units. With `units` another number
        than its rows, rows are drawn from it with replacement. Columns of variables that have an
        equation are drawn, not taken: hold these with `do`.
    do : mapping, optional
        Interventions, as in :func:`bayescausal.intervene`.
    seed : int, optional
        Same seed, same data.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.
    ignore_potentials : bool, default False
        Go on although Potentials act on structural variables; they are left out.

    Returns
    -------
    DataFrame
        One row per unit (a MultiIndex for several unit dims), one column per structural variable,
        latents and ``pm.Data`` included; Deterministics are not data and are left out. A vector
        ``v`` is spread over columns ``"v[label]"``; variables with fewer dims are repeated.

    Raises
    ------
    ParameterError
        If a parameter is missing, unknown, or of the wrong shape or support.
    FixedUnitsError
        If the model fixes its number of units at another.
    PotentialError
        If Potentials act on structural variables.
    InterventionError
        If an intervention is not possible.

    References
    ----------
    T. P. Morris, I. R. White and M. J. Crowther, "Using simulation studies to evaluate
    statistical methods", Statistics in Medicine 38(11), 2019.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Bernoulli("x", 0.5, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> bc.simulate(model, {"b": 2.0}, units=4, do={"x": 1}, seed=1)["x"].tolist()
    [1, 1, 1, 1]
    """
    structure = structure_of(model, unit_dims=unit_dims)
    if not ignore_potentials:
        refuse_potentials(structure)
    if data is not None:
        model, units = with_fixed_columns(structure, data, units, seed)
        structure = structure_of(model, unit_dims=structure.unit_dims)
    values = check_parameters(structure, params)
    sizes = unit_sizes(structure, units)
    world = structure.model
    expressions: dict[Any, Any] = {}
    plain: Any = do or {}
    if isinstance(do, Mapping):
        expressions = {k: v for k, v in do.items() if isinstance(v, Variable)}
        plain = {k: v for k, v in do.items() if not isinstance(v, Variable)}
    if expressions:
        world = intervene(world, expressions, unit_dims=structure.unit_dims, ignore_potentials=True)
    world = _resized(fix_parameters(world, values), sizes)
    if plain:
        before = world
        world = intervene(world, plain, unit_dims=structure.unit_dims, ignore_potentials=True)
        _refuse_levels(structure, before, plain)
    draws = _draw(structure, world, do or {}, seed)
    return _frame(structure, draws, sizes)


def unit_sizes(structure: Structure, units: int | Mapping[str, int] | None) -> dict[str, int]:
    """Return the length of every unit dim.

    - `structure`: the model, read.
    - `units`: as in :func:`simulate`.
    """
    own = dim_sizes(structure.model)
    fixed = _fixed(structure, own)
    dims = structure.unit_dims
    if isinstance(units, Mapping):
        for dim in units:
            if dim not in dims:
                raise DataError(
                    f"units names {dim!r}, which is not a unit dim.",
                    expected=f"Among {', '.join(dims)}.",
                    names=closest(str(dim), dims)[:1],
                )
        asked = dict(units)
    elif units is None:
        free = [d for d in dims if d not in fixed]
        asked = {free[0]: 1000} if free and (len(dims) == 1 or own[free[0]] <= 1) else {}
    else:
        asked = {dims[0]: units}
    sizes = {}
    for dim in dims:
        n = asked.get(dim, own[dim])
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise DataError(f"units={n!r} along {dim!r}.", expected="A whole number of at least 1.")
        if dim in fixed and fixed[dim][0] != n:
            length, why = fixed[dim]
            raise FixedUnitsError(
                f"{n} units were asked for along {dim!r}, but {why} of length {length}.",
                expected=f"units={length}.",
                remedy="To simulate other units, give their columns: simulate(..., data=table), "
                "or put their data in with pm.set_data first.",
            )
        sizes[dim] = int(n)
    return sizes


# ------------------------------------------------------------------------------- private


def _fixed(structure: Structure, own: Mapping[str, int]) -> dict[str, tuple[int, str]]:
    """Return the unit dims whose length the model fixes, and by what."""
    fixed = {dim: (n, "the model carries arrays of its own") for dim, n in structure.fixed.items()}
    for name in structure.data:
        for dim in structure.dims[name]:
            if dim in structure.unit_dims:
                fixed.setdefault(dim, (own[dim], f"the pm.Data {name!r} is"))
    for name in structure.imputed:
        for dim in structure.dims[name]:
            if dim in structure.unit_dims:
                fixed.setdefault(dim, (own[dim], f"the imputed {name!r} is"))
    return fixed


def _resized(model: pm.Model, sizes: Mapping[str, int]) -> pm.Model:
    """Return the model with other numbers of units."""
    own = dim_sizes(model)
    coords = {
        d: model.coords[d] if own[d] == n and model.coords.get(d) is not None else range(n)
        for d, n in sizes.items()
    }
    fgraph, _, initvals = open_model(model)
    return close(fgraph, initvals, sizes=sizes, coords=coords)


def _draw(
    structure: Structure, world: pm.Model, do: Mapping[Any, Any], seed: int | None
) -> dict[str, np.ndarray]:
    """Draw the nodes once, together, where the equations are defined."""
    if seed is not None and (
        isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0
    ):
        raise BayesCausalError(f"seed={seed!r} is no seed.", expected="An integer from 0, or None.")
    function = pm.compile(
        [],
        [world[name] for name in structure.nodes],
        random_seed=None if seed is None else int(seed),
        mode=PY_MODE,
        on_unused_input="ignore",
    )
    return drawn(function, structure.nodes, Domain(structure, world, do), seed)


def drawn(
    function: Callable[[], Sequence[Any]],
    names: Sequence[str],
    domain: Domain,
    seed: int | None,
) -> dict[str, np.ndarray]:
    """Return what a compiled simulation gives, if every equation is defined there."""
    try:
        values = function()
    except NotImplementedError as error:
        raise BayesCausalError(
            f"A variable of the model cannot be drawn from: {error}",
            remedy="Give it a proper distribution.",
        ) from error
    except (ArithmeticError, IndexError, ValueError):
        domain.search(seed)
        raise
    found = {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
    domain.refuse(found)
    return found


def _refuse_levels(structure: Structure, world: pm.Model, do: Mapping[Any, Any]) -> None:
    """Refuse levels beyond what the data of the units allow, such as the trials of a Binomial."""
    held = data_values(world)
    given = {structure.variable(n): held[n] for n in structure.data}
    for key, act in do.items():
        name, level = str(getattr(key, "name", key)), getattr(act, "value", act)
        if name not in structure.random or (isinstance(act, Intervention) and type(act) is not Set):
            continue
        if ends_of_data(structure.variable(name)):
            refuse_level(structure.variable(name), level, given)


def _frame(
    structure: Structure, draws: Mapping[str, np.ndarray], sizes: Mapping[str, int]
) -> pd.DataFrame:
    """Lay the draws out, one row per unit."""
    model, dims = structure.model, structure.unit_dims
    own = {**dim_sizes(model), **sizes}
    labels = {}
    for dim, n in own.items():
        mine = model.coords.get(dim)
        labels[dim] = np.asarray(mine if mine is not None and len(mine) == n else range(n))
    positions, index = _rows(structure, draws, labels)
    columns: dict[str, np.ndarray] = {}
    for name, array in draws.items():
        mine = structure.dims[name]
        unit = [d for d in mine if d in dims]
        event = [d for d in mine if d not in dims]
        moved = np.transpose(array, [mine.index(d) for d in (*unit, *event)])
        rows = (
            moved[tuple(positions[d] for d in unit)]
            if unit
            else np.broadcast_to(moved, (len(index), *moved.shape))
        )
        if not event:
            columns[name] = rows.reshape(len(index), -1)[:, 0] if rows.ndim > 1 else rows
            continue
        for cell in np.ndindex(rows.shape[1:]):
            label = ",".join(str(labels[d][i]) for d, i in zip(event, cell, strict=True))
            columns[f"{name}[{label}]"] = rows[(slice(None), *cell)]
    return pd.DataFrame(columns, index=index)


def _rows(
    structure: Structure, draws: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], pd.Index]:
    """Return, for each unit dim, the position of every row along it, and the index.

    Unit dims that some variable has together are crossed. Dims that no variable has together
    (schools, and pupils within them) are lined up by the integer data that say which belongs to
    which.
    """
    dims = structure.unit_dims
    if len(dims) == 1:
        return {dims[0]: np.arange(len(labels[dims[0]]))}, pd.Index(labels[dims[0]], name=dims[0])
    finest = max(structure.nodes, key=lambda n: len(set(structure.dims[n]) & set(dims)))
    held = [d for d in dims if d in structure.dims[finest]]
    others = [d for d in dims if d not in held]
    if len(held) == 1 and others:
        held = [max(dims, key=lambda d: len(labels[d]))]
        others = [d for d in dims if d not in held]
    grid = np.meshgrid(*[np.arange(len(labels[d])) for d in held], indexing="ij")
    positions = {d: g.ravel() for d, g in zip(held, grid, strict=True)}
    for dim in others:
        positions[dim] = _membership(structure, draws, dim, held, positions, len(labels[dim]))
    arrays = [labels[d][positions[d]] for d in dims]
    return positions, pd.MultiIndex.from_arrays(arrays, names=dims)


def _membership(
    structure: Structure,
    draws: Mapping[str, np.ndarray],
    dim: str,
    held: Sequence[str],
    positions: Mapping[str, np.ndarray],
    size: int,
) -> np.ndarray:
    """Return to which entry of a coarser unit dim every row belongs."""
    upper = {n for n in structure.nodes if dim in structure.dims[n]}
    data = {**data_values(structure.model), **draws}
    found = []
    for name in (v.name for v in structure.model.data_vars):
        mine, value = structure.dims.get(name, ()), data[name]
        lower = [c for c in structure.full.successors(name) if set(held) & set(structure.dims[c])]
        reads = any(upper & set(structure.full.predecessors(c)) for c in lower)
        if (
            mine
            and set(mine) <= set(held)
            and value.dtype.kind in "iu"
            and reads
            and value.min() >= 0
            and value.max() < size
        ):
            found.append((name, mine, value))
    if len(found) != 1:
        raise DataError(
            f"Rows cannot be lined up with {dim!r}: "
            f"{len(found) or 'no'} integer pm.Data over {', '.join(held)} point into it.",
            expected="One, such as pm.Data('school_idx', ..., dims='pupil').",
        )
    _, mine, value = found[0]
    return value[tuple(positions[d] for d in mine)]
