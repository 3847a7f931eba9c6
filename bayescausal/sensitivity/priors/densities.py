"""Log prior and log likelihood of a fit, draw by draw.

The density of a fitted model is a product of one factor per random variable. For each posterior
draw the factors are evaluated at it and at the data: those of the *parameters* make the prior,
those of the observed variables the likelihood. Factors of latent variables and of parameters that
have parameters of their own (the effects of groups in a hierarchy) belong to neither: scaling them
would change the model, not how much is assumed [1]_. A coefficient whose prior is stated given
other coefficients of the same equation (:math:`b_1 \\mid b_2`, as those of models from formulas)
has none of its own: the factors are those of one joint prior.

References
----------
.. [1] N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and
   likelihood sensitivity with power-scaling", Statistics and Computing 34, 57, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.model.transform.conditioning import remove_value_transforms
from pytensor.graph.replace import clone_replace, vectorize_graph

from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.data.read import read_data
from bayescausal.inference.sampling.reparametrize import prior_names
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.sensitivity.equations import rows_of
from bayescausal.types import DataError, ModelError

if TYPE_CHECKING:
    import pymc as pm

    from bayescausal.inference.record import Fit

__all__ = ["Densities", "log_densities"]


@dataclass(frozen=True, eq=False)
class Densities:
    """Log densities of a fit, a value per draw (chain after chain).

    ``prior``: one entry per parameter of
        :func:`bayescausal.inference.sampling.reparametrize.prior_names`.
    ``likelihood``: of all that was observed.
    ``above``: Parameters whose density reads other parameters: in neither.
    """

    prior: dict[str, np.ndarray]
    likelihood: np.ndarray
    above: tuple[str, ...]


def log_densities(fit: Fit) -> Densities:
    """Return log prior and log likelihood for every draw of a fit.

    ``fit``: a posterior with data.
    Raises ModelError if the density of a variable cannot be evaluated.
    """
    structure = fit.structure
    conformed = read_data(fit.model, fit.data, structure.unit_dims)[2]
    model = remove_value_transforms(condition(structure, conformed).model)
    posterior = fit.posterior
    lost = [rv.name for rv in model.free_RVs if rv.name not in posterior]
    if lost:
        raise ModelError(f"There are no draws of {', '.join(lost)}.")
    names = [p for p in structure.parameters if p in {rv.name for rv in model.free_RVs}]
    roots = prior_names(structure, names)
    above = tuple(n for n in names if n not in roots)
    seen = list(model.observed_RVs)
    try:
        terms = model.logp([*(model[n] for n in roots), *seen], sum=False, jacobian=False)
    except (NotImplementedError, RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"The density of the model cannot be evaluated: {error}") from error
    sums = [t.sum() for t in terms]
    likelihood = pt.add(*sums[len(roots) :]) if len(seen) > 1 else sums[len(roots)]
    values = _evaluate(model, [*sums[: len(roots)], likelihood], fit)
    for name, value in zip([*roots, "likelihood"], values, strict=True):
        if not np.isfinite(value).all():
            raise DataError(f"The log density of {name!r} is not finite in some draws.")
    return Densities(dict(zip(roots, values, strict=False)), values[-1], above)


def _evaluate(model: pm.Model, outputs: list[Any], fit: Fit) -> list[np.ndarray]:
    """Evaluate scalars of the value variables at every draw."""
    posterior = fit.posterior
    inputs = {}
    for rv in model.free_RVs:
        value = model.rvs_to_values[rv]
        inputs[value] = value.type(name=f"in_{rv.name}")
    free = clone_replace(outputs, inputs, rebuild_strict=False)
    many = {
        v: pt.TensorType(v.type.dtype, (None,) * (v.type.ndim + 1))(name=f"all_{v.name}")
        for v in inputs.values()
    }
    call = pytensor.function(
        list(many.values()),
        vectorize_graph(free, many),
        mode=PY_MODE,
        on_unused_input="ignore",
    )
    arrays = [posterior[rv.name].values for rv in model.free_RVs]
    flat = [a.reshape(-1, *a.shape[2:]) for a in arrays]
    units = int(np.prod(list((fit.sizes or {"": 1}).values())))
    step = rows_of(units)
    found: list[list[np.ndarray]] = [[] for _ in outputs]
    for start in range(0, fit.n_draws, step):
        cut = [
            a[start : start + step].astype(v.type.dtype) for a, v in zip(flat, many, strict=True)
        ]
        with np.errstate(all="ignore"):
            values = call(*cut)
        for kept, value in zip(found, values, strict=True):
            length = len(cut[0]) if cut else 1
            kept.append(np.broadcast_to(np.asarray(value, dtype=float), (length,)))
    return [np.concatenate(kept) for kept in found]
