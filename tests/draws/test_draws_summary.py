"""Summaries and diagnostics against ArviZ, and where they must be NaN without a warning."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from arviz_stats.base import array_stats

from bayescausal.draws.diagnostics import diagnose
from bayescausal.draws.summary import interval_columns, ranks, summarise
from bayescausal.types import DataError


def _ar(rho, shape, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for t in range(1, shape[-1]):
        x[..., t] = rho * x[..., t - 1] + x[..., t]
    return x


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.6, 0.97])
@pytest.mark.parametrize("shape", [(4, 500), (2, 251), (1, 100), (3, 9), (2, 4)])
def test_diagnostics_are_arviz_s_cell_by_cell(rho, shape):
    """Scaling by a power of two is exact, so are the numbers; R-hat wants two chains."""
    compare_with_arviz(_ar(rho, (3, *shape), seed=5))


@pytest.mark.parametrize("rho", [0.0, 0.9])
@pytest.mark.parametrize("shape", [(4, 500), (2, 251), (1, 100)])
def test_equal_draws_share_their_rank_as_in_arviz(rho, shape):
    """Counts, and an indicator that is rarely one; chains that stand apart beside them."""
    x = _ar(rho, (2, *shape), seed=6)
    compare_with_arviz(np.round(x))
    compare_with_arviz((x > np.quantile(x, 0.9, axis=(1, 2), keepdims=True)).astype(float))
    compare_with_arviz(np.round(x) + 3.0 * np.arange(shape[0])[:, np.newaxis])


def test_many_cells_are_worked_as_one_by_one():
    """More than one block, and cells among them that are constant or no numbers."""
    x = _ar(0.5, (250, 4, 500), seed=7)
    x[3] = 1.0
    x[120, 0, 0] = np.nan
    x[240, 2, 10] = np.inf
    found = diagnose(x)
    alone = [diagnose(x[i : i + 1]) for i in range(len(x))]
    for key, values in found.items():
        one_by_one = [one[key][0] for one in alone]
        np.testing.assert_allclose(values, one_by_one, rtol=1e-12, err_msg=key)
        assert np.isnan(values[[3, 120, 240]]).all()
        assert np.isfinite(np.delete(values, [3, 120, 240])).all()


@pytest.mark.parametrize("kind", ["hdi", "eti"])
@pytest.mark.parametrize("shape", [(4, 250), (1, 100), (2, 4), (3, 18)])
def test_many_cells_are_sorted_once_and_have_the_same_numbers(shape, kind, monkeypatch):
    """Bell, heavy tail, ties, two values, constant, below rounding, far from 1, far from 0."""
    x = _ar(0.5, (10, *shape), seed=8)
    cells = [x[0], 1 / x[1], np.round(x[2]), (x[3] > 1).astype(float), np.ones(shape)]
    cells += [1.0 + 1e-17 * x[4], 1e-200 * x[5], 1e4 + x[6], np.exp(5 * x[7]), np.abs(x[8]) ** 0.1]
    cells += [np.where(x[9] > 0, x[9], 0.0), np.full(shape, -0.0), np.round(x[0], 1)]
    draws = xr.DataArray(np.stack(cells, axis=-1), dims=("chain", "draw", "unit"))
    expected = summarise(draws, prob=0.9, kind=kind)
    monkeypatch.setattr("bayescausal.draws.summary.MANY", 1)
    found = summarise(draws, prob=0.9, kind=kind)
    assert list(found) == list(expected)
    for name in ("mean", *interval_columns(0.9, kind)):
        assert np.array_equal(found[name], expected[name]), name
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def compare_with_arviz(x):
    shape = x.shape[1:]
    found = diagnose(x)
    for cell in range(len(x)):
        expected = {
            "ess_bulk": array_stats.ess(x[cell], method="bulk"),
            "ess_tail": array_stats.ess(x[cell], method="tail", prob=(0.05, 0.95)),
            "mcse_mean": array_stats.mcse(x[cell], method="mean"),
            "r_hat": array_stats.rhat(x[cell]) if shape[0] > 1 else np.nan,
        }
        for key, value in expected.items():
            np.testing.assert_allclose(found[key][cell], value, rtol=1e-12, err_msg=key)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_effective_draws_of_an_autoregression(rho):
    """ESS / n tends to (1 - rho) / (1 + rho), and mcse to sd / sqrt(ESS).

    With rank normalisation of Normal draws the first holds for bulk ESS. Geyer's estimate sums
    some tau = (1 + rho) / (1 - rho) <= 9 autocorrelations over 4 x 5,000 draws; its sd is about
    sqrt(2 (2 M + 1) / n) relative, with M <= 50 lags kept: 0.10. Four of those, averaged over
    eight independent cells: 0.14.
    """
    x = _ar(rho, (8, 4, 5000), seed=9)
    found = diagnose(x)
    worth = 20_000 * (1 - rho) / (1 + rho)
    assert found["ess_bulk"].mean() == pytest.approx(worth, rel=0.14)
    sd = x.std(axis=(1, 2), ddof=1)
    assert (found["mcse_mean"] ** 2).mean() == pytest.approx((sd**2).mean() / worth, rel=0.14)


@pytest.mark.parametrize("factor", [1e-20, 1e12])
def test_the_unit_of_measurement_does_not_matter(factor):
    x = _ar(0.6, (2, 2, 100), seed=3)
    one, other = diagnose(x), diagnose(x * factor)
    for key in ("ess_bulk", "ess_tail", "r_hat"):
        np.testing.assert_allclose(other[key], one[key], rtol=1e-8)
    np.testing.assert_allclose(other["mcse_mean"], one["mcse_mean"] * factor, rtol=1e-8)


def test_diagnostics_see_a_chain_that_is_elsewhere():
    x = np.random.default_rng(1).normal(size=(1, 4, 200))
    assert diagnose(x)["r_hat"][0] < 1.02
    x[:, 0] += 5
    assert diagnose(x)["r_hat"][0] > 1.3
    assert diagnose(x)["ess_bulk"][0] < 20


def test_chains_that_stand_still_apart_have_no_finite_r_hat():
    x = np.repeat([[[0.0], [1.0]]], 20, axis=2)
    assert diagnose(x)["r_hat"][0] == np.inf


@pytest.mark.parametrize("draws", [[1.0], [2.0] * 50, [0.1 + 0.2] * 50, [1.0, 2.0, 3.0]])
def test_what_cannot_be_computed_is_nan_without_a_warning(draws):
    row = summarise(draws).iloc[0]
    assert row[["ess_bulk", "ess_tail", "r_hat", "mcse_mean"]].isna().all()
    assert np.isnan(row["sd"]) == (len(draws) == 1)
    assert np.isfinite(row["mean"])


def test_some_constant_cells_among_others():
    x = np.random.default_rng(0).normal(size=(2, 2, 30))
    x[0] = 1.0
    found = diagnose(x)
    assert np.isnan(found["ess_bulk"][0])
    assert np.isfinite(found["ess_bulk"][1])


def test_summary_is_one_row_for_each_cell():
    data = np.random.default_rng(1).normal(size=(2, 50, 3, 2))
    draws = xr.DataArray(
        data, dims=("chain", "draw", "dose", "site"), coords={"site": ["north", "south"]}
    )
    table = summarise(draws, prob=0.9)
    assert list(table.columns[:4]) == ["mean", "sd", "hdi90_lb", "hdi90_ub"]
    assert table.index.names == ["dose", "site"]
    np.testing.assert_allclose(table.loc[(2, "south"), "mean"], data[:, :, 2, 1].mean())
    np.testing.assert_allclose(table.loc[(0, "north"), "sd"], data[:, :, 0, 0].std(ddof=1))


def test_a_fractional_probability_keeps_its_digits():
    assert interval_columns(0.945) == ("hdi94.5_lb", "hdi94.5_ub")


def test_ranks_count_draws_below_and_break_ties_at_random():
    draws = np.tile([0.0, 1.0, 1.0, 2.0], (4000, 1))
    found = ranks(draws, np.ones(4000), seed=1)
    # one draw is below and two are tied, so the rank is 1, 2 or 3 with probability 1/3 each;
    # a count has sd sqrt(4000 * 2 / 9) = 29.8, and 5 of them are allowed
    assert set(found) == {1, 2, 3}
    assert np.abs(np.bincount(found)[1:] - 4000 / 3).max() < 5 * 29.8


def test_ranks_of_a_right_posterior_are_uniform():
    rng = np.random.default_rng(2)
    found = ranks(rng.normal(size=(5000, 9)), rng.normal(size=5000), seed=3)
    # ten bins of 500 expected; chi-square with 9 degrees of freedom exceeds 33.7 with p = 1e-4
    assert (((np.bincount(found, minlength=10) - 500) ** 2) / 500).sum() < 33.7


def test_ranks_of_mismatched_shapes_are_refused():
    with pytest.raises(DataError, match="One more axis for the draws"):
        ranks(np.ones((3, 4)), np.ones(4))
