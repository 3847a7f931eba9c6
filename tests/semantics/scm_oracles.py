"""Independent answers for the tests: closed forms, enumeration, conjugate posteriors.

Nothing here calls the package: every number comes from matrix algebra, from a sum over all states
or from a sampler of its own, so that agreement means something.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pymc as pm

#: 80-point Gauss-Hermite rule for expectations over a standard normal variable.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


def over_normal(function):
    """E f(Z), Z ~ N(0, 1), by quadrature."""
    return float(np.sum(_WEIGHTS * function(_NODES)) / np.sqrt(2 * np.pi))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=float)))


def within(effect, value, *, exact=1e-9, times=5.0):
    """Whether an effect equals a value: to rounding where it is exact, else within its error.

    `times` Monte Carlo errors: 5 has probability 6e-7 under a correct answer.
    """
    error = np.max(np.asarray(effect.mc_error, dtype=float))
    gap = np.max(np.abs(effect.draws.values - np.asarray(value)))
    scale = max(1.0, float(np.max(np.abs(value))))
    return bool(gap <= max(exact * scale, times * error))


def conjugate_draws(design, y, *, sigma, prior_sd, chains, draws, seed):
    """Exact posterior draws of coefficients: Normal(0, prior_sd) prior, known sigma."""
    precision = design.T @ design / sigma**2 + np.eye(design.shape[1]) / prior_sd**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ design.T @ y / sigma**2
    rng = np.random.default_rng(seed)
    samples = rng.multivariate_normal(mean, covariance, size=(chains, draws))
    return samples, mean, covariance


# ------------------------------------------------------------------- linear-Gaussian models


@dataclass
class LinearGaussian:
    """``v = c + B v + s e``: mean and covariance under any intervention by matrix algebra."""

    names: list[str]
    weights: np.ndarray  # weights[child, parent]
    constants: np.ndarray
    sds: np.ndarray

    @classmethod
    def random(cls, rng, size):
        names = [f"v{i}" for i in range(size)]
        mask = np.tril(rng.random((size, size)) < 0.7, -1)
        for child in range(1, size):
            mask[child, child - 1] = True  # a chain, so that the last descends from the first
        weights = mask * rng.normal(0, 0.8, (size, size))
        return cls(names, weights, rng.normal(0, 1, size), rng.uniform(0.3, 1.5, size))

    def model(self):
        """The PyMC model: variables in causal order, numbers in place of parameters."""
        built: list[object] = []
        with pm.Model(coords={"unit": [0]}) as model:
            for i, name in enumerate(self.names):
                mu = float(self.constants[i])
                for j in np.flatnonzero(self.weights[i]):
                    mu = mu + float(self.weights[i, j]) * built[j]
                built.append(pm.Normal(name, mu, float(self.sds[i]), dims="unit"))
        return model

    def moments(self, do=None):
        """Mean vector and covariance of all variables under ``do(name = value)``."""
        weights, constants = self.weights.copy(), self.constants.copy()
        variances = self.sds**2
        for name, value in (do or {}).items():
            i = self.names.index(name)
            weights[i], constants[i], variances[i] = 0.0, value, 0.0
        inverse = np.linalg.inv(np.eye(len(self.names)) - weights)
        return inverse @ constants, inverse @ np.diag(variances) @ inverse.T

    def mean(self, outcome, do=None):
        return float(self.moments(do)[0][self.names.index(outcome)])

    def effect(self, treatment, outcome, held=()):
        """Total effect of one unit of treatment, with the variables in `held` held fixed."""
        weights = self.weights.copy()
        for name in (treatment, *held):
            weights[self.names.index(name)] = 0.0
        inverse = np.linalg.inv(np.eye(len(self.names)) - weights)
        return float(inverse[self.names.index(outcome), self.names.index(treatment)])

    def simulate(self, n, rng):
        out = np.zeros((n, len(self.names)))
        for i in range(len(self.names)):
            noise = rng.normal(0, self.sds[i], n)
            out[:, i] = self.constants[i] + out @ self.weights[i] + noise
        return {name: out[:, i] for i, name in enumerate(self.names)}


# ------------------------------------------------------------------------- discrete models


@dataclass
class Discrete:
    """Variables with few states and a conditional probability table each; all by enumeration."""

    names: list[str]
    parents: list[list[int]]
    tables: list[np.ndarray]  # tables[i][states of parents..., state]

    @classmethod
    def random(cls, rng, size, *, levels=(2, 2, 2, 3)):
        names = [f"v{i}" for i in range(size)]
        states = [int(rng.choice(levels)) for _ in range(size)]
        states[-1] = 2  # the outcome needs a mean
        parents, tables = [], []
        for i in range(size):
            mine = [j for j in range(i) if rng.random() < 0.6]
            if i and i - 1 not in mine:
                mine.append(i - 1)
            shape = tuple(states[j] for j in mine)
            parents.append(mine)
            tables.append(rng.dirichlet(np.full(states[i], 2.0), size=shape or None))
        return cls(names, parents, tables)

    @property
    def states(self):
        return [t.shape[-1] for t in self.tables]

    def model(self):
        values: list[object] = []
        with pm.Model(coords={"unit": [0]}) as model:
            for i, name in enumerate(self.names):
                table = self.tables[i]
                index = tuple(values[j] for j in self.parents[i])
                if table.shape[-1] == 2:
                    p = _lookup(table[..., 1], index)
                    values.append(pm.Bernoulli(name, p=p, dims="unit"))
                else:
                    p = _lookup(table, index)
                    values.append(pm.Categorical(name, p=p, dims="unit"))
        return model

    def cells(self, do=None):
        """Every joint state with its probability under ``do(name = value)``."""
        do = {self.names.index(k): v for k, v in (do or {}).items()}
        for state in itertools.product(*(range(s) for s in self.states)):
            p = 1.0
            for i, value in enumerate(state):
                if i in do:
                    p *= float(value == do[i])
                else:
                    p *= self.tables[i][tuple(state[j] for j in self.parents[i])][value]
            if p > 0:
                yield state, p

    def mean(self, outcome, do=None, given=None):
        """E[outcome | do, given], `given` a predicate on the joint state."""
        o = self.names.index(outcome)
        total = weight = 0.0
        for state, p in self.cells(do):
            if given is None or given(state):
                total += p * state[o]
                weight += p
        return total / weight

    def nested(self, treatment, outcome, mediators, x, x_mediators):
        """E[Y(x, M(x'))], all mediators taken from the world of x'.

        Variables that are no mediators are shared by both worlds only if they do not descend
        from the treatment; those in between are mediators here. Given the shared exogenous
        causes W: ``sum_w P(w) sum_m P(m | do(x'), w) E[Y | do(x, m), w]``.
        """
        t, o = self.names.index(treatment), self.names.index(outcome)
        meds = [self.names.index(m) for m in mediators]
        free = [i for i in range(len(self.names)) if i not in (t, o, *meds)]
        total = 0.0
        for state in itertools.product(*(range(s) for s in self.states)):
            if state[t] != x:
                continue
            p = 1.0
            for i in (*free, *meds):
                seen = [(x_mediators if j == t else state[j]) for j in self.parents[i]]
                p *= self.tables[i][tuple(seen)][state[i]]
            seen = tuple(state[j] for j in self.parents[o])
            p *= self.tables[o][seen][state[o]]
            total += p * state[o]
        return total

    def simulate(self, n, rng):
        out = np.zeros((n, len(self.names)), dtype=int)
        for i in range(len(self.names)):
            p = self.tables[i][tuple(out[:, j] for j in self.parents[i])]
            p = np.broadcast_to(p, (n, p.shape[-1]))
            out[:, i] = (rng.random((n, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
        return {name: out[:, i] for i, name in enumerate(self.names)}


def _lookup(table, index):
    import pytensor.tensor as pt

    constant = pt.as_tensor_variable(np.asarray(table, dtype=float))
    return constant[index] if index else constant
