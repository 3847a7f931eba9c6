"""The fit that the gallery's scripts share: parts of a workshop, linear and so exact."""

import functools

import numpy as np
import pandas as pd

import bayescausal as bc


@functools.cache
def coating_fit():
    """Return the fit of 400 coated parts."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"humid": rng.normal(size=400)})
    data["dilution"] = rng.normal(-0.7 * data["humid"], 0.7)
    data["coating"] = rng.normal(0.5 - 0.42 * data["dilution"] - 0.54 * data["humid"], 0.2)
    formulas = ["humid ~ 1", "dilution ~ humid", "coating ~ dilution + humid"]
    model = bc.model_from_formulas(formulas, data=data)
    return bc.fit(model, data, seed=1, progressbar=False)
