"""Forests as code: nodes of PyMC-BART, which say the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayescausal.model.forests.op import forest_at
from bayescausal.model.forests.prior import forest_of

__all__ = ["written_forest"]


def written_forest(variable: Any) -> tuple[Any, str]:
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
