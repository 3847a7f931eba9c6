"""The idea of bayescausal in one file: no PyMC, no graph library, nothing but NumPy.

A *structural causal model* is a list of equations, one for each variable,

    v := f_v(parents of v, noise of v),

in an order in which causes come before effects. Everything else follows from three moves:

    see      draw the noise, run the equations              association, P(y | x)
    do       replace an equation, run them with new noise   intervention, P(y | do(x))
    imagine  recover a unit's noise from what was seen,     counterfactual, P(y_x | seen)
             replace an equation, run them with *that* noise

To be Bayesian about it, hold many copies of the parameters, drawn from the posterior, and do all
of this once for each copy: an answer is then a list of numbers, one for each draw, and their spread
is what the data leave open. Run this file to see the three rungs disagree, and the posterior find
the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003
from dataclasses import dataclass

import numpy as np

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Equation:
    """``v := forward(parents, noise)``, and how to get the noise back from ``v``."""

    parents: tuple[str, ...]
    forward: Callable[..., np.ndarray]
    backward: Callable[..., np.ndarray]


Model = dict[str, Equation]  # in causal order


def parents_of(model: Model, name: str, values: Values) -> list[np.ndarray]:
    return [values[p] for p in model[name].parents]


def draw_noise(model: Model, units: int, rng: np.random.Generator) -> Values:
    """One standard normal for each variable and unit. This is all the randomness there is."""
    return {name: rng.normal(size=units) for name in model}


def run(model: Model, noise: Values, do: Mapping[str, float] | None = None) -> Values:
    """Run the equations; a variable in `do` ignores its equation and takes the value it is set to.

    Everything after it is computed anew, from the same noise. Nothing before it changes: that is
    the difference between setting a variable and observing it.
    """
    values: Values = {}
    for name, equation in model.items():
        if do and name in do:
            values[name] = np.full(len(noise[name]), float(do[name]))
        else:
            values[name] = equation.forward(*parents_of(model, name, values), noise[name])
    return values


def abduct(model: Model, seen: Values) -> Values:
    """The noise that must have been, given what was seen of each unit."""
    return {
        name: equation.backward(*parents_of(model, name, seen), seen[name])
        for name, equation in model.items()
    }


def ate(model: Model, x: str, y: str, noise: Values) -> float:
    """E[y | do(x=1)] - E[y | do(x=0)]. Both worlds share one noise, so it cancels."""
    return float(np.mean(run(model, noise, {x: 1})[y] - run(model, noise, {x: 0})[y]))


# ------------------------------------------------------------------------ an example


def linear(*coefficients: float, sd: float, intercept: float = 0.0) -> tuple[Callable, Callable]:
    """``v := intercept + sum of b * parent + sd * noise``."""

    def mean(parents: tuple[np.ndarray, ...]) -> np.ndarray | float:
        return intercept + sum(b * p for b, p in zip(coefficients, parents, strict=True))

    return (
        lambda *args: mean(args[:-1]) + sd * args[-1],
        lambda *args: (args[-1] - mean(args[:-1])) / sd,
    )


def coating(effect: float, humidity: float, sd: float = 0.2, intercept: float = 0.5) -> Model:
    """Humid air makes workers dilute less, and thins the coating by itself."""
    return {
        "humid": Equation((), *linear(sd=1.0)),
        "dilution": Equation(("humid",), *linear(-0.7, sd=0.7)),
        "coating": Equation(
            ("dilution", "humid"), *linear(effect, humidity, sd=sd, intercept=intercept)
        ),
    }


def posterior(data: Values, draws: int, rng: np.random.Generator) -> list[Model]:
    """Draw models given data: the coefficients of a linear equation have a known posterior."""
    ones = np.ones_like(data["humid"])
    design = np.column_stack([ones, data["dilution"], data["humid"]])
    best, (rss,), *_ = np.linalg.lstsq(design, data["coating"], rcond=None)
    covariance = np.linalg.inv(design.T @ design)
    models = []
    for _ in range(draws):
        variance = rss / rng.chisquare(len(ones) - 3)
        a, b, h = rng.multivariate_normal(best, variance * covariance)
        models.append(coating(b, h, sd=variance**0.5, intercept=a))
    return models


def main(units: int = 2000, draws: int = 500, seed: int = 1) -> dict[str, float]:
    """Simulate with a known effect, then ask all three rungs."""
    rng = np.random.default_rng(seed)
    truth = coating(effect=-0.42, humidity=-0.54)
    data = run(truth, draw_noise(truth, units, rng))

    # Rung one: the slope of coating on dilution, whatever made dilution what it is.
    association = float(np.polyfit(data["dilution"], data["coating"], 1)[0])

    # Rung two: the same contrast after surgery, once for each draw of the parameters.
    models = posterior(data, draws, rng)
    effects = [ate(m, "dilution", "coating", draw_noise(m, 100, rng)) for m in models]

    # Rung three: part number 0 as it was, but diluted by one unit more.
    part = {name: values[:1] for name, values in data.items()}
    more = {"dilution": float(part["dilution"][0]) + 1}
    imagined = [run(m, abduct(m, part), more)["coating"][0] for m in models]

    return {
        "association": association,
        "effect": float(np.mean(effects)),
        "effect_sd": float(np.std(effects)),
        "seen": float(part["coating"][0]),
        "imagined": float(np.mean(imagined)),
    }


if __name__ == "__main__":
    for key, value in main().items():
        print(f"{key:>12}: {value: .3f}")
