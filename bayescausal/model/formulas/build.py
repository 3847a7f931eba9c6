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

from bayescausal.model.formulas.beyond import beyond, less, mean_of, ranked, times
from bayescausal.model.formulas.curves.curves import add_curve
from bayescausal.model.formulas.curves.reach import reach_of
from bayescausal.model.formulas.families import choose_families, response_scale
from bayescausal.model.formulas.frame import as_frame
from bayescausal.model.formulas.groups import add_group, add_scale
from bayescausal.model.formulas.parse import parse_formulas
from bayescausal.model.formulas.priors import Prior, Priors, digits, near
from bayescausal.model.formulas.terms import Effect, Scope, effects_of, plain_dim
from bayescausal.model.formulas.variables import UNIT, read_names
from bayescausal.model.kinds import as_label
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Data
    from bayescausal.model.formulas.beyond import Beyond
    from bayescausal.model.formulas.curves.reach import Asked
    from bayescausal.model.formulas.families import FamilyChoice, Scale
    from bayescausal.model.formulas.parse import Formula
    from bayescausal.model.formulas.variables import Names

__all__ = ["model_from_formulas"]


def model_from_formulas(
    formulas: Sequence[str] | str,
    families: Mapping[str, Any] | None = None,
    data: Data | None = None,
    priors: Mapping[str, Any] | None = None,
    *,
    levels: Mapping[str, Sequence[Any]] | None = None,
    noncentered: bool = True,
    reach: Asked | Sequence[Asked] | Mapping[str, Sequence[float]] | None = None,
) -> pm.Model:
    """Write a structural causal model as one formula for each variable.

    Parameters
    ----------
    formulas : sequence of str, or str
        ``"y ~ x * z + (1 | batch)"``, one for each modelled variable; a text has one on each
        line. Terms: products ``:`` and ``*``, ``I(x**2)``, ``log(x)`` and other functions of one
        unit, ``center(x)``, ``scale(x)``, ``C(x)``, ``bs(x, df=5)``, ``ns(x, df=4)``,
        ``poly(x, 2)``, ``offset(x)``, group effects ``(1 + x | g)`` and ``(x || g)``; curves that
        learn their shape: ``s(x)``, ``s(x, by=g)``, ``s(x, z)``, ``hsgp(x)``, ``mono(x)``,
        ``hill(x)``, alone or multiplied, ``t * s(x)``; sums of trees: ``bart(x, z, t)``,
        ``t * bart(x)``, ``bcf(t, by=(x, z))``.
    families : mapping of str to str, optional
        The distribution of each variable, ``"gaussian"`` where none is named: ``student-t``,
        ``bernoulli``, ``binomial(trials=n)``, ``poisson``, ``negative binomial``, ``gamma``,
        ``beta``, ``lognormal``, ``categorical``, ``ordinal``. A link goes in brackets:
        ``"bernoulli(link=probit)"``, and so does a column on which the standard deviation
        depends, ``"gaussian(sigma=t)"``: one for each label, or log-linear in a number.
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
    reach : Estimand, sequence of Estimand, or mapping of str to (low, high), optional
        What will be asked, or levels by variable: ``hsgp`` is defined on an interval, which holds
        the levels of the data and these.

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
    declared = {str(k): tuple(map(as_label, v)) for k, v in (levels or {}).items()}
    names = read_names(parsed, choices, frame, declared)
    held = Priors(priors, parsed)
    asked = reach_of(reach, names.columns)
    coords: dict[str, Any] = {UNIT: range(names.rows) if _has_data(names) else [0]}
    for column in names.columns.values():
        if column.levels is not None and column.keys is None:
            coords[f"{column.name}_level"] = column.levels
    for name in names.columns:
        held.claim(name, f"the variable {name!r}")
    with pm.Model(coords=coords) as model:
        variables: dict[str, Any] = {}
        for column in names.columns.values():
            if column.exogenous:
                assert column.numeric is not None
                variables[column.name] = pm.Data(column.name, column.numeric, dims=UNIT)
                continue
            formula, choice = parsed[column.name], choices[column.name]
            scope = Scope(names.columns, variables, asked)
            equation = Equation(formula, choice, scope, names, held, noncentered)
            variables[column.name] = equation.add()
    held.refuse_unused()
    model.recipe = {  # type: ignore[attr-defined]
        "formulas": tuple(formula.text for formula in parsed.values()),
        "families": dict(families or {}),
        "priors": dict(priors or {}),
        "levels": declared,
        "noncentered": noncentered,
        "reach": asked,
    }
    return model


def _has_data(names: Names) -> bool:
    return names.rows > 0 and any(c.exogenous for c in names.columns.values())


class Equation:
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
        self.propensities: dict[str, Any] = {}  # of bcf() as it is written
        self.contrasts: tuple[Any, ...] = ()
        self.contrast_dim: tuple[str, ...] = ()
        if choice.family.name == "categorical":
            assert self.column.levels is not None
            self.contrasts = self.column.levels[1:]
            self.contrast_dim = (plain_dim(f"{self.name}_vs_{self.column.levels[0]}"),)
            self._coords({self.contrast_dim[0]: self.contrasts})

    def add(self) -> TensorVariable:
        """Add coefficients, group effects and the response."""
        intercept = self.formula.intercept
        effects, offsets = effects_of(
            self.formula, self.formula.terms, intercept or self.ordinal, self.scope
        )
        base = self._base(effects)
        found = beyond(effects, self.names.rows, constant=intercept or self.ordinal or base >= 0)
        drawn: dict[int, Any] = {}
        for k in reversed(ranked(effects)):
            if k != base:
                drawn[k] = self._coefficient(k, effects, found, drawn)
        middle = self.scale.mean - sum(mean_of(offset) for offset in offsets)
        level = near(middle, self.scale.intercept * self.scale.sd)
        at_zero = less(level, self._about(effects, found, drawn))
        if base >= 0:
            drawn[base] = self._coefficient(base, effects, found, drawn, at_zero, base)
        parts: list[list[Any]] = []
        first = []
        constant = any(c.trees and not c.factors for c in self.formula.curves)
        if intercept and not self.ordinal and not constant:
            first = [self._intercept(at_zero)]
            parts.append(self._split(first[0], 0))
        _in_order([*first, *(drawn[k] for k in range(len(effects)))])
        for k, effect in enumerate(effects):
            split = self._split(drawn[k], len(effect.vectors))
            parts.append([effect.times(part) for part in split])
        for offset in offsets:
            parts.append([offset.symbolic] * max(len(self.contrasts), 1))
        for group in self.formula.groups:
            parts.append(add_group(self, group))
        for curve in self.formula.curves:
            parts.append(add_curve(self, curve))
        etas = [_total([p[k] for p in parts]) for k in range(max(len(self.contrasts), 1))]
        eta = etas[0]
        if self.contrasts:
            along = [pt.atleast_1d(pt.as_tensor(e)) for e in etas]
            eta = pt.stack([pt.zeros_like(along[0]), *along], axis=-1)
        aux = {
            key: add_scale(self, default(self.scale))
            if key == "sigma" and self.choice.sigma
            else self.priors.make(f"{key}_{self.name}", self.name, (key,), default(self.scale))
            for key, default in self.choice.family.aux.items()
        }
        options: dict[str, Any] = {}
        if self.ordinal:
            aux["cutpoints"] = self._cutpoints(effects, found, drawn, level)
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

    def _split(self, b: TensorVariable, axis: int) -> list[Any]:
        """Return the coefficients of each contrast of a categorical response, else all."""
        if not self.contrasts:
            return [b]
        before = (slice(None),) * axis
        return [b[(*before, k)] for k in range(len(self.contrasts))]

    def _base(self, effects: list[Effect]) -> int:
        """Return the place of the category whose levels stand for the intercept, or -1."""
        if self.formula.intercept or self.ordinal:
            return -1
        whole = [
            k
            for k, effect in enumerate(effects)
            if effect.categorical and all(v.full for v in effect.vectors)
        ]
        return whole[0] if whole else -1

    def _coefficient(
        self,
        k: int,
        effects: list[Effect],
        found: list[Beyond],
        drawn: Mapping[int, Any],
        mean: TensorVariable | float = 0,
        base: int = -1,
    ) -> TensorVariable | float:
        """Add the coefficients of an effect, given those of the effects that contain it."""
        effect = effects[k]
        dims = effect.dims
        self._coords(dims)
        shape = _shape(effect)
        scale = self._slope_scale(effect, found[k])
        sigma = digits(np.broadcast_to(scale, (int(np.prod(shape, dtype=int)),)).reshape(shape))
        flat = np.unique(np.asarray(sigma))
        if self.contrasts and shape and len(flat) > 1:
            sigma = np.asarray(sigma)[..., None].tolist()
        sigma = float(flat[0]) if len(flat) == 1 else sigma
        for j, b in drawn.items():
            if k in found[j].on:
                h = found[j].on[k]
                if k == base:  # about the mean of its levels, which `mean` has already
                    h = h - found[k].mean @ h
                mean = less(mean, [times(h, b, shape, _shape(effects[j]))])
        return self.priors.make(
            f"b_{self.name}_{effect.label}",
            self.name,
            (effect.label,),
            Prior("Normal", (mean, sigma)),
            (*dims, *self.contrast_dim),
        )

    def _slope_scale(self, effect: Effect, found: Beyond) -> np.ndarray:
        """Return the scale of each coefficient's prior."""
        scale = self.scale
        if scale.slope == 1.0 and effect.categorical:
            return np.ones(len(found.sd))
        return np.asarray(scale.slope * scale.sd / found.sd)

    def _about(
        self, effects: list[Effect], found: list[Beyond], drawn: Mapping[int, Any]
    ) -> list[Any]:
        """Return what each term adds to the predictor at the mean of its columns."""
        return [
            times(found[k].mean[None], b, (), _shape(effects[k]))
            for k, b in drawn.items()
            if np.any(found[k].mean)
        ]

    def _intercept(self, at_zero: TensorVariable | float) -> TensorVariable | float:
        """Add the intercept; its prior is that of the outcome at the mean of the columns."""
        scale = self.scale
        prior = Prior("Normal", (at_zero, digits(scale.intercept * scale.sd)))
        return self.priors.make(
            f"b_{self.name}_Intercept", self.name, ("Intercept",), prior, self.contrast_dim
        )

    def _cutpoints(
        self, effects: list[Effect], found: list[Beyond], drawn: Mapping[int, Any], level: float
    ) -> TensorVariable | float:
        """Add the cutpoints; their prior is one at the mean of the columns.

        Not of those whose coefficient has a prior of the caller's, if the data are near zero.
        """
        moved = {
            k: b
            for k, b in drawn.items()
            if found[k].far or not self.priors.is_given(str(b.name), self.name, effects[k].label)
        }
        about = self._about(effects, found, moved)
        levels = self.column.levels
        assert levels is not None
        count = len(levels) - 1
        dim = f"{self.name}_cut"
        self._coords({dim: [f"{a}|{b}" for a, b in pairwise(levels)]})
        where: Any = np.linspace(-2, 2, count).round(2).tolist() if count > 1 else [0.0]
        if level:
            where = [w - level for w in where]
        where = np.asarray(where) + _total(about) if about else where
        return self.priors.make(
            f"cutpoints_{self.name}",
            self.name,
            ("cutpoints",),
            Prior("Normal", (where, 1)),
            (dim,),
            transform=pm.distributions.transforms.ordered,
        )


def _shape(effect: Effect) -> tuple[int, ...]:
    return tuple(len(v) for v in effect.dims.values())


def _in_order(variables: list[Any]) -> None:
    """Show variables of the model at hand in this order, whichever reads which."""
    model = pm.modelcontext(None)
    known = set(variables)
    places = [i for i, v in enumerate(model.free_RVs) if v in known]
    for place, variable in zip(places, variables, strict=True):
        list.__setitem__(model.free_RVs, place, variable)
    named = {str(v.name): v for v in variables}
    for name in named:
        dict.__delitem__(model.named_vars, name)
    dict.update(model.named_vars, named)


def _total(parts: list[Any]) -> TensorVariable | float:
    if not parts:
        return 0.0
    return sum(parts[1:], parts[0])
