"""Designs and traps that are seen in the structure of a model, with the right value beside.

An instrument by control function; a threshold as an instrument; a treatment that is a function of a
running variable or of time; parallel trends; a staggered two-way regression; principal strata.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import IdentificationError


def control_function(form: str = "difference") -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        a, g, b, rho = (pm.Normal(n) for n in ("a", "g", "b", "rho"))
        mean = a + g * z
        x = pm.Normal("x", mean, 1.0, dims="unit")
        left = {
            "difference": lambda: x - mean,
            "written again": lambda: x - (z * g + a),
            "Deterministic": lambda: pm.Deterministic("left", x - mean, dims="unit"),
            "scaled": lambda: (x - mean) / 2.0 * 2.0,
        }[form]()
        pm.Normal("y", b * x + rho * left, 1.0, dims="unit")
    return model


TRUTH = {"a": 0.3, "g": 0.8, "b": 1.5, "rho": 1.62}


@pytest.mark.parametrize("form", ["difference", "written again", "Deterministic", "scaled"])
def test_the_noise_of_the_treatment_is_no_effect_of_it(form):
    model = control_function(form)
    known = bc.truth(model, TRUTH, {"z": [0.0, 1.0], "x": [0.1, 2.0], "y": [1.0, 3.0]})
    ate, through_z, each = bc.estimate(
        known,
        [bc.ATE("x", "y"), bc.ATE("z", "y"), bc.Expected("y", {"x": 2.0})],
    )
    assert float(ate) == pytest.approx(1.5, abs=1e-12)
    assert float(through_z) == pytest.approx(1.5 * 0.8, abs=1e-12)
    left = np.array([0.1 - 0.3, 2.0 - 1.1])
    assert float(each) == pytest.approx((1.5 * 2.0 + 1.62 * left).mean(), abs=1e-12)
    assert "reads the noise of x" in " ".join(ate.notes)
    found = bc.identify(model, "x", "y", observed=["x", "y", "z"])
    assert (found.status, found.method) == ("under assumption", "instrument")
    assert [str(i) for i in found.instruments] == ["z"]
    assert ate.identification.method == "instrument"
    assert bc.to_text(model) == bc.to_text("z -> x -> y; x <-> y")


def test_a_mean_that_is_a_cause_of_its_own_stays_one():
    """Within and between: the group's mean has an effect beside the difference from it."""
    with pm.Model(coords={"unit": [0], "group": range(2)}) as model:
        g = pm.Data("g", [0], dims="unit")
        mu, w, b = pm.Normal("mu", dims="group"), pm.Normal("w"), pm.Normal("b")
        x = pm.Normal("x", mu[g], 1, dims="unit")
        pm.Normal("y", w * (x - mu[g]) + b * mu[g], 1, dims="unit")
    known = bc.truth(
        model, {"mu": [0.0, 1.0], "w": 0.5, "b": 2.0}, {"g": [0, 1], "x": [0, 1], "y": [0, 1]}
    )
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(0.5)


# ------------------------------------------------------------------------ a boundary


def test_a_cutoff_and_a_date_are_named():
    rng = np.random.default_rng(2)
    r = rng.normal(size=100)
    month = np.arange(100.0)
    for score, name, words in (
        (r, "margin", "continuity at the cutoff: but for d, y changes continuously with margin"),
        (month, "month", "the trend continues: without d, y would have gone on with month"),
    ):
        d = (score >= np.median(score)) * 1.0
        with pm.Model(coords={"row": range(100)}) as model:
            columns = pm.Data(name, score, dims="row"), pm.Data("d", d, dims="row")
            b = pm.Normal("b", shape=2)
            pm.Normal("y", b[0] * columns[1] + b[1] * columns[0], 1, dims="row")
        known = bc.truth(model, {"b": [1.0, 0.5]}, {name: score, "d": d, "y": r})
        ate = bc.estimate(known, bc.ATE("d", "y"))
        assert words in ate.identification.sentence()
        assert ate.identification.status == "under assumption"
        assert words in " ".join(ate.notes)


RULES = {
    "two labels of a score": (lambda s, a: np.where(s >= 0, "yes", "no"), True),
    "labels of ranges": (lambda s, a: np.array([*"badc"])[np.digitize(s, [-0.7, 0, 0.7])], True),
    "labels of outside and inside": (lambda s, a: np.where(abs(s) > 0.8, "out", "in"), True),
    "both of two thresholds": (lambda s, a: (s >= -0.3) & (a >= -0.2), True),
    "one of two thresholds": (lambda s, a: (s >= 0.4) | (a < -0.5), True),
    "labels of both": (lambda s, a: np.where((s >= -0.3) & (a >= -0.2), "yes", "no"), True),
    "labels by chance": (lambda s, a: np.random.default_rng(4).choice([*"pqr"], len(s)), False),
    "labels that follow a score": (
        lambda s, a: np.where(s + np.random.default_rng(5).normal(size=len(s)) > 0, "b", "a"),
        False,
    ),
    "few units by chance": (lambda s, a: np.arange(len(s)) < 3, False),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_scores_are_no_back_door_whatever_they_are_written_in(rule):
    """Positivity fails for every score, so the number rests on the form of the equation."""
    make, tied = RULES[rule]
    rng = np.random.default_rng(3)
    score, age = rng.normal(size=(2, 120))
    data = pd.DataFrame({"score": score, "age": age, "d": make(score, age)})
    data["y"] = data["score"] + rng.normal(size=120)
    if data["d"].dtype == bool:
        data["d"] = data["d"].astype(int)
    model = bc.model_from_formulas(["y ~ d + score + age"], data=data)
    fit = bc.fit(model, data, draws=20, chains=1, seed=1, progressbar=False)
    low, *_, high = sorted(data["d"].unique())
    found = bc.estimate(fit, bc.ATE("d", "y", treated=high, control=low)).identification
    assert found.status == ("under assumption" if tied else "identified")


def fuzzy(inline: bool) -> pm.Model:
    """A score above 0 makes the treatment likelier; a hidden cause moves treatment and outcome."""
    with pm.Model(coords={"unit": [0]}) as model:
        r = pm.Normal("r", dims="unit")
        u = pm.Normal("u", dims="unit")
        above = pt.ge(r, 0) * 1.0
        if not inline:
            above = pm.Deterministic("eligible", above, dims="unit")
        p, b = pm.Normal("p", shape=2), pm.Normal("b")
        d = pm.Bernoulli("d", logit_p=p[0] + p[1] * above + u, dims="unit")
        pm.Normal("y", b * d + r + u, 1, dims="unit")
    return model


@pytest.mark.parametrize("inline", [True, False])
def test_a_threshold_is_an_instrument(inline):
    found = bc.identify(fuzzy(inline), "d", "y", observed=["r", "d", "y"])
    assert (found.status, found.method) == ("under assumption", "threshold as an instrument")
    assert "the threshold of r moves d" in found.sentence()
    assert "compliers at the cutoff" in found.sentence()
    known = bc.truth(fuzzy(inline), {"p": [0.0, 1.0], "b": 2.0}, {"r": [0.1], "d": [1], "y": [1.0]})
    assert bc.estimate(known, bc.ATE("d", "y")).identification.method == found.method


@pytest.mark.parametrize("level", [0.0, 1e6])
def test_a_threshold_that_the_outcome_reads_too_is_no_instrument(level):
    """However large the outcome is beside its jump."""
    with pm.Model(coords={"unit": [0]}) as model:
        r, u = pm.Normal("r", dims="unit"), pm.Normal("u", dims="unit")
        above = pt.ge(r, 0) * 1.0
        d = pm.Bernoulli("d", logit_p=above + u, dims="unit")
        pm.Normal("y", level + d + above + u, 1, dims="unit")
    assert bc.identify(model, "d", "y", observed=["r", "d", "y"]).status == "not identified"


# ------------------------------------------------------------------------ two-way effects


def two_way(first: dict[int, int], effects: str = "one") -> pm.Model:
    unit, time = np.repeat(list(first), 5), np.tile(np.arange(5), len(first))
    starts = np.array([first[u] for u in unit])
    d = (time >= starts) * 1.0
    cohort = np.searchsorted(np.unique(starts), starts)
    coords = {"row": range(len(unit)), "id": list(first), "year": range(5), "cohort": range(3)}
    with pm.Model(coords=coords) as model:
        i, t = pm.Data("unit", unit, dims="row"), pm.Data("time", time, dims="row")
        x, g = pm.Data("d", d, dims="row"), pm.Data("g", cohort, dims="row")
        a, c = pm.Normal("a", dims="id"), pm.Normal("c", dims="year")
        b = pm.Normal("b") if effects == "one" else pm.Normal("b", dims=("cohort", "year"))[g, t]
        pm.Normal("y", a[i] + c[t] + b * x, 1, dims="row", observed=np.zeros(len(unit)))
    return model


STAGGERED = {0: 2, 1: 3, 2: 9, 3: 9}


def test_additive_effects_of_unit_and_time_assume_parallel_trends():
    model = two_way({0: 2, 1: 2, 2: 9, 3: 9})
    found = bc.identify(model, "d", "y")
    assert (found.status, found.method) == ("under assumption", "parallel trends")
    assert "but for d, y would have changed alike over time in all of unit" in found.sentence()
    assert not found.warnings
    assert bc.identify(model, bc.ATT("d", "y")).method == "parallel trends"
    with pytest.raises(IdentificationError, match="parallel trends"):
        bc.estimate(bc.prior(model, draws=5, seed=1), bc.ATT("d", "y"), strict=True)


def test_an_empty_cell_of_the_treatment_hides_no_trends():
    unit, time = np.repeat(range(4), 5), np.tile(range(5), 4)
    treatment = ((unit < 2) & (time >= 2)) * 1.0
    for x in (treatment, np.where(np.arange(20) == 7, np.nan, treatment)):
        with pm.Model(coords={"row": range(20), "id": range(4), "year": range(5)}) as model:
            i, t = pm.Data("unit", unit, dims="row"), pm.Data("time", time, dims="row")
            a, c = pm.Normal("a", dims="id"), pm.Normal("c", dims="year")
            d = pm.Normal("d", a[i] + c[t], 1, dims="row")
            pm.Normal("y", a[i] + c[t] + pm.Normal("b") * d, 1, dims="row")
        held = {"unit": unit, "time": time, "d": x, "y": np.zeros(20)}
        known = bc.truth(model, {"a": np.zeros(4), "c": np.zeros(5), "b": 1.0}, held, seed=1)
        assert bc.ATE("d", "y").identify(known).method == "parallel trends"


def test_one_effect_of_a_staggered_treatment_is_said():
    one = bc.identify(two_way(STAGGERED), "d", "y")
    assert "d begins at 2 different values of time, and its effect on y is one number" in str(one)
    each = bc.identify(two_way(STAGGERED, "each"), "d", "y")
    assert each.method == "parallel trends"
    assert not each.warnings


def test_two_factors_that_the_treatment_does_not_go_with_are_adjusted_for():
    rng = np.random.default_rng(1)
    n = 200
    with pm.Model(coords={"row": range(n), "a": range(3), "b": range(4)}) as model:
        i, j = (pm.Data(k, rng.integers(0, m, n), dims="row") for k, m in (("i", 3), ("j", 4)))
        d = pm.Data("d", rng.integers(0, 2, n) * 1.0, dims="row")
        u, v, b = pm.Normal("u", dims="a"), pm.Normal("v", dims="b"), pm.Normal("effect")
        pm.Normal("y", u[i] + v[j] + b * d, 1, dims="row", observed=np.zeros(n))
    assert bc.identify(model, "d", "y")


def strata(*, direct: bool = False, defiers: bool = False, hidden: bool = False) -> pm.Model:
    takes = np.array([[0, 0], [0, 1], [1, 1], [1, 0]][: 3 + defiers], dtype=float)
    with pm.Model(coords={"unit": [0]}) as model:
        if hidden:
            kind = pm.Categorical("kind", np.full(len(takes), 1 / len(takes)), dims="unit")
            z = pm.Bernoulli("z", pt.eq(kind, 1) * 0.5 + 0.2, dims="unit")
        else:
            z = pm.Bernoulli("z", 0.5, dims="unit")
            kind = pm.Categorical("kind", np.full(len(takes), 1 / len(takes)), dims="unit")
        d = pm.Bernoulli("d", pt.constant(takes)[kind, z], dims="unit")
        p = pm.Beta("p", 1, 1, shape=(len(takes), 2))
        chance = p[kind, d]
        pm.Bernoulli("y", chance * (1 - 0.5 * z) if direct else chance, dims="unit")
    return model


def within(model, kind):
    shape = model["p"].eval().shape
    data = {"z": [0, 1, 1] * 20, "d": [0, 1, 0] * 20, "y": [0, 1, 1] * 20}
    known = bc.truth(model, {"p": np.full(shape, 0.5)}, data)
    return bc.estimate(known, bc.CATE("d", "y", given={"kind": kind})).identification


def test_principal_strata_are_seen():
    found = within(strata(), 1)
    assert (found.status, found.method) == ("under assumption", "principal strata")
    said = " ".join(found.assumptions)
    assert "exclusion: z has no effect on y but through d" in said
    assert "monotonicity: z makes nobody take less of d" in said
    assert not found
    for other in (0, 2):
        found = within(strata(), other)
        assert found.status == "not identified"
        assert "one value of d whatever z is" in found.sentence()


@pytest.mark.parametrize("law", ["categorical", "data"])
@pytest.mark.parametrize(
    "takes",
    [
        [[0, 0, 0], [0, 0, 1], [1, 1, 1]],  # the last value alone moves anybody
        [[0, 0, 1], [0, 1, 1], [1, 1, 1]],  # each value moves a kind of its own
        [[0, 0, 0], [0, 0, 1], [0, 0, 1]],  # two kinds are moved alike
        [[0, 1, 0], [0, 1, 1], [0, 0, 0]],  # the last value undoes it for one kind
    ],
)
def test_an_encouragement_of_three_values_is_read_at_all_of_them(takes, law):
    takes = np.array(takes, dtype=float)
    n, rng = 60, np.random.default_rng(1)
    with pm.Model(coords={"unit": range(n)}) as model:
        values = np.arange(n) % 3
        chances = np.full(3, 1 / 3)
        if law == "data":
            z = pm.Data("z", values, dims="unit")
        else:
            z = pm.Categorical("z", chances, dims="unit")
        kind = pm.Categorical("kind", chances, dims="unit")
        d = pm.Bernoulli("d", pt.constant(takes)[kind, z], dims="unit")
        pm.Bernoulli("y", pm.Beta("p", 1, 1, shape=(3, 2))[kind, d], dims="unit")
    p = rng.uniform(size=(3, 2))
    taken = takes[rng.integers(0, 3, n), values].astype(int)
    seen = {"d": taken, "y": rng.integers(0, 2, n), "z": values}
    known = bc.truth(model, {"p": p}, seen)
    # what is seen at two values of z, and its quotient: the effect on whom they tell apart
    means = np.array([p[k, takes[k].astype(int)] for k in range(3)]).mean(axis=0)
    shares = takes.mean(axis=0)
    for k in range(3):
        effect = bc.estimate(known, bc.CATE("d", "y", given={"kind": k}))
        quotients = [
            (means[b] - means[a]) / (shares[b] - shares[a])
            for a in range(3)
            for b in range(a)
            if (takes[:, a] != takes[:, b]).tolist() == [j == k for j in range(3)]
        ]
        if quotients:
            assert effect.identification.method == "principal strata"
            assert quotients == pytest.approx([p[k, 1] - p[k, 0]] * len(quotients))
            assert "over the compliers (whose d changes with z between z = " in effect.sentence()
            assert "kind=" not in effect.sentence()
        else:
            assert effect.identification.status == "not identified"
            constant = bool(np.all(takes[k] == takes[k, 0]))
            assert ("one value of d" in effect.identification.sentence()) == constant


def test_the_compliers_are_called_so():
    model = strata()
    data = {"z": [0, 1, 1] * 20, "d": [0, 1, 0] * 20, "y": [0, 1, 1] * 20}
    effect = bc.estimate(
        bc.truth(model, {"p": np.array([[0.1, 0.2], [0.3, 0.7], [0.5, 0.6]])}, data),
        bc.CATE("d", "y", given={"kind": 1}),
    )
    assert float(effect.mean()) == pytest.approx(0.7 - 0.3)
    assert "over the compliers (whose d changes with z) among the 60 units" in effect.sentence()
    assert "the compliers, whose d changes with z, are kind = 1" in effect.identification.sentence()


@pytest.mark.parametrize("broken", ["direct", "defiers", "hidden"])
def test_principal_strata_need_all_that_they_assume(broken):
    assert within(strata(**{broken: True}), 1).status == "not identified"


@pytest.mark.parametrize(
    ("moved", "measured", "given"),
    [
        ("z y", "w", " given w"),  # within each w the encouragement is a coin
        ("z kind", "w", " given w"),
        ("z y", "", None),  # E[y | z] differs although nobody is treated: w is in it
        ("z kind", "", None),
        ("kind y", "", ""),  # what does not move the encouragement does not matter
        ("z", "", ""),
        ("m", "", ""),  # the treatment acts through m too: that is its own effect
        ("z -> m", "m", " given m"),
        ("z -> m", "", None),  # a second way from the encouragement to the outcome
    ],
)
def test_an_encouragement_bears_on_the_outcome_through_the_treatment_alone(moved, measured, given):
    with pm.Model(coords={"unit": [0]}) as model:
        w, none = pm.Normal("w", dims="unit"), pt.constant(0.0)
        z = pm.Bernoulli("z", logit_p=w if moved in ("z", "z y", "z kind") else none, dims="unit")
        tilt = np.array([-1.0, 0.0, 1.0])
        of_w = {"logit_p": w[:, None] * tilt} if "kind" in moved else {"p": np.full(3, 1 / 3)}
        kind = pm.Categorical("kind", **of_w, dims="unit")
        takes = pt.constant(np.array([[0, 0], [0, 1], [1, 1]], dtype=float))
        d = pm.Bernoulli("d", takes[kind, z], dims="unit")
        mean = pm.Normal("p", shape=(3, 2))[kind, d] + (w if " y" in moved else 0)
        if "m" in moved:
            mean = mean + pm.Normal("m", z if "->" in moved else d, dims="unit")
        pm.Normal("y", mean, dims="unit")
    observed = ["z", "d", "y", *measured.split()]
    found = bc.CATE("d", "y", given={"kind": 1}).identify(model, observed=observed)
    if given is None:
        assert found.status == "not identified"
    else:
        assert found.method == "principal strata"
        assert f"as good as randomised{given}: " in found.assumptions[0]


def laid_out(start, *, times=True):
    """Units by times, their effects along a dim each."""
    with pm.Model(coords={"unit": range(6), "time": range(5)}) as model:
        treated = (np.arange(5)[None, :] >= np.asarray(start)[:, None]).astype(int)
        d = pm.Data("d", treated, dims=("unit", "time"))
        a = pm.Normal("a", 0, 1, dims="unit")
        c = pm.Normal("c", 0, 1, dims="time") if times else np.zeros(5)
        mu = a[:, None] + c[None, :] + pm.Normal("b") * d
        pm.Normal("y", mu, 1, dims=("unit", "time"))
    return model


def test_parallel_trends_are_seen_along_two_dims():
    options = {"unit_dims": ("unit", "time")}
    found = bc.identify(laid_out([2, 2, 2, 9, 9, 9]), "d", "y", **options)
    assert (found.status, found.method) == ("under assumption", "parallel trends")
    assert "over time in all of unit" in found.assumptions[0]
    assert not found.warnings
    staggered = bc.identify(laid_out([2, 2, 3, 3, 9, 9]), "d", "y", **options)
    assert "weights that may be negative" in staggered.warnings[-1]
    alone = bc.identify(laid_out([2, 2, 2, 9, 9, 9], times=False), "d", "y", **options)
    assert alone.method != "parallel trends"
    everyone = bc.identify(laid_out([2] * 6), "d", "y", **options)
    assert everyone.method != "parallel trends"
