"""Arithmetic of terms, on two sides at once: on expressions, and on the numbers of the data.

A factor such as ``log(x)`` or ``I(x**2)`` is a small expression. It is evaluated here over pairs
of a *symbolic* value, an expression in the variables of the model, and a *numeric* one, the same
expression in the columns of the data. The first becomes the equation. The second gives what an
equation must take from data once and keep: the mean in ``center(x)``, the knots of a spline, the
scale of a prior. Taken anew in every world, such a mean would tie the units to each other: the
equation of one unit would change with an intervention on another.

Only elementwise functions are known. A mean or a lag written into a term would mix units, and is
refused.
"""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from scipy import special

from bayescausal.model.formulas.tokens import pointed
from bayescausal.types import FormulaError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FUNCTIONS",
    "Value",
    "call_of",
    "degree_of",
    "evaluate_factor",
    "names_in",
    "number_of",
    "unparsed",
]


@dataclass(frozen=True, eq=False)
class Value:
    """One quantity, as an expression and as numbers."""

    symbolic: Any  # (TensorVariable or float) In the variables of the model
    # (ndarray, float or None) In the columns of the data; None where they do not have them.
    numeric: Any


#: Elementwise functions: on numbers, on expressions.
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "log": (np.log, pt.log),
    "log2": (np.log2, pt.log2),
    "log10": (np.log10, pt.log10),
    "log1p": (np.log1p, pt.log1p),
    "exp": (np.exp, pt.exp),
    "expm1": (np.expm1, pt.expm1),
    "sqrt": (np.sqrt, pt.sqrt),
    "abs": (np.abs, pt.abs),
    "sign": (np.sign, pt.sign),
    "floor": (np.floor, pt.floor),
    "ceil": (np.ceil, pt.ceil),
    "sin": (np.sin, pt.sin),
    "cos": (np.cos, pt.cos),
    "tan": (np.tan, pt.tan),
    "tanh": (np.tanh, pt.tanh),
    "arctan": (np.arctan, pt.arctan),
    "expit": (special.expit, pt.sigmoid),
    "sigmoid": (special.expit, pt.sigmoid),
    "logit": (special.logit, lambda x: pt.log(x / (1 - x))),
    "minimum": (np.minimum, pt.minimum),
    "maximum": (np.maximum, pt.maximum),
    "where": (np.where, pt.switch),
}

_NOT = (np.logical_not, lambda a: pt.invert(_true(a)))


def _true(value: Any) -> Any:
    """Return whether numbers are other than 0: what & | ~ of Python's numbers would not mean."""
    return value if getattr(value, "dtype", "") == "bool" else pt.neq(value, 0)


_BINARY: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    ast.Add: (operator.add, operator.add),
    ast.Sub: (operator.sub, operator.sub),
    ast.Mult: (operator.mul, operator.mul),
    ast.Div: (operator.truediv, operator.truediv),
    ast.Pow: (operator.pow, operator.pow),
    ast.BitAnd: (np.logical_and, lambda a, b: pt.and_(_true(a), _true(b))),
    ast.BitOr: (np.logical_or, lambda a, b: pt.or_(_true(a), _true(b))),
}

_COMPARE: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    ast.Lt: (np.less, pt.lt),
    ast.LtE: (np.less_equal, pt.le),
    ast.Gt: (np.greater, pt.gt),
    ast.GtE: (np.greater_equal, pt.ge),
    ast.Eq: (np.equal, pt.eq),
    ast.NotEq: (np.not_equal, pt.neq),
}

_MIXING = {
    *("mean", "sum", "std", "var", "median", "min", "max", "rank", "cumsum", "lag", "diff"),
    *("shift", "quantile", "percentile"),
}


def _python(text: str) -> tuple[str, dict[str, str]]:
    """Return a factor as Python, with names in backticks replaced by identifiers."""
    quoted: dict[str, str] = {}

    def swap(match: re.Match[str]) -> str:
        key = f"_quoted_{len(quoted)}"
        quoted[key] = match.group(1)
        return key

    return re.sub(r"`([^`]+)`", swap, text), quoted


def _tree(text: str, formula: str) -> tuple[ast.expr, dict[str, str]]:
    code, quoted = _python(text)
    try:
        return ast.parse(code.strip(), mode="eval").body, quoted
    except SyntaxError as error:
        raise FormulaError(
            f"The term {text!r} cannot be read.{pointed(formula, text)}",
            expected="arithmetic and calls, such as I(x**2 + 1) or log(x).",
        ) from error


def names_in(text: str, formula: str) -> list[str]:
    """Return the variables that a factor reads, in order of appearance.

    - `text`: the factor.
    - `formula`: the formula it is from, for messages.
    """
    tree, quoted = _tree(text, formula)
    found: dict[str, None] = {}
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    called |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]
    for node in sorted(names, key=lambda n: n.col_offset):
        found[quoted.get(node.id, node.id)] = None
    return list(found)


def call_of(text: str, formula: str) -> tuple[str, list[ast.expr], dict[str, Any], dict[str, str]]:
    """Return the outer call of a factor: its name, arguments, options, and quoted names.

    The name is empty where the factor is no call.
    """
    tree, quoted = _tree(text, formula)
    if not isinstance(tree, ast.Call):
        return "", [], {}, quoted
    options = {}
    for keyword in tree.keywords:
        if keyword.arg == "by":
            held = keyword.value
            each = held.elts if isinstance(held, ast.Tuple | ast.List) else [held]
            if all(isinstance(name, ast.Name) for name in each):
                found = [quoted.get(n.id, n.id) for n in each if isinstance(n, ast.Name)]
                options["by"] = found[0] if each and held is each[0] else tuple(found)
                continue
        try:
            options[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError as error:
            raise FormulaError(
                f"The option {keyword.arg} of {text!r} is no number, text or list."
                f"{pointed(formula, str(keyword.arg), within=text)}",
                expected="a constant, such as df=4.",
            ) from error
    return _function_name(tree.func, text, formula), list(tree.args), options, quoted


def unparsed(node: ast.AST, quoted: Mapping[str, str]) -> str:
    """Return a part of a factor as text, names in backticks again."""
    text = ast.unparse(node)
    for key, name in quoted.items():
        text = text.replace(key, f"`{name}`")
    return text


def number_of(node: ast.expr, text: str, formula: str) -> Any:
    """Return the constant that an argument of a call is."""
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise FormulaError(
            f"{ast.unparse(node)!r} in {text!r} is no constant.{pointed(formula, text)}",
            expected="a number.",
        ) from error


def degree_of(text: str, formula: str) -> int:
    """Return the degree of a factor as a polynomial; a function counts as its argument."""
    return _degree(_tree(text, formula)[0])


def _degree(node: ast.AST) -> int:
    if isinstance(node, ast.Name):
        return 1
    if isinstance(node, ast.Call):
        return max(map(_degree, node.args), default=0)
    if isinstance(node, ast.BinOp):
        left, right = _degree(node.left), _degree(node.right)
        if isinstance(node.op, ast.Mult):
            return left + right
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant):
            power = node.right.value
            return left * max(int(power), 1) if isinstance(power, int | float) else left
        return max(left, right)
    return max((_degree(n) for n in ast.iter_child_nodes(node)), default=0)


def evaluate_factor(text: str, scope: Mapping[str, Value], formula: str) -> Value:
    """Evaluate a factor over pairs of expressions and numbers.

    - `text`: the factor.
    - `scope`: the numeric variables it may read.
    - `formula`: the formula it is from, for messages.

    Examples
    --------
    >>> import numpy as np, pytensor.tensor as pt
    >>> x = Value(pt.vector("x"), np.array([1.0, 3.0]))
    >>> evaluate_factor("center(x)", {"x": x}, "y ~ center(x)").numeric.tolist()
    [-1.0, 1.0]
    """
    tree, quoted = _tree(text, formula)
    return _Evaluator(text, scope, formula, quoted).of(tree)


def _function_name(node: ast.expr, text: str, formula: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    owner = node.value if isinstance(node, ast.Attribute) else None
    if isinstance(owner, ast.Name) and owner.id in ("np", "numpy", "pt", "math", "pm"):
        return node.attr  # type: ignore[attr-defined]
    shown = ast.unparse(node)
    raise FormulaError(
        f"{shown!r} is no function of formulas.{pointed(formula, shown, within=text)}",
        remedy=f"Functions: {', '.join(FUNCTIONS)}, center, scale.",
    )


class _Evaluator:
    """Walks one factor."""

    def __init__(
        self, text: str, scope: Mapping[str, Value], formula: str, quoted: Mapping[str, str]
    ) -> None:
        self.text, self.scope, self.formula, self.quoted = text, scope, formula, quoted

    def of(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            number = float(node.value)
            return Value(number, number)
        if isinstance(node, ast.Name):
            return self.scope[self.quoted.get(node.id, node.id)]
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return self._apply(_BINARY[type(node.op)], self.of(node.left), self.of(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._apply((operator.neg, operator.neg), self.of(node.operand))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return self.of(node.operand)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return self._apply(_NOT, self.of(node.operand))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            pair = _COMPARE[type(node.ops[0])]
            return self._apply(pair, self.of(node.left), self.of(node.comparators[0]))
        if isinstance(node, ast.Call):
            return self._call(node)
        shown = ast.unparse(node)
        raise FormulaError(
            f"{shown!r} cannot stand in a term.{pointed(self.formula, shown, within=self.text)}",
            expected="numbers, names, + - * / **, one comparison at a time, & | ~, and calls.",
        )

    def _apply(self, pair: tuple[Callable[..., Any], Callable[..., Any]], *values: Value) -> Value:
        on_numbers, on_expressions = pair
        if all(isinstance(v.symbolic, float) for v in values):
            number = float(on_numbers(*(v.symbolic for v in values)))
            return Value(number, number)
        numeric = None
        if all(v.numeric is not None for v in values):
            with np.errstate(all="ignore"):
                numeric = np.asarray(on_numbers(*(v.numeric for v in values)), dtype=float)
        return Value(on_expressions(*(v.symbolic for v in values)), numeric)

    def _call(self, node: ast.Call) -> Value:
        name = _function_name(node.func, self.text, self.formula)
        mark = pointed(self.formula, name, within=self.text)
        if name in _MIXING:
            raise FormulaError(
                f"{name}() in {self.text!r} would mix units: the equation of one unit would read "
                f"the others.{mark}",
                expected="functions of one unit.",
                remedy="For the mean of the data, fixed once, use center(x) or scale(x).",
            )
        known = {"I", "center", "scale", "standardize", *FUNCTIONS}
        if name not in known:
            vectors = {"C", "bs", "ns", "cr", "poly", "s", "hsgp", "mono", "hill"}
            if name in vectors:
                raise FormulaError(
                    f"{name}() gives several columns and cannot stand inside {self.text!r}.{mark}",
                    remedy=f"Use it as a factor of its own: {name}(x).",
                )
            raise FormulaError(
                f"{name}() is no function of formulas.{mark}",
                names=closest(name, known | vectors)[:1],
                remedy=f"Functions: {', '.join(FUNCTIONS)}, center, scale, C, bs, ns, cr, poly, "
                "s, hsgp, mono, hill.",
            )
        if node.keywords:
            raise FormulaError(
                f"{name}() takes no option {node.keywords[0].arg!r}.{mark}",
            )
        values = [self.of(argument) for argument in node.args]
        count = 3 if name == "where" else 2 if name in ("minimum", "maximum") else 1
        if len(values) != count:
            raise FormulaError(
                f"{name}() in {self.text!r} has {len(values)} arguments.{mark}",
                expected=f"{count}.",
            )
        if name == "I":
            return values[0]
        if name in FUNCTIONS:
            return self._apply(FUNCTIONS[name], *values)
        return self._fixed(name, values[0])

    def _fixed(self, name: str, value: Value) -> Value:
        """Subtract the mean of the data, and divide by its standard deviation: constants."""
        if value.numeric is None:
            raise FormulaError(
                f"{self.text!r} takes its mean from data, and there are none for it."
                f"{pointed(self.formula, self.text)}",
                remedy="Pass data= with the column, or write the number: I(x - 3.2).",
            )
        seen = np.asarray(value.numeric, dtype=float)
        seen = seen[np.isfinite(seen)]
        mean = float(np.mean(seen)) if seen.size else 0.0
        shifted = self._apply((operator.sub, operator.sub), value, Value(mean, mean))
        if name == "center":
            return shifted
        sd = float(np.std(seen, ddof=1)) if seen.size > 1 else 0.0
        if not sd > 0:
            raise FormulaError(
                f"{self.text!r} divides by the standard deviation of a constant."
                f"{pointed(self.formula, self.text)}",
                expected="a column that varies.",
            )
        return self._apply((operator.truediv, operator.truediv), shifted, Value(sd, sd))
