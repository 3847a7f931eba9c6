"""Random structural models of mixed families, and the laws that every counterfactual obeys.

The laws need no reference values: they compare what the package says of one set of units in
several worlds, and with the data. ``broken_laws`` returns the names of those that fail, so that a
planted fault can be seen to be caught.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pymc as pm
import pytensor.tensor as pt

import bayescausal as bc


def _softmax(name, eta):
    return pm.Categorical(
        name,
        p=pt.special.softmax(pt.stack([0 * eta, eta, 0.4 - 0.5 * eta], axis=-1), axis=-1),
        dims="unit",
    )


def _ordered(compute_p):
    def build(name, eta):
        return pm.OrderedLogistic(
            name, eta=eta, cutpoints=np.array([-1.0, 0.3, 1.1]), compute_p=compute_p, dims="unit"
        )

    return build


def _mixture(name, eta):
    parts = [pm.Normal.dist(eta, 0.7), pm.StudentT.dist(nu=4, mu=2 - eta, sigma=1.3)]
    return pm.Mixture(name, w=[0.35, 0.65], comp_dists=parts, dims="unit")


def _counts_mixture(name, eta):
    parts = [pm.Poisson.dist(pt.exp(eta)), pm.Geometric.dist(0.3)]
    return pm.Mixture(name, w=[0.6, 0.4], comp_dists=parts, dims="unit")


def _vector(name, eta):
    mu = pt.stack([eta, 0.5 - eta], axis=-1)
    return pm.MvNormal(name, mu, cov=np.array([[1.0, 0.6], [0.6, 1.5]]), dims=("unit", "part"))


#: Families by name: each builds a variable from a predictor that lies between -1.5 and 1.5.
FAMILIES = {
    "Normal": lambda n, e: pm.Normal(n, e, pt.exp(0.4 * e), dims="unit"),
    "StudentT": lambda n, e: pm.StudentT(n, nu=3, mu=e, sigma=0.8, dims="unit"),
    "LogNormal": lambda n, e: pm.LogNormal(n, e, 0.6, dims="unit"),
    "Gamma": lambda n, e: pm.Gamma(n, alpha=1.2 + pt.exp(0.5 * e), beta=1.5, dims="unit"),
    "Beta": lambda n, e: pm.Beta(n, alpha=0.8 + pt.exp(e), beta=1.4, dims="unit"),
    "Exponential": lambda n, e: pm.Exponential(n, scale=pt.exp(e), dims="unit"),
    "Weibull": lambda n, e: pm.Weibull(n, alpha=1.4, beta=pt.exp(0.5 * e), dims="unit"),
    "Laplace": lambda n, e: pm.Laplace(n, e, 0.7, dims="unit"),
    "Bernoulli": lambda n, e: pm.Bernoulli(n, logit_p=e, dims="unit"),
    "Bernoulli p": lambda n, e: pm.Bernoulli(n, p=0.1 + 0.8 * pm.math.sigmoid(e), dims="unit"),
    "Binomial": lambda n, e: pm.Binomial(n, n=7, logit_p=e, dims="unit"),
    "Poisson": lambda n, e: pm.Poisson(n, pt.exp(e), dims="unit"),
    "NegativeBinomial": lambda n, e: pm.NegativeBinomial(n, mu=pt.exp(e), alpha=1.7, dims="unit"),
    "Geometric": lambda n, e: pm.Geometric(n, p=0.1 + 0.8 * pm.math.sigmoid(e), dims="unit"),
    "Categorical": _softmax,
    "OrderedLogistic p": _ordered(True),
    "OrderedLogistic": _ordered(False),
    "ZeroInflatedPoisson": lambda n, e: pm.ZeroInflatedPoisson(
        n, psi=0.7, mu=pt.exp(e), dims="unit"
    ),
    "TruncatedNormal": lambda n, e: pm.TruncatedNormal(n, e, 1, lower=-1, upper=2, dims="unit"),
    "Censored": lambda n, e: pm.Censored(
        n, pm.Normal.dist(e, 1.0), lower=-0.7, upper=0.8, dims="unit"
    ),
    "Mixture": _mixture,
    "Mixture of counts": _counts_mixture,
    "MvNormal": _vector,
}
#: Those whose values are categories.
NOMINAL = ("Categorical", "OrderedLogistic p", "OrderedLogistic")


class Random:
    """A random model: its families, its graph, and parameters drawn for it."""

    def __init__(self, seed, size=None, families=None):
        rng = np.random.default_rng([31, seed])
        size = size or int(rng.integers(3, 7))
        pool = families or list(FAMILIES)
        self.families = [str(f) for f in rng.choice(pool, size)]
        self.names = [f"v{i}" for i in range(size)]
        edges = [(j, i) for i in range(size) for j in range(i) if rng.random() < 0.55]
        edges += [(i - 1, i) for i in range(1, size) if (i - 1, i) not in edges]
        self.edges = sorted(edges)
        self.params = {f"b_{j}_{i}": float(rng.normal(0, 1.2)) for j, i in self.edges}
        self.model = self._model()
        nominal = [f in NOMINAL for f in self.families]
        self.coupling = {
            n: "gumbel" if cat and rng.random() < 0.5 else "monotone"
            for n, cat in zip(self.names, nominal, strict=True)
            if str(self.model[n].dtype).startswith("int")
        }

    def _model(self):
        values = {}
        with pm.Model(coords={"unit": [0], "part": [0, 1]}) as model:
            coefficients = {e: pm.Normal(f"b_{e[0]}_{e[1]}", 0, 1.2) for e in self.edges}
            for i, (name, family) in enumerate(zip(self.names, self.families, strict=True)):
                eta = pt.zeros(()) if i else pt.as_tensor_variable(0.3)
                for j, k in self.edges:
                    if k == i:
                        eta = eta + coefficients[j, k] * _bounded(values[j])
                eta = 1.5 * pt.tanh(eta)
                if eta.type.ndim == 0:
                    eta = eta + pt.zeros(model.dim_lengths["unit"])
                values[i] = FAMILIES[family](name, eta)
        return model

    def data(self, units, seed):
        return bc.simulate(self.model, self.params, units=units, seed=seed)


def _bounded(value):
    """A parent's contribution: between -1 and 1, monotone, vectors summed to numbers."""
    if value.type.ndim == 2:
        value = value.sum(axis=-1)
    value = value.astype("float64")
    return value / (1 + pt.abs(value))


def same(a, b):
    """Whether two arrays agree: discrete exactly, continuous to 1e-9 relative."""
    a, b = np.asarray(a), np.asarray(b)
    a, b = np.broadcast_arrays(a, b)
    if a.dtype.kind == "i" and b.dtype.kind == "i":
        return bool((a == b).all())
    return bool(np.all(np.abs(a - b) <= 1e-9 * np.maximum(np.abs(b), 1e-6)))


def observed(fit, name):
    """The data of a variable, as the fit holds it."""
    return np.asarray(fit.value(name, slice(0, 1)))


def target_of(model, rng, names=None):
    """A variable that has descendants, drawn at random."""
    graph = bc.graph_of(model)
    pool = [n for n in graph if nx.descendants(graph, n)]
    pool = [n for n in sorted(pool) if model[n].ndim == 1 and (names is None or n in names)]
    return str(rng.choice(pool)) if pool else None


def broken_laws(fit, coupling, rng, *, target=None):
    """Return the laws that fail for these units: an empty list where all hold."""
    model = fit.model
    graph = bc.graph_of(model)
    target = target or target_of(model, rng)
    if target is None:
        return []
    x = observed(fit, target)
    other = rng.permutation(x)
    worlds = {"same": {target: x}, "other": {target: other}}
    both = as_recorded(fit, worlds, coupling)
    below = nx.descendants(graph, target)
    broken = []
    for name in graph:
        value = both[name].transpose("world", "chain", "draw", ...)
        seen, still, moved = (value.sel(world=w).values for w in ("factual", "same", "other"))
        if not same(seen, observed(fit, name)):
            broken.append(f"factual world reproduces the data: {name}")
        if not same(still, observed(fit, name)):
            broken.append(f"do(x = observed) returns the observed outcome: {name}")
        if name == target and not same(moved, other):
            broken.append(f"effectiveness: {name}")
        if name not in below and name != target and not same(moved, seen):
            broken.append(f"no effect on what is no descendant: {name}")
    if fit.n_draws == 1 and below:
        broken += _composition(fit, coupling, both, target, other, sorted(below))
    return broken


def as_recorded(fit, do, coupling):
    """Return a counterfactual in the terms of the data: of what is censored, the record."""
    graph = bc.graph_of(fit.model)
    asked = {n: f"recorded({n})" if graph.nodes[n]["family"] == "Censored" else n for n in graph}
    found = bc.counterfactual(fit, do, variables=list(asked.values()), coupling=coupling)
    return found.rename({name: n for n, name in asked.items() if name != n})


def _composition(fit, coupling, both, target, other, below):
    """If M would be m under do(X = x), then do(X = x, M = m) is the same world."""
    middle = below[0]
    value = both[middle].sel(world="other").values[0, 0]
    again = as_recorded(fit, {target: other, middle: value}, coupling)
    return [
        f"composition: {name}, do({target}, {middle})"
        for name in both.data_vars
        if not same(
            again[name].sel(world="counterfactual").values, both[name].sel(world="other").values
        )
    ]
