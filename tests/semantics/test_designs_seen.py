"""Designs and traps that are seen in the structure of a model, with the right value beside.

An instrument by control function; a threshold as an instrument; a treatment that is a function of a
running variable or of time; parallel trends; a staggered two-way regression; principal strata.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc


def control_function(form: str = "difference") -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        a, g, b, rho = (pm.Normal(n) for n in ("a", "g", "b", "rho"))
        mean = a + g * z
        x = pm.Normal("x", mean, 1.0, dims="unit")
        left = {
            "difference": lambda: x - mean,
            "written again": lambda: x - (z * g + a),
            "Deterministic": lambda: pm.Deterministic("left", x - mean, dims="unit"),
            "scaled": lambda: (x - mean) / 2.0 * 2.0,
        }[form]()
        pm.Normal("y", b * x + rho * left, 1.0, dims="unit")
    return model


TRUTH = {"a": 0.3, "g": 0.8, "b": 1.5, "rho": 1.62}


@pytest.mark.parametrize("form", ["difference", "written again", "Deterministic", "scaled"])
def test_the_noise_of_the_treatment_is_no_effect_of_it(form):
    model = control_function(form)
    known = bc.truth(model, TRUTH, {"z": [0.0, 1.0], "x": [0.1, 2.0], "y": [1.0, 3.0]})
    ate, through_z, each = bc.estimate(
        known,
        [bc.ATE("x", "y"), bc.ATE("z", "y"), bc.Expected("y", {"x": 2.0})],
    )
    assert float(ate) == pytest.approx(1.5, abs=1e-12)
    assert float(through_z) == pytest.approx(1.5 * 0.8, abs=1e-12)
    left = np.array([0.1 - 0.3, 2.0 - 1.1])
    assert float(each) == pytest.approx((1.5 * 2.0 + 1.62 * left).mean(), abs=1e-12)
    assert "reads the noise of x" in " ".join(ate.notes)
    found = bc.identify(model, "x", "y", observed=["x", "y", "z"])
    assert (found.status, found.method) == ("under assumption", "instrument")
    assert [str(i) for i in found.instruments] == ["z"]
    assert ate.identification.method == "instrument"
    assert bc.to_text(model) == bc.to_text("z -> x -> y; x <-> y")


def test_a_mean_that_is_a_cause_of_its_own_stays_one():
    """Within and between: the group's mean has an effect beside the difference from it."""
    with pm.Model(coords={"unit": [0], "group": range(2)}) as model:
        g = pm.Data("g", [0], dims="unit")
        mu, w, b = pm.Normal("mu", dims="group"), pm.Normal("w"), pm.Normal("b")
        x = pm.Normal("x", mu[g], 1, dims="unit")
        pm.Normal("y", w * (x - mu[g]) + b * mu[g], 1, dims="unit")
    known = bc.truth(
        model, {"mu": [0.0, 1.0], "w": 0.5, "b": 2.0}, {"g": [0, 1], "x": [0, 1], "y": [0, 1]}
    )
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(0.5)
