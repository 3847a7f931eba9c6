r"""Panels: treatments over time, the past of treatment, covariates and outcome as parents.

.. code-block:: text

    L[t-1] ----> L[t] ----> L[t+1]      at each time: covariates L, then the treatment A,
      |  \      ^  |  \     ^           then the outcome Y; arrows from a time to itself
      v   v    /   v   v   /            and to the next `lags` times
    A[t-1] ----> A[t] ----> ...
      |            |
      v            v
    Y[t-1] ----> Y[t] ----> ...

The estimand is a contrast of *regimes*: treated at all times against never, or rules that read
what has happened so far, :math:`E[Y_T \mid do(\bar a)] - E[Y_T \mid do(\bar a')]`. A covariate
may be a cause of later treatment and an effect of earlier treatment: no single regression adjusts
rightly for it, since leaving it out confounds and putting it in blocks a part of the effect. The
*g-formula* [1]_ does,

.. math::

   E[Y_T \mid do(\bar a)] = \sum_{\bar l} E[Y_T \mid \bar a, \bar l]
   \prod_t P(l_t \mid \bar l_{t-1}, \bar a_{t-1}),

and is what evaluating the model under an intervention amounts to: each variable at each time has an
equation, and what an intervention reaches is recomputed from its time on. It is identified by
*sequential exchangeability*: at each time, treatment is as good as random given the measured past;
and by *positivity*: each treatment occurs in every past.

It fails with an unmeasured cause of treatment and outcome (one that does not change with time is
allowed for by `unit_effects` as far as its part in the outcome goes), with arrows longer than
`lags`, with wrong forms of equations, and for regimes that hardly anybody followed.

References
----------
.. [1] J. Robins, "A new approach to causal inference in mortality studies with a sustained exposure
   period", Mathematical Modelling 7, 1986.
.. [2] M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020,
   chapters 19-21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.designs.panel_table import panel_table, refuse_gaps
from bayescausal.designs.sequences.regime_checks import checks_of, plots_of
from bayescausal.designs.sequences.waves import Waves, waves_of
from bayescausal.designs.table import read_table, refuse_names
from bayescausal.model.design import Assumption, Design
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bayescausal.annotations import Data

__all__ = ["panel"]


def panel(
    data: Data,
    outcome: str,
    treatment: str,
    unit: str,
    time: str,
    covariates: str | Sequence[str] = (),
    *,
    baseline: str | Sequence[str] = (),
    lags: int = 1,
    treated: float = 1,
    control: float = 0,
    regimes: Mapping[str, Callable[..., Any]] | None = None,
    interactions: bool = False,
    unit_effects: bool = False,
    families: Mapping[str, str] | None = None,
    missing: str = "refuse",
    priors: Mapping[str, Any] | None = None,
) -> Design:
    """A panel with treatments over time, as equations of variables at times.

    Parameters
    ----------
    data : DataFrame
        One row per unit and time. A column that is empty or constant at a time is no variable
        then: an outcome that is measured at the end only has values there alone.
    outcome, treatment, unit, time : str
        Columns. Outcome ``"y"`` at time 3 is the variable ``"y_3"`` of the model.
    covariates : str or sequence of str
        Columns that change with time, those that come first at a time first. They precede the
        treatment of their time.
    baseline : str or sequence of str
        Columns that are constant in each unit, and causes of everything.
    lags : int
        How many times back the parents of a variable reach.
    treated, control : float
        The levels of the regimes that are compared: always the one, always the other.
    regimes : mapping of str to callable, optional
        Rules by name. The arguments of a rule name covariates, baseline, or the outcome (that
        of the time before); it returns the treatment. Each becomes an effect: the rule at all
        times against `control` at all times.
    interactions : bool
        Whether the effect of a treatment may differ by the covariates of its time and by the
        treatment before.
    unit_effects : bool
        A level of each unit in the outcome at all times, which is not a cause of treatment.
    families : mapping of str to str, optional
        By column. Default: ``"bernoulli"`` where values are 0 and 1, else ``"gaussian"``.
    missing : {"refuse", "drop"}
        Of units that lack a time or a value: refuse the table, or leave them out.
    priors : mapping, optional
        As for :func:`bayescausal.model_from_formulas`.

    Returns
    -------
    Design
        Effects ``"ATE"`` (always against never, on the last outcome; at times at which all units
        are treated alike nothing is compared), ``"at_<time>"`` (on the outcome at each time),
        ``"first"`` (treated in the first period alone), and those of `regimes`; checks
        ``"naive"``, ``"positivity"`` and ``"long_run"``; plot
        ``"by_time"``.

    Raises
    ------
    DataError
        If times are missing, a unit has several rows at a time, nothing varies, ...

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> long = {"id": np.repeat(np.arange(50), 2), "t": np.tile([0, 1], 50)}
    >>> long |= {"a": rng.integers(0, 2, 100), "y": rng.normal(size=100)}
    >>> d = bc.designs.panel(long, "y", "a", unit="id", time="t")
    >>> list(d.effects), d.effects["ATE"].describe()
    (['ATE', 'at_0', 'at_1', 'first'], 'E[y_1 | do(a_0=1, a_1=1)] - E[y_1 | do(a_0=0, a_1=0)]')
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    baseline = (baseline,) if isinstance(baseline, str) else tuple(baseline)
    if not isinstance(lags, int) or isinstance(lags, bool) or lags < 0:
        raise DataError(f"lags={lags!r}.", expected="0, 1, 2, ... times back.")
    if missing not in ("refuse", "drop"):
        raise DataError(f"missing={missing!r}.", expected="'refuse' or 'drop'.")
    if treated == control:
        raise DataError(f"treated={treated!r} and control={control!r} are the same.")
    roles = {"outcome": outcome, "treatment": treatment, "unit": unit, "time": time}
    frame = read_table(
        data, roles | {"covariates": covariates, "baseline": baseline}, missing="keep"
    )
    keys = read_table(frame, {"unit": unit, "time": time})
    refuse_names([outcome, treatment, *covariates, *baseline], ("unit_effect",))
    table = panel_table(frame.loc[keys.index], unit, time, repeats=False)
    if missing == "refuse":
        refuse_gaps(table, unit, time, 'Add the rows; or say missing="drop" to leave units out.')
    waves = waves_of(
        table,
        Waves(
            outcome,
            treatment,
            covariates,
            baseline,
            lags,
            (treated, control),
            interactions,
            unit_effects,
            dict(families or {}),
        ),
        missing,
    )
    model = waves.model(priors)
    return Design(
        "panel",
        model,
        waves.columns,
        waves.effects(dict(regimes or {})),
        _assumptions(waves),
        checks_of(waves),
        plots_of(waves),
    )


def _alike(waves: Waves) -> str:
    times = waves.alike()
    if not times:
        return ""
    return (
        f", but at {', '.join(times)}: there all units have one level, which effects leave as it "
        "was, since the data say nothing of another"
    )


def _assumptions(waves: Waves) -> tuple[Assumption, ...]:
    """Return what identifies contrasts of regimes."""
    past = "".join(f"{n}, " for n in dict.fromkeys((*waves.covariates, *waves.baseline)))
    past = f"{past[:-2]} and " if past else ""
    back = f"{waves.lags} time{'s' * (waves.lags != 1)}"
    found = [
        Assumption(
            "sequential exchangeability",
            f"At each time {waves.treatment} shares no cause with later {waves.outcome} but "
            f"{past}the earlier {waves.treatment} and {waves.outcome}.",
            "bc.hidden_confounder",
        ),
        Assumption(
            "positivity",
            f"Both levels of {waves.treatment} occur in every past{_alike(waves)}.",
            "positivity",
        ),
        Assumption("no longer arrows", f"Causes reach at most {back} ahead.", "bc.falsify"),
    ]
    if waves.unit_effects:
        text = f"The level of a unit in {waves.outcome} is no cause of its {waves.treatment}."
        found.append(Assumption("random unit effects", text))
    if waves.dropped:
        found.append(Assumption("missing at random", waves.dropped))
    return tuple(found)
