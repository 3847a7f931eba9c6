r"""What a refutation is: data changed in a known way, refitted, and what should come out.

Each refutation has R refits; refit r gives an effect :math:`\hat e_r` where :math:`e_r` is
expected, and under a right model the two differ by chance with a known standard deviation
:math:`a_r`:

=================  ==================================  ==================  =========================
refutation         what is changed                     :math:`e_r`         :math:`a_r`
=================  ==================================  ==================  =========================
permuted           the treatment, shuffled             no effect           posterior sd of the refit
redrawn            the treatment, drawn anew from its  no effect           posterior sd of the refit
                   equation
zero               what the treatment reaches,         no effect           posterior sd of the refit
                   simulated with it held
planted            what the treatment reaches,         the effect at the   posterior sd of the refit
                   simulated from one posterior draw   draw
common_cause       a column of noise is added to       the effect          the root of
                   treatment and outcome                                   :math:`|s_r^2 - s^2|
                                                                           + s^2/n + (s/20)^2`
subset             a share f of the units              the effect          :math:`s \sqrt{1/f - 1}`
bootstrap          units, drawn with replacement       the effect          s
clusters           one cluster left out                the effect          :math:`s \sqrt{n_c / (n -
                                                                           n_c)}`
negative_control   an outcome that the treatment       no effect           posterior sd of the refit
                   cannot change
dummy_outcome      the outcome, shuffled               no effect           posterior sd of the refit
=================  ==================================  ==================  =========================

with s the posterior sd of the fit that is refuted and n its units. Bootstrap and subset look at the
spread: an sd that does not match the data's (units that depend on each other, uneven variances)
shows there [1]_. A treatment is drawn anew only where what it acts on is independent of the copy
given the rest of its equation, and shuffled only where the two share no latent cause.

References
----------
.. [1] J. A. Hausman, "Specification tests in econometrics", Econometrica 46 (1978), 1251-1271.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayescausal.checks.refutation.refits import Trial
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.checks.refutation.refits import Refits
    from bayescausal.inference.record import Fit

__all__ = ["Refutation"]


class Refutation(ABC):
    """One attempt to refute an answer: a class in one file, which says all that is known of it.

    A p-value of a refutation is read wrongly as often as not: a *large* one is what a right answer
    gives. So each says in words what it would mean to pass and to fail.

    ``name``: what ``tests=`` calls it; also the argument of ``refute`` that holds its values, if
        any.
    ``title``: of its row.
    ``passing``, ``failing``: what passing and failing mean.
    ``by_default``: whether it is made where no tests are named.
    ``needs_values``: whether it can be made only where its argument is given.
    ``resamples``: whether units are left out or repeated; they must not depend on each other.
    ``by_largest``: whether the largest shift decides, rather than the sum of squares.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    passing: ClassVar[str]
    failing: ClassVar[str]
    by_default: ClassVar[bool] = True
    needs_values: ClassVar[bool] = False
    resamples: ClassVar[bool] = False
    by_largest: ClassVar[bool] = False

    @abstractmethod
    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Make one refit: the effect, what should come out, and by how much chance moves it."""

    def prepare(self, fit: Fit, value: object, outcome: str) -> object:
        """Return what its argument of ``refute`` holds, checked."""
        return value

    def refuse(self, refits: Refits) -> str:
        """Return why it cannot be made; empty where it can."""
        return ""

    def varies(self, refits: Refits) -> bool:
        """Whether its refits differ by chance, so that more of them say more."""
        return True

    def rounds(self, refits: Refits) -> Iterable[tuple[int, str]]:
        """Return number and label of each refit."""
        return ((i, "") for i in range(refits.replicates if self.varies(refits) else 1))

    def run(self, refits: Refits) -> Trial:
        """Make the refits; note those that fail."""
        trial = Trial(self.name, refused=self.refuse(refits))
        if trial.refused:
            return trial
        rng = np.random.default_rng([refits.seed, *self.name.encode()])
        rounds = list(self.rounds(refits))
        for number, label in rounds:
            try:
                trial.add(*self.refit(refits, number, rng), label)
            except (BayesCausalError, NotImplementedError, ArithmeticError) as error:
                trial.failed.append(f"without {label}: {error}" if label else str(error))
        if not trial.found:
            trial.refused = trial.failed[0] if trial.failed else "No refit was made."
            if len(rounds) == 1 and not self.varies(refits):
                trial.failed.clear()  # its one refit could not be made: it was not tried
        return trial
