"""Estimators against closed forms, enumeration and other people's arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.estimators import (
    AIPW,
    IPW,
    TMLE,
    Logistic,
    Matching,
    Regression,
    Standardization,
    Stratification,
    Stratified,
)
from bayescausal.estimators.matching.neighbours import greedy, nearest
from bayescausal.estimators.numerics.bootstrap import weight_blocks
from bayescausal.estimators.numerics.least_squares import least_squares, with_constant
from bayescausal.estimators.numerics.logistic import LogisticRegressions, logistic_point

GRAPH = "z -> x -> y; z -> y"


def world(n, seed=0, effect=2.0, modified=0.0):
    """Return units with one confounder and a linear outcome."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = rng.binomial(1, expit(0.8 * z))
    y = effect * x + modified * x * z + z + rng.normal(size=n)
    return {"z": z, "x": x, "y": y}


def estimates(data, estimators, question=None, graph=GRAPH, **options):
    question = bc.ATE("x", "y") if question is None else question
    options.setdefault("draws", 20)
    found = bc.triangulate(graph, question, estimators=estimators, data=data, seed=1, **options)
    return found.table["estimate"].to_dict()


# --------------------------------------------------------------------------- numerics


def test_weighted_regressions_solve_their_equations():
    rng = np.random.default_rng(1)
    x = with_constant(rng.normal(size=(80, 3)) * [1, 100, 1e-3])
    y = rng.normal(size=80)
    weights = rng.dirichlet(np.ones(80), size=7) * 80
    beta = least_squares(x, y, weights)
    for b, w in zip(beta, weights, strict=True):
        own = np.linalg.lstsq(x * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
        np.testing.assert_allclose(b, own, rtol=1e-8)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("n", [60, 3000])
def test_logistic_regressions_of_many_weights_are_those_of_each(n, penalty):
    """Within a thousandth of a standard error, the accuracy that the steps stop at."""
    rng = np.random.default_rng(2)
    x = with_constant(rng.normal(size=(n, 2)))
    y = (rng.random(n) < expit(x @ [-1.0, 1.0, 0.5])).astype(float)
    weights = rng.dirichlet(np.ones(n), size=30) * n
    start = logistic_point(x, y, None, penalty)
    beta, chance = LogisticRegressions(x, y, start, penalty).under(weights)
    for b, e, w in zip(beta, chance, weights, strict=True):
        own = logistic_point(x, y, w, penalty)
        p = expit(x @ own)
        se = np.sqrt(np.diag(np.linalg.inv((x * (w * p * (1 - p))[:, None]).T @ x)))
        assert (np.abs(b - own) < 2e-3 * se).all()
        np.testing.assert_allclose(e, p, atol=2e-3 * se.max())


def test_penalised_logistic_regression_is_that_of_sklearn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    y = (rng.random(200) < expit(x[:, 0])).astype(float)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(x, y)
    ours = logistic_point(with_constant(x), y, None, 2.0)
    np.testing.assert_allclose(ours, [theirs.intercept_[0], *theirs.coef_[0]], atol=1e-6)


def test_logistic_steps_arrive_from_far_away():
    """A rare cell whose weight triples: one full step from the centre would overshoot."""
    y = np.r_[np.zeros(95), np.ones(5), np.zeros(50), np.ones(50)]
    x = np.column_stack([np.ones(200), np.r_[np.ones(100), np.zeros(100)]])
    weights = np.ones((2, 200))
    weights[0, 95:100] = 40.0
    weights[1, 95:100] = 0.01
    start = logistic_point(x, y)
    beta, _ = LogisticRegressions(x, y, start).under(weights)
    shares = np.array([40 * 5 / (95 + 40 * 5), 0.01 * 5 / (95 + 0.01 * 5)])
    np.testing.assert_allclose(expit(beta.sum(axis=1)), shares, rtol=1e-3)


def test_weights_do_not_depend_on_the_block(monkeypatch):
    whole = np.concatenate([w for _, w in weight_blocks(30, 9, seed=4)])
    monkeypatch.setattr("bayescausal.estimators.numerics.bootstrap.BLOCK", 60)
    parts = list(weight_blocks(30, 9, seed=4))
    assert [p[0] for p in parts][:2] == [slice(0, 2), slice(2, 4)]
    np.testing.assert_array_equal(whole, np.concatenate([w for _, w in parts]))
    np.testing.assert_allclose(whole.sum(axis=1), 30)


# ------------------------------------------------------------------------ closed forms


def test_one_binary_confounder_has_one_answer():
    """Saturated models of outcome and treatment are the same: standardisation by hand."""
    rng = np.random.default_rng(5)
    z = rng.binomial(1, 0.4, 900)
    x = rng.binomial(1, 0.3 + 0.4 * z)
    y = rng.normal(1 + x * (1 + z), 1)
    data = {"z": z, "x": x, "y": y}
    cell = {(a, b): y[(x == a) & (z == b)].mean() for a in (0, 1) for b in (0, 1)}
    ask = [
        Standardization(interactions=True),
        Stratified(),
        IPW(),
        AIPW(),
        TMLE(),
        Matching(metric="exact"),
        Matching(metric="mahalanobis", ties="average"),
        Stratification(strata=10),
    ]
    groups = {bc.ATE: z.mean(), bc.ATT: z[x == 1].mean(), bc.ATU: z[x == 0].mean()}
    for question, share in groups.items():
        right = (1 - share) * (cell[1, 0] - cell[0, 0]) + share * (cell[1, 1] - cell[0, 1])
        found = estimates(data, ask, question("x", "y"))
        for name, value in found.items():
            assert value == pytest.approx(right, abs=1e-5), name
    e = np.array([x[z == v].mean() for v in (0, 1)])[z]
    tilt = (e * (1 - e)).sum(where=z == 1) / (e * (1 - e)).sum()
    right = (1 - tilt) * (cell[1, 0] - cell[0, 0]) + tilt * (cell[1, 1] - cell[0, 1])
    found = estimates(data, [Stratified(), IPW(), AIPW(), TMLE()], bc.ATO("x", "y"))
    for value in found.values():
        assert value == pytest.approx(right, abs=1e-5)
    assert estimates(data, [IPW(weights="overlap")])["ipw"] == pytest.approx(right, abs=1e-8)


def test_regression_weights_units_by_the_variance_of_their_treatment():
    rng = np.random.default_rng(6)
    z = rng.binomial(1, 0.5, 600)
    x = rng.binomial(1, 0.2 + 0.5 * z)
    y = rng.normal(x * (1 + 2 * z), 1)
    v = np.array([x[z == k].var() * (z == k).sum() for k in (0, 1)])
    gaps = [y[(x == 1) & (z == k)].mean() - y[(x == 0) & (z == k)].mean() for k in (0, 1)]
    found = estimates({"z": z, "x": x, "y": y}, ["regression"])
    assert found["regression"] == pytest.approx(v @ gaps / v.sum())


def test_other_tilts_and_forms_of_weights():
    data = world(400, seed=7)
    z, x, y = (data[n] for n in "zxy")
    e = expit(with_constant(z[:, None]) @ logistic_point(with_constant(z[:, None]), x * 1.0))
    found = estimates(
        data,
        [IPW(w) for w in ("hajek", "stabilised", "horvitz-thompson", "matching")]
        + [IPW("trimmed", trim=0.2)],
    )

    def mean(w, arm):
        return (w * y)[x == arm].sum() / w[x == arm].sum()

    low = np.minimum(e, 1 - e)
    inside = (e > 0.2) & (e < 0.8)
    right = {
        "IPW()": mean(1 / e, 1) - mean(1 / (1 - e), 0),
        "IPW(weights='stabilised')": mean(1 / e, 1) - mean(1 / (1 - e), 0),
        "IPW(weights='horvitz-thompson')": (x * y / e - (1 - x) * y / (1 - e)).mean(),
        "IPW(weights='matching')": mean(low / e, 1) - mean(low / (1 - e), 0),
        "IPW(weights='trimmed', trim=0.2)": mean(inside / e, 1) - mean(inside / (1 - e), 0),
    }
    assert found == pytest.approx(right)


def test_scales_and_probabilities_are_of_the_two_means():
    data = world(500, seed=8)
    for scale, combine in (("ratio", lambda a, b: a / b), ("odds ratio", None)):
        event = bc.Probability(above=1.0)
        question = bc.ATE("x", "y", functional=event, scale=scale)
        happens = (data["y"] > 1.0).astype(float)
        found = estimates(data, [IPW()], question)["ipw"]
        z = with_constant(data["z"][:, None])
        e = expit(z @ logistic_point(z, data["x"] * 1.0))
        w = np.where(data["x"] == 1, 1 / e, 1 / (1 - e))
        a, b = (np.average(happens[data["x"] == k], weights=w[data["x"] == k]) for k in (1, 0))
        right = combine(a, b) if combine else (a / (1 - a)) / (b / (1 - b))
        assert found == pytest.approx(right)


# ----------------------------------------------------------------- one model at a time


@pytest.mark.parametrize("estimator", [AIPW, TMLE])
def test_doubly_robust_estimators_need_one_model(estimator):
    """Each model is broken by leaving out the square that both depend on."""

    class Blind:
        """Predicts the mean, whatever the columns: a model that is wrong."""

        def fit(self, x, y):
            self.mean = float(np.mean(y))
            return self

        def predict(self, x):
            return np.full(len(x), self.mean)

        def predict_proba(self, x):
            return np.column_stack([1 - self.predict(x), self.predict(x)])

    data = world(20_000, seed=9)
    right, both_wrong = 2.0, None
    error = 4 * np.sqrt(5.0 / 20_000)  # four standard errors
    options = {"draws": 5}
    treatment_wrong = estimates(data, [estimator(treatment=Blind())], **options)
    outcome_wrong = estimates(data, [estimator(outcome=Blind())], **options)
    both_wrong = estimates(data, [estimator(outcome=Blind(), treatment=Blind())], **options)
    name = estimator.name
    assert treatment_wrong[name] == pytest.approx(right, abs=error)
    assert outcome_wrong[name] == pytest.approx(right, abs=error)
    assert both_wrong[name] > right + 0.5  # E[z | x=1] - E[z | x=0] is left
    assert estimates(data, [IPW(treatment=Blind())], **options)["ipw"] > right + 0.5


# ---------------------------------------------------------------------------- matching


def test_bias_correction_leaves_nothing_of_a_linear_outcome():
    """Without noise Y = 2 T + z: the difference that matching leaves is the mean gap of z."""
    rng = np.random.default_rng(10)
    z = rng.normal(size=300)
    x = rng.binomial(1, expit(2 * z))
    data = {"z": z, "x": x, "y": 2.0 * x + z}
    plain = Matching(metric="mahalanobis")
    found = estimates(
        data, [plain, Matching(metric="mahalanobis", bias_correction=True)], bc.ATT("x", "y")
    )
    treated, control = z[x == 1], z[x == 0]
    gap = (treated - control[np.abs(treated[:, None] - control).argmin(axis=1)]).mean()
    assert gap > 0.05
    values = list(found.values())
    assert values[0] == pytest.approx(2.0 + gap)
    assert values[1] == pytest.approx(2.0, abs=1e-9)


def test_abadie_imbens_by_hand():
    """Four treated and four controls on a line, counted by hand."""
    z = np.array([0.0, 1.0, 2.0, 3.0, 0.1, 1.1, 1.2, 5.0])
    x = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    y = np.array([1.0, 3.0, 2.0, 6.0, 0.0, 1.0, 2.0, 4.0])
    question = bc.ATT("x", "y", population="superpopulation")
    found = bc.triangulate(
        GRAPH, question, estimators=[Matching(metric="mahalanobis")],
        data={"z": z, "x": x, "y": y}, draws=4000, seed=1,
    )  # fmt: skip
    matched = np.array([0.0, 1.0, 2.0, 2.0])  # nearest controls: .1, 1.1, 1.2, 1.2
    apart = y[:4] - matched
    used = np.array([1, 1, 2, 0])
    # spread among the two nearest of the own arm, 2/3 of the squared gap to their mean
    near = {4: (5, 6), 5: (6, 4), 6: (5, 4), 7: (6, 5)}
    sigma2 = np.array([2 / 3 * (y[i] - y[list(near[i])].mean()) ** 2 for i in range(4, 8)])
    v = ((apart - apart.mean()) ** 2).sum() + ((used**2 - used) * sigma2).sum()
    effect = found.effects["matching"]
    assert float(effect) == pytest.approx(apart.mean())
    assert found.table.loc["matching", "se"] == pytest.approx(np.sqrt(v) / 4)
    # n w has variance n / (n + 1), so that of a sum of centred parts is smaller by that
    assert effect.sd() == pytest.approx(np.sqrt(v) / 4, rel=0.12)
    assert "bootstrap of matching is invalid" in effect.notes[0]


def test_nearest_units_by_enumeration():
    rng = np.random.default_rng(11)
    own, others = rng.integers(0, 6, (40, 2)) * 1.0, rng.integers(0, 6, (70, 2)) * 1.0
    away = np.sqrt(((own[:, None] - others) ** 2).sum(axis=2))
    for k in (1, 3):
        first = nearest(own, others, k, "first").toarray()
        every = nearest(own, others, k, "average").toarray()
        for i in range(40):
            order = np.lexsort((np.arange(70), away[i].round(9)))[:k]
            assert set(np.flatnonzero(first[i])) == set(order)
            inside = away[i] <= np.sort(away[i])[k - 1] + 1e-9
            np.testing.assert_allclose(every[i], inside / inside.sum())
    limited = nearest(own, others, 1, "first", caliper=0.5).toarray()
    assert ((limited.sum(axis=1) > 0) == (away.min(axis=1) <= 0.5)).all()
    pairs = greedy(own, others, 1, np.arange(40)).toarray()
    assert pairs.sum(axis=0).max() == 1
    assert pairs.sum() == 40


# -------------------------------------------------------------- instrument, front door


def test_wald_is_the_ratio_of_two_differences():
    rng = np.random.default_rng(12)
    u, z = rng.normal(size=800), rng.binomial(1, 0.5, 800)
    x = (0.9 * z + u + rng.normal(size=800) > 0.4).astype(int)
    y = 2 * x + u + rng.normal(size=800)
    found = bc.triangulate("z -> x -> y; x <-> y", bc.ATE("x", "y"),
                           data={"x": x, "y": y, "z": z}, draws=50)  # fmt: skip
    wald = (y[z == 1].mean() - y[z == 0].mean()) / (x[z == 1].mean() - x[z == 0].mean())
    assert found.table.loc["two_stage_least_squares", "estimate"] == pytest.approx(wald)
    effect = found.effects["two_stage_least_squares"]
    assert effect.identification.status == "under assumption"


def test_two_stages_with_covariates_by_hand():
    """The instrument has three levels; the treatment is a dose."""
    rng = np.random.default_rng(13)
    n = 500
    w, u = rng.normal(size=n), rng.normal(size=n)
    z = np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, n)]
    x = 1.0 * (z == "b") + 2.0 * (z == "c") + w + u + rng.normal(size=n)
    y = 1.5 * x + w + u + rng.normal(size=n)
    graph = "w -> z -> x -> y; w -> x; w -> y; x <-> y"
    found = bc.triangulate(graph, bc.ATE("x", "y", treated=3, control=1),
                           data={"w": w, "x": x, "y": y, "z": z}, draws=20)  # fmt: skip
    first = np.column_stack([np.ones(n), w, z == "b", z == "c"])
    hat = first @ np.linalg.lstsq(first, x, rcond=None)[0]
    second = np.column_stack([hat, np.ones(n), w])
    slope = np.linalg.lstsq(second, y, rcond=None)[0][0]
    assert found.table["estimate"].iloc[0] == pytest.approx(2 * slope)


def test_the_front_door_of_smoking_and_tar():
    """J. Pearl, Causality, section 3.3.3: .4525 - .4975, against an association of +.755."""
    rows = []
    for s, t, share, cancer in (
        (0, 0, 0.475, 0.10), (1, 0, 0.025, 0.90), (0, 1, 0.025, 0.05), (1, 1, 0.475, 0.85),
    ):  # fmt: skip
        for c, chance in ((1, cancer), (0, 1 - cancer)):
            rows += [(s, t, c)] * round(4000 * share * chance)
    s, t, c = np.array(rows).T
    found = bc.triangulate("S -> T -> C; S <-> C", bc.ATE("S", "C"),
                           data={"S": s, "T": t, "C": c}, draws=100)  # fmt: skip
    assert found.table.loc["front_door", "estimate"] == pytest.approx(-0.045, abs=1e-9)


# ------------------------------------------------------------------------- populations


def test_effects_that_vary_are_averaged_over_the_population_asked_about():
    data = world(3000, seed=14, modified=1.0)
    z, x = data["z"], data["x"]
    for question, inside in ((bc.ATE, z > -9), (bc.ATT, x == 1), (bc.ATU, x == 0)):
        found = estimates(data, ["stratified"], question("x", "y"))
        right = 2 + z[inside].mean()
        assert found["stratified"] == pytest.approx(right, abs=4 * np.sqrt(5 / 3000))
    table = {"z": np.array([3.0, 3.0])}
    there = bc.ATE("x", "y", population=pd.DataFrame(table))
    assert estimates(data, ["stratified"], there)["stratified"] == pytest.approx(5, abs=0.4)


TARGET = pd.DataFrame({"z": [0.0] * 300 + [1.0] * 100, "x": [0, 1] * 200})


def exact_world(rows=400):
    """The effect is 1 + 2 z without noise, so that any regression within arms gives it exactly."""
    z = np.tile([0.0, 0.0, 1.0, 1.0, 2.0, 2.0], rows)
    x = np.tile([0, 1], 3 * rows)
    return {"z": z, "x": x, "y": z + x * (1 + 2 * z)}


@pytest.mark.parametrize(
    ("question", "right"),
    [
        (bc.ATE("x", "y", population=TARGET), 1 + 2 * 0.25),
        (bc.CATE("x", "y", given={"z": 1}, population=TARGET), 3.0),
        (bc.CATE("x", "y", given={"z": (0.5, 2)}, population=TARGET), 3.0),
        (bc.ATE("x", "y", by="z", population=TARGET), [1.0, 3.0]),
        (bc.ATT("x", "y", population=TARGET[TARGET.index >= 299]), 1 + 2 * 50 / 51),
    ],
)
def test_a_target_is_restricted_as_the_units_are(question, right):
    found = bc.triangulate(GRAPH, question, estimators=["stratified"], data=exact_world(), draws=20)
    assert np.asarray(found.effects["stratified"].mean()) == pytest.approx(right, abs=1e-9)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (bc.ATO("x", "y", population=TARGET), "weighted by their propensity; a table has none"),
        (bc.ATT("x", "y", population=TARGET[["z"]]), "'x' is not a column of the target"),
        (
            bc.ATT("x", "y", population=TARGET[TARGET.x == 0]),
            "No row of the target table has x = 1",
        ),
        (bc.CATE("x", "y", given={"z": 2}, population=TARGET), "No row of 400 of the target"),
    ],
)
def test_a_target_that_cannot_answer_is_refused(question, message):
    with pytest.raises(bc.BayesCausalError, match=message):
        bc.triangulate(GRAPH, question, estimators=["stratified"], data=exact_world(), draws=20)


def test_a_target_outside_what_the_units_can_tell_is_refused():
    data = exact_world()
    data["z"] = np.zeros_like(data["z"])
    with pytest.raises(bc.BayesCausalError, match="100 rows of the target table have other values"):
        bc.triangulate(
            GRAPH, bc.ATE("x", "y", population=TARGET), estimators=["stratified"], data=data
        )


def test_a_subgroup_beside_a_third_arm_is_that_of_the_two():
    """Units of other arms are left out of an ATT before the subgroup is formed."""
    data = {n: np.append(v, [7.0, 7.0]) for n, v in exact_world().items()}
    question = bc.ATT("x", "y", given={"z": 1})
    found = bc.triangulate(GRAPH, question, estimators=["stratified"], data=data, draws=20)
    assert float(found.effects["stratified"].mean()) == pytest.approx(3.0, abs=1e-9)


def test_units_at_hand_have_no_error_of_their_covariates():
    """Var of the average effect adds Var(2 + 3 z) / n where the units are a draw from more."""
    data = world(400, seed=15, modified=3.0)
    spread = {}
    for population in ("sample", "superpopulation"):
        question = bc.ATE("x", "y", population=population)
        found = bc.triangulate(GRAPH, question, estimators=["stratified"], data=data,
                               draws=1000, seed=2)  # fmt: skip
        spread[population] = found.effects["stratified"].sd()
    more = spread["superpopulation"] ** 2 - spread["sample"] ** 2
    assert more == pytest.approx(9 * data["z"].var() / 400, rel=0.25)


def test_clusters_are_drawn_whole():
    rng = np.random.default_rng(16)
    school = np.repeat(np.arange(30), 20)
    shift = rng.normal(size=30)[school]
    x = (rng.random(30) < 0.5).astype(int)[school]
    data = {"x": x, "y": x + shift + 0.1 * rng.normal(size=600), "school": school}
    spread = {}
    for name, population in (
        ("units", "superpopulation"),
        ("clusters", bc.Superpopulation(clusters="school")),
    ):
        found = bc.triangulate("x -> y", bc.ATE("x", "y", population=population),
                               estimators=["regression"], data=data, draws=400)  # fmt: skip
        spread[name] = found.effects["regression"].sd()
    assert spread["clusters"] == pytest.approx(spread["units"] * np.sqrt(20), rel=0.35)


def test_by_and_given_are_the_same_question_of_some_units():
    rng = np.random.default_rng(17)
    data = world(600, seed=17)
    data["g"] = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, 600)]
    graph = GRAPH + "; g -> y"
    inside = data["g"] == "b"
    both = bc.triangulate(graph, bc.ATE("x", "y", by="g"), estimators=["regression", "ipw"],
                          data=data, draws=30)  # fmt: skip
    part = {n: v[inside] for n, v in data.items()}
    alone = estimates(part, ["regression", "ipw"])
    given = estimates(data, ["regression", "ipw"], bc.ATE("x", "y", given={"g": "b"}), graph)
    for name, value in alone.items():
        assert both.table.loc[(name, "b"), "estimate"] == pytest.approx(value)
        assert given[name] == pytest.approx(value)
    assert both.effects["ipw"].dims == ("g",)
    assert "for each value of g" in both.effects["ipw"].sentence()


def test_penalties_reach_the_propensity():
    data = world(200, seed=18)
    free, drawn = (estimates(data, [IPW(treatment=Logistic(p))])["ipw"] for p in (0, 1e9))
    naive = data["y"][data["x"] == 1].mean() - data["y"][data["x"] == 0].mean()
    assert drawn == pytest.approx(naive, abs=1e-4)
    assert abs(free - naive) > 0.1
    assert Regression() == Regression()
