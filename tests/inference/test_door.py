"""What a model or its data say without a name is asked about at the door, not swallowed.

Constant arrays along the units (siblings: a covariate, a matrix, an index, standard errors, a
shared variable, inside a Deterministic, entries put together one by one, the mean of one
multivariate outcome, what a CustomDist's own function reads, running sums, loops; and what is no
column: one value for all, weights of who touches whom, a covariance), misspelt columns,
options that nobody reads, data that contradict the model, and data that the model holds already.
"""

from __future__ import annotations

import importlib

import numpy as np
import pymc as pm
import pymc.dims as pmd
import pytensor
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import (
    BayesCausalError,
    DataError,
    FixedUnitsError,
    ModelError,
    UnitDimsError,
    UnknownVariableError,
)

N = 30
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 2))
Y = 2 * X[:, 0] + RNG.normal(size=N)
QUICK = {"draws": 100, "chains": 2, "seed": 1, "progressbar": False}

CONSTANTS = {
    "covariate": lambda b: b[0] * X[:, 0],
    "matrix": lambda b: pt.dot(X, b),
    "index": lambda b: b[np.arange(N) % 2],
    "shared": lambda b: b[0] * pytensor.shared(X[:, 0], name="xs"),
    "deterministic": lambda b: pm.Deterministic("mu", b[0] * X[:, 0], dims="unit"),
    "entries": lambda b: b[0] * pt.as_tensor([X[i, 0] for i in range(N)]),
    "standard errors": lambda b: b[0],
    "running sum": lambda b: pt.cumsum(b[0] * X[:, 0]),
    "joined": lambda b: b[0] * pt.concatenate([pt.as_tensor(X[:9, 0]), pt.as_tensor(X[9:, 0])]),
    "steps": lambda b: b[0] * pt.set_subtensor(pt.zeros(N)[9:], 1.0),
    "blocks": lambda b: b[0] * pt.concatenate([pt.zeros(9), pt.ones(N - 9)]),
    "tiled": lambda b: b[0] * pt.tile(pt.as_tensor([0.0, 1.0]), N // 2),
    "counted": lambda b: b[0] * pt.cumsum(pt.ones(N)),
    "loop": lambda b: pytensor.scan(
        lambda x, last, b: 0.5 * last + b * x,
        sequences=[pt.as_tensor(X[:, 0])],
        outputs_info=[pt.zeros(())],
        non_sequences=[b[0]],
        return_updates=False,
    ),
}


def written(kind: str, b) -> None:
    """Write outcomes whose constants stand in the distribution itself."""
    options = {"observed": Y, "dims": "unit"}
    if kind == "multivariate":
        pm.MvNormal("y", b * X[:, 0], np.eye(N), **options)
    elif kind == "custom":
        pm.CustomDist("y", b, dist=lambda b, size: pm.Normal.dist(b * X[:, 0], 1), **options)
    else:
        pm.CustomDist("y", b, logp=lambda v, b: pm.logp(pm.Normal.dist(b * X[:, 0]), v), **options)


@pytest.mark.parametrize("kind", CONSTANTS)
def test_a_constant_array_along_the_units_is_named_with_the_remedy(kind: str):
    with pm.Model(coords={"unit": range(N)}) as model:
        b = pm.Normal("b", shape=2)
        sd = np.abs(X[:, 0]) + 1 if kind == "standard errors" else 1
        pm.Normal("y", CONSTANTS[kind](b), sd, observed=Y, dims="unit")
    said = rf"constant array of length {N} along 'unit'.*pm\.Data\(\"x\", array, dims=\"unit\"\)"
    for ask in (bc.graph_of, lambda m: bc.fit(m, **QUICK), lambda m: bc.identify(m, "y", "y")):
        with pytest.raises(FixedUnitsError, match=said):
            ask(model)
    with pytest.raises(FixedUnitsError, match=said):
        bc.estimate(bc.truth(model, {"b": 1.0}), bc.Expected("y"))


@pytest.mark.parametrize("kind", ["multivariate", "custom", "custom density"])
def test_constants_inside_a_distribution_are_named(kind: str):
    with pm.Model(coords={"unit": range(N)}) as model:
        written(kind, pm.Normal("b"))
    first = f"{X[0, 0]:.4g}, {X[1, 0]:.4g}"
    with pytest.raises(FixedUnitsError, match=rf"array of length {N} along 'unit' \({first}"):
        bc.graph_of(model)


FLAT = {
    "zeros": lambda z: z + np.zeros(N),
    "ones": lambda z: np.ones(N) * z,
    "who touches whom": lambda z: z + 0 * pt.dot(np.eye(N)[::-1], z),
    "a covariance": lambda z: z + pm.MvNormal("f", np.zeros(N), np.eye(N) + 0.1, dims="unit"),
    "a kept number": lambda z: (pm.Deterministic("kept", 1.0 * z * X[:, 0], dims="unit"), z)[1],
}


@pytest.mark.parametrize("kind", FLAT)
def test_an_array_that_is_no_column_is_taken(kind: str):
    """y = b z + noise whatever is added that tells no unit from another: the effect is b."""
    with pm.Model(coords={"unit": range(N)}) as model:
        z = pm.Data("z", X[:, 0], dims="unit")
        pm.Normal("y", pm.Normal("b") * FLAT[kind](z), np.full(N, 2.0), observed=Y, dims="unit")
    assert ("z", "y") in bc.graph_of(model).edges
    known = bc.truth(model, {"b": 1.5})
    assert float(bc.estimate(known, bc.ATE("z", "y"))) == pytest.approx(1.5)


@pytest.mark.parametrize("outcome", ["w", "y"])
def test_units_beside_an_array_of_the_model_are_not_cut(outcome: str, monkeypatch):
    """w = b x + noise has the effect b; E exp(w / 2) = exp(b x / 2 + 1 / 8)."""
    engine = importlib.import_module("bayescausal.evaluation.evaluate")
    monkeypatch.setattr(engine, "CHUNK", 4)
    monkeypatch.setattr("bayescausal.effects.averaging.closed_form.UNITS", 4)
    many = engine.BLOCK + 5
    with pm.Model(coords={"unit": range(many)}) as model:
        x = pm.Normal("x", dims="unit")
        w = pm.Normal("w", pm.Normal("b") * x * np.ones(many), dims="unit")
        pm.Normal("y", pt.exp(w / 2) + np.zeros(many), dims="unit")
    known = bc.truth(model, {"b": 1.5}, dict.fromkeys("xwy", np.linspace(-1, 1, many)))
    right = {"w": 1.5, "y": np.exp(1 / 8) * (np.exp(0.75) - 1)}[outcome]
    found = bc.estimate(known, bc.ATE("x", outcome))
    assert float(found) == pytest.approx(right, abs=6 * float(found.mc_error) + 1e-9)
    with pytest.raises(BayesCausalError, match=r"array of its own of \d+ units.*pm.Data"):
        bc.counterfactual(known, {"x": 1.0}, units=[0])


def test_constants_that_lie_along_no_unit_are_no_columns():
    with pm.Model(coords={"unit": range(N), "k": range(2)}) as model:
        x = pm.Data("x", X, dims=("unit", "k"))
        weights = np.array([1.0, 3.0])
        pm.Normal("y", (x * weights).sum(axis=1), 1, observed=Y, dims="unit")
    assert list(bc.graph_of(model).edges) == [("x", "y")]


def generative() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("treat", dims="unit")
        b, s = pm.Normal("b"), pm.HalfNormal("s", 5)
        pm.Normal("y", b * x, s, dims="unit")
    return model


@pytest.mark.parametrize("column", ["treet", "Treat", "treat ", "treats"])
def test_a_misspelt_column_is_asked_about(column: str):
    with pytest.raises(DataError, match=rf"'treat' has no column.*Did you mean '{column}'"):
        bc.fit(generative(), {column: X[:, 0], "y": Y}, **QUICK)


def test_other_columns_are_left_alone():
    data = {"treat": X[:, 0], "y": Y, "treet": X[:, 1], "note": X[:, 1]}
    assert bc.fit(generative(), data, **QUICK).latent == ()
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", dims="unit")
        pm.Normal("y", u, dims="unit")
    assert bc.fit(model, {"y": Y, "v": X[:, 0]}, **QUICK).latent == ("u",)


# ---------------------------------------------------------------------------- keywords


FIT = bc.fit(generative(), {"treat": X[:, 0], "y": Y}, **QUICK)
QUESTION = bc.ATE("treat", "y")
STUDY = {"units": 20, "replicates": 2, "progressbar": False, "seed": 1}
TAKES = {
    "fit": lambda **k: bc.fit(generative(), {"treat": X[:, 0], "y": Y}, **QUICK, **k),
    "exact": lambda **k: bc.fit(
        generative(), {"treat": X[:, 0], "y": Y}, method="exact", **QUICK, **k
    ),
    "recover": lambda **k: bc.recover(generative(), {"b": 1, "s": 1}, QUESTION, **STUDY, **k),
    "calibrate": lambda **k: bc.calibrate(generative(), QUESTION, **STUDY, **k),
    "assurance": lambda **k: bc.assurance(
        generative(), {"b": 1, "s": 1}, QUESTION, **{**STUDY, "units": [20]}, **k
    ),
    "refute": lambda **k: bc.refute(FIT, QUESTION, tests="permuted", replicates=1, **k),
    "hidden_confounder": lambda **k: bc.hidden_confounder(FIT, QUESTION, **k),
    "prior_sensitivity": lambda **k: bc.prior_sensitivity(FIT, QUESTION, **k),
}


@pytest.mark.parametrize("verb", TAKES)
def test_a_keyword_that_nobody_reads_is_refused(verb: str):
    with pytest.raises(BayesCausalError, match=r"tunee= is no option.*Did you mean 'tune'"):
        TAKES[verb](tunee=10)
    with pytest.raises(BayesCausalError, match=r"does not take trace=.*Fit\(model, trace\)"):
        TAKES[verb](trace=None)


def test_the_closest_keyword_is_ours_too_and_true_ones_pass():
    with pytest.raises(BayesCausalError, match=r"seeed= is no option.*Did you mean 'seed'"):
        TAKES["fit"](seeed=1)
    known = {"tune": 10, "target_accept": 0.9, "nuts": {"max_treedepth": 5}, "init": "adapt_diag"}
    assert TAKES["exact"](**known).n_draws == 200


# --------------------------------------------------------------- the model's own values


def observed() -> pm.Model:
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Data("x", X[:, 0], dims="unit")
        b, s = pm.Normal("b"), pm.HalfNormal("s", 5)
        pm.Normal("y", b * x, s, dims="unit", observed=Y)
    return model


def test_data_that_contradict_what_the_model_observed_are_noted():
    said = "y has other values in the data than in observed= of the model"
    other = bc.fit(observed(), {"x": X[:, 0], "y": -Y}, **QUICK)
    assert any(note.startswith(said) for note in other.notes)
    assert other.posterior["b"].mean() < 0
    same = bc.fit(observed(), {"x": X[:, 0], "y": Y}, **QUICK)
    assert not any(note.startswith(said) for note in same.notes)
    longer = bc.fit(observed(), {"x": np.r_[X[:, 0], 1.0], "y": np.r_[Y, 2.0]}, **QUICK)
    assert any(note.startswith(said) for note in longer.notes)


def test_values_that_the_model_holds_need_not_be_repeated():
    fit = bc.fit(observed(), {"y": Y}, **QUICK)
    assert any("x has no column: the values of pm.Data in the model" in n for n in fit.notes)
    assert np.array_equal(fit.columns["x"], X[:, 0])
    same = bc.fit(observed(), {"y": Y, "x": X[:, 0]}, **QUICK)
    assert np.array_equal(same.posterior["b"], fit.posterior["b"])
    with pytest.raises(DataError, match=r"no column for 'x'"):
        bc.fit(observed(), {"y": np.r_[Y, 0.0]}, **QUICK)  # of other units
    with pytest.raises(DataError, match=r"no column for 'x'.*Did you mean 'X'"):
        bc.fit(observed(), {"y": Y, "X": X[:, 1]}, **QUICK)  # spelt like it


# ------------------------------------------------------- messages that name what to do


def test_what_cannot_be_read_is_named_with_its_remedy():
    coords = {"unit": range(N)}
    with pm.Model(coords=coords) as named:
        x = pmd.Data("x", X[:, 0], dims="unit")
        pmd.Normal("y", x, 1)
    with pytest.raises(ModelError, match=r"'x' is a variable of pymc.dims.*pm\.Data\("):
        bc.graph_of(named)
    with pm.Model(coords=coords) as law:
        pmd.Normal("y", 0, 1, dims="unit")
    with pytest.raises(ModelError, match=r"'y' is a variable of pymc.dims.*pm\.Normal\("):
        bc.graph_of(law)
    with pm.Model(coords=coords) as selected:
        x = pm.Data("x", X[:, 0], dims="unit")
        pm.Potential("lik", pm.logp(pm.Normal.dist(pm.Normal("b") * x, 1), Y).sum())
    with pytest.raises(UnitDimsError, match=r"in the Potential 'lik'.*CustomDist"):
        bc.graph_of(selected)
    with pm.Model(coords=coords) as part:
        x, y = pm.Minibatch(X[:, 0], Y, batch_size=5)
        pm.Normal("y", pm.Normal("b") * x, 1, observed=y, total_size=N)
    with pytest.raises(ModelError, match=r"'y' has total_size=.*pm.Minibatch"):
        bc.graph_of(part)


def test_a_dim_is_no_variable():
    with pytest.raises(UnknownVariableError, match=r"'unit' is a dim of the model.*pm.Data"):
        bc.estimate(FIT, bc.ATE("unit", "y"))


def test_a_variable_that_pymc_set_needs_no_column():
    with pytest.raises(DataError, match=r"'treat'.*holds 1 of its values.*30 rows.*pm\.do\("):
        bc.fit(pm.do(generative(), {"treat": np.ones(1)}), {"y": Y}, **QUICK)
    done = pm.do(observed(), {"x": np.ones(N)})
    fit = bc.fit(done, {"y": Y}, **QUICK)
    assert np.array_equal(fit.columns["x"], np.ones(N))


def test_an_array_that_is_no_column_is_no_reproach():
    """Zeros fix the number of units alone: no note says that columns are in the equation."""
    with pm.Model(coords={"unit": range(30)}) as model:
        pm.Normal("y", np.zeros(30), pm.HalfNormal("s"), dims="unit")
    known = bc.truth(model, {"s": 1.0}, {"y": np.linspace(0.0, 1.0, 30)})
    assert known.notes == ()
    with pytest.raises(UnknownVariableError, match=r"'x' is not a variable.*Variables: y\."):
        known.structure.require("x")
