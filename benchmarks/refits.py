"""One model fitted to many data sets: ours, compiled once, and a loop over ``pm.sample``."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.harness import Table, gap, measure, number
from benchmarks.models import MODELS

__all__ = ["loop", "ours", "run"]

#: Fits of the loop that are measured; the rest is scaled.
LOOPED = 20


def ours(case: str, fits: int, units: int, draws: int, chains: int) -> dict[str, Any]:
    """Make a refitter and fit all data sets."""
    import bayescausal as bc

    named = MODELS[case]
    columns = list(named.data(np.random.default_rng(0), 2))

    found, seconds = [], []
    start = perf_counter()
    refitter = bc.Refitter(named.model(1), columns, draws=draws, chains=chains)
    for i in range(fits):
        fit = refitter.fit(named.data(np.random.default_rng(i), units), seed=i)
        found.append(fit.posterior)
        seconds.append(perf_counter() - start)
        start = perf_counter()
    return _told(found[:LOOPED], sum(seconds))


def loop(case: str, fits: int, units: int, draws: int, chains: int) -> dict[str, Any]:
    """Call ``pm.sample`` for some of the data sets, and scale."""
    import pymc as pm

    warnings.simplefilter("ignore")
    named = MODELS[case]
    some = min(LOOPED, fits)

    found, seconds = [], []
    for i in range(some):
        start = perf_counter()
        with pm.observe(named.model(units), named.data(np.random.default_rng(i), units)):
            trace = pm.sample(draws, chains=chains, random_seed=i, progressbar=False, quiet=True)
        found.append(trace["posterior"].to_dataset())
        seconds.append(perf_counter() - start)
    # what a first call loads and caches counts once
    return _told(found, seconds[0] + float(np.mean(seconds[1:])) * (fits - 1))


def _told(posteriors: list[Any], seconds: float) -> dict[str, Any]:
    """Return the mean over fits of the first slope, the smallest ESS of it, and the time."""
    import arviz as az

    name = sorted(n for n in posteriors[0].data_vars if not n.endswith("__"))[1]
    draws = [p[name].to_numpy().reshape(*p[name].shape[:2], -1)[:, :, 0] for p in posteriors]
    ess = [float(az.ess(d)) for d in draws]
    errors = [d.std() / e**0.5 for d, e in zip(draws, ess, strict=True)]
    mcse = float(np.sqrt(np.square(errors).sum()) / len(draws))
    mean = float(np.mean([d.mean() for d in draws]))
    return {"mean": mean, "mcse": mcse, "ess": min(ess), "name": name, "cold": seconds}


def run(quick: bool) -> list[Table]:
    """Return the table."""
    fits, draws = (3, 50) if quick else (200, 500)
    size = {"fits": fits, "units": 100 if quick else 500, "draws": draws, "chains": 2}
    rows: list[tuple[Any, ...]] = []
    versions: dict[str, str] = {}
    for case in ("linear",) if quick else ("coating", "linear", "discrete"):
        mine = measure("refits:ours", case=case, **size)
        other = measure("refits:loop", case=case, **size)
        for who, m in (("bayescausal.Refitter", mine), ("loop over pm.sample", other)):
            if not m.found:
                rows.append((case, who, f"not run: {m.why}", "", "", "", "", "", ""))
                continue
            f = m.found
            versions.update(f["versions"])
            both = mine.found and other.found and m is other
            rows.append((
                case, who, number(f["cold"]), number(f["cold"] / fits), f"{f['peak']:,.0f}",
                f"{f['ess']:,.0f}", f"{f['name']}: {f['mean']:.4f} ± {f['mcse']:.1g}",
                f"{f['cold'] / mine.found['cold']:.0f}" if both else "",
                f"{gap(mine.found, f):.1f}" if both else "",
            ))  # fmt: skip
    note = (
        f"{fits} data sets of {size['units']} units, {size['chains']} chains of {draws} draws, "
        "compilation included. Of the loop "
        f"{min(LOOPED, fits)} fits are measured; all but the first are scaled to {fits}. "
        "ESS: the smallest over these fits of one parameter; the answer is the mean of its "
        "posterior means over them."
    )
    columns = (
        "model", "by", "all, s", "one, s", "peak, MB", "ESS", "answer", "ratio", "agreement",
    )  # fmt: skip
    return [Table("Many fits of one model", note, columns, rows, versions)]
