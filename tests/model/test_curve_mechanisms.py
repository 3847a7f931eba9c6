"""Every curve as a mechanism, in families and times a treatment.

Right values are computed from the equation itself: the linear predictor of the model at two levels
of the treatment, through the family's inverse link in NumPy.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc

N = 40
MECHANISMS = [
    "t * s(x, k=5)",
    "t * s(x, z, k=4)",
    "t * s(x, by=g, k=5)",
    "t * hsgp(x, m=5)",
    "t * hsgp(x, z, m=3)",
    "t * mono(w, k=4)",
    "t * hill(w)",
]
INVERSE = {
    "gaussian": lambda e: e,
    "bernoulli": lambda e: 1 / (1 + np.exp(-e)),
    "poisson": np.exp,
}
CHEAP = [("t * s(x, k=5)", "poisson"), ("t * hsgp(x, m=5)", "bernoulli")]
REST = [(m, f) for m in MECHANISMS for f in INVERSE if (m, f) not in CHEAP]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x, z = rng.uniform(-2, 2, N), rng.uniform(-2, 2, N)
    return pd.DataFrame({
        "x": x, "z": z, "w": rng.uniform(0.2, 3, N), "g": rng.choice(["a", "b"], N),
        "t": rng.binomial(1, 1 / (1 + np.exp(-x))), "gaussian": rng.normal(size=N),
        "bernoulli": rng.integers(0, 2, N), "poisson": rng.poisson(2, N),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("mechanism", "family"), [*CHEAP, *(pytest.param(*c, marks=pytest.mark.slow) for c in REST)]
)
def test_effects_of_units_are_those_of_the_equation(data, mechanism, family):
    columns = data[["x", "z", "w", "g", "t"]].assign(y=data[family])
    model = bc.model_from_formulas([f"y ~ {mechanism}"], families={"y": family}, data=columns)
    rng = np.random.default_rng(3)
    sizes = {v.name: v.eval().shape for v in model.free_RVs if v.name != "y"}
    values = {n: rng.uniform(0.1, 0.5, s) for n, s in sizes.items()}
    seen = [n for n in columns if n in model.named_vars]
    known = bc.truth(model, values, data=columns[seen])
    arms = []
    for level in (1, 0):
        held = pm.do(model, {**values, "t": np.full(N, level)})["y"]
        arms.append(pm.draw(held.owner.op.dist_params(held.owner)[0]))
    found = bc.heterogeneity(known, bc.ATE("t", "y"), draws=True)
    assert np.allclose(found.draws[0], arms[0] - arms[1])
    ate = bc.estimate(known, bc.ATE("t", "y"))
    assert ate.mean() == pytest.approx(np.mean(arms[0] - arms[1]))


FORESTS = ["bart(x, z, t, m=6)", "bcf(t, by=(x, z), m=6, m_effect=4)"]


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", [*MECHANISMS, *FORESTS])
def test_every_verb_runs_on_every_mechanism(data, mechanism, tmp_path):
    """With few draws: they run, and the treated keep what was seen of them."""
    if mechanism in FORESTS:
        pytest.importorskip("stochtree")
        pytest.importorskip("pymc_bart")
    columns = data[["x", "z", "w", "t"]].assign(y=data["gaussian"])
    mechanism = mechanism.replace(", by=g", "")
    formulas = ["x ~ 1", "z ~ 1", "w ~ 1", "t ~ x", f"y ~ {mechanism}"]
    # new units stay within the interval of a process, outside which it is refused
    formulas = [
        f.replace("hsgp(x, z, m=3", "hsgp(x, z, m=3, lower=-99, upper=99") for f in formulas
    ]
    formulas = [f.replace("hsgp(x, m=5", "hsgp(x, m=5, lower=-99, upper=99") for f in formulas]
    families = {"t": "bernoulli", "w": "gamma"}
    model = bc.model_from_formulas(formulas, families=families, data=columns)
    question = bc.ATE("t", "y")
    sampling = {"draws": 60, "chains": 2, "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few draws
        fit = bc.fit(model, columns, seed=1, **sampling)
        values = {n: fit.posterior[n].values[0, -1] for n in fit.structure.parameters}
        small = {"units": 60, "replicates": 2, "seed": 1, **sampling}
        assert len(bc.recover(model, values, question, **small).rows)
        assert len(bc.calibrate(model, question, rank_draws=19, **small).rows)
        check = bc.refute(
            fit, question, tests=["dummy_outcome", "common_cause"], replicates=1, seed=1
        )
        assert check.verdict != "undecided"
        page = tmp_path / "report.html"
        bc.report(fit, [question], page)
        assert mechanism.split("(")[0].removeprefix("t * ") in page.read_text()
    space = {"data": columns}
    exec(bc.model_source(model), space)
    names = {v.name for v in model.free_RVs}
    written = {v.name for v in space["model"].free_RVs}
    assert written == {n.removesuffix("_forest") if n in fit.forests else n for n in names}
    other = bc.counterfactual(fit, {"t": 1}, variables="y")["y"].isel(world=-1)
    treated = columns["t"].to_numpy() == 1
    assert np.allclose(other.values[..., treated], columns["y"].to_numpy()[treated])
