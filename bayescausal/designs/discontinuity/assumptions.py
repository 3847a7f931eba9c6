"""What a discontinuity design assumes, in words of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.designs.discontinuity.cutoff_checks import is_discrete
from bayescausal.model.design import Assumption

if TYPE_CHECKING:
    from bayescausal.designs.discontinuity.side_models import Form
    from bayescausal.designs.discontinuity.window import Window

__all__ = ["assumptions_of"]


def assumptions_of(window: Window, form: Form, fuzzy: bool, strata: bool) -> tuple[Assumption, ...]:
    """Return the assumptions, each with the check that speaks to it."""
    outcome, running, cutoff = window.outcome, window.running, f"{window.cutoff:g}"
    moved = "change slope" if form.kink else "jump"
    found = [
        Assumption(
            "continuity",
            f"Without the treatment the mean of {outcome} would not {moved} at {running} = "
            f"{cutoff}; neither would what the same units are like otherwise.",
            "balance",
        ),
        Assumption(
            "no manipulation",
            f"Units do not choose on which side of {cutoff} their {running} falls.",
            "density",
        ),
        Assumption("form", _form_in_words(window, form), "bandwidths"),
    ]
    if window.kernel != "uniform":
        found.append(
            Assumption(
                "noise",
                f"Kernel weights w ({window.kernel}) stand for noise of standard deviation sigma / "
                f"sqrt(w): {outcome} scatters more, the farther {running} is from {cutoff}.",
                "least_squares",
            )
        )
    if is_discrete(window):
        found.append(
            Assumption(
                "discrete running variable",
                f"{running} has {window.frame[running].nunique()} different values in "
                f"{len(window.frame):,} rows: the effect at {cutoff} rests on the curve between "
                "the values nearest to it.",
                "mass_points",
            )
        )
    if fuzzy:
        found += _of_instrument(window, form, strata)
    return tuple(found)


def _of_instrument(window: Window, form: Form, strata: bool) -> list[Assumption]:
    treatment, outcome = window.treatment, window.outcome
    found = [
        Assumption(
            "relevance",
            f"{treatment} {'changes slope' if form.kink else 'jumps'} at {window.running} = "
            f"{window.cutoff:g}.",
            "first_stage",
        ),
        Assumption(
            "exclusion",
            f"Being on that side of the cutoff changes {outcome} through {treatment} alone.",
            "",
        ),
    ]
    if strata:
        text = f"Nobody takes {treatment} because the rule does not give it (no defiers)."
        return [*found, Assumption("monotonicity", text, "first_stage")]
    text = (
        f"{treatment} has one effect on {outcome}, or, where effects differ, nobody takes it "
        "because the rule does not give it: the effect is then that on compliers at the cutoff."
    )
    return [*found, Assumption("homogeneity or monotonicity", text, "first_stage")]


def _form_in_words(window: Window, form: Form) -> str:
    """Return the curve, the rows that it is fitted to, and who chose them."""
    rule = window.eligible
    counts = f"{int((rule == 0).sum()):,} rows not eligible and {int(rule.sum()):,} eligible"
    curve = {1: "A straight line", 2: "A parabola"}.get(
        form.order, f"A polynomial of order {form.order}"
    )
    if form.smooth:
        curve = "A Gaussian process around a straight line"
    width = "to all rows"
    if np.isfinite(window.bandwidth):
        width = f"within {window.bandwidth:.4g} of the cutoff"
        if window.chosen:
            width += " (the rule of Imbens and Kalyanaraman)"
    words = (
        f"{curve} on each side, {width}: {counts}; eligible where {window.rule}. Kernel: "
        f"{window.kernel}."
    )
    if window.left_out:
        words += f" {window.left_out:,} rows without {window.outcome} are left out."
    return words
