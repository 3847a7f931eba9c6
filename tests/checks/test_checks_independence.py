"""Tests of one independence: right level on data without it, power on data with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayescausal.checks.falsification.independence_tests import check_independence
from bayescausal.checks.falsification.regression import Column, design, residuals
from bayescausal.checks.falsification.variables import as_column
from bayescausal.types import DataError, EstimandError


def number(name, values):
    return Column(name, np.asarray(values, dtype=float), discrete=False)


def levels(name, values, ordered=True):
    return Column(name, np.asarray(values, dtype=float), discrete=True, ordered=ordered)


# ------------------------------------------------------------------- against known answers


def test_partial_correlation_equals_the_regression_t_test():
    rng = np.random.default_rng(3)
    z = rng.normal(size=60)
    x, y = z + rng.normal(size=60), z + rng.normal(size=60)
    found = check_independence(
        [number("x", x)], [number("y", y)], [number("z", z)], method="partial correlation"
    )
    # the t of x in the least-squares regression of y on 1, x, z: an identity
    matrix = np.column_stack([np.ones(60), x, z])
    beta, rss, *_ = np.linalg.lstsq(matrix, y)
    error = np.sqrt(rss[0] / 57 * np.linalg.inv(matrix.T @ matrix)[1, 1])
    assert found.statistic == pytest.approx(beta[1] / error, rel=1e-9)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(beta[1] / error), 57), rel=1e-9)
    marginal = check_independence([number("x", x)], [number("y", y)], method="partial correlation")
    assert marginal.p_value == pytest.approx(stats.pearsonr(x, y).pvalue, rel=1e-9)


def test_g_equals_scipy_and_adds_over_strata():
    rng = np.random.default_rng(4)
    z = rng.integers(0, 2, 600)
    x = rng.integers(0, 3, 600)
    y = (rng.random(600) < 0.3 + 0.1 * x + 0.2 * z).astype(int)
    marginal = check_independence([levels("x", x)], [levels("y", y)], method="G")
    table = pd.crosstab(x, y)
    known = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    assert marginal.statistic == pytest.approx(known.statistic, rel=1e-12)
    assert marginal.df == known.dof
    within = [
        stats.chi2_contingency(
            pd.crosstab(x[z == v], y[z == v]), correction=False, lambda_="log-likelihood"
        )
        for v in (0, 1)
    ]
    found = check_independence([levels("x", x)], [levels("y", y)], [levels("z", z)])
    assert found.method == "G"
    assert found.statistic == pytest.approx(sum(k.statistic for k in within), rel=1e-12)
    assert found.df == 4


def test_cmh_equals_the_textbook_sum_over_two_by_two_tables():
    tables = np.array([[[3, 1], [2, 6]], [[4, 2], [1, 5]], [[2, 0], [3, 3]]], dtype=float)
    rows = [(h, i, j) for (h, i, j), n in np.ndenumerate(tables) for _ in range(int(n))]
    z, x, y = np.array(rows).T
    found = check_independence([levels("x", x)], [levels("y", y)], [levels("z", z)], method="CMH")
    n = tables.sum(axis=(1, 2))
    r, c = tables.sum(axis=2), tables.sum(axis=1)
    gap = (tables[:, 0, 0] - r[:, 0] * c[:, 0] / n).sum()
    variance = (r[:, 0] * r[:, 1] * c[:, 0] * c[:, 1] / (n**2 * (n - 1))).sum()
    assert found.statistic == pytest.approx(gap**2 / variance, rel=1e-9)
    assert found.df == 1


# ------------------------------------------------------------------------------ the choice


def test_the_test_suits_the_types():
    rng = np.random.default_rng(5)
    z = rng.normal(size=500)
    straight = number("x", z + rng.normal(size=500))
    bent = number("y", z**2 + rng.normal(size=500))
    coin = levels("c", rng.random(500) < stats.norm.cdf(z))
    word = levels("w", rng.integers(0, 3, 500), ordered=False)
    given = [number("z", z)]
    other = number("v", z + rng.normal(size=500))
    assert check_independence([straight], [other], given).method == "partial correlation"
    assert check_independence([straight], [bent], given).method == "GCM"
    assert check_independence([straight], [coin], given).method == "GCM"
    assert check_independence([word], [coin]).method == "G"
    thin = levels("t", rng.integers(0, 60, 500))
    assert check_independence([word], [coin], [thin]).method == "CMH"
    cross = [levels(n, rng.integers(0, 25, 500)) for n in "st"]  # 625 strata, most of one row
    assert check_independence([coin], [word], cross).method == "GCM"
    loud = [number(n, z + rng.normal(size=500) * np.exp(z)) for n in "ab"]
    assert check_independence([loud[0]], [loud[1]], given).method == "GCM"


def test_vectors_and_words_give_one_joint_test():
    rng = np.random.default_rng(6)
    x = [number(f"x[{i}]", rng.normal(size=400)) for i in range(2)]
    y = number("y", 0.5 * x[1].values + rng.normal(size=400))
    found = check_independence(x, [y])
    assert (found.method, found.df) == ("GCM", 2)
    assert found.p_value < 1e-4
    word = levels("w", rng.integers(0, 4, 400), ordered=False)
    assert check_independence([word], [y]).df == 3


def test_asking_for_a_test_that_does_not_suit_is_refused():
    x, w = number("x", np.arange(20.0)), levels("w", np.arange(20) % 3, ordered=False)
    with pytest.raises(DataError, match="x is not discrete, and G counts"):
        check_independence([x], [w], method="G")
    with pytest.raises(DataError, match="is not one number"):
        check_independence([x], [w], method="partial correlation")
    with pytest.raises(EstimandError, match=r"'gmc' is not a test.*'GCM'"):
        check_independence([x], [w], method="gmc")


def test_what_cannot_be_tested_says_why():
    x, z = number("x", np.arange(30.0)), number("z", np.arange(30.0))
    y = number("y", np.random.default_rng(1).normal(size=30))
    for found, why in (
        (check_independence([x], [number("k", np.ones(30))]), "k is constant"),
        (check_independence([x], [y], [z]), "x is determined by z"),
        (check_independence([y], [x], [z]), "x is determined by z"),
        (check_independence([levels("a", np.zeros(30))], [levels("b", np.arange(30) % 2)]), "a is"),
    ):
        assert np.isnan(found.p_value)
        assert why in found.note
    few = [number(n, np.random.default_rng(i).normal(size=6)) for i, n in enumerate("abcd")]
    assert check_independence([few[0]], [few[1]], few[2:]).note == "there are too few rows"


# ------------------------------------------------------------------------- effect and level


def test_the_effect_is_the_correlation_and_its_interval_covers():
    """500 data sets, r = 0.3: a 94% interval misses 30 times, sd sqrt(500 .94 .06) = 5.3."""
    missed = {"numbers": 0, "uneven": 0}
    for seed in range(500):
        rng = np.random.default_rng(seed)
        a, b, z = rng.normal(size=(3, 200))
        y = 0.3 * a + np.sqrt(1 - 0.09) * b
        for kind, method in (("numbers", "partial correlation"), ("uneven", "GCM")):
            found = check_independence(
                [number("a", a + z)], [number("y", y + z)], [number("z", z)], method=method
            )
            missed[kind] += not found.lower <= 0.3 <= found.upper
    for count in missed.values():
        assert 30 - 4 * 5.3 < count < 30 + 4 * 5.3


def test_the_strength_of_a_table_is_its_information():
    """P(y = x) = 0.8 for fair x: 2 I = 2 (log 2 - H(0.8)), so the strength is 0.5687."""
    rng = np.random.default_rng(7)
    x = rng.integers(0, 2, 200_000)
    y = np.where(rng.random(200_000) < 0.8, x, 1 - x)
    information = np.log(2) + 0.8 * np.log(0.8) + 0.2 * np.log(0.2)
    found = check_independence([levels("x", x)], [levels("y", y)])
    strength = np.sqrt(1 - np.exp(-2 * information))
    assert found.lower < strength < found.upper
    assert found.upper - found.lower < 0.02


def linear(rng, n):
    z = rng.normal(size=n)
    return (
        number("x", z + rng.normal(size=n)),
        number("y", z + rng.normal(size=n)),
        [number("z", z)],
    )


def curved(rng, n):
    z = rng.normal(size=n)
    x, y = np.sin(2 * z) + rng.normal(size=n) / 2, z**2 + rng.normal(size=n) / 2
    return number("x", x), number("y", y), [number("z", z)]


def mixed(rng, n):
    z, w = rng.normal(size=n), rng.integers(0, 2, n)
    x = rng.random(n) < 1 / (1 + np.exp(-2 * z - w))
    given = [number("z", z), levels("w", w)]
    return levels("x", x), number("y", z + w * z + rng.normal(size=n)), given


def thin(rng, n):
    z = rng.integers(0, 30, n)
    x, y = rng.random(n) < 0.2 + 0.02 * z, rng.integers(0, 3, n) * (rng.random(n) < 0.9 - 0.02 * z)
    return levels("x", x), levels("y", y), [levels("z", z)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [linear, curved, mixed, thin])
def test_true_independences_are_rejected_as_often_as_said(kind):
    """1,000 data sets of 500 rows: 50 rejections at 0.05, sd 6.9; the tests are asymptotic, so
    half of that again is allowed: at most 0.05 * 1.5 + 4 sd = 103, at least 50 - 4 sd = 22."""
    rejected = 0
    for seed in range(1000):
        x, y, given = kind(np.random.default_rng(seed), 500)
        rejected += check_independence([x], [y], given).p_value <= 0.05
    assert 22 <= rejected <= 103


def test_a_curved_confounder_fools_a_partial_correlation_and_not_the_gcm():
    """Both follow z ** 2: a straight line leaves it in both residuals."""
    rng = np.random.default_rng(8)
    z = rng.normal(size=1000)
    x, y = z**2 + rng.normal(size=1000), z**2 + rng.normal(size=1000)
    sides = [number("x", x)], [number("y", y)], [number("z", z)]
    assert check_independence(*sides, method="partial correlation").p_value < 1e-20
    assert check_independence(*sides).p_value > 0.01


# ---------------------------------------------------------------------------- regressions


def test_bases_nest_and_are_orthonormal():
    rng = np.random.default_rng(9)
    given = [number("a", rng.normal(size=300)), levels("b", rng.integers(0, 3, 300), False)]
    sizes = [design(given, 300, b).shape[1] for b in ("linear", "products", "splines", "full")]
    assert sizes == [4, 6, 8, 10]
    basis = design(given, 300, "full")
    assert basis.T @ basis == pytest.approx(np.eye(10), abs=1e-9)
    line = design(given, 300, "linear")
    assert line == pytest.approx(basis @ (basis.T @ line), abs=1e-9)


def test_the_basis_is_chosen_by_the_data():
    rng = np.random.default_rng(10)
    a, b, e = rng.normal(size=(3, 500))
    given = [number("a", a), number("b", b)]
    bases: dict = {}
    for values, found in (
        (a + b, ("linear",)),
        (a * b, ("products",)),
        (np.sin(3 * a), ("splines", "full")),  # AIC adds a column that does nothing now and then
    ):
        assert residuals(number("y", values + 0.1 * e), given, bases).basis in found


# -------------------------------------------------------------------------------- columns


def test_columns_are_numbers_or_levels():
    for values, discrete, ordered in (
        ([0.5, 1.5, 2.5], False, True),
        ([0, 1, 2], True, True),
        (list(range(11)), False, True),
        ([0.0, 2.5, 0.0], True, True),
        ([True, False, True], True, True),
        (["a", "b", None], True, False),
        (pd.Categorical(["u", "v", None]), True, False),
    ):
        column = as_column(pd.Series(values), "v")
        assert (column.discrete, column.ordered) == (discrete, ordered), values
    assert np.isnan(as_column(pd.Series(["a", None]), "v").values[1])
    assert not as_column(pd.Series([0, 1, 2]), "v", discrete=False).discrete
    with pytest.raises(DataError, match="v holds an infinity"):
        as_column(pd.Series([1.0, np.inf]), "v")
    with pytest.raises(DataError, match="v is not a number"):
        as_column(pd.Series(["a", "b"]), "v", discrete=False)
    with pytest.raises(DataError, match="v has 60 different values"):
        as_column(pd.Series([f"id{i}" for i in range(60)]), "v")
