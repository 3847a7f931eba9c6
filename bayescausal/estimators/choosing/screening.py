r"""Which covariates to adjust for: the graph says what may, the data what is worth it.

From data alone no confounder can be told from a consequence, an instrument or a collider. So the
graph decides first. All measured causes of treatment or outcome that the treatment does not change
serve, if any set does [1]_. Of these a variable is left out, and named, that tells nothing of the
outcome beside the others and the treatment: an *instrument*, which widens the interval and makes
the bias of what is left unmeasured larger [2]_. The data decide among sets that all serve: a
variable goes if the graph does not need it and a test finds nothing of it in the outcome; the
question is then precision alone, never bias.

What the graph needs stays, whatever the test says: a weak association is no proof of none.

References
----------
.. [1] B. van der Zander, M. Liskiewicz and J. Textor, "Separators and adjustment sets in causal
   graphs: complete criteria and an algorithmic framework", Artificial Intelligence 270 (2019),
   1-40.
.. [2] J. A. Myers et al., "Effects of adjusting for instrumental variables on bias and precision of
   effect estimates", American Journal of Epidemiology 174 (2011), 1213-1222.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from bayescausal.effects.words.intervention import listed
from bayescausal.estimators.problem.adjustment import check_adjustment, instruments_among, is_served
from bayescausal.estimators.problem.encoding import encode, refuse_holes
from bayescausal.estimators.problem.reading import read_problem
from bayescausal.graph.structure.roles import roles
from bayescausal.types import EstimandError, IdentificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.estimators.problem.problem import Problem
    from bayescausal.inference.record import Fit

__all__ = ["Screening", "screen"]


@dataclass(frozen=True, eq=False)
class Screening:
    """What to adjust for, and why. Made by :func:`bayescausal.estimators.screen`.

    Examples
    --------
    >>> import pandas as pd
    >>> Screening((), pd.DataFrame({"kept": [], "why": []})).sentence()
    'Adjust for nothing.'
    """

    adjust: tuple[str, ...]  # the variables, for ``adjust=`` of :func:`bayescausal.triangulate`
    # One row a measured variable: its ``role`` in the graph, whether it was ``kept``, the p-values
    # of its association with the treatment and with the outcome given the others (``p_treatment``,
    # ``p_outcome``), and ``why``.
    table: pd.DataFrame

    def sentence(self) -> str:
        """Say what to adjust for, and why the others are left out."""
        out = self.table[~self.table["kept"].astype(bool)]
        said = f"Adjust for {listed(list(self.adjust)) if self.adjust else 'nothing'}."
        told = [f"{n}: {why}" for n, why in out["why"].items()]
        told += [
            f"{n}: {why}" for n, why in self.table["why"].items()
            if n in self.adjust and why.startswith("an instrument")
        ]  # fmt: skip
        return said + (f" {'; '.join(told)}." if told else "")

    def __str__(self) -> str:
        return self.sentence()


def screen(
    given: Fit | GraphLike,
    estimand: Estimand,
    *,
    data: Data | None = None,
    keep: str | Iterable[str] = (),
    level: float = 0.1,
) -> Screening:
    """Choose covariates to adjust for, among the sets that the graph allows.

    Parameters
    ----------
    given : Fit, or a graph in any form
    estimand : Estimand
    data : DataFrame or mapping, optional
        The data, where a graph is given.
    keep : str or iterable of str
        What stays in any case; checked against the graph. An instrument is kept and said to be one.
    level : float
        A variable that the graph does not need goes if its p-value for the outcome is above this.

    Returns
    -------
    Screening

    Raises
    ------
    IdentificationError
        If no measured set serves, or `keep` does not.
    EstimandError
        If the question is not one that estimators answer, or `level` is none.
    DataError
        If columns have empty cells, or nobody is at one of two levels that have labels.

    References
    ----------
    B. van der Zander, M. Liskiewicz and J. Textor, "Separators and adjustment sets in causal
    graphs", Artificial Intelligence 270 (2019), 1-40.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> z, w, p = rng.normal(size=(3, 400))
    >>> x = rng.binomial(1, 1 / (1 + np.exp(-z - w)))
    >>> data = {"z": z, "w": w, "p": p, "x": x, "y": x + z + p + rng.normal(size=400)}
    >>> found = bc.estimators.screen("w -> x -> y; x <- z -> y <- p", bc.ATE("x", "y"), data=data)
    >>> found.adjust, found.table.loc["w", "role"]
    (('p', 'z'), 'instrument')
    """
    if not 0 <= level <= 1:
        raise EstimandError(f"level={level!r}.", expected="a number between 0 and 1.")
    problem = _compared(read_problem(given, estimand, data=data))
    if problem.adjust is None:
        raise IdentificationError(f"No set of measured variables serves: {problem.refused}")
    decided = problem.identification
    query = decided.question
    held = tuple(n for n in query.given if n not in (*query.treatment, *query.outcome))
    kept = tuple(dict.fromkeys([keep] if isinstance(keep, str) else keep))
    ends = (*query.treatment, *query.outcome)
    names = [n for n in query.admg.names if n not in (*ends, *held) and n in problem.table]
    role = roles(query.graph, query.treatment, query.outcome, observed=query.admg.names)
    after = query.admg.named(query.admg.descendants(query.x))
    why = {
        n: "the treatment changes it"
        if n in after
        else role[n].sentence.partition(": ")[2].rstrip(".") or "unrelated"
        for n in names
    }
    causes = query.admg.named(query.admg.ancestors(query.x | query.y))
    start = [n for n in names if n in causes and n not in after]
    start += [n for n in kept if n not in start and n not in held]
    if not is_served(decided, start) and not {*kept} - {*names}:
        start = sorted({*problem.adjust, *kept} - {*held})
    check_adjustment(decided, start)
    chosen = list(start)
    for name in instruments_among(decided, chosen):
        why[name] = "an instrument: it tells of the treatment alone, widens the interval and " \
                    "makes what is unmeasured weigh more"  # fmt: skip
        if name not in kept:
            chosen.remove(name)
    p = _associations(problem, start)
    while True:
        left = _associations(problem, chosen)
        weak = {str(n): float(v) for n, v in left["p_outcome"].items() if float(v) > level}
        able = [
            n for n in weak if n not in kept and is_served(decided, [m for m in chosen if m != n])
        ]
        if not able:
            break
        worst = max(able, key=weak.__getitem__)
        chosen.remove(worst)
        why[worst] = "the graph does not need it, and the data show nothing of it in the outcome"
    p.update(left)
    for name in chosen:
        if not is_served(decided, [m for m in chosen if m != name]):
            why[name] = "the graph needs it"
        elif name not in kept:
            why[name] = "the graph does not need it; it tells of the outcome, so it adds precision"
        elif not why[name].startswith("an instrument"):
            why[name] = "kept as asked"
    table = pd.DataFrame(
        {
            "role": [", ".join(role[n].roles) for n in names],
            "kept": [n in chosen for n in names],
            "why": [why[n] for n in names],
        },
        index=pd.Index(names, name="variable"),
    ).join(p)
    return Screening(tuple(sorted(chosen)), table)


# ------------------------------------------------------------------------------- private


def _compared(problem: Problem) -> Problem:
    """Return the units at the two levels that are compared, where the treatment has labels."""
    if problem.dose is not None:
        return problem
    problem.refuse_arms()
    return problem.two_arms


def _associations(problem: Problem, names: Sequence[str]) -> pd.DataFrame:
    """Return p-values of each variable for treatment and outcome, given the others (F tests)."""
    x, columns, origin = encode({n: problem.table[n] for n in names})
    refuse_holes(x, columns, "screening") if names else None
    x = x if names else np.empty((problem.n, 0))
    size = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    base = np.column_stack([np.ones(problem.n), (x - x.mean(axis=0)) / size])
    treated = problem.treated.astype(float) if problem.dose is None else problem.dose
    with_x = np.column_stack([base, treated])
    rows = {}
    for name in names:
        own = 1 + np.flatnonzero(np.asarray(origin) == name)
        rows[name] = {
            "p_treatment": _f_test(base, treated, own),
            "p_outcome": _f_test(with_x, problem.y, own),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["p_treatment", "p_outcome"])


def _f_test(design: np.ndarray, y: np.ndarray, columns: np.ndarray) -> float:
    """Return the p-value of some columns of a regression."""
    sums, ranks = [], []
    for part in (design, np.delete(design, columns, axis=1)):
        beta, _, rank, _ = np.linalg.lstsq(part, y, rcond=None)
        sums.append(float(((y - part @ beta) ** 2).sum()))
        ranks.append(int(rank))
    more, left = ranks[0] - ranks[1], len(y) - ranks[0]
    if more < 1 or left < 1 or sums[0] <= 0:
        return 1.0 if more < 1 or left < 1 else 0.0
    return float(fdtrc(more, left, max(sums[1] - sums[0], 0.0) / more / (sums[0] / left)))
