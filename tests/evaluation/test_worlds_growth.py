"""Programs grow with equations and worlds, never with the paths between them.

In a chain with skip edges, ``v_i ~ v_{i-1} + v_{i-3}``, the number of paths doubles about every two
equations. The effect of the first on the last obeys a recursion, which is the oracle.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from pytensor.graph.traversal import ancestors

import bayescausal as bc
from bayescausal.effects.evaluation.question import resolve
from bayescausal.evaluation.expand import expand


def skip_chain(equations: int, *, every: int = 0) -> pm.Model:
    """Return the chain; every so many equations one is two-valued."""
    with pm.Model(coords={"unit": [0]}) as model:
        values: list = []
        for i in range(equations):
            mean = sum(pm.Normal(f"b{i}_{k}") * values[i - k] for k in (1, 3) if i >= k)
            if every and 0 < i < equations - 1 and i % every == 0:
                values.append(pm.Bernoulli(f"v{i}", logit_p=mean, dims="unit"))
            else:
                values.append(pm.Normal(f"v{i}", mean, 1, dims="unit"))
    return model


def posterior(model: pm.Model, draws: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    names = sorted(v.name for v in model.free_RVs if v.name.startswith("b"))
    return {name: rng.normal(0.4, 0.1, size=(1, draws)) for name in names}


def fitted(model: pm.Model, draws: int = 6) -> bc.Fit:
    drawn = posterior(model, draws)
    data = bc.simulate(model, {k: v.mean() for k, v in drawn.items()}, units=20, seed=2)
    return bc.Fit(model, drawn, data)


def operations(model: pm.Model, outcome: str) -> int:
    question = resolve(fitted(model), bc.ATE("v0", outcome))
    program, _ = question.program()
    return sum(v.owner is not None for v in ancestors(list(program.expressions)))


def by_recursion(drawn: dict[str, np.ndarray], equations: int) -> np.ndarray:
    effect = [np.ones((1, 6))]
    for i in range(1, equations):
        effect.append(sum(drawn[f"b{i}_{k}"] * effect[i - k] for k in (1, 3) if i >= k))
    return effect[-1]


@pytest.mark.parametrize("equations", [5, 40])
def test_an_effect_over_millions_of_paths_is_that_of_the_recursion(equations):
    model = skip_chain(equations)
    effect = bc.estimate(fitted(model), bc.ATE("v0", f"v{equations - 1}"))
    wanted = by_recursion(posterior(model), equations)
    np.testing.assert_allclose(effect.draws, wanted, rtol=1e-12)
    assert float(np.max(effect.mc_error)) == 0.0


def test_operations_grow_with_equations():
    few, middle, many = (operations(skip_chain(n), f"v{n - 1}") for n in (10, 20, 30))
    assert many - middle == middle - few  # each further equation costs the same


def test_operations_of_mixed_chains_do_not_multiply_with_states():
    plain = operations(skip_chain(31), "v30")
    assert operations(skip_chain(31, every=3), "v30") < 8 * plain  # 8: what sums may cost


def test_terms_are_as_many_as_features():
    question = resolve(fitted(skip_chain(30)), bc.ATE("v0", "v29"))
    program, _ = question.program()
    expansion = expand(program, range(len(question.arms)))
    assert expansion is not None
    assert [len(terms) for terms in expansion.terms] == [1, 1]


@pytest.mark.slow
def test_a_chain_as_long_as_python_nests_calls():
    model = skip_chain(300)
    effect = bc.estimate(fitted(model), bc.ATE("v0", "v299"))
    np.testing.assert_allclose(effect.draws, by_recursion(posterior(model), 300), rtol=1e-12)


def test_noise_of_two_variables_multiplied_has_mean_zero_and_a_square_has_not():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        a = pm.Normal("a", 2 * x, 3, dims="unit")
        b = pm.Normal("b", x + 1, 2, dims="unit")
        pm.Normal("product", a * b, 1, dims="unit")
        pm.Normal("square", a * a, 1, dims="unit")
    known = bc.truth(model, {})
    product = bc.estimate(known, bc.Expected("product", {"x": 1.5}))
    assert float(np.max(product.mc_error)) == 0.0
    assert product.mean() == pytest.approx(3.0 * 2.5)
    square = bc.estimate(known, bc.Expected("square", {"x": 1.5}), seed=3)
    error = float(np.max(square.mc_error))
    assert error > 0
    assert abs(square.mean() - (3.0**2 + 3.0**2)) < 5 * error
