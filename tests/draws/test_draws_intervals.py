"""Intervals: narrowest against brute force and ArviZ, shapes, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from hypothesis import given, settings
from hypothesis import strategies as st

import bayescausal as bc
from bayescausal.draws.intervals import eti, hdi, interval, narrowest
from bayescausal.draws.named import as_draws, cells
from bayescausal.draws.summary import summarise
from bayescausal.types import DataError, EstimandError

numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=25), st.floats(0.05, 0.95))
def test_hdi_is_the_narrowest_interval_with_enough_draws(values, prob):
    x = np.sort(np.array(values))
    need = min(int(np.floor(prob * len(x))), len(x) - 1) + 1
    narrowest = min(
        b - a for a, b in itertools.product(x, x) if a <= b and ((x >= a) & (x <= b)).sum() >= need
    )
    low, high = hdi(values, prob).values
    assert high - low == narrowest
    assert ((x >= low) & (x <= high)).sum() >= need


@pytest.mark.parametrize("prob", [0.5, 0.89, 0.94])
def test_intervals_equal_arviz(prob):
    draws = np.random.default_rng(3).gamma(2.0, size=(4, 333))
    np.testing.assert_array_equal(hdi(draws, prob), array_stats.hdi(draws, prob, axis=(0, 1)))
    np.testing.assert_allclose(
        eti(draws, prob), array_stats.eti(draws, prob, axis=(0, 1)), rtol=1e-12
    )


@pytest.mark.parametrize("prob", [0.01, 0.5, 0.94, 0.999])
def test_intervals_of_many_columns_are_those_of_each(prob):
    draws = np.random.default_rng(4).integers(0, 9, size=(57, 3, 2)).astype(np.float32)
    low, high = narrowest(draws, prob)
    for at in np.ndindex(3, 2):
        ends = array_stats.hdi(draws[:, *at], prob)
        assert (low[at], high[at]) == tuple(ends)


def test_hdi_is_not_the_equal_tailed_interval_of_a_skewed_posterior():
    draws = np.random.default_rng(0).exponential(size=5000)
    low, high = hdi(draws).values
    low2, high2 = eti(draws).values
    assert high - low < high2 - low2
    assert low < low2


def test_interval_keeps_the_other_dims_and_labels():
    data = np.random.default_rng(1).normal(size=(2, 50, 3))
    draws = xr.DataArray(data, dims=("chain", "draw", "dose"), coords={"dose": [1, 2, 4]})
    ends = interval(draws.transpose("dose", "draw", "chain"), 0.8)
    assert ends.dims == ("dose", "ci_bound")
    assert ends["dose"].values.tolist() == [1, 2, 4]
    np.testing.assert_array_equal(ends.sel(dose=2), hdi(data[..., 1], 0.8))
    assert ends["ci_bound"].values.tolist() == ["lower", "upper"]


def test_one_draw_has_a_point_interval():
    assert hdi(0.3).values.tolist() == [0.3, 0.3]


@pytest.mark.parametrize("prob", [0, 1, 94, -0.1, "0.9", float("nan"), True, [0.5]])
def test_a_probability_outside_0_1_is_refused(prob):
    with pytest.raises(EstimandError, match=r"prob=.*between 0 and 1"):
        hdi([1.0, 2.0], prob)


def test_another_kind_is_refused():
    with pytest.raises(EstimandError, match=r"'hid' is not a kind of interval.*'hdi'"):
        interval([1.0, 2.0], kind="hid")


def test_draws_get_their_names():
    assert dict(as_draws([1, 2, 3]).sizes) == {"chain": 1, "draw": 3}
    assert dict(as_draws(np.ones((2, 3))).sizes) == {"chain": 2, "draw": 3}
    assert dict(as_draws(7.0).sizes) == {"chain": 1, "draw": 1}
    only = as_draws(xr.DataArray(np.ones((5, 2)), dims=("draw", "g")))
    assert only.dims == ("chain", "draw", "g")
    assert cells(only) == ("g",)
    both = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("chain", "draw"))
    both = both.assign_coords(chain=[0, 1], draw=[0, 1, 2])
    xr.testing.assert_equal(as_draws(both.stack(sample=("chain", "draw"))), both)
    assert dict(as_draws(xr.DataArray(np.ones(4), dims="sample")).sizes) == {"chain": 1, "draw": 4}


def test_draws_are_a_copy():
    source = np.zeros(3)
    as_draws(source)[0, 0] = 1.0
    assert source.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((2, 2, 2)), "without names.*dims chain and draw"),
        ([1.0, np.nan], "1 of 2 draws are NaN or infinite"),
        ([1.0, np.inf], "1 of 2 draws are NaN or infinite"),
        (["a", "b"], "Expected: Numbers"),
        ([], "No draws"),
    ],
)
def test_what_is_no_set_of_draws_is_refused(bad, message):
    with pytest.raises(DataError, match=message):
        as_draws(bad)


def test_summaries_of_many_cells_are_those_of_each(monkeypatch):
    draws = as_draws(
        xr.DataArray(
            np.random.default_rng(4).gamma(2.0, size=(2, 50, 7, 3)),
            dims=("chain", "draw", "unit", "time"),
        )
    )
    whole = summarise(draws, 0.9)
    monkeypatch.setattr("bayescausal.draws.summary.AT_A_TIME", 500)
    pd.testing.assert_frame_equal(summarise(draws, 0.9), whole)
    one = summarise(draws.isel(unit=4, time=1), 0.9)
    np.testing.assert_allclose(whole.loc[(4, 1)].to_numpy(), one.iloc[0].to_numpy(), rtol=1e-12)


def test_an_effect_stands_for_its_draws():
    effect = bc.Effect(np.random.default_rng(0).normal(size=(4, 250)))
    for kind in ("hdi", "eti"):
        assert tuple(interval(effect, 0.8, kind).values.tolist()) == effect.interval(0.8, kind)
