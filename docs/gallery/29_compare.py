"""Models compared.

How well each predicts units it has not seen, and the effect that it gives.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"humid": rng.normal(size=200)})
    data["dilution"] = rng.normal(-0.7 * data["humid"], 0.7)
    data["coating"] = rng.normal(-0.4 * data["dilution"] - 0.3 * data["humid"], 0.5)
    fits = {}
    for name in ("dilution + humid", "dilution", "dilution * humid"):
        formulas = ["humid ~ 1", "dilution ~ humid", f"coating ~ {name}"]
        model = bc.model_from_formulas(formulas, data=data)
        fits[name] = bc.fit(model, data, seed=1, progressbar=False)
    return bc.compare(fits, bc.ATE("dilution", "coating")).plot().figure
