r"""The one rule by which a report decides.

With the 94% highest-density interval ``[a, b]`` of an effect and the value ``n`` of no effect, the
effect is *there* if the interval leaves ``n`` out, and the sign is that of the interval. Where a
region of practical equivalence ``[r, s]`` is given it takes the place of ``n`` [1]_: the effect is
there if the interval lies wholly outside, it is *practically none* if the interval lies wholly
inside, and otherwise nothing is decided. Nothing else in a report decides: probabilities of
direction are told, never compared with a threshold. An effect that is not identified is not
decided: its interval is narrow or wide as the prior and the form of the model make it.

References
----------
.. [1] J. K. Kruschke, "Rejecting or accepting parameter values in Bayesian estimation", Advances
   in Methods and Practices in Psychological Science 1 (2018), 270-280.
"""

from __future__ import annotations

__all__ = ["PROB", "decide", "rule"]

#: Probability of the intervals that a report decides by.
PROB = 0.94
#: Verdicts under which nothing is decided.
UNKNOWN = ("not identified", "undecided")


def decide(
    low: float,
    high: float,
    null: float | None,
    rope: tuple[float, float] | None = None,
    status: str = "",
) -> str:
    """Return what the interval of one number decides, in words; empty where nothing is asked.

    ``low``, ``high``: ends of the 94% HDI.
    ``null``: the value of no effect.
    ``rope``: region of practical equivalence.
    ``status``: of the identification. Where data cannot tell, an interval decides nothing.

    Examples
    --------
    >>> decide(0.2, 0.9, 0.0, status="not identified")
    'none: not identified'
    >>> decide(-0.45, -0.40, 0.0), decide(-0.1, 0.2, 0.0)
    ('below 0', 'undecided')
    >>> decide(-0.01, 0.02, 0.0, (-0.1, 0.1)), decide(0.05, 0.2, 0.0, (-0.1, 0.1))
    ('practically none', 'undecided')
    """
    if status in UNKNOWN and (rope is not None or null is not None):
        return f"none: {status}"
    if rope is not None:
        if low > rope[1]:
            return "above the ROPE"
        if high < rope[0]:
            return "below the ROPE"
        return "practically none" if low >= rope[0] and high <= rope[1] else "undecided"
    if null is None:
        return ""
    if low > null:
        return f"above {null:g}"
    return f"below {null:g}" if high < null else "undecided"


def rule(null: float | None, rope: tuple[float, float] | None = None) -> str:
    """Return the rule in a sentence."""
    name = f"{100 * PROB:.6g}% HDI"
    if rope is not None:
        return (
            f"Decided by the {name} and the region of practical equivalence (ROPE) from "
            f"{rope[0]:g} to {rope[1]:g}: an effect if the interval lies wholly outside, "
            "practically none if wholly inside, undecided otherwise."
        )
    if null is None:
        return "Nothing is decided: the number has no value that means no effect."
    return f"Decided if the whole {name} lies on one side of {null:g}, undecided otherwise."
