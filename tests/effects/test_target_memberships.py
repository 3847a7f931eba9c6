"""Who belongs to a subgroup of a target table, where the table does not say.

The kind: a treatment that every world sets needs no column, and so its own value, which says who is
treated, was taken from the units of the fit: the answer of other people, or a shape error. Looked
at: the treated, the untreated, conditions and splits on the treatment, policies that read it or a
variable that nothing else reads, associations; populations with known laws, where it is drawn given
the table, and posteriors, where the column is asked for.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import DataError

N, EACH = 6, 500
Z = np.array([-1.0, 0.0, 2.0])
TABLE = pd.DataFrame({"z": np.repeat(Z, EACH)})
P = 1 / (1 + np.exp(-Z))  # of being treated, and of w
EFFECT = 2 * (1 + Z)


def fitted(kind):
    with pm.Model(coords={"unit": range(N)}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        w = pm.Bernoulli("w", logit_p=z, dims="unit")
        t = pm.Bernoulli("t", logit_p=z + 0 * w, dims="unit")
        pm.Normal("y", pm.Normal("b") * t * (1 + z) + z, 1, dims="unit")
    data = {"z": np.linspace(-1, 1, N), "w": [0, 1] * 3, "t": [1, 0] * 3, "y": np.zeros(N)}
    if kind == "truth":
        return bc.truth(model, {"b": 2.0}, data, draws=4, seed=1)
    return bc.prior(model, data, draws=4, seed=1)


MEMBERS = {
    "treated": (bc.ATT("t", "y", population=TABLE), EFFECT, P),
    "untreated": (bc.ATU("t", "y", population=TABLE), EFFECT, 1 - P),
    "condition": (bc.CATE("t", "y", given={"t": 1}, population=TABLE), EFFECT, P),
    "another": (bc.CATE("t", "y", given={"w": 0}, population=TABLE), EFFECT, 1 - P),
    "policy": (
        bc.ATE("t", "y", treated=bc.Policy(lambda w: w), control=0, population=TABLE),
        P * EFFECT,
        np.ones(3),
    ),
    "own policy": (
        bc.ATE("t", "y", treated=bc.Policy(lambda t: 1 - t), population=TABLE),
        (1 - 2 * P) * EFFECT,
        np.ones(3),
    ),
    "all": (bc.ATE("t", "y", population=TABLE), EFFECT, np.ones(3)),
}


@pytest.fixture(scope="module")
def truth():
    return fitted("truth")


@pytest.mark.parametrize("name", MEMBERS)
def test_who_belongs_is_drawn_given_the_table(truth, name):
    """A mean over 1,500 units of whom a share belongs; the spread between them is below 5."""
    question, value, weight = MEMBERS[name]
    effect = bc.estimate(truth, question)
    right = np.sum(value * weight) / np.sum(weight)
    bound = 0.0 if name == "all" else 5 * 5 / np.sqrt(4 * EACH * np.sum(weight))
    assert abs(float(effect.draws.mean()) - right) <= bound + 1e-9
    assert name == "all" or any("Drawn given the table" in note for note in effect.notes)


def test_a_column_that_is_there_is_taken(truth):
    table = pd.DataFrame({"z": Z, "t": [1, 0, 1]})
    effect = bc.estimate(truth, bc.ATT("t", "y", population=table))
    assert float(effect) == pytest.approx((EFFECT[0] + EFFECT[2]) / 2)


def test_of_a_law_that_is_not_known_the_column_is_asked_for():
    known = fitted("prior")
    for name, (question, *_) in MEMBERS.items():
        if name == "all":
            assert np.isfinite(float(bc.estimate(known, question)))
            continue
        lost = "w" if name in ("another", "policy") else "t"
        with pytest.raises(DataError, match=f"table lacks .*'{lost}'"):
            bc.estimate(known, question)


def test_a_treatment_without_an_equation_that_every_world_sets_needs_no_column():
    """y = b x + g x z: the effect over the table's z is b + g mean(z), whatever x anyone has."""
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Data("x", [0, 1] * 3, dims="unit")
        z = pm.Data("z", np.linspace(-1, 1, N), dims="unit")
        pm.Normal("y", pm.Normal("b") * x + pm.Normal("g") * x * z, 1, dims="unit")
    data = {"x": [0, 1] * 3, "z": np.linspace(-1, 1, N), "y": np.zeros(N)}
    known = bc.Fit(model, {"b": [[1.0, 2.0]], "g": [[0.5, -0.5]]}, data)
    table = pd.DataFrame({"z": [0.0, 1.0, 5.0]})
    found = bc.estimate(known, bc.ATE("x", "y", population=table))
    np.testing.assert_allclose(found.draws.values, [[2.0, 1.0]])
    own = bc.Contrast("y", {"x": bc.Shift(1)}, None, population=table)
    for asked in (own, bc.ATT("x", "y", population=table)):
        with pytest.raises(DataError, match="table lacks 'x'"):
            bc.estimate(known, asked)
