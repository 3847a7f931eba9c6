"""Which rival graphs no data tell apart, and how weight is divided among them.

Graphs over the same measured variables that imply the same independences form a *Markov
equivalence class* [1]_: every distribution that one of them can describe the others can, so that a
difference of their scores is about priors, equations and noise. The weight of a class is what
stacking gives to its models together. It is divided among the *graphs* of the class by weights that
were stated beforehand, and among models with one and the same graph, which differ in equations that
data can judge, by their stacking weights.

*When it fails.* With latent variables the same independences may go with different inequalities and
Verma constraints, which data could tell apart; these are not looked for.

References
----------
.. [1] T. Verma and J. Pearl, "Equivalence and synthesis of causal models", UAI 1990.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from bayescausal.model.graph_queries.queries import compare_graphs
from bayescausal.types import EstimandError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from bayescausal.graph.structure.compare import Comparison
    from bayescausal.inference.record import Fit

__all__ = ["divided", "equivalence_classes", "equivalent_pairs", "stated_weights"]


def stated_weights(
    named: Mapping[str, Fit], weights: Mapping[str, float] | None
) -> dict[str, float] | None:
    """Return the weights that were stated beforehand, checked.

    Raises EstimandError if they are not a positive number for each model; UnknownVariableError if
        one is for no model.
    """
    if weights is None:
        return None
    if not hasattr(weights, "items"):
        raise EstimandError(f"weights={weights!r}.", expected="a number for each model, by name.")
    for name in weights:
        if name not in named:
            raise unknown_variable(str(name), named, what="one of the models")
    for name in named:
        value = weights.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value < math.inf
        ):
            raise EstimandError(
                f"The weight of {name!r} is {value!r}.", expected="a number above 0 for each model."
            )
    return {name: float(weights[name]) for name in named}


def equivalent_pairs(named: Mapping[str, Fit]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of models whose graphs imply the same independences and are not the same."""
    return tuple(
        (a, b)
        for (a, one), (b, other) in itertools.combinations(named.items(), 2)
        if _alike(compare_graphs(one, other)) == "equivalent"
    )


def equivalence_classes(named: Mapping[str, Fit]) -> list[list[list[str]]]:
    """Return the classes of several graphs: for each its graphs, for each graph its models.

    Result: a class with one graph is left out: data can judge its equations.
    """
    graphs: list[list[str]] = []
    for name, fit in named.items():
        for models in graphs:
            if _alike(compare_graphs(named[models[0]], fit)) == "same":
                models.append(name)
                break
        else:
            graphs.append([name])
    classes: list[list[list[str]]] = []
    for models in graphs:
        own = named[models[0]]
        for found in classes:
            other = named[found[0][0]]
            if _measured(own) == _measured(other) and _alike(compare_graphs(other, own)):
                found.append(models)
                break
        else:
            classes.append([models])
    return [found for found in classes if len(found) > 1]


def divided(
    stacking: pd.Series,
    classes: Sequence[Sequence[Sequence[str]]],
    stated: Mapping[str, float] | None,
) -> pd.Series:
    """Return the weights of models: inside a class as stated beforehand.

    ``stacking``: stacking weights, by model.
    ``classes``: as :func:`equivalence_classes` gives them.
    ``stated``: default: equal for each graph of a class.

    Examples
    --------
    >>> import pandas as pd
    >>> divided(pd.Series({"a": 0.9, "b": 0.0, "c": 0.1}), [[["a"], ["b"]]], None).tolist()
    [0.45, 0.45, 0.1]
    """
    weights = stacking.clip(lower=0.0)
    weights = weights / weights.sum()
    result = weights.copy()
    for graphs in classes:
        members = [name for models in graphs for name in models]
        total = float(weights[members].sum())
        if stated is not None:
            share = {name: stated[name] for name in members}
        else:
            share = {}
            for models in graphs:
                own = {name: float(weights[name]) for name in models}
                whole = sum(own.values())
                share |= {n: w / whole if whole > 0 else 1 / len(own) for n, w in own.items()}
        for name in members:
            result[name] = total * share[name] / sum(share.values())
    return result


# ------------------------------------------------------------------------------- private


def _alike(found: Comparison) -> str:
    if found:
        return "same"
    return "" if found.claims_left or found.claims_right else "equivalent"


def _measured(fit: Fit) -> frozenset[str]:
    return frozenset(fit.structure.graph) - frozenset(fit.latent)
