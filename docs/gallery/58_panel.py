"""Treatment over time.

The effect at each visit of being treated always against never, where treatment follows
the state of the patient and changes it.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(5)
    n, rows = 600, []
    state, dose, pain = rng.normal(size=n), np.zeros(n), np.zeros(n)
    for t in range(1, 4):
        state = 0.6 * state - 0.5 * dose + rng.normal(0, 0.6, n)
        dose = 0.8 * state + 0.3 * dose + rng.normal(0, 0.7, n)
        pain = 0.4 * pain + state - 0.3 * dose + rng.normal(0, 0.5, n)
        visit = {"id": range(n), "visit": t, "state": state, "dose": dose, "pain": pain}
        rows.append(pd.DataFrame(visit))
    design = bc.designs.panel(
        pd.concat(rows), outcome="pain", treatment="dose", unit="id", time="visit",
        covariates="state",
    )  # fmt: skip
    fit = bc.fit(design, seed=1, progressbar=False)
    return design.plots["by_time"](fit).figure
