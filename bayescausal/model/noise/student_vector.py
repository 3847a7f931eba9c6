"""The multivariate Student t, one entry after another.

With ``L`` the lower Cholesky factor of the scale matrix, ``v = mu + L t`` where the entries of
``t`` are uncorrelated but share one random spread. Given the entries before it, the i-th of them is
a Student t with more degrees of freedom and a scale that those entries have set [1]_,

    ``t_i | t_1, ..., t_{i-1}  ~  StudentT(df_i, 0, sqrt(S_{i-1} / df_i))``,
    ``df_i = nu + i - 1``,  ``S_i = nu + t_1^2 + ... + t_i^2 = S_{i-1} (1 + q_i^2 / df_i)``,

so each entry has its own noise, the rank ``q_i`` of the standard ``StudentT(df_i)`` (the Rosenblatt
transform [2]_).

When it fails: as for the multivariate normal, the joint distribution of one unit's vector in two
worlds depends on the order of the entries where the scale matrix differs between the worlds.

References
----------
.. [1] P. Ding, "On the conditional distribution of the multivariate t distribution", The American
   Statistician 70 (2016) 293-295.
.. [2] M. Rosenblatt, "Remarks on a multivariate transformation", Annals of Mathematical Statistics
   23 (1952) 470-472.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.moments.means import _mean as pymc_mean
from pymc.distributions.multivariate import MvStudentTRV

from bayescausal.model.noise.laws import Leaf
from bayescausal.model.noise.means import mean_rule
from bayescausal.model.noise.ops import NoiseInterval, Quantile, double
from bayescausal.model.noise.rules import NoiseRule, rule_of
from bayescausal.model.noise.vectors import solve, times

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

__all__: list[str] = []


@rule_of.register(MvStudentTRV)
def _mv_student_t(op: MvStudentTRV, rv: TensorVariable, coupling: str) -> NoiseRule:
    nu, mu, scale = (double(p) for p in op.dist_params(rv.owner))
    chol, nu, law = pt.linalg.cholesky(scale), nu[..., None], Leaf("StudentT")
    df = nu + pt.arange(scale.shape[-1])

    def forward(u: TensorVariable) -> TensorVariable:
        q = Quantile(law, "float64")(u, df, 0.0, 1.0)
        growth = 1.0 + q**2 / df
        before = nu * pt.cumprod(growth, axis=-1) / growth
        return mu + times(chol, q * pt.sqrt(before / df))

    def interval(value: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        t = solve(chol, value - mu)
        before = nu + pt.cumsum(t**2, axis=-1) - t**2
        lo, hi = NoiseInterval(law)(t / pt.sqrt(before / df), df, 0.0, 1.0)
        return lo, hi

    return NoiseRule("MvStudentT", "logistic", False, 1, forward, interval)


@mean_rule.register(MvStudentTRV)
def _mean(op: MvStudentTRV, rv: TensorVariable) -> TensorVariable:
    nu = op.dist_params(rv.owner)[0]
    return pt.switch(nu[..., None] > 1, pymc_mean(op, rv, *rv.owner.inputs), np.nan)
