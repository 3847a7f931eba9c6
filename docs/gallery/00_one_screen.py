"""The one screen.

The graph of the coating model, and the effect beside the naive difference and the
truth: the picture of the landing page.
"""

import matplotlib.pyplot as plt

import bayescausal as bc
from bayescausal import datasets


def figure():
    world = datasets.coating()
    data = bc.simulate(world.model, world.truth, units=1000, seed=3)
    naive = data.groupby("dilution")["coating"].mean().diff()[1]
    fit = bc.fit(world.model, data, seed=4, progressbar=False)
    ate = bc.estimate(fit, bc.ATE("dilution", "coating"))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.6, 3.6), width_ratios=[1, 1.25], layout="constrained"
    )
    bc.plot_graph(world.model, treatment="dilution", outcome="coating", ax=left)
    bc.plot_effect(ate, ax=right, reference=None, truth=world.truth["b_dc"])
    right.axvline(naive, color="0.45", lw=1.4, ls="--")
    top = right.get_ylim()[1]
    right.annotate(
        f"naive difference\n{naive:.2f}", (naive, top * 0.75), xytext=(-6, 0),
        textcoords="offset points", ha="right", va="center", color="0.35",
    )  # fmt: skip
    right.set_xlim(right.get_xlim()[0], naive + 0.02)
    return figure
