"""What is no plain distribution, as code: random walks, autoregressions, forests.

The parameters of the first two lie in distributions within them; a forest is written as a node of
PyMC-BART, which says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.tensor.random.basic import NormalRV

from bayescausal.model.forests.op import forest_at
from bayescausal.model.forests.prior import forest_of
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

__all__ = ["is_path", "path_call", "written_forest"]


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


def written_forest(variable: TensorVariable) -> tuple[Variable, str]:
    """Return the covariates of a forest, and what else a node of PyMC-BART is told.

    Of `Y` only mean and standard deviation count, so three numbers with both stand for it.
    """
    node = forest_at(variable)
    assert node is not None
    x, forest = node.inputs
    shape = forest_of(forest)
    far = shape.spread * np.sqrt(1.5)
    numbers = ", ".join(f"{v:.12g}" for v in (shape.constant - far, shape.constant,
                                              shape.constant + far))  # fmt: skip
    options = f"np.array([{numbers}]), m={shape.trees}, alpha={shape.alpha:g}, beta={shape.beta:g}"
    if shape.weights:
        options += f", split_prior=np.array({[float(w) for w in shape.weights]})"
    return x, options
