"""``make_exercise``: an exercise of a teacher's own model.

The teacher says how the world works (a model and its parameters), what is asked, and which mistakes
are expected. The truth is what :func:`bayescausal.estimate` answers for known parameters; the
number of each mistake is what the wrong analysis finds in a large data set of the same world
(:mod:`bayescausal.datasets.teaching.mistakes`). No number is typed in.

It fails where an answer could not be told right from wrong: a mistake that leads to the truth is
refused by name. Numbers that a student's few units cannot tell apart are not refused: such answers
are *undecided*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.datasets.exercise import Exercise, made
from bayescausal.datasets.linear_exercise import exercise_graph
from bayescausal.datasets.teaching.key import Known, Mistake
from bayescausal.datasets.teaching.mistakes import UNITS, Study, analyses, mistake_of, one_number
from bayescausal.datasets.teaching.world import ModelWorld
from bayescausal.effects.as_estimand import as_estimands
from bayescausal.effects.estimate import estimate
from bayescausal.inference.sampling.prior_and_truth import truth as known_truth
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.model.given import model_of
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, EstimandError, closest

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    import pymc as pm

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.model.design import Design

__all__ = ["make_exercise"]

#: Analyses alone, or with a name, or with a name and a reason.
type Mistakes = Sequence[object] | Mapping[str, object] | str


def make_exercise(
    model: pm.Model | Design | Sequence[str] | str,
    truth: Mapping[str, Any],
    question: Estimand,
    mistakes: Mistakes = (),
    *,
    path: str | os.PathLike[str] | None = None,
    name: str = "exercise",
    task: str | None = None,
    how: str = "",
    hidden: Iterable[str] = (),
    units: int = 1000,
    families: Mapping[str, Any] | None = None,
    seed: int = 0,
    password: str | None = None,
) -> Exercise:
    """Make an exercise of your own model, whose truth is hidden from those who solve it.

    Parameters
    ----------
    model : pm.Model, Design, or formulas
        The world that the data come from.
    truth : mapping of str to float or array_like
        A value for each parameter.
    question : Estimand
        What is asked, one number.
    mistakes : list or mapping
        Wrong analyses that are recognised. Each is a list of the variables that are adjusted for
        (``[]``: none), one of the phrases ``"without z"``, ``"adjusting for c"`` and
        ``"unadjusted"``, a model or formulas that are fitted, another question, or a function of
        the data that returns a number or an Effect. Named by a mapping, ``{"no age": []}``, or as
        ``(name, analysis, why it is wrong)``. Their numbers are computed.
    path : path, optional
        A file (``.json``) to write it to at once; see :meth:`Exercise.save`.
    name : str
        Short name.
    task : str, optional
        What students read. Default: the question and the columns.
    how : str
        How the right answer is found; shown by ``reveal()``.
    hidden : iterable of str
        Variables that students do not get.
    units : int
        Rows of a data set, unless another number is asked for.
    families : mapping, optional
        With formulas: as for :func:`bayescausal.model_from_formulas`.
    seed : int
        Another number gives all students other data.
    password : str, optional
        Of the file; see :meth:`Exercise.save`.

    Returns
    -------
    Exercise
        With ``data(student)``, ``hand_out``, ``check``, ``hand_in``, ``mark``, ``save``, and
        ``reveal()`` for the teacher.

    Raises
    ------
    DataError
        If a mistake has no number, or leads to the truth; if a name is unknown.
    ParameterError
        If a parameter is missing, unknown, or of the wrong shape or support.
    EstimandError
        If the question has no answer in this model, or several.

    See Also
    --------
    load_exercise : Read the file.
    exercise : Exercises that are there.

    References
    ----------
    M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020.

    Examples
    --------
    >>> import bayescausal as bc
    >>> salt = bc.make_exercise(
    ...     ["age ~ 1", "salt ~ age", "pressure ~ salt + age"],
    ...     {"b_age_Intercept": 0, "sigma_age": 1, "b_salt_Intercept": 0, "b_salt_age": -0.8,
    ...      "sigma_salt": 1, "b_pressure_Intercept": 0, "b_pressure_salt": 0.5,
    ...      "b_pressure_age": 1, "sigma_pressure": 1},
    ...     bc.ATE("salt", "pressure"),
    ...     mistakes=["without age"],
    ... )
    >>> salt.data("Ada").shape
    (1000, 3)
    >>> salt.check(0.5).verdict, salt.check(0.02).values["mistake"]
    ('pass', 'without age')
    """
    if isinstance(model, str | list | tuple):
        model = model_from_formulas(model, families)
    elif families is not None:
        raise DataError("families= was given with a model.", expected="families with formulas.")
    model = model_of(model)
    questions = as_estimands(question)
    if len(questions) != 1:
        raise EstimandError(f"{len(questions)} questions.", expected="one, of one number.")
    asked = questions[0]
    world = ModelWorld(model, dict(truth))
    table = world.simulate(UNITS, 0)
    observed = _observed(table, hidden, asked)
    fitted = known_truth(model, truth, table if len(world.columns) else None, seed=1)
    value, error = one_number(estimate(fitted, asked, progressbar=False), simulated=True)
    graph = structure_of(model).graph
    study = Study(fitted, graph, table, observed, asked, families)
    key = Known(
        Mistake("truth", value, "", error),
        tuple(mistake_of(each, study) for each in analyses(mistakes)),
        how,
        float(table[asked.outcome_name].std()) or 1.0,
    )
    _told_apart(key)
    text = task or f"What is {asked.describe()}? Columns: {', '.join(observed)}."
    whole = made(
        world=world,
        key=key,
        variables=observed,
        origin=int(seed),
        name=str(name),
        text=text,
        question=asked,
        observed=observed,
        graph=exercise_graph(list(graph.edges), observed, list(graph)),
        units=units,
    )
    whole.simulate()  # units and seeds that are none are refused now
    if path is not None:
        whole.save(path, password=password)
    return whole


# ------------------------------------------------------------------------------- private


def _observed(table: pd.DataFrame, hidden: Iterable[str], asked: Estimand) -> tuple[str, ...]:
    """Return the columns that students get."""
    observed = [str(name) for name in table.columns]
    away = {hidden} if isinstance(hidden, str) else set(hidden)
    for name in sorted(away):
        if name not in table:
            raise DataError(
                f"hidden names {name!r}, which is no variable.", names=closest(name, observed)[:1]
            )
        if name in (*asked.treatments, asked.outcome_name):
            raise DataError(f"{name!r} is hidden, and the question is about it.")
    return tuple(name for name in observed if name not in away)


def _told_apart(key: Known) -> None:
    """Refuse a mistake that leads to the truth."""
    for each in key.mistakes:
        gap = abs(each.value - key.truth.value)
        noise = float(np.hypot(each.error, key.truth.error))
        if gap <= 6 * noise or gap <= 1e-9 * max(abs(each.value), key.spread):
            raise DataError(
                f"The mistake {each.name!r} leads to the right answer here: {each.value:.4g}, "
                f"where the truth is {key.truth.value:.4g} (error of the comparison {noise:.2g}).",
                remedy="Leave it out, or choose parameters under which it matters.",
            )
