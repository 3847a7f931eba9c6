"""Is the sampler to be believed? Divergences, r_hat, effective sample size, in plain words.

* A *divergence* is a trajectory that left the region where the energy is conserved: the sampler
  could not follow the posterior there, and what it reports may leave that region out.
* *r_hat* compares chains with each other [1]_: above 1.01 they have not mixed.
* The *effective sample size* is the number of independent draws worth as much; below 100 per
  chain, intervals are not to be trusted.

None of them can show that all is well: a mode that no chain has found leaves no trace.

References
----------
.. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, Rank-normalization,
   folding, and localization: an improved R-hat for assessing convergence of MCMC, *Bayesian
   Analysis* 16(2), 2021.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.draws.diagnostics import diagnose as numbers
from bayescausal.model.forests.stamp import forests_in
from bayescausal.model.names import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr

    from bayescausal.model.structure.structure import Structure

__all__ = ["Diagnostics", "diagnose", "summarise"]

_RHAT = 1.01
_ESS_PER_CHAIN = 100
_RHAT_SEVERE = 1.05
_ESS_SEVERE = 25
_ELEMENTS = 200  # of one array: enough to see trouble, cheap to look at


@dataclass(frozen=True)
class Diagnostics:
    """What was seen of the sampler."""

    divergences: int  # divergent transitions, all chains together
    # r_hat, ess_bulk, ess_tail: the worst over all variables (of a large array, over 200 of its
    # entries); NaN where the draws do not allow it, or are independent by construction.
    r_hat: float
    ess_bulk: float
    ess_tail: float
    messages: tuple[str, ...]  # what is wrong, in words; empty where nothing was found
    # Whether it is bad enough to interrupt: divergences, r_hat above 1.05, or fewer than 25
    # effective draws per chain.
    severe: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.messages


def diagnose(
    groups: Mapping[str, xr.Dataset], structure: Structure, methods: Mapping[str, str] | None
) -> Diagnostics:
    """Look at the draws of a sampler.

    - `groups`: ``posterior`` and, where known, ``sample_stats``.
    - `methods`: how each block of variables was drawn. Of blocks with a closed form the draws are
      independent; None where no Markov chain made any, and there is nothing to look at.
    """
    nan = float("nan")
    posterior = groups["posterior"]
    sampled, methods = methods is not None, methods or {}
    exact = [names for names, method in methods.items() if method.startswith("conjugate")]
    independent = {n for names in exact for n in names_of(names)}
    forests = forests_in(structure)
    away = {*structure.deterministics, *independent, *forests}
    if independent:
        away |= {d.name for d in structure.model.deterministics}
    chosen = [name for name in posterior.data_vars if name not in away]
    if not sampled or not (chosen or forests) or posterior.sizes["draw"] < 4:
        return Diagnostics(0, nan, nan, nan, ())
    stats = groups.get("sample_stats")
    looked = posterior[chosen]
    if stats is not None:  # of trees, what they come to at some units
        held = {f: stats[f"{f}_at"].variable for f in forests if f"{f}_at" in stats}
        looked = looked.assign(held)
    divergences = int(stats["diverging"].sum()) if stats is not None and "diverging" in stats else 0
    rhat, bulk, tail, worst = _mixing(looked)
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    messages = []
    if divergences:
        messages.append(
            f"{divergences} of {chains * draws} draws diverged: the posterior may have a region "
            "that was not explored. Try target_accept=0.95, or a non-centred parametrisation."
        )
    mirrored = _switching(looked) if rhat > _RHAT else ()
    if mirrored:
        messages.append(
            f"The chains agree on {', '.join(mirrored)} but for sign or order: the model is the "
            "same with its latent variable mirrored or its components renamed (label switching), "
            "so that drawing more does not help. Fix the sign or the order, for instance by a "
            "positive distribution for a loading. Effects that are the same either way are not "
            "concerned."
        )
    elif rhat > _RHAT:
        messages.append(
            f"The chains disagree: r_hat of {worst} is {rhat:.3f}, above {_RHAT}. Draw more, and "
            "look at the chains."
        )
    floor = _ESS_PER_CHAIN * chains
    lowest = min(bulk, tail)
    if lowest < floor and not mirrored:
        messages.append(
            f"The draws are worth only {lowest:.0f} independent ones, fewer than {floor}. "
            "Draw more."
        )
    severe = divergences > 0 or rhat > _RHAT_SEVERE or lowest < _ESS_SEVERE * chains
    return Diagnostics(divergences, rhat, bulk, tail, tuple(messages), severe)


def summarise(posterior: xr.Dataset, *, prob: float = 0.94) -> pd.DataFrame:
    """Return a table of mean, sd, hdi, ess, r_hat and Monte Carlo errors, a row per scalar.

    - `posterior`: with dims chain and draw.
    - `prob`: of the highest-density interval.
    Returns: only the mean where there are fewer than four draws.
    """
    import pandas as pd
    import xarray as xr
    from arviz_stats import summary

    if not posterior.data_vars:
        return pd.DataFrame(columns=["mean"])
    if posterior.sizes["draw"] < 4:
        means = posterior.mean(("chain", "draw"))
        rows = {
            (f"{name}[{', '.join(map(str, cell))}]" if cell else str(name)): float(array[cell])
            for name, array in ((n, v.values) for n, v in means.data_vars.items())
            for cell in np.ndindex(array.shape)
        }
        return pd.DataFrame({"mean": rows})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return summary(
            xr.DataTree.from_dict({"posterior": posterior}),
            kind="all",
            ci_prob=prob,
            ci_kind="hdi",
            round_to="none",
        )


def _switching(posterior: xr.Dataset) -> tuple[str, ...]:
    """Name variables whose chains disagree, and agree once signs or order are left out."""
    found = []
    for key, array in posterior.data_vars.items():
        sample = array.transpose("chain", "draw", ...).values.astype(float)
        sample = sample.reshape(*sample.shape[:2], -1)
        if not 0 < sample.shape[2] <= _ELEMENTS or _worst(sample) <= _RHAT_SEVERE:
            continue
        size = np.abs(sample)
        apart = (size.mean((0, 1)) > 2 * size.std((0, 1))) & ~(sample.min((0, 1)) > 0)
        signs = apart.any() and _worst(size) <= _RHAT_SEVERE
        order = sample.shape[2] > 1 and _worst(np.sort(sample, axis=2)) <= _RHAT_SEVERE
        if signs or order:
            found.append(str(key))
    return tuple(found)


def _worst(sample: np.ndarray) -> float:
    """Return the largest r_hat of draws (chain, draw, element)."""
    return float(np.fmax.reduce(numbers(np.moveaxis(sample, 2, 0))["r_hat"]))


def _mixing(posterior: xr.Dataset) -> tuple[float, float, float, str]:
    """Return the worst r_hat and effective sample sizes, and whose r_hat that is."""
    worst, name = float("nan"), ""
    bulk, tail = float("inf"), float("inf")
    for key, array in posterior.data_vars.items():
        sample = array.transpose("chain", "draw", ...).values
        sample = sample.reshape(*sample.shape[:2], -1)
        if not sample.shape[2]:
            continue
        pick = np.unique(np.linspace(0, sample.shape[2] - 1, _ELEMENTS).astype(int))
        found = numbers(np.moveaxis(sample[:, :, pick].astype(float), 2, 0))
        r = float(np.fmax.reduce(found["r_hat"]))
        if not worst >= r and not np.isnan(r):
            worst, name = r, str(key)
        bulk = float(np.fmin(bulk, np.fmin.reduce(found["ess_bulk"])))
        tail = float(np.fmin(tail, np.fmin.reduce(found["ess_tail"])))
    nan = float("nan")
    return worst, bulk if np.isfinite(bulk) else nan, tail if np.isfinite(tail) else nan, name
