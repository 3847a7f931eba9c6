"""Post-treatment subgroups of fresh units depend on the coupling, as those of the units at hand do.

The kind of fault: one of several ways to a joint across worlds chose a coupling by itself. Asked of
units at hand the question was refused without `coupling=`; of the model's own units, or without
data, it took the monotone one. Siblings that were looked at: `given=` and `by=`; priors and truths
without data; subgroups by what a *set mediator* changes, not the treatment (not asked for either,
also with data); quantiles and events; ATT, pre-treatment subgroups, continuous variables and
associations, which need none; `population="finite"`, whose refusal said that an ATE never depends
on it.

The truth is enumerated: M of three categories, Y = 4 at M = 2, 1 at M = 1.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import CouplingError

P0, P1 = np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.2, 0.3])
VALUE = np.array([0.0, 1.0, 4.0])


def model():
    with pm.Model(coords={"unit": range(1)}) as found:
        b = pm.Normal("b")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        p = pm.math.switch(pm.math.eq(x, 1)[:, None], P1[None], P0[None])
        m = pm.Categorical("m", p, dims="unit")
        y = pm.math.switch(pm.math.eq(m, 2), 4.0, pm.math.switch(pm.math.eq(m, 1), 1.0, 0.0))
        pm.Normal("y", y * b, 0.1, dims="unit")
    return found


def known():
    return bc.truth(model(), {"b": 1.0}, draws=40, seed=1)


def joint(coupling, first, second):
    """P(M_first = i, M_second = j): the common quantile, or the Gumbel-max coupling.

    Of the latter, Gumbels g with argmax(log p + g): integrated over the maximum in the first world
    by plain simulation of 400,000 units, error below .002.
    """
    if coupling == "monotone":
        a, b = np.append(0, np.cumsum(first)), np.append(0, np.cumsum(second))
        low, high = np.maximum.outer(a[:-1], b[:-1]), np.minimum.outer(a[1:], b[1:])
        return np.clip(high - low, 0, None)
    g = np.random.default_rng(1).gumbel(size=(400_000, 3))
    i, j = (np.argmax(np.log(p) + g, axis=1) for p in (first, second))
    table = np.zeros((3, 3))
    np.add.at(table, (i, j), 1 / len(g))
    return table


def effect_where_m_is(level, coupling):
    """E[Y_1 - Y_0 | M = level], M that of a unit whose X is as it comes: 0 or 1, half each."""
    table = joint(coupling, P0, P1)
    among = np.zeros((3, 3))
    among[level] += table[level] / 2
    among[:, level] += table[:, level] / 2
    return float((among * (VALUE[None] - VALUE[:, None])).sum() / among.sum())


@pytest.mark.parametrize("coupling", ["monotone", "gumbel"])
def test_the_answer_is_that_of_the_coupling(coupling, monkeypatch):
    """Two million units in all: an error of 4 / sqrt(4e5) = .006 in each subgroup, of 4 draws."""
    monkeypatch.setattr("bayescausal.effects.evaluation.inner_draws.WORK", 2_000_000)
    question = {"population": "model", "coupling": coupling}
    fit = bc.truth(model(), {"b": 1.0}, draws=4, seed=1)
    found = bc.estimate(fit, bc.CATE("x", "y", given={"m": 0}, **question))
    parted = bc.estimate(fit, bc.ATE("x", "y", by="m", **question))
    for level in range(3):
        truth = effect_where_m_is(level, coupling)
        cell = float(parted.draws.sel(m=level).mean())
        assert cell == pytest.approx(truth, abs=0.06), level
        if level == 0:
            assert float(found) == pytest.approx(truth, abs=0.06)
    assert any(f"Coupling of m: {coupling}" in n for n in found.notes)
    assert any("post-treatment (m)" in n and "units of the model" in n for n in found.notes)
    assert abs(effect_where_m_is(0, "monotone") - effect_where_m_is(0, "gumbel")) > 0.2


@pytest.mark.parametrize("population", ["model", None])
def test_it_is_refused_without_one(population):
    options = {} if population is None else {"population": population}
    for fit in (known(), bc.prior(model(), draws=20, seed=1)):
        for question in (
            bc.CATE("x", "y", given={"m": 1}, **options),
            bc.ATE("x", "y", by="m", **options),
            bc.QTE("x", "y", q=0.5, given={"m": 1}, **options),
            bc.Expected("y", {"x": 1}, given={"m": {1, 2}}, **options),
            bc.Contrast("y", {"x": 1}, given={"m": 1}, **options),
        ):
            with pytest.raises(CouplingError, match="formed by m, which the treatment changes"):
                bc.estimate(fit, question)


def test_what_does_not_depend_on_it_needs_none():
    fit = known()
    plain = bc.estimate(fit, bc.ATE("x", "y", population="model"))
    assert float(plain) == pytest.approx(float(VALUE @ (P1 - P0)), abs=0.05)
    for question in (
        bc.ATT("x", "y", population="model"),
        bc.CATE("x", "y", given={"x": 1}, population="model"),
        bc.Association("x", "y", given={"m": 1}, population="model"),
        bc.NDE("x", "y", population="model"),
    ):
        assert not any("Coupling" in n for n in bc.estimate(fit, question).notes)


def test_continuous_variables_keep_their_rank_and_it_is_said():
    """M = X + U, Y = M: among fresh units with M > 1 the effect is 1 for each."""
    with pm.Model(coords={"unit": range(1)}) as linear:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x, 1, dims="unit")
        pm.Normal("y", m * pm.Normal("b"), 0.1, dims="unit")
    fit = bc.truth(linear, {"b": 1.0}, draws=10, seed=1)
    found = bc.estimate(fit, bc.CATE("x", "y", given={"m": (1, None)}, population="model"))
    assert float(found) == pytest.approx(1.0, abs=0.02)
    assert any(n.startswith("Rank preservation of m, y") for n in found.notes)
    assert not any("x" in n.split(":")[0] for n in found.notes if n.startswith("Rank"))


def test_finite_says_what_it_depends_on():
    """The mean over these very units hangs on their own noise; that over units like them not."""
    data = {"x": [0, 1, 0, 1], "m": [0, 1, 2, 0], "y": [0.0, 1.0, 4.0, 0.1]}
    fit = bc.truth(model(), {"b": 1.0}, data, draws=20, seed=1)
    with pytest.raises(CouplingError) as caught:
        bc.estimate(fit, bc.ATE("x", "y", population="finite"))
    text = str(caught.value)
    assert "noise of 'm'" in text
    assert "these very units" in text
    assert "population='sample', does not depend on it" in text
    assert "Averages such as ATE do not" not in text
    assert float(bc.estimate(fit, bc.ATE("x", "y"))) == pytest.approx(VALUE @ (P1 - P0), abs=1e-6)
    with pytest.raises(CouplingError, match="Averages such as ATE do not depend on it"):
        bc.estimate(fit, bc.ITE("x", "y"))
    bc.estimate(fit, bc.Association("x", "y", population="finite"))


@pytest.mark.parametrize("data", [False, True])
def test_a_natural_effect_with_a_variable_in_two_versions_names_its_coupling(data):
    """X -> L -> M, L -> Y: E[Y(1, M(0))] = E[L_1 M(0)] + 1 reads L under both treatments.

    With P(L = 1) = .73 and .27 and M = L + X + noise the natural direct effect is
    E[L_1 L_0] + 1 - E[L_0]: 1 for a common quantile, .93 for independent versions.
    """
    rng = np.random.default_rng(1)
    with pm.Model(coords={"unit": range(40)}) as recanting:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        low = pm.Bernoulli("l", pm.math.sigmoid(2 * x - 1), dims="unit")
        m = pm.Normal("m", low + x, 1, dims="unit")
        pm.Normal("y", low * m + x, 1, dims="unit")
    table = {n: rng.integers(0, 2, 40) for n in ("x", "l")}
    table |= {n: rng.normal(size=40) for n in ("m", "y")}
    fit = bc.truth(recanting, {}, table if data else None, draws=4, seed=1)
    said = bc.estimate(fit, bc.NDE("x", "y", mediators=["m"]))
    assert said.mean() == pytest.approx(1.0, abs=0.02)
    assert said.verdict == "not identified"
    assert any("Coupling of l: monotone, as none was chosen" in n for n in said.notes)
    chosen = bc.estimate(fit, bc.NDE("x", "y", mediators=["m"], coupling="monotone"))
    assert not any("as none was chosen" in n for n in chosen.notes)
    plain = bc.estimate(fit, bc.NDE("x", "y"))
    assert not any("Coupling" in n for n in plain.notes)
