"""The value of a forest at covariates, as an operation of PyTensor.

The forest is the second input, so the equation that reads it is a function of its parents and of a
parameter: worlds, counterfactuals and mediation need to know no more of it than of a coefficient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.scalar.basic import Identity

from bayescausal.model.forests.packed import evaluate_forests

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["ForestValue", "KnownForest", "Trees", "forest_at", "forest_value", "known_forest"]


class Trees(Op):
    """A packed forest (..., k) at rows of covariates (..., n, p): (..., n).

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.model.structure.interpreted import PY_MODE
    >>> from bayescausal.model.forests.op import forest_value
    >>> from bayescausal.model.forests.packed import Tree, pack
    >>> stump = Tree(np.array([0, -1, -1]), np.array([0.5, 1.0, 2.0]), np.array([2, 0, 0]))
    >>> forest_value(np.array([[0.0], [1.0]]), pack([stump], 0.0)).eval(mode=PY_MODE).tolist()
    [1.0, 2.0]
    """

    __props__ = ()
    _print_name = ("Forest", "\\operatorname{Forest}")

    def make_node(self, x: Any, forest: Any) -> Apply:
        """Return the operation on a matrix of covariates and a forest."""
        x, forest = pt.as_tensor(x), pt.as_tensor(forest)
        if x.type.ndim < 2 or forest.type.ndim < 1:
            raise TypeError("A forest is evaluated at a matrix of covariates, (units, columns).")
        lead = max(x.type.ndim - 2, forest.type.ndim - 1)
        shape = (*(None,) * lead, x.type.shape[-2])
        return Apply(self, [x, forest], [pt.TensorType("float64", shape)()])

    def perform(self, node: Apply, inputs: list[Array], outputs: list[list[Any]]) -> None:
        """Evaluate."""
        x, forest = inputs
        outputs[0][0] = evaluate_forests(np.asarray(x), np.asarray(forest))

    def infer_shape(
        self, node: Apply, shapes: list[tuple[Variable, ...]]
    ) -> list[tuple[Variable, ...]]:
        """Return the shape of the value: leading axes, and the rows."""
        x, forest = shapes
        lead = pt.broadcast_shape(tuple(x[:-2]), tuple(forest[:-1]), arrays_are_shapes=True)
        return [(*lead, x[-2])]


class ForestValue(Trees):
    """A forest that is a parameter."""


class KnownForest(Trees):
    """A forest of known trees, a constant: a function of covariates like any other."""


forest_value = ForestValue()
known_forest = KnownForest()


def forest_at(variable: Any) -> Apply | None:
    """Return the evaluation of a forest that a variable is, under another name; or None."""
    node = variable.owner
    while node is not None and (
        isinstance(node.op, ViewOp) or isinstance(getattr(node.op, "scalar_op", None), Identity)
    ):
        node = node.inputs[0].owner
    found: Apply | None = node if node is not None and isinstance(node.op, ForestValue) else None
    return found


@_vectorize_node.register(Trees)
def _batched(op: Op, node: Apply, x: TensorVariable, forest: TensorVariable) -> list[Variable]:
    """Evaluate with the leading axes of either: they are those of posterior draws and worlds."""
    return [op(x, forest)]
