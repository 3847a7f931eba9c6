"""Refitter: the same answer as fit, for any data, from any thread, after a pickle."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.sampling import few
from bayescausal.inference.sampling.few import METHOD
from bayescausal.types import BayesCausalError, DataError, ModelError, UnknownVariableError

FEW_DRAWS = pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")


def chain() -> pm.Model:
    """x -> t (logistic: a Markov chain) -> y (linear: exact)."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b_0, b_x = pm.Normal("b_0", 0, 2), pm.Normal("b_x", 0, 2)
        t = pm.Bernoulli("t", logit_p=b_0 + b_x * x, dims="unit")
        a, b_t = pm.Normal("a", 0, 2), pm.Normal("t_y", 0, 2)
        s = pm.HalfNormal("s", 1)
        pm.Normal("y", a + b_t * t, s, dims="unit")
    return model


def data_of(model: pm.Model, units: int, seed: int):
    truth = {"b_0": 0.3, "b_x": 0.8, "a": -0.4, "t_y": 1.2, "s": 0.7}
    return bc.simulate(model, truth, units=units, seed=seed)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    return chain()


@pytest.fixture(scope="module")
def refitter(model) -> bc.Refitter:
    return bc.Refitter(model, ["x", "t", "y"], draws=200, chains=2, tune=200)


def same(one: bc.Fit, two: bc.Fit) -> None:
    assert set(one.posterior) == set(two.posterior)
    for name in one.posterior:
        np.testing.assert_array_equal(one.posterior[name], two.posterior[name])


def agree(one: bc.Fit, two: bc.Fit, names) -> None:
    """Means within 5 of their common Monte Carlo errors: of 40 scalars, one in 50,000 runs."""
    for name in names:
        means, errors = [], []
        for fit in (one, two):
            draws = np.moveaxis(np.atleast_3d(fit.posterior[name].values), -1, 0)
            means.append(draws.mean(axis=(1, 2)))
            errors.append(diagnose(draws)["mcse_mean"])
        gap = np.abs(means[0] - means[1])
        assert (gap < 5 * np.hypot(*errors)).all(), (name, gap, errors)


def test_same_posterior_as_fit_for_any_number_of_units(model):
    refitter = bc.Refitter(model, ["x", "t", "y"], draws=1000, chains=2, tune=300)
    first = refitter.fit(data_of(model, 60, 1), seed=1)
    data = data_of(model, 35, 2)
    whole = bc.fit(model, data, seed=2, draws=1000, chains=2, tune=300, progressbar=False)
    found = refitter.fit(data, seed=2)
    assert found.methods == whole.methods == first.methods
    assert set(found.methods.values()) >= {"conjugate (linear-Gaussian)"}
    assert (len(first.data), len(found.data), found.seed) == (60, 35, 2)
    assert not any("plain path" in note for note in found.notes)
    agree(found, whole, ["b_0", "b_x"])  # rounding parts the chains
    for name in ("a", "s", "t_y"):
        np.testing.assert_array_equal(found.posterior[name], whole.posterior[name])


@pytest.mark.slow
def test_latent_variables_share_one_density_per_number_of_units():
    with pm.Model(coords={"unit": [0]}) as hidden:
        z = pm.Normal("z", 0, 1, dims="unit")
        u = pm.Normal("u", 0.5, 1, dims="unit")
        b = pm.Normal("b", 1, 0.5)
        t = pm.Normal("t", u + z, 0.5, dims="unit")
        pm.Normal("y", b * t + u, 0.5, dims="unit")
    refitter = bc.Refitter(hidden, ["z", "t", "y"], draws=1000, chains=2, tune=400)
    assert refitter.plain == ""
    for units, seed in ((8, 1), (12, 2)):
        refitter.fit(bc.simulate(hidden, {"b": 1.0}, units=units, seed=seed), seed=seed)
    units, seed = 8, 3
    data = bc.simulate(hidden, {"b": 1.0}, units=units, seed=seed)
    whole = bc.fit(
        hidden,
        data[["z", "t", "y"]],
        seed=seed,
        draws=1000,
        chains=2,
        tune=400,
        progressbar=False,
    )
    found = refitter.fit(data, seed=seed)
    assert found.latent == ("u",)
    assert found.methods == whole.methods
    assert found.posterior["u"].sizes == {"chain": 2, "draw": 1000, "unit": units}
    assert not any("plain path" in note for note in found.notes)
    agree(found, whole, ["b", "u"])
    assert len(refitter._recipes) == 2
    fresh = bc.Refitter(hidden, ["z", "t", "y"], draws=1000, chains=2, tune=400)
    same(fresh.fit(data, seed=seed), found)  # whatever was fitted before


@pytest.mark.slow
def test_draws_do_not_depend_on_what_was_fitted_before(model, refitter):
    data = data_of(model, 50, 3)
    first = refitter.fit(data, seed=4)
    refitter.fit(data_of(model, 70, 5), seed=6)
    same(refitter.fit(data, seed=4), first)
    fresh = bc.Refitter(model, ["x", "t", "y"], draws=200, chains=2, tune=200)
    fresh.fit(data_of(model, 20, 7), seed=1)
    same(fresh.fit(data, seed=4), first)


def test_threads_and_pickles_give_the_same_draws(model, refitter):
    sets = [data_of(model, 40 + i, i) for i in range(4)]
    alone = [refitter.fit(d, seed=i) for i, d in enumerate(sets)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda item: refitter.fit(item[1], seed=item[0]), enumerate(sets)))
    for one, two in zip(alone, together, strict=True):
        same(one, two)
    again = pickle.loads(pickle.dumps(refitter))
    same(again.fit(sets[0], seed=0), alone[0])


@FEW_DRAWS
def test_columns_that_were_not_promised_are_ignored(model, refitter):
    data = data_of(model, 30, 1)
    with_more = data.assign(noise=1.0)
    same(refitter.fit(with_more, seed=1), refitter.fit(data, seed=1))


def test_nothing_is_compiled_where_all_blocks_are_exact():
    with pm.Model(coords={"unit": [0]}) as linear:
        w = pm.Data("w", [0.0], dims="unit")
        a, s = pm.Normal("a", 0, 2), pm.Exponential("s", 1.0)
        pm.Normal("y", a * w, s, dims="unit")
    refitter = bc.Refitter(linear, ["y"], method="exact", draws=300)
    rng = np.random.default_rng(3)
    for n in (10, 25):
        data = {"w": rng.normal(size=n), "y": rng.normal(size=n)}
        found = refitter.fit(data, seed=n)
        whole = bc.fit(linear, data, seed=n, draws=300, progressbar=False)
        same(found, whole)


@pytest.mark.slow
@FEW_DRAWS
def test_parameters_of_other_lengths_are_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        k = pm.Data("knots", np.zeros(2))
        b = pm.Normal("b", 0, 1, shape=k.shape)
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Bernoulli("y", logit_p=(b[0] + b[-1]) * x, dims="unit")
    rng = np.random.default_rng(3)
    refitter = bc.Refitter(model, ["x", "y"], draws=50, chains=1, tune=50)
    x, y = rng.normal(size=20), rng.integers(0, 2, size=20)
    found = refitter.fit({"x": x, "y": y, "knots": np.zeros(2)}, seed=1)
    assert found.posterior["b"].shape == (1, 50, 2)
    with pytest.raises(DataError, match=r"'knots' is pm\.Data that is not of the units"):
        refitter.fit({"x": x, "y": y, "knots": np.zeros(3)}, seed=1)


@FEW_DRAWS
def test_plain_path_where_unknowns_depend_on_the_data():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Exponential("x", 1.0, dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1, dims="unit")
    holes = {"x": [1.0, np.nan, 0.3], "y": [0.2, 1.0, 0.5]}
    found = bc.Refitter(model, ["x", "y"], draws=40, chains=1, tune=40).fit(holes, seed=1)
    assert any("plain path" in note and "x: cells are empty" in note for note in found.notes)
    assert "x_unobserved" in found.posterior


@pytest.mark.slow
def test_empty_cells_anywhere_share_one_density():
    """Where cells are empty is data; draws are those of a fit, and of a fresh recipe."""
    with pm.Model(coords={"unit": [0]}) as model:
        b, s = pm.Normal("b", 0, 1), pm.HalfNormal("s", 1)
        w = pm.Normal("w", dims="unit")
        x = pm.Normal("x", 0.5 * w, 1, dims="unit")
        pm.Normal("y", b * x + w, s, dims="unit")
    options = {"draws": 800, "chains": 2, "tune": 400}
    refitter = bc.Refitter(model, ["w", "x", "y"], **options)
    full = bc.simulate(model, {"b": 0.7, "s": 0.5}, units=40, seed=1)
    sets = [
        full.assign(x=full["x"].where(np.arange(40) % k > 0), y=full["y"].where(np.arange(40) > k))
        for k in (3, 5, 7)
    ]
    fits = [refitter.fit(data, seed=i) for i, data in enumerate(sets)]
    assert len(refitter._recipes) == 1
    for data, found in zip(sets, fits, strict=True):
        holes = int(data["x"].isna().sum())
        assert found.posterior["x_unobserved"].sizes["x_unobserved_dim_0"] == holes
        assert not any("plain path" in note for note in found.notes)
    whole = bc.fit(model, sets[2], seed=2, progressbar=False, **options)
    assert whole.methods == fits[2].methods
    agree(fits[2], whole, ["b", "s", "x_unobserved", "y_unobserved"])
    fresh = bc.Refitter(model, ["w", "x", "y"], **options)
    same(fresh.fit(sets[2], seed=2), fits[2])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"nuts_sampler": "pymc"}, "nuts_sampler='pymc'"),
        ({"init": "adapt_diag"}, "the option init="),
    ],
)
def test_options_of_other_samplers_take_the_plain_path(model, options, reason):
    assert bc.Refitter(model, ["x", "t", "y"], **options).plain == reason


def test_priors_that_read_data_take_the_plain_path():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Data("w", 0.0)
        a = pm.Normal("a", w, 1)
        pm.Normal("y", a, 1, dims="unit")
    assert bc.Refitter(model, ["y"]).plain == "the law of a reads w"
    with pm.Model(coords={"unit": [0]}) as mediated:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Gamma("m", mu=pm.math.exp(x), sigma=1, dims="unit")
        pm.Normal("y", m, 1, dims="unit")
    assert bc.Refitter(mediated, ["x", "y"]).plain == "the law of m reads x"


def test_a_latent_that_reads_a_column_and_is_integrated_out_starts_from_nothing():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Normal("m", pm.Normal("b") * x, 1, dims="unit")
        pm.Normal("y", m, 1, dims="unit")
    options = {"draws": 200, "chains": 1, "tune": 200}
    rng = np.random.default_rng(2)
    one, two = ({"x": rng.normal(size=9), "y": rng.normal(size=9)} for _ in range(2))
    refitter, fresh = (bc.Refitter(model, ["x", "y"], **options) for _ in range(2))
    assert refitter.plain == ""
    refitter.fit(one, seed=1)
    same(refitter.fit(two, seed=2), fresh.fit(two, seed=2))


@pytest.mark.slow
def test_as_many_cells_as_data_say_take_the_plain_path():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Data("w", [0], dims="unit")
        z = pm.Data("z", [0.0], dims="unit")
        c, s = pm.Normal("c"), pm.HalfNormal("s")
        e = pm.Normal("e", 0, s, shape=(w.max() + 1,))
        pm.Normal("y", e[w], pm.math.exp(c * z), dims="unit")
    refitter = bc.Refitter(model, ["y"], draws=20, chains=1, tune=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for where in ([0, 1, 2, 1], [0, 1, 2, 3], [0, 1, 1, 0]):
            data = {"w": where, "z": [0.0, 0.1, 0.2, 0.3], "y": [0.1, 1.0, 2.0, 0.5]}
            found = refitter.fit(data, seed=1)
            assert found.posterior["e"].shape == (1, 20, max(where) + 1)


@pytest.mark.slow
def test_designs_that_touch_cells_in_one_data_set_alone_are_right_in_both():
    """e[h] - 2 e[a]: harmless where h equals a, and not afterwards."""
    with pm.Model(coords={"unit": [0], "team": range(3)}) as model:
        h, a = (pm.Data(n, [0], dims="unit") for n in ("h", "a"))
        z = pm.Data("z", [0.0], dims="unit")
        c = pm.Normal("c", 0, 0.3)
        e = pm.Normal("e", 0, 1, dims="team")
        pm.Normal("y", e[h] - 2 * e[a], pm.math.exp(c * z), dims="unit")
    refitter = bc.Refitter(model, ["y"], draws=400, chains=2, tune=300)
    rng = np.random.default_rng(1)
    same_teams, z = np.arange(30) % 3, rng.normal(size=30)
    y = rng.normal(size=30)
    refitter.fit({"h": same_teams, "a": same_teams, "z": z, "y": y}, seed=1)
    data = {"h": same_teams, "a": (same_teams + 1) % 3, "z": z, "y": y}
    whole = bc.fit(
        model, data, seed=2, draws=400, chains=2, tune=300, method="nuts", progressbar=False
    )
    agree(refitter.fit(data, seed=1), whole, ["c", "e"])


def test_a_normal_latent_that_cannot_go_takes_the_plain_path():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        u = pm.Normal("u", x, 1, dims="unit")
        pm.Bernoulli("y", logit_p=u, dims="unit")
    refitter = bc.Refitter(model, ["x", "y"], draws=20, chains=1, tune=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = refitter.fit({"x": [0.1, 0.4], "y": [0, 1]}, seed=1)
    assert any("the law of u reads x" in note for note in found.notes)


def test_mistakes_are_refused(model, refitter):
    with pytest.raises(UnknownVariableError, match="Did you mean 'x'"):
        bc.Refitter(model, ["X"])
    with pytest.raises(UnknownVariableError, match="'s'"):
        bc.Refitter(model, ["s"])
    with pytest.raises(BayesCausalError, match="nothing to condition on"):
        bc.Refitter(model, [])
    with pytest.raises(BayesCausalError, match="method='nut' is not known"):
        bc.Refitter(model, ["x"], method="nut")
    with pytest.raises(BayesCausalError, match="does not take random_seed="):
        bc.Refitter(model, ["x"], random_seed=1)
    with pytest.raises(DataError, match="no column for 'y'"):
        refitter.fit({"x": [0.0, 1.0], "t": [0, 1]}, seed=1)
    with pytest.raises(BayesCausalError, match="seed=None"):
        refitter.fit({"x": [0.0, 1.0], "t": [0, 1], "y": [0.0, 1.0]}, seed=None)
    with pytest.raises(ModelError, match="has no exact method"):
        bc.Refitter(model, ["x", "t", "y"], method="exact").fit(data_of(model, 5, 1), seed=1)


def test_it_says_what_it_is(model):
    shown = repr(bc.Refitter(model, ["x", "t", "y"]))
    assert shown == "Refitter(x, t, y; 4 chains x 1000 draws; method='auto')"


def test_how_many_chains_run_at_once_chooses_no_method():
    with pm.Model(coords={"unit": [0]}) as model:
        x, b = pm.Data("x", [0.0], dims="unit"), pm.Normal("b", shape=2)
        pm.Bernoulli("y", logit_p=b[0] + b[1] * x, dims="unit")
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=60), "y": rng.integers(0, 2, 60)}
    options = {"draws": 200, "chains": 2}
    fits = [
        bc.fit(model, data, seed=1, progressbar=False, **options),
        bc.fit(model, data, seed=1, progressbar=False, cores=1, **options),
        bc.Refitter(model, ["y"], cores=1, **options).fit(data, seed=1),
    ]
    assert "nuts" not in fits[0].methods.values()
    for fit in fits[1:]:
        assert fit.methods == fits[0].methods
        np.testing.assert_array_equal(fit.posterior["b"], fits[0].posterior["b"])


# ------------------------------------------------------- few unknowns, without a compiler


def student() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        x, a, b, s = (
            pm.Data("x", [0.0], dims="unit"),
            pm.Normal("a"),
            pm.Normal("b"),
            pm.HalfNormal("s"),
        )
        pm.StudentT("y", nu=4, mu=a + b * x, sigma=s, dims="unit")
    return model


def hill() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        x, top, half = (
            pm.Data("x", [1.0], dims="unit"),
            pm.HalfNormal("top", 3),
            pm.LogNormal("half"),
        )
        pm.Deterministic("double", 2 * half)
        pm.Normal("y", top * x**2 / (half**2 + x**2), pm.HalfNormal("s"), dims="unit")
    return model


def counts() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        x, b, p = pm.Data("x", [0.0], dims="unit"), pm.Normal("b"), pm.Beta("p", 2, 2)
        pm.ZeroInflatedPoisson("y", p, pm.math.exp(b * x), dims="unit")
    return model


def sets(*units: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(8)
    x = [rng.uniform(0.2, 2, n) for n in units]
    return [{"x": v, "y": rng.poisson(1 + v)} for v in x]


class CompiledError(Exception):
    pass


def refused(*_, **__):
    raise CompiledError


@pytest.mark.parametrize("made", [student, hill, counts])
def test_few_unknowns_are_drawn_as_a_fit_draws_them(made, monkeypatch):
    """For any number of units, from threads and after a pickle; and nothing is compiled."""
    monkeypatch.setattr("nutpie.compile_pymc_model", refused)
    options, both = {"draws": 200, "chains": 2}, sets(30, 45)
    model = made()
    refitter = bc.Refitter(model, ["y"], **options)
    whole = [bc.fit(model, d, seed=i, progressbar=False, **options) for i, d in enumerate(both)]
    assert [set(fit.methods.values()) for fit in whole] == [{METHOD}] * 2
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda i: refitter.fit(both[i % 2], seed=i % 2), range(4)))
    found.append(pickle.loads(pickle.dumps(refitter)).fit(both[0], seed=0))
    for i, fit in enumerate(found):
        same(fit, whole[i % 2])
        assert fit.methods == whole[i % 2].methods
        assert not any("plain path" in note for note in fit.notes)
    [recipe] = refitter._recipes.values()
    held = recipe.few.model["x"].get_value()  # as it was made, for the data that came first
    assert any(np.array_equal(held, d["x"]) for d in both)


@FEW_DRAWS
def test_a_density_that_is_refused_goes_to_a_chain(monkeypatch):
    """Of one data set, not of the others: what is too much work depends on the rows."""
    [small, large] = sets(40, 60)
    model, options = student(), {"draws": 500, "chains": 2}
    refitter = bc.Refitter(model, ["y"], **options)
    rows = [few._cost([model.logp()], d)[1] for d in (small, large)]
    monkeypatch.setattr(few, "WORK", sum(rows) // 2)
    refitter.fit(small, seed=1)
    [recipe] = refitter._recipes.values()
    [(_, terms)] = recipe.few.groups
    work = [few._cost(terms, {"x": d["x"], "y_data": d["y"]})[1] for d in (small, large)]
    monkeypatch.setattr(few, "WORK", sum(work) // 2)
    found = [refitter.fit(d, seed=1) for d in (large, small)]
    assert [set(fit.methods.values()) for fit in found] == [{"nuts"}, {METHOD}]
    same(found[1], bc.fit(model, small, seed=1, progressbar=False, **options))
    monkeypatch.undo()
    agree(found[0], refitter.fit(large, seed=2), ["a", "b", "s"])


def test_a_latent_with_atoms_is_drawn_as_a_fit_draws_it():
    """A chain would never stand on zero, where two of five values are."""
    with pm.Model(coords={"unit": [0]}) as model:
        x, a, s = pm.Data("x", [0.0], dims="unit"), pm.Normal("a"), pm.HalfNormal("s")
        pm.StudentT("y", nu=4, mu=a * x, sigma=s, dims="unit")
        pm.Censored("z", pm.Normal.dist(0.25, 1), 0, None, dims="unit")
    [data] = sets(20)
    options = {"draws": 200, "chains": 2}
    found = bc.Refitter(model, ["y"], **options).fit(data, seed=1)
    whole = bc.fit(model, data, seed=1, progressbar=False, **options)
    same(found, whole)
    assert found.methods == whole.methods
    share = float((found.posterior["z"] == 0).mean())  # of 8,000 draws: sd .0055
    assert abs(share - stats.norm.cdf(-0.25)) < 4 * 0.0055
