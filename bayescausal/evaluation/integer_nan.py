"""No integer is made of NaN.

A float that is not defined is NaN and is seen in the answer. An integer has no NaN: a count whose
mean is NaN would become some number. So counts and labels pass this operation, which refuses them
where their parameters are not finite. Worlds are tried before they are evaluated (see
:mod:`~bayescausal.evaluation.support`); what comes here is the rare draw that the trial did not
meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node

from bayescausal.types import UndefinedEffectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.annotations import Array

__all__ = ["Defined"]


class Defined(Op):
    """Returns integers as they are, if their parameters are numbers.

    - `name`: the variable, for messages.
    - `count`: how many parameters follow the value; then comes the noise above it. Where the noise
      of a unit is NaN (evidence that the model calls impossible), nothing is said here.
    """

    __props__ = ("count", "name")

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = name, count

    def make_node(self, value: Variable, *others: Any) -> Apply:
        """Make the node: the value's own type."""
        tensors = [pt.as_tensor_variable(v) for v in (value, *others)]
        return Apply(self, tensors, [tensors[0].type()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: list[list[Array]]
    ) -> None:
        """Check the parameters."""
        value, *rest = inputs
        parameters, noises = rest[: self.count], rest[self.count :]
        if not all(np.all(np.isfinite(p)) for p in parameters):
            unknown = any(np.any(np.isnan(u)) for u in noises)
            if not unknown:
                raise UndefinedEffectError(
                    f"The equation of {self.name!r} is not defined for some values that the "
                    "variables it reads take in this world: a parameter is NaN or infinite.",
                    expected="finite parameters for every unit and draw.",
                    remedy="Choose levels at which the equation is defined, or give what it "
                    "reads a distribution that stays there.",
                )
        outputs[0][0] = np.array(value)

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the value's shape."""
        return [shapes[0]]


@_vectorize_node.register(Defined)
def _vectorize(op: Defined, node: Apply, *batched: Variable) -> Apply:
    out: Apply = op.make_node(*batched)
    return out
