"""Formulas over observed probabilities: small, printable, and they can be evaluated.

An identified effect is a formula in the distribution P(V) of the measured variables alone. Five
kinds of node are enough:

===================  ==========================================================
`P`                  ``P(of | given)``, read off the joint distribution
`Product`            of factors; the empty one is 1
`Sum`                over all values of some variables
`Quotient`           a kernel divided by its marginal
`Renamed`            a variable read under another name: x in one world, x' in another
===================  ==========================================================

A formula is *evaluated* on an array of P(V) with one axis per variable. Leading axes are carried
along, so one call evaluates it for every draw of a posterior of P(V). Only methods of the array
are used (``sum``, ``reshape``, ``swapaxes``, arithmetic): NumPy, xarray's data or JAX will do.

Where a conditional has probability zero under P(V), the quotient is undefined: that is
positivity, the assumption behind every such formula. A variable that is free in a formula but
not part of the question (the middle variable of the napkin graph) may take any value.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bayescausal.graph.text.notation import LatexStyle, TextStyle
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bayescausal.annotations import Array

__all__ = ["Expression", "P", "Product", "Quotient", "Renamed", "Sum"]


@dataclass(frozen=True)
class Expression:
    """A formula over P(V): one of `P`, `Product`, `Sum`, `Quotient`, `Renamed`."""

    free: frozenset[str] = field(init=False, repr=False, compare=False)

    def text(self) -> str:
        """Return the formula for a person to read.

        Examples
        --------
        >>> from bayescausal.graph.identification.expression import P, Product, Sum
        >>> Sum(("z",), Product((P(("y",), ("x", "z")), P(("z",))))).text()
        'Σ_z P(y | x, z) P(z)'
        """
        return _write(self, {name: name for name in self.free}, TextStyle)

    def latex(self) -> str:
        r"""Return the formula in LaTeX, without dollar signs.

        Examples
        --------
        >>> from bayescausal.graph.identification.expression import P
        >>> print(P(("y",), ("x",)).latex())
        P(y \mid x)
        """
        return _write(self, {name: name for name in self.free}, LatexStyle)

    def evaluate(
        self, joint: Array, names: Sequence[str], axes: Sequence[str] | None = None
    ) -> Array:
        """Evaluate the formula on the joint distribution of the measured variables.

        ``joint``: Probabilities: the last ``len(names)`` axes are the values of the variables in
            `names`; axes before them are carried along.
        ``names``: the variables of `joint`, in the order of its axes.
        ``axes``: the order of the axes of the result: the free variables of the formula. Default:
            as in `names`, then renamed ones.
        Result: Leading axes of `joint`, then one axis per free variable.
        Raises EstimandError if the formula needs a variable that `names` lacks, or `axes` are not
            its own.

        Examples
        --------
        >>> import numpy as np
        >>> from bayescausal.graph.identification.expression import P
        >>> P(("y",), ("x",)).evaluate(np.array([[0.3, 0.1], [0.2, 0.4]]), ["x", "y"])
        array([[0.75      , 0.25      ],
               [0.33333333, 0.66666667]])
        """
        labels = tuple(dict.fromkeys(_labels(self)))
        lacking = sorted(needed(self) - set(names))
        if lacking:
            raise EstimandError(
                f"The formula needs {', '.join(lacking)}, which the joint distribution lacks.",
                expected="all variables of " + self.text() + ".",
            )
        places = {name: at for at, name in enumerate((*names, *labels))}
        batch = len(joint.shape) - len(names)
        full = joint.reshape(*joint.shape, *(1 for _ in labels))
        context = _Context(full, places, batch)
        value = context.value(self)
        own = [name for name in places if name in self.free]
        drop = tuple(batch + at for name, at in places.items() if name not in self.free)
        value = value.squeeze(axis=drop) if drop else value
        if axes is None:
            return value
        if sorted(axes) != sorted(own):
            raise EstimandError(
                f"axes={list(axes)} are not the free variables of the formula.",
                expected=f"{own} in some order.",
            )
        return value.transpose(*range(batch), *(batch + own.index(a) for a in axes))

    def __str__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"


@dataclass(frozen=True)
class P(Expression):
    """``P(of | given)`` under the observed distribution."""

    of: tuple[str, ...]
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", frozenset(self.of) | frozenset(self.given))


@dataclass(frozen=True)
class Product(Expression):
    """The product of its factors; see `product`."""

    factors: tuple[Expression, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", frozenset().union(*(f.free for f in self.factors)))


@dataclass(frozen=True)
class Sum(Expression):
    """The sum of `body` over all values of the variables in `over`."""

    over: tuple[str, ...]
    body: Expression

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", self.body.free - set(self.over))


@dataclass(frozen=True)
class Quotient(Expression):
    """`top` divided by `bottom`; `of` names the variables it is the distribution of, if any."""

    top: Expression
    bottom: Expression
    of: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", self.top.free | self.bottom.free)


@dataclass(frozen=True)
class Renamed(Expression):
    """`body` with the variable `name` read as `label`."""

    body: Expression
    name: str
    label: str

    def __post_init__(self) -> None:
        free = self.body.free
        free = (free - {self.name}) | {self.label} if self.name in free else free
        object.__setattr__(self, "free", free)


# --------------------------------------------------------------------------- private


def _labels(expression: Expression) -> Iterable[str]:
    for part in parts(expression):
        yield from _labels(part)
    if isinstance(expression, Renamed):
        yield expression.label


def needed(expression: Expression) -> set[str]:
    if isinstance(expression, P):
        return set(expression.of) | set(expression.given)
    return set().union(*(needed(part) for part in parts(expression)))


def parts(expression: Expression) -> tuple[Expression, ...]:
    if isinstance(expression, Product):
        return expression.factors
    if isinstance(expression, Sum | Renamed):
        return (expression.body,)
    if isinstance(expression, Quotient):
        return (expression.top, expression.bottom)
    return ()


@dataclass(frozen=True)
class _Context:
    """A joint distribution with the place of each variable among its axes."""

    joint: Any
    places: Mapping[str, int]
    batch: int

    def value(self, expression: Expression) -> Array:
        if isinstance(expression, P):
            return self._term(expression)
        if isinstance(expression, Sum):
            value = self.value(expression.body)
            return value.sum(axis=self._axes(expression.over), keepdims=True)
        if isinstance(expression, Quotient):
            return self.value(expression.top) / self.value(expression.bottom)
        if isinstance(expression, Renamed):
            value = self.value(expression.body)
            return value.swapaxes(*self._axes((expression.name, expression.label)))
        value = self.joint.sum(axis=self._axes(self.places), keepdims=True)  # one
        assert isinstance(expression, Product)
        for factor in expression.factors:
            value = value * self.value(factor)
        return value

    def _term(self, term: P) -> Array:
        others = [n for n in self.places if n not in term.free]
        top = self.joint.sum(axis=self._axes(others), keepdims=True) if others else self.joint
        bottom = top.sum(axis=self._axes(term.of), keepdims=True)
        return top / bottom

    def _axes(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.batch + self.places[name] for name in names)


def _write(expression: Expression, scope: Mapping[str, str], style: type[TextStyle]) -> str:
    """Write a formula; a summed variable gets a prime where its name is taken."""
    if isinstance(expression, P):
        of = ", ".join(style.name(scope[n]) for n in expression.of)
        given = ", ".join(style.name(scope[n]) for n in expression.given)
        return f"P({of}{style.bar}{given})" if given else f"P({of})"
    if isinstance(expression, Sum):
        inner = dict(scope)
        taken = set(scope.values())
        for name in expression.over:
            label = name
            while label in taken:
                label += "'"
            taken.add(label)
            inner[name] = label
        over = [style.name(inner[n]) for n in expression.over]
        return style.sum(over, _write(expression.body, inner, style))
    if isinstance(expression, Quotient):
        top, bottom = (_write(e, scope, style) for e in (expression.top, expression.bottom))
        return str(style.quotient(top, bottom))
    if isinstance(expression, Renamed):
        inner = dict(scope)
        if expression.label in scope:
            inner[expression.name] = scope[expression.label]
        return _write(expression.body, inner, style)
    assert isinstance(expression, Product)
    if not expression.factors:
        return str(style.one)
    written = []
    for at, factor in enumerate(expression.factors):
        text = _write(factor, scope, style)
        bracket = isinstance(factor, Sum) and at + 1 < len(expression.factors)
        written.append(f"({text})" if bracket else text)
    return str(style.times.join(written))
