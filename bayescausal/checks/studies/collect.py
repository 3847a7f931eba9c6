"""Running a study from its parts to a table: what recover, calibrate and assurance share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.checks.studies.engine import check_executor, run_study
from bayescausal.checks.studies.ledger import fingerprint, open_ledger
from bayescausal.checks.studies.looks import parse_looks
from bayescausal.checks.studies.questions import parse_questions, through
from bayescausal.checks.studies.recipe import Recipe
from bayescausal.checks.studies.rows import COLUMNS, LOOKED, TEXT
from bayescausal.inference.fit import check_keywords, resolve_seed
from bayescausal.inference.progress import counted
from bayescausal.inference.record import Fit
from bayescausal.inference.sampling.refit import Refitter
from bayescausal.model.given import model_of, without_column
from bayescausal.model.interventions.parse_do import refuse_potentials
from bayescausal.model.structure.parameters import check_parameters
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.fixed_columns import with_fixed_columns
from bayescausal.simulation.repeat import Repeater
from bayescausal.simulation.simulate import unit_sizes
from bayescausal.types import StudyError, unknown_variable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import ArrayLike

    from bayescausal.annotations import Executor, Names
    from bayescausal.checks.studies.questions import Answering, Questions
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["as_frame", "check_replicates", "collect", "make_recipe"]


def make_recipe(
    model: pm.Model | Design,
    params: Fit | Mapping[str, Any] | None,
    estimands: Questions,
    *,
    units: int | Mapping[str, int] | None,
    fit_model: pm.Model | Design | None,
    observed: Names | None,
    do: Mapping[Any, Any] | None,
    seed: int | None,
    unit_dims: str | Sequence[str] | None,
    options: Mapping[str, Any],
    data: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    estimators: Answering | Sequence[Answering] | None = None,
    looks: int | Sequence[int] | None = None,
    stop: float | Callable[[Any], Any] = 0.95,
    **more: Any,
) -> Recipe:
    """Check the parts of a study, and put them together.

    Raises StudyError if nothing is left to observe; ModelError if truths are to be drawn from a
        prior that is improper; UnknownVariableError, ParameterError, FixedUnitsError,
        PotentialError, EstimandError, ... where a name, value, size or question does not fit the
        models.
    """
    if more.get("fit") is None and estimators is None:
        check_keywords(options, own=["method", "sampler"])
    hidden = without_column(model_of(model if fit_model is None else fit_model))
    structure = structure_of(model, unit_dims=unit_dims)
    refuse_potentials(structure)
    seed = resolve_seed(seed) if data is not None else seed
    if data is not None:
        fixed, units = with_fixed_columns(structure, data, units, seed)
        structure = structure_of(fixed, unit_dims=structure.unit_dims)
    model = structure.model
    unit_sizes(structure, units)
    if isinstance(params, Fit):
        lost = [p for p in structure.parameters if p not in params.posterior]
        if lost:
            raise StudyError(
                f"The draws of the truth lack {', '.join(map(repr, lost))}.",
                expected=f"Draws of {', '.join(structure.parameters)}.",
            )
    elif params is not None:
        params = check_parameters(structure, params)
    else:
        Repeater(model, units=units, do=do, unit_dims=unit_dims).prior(0)
    theirs = structure if fit_model is None else structure_of(fit_model, unit_dims=unit_dims)
    fitted = theirs.model
    columns = _columns(structure, theirs, observed, hidden)
    questions = parse_questions(estimands, theirs)
    looked = parse_looks(looks, stop, units, structure, questions)
    if looked is not None and estimators is not None:
        raise StudyError(
            "looks= with estimators=.", remedy="Looks stop a study by the posterior of a fit."
        )
    if estimators is not None:
        own = bool(more.get("parameters")) and not more.get("rank_draws")
        questions, by_name, options = through(questions, estimators, options, parameters=own)
        more |= {"estimators": by_name, "parameters": False}
    options = {"cores": 1, **options} if "cores" not in options else dict(options)
    if more.get("fit") is None and estimators is None:
        random = [n for n in columns if n in theirs.random]
        Refitter(fitted, random, unit_dims=unit_dims, **options)
    return Recipe(
        model=model,
        fit_model=fitted,
        params=params,
        questions=questions,
        columns=columns,
        units=units,
        do=do,
        unit_dims=unit_dims,
        options=options,
        seed=resolve_seed(seed),
        looks=looked,
        **more,
    )


def collect(
    kind: str,
    recipe: Recipe,
    replicates: int,
    *,
    path: str | os.PathLike[str] | None,
    seed_given: bool,
    executor: Executor | None,
    progressbar: bool,
    on_replicate: Callable[[pd.DataFrame], Any] | None,
    title: str = "",
) -> tuple[pd.DataFrame, Recipe, tuple[str, ...]]:
    """Run what is missing of a study and return all rows, ordered by replicate.

    Result: ``recipe``: with the seed of the file, where that was not given.
    """
    import dataclasses

    executor = check_executor(executor)
    ledger, done = None, {}
    if path is not None:
        seed = recipe.seed if seed_given else None
        found, ledger = open_ledger(path, kind, _parts(recipe), seed)
        recipe = dataclasses.replace(recipe, seed=found)
        done = {k: v for k, v in ledger.done.items() if k < replicates}
    missing = [i for i in range(replicates) if i not in done]
    with counted(title or kind, replicates, len(done), progressbar) as advance:

        def on_rows(number: int, rows: list[dict[str, Any]]) -> None:
            done[number] = rows
            if ledger is not None:
                ledger.write(number, rows)
            advance(any(row["failure"] for row in rows))
            if on_replicate is not None:
                on_replicate(as_frame(rows))

        notes = run_study(recipe, missing, executor=executor, on_rows=on_rows)
    return as_frame([row for i in sorted(done) for row in done[i]]), recipe, notes


def as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table, every column with its type."""
    columns = [*COLUMNS, *(c for c in LOOKED if any(c in row for row in rows))]
    frame = pd.DataFrame(rows, columns=columns)
    for column in columns:
        if column not in TEXT and column != "replicate":
            frame[column] = frame[column].astype(float)
    return frame.astype({"replicate": int, "pooled": bool})


def check_replicates(replicates: int) -> int:
    """Return the number of replicates, or refuse it."""
    whole = isinstance(replicates, int | np.integer) and not isinstance(replicates, bool)
    if not whole or replicates < 1:
        raise StudyError(f"replicates={replicates!r}.", expected="A whole number of at least 1.")
    return int(replicates)


def _columns(
    structure: Structure, theirs: Structure, observed: Names | None, hidden: frozenset[str]
) -> tuple[str, ...]:
    """Return the variables of the fitted model that the fit sees: by default not the hidden."""
    data = [v.name for v in theirs.model.data_vars if v.name in structure.data]
    able = [n for n in theirs.random if n in structure.nodes]
    if observed is None:
        chosen = [n for n in able if n not in hidden]
    else:
        names = [observed] if isinstance(observed, str) else [str(n) for n in observed]
        for name in names:
            if name not in structure.nodes:
                raise unknown_variable(name, structure.nodes)
            if name not in able and name not in theirs.data:
                raise StudyError(
                    f"observed names {name!r}, which the fitted model does not have.",
                    expected=f"Among {', '.join(able)}.",
                )
        chosen = [n for n in able if n in names]
    if not chosen:
        raise StudyError(
            "The fit would see nothing: no variable of the fitted model is observed.",
            expected=f"observed= among {', '.join(able) or 'the variables both models have'}.",
        )
    return (*chosen, *(n for n in data if n not in chosen))


def _parts(recipe: Recipe) -> dict[str, str]:
    """Return the fingerprint of a study, by part."""
    options = {k: v for k, v in recipe.options.items() if k not in ("cores", "progressbar")}
    return fingerprint(
        model=recipe.model,
        **{"fitted model": recipe.fit_model},
        truth=recipe.params,
        estimands=recipe.questions,
        observed=recipe.columns,
        units=recipe.units,
        do=recipe.do,
        options=[
            options,
            recipe.parameters,
            recipe.rank_draws,
            recipe.unit_dims,
            recipe.spawn,
            dict(recipe.estimators),
            *([] if recipe.looks is None else [recipe.looks]),
        ],
        fit=[recipe.fit, recipe.answer, recipe.interval],
    )
