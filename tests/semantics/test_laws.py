"""Laws that hold whatever the model: most of them draw by draw, to rounding."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scm_oracles import LinearGaussian, conjugate_draws, within

import bayescausal as bc
from bayescausal.evaluation import evaluate as evaluation
from bayescausal.model.structure.interpreted import PY_MODE


def web(order=("w", "z", "t", "m", "y"), names=None):
    """A nonlinear model with a mediator; declared in any order that the arrows allow."""
    called = {n: n for n in "wztmy"} | (names or {})
    v = {}

    def declare(name):
        if name == "w":
            v["w"] = pm.Normal(called["w"], 0, 1, dims="unit")
        elif name == "z":
            v["z"] = pm.Bernoulli(called["z"], 0.4, dims="unit")
        elif name == "t":
            v["t"] = pm.Bernoulli(called["t"], logit_p=v["z"] - 0.3 + v["w"], dims="unit")
        elif name == "m":
            v["m"] = pm.Normal(called["m"], v["t"] * (1 + v["z"]), 0.7, dims="unit")
        else:
            v["y"] = pm.Bernoulli(called["y"], logit_p=v["b"] * v["m"] + v["t"] + v["w"],
                                  dims="unit")  # fmt: skip

    with pm.Model(coords={"unit": [0]}) as model:
        v["b"] = pm.Normal("b")
        for name in order:
            declare(name)
    return model


@pytest.fixture(scope="module")
def web_fit():
    data = bc.simulate(web(), {"b": 1.0}, units=60, seed=1)
    draws = np.random.default_rng(1).normal(1, 0.3, size=(2, 6))
    return bc.Fit(web(), {"b": draws}, data), data, draws


def values(effect):
    return effect.draws.values


# ------------------------------------------------------------------ laws of do


def test_effectiveness(web_fit):
    fit, _, _ = web_fit
    assert values(bc.estimate(fit, bc.Expected("t", {"t": 1}))) == pytest.approx(1.0, abs=0)
    per_unit = np.arange(60) % 2
    world = bc.worlds(fit, {"w": {"t": per_unit}}, kind="draw", variables=["t", "m"])
    assert (world["t"].values == per_unit).all()


def test_do_is_idempotent_commutes_and_the_last_write_wins():
    model = web()
    once = bc.intervene(model, {"t": 1})
    twice = bc.intervene(once, {"t": 1})
    apart = bc.intervene(bc.intervene(model, {"t": 1}), {"z": 0})
    swapped = bc.intervene(bc.intervene(model, {"z": 0}), {"t": 1})
    together = bc.intervene(model, {"z": 0, "t": 1})
    last = bc.intervene(bc.intervene(model, {"t": 0}), {"t": 1})

    def logp(m):
        point = {"b": 0.7, "w": np.array([0.2]), "m": np.array([1.1]), "y": np.array([1])}
        free = {v.name: point.get(v.name, np.array([0])) for v in m.free_RVs}
        return float(m.compile_logp(mode=PY_MODE)(free))

    assert logp(once) == logp(twice) == logp(last)
    assert logp(apart) == logp(swapped) == logp(together)
    assert logp(once) != logp(together)
    for m in (once, twice, last):
        assert set(bc.graph_of(m).predecessors("y")) == {"t", "m", "w"}
        assert not list(bc.graph_of(m).predecessors("t"))
    for m in (apart, swapped, together):
        assert m["t"].eval() == [1]
        assert m["z"].eval() == [0]


def test_do_and_observe_commute(web_fit):
    """The same conditioned density, whether the intervention or the data come first."""
    _, data, _ = web_fit
    n = len(data)
    with pm.Model(coords={"unit": range(n)}) as model:
        w = pm.Normal("w", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=w, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * t + w, 1, dims="unit")
    y = data.m.to_numpy()
    first = pm.observe(bc.intervene(model, {"t": 1}), {"y": y})
    second = bc.intervene(pm.observe(model, {"y": y}), {"t": 1})
    point = {"b": 0.4, "w": np.linspace(-1, 1, n)}
    assert first.compile_logp(mode=PY_MODE)(point) == second.compile_logp(mode=PY_MODE)(point)
    mu = 0.4 + point["w"]
    by_hand = (
        -0.5 * (0.4**2) - 0.5 * (point["w"] ** 2).sum() - 0.5 * ((y - mu) ** 2).sum()
        - (2 * n + 1) * 0.5 * np.log(2 * np.pi)
    )  # fmt: skip
    assert first.compile_logp(mode=PY_MODE)(point) == pytest.approx(by_hand, rel=1e-12)
    assert dict(first.named_vars_to_dims) == dict(second.named_vars_to_dims)


def test_do_on_a_non_ancestor_leaves_the_outcome_alone(web_fit):
    fit, data, _ = web_fit
    effect = bc.estimate(fit, bc.ATE("y", "m"))
    np.testing.assert_array_equal(values(effect), 0.0)
    natural, acted = bc.estimate(fit, [bc.Expected("m"), bc.Expected("m", {"y": 1})])
    np.testing.assert_allclose(values(natural), data.m.mean(), rtol=1e-14)
    np.testing.assert_allclose(values(acted), data.m.mean(), rtol=1e-14)


def test_do_of_the_own_level_is_the_natural_course(web_fit):
    """Setting every unit to the treatment it had changes nothing: same worlds, same noise."""
    fit, data, _ = web_fit
    effect = bc.estimate(fit, bc.Contrast("y", {"t": data.t.to_numpy()}, None))
    np.testing.assert_allclose(values(effect), 0.0, atol=1e-13)
    still = bc.estimate(fit, bc.Contrast("y", {"t": data.t.to_numpy()}, {"t": bc.Shift(0)}))
    np.testing.assert_allclose(values(still), 0.0, atol=1e-13)


# ------------------------------------------------------------------ identities


def test_total_is_direct_minus_reversed_indirect(web_fit):
    fit, _, _ = web_fit
    te, ate, nde, nie, back = bc.estimate(
        fit,
        [bc.TE("t", "y"), bc.ATE("t", "y"), bc.NDE("t", "y"), bc.NIE("t", "y"),
         bc.NIE("t", "y", reverse=True)],
    )  # fmt: skip
    np.testing.assert_allclose(values(te), values(nde) - values(back), atol=1e-12)
    assert np.abs(values(te) - values(nde) - values(nie)).max() > 1e-3  # they do interact
    np.testing.assert_array_equal(values(te), values(ate))
    # asked one at a time they may take another number of inner draws: within their errors
    alone = bc.estimate(fit, bc.TE("t", "y"))
    assert np.abs(values(alone) - values(te)).max() < 6 * alone.mc_error  # 12 draws


def test_average_is_the_mixture_of_treated_and_untreated(web_fit):
    fit, data, _ = web_fit
    share = data.t.mean()
    ate, att, atu = bc.estimate(fit, [bc.ATE("t", "y"), bc.ATT("t", "y"), bc.ATU("t", "y")])
    mixture = share * values(att) + (1 - share) * values(atu)
    np.testing.assert_allclose(mixture, values(ate), atol=1e-12)
    assert np.abs(values(att) - values(atu)).max() > 1e-3


def test_the_contrast_is_the_difference_of_its_worlds(web_fit):
    fit, _, _ = web_fit
    one, zero, ate, reverse, cde = bc.estimate(
        fit,
        [bc.Expected("y", {"t": 1}), bc.Expected("y", {"t": 0}), bc.ATE("t", "y"),
         bc.ATE("t", "y", treated=0, control=1), bc.CDE("t", "y", mediators={"m": 0.5})],
    )  # fmt: skip
    np.testing.assert_allclose(values(one) - values(zero), values(ate), atol=1e-12)
    written = bc.estimate(fit, bc.Contrast("y", {"t": 1, "m": 0.5}, {"t": 0, "m": 0.5}))
    np.testing.assert_array_equal(values(cde), values(written))
    np.testing.assert_allclose(values(reverse), -values(ate), atol=1e-13)


# ------------------------------------------------------------------ invariances


def test_same_seed_same_draws_and_another_seed_other_draws(web_fit):
    fit, _, _ = web_fit
    first = values(bc.estimate(fit, bc.ATE("t", "y"), seed=5))
    np.testing.assert_array_equal(first, values(bc.estimate(fit, bc.ATE("t", "y"), seed=5)))
    other = bc.estimate(fit, bc.ATE("t", "y"), seed=6)
    assert np.any(first != values(other))
    # the two differ by Monte Carlo error alone: 12 draws, sqrt(2) errors apart
    assert np.abs(first - values(other)).max() < 6 * np.sqrt(2) * other.mc_error


def test_answers_do_not_depend_on_what_else_is_asked(web_fit):
    """More worlds in one call, and a longer list of estimands, leave the draws as they are."""
    fit, _, _ = web_fit
    two = bc.worlds(fit, {"a": {"t": 0}, "b": {"t": 1}}, kind="draw", variables="y")
    four = bc.worlds(
        fit,
        {"c": {"z": 1}, "b": {"t": 1}, "d": {"w": 2}, "a": {"t": 0}},
        kind="draw",
        variables=["m", "y"],
    )
    for world in "ab":
        np.testing.assert_array_equal(
            two["y"].sel(world=world).values, four["y"].sel(world=world).values
        )
    alone = bc.estimate(fit, bc.NDE("t", "y"))
    [among] = bc.estimate(fit, [bc.CDE("t", "y", mediators={"m": 1}), bc.NDE("t", "y")])[1:]
    np.testing.assert_array_equal(values(alone), values(among))


@pytest.mark.parametrize("chunk", [1, 700, 10_000_000])
def test_answers_do_not_depend_on_chunks(web_fit, monkeypatch, chunk):
    fit, _, _ = web_fit
    asked = [bc.ATE("t", "y"), bc.QTE("t", "m", q=0.3), bc.ATT("t", "y"),
             bc.ATE("t", "y", population="superpopulation")]  # fmt: skip
    before = [values(e) for e in bc.estimate(fit, asked)]
    drawn = bc.worlds(fit, {"a": {"t": 0}}, kind="draw")
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    for old, new in zip(before, bc.estimate(fit, asked), strict=True):
        np.testing.assert_allclose(old, values(new), rtol=0, atol=1e-13)  # sums, reordered
    again = bc.worlds(fit, {"a": {"t": 0}}, kind="draw")
    for name in drawn:
        np.testing.assert_array_equal(drawn[name].values, again[name].values)


def test_answers_do_not_depend_on_how_units_are_cut(monkeypatch):
    """20,000 units: blocks of 8,192, cut or whole."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Normal("m", x, 1, dims="unit")
        pm.Bernoulli("y", logit_p=m, dims="unit")
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=20_000), "m": rng.normal(size=20_000), "y": [0, 1] * 10_000}
    known = bc.truth(model, {}, data)
    world = {"w": {"x": bc.Shift(1)}}
    whole = bc.worlds(known, world, kind="draw")
    effect = bc.estimate(known, bc.ATE("x", "y"))
    monkeypatch.setattr(evaluation, "CHUNK", 8192)
    cut = bc.worlds(known, world, kind="draw")
    for name in whole:
        np.testing.assert_array_equal(whole[name].values, cut[name].values)
    np.testing.assert_allclose(values(bc.estimate(known, bc.ATE("x", "y"))), values(effect),
                               atol=1e-13)  # fmt: skip


@pytest.mark.parametrize("order", [("z", "w", "t", "m", "y"), ("w", "z", "t", "m", "y")])
def test_answers_do_not_depend_on_the_order_of_declaration(web_fit, order):
    fit, data, draws = web_fit
    other = bc.Fit(web(order), {"b": draws}, data[list(reversed(data.columns))])
    for ask in (bc.ATE("t", "y"), bc.NDE("t", "y"), bc.QTE("t", "m", q=0.4)):
        np.testing.assert_array_equal(
            values(bc.estimate(fit, ask)), values(bc.estimate(other, ask))
        )


def test_answers_do_not_depend_on_names(web_fit):
    """Other names, other noise: the same law, so the same number within Monte Carlo error."""
    fit, data, draws = web_fit
    names = {"t": "aa treatment", "m": "zz", "y": "Outcome!"}
    other = bc.Fit(web(names=names), {"b": draws}, data.rename(columns=names))
    mine = bc.estimate(fit, bc.ATE("t", "y"))
    theirs = bc.estimate(other, bc.ATE("aa treatment", "Outcome!"))
    error = np.hypot(mine.mc_error, theirs.mc_error)
    assert 0 < np.abs(values(mine) - values(theirs)).max() < 6 * error  # 12 draws
    exact = bc.estimate(fit, bc.ATE("t", "m"))
    same = bc.estimate(other, bc.ATE("aa treatment", "zz"))
    np.testing.assert_allclose(values(exact), values(same), atol=1e-13)


def test_rows_may_come_in_any_order(web_fit):
    fit, data, draws = web_fit
    shuffle = np.random.default_rng(2).permutation(len(data))
    other = bc.Fit(web(), {"b": draws}, data.iloc[shuffle].reset_index(drop=True))
    exact = bc.ATE("t", "m")
    np.testing.assert_allclose(
        values(bc.estimate(fit, exact)), values(bc.estimate(other, exact)), atol=1e-12
    )
    cde = bc.CDE("t", "y", mediators={"m": 0.2})  # exact: nothing is left to simulate
    mine, theirs = bc.estimate(fit, cde), bc.estimate(other, cde)
    assert mine.mc_error == 0
    np.testing.assert_allclose(values(mine), values(theirs), atol=1e-13)
    unit = bc.worlds(fit, {"w": {"t": 1, "m": 0.2}}, variables="y")["y"].values
    moved = bc.worlds(other, {"w": {"t": 1, "m": 0.2}}, variables="y")["y"].values
    np.testing.assert_allclose(unit[..., shuffle], moved, atol=1e-14)


# ------------------------------------------------------------------ amount of data


def test_twice_the_rows_shrink_the_sd_by_the_root_of_two():
    """Known sigma, flat prior: sd(b) = sigma / sqrt(sum t^2), exactly sqrt 2 for the data twice."""
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        a, b = pm.Normal("a", 0, 1e3), pm.Normal("b", 0, 1e3)
        pm.Normal("y", a + b * t, 1, dims="unit")
    rng = np.random.default_rng(1)
    t = rng.integers(0, 2, 200)
    y = 0.3 + 0.5 * t + rng.normal(size=200)
    sds = []
    for times in (1, 2):
        ts, ys = np.tile(t, times), np.tile(y, times)
        design = np.column_stack([np.ones_like(ts), ts]).astype(float)
        drawn, _, cov = conjugate_draws(
            design, ys, sigma=1.0, prior_sd=1e3, chains=4, draws=5000, seed=7
        )
        fit = bc.Fit(model, {"a": drawn[..., 0], "b": drawn[..., 1]}, {"t": ts, "y": ys})
        effect = bc.estimate(fit, bc.ATE("t", "y"))
        assert effect.draws.std().item() == pytest.approx(np.sqrt(cov[1, 1]), rel=0.025)
        sds.append(effect.draws.std().item())
    # 20,000 draws: each sd has relative error 0.5%, the ratio 0.7%; five of those
    assert sds[0] / sds[1] == pytest.approx(np.sqrt(2), rel=0.035)


# ------------------------------------------------------------------ the rules of do-calculus


def test_rule_one_observations_may_be_dropped():
    """(Y indep Z | X) once arrows into X are cut: P(y | do(x), z) = P(y | do(x))."""
    model = chain_model()
    known = bc.truth(model, {}, draws=4)
    plain = bc.estimate(known, bc.Expected("y", {"x": 1}, population="model"))
    given = bc.estimate(known, bc.Expected("y", {"x": 1}, given={"z": 1}, population="model"))
    assert within(plain, 0.7)
    assert np.abs(values(plain) - values(given)).max() < 6 * np.hypot(
        plain.mc_error, given.mc_error
    )
    # and where the separation fails it fails: z is a cause of y here
    linked = bc.truth(chain_model(direct=0.2), {}, draws=4)
    low, high = bc.estimate(
        linked,
        [bc.Expected("y", {"x": 1}, given={"z": v}, population="model") for v in (0, 1)],
    )
    assert values(high - low).mean() == pytest.approx(0.2, abs=5 * np.hypot(low.mc_error,
                                                                        high.mc_error))  # fmt: skip


def chain_model(direct=0.0):
    """z -> x -> y, and z -> y of strength `direct`."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", p=0.2 + 0.6 * z, dims="unit")
        pm.Bernoulli("y", p=0.1 + 0.6 * x + direct * z, dims="unit")
    return model


def test_rule_two_action_and_observation_exchange():
    """No back door from x to y: P(y | do(x)) = P(y | x); with z open it is not."""
    known = bc.truth(chain_model(), {}, draws=4)
    acted, seen = bc.estimate(
        known,
        [bc.ATE("x", "y", population="model"), bc.Association("x", "y", population="model")],
    )
    assert np.abs(values(acted) - values(seen)).max() < 6 * np.hypot(acted.mc_error, seen.mc_error)
    confounded = bc.truth(chain_model(direct=0.2), {}, draws=4)
    acted, seen, inside = bc.estimate(
        confounded,
        [bc.ATE("x", "y", population="model"), bc.Association("x", "y", population="model"),
         bc.Association("x", "y", given={"z": 1}, population="model")],
    )  # fmt: skip
    assert within(acted, 0.6)
    assert within(seen, 0.6 + 0.2 * 0.6)  # P(z = 1 | x = 1) - P(z = 1 | x = 0) = 0.8 - 0.2
    assert within(inside, 0.6)


def test_rule_three_actions_may_be_dropped():
    """do(x) holds x: acting on z as well changes nothing. Without do(x) it does."""
    known = bc.truth(chain_model(), {}, draws=4)
    held = bc.estimate(
        known, bc.Contrast("y", {"x": 1, "z": 1}, {"x": 1, "z": 0}, population="model")
    )
    np.testing.assert_allclose(values(held), 0.0, atol=1e-12)
    free = bc.estimate(known, bc.Contrast("y", {"z": 1}, {"z": 0}, population="model"))
    assert within(free, 0.6 * 0.6)


# ------------------------------------------------------------------ one model, three kinds of fit


def test_truth_prior_and_posterior_answer_the_same_question():
    scm = LinearGaussian.random(np.random.default_rng(4), 4)
    wanted = scm.effect("v0", "v3")
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b", wanted, 0.1)
        pm.Normal("y", b * x, 1, dims="unit")
    ask = bc.ATE("x", "y")
    assert bc.estimate(bc.truth(model, {"b": wanted}), ask).mean() == pytest.approx(wanted)
    prior = bc.estimate(bc.prior(model, draws=400, seed=1), ask)
    assert prior.mean() == pytest.approx(wanted, abs=5 * 0.1 / 20)
    assert prior.draws.std().item() == pytest.approx(0.1, rel=0.18)  # 5 / sqrt(800)
    drawn = bc.Fit(model, {"b": np.full((1, 3), wanted)}, {"x": [0.0], "y": [0.0]})
    np.testing.assert_allclose(values(bc.estimate(drawn, ask)), wanted)
