"""Models from formulas: one regression formula for each variable gives a plain ``pm.Model``.

Each formula is a structural equation: the variable on its left is *caused* by the variables on its
right. Together they are a structural causal model, written as PyMC would have it: a unit dim,
coefficients, and one distribution for each variable, whose parameters are expressions in the
*variables*, not in columns of numbers. So an intervention on one variable moves every
interaction, transform and spline that it is in.

What an equation takes from data it takes once, when the model is built: the means in
``center(x)``, knots, levels, and the scales of the priors. The model itself stays unconditioned;
``bc.fit`` conditions it.

It fails where a set of regressions is no causal model: formulas in a circle, a variable that
nothing explains, two formulas for one variable. Each is refused with the place in the formula.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.model.formulas.families import choose_families, response_scale
from bayescausal.model.formulas.groups import add_group
from bayescausal.model.formulas.parse import parse_formulas
from bayescausal.model.formulas.priors import Prior, Priors, digits
from bayescausal.model.formulas.terms import Effect, Scope, effects_of
from bayescausal.model.formulas.variables import UNIT, as_frame, read_names
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.model.formulas.families import FamilyChoice, Scale
    from bayescausal.model.formulas.parse import Formula
    from bayescausal.model.formulas.variables import Names

__all__ = ["model_from_formulas"]


def model_from_formulas(
    formulas: Sequence[str] | str,
    families: Mapping[str, Any] | None = None,
    data: Any = None,
    priors: Mapping[str, Any] | None = None,
    *,
    levels: Mapping[str, Sequence[Any]] | None = None,
    noncentered: bool = True,
) -> pm.Model:
    """Write a structural causal model as one formula for each variable.

    Parameters
    ----------
    formulas : sequence of str, or str
        ``"y ~ x * z + (1 | batch)"``, one for each modelled variable; a text has one on each
        line. Terms: products ``:`` and ``*``, ``I(x**2)``, ``log(x)`` and other functions of one
        unit, ``center(x)``, ``scale(x)``, ``C(x)``, ``bs(x, df=5)``, ``ns(x, df=4)``,
        ``poly(x, 2)``, ``offset(x)``, group effects ``(1 + x | g)`` and ``(x || g)``.
    families : mapping of str to str, optional
        The distribution of each variable, ``"gaussian"`` where none is named: ``student-t``,
        ``bernoulli``, ``binomial(trials=n)``, ``poisson``, ``negative binomial``, ``gamma``,
        ``beta``, ``lognormal``, ``categorical``, ``ordinal``. A link goes in brackets:
        ``"bernoulli(link=probit)"``.
    data : DataFrame or mapping, optional
        Gives variables without a formula (as ``pm.Data``), levels of factors, means and knots of
        terms, and the scales of the priors. The model is not conditioned on it.
    priors : mapping, optional
        In place of the defaults, by parameter, ``{"b_y_x": "Normal(0, 1)"}``, or by variable and
        term, ``{"y": {"x": "Normal(0, 1)"}}``. A prior is a text or ``pm.Normal.dist(0, 1)``.
    levels : mapping of str to sequence, optional
        Labels of categorical variables in order, the reference first, where no data say it or
        another order is wanted.
    noncentered : bool, default True
        Write group effects as standard normals times their standard deviation, which samples
        better with few units in a group. False writes them directly.

    Returns
    -------
    pymc.Model
        With the unit dim ``"unit"``. Coefficients are named ``b_y_x``, intercepts
        ``b_y_Intercept``, standard deviations ``sigma_y``, group effects ``r_y_1|g`` and their
        spread ``sd_y_1|g``.

    Raises
    ------
    FormulaError
        If a formula, family or prior cannot be read, a name is unknown, or formulas go round in
        a circle. The place in the formula is marked.

    See Also
    --------
    prior_summary : The priors that were chosen.
    model_source : The same model as PyMC code.

    References
    ----------
    T. Capretto et al., "Bambi: A simple interface for fitting Bayesian linear models in Python",
    Journal of Statistical Software 103(15), 2022.

    Examples
    --------
    >>> import bayescausal as bc
    >>> model = bc.model_from_formulas(
    ...     ["humid ~ 1", "dilution ~ humid", "coating ~ dilution * humid"],
    ...     families={"dilution": "bernoulli"},
    ... )
    >>> list(bc.graph_of(model).edges)
    [('humid', 'dilution'), ('humid', 'coating'), ('dilution', 'coating')]
    """
    parsed = parse_formulas(formulas)
    choices = choose_families(families, parsed)
    frame = as_frame(data)
    declared = {str(k): tuple(v) for k, v in (levels or {}).items()}
    names = read_names(parsed, choices, frame, declared)
    held = Priors(priors, parsed)
    coords: dict[str, Any] = {UNIT: range(names.rows) if _has_data(names) else [0]}
    for column in names.columns.values():
        if column.levels is not None:
            coords[f"{column.name}_level"] = column.levels
    with pm.Model(coords=coords) as model:
        variables: dict[str, Any] = {}
        for column in names.columns.values():
            if column.exogenous:
                assert column.numeric is not None
                variables[column.name] = pm.Data(column.name, column.numeric, dims=UNIT)
                continue
            formula, choice = parsed[column.name], choices[column.name]
            scope = Scope(names.columns, variables)
            equation = _Equation(formula, choice, scope, names, held, noncentered)
            variables[column.name] = equation.add()
    held.refuse_unused()
    model.recipe = {  # type: ignore[attr-defined]
        "formulas": tuple(formula.text for formula in parsed.values()),
        "families": dict(families or {}),
        "priors": dict(priors or {}),
        "levels": declared,
        "noncentered": noncentered,
    }
    return model


def _has_data(names: Names) -> bool:
    return names.rows > 0 and any(c.exogenous for c in names.columns.values())


class _Equation:
    """Adds one formula to the model at hand."""

    def __init__(
        self,
        formula: Formula,
        choice: FamilyChoice,
        scope: Scope,
        names: Names,
        priors: Priors,
        noncentered: bool,
    ) -> None:
        self.formula, self.choice, self.scope = formula, choice, scope
        self.names, self.priors, self.noncentered = names, priors, noncentered
        self.name = formula.response
        self.column = names.columns[self.name]
        self.scale: Scale = response_scale(choice, self.column.numeric, self.name)
        self.ordinal = choice.family.name == "ordinal"
        self.contrasts: tuple[Any, ...] = ()
        self.contrast_dim: tuple[str, ...] = ()
        if choice.family.name == "categorical":
            assert self.column.levels is not None
            self.contrasts = self.column.levels[1:]
            self.contrast_dim = (f"{self.name}_vs_{self.column.levels[0]}",)
            self._coords({self.contrast_dim[0]: self.contrasts})

    def add(self) -> Any:
        """Add coefficients, group effects and the response."""
        intercept = self.formula.intercept
        effects, offsets = effects_of(
            self.formula, self.formula.terms, intercept or self.ordinal, self.scope
        )
        scales = [self._slope_scale(effect) for effect in effects]
        parts: list[list[Any]] = []
        if intercept and not self.ordinal:
            parts.append(self._split(self._intercept(effects, scales), 0))
        for effect, scale in zip(effects, scales, strict=True):
            b = self._coefficient(effect, scale)
            parts.append([effect.times(part) for part in self._split(b, len(effect.vectors))])
        for offset in offsets:
            parts.append([offset.symbolic] * max(len(self.contrasts), 1))
        for group in self.formula.groups:
            parts.append(add_group(self, group))
        etas = [_total([p[k] for p in parts]) for k in range(max(len(self.contrasts), 1))]
        eta = etas[0]
        if self.contrasts:
            along = [pt.atleast_1d(pt.as_tensor(e)) for e in etas]
            eta = pt.stack([pt.zeros_like(along[0]), *along], axis=-1)
        aux = {
            key: self.priors.make(f"{key}_{self.name}", self.name, (key,), default(self.scale))
            for key, default in self.choice.family.aux.items()
        }
        options: dict[str, Any] = {}
        if self.ordinal:
            aux["cutpoints"] = self._cutpoints()
        if self.choice.trials is not None:
            trials = self.choice.trials
            options["trials"] = trials if isinstance(trials, int) else self.scope.variables[trials]
        return self.choice.family.make(self.name, eta, self.choice.link, aux, **options)

    # -- parameters

    def _coords(self, dims: Mapping[str, Sequence[Any]]) -> None:
        model = pm.modelcontext(None)
        for dim, labels in dims.items():
            if dim not in model.coords:
                model.add_coord(dim, tuple(labels))
            elif tuple(model.coords[dim]) != tuple(labels):
                raise FormulaError(
                    f"Two terms give the dim {dim!r} different labels.",
                    remedy="Rename one of the variables.",
                )

    def _split(self, b: Any, axis: int) -> list[Any]:
        """Return the coefficients of each contrast of a categorical response, else all."""
        if not self.contrasts:
            return [b]
        before = (slice(None),) * axis
        return [b[(*before, k)] for k in range(len(self.contrasts))]

    def _coefficient(self, effect: Effect, scale: np.ndarray) -> Any:
        dims = effect.dims
        self._coords(dims)
        shape = tuple(len(v) for v in dims.values())
        sigma = digits(np.broadcast_to(scale, (int(np.prod(shape, dtype=int)),)).reshape(shape))
        flat = np.unique(np.asarray(sigma))
        if self.contrasts and shape and len(flat) > 1:
            sigma = np.asarray(sigma)[..., None].tolist()
        sigma = float(flat[0]) if len(flat) == 1 else sigma
        return self.priors.make(
            f"b_{self.name}_{effect.label}",
            self.name,
            (effect.label,),
            Prior("Normal", (0, sigma)),
            (*dims, *self.contrast_dim),
        )

    def _slope_scale(self, effect: Effect) -> np.ndarray:
        """Return the scale of each coefficient's prior."""
        scale = self.scale
        sizes = int(np.prod([len(v.labels) for v in effect.vectors], dtype=int))
        if scale.slope == 1.0 and effect.categorical:
            return np.ones(sizes)
        seen = effect.numbers(self.names.rows) if self.names.rows else None
        sd = np.ones(sizes) if seen is None else np.nanstd(seen, axis=0)
        return scale.slope * scale.sd / np.where(sd > 0, sd, 1.0)

    def _intercept(self, effects: list[Effect], scales: list[np.ndarray]) -> Any:
        """Add the intercept: the outcome where every column is zero, not at its mean."""
        scale = self.scale
        variance = (scale.intercept * scale.sd) ** 2
        for effect, sd in zip(effects, scales, strict=True):
            seen = effect.numbers(self.names.rows) if self.names.rows else None
            if seen is not None:
                variance += float(np.sum((np.nanmean(seen, axis=0) * sd) ** 2))
        prior = Prior("Normal", (digits(scale.mean), digits(np.sqrt(variance))))
        return self.priors.make(
            f"b_{self.name}_Intercept", self.name, ("Intercept",), prior, self.contrast_dim
        )

    def _cutpoints(self) -> Any:
        levels = self.column.levels
        assert levels is not None
        count = len(levels) - 1
        dim = f"{self.name}_cut"
        self._coords({dim: [f"{a}|{b}" for a, b in pairwise(levels)]})
        where = np.linspace(-2, 2, count).round(2).tolist() if count > 1 else [0.0]
        return self.priors.make(
            f"cutpoints_{self.name}",
            self.name,
            ("cutpoints",),
            Prior("Normal", (where, 1)),
            (dim,),
            transform=pm.distributions.transforms.ordered,
        )


def _total(parts: list[Any]) -> Any:
    if not parts:
        return 0.0
    return sum(parts[1:], parts[0])
