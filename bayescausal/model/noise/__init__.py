"""Noise rules: every random variable as a function of its parents and its own noise.

``noise_rule(rv)`` gives the function and its inverse for one random variable, ``sample_interval``
and ``sample_gumbel`` draw the noise that explains a value, and ``mean_of(rv)`` is the mean of the
variable given its parents where that is known exactly.

===================  ============================================================
``rules``            the noise rule of a random variable, by dispatch on its operation
``vectors``          maps of normals: MvNormal, random walks, autoregressions
``student_vector``   the multivariate Student t
``custom``           increasing and decreasing maps inside a CustomDist
``records``          censored and rounded records of other variables
``read_off``         which law a random variable has
``laws``             tails, atoms and quantiles, and how laws are combined
``families``         the table of univariate families, their tails and quantiles
``ops``              laws as operations of a graph
``sampling``         noise given what it must explain
``means``            the mean given the parents
===================  ============================================================
"""

from __future__ import annotations

from bayescausal.model.noise import custom, student_vector, vectors  # noqa: F401  (they register rules)
from bayescausal.model.noise.means import mean_of
from bayescausal.model.noise.read_off import family_of
from bayescausal.model.noise.rules import COUPLINGS, NoiseRule, noise_rule
from bayescausal.model.noise.sampling import sample_base, sample_gumbel, sample_interval

__all__ = [
    "COUPLINGS",
    "NoiseRule",
    "family_of",
    "mean_of",
    "noise_rule",
    "sample_base",
    "sample_gumbel",
    "sample_interval",
]
