r"""Fitting rows that do not fit in memory, in one pass over them.

Where every block of the posterior is conjugate, the data enter it through sums alone,

.. math:: p(\theta \mid x_{1:n}) = p\bigl(\theta \mid \textstyle\sum_i T(x_i)\bigr),

which a pass gathers piece by piece; the draws are then made as for a table in memory, by the same
samplers with the same seeds, and are the same draws. What is needed for that is known from the
model and the names of the columns, so that a model which cannot be fitted so is refused before a
row is read.

References
----------
.. [1] E. L. Lehmann and G. Casella, *Theory of Point Estimation*, 2nd ed., Springer, 1998,
   section 1.6: sufficient statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard
from zlib import crc32

import numpy as np
import xarray as xr

from bayescausal.inference.closed_forms.equation import NotReducedError
from bayescausal.inference.closed_forms.reduce import CellTerm
from bayescausal.inference.conditioning.plan import make_plan, with_arrays
from bayescausal.inference.conditioning.posterior import no_exact
from bayescausal.inference.data.duplicate_columns import FEW, one_name_each
from bayescausal.inference.sampling.sample import Drawn
from bayescausal.inference.stream.categories import label_orders
from bayescausal.inference.stream.distinct_rows import MOST
from bayescausal.inference.stream.gather import Gathered, Gathering, gathered_by, layout_of
from bayescausal.inference.stream.grouped_equations import (
    counted_names,
    draw_shortened,
    pointed,
    shorten,
)
from bayescausal.inference.stream.source_columns import raise_problems
from bayescausal.inference.stream.source_data import REMEDY, StreamTable, counted, parts_of
from bayescausal.model.names import Joined
from bayescausal.types import BayesCausalError, DataError, ModelError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.inference.closed_forms.reduce import Term
    from bayescausal.inference.conditioning.plan import Plan
    from bayescausal.inference.data.read import Observed
    from bayescausal.inference.stream.passes import RowSource
    from bayescausal.inference.stream.source_columns import Column
    from bayescausal.model.structure.structure import Structure

__all__ = ["draw_stream"]


def draw_stream(
    observed: Observed,
    *,
    method: str,
    draws: int,
    chains: int,
    seed: int,
    **sampler: Any,
) -> tuple[Observed, Drawn]:
    """Draw each block of a posterior from sums over rows that stay where they are.

    Returns:
    - `observed`: with what the pass found of the rows: their number, and the labels of categories.
    - `drawn`
    Raises ModelError before a row is read, if an equation does not come down to sums over rows.
    Raises DataError if the rows do not fit the model, with how many there are.
    """
    structure, table = observed.structure, observed.table
    assert isinstance(table, StreamTable)
    source, columns = table.source, table.readers
    plan = _planned(structure, table, method)
    orders = label_orders(structure, source, columns)
    samplers, terms = gathered_by(structure, columns, plan)
    cells = [counted_names(t) for t in terms.values() if _counted(t)]
    layout = layout_of(samplers, columns, cells)
    work = Gathering(structure.model, structure.unit_dims, source, layout, orders)
    found = gather(source, columns, work)
    sizes = {"draws": draws, "chains": chains, "seed": seed}
    arrays, methods = _draw(plan, found, **sizes)
    table, conformed = counted(structure, table, orders, found.rows)
    twins = one_name_each(structure, table.head(columns, rows=FEW))
    posterior = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
    groups: dict[str, xr.Dataset] = {"posterior": posterior}
    notes: tuple[str, ...] = ()
    if plan.rest:
        numbers = {n: _numbers(work, found, t, samplers) for n, t in terms.items()}
        gone = list(arrays), [*(n for s in plan.samplers for n in s.observed), *plan.idle]
        head, many = table.head(columns), found.rows
        try:
            groups, more, notes = draw_shortened(
                structure, terms, numbers, head, many, gone, **sizes, **sampler
            )
        except NotReducedError as error:
            raise ModelError(
                f"The equations of {', '.join(map(repr, terms))} do not come down to sums over "
                f"these rows: {error}.",
                remedy=REMEDY,
            ) from error
        methods |= more
    groups = with_arrays(structure, conformed.coords, groups, arrays, {})
    observed = observed._replace(table=table, conformed=conformed)
    return observed, Drawn(groups, methods, (*notes, *twins))


def _counted(term: Term) -> TypeGuard[CellTerm]:
    """Whether a term needs the distinct rows themselves."""
    return isinstance(term, CellTerm) and not pointed(term)


def _numbers(work: Gathering, found: Gathered, term: Term, samplers: Sequence[Any]) -> object:
    """Return what the pass gathered for an equation that is shortened."""
    if _counted(term):
        values, counts = work.rows_of(found, counted_names(term), term.name)
        if len(counts) > MOST:
            raise ModelError(
                f"The equation of {term.name!r} has {len(counts):,} distinct rows.",
                expected=f"At most {MOST:,}.",
                remedy=REMEDY,
            )
        return values, counts
    place = next(i for i, s in enumerate(samplers) if getattr(s, "term", None) is term)
    return found.statistics[place]


def gather(source: RowSource, columns: Mapping[str, Column], work: Gathering) -> Gathered:
    """Run the pass, and refuse rows that do not fit the model."""
    parts = parts_of(columns.values())
    found = _counted_by_engine(source, work) or source.reduce(parts, work)
    if found is None:
        raise DataError(f"{source.words} has no rows.", expected="One or more rows.")
    raise_problems(found.problems, found.rows, source)
    for place, rows in found.counts.items():
        work.turn(found, place, rows)
    work.reader.lookups.refuse(found.entries)
    if found.failed:
        i, reason = next(iter(found.failed.items()))
        observed = ", ".join(map(repr, work.reader.samplers[i].observed))
        raise ModelError(
            f"The equation of {observed} does not come down to sums over these rows: {reason}.",
            remedy=REMEDY,
        )
    return found


def _counted_by_engine(source: RowSource, work: Gathering) -> Gathered | None:
    """Gather by the engine's own counts of distinct rows, where they are all that is needed."""
    layout = work.layout
    if len(layout.counted) != 1 or layout.raw:
        return None
    parts = [p for n in layout.counted[0] for p in work.reader.columns[n].parts]
    rows = source.distinct(parts)
    return None if rows is None or not rows.num_rows else work.from_counts(rows)


def _planned(structure: Structure, table: StreamTable, method: str) -> Plan:
    """Return how each block is drawn; refuse those that a pass cannot gather."""
    source, columns, ignored = table.source, table.readers, table.ignored
    if method not in ("auto", "exact"):
        raise BayesCausalError(
            f"method={method!r} is for rows in memory, and {source.words} is read in one pass.",
            expected="method='auto' or 'exact'.",
            remedy=REMEDY,
        )
    lost = [n for n in structure.data if n not in columns]
    if lost:
        raise DataError(
            f"{source.words} has no column for {', '.join(map(repr, lost))}, pm.Data of the model.",
            expected="A complete column for every pm.Data of the units.",
            names=[hit for n in lost for hit in closest(n, ignored)[:1]],
        )
    latent = [n for n in structure.random if n not in columns]
    if latent:
        raise ModelError(
            f"{', '.join(map(repr, latent))} {'has' if len(latent) == 1 else 'have'} no column in "
            f"{source.words}, and what is latent differs from row to row: no sum over rows holds "
            "it.",
            expected="A column for every structural variable.",
            names=[hit for n in latent for hit in closest(n, ignored)[:1]],
            remedy=REMEDY,
        )
    plan = make_plan(structure, set(columns))
    if method == "exact" and plan.rest:
        raise no_exact(*plan.rest[0])
    terms = shorten(structure, columns, plan.rest)
    if not isinstance(terms, dict):
        names, reason = terms
        raise ModelError(
            f"The equation of {names} cannot be fitted in one pass over {source.words}: {reason}. "
            "No row was read.",
            expected="Equations that are conjugate, or come down to sums over rows.",
            remedy=REMEDY,
        )
    return plan


def _draw(
    plan: Plan, found: Gathered, draws: int, chains: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Draw every block from its statistics, as for a table in memory."""
    arrays: dict[str, np.ndarray] = {}
    methods: dict[str, str] = {}
    for i, sampler in enumerate(plan.samplers):
        key = [seed, crc32(",".join(sorted(sampler.names)).encode())]
        try:
            drawn = sampler.draw(found.statistics[i], chains * draws, key)
        except ArithmeticError as error:
            raise ModelError(
                f"The posterior of {', '.join(sampler.names)} cannot be drawn: {error}.",
                remedy="Give the parameters proper priors, and take columns about their means: "
                "year - 2010 and its square, not the year and its square.",
            ) from error
        for name, values in drawn.items():
            arrays[name] = values.reshape(chains, draws, *values.shape[1:])
        methods[Joined(sampler.names)] = sampler.method
    return arrays, methods
