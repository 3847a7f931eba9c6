"""Estimators: how often their intervals hold the truth, and what many draws of many rows cost.

    python -m benchmarks.estimators --datasets 1000

draws data sets in which every model that an estimator uses is right (400 units, 500 draws of the
Bayesian bootstrap), asks the average effect over the population that the units came from, and
counts the 94% intervals that hold it. Models of outcome and effect of the learners are least
squares. ``--forests N M`` asks the causal forest on N data sets and the Bayesian one on M, in a
table of its own, with fewer trees, draws and units than their defaults, since these take seconds
each; ``--held FILE`` keeps what is done, so that a study can be interrupted and goes on.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections import Counter
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
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
#: Of the study of Bayesian causal forests.
FEW = 250
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


def confounded(rng: np.random.Generator, modified: float = 1.0, units: int = UNITS) -> Data:
    """E[y_1 - y_0] = 2 + E[z] = 2; an effect that differs with z unless `modified` is 0."""
    z = rng.normal(size=units)
    x = rng.binomial(1, expit(0.7 * z))
    return {"z": z, "x": x, "y": 2 * x + modified * x * z + z + rng.normal(size=units)}


def confounded_few(rng: np.random.Generator) -> Data:
    """The same of fewer units."""
    return confounded(rng, units=FEW)


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
#: Parts of a second to two seconds each.
FORESTS: dict[str, tuple[Callable[..., Data], str, list[Any], float]] = {
    "causal forest, 400 units": (
        confounded, BACK, [e.CausalForest(outcome=Line(), trees=100)], 2.0,
    ),
    "Bayesian causal forest, 250 units": (
        confounded_few, BACK, [e.BCF(chains=1, burn_in=100, draws=250)], 2.0,
    ),
}  # fmt: skip


def shown(estimator: Any) -> str:
    """Return the name of an estimator, with the options that are words and not its defaults."""
    own = [(getattr(estimator, f.name), f.default) for f in fields(estimator)]
    words = [value for value, default in own if isinstance(value, str) and value != default]
    return f"{estimator.name} ({', '.join(words)})" if words else estimator.name


def held(study: tuple[Any, ...], datasets: int, name: str, file: Path | None) -> Counter[str]:
    """Return how many intervals held the truth, by estimator; keep each data set in a file."""
    make, graph, asked, truth = study
    question = bc.ATE("x", "y", population="superpopulation")
    done = pd.read_csv(file) if file and file.exists() else pd.DataFrame(columns=KEPT)
    mine = done["estimator"].isin([shown(each) for each in asked]) & (done["study"] == name)
    rows = done[mine & (done["seed"] < datasets)].to_numpy().tolist()
    for seed in sorted({*range(datasets)} - {row[2] for row in rows}):
        data = make(np.random.default_rng(seed))
        found = bc.triangulate(graph, question, estimators=asked, data=data, draws=DRAWS, seed=seed)
        effects = found.effects.values()
        new = [
            (name, shown(each), seed, float(effect.mean()), *effect.interval(0.94))
            for each, effect in zip(asked, effects, strict=True)
        ]
        if file:
            table = pd.DataFrame(new, columns=KEPT)
            table.to_csv(file, mode="a", header=not file.exists(), index=False)
        rows += new
    count = Counter({shown(each): 0 for each in asked})
    for _, estimator, _, _, low, high in rows:
        count[estimator] += int(low <= truth <= high)
    return count


#: What is kept of each data set and estimator.
KEPT = ["study", "estimator", "seed", "estimate", "low", "high"]


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
    parser.add_argument(
        "--forests", type=int, nargs=2, metavar=("N", "M"), help="data sets of the two forests"
    )
    parser.add_argument("--rows", type=int, default=100_000, help="of the timing; 0: none")
    parser.add_argument("--held", type=Path, help="data sets that are done (CSV)")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    when = f"Measured on {date.today():%d %B %Y}: {machine()}."
    tables: dict[str, Table] = {}
    if given.datasets:
        note = f"{UNITS} units, {DRAWS} draws; {NOTE}"
        asked = [(n, s, given.datasets) for n, s in (*STUDIES.items(), ("back door", WIDE))]
        tables["estimators"] = coverage("estimators", note, asked, given.held)
    if given.forests:
        note = (
            f"{DRAWS} draws; {NOTE} The causal forest has 100 trees; the Bayesian one a single "
            "chain of 250 draws after 100."
        )
        asked = [(n, s, k) for (n, s), k in zip(FORESTS.items(), given.forests, strict=True)]
        tables["forests"] = coverage("forests", note, asked, given.held)
    if given.rows:
        note = (f"{given.rows:,} rows, 5 covariates, logistic propensity and linear outcome; "
                "processor seconds on one thread, peak memory of the process so far.")  # fmt: skip
        columns = ("who", "draws", "processor s", "peak MB")
        title = "AIPW and IPW with all models refitted per draw"
        tables["speed"] = Table(title, note, columns, speed(given.rows, 1000))
    for name, table in tables.items():
        section = "estimators" if name == "estimators" else f"estimators: {name}"
        write(given.out, section, f"## {section}\n\n{when}\n\n{render([table])}")
    return 0


NOTE = (
    "the average effect over the population. A right interval leaves the band once in a thousand "
    "(the narrowest interval of so few draws holds a little less than 94%). Models of outcome and "
    "effect of the learners are least squares."
)


def coverage(
    what: str, note: str, asked: Sequence[tuple[str, Any, int]], file: Path | None
) -> Table:
    """Return the table of some studies."""
    rows: list[tuple[Any, ...]] = []
    for name, study, datasets in asked:
        start = time.process_time()
        low, high = band(datasets)
        for estimator, count in held(study, datasets, name, file).items():
            inside = "wide" if count > high else "yes" if count >= low else "no"
            share = f"{count / datasets:.3f}"
            rows.append((name, estimator, datasets, count, share, f"{low} to {high}", inside))
            print(*rows[-1], flush=True)
        print(f"{name}: {time.process_time() - start:.0f} s", flush=True)
    columns = ("study", "estimator", "data sets", "held the truth", "share", "band", "inside")
    return Table(f"Coverage of 94% intervals of {what}", note, columns, rows)


if __name__ == "__main__":
    raise SystemExit(main())
