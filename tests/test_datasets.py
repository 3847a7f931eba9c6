"""The known answers are right: by the published figures, by enumeration, by simulation."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import FrozenInstanceError
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal import datasets
from bayescausal.model.structure.read import graph_of


def test_coating_answers():
    world = datasets.coating()
    truth = world.truth
    assert world.answers["ATE"] == truth["b_dc"] == -0.421
    rng = np.random.default_rng(1)
    n = 4_000_000
    humid = rng.normal(size=n)
    p = 1 / (1 + np.exp(-(truth["b_d0"] + truth["b_hd"] * humid)))
    dilution = rng.random(n) < p
    coating = (
        truth["b_c0"]
        + truth["b_dc"] * dilution
        + truth["b_hc"] * humid
        + truth["sigma"] * rng.normal(size=n)
    )
    naive = coating[dilution].mean() - coating[~dilution].mean()
    # sd of the outcome within an arm is sqrt(0.54^2 + 0.2^2) = 0.576; four standard errors
    # of a difference of two means of 0.61 n and 0.39 n units.
    error = 0.576 * np.sqrt(1 / (0.61 * n) + 1 / (0.39 * n))
    assert world.answers["naive"] == pytest.approx(naive, abs=4 * error)


def test_coating_graph_and_parameters():
    world = datasets.coating()
    assert set(graph_of(world.model).edges) == {
        ("humid", "dilution"),
        ("humid", "coating"),
        ("dilution", "coating"),
    }
    assert set(world.truth) == {v.name for v in world.model.free_RVs} - set(graph_of(world.model))


def test_kidney_stones_are_the_published_ones():
    stones = datasets.kidney_stones()
    data = stones.data
    assert len(data) == 700
    a, b = data[data.treatment == 1], data[data.treatment == 0]
    assert (a.success.sum(), len(a), b.success.sum(), len(b)) == (273, 350, 289, 350)
    exact = {
        "naive": Fraction(273, 350) - Fraction(289, 350),
        "ATE": Fraction(634983, 762700) - Fraction(6231, 8000),
    }
    for name, value in exact.items():
        assert stones.answers[name] == pytest.approx(float(value), abs=1e-12)
    assert stones.answers["ATT"] == pytest.approx(0.047964, abs=1e-6)
    assert stones.answers["ATU"] == pytest.approx(0.059378, abs=1e-6)
    # ATE = p ATT + (1 - p) ATU, and half of the patients had A.
    assert stones.answers["ATE"] == pytest.approx(
        (stones.answers["ATT"] + stones.answers["ATU"]) / 2, abs=1e-12
    )


def test_kidney_stones_exact_posterior():
    """The closed form agrees with the five Beta laws drawn directly."""
    answers = datasets.kidney_stones().answers
    assert answers["posterior mean"] == pytest.approx(0.051496, abs=1e-6)
    assert answers["posterior sd"] == pytest.approx(0.03360, abs=2e-5)
    rng = np.random.default_rng(2)
    n = 2_000_000
    beta = {
        cell: rng.beta(1 + s, 1 + m - s, n)
        for cell, (s, m) in {
            "a0": (81, 87),
            "a1": (192, 263),
            "b0": (234, 270),
            "b1": (55, 80),
            "w": (343, 700),
        }.items()
    }
    gaps = [beta["a0"] - beta["b0"], beta["a1"] - beta["b1"]]
    for w, name in ((beta["w"], ""), (343 / 700, ", sample")):
        ate = w * gaps[1] + (1 - w) * gaps[0]
        mean, sd = answers[f"posterior mean{name}"], answers[f"posterior sd{name}"]
        assert mean == pytest.approx(ate.mean(), abs=4 * sd / np.sqrt(n))
        # sd of an estimated sd of a near-normal law is sd / sqrt(2 n)
        assert sd == pytest.approx(ate.std(), abs=4 * sd / np.sqrt(2 * n))


def test_kidney_stones_graph():
    stones = datasets.kidney_stones()
    assert set(graph_of(stones.model).edges) == {
        ("large", "treatment"),
        ("large", "success"),
        ("treatment", "success"),
    }
    assert set(stones.data) == set(graph_of(stones.model))


@pytest.mark.parametrize("make", [datasets.coating, datasets.kidney_stones])
def test_examples_are_frozen_and_fresh(make):
    example = make()
    with pytest.raises(FrozenInstanceError):
        example.name = "other"
    with pytest.raises(TypeError):
        example.answers["ATE"] = 0
    assert make().model is not example.model
    assert example.name in repr(example)
    assert example.source
    assert {example.treatment, example.outcome} <= set(graph_of(example.model))


def test_the_controls_of_the_job_training():
    with pytest.raises(ValueError, match="Did you mean 'survey'"):
        datasets.job_training("surveys")
    assert [len(datasets.job_training(c)) for c in ("survey", "experiment")] == [614, 445]


# --------------------------------------------------------------------- published tables

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDER = Path(datasets.__file__).parent / "files"
NAMES = sorted(tomllib.loads((FOLDER / "catalogue.toml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_described(name):
    table, said = datasets.load(name), datasets.describe(name)
    assert isinstance(table, pd.DataFrame)
    assert len(table) == said.rows == datasets.describe().loc[name, "rows"]
    assert set(table) == set(said.columns.index)
    for text in (said.title, said.question, said.source, said.taken_from, *said.columns):
        assert text
    page = repr(said)
    assert said.source in page
    assert all(column in page for column in table)
    assert "<table" in said._repr_html_()


@pytest.mark.parametrize("name", NAMES)
def test_a_table_equals_the_shared_one(name):
    found = [path for path in (SHARED / f"{name}.csv", SHARED / f"{name}.csv.gz") if path.exists()]
    if not found:
        pytest.skip("the shared data are absent")
    pd.testing.assert_frame_equal(datasets.load(name), pd.read_csv(found[0]))


def test_each_reader_has_a_table_of_its_own():
    mine = datasets.load("snow")
    mine.loc[0, "deathrate"] = -1
    assert datasets.load("snow").loc[0, "deathrate"] == 134.9


@pytest.mark.parametrize("ask", [datasets.load, datasets.describe])
def test_unknown_tables_are_refused_with_the_closest(ask):
    with pytest.raises(bc.BayesCausalError, match=r"no table 'nhef'.*Did you mean 'nhefs'"):
        ask("nhef")
    with pytest.raises(bc.BayesCausalError, match=r"no table \['nhefs'\]"):
        ask(["nhefs"])


def test_published_numbers_come_out_of_the_tables():
    trial = datasets.load("nsw_dw").groupby("treat")["re78"].mean()
    assert trial[1] - trial[0] == pytest.approx(1794.3424, abs=1e-3)  # Dehejia and Wahba
    gain = datasets.load("nhefs").groupby("qsmk")["wt82_71"].mean()
    assert gain[1] - gain[0] == pytest.approx(2.54, abs=0.01)  # What If, chapter 12
    got = datasets.load("thornton_hiv").groupby("any")["got"].mean()
    assert got[1] - got[0] == pytest.approx(0.450552, abs=1e-5)  # Thornton
    water = datasets.load("snow").pivot(index="year", columns="supplier", values="deathrate")
    change = water.loc[1854] - water.loc[1849]
    assert change["Lambeth + Others"] - change["Non-Lambeth Only"] == pytest.approx(-56.9)


def test_tables_are_small_have_a_licence_and_go_into_the_wheel():
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert max(sizes.values()) < 300_000
    assert sum(sizes.values()) < 900_000
    licences = (FOLDER / "LICENCES.txt").read_text(encoding="utf-8").casefold()
    for name in NAMES:
        assert re.search(rf"\b{name}\b", licences)
        assert datasets.describe(name).licence.casefold().partition("-")[0] in licences
    root = FOLDER.parents[2]
    ignored = (root / ".gitignore").read_text(encoding="utf-8").split()
    assert not [n for n in sizes for pattern in ignored if fnmatch.fnmatch(n, pattern)]
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    wheel, sdist = build["build"]["targets"]["wheel"], build["build"]["targets"]["sdist"]
    assert wheel["packages"] == ["bayescausal"]
    assert not wheel.get("exclude", [])
    assert not [p for p in sdist.get("exclude", []) if p.startswith(("/bayescausal", "*"))]


def test_the_page_of_the_tables_names_them_all():
    page = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name, said in datasets.describe().iterrows():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert f"{said['rows']:,}" in row
        assert said["licence"] in row
        assert said["taken_from"] in row
