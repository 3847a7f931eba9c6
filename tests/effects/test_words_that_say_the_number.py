"""Sentences and headings say the question that was asked, of the units that were asked about.

The kinds: a probability called by the name of its event; all units named where an answer is about
parts of them; "units" where the model says what they are; two questions under one name. Siblings
looked at: every estimand's sentence (differences, ratios, odds, one world, associations, slopes),
curves and subgroups, units of tables, streamed data; headings of effects, forests, reports, checks.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.draws.named import distinct
from bayescausal.effects.effect import Effect
from bayescausal.effects.words.headings import details
from bayescausal.figures.forest import plot_forest


@pytest.fixture(scope="module")
def known():
    """Return known parameters of patients whose outcome is 0 or 1, and their data."""
    with pm.Model(coords={"patient": [0]}) as model:
        z = pm.Bernoulli("z", 0.25, dims="patient")
        x = pm.Bernoulli("x", 0.2 + 0.4 * z, dims="patient")
        b = pm.Normal("b")
        m = pm.Normal("m", x, 1, dims="patient")
        pm.Bernoulli("cancer", 0.1 + b * x + 0.2 * z, dims="patient")
        pm.Normal("y", b * x + m + z, 1, dims="patient")
    data = bc.simulate(model, {"b": 0.09}, units=200, seed=1)
    return bc.truth(model, {"b": 0.09}, data)


def says(known, estimand):
    return bc.estimate(known, estimand).sentence()


@pytest.mark.parametrize(
    ("estimand", "words"),
    [
        (
            bc.ATE("x", "cancer"),
            "raising x from 0 to 1 raises the probability of cancer by 0.09 over the 200 patients",
        ),
        (bc.ATE("x", "cancer", treated=0, control=1), "lowers the probability of cancer by 0.09"),
        (bc.CATE("x", "cancer", given={"z": 1}), "raises the probability of cancer by 0.09 over "),
        (bc.ATE("x", "cancer", scale="ratio"), "multiplies the probability of cancer by "),
        (bc.ATE("x", "cancer", scale="odds ratio"), "multiplies the odds of cancer by "),
        (bc.Expected("cancer", {"x": 1}), "the probability of cancer is "),
        (bc.Association("x", "cancer"), "the probability of cancer is higher by "),
    ],
)
def test_the_mean_of_a_binary_outcome_is_a_probability(known, estimand, words):
    text = says(known, estimand)
    assert words in text
    assert "on average" not in text
    assert "raises cancer" not in text


def test_other_outcomes_keep_their_average(known):
    assert "raises y by 1.09 on average over the 200 patients" in says(known, bc.ATE("x", "y"))


def test_units_are_called_what_the_model_calls_them(known):
    assert "among the 200 patients" in says(known, bc.CATE("x", "y", given={"z": 1}))
    assert "over the population the patients came from" in says(
        known, bc.ATE("x", "y", population="superpopulation")
    )
    assert "over fresh patients from the model" in says(known, bc.ATE("x", "y", population="model"))
    assert "among patients with x=1, cancer=1" in says(
        known, bc.PN("x", "cancer", coupling="monotone")
    )
    for estimand in (bc.ATE("x", "y"), bc.PN("x", "cancer", coupling="monotone"), bc.ITE("x", "y")):
        assert "units" not in says(known, estimand)


def test_subgroups_are_not_said_to_be_over_everyone(known):
    text = says(known, bc.ATE("x", "y", by="z"))
    assert "for each value of z among the 200 patients: z=0: " in text
    assert "over the 200 patients" not in text


def test_a_controlled_direct_effect_says_both_levels(known):
    text = says(known, bc.CDE("x", "y", mediators={"m": 2}))
    assert "raising x from 0 to 1 with m held at 2 " in text


# ------------------------------------------------------------------------------- headings

QUESTIONS = [
    bc.ATE("x", "y"),
    bc.ATE("x", "y", treated=2),
    bc.ATE("x", "y", treated=2, control=1),
    bc.ATE("x", "y", treated=bc.Shift(1)),
    bc.ATE("x", "y", treated=bc.Scale(2)),
    bc.ATE("x", "y", control=None),
    bc.ATE("x", "y", treated="b", control="a"),
    bc.ATE("x", "y", scale="ratio"),
    bc.ATE("x", "y", functional="median"),
    bc.ATE("x", "y", functional=bc.Probability(above=2)),
    bc.ATE("x", "y", functional=bc.Probability(above=3)),
    bc.ATE("x", "y", population="model"),
    bc.ATE("x", "y", population="superpopulation"),
    bc.ATE("x", "y", population=bc.Superpopulation(clusters="school")),
    bc.ATE("x", "y", by="z"),
    bc.ATT("x", "y", treated=(1, 2)),
    bc.ATT("x", "y"),
    bc.CDE("x", "y", mediators={"m": 0}),
    bc.CDE("x", "y", mediators={"m": 1}),
    bc.NDE("x", "y"),
    bc.NDE("x", "y", mediators="m"),
    bc.NIE("x", "y"),
    bc.NIE("x", "y", reverse=True),
    bc.PSE("x", "y", paths="x -> m -> y"),
    bc.PSE("x", "y", paths="x -> y"),
    bc.QTE("x", "y", q=0.1),
    bc.QTE("x", "y", q=0.9),
    bc.Slope("x", "y"),
    bc.Slope("x", "y", at=2),
    bc.DoseResponse("x", "y", values=[1, 2]),
    bc.DoseResponse("x", "y", values=[1, 2], control=0),
    bc.PN("x", "y"),
    bc.PN("x", "y", event=2),
    bc.ITE("x", "y", coupling="gumbel"),
    bc.ITE("x", "y", coupling="monotone"),
    bc.Expected("y"),
    bc.Expected("y", {"x": 1}),
    bc.Expected("y", {"x": 2}),
    bc.Contrast("y", {"x": 1}, {"x": 0}),
    bc.Contrast("y", {"x": 2}, {"x": 0}),
    bc.Association("x", "y"),
    bc.Association("x", "y", treated=2),
]


def test_two_questions_have_two_headings():
    for a, b in itertools.combinations(QUESTIONS, 2):
        assert a.heading() != b.heading(), (a, b)


def test_defaults_are_not_said():
    assert bc.ATE("dilution", "coating").heading() == "ATE dilution -> coating"
    assert details(bc.NDE("x", "y")) == details(bc.Association("x", "y")) == ""
    assert bc.ATE("x", "y", treated=3, control=2).heading() == "ATE x -> y (3 against 2)"
    assert bc.CDE("x", "y", mediators={"m": 0}).heading() == "CDE x -> y (m=0)"


def test_rows_of_a_forest_differ(known):
    doses = [bc.ATE("m", "y", treated=t) for t in (1, 2)]
    ax = plot_forest(bc.estimate(known, [*doses, doses[0]]))
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(set(names)) == 3
    assert names[1] == "ATE m -> y (2 against 0)"
    assert distinct(["a", "b", "a"]) == ["a [1]", "b", "a [2]"]
    assert np.isfinite(ax.get_ylim()).all()


def test_one_draw_of_what_is_unknown_of_the_units_is_said():
    """With known parameters a number is exact but for latents, weights and noise within atoms."""
    with pm.Model(coords={"unit": range(4)}) as model:
        u = pm.Bernoulli("u", 0.5, dims="unit")
        t = pm.Bernoulli("t", 0.3 + 0.4 * u, dims="unit")
        pm.Bernoulli("y", 0.1 + 0.3 * t * u + 0.2 * u, dims="unit")
    whole = pd.DataFrame({"u": [0, 1, 1, 0], "t": [1, 1, 0, 0], "y": [0, 1, 1, 0]})

    def once(question, data=whole, draws=1):
        effect = bc.estimate(bc.truth(model, {}, data, draws=draws), question, progressbar=False)
        notes = [note for note in effect.notes if note.startswith("One draw of")]
        if effect.draws.size == 1:
            why = "one draw" if notes else "known parameters"
            assert f"({why}, so no interval)" in effect.sentence()
        return notes

    unknown = whole.drop(columns="u")
    ite = bc.ITE("t", "y", coupling="monotone")
    assert "One draw of u:" in once(bc.ATE("t", "y"), unknown)[0]
    assert "One draw of y:" in once(ite)[0]
    assert "the units' weights" in once(bc.ATE("t", "y", population="superpopulation"))[0]
    assert not once(bc.ATE("t", "y"))
    assert not once(ite, draws=2)


def test_an_interval_of_one_value_is_not_said_to_be_the_same_in_every_draw():
    """Of 1,000 draws ten differ: the interval is one value, and the draws are not all alike."""
    rare = Effect(np.r_[np.zeros(990), np.full(10, 0.003)], bc.PN("x", "y"))
    assert "(94% HDI 0.00000 to 0.00000)" in rare.sentence()
    assert "changes y by -0.01 on average (94% HDI 0 to 0)" in (
        Effect(np.r_[np.zeros(990), np.full(10, -1.0)], bc.ATE("x", "y")).sentence()
    )
    assert "same in every draw" in Effect(np.full(1000, 0.1), bc.ATE("x", "y")).sentence()


def test_distributions_that_differ_are_named_apart():
    half, most = (bc.Stochastic(pm.Bernoulli.dist(p)) for p in (0.5, 0.9))
    questions = [bc.Contrast("y", {"t": new}, {"t": 0}) for new in (half, most)]
    assert "do(t~Bernoulli(0.5))" in questions[0].describe()
    assert details(questions[0]) != details(questions[1])


def test_what_follows_what_is_set_is_not_left_as_it_is():
    """E[y | do(t=1)]: m follows t; in the natural course alone all is as it is."""
    effect = Effect([0.1, 0.2], bc.Contrast("y", {"t": 1}, {"t": 0, "m": 1}))
    assert effect.sentence().startswith("Setting t to 1 and not setting m rather than setting t")


@pytest.mark.parametrize("given", [None, {"z": 1}])
def test_an_association_says_how_many_units_are_in_each_group(known, given):
    kept = known.columns["z"] == 1 if given else np.ones(200, dtype=bool)
    x = known.columns["x"][kept]
    effect = bc.estimate(known, bc.Association("x", "y", given=given))
    sizes = f", {(x == 1).sum()} where x=1 and {(x == 0).sum()} where x=0"
    assert f"the 200 patients{sizes} (" in effect.sentence()
    also = ", z=1" if given else ""  # the population stands alone in a report
    groups = f"{(x == 1).sum()} where x=1{also} and {(x == 0).sum()} where x=0{also}"
    assert effect.population.endswith(f", {groups}")
    assert not any("Few" in note for note in effect.notes)
    # who belongs is drawn anew where the outcome says it: there is no one number of units
    drawn = bc.estimate(known, bc.Association("x", "y", given={"y": (0, 2)}))
    assert "the 200 patients, in two groups" in drawn.sentence()


def test_an_association_of_few_units_is_noted():
    with pm.Model(coords={"unit": [0]}) as model:
        g = pm.Categorical("g", [0.5, 0.5], dims="unit")
        dose = pm.Normal("dose", 3, 1, dims="unit")
        pm.Normal("y", 2 * dose + g, 1, dims="unit")
    dose = np.r_[2, 4, np.linspace(1.1, 4.9, 78)]
    data = pd.DataFrame({"g": np.arange(80) % 2, "dose": dose, "y": 2 * dose})
    known = bc.truth(model, {}, data)
    effect = bc.estimate(known, bc.Association("dose", "y", treated=4, control=2))
    assert "over the 80 units, 1 where dose=4 and 1 where dose=2" in effect.sentence()
    [note] = [n for n in effect.notes if n.startswith("Few")]
    assert note.startswith("Few units in a group: 1 with dose=4; 1 with dose=2. Which units these")
    assert "no interval holds it" in note
    assert "control=(None, 3)" in note
    split = bc.Association("dose", "y", treated=(1.9, 2), control=(3, None), by="g")
    [note] = [n for n in bc.estimate(known, split).notes if n.startswith("Few")]
    in_range, g = (dose >= 1.9) & (dose <= 2), data["g"]
    each = [(in_range & (g == level)).sum() for level in (0, 1)]
    assert f"{each[0]} with 1.9 <= dose <= 2, g=0; {each[1]} with 1.9 <= dose <= 2, g=1." in note


def test_an_event_that_has_a_name_has_a_probability():
    """A Deterministic that is true or false is no average: P(2 x + e > 0) from 1/2 to Phi(2)."""
    with pm.Model(coords={"unit": range(2)}) as model:
        x = pm.Data("x", np.array([0, 1]), dims="unit")
        y = pm.Normal("y", 2 * x, 1, dims="unit")
        pm.Deterministic("high", y > 0, dims="unit")
        pm.Deterministic("count", (y > 0) * 1, dims="unit")
    known = bc.truth(model, {}, {"x": np.array([0, 1]), "y": np.zeros(2)}, seed=1)
    assert "raises the probability of high by 0.4" in says(known, bc.ATE("x", "high"))
    ratio = says(known, bc.ATE("x", "high", scale="ratio"))
    assert "multiplies the probability of high by " in ratio
    assert "raises count by 0.4" in says(known, bc.ATE("x", "count"))
