"""Interventions on models: parsed, checked at the door, applied; plain PyMC comes back."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from models import pair
from scipy import stats

import bayescausal as bc
from bayescausal.model.interventions.parse_do import parse_interventions
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of
from bayescausal.types import InterventionError, PotentialError, UnknownVariableError


@pytest.fixture
def model():
    with pm.Model(coords={"unit": range(4), "k": range(2)}) as built:
        z = pm.Normal("z", 0, 1, dims="unit")
        b = pm.Normal("b")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        n = pm.Poisson("n", 3.0, dims="unit")
        p = pm.Beta("p", 2, 2, dims="unit")
        g = pm.Gamma("g", 2, 1, dims="unit")
        risk = pm.Deterministic("risk", pm.math.sigmoid(z), dims="unit")
        v = pm.MvNormal("v", np.zeros(2), np.eye(2), dims=("unit", "k"))
        pm.Normal("y", b * t + z + n + p + g + risk + v.sum(axis=-1), 1, dims="unit")
    return built


def drawn(model, name, **options):
    return pm.draw(model[name], random_seed=1, **options)


# ------------------------------------------------------------------ applied


def test_the_model_is_not_changed_and_names_and_dims_stay(model):
    before = list(model.named_vars)
    new = bc.intervene(model, {"t": 1})
    assert list(model.named_vars) == before
    assert set(new.named_vars) == set(before)
    assert new.named_vars_to_dims["t"] == ("unit",)
    assert type(new) is pm.Model


def test_set_is_cut_from_its_parents(model):
    new = bc.intervene(model, {"t": 1})
    assert drawn(new, "t").tolist() == [1, 1, 1, 1]
    assert "t" in {d.name for d in new.data_vars}
    assert not list(bc.graph_of(new).predecessors("t"))
    each = bc.intervene(model, {"t": [0, 1, 0, 1]})
    assert drawn(each, "t").tolist() == [0, 1, 0, 1]
    assert drawn(bc.intervene(model, {"t": True}), "t").dtype == np.int64
    assert drawn(bc.intervene(model, {model["n"]: 2.0}), "n").tolist() == [2] * 4


def test_the_density_of_the_rest_is_as_pymc_gives_it(model):
    ours = bc.intervene(model, {"t": 1})
    theirs = pm.do(model, {"t": np.ones(4, dtype=int)})
    point = ours.initial_point()
    assert ours.compile_logp(mode=PY_MODE)(point) == theirs.compile_logp(mode=PY_MODE)(point)


def test_shift_and_scale_act_on_the_natural_value(model):
    new = bc.intervene(model, {"z": bc.Shift(10), "g": bc.Scale(2)})
    assert {"z_natural", "g_natural"} <= set(new.named_vars)
    z, natural, t = pm.draw([new["z"], new["z_natural"], new["t"]], random_seed=1)
    np.testing.assert_allclose(z, natural + 10)
    assert t.mean() == 1  # the children see the shifted value
    g, natural = pm.draw([new["g"], new["g_natural"]], random_seed=1)
    np.testing.assert_allclose(g, 2 * natural)


def test_policy_and_stochastic_and_new_mechanisms(model):
    new = bc.intervene(model, {"t": bc.Policy(lambda z: z > 0)})
    z, t = pm.draw([new["z"], new["t"]], random_seed=1)
    assert (t == (z > 0)).all()
    own = bc.intervene(model, {"g": bc.Policy(lambda g, z: g + z**2)})
    g, natural, z = pm.draw([own["g"], own["g_natural"], own["z"]], random_seed=1)
    np.testing.assert_allclose(g, natural + z**2)
    random = bc.intervene(model, {"t": bc.Stochastic(pm.Bernoulli.dist(0.9))})
    assert "t" in {v.name for v in random.free_RVs}
    many = drawn(random, "t", draws=500)
    # 2,000 draws: sd of the share is 0.0067; five of those
    assert many.mean() == pytest.approx(0.9, abs=0.034)
    law = bc.intervene(model, {"t": pm.Bernoulli.dist(logit_p=5 * model["z"])})
    assert set(bc.graph_of(law).predecessors("t")) == {"z"}
    value = bc.intervene(model, {"g": pm.math.exp(model["z"])})
    g, z = pm.draw([value["g"], value["z"]], random_seed=1)
    np.testing.assert_allclose(g, np.exp(z))


def test_deterministics_and_vectors_and_data_are_targets(model):
    new = bc.intervene(model, {"risk": 0.5, "v": [1.0, 2.0]})
    assert drawn(new, "risk").tolist() == [0.5] * 4
    assert drawn(new, "v").tolist() == [[1.0, 2.0]] * 4
    assert not list(bc.graph_of(new).predecessors("risk"))  # cut from z
    assert set(bc.graph_of(new).successors("z")) == {"t", "y"}
    with pm.Model(coords={"unit": range(3)}) as with_data:
        z = pm.Data("z", np.zeros(3), dims="unit")
        pm.Normal("y", z, 1, dims="unit")
    moved = bc.intervene(with_data, {"z": bc.Shift(2.0)})
    assert drawn(moved, "z").tolist() == [2.0] * 3


def test_the_intervened_law_is_right():
    """y | do(x = 2) ~ Normal(2, 1): a Kolmogorov-Smirnov test at one in a million."""
    with pm.Model(coords={"unit": range(500)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    y = drawn(bc.intervene(model, {"x": 2}), "y")
    assert stats.kstest(y - 2, "norm").pvalue > 1e-6


# ------------------------------------------------------------------ refused

REFUSED = [
    ({"t": 7}, InterventionError, "7"),
    ({"t": 0.5}, InterventionError, "support|whole"),
    ({"n": -1}, InterventionError, "outside the support"),
    ({"n": 2.5}, InterventionError, "whole|integer"),
    ({"p": 1.5}, InterventionError, "outside the support"),
    ({"g": -1}, InterventionError, "outside the support"),
    ({"z": np.nan}, InterventionError, "nan|NaN"),
    ({"z": np.inf}, InterventionError, "inf"),
    ({"z": "high"}, InterventionError, "number"),
    ({"z": [1.0, 2.0]}, InterventionError, "shape"),
    ({"z": np.zeros((4, 2))}, InterventionError, "shape"),
    ({"zz": 1}, UnknownVariableError, "Did you mean 'z'"),
    ({"b": 1}, InterventionError, "parameter"),
    ({3: 1}, InterventionError, "target"),
    ([("z", 1)], InterventionError, "mapping"),
    ({"t": bc.Shift(1)}, InterventionError, "out of its support"),
    ({"n": bc.Shift(0.5)}, InterventionError, "off the integers"),
    ({"p": bc.Scale(2)}, InterventionError, "out of its support"),
    ({"g": bc.Scale(-1)}, InterventionError, "out of its support"),
    ({"z": bc.Shift(np.nan)}, InterventionError, "nan|NaN|finite"),
    ({"z": bc.Shift([1.0, 2.0])}, InterventionError, "shape"),
    ({"t": bc.Stochastic(pm.Normal.dist())}, InterventionError, "continuous"),
    ({"t": bc.Stochastic(0.3)}, InterventionError, "not a distribution"),
    ({"z": bc.Stochastic(pm.Normal.dist(shape=(2, 4, 3)))}, InterventionError, "axes"),
    ({"z": bc.Policy(lambda t: t)}, InterventionError, "descendant"),
    ({"t": bc.Policy(lambda nowhere: nowhere)}, InterventionError, "not a variable"),
    ({"t": bc.Policy(lambda b: b)}, InterventionError, "parameter"),
    ({"n": bc.Policy(lambda p: p), "p": bc.Policy(lambda n: n)}, InterventionError, "circle"),
]


@pytest.mark.parametrize(("do", "error", "says"), REFUSED)
def test_what_cannot_be_is_refused_at_the_door(model, do, error, says):
    with pytest.raises(error, match=says):
        bc.intervene(model, do)


def test_new_mechanisms_are_checked(model):
    with pytest.raises(InterventionError, match="descendant"):
        bc.intervene(model, {"z": model["y"] * 2})
    with pytest.raises(InterventionError, match="axes"):
        bc.intervene(model, {"z": model["v"]})
    with pytest.raises(InterventionError, match=r"whole numbers"):
        bc.intervene(model, {"t": model["z"] * 2})
    with pytest.raises(InterventionError, match="reads 'z'"):
        bc.intervene(model, {"t": bc.Stochastic(pm.Bernoulli.dist(logit_p=model["z"]))})
    with pytest.raises(InterventionError, match="expression of one model"):
        parse_interventions(structure_of(model), {"t": model["z"]})


def test_what_a_policy_is_made_of_is_checked():
    with pytest.raises(InterventionError, match="takes a function"):
        bc.Policy(3)
    with pytest.raises(InterventionError, match="reads cannot be told"):
        bc.Policy(lambda *names: 1)


def test_a_policy_that_fails_says_so(model):
    def broken(z):
        raise KeyError("lookup")

    known = bc.truth(
        model, {"b": 1.0}, draws=1, seed=1, data={
            "z": np.zeros(4), "t": [0, 1, 0, 1], "n": [1, 2, 3, 4], "p": np.full(4, 0.5),
            "g": np.ones(4), "v": np.zeros((4, 2)), "y": np.zeros(4)},
    )  # fmt: skip
    with pytest.raises(InterventionError, match=r"failed: KeyError"):
        bc.estimate(known, bc.Expected("y", {"t": bc.Policy(broken)}))
    with pytest.raises(InterventionError, match=r"nan|NaN"):
        bc.estimate(known, bc.Expected("y", {"g": bc.Policy(lambda z: np.asarray(z) * np.nan)}))


def test_potentials_on_units_are_refused_unless_told_otherwise():
    with pm.Model(coords={"unit": range(2)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        y = pm.Normal("y", x, 1, dims="unit")
        pm.Potential("selected", pm.math.log(pm.math.sigmoid(y)).sum())
    with pytest.raises(PotentialError, match="'selected'"):
        bc.intervene(model, {"x": 1})
    assert "y" in bc.intervene(model, {"x": 1}, ignore_potentials=True).named_vars


# ------------------------------------------------------------------ parsed and written


def test_values_take_the_type_of_their_variable(model):
    parsed = parse_interventions(structure_of(model), {"t": 1.0, "z": 2, "n": True})
    assert parsed["t"].value.dtype == np.int64
    assert parsed["n"].value.dtype == np.int64
    assert parsed["z"].value.dtype == np.float64
    assert list(parsed) == [n for n in structure_of(model).full if n in parsed]
    assert parse_interventions(structure_of(model), None) == {}


@pytest.mark.parametrize(
    ("intervention", "text"),
    [
        (bc.Set(1), "x=1"),
        (bc.Shift(2.5), "x=x+2.5"),
        (bc.Shift(-2), "x=x-2"),
        (bc.Scale(1.1), "x=1.1*x"),
        (bc.Policy(lambda z: z), "x=f(z)"),
        (bc.Policy(abs, reads=["z"]), "x=abs(z)"),
    ],
)
def test_interventions_print_as_mathematics(intervention, text):
    assert intervention.describe("x") == text


# ------------------------------------------------------------------ models PyMC cannot clone


def custom_start():
    with pm.Model(coords={"unit": range(5), "cut": range(2)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b", initval=0.3)
        cuts = pm.Normal("cuts", [-1, 1], 1, dims="cut", initval=np.array([-1.0, 1.0]),
                         transform=pm.distributions.transforms.ordered)  # fmt: skip
        pm.OrderedLogistic("y", eta=b * x, cutpoints=cuts, dims="unit")
    return model


def test_a_model_with_initial_values_of_its_own_is_intervened_on():
    model = custom_start()
    with pytest.raises(NotImplementedError):
        pm.do(model, {"x": np.ones(5)})
    new = bc.intervene(model, {"x": 1.0})
    assert drawn(new, "x").tolist() == [1.0] * 5
    kept = {v.name: s for v, s in new.rvs_to_initial_values.items() if s is not None}
    assert float(np.asarray(kept["b"])) == 0.3
    np.testing.assert_array_equal(np.asarray(kept["cuts"]), [-1.0, 1.0])
    assert model.rvs_to_initial_values[model["b"]] == 0.3


def test_a_model_with_initial_values_of_its_own_goes_all_the_way():
    model = custom_start()
    params = {"b": 1.0, "cuts": [-1.0, 1.0]}
    data = bc.simulate(model, params, units=30, seed=1)
    known = bc.truth(model, params, data)
    share = bc.estimate(known, bc.ATE("x", "y", functional=bc.Probability(equals=2)))

    def top(x):  # P(y = 2) = 1 - sigmoid(cut_1 - b x)
        return 1 - 1 / (1 + np.exp(-(1.0 - x)))

    assert share.mean() == pytest.approx(top(1.0) - top(0.0), abs=1e-9)


def test_nested_models_work():
    with pm.Model(coords={"unit": range(3)}) as outer:
        x = pm.Normal("x", 0, 1, dims="unit")
        with pm.Model(name="inner"):
            b = pm.Normal("b")
            m = pm.Normal("m", b * x, 1, dims="unit")
        pm.Normal("y", 2 * m, 1, dims="unit")
    assert set(bc.graph_of(outer).edges) == {("x", "inner::m"), ("inner::m", "y")}
    new = bc.intervene(outer, {"inner::m": 1.5})
    assert drawn(new, "inner::m").tolist() == [1.5] * 3
    params = {"inner::b": 0.5}
    data = bc.simulate(outer, params, units=3, seed=1)
    known = bc.truth(outer, params, data)
    assert bc.estimate(known, bc.ATE("x", "y")).mean() == pytest.approx(1.0, abs=1e-9)


def test_a_policy_reads_another_target_as_it_is_after_its_own_intervention() -> None:
    chain = pair()
    both = bc.intervene(chain, {"x": 1, "y": bc.Policy(lambda x: 3 * x)})
    assert pm.draw(both["y"]).tolist() == [3.0]
    assert set(both.named_vars) == {"x", "y"}


def test_shifting_a_cause_and_its_effect_shifts_the_natural_value_of_the_effect() -> None:
    with pm.Model(coords={"unit": [0]}) as chain:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x, 1e-9, dims="unit")
    both = bc.intervene(chain, {"x": bc.Shift(1), "y": bc.Shift(2)})
    x_natural, y = pm.draw([both["x_natural"], both["y"]], random_seed=1)
    # y = (x_natural + 1) + noise of sd 1e-9 + 2
    assert abs(float(y[0] - x_natural[0]) - 3.0) < 1e-7
