r"""One question put to data: the record that every estimator is given.

Estimators differ in what they model, not in what they are asked. All get the same units, the same
two arms, the same set to adjust for, the same population and the same Bayesian-bootstrap weights;
so where their answers differ, it is the modelling that differs.

The population is a weight :math:`g_i` of each unit: 1 for everyone, :math:`T_i` for the treated,
:math:`1 - T_i` for the untreated, :math:`e_i (1 - e_i)` for the overlap population, with
:math:`e_i` the estimated propensity [1]_. The answer is the scale of the two means

.. math:: E_g[Y_1] = \frac{\sum_i g_i w_i\, E[Y_1 \mid x_i]}{\sum_i g_i w_i}, \qquad E_g[Y_0].

A subgroup (``given``, ``by``) is a problem of its own: its units alone.

References
----------
.. [1] F. Li, K. L. Morgan and A. M. Zaslavsky, "Balancing covariates via propensity score
   weighting", Journal of the American Statistical Association 113 (2018), 390-400.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.estimators.problem.encoding import encode
from bayescausal.types import DataError, EmptySubgroupError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.estimators.problem.target import TargetRows
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["GROUPS", "Problem", "Same", "clustered_error"]

#: Whom each question is about, as the estimators know it.
GROUPS = {
    "ATE": "all",
    "TE": "all",
    "CATE": "all",
    "ATT": "treated",
    "ATU": "control",
    "ATO": "overlap",
}


@dataclass(frozen=True, eq=False)
class Same:
    """One object as part of a key: itself and no other of the same text or options.

    It is held, so that its place in memory is given to no other.
    """

    what: object

    def __hash__(self) -> int:
        return id(self.what)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.what is other.what


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """What an estimator is given.

    Units stand in the order of their arms, the treated first, then the untreated, and within an arm
    in the order of the data: an arm is a slice, not a copy.

    Attributes
    ----------
    estimand : Estimand
        What is asked.
    identification : Identification
        Whether, and by what, the graph identifies it.
    y : ndarray of float (unit,)
        The outcome; of a question about the probability of an event, whether it happens.
    arm : ndarray of int (unit,)
        1 at the treated level, 0 at the control level, -1 at another.
    dose : ndarray of float (unit,) or None
        The treatment as numbers, where it has numbers.
    levels : (float, float) or None
        The two doses that are compared, where these are numbers.
    adjust : tuple of str or None
        The variables adjusted for; None where adjustment does not identify the effect.
    refused : str
        Why not.
    x : ndarray of float (unit, column)
        Those variables as columns of numbers, without the constant.
    names : tuple of str
        Names of the columns of `x`.
    group : {"all", "treated", "control", "overlap"}
        The population among the units.
    table : mapping of str to ndarray
        All variables as they came, one value for each unit.
    target : TargetRows or None
        The columns of `x` for another table of units, where that is the population.
    clusters : ndarray or None
        What is drawn by the bootstrap, where it is not the units.
    fixed : bool
        Whether the answer is about the units at hand with the covariates they have, so that their
        average is not reweighted.
    whom, within, units : str
        The population, the subgroup, and what the units are called, in words.
    binary : bool
        Whether the outcome is 0 or 1.
    notes : tuple of str
        What was done to the columns.
    rows : ndarray of int
        Which of all units these are, counted in the order of the arms.
    places : ndarray of int
        Which row of the data each unit is.
    """

    estimand: Estimand
    identification: Identification
    y: np.ndarray
    arm: np.ndarray
    dose: np.ndarray | None
    levels: tuple[float, float] | None
    adjust: tuple[str, ...] | None
    refused: str
    x: np.ndarray
    names: tuple[str, ...]
    group: str
    table: Mapping[str, np.ndarray]
    target: TargetRows | None = None
    clusters: np.ndarray | None = None
    fixed: bool = True
    whom: str = ""
    within: str = ""
    units: str = "units"
    binary: bool = False
    notes: tuple[str, ...] = ()
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    places: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    _kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.y)

    @property
    def treated(self) -> np.ndarray:
        """Whether each unit is at the treated level."""
        return np.asarray(self.arm == 1)

    @property
    def control(self) -> np.ndarray:
        """Whether each unit is at the control level."""
        return np.asarray(self.arm == 0)

    @property
    def arms(self) -> tuple[slice, slice]:
        """Where the treated and the untreated stand: units are in the order of their arms."""
        first, second = int(self.treated.sum()), int(self.control.sum())
        return slice(0, first), slice(first, first + second)

    @property
    def treatment(self) -> str:
        """Name of the treatment."""
        return self.estimand.treatments[0]

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return self.estimand.outcome_name

    def population(self, chance: np.ndarray | None = None) -> np.ndarray:
        """Return the weight of each unit in the population, ``(unit,)`` or ``(draw, unit)``.

        Parameters
        ----------
        chance : ndarray, optional
            The propensity, which the overlap population needs.
        """
        if self.group == "treated":
            return self.treated.astype(float)
        if self.group == "control":
            return self.control.astype(float)
        if self.group == "overlap":
            assert chance is not None
            return np.asarray(chance * (1.0 - chance))
        return np.ones(self.n)

    def averaging(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights of a draw with which units are averaged: equal for those at hand."""
        return np.ones_like(weights[:1]) if self.fixed else weights

    def encoded(self, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return variables as columns of numbers, with the names of the columns."""
        columns, named, _ = encode({n: self.table[n] for n in names})
        return (columns, named) if len(names) else (np.empty((self.n, 0)), ())

    def part(
        self,
        member: Callable[[Mapping[str, np.ndarray]], np.ndarray],
        within: str,
        remedy: str = "",
    ) -> Problem:
        """Return the same question of a subgroup: of its units, and of its rows of a target.

        Parameters
        ----------
        member : callable
            From columns to whether each row belongs to the subgroup.
        within : str
            The subgroup in words.
        remedy : str
            What to ask instead, should nobody belong to it.

        Raises
        ------
        EmptySubgroupError
            If there are none, with the counts.
        """
        inside = np.broadcast_to(member(self.table), (self.n,))
        if not inside.any():
            raise EmptySubgroupError(
                f"No unit of {self.n:,} belongs to the subgroup {within}.",
                expected="one unit at least of each treatment level.",
                remedy=remedy,
            )
        target = self.target
        if target is not None:
            there = np.broadcast_to(member(target.table), (len(target.x),))
            if not there.any():
                raise EmptySubgroupError(
                    f"No row of {len(target.x):,} of the target table belongs to the subgroup "
                    f"{within}.",
                    expected="one row at least.",
                )
            target = target.part(there)
        told = ", ".join(part for part in (self.within, within) if part)
        return replace(self.kept(np.flatnonzero(inside)), target=target, within=told)

    def kept(self, places: np.ndarray, notes: tuple[str, ...] = ()) -> Problem:
        """Return the same question of some of the units, by their place."""
        return replace(
            self,
            y=self.y[places],
            arm=self.arm[places],
            dose=None if self.dose is None else self.dose[places],
            x=self.x[places],
            table={n: v[places] for n, v in self.table.items()},
            rows=self.rows[places],
            places=self.places[places],
            notes=(*self.notes, *notes),
            _kept={},
        )

    def remember[T](self, key: object, weights: np.ndarray, compute: Callable[[], T]) -> T:
        """Return what was computed for this block of draws before, by whatever estimator."""
        held = self._kept.get(key)
        if held is None or held[0] is not weights:
            held = (weights, compute())
            self._kept[key] = held
        found: T = held[1]
        return found

    def once[T](self, key: object, compute: Callable[[], T]) -> T:
        """Return what does not depend on any weights, computed by whatever estimator first asks."""
        if key not in self._kept:
            self._kept[key] = compute()
        found: T = self._kept[key]
        return found

    def refuse_arms(self) -> None:
        """Refuse a comparison of which one side is missing.

        Raises
        ------
        DataError
            With the counts of both levels.
        """
        counts = {"treated": int(self.treated.sum()), "control": int(self.control.sum())}
        empty = [role for role, count in counts.items() if not count]
        if empty:
            level = {r: getattr(self.estimand, r, "") for r in counts}
            seen = _levels(self.table[self.treatment])
            where = f" among those with {self.within}" if self.within else ""
            raise DataError(
                f"No unit has {self.treatment} = {_shown(level[empty[0]])}{where}: one arm is "
                f"empty (treated {counts['treated']:,}, control {counts['control']:,} units).",
                expected=f"units at both levels; levels of {self.treatment!r} there: {seen}.",
                remedy="Name the levels that are compared: treated=, control=.",
            )

    def refuse_others(self, what: str, remedy: str = "") -> None:
        """Refuse units at other levels than the two: they are not the untreated.

        Raises
        ------
        EstimandError
            With their number.
        """
        others = int((self.arm < 0).sum())
        if others:
            raise EstimandError(
                f"{what} compares two arms, and {others:,} of {self.n:,} {self.units} are at other "
                f"levels of {self.treatment!r}.",
                expected="a population whose units are at one of the two levels.",
                remedy=f"Keep the rows at these two levels{remedy}.",
            )

    @property
    def two_arms(self) -> Problem:
        """The same question of the units at one of the two levels."""
        there = np.flatnonzero(self.arm >= 0)
        return self if len(there) == self.n else self.kept(there)


def clustered_error(problem: Problem, parts: np.ndarray) -> float:
    """Return the standard error of a sum of the units' parts, by the sums of clusters if any."""
    if problem.clusters is not None:
        _, code = np.unique(problem.clusters[problem.rows], return_inverse=True)
        parts = np.bincount(code, weights=parts)
    return float(np.sqrt((parts**2).sum()))


def _shown(level: object) -> str:
    return str(getattr(level, "value", level))


def _levels(values: np.ndarray) -> str:
    levels = list(dict.fromkeys(np.asarray(values).tolist()))
    shown = ", ".join(str(v) for v in sorted(levels, key=str)[:10])
    return shown + (", ..." if len(levels) > 10 else "")
