"""The laws of counterfactuals on random models of mixed families."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from cf_random import FAMILIES, Random, broken_laws, observed, same, target_of
from scipy import stats

import bayescausal as bc

SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_laws_under_known_parameters(seed):
    scm = Random(seed)
    fit = bc.truth(scm.model, scm.params, scm.data(60, seed), seed=seed)
    assert broken_laws(fit, scm.coupling, np.random.default_rng(seed)) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_laws_family_by_family_with_many_parameter_sets(family):
    """The data are in the tails of most of the 25 parameter sets that they are asked under."""
    from cf_random import NOMINAL

    scm = Random(5, 3, [family])
    fit = bc.prior(scm.model, scm.data(40, 3), draws=25, seed=4)
    couplings = [scm.coupling]
    if family in NOMINAL:
        couplings = [dict.fromkeys(scm.names, kind) for kind in ("monotone", "gumbel")]
    for coupling in couplings:
        assert broken_laws(fit, coupling, np.random.default_rng(1)) == []
