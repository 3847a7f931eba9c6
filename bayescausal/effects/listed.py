"""Several answers: a list of effects that shows itself as one table."""

from __future__ import annotations

from bayescausal.effects.effect import Effect
from bayescausal.effects.export import brief_table
from bayescausal.effects.words.rendering import _strings
from bayescausal.graph.text.display import TableList

__all__ = ["Effects"]


class Effects(TableList[Effect]):
    """A list of effects, one row each.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> Effects([Effect([0.1, 0.2, 0.3], name="gain"), Effect([1.0, 2.0, 4.0], name="loss")])
    effect  mean  94% HDI       identification
    gain    0.20  [0.10, 0.30]
    loss    2.3   [1.0, 4.0]
    """

    columns = ("effect", "mean", "94% HDI", "identification")
    nothing = "No effect."

    def rows(self) -> list[tuple[str, ...]]:
        """Return each effect with its mean, its interval and its verdict."""
        found: list[tuple[str, ...]] = []
        for effect in self:
            if effect.dims:
                sizes = " x ".join(f"{effect.draws.sizes[d]} {d}" for d in effect.dims)
                found.append((effect.label, "", f"by {sizes}", effect.verdict))
                continue
            shown = _strings(brief_table(effect), effect.null).iloc[0]
            ends = f"[{shown.iloc[2]}, {shown.iloc[3]}]"
            found.append((effect.label, str(shown.iloc[0]), ends, effect.verdict))
        return found
