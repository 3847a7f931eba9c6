"""Rules of treatment over time.

Dynamic regimes compared with never treating: a rule stands where a level would, and
what follows each decision is recomputed.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"pain_1": rng.normal(5, 1, 800)})
    for k in (1, 2):
        chance = 1 / (1 + np.exp(5 - data[f"pain_{k}"]))
        data[f"drug_{k}"] = (rng.random(800) < chance).astype(int)
        kept = 1 + 0.8 * data[f"pain_{k}"] - data[f"drug_{k}"]
        data[f"pain_{k + 1}"] = rng.normal(kept, 0.5)
    formulas = ["pain_1 ~ 1", "drug_1 ~ pain_1", "pain_2 ~ pain_1 + drug_1"]
    formulas += ["drug_2 ~ pain_2", "pain_3 ~ pain_2 + drug_2"]
    families = {"drug_1": "bernoulli", "drug_2": "bernoulli"}
    model = bc.model_from_formulas(formulas, families=families, data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)

    worse = {
        "drug_1": bc.Policy(lambda pain_1: pain_1 > 5),
        "drug_2": bc.Policy(lambda pain_2: pain_2 > 5),
    }
    rules = {
        "always": {"drug_1": 1, "drug_2": 1},
        "where pain is above 5": worse,
        "at the first visit": {"drug_1": 1, "drug_2": 0},
    }
    never = {"drug_1": 0, "drug_2": 0}
    effects = {
        name: bc.estimate(fit, bc.Contrast("pain_3", rule, never), seed=1)
        for name, rule in rules.items()
    }
    return bc.plot_forest(effects).figure
