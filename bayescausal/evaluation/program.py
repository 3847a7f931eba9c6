"""One expression graph for several worlds.

A world is a set of interventions. In it every variable has a value:

* set by an intervention, its value there, even when it descends from another treatment;
* *recomputed*, if it is in ``R``, from its equation in noise form: ``v := q(U_v; parents)``
  with the parents' values in the same world and the noise ``U_v`` shared by all worlds;
* kept otherwise: what was observed, or its draw from the posterior.

``R`` is the union over the worlds of the proper descendants of what each intervenes on, found
in the graph of *all* named variables (a group effect whose prior reads the treatment belongs to
it). In every world, the natural one included, the variables of ``R`` are recomputed, so that a
contrast of two worlds is not a contrast of observed and simulated values. Where the noise is each
unit's own, what no intervention of a world reaches is what was observed, and is kept.

The worlds are substituted into each other's place symbolically, once; noise, data, latents and
parameters become inputs. Draws are added as a batch axis by PyTensor's own vectorization.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.replace import vectorize_graph

from bayescausal.evaluation.backend import Compiled, inputs_of, with_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.annotations import Array


__all__ = ["NOWHERE", "Evaluator", "Input", "Program", "Request", "evaluator", "per_draw"]

#: The world of values that no intervention reaches.
NOWHERE = "\0"

#: From the arguments of a program, by position, to arrays.
type Evaluator = Callable[[Callable[[int], Array]], list[Array]]


@dataclass(frozen=True)
class Request:
    """One value that a program is to return."""

    world: str
    variable: str  # a structural variable or unit-level Deterministic
    # ("mean", "draw", "probability", "event" or "joint") The mean given what is recomputed
    # upstream; a draw; the probability of an event given what is recomputed upstream; whether the
    # event happens in the draw; whether it happens in `world` and not in `other`.
    kind: str = "mean"
    # Has ``of_law(rv) -> Variable or None`` and ``of_draw(v)``; and ``dims``, the names of the axes
    # that these have after those of the variable, if there are any.
    event: Any = None
    other: str = ""  # the second world of ``"joint"``


@dataclass(frozen=True, eq=False)
class Input:
    """One argument of a program: what it is and how it is laid out.

    ``kind`` is ``"value"`` (kept: a parameter, observed or latent value), ``"noise"``,
    ``"set"`` (an array given by an intervention) or ``"length"`` (of a unit dim).
    """

    kind: str
    name: str
    variable: Variable
    dims: tuple[str | None, ...]
    batched: bool
    base: str = ""
    world: str = ""
    array: Any = None


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled evaluation of several worlds."""

    inputs: tuple[Input, ...]  # in the order of the arguments
    requests: tuple[Request, ...]  # in the order of the results
    dims: tuple[tuple[str | None, ...], ...]  # dims of each result; None for an axis without a name
    batched: tuple[bool, ...]  # whether each result has the batch of draws as first axis
    exact: tuple[bool, ...]  # whether each result rests on no noise
    call: Compiled  # arrays in, list of arrays out
    names: frozenset[str] = field(default_factory=frozenset)  # variables that take part
    expressions: tuple[Variable, ...] = ()  # the results as expressions of the inputs, for one draw
    unit_dims: tuple[str, ...] = ()

    @property
    def noise(self) -> tuple[Input, ...]:
        """The inputs that are noise."""
        return tuple(i for i in self.inputs if i.kind == "noise")


def per_draw(inputs: Sequence[Input]) -> tuple[list[Variable], dict[Variable, Variable]]:
    """Return the arguments for blocks of draws, and which input each stands for if it has them."""
    batch = {i.variable: with_draws(i.variable) for i in inputs if i.batched}
    return [batch.get(i.variable, i.variable) for i in inputs], batch


def evaluator(program: Program, outputs: list[Variable], *, batch: bool) -> Evaluator:
    """Return a function from a program's arguments, by position, to expressions of its inputs.

    With `batch` they have the draws as first axis.
    """
    if not outputs:
        return lambda arguments: []
    needed = inputs_of(outputs)
    used = [(k, item) for k, item in enumerate(program.inputs) if item.variable in needed]
    swap: dict[Variable, Variable] = {}
    arguments = [item.variable for _, item in used]
    if batch:
        arguments, swap = per_draw([item for _, item in used])
    call = Compiled(arguments, list(vectorize_graph(outputs, replace=swap)) if swap else outputs)

    def run(values: Callable[[int], Array]) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return [np.asarray(v) for v in call(*(values(k) for k, _ in used))]

    return run
