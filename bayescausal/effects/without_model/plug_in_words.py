"""The name and the notes of an answer by formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescausal.effects.estimands.scales import EffectScale
    from bayescausal.effects.without_model.discrete import Cells, Thin

__all__ = ["name_of", "notes_of"]


def name_of(
    kind: str,
    question: Any,
    worlds: Sequence[dict[str, Any]],
    fixed: Mapping[str, Any],
    event: Any,
    scale: EffectScale,
) -> str:
    """Return what was asked and of which worlds: ``E[y | do(x=1)] - E[y | do(x=0)]``."""
    happens = event if isinstance(event, Mapping) or event is None else {question.outcome[0]: event}
    what = "E[{}]" if happens is None else "P({})"
    shown = ", ".join(
        question.outcome if happens is None else (f"{n}={v}" for n, v in happens.items())
    )
    after = "".join(f", {n}={v}" for n, v in fixed.items())
    terms = []
    for world in worlds:
        values = ", ".join(f"{n}={v}" for n, v in world.items())
        act = values if kind == "Association" else f"do({values})"
        terms.append(what.format(f"{shown} | {act}{after}"))
    if kind in ("ATT", "ATU", "NDE", "NIE", "PSE", "ATO"):
        first, second = (", ".join(f"{n}={v}" for n, v in w.items()) for w in worlds)
        return f"{kind}({first} against {second}; {shown}{after})" + (
            "" if scale.name == "difference" else f", {scale.name}"
        )
    return terms[0] if len(terms) == 1 else scale.text(*terms)


def notes_of(cells: Cells, prior: float, empirical: bool, sparse: Thin | None) -> tuple[str, ...]:
    """Say how much the prior of the cells weighs, and where the table is sparse."""
    if empirical:
        return ("The formula on the shares of the data: no posterior.",)
    total, weight = cells.counts.sum(), cells.pseudo_counts(prior)
    each = weight == prior * cells.counts.size
    notes = [
        f"The formula on the posterior of {cells.counts.size} cells, Dirichlet with "
        f"{prior if each else weight:g} pseudo-counts {'each' if each else 'in all'}; "
        f"{total:g} rows."
    ]
    if weight > 0.2 * total:
        notes.append(f"The prior weighs as much as {weight:g} rows: it speaks loudly.")
    if sparse is not None:
        notes.append(sparse.sentence())
    return tuple(notes)
