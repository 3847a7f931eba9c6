"""Coefficients with a scale of their own each: Gibbs rounds, against draws that are exact."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.conditioning.plan import accumulate
from bayescausal.inference.hierarchies import many_scales
from bayescausal.inference.hierarchies.coefficients import CoefficientBlock
from bayescausal.inference.hierarchies.hierarchy import coefficient_block
from bayescausal.inference.hierarchies.many_scales import draw_many_scales
from bayescausal.model.structure.read import structure_of


def _model(columns, centred=False, wide=False):
    names = [f"x{i}" for i in range(columns)]
    with pm.Model(coords={"unit": [0], "column": names}) as model:
        of = pm.math.stack([pm.Data(n, np.zeros(1), dims="unit") for n in names], axis=1)
        tau = pm.HalfCauchy("tau", 0.3)
        if wide:  # scales whose law is that of another, and a slab
            local = pm.HalfStudentT("local", 3, tau, dims="column")
            spread = local
        else:
            local = pm.HalfCauchy("local", 1, dims="column")
            spread = tau * local
        if centred:
            b = pm.Normal("b", 0, spread, dims="column")
        else:
            b = pm.Normal("z", 0, 1, dims="column") * spread
        pm.Normal("y", pm.Normal("a", 1, 2) + of @ b, pm.HalfNormal("sigma", 2), dims="unit")
    return model, names


def _table(columns, names, rows=40):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(rows, columns))
    x[:, 1] += 0.8 * x[:, 0]
    y = 0.5 + x[:, 0] + 0.2 * x[:, -1] + rng.normal(size=rows)
    return {**dict(zip(names, x.T, strict=True)), "y": y}


def _block(model, data):
    structure = structure_of(model)
    [block] = split(structure, {"y"}, ())
    found = coefficient_block(structure, block, set(data))
    assert isinstance(found, CoefficientBlock), found
    return found, accumulate(found, structure, data)


FORMS = [
    pytest.param({}, 1_200, id="product"),
    pytest.param({}, 4_000, marks=pytest.mark.slow, id="product, long"),
    pytest.param({"centred": True}, 4_000, marks=pytest.mark.slow, id="centred"),
    pytest.param({"wide": True}, 4_000, marks=pytest.mark.slow, id="law of a law"),
]


@pytest.mark.parametrize(("form", "size"), FORMS)
def test_rounds_draw_what_is_drawn_at_once(form, size, monkeypatch):
    monkeypatch.setattr(many_scales, "ROUNDS", size)
    monkeypatch.setattr(many_scales, "WARM", max(size // 4, 400))
    model, names = _model(3, **form)
    block, statistics = _block(model, _table(3, names))
    assert not block.many
    exact = block.draw(statistics, 4_000, 1)
    rounds = draw_many_scales(block.hierarchy, statistics, size, np.random.default_rng(2))
    assert set(rounds) == set(exact)
    for name, one in exact.items():
        two = rounds[name]
        if name in ("tau", "local", "sigma"):
            one, two = np.log(one), np.log(two)
        chains = two.reshape(4, size // 4, -1)
        worth = diagnose(np.moveaxis(chains, 2, 0))
        error = np.sqrt(1 / 3_000 + 1 / worth["ess_bulk"])
        one, two = one.reshape(4_000, -1), two.reshape(size, -1)
        sd = one.std(axis=0)
        assert np.all(np.abs(one.mean(axis=0) - two.mean(axis=0)) < 4.5 * sd * error), name
        assert np.all(np.abs(np.log(two.std(axis=0) / sd)) < 0.05 + 4.5 * error), name
        assert np.all(worth["r_hat"] < 1.05), name


def test_many_scales_are_drawn_in_rounds():
    model, names = _model(12)
    block, _ = _block(model, _table(12, names))
    assert block.many
    assert block.method == "coefficients integrated out (gibbs)"
    few, names = _model(3)
    assert _block(few, _table(3, names))[0].method == "coefficients integrated out"


@pytest.mark.slow
def test_a_horseshoe_of_many_columns():
    model, names = _model(12)
    fit = bc.fit(model, _table(12, names), seed=3, draws=250, progressbar=False)
    assert set(fit.methods.values()) == {"coefficients integrated out (gibbs)"}
    assert fit.diagnostics.divergences == 0
    found = np.asarray(fit.posterior["z"] * fit.posterior["tau"] * fit.posterior["local"])
    large = np.abs(found.mean((0, 1)))
    assert np.argmax(large) == 0
    again = bc.fit(model, _table(12, names), seed=3, draws=250, progressbar=False)
    np.testing.assert_array_equal(again.posterior["tau"], fit.posterior["tau"])


def test_another_form_goes_to_a_chain():
    """Each effective coefficient must read one coefficient."""
    names = [f"x{i}" for i in range(3)]
    with pm.Model(coords={"unit": [0], "column": names}) as model:
        of = pm.math.stack([pm.Data(n, np.zeros(1), dims="unit") for n in names], axis=1)
        local = pm.HalfCauchy("local", 1, dims="column")
        z = pm.Normal("z", 0, local, dims="column")
        both = z + pm.Normal("u")
        pm.Normal("y", of @ both, pm.HalfNormal("sigma"), dims="unit")
    block, statistics = _block(model, _table(3, names))
    with pytest.raises(ArithmeticError, match="read several coefficients"):
        draw_many_scales(block.hierarchy, statistics, 40, np.random.default_rng(2))


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_calibration_by_simulation(monkeypatch):
    """Ranks of what was drawn from the prior among draws of the posterior are uniform."""
    monkeypatch.setattr(many_scales, "ROUNDS", 160)
    monkeypatch.setattr(many_scales, "WARM", 300)
    monkeypatch.setattr(many_scales, "LEARN", (100, 200))
    columns, rows, kept = 4, 15, 63
    model, names = _model(columns)
    rng = np.random.default_rng(5)
    ranks = {n: [] for n in ("tau", "sigma", "local", "b")}
    structure = structure_of(model)
    [own] = split(structure, {"y"}, ())
    block = coefficient_block(structure, own, {*names, "y"})
    for k in range(200):
        x = rng.normal(size=(rows, columns))
        tau, local = 0.3 * abs(rng.standard_cauchy()), np.abs(rng.standard_cauchy(columns))
        sigma, a = abs(2 * rng.normal()), 1 + 2 * rng.normal()
        b = rng.normal(size=columns) * tau * local
        y = a + x @ b + sigma * rng.normal(size=rows)
        data = {**dict(zip(names, x.T, strict=True)), "y": y}
        statistics = accumulate(block, structure, data)
        found = draw_many_scales(block.hierarchy, statistics, 4 * 16, np.random.default_rng([6, k]))
        drawn = found["z"] * found["tau"][:, None] * found["local"]
        truth = {"tau": tau, "sigma": sigma, "local": local[0], "b": b[0]}
        have = {
            "tau": found["tau"],
            "sigma": found["sigma"],
            "local": found["local"][:, 0],
            "b": drawn[:, 0],
        }
        for n, value in truth.items():
            ranks[n].append((have[n][:kept] < value).sum())
    for n, found in ranks.items():
        counts = np.bincount(np.array(found) // 8, minlength=8)
        assert stats.chisquare(counts).pvalue > 1e-3, (n, counts)
