"""Sentences say what the numbers say: direction, size, ends, over whom, and whether it is known."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import bayescausal as bc
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands import (
    ATE,
    ATT,
    ATU,
    CATE,
    CDE,
    ITE,
    NDE,
    NIE,
    PN,
    PNS,
    PS,
    PSE,
    QTE,
    TE,
    Association,
    Contrast,
    DoseResponse,
    Expected,
    Slope,
)
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.estimands.scales import EffectScale
from bayescausal.effects.words.as_code import as_code
from bayescausal.effects.words.from_text import question_from_text
from bayescausal.effects.words.intervention import intervention_text, population_words
from bayescausal.graph import identify
from bayescausal.types import EstimandError, Policy, Scale, Shift

UNITS = "the 1,000 units at hand"
NUMBER = r"[+-]?[\d,]+(?:\.\d+)?(?:e-?\d+)?"

# exact quantiles of normals: the mean is the centre, the HDI reaches 1.88 sd to both sides
SCORES = norm.ppf((np.arange(4000) + 0.5) / 4000)
LOW = -0.42 + 0.0133 * SCORES
ROUND = -0.02 + 0.045 * SCORES
RATIO = 1.22 + 0.0585 * SCORES
SHARE = 0.6 + 0.02 * SCORES


def said(estimand, draws=LOW, **fields) -> str:
    return Effect(draws, estimand, population=UNITS, **fields).sentence()


def number(text: str) -> float:
    return float(text.replace(",", ""))


def ends(sentence: str) -> tuple[float, float]:
    """Read the interval back, whichever way it is said, as signed numbers in order."""
    inside = re.search(r"% HDI ([^);]*)", sentence)[1]
    found = [number(n) for n in re.findall(NUMBER, inside)]
    if inside.endswith("lower"):
        return -found[1], -found[0]
    if "lower" in inside:
        return -found[0], found[1]
    return found[0], found[1]


# ------------------------------------------------------------------- the sentence of the issue


def test_the_sentence_of_the_readme():
    verdict = identify("humid -> dilution -> coating; humid -> coating", "dilution", "coating")
    assert said(ATE("dilution", "coating"), identification=verdict) == (
        "Raising dilution from 0 to 1 lowers coating by 0.420 on average over the 1,000 units "
        "(94% HDI 0.395 to 0.445 lower). Identified by the back door: adjusting for humid."
    )


def test_an_interval_on_both_sides_changes():
    text = said(ATE("dilution", "coating"), np.linspace(-0.104, 0.069, 4001))
    assert "changes coating by -0.018 on average" in text
    assert "(94% HDI 0.104 lower to 0.059 higher)" in text


# -------------------------------------------------------------------------- laws of a sentence


@settings(max_examples=150, deadline=None)
@given(
    centre=st.floats(-50, 50),
    spread=st.floats(0.001, 20),
    skew=st.booleans(),
    prob=st.sampled_from([0.5, 0.94]),
    seed=st.integers(0, 50),
)
def test_direction_size_and_ends_can_be_read_back(centre, spread, skew, prob, seed):
    rng = np.random.default_rng(seed)
    noise = rng.exponential(size=200) - 1 if skew else rng.normal(size=200)
    effect = Effect(centre + spread * noise, ATE("X", "Y"), population=UNITS)
    text = effect.sentence(prob)
    low, high = effect.interval(prob)
    mean, digit = effect.mean(), 10 ** (np.ceil(np.log10(effect.sd())) - 1)
    verb, size = re.search(rf"(raises|lowers|changes) Y by ({NUMBER}) on", text).groups()
    assert (verb == "raises") == (low > 0 and mean > 0)
    assert (verb == "lowers") == (high < 0 and mean < 0)
    signed = number(size) * {"raises": 1, "lowers": -1, "changes": 1}[verb]
    unit = min(digit, 1.0)  # the last decimal that is said
    assert abs(signed - mean) <= 0.5 * unit * (1 + 1e-6) + 1e-9
    if verb != "changes":
        assert not size.startswith(("-", "+"))
    for told, true in zip(ends(text), (low, high), strict=True):
        assert abs(told - true) <= 0.5 * unit * (1 + 1e-6) + 1e-9
    assert f"{100 * prob:g}% HDI" in text


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 5), st.floats(0.01, 3), st.integers(0, 20))
def test_the_negative_of_an_effect_is_its_mirror(centre, spread, seed):
    x = centre + spread * np.random.default_rng(seed).normal(size=501)
    here = Effect(x, ATE("X", "Y")).sentence()
    there = Effect(-x, ATE("X", "Y")).sentence()
    swap = {"raises": "lowers", "lowers": "raises", "changes": "changes"}
    verbs = [re.search("raises|lowers|changes", t)[0] for t in (here, there)]
    assert verbs[1] == swap[verbs[0]]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 100), st.floats(0.001, 0.5), st.sampled_from(["ratio", "odds ratio"]))
def test_ratios_multiply_and_never_take_a_side(centre, spread, scale):
    x = centre * np.exp(spread * np.random.default_rng(1).normal(size=300))
    effect = Effect(x, ATE("X", "Y", scale=scale))
    text = effect.sentence()
    assert re.search(rf"multiplies .* by {NUMBER} \(", text)
    assert "1 is no effect" in text
    assert not re.search("raises|lowers|higher|lower", text)
    unit = min(10 ** (np.ceil(np.log10(effect.sd())) - 1), 1.0)
    assert np.allclose(ends(text), effect.interval(), atol=0.501 * unit)


# --------------------------------------------------------------------------- every question

OVER = "over the 1,000 units"
DOWN = "(94% HDI 0.395 to 0.445 lower)."
FACTOR = "(94% HDI 1.110 to 1.330; 1 is no effect)."


@pytest.mark.parametrize(
    ("estimand", "draws", "text"),
    [
        (
            ATE("X", "Y", treated=0, control=1),
            LOW,
            f"Lowering X from 1 to 0 lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            ATE("X", "Y", scale="ratio"),
            RATIO,
            f"Raising X from 0 to 1 multiplies the average of Y by 1.220 {OVER} {FACTOR}",
        ),
        (
            ATE("X", "Y", scale="odds ratio", functional=Probability(above=2)),
            RATIO,
            f"Raising X from 0 to 1 multiplies the odds of Y > 2 by 1.220 {OVER} {FACTOR}",
        ),
        (
            ATE("X", "Y", scale="log ratio"),
            LOW,
            f"Raising X from 0 to 1 changes the average of Y by a log ratio of -0.420 {OVER} "
            "(94% HDI -0.445 to -0.395; 0 is no effect).",
        ),
        (
            QTE("X", "Y", q=0.9),
            LOW,
            f"Raising X from 0 to 1 lowers the 0.9 quantile of Y by 0.420 {OVER} {DOWN}",
        ),
        (
            ATE("X", "Y", functional="median"),
            LOW,
            f"Raising X from 0 to 1 lowers the median of Y by 0.420 {OVER} {DOWN}",
        ),
        (
            ATE("X", "Y", functional=Probability(between=(0, 2))),
            LOW,
            f"Raising X from 0 to 1 lowers the probability of 0 <= Y <= 2 by 0.420 {OVER} {DOWN}",
        ),
        (
            CATE("X", "Y", given={"Z": 1}),
            LOW,
            "Raising X from 0 to 1 lowers Y by 0.420 on average over those with Z=1 among the "
            f"1,000 units {DOWN}",
        ),
        (
            ATT("X", "Y"),
            LOW,
            "Raising X from 0 to 1 lowers Y by 0.420 on average over those with X=1 among the "
            f"1,000 units {DOWN}",
        ),
        (
            ATU("X", "Y"),
            LOW,
            "Raising X from 0 to 1 lowers Y by 0.420 on average over those with X=0 among the "
            f"1,000 units {DOWN}",
        ),
        (
            ATT("X", "Y", treated=(1, 2)),
            LOW,
            "Leaving X as it is rather than setting X to 0 lowers Y by 0.420 on average over "
            f"those with 1 <= X <= 2 among the 1,000 units {DOWN}",
        ),
        (
            CDE("X", "Y", mediators={"M": 2}),
            LOW,
            f"Raising X from 0 to 1 with M held at 2 lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            NDE("X", "Y", mediators="M"),
            LOW,
            "Raising X from 0 to 1, while M keeps the value it would have had under X = 0, lowers "
            f"Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            NIE("X", "Y", mediators="M"),
            LOW,
            "With X held at 0, moving M from its value with X held at 0 to its value with X held "
            f"at 1 lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            NIE("X", "Y", reverse=True),
            LOW,
            "With X held at 1, moving the mediators from their values with X held at 1 to their "
            f"values with X held at 0 lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (TE("X", "Y"), LOW, f"Raising X from 0 to 1 lowers Y by 0.420 on average {OVER} {DOWN}"),
        (
            PSE("X", "Y", paths="X -> M -> Y"),
            LOW,
            f"Raising X from 0 to 1 along X -> M -> Y alone lowers Y by 0.420 on average {OVER} "
            f"{DOWN}",
        ),
        (
            Expected("Y", {"X": 1, "W": Shift(-2)}),
            LOW,
            f"With X held at 1 and W lowered by 2, Y is -0.420 on average {OVER} "
            "(94% HDI -0.445 to -0.395).",
        ),
        (
            Expected("Y"),
            RATIO,
            f"As things are, Y is 1.220 on average {OVER} (94% HDI 1.110 to 1.330).",
        ),
        (
            Association("X", "Y"),
            LOW,
            f"Where X=1, Y is lower by 0.420 than where X=0 on average {OVER} {DOWN} "
            "An association: what is seen, not what would be done.",
        ),
        (
            Association("X", "Y"),
            np.linspace(-0.104, 0.069, 4001),
            f"Where X=1, Y differs by -0.018 from where X=0 on average {OVER} (94% HDI 0.104 "
            "lower to 0.059 higher). An association: what is seen, not what would be done.",
        ),
        (
            Association("X", "Y", scale="odds ratio"),
            RATIO,
            f"Where X=1, the odds of Y are 1.220 times those where X=0 {OVER} {FACTOR} "
            "An association: what is seen, not what would be done.",
        ),
        (
            Slope("X", "Y"),
            LOW,
            "Raising X a little from where it is lowers Y by 0.420 per unit of X on average "
            f"{OVER} {DOWN}",
        ),
        (
            PN("X", "Y"),
            SHARE,
            "Among units with X=1, Y=1, the probability of Y != 1 with X held at 0 instead is "
            f"0.600 {OVER} (94% HDI 0.562 to 0.638).",
        ),
        (
            PS("X", "Y", event=Probability(above=3)),
            SHARE,
            "Among units with X=0, Y <= 3, the probability of Y > 3 with X held at 1 instead is "
            f"0.600 {OVER} (94% HDI 0.562 to 0.638).",
        ),
        (
            PNS("X", "Y"),
            SHARE,
            f"The probability of Y=1 with X held at 1 and Y != 1 with X held at 0 is 0.600 {OVER} "
            "(94% HDI 0.562 to 0.638).",
        ),
        (
            ITE("X", "Y", functional=Probability(below=0)),
            SHARE,
            "The share of units for whom the effect of raising X from 0 to 1 on Y < 0 is 0.600 "
            f"{OVER} (94% HDI 0.562 to 0.638).",
        ),
        (
            ATE("X", "Y", treated=Shift(2)),
            LOW,
            f"Raising X by 2 lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            ATE("X", "Y", treated=Scale(1.1)),
            LOW,
            f"Multiplying X by 1.1 lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            ATE("X", "Y", treated=Policy(lambda humid: humid > 0)),
            LOW,
            f"Setting X by the rule f(humid) lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            ATE(["X", "W"], "Y", treated=[1, 2], control=[0, 0]),
            LOW,
            "Setting X to 1 and setting W to 2 rather than setting X to 0 and setting W to 0 "
            f"lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            ATE("X", "Y", treated="b", control="a"),
            LOW,
            f"Changing X from a to b lowers Y by 0.420 on average {OVER} {DOWN}",
        ),
        (
            Contrast("Y", {"X": 1, "W": 0}),
            LOW,
            "Setting X to 1 and setting W to 0 rather than leaving them as they are lowers Y by "
            f"0.420 on average {OVER} {DOWN}",
        ),
        (
            Contrast("Y", {"X": 1}, {"X": None}),
            LOW,
            "Setting X to 1 rather than leaving X as it is lowers Y by 0.420 on average "
            f"{OVER} {DOWN}",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, np.ndarray | str) else "",
)
def test_every_question(estimand, draws, text):
    assert said(estimand, draws) == text


def test_a_scale_of_ones_own():
    halves = EffectScale("half", lambda a, b: (a - b) / 2, 0.0, True, "", lambda n, a, b: f"{a}{b}")
    assert "changes the average of Y by -0.420 on the scale 'half'" in said(
        ATE("X", "Y", scale=halves)
    )


# ------------------------------------------------------------------------------ several cells


def cells(dim: str, labels: list, centres) -> xr.DataArray:
    rng = np.random.default_rng(3)
    draws = rng.normal(centres, 0.2, (2, 2000, len(labels)))
    return xr.DataArray(draws, dims=("chain", "draw", dim), coords={dim: labels})


def test_subgroups_are_said_one_by_one():
    text = said(ATE("X", "Y", by="Z"), cells("Z", ["a", "b", "c"], [-1.0, 0.0, 2.0]))
    assert text.startswith(
        "Raising X from 0 to 1 changes Y on average for each value of Z among the 1,000 units: "
    )
    assert re.search(r"Z=a: 1\.0\d lower \(94% HDI 0\.6\d to 1\.\d\d lower\)", text)
    assert re.search(r"Z=b: [-+]?0\.0\d \(94% HDI 0\.3\d lower to 0\.3\d higher\)", text)
    assert re.search(r"Z=c: 2\.0\d higher \(94% HDI 1\.6\d to 2\.3\d higher\)", text)


def test_a_curve_has_values_and_a_curve_against_a_control_has_sides():
    draws = cells("dose", [1, 2, 3], [-1.0, 0.0, 2.0])
    plain = said(DoseResponse("dose", "Y", values=[1, 2, 3]), draws)
    assert plain.startswith("With dose set to each value, Y on average over the 1,000 units is: ")
    assert "dose=1: -1.00 (94% HDI -1.39 to -0.64)" in plain
    against = said(DoseResponse("dose", "Y", values=[1, 2, 3], control=0), draws)
    assert "Setting dose to each value rather than dose held at 0 changes Y" in against
    assert "dose=1: 1.00 lower" in against


def test_many_cells_are_said_by_their_ends_and_sides():
    centres = np.linspace(-2, 1, 31)
    draws = cells("unit", list(range(31)), centres)
    effect = Effect(draws, ITE("X", "Y"), population="each of the 31 units at hand, its own")
    low, high = effect.interval().values.T
    text = effect.sentence()
    assert "by -2.00 (unit=0) to +1.00 (unit=30) in posterior mean" in text
    above, below = int((low > 0).sum()), int((high < 0).sum())
    assert f"lies above 0 for {above}, below it for {below} and includes it for " in text
    curve = said(DoseResponse("unit", "Y", values=range(31)), draws)
    assert re.search(r"units is from -2\.00 .* at unit=0 to 1\.00 .* at unit=30, 31 values", curve)


def test_one_unit_is_one_effect():
    text = said(ITE("X", "Y"), cells("unit", ["left"], [-1.0]))
    assert text.startswith("Raising X from 0 to 1 lowers Y of unit=left by 1.00 (94% HDI 0.6")


# ----------------------------------------------------- what the draws are, and what is known


def test_one_draw_has_no_interval():
    text = said(ATE("X", "Y"), [0.421], kind="truth")
    assert text == (
        "With the parameters given, raising X from 0 to 1 raises Y by 0.421 on average over the "
        "1,000 units (known parameters, so no interval)."
    )
    assert "HDI" not in said(ATE("X", "Y"), [0.421])
    assert "(one draw, so no interval)" in said(ATE("X", "Y"), [0.421])
    assert "(the same in every draw, so no interval)" in said(ATE("X", "Y"), [2.0, 2.0])
    assert "changes Y by 0 on average" in said(ATE("X", "Y"), [0.0])


def test_draws_from_the_prior_are_called_so():
    verdict = identify("X -> Y", "X", "Y")
    text = said(ATE("X", "Y"), kind="prior", identification=verdict)
    assert text.startswith("Under the prior, raising X from 0 to 1 lowers Y by 0.42")
    assert "dentified" not in text


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ("X -> Y", "Identified without adjustment."),
        ("Z -> X -> Y; Z -> Y", "Identified by the back door: adjusting for Z."),
        ("A -> X -> Y; B -> X; A -> Y; B -> Y", "adjusting for A and B."),
        ("X -> M -> Y; X <-> Y", "Identified by the front door through M."),
        ("X; Y", "Identified: X has no effect on Y, for no directed path joins them."),
    ],
)
def test_why_it_is_identified(graph, words):
    assert said(ATE("X", "Y"), identification=identify(graph, "X", "Y")).endswith(words)


def test_what_is_not_identified_is_said():
    text = said(ATE("X", "Y"), identification=identify("X -> Y; X <-> Y", "X", "Y"))
    assert text.startswith("Not identified: ")
    assert ". The number rests on the prior and the model's form. Raising X from 0 to 1 " in text
    assert "Identified" not in text
    instrument = identify("Z -> X -> Y; X <-> Y", "X", "Y")
    shown = said(ATE("X", "Y"), identification=instrument)
    assert "Identified only under a further assumption: " in shown


def test_bounds_are_said():
    ends_of = xr.DataArray(
        np.broadcast_to([0.2, 0.8], (1, 4000, 2)), dims=("chain", "draw", "bound")
    )
    text = said(PN("X", "Y"), SHARE, bounds=ends_of)
    assert text.endswith(
        "Under any coupling of the potential outcomes, it lies between 0.200 and 0.800."
    )


def test_an_effect_without_a_question_keeps_its_name():
    text = Effect(LOW, name="gain", population="p").sentence()
    assert text == "gain is -0.420 over p (94% HDI -0.445 to -0.395)."
    both = Effect(LOW, ATE("X", "Y")) - Effect(ROUND, ATE("X", "W"))
    assert both.sentence().startswith("(ATE X -> Y) - (ATE X -> W) is -0.400 (94% HDI -0.460 to")
    assert both.kind is None


def test_a_probability_must_be_one():
    with pytest.raises(EstimandError, match="prob=94"):
        Effect(LOW).sentence(94)


# --------------------------------------------------------------------------------- over whom


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("the 40 units at hand", "the 40 units"),
        ("fresh units from the model", "fresh units from the model"),
        ("the units at hand, each with its own noise", "the units, each with its own noise"),
        (
            "the population the units came from, Bayesian-bootstrap weights over units, 40 seen",
            "the population the units came from",
        ),
        (None, ""),
    ],
)
def test_populations(words, shown):
    assert population_words(words, None) == shown


def test_masks_and_rules_are_members():
    estimand = CATE("X", "Y", given=np.array([True, False, True]))
    assert population_words("the 3 units at hand", estimand.condition) == (
        "those in a mask of 2 of 3 units among the 3 units"
    )
    rule = CATE("X", "Y", given=lambda dose, weight: dose > weight)
    assert population_words(None, rule.condition) == "those where f(dose, weight) holds"


def test_deeds_with_values_for_each_unit():
    worlds = ATE("X", "Y", treated=np.array([1.0, 2.0]), control=0).worlds()
    assert intervention_text(worlds["treated"], worlds["control"]) == (
        "setting X to given values rather than setting X to 0"
    )
    moved = ATE("X", "Y", treated=Shift(np.array([1.0, 2.0]))).worlds()
    assert intervention_text(moved["treated"], moved["control"]) == "shifting X by given amounts"


# ----------------------------------------------------------------------------- from a model


def test_estimates_carry_their_kind_into_the_sentence():
    import pymc as pm

    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Normal("x", z, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * x + z, 1, dims="unit")
    data = bc.simulate(model, {"b": -2.0}, units=300, seed=1)
    question = bc.ATE("x", "y")
    true = bc.estimate(bc.truth(model, {"b": -2.0}, data), question).sentence()
    assert "raising x from 0 to 1 lowers y by 2 on average over the 300 units (known" in true
    before = bc.estimate(bc.prior(model, draws=400, seed=2), question).sentence()
    assert before.startswith("Under the prior, raising x from 0 to 1 changes y by ")
    assert "over fresh units from the model" in before
    fit = bc.fit(model, data, seed=3, progressbar=False)
    effect = bc.estimate(fit, question)
    text = effect.sentence()
    assert re.match(
        r"Raising x from 0 to 1 lowers y by \d\.\d{3} on average over the 300 units", text
    )
    assert text.endswith("Identified by the back door: adjusting for z.")
    # sd 0.04 of 300 rows, so three decimals; the ends are those of the effect
    assert np.allclose(ends(text), effect.interval(), atol=0.00051)


def test_ranges_of_a_treatment_are_said_in_words():
    asked = Association("X", "Y", treated=(1, None), control=(None, 0.5))
    text = str(Effect(LOW, asked))
    assert text.startswith("Association X -- Y (1 or more against 0.5 or less): ")
    asked = Association("X", "Y", treated=(1, 2), control=(0, 1))
    assert "(1 to 2 against 0 to 1)" in str(Effect(LOW, asked))


@pytest.mark.parametrize("treated", [(1, None), (None, 2), (1, 2), {1, 2}])
def test_the_code_of_an_association_asks_the_same_ranges(treated):
    """A range is no set of two values: written as a list it asked another question."""
    asked = Association("X", "Y", treated=treated, control=(None, 0.5))
    code = as_code(asked)
    again = question_from_text(code)
    assert again.describe() == asked.describe()
