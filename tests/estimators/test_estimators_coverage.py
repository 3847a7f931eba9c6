"""Intervals of the estimators hold the truth as often as they say, over 1,000 data sets each.

The data, the estimators and the band are those of :mod:`benchmarks.estimators`, whose results stand
in ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.estimators import FORESTS, STUDIES, band, held

DATASETS = 1000
#: Of forests, which take half a second each.
FEWER = 100


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_intervals_hold_the_truth_as_often_as_they_say(study):
    """Inside the binomial band that a right interval leaves once in a thousand."""
    low, high = band(DATASETS)
    for name, count in held(STUDIES[study], DATASETS, study, None).items():
        assert low <= count <= high, (name, count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "package"), list(zip(FORESTS, ("econml", "stochtree"), strict=True))
)
def test_intervals_of_forests_hold_the_truth_as_often_as_they_say(study, package):
    pytest.importorskip(package, reason=f"{package} is not installed (extra forests)")
    low, high = band(FEWER)
    for name, count in held(FORESTS[study], FEWER, study, None).items():
        assert low <= count <= high, (name, count)
