"""Records of variables: a censored, clipped or rounded variable says something of another one.

``pm.Censored`` has in its first argument the variable that was measured, ``T``, and is itself the
record ``v = min(max(T, lower), upper)`` of it [1]_; a CustomDist whose ``dist=`` function clips or
rounds one random variable is a record too. A record ``v = g(T)`` with a non-decreasing ``g`` is
known by two things: ``g``, and the interval of ``T`` that gives a value,

    ``{t : g(t) = v} = [low(v), high(v)]``,

one number where the record is exact. :mod:`bayescausal.evaluation.measured` puts ``T`` in the place
of ``v`` for questions about it.

A truncated distribution is no record: its variable has no values outside, seen or not.

References
----------
.. [1] J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003, chapter 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pymc.distributions.custom import CustomSymbolicDistRV
from pymc.model.fgraph import model_deterministic, model_free_rv
from pymc.pytensorf import toposort_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import Elemwise

from bayescausal.model.noise.read_off import inner_expression, is_random, random_input
from bayescausal.model.noise.rules import NoiseRule, noise_rule
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.model.structure.read import structure_of
from bayescausal.types import EstimandError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.structure.structure import Structure

    type Pair = tuple[TensorVariable, TensorVariable]

__all__ = ["Record", "plain_name", "record_of", "record_rule", "records", "rewritten"]

_NAME = re.compile(r"recorded\((.+)\)")

#: Roundings: how far below and above a recorded value its variable may lie.
_ROUNDED: dict[type, tuple[float, float]] = {
    ps.RoundHalfToEven: (0.5, 0.5),
    ps.RoundHalfAwayFromZero: (0.5, 0.5),
    ps.Floor: (0.0, 1.0),
    ps.Ceil: (1.0, 0.0),
}


@dataclass(frozen=True)
class Record:
    """A variable that is the record of another."""

    base: TensorVariable  # the variable that was measured, as a random variable
    written: Callable[[TensorVariable], TensorVariable]  # symbolic: its value -> the recorded value
    # Symbolic: the recorded value -> the ends of the interval in which the variable lies.
    before: Callable[[TensorVariable], Pair]
    how: str  # ("censored" or "rounded") What the record leaves out

    def interval(self, value: TensorVariable) -> Pair:
        """Return the noise of the variable that gives a recorded value, as :class:`.NoiseRule`."""
        rule = noise_rule(self.base)
        low, high = self.before(pt.as_tensor_variable(value))
        first, last = rule.interval(low)[0], rule.interval(high)[1]
        # outside of the support a density has no quantile: nothing is known on that side
        first = pt.switch(pt.or_(pt.isneginf(low), pt.isnan(first)), -np.inf, first)
        last = pt.switch(pt.or_(pt.isposinf(high), pt.isnan(last)), np.inf, last)
        return first, last


def record_of(rv: TensorVariable) -> Record | None:
    """Return what a random variable is the record of; None if it is no record.

    Examples
    --------
    >>> import pymc as pm
    >>> record_of(pm.Censored.dist(pm.Normal.dist(), None, 2.0)).how
    'censored'
    >>> record_of(pm.Normal.dist()) is None
    True
    """
    op = getattr(rv.owner, "op", None)
    if isinstance(op, CensoredRV):
        base, lower, upper = rv.owner.inputs
        return _clipped(base, lower, upper, rv)
    if isinstance(op, CustomSymbolicDistRV) and not op.ndim_supp:
        return _written_out(inner_expression(rv), rv)
    return None


def record_rule(rv: TensorVariable, record: Record) -> NoiseRule:
    """Return the noise rule of a record: the noise is that of the variable itself."""
    rule = noise_rule(record.base)
    return NoiseRule(
        rule.family,
        rule.base,
        True,
        0,
        lambda u: record.written(rule.forward(u)).astype(rv.dtype),
        record.interval,
    )


def plain_name(name: str) -> str:
    """Return the variable of the model that a name stands for: ``recorded(y)`` stands for ``y``."""
    found = _NAME.fullmatch(name)
    return found.group(1) if found else name


def records(structure: Structure, names: Iterable[str] | None = None) -> dict[str, Record]:
    """Return those variables that are records of others.

    `names`: among these, ``recorded(y)`` standing for ``y``. Default: all random nodes.
    """
    found = {}
    asked = structure.random if names is None else [plain_name(n) for n in names]
    for name in dict.fromkeys(asked):
        if name not in structure.random:
            continue
        parts = structure.imputed.get(name)
        record = record_of(structure.variable(parts[1] if parts else name))
        if record is None:
            if f"recorded({name})" in (names or ()):
                raise EstimandError(
                    f"{name!r} is not the record of another variable.",
                    expected="recorded(...) of a censored, clipped or rounded variable.",
                    remedy=f"Ask about {name!r}.",
                )
            continue
        if parts:
            raise ModelError(
                f"{name!r} is {record.how}, and its empty cells are filled by PyMC's imputation.",
                remedy="Leave observed= out of the model and pass the data to bayescausal.fit: "
                "an empty cell is then a cell of the data.",
            )
        found[name] = record
    return found


def rewritten(structure: Structure, names: Iterable[str]) -> Structure:
    """Return the structure with what was measured in the place of its record, the record beside it.

    `names`: of records.
    """
    fgraph, memo, initvals = open_model(structure.model, inlined_views=True)
    replacements = []
    for name in names:
        marked = memo[structure.model[name]]
        dims = marked.owner.op.dims
        record = record_of(marked.owner.inputs[0])
        assert record is not None
        whole = model_free_rv(record.base, record.base.type(), None, name, *dims)
        label = f"recorded({name})"
        if label in structure.model.named_vars:
            raise ModelError(
                f"The model already has a variable called {label!r}.",
                expected=f"That name to be free for the record of {name!r}.",
                remedy=f"Rename {label!r}.",
            )
        written = marked.type.filter_variable(record.written(whole))
        replacements.append((marked, model_deterministic(written, label, *dims)))
        initvals.pop(name, None)
    toposort_replace(fgraph, tuple(replacements), reverse=True)
    return structure_of(close(fgraph, initvals), unit_dims=structure.unit_dims)


# ------------------------------------------------------------------------------- private


def _clipped(
    base: TensorVariable, lower: TensorVariable, upper: TensorVariable, rv: TensorVariable
) -> Record:
    def before(value: TensorVariable) -> Pair:
        low = pt.switch(pt.le(value, lower), -np.inf, value)
        return low, pt.switch(pt.ge(value, upper), np.inf, value)

    return Record(base, lambda t: pt.clip(t, lower, upper).astype(rv.dtype), before, "censored")


def _written_out(expression: TensorVariable, rv: TensorVariable) -> Record | None:
    """Return the record that a ``dist=`` function writes: one step on one random variable."""
    node = expression.owner
    if node is None or not isinstance(node.op, Elemwise):
        return None
    step, stop = node.op.scalar_op, rv.owner.inputs
    if isinstance(step, ps.Switch):
        return _in_window(node.inputs, rv)
    position = random_input(expression, stop)
    if position is None:
        return None
    inner = node.inputs[position]
    if isinstance(step, ps.Cast):
        found = _written_out(inner, rv)
        return found
    if not is_random(inner) or inner in stop:
        return None
    others = [v for i, v in enumerate(node.inputs) if i != position]
    if isinstance(step, ps.Clip) and position == 0:
        return _clipped(inner, others[0], others[1], rv)
    if isinstance(step, ps.Minimum | ps.ScalarMinimum) and len(others) == 1:
        return _clipped(inner, pt.constant(-np.inf), others[0], rv)
    if isinstance(step, ps.Maximum | ps.ScalarMaximum) and len(others) == 1:
        return _clipped(inner, others[0], pt.constant(np.inf), rv)
    if type(step) in _ROUNDED and str(inner.dtype).startswith("float"):
        below, above = _ROUNDED[type(step)]
        return Record(
            inner,
            lambda t: node.op(t).astype(rv.dtype),
            lambda v: (v - below, v + above),
            "rounded",
        )
    return None


def _in_window(inputs: Sequence[TensorVariable], rv: TensorVariable) -> Record | None:
    """Return the record that says of some values only that they lie in a window.

    ``switch(low < T <= high, mark, T)``, with a mark in the window.
    """
    condition, mark, base = inputs
    stop = set(rv.owner.inputs)
    if not is_random(base) or base in stop:
        return None
    ends = _window(condition, base)
    if ends is None or any(is_random(v) and v not in stop for v in ancestors([mark, *ends], stop)):
        return None
    low, high = ends

    def written(t: TensorVariable) -> TensorVariable:
        inside = pt.and_(pt.gt(t, low), pt.le(t, high))
        return pt.switch(inside, mark, t).astype(rv.dtype)

    def before(value: TensorVariable) -> Pair:
        known = pt.eq(value, mark)
        return pt.switch(known, low, value), pt.switch(known, high, value)

    return Record(base, written, before, "censored")


def _window(condition: TensorVariable, base: TensorVariable) -> Pair | None:
    """Return the ends of ``(base > low) & (base <= high)``."""
    node = condition.owner
    if node is None or not isinstance(node.op, Elemwise) or len(node.inputs) != 2:
        return None
    if not isinstance(node.op.scalar_op, ps.AND):
        return None
    ends: dict[type, TensorVariable] = {}
    for part in node.inputs:
        if part.owner is None or not isinstance(part.owner.op, Elemwise):
            return None
        inner = part.owner.inputs
        if len(inner) == 2 and inner[0] is base:
            ends[type(part.owner.op.scalar_op)] = inner[1]
    return (ends[ps.GT], ends[ps.LE]) if set(ends) == {ps.GT, ps.LE} else None
