"""Looks that stop a study, against the posterior of a Beta in each arm worked out by hand."""

import numpy as np
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.checks.studies.recipe import seeds_of
from bayescausal.simulation.repeat import Repeater
from bayescausal.types import EstimandError, FixedUnitsError, StudyError

SIZES, SURE, REPLICATES = (50, 100, 200, 400), 0.95, 40
TRUTH = {"p_group": 0.5, "p_y": [0.3, 0.3]}


@pytest.fixture(scope="module")
def trial():
    data = {"group": np.repeat([0, 1], 20), "y": np.tile([0, 0, 0, 1], 10)}
    return bc.designs.ab_test(data)


@pytest.fixture(scope="module")
def study(trial):
    return bc.recover(
        trial,
        TRUTH,
        trial.effects["ATE"],
        units=SIZES[-1],
        looks=SIZES,
        stop=SURE,
        replicates=REPLICATES,
        seed=4,
        progressbar=False,
    )


def better(table):
    """P(p_1 > p_0 | table): the integral of the density of p_1 times the distribution of p_0."""
    p = (np.arange(4000) + 0.5) / 4000
    wins = [table["y"][table["group"] == arm] for arm in (0, 1)]
    zero, one = (stats.beta(1 + w.sum(), 1 + (1 - w).sum()) for w in wins)
    return float((one.pdf(p) * zero.cdf(p)).mean())


def test_a_replicate_ends_at_the_look_at_which_the_exact_posterior_is_sure(trial, study):
    rows, compared = study.rows, 0
    simulator = Repeater(trial, units=SIZES[-1])
    values = {name: np.asarray(value) for name, value in TRUTH.items()}
    spread = np.sqrt(SURE * (1 - SURE) / 4000)  # of a share of 4,000 draws
    for number, row in rows.iterrows():
        data = simulator.draw(values, seeds_of(4, number).data)  # the same as of the study
        chances = [better(data[:size]) for size in SIZES]
        sure = [max(p, 1 - p) for p in chances]
        if min(abs(p - SURE) for p in sure) < 4 * spread:
            continue  # a look so near to the rule may go either way
        compared += 1
        stopped = next((k for k, p in enumerate(sure) if p >= SURE), None)
        assert row["stopped"] == (stopped is not None)
        assert row["seen"] == SIZES[-1 if stopped is None else stopped]
        seen = data[: int(row["seen"])]
        means = [(1 + w.sum()) / (2 + len(w)) for w in (seen["y"][seen["group"] == a]
                                                        for a in (0, 1))]  # fmt: skip
        assert row["mean"] == pytest.approx(means[1] - means[0], abs=5 * row["sd"] / 4000**0.5)
    assert compared > REPLICATES / 2


def test_without_an_effect_looks_call_it_something_as_often_as_by_hand(study):
    """The share of tests that stop, counted in 3,000 tests of sufficient statistics."""
    rng, tests = np.random.default_rng(1), 3000
    n, wins, called = np.zeros((2, tests)), np.zeros((2, tests)), np.zeros(tests, dtype=bool)
    for step in np.diff([0, *SIZES]):
        one = rng.binomial(step, 0.5, tests)
        more = np.stack([step - one, one])
        n, wins = n + more, wins + rng.binomial(more, 0.3)
        drawn = rng.beta(1 + wins[..., None], 1 + (n - wins)[..., None], (2, tests, 1000))
        chance = (drawn[1] > drawn[0]).mean(axis=1)
        called |= np.maximum(chance, 1 - chance) >= SURE
    share = called.mean()
    found = study.summary().loc["ATE group -> y"]
    error = np.sqrt(share * (1 - share) * (1 / REPLICATES + 1 / tests))
    assert abs(found["stopped"] - share) < 3.5 * error
    assert share > 2 * 0.1  # one look calls 2 (1 - 0.95) of them
    assert found["seen"] == study.rows["seen"].mean()
    assert found["coverage_94"] == study.rows["covered"].mean()


def test_claims_are_right_as_often_as_they_say_where_truths_are_drawn_from_the_prior(trial):
    found = bc.recover(
        trial,
        bc.prior(trial, seed=1, draws=1000),
        trial.effects["ATE"],
        units=200,
        looks=4,
        stop=0.8,
        replicates=80,
        draws=250,
        seed=2,
        progressbar=False,
    )
    rows = found.rows[found.rows["stopped"] == 1]
    right = ((rows["mean"] > 0) == (rows["truth"] > 0)).mean()
    assert right > 0.8 - 3.5 * np.sqrt(0.16 / len(rows))
    assert set(rows["seen"]) == {50, 100, 150, 200}


def test_a_function_stops_by_the_first_question_and_a_file_keeps_it(trial, tmp_path):
    asked = {"lift": trial.effects["ATE"], "ratio": trial.effects["relative lift"]}
    again = {
        "units": 60,
        "looks": [20, 60],
        "stop": lambda effect: effect.probability(above=0) > 0.5,
        "seed": 3,
        "progressbar": False,
        "path": tmp_path / "looks.jsonl",
        "draws": 200,
    }
    bc.recover(trial, TRUTH, asked, replicates=2, **again)
    found = bc.recover(trial, TRUTH, asked, replicates=6, **again)
    assert found.rows.groupby("replicate")["seen"].nunique().eq(1).all()
    for _, row in found.rows[found.rows["estimand"] == "lift"].iterrows():
        assert row["seen"] == 60 or row["stopped"] == 1
    with pytest.raises(StudyError, match="another study"):
        bc.recover(trial, TRUTH, asked, replicates=2, **{**again, "looks": [30, 60]})
    plain = bc.recover(trial, TRUTH, asked, units=20, replicates=1, seed=1, progressbar=False)
    assert not {"seen", "stopped"} & {*plain.rows.columns, *plain.summary().columns}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"looks": 0}, "looks=0 of 60 units"),
        ({"looks": [20, 40]}, "after how many units"),
        ({"looks": [20, 20, 60]}, "after how many units"),
        ({"looks": [0.5, 60]}, "after how many units"),
        ({"looks": 100}, "looks=100 of 60"),
        ({"stop": 0.5}, "between 0.5 and 1"),
        ({"stop": "sure"}, "between 0.5 and 1"),
        ({"units": {"unit": 60}}, "The number of units"),
        ({"estimators": bc.estimators.Regression()}, "posterior of a fit"),
        ({"estimands": bc.Expected("y", {"group": 1})}, "no value that means no effect"),
    ],
)
def test_looks_that_cannot_be_are_refused(trial, changed, said):
    asked = {"estimands": trial.effects["ATE"], "units": 60, "looks": 2, "seed": 1} | changed
    with pytest.raises(StudyError, match=said):
        bc.recover(trial, TRUTH, progressbar=False, **asked)


def test_a_model_with_a_number_of_units_has_no_looks():
    data = {"group": [0, 1] * 4, "city": list("aabbaabb"), "y": np.arange(8.0)}
    design = bc.designs.ab_test(data, blocks="city")
    truth = {"p_group": 0.5, "level_y": [0, 1], "sd_y_city": 1, "r_y_city": [0, 0], "sigma_y": 1}
    with pytest.raises(FixedUnitsError):
        bc.recover(design, truth, design.effects["ATE"], units=8, looks=2, seed=1)


def test_arms_with_labels_are_recovered_as_those_without(trial):
    """Simulated data hold codes; the questions of the design name labels."""
    letters = {"group": np.repeat(["A", "B"], 20), "y": np.tile([0, 0, 0, 1], 10)}
    named = bc.designs.ab_test(letters)
    truth = {"p_group": [0.5, 0.5], "p_y": [0.2, 0.6]}
    data = bc.simulate(named, truth, units=300, seed=1)
    coded = bc.fit(named.model, data, seed=1, draws=250, progressbar=False)
    words = data.assign(group=np.array(["A", "B"])[data["group"]])
    spelt = bc.fit(named.model, words, seed=1, draws=250, progressbar=False)
    for question in (named.effects["ATE"], bc.Expected("y", {"group": "B"})):
        one, other = (bc.estimate(fit, question) for fit in (coded, spelt))
        np.testing.assert_array_equal(one.draws, other.draws)
    by_code = bc.estimate(coded, bc.ATE("group", "y", treated=1, control=0))
    np.testing.assert_array_equal(by_code.draws, bc.estimate(coded, named.effects["ATE"]).draws)
    with pytest.raises(EstimandError, match="'C' is not a category"):
        bc.estimate(coded, bc.ATE("group", "y", treated="C", control="A"))
    found = bc.recover(
        named, truth, named.effects["ATE"], units=300, replicates=5, seed=1, progressbar=False
    )
    assert not len(found.failures)
    assert found.summary()["truth"].tolist() == [pytest.approx(0.4)]
