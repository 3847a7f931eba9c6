"""From ranks to a verdict: one test per quantity, one rule for all, and words for what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.studies.calibrate_bands import (
    bands,
    counts_of,
    hdi_content,
    p_value,
    power,
    rank_law,
)
from bayescausal.checks.studies.recovery import failures, with_names
from bayescausal.draws.check import Check
from bayescausal.figures.checks.ranks import plot_rank_ecdf, plot_rank_histogram, rank_panels
from bayescausal.types import StudyError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.figures.style import Axes

__all__ = ["Calibration", "holm", "judge"]

#: Adjusted p-values below which the verdict is a failure, or a warning.
FAIL, WARN = 0.01, 0.05
#: Replicates without which a pass says nothing, and the share that may fail.
FEWEST, LOST = 20, 0.05
#: Widening of an interval over the narrowest that rounding explains.
SLACK = 1e-6

_MEANING = (
    "Passing means that over truths drawn from the prior the answers are right within what this "
    "many data sets resolve: posterior, worlds and estimands together. Failing means that one of "
    "them is not; see which quantity fails, and how. Neither says that the model is right."
)


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Check):
    """The result of :func:`bayescausal.calibrate`: a check, with the ranks behind it.

    Parameters
    ----------
    rows : DataFrame
        As those of :class:`bayescausal.Recovery`, with ``rank`` (of the truth) among ``ranked``
        draws.
    replicates : int
        Of the study.
    rank_draws : int
        Draws among which truths are ranked.
    seed : int
        The seed that makes the study again.

    Notes
    -----
    The rest is that of every :class:`~bayescausal.draws.check.Check`: ``name``, ``verdict``,
    ``finding``, ``meaning``, ``table``, ``notes``. The table has a row per quantity: ``kind``,
    ``replicates``, ``p`` (that ranks of a right posterior stray as far), ``p_adjusted`` (for all
    quantities), ``inside`` (95%, 99% or neither of the bands), ``shape`` (what the ranks look
    like), coverage of the 50% and 94% intervals beside what such intervals hold under a right
    posterior, ``slack`` (of the interval over the narrowest), the median effective sample size,
    and ``failed``, the share without an answer.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> check = bc.calibrate(model, bc.ATE("x", "y"), units=10, replicates=30, seed=1,
    ...                      progressbar=False)
    >>> bool(check.ranks("b").max() <= 99)
    True
    """

    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    replicates: int = 0
    rank_draws: int = 0
    seed: int = 0

    @property
    def quantities(self) -> tuple[str, ...]:
        """What was ranked."""
        return tuple(map(str, self.table.index))

    def ranks(self, quantity: str) -> np.ndarray:
        """Return the ranks of one quantity, in the order of the replicates.

        Parameters
        ----------
        quantity : str
            From the index of the table.

        Returns
        -------
        ndarray of int
            From 0 to ``rank_draws``.

        Raises
        ------
        StudyError
            If there is no such quantity.
        """
        if quantity not in self.table.index:
            raise StudyError(
                f"{quantity!r} was not ranked.",
                expected=f"Among {', '.join(map(repr, self.quantities))}.",
                names=closest(str(quantity), self.quantities)[:1],
            )
        return _thinnest(_answered(self.rows, quantity), self.rank_draws)[0]

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes | Array:
        """Draw the ranks of every quantity.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            For one quantity. Default: a new figure, a panel for each.
        **options
            ``quantity``: a name or several; ``kind``: ``"ecdf"`` (the distribution function of the
            ranks less that of uniform ones, with simultaneous 95% and 99% bands; the default) or
            ``"histogram"``.

        Returns
        -------
        matplotlib Axes, or array of them
        """
        return _draw(self, ax=ax, **options)


def judge(
    rows: pd.DataFrame,
    replicates: int,
    rank_draws: int,
    *,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Calibration:
    """Return the verdict on the rows of a study.

    ``rank_draws``: draws among which truths are ranked.
    """
    named = with_names(rows)
    lines = {
        name: _line(named[named["name"] == name], replicates, rank_draws)
        for name in dict.fromkeys(named["name"])
    }
    table = pd.DataFrame.from_dict(lines, orient="index").rename_axis("quantity")
    table.insert(3, "p_adjusted", holm(table["p"].to_numpy()))
    verdict, finding = _verdict(table, replicates)
    return Calibration(
        name="calibration",
        verdict=verdict,
        finding=finding,
        meaning=_MEANING,
        table=table,
        notes=(*notes, *_notes(rows, table, replicates, rank_draws)),
        rows=rows,
        replicates=replicates,
        rank_draws=rank_draws,
        seed=seed,
    )


def _answered(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of one quantity that have a number."""
    named = with_names(rows)
    return named[(named["name"] == name) & (named["failure"] == "")]


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for their number: the chance of any below is kept at its level.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> holm(np.array([0.01, 0.04, 0.02])).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    out = np.full(len(p), np.nan)
    steps = p[order] * (len(order) - np.arange(len(order)))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


# ------------------------------------------------------------------------------- private


def _line(mine: pd.DataFrame, replicates: int, rank_draws: int) -> dict[str, Any]:
    """Return the line of one quantity."""
    good = mine[(mine["failure"] == "") & ~mine["rank"].isna()]
    line: dict[str, Any] = {
        "kind": mine["kind"].iloc[0],
        "replicates": int(good["replicate"].nunique()),
        "p": np.nan,
        "inside": "",
        "shape": "",
        "coverage_50": np.nan,
        "expected_50": np.nan,
        "coverage_94": np.nan,
        "expected_94": np.nan,
        "slack": np.nan,
        "ess": np.nan,
        "failed": 1.0 - good["replicate"].nunique() / replicates,
    }
    if good.empty:
        return line
    ranks, among = _thinnest(good, rank_draws)
    line["p"] = p_value(ranks, among)
    line["inside"] = _inside(ranks, among)
    line["shape"] = _shape(ranks, among)
    ess = float(good["ess"].median())
    worth = max(int(ess), 10) if np.isfinite(ess) else rank_draws
    line |= {
        "coverage_50": float(good["covered_50"].mean()),
        "expected_50": hdi_content(_rounded(worth), 0.5),
        "coverage_94": float(good["covered"].mean()),
        "expected_94": hdi_content(_rounded(worth), 0.94),
        "slack": float(good["slack"].mean()),
        "ess": ess,
    }
    return line


def _thinnest(good: pd.DataFrame, rank_draws: int) -> tuple[np.ndarray, int]:
    """Return ranks among as many draws as every replicate has, one per replicate.

    Of an answer per unit one unit is taken in each replicate, by turns: units of one replicate
    share its parameters.
    """
    if good["pooled"].any():
        place = good.groupby("replicate").cumcount()
        size = good.groupby("replicate")["rank"].transform("size")
        good = good[place == good["replicate"] % size]
    ranked = good["ranked"].to_numpy()
    ranks = good["rank"].to_numpy()
    if (ranked == rank_draws).all():
        return ranks.astype(int), rank_draws
    among = int(ranked.min())
    share = (ranks + 0.5) / (ranked + 1)
    return np.minimum((share * (among + 1)).astype(int), among), among


def _rounded(worth: int) -> int:
    """Return a number of draws to two digits, so that few contents are computed."""
    digits = len(str(worth)) - 2
    return worth if digits <= 0 else round(worth, -digits)


def _inside(ranks: np.ndarray, among: int) -> str:
    counts = counts_of(ranks, among)
    for level, said in ((0.95, "95%"), (0.99, "99%")):
        lower, upper = bands(len(ranks), among, level)
        if ((counts >= lower) & (counts <= upper)).all():
            return said
    return "neither"


def _shape(ranks: np.ndarray, among: int) -> str:
    """Say what ranks look like, where it is more than chance (2.6 standard errors)."""
    u = (ranks + 0.5) / (among + 1)
    n = len(u)
    location = (u.mean() - 0.5) * np.sqrt(12 * n)
    spread = (np.mean((u - 0.5) ** 2) - 1 / 12) * np.sqrt(180 * n)
    if max(abs(location), abs(spread)) < 2.6:
        return "even"
    if abs(location) >= abs(spread):
        return "posterior too low" if location > 0 else "posterior too high"
    return "posterior too narrow" if spread > 0 else "posterior too wide"


def _verdict(table: pd.DataFrame, replicates: int) -> tuple[str, str]:
    """Return the verdict and what was found."""
    known = table[~table["p"].isna()]
    n = f"{replicates:,} data sets"
    if known.empty:
        return "undecided", f"No quantity could be ranked in {n}: every fit failed."
    wide = known[known["slack"] > SLACK]
    place = int(known["p_adjusted"].to_numpy().argmin())
    worst, p = known.index[place], float(known["p_adjusted"].to_numpy()[place])
    lost = float(known["failed"].max())
    if p < WARN:
        bad = known[known["p_adjusted"] < WARN]
        named = ", ".join(f"{q} ({s})" for q, s in zip(bad.index[:4], bad["shape"], strict=False))
        count = f"{len(bad)} of {len(known)} quantities"
        found = f"Ranks over {n} are not uniform for {count}: {named}; adjusted p {_p(p)}."
        return ("fail" if p < FAIL else "warn"), found
    if len(wide):
        share = float(wide["slack"].max())
        return "fail", (
            f"The intervals of {', '.join(wide.index[:4])} are not the narrowest: "
            f"{share:.1%} wider than one with as many draws."
        )
    found = (
        f"Ranks of {len(known)} quantities over {n} are those of a right posterior; the least "
        f"likely is {worst}, adjusted p {_p(p)}."
    )
    if replicates < FEWEST or lost > LOST:
        why = f"{lost:.0%} of the fits failed" if lost > LOST else "too few data sets"
        return "undecided", f"{found} But {why}."
    return ("warn" if lost > 0 else "pass"), found + (
        f" {lost:.1%} of the fits failed and could not be ranked." if lost > 0 else ""
    )


def _notes(
    rows: pd.DataFrame, table: pd.DataFrame, replicates: int, rank_draws: int
) -> tuple[str, ...]:
    """Say what so many replicates can find, and what should be known of the fits."""
    narrow = power(rank_law(rank_draws, scale=0.9), replicates, 0.99)
    biased = power(rank_law(rank_draws, shift=0.1), replicates, 0.99)
    found = [
        f"So many data sets find a posterior sd 10% too small with probability {narrow:.2f} and a "
        f"bias of a tenth of a posterior sd with {biased:.2f}, per quantity, outside the 99% band."
    ]
    found += failures(rows)
    short = rows[rows["ess"] < rank_draws]
    if len(short):
        found.append(
            f"In {short['replicate'].nunique()} replicates the chain of "
            f"{', '.join(sorted(set(short['estimand']))[:3])} is worth fewer than {rank_draws} "
            "independent draws: its ranks are not quite uniform under a right posterior either."
        )
    if "log-likelihood" not in set(table["kind"]):
        found.append(
            "The joint log-density was not ranked: the truth lacks variables or parameters of the "
            "fitted model. A posterior that forgot the data would not be noticed by parameters."
        )
    return tuple(found)


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-4 else "< .0001"


def _draw(
    check: Calibration,
    *,
    ax: Axes | None = None,
    quantity: str | Sequence[str] | None = None,
    kind: str = "ecdf",
) -> Axes | Array:
    kinds = {"ecdf": plot_rank_ecdf, "histogram": plot_rank_histogram}
    if kind not in kinds:
        raise StudyError(
            f"kind={kind!r}.",
            expected="'ecdf' or 'histogram'.",
            names=closest(str(kind), kinds)[:1],
        )
    known = [q for q in check.quantities if check.table.loc[q, "replicates"]]
    chosen = known if quantity is None else quantity
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    if not chosen:
        raise StudyError("There is nothing to draw: every fit failed.")
    if ax is not None and len(chosen) > 1:
        raise StudyError(
            f"One ax for {len(chosen)} quantities.", remedy="Name one: plot(ax, quantity=...)."
        )
    axes = [ax] if len(chosen) == 1 else list(rank_panels(len(chosen)))
    drawn = []
    for one, name in zip(axes, chosen, strict=True):
        ranks = check.ranks(name)
        among = _thinnest(_answered(check.rows, name), check.rank_draws)[1]
        limits = {level: bands(len(ranks), among, level) for level in (0.95, 0.99)}
        drawn.append(kinds[kind](ranks, among, limits, title=name, ax=one))
        place = drawn[-1].get_subplotspec()
        if len(chosen) > 1 and place is not None and place.colspan.start:
            drawn[-1].set_ylabel("")
    return drawn[0] if len(drawn) == 1 else np.array(drawn)
