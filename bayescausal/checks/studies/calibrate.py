r"""Calibration: does a posterior hold the truth as often as it says, whatever the truth is?

Draw parameters from the prior, data from the parameters, a posterior from the data. If posterior,
worlds and estimands are all computed right, the truth is exchangeable with the posterior's draws,

.. math:: \theta \sim p(\theta),\; v \sim p(v \mid \theta),\; \theta^{(1..L)} \sim p(\cdot \mid v)
   \quad\Rightarrow\quad \operatorname{rank}\bigl(q(\theta, v); q(\theta^{(l)}, v)\bigr)
   \sim U\{0, \dots, L\}

for every quantity q: estimands, parameters, and the joint log-density, which sees a posterior that
forgot the data [1]_, [2]_. What is calibrated here is the *answer*: a posterior of the parameters
can be right while the answer drawn from it is not (arms with independent noise, a mediator that was
left at its old value).

The verdict rests on ranks, tested by exact simultaneous bands
(:mod:`~bayescausal.checks.studies.calibrate_bands`), the smallest p-value adjusted for their number
(Holm). Coverage of the HDI is reported beside what an HDI of so many independent draws holds, which
is a little less than its name says. Draws of a Markov chain are thinned to near-independence: an
even selection of at most as many as the chain is worth, and a longer chain where that is too few.

*What it cannot see.* Errors smaller than the number of replicates resolves; errors that cancel in
every quantity that is ranked; and whether the model is right about the world.

References
----------
.. [1] S. Talts, M. Betancourt, D. Simpson, A. Vehtari and A. Gelman, "Validating Bayesian inference
   algorithms with simulation-based calibration", 2018, arXiv:1804.06788.
.. [2] M. Modrak, A. H. Moon, S. Kim, P. Buerkner, N. Huurre, K. Faltejskova, A. Gelman and
   A. Vehtari, "Simulation-based calibration checking for Bayesian computation: the choice of test
   quantities shapes sensitivity", Bayesian Analysis 20(2), 2025.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.checks.studies.calibrate_verdict import Calibration, judge
from bayescausal.checks.studies.collect import check_replicates, collect, make_recipe
from bayescausal.checks.studies.engine import check_executor
from bayescausal.types import StudyError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    import pymc as pm

    from bayescausal.annotations import Executor
    from bayescausal.checks.studies.questions import Answering, Questions
    from bayescausal.model.design import Design

__all__ = ["calibrate"]


def calibrate(
    model: pm.Model | Design,
    estimands: Questions,
    *,
    units: int | Mapping[str, int] | None,
    replicates: int = 1000,
    fit_model: pm.Model | Design | None = None,
    observed: Sequence[str] | None = None,
    do: Mapping[Any, Any] | None = None,
    seed: int | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
    on_replicate: Callable[[pd.DataFrame], Any] | None = None,
    rank_draws: int = 99,
    path: str | os.PathLike[str] | None = None,
    unit_dims: str | Sequence[str] | None = None,
    estimators: Answering | Sequence[Answering] | None = None,
    draws: int = 500,
    chains: int = 2,
    **fit_options: Any,
) -> Calibration:
    """Check that answers are calibrated: truths from the prior, ranked among the posterior's draws.

    Parameters
    ----------
    model : pm.Model or Design
        What truths and data come from; its priors must be proper, and should be ones that make
        sense to draw truths from.
    estimands : Estimand, sequence of Estimand, or mapping
        As in :func:`bayescausal.recover`. Every parameter and the joint log-density of the
        variables are ranked beside them.
    units : int or mapping of str to int
        Units of each data set.
    replicates : int
        Data sets. 1,000 find a posterior sd that is 10% too small with probability .87 (outside
        the 95% band; .64 outside the 99% band), and a bias of a tenth of a posterior sd with .75
        (.51); 2,500 with more than .99 (.99), and .99 (.95). 100 find neither.
    fit_model, observed, do
        As in :func:`bayescausal.recover`. With another model than that of the data the check is
        meant to fail.
    seed : int, optional
        Same seed, same verdict, whatever the executor.
    executor : concurrent.futures.Executor, optional
        As in :func:`bayescausal.recover`.
    progressbar : bool
        Show a bar that counts replicates.
    on_replicate : callable, optional
        Called with the rows of each replicate, a DataFrame, as it is finished.
    rank_draws : int
        Draws among which the truth is ranked.
    path : path, optional
        As in :func:`bayescausal.recover`.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the models leave it open.
    estimators : estimator or sequence of estimators, optional
        As in :func:`bayescausal.recover`: each answers in the place of a fit, and its draws are
        ranked. Draws of the Bayesian bootstrap are a posterior in large samples alone.
    draws, chains : int
        Of each fit. Chains worth fewer than `rank_draws` independent draws are run again with
        four times as many, twice at most.
    **fit_options
        Passed to :class:`bayescausal.Refitter`.

    Returns
    -------
    Calibration
        A :class:`~bayescausal.draws.check.Check`: the verdict is ``"fail"`` if the smallest
        adjusted p-value is below .01, ``"warn"`` if it is below .05. Of right posteriors at most
        1% fail and at most 5% fail or warn.

    Raises
    ------
    ModelError
        If a prior is improper.
    StudyError, UnknownVariableError, EstimandError, FixedUnitsError, PotentialError
        As in :func:`bayescausal.recover`.

    References
    ----------
    S. Talts et al., "Validating Bayesian inference algorithms with simulation-based calibration",
    2018, arXiv:1804.06788.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> check = bc.calibrate(model, bc.ATE("x", "y"), units=10, replicates=30, seed=1,
    ...                      progressbar=False)
    >>> check.verdict, list(check.table.index)
    ('pass', ['ATE x -> y', 'b', 'log-likelihood'])
    """
    return calibrate_with(
        model,
        estimands,
        units=units,
        replicates=replicates,
        fit_model=fit_model,
        observed=observed,
        do=do,
        seed=seed,
        executor=executor,
        progressbar=progressbar,
        on_replicate=on_replicate,
        rank_draws=rank_draws,
        path=path,
        unit_dims=unit_dims,
        estimators=estimators,
        draws=draws,
        chains=chains,
        options=fit_options,
    )


def calibrate_with(
    model: pm.Model | Design,
    estimands: Questions,
    *,
    units: int | Mapping[str, int] | None,
    options: dict[str, Any],
    seed: int | None = None,
    replicates: int = 1000,
    rank_draws: int = 99,
    draws: int = 500,
    chains: int = 2,
    fit: Callable[..., Any] | None = None,
    answer: Callable[..., Any] | None = None,
    interval: Callable[..., Any] | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
    on_replicate: Callable[[pd.DataFrame], Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    **study: Any,
) -> Calibration:
    """Calibrate another fit, answer or interval in the place of the usual ones.

    ``model``, ``estimands``, ``units``, ``seed``, ``replicates``, ``rank_draws``, ``draws``,
        ``chains``, ``executor``, ``progressbar``: as in :func:`calibrate`, and so are
        `on_replicate` and `path`.
    ``fit``, ``answer``, ``interval``: in the place of :func:`bayescausal.fit`,
        :func:`bayescausal.estimate` and the narrowest interval.
    ``**study``: ``fit_model``, ``observed``, ``do``, ``unit_dims`` and ``estimators``.
    """
    replicates = check_replicates(replicates)
    check_executor(executor)
    whole = isinstance(rank_draws, int | np.integer) and not isinstance(rank_draws, bool)
    if not whole or rank_draws < 9:
        raise StudyError(f"rank_draws={rank_draws!r}.", expected="A whole number of at least 9.")
    if isinstance(draws, int) and isinstance(chains, int) and draws * chains < rank_draws:
        raise StudyError(
            f"{chains} chains x {draws} draws are fewer than rank_draws={rank_draws}.",
            expected="More draws than the truth is ranked among.",
        )
    recipe = make_recipe(
        model,
        None,
        estimands,
        units=units,
        seed=seed,
        options={"draws": draws, "chains": chains, **options},
        parameters=True,
        rank_draws=int(rank_draws),
        fit=fit,
        answer=answer,
        interval=interval,
        **{**dict.fromkeys(("fit_model", "observed", "do", "unit_dims")), **study},
    )
    rows, recipe, notes = collect(
        "calibrate",
        recipe,
        replicates,
        path=path,
        seed_given=seed is not None,
        executor=executor,
        progressbar=progressbar,
        on_replicate=on_replicate,
    )
    return judge(rows, replicates, int(rank_draws), seed=recipe.seed, notes=notes)
