"""Simulate, then recover: can this study find what it looks for, if the model is right?

A study that cannot recover a known truth is not ready for data. Data are simulated at a truth, the
model is fitted to them, the question is asked of the fit, and the answer is compared with the same
question asked of the complete data at the truth; many times over. A *different* model can be
fitted (the confounder left out, the collider adjusted for), columns can be hidden from it, and the
data can come from a trial (``do=``): what each of them does to the answer is then known before any
real data are seen.

It fails, or says too little, where the truth is far from what will be met: the study speaks of the
truths that were tried. :func:`bayescausal.calibrate` draws them from the prior.

References
----------
.. [1] R. McElreath, *Statistical Rethinking*, 2nd ed., CRC Press, 2020, chapters 4 to 6.
.. [2] T. P. Morris, I. R. White and M. J. Crowther, "Using simulation studies to evaluate
   statistical methods", Statistics in Medicine 38(11), 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.checks.studies.collect import check_replicates, collect, make_recipe
from bayescausal.checks.studies.engine import check_executor
from bayescausal.checks.studies.recovery import Recovery, failures
from bayescausal.inference.record import Fit
from bayescausal.types import ParameterError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    import pymc as pm
    from numpy.typing import ArrayLike

    from bayescausal.annotations import Executor
    from bayescausal.checks.studies.questions import Answering, Questions
    from bayescausal.effects.effect import Effect
    from bayescausal.model.design import Design

__all__ = ["recover"]


def recover(
    model: pm.Model | Design,
    truth: Mapping[str, Any] | Fit,
    estimands: Questions,
    *,
    units: int | Mapping[str, int] | None,
    replicates: int = 200,
    fit_model: pm.Model | Design | None = None,
    observed: Sequence[str] | None = None,
    do: Mapping[Any, Any] | None = None,
    data: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    seed: int | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
    on_replicate: Callable[[pd.DataFrame], Any] | None = None,
    parameters: bool = False,
    path: str | os.PathLike[str] | None = None,
    unit_dims: str | Sequence[str] | None = None,
    estimators: Answering | Sequence[Answering] | None = None,
    looks: int | Sequence[int] | None = None,
    stop: float | Callable[[Effect], Any] = 0.95,
    **fit_options: Any,
) -> Recovery:
    """Simulate at a known truth, fit, estimate and compare, many times.

    Parameters
    ----------
    model : pm.Model or Design
        What the data come from.
    truth : mapping of str to float or array_like, or Fit
        A value for every parameter of `model`; or draws of them, such as
        :func:`bayescausal.prior`, of which each replicate has one.
    estimands : Estimand, sequence of Estimand, or mapping
        What is asked. A mapping gives names; its values may also be functions
        ``(fit, seed) -> Effect`` (or draws with dims chain and draw), which are called on the fit
        and on the truth alike.
    units : int or mapping of str to int
        Units of each data set, as in :func:`bayescausal.simulate`.
    replicates : int
        Data sets.
    fit_model : pm.Model or Design, optional
        What is fitted. Default: `model`. Variables that it does not have are left out of the
        data; its own that the data do not have are latent.
    observed : sequence of str, optional
        The variables that the fit sees; all others are latent in it. Default: all that both
        models have; of a design, what it has columns of.
    do : mapping, optional
        The data come from the model after these interventions, such as a randomised treatment.
    data : table or mapping, optional
        The ``pm.Data`` columns of the units in all data sets, as in :func:`bayescausal.simulate`:
        `units` of its rows, drawn once with replacement. Default: those that the model has.
    seed : int, optional
        Same seed, same rows (but for ``seconds``), whatever the executor.
    executor : concurrent.futures.Executor, optional
        Where replicates run: processes, threads, loky, Dask's ``client.get_executor()``, MPI.
        Default: here, one after the other.
    progressbar : bool
        Show a bar that counts replicates.
    on_replicate : callable, optional
        Called with the rows of each replicate, a DataFrame, as it is finished.
    parameters : bool, default False
        Keep the parameters that both models have, beside the estimands.
    path : path, optional
        A file that rows are written to as they come. A study that is there already is continued;
        another study is refused. It can be made longer by asking for more replicates.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the models leave it open.
    estimators : estimator or sequence of estimators, optional
        Values of ``bc.estimators``, each of which answers every question in the place of a fit of
        `fit_model`, whose graph it is given with the columns of `observed`. Rows are named
        ``"ATE x -> y: aipw"``. Of the options ``draws`` is theirs: how many of the Bayesian
        bootstrap.
    looks : int or sequence of int, optional
        Look at the data while units come in: so many times, evenly spaced, or after these
        numbers of units, the last of which is `units`. A replicate ends when a look stops it.
    stop : float or callable
        What stops a replicate at a look: the posterior probability that the answer to the first
        question lies on one side of no effect is as large; or a function of that Effect, such
        as ``lambda effect: effect.probability(above=0) > 0.95``.
    **fit_options
        Passed to :class:`bayescausal.Refitter`: ``method``, ``draws``, ``chains``, ``tune``, ...
        Chains run one after the other (``cores=1``): replicates are what runs side by side.

    Returns
    -------
    Recovery
        Rows per replicate and estimand, failures included; ``summary()``, ``plot()``.

    Raises
    ------
    ParameterError
        If the truth lacks a parameter, or a value is impossible.
    StudyError
        If the fit would see nothing, the executor runs nothing, the models cannot travel to it,
        or `path` holds another study.
    UnknownVariableError, EstimandError, FixedUnitsError, PotentialError, InterventionError
        If names, questions, sizes, models or interventions do not fit.

    Notes
    -----
    The truth of a question about the *sample* (the default) is that of each data set: its own
    units, latents and, where units keep it, noise. It differs between replicates where effects
    differ between units. For ``population="superpopulation"`` it is that of the population,
    averaged over fresh units.

    With `looks` the summary has two more measures: ``stopped``, the share of replicates that a look
    stopped (where the truth is no effect, the rate of false positives), and ``seen``, the average
    number of units. Bias and coverage are those of what was seen when each replicate ended.

    References
    ----------
    T. P. Morris, I. R. White and M. J. Crowther, "Using simulation studies to evaluate
    statistical methods", Statistics in Medicine 38(11), 2019.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> study = bc.recover(model, {"b": 2.0}, bc.ATE("x", "y"), units=50, replicates=20, seed=1,
    ...                    progressbar=False)
    >>> study.summary().loc["ATE x -> y", ["truth", "power", "failed"]].tolist()
    [2.0, 1.0, 0.0]
    """
    return recover_with(
        model,
        truth,
        estimands,
        units=units,
        replicates=replicates,
        fit_model=fit_model,
        observed=observed,
        do=do,
        data=data,
        seed=seed,
        executor=executor,
        progressbar=progressbar,
        on_replicate=on_replicate,
        parameters=parameters,
        path=path,
        unit_dims=unit_dims,
        estimators=estimators,
        looks=looks,
        stop=stop,
        options=fit_options,
    )


def recover_with(
    model: pm.Model | Design,
    truth: Mapping[str, Any] | Fit,
    estimands: Questions,
    *,
    units: int | Mapping[str, int] | None,
    options: dict[str, Any],
    seed: int | None = None,
    replicates: int = 200,
    fit: Callable[..., Any] | None = None,
    answer: Callable[..., Any] | None = None,
    parameters: bool = False,
    executor: Executor | None = None,
    progressbar: bool = True,
    on_replicate: Callable[[pd.DataFrame], Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    **study: Any,
) -> Recovery:
    """Recover with another fit, or another way to answer, in the place of the usual ones.

    ``model``, ``truth``, ``estimands``, ``units``, ``seed``, ``replicates``, ``parameters``,
        ``executor``, ``progressbar``: as in :func:`recover`, and so are `on_replicate` and `path`.
    ``fit``, ``answer``: in the place of :func:`bayescausal.fit` and :func:`bayescausal.estimate`.
    ``**study``: ``fit_model``, ``observed``, ``do``, ``data``, ``unit_dims``, ``estimators``,
        ``looks`` and ``stop``.
    """
    replicates = check_replicates(replicates)
    check_executor(executor)
    if truth is None:
        raise ParameterError(
            "truth is None.",
            expected="A value for every parameter.",
            remedy="To draw truths from the prior, pass truth=bayescausal.prior(model), or use "
            "bayescausal.calibrate.",
        )
    recipe = make_recipe(
        model,
        truth if isinstance(truth, Fit) or not hasattr(truth, "keys") else dict(truth),
        estimands,
        units=units,
        seed=seed,
        options=options,
        parameters=parameters,
        fit=fit,
        answer=answer,
        **{**dict.fromkeys(("fit_model", "observed", "do", "unit_dims")), **study},
    )
    rows, recipe, notes = collect(
        "recover",
        recipe,
        replicates,
        path=path,
        seed_given=seed is not None,
        executor=executor,
        progressbar=progressbar,
        on_replicate=on_replicate,
    )
    kept = rows.drop(columns=["rank", "ranked", "slack"])
    return Recovery(kept, replicates, recipe.units, recipe.seed, (*notes, *_notes(rows)))


def _notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """Say what should be known of the fits."""
    found = failures(rows)
    unmixed = rows.loc[rows["r_hat"] > 1.05, "replicate"].nunique()
    if unmixed:
        found.append(
            f"r_hat is above 1.05 in {unmixed} of {rows['replicate'].nunique()} replicates."
        )
    if rows["pooled"].any():
        found.append("Of answers per unit, at most 20 units are kept; the summary averages them.")
    return tuple(found)
