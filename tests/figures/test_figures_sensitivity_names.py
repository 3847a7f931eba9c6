"""Names on the map of a hidden confounder do not cover each other.

The kind: text drawn over text. Siblings looked at: rows and forests (one line each), the legend
(above the axes), graphs (boxes of their own): only this picture writes beside points.
"""

from __future__ import annotations

from itertools import combinations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.transforms import Bbox

from bayescausal.figures.sensitivity import plot_surface


@pytest.mark.parametrize("count", [2, 4, 6])
def test_names_do_not_cover_each_other(count):
    gamma, delta = np.linspace(0, 1, 5), np.linspace(-1, 1, 7)
    mean = 0.5 - gamma[:, None] * delta
    near = {f"covariate {k}": (0.02 * k, 0.01 * k) for k in range(count)}
    points = {"far": (0.98, -0.97), **near}
    ax = plot_surface(gamma, delta, mean, mean - 0.2, points=points)
    ax.figure.draw_without_rendering()
    boxes = {t.get_text(): t.get_window_extent() for t in ax.texts}
    assert len(boxes) == count + 2
    for one, other in combinations(boxes, 2):
        both = Bbox.intersection(boxes[one], boxes[other])
        assert both is None or both.width * both.height < 1, (one, other)
    frame = ax.get_window_extent()
    assert all(b.x1 <= frame.x1 + 1 and b.x0 >= frame.x0 - 1 for b in boxes.values())
    plt.close(ax.figure)
