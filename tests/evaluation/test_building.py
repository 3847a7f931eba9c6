"""Building the program of a question: it ends, and the lengths of axes are known.

Kind: what PyTensor makes of an expression (adding the axis of draws, rewriting) fails or does not
end on an expression that is right. Siblings looked at: probabilities of categories that are data,
parameters, or a matrix indexed by another category; categories read as numbers and as indices;
the composite functions of PyTensor without a rule for a batch. Right values by enumeration.
"""

import importlib
import itertools

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import vectorize_graph
from scipy import stats
from scipy.special import expit, logsumexp, xlog1py, xlogy

import bayescausal as bc
from bayescausal.types import ModelError

backend = importlib.import_module("bayescausal.evaluation.backend")


def test_a_dirichlet_parameter_of_a_category_that_indexes_another_parameter():
    with pm.Model(coords={"unit": [0], "group": ["a", "b", "c"]}) as model:
        p = pm.Dirichlet("p", np.ones(3), dims="group")
        a = pm.Normal("a", 0, 1, dims="group")
        z = pm.Categorical("z", p, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", a[z] * (1 + x), 1, dims="unit")
    chance, level = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 2.5])
    known = bc.truth(model, {"p": chance, "a": level})
    assert float(bc.estimate(known, bc.Expected("y", {"x": 0}))) == pytest.approx(chance @ level)
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(chance @ level)
    draws = bc.prior(model, draws=40, seed=2)
    effect = bc.estimate(draws, bc.ATE("x", "y")).draws.values.ravel()
    right = np.einsum("sk,sk->s", draws.value("p"), draws.value("a"))
    np.testing.assert_allclose(effect, right, rtol=1e-9)
    with pytest.raises(Exception, match="sum"):
        bc.estimate(bc.truth(model, {"p": [0.2, 0.3, 0.9], "a": level}), bc.ATE("x", "y"))


def two_categories(first, second):
    with pm.Model(coords={"unit": [0]}) as model:
        g = pm.Categorical("g", np.full(first, 1 / first), dims="unit")
        k = pm.Categorical("k", pt.as_tensor(matrix(first, second))[g], dims="unit")
        a, c = pm.Normal("a", shape=first), pm.Normal("c")
        x = pm.Bernoulli("x", pm.math.sigmoid(a[g] + c * k), dims="unit")
        pm.Normal("y", 2.0 * x + a[g] * x + c * k, 1.0, dims="unit")
    return model


def matrix(first, second):
    table = 1.0 + np.add.outer(np.arange(first), np.arange(second)) % 3
    return table / table.sum(axis=1, keepdims=True)


def enumerated(first, second, a, c):
    """Return the ATE and E[y], summed over both categories and the treatment."""
    effect = natural = 0.0
    for g, k in itertools.product(range(first), range(second)):
        weight = matrix(first, second)[g, k] / first
        effect += weight * (2.0 + a[g])
        natural += weight * ((2.0 + a[g]) * expit(a[g] + c * k) + c * k)
    return effect, natural


@pytest.mark.parametrize(("first", "second"), [(3, 3), (6, 5)])
def test_one_category_read_as_a_number_and_one_as_an_index(first, second):
    a, c = np.linspace(-1, 1, first), 0.3
    known = bc.truth(two_categories(first, second), {"a": a, "c": c})
    effect, natural = enumerated(first, second, a, c)
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(effect)
    found = bc.estimate(known, bc.Expected("y"))
    exact = first * second < 16  # of more joint states the sum is long, and the answer simulated
    assert (found.mc_error == 0) == exact
    assert float(found) == pytest.approx(natural, abs=5 * found.mc_error + 1e-9)


def test_categories_that_read_each_other_and_a_binary_treatment():
    """PyTensor's lists of lines of code doubled at each rewrite: half a gigabyte a second."""
    a, a2, s = np.array([0.4, -1.0, 0.7]), np.array([0.3, -0.2, 0.5]), np.array([0.0, 0.3, -0.4])
    b = 1.2
    with pm.Model(coords={"unit": [0]}) as model:
        level, other, steep = (pm.Normal(n, shape=3) for n in ("a", "a2", "s"))
        slope = pm.Normal("b")
        g = pm.Categorical("g", np.full(4, 0.25), dims="unit")
        logits = pt.stack([g * steep[i] for i in range(3)], axis=-1)
        k = pm.Categorical("k", pm.math.softmax(logits, axis=-1), dims="unit")
        x = pm.Bernoulli("x", pm.math.invlogit(other[k] * g), dims="unit")
        pm.Bernoulli("y", logit_p=(slope * x + level[k]) * g, dims="unit")
    known = bc.truth(model, {"a": a, "a2": a2, "s": s, "b": b})
    effect = 0.0
    for group in range(4):
        chance = np.exp(group * s) / np.exp(group * s).sum()
        effect += 0.25 * chance @ (expit((b + a) * group) - expit(a * group))
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(effect)


def test_lines_of_code_are_not_gathered():
    """Each switch of two equal branches made the list of its branch three times as long."""
    x, c = pt.vector("x"), pt.vector("c")
    out = pt.exp(x)
    for i in range(10):
        out = pt.switch(c > i, out, out)
    call = backend.Compiled([x, c], [out])
    np.testing.assert_allclose(call(np.zeros(2), np.ones(2))[0], 1.0)
    graph = call._built().maker.fgraph
    assert sum(len(getattr(v.tag, "trace", None) or ()) for v in graph.variables) < 100


def test_rewriting_that_does_not_end_is_stopped(monkeypatch):
    """With less of it the value is the same; where that does not help, it is said."""
    x = pt.vector("x")
    out = pt.log(pt.exp(x) * pt.exp(2 * x) / pt.exp(x)) + (x + 1) * (x + 2) - pt.sigmoid(x)
    at = np.array([0.5, 1.5])
    right = 2 * at + (at + 1) * (at + 2) - expit(at)
    [whole] = backend.Compiled([x], [out])(at)
    np.testing.assert_allclose(whole, right)
    used = []
    count = backend._Count.__init__

    def stops_the_first(self, most):
        used.append(most)
        count(self, 3 if len(used) == 1 else most)

    monkeypatch.setattr(backend._Count, "__init__", stops_the_first)
    [less] = backend.Compiled([x], [out])(at)
    np.testing.assert_allclose(less, right)
    assert len(used) == 2
    monkeypatch.setattr(backend._Count, "__init__", lambda self, most: count(self, 0))
    with pytest.raises(ModelError, match="rewriting of this question does not end"):
        backend.Compiled([x], [out])(at)


@pytest.mark.parametrize(
    ("function", "right"),
    [
        (lambda v: pt.logsumexp(v, axis=-1), lambda v: logsumexp(v, axis=-1)),
        (lambda v: pt.logaddexp(v, v[0]), lambda v: np.logaddexp(v, v[0])),
        (lambda v: pt.special.xlogy(v, pt.exp(v[1])), lambda v: xlogy(v, np.exp(v[1]))),
        (lambda v: pt.special.xlog1py(v[0], v**2), lambda v: xlog1py(v[0], v**2)),
    ],
)
def test_composite_functions_take_a_batch_without_a_loop(function, right):
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.blockwise import Blockwise

    one, many = pt.vector("one"), pt.matrix("many")
    out = vectorize_graph(function(one), {one: many})
    assert not any(v.owner and isinstance(v.owner.op, Blockwise) for v in ancestors([out]))
    values = np.random.default_rng(1).normal(size=(4, 3))
    [found] = backend.Compiled([many], [out])(values)
    np.testing.assert_allclose(found, np.stack([right(v) for v in values]))


def test_what_is_drawn_anew_within_a_world_is_refused():
    """A copy of a variable has no value of any world; what a model holds has one."""
    with pm.Model(coords={"unit": range(3)}) as model:
        z = pm.Data("z", np.zeros(3), dims="unit")
        t = pm.Normal("t", z, 1, dims="unit")
        pm.Truncated("y", pm.Poisson.dist(pt.exp(t)), lower=1, upper=4, dims="unit")
    for left in (t, model["y"]):
        with pytest.raises(ModelError, match=f"draws {left} "):
            backend.inputs_of([2.0 * left + 1.0])
    assert backend.inputs_of([z + 1.0]) >= {z}


@pytest.mark.parametrize("law", ["Normal", "Poisson"])
def test_events_of_a_mixture_whose_components_are_one_variable(law):
    """Its shape is read off that of the components, which is no draw of them."""
    z, weights, spread = np.array([-1.0, 0.5, 1.2]), np.array([0.3, 0.7]), np.array([1.0, 0.5])
    with pm.Model(coords={"unit": range(3)}) as model:
        column = pm.Data("z", z, dims="unit")
        x = pm.Bernoulli("x", logit_p=0.5 * column, dims="unit")
        b = pm.Normal("b", 0.5, 0.3)
        middle = pt.stack([b * x + column, 2 - x + column], axis=-1)
        normal = law == "Normal"
        parts = pm.Normal.dist(middle, spread) if normal else pm.Poisson.dist(pt.exp(middle))
        pm.Mixture("y", w=weights, comp_dists=parts, dims="unit")
    draws = bc.prior(model, {"z": z, "x": [0, 1, 1]}, draws=30, seed=1)
    slope = draws.value("b").ravel()[:, None]

    def above(level):
        mean = np.stack([slope * level + z, np.broadcast_to(2 - level + z, (len(slope), 3))], -1)
        tail = stats.norm.sf(1, mean, spread) if normal else stats.poisson.sf(1, np.exp(mean))
        return (tail @ weights).mean(axis=1)

    effect = bc.estimate(draws, bc.ATE("x", "y", functional=bc.Probability(above=1)))
    np.testing.assert_allclose(effect.draws.values.ravel(), above(1) - above(0), atol=1e-8)
