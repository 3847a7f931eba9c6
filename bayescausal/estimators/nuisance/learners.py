"""Models with ``fit`` and ``predict`` as models of outcome and treatment.

Any object of scikit-learn's form serves: it is cloned, fitted to some folds and asked about others.
A pipeline with a ColumnTransformer gets the variables by name as they came; everything else gets
the columns of numbers, in which categories are indicators. Where cells are empty and the model
does not take that, they are filled by the column's median, with an indicator of having been empty.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import pandas as pd

from bayescausal.estimators.nuisance.folds import folds_of, splits
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from bayescausal.estimators.problem.problem import Problem

__all__ = [
    "Features",
    "Learner",
    "as_learner",
    "chances_of",
    "features_of",
    "fitted_model",
    "need_sklearn",
    "outcomes_of",
    "predicted",
]


type Features = np.ndarray | pd.DataFrame
"""What a model is fitted to: columns of numbers, or variables by name."""


class Learner(Protocol):
    """A model that can be fitted and asked, as those of scikit-learn."""

    def fit(self, x: Features, y: np.ndarray, /) -> object:
        """Fit the model."""

    def predict(self, x: Features, /) -> ArrayLike:
        """Return predictions."""


def need_sklearn(what: str) -> None:
    """Refuse what needs scikit-learn where that is not installed.

    Raises
    ------
    EstimandError
    """
    if importlib.util.find_spec("sklearn") is None:
        raise EstimandError(
            f"{what} needs scikit-learn, which is not installed.",
            remedy="Install the extra: pip install 'bayescausal[ml]'.",
        )


def as_learner(model: object, role: str) -> Learner:
    """Return a model that can be fitted and asked; refuse anything else.

    Raises
    ------
    EstimandError
    """
    if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "predict")):
        raise EstimandError(
            f"{role}={model!r} cannot be fitted.",
            expected="'linear', 'logistic', or an object with fit and predict, as those of "
            "scikit-learn.",
            remedy="Pass an instance, not a class." if isinstance(model, type) else None,
        )
    return cast("Learner", model)


def features_of(problem: Problem, model: Learner) -> Features:
    """Return what a model is fitted to: columns of numbers, or the variables by name."""
    steps = getattr(model, "steps", ())
    if any(type(step).__name__ == "ColumnTransformer" for _, step in steps):
        return pd.DataFrame({n: problem.table[n] for n in problem.adjust or ()})
    return problem.x


def fitted_model(model: Learner, x: Features, y: np.ndarray, where: str, **options: Any) -> Learner:
    """Return a fresh copy of a model, fitted; a failure is told by name.

    Raises
    ------
    DataError
        With what the model said.
    """
    own = _ready(_copied(model), x)
    try:
        fit: Callable[..., object] = own.fit
        return cast("Learner", fit(x, y, **options))
    except Exception as error:
        raise DataError(
            f"{type(model).__name__} failed to fit {where}: {error}",
            remedy="Fit it by itself to these columns, or pass another model.",
        ) from error


def predicted(model: Learner, x: Features, *, chance: bool) -> np.ndarray:
    """Return the predictions of a fitted model: the chance of 1 where that is asked."""
    if chance and hasattr(model, "predict_proba"):
        found = np.asarray(model.predict_proba(x), dtype=float)
        return found[:, 1] if found.ndim == 2 else found
    return np.asarray(model.predict(x), dtype=float).reshape(len(x))


def chances_of(problem: Problem, model: object, folds: int) -> np.ndarray:
    """Return the propensity by a model, each fold predicted by fits to the others.

    Raises
    ------
    EstimandError
        If the model gives no chances.
    DataError
        If it fails, or its chances are none.
    """
    learner = as_learner(model, "treatment")
    x, t = features_of(problem, learner), problem.treated.astype(int)
    found = np.empty(problem.n)
    for number, (seen, asked) in enumerate(splits(folds_of(problem, folds))):
        where = f"the chance of {problem.treatment}, fold {number + 1}"
        own = fitted_model(learner, _rows(x, seen), t[seen], where)
        found[asked] = predicted(own, _rows(x, asked), chance=True)
    if not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        raise DataError(
            f"{type(model).__name__} gives chances from {np.nanmin(found):.3g} to "
            f"{np.nanmax(found):.3g}.",
            expected="chances between 0 and 1: a classifier with predict_proba.",
        )
    return found


def outcomes_of(problem: Problem, model: object, folds: int, *, together: bool) -> np.ndarray:
    """Return the outcome predicted at both levels ``(2, unit)``, treated first.

    Parameters
    ----------
    together : bool
        One model that reads the treatment as a column, instead of one for each arm.

    Raises
    ------
    DataError
        If the model fails.
    """
    learner = as_learner(model, "outcome")
    x, y = features_of(problem, learner), problem.y
    found = np.empty((2, problem.n))
    for number, (seen, asked) in enumerate(splits(folds_of(problem, folds))):
        if together:
            known = seen[problem.arm[seen] >= 0]
            where = f"{problem.outcome}, fold {number + 1}"
            own = fitted_model(learner, with_treatment(_rows(x, known), problem.treated[known]),
                               _target(problem, y[known], learner), where)  # fmt: skip
            for k, level in enumerate((1.0, 0.0)):
                there = with_treatment(_rows(x, asked), np.full(len(asked), level))
                found[k, asked] = predicted(own, there, chance=problem.binary)
            continue
        for k, level in enumerate((1, 0)):
            known = seen[problem.arm[seen] == level]
            where = f"{problem.outcome} in the arm {_arm(level)}, fold {number + 1}"
            own = fitted_model(learner, _rows(x, known), _target(problem, y[known], learner), where)
            found[k, asked] = predicted(own, _rows(x, asked), chance=problem.binary)
    if not np.isfinite(found).all():
        raise DataError(f"{type(model).__name__} predicts outcomes that are no finite numbers.")
    return found


def with_treatment(x: Features, treated: np.ndarray) -> Features:
    """Return features with the treatment in front."""
    column = np.asarray(treated, dtype=float)
    if isinstance(x, pd.DataFrame):
        return x.assign(treatment=column)
    return np.column_stack([column, x])


# ------------------------------------------------------------------------------- private


def _arm(level: int) -> str:
    return "of the treated" if level else "of the untreated"


def _target(problem: Problem, y: np.ndarray, model: Learner) -> np.ndarray:
    """Return outcomes as a classifier takes them: whole numbers."""
    return y.astype(int) if problem.binary and hasattr(model, "predict_proba") else y


def _rows(x: Features, rows: np.ndarray) -> Features:
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]


def _copied(model: Learner) -> Learner:
    if hasattr(model, "get_params") and importlib.util.find_spec("sklearn") is not None:
        return cast("Learner", importlib.import_module("sklearn.base").clone(model))
    return copy.deepcopy(model)


def _ready(model: Learner, x: Features) -> Learner:
    """Return the model, behind one that fills empty cells where it does not take them."""
    if isinstance(x, pd.DataFrame) or np.isfinite(x).all():
        return model
    if importlib.util.find_spec("sklearn") is None or not hasattr(model, "__sklearn_tags__"):
        return model
    tags = importlib.import_module("sklearn.utils").get_tags(model)
    if tags.input_tags.allow_nan:
        return model
    filled = importlib.import_module("sklearn.impute").SimpleImputer(
        strategy="median", add_indicator=True
    )
    made = importlib.import_module("sklearn.pipeline").make_pipeline(filled, model)
    return cast("Learner", made)
