"""The effect on the overlap population, against enumeration by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.effects.words.as_code import as_code
from bayescausal.effects.words.sentence import asked_in_words
from bayescausal.types import EstimandError

TRUE = {"a": 0.3, "b": 1.0}


@pytest.fixture(scope="module")
def confounded():
    """z -> x -> y <- z; the effect, b + z / 2, is larger where x is likely."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a, b = pm.Normal("a", 0, 1), pm.Normal("b", 1, 1)
        x = pm.Bernoulli("x", logit_p=a + 1.5 * z, dims="unit")
        pm.Normal("y", b * x + 0.5 * x * z + z, 1, dims="unit")
    data = bc.simulate(model, TRUE, units=400, seed=1)
    return model, data, bc.fit(model, data, seed=1, draws=100, chains=2, progressbar=False)


def by_hand(fit, z, power=1.0):
    """Return the weighted average of the effect in each draw, (chain, draw), and the weights."""
    a, b = (fit.posterior[n].values[..., None] for n in ("a", "b"))
    e = 1 / (1 + np.exp(-(a + 1.5 * z)))
    w = (e * (1 - e)) ** power
    return (w * (b + 0.5 * z)).sum(-1) / w.sum(-1), w


def test_each_draw_is_the_weighted_average_of_unit_effects(confounded):
    _, data, fit = confounded
    effect = bc.estimate(fit, bc.ATO("x", "y"))
    assert effect.mc_error == 0
    found, _ = by_hand(fit, data["z"].to_numpy())
    np.testing.assert_allclose(effect.draws.values, found, rtol=1e-12)
    plain, _ = by_hand(fit, data["z"].to_numpy(), power=0.0)
    np.testing.assert_allclose(bc.estimate(fit, bc.ATE("x", "y")).draws.values, plain, rtol=1e-12)
    assert np.abs(found - plain).mean() > 0.01  # another population, another number


def test_subgroups_and_other_tables_weigh_within_themselves(confounded):
    _, data, fit = confounded
    z = data["z"].to_numpy()
    above = bc.estimate(fit, bc.ATO("x", "y", given={"z": (0, None)}))
    np.testing.assert_allclose(above.draws.values, by_hand(fit, z[z >= 0])[0], rtol=1e-12)
    few = bc.estimate(fit, bc.ATO("x", "y", population=pd.DataFrame({"z": z[:50]})))
    np.testing.assert_allclose(few.draws.values, by_hand(fit, z[:50])[0], rtol=1e-12)
    own = bc.estimate(fit, bc.ATO("x", "y", population="finite"))
    np.testing.assert_allclose(own.draws.values, by_hand(fit, z)[0], rtol=1e-9)


def test_which_level_is_called_treated_changes_the_sign_alone(confounded):
    fit = confounded[2]
    forth, back = (
        bc.estimate(fit, bc.ATO("x", "y", treated=t, control=1 - t)).draws.values for t in (1, 0)
    )
    np.testing.assert_allclose(forth, -back, rtol=1e-12)


def test_fresh_units_have_the_overlap_of_the_model(confounded):
    """E[w (b + z / 2)] / E[w] over z ~ N(0, 1), by quadrature."""
    model = confounded[0]
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    e = 1 / (1 + np.exp(-(0.3 + 1.5 * z)))
    exact = np.average(1 + 0.5 * z, weights=weight * e * (1 - e))
    effect = bc.estimate(bc.truth(model, TRUE, draws=200), bc.ATO("x", "y", population="model"))
    error = np.hypot(effect.sd() / np.sqrt(200), 1e-3)
    assert abs(effect.mean() - exact) < 4.5 * error


def binary_model():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.4, dims="unit")
        x = pm.Bernoulli("x", 0.1 + 0.6 * z, dims="unit")
        y = pm.Bernoulli("y", 0.2 + 0.3 * x + 0.1 * z + 0.2 * x * z, dims="unit")
    return model, (z, x, y)


@pytest.mark.parametrize("scale", ["difference", "ratio", "odds ratio"])
def test_a_discrete_world_enumerated(scale):
    """Counts of z, weights 0.09 and 0.21, chances of y by hand; thousands of rows are collapsed."""
    model, _ = binary_model()
    data = bc.simulate(model, {}, units=3000, seed=2)
    n = np.array([(data["z"] == v).sum() for v in (0, 1)])
    w = n * np.array([0.1 * 0.9, 0.7 * 0.3])
    p1, p0 = np.average([0.5, 0.8], weights=w), np.average([0.2, 0.3], weights=w)
    exact = {
        "difference": p1 - p0,
        "ratio": p1 / p0,
        "odds ratio": p1 / (1 - p1) / (p0 / (1 - p0)),
    }[scale]
    known = bc.truth(model, {}, data)
    effect = bc.estimate(known, bc.ATO("x", "y", scale=scale))
    assert effect.mean() == pytest.approx(exact, rel=1e-12)
    split = bc.estimate(known, bc.ATO("x", "y", by="z"))
    np.testing.assert_allclose(split.draws.values.ravel(), [0.3, 0.5], rtol=1e-12)


def test_by_lot_it_is_the_average_effect():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x * (1 + z), 1, dims="unit")
    known = bc.truth(model, {}, bc.simulate(model, {}, units=100, seed=1))
    ato, ate = bc.estimate(known, [bc.ATO("x", "y"), bc.ATE("x", "y")])
    assert ato.mean() == pytest.approx(ate.mean(), rel=1e-12)


def test_the_bootstrap_weighs_beside_it(confounded):
    fit = confounded[2]
    wide = bc.estimate(fit, bc.ATO("x", "y", population="superpopulation"))
    narrow = bc.estimate(fit, bc.ATO("x", "y"))
    assert wide.sd() > narrow.sd()
    assert abs(wide.mean() - narrow.mean()) < 4.5 * wide.sd() / np.sqrt(wide.draws.size)


def test_what_it_asks_is_written_and_said(confounded):
    fit = confounded[2]
    asked = bc.ATO("x", "y", given={"z": 1})
    assert (
        asked.describe()
        == "E[w (y(1) - y(0)) | z=1] / E[w | z=1], w = e(1 - e), e = P(x=1 | pa(x))"
    )
    ratio = bc.ATO("x", "y", scale="ratio").describe()
    assert ratio.startswith("(E[w y(1)] / E[w]) / (E[w y(0)] / E[w]), w = e(1 - e)")
    latex = bc.ATO("x", "y").latex()
    assert latex.startswith(r"\frac{\mathbb{E}\left[w (\mathrm{y}(1) - \mathrm{y}(0))\right]}")
    assert latex.endswith(r"e = \mathbb{P}\left(\mathrm{x}=1 \mid \mathrm{pa}(\mathrm{x})\right)")
    effect = bc.estimate(fit, bc.ATO("x", "y"))
    said = effect.sentence()
    assert "Raising x from 0 to 1 raises y by " in said
    assert " on average, weighted by overlap, over the 400 units (94% HDI " in said
    assert asked_in_words(effect) == (
        "what does raising x from 0 to 1 do to y on average (the effect on those whose treatment "
        "was most open: overlap weights)"
    )
    assert effect.label == "ATO x -> y"
    made = eval(as_code(asked), vars(bc) | {"ATO": bc.ATO})
    assert made == asked
    assert not any("Extrapolates" in note for note in effect.notes)


@pytest.mark.parametrize(
    ("graph", "observed", "status", "words"),
    [
        ("z -> x -> y; z -> y", None, "identified", "given z"),
        ("x -> y", None, "identified", "without adjustment"),
        ("z -> x -> y; z -> y", ["x", "y"], "not identified", "z is not measured"),
        ("z -> x -> y; z -> y; x <-> y", None, "not identified", "share unmeasured causes"),
        ("z -> x -> y; z -> y; u -> x; u -> y", ["x", "y", "z"], "not identified", "u is not"),
    ],
)
def test_it_is_identified_given_all_causes_of_the_treatment(graph, observed, status, words):
    found = bc.ATO("x", "y").identify(graph, observed=observed)
    assert (found.kind, found.status) == ("ATO", status)
    assert words in str(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": {"x": 1}}, "the subgroup is formed by it"),
        ({"treated": bc.Shift(1)}, "ATO compares two levels"),
        ({"control": None}, "found the natural course"),
        ({"functional": "median"}, "ATO has no functional"),
        ({"treated": 0}, "the same world"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_asked(options, message):
    with pytest.raises(EstimandError, match=message):
        bc.ATO("x", "y", **options)
    with pytest.raises(EstimandError, match="ATO is about one treatment"):
        bc.ATO(["x", "w"], "y")


def test_what_has_no_chance_of_two_values_is_refused(confounded):
    fit = confounded[2]
    with pytest.raises(EstimandError, match="'z' has other values"):
        bc.estimate(fit, bc.ATO("z", "y"))
    with pytest.raises(EstimandError, match="which the treatment changes"):
        bc.estimate(fit, bc.ATO("x", "y", given={"y": (0, None)}))
    with pm.Model(coords={"unit": np.arange(4)}) as model:
        x = pm.Data("x", np.array([0, 1, 0, 1]), dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    known = bc.truth(model, {}, pd.DataFrame({"y": np.zeros(4)}))
    with pytest.raises(EstimandError, match="'x' has no distribution in the model"):
        bc.estimate(known, bc.ATO("x", "y"))


def test_rows_that_stay_in_a_file_are_added_piece_by_piece(tmp_path):
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.4, dims="unit")
        w = pm.Normal("w", 0, 1, dims="unit")
        a, b = pm.Normal("a", 0, 1), pm.Normal("b", 0, 1)
        x = pm.Bernoulli("x", logit_p=a * (1 - z) + b * z, dims="unit")
        pm.Normal("y", b * x + 0.5 * x * w + z, 1, dims="unit")
    data = bc.simulate(model, {"a": -0.5, "b": 1.0}, units=2000, seed=1)
    data.to_parquet(tmp_path / "rows.parquet")
    fit = bc.truth(model, {"a": -0.5, "b": 1.0}, tmp_path / "rows.parquet")
    e = 1 / (1 + np.exp(-np.where(data["z"] == 1, 1.0, -0.5)))
    exact = np.average(1 + 0.5 * data["w"], weights=e * (1 - e))
    assert bc.estimate(fit, bc.ATO("x", "y")).mean() == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("subgroup", [False, True])
def test_finite_causes_of_the_treatment_are_not_averaged_before_units_are_weighted(subgroup):
    """Of fresh units, finite variables are summed out of averages; weights read them.

    effect(z) = .2 + .1 z, e = .15 or .7: sum_z P(z) e (1 - e) effect(z) / sum_z P(z) e (1 - e).
    """
    with pm.Model(coords={"unit": [0]}) as model:
        s = pm.Normal("s", 0, 1)
        w = pm.Bernoulli("w", 0.3, dims="unit")
        z = pm.Bernoulli("z", 0.4 + 0.1 * w, dims="unit")
        p = pm.Deterministic("p", 0.15 + 0.55 * z + s, dims="unit")
        x = pm.Bernoulli("x", p, dims="unit")
        pm.Bernoulli("y", 0.2 + 0.2 * x + 0.1 * z * x + 0.1 * z, dims="unit")
    share = 0.5 if subgroup else 0.3 * 0.5 + 0.7 * 0.4
    weight = np.array([(1 - share) * 0.15 * 0.85, share * 0.7 * 0.3])
    right = (weight @ [0.2, 0.3]) / weight.sum()
    unweighted = 0.2 + 0.1 * share
    question = bc.ATO("x", "y", given={"w": 1} if subgroup else None)
    known = bc.truth(model, {"s": 0.0}, units=50_000, seed=1)
    found = bc.estimate(known, question)
    assert float(found) == pytest.approx(right, abs=0.003)  # sd of a share in 50,000 units / 10
    assert abs(right - unweighted) > 0.01


def schools(two_steps):
    """Return a truth of 30 pupils in 6 schools (in 2 districts), the treatment of schools."""
    school, z = np.arange(30) % 6, np.linspace(-1, 1, 6)
    with pm.Model(coords={"district": [0, 1], "school": range(6), "pupil": range(30)}) as model:
        index = pm.Data("index", school, dims="pupil")
        part = pm.Data("part", np.arange(6) % 2, dims="school")
        cause = pm.Normal("z", 0, 1, dims="school")
        b = pm.Normal("b")
        if two_steps:
            t = pm.Bernoulli("t", 0.5, dims="district")[part]
        else:
            t = pm.Bernoulli("t", logit_p=2 * cause, dims="school")
        pm.Normal("y", (b + cause[index]) * t[index], 1, dims="pupil")
    columns = {"index": ("pupil", school), "part": ("school", np.arange(6) % 2)}
    columns |= {"z": ("school", z), "y": ("pupil", np.zeros(30))}
    columns["t"] = ("district", [0, 1]) if two_steps else ("school", [0, 1, 0, 1, 0, 1])
    return bc.truth(model, {"b": 1.0}, xr.Dataset(columns)), z[school]


def test_a_treatment_of_groups_weighs_their_members():
    known, z = schools(two_steps=False)
    e = 1 / (1 + np.exp(-2 * z))
    w = e * (1 - e)
    found = bc.estimate(known, bc.ATO("t", "y"))
    assert float(found) == pytest.approx((w * (1 + z)).sum() / w.sum(), rel=1e-9)


def test_groups_of_groups_are_not_taken_for_groups():
    """The index to schools does not say the district: x[part][index]."""
    known, z = schools(two_steps=True)
    assert float(bc.estimate(known, bc.ATE("t", "y"))) == pytest.approx(1 + z.mean(), rel=1e-9)
    for question in (bc.ATT, bc.ATO):
        with pytest.raises(EstimandError, match="which pupil belongs cannot be told"):
            bc.estimate(known, question("t", "y"))
