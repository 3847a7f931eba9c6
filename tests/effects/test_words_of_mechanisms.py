"""New mechanisms are written with their parameters, so that two questions have two headings."""

import pymc as pm
import pytest

import bayescausal as bc

WORDS = {
    "Truncated": (
        lambda: pm.Truncated.dist(pm.Poisson.dist(3.0), lower=1),
        "TruncatedPoisson(3, 1, inf)",
    ),
    "Hurdle": (
        lambda: pm.HurdlePoisson.dist(0.25, 3.0),
        "Hurdle([0.75, 0.25], DiracDelta(0), TruncatedPoisson(3, 1, inf))",
    ),
    "Censored": (
        lambda: pm.Censored.dist(pm.Normal.dist(0, 2), lower=-1, upper=None),
        "Censored(Normal(0, 2), -1, inf)",
    ),
    "Mixture": (
        lambda: pm.Mixture.dist([0.25, 0.75], [pm.Normal.dist(0, 1), pm.Normal.dist(5, 2)]),
        "Mixture([0.25, 0.75], Normal(0, 1), Normal(5, 2))",
    ),
    "computed": (lambda: pm.Normal.dist(0, tau=4.0), "Normal(loc=0, scale=0.5)"),
    "rate": (lambda: pm.Exponential.dist(scale=4.0), "Exponential(scale=4)"),
    "odds": (lambda: pm.Bernoulli.dist(logit_p=0.0), "Bernoulli(p=0.5)"),
    "levels": (lambda: pm.Categorical.dist([0.25, 0.75]), "Categorical([0.25, 0.75])"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_new_mechanisms_are_written_with_their_parameters(kind):
    make, words = WORDS[kind]
    assert bc.Stochastic(make()).describe("x") == f"x~{words}"


def test_two_new_mechanisms_have_two_headings():
    both = [bc.ATE("x", "y", treated=bc.Stochastic(pm.Normal.dist(0, tau=t))) for t in (4.0, 1.0)]
    assert len({question.heading() for question in both}) == 2
