"""Rules that ask what is equal.

The kind: a rule is called with symbolic variables first, and of these ``==`` is false whatever they
hold: ``Policy(lambda t: t == 0)`` treated nobody, ``!=`` everybody, without a word. Looked at:
comparisons with numbers, of two variables, of expressions, negated, within sums and ``&``, in a
container, through NumPy; data of integers, floats and truth values, drawn integers, categories,
mediators; averages, drawn worlds, counterfactuals, simulation; and rules without a comparison,
which stay part of the graph.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.model.interventions.policy import PolicyOp, apply_policy
from bayescausal.types import InterventionError

N = 6
DATA = {
    "d": np.array([0, 1, 2, 0, 1, 2]),
    "b": np.array([True, False, True, False, False, True]),
    "k": np.array([0, 3, 1, 0, 2, 1]),
    "c": np.array([2, 0, 1, 1, 0, 2]),
    "t": np.array([1, 1, 0, 0, 1, 0]),
}


@pytest.fixture(scope="module")
def known():
    with pm.Model(coords={"unit": range(N)}) as model:
        d = pm.Data("d", DATA["d"], dims="unit")
        b = pm.Data("b", DATA["b"], dims="unit")
        k = pm.Poisson("k", 1 + d, dims="unit")
        c = pm.Categorical("c", np.full(3, 1 / 3), dims="unit")
        t = pm.Bernoulli("t", 0.2 + 0.1 * (k > 1) + 0.1 * b, dims="unit")
        pm.Normal("y", 2.0 * t + d + k + c, 1, dims="unit")
    return model, bc.truth(model, {}, {**DATA, "y": np.zeros(N)}, seed=1)


RULES = {
    "drawn": lambda t: t == 0,
    "other than": lambda t: t != 1,
    "data": lambda d: d == 2,
    "truth values": lambda b: b == False,  # noqa: E712
    "category": lambda c: (c == 1) + (c == 2),
    "count": lambda k: 1 * (k == 0),
    "number first": lambda k: 3 == k,  # noqa: SIM300
    "two variables": lambda k, d: k == d,
    "an expression": lambda k: (2 * k + 1) % 3 == 0,
    "and": lambda k, b: (k == 1) & b,
    "half": lambda k, d: (d > 1) * (k == 1),
    "numpy": lambda c: np.equal(c, 1),
    "one of": lambda c: np.isin(c, [0, 2]),
}


@pytest.mark.parametrize("name", RULES)
def test_equality_is_that_of_values(known, name):
    model, truth = known
    rule = RULES[name]
    act = bc.Policy(rule)
    given = rule(*(DATA[n] for n in act.reads)).astype(int)
    effect = bc.estimate(truth, bc.ATE("t", "y", treated=act))
    assert float(effect) == pytest.approx(2.0 * np.mean(given - DATA["t"]))
    both = bc.counterfactual(truth, {"t": act}, coupling="monotone")
    np.testing.assert_array_equal(both["t"].sel(world="counterfactual").values.ravel(), given)
    table = bc.simulate(model, {}, do={"t": act}, seed=3)
    if "t" not in act.reads:
        seen = rule(*(table[n].to_numpy() for n in act.reads)).astype(int)
        np.testing.assert_array_equal(table["t"], seen)


def test_a_rule_that_needs_one_value_is_refused(known):
    for rule in (lambda k: 1 if k == 0 else 0, lambda k: 1 * (k in (0, 1))):
        with pytest.raises(InterventionError, match=r"policy for 't' failed: .*np\.where"):
            bc.estimate(known[1], bc.ATE("t", "y", treated=bc.Policy(rule, reads=["k"])))


@pytest.mark.parametrize("rule", [lambda x: x > 1, lambda x: 0.5 * x, lambda x: pt.eq(x, 1)])
def test_rules_without_a_comparison_stay_part_of_the_graph(rule):
    x = pt.vector("x")
    found = apply_policy("t", bc.Policy(rule, reads=["x"]), [x])
    assert not isinstance(found.owner.op, PolicyOp)
    assert (x == x) is True
    assert x != pt.vector("x")
