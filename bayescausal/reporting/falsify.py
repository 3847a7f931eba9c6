"""A falsification as a picture: how strong each dependence is that the graph says is none.

One row per claim, the most doubtful on top: the effect size on the scale of a correlation with its
94% interval, and the graph's claim as a line at zero. A refuted claim is a filled orange diamond,
one that stands an open circle, so the two can be told without colour. A second picture shows how
many claims the graph violates beside the counts of the permuted graphs.

Intervals are for one claim each, not adjusted for their number: one in seventeen true claims has an
interval that misses zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import BLUE, ORANGE, ink, mixed, paper, quiet
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from bayescausal.checks.falsification.record import Falsification

__all__ = ["plot_falsification", "plot_permutations"]


def plot_falsification(result: Falsification, *, most: int = 25, ax: Axes | None = None) -> Axes:
    """Draw the strength of each dependence that the graph rules out.

    Parameters
    ----------
    result : Falsification
        What :func:`bayescausal.falsify` returned.
    most : int
        How many claims to show, the most doubtful.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure of fitting height.

    Returns
    -------
    matplotlib.axes.Axes
        Nothing is shown or saved.

    Raises
    ------
    EstimandError
        If no claim was tested, so that there is nothing to draw.

    Examples
    --------
    >>> import numpy as np
    >>> import bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> data = dict(zip("xyz", rng.normal(size=(3, 200))))
    >>> ax = bc.plot_falsification(bc.falsify("x -> z <- y", data, permutations=0))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['x ⊥ y']
    """
    table = result.tests[result.tests["p_value"].notna()]
    table = table.sort_values("p_value", kind="stable").head(most)
    if not len(table):
        raise EstimandError(
            "No claim was tested, so there is nothing to draw.",
            expected="a graph that implies an independence.",
        )
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(6.5, 0.9 + 0.32 * len(table)), layout="constrained")
    ax.axvline(0.0, color=quiet(), linewidth=1.0)
    for at, row in enumerate(table.itertuples()):
        _draw_claim(ax, at, row)
    ax.set_yticks(range(len(table)), labels=list(table["claim"]))
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlabel("dependence (scale of a correlation), 94% interval")
    ax.spines[["right", "top", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    handles = [_handle(True), _handle(False)]
    if bool(table["refuted"].any()):
        _legend_above(ax, handles=handles)
    return ax


def plot_permutations(result: Falsification, *, ax: Axes | None = None) -> Axes:
    """Draw how many claims the permuted graphs violate, and where the graph itself stands.

    Parameters
    ----------
    result : Falsification
        What :func:`bayescausal.falsify` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Nothing is shown or saved.

    Raises
    ------
    EstimandError
        If no permuted graph was tried.

    Examples
    --------
    >>> import numpy as np
    >>> import bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> data = dict(zip("xyz", rng.normal(size=(3, 200))))
    >>> ax = bc.plot_permutations(bc.falsify("x -> z <- y", data, seed=1))
    >>> ax.get_xlabel()
    'implied independences violated (of 1)'
    """
    if not result.permuted:
        raise EstimandError(
            "No permuted graph was tried.", remedy="Call falsify with permutations=50."
        )
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(5.5, 2.6), layout="constrained")
    from matplotlib.ticker import MaxNLocator

    tested = int(result.tests["p_value"].notna().sum())
    counts = np.bincount(result.permuted_violations, minlength=tested + 1)
    ax.bar(range(len(counts)), counts, width=0.8, color=mixed(ink(), 0.25), label="permuted graphs")
    ax.axvline(result.violations, color=ORANGE, linewidth=2.2, label="this graph")
    ax.set_xlabel(f"implied independences violated (of {tested})")
    ax.set_ylabel("permuted graphs")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["right", "top"]].set_visible(False)
    _legend_above(ax)
    return ax


# --------------------------------------------------------------------------- private


def _legend_above(ax: Axes, **options: Any) -> None:
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize="small",
        **options,
    )


def _style(refuted: bool) -> dict[str, Any]:
    if refuted:
        return {"marker": "D", "color": ORANGE, "markerfacecolor": ORANGE, "markersize": 6}
    return {"marker": "o", "color": BLUE, "markerfacecolor": paper(), "markersize": 6}


def _draw_claim(ax: Axes, at: int, row: Any) -> None:
    style = _style(bool(row.refuted))
    ax.plot([row.effect_lb, row.effect_ub], [at, at], color=style["color"], linewidth=1.8)
    ax.plot([row.effect], [at], linestyle="none", **style)


def _handle(refuted: bool) -> Line2D:
    from matplotlib.lines import Line2D

    label = "refuted" if refuted else "not refuted"
    return Line2D([], [], linewidth=1.8, label=label, **_style(refuted))
