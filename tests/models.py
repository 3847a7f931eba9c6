"""Models that several files of tests ask about; a model of one file stands there."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt


def pair() -> pm.Model:
    """``x -> y`` without an unknown: the effect of x is 1."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    return model


def slope() -> pm.Model:
    """``x -> y``, whose effect is the unknown b."""
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", b * x, 1, dims="unit")
    return model


def logistic() -> pm.Model:
    """A logistic regression of t on x."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Bernoulli("t", logit_p=pm.Normal("a") + pm.Normal("b") * x, dims="unit")
    return model


def four_units(**coords: range) -> pm.Model:
    """An empty model of four units."""
    return pm.Model(coords={"unit": range(4), **coords})


def gaussian_process() -> pm.Model:
    """A function of z, drawn at all units together."""
    with four_units() as model:
        z = pm.Data("z", np.arange(4.0), dims="unit")
        f = pm.MvNormal("f", pt.zeros(4), pt.exp(-((z[:, None] - z) ** 2)), dims="unit")
        pm.Normal("y", f, 1, dims="unit")
    return model


def autoregressive_latent() -> pm.Model:
    """A latent autoregression, seen with noise."""
    with pm.Model(coords={"time": range(5)}) as model:
        x = pm.AR("x", rho=[0.5], sigma=1.0, init_dist=pm.Normal.dist(0, 1), steps=4, dims="time")
        pm.Normal("y", x, 1, dims="time")
    return model


def zero_sum() -> pm.Model:
    """Effects of the units that sum to zero."""
    with four_units() as model:
        a = pm.ZeroSumNormal("a", 1, dims="unit")
        pm.Normal("y", a, 1, dims="unit")
    return model
