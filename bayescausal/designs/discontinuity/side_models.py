r"""The generative model of a discontinuity design.

With :math:`x = R - c` and :math:`Z = 1` where the rule gives the treatment,

.. math::

   Y = a + \tau Z + \sum_k (s_k + u_k Z)\, x^k + b'C + \sigma\, w(x)^{-1/2} \varepsilon,

so that the curves of both sides are free of each other and meet the cutoff at :math:`a` and
:math:`a + \tau`. In a kink :math:`Z` is replaced by :math:`Z x`, without a jump. With a Gaussian
process each side has a further smooth function, a Hilbert-space approximation [1]_ around its line.

Priors are Normal about zero with 2.5 standard deviations of the outcome per root mean square of
what a column adds to all others, so that none weighs more than a sixth of one row does.

References
----------
.. [1] A. Solin and S. Särkkä, "Hilbert space methods for reduced-rank Gaussian process
   regression", *Statistics and Computing* 30 (2020), 419-446.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.designs.spread import own_spread
from bayescausal.model.formulas.priors import Prior, Priors, digits, near

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.designs.discontinuity.window import Window

__all__ = ["BASIS", "Equations", "Form", "sharp_model"]

#: Functions of the approximate Gaussian process on each side, and how far beyond the rows they go.
BASIS, BEYOND = 15, 1.5


@dataclass(frozen=True)
class Form:
    """The form of the equations."""

    rule: str  # name of the variable that says whether the rule gives the treatment
    order: int  # of the polynomial on each side
    kink: bool
    smooth: bool  # whether each side has a Gaussian process around its polynomial
    family: str  # ("gaussian", "student-t", "bernoulli" or "poisson")
    priors: Priors


def sharp_model(window: Window, form: Form) -> pm.Model:
    """Return the model in which the rule is the treatment."""
    with pm.Model(coords=coords_of(window)) as model:
        equations = Equations(window, form)
        eta = equations.predictor(
            window.outcome, {form.rule: (equations.rule, equations.rule_values)}
        )
        equations.add(window.outcome, eta)
    form.priors.refuse_unused()
    return model


def coords_of(window: Window) -> dict[str, Any]:
    """Return the coords of the model."""
    coords: dict[str, Any] = {"unit": range(len(window.frame))}
    if window.cluster is not None:
        coords[f"{window.cluster}_level"] = window.groups
    return coords


class Equations:
    """The columns of the design in the model at hand, and equations of them."""

    def __init__(self, window: Window, form: Form) -> None:
        self.window, self.form = window, form
        self.numbers = window.distance
        frame = window.frame
        running = pm.Data(window.running, frame[window.running].to_numpy(), dims="unit")
        self.x: Any = running - window.cutoff if window.cutoff else running
        self.covariates = {
            name: pm.Data(name, frame[name].to_numpy(), dims="unit") for name in window.covariates
        }
        self.rule = pm.Deterministic(form.rule, self._rule(running), dims="unit")
        self.groups = None
        if window.cluster is not None:
            codes = frame[window.cluster].to_numpy(int)
            self.groups = pm.Data(window.cluster, codes, dims="unit")

    def _rule(self, running: Any) -> Any:
        window = self.window
        if self.form.kink:
            return pt.maximum(self.x, 0.0) if window.side == "above" else pt.minimum(self.x, 0.0)
        compare = {
            ("above", True): pt.ge,
            ("above", False): pt.gt,
            ("below", True): pt.le,
            ("below", False): pt.lt,
        }[window.side, window.ties]
        return pt.cast(compare(running, window.cutoff), "int64")

    @property
    def rule_values(self) -> np.ndarray:
        """The values of the rule in the rows."""
        window = self.window
        if not self.form.kink:
            return window.eligible.astype(float)
        side = np.maximum if window.side == "above" else np.minimum
        return np.asarray(side(window.distance, 0.0))

    def predictor(self, response: str, acting: Mapping[str, tuple[Any, np.ndarray]]) -> Any:
        """Return the linear predictor of a response, its coefficients added to the model.

        ``acting`` has what acts at the cutoff, with its values in the rows.
        """
        window, running = self.window, self.window.running
        columns: list[tuple[str, Any, np.ndarray]] = []
        columns += [(name, *held) for name, held in acting.items()]
        for k in range(1, self.form.order + 1):
            power = running if k == 1 else f"{running}^{k}"
            values = self.numbers**k
            columns.append((power, self.x if k == 1 else self.x**k, values))
            if self.form.kink and k == 1:
                continue
            j = k - 1 if self.form.kink else k
            times = running if j == 1 else f"{running}^{j}"
            columns.append(
                (
                    f"{self.form.rule}:{times}",
                    self.rule * (self.x if j == 1 else self.x**j),
                    self.rule_values * self.numbers**j,
                )
            )
        for name, variable in self.covariates.items():
            columns.append((name, variable, window.frame[name].to_numpy()))
        level, spread = self._scale(response)
        held = [values for _, _, values in columns]
        own = own_spread(held)
        if response == window.outcome and self.form.family in ("bernoulli", "poisson"):
            own = [1.0, *(float(np.std(v)) or 1.0 for v in held)]  # a link has a scale of its own
        wide = digits(spread / own[0])
        eta = self._parameter(response, "Intercept", Prior("Normal", (near(level, spread), wide)))
        for (name, variable, _), sd in zip(columns, own[1:], strict=True):
            prior = Prior("Normal", (0, digits(spread / sd)))
            eta = eta + self._parameter(response, name, prior) * variable
        if self.form.smooth:
            eta = eta + self._processes(response, spread / 2.5)
        if self.groups is not None:
            eta = eta + self._group_effects(response, spread / 2.5)
        return eta

    def add(self, response: str, eta: Any) -> TensorVariable:
        """Add the response with its noise."""
        family, dims = self.form.family, "unit"
        if family == "bernoulli":
            return pm.Bernoulli(response, logit_p=eta, dims=dims)
        if family == "poisson":
            return pm.Poisson(response, pt.exp(eta), dims=dims)
        sigma = self.noise(response)
        if family == "student-t":
            prior = Prior("Gamma", (2, 0.1))
            nu = self.form.priors.make(f"nu_{response}", response, ("nu",), prior)
            return pm.StudentT(response, nu=nu, mu=eta, sigma=sigma, dims=dims)
        return pm.Normal(response, eta, sigma, dims=dims)

    def noise(self, response: str) -> Any:
        """Return the standard deviation of the noise of each row."""
        sd = float(self.window.frame[response].std())
        prior = Prior("HalfStudentT", (4, digits(sd or 1.0)))
        sigma = self.form.priors.make(f"sigma_{response}", response, ("sigma",), prior)
        weight = self.weight
        return sigma if weight is None else sigma / pt.sqrt(weight)

    @property
    def weight(self) -> Any:
        """The kernel weight as an expression, None where all weigh the same."""
        window = self.window
        if window.kernel == "uniform":
            return None
        if window.kernel == "triangular":
            return 1 - pt.abs(self.x) / window.bandwidth
        return 1 - (self.x / window.bandwidth) ** 2

    def _scale(self, response: str) -> tuple[float, float]:
        """Return where the predictor lies, and the scale of what a standard column adds to it."""
        values = self.window.frame[response]
        mean = float(values.mean())
        if response == self.window.outcome and self.form.family == "bernoulli":
            return float(np.log(mean / (1 - mean))), 1.5
        if response == self.window.outcome and self.form.family == "poisson":
            return float(np.log(mean)), 1.5
        return mean, 2.5 * float(values.std() or 1.0)

    def _parameter(self, response: str, term: str, prior: Prior) -> TensorVariable:
        return self.form.priors.make(f"b_{response}_{term}", response, (term,), prior)

    def _group_effects(self, response: str, sd: float) -> Any:
        cluster = str(self.window.cluster)
        dim, priors = f"{cluster}_level", self.form.priors
        spread = priors.make(
            f"sd_{response}_{cluster}", response, ("sd",), Prior("HalfStudentT", (4, digits(sd)))
        )
        z = priors.make(f"z_{response}_{cluster}", response, ("z",), Prior("Normal"), (dim,))
        return (spread * z)[self.groups]

    def _processes(self, response: str, sd: float) -> Any:
        """Return a Gaussian process on each side, zero where it has nothing to say."""
        model, priors = pm.modelcontext(None), self.form.priors
        width = BEYOND * float(np.abs(self.numbers).max())
        roots = np.pi * np.arange(1, BASIS + 1) / (2 * width)
        if "basis" not in model.coords:
            model.add_coord("basis", range(1, BASIS + 1))
        phi = pt.sin((self.x + width)[:, None] * roots) / np.sqrt(width)
        reach = float(np.abs(self.numbers).max())
        eta = priors.make(
            f"eta_{response}", response, ("eta",), Prior("HalfNormal", (digits(sd / 2),))
        )
        length = priors.make(
            f"length_{response}",
            response,
            ("length",),
            Prior("InverseGamma", (5, digits(4 * reach))),
        )
        power = eta * (2 * np.pi) ** 0.25 * pt.sqrt(length) * pt.exp(-0.25 * (length * roots) ** 2)
        sides = []
        for label in ("ineligible", "eligible"):
            z = priors.make(
                f"z_{response}_{label}", response, (label,), Prior("Normal"), ("basis",)
            )
            sides.append(phi @ (power * z))
        return pt.where(pt.eq(self.rule, 1), sides[1], sides[0])
