"""Many numbers in rows: a forest of estimands or subgroups.

Each row is a mean with two intervals, thick for the inner and thin for the outer probability.
Subgroups of one posterior share their parameters, so their intervals do not err independently;
and the more rows there are, the further out the extreme ones lie by chance alone. Rows are in
the order given. A line for no effect is drawn only if all rows agree on it: a difference and a
ratio have no common one.

References
----------
S. Lewis and M. Clarke, "Forest plots: trying to see the wood and the trees", BMJ 322 (2001),
1479-1480.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescausal.draws.digits import numbers as in_digits
from bayescausal.draws.intervals import check_prob
from bayescausal.draws.named import distinct
from bayescausal.figures.read import as_number, as_range, as_shown, ends_of
from bayescausal.figures.style import (
    CYCLE,
    GREEN,
    MARKERS,
    PURPLE,
    ink,
    legend_above,
    new_axes,
    plain,
    quiet,
    tidy,
)
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_forest"]

MOST_NAMED, MOST_NUMBERED = 40, 24  # rows; of more, names and numbers are left out


@dataclass(frozen=True)
class _Row:
    name: str
    mean: float
    sd: float
    inner: tuple[float, float]
    outer: tuple[float, float]
    null: float | None
    group: str
    truth: float | None


def plot_forest(
    effects: Any,
    *,
    ax: Axes | None = None,
    prob: float = 0.94,
    inner: float = 0.5,
    reference: float | Literal["own"] | None = "own",
    rope: tuple[float, float] | None = None,
    labels: Sequence[str] | None = None,
    truth: Any = None,
    numbers: bool = True,
) -> Axes:
    """Draw means and intervals of several numbers, one row each.

    Parameters
    ----------
    effects : Effect, sequence or mapping of Effects
        One effect with several cells; or several, each a row (or a row for each of its cells). A
        mapping names them. Anything that holds draws will do.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure of fitting height.
    prob, inner : float
        Probabilities of the thin and of the thick highest-density interval.
    reference : float, None or "own"
        The value to compare with. Default: the value of no effect, where all rows have the same.
    rope : (float, float), optional
        Region of practical equivalence, shaded.
    labels : sequence of str, optional
        Names of the rows. Default: those of the effects and of their cells.
    truth : float or sequence of float, optional
        The true value of each row, where known.
    numbers : bool, default True
        Write mean and interval beside each row, if there are few.

    Returns
    -------
    matplotlib.axes.Axes
        The first row is on top. Nothing is shown or saved.

    Raises
    ------
    EstimandError
        If there is nothing to draw, labels or truths do not fit the rows, or for a probability
        outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> import bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> ax = bc.plot_forest({"men": rng.normal(1, 0.1, 500), "women": rng.normal(2, 0.1, 500)})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['men', 'women']
    """
    region = as_range(rope, "rope")
    rows = _rows(effects, check_prob(prob), check_prob(inner), reference, truth)
    names = _names(rows, labels)
    named = len(rows) <= MOST_NAMED
    height = float(np.clip(1.2 + 0.33 * len(rows), 1.9, 9.0)) if named else 7.5
    ax = new_axes(ax, height=height)
    if region is not None:
        words = f"ROPE {region[0]:g} to {region[1]:g}"
        ax.axvspan(*region, color=PURPLE, alpha=0.18, linewidth=0, zorder=0, label=words)
    nulls = {row.null for row in rows}
    if len(nulls) == 1 and None not in nulls:
        ax.axvline(nulls.pop(), color=quiet(), linewidth=1.2, zorder=1)  # type: ignore[arg-type]
    _draw_rows(ax, rows, named=named, prob=prob, inner=inner)
    ax.set_yticks(range(len(rows)) if named else [], [plain(n) for n in names] if named else [])
    if not named:
        ax.set_ylabel(f"{len(rows):,} rows")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    tidy(ax)
    shared = {row.group for row in rows}
    ax.set_xlabel(plain(shared.pop() if len(shared) == 1 else "effect"))
    if numbers and len(rows) <= MOST_NUMBERED:
        _write_numbers(ax, rows, prob)
    legend_above(ax, columns=3)
    return ax


# --------------------------------------------------------------------------- private


def _rows(effects: Any, prob: float, inner: float, reference: Any, truth: Any) -> list[_Row]:
    """Return the rows, cells of one effect after each other."""
    if isinstance(effects, Mapping):
        pairs = list(effects.items())
    elif isinstance(effects, Sequence) and not isinstance(effects, str):
        pairs = [(None, each) for each in effects]
    else:
        pairs = [(None, effects)]
    many = len(pairs) > 1
    rows: list[_Row] = []
    for name, each in pairs:
        shown = as_shown(each, null=reference)
        values = shown.values()
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
        thick, thin = ends_of(values, inner), ends_of(values, prob)
        for k, cell in enumerate(shown.names()):
            own = str(name) if name is not None else (shown.label if many or not cell else "")
            rows.append(
                _Row(
                    ", ".join(part for part in (own, cell) if part),
                    float(values[:, k].mean()),
                    float(spread[k]),
                    (float(thick[k, 0]), float(thick[k, 1])),
                    (float(thin[k, 0]), float(thin[k, 1])),
                    shown.null,
                    shown.label,
                    None,
                )
            )
    if not rows:
        raise EstimandError("There is nothing to draw.", expected="one effect at least.")
    return _with_truth(rows, truth)


def _with_truth(rows: list[_Row], truth: Any) -> list[_Row]:
    if truth is None:
        return rows
    from dataclasses import replace

    values = np.ravel(np.asarray(truth, dtype=float))
    if len(values) not in (1, len(rows)):
        raise EstimandError(
            f"{len(values)} true values for {len(rows)} rows.", expected="One for each row."
        )
    values = np.broadcast_to(values, len(rows))
    return [replace(row, truth=as_number(v, "truth")) for row, v in zip(rows, values, strict=True)]


def _names(rows: list[_Row], labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        return distinct([row.name for row in rows])
    if isinstance(labels, str) or len(labels) != len(rows):
        count = 1 if isinstance(labels, str) else len(labels)
        raise EstimandError(f"{count} labels for {len(rows)} rows.", expected="One for each row.")
    return [str(label) for label in labels]


def _draw_rows(ax: Axes, rows: list[_Row], *, named: bool, prob: float, inner: float) -> None:
    """Draw the intervals and marks; one colour for each estimand."""
    groups = list(dict.fromkeys(row.group for row in rows))
    coloured = 1 < len(groups) <= len(CYCLE) < len(rows)
    thin, thick, size = (1.5, 4.5, 6.0) if named else (0.6, 1.2, 2.0)
    for at, row in enumerate(rows):
        place = groups.index(row.group) % len(CYCLE) if coloured else 0
        colour, mark = CYCLE[place], MARKERS[place]
        words = (f"{100 * prob:.6g}% HDI", f"{100 * inner:.6g}% HDI") if not at else ("", "")
        ax.plot(row.outer, [at, at], color=colour, linewidth=thin, label=words[0])
        ax.plot(
            row.inner,
            [at, at],
            color=colour,
            linewidth=thick,
            solid_capstyle="butt",
            label=words[1],
        )
        key = row.group if coloured and row.group not in {r.group for r in rows[:at]} else ""
        ax.plot([row.mean], [at], mark, color=colour, markersize=size, label=plain(key))
        if row.truth is not None:
            style = {"color": GREEN, "marker": "x", "markersize": 8, "markeredgewidth": 2}
            label = "truth" if not at else ""
            ax.plot([row.truth], [at], linestyle="none", label=label, zorder=5, **style)  # type: ignore[arg-type]


def _write_numbers(ax: Axes, rows: list[_Row], prob: float) -> None:
    """Write mean and interval of each row beside the axes."""
    where = ax.get_yaxis_transform()
    for at, row in enumerate(rows):
        said = in_digits(row.sd, row.mean, *row.outer, ends=True, apart=[row.null])
        mean, low, high = said
        text = f"{mean}  [{low}, {high}]" if row.outer[0] < row.outer[1] else mean
        ax.text(1.02, at, text, transform=where, va="center", fontsize="small", color=ink())
