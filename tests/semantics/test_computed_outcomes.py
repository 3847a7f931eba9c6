"""Questions about Deterministics of the units: as outcomes of direct effects, as subgroups."""

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError

Z = np.array([-1.0, 0.5, 2.0, 0.0])


@pytest.fixture(scope="module")
def known():
    with pm.Model(coords={"unit": range(4)}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x, 1, dims="unit")
        before = pm.Normal("before", x + m + z, 1, dims="unit")
        after = pm.Normal("after", 2 * x + 0.6 * m + x * (z > 0), 1, dims="unit")
        pm.Deterministic("change", after - before, dims="unit")
        pm.Deterministic("group", 1 * (z > 0) + 1 * (z > 1), dims="unit")
    data = {n: np.arange(4.0) for n in ("m", "before", "after")}
    return bc.truth(model, {}, {"z": Z, "x": [0, 1, 0, 1], **data})


def test_direct_and_indirect_effects_on_a_difference(known):
    """change = x + x 1(z > 0) - .4 m - z, and m rises by 1 with x."""
    positive = (Z > 0).mean()
    direct = bc.estimate(known, bc.NDE("x", "change", mediators=["m"]))
    indirect = bc.estimate(known, bc.NIE("x", "change", mediators=["m"]))
    assert direct.mean() == pytest.approx(1 + positive)
    assert indirect.mean() == pytest.approx(-0.4)
    for kind in (bc.NDE, bc.NIE):
        with pytest.raises(EstimandError, match=r"computed from .*mediators="):
            bc.estimate(known, kind("x", "change"))


def test_a_subgroup_that_is_computed(known):
    found = bc.estimate(known, bc.ATE("x", "after", by="group"))
    np.testing.assert_array_equal(found.draws["group"], [0, 1, 2])
    np.testing.assert_allclose(found.mean(), [2.6, 3.6, 3.6])
