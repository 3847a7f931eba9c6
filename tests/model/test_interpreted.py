"""Evaluation without a compiler: what is rewritten keeps its values."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.scalar.basic import Exp
from pytensor.tensor.elemwise import Elemwise
from scipy import stats

from bayescausal.model.structure.interpreted import PY_MODE


def _exponentials(call):
    nodes = call.maker.fgraph.apply_nodes
    return sum(isinstance(n.op, Elemwise) and isinstance(n.op.scalar_op, Exp) for n in nodes)


def test_a_logistic_density_takes_one_exponential_for_each_row():
    """Of log p and log (1 - p) the one that the value chooses; in both tails to the last digit."""
    eta, y = pt.vector("eta"), pt.lvector("y")
    call = pytensor.function([eta, y], pm.logp(pm.Bernoulli.dist(logit_p=eta), y), mode=PY_MODE)
    at, seen = np.array([-800.0, -1.0, 0.5, 40.0, 800.0]), np.array([0, 1, 0, 0, 1])
    right = stats.logistic.logcdf(np.where(seen, at, -at))  # p = F(eta), 1 - p = F(-eta)
    np.testing.assert_allclose(call(at, seen), right, rtol=1e-14)
    assert _exponentials(call) == 1


def test_two_numbers_that_rows_choose_between_are_not_worked_row_by_row():
    a, b, which = pt.dscalar("a"), pt.dscalar("b"), pt.bvector("which")
    call = pytensor.function([a, b, which], pt.switch(which, pt.exp(a), pt.exp(b)), mode=PY_MODE)
    np.testing.assert_allclose(call(0.0, 1.0, np.array([1, 0, 0], "int8")), [1, np.e, np.e])
    assert _exponentials(call) == 2


def test_numbers_within_loops_have_a_memory_of_their_own():
    """PyTensor made a number read-only of which one in the loop of a truncated law was a view."""
    alpha = pt.constant(np.array(2.0))
    base = pm.NegativeBinomial.dist(mu=np.linspace(1.0, 3.0, 400), alpha=alpha)
    law = pm.Truncated.dist(base, lower=1, upper=7)
    call = pm.compile([], [law], mode=PY_MODE, random_seed=1)
    assert float(alpha.unique_value) == 2.0  # looked at, as rewrites do: SciPy refused to draw
    [drawn] = call()
    assert drawn.min() == 1
    assert drawn.max() == 7


def test_a_bound_below_the_lower_one_is_not_reached():
    """PyMC writes "no upper bound" as clip(x, low, x), which is low where x lies below it."""
    x, low, high = pt.dvectors("x", "low", "high")
    call = pytensor.function([x, low, high], pt.clip(x, low, high), mode=PY_MODE)
    at = np.array([-2.0, 0.5, 3.0, np.nan])
    np.testing.assert_array_equal(call(at, np.zeros(4), at), [0.0, 0.5, 3.0, np.nan])
    np.testing.assert_array_equal(call(at, np.zeros(4), np.ones(4)), [0.0, 0.5, 1.0, np.nan])


def test_draws_of_variables_that_are_censored_on_one_side_are():
    """Shares at the bounds: P(N(.25, 1) < 0) and P(N(.25, 1) > 1), of 4,000 draws."""
    for lower, upper in ((0, None), (None, 1), (0, 1)):
        draws = pm.draw(
            pm.Censored.dist(pm.Normal.dist(0.25, 1), lower, upper, shape=4000),
            random_seed=3,
            mode=PY_MODE,
        )
        for bound, share in ((lower, stats.norm.cdf(-0.25)), (upper, stats.norm.sf(0.75))):
            if bound is not None:
                found = np.mean(draws == bound)
                assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / 4000)
        assert draws.min() >= (-np.inf if lower is None else lower)
        assert draws.max() <= (np.inf if upper is None else upper)
