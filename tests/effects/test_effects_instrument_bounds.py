"""Balke-Pearl bounds: published values, the programs one by one, the closed form, refutation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from bayescausal.effects.without_model.instrument_bounds import instrument_bounds
from bayescausal.effects.without_model.response_types import response_bounds, response_types
from bayescausal.types import DataError, EstimandError, IdentificationError, UnknownVariableError

VITAMIN_A = {
    "z": [0, 0, 1, 1, 1, 1],
    "x": [0, 0, 0, 0, 1, 1],
    "y": [0, 1, 0, 1, 0, 1],
    "n": [74, 11514, 34, 2385, 12, 9663],
}


def laws(seed, shape, draws=30, sharpness=1.0):
    """Return P(x, y | z) of random instruments: random shares of response types."""
    rng = np.random.default_rng(seed)
    matrix, _ = response_types(*shape, np.arange(shape[2], dtype=float))
    shares = rng.dirichlet(np.full(matrix.shape[1], sharpness), size=draws)
    return (shares @ matrix.T).reshape(draws, *shape)


def by_programs(p, score, treated, control):
    """Solve both programs for one law by HiGHS, with nothing shared between laws."""
    matrix, values = response_types(*p.shape, score)
    cost = values[treated] - values[control]
    ends = [
        sign * linprog(sign * cost, A_eq=matrix, b_eq=p.ravel(), method="highs").fun
        for sign in (1, -1)
    ]
    return ends


def closed_form(p):
    """Balke and Pearl (1997), equation 9: eight terms for each end; p[z, x, y]."""

    def q(y, x, z):
        return p[z, x, y]

    lower = [
        q(1, 1, 1) + q(0, 0, 0) - 1,
        q(1, 1, 0) + q(0, 0, 1) - 1,
        q(1, 1, 0) - q(1, 1, 1) - q(1, 0, 1) - q(0, 1, 0) - q(1, 0, 0),
        q(1, 1, 1) - q(1, 1, 0) - q(1, 0, 0) - q(0, 1, 1) - q(1, 0, 1),
        -q(0, 1, 1) - q(1, 0, 1),
        -q(0, 1, 0) - q(1, 0, 0),
        q(0, 0, 1) - q(0, 1, 1) - q(1, 0, 1) - q(0, 1, 0) - q(0, 0, 0),
        q(0, 0, 0) - q(0, 1, 0) - q(1, 0, 0) - q(0, 1, 1) - q(0, 0, 1),
    ]
    upper = [
        1 - q(0, 1, 1) - q(1, 0, 0),
        1 - q(0, 1, 0) - q(1, 0, 1),
        -q(0, 1, 0) + q(0, 1, 1) + q(0, 0, 1) + q(1, 1, 0) + q(0, 0, 0),
        -q(0, 1, 1) + q(1, 1, 1) + q(0, 0, 1) + q(0, 1, 0) + q(0, 0, 0),
        q(1, 1, 1) + q(0, 0, 1),
        q(1, 1, 0) + q(0, 0, 0),
        -q(1, 0, 1) + q(1, 1, 1) + q(0, 0, 1) + q(1, 1, 0) + q(1, 0, 0),
        -q(1, 0, 0) + q(1, 1, 0) + q(0, 0, 0) + q(1, 1, 1) + q(1, 0, 1),
    ]
    return max(lower), min(upper)


# --------------------------------------------------------------------------- known answers


def test_vitamin_a_is_as_published():
    found = instrument_bounds(VITAMIN_A, "z", "x", "y", count="n", empirical=True)
    table = found.summary()
    assert table.iloc[0]["lower"] == pytest.approx(-0.19462285, abs=1e-8)
    assert table.iloc[0]["upper"] == pytest.approx(0.00539369, abs=1e-8)
    assert table.iloc[1][["lower", "upper"]].tolist() == pytest.approx([0.7990, 0.9990], abs=1e-4)
    assert table.iloc[2][["lower", "upper"]].tolist() == pytest.approx([0.9936, 0.9936], abs=1e-4)
    assert repr(found) == "E[y | do(x=1)] - E[y | do(x=0)]: between -0.1946 and 0.0054"


def test_vitamin_a_with_its_uncertainty():
    found = instrument_bounds(VITAMIN_A, "z", "x", "y", count="n", seed=1, draws=1000)
    assert len(found.lower["difference"]) == 1000
    assert (found.lower["difference"] <= found.upper["difference"]).all()
    low, high = found.interval(bound="lower")
    assert low < -0.1946 < high
    assert high - low < 0.03  # sd of a share of 0.2 among 12,094 rows: 0.0036
    row = found.summary().iloc[0]
    assert row["region_lb"] < row["lower"] < row["upper"] < row["region_ub"]
    assert "94% region" in repr(found)
    assert "23682 rows" in found.sentence()
    assert "<table" in found._repr_html_()
    again = instrument_bounds(VITAMIN_A, "z", "x", "y", count="n", seed=1, draws=1000)
    assert (again.lower["difference"] == found.lower["difference"]).all()


def test_binary_bounds_equal_the_closed_form():
    p = np.concatenate([laws(s, (2, 2, 2), 200, sharpness) for s, sharpness in ((1, 1), (2, 0.1))])
    lower, upper, possible = response_bounds(p, [0, 1], 1, 0)
    assert possible.all()
    for at, law in enumerate(p):
        low, high = closed_form(law)
        assert lower["difference"][at] == pytest.approx(low, abs=1e-7)
        assert upper["difference"][at] == pytest.approx(high, abs=1e-7)


def test_cells_of_tiny_shares_are_no_contradiction():
    """The presolve of HiGHS calls some of these programs infeasible; closed form for all."""
    for seed in range(2):
        p = (1 - 1e-7) * laws(seed, (2, 2, 2), 40, 0.02) + 1e-7 * laws(seed + 100, (2, 2, 2), 40)
        lower, upper, possible = response_bounds(p, [0, 1], 1, 0)
        assert possible.all()
        ends = np.array([closed_form(law) for law in p])
        found = np.stack([lower["difference"], upper["difference"]], axis=1)
        np.testing.assert_allclose(found, ends, atol=1e-7)


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 3)])
def test_shared_bases_equal_one_program_per_law(shape):
    p = laws(3, shape)
    score = np.arange(shape[2], dtype=float)
    lower, upper, possible = response_bounds(p, score, 1, 0)
    assert possible.all()
    for at, law in enumerate(p):
        low, high = by_programs(law, score, 1, 0)
        assert lower["difference"][at] == pytest.approx(low, abs=1e-7)
        assert upper["difference"][at] == pytest.approx(high, abs=1e-7)


def test_the_truth_lies_between():
    rng = np.random.default_rng(4)
    matrix, values = response_types(2, 2, 2, np.array([0.0, 1.0]))
    shares = rng.dirichlet(np.full(16, 0.3), size=300)
    p = (shares @ matrix.T).reshape(-1, 2, 2, 2)
    lower, upper, _ = response_bounds(p, [0, 1], 1, 0)
    for name, truth in (
        ("difference", shares @ (values[1] - values[0])),
        ("treated", shares @ values[1]),
        ("control", shares @ values[0]),
    ):
        assert (lower[name] <= truth + 1e-9).all()
        assert (truth <= upper[name] + 1e-9).all()


# ------------------------------------------------------------------------------ refutation


def test_the_instrumental_inequality_decides_what_is_possible():
    """For binary variables: max_x sum_y max_z P(x, y | z) <= 1."""
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.full(4, 0.5), size=(400, 2)).reshape(-1, 2, 2, 2)
    holds = (p.max(axis=1).sum(axis=2).max(axis=1)) <= 1
    assert 50 < holds.sum() < 350
    assert (response_bounds(p, [0, 1], 1, 0)[2] == holds).all()


def test_no_instrument_is_refused_and_a_doubtful_one_says_so():
    cells = list(itertools.product((0, 1), repeat=3))
    broken = {n: [c[i] for c in cells] for i, n in enumerate("zxy")}
    broken["n"] = [450, 10, 30, 10, 10, 450, 10, 30]  # y follows z, x hardly moves
    with pytest.raises(IdentificationError, match="z is no instrument for x and y"):
        instrument_bounds(broken, "z", "x", "y", count="n", seed=1, draws=200)
    doubtful = {**broken, "n": [10, 4, 3, 2, 5, 10, 2, 3]}
    found = instrument_bounds(doubtful, "z", "x", "y", count="n", seed=1, draws=500)
    assert 0.001 < found.refuted < 0.95
    assert "could come from no instrument" in found.sentence()


# -------------------------------------------------------------------------------- options


def test_events_words_and_other_contrasts():
    words = {**VITAMIN_A, "y": ["died", "lived"] * 3}
    found = instrument_bounds(words, "z", "x", "y", count="n", event="lived", empirical=True)
    assert found.summary().iloc[0]["upper"] == pytest.approx(0.00539369, abs=1e-8)
    assert repr(found).startswith("P(y=lived | do(x=1)) - ")
    turned = instrument_bounds(
        VITAMIN_A, "z", "x", "y", treated=0, control=1, count="n", empirical=True
    )
    assert turned.summary().iloc[0]["upper"] == pytest.approx(0.19462285, abs=1e-8)


def test_mistakes_are_named():
    def fails(error, words, *names, data=VITAMIN_A, **options):
        with pytest.raises(error, match=words):
            instrument_bounds(data, *(names or ("z", "x", "y")), **{"count": "n", **options})

    fails(EstimandError, "are not three", "z", "x", "x")
    fails(UnknownVariableError, "'q' is not a column", "z", "x", "q")
    fails(EstimandError, "x is never 3", treated=3)
    fails(EstimandError, "draws=0", draws=0)
    fails(EstimandError, "prior=-0.5", prior=-0.5)
    fails(EstimandError, "no mean", data={**VITAMIN_A, "y": ["a", "b"] * 3})
    fails(DataError, "shares, not counts", data={**VITAMIN_A, "n": [1 / 6] * 6})
    fails(DataError, "No unit has z=2", levels={"z": [0, 1, 2]}, empirical=True)
    fails(EstimandError, "response types", levels={"z": list(range(12)), "x": [0, 1, 2]})
    found = instrument_bounds(VITAMIN_A, "z", "x", "y", count="n", empirical=True)
    with pytest.raises(EstimandError, match="bound='middle'"):
        found.interval(bound="middle")
