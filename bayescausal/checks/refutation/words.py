"""What each refutation is called, and what passing and failing mean, in plain words.

A p-value of a refutation is read wrongly as often as not: a *large* one is what a right answer
gives. So every row says in words what it would mean to pass and to fail.
"""

from __future__ import annotations

__all__ = ["MEANING", "TESTS"]

#: The refutations: title, what passing means, what failing means.
TESTS: dict[str, tuple[str, str, str]] = {
    "permuted": (
        "placebo: shuffled",
        "a treatment that did nothing gets no effect",
        "an effect is found where there is none: it comes from the prior or the form of the model",
    ),
    "redrawn": (
        "placebo: redrawn",
        "a treatment that only shares its causes gets no effect: adjustment takes those out",
        "the adjustment leaves something of the common causes: the outcome's equation has the "
        "wrong form",
    ),
    "common_cause": (
        "random common cause",
        "a variable that is noise does not move the answer",
        "the answer moves when one more variable is adjusted for: too few units, or (for a column "
        "that was given) a confounder that the model left out",
    ),
    "zero": (
        "simulated: no effect",
        "no effect is found where the model itself says there is none",
        "fitting does not recover a zero that the model made: the priors or the sampler decide",
    ),
    "planted": (
        "simulated: planted effect",
        "an effect that was put in comes out",
        "fitting does not recover an effect that the model made: the priors or the sampler decide",
    ),
    "subset": (
        "subset of units",
        "the answer does not hang on some of the units",
        "parts of the data disagree by more than their size explains: units differ in ways that "
        "the model does not know, or are not independent",
    ),
    "bootstrap": (
        "bootstrap of units",
        "the answer is as uncertain as the data say",
        "the answer moves more than its posterior sd allows: the posterior is too narrow (uneven "
        "variances, dependent units)",
    ),
    "clusters": (
        "cluster left out",
        "no cluster makes the answer alone",
        "one cluster makes the answer: look at it, or model clusters",
    ),
    "negative_control": (
        "negative control",
        "an outcome that the treatment cannot change is not changed",
        "the treatment seems to change what it cannot: a common cause of both is left out",
    ),
}

MEANING = {
    "pass": "The answer behaves as one that the treatment made. A common cause that nobody "
    "measured would pass too: see hidden_confounder.",
    "warn": "A refutation is borderline, also when made again with more refits. Look at what it "
    "says before the answer is used.",
    "fail": "The answer does what one made by the treatment would not do. Mend that before it is "
    "used.",
    "undecided": "Too few refutations could be made: nothing is known from them either way.",
}
