r"""Empty cells of an outcome that nothing reads.

Where :math:`y` is empty and no other factor reads it, its factor integrates to one:

.. math:: \int p(y_i \mid \theta, x_i)\, dy_i = 1 ,

so the row adds nothing to what is known of the parameters and is left out of the equation of
:math:`y`. What is left is complete, and is drawn as complete data are: by its closed form, by
sufficient statistics of the rows that are seen, or by the Markov chain on those rows. The empty
cells are drawn from their equation afterwards, once per draw.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.random.basic import NormalRV
from pytensor.tensor.random.op import RandomVariable

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.compress import Compression, measure, reducible
from bayescausal.inference.closed_forms.equation import NotReducedError
from bayescausal.inference.closed_forms.reduce import CellTerm
from bayescausal.inference.conditioning.plan import Plan, make_plan
from bayescausal.inference.marginalize.affine_latents import integrable_groups
from bayescausal.inference.marginalize.integrate import normal_vectors
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import xarray as xr
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["Gaps", "draw_gaps", "filled", "find_gaps", "unread", "without_cells"]

#: Numbers that are held at a time when cells are drawn back.
HELD = 20_000_000


class RowsTerm(CellTerm):
    """The density of the rows that are seen, as they are."""

    def measure(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the rows; as :meth:`CellTerm.measure`."""
        value = np.asarray(columns[self.name])
        rows = {n: np.asarray(columns[n]) for n in self.equation.varying}
        self.verify(columns, rows, value, np.arange(len(value)))
        return {**rows, "value": value, "counts": np.ones(len(value))}


@dataclass(frozen=True, eq=False)
class Gaps:
    """How outcomes enter a posterior without their empty cells."""

    plan: Plan  # of what is left of the data
    exact: frozenset[str]  # outcomes that have an exact sampler of their own in it
    # (list of terms or str, RowsTerm or None) Of others, how their equations might be shortened,
    # and their rows where that fails.
    terms: Mapping[str, tuple[list[Any] | str, RowsTerm | None]]

    def leave_out(
        self, structure: Structure, conformed: Conformed
    ) -> tuple[Compression, Conformed, dict[str, np.ndarray]]:
        """Return the data without the empty cells that are left out.

        Returns:
        - `found`: of the outcomes in ``terms``.
        - `conformed`: with a value that was seen in those cells, which nothing reads.
        - `rows` (bool): of each outcome, where it is seen.
        """
        rows = {n: ~conformed.missing[n] for n in (*self.exact, *self.terms)}
        options = {n: short for n, (short, _) in self.terms.items()}
        found = measure(options, structure, conformed, rows)
        seen = {n: [term] for n, (_, term) in self.terms.items() if n in found.left and term}
        whole = measure(seen, structure, conformed, rows).chosen
        left = {n: why for n, why in found.left.items() if n in whole}
        found = Compression(found.chosen, left, whole)
        rows = {n: v for n, v in rows.items() if n in {*self.exact, *found.chosen, *whole}}
        return found, filled(conformed, rows), rows


def filled(conformed: Conformed, rows: Mapping[str, np.ndarray]) -> Conformed:
    """Return the data with a value that was seen in the empty cells of some outcomes."""
    columns = dict(conformed.columns)
    for name, seen in rows.items():
        columns[name] = np.where(seen, columns[name], columns[name].flat[np.argmax(seen)])
    missing = {n: v for n, v in conformed.missing.items() if n not in rows}
    return replace(conformed, columns=columns, missing=missing)


def unread(
    structure: Structure, conformed: Conformed, *, latents: bool = False, together: bool = False
) -> list[str]:
    """Return the outcomes with empty cells that only their own equation reads.

    With `latents` their equations may read unknowns of the units that have no empty cells, and
    with `together` also mix units: their cells can be given no weight, and not be left out.
    """
    latents = latents or together
    model, unit = structure.model, set(structure.unit_dims)
    free = {str(rv.name) for rv in model.free_RVs}
    if structure.fixed:
        return []

    def known(variable: TensorVariable) -> bool:
        name = str(variable.name)
        if variable in model.data_vars or name in conformed.columns:
            return name not in conformed.missing
        return name in free and (latents or not unit & set(structure.dims.get(name, ())))

    found = []
    for name, empty in conformed.missing.items():
        if name not in model.named_vars or name in structure.imputed:
            continue
        rv, dims = model[name], structure.dims.get(name, ())
        below = nx.descendants(structure.full, name)
        read = named_parents(rv.owner.inputs, {*model.basic_RVs, *model.data_vars})
        if (
            isinstance(rv.owner.op, RandomVariable)
            and (together or (rv.type.ndim == 1 and dims[:1] == structure.unit_dims))
            and (together or not structure.mixing.get(name))
            and not any(n in structure.random or n in structure.potentials for n in below)
            and not empty.all()
            and all(known(v) for v in read)
            and (together or _is_cut(structure, tuple(str(v.name) for v in read), name))
        ):
            found.append(name)
    return found


def without_cells(model: pm.Model, names: Collection[str]) -> pm.Model:
    """Return a conditioned model without the empty cells of outcomes that it has split."""
    if not names:
        return model
    fgraph, memo, initvals = open_model(model)
    below = [d for d in model.deterministics if named_parents([d], {model[n] for n in names})]
    gone = {memo[v] for v in below}
    gone |= {memo[model[m]] for n in names for m in (n, f"{n}_unobserved")}
    for i in reversed(range(len(fgraph.outputs))):
        if fgraph.outputs[i] in gone:
            fgraph.remove_output(i)
    return close(fgraph, {k: v for k, v in initvals.items() if k in model.named_vars})


def find_gaps(
    structure: Structure,
    conformed: Conformed,
    method: str,
    failed: Collection[str] = (),
    *,
    generalised: bool = False,
) -> Gaps | None:
    """Return the outcomes whose empty cells can be left out; None where there are none.

    Of the data only the names of columns, and of those with empty cells, are looked at. The numbers
    of the outcomes in `failed` contradicted their closed form. `generalised`: as of a plan.
    """
    if method == "nuts" or not conformed.missing:
        return None
    names = set(unread(structure, conformed))
    columns, partly = set(conformed.columns), set(conformed.missing)
    exact: set[str] = set()
    if method in ("auto", "exact"):
        exact = {*names, *unread(structure, conformed, together=True)} - set(failed)
    while True:
        plan = make_plan(
            structure, columns, partly - exact, conformed.sizes, generalised=generalised
        )
        alone = {
            s.observed[0]
            for s in plan.samplers
            if len(s.observed) == 1 and _is_cut(structure, s.columns, s.observed[0])
        } & names
        alone |= {n for s in plan.samplers if getattr(s, "together", False) for n in s.observed}
        if exact <= alone:
            break
        exact &= alone
    if method not in ("auto", "exact"):
        plan = Plan((), (), plan.idle)
    terms = {} if method == "exact" else _terms(structure, conformed, names - exact)
    return Gaps(plan, frozenset(exact), terms) if exact or terms else None


def draw_gaps(
    structure: Structure,
    conformed: Conformed,
    rows: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    posterior: xr.Dataset,
    seed: int,
    compiled: dict[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Draw empty cells from their equation, once per draw.

    - `rows` (bool): where each outcome is seen.
    - `arrays` (chain, draw, ...): draws of what the equations read.
    - `posterior`: further draws.
    - `compiled`: keeps what is compiled, for data with the same names.
    Returns (chain, draw, cell): named ``"<outcome>_unobserved"``.
    """
    out = {}
    kept = {} if compiled is None else compiled
    for name, seen in rows.items():
        if name not in kept:
            kept[name] = _compiled(structure, conformed, name)
        call, given, drawn, rng = kept[name]
        rng.set_value(np.random.default_rng([seed, zlib.crc32(name.encode()), 3]))
        along, count = structure.dims[name][0], int((~seen).sum())
        held = [conformed.columns[n] for n in given]
        draws = [arrays[n] if n in arrays else posterior[n].values for n in drawn]
        shape: tuple[int, ...] = seen.shape
        whole = _hangs_together(structure, (*given, *drawn), name)
        if not whole:
            shape = (count,)
            held = [
                v[~seen] if along in structure.dims.get(n, ()) else v
                for n, v in zip(given, held, strict=True)
            ]
            draws = [
                v[:, :, ~seen] if along in structure.dims.get(n, ()) else v
                for n, v in zip(drawn, draws, strict=True)
            ]
        flat = [v.reshape(-1, *v.shape[2:]) for v in draws]
        step = max(1, HELD // max(int(np.prod(shape)), 1))
        found = [
            call(*shape, *held, *(v[i : i + step] for v in flat))
            for i in range(0, len(flat[0]), step)
        ]
        cells = [v[:, ~seen] for v in found] if whole else found
        out[f"{name}_unobserved"] = np.concatenate(cells).reshape(*draws[0].shape[:2], count)
    return out


# ------------------------------------------------------------------------------- private


def _compiled(structure: Structure, conformed: Conformed, name: str) -> tuple[Any, ...]:
    """Compile the cells of an outcome as a function of their number, parents and draws."""
    model, rv = structure.model, structure.variable(name)
    read = named_parents(rv.owner.inputs, {*model.basic_RVs, *model.data_vars})
    unit = set(structure.unit_dims)
    given, places, batch = {}, {}, {}
    for variable in sorted(read, key=lambda v: str(v.name)):
        parent, kind = str(variable.name), variable.type
        own = bool(unit & set(structure.dims.get(parent, ())))
        shape = tuple(1 if k == 1 and not own else None for k in kind.shape)
        place = pt.TensorType(kind.dtype, shape)(f"in_{parent}")
        if parent in conformed.columns:
            given[variable] = place
        elif variable not in model.data_vars:
            places[variable] = place
            batch[place] = pt.TensorType(kind.dtype, (None, *shape))(parent)
    node, counts = rv.owner, [pt.lscalar(f"count_{i}") for i in range(rv.type.ndim)]
    plain = graph_replace(node.op.dist_params(node), {**given, **places}, strict=False)
    wide = [
        pt.expand_dims(v, list(range(1, 1 + rv.type.ndim - p.type.ndim)))
        if v.type.ndim > p.type.ndim < rv.type.ndim
        else v
        for v, p in zip(vectorize_graph(plain, batch), plain, strict=True)
    ]
    rng = pytensor.shared(np.random.default_rng(), name="rng")
    size = (next(iter(batch.values())).shape[0], *counts)
    cells = node.op.make_node(rng, size, *wide).outputs[1]
    inputs = [*counts, *given.values(), *batch.values()]
    call = pm.compile(
        inputs, cells, mode=PY_MODE, on_unused_input="ignore", allow_input_downcast=True
    )
    names = ([str(v.name) for v in held] for held in (given, places))
    return call, *names, rng


def _terms(
    structure: Structure, conformed: Conformed, names: Collection[str]
) -> dict[str, tuple[list[Any] | str, RowsTerm | None]]:
    """Return how equations might be shortened or written over rows; those that cannot are absent.

    What sums out a discrete unknown does not know of them. Normal unknowns are integrated out of
    the rows of a Normal outcome, where its own empty cells can be integrated out as well.
    """
    own = structure.model
    free = [rv for rv in own.free_RVs if rv.name not in conformed.columns]
    if any(is_discrete(rv) for rv in free):
        return {}
    missing = {n: v for n, v in conformed.missing.items() if n not in names}
    vectors = [n for n in normal_vectors(structure, own) if n not in conformed.columns]
    integrated = bool(names) and bool(integrable_groups(structure, vectors))
    found: dict[str, tuple[list[Any] | str, RowsTerm | None]] = {}
    for name, short in reducible(structure, replace(conformed, missing=missing), names).items():
        if isinstance(short, str) or not short[0].equation.unknown:
            continue
        rows = None
        if not (integrated and isinstance(own[name].owner.op, NormalRV)):
            try:
                rows = RowsTerm(short[0].equation)
            except NotReducedError:
                rows = None
        found[name] = short, rows
    return found


def _hangs_together(structure: Structure, names: tuple[str, ...], name: str) -> bool:
    """Whether the cells of an outcome have to be drawn all at once."""
    several = len(structure.dims[name]) > 1
    return several or bool(structure.mixing.get(name)) or not _is_cut(structure, names, name)


def _is_cut(structure: Structure, columns: tuple[str, ...], name: str) -> bool:
    """Whether rows of an outcome can be left out: its dim comes first wherever it is."""
    dim = structure.dims[name][0]
    return all(dim not in structure.dims.get(n, ())[1:] for n in columns)
