r"""A common cause that nobody measured, put into a model.

A latent :math:`U_i` per unit is added to the locations of treatment and outcome on their link
scales, with strengths :math:`\gamma` and :math:`\delta`:

.. math::

    \eta_X \mathrel{+}= \gamma U, \qquad \eta_Y \mathrel{+}= \delta U, \qquad
    U \sim N(0, 1) \ \text{ or }\ U = B - \pi,\ B \sim \operatorname{Bernoulli}(\pi).

A two-valued :math:`U` is centred, so that intercepts keep their meaning: :math:`\gamma` is what
having it adds.

Where treatment and outcome are both Normal, a Normal :math:`U` can be integrated out,

.. math::

    X &\sim N\bigl(f,\ \gamma^2 + \sigma_X^2\bigr), \\
    Y \mid X &\sim N\Bigl(g + k\,(X - f),\ \sigma_Y^2
        + \frac{\delta^2 \sigma_X^2}{\gamma^2 + \sigma_X^2}\Bigr), \qquad
    k = \frac{\gamma \delta}{\gamma^2 + \sigma_X^2},

and drawn back from :math:`N(m, 1/q)` with :math:`q = 1 + \gamma^2/\sigma_X^2 + \delta^2/\sigma_Y^2`
and :math:`q\,m = \gamma (X - f)/\sigma_X^2 + \delta (Y - g)/\sigma_Y^2`. If :math:`g` is linear in
:math:`X` and has the terms of :math:`f`, then :math:`k (X - f)` only renames coefficients: the
observed-data likelihood is the same whatever the strengths, :math:`k` is the omitted-variable bias,
and no data can speak against it [1]_. With other equations data may be informative about the
strengths, through the form of the model alone.

References
----------
.. [1] P. Gustafson, L. C. McCandless, A. R. Levy and S. Richardson, "Simplified Bayesian
   sensitivity analysis for mismeasured and unobserved confounders", Biometrics 66(4), 2010.
.. [2] P. R. Rosenbaum and D. B. Rubin, "Assessing sensitivity to an unobserved binary covariate in
   an observational study with binary outcome", JRSS B 45(2), 1983.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import _default_transform
from pymc.model.fgraph import ModelValuedVar, model_free_rv
from pymc.pytensorf import toposort_replace
from pymc.util import get_transformed_name
from pytensor.tensor.random.basic import NormalRV

from bayescausal.evaluation.measured import plain_name
from bayescausal.model.noise.location import link_of, shifted
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.types import EstimandError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["Confounder", "add_confounder", "integrate_out", "place_confounder"]


@dataclass(frozen=True)
class Confounder:
    """A hidden common cause: what it acts on, and how it is distributed.

    ``name``: of the latent variable in the model.
    ``treatment``, ``outcome``: what it acts on.
    ``kind``: ``"normal"`` or ``"bernoulli"``.
    ``prevalence``: of a two-valued one.
    ``dims``: the unit dims along which it varies.
    ``links``: the scales on which it is added.
    ``gaussian``: whether it can be integrated out in closed form.
    """

    name: str
    treatment: str
    outcome: str
    kind: str
    prevalence: float
    dims: tuple[str, ...]
    links: tuple[str, str]
    gaussian: bool

    @property
    def gamma(self) -> str:
        """Name of the strength on the treatment."""
        return f"{self.name}_on_{self.treatment}"

    @property
    def delta(self) -> str:
        """Name of the strength on the outcome."""
        return f"{self.name}_on_{self.outcome}"

    @property
    def sd(self) -> float:
        """Its standard deviation."""
        p = self.prevalence
        return 1.0 if self.kind == "normal" else float(np.sqrt(p * (1 - p)))


def place_confounder(
    fit: Fit,
    estimand: Estimand,
    *,
    treatment: str | None = None,
    outcome: str | None = None,
    kind: str = "auto",
    prevalence: float = 0.5,
) -> Confounder:
    """Find where a hidden confounder can enter a fitted model, or refuse.

    ``treatment``, ``outcome``: default: those of the estimand.
    ``kind``: ``"auto"``: Normal where it can be integrated out, two-valued otherwise.
    ``prevalence``: of a two-valued confounder.
    """
    structure = fit.structure
    if kind not in ("auto", "normal", "bernoulli"):
        raise EstimandError(
            f"confounder={kind!r} is not known.", expected="'auto', 'normal' or 'bernoulli'."
        )
    if not (isinstance(prevalence, int | float) and 0 < prevalence < 1):
        raise EstimandError(f"prevalence={prevalence!r}.", expected="a number between 0 and 1.")
    if treatment is None:
        if len(estimand.treatments) != 1:
            raise EstimandError(
                f"{estimand.label()} has {len(estimand.treatments)} treatments, and a hidden "
                "confounder acts on one variable.",
                remedy="Say on which: treatment=.",
            )
        treatment = estimand.treatments[0]
    outcome = estimand.outcome_name if outcome is None else outcome
    treatment, outcome = plain_name(treatment), plain_name(outcome)  # a record shares its equation
    for role, name in (("treatment", treatment), ("outcome", outcome)):
        _check_target(fit, role, structure.require(name))
    if treatment == outcome or outcome in structure.ancestors([treatment]):
        raise EstimandError(
            f"{outcome!r} is not after {treatment!r} in the graph.",
            expected="a treatment that does not descend from the outcome.",
        )
    dims = tuple(
        d
        for d in structure.dims[treatment]
        if d in structure.unit_dims and d in structure.dims[outcome]
    )
    if not dims:
        raise ModelError(
            f"{treatment!r} has dims {structure.dims[treatment]} and {outcome!r} "
            f"{structure.dims[outcome]}: no unit has both.",
            expected="a unit dim that both carry.",
        )
    variables = structure.variable(treatment), structure.variable(outcome)
    links = (link_of(variables[0]), link_of(variables[1]))
    same = structure.dims[treatment] == structure.dims[outcome] == dims
    normal = all(isinstance(v.owner.op, NormalRV) for v in variables)
    whole = treatment not in fit.missing and outcome not in fit.missing
    gaussian = same and normal and whole and kind != "bernoulli"
    chosen = ("normal" if gaussian else "bernoulli") if kind == "auto" else kind
    name = "U"
    taken = {*structure.model.named_vars, *structure.model.coords}
    while {name, f"{name}_on_{treatment}", f"{name}_on_{outcome}"} & taken:
        name += "_"
    return Confounder(name, treatment, outcome, chosen, float(prevalence), dims, links, gaussian)


def add_confounder(
    structure: Structure, confounder: Confounder, priors: Mapping[str, Any] | None = None
) -> pm.Model:
    """Return the model with a hidden confounder, its strengths being parameters.

    ``structure``: the model, read. It is not changed.
    ``priors``: ``"gamma"``, ``"delta"``: distributions of the strengths, made by ``.dist``.
        Default: standard Normal ones, for strengths that are fixed afterwards.
    Result: distinct from the one given, with the latent and its two strengths.
    """
    fgraph, memo, initvals = open_model(structure.model)
    shape = tuple(fgraph._dim_lengths[d] for d in confounder.dims)
    if confounder.kind == "normal":
        latent = pm.Normal.dist(0.0, 1.0, size=shape)
        hidden = value = _free(latent, confounder.name, confounder.dims)
    else:
        latent = pm.Bernoulli.dist(confounder.prevalence, size=shape)
        hidden = _free(latent, confounder.name, confounder.dims)
        value = hidden.astype("float64") - confounder.prevalence
    replacements = []
    for key, name in (("gamma", confounder.treatment), ("delta", confounder.outcome)):
        strength = _free(_prior(priors, key), getattr(confounder, key), ())
        marker = memo[structure.model[name]]
        by = strength * _aligned(value, confounder.dims, structure.dims[name])
        replacements.append((marker, _with_rv(marker, shifted(marker.owner.inputs[0], by))))
    toposort_replace(fgraph, tuple(replacements), reverse=True)
    return close(fgraph, initvals)


def integrate_out(
    model: pm.Model, confounder: Confounder, priors: Mapping[str, Any] | None = None
) -> pm.Model:
    """Return a Gaussian model with the confounder integrated out.

    ``model``: conditioned on data, without the confounder. It is not changed.
    ``confounder``: with ``gaussian`` true.
    ``priors``: as in :func:`add_confounder`.
    """
    fgraph, memo, initvals = open_model(model)
    strength = {}
    for key in ("gamma", "delta"):
        name = getattr(confounder, key)
        strength[key] = _free(_prior(priors, key), name, ())
    gamma, delta = strength["gamma"], strength["delta"]
    x, y = memo[model[confounder.treatment]], memo[model[confounder.outcome]]
    (f, s_x), (g, s_y) = _normal(x), _normal(y)
    total = gamma**2 + s_x**2
    size = tuple(fgraph._dim_lengths[d] for d in confounder.dims)
    new_x = pm.Normal.dist(f, pt.sqrt(total), size=size)
    mean = g + gamma * delta / total * (x - f)
    new_y = pm.Normal.dist(mean, pt.sqrt(s_y**2 + delta**2 * s_x**2 / total), size=size)
    todo = [(x, _with_rv(x, new_x)), (y, _with_rv(y, new_y))]
    toposort_replace(fgraph, tuple(todo), reverse=True)
    return close(fgraph, initvals)


# ------------------------------------------------------------------------------- private


def _check_target(fit: Fit, role: str, name: str) -> None:
    structure = fit.structure
    if name in structure.data:
        raise ModelError(
            f"The {role} {name!r} is pm.Data: it has no equation that a confounder could enter.",
            remedy=f"Give {name!r} a distribution in the model.",
        )
    if name in structure.deterministics:
        raise ModelError(
            f"The {role} {name!r} is a Deterministic: it has no noise of its own.",
            remedy=f"Name the random variable behind it: {role}=.",
        )
    if name in structure.imputed:
        raise ModelError(
            f"The model imputes {name!r} itself.",
            expected="The generative model, without observed=.",
        )
    if name not in fit.columns:
        raise ModelError(
            f"The {role} {name!r} has no column: confounding of what is hidden itself cannot be "
            "told from its own equation.",
            expected="a variable that is observed.",
            remedy=f"Observed: {', '.join(fit.observed) or 'none'}.",
        )


def _prior(priors: Mapping[str, Any] | None, key: str) -> Variable:
    """Return the distribution of a strength; a copy, so that it can be used again."""
    if priors is None:
        return pm.Normal.dist(0.0, 1.0)
    rv = priors[key]
    return rv.owner.clone().outputs[rv.owner.outputs.index(rv)]


def _free(rv: Variable, name: str, dims: Sequence[str]) -> Variable:
    """Return a free random variable of a model."""
    discrete = not str(rv.type.dtype).startswith("float")
    transform = None if discrete else _default_transform(rv.owner.op, rv)
    value = rv.type() if transform is None else transform.forward(rv, *rv.owner.inputs).type()
    value.name = name if transform is None else get_transformed_name(name, transform)
    return model_free_rv(rv, value, transform, name, *dims)


def _with_rv(marker: Variable, rv: Variable) -> Variable:
    """Return the same model variable with another random variable behind it."""
    op = marker.owner.op
    assert isinstance(op, ModelValuedVar)
    made = type(op)(name=op.name, dims=op.dims, transform=op.transform)
    return made(rv, marker.owner.inputs[1])


def _normal(marker: Variable) -> list[Variable]:
    """Return mean and sd of a Normal variable of a model."""
    node = marker.owner.inputs[0].owner
    return list(node.op.dist_params(node))


def _aligned(value: Variable, dims: Sequence[str], wanted: Sequence[str]) -> Variable:
    """Return an array of some dims, with its axes where those of `wanted` are."""
    order = [dims.index(d) if d in dims else "x" for d in wanted]
    return value.dimshuffle(order)
