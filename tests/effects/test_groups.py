"""A treatment of schools and an outcome of pupils: read at both levels, drawn anew by school.

Siblings looked at: a treatment observed in the model or in the data, pm.Data of schools, a
bootstrap by the dim, by the index and by labels, and without clusters.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import MixingError, UnknownVariableError

S, N = 6, 30
RNG = np.random.default_rng(2)
OF = np.repeat(np.arange(S), [2, 3, 4, 5, 7, 9])
T = np.array([0, 1, 0, 1, 0, 1])
Z = RNG.normal(size=N)
Y = T[OF] * (1 + Z) + RNG.normal(size=N)


def schools(kind: str = "observed") -> pm.Model:
    seen = kind == "observed"
    with pm.Model(coords={"school": range(S), "pupil": range(N)}) as model:
        of, z = pm.Data("of", OF, dims="pupil"), pm.Data("z", Z, dims="pupil")
        if kind == "data":
            t = pm.Data("t", T, dims="school")
        else:
            t = pm.Bernoulli("t", 0.5, dims="school", observed=T if seen else None)
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        pm.Normal("y", b * t[of] * (1 + z), s, dims="pupil", observed=Y if kind != "free" else None)
    return model


@pytest.mark.slow
def test_an_observed_treatment_of_another_level_is_a_node():
    assert set(bc.graph_of(schools()).edges) == {("of", "y"), ("z", "y"), ("t", "y")}
    fit = bc.fit(schools(), draws=200, chains=2, seed=1, progressbar=False)
    assert fit.structure.unit_dims == ("school", "pupil")
    b = fit.posterior["b"].values
    effect = bc.estimate(fit, bc.ATE("t", "y"))
    assert effect.mean() == pytest.approx(b.mean() * (1 + Z).mean())
    data = {"t": T, "of": OF, "z": Z, "y": Y}
    other = bc.fit(schools("free"), data, draws=200, chains=2, seed=1, progressbar=False)
    assert other.structure.unit_dims == ("school", "pupil")


def test_data_of_another_level_are_named_with_the_remedy():
    known = bc.truth(schools("data"), {"b": 2.0, "s": 1.0}, None)
    with pytest.raises(UnknownVariableError, match=r"unit_dims=\('school', 'pupil'\)"):
        bc.estimate(known, bc.ATE("t", "y"))
    both = bc.truth(
        schools("data"), {"b": 2.0, "s": 1.0}, {"t": T, "of": OF, "z": Z, "y": Y},
        unit_dims=("school", "pupil"),
    )  # fmt: skip
    assert bc.estimate(both, bc.ATE("t", "y")).mean() == pytest.approx(2 * (1 + Z).mean())


@pytest.mark.parametrize("clusters", ["school", "of", OF])
def test_the_bootstrap_draws_schools(clusters: object):
    draws = 4000
    known = bc.Fit(schools(), {"b": np.full((1, draws), 2.0), "s": np.ones((1, draws))})
    question = bc.ATE("t", "y", population=bc.Superpopulation(clusters=clusters))
    effect = bc.estimate(known, question)
    sums = np.bincount(OF, 2 * (1 + Z))
    sizes = np.bincount(OF)
    w = np.random.default_rng(1).dirichlet(np.ones(S), 100_000)
    right = (w @ sums) / (w @ sizes)  # one weight for each school, of all its pupils
    error = right.std() / np.sqrt(draws)
    assert effect.mean() == pytest.approx(right.mean(), abs=4 * error)
    assert effect.sd() == pytest.approx(right.std(), rel=4 / np.sqrt(2 * draws) + 0.02)


def test_without_clusters_the_remedy_is_named():
    known = bc.truth(
        schools(), {"b": 2.0, "s": 1.0}, {"t": T, "of": OF, "z": Z, "y": Y}
    )  # fmt: skip
    with pytest.raises(MixingError, match=r"Superpopulation\(clusters='school'\)"):
        bc.estimate(known, bc.ATE("t", "y", population="superpopulation"))
