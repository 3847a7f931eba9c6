"""Flow of a target trial.

Who was eligible, who was left out and why, and who took which treatment.
"""

import numpy as np
import pandas as pd

import bayescausal as bc


def figure():
    rng = np.random.default_rng(1)
    sick = rng.normal(size=800)
    dies = rng.exponential(200 / np.exp(0.5 * sick))
    starts = rng.exponential(150 / np.exp(0.4 * sick))
    ids = np.arange(800)
    visits = pd.DataFrame({"id": ids, "day": 0.0, "type": "visit", "value": sick})
    drug = pd.DataFrame({"id": ids, "day": starts, "type": "drug"})
    drug = drug[(starts < dies) & (starts < 365)]
    death = pd.DataFrame({"id": ids, "day": dies, "type": "death"})[dies < 365]
    design = bc.designs.target_trial(
        pd.concat([visits, drug, death]),
        time="day", value="value", time_zero="visit", eligibility={"visit": (-2, 2)},
        treatment="drug", outcome="death", baseline=["visit"], grace=30, follow_up=300,
    )  # fmt: skip
    return design.plots["flow"]().figure
