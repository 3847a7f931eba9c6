"""What several answers say together, in words, and which reading fits where they disagree.

Each reading is a rule on what the estimators found, told with its numbers; none of them is a proof.
Where estimators that model the outcome differ from those that model the treatment, one of the
models is wrong; which one the doubly robust estimators side with is told. Where the two arms hardly
overlap, or a few units carry the weights, that is told first: answers then differ by how they go
beyond the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.draws.digits import decimals, number_text, significant
from bayescausal.effects.words.intervention import listed, upper_first
from bayescausal.effects.words.sentence import whom

if TYPE_CHECKING:
    from bayescausal.estimators.explain.agreement import Agreement
    from bayescausal.estimators.triangulation import Triangulation

__all__ = ["readings", "tell"]

#: The probability of the region beyond which no difference counts as a disagreement.
LEVEL = 0.94
#: Effective share of an arm, share of one unit, and difference left that are told.
THIN, CARRIES, LEFT = 0.3, 0.05, 0.1


def tell(found: Triangulation) -> str:
    """Return whether the estimators agree, and what may be behind it where they do not."""
    effects = found.effects
    if found.question.by:
        parts = [f"{name}: {effect.sentence()}" for name, effect in effects.items()]
        return " ".join(parts)
    means = {name: float(effect.mean()) for name, effect in effects.items()}
    sds = [float(effect.sd()) for effect in effects.values()]
    places = decimals(min(sds)) if sds and np.isfinite(sds).all() else None
    shown = {name: number_text(value, places) for name, value in means.items()}
    adjusted = found.problem.adjust
    using = ""
    if adjusted is not None:
        using = f", adjusting for {listed(list(adjusted))}" if adjusted else ", without adjustment"
    own = [e.effect for e in found.answers.values() if not e.prepared[0].whom]
    over = whom(own[0]) if own else ""
    over = f" over {over}" if over else ""
    count = len(effects)
    if count == 1:
        [(name, effect)] = effects.items()
        return f"{upper_first(name)} alone was asked{using}. {effect.sentence()}"
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    parts = [
        f"{count} estimators of {found.question.label()}{over}{using} lie between {shown[low]} "
        f"({low}) and {shown[high]} ({high})."
    ]
    apart = [n for n, each in found.answers.items() if each.prepared[0].whom]
    if apart:
        parts.append(
            f"{upper_first(listed(apart))} {'is' if len(apart) == 1 else 'are'} about another "
            "population and not compared with the others."
        )
    joint = found.agreement
    if joint is not None:
        parts.append(_joint(joint, places))
        if joint.level >= LEVEL:
            parts += readings(found)
        else:
            parts.append(
                "That speaks for the models of outcome and treatment; it says nothing of what all "
                "share, the graph."
            )
    if found.model is not None and not found.model.dims:
        parts.append(_model(found, places))
    return " ".join(parts)


def readings(found: Triangulation) -> list[str]:
    """Return what may be behind a disagreement, the likelier first."""
    table, said = found.table, []
    problem = found.problem
    sizes = {"treated": problem.treated.sum(), "control": problem.control.sum()}
    weighted = table[table["models"] != "outcome"]
    thin = [
        (row[f"ess_{arm}"] / size, name, arm, row[f"ess_{arm}"])
        for arm, size in sizes.items()
        for name, row in weighted.iterrows()
        if row[f"ess_{arm}"] < THIN * size
    ]
    if thin:
        _, name, arm, ess = min(thin)
        who = "treated" if arm == "treated" else "untreated"
        said.append(
            f"Overlap: in {name} the {sizes[arm]:,} {who} count as {ess:.0f}, so a few units carry "
            "the answer and its tails are long; the overlap population (ATO) rests on more."
        )
    heavy = weighted["largest_weight"].dropna()
    if len(heavy) and heavy.max() > CARRIES and min(sizes.values()) > 2 / CARRIES and not thin:
        said.append(
            f"Tail weights: one unit carries {heavy.max():.0%} of its arm in {heavy.idxmax()}."
        )
    far = [n for n, each in found.answers.items() if _extrapolates(each.prepared[0].notes)]
    if far:
        said.append(
            f"Extrapolation: {listed(far)} gives units negative weights, so it predicts beyond the "
            "data by the form of its equation."
        )
    said += _forms(found)
    left = weighted["balance"].dropna()
    if len(left) and left.max() > LEFT:
        said.append(
            f"Balance: after {left.idxmax()} a column still differs by "
            f"{significant(left.max(), 2)} standard deviations."
        )
    if not said:
        said.append(
            "Overlap, weights and balance give no reason; the form of the outcome's model, such as "
            "interactions or curves that it lacks, is what is left to look at."
        )
    return said


# ------------------------------------------------------------------------------- private


def _joint(joint: Agreement, places: int | None) -> str:
    first, second = joint.pair
    gap = number_text(joint.gap, places)
    spread = number_text(joint.sd, places)
    most = f"{first} and {second} differ most, by {gap} (sd {spread})"
    if joint.level >= LEVEL:
        return (
            "They do not agree within their uncertainty: the point where all are equal lies "
            f"outside their joint {_percent(joint.level)} region; {most}."
        )
    return (
        "They agree within their joint uncertainty (the point where all are equal lies inside "
        f"their joint {_percent(joint.level, up=True)} region): {most}."
    )


def _percent(level: float, *, up: bool = False) -> str:
    """Return a probability in whole percent, rounded away from what it would overstate."""
    percent = int(np.ceil(100 * level)) if up else int(np.floor(100 * level))
    return f"{min(max(percent, 1), 99)}%"


def _extrapolates(notes: tuple[str, ...]) -> bool:
    return any("negative weight" in note for note in notes)


def _forms(found: Triangulation) -> list[str]:
    """Return whether estimators by the outcome differ from those by the treatment."""
    groups: dict[str, list[np.ndarray]] = {"outcome": [], "treatment": [], "both": []}
    for each in found.answers.values():
        if not each.prepared[0].whom and each.estimator.models in groups:
            groups[each.estimator.models].append(np.ravel(each.effect.draws))
    if not groups["outcome"] or not groups["treatment"]:
        return []
    outcome, treatment = (np.mean(groups[k], axis=0) for k in ("outcome", "treatment"))
    apart = outcome - treatment
    if abs(apart.mean()) < 2 * apart.std():
        return []
    text = "Form: estimators that model the outcome differ from those that model the treatment"
    if not groups["both"]:
        return [f"{text}, so one of the models is wrong."]
    both = np.mean(groups["both"], axis=0)
    nearer = (
        "the outcome" if abs((both - outcome).mean()) < abs((both - treatment).mean())
        else "the treatment"
    )  # fmt: skip
    return [
        f"{text}, so one of the models is wrong; those that need one of them right side with "
        f"{nearer}'s."
    ]


def _model(found: Triangulation, places: int | None) -> str:
    assert found.model is not None
    low, high = found.model.interval(0.94)  # type: ignore[misc]
    value = float(found.model.mean())
    inside = [n for n, e in found.effects.items() if low <= float(e.mean()) <= high]
    said = f"The structural model says {number_text(value, places)}"
    if len(inside) == len(found.effects):
        return f"{said}; all estimates lie inside its 94% HDI."
    outside = [n for n in found.effects if n not in inside]
    return f"{said}; outside its 94% HDI: {listed(outside)}."
