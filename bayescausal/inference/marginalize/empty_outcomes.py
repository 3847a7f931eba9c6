r"""Empty cells of an outcome that nothing reads.

Where :math:`y` is empty and no other factor reads it, its factor integrates to one:

.. math:: \int p(y_i \mid \theta, x_i)\, dy_i = 1 ,

so the row adds nothing to what is known of the parameters and is left out of the equation of
:math:`y`. What is left is complete, and keeps its closed form; the empty cells are drawn from
their equation afterwards, once per draw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zlib import crc32

import networkx as nx
import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.random.basic import NormalRV

from bayescausal.inference.closed_forms.plan import Plan, make_plan
from bayescausal.model.structure.rebuild import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["Gaps", "draw_gaps", "find_gaps"]

#: Numbers that are held at a time when cells are drawn back.
HELD = 20_000_000


@dataclass(frozen=True, eq=False)
class Gaps:
    """A posterior without the empty cells of some outcomes.

    Attributes
    ----------
    plan : Plan
        In which those outcomes have exact samplers.
    conformed : Conformed
        With something in those cells: what is put there is read by nothing.
    rows : mapping of str to ndarray of bool
        Of each such outcome, where it is seen.
    """

    plan: Plan
    conformed: Conformed
    rows: Mapping[str, np.ndarray]


def find_gaps(structure: Structure, conformed: Conformed) -> Gaps | None:
    """Return the outcomes whose empty cells can be left out, the rest having a closed form.

    Parameters
    ----------
    structure : Structure
        The model, read.
    conformed : Conformed
        The data.

    Returns
    -------
    Gaps or None
        None where there are none.
    """
    names = {n for n in conformed.missing if _is_leaf(structure, n)}
    while names:
        open_ones = set(conformed.missing) - names
        plan = make_plan(structure, set(conformed.columns), open_ones)
        alone = {
            s.observed[0]
            for s in plan.samplers
            if len(s.observed) == 1 and _is_cut(structure, s.columns, s.observed[0])
        }
        if names <= alone:
            columns = {
                n: np.where(conformed.missing[n], 0.0, v) if n in names else v
                for n, v in conformed.columns.items()
            }
            missing = {n: v for n, v in conformed.missing.items() if n not in names}
            rows = {n: ~conformed.missing[n] for n in names}
            return Gaps(plan, replace(conformed, columns=columns, missing=missing), rows)
        names &= alone
    return None


def draw_gaps(
    structure: Structure,
    conformed: Conformed,
    rows: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    seed: int,
) -> dict[str, np.ndarray]:
    """Draw empty cells from their equation, once per draw.

    Parameters
    ----------
    structure : Structure
    conformed : Conformed
        The data.
    rows : mapping of str to ndarray of bool
        Where each outcome is seen.
    arrays : mapping of str to ndarray, shape (chain, draw, ...)
        Draws of what the equations read.
    seed : int

    Returns
    -------
    dict of str to ndarray, shape (chain, draw, cell)
        Named ``"<outcome>_unobserved"``.
    """
    model = structure.model
    out = {}
    for name, seen in rows.items():
        node = model[name].owner
        dim = structure.dims[name][0]
        given = {
            model[n]: pt.constant(
                (v[~seen] if dim in structure.dims.get(n, ()) else v).astype(model[n].type.dtype)
            )
            for n, v in conformed.columns.items()
            if n != name
        }
        drawn = [model[n] for n in arrays if n in model.named_vars]
        inputs = {v: pt.TensorType(v.type.dtype, (None,) * (v.type.ndim + 1))() for v in drawn}
        parameters = graph_replace(list(node.op.dist_params(node)), given, strict=False)
        found = vectorize_graph(parameters, inputs)
        call = pytensor.function(
            list(inputs.values()), found, mode=PY_MODE, on_unused_input="ignore"
        )
        first = next(iter(arrays.values()))
        chains, draws = first.shape[:2]
        count = int((~seen).sum())
        rng = np.random.default_rng([seed, crc32(name.encode()), 3])
        cells = np.empty((chains * draws, count))
        flat = [arrays[v.name].reshape(-1, *arrays[v.name].shape[2:]) for v in inputs]
        step = max(1, HELD // max(count, 1))
        for start in range(0, chains * draws, step):
            cut = slice(start, start + step)
            mu, sigma = call(*(v[cut] for v in flat))
            size = cells[cut].shape
            cells[cut] = _wide(mu, size) + _wide(sigma, size) * rng.normal(size=size)
        out[f"{name}_unobserved"] = cells.reshape(chains, draws, count)
    return out


# ------------------------------------------------------------------------------- private


def _is_leaf(structure: Structure, name: str) -> bool:
    """Whether nothing but its own equation reads a Normal variable with one dim."""
    variable = structure.model[name] if name in structure.model.named_vars else None
    below = nx.descendants(structure.full, name)
    return (
        variable is not None
        and name not in structure.imputed
        and isinstance(variable.owner.op, NormalRV)
        and variable.type.ndim == 1
        and structure.dims.get(name, ())[:1] == structure.unit_dims
        and not any(n in structure.random or n in structure.potentials for n in below)
        and not structure.mixing.get(name)
        and not structure.fixed
    )


def _is_cut(structure: Structure, columns: tuple[str, ...], name: str) -> bool:
    """Whether rows of an outcome can be left out: its dim comes first wherever it is."""
    dim = structure.dims[name][0]
    return all(dim not in structure.dims.get(n, ())[1:] for n in columns)


def _wide(value: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return draws (draw,) or (draw, cell or 1) laid out over cells."""
    array = np.asarray(value)
    return np.broadcast_to(array.reshape(array.shape[0], -1) if array.ndim else array, size)
