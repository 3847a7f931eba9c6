"""Estimands: their worlds, how they print, and what they refuse."""

from __future__ import annotations

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayescausal.effects import estimands as es
from bayescausal.effects.as_estimand import as_estimands
from bayescausal.effects.estimands import (
    ATE,
    ATO,
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
from bayescausal.effects.estimands.functionals import Probability, Quantile
from bayescausal.types import (
    EstimandError,
    FromWorld,
    Policy,
    Scale,
    Set,
    Shift,
    Stochastic,
)

# ------------------------------------------------------------------------------ text

TEXTS = [
    (Expected("Y"), "E[Y]", "Expected Y"),
    (Expected("Y", {"X": 1}, given={"Z": 1}), "E[Y | do(X=1), Z=1]", "Expected X -> Y given Z=1"),
    (Expected("Y", functional=Probability(above=2)), "P(Y > 2)", "Expected Y"),
    (Association("X", "Y"), "E[Y | X=1] - E[Y | X=0]", "Association X -- Y"),
    (
        Association("X", "Y", treated=(1, 2), control=(None, 1), given={"Z": 1}),
        "E[Y | 1 <= X <= 2, Z=1] - E[Y | X <= 1, Z=1]",
        "Association X -- Y given Z=1",
    ),
    (
        ATE("dilution", "coating"),
        "E[coating | do(dilution=1)] - E[coating | do(dilution=0)]",
        "ATE dilution -> coating",
    ),
    (ATE("X", "Y", scale="ratio"), "E[Y | do(X=1)] / E[Y | do(X=0)]", "ATE X -> Y"),
    (
        ATE("X", "Y", scale="odds ratio", functional=Probability(equals=1)),
        "odds(P(Y=1 | do(X=1))) / odds(P(Y=1 | do(X=0)))",
        "ATE X -> Y",
    ),
    (ATE("X", "Y", treated=Shift(1)), "E[Y | do(X=X+1)] - E[Y]", "ATE X -> Y"),
    (ATE("X", "Y", treated=Shift(1), control=0), "E[Y | do(X=X+1)] - E[Y | do(X=0)]", "ATE X -> Y"),
    (ATE("X", "Y", treated=Set(2)), "E[Y | do(X=2)] - E[Y | do(X=0)]", "ATE X -> Y"),
    (ATE("X", "Y", treated=2, control=None), "E[Y | do(X=2)] - E[Y]", "ATE X -> Y"),
    (
        ATE(["A", "B"], "Y", treated=[1, 2], control=[0, 0]),
        "E[Y | do(A=1, B=2)] - E[Y | do(A=0, B=0)]",
        "ATE A, B -> Y",
    ),
    (ATE(["A", "B"], "Y"), "E[Y | do(A=1, B=1)] - E[Y | do(A=0, B=0)]", "ATE A, B -> Y"),
    (
        ATE("X", "Y", by="region"),
        "E[Y | do(X=1)] - E[Y | do(X=0)], for each region",
        "ATE X -> Y",
    ),
    (
        CATE("X", "Y", given={"Z": 1}),
        "E[Y | do(X=1), Z=1] - E[Y | do(X=0), Z=1]",
        "CATE X -> Y given Z=1",
    ),
    (
        ATO("X", "Y"),
        "E[w (Y(1) - Y(0))] / E[w], w = e(1 - e), e = P(X=1 | pa(X))",
        "ATO X -> Y",
    ),
    (ATT("X", "Y"), "E[Y(1) - Y(0) | X=1]", "ATT X -> Y"),
    (ATT("X", "Y", given={"Z": 1}), "E[Y(1) - Y(0) | X=1, Z=1]", "ATT X -> Y given Z=1"),
    (ATT("X", "Y", scale="ratio"), "E[Y(1) | X=1] / E[Y(0) | X=1]", "ATT X -> Y"),
    (
        ATT("X", "Y", functional=Quantile(0.5)),
        "Q_0.5[Y(1) | X=1] - Q_0.5[Y(0) | X=1]",
        "ATT X -> Y",
    ),
    (ATT("X", "Y", treated=(1, 2)), "E[Y - Y(0) | 1 <= X <= 2]", "ATT X -> Y"),
    (ATT("X", "Y", control=Shift(-1)), "E[Y(1) - Y(X-1) | X=1]", "ATT X -> Y"),
    (ATT(["A", "B"], "Y"), "E[Y(1, 1) - Y(0, 0) | A=1, B=1]", "ATT A, B -> Y"),
    (ATU("X", "Y"), "E[Y(1) - Y(0) | X=0]", "ATU X -> Y"),
    (ATU("X", "Y", control=(None, 1)), "E[Y(1) - Y | X <= 1]", "ATU X -> Y"),
    (CDE("X", "Y", mediators={"M": 0}), "E[Y | do(X=1, M=0)] - E[Y | do(X=0, M=0)]", "CDE X -> Y"),
    (QTE("X", "Y", q=0.9), "Q_0.9[Y | do(X=1)] - Q_0.9[Y | do(X=0)]", "QTE(0.9) X -> Y"),
    (
        DoseResponse("X", "Y", values=[0, 1.5]),
        "E[Y | do(X=x)], x in {0, 1.5}",
        "DoseResponse X -> Y",
    ),
    (
        DoseResponse("X", "Y", values=[1, 2], control=0, scale="ratio"),
        "E[Y | do(X=x)] / E[Y | do(X=0)], x in {1, 2}",
        "DoseResponse X -> Y",
    ),
    (
        DoseResponse("X", "Y", values=np.linspace(0, 1, 11)),
        "E[Y | do(X=x)], x in {0, 0.1, ..., 1}",
        "DoseResponse X -> Y",
    ),
    (Slope("X", "Y"), "d/dh E[Y | do(X=X+h)] at h=0", "Slope X -> Y"),
    (Slope("X", "Y", at=2), "d/dx E[Y | do(X=x)] at x=2", "Slope X -> Y"),
    (Slope("X", "Y", scale="log ratio"), "d/dh log E[Y | do(X=X+h)] at h=0", "Slope X -> Y"),
    (TE("X", "Y"), "E[Y(1) - Y(0)]", "TE X -> Y"),
    (NDE("X", "Y"), "E[Y(1, M(0)) - Y(0)]", "NDE X -> Y"),
    (NDE("X", "Y", mediators=["A", "B"]), "E[Y(1, A(0), B(0)) - Y(0)]", "NDE X -> Y"),
    (NIE("X", "Y", mediators="M"), "E[Y(0, M(1)) - Y(0)]", "NIE X -> Y"),
    (NIE("X", "Y", reverse=True), "E[Y(1, M(0)) - Y(1)]", "NIE X -> Y"),
    (PSE("X", "Y", paths="X -> M -> Y"), "E[Y(1 along X -> M -> Y) - Y(0)]", "PSE X -> Y"),
    (ITE("X", "Y"), "Y(1) - Y(0), for each unit", "ITE X -> Y"),
    (ITE("X", "Y", scale="ratio", given={"Z": 1}), "Y(1) / Y(0), for each unit with Z=1",
     "ITE X -> Y given Z=1"),
    (ITE("X", "Y", functional=Probability(below=0)), "P(Y(1) - Y(0) < 0)", "ITE X -> Y"),
    (ITE("X", "Y", functional="median"), "Q_0.5[Y(1) - Y(0)]", "ITE X -> Y"),
    (PN("X", "Y"), "P(Y(0) != 1 | X=1, Y=1)", "PN X -> Y"),
    (PS("X", "Y"), "P(Y(1)=1 | X=0, Y != 1)", "PS X -> Y"),
    (PNS("X", "Y"), "P(Y(1)=1, Y(0) != 1)", "PNS X -> Y"),
    (
        PN("X", "Y", event=Probability(above=2), given={"Z": 1}),
        "P(Y(0) <= 2 | X=1, Y > 2, Z=1)",
        "PN X -> Y given Z=1",
    ),
    (PNS("X", "Y", event="ill"), "P(Y(1)=ill, Y(0) != ill)", "PNS X -> Y"),
    (Contrast("Y", {"X": 1, "W": 0}), "E[Y | do(X=1, W=0)] - E[Y]", "Contrast X, W -> Y"),
    (
        Contrast("Y", {"X": Policy(lambda Z: Z > 0)}, {"X": Scale(2)}),
        "E[Y | do(X=f(Z))] - E[Y | do(X=2*X)]",
        "Contrast X -> Y",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("estimand", "text", "label"), TEXTS, ids=[t for _, t, _ in TEXTS])
def test_estimands_print_as_mathematics(estimand, text, label):
    assert estimand.describe() == text
    assert str(estimand) == text
    assert estimand.label() == label
    assert repr(estimand).startswith(type(estimand).__name__ + "(")
    latex = estimand.latex()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")


def test_every_estimand_is_among_the_texts():
    classes = {getattr(es, name) for name in es.__all__} - {es.Estimand}
    assert {type(estimand) for estimand, _, _ in TEXTS} == classes
    assert len({c.kind for c in classes}) == len(classes) == 20


@pytest.mark.parametrize(
    ("estimand", "latex"),
    [
        (
            ATE("b_0", "Y", given={"Z": (0, 1)}),
            r"\mathbb{E}\left[\mathrm{Y} \mid \mathrm{do}(\mathrm{b\_0}=1), 0 \le \mathrm{Z} \le 1"
            r"\right] - \mathbb{E}\left[\mathrm{Y} \mid \mathrm{do}(\mathrm{b\_0}=0), "
            r"0 \le \mathrm{Z} \le 1\right]",
        ),
        (
            ATT("X", "Y", scale="ratio"),
            r"\frac{\mathbb{E}\left[\mathrm{Y}(1) \mid \mathrm{X}=1\right]}"
            r"{\mathbb{E}\left[\mathrm{Y}(0) \mid \mathrm{X}=1\right]}",
        ),
        (
            Expected("Y", {"X": Policy(lambda a_b: a_b)}, by="c_d"),
            r"\mathbb{E}\left[\mathrm{Y} \mid \mathrm{do}(\mathrm{X}=f(\mathrm{a\_b}))\right]"
            r",\ \text{for each }\mathrm{c\_d}",
        ),
        (Slope("X", "Y", at=2),
         r"\frac{d}{dx} \mathbb{E}\left[\mathrm{Y} \mid \mathrm{do}(\mathrm{X}=x)\right]"
         r"\Big|_{x=2}"),
        (Expected("Y", {"X": "a%b"}),
         r"\mathbb{E}\left[\mathrm{Y} \mid \mathrm{do}(\mathrm{X}=\mathrm{a\%b})\right]"),
    ],
)  # fmt: skip
def test_latex(estimand, latex):
    assert estimand.latex() == latex


def test_repr_shows_what_was_asked_and_no_defaults():
    assert repr(ATE("X", "Y")) == "ATE('X', 'Y')"
    shown = repr(ATE(["A", "B"], "Y", treated=2, scale="ratio", given={"Z": 1}, by="s"))
    assert shown.startswith("ATE(['A', 'B'], 'Y', given=<Z=1>, by=('s',), treated=(2, 2), scale=")
    assert "control=None" in repr(ATE("X", "Y", control=None))
    assert "control" not in repr(ATE("X", "Y", treated=Shift(1)))
    assert "scale='ratio'" in shown
    assert "population" not in shown


def test_names_need_not_be_identifiers():
    estimand = CATE("body mass (kg)", "Y|x", given={"a b": 1})
    assert estimand.names == ("body mass (kg)", "Y|x", "a b")
    assert "do(body mass (kg)=1), a b=1" in estimand.describe()


def test_estimands_hold_arrays_and_tables_and_still_hash():
    estimand = ATE("X", "Y", treated=np.ones(3), population=pd.DataFrame({"z": [1.0, 2.0]}))
    assert estimand == estimand
    assert len({estimand, ATE("X", "Y")}) == 2
    assert "[3 values]" in estimand.describe()


@pytest.mark.parametrize("kind", [pd.Series, lambda *a: xr.DataArray(*a, dims="unit")])
def test_masks_and_levels_with_labels_say_the_same_if_labels_do(kind):
    def asked(values, labels):
        labels = labels if kind is pd.Series else {"unit": labels}
        mask = kind(np.array(values), labels)
        return CATE("X", "Y", treated=kind(np.ones(2), labels), given=mask)

    one, again = asked([True, False], ["a", "b"]), asked([True, False], ["a", "b"])
    assert one == again
    assert len({one, again}) == 1
    assert one != asked([True, False], ["b", "a"])
    assert one != asked([True, True], ["a", "b"])


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", object])
def test_masks_are_booleans_of_any_type(dtype):
    plain = CATE("X", "Y", given=pd.Series([True, False]))
    assert CATE("X", "Y", given=pd.Series([True, False], dtype=dtype)) == plain


def test_a_table_of_one_unit_is_told_by_its_values():
    at = ATE("X", "Y", population=pd.DataFrame({"margin": [0.0], "g": ["a"]}))
    assert at.population.words == "units with margin=0, g=a"
    wide = pd.DataFrame([[1.0] * 4], columns=list("abcd"))
    assert ATE("X", "Y", population=wide).population.words == "the unit of the given table"


@pytest.mark.parametrize("estimand", [e for e, _, _ in TEXTS], ids=[t for _, t, _ in TEXTS])
def test_a_changed_copy_keeps_the_rest(estimand):
    copy = dataclasses.replace(estimand, population="model")
    assert copy.population.name == "model"
    assert copy.describe() == estimand.describe()


# ---------------------------------------------------------------------------- worlds


def _shown(worlds):
    return {w: {k: v.describe(k) for k, v in do.items()} for w, do in worlds.items()}


def test_worlds_of_interventions():
    assert _shown(ATE("X", "Y").worlds()) == {"treated": {"X": "X=1"}, "control": {"X": "X=0"}}
    assert _shown(ATE("X", "Y", treated=Shift(1)).worlds())["control"] == {}
    assert _shown(Expected("Y", {"X": 1}).worlds()) == {"expected": {"X": "X=1"}}
    assert _shown(Association("X", "Y").worlds()) == {"expected": {}}
    assert _shown(CDE("X", "Y", mediators={"M": 2}).worlds()) == {
        "treated": {"X": "X=1", "M": "M=2"},
        "control": {"X": "X=0", "M": "M=2"},
    }
    assert _shown(ATT("X", "Y", treated=(1, 2)).worlds()) == {
        "treated": {},
        "control": {"X": "X=0"},
    }
    assert _shown(Contrast("Y", {"X": 1}).worlds()) == {"treated": {"X": "X=1"}, "control": {}}


def test_worlds_of_a_curve_and_a_slope():
    curve = DoseResponse("X", "Y", values=[0.1, 0.1 + 1e-12], control=3)
    assert len(curve.worlds()) == 3
    assert list(curve.levels.values()) == [0.1, 0.1 + 1e-12]
    assert set(curve.levels) == set(curve.worlds()) - {"control"}
    assert curve.null == 0.0
    assert DoseResponse("X", "Y", values=[1]).null is None
    slope = Slope("X", "Y", step=0.5)
    assert _shown(slope.worlds()) == {"treated": {"X": "X=X+0.5"}, "control": {"X": "X=X-0.5"}}
    assert slope.divisor == 1.0
    assert _shown(Slope("X", "Y", at=2, step=0.5).worlds()) == {
        "treated": {"X": "X=2.5"},
        "control": {"X": "X=1.5"},
    }


def test_groups_are_conditions():
    values = {"X": np.array([0, 1, 1, 2]), "Z": np.array([1, 1, 0, 1]), "Y": np.array([1, 1, 1, 0])}
    for estimand, members in (
        (ATT("X", "Y"), [0, 1, 1, 0]),
        (ATT("X", "Y", treated=(1, None), given={"Z": 1}), [0, 1, 0, 1]),
        (ATU("X", "Y", control=Set(2), treated=0), [0, 0, 0, 1]),
        (PN("X", "Y"), [0, 1, 1, 0]),
        (PS("X", "Y", control=2), [0, 0, 0, 1]),
        (PNS("X", "Y"), [1, 1, 1, 1]),
        (ATE("X", "Y", given={"Z": 0}), [0, 0, 1, 0]),
    ):
        found = np.broadcast_to(estimand.condition.member(values), 4)
        assert found.tolist() == [bool(m) for m in members]
    arms = Association("X", "Y", given={"Z": 1}).arms
    assert arms["treated"].member(values).tolist() == [False, True, False, False]


GRAPH = nx.DiGraph([("X", "M"), ("M", "Y"), ("X", "Y"), ("U", "M"), ("X", "D")])


def _evaluate(graph, worlds, noise):
    """Evaluate nested worlds of an additive model v = 2 * sum(parents) + noise, by recursion."""

    def value(name, world):
        what = worlds[world].get(name)
        if isinstance(what, Set):
            return what.value
        if isinstance(what, FromWorld):
            return value(name, what.world)
        return 2 * sum(value(p, world) for p in graph.predecessors(name)) + noise[name]

    return value("Y", "treated") - value("Y", "control")


def _effect(estimand, graph=GRAPH):
    noise = {name: i + 0.5 for i, name in enumerate(sorted(graph))}
    return _evaluate(graph, estimand.worlds(graph), noise)


def test_nested_worlds_give_direct_and_indirect_effects():
    # every arrow doubles: the direct path is worth 2, the path through M 4
    assert _effect(TE("X", "Y")) == 6
    assert _effect(NDE("X", "Y")) == 2
    assert _effect(NIE("X", "Y")) == 4
    assert _effect(NIE("X", "Y", reverse=True)) == -4
    assert _effect(PSE("X", "Y", paths="X -> M -> Y")) == 4
    assert _effect(PSE("X", "Y", paths=["X -> Y"])) == 2
    assert _effect(PSE("X", "Y", paths=[["X", "Y"], ["X", "M", "Y"]])) == 6
    assert _effect(PSE("X", "Y", paths=["X", "M", "Y"])) == 4


def test_mediators_left_to_the_graph():
    worlds = NDE("X", "Y").worlds(GRAPH)
    assert _shown(worlds)["treated"] == {"X": "X=1", "M": "M=M[control]"}
    for estimand in (NDE("X", "Y"), NIE("X", "Y"), PSE("X", "Y", paths="X->Y")):
        with pytest.raises(EstimandError, match="graph"):
            estimand.worlds()
    assert _effect(NIE("X", "Y"), nx.DiGraph([("X", "Y")])) == 0


def test_path_effects_of_random_graphs_equal_the_sum_over_their_paths():
    """In an additive model an effect along paths is the sum of the products of their arrows."""
    rng = np.random.default_rng(4)
    answered = refused = 0
    for _ in range(600):
        graph = nx.DiGraph()
        graph.add_nodes_from(["X", "A", "B", "C", "Y"])
        for a, b in itertools.combinations(["X", "A", "B", "C", "Y"], 2):
            if rng.random() < 0.6:
                graph.add_edge(a, b)
        paths = list(nx.all_simple_paths(graph, "X", "Y"))
        chosen = [p for p in paths if rng.random() < 0.5]
        if not chosen:
            continue
        # a witness: some beginning goes on along a chosen path and along one that is not
        rest = [p for p in paths if p not in chosen]
        witnessed = any(
            p[: i + 1] == r[: i + 1]
            for p in chosen
            for r in rest
            for i in range(1, min(len(p), len(r)) - 1)
        )
        estimand = PSE("X", "Y", paths=chosen)
        if witnessed:
            refused += 1
            with pytest.raises(EstimandError, match="recanting witness"):
                estimand.worlds(graph)
        else:
            answered += 1
            assert _effect(estimand, graph) == sum(2 ** (len(p) - 1) for p in chosen)
    assert min(answered, refused) > 50


def test_the_witness_is_named():
    graph = nx.DiGraph([("X", "W"), ("W", "M"), ("M", "Y"), ("W", "Y")])
    with pytest.raises(EstimandError, match=r"'W' is a recanting witness.*X -> W"):
        PSE("X", "Y", paths="X -> W -> Y").worlds(graph)
    with pytest.raises(EstimandError, match="uses M -> W2, which is not in the graph"):
        PSE("X", "Y", paths="X -> W -> M -> W2 -> Y").worlds(graph)


# --------------------------------------------------------------------------- refusals

REFUSED = [
    (lambda: ATE("X", "X"), "'X' is both treatment and outcome"),
    (lambda: ATE("X", "Y", treated=0), "the same world, do\\(X=0\\).*Name two different levels"),
    (lambda: ATE("X", "Y", treated=None, control=None), "the same world, the natural course"),
    (lambda: ATE("X", "Y", treated=Shift(1), control=Shift(1.0)), "the same world"),
    (lambda: ATE("X", "Y", treated=np.nan), "level nan of 'X' is not finite"),
    (lambda: ATE("X", "Y", treated=[1, np.inf]), "is not finite"),
    (lambda: ATE("X", "Y", treated=Shift(np.nan)), "is not finite"),
    (lambda: ATE("X", "Y", treated=object()), "is not finite"),
    (lambda: ATE("X", "Y", treated=(1, 2)), "is not one value.*only for the treated of ATT"),
    (lambda: ATE("X", "Y", treated={"X": 1}), "is not one value"),
    (lambda: ATE("", "Y"), "is not a name"),
    (lambda: ATE([], "Y"), "Expected: The name of a variable, or a list"),
    (lambda: ATE(["A", "A"], "Y"), "names a variable twice"),
    (lambda: ATE(["A", 3], "Y"), "3 is not a name"),
    (lambda: ATE(3, "Y"), "treatment=3"),
    (lambda: ATE("X", 3), "outcome=3.*name of one variable"),
    (lambda: ATE(["A", "B"], "Y", treated=[1]), "for 2 treatments.*one level for each of A, B"),
    (lambda: ATE("X", "Y", scale="ration"), "'ration' is not a scale.*Did you mean 'ratio'"),
    (lambda: ATE("X", "Y", by="X"), "by='X' is the treatment or the outcome"),
    (lambda: ATE("X", "Y", by=3), "by=3"),
    (lambda: CATE("X", "Y"), "CATE needs a subgroup"),
    (lambda: CATE("X", "Y", given={}), "asks nothing"),
    (lambda: ATT("X", "Y", treated=Shift(1)), "nobody can be said to be at treated="),
    (lambda: ATT("X", "Y", treated=None), "nobody can be said"),
    (lambda: ATT("X", "Y", treated=[1, 2]), "nobody can be said"),
    (lambda: ATT("X", "Y", treated=(2, 1)), "is empty"),
    (lambda: ATT("X", "Y", control=(0, 1)), "is not one value"),
    (lambda: ATU("X", "Y", control=Stochastic(0)), "nobody can be said to be at control="),
    (lambda: CDE("X", "Y", mediators={}), "CDE needs the values"),
    (lambda: CDE("X", "Y", mediators="M"), "mediators='M' is not a mapping"),
    (lambda: CDE("X", "Y", mediators={"X": 1}), "'X' is a mediator and the treatment"),
    (lambda: QTE("X", "Y", q=1.2), "0 < q < 1"),
    (lambda: QTE("X", "Y", q=0.5, functional=Quantile(0.2)), "QTE has no functional"),
    (lambda: DoseResponse("X", "Y", values=[]), "One or more numbers"),
    (lambda: DoseResponse("X", "Y", values=["a"]), "One or more numbers"),
    (lambda: DoseResponse("X", "Y", values=[[1, 2]]), "One or more numbers"),
    (lambda: DoseResponse("X", "Y", values=[1, np.nan]), "is not finite"),
    (lambda: DoseResponse("X", "Y", values=[1, 1]), "repeats a value"),
    (lambda: DoseResponse(["A", "B"], "Y", values=[1]), "DoseResponse of 2 treatments"),
    (lambda: DoseResponse("X", "Y", values=[1], scale="ratio"), "DoseResponse has no scale"),
    (lambda: Slope(["A", "B"], "Y"), "Slope in 2 treatments"),
    (lambda: Slope("X", "Y", step=0), "step=0.*positive"),
    (lambda: Slope("X", "Y", at=np.nan), "at=nan"),
    (lambda: Slope("X", "Y", scale="odds ratio"), "Slope has no scale 'odds ratio'"),
    (lambda: Association("X", "X"), "Two different variables"),
    (lambda: Association("X", "Y", treated=0), "the same group, X=0"),
    (lambda: Expected("Y", do="X"), "do='X' is not a mapping"),
    (lambda: Expected("Y", do={3: 1}), "Expected: The name of a variable"),
    (lambda: Contrast("Y", {"Y": 1}), "'Y' is set, so nothing is asked"),
    (lambda: Contrast("Y", {}), "the same world"),
    (lambda: Contrast("Y", {"X": 1}, coupling="gumble"), "Did you mean 'gumbel'"),
    (lambda: NDE("X", "Y", mediators="X"), "'X' is a mediator and the treatment"),
    (lambda: NDE("X", "Y", treated=0), "the same level"),
    (lambda: NIE("X", "Y", reverse="yes"), "reverse='yes'"),
    (lambda: NIE("X", "Y", mediators=[]), "mediators="),
    (lambda: PSE(["A"], "Y", paths="A->Y"), "one treatment"),
    (lambda: PSE("X", "Y", paths="M -> Y"), "does not lead from 'X' to 'Y'"),
    (lambda: PSE("X", "Y", paths=[]), "lists of names"),
    (lambda: PSE("X", "Y", paths="X -> X -> Y"), "twice"),
    (lambda: ITE("X", "Y", coupling="monotonic"), "Did you mean 'monotone'"),
    (lambda: ITE("X", "Y", coupling={"M": "copula"}), "'copula' is not a coupling"),
    (lambda: ITE("X", "Y", bounds="modle"), "is not a kind of bounds.*Did you mean 'model'"),
    (lambda: PN("X", "Y", scale="ratio"), "PN has no scale, found scale='ratio'"),
    (lambda: PNS("X", "Y", functional="median"), "PNS has no functional"),
    (lambda: PS("X", "Y", event=[1]), "is not an event"),
    (lambda: PN("X", "Y", treated=Shift(1)), "PN needs 'X' set to a level"),
    (lambda: PN("X", "Y", control=None), "found the natural course"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_questions_that_are_not_well_posed_are_refused(make, message):
    with pytest.raises(EstimandError, match=message):
        make()


def test_options_are_kept():
    ite = ITE("X", "Y", coupling={"Y": "gumbel"}, bounds="margins")
    assert ite.coupling == {"Y": "gumbel"}
    assert ite.bounds == "margins"
    assert ite.per_unit
    assert not ITE("X", "Y", functional="median").per_unit
    assert ITE("X", "Y", functional=Probability(below=0)).null is None
    assert ATE("X", "Y", scale="ratio").null == 1.0
    assert Expected("Y").null is None
    assert PNS("X", "Y").null is None
    assert CDE("X", "Y", mediators={"M": 1}, by=["a", "b"]).names == ("X", "Y", "M", "a", "b")
    assert PSE("X", "Y", paths="X->M->Y").names == ("X", "Y", "M")
    assert PN("X", "Y", event=True).event == Probability(equals=1)


@pytest.mark.parametrize("name", [n for n in es.__all__ if n != "Estimand"])
def test_questions_that_say_the_same_are_equal(name):
    """Fields are compared as they were parsed; two kinds of question are never equal."""
    made = [each for each, _, _ in TEXTS if type(each).__name__ == name]
    for each in made:
        again = dataclasses.replace(each)
        assert again == each
        assert hash(again) == hash(each)
        assert len({each, again}) == 1
        assert dataclasses.replace(each, by="V") != each
    assert len(set(made)) == len(made)


def test_what_the_same_means():
    rule, mask = np.abs, np.array([True, False])
    same = [
        (ATE("X", "Y"), ATE("X", "Y", treated=Set(1), control=0)),
        (ATE("X", "Y", given={"Z": 1}), ATE("X", "Y", given={"Z": 1.0})),
        (ATE("X", "Y", given=mask), ATE("X", "Y", given=mask.copy())),
        (ATE("X", "Y", treated=Policy(rule, ["Z"])), ATE("X", "Y", treated=Policy(rule, ["Z"]))),
        (ATE("X", "Y", coupling={"Y": "monotone"}), ATE("X", "Y", coupling={"Y": "monotone"})),
        (DoseResponse("X", "Y", values=[0, 1]), DoseResponse("X", "Y", values=[0.0, 1.0])),
        (Expected("Y", {"X": 1, "W": 2}), Expected("Y", {"W": 2, "X": 1})),
    ]
    for one, other in same:
        assert one == other
        assert hash(one) == hash(other)
    assert ATE("X", "Y") != TE("X", "Y")
    assert ATE("X", "Y") != "ATE"
    assert ATE("X", "Y", treated=Policy(lambda z: z, ["Z"])) != ATE(
        "X", "Y", treated=Policy(lambda z: z, ["Z"])
    )
    frame = pd.DataFrame({"Z": [1]})
    assert ATE("X", "Y", population=frame) == ATE("X", "Y", population=frame)
    assert ATE("X", "Y", population=frame) != ATE("X", "Y", population=frame.copy())


def test_a_level_that_is_no_number_and_no_question_at_all_are_refused():
    with pytest.raises(EstimandError, match="at='a'"):
        es.Slope("x", "y", at="a")
    with pytest.raises(EstimandError, match="No question was asked"):
        as_estimands([])
