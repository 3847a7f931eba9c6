"""A formula evaluated on sparse cells: the prior must not drown the data, and thin data are said.

The kind of fault: something is added to, or concluded from, each cell of a table without asking how
many cells there are. One pseudo-count in each cell of the full table weighed more than the rows.

Siblings that were looked at: `instrument_bounds` (the same table: mended); the tests of `falsify`
(G needs expected counts of five, thin strata go to CMH, then to residuals; G asked for by name on a
thin table now says so); `overlap` (no counts: propensities of the model, balance weighted by
them); `compress` and conjugate counts (exact sums of equal rows; the prior is the user's); front
doors (sets of the graph; their formula is evaluated here).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayescausal.checks.falsification.independence_tests import check_independence
from bayescausal.checks.falsification.regression import Column
from bayescausal.effects.without_model.instrument_bounds import instrument_bounds
from bayescausal.effects.without_model.plug_in import plug_in
from bayescausal.effects.without_model.read_table import read_cells
from bayescausal.graph import identify
from bayescausal.types import DataError, SparseTableWarning

BACK_DOOR = "z -> x -> y; z -> y"


def confounded(levels, rows, seed=1):
    """y = .5 x + z / levels + a coin; x more often 1 where z is large."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, levels, rows)
    x = rng.binomial(1, 0.2 + 0.6 * z / levels)
    return pd.DataFrame({"z": z, "x": x, "y": 0.5 * x + z / levels + rng.integers(0, 2, rows)})


def standardised(data):
    """The back-door formula on the shares, over strata in which both arms are."""
    means = data.pivot_table("y", "z", "x").dropna()
    weights = data.z.value_counts().loc[means.index]
    return float(np.average(means[1] - means[0], weights=weights))


def test_the_prior_does_not_grow_with_the_table():
    """x, y two-valued, z of 2 levels, of which 100 or 2,000 are said to be possible: the levels
    that nobody has leave the answer where it was. The total weight of the prior is 8 rows of 4,000,
    so the most that it can move a mean is 8 / 4,000 of the range 1 of y."""
    rng = np.random.default_rng(2)
    z = rng.integers(0, 2, 4000)
    x = rng.binomial(1, 0.3 + 0.4 * z)
    y = rng.binomial(1, 0.2 + 0.3 * x + 0.2 * z)
    data = pd.DataFrame({"z": z, "x": x, "y": y})
    verdict = identify(BACK_DOOR, "x", "y")
    shares = float(plug_in(verdict, data, empirical=True))
    for many in (2, 100, 2000):
        draws = 150
        found = plug_in(verdict, data, levels={"z": range(many)}, seed=1, draws=draws)
        error = 4 * found.sd() / np.sqrt(draws)
        assert float(found) == pytest.approx(shares, abs=8 / 4000 + error), many
        assert ("8 pseudo-counts in all" in found.notes[0]) == (many > 2)


def test_a_confounder_of_a_hundred_levels():
    data = confounded(100, 2000)
    # y has half-steps of z / 100: as a number of few values the outcome is a coin here
    data["y"] = (data.y > np.median(data.y)).astype(int)
    with pytest.warns(SparseTableWarning, match="200 combinations of x, z"):
        found = plug_in(identify(BACK_DOOR, "x", "y"), data, seed=1, draws=1000)
    assert any("sparse" in note for note in found.notes)
    # Strata with one arm only have the prior's answer; the rest is the shares'. Tolerance: the
    # share of rows without another arm (the prior's answer is within 1), and 4 sd of 1,000 draws.
    table = data.groupby(["z", "x"]).size().unstack(fill_value=0)
    alone = table[(table == 0).any(axis=1)].to_numpy().sum() / 2000
    tolerance = alone + 8 / 2000 + 4 * found.sd() / np.sqrt(1000)
    assert tolerance < 0.1
    assert float(found) == pytest.approx(standardised(data), abs=tolerance)


def test_an_outcome_of_many_values_keeps_its_mean():
    """The mean of y, two arms without confounding: the difference of the arms' means, moved by at
    most 8 / 2000 of y's range."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, 2000)
    data = pd.DataFrame({"x": x, "y": rng.poisson(10 + 5 * x)})
    found = plug_in(identify("x -> y", "x", "y"), data, seed=1, draws=1000)
    gap = data.groupby("x").y.mean().diff().iloc[1]
    tolerance = 8 / 2000 * np.ptp(data.y) + 4 * found.sd() / np.sqrt(1000)
    assert float(found) == pytest.approx(gap, abs=tolerance)


@pytest.mark.parametrize("empirical", [False, True])
@pytest.mark.parametrize("which", ["x", "y", "z"])
def test_continuous_data_are_refused(which, empirical):
    rng = np.random.default_rng(4)
    data = {n: rng.integers(0, 2, 2000) for n in "xyz"}
    data[which] = rng.normal(size=2000)
    data["y"] = data["y"] if which == "y" else 2 * data["x"] > 0
    data["y"] = np.asarray(data["y"], dtype=float)
    verdict = identify(BACK_DOOR, "x", "y")
    with pytest.raises(DataError, match=f"{which} has 2,000 different values in 2,000 rows"):
        plug_in(verdict, data, empirical=empirical, treated=data["x"][0], control=data["x"][1])
    with pytest.raises(DataError, match="Bin"):
        instrument_bounds(data, "z", "x", "y")


def test_what_is_discrete_is_not_refused():
    """Counts of many values, halves, labels, levels that are named, shares and small tables."""
    rng = np.random.default_rng(5)
    for column in (
        rng.poisson(50, 2000),
        rng.integers(0, 8, 60) / 2,
        rng.choice(list("abcdefgh"), 50),
        np.arange(15),
        np.array([0.3, 0.1, 0.7]),
    ):
        assert read_cells({"x": column}, ["x"]).counts.sum() == len(column)
    many = rng.normal(size=30)
    read_cells({"x": many}, ["x"], levels={"x": many})
    read_cells({"x": many, "p": np.full(30, 1 / 30)}, ["x"], count="p")
    read_cells({"x": many, "n": np.full(30, 50)}, ["x"], count="n")
    with pytest.raises(DataError, match="not discrete"):
        read_cells({"x": many, "n": np.ones(30)}, ["x"], count="n")


def test_an_arm_without_rows_is_warned_of():
    """Half of the rows are in z = 1, where no unit has x = 1."""
    z, x = np.repeat([0, 0, 1], [50, 50, 100]), np.repeat([0, 1, 0], [50, 50, 100])
    data = {"z": z, "x": x, "y": np.tile([0, 1], 100)}
    with pytest.warns(SparseTableWarning, match=r"1 of the 4 combinations.* for 50.0% of the rows"):
        found = plug_in(identify(BACK_DOOR, "x", "y"), data, seed=1)
    # z = 1: E[y | x=1] is uniform under one pseudo-count each, variance 1 / 12, weight about 1/2
    assert found.sd() == pytest.approx(np.sqrt(1 / 12) / 2, rel=0.1)


def test_full_tables_are_not_warned_of():
    rng = np.random.default_rng(6)
    data = {n: rng.integers(0, 2, 400) for n in "xyz"}
    found = plug_in(identify(BACK_DOOR, "x", "y"), data, seed=1, draws=50)
    assert len(found.notes) == 1


def test_the_spread_that_is_lost_is_what_is_said():
    """Strata of m rows: the draws' variance of a mean is (m - 1) / (m + 1) of the estimate's, as
    the Bayesian bootstrap's. 40 strata of 6 rows: sd smaller by 1 - sqrt(5 / 7) = 15%."""
    z = np.repeat(np.arange(20), 12)
    x = np.tile(np.repeat([0, 1], 6), 20)
    y = np.random.default_rng(7).integers(0, 2, 240)
    with pytest.warns(SparseTableWarning, match="about 15% too small"):
        found = plug_in(identify(BACK_DOOR, "x", "y"), {"z": z, "x": x, "y": y}, seed=1, draws=4000)
    table = pd.DataFrame({"z": z, "x": x, "y": y}).groupby(["z", "x"]).y.var(ddof=1)
    right = np.sqrt(2 * table.mean() / 6 / 20)
    means = pd.DataFrame({"z": z, "x": x, "y": y}).pivot_table("y", "z", "x")
    between = (means[1] - means[0]).var() / 240  # of the strata's weights
    assert found.sd() == pytest.approx(np.sqrt(right**2 * 5 / 7 + between), rel=0.12)
    assert found.sd() < 0.95 * right


def test_draws_of_tiny_shapes_have_the_right_moments():
    """p of an empty cell among K is Beta(a, n + 8 - a): its mean a / (n + 8); none is zero."""
    data = {"x": np.repeat([0, 1], 50)}
    cells = read_cells(data, ["x"], levels={"x": range(2000)})
    (p,) = cells.posterior(1000, 1.0, 1)
    assert (p > 0).all()
    empty = p[:, 2:].sum(axis=1)
    a, b = 8 * 1998 / 2000, 100 + 8 * 2 / 2000
    sd = np.sqrt(a * b / (a + b) ** 2 / (a + b + 1))
    assert empty.mean() == pytest.approx(a / (a + b), abs=4 * sd / np.sqrt(1000))
    assert empty.std() == pytest.approx(sd, rel=4 / np.sqrt(2000))


def test_bounds_by_an_instrument_of_several_levels():
    """Three values of an instrument, an outcome of three: the bounds hold the truth, and are those
    of the shares but for the noise of the arms."""
    rng = np.random.default_rng(8)
    rows = 4000
    z, u = rng.integers(0, 3, rows), rng.random(rows)
    x = (u < 0.3 + 0.1 * z).astype(int)
    y = rng.binomial(2, 0.2 + 0.3 * x)
    data = {"z": z, "x": x, "y": y}
    found = instrument_bounds(data, "z", "x", "y", seed=1, draws=60)
    shares = instrument_bounds(data, "z", "x", "y", empirical=True)
    for side in ("lower", "upper"):
        value = float(np.mean(getattr(found, side)["difference"]))
        other = float(getattr(shares, side)["difference"][0])
        # the best of three noisy bounds moves inwards by about one sd of an arm: 1 / sqrt(1300)
        # each of two worlds; the prior by 8 / 4,000 of the range
        assert value == pytest.approx(other, abs=2 * 2 / np.sqrt(1300) + 2 * 8 / 4000)
    assert float(np.mean(found.lower["difference"])) < 0.6
    assert float(np.mean(found.upper["difference"])) > 0.6


def test_an_instrument_of_thin_levels_is_warned_of():
    z = np.repeat(np.arange(9), 8)
    x, y = np.tile([0, 1], 36), np.tile([0, 0, 1, 1], 18)
    with pytest.warns(SparseTableWarning, match="9 combinations of z"):
        instrument_bounds({"z": z, "x": x, "y": y}, "z", "x", "y", seed=1, draws=4)


def test_g_on_a_thin_table_says_so():
    """300 rows in 50 strata of 2 x 2: six rows a stratum, 1.5 a cell."""
    rng = np.random.default_rng(9)
    x, y = (Column(n, rng.integers(0, 2, 300), True) for n in "xy")
    z = Column("z", rng.permutation(np.arange(300) % 50), True)
    found = check_independence([x], [y], [z], method="G")
    assert "expect fewer than 5 rows" in found.note
    assert np.isfinite(found.p_value)
    assert check_independence([x], [y], method="G").note == ""
    assert check_independence([x], [y], [z]).method == "CMH"
