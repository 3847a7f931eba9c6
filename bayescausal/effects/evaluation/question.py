"""From an estimand and a fit to what must be evaluated.

A question is *resolved* once: its names are checked against the model, its worlds parsed, its
population turned into units (those at hand, those of a table, or fresh ones), its subgroup into
conditions on variables of the natural course. What the interventions reach is recomputed;
everything else keeps its value (design: *Worlds*).

A condition on something that the treatment changes is a counterfactual question: the unit's own
noise is needed to say what would have happened to *that* unit. It is answered by abduction, not
by restricting the units and redrawing their noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bayescausal.counterfactuals.coupling import (
    depends_on_coupling,
    resolve_coupling,
    taken_couplings,
)
from bayescausal.effects.averaging.count_quantiles import Parameters, parameters_of
from bayescausal.effects.averaging.first_event import First
from bayescausal.effects.averaging.redrawn import compared, seen_anew
from bayescausal.effects.averaging.time_functionals import (
    CumulativeIncidence,
    RestrictedMean,
    Survival,
)
from bayescausal.effects.estimands.functionals import Probability, Quantile
from bayescausal.effects.estimands.parts import NATURAL, Arm
from bayescausal.effects.evaluation.events import Curve, Cut, Event, Labelled
from bayescausal.effects.evaluation.group_membership import groups_read
from bayescausal.effects.evaluation.levels import (
    coded_event,
    natural_reads,
    noise_of,
    number_labels,
    refuse_default_levels,
    refuse_mean,
    refuse_no_times,
    refuse_unheld,
    refuse_values,
)
from bayescausal.effects.evaluation.population_units import (
    clusters_of,
    complete_table,
    population_of,
    refuse_functional,
)
from bayescausal.effects.evaluation.slopes import (
    refuse_drawn_jumps,
    refuse_labels,
    with_step,
)
from bayescausal.effects.evaluation.unit_weights import CHANCE, refuse_weighting
from bayescausal.effects.words.numbers import ONE_DRAW
from bayescausal.evaluation.build import build_program, recomputed_by
from bayescausal.evaluation.label_levels import coded_levels, encode, in_unit_order
from bayescausal.evaluation.program import Program, Request
from bayescausal.model.interventions.interventions import parse_interventions, refuse_potentials
from bayescausal.model.structure.nested import weighted_dim
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bayescausal.counterfactuals.noise import AbductedNoise
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.evaluation.noise import FreshNoise
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = ["Question", "couplings_of", "parsed_worlds", "post_treatment", "resolve"]


@dataclass(frozen=True, eq=False)
class Question:
    """An estimand resolved against a fit."""

    fit: Fit
    estimand: Estimand
    units: Units
    worlds: Mapping[str, Mapping[str, Intervention]]
    recomputed: frozenset[str]
    arms: tuple[Arm, ...]
    by: tuple[str, ...]
    population: str
    words: str
    notes: tuple[str, ...] = ()
    clusters: Any = None
    reads: tuple[str, ...] = field(default=())
    belongs: Mapping[str, str] = field(default_factory=dict)  #: index, for each dim of groups
    abducted: bool = False
    crossing: frozenset[str] = frozenset()  #: what fixes how the worlds of one unit go together
    couplings: Mapping[str, str] = field(default_factory=dict)
    counts: Any = None  #: a weight per unit, where units stand for several

    @property
    def structure(self) -> Structure:
        """The structure of the fit's model."""
        return self.fit.structure

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return self.estimand.outcome_name

    @property
    def weighted(self) -> str:
        """The dim along which units are weighted."""
        return weighted_dim(self.structure, self.outcome)

    def program(self) -> tuple[Program, dict[str, int]]:
        """Return the compiled worlds, and where in its results each variable read stands."""
        requests = [self._request(arm) for arm in self.arms]
        where = {}
        for name in self.reads:
            where[name] = len(requests)
            requests.append(Request(NATURAL, name, "draw"))
        weighting, held = self.estimand.weighting, self.reads
        if weighting is not None:
            # units weigh by what the chance reads: that is not averaged over beforehand
            held = (*held, *self.structure.graph.predecessors(weighting.variable))
            where[CHANCE] = len(requests)
            level = Event(Probability(equals=encode(self.fit, weighting.variable, weighting.level)))
            requests.append(Request(NATURAL, weighting.variable, "probability", level))
        program = self.compiled(requests, held)
        if self.estimand.derivative:
            refuse_drawn_jumps(self.structure, self.estimand, program)
        return program, where

    def compiled(self, requests: Sequence[Request], conditions: Iterable[str] = ()) -> Program:
        """Return the worlds of the question, compiled for what is requested of them."""
        return build_program(
            self.structure,
            self.worlds,
            requests,
            recomputed=self.recomputed,
            varying=self.units.varies,
            conditions=conditions,
            coupling=self.couplings,
            own_noise=self.abducted,
        )

    def noise(self, seed: int) -> AbductedNoise | FreshNoise:
        """Return the source of the noise: each unit's own where the answer rests on it."""
        return noise_of(
            self.units,
            self.worlds,
            self.recomputed,
            self.couplings,
            seed,
            self.abducted,
            self.natural,
        )

    @property
    def natural(self) -> frozenset[str]:
        """What the natural course computes for the subgroup and the weights."""
        return natural_reads(self.structure, self.estimand, self.reads)

    def _request(self, arm: Arm) -> Request:
        """Return what the program is asked for one arm."""
        functional = self.estimand.functional
        if arm.event is not None:
            kind = "joint" if arm.without else "event"
            event = Event(self.coded(arm.event))
            return Request(arm.world, self.outcome, kind, event, arm.without)
        seen = "event" if self.abducted else "probability"
        match functional:
            case Probability():
                return Request(arm.world, self.outcome, seen, Event(self.coded(functional)))
            case RestrictedMean(upto=limit):
                return Request(arm.world, self.outcome, seen, Cut(float(limit)))
            case Survival(axis=(name, times)):
                above = tuple(self.coded(Probability(above=t)) for t in times)
                return Request(arm.world, self.outcome, seen, Curve(name, above))
            case CumulativeIncidence(axis=axis, at=times, others=others):
                refuse_no_times(self.fit, (self.outcome, *others))
                first = First(axis[0] if axis else "", times, others)
                return Request(arm.world, self.outcome, seen, first)
        if functional.averaged and not self.abducted:
            return Request(arm.world, self.outcome, "mean")
        known = parameters_of(self) if isinstance(functional, Quantile) else None
        return self.drawn(arm.world, known)

    def drawn(self, world: str, known: Parameters | None = None) -> Request:
        """Return what the program is asked for the outcome's values in a world, or for its law."""
        if known is not None:
            return Request(world, self.outcome, "probability", known)
        if labels := number_labels(self.fit, self.outcome):
            return Request(world, self.outcome, "event", Labelled(labels))
        return Request(world, self.outcome, "draw")

    def assumptions(self, program: Program) -> list[str]:
        """Return what fixes the joint across worlds, where the answer needs it."""
        above = {self.outcome} | self.structure.ancestors([self.outcome])
        names = [n for n in self.structure.random if n in self.crossing & above]
        ranked = [n for n in names if n not in self.couplings]
        notes = []
        if ranked:
            notes.append(f"Rank preservation of {', '.join(ranked)}: the data cannot tell.")
        for name, kind in self.couplings.items():
            notes.append(f"Coupling of {name}: {kind}. The data cannot tell.")
        return notes

    def drawn_once(self, program: Program, noise: Iterable[str] = ()) -> list[str]:
        """Return what of the units a single draw rests on: unknown values, weights, `noise`."""
        names = [n for n in program.names if n in self.structure.random and self.units.varies(n)]
        names = [*dict.fromkeys((*names, *noise))]
        names += ["the units' weights"] * (self.population == "superpopulation")
        if self.fit.n_draws > 1 or self.units.fresh or not names:
            return []
        return [f"{ONE_DRAW}{', '.join(names)}: bc.truth(..., draws=1000) shows what it changes."]

    def coded(self, event: Probability) -> Probability:
        """Return the event with codes in the place of a category's labels."""
        return coded_event(self.fit, self.outcome, event)


def resolve(
    fit: Fit,
    estimand: Estimand,
    *,
    ignore_potentials: bool = False,
    seed: int = 0,
    partial: bool = False,
) -> Question:
    """Resolve an estimand against a fit.

    - `seed`: of what is drawn of the units of a table, given what was observed of them.
    - `partial`: whether the units are the first of many.
    """
    structure = fit.structure
    for name in estimand.names:
        structure.require(name)
    if not ignore_potentials:
        refuse_potentials(structure)
    units, population, words, notes = population_of(fit, estimand, seed)
    refuse_functional(structure, estimand, population)
    estimand = _with_masks_in_order(structure, estimand, units)
    refuse_mean(fit, estimand)
    if estimand.derivative:
        refuse_labels(structure, estimand)
        estimand = with_step(units, estimand)
    worlds = parsed_worlds(fit, estimand, units)
    refuse_default_levels(fit, estimand, worlds)
    reached = recomputed = recomputed_by(structure, worlds.values())
    arms = estimand.requested(structure.graph_for(estimand.names))
    if estimand.grouped_by is not None:
        recomputed = recomputed | seen_anew(structure, estimand, population)
    reads = tuple(dict.fromkeys([*(r for a in arms for r in a.condition.reads), *estimand.by]))
    refuse_unheld(units, () if partial else [c for a in arms for c in a.condition.clauses])
    abducted = population == "finite"
    changed = () if abducted else post_treatment(structure, reads, worlds, estimand)
    if estimand.weighting is not None:
        refuse_weighting(structure, estimand, changed)
        recomputed |= {estimand.weighting.variable}
    if population == "model":
        _refuse_masks(arms)
        recomputed |= frozenset(structure.random)
    if changed:
        abducted = population != "model"
        notes = (*notes, _post_treatment_note(population, changed))
    if not abducted:
        recomputed |= compared(structure, estimand, worlds, reads)
    joint = abducted or bool(changed) or estimand.joint
    couplings = couplings_of(structure, estimand, reached, joint, population, changed)
    if population == "target":
        units, more = complete_table(structure, units, estimand, recomputed, worlds, seed)
        notes = (*notes, *more)
    refuse_values(units, estimand, worlds, recomputed, couplings, reads, seed, abducted)
    if not joint:
        notes = (*notes, *taken_couplings(structure, worlds, estimand.outcome_name, couplings))
    weighed = () if estimand.weighting is None else (estimand.weighting.variable,)
    return Question(
        fit=fit,
        estimand=estimand,
        units=units,
        worlds=_asked_worlds(worlds, arms),
        recomputed=recomputed,
        arms=arms,
        by=estimand.by,
        population=population,
        words=words,
        notes=notes,
        clusters=clusters_of(fit, estimand, units),
        reads=reads,
        belongs=groups_read(structure, units, estimand, (*reads, *weighed)),
        abducted=abducted,
        crossing=reached if joint else frozenset(),
        couplings=couplings,
    )


def _with_masks_in_order(structure: Structure, estimand: Estimand, units: Units) -> Estimand:
    """Return the question with its masks in the order of the units."""
    if not estimand.given.masks or units is None:
        return estimand
    dims = tuple(d for d in structure.dims[estimand.outcome_name] if d in structure.unit_dims)
    return replace(estimand, given=estimand.given.in_order(dims, units.coords))


def parsed_worlds(fit: Fit, estimand: Estimand, units: Units) -> dict[str, dict[str, Intervention]]:
    """Return the worlds of an estimand, parsed and checked against the fit's model."""
    return {
        name: parse_interventions(
            fit.structure,
            coded_levels(fit, in_unit_order(fit, do, units.coords)),
            sizes=units.sizes,
        )
        for name, do in estimand.worlds(fit.structure.graph_for(estimand.names)).items()
    }


# --------------------------------------------------------------------- worlds, subgroups


def _asked_worlds(
    worlds: Mapping[str, Mapping[str, Intervention]], arms: Sequence[Arm]
) -> dict[str, Mapping[str, Intervention]]:
    """Return the worlds that arms ask about or take values from, and the natural course."""
    used = {world for arm in arms for world in (arm.world, arm.without)}
    used |= {str(getattr(act, "world", "")) for do in worlds.values() for act in do.values()}
    return {**{n: do for n, do in worlds.items() if n in used}, NATURAL: {}}


def post_treatment(
    structure: Structure,
    reads: tuple[str, ...],
    worlds: Mapping[str, Mapping[str, Intervention]],
    estimand: Estimand,
) -> tuple[str, ...]:
    """Return what the subgroup reads of what the interventions change.

    What a question itself asks of the simulated world does so by definition.
    """
    asked = {*estimand.condition.reads} - {*estimand.subgroup.reads, *estimand.by}
    reads = tuple(name for name in reads if name not in asked)
    changed = structure.descendants({n for do in worlds.values() for n in do})
    return tuple(name for name in reads if name in changed)


def _post_treatment_note(population: str, changed: tuple[str, ...]) -> str:
    """Say that the subgroup is post-treatment; refuse it where nothing is known of it."""
    if population == "target":
        raise EstimandError(
            f"The subgroup reads {', '.join(map(repr, changed))}, which the treatment "
            "changes, and the table holds pre-treatment columns only.",
            remedy="Ask about the units at hand.",
        )
    kept = (
        "the units of the model that come to be so keep their noise in every world."
        if population == "model"
        else "each unit's own noise is kept, from all that was observed of it."
    )
    return f"The subgroup is post-treatment ({', '.join(changed)}): {kept}"


def couplings_of(
    structure: Structure,
    estimand: Estimand,
    reached: frozenset[str],
    joint: bool,
    population: str,
    changed: tuple[str, ...],
) -> dict[str, str]:
    """Return the coupling of the discrete variables, where the joint across worlds matters."""
    asked = getattr(estimand, "coupling", None)
    if not joint and asked is None:
        return {}
    needed = depends_on_coupling(structure, reached, [estimand.outcome_name])
    why, remedy = "", "Averages such as ATE do not depend on it."
    if changed:
        why = (
            f"The subgroup is formed by {', '.join(changed)}, which the treatment changes: who "
            "belongs is decided in one world and what happens to them in another."
        )
        remedy = "Subgroups formed by what comes before the treatment do not depend on it."
    elif population == "finite" and not estimand.joint:
        why = (
            "population='finite' asks about these very units: what each of them would have done in "
            "the world that it was not in hangs on its own noise, and so does their mean."
        )
        remedy = "The average over units like these, population='sample', does not depend on it."
    return resolve_coupling(structure, asked, needed, what=estimand.label(), why=why, remedy=remedy)


def _refuse_masks(arms: tuple[Arm, ...]) -> None:
    if any(a.condition.masks for a in arms):
        raise EstimandError(
            "A mask selects rows of the data, and population='model' has none.",
            remedy='Use a condition such as given={"Z": 1}.',
        )
