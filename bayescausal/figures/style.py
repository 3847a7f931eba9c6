"""One look for all pictures: a few colours, axes that say little, letters that fit the page.

Colours come in two kinds. *Marks* (:data:`BLUE`, :data:`ORANGE`, :data:`GREEN`, :data:`PURPLE`) are
middle tones with a contrast of at least 3 to 1 on white and on a dark page, and differ in
lightness as well as hue, so that they can be told apart in grey and by colour-blind eyes [1]_.
*Ink* is whatever the reader's matplotlib style writes with: lines and letters take it when they are
drawn (:func:`ink`, :func:`quiet`, :func:`paper`), so a picture is legible on a dark style too.

Every picture takes axes and returns them; a new figure is made only where none was given. Nothing
is shown or saved here. Matplotlib is imported inside the functions, so that the module costs
nothing until something is drawn.

References
----------
.. [1] B. Wong, "Points of view: Color blindness", Nature Methods 8 (2011), 441.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes as Axes
    from matplotlib.colors import Colormap

__all__ = [
    "BLUE",
    "CYCLE",
    "GREEN",
    "MARKERS",
    "ORANGE",
    "PURPLE",
    "WIDTH",
    "diverging",
    "faint",
    "ink",
    "legend_above",
    "mixed",
    "new_axes",
    "paper",
    "plain",
    "quiet",
    "tidy",
]

BLUE, ORANGE, GREEN, PURPLE = "#2F7DC4", "#D5680F", "#2E8B62", "#9A62C7"
#: Colours and marks of several series, in order.
CYCLE = (BLUE, ORANGE, GREEN, PURPLE)
MARKERS = ("o", "s", "^", "D")
#: Share of the hue at the ends of a scale, so that letters are legible on it.
STRONGEST = 0.75
#: Inches across a new figure.
WIDTH = 6.4


def ink() -> str:
    """Return the colour of letters and strong lines under the current matplotlib style."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def quiet() -> str:
    """Return the colour of reference lines: between ink and paper."""
    return _blend(0.55)


def faint() -> str:
    """Return the colour of grids: close to the paper."""
    return _blend(0.14)


def mixed(colour: str, share: float) -> str:
    """Return a tint: a share of the colour, the rest paper.

    Examples
    --------
    >>> mixed("#000000", 0.0)
    '#ffffff'
    """
    return _between(colour, share)


def diverging() -> Colormap:
    """Return the colours of a scale around a value: blue below, the paper there, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [mixed(BLUE, STRONGEST), mixed(BLUE, 0.0), mixed(ORANGE, STRONGEST)]
    return LinearSegmentedColormap.from_list("blue_orange", ends)


def paper() -> str:
    """Return the colour of the page under the current matplotlib style."""
    import matplotlib as mpl

    colour = mpl.rcParams["axes.facecolor"]
    return "white" if colour in ("none", "inherit") else str(colour)


def new_axes(ax: Axes | None, height: float = 3.4, width: float = WIDTH) -> Axes:
    """Return the axes given, or those of a new figure.

    ``height``, ``width``: inches of the new figure.
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def tidy(ax: Axes, *, grid: str | None = "x", left: bool = False) -> Axes:
    """Take away what carries no information: frames, ticks, a loud grid.

    ``grid``: Along which axis faint lines help to read values.
    ``left``: Keep the left spine and its ticks (where the vertical axis has a scale).
    """
    hidden = ["top", "right"] + ([] if left else ["left"])
    ax.spines[hidden].set_visible(False)
    if not left:
        ax.tick_params(axis="y", length=0)
    if grid is not None:
        ax.grid(axis=grid, color=faint(), linewidth=0.7)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    return ax


def legend_above(ax: Axes, *, handles: Sequence[Any] | None = None, columns: int = 4) -> None:
    """Put the legend above the axes, where it hides nothing; none without entries.

    ``handles``: default: the labelled artists of the axes.
    ``columns``: at most so many entries in a row; fewer where they would be wider than the axes.
    """
    shown = list(handles) if handles is not None else ax.get_legend_handles_labels()[0]
    if not shown:
        return
    words = [plain(str(h.get_label())) for h in shown]
    room = 1.02 * ax.get_window_extent().width
    for across in range(min(len(shown), columns), 0, -1):
        legend = ax.legend(
            shown,
            words,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=across,
            frameon=False,
            borderaxespad=0.2,
            columnspacing=1.2,
            handlelength=1.6,
        )
        if legend.get_window_extent().width <= room:
            break


def plain(text: str) -> str:
    """Keep dollar signs from starting mathematics: names may hold anything.

    Examples
    --------
    >>> plain("cost $")
    'cost \\\\$'
    """
    return text.replace("$", r"\$")


def _blend(share: float) -> str:
    """Return a colour that is `share` ink and the rest paper."""
    return _between(ink(), share)


def _between(colour: str, share: float) -> str:
    from matplotlib.colors import to_hex, to_rgb

    pairs = zip(to_rgb(colour), to_rgb(paper()), strict=True)
    red, green, blue = (share * a + (1 - share) * b for a, b in pairs)
    return str(to_hex((red, green, blue)))
