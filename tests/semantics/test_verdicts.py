"""The kind: a verdict that says more than the graph, the data or the question allow.

Siblings that were looked at, each with a test here: columns without an equation (identification,
roles, paths, implied independences, falsification, the text forms, the picture, a comparison of
graphs); a model before a fit; a treatment that is a function of what is adjusted for (a
Deterministic, a distribution without spread, columns of the data; a controlled mediator; another
set that does not determine it); units known by their outcome or treatment (Expected, ATE, ATT, CDE,
NDE, quantiles, Association); a condition that is no value (range, set, event, function, mask);
path-specific effects beside natural ones; what dagitty marks as adjusted for; one column under two
names; data inside the equations; what leads a report.
"""

from __future__ import annotations

import itertools

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.evaluation.verdict import verdict
from bayescausal.graph import adjustment_sets, do_graph, identify_effect
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.duplicate_columns import same_numbers
from bayescausal.inference.data.function_of import is_function
from bayescausal.inference.data.read import read_data
from bayescausal.inference.sampling.diagnose import diagnose
from bayescausal.model.structure.read import structure_of
from bayescausal.reporting.decision import decide
from bayescausal.sensitivity.priors.prior_posterior import PriorPosterior
from bayescausal.types import DataError, FixedUnitsError, IdentificationError

N = 400
BOTH = "age and educ"


def lalonde() -> tuple[pm.Model, pd.DataFrame]:
    """One equation; the treated differ in age and schooling, so the naive difference is wrong."""
    rng = np.random.default_rng(4)
    age, educ = rng.normal(size=(2, N))
    treat = (rng.normal(size=N) < age).astype(float)
    re78 = 1.0 * treat - 2.0 * age + educ + rng.normal(size=N)
    data = pd.DataFrame({"treat": treat, "age": age, "educ": educ, "re78": re78})
    with pm.Model(coords={"unit": range(N)}) as model:
        columns = [pm.Data(n, data[n].to_numpy(), dims="unit") for n in ("treat", "age", "educ")]
        b = pm.Normal("b", shape=3)
        mean = sum(b[i] * column for i, column in enumerate(columns))
        pm.Normal("re78", mean, 1.0, dims="unit", observed=re78)
    return model, data


# ------------------------------------------------------------- columns without an equation


def test_columns_without_an_equation_are_no_independent_causes():
    model, data = lalonde()
    for asked in (model, bc.graph_of(model), bc.truth(model, {"b": [1.0, -2.0, 1.0]}, data)):
        found = bc.identify(asked, "treat", "re78")
        assert found.adjustment_sets == [{"age", "educ"}]
        assert found.sentence() == (
            f"Identified by the back door: adjust for {BOTH}. Assumes no common cause of treat and "
            "re78 but through these."
        )
    assert bc.identify(model, "age", "re78").adjustment_sets == [{"educ", "treat"}]
    assert bc.implied_independences(model) == []
    assert bc.falsify(model, data, seed=1).verdict == "untestable"
    age = bc.roles(model, "treat", "re78")["age"]
    assert age.roles == ("confounder",)
    assert age.adjust == "yes"
    assert "treat <-> age -> re78" in map(str, bc.paths(model, "treat", "re78"))


def test_an_estimate_says_what_is_adjusted_for():
    model, data = lalonde()
    known = bc.truth(model, {"b": [1.0, -2.0, 1.0]}, data)
    for question in (bc.ATE("treat", "re78"), bc.ATT("treat", "re78"), bc.Slope("age", "re78")):
        assert "without adjustment" not in str(verdict(known, question))
        assert verdict(known, question).method == "back door"
    held = verdict(known, bc.CATE("treat", "re78", given={"age": 0.5, "educ": 0.1}))
    assert held.headline() == "Identified by the back door, given age and educ."


def test_an_equation_takes_its_variable_out_of_the_set():
    _, data = lalonde()
    formulas = ["re78 ~ treat + age + educ", "treat ~ age"]
    model = bc.model_from_formulas(formulas, families={"treat": "bernoulli"}, data=data)
    assert bc.identify(model, "treat", "re78").adjustment_sets == [{"age"}]
    assert list(map(str, bc.implied_independences(model))) == ["educ ⊥ treat | age"]


def test_the_arcs_among_columns_are_those_of_a_common_cause_of_each_two():
    """Enumeration: the joint root has the projection of all pairs, so all verdicts agree."""
    model, _ = lalonde()
    arrows = "treat -> re78; age -> re78; educ -> re78"
    pairs = itertools.combinations(("age", "educ", "treat"), 2)
    spelled = "; ".join([arrows, *(f"{a} <-> {b}" for a, b in pairs)])
    assert bc.to_text(model) == bc.to_text(spelled)
    assert sorted(bc.to_edges(model)) == sorted(bc.to_edges(spelled))
    assert bc.compare_graphs(model, spelled)
    assert not bc.compare_graphs(model, arrows)
    assert bc.to_text(bc.latent_projection(bc.graph_of(model))) == bc.to_text(spelled)
    assert bc.parse_graph(bc.to_gml(model)).number_of_nodes() == 4 + 3
    assert bc.to_text(do_graph(bc.graph_of(model), "treat")) == bc.to_text(
        f"{arrows}; age <-> educ"
    )
    named = bc.to_text(bc.explicit_latents(bc.graph_of(model)))
    assert "U1 [latent]" in named
    assert "U1 -> treat" in named


def test_the_arcs_are_drawn_lightly():
    model, _ = lalonde()
    dot = bc.to_dot(model)
    assert dot.count('dir=both, style=dashed, constraint=false, color="#c0c0c0"') == 3
    assert 'color="#c0c0c0"' not in bc.to_dot("x -> y; x <-> y")
    assert "linkStyle 3,4,5 stroke:#c0c0c0" in bc.to_mermaid(model)
    axes = bc.plot_graph(model, treatment="treat", outcome="re78")
    words = {text.get_text() for text in axes.texts}
    light = [p for p in axes.patches if p.get_alpha() is not None and p.get_alpha() < 1]
    plt.close("all")
    assert "may depend on each other" in words
    assert "open back door" not in words
    assert len(light) == 3 * 3  # a line and two heads for each of three arcs


def test_many_columns_cost_little():
    names = [f"v{i}" for i in range(60)]
    data = pd.DataFrame(np.random.default_rng(1).normal(size=(80, 60)), columns=names)
    data["y"] = data["v0"]
    model = bc.model_from_formulas(["y ~ " + " + ".join(names)], data=data)
    assert len(bc.identify(model, "v0", "y").adjustment_sets[0]) == 59
    assert len(bc.paths(model, "v0", "y")) == 60  # listed, where arcs in pairs would be too many
    hidden = bc.identify(model, "v0", "y", observed=["v0", "v1", "y"])
    assert hidden.status == "not identified"


def test_before_a_fit_the_verdict_names_what_it_takes_as_measured():
    with pm.Model(coords={"unit": [0]}) as model:
        taste = pm.Normal("taste", dims="unit")
        x = pm.Normal("x", taste, dims="unit")
        pm.Normal("y", x + taste, dims="unit")
    planned = bc.identify(model, "x", "y")
    assert planned
    assert planned.warnings == (
        "The model holds no data yet, so taste is taken as measured: say with observed= what is "
        "measured.",
    )
    assert not bc.identify(model, "x", "y", observed=["x", "y"])
    assert not bc.identify(model, "x", "y", observed=["x", "y", "taste"]).warnings
    assert not bc.identify("z -> x -> y; z -> y", "x", "y").warnings


# ---------------------------------------------------------------------- determinism


def discontinuity(kind: str) -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        r = pm.Normal("r", dims="unit")
        above = pt.ge(r, 0)
        if kind == "Deterministic":
            d = pm.Deterministic("D", above * 1.0, dims="unit")
        elif kind == "DiracDelta":
            d = pm.DiracDelta("D", pt.cast(above, "int64"), dims="unit")
        else:
            p = {
                "boolean": above,
                "cast": pt.cast(above, "float64"),
                "product": above * 1.0,
                "switch": pt.switch(above, 1.0, 0.0),
                "noisy": pt.switch(above, 0.9, 0.1),
                "smooth": pm.math.sigmoid(r),
            }[kind]
            d = pm.Bernoulli("D", p=p, dims="unit")
        pm.Normal("y", d + r, dims="unit")
    return model


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((k, "under assumption") for k in ("Deterministic", "DiracDelta", "boolean", "cast")),
        *((k, "under assumption") for k in ("product", "switch")),
        *((k, "identified") for k in ("noisy", "smooth")),
    ],
)
def test_a_function_of_what_is_adjusted_for_has_no_other_value(kind, status):
    found = bc.identify(discontinuity(kind), "D", "y", observed=["D", "r", "y"])
    assert found.status == status
    assert bool(found) == (status == "identified")
    if not found:
        assert found.sentence().startswith(
            "Identified only by the form of the equations: D is a function of r, so that units "
            "alike in r all have the same D: positivity fails everywhere but at a boundary where "
            "D changes. Assumes the form of the equation of y, which carries it to values of D "
            "that no unit with the same r has"
        )


def test_the_estimate_of_a_discontinuity_says_so_and_strict_refuses():
    model = discontinuity("Deterministic")
    known = bc.truth(model, {}, bc.simulate(model, {}, units=50, seed=1))
    effect = bc.estimate(known, bc.ATE("D", "y"))
    assert float(effect) == pytest.approx(1.0)
    assert not effect.identification
    assert "positivity fails" in " ".join(effect.notes)
    with pytest.raises(IdentificationError, match="positivity fails"):
        bc.estimate(known, bc.ATE("D", "y"), strict=True)


def test_another_set_that_does_not_determine_the_treatment_is_taken():
    with pm.Model(coords={"unit": [0]}) as model:
        r = pm.Normal("r", dims="unit")
        d = pm.Deterministic("D", pt.ge(r, 0) * 1.0, dims="unit")
        w = pm.Normal("w", r, dims="unit")
        pm.Normal("y", d + w, dims="unit")
    found = bc.identify(model, "D", "y", observed=["r", "D", "w", "y"])
    assert found
    assert found.adjustment_sets[0] == {"w"}
    assert bc.identify(model, "D", "y", observed=["r", "D", "y"]).status == "under assumption"


def test_a_mediator_that_is_a_function_of_the_treatment_cannot_be_held():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        m = pm.Deterministic("m", x**2, dims="unit")
        pm.Normal("y", x + m, dims="unit")
    known = bc.truth(model, {}, bc.simulate(model, {}, units=20, seed=1))
    assert verdict(known, bc.ATE("x", "y"))
    for question in (bc.CDE("x", "y", mediators={"m": 0.0}), bc.NDE("x", "y", mediators=["m"])):
        assert verdict(known, question).status == "under assumption"


def test_a_front_door_that_is_a_function_of_the_treatment_stays_shut():
    """``P(y | x', m)`` needs each m with each x', and m = x**2 goes with its own x alone."""
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", dims="unit")
        x = pm.Normal("x", u, dims="unit")
        m = pm.Deterministic("m", x**2, dims="unit")
        n = pm.Normal("n", m, dims="unit")
        pm.Normal("y", n + u, dims="unit")
    seen = ["x", "m", "y"]
    shut = bc.identify(model, "x", "y", observed=seen)
    assert shut.status == "under assumption"
    assert "m is a function of x" in shut.sentence()
    through = bc.identify(model, "x", "y", observed=[*seen, "n"])
    assert through.sentence().startswith("Identified by the front door through n.")


def test_a_condition_that_is_a_function_of_what_is_adjusted_for_is_no_lack_of_units():
    """``sum_z P(y | x, z, c) P(z | c)``: z and c come as they occur together."""
    graph = nx.DiGraph([("z", "x"), ("z", "y"), ("x", "y"), ("z", "c")])
    graph.nodes["c"]["kind"] = "deterministic"
    assert identify_effect(graph, "CATE", "x", "y", given="c").adjustment_sets == [{"z"}]
    assert identify_effect(graph, "ATT", "x", "y", given="c")


def test_columns_show_that_the_treatment_is_a_function_of_the_score_or_of_time():
    """A monotone step in 200 rows has chance 2 / C(200, k); half a dozen rows prove nothing."""
    rng = np.random.default_rng(2)
    r = rng.normal(size=200)
    year = np.repeat(np.arange(1990.0, 2010.0), 10)
    data = pd.DataFrame({"r": r, "year": year, "D": (r >= 0) * 1.0, "post": (year >= 2000) * 1.0})
    data["y"] = data["D"] + r + rng.normal(size=200)
    for formula, name, of in (("y ~ D + r", "D", "r"), ("y ~ post + year", "post", "year")):
        model = bc.model_from_formulas([formula], data=data)
        found = verdict(bc.prior(model, data, draws=10, seed=1), bc.ATE(name, "y"))
        assert found.status == "under assumption"
        assert f"{name} is a function of {of}" in found.sentence()
    noisy = data.assign(D=(r + 0.3 * rng.normal(size=200) >= 0) * 1.0)
    model = bc.model_from_formulas(["y ~ D + r"], data=noisy)
    assert verdict(bc.prior(model, noisy, draws=10, seed=1), bc.ATE("D", "y"))
    few = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    assert not is_function(few, np.arange(6.0))  # 2 orders of 20


def _verdict_of(columns, name="t", labelled=()):
    """The verdict on a treatment, in an additive model of all the columns."""
    data = pd.DataFrame(columns).assign(y=0.0)
    data["y"] += np.random.default_rng(0).normal(size=len(data))
    formula = "y ~ " + " + ".join(f"C({n})" if n in labelled else n for n in columns)
    model = bc.model_from_formulas([formula], data=data)
    return verdict(bc.prior(model, data, draws=10, seed=1), bc.ATE(name, "y"))


def test_columns_show_functions_of_several_columns_and_of_the_treatment():
    """Units alike in the rest have no other treatment, exactly, in 240 rows."""
    rng = np.random.default_rng(3)
    r, z = rng.normal(size=(2, 240))
    group, post = rng.integers(0, 2, size=(2, 240)) * 1.0
    both = group * post
    for columns, words in (
        ({"t": (abs(r) < 1) * 1.0, "r": r}, "t is a function of r, so that"),
        ({"t": both, "group": group, "post": post}, "t is a function of group and post, so that"),
        ({"t": r - z, "age": r, "born": z}, "t is a function of age and born, so that"),
        ({"t": r, "square": r**2}, "square is a function of t in the data, so that no unit has"),
        ({"t": both, "z": z, "tz": both * z}, "tz is a function of t and z in the data, so that"),
        ({"t": r, "z": z, "tz": (r - 1) * (z - 2)}, "tz is a function of t and z in the data"),
        ({"t": r * 0 + 1, "z": z}, "every unit has t = 1, so that nothing is seen of another t"),
    ):
        found = _verdict_of(columns)
        assert found.status == "under assumption"
        assert words in found.sentence()
    assert _verdict_of({"t": post, "r": r, "z": z, "group": group})
    assert _verdict_of({"t": (r + 0.5 * z > 0) * 1.0, "r": r, "group": group})


def test_a_treatment_of_whole_groups_is_told_by_other_groups_only_where_they_pool():
    """With a free coefficient for each group, t is a sum of their indicators: collinear."""
    school = np.repeat(np.arange(12), 20)
    data = pd.DataFrame({"t": (school % 2) * 1.0, "school": school})
    data["y"] = data["t"] + np.random.default_rng(0).normal(size=240)
    for effects, status in (("(1 | school)", "identified"), ("C(school)", "under assumption")):
        model = bc.model_from_formulas([f"y ~ t + {effects}"], data=data)
        found = verdict(bc.prior(model, data, draws=10, seed=1), bc.ATE("t", "y"))
        assert found.status == status
    assert "units alike in school all have the same t" in found.sentence()


def test_a_product_held_as_a_column_is_no_part_of_the_effect_and_it_is_said():
    """y = t + z + 2 t z with z = .5 on average: the effect is 2; with t z held it is 1."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"t": rng.integers(0, 2, 200) * 1.0, "z": rng.integers(0, 2, 200) * 1.0})
    data.loc[:, "z"] += 0.5 - data["z"].mean()
    data["tz"], data["y"] = data["t"] * data["z"], 0.0
    with pm.Model(coords={"unit": range(200)}) as model:
        t, z, tz = (pm.Data(n, data[n].to_numpy(), dims="unit") for n in ("t", "z", "tz"))
        pm.Normal("y", t + z + 2 * tz, dims="unit")
    effect = bc.estimate(bc.truth(model, {}, data), bc.ATE("t", "y"))
    assert float(effect) == pytest.approx(1.0)
    assert not effect.identification
    assert "setting t leaves tz as it is" in " ".join(effect.notes)
    with pm.Model(coords={"unit": range(200)}) as model:
        t, z = (pm.Data(n, data[n].to_numpy(), dims="unit") for n in ("t", "z"))
        pm.Normal("y", t + z + 2 * t * z, dims="unit")
    effect = bc.estimate(bc.truth(model, {}, data[["t", "z", "y"]]), bc.ATE("t", "y"))
    assert float(effect) == pytest.approx(2.0)
    assert effect.identification


def test_groups_and_periods_of_a_panel_fix_the_treatment():
    """Treated firms from period 4 on: ``t = g * post``, each along a dim of its own."""
    g, post = (np.arange(20) < 10) * 1.0, (np.arange(8) >= 4) * 1.0
    table = {"t": np.outer(g, post), "g": g, "post": post, "y": np.zeros((20, 8))}
    with pm.Model(coords={"firm": range(20), "time": range(8)}) as model:
        t = pm.Data("t", table["t"], dims=("firm", "time"))
        firms = pm.Data("g", g, dims="firm")
        times = pm.Data("post", post, dims="time")
        pm.Normal("y", t + firms[:, None] + times, dims=("firm", "time"))
    found = verdict(bc.truth(model, {}, table), bc.ATE("t", "y"))
    assert found.status == "under assumption"
    assert "t is a function of g and post, so that" in found.sentence()


def test_one_value_of_the_treatment_tells_of_that_value():
    with pm.Model(coords={"unit": range(40)}) as model:
        t = pm.Data("t", np.ones(40), dims="unit")
        pm.Normal("y", t, dims="unit")
    known = bc.truth(model, {}, {"t": np.ones(40), "y": np.zeros(40)})
    assert verdict(known, bc.Expected("y", {"t": 1.0}))
    assert not verdict(known, bc.Expected("y", {"t": 0.0}))


# ------------------------------------------------------- who is asked about


@pytest.fixture(scope="module")
def mediated() -> bc.Fit:
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("X", logit_p=z, dims="unit")
        m = pm.Bernoulli("M", logit_p=x, dims="unit")
        y = pm.Bernoulli("Y", logit_p=x + z + m, dims="unit")
        pm.Normal("D", y, dims="unit")
    return bc.truth(model, {}, bc.simulate(model, {}, units=60, seed=1))


@pytest.mark.parametrize(
    "question",
    [
        lambda c: bc.Expected("Y", {"X": 1}, given={"Y": 0}, coupling=c),
        lambda c: bc.Expected("Y", {"X": 1}, given={"X": 0, "Y": 0}, coupling=c),
        lambda c: bc.ATE("X", "Y", given={"Y": 0}, coupling=c),
        lambda c: bc.ATT("X", "Y", given={"Y": 0}, coupling=c),
        lambda c: bc.ATE("X", "Y", given=lambda Y, z: (Y == 0) & (z > 0), coupling=c),
        lambda c: bc.QTE("X", "D", q=0.5, given={"D": (0, None)}, coupling=c),
        lambda c: bc.CDE("X", "Y", mediators={"M": 0}, given={"Y": 1}, coupling=c),
        lambda c: bc.NDE("X", "Y", given={"Y": 1}, coupling=c),
        lambda c: bc.PS("X", "Y", coupling=c),
    ],
)
def test_units_known_by_their_outcome_span_two_worlds(mediated, question):
    assert verdict(mediated, question("monotone")).status == "under assumption"
    assert "monotone coupling" in verdict(mediated, question("monotone")).sentence()
    refused = verdict(mediated, question(None))
    assert refused.status == "not identified"
    assert refused.method == "coupling"
    with pytest.raises(IdentificationError, match="coupling"):
        bc.estimate(mediated, question("monotone"), strict=True)


def test_what_is_seen_may_be_conditional_on_the_outcome(mediated):
    assert verdict(mediated, bc.Expected("Y", given={"Y": 0}))
    assert verdict(mediated, bc.Association("X", "Y", given={"Y": 0}))
    idle = identify_effect("X; Z -> Y", "ATE", "X", "Y", given="Y")
    assert idle
    assert idle.method == "no causal path"


def test_consequences_stay_refused(mediated):
    for given in ({"M": 0}, {"D": 0.0}, {"D": (0, None)}):
        for question in (bc.ATE, bc.ATT, bc.ATU):
            assert not verdict(mediated, question("X", "Y", given=given, coupling="monotone"))


def test_the_treated_are_those_of_the_question():
    """On the treated the back door needs causes of X too; the query says so."""
    confounded = "X -> M -> Y; X -> Y; Z -> X; Z -> Y"
    for kind, query in (
        ("CDE", "P(Y_{X', M'} | X)"),
        ("NDE", "P(Y_{X', M_{X''}} | X)"),
        ("ATE", "P(Y_{X'} | X)"),
    ):
        held = "M" if kind != "ATE" else None
        found = identify_effect(confounded, kind, "X", "Y", mediators=held, given="X")
        assert found
        assert found.query == query
    # the napkin: what is set is identified, the treated are not (ATT has always been refused)
    napkin = "W -> R -> X -> Y; W <-> X; W <-> Y; X -> M -> Y"
    for kind, held in (("CDE", "M"), ("ATE", None)):
        assert identify_effect(napkin, kind, "X", "Y", mediators=held)
        assert not identify_effect(napkin, kind, "X", "Y", mediators=held, given="X")


def test_natural_effects_on_the_treated_by_enumeration():
    """E[Y(1, M(0)) | X = 1] of a binary model, by summing over what causes what."""
    rng = np.random.default_rng(3)
    pz, px = np.array([0.4, 0.6]), rng.uniform(size=2)
    pm_, py = rng.uniform(size=(2, 2)), rng.uniform(size=(2, 2, 2))  # M | x, z; Y | x, m, z
    joint = np.zeros((2,) * 4)  # Z, X, M, Y
    for z, x, m, y in itertools.product((0, 1), repeat=4):
        own = (px[z] if x else 1 - px[z]) * (pm_[x, z] if m else 1 - pm_[x, z])
        joint[z, x, m, y] = pz[z] * own * (py[x, m, z] if y else 1 - py[x, m, z])
    graph = "Z -> {X, M, Y}; X -> M -> Y; X -> Y"
    found = identify_effect(graph, "NDE", "X", "Y", given="X")
    axes = ("Y", "X", "X'", "X''")
    value = found.estimand.evaluate(joint, ["Z", "X", "M", "Y"], axes)
    treated = pz * px / (pz * px).sum()
    for set_to, mediator_at in itertools.product((0, 1), repeat=2):
        p = pm_[mediator_at]
        right = treated @ (p * py[set_to, 1] + (1 - p) * py[set_to, 0])
        assert value[1, 1, set_to, mediator_at] == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize(
    "given",
    [{"z": (0, 1)}, {"z": [0.1, 0.2]}, {"z": Probability(above=0)}, lambda z: z > 0],
)
def test_a_range_is_not_a_value(mediated, given):
    found = verdict(mediated, bc.CATE("X", "Y", given=given))
    assert found
    assert found.adjustment_sets == [{"z"}]
    assert found.headline() == "Identified by the back door: adjust for z."


def test_a_value_closes_the_back_door_and_a_mask_says_nothing(mediated):
    for given in ({"z": 0.5}, {"z": (0.5, 0.5)}, {"z": [0.5]}):
        found = verdict(mediated, bc.CATE("X", "Y", given=given))
        assert found.headline() == "Identified by the back door, given z."
    mask = np.arange(60) < 30
    [said] = verdict(mediated, bc.CATE("X", "Y", given=mask)).warnings
    assert said.startswith("The mask does not say what it was formed from")


def test_within_a_range_the_association_is_not_the_effect():
    """Plain simulation: the effect is 0, and units aged 40 to 60 differ all the same."""
    rng = np.random.default_rng(5)
    age = rng.uniform(20, 80, 200_000)
    x = rng.random(age.size) < (age - 20) / 60
    y = 0.1 * age + rng.normal(size=age.size)
    inside = (age >= 40) & (age <= 60)
    difference = y[inside & x].mean() - y[inside & ~x].mean()
    # x is linear in age: cov(age, x) = var / 60 with var = 400 / 12, and P(x) = 1/2
    assert difference == pytest.approx(0.1 * (400 / 12 / 60) / 0.25, abs=0.03)


# ------------------------------------------------------------------ paths, marks


def test_the_same_quantity_has_the_same_verdict_along_paths(mediated):
    indirect, direct = bc.NIE("X", "Y"), bc.NDE("X", "Y")
    for natural, path in ((indirect, "X -> M -> Y"), (direct, "X -> Y")):
        one, other = verdict(mediated, natural), verdict(mediated, bc.PSE("X", "Y", paths=path))
        assert (one.status, one.method, one.assumptions) == (
            other.status,
            other.method,
            other.assumptions,
        )
        assert one.method == "cross-world"
    both = verdict(mediated, bc.PSE("X", "Y", paths=["X -> M -> Y", "X -> Y"]))
    assert both.method == verdict(mediated, bc.TE("X", "Y")).method == "back door"


def test_path_specific_effects_with_latents_are_decided():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("U", dims="unit")
        x = pm.Bernoulli("X", 0.5, dims="unit")
        m = pm.Normal("M", x + u, dims="unit")
        pm.Normal("Y", x + m + u, dims="unit")
    data = bc.simulate(model, {}, units=30, seed=1).drop(columns="U")
    known = bc.truth(model, {}, data, seed=1)
    for question in (bc.NIE("X", "Y"), bc.PSE("X", "Y", paths="X -> M -> Y")):
        assert verdict(known, question).status == "not identified"


def test_what_dagitty_marks_as_adjusted_counts():
    marked = "dag { X [exposure] Y [outcome] C [adjusted] X -> Y A -> C B -> C A -> X B -> Y }"
    assert not bc.parse_graph(marked.replace("[adjusted]", "")).nodes["C"].get("role")
    assert bc.identify(marked.replace("C [adjusted]", "")).adjustment_sets == [set()]
    found = bc.identify(marked)
    assert found.adjustment_sets == [{"A", "C"}, {"B", "C"}]
    assert [set(s) for s in adjustment_sets(marked, "X", "Y")] == list(found.adjustment_sets)
    opened = next(p for p in bc.paths(marked, "X", "Y") if p.kind == "back door")
    assert opened.open
    assert not bc.paths(marked, "X", "Y", given=[])[-1].open
    wrong = bc.identify("dag { X [exposure] Y [outcome] M [adjusted] X -> M -> Y }")
    assert wrong.warnings == (
        "The graph marks M as adjusted for, and no valid adjustment set contains it.",
    )


# ---------------------------------------------------------------- one column, two names


def twice(copy=lambda m: m, observed_as_data: bool = False) -> pm.Model:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, 100) * 1.0
    m = 0.6 * x + rng.normal(size=100)
    y = 0.3 * x + 0.6 * m + rng.normal(size=100)
    with pm.Model(coords={"unit": range(100)}) as model:
        treatment = pm.Data("x", x, dims="unit")
        seen = pm.Data("m_data", copy(m), dims="unit")
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        pm.Normal("m", a * treatment, observed=seen if observed_as_data else m, dims="unit")
        outcome = pm.Data("y_data", y, dims="unit")
        pm.Normal("y", b * seen + c * treatment, observed=outcome, dims="unit")
    return model


@pytest.mark.parametrize("how", ["fit", "Fit", "standardised", "observed as data"])
def test_one_column_under_two_names_is_refused(how):
    model = twice(
        (lambda m: (m - m.mean()) / m.std()) if how == "standardised" else (lambda m: m),
        how == "observed as data",
    )
    says = "'m_data' holds the numbers of the variable 'm': one column under two names"
    draws = {n: np.zeros((2, 10)) for n in "abc"}
    ask = (lambda: bc.Fit(model, draws)) if how == "Fit" else (lambda: bc.fit(model, seed=1))
    with pytest.raises(DataError, match=says) as refused:
        ask()
    assert "write the variable m in place of the pm.Data 'm_data'" in str(refused.value)


def test_columns_that_only_look_alike_pass():
    model = twice(lambda m: m + 0.01 * m**2)
    assert read_data(model, None, None)[2].columns
    rng = np.random.default_rng(1)
    z = rng.integers(0, 2, 100)
    with pm.Model(coords={"unit": range(100)}) as trial:  # everybody took what was assigned
        assigned = pm.Data("z", z, dims="unit")
        taken = pm.Bernoulli("d", 0.1 + 0.8 * assigned, observed=z, dims="unit")
        pm.Normal("y", taken + assigned, observed=rng.normal(size=100), dims="unit")
    structure, table, conformed, _ = read_data(trial, None, None)
    assert conform(table, structure).notes == conformed.notes
    assert not any("same numbers" in note for note in conformed.notes)
    assert not same_numbers(np.ones(50), np.ones(50))
    assert not same_numbers(z[:15], z[:15])  # 15 zeros and ones: C(15, k) orders, too few


def test_two_columns_that_are_one_are_noted():
    x, y = np.random.default_rng(1).normal(size=(2, 50))
    with pm.Model(coords={"unit": range(50)}) as model:
        one, other = pm.Data("x", x, dims="unit"), pm.Data("x_again", 2 * x + 1, dims="unit")
        pm.Normal("y", one + other, observed=y, dims="unit")
    notes = read_data(model, None, None)[2].notes
    assert any("x and x_again hold the same numbers" in note for note in notes)


def test_data_inside_the_equations_are_said_to_be_there():
    x = np.random.default_rng(1).normal(size=(30, 1))
    with pm.Model(coords={"__obs__": range(30)}) as model:
        slope = pm.Normal("x", shape=1)
        pm.Normal("y", pm.math.dot(x, slope), observed=x[:, 0], dims="__obs__")
    says = "reads a constant array of length 30 along '__obs__'.*Put the array in pm.Data"
    for ask in (
        lambda: bc.Fit(model, {"x": np.random.default_rng(1).normal(size=(2, 50, 1))}),
        lambda: bc.identify(model, "x", "y"),
        lambda: bc.roles(model, "age", "y"),
    ):
        with pytest.raises(FixedUnitsError, match=says):
            ask()


# ------------------------------------------------------------------- what leads


def test_what_is_not_identified_leads_and_decides_nothing():
    hidden = bc.identify("X -> Y; X <-> Y", "X", "Y")
    draws = np.random.default_rng(1).normal(0.5, 0.05, size=(4, 200))
    effect = Effect(draws, bc.ATE("X", "Y"), identification=hidden, kind="posterior")
    assert effect.sentence().startswith("Not identified: X and Y share unmeasured causes")
    assert decide(0.2, 0.9, 0.0, None, "not identified") == "none: not identified"
    assert decide(0.2, 0.9, None, None, "not identified") == ""
    assert decide(0.2, 0.9, 0.0, None, "identified") == "above 0"
    record = PriorPosterior(effect, effect, None, 0.95)
    assert "nearly all" not in record.sentence()
    assert "They cannot tell the rest, however many they are (not identified)" in record.sentence()


def test_the_front_door_is_drawn_without_faults():
    graph = bc.parse_graph("X -> M -> Y; X <-> Y")
    words = {t.get_text() for t in bc.plot_graph(graph, treatment="X", outcome="Y").texts}
    hidden = bc.parse_graph("X -> Y; X <-> Y")
    shown = {t.get_text() for t in bc.plot_graph(hidden, treatment="X", outcome="Y").texts}
    plt.close("all")
    assert "open back door" not in words
    assert "open back door" in shown


def test_label_switching_is_not_a_matter_of_more_draws():
    rng = np.random.default_rng(1)
    loading = rng.normal(1, 0.1, size=(4, 500))
    loading[[1, 3]] *= -1  # the same model with its latent mirrored
    mu = rng.normal([0, 3], 0.1, size=(4, 500, 2))
    mu[2] = mu[2, :, ::-1]  # the same mixture with its components renamed
    apart = rng.normal(size=(4, 500))
    apart[0] += 5  # a chain elsewhere: no symmetry makes that the same
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", pm.Normal("loading") + pm.Normal("apart"), dims="unit")
    structure = structure_of(model)
    for name, values in (("loading", loading), ("mu", mu), ("apart", apart)):
        dims = ("chain", "draw", "k")[: values.ndim]
        said = diagnose({"posterior": xr.Dataset({name: (dims, values)})}, structure, {}).messages
        switching = any("label switching" in message for message in said)
        assert switching == (name != "apart")
        assert any("Draw more" in message for message in said) != switching
