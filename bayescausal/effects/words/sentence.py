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
from bayescausal.effects.estimands.averages import Association, Expected
from bayescausal.effects.estimands.causation import ITE, PN, PNS, PS
from bayescausal.effects.estimands.curves import DoseResponse, Slope
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.words.intervention import (
    circumstance,
    listed,
    people,
    quantity,
    upper_first,
)
from bayescausal.effects.words.numbers import Amounts
from bayescausal.effects.words.subject import doing, groups, odds_of, of_units, probability

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["identified", "say", "short", "whom"]

#: So many cells are said one by one; of more, the ends and the sides.
FEW = 8


def say(effect: Effect, prob: float = 0.94) -> str:
    """Return an effect as one to four sentences.

    Parameters
    ----------
    effect : Effect
    prob : float
        Probability of the highest-density interval.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import ATE
    >>> from bayescausal.effects.words.sentence import say
    >>> draws = np.linspace(-0.4505, -0.3995, 1001)
    >>> say(Effect(draws, ATE("dilution", "coating"), population="the 1,000 units at hand"))
    'Raising dilution from 0 to 1 lowers coating by 0.425 on average over the 1,000 units \
(94 % HDI 0.403 to 0.451 lower).'
    """
    check_prob(prob)
    said = _Said(effect, prob)
    text = said.lead() + said.body()
    named = effect.estimand is None and not said.lead()  # a name is left as it is
    parts = [text if named else upper_first(text), *said.bounds()]
    if effect.measured:
        parts.append(effect.measured)
    if isinstance(effect.estimand, Association):
        parts.append("An association: what is seen, not what would be done.")
    elif effect.identification is not None and said.kind == "posterior":
        unknown = effect.identification.status in ("not identified", "undecided")
        parts.insert(0 if unknown else len(parts), identified(effect.identification))
    return " ".join(parts)


def short(effect: Effect, prob: float = 0.94) -> str:
    """Return the amount and its interval alone: ``0.42 lower (94 % HDI 0.40 to 0.45 lower)``.

    Parameters
    ----------
    effect : Effect
        With one cell.
    prob : float

    Returns
    -------
    str

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.words.sentence import short
    >>> short(Effect([0.5, 0.5], name="gain"))
    '0.5 (the same in every draw, so no interval)'
    """
    said = _Said(effect, check_prob(prob))
    [cell] = said.cells()
    return f"{said.amount(cell)} {said.interval(cell)}".strip()


def whom(effect: Effect) -> str:
    """Return over whom an effect is, its subgroup included; empty where nothing is known.

    Parameters
    ----------
    effect : Effect

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import CATE
    >>> from bayescausal.effects.words.sentence import whom
    >>> whom(Effect([0.5], CATE("X", "Y", given={"Z": 1}), population="the 9 units at hand"))
    'those with Z=1 among the 9 units'
    """
    condition = _condition(effect.estimand)
    return people(effect.population, condition) if condition else effect.population or ""


def identified(decided: Any) -> str:
    """Return in a sentence whether the data can tell.

    Parameters
    ----------
    decided : Identification

    Returns
    -------
    str

    Examples
    --------
    >>> from bayescausal.effects.words.sentence import identified
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


class _Said(Amounts):
    """The parts of the sentence about one effect."""

    def __init__(self, effect: Effect, prob: float) -> None:
        super().__init__(effect, prob)
        self.over = people(effect.population, _condition(self.estimand))

    def quantity(self, *, noun: bool = False) -> tuple[str, str]:
        """Return what changes and how it is taken; a 0 or 1 has a probability, no average."""
        functional, outcome = self.estimand.functional, self.estimand.outcome_name
        if self.effect.binary and isinstance(functional, Mean):
            return f"the probability of {outcome}", ""
        return quantity(functional, outcome, noun=noun)

    def lead(self) -> str:
        """Return what the draws are, where they are no posterior."""
        return {"prior": "Under the prior, ", "truth": "With the parameters given, "}.get(
            self.kind, ""
        )

    def body(self) -> str:
        """Return the sentence without its lead."""
        estimand = self.estimand
        if isinstance(estimand, ITE) and estimand.per_unit:
            return self.units()
        cells = self.cells()
        if not self.effect.dims:
            return self.one(cells[0])
        opening = self.several()
        if len(cells) <= FEW:
            told = "; ".join(f"{c['label']}: {self.amount(c)} {self.interval(c)}" for c in cells)
            return f"{opening}: {told}."
        comma = "" if opening.endswith(" is") else ","
        return f"{opening}{comma} {self.extremes(cells)}."

    def one(self, cell: dict[str, Any]) -> str:
        """Return the sentence about one number."""
        start, link = self.claim(cell)
        over = f" over {self.over}" if self.over else ""
        return f"{start}{link}{over} {self.interval(cell)}."

    def claim(self, cell: dict[str, Any]) -> tuple[str, str]:
        """Return subject, verb and amount; and how it is taken over units."""
        estimand, value = self.estimand, self.text(cell["mean"], cell)
        if estimand is None:
            return f"{self.effect.label} is {value}", ""
        if isinstance(estimand, PN | PS | PNS):
            return f"{probability(estimand, self.effect.units)} is {value}", ""
        if isinstance(estimand, ITE):
            return f"{of_units(estimand, self.effect.units)} is {value}", ""
        what, how = self.quantity()
        how = f" {how}" if how else ""
        if isinstance(estimand, Expected):
            done = circumstance(estimand.do)
            return f"{f'with {done}' if done else 'as things are'}, {what} is {value}", how
        if isinstance(estimand, Association):
            return self.association(cell, what), how if self.signed else ""
        if getattr(estimand, "scale", None) is None:
            return f"{estimand.label()} is {value}", ""
        differs = estimand.scale.name == "difference"  # else "average" is in the noun
        return self.effect_of(doing(estimand), cell, what), how if differs else ""

    def effect_of(self, act: str, cell: dict[str, Any], what: str) -> str:
        """Return that doing something changes something by an amount, on its scale."""
        estimand = self.estimand
        value = self.text(cell["mean"], cell)
        noun, _ = self.quantity(noun=True)
        per = f" per unit of {estimand.treatment}" if isinstance(estimand, Slope) else ""
        match estimand.scale.name:
            case "difference":
                side = self.side(cell)
                verb = {"higher": "raises", "lower": "lowers"}.get(side, "changes")
                size = self.text(abs(cell["mean"]), cell) if side else self.with_sign(cell)
                return f"{act} {verb} {what} by {size}{per}"
            case "ratio":
                return f"{act} multiplies {noun} by {value}"
            case "odds ratio":
                return f"{act} multiplies the odds of {odds_of(estimand)} by {value}"
            case "log ratio":
                return f"{act} changes {noun} by a log ratio of {value}{per}"
            case name:
                return f"{act} changes {noun} by {value} on the scale {name!r}"

    def association(self, cell: dict[str, Any], what: str) -> str:
        """Return how two groups that were seen differ."""
        here, there = groups(self.estimand)
        value = self.text(cell["mean"], cell)
        noun, _ = self.quantity(noun=True)
        match self.estimand.scale.name:
            case "difference":
                side = self.side(cell)
                if side:
                    size = self.text(abs(cell["mean"]), cell)
                    return f"where {here}, {what} is {side} by {size} than where {there}"
                return f"where {here}, {what} differs by {self.with_sign(cell)} from where {there}"
            case "ratio":
                return f"where {here}, {noun} is {value} times that where {there}"
            case "odds ratio":
                odds = odds_of(self.estimand)
                return f"where {here}, the odds of {odds} are {value} times those where {there}"
            case name:
                return f"where {here}, {noun} differs by a {name} of {value} from where {there}"

    def several(self) -> str:
        """Return the opening of a sentence about several cells."""
        estimand = self.estimand
        over = self.within()
        if estimand is None:
            return f"{self.effect.label}{over}"
        what, how = self.quantity()
        how = f" {how}" if how else ""
        if isinstance(estimand, DoseResponse) and estimand.control is None:
            return f"with {estimand.treatment} set to each value, {what}{how}{over} is"
        if isinstance(estimand, DoseResponse):
            base = circumstance(estimand.worlds()["control"])
            levels = f"setting {estimand.treatment} to each value rather than {base or 'nothing'}"
            return f"{levels} changes{self._scaled(how)}{over}"
        if isinstance(estimand, Expected):
            done = circumstance(estimand.do)
            return f"{f'with {done}' if done else 'as things are'}, {what}{how}{over} is"
        if isinstance(estimand, PN | PS | PNS):
            return f"{probability(estimand, self.effect.units)}{over} is"
        if isinstance(estimand, Association):
            here, there = groups(estimand)
            return f"where {here} against where {there},{self._scaled(how)}{over}"
        if getattr(estimand, "scale", None) is None:
            return f"{estimand.label()}{over}"
        return f"{doing(estimand)} changes{self._scaled(how)}{over}"

    def within(self) -> str:
        """Return over whom several cells are; not all of them where `by` splits them."""
        by = getattr(self.estimand, "by", ()) or ()
        if not by:
            return f" over {self.over}" if self.over else ""
        among = f" among {self.over}" if self.over else ""
        return f" for each value of {listed(list(by))}{among}"

    def _scaled(self, how: str) -> str:
        """Return the outcome and the scale it is told on."""
        estimand = self.estimand
        noun, _ = self.quantity(noun=True)
        name = estimand.scale.name
        if name == "difference":
            what, _ = self.quantity()
            per = f" per unit of {estimand.treatment}" if isinstance(estimand, Slope) else ""
            return f" {what}{per}{how}"
        if name == "odds ratio":
            return f" the odds of {odds_of(estimand)} by a factor"
        return f" {noun} by a factor" if name == "ratio" else f" {noun} by a {name}"

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
        name = f"{100 * self.prob:.6g} % HDI"
        return (
            f"; the {name} lies above {null:g} for {above:,}, below it for {below:,} and "
            f"includes it for {rest:,}"
        )

    def units(self) -> str:
        """Return the sentence about the effect on each unit."""
        cells = self.cells()
        if len(cells) == 1 and self.signed:
            return self.effect_of(doing(self.estimand), cells[0], self._of(cells[0])) + (
                f" {self.interval(cells[0])}."
            )
        subject = f"{doing(self.estimand)} changes {self.estimand.outcome_name}"
        if not self.signed:
            subject += f" (as a {self.estimand.scale.name})"
        least, most = (f(cells, key=lambda c: c["mean"]) for f in (min, max))
        span = f"{self.signed_text(least)} ({least['label']}) to {self.signed_text(most)}"
        over = f" for {self.over}" if self.over else ""
        return f"{subject} by {span} ({most['label']}) in posterior mean{over}{self.sides(cells)}."

    def _of(self, cell: dict[str, Any]) -> str:
        return f"{self.estimand.outcome_name} of {cell['label']}"

    def bounds(self) -> list[str]:
        """Return the bounds that hold whatever joins the worlds."""
        if self.effect.bounds is None:
            return []
        ends = self.effect.bounds.mean(("chain", "draw")).values.reshape(-1, 2)
        cells = self.cells()
        if len(cells) > 1:
            return []
        low, high = (self.end(float(v), cells[0]) for v in ends[0])
        return [f"Whatever joins the worlds, it lies between {low} and {high}."]


def _condition(estimand: Estimand | None) -> Any:
    """Return the subgroup that is not part of the subject of the sentence already."""
    if estimand is None:
        return None
    if isinstance(estimand, PN | PS | PNS):
        return estimand.given
    return estimand.condition
