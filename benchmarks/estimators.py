"""Estimators: how often their intervals hold the truth, and what many draws of many rows cost.

    python -m benchmarks.estimators --datasets 1000

draws data sets in which every model that an estimator uses is right (400 units, 500 draws of the
Bayesian bootstrap), asks the average effect over the population that the units came from, and
counts the 94% intervals that hold it. Models of outcome and effect of the learners are least
squares. ``--forests N`` adds Bayesian causal forests, which take seconds each, on N data sets.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit
from scipy.stats import binom, norm

import bayescausal as bc
from bayescausal import estimators as e
from bayescausal.draws.intervals import narrowest
from benchmarks.harness import HERE, Table, machine, render, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["STUDIES", "Line", "band", "expected", "held", "main"]

UNITS, DRAWS = 400, 500
type Data = dict[str, np.ndarray]


class Line:
    """Least squares with a constant, as a model with ``fit`` and ``predict``."""

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Line:
        """Solve the normal equations."""
        root = np.ones(len(x)) if sample_weight is None else np.sqrt(sample_weight)
        design = np.column_stack([np.ones(len(x)), x]) * root[:, None]
        self.beta = np.linalg.lstsq(design, y * root, rcond=None)[0]
        return self

    def predict(self, x: Any) -> np.ndarray:
        """Return the line at some rows."""
        return np.asarray(self.beta[0] + x @ self.beta[1:])


def confounded(rng: np.random.Generator, modified: float = 1.0) -> Data:
    """E[y_1 - y_0] = 2 + E[z] = 2; an effect that differs with z unless `modified` is 0."""
    z = rng.normal(size=UNITS)
    x = rng.binomial(1, expit(0.7 * z))
    return {"z": z, "x": x, "y": 2 * x + modified * x * z + z + rng.normal(size=UNITS)}


def one_effect(rng: np.random.Generator) -> Data:
    """The same with one effect for all."""
    return confounded(rng, 0.0)


def cells(rng: np.random.Generator) -> Data:
    """The same of a confounder with four values, which strata of the propensity hold apart."""
    z = rng.integers(0, 4, UNITS)
    x = rng.binomial(1, 0.2 + 0.2 * z)
    return {"z": z, "x": x, "y": 2 * x + x * (z - 1.5) + z + rng.normal(size=UNITS)}


def instrumented(rng: np.random.Generator) -> Data:
    """A hidden common cause, and an instrument that moves a third."""
    u, z = rng.normal(size=UNITS), rng.binomial(1, 0.5, UNITS)
    x = (1.5 * z + u + rng.normal(size=UNITS) > 0.7).astype(int)
    return {"z": z, "x": x, "y": 2 * x + u + rng.normal(size=UNITS)}


def mediated(rng: np.random.Generator) -> Data:
    """x -> m -> y with a hidden common cause of x and y: the effect is 2 (E[m_1] - E[m_0]) = 1."""
    u = rng.normal(size=UNITS)
    x = rng.binomial(1, expit(u))
    m = rng.normal(0.5 * x, 1)
    return {"x": x, "m": m, "y": 2 * m + u + rng.normal(size=UNITS)}


BACK = "z -> x -> y; z -> y"
LINES = {"outcome": Line(), "effect": Line()}
#: Data, graph, estimators, truth.
STUDIES: dict[str, tuple[Callable[..., Data], str, list[Any], float]] = {
    "back door": (
        confounded,
        BACK,
        [e.Stratified(), e.IPW(), e.AIPW(), e.TMLE(), e.Matching(metric="mahalanobis")],
        2.0,
    ),
    "learners": (
        confounded,
        BACK,
        [
            e.TLearner(outcome=Line()),
            e.XLearner(**LINES),
            e.RLearner(**LINES),
            e.DRLearner(**LINES),
            e.DomainAdaptation(**LINES),
            e.DML(outcome=Line()),
        ],
        2.0,
    ),
    "one effect": (
        one_effect,
        BACK,
        [
            e.Regression(),
            e.Standardization(),
            e.SLearner(outcome=Line()),
            e.DML(form="partially linear", outcome=Line()),
        ],
        2.0,
    ),
    "cells": (cells, BACK, [e.Stratification(strata=20), e.Matching(metric="exact")], 2.0),
    "instrument": (
        instrumented,
        "z -> x -> y; x <-> y",
        [e.TwoStageLeastSquares()],
        2.0,
    ),
    "front door": (mediated, "x -> m -> y; x <-> y", [e.FrontDoor()], 1.0),
}
#: Its error takes the estimated propensity as known, which may be on the wide side.
WIDE = (confounded, BACK, [e.Matching()], 2.0)
#: Seconds each.
FORESTS = (confounded, BACK, [e.BCF()], 2.0)


def held(study: tuple[Any, ...], datasets: int) -> Counter[str]:
    """Return how many intervals held the truth, by estimator."""
    make, graph, asked, truth = study
    question = bc.ATE("x", "y", population="superpopulation")
    count: Counter[str] = Counter()
    for seed in range(datasets):
        data = make(np.random.default_rng(seed))
        found = bc.triangulate(graph, question, estimators=asked, data=data, draws=DRAWS, seed=seed)
        for name, effect in found.effects.items():
            low, high = effect.interval(0.94)
            count[name] += int(low <= truth <= high)
    return count


def expected() -> float:
    """Return how often the interval of a right bootstrap holds the truth, with so few draws.

    The narrowest interval of 500 draws is narrower than that of the distribution they are from, by
    simulation of Normal draws; and the bootstrap's variance is that of the residuals of an arm of
    200 units, low by its two coefficients and by one: 3 / 200.
    """
    rng = np.random.default_rng(0)
    short = np.sqrt(1 - 3 / (UNITS / 2))
    low, high = narrowest(rng.normal(0, short, (DRAWS, 4000)), 0.94)
    return float(np.mean(norm.cdf(high) - norm.cdf(low)))


def band(datasets: int) -> tuple[int, int]:
    """Return counts that a right interval leaves once in a thousand."""
    return (
        int(binom.ppf(0.0005, datasets, expected())),
        int(binom.ppf(0.9995, datasets, 0.94)),
    )


def speed(rows: int, draws: int) -> list[tuple[Any, ...]]:
    """Return processor seconds and peak memory of AIPW and IPW, and of a loop over scikit-learn."""
    from sklearn.linear_model import LinearRegression, LogisticRegression

    rng = np.random.default_rng(1)
    names = [f"z{k}" for k in range(5)]
    z = rng.normal(size=(rows, 5))
    x = rng.binomial(1, expit(z @ [0.5, -0.4, 0.3, 0.0, 0.2]))
    y = x + z.sum(axis=1) + rng.normal(size=rows)
    data = dict(zip(names, z.T, strict=True)) | {"x": x, "y": y}
    graph = "; ".join(f"{n} -> x -> y; {n} -> y" for n in names)
    few = {name: column[:500] for name, column in data.items()}
    found = []
    for many in (20, draws, 4 * draws):  # the first loads what is loaded once
        start = time.process_time()
        table = few if many == 20 else data
        bc.triangulate(graph, bc.ATE("x", "y"), estimators=["aipw", "ipw"], data=table, draws=many)
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        found.append(("bayescausal", f"{many:,}", f"{seconds:.1f}", f"{peak:.0f}"))
    del found[0]
    some = 3
    start = time.process_time()
    for _ in range(some):
        w = rng.dirichlet(np.ones(rows)) * rows
        LogisticRegression(C=1e6).fit(z, x, w)
        LinearRegression().fit(np.column_stack([x, z]), y, w)
    each = (time.process_time() - start) / some
    found.append((f"scikit-learn, one draw after the other ({some} measured)", f"{draws:,}",
                  f"{each * draws:.0f}", ""))  # fmt: skip
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studies and write their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--forests", type=int, default=0, help="data sets of the forests")
    parser.add_argument("--rows", type=int, default=100_000, help="of the timing; 0: none")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    rows: list[tuple[Any, ...]] = []
    asked: list[tuple[str, Any, int]] = [(n, s, given.datasets) for n, s in STUDIES.items()]
    asked += [("back door", WIDE, given.datasets), ("back door", FORESTS, given.forests)]
    for name, study, datasets in asked:
        if not datasets:
            continue
        start = time.process_time()
        low, high = band(datasets)
        for estimator, count in held(study, datasets).items():
            inside = "wide" if count > high else "yes" if count >= low else "no"
            rows.append((name, estimator, datasets, count, f"{count / datasets:.3f}", inside))
            print(*rows[-1], flush=True)
        print(f"{name}: {time.process_time() - start:.0f} s", flush=True)
    note = (
        f"{UNITS} units, {DRAWS} draws; the average effect over the population. In the band: from "
        f"{band(given.datasets)[0]} to {band(given.datasets)[1]} of {given.datasets:,}, which an "
        f"interval that is right leaves once in a thousand ({expected():.1%} is what the narrowest "
        "interval of so few draws holds). Models of outcome and effect of the learners are least "
        "squares."
    )
    columns = ("study", "estimator", "data sets", "held the truth", "share", "in the band")
    tables = [Table("Coverage of 94% intervals of estimators", note, columns, rows)]
    if given.rows:
        told = speed(given.rows, 1000)
        note = (f"{given.rows:,} rows, 5 covariates, logistic propensity and linear outcome; "
                "processor seconds on one thread, peak memory of the process so far.")  # fmt: skip
        columns = ("who", "draws", "processor s", "peak MB")
        tables.append(Table("AIPW and IPW with all models refitted per draw", note, columns, told))
    when = f"Measured on {date.today():%d %B %Y}: {machine()}."
    write(given.out, "estimators", f"## estimators\n\n{when}\n\n{render(tables)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
