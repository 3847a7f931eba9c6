"""How fast questions about graphs are answered, against their targets.

The two graphs are those of Polzer et al. (14 nodes, dense) [1]_ and of Sebastiani et al. (36
nodes) [2]_.

.. [1] I. Polzer et al., "The association of tooth loss with all-cause and circulatory mortality",
   Clinical Oral Investigations 16, 2012.
.. [2] P. Sebastiani et al., "Genetic dissection and prognostic modeling of overt stroke in sickle
   cell anemia", Nature Genetics 37, 2005.
"""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING, Any

from bayescausal.graph import (
    adjustment_sets,
    build_graph,
    identify,
    implied_independences,
    layered_layout,
    parse_graph,
    roles,
)
from benchmarks.harness import Table, measure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["answers", "run", "sparse"]

POLZER = """
ToothLoss -> {Mortality}
Periodontitis -> {ToothLoss}
Caries -> {ToothLoss}
Diabetes -> {Mortality, Periodontitis, Hypertension, Lipids}
Obesity -> {Mortality, Periodontitis, Diabetes, Hypertension, Lipids}
Hypertension -> {Mortality}
Psychosocial -> {ToothLoss, Mortality, Periodontitis, Caries, Diabetes, Obesity, Hypertension,
Alcohol, Smoking, Sport, Lipids}
Age -> {ToothLoss, Mortality, Periodontitis, Caries, Diabetes, Obesity, Hypertension,
Psychosocial, Alcohol, Smoking, Sport, Lipids}
Sex -> {ToothLoss, Mortality, Periodontitis, Caries, Diabetes, Obesity, Hypertension,
Psychosocial, Alcohol, Smoking, Sport, Lipids}
Alcohol -> {ToothLoss, Mortality, Diabetes, Obesity, Hypertension, Smoking, Lipids}
Smoking -> {ToothLoss, Mortality, Periodontitis, Diabetes, Obesity, Hypertension, Sport}
Sport -> {Mortality, Periodontitis, Diabetes, Obesity, Hypertension, Lipids}
Lipids -> {Mortality}
"""

SEBASTIANI = """
SELP.17 -> SELP.22
ECE1.13 -> SELP.17
ECE1.12 -> ECE1.13
MET.6 -> SELP.12
CAT -> MET.5
CSF2.3 -> CSF2.4
TGFBR3.10 -> {TGFBR3.2, TGFBR3.9}
TGFBR3.2 -> TGFBR3.9
TGFBR3.8 -> {TGFBR3.2, TGFBR3.9}
EDN1.3 -> {ANXA2.12, EDNI1.7}
BMP6.13 -> {BMP6.12, BMP6.9}
EDN1.10 -> EDNI1.7
EDNI1.6 -> {EDN1.10, EDNI1.7}
ANXA2.8 -> {EDN1.3, CAT, ECE1.12, EDNI1.6, ADCY9.8, BMP6, ANXA2.13}
BMP6.11 -> BMP6.9
BMP6.10 -> {BMP6.11, BMP6.13}
BMP6 -> BMP6.10
ANXA2.13 -> ANXA2.11
MET.5 -> {MET.6, TGFBR3.7, SELP.14}
EDN1.9 -> {EDN1.10, BMP6.14, EDN1.3}
ANXA2.7 -> {ANXA2.11, ANXA2.5}
BMP6.14 -> BMP6.12
TGFBR3.7 -> {CSF2.3, TGFBR3.10}
ANXA2.12 -> {ANXA2.13, ANXA2.11, ANXA2.7, ANXA2.5}
Stroke -> {CSF2.4, TGFBR3.10, MET.6, SELP.12, SELP.22, ECE1.13, ECE1.12, BMP6.12, BMP6.13,
BMP6.11, ADCY9.8, BMP6.10, TGFBR3.8, MET.5, SELP.14}
"""


def sparse(n: int, seed: int, *, edges: float = 2.0, hidden: float = 0.3) -> Any:
    """Return a random graph of n nodes with so many edges of each kind per node."""
    rng = random.Random(seed)
    names = [f"v{i}" for i in range(n)]
    pairs = list(itertools.combinations(names, 2))
    directed = rng.sample(pairs, int(edges * n))
    return build_graph(names, directed, rng.sample(pairs, int(hidden * n)))


def answers(quick: bool) -> dict[str, Any]:
    """Return the best seconds of some runs, the target and the answer of each question."""
    polzer, sebastiani = parse_graph(POLZER), parse_graph(SEBASTIANI)
    found: list[tuple[str, float, float, str]] = []

    def timed(name: str, target: float, work: Callable[[], Any], repeats: int = 5) -> None:
        best, answer = float("inf"), None
        for _ in range(repeats):
            start = time.perf_counter()
            answer = work()
            best = min(best, time.perf_counter() - start)
        found.append((name, best, target, str(answer)))

    timed(
        "Polzer: all minimal adjustment sets",
        0.05,
        lambda: len(list(adjustment_sets(polzer, "ToothLoss", "Mortality"))),
    )
    timed(
        "Sebastiani: first minimal adjustment set",
        0.05,
        lambda: ", ".join(sorted(next(adjustment_sets(sebastiani, "EDN1.3", "EDNI1.7")))),
    )
    if not quick:
        timed(
            "Sebastiani: all implied independences",
            2.0,
            lambda: len(implied_independences(sebastiani)),
            repeats=2,
        )
        timed(
            "Sebastiani: roles of all nodes",
            2.0,
            lambda: len(roles(sebastiani, "EDN1.3", "EDNI1.7")),
        )
        for seed in range(3):
            graph = sparse(100, seed)
            timed(
                f"100 nodes, 200 edges, 30 bidirected (seed {seed}): identify",
                5.0,
                lambda graph=graph: identify(graph, "v20", "v80").sentence()[:60],
            )
    timed("25 nodes: layout", 0.1, lambda: layered_layout(sparse(25, 1)).size)
    return {"rows": found}


def run(quick: bool) -> list[Table]:
    """Return the table."""
    m = measure("graph:answers", quick=quick)
    rows: list[tuple[Any, ...]] = [(m.why, "", "", "", "")] if m.why else []
    for name, best, target, answer in m.found.get("rows", ()):
        told = answer.replace("|", "\\|")
        rows.append((name, f"{best:.4f}", target, "yes" if best <= target else "no", told))
    note = "Best of up to five runs in one process, of graphs as long as they are in use."
    columns = ("question", "seconds", "target", "reached", "answer")
    return [Table("Questions about graphs", note, columns, rows, m.found.get("versions", {}))]
