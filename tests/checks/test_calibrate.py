"""calibrate: it passes on a right posterior, fails on planted faults, and says how often it errs.

Two kinds of mock stand in for the fit. *Vectors*: a normal mean with a normal prior, known
variance, whose posterior is written down; a thousand data sets take a second. *Worlds*: a chain
with a confounder whose exact posterior is drawn by hand and handed to the whole pipeline
(simulate, truth, estimate, rank), so that faults in the worlds can be planted in the answers.
"""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

import bayescausal as bc
from bayescausal.checks.studies.calibrate import calibrate_with
from bayescausal.checks.studies.calibrate_bands import (
    bands,
    counts_of,
    hdi_content,
    p_value,
    power,
    rank_law,
)
from bayescausal.checks.studies.calibrate_verdict import holm, judge
from bayescausal.checks.studies.collect import as_frame
from bayescausal.checks.studies.rows import Answer, measure
from bayescausal.draws.intervals import narrowest
from bayescausal.inference.data.arrays import own_table
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table
from bayescausal.inference.record import build_fit
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, ModelError, StudyError

mpl.use("Agg")

# ------------------------------------------------------------------------ mocks of vectors

EXACT = SimpleNamespace(
    methods={"b": "conjugate (mock)"}, diagnostics=SimpleNamespace(divergences=0)
)
ROWS, DRAWS = 5, 400


def vector_study(posterior, replicates, seed, *, interval=narrowest, link=lambda b: b):
    """b, c ~ N(0, 1), five observations each, and one of their sum; all data sets at once.

    `posterior(right, mean, rng)` returns draws of (b, c), dims (data set, draw, 2), from the
    right ones and their means.
    """
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(replicates, 1, 2))
    data = truth + rng.normal(size=(replicates, ROWS, 2))
    total = truth.sum(axis=2) + 0.2 * rng.normal(size=(replicates, 1))
    # The sum is measured well, the difference badly: b and c are correlated.
    covariance = np.linalg.inv((1 + ROWS) * np.eye(2) + np.ones((2, 2)) / 0.04)
    mean = ((data.sum(axis=1) + total / 0.04) @ covariance)[:, None]
    noise = rng.normal(size=(replicates, DRAWS, 2))
    draws = posterior(mean + noise @ np.linalg.cholesky(covariance).T, mean, rng)

    def density(b):
        fit = sum(-0.5 * ((data[:, None, r] - b) ** 2).sum(axis=2) for r in range(ROWS))
        return fit - 0.5 * ((total - b.sum(axis=2)) / 0.2) ** 2

    def answer(name, kind, of):
        found, right = of(draws), of(truth)
        return Answer(name, kind, [""] * replicates, found.T[None], right[:, 0])

    shown = [
        answer("b", "parameter", lambda v: link(v[..., 0])),
        answer("c", "parameter", lambda v: link(v[..., 1])),
        answer("b + c", "estimand", lambda v: v.sum(axis=2)),
        answer("log-likelihood", "log-likelihood", density),
    ]
    rows = measure(0, shown, fit=EXACT, rank_draws=99, seed=seed, interval=interval)
    numbered = [r | {"replicate": i % replicates, "seconds": 0.0} for i, r in enumerate(rows)]
    return judge(as_frame(numbered), replicates, 99)


def right(draws, mean, rng):
    return draws


def test_a_right_posterior_passes():
    check = vector_study(right, 1000, 1)
    assert check.verdict == "pass"
    assert bool(check)
    assert (check.table["slack"] == 0).all()
    for percent in (50, 94):
        found, wanted = check.table[f"coverage_{percent}"], check.table[f"expected_{percent}"]
        error = np.sqrt(wanted * (1 - wanted) / 1000)
        # The log-density has a skewed posterior: its HDI may hold a little less.
        assert (abs(found - wanted)[:3] < 3.5 * error[:3]).all()


@pytest.mark.parametrize(
    ("fault", "shape"),
    [
        (lambda d, m, rng: m + 0.9 * (d - m), "posterior too narrow"),
        (lambda d, m, rng: d + 0.1 * d.std(axis=1, keepdims=True), "posterior too high"),
    ],
    ids=["sd x 0.9", "bias of 0.1 sd"],
)
def test_small_planted_faults_of_a_posterior_fail(fault, shape):
    """2,500 data sets: power .99 for the first, .95 for the second (outside the 99% band)."""
    check = vector_study(fault, 2500, 3)
    assert check.verdict == "fail"
    assert not bool(check)
    assert check.table.loc["b", "p"] < 0.01
    assert check.table.loc["b", "inside"] == "neither"
    assert check.table.loc["b", "shape"] == shape


def test_a_posterior_that_forgot_the_data_is_seen_by_the_density_alone():
    check = vector_study(lambda d, m, rng: rng.normal(size=d.shape), 400, 4)
    assert check.verdict == "fail"
    assert check.table.loc["log-likelihood", "p"] < 1e-6
    assert check.table.loc["log-likelihood", "shape"] != "even"
    assert (check.table.loc[["b", "c", "b + c"], "p"] > 0.001).all()


def test_lost_correlation_is_seen_by_the_estimand_alone():
    check = vector_study(lambda d, m, rng: rng.permuted(d, axis=1), 400, 5)
    assert check.verdict == "fail"
    assert check.table.loc["b + c", "shape"] == "posterior too wide"
    assert (check.table.loc[["b", "c"], "p"] > 0.001).all()


def test_equal_tails_in_the_place_of_highest_density_fail_on_a_skewed_posterior():
    """Ranks and coverage of a 94% equal-tailed interval are right; it is not the narrowest."""

    def equal_tails(ordered, prob):
        return tuple(np.quantile(ordered, [(1 - prob) / 2, (1 + prob) / 2], axis=0))

    check = vector_study(right, 60, 6, interval=equal_tails, link=lambda b: np.exp(2 * b))
    assert check.verdict == "fail"
    assert "not the narrowest" in check.finding
    assert check.table.loc["b", "slack"] > 0.05
    sound = vector_study(right, 60, 6, link=lambda b: np.exp(2 * b))
    assert sound.verdict != "fail"


@pytest.mark.slow
def test_how_often_a_right_posterior_is_accused():
    """At most 1% of right studies fail, 5% fail or warn: 200 studies, bound at 4 sigma."""
    rng = np.random.default_rng(7)
    verdicts = []
    for _ in range(200):
        rows = []
        for name in ("b", "c"):
            for r, rank in enumerate(rng.integers(0, 100, 50)):
                row = dict.fromkeys(["hdi50_lb"], 0.0)
                rows.append(
                    row
                    | {"replicate": r, "estimand": name, "cell": "", "kind": "parameter",
                       "pooled": False, "rank": rank, "ranked": 99, "slack": 0.0, "ess": 1e3,
                       "covered": 1.0, "covered_50": 1.0, "failure": "", "divergences": 0.0}
                )  # fmt: skip
        verdicts.append(judge(as_frame(rows), 50, 99).verdict)
    failed = np.mean([v == "fail" for v in verdicts])
    warned = np.mean([v in ("fail", "warn") for v in verdicts])
    assert failed <= 0.01 + 4 * np.sqrt(0.01 * 0.99 / 200)
    assert warned <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    assert warned > 0  # it can


# -------------------------------------------------------------------------- mocks of worlds


def chain() -> pm.Model:
    """z -> x -> m -> y, x -> y, z -> y; all noise has sd 1."""
    with pm.Model(coords={"unit": [0]}) as model:
        a, b, c, d, e = (pm.Normal(n, 0, 1) for n in "abcde")
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Normal("x", a * z, 1, dims="unit")
        m = pm.Normal("m", b * x, 1, dims="unit")
        pm.Normal("y", c * m + d * x + e * z, 1, dims="unit")
    return model


MODEL = chain()
STRUCTURE = structure_of(MODEL, named=("z", "x", "m", "y"))
UNITS = 20


def exact(data, seed, scale=1.0):
    """Draw the exact posterior of the chain: three regressions with known noise."""
    rng = np.random.default_rng(seed)
    draws = {}
    for names, reads, outcome in (
        ("a", ["z"], "x"),
        ("b", ["x"], "m"),
        ("cde", ["m", "x", "z"], "y"),
    ):
        design = data[reads].to_numpy()
        covariance = np.linalg.inv(design.T @ design + np.eye(len(reads)))
        mean = covariance @ design.T @ data[outcome].to_numpy()
        found = rng.multivariate_normal(mean, covariance, size=DRAWS)
        draws |= dict(zip(names, found.T, strict=True))
    table = own_table(STRUCTURE, as_table(data, STRUCTURE))
    return build_fit(
        structure=STRUCTURE,
        table=table,
        conformed=conform(table, STRUCTURE),
        groups={
            "posterior": xr.Dataset(
                {n: (("chain", "draw"), v[None]) for n, v in draws.items()},
                coords={"chain": [0], "draw": np.arange(DRAWS)},
            )
        },
        kind="posterior",
        seed=seed,
        methods={"a, b, c, d, e": "conjugate (mock)"},
    )


def of(fit, *names):
    return [fit.posterior[n].values[0] for n in names]


def answered(formula):
    """Return a mock of the answers: a formula of the fit's coefficients and a generator."""

    def answer(fit, estimands, seed):
        return [bc.Effect(formula(fit, np.random.default_rng(seed)), estimand=e) for e in estimands]

    return answer


def run(estimands=None, **options):
    asked = {"ATE": bc.ATE("x", "y")} if estimands is None else estimands
    base = {"units": UNITS, "replicates": 60, "seed": 11, "progressbar": False, "fit": exact}
    return calibrate_with(MODEL, asked, options={}, **{**base, **options})


def total(fit, rng):
    b, c, d = of(fit, "b", "c", "d")
    return b * c + d


def leaves_an_edge(fit, rng):
    """E[y | x = 1] - E[y | x = 0]: the arrow z -> x was not cut."""
    a, e = of(fit, "a", "e")
    return total(fit, rng) + e * a / (1 + a**2)


def frozen_mediator(fit, rng):
    """The mediator keeps the value that it was observed at."""
    return of(fit, "d")[0]


def noise_per_arm(fit, rng):
    """Two arms with noise of their own, as a unit's contrast."""
    c = of(fit, "c")[0]
    arms = [c * rng.normal(size=DRAWS) + rng.normal(size=DRAWS) for _ in range(2)]
    return total(fit, rng) + arms[1] - arms[0]


@pytest.mark.parametrize("fault", [leaves_an_edge, frozen_mediator, noise_per_arm])
def test_planted_faults_of_worlds_fail(fault):
    check = run(answer=answered(fault))
    assert check.verdict == "fail"
    assert check.table.loc["ATE", "p"] < 0.001
    assert (check.table.loc[list("abcde"), "p"] > 0.001).all()  # the fit itself is right
    shapes = {"noise_per_arm": "posterior too wide"}
    if fault.__name__ in shapes:
        assert check.table.loc["ATE", "shape"] == shapes[fault.__name__]


def test_the_right_worlds_pass():
    asked = {
        "ATE": bc.ATE("x", "y"),
        "NDE": bc.NDE("x", "y"),
        "NIE": bc.NIE("x", "y"),
        "unit": bc.ITE("x", "y"),
    }
    check = run(asked, replicates=50)
    assert check.verdict == "pass"
    np.testing.assert_array_equal(check.ranks("NDE"), check.ranks("d"))  # the NDE is d
    ours = run(answer=answered(total), replicates=50)
    np.testing.assert_array_equal(ours.ranks("ATE"), check.ranks("ATE"))


@pytest.mark.slow
def test_one_noise_draw_for_all_posterior_draws_fails():
    """The outcome of a new unit: its noise must differ between draws."""

    def new_unit(fit, seed, same):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=1 if same else fit.n_draws)
        c, d = of(fit, "c", "d")
        return c + d + noise

    sound = run({"new": lambda fit, seed: new_unit(fit, seed, False)}, replicates=80)
    assert sound.verdict == "pass"
    fault = run({"new": lambda fit, seed: new_unit(fit, seed, True)}, replicates=80)
    assert fault.verdict == "fail"
    assert fault.table.loc["new", "shape"] == "posterior too narrow"


def test_adjusting_for_a_collider_fails():
    """x -> y, x -> k <- y: the fitted model has k as a cause of y."""
    with pm.Model(coords={"unit": [0]}) as model:
        b, f, g = pm.Normal("b"), pm.Normal("f", 1, 0.2), pm.Normal("g", 1, 0.2)
        x = pm.Normal("x", 0, 1, dims="unit")
        y = pm.Normal("y", b * x, 1, dims="unit")
        pm.Normal("k", f * x + g * y, 1, dims="unit")
    with pm.Model(coords={"unit": [0]}) as wrong:
        b, g, f = pm.Normal("b"), pm.Normal("g", 1, 0.2), pm.Normal("f", 1, 0.2)
        x = pm.Normal("x", 0, 1, dims="unit")
        k = pm.Normal("k", f * x, 1, dims="unit")
        pm.Normal("y", b * x + g * k, 1, dims="unit")
    asked = {"direct": bc.CDE("x", "y", mediators={"k": 0.0})}
    options = {"units": 30, "replicates": 40, "seed": 5, "progressbar": False}
    check = bc.calibrate(model, asked, fit_model=wrong, **options)
    assert check.verdict == "fail"
    assert check.table.loc["direct", "inside"] == "neither"
    assert bc.calibrate(model, {"ATE": bc.ATE("x", "y")}, **options).verdict == "pass"


# ---------------------------------------------------------------------------- the bands


def test_bands_have_their_level_and_p_values_are_uniform():
    """The exact probability of leaving is just below 5%, and by simulation within 4 sigma."""
    uniform = np.full(20, 1 / 20)
    for level in (0.95, 0.99):
        assert 1 - level - 0.004 < power(uniform, 100, level) <= 1 - level
    rng = np.random.default_rng(1)
    lower, upper = bands(100, 19, 0.95)
    out, small = 0, 0
    for _ in range(300):
        ranks = rng.integers(0, 20, 100)
        counts = counts_of(ranks, 19)
        outside = bool(((counts < lower) | (counts > upper)).any())
        p = p_value(ranks, 19)
        assert outside == (p <= 0.05)  # the band is the test
        out += outside
        small += p < 0.5
    assert abs(out / 300 - 0.048) < 4 * np.sqrt(0.05 * 0.95 / 300)
    assert abs(small / 300 - 0.5) < 4 * np.sqrt(0.25 / 300)


def test_power_is_what_is_said():
    for scale, shift, n, level, said in (
        (0.9, 0.0, 1000, 0.95, 0.87),
        (0.9, 0.0, 1000, 0.99, 0.64),
        (1.0, 0.1, 1000, 0.95, 0.75),
        (1.0, 0.1, 1000, 0.99, 0.51),
    ):
        assert power(rank_law(99, scale=scale, shift=shift), n, level) == pytest.approx(
            said, abs=0.01
        )


def test_the_power_of_the_recursion_is_that_of_simulation():
    law = rank_law(19, scale=0.7)
    rng = np.random.default_rng(2)
    lower, upper = bands(60, 19, 0.95)
    hits = 0
    for _ in range(1000):
        counts = counts_of(rng.choice(20, size=60, p=law / law.sum()), 19)
        hits += bool(((counts < lower) | (counts > upper)).any())
    exact_power = power(law, 60, 0.95)
    assert abs(hits / 1000 - exact_power) < 4 * np.sqrt(exact_power * (1 - exact_power) / 1000)


def test_the_content_of_an_hdi():
    assert hdi_content(400, 0.94) == pytest.approx(0.931, abs=0.0015)
    assert hdi_content(4000, 0.94) == pytest.approx(0.938, abs=0.001)
    assert hdi_content(50, 0.94) < hdi_content(400, 0.94)


def test_ranks_must_be_ranks():
    with pytest.raises(DataError, match="Ranks from 0 to 12 among 9"):
        counts_of([0, 12], 9)


def test_holm_keeps_the_smallest_times_their_number():
    p = np.array([0.2, np.nan, 0.01])
    np.testing.assert_allclose(holm(p), [0.2, np.nan, 0.02])


def test_rank_law_by_hand():
    """Of one draw: the truth is above it with probability one half, whatever the sd."""
    np.testing.assert_allclose(rank_law(1, scale=0.5), [0.5, 0.5], atol=1e-9)
    shifted = rank_law(1, shift=1.0)[1]  # P(Z > Z' + 1)
    assert shifted == pytest.approx(stats.norm.sf(1 / np.sqrt(2)), abs=1e-6)


# ---------------------------------------------------------------------------- the record


@pytest.fixture(scope="module")
def small():
    return run(replicates=30)


def test_the_record(small):
    assert isinstance(small, bc.Calibration)
    assert small.quantities == ("ATE", *"abcde", "log-likelihood")
    assert len(small.ranks("ATE")) == 30
    assert set(small.table["kind"]) == {"estimand", "parameter", "log-likelihood"}
    assert "10% too small with probability 0.0" in small.notes[0]
    assert small.sentence().startswith("Ranks of 7 quantities over 30 data sets")
    with pytest.raises(StudyError, match="Did you mean 'ATE'"):
        small.ranks("ATT")


def test_the_pictures(small):
    axes = small.plot()
    assert len(axes) == 7
    ax = mpl.figure.Figure().subplots()
    assert small.plot(ax, quantity="b", kind="histogram") is ax
    with pytest.raises(StudyError, match="One ax for 7"):
        small.plot(ax)
    with pytest.raises(StudyError, match="'ecdf' or 'histogram'"):
        small.plot(kind="histogramm")


def test_few_data_sets_decide_nothing_and_failures_are_not_dropped():
    assert run(replicates=10).verdict == "undecided"

    def breaks(data, seed):
        if seed % 4 == 0:
            raise RuntimeError("no luck")
        return exact(data, seed)

    check = run(replicates=40, fit=breaks)
    assert check.verdict == "undecided"
    assert 0 < check.table["failed"].max() < 1
    assert any("no luck" in note for note in check.notes)

    def never(data, seed):
        raise RuntimeError("never")

    lost = run(replicates=2, fit=never)
    assert lost.verdict == "undecided"
    assert "every fit failed" in lost.finding
    with pytest.raises(StudyError, match="nothing to draw"):
        lost.plot()


def test_a_chain_that_is_too_short_is_run_longer():
    """The mock is a slow chain: its draws are worth fewer than the ranks need, which is said."""

    def slow(data, seed):
        fit = exact(data, seed)
        held = {n: v.isel(draw=np.repeat(np.arange(20), 20)) for n, v in fit.posterior.items()}
        tree = xr.Dataset({n: v.assign_coords(draw=np.arange(DRAWS)) for n, v in held.items()})
        return build_fit(
            structure=STRUCTURE,
            table=fit.data,
            conformed=conform(fit.data, STRUCTURE),
            groups={"posterior": tree},
            kind="posterior",
            seed=seed,
            methods={"a, b, c, d, e": "nuts"},
        )

    check = run(replicates=3, fit=slow)
    assert any("worth fewer than 99" in note for note in check.notes)


def test_messages():
    with pytest.raises(StudyError, match="rank_draws=3"):
        run(rank_draws=3)
    with pytest.raises(StudyError, match="fewer than rank_draws=99"):
        run(draws=10, chains=2)
    with pm.Model(coords={"unit": [0]}) as improper:
        b = pm.Flat("b")
        x = pm.Normal("x", dims="unit")
        pm.Normal("y", b * x, 1, dims="unit")
    with pytest.raises(ModelError, match="Give a Flat parameter a distribution"):
        bc.calibrate(improper, bc.ATE("x", "y"), units=5, replicates=1, progressbar=False)
    with pm.Model(coords={"unit": [0]}) as bound:
        b = pm.Normal("b")
        pm.Potential("positive", pm.math.switch(b > 0, 0.0, -np.inf))
        x = pm.Normal("x", dims="unit")
        pm.Normal("y", b * x, 1, dims="unit")
    with pytest.raises(ModelError, match="Potentials positive are part of the prior"):
        bc.calibrate(bound, bc.ATE("x", "y"), units=5, replicates=1, progressbar=False)


def test_same_seed_same_ranks(small):
    again = run(replicates=30)
    pd.testing.assert_frame_equal(
        small.rows.drop(columns="seconds"), again.rows.drop(columns="seconds"), check_exact=True
    )


def test_the_log_density_is_that_of_the_model():
    """Against scipy, at the draws and at the truth; latents take their draws."""
    from bayescausal.checks.studies.density import JointDensity
    from bayescausal.inference.sampling.prior_and_truth import complete_truth

    values = {n: np.array(v) for n, v in zip("abcde", (0.5, -0.3, 0.8, 0.1, -1.0), strict=True)}
    data = bc.simulate(MODEL, values, units=UNITS, seed=3)
    fit = exact(data, 4)
    known = complete_truth(STRUCTURE, values, data, seed=1)
    draws, at_truth = JointDensity().of(fit, known, values)

    def density(a, b, c, d, e):
        z, x, m, y = (data[n].to_numpy() for n in ("z", "x", "m", "y"))
        parts = (z, x - a * z, m - b * x, y - c * m - d * x - e * z)
        return sum(stats.norm.logpdf(part).sum() for part in parts)

    assert at_truth[0] == pytest.approx(density(*values.values()))
    some = fit.posterior.isel(chain=0, draw=17)
    wanted = density(*(float(some[n]) for n in "abcde"))
    assert draws.shape == (1, DRAWS, 1)
    assert draws[0, 17, 0] == pytest.approx(wanted)
    # A model with parameters that the truth does not have cannot be ranked.
    assert JointDensity().of(fit, known, {"a": values["a"]}) is None
