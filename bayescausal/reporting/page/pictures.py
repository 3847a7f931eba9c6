r"""Drawings for a page that may be light or dark.

A drawing is rendered once, with black ink on white paper. On the page its greys become mixtures of
the page's own ink and paper, and its tints (any of the package's own marks, pale ones of other
colours) mixtures of their hue with the paper,

.. math:: grey(l) \mapsto (1 - l)\, ink + l\, paper, \qquad
   tint = s\, hue + (1 - s)\, white \mapsto s\, hue + (1 - s)\, paper ,

so that one drawing is legible on both and in print; strong colours stay as they are. Letters are
outlines, so they look the same everywhere; what the drawing shows is said in its label. Names of
parts are made unique, for a page holds many drawings.
"""

from __future__ import annotations

import colorsys
import io
import re
from typing import TYPE_CHECKING, Any

from bayescausal.figures.style import CYCLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["draw", "themed"]

INK = "#1b1f24"
STYLE: dict[str, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "bayescausal",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.facecolor": "white",
    "legend.labelcolor": INK,
    "font.family": ["sans-serif"],
    "font.size": 10.5,
    "legend.fontsize": 9.5,
    "path.simplify": True,
    "path.simplify_threshold": 0.5,
}
GREY = 0.10  # saturation below which a colour is a mixture of ink and paper
PALE, SHARE = 0.82, 0.18  # lightness above which a colour is a tint, and the hue's share of it


def draw(plot: Callable[..., Any], *, width: float = 5.4, height: float | None = None) -> str:
    """Return what a function draws as an SVG element.

    ``plot``: draws on ``ax=`` and returns the axes; without a height it makes its own figure.
    ``width``, ``height``: inches of the figure to draw on; None where the function makes it.
    Result: ``<svg ...>``, with a view box and without a size of its own.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before = {*plt.get_fignums()}
    look: Any = {**dict(mpl.rcParamsDefault), **_kept(), **STYLE}
    with mpl.rc_context(look), plt.ioff():
        try:
            if height is None:
                figure = plot().figure
            else:
                figure = plt.figure(figsize=(width, height), layout="constrained")
                plot(ax=figure.add_subplot())
            figure = getattr(figure, "figure", None) or figure
            buffer = io.StringIO()
            meta = {"Date": None, "Creator": None}
            figure.savefig(
                buffer,
                format="svg",
                transparent=True,
                bbox_inches="tight",
                pad_inches=0.04,
                metadata=meta,
            )
        finally:
            for number in {*plt.get_fignums()} - before:
                plt.close(number)
    return _bare(buffer.getvalue())


def themed(svg: str, alt: str, number: int) -> str:
    """Return a drawing for the page: colours that follow it, names of its own for the parts.

    ``alt``: what it shows.
    ``number``: of the drawing on the page.

    Examples
    --------
    >>> themed('<svg viewBox="0 0 1 1"><path style="fill: #000000"/></svg>', "A dot", 1)
    '<svg role="img" aria-label="A dot" viewBox="0 0 1 1"><path style="fill: var(--ink)"/></svg>'
    """
    from html import escape

    svg = re.sub(r'\bid="([^"]*)"', rf'id="g{number}-\1"', svg)
    svg = re.sub(r'\bhref="#([^"]*)"', rf'href="#g{number}-\1"', svg)
    svg = re.sub(r"url\(#([^)]*)\)", rf"url(#g{number}-\1)", svg)
    svg = re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: follow(found[0]), svg)
    label = escape(" ".join(alt.split()), quote=True)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def follow(colour: str) -> str:
    """Return a colour of the light page as one that follows the page.

    Examples
    --------
    >>> follow("#ffffff"), follow("#2f7dc4")
    ('var(--paper)', '#2f7dc4')
    >>> follow("#808080")
    'color-mix(in srgb, var(--ink) 50%, var(--paper))'
    >>> follow("#97bee1")
    'color-mix(in srgb, #2f7dc4 50%, var(--paper))'
    """
    red, green, blue = parts = _parts(colour)
    for mark in CYCLE:
        share = _share_of(parts, _parts(mark))
        if share is not None:
            return f"color-mix(in srgb, {mark.lower()} {100 * share:.0f}%, var(--paper))"
    _, light, _ = colorsys.rgb_to_hls(red, green, blue)
    spread = max(red, green, blue) - min(red, green, blue)
    if colour.lower() == INK or (spread < GREY and light < 0.13):
        return "var(--ink)"
    if spread < GREY / 2 or (spread < GREY and light < PALE):
        if light > 0.995:
            return "var(--paper)"
        return f"color-mix(in srgb, var(--ink) {100 * (1 - light):.0f}%, var(--paper))"
    if light > PALE:
        hue = [max(0.0, 1 - (1 - part) / SHARE) for part in (red, green, blue)]
        code = "".join(f"{round(255 * part):02x}" for part in hue)
        return f"color-mix(in srgb, #{code} {100 * SHARE:.0f}%, var(--paper))"
    return colour


# --------------------------------------------------------------------------- private


def _parts(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _share_of(colour: Sequence[float], hue: Sequence[float]) -> float | None:
    """Return the share of a hue in a colour that is made of it and white; None for others."""
    missing, whole = [1 - part for part in colour], [1 - part for part in hue]
    share = sum(a * b for a, b in zip(missing, whole, strict=True)) / sum(b * b for b in whole)
    apart = max(abs(a - share * b) for a, b in zip(missing, whole, strict=True))
    return share if apart < 1.5 / 255 and 0.02 < share < 0.98 else None


def _kept() -> dict[str, Any]:
    """Return the settings that are not about looks: the back end stays what it is."""
    import matplotlib as mpl

    return {key: mpl.rcParams[key] for key in ("backend", "interactive") if key in mpl.rcParams}


def _bare(text: str) -> str:
    """Return the SVG element alone, without comments, metadata and a size."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, _, rest = text.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    wide = float(box[1].split()[2]) if box else 400.0
    start = (
        f'<svg viewBox="{box[1] if box else "0 0 400 300"}" style="max-width: {wide / 72:.1f}in"'
    )
    space = ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    body = re.sub(r"\n\s*", "\n", rest).strip()
    return f"{start}{space}>{body}"
