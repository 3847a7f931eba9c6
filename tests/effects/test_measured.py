"""A record taken for the variable that it records.

Kind: the model says that an outcome is the record of another variable (censored, clipped, rounded),
and a question is answered for the record without a word. Siblings looked at: every estimand and
functional (mean, probability, quantile, unit effects, probabilities of causation, one world,
association), every population, worlds and counterfactuals (of the data and of new evidence), prior
and truth, verdicts, roles, refutations, hidden
confounders, bounds below, above and on both sides, roundings, CustomDist. Right values are closed
forms or enumeration of the Weibull and the normal distribution.
"""

import math

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.checks.refutation.data import simulated
from bayescausal.inference import as_table, condition, conform
from bayescausal.inference.marginalize.marginal import marginalise
from bayescausal.model.structure.read import structure_of
from bayescausal.types import EstimandError, UnknownVariableError

A, B, SHAPE = 0.5, 0.8, 1.5
SCALES = {0: math.exp(A), 1: math.exp(A + B)}
LAWS = {x: stats.weibull_min(SHAPE, scale=s) for x, s in SCALES.items()}


def survival():
    """Return a truth with 200 units of which a third are censored, and what was behind them."""
    rng = np.random.default_rng(1)
    x, c = rng.integers(0, 2, 200), rng.uniform(0.5, 6, 200)
    t = np.exp(A + B * x) * rng.weibull(SHAPE, 200)
    with pm.Model(coords={"unit": range(200)}) as model:
        treat = pm.Data("x", x, dims="unit")
        end = pm.Data("c", c, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Censored("T", pm.Weibull.dist(SHAPE, pt.exp(a + b * treat)), None, end, dims="unit")
    known = bc.truth(model, {"a": A, "b": B}, {"T": np.minimum(t, c), "x": x, "c": c}, seed=3)
    return known, x, t, c


@pytest.fixture(scope="module")
def study():
    return survival()


def mean_recorded(x, c):
    """E[min(T, c)] = integral of the survival function from 0 to c."""
    grid = np.linspace(0, c, 20_001)
    return np.trapezoid(LAWS[x].sf(grid), grid)


def test_averages_probabilities_and_quantiles_are_of_what_was_measured(study):
    known = study[0]
    right = LAWS[1].mean() - LAWS[0].mean()
    for ask in (
        bc.ATE("x", "T"),
        bc.ATT("x", "T"),
        bc.ATE("x", "T", population="superpopulation"),
        bc.Association("x", "T"),
        bc.Contrast("T", {"x": 1, "c": 1e9}, {"x": 0, "c": 1e9}),  # the old way around it
    ):
        assert float(bc.estimate(known, ask)) == pytest.approx(right, rel=1e-9), ask
    above = bc.estimate(known, bc.ATE("x", "T", functional=bc.Probability(above=4)))
    assert float(above) == pytest.approx(LAWS[1].sf(4) - LAWS[0].sf(4), rel=1e-9)
    median = bc.estimate(known, bc.QTE("x", "T", q=0.5))
    assert float(median) == pytest.approx(LAWS[1].median() - LAWS[0].median(), abs=0.02)
    ratio = bc.estimate(known, bc.ATE("x", "T", scale="ratio"))
    assert float(ratio) == pytest.approx(math.exp(B), rel=1e-9)


def test_the_record_on_request(study):
    known, _, _, c = study
    effect = bc.estimate(known, bc.ATE("x", "recorded(T)"))
    right = np.mean([mean_recorded(1, each) - mean_recorded(0, each) for each in c])
    assert float(effect) == pytest.approx(right, abs=5 * effect.mc_error + 1e-4)
    assert "recorded(T) is T as it was recorded, censored." in effect.sentence()
    assert any("Ask about 'T'" in note for note in effect.notes)
    assert effect.identification


def test_words_say_which_in_sentence_and_notes(study):
    known, _, t, c = study
    effect = bc.estimate(known, bc.ATE("x", "T"))
    said = f"T is the variable that was measured, not its censored record ({np.mean(t > c):.0%}"
    assert said in effect.sentence()
    [note] = [n for n in effect.notes if n.startswith(said)]
    assert "rests on the form of its Weibull distribution" in note
    assert "Ask about 'recorded(T)'" in note
    plain = bc.estimate(known, bc.Expected("T", {"x": 1}))
    assert plain.measured.startswith("T is the variable that was measured")


def test_units_keep_their_noise_and_that_of_the_censored_lies_beyond_the_bound(study):
    known, x, t, c = study
    seen = np.minimum(t, c)
    # T = scale(x) * noise: the other world is a multiple of this one
    right = np.where(x == 1, seen * (1 - math.exp(-B)), seen * (math.exp(B) - 1))
    effects = bc.estimate(known, bc.ITE("x", "T")).draws.values.ravel()
    np.testing.assert_allclose(effects[t <= c], right[t <= c], rtol=1e-9)
    assert np.all(effects[t > c] > right[t > c])
    # and has the law of T cut at the bound: the probability integral transform is uniform
    both = bc.counterfactual(known, {"x": 1 - x}, variables=["T", "recorded(T)"])
    drawn = both["T"].sel(world="factual").values.ravel()
    np.testing.assert_allclose(drawn[t <= c], seen[t <= c], rtol=1e-12)
    late = t > c
    start = np.array([LAWS[k].sf(e) for k, e in zip(x[late], c[late], strict=True)])
    level = np.array([LAWS[k].sf(e) for k, e in zip(x[late], drawn[late], strict=True)]) / start
    assert stats.kstest(level, "uniform").pvalue > 0.01
    np.testing.assert_allclose(both["recorded(T)"].sel(world="factual").values.ravel(), seen)


def test_averages_of_the_units_at_hand_fill_what_was_not_seen(study):
    known, x, t, c = study
    rest = []  # E[T | T > c] = c + integral of the survival function beyond c / S(c)
    for k, end in zip(x, c, strict=True):
        grid = np.linspace(end, 60, 20_001)
        rest.append(end + np.trapezoid(LAWS[k].sf(grid), grid) / LAWS[k].sf(end))
    filled = np.where(t > c, rest, t)
    spread = np.sqrt(np.sum(t > c)) * LAWS[1].std() / len(t)
    natural = bc.estimate(known, bc.Expected("T"))
    assert float(natural) == pytest.approx(filled.mean(), abs=5 * spread)
    factor = np.where(x == 1, 1 - math.exp(-B), math.exp(B) - 1)
    finite = bc.estimate(known, bc.ATE("x", "T", population="finite"))
    wide = 5 * spread * (math.exp(B) - 1)
    assert float(finite) == pytest.approx(np.mean(filled * factor), abs=wide)


def test_probabilities_of_causation_are_of_what_was_measured(study):
    known = study[0]
    event = bc.Probability(above=4)
    both = LAWS[1].sf(4), LAWS[0].sf(4)
    pns = bc.estimate(known, bc.PNS("x", "T", event=event))
    assert float(pns) == pytest.approx(both[0] - both[1], rel=1e-9)
    pn = bc.estimate(known, bc.PN("x", "T", event=event))
    assert float(pn) == pytest.approx(1 - both[1] / both[0], rel=1e-9)


def test_worlds_and_new_evidence_are_of_what_was_measured(study):
    known, _, _, c = study
    both = bc.worlds(known, {"low": {"x": 0}, "high": {"x": 1}})
    for world, level in (("low", 0), ("high", 1)):
        np.testing.assert_allclose(both["T"].sel(world=world), LAWS[level].mean(), rtol=1e-9)
    assert both.attrs["measured"][0].startswith("T is the variable that was measured")
    people = pd.DataFrame({"x": [0, 0], "c": [2.0, 5.0], "T": [2.0, 1.0]})
    told = bc.counterfactual(known, {"x": 1}, evidence=people, variables=["T"])
    then = told["T"].sel(world="counterfactual").values.ravel()
    assert then[0] > 2.0 * math.exp(B)  # censored at 2
    assert then[1] == pytest.approx(math.exp(B))
    assert any("not its censored record" in note for note in told.attrs["notes"])
    # data that are simulated are records; so is what a world sets
    table = bc.simulate(known.model, {"a": A, "b": B}, seed=1)
    assert np.all(table["T"].to_numpy() <= c)
    assert np.any(table["T"].to_numpy() == c)
    assert "measured" not in bc.worlds(known, {"set": {"T": 0.4}}, variables="T").attrs


def test_without_data_and_under_a_prior():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b = pm.Normal("b")
        pm.Censored("y", pm.Normal.dist(b * x, 2.0), -1.0, 1.0, dims="unit")
    assert float(bc.estimate(bc.truth(model, {"b": 3.0}), bc.ATE("x", "y"))) == pytest.approx(3.0)
    draws = bc.prior(model, draws=200, seed=1)
    effect = bc.estimate(draws, bc.ATE("x", "y"))
    np.testing.assert_allclose(effect.draws.values.ravel(), draws.value("b"), rtol=1e-9)
    record = float(bc.estimate(bc.truth(model, {"b": 3.0}), bc.ATE("x", "recorded(y)")))
    law = [stats.norm(m, 2.0) for m in (3.0, 0.0)]
    grid = np.linspace(-1, 1, 20_001)
    right = [-1 + np.trapezoid(each.sf(grid), grid) for each in law]
    assert record == pytest.approx(right[0] - right[1], abs=0.01)


def test_a_cause_that_is_censored_is_what_the_arrow_carries():
    """A mediator is read as recorded; asked about as an outcome, it is what was measured."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Censored("m", pm.Normal.dist(2.0 * x, 1.0), None, 1.0, dims="unit")
        pm.Normal("y", 3.0 * m, 1.0, dims="unit")
    known = bc.truth(model, {})
    assert float(bc.estimate(known, bc.ATE("x", "m"))) == pytest.approx(2.0)
    law = [stats.norm(mean, 1.0) for mean in (2.0, 0.0)]
    capped = []
    for each in law:  # E[min(m, 1)] = 1 - integral of the distribution function up to 1
        grid = np.linspace(-12, 1, 20_001)
        capped.append(1 - np.trapezoid(each.cdf(grid), grid))
    effect = bc.estimate(known, bc.ATE("x", "y"))
    assert float(effect) == pytest.approx(3 * (capped[0] - capped[1]), abs=5e-3)
    assert effect.measured is None


@pytest.mark.parametrize(
    ("record", "write", "how"),
    [
        (lambda v: pt.clip(v, -1.0, 2.0), lambda v: np.clip(v, -1, 2), "censored"),
        (lambda v: pt.maximum(v, 0.0), lambda v: np.maximum(v, 0), "censored"),
        (lambda v: pt.minimum(2.0, v), lambda v: np.minimum(v, 2), "censored"),
        (pt.round, np.round, "rounded"),
        (pt.floor, np.floor, "rounded"),
        (pt.ceil, np.ceil, "rounded"),
    ],
)
def test_records_that_a_custom_distribution_writes(record, write, how):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2, 50)
    value = 1.5 * x + rng.normal(size=50)
    with pm.Model(coords={"unit": [0]}) as model:
        treat = pm.Data("x", x, dims="unit")
        b = pm.Normal("b")
        pm.CustomDist(
            "y",
            b * treat,
            dist=lambda mu, size: record(pm.Normal.dist(mu, 1.0, size=size)),
            dims="unit",
        )
    known = bc.truth(model, {"b": 1.5}, {"x": x, "y": write(value)})
    effect = bc.estimate(known, bc.ATE("x", "y"))
    assert float(effect) == pytest.approx(1.5)
    assert f"not its {how} record" in effect.measured
    np.testing.assert_allclose(bc.estimate(known, bc.ITE("x", "y")).draws.values.ravel(), 1.5)
    both = bc.counterfactual(known, {"x": 1}, variables=["y", "recorded(y)"])
    behind = both["y"].sel(world="factual").values.ravel()
    seen = both["recorded(y)"].sel(world="factual").values.ravel()
    np.testing.assert_allclose(seen, write(value))
    np.testing.assert_allclose(write(behind), write(value))
    grid = rng.normal(size=400_000)
    wanted = write(1.5 + grid).mean() - write(grid).mean()
    asked = bc.estimate(known, bc.ATE("x", "recorded(y)"))
    assert float(asked) == pytest.approx(wanted, abs=0.02)


def test_a_posterior_of_censored_data_is_asked_about_what_was_measured():
    rng = np.random.default_rng(5)
    x = rng.integers(0, 2, 300)
    y = np.minimum(1.0 * x + rng.normal(size=300), 0.8)
    with pm.Model(coords={"unit": [0]}) as model:
        treat = pm.Data("x", x, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Censored("y", pm.Normal.dist(a + b * treat, 1.0), None, 0.8, dims="unit")
    fit = bc.Fit(
        model, {"a": np.zeros((1, 50)), "b": np.linspace(0.9, 1.1, 50)[None]}, {"x": x, "y": y}
    )
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(effect.draws.values.ravel(), np.linspace(0.9, 1.1, 50))
    assert "not its censored record" in effect.sentence()
    # each draw fills the units by its own parameters, the same units in the same order every time
    natural = bc.estimate(fit, bc.Expected("y"))
    again = bc.estimate(fit, bc.Expected("y"))
    np.testing.assert_array_equal(natural.draws.values, again.draws.values)
    assert natural.mean() > y.mean()


def test_what_is_no_record_has_none():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        pm.Truncated("y", pm.Normal.dist(x, 1.0), lower=0, dims="unit")
    known = bc.truth(model, {})
    effect = bc.estimate(known, bc.ATE("x", "y"))
    assert effect.measured is None  # a truncated variable has no values outside, seen or not
    with pytest.raises(EstimandError, match="'x' is not the record of another variable"):
        bc.estimate(known, bc.ATE("y", "recorded(x)"))
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        pm.Normal("recorded(y)", dims="unit")
        pm.Censored("y", pm.Normal.dist(x, 1.0), 0.0, None, dims="unit")
    with pytest.raises(bc.BayesCausalError, match="already has a variable called 'recorded"):
        bc.estimate(bc.truth(model, {}), bc.ATE("x", "y"))


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(4)
    n, end = 150, 1.2
    z, x = rng.normal(size=n), rng.integers(0, 2, n)
    seen = np.minimum(0.5 + 0.8 * x + 0.5 * z + rng.normal(size=n), end)
    with pm.Model(coords={"unit": range(n)}) as model:
        z_ = pm.Data("z", z, dims="unit")
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        x_ = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Censored("T", pm.Normal.dist(a + b * x_ + c * z_, 1), None, end, dims="unit")
    fit = bc.fit(model, {"x": x, "T": seen, "z": z}, draws=300, chains=2, seed=1, progressbar=False)
    return model, fit


def test_the_record_has_a_verdict_like_its_variable(fitted):
    model, fit = fitted
    for given in (model, fit):
        for name in ("T", "recorded(T)"):
            question = bc.ATE("x", name)
            found = bc.identify(given, question)
            assert (found.status, found.method) == ("identified", "back door"), name
            assert bc.identify(given, "x", name).status == "identified"
            assert bc.roles(given, "x", name)[name].roles == ("outcome",)
    assert bc.estimate(fit, bc.ATE("x", "recorded(T)")).identification.status == "identified"
    with pytest.raises(EstimandError, match="not the record of another"):
        bc.identify(model, "x", "recorded(x)")
    with pytest.raises(UnknownVariableError, match=r"recorded\(q\)"):
        bc.identify(fit, bc.ATE("x", "recorded(q)"))


@pytest.mark.parametrize("name", [pytest.param("T", marks=pytest.mark.slow), "recorded(T)"])
def test_refutations_simulate_and_refit_records(fitted, name):
    fit = fitted[1]
    tests = ["permuted", "common_cause", "zero", "planted"]
    check = bc.refute(fit, bc.ATE("x", name), tests=tests, replicates=2, draws=200, seed=1)
    assert set(check.table["verdict"]) == {"pass"}, check.table  # none is left undecided
    one, columns = simulated(fit, ("x",), 3, 1, {"x": fit.columns["x"]})
    assert columns["T"].max() == pytest.approx(1.2)  # what was simulated is a record too
    assert one.n_draws == 1


@pytest.mark.parametrize("name", ["T", "recorded(T)"])
def test_a_hidden_confounder_of_a_censored_outcome(fitted, name):
    fit = fitted[1]
    found = bc.hidden_confounder(
        fit, bc.ATE("x", name), gamma=1.0, delta=1.0, benchmarks=[], draws=200, seed=1
    )
    assert found.confounder.outcome == "T"
    plain = bc.estimate(fit, bc.ATE("x", name))
    assert float(found.surface["mean"].sel(gamma=0, delta=0)) == pytest.approx(plain.mean())
    assert float(found.surface["mean"].sel(gamma=1, delta=1)) < plain.mean()


def test_the_density_of_a_censored_outcome_with_a_latent_class_is_summed_out():
    rng = np.random.default_rng(5)
    seen = np.minimum(3.0 * rng.integers(0, 2, 60) + rng.normal(size=60), 2.5)
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Bernoulli("u", 0.4, dims="unit")
        a = pm.Normal("a")
        pm.Censored("T", pm.Normal.dist(a + 3 * u, 1), None, 2.5, dims="unit")
    structure = structure_of(model)
    known = condition(structure, conform(as_table({"T": seen}, structure), structure))
    density = marginalise(structure, known).model.compile_logp()

    def right(a: float) -> float:
        at = [
            np.where(seen < 2.5, stats.norm.pdf(seen, m, 1), stats.norm.sf(2.5, m, 1))
            for m in (a, a + 3)
        ]
        return float(np.log(0.6 * at[0] + 0.4 * at[1]).sum() + stats.norm.logpdf(a))

    for place in (-0.5, 0.3):
        assert float(density({"a": place})) == pytest.approx(right(place))


def test_a_rounded_weibull_whose_scale_is_computed():
    """PyMC makes it of nodes of a frozen graph. The mean is scale Gamma(1 + 1 / shape)."""

    def rounded(x, a, size):
        return pt.round(pm.Weibull.dist(SHAPE, pm.math.exp(a + B * x)))

    with pm.Model(coords={"unit": range(4)}) as model:
        x = pm.Data("x", [0, 1, 0, 1], dims="unit")
        pm.CustomDist("T", x, pm.Normal("a"), dist=rounded, dims="unit")
    data = {"x": [0, 1, 0, 1], "T": [1.0, 3.0, 2.0, 2.0]}
    known = bc.Fit(model, {"a": np.full((1, 2), A)}, data)
    found = bc.estimate(known, bc.ATE("x", "T"))
    wanted = (SCALES[1] - SCALES[0]) * math.gamma(1 + 1 / SHAPE)
    np.testing.assert_allclose(found.draws.values, wanted, atol=1e-9 + 6 * found.mc_error)
