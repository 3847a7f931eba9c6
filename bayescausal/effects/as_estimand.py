"""What is asked, however it is handed over: an estimand, or an answer that carries its own.

Every function that takes a question takes an :class:`~bayescausal.effects.effect.Effect` too, and
asks again what the effect answered: ``refute(fit, ate)`` is ``refute(fit, ATE("x", "y"))``. This is
the one place where a question is read.
"""

from __future__ import annotations

from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.model.graph_queries.graph_of_anything import question_in
from bayescausal.types import EstimandError

__all__ = ["as_estimand", "as_estimands", "not_asked"]


def as_estimand(given: object) -> Estimand:
    """Return the question of whatever carries one.

    `given` (Estimand, Effect or Exercise): a question, an answer, or an exercise with its question.
    Raises EstimandError if there is no question in it: something else, or an effect that was made
      of others.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import ATE
    >>> as_estimand(Effect([1.0, 2.0], ATE("x", "y")))
    ATE('x', 'y')
    """
    found = question_in(given)
    if not isinstance(found, Estimand):
        raise not_asked(given)
    return found


def as_estimands(given: object) -> list[Estimand]:
    """Return the questions of one question or of a sequence of them.

    Examples
    --------
    >>> from bayescausal.effects.estimands import ATE
    >>> as_estimands([ATE("x", "y")])
    [ATE('x', 'y')]
    """
    found = question_in(given)
    if isinstance(found, Estimand):
        return [found]
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        raise not_asked(given)
    asked = [as_estimand(each) for each in given]
    if not asked:
        raise EstimandError("No question was asked.", expected="one estimand at least.")
    return asked


def not_asked(given: object) -> EstimandError:
    """Build the error for something that is no question.

    Examples
    --------
    >>> print(not_asked(3).found)
    Found 3 where a question is needed.
    """
    if hasattr(given, "posterior") and hasattr(given, "structure"):
        return EstimandError(
            "Found a Fit where a question is needed.",
            expected="the fit first, then an estimand, such as ATE('treatment', 'outcome').",
            remedy="Exchange the two arguments.",
        )
    shown = repr(given)
    shown = shown if len(shown) <= 80 else f"a {type(given).__name__}"
    return EstimandError(
        f"Found {shown} where a question is needed.",
        expected="an estimand, such as ATE('treatment', 'outcome'), its answer, or a list of them.",
    )
