"""The distribution of a response given its linear predictor, one function for each family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

__all__ = [
    "bernoulli",
    "beta",
    "binomial",
    "categorical",
    "gamma",
    "gaussian",
    "lognormal",
    "negative_binomial",
    "ordinal",
    "poisson",
    "student",
]


def _inverse(link: str, eta: TensorVariable) -> TensorVariable:
    """Return the mean that a predictor stands for."""
    if link == "identity":
        return eta
    if link == "log":
        return pt.exp(eta)
    if link == "inverse":
        return 1 / eta
    if link == "logit":
        return pt.sigmoid(eta)
    if link == "probit":
        return 0.5 * (1 + pt.erf(eta / np.sqrt(2.0)))
    return 1 - pt.exp(-pt.exp(eta))  # cloglog


def gaussian(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.Normal(name, _inverse(link, eta), aux["sigma"], dims="unit")


def student(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.StudentT(name, aux["nu"], mu=_inverse(link, eta), sigma=aux["sigma"], dims="unit")


def bernoulli(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    if link == "logit":
        return pm.Bernoulli(name, logit_p=eta, dims="unit")
    return pm.Bernoulli(name, _inverse(link, eta), dims="unit")


def binomial(
    name: str,
    eta: TensorVariable,
    link: str,
    aux: Mapping[str, TensorVariable],
    *,
    trials: TensorVariable,
    **_: Any,
) -> TensorVariable:
    if link == "logit":
        return pm.Binomial(name, trials, logit_p=eta, dims="unit")
    return pm.Binomial(name, trials, _inverse(link, eta), dims="unit")


def poisson(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.Poisson(name, _inverse(link, eta), dims="unit")


def negative_binomial(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.NegativeBinomial(name, _inverse(link, eta), aux["alpha"], dims="unit")


def gamma(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.Gamma(name, aux["alpha"], aux["alpha"] / _inverse(link, eta), dims="unit")


def beta(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    mean = _inverse(link, eta)
    return pm.Beta(name, mean * aux["kappa"], (1 - mean) * aux["kappa"], dims="unit")


def lognormal(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.LogNormal(name, eta, aux["sigma"], dims="unit")


def categorical(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    return pm.Categorical(name, pm.math.softmax(eta, axis=-1), dims="unit")


def ordinal(
    name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
) -> TensorVariable:
    if link == "logit":
        return pm.OrderedLogistic(name, eta, aux["cutpoints"], compute_p=False, dims="unit")
    return pm.OrderedProbit(name, eta, aux["cutpoints"], compute_p=False, dims="unit")
