"""The rows of a block, some at a time, and what they come to: sums over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bayescausal.inference.closed_forms.design import SAME
from bayescausal.inference.closed_forms.linear import LinearBlock
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from bayescausal.inference.conditioning.plan import Sampler
    from bayescausal.model.structure.structure import Structure

__all__ = ["Rows", "accumulate", "measured", "row_chunks", "rows_of"]

#: Rows whose designs are held at a time.
ROWS = 50_000


class Rows(Protocol):
    """What is summed up over rows: of which columns, for the equations of which variables."""

    columns: tuple[str, ...]
    observed: tuple[str, ...]


def row_chunks(
    sampler: Rows, structure: Structure, columns: Mapping[str, np.ndarray], rows: int = ROWS
) -> Iterator[Mapping[str, np.ndarray]]:
    """Yield the columns of a block, some rows at a time.

    Rows lie along the first dim of the equations. Where they have different ones, or the model
    has arrays of its own along it, there is one chunk.
    """
    held = {n: columns[n] for n in sampler.columns}
    firsts = {structure.dims[n][0] for n in sampler.observed}
    dim = next(iter(firsts))
    inner = any(dim in structure.dims.get(n, ())[1:] for n in held)
    if len(firsts) > 1 or inner or dim in structure.fixed or dim not in structure.unit_dims:
        yield held
        return
    if getattr(sampler, "together", False):
        yield held
        return
    length = len(held[sampler.observed[0]])
    along = {n for n in held if structure.dims.get(n, ())[:1] == (dim,)}
    for start in range(0, length, rows):
        cut = slice(start, start + rows)
        yield {n: v[cut] if n in along else v for n, v in held.items()}


def rows_of(
    structure: Structure,
    name: str,
    columns: Mapping[str, np.ndarray],
    rows: Mapping[str, np.ndarray],
) -> Mapping[str, np.ndarray]:
    """Return the columns of an equation, only the rows that count."""
    if name not in rows:
        return columns
    along = structure.dims[name][:1]
    return {
        n: v[rows[name]] if structure.dims.get(n, ())[:1] == along else v
        for n, v in columns.items()
    }


def accumulate(
    sampler: Sampler,
    structure: Structure,
    columns: Mapping[str, np.ndarray],
    rows: int = ROWS,
    counts: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Return the statistics of all rows; refuse numbers that contradict the form.

    `counts` are the weights of the cells of some variables, where rows hang together.
    """
    if counts:
        assert isinstance(sampler, CoefficientBlock)
        return sampler.statistics({n: columns[n] for n in sampler.columns}, counts)
    total: Any = None
    for chunk in row_chunks(sampler, structure, columns, rows):
        reference = getattr(total, "reference", None)
        found = sampler.statistics(chunk, reference=reference)
        total = found if total is None else total + found
    return total


def measured(
    sampler: Sampler, structure: Structure, columns: Mapping[str, np.ndarray]
) -> tuple[Sampler, Any]:
    """Return the statistics of all rows, and the sampler in whose coordinates they are.

    Raises ArithmeticError if sums of products would lose what tells columns apart.
    """
    statistics = accumulate(sampler, structure, columns)

    def chunks() -> Iterator[Mapping[str, np.ndarray]]:
        return row_chunks(sampler, structure, columns)

    if isinstance(sampler, LinearBlock) and sampler.is_close(statistics):
        turned = sampler.turned(chunks())
        return turned, accumulate(turned, structure, columns)
    if isinstance(sampler, CoefficientBlock) and not sampler.resolved(statistics, chunks):
        raise ArithmeticError(SAME)
    return sampler, statistics
