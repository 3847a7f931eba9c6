r"""What if there were a common cause that nobody measured?

``hidden_confounder`` puts a latent :math:`U` into the equations of treatment and outcome
(:mod:`bayescausal.sensitivity.confounding.confounder`) and asks the question again:

* on a **grid** of strengths :math:`(\gamma, \delta)`, each fixed: the effect becomes a surface, and
  the *tipping point* is where its interval first holds no effect, or its mean crosses it;
* under a **prior** of the strengths: one posterior that carries the doubt about confounding.

A strength is what one unit of :math:`U` adds to the location of a variable on its link scale. To
judge it, the measured covariates stand beside it as *benchmarks*: their own strengths per standard
deviation, the effect if :math:`U` were as strong as each of them, and how many times as strong it
would have to be to tip the conclusion [1]_.

For a linear-Gaussian model with given strengths this is the formula of omitted-variable bias: the
effect moves by :math:`\gamma\delta / (\gamma^2 + \sigma_X^2)`.

A confounder cannot explain more than the equations leave unexplained: strengths beyond that are
marked (``surface["allowed"]``, hatched in the picture), tip nothing, and are left out of default
grids (:mod:`bayescausal.sensitivity.confounding.allowed`).

*When it fails.* It answers for one confounder of one shape, and covers neither selection nor
measurement error. Benchmarks are no bounds: what was measured may have been chosen because it
matters.

References
----------
.. [1] C. Cinelli and C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
   JRSS B 82(1), 2020, 39-67.
.. [2] L. C. McCandless, P. Gustafson and A. Levy, "Bayesian sensitivity analysis for unmeasured
   confounding in observational studies", Statistics in Medicine 26(11), 2007.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.tensor.random.op import RandomVariable

from bayescausal.draws.intervals import check_prob, interval
from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimate import answer, estimate
from bayescausal.evaluation.measured import plain_name
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.fit import check_options, resolve_seed
from bayescausal.inference.given import as_fit
from bayescausal.sensitivity.confounding.allowed import allowed_strengths
from bayescausal.sensitivity.confounding.benchmarks import benchmark_strengths, default_strengths
from bayescausal.sensitivity.confounding.confounder import place_confounder
from bayescausal.sensitivity.confounding.hidden_record import HiddenConfounder, worst_sign
from bayescausal.sensitivity.confounding.robustness import robustness_value
from bayescausal.sensitivity.confounding.strength_grid import Cells
from bayescausal.sensitivity.equations import Equations
from bayescausal.types import BayesCausalError, EstimandError, FitMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.sensitivity.confounding.allowed import Allowed
    from bayescausal.sensitivity.confounding.confounder import Confounder

__all__ = ["hidden_confounder"]


def hidden_confounder(
    fit: Fit,
    estimand: Estimand | Effect,
    *,
    gamma: float | Sequence[float] | None = None,
    delta: float | Sequence[float] | None = None,
    prior: Mapping[str, Any] | None = None,
    confounder: str = "auto",
    prevalence: float = 0.5,
    treatment: str | None = None,
    outcome: str | None = None,
    benchmarks: Sequence[str] | None = None,
    prob: float = 0.94,
    method: str = "auto",
    draws: int = 300,
    chains: int = 2,
    seed: int | None = None,
    **sampler: Any,
) -> HiddenConfounder:
    """Ask a question again with a hidden common cause of treatment and outcome.

    Parameters
    ----------
    fit : Fit
        A posterior, of a model without the confounder.
    estimand : Estimand
        A question with one number as its answer.
    gamma : float or sequence of float, optional
        Strengths on the treatment, on the scale of its linear predictor (log odds, log rate, or
        its own units). 0 is always added. Default: five values from 0, as far as the strongest
        covariate goes and further, short of what the data rule out.
    delta : float or sequence of float, optional
        Strengths on the outcome. Default: seven values around 0, in the same way.
    prior : mapping, optional
        ``{"gamma": distribution, "delta": distribution}``, made by ``.dist``: asks once more with
        random strengths.
    confounder : {"auto", "normal", "bernoulli"}
        Its distribution. ``"auto"``: standard Normal where treatment and outcome are Normal (it is
        integrated out exactly), two-valued otherwise (it is summed out exactly). A Normal one in
        another model is one more unknown per unit, and slow.
    prevalence : float, default 0.5
        Of a two-valued confounder.
    treatment, outcome : str, optional
        What the confounder acts on. Default: those of the estimand. A mediator and the outcome,
        for example, for the assumption behind direct effects.
    benchmarks : sequence of str, optional
        Covariates to compare with. Default: the measured parents of treatment or outcome that do
        not descend from the treatment.
    prob : float, default 0.94
        Of the highest-density intervals.
    method : {"auto", "nuts"}
        ``"auto"``: importance sampling where its weights allow it, NUTS otherwise.
    draws, chains : int
        For each cell of the grid.
    seed : int, optional
        Default: that of the fit.
    **sampler
        Passed to NUTS where it is run: ``tune``, ``target_accept``.

    Returns
    -------
    HiddenConfounder
        The surface, the tipping point, the benchmarks; robustness value and E-value where they
        are defined.

    Raises
    ------
    EstimandError
        If the question or a strength does not fit.
    ModelError
        If treatment or outcome has no equation, or no location that a confounder could move.
    FitMismatchError
        If the fit is no posterior.

    References
    ----------
    C. Cinelli and C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
    Journal of the Royal Statistical Society B 82(1), 2020.

    Examples
    --------
    >>> import numpy as np, pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     s, b, t = pm.HalfNormal("s"), pm.Normal("b"), pm.HalfNormal("t")
    ...     x = pm.Normal("x", 0, s, dims="unit")
    ...     y = pm.Normal("y", b * x, t, dims="unit")
    >>> x = np.random.default_rng(1).normal(size=200)
    >>> data = {"x": x, "y": 0.5 * x + np.random.default_rng(2).normal(size=200)}
    >>> fit = bc.fit(model, data, seed=1, progressbar=False)
    >>> result = bc.hidden_confounder(fit, bc.ATE("x", "y"), gamma=0.6, delta=[0.5, 1.0])
    >>> result.surface["mean"].sel(gamma=0.6).values.round(1).tolist()
    [0.6, 0.2, -0.1]
    """
    fit, estimand = as_fit(fit, "hidden_confounder"), as_estimand(estimand)
    if fit.kind != "posterior":
        raise FitMismatchError(
            f"Found a fit of kind {fit.kind!r}.",
            expected="a posterior: hidden confounding is judged against data.",
        )
    if method not in ("auto", "nuts"):
        raise EstimandError(f"method={method!r} is not known.", expected="'auto' or 'nuts'.")
    check_options("auto", draws, chains, sampler)
    check_prob(prob)
    priors = _priors(prior)
    fit = with_columns(fit, [*estimand.names, treatment, outcome])
    where = place_confounder(
        fit, estimand, treatment=treatment, outcome=outcome, kind=confounder, prevalence=prevalence
    )
    seed = fit.seed if seed is None else resolve_seed(seed)
    plain = estimate(fit, estimand, seed=seed)
    if plain.dims or plain.null is None:
        raise EstimandError(
            f"{plain.label} is not one number with a value that means no effect.",
            expected="one number on a scale: no by=, no curve, no single world.",
        )
    equations = Equations(fit, (where.treatment, where.outcome))
    strengths = benchmark_strengths(fit, where, equations, benchmarks)
    allowed = allowed_strengths(where, equations)
    usual = where, equations, strengths, allowed
    gammas = _values(gamma, "gamma", lambda: default_strengths(*usual))
    deltas = _values(delta, "delta", lambda: default_strengths(*usual, gammas))
    grid = {"gamma": gammas, "delta": deltas}
    options = {"method": method, "draws": draws, "chains": chains, **sampler}
    cells = Cells(fit, where, **options)
    surface, kept = _surface(cells, grid, plain, estimand, prob, seed)
    surface["allowed"] = (("gamma", "delta"), allowed(gammas[:, None], deltas[None]))
    table = _as_strong(cells, allowed, strengths, surface, plain, estimand, prob, seed)
    under, drawn = None, None
    if priors is not None:
        random = Cells(fit, where, priors=priors, **options).fit(seed=seed)
        under = estimate(random, estimand, seed=seed)
        names = {where.gamma: "gamma", where.delta: "delta"}
        drawn = random.posterior[list(names)].rename(names)
    return HiddenConfounder(
        estimand=estimand,
        confounder=where,
        allowed=allowed,
        effect=plain,
        surface=surface,
        draws=kept,
        benchmarks=table,
        under_prior=under,
        strengths=drawn,
        robustness_value=_robustness(fit, estimand, where, seed),
        model=cells.model,
        prob=prob,
        notes=_notes(cells, where, surface),
    )


# ------------------------------------------------------------------------------- private


def _priors(prior: object) -> dict[str, Any] | None:
    """Check the distributions of the strengths."""
    if prior is None:
        return None
    if not isinstance(prior, Mapping) or set(prior) != {"gamma", "delta"}:
        raise EstimandError(
            f"prior={prior!r}.",
            expected='{"gamma": distribution, "delta": distribution}, made by .dist.',
        )
    for key, rv in prior.items():
        op = getattr(getattr(rv, "owner", None), "op", None)
        if not isinstance(op, RandomVariable | SymbolicRandomVariable) or rv.type.ndim:
            raise EstimandError(
                f"The prior of {key} is {rv!r}.",
                expected="one distribution of one number, as pm.Normal.dist(0, 0.5).",
            )
    return dict(prior)


def _values(given: ArrayLike | None, name: str, default: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the strengths of a grid, sorted, 0 among them."""
    if given is None:
        return default()
    try:
        array = np.atleast_1d(np.asarray(given, dtype=float))
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise EstimandError(
            f"{name}={given!r}.",
            expected="a number, or a sequence of numbers.",
            remedy="For random strengths pass prior=.",
        )
    none = np.abs(array) < 1e-12 * np.abs(array).max()  # the middle of a grid around 0
    return np.unique(np.append(np.where(none, 0.0, array), 0.0)) + 0.0  # and no -0


def _surface(
    cells: Cells,
    grid: dict[str, np.ndarray],
    plain: Effect,
    estimand: Estimand,
    prob: float,
    seed: int,
) -> tuple[xr.Dataset, xr.DataArray]:
    """Answer the question in every cell."""
    rows = []
    for g in grid["gamma"]:
        row = []
        for d in grid["delta"]:
            if g == 0 and d == 0:
                row.append(_thinned(plain.draws, cells))
            else:
                row.append(answer(cells.fit(g, d, seed=seed), estimand, seed).draws.drop_attrs())
        rows.append(xr.concat(row, dim="delta", coords="minimal", join="override"))
    kept = xr.concat(rows, dim="gamma", coords="minimal", join="override").assign_coords(grid)
    kept = kept.transpose("chain", "draw", "gamma", "delta")
    kept.name = plain.label
    surface = _summary(kept, plain, prob)
    zero = {"gamma": 0.0, "delta": 0.0}
    exact = _summary(plain.draws, plain, prob)
    for name, values in exact.items():
        surface[name].loc[zero] = float(values)
    return surface, kept


def _summary(draws: xr.DataArray, plain: Effect, prob: float) -> xr.Dataset:
    assert plain.null is not None
    over = ("chain", "draw")
    ends = interval(draws, prob)
    summary = {"mean": draws.mean(over), "sd": draws.std(over, ddof=1)}
    summary |= {end: ends.sel(ci_bound=end, drop=True) for end in ("lower", "upper")}
    return xr.Dataset(summary | {"above_null": (draws > plain.null).mean(over)})


def _thinned(draws: xr.DataArray, cells: Cells) -> xr.DataArray:
    """Return the draws of the plain fit, in the shape of those of a cell."""
    flat = draws.values.ravel()
    shape = cells.chains, cells.kept
    chosen = flat[np.linspace(0, len(flat) - 1, shape[0] * shape[1]).astype(int)]
    return xr.DataArray(
        chosen.reshape(shape),
        dims=("chain", "draw"),
        coords={"chain": np.arange(shape[0]), "draw": np.arange(shape[1])},
    )


def _as_strong(
    cells: Cells,
    allowed: Allowed,
    strengths: pd.DataFrame,
    surface: xr.Dataset,
    plain: Effect,
    estimand: Estimand,
    prob: float,
    seed: int,
) -> pd.DataFrame:
    """Add the effect if the confounder were as strong as each covariate, where it can be."""
    where = allowed.where
    sign = worst_sign(surface, float(plain.null))  # type: ignore[arg-type]
    table = strengths.copy()
    for name, row in strengths.iterrows():
        g = abs(row["on_treatment"]) / where.sd
        d = sign * abs(row["on_outcome"]) / where.sd
        if not allowed(g, d):
            table.loc[name, ["mean", "lower", "upper"]] = np.nan
            continue
        effect = answer(cells.fit(g, d, seed=seed), estimand, seed)
        found = _summary(effect.draws, plain, prob)
        table.loc[name, ["mean", "lower", "upper"]] = [
            float(found[key]) for key in ("mean", "lower", "upper")
        ]
    return table


def _robustness(fit: Fit, estimand: Estimand, where: Confounder, seed: int) -> Effect | None:
    names = (*estimand.treatments[:1], estimand.outcome_name)
    if (where.treatment, where.outcome) != tuple(plain_name(n) for n in names):
        return None  # it is about confounding of the treatment itself
    try:
        value = robustness_value(fit, estimand, seed=seed)
    except BayesCausalError:
        return None
    assert isinstance(value, Effect)
    return value


def _notes(cells: Cells, where: Confounder, surface: xr.Dataset) -> tuple[str, ...]:
    shape = (
        "a standard Normal one"
        if where.kind == "normal"
        else f"a two-valued one, prevalence {where.prevalence:g}"
    )
    scales = {"identity": "its own units", "logit": "log odds", "log": "logs of the mean"}
    notes = [
        f"The hidden confounder is {shape}, called {where.name}. gamma is what it adds to "
        f"{where.treatment} ({scales[where.links[0]]}), delta what it adds to {where.outcome} "
        f"({scales[where.links[1]]}).",
    ]
    beyond = int((~surface["allowed"]).sum())
    if beyond:
        notes.append(
            f"{beyond} of {surface['allowed'].size} pairs of strengths would explain more than the "
            "equations leave unexplained: the data rule them out, and their answers mean nothing."
        )
    if cells.methods["nuts"]:
        notes.append(f"{cells.methods['nuts']} cells were sampled by NUTS.")
    if cells.trouble:
        notes += _trouble(cells.trouble, surface)
    return tuple(notes)


def _trouble(cells: list[tuple[float, float]], surface: xr.Dataset) -> list[str]:
    """Say where chains had trouble: among strengths that the data allow, or beyond them."""
    allowed, notes = surface["allowed"], []
    distinct = list(dict.fromkeys(cells))
    inside = [bool(allowed.sel(gamma=g, delta=d, method="nearest")) for g, d in distinct]
    for kind, word, more in (
        (True, "that the data allow", " Ask with more draws=."),
        (False, "that the data rule out", ""),
    ):
        found = [cell for cell, where in zip(distinct, inside, strict=True) if where is kind]
        if found:
            notes.append(
                f"In {len(found)} cells {word} the chains did not mix or diverged, first at gamma "
                f"= {found[0][0]:.3g}, delta = {found[0][1]:.3g}.{more}"
            )
    return notes
