"""Questions at a time, over times and by time, where the units are cells along a dim of time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import BayesCausalError, EmptySubgroupError

UNITS, YEARS = 6, range(2000, 2010)


def model(coords=YEARS):
    with pm.Model(coords={"unit": range(UNITS), "year": coords}) as made:
        x = pm.Data("x", np.zeros((UNITS, 10)), dims=("unit", "year"))
        w = pm.Data("w", np.zeros(10), dims="year")
        b = pm.Normal("b")
        pm.Normal("y", b * x * w, 1.0, dims=("unit", "year"))
    return made


@pytest.fixture(scope="module")
def known():
    """The effect in a year is a tenth of the years since 2000."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, UNITS, 10))
    return bc.truth(model(), {"b": 0.1}, {"x": x, "y": y, "w": np.arange(10.0)})


def test_at_a_year_over_years_and_by_year(known):
    ask = [
        bc.ATE("x", "y", given={"year": 2003}),
        bc.ATE("x", "y", given={"year": (2005, 2009)}),
        bc.ATE("x", "y", given={"year": {2001, 2003}}),
        bc.ATE("x", "y", given={"year": lambda year: year < 2002}),
        bc.ATE("x", "y", given=bc.Where(lambda year: year % 2 == 1)),
        bc.ATE("x", "y", by="year"),
    ]
    at, over, two, first, odd, each = bc.estimate(known, ask)
    for effect, want in ((at, 0.3), (over, 0.7), (two, 0.2), (first, 0.05), (odd, 0.5)):
        assert np.isclose(effect.mean(), want)
    assert "year=2003" in str(at)
    assert "2005 <= year <= 2009" in str(over)
    assert each.draws.dims == ("chain", "draw", "year")
    assert each.draws["year"].values.tolist() == list(YEARS)
    assert np.allclose(each.draws.mean(("chain", "draw")), np.arange(10) / 10)
    assert np.isclose((over * 5).mean(), 3.5)  # the sum over five years


def test_other_questions_at_a_time(known):
    given = {"year": 2004}
    assert np.isclose(bc.estimate(known, bc.Slope("x", "y", given=given)).mean(), 0.4)
    finite = bc.estimate(known, bc.ATE("x", "y", given=given, population="finite"))
    assert np.isclose(finite.mean(), 0.4)
    curve = bc.estimate(known, bc.DoseResponse("x", "y", values=[0, 1, 2], given=given))
    assert np.allclose(curve.draws.diff("x").mean(), 0.4)
    quantile = bc.estimate(known, bc.QTE("x", "y", q=0.5, given=given))
    assert np.isclose(quantile.mean(), 0.4, atol=1e-6)


def test_the_fit_and_its_graph_stay_what_they_are(known):
    bc.estimate(known, bc.ATE("x", "y", by="year"))
    assert "year" not in known.structure.nodes
    assert "year" not in known.structure.model.named_vars


def test_a_year_that_is_not_there_is_refused(known):
    with pytest.raises(EmptySubgroupError, match="year=1999"):
        bc.estimate(known, bc.ATE("x", "y", given={"year": 1999}))
    with pytest.raises(BayesCausalError, match="'yaer'"):
        bc.estimate(known, bc.ATE("x", "y", given={"yaer": 2003}))


def test_labels_that_are_no_numbers_go_by_their_text():
    months = pd.date_range("1983-01-01", periods=10, freq="MS")
    data = {"x": np.ones((UNITS, 10)), "y": np.ones((UNITS, 10)), "w": np.arange(10.0)}
    known = bc.truth(model(months), {"b": 0.1}, data)
    at = bc.estimate(known, bc.ATE("x", "y", given={"year": "1983-04-01"}))
    assert np.isclose(at.mean(), 0.3)
