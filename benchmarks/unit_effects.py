"""Effects of single units: curves beside the causal forest, learners and BCF, on the same data.

    python -m benchmarks.unit_effects --replicates 50 --held partial.csv --others /path/to/python

`--others` is an interpreter that has EconML and stochtree; without it only our own mechanisms and
estimators are run. Data sets have the covariates of real studies and known effects:

* *IHDP A* and *B*: the response surfaces of Hill [1]_ on the covariates of the Infant Health and
  Development Program, the treated children of nonwhite mothers left out. In A the effect is 4 for
  all; in B the untreated mean is exponential and the treated one linear, and effects average 4
  over the treated.
* *ACIC*: covariates, treatment and means of one data set of the 2016 competition [2]_, with fresh
  Normal noise.

*Root PEHE* is the root mean squared error of the effects of units. ``--held FILE`` keeps data sets
that are done, so that a study can be interrupted and goes on where it was.

.. [1] J. L. Hill, Bayesian nonparametric modeling for causal inference, Journal of Computational
   and Graphical Statistics 20(1), 2011, section 4.
.. [2] V. Dorie, J. Hill, U. Shalit, M. Scott and D. Cervone, Automated versus do-it-yourself
   methods for causal inference, Statistical Science 34(1), 2019.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

import bayescausal as bc
from benchmarks.harness import HERE, Table, machine, render, write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

__all__ = ["DATA", "OURS", "Known", "main", "ours"]

SHARED = Path(__file__).parents[2] / "shared" / "data"
#: Curves of one model: each has a spread in the outcome and one in the effect.
CURVES = 3


@dataclass(frozen=True)
class Known:
    """A data set whose effects are known.

    Attributes
    ----------
    covariates : DataFrame
        Numbers, of which those with two values are 0 and 1.
    t, y, tau : ndarray
    """

    covariates: pd.DataFrame
    t: Array
    y: Array
    tau: Array


def _ihdp(rng: np.random.Generator, surface: str) -> Known:
    raw = pd.read_csv(SHARED / "ihdp_covariates.csv")
    raw = raw[(raw["treat"] == 0) | (raw["momwhite"] == 1)].reset_index(drop=True)
    t = raw.pop("treat").to_numpy(float)
    x = raw.rename(columns=lambda c: c.replace(".", "_")).astype(float)
    few = x.nunique() == 2
    x.loc[:, ~few] = (x.loc[:, ~few] - x.loc[:, ~few].mean()) / x.loc[:, ~few].std()
    values = x.to_numpy()
    if surface == "A":
        b = rng.choice([0.0, 1, 2, 3, 4], values.shape[1], p=[0.5, 0.2, 0.15, 0.1, 0.05])
        zero, one = values @ b, values @ b + 4
    else:
        b = rng.choice([0.0, 0.1, 0.2, 0.3, 0.4], values.shape[1], p=[0.6, 0.1, 0.1, 0.1, 0.1])
        zero = np.exp((values + 0.5) @ b)
        one = values @ b
        treated = t == 1
        one = one - brentq(lambda w: (one - w - zero)[treated].mean() - 4, -1e6, 1e6)
    y = rng.normal(np.where(t == 1, one, zero), 1.0)
    return Known(x, t, y, one - zero)


def _acic(rng: np.random.Generator, units: int) -> Known:
    raw = pd.read_csv(SHARED / "acic16_1.csv.gz")
    raw = raw.iloc[rng.choice(len(raw), min(units, len(raw)), replace=False)].reset_index(drop=True)
    mean = raw[["mu0", "mu1"]].to_numpy()
    t = raw["z"].to_numpy(float)
    x = pd.get_dummies(raw.filter(like="x_"), drop_first=True).astype(float)
    x = x.loc[:, x.std() > 0]
    few = x.nunique() == 2
    x.loc[:, ~few] = (x.loc[:, ~few] - x.loc[:, ~few].mean()) / x.loc[:, ~few].std()
    y = rng.normal(np.where(t == 1, mean[:, 1], mean[:, 0]), 1.0)
    return Known(x, t, y, mean[:, 1] - mean[:, 0])


#: The sources, of a generator and a number of units.
DATA: dict[str, Any] = {
    "IHDP A": lambda rng, units: _ihdp(rng, "A"),
    "IHDP B": lambda rng, units: _ihdp(rng, "B"),
    "ACIC": _acic,
}


#: Our mechanisms.
OURS = ("straight lines", "curves", "bart", "bcf", "lines and bcf")


def ours(known: Known, mechanism: str, seed: int) -> dict[str, Array]:
    """Return effects, intervals and the average of one of our mechanisms.

    Lines are ``t * (x + ...)``, curves ``t * (s(x) + ...)`` in the columns with most values, and
    lines beside ``bcf`` are those of the outcome, ``x + ...``: forests add what bends, and effects.
    """
    x = known.covariates
    forest = {"bart": "bart({}, t)", "bcf": "bcf(t, by=({}))"}.get(mechanism.split()[-1])
    if forest is not None:
        lines = [*x] if mechanism == "lines and bcf" else []
        right = " + ".join([*lines, forest.format(", ".join(x))])
    else:
        order = x.nunique().sort_values(ascending=False, kind="stable")
        bent = order.index[:CURVES] if mechanism == "curves" else []
        smooth = [n for n in bent if order[n] > 10]
        right = " + ".join(f"t * s({n}, k=6)" if n in smooth else f"t * {n}" for n in x)
    data = x.assign(t=known.t.astype(int), y=known.y)
    model = bc.model_from_formulas([f"y ~ {right}"], data=data)
    fit = bc.fit(model, data, draws=250, chains=2, seed=seed, progressbar=False, cores=1)
    found = bc.heterogeneity(fit, bc.ATE("t", "y"), covariates=[])
    low, high = bc.hdi(found.average).values
    return {
        "tau": found.units["mean"].to_numpy(),
        "lower": found.units.iloc[:, 2].to_numpy(),
        "upper": found.units.iloc[:, 3].to_numpy(),
        "average": np.array([found.average.mean(), low, high]),
    }


def others(known: Known, seed: int, python: str) -> dict[str, dict[str, Array]]:
    """Return the same of the alternatives, run by another interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, x=known.covariates.to_numpy(), t=known.t, y=known.y, seed=seed)
        script = HERE / "unit_effects_others.py"
        done = subprocess.run(
            [python, str(script), str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-800:])
        held = json.loads(done.stdout.splitlines()[-1])
    return {name: {k: np.array(v) for k, v in each.items()} for name, each in held.items()}


def _scores(known: Known, found: dict[str, Array], seconds: float) -> dict[str, float]:
    nan = float("nan")
    out = {
        "PEHE": float(np.sqrt(np.mean((found["tau"] - known.tau) ** 2))),
        "error": float(abs(found["average"][0] - known.tau.mean())),
        "units": nan,
        "average": nan,
        "seconds": seconds,
    }
    if "lower" in found:
        inside = (found["lower"] <= known.tau) & (known.tau <= found["upper"])
        out["units"] = float(inside.mean())
    if len(found["average"]) == 3:
        _, low, high = found["average"]
        out["average"] = float(low <= known.tau.mean() <= high)
    return out


def study(given: argparse.Namespace) -> Table:
    """Return the table of all sources and mechanisms; write each data set down."""
    held = pd.read_csv(given.held) if given.held.exists() else pd.DataFrame(columns=KEYS)
    done = set(zip(*(held[k] for k in KEYS), strict=True))

    def keep(source: str, name: str, k: int, scores: dict[str, float]) -> None:
        row = pd.DataFrame([(source, name, k)], columns=KEYS).assign(**scores)
        row.to_csv(given.held, mode="a", header=not given.held.exists(), index=False)

    for k, source in itertools.product(range(given.replicates), given.data):
        known = DATA[source](np.random.default_rng(100 + k), given.units)
        for name in OURS:
            if (source, name, k) in done:
                continue
            begun = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = ours(known, name, k)
            keep(source, name, k, _scores(known, found, time.process_time() - begun))
        if given.others and (source, "BCF (stochtree)", k) not in done:
            for name, each in others(known, k, given.others).items():
                used = float(each.pop("seconds"))
                keep(source, name, k, _scores(known, each, used))
    return table_of(pd.read_csv(given.held))


#: What names a data set and a mechanism.
KEYS = ["data", "mechanism", "k"]


def table_of(held: pd.DataFrame) -> Table:
    """Return the table of data sets that are done."""
    rows: list[tuple[object, ...]] = []
    for (source, name), some in held.groupby(["data", "mechanism"], sort=False):
        middle, mean = some.median(numeric_only=True), some.mean(numeric_only=True)
        rows.append((
            source, name, len(some), f"{middle['PEHE']:.2f}", f"{middle['error']:.2f}",
            _share(mean["units"]), _share(mean["average"]), f"{middle['seconds']:.0f}",
        ))  # fmt: skip
    rows.sort(key=lambda row: list(DATA).index(str(row[0])))
    return Table(
        "Effects of single units, on the same data",
        "Medians over data sets; *units* and *average*: the share of 94% intervals that hold a "
        "unit's effect, and the average effect (empty where there is no interval).",
        ("data", "mechanism", "data sets", "root PEHE", "error of the average", "units", "average",
         "processor s"),
        rows,
    )  # fmt: skip


def _share(value: float) -> str:
    return "" if value != value else f"{value:.2f}"


def main() -> None:
    """Run the study, and put its table into the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--units", type=int, default=1000, help="of the ACIC data")
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--others", help="interpreter that has EconML and stochtree")
    parser.add_argument("--held", type=Path, required=True, help="data sets that are done (CSV)")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args()
    when = f"Measured on {date.today():%d %B %Y}: {machine()}."
    write(given.out, "unit effects", f"## unit effects\n\n{when}\n\n{render([study(given)])}")


if __name__ == "__main__":
    main()
