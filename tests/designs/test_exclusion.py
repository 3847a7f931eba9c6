"""An exclusion that fails: noticed where data can speak, and said where they cannot."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.designs.instrumental.exclusion_checks import exclusion
from bayescausal.designs.instrumental.first_stage_checks import first_stage, two_stage
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


@pytest.mark.parametrize("direct", [0.0, 2.0])
def test_an_instrument_that_takes_units_out_is_judged_like_its_mirror(direct):
    """Reading 1 - z in place of z changes nobody's answer."""
    rng = np.random.default_rng(8)
    data = complied(rng, direct=direct, n=4000)
    mirror = {**data, "z": 1 - data["z"]}
    here, there = checked(data, STRATA), checked(mirror, STRATA)
    assert here.attrs == there.attrs
    assert here.attrs["verdict"] == ("warn" if direct else "pass")
    np.testing.assert_allclose(here, there, atol=1e-12)
    names = {"treatment": "d", "outcome": "y", "instrument": "z"}
    with pytest.raises(bc.types.DataError, match=r"1 - data\['z'\]"):
        bc.designs.instrument(mirror, form="strata", **names)
    assert bc.designs.instrument(mirror, **names).effects  # a line may fall


def test_shares_of_members_of_a_group_count_once():
    """Every unit ten times over, in its own group: the errors are those of the units alone."""
    data = complied(np.random.default_rng(9), n=400)
    ten = {k: np.tile(v, 10) for k, v in data.items()} | {"g": np.tile(np.arange(400), 10)}
    once = checked(data, STRATA)
    groups = checked(ten, InstrumentRoles("d", "y", ("z",), (), "g", False))
    np.testing.assert_allclose(groups["se"], once["se"], rtol=1e-9)
    z, d, y = (data[k] for k in "zdy")  # the error of a difference of two shares
    inside = ((d == 1) & (y == 1), z)
    p = [inside[0][z == side].mean() for side in (1, 0)]
    by_hand = sum(q * (1 - q) / (z == side).sum() for q, side in zip(p, (1, 0), strict=True))
    assert once.loc["d = 1, y = 1", "se"] == pytest.approx(by_hand**0.5)


def in_groups(rng, many, direct=0.0, size=20):
    """Three instruments; moments that members of a group share."""
    g = np.repeat(np.arange(many), size)
    z = rng.normal(size=(3, g.size)) + rng.normal(size=(3, many))[:, g]
    u = rng.normal(size=g.size) + rng.normal(size=many)[g]
    x = z.sum(axis=0) + u + rng.normal(size=g.size)
    y = x + direct * z[0] + u + rng.normal(size=many)[g] + rng.normal(size=g.size)
    return {"a": z[0], "b": z[1], "c": z[2], "g": g, "x": x, "y": y}


GROUPED = InstrumentRoles("x", "y", ("a", "b", "c"), (), "g", False)


def test_few_clusters_can_fail_and_do_so_as_often_as_the_chance_says():
    """J is at most the number of clusters, 5; chi2 with 2 degrees of freedom needs 5.99."""
    rng = np.random.default_rng(10)
    p = np.array([checked(in_groups(rng, 5), GROUPED)["p"].item() for _ in range(300)])
    assert abs(np.mean(p < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 300)
    bad = [checked(in_groups(rng, 5, direct=3.0), GROUPED) for _ in range(20)]
    assert max(t["J"].item() for t in bad) <= 5
    assert np.mean([t.attrs["verdict"] == "warn" for t in bad]) > 0.3


def test_where_there_is_too_little_to_compare_no_verdict_is_given():
    rng = np.random.default_rng(11)
    few = checked(in_groups(rng, 3), GROUPED)
    assert "3 g are too few" in few.attrs["finding"]
    tiny = {"z": np.array([0, 0, 1, 1]), "d": np.array([0, 1, 1, 0]), "y": np.arange(4.0)}
    none = checked(tiny, STRATA)
    assert "Too few units" in none.attrs["finding"]
    assert not {"verdict"} & {*few.attrs, *none.attrs}


def test_a_first_stage_of_clusters_is_as_strong_as_its_clusters_say():
    """An instrument of the cluster, whose members share a level: by hand, from cluster means.

    With one instrument that is the same within clusters of one size, and no covariates, F is the
    square of the slope of the means over its error, robust (with G / (G - 1)) in them.
    """
    rng = np.random.default_rng(12)
    many, size = 40, 50
    z, share = rng.normal(size=many), rng.normal(size=(2, many))
    rows = np.repeat(np.arange(many), size)
    x = (0.2 * z + share[0])[rows] + 0.5 * rng.normal(size=rows.size)
    y = x + share[1][rows] + 0.5 * rng.normal(size=rows.size)
    data = {"z": z[rows], "x": x, "y": y, "g": rows}
    fit = SimpleNamespace(columns=data, posterior={"b_y_x": np.zeros((1, 2))})
    roles = InstrumentRoles("x", "y", ("z",), (), "g", False)
    table = first_stage(fit, roles)
    means, about = x.reshape(many, size).mean(axis=1), z - z.mean()
    slope = about @ means / (about @ about)
    left = means - means.mean() - slope * about
    variance = many / (many - 1) * (about**2 @ left**2) / (about @ about) ** 2
    assert table["F"].item() == pytest.approx(slope**2 / variance, rel=1e-9)
    assert table.attrs["verdict"] == "warn"
    rowwise = first_stage(fit, InstrumentRoles("x", "y", ("z",), (), None, False))
    assert rowwise["F"].item() > 5 * table["F"].item()  # as if 2,000 units had been drawn
    outcome = y.reshape(many, size).mean(axis=1)
    effect = about @ outcome / (about @ means)
    off = outcome - outcome.mean() - effect * (means - means.mean())
    error = np.sqrt(many / (many - 1) * (about**2 @ off**2)) / abs(about @ means)
    found = two_stage(fit, roles).loc["two-stage least squares"]
    assert found["value"] == pytest.approx(effect)
    assert found["se or sd"] == pytest.approx(error, rel=1e-9)
