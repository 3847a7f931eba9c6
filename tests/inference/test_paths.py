"""Paths along time, integrated out, against a Kalman filter and dense Gaussian algebra.

The oracle writes each model as a state space by hand, in numpy: a filter for the likelihood of the
scales, and the joint Gaussian of states and observations, conditioned, for what is drawn back.
Neither knows of precisions, walks or bands.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy.linalg import block_diag

import bayescausal as bc
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.conditioning.row_sums import accumulate
from bayescausal.inference.data.read import read_data
from bayescausal.inference.hierarchies import coefficients

TIMES = 30
SHARED = Path(__file__).resolve().parents[3] / "shared"
EXACT = "coefficients integrated out"


def table(seed=1, times=TIMES):
    rng = np.random.default_rng(seed)
    t = np.arange(times)
    return pd.DataFrame(
        {
            "y": np.cumsum(rng.normal(size=times)) + rng.normal(size=times),
            "x": rng.normal(size=times),
            "t": t,
        }
    )


@dataclass
class Space:
    """A linear Gaussian state space: s' = M s + N(drift, Q); y = Z s + N(0, H)."""

    first: np.ndarray
    spread: np.ndarray
    moves: np.ndarray
    noise: np.ndarray
    reads: np.ndarray  # (times, states)
    error: float
    drift: np.ndarray | None = None
    early: tuple = ()  # moves, noise and drift of the first steps, where they are others

    def step(self, t):
        if t <= len(self.early):
            return self.early[t - 1]
        drift = np.zeros(len(self.first)) if self.drift is None else self.drift
        return self.moves, self.noise, drift

    def joint(self):
        """Mean and covariance of all states, (times * states)."""
        times, k = self.reads.shape
        mean, cov = [self.first], np.zeros((times, k, times, k))
        cov[0, :, 0] = self.spread
        for t in range(1, times):
            moves, noise, drift = self.step(t)
            mean.append(moves @ mean[-1] + drift)
            for s in range(t):
                cov[t, :, s] = moves @ cov[t - 1, :, s]
                cov[s, :, t] = cov[t, :, s].T
            cov[t, :, t] = moves @ cov[t - 1, :, t - 1] @ moves.T + noise
        return np.concatenate(mean), cov.reshape(times * k, times * k)

    def log_likelihood(self, y):
        """By a Kalman filter; empty cells are passed over."""
        a, p, total = self.first, self.spread, 0.0
        for t, value in enumerate(y):
            if t:
                moves, noise, drift = self.step(t)
                a, p = moves @ a + drift, moves @ p @ moves.T + noise
            if np.isnan(value):
                continue
            z = self.reads[t]
            f, v = z @ p @ z + self.error**2, value - z @ a
            gain = p @ z / f
            total -= 0.5 * (np.log(2 * np.pi * f) + v**2 / f)
            a, p = a + gain * v, p - np.outer(gain, z @ p)
        return total

    def smoothed(self, y):
        """Mean and covariance of all states given y."""
        mean, cov = self.joint()
        times, k = self.reads.shape
        seen = np.flatnonzero(~np.isnan(y))
        z = np.zeros((len(seen), times * k))
        for row, t in enumerate(seen):
            z[row, t * k : (t + 1) * k] = self.reads[t]
        s = z @ cov @ z.T + self.error**2 * np.eye(len(seen))
        gain = np.linalg.solve(s, z @ cov).T
        return mean + gain @ (y[seen] - z @ mean), cov - gain @ z @ cov


def fixed(space, column, sd):
    """A state space with a coefficient beside it: a state that stays."""
    return Space(
        np.append(space.first, 0.0),
        block_diag(space.spread, sd**2),
        block_diag(space.moves, 1.0),
        block_diag(space.noise, 0.0),
        np.column_stack([space.reads, column]),
        space.error,
        None if space.drift is None else np.append(space.drift, 0.0),
        tuple(
            (block_diag(m, 1.0), block_diag(q, 0.0), np.append(d, 0.0)) for m, q, d in space.early
        ),
    )


def one(times=TIMES):
    return np.ones((times, 1))


# ---- models, each beside its state space at given scales, and which states are which coefficient


def walk():
    s = pm.HalfNormal("s", 1)
    level = pm.GaussianRandomWalk(
        "level", mu=0.1, sigma=s, init_dist=pm.Normal.dist(1, 3), dims="t"
    )
    return level


def walk_space(v, x):
    space = Space(
        np.array([1.0]),
        np.array([[9.0]]),
        np.eye(1),
        np.array([[v["s"] ** 2]]),
        one(),
        v["sigma"],
        np.array([0.1]),
    )
    return space, {"level": 0}


def autoregression():
    rho = pm.Normal("rho", 0.3, 0.5, shape=3)
    s = pm.HalfNormal("s", 1)
    return pm.AR("level", rho, s, constant=True, init_dist=pm.Normal.dist(0, 2), dims="t")


def autoregression_space(v, x):
    c, a, b = v["rho"]
    start = np.diag([4.0, 0.0])  # states: now, and the step before; two starts are N(0, 2)
    space = Space(
        np.zeros(2),
        start,
        np.array([[a, b], [1.0, 0.0]]),
        np.diag([v["s"] ** 2, 0.0]),
        np.column_stack([one(), 0 * one()]),
        v["sigma"],
        np.array([c, 0.0]),
        ((np.array([[0.0, 0.0], [1.0, 0.0]]), start, np.zeros(2)),),
    )
    return space, {"level": 0}


def steps():
    s = pm.HalfNormal("s", 1)
    z = pm.Normal("z", 0, 1, dims="t")
    return s * pm.math.cumsum(z) + pm.Normal("a", 0, 3)


def steps_space(v, x):
    space = Space(
        np.zeros(1),
        np.array([[v["s"] ** 2]]),
        np.eye(1),
        np.array([[v["s"] ** 2]]),
        one(),
        v["sigma"],
    )
    return fixed(space, np.ones(TIMES), 3.0), {"a": 1}


def trend():
    s, s2 = pm.HalfNormal("s", 1), pm.HalfNormal("s2", 0.3)
    slope = pt.cumsum(s2 * pm.Normal("u", 0, 1, dims="t"))
    return pt.cumsum(pm.Normal("e", 0, s, dims="t") + slope)


def trend_space(v, x):
    q, r = v["s"] ** 2, v["s2"] ** 2  # slope' = slope + N(r), level' = level + slope' + N(q)
    noise = np.array([[q + r, r], [r, r]])
    space = Space(
        np.zeros(2),
        noise,
        np.array([[1.0, 1.0], [0.0, 1.0]]),
        noise,
        np.column_stack([one(), 0 * one()]),
        v["sigma"],
    )
    return space, {}


def trend_of_paths():
    slope = pm.GaussianRandomWalk(
        "slope", sigma=pm.HalfNormal("s2", 0.3), init_dist=pm.Normal.dist(0, 0.5), dims="t"
    )
    level = pm.GaussianRandomWalk(
        "level", sigma=pm.HalfNormal("s", 1), init_dist=pm.Normal.dist(0, 2), dims="t"
    )
    return level + pt.cumsum(slope)


def trend_of_paths_space(v, x):
    moves = np.array([[1.0, 0, 0], [0, 1.0, 1.0], [0, 0, 1.0]])  # level, sum of slopes, slope
    r = v["s2"] ** 2
    start = np.array([[4.0, 0, 0], [0, 0.25, 0.25], [0, 0.25, 0.25]])
    noise = np.array([[v["s"] ** 2, 0, 0], [0, r, r], [0, r, r]])
    reads = np.tile([1.0, 1.0, 0.0], (TIMES, 1))
    return Space(np.zeros(3), start, moves, noise, reads, v["sigma"]), {"level": 0, "slope": 2}


def season():
    s = pm.HalfNormal("s", 1)
    level = pm.GaussianRandomWalk("level", sigma=s, init_dist=pm.Normal.dist(0, 2), dims="t")
    quarter = pm.AR(
        "quarter", -np.ones(3), pm.HalfNormal("s4", 0.5), init_dist=pm.Normal.dist(0, 1), dims="t"
    )
    return level + quarter


def season_space(v, x):
    moves = block_diag(1.0, np.array([[-1.0, -1, -1], [1, 0, 0], [0, 1, 0]]))
    noise = np.diag([v["s"] ** 2, v["s4"] ** 2, 0, 0])
    reads = np.tile([1.0, 1.0, 0, 0], (TIMES, 1))
    shift = block_diag(1.0, np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]))
    early = (shift, np.diag([v["s"] ** 2, 1.0, 0, 0]), np.zeros(4))  # three starts are N(0, 1)
    space = Space(
        np.zeros(4), np.diag([4.0, 1, 0, 0]), moves, noise, reads, v["sigma"], None, (early,) * 2
    )
    return space, {"level": 0, "quarter": 1}


def moving_slope():
    x = pm.modelcontext(None)["x"]
    s = pm.HalfNormal("s", 1)
    first = pm.Normal("first", 0, 2)
    path = pt.cumsum(pt.concatenate([first[None], s * pm.Normal("z", 0, 1, shape=TIMES - 1)]))
    return path * x


def moving_slope_space(v, x):
    space = Space(
        np.zeros(1),
        np.array([[4.0]]),
        np.eye(1),
        np.array([[v["s"] ** 2]]),
        x[:, None],
        v["sigma"],
    )
    return space, {}


MODELS = {
    f.__name__: (f, space)
    for f, space in (
        (walk, walk_space),
        (autoregression, autoregression_space),
        (steps, steps_space),
        (trend, trend_space),
        (trend_of_paths, trend_of_paths_space),
        (season, season_space),
        (moving_slope, moving_slope_space),
    )
}


def model_of(name, times=TIMES, beside=True):
    with pm.Model(coords={"t": range(times)}) as model:
        x = pm.Data("x", np.zeros(times), dims="t")
        mean = MODELS[name][0]()
        mean = mean + pm.Normal("b", 0, 1.5) * x if beside else mean
        pm.Normal("y", mean, pm.HalfNormal("sigma", 1), dims="t")
    return model


def posterior_of(model, data):
    """The density of the scales of a model, as a fit makes it."""
    read = read_data(model, data, None)
    plan = make_plan(read.structure, set(read.conformed.columns), (), read.conformed.sizes)
    [sampler] = plan.samplers
    assert sampler.method == EXACT
    statistics = accumulate(sampler, read.structure, read.conformed.columns)
    return coefficients.posterior_of(sampler.hierarchy, statistics), sampler


def points_of(made, n, seed=2):
    return 0.4 * np.random.default_rng(seed).normal(size=(n, made.map.dimension)) - 0.3


def values_at(made, points, k):
    return {n: v[k] for n, v in made.map.values(points).items()}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_density_of_the_scales_is_that_of_a_kalman_filter(name):
    data = table()
    made, _ = posterior_of(model_of(name), data)
    points = points_of(made, 4)
    have = made.log_density(points) - made.map.scales(points).log_prior
    want = []
    for k in range(len(points)):
        space, _ = MODELS[name][1](values_at(made, points, k), data["x"].to_numpy())
        space = fixed(space, data["x"], 1.5)
        want.append(space.log_likelihood(data["y"].to_numpy()))
    assert np.allclose(have - have[0], np.array(want) - want[0], rtol=0, atol=1e-8)


FEW = ("autoregression", "trend", "moving_slope")


@pytest.mark.parametrize(
    "name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]
)
def test_what_is_drawn_back_has_the_mean_and_covariance_of_the_smoother(name):
    data = table()
    made, _ = posterior_of(model_of(name), data)
    points = np.repeat(points_of(made, 1, seed=3), 20_000, axis=0)
    space, states = MODELS[name][1](values_at(made, points[:1], 0), data["x"].to_numpy())
    space = fixed(space, data["x"], 1.5)
    mean, cov = space.smoothed(data["y"].to_numpy())
    drawn = made.draw(points, np.random.default_rng(4))
    k = space.reads.shape[1]
    for coefficient, state in {**states, "b": k - 1}.items():
        own = drawn[coefficient].reshape(len(points), -1)
        place = np.arange(TIMES) * k + state if own.shape[1] > 1 else np.array([state])
        sd = np.sqrt(np.diag(cov)[place])
        error = np.abs(own.mean(axis=0) - mean[place]) / sd
        assert error.max() < 5 / np.sqrt(len(points))
        away = (own - mean[place]) / sd
        want = cov[np.ix_(place, place)] / np.outer(sd, sd)
        assert np.abs(away.T @ away / len(points) - want).max() < 7 / np.sqrt(len(points))


@pytest.mark.slow
def test_steps_are_what_the_walk_that_stands_for_them_says():
    """The fitted mean by the steps that are drawn is that of the smoother, to rounding."""
    data = table()
    for name in ("steps", "trend"):
        made, _ = posterior_of(model_of(name), data)
        point = points_of(made, 1, seed=5)
        drawn = made.draw(np.repeat(point, 20_000, axis=0), np.random.default_rng(6))
        space, _ = MODELS[name][1](values_at(made, point, 0), data["x"].to_numpy())
        mean, cov = fixed(space, data["x"], 1.5).smoothed(data["y"].to_numpy())
        v = values_at(made, point, 0)
        if name == "steps":
            path = v["s"] * np.cumsum(drawn["z"], axis=1)
        else:
            slope = np.cumsum(v["s2"] * drawn["u"], axis=1)
            path = np.cumsum(drawn["e"] + slope, axis=1)
        k = len(mean) // TIMES
        place = np.arange(TIMES) * k
        sd = np.sqrt(np.diag(cov)[place])
        assert (np.abs(path.mean(axis=0) - mean[place]) / sd).max() < 5 / np.sqrt(20_000)


def test_the_cost_grows_with_the_length_and_not_with_its_square():
    made, sampler = posterior_of(model_of("steps", 2_000), table(times=2_000))
    assert len(made.form.l_row) < 10 * 2_000
    assert sampler.together


def test_empty_cells_drop_out_and_are_drawn_from_their_own_time():
    data = table()
    data.loc[[3, 4, 17], "y"] = np.nan
    model = model_of("steps")
    fit = bc.fit(model, data, draws=1_000, chains=4, seed=1, progressbar=False)
    assert EXACT in fit.methods.values()
    post = fit.posterior
    s, sigma, b, a = (post[n].values.ravel() for n in ("s", "sigma", "b", "a"))
    path = s[:, None] * np.cumsum(post["z"].values.reshape(len(s), -1), axis=1) + a[:, None]
    cells = post["y_unobserved"].values.reshape(len(s), -1)
    away = cells - path[:, [3, 4, 17]] - b[:, None] * data["x"].to_numpy()[[3, 4, 17]]
    away /= sigma[:, None]
    assert np.abs(away.mean(axis=0)).max() < 5 / np.sqrt(len(s))
    assert np.abs(away.std(axis=0) - 1).max() < 5 / np.sqrt(2 * len(s))
    # and what is known of the scales is what the filter says that passes over them
    seen = data.assign(y=data["y"].fillna(0.0))
    made, sampler = posterior_of(model, seen)
    read = read_data(model, seen, None)
    cut = accumulate(
        sampler, read.structure, read.conformed.columns, counts={"y": data["y"].notna().to_numpy()}
    )
    made = coefficients.posterior_of(sampler.hierarchy, cut)
    points = points_of(made, 3)
    have = made.log_density(points) - made.map.scales(points).log_prior
    want = [
        fixed(steps_space(values_at(made, points, k), None)[0], data["x"], 1.5).log_likelihood(
            data["y"].to_numpy()
        )
        for k in range(3)
    ]
    assert np.allclose(have - have[0], np.array(want) - want[0], rtol=0, atol=1e-8)


def test_the_length_is_that_of_the_data_and_not_of_the_model():
    with pm.Model(coords={"t": [0, 1, 2]}) as model:
        x = pm.Data("x", np.zeros(3), dims="t")
        level = pm.GaussianRandomWalk(
            "level", sigma=pm.HalfNormal("s", 1), init_dist=pm.Normal.dist(0, 3), dims="t"
        )
        pm.Normal("y", level + pm.Normal("b") * x, pm.HalfNormal("sigma", 1), dims="t")
    refitter = bc.Refitter(model, ["y"], draws=500, chains=2)
    for times in (20, 25):
        fit = refitter.fit(table(times=times), seed=1)
        assert fit.posterior["level"].sizes["t"] == times
        assert set(fit.methods.values()) == {EXACT}
    again = bc.fit(model, table(times=25), draws=500, chains=2, seed=1, progressbar=False)
    assert np.array_equal(again.posterior["level"], fit.posterior["level"])


@pytest.mark.parametrize(
    ("start", "step"),
    [
        (lambda: pm.Cauchy.dist(0, 1), lambda: pm.Normal.dist(0, 1)),
        (lambda: pm.Normal.dist(0, 1), lambda: pm.StudentT.dist(4)),
    ],
)
def test_paths_that_are_not_gaussian_are_left_alone(start, step):
    with pm.Model(coords={"t": range(8)}) as model:
        path = pm.RandomWalk("path", init_dist=start(), innovation_dist=step(), dims="t")
        pm.Normal("y", path, pm.HalfNormal("sigma", 1), dims="t")
    read = read_data(model, table(times=8), None)
    plan = make_plan(read.structure, set(read.conformed.columns), (), read.conformed.sizes)
    assert not plan.samplers


def test_a_path_that_enters_otherwise_than_affinely_is_left_alone():
    for twist in (pt.exp, pt.square, lambda v: v * pm.Normal("w", 0, 1, dims="t")):
        with pm.Model(coords={"t": range(8)}) as model:
            path = pm.GaussianRandomWalk("path", init_dist=pm.Normal.dist(0, 1), dims="t")
            pm.Normal("y", twist(path), pm.HalfNormal("sigma", 1), dims="t")
        read = read_data(model, table(times=8), None)
        plan = make_plan(read.structure, set(read.conformed.columns), (), read.conformed.sizes)
        held = [n for s in plan.samplers for n in s.hierarchy.shapes]
        assert "path" not in held


def test_steps_that_something_else_reads_stay_steps():
    with pm.Model(coords={"t": range(TIMES)}) as model:
        s = pm.HalfNormal("s", 1)
        z = pm.Normal("z", 0, 1, dims="t")
        pm.Normal("y", s * pt.cumsum(z) + 0.5 * z, pm.HalfNormal("sigma", 1), dims="t")
    made, _ = posterior_of(model, table())
    assert not made.map._walks
    point = points_of(made, 2)
    v = [values_at(made, point, k) for k in range(2)]
    want = []
    for own in v:
        lower = own["s"] * np.tril(np.ones((TIMES, TIMES))) + 0.5 * np.eye(TIMES)
        cov = lower @ lower.T + own["sigma"] ** 2 * np.eye(TIMES)
        y = table()["y"].to_numpy()
        want.append(-0.5 * (np.linalg.slogdet(cov)[1] + y @ np.linalg.solve(cov, y)))
    have = made.log_density(point) - made.map.scales(point).log_prior
    assert np.isclose(have[1] - have[0], want[1] - want[0], rtol=0, atol=1e-8)


def test_two_series_share_a_level():
    with pm.Model(coords={"t": range(TIMES)}) as model:
        s = pm.HalfNormal("s", 1)
        level = pm.GaussianRandomWalk("level", sigma=s, init_dist=pm.Normal.dist(0, 2), dims="t")
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("y", level, sigma, dims="t")
        pm.Normal("v", pm.Normal("b", 0, 1) + level, 0.7, dims="t")
    data = table().assign(v=lambda d: d["y"] + 1)
    made, _ = posterior_of(model, data)
    points = points_of(made, 2)
    want = []
    for k in range(2):
        own = values_at(made, points, k)
        t = np.arange(TIMES)
        level_cov = 4.0 + own["s"] ** 2 * np.minimum.outer(t, t)
        cov = np.tile(level_cov, (2, 2)) + np.diag(np.repeat([own["sigma"] ** 2, 0.49], TIMES))
        cov[TIMES:, TIMES:] += 1.0
        both = np.concatenate([data["y"], data["v"]])
        want.append(-0.5 * (np.linalg.slogdet(cov)[1] + both @ np.linalg.solve(cov, both)))
    have = made.log_density(points) - made.map.scales(points).log_prior
    assert np.isclose(have[1] - have[0], want[1] - want[0], rtol=0, atol=1e-8)


def seatbelts(data):
    months = range(len(data))
    with pm.Model(coords={"month": months, "calendar": range(12)}) as model:
        law = pm.Data("law", data["law"].to_numpy(float), dims="month")
        petrol = pm.Data("petrol", data["petrol"].to_numpy(), dims="month")
        which = pm.Data("which", data["which"].to_numpy(), dims="month")
        level = pm.GaussianRandomWalk(
            "level", sigma=pm.HalfNormal("s", 0.1), init_dist=pm.Normal.dist(7, 5), dims="month"
        )
        season = pm.Normal("season", 0, 1, dims="calendar")
        mean = level + pm.Normal("b_law", 0, 2) * law + pm.Normal("b_petrol", 0, 2) * petrol
        pm.Normal("y", mean + season[which], pm.HalfNormal("sigma", 0.3), dims="month")
    return model


@pytest.fixture(scope="module")
def belts():
    path = SHARED / "data" / "seatbelts.csv"
    if not path.exists():
        pytest.skip("the shared data are not here")
    raw = pd.read_csv(path)
    return pd.DataFrame(
        {
            "y": np.log(raw["drivers"]),
            "law": raw["law"].astype(float),
            "petrol": np.log(raw["PetrolPrice"]),
            "which": np.arange(len(raw)) % 12,
        }
    )


#: ../shared/reference/designs.yaml, seatbelts: A. C. Harvey and J. Durbin, *JRSS A* 149, 1986.
LAW, LAW_SE, PETROL = -0.23590, 0.0449, -0.28168


def test_the_seat_belt_law(belts):
    """The published effects, and statsmodels' filter as a likelihood of its own."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    fit = bc.fit(seatbelts(belts), belts, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {EXACT}
    law, petrol = (fit.posterior[n].values.ravel() for n in ("b_law", "b_petrol"))
    assert abs(law.mean() - LAW) < 0.01
    assert abs(law.std() / LAW_SE - 1) < 0.15
    assert abs(petrol.mean() - PETROL) < 0.03
    low, high = np.quantile(law, [0.03, 0.97])
    assert low < LAW < high
    assert fit.diagnostics.ess_bulk > 1_000
    assert fit.diagnostics.r_hat < 1.01
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frequentist = UnobservedComponents(
            belts["y"],
            level="llevel",
            seasonal=12,
            stochastic_seasonal=False,
            exog=belts[["law", "petrol"]],
        ).fit(disp=False)
    assert np.isclose(frequentist.params["beta.law"], LAW, atol=2e-3)
    assert abs(law.mean() - frequentist.params["beta.law"]) < 0.25 * LAW_SE
    scales = fit.posterior["s"].values.ravel() ** 2
    assert (
        np.quantile(scales, 0.02) < frequentist.params["sigma2.level"] < np.quantile(scales, 0.98)
    )
