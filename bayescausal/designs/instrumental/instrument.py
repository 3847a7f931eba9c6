r"""Instruments: what a nudge to the treatment says about its effect.

.. code-block:: text

    z -> x -> y            z: the instrument, the encouragement, the lottery
         ^    ^            x: the treatment, y: the outcome
         +-u -+            u: their unmeasured common cause

The estimand is the average effect of x, identified under the linear form with one coefficient for
all (*ATE*), or the effect on those whom the instrument moves (*LATE*, *CACE*), identified by
monotonicity [1]_. Both rest on the *exclusion restriction*, that z acts on y through x alone, on z
sharing no cause with y (given the covariates), and on z moving x at all (*relevance*).

It fails where z acts on y by another way: one unit of such a direct path moves the answer by one
over the first stage, so that a weak instrument makes much of little. A weak instrument also makes
two-stage least squares lean towards ordinary least squares with intervals that are too narrow [2]_;
the posterior is wide instead, and leans on the priors. Where effects differ, the linear form
answers for a weighted average of those who are moved.

References
----------
.. [1] J. D. Angrist, G. W. Imbens and D. B. Rubin, "Identification of causal effects using
   instrumental variables", Journal of the American Statistical Association 91, 1996.
.. [2] D. Staiger and J. H. Stock, "Instrumental variables regression with weak instruments",
   Econometrica 65(3), 1997.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescausal.designs.instrumental.exclusion_checks import exclusion
from bayescausal.designs.instrumental.first_stage_checks import (
    bound,
    bounds,
    first_stage,
    plot_first_stage,
    residual,
)
from bayescausal.designs.instrumental.first_stage_checks import two_stage as least_squares
from bayescausal.designs.instrumental.linear import LATENT, InstrumentRoles, linear_model
from bayescausal.designs.instrumental.strata import STRATUM, strata_model, strata_of
from bayescausal.designs.instrumental.strata_checks import compliance, wald
from bayescausal.designs.table import (
    check_choice,
    labels,
    numbers,
    read_table,
    refuse_names,
    yes_no,
)
from bayescausal.effects.estimands import ATE, CATE
from bayescausal.model.design import Assumption, Design
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayescausal.annotations import Data

    type Direct = float | Mapping[str, float] | None

__all__ = ["instrument"]


def instrument(
    data: Data,
    *,
    treatment: str,
    outcome: str,
    instrument: str | Sequence[str],
    covariates: Sequence[str] = (),
    form: Literal["linear", "strata"] = "linear",
    direct: Direct = None,
    robust: bool = False,
    clusters: str | None = None,
    counts: str | None = None,
    priors: Mapping[str, object] | None = None,
    missing: Literal["refuse", "drop"] = "refuse",
) -> Design:
    """Return a study with an instrument as a structural model.

    Parameters
    ----------
    data : DataFrame or Mapping
        One row per unit.
    treatment, outcome : str
        The columns of what is taken and of what comes of it.
    instrument : str or sequence of str
        The columns of the instruments; one of 0 and 1 for ``form="strata"``.
    covariates : sequence of str
        Columns given which the instruments share no cause with the outcome (linear form).
    form : {"linear", "strata"}
        ``"linear"``: linear equations with a latent common cause of treatment and outcome, given by
        the correlation ``rho`` of their disturbances. ``"strata"``: a binary instrument and a
        binary treatment; compliers, never takers and, where some crossed over, always takers.
    direct : float or mapping of str to float, optional
        How far exclusion may fail: the prior standard deviation of a path from the instruments (or
        those named) to the outcome, in the outcome's unit per unit of the instrument.
    robust : bool
        Student-t disturbances in place of Normal ones (linear form).
    clusters : str, optional
        A column of groups whose members share levels in treatment and outcome (linear form).
    counts : str, optional
        A column that says how many units a row stands for, as in a table of cells.
    priors : mapping, optional
        In place of the defaults, by parameter: ``{"rho": "Uniform(-0.5, 0.5)"}``.
    missing : {"refuse", "drop"}
        What to do with rows that have an empty cell.

    Returns
    -------
    Design
        Effects ``"ATE"`` and ``"LATE"`` (linear: the same number), or ``"LATE"`` (strata).

    Raises
    ------
    DataError, UnknownVariableError
        If the table does not fit: a column misspelt or without variation, values that are not 0 and
        1 where they have to be, covariates that determine the instrument.

    References
    ----------
    G. W. Imbens and D. B. Rubin, *Causal Inference for Statistics, Social, and Biomedical
    Sciences*, Cambridge University Press, 2015, chapters 23 to 25.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> near, u = rng.integers(0, 2, 500), rng.normal(size=500)
    >>> educ = 12 + near + u + rng.normal(size=500)
    >>> data = {"near": near, "educ": educ, "wage": 2 * educ - 3 * u + rng.normal(size=500)}
    >>> d = bc.designs.instrument(data, treatment="educ", outcome="wage", instrument="near")
    >>> sorted(d.effects), sorted(bc.graph_of(d).edges)[0]
    (['ATE', 'LATE'], ('common_cause', 'educ'))
    """
    check_choice("form", form, ("linear", "strata"))
    check_choice("missing", missing, ("refuse", "drop"))
    several = (instrument,) if isinstance(instrument, str) else tuple(instrument)
    given = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    columns: dict[str, str | Sequence[str] | None] = {
        "treatment": treatment,
        "outcome": outcome,
        "instrument": several,
    }
    columns |= {"covariates": given, "clusters": clusters, "counts": counts}
    frame = read_table(data, columns, missing=missing)
    if not several:
        raise DataError("instrument= names no column.", expected="One instrument or more.")
    if counts is not None:
        times = numbers(frame, counts, "counts", least=0, whole=True).astype(int)
        frame = frame.loc[frame.index.repeat(times)].drop(columns=counts).reset_index(drop=True)
    refuse_names(list(frame.columns), (LATENT, STRATUM, "rho", "unit"))
    if clusters is not None:
        frame[clusters] = labels(frame, clusters, "clusters")[0]
    roles = InstrumentRoles(treatment, outcome, several, given, clusters, robust)
    if form == "strata":
        return _strata(frame, roles, direct, priors)
    return _linear(frame, roles, direct, priors)


# ------------------------------------------------------------------------------- private


def _linear(
    frame: pd.DataFrame, roles: InstrumentRoles, direct: Direct, priors: Mapping[str, object] | None
) -> Design:
    """Return the linear form."""
    x, y, zs = roles.treatment, roles.outcome, " and ".join(roles.instruments)
    for name, role in ((x, "treatment"), (y, "outcome")):
        frame[name] = numbers(frame, name, role, varies=True)
    for role, names in (("instrument", roles.instruments), ("covariates", roles.covariates)):
        for name in names:
            frame[name] = numbers(frame, name, role, varies=True)
    _refuse_determined(frame, roles)
    paths = _direct(direct, roles)
    given = f", given {', '.join(roles.covariates)}" if roles.covariates else ""
    spreads = ", ".join(f"{v:g} ({k})" for k, v in paths.items())
    stated = f"with a direct path whose prior sd is {spreads}" if paths else f"through {x} alone"
    effect = ATE(x, y)
    return Design(
        "instrument",
        linear_model(frame, roles, paths, priors),
        frame,
        {"ATE": effect, "LATE": effect},
        (
            Assumption("relevance", f"{zs} moves {x}{given}.", "first stage"),
            Assumption("exclusion", f"{zs} acts on {y} {stated}.", "exclusion"),
            Assumption("independence", f"{zs} shares no cause with {y}{given}.", ""),
            Assumption(
                "linearity",
                f"One unit of {x} moves {y} by the same amount for everybody; if not, the answer "
                f"is an average over those whose {x} is moved by {zs}.",
                "two-stage least squares",
            ),
            *_of_clusters(roles),
        ),
        {
            "first stage": partial(first_stage, roles=roles),
            "two-stage least squares": partial(least_squares, roles=roles),
            "exclusion": partial(exclusion, roles=roles),
            "bounds": partial(bounds, roles=roles),
        },
        {"first stage": bound(plot_first_stage, roles)},
    )


def _of_clusters(roles: InstrumentRoles) -> tuple[Assumption, ...]:
    if roles.cluster is None:
        return ()
    text = (
        f"What members of one {roles.cluster} share moves {roles.treatment} and {roles.outcome} "
        f"in proportion; {' and '.join(roles.instruments)} varies within {roles.cluster} too."
    )
    return (Assumption("clusters", text),)


def _strata(
    frame: pd.DataFrame, roles: InstrumentRoles, direct: Direct, priors: Mapping[str, object] | None
) -> Design:
    """Return principal strata."""
    d, y = roles.treatment, roles.outcome
    plain = not (roles.covariates or roles.cluster or roles.robust) and direct is None
    if len(roles.instruments) > 1 or not plain:
        raise DataError(
            "form='strata' is for one instrument, without covariates, clusters=, robust=, direct=.",
            expected="One instrument of 0 and 1.",
            remedy="Take form='linear', or fit within the levels of a covariate.",
        )
    z = roles.instruments[0]
    frame[z], frame[d] = yes_no(frame, z, "instrument"), yes_no(frame, d, "treatment")
    frame[y] = numbers(frame, y, "outcome", varies=True)
    if set(np.unique(frame[y])) <= {0, 1}:
        frame[y] = frame[y].astype(int)
    names = strata_of(frame, roles)
    if names == ("complier",):
        raise DataError(
            f"Everybody took what {z} said, so {d} is {z}.",
            remedy="Without non-compliance this is a trial: bayescausal.designs.ab_test.",
        )
    _refuse_reversed(frame, z, d)
    late = CATE(d, y, given={STRATUM: names.index("complier")})
    crossed = "always taker" in names
    return Design(
        "instrument",
        strata_model(frame, roles, priors),
        frame,
        {"LATE": late, "CACE": late},
        (
            Assumption("relevance", f"Some take {d} because of {z}: compliers.", "compliance"),
            Assumption("exclusion", f"{z} acts on {y} through {d} alone.", "exclusion"),
            Assumption("independence", f"{z} was assigned as if at random.", ""),
            Assumption(
                "monotonicity",
                f"Nobody takes {d} if and only if {z} is 0."
                if crossed
                else f"Nobody takes {d} without {z}, as the data show.",
                "" if crossed else "compliance",
            ),
        ),
        {
            "compliance": partial(compliance, roles=roles),
            "Wald": partial(wald, roles=roles),
            "exclusion": partial(exclusion, roles=roles),
            "bounds": partial(bounds, roles=roles),
        },
    )


def _refuse_reversed(frame: pd.DataFrame, z: str, d: str) -> None:
    """Refuse an instrument that takes units out of the treatment: its compliers are at 0."""
    arms = [frame.loc[frame[z] == level, d] for level in (0, 1)]
    away, se = arms[0].mean() - arms[1].mean(), sum(a.var(ddof=0) / len(a) for a in arms) ** 0.5
    if away > 3 * se:
        raise DataError(
            f"Fewer take {d} at {z} = 1 than at {z} = 0: {arms[1].mean():.3g} against "
            f"{arms[0].mean():.3g}.",
            expected=f"An instrument that brings units to take {d}.",
            remedy=f"Code it the other way: 1 - data[{z!r}].",
        )


def _direct(direct: Direct, roles: InstrumentRoles) -> dict[str, float]:
    """Return the prior spread of the direct path of each instrument that has one."""
    if direct is None:
        return {}
    if isinstance(direct, Mapping):
        paths = dict(direct)
        for name in paths:
            if name not in roles.instruments:
                raise DataError(
                    f"direct= names {name!r}, which is no instrument.",
                    expected=f"Among {', '.join(roles.instruments)}.",
                    names=closest(str(name), roles.instruments)[:1],
                )
    else:
        paths = dict.fromkeys(roles.instruments, direct)
    for value in paths.values():
        if isinstance(value, bool | str) or not np.isfinite(value) or value <= 0:
            raise DataError(
                f"direct={direct!r}.",
                expected="A standard deviation above 0, or one for each instrument by name.",
            )
    return {name: float(value) for name, value in paths.items()}


def _refuse_determined(frame: pd.DataFrame, roles: InstrumentRoles) -> None:
    """Refuse instruments that the covariates, or others, leave no variation of their own."""
    columns: dict[str, Any] = {n: frame[n].to_numpy(float) for n in roles.given}
    for k, name in enumerate(roles.instruments):
        others = [*roles.covariates, *roles.instruments[:k]]
        left = residual(columns, name, others)
        if left @ left < 1e-10 * columns[name].var() * len(frame):
            raise DataError(
                f"The instrument {name!r} is a linear function of {', '.join(others)}.",
                expected="An instrument that varies where these are held.",
                remedy="Leave it out, or leave out the covariate that is it.",
            )
