"""Every kind of intervention, answered through worlds, against closed forms."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy import stats
from scm_oracles import over_normal, sigmoid, within

import bayescausal as bc
from bayescausal.types import InterventionError


@pytest.fixture(scope="module")
def dose():
    """z -> dose -> m -> y, z -> y; y is quadratic in the dose, linear in m."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        d = pm.Normal("dose", z, 1, dims="unit")
        m = pm.Normal("m", 0.5 * d, 1, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * d**2 + m + z, 1, dims="unit")
    data = bc.simulate(model, {"b": 2.0}, units=60, seed=3)
    draws = np.random.default_rng(1).normal(2, 0.1, size=(2, 25))
    return bc.Fit(model, {"b": draws}, data), data, draws


def test_shift_against_the_natural_course_shares_its_noise(dose):
    """(d + 1)^2 - d^2 = 2 d + 1 for every unit; the mediator's noise cancels in every draw."""
    fit, data, draws = dose
    effect = bc.estimate(fit, bc.ATE("dose", "y", treated=bc.Shift(1)))
    wanted = draws * (2 * data.dose.mean() + 1) + 0.5
    np.testing.assert_allclose(effect.draws.values, wanted, rtol=1e-10)
    arms = [bc.Expected("y", {"dose": bc.Shift(by)}) for by in (1, 0)]
    one, zero = bc.estimate(fit, arms)
    np.testing.assert_allclose((one.draws - zero.draws).values, wanted, rtol=1e-9)
    # y is linear in the mediator, whose noise is integrated out: no seed shows
    other = bc.estimate(fit, arms[1], seed=99)
    np.testing.assert_allclose((one.draws - other.draws).values, wanted, rtol=1e-9)
    assert one.mc_error == other.mc_error == 0.0
    # alone, the natural course is what was seen: nothing is recomputed
    seen = bc.estimate(fit, bc.Expected("y"))
    np.testing.assert_allclose(seen.draws.values, data.y.mean(), rtol=1e-14)


def test_the_natural_course_recomputes_what_the_other_world_recomputes(dose):
    """E[Y] is over fresh noise of m and y given dose and z, not the observed y."""
    fit, data, draws = dose
    effect = bc.estimate(fit, bc.Contrast("y", {"dose": bc.Shift(0.5)}, None))
    np.testing.assert_allclose(
        effect.draws.values, draws * (data.dose.mean() + 0.25) + 0.25, rtol=1e-10
    )
    worlds = bc.worlds(fit, {"natural": {}, "shifted": {"dose": bc.Shift(1)}}, variables=["y", "z"])
    expected = (
        draws[..., None] * data.dose.to_numpy() ** 2 + 0.5 * data.dose.to_numpy()
        + data.z.to_numpy()
    )  # fmt: skip
    # m is averaged over `inner` replicates of its noise, so 6 of its errors (6,000 numbers)
    gap = np.abs(worlds["y"].sel(world="natural").values - expected)
    inner_error = 1 / np.sqrt(64)
    assert gap.max() < 6 * inner_error
    np.testing.assert_allclose(worlds["z"].values[0, 0, 0], data.z)


def test_scale(dose):
    fit, data, draws = dose
    effect = bc.estimate(fit, bc.ATE("dose", "y", treated=bc.Scale(1.5)))
    wanted = draws * (1.25 * (data.dose**2).mean()) + 0.25 * data.dose.mean()
    np.testing.assert_allclose(effect.draws.values, wanted, rtol=1e-10)


def test_a_shift_by_unit_and_a_value_by_unit(dose):
    fit, data, draws = dose
    by = np.linspace(-1, 1, len(data))
    effect = bc.estimate(fit, bc.Contrast("y", {"dose": bc.Shift(by)}))
    d = data.dose.to_numpy()
    wanted = draws * ((d + by) ** 2 - d**2).mean() + 0.5 * by.mean()
    np.testing.assert_allclose(effect.draws.values, wanted, rtol=1e-9, atol=1e-10)
    effect = bc.estimate(fit, bc.Contrast("y", {"dose": by}, {"dose": 0}))
    np.testing.assert_allclose(
        effect.draws.values, draws * (by**2).mean() + 0.5 * by.mean(), rtol=1e-9
    )
    with pytest.raises(InterventionError, match="shape"):
        bc.estimate(fit, bc.Contrast("y", {"dose": by[:3]}))


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        (bc.Policy(lambda z: z * 2), lambda z, d: 2 * z),
        (bc.Policy(lambda dose, z: dose * (z > 0)), lambda z, d: d * (z > 0)),
        (bc.Policy(lambda dose: np.where(dose > 1, 1.0, dose)), lambda z, d: np.minimum(d, 1)),
        (bc.Policy(lambda v: abs(v), reads=["z"]), lambda z, d: abs(z)),
        (bc.Policy(lambda z: 3.0), lambda z, d: 3.0 + 0 * z),
    ],
)
def test_policies(dose, policy, value):
    fit, data, draws = dose
    z, d = data.z.to_numpy(), data.dose.to_numpy()
    new = value(z, d)
    effect = bc.estimate(fit, bc.ATE("dose", "y", treated=policy))
    wanted = draws * (new**2 - d**2).mean() + 0.5 * (new - d).mean()
    np.testing.assert_allclose(effect.draws.values, wanted, rtol=1e-9, atol=1e-10)


def test_stochastic_interventions(dose):
    """Dose ~ Normal(1, 2): E[d^2] = 5, E[d] = 1, whatever the dose was."""
    fit, data, draws = dose
    new = bc.Stochastic(pm.Normal.dist(1, 2))
    effect = bc.estimate(fit, bc.Expected("y", {"dose": new}))
    wanted = draws * 5 + 0.5 + data.z.mean()
    assert np.max(np.abs(effect.draws.values - wanted)) < 6 * effect.mc_error  # 50 draws
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.9, dims="unit")
        pm.Normal("y", 4.0 * t, 1, dims="unit")
    known = bc.truth(model, {}, {"t": [1, 1], "y": [4.0, 4.0]})
    effect = bc.estimate(known, bc.ATE("t", "y", treated=bc.Stochastic(pm.Bernoulli.dist(0.3))))
    assert within(effect, 4 * (0.3 - 1.0))


def test_dose_response_and_slope(dose):
    fit, data, draws = dose
    values = [-1.0, 0.0, 2.0]
    curve = bc.estimate(fit, bc.DoseResponse("dose", "y", values=values, control=0.5))
    assert curve.draws.dims == ("chain", "draw", "dose")
    for v in values:
        wanted = draws * (v**2 - 0.25) + 0.5 * (v - 0.5)
        np.testing.assert_allclose(curve.draws.sel(dose=v).values, wanted, rtol=1e-9, atol=1e-10)
    plain = bc.estimate(fit, bc.DoseResponse("dose", "y", values=values))
    gap = plain.draws.sel(dose=2.0) - plain.draws.sel(dose=-1.0)
    np.testing.assert_allclose(gap.values, draws * 3 + 1.5, rtol=1e-9)
    # d/dh (d + h)^2 at each unit's own dose; the central difference of a parabola is exact
    own = bc.estimate(fit, bc.Slope("dose", "y"))
    np.testing.assert_allclose(
        own.draws.values, draws * 2 * data.dose.mean() + 0.5, rtol=1e-7
    )  # cancellation: 1e-16 * |y| / step
    at = bc.estimate(fit, bc.Slope("dose", "y", at=1.5))
    np.testing.assert_allclose(at.draws.values, draws * 3 + 0.5, rtol=1e-7)


def test_a_slope_of_a_curved_outcome_on_the_log_scale():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Poisson("y", pm.math.exp(0.3 + 0.7 * x), dims="unit")
    xs = np.array([-1.0, 0.2, 0.9])
    known = bc.truth(model, {}, {"x": xs, "y": [0, 1, 3]})
    mu = np.exp(0.3 + 0.7 * xs)
    slope = bc.estimate(known, bc.Slope("x", "y"))
    assert slope.mean() == pytest.approx((0.7 * mu).mean(), rel=1e-6)  # error: step^2 / 6 * 0.7^2
    log = bc.estimate(known, bc.Slope("x", "y", scale="log ratio"))
    assert log.mean() == pytest.approx(0.7, rel=1e-6)


# ------------------------------------------------------------------ units that touch


def test_an_equation_that_mixes_units_sees_the_intervention_on_all():
    """y = b (x - mean(x)): do(x = 1) for everyone leaves the mean of y where it is."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * (x - x.mean()) + 7, 1, dims="unit")
    xs = np.array([0.0, 1.0, 2.0, 5.0])
    draws = np.random.default_rng(1).normal(3, 1, size=(1, 20))
    fit = bc.Fit(model, {"b": draws}, {"x": xs, "y": np.zeros(4)})
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(effect.draws.values, 0.0, atol=1e-12)
    assert any("Units depend on each other" in note for note in effect.notes)
    world = bc.worlds(fit, {"one": {"x": [1.0, 0.0, 0.0, 0.0]}}, variables="y")
    np.testing.assert_allclose(
        world["y"].values[0, 0], draws.T * (np.array([1, 0, 0, 0]) - 0.25) + 7, rtol=1e-12
    )
    assert "mixes units" in world.attrs["mixing"]


# ------------------------------------------------------------------ several treatments


def several():
    with pm.Model(coords={"unit": [0]}) as model:
        a = pm.Normal("a", 0, 1, dims="unit")
        b = pm.Normal("b", 2 * a, 1, dims="unit")
        c = pm.Normal("c", b + a, 1, dims="unit")
        pm.Normal("y", a + 3 * b + 5 * c + a * b, 1, dims="unit")
    return model


def test_several_treatments_and_one_that_descends_from_another():
    """do(a, b): b keeps the value it is set to although a moves; c = b + a is recomputed."""
    rng = np.random.default_rng(1)
    data = {n: rng.normal(size=10) for n in "abcy"}
    known = bc.truth(several(), {}, data)
    effect = bc.estimate(known, bc.ATE(["a", "b"], "y", treated=[1, 2], control=[0, 0]))
    assert effect.mean() == pytest.approx(1 + 6 + 5 * 3 + 2, rel=1e-10)
    only_a = bc.estimate(known, bc.Contrast("y", {"a": 1, "b": 0}, {"a": 0, "b": 0}))
    assert only_a.mean() == pytest.approx(1 + 5, rel=1e-10)
    # without b held, it follows: b = 2, c = 3, y = 1 + 6 + 15 + E[a b] where E[b] = 2
    total = bc.estimate(known, bc.ATE("a", "y"))
    assert total.mean() == pytest.approx(1 + 6 + 15 + 2, abs=5 * max(total.mc_error, 1e-9))
    # a Shift on b acts on what b would have been in that world: 2 a + noise, then + 1
    both = bc.Contrast("y", {"a": 1, "b": bc.Shift(1)}, {"a": 1})
    shifted = bc.estimate(known, both)
    assert shifted.mean() == pytest.approx(3 + 5 + 1, rel=1e-9)


# ------------------------------------------------------------------ vectors, panels, levels


def test_a_vector_outcome_has_its_event_dim():
    with pm.Model(coords={"unit": [0], "k": ["u", "v"]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        beta = pm.Normal("beta", 0, 1, dims="k")
        pm.MvNormal("y", x[:, None] * beta, np.array([[1.0, 0.6], [0.6, 1.0]]),
                    dims=("unit", "k"))  # fmt: skip
    rng = np.random.default_rng(1)
    beta_draws = rng.normal(size=(2, 10, 2))
    data = {"x": rng.normal(size=6), "y": rng.normal(size=(6, 2))}
    fit = bc.Fit(model, {"beta": beta_draws}, data)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    assert effect.draws.dims == ("chain", "draw", "k")
    np.testing.assert_allclose(effect.draws.values, beta_draws, atol=1e-12)
    assert effect.draws.k.values.tolist() == ["u", "v"]


def panel(units=1, times=4):
    coords = {"unit": range(units), "time": range(times)}
    with pm.Model(coords=coords) as model:
        alpha = pm.Normal("alpha", 0, 1, dims="unit")
        gamma = pm.Normal("gamma", 0, 1, dims="time")
        t = pm.Bernoulli("t", logit_p=alpha[:, None] + gamma, dims=("unit", "time"))
        b = pm.Normal("b")
        pm.Normal("y", alpha[:, None] + gamma + b * t * gamma, 1, dims=("unit", "time"))
    return model


def test_a_panel_of_units_and_times():
    model = panel(5, 4)
    rng = np.random.default_rng(2)
    alpha, gamma = rng.normal(size=(2, 6, 5)), rng.normal(size=(2, 6, 4))
    b = rng.normal(size=(2, 6))
    data = {"t": rng.integers(0, 2, (5, 4)), "y": rng.normal(size=(5, 4))}
    fit = bc.Fit(model, {"alpha": alpha, "gamma": gamma, "b": b}, data)
    assert fit.structure.unit_dims == ("unit", "time")
    assert fit.latent == ("alpha", "gamma")
    effect = bc.estimate(fit, bc.ATE("t", "y"))
    np.testing.assert_allclose(effect.draws.values, b * gamma.mean(-1), atol=1e-12)
    att = bc.estimate(fit, bc.ATT("t", "y"))
    treated = data["t"] == 1
    per_draw = np.broadcast_to(gamma[:, :, None, :], (2, 6, 5, 4))[:, :, treated].mean(-1)
    np.testing.assert_allclose(att.draws.values, b * per_draw, atol=1e-12)
    # a cell of the panel may be set alone
    one = np.zeros((5, 4), dtype=int)
    one[2, 3] = 1
    single = bc.estimate(fit, bc.Contrast("y", {"t": one}, {"t": 0}))
    np.testing.assert_allclose(single.draws.values, b * gamma[..., 3] / 20, atol=1e-12)


def schools(n_pupils, n_schools):
    with pm.Model(coords={"school": range(n_schools), "pupil": range(n_pupils)}) as model:
        idx = pm.Data("idx", np.arange(n_pupils) % n_schools, dims="pupil")
        w = pm.Bernoulli("w", 0.5, dims="school")
        theta = pm.Normal("theta")
        a = pm.Normal("a", theta * w, 1, dims="school")
        x = pm.Normal("x", 0, 1, dims="pupil")
        pm.Normal("y", 2 * a[idx] + x, 1, dims="pupil")
    return model


def test_a_treatment_of_schools_reaches_pupils_through_a_latent_effect():
    """w[school] -> a[school] -> y[pupil]: 2 theta. The draws of a must not be kept."""
    model = schools(12, 4)
    rng = np.random.default_rng(1)
    theta = rng.normal(1, 0.3, size=(2, 10))
    data = {"w": np.array([0, 1, 0, 1]), "x": rng.normal(size=12), "y": rng.normal(size=12)}
    data["idx"] = np.arange(12) % 4
    levels = ("school", "pupil")
    fit = bc.Fit(model, {"theta": theta, "a": rng.normal(size=(2, 10, 4))}, data, unit_dims=levels)
    assert set(bc.graph_of(model, unit_dims=levels).edges) >= {("w", "a"), ("a", "y")}
    effect = bc.estimate(fit, bc.ATE("w", "y"))
    np.testing.assert_allclose(effect.draws.values, 2 * theta, atol=1e-10)
    on_a = bc.estimate(fit, bc.ATE("w", "a"))
    np.testing.assert_allclose(on_a.draws.values, theta, atol=1e-12)
    # subgroups are formed by pupils; those of a school by the index that says who belongs to it
    high = bc.estimate(fit, bc.CATE("w", "y", given={"x": (0, None)}))
    np.testing.assert_allclose(high.draws.values, 2 * theta, atol=1e-10)
    everyone = bc.estimate(fit, bc.CATE("w", "y", given={"a": (-9, None)}))
    np.testing.assert_allclose(everyone.draws.values, 2 * theta, atol=1e-10)


def test_a_group_effect_that_is_a_parameter_is_recomputed_when_its_prior_reads_the_treatment():
    """With pupils as the only units, w and a lie between: still not zero."""
    with pm.Model(coords={"pupil": range(6), "school": range(2)}) as model:
        x = pm.Normal("x", 0, 1, dims="pupil")
        a = pm.Normal("a", 3 * x.mean(), 1, dims="school")
        pm.Normal("y", a[np.array([0, 0, 0, 1, 1, 1])], 1, dims="pupil")
    rng = np.random.default_rng(1)
    fit = bc.Fit(
        model, {"a": rng.normal(size=(2, 10, 2))}, {"x": rng.normal(size=6), "y": np.zeros(6)}
    )
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(effect.draws.values, 3.0, atol=1e-10)


# ------------------------------------------------------------------ discrete outcomes behind noise


def test_a_latent_noise_of_a_count_mediator_is_summed():
    """X -> Poisson M -> Y: E sigmoid(M - 1) by the Poisson's own sum."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Poisson("m", 1 + x, dims="unit")
        pm.Bernoulli("y", logit_p=m - 1, dims="unit")
    k = np.arange(60)
    wanted = sum(
        s * (stats.poisson.pmf(k, mu) * sigmoid(k - 1)).sum() for s, mu in ((1, 2.0), (-1, 1.0))
    )
    effect = bc.estimate(bc.truth(model, {}, draws=4), bc.ATE("x", "y"))
    assert within(effect, wanted)


def test_a_deterministic_on_the_way_is_intervened_on():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        risk = pm.Deterministic("risk", pm.math.sigmoid(x), dims="unit")
        pm.Normal("y", 4 * risk + x, 1, dims="unit")
    known = bc.truth(model, {}, {"x": [0.5, -0.5], "y": [0.0, 0.0]})
    effect = bc.estimate(known, bc.ATE("risk", "y", treated=0.9, control=0.1))
    assert effect.mean() == pytest.approx(3.2, rel=1e-12)
    through = bc.estimate(known, bc.ATE("x", "y"))
    assert through.mean() == pytest.approx(4 * (sigmoid(1) - 0.5) + 1, rel=1e-12)
    shown = bc.estimate(known, bc.Expected("risk", {"x": 2}))
    assert shown.mean() == pytest.approx(sigmoid(2), rel=1e-12)


def test_a_new_mechanism_is_a_model():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.Normal("y", 2 * t, 1, dims="unit")
    new = bc.intervene(model, {"t": pm.Bernoulli.dist(logit_p=3 * z)})
    wanted = 2 * over_normal(lambda v: sigmoid(3 * v))
    effect = bc.estimate(bc.truth(new, {}, draws=4), bc.Expected("y"))
    assert within(effect, wanted)


def test_an_equation_of_many_terms():
    """Forty covariates written out one by one: NumPy's kernels take at most 32 operands."""
    k = 40
    with pm.Model(coords={"unit": [0]}) as model:
        b = [pm.Normal(f"b{i}") for i in range(k)]
        x = [pm.Normal(f"x{i}", 0, 1, dims="unit") for i in range(k)]
        pm.Normal("y", sum(w * v for w, v in zip(b, x, strict=True)), 1, dims="unit")
    params = {f"b{i}": i / 10 for i in range(k)}
    data = bc.simulate(model, params, units=20, seed=1)
    known = bc.truth(model, params, data)
    one, zero = bc.estimate(known, [bc.Expected("y", {"x39": 1}), bc.Expected("y", {"x39": 0})])
    rest = sum(i / 10 * data[f"x{i}"] for i in range(k - 1)).mean()
    assert one.mean() == pytest.approx(3.9 + rest, rel=1e-10)
    assert zero.mean() == pytest.approx(rest, rel=1e-10)
