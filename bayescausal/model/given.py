"""A model, or a design that holds one: the one place where a design becomes what a verb needs.

A design stands above the structure of models (it shows its graph), so here it is known by what it
offers, and not by its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pymc as pm

    from bayescausal.model.design import Design

__all__ = ["design_in", "keep_columns", "model_of", "without_column"]

#: What a design offers, and nothing else that a verb is given.
_OFFERS = ("model", "data", "effects", "assumptions", "checks", "plots")


def design_in(given: object) -> Design | None:
    """Return the design that was given in the place of a model, or None.

    Examples
    --------
    >>> design_in("x -> y") is None
    True
    """
    return cast("Design", given) if all(hasattr(given, name) for name in _OFFERS) else None


def model_of[Given](given: Design | Given) -> pm.Model | Given:
    """Return the model of a design; whatever else is given as it is.

    Examples
    --------
    >>> import bayescausal as bc
    >>> model = bc.model_from_formulas(["x ~ 1", "y ~ x"])
    >>> design = bc.Design("two variables", model, {"x": [0.0], "y": [1.0]}, {})
    >>> model_of(design) is model, model_of(model) is model
    (True, True)
    """
    design = design_in(given)
    return cast("Given", given) if design is None else design.model


#: Of the models of designs: the random variables that the design has no column of.
_WITHOUT: WeakKeyDictionary[pm.Model, frozenset[str]] = WeakKeyDictionary()


def keep_columns(model: pm.Model, columns: Iterable[str]) -> None:
    """Keep in mind of which of a model's variables a design has columns."""
    named = {str(name) for name in columns}
    _WITHOUT[model] = frozenset(v.name for v in model.free_RVs if v.name not in named)


def without_column(given: object) -> frozenset[str]:
    """Return the variables (and parameters) of a design's model that it has no column of.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     u = pm.Normal("u", dims="unit")
    ...     y = pm.Normal("y", u, dims="unit")
    >>> design = bc.Design("one column", model, {"y": [1.0]}, {})
    >>> without_column(model)
    frozenset({'u'})
    """
    try:
        return _WITHOUT.get(cast("pm.Model", given), frozenset())
    except TypeError:  # no weak reference to it: no model
        return frozenset()
