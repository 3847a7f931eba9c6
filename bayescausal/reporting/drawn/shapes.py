"""The shapes that a drawing of a graph is made of: boxes, arrows, a legend.

Everything is in inches of the unscaled drawing; `scale` shrinks or grows lines and letters with
the axes. Matplotlib is imported inside the functions, so that the module costs nothing until
something is drawn.

A bent arrow is a centripetal Catmull-Rom curve [1]_ through its points: it passes through every
one of them and has no loops, which the uniform curve can have where points lie unevenly.

References
----------
.. [1] E. Catmull and R. Rom, "A class of local interpolating splines", in *Computer Aided
   Geometric Design*, Academic Press, 1974; C. Yuksel, S. Schaefer and J. Keyser,
   "Parameterization and applications of Catmull-Rom curves", Computer-Aided Design 43, 2011.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import BLUE, GREEN, ORANGE, PURPLE, faint, ink, mixed, paper, quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from bayescausal.annotations import Array

__all__ = [
    "KINDS",
    "LINE",
    "WAYS",
    "Box",
    "bowed",
    "broken",
    "draw_arc",
    "draw_arrow",
    "draw_box",
    "draw_legend",
    "inside",
    "legend_entries",
    "legend_width",
    "smooth",
    "text_width",
]

FONT = 11.0  # points
LINE = 0.19  # inches from one line of a name to the next
WIDEST_LINE = 14  # characters after which a name is broken
GAP = 0.25  # inches between two entries of the legend

#: What a node can be. Treatment, outcome and what is adjusted for carry a colour.
KINDS = ("treatment", "outcome", "adjusted", "random", "data", "deterministic")
#: What an edge can be, beside plain.
WAYS = {"causal": ORANGE, "open": PURPLE, "joined": ""}
LEGEND = {
    "treatment": "treatment",
    "outcome": "outcome",
    "adjusted": "adjusted for",
    "latent": "latent",
    "data": "data",
    "deterministic": "computed",
    "causal": "causal path",
    "open": "open back door",
    "joined": "may depend on each other",
}
LIGHT = 0.5  # of the arcs that join columns without an equation
DASHES, DOTS = (0, (4, 2.5)), (0, (1.2, 1.6))


@dataclass(frozen=True)
class Box:
    """One node as it is drawn: its place, its size, its words, in inches."""

    centre: tuple[float, float]
    width: float
    height: float
    text: str
    kind: str
    latent: bool


def broken(name: str) -> str:
    """Break a long name into lines at underscores, dots, spaces, hyphens and capitals.

    Examples
    --------
    >>> broken("hours_worked_per_week").split("\\n")
    ['hours_worked_', 'per_week']
    """
    if len(name) <= WIDEST_LINE:
        return name
    pieces = [p for p in re.split(r"(?<=[_.\s/:-])|(?<=[a-z0-9])(?=[A-Z])", name) if p]
    pieces = [p[i : i + 18] for p in pieces for i in range(0, len(p), 18)]
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece.rstrip()) <= WIDEST_LINE:
            lines[-1] += piece
        else:
            lines.append(piece)
    return "\n".join(line.strip() for line in lines)


def text_width(text: str, slanted: bool) -> float:
    """Return the width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(size=FONT, style="italic" if slanted else "normal")
    widths = [
        TextPath((0, 0), line.replace("$", r"\$"), prop=font).get_extents().width
        for line in text.split("\n")
        if line.strip()
    ]
    return max(widths, default=0.0) / 72


def smooth(points: np.ndarray, steps: int = 60) -> np.ndarray:
    """Return a dense curve through the points (centripetal Catmull-Rom), straight if only two."""
    if len(points) == 2:
        return np.linspace(points[0], points[1], 4 * steps)
    ends = (2 * points[0] - points[1], 2 * points[-1] - points[-2])
    p = np.vstack([ends[0], points, ends[1]])
    knots = np.r_[0.0, np.cumsum(np.sqrt(np.linalg.norm(np.diff(p, axis=0), axis=1)))]
    pieces = []
    for i in range(1, len(p) - 2):
        t = np.linspace(knots[i], knots[i + 1], steps)[:, None]

        def mix(a: Array, b: Array, low: int, high: int, t: np.ndarray = t) -> Array:
            share = (t - knots[low]) / (knots[high] - knots[low])
            return (1 - share) * a + share * b

        a1, a2, a3 = (mix(p[j], p[j + 1], j, j + 1) for j in (i - 1, i, i + 1))
        pieces.append(mix(mix(a1, a2, i - 1, i + 1), mix(a2, a3, i, i + 2), i, i + 1))
    return np.vstack(pieces)


def inside(points: np.ndarray, box: Box, margin: float) -> np.ndarray:
    """Say which points lie in the box or within `margin` of it."""
    away = np.abs(points - np.array(box.centre))
    return (away[:, 0] <= box.width / 2 + margin) & (away[:, 1] <= box.height / 2 + margin)


def draw_box(ax: Axes, box: Box, scale: float, *, words: bool = True) -> None:
    """Draw one node."""
    from matplotlib.patches import FancyBboxPatch

    style = _look(box.kind)
    style["linewidth"] *= scale
    square = box.kind in ("data", "deterministic")
    radius = 0.0 if square else min(0.12, box.height / 2)
    (x, y), w, h = box.centre, box.width, box.height
    ax.add_patch(
        FancyBboxPatch(
            (x - w / 2, y - h / 2),
            w,
            h,
            boxstyle=f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0",
            linestyle=DASHES if box.latent else "solid",
            zorder=3,
            **style,
        )
    )
    if words:
        ax.text(
            x,
            y,
            box.text,
            ha="center",
            va="center",
            multialignment="center",
            fontsize=FONT * scale,
            style="italic" if box.latent else "normal",
            color=quiet() if box.latent and box.kind == "random" else ink(),
            linespacing=1.15,
            parse_math=False,
            zorder=4,
        )


def draw_arrow(
    ax: Axes, curve: np.ndarray, tail: Box, head: Box, *, way: str = "", scale: float
) -> None:
    """Draw one arrow, from border to border, smooth through its bends.

    A causal one is heavy, one on an open back door is dotted, one that starts in a latent variable
    is dashed; so they can be told without colour.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    outside = ~(inside(curve, tail, 0.02) | inside(curve, head, 0.03))
    kept = curve[outside] if outside.sum() > 1 else curve
    look: dict[str, Any] = {
        "linewidth": {"causal": 2.0, "open": 1.7}.get(way, 1.1) * scale,
        "color": WAYS.get(way) or quiet(),
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 2 if way else 1,
    }
    if tail.latent or way == "open":  # a broken line with a whole head
        broken_line = DASHES if tail.latent else DOTS
        ax.add_patch(
            FancyArrowPatch(path=Path(kept), arrowstyle="-", linestyle=broken_line, **look)
        )
        kept = kept[-3:]
    head_style = "-|>,head_length=0.45,head_width=0.22"
    ax.add_patch(
        FancyArrowPatch(path=Path(kept), arrowstyle=head_style, mutation_scale=13 * scale, **look)
    )


def bowed(one: Box, other: Box, *, down: bool = True) -> np.ndarray:
    """Return a curve from box to box, bent away from where the arrows lead.

    From the top of one to the top of the other where arrows lead `down`, else from left to left.
    """
    side = np.array([0.0, 1.0]) if down else np.array([-1.0, 0.0])
    ends = [np.array(b.centre) + side * np.array([b.width, b.height]) / 2 for b in (one, other)]
    apart = float(np.abs(ends[1] - ends[0])[0 if down else 1])
    t = np.linspace(0, 1, 30)[:, None]
    rise = min(0.12 + 0.12 * apart, 0.6)
    return np.asarray(ends[0] + (ends[1] - ends[0]) * t + 4 * rise * t * (1 - t) * side)


def draw_arc(ax: Axes, curve: np.ndarray, *, way: str, scale: float) -> None:
    """Draw a light arc with two heads: two columns that may depend on each other."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    is_open = way == "open"
    look: dict[str, Any] = {
        "linewidth": (1.4 if is_open else 0.9) * scale,
        "color": WAYS.get(way) or quiet(),
        "alpha": 1.0 if is_open else LIGHT,
        "zorder": 0,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    line = DOTS if is_open else DASHES
    ax.add_patch(FancyArrowPatch(path=Path(curve), arrowstyle="-", linestyle=line, **look))
    head = "-|>,head_length=0.25,head_width=0.12"
    for end in (curve[-3:], curve[2::-1]):
        ax.add_patch(
            FancyArrowPatch(path=Path(end), arrowstyle=head, mutation_scale=13 * scale, **look)
        )


def legend_entries(boxes: Iterable[Box], ways: Iterable[str] = ()) -> list[tuple[Box, float]]:
    """Return the swatches that this drawing needs, with the width each entry takes."""
    shown = {box.kind for box in boxes} | {"latent" for box in boxes if box.latent} | {*ways}
    entries = []
    for key, word in LEGEND.items():
        if key in shown:
            kind = "random" if key == "latent" else key
            box = Box((0.0, 0.0), 0.26, 0.15, word, kind, key == "latent")
            entries.append((box, 0.26 + 0.08 + 0.85 * text_width(word, False)))
    return entries


def legend_width(entries: Sequence[tuple[Box, float]]) -> float:
    """Return the width of the legend in inches."""
    return sum(width for _, width in entries) + GAP * max(len(entries) - 1, 0)


def draw_legend(
    ax: Axes, legend: Sequence[tuple[Box, float]], x: float, y: float, scale: float
) -> None:
    """Draw the swatches in one row, centred at x."""
    start = x - legend_width(legend) / 2
    for box, width in legend:
        if box.kind in WAYS:
            ends = [start, start + box.width]
            line = {"open": DOTS, "joined": DASHES}.get(box.kind, "solid")
            light: dict[str, Any] = {"alpha": LIGHT} if box.kind == "joined" else {}
            width_of = 0.9 if light else 2
            colour = WAYS[box.kind] or quiet()
            ax.plot(ends, [y, y], color=colour, linewidth=width_of * scale, linestyle=line, **light)
        else:
            draw_box(ax, replace(box, centre=(start + box.width / 2, y)), scale, words=False)
        ax.text(
            start + box.width + 0.08,
            y,
            box.text,
            va="center",
            fontsize=0.85 * FONT * scale,
            color=ink(),
        )
        start += width + GAP


def _look(kind: str) -> dict[str, Any]:
    """Return face, edge and line width of a node under the current matplotlib style."""
    colour = {"treatment": ORANGE, "outcome": BLUE, "adjusted": GREEN}.get(kind)
    if colour is not None:
        return {"facecolor": mixed(colour, 0.16), "edgecolor": colour, "linewidth": 2.4}
    face = paper() if kind == "random" else faint()
    if kind == "deterministic":
        return {"facecolor": face, "edgecolor": "none", "linewidth": 0.0}
    return {"facecolor": face, "edgecolor": ink(), "linewidth": 1.1}
