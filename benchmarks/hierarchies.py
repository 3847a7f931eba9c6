"""Groups, curves and shrinkage: coefficients integrated out, and a Markov chain on the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm

from benchmarks.harness import Measure, Table, beside, clocked, measure, processor

__all__ = ["OTHERS", "by_hand", "ours", "run", "slopes_beside"]

#: Rows up to which the chain on the rows is run.
BY_HAND = 2_000
#: What group effects are compared with, by an expert's hand: two samplers and maximum likelihood.
OTHERS = ("nutpie", "Bambi", "MixedLM")
#: Groups up to which maximum likelihood is run of many rows, and nutpie of so many.
MIXED, MANY = 50, 100_000


def _slopes(rng: np.random.Generator, units: int, groups: int) -> tuple[pm.Model, pd.DataFrame]:
    g = np.concatenate([np.arange(groups), rng.integers(0, groups, units - groups)])
    x, t = rng.normal(size=units), rng.integers(0, 2, units).astype(float)
    own = rng.multivariate_normal([0.0, 0.5], [[1.0, 0.2], [0.2, 0.5]], groups)
    y = 1 + 0.3 * x + own[g, 0] + own[g, 1] * t + rng.normal(size=units)
    with pm.Model(coords={"unit": [0], "group": range(groups), "of": ["1", "t"]}) as model:
        data = [pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t")]
        where = pm.Data("g", np.zeros(1, dtype=int), dims="unit")
        b = pm.Normal("b", 0, 2, dims="of")
        sd = pm.HalfNormal("sd", 1, dims="of")
        z = pm.Normal("z", 0, 1, dims=("group", "of"))
        c, sigma = pm.Normal("c", 0, 2), pm.HalfNormal("sigma", 2)
        effect = b + sd * z
        mean = effect[where, 0] + effect[where, 1] * data[1] + c * data[0]
        pm.Normal("y", mean, sigma, dims="unit")
    return model, pd.DataFrame({"y": y, "x": x, "t": t, "g": g})


def _crossed(rng: np.random.Generator, units: int, groups: int) -> tuple[pm.Model, pd.DataFrame]:
    half = groups // 2
    a = np.concatenate([np.arange(groups), rng.integers(0, groups, units - groups)])
    b = np.concatenate([np.arange(half), rng.integers(0, half, units - half)])
    t = rng.integers(0, 2, units).astype(float)
    y = rng.normal(0, 1, groups)[a] + rng.normal(0, 0.5, half)[b] + t + rng.normal(size=units)
    with pm.Model(coords={"unit": [0], "first": range(groups), "second": range(half)}) as model:
        treated = pm.Data("t", np.zeros(1), dims="unit")
        one, two = (pm.Data(n, np.zeros(1, dtype=int), dims="unit") for n in ("a", "b"))
        e = pm.Normal("e", pm.Normal("m", 0, 2), pm.HalfNormal("sd1", 2), dims="first")
        f = pm.Normal("f", 0, pm.HalfNormal("sd2", 2), dims="second")
        mean = e[one] + f[two] + pm.Normal("c", 0, 2) * treated
        pm.Normal("y", mean, pm.HalfNormal("sigma", 2), dims="unit")
    return model, pd.DataFrame({"y": y, "t": t, "a": a, "b": b})


def _curves(rng: np.random.Generator, units: int, groups: int) -> tuple[pm.Model, pd.DataFrame]:
    x, t = rng.uniform(-1, 1, units), rng.integers(0, 2, units).astype(float)
    y = np.sin(3 * x) + t * (1 + x) + rng.normal(0, 0.3, units)
    with pm.Model(coords={"unit": [0]}) as model:
        data = [pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t")]
        curves = []
        for name in ("f", "h"):
            length = pm.InverseGamma(f"length_{name}", 5, 3)
            height = pm.HalfNormal(f"height_{name}", 1.5)
            kernel = height**2 * pm.gp.cov.ExpQuad(1, ls=length)
            process = pm.gp.HSGP(m=[groups], L=[1.5], cov_func=kernel)
            basis, spectrum = process.prior_linearized(data[0][:, None])
            curves.append(basis @ (spectrum * pm.Normal(f"z_{name}", 0, 1, shape=groups)))
        mean = curves[0] + data[1] * curves[1]
        pm.Normal("y", mean, pm.HalfNormal("sigma", 1), dims="unit")
    return model, pd.DataFrame({"y": y, "x": x, "t": t})


CASES = {"slopes": _slopes, "crossed": _crossed, "curves": _curves}


def _told(fit: Any) -> dict[str, Any]:
    import arviz as az

    import bayescausal as bc

    row = bc.estimate(fit, bc.ATE("t", "y")).summary().iloc[0]
    found = az.summary(fit.posterior, kind="diagnostics", round_to="none")
    return {
        "mean": float(row["mean"]),
        "sd": float(row["sd"]),
        "mcse": float(row["mcse_mean"]),
        "ess": float(found["ess_bulk"].min()),
    }


def _work(case: str, units: int, groups: int, runs: int, method: str) -> dict[str, Any]:
    import bayescausal as bc

    model, data = CASES[case](np.random.default_rng(1), units, groups)
    return clocked(
        lambda: _told(bc.fit(model, data, seed=2, method=method, progressbar=False)),
        runs,
        processor,
    )


def ours(case: str, units: int, groups: int, runs: int) -> dict[str, Any]:
    """Fit with the coefficients integrated out, and ask for the average effect."""
    return _work(case, units, groups, runs, "auto")


def by_hand(case: str, units: int, groups: int, runs: int) -> dict[str, Any]:
    """Run the chain that nutpie runs for the model as it is written."""
    return _work(case, units, groups, runs, "nuts")


def slopes_beside(by: str, units: int, groups: int, runs: int) -> dict[str, Any]:
    """Fit group effects as an expert does with other tools, and read the effect off them.

    The average effect over the units is that of the groups, in proportion to their units.
    """
    _, data = _slopes(np.random.default_rng(1), units, groups)
    share = np.bincount(data["g"], minlength=groups) / units
    work = {"nutpie": _nutpie, "Bambi": _bambi, "MixedLM": _mixed}[by]
    return clocked(lambda: work(data, share), runs, processor)


def _read(effect: np.ndarray, posterior: Any) -> dict[str, Any]:
    """Return the answer of draws (chain, draw), and the least effective sample size."""
    import arviz as az

    error = effect.std() / np.sqrt(float(az.ess(effect)))
    least = az.summary(posterior, kind="diagnostics", round_to="none")["ess_bulk"].min()
    return {"mean": effect.mean(), "sd": effect.std(), "mcse": float(error), "ess": float(least)}


def _nutpie(data: pd.DataFrame, share: np.ndarray) -> dict[str, Any]:
    import nutpie

    x, t, where = (data[n].to_numpy() for n in "xtg")
    with pm.Model() as model:
        b, sd = pm.Normal("b", 0, 2, shape=2), pm.HalfNormal("sd", 1, shape=2)
        z = pm.Normal("z", 0, 1, shape=(len(share), 2))
        effect = b + sd * z
        mean = effect[where, 0] + effect[where, 1] * t + pm.Normal("c", 0, 2) * x
        pm.Normal("y", mean, pm.HalfNormal("sigma", 2), observed=data["y"].to_numpy())
    tree = nutpie.sample(
        nutpie.compile_pymc_model(model), draws=1_000, tune=1_000, chains=4, seed=2,
        progress_bar=False,
    )  # fmt: skip
    post = tree.posterior
    return _read(
        post["b"].values[..., 1] + post["sd"].values[..., 1] * (post["z"].values[..., 1] @ share),
        post,
    )


def _bambi(data: pd.DataFrame, share: np.ndarray) -> dict[str, Any]:
    import bambi as bmb

    model = bmb.Model("y ~ x + t + (1 + t | g)", data.assign(g=data["g"].astype("category")))
    tree = model.fit(draws=1_000, tune=1_000, chains=4, random_seed=2, progressbar=False)
    post = tree.posterior
    return _read(post["t"].values + post["t|g"].values @ share, post)


def _mixed(data: pd.DataFrame, share: np.ndarray) -> dict[str, Any]:
    import statsmodels.formula.api as smf

    found = smf.mixedlm("y ~ x + t", data, groups="g", re_formula="~t").fit()
    own = np.array([found.random_effects[g]["t"] for g in range(len(share))])
    mean = float(found.fe_params["t"] + own @ share)
    return {"mean": mean, "sd": float(found.bse_fe["t"]), "mcse": 0.0, "ess": float("nan")}


def run(quick: bool) -> list[Table]:
    """Return the table."""
    sizes = [("slopes", 2_000, 50), ("crossed", 2_000, 20), ("curves", 500, 15)]
    if not quick:
        sizes += [("slopes", 100_000, 50), ("slopes", 1_000_000, 50), ("slopes", 100_000, 5_000)]
        sizes += [("crossed", 100_000, 200), ("curves", 100_000, 15)]
    rows: list[tuple[Any, ...]] = []
    versions: dict[str, str] = {}
    for case, units, groups in sizes:
        size = {"case": case, "units": units, "groups": groups}
        mine = measure("hierarchies:ours", runs=2, **size)
        by = OTHERS if case == "slopes" else ("by hand",)
        if units > BY_HAND:
            others = [Measure(why="not run")] * len(by)
            if case == "slopes" and groups <= MIXED:
                others[-1] = _beside("MixedLM", size)
                if units <= MANY:
                    others[0] = _beside("nutpie", size, runs=1)
        elif case == "slopes":
            others = [_beside(name, size) for name in by]
        else:
            others = [measure("hierarchies:by_hand", runs=1, **size)]
        versions.update(mine.found["versions"] if mine.found else {})
        rows += beside((f"{case}, {groups:,}", f"{units:,}"), mine, *others, by=by)
        for row in rows[-1 - len(by) :]:
            print(*row, sep=" | ", flush=True)
    note = (
        "Fit and average effect; 4 chains of 1,000 draws; processor seconds of all threads. By "
        "hand: nutpie on the rows, the model as it is written, one cold run; of group effects, "
        "nutpie, Bambi and maximum likelihood (statsmodels), the effect read off coefficients, "
        "warm. ESS: of the worst unknown (finding it counts: 10,000 take most of the time of "
        "5,000 groups). Behind the case stands the "
        "number of groups (of the first of two groupings, the second has half as many), or of "
        "basis functions of each of two Gaussian processes. Ratio: of the cold run to our warm one."
    )
    columns = (
        "case", "units", "by", "cold, s", "warm, s", "peak, MB", "ESS", "answer", "ratio",
        "agreement",
    )  # fmt: skip
    return [Table("Coefficients integrated out", note, columns, rows, versions)]


def _beside(by: str, size: dict[str, Any], runs: int = 2) -> Measure:
    arguments = {k: v for k, v in size.items() if k != "case"}
    return measure("hierarchies:slopes_beside", by=by, runs=runs, **arguments)
