r"""The estimand from data alone: the identified formula, evaluated on the data's distribution.

Where an effect is identified it is a formula in P(V), the joint distribution of the measured
variables, whatever the equations are (:func:`bayescausal.identify`). For discrete variables no
model is needed to use it: P(V) has a Dirichlet posterior, and the formula of a draw of P(V) is a
draw of the effect,

.. math::

    p^{(s)} \sim \operatorname{Dirichlet}(n + a), \qquad
    \tau^{(s)} = g(p^{(s)}; x) - g(p^{(s)}; x').

It is the same for the back door, the front door and whatever ID finds, so the answer of the graph
can be laid beside the answer of a model. It says no more than the graph does: with the graph
wrong, so is the answer.

It fails where a cell that the formula conditions on is empty (positivity) and the prior has no
pseudo-counts; with some, the prior fills the cell, and that is warned of, as is a table with few
rows for each combination that is conditioned on. The prior weighs as much as eight rows at most,
however many cells there are. A formula may hold a
variable that is not part of the question (the middle of a napkin graph): its values are averaged,
weighted by how often they occur.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 3.4.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.scales import parse_scale
from bayescausal.effects.without_model.discrete import Cells, Thin, check_dirichlet, thin
from bayescausal.effects.without_model.plug_in_words import name_of, notes_of
from bayescausal.effects.without_model.read_table import read_cells
from bayescausal.graph.identification.algebra import conditioned
from bayescausal.graph.identification.expression import needed
from bayescausal.types import (
    DataError,
    EstimandError,
    IdentificationError,
    SparseTableWarning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bayescausal.annotations import Data
    from bayescausal.effects.estimands.scales import EffectScale
    from bayescausal.graph.identification.expression import Expression
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["plug_in"]

#: For each estimand: the levels of x and of x' in its two worlds (1 treated, 0 control).
_ARMS = {
    **dict.fromkeys(("ATE", "CATE", "TE", "CDE", "Expected", "Association"), ((1, 1), (0, 0))),
    "ATT": ((1, 1), (1, 0)),
    "ATU": ((0, 1), (0, 0)),
    "NDE": ((1, 0), (0, 0)),
    "NIE": ((0, 1), (0, 0)),
    "PSE": ((1, 0), (0, 0)),
    "ATO": ((1, 1), (0, 0)),
}


def plug_in(
    identification: Identification,
    data: Data,
    *,
    treated: object = 1,
    control: object = 0,
    given: Mapping[str, Any] | None = None,
    event: object = None,
    scale: str | EffectScale = "difference",
    count: str | None = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
    draws: int = 4000,
    prior: float = 1.0,
    empirical: bool = False,
    seed: int | None = None,
) -> Effect:
    """Evaluate the identified formula on the posterior of the joint distribution of the data.

    Parameters
    ----------
    identification : Identification
        The verdict of :func:`bayescausal.identify` on names or on a question. It must be
        identified.
    data : DataFrame or Mapping
        Discrete columns for all variables of the formula, one row per unit; or one row per
        cell, with `count`.
    treated, control : value, sequence or mapping
        The two values of the treatment; one for each where there are several. ``control=None``
        asks for one world, ``E[Y | do(X = treated)]``.
    given : mapping, optional
        Values of what the effect is conditional on; of the treatment too, where the verdict is
        about units known by it.
    event : value or mapping, optional
        Ask for the probability of this value of the outcome instead of its mean; a mapping where
        there are several outcomes.
    scale : str or EffectScale
        ``"difference"``, ``"ratio"``, ``"log ratio"`` or ``"odds ratio"`` of the two worlds.
    count : str, optional
        The column of counts; with `empirical` they may be probabilities.
    levels : mapping from str to sequence, optional
        The values that a variable can take, where the data may not show all of them.
    draws : int
        Draws from the posterior.
    prior : float
        Pseudo-counts of the Dirichlet prior in each cell of the formula's variables; a table of
        more than eight cells shares those of eight, so that the prior's weight does not grow with
        the table.
    empirical : bool
        Evaluate the formula on the shares of the data instead: one number, no posterior.
    seed : int, optional
        Seed of the draws.

    Returns
    -------
    Effect
        Its draws have the dims chain (one) and draw.

    Warns
    -----
    SparseTableWarning
        If combinations that the formula conditions on hold no row, or few each.

    Raises
    ------
    IdentificationError
        If the effect is not identified, so that there is no formula.
    EstimandError
        If a value is unknown, or what the question needs is missing.
    UnknownVariableError
        If a column is missing.
    DataError
        If the data are not discrete and complete, or a cell that is conditioned on is empty.
    UndefinedEffectError
        If the scale does not exist here.

    Examples
    --------
    >>> import bayescausal as bc
    >>> from bayescausal.effects.without_model.plug_in import plug_in
    >>> from bayescausal.graph import identify
    >>> stones = bc.datasets.kidney_stones().data
    >>> verdict = identify(
    ...     "large -> treatment -> success; large -> success", "treatment", "success"
    ... )
    >>> effect = plug_in(verdict, stones, seed=1)
    >>> effect.label
    'E[success | do(treatment=1)] - E[success | do(treatment=0)]'
    >>> print(f"{float(effect):.2f}, sd {effect.sd():.2f}")
    0.05, sd 0.03
    >>> print(f"{float(plug_in(verdict, stones, control=None, empirical=True)):.6f}")
    0.832546
    """
    _check(identification, draws, prior)
    assert identification.estimand is not None
    question = identification.question
    formula, kind = identification.estimand, identification.kind
    averaged = _averaged_causes(identification, given)
    names = sorted({*needed(formula), *averaged, *(question.treatment if averaged else ())})
    cells = read_cells(data, names, count=count, levels=levels)
    worlds = [_values(question.treatment, treated, "treated")]
    if control is not None:
        worlds.append(_values(question.treatment, control, "control"))
    elif kind not in ("ATE", "CATE", "TE", "CDE", "Expected", "Association"):
        raise EstimandError(
            f"control=None asks for one world, and {kind} is about two.", expected="control=."
        )
    own = question.natural if kind not in ("ATT", "ATU") else ()  # these say it themselves
    asked = [name for name in (*question.given, *own) if name not in averaged]
    fixed = _given(tuple(asked), given)
    loose = identification.any_value | set(averaged)
    weigh = _Reader(cells, formula, question.outcome, question.treatment, loose, event)
    if kind == "ATO":
        weigh.weight_by_overlap(worlds, averaged, _causes(question), fixed)
    along = kind == "PSE" and any(f"{n}'" in formula.free for n in question.treatment)
    chosen = "TE" if kind == "PSE" and not along else kind  # along all paths it is the total
    arms = [
        weigh.at(_world(worlds, arm, question, nested=chosen in ("NDE", "NIE", "PSE")) | fixed)
        for arm in _ARMS[chosen][: len(worlds)]
    ]
    if empirical:
        blocks = iter([cells.probabilities()[None]])
    else:
        if count is not None and cells.counts.sum() <= 1 + 1e-6:
            raise DataError(
                f"The column {count!r} sums to {cells.counts.sum():.4g}: these are shares, and "
                "how many rows they rest on is not known.",
                expected="counts.",
                remedy="Pass counts, or empirical=True for the number without a posterior.",
            )
        blocks = cells.posterior(draws, prior, seed, wider=weigh.wider)
    values = np.concatenate([weigh.evaluate(p, arms) for p in blocks], axis=1)
    form = parse_scale(scale)
    result = values[0] if control is None else form.combine(values[0], values[1])
    sparse = None if empirical else weigh.thin(arms)
    if sparse is not None and sparse.warns:
        warnings.warn(sparse.sentence(), SparseTableWarning, stacklevel=2)
    return Effect(
        result,
        identification=identification,
        mc_error=0.0,
        seed=seed,
        population="the population that the rows were drawn from",
        notes=notes_of(cells, prior, empirical, sparse),
        null=0.0 if control is None else form.null,
        name=name_of(kind, question, worlds, fixed, event, form),
    )


# --------------------------------------------------------------------------- private


class _Reader:
    """The formula of one question, evaluated on arrays of P(V)."""

    def __init__(
        self,
        cells: Cells,
        formula: Expression,
        outcome: tuple[str, ...],
        treatment: tuple[str, ...],
        loose: frozenset[str],
        event: object,
    ) -> None:
        self.cells, self.formula, self.treatment = cells, formula, treatment
        self.outcome = tuple(n for n in outcome if n in formula.free)
        self.loose = tuple(n for n in cells.names if n in loose)
        self.fixed = tuple(sorted(formula.free - {*self.outcome, *loose}))
        self.score = self._score(outcome, event)
        self.weigh: Callable[[np.ndarray], np.ndarray] | None = None
        own = [n for n in self.fixed if n not in cells.names]
        self.wider = int(np.prod([len(self._levels(n)) for n in own], initial=1))

    def _levels(self, name: str) -> np.ndarray:
        return self.cells.levels[self.cells.names.index(self._base(name))]

    def _base(self, name: str) -> str:
        while name not in self.cells.names:
            name = name[:-1]  # the marks of the values that are set
        return name

    def _score(self, outcome: tuple[str, ...], event: object) -> np.ndarray:
        """Return what each value of the outcomes counts for: a number, or whether it happens."""
        if event is None:
            if len(outcome) > 1:
                raise EstimandError(
                    f"There are several outcomes, {', '.join(outcome)}, and no one mean.",
                    remedy="Ask for the probability of values: event={name: value, ...}.",
                )
            return self.cells.numbers(outcome[0])
        happens = event if isinstance(event, Mapping) else {outcome[0]: event}
        if set(happens) != set(outcome):
            raise EstimandError(
                f"event={event!r} does not name the outcomes.",
                expected=f"a value for each of {', '.join(outcome)}.",
            )
        score = np.ones(())
        for name in self.outcome:
            one = np.zeros(len(self._levels(name)))
            one[self.cells.place(name, happens[name])] = 1.0
            score = np.multiply.outer(score, one)
        return np.asarray(score)

    def at(self, world: Mapping[str, Any]) -> tuple[int, ...]:
        """Return where the fixed values of a world stand."""
        return tuple(self.cells.place(self._base(n), world[n]) for n in self.fixed)

    def weight_by_overlap(
        self,
        worlds: Sequence[dict[str, Any]],
        averaged: Sequence[str],
        causes: Sequence[str],
        fixed: Mapping[str, Any],
    ) -> None:
        """Average by ``P(z) e(z) (1 - e(z))`` over the causes z of the treatment, or some of them.

        Raises
        ------
        EstimandError
            If the treatment has other than two values.
        """
        cells, [name] = self.cells, self.treatment
        place = cells.names.index(name)
        levels = [cells.place(name, world[name]) for world in worlds]
        if len(cells.levels[place]) != 2 or levels[0] == levels[1]:
            raise EstimandError(
                f"ATO weights units by their chance of one of two values; {name!r} has "
                f"{len(cells.levels[place])}.",
                expected="a treatment of two values, compared with each other.",
                remedy="Keep the rows of two of its values.",
            )
        self.loose = tuple(n for n in cells.names if n in (*self.loose, *averaged))
        held = {n: cells.place(n, v) for n, v in fixed.items() if n in cells.names}

        def weights(joint: np.ndarray) -> np.ndarray:
            table = np.moveaxis(joint, 1 + place, -1)
            rest = [n for n in cells.names if n != name]
            chance = table.sum(axis=_axes(rest, causes), keepdims=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                chance = chance / chance.sum(axis=-1, keepdims=True)
            own = table.sum(axis=-1) * np.nan_to_num(chance.prod(axis=-1))
            for n, at in held.items():
                own = np.take(own, [at], axis=1 + rest.index(n))
            return np.asarray(own.sum(axis=_axes(rest, self.loose)))

        self.weigh = weights

    def thin(self, arms: Sequence[tuple[int, ...]]) -> Thin | None:
        """Return where the table is too thin for what the formula conditions on."""
        asked: dict[str, list[int]] = {}
        for arm in arms:
            for name, at in zip(self.fixed, arm, strict=True):
                asked.setdefault(self._base(name), []).append(at)
        acted = [n for n in self.treatment if n in self.cells.names]
        return thin(self.cells, conditioned(self.formula), asked, acted)

    def evaluate(self, joint: np.ndarray, arms: Sequence[tuple[int, ...]]) -> np.ndarray:
        """Return ``(arm, draw)``: the expected score in each world."""
        cells = self.cells
        inside = [n for n in self.loose if n in self.formula.free]
        absent = tuple(1 + i for i, n in enumerate(self.loose) if n not in inside)
        order = (*self.fixed, *inside, *self.outcome)
        with np.errstate(divide="ignore", invalid="ignore"):
            table = self.formula.evaluate(joint, cells.names, order)
        many = tuple(range(1, 1 + len(self.fixed)))
        table = np.moveaxis(table, many, range(len(many)))
        found = []
        for arm in arms:
            values = table[arm]  # draw, loose, outcome
            size = len(self.outcome)
            mean = np.tensordot(values, self.score, axes=size) if size else values
            found.append(self._averaged(np.expand_dims(mean, absent), joint))
        return np.stack(found)

    def _averaged(self, mean: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """Average over the values of variables that the answer does not depend on."""
        if self.loose:
            rest = _axes(self.cells.names, self.loose)
            weight = joint.sum(axis=rest) if self.weigh is None else self.weigh(joint)
            if self.weigh is not None:
                weight = weight / weight.reshape(len(joint), -1).sum(axis=1).reshape(
                    -1, *(1 for _ in self.loose)
                )
            mean = np.where(weight > 0, weight * mean, 0.0).reshape(len(joint), -1).sum(axis=1)
        mean = np.broadcast_to(mean, (len(joint),))
        bad = int((~np.isfinite(mean)).sum())
        if bad:
            raise DataError(
                f"The formula {self.formula} is undefined in {bad} of {len(joint)} draws: a cell "
                "that it conditions on is empty.",
                expected="units of every kind that the formula conditions on (positivity).",
                remedy="Use a larger prior=, merge levels, or ask about another contrast.",
            )
        return mean


def _causes(question: Any) -> tuple[str, ...]:
    """Return the causes of the one treatment that a question conditions on."""
    return tuple(n for n in question.given if question.graph.has_edge(n, question.treatment[0]))


def _averaged_causes(
    identification: Identification, given: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Return what overlap weights average over: causes of the treatment without a value."""
    if identification.kind != "ATO":
        return ()
    return tuple(n for n in _causes(identification.question) if n not in (given or {}))


def _axes(names: Sequence[str], kept: Iterable[str]) -> tuple[int, ...]:
    """Return the axes of a table, draws first, of all names but some."""
    return tuple(1 + i for i, n in enumerate(names) if n not in kept)


def _check(identification: Identification, draws: int, prior: float) -> None:
    if not identification or identification.estimand is None:
        wald = identification.method == "instrument"
        raise IdentificationError(
            f"{identification.query} is {identification.status}, so there is no formula.",
            expected="an identified effect.",
            remedy="Bounds there are: bc.instrument_bounds." if wald else "Fit a model.",
        )
    if identification.kind not in _ARMS:
        raise EstimandError(
            f"plug_in does not know {identification.kind}.",
            expected=f"one of {', '.join(_ARMS)}.",
            remedy="Fit a model and use bc.estimate.",
        )
    check_dirichlet(draws, prior)


def _values(names: tuple[str, ...], value: object, what: str) -> dict[str, Any]:
    """Return a value for each treatment."""
    if isinstance(value, Mapping):
        if set(value) != set(names):
            raise EstimandError(
                f"{what}= names {', '.join(map(str, value))}.",
                expected=f"a value for each of {', '.join(names)}.",
            )
        return dict(value)
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(several) != len(names):
        raise EstimandError(
            f"{what}={value!r}.", expected=f"a value for each of {', '.join(names)}."
        )
    return dict(zip(names, several, strict=True))


def _given(names: tuple[str, ...], given: Mapping[str, Any] | None) -> dict[str, Any]:
    given = dict(given or {})
    if set(given) != set(names):
        raise EstimandError(
            f"given= names {', '.join(map(str, given)) or 'nothing'}.",
            expected=f"a value for each of {', '.join(names)}."
            if names
            else "none: the verdict is not conditional on anything.",
        )
    return given


def _world(
    worlds: Sequence[dict[str, Any]], arm: tuple[int, int], question: Any, *, nested: bool
) -> dict[str, Any]:
    """Return the values of x and x' in one of the two worlds compared.

    Where the treatment's own value matters too, that is x, and mediators read x''.
    """
    by = {1: worlds[0], 0: worlds[-1]}
    own, other = by[arm[0]], by[arm[1]]
    mark = "'" if nested and question.crossed else ""
    first = {n + mark: own[n] for n in question.treatment}
    return first | {f"{n}{mark}'": other[n] for n in question.treatment}
