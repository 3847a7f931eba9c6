r"""Priors of models from formulas: weakly informative, scaled from the data.

A coefficient says how far the outcome moves when a column moves by one unit, so a sensible scale
for it depends on the units of both. As in rstanarm [1]_ and Bambi [2]_,

.. math:: b_j \sim N\big(0,\; 2.5\, s_y / s_j\big), \qquad
          a + \textstyle\sum_j b_j \bar x_j \sim N(m_y,\; 2.5\, s_y),

with :math:`s` standard deviations and :math:`m_y` the mean of the outcome on the scale of the
link: the prior of the intercept is one for the outcome *at the mean of the columns*. On the logit
and probit scale the scales are 1 and 1.5 in place of 2.5, and :math:`s_y = 1`. Without data,
outcome and columns are taken to be standardised.

Where terms contain each other (products, powers), :math:`s_j` is the standard deviation of what
column :math:`j` adds to those that it contains, and the prior of :math:`b_i` is one for the
coefficient at the mean of the columns that contain it (:mod:`.beyond`). So no prior depends on
where a variable has its zero.

A prior is plain: a Normal of PyMC whose mean may be a sum of other coefficients times numbers.
Scales are rounded to three digits so that what is printed is what is used.

References
----------
.. [1] B. Goodrich et al., *rstanarm: Bayesian applied regression modeling via Stan*, vignette
   "Prior distributions for rstanarm models".
.. [2] T. Capretto et al., "Bambi: A simple interface for fitting Bayesian linear models in
   Python", *Journal of Statistical Software* 103(15), 2022.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
from pytensor.graph.basic import Constant

from bayescausal.model.source.expression import Writer, literal, unpadded
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.read import structure_of
from bayescausal.model.structure.structure import family_name
from bayescausal.types import FormulaError, ModelError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.design import Design


__all__ = ["Prior", "Priors", "digits", "near", "prior_summary"]


@dataclass(frozen=True, eq=False)
class Prior:
    """A distribution of PyMC by its name and numbers."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None

    def make(self, label: str, dims: tuple[str, ...], **more: Any) -> TensorVariable:
        """Add the variable to the model at hand."""
        return getattr(pm, self.name)(
            label, *self.args, **(self.kwargs or {}), **more, dims=dims or None
        )


def digits(value: ArrayLike) -> float | list[Any]:
    """Round to three significant digits."""
    array = np.asarray(value, dtype=float)
    rounded = np.vectorize(lambda v: float(f"{v:.3g}"), otypes=[float])(array)
    return float(rounded) if rounded.ndim == 0 else rounded.tolist()


def near(value: float, sd: float) -> float:
    """Round a location to three digits of its scale, however far from zero it is."""
    places = 2 - int(np.floor(np.log10(sd)))
    return round(float(value), places) + 0.0


class Priors:
    """The caller's priors by parameter; says in the end which were never asked for.

    `given` (mapping or None): ``{"b_y_x": prior}``, or ``{"y": {"x": prior, "sigma": prior}}``. A
    prior is a text such as ``"Normal(0, 1)"`` or a distribution such as ``pm.Normal.dist(0, 1)``.
    """

    def __init__(self, given: object, responses: Iterable[str]) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise FormulaError(
                f"priors is a {type(given).__name__}.",
                expected='a mapping such as {"b_y_x": "Normal(0, 1)"}.',
            )
        self.responses = tuple(responses)
        self.given: dict[str, Any] = {}
        self.nested: dict[tuple[str, str], Any] = {}
        self.used: set[Any] = set()
        self.asked: list[str] = []
        self.names: dict[str, str] = {}
        for key, value in (given or {}).items():
            if isinstance(value, Mapping):
                if key not in self.responses:
                    raise FormulaError(
                        f"priors names {key!r}, which has no formula.",
                        names=closest(str(key), self.responses)[:1],
                    )
                self.nested.update({(key, str(term)): prior for term, prior in value.items()})
            else:
                self.given[str(key)] = value

    def make(
        self,
        label: str,
        response: str,
        terms: tuple[str, ...],
        default: Prior,
        dims: tuple[str, ...] = (),
        **more: Any,
    ) -> TensorVariable:
        """Add a parameter to the model at hand, with the caller's prior or the default."""
        self.asked.append(label)
        self.claim(label, f"{terms[0]} in the formula of {response!r}")
        keys: list[Any] = [label, *((response, term) for term in (label, *terms))]
        for key in keys:
            held = self.given.get(key) if isinstance(key, str) else self.nested.get(key)
            if held is not None:
                self.used.add(key)
                return _given(held, label, dims, more)
        return default.make(label, dims, **more)

    def claim(self, label: str, what: str) -> None:
        """Refuse a name that something else in the model has."""
        if label in self.names:
            raise FormulaError(
                f"{self.names[label]} and {what} would both be called {label!r} in the model.",
                expected="names of variables that do not run into those of parameters, which are "
                "b_<response>_<term>, sigma_<response> and the like.",
                remedy="Rename one of the columns.",
            )
        self.names[label] = what

    def is_given(self, label: str, response: str, term: str) -> bool:
        """Whether the caller has a prior for a parameter."""
        return label in self.given or any((response, k) in self.nested for k in (label, term))

    def refuse_unused(self) -> None:
        """Refuse a prior for a parameter that the model does not have."""
        for key in [*self.given, *self.nested]:
            if key in self.used:
                continue
            shown = key if isinstance(key, str) else key[1]
            where = "" if isinstance(key, str) else f" of {key[0]!r}"
            raise FormulaError(
                f"priors names {shown!r}{where}, which is no parameter of the model.",
                remedy=f"Parameters: {', '.join(self.asked)}.",
                names=closest(shown, self.asked)[:1],
            )


def _given(held: Any, label: str, dims: tuple[str, ...], more: dict[str, Any]) -> TensorVariable:
    """Add a parameter with a prior of the caller."""
    if isinstance(held, str):
        return _from_text(held, label).make(label, dims, **more)
    if hasattr(held, "owner") and hasattr(getattr(held.owner, "op", None), "ndim_supp"):
        from pymc.distributions.shape_utils import change_dist_size

        model = pm.modelcontext(None)
        if dims and held.type.ndim == 0:
            held = change_dist_size(held, tuple(model.dim_lengths[d] for d in dims))
        return model.register_rv(held, name=label, dims=dims or None, **more)
    if hasattr(held, "name") and hasattr(held, "args") and isinstance(held.args, Mapping):
        return Prior(str(held.name), (), dict(held.args)).make(label, dims, **more)
    raise FormulaError(
        f"The prior of {label!r} is a {type(held).__name__}.",
        expected='a text such as "Normal(0, 1)", or a distribution such as pm.Normal.dist(0, 1).',
    )


def _from_text(text: str, label: str) -> Prior:
    """Read a prior such as ``Normal(0, 2.5)``."""
    wrong = FormulaError(
        f"The prior of {label!r} is {text!r}.",
        expected='a distribution of PyMC with numbers, such as "Normal(0, 1)".',
    )
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise wrong from error
    if not isinstance(call, ast.Call):
        raise wrong
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    held = {n: getattr(pm.distributions, n) for n in dir(pm.distributions) if n[0].isupper()}
    known = [n for n, v in held.items() if isinstance(v, type) and issubclass(v, pm.Distribution)]
    if name not in known:
        raise FormulaError(
            f"The prior of {label!r} is {text!r}: PyMC has no distribution {name!r}.",
            names=closest(name, known)[:1],
        )
    try:
        args = tuple(ast.literal_eval(a) for a in call.args)
        kwargs = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except ValueError as error:
        raise wrong from error
    return Prior(name, args, kwargs)


def prior_summary(model: pm.Model | Design) -> pd.DataFrame:
    """Return the priors of a model, one row for each parameter.

    Parameters
    ----------
    model : pymc.Model or Design
        Any model; those from formulas choose priors of their own, which this shows.

    Returns
    -------
    DataFrame
        Index: the parameters, in the order of the model. Columns: ``prior`` in words and
        ``dims``.

    Raises
    ------
    ModelError
        If the model cannot be read.

    Examples
    --------
    >>> import bayescausal as bc
    >>> model = bc.model_from_formulas(["x ~ 1", "y ~ x"])
    >>> bc.prior_summary(model)["prior"].to_dict()["b_y_x"]
    'Normal(0, 2.5)'
    """
    structure = structure_of(model)
    writer = _ShortWriter({v: name for name, v in structure.model.named_vars.items()})
    place = {str(v.name): i for i, v in enumerate(structure.model.free_RVs)}
    names = sorted(structure.parameters, key=lambda n: place.get(n, len(place)))
    rows = [_described(structure.variable(name), writer) for name in names]
    dims = [", ".join(structure.dims.get(name, ())) for name in names]
    index = pd.Index(names, name="parameter")
    return pd.DataFrame({"prior": rows, "dims": dims}, index=index)


class _ShortWriter(Writer):
    """Writes expressions in the names of the model, with numbers of four digits."""

    def _written(self, variable: TensorVariable) -> tuple[str, int]:
        if variable not in self.names and isinstance(variable, Constant):
            short = [float(f"{v:.4g}") for v in np.ravel(variable.data)]
            text = literal(np.reshape(short, np.shape(variable.data)), self.what)
            if np.ndim(variable.data):
                text = text.removeprefix("np.array(").removesuffix(")")
            text = re.sub(r"\.0(?=\D|$)", "", text)
            return text, 4 if text.startswith("-") else 6
        return super()._written(variable)


def _described(rv: TensorVariable, writer: Writer) -> str:
    """Return ``Family(numbers)``; parameters of a prior that read others as an expression."""
    shown = []
    for parameter in rv.owner.op.dist_params(rv.owner):
        value = _constant(parameter)
        if value is not None:
            shown.append(f"{value:g}" if np.ndim(value) == 0 else str(digits(value)))
        else:
            shown.append(_expression(parameter, rv, writer))
    family = family_name(rv)
    if family in ("HalfNormal", "HalfCauchy") and shown[0] == "0":
        shown = shown[1:]  # the location, which PyMC's own function does not take
    if family == "Gamma" and _constant(rv.owner.op.dist_params(rv.owner)[1]) is not None:
        shape, scale = (_constant(p) for p in rv.owner.op.dist_params(rv.owner))
        if np.ndim(scale) == 0:
            shown = [f"{shape:g}", f"{1 / scale:g}"]
    return f"{family}({', '.join(shown)})"


def _expression(parameter: TensorVariable, rv: TensorVariable, writer: Writer) -> str:
    """Return an expression in other parameters as text; ``f(...)`` where it cannot be written."""
    try:
        return writer.text(unpadded(parameter, writer.names), 0)
    except ModelError:
        return str(parameter.name or "f(...)")


def _constant(variable: TensorVariable) -> Any:
    """Return the number behind an expression without named variables, or None."""
    from pytensor.graph.traversal import ancestors

    if isinstance(variable, Constant):
        value = np.asarray(variable.data)
    elif any(v.name for v in ancestors([variable])):
        return None
    else:
        value = evaluate([variable])[0]
    flat = np.unique(value)
    return flat[0] if flat.size == 1 else value
