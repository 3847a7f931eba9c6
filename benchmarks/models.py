"""The models that are measured, and data from them. Plain PyMC: nothing of ours is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MODELS", "Case", "chain_of"]


@dataclass(frozen=True)
class Case:
    """A model with data of any size, and the question that is asked.

    Attributes
    ----------
    model : callable
        From the number of units to a generative ``pm.Model``.
    data : callable
        From a generator and a number of units to columns.
    treatment, outcome : str
    read : callable
        From draws by name, shape (draw, ...), and the columns to the average effect of each draw,
        as one who knows the model reads it off the coefficients.
    """

    model: Callable[[int], Any]
    data: Callable[[np.random.Generator, int], dict[str, np.ndarray]]
    treatment: str
    outcome: str
    read: Callable[[dict[str, np.ndarray], dict[str, np.ndarray]], np.ndarray]


def _coating(n: int) -> Any:
    import pymc as pm

    with pm.Model(coords={"unit": np.arange(n)}) as model:
        humid = pm.Normal("humid", 0, 1, dims="unit")
        b_d0, b_hd = pm.Normal("b_d0"), pm.Normal("b_hd")
        dilution = pm.Bernoulli("dilution", logit_p=b_d0 + b_hd * humid, dims="unit")
        b_c0, b_dc, b_hc = pm.Normal("b_c0"), pm.Normal("b_dc"), pm.Normal("b_hc")
        sigma = pm.HalfNormal("sigma")
        pm.Normal("coating", b_c0 + b_dc * dilution + b_hc * humid, sigma, dims="unit")
    return model


def _coating_data(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    humid = rng.normal(size=n)
    dilution = rng.binomial(1, _expit(0.49 - 0.39 * humid))
    coating = 0.51 - 0.42 * dilution - 0.54 * humid + 0.2 * rng.normal(size=n)
    return {"humid": humid, "dilution": dilution, "coating": coating}


def _linear(n: int) -> Any:
    import pymc as pm

    with pm.Model(coords={"unit": np.arange(n)}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a0, a1, s = pm.Normal("a0"), pm.Normal("a1"), pm.HalfNormal("s")
        x = pm.Normal("x", a0 + a1 * z, s, dims="unit")
        b0, b1, b2, t = pm.Normal("b0"), pm.Normal("b1"), pm.Normal("b2"), pm.HalfNormal("t")
        pm.Normal("y", b0 + b1 * x + b2 * z, t, dims="unit")
    return model


def _linear_data(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    z = rng.normal(size=n)
    x = 0.2 + 0.8 * z + rng.normal(size=n)
    return {"z": z, "x": x, "y": 1.0 + 0.5 * x - 0.7 * z + 0.5 * rng.normal(size=n)}


def _discrete(n: int) -> Any:
    import pymc as pm

    with pm.Model(coords={"unit": np.arange(n), "size": [0, 1], "arm": [0, 1]}) as model:
        p = pm.Beta("p", 1, 1)
        large = pm.Bernoulli("large", p, dims="unit")
        q = pm.Beta("q", 1, 1, dims="size")
        treatment = pm.Bernoulli("treatment", q[large], dims="unit")
        r = pm.Beta("r", 1, 1, dims=("arm", "size"))
        pm.Bernoulli("success", r[treatment, large], dims="unit")
    return model


def _discrete_data(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    large = rng.binomial(1, 0.49, size=n)
    treatment = rng.binomial(1, np.array([0.24, 0.77])[large])
    success = rng.binomial(1, np.array([[0.87, 0.69], [0.93, 0.73]])[treatment, large])
    return {"large": large, "treatment": treatment, "success": success}


def _mixed(n: int) -> Any:
    import pymc as pm

    with pm.Model(coords={"unit": np.arange(n)}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a0, a1 = pm.Normal("a0"), pm.Normal("a1")
        x = pm.Bernoulli("x", logit_p=a0 + a1 * z, dims="unit")
        b0, b1, b2 = pm.Normal("b0"), pm.Normal("b1"), pm.Normal("b2")
        pm.Bernoulli("y", logit_p=b0 + b1 * x + b2 * z, dims="unit")
    return model


def _mixed_data(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    z = rng.normal(size=n)
    x = rng.binomial(1, _expit(0.3 + 0.5 * z))
    return {"z": z, "x": x, "y": rng.binomial(1, _expit(-0.5 + 0.8 * x - 0.6 * z))}


def _expit(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def _read_discrete(draws: dict[str, np.ndarray], data: dict[str, np.ndarray]) -> np.ndarray:
    share = data["large"].mean()
    r = draws["r"]
    return np.asarray((r[:, 1] - r[:, 0]) @ np.array([1 - share, share]))


def _read_mixed(draws: dict[str, np.ndarray], data: dict[str, np.ndarray]) -> np.ndarray:
    found = []
    for b0, b1, b2 in zip(draws["b0"], draws["b1"], draws["b2"], strict=True):
        line = b0 + b2 * data["z"]
        found.append(np.mean(_expit(line + b1) - _expit(line)))
    return np.array(found)


MODELS = {
    "coating": Case(_coating, _coating_data, "dilution", "coating", lambda draws, _: draws["b_dc"]),
    "linear": Case(_linear, _linear_data, "x", "y", lambda draws, _: draws["b1"]),
    "discrete": Case(_discrete, _discrete_data, "treatment", "success", _read_discrete),
    "mixed": Case(_mixed, _mixed_data, "x", "y", _read_mixed),
}


def chain_of(nodes: int, *, binary: int = 0) -> tuple[Any, dict[str, float]]:
    """Return a chain ``v0 -> v1 -> ...`` with a common cause ``v0`` of the last, and parameters.

    Parameters
    ----------
    nodes : int
    binary : int
        How many of the nodes after the first two are two-valued.

    Returns
    -------
    model : pm.Model
    parameters : dict of str to float
    """
    import pymc as pm

    parameters: dict[str, float] = {}
    with pm.Model(coords={"unit": [0]}) as model:
        values = [pm.Normal("v0", 0, 1, dims="unit")]
        for i in range(1, nodes):
            slope = pm.Normal(f"b{i}")
            parameters[f"b{i}"] = 0.5
            mean = slope * values[-1]
            if i == nodes - 1 and nodes > 2:
                mean = mean + pm.Normal("c") * values[0]
                parameters["c"] = 0.3
            if 2 <= i < 2 + binary:
                values.append(pm.Bernoulli(f"v{i}", logit_p=mean, dims="unit"))
            else:
                sigma = pm.HalfNormal(f"s{i}")
                parameters[f"s{i}"] = 1.0
                values.append(pm.Normal(f"v{i}", mean, sigma, dims="unit"))
    return model, parameters
