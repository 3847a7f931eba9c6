"""The back end: what runs an expression. Another one would change this file alone.

Worlds are evaluated by PyTensor's plain Python linker, one NumPy kernel per operation on blocks
that stay in the processor's caches. It was chosen by the time from question to answer. Building it
takes some hundredths of a second, where numba takes seconds (tens of them before its cache is
warm); running it, a logistic outcome of three columns in two worlds costs 7 ns per unit and draw,
where numba's fused loop costs 8: NumPy's exponential is vectorised and numba's is not. JAX takes 7
to 15 s to build: more than most questions take in all. Storage that is kept between calls
(``allow_gc=False``) and operations in place were slower than fresh storage at every size of block.

Building is put off to the first call: a question with a closed form never runs its program. What
is made of sums, products and quotients alone is run as written: PyTensor's rewriting changes no
number there, and takes most of the time of a first answer where equations are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytensor
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.mode import Mode
from pytensor.graph.features import Feature
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.graph.traversal import ancestors, io_toposort
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Shape, Shape_i

from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.fg import FunctionGraph

__all__ = ["Compiled", "behind", "inputs_of", "with_draws"]

#: As written: no rewriting.
_PLAIN = Mode(linker="py", optimizer=None)
_ARITHMETIC = (ps.Add, ps.Sub, ps.Mul, ps.TrueDiv, ps.Neg, ps.Identity, ps.Second, ps.Cast)
#: Operations that rewriting may make: so many, and so many for each operation there was. What was
#: measured took less than one for each.
MADE = (50_000, 60)


class _TooLongError(BaseException):
    """Rewriting makes ever more operations. No Exception: those PyTensor catches, and goes on."""


class _Count(Feature):
    """Counts the operations that rewriting makes, and ends it where they are too many."""

    def __init__(self, most: int) -> None:
        self.most, self.made = most, 0

    def on_import(self, fgraph: FunctionGraph, node: Apply, reason: object) -> None:
        """Count one operation."""
        self.made += 1
        if self.made > self.most:
            raise _TooLongError


class _Guard(GraphRewriter):
    """Sets the counter before the first rewrite."""

    def apply(self, fgraph: FunctionGraph) -> None:
        """Set the counter."""
        there = len(fgraph.apply_nodes)
        fgraph.attach_feature(_Count(there + MADE[0] + MADE[1] * there))


#: As a mode is told to rewrite; and without the algebra whose size can double with every step.
_MODES = tuple(
    mode.register((_Guard(), -1.0))
    for mode in (PY_MODE, PY_MODE.excluding("canonicalize", "specialize"))
)


class Compiled:
    """A function of arrays, built when it is first called.

    It must not be entered by two threads at once: programs are kept per thread.

    `outputs`: a function of no arguments that returns them is called when they are needed.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> x = pt.vector("x")
    >>> [double] = Compiled([x], [2 * x])([1.0, 2.0])
    >>> double.tolist()
    [2.0, 4.0]
    """

    __slots__ = ("_arguments", "_function", "_outputs")

    def __init__(
        self,
        arguments: Sequence[Variable],
        outputs: Sequence[Variable] | Callable[[], Sequence[Variable]],
    ) -> None:
        self._arguments, self._outputs = list(arguments), outputs
        self._function: Any = None

    def __call__(self, *values: Any) -> list[Any]:
        """Return the outputs for some arguments."""
        found: list[Any] = self._built()(*values)
        return found

    def _built(self) -> Callable[..., list[Any]]:
        if self._function is None:
            outputs = list(self._outputs() if callable(self._outputs) else self._outputs)
            self._function = _function(self._arguments, outputs)
        return self._function


def _is_arithmetic(outputs: Sequence[Variable]) -> bool:
    """Whether expressions are sums, products and quotients, laid along axes, and nothing else."""
    ops = (v.owner.op for v in ancestors(list(outputs)) if v.owner is not None)
    return all(
        isinstance(op, DimShuffle)
        or (isinstance(op, Elemwise) and isinstance(op.scalar_op, _ARITHMETIC))
        for op in ops
    )


def _function(arguments: list[Variable], outputs: list[Variable]) -> Callable[..., list[Any]]:
    """Compile, with less rewriting where all of it would not end."""
    for mode in (_PLAIN,) if _is_arithmetic(outputs) else _MODES:
        try:
            return pytensor.function(arguments, outputs, mode=mode, on_unused_input="ignore")
        except _TooLongError:
            continue
    raise ModelError(
        "PyTensor's rewriting of this question does not end: it was stopped.",
        expected="an expression that is not ever longer when it is simplified.",
        remedy="Ask with data, or write the equations with fewer levels of categorical variables.",
    )


# --------------------------------------------------------------------------- expressions


def inputs_of(outputs: Sequence[Variable]) -> set[Variable]:
    """Return the variables that expressions rest on. Nothing may be drawn anew on the way.

    A random variable that is left, such as a copy of one that a world sets, would be drawn without
    the noise that worlds share. One of which the shape alone is read, as of the components of a
    mixture, is not drawn.
    """
    above = list(ancestors(list(outputs)))
    found = {v for v in above if v.owner is None}
    shapes = [v for v in above if v.owner is not None and isinstance(v.owner.op, Shape | Shape_i)]
    for variable in ancestors(list(outputs), blockers=shapes):
        op = getattr(variable.owner, "op", None)
        if isinstance(op, RandomVariable | SymbolicRandomVariable):
            raise ModelError(
                f"An expression of a world draws {variable} of the model anew.",
                expected="values of that world in the place of every variable of the model.",
                remedy="This is a fault of bayescausal: please report it with the model.",
            )
    return found


def behind(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> frozenset[Variable]:
    """Return some inputs and all that rests on them."""
    found = set(inputs)
    for node in io_toposort(list(inputs), list(outputs)):
        if found.intersection(node.inputs):
            found.update(node.outputs)
    return frozenset(found)


def with_draws(variable: Variable) -> Variable:
    """Return an input like a variable with an axis of draws before its own."""
    kind = variable.type
    return pt.TensorType(kind.dtype, (None, *kind.shape))(f"b_{variable.name}")
