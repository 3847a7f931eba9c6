r"""One model, many strengths: posteriors of a grid from one compilation.

Strengths are data of the model that is sampled, so the compiled density serves every cell; what was
left out of it (a Normal confounder by its integral, a two-valued one by its sum) is drawn back from
its exact conditional in each cell, and the result is an ordinary fit of the model *with* the
confounder, which answers every estimand.

The cells have the same seed: their Monte Carlo errors are alike, and the surface is smoother than
independent runs would make it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr

from bayescausal.inference.closed_forms.compress import lean
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.data.read import read_data
from bayescausal.inference.marginalize.empty_outcomes import draw_gaps, unread, without_cells
from bayescausal.inference.marginalize.marginal import marginalise
from bayescausal.inference.record import Fit, build_fit
from bayescausal.inference.sampling.refit_recipe import compiled_model, sample_compiled
from bayescausal.inference.sampling.sample import sample_model
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.names import Joined
from bayescausal.model.structure.parameters import fix_parameters
from bayescausal.sensitivity.confounding.confounder import add_confounder, integrate_out
from bayescausal.sensitivity.confounding.importance import Importance
from bayescausal.sensitivity.equations import Batch, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.sensitivity.confounding.confounder import Confounder

__all__ = ["Cells"]

#: Numbers of one latent that a cell holds: more draws x units are thinned.
MOST = 20_000_000
#: A chain with a larger r_hat, or a larger share of divergent draws, had trouble.
R_HAT, DIVERGED = 1.1, 0.05


class Cells:
    """Posteriors of a model with a hidden confounder, for strengths that are given or random.

    ``fit``: without the confounder.
    ``priors``: distributions of the strengths. Default: strengths are given cell by cell.
    ``method``: ``"auto"``: importance sampling where the weights allow it, NUTS otherwise.
    ``draws``, ``chains``: kept for each cell.
    ``**sampler``: passed to the Markov chain: ``tune``, ``target_accept``.
    ``model``: with the confounder.
    ``methods``: how many cells were drawn how.
    ``kept``: draws per chain in a cell: fewer than asked for where units are very many.
    ``trouble``: strengths at which a Markov chain had trouble.
    """

    def __init__(
        self,
        fit: Fit,
        confounder: Confounder,
        *,
        priors: Mapping[str, Any] | None = None,
        method: str = "auto",
        draws: int,
        chains: int,
        **sampler: Any,
    ) -> None:
        self.confounder, self.priors = confounder, priors
        self.draws, self.chains, self.sampler = draws, chains, sampler
        self.model = add_confounder(fit.structure, confounder, priors)
        self.structure, self.table, self.conformed, _ = read_data(
            self.model, fit.data, fit.structure.unit_dims
        )
        self.units = int(np.prod([self.conformed.sizes[d] for d in confounder.dims]))
        self.step = max(1, -(-draws * chains * self.units // MOST))
        self.kept = len(range(0, draws, self.step))
        self.trouble: list[tuple[float, float]] = []
        self.marginal: Any = None
        self._states = 1
        self.rows: dict[str, np.ndarray] = {}
        self._cells: dict[str, Any] = {}
        structure = self.structure
        if confounder.gaussian:
            self.back = _Back(fit, confounder)
            structure = fit.structure
            columns = read_data(fit.model, fit.data, structure.unit_dims)[2]
            conditioned = condition(structure, columns)
            integrated = integrate_out(conditioned.model, confounder, priors)
            conditioned = replace(conditioned, model=integrated)
        else:
            conditioned = condition(structure, self.conformed)
            missing = self.conformed.missing
            empty = unread(structure, self.conformed, latents=True)
            self.rows = {n: ~missing[n] for n in empty}
            conditioned = replace(conditioned, model=without_cells(conditioned.model, empty))
        self.marginal = marginalise(structure, conditioned)
        sampled = conditioned.model if self.marginal is None else self.marginal.model
        if self.marginal is not None:
            self._states = max(len(g.states) for g in self.marginal.groups)
        if priors is None:
            zero = {confounder.gamma: np.array(0.0), confounder.delta: np.array(0.0)}
            sampled = fix_parameters(sampled, zero)
        self.sampled = lean(self.structure, sampled)
        self._compiled: Any = None
        self.methods = {"importance": 0, "nuts": 0}
        self._quick: Importance | None = None
        if priors is None and method == "auto":
            try:
                self._quick = Importance(
                    self.sampled,
                    self.structure,
                    self.conformed.coords,
                    fit,
                    self.units * self._states,
                )
            except (ValueError, NotImplementedError):
                self._quick = None

    def fit(self, gamma: float | None = None, delta: float | None = None, *, seed: int) -> Fit:
        """Return the posterior at given strengths, or with random ones.

        ``gamma``, ``delta``: not where the strengths are random.
        Result: of the model with the confounder, which is latent.
        """
        c = self.confounder
        fixed = {} if self.priors is not None else {c.gamma: float(gamma), c.delta: float(delta)}  # type: ignore[arg-type]
        groups = self._sample(fixed, seed)
        posterior = groups["posterior"]
        posterior = posterior.isel(draw=slice(None, None, self.step))
        posterior = posterior.assign_coords(draw=np.arange(posterior.sizes["draw"]))
        like = xr.zeros_like(posterior["chain"] * posterior["draw"], dtype=float)
        posterior = posterior.assign({name: like + value for name, value in fixed.items()})
        rng = np.random.default_rng([seed, 7])
        if self.marginal is not None:
            posterior = posterior.assign(self.marginal.recover(posterior, rng))
        if c.gaussian:
            posterior = posterior.assign({c.name: self.back(posterior, rng)})
        cells = draw_gaps(
            self.structure, self.conformed, self.rows, {}, posterior, seed, self._cells
        )
        for name, values in cells.items():
            dims = ("chain", "draw", f"{name}_dim_0")
            posterior = posterior.assign({name: (dims, values)})
        groups["posterior"] = posterior
        names = Joined(str(v) for v in posterior.data_vars)
        made = build_fit(
            structure=self.structure,
            table=self.table,
            conformed=self.conformed,
            groups=groups,
            kind="posterior",
            seed=seed,
            methods={names: "nuts" if "sample_stats" in groups else "conjugate"},
        )
        seen = made.diagnostics
        if fixed and (seen.r_hat > R_HAT or seen.divergences > DIVERGED * made.n_draws):
            self.trouble.append((fixed[c.gamma], fixed[c.delta]))
        return made

    def _sample(self, fixed: Mapping[str, float], seed: int) -> dict[str, xr.Dataset]:
        """Draw by importance sampling where that will do, by a Markov chain otherwise."""
        if fixed:
            pm.set_data(dict(fixed), model=self.sampled)
        if self._quick is not None:
            found = self._quick.draw(self.draws, self.chains, seed)
            if found is not None:
                self.methods["importance"] += 1
                return {"posterior": found[0]}
        self.methods["nuts"] += 1
        return self._chain(fixed, seed)

    def _chain(self, fixed: Mapping[str, float], seed: int) -> dict[str, xr.Dataset]:
        """Run a Markov chain; compile at the first call."""
        if any(is_discrete(rv) for rv in self.sampled.free_RVs):
            return sample_model(
                self.structure,
                self.sampled,
                draws=self.draws,
                chains=self.chains,
                seed=seed,
                progressbar=False,
                **self.sampler,
            )
        if self._compiled is None:
            self._compiled = compiled_model(self.sampled)
        compiled = self._compiled.with_data(**fixed) if fixed else self._compiled
        sizes = {"draws": self.draws, "chains": self.chains, "seed": seed}
        groups = sample_compiled(compiled, self.conformed, {}, self.sampler, **sizes)
        keep = [str(v) for v in groups["posterior"].data_vars]
        return {**groups, "posterior": groups["posterior"][keep]}


class _Back:
    """Draws a Normal confounder back from its conditional given treatment and outcome."""

    def __init__(self, fit: Fit, confounder: Confounder) -> None:
        structure = fit.structure
        self.fit, self.confounder = fit, confounder
        nodes = [structure.variable(n).owner for n in (confounder.treatment, confounder.outcome)]
        outputs = [p for node in nodes for p in node.op.dist_params(node)]
        held = {str(v) for v in fit.posterior.data_vars} | set(fit.missing)
        self.batch = Batch(structure, outputs, held)
        self.x, self.y = fit.columns[confounder.treatment], fit.columns[confounder.outcome]

    def __call__(self, posterior: xr.Dataset, rng: np.random.Generator) -> xr.DataArray:
        """Return one draw of the confounder for each draw of the posterior."""
        c = self.confounder
        flat = {name: self._value(posterior, name) for name in self.batch.reads}
        gamma, delta = (posterior[n].values.reshape(-1) for n in (c.gamma, c.delta))
        out = np.empty((len(gamma), *self.x.shape))
        step = rows_of(self.x.size)
        for start in range(0, len(gamma), step):
            cut = slice(start, start + step)
            values = {n: v[cut] if varies else v for n, (v, varies) in flat.items()}
            f, s_x, g, s_y = self.batch(values, self.x.ndim)
            a, b = (s[cut].reshape(-1, *(1,) * self.x.ndim) for s in (gamma, delta))
            q = 1 + (a / s_x) ** 2 + (b / s_y) ** 2
            mean = (a * (self.x - f) / s_x**2 + b * (self.y - g) / s_y**2) / q
            out[cut] = mean + rng.normal(size=out[cut].shape) / np.sqrt(q)
        sizes = posterior.sizes["chain"], posterior.sizes["draw"]
        return xr.DataArray(out.reshape(*sizes, *self.x.shape), dims=("chain", "draw", *c.dims))

    def _value(self, posterior: xr.Dataset, name: str) -> tuple[np.ndarray, bool]:
        """Return what an equation reads, and whether it has a value per draw."""
        if name in self.fit.missing:
            cells = posterior[f"{name}_unobserved"].values
            out = np.repeat(self.fit.columns[name][None], cells.shape[0] * cells.shape[1], axis=0)
            out[:, self.fit.missing[name]] = cells.reshape(len(out), -1)
            return out, True
        if name in posterior:
            values = posterior[name].values
            return values.reshape(-1, *values.shape[2:]), True
        return self.fit.value(name), False
