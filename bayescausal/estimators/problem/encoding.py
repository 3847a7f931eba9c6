"""Variables as columns of numbers, and which columns say nothing new.

A number is a column; true and false are 1 and 0; a category is an indicator of each level but the
first, in the order of its categories. A column that does not vary, or is a linear combination of
the columns before it, cannot be told from them: it is left out, and named. With all columns of a
category and a constant there is always one too many (the dummy-variable trap).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NOTHING_TO_ADJUST", "encode", "far_means", "independent", "is_number", "refuse_holes"]

#: Share of a column's own size below which what the others leave of it counts as nothing.
TOLERANCE = 1e-9
#: A column that is more of its standard deviations from zero is taken about its mean.
FAR = 100.0
#: How the note about columns without spread ends.
NOTHING_TO_ADJUST = "one value in these units, so there is nothing to adjust for."


def is_number(values: np.ndarray) -> bool:
    """Whether a column holds numbers or truth values."""
    return np.asarray(values).dtype.kind in "biuf"


def encode(
    columns: Mapping[str, np.ndarray],
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return a matrix of numbers, the names of its columns, and the variable each is made of.

    Empty cells stay NaN.

    Examples
    --------
    >>> import numpy as np
    >>> matrix, names, _ = encode({"age": np.array([3, 4]), "sex": np.array(["m", "f"])})
    >>> names, matrix.tolist()
    (('age', 'sex=m'), [[3.0, 1.0], [4.0, 0.0]])
    """
    parts: list[np.ndarray] = []
    names: list[str] = []
    origin: list[str] = []
    rows = 0
    for name, values in columns.items():
        rows = len(values)
        if is_number(values):
            parts.append(np.asarray(values, dtype=float))
            names.append(name)
            origin.append(name)
            continue
        coded = pd.Categorical(values)
        empty = coded.codes < 0
        for k, level in enumerate(coded.categories[1:], start=1):
            one = (coded.codes == k).astype(float)
            one[empty] = np.nan
            parts.append(one)
            names.append(f"{name}={level}")
            origin.append(name)
    matrix = np.stack(parts, axis=1) if parts else np.empty((rows, 0))
    return matrix, tuple(names), tuple(origin)


def far_means(x: np.ndarray) -> np.ndarray:
    """Return the means of columns that are far from zero for their spread, and 0 for the others.

    Products of such columns (times in seconds, years) hold few digits of how they vary; beside a
    constant a column and its distance from the mean say the same.

    Examples
    --------
    >>> import numpy as np
    >>> far_means(np.array([[1e6, 1.0], [1e6 + 2, 3.0]])).tolist()
    [1000001.0, 0.0]
    """
    held = np.isfinite(x)
    count = np.maximum(held.sum(axis=0), 1)
    mean = np.where(held, x, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(held, x - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.asarray(np.where(np.abs(mean) > FAR * spread, mean, 0.0))


def refuse_holes(x: np.ndarray, names: Sequence[str], what: str) -> None:
    """Refuse columns with empty cells, which `what` cannot use, naming them.

    Raises DataError.
    """
    whole = np.isfinite(x)
    if whole.all():
        return
    empty = [n for n, full in zip(names, whole.all(axis=0), strict=True) if not full]
    rows = int((~whole.all(axis=1)).sum())
    raise DataError(
        f"{', '.join(empty)}: empty cells in {rows:,} of {len(x):,} rows, which {what} cannot use.",
        expected="complete columns, or a model that takes empty cells.",
        remedy="Fill or drop them, or ask an estimator whose models take them, such as AIPW with "
        "sklearn's HistGradientBoosting models as outcome= and treatment=.",
    )


def independent(x: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which columns to keep beside a constant, and what is said of the others.

    Returns:
    - `kept` (int)
    - `notes`

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 5.0, 2.0], [2.0, 5.0, 4.0], [4.0, 5.0, 8.0]])
    >>> kept, notes = independent(x, ("a", "b", "c"))
    >>> kept.tolist(), len(notes)
    ([0], 2)
    """
    whole = np.isfinite(x).all(axis=1)
    centred = x[whole] - x[whole].mean(axis=0) if whole.any() else x[whole]
    size = np.sqrt((centred**2).sum(axis=0))
    scale = np.sqrt((x[whole] ** 2).sum(axis=0))
    constant = size <= TOLERANCE * np.maximum(scale, 1e-300)
    base = np.empty((len(centred), 0))
    kept, tied = [], []
    for j in range(x.shape[1]):
        if constant[j]:
            continue
        rest = centred[:, j] / size[j]
        for _ in range(2):  # twice: Gram-Schmidt loses digits once
            rest = rest - base @ (base.T @ rest)
        left = float(np.sqrt(rest @ rest))
        if left <= 1e-7:
            tied.append(j)
            continue
        base = np.column_stack([base, rest / left])
        kept.append(j)
    notes = []
    if constant.any():
        said = ", ".join(names[j] for j in np.flatnonzero(constant))
        notes.append(f"{said}: {NOTHING_TO_ADJUST}")
    if tied:
        said = ", ".join(names[j] for j in tied)
        notes.append(f"{said}: a linear combination of other columns, left out of regressions.")
    return np.asarray(kept, dtype=int), tuple(notes)
