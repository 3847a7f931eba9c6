"""Programs that are kept: the same question is built once, different ones are never mixed up."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pymc as pm
import pytest
from models import slope

import bayescausal as bc
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.evaluation.events import Event, Values
from bayescausal.evaluation import program_cache as memo
from bayescausal.evaluation.program_cache import event_key, remember, signature
from bayescausal.inference.sampling.prior_and_truth import complete_truth
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.repeat import Repeater
from bayescausal.types import DataError, ModelError


class Owner:
    """Something that programs belong to."""


def test_what_is_kept_goes_with_its_owner_and_stays_in_its_thread():
    owner = Owner()
    made = []

    def make():
        made.append(1)
        return len(made)

    assert [remember(owner, "k", make) for _ in range(3)] == [1, 1, 1]
    other: list[int] = []

    def elsewhere(mine):
        other.append(remember(mine, "k", make))

    thread = threading.Thread(target=elsewhere, args=(owner,))
    thread.start()
    thread.join()
    assert other == [2]
    gc.collect()  # of other tests, too
    before = len(memo._KEPT.of)
    del owner, thread
    gc.collect()
    assert len(memo._KEPT.of) == before - 1


def test_few_are_kept():
    owner = Owner()
    for i in range(3 * memo.MOST):
        remember(owner, i, lambda: 0)
    assert len(memo._KEPT.of[owner]) == memo.MOST


def test_signatures_tell_worlds_apart():
    one = {"a": {"x": bc.Set(1)}, "b": {}}
    assert signature(one) == signature({"a": {"x": bc.Set(1)}, "b": {}})
    law = pm.Normal.dist(0, 1)
    others = [
        {"a": {"x": bc.Set(2)}, "b": {}},
        {"a": {"x": bc.Set(1.0)}, "b": {}},
        {"a": {"x": bc.Shift(1)}, "b": {}},
        {"a": {"x": bc.Scale(1)}, "b": {}},
        {"a": {"w": bc.Set(1)}, "b": {}},
        {"a": {}, "b": {"x": bc.Set(1)}},
        {"a": {"x": bc.Set([1, 1])}, "b": {}},
        {"a": {"x": bc.Stochastic(law)}, "b": {}},
        {"a": {"x": bc.Stochastic(pm.Normal.dist(0, 1))}, "b": {}},
    ]
    found = [signature(w) for w in (one, *others)]
    assert len(set(found)) == len(found)
    assert signature({"a": {"x": bc.Policy(lambda z: z)}}) is None
    assert signature({"a": {"x": bc.Set(np.arange(1000))}}) is None


def test_events_are_told_by_their_numbers_not_by_their_print():
    a, b = (event_key(Event(Probability(above=v))) for v in (0.1, 0.1 + 1e-12))
    assert a != b
    assert event_key(Event(Probability(above=0.1))) == a
    assert event_key(Event(Probability(below=0.1))) != a
    assert event_key(Values(np.arange(3))) != event_key(Values(np.arange(4)))
    assert event_key(object()) is None
    assert event_key((1, object())) is None


def test_answers_do_not_depend_on_what_was_asked_before():
    model = slope()
    fit = bc.truth(model, {"b": 2.0}, {"x": [0.0, 1.0], "y": [0.0, 1.0]})
    asked = [
        bc.ATE("x", "y", treated=t, control=c) for t, c in ((1, 0), (3, 0), (3, 1), (1, 0))
    ] + [bc.ATE("x", "y", treated=bc.Shift(s)) for s in (1.0, 2.0)]
    assert [bc.estimate(fit, q).mean() for q in asked] == pytest.approx([2, 6, 4, 2, 2, 4])
    wide = [bc.Expected("y", do={"x": v}) for v in (np.array([0.0, 1.0]), np.array([1.0, 1.0]))]
    assert [bc.estimate(fit, q).mean() for q in wide] == pytest.approx([1.0, 2.0])


def test_a_policy_is_read_anew():
    """What a function does may change between two calls: it is never kept."""
    model = slope()
    fit = bc.truth(model, {"b": 2.0}, {"x": [0.0, 1.0], "y": [0.0, 1.0]})
    level = {"now": 1.0}
    question = bc.Expected("y", do={"x": bc.Policy(lambda x: 0 * x + level["now"])})
    assert bc.estimate(fit, question).mean() == pytest.approx(2.0)
    level["now"] = 5.0
    assert bc.estimate(fit, question).mean() == pytest.approx(10.0)


def test_a_repeater_draws_what_simulate_draws():
    with pm.Model(coords={"unit": [0]}) as model:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Poisson("m", pm.math.exp(0.1 * x), dims="unit")
        pm.Normal("y", b * x + m, s, dims="unit")
    again = Repeater(model, units=7)
    for b_value, seed in ((1.0, 1), (-2.0, 9), (1.0, 1)):
        params = {"b": np.array(b_value), "s": np.array(0.5)}
        assert again.draw(params, seed).equals(bc.simulate(model, params, units=7, seed=seed))
    do = {"x": bc.Stochastic(pm.Bernoulli.dist(0.9)), "m": bc.Shift(1)}
    acted = Repeater(model, units=7, do=do)
    params = {"b": np.array(0.0), "s": np.array(1.0)}
    assert acted.draw(params, 3).equals(bc.simulate(model, params, units=7, seed=3, do=do))
    draws = np.array([again.prior(s)["b"] for s in range(400)])
    assert abs(draws.mean()) < 4 / 20
    assert abs(draws.std() - 1) < 4 / np.sqrt(800)
    with pm.Model(coords={"unit": [0]}) as flat:
        f = pm.Flat("f")
        pm.Normal("y", f, 1, dims="unit")
    with pytest.raises(ModelError, match="Flat"):
        Repeater(flat, units=3).prior(0)


def test_complete_truth_wants_every_column():
    model = slope()
    structure = structure_of(model)
    with pytest.raises(DataError, match="'x': no complete column"):
        complete_truth(structure, {"b": np.array(1.0)}, {"y": [1.0]}, seed=0)
    known = complete_truth(structure, {"b": np.array(1.0)}, {"x": [1.0], "y": [1.0]}, seed=0)
    assert known.kind == "truth"
    assert bc.estimate(known, bc.ATE("x", "y")).mean() == 1.0
