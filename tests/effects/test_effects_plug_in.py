"""The identified formula on the data's own distribution: published values, exact posteriors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.without_model.plug_in import plug_in
from bayescausal.effects.without_model.read_table import read_cells, read_frame
from bayescausal.graph import identify, identify_effect
from bayescausal.types import (
    DataError,
    EstimandError,
    IdentificationError,
    UndefinedEffectError,
    UnknownVariableError,
)

STONES = "large -> treatment -> success; large -> success"


@pytest.fixture(scope="module")
def stones():
    return bc.datasets.kidney_stones().data


@pytest.fixture(scope="module")
def smoking():
    """Pearl's table as probabilities of (smoking, tar, cancer)."""
    share = {(0, 0): 0.475, (1, 0): 0.025, (0, 1): 0.025, (1, 1): 0.475}
    cancer = {(0, 0): 0.10, (1, 0): 0.90, (0, 1): 0.05, (1, 1): 0.85}
    rows = [
        {"S": s, "T": t, "C": c, "p": p * (cancer[s, t] if c else 1 - cancer[s, t])}
        for (s, t), p in share.items()
        for c in (0, 1)
    ]
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------ published values


def test_kidney_stones_by_the_back_door(stones):
    verdict = identify(STONES, "treatment", "success")
    one, other = (
        float(plug_in(verdict, stones, treated=a, control=None, empirical=True)) for a in (1, 0)
    )
    assert one == pytest.approx(634983 / 762700, abs=1e-12)
    assert other == pytest.approx(6231 / 8000, abs=1e-12)
    assert float(plug_in(verdict, stones, empirical=True)) == pytest.approx(3274803 / 61016000)


def test_treated_and_untreated_of_the_kidney_stones(stones):
    known = bc.datasets.kidney_stones().answers
    for kind in ("ATT", "ATU"):
        verdict = identify_effect(STONES, kind, "treatment", "success")
        assert float(plug_in(verdict, stones, empirical=True)) == pytest.approx(known[kind])
    naive = identify_effect(STONES, "Association", "treatment", "success")
    found = plug_in(naive, stones, empirical=True)
    assert float(found) == pytest.approx(273 / 350 - 289 / 350)
    assert found.label == "E[success | treatment=1] - E[success | treatment=0]"


def test_smoking_by_the_front_door(smoking):
    verdict = identify("S -> T -> C; S <-> C", "S", "C")
    assert verdict.method == "front door"
    for level, value in ((1, 0.4525), (0, 0.4975)):
        found = plug_in(verdict, smoking, treated=level, control=None, count="p", empirical=True)
        assert float(found) == pytest.approx(value, abs=1e-12)


def test_mediation_formula():
    """Pearl (2012): NDE 0.32, NIE 0.035, TE 0.46."""
    m, y = {0: 0.4, 1: 0.75}, {(1, 1): 0.8, (1, 0): 0.4, (0, 1): 0.3, (0, 0): 0.2}
    rows = [
        {"T": a, "M": b, "Y": c, "p": 0.5 * abs(1 - b - m[a]) * abs(1 - c - y[a, b])}
        for a, b, c in itertools.product((0, 1), repeat=3)
    ]
    for kind, value in (("NDE", 0.32), ("NIE", 0.035), ("TE", 0.46)):
        verdict = identify_effect("T -> M -> Y; T -> Y", kind, "T", "Y")
        found = plug_in(verdict, pd.DataFrame(rows), count="p", empirical=True)
        assert float(found) == pytest.approx(value, abs=1e-12), kind


# ----------------------------------------------- what only ID finds, against enumerated truth


def enumerated(text, seed):
    """Return P(V) of a random binary model with hidden binary u and v, and E[Y | do(X)]."""
    rng = np.random.default_rng(seed)
    parents = {
        "napkin": {"W": "uv", "Z": "W", "X": "Zu", "Y": "Xv"},
        "verma": {"X": "", "B": "Xu", "C": "B", "Y": "Cu"},
    }[text]
    names = list(parents)
    chance = {n: rng.uniform(0.2, 0.8, size=(2,) * len(p)) for n, p in parents.items()}

    def law(do):
        table = np.zeros((2,) * 4)
        for values in itertools.product((0, 1), repeat=6):
            unit = dict(zip(["u", "v", *names], values, strict=True))
            p = 0.25
            for n in names:
                if n in do:
                    p *= unit[n] == do[n]
                    continue
                one = chance[n][tuple(unit[q] for q in parents[n])]
                p *= one if unit[n] else 1 - one
            table[tuple(unit[n] for n in names)] += p
        return table

    at = names.index("Y")
    other = tuple(i for i in range(4) if i != at)
    truth = {x: law({"X": x}).sum(axis=other)[1] for x in (0, 1)}
    joint = law({})
    rows = [
        dict(zip(names, cell, strict=True)) | {"p": joint[cell]} for cell in np.ndindex(joint.shape)
    ]
    return pd.DataFrame(rows), truth


@pytest.mark.parametrize(
    ("which", "graph"),
    [
        ("napkin", "W -> Z -> X -> Y; W <-> X; W <-> Y"),
        ("verma", "X -> B -> C -> Y; B <-> Y"),
    ],
)
def test_napkin_and_verma_equal_the_truth(which, graph):
    verdict = identify(graph, "X", "Y")
    table, truth = enumerated(which, 11)
    for level in (0, 1):
        found = plug_in(verdict, table, treated=level, control=None, count="p", empirical=True)
        assert float(found) == pytest.approx(truth[level], abs=1e-12)
    counts = table.assign(p=np.round(table["p"] * 50_000))
    found = plug_in(verdict, counts, count="p", seed=1, draws=1000)
    low, high = found.interval(prob=0.9999)
    assert low < truth[1] - truth[0] < high
    assert high - low < 0.2
    if which == "napkin":
        assert verdict.any_value == {"Z"}


# --------------------------------------------------------------------------- the posterior


def test_the_posterior_of_the_kidney_stones_is_the_exact_one(stones):
    """Dirichlet(1) on 8 cells: each rate Beta(1 + s, 1 + f), the share of large stones
    Beta(4 + 343, 4 + 357), all independent. Tolerance: 4 Monte Carlo errors of 20,000 draws."""

    def moments(a, b):
        return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))

    rates = {
        (1, 0): (81, 87),
        (1, 1): (192, 263),
        (0, 0): (234, 270),
        (0, 1): (55, 80),
    }
    cells = {k: moments(1 + s, 1 + n - s) for k, (s, n) in rates.items()}
    gap = [cells[1, z][0] - cells[0, z][0] for z in (0, 1)]
    square = [gap[z] ** 2 + cells[1, z][1] + cells[0, z][1] for z in (0, 1)]
    w, w_var = moments(4 + 343, 4 + 357)
    mean = w * gap[1] + (1 - w) * gap[0]
    second = (
        (w**2 + w_var) * square[1]
        + ((1 - w) ** 2 + w_var) * square[0]
        + 2 * (w * (1 - w) - w_var) * gap[0] * gap[1]
    )
    sd = math.sqrt(second - mean**2)
    found = plug_in(identify(STONES, "treatment", "success"), stones, draws=20_000, seed=2)
    assert float(found) == pytest.approx(mean, abs=4 * sd / math.sqrt(20_000))
    assert found.sd() == pytest.approx(sd, rel=4 / math.sqrt(2 * 20_000))
    assert found.draws.sizes == {"chain": 1, "draw": 20_000}
    assert found.identification.method == "back door"
    assert "Dirichlet with 1 pseudo-counts" in found.notes[0]


def test_counts_and_rows_and_blocks_give_the_same_draws(stones, monkeypatch):
    verdict = identify(STONES, "treatment", "success")
    counts = stones.groupby([*stones.columns]).size().rename("n").reset_index()
    one = plug_in(verdict, stones, seed=3, draws=50)
    two = plug_in(verdict, counts, count="n", seed=3, draws=50)
    monkeypatch.setattr("bayescausal.effects.without_model.discrete.AT_ONCE", 100)
    three = plug_in(verdict, {c: stones[c].to_numpy() for c in stones}, seed=3, draws=50)
    assert (one.draws == two.draws).all()
    assert (one.draws == three.draws).all()
    assert (plug_in(verdict, stones, seed=4, draws=50).draws != one.draws).any()


def test_scales_events_levels_and_conditions(stones):
    verdict = identify(STONES, "treatment", "success")
    a, b = 634983 / 762700, 6231 / 8000
    ratio = plug_in(verdict, stones, scale="ratio", empirical=True)
    assert float(ratio) == pytest.approx(a / b)
    assert ratio.null == 1
    failed = plug_in(verdict, stones, event=0, empirical=True)
    assert float(failed) == pytest.approx(b - a)
    assert failed.label.startswith("P(success=0 | do(treatment=1)) - ")
    words = stones.replace({"success": {0: "no", 1: "yes"}, "treatment": {0: "B", 1: "A"}})
    named = plug_in(verdict, words, treated="A", control="B", event="yes", empirical=True)
    assert float(named) == pytest.approx(a - b)
    small = identify(STONES, "treatment", "success", given="large")
    within = plug_in(small, stones, given={"large": 0}, empirical=True)
    assert float(within) == pytest.approx(81 / 87 - 234 / 270)
    wide = plug_in(verdict, stones, levels={"large": [0, 1, 2]}, draws=200, seed=1)
    assert "12 cells" in wide.notes[0]


def test_several_treatments():
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 2, (2, 400))
    data = pd.DataFrame({"a": a, "b": b, "y": a + 2 * b})
    verdict = identify("a -> y; b -> y", ["a", "b"], "y")
    for treated, control in (((1, 1), (0, 0)), ({"b": 1, "a": 1}, {"a": 0, "b": 0})):
        found = plug_in(verdict, data, treated=treated, control=control, empirical=True)
        assert float(found) == pytest.approx(3.0)
    with pytest.raises(EstimandError, match="a value for each of a, b"):
        plug_in(verdict, data)
    with pytest.raises(EstimandError, match="names a"):
        plug_in(verdict, data, treated={"a": 1})


def test_no_effect_needs_no_treatment_column():
    verdict = identify("Y -> X", "X", "Y")
    assert float(plug_in(verdict, {"Y": [0, 1, 1]}, empirical=True)) == 0.0


# ---------------------------------------------------------------------------------- mistakes


def test_what_has_no_formula_is_refused(stones):
    with pytest.raises(IdentificationError, match=r"Bounds there are: bc\.instrument_bounds"):
        plug_in(identify("Z -> X -> Y; X <-> Y", "X", "Y"), stones)
    with pytest.raises(IdentificationError, match="not identified"):
        plug_in(identify("X -> Y; X <-> Y", "X", "Y"), stones)
    with pytest.raises(EstimandError, match="plug_in does not know QTE"):
        plug_in(identify_effect(STONES, "QTE", "treatment", "success"), stones)


def test_mistakes_are_named(stones):
    verdict = identify(STONES, "treatment", "success")

    def fails(error, words, data=stones, which=verdict, **options):
        with pytest.raises(error, match=words):
            plug_in(which, data, **options)

    fails(UnknownVariableError, "'large' is not a column", stones.drop(columns="large"))
    fails(UnknownVariableError, "'n' is not a column", count="n")
    fails(UnknownVariableError, "'q' is not a variable of the formula", levels={"q": [0]})
    fails(EstimandError, "treatment is never 2 in the data", treated=2)
    fails(EstimandError, "draws=0", draws=0)
    fails(EstimandError, "prior=-1", prior=-1)
    fails(EstimandError, "given= names large", given={"large": 1})
    fails(EstimandError, "does not name the outcomes", event={"large": 1})
    fails(EstimandError, "no mean", stones.replace({"success": {0: "no", 1: "yes"}}))
    fails(DataError, "large is missing in 1 of 700", stones.assign(large=[None, *stones.large[1:]]))
    fails(DataError, "does not hold counts", stones.assign(n=-1), count="n")
    fails(DataError, "does not hold counts", stones.assign(n="a"), count="n")
    fails(DataError, "these are shares", stones.assign(n=1 / 700), count="n")
    fails(DataError, "which levels= does not list", levels={"large": [0]})
    fails(DataError, "positivity", stones.query("large == 0 or treatment == 1"), prior=0, seed=1)
    numbers = stones.assign(large=np.arange(700), treatment=np.arange(700), success=np.arange(700))
    fails(DataError, "has 343,000,000 cells", numbers)
    att = identify_effect(STONES, "ATT", "treatment", "success")
    fails(EstimandError, "ATT is about two", which=att, control=None)
    never = stones.assign(success=0)
    fails(
        UndefinedEffectError,
        "ratio is undefined",
        never,
        levels={"success": [0, 1]},
        scale="ratio",
        empirical=True,
    )


def test_frames_of_other_kinds():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"x": [0, 1, 1]})
    assert read_cells(frame, ["x"]).counts.tolist() == [1, 2]
    with pytest.raises(DataError, match="cannot be read"):
        read_frame(42)


def test_a_loud_prior_says_so():
    verdict = identify("X -> Y", "X", "Y")
    found = plug_in(verdict, {"X": [0, 1, 1], "Y": [0, 0, 1]}, draws=100, seed=1)
    assert "speaks loudly" in found.notes[1]


# --------------------------------------------- questions of which one formula is a part alone


def two_causes():
    """Return P(w, z, x, y), the effect at each (w, z), and the model with the same arrows."""
    share = {0: 0.4, 1: 0.55}
    e, lift = {0: 0.15, 1: 0.7}, {(a, b): 0.1 + 0.2 * a + 0.3 * b for a in (0, 1) for b in (0, 1)}
    rows = []
    for w, z, x, y in itertools.product((0, 1), repeat=4):
        parts = [(w, 0.3), (z, share[w]), (x, e[z]), (y, 0.1 + 0.15 * z + lift[w, z] * x)]
        p = np.prod([chance if one else 1 - chance for one, chance in parts])
        rows.append({"w": w, "z": z, "x": x, "y": y, "p": p})
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Bernoulli("w", 0.3, dims="unit")
        z = pm.Bernoulli("z", 0.4 + 0.15 * w, dims="unit")
        x = pm.Bernoulli("x", 0.15 + 0.55 * z, dims="unit")
        pm.Bernoulli("y", 0.1 + 0.15 * z + (0.1 + 0.2 * w + 0.3 * z) * x, dims="unit")
    return pd.DataFrame(rows), share, e, lift, model


def test_overlap_weights_by_enumeration():
    table, share, e, lift, model = two_causes()

    def right(w, z):
        """Return sum P(w) P(z | w) e (1 - e) effect / the same without the effect."""
        cells = [(a, b) for a in w for b in z]
        chance = {(a, b): (0.3 if a else 0.7) * (share[a] if b else 1 - share[a]) for a, b in cells}
        weight = {c: chance[c] * e[c[1]] * (1 - e[c[1]]) for c in cells}
        return sum(weight[c] * lift[c] for c in cells) / sum(weight.values())

    plain = bc.identify(model, bc.ATO("x", "y"))
    found = plug_in(plain, table, count="p", empirical=True)
    assert float(found) == pytest.approx(right((0, 1), (0, 1)), abs=1e-12)
    assert found.label == "ATO(x=1 against x=0; y)"
    back = plug_in(plain, table, count="p", empirical=True, treated=0, control=1)
    assert float(back) == pytest.approx(-float(found), abs=1e-12)
    one = plug_in(plain, table, count="p", empirical=True, given={"z": 1})
    assert float(one) == pytest.approx(right((0, 1), (1,)), abs=1e-12)
    within = bc.identify(model, bc.ATO("x", "y", given={"w": 1}))
    some = plug_in(within, table, count="p", empirical=True, given={"w": 1})
    assert float(some) == pytest.approx(right((1,), (0, 1)), abs=1e-12)
    counts = table.assign(p=np.round(table["p"] * 50_000))
    drawn = plug_in(plain, counts, count="p", seed=1, draws=1000)
    assert abs(drawn.mean() - float(found)) < 5 * drawn.sd()
    wide = pd.concat([table, table.assign(x=table["x"] + 1)])
    with pytest.raises(EstimandError, match="one of two values; 'x' has 3"):
        plug_in(plain, wide, count="p", empirical=True)


def test_effects_along_paths_by_the_mediation_formula():
    """Pearl (2012) again: along m the natural indirect, along the arrow the natural direct one."""
    m, y = {0: 0.4, 1: 0.75}, {(1, 1): 0.8, (1, 0): 0.4, (0, 1): 0.3, (0, 0): 0.2}
    rows = [
        {"t": a, "m": b, "y": c, "p": 0.5 * abs(1 - b - m[a]) * abs(1 - c - y[a, b])}
        for a, b, c in itertools.product((0, 1), repeat=3)
    ]
    direct, through = ["t", "y"], ["t", "m", "y"]
    for paths, value in (([through], 0.035), ([direct], 0.32), ([direct, through], 0.46)):
        with pm.Model(coords={"unit": [0]}) as model:
            t = pm.Bernoulli("t", 0.5, dims="unit")
            mediator = pm.Bernoulli("m", 0.4 + 0.35 * t, dims="unit")
            pm.Bernoulli("y", 0.2 + 0.2 * t + 0.1 * mediator, dims="unit")
        verdict = bc.identify(model, bc.PSE("t", "y", paths=paths))
        found = plug_in(verdict, pd.DataFrame(rows), count="p", empirical=True)
        assert float(found) == pytest.approx(value, abs=1e-12)


@pytest.fixture(scope="module")
def three_doses():
    """P(z, x, m, y) of z -> x -> m -> y with z -> y and x -> y; x has three levels."""
    rows = []
    for z, x, m, y in itertools.product(range(2), range(3), range(2), range(2)):
        chance = {
            "z": 0.5,
            "x": (0.5, 0.3, 0.2)[x if z else 2 - x],
            "m": _bernoulli(m, 0.2 + 0.3 * x),
            "y": _bernoulli(y, _success(z, x, m)),
        }
        rows.append({"z": z, "x": x, "m": m, "y": y, "p": math.prod(chance.values())})
    return pd.DataFrame(rows)


def _bernoulli(value, p):
    return p if value else 1 - p


def _success(z, x, m):
    return 0.1 + 0.2 * z + 0.1 * x + 0.15 * m * (1 + x) / 2


def _world(x, mediator_of=None, z=None):
    """E[y] at x, with the mediator that another level of x gives, by enumeration."""
    chance = 0.2 + 0.3 * (x if mediator_of is None else mediator_of)
    zs = (0, 1) if z is None else (z,)
    return np.mean([sum(_bernoulli(m, chance) * _success(c, x, m) for m in (0, 1)) for c in zs])


def _held(x, m):
    return np.mean([_success(z, x, m) for z in (0, 1)])


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        (bc.ATE("x", "y", treated=2, control=1), _world(2) - _world(1)),
        (bc.ATE("x", "y", treated=2, scale="ratio"), _world(2) / _world(0)),
        (bc.ATE("x", "y", functional=bc.Probability(equals=0)), _world(0) - _world(1)),
        (bc.CATE("x", "y", treated=2, given={"z": 1}), _world(2, z=1) - _world(0, z=1)),
        (bc.CDE("x", "y", treated=2, mediators={"m": 1}), _held(2, 1) - _held(0, 1)),
        (bc.NDE("x", "y", treated=2), _world(2, 0) - _world(0)),
        (bc.NIE("x", "y", treated=2), _world(0, 2) - _world(0)),
        (bc.NIE("x", "y", treated=2, reverse=True), _world(2, 0) - _world(2)),
        (bc.Expected("y", {"x": 2}), _world(2)),
        (bc.ATE(["x", "m"], "y", treated=[2, 1], control=[1, 0]), _held(2, 1) - _held(1, 0)),
    ],
)
def test_the_levels_of_a_question_are_those_it_names(three_doses, question, wanted):
    """A verdict is about variables, its question about values of them: 1 and 0 were taken."""
    verdict = bc.identify("z -> x -> m -> y; z -> y; x -> y", question)
    effect = bc.plug_in(verdict, three_doses, count="p", empirical=True)
    assert float(effect) == pytest.approx(wanted)


def test_what_the_caller_names_comes_first(three_doses):
    verdict = bc.identify("z -> x -> m -> y; z -> y; x -> y", bc.ATE("x", "y", treated=2))
    effect = bc.plug_in(verdict, three_doses, control=1, count="p", empirical=True)
    assert float(effect) == pytest.approx(_world(2) - _world(1))


@pytest.mark.parametrize(
    "more",
    [
        {"treated": bc.Shift(1)},
        {"functional": bc.Probability(above=0)},
        {"given": {"z": (0, 1)}},
        {"population": pd.DataFrame({"z": [0, 1]})},
    ],
)
def test_a_question_about_more_than_values_is_refused(three_doses, more):
    verdict = bc.identify("z -> x -> m -> y; z -> y; x -> y", bc.ATE("x", "y", **more))
    with pytest.raises(EstimandError, match="asks for more than a formula of probabilities says"):
        bc.plug_in(verdict, three_doses, count="p", empirical=True)


def test_a_question_with_cells_and_what_is_no_verdict_are_refused(three_doses):
    verdict = bc.identify("z -> x -> m -> y; z -> y; x -> y", bc.ATE("x", "y", by="z"))
    with pytest.raises(EstimandError, match=r"each value of z.*given=\{'z': value\}"):
        bc.plug_in(verdict, three_doses, count="p", empirical=True)
    for wrong in (bc.ATE("x", "y"), "x -> y"):
        with pytest.raises(EstimandError, match=r"where a verdict is needed.*bc\.identify\(graph"):
            bc.plug_in(wrong, three_doses)
