"""A dose response.

The average outcome along a dose, with bands; the curve is a natural spline of a
formula model.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"age": rng.uniform(20, 70, 300)})
    data["dose"] = rng.uniform(0, 4, 300)
    data["relief"] = rng.normal(np.sin(data["dose"]) + data["age"] / 50, 0.3)
    model = bc.model_from_formulas(["relief ~ ns(dose, 4) + age"], data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)
    values = np.linspace(0, 4, 25).tolist()
    curve = bc.estimate(
        fit, bc.DoseResponse("dose", "relief", values=values, control=0), seed=1
    )
    return bc.plot_dose_response(curve).figure
