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
from bayescausal.effects.without_model.discrete import check_dirichlet
from bayescausal.effects.without_model.formula_reader import FormulaReader
from bayescausal.effects.without_model.plug_in_words import name_of, notes_of
from bayescausal.effects.without_model.question_asked import Asked, as_asked
from bayescausal.effects.without_model.read_table import read_cells
from bayescausal.graph.identification.expression import needed
from bayescausal.graph.identification.verdict import Identification
from bayescausal.types import DataError, EstimandError, IdentificationError, SparseTableWarning

if TYPE_CHECKING:
    from bayescausal.annotations import Data
    from bayescausal.effects.estimands.scales import EffectScale

__all__ = ["plug_in"]

#: For each estimand: the levels of x and of x' in its two worlds (1 treated, 0 control).
_ARMS = {
    **dict.fromkeys(("ATE", "CATE", "TE", "CDE", "Contrast"), ((1, 1), (0, 0))),
    **dict.fromkeys(("Expected", "Association", "ATO"), ((1, 1), (0, 0))),
    "ATT": ((1, 1), (1, 0)),
    "ATU": ((0, 1), (0, 0)),
    "NDE": ((1, 0), (0, 0)),
    "NIE": ((0, 1), (0, 0)),
    "PSE": ((1, 0), (0, 0)),
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
        The two values of the treatment; one for each where there are several. Left at their
        defaults, these, `given`, `event` and `scale` are as the verdict's question says.
        ``control=None`` asks for one world, ``E[Y | do(X = treated)]``.
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
    >>> stones = bc.datasets.kidney_stones().data
    >>> verdict = bc.identify(
    ...     "large -> treatment -> success; large -> success", "treatment", "success"
    ... )
    >>> effect = bc.plug_in(verdict, stones, seed=1)
    >>> effect.label
    'E[success | do(treatment=1)] - E[success | do(treatment=0)]'
    >>> print(f"{float(effect):.2f}, sd {effect.sd():.2f}")
    0.05, sd 0.03
    >>> print(f"{float(bc.plug_in(verdict, stones, control=None, empirical=True)):.6f}")
    0.832546
    """
    _check(identification, draws, prior)
    formula, kind = identification.estimand, identification.kind
    question = identification.question
    assert formula is not None
    named = Asked(treated, control, given, event, scale)
    treated, control, given, event, scale = as_asked(identification, named)
    averaged = _averaged_causes(identification, given)
    names = sorted({*needed(formula), *averaged, *(question.treatment if averaged else ())})
    cells = read_cells(data, names, count=count, levels=levels)
    worlds = [_values(question.treatment, treated, "treated")]
    if control is not None:
        worlds.append(_values(question.treatment, control, "control"))
    elif kind not in ("ATE", "CATE", "TE", "CDE", "Contrast", "Expected", "Association"):
        raise EstimandError(
            f"control=None asks for one world, and {kind} is about two.", expected="control=."
        )
    own = question.natural if kind not in ("ATT", "ATU") else ()  # these say it themselves
    fixed = _given(tuple(n for n in (*question.given, *own) if n not in averaged), given)
    loose = identification.any_value | set(averaged)
    weigh = FormulaReader(cells, formula, question.outcome, question.treatment, loose, event)
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


def _check(identification: Identification, draws: int, prior: float) -> None:
    if not isinstance(identification, Identification):
        raise EstimandError(
            f"Found {type(identification).__name__} where a verdict is needed.",
            expected="what bc.identify returns.",
            remedy="plug_in(bc.identify(graph, question), data).",
        )
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
