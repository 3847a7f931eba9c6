r"""Randomised experiments: two arms or several, clusters and blocks, measures taken before.

.. code-block:: text

    arm -> y <- pre        arm: drawn at random, so that nothing causes it
           ^               pre: measured before, a cause of y that the arm does not act on
       cluster, block

The estimand is the average effect of an arm against the control, *ATE*, as a difference or relative
to the control (*lift*). Randomisation identifies it: no variable causes the arm. What was measured
before is not needed for that; it makes the answer more certain [1]_.

It fails where randomisation was broken (shares that are not those that were planned, arms that
differ in what was measured before), where units act on each other (*interference*: randomise and
analyse clusters), where those who drop out differ between arms, and where the outcome is heavy
tailed and a mean of few units. Stopping when the posterior looks good does not change what the
posterior says, if the prior is what effects are like; it does change how often nothing is called
something [2]_: :func:`bayescausal.recover` with ``looks=`` counts it.

References
----------
.. [1] A. Deng, Y. Xu, R. Kohavi and T. Walker, "Improving the sensitivity of online controlled
   experiments by utilizing pre-experiment data", WSDM 2013.
.. [2] A. Deng, J. Lu and S. Chen, "Continuous monitoring of A/B tests without pain: optional
   stopping in Bayesian testing", DSAA 2016.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.designs.randomised.arm_checks import (
    LIFT,
    balance,
    compare_arms,
    expected_loss,
    plot_arms,
    sample_ratio,
    shape,
)
from bayescausal.designs.randomised.outcome_models import (
    FAMILIES,
    TrialRoles,
    amount_of,
    any_of,
    trial_model,
)
from bayescausal.designs.table import (
    check_choice,
    labels,
    numbers,
    read_table,
    refuse_names,
    yes_no,
)
from bayescausal.effects.estimands import ATE
from bayescausal.model.design import Assumption, Design
from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    import pandas as pd

    from bayescausal.annotations import Data

__all__ = ["ab_test"]


def ab_test(
    data: Data,
    outcome: str = "y",
    arm: str = "group",
    pre: str | Sequence[str] | None = None,
    *,
    family: str | None = None,
    clusters: str | None = None,
    blocks: str | None = None,
    control: float | str | None = None,
    shares: Mapping[Any, float] | None = None,
    priors: Mapping[str, object] | None = None,
    missing: Literal["refuse", "drop"] = "refuse",
) -> Design:
    """Return a randomised experiment as a structural model.

    Parameters
    ----------
    data : DataFrame or Mapping
        One row per unit.
    outcome, arm : str
        The columns of what came of it, and of who was given what: 0 and 1, or labels.
    pre : str or sequence of str, optional
        Columns that were measured before: causes of the outcome, not of the arm.
    family : str, optional
        ``"bernoulli"``, ``"gaussian"``, ``"student-t"``, ``"lognormal"``,
        ``"zero_inflated_lognormal"``, ``"poisson"`` or ``"negative_binomial"``. Default:
        ``"bernoulli"`` for 0 and 1, ``"gaussian"`` otherwise; the check ``"shape"`` says when
        another one is nearer to the data.
    clusters, blocks : str, optional
        Columns of the groups that were randomised, or within which units were: their levels are
        drawn from a common distribution.
    control : label, optional
        The arm that others are compared with. Default: 0, or an arm called control or placebo, or
        the first.
    shares : mapping of label to float, optional
        The share that each arm was planned to have: the check ``"sample ratio"`` then says whether
        units were lost.
    priors : mapping, optional
        In place of the defaults, by parameter: ``{"p_y": "Beta(2, 20)"}``.
    missing : {"refuse", "drop"}
        What to do with rows that have an empty cell.

    Returns
    -------
    Design
        Effects ``"ATE"`` and ``"relative lift"``; of several arms these of the first that is
        not the control, and ``"ATE B"``, ``"ATE C"``, ... of
        each against the control. What is a function of all arms at once are checks: ``"arms"`` has
        the probability that an arm is best and its expected loss.

    Raises
    ------
    DataError, UnknownVariableError
        If the table does not fit.

    References
    ----------
    R. Kohavi, D. Tang and Y. Xu, *Trustworthy Online Controlled Experiments*, Cambridge University
    Press, 2020.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> data = {"group": np.repeat([0, 1], 100), "y": np.tile([0, 0, 0, 1], 50)}
    >>> d = bc.designs.ab_test(data)
    >>> list(d.effects), list(bc.graph_of(d).edges)
    (['ATE', 'relative lift'], [('group', 'y')])
    """
    check_choice("missing", missing, ("refuse", "drop"))
    before = () if pre is None else (pre,) if isinstance(pre, str) else tuple(pre)
    roles = {"outcome": outcome, "arm": arm, "pre": before, "clusters": clusters, "blocks": blocks}
    frame = read_table(data, roles, missing=missing)
    own = (any_of(outcome), amount_of(outcome), "unit")
    refuse_names(list(frame.columns), own)
    for name in before:
        frame[name] = numbers(frame, name, "pre", varies=True)
    arms = _arms(frame, arm)
    first = _control(arms, control)
    chosen = _family(frame, outcome, family)
    for role, group in (("clusters", clusters), ("blocks", blocks)):
        if group is not None:
            frame[group] = labels(frame, group, role)[0]
    found = TrialRoles(outcome, arm, before, clusters, blocks, chosen, arms, first)
    _refuse_few(frame, found)
    model = trial_model(frame, found, priors)
    return Design(
        "ab_test",
        model,
        _columns(frame, found),
        _effects(found),
        _assumptions(found),
        {
            "arms": partial(compare_arms, roles=found),
            "expected loss": partial(expected_loss, roles=found),
            "sample ratio": partial(sample_ratio, roles=found, planned=_planned(arms, shares)),
            "balance": partial(balance, roles=found),
            "shape": partial(shape, roles=found),
        },
        {"arms": partial(plot_arms, roles=found)},
    )


# ------------------------------------------------------------------------------- private


def _arms(frame: pd.DataFrame, arm: str) -> tuple[Any, ...]:
    """Return the arms in order; labels become a categorical column."""
    import pandas as pd

    codes, found = labels(frame, arm, "arm")
    if len(found) > 50:
        raise DataError(
            f"The column {arm!r} (arm=) has {len(found)} different values.",
            expected="A few arms.",
        )
    if kind_of(frame[arm]).what == "number":
        if set(found) <= {0, 1}:
            frame[arm] = yes_no(frame, arm, "arm")
            return (0, 1)
        found = tuple(str(v) for v in found)
    frame[arm] = pd.Categorical([found[k] for k in codes], categories=pd.Index(found))
    return found


def _control(arms: tuple[Any, ...], control: float | str | None) -> Any:
    """Return the arm that others are compared with."""
    if control is None:
        named = [a for a in arms if str(a).casefold() in ("control", "placebo", "0", "a")]
        return named[0] if named else arms[0]
    for arm in arms:
        if control in (arm, str(arm)) or str(control) == str(arm):
            return arm
    raise DataError(
        f"control={control!r} is no arm.",
        expected=f"Among {', '.join(map(repr, arms))}.",
        names=closest(str(control), map(str, arms))[:1],
    )


def _family(frame: pd.DataFrame, outcome: str, family: str | None) -> str:
    """Return the family of the outcome, its values checked."""
    frame[outcome] = numbers(frame, outcome, "outcome", varies=True)
    values = frame[outcome].to_numpy(float)
    binary = set(np.unique(values)) <= {0, 1}
    if family is None:
        family = "bernoulli" if binary else "gaussian"
    check_choice("family", family, FAMILIES)
    if family == "bernoulli":
        frame[outcome] = yes_no(frame, outcome, "outcome")
    if family in ("poisson", "negative_binomial"):
        frame[outcome] = numbers(frame, outcome, "outcome", least=0, whole=True).astype(int)
    if family == "lognormal" and (values <= 0).any():
        raise DataError(
            f"{int((values <= 0).sum()):,} values of {outcome!r} are not above 0.",
            expected="Amounts above 0.",
            remedy="With zeros take family='zero_inflated_lognormal'.",
        )
    if family == "zero_inflated_lognormal":
        numbers(frame, outcome, "outcome", least=0)
        if (values > 0).sum() < 2 or (values > 0).all():
            raise DataError(
                f"{int((values == 0).sum()):,} of {len(values):,} values of {outcome!r} are 0.",
                expected="Some zeros, and two amounts above 0 or more.",
                remedy="Without zeros take family='lognormal'.",
            )
    return family


def _refuse_few(frame: pd.DataFrame, roles: TrialRoles) -> None:
    """Refuse arms that nothing can be said of."""
    if roles.clusters is None:
        return
    counts = frame.groupby(roles.arm, observed=True)[roles.clusters].nunique()
    whole = frame.groupby(roles.clusters)[roles.arm].nunique().max() == 1
    if whole and counts.min() < 2:
        raise DataError(
            f"The arm {counts.idxmin()!r} has one cluster ({roles.clusters}).",
            expected="Two clusters or more in each arm: with one, its own level and the effect of "
            "the arm are the same number.",
        )


def _columns(frame: pd.DataFrame, roles: TrialRoles) -> pd.DataFrame:
    """Return the columns that the model is conditioned on."""
    if roles.family != "zero_inflated_lognormal":
        return frame
    spent = frame[roles.outcome].to_numpy(float)
    amounts = np.where(spent > 0, spent, np.nan)
    more = {any_of(roles.outcome): (spent > 0).astype(int), amount_of(roles.outcome): amounts}
    return frame.drop(columns=roles.outcome).assign(**more)


def _effects(roles: TrialRoles) -> dict[str, Any]:
    """Return the questions."""
    levels: dict[str, Any] = {"control": roles.control}
    found: dict[str, Any] = {}
    several = [""] if len(roles.arms) == 2 else ["", *(f" {arm}" for arm in roles.others)]
    arms = [roles.others[0], *roles.others]
    for more, arm in zip(several, arms, strict=False):
        for name, scale in (("ATE", "difference"), ("relative lift", LIFT)):
            asked = ATE(roles.arm, roles.outcome, treated=arm, scale=scale, **levels)
            found[f"{name}{more}"] = asked
    return found


def _planned(arms: tuple[Any, ...], shares: Mapping[Any, float] | None) -> dict[Any, float] | None:
    """Return the shares that were planned, adding up to one."""
    if shares is None:
        return None
    lost = [a for a in arms if a not in shares]
    total = sum(float(v) for v in shares.values())
    if lost or len(shares) != len(arms) or total <= 0 or min(shares.values()) <= 0:
        raise DataError(
            f"shares={dict(shares)!r}.",
            expected=f"A share above 0 for each of {', '.join(map(repr, arms))}.",
        )
    return {a: float(shares[a]) / total for a in arms}


def _assumptions(roles: TrialRoles) -> tuple[Assumption, ...]:
    """Return what identifies the effect, in the variables of this study."""
    arm, y = roles.arm, roles.outcome
    who = f"those of other {roles.clusters}" if roles.clusters else "others"
    return (
        Assumption("randomisation", f"{arm} was drawn: nothing causes it.", "balance"),
        Assumption(
            "all are counted",
            f"Those whose {y} is known are those who were randomised.",
            "sample ratio",
        ),
        Assumption("no interference", f"{y} of a unit does not depend on {arm} of {who}.", ""),
        Assumption(
            "form",
            f"The mean of {y} in an arm is that of the family {roles.family}.",
            "shape",
        ),
    )
