"""Algebra of formulas over observed probabilities: products, quotients, sums, and what cancels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.graph.identification.expression import (
    Expression,
    P,
    Product,
    Quotient,
    Sum,
    needed,
    parts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ONE", "conditioned", "marginal", "product", "quotient"]

#: The number one.
ONE = Product(())


def product(factors: Iterable[Expression]) -> Expression:
    """Multiply: products within are taken apart, a single factor is returned as it is."""
    flat: list[Expression] = []
    for factor in factors:
        flat += factor.factors if isinstance(factor, Product) else [factor]
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def quotient(top: Expression, bottom: Expression, of: tuple[str, ...] = ()) -> Expression:
    """Divide, leaving out the factors that top and bottom share."""
    above, below = _factors(top), _factors(bottom)
    for factor in list(below):
        if factor in above:
            above.remove(factor)
            below.remove(factor)
    if not below:
        return product(above)
    return Quotient(product(above), product(below), of)


def marginal(expression: Expression, over: Sequence[str]) -> Expression:
    """Sum a formula over variables, doing away with what sums to one.

    ``over``: variables to sum over; those that are not free in it are ignored.
    Result: without a `Sum` where every sum could be carried out.

    Examples
    --------
    >>> from bayescausal.graph.identification.expression import P
    >>> marginal(product([P(("y",), ("x", "z")), P(("z",), ("x",))]), ["y"]).text()
    'P(z | x)'
    """
    left = [name for name in dict.fromkeys(over) if name in expression.free]
    if isinstance(expression, Sum):
        left += expression.over
        expression = expression.body
    factors = _factors(expression)
    changed = True
    while changed:
        changed = False
        for name in list(left):
            having = [f for f in factors if name in f.free]
            if len(having) > 1:
                continue
            if not having:  # nothing depends on it any more: it was summed out with a factor
                left.remove(name)
                changed = True
                continue
            (factor,) = having
            rest = _without(factor, name)
            if rest is not None:
                at = factors.index(factor)
                factors[at : at + 1] = _factors(rest)
                left.remove(name)
                changed = True
    if not left:
        return product(factors)
    inside = [f for f in factors if f.free & set(left)]
    outside = [f for f in factors if not f.free & set(left)]
    return product([*outside, Sum(tuple(sorted(left)), product(inside))])


def conditioned(expression: Expression) -> set[frozenset[str]]:
    """Return the sets of variables that a formula conditions on: they must all occur (positivity).

    Result: by their names in P(V).

    Examples
    --------
    >>> from bayescausal.graph.identification.expression import P
    >>> sorted(map(sorted, conditioned(product([P(("y",), ("x", "z")), P(("z",))]))))
    [['x', 'z']]
    """
    found = set().union(*(conditioned(part) for part in parts(expression)))
    if isinstance(expression, P) and expression.given:
        found.add(frozenset(expression.given))
    if isinstance(expression, Quotient) and expression.bottom.free:
        found.add(frozenset(needed(expression.bottom)) & expression.bottom.free)
    return found


def _factors(expression: Expression) -> list[Expression]:
    return list(expression.factors) if isinstance(expression, Product) else [expression]


def _without(factor: Expression, name: str) -> Expression | None:
    """Return the sum of one factor over a variable, where it needs no sum sign."""
    if isinstance(factor, P) and name in factor.of:
        of = tuple(n for n in factor.of if n != name)
        return P(of, factor.given) if of else ONE
    if isinstance(factor, Quotient) and factor.of == (name,):
        return ONE
    return None
