"""An effect as a sentence: direction, size, interval, over whom, and why it can be told.

The rule for the direction is the one rule of the package: an effect *raises* or *lowers* only
where the whole highest-density interval lies on that side of the value that means no effect (and
the mean does too); otherwise it *changes* the outcome by a signed amount. A negative effect is
said as a positive size in the words of its direction, so the ends of its interval change places:
``[-0.45, -0.40]`` is "0.40 to 0.45 lower". An interval on both sides is "0.10 lower to 0.06
higher". Ratios multiply, odds ratios multiply odds, a log ratio is a number with a sign; none of
them raises or lowers, since that depends on the sign of what is multiplied.

The interval is over posterior draws. Where there is one draw, or all are equal, there is none, and
the sentence says why. Digits follow the posterior sd, as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.draws.intervals import check_prob
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.words.intervention import listed, population_words, quantity, upper_first
from bayescausal.effects.words.numbers import Amounts
from bayescausal.effects.words.subject import effect_of

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["asked_in_words", "identified", "say", "short", "whom"]

#: So many cells are said one by one; of more, the ends and the sides.
FEW = 8


def say(effect: Effect, prob: float = 0.94) -> str:
    """Return an effect as one to four sentences.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import ATE
    >>> from bayescausal.effects.words.sentence import say
    >>> draws = np.linspace(-0.4505, -0.3995, 1001)
    >>> say(Effect(draws, ATE("dilution", "coating"), population="the 1,000 units at hand"))
    'Raising dilution from 0 to 1 lowers coating by 0.425 on average over the 1,000 units \
(94% HDI 0.403 to 0.451 lower).'
"""
    check_prob(prob)
    said = _Said(effect, prob)
    text = said.lead() + said.body()
    named = effect.estimand is None and not said.lead()  # a name is left as it is
    parts = [text if named else upper_first(text), *said.bounds()]
    if effect.measured:
        parts.append(effect.measured)
    if effect.estimand is not None and effect.estimand.remark:
        parts.append(effect.estimand.remark)
    elif effect.identification is not None and said.kind == "posterior":
        unknown = effect.identification.status in ("not identified", "undecided")
        parts.insert(0 if unknown else len(parts), identified(effect.identification))
    return " ".join(parts)


def asked_in_words(effect: Effect) -> str:
    """Return a question as a person would ask it, without its population and its mark.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import ATE
    >>> asked_in_words(Effect([0.1, 0.2], ATE("x", "y", treated=2)))
    'what does raising x from 0 to 2 do to y on average'
    """
    return str(effect.estimand.ask(_Said(effect, 0.94)))


def short(effect: Effect, prob: float = 0.94) -> str:
    """Return the amount and its interval alone: ``0.42 lower (94% HDI 0.40 to 0.45 lower)``.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> short(Effect([0.5, 0.5], name="gain"))
    '0.5 (the same in every draw, so no interval)'
    """
    said = _Said(effect, check_prob(prob))
    [cell] = said.cells()
    return f"{said.amount(cell)} {said.interval(cell)}".strip()


def whom(effect: Effect) -> str:
    """Return over whom an effect is, its subgroup included; empty where nothing is known.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import CATE
    >>> whom(Effect([0.5], CATE("X", "Y", given={"Z": 1}), population="the 9 units at hand"))
    'those with Z=1 among the 9 units'
    """
    condition = None if effect.estimand is None else effect.estimand.subgroup
    if not condition:
        return effect.population or ""
    return population_words(effect.population, condition, _compliers(effect))


def identified(decided: Identification) -> str:
    """Return in a sentence whether the data can tell.

    Examples
    --------
    >>> from bayescausal.graph import identify
    >>> identified(identify("humid -> dilution -> coating; humid -> coating", "dilution",
    ...                     "coating"))
    'Identified by the back door: adjusting for humid.'
    """
    if decided.status == "identified" and decided.method == "back door":
        best = decided.adjustment_sets[0]
        if best:
            return f"Identified by the back door: adjusting for {listed(sorted(best))}."
    if decided.status in ("not identified", "undecided"):
        word = str(decided.status)
        rests = "The number rests on the prior and the model's form."
        return f"{upper_first(word)}: {decided.reason}. {rests}"
    return str(decided.headline())


# --------------------------------------------------------------------------- private


def _compliers(effect: Effect) -> str:
    """Return who a principal stratum is, where it is the units that an instrument moves."""
    return "" if effect.identification is None else effect.identification.compliers


class _Said(Amounts):
    """The parts of the sentence about one effect."""

    def __init__(self, effect: Effect, prob: float) -> None:
        super().__init__(effect, prob)
        self.units = effect.units
        subgroup = None if self.estimand is None else self.estimand.subgroup
        self.who = _compliers(effect)
        self.over = population_words(effect.population, subgroup, self.who)

    def quantity(self, *, noun: bool = False) -> tuple[str, str]:
        """Return what changes and how it is taken; a 0 or 1 has a probability, no average."""
        functional, outcome = self.estimand.functional, self.estimand.outcome_name
        if self.effect.binary and isinstance(functional, Mean):
            return f"the probability of {outcome}", ""
        return quantity(functional, outcome, noun=noun)

    def taken(self) -> str:
        """Return how the outcome is taken over units, after a space."""
        _, how = self.quantity()
        return f" {how}" if how else ""

    def lead(self) -> str:
        """Return what the draws are, where they are no posterior."""
        return {"prior": "Under the prior, ", "truth": "With the parameters given, "}.get(
            self.kind, ""
        )

    def body(self) -> str:
        """Return the sentence without its lead."""
        estimand = self.estimand
        if estimand is not None and estimand.per_unit:
            return self.each()
        cells = self.cells()
        if not self.effect.dims:
            return self.one(cells[0])
        plain = estimand is None
        opening = f"{self.effect.label}{self.within()}" if plain else estimand.opening(self)
        if len(cells) <= FEW:
            told = "; ".join(f"{c['label']}: {self.amount(c)} {self.interval(c)}" for c in cells)
            return f"{opening}: {told}."
        comma = "" if opening.endswith(" is") else ","
        return f"{opening}{comma} {self.extremes(cells)}."

    def one(self, cell: dict[str, Any]) -> str:
        """Return the sentence about one number."""
        start, link = f"{self.effect.label} is {self.text(cell['mean'], cell)}", ""
        if self.estimand is not None:
            start, link = self.estimand.claim(self, cell)
        over = f" over {self.over}" if self.over else ""
        return f"{start}{link}{over} {self.interval(cell)}."

    def within(self) -> str:
        """Return over whom several cells are; not all of them where `by` splits them."""
        by = getattr(self.estimand, "by", ()) or ()
        if not by:
            return f" over {self.over}" if self.over else ""
        among = f" among {self.over}" if self.over else ""
        return f" for each value of {listed(list(by))}{among}"

    def extremes(self, cells: list[dict[str, Any]]) -> str:
        """Return the smallest and the largest of many cells, and how many are settled."""
        least, most = (f(cells, key=lambda c: c["mean"]) for f in (min, max))
        shown = [f"{self.signed_text(c)} {self.interval(c)} at {c['label']}" for c in (least, most)]
        return f"from {shown[0]} to {shown[1]}, {len(cells)} values in all{self.sides(cells)}"

    def signed_text(self, cell: dict[str, Any]) -> str:
        return self.with_sign(cell) if self.signed else self.text(cell["mean"], cell)

    def sides(self, cells: list[dict[str, Any]]) -> str:
        """Return how many intervals lie above, below or around the value of no effect."""
        null = self.effect.null
        if null is None:
            return ""
        above = sum(c["low"] > null for c in cells)
        below = sum(c["high"] < null for c in cells)
        rest = len(cells) - above - below
        name = f"{100 * self.prob:.6g}% HDI"
        return (
            f"; the {name} lies above {null:g} for {above:,}, below it for {below:,} and "
            f"includes it for {rest:,}"
        )

    def each(self) -> str:
        """Return the sentence about the effect on each unit."""
        cells = self.cells()
        if len(cells) == 1 and self.signed:
            what = f"{self.estimand.outcome_name} of {cells[0]['label']}"
            return f"{effect_of(self.estimand, self, cells[0], what)} {self.interval(cells[0])}."
        subject = f"{self.estimand.doing()} changes {self.estimand.outcome_name}"
        if not self.signed:
            subject += f" (as a {self.estimand.scale.name})"
        least, most = (f(cells, key=lambda c: c["mean"]) for f in (min, max))
        span = f"{self.signed_text(least)} ({least['label']}) to {self.signed_text(most)}"
        over = f" for {self.over}" if self.over else ""
        return f"{subject} by {span} ({most['label']}) in posterior mean{over}{self.sides(cells)}."

    def bounds(self) -> list[str]:
        """Return the bounds that hold under any coupling of the potential outcomes."""
        if self.effect.bounds is None:
            return []
        ends = self.effect.bounds.mean(("chain", "draw")).values.reshape(-1, 2)
        cells = self.cells()
        if len(cells) > 1:
            return []
        low, high = (self.end(float(v), cells[0]) for v in ends[0])
        return [f"Under any coupling of the potential outcomes, it lies between {low} and {high}."]
