"""Labels of categories in a world, and the codes that the model holds in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.types import EstimandError, Intervention, Set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.inference.record import Fit

__all__ = ["coded_levels", "encode", "labels_or_codes"]


def encode(fit: Fit, name: str, label: object) -> Any:
    """Return the code of a category's label; other values as they are.

    Raises
    ------
    EstimandError
        If the variable has labels and this is none of them.
    """
    labels = list(fit.labels.get(name, ()))
    if not labels:
        if isinstance(label, str):
            raise EstimandError(
                f"{name!r} has no categories with labels, so {label!r} cannot be one.",
                expected="a number.",
            )
        return label
    if label in labels:
        return labels.index(label)
    raise EstimandError(
        f"{label!r} is not a category of {name!r}.",
        expected=f"one of {', '.join(map(str, labels))}.",
        remedy="Name the levels that are compared; where none are named they are 1 and 0.",
    )


def coded_levels(fit: Fit, do: Mapping[str, Any]) -> dict[str, Any]:
    """Return a world with labels of categories, one or one for each unit, as codes.

    Numbers for each unit are codes where the labels are text.
    """
    return {name: _coded(fit, name, act) if name in fit.labels else act for name, act in do.items()}


def labels_or_codes(fit: Fit, do: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a world as it was written, with labels as codes; one number may be a code too."""
    if not isinstance(do, Mapping):
        return do  # refused in words where it is read
    coded = dict(do)
    for key, act in do.items():
        name = str(getattr(key, "name", key))
        if name not in fit.labels or (isinstance(act, Intervention) and not isinstance(act, Set)):
            continue
        value = act.value if isinstance(act, Set) else act
        if not (np.ndim(value) == 0 and _are_codes(fit.labels[name], np.asarray(value))):
            coded[key] = _coded(fit, name, Set(value))
    return coded


def _coded(fit: Fit, name: str, act: Any) -> Any:
    if not isinstance(act, Set):
        return act
    value = np.asarray(act.value)
    if value.ndim == 0:
        return Set(encode(fit, name, value.item()))
    if _are_codes(fit.labels[name], value):
        return act
    each = value.ravel().tolist()
    codes = {label: encode(fit, name, label) for label in dict.fromkeys(each)}
    return Set(np.array([codes[label] for label in each]).reshape(value.shape))


def _are_codes(labels: Sequence[object], value: np.ndarray) -> bool:
    """Whether these are numbers, while the labels are text."""
    return value.dtype.kind in "biuf" and all(isinstance(label, str) for label in labels)
