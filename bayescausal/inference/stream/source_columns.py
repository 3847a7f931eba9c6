"""From a source's columns to arrays that fit the variables of a model, piece by piece.

What :mod:`bayescausal.inference.data.conform` says of a table in memory holds for every piece:
whole floats and booleans become integers where the variable is discrete, labels become codes where
it is categorical, and a value that the variable cannot take is refused. What is refused is
*counted* first, over all rows, because a position in a stream says little.

Empty cells are refused too: a cell that is imputed is an unknown of its own, and no sum of
statistics holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.data.columns import aligned, wanted_columns
from bayescausal.inference.data.rows import _columns_of
from bayescausal.model.interventions.support import (
    _ENDS,
    Support,
    is_discrete,
    params_of,
    support_of,
)
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.model.structure.integer_roles import compared_with, entries_read
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.stream.passes import RowColumns
    from bayescausal.model.structure.structure import Structure

__all__ = ["Column", "Problems", "columns_of", "is_text", "raise_problems", "wrong_type"]

#: (variable, kind of problem) -> (cells, an example)
Problems = dict[tuple[str, str], tuple[int, Any]]


@dataclass(frozen=True, eq=False)
class Column:
    """A variable of the model as columns of a source."""

    name: str
    parts: tuple[str, ...]  # its columns: one, or one per entry of a vector
    variable: TensorVariable
    dims: tuple[str, ...]
    place: int  # of the unit dim among the dims
    discrete: bool
    random: bool  # whether it is a random variable, and no ``pm.Data``
    support: Support | None  # None where it depends on other columns
    given: tuple[str, ...] = ()  # those columns
    event: tuple[int, ...] = ()  # lengths of the dims that are not of the units
    label: bool = False  # whether it is only compared with several numbers, whatever its dtype

    @property
    def finite(self) -> bool:
        """Whether rows can be counted by it."""
        return (self.discrete or self.label) and self.place == 0

    def read(
        self,
        batch: pa.RecordBatch | pa.Table,
        order: Sequence[Any],
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Problems]:
        """Return its values in a piece, and what is wrong with them.

        - `order`: labels in the order of their codes; empty for numbers.
        - `weights` (int): how often each row occurs.
        Returns:
        - `values`: in the dtype and with the dims of the variable.
        - `problems`
        """
        problems: Problems = {}
        found = [self._numbers(batch.column(part), order, weights, problems) for part in self.parts]
        rows = found[0]
        if len(self.dims) > 1:
            rows = np.stack(found, axis=-1).reshape(len(rows), *self.event)
            rows = np.moveaxis(rows, 0, self.place)
        return rows.astype(self.variable.type.dtype, copy=False), problems

    def _numbers(
        self,
        raw: pa.Array | pa.ChunkedArray,
        order: Sequence[Any],
        weights: np.ndarray | None,
        problems: Problems,
    ) -> np.ndarray:
        """Return one column of the source as numbers; what is wrong gets a harmless value."""
        import pyarrow as pa

        if isinstance(raw, pa.ChunkedArray):
            raw = raw.combine_chunks() if raw.num_chunks != 1 else raw.chunk(0)
        numeric = pa.types.is_dictionary(raw.type) and not is_text(raw.type.value_type)
        if numeric and not order:  # labels that are numbers, where the equations read numbers
            raw = raw.dictionary_decode()
        if pa.types.is_dictionary(raw.type) or is_text(raw.type):
            return self._codes(raw, order, weights, problems)
        if pa.types.is_boolean(raw.type):
            raw = raw.cast(pa.int8())
        elif pa.types.is_decimal(raw.type):
            raw = raw.cast(pa.float64(), safe=False)
        elif pa.types.is_null(raw.type):
            raw = raw.cast(pa.float64())
        elif not (pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type)):
            raise wrong_type(self.name, raw.type)
        wild = np.zeros(0, dtype=bool)
        if raw.null_count:
            empty = raw.is_null().to_numpy(zero_copy_only=False)
            values = raw.fill_null(0).to_numpy(zero_copy_only=False)
            wild = empty
        else:
            values = raw.to_numpy(zero_copy_only=False)
            empty = wild
        if values.dtype.kind == "f":
            missing = np.isnan(values)
            if missing.any() or wild.size:
                empty = missing | wild if wild.size else missing
        _note(problems, (self.name, "empty"), empty, None, weights)
        bad = empty
        if values.dtype.kind == "f":
            bad = self._odd(values, "infinite", np.isinf(values), bad, weights, problems)
            if self.discrete:
                with np.errstate(invalid="ignore"):
                    split = values != np.rint(values)
                bad = self._odd(values, "part", split, bad, weights, problems)
        if bad.size and bad.any():
            values = np.where(bad, 0, values)
        return aligned(values)

    def _odd(
        self,
        values: np.ndarray,
        kind: str,
        found: np.ndarray,
        known: np.ndarray,
        weights: np.ndarray | None,
        problems: Problems,
    ) -> np.ndarray:
        """Note cells that are bad in a new way; return all that are bad."""
        fresh = found & ~known if known.size else found
        _note(problems, (self.name, kind), fresh, values, weights)
        return known | fresh if known.size else fresh

    def _codes(
        self,
        raw: pa.Array | pa.ChunkedArray,
        order: Sequence[Any],
        weights: np.ndarray | None,
        problems: Problems,
    ) -> np.ndarray:
        """Return labels as their codes."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_dictionary(raw.type):
            labels, places = raw.dictionary, raw.indices
            known = pc.index_in(labels, value_set=pa.array(list(order)).cast(labels.type))
            codes = known.take(places)
        else:
            labels = raw
            codes = pc.index_in(raw, value_set=pa.array(list(order)).cast(raw.type))
        empty = raw.is_null().to_numpy(zero_copy_only=False)
        strange = codes.is_null().to_numpy(zero_copy_only=False) & ~empty
        _note(problems, (self.name, "empty"), empty, None, weights)
        if strange.any():
            shown = raw[int(np.argmax(strange))].as_py()
            _note(problems, (self.name, "label"), strange, shown, weights)
        return aligned(codes.fill_null(0).to_numpy(zero_copy_only=False))

    def outside(
        self, values: np.ndarray, chunk: Mapping[str, np.ndarray], weights: np.ndarray | None
    ) -> Problems:
        """Return how many values the variable cannot take."""
        problems: Problems = {}
        support = self.support
        if not self.random and support is None:
            return problems
        if self.given:
            model = {n: chunk[n] for n in self.given}
            inputs = {v: model[str(v.name)] for v in _data_of(self.variable, self.given)}
            support = support_of(self.variable, inputs)
        if support is None or _whole_line(support):
            return problems
        bad = ~np.broadcast_to(support.contains(values), values.shape)
        if bad.any():
            axes = tuple(i for i in range(bad.ndim) if i != self.place)
            first = np.argwhere(bad)[0]
            value = values[tuple(first)]
            note = (value.item(), support.family, support.describe())
            rows = bad.any(axis=axes) if axes else bad
            _note(problems, (self.name, "outside"), rows, note, weights)
        return problems


def _whole_line(support: Support) -> bool:
    """Whether nothing finite is outside."""
    free = np.all(np.isneginf(support.lower)) and np.all(np.isposinf(support.upper))
    return bool(free) and support.event == "none"


def _note(
    problems: Problems,
    key: tuple[str, str],
    bad: np.ndarray,
    example: object,
    weights: np.ndarray | None,
) -> None:
    if not bad.size or not bad.any():
        return
    cells = int(bad.sum() if weights is None else weights[bad].sum())
    if isinstance(example, np.ndarray):
        example = example[bad][0].item()
    before = problems.get(key, (0, example))
    problems[key] = (before[0] + cells, before[1])


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds labels."""
    import pyarrow as pa

    views = getattr(pa.types, "is_string_view", lambda t: False)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or views(kind))


def wrong_type(name: str, kind: pa.DataType) -> DataError:
    """Build the error for a column that holds neither numbers nor labels."""
    return DataError(
        f"The column of {name!r} holds {kind}.",
        expected="Numbers, booleans, or labels where the variable is categorical.",
        remedy="Convert the column in the source.",
    )


# --------------------------------------------------------------------------- the model's


def columns_of(structure: Structure, source: RowColumns) -> tuple[dict[str, Column], list[str]]:
    """Return the columns that a model with one unit dim has in a source, and the others' names."""
    unit = structure.unit_dims[0]
    names = list(source.schema.names)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(
            f"{source.words} has several columns named {', '.join(map(repr, twice))}.",
            expected="One column per name.",
        )
    by_name = dict.fromkeys(names)
    data = {v.name: v for v in structure.model.data_vars}
    found: dict[str, Column] = {}
    used: set[str] = set()
    for name, dims in wanted_columns(structure).items():
        if unit not in dims:
            continue
        parts = _columns_of(name, dims, by_name, structure)
        if not parts:
            continue
        used.update(parts)
        for part in parts:
            _check_type(name, source.schema.field(part).type)
        found[name] = _column(structure, name, tuple(parts), data)
    ignored = [n for n in names if n not in used and n != unit]
    if not any(name in structure.nodes for name in found):
        near = [hit for name in ignored for hit in closest(name, structure.nodes)[:1]]
        raise DataError(
            f"No column of {source.words} is a variable of the model.",
            expected=f"Columns among: {', '.join(structure.nodes)}.",
            names=tuple(dict.fromkeys(near))[:3],
        )
    return found, ignored


def _column(
    structure: Structure, name: str, parts: tuple[str, ...], data: Mapping[Any, Any]
) -> Column:
    variable = data[name] if name in data else structure.variable(name)
    dims = structure.dims[name]
    place = dims.index(structure.unit_dims[0])
    discrete = is_discrete(variable)
    sizes = dim_sizes(structure.model)
    event = tuple(sizes[d] for d in dims if d not in structure.unit_dims)
    known = [] if name in data else _data_of(variable, [str(v) for v in data])
    random = name not in data
    support = support_of(variable) if random and not known else None
    length = entries_read(structure, name) if not random and discrete else None
    if length is not None:
        support = Support(INDEX, np.array(0), np.array(length - 1), integer=True)
    given = tuple(str(v.name) for v in known)
    label = not random and len(compared_with(structure, name)) > 1
    return Column(
        name, parts, variable, dims, place, discrete, random, support, given, event, label
    )


def _data_of(variable: TensorVariable, names: Sequence[str]) -> list[TensorVariable]:
    """Return the data that the ends of a variable's support may depend on."""
    from pymc.pytensorf import rvs_in_graph
    from pytensor.graph.traversal import ancestors

    op = getattr(variable.owner, "op", None)
    if not hasattr(op, "dist_params"):
        return []
    ends = _ENDS.get(type(op).__name__, (0, 0))[:2]
    inner = type(op).__name__ in ("MixtureRV", "_HurdleRV") or hasattr(op, "base_rv_op")
    if not inner and not any(isinstance(end, str) for end in ends):
        return []
    fixed = [p for p in params_of(variable) if not rvs_in_graph([p])]
    leaves = [v for v in ancestors(fixed) if v.owner is None and v.name in set(names)]
    return sorted(named_parents(fixed, leaves), key=lambda v: str(v.name))


def _check_type(name: str, kind: pa.DataType) -> None:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    numeric = (
        pa.types.is_integer(inner)
        or pa.types.is_floating(inner)
        or pa.types.is_boolean(inner)
        or pa.types.is_decimal(inner)
        or pa.types.is_null(inner)
    )
    if not numeric and not is_text(inner):
        raise wrong_type(name, kind)


# --------------------------------------------------------------------------- telling


#: What stands for the family of a column that is an index.
INDEX = "index"
_SAID = {
    "empty": "is empty",
    "infinite": "is infinite",
    "part": "is no whole number",
    "label": "has a label that the model does not know",
    "outside": "is outside the support of its distribution",
}


def raise_problems(problems: Problems, rows: int, source: RowColumns) -> None:
    """Refuse rows that do not fit the model, with how many of those that were read."""
    if not problems:
        return
    (name, kind), (cells, example) = next(iter(problems.items()))
    where = f"in {cells:,} of the {rows:,} rows of {source.words}"
    expected, remedy = "A value in every row.", None
    if kind == "empty":
        text = f"{name!r} is empty {where}."
        remedy = (
            "Drop those rows in the source. To have continuous cells imputed, read the rows into "
            "memory and fit the table."
        )
    elif kind == "infinite":
        text, expected = f"{name!r} is {example} {where}.", "Finite numbers."
    elif kind == "part":
        text = f"{name!r} is not a whole number {where}, as {example}; the variable is discrete."
        expected = "Whole numbers."
    elif kind == "label":
        text = f"{name!r} has a label that the model does not know {where}: {example!r}."
        expected = "The labels of the categories."
    else:
        value, family, words = example
        text = f"{name!r} is {value} {where}, outside the support of its {family} distribution."
        if family == INDEX:
            text = f"{name!r} is {value} {where}, and no entry of what it is the index of."
            remedy = (
                "-1 is pandas' code of an empty cell: drop these rows." if value == -1 else None
            )
        text = text.replace(f"is {value} in", f"is {value}, or another such value, in")
        expected = f"{words}."
    others = [f"{n!r} {_SAID[k]} in {c:,}" for (n, k), (c, _) in list(problems.items())[1:6]]
    if others:
        text += f" Also: {'; '.join(others)}."
    raise DataError(text, expected=expected, remedy=remedy)
