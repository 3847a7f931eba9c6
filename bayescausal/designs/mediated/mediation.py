r"""Mediation: how much of an effect goes through what lies between.

.. code-block:: text

    t ----------> y        t: the treatment, m: the mediators, y: the outcome
     \         ^  ^        z: covariates, which t does not act on
      +-> m --+   |
      z -> t, m, y

The *natural direct effect* is what the treatment does while every unit keeps the mediators it would
have without it, :math:`NDE = E[Y(1, M(0)) - Y(0, M(0))]`; the *natural indirect effect* what moving
the mediators alone does, :math:`NIE = E[Y(0, M(1)) - Y(0, M(0))]`; without an interaction they add
up to the total effect [1]_. The *controlled direct effect* holds the mediators at a value.

They are identified if, given the covariates, nothing unmeasured causes treatment and outcome,
treatment and mediators, or mediators and outcome, and if nothing that causes mediators and outcome
is itself caused by the treatment [2]_. The last two do not follow from randomising the treatment.

It fails most often at the third: a common cause of mediator and outcome. What it would change is
told by the correlation :math:`\rho` of their disturbances [3]_.

References
----------
.. [1] J. Pearl, "Direct and indirect effects", UAI 2001.
.. [2] T. J. VanderWeele, *Explanation in Causal Inference*, Oxford University Press, 2015, ch. 2.
.. [3] K. Imai, L. Keele and D. Tingley, "A general approach to causal mediation analysis",
   Psychological Methods 15(4), 2010.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.designs.mediated.mediator_checks import (
    MediationRoles,
    balance,
    decomposition,
    plot_effects,
    plot_sensitivity,
    sensitivity,
)
from bayescausal.designs.mediated.proportion import ProportionMediated
from bayescausal.designs.table import labels, numbers, read_table, refuse_names
from bayescausal.effects.estimands import CDE, NDE, NIE, TE
from bayescausal.model.design import Assumption, Design
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError, IdentificationError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal

    import pandas as pd

    from bayescausal.annotations import Data

__all__ = ["mediation"]


def mediation(
    data: Data,
    *,
    treatment: str,
    mediators: Sequence[str],
    outcome: str,
    covariates: Sequence[str] = (),
    interaction: bool = True,
    sequential: bool = False,
    families: Mapping[str, str] | None = None,
    exposure_induced: Sequence[str] = (),
    treated: float | str = 1,
    control: float | str = 0,
    priors: Mapping[str, object] | None = None,
    missing: Literal["refuse", "drop"] = "refuse",
) -> Design:
    """Return a mediation analysis as a structural model.

    Parameters
    ----------
    data : DataFrame or Mapping
        One row per unit.
    treatment, outcome : str
        The columns of the cause and of what comes of it.
    mediators : str or sequence of str
        What lies between.
    covariates : sequence of str
        Columns that the treatment does not act on.
    interaction : bool
        Whether treatment and mediators may act on the outcome more, or less, together.
    sequential : bool
        Whether each mediator acts on those after it. Effects are through all of them together,
        and are the same questions either way.
    families : mapping of str to str, optional
        The family of a mediator or the outcome. Default: ``"bernoulli(link=probit)"`` for 0 and 1,
        ``"gaussian"`` otherwise.
    exposure_induced : sequence of str
        Columns that the treatment causes and that cause mediators and outcome. With any, natural
        effects are not identified, and the call is refused with what to do.
    treated, control : level
        The levels of the treatment that are compared.
    priors : mapping, optional
        As in :func:`bayescausal.model_from_formulas`.
    missing : {"refuse", "drop"}
        What to do with rows that have an empty cell.

    Returns
    -------
    Design
        Effects ``"TE"``, ``"NDE"``, ``"NIE"``, ``"CDE"`` (mediators at their means, or at 0
        where they are 0 and 1) and ``"proportion mediated"``, the share ``1 - NDE / TE``. Its
        median, beside the parts, is the check of that name: a ratio may have no mean.

    Raises
    ------
    IdentificationError
        With exposure-induced confounders.
    DataError, UnknownVariableError, FormulaError
        If the table does not fit.

    References
    ----------
    T. J. VanderWeele, *Explanation in Causal Inference*, Oxford University Press, 2015.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> t = rng.integers(0, 2, 200)
    >>> m = t + rng.normal(size=200)
    >>> data = {"t": t, "m": m, "y": 0.5 * t + m + rng.normal(size=200)}
    >>> d = bc.designs.mediation(data, treatment="t", mediators=["m"], outcome="y")
    >>> list(d.effects), list(bc.graph_of(d).edges)
    (['TE', 'NDE', 'NIE', 'CDE', 'proportion mediated'], [('t', 'm'), ('t', 'y'), ('m', 'y')])
    """
    between = _names(mediators)
    given, induced = _names(covariates), _names(exposure_induced)
    if not between:
        raise DataError("mediators= names no column.", expected="One mediator or more.")
    roles = {"treatment": treatment, "mediators": between, "outcome": outcome}
    roles |= {"covariates": given, "exposure_induced": induced}
    frame = read_table(data, roles, missing=missing)
    refuse_names(list(frame.columns), ("unit",))
    if induced:
        raise _induced(treatment, between, outcome, induced)
    chosen = _families(frame, (*between, outcome), families)
    for name in (treatment, *given):
        _checked(frame, name, "treatment" if name == treatment else "covariates")
    _levels(frame, treatment, treated, control)
    formulas = []
    for k, name in enumerate(between):
        before = between[:k] if sequential else ()
        formulas.append(f"{name} ~ {' + '.join((treatment, *before, *given))}")
    joined = " + ".join(between)
    both = f"{treatment} * ({joined})" if interaction else f"{treatment} + {joined}"
    formulas.append(f"{outcome} ~ {' + '.join((both, *given))}")
    model = model_from_formulas(formulas, families=chosen, data=frame, priors=priors)
    levels: dict[str, Any] = {"treated": treated, "control": control}
    held = {
        m: 0 if set(np.unique(frame[m])) <= {0, 1} else round(float(frame[m].mean()), 6)
        for m in between
    }
    effects = {
        "TE": TE(treatment, outcome, **levels),
        "NDE": NDE(treatment, outcome, mediators=between, **levels),
        "NIE": NIE(treatment, outcome, mediators=between, **levels),
        "CDE": CDE(treatment, outcome, mediators=held, **levels),
        "proportion mediated": ProportionMediated(treatment, outcome, mediators=between, **levels),
    }
    parts = MediationRoles(treatment, between, outcome, given, chosen, interaction, effects)
    plots = {"effects": partial(plot_effects, roles=parts)}
    if parts.has_rho:
        plots["sensitivity"] = partial(plot_sensitivity, roles=parts)
    return Design(
        "mediation",
        model,
        frame,
        effects,
        _assumptions(treatment, between, outcome, given),
        {
            "proportion mediated": partial(decomposition, roles=parts),
            "sensitivity": partial(sensitivity, roles=parts),
            "balance": partial(balance, roles=parts),
        },
        plots,
    )


# ------------------------------------------------------------------------------- private


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _induced(t: str, m: tuple[str, ...], y: str, induced: tuple[str, ...]) -> IdentificationError:
    """Return the refusal of confounders that the treatment causes."""
    names = ", ".join(induced)
    listed = ", ".join(map(repr, (*induced, *m)))
    return IdentificationError(
        f"{names} is caused by {t} and causes {', '.join(m)} and {y}: natural direct and indirect "
        f"effects through {', '.join(m)} are not identified, whatever is measured.",
        remedy=f"Ask for the effects through {names} and {', '.join(m)} together, mediators="
        f"[{listed}] with sequential=True; or for the controlled direct effect, "
        f"bayescausal.CDE, in a model in which {names} has an equation of its own.",
    )


def _families(
    frame: pd.DataFrame, names: tuple[str, ...], given: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the family of each equation."""
    found = {}
    for name in given or {}:
        if name not in names:
            raise DataError(
                f"families= names {name!r}, which has no equation.",
                expected=f"Among {', '.join(names)}.",
                names=closest(str(name), names)[:1],
            )
    for name in names:
        role = "outcome" if name == names[-1] else "mediators"
        if given and name in given:
            found[name] = given[name]
            continue
        frame[name] = numbers(frame, name, role, varies=True)
        if set(np.unique(frame[name])) <= {0, 1}:
            frame[name] = frame[name].astype(int)
            found[name] = "bernoulli(link=probit)"
        else:
            found[name] = "gaussian"
    return found


def _checked(frame: pd.DataFrame, name: str, role: str) -> None:
    """Refuse a column without variation."""
    if kind_of(frame[name]).what == "number":
        numbers(frame, name, role, varies=True)
    else:
        labels(frame, name, role)


def _levels(frame: pd.DataFrame, name: str, treated: float | str, control: float | str) -> None:
    """Refuse levels that a treatment of labels or of two values does not have."""
    seen = list(dict.fromkeys(kind_of(frame[name]).values.tolist()))
    discrete = kind_of(frame[name]).what != "number" or len(seen) == 2
    for role, level in (("treated", treated), ("control", control)):
        if discrete and level not in seen:
            shown = ", ".join(map(repr, sorted(seen, key=str)[:6]))
            raise DataError(
                f"{role}={level!r} is no value of {name!r}.",
                expected=f"Among {shown}.",
                names=closest(str(level), map(str, seen))[:1],
            )


def _assumptions(
    t: str, m: tuple[str, ...], y: str, given: tuple[str, ...]
) -> tuple[Assumption, ...]:
    """Return what identifies natural effects, in the variables of this study."""
    through, but = ", ".join(m), f" but {', '.join(given)}" if given else ""
    return (
        Assumption(
            "no confounding of treatment and outcome",
            f"{t} and {y} have no common cause{but}.",
            "bc.hidden_confounder",
        ),
        Assumption(
            "no confounding of treatment and mediator",
            f"{t} and {through} have no common cause{but}.",
            "balance",
        ),
        Assumption(
            "no confounding of mediator and outcome",
            f"{through} and {y} have no common cause{but}.",
            "sensitivity",
        ),
        Assumption(
            "no exposure-induced confounding",
            f"{t} causes nothing that causes {through} and {y} other than {through}.",
            "",
        ),
    )
