"""The values a random variable can take, read off its distribution.

The support of :math:`v \\sim D(\\theta)` is an interval of the reals or of the integers. For most
families its ends do not depend on parameters (a Gamma is positive, a Bernoulli is 0 or 1). Where
they do (the ``n`` of a Binomial, the ends of a Uniform), they are known only if they are numbers
or data that are given; an end that is itself random is left open, and nothing is claimed about it.
The support of a mixture, a zero-inflated or a hurdle family is taken as the hull of those of its
components.

A log-density is not asked: it is minus infinity for impossible *parameters* as well, and which of
the two is wrong cannot be told from it.

References
----------
.. [1] N. L. Johnson, A. W. Kemp and S. Kotz, *Univariate Discrete Distributions*, 3rd ed.,
   Wiley, 2005; N. L. Johnson, S. Kotz and N. Balakrishnan, *Continuous Univariate
   Distributions*, 2nd ed., Wiley, 1994.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.pytensorf import rvs_in_graph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomType

from bayescausal.model.structure.function_graph import evaluate
from bayescausal.types import InterventionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from bayescausal.annotations import Array

__all__ = [
    "LOCATIONS",
    "Support",
    "ends_of_data",
    "is_data",
    "is_discrete",
    "params_of",
    "support_of",
]

#: Families whose values move with one parameter: its place among the parameters.
LOCATIONS = {
    "Normal": 0,
    "StudentT": 1,
    "Laplace": 0,
    "Logistic": 0,
    "Cauchy": 0,
    "Gumbel": 0,
    "SkewNormal": 0,
    "AsymmetricLaplace": 2,
    "Moyal": 0,
    "TruncatedNormal": 0,
    "LogNormal": 0,
    "LogitNormal": 0,
    "ExGaussian": 0,
}

_INF = float("inf")


@dataclass(frozen=True, eq=False)
class Support:
    """An interval of the reals or the integers."""

    family: str  # name of the distribution
    # lower, upper: ends; infinite where there is none, or where it is not known.
    lower: np.ndarray
    upper: np.ndarray
    # open_lower, open_upper: whether the end itself is outside.
    open_lower: bool = False
    open_upper: bool = False
    integer: bool = False  # whether only integers belong
    categorical: bool = False
    categories: int | None = None  # for a categorical variable: how many categories, where known
    # ("none", "simplex", "counts" or "sum to zero") What the entries of a vector must do together.
    event: str = "none"

    def contains(self, value: ArrayLike) -> np.ndarray:
        """Return, elementwise, whether `value` can occur; NaN cannot.

        Examples
        --------
        >>> import pymc as pm
        >>> support_of(pm.Gamma.dist(1, 1)).contains([-1.0, 0.0, 2.0]).tolist()
        [False, False, True]
        """
        x = np.asarray(value, dtype=float)
        above = x > self.lower if self.open_lower else x >= self.lower
        below = x < self.upper if self.open_upper else x <= self.upper
        inside = above & below & np.isfinite(x)
        if self.integer:
            inside &= x == np.round(x)
        if self.event == "simplex":
            total = x.sum(axis=-1, keepdims=True)  # NaN where the vector is empty in part
            inside &= np.isclose(total, 1.0, atol=1e-6) | np.isnan(total)
        return inside

    def describe(self) -> str:
        """Return the support in words.

        Examples
        --------
        >>> import pymc as pm
        >>> from bayescausal.model.interventions.support import support_of
        >>> support_of(pm.Binomial.dist(5, 0.2)).describe()
        'an integer from 0 to 5'
        """
        kind = "an integer" if self.integer else "a number"
        low, high = _one(self.lower), _one(self.upper)
        if self.family == "Bernoulli":
            return "0 or 1"
        if self.event == "simplex":
            return "numbers between 0 and 1 that sum to 1"
        if low is None or high is None:
            return f"{kind} within the bounds of each unit"
        if np.isinf(low) and np.isinf(high):
            return f"{kind}"
        if np.isinf(high):
            return f"{kind} {'above' if self.open_lower else 'of at least'} {low:g}"
        if np.isinf(low):
            return f"{kind} {'below' if self.open_upper else 'of at most'} {high:g}"
        if self.open_lower or self.open_upper:
            return f"{kind} strictly between {low:g} and {high:g}"
        return f"{kind} from {low:g} to {high:g}"


def is_discrete(rv: Variable) -> bool:
    """Whether a random variable takes integers only."""
    return str(rv.type.dtype).startswith(("int", "uint", "bool"))


#: family -> (lower, upper, lower is outside, upper is outside); a str names a parameter position.
_ENDS: dict[str, tuple[Any, Any, bool, bool]] = {
    "BernoulliRV": (0, 1, False, False),
    "BetaRV": (0, 1, True, True),
    "KumaraswamyRV": (0, 1, True, True),
    "LogitNormal": (0, 1, True, True),
    "GammaRV": (0, _INF, True, False),
    "InvGammaRV": (0, _INF, True, False),
    "LogNormalRV": (0, _INF, True, False),
    "ExponentialRV": (0, _INF, False, False),
    "HalfNormalRV": ("p0", _INF, False, False),
    "HalfCauchyRV": (0, _INF, False, False),
    "HalfStudentTRV": (0, _INF, False, False),
    "HalfFlatRV": (0, _INF, False, False),
    "WeibullBetaRV": (0, _INF, False, False),
    "WaldRV": ("p2", _INF, True, False),
    "RiceRV": (0, _INF, True, False),
    "PolyaGammaRV": (0, _INF, True, False),
    "ParetoRV": ("p1", _INF, False, False),
    "UniformRV": ("p0", "p1", False, False),
    "TriangularRV": ("p0", "p2", False, False),
    "TruncatedNormalRV": ("p2", "p3", False, False),
    "CensoredRV": ("p1", "p2", False, False),
    "InterpolatedRV": ("p0", "p0", False, False),
    "VonMisesRV": (-np.pi, np.pi, False, False),
    "DiscreteUniformRV": ("p0", "p1", False, False),
    "GeometricRV": (1, _INF, False, False),
    "PoissonRV": (0, _INF, False, False),
    "NegBinomialRV": (0, _INF, False, False),
    "DiscreteWeibullRV": (0, _INF, False, False),
    "BinomialRV": (0, "p0", False, False),
    "BetaBinomialRV": (0, "p0", False, False),
    "HyperGeometricRV": (0, "p2", False, False),
    "DiracDeltaRV": ("p0", "p0", False, False),
    "DirichletRV": (0, 1, False, False),
    "MultinomialRV": (0, _INF, False, False),
    "DirichletMultinomialRV": (0, _INF, False, False),
}


#: Families whose support is the hull of those of their parts.
_HULLS = ("MixtureRV", "_HurdleRV")


def support_of(
    rv: Variable, given: Mapping[Variable, Any] | None = None, *, held: bool = True
) -> Support:
    """Return the support of a random variable.

    - `rv`: of a model, or made with ``.dist``.
    - `given`: values of data that the ends may depend on (the ``n`` of a Binomial). An end that
      rests on a column of ``pm.Data`` not given is unknown: what the model holds need not be the
      units' values.
    - `held`: whether a number that the model holds as ``pm.Data`` is taken where it is not given.

    Examples
    --------
    >>> import pymc as pm
    >>> support_of(pm.Bernoulli.dist(0.2)).describe()
    '0 or 1'
    >>> support_of(pm.Uniform.dist(0, pm.HalfNormal.dist())).describe()
    'a number of at least 0'
    """
    node = rv.owner
    op = node.op if node is not None else None
    kind = type(op).__name__
    label = getattr(op, "_print_name", None)
    family = label[0] if label else kind
    integer = is_discrete(rv)
    given = given or {}
    if not isinstance(op, RandomVariable | SymbolicRandomVariable):
        return Support(family, np.asarray(-_INF), np.asarray(_INF), integer=integer)
    params = params_of(rv)
    if kind == "CategoricalRV":
        size = _categories(params[0], given)
        last = _INF if size is None else size - 1
        return Support(
            "Categorical",
            np.asarray(0.0),
            np.asarray(float(last)),
            integer=True,
            categorical=True,
            categories=size,
        )
    if kind in _HULLS or hasattr(op, "base_rv_op"):
        ends = _hull(rv, params, given, held)
        if ends is not None:
            return Support(family, ends[0], ends[1], ends[2], ends[3], integer=integer)
    low, high, open_low, open_high = _ENDS.get(kind, (-_INF, _INF, False, False))
    lower: Any = _end(low, params, given, -_INF, held)
    upper: Any = _end(high, params, given, _INF, held)
    if kind == "InterpolatedRV":
        lower, upper = np.min(lower, axis=-1), np.max(upper, axis=-1)
    event = "simplex" if kind == "DirichletRV" else "none"
    return Support(family, lower, upper, open_low, open_high, integer=integer, event=event)


def refuse_level(
    variable: Variable,
    level: ArrayLike,
    given: Mapping[Variable, Any],
    asked: np.ndarray | None = None,
) -> None:
    """Refuse a level outside a support whose ends are data, such as the trials of a Binomial.

    - `given`: the data.
    - `asked` (bool): of which units the level is asked. Default: of all.
    """
    support = support_of(variable, given)
    inside = np.asarray(support.contains(np.asarray(level)))
    if asked is not None and asked.shape == inside.shape:
        inside = inside | ~asked
    if not inside.all():
        where = int(np.argmin(inside.reshape(-1)))
        bad = np.broadcast_to(level, inside.shape).reshape(-1)[where]
        many = f" for {int((~inside).sum()):,} units" if inside.ndim else ""
        raise InterventionError(
            f"do({variable.name} = {float(bad):g}) is impossible{many}: it is outside the support "
            f"of the {support.family} variable {variable.name!r} that the data give.",
            expected=f"{support.describe()}.",
        )


def params_of(rv: Variable) -> list[Variable]:
    """Return the parameters of a random variable.

    A truncated discrete distribution does not say which of its inputs they are: its base does.

    `rv`: of a model, or made with ``.dist``.

    Examples
    --------
    >>> import pymc as pm
    >>> [p.eval().item() for p in params_of(pm.Truncated.dist(pm.Poisson.dist(2.5), 1, 6))]
    [2.5, 1, 6]
    """
    node = rv.owner
    op = node.op
    if getattr(op, "extended_signature", "") is not None:
        return list(op.dist_params(node))
    *inputs, lower, upper = node.inputs
    return [*params_of(op.base_rv_op.make_node(*inputs).default_output()), lower, upper]


def _end(
    spec: str | float,
    params: list[Variable],
    given: Mapping[Variable, Any],
    none: float,
    held: bool,
) -> Array:
    """Return an end of the interval: a number, or a parameter that is a number or data."""
    if not isinstance(spec, str):
        return np.asarray(float(spec))
    parameter = params[int(spec[1:])]
    open_ = [v for v in ancestors([parameter], blockers=list(given)) if is_data(v)]
    open_ = [v for v in open_ if v not in given and (v.type.ndim or not held)]
    value = None if open_ else _known(parameter, given)
    return np.asarray(none) if value is None else value.astype(float)


def ends_of_data(rv: Variable) -> bool:
    """Whether an end of the support of a random variable rests on ``pm.Data``."""
    if not isinstance(rv.owner.op, RandomVariable | SymbolicRandomVariable):
        return False
    if hasattr(rv.owner.op, "base_rv_op") or type(rv.owner.op).__name__ in _HULLS:
        return any(map(is_data, ancestors(params_of(rv))))
    low, high, *_ = _ENDS.get(type(rv.owner.op).__name__, (0.0, 0.0))
    params = params_of(rv)
    ends = [params[int(end[1:])] for end in (low, high) if isinstance(end, str)]
    return any(map(is_data, ancestors(ends)))


def is_data(variable: Variable) -> bool:
    """Whether a variable is ``pm.Data``, whose values another table may replace."""
    return isinstance(variable, SharedVariable) and not isinstance(variable.type, RandomType)


def _known(var: Variable, given: Mapping[Variable, Any]) -> np.ndarray | None:
    """Return the value of an expression in which nothing is random, else None."""
    if rvs_in_graph([var]):
        return None
    try:
        return evaluate([var], given)[0]
    except Exception:  # an expression that cannot be evaluated yet claims nothing
        return None


def _categories(p: Variable, given: Mapping[Variable, Any]) -> int | None:
    """Return the number of categories, where it follows without knowing parameters."""
    if p.type.ndim and p.type.shape[-1] is not None:
        return int(p.type.shape[-1])
    from pymc.pytensorf import constant_fold

    length = p.shape[-1]
    value = _known(length, given)
    if value is None:
        [folded] = constant_fold([length], raise_not_constant=False)
        value = None if isinstance(folded, Variable) else np.asarray(folded)
        if value is None:
            value = _known(folded, given) if isinstance(folded, Variable) else None
    return None if value is None else int(value)


def _hull(
    rv: Variable, params: list[Variable], given: Mapping[Variable, Any], held: bool
) -> tuple[np.ndarray, np.ndarray, bool, bool] | None:
    """Return the hull of the components' supports of a mixture, hurdle or truncated family."""
    op = rv.owner.op
    if hasattr(op, "base_rv_op"):
        inner = op.base_rv_op.make_node(*rv.owner.inputs[:-2]).default_output()
        one = support_of(inner, given, held=held)
        low = _end(f"p{len(params) - 2}", params, given, -_INF, held)
        high = _end(f"p{len(params) - 1}", params, given, _INF, held)
        return (
            np.maximum(one.lower, low),
            np.minimum(one.upper, high),
            one.open_lower,
            one.open_upper,
        )
    parts = [
        support_of(p, given, held=held)
        for p in params[1:]
        if p.owner is not None and isinstance(p.owner.op, RandomVariable | SymbolicRandomVariable)
    ]
    if not parts:
        return None
    lower = np.min([np.min(p.lower) for p in parts])
    upper = parts[0].upper
    for part in parts[1:]:
        upper = np.maximum(upper, part.upper)
    open_lower = all(p.open_lower for p in parts)
    return np.asarray(lower), np.asarray(upper), open_lower, all(p.open_upper for p in parts)


def _one(values: np.ndarray) -> float | None:
    """Return the number if all entries are equal, else None."""
    flat = np.unique(np.asarray(values, dtype=float))
    return float(flat[0]) if flat.size == 1 else None
