"""What a formula that cannot be read says, with the place marked."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.model.formulas.parse import parse_formula, parse_formulas, split_formulas
from bayescausal.types import FormulaError

DATA = pd.DataFrame(
    {
        "x": [0.0, 1.0, 2.0, 3.0, 4.0],
        "y": [1.0, 2.0, 3.0, 5.0, 4.0],
        "one": 1.0,
        "region": ["n", "s", "s", "n", "s"],
        "same": "a",
        "gap": [1.0, np.nan, 2.0, 3.0, 4.0],
        "wild": [1.0, np.inf, 2.0, 3.0, 4.0],
        "half": [0.5, 1.5, 2.5, 3.5, 4.5],
        "far": [1, 2, 3, 4, 9_000_000],
    }
)

#: formula(s), options, part of the message, what the carets stand below
WRONG = [
    ("y", {}, "no '~'", None),
    ("y ~ ", {}, "nothing right of '~'.*y ~ 1", "~"),
    ("~ x", {}, "no response", "~"),
    ("log(y) ~ x", {}, "left side.*lognormal", "log(y)"),
    ("y + z ~ x", {}, "left side.*one formula for each", "y + z"),
    ("a name ~ x", {}, "left side.*backticks", "a name"),
    ("y ~ x +* z", {}, r"Operator '\+\*' is incorrectly used", "+*"),
    ("y ~ (x", {}, "bracket or quote is not closed", "("),
    ("y ~ x z", {}, "Missing operator", "x z"),
    ("y ~ x > 2", {}, "Unknown operator '>'", ">"),
    ("y ~ 'a'", {}, "quoted text is no term", "'a'"),
    ("y ~ x**2", {}, r"to a power.*I\(x\*\*2\)", "x"),
    ("y ~ 2:x", {}, r"multiplies a term by a number.*I\(2 \* x\)", None),
    ("y ~ .", {}, "uses '.'", "."),
    ("y ~ x | g", {}, "bar outside of brackets", "|"),
    ("y ~ (1 | g | h)", {}, "two bars", "|"),
    ("y ~ ( | g)", {}, "empty side", "|"),
    ("y ~ (0 | g)", {}, "without an effect", "0"),
    ("y ~ (1 | log(g))", {}, "groups by", "log(g)"),
    ("y ~ x * (1 | g)", {}, r"joins a group effect by '\*'", "*"),
    (["y ~ x", "x ~ y"], {}, "round in a circle: y -> x -> y|round in a circle: x -> y -> x", None),
    ("y ~ y", {}, "both sides", "y"),
    (["y ~ 1", "y ~ x"], {}, "left of two formulas", None),
    ("y ~ xx", {"data": DATA}, "'xx' has no formula, and the data have no column.*'x'", "xx"),
    ("y ~ z", {}, "no data to take it from", "z"),
    ("y ~ world", {}, "dim of the results", "world"),
    ("y ~ unit", {}, "dim of the results", "unit"),
    ("y ~ gap", {"data": DATA}, "1 empty cells.*gap ~ 1", "gap"),
    ("y ~ wild", {"data": DATA}, "infinite", "wild"),
    ("y ~ same", {"data": DATA}, "one level", "same"),
    ("y ~ log(region)", {"data": DATA}, "'region' is categorical.*as a number", "log(region)"),
    ("region ~ x", {"data": DATA}, "its family is gaussian, for numbers", "region"),
    ("y ~ mean(x)", {"data": DATA}, "would mix units.*center", "mean"),
    ("y ~ lgo(x)", {"data": DATA}, "no function of formulas.*'log'", "lgo"),
    ("y ~ sklearn.f(x)", {"data": DATA}, "no function of formulas", "sklearn.f"),
    ("y ~ I(bs(x, df=4))", {"data": DATA}, "several columns", "bs"),
    ("y ~ log(x, base=2)", {"data": DATA}, "takes no option 'base'", "log"),
    ("y ~ log(x, 2)", {"data": DATA}, "has 2 arguments.*1", "log"),
    ("y ~ I(x if x else 1)", {"data": DATA}, "cannot stand in a term", None),
    ("y ~ scale(one)", {"data": DATA}, "standard deviation of a constant", "scale(one)"),
    (["x ~ 1", "y ~ center(x)"], {}, "takes its mean from data", "center(x)"),
    (["x ~ 1", "y ~ ns(x, 3)"], {}, "takes its knots from data", "ns(x, 3)"),
    (["x ~ 1", "y ~ poly(x, 2)"], {}, "orthogonal over data", "poly(x, 2)"),
    (["x ~ 1", "y ~ C(x)"], {}, r"levels of 'x'.*levels=\[0, 1\]", "C(x)"),
    ("y ~ ns(one, 3)", {"data": DATA}, "fewer than three different values", "ns(one, 3)"),
    ("y ~ bs(x, df=2)", {"data": DATA}, "df=2.*df=3 or more", "bs(x, df=2)"),
    ("y ~ bs(x, df=0)", {"data": DATA}, "whole number from 1", "bs(x, df=0)"),
    ("y ~ ns(x, k=3)", {"data": DATA}, "takes no option 'k'", "ns(x, k=3)"),
    ("y ~ ns(x, df=one)", {"data": DATA}, "option df", "df"),
    ("y ~ ns(x, df=3, knots=[1])", {"data": DATA}, "knots and df", None),
    ("y ~ ns(x, knots=[9])", {"data": DATA}, "not in order", None),
    ("y ~ ns(x, 3, 4)", {"data": DATA}, "3 arguments", None),
    ("y ~ poly(x, 7)", {"data": DATA}, "degree 7.*5 different", "poly(x, 7)"),
    ("y ~ C(x, levels=[1, 2])", {"data": DATA}, "leaves out the level 0", None),
    ("y ~ C(x, ref=9)", {"data": DATA}, "level 9, which 'x' does not have", None),
    ("y ~ C(x, region)", {"data": DATA}, "cannot be read.*C\\(x\\)", None),
    ("y ~ C(one)", {"data": DATA}, "one level", "C(one)"),
    ("y ~ I(2)", {"data": DATA}, "reads no variable", "I(2)"),
    ("y ~ x:offset(x)", {"data": DATA}, "joins no product", "offset"),
    ("y ~ offset(x, x)", {"data": DATA}, "one argument", "offset(x, x)"),
    ("y ~ (offset(x) | region)", {"data": DATA}, "no offset", "offset"),
    ("y ~ (1 | half)", {"data": DATA}, "groups units, and is not whole", "half"),
    ("y ~ (1 | far)", {"data": DATA}, "from 1 to 9000000.*astype", "far"),
    (["x ~ 1", "y ~ (1 | x)"], {}, "levels are not known", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("formulas", "options", "said", "below"), WRONG)
def test_wrong_formulas_say_what_is_wrong_and_where(formulas, options, said, below):
    with pytest.raises(FormulaError) as caught:
        bc.model_from_formulas(formulas, **options)
    text = str(caught.value)
    assert re.search(said, text, re.S), text
    lines = text.split("\n")
    carets = [i for i, line in enumerate(lines) if line.strip() and not line.strip(" ^")]
    if below is None:
        return
    [at] = carets
    start = lines[at].index("^")
    assert lines[at - 1][start : start + lines[at].count("^")] == below


OPTIONS = [
    ({"families": {"yy": "poisson"}}, "families names 'yy'.*'y'"),
    ({"families": "poisson"}, "families is a str"),
    ({"families": {"y": 3}}, "family of 'y' is 3"),
    ({"families": {"y": "poison"}}, "family of 'y' is 'poison'.*'poisson'"),
    ({"families": {"y": "poisson(link=logit)"}}, "link of 'y' is 'logit'.*log, identity"),
    ({"families": {"y": "poisson(shape=2)"}}, "has the option 'shape'"),
    ({"families": {"y": "poisson(2)"}}, "options in brackets"),
    ({"families": {"y": "poisson(link"}}, "options in brackets"),
    ({"families": {"y": "binomial"}}, "without its number of trials"),
    ({"families": {"y": "poisson(trials=3)"}}, "Only the binomial has trials"),
    ({"families": {"y": "binomial(trials=0)"}}, "trials=0"),
    ({"families": {"y": "poisson(levels=3)"}}, "levels=3"),
    ({"families": {"y": "categorical"}}, "levels of 'y' are not known"),
    ({"priors": ["Normal(0, 1)"]}, "priors is a list"),
    ({"priors": {"b_y_z": "Normal(0, 1)"}}, "'b_y_z', which is no parameter"),
    ({"priors": {"z": {"x": "Normal(0, 1)"}}}, "'z', which has no formula"),
    ({"priors": {"y": {"z": "Normal(0, 1)"}}}, "'z' of 'y', which is no parameter"),
    ({"priors": {"b_y_x": 3}}, "is a int"),
    ({"priors": {"b_y_x": "Normal"}}, "a distribution of PyMC with numbers"),
    ({"priors": {"b_y_x": "Normal(0,"}}, "a distribution of PyMC with numbers"),
    ({"priors": {"b_y_x": "Normal(a, 1)"}}, "a distribution of PyMC with numbers"),
    ({"priors": {"b_y_x": "Normall(0, 1)"}}, "no distribution 'Normall'.*'Normal'"),
    ({"levels": {"z": ["a", "b"]}}, "levels names 'z'"),
    ({"levels": {"y": ["a", "b"]}}, "levels names 'y', whose family is gaussian"),
    ({"data": 3}, "data is a int"),
    ({"data": {"x": [1.0], "y": [1.0, 2.0]}}, "data is no table"),
    ({"data": DATA.iloc[:0]}, "no rows"),
    ({"data": DATA[["x", "x"]]}, "several columns named 'x'"),
    ({"data": DATA, "families": {"y": "bernoulli"}}, "'y' is 2 in the data.*bernoulli"),
    ({"data": DATA, "families": {"y": "categorical"}}, "holds the numbers 1.0"),
]


@pytest.mark.parametrize(("options", "said"), OPTIONS)
def test_wrong_families_priors_and_data_say_what_is_wrong(options, said):
    with pytest.raises(FormulaError, match=said):
        bc.model_from_formulas(["x ~ 1", "y ~ x"], **options)


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [(["no", "yes"], "0 and 1 and say 'bernoulli'."), (["a", "b", "c"], "numbers.")],
)
def test_labels_where_numbers_are_modelled_name_the_remedy(labels, remedy):
    with pytest.raises(FormulaError) as caught:
        bc.model_from_formulas("drug ~ 1", data={"drug": labels * 2})
    assert str(caught.value).endswith(f"(or 'ordinal'), or code it as {remedy}")


def test_levels_that_the_data_contradict():
    with pytest.raises(FormulaError, match="'s' in the data, which is none of its levels"):
        bc.model_from_formulas("y ~ region", data=DATA, levels={"region": ["n", "w"]})
    with pytest.raises(FormulaError, match="labels of several kinds"):
        bc.model_from_formulas("y ~ z", data={"y": [0.0, 1.0], "z": np.array(["a", 2], object)})


def test_binomials_need_whole_trials_and_categories_no_correlated_groups():
    with pytest.raises(FormulaError, match="counts the trials of a binomial, and is not whole"):
        bc.model_from_formulas("x ~ 1", families={"x": "binomial(trials=half)"}, data=DATA)
    with pytest.raises(FormulaError, match=r"write two bars|Write two bars"):
        bc.model_from_formulas(
            "region ~ (x | far)",
            families={"region": "categorical"},
            data=DATA.assign(far=["a", "b", "a", "b", "a"]),
        )


@pytest.mark.parametrize("wrong", [[], "", [3], 3, "# only a comment"])
def test_what_is_no_formula_is_refused(wrong):
    with pytest.raises(FormulaError, match=r"no formula|not a formula"):
        split_formulas(wrong)


def test_notation():
    parsed = parse_formulas("y ~ 0 + a * b + log(`dry weight`) - b + (1 | g/h) + (x || g)")["y"]
    assert not parsed.intercept
    assert [t.label for t in parsed.terms] == ["a", "log(`dry weight`)", "a:b"]
    assert [g.label for g in parsed.groups] == ["1|g", "1|g:h", "1+x|g"]
    assert [g.correlated for g in parsed.groups] == [False, False, False]
    assert parse_formula("y ~ (x | g)").groups[0].correlated
    assert parse_formula("`a b` ~ x").response == "a b"
    assert [t.label for t in parse_formula("y ~ (a + b)**2").terms] == ["a", "b", "a:b"]


def test_names_that_are_no_identifiers():
    model = bc.model_from_formulas(["`dry weight` ~ 1", "y ~ log(`dry weight`) + `dry weight`"])
    assert list(bc.graph_of(model).edges) == [("dry weight", "y")]
    assert "b_y_log(dry weight)" in model.named_vars


def test_priors_are_shown_as_used():
    model = bc.model_from_formulas(
        ["y ~ x + region + (1 | region)"],
        data=DATA,
        priors={"b_y_x": pm.StudentT.dist(3, mu=0, sigma=2), "y": {"sigma": "Exponential(2)"}},
    )
    shown = bc.prior_summary(model)["prior"]
    assert shown["b_y_x"] == "StudentT(3, 0, 2)"
    assert shown["sigma_y"].startswith("Exponential(")
    assert shown["z_y_1|region"] == "Normal(0, 1)"
    assert bc.prior_summary(model).loc["b_y_region", "dims"] == "region_vs_n"


def effect_of_t(data):
    model = bc.model_from_formulas(["y ~ x + t"], data=data)
    fit = bc.fit(model, data, draws=500, chains=2, seed=1, progressbar=False)
    return bc.estimate(fit, bc.ATE("t", "y"))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of PyTensor, trying one half
@pytest.mark.parametrize("size", [1e-300, 1e-120, 1e-99, 1e99, 1e120, 1e300])
@pytest.mark.parametrize("name", ["x", "y"])
def test_sizes_that_cannot_be_squared_and_summed_are_refused(size, name):
    """Within the range answers have the units of the columns; beyond it nothing is said."""
    data = DATA.assign(t=[0, 1, 0, 1, 0], **{name: DATA[name] * size})
    if 1e-100 < size < 1e100:
        unit = size if name == "y" else 1
        found, right = (effect_of_t(table) for table in (data, data.assign(**{name: DATA[name]})))
        # independent draws of one posterior: four standard errors of the difference of the means
        error = right.sd() * np.sqrt(2 / 1000)
        assert abs(found.mean() / unit - right.mean()) < 4 * error
        return
    with pytest.raises(FormulaError, match="between 1e-100 and 1e"):
        bc.model_from_formulas(["y ~ x + t"], data=data)
