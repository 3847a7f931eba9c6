r"""Two-stage least squares: the effect through what an instrument moves.

With an instrument Z and covariates W given which it is one,

.. math:: T = \pi_0 + \pi Z + \gamma' W + \nu, \qquad Y = \alpha + \tau T + \beta' W + \varepsilon,
   \qquad \sum_i w_i\, (1, Z_i, W_i)'\, (Y_i - \alpha - \tau T_i - \beta' W_i) = 0

(projected on the first stage where Z has several columns). Without covariates and with a Z of 0 and
1 it is Wald's ratio of two differences. If one effect holds for all it is that; if not, and Z moves
nobody the other way, it is the effect on those whom Z moves, the compliers [1]_. It fails where Z
hardly moves the treatment: the ratio then has no mean, and its interval is no longer right [2]_.
The F statistic of the first stage is told.

References
----------
.. [1] J. D. Angrist, G. W. Imbens and D. B. Rubin, "Identification of causal effects using
   instrumental variables", Journal of the American Statistical Association 91 (1996), 444-455.
.. [2] D. Staiger and J. H. Stock, "Instrumental variables regression with weak instruments",
   Econometrica 65 (1997), 557-586.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayescausal.estimators.estimator import Estimator, Prepared
from bayescausal.estimators.numerics.least_squares import (
    cross_products,
    refuse_ties,
    scales_of,
    with_constant,
)
from bayescausal.estimators.problem.encoding import far_means
from bayescausal.types import DataError, EstimandError, IdentificationError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["TwoStageLeastSquares"]

#: First-stage F below which an instrument is weak.
WEAK = 10.0


@dataclass(frozen=True)
class TwoStageLeastSquares(Estimator):
    """The effect of the treatment through what an instrument moves of it.

    Parameters
    ----------
    instrument : str, optional
        Default: the first that identification finds, with what it must be given.

    References
    ----------
    J. D. Angrist, G. W. Imbens and D. B. Rubin, "Identification of causal effects using
    instrumental variables", Journal of the American Statistical Association 91 (1996), 444-455.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.TwoStageLeastSquares("lottery").label()
    "TwoStageLeastSquares(instrument='lottery')"
    """

    name: ClassVar[str] = "two_stage_least_squares"
    models: ClassVar[str] = "instrument"
    assumes: ClassVar[str] = "one effect for all, or an instrument that moves nobody the other way"
    rests_on: ClassVar[str] = "instrument"
    both_means: ClassVar[bool] = False
    takes_doses: ClassVar[bool] = True
    other_levels: ClassVar[bool] = True
    groups: ClassVar[tuple[str, ...]] = ("all", "treated", "control")

    instrument: str | None = None

    def check(self, problem: Problem) -> None:
        """Refuse a problem without an instrument."""
        super().check(problem)
        self._chosen(problem)

    def _chosen(self, problem: Problem) -> tuple[str, tuple[str, ...]]:
        """Return the instrument, and what it must be given."""
        known = {i.variable: i for i in problem.identification.instruments}
        if self.instrument is None:
            if not known:
                raise IdentificationError(
                    f"No measured variable is an instrument for {problem.treatment} and "
                    f"{problem.outcome}.",
                    expected="a variable that moves the treatment and reaches the outcome through "
                    "it alone.",
                )
            found = next(iter(known.values()))
        elif self.instrument not in known:
            raise IdentificationError(
                f"{self.instrument!r} is no instrument for {problem.treatment} and "
                f"{problem.outcome} in this graph: it does not move the treatment, or reaches the "
                "outcome otherwise.",
                expected=f"one of {', '.join(known) or 'none'}.",
                names=closest(self.instrument, known)[:1],
            )
        else:
            found = known[self.instrument]
        return found.variable, tuple(sorted(found.given_any_of[0]))

    def prepared(self, problem: Problem) -> Prepared:
        """Return the two stages, ready for any weights."""
        variable, given = self._chosen(problem)
        if problem.dose is None or problem.levels is None:
            dose, gap = problem.treated.astype(float), 1.0
            if (problem.arm < 0).any():
                raise EstimandError(
                    f"{problem.treatment!r} has labels at other levels than the two compared.",
                    expected="a treatment with numbers, or with two levels.",
                )
        else:
            dose, gap = problem.dose, problem.levels[0] - problem.levels[1]
        covariates, names = problem.encoded(given)
        moved, labels = problem.encoded((variable,))
        covariates, moved, dose, y = (
            each - far_means(each) for each in (covariates, moved, dose, problem.y)
        )
        exogenous = with_constant(covariates)
        first = np.column_stack([exogenous, moved])
        refuse_ties(first, ("constant", *names, *labels), "the first stage")
        k = exogenous.shape[1]
        columns = np.column_stack([first, dose, y])
        size = scales_of(columns)
        statistic = _first_stage(first, dose, k)

        def draw(weights: np.ndarray) -> np.ndarray:
            products = cross_products(columns / size, weights)
            slope = _second_stage(products, k, first.shape[1])
            return np.asarray(slope * size[-1] / size[-2] * gap)

        notes = [
            f"Instrument: {variable}" + (f", given {', '.join(given)}." if given else "."),
            f"First-stage F: {statistic:.4g}.",
            "The effect of all if one effect holds for all; if not, and nobody is moved the other "
            "way, that on the compliers.",
        ]
        if statistic < WEAK:
            notes.append(
                f"Weak instrument: F is below {WEAK:g}, so the ratio has long tails and its "
                "interval is too narrow. Bounds need no strength: bc.instrument_bounds."
            )
        return Prepared(
            draw,
            self.draws_text(problem),
            numbers={"first_stage_f": statistic},
            whom=_whom(problem, variable),
            notes=tuple(notes),
        )


def _second_stage(products: np.ndarray, k: int, m: int) -> np.ndarray:
    """Return the coefficient of the treatment from cross-products of (W, Z, T, Y)."""
    own, t, y = slice(0, m), m, m + 1
    try:
        projected = np.linalg.solve(products[:, own, own], products[:, own, t : t + 2])
    except np.linalg.LinAlgError as error:
        raise DataError("The first stage has no single solution under some weights.") from error
    # the fitted treatment, beside the exogenous columns: Frisch and Waugh
    fitted = np.concatenate([products[:, :k, own], np.zeros((len(products), 1, m))], axis=1)
    fitted[:, k] = np.einsum("bmi,bm->bi", products[:, own, own], projected[:, :, 0])
    gram = np.empty((len(products), k + 1, k + 1))
    gram[:, :k, :k] = products[:, :k, :k]
    gram[:, :k, k] = gram[:, k, :k] = np.einsum(
        "bim,bm->bi", products[:, :k, own], projected[:, :, 0]
    )
    gram[:, k, k] = np.einsum("bi,bi->b", fitted[:, k], projected[:, :, 0])
    moment = np.empty((len(products), k + 1))
    moment[:, :k] = products[:, :k, y]
    moment[:, k] = np.einsum("bm,bm->b", projected[:, :, 0], products[:, own, y])
    try:
        found = np.linalg.solve(gram, moment[..., None])[:, k, 0]
    except np.linalg.LinAlgError as error:
        raise DataError(
            "The instrument does not move the treatment.", expected="a first stage."
        ) from error
    return np.asarray(found)


def _first_stage(first: np.ndarray, dose: np.ndarray, k: int) -> float:
    """Return the F statistic of the instrument's columns in the first stage."""
    sums = []
    for design in (first, first[:, :k]):
        scaled = design / scales_of(design)
        left = dose - scaled @ np.linalg.lstsq(scaled, dose, rcond=None)[0]
        sums.append(float(left @ left))
    freedom = len(dose) - first.shape[1]
    if sums[0] <= 0 or freedom < 1:
        return float("inf")
    return (sums[1] - sums[0]) / (first.shape[1] - k) / (sums[0] / freedom)


def _whom(problem: Problem, variable: str) -> str:
    """Return the population that is meant where the effect differs between units."""
    if problem.identification.status == "identified":
        return f"those among {problem.whom} whom {variable} moves, if effects differ"
    return ""
