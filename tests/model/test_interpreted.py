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
