"""From data to the posterior of an average effect: ours, and the flow written by hand in PyMC."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks.harness import Table, beside, clocked, measure
from benchmarks.models import MODELS

__all__ = ["by_hand", "expert", "ours", "run"]

CHAINS = 4
#: Units that are measured.
SIZES = (1_000, 10_000, 100_000, 1_000_000)
#: Units up to which the hand-written flow is run: at 100,000 it takes minutes and gigabytes.
BY_HAND = 100_000


def ours(case: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Fit, ask and summarise."""
    import bayescausal as bc

    named = MODELS[case]
    data = named.data(np.random.default_rng(1), units)
    model = named.model(1)

    def work() -> dict[str, Any]:
        fit = bc.fit(model, data, draws=draws, chains=CHAINS, seed=2, progressbar=False)
        effect = bc.estimate(fit, bc.ATE(named.treatment, named.outcome))
        row = effect.summary().iloc[0]
        methods = ", ".join(sorted(set(fit.methods.values())))
        return {
            "mean": float(row["mean"]), "sd": float(row["sd"]), "mcse": float(row["mcse_mean"]),
            "ess": float(row["ess_bulk"]), "methods": methods,
        }  # fmt: skip

    return clocked(work, runs)


def by_hand(case: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Observe, sample, simulate both arms with one seed, subtract."""
    import arviz as az
    import pymc as pm

    named = MODELS[case]
    data = named.data(np.random.default_rng(1), units)
    warnings.simplefilter("ignore")

    def work() -> dict[str, Any]:
        model = named.model(units)
        quiet: dict[str, Any] = {"progressbar": False, "random_seed": 2}
        with pm.observe(model, data):
            trace = pm.sample(draws, chains=CHAINS, quiet=True, **quiet)
        means = []
        kept = {k: v for k, v in data.items() if k not in (named.treatment, named.outcome)}
        for level in (1, 0):
            arm = np.full(units, level, dtype=data[named.treatment].dtype)
            with pm.do(model, {**kept, named.treatment: arm}):
                simulated = pm.sample_posterior_predictive(
                    trace, var_names=[named.outcome], **quiet
                )
            means.append(simulated["posterior_predictive"][named.outcome].mean("unit"))
            del simulated
        contrast = (means[0] - means[1]).to_numpy()
        sd = float(contrast.std(ddof=1))
        ess = float(az.ess(contrast))
        return {"mean": float(contrast.mean()), "sd": sd, "mcse": sd / ess**0.5, "ess": ess}

    return clocked(work, runs)


def expert(case: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Do what one does who knows the model: nutpie, and the effect off the coefficients."""
    import arviz as az
    import pymc as pm

    named = MODELS[case]
    data = named.data(np.random.default_rng(1), units)
    warnings.simplefilter("ignore")

    def work() -> dict[str, Any]:
        with pm.observe(named.model(units), data):
            trace = pm.sample(
                draws, chains=CHAINS, nuts_sampler="nutpie", progressbar=False, random_seed=2
            )
        posterior = trace["posterior"].to_dataset()
        flat = {str(n): v.values.reshape(-1, *v.shape[2:]) for n, v in posterior.data_vars.items()}
        effect = named.read(flat, data).reshape(CHAINS, -1)
        sd, ess = float(effect.std(ddof=1)), float(az.ess(effect))
        return {"mean": float(effect.mean()), "sd": sd, "mcse": sd / ess**0.5, "ess": ess}

    return clocked(work, runs)


def run(case: str, quick: bool, most: int = BY_HAND, largest: int = SIZES[-1]) -> list[Table]:
    """Return the table of one model up to a size, by hand up to another."""
    sizes = [500] if quick else [n for n in SIZES if n <= largest]
    draws = 100 if quick else 1000
    rows: list[tuple[Any, ...]] = []
    versions: dict[str, str] = {}
    methods: set[str] = set()
    for units in sizes:
        few = quick or units > 10_000
        mine = measure("ate:ours", case=case, units=units, draws=draws, runs=2 if few else 4)
        label = (f"{units:,}",)
        if units > most:
            [first, _] = beside(label, mine, mine)
            rows += [first, (*label, "by hand", "not run", "", "", "", "", "", "")]
        else:
            once = 1 if units == BY_HAND else 2 if few else 3
            other = measure("ate:by_hand", case=case, units=units, draws=draws, runs=once)
            rows += beside(label, mine, other)
            versions.update(other.found.get("versions", {}))
        if units <= most:
            short = measure("ate:expert", case=case, units=units, draws=draws, runs=2)
            row = beside(label, mine, short)[1]
            rows.append((*label, "expert", *row[2:]))
        versions.update(mine.found.get("versions", {}))
        methods.add(mine.found.get("methods", mine.why))
    note = (
        f"{CHAINS} chains of {draws} draws, and the average effect of "
        f"`{MODELS[case].treatment}` on `{MODELS[case].outcome}` with its summary. "
        f"Ours was fitted by: {'; '.join(sorted(methods))}. By hand: "
        "`pm.observe`, `pm.sample`, `pm.do` and a posterior predictive for each arm with one seed, "
        f"up to {most:,} units (at {BY_HAND:,} a single, cold run). Cold: the first run in a fresh "
        "process, with the libraries that it loads. Ratio: of the warm medians, or of the cold run "
        "where there is one only to our warm median. Expert: nutpie, and the effect read off the "
        "coefficients, nothing simulated. Agreement: difference of the "
        "answers in Monte Carlo standard errors. Peak memory is of the whole process."
    )
    columns = (
        "units", "by", "cold, s", "warm, s", "peak, MB", "ESS", "answer", "ratio", "agreement",
    )  # fmt: skip
    return [Table(f"Data to average effect: {case}", note, columns, rows, versions)]
