"""What other estimators say of the same questions, and what each rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.estimators.triangulate import triangulate
from bayescausal.reporting.page.blocks import Bullets, Picture, Section, Text, grid
from bayescausal.reporting.page.pictures import draw
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.estimators.estimator import Estimator
    from bayescausal.estimators.triangulation import Triangulation
    from bayescausal.reporting.contents.material import Material

__all__ = ["other_ways"]

NUMBERS = {
    "estimate": "on the data",
    "hdi94_lb": "94% HDI from",
    "hdi94_ub": "to",
    "ess_treated": "treated count as",
    "ess_control": "untreated count as",
    "largest_weight": "largest weight",
    "balance": "largest difference left",
}
SHARES = {"ess_treated": ".0f", "ess_control": ".0f", "largest_weight": ".1%", "balance": ".2f"}


def other_ways(
    material: Material, estimators: bool | Sequence[Estimator | str], seed: int
) -> Section:
    """Return a part for each question: the sentence, the table, the forest, the notes."""
    asked = None if isinstance(estimators, bool) else list(estimators)
    parts = []
    for heading, effect in zip(material.headings, material.effects, strict=True):
        try:
            found = triangulate(material.fit, effect, estimators=asked, seed=seed)
        except BayesCausalError as error:
            parts.append(Section(heading, (Text(f"No other estimator answers: {error}"),)))
            continue
        parts.append(Section(heading, _blocks(found)))  # type: ignore[arg-type]
    return Section(
        "Other ways to the same number",
        (
            Text(
                "The same graph, data, population and set to adjust for, with other modelling. The "
                "draws of all come from the same Bayesian-bootstrap weights.",
                "note",
            ),
        ),
        tuple(parts),
    )


def _blocks(found: Triangulation) -> tuple[Any, ...]:
    table = found.table
    columns = ["estimate", "mean", "sd", "hdi94_lb", "hdi94_ub"]
    rests = ["models", "assumes", "ess_treated", "ess_control", "largest_weight", "balance"]
    names = dict(NUMBERS)
    height = 1.3 + 0.4 * (len(table) + 1)
    blocks: list[Any] = [
        Text(found.sentence(), "lead"),
        grid(table, "Answers", first="estimator", columns=columns, names=names),
        grid(table[rests], "What they rest on", first="estimator", names=names, formats=SHARES),
        Picture(
            draw(lambda ax: found.plot(ax=ax), height=height),
            f"The estimators' answers. {found.sentence()}",
        ),
    ]
    notes = [f"{n}: {note}" for n, e in found.effects.items() for note in e.notes]
    notes += [f"{name} has no answer: {why}" for name, why in found.refused.items()]
    return (*blocks, Text("Notes:"), Bullets(tuple(notes)))
