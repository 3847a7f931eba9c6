"""What moves in a report is what ``estimate`` gives, at every stop, to the digits shown."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace

import matplotlib as mpl

mpl.use("Agg")

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from moving import as_shown, moving_fit
from report_browser import chromium

import bayescausal as bc
from bayescausal.checks.falsification.arrows import arrow_tests
from bayescausal.draws.digits import numbers
from bayescausal.effects.effect import Effect
from bayescausal.graph import implied_independences
from bayescausal.reporting.contents.material import Material
from bayescausal.reporting.contents.sections import graph as graph_section
from bayescausal.reporting.decision import PROB
from bayescausal.reporting.live import sliders, subgroups
from bayescausal.reporting.live.arrows import arrow_blocks
from bayescausal.reporting.live.levels import LEVELS, Swapped, at_levels, ranked
from bayescausal.reporting.live.record import MOST_BYTES, MOST_DRAWS, _world, effect_record, size_of
from bayescausal.reporting.live.surface import surface_record
from bayescausal.reporting.page.blocks import Live
from bayescausal.types import EstimandError, UnknownVariableError


@pytest.fixture(scope="module")
def fit():
    return moving_fit(120, 300)


@pytest.fixture(scope="module")
def record(fit):
    return effect_record(fit, bc.estimate(fit, bc.ATE("x", "y")), None, 1, None, None, fit.seed)


# -------------------------------------------------------------------------------- numbers


def test_every_stop_is_what_estimate_gives(fit, record):
    assert record["groups"][0] == "the 120 units at hand"
    assert {"s f", "s m"} <= {*record["groups"]}
    stops = record["levels"]
    assert {"0", "1"} <= {*stops}
    assert len(stops) >= 7
    k = stops.index("0")
    values = [float(v) for v in stops]
    by_x = bc.estimate(
        fit, [bc.ATE("x", "y", treated=v, control=0) for v in values if v], progressbar=False
    )
    by_s = bc.estimate(
        fit, [bc.ATE("x", "y", treated=v, control=0, given={"s": "m"}) for v in (values[0], 1)]
    )
    cells = record["cells"][0][:k] + record["cells"][0][k + 1 :]
    male = record["cells"][record["groups"].index("s m")]
    pairs = [*zip(cells, by_x, strict=True), (male[0], by_s[0]), (male[stops.index("1")], by_s[1])]
    for cell, effect in pairs:
        for level in LEVELS:
            assert [cell["m"], *cell["e"][f"{100 * level:g}"]] == as_shown(effect, level)
    assert "m" not in record["cells"][0][k]  # no difference by definition
    world = bc.estimate(fit, bc.Expected("y", {"x": values[0]}))
    own = record["cells"][0][0]["x"]
    assert [own["m"], *own["e"]["94"]] == as_shown(world, 0.94)


def test_groups_and_worlds_are_called_what_they_are(fit):
    effect = bc.estimate(fit, bc.CATE("x", "y", given={"s": "m"}))
    some = sliders.moved(fit, effect, [0.0, 1.0], [], 3)
    assert some.groups == ["units with s=m"]
    world = bc.estimate(fit, bc.Expected("y", {"x": 1}, given={"s": "m"}))
    np.testing.assert_array_equal(some.expected[1, 0].values, world.draws.values)
    assert effect_record(fit, effect, None, 2, [0.0, 1.0], [])["world"] == "Expected y"
    median = Effect(np.arange(9.0), bc.QTE("x", "y", q=0.5), kind="posterior")
    assert _world(median) == "Q_0.5[y]"


def test_what_cannot_be_moved_leaves_the_answer(fit, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by zero")

    effect = bc.estimate(fit, bc.ATE("x", "y"))
    monkeypatch.setattr(sliders, "levels_of", broken)
    found = effect_record(fit, effect, None, 1)
    assert [found["cells"][0][0]["m"], *found["cells"][0][0]["e"]["94"]] == as_shown(effect, 0.94)
    assert found["notes"][-1] == "Other levels were not computed: ZeroDivisionError: by zero"


def test_what_was_asked_for_and_is_not_there_is_said_or_refused(fit, monkeypatch):
    other = bc.estimate(fit, bc.DoseResponse("x", "y", values=[0, 1]))
    told = sliders.moved(fit, other, [0, 1, 2], ["s"], 3)
    assert told.notes == ["levels= and subgroups= do not apply to this question."]
    with pytest.raises(EstimandError, match=r"'low' is no level of x. Expected: numbers"):
        sliders.check_choices(fit, [bc.ATE("x", "y")], ["low"], None)
    with pytest.raises(EstimandError, match=r"'femal' is no level of s. Expected: among f, m"):
        sliders.check_choices(fit, [bc.ATE("s", "y", treated="m", control="f")], ["femal"], None)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    foreign = Effect(effect.draws + 1.0, estimand=effect.estimand)
    assert sliders.moved(fit, foreign, [0, 1], ["s"], 3).groups == ["all"]
    whole = sliders._curve

    def fails(fit, asked, given, by):
        if not by and not given:
            raise EstimandError("no")
        return whole(fit, asked, given, by)

    monkeypatch.setattr(sliders, "_curve", fails)
    alone = sliders.moved(fit, effect, [0, 1], ["s"], 3)
    assert (alone.levels, len(alone.groups)) == ([""], 1)  # never under the name of a subgroup


def test_thirds_hold_each_unit_once_and_their_numbers_are_those_of_the_range(fit, record):
    names = [name for name in record["groups"] if name.startswith("z from")]
    assert len(names) == 3
    assert sum(int(re.search(r"\((\d+) of 120\)", name)[1]) for name in names) == 120
    ranges = subgroups._thirds(fit.columns["z"].astype(float))
    inside = [(fit.columns["z"] >= low) & (fit.columns["z"] <= high) for low, high in ranges]
    assert np.array_equal(np.sum(inside, axis=0), np.ones(120))
    effect = bc.estimate(fit, bc.ATE("x", "y", given={"z": ranges[0]}))
    cell = record["cells"][record["groups"].index(names[0])][record["levels"].index("1")]
    assert [cell["m"], *cell["e"]["80"]] == as_shown(effect, 0.8)


@pytest.fixture(scope="module")
def mediated():
    """Return an exact posterior with a mediator; the effect of t differs by s and grows with t."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"s": rng.choice(["f", "m"], 60), "z": rng.normal(size=60)})
    data["t"] = rng.integers(0, 3, 60)
    data["m"] = 0.8 * data["t"] + rng.normal(size=60)
    data["y"] = data["t"] * (1 + (data["s"] == "m")) + data["m"] * data["t"] + rng.normal(size=60)
    formulas = ["t ~ z", "m ~ t", "y ~ t * s + t * m + z"]
    model = bc.model_from_formulas(formulas, families={"t": "poisson"}, data=data)
    return bc.fit(model, data, seed=3, draws=60, chains=2, progressbar=False)


@pytest.mark.parametrize(
    ("question", "stops"),
    [
        (bc.ATT("t", "y"), ["1", "2"]),
        pytest.param(bc.ATU("t", "y"), ["1", "2"], marks=pytest.mark.slow),
        pytest.param(bc.CDE("t", "y", mediators={"m": 0.5}), ["1", "2"], marks=pytest.mark.slow),
        (bc.NDE("t", "y"), ["1", "2"]),
        pytest.param(bc.NIE("t", "y", reverse=True), ["1", "2"], marks=pytest.mark.slow),
        pytest.param(bc.TE("t", "y", scale="ratio"), ["0", "1", "2"], marks=pytest.mark.slow),
        pytest.param(bc.PSE("t", "y", paths="t -> m -> y"), ["1", "2"], marks=pytest.mark.slow),
        pytest.param(
            bc.ATE("t", "y", treated=2, control=None), ["0", "1", "2"], marks=pytest.mark.slow
        ),
        pytest.param(
            bc.ATE("t", "y", population="superpopulation"), ["0", "1", "2"], marks=pytest.mark.slow
        ),
        pytest.param(bc.Contrast("y", {"t": 1}, {"t": 0}), ["0", "1", "2"], marks=pytest.mark.slow),
        pytest.param(bc.Expected("y", {"t": 1}), ["0", "1", "2"], marks=pytest.mark.slow),
        (bc.ATE("t", "y", treated=bc.Shift(1)), [""]),
        pytest.param(bc.ATE(["t", "m"], "y", treated=[1, 1]), [""], marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else type(value).__name__,
)
def test_every_question_of_one_treatment_is_moved(mediated, question, stops):
    """Another level is the same question with that level; a subgroup, with that given."""
    effect = bc.estimate(mediated, question, progressbar=False)
    own = effect_record(mediated, effect, None, 1, None, None, mediated.seed)
    assert own["levels"] == stops
    assert own["labels"][own["at"][0]] == effect.label if stops != [""] else not own["labels"]
    groups = own["groups"]
    assert sum(name.startswith(("s f", "s m", "z from")) for name in groups) == len(groups) - 1 == 5
    j = next(k for k, name in enumerate(groups) if name.startswith("s m"))
    last = stops[-1]
    there = (
        {"do": {"t": float(last)}}
        if isinstance(question, bc.Expected)
        else {}
        if last == ""
        else {"treated": {"t": 2.0} if isinstance(question, bc.Contrast) else 2.0}
    )
    for given, row in (({}, own["cells"][0]), ({"given": {"s": "m"}}, own["cells"][j])):
        asked = bc.estimate(mediated, replace(question, **there, **given), progressbar=False)
        for level in (0.5, 0.94):
            assert [row[-1]["m"], *row[-1]["e"][f"{100 * level:g}"]] == as_shown(asked, level)


def test_who_is_moved_is_said_and_a_level_of_ones_own_is_no_stop(mediated, fit):
    own = sliders.moved(mediated, bc.estimate(mediated, bc.ATT("t", "y")), None, ["s"], 3)
    assert own.groups[:2] == [
        "units that had this level of t themselves",
        "s f that had this level of t themselves",
    ]
    low, high = (float(v) for v in np.quantile(fit.columns["x"], [0.2, 0.8]))
    some = bc.estimate(fit, bc.ATT("x", "y", treated=(low, high)))
    assert sliders.moved(fit, some, None, [], 3).levels == [""]
    one = float(fit.columns["x"][0])  # of a continuous treatment each unit has a level of its own
    alone = bc.estimate(fit, bc.ATT("x", "y", treated=one))
    assert sliders.moved(fit, alone, None, ["s"], 3).levels == [""]


def test_an_answer_by_group_is_moved_at_other_levels(fit):
    effect = bc.estimate(fit, bc.ATE("x", "y", by="s"))
    own = sliders.moved(fit, effect, [2.0], None, 3)
    assert (own.levels, own.groups) == (["0", "1", "2"], ["s f", "s m"])
    two = bc.estimate(fit, bc.ATE("x", "y", treated=2, control=0, by="s"))
    np.testing.assert_allclose(own.draws[2, 1].values, two.draws.sel(s="m").values)


@pytest.mark.parametrize(
    "values", [[0, 0, 0, 0, 0, 1, 2], [0, 1, 2], [1, 1, 1, 2, 2, 3], [0.5, 0.5, 0.7]]
)
def test_thirds_of_ties_hold_each_value_once(values):
    values = np.array(values, dtype=float)
    inside = [(values >= low) & (values <= high) for low, high in subgroups._thirds(values)]
    assert np.array_equal(np.sum(inside, axis=0), np.ones(len(values)))


def test_thinned_draws_give_shares_to_within_what_is_said():
    rng = np.random.default_rng(1)
    draws = xr.DataArray(rng.gamma(2.0, size=(4, 777)), dims=("chain", "draw"))
    kept = ranked(draws, 200, float(draws.std()))
    assert kept == sorted(kept)
    assert len(kept) == 200
    at = np.linspace(0, 12, 500)
    exact = np.array([(draws.values > t).mean() for t in at])
    thin = np.array([(np.array(kept) > t).mean() for t in at])
    assert np.abs(exact - thin).max() <= 1 / 200
    few = draws.isel(chain=0, draw=slice(0, 50))
    assert ranked(few, 200, 1.0) == pytest.approx(sorted(few.values.tolist()), abs=5e-4)


def test_sentences_at_every_level_are_the_effects_own(fit):
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    said = at_levels(effect.sentence)
    assert isinstance(said, Swapped)
    assert said == effect.sentence()
    assert said.levels == {f"{100 * level:g}": effect.sentence(level) for level in LEVELS}
    assert type(at_levels(lambda level: "the same")) is str


def test_an_answer_with_cells_is_moved_along_them(fit):
    curve = bc.estimate(fit, bc.DoseResponse("x", "y", values=[-1, 0, 2], by="s"))
    found = effect_record(fit, curve, None, 1)
    assert (found["treatment"], found["levels"]) == ("x", ["-1", "0", "2"])
    assert found["groups"] == ["s f", "s m"]
    one = bc.estimate(fit, bc.Expected("y", {"x": 2}, given={"s": "m"}))
    assert found["cells"][1][2]["m"] == numbers(float(one.sd()), float(one))[0]
    units = bc.estimate(fit, bc.ITE("x", "y"))
    assert effect_record(fit, units, None, 1) is None  # 120 units: a table, no panel


# ---------------------------------------------------------------------------------- bounds


def test_the_size_is_bounded_and_what_is_left_out_is_said(fit):
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    share = 50
    most = MOST_DRAWS // share
    found = effect_record(fit, effect, None, share)
    kept = [len(c["d"]) for row in found["cells"] for c in row if "d" in c]
    assert sum(kept) <= most
    told = effect_record(fit, effect, None, 400)
    assert told["levels"] == [""]
    assert "more than a page may hold" in told["notes"][1]
    assert share * size_of([found]) <= MOST_BYTES
    assert effect_record(fit, effect, None, 10_000) is None  # its labels alone are more


def test_the_work_is_bounded_unless_it_is_asked_for(fit, monkeypatch):
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    monkeypatch.setattr(sliders, "WORK", 600 * 120 * 5)
    less = sliders.moved(fit, effect, None, None, 3)
    assert {"0", "1"} <= {*less.levels}
    assert len(less.levels) <= 5
    assert len(less.groups) == 1
    assert "left out to keep the report quick (72,000 pairs" in less.notes[0]
    monkeypatch.setattr(sliders, "WORK", 0)
    none = sliders.moved(fit, effect, None, None, 3)
    assert none.levels == [""]
    assert "were not computed" in none.notes[0]
    asked = sliders.moved(fit, effect, [0.5], ["s"], 3)
    assert asked.levels == ["0", "0.5", "1"]
    assert asked.groups[1:] == ["s f", "s m"]
    assert not asked.notes


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"subgroups": ["w"]}, UnknownVariableError, "'w' is not a column"),
        ({"subgroups": ["y"]}, EstimandError, "x acts on y"),
        ({"levels": [float("nan")]}, EstimandError, "finite numbers, or labels"),
    ],
)
def test_choices_that_are_none_are_refused(fit, options, error, said):
    with pytest.raises(error, match=said):
        bc.report(fit, bc.ATE("x", "y"), checks=False, **options)


# ----------------------------------------------------------------------------------- arrows


def test_the_test_of_an_arrow_is_that_of_the_graph_without_it(fit):
    rng = np.random.default_rng(2)
    z = rng.normal(size=400)
    data = {"z": z, "x": z + rng.normal(size=400)}
    data["y"] = data["x"] + rng.normal(size=400)
    tests = arrow_tests("z -> x -> y; z -> y", data)
    by_ends = {(t.tail, t.head): t for t in tests}
    for (tail, head), test in by_ends.items():
        edges = [e for e in by_ends if e != (tail, head)]
        pruned = nx.DiGraph(edges)
        pruned.add_nodes_from("xyz")
        claims = {(c.left, c.right): c for c in implied_independences(pruned, one_per_pair=True)}
        claim = claims[tuple(sorted((tail, head)))]
        assert test.without == claim
        alone = bc.falsify(pruned, data, permutations=0, suggest=False).tests
        row = alone[alone["claim"] == str(claim)].iloc[0]
        assert test.p_value == pytest.approx(row["p_value"], rel=1e-9)
    assert "the data refute that (p < 0.001)" in by_ends["x", "y"].sentence()
    assert "they could do without it" in by_ends["z", "y"].sentence()
    [_, hidden] = arrow_tests("x -> y; u [latent]; u -> y", {"x": data["x"], "y": data["y"]})[::-1]
    assert hidden.sentence() == "Not tested: u is not measured."


def test_the_picture_and_the_table_name_the_same_arrows(fit):
    effects = [bc.estimate(fit, bc.ATE("x", "y"))]
    section = graph_section(Material(fit, effects))
    [live] = [b for b in section.blocks if isinstance(b, Live)]
    [picture] = [b for b in section.blocks if b.kind == "picture"]
    assert live.record["names"] == sorted(live.record["names"])
    assert ["x", "y"] in live.record["names"]
    for k in range(len(live.record["names"])):
        assert f'id="arrow-{k}-0"' in picture.svg
    for k in range(len(live.record["variables"])):
        assert f'id="node-{k}-0"' in picture.svg
    k = live.record["names"].index(["x", "y"])
    assert live.record["arrows"][k].startswith("x may act on y directly")
    assert "the check 'implications' was not asked for" in live.record["arrows"][k]
    assert live.record["nodes"][live.record["variables"].index("x")] == "x is the treatment."
    assert arrow_blocks(fit, nx.DiGraph(), ((), None), ()) == ()


# ------------------------------------------------------------------------- what would change


@pytest.mark.slow
def test_the_surface_is_that_of_the_check(fit):
    found = bc.hidden_confounder(fit, bc.ATE("x", "y"), gamma=0.4, delta=[-0.5, 0.5], draws=60)
    shown = surface_record(found)
    assert (shown["gammas"], shown["deltas"]) == (["0", "0.4"], ["-0.5", "0", "0.5"])
    for i, j in np.ndindex(2, 3):
        cell = found.surface.isel(gamma=i, delta=j)
        told = shown["cells"][i][j]
        ends = (float(cell[n]) for n in ("mean", "lower", "upper"))
        wanted = numbers(float(cell["sd"]), *ends, ends=True, apart=[0.0])
        assert [told["m"], *told["e"]["94"]] == wanted
        assert told["ok"] is bool(cell["allowed"])
        assert told["p"] == round(float(cell["above_null"]), 3)
    assert {b["name"] for b in shown["benchmarks"]} == {str(n) for n in found.benchmarks.index}


# ------------------------------------------------------------------------------------ page


def test_the_page_holds_it_and_only_its_own_script_may_run(fit):
    page = bc.report(fit, [bc.ATE("x", "y"), bc.ATE("x", "y", by="s")], checks=False)
    scripts = re.findall(r"<script>(.*?)</script>", page.html, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.html
    data = [json.loads(t) for t in re.findall(r'"application/json">(.*?)</script>', page.html)]
    assert [d["label"] for d in data[1:]] == [e.label for e in page.effects]
    levels = [json.loads(html.unescape(t)) for t in re.findall(r'data-levels="(.*?)"', page.html)]
    assert all({*found} == {"50", "80", "89", "94", "95", "99"} for found in levels)
    said = [found for found in levels if found["50"] == page.effects[0].sentence(0.5)]
    assert len(said) == 2  # in short, and with the answer
    ends = page.effects[1].interval(0.5).values[0]
    spread = float(page.effects[1].sd()[0])
    low = numbers(spread, 0.0, ends[0], ends=True, apart=[0.0])[1]
    assert any(found["50"] == low for found in levels)
    assert "Panels that move" in page.html
    assert "application/json" not in page.markdown
    assert "Panels that move" in page.markdown


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_script_of_a_page_runs_and_offers_the_levels(fit, tmp_path):
    """Without an error in a browser; the levels are those of Python."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    page = bc.report(fit, bc.ATE("x", "y"), tmp_path / "page.html", checks=False, subgroups=[])
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page()
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(page.path.as_uri())
        choices = tab.locator(".levels input")
        offered = [choices.nth(k).get_attribute("value") for k in range(choices.count())]
        checked = tab.locator(".levels input:checked").get_attribute("value")
        browser.close()
    assert wrong == []
    assert offered == [f"{100 * level:g}" for level in LEVELS]
    assert checked == f"{100 * PROB:g}"
