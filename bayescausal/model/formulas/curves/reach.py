"""How far questions go: the levels at which they set, shift or scale variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from bayescausal.types import FormulaError, Intervention, Scale, Set, Shift

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.variables import Column

__all__ = ["Asked", "reach_of"]


@runtime_checkable
class Asked(Protocol):
    """A question, as far as it is read here: what it does to which variable in each world."""

    def worlds(self) -> Mapping[str, Mapping[str, Intervention]]:
        """Return the worlds of the question."""


def reach_of(given: object, columns: Mapping[str, Column]) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest level of each variable that is asked about.

    - `given`: questions, one or several; or levels by variable; None: nothing is known.
    - `columns`: of the data, which shifted levels start from.

    Raises FormulaError for what is neither, or a variable that is none of numbers.
    """
    if given is None:
        return {}
    found: dict[str, list[float]] = {}
    for name, levels in _levels(given, columns):
        if name not in columns or columns[name].levels is not None:
            if isinstance(given, Mapping):
                raise FormulaError(
                    f"reach={given!r}: {name!r} is no variable of numbers in the formulas.",
                    expected="variables of numbers, with the levels that are asked about.",
                )
            continue
        found.setdefault(name, []).extend(levels[np.isfinite(levels)].tolist())
    return {name: (min(held), max(held)) for name, held in found.items() if held}


def _levels(given: object, columns: Mapping[str, Column]) -> Iterator[tuple[str, Array]]:
    if isinstance(given, Mapping):
        for name, levels in given.items():
            try:
                yield str(name), np.asarray(levels, dtype=float).ravel()
            except (TypeError, ValueError) as error:
                raise FormulaError(
                    f"reach={given!r}.", expected="numbers: {'dose': (0, 10)}."
                ) from error
        return
    for question in given if isinstance(given, list | tuple) else [given]:
        if not isinstance(question, Asked):
            raise FormulaError(
                f"reach={given!r}.",
                expected="a question such as bc.ATE('x', 'y', treated=5), several, or levels by "
                "variable, {'x': (-3, 5)}.",
            )
        for world in question.worlds().values():
            for name, act in world.items():
                levels = _of(act, columns.get(name))
                if levels is not None:
                    yield name, levels


def _of(act: object, column: Column | None) -> Array | None:
    """Return the levels that an intervention sets a variable to, where they are numbers."""
    seen = None if column is None else column.numeric
    if isinstance(act, Set):
        levels = np.asarray(act.value)
    elif isinstance(act, Shift | Scale) and seen is not None:
        ends = np.array([np.nanmin(seen), np.nanmax(seen)], dtype=float)
        by = np.asarray(act.by, dtype=float)[..., None]
        levels = ends + by if isinstance(act, Shift) else ends * by
    else:
        return None
    return levels.astype(float).ravel() if levels.dtype.kind in "biuf" else None
