"""The verdict on each design's effects names the assumption that identifies them."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from test_coverage import DESIGNS

import bayescausal as bc

ASSUMED = {
    "cohorts": ("by_event_time", "parallel trends"),
    "jump": ("at_cutoff", "continuity at the cutoff"),
    "fuzzy_jump": ("LATE", "threshold as an instrument"),
    "series": ("average", "the trend continues"),
    "weighted_donors": ("ATT", "the match continues"),
    "encouraged": ("LATE", "instrument"),
    "compliers": ("LATE", "principal strata"),
}


@pytest.mark.parametrize("name", ASSUMED)
def test_the_verdict_names_what_the_design_assumes(name):
    effect, method = ASSUMED[name]
    design, _, _ = DESIGNS[name]()
    found = bc.identify(design, design.effects[effect])
    assert (found.status, found.method) == ("under assumption", method)
    assert not found
    assert found.assumptions or found.instruments
    plain = bc.identify(design.model, design.effects[effect])
    assert plain.method == method  # the model alone remembers what it has no column of


def test_what_a_design_has_no_column_of_is_not_adjusted_for():
    design, _, _ = DESIGNS["encouraged"]()
    ax = bc.plot_graph(design.model, treatment="x", outcome="y")
    words = {text.get_text() for text in ax.texts}
    assert "common_cause" in words
    assert "adjusted for" not in words
    assert "common_cause [latent]" in bc.to_text(design.model)


def test_an_outcome_that_jumps_by_itself_is_no_fuzzy_design():
    """The same equations but for a jump of the outcome's own at the cutoff."""
    with pm.Model(coords={"unit": [0, 1]}) as model:
        r = pm.Data("r", [-0.5, 0.5], dims="unit")
        above = pm.Deterministic("above", pt.ge(r, 0) * 1.0, dims="unit")
        u, b = pm.Normal("u", dims="unit"), pm.Normal("b", shape=5)
        d = pm.Normal("d", b[0] * above + u, 1, dims="unit")
        pm.Normal("meets", b[1] * d + b[2] * r + b[3] * above * r + u, 1, dims="unit")
        pm.Normal("jumps", b[1] * d + b[2] * r + b[3] * above * (r + 1) + u, 1, dims="unit")
    seen = ["r", "d", "meets", "jumps"]
    assert bc.identify(model, "d", "meets", observed=seen).method == "threshold as an instrument"
    assert bc.identify(model, "d", "jumps", observed=seen).status == "not identified"


# ------------------------------------------------------------------------ none of these designs

RNG = np.random.default_rng(0)
N = 80
SITE = RNG.integers(0, 4, N)
SCORE = RNG.normal(size=N)
REGION, YEAR = np.repeat(np.arange(8), 10), np.tile(np.arange(10), 8)
AFTER = np.arange(N) >= 40


def one(r, s):
    return 1.0


def confounded(mean, spread=one, outcome=lambda r, s: r):
    """A treatment and an outcome with a hidden common cause, and what each does with a score."""
    with pm.Model(coords={"unit": range(N)}) as model:
        r, s = pm.Data("r", SCORE, dims="unit"), pm.Data("site", SITE, dims="unit")
        u, b = pm.Normal("u", dims="unit"), pm.Normal("b", shape=4)
        mu = b[0] * mean(r, s) + u
        x = pm.Normal("x", mu, spread(r, s), dims="unit", observed=SCORE)
        eta = b[1] * x + b[2] * outcome(r, s) + u
        pm.Normal("y", eta, 1, dims="unit", observed=SCORE)
    return model


NO_INSTRUMENT = {
    "a guard in the spread": (lambda r, s: r, lambda r, s: pt.maximum(pt.exp(r), 1e-6)),
    "steps of the spread": (lambda r, s: r, lambda r, s: pt.switch(r > 0, 1.0, 2.0)),
    "a guard of a logarithm": (lambda r, s: pt.log(pt.maximum(r, 1e-6)),),
    "a guard outside the data": (lambda r, s: pt.maximum(r, -50.0),),
    "a function that is compared": (lambda r, s: pt.maximum(pt.exp(r), 1.0),),
    "clipped": (lambda r, s: pt.clip(r, -1, 1),),
    "clipped in two steps": (lambda r, s: pt.minimum(pt.maximum(r, -1.0), 1.0),),
    "a spline": (lambda r, s: r + pt.maximum(r, 0) - 2 * pt.maximum(r - 1, 0),),
    "a quadratic spline": (lambda r, s: r + pt.maximum(r, 0) ** 2,),
    "classes of a score": (lambda r, s: pt.ge(r, -0.5) * 1.0 + pt.ge(r, 0.5),),
    "the dummy of a site": (lambda r, s: pt.eq(s, 1) * 1.0, one, lambda r, s: s),
    "an outcome that jumps": (lambda r, s: pt.ge(r, 0) * 1.0, one, lambda r, s: pt.sign(r)),
    "an outcome that bends": (lambda r, s: pt.maximum(r, 0), one, lambda r, s: abs(r)),
    "an effect of each value": (
        lambda r, s: pt.ge(s, 2) * 1.0,
        one,
        lambda r, s: pt.constant([0.0, 1, 5, 2])[s],
    ),
}


@pytest.mark.parametrize("name", NO_INSTRUMENT)
def test_a_comparison_that_moves_no_treatment_at_a_cutoff_is_no_instrument(name):
    assert bc.identify(confounded(*NO_INSTRUMENT[name]), "x", "y").status == "not identified"


def test_a_threshold_and_a_bend_are_instruments():
    for mean in (lambda r, s: pt.ge(r, 0) * 1.0, lambda r, s: pt.maximum(r - 0.2, 0)):
        assert bc.identify(confounded(mean), "x", "y").method == "threshold as an instrument"


@pytest.mark.parametrize("through", ["a cause", "a consequence"])
def test_a_threshold_that_moves_the_outcome_another_way_is_no_instrument(through):
    with pm.Model(coords={"unit": range(N)}) as model:
        r, u = pm.Data("r", SCORE, dims="unit"), pm.Normal("u", dims="unit")
        above, b = pt.ge(r, 0) * 1.0, pm.Normal("b", shape=5)
        seen = {"dims": "unit", "observed": SCORE}
        if through == "a cause":  # a second programme with the same rule
            w = pm.Normal("w", b[0] * above, 1, **seen)
            x = pm.Normal("x", b[1] * above + u, 1, **seen)
        else:
            x = pm.Normal("x", b[1] * above + u, 1, **seen)
            w = pm.Normal("w", b[0] * above + b[4] * x, 1, **seen)
        pm.Normal("y", b[2] * x + b[3] * w + r + u, 1, **seen)
    assert bc.identify(model, "x", "y").status == "not identified"


def pooled(weights=False, time=None, treated=AFTER, scale=False):
    """Two columns with Dirichlet weights or free slopes, and a treatment that begins at a row."""
    with pm.Model(coords={"unit": range(N), "k": range(2)}) as model:
        columns = pm.Data("X", RNG.normal(size=(N, 2)), dims=("unit", "k"))
        t = pm.Data("t", np.arange(N) * 1.0 if time is None else time, dims="unit")
        x, w = (
            pm.Data("x", treated.astype(int), dims="unit"),
            pm.Dirichlet("w", np.ones(2), dims="k"),
        )
        b = pm.Normal("b", shape=2)
        match = columns @ (w if weights else pm.Normal("slope", dims="k"))
        mu = (b[1] * match if scale else match) + b[0] * x + 0.0 * t
        if weights:
            pm.Normal("y", mu, 1, dims="unit", observed=SCORE)
        else:  # two spreads of the noise
            pm.Mixture(
                "y", w, [pm.Normal.dist(mu, 1), pm.Normal.dist(mu, 5)], dims="unit", observed=SCORE
            )
    return model  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": True, "time": np.where(AFTER, RNG.uniform(1, 2, N), 0.0)},
        {"weights": True, "time": np.sort(RNG.exponential(size=N))},
        {"weights": True, "treated": np.arange(N) >= 2},
        {"weights": True, "scale": True},
    ],
    ids=["weights of a mixture", "a dose", "an uneven score", "two rows before", "an index"],
)
def test_weights_of_a_simplex_are_no_synthetic_control(options):
    assert bc.identify(pooled(**options), "x", "y").method == "back door"
    assert bc.identify(pooled(weights=True), "x", "y").method == "the match continues"


def grouped(x, form="looked up", drawn=False):
    with pm.Model(coords={"unit": range(N), "region": range(8), "year": range(10)}) as model:
        i, t = pm.Data("i", REGION, dims="unit"), pm.Data("t", YEAR, dims="unit")
        a, c = pm.Normal("a", dims="region"), pm.Normal("c", dims="year")
        if drawn:
            treated = pm.Bernoulli("x", 0.5, dims="unit", observed=x)
        else:
            treated = pm.Data("x", x, dims="unit")
        time = c[t] if form == "looked up" else sum(pt.switch(pt.eq(t, k), c[k], 0) for k in (1, 2))
        mu = a[i] + time + pm.Normal("effect") * treated
        pm.Normal("y", mu, 1, dims="unit", observed=SCORE)
    return model


def test_group_intercepts_and_period_dummies_alone_are_no_differences():
    coin = RNG.integers(0, 2, N)
    timed = ((REGION < 4) & (YEAR >= 6)).astype(int)
    assert bc.identify(grouped(coin, "switched"), "x", "y").method == "back door"
    assert bc.identify(grouped(timed, "switched"), "x", "y").method == "parallel trends"
    comes_and_goes = bc.identify(grouped(coin), "x", "y")
    assert comes_and_goes.method == "parallel trends"
    assert "x has no effect at other t than its own" in comes_and_goes.assumptions[0]
    known = bc.truth(
        grouped(coin, drawn=True), {"a": np.zeros(8), "c": np.zeros(10), "effect": 1.0}
    )
    assert bc.ATE("x", "y").identify(known).status == "identified"  # its equation says so


def test_few_rows_in_each_cell_are_no_panel():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        codes, x = rng.integers(0, 12, (2, 30)), rng.integers(0, 2, 30)
        with pm.Model(coords={"unit": range(30), "g": range(12), "h": range(12)}) as model:
            i, j = pm.Data("i", codes[0], dims="unit"), pm.Data("j", codes[1], dims="unit")
            a, c = pm.Normal("a", dims="g"), pm.Normal("c", dims="h")
            treated = pm.Data("x", x, dims="unit")
            mu = a[i] + c[j] + pm.Normal("effect") * treated
            pm.Normal("y", mu, 1, dims="unit", observed=np.zeros(30))
        assert bc.identify(model, "x", "y").method == "back door"


@pytest.mark.parametrize(
    ("treated", "score", "looked", "method"),
    [
        (SCORE > 0, SCORE, False, "continuity at the cutoff"),
        (AFTER, np.arange(N) * 1.0, False, "the trend continues"),
        (AFTER, np.where(AFTER, 1.0 + np.arange(N), 0.0), False, "form of the equation"),  # a dose
        (AFTER, 1.0 * AFTER, False, "form of the equation"),  # two values
        (SITE > 1, SITE, True, "form of the equation"),  # a free coefficient for each group
    ],
    ids=["a score", "a series", "a dose", "a copy", "labels of groups"],
)
def test_a_column_that_the_treatment_is_a_function_of(treated, score, looked, method):
    with pm.Model(coords={"unit": range(N), "group": range(4)}) as model:
        r, x = pm.Data("r", score, dims="unit"), pm.Data("x", treated.astype(int), dims="unit")
        effect = pm.Normal("a", dims="group")[r] if looked else pm.Normal("s") * r
        pm.Normal("y", effect + pm.Normal("b") * x, 1, dims="unit", observed=SCORE)
    truth = {"a": np.zeros(4), "b": 1.0} if looked else {"s": 1.0, "b": 1.0}
    assert bc.ATE("x", "y").identify(bc.truth(model, truth)).method == method
