"""Columns far from zero for their spread: a shift of a column changes no effect.

Products of raw columns lose twice the digits that the columns share with the constant: two-stage
least squares was wrong in the fourth digit at 3e5, and columns from there on were refused as if
they did not vary.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc

N = 300
FAR = [1e3, 1e5, 3e5, 1e8]


def table(at: float) -> pd.DataFrame:
    """Return a table of which three columns and the dose stand far from zero."""
    rng = np.random.default_rng(3)
    w, u, z = rng.normal(size=N), rng.normal(size=N), rng.integers(0, 2, N)
    v = w + rng.normal(size=N)
    t = ((z + w + u + rng.normal(size=N)) > 0.5).astype(int)
    d = z + w + u + rng.normal(size=N)
    m = t + rng.normal(size=N)
    # in steps of 2^-12, so that a shift by a whole number loses no digit
    w, v, d, m = (np.round(c * 4096) / 4096 for c in (w, v, d, m))
    y = 2 * d + w + v + u + m
    return pd.DataFrame(
        {"z": z, "t": t, "w": w + at, "v": v + at, "d": d + at, "m": m + at, "y": y}
    )


ASKED = {
    "regression": ("w -> t -> y; w -> y; v -> t; v -> y", bc.ATE("t", "y")),
    "standardization": ("w -> t -> y; w -> y; v -> t; v -> y", bc.ATE("t", "y")),
    "stratified": ("w -> t -> y; w -> y; v -> t; v -> y", bc.ATE("t", "y")),
    "aipw": ("w -> t -> y; w -> y; v -> t; v -> y", bc.ATE("t", "y")),
    "ipw": ("w -> t -> y; w -> y; v -> t; v -> y", bc.ATE("t", "y")),
    "matching": ("w -> t -> y; w -> y; v -> t; v -> y", bc.ATE("t", "y")),
    "front_door": ("t -> m -> y; t <-> y", bc.ATE("t", "y")),
    "two_stage_least_squares": (
        "w -> z -> d -> y; w -> d; w -> y; v -> z; v -> d; v -> y; d <-> y",
        bc.ATE("d", "y"),
    ),
}


def answer(name: str, at: float, asked: bc.Estimand | None = None) -> float:
    graph, question = ASKED[name]
    asked = asked or question
    found = bc.triangulate(graph, asked, data=table(at), estimators=[name], draws=2, seed=1)
    return found.answers[name].points[0]


@pytest.mark.parametrize("name", sorted(ASKED))
def test_where_a_column_has_its_zero_changes_no_effect(name):
    near = answer(name, 0.0)
    for at in FAR:
        assert answer(name, at) == pytest.approx(near, rel=1e-9)


def test_two_stage_least_squares_of_far_columns_solves_the_moment_equations():
    near = table(0.0)
    held = np.column_stack([np.ones(N), near["w"], near["v"]])
    moments = np.column_stack([held, near["z"]])
    slope = np.linalg.solve(moments.T @ np.column_stack([held, near["d"]]), moments.T @ near["y"])
    for at in FAR:
        found = answer("two_stage_least_squares", at, bc.ATE("d", "y", treated=at + 3, control=at))
        assert found == pytest.approx(3 * slope[-1], rel=1e-9)


def test_the_regression_of_a_far_dose_is_least_squares():
    near, graph = table(0.0), "w -> d -> y; w -> y"
    held = np.column_stack([np.ones(N), near["w"], near["d"]])
    slope = np.linalg.lstsq(held, near["y"], rcond=None)[0][-1]
    for at in FAR:
        asked = bc.ATE("d", "y", treated=at + 3, control=at)
        found = bc.triangulate(graph, asked, data=table(at), estimators="regression", draws=2)
        assert found.answers["regression"].points[0] == pytest.approx(3 * slope, rel=1e-9)
