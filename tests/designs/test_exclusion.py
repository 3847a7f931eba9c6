"""An exclusion that fails: noticed where data can speak, and said where they cannot."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.designs.instrumental.exclusion_checks import exclusion
from bayescausal.designs.instrumental.linear import InstrumentRoles

ROLES = InstrumentRoles("x", "y", ("z", "w"), ("c",), None, False)
STRATA = InstrumentRoles("d", "y", ("z",), (), None, False)


def several(rng, direct=0.0, n=400):
    """Two instruments; the noise of the outcome is wider where the first is large."""
    c, z, w, u = rng.normal(size=(4, n))
    x = z + 0.7 * w + c + u + rng.normal(size=n)
    y = 0.5 * x + direct * w + c - u + np.exp(z / 2) * rng.normal(size=n)
    return {"c": c, "z": z, "w": w, "x": x, "y": y}


def complied(rng, direct=0.0, n=1000, levels=2):
    """An encouragement that half follow, and a tenth of whom take the treatment anyhow."""
    z, kind = rng.integers(0, 2, n), rng.choice(3, n, p=[0.4, 0.5, 0.1])
    d = np.where(kind == 2, 1, np.where(kind == 1, z, 0))
    y = 0.3 * d + direct * z + rng.normal(size=n)
    return {"z": z, "d": d, "y": (y > 0.2).astype(int) if levels == 2 else y}


def checked(data, roles):
    return exclusion(SimpleNamespace(columns=data), roles)


def test_valid_instruments_agree_as_often_as_the_chance_says():
    """The p-values are uniform, though the noise of the outcome is not of one width."""
    rng = np.random.default_rng(1)
    p = [checked(several(rng), ROLES)["p"].item() for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_an_instrument_with_a_path_of_its_own_is_noticed():
    rng = np.random.default_rng(2)
    table = checked(several(rng, direct=0.6), ROLES)
    assert table.attrs["verdict"] == "warn"
    assert "z, w do not agree on one effect" in table.attrs["finding"]
    assert table["p"].item() < 0.001


def test_instruments_that_fail_alike_are_not_noticed_and_that_is_said():
    rng = np.random.default_rng(3)
    tables = []
    for _ in range(60):
        data = several(rng)
        data["y"] = data["y"] + 0.4 * (data["z"] + 0.7 * data["w"])  # as they move x
        tables.append(checked(data, ROLES))
    passed = [t for t in tables if t.attrs["verdict"] == "pass"]
    assert 60 - len(passed) <= stats.binom.ppf(0.999, 60, 0.05)
    assert "that all fail alike would not be seen" in passed[0].attrs["finding"]


def test_members_of_a_group_count_once():
    """Every unit ten times over: without the groups J is ten times as large."""
    data = several(np.random.default_rng(4), direct=0.15)
    ten = {k: np.tile(v, 10) for k, v in data.items()} | {"g": np.tile(np.arange(400), 10)}
    once, each = checked(data, ROLES), checked(ten, ROLES)
    groups = checked(ten, InstrumentRoles("x", "y", ("z", "w"), ("c",), "g", False))
    assert each["J"].item() == pytest.approx(10 * once["J"].item(), rel=1e-6)
    assert groups["J"].item() == pytest.approx(once["J"].item(), rel=1e-6)


@pytest.mark.parametrize("levels", [2, 9])
def test_shares_of_compliers_below_zero_are_noticed(levels):
    """With direct = 2 hardly a treated unit at z = 1 has the low outcome of some at z = 0."""
    rng = np.random.default_rng(5)
    fine = checked(complied(rng, n=4000, levels=levels), STRATA)
    assert fine.attrs["verdict"] == "pass"
    assert fine["share of compliers"].sum() == pytest.approx(2 * 0.5, abs=0.1)
    broken = checked(complied(rng, direct=2.0, n=4000, levels=levels), STRATA)
    assert broken.attrs["verdict"] == "warn"
    assert "compliers have a share below zero" in broken.attrs["finding"]
    assert broken["p"].min() < 0.001


def test_a_valid_encouragement_is_seldom_doubted():
    rng = np.random.default_rng(6)
    doubted = [checked(complied(rng), STRATA).attrs["verdict"] == "warn" for _ in range(200)]
    assert sum(doubted) <= stats.binom.ppf(0.999, 200, 0.05)


def test_one_instrument_cannot_be_spoken_against_and_that_is_said():
    data = several(np.random.default_rng(7), direct=0.6)
    names = {"treatment": "x", "outcome": "y"}
    design = bc.designs.instrument(data, instrument="w", covariates=["c"], **names)
    assert {a.name: a.check for a in design.assumptions}["exclusion"] == "exclusion"
    found = design.checks["exclusion"](SimpleNamespace(columns=data))
    assert "No data can speak against it" in found.attrs["finding"]
    assert "direct=" in found.attrs["finding"]
    assert "verdict" not in found.attrs
    both = bc.designs.instrument(data, instrument=["z", "w"], covariates=["c"], **names)
    assert both.checks["exclusion"](SimpleNamespace(columns=data)).attrs["verdict"] == "warn"
