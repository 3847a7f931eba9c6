"""Sums of products: terms with a coefficient and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytensor.tensor as pt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytensor.graph.basic import Variable


__all__ = ["NoExpansionError", "Term", "merged", "negated", "ordered", "product"]


#: Terms of one expression, at most.
MOST = 256


class NoExpansionError(Exception):
    """The expression is no sum of products, or one of too many."""


@dataclass(frozen=True, eq=False)
class Term:
    """``coefficient x product of features``; a coefficient of None is 1."""

    coefficient: Variable | None
    features: tuple[Variable, ...] = ()


def merged(terms: list[Term]) -> list[Term]:
    """Return terms with the coefficients of equal features added up."""
    groups: dict[tuple[Variable, ...], list[Variable | None]] = {}
    for t in terms:
        groups.setdefault(t.features, []).append(t.coefficient)
    if len(groups) > MOST:
        raise NoExpansionError
    return [Term(_total(coefficients), features) for features, coefficients in groups.items()]


def _total(coefficients: list[Variable | None]) -> Variable | None:
    if len(coefficients) == 1:
        return coefficients[0]
    return pt.add(*(pt.as_tensor(1.0) if c is None else c for c in coefficients))


def ordered(features: Iterable[Variable]) -> tuple[Variable, ...]:
    """Return factors in one order, so that equal products are equal tuples."""
    return tuple(sorted(features, key=id))


def product(a: Term, b: Term) -> Term:
    one, other = a.coefficient, b.coefficient
    coefficient = (one if other is None else other) if one is None or other is None else one * other
    return Term(coefficient, ordered([*a.features, *b.features]))


def negated(t: Term) -> Term:
    coefficient = pt.as_tensor(-1.0) if t.coefficient is None else -t.coefficient
    return Term(coefficient, t.features)
