"""The record of a falsification: the tests, the comparison, the words.

Four verdicts, from what the data say of the claims and from how many graphs of the same shape do as
well:

================  =================================================================================
untestable        the graph claims no independence among what is measured
not refuted       no claim fails; that does not confirm it
refuted in part   a claim fails, but the graph does better than all but a few permuted ones: it
                  knows something, and misses something
refuted           a claim fails, and it does no better than graphs with the names exchanged (or was
                  not compared)
================  =================================================================================
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bayescausal.draws.digits import three

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    import pandas as pd

__all__ = ["Falsification", "Verdict"]

Verdict = Literal["untestable", "not refuted", "refuted in part", "refuted"]

#: What `Falsification.summary` shows.
SHOWN = [
    "test",
    "rows",
    "effect",
    "effect_lb",
    "effect_ub",
    "p_value",
    "q_value",
    "refuted",
    "note",
]

#: A graph that fewer permuted graphs than this equal does better than chance.
FEW = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class Falsification:
    """What data say about the independences that a graph implies.

    Parameters
    ----------
    tests : DataFrame
        One row per claim: ``claim``, ``left``, ``right``, ``given``, ``test``, ``rows``,
        ``effect`` with its 94% interval (``effect_lb``, ``effect_ub``), ``statistic``, ``df``,
        ``p_value``, ``q_value`` (adjusted), ``refuted`` and ``note``.
    level : float
        The share of false refutations that is accepted.
    correction : str
        How the p-values were adjusted.
    as_bad : float
        The share of permuted graphs that violate no more claims; NaN if none was tried.
    same_claims : float
        The share of permuted graphs whose claims this graph makes too.
    permuted : int
        How many permuted graphs were tried.
    permuted_violations : ndarray of int
        How many claims each of them violates, without adjustment.
    suggestions : DataFrame
        Edges that would repair it: ``edge``, ``refuted`` (how many claims then fail), ``claims``
        (how many are made) and ``still_refuted``.
    graph : networkx.DiGraph
        The graph.
    unmeasured : tuple of str
        Variables of the model that the data have no column for: taken as latent.
    rows : int
        How many rows the data have.
    seed : int or None
        The seed of the permutations.
    """

    tests: pd.DataFrame
    level: float
    correction: str
    as_bad: float
    same_claims: float
    permuted: int
    permuted_violations: np.ndarray
    suggestions: pd.DataFrame
    graph: nx.DiGraph[str]
    unmeasured: tuple[str, ...]
    rows: int
    seed: int | None

    @property
    def refuted(self) -> bool:
        """Whether the data refute any claim of the graph."""
        return bool(self.tests["refuted"].any())

    @property
    def violations(self) -> int:
        """How many claims have a p-value below the level, without adjustment."""
        return int((self.tests["p_value"] <= self.level).sum())

    @property
    def verdict(self) -> Verdict:
        """The verdict: untestable, not refuted, refuted in part, or refuted."""
        if self.tests["p_value"].isna().all():
            return "untestable"
        if not self.refuted:
            return "not refuted"
        return "refuted in part" if self.as_bad <= FEW else "refuted"

    def summary(self) -> pd.DataFrame:
        """Return the tests, most doubtful claim first.

        Returns
        -------
        DataFrame
            One row per claim, which is the index.
        """
        table = self.tests.sort_values("p_value", kind="stable", na_position="last")
        return table.set_index("claim")[SHOWN]

    def sentence(self) -> str:
        """Return the verdict in words."""
        parts = [self._verdict()]
        untested = self.tests[self.tests["p_value"].isna()]
        if len(untested) and self.verdict != "untestable":
            why = untested.iloc[0]
            parts.append(f"{len(untested)} not tested ({why['claim']}: {why['note']}).")
        if self.unmeasured:
            parts.append(f"Taken as unmeasured: {', '.join(self.unmeasured)}.")
        if self.permuted:
            parts.append(self._comparison())
        if len(self.suggestions):
            parts.append(self._repair())
        return " ".join(parts)

    def __str__(self) -> str:
        return self.sentence()

    def __repr__(self) -> str:
        if not len(self.tests):
            return self.sentence()
        table = self.summary().drop(columns=["note"])
        text = table.head(20).to_string(float_format=three)
        more = f"\n... and {len(table) - 20} more" if len(table) > 20 else ""
        return f"{self.sentence()}\n{text}{more}"

    def _repr_html_(self) -> str:
        table = self.summary().head(20).to_html(float_format=three, border=0)
        return f"<p>{html.escape(self.sentence())}</p>{table}"

    def _verdict(self) -> str:
        tested = int(self.tests["p_value"].notna().sum())
        if not len(self.tests):
            return (
                "Untestable: the graph implies no independence among the measured variables, so "
                "no data could refute it."
            )
        if not tested:
            why = self.tests.iloc[0]
            return f"Untestable: no implied independence could be tested ({why['note']})."
        of = f"{tested} implied independence{'s' if tested > 1 else ''}"
        if not self.refuted:
            return f"Not refuted: {of} tested, none fails at level {self.level:g}."
        failed = self.tests[self.tests["refuted"]].sort_values("p_value", kind="stable")["claim"]
        shown = "; ".join(failed[:3]) + (f"; and {len(failed) - 3} more" if len(failed) > 3 else "")
        word = self.verdict.capitalize()
        fail = "fails" if len(failed) == 1 else "fail"
        return f"{word}: {len(failed)} of {tested} implied independences {fail} ({shown})."

    def _comparison(self) -> str:
        if self.same_claims > 0.5:
            return (
                f"{self.same_claims:.0%} of {self.permuted} permuted graphs make the same claims, "
                "so the comparison with them says little."
            )
        if self.as_bad <= FEW:
            return f"It does better than {1 - self.as_bad:.0%} of {self.permuted} permuted graphs."
        return f"It does no better than {self.as_bad:.0%} of {self.permuted} permuted graphs."

    def _repair(self) -> str:
        best = self.suggestions[self.suggestions["refuted"] == self.suggestions["refuted"].min()]
        edges = list(best["edge"])
        left = int(best.iloc[0]["refuted"])
        if left >= int(self.tests["refuted"].sum()):
            return "No single edge would repair it."
        leaves = "nothing" if not left else f"{left} claim{'s' if left > 1 else ''}"
        empty = "" if int(best.iloc[0]["claims"]) else ", and nothing to test"
        others = f"; so would {', '.join(edges[1:4])}" if len(edges) > 1 else ""
        return f"Adding {edges[0]} would leave {leaves} refuted{empty}{others}."
