"""Joint laws across worlds, worked out by hand: nothing here calls the package.

With the quantile coupling, a category is an interval of one uniform rank, and the joint of two
worlds is the overlap of intervals. With Gumbel noise ``G_j`` the category is
``argmin_j E_j / p_j`` with ``E_j = exp(-G_j)`` independent standard exponentials, and the joint
is an integral over the ratio of two of them, which is elementary between its breakpoints.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt


def quantile_joint(p, q):
    """P(V = i under p, V = k under q) for a common rank, categories in their order."""
    ends_p = np.concatenate([[0.0], np.cumsum(p)])
    ends_q = np.concatenate([[0.0], np.cumsum(q)])
    low = np.maximum.outer(ends_p[:-1], ends_q[:-1])
    high = np.minimum.outer(ends_p[1:], ends_q[1:])
    return np.clip(high - low, 0.0, None)


def gumbel_joint(p, q):
    """P(V = i under p, V = k under q) for a common Gumbel noise per category."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    n = len(p)
    out = np.zeros((n, n))
    for i, k in itertools.product(range(n), repeat=2):
        rest = [j for j in range(n) if j not in (i, k)]
        if i == k:
            out[i, i] = 1 / (1 + sum(max(p[j] / p[i], q[j] / q[i]) for j in rest))
            continue
        # E_k = r E_i with p_k / p_i <= r <= q_k / q_i, and every other E_j above both bounds:
        # integral of 1 / (1 + r + sum_j max(p_j / p_i, r q_j / q_k))^2
        low, high = p[k] / p[i], q[k] / q[i]
        if high <= low:
            continue
        bends = [np.clip(p[j] / p[i] * q[k] / q[j], low, high) for j in rest]
        for a, b in itertools.pairwise(sorted({low, high, *bends})):
            middle, constant, slope = (a + b) / 2, 1.0, 1.0
            for j in rest:
                if p[j] / p[i] >= q[j] * middle / q[k]:
                    constant += p[j] / p[i]
                else:
                    slope += q[j] / q[k]
            out[i, k] += (1 / (constant + slope * a) - 1 / (constant + slope * b)) / slope
    return out


JOINTS = {"monotone": quantile_joint, "gumbel": gumbel_joint}


@dataclass
class States:
    """Variables with few states and a conditional probability table each."""

    names: list[str]
    parents: list[list[int]]
    tables: list[np.ndarray]

    @classmethod
    def random(cls, rng, levels):
        parents, tables = [], []
        for i, count in enumerate(levels):
            mine = [j for j in range(i) if j == i - 1 or rng.random() < 0.6]
            shape = tuple(levels[j] for j in mine)
            parents.append(mine)
            tables.append(rng.dirichlet(np.full(count, 1.5), size=shape or None))
        return cls([f"v{i}" for i in range(len(levels))], parents, tables)

    def model(self):
        values = []
        with pm.Model(coords={"unit": [0]}) as model:
            for name, mine, table in zip(self.names, self.parents, self.tables, strict=True):
                p = pt.as_tensor_variable(table)
                p = p[tuple(values[j] for j in mine)] if mine else p
                values.append(pm.Categorical(name, p=p, dims="unit"))
        return model

    def row(self, i, state):
        return self.tables[i][tuple(state[j] for j in self.parents[i])]

    def states(self):
        return itertools.product(*(range(t.shape[-1]) for t in self.tables))

    def weight(self, state, do=None):
        """P(state under do)."""
        do = do or {}
        p = 1.0
        for i, value in enumerate(state):
            p *= float(do[i] == value) if i in do else self.row(i, state)[value]
        return p

    def given(self, seen, do, coupling):
        """The law of the whole state under `do`, given that `seen` was seen of the unit.

        Sums over what was not seen: the joint of all variables in both worlds is a product over
        variables of their own joint, given the parents in each world.
        """
        law = {}
        for fact in self.states():
            if any(fact[i] != v for i, v in seen.items()) or not self.weight(fact):
                continue
            for other in self.states():
                p = 1.0
                for i, kind in enumerate(coupling):
                    if i in do:
                        p *= self.row(i, fact)[fact[i]] * float(other[i] == do[i])
                    else:
                        joint = JOINTS[kind](self.row(i, fact), self.row(i, other))
                        p *= joint[fact[i], other[i]]
                    if not p:
                        break
                law[other] = law.get(other, 0.0) + p
        total = sum(law.values())
        return {state: p / total for state, p in law.items()}


def frequencies_fit(counts, law, *, tests=1):
    """Whether independent draws follow a law: every state within its binomial error.

    The bound is the normal one for a chance of 1e-4 over all states and `tests` together,
    plus a half for the discreteness of a count.
    """
    from scipy.stats import norm

    n = sum(counts.values())
    assert set(counts) <= {s for s, p in law.items() if p > 0}
    z = norm.isf(0.5e-4 / (len(law) * tests))
    for state, p in law.items():
        if abs(counts.get(state, 0) - n * p) > z * np.sqrt(n * p * (1 - p)) + 1 + z**2 / 3:
            return False
    return True
