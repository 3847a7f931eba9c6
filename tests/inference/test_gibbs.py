"""Many scales beside coefficients: against integration, against NUTS, by simulation."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import integrate, stats

import bayescausal as bc
from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.conditioning.row_sums import accumulate
from bayescausal.inference.hierarchies import gibbs, hierarchy
from bayescausal.inference.hierarchies.coefficients import posterior_of
from bayescausal.inference.hierarchies.collapsed import Collapsed
from bayescausal.inference.hierarchies.scale_factors import Factors
from bayescausal.model.structure.read import structure_of

J, ROWS = 14, 3


@pytest.fixture(autouse=True)
def _chains_from_thirteen_scales(monkeypatch):
    """Small models go to the sampler that is tested here."""
    monkeypatch.setattr(hierarchy, "FEW_SCALES", 12)


def means(centred):
    """Return a model of `J` group means with a scale each."""
    with pm.Model(coords={"unit": [0], "g": range(J)}) as model:
        g = pm.Data("g_of", [0], dims="unit")
        tau = pm.HalfCauchy("tau", 1.0)
        lam = pm.HalfStudentT("lam", nu=3, sigma=1.0, dims="g")
        if centred:
            b = pm.Normal("b", 0, tau * lam, dims="g")
        else:
            z = pm.Normal("z", 0, 1, dims="g")
            b = pm.Deterministic("b", z * tau * lam, dims="g")
        pm.Normal("y", b[g], 1.0, dims="unit")
    return model


def table(seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(J), ROWS)
    b = np.where(np.arange(J) < 3, 4.0, 0.0)
    return {"g_of": g, "y": b[g] + rng.normal(size=J * ROWS)}


def exact(data):
    """Return moments of log tau and the means of the groups, by integration.

    Given tau the groups are independent, and of each the sd of its mean is the one unknown.
    """
    at = np.array([data["y"][data["g_of"] == j].mean() for j in range(J)])
    u = np.linspace(-9, 9, 1201)  # log lam
    prior = np.log(2) + stats.t.logpdf(np.exp(u), 3) + u
    grid = np.linspace(-7, 5, 481)  # log tau
    log, mean = np.zeros_like(grid), np.zeros((len(grid), J))
    for i, v in enumerate(grid):
        spread = np.exp(2 * (u + v))
        joint = prior + stats.norm.logpdf(at[:, None], 0, np.sqrt(spread + 1 / ROWS))
        top = joint.max(axis=1, keepdims=True)
        weight = np.exp(joint - top)
        total = integrate.simpson(weight, x=u)
        mean[i] = at * integrate.simpson(weight * spread / (spread + 1 / ROWS), x=u) / total
        log[i] = (np.log(total) + top[:, 0]).sum() + stats.halfcauchy.logpdf(np.exp(v)) + v
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    first = weight @ grid
    return first, np.sqrt(weight @ (grid - first) ** 2), weight @ mean


@pytest.mark.parametrize(
    ("centred", "few"),
    [(True, 12), (False, 12), (False, 24)],
    ids=["gibbs, centred", "gibbs", "ensemble"],
)
def test_scales_and_means_are_those_of_the_integrals(centred, few, monkeypatch):
    monkeypatch.setattr(hierarchy, "FEW_SCALES", few)
    data = table()
    first, sd, mean = exact(data)
    fit = bc.fit(means(centred), data, draws=300, chains=2, seed=2, progressbar=False)
    [method] = {m for n, m in fit.methods.items() if "tau" in str(n)}
    drawn = {12: "gibbs (coefficients given scales)", 24: "coefficients integrated out"}
    assert method == drawn[few]
    tau = np.log(fit.posterior["tau"].values)
    found = diagnose(np.stack([tau, (tau - first) ** 2]))
    # five standard errors of the chains' own mean, and of their variance
    assert abs(tau.mean() - first) < 5 * found["mcse_mean"][0]
    assert abs(tau.var() - sd**2) < 5 * found["mcse_mean"][1]
    b = fit.posterior["b"].values
    error = diagnose(np.moveaxis(b, 2, 0))["mcse_mean"]
    assert np.all(np.abs(b.mean((0, 1)) - mean) < 5 * error)
    assert fit.diagnostics.r_hat < 1.05


def block(centred, data, *, chains=True):
    """Return the sampler of a model and its sums, or the reason why there is none."""
    structure = structure_of(means(centred))
    plan = make_plan(structure, set(data), generalised=chains)
    if plan.rest:
        return plan.rest[0][1]
    return plan.samplers[0], accumulate(plan.samplers[0], structure, data)


def forms(kind):
    """Return a model of `J` groups in which coefficients are read and given priors in some way."""
    with pm.Model(coords={"unit": [0], "g": range(J)}) as model:
        g = pm.Data("g_of", [0], dims="unit")
        tau = pm.HalfNormal("tau", 1.0)
        lam = pm.HalfNormal("lam", 1.0, dims="g")
        s = pm.HalfNormal("s", 1.0)
        mu = pm.Normal("mu", 0, 1)
        if kind == "centred about a mean":
            b = pm.Normal("b", mu, tau * lam, dims="g")[g]
        elif kind == "standard about a mean":
            b = (tau * lam * pm.Normal("z", mu, 1, dims="g"))[g]
        elif kind == "mean beside":
            b = mu + (tau * lam * pm.Normal("z", 0, 1, dims="g"))[g]
        else:
            b = mu + tau + (lam * pm.Normal("z", 0, tau, dims="g"))[g]
        pm.Normal("y", b, s, dims="unit")
    return model


@pytest.mark.parametrize(
    "kind", ["centred about a mean", "standard about a mean", "mean beside", "a scale in the mean"]
)
def test_factors_are_the_density_of_what_is_held(kind):
    """Two points apart, they differ as the joint density does and the volume that it is held in.

    Where c' is what the coefficients become, log p(h', c', y) - log p(h, c, y) + log |dc'/dc|, the
    first two from PyMC's own density and the last from the moves of each coefficient.
    """
    model, data = forms(kind), table()
    structure = structure_of(model)
    plan = make_plan(structure, set(data), generalised=True)
    [sampler] = plan.samplers
    posterior = posterior_of(sampler.hierarchy, accumulate(sampler, structure, data))
    factors, rng = Factors(posterior), np.random.default_rng(6)
    held = pm.observe(fitted(model, data), {"y": data["y"]})
    density = held.compile_logp(mode="FAST_COMPILE")

    def joint(points, flat):
        names = dict(
            zip([n for n, _ in posterior.map.sizes], posterior.map._split(points), strict=True)
        )
        values = {f"{n}_log__": v[0] for n, v in names.items()}
        return float(
            density(values | {n: v[0] for n, v in posterior.map.back(points, flat).items()})
        )

    points, flat = (
        0.3 * rng.standard_normal((2, factors.map.dimension)),
        rng.normal(size=(1, factors.size)),
    )
    now, new = factors.at(points[:1]), factors.at(points[1:])
    weak = rng.random(len(factors.own)) < 0.5
    for mask in (factors.none, factors.standardised(weak), factors.standardised(weak | True)):
        after = factors.holding(now, flat, mask)(new)
        rows = [factors.holding(now, flat + e, mask)(new) - after for e in np.eye(factors.size)]
        volume = np.linalg.slogdet(np.concatenate(rows))[1]
        found = factors.terms(new, after, mask).sum() - factors.terms(now, flat, mask).sum()
        want = joint(points[1:], after) - joint(points[:1], flat) + volume
        assert found == pytest.approx(want, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("centred", [True, False])
def test_a_scale_is_chosen_by_the_integral_over_its_coefficient(centred):
    """Of nearly equal columns; each integral by a rule over what the factors say.

    Without noise, the most likely of three points is taken, and then the mean of the coefficient.
    """
    rng = np.random.default_rng(9)
    n, p = 60, 13
    x = rng.normal(size=(n, p)) + 2 * rng.normal(size=(n, 1))
    with pm.Model(coords={"unit": range(n), "k": range(p)}) as model:
        design = pm.Data("x", x, dims=("unit", "k"))
        tau = pm.HalfNormal("tau", 1.0)
        lam = pm.HalfStudentT("lam", nu=3, sigma=1.0, dims="k")
        middle = pm.Normal("m", 0, 1)
        if centred:
            b = pm.Normal("b", middle, tau * lam, dims="k")
        else:
            b = pm.Normal("z", middle, 1, dims="k") * tau * lam
        pm.Normal("y", design @ b, pm.HalfNormal("s", 1.0), dims="unit")
    data = {"x": x, "y": x[:, :3].sum(axis=1) + rng.normal(size=n)}
    structure = structure_of(model)
    [sampler] = make_plan(structure, set(data), generalised=True).samplers
    posterior = posterior_of(sampler.hierarchy, accumulate(sampler, structure, data))
    factors = Factors(posterior)
    reads = factors.reads()
    parts = [Collapsed(factors, reads, c) for c in gibbs._classes(reads)]
    assert sorted(len(c.scales) for c in parts)[-1] == p
    part = max(parts, key=lambda c: len(c.scales))
    points = 0.5 * rng.standard_normal((1, factors.map.dimension))
    tried = np.tile(points, (2, 1))
    tried[:, part.scales] += rng.normal(size=(2, p))
    at, new = factors.at(points), factors.at(tried)
    flat = posterior.coefficients(points, rng)

    class Silent:
        gumbel = staticmethod(lambda size: np.zeros(size))
        standard_normal = staticmethod(lambda size: np.zeros(size))

    chosen, effective, _ = part.move(at, new, flat, Silent())
    at_points, at_flat = points.copy(), flat.copy()
    for i, k in enumerate(part.scales):
        places = np.tile(at_points, (3, 1))
        places[1:, k] = tried[:, k]
        here = factors.at(places)
        column = part.columns[i]
        size = here.entries[:, part.entries[i]]
        base = here.base[:, part.rows[i]]
        u = np.linspace(-30, 30, 200_001)
        log = np.empty((3, len(u)))
        for j in range(3):
            one = factors.at(places[j : j + 1])
            few = []
            for v in u[[50_000, 100_000, 150_000]]:  # a parabola
                known = at_flat.copy()
                known[0, column] = (v - base[j]) / size[j]
                few.append(factors.terms(one, known, factors.none).sum())
            log[j] = np.polyval(np.polyfit(u[[50_000, 100_000, 150_000]], few, 2), u)
        top = log.max()
        mass = np.exp(log - top).sum(axis=1)
        best = int(np.argmax(mass))
        assert np.diff(np.sort(mass))[-1] > 1e-6 * mass.max()
        assert chosen[0, i] == best
        mean = (np.exp(log[best] - top) @ u) / mass[best]
        assert effective[0, i] == pytest.approx(mean, abs=1e-5)
        at_points = places[best : best + 1]
        at_flat[0, column] = (effective[0, i] - base[best]) / size[best]


def fitted(model, data):
    """Return a model with its columns set."""
    with model:
        pm.set_data({"g_of": data["g_of"]}, coords={"unit": range(len(data["y"]))})
    return model


def test_scales_that_are_read_in_some_places_alone_are_seen():
    """A floor that the starts do not reach: above it tau and lam are not independent."""
    with pm.Model(coords={"unit": [0], "g": range(J)}) as model:
        g = pm.Data("g_of", [0], dims="unit")
        tau = pm.HalfNormal("tau", 20.0)
        lam = pm.HalfNormal("lam", 1.0, dims="g")
        b = pm.Normal("b", 0, pm.math.maximum(tau, 6.0) * lam, dims="g")
        pm.Normal("y", b[g], 1.0, dims="unit")
    data = table()
    structure = structure_of(model)
    [sampler] = make_plan(structure, set(data), generalised=True).samplers
    posterior = posterior_of(sampler.hierarchy, accumulate(sampler, structure, data))
    low = posterior.map.starts[:, [n for n, _ in posterior.map.sizes].index("tau")] < 1.0
    near = replace(posterior.map, starts=posterior.map.starts[low])
    posterior.map = near
    with pytest.raises(ArithmeticError, match="in some places"):
        gibbs.draw_by_gibbs(posterior, 400, np.random.default_rng(1))


@pytest.mark.parametrize("kind", ["noise", "another's spread"])
def test_scales_whose_coefficient_is_integrated_out_are_seen_too(kind):
    """Beyond 6 the first scale is read by the noise, or by the prior of another coefficient."""
    rng = np.random.default_rng(11)
    n, p = 60, 14
    x = rng.normal(size=(n, p))
    with pm.Model(coords={"unit": range(n), "k": range(p)}) as model:
        design = pm.Data("x", x, dims=("unit", "k"))
        tau = pm.HalfNormal("tau", 0.3)
        h = pm.HalfNormal("h", 3.0, dims="k")
        floor = pm.math.maximum(6.0, h[0]) / 6.0
        more = floor if kind == "another's spread" else 1.0
        b = pm.Normal("b", 0, tau * pt.set_subtensor(h[1], h[1] * more), dims="k")
        pm.Normal("y", design @ b, floor if kind == "noise" else 1.0, dims="unit")
    data = {"x": x, "y": x[:, 0] + 2 * rng.normal(size=n)}
    structure = structure_of(model)
    [sampler] = make_plan(structure, set(data), generalised=True).samplers
    posterior = posterior_of(sampler.hierarchy, accumulate(sampler, structure, data))
    at = [n for n, _ in posterior.map.sizes].index("h")
    place = sum(int(np.prod(s)) for _, s in posterior.map.sizes[:at])
    low = posterior.map.starts[:, place] < 1.0
    posterior.map = replace(posterior.map, starts=posterior.map.starts[low])
    with pytest.raises(ArithmeticError, match="in some places"):
        gibbs.draw_by_gibbs(posterior, 2_000, np.random.default_rng(1))


def test_few_draws_are_picked_from_chains_that_mix():
    fit = bc.fit(means(True), table(), draws=3, chains=1, seed=1, progressbar=False)
    assert "gibbs (coefficients given scales)" in fit.methods.values()
    assert fit.posterior.sizes["draw"] == 3


def test_both_parametrisations_are_one_model(monkeypatch):
    """The same random numbers make the same draws, but for rounding: centred or not."""
    monkeypatch.setattr(gibbs, "WARM", 30)
    monkeypatch.setattr(gibbs, "RHAT", np.inf)
    monkeypatch.setattr(gibbs, "LEAST", 0.0)
    data = table()
    draws = []
    for centred in (True, False):
        sampler, sums = block(centred, data)
        draws.append(sampler.draw(sums, 80, 5))
    draws[1]["b"] = draws[1].pop("z") * draws[1]["tau"][:, None] * draws[1]["lam"]
    for name in ("tau", "lam", "b"):
        np.testing.assert_allclose(draws[0][name], draws[1][name], rtol=1e-6)


def test_methods_that_are_exact_do_not_take_it():
    assert isinstance(block(True, table(), chains=False), str)
    with pytest.raises(bc.BayesCausalError, match="no exact method"):
        bc.fit(means(True), table(), method="exact")


def test_chains_that_do_not_mix_give_no_draws(monkeypatch):
    monkeypatch.setattr(gibbs, "WARM", 5)
    monkeypatch.setattr(gibbs, "SEVERE", 0.5)
    monkeypatch.setattr(gibbs, "RHAT", 0.5)
    sampler, sums = block(True, table())
    with pytest.raises(ArithmeticError, match="do not mix"):
        sampler.draw(sums, 40, 1)


@pytest.mark.slow
@pytest.mark.timeout(2400)  # 150 chains of some five seconds each
@pytest.mark.parametrize("kind", ["centred", "regularised"])
def test_calibration_by_simulation(kind):
    """Ranks of true values among draws are uniform (Talts and others, 2018)."""
    rng = np.random.default_rng(8)
    n, p, fits, draws = 60, 13, 150, 63
    x = rng.normal(size=(n, p))

    def model():
        with pm.Model(coords={"unit": range(n), "k": range(p)}) as made:
            design = pm.Data("x", x, dims=("unit", "k"))
            tau = pm.HalfNormal("tau", 1.0)
            lam = pm.HalfStudentT("lam", nu=3, sigma=1.0, dims="k")
            s = pm.HalfNormal("s", 1.0)
            if kind == "centred":
                b = pm.Normal("b", 0, tau * lam, dims="k")
            else:
                c2 = pm.InverseGamma("c2", 3.0, 3.0)
                scale = tau * lam * pm.math.sqrt(c2 / (c2 + tau**2 * lam**2))
                b = pm.Deterministic("b", pm.Normal("z", dims="k") * scale, dims="k")
            pm.Normal("y", design @ b, s, dims="unit")
        return made

    made = model()
    refit = bc.Refitter(made, ["x", "y"], draws=draws * 8, chains=1)
    simulated = pm.draw([made[v] for v in ("tau", "lam", "s", "b", "y")], fits, random_seed=4)
    ranks = []
    for i in range(fits):
        tau, lam, s, b, y = (v[i] for v in simulated)
        posterior = refit.fit({"x": x, "y": y}, seed=i).posterior.isel(chain=0)
        truth = {"tau": tau, "lam": lam[0], "s": s, "b": b[0]}
        for name, value in truth.items():
            found = posterior[name].values.reshape(draws * 8, -1)[::8, 0]
            ranks.append((name, (found < value).sum()))
    for name in truth:
        own = np.array([r for n, r in ranks if n == name])
        counts = np.histogram(own, bins=8, range=(0, draws + 1))[0]
        assert stats.chisquare(counts).pvalue > 0.001, (name, counts)
