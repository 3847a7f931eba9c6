"""A model as the PyMC code that makes it.

Reading code is a good way to learn what a formula stands for. The graph of the model is walked in
causal order, each named variable becomes one statement, and the whole is a ``with pm.Model(...)``
block. The law it obeys: running the text gives a model with the same log-probability,

.. math:: \\log p_{\\text{exec(source)}}(\\theta) = \\log p_{\\text{model}}(\\theta)
          \\quad \\text{for all } \\theta.

Short arrays are written out. Long ones are read from a mapping called ``data``, which has to be
there when the code is run; the first lines say which.

It fails where PyMC itself has no name for a thing: distributions made of others (mixtures; not
censored ones), imputed variables, transforms of one's own. Each is refused by name.
"""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pymc.distributions.censored import CensoredRV
from pymc.distributions.transforms import _default_transform
from pytensor.compile import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.scalar import basic as ps
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise

from bayescausal.model.forests.op import forest_at
from bayescausal.model.forests.prior import is_forest
from bayescausal.model.forests.translate import with_forests
from bayescausal.model.given import model_of
from bayescausal.model.source.composite import is_path, path_call, written_forest
from bayescausal.model.source.expression import Writer, literal, unpadded
from bayescausal.model.source.naming import python_names, written_order
from bayescausal.model.structure.function_graph import dim_sizes, evaluate
from bayescausal.model.structure.reader import Reader
from bayescausal.model.structure.structure import family_name
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.design import Design

__all__ = ["model_source"]

#: Numbers of an array that are written out rather than read from data.
LONG = 12
#: Characters of an expression from which on it gets a name and lines of its own.
WIDE = 60

#: Distributions: PyMC's name, and its name for each parameter. "1/beta" is given inverted; None
#: is a location that PyMC's own function does not take and that has to be zero.
_DISTRIBUTIONS: dict[str, tuple[str, tuple[str | None, ...]]] = {
    "NormalRV": ("Normal", ("mu", "sigma")),
    "HalfNormalRV": ("HalfNormal", (None, "sigma")),
    "HalfCauchyRV": ("HalfCauchy", ("beta",)),
    "HalfStudentTRV": ("HalfStudentT", ("nu", "sigma")),
    "StudentTRV": ("StudentT", ("nu", "mu", "sigma")),
    "CauchyRV": ("Cauchy", ("alpha", "beta")),
    "LaplaceRV": ("Laplace", ("mu", "b")),
    "LogisticRV": ("Logistic", ("mu", "s")),
    "GumbelRV": ("Gumbel", ("mu", "beta")),
    "LogNormalRV": ("LogNormal", ("mu", "sigma")),
    "ExponentialRV": ("Exponential", ("1/lam",)),
    "GammaRV": ("Gamma", ("alpha", "1/beta")),
    "InvGammaRV": ("InverseGamma", ("alpha", "beta")),
    "BetaRV": ("Beta", ("alpha", "beta")),
    "UniformRV": ("Uniform", ("lower", "upper")),
    "TruncatedNormalRV": ("TruncatedNormal", ("mu", "sigma", "lower", "upper")),
    "TriangularRV": ("Triangular", ("lower", "c", "upper")),
    "ParetoRV": ("Pareto", ("alpha", "m")),
    "MoyalRV": ("Moyal", ("mu", "sigma")),
    "VonMisesRV": ("VonMises", ("mu", "kappa")),
    "WeibullBetaRV": ("Weibull", ("alpha", "beta")),
    "SkewNormalRV": ("SkewNormal", ("mu", "sigma", "alpha")),
    "BernoulliRV": ("Bernoulli", ("p",)),
    "BinomialRV": ("Binomial", ("n", "p")),
    "BetaBinomialRV": ("BetaBinomial", ("n", "alpha", "beta")),
    "PoissonRV": ("Poisson", ("mu",)),
    "NegBinomialRV": ("NegativeBinomial", ("n", "p")),
    "GeometricRV": ("Geometric", ("p",)),
    "DiscreteUniformRV": ("DiscreteUniform", ("lower", "upper")),
    "CategoricalRV": ("Categorical", ("p",)),
    "DirichletRV": ("Dirichlet", ("a",)),
    "MultinomialRV": ("Multinomial", ("n", "p")),
    "MvNormalRV": ("MvNormal", ("mu", "cov")),
    "FlatRV": ("Flat", ()),
    "HalfFlatRV": ("HalfFlat", ()),
}

_TRANSFORMS = {"Ordered": "ordered", "LogTransform": "log", "LogOddsTransform": "logodds"}


def model_source(model: pm.Model | Design, *, name: str = "model") -> str:
    """Return PyMC code that makes a model like this one.

    Parameters
    ----------
    model : pymc.Model or Design
        From formulas, or any other that PyMC's named distributions can express.
    name : str, default "model"
        What the model is called in the code.

    Returns
    -------
    str
        Python. It imports what it needs; arrays of more than 12 numbers are read from a mapping
        ``data``.

    Raises
    ------
    ModelError
        If a variable cannot be written as code, naming it and why.

    Examples
    --------
    >>> import bayescausal as bc
    >>> print(bc.model_source(bc.model_from_formulas(["x ~ 1", "y ~ x"])))
    import numpy as np
    import pymc as pm
    <BLANKLINE>
    with pm.Model(coords={"unit": [0]}) as model:
        b_x_Intercept = pm.Normal("b_x_Intercept", 0, 2.5)
        sigma_x = pm.HalfStudentT("sigma_x", nu=4, sigma=1)
        x = pm.Normal("x", b_x_Intercept, sigma_x, dims="unit")
        b_y_Intercept = pm.Normal("b_y_Intercept", 0, 2.5)
        b_y_x = pm.Normal("b_y_x", 0, 2.5)
        sigma_y = pm.HalfStudentT("sigma_y", nu=4, sigma=1)
        y = pm.Normal("y", b_y_Intercept + b_y_x * x, sigma_y, dims="unit")
    """
    given = model_of(model)
    if not isinstance(given, pm.Model):
        raise ModelError(
            f"Found {type(model).__name__} where a PyMC model is needed.",
            remedy="Pass the model itself; of a fit, fit.model.",
        )
    given = with_forests(given)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ModelError(f"name={name!r}.", expected="a Python name.")
    for imputed in Reader(given).imputed:
        raise ModelError(
            f"{imputed!r} has imputed cells, which PyMC makes from the data.",
            remedy="Write the source of the generative model, before it is conditioned.",
        )
    return _Source(given, name).write()


class _Source:
    """Writes one model."""

    def __init__(self, model: pm.Model, name: str) -> None:
        self.model, self.name = model, name
        self.python = python_names(model, name)
        self.writer = Writer({model.named_vars[n]: p for n, p in self.python.items()})
        self.from_data: dict[str, str] = {}
        self.observed = {rv.name for rv in model.observed_RVs}
        self.potentials = {v.name for v in model.potentials}

    def write(self) -> str:
        body = [line for n in written_order(self.model) for line in self._statement(n)]
        head = ["import numpy as np", "import pymc as pm"]
        if any(" = pmb." in line for line in body):
            head.append("import pymc_bart as pmb")
        if any("pt." in line for line in body):
            head.append("import pytensor.tensor as pt")
        coords = self._coords()
        if self.from_data:
            head += ["", "# data: a mapping with the columns"]
            head += [f"#   {n}: {what}" for n, what in self.from_data.items()]
        opening = f"with pm.Model(coords={coords}) as {self.name}:"
        return "\n".join([*head, "", opening, *(f"    {line}" for line in body or ["pass"])])

    def _coords(self) -> str:
        sizes = dim_sizes(self.model)
        parts = []
        for dim, size in sizes.items():
            labels = self.model.coords.get(dim)
            plain = None if labels is None else [_item(v) for v in labels]
            if plain is None or (size > LONG and plain == list(range(size))):
                parts.append(f"{_quoted(dim)}: range({size})")
            else:
                shown = ", ".join(_quoted(v) if isinstance(v, str) else repr(v) for v in plain)
                parts.append(f"{_quoted(dim)}: [{shown}]")
        if sum(map(len, parts)) > 60:
            return "{\n    " + ",\n    ".join(parts) + ",\n}"
        return "{" + ", ".join(parts) + "}"

    # -- statements

    def _statement(self, label: str) -> list[str]:
        variable = self.model.named_vars[label]
        python = self.python[label]
        dims = self._dims(label)
        if variable in self.model.data_vars:
            value = np.asarray(variable.get_value() if isinstance(variable, SharedVariable)
                               else evaluate([variable])[0])  # fmt: skip
            shown = self._array(label, value, "")
            return [f"{python} = pm.Data({_quoted(label)}, {shown}{dims})"]
        if is_forest(variable):
            return []
        if variable in self.model.basic_RVs:
            return self._random(label)
        if forest_at(variable) is not None:
            x, options = written_forest(variable)
            before, [text] = self.writer.statement([x], label)
            return [*before, f"{python} = pmb.BART({_quoted(label)}, {text}, {options}{dims})"]
        kind = "Potential" if label in self.potentials else "Deterministic"
        inner = variable
        if label not in self.potentials and variable.owner is not None:
            inner = variable.owner.inputs[0] if _is_copy(variable) else variable
        held = self.writer.names.pop(variable)
        try:
            before, [text] = self.writer.statement([inner], label)
        finally:
            self.writer.names[variable] = held
        if len(text) > WIDE:
            before, text = [*before, *_broken(f"{python}_value", text)], f"{python}_value"
        return [*before, f"{python} = pm.{kind}({_quoted(label)}, {text}{dims})"]

    def _random(self, label: str) -> list[str]:
        rv = self.model.named_vars[label]
        if is_path(rv):
            return self._path(rv)
        start = f"{self.python[label]} = pm."
        if not isinstance(rv.owner.op, CensoredRV):
            before, family, parts = self._call(rv, label)
            shown = ", ".join([_quoted(label), *parts])
            return [*before, f"{start}{family}({shown}{self._extra(rv)})"]
        base, *bounds = rv.owner.inputs
        before, family, parts = self._call(base, label)
        more, texts = self.writer.statement([unpadded(b, self.writer.names) for b in bounds], label)
        ends = [None if t in ("-np.inf", "np.inf") else t for t in texts]
        shown = f"{_quoted(label)}, pm.{family}.dist({', '.join(parts)}), {ends[0]}, {ends[1]}"
        return [*before, *more, f"{start}Censored({shown}{self._extra(rv)})"]

    def _call(self, rv: TensorVariable, label: str) -> tuple[list[str], str, list[str]]:
        """Return lines that come before, a distribution's name, and its parameters as text."""
        kind = type(rv.owner.op).__name__
        if kind not in _DISTRIBUTIONS:
            raise ModelError(
                f"{label!r} cannot be written as code: {family_name(rv)} is not among the "
                "distributions whose parameters are known here.",
                expected=f"one of {', '.join(n for n, _ in _DISTRIBUTIONS.values())}.",
            )
        family, slots = _DISTRIBUTIONS[kind]
        roots, shown = [], []
        for slot, parameter in zip(slots, rv.owner.op.dist_params(rv.owner), strict=True):
            if slot is None:
                if float(np.max(np.abs(evaluate([parameter])[0]))) != 0:
                    raise ModelError(f"{label!r} has a location, which {family} does not take.")
                continue
            found, key = self._parameter(family, slot, parameter)
            roots.append(found)
            shown.append(key)
        before, texts = self.writer.statement(roots, label)
        texts = [
            t if not k.startswith("1/") else f"1 / ({t})" for k, t in zip(shown, texts, strict=True)
        ]
        keys = [k.removeprefix("1/") for k in shown]
        for place, text in enumerate(texts):
            if len(text) > WIDE:
                held = f"{keys[place]}_{self.python[label]}"
                before = [*before, *_broken(held, text)]
                texts[place] = held
        plain = family in ("Normal", "LogNormal", "Poisson") and keys == list(slots)
        parts = [_tidy(t) if plain else f"{k}={_tidy(t)}" for k, t in zip(keys, texts, strict=True)]
        return before, family, parts

    def _path(self, rv: TensorVariable) -> list[str]:
        """Return a random walk or an autoregression, with the distribution of its start."""
        name, parameters, start, rest = path_call(rv)
        roots = [unpadded(p, self.writer.names) for p in (*(v for _, v in parameters), *start)]
        before, texts = self.writer.statement(roots, str(rv.name))
        keys = [k for k, _ in parameters]
        parts = [f"{k}={_tidy(t)}" for k, t in zip(keys, texts, strict=False)]
        mean, sd = map(_tidy, texts[len(keys) :])
        call = (
            f"{_quoted(str(rv.name))}, {', '.join(parts)}, init_dist=pm.Normal.dist({mean}, {sd})"
        )
        return [*before, f"{self.python[str(rv.name)]} = pm.{name}({call}{rest}{self._extra(rv)})"]

    def _parameter(self, family: str, slot: str, parameter: TensorVariable) -> tuple[Any, str]:
        """Return what is written for a parameter, and its keyword."""
        parameter = unpadded(parameter, self.writer.names)
        if slot.startswith("1/"):
            if _is_elementwise(parameter, ps.Reciprocal):
                return parameter.owner.inputs[0], slot[2:]
            if isinstance(parameter, Constant):
                return Constant(parameter.type, 1 / parameter.data), slot[2:]
            return parameter, slot
        binary = slot == "p" and family in ("Bernoulli", "Binomial")
        if binary and _is_elementwise(parameter, Sigmoid):
            return parameter.owner.inputs[0], "logit_p"
        return parameter, slot

    def _extra(self, rv: TensorVariable) -> str:
        """Return transform, observed values, dims or shape of a random variable."""
        text = ""
        transform = self.model.rvs_to_transforms.get(rv)
        default = None if rv.name in self.observed else _default_transform(rv.owner.op, rv)
        if type(transform) is not type(default):
            known = _TRANSFORMS.get(type(transform).__name__)
            if transform is None:
                text += ", default_transform=None"
            elif known is None:
                raise ModelError(
                    f"{rv.name!r} has the transform {type(transform).__name__}, which cannot be "
                    "written as code.",
                    expected=f"one of {', '.join(_TRANSFORMS.values())}.",
                )
            else:
                text += f", transform=pm.distributions.transforms.{known}"
        if rv.name in self.observed:
            value = evaluate([self.model.rvs_to_values[rv]])[0]
            text += f", observed={self._array(rv.name, value, 'observed')}"
        dims = self._dims(rv.name)
        if not dims and rv.type.ndim:
            shape = tuple(int(s) for s in evaluate([rv.shape])[0])
            dims = f", shape={shape}"
        return text + dims

    def _dims(self, label: str) -> str:
        dims = self.model.named_vars_to_dims.get(label)
        if not dims:
            return ""
        if len(dims) == 1 and dims[0] is not None:
            return f", dims={_quoted(dims[0])}"
        return f", dims=({', '.join('None' if d is None else _quoted(d) for d in dims)})"

    def _array(self, label: str, value: np.ndarray, what: str) -> str:
        """Return an array as text, or where in the data it is."""
        if value.size <= LONG:
            return literal(value, label)
        level = f"{label}_level"
        codes = level in self.model.coords and value.dtype.kind in "iu"
        shape = " x ".join(map(str, value.shape))
        self.from_data[label] = f"{shape} numbers" + (f", codes into {level}" if codes else "")
        return f"data[{_quoted(label)}]"


# ------------------------------------------------------------------------------ private


def _is_elementwise(variable: Variable, kind: type) -> bool:
    op = getattr(variable.owner, "op", None)
    return isinstance(op, Elemwise) and isinstance(op.scalar_op, kind)


def _is_copy(variable: Variable) -> bool:
    return _is_elementwise(variable, ps.Identity)


def _tidy(text: str) -> str:
    """Return ``2.0`` as ``2``."""
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text


def _broken(name: str, text: str) -> list[str]:
    """Return an assignment with one summand on each line."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and text.startswith((" + ", " - "), i) and i > start:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    if len(parts) == 1:
        return [f"{name} = {text}"]
    return [f"{name} = (", *(f"    {part}" for part in parts), ")"]


def _item(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _quoted(text: str) -> str:
    shown = repr(str(text))
    return f'"{shown[1:-1]}"' if '"' not in shown else shown
