"""Random walks and autoregressions as code: their parameters lie in distributions within them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.tensor.random.basic import NormalRV

from bayescausal.types import ModelError

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

__all__ = ["is_path", "path_call"]


def is_path(rv: TensorVariable) -> bool:
    """Whether a random variable is a random walk or an autoregression."""
    return isinstance(rv.owner.op, RandomWalkRV | AutoRegressiveRV)


def path_call(rv: TensorVariable) -> tuple[str, list[tuple[str, Any]], list[Any], str]:
    """Return the function of PyMC, its parameters by keyword, mean and sd of the start, the rest.

    Refused is a start or an innovation that is not Normal.
    """
    node = rv.owner
    if isinstance(node.op, RandomWalkRV):
        start, innovation = node.inputs[:2]
        drift, sigma = _normal(innovation, rv)
        return "GaussianRandomWalk", [("mu", drift), ("sigma", sigma)], _normal(start, rv), ""
    op = node.op
    rhos, sigma, start = node.inputs[:3]
    rest = f", ar_order={op.ar_order}" + ", constant=True" * bool(op.constant_term)
    return "AR", [("rho", rhos), ("sigma", sigma)], _normal(start, rv), rest


def _normal(inner: Variable, rv: TensorVariable) -> list[Any]:
    """Return mean and standard deviation of a Normal within a path."""
    if inner.owner is None or not isinstance(inner.owner.op, NormalRV):
        raise ModelError(
            f"{rv.name!r} cannot be written as code: its start or its innovations are no Normals."
        )
    return list(inner.owner.op.dist_params(inner.owner))
