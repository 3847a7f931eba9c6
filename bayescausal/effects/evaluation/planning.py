"""Questions that one identity ties together take the same inner draws.

The total effect is the direct minus the reversed indirect one, and ``ATE = p ATT + (1 - p) ATU``.
Where the noise is simulated these hold draw by draw, and not only within Monte Carlo error, if
all take as many inner replicates: the most that any of them needs, asked together or not. Where
many units know the answer better than is asked for, some of them are averaged over (see
:mod:`bayescausal.effects.averaging.sampled_units`), if that is enough for all of them. And one of
them leaves out what its worlds have in common (:mod:`bayescausal.evaluation.terms`) only if
all of them are known without simulation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.averaging.sampled_units import PILOT_UNITS, units_needed
from bayescausal.effects.evaluation.inner_draws import ACCEPTED, Plan, Run
from bayescausal.effects.evaluation.question import Question, resolve
from bayescausal.model.interventions.support import support_of
from bayescausal.types import CouplingError, EstimandError, Set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.evaluation.question import Question

__all__ = ["plan_run", "share_plans"]


def plan_run(run: Run) -> Plan:
    """Plan a question, with the most replicates that any question of its family needs."""
    common = run.closed is not None and run.closed.expansion.common
    if common and any(other.closed is None for other in _relative_runs(run)):
        run.closed = None  # all are simulated, with the same noise
    plan = _plan(run)
    if run.exact:
        return plan
    for other in _relative_runs(run):
        try:
            plan = _with_most(plan, [_plan(other)])
        except EstimandError:
            continue
    return plan


def _relative_runs(run: Run) -> Iterator[Run]:
    """Yield the other questions of an identity, compiled, where they can be asked."""
    question = run.question
    for relative in _relatives(question):
        try:
            other = resolve(question.fit, relative, ignore_potentials=True, seed=run.seed)
            yield Run.of(other, run.seed)
        except (CouplingError, EstimandError):
            continue


def _plan(run: Run) -> Plan:
    """Return how many of its units, or else how many inner replicates, a question takes."""
    if run.exact or run.sampled(PILOT_UNITS) is None:
        return run.plan()
    pilot = run.reduce(run.pilot_draws, 1, PILOT_UNITS)
    variance, units = run.variance(pilot) * PILOT_UNITS, run.question.units.count
    goal, needed, at = run.needed(pilot, variance, PILOT_UNITS, ACCEPTED / 5)
    count = units_needed(float(needed.flat[at]), units)
    if count:
        return Plan(1, variance / count, float(goal.flat[at]), False, units=count)
    goal, needed, at = run.needed(pilot, variance, PILOT_UNITS)
    if needed.flat[at] <= units / 2:  # one value of the noise of all units is enough
        return Plan(1, variance / units, float(goal.flat[at]), False)
    return run.plan()


def _with_most(plan: Plan, others: Iterable[Plan]) -> Plan:
    """Return a plan with the most units and replicates of several; 0 stands for all units."""
    every = [plan, *others]
    units = [each.units for each in every]
    return replace(
        plan,
        replicates=max(each.replicates for each in every),
        units=max(units) if all(units) else 0,
    )


def _relatives(question: Question) -> list[Estimand]:
    """Return the other questions of an identity, all else equal, where it holds."""
    estimand = question.estimand
    identity = estimand.identity
    if identity is None or estimand.population.name == "target":
        return []
    return [] if identity.two_valued and not _two_valued(question) else estimand.relatives()


def _two_valued(question: Question) -> bool:
    """Whether one treatment is set to the two values that it can take.

    Of several, those who have all and those who have none are not everybody.
    """
    structure = question.structure
    if len(question.estimand.treatments) > 1:
        return False
    for name in question.estimand.treatments:
        if name not in structure.random or name in structure.imputed:
            return False
        support = support_of(structure.variable(name))
        if not (support.integer and np.all(support.lower == 0) and np.all(support.upper == 1)):
            return False
    acts = [act for arm in question.estimand.worlds().values() for act in arm.values()]
    return bool(acts) and all(isinstance(act, Set) for act in acts)


def share_plans(plans: dict[int, Plan], runs: dict[int, Run]) -> dict[int, Plan]:
    """Give questions on the same outcome and population the most replicates of any of them.

    Those whose noise cancels between their worlds need no more than they have.
    """
    keys = {
        i: (run.question.outcome, run.question.population, run.inner, run.question.abducted)
        for i, run in runs.items()
        if np.max(plans[i].variance) > (1e-6 * plans[i].target) ** 2
    }
    return {
        i: _with_most(plan, [plans[k] for k, key in keys.items() if key == keys[i]])
        if i in keys
        else plan
        for i, plan in plans.items()
    }
