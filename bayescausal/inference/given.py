"""What a function was given where it needs a fit: a Fit, or what to do about it.

A trace has no equations and a model has no draws, so neither answers a question alone. A pair of
them does: :class:`~bayescausal.inference.record.Fit` checks that they belong together.
"""

from __future__ import annotations

import xarray as xr

from bayescausal.inference.record import Fit
from bayescausal.model.graph_queries.graph_of_anything import is_model, question_in
from bayescausal.types import FitMismatchError

__all__ = ["as_fit", "instead_of_fit"]


def as_fit(given: object, verb: str) -> Fit:
    """Return a fit, or refuse what stands in its place, saying how to make one of it.

    `verb` is the function that needs it.

    Examples
    --------
    >>> try:
    ...     as_fit({"b": [[0.1, 0.2]]}, "estimate")
    ... except ValueError as error:
    ...     print(error.found)
    estimate() was given a trace (a dict), which has no equations.
    """
    if isinstance(given, Fit):
        return given
    found, remedy = instead_of_fit(given)
    raise FitMismatchError(
        f"{verb}() was given {found}.",
        expected="a Fit, from bc.fit, bc.prior, bc.truth or bc.Fit.",
        remedy=remedy,
    )


def instead_of_fit(given: object) -> tuple[str, str | None]:
    """Say what stands in the place of a fit, and what to do about it.

    Examples
    --------
    >>> instead_of_fit(3)
    ('int in the place of a fit', None)
    """
    kind = type(given).__name__
    first = given[0] if isinstance(given, list | tuple) and given else given
    if question_in(first) is not None:
        return "a question in the place of a fit", "Exchange the arguments: the fit comes first."
    if is_model(given):
        return (
            "a model, which has no draws",
            "Fit it: bc.fit(model, data); or pair it with a trace of your own: "
            "bc.Fit(model, trace). Without data: bc.prior(model), bc.truth(model, parameters).",
        )
    if isinstance(given, xr.DataTree | xr.Dataset | dict) or hasattr(given, "posterior"):
        return (
            f"a trace (a {kind}), which has no equations",
            "Pair it with its model: bc.Fit(model, trace), or bc.Fit(model, trace, data) where "
            "the model was not conditioned on its data.",
        )
    if hasattr(given, "columns") or hasattr(given, "column_names"):
        return f"data (a {kind}), which have no equations", "Fit a model: bc.fit(model, data)."
    if isinstance(given, str) or hasattr(given, "predecessors"):
        return (
            "a graph, which has no equations",
            "Fit a model: bc.fit(model, data). What a graph alone says is answered by "
            "bc.identify, bc.paths and bc.roles.",
        )
    return f"{kind} in the place of a fit", None
