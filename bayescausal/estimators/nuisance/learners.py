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
from bayescausal.estimators.problem.problem import Same
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from bayescausal.estimators.problem.problem import Problem

__all__ = [
    "Features",
    "Predictor",
    "as_learner",
    "chances_of",
    "check_learner",
    "features_of",
    "fitted_model",
    "fitted_together",
    "need_sklearn",
    "outcomes_of",
    "predicted",
    "target_of",
    "with_treatment",
]


type Features = np.ndarray | pd.DataFrame
"""What a model is fitted to: columns of numbers, or variables by name."""


class Predictor(Protocol):
    """A model that can be fitted and asked, as those of scikit-learn."""

    def fit(self, x: Features, y: np.ndarray, /) -> object:
        """Fit the model."""

    def predict(self, x: Features, /) -> ArrayLike:
        """Return predictions."""


def need_sklearn(what: str) -> None:
    """Refuse what needs scikit-learn where that is not installed.

    Raises EstimandError.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise EstimandError(
            f"{what} needs scikit-learn, which is not installed.",
            remedy="Install the extra: pip install 'bayescausal[ml]'.",
        )


def as_learner(problem: Problem, model: object, role: str) -> Predictor:
    """Return a model that can be fitted and asked for the means of a problem; refuse anything else.

    Where cells are empty and the model does not take that, it comes behind one that fills them.

    `role` ("outcome", "treatment" or "effect")
    Raises EstimandError for what cannot be fitted, and for a classifier whose predictions are
      levels and not means.
    """
    check_learner(model, role)
    found = cast("Predictor", model)
    if _classifies(found):
        numbers = role == "effect" or (role == "outcome" and not problem.binary)
        if numbers:
            what = "an effect" if role == "effect" else repr(problem.outcome)
            raise EstimandError(
                f"{role}={type(model).__name__} is a classifier: of {what}, a number, it predicts "
                "the likeliest value and not the mean.",
                expected="a model of numbers, as those of scikit-learn whose names end in "
                "Regressor.",
            )
        if not hasattr(found, "predict_proba"):
            raise EstimandError(
                f"{role}={type(model).__name__} predicts levels and no chances.",
                expected="a classifier with predict_proba.",
                remedy="Put it in sklearn's CalibratedClassifierCV, or take another.",
            )
    return _filling(problem, found)


def check_learner(model: object, role: str) -> None:
    """Refuse what cannot be fitted and asked.

    Raises EstimandError.
    """
    if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "predict")):
        raise EstimandError(
            f"{role}={model!r} cannot be fitted.",
            expected="'linear', 'logistic', or an object with fit and predict, as those of "
            "scikit-learn.",
            remedy="Pass an instance, not a class." if isinstance(model, type) else None,
        )


def features_of(problem: Problem, model: Predictor) -> Features:
    """Return what a model is fitted to: columns of numbers, or the variables by name."""
    if _by_name(model):
        return pd.DataFrame({n: problem.table[n] for n in problem.adjust or ()})
    return problem.x


def fitted_model(
    model: Predictor, x: Features, y: np.ndarray, where: str, **options: Any
) -> Predictor:
    """Return a fresh copy of a model, fitted; a failure is told by name.

    Raises DataError with what the model said.
    """
    own = _copied(model)
    steps = getattr(own, "steps", ())
    if steps:  # a pipeline hands weights to the step that it names
        options = {f"{steps[-1][0]}__{name}": value for name, value in options.items()}
    try:
        fit: Callable[..., object] = own.fit
        return cast("Predictor", fit(x, y, **options))
    except Exception as error:
        weightless = isinstance(error, TypeError) and "sample_weight" in str(error)
        raise DataError(
            f"{type(model).__name__} failed to fit {where}: {error}",
            remedy="Pass a model whose fit takes sample_weight."
            if weightless
            else "Fit it by itself to these columns, or pass another model.",
        ) from error


def fitted_together(
    problem: Problem, model: Predictor, x: Features, rows: np.ndarray, where: str
) -> Predictor:
    """Return one model of the outcome that reads the treatment, fitted to some units.

    Raises DataError if it fails.
    Raises EstimandError if it drops the column of the treatment, so that it knows of no effect.
    """
    both = with_treatment(problem, _rows(x, rows), problem.treated[rows])
    own = fitted_model(model, both, target_of(problem, rows, model), where)
    first = getattr(own, "steps", [("", None)])[0][1]
    if isinstance(both, pd.DataFrame) and hasattr(first, "transform"):
        some = _rows(x, rows[:1])
        one, zero = (first.transform(with_treatment(problem, some, np.array([v])))
                     for v in (1.0, 0.0))  # fmt: skip
        one, zero = (v.toarray() if hasattr(v, "toarray") else np.asarray(v) for v in (one, zero))
        if one.shape == zero.shape and (one == zero).all():
            raise EstimandError(
                f"{type(first).__name__} drops the column {problem.treatment!r}, so this model "
                "knows of no effect.",
                expected=f"a transformer that keeps it: name {problem.treatment!r}, or "
                "remainder='passthrough'.",
            )
    return own


def predicted(model: Predictor, x: Features, *, chance: bool) -> np.ndarray:
    """Return the predictions of a fitted model: the chance of 1 where that is asked."""
    if chance and hasattr(model, "predict_proba"):
        found = np.asarray(model.predict_proba(x), dtype=float)
        if found.ndim == 2 and found.shape[1] == 1:  # it has seen one level alone
            return np.full(len(found), float(np.ravel(getattr(model, "classes_", 1))[0]))
        return found[:, 1] if found.ndim == 2 else found
    return np.asarray(model.predict(x), dtype=float).reshape(len(x))


def chances_of(problem: Problem, model: object, folds: int) -> np.ndarray:
    """Return the propensity by a model, each fold predicted by fits to the others.

    Raises EstimandError if the model gives no chances.
    Raises DataError if it fails, or its chances are none.
    """
    return problem.once(("chances", Same(model), folds), lambda: _chances(problem, model, folds))


def outcomes_of(problem: Problem, model: object, folds: int, *, together: bool) -> np.ndarray:
    """Return the outcome predicted at both levels ``(2, unit)``, treated first.

    `together`: one model that reads the treatment as a column, instead of one for each arm.
    Raises DataError if the model fails.
    """
    return problem.once(
        ("outcomes", Same(model), folds, together),
        lambda: _outcomes(problem, model, folds, together),
    )


def with_treatment(problem: Problem, x: Features, treated: np.ndarray) -> Features:
    """Return features with the treatment in front, or by its name."""
    column = np.asarray(treated, dtype=float)
    if isinstance(x, pd.DataFrame):
        return x.assign(**{problem.treatment: column})
    return np.column_stack([column, x])


def target_of(problem: Problem, rows: np.ndarray, model: Predictor) -> np.ndarray:
    """Return outcomes of some units as a model takes them: a classifier's are whole numbers."""
    y = problem.y[rows]
    return y.astype(int) if problem.binary and hasattr(model, "predict_proba") else y


# ------------------------------------------------------------------------------- private


def _chances(problem: Problem, model: object, folds: int) -> np.ndarray:
    learner = as_learner(problem, model, "treatment")
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


def _outcomes(problem: Problem, model: object, folds: int, together: bool) -> np.ndarray:
    learner = as_learner(problem, model, "outcome")
    x = features_of(problem, learner)
    found = np.empty((2, problem.n))
    for number, (seen, asked) in enumerate(splits(folds_of(problem, folds))):
        if together:
            known = seen[problem.arm[seen] >= 0]
            where = f"{problem.outcome}, fold {number + 1}"
            own = fitted_together(problem, learner, x, known, where)
            for k, level in enumerate((1.0, 0.0)):
                there = with_treatment(problem, _rows(x, asked), np.full(len(asked), level))
                found[k, asked] = predicted(own, there, chance=problem.binary)
            continue
        for k, level in enumerate((1, 0)):
            known = seen[problem.arm[seen] == level]
            where = f"{problem.outcome} in the arm {_arm(level)}, fold {number + 1}"
            target = target_of(problem, known, learner)
            own = fitted_model(learner, _rows(x, known), target, where)
            found[k, asked] = predicted(own, _rows(x, asked), chance=problem.binary)
    if not np.isfinite(found).all():
        raise DataError(f"{type(model).__name__} predicts outcomes that are no finite numbers.")
    return found


def _arm(level: int) -> str:
    return "of the treated" if level else "of the untreated"


def _rows(x: Features, rows: np.ndarray) -> Features:
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]


def _by_name(model: Predictor) -> bool:
    """Whether a model takes the variables by name: a pipeline with a ColumnTransformer."""
    steps = getattr(model, "steps", ())
    return any(type(step).__name__ == "ColumnTransformer" for _, step in steps)


def _classifies(model: Predictor) -> bool:
    """Whether a model says of itself that it is a classifier."""
    if hasattr(model, "__sklearn_tags__") and importlib.util.find_spec("sklearn") is not None:
        tags = importlib.import_module("sklearn.utils").get_tags(model)
        return bool(tags.estimator_type == "classifier")
    return getattr(model, "_estimator_type", "") == "classifier"


def _copied(model: Predictor) -> Predictor:
    if hasattr(model, "get_params") and importlib.util.find_spec("sklearn") is not None:
        return cast("Predictor", importlib.import_module("sklearn.base").clone(model))
    return copy.deepcopy(model)


def _filling(problem: Problem, model: Predictor) -> Predictor:
    """Return the model, behind one that fills empty cells where it does not take them."""
    if _by_name(model) or np.isfinite(problem.x).all():
        return model
    if importlib.util.find_spec("sklearn") is None or not hasattr(model, "__sklearn_tags__"):
        return model
    if importlib.import_module("sklearn.utils").get_tags(model).input_tags.allow_nan:
        return model

    def compute() -> Predictor:
        filled = importlib.import_module("sklearn.impute").SimpleImputer(
            strategy="median", add_indicator=True
        )
        made = importlib.import_module("sklearn.pipeline").make_pipeline(filled, model)
        return cast("Predictor", made)

    return problem.once(("filled", Same(model)), compute)
