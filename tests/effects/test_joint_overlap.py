"""A dose within its range that units like these did not have: said where an equation bends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.effects.evaluation.extrapolation import support_notes


@pytest.fixture(scope="module")
def known():
    """Doses along a line in x, and doses at random, of the same range."""
    x = np.linspace(-2, 2, 200)
    along = x + 0.1 * np.sin(37 * x)
    data = pd.DataFrame(
        {"x": x, "dose": along, "free": np.random.default_rng(2).permutation(along), "y": 0.0}
    )
    fits = {}
    for name in ("dose", "free"):
        model = bc.model_from_formulas([f"y ~ bart({name}, x, m=3)"], data=data)
        fits[name] = bc.prior(model, data, draws=5, seed=1)
        object.__setattr__(fits[name], "kind", "posterior")
    straight = bc.model_from_formulas(["y ~ dose + x"], data=data)
    values = {"b_y_Intercept": 0.0, "b_y_dose": 1.0, "b_y_x": 1.0, "sigma_y": 1.0}
    return data, fits, bc.truth(straight, values, data)


def test_a_dose_that_units_like_these_did_not_have_is_said(known):
    """At dose 1.5 a unit is near the data if x is within some tenths of 1.5, by enumeration."""
    data, fits, _ = known
    [note] = support_notes(fits["dose"], bc.ATE("dose", "y", control=0.0, treated=1.5))
    rows = (data[["dose", "x"]] / data[["dose", "x"]].std(ddof=0)).to_numpy()
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2) + 9 * np.eye(200)
    limit, shares = apart.min(axis=1).max(), []
    for dose in (0.0, 1.5):
        moved = rows.copy()
        moved[:, 0] = dose / data["dose"].std(ddof=0)
        nearest = np.linalg.norm(moved[:, None] - rows[None], axis=2).min(axis=1)
        shares.append((nearest > limit).mean())
    assert max(shares) > 0.5
    share = f"Extrapolates: for {max(shares):.0%} of these units no unit near them in x had dose"
    assert note.startswith(share)


def test_nothing_is_said_of_doses_at_random_or_of_straight_lines(known):
    _, fits, straight = known
    assert support_notes(fits["free"], bc.ATE("free", "y", control=0.0, treated=1.0)) == ()
    assert support_notes(straight, bc.ATE("dose", "y", control=0.0, treated=1.5)) == ()


def test_beyond_the_data_a_forest_is_said_to_be_flat(known):
    _, fits, _ = known
    [note] = support_notes(fits["free"], bc.ATE("free", "y", control=0.0, treated=9.0))
    assert "The sum of trees in that of y stays flat there" in note
