r"""When a refutation fails: one rule for all.

With R refits, standardised shifts :math:`z_r` (what was found less what was
expected, in units of what chance allows, see :mod:`~bayescausal.checks.refutation.refutation`) give

.. math:: p = P(\chi^2_R \ge \textstyle\sum_r z_r^2)

(for clusters, the largest shift, times their number). Of m refutations one *fails* if
:math:`m p` is at most the level (0.05), and is *borderline* if it is at most four times the level.
With so many looks that happens to one right model in seven, so a borderline refutation whose
refits differ by chance is made again, with three times as many new refits, and those alone decide:
it *warns* if they are borderline too. A right model then fails in at most about 6% of studies
(0.05 + 0.15 x 0.05) and is warned of in about 2%. The rates rest on posteriors that are nearly
normal; few units or strong priors make them rougher. A refutation of which more refits failed than
were made decides nothing, unless those that were made fail it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from bayescausal.checks.refutation.refutations import REFUTATIONS
from bayescausal.draws.digits import significant, three

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.checks.refutation.refits import Trial


__all__ = ["finding", "table_of"]


def table_of(trials: Sequence[Trial], sd: float, level: float) -> pd.DataFrame:
    """Apply the rule to every trial."""
    rows = {}
    tried = sum(bool(t.found) for t in trials)
    for trial in trials:
        refutation = REFUTATIONS[trial.name]
        row: dict[str, Any] = {
            "verdict": "undecided",
            "passing": refutation.passing,
            "failing": refutation.failing,
        }
        if trial.found:
            off = np.subtract(trial.found, trial.expected)
            chance = np.asarray(trial.allowed)
            z = off / chance
            border = min(1.0, 4 * level / tried)  # the p-value below which a refutation is said
            if refutation.by_largest:
                many, worst = 2 * len(z), int(np.abs(z).argmax())
                p = min(1.0, many * float(stats.norm.sf(np.abs(z).max())))
                off, z, chance = off[[worst]], z[[worst]], chance[[worst]]
                most = float(stats.norm.isf(border / many))
            else:
                p = float(stats.chi2.sf((z**2).sum(), len(z)))
                most = float(np.sqrt(stats.chi2.isf(border, len(z)) / len(z)))
            verdict = "fail" if p * tried <= level else "warn" if p * tried <= 4 * level else "pass"
            if verdict != "fail" and len(trial.failed) > len(trial.found):
                verdict = "undecided"
            shift, size = (float(np.sqrt(np.square(v).mean())) for v in (off, z))
            unit = shift / size if size > 0 else float(np.sqrt(np.square(chance).mean()))
            row |= {
                "expected": float(np.mean(trial.expected)),
                "found": float(np.mean(trial.found)),
                "shift": shift / sd,
                "allowed": most * unit / sd,
                "refits": len(trial.found),
                "p_value": p,
                "verdict": verdict,
            }
        rows[refutation.title] = row
    columns = ["expected", "found", "shift", "allowed", "refits", "p_value", "verdict"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[*columns, "passing", "failing"])
    table["refits"] = pd.to_numeric(table["refits"]).fillna(0).astype(int)
    table.index.name = "refutation"
    return table


def finding(table: pd.DataFrame, tried: pd.DataFrame, trials: Sequence[Trial], lost: int) -> str:
    """Say which refutation tests failed, and how many could not be decided."""
    open_ones = f" Of {lost} more, most refits failed." if lost else ""
    if not len(tried):
        return "No refutation could be tried."
    bad = tried[tried["verdict"] != "pass"].sort_values("p_value", kind="stable")
    if not len(bad):
        passed = f"All {len(tried)} refutation tests" if len(tried) > 1 else "The refutation test"
        return f"{passed} passed.{open_ones}"
    by_title = {REFUTATIONS[trial.name].title: trial for trial in trials}
    said = []
    for title, row in bad.iterrows():
        trial = by_title[str(title)]
        if REFUTATIONS[trial.name].by_largest:
            z = np.subtract(trial.found, trial.expected) / np.asarray(trial.allowed)
            at = int(np.abs(z).argmax())
            text = (
                f"without {trial.labels[at]} the effect is {three(trial.found[at])} "
                f"instead of {three(trial.expected[at])}"
            )
        else:
            text = (
                f"{three(row['found'])} where {three(row['expected'])} was expected, "
                f"p = {significant(row['p_value'], 2)}"
            )
        said.append(f"{title} ({text}): {row['failing']}")
    return f"{len(bad)} of {len(tried)} refutation tests failed: {'; '.join(said)}.{open_ones}"
