"""Numbers of an effect as a person would say them: digits, sides, intervals in words.

A difference has sides. Below no effect it is a positive size that is *lower*, and the ends of its
interval change places; around no effect it keeps its sign. Other numbers (a probability, an
expected outcome, a ratio) are said as they are. Digits follow the posterior sd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import decimals, end_text, number_text
from bayescausal.draws.named import listed_labels
from bayescausal.effects.estimands.notation import number

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect

__all__ = ["ONE_DRAW", "Amounts"]

#: How the note begins that says what a single draw rests on.
ONE_DRAW = "One draw of "

_EVEN = 1e-12  # of the size of the values: a spread below is no spread


class Amounts:
    """The numbers of one effect in words.

    `prob`: probability of the highest-density interval.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import ATE
    >>> amounts = Amounts(Effect(np.linspace(-0.4505, -0.3995, 1001), ATE("X", "Y")), 0.94)
    >>> [cell] = amounts.cells()
    >>> amounts.amount(cell), amounts.interval(cell)
    ('0.425 lower', '(94% HDI 0.403 to 0.451 lower)')
    """

    def __init__(self, effect: Effect, prob: float) -> None:
        self.effect, self.prob = effect, prob
        self.estimand: Any = effect.estimand
        self.kind = effect.kind or "posterior"

    def cells(self) -> list[dict[str, Any]]:
        """Return label, mean, ends, sd of each cell."""
        effect = self.effect
        means, spread = np.ravel(effect.mean()), np.ravel(effect.sd())
        ends = np.reshape(np.asarray(effect.interval(self.prob)), (-1, 2))
        labels = _labels(effect)
        return [
            {"label": label, "mean": float(m), "low": float(a), "high": float(b), "sd": float(s)}
            for label, m, (a, b), s in zip(labels, means, ends, spread, strict=True)
        ]

    @property
    def signed(self) -> bool:
        """Whether "higher" and "lower" have a meaning: a difference between worlds or groups."""
        return self.estimand is not None and self.estimand.signed and self.effect.null is not None

    @property
    def _multiplies(self) -> bool:
        """Whether the reader must be told which value means no effect."""
        asked = self.estimand
        return asked is not None and asked.multiplies and self.effect.null is not None

    def text(self, value: float, cell: dict[str, Any]) -> str:
        """Return a number with the digits that the sd supports."""
        return number_text(value, decimals(cell["sd"]))

    def end(self, value: float, cell: dict[str, Any]) -> str:
        """Return an end of an interval: never rounded onto the value of no effect."""
        return end_text(value, decimals(cell["sd"]), [self.effect.null])

    def side(self, cell: dict[str, Any]) -> str:
        """Return ``higher``, ``lower``, or nothing where the sign is not settled."""
        if self.has_spread(cell):
            if cell["low"] > 0 and cell["mean"] > 0:
                return "higher"
            return "lower" if cell["high"] < 0 and cell["mean"] < 0 else ""
        return "higher" if cell["mean"] > 0 else "lower" if cell["mean"] < 0 else ""

    def has_spread(self, cell: dict[str, Any]) -> bool:
        apart = np.fmax(cell["high"] - cell["low"], cell["sd"])  # an interval may be one value
        return bool(apart > _EVEN * max(abs(cell[end]) for end in ("high", "low", "mean")))

    def amount(self, cell: dict[str, Any]) -> str:
        """Return ``0.42 lower``, ``+0.02`` or, unsigned, ``0.42``."""
        if not self.signed:
            return self.text(cell["mean"], cell)
        side = self.side(cell)
        if side:
            return f"{self.text(abs(cell['mean']), cell)} {side}"
        return self.with_sign(cell)

    def with_sign(self, cell: dict[str, Any]) -> str:
        text = self.text(cell["mean"], cell)
        return f"+{text}" if cell["mean"] > 0 and float(text.replace(",", "")) > 0 else text

    def interval(self, cell: dict[str, Any]) -> str:
        """Return the interval in brackets, in the words of its direction."""
        draws = self.effect.draws
        if not self.has_spread(cell):
            one = draws.sizes["chain"] * draws.sizes["draw"] == 1
            why = "one draw" if one else "the same in every draw"
            rests = any(note.startswith(ONE_DRAW) for note in self.effect.notes)
            why = "known parameters" if self.kind == "truth" and not rests else why
            return f"({why}, so no interval)"
        low, high = cell["low"], cell["high"]
        name = f"{100 * self.prob:.6g}% HDI"
        if not self.signed:
            none = f"; {self.effect.null:g} is no effect" if self._multiplies else ""
            return f"({name} {self.end(low, cell)} to {self.end(high, cell)}{none})"
        if low == high == 0:
            return f"({name} 0 to 0)"
        if low < 0 < high:
            return f"({name} {self.end(-low, cell)} lower to {self.end(high, cell)} higher)"
        if high <= 0:
            return f"({name} {self.end(-high, cell)} to {self.end(-low, cell)} lower)"
        return f"({name} {self.end(low, cell)} to {self.end(high, cell)} higher)"


def _labels(effect: Effect) -> list[str]:
    """Return the label of each cell: ``Z=0, W=1``."""
    labels = [""]
    for dim in effect.dims:
        values = listed_labels(effect.draws[dim].values)
        labels = [
            f"{a}, {dim}={_plain(b)}" if a else f"{dim}={_plain(b)}" for a in labels for b in values
        ]
    return labels


def _plain(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)
