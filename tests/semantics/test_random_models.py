"""Random structural models of three to six variables against matrix algebra and enumeration."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pymc as pm
import pytest
from scipy.stats import chi2
from scm_oracles import Discrete, LinearGaussian, within

import bayescausal as bc

#: Models of three to five variables; those of six and more of each size are slow.
SEEDS = [*range(3), *(pytest.param(s, marks=pytest.mark.slow) for s in range(3, 16))]


def size_of(seed):
    return 3 + seed % 4


# ------------------------------------------------------------------- linear, Gaussian


def linear(seed):
    return LinearGaussian.random(np.random.default_rng([7, seed]), size_of(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_linear_gaussian(seed):
    scm = linear(seed)
    model = scm.model()
    first, last, between = scm.names[0], scm.names[-1], scm.names[1]
    graph = bc.graph_of(model)
    assert set(graph.edges) == {
        (scm.names[j], scm.names[i]) for i, j in np.argwhere(scm.weights != 0)
    }
    known = bc.truth(model, {}, draws=1, seed=1)
    effect = scm.effect(first, last)
    rest = list(nx.descendants(graph, first) & nx.ancestors(graph, last))
    direct = scm.effect(first, last, held=rest)
    asked = [
        bc.ATE(first, last, treated=1.5, control=-0.5),
        bc.ATE(between, last),
        bc.ATE(last, first),
        bc.CDE(first, last, mediators={between: 0.7}),
        bc.NDE(first, last),
        bc.NIE(first, last),
        bc.Contrast(last, {first: bc.Shift(2)}, None),
        bc.Contrast(last, {first: 1, between: -1}, {between: 2}, population="model"),
        bc.Slope(first, last),
    ]
    wanted = [
        2 * effect,
        scm.effect(between, last),
        0.0,
        scm.effect(first, last, held=[between]),
        direct,
        effect - direct,
        2 * effect,
        scm.mean(last, {first: 1, between: -1}) - scm.mean(last, {between: 2}),
        effect,
    ]
    answers = bc.estimate(known, asked)
    for ask, answer, value in zip(asked, answers, wanted, strict=True):
        # linear in the shared noise: it cancels, to rounding (divided by the step for a slope)
        tolerance = 1e-9 if not isinstance(ask, bc.Slope) else 1e-6
        if "do" in ask.describe() and isinstance(ask, bc.Contrast) and answer.mc_error > 1e-9:
            assert within(answer, value), ask.describe()
            continue
        gap = np.abs(answer.draws.values - value).max()
        assert gap < tolerance * max(1, abs(value)), ask.describe()


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_linear_gaussian_worlds_and_subgroups(seed):
    """Means and quantiles of fresh units; a subgroup by regression on the conditioned variable."""
    from scipy import stats

    scm = linear(seed)
    first, last, middle = scm.names[0], scm.names[-1], scm.names[1]
    known = bc.truth(scm.model(), {}, draws=1, seed=1)
    mean, cov = scm.moments({middle: 1.0})
    f, o = scm.names.index(first), scm.names.index(last)
    fresh = {"population": "model"}
    plain, median, high, given = bc.estimate(
        known,
        [
            bc.Expected(last, {middle: 1.0}, **fresh),
            bc.Expected(last, {middle: 1.0}, functional=bc.Quantile(0.75), **fresh),
            bc.Expected(last, {middle: 1.0}, functional=bc.Probability(above=mean[o]), **fresh),
            bc.Expected(last, {middle: 1.0}, given={first: (mean[f], None)}, **fresh),
        ],
    )
    assert within(plain, mean[o])
    sd = np.sqrt(cov[o, o])
    assert within(median, mean[o] + sd * stats.norm.ppf(0.75))
    assert within(high, 0.5)
    # E[first | first > its mean] = mean + sd sqrt(2 / pi), and the outcome regresses on it
    lift = cov[o, f] / np.sqrt(cov[f, f]) * np.sqrt(2 / np.pi)
    assert within(given, mean[o] + lift)


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_linear_gaussian_keeps_what_is_not_reached(seed):
    """Sample population: per unit, the outcome given everything that is kept, summed by hand."""
    scm = linear(seed)
    data = scm.simulate(25, np.random.default_rng(seed))
    known = bc.truth(scm.model(), {}, data, seed=1)
    target, last = scm.names[1], scm.names[-1]
    kept = np.zeros(len(scm.names), dtype=bool)
    graph = bc.graph_of(scm.model())
    below = nx.descendants(graph, target)
    unit = {target: np.full(25, 0.8)}
    for i, name in enumerate(scm.names):
        kept[i] = name not in below and name != target
        if kept[i]:
            unit[name] = data[name]
        elif name != target:
            unit[name] = scm.constants[i] + sum(
                scm.weights[i, j] * unit[scm.names[j]] for j in np.flatnonzero(scm.weights[i])
            )
    effect = bc.estimate(known, bc.Expected(last, {target: 0.8}))
    assert within(effect, unit[last].mean())


# ------------------------------------------------------------------- discrete


def discrete(seed):
    return Discrete.random(np.random.default_rng([11, seed]), size_of(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_discrete(seed):
    scm = discrete(seed)
    model = scm.model()
    graph = bc.graph_of(model)
    names = scm.names
    t, y = names[1], names[-1]
    assert set(graph.edges) == {
        (names[j], names[i]) for i, js in enumerate(scm.parents) for j in js
    }
    known = bc.truth(model, {}, draws=1, seed=1)
    fresh = {"population": "model"}
    # what the treatment reaches on the way to the outcome, and where the first of it is held
    between = sorted(nx.descendants(graph, t) & nx.ancestors(graph, y))
    g = names.index(t)
    ask = {
        "ate": bc.ATE(t, y, **fresh),
        "cate": bc.CATE(t, y, given={names[0]: 1}, **fresh),
        "att": bc.ATT(t, y, **fresh),
        "ratio": bc.ATE(t, y, scale="ratio", **fresh),
        "joint": bc.Contrast(y, {t: 1, names[0]: 0}, {t: 0, names[0]: 1}, **fresh),
        "natural": bc.Contrast(y, {t: 1}, None, **fresh),
        "seen": bc.Association(t, y, **fresh),
    }
    want = {
        "ate": scm.mean(y, {t: 1}) - scm.mean(y, {t: 0}),
        "cate": scm.mean(y, {t: 1}, lambda s: s[0] == 1) - scm.mean(y, {t: 0}, lambda s: s[0] == 1),
        "ratio": scm.mean(y, {t: 1}) / scm.mean(y, {t: 0}),
        "joint": scm.mean(y, {t: 1, names[0]: 0}) - scm.mean(y, {t: 0, names[0]: 1}),
        "natural": scm.mean(y, {t: 1}) - scm.mean(y),
        "seen": scm.mean(y, None, lambda s: s[g] == 1) - scm.mean(y, None, lambda s: s[g] == 0),
    }
    # ATT: E[Y(x) | T = 1] = sum over the causes of T, weighted as among the treated
    want["att"] = sum(
        sign * _among_treated(scm, g, names.index(y), x) for sign, x in ((1, 1), (-1, 0))
    )
    if between:
        ask["cde"] = bc.CDE(t, y, mediators={between[0]: 1}, **fresh)
        want["cde"] = scm.mean(y, {t: 1, between[0]: 1}) - scm.mean(y, {t: 0, between[0]: 1})
        ask["nde"] = bc.NDE(t, y, mediators=between, **fresh)
        ask["nie"] = bc.NIE(t, y, mediators=between, **fresh)

        def nested(x, m):
            return scm.nested(t, y, between, x, m)

        want["nde"] = nested(1, 0) - nested(0, 0)
        want["nie"] = nested(0, 1) - nested(0, 0)
    answers = dict(zip(ask, bc.estimate(known, list(ask.values())), strict=True))
    for name, answer in answers.items():
        assert within(answer, want[name]), (name, answer.mean(), want[name], answer.mc_error)
        assert answer.mc_error < 0.02


def _among_treated(scm, t, o, x):
    """E[Y(x) | T = 1]: the non-descendants of T as among the treated, T's children see x."""
    total = weight = 0.0
    for state, p in scm.cells():
        if state[t] != 1:
            continue
        before = state[:t]
        # variables are in causal order and T is the second: what comes before it is kept
        inner = norm = 0.0
        for other, q in scm.cells({scm.names[t]: x}):
            if other[:t] == before:
                inner += q * other[o]
                norm += q
        total += p * inner / norm
        weight += p
    return total / weight


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_discrete_in_a_sample_is_exact(seed):
    """What comes before the treatment is kept for each unit; the rest is summed, not drawn."""
    scm = discrete(seed)
    data = scm.simulate(40, np.random.default_rng([3, seed]))
    known = bc.truth(scm.model(), {}, data, seed=1)
    t, y = scm.names[1], scm.names[-1]
    tables = {
        (x, v): scm.mean(y, {t: x}, lambda s, v=v: s[0] == v)
        for x in (0, 1)
        for v in range(scm.states[0])
    }
    each = np.array([tables[1, v] - tables[0, v] for v in data[scm.names[0]]])
    ate, cate, att = bc.estimate(
        known,
        [bc.ATE(t, y), bc.CATE(t, y, given={scm.names[0]: 1}), bc.ATT(t, y)],
    )
    assert within(ate, each.mean())
    assert within(cate, each[data[scm.names[0]] == 1].mean())
    assert within(att, each[data[t] == 1].mean())
    reached = nx.descendants(bc.graph_of(scm.model()), t) - {y}
    if np.prod([scm.states[scm.names.index(n)] for n in reached], initial=1) <= 32:
        assert ate.mc_error == 0


def sparse(seed, size=9):
    """Each variable reads the one before it and perhaps one a little earlier."""
    rng = np.random.default_rng([12, seed])
    states = [2] * size
    states[int(rng.integers(2, size - 1))] = 3
    parents, tables = [], []
    for i in range(size):
        mine = sorted({i - 1, *rng.integers(max(i - 3, 0), i, size=1)}) if i else []
        parents.append([int(j) for j in mine])
        shape = tuple(states[j] for j in mine)
        tables.append(rng.dirichlet(np.full(states[i], 1.0), size=shape or None))
    return Discrete([f"v{i}" for i in range(size)], parents, tables)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_many_discrete_mediators_that_read_few_others_are_summed(seed):
    """Their joint states are far too many for one sum; the answer is exact all the same."""
    scm = sparse(seed)
    assert np.prod(scm.states[2:-1]) > 32
    data = scm.simulate(30, np.random.default_rng([4, seed]))
    known = bc.truth(scm.model(), {}, data, seed=1)
    t, y = scm.names[1], scm.names[-1]
    found = bc.estimate(known, bc.ATE(t, y))
    each = [
        scm.mean(y, {t: 1}, lambda s, v=v: s[0] == v)
        - scm.mean(y, {t: 0}, lambda s, v=v: s[0] == v)
        for v in range(2)
    ]
    assert found.mc_error == 0
    assert found.mean() == pytest.approx(np.mean([each[v] for v in data[scm.names[0]]]), abs=1e-12)


def flags(p_high, p_low, count=6):
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        all_of = 1
        for i in range(count):
            all_of = all_of * pm.Bernoulli(f"m{i}", p_low + (p_high - p_low) * t, dims="unit")
        pm.Normal("y", all_of, 1, dims="unit")
    return bc.truth(
        model, {}, {**{f"m{i}": [0, 1] for i in range(count)}, "t": [0, 1], "y": [0, 1]}
    )


def test_what_meets_in_too_many_states_is_simulated():
    found = bc.estimate(flags(0.9, 0.6), bc.ATE("t", "y"), seed=1)
    assert found.mc_error > 0
    assert abs(found.mean() - (0.9**6 - 0.6**6)) < 5 * found.mc_error
    assert not any("Zero" in note for note in found.notes)
    assert bc.estimate(flags(0.9, 0.6, 5), bc.ATE("t", "y")).mc_error == 0


def test_a_simulated_zero_says_what_it_has_not_seen():
    found = bc.estimate(flags(1e-4, 1e-5), bc.ATE("t", "y"), seed=1)  # 1e-24 in truth
    assert found.mean() == 0
    [note] = [note for note in found.notes if note.startswith("Zero, as far as")]
    assert "simulated units show; what happens to less than a share of" in note


@pytest.mark.slow
def test_the_monte_carlo_error_of_one_draw_is_right():
    """Squared errors over 400 seeds sum to chi-square (.001 to .999), none is beyond 4.5."""
    scm = discrete(4)
    t, y = scm.names[1], scm.names[-1]
    want = scm.mean(y, None, lambda s: s[1] == 1) - scm.mean(y, None, lambda s: s[1] == 0)
    known = bc.truth(scm.model(), {}, draws=1, seed=1)
    asked = bc.Association(t, y, population="model")
    found = [bc.estimate(known, asked, seed=seed) for seed in range(400)]
    z = np.array([(e.mean() - want) / e.mc_error for e in found])
    low, high = chi2(400).ppf([0.001, 0.999])
    assert low < (z**2).sum() < high
    assert np.abs(z).max() < 4.5
