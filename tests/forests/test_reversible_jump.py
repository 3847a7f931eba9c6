"""The moves of a tree, worked out exactly: the posterior is what they leave as it is.

Leaves are put on a few values, so that all states of one tree (a stump, or a split of one column of
0 and 1) can be written down with their posterior, and so can the chances of every move, which are
read off the code that makes it. Two steps are composed as in the code: another tree first, then
other leaves of the tree that it has then.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from scipy import stats

from bayescausal.inference.forests import reversible_jump
from bayescausal.inference.forests.moves import Rules, grown, stump
from bayescausal.inference.forests.reversible_jump import BACK, SPLIT, ReversibleJump, _Proposal
from bayescausal.model.forests.prior import Shape, cuts_of

X = np.r_[np.zeros(3), np.ones(3)][:, None]
#: Log-density of each row given the forest, its slope and its curvature.
COUNTS, TAILED = np.array([1, 0, 2, 2, 1, 3]), np.array([-3.0, 0.2, 3.5, 1.0, 4.0, -4.0])
LIKELIHOODS = {
    "counts": (1.5, lambda f: (COUNTS * f - np.exp(f), COUNTS - np.exp(f), -np.exp(f))),
    "two modes": (3.0, lambda f: _student(TAILED - f)),
}


def _student(e, width=2 * 0.49):
    """Two degrees of freedom: the curvature at one place says nothing of the rest."""
    d = width + e * e
    return -1.5 * np.log(d), 3 * e / d, 3 * (e * e - width) / d**2


class Chances:
    """In the place of random numbers: a move that was chosen, and the first of what there is."""

    def __init__(self, which):
        self.which = which

    def random(self):
        return self.which

    def integers(self, count):
        return 0


class Scripted(ReversibleJump):
    """One tree, whose proposals and decisions are given instead of drawn; no compiler."""

    def __new__(cls, *given):
        return object.__new__(cls)

    def __init__(self, spread, density, grid):
        self.shape = Shape(1, 0.5, 60.0, 0.0, spread, cuts=cuts_of(X))  # nothing below one split
        self.x, self.rules, self.grid = X, Rules(self.shape, X), grid
        self.rules.draw = lambda rng: (0, 0.0)
        self.density = lambda f: (density(f)[0].sum(), *density(f)[1:])

    def _taken(self, log_ratio):
        self.ratios.append(log_ratio)
        return False

    def at(self, leaves):
        """Put the tree into a state: one leaf, or two."""
        tree = stump(6)
        self.trees = [tree if len(leaves) == 1 else grown(tree, 0, (0, 0.0), X)]
        nodes = np.array(leaves if len(leaves) == 1 else [0.0, *leaves])
        self.leaves, self.value = [nodes], nodes[self.trees[0].at]
        self.ratios, self.seen = [], []
        return float(self.density(self.value)[0])


def chances_of(proposal, grid):
    """Return the log-chance of each value of a grid for each leaf: (leaf, value)."""
    each = zip(proposal.centre, proposal.scale, strict=True)
    return np.array([_of_one(c, h, proposal.spread, tuple(grid)) for c, h in each])


@functools.cache
def _of_one(centre, scale, spread, grid):
    one = _Proposal(np.zeros(1, int), np.array([centre]), np.array([scale]), spread)
    own = np.array([density(one, np.array([v])) for v in grid])
    return own - np.log(np.exp(own).sum())


density = _Proposal.log_density


def kernels(step, monkeypatch):
    """Return the states, the log-posterior of each, and the chances of both steps of a move."""
    grid = step.grid
    own = stats.norm.logpdf(grid, 0, step.shape.leaf)
    own -= np.log(np.exp(own).sum())
    prior = lambda leaves: float(sum(own[np.abs(grid - v).argmin()] for v in leaves))  # noqa: E731
    monkeypatch.setattr(step, "_prior", prior)
    states = [*itertools.product(grid, repeat=1), *itertools.product(grid, repeat=2)]
    place = {s: k for k, s in enumerate(states)}
    alpha = step.shape.alpha
    wanted = np.array([
        step.at(s) + prior(s) + np.log(1 - alpha if len(s) == 1 else alpha) for s in states
    ])  # fmt: skip
    script = {}

    def draw(self, rng):
        step.seen.append(self)
        return np.asarray(script[len(step.seen) - 1][: len(self.places)], float)

    def log_density(self, leaves):
        own = chances_of(self, grid)
        return float(
            sum(row[np.abs(grid - v).argmin()] for row, v in zip(own, leaves, strict=True))
        )

    monkeypatch.setattr(_Proposal, "draw", draw)
    monkeypatch.setattr(_Proposal, "log_density", log_density)
    first, second = np.zeros((2, len(states), len(states)))
    for s in states:
        moves = [(0.0, 1.0, 2)] if len(s) == 1 else [
            (SPLIT + BACK / 2, BACK, 1), (SPLIT + BACK + 0.01, 1 - SPLIT - BACK, 2)
        ]  # fmt: skip
        for which, chance, size in moves:
            step.rng = Chances(which)
            for there in itertools.product(grid, repeat=size):
                script.update({0: there, 1: s})
                at = step.at(s)
                assert step._move(0, at) == at  # both steps refused
                assert len(step.seen) == 2  # the second is looked at whatever became of the first
                q = chances_of(step.seen[0], grid)
                assert len(q) == size
                log_q = sum(q[i][np.abs(grid - v).argmin()] for i, v in enumerate(there))
                first[place[s], place[there]] += chance * np.exp(log_q + min(step.ratios[0], 0))
        for there in itertools.product(grid, repeat=len(s)):
            script.update({0: s * 2, 1: there})
            step._move(0, step.at(s))
            q = chances_of(step.seen[1], grid)
            log_q = sum(q[i][np.abs(grid - v).argmin()] for i, v in enumerate(there))
            second[place[s], place[there]] += np.exp(log_q + min(step.ratios[1], 0))
    for kernel in (first, second):
        kernel[np.diag_indices(len(states))] += 1 - kernel.sum(axis=1)
    return np.exp(wanted - np.logaddexp.reduce(wanted)), first, second


@pytest.mark.parametrize("case", LIKELIHOODS)
def test_a_move_leaves_the_posterior_as_it_is(case, monkeypatch):
    """Each of its two steps does, to rounding; and it reaches every state from every state."""
    spread, likelihood = LIKELIHOODS[case]
    step = Scripted(spread, likelihood, np.linspace(-2.2, 2.2, 5) * spread)
    right, first, second = kernels(step, monkeypatch)
    for kernel in (first, second):
        assert kernel.min() > -1e-12
        np.testing.assert_allclose(right @ kernel, right, atol=1e-12)
    assert np.linalg.matrix_power(first @ second, 60).min() > 0


def test_another_ratio_or_another_proposal_would_not(monkeypatch):
    """The test can fail: with priors of splits a tenth off, with leaves near where they are."""
    spread, likelihood = LIKELIHOODS["counts"]
    step = Scripted(spread, likelihood, np.array([-1.0, 0.0, 0.5, 1.0]))
    move, splits = ReversibleJump._proposal, ReversibleJump._splits
    with monkeypatch.context() as patch:
        patch.setattr(ReversibleJump, "_splits", lambda self, depth: splits(self, depth) + 0.1)
        right, first, _ = kernels(step, patch)
        assert np.abs(right @ first - right).sum() > 1e-3

    def about_where_it_is(self, tree, rest, slope, bend):
        own = move(self, tree, rest, slope, bend)
        return own._replace(centre=own.centre + 0.5 * self.leaves[0][-1])

    with monkeypatch.context() as patch:
        patch.setattr(ReversibleJump, "_proposal", about_where_it_is)
        right, _, second = kernels(step, patch)
        assert np.abs(right @ second - right).sum() > 1e-3


def test_leaves_have_the_density_that_is_said():
    """Frequencies of draws are those of the density: nine tenths near, a tenth of the prior."""
    proposal = _Proposal(np.array([0]), np.array([0.7]), np.array([0.02]), 2.0)
    grid = np.r_[np.linspace(-12, 12, 24_001)]
    mass = np.exp([proposal.log_density(np.array([v])) for v in grid]) * (grid[1] - grid[0])
    assert mass.sum() == pytest.approx(1, abs=1e-3)
    right = 0.9 * stats.t.cdf(grid, 5, 0.7, 0.02) + 0.1 * stats.norm.cdf(grid, 0, 2)
    np.testing.assert_allclose(np.cumsum(mass) - mass / 2, right, atol=1e-3)
    rng = np.random.default_rng(1)
    drawn = np.sort([proposal.draw(rng)[0] for _ in range(4000)])
    found = np.searchsorted(drawn, grid, side="right") / len(drawn)
    assert np.abs(found - right).max() < 1.95 / np.sqrt(len(drawn))  # Kolmogorov: one in a thousand


def test_a_leaf_far_from_where_it_is_looked_for_is_left_again(monkeypatch):
    """Two modes of one height, one of which is looked about: the chance to leave the other.

    By quadrature over proposals, each with its chance to be taken.
    """
    width, grid = 0.3, np.linspace(-9, 9, 6001)

    def density(f):
        slope = -(f - np.where(f < 0, -2.0, 2.0)) / width**2
        two = stats.norm.logpdf(f, -2.0, width), stats.norm.logpdf(f, 2.0, width)
        return np.logaddexp(*two), slope, np.full(len(f), -(width**-2.0))

    step = Scripted(3.0, density, grid)
    zero = np.zeros(6)
    step.density = lambda f: tuple(np.r_[part[:1], zero[1:]] for part in density(f))

    def leaves():
        own = step._proposal(stump(6), zero, *step.density(zero)[1:])
        assert own.centre[0] == pytest.approx(2.0, abs=0.1)
        q = np.array([own.log_density(np.array([v])) for v in grid])
        weight = density(grid)[0] + stats.norm.logpdf(grid, 0, 3.0) - q
        there = np.minimum(1, np.exp(weight - weight[np.abs(grid + 2).argmin()]))
        return float((np.exp(q) * there)[grid > 0].sum() * (grid[1] - grid[0]))

    assert leaves() > 0.004
    monkeypatch.setattr(reversible_jump, "PRIOR", 1e-12)
    assert leaves() < 1e-4
