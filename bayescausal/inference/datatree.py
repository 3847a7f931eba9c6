"""A fit in the form that ArviZ reads: one DataTree, a group for each kind of number.

======================  =====================================================================
``posterior``           draws of the parameters, latents and empty cells
``sample_stats``        what the sampler said, where one ran
``log_likelihood``      ``log p(v | parents)`` of each observed cell in each draw
``log_prior``           ``log p`` of each parameter that is no effect of a hierarchy [2]_
``posterior_predictive``  new values of what was observed, given the observed parents
``prior``               draws of the parameters from their prior
``observed_data``       what was observed of the random variables
``constant_data``       ``pm.Data``
======================  =====================================================================

The log likelihood and the predictions are given the *observed* parents, so that each variable's
pair of groups belongs to one and the same conditional distribution, which is what leave-one-out
scores and predictive checks compare [1]_. Given latent variables they are given these as the draws
have them, which have seen the unit.

References
----------
.. [1] A. Vehtari, A. Gelman and J. Gabry, "Practical Bayesian model evaluation using leave-one-out
   cross-validation and WAIC", Statistics and Computing 27, 2017.
.. [2] N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and
   likelihood sensitivity with power-scaling", Statistics and Computing 34, 57, 2024.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.backends.arviz import find_constants, find_observations
from pytensor.graph.replace import clone_replace

from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.data.read import read_data
from bayescausal.inference.sampling.forward import prior_draws
from bayescausal.inference.sampling.reparametrize import prior_names
from bayescausal.inference.stream.source_data import is_streamed
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import BayesCausalError, ModelError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from bayescausal.inference.record import Fit

__all__ = ["GROUPS", "as_datatree"]

#: The groups, in ArviZ's names.
GROUPS = (
    "posterior",
    "sample_stats",
    "log_likelihood",
    "log_prior",
    "posterior_predictive",
    "prior",
    "observed_data",
    "constant_data",
)

#: Those that evaluate the model at the rows.
_OF_ROWS = ("log_likelihood", "posterior_predictive")

#: Numbers that one group may have: 2 GB of them.
_MOST = 250_000_000


def as_datatree(
    fit: Fit, groups: Collection[str] | None = None, seed: int | None = None
) -> xr.DataTree:
    """Return a fit as a DataTree with the groups that ArviZ expects.

    - `groups`: among :data:`GROUPS`. Default: all that the fit has; why others are left out stands
      in ``tree.attrs["left_out"]``.
    - `seed`: of the prior and the predictions. Default: the fit's.
    Raises BayesCausalError for a group that does not exist, or one that was named and that the fit
      cannot have.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     m = pm.Normal("m")
    ...     y = pm.Normal("y", m, 1, dims="unit")
    >>> fit = bc.Fit(model, {"m": [[0.0, 1.0]]}, {"y": [0.0, 0.0]})
    >>> as_datatree(fit, ["log_likelihood"])["log_likelihood/y"].values.round(4).tolist()
    [[[-0.9189, -0.9189], [-1.4189, -1.4189]]]
    """
    wanted = _checked(groups)
    seed = fit.seed if seed is None else int(seed)
    own = "prior" if fit.kind == "prior" else "posterior"
    found: dict[str, Any] = {
        name: node.to_dataset()
        for name, node in fit.draws.children.items()
        if name != "posterior" and name in wanted
    }
    found[own] = fit.posterior
    left: dict[str, str] = {}
    source = _Source(fit, own, seed)
    for name in wanted:
        if name in found:
            continue
        try:
            made = source.make(name)
        except BayesCausalError as error:
            if groups is not None:
                raise
            left[name] = str(error)
            continue
        if made is not None:
            found[name] = made
    order = [name for name in (*GROUPS, *found) if name in found]
    tree = xr.DataTree.from_dict({n: found[n] for n in dict.fromkeys(order) if n in wanted})
    tree.attrs = {"kind": fit.kind, "left_out": [f"{k}: {v}" for k, v in left.items()]}
    return tree


# --------------------------------------------------------------------------- private


class _Source:
    """Makes the groups of one fit; the model is conditioned once, when it is needed."""

    def __init__(self, fit: Fit, own: str, seed: int) -> None:
        self.fit, self.own, self.seed = fit, own, seed
        self._model: pm.Model | None = None
        self._hidden: frozenset[str] = frozenset()

    def make(self, name: str) -> xr.Dataset | None:
        """Return a group; None where there is nothing to put in it."""
        if name == "sample_stats":
            return None
        if name == "prior":
            return self._prior()
        self._need_rows(name)
        groups: dict[str, Callable[[], xr.Dataset | None]] = {
            "observed_data": self._observed_data,
            "constant_data": self._constant_data,
            "log_likelihood": self._log_likelihood,
            "log_prior": self._log_prior,
            "posterior_predictive": self._posterior_predictive,
        }
        made = groups[name]()
        return made if made is None or len(made.data_vars) else None

    def _need_rows(self, name: str) -> None:
        fit = self.fit
        if name in ("posterior", *_OF_ROWS, "log_prior") and self.own == "prior":
            raise ModelError(f"Draws from the prior have no {name}.", expected="A posterior.")
        if fit.data is None:
            raise ModelError(f"A fit without data has no {name}.", expected="A fit to data.")
        if is_streamed(fit):
            raise ModelError(
                f"{name} needs the rows, and the fit was made in one pass over them.",
                remedy="Read some of the rows into memory, and fit that table.",
            )
        if name in _OF_ROWS:
            numbers = fit.n_draws * max(np.size(c) for c in fit.columns.values())
            if numbers > _MOST:
                raise ModelError(
                    f"{name} would have {numbers:.1e} numbers.",
                    expected=f"At most {_MOST:.1e}.",
                    remedy="Fit with fewer draws, or ask for the other groups (groups=).",
                )

    @property
    def model(self) -> pm.Model:
        """The model that knows the data."""
        if self._model is None:
            structure = self.fit.structure
            conformed = read_data(self.fit.model, self.fit.data, structure.unit_dims)[2]
            made = condition(structure, conformed)
            self._model = made.model
            self._hidden = frozenset(made.data_names.values())
            lost = [rv.name for rv in made.model.free_RVs if rv.name not in self.fit.posterior]
            if lost:
                self._model = None
                raise ModelError(f"There are no draws of {', '.join(lost)}.")
        return self._model

    # ---------------------------------------------------------------------- groups

    def _observed_data(self) -> xr.Dataset:
        return self._labelled(find_observations(self.model))

    def _constant_data(self) -> xr.Dataset:
        found = find_constants(self.model)
        return self._labelled({n: v for n, v in found.items() if n not in self._hidden})

    def _log_likelihood(self) -> xr.Dataset:
        return self._density(pm.stats.compute_log_likelihood, None)

    def _log_prior(self) -> xr.Dataset | None:
        structure = self.fit.structure
        free = {rv.name for rv in self.model.free_RVs}
        names = [p for p in structure.parameters if p in free]
        roots = prior_names(structure, names)
        return self._density(pm.stats.compute_log_prior, roots) if roots else None

    def _density(self, compute: Callable[..., xr.DataTree], names: list[str] | None) -> xr.Dataset:
        tree = xr.DataTree.from_dict({"posterior": self.fit.posterior})
        try:
            found = compute(
                tree,
                var_names=names,
                model=self.model,
                extend_inferencedata=False,
                progressbar=False,
                compile_kwargs={"mode": PY_MODE},
            )
        except (NotImplementedError, RuntimeError, TypeError) as error:
            raise ModelError(f"The density of the model cannot be evaluated: {error}") from error
        return found if isinstance(found, xr.Dataset) else found.to_dataset()

    def _posterior_predictive(self) -> xr.Dataset:
        """Draw each observed variable anew, given its observed parents and the draws."""
        model, held = self.model, self.fit.posterior
        seen = {rv: model.rvs_to_values[rv] for rv in model.observed_RVs}
        inputs = {rv: rv.type(name=f"in_{rv.name}") for rv in model.free_RVs}
        outputs = []
        for rv in seen:
            parents = {o: v.astype(o.dtype) for o, v in seen.items() if o is not rv}
            [drawn] = clone_replace([rv], {**inputs, **parents}, rebuild_strict=False)
            outputs.append(drawn)
        function = pm.compile(
            list(inputs.values()),
            outputs,
            random_seed=self.seed,
            mode=PY_MODE,
            on_unused_input="ignore",
        )
        chains, draws = (int(held.sizes[d]) for d in ("chain", "draw"))
        arrays = [held[rv.name].transpose("chain", "draw", ...).values for rv in inputs]
        arrays = [
            a.reshape(-1, *a.shape[2:]).astype(v.dtype)
            for a, v in zip(arrays, inputs.values(), strict=True)
        ]
        rows = [function(*(a[i] for a in arrays)) for i in range(chains * draws)]
        stacked = {
            rv.name: np.stack(values).reshape(chains, draws, *values[0].shape)
            for rv, values in zip(seen, zip(*rows, strict=True), strict=True)
        }
        coords = {d: held[d].values for d in ("chain", "draw")}
        return self._labelled(stacked, ("chain", "draw"), coords)

    def _prior(self) -> xr.Dataset:
        fit = self.fit
        data = None if is_streamed(fit) else fit.data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            observed = read_data(fit.model, data, fit.structure.unit_dims)
            held = prior_draws(observed, fit.n_draws, self.seed)
        return held[[n for n in fit.posterior.data_vars if n in held]]

    def _labelled(
        self,
        arrays: Mapping[str, Any],
        before: tuple[str, ...] = (),
        coords: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Return arrays with the dims and labels that the model gives them."""
        model = self.model
        named: dict[str, Any] = {}
        labels: dict[str, Any] = dict(coords or {})
        for name, value in arrays.items():
            array = np.asarray(value)
            own = list(model.named_vars_to_dims.get(name, ()))
            own += [None] * (array.ndim - len(before) - len(own))
            dims = [d if d is not None else f"{name}_dim_{i}" for i, d in enumerate(own)]
            for dim, length in zip(dims, array.shape[len(before) :], strict=True):
                known = model.coords.get(dim)
                labels.setdefault(dim, np.arange(length) if known is None else np.asarray(known))
            attrs = {}
            if name in self.fit.labels:
                attrs["labels"] = [str(label) for label in self.fit.labels[name]]
            named[name] = ([*before, *dims], array, attrs)
        return xr.Dataset(named, coords=labels)


def _checked(groups: Collection[str] | None) -> tuple[str, ...]:
    """Return the groups that are wanted."""
    if groups is None:
        return GROUPS
    named = (groups,) if isinstance(groups, str) else tuple(groups)
    for name in named:
        if name not in GROUPS:
            raise BayesCausalError(
                f"{name!r} is not a group of a fit.",
                expected=f"one of {', '.join(GROUPS)}.",
                names=closest(str(name), GROUPS)[:1],
            )
    return named
