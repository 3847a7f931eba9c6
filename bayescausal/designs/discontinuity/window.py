"""The rows that a discontinuity design reads, and which side each is on.

Refused are tables in which the cutoff says nothing: no rows on one side, a cutoff outside the
range, ties at the cutoff whose side nobody has said, too few different values for the curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.designs.discontinuity.bandwidth import KERNELS, kernel_weights, optimal_bandwidth
from bayescausal.designs.table import check_choice, labels, numbers, read_table, refuse_names
from bayescausal.inference.data.rows import as_pandas
from bayescausal.types import DataError

if TYPE_CHECKING:
    import pandas as pd

    from bayescausal.annotations import Data

__all__ = ["Window", "open_window"]


@dataclass(frozen=True, eq=False)
class Window:
    """The rows within the bandwidth, and how they were chosen."""

    table: pd.DataFrame  # all rows of the caller
    frame: pd.DataFrame  # the columns of the design in the rows that it reads
    outcome: str
    running: str
    treatment: str | None
    covariates: tuple[str, ...]
    cluster: str | None
    groups: tuple[object, ...]  # the labels that the codes of the cluster stand for
    cutoff: float
    bandwidth: float
    kernel: str
    chosen: bool  # whether the bandwidth was chosen by the rule
    side: str  # ("above" or "below") Which side is eligible
    ties: bool  # whether a unit exactly at the cutoff is eligible
    left_out: int  # rows without an outcome

    @property
    def distance(self) -> np.ndarray:
        """The running variable from the cutoff."""
        return np.asarray(self.frame[self.running], dtype=float) - self.cutoff

    @property
    def eligible(self) -> np.ndarray:
        """Whether the rule gives each row the treatment, 0 or 1."""
        return eligible_of(self.distance, self.side, self.ties)

    @property
    def weights(self) -> np.ndarray:
        """The kernel weight of each row."""
        return kernel_weights(self.distance, self.bandwidth, self.kernel)

    @property
    def rule(self) -> str:
        """Who is eligible, in symbols."""
        sign = {("above", True): ">=", ("above", False): ">", ("below", True): "<="}
        return f"{self.running} {sign.get((self.side, self.ties), '<')} {self.cutoff:g}"


def eligible_of(distance: np.ndarray, side: str, ties: bool) -> np.ndarray:
    """Return 1 where the rule gives the treatment."""
    beyond = distance if side == "above" else -distance
    return np.asarray(beyond >= 0 if ties else beyond > 0, dtype=int)


def open_window(
    data: Data,
    outcome: str,
    running: str,
    *,
    treatment: str | None,
    covariates: tuple[str, ...],
    cluster: str | None,
    cutoff: float,
    bandwidth: float | None,
    kernel: str,
    side: str,
    ties: str | None,
    order: int,
    rule: str,
) -> Window:
    """Read the table, choose the bandwidth if none is given, and keep the rows within it."""
    roles = {
        "outcome": outcome,
        "running": running,
        "treatment": treatment,
        "covariates": covariates,
        "cluster": cluster,
    }
    table = whole_table(data)
    frame = read_table(table, roles, missing="keep")
    refuse_names([*frame.columns, rule], own=("unit", "basis"))
    check_choice("kernel", kernel, tuple(KERNELS))
    check_choice("side", side, ("above", "below"))
    if not np.isfinite(cutoff):
        raise DataError(f"cutoff={cutoff!r}.", expected="A finite number.")
    for name in frame.columns:
        if name != cluster:
            frame[name] = numbers(frame, name, _role(roles, name))
    frame, empty = _complete(frame, outcome)
    distance = frame[running].to_numpy() - cutoff
    _refuse_one_side(distance, running, cutoff)
    tied = _who_is_tied(frame, distance, running, cutoff, treatment, side, ties)
    chosen = bandwidth is None
    if bandwidth is None:
        bandwidth = optimal_bandwidth(
            frame[running].to_numpy(), frame[outcome].to_numpy(), cutoff, kernel
        )
    if not bandwidth > 0:
        raise DataError(f"bandwidth={bandwidth!r}.", expected="a number above 0, or None.")
    if not np.isfinite(bandwidth) and kernel != "uniform":
        raise DataError(
            f"bandwidth={bandwidth!r} with kernel={kernel!r}: all rows would weigh the same.",
            remedy="Pass kernel='uniform' for all rows, or a finite bandwidth.",
        )
    frame = frame[kernel_weights(distance, bandwidth, kernel) > 0].reset_index(drop=True)
    groups: tuple[object, ...] = ()
    if cluster is not None:
        frame[cluster], groups = labels(frame, cluster, "cluster")
    window = Window(
        table=table,
        frame=frame,
        outcome=outcome,
        running=running,
        treatment=treatment,
        covariates=covariates,
        cluster=cluster,
        groups=groups,
        cutoff=float(cutoff),
        bandwidth=float(bandwidth),
        kernel=kernel,
        chosen=chosen,
        side=side,
        ties=tied,
        left_out=empty,
    )
    _refuse_thin(window, order)
    return window


def whole_table(data: Data) -> pd.DataFrame:
    """Return all columns of the caller as pandas."""
    if isinstance(data, Mapping):
        return read_table(data, {"data": [str(name) for name in data]}, missing="keep")
    return as_pandas(data).rename(columns=str).reset_index(drop=True)


def _role(roles: dict[str, str | tuple[str, ...] | None], column: str) -> str:
    """Return the argument that names a column."""
    return next(r for r, n in roles.items() if column == n or (n and column in n))


def _complete(frame: pd.DataFrame, outcome: str) -> tuple[pd.DataFrame, int]:
    """Leave out rows without an outcome, which say nothing of it; refuse other empty cells."""
    whole = frame[frame[outcome].notna()].reset_index(drop=True)
    counts = {str(c): int(n) for c, n in whole.isna().sum().items() if n}
    if counts:
        said = ", ".join(f"{name!r} {n:,}" for name, n in counts.items())
        raise DataError(
            f"{int(whole.isna().any(axis=1).sum()):,} of {len(whole):,} rows with an outcome have "
            f"an empty cell: {said}.",
            expected="A value in every cell but the outcome's.",
            remedy="Leave these rows out, data.dropna(subset=[...]), if being empty has nothing to "
            "do with the outcome.",
        )
    return whole, len(frame) - len(whole)


def _refuse_one_side(distance: np.ndarray, running: str, cutoff: float) -> None:
    if not len(distance):
        raise DataError("No row has an outcome.", expected="Rows with one.")
    low, high = distance.min() + cutoff, distance.max() + cutoff
    if not low <= cutoff <= high:
        raise DataError(
            f"The cutoff {cutoff:g} lies outside the range of {running!r}, {low:g} to {high:g}.",
            expected="a cutoff with rows on both sides.",
            remedy="Look at the unit of the running variable: a share, or a percentage?",
        )
    below, above = int((distance < 0).sum()), int((distance > 0).sum())
    if not below or not above:
        raise DataError(
            f"All {len(distance)} rows lie on one side of the cutoff {cutoff:g} of {running!r}: "
            f"{below} below, {above} above.",
            expected="rows on both sides.",
        )


def _who_is_tied(
    frame: pd.DataFrame,
    distance: np.ndarray,
    running: str,
    cutoff: float,
    treatment: str | None,
    side: str,
    ties: str | None,
) -> bool:
    """Return whether a unit exactly at the cutoff is eligible."""
    if ties is not None:
        check_choice("ties", ties, ("eligible", "not eligible"))
        return ties == "eligible"
    at = distance == 0
    if not at.any():
        return side == "above"
    if treatment is not None:
        at_cutoff, others = frame[treatment][at], frame[treatment][~at]
        rule = eligible_of(distance[~at], side, True)
        if at_cutoff.nunique() == 1 and np.array_equal(others, rule):
            return bool(at_cutoff.iloc[0] == 1)
    raise DataError(
        f"{int(at.sum())} rows have {running} exactly at the cutoff {cutoff:g}, and nothing says "
        "on which side they are.",
        remedy="Pass ties='eligible' or ties='not eligible', as the rule has it.",
    )


def _refuse_thin(window: Window, order: int) -> None:
    """Refuse a side with fewer different values than its curve has coefficients."""
    for name, side in (("not eligible", 0), ("eligible", 1)):
        inside = window.distance[window.eligible == side]
        values = len(np.unique(inside))
        if values < order + 1:
            raise DataError(
                f"Within {window.bandwidth:g} of the cutoff {window.cutoff:g} the side that is "
                f"{name} has {len(inside)} rows with {values} different values of "
                f"{window.running!r}.",
                expected=f"{order + 1} or more for a curve of order {order}.",
                remedy="Widen the bandwidth, or lower the order.",
            )
    if window.frame[window.outcome].nunique() < 2:
        raise DataError(
            f"{window.outcome!r} does not vary: it is {window.frame[window.outcome].iloc[0]:g} in "
            f"all {len(window.frame)} rows.",
            expected="an outcome that varies.",
        )
