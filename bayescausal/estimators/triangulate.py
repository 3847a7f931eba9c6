"""``triangulate``: what other estimators say of the same question, and whether they agree.

A structural model answers through its equations. Estimators without one rest on the same graph and
the same data but on less, or on other, modelling: of the outcome, of the treatment, of both or of
neither. All are given one problem (:mod:`~bayescausal.estimators.problem.problem`): the same units,
arms, population and set to adjust for, and the same Bayesian-bootstrap weights, so that they can be
compared draw by draw. Agreement of estimators that can err in different ways is evidence for the
modelling; it is none for the graph, which all of them share.

References
----------
D. A. Lawlor, K. Tilling and G. Davey Smith, "Triangulation in aetiological epidemiology",
International Journal of Epidemiology 45 (2016), 1866-1886.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.effects.as_estimand import as_estimands
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.estimate import estimate
from bayescausal.estimators.estimator import Estimator, EstimatorWarning, Prepared, combine
from bayescausal.estimators.named import as_estimators, default_panel
from bayescausal.estimators.numerics.bootstrap import weight_blocks
from bayescausal.estimators.problem.adjustment import INSTRUMENT
from bayescausal.estimators.problem.encoding import NOTHING_TO_ADJUST
from bayescausal.estimators.problem.reading import cells_of, read_problem
from bayescausal.estimators.triangulation import Answered, Triangulation, Triangulations
from bayescausal.inference.record import Fit
from bayescausal.model.graph_queries.graph_of_anything import question_in
from bayescausal.types import BayesCausalError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["triangulate"]


def triangulate(
    fit: Fit | GraphLike,
    estimand: Estimand | Effect | Sequence[Estimand | Effect],
    *,
    estimators: Sequence[Estimator | str] | Estimator | str | None = None,
    data: Data | None = None,
    adjust: str | Iterable[str] | None = None,
    draws: int = 2000,
    seed: int | None = None,
) -> Triangulation | Triangulations:
    """Ask several estimators the same question, and say whether and why they differ.

    Parameters
    ----------
    fit : Fit, or a graph in any form
        Of a fit its graph and its data are used, and its own answer is laid beside the others'.
    estimand : Estimand or Effect, or a sequence of them
        ATE, TE, CATE, ATT, ATU or ATO of one treatment at two levels; scale, population, ``given``
        and ``by`` as for :func:`bayescausal.estimate`.
    estimators : sequence of Estimator or str, optional
        Values of :mod:`bayescausal.estimators`, or their names. Default: a panel that fits what
        identifies the effect, without those that have no answer to it.
    data : DataFrame or mapping, optional
        The data, where a graph is given.
    adjust : str or iterable of str, optional
        What to adjust for; checked against the graph. ``"optimal"``: the valid set with the
        smallest asymptotic variance. Default: the first set that :func:`bayescausal.identify`
        names.
    draws : int
        Draws of the Bayesian bootstrap, shared by all estimators.
    seed : int, optional
        Of the draws. Default: the fit's, or 0.

    Returns
    -------
    Triangulation
        ``effects`` (name to :class:`~bayescausal.effects.effect.Effect`), ``table``,
        ``sentence()``, ``plot()``; of several questions a list of them that has the same.

    Raises
    ------
    EstimandError
        If the question is not one that estimators answer, or an estimator is unknown.
    IdentificationError
        If the set to adjust for does not serve, or nothing that an estimator rests on identifies
        the effect.
    DataError
        If an arm is empty, treatment or outcome have empty cells, or the arms do not overlap.
    UnknownVariableError
        If a column is missing.

    Warns
    -----
    EstimatorWarning
        If a column was left out, or the answer rests on few units.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> z = rng.normal(size=400)
    >>> x = rng.binomial(1, 1 / (1 + np.exp(-z)))
    >>> y = 2 * x + z + rng.normal(size=400)
    >>> found = bc.triangulate("z -> x -> y; z -> y", bc.ATE("x", "y"),
    ...                        estimators=["regression", "ipw"], data={"z": z, "x": x, "y": y})
    >>> {name: round(effect.mean()) for name, effect in found.effects.items()}
    {'regression': 2, 'ipw': 2}
    """
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise EstimandError(f"draws={draws!r}.", expected="a whole number of 1 or more.")
    chosen = None if estimators is None else as_estimators(estimators)
    if seed is None:
        seed = fit.seed if isinstance(fit, Fit) else 0
    asked = as_estimands(estimand)
    found = [_one(fit, each, chosen, data, adjust, int(draws), int(seed)) for each in asked]
    return found[0] if question_in(estimand) is not None else Triangulations(found)


# ------------------------------------------------------------------------------- private


def _one(
    given: Fit | GraphLike,
    estimand: Estimand,
    chosen: list[Estimator] | None,
    data: Data | None,
    adjust: str | Iterable[str] | None,
    draws: int,
    seed: int,
) -> Triangulation:
    """Return the answers to one question."""
    problem = read_problem(given, estimand, data=data, adjust=adjust)
    panel = default_panel(problem) if chosen is None else chosen
    names = _names(panel)
    cells = cells_of(problem)
    ready: dict[str, list[Prepared]] = {}
    refused: dict[str, str] = {}
    for name, each in zip(names, panel, strict=True):
        try:
            ready[name] = [_prepared(each, cell) for _, cell in cells]
        except BayesCausalError as error:
            if chosen is not None:
                raise
            refused[name] = str(error)
            last = error
    if not ready:
        raise last
    worlds = _draws(problem, [cell for _, cell in cells], ready, draws, seed)
    by_name = dict(zip(names, panel, strict=True))
    points = {
        name: tuple(_point(each, cell) for each, (_, cell) in zip(own, cells, strict=True))
        for name, own in ready.items()
    }
    for name, own in ready.items():
        for values, done, point in zip(worlds[name], own, points[name], strict=True):
            if done.centred:  # the error of finitely many draws around a known centre
                values += point - values.mean()
    answers = {
        name: Answered(
            by_name[name],
            _effect(problem, cells, own, worlds[name], seed),
            tuple(own),
            points[name],
        )
        for name, own in ready.items()
    }
    _warn(problem, answers)
    return Triangulation(
        question=estimand,
        answers=answers,
        refused=refused,
        problem=problem,
        cells=tuple(cells),
        model=_structural(given, estimand, seed),
    )


def _prepared(estimator: Estimator, problem: Problem) -> Prepared:
    estimator.check(problem)
    return estimator.prepared(problem)


def _point(own: Prepared, problem: Problem) -> float:
    """Return the estimate on the data as they are."""
    return float(combine(own.draw(np.ones((1, problem.n))), problem.estimand.scale)[0])


def _names(panel: Sequence[Estimator]) -> list[str]:
    """Return a name for each estimator: with its options where two have the same."""
    plain = [each.name for each in panel]
    names = [
        each.label() if plain.count(n) > 1 else n for n, each in zip(plain, panel, strict=True)
    ]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise EstimandError(
            f"{twice[0]} is asked twice.", expected="estimators that differ in their options."
        )
    return names


def _draws(
    problem: Problem,
    cells: Sequence[Problem],
    ready: dict[str, list[Prepared]],
    draws: int,
    seed: int,
) -> dict[str, list[np.ndarray]]:
    """Return the worlds of each estimator and cell, all under the same weights."""
    scale = problem.estimand.scale
    count = int(problem.rows.max()) + 1 if problem.n else 0
    total = count if problem.clusters is None else len(problem.clusters)
    found = {name: [np.empty(draws) for _ in own] for name, own in ready.items()}
    for where, weights in weight_blocks(total, draws, seed, problem.clusters):
        for k, cell in enumerate(cells):
            part = weights if len(cell.rows) == weights.shape[1] else weights[:, cell.rows]
            for name, own in ready.items():
                found[name][k][where] = combine(own[k].draw(part), scale)
    return found


def _effect(
    problem: Problem,
    cells: Sequence[tuple[tuple[Any, ...], Problem]],
    own: Sequence[Prepared],
    values: Sequence[np.ndarray],
    seed: int,
) -> Effect:
    """Return the draws of an estimator as an answer like any other."""
    by = problem.estimand.by
    draws = np.stack(values)
    if by:
        levels = [list(dict.fromkeys(labels[i] for labels, _ in cells)) for i in range(len(by))]
        shaped = draws.reshape(*map(len, levels), 1, -1)
        array = xr.DataArray(
            shaped, dims=(*by, "chain", "draw"), coords=dict(zip(by, levels, strict=True))
        ).transpose("chain", "draw", *by)
    else:
        array = xr.DataArray(draws[0][None], dims=("chain", "draw"))
    adjusted = problem.adjust
    notes = [own[0].draws_are]
    if adjusted is not None:
        notes.append(f"Adjusted for {', '.join(adjusted) if adjusted else 'nothing'}.")
    for (labels, cell), each in zip(cells, own, strict=True):
        where = f"{', '.join(map(str, labels))}: " if labels else ""
        notes += [where + note for note in (*each.notes, *cell.notes)]
    return Effect(
        draws=array,
        estimand=problem.estimand,
        identification=problem.identification,
        mc_error=0.0,
        seed=seed,
        population=_population(problem, cells, own),
        notes=tuple(dict.fromkeys(notes)),
        units=problem.units,
        binary=problem.binary and isinstance(problem.estimand.functional, Mean),
    )


def _population(
    problem: Problem, cells: Sequence[tuple[tuple[Any, ...], Problem]], own: Sequence[Prepared]
) -> str:
    """Return whom an answer is about, of each subgroup where these differ from what was asked."""
    if len(own) == 1 or not any(each.whom for each in own):
        return own[0].whom or problem.whom
    return "; ".join(
        f"{', '.join(map(str, labels))}: {each.whom or cell.whom}"
        for (labels, cell), each in zip(cells, own, strict=True)
    )


def _warn(problem: Problem, answers: dict[str, Answered]) -> None:
    """Warn of what makes an answer rest on few units, by name."""
    alarms = (NOTHING_TO_ADJUST, INSTRUMENT)
    said = [note for note in problem.notes if note.endswith(alarms)]
    for name, answer in answers.items():
        for own in answer.prepared:
            said += [f"{name}: {note}" for note in own.notes if note.startswith(_ALARMS)]
    if said:
        warnings.warn(" ".join(dict.fromkeys(said)), EstimatorWarning, stacklevel=4)


_ALARMS = ("Exploding weights",)


def _structural(given: object, estimand: Estimand, seed: int) -> Effect | None:
    """Return what the model itself says, where there is one that has an answer."""
    if not isinstance(given, Fit):
        return None
    try:
        return estimate(given, estimand, seed=seed, progressbar=False)
    except BayesCausalError:
        return None
