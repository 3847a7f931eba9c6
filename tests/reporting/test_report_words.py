"""The report says what was asked, of what model, in one style, and gives code that runs.

The kinds: one form of words for several questions; a part of an effect set beside an association
of the whole; "code" that is no code; what the sampler works with shown in place of what the reader
knows; headings said twice. Siblings looked at: every estimand's words, models in PyMC and from
formulas, HTML and Markdown, all tables and captions.
"""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.effects.words.as_code import as_code
from bayescausal.effects.words.sentence import asked_in_words
from bayescausal.reporting import progress
from bayescausal.reporting import report as written
from bayescausal.reporting.contents.naive import beside
from bayescausal.reporting.terminal import shown_parameters

PARTS = [
    bc.TE("x", "y"),
    bc.NDE("x", "y"),
    bc.NIE("x", "y"),
    bc.CDE("x", "y", mediators={"m": 1}),
    bc.ATE("x", "y"),
    bc.ATE("x", "y", treated=2),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=80), "year": rng.integers(1974, 1979, 80)})
    frame["m"] = frame["x"] + rng.normal(size=80)
    return frame.assign(y=9000 + 800 * frame["m"] + 1000 * rng.normal(size=80))


FORMULAS = ["x ~ year", "m ~ x", "y ~ m + x"]


@pytest.fixture(scope="module")
def fit(data):
    model = bc.model_from_formulas(FORMULAS, data=data)
    return bc.fit(model, data, seed=2, draws=200, chains=2, progressbar=False)


@pytest.fixture(scope="module")
def page(fit):
    return bc.report(fit, PARTS, checks=False).markdown.partition("[figure-1]: data")[0]


def section(page: str, title: str) -> str:
    return re.split(r"\n## ", page.partition(f"\n## {title}\n")[2])[0]


# ------------------------------------------------------------------------------ questions


def test_every_question_has_words_of_its_own(fit):
    words = [asked_in_words(effect) for effect in bc.estimate(fit, PARTS)]
    assert len(set(words)) == len(PARTS)
    for kind, said in zip(
        ("total", "natural direct", "natural indirect", "controlled direct"), words, strict=False
    ):
        assert f"the {kind} effect" in said
    assert "with m held at 1" in words[3]
    assert "from 0 to 2" in words[5]


@pytest.mark.parametrize(
    ("estimand", "words"),
    [
        (bc.Expected("y", {"x": 1}), "what is y on average with x held at 1"),
        (bc.QTE("x", "y", q=0.9), "what does raising x from 0 to 1 do to the 0.9 quantile of y"),
        (bc.DoseResponse("x", "y", values=[1, 2]), "what is y on average with x set to each value"),
        (bc.Slope("x", "y"), "what does raising x a little from where it is do to y on average"),
        (
            bc.ATE("x", "y", scale="ratio"),
            "what does raising x from 0 to 1 do to y on average (as a ratio)",
        ),
        (
            bc.DoseResponse("x", "y", values=[1, 2], control=0),
            "how does y on average with x set to each value differ from that with x held at 0",
        ),
        (bc.ITE("x", "y"), "what does raising x from 0 to 1 do to y"),
    ],
)
def test_questions_of_other_kinds(fit, estimand, words):
    assert asked_in_words(bc.estimate(fit, estimand)) == words


def test_a_part_of_an_effect_has_no_association_beside_it(page):
    table = section(page, "Answers")
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    beside = [line for line in rows if line.count("|") == 4 and "\\[" in line]
    assert [r.split("|")[1].split()[0] for r in beside] == ["TE", "ATE", "ATE"]
    for kind in ("NDE", "NIE", "CDE"):
        [said] = [x for x in table.splitlines() if "no association" in x and x.startswith(kind)]
        assert said.count(kind) == 1


# ------------------------------------------------------------------------------ the model, code


def test_each_rule_of_decision_says_whose_it_is(fit, page):
    assert page.count("Decided if the whole") == 1  # one rule for all
    two = [bc.ATE("x", "y"), bc.ATE("x", "y", scale="ratio")]
    text = bc.report(fit, two, checks=False).markdown
    assert "\nATE x -> y: Decided if the whole 94% HDI lies on one side of 0" in text
    assert "\nATE x -> y (ratio): Decided if the whole 94% HDI lies on one side of 1" in text


def test_formulas_are_shown(page):
    shown = section(page, "Graph and model")
    for formula in FORMULAS:
        assert formula in shown
    assert "<" not in shown


def test_columns_levels_and_priors_are_said_as_they_are():
    """No name of the node that joins columns, no thousands within a list, no prior without its sd.

    Siblings looked at: the text of the picture, the line of a terminal, models in PyMC.
    """
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"age": rng.normal(50, 9, 60), "g": rng.choice(["a", "b", "c"], 60)})
    data["y"] = 30_000 * rng.normal(size=60)
    model = bc.model_from_formulas(["y ~ age + g"], data=data)
    known = bc.prior(model, data, draws=20, seed=1)
    made = bc.report(known, bc.ATE("age", "y"), checks=False)
    page = made.markdown.partition("[figure-1]: data")[0]
    assert "Columns without an equation, which may depend on each other: age and g." in page
    assert "->age" not in page
    assert "<->" not in made.html.replace("&lt;", "<").replace("&gt;", ">")
    priors = bc.prior_summary(model)["prior"]
    for name in ("b_y_age", "b_y_g", "b_y_Intercept", "sigma_y"):
        assert f"{name} ~ {priors[name]}\n" in page
    counts = data["g"].value_counts()
    levels = ", ".join(f"{label}: {counts[label]}" for label in "abc")
    [heads] = [line for line in page.splitlines() if "smallest" in line]
    [row] = [line for line in page.splitlines() if line.startswith("| g |")]
    assert row.split("|")[heads.split("|").index(" levels ")].strip() == levels
    assert "levels" not in section(page, "Parameters")


def test_no_heading_is_repeated_below_itself(fit):
    made = bc.report(fit, bc.ATE("x", "y"), checks=["prior_posterior", "overlap"])
    lines = [line for line in made.markdown.splitlines() if line.strip()]
    for above, below in itertools.pairwise(lines):
        assert above.lstrip("# ") != below
    assert "hdi94" not in made.markdown


@pytest.mark.parametrize("source", [pytest.param("formulas", marks=pytest.mark.slow), "pymc"])
def test_the_code_makes_the_answers_again(source, fit, data, tmp_path, monkeypatch):
    """Run what the report prints, with the data and nothing else, and compare with the answers."""
    monkeypatch.chdir(tmp_path)
    if source == "pymc":
        with pm.Model(coords={"unit": [0]}) as model:
            x = pm.Normal("x", 0, 1, dims="unit")
            b = pm.Normal("b", 0, 1000)
            pm.Normal("y", 9000 + b * x, 1000, dims="unit")
        data = data[["x", "y"]]
        fit = bc.fit(model, data, seed=2, draws=200, chains=2, progressbar=False)
    questions = [bc.ATE("x", "y", treated=2), bc.CATE("x", "y", given={"x": (0, 1)})]
    made = bc.report(fit, questions, checks=False)
    code = [c for c in re.findall(r"```python\n(.*?)```", made.markdown, re.S) if "bc.fit" in c][-1]
    scope: dict = {"data": data, "print": lambda *_: None}
    exec(code, scope)
    again = bc.estimate(scope["fit"], scope["questions"])
    assert [float(e) for e in again] == pytest.approx([float(e) for e in made.effects], rel=1e-9)
    assert (tmp_path / "report.html").exists()


def test_the_code_says_what_is_yours_to_define(tmp_path, monkeypatch):
    """Rules and distributions were printed as objects, and the list did not even parse."""
    monkeypatch.chdir(tmp_path)
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", pm.Normal("b") * x + z, 1, dims="unit")
    rng = np.random.default_rng(3)
    data = {"z": rng.normal(size=30), "x": np.arange(30) % 2, "y": rng.normal(size=30)}
    fit = bc.fit(model, data, seed=2, draws=50, chains=2, progressbar=False)
    yours = [
        bc.Policy(lambda z: z > 0),
        bc.Stochastic(pm.Bernoulli.dist(0.3)),
        np.arange(30) > 10,
    ]
    questions = [
        *(bc.ATE("x", "y", treated=what) for what in yours[:2]),
        bc.CATE("x", "y", given=yours[2]),
        bc.ATE("x", "y", treated=np.int64(1), control=bc.Set(np.arange(30) % 2)),
    ]
    made = bc.report(fit, questions, checks=False)
    code = [c for c in re.findall(r"```python\n(.*?)```", made.markdown, re.S) if "bc.fit" in c][-1]
    lines = [line for line in code.splitlines() if "yours to define" in line]
    told = ["bc.Policy of your rule: x=f(z)", "x~Bernoulli(0.3)", "mask of 19 of 30 units"]
    assert len(lines) == 3
    scope: dict = {"data": data, "print": lambda *_: None}
    for i, (line, words) in enumerate(zip(lines, told, strict=True)):
        assert words in line
        code = code.replace(line, f"{line.partition(' =')[0]} = yours[{i}]")
    scope["yours"] = yours
    exec(code.partition("for effect in")[0], scope)
    assert [q.describe() for q in scope["questions"]] == [q.describe() for q in questions]
    assert [q.treated for q in scope["questions"][:2]] == yours[:2]


def test_questions_of_a_design_are_imported_by_the_code(tmp_path, monkeypatch):
    """One that is not behind ``bc.`` was named without an import."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    t = rng.integers(0, 2, 80)
    m = t + rng.normal(size=80)
    table = {"t": t, "m": m, "y": t + m + rng.normal(size=80)}
    design = bc.designs.mediation(table, treatment="t", mediators="m", outcome="y")
    fit = bc.fit(design, seed=2, draws=100, chains=2, progressbar=False)
    questions = [design.effects[n] for n in ("NIE", "proportion mediated")]
    made = bc.report(fit, questions, checks=False)
    code = [c for c in re.findall(r"```python\n(.*?)```", made.markdown, re.S) if "bc.fit" in c][-1]
    scope: dict = {"data": design.data, "print": lambda *_: None}
    exec(code, scope)
    assert scope["questions"] == questions
    again = bc.estimate(scope["fit"], scope["questions"])
    assert [float(e) for e in again] == pytest.approx([float(e) for e in made.effects], rel=1e-9)


def test_questions_as_code_make_the_same_questions():
    asked = [
        *PARTS,
        bc.ATT("x", "y", treated=(1, 2)),
        bc.ATE(["a", "b"], "y", treated=[1, 2], control=[0, 0]),
        bc.ATE("x", "y", treated=bc.Shift(1), by="z", scale="ratio", population="model"),
        bc.PSE("x", "y", paths="x -> m -> y"),
        bc.CATE("x", "y", given={"z": "a", "w": (None, 2)}),
    ]
    for estimand in asked:
        made = eval(as_code(estimand), vars(bc) | {n: getattr(bc, n) for n in bc.__all__})
        assert made.heading() == estimand.heading()
    assert as_code(bc.ATE("x", "y", treated=bc.Policy(lambda z: z > 0))) is None


def test_group_effects_stand_in_place_of_what_they_are_made_of():
    """A posterior with both is told by the group effects; one without them as it is."""
    frame = pd.DataFrame({"g": ["a", "b", "c"] * 8, "w": np.arange(24.0) % 5})
    model = bc.model_from_formulas(["y ~ w + (1 + w | g)"], data=frame.assign(y=frame["w"]))
    names = [v.name for v in model.free_RVs if v.name != "y"]
    made = [v.name for v in model.deterministics]
    assert "z_y|g" in names
    for drawn, raw in ((names + made, False), (names, True)):
        fit = SimpleNamespace(
            model=model, parameters=names, posterior=xr.Dataset(dict.fromkeys(drawn, 0.0))
        )
        shown = shown_parameters(fit)
        assert any(n.startswith(("z_", "half_")) for n in shown) is raw
        assert ("r_y|g" in shown) is not raw
        assert {"b_y_w", "sd_y|g", "sigma_y"} <= set(shown)


# ------------------------------------------------------------------------------ one style


def test_no_exponents_and_no_heading_twice(page):
    numbers = section(page, "Answers") + section(page, "Parameters") + section(page, "Data")
    assert not re.search(r"\d[eE]\+?\d", re.sub(r"\d\.?\d*e-\d+", "", numbers))
    amounts = re.findall(r"(?<![\d.,])\d{5,}(?![\d.])", re.sub(r"figure-\d+", "", numbers))
    assert not amounts, amounts
    assert "| 1974 | 1978 |" in section(page, "Data")
    captions = [line for line in page.splitlines() if line in ("Parameters", "ATE x -\\> y")]
    assert not captions


def test_pictures_have_no_caption_that_repeats_their_heading(fit):
    made = bc.report(fit, bc.ATE("x", "y"), checks=False)
    for caption in re.findall(r"<figcaption>(.*?)</figcaption>", made.html):
        assert "ATE x" not in caption


def test_tables_of_many_columns_say_what_each_cell_is(fit):
    """On a narrow screen a wide table becomes a list: each cell carries the head of its column."""
    made = bc.report(fit, bc.ATE("x", "y"), checks=False)
    wide = re.findall(r'<table class="wide">.*?</table>', made.html, re.S)
    assert wide
    for table in wide:
        assert table.count("<td") == len(re.findall(r'<td data-head="[^"]+"', table))


# ------------------------------------------------------------------------------ progress


def test_progress_is_told_step_by_step_and_silent_when_asked(fit, monkeypatch, capsys):
    told = []
    real = progress.steps

    import contextlib

    @contextlib.contextmanager
    def spy(total, show):
        with real(total, show):
            yield lambda what: told.append((what, total, show))

    monkeypatch.setattr(written, "steps", spy)
    bc.report(fit, bc.ATE("x", "y"), checks=["implications"], progressbar=False)
    assert [what for what, _, _ in told] == [
        "answering 1 question",
        "what is seen beside it",
        "other levels and subgroups",
        "What the graph implies",
    ]
    assert {(total, show) for _, total, show in told} == {(4, False)}
    assert capsys.readouterr() == ("", "")


def test_progress_shows_on_a_terminal_alone(monkeypatch, capsys):
    with progress.steps(2, True) as tell:
        tell("a step")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.steps(2, True) as tell:
        tell("a step")
    out, err = capsys.readouterr()
    assert out == ""
    assert "a step" in err


# ------------------------------------------------------------------------ what is not identified


def test_a_report_says_once_that_an_effect_is_not_identified():
    """Draws of x <- u -> y, x -> y with u latent: no confounding is read off a number like that."""
    rng = np.random.default_rng(3)
    with pm.Model(coords={"unit": range(40)}) as model:
        u = pm.Normal("u", dims="unit")
        x = pm.Normal("x", u, dims="unit")
        slope = pm.Normal("b")
        pm.Normal("y", slope * x + u, dims="unit")
    draws = {"b": rng.normal(size=(2, 50)), "u": rng.normal(size=(2, 50, 40))}
    columns = {"x": rng.normal(size=40), "y": rng.normal(size=40)}
    fit = bc.Fit(model, draws, columns)
    page = bc.report(fit, bc.ATE("x", "y"), checks=False).markdown
    head = re.split(r"\n## Question", page)[0]
    assert "\n**Not identified: " in head
    assert head.lower().count("not identified") == 1
    assert "the rest is confounding" not in page
    assert "how far they part is not known from data" in page
    assert re.search(r"\[[^]]*\] \(not identified\)", page)


def test_an_answer_that_is_the_same_in_every_draw_has_dashes_for_its_diagnostics():
    """They are not defined there; "nan, nan" stood beside the dashes of the others."""
    with pm.Model(coords={"unit": range(3)}) as model:
        x = pm.Data("x", np.zeros(3), dims="unit")
        pm.Normal("y", 2 * x + pm.Normal("b"), 1, dims="unit")
    known = bc.prior(model, {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0]}, draws=20, seed=1)
    page = bc.report(known, bc.ATE("x", "y"), checks=False, progressbar=False).markdown
    assert "nan" not in page.lower()
    assert "-, -" in page


def test_beside_the_effect_of_a_dose_stands_a_line_through_the_units_asked_about():
    """One unit with each of two doses is no group, and those of a subgroup are not all."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"age": rng.normal(50, 8, 80).round(1)})
    data["dose"] = (0.05 * data["age"] + rng.normal(size=80)).round(2)
    data.loc[[0, 1], ["age", "dose"]] = [[30.0, 4.003], [70.0, 2.007]]
    data["y"] = 1.5 * data["dose"] - 0.4 * data["age"] + rng.normal(size=80)
    assert (data["dose"] == 4.003).sum() == (data["dose"] == 2.007).sum() == 1
    model = bc.model_from_formulas(["dose ~ age", "y ~ dose + age"], data=data)
    fit = bc.prior(model, data, draws=20, seed=1)
    old = data[data["age"] >= 50]

    def seen(estimand):
        return beside(fit, bc.estimate(fit, estimand, progressbar=False), 1)

    levels = {"treated": 4.003, "control": 2.007}
    for estimand, rows, distance in [
        (bc.ATE("dose", "y", **levels), data, 1.996),
        (bc.CATE("dose", "y", given={"age": (50, None)}, **levels), old, 1.996),
        (bc.Slope("dose", "y", given={"age": (50, None)}), old, 1),
    ]:
        line, words = seen(estimand)
        assert float(line) == pytest.approx(distance * np.polyfit(rows["dose"], rows["y"], 1)[0])
        assert words.startswith("The association is the slope of a line")
    above = bc.ATE("dose", "y", functional=bc.Probability(above=3), **levels)
    found = data["dose"].nunique()
    assert f"dose has {found} different values in 80 rows. " in seen(above)
    assert "compare two ranges, as Association('dose', 'y', " in seen(above)
