"""How the cost of a fit and of an answer grows: rows, draws, nodes, mediators in a row."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.harness import Table, clocked, measure, number
from benchmarks.models import MODELS, chain_of

__all__ = ["answer", "run", "shape"]


def answer(case: str, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Fit and ask; the answer's share of the time apart."""
    import bayescausal as bc

    named = MODELS[case]
    data = named.data(np.random.default_rng(1), units)
    model = named.model(1)
    asked: list[float] = []

    def work() -> dict[str, Any]:
        fit = bc.fit(model, data, draws=draws // 4, chains=4, seed=2, progressbar=False)
        start = perf_counter()
        effect = bc.estimate(fit, bc.ATE(named.treatment, named.outcome))
        asked.append(perf_counter() - start)
        return _told(effect)

    return {**clocked(work, runs), "asked": float(np.median(asked[1:] or asked))}


def shape(nodes: int, binary: int, units: int, draws: int, runs: int) -> dict[str, Any]:
    """Ask a chain of nodes, with known parameters that vary a little, for a total effect."""
    import bayescausal as bc

    model, truth = chain_of(nodes, binary=binary)
    data = bc.simulate(model, truth, units=units, seed=1)
    rng = np.random.default_rng(2)
    posterior = {k: v + 0.01 * rng.normal(size=(4, draws // 4)) for k, v in truth.items()}

    def work() -> dict[str, Any]:
        start = perf_counter()
        bc.graph_of(model)
        seen = perf_counter() - start
        effect = bc.estimate(bc.Fit(model, posterior, data), bc.ATE("v1", f"v{nodes - 1}"))
        return {**_told(effect), "graph": seen}

    found = clocked(work, runs)
    return {**found, "asked": found["warm"]}


def _told(effect: Any) -> dict[str, Any]:
    row = effect.summary().iloc[0]
    return {
        "mean": float(row["mean"]), "mcse": float(row["mcse_mean"]), "ess": float(row["ess_bulk"]),
        "error": float(np.max(np.asarray(effect.mc_error))),
    }  # fmt: skip


def run(quick: bool) -> list[Table]:
    """Return the table."""
    runs = 2 if quick else 3
    rows: list[tuple[Any, ...]] = []
    versions: dict[str, str] = {}

    def add(label: str, task: str, **arguments: Any) -> None:
        m = measure(task, runs=runs, **arguments)
        if not m.found:
            rows.append((label, f"not run: {m.why}", "", "", "", "", "", ""))
            return
        f = m.found
        versions.update(f["versions"])
        rows.append((
            label, number(f["cold"]), number(f["warm"]), number(f["asked"]), f"{f['peak']:,.0f}",
            f"{f['ess']:,.0f}", f"{f['mean']:.4f} ± {f['mcse']:.1g}", f"{f['error']:.1g}",
        ))  # fmt: skip

    for case in ("linear",) if quick else ("linear", "discrete"):
        for units in (1_000,) if quick else (1_000, 10_000, 100_000, 1_000_000):
            size = {"case": case, "units": units, "draws": 4000}
            add(f"rows: {case}, {units:,} units", "growth:answer", **size)
    case, units = ("linear", 1_000) if quick else ("mixed", 10_000)
    for draws in (400,) if quick else (1_000, 4_000, 16_000):
        size = {"case": case, "units": units, "draws": draws}
        add(f"draws: {case}, {units:,} units, {draws:,} draws", "growth:answer", **size)
    for nodes in (3,) if quick else (3, 10, 25, 50):
        add(f"nodes: {nodes}, 1,000 units", "growth:shape", nodes=nodes, binary=0, units=1_000,
            draws=4000)  # fmt: skip
    for count in (1,) if quick else (1, 2, 4, 8):
        add(f"two-valued mediators in a row: {count}, 1,000 units", "growth:shape",
            nodes=count + 3, binary=count, units=1_000, draws=4000)  # fmt: skip
    note = (
        "Rows and draws: fit and average effect (4,000 draws unless said), and of it the question "
        "alone. Nodes and mediators: the question alone, of a given posterior; a chain with a "
        "common cause. The last column is the Monte Carlo error of one draw's answer, 0 where it "
        "is exact."
    )
    columns = ("what", "cold, s", "warm, s", "question, s", "peak, MB", "ESS", "answer", "MC error")
    return [Table("How the cost grows", note, columns, rows, versions)]
