r"""One replicate of a study: parameters, data, posterior, answers, and the truth beside them.

.. math::

    \theta \to v \sim p(v \mid \theta) \to p(\cdot \mid v_{seen}) \to
    \{(q(v, \theta),\; q \mid v_{seen})\}

:math:`\theta` is given, or drawn from the prior. The *complete* data :math:`v` hold every
structural variable, latents included; the fit sees a part of it. The truth of a question is the
same question asked of the complete data at the true parameters: with nothing hidden and nothing
unknown, the worlds of each unit rest on that unit's own noise. A question about the population
that units come from is answered for fresh units instead, once.

Every replicate has seeds of its own, children of the study's seed by replicate number
(:class:`numpy.random.SeedSequence`): one for each of parameters, data, truth, posterior, answers
and ties. So a replicate's rows depend on the study and its number alone, not on where it ran, what
ran before, or in which order.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.checks.studies.density import JointDensity
from bayescausal.checks.studies.questions import Question, answered, as_effect, cells_of
from bayescausal.checks.studies.rows import LOOKED, Answer, blank, measure
from bayescausal.draws.intervals import narrowest
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.estimate import answers
from bayescausal.inference.sampling.prior_and_truth import complete_truth, truth
from bayescausal.inference.sampling.refit import Refitter
from bayescausal.model.interventions.interventions import intervene
from bayescausal.model.names import owner_of
from bayescausal.model.structure.parameters import check_parameters
from bayescausal.model.structure.read import graph_of, structure_of
from bayescausal.simulation.repeat import Repeater
from bayescausal.types import BayesCausalError, StudyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    import pymc as pm

    from bayescausal.checks.studies.looks import Looks
    from bayescausal.checks.studies.questions import Answering
    from bayescausal.inference.record import Fit

__all__ = ["LOG_LIKELIHOOD", "Bench", "Recipe", "Seeds", "seeds_of"]

#: Name of the row that ranks the log-density of all structural variables.
LOG_LIKELIHOOD = "log-likelihood"
#: How often a fit with too few effective draws is repeated with four times as many.
LONGER = 2


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that a replicate needs, ready to travel.

    ``model``, ``fit_model``: what data come from, what is fitted to them.
    ``params``: the truth; draws to take it from; None for the prior.
    ``columns``: variables of `fit_model` that the fit sees.
    ``units``, ``do``, ``unit_dims``: as in :func:`bayescausal.simulate`.
    ``options``: of the :class:`~bayescausal.inference.sampling.refit.Refitter`.
    ``spawn``: put before the number of a replicate where a study has several parts.
    ``parameters``: whether parameters are rows too.
    ``rank_draws``: draws among which truths are ranked; 0 for no ranks.
    ``fit``: ``(data, seed) -> Fit`` in the place of the refitter.
    ``answer``: ``(fit, estimands, seed) -> list of Effect`` for fits, in the place of ours.
    ``interval``: ``(sorted draws, prob) -> (lower, upper)`` in the place of the narrowest.
    ``estimators``: by question, who answers it in the place of a fit.
    ``looks``: after how many units the data are looked at, and what stops the study.
    """

    model: pm.Model
    fit_model: pm.Model
    params: Any
    questions: Mapping[str, Question]
    columns: tuple[str, ...]
    units: Any
    do: Any
    unit_dims: Any
    options: Mapping[str, Any]
    seed: int
    spawn: tuple[int, ...] = ()
    parameters: bool = False
    rank_draws: int = 0
    fit: Callable[..., Fit] | None = None
    answer: Callable[..., list[Effect]] | None = None
    interval: Callable[..., Any] | None = None
    estimators: Mapping[str, Answering] = field(default_factory=dict)
    looks: Looks | None = None


@dataclass(frozen=True)
class Seeds:
    """The seeds of one replicate."""

    params: int
    data: int
    truth: int
    fit: int
    answer: int
    ties: int


def seeds_of(seed: int, replicate: int, spawn: tuple[int, ...] = ()) -> Seeds:
    """Return the seeds of a replicate."""
    state = np.random.SeedSequence(seed, spawn_key=(*spawn, replicate))
    return Seeds(*(int(s >> 1) for s in state.generate_state(len(dataclasses.fields(Seeds)))))


@dataclass(eq=False)
class Bench:
    """A recipe with its tools: what is compiled once, where the replicates run."""

    recipe: Recipe
    population: dict[str, Effect] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.simulator = Repeater(
            recipe.model,
            units=recipe.units,
            do=recipe.do,
            unit_dims=recipe.unit_dims,
        )
        names = self.simulator.structure.nodes
        self.structure = structure_of(recipe.model, unit_dims=recipe.unit_dims, named=names)
        self.fixed: dict[str, np.ndarray] | None = None
        if isinstance(recipe.params, dict):
            self.fixed = check_parameters(self.structure, recipe.params)
        self.fitters: dict[int, Any] = {}
        self.density = JointDensity() if recipe.rank_draws else None
        self.fitted = structure_of(recipe.fit_model, unit_dims=recipe.unit_dims)
        self.graph = graph_of(recipe.fit_model, unit_dims=recipe.unit_dims)

    # ------------------------------------------------------------------ one replicate

    def run(self, replicate: int) -> list[dict[str, Any]]:
        """Return the rows of a replicate; whatever fails is a row."""
        start = time.perf_counter()
        seeds = seeds_of(self.recipe.seed, replicate, self.recipe.spawn)
        try:
            rows = self._rows(replicate, seeds)
        except Exception as error:  # a failure is a row: the study goes on
            failed = [*self.recipe.questions]
            rows = [blank(replicate, name, "estimand", _said(error)) for name in failed]
        seconds = time.perf_counter() - start
        looked = dict.fromkeys(LOOKED, math.nan) if self.recipe.looks is not None else {}
        return [looked | row | {"seconds": seconds} for row in rows]

    def _rows(self, replicate: int, seeds: Seeds) -> list[dict[str, Any]]:
        recipe = self.recipe
        values = self._values(seeds.params)
        complete = self.simulator.draw(values, seeds.data)
        if recipe.looks is not None:
            return self._until_stopped(recipe.looks, replicate, seeds, values, complete)
        known = complete_truth(self.structure, values, complete, seed=seeds.truth)
        if recipe.estimators:
            found = answered(recipe.questions, recipe.estimators, self.graph, self._seen(complete),
                             recipe.options["draws"], seeds.answer)  # fmt: skip
            return self._beside(replicate, seeds, self._truths(known, seeds), found)
        fit = self._fit(complete, seeds.fit, longer=0)
        rows = self._compared(replicate, seeds, values, known, fit)
        for longer in range(1, LONGER + 1):
            least = min((r["ess"] for r in rows if r["ess"] == r["ess"]), default=np.inf)
            if recipe.fit is not None or not recipe.rank_draws or least >= recipe.rank_draws:
                break
            fit = self._fit(complete, seeds.fit, longer=longer)
            rows = self._compared(replicate, seeds, values, known, fit)
        return rows

    def _until_stopped(
        self,
        looks: Looks,
        replicate: int,
        seeds: Seeds,
        values: Mapping[str, np.ndarray],
        complete: pd.DataFrame,
    ) -> list[dict[str, Any]]:
        """Return the rows of the units seen when a look stopped the study, or else of all."""
        first = next(iter(self.recipe.questions))
        for size in looks.sizes:
            seen = complete.iloc[:size]
            fit = self._fit(seen, seeds.fit, longer=0)
            found = self._asked(fit, seeds.answer, self.recipe.answer or answers)[first]
            if isinstance(found, str):
                raise StudyError(f"At the look after {size:,} units: {found}")
            if stopped := looks.stops(found):
                break
        known = complete_truth(self.structure, values, seen, seed=seeds.truth)
        rows = self._compared(replicate, seeds, values, known, fit)
        return [row | {"seen": float(size), "stopped": float(stopped)} for row in rows]

    def _values(self, seed: int) -> dict[str, np.ndarray]:
        """Return the true parameters of a replicate."""
        if self.fixed is not None:
            return self.fixed
        draws = self.recipe.params
        if draws is None:
            return self.simulator.prior(seed)
        place = int(np.random.default_rng(seed).integers(draws.n_draws))
        return {
            name: np.asarray(draws.value(name, slice(place, place + 1))[0])
            for name in self.structure.parameters
        }

    def _seen(self, complete: pd.DataFrame) -> pd.DataFrame:
        seen = [c for c in complete.columns if owner_of(str(c), self.recipe.columns)]
        return complete[seen]

    def _fit(self, complete: pd.DataFrame, seed: int, longer: int) -> Fit:
        data = self._seen(complete)
        if self.recipe.fit is not None:
            return self.recipe.fit(data, seed)
        if longer not in self.fitters:
            options = dict(self.recipe.options)
            options["draws"] = options.get("draws", 1000) * 4**longer
            self.fitters[longer] = Refitter(
                self.recipe.fit_model,
                [n for n in self.recipe.columns if not self._is_data(n)],
                unit_dims=self.recipe.unit_dims,
                **options,
            )
        return self.fitters[longer].fit(data, seed=seed)

    def _is_data(self, name: str) -> bool:
        return any(v.name == name for v in self.recipe.fit_model.data_vars)

    # --------------------------------------------------------------- truth and answers

    def _compared(
        self,
        replicate: int,
        seeds: Seeds,
        values: Mapping[str, np.ndarray],
        known: Fit,
        fit: Fit,
    ) -> list[dict[str, Any]]:
        truths = self._truths(known, seeds)
        found = self._asked(fit, seeds.answer, self.recipe.answer or answers)
        more: list[Answer] = []
        if self.recipe.parameters:
            more += self._parameters(values, fit)
        if self.density is not None:
            both = self.density.of(fit, known, values)
            if both is not None:
                more.append(Answer(LOG_LIKELIHOOD, "log-likelihood", [""], *both))
        return self._beside(replicate, seeds, truths, found, more, fit)

    def _truths(self, known: Fit, seeds: Seeds) -> dict[str, Any]:
        return self._asked(known, seeds.truth, answers)

    def _beside(
        self,
        replicate: int,
        seeds: Seeds,
        truths: Mapping[str, Any],
        found: Mapping[str, Any],
        more: Sequence[Answer] = (),
        fit: Fit | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of answers beside their truths."""
        good: list[Answer] = []
        failed: list[dict[str, Any]] = []
        units = tuple((self.fitted if fit is None else fit.structure).unit_dims)
        for name in self.recipe.questions:
            pair = truths[name], found[name]
            bad = next((x for x in pair if isinstance(x, str)), None)
            one = bad if bad is not None else _answer(name, *pair, units)
            if isinstance(one, str):
                failed.append(blank(replicate, name, "estimand", one))
            else:
                good.append(one)
        good += more
        rows = measure(
            replicate,
            good,
            fit=fit,
            rank_draws=self.recipe.rank_draws,
            seed=seeds.ties,
            interval=self.recipe.interval or narrowest,
        )
        return [*rows, *failed]

    def _asked(self, fit: Fit, seed: int, ask: Callable[..., list[Effect]]) -> dict[str, Any]:
        """Return an Effect for each question, or why there is none."""
        found: dict[str, Any] = {}
        plain = {k: q for k, q in self.recipe.questions.items() if isinstance(q, Estimand)}
        here = dict(plain)
        if fit.kind == "truth":
            for name, question in plain.items():
                if question.population.name == "superpopulation":
                    here.pop(name)
                    found[name] = self._population(name, question, fit, seed)
        try:
            effects = ask(fit, list(here.values()), seed) if here else []
            found |= dict(zip(here, effects, strict=True))
        except Exception:  # one of them: which one is found by asking one by one
            for name, question in here.items():
                try:
                    found[name] = ask(fit, [question], seed)[0]
                except Exception as error:
                    found[name] = _said(error)
        for name, function in self.recipe.questions.items():
            if not isinstance(function, Estimand):
                try:
                    found[name] = as_effect(function(fit, seed), name, fit)
                except Exception as error:
                    found[name] = _said(error)
        return found

    def _population(self, name: str, question: Estimand, fit: Fit, seed: int) -> Any:
        """Return the answer for the population itself, averaged over fresh units."""
        fixed = self.fixed is not None
        if fixed and name in self.population:
            return self.population[name]
        model = self.recipe.model
        values = {p: fit.posterior[p].values[0, 0] for p in self.structure.parameters}
        if self.recipe.do:
            model = intervene(
                model, self.recipe.do, unit_dims=self.recipe.unit_dims, ignore_potentials=True
            )
            values = {p: v for p, v in values.items() if p in structure_of(model).parameters}
        asked = dataclasses.replace(question, population="model")
        many = truth(model, values, seed=self.recipe.seed if fixed else seed)
        try:
            answer: Any = answers(many, [asked], self.recipe.seed if fixed else seed)[0]
        except BayesCausalError as error:
            return _said(error)
        self.population[name] = answer
        return answer

    def _parameters(self, values: Mapping[str, np.ndarray], fit: Fit) -> list[Answer]:
        """Return the parameters that the truth and the fit share."""
        found, held = [], fit.posterior
        for name in fit.parameters:
            if name not in values or name not in held:
                continue
            array, right = held[name], np.asarray(values[name], dtype=float)
            if array.shape[2:] == right.shape:
                labels, draws, _ = cells_of(Effect(array, name=name), ())
                found.append(Answer(name, "parameter", labels, draws, right.reshape(-1), 0.0))
        return found


def _answer(name: str, right: Effect, effect: Effect, units: tuple[str, ...]) -> Answer | str:
    """Return an answer beside its truth, cell by cell; or why they do not match."""
    labels, draws, pooled = cells_of(effect, units)
    truths_at, exact, _ = cells_of(right, units)
    values = dict(zip(truths_at, exact.mean(axis=(0, 1)), strict=True))
    lost = [label for label in labels if label not in values]
    if lost:
        shown = ", ".join(lost[:3])
        return f"The truth has no cell {shown}: the groups of the fit are not those of the data."
    error = effect.mc_error
    return Answer(
        name,
        "estimand",
        labels,
        draws,
        np.array([values[label] for label in labels]),
        math.nan if effect.null is None else float(effect.null),
        math.nan if error is None else float(np.max(np.asarray(error))),
        any(pooled),
    )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
