r"""Whom to treat: rules that maximise posterior expected outcome, their value and their regret.

A rule :math:`\pi(x) \in \{0, 1\}` gains, over treating nobody,

.. math:: V(\pi) = \frac1n \sum_i \pi(x_i)\, \{\tau(x_i) - c\},

with :math:`c` the cost of treating one unit. Under the posterior the best rule without limits is
:math:`\pi(x) = 1\{E[\tau(x)] > c\}` [1]_; under a budget, the share with the largest
:math:`E[\tau(x)] - c`. Rules of a simple form, a threshold of one covariate or a tree of depth 2,
are found by maximising :math:`E[V]` over all of them [2]_. The *regret* of a rule is what the best
rule with :math:`\tau` known would gain beyond it; its expectation is the expected value of perfect
information on :math:`\tau` [3]_: no study of these units is worth more.

The benefit curve is :math:`V` of treating the share :math:`q` with the largest :math:`E[\tau(x)]`,
before costs (the Qini curve, of which the area beyond random assignment is a summary [4]_).

When it fails: a rule is no better than the equations and the adjustment that :math:`\tau` rests on;
the value of a rule found on these units is that on these units.

References
----------
.. [1] C. F. Manski, Statistical treatment rules for heterogeneous populations, *Econometrica*
   72(4), 2004.
.. [2] S. Athey and S. Wager, Policy learning with observational data, *Econometrica* 89(1), 2021.
.. [3] H. Raiffa and R. Schlaifer, *Applied Statistical Decision Theory*, Harvard, 1961.
.. [4] N. J. Radcliffe, Using control groups to target on predicted lift, *Direct Marketing
   Analytics Journal* 1, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.conditional_effects.pictures import draw_benefit
from bayescausal.conditional_effects.summaries import (
    OPPOSITE,
    Leaf,
    averages,
    described,
    thresholds,
)
from bayescausal.conditional_effects.unit_effects import unit_effects
from bayescausal.draws.digits import significant
from bayescausal.draws.intervals import check_prob
from bayescausal.types import BayesCausalError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from bayescausal.annotations import Array
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = ["TreatmentRule", "policy"]


@dataclass(frozen=True, eq=False)
class TreatmentRule:
    """A rule of whom to treat, and what it gains. Made by :func:`policy`.

    Attributes
    ----------
    estimand : Estimand
        The effect that is gained from treating.
    rule : str
        Its form: ``"score"``, ``"threshold"`` or ``"tree"``.
    treat : Series of bool
        Of each unit.
    words : str
        The rule in words.
    share : float
        Of the units that it treats.
    table : DataFrame
        The rule, the other forms, treating all and nobody: share treated, value (gain per unit
        over nobody, after costs) and regret, with intervals.
    information : float
        Expected value, per unit, of knowing every unit's effect.
    benefit : DataFrame
        Gain per unit, before costs, of treating a share of the units, by predicted effect.
    cost, budget : float, float or None
    notes : tuple of str
    """

    estimand: Estimand
    rule: str
    treat: pd.Series
    words: str
    share: float
    table: pd.DataFrame
    information: float
    benefit: pd.DataFrame
    cost: float
    budget: float | None
    notes: tuple[str, ...]

    def sentence(self) -> str:
        """Return the rule and what it gains, in words."""
        row = {str(k): float(v) for k, v in self.table.loc[self.rule].items()}  # type: ignore[arg-type]
        low, high = (v for k, v in row.items() if k.startswith("value hdi"))
        everyone = float(self.table["value mean"]["treat all"])
        value = row["value mean"]
        return (
            f"Treat {self.words}: {100 * self.share:.0f}% of the {len(self.treat):,} units. Gain "
            f"per unit over treating nobody {significant(value, 3)} ({significant(low, 3)} to "
            f"{significant(high, 3)}), over treating all {significant(value - everyone, 3)}. "
            f"Knowing every unit's effect would be worth {significant(self.information, 2)} more."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the benefit curve."""
        return draw_benefit(self, ax)

    def __repr__(self) -> str:
        return f"TreatmentRule({self.sentence()})"


def policy(
    fit: Fit,
    estimand: Estimand,
    *,
    cost: float = 0.0,
    budget: float | None = None,
    rule: str = "score",
    covariates: Sequence[str] | None = None,
    maximise: bool = True,
    prob: float = 0.94,
    seed: int | None = None,
) -> TreatmentRule:
    """Return whom to treat: the rule that maximises the posterior expected outcome.

    Parameters
    ----------
    fit : Fit
    estimand : Estimand
        A difference of means or probabilities, such as ``bc.ATE("t", "y")``.
    cost : float
        Of treating one unit, in the outcome's units.
    budget : float, optional
        The share of the units that may be treated, from 0 to 1.
    rule : {"score", "threshold", "tree"}
        Each unit by its own expected effect, a threshold of one covariate, or a tree of depth 2.
    covariates : sequence of str, optional
        That thresholds and trees may read. Default: the observed causes of the outcome that the
        treatment does not change.
    maximise : bool
        False where a smaller outcome is better.
    prob : float
        Of the intervals.
    seed : int, optional

    Returns
    -------
    TreatmentRule

    Raises
    ------
    BayesCausalError, EstimandError, DataError
        If an option is not known, or the question is no difference of expectations.

    References
    ----------
    C. F. Manski, "Statistical treatment rules for heterogeneous populations", Econometrica 72(4),
    2004.

    Examples
    --------
    >>> import numpy as np, pandas as pd, bayescausal as bc
    >>> x = np.arange(40) / 10
    >>> data = pd.DataFrame({"x": x, "t": np.arange(40) % 2})
    >>> data["y"] = x + data["t"] * (x - 2) + np.sin(7 * x) / 5
    >>> model = bc.model_from_formulas(["y ~ t * x"], data=data)
    >>> fit = bc.fit(model, data, seed=1, draws=200, progressbar=False)
    >>> bc.policy(fit, bc.ATE("t", "y"), rule="threshold").words
    'units with x >= 2'
    """
    check_prob(prob)
    forms = ("score", "threshold", "tree")
    if rule not in forms:
        raise BayesCausalError(
            f"rule={rule!r} is not known.",
            expected=f"one of {', '.join(map(repr, forms))}.",
            names=closest(str(rule), forms)[:1],
        )
    if budget is not None and not 0 <= budget <= 1:
        raise BayesCausalError(
            f"budget={budget!r}.", expected="the share of the units that may be treated, 0 to 1."
        )
    if not np.isfinite(cost):
        raise BayesCausalError(f"cost={cost!r}.", expected="a number, in the outcome's units.")
    found = unit_effects(fit, estimand, covariates, seed, "policy")
    tau, sign = found.tau, 1 if maximise else -1
    mean = tau.mean(axis=0, dtype=float) * sign - cost
    count = len(mean)
    most = count if budget is None else int(np.floor(budget * count + 1e-9))
    leaves: dict[str, list[Leaf]] = {
        "threshold": _simple(mean, found.covariates, most, 1),
        "tree": _simple(mean, found.covariates, most, 2),
    }
    chosen = {"score": _best(mean, most), **{k: _union(v, count) for k, v in leaves.items()}}
    chosen["treat all"], chosen["treat nobody"] = np.ones(count, bool), np.zeros(count, bool)
    gains = (np.asarray(row, dtype=float) * sign - cost for row in tau)
    oracle = np.array([gain[_best(gain, most)].sum() for gain in gains]) / count
    rules = np.stack(list(chosen.values()), axis=1) / count
    values = sign * averages(tau, rules) - cost * rules.sum(axis=0)
    table = pd.DataFrame({
        name: _row(value, treat, oracle, prob, most)
        for (name, treat), value in zip(chosen.items(), values.T, strict=True)
    }).T  # fmt: skip
    words = {
        "score": f"units with an expected effect {'above' if maximise else 'below'} "
        f"{significant(cost if maximise else -cost, 3)}"
        + ("" if most == count else f", at most {100 * most / count:.0f}% of them"),
        **{k: _words(v) for k, v in leaves.items()},
    }
    treat = pd.Series(chosen[rule], index=found.labels, name="treat")
    return TreatmentRule(
        estimand=estimand,
        rule=rule,
        treat=treat,
        words=words[rule],
        share=float(treat.mean()),
        table=table,
        information=float(table["regret mean"]["score"]),
        benefit=_benefit(tau, sign, prob),
        cost=float(cost),
        budget=budget,
        notes=found.notes,
    )


def _best(gain: Array, most: int) -> Array:
    """Return the units of positive gain, at most so many, the largest first."""
    treat = gain > 0
    if treat.sum() > most:
        treat = np.zeros(len(gain), dtype=bool)
        treat[np.argsort(-gain, kind="stable")[:most]] = True
    return treat


def _row(
    value: Array, treat: Array, oracle: Array, prob: float, most: int
) -> dict[str, float | bool]:
    out: dict[str, float | bool] = {"share": float(treat.mean()), "within": treat.sum() <= most}
    for name, draws in (("value", value), ("regret", oracle - value)):
        out |= {f"{name} {k}": v for k, v in described(draws, prob, sign=False).items()}
    return out


def _simple(mean: Array, covariates: dict[str, Array], most: int, depth: int) -> list[Leaf]:
    """Return the leaves that the best tree of a depth treats: no other gains more in expectation.

    Every pair of a first and second cuts is tried; sums over units make each one number.
    """
    cuts = thresholds(covariates)
    sides = [(rule, side) for rule, side in cuts]
    sides += [((n, OPPOSITE[op], v), ~side) for (n, op, v), side in cuts]
    everyone = Leaf((), np.ones(len(mean), dtype=bool))
    best: tuple[float, list[Leaf]] = (0.0, [])

    def consider(leaves: list[Leaf]) -> None:
        nonlocal best
        treated = _union(leaves, len(mean))
        value = float(mean[treated].sum())
        if treated.sum() <= most and value > best[0] * (1 + 1e-12):
            best = (value, leaves)

    consider([everyone])
    singles = [Leaf((rule,), side) for rule, side in sides]
    for leaf in singles:
        consider([leaf])
    if depth == 1 or not sides:
        return best[1]
    masks = np.stack([side for _, side in sides]).astype(float)
    half = len(cuts)
    for k, (rule, side) in enumerate(cuts):
        parts: list[list[tuple[float, int, int]]] = []
        for inside in (side, ~side):
            totals, sizes = masks @ (mean * inside), masks @ inside.astype(float)
            options = [(float(mean[inside].sum()), int(inside.sum()), -1), (0.0, 0, -2)]
            order = np.argsort(-totals)[: 3 if most == len(mean) else len(sides)]
            options += [(float(totals[j]), int(sizes[j]), int(j)) for j in order]
            parts.append([o for o in options if o[1] <= most])
        pair = max(
            ((a, b) for a in parts[0] for b in parts[1] if a[1] + b[1] <= most),
            key=lambda ab: ab[0][0] + ab[1][0],
        )
        leaves = []
        for (_, _, j), own, inside in zip(pair, (rule, sides[half + k][0]), (side, ~side),
                                          strict=True):  # fmt: skip
            if j == -1:
                leaves.append(Leaf((own,), inside))
            elif j >= 0:
                leaves.append(Leaf((own, sides[j][0]), inside & sides[j][1]))
        consider(leaves)
    return best[1]


def _union(leaves: list[Leaf], count: int) -> Array:
    treated = np.zeros(count, dtype=bool)
    for leaf in leaves:
        treated |= leaf.member
    return treated


def _words(leaves: list[Leaf]) -> str:
    shown = [leaf.words for leaf in leaves if leaf.member.any()]
    if not shown:
        return "nobody"
    return "all units" if shown == ["all units"] else "units with " + ", or ".join(shown)


def _benefit(tau: Array, sign: int, prob: float, points: int = 51) -> pd.DataFrame:
    """Return the benefit curve at shares from 0 to 1."""
    count = tau.shape[1]
    order = np.argsort(-sign * tau.mean(axis=0, dtype=float), kind="stable")
    at = np.round(np.linspace(0, count, points)).astype(int)
    rank = np.empty(count, dtype=int)
    rank[order] = np.arange(count)
    step = np.searchsorted(at[1:], rank, side="right")  # first treated between which two points
    parts = sign * averages(tau, (step[:, None] == np.arange(points - 1)) / count)
    total = np.concatenate([np.zeros((len(tau), 1)), np.cumsum(parts, axis=1)], axis=1)
    rows = [described(value, prob, sign=False) for value in total.T]
    return pd.DataFrame(rows, index=pd.Index(at / count, name="share treated"))
