"""Labels that are known already: those of a fit."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from bayescausal.model.kinds import as_label
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.inference.data.columns import Table

__all__ = ["refuse_doubtful", "refuse_unknown"]


def refuse_unknown(table: Table, known: Mapping[str, Sequence[object]]) -> None:
    """Refuse labels that are none of those that are known already, such as those of a fit."""
    for name, order in known.items():
        held = dict.fromkeys(as_label(v) for v in table[name].ravel().tolist())
        odd = [v for v in held if v not in (*order, None)]
        if odd:
            raise DataError(
                f"{name!r} is {odd[0]!r} in the table, which is none of its categories.",
                expected=", ".join(map(repr, order[:12])) + (", ..." if len(order) > 12 else "."),
            )


def refuse_doubtful(table: Table, known: Mapping[str, Sequence[object]]) -> None:
    """Refuse plain numbers where labels are numbers that are not their own codes."""
    for name, order in known.items():
        numbers = all(isinstance(v, Real) for v in order)
        if name not in table or not numbers or list(order) == list(range(len(order))):
            continue
        raise DataError(
            f"{name!r} holds plain numbers in the table, and its categories are numbers in another "
            f"order: {', '.join(map(str, order[:12]))}. Codes and labels cannot be told apart.",
            expected="A Categorical column.",
            remedy=f"pd.Categorical(table[{name!r}]) says that they are labels.",
        )
