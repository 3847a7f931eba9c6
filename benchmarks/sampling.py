"""Interventional and counterfactual samples of a linear model: ours, DoWhy's gcm, pathmc."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks.harness import Measure, Table, clocked, measure, number
from benchmarks.models import MODELS

__all__ = ["gcm", "ours", "pathmc", "run"]

TRUTH = {"a0": 0.2, "a1": 0.8, "s": 1.0, "b0": 1.0, "b1": 0.5, "b2": -0.7, "t": 0.5}
#: Units that pathmc is asked about one by one.
ASKED = 5


def _data(units: int) -> dict[str, np.ndarray]:
    return MODELS["linear"].data(np.random.default_rng(1), units)


def _told(values: np.ndarray, ess: float | None = None) -> dict[str, float]:
    count = ess or values.size
    sd = float(values.std(ddof=1))
    return {"mean": float(values.mean()), "mcse": sd / count**0.5, "ess": float(count)}


def ours(what: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Sample all units in each posterior draw; the time is of one draw."""
    import bayescausal as bc

    model = MODELS["linear"].model(1)
    fit = bc.fit(model, _data(units), draws=draws, chains=1, seed=2, progressbar=False)

    def work() -> dict[str, Any]:
        if what == "do":
            found = bc.worlds(fit, {"w": {"x": 1.0}}, variables="y", kind="draw")["y"]
        else:
            found = bc.counterfactual(fit, {"x": 1.0}, variables="y")["y"]
            found = found.sel(world="counterfactual")
        per_draw = found.mean("unit").to_numpy().reshape(-1)
        return _told(per_draw)

    return {**_per(clocked(work, runs), draws), "units": units}


def gcm(what: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Sample all units once: gcm has one fitted model in the place of a posterior."""
    import networkx as nx
    import pandas as pd
    from dowhy import gcm as module

    warnings.simplefilter("ignore")
    module.config.disable_progress_bars()
    table = pd.DataFrame(_data(units))
    graph = nx.DiGraph([("z", "x"), ("z", "y"), ("x", "y")])
    model = module.InvertibleStructuralCausalModel(graph)
    model.set_causal_mechanism("z", module.EmpiricalDistribution())
    for name in ("x", "y"):
        linear = module.AdditiveNoiseModel(module.ml.create_linear_regressor())
        model.set_causal_mechanism(name, linear)
    module.fit(model, table)

    def work() -> dict[str, Any]:
        if what == "do":
            found = module.interventional_samples(
                model, {"x": lambda x: 1.0}, num_samples_to_draw=units
            )
        else:
            found = module.counterfactual_samples(model, {"x": lambda x: 1.0}, observed_data=table)
        return _told(found["y"].to_numpy())

    return clocked(work, runs)


def pathmc(what: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Sample by pathmc: all units for an intervention, one unit at a time for a counterfactual."""
    import pandas as pd
    import pathmc as package

    warnings.simplefilter("ignore")
    data = _data(units)
    model = package.model("x ~ z\ny ~ x + z", pd.DataFrame(data))
    options = {"draws": draws, "chains": 1, "random_seed": 2, "progressbar": False}
    model.fit(compute_log_likelihood=False, **options)

    def work() -> dict[str, Any]:
        if what == "do":
            result = model.do(set={"x": 1.0}, kind="predictive")
            return _told(np.asarray(result.draws("y")).reshape(-1), ess=draws)
        means = []
        for i in range(ASKED):
            unit = {k: float(v[i]) for k, v in data.items()}
            result = model.counterfactual(evidence=unit, do={"x": 1.0})
            means.append(np.asarray(result.draws("y")).mean())
        return _told(np.asarray(means))

    found = _per(clocked(work, runs), draws)
    if what == "do":
        return found
    return {**found, **{k: found[k] / ASKED * units for k in ("cold", "warm")}}


def _per(found: dict[str, Any], draws: int) -> dict[str, Any]:
    return {**found, "cold": found["cold"] / draws, "warm": found["warm"] / draws}


def run(quick: bool, python: str | None) -> list[Table]:
    """Return the tables of both kinds of sample."""
    units, draws, runs = (2_000, 10, 2) if quick else (100_000, 40, 4)
    tables = []
    for what, words in (("do", "Interventional samples"), ("unit", "Counterfactuals")):
        mine = measure("sampling:ours", what=what, units=units, draws=draws, runs=runs)
        rows = [_row("bayescausal", units, mine, mine)]
        versions = dict(mine.found.get("versions", {}))
        for name, size in (("gcm", units), ("pathmc", 1_000 if quick else 10_000)):
            other = measure(
                f"sampling:{name}", python, what=what, units=size, draws=draws, runs=runs
            )
            rows.append(_row(f"{'DoWhy ' if name == 'gcm' else ''}{name}", size, other, mine))
            found = other.found.get("versions", {})
            alone = "dowhy" if name == "gcm" else name
            versions.update({k: v for k, v in found.items() if k == alone})
        note = (
            f"y in the world `do(x = 1)`, z -> x -> y and z -> y all linear and Gaussian"
            f"{', each unit keeping its own noise' if what == 'unit' else ''}. Seconds are of one "
            f"pass over all units: ours and pathmc's of one posterior draw ({draws} are taken in "
            "one call and the time divided), gcm's of its one fitted model. Fitting is outside "
            "the clock. "
        )
        if what == "unit":
            note += (
                f"pathmc takes one unit at a time: {ASKED} units are measured, its mean is theirs, "
                "and the time is scaled to all."
            )
        columns = (
            "by", "units", "cold, s", "warm, s", "per 1,000 units, ms", "peak, MB", "mean of y",
            "times ours",
        )  # fmt: skip
        tables.append(Table(words, note, columns, rows, versions))
    return tables


def _row(name: str, units: int, m: Measure, mine: Measure) -> tuple[Any, ...]:
    if not m.found:
        return (name, f"{units:,}", f"not run: {m.why}", "", "", "", "", "")
    f = m.found
    each = f["warm"] / units * 1e6
    ratio = ""
    if mine.found:
        own = mine.found["warm"] / mine.found["units"]
        ratio = f"{(f['warm'] / units) / own:.1f}"
    return (
        name, f"{units:,}", number(f["cold"]), number(f["warm"]), f"{each:.3f}",
        f"{f['peak']:,.0f}", f"{f['mean']:.4f} ± {f['mcse']:.1g}", ratio,
    )  # fmt: skip
