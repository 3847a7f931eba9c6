"""A posterior whose effect differs between groups and levels, for the tests of what moves."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayescausal as bc
from bayescausal.draws.digits import numbers


def moving_fit(units, draws, more=()):
    """Return an exact posterior in which the effect of x differs by s and grows with x."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"z": rng.normal(size=units), "s": rng.choice(["f", "m"], units)})
    data["x"] = data["z"] + rng.normal(size=units)
    male = (data["s"] == "m") * 1.0
    data["y"] = data["x"] * (1 + male) + 0.3 * data["x"] ** 2 + data["z"] + rng.normal(size=units)
    model = bc.model_from_formulas([*more, "x ~ z", "y ~ x * s + I(x**2) + z"], data=data)
    return bc.fit(model, data, seed=3, draws=draws, chains=2, progressbar=False)


def as_shown(effect, level=0.94):
    """Return mean and ends as they are written, from the effect alone."""
    ends = effect.interval(level)
    return numbers(float(effect.sd()), float(effect), *ends, ends=True, apart=[effect.null])
