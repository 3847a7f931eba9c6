"""Labels of categories in a world, and the codes that the model holds in their place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Variable

from bayescausal.model.interventions.policy_words import read_as_words
from bayescausal.types import EstimandError, Intervention, Policy, Set

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


def coded_levels(fit: Fit, do: Mapping[str, Intervention]) -> dict[str, Intervention]:
    """Return a world with labels of categories, one or one for each unit, as codes.

    Numbers for each unit are codes where the labels are text. Rules read and return labels.
    """
    return {name: _coded(fit, name, act) for name, act in do.items()}


def labels_or_codes(fit: Fit, do: Mapping[str, object]) -> Mapping[str, object]:
    """Return a world as it was written, with labels as codes; one number may be a code too."""
    if not isinstance(do, Mapping):
        return do  # refused in words where it is read
    coded = dict(do)
    for key, act in do.items():
        name = str(getattr(key, "name", key))
        made = act if isinstance(act, Intervention) else Set(act)
        if made is not act and name not in fit.labels:
            continue
        single = isinstance(made, Set) and np.ndim(made.value) == 0
        if not (single and _are_codes(fit.labels.get(name, ()), np.asarray(made.value))):
            coded[key] = _coded(fit, name, made)
    return coded


def _coded(fit: Fit, name: str, act: Intervention) -> Intervention:
    if isinstance(act, Policy):
        return _labelled(fit, name, act)
    if not isinstance(act, Set) or name not in fit.labels:
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
    return value.dtype.kind in "biuf" and _text(labels)


def _labelled(fit: Fit, name: str, policy: Policy) -> Policy:
    """Return a rule that is given labels where it means labels, and whose labels become codes.

    Labels that are text may be meant by their codes, too: what the rule compares them with tells.
    """
    reads, function = policy.reads or (), policy.function
    words = read_as_words(function, reads, lambda r: fit.labels.get(r, ()))
    tables = {
        r: np.asarray(fit.labels[r])
        for r in reads
        if r in fit.labels and (r in words or not _text(fit.labels[r]))
    }
    if not tables and name not in fit.labels:
        return policy

    @wraps(function)
    def rule(*values: object) -> object:
        if tables and any(isinstance(v, Variable) for v in values):
            raise TypeError("labels are looked up in arrays")
        given = [
            tables[r][np.asarray(v).astype(int)] if r in tables else v
            for r, v in zip(reads, values, strict=True)
        ]
        found = function(*given)
        if name not in fit.labels or isinstance(found, Variable):
            return found
        if _are_codes(fit.labels[name], np.asarray(found)):
            return found
        made = _coded(fit, name, Set(found))
        return made.value if isinstance(made, Set) else found

    vars(rule)["words"] = frozenset(words)
    return Policy(rule, reads=reads)


def _text(labels: Sequence[object]) -> bool:
    return all(isinstance(label, str) for label in labels)
