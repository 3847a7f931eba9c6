r"""Families and links: what a response is made of, given its linear predictor.

A formula gives a *linear predictor* :math:`\eta`; the family says which distribution the response
has and the link where :math:`\eta` enters it, as in a generalised linear model [1]_:

===================  =======================================================  ==============
family               response                                                 links
===================  =======================================================  ==============
``gaussian``         :math:`N(\eta, \sigma)`                                  identity, log
``student-t``        :math:`t_\nu(\eta, \sigma)`                              identity, log
``bernoulli``        0 or 1 with :math:`p = g^{-1}(\eta)`                     logit, probit,
                                                                              cloglog
``binomial``         successes of `trials`                                    the same
``poisson``          counts with mean :math:`\mu`                             log, identity
``negative binomial``  counts, variance :math:`\mu + \mu^2/\alpha`            log, identity
``gamma``            positive, variance :math:`\mu^2/\alpha`                  log, inverse,
                                                                              identity
``beta``             in (0, 1), mean :math:`\mu`, :math:`\alpha+\beta=\kappa`  logit, probit,
                                                                              cloglog
``lognormal``        :math:`\log y \sim N(\eta, \sigma)`                      identity
``categorical``      one of K labels, softmax of K - 1 predictors             softmax
``ordinal``          one of K ordered labels, cutpoints :math:`c_k - \eta`    logit, probit
===================  =======================================================  ==============

With ``sigma=x`` the scale of the first two and of ``lognormal`` depends on a column [2]_: one for
each label, or :math:`\sigma e^{b (x - \bar x)}`.

References
----------
.. [1] P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed., Chapman & Hall, 1989.
.. [2] A. C. Harvey, Estimating regression models with multiplicative heteroscedasticity,
   *Econometrica* 44(3), 1976.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.formulas.likelihoods import (
    bernoulli,
    beta,
    binomial,
    categorical,
    gamma,
    gaussian,
    lognormal,
    negative_binomial,
    ordinal,
    poisson,
    student,
)
from bayescausal.model.formulas.priors import Prior, digits
from bayescausal.types import FormulaError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


__all__ = ["FAMILIES", "Family", "FamilyChoice", "Scale", "choose_families", "response_scale"]


@dataclass(frozen=True)
class Scale:
    """Location and spread of the response on the scale of its predictor.

    Attributes
    ----------
    mean, sd : float
    spread : float
        Standard deviation of the response itself.
    slope, intercept : float
        Multiples of `sd` for the priors of slopes and of the intercept.
    """

    mean: float = 0.0
    sd: float = 1.0
    spread: float = 1.0
    slope: float = 2.5
    intercept: float = 2.5


@dataclass(frozen=True)
class Family:
    """A distribution of the response.

    Attributes
    ----------
    name : str
    links : tuple of str
        The first is the default.
    aux : mapping of str to callable
        Further parameters, with the default prior from the :class:`Scale`.
    make : callable
        ``make(name, eta, link, aux, **options)`` adds the response to the model at hand.
    categorical : bool
        Whether it has levels.
    lowest, highest : float
        Of the values it takes; both excluded if `open`.
    """

    name: str
    links: tuple[str, ...]
    aux: Mapping[str, Callable[[Scale], Prior]]
    make: Callable[..., Any]
    categorical: bool = False
    lowest: float = -np.inf
    highest: float = np.inf
    open: bool = False


@dataclass(frozen=True)
class FamilyChoice:
    """The family of one response."""

    family: Family
    link: str
    trials: int | str | None = None  # of a binomial: a number, or the name of a column
    levels: int | None = None  # of a categorical or ordinal response, where no data say it
    sigma: str | None = None  # the column on which the scale depends
    # Location and spread of the response, where its values do not say it (records of it that are
    # censored).
    scale: Scale | None = None


# ---------------------------------------------------------------------- the responses


def _sd_prior(scale: Scale) -> Prior:
    return Prior("HalfStudentT", (), {"nu": 4, "sigma": digits(scale.spread)})


def _half_cauchy(scale: Scale) -> Prior:
    return Prior("HalfCauchy", (1,))


def _degrees(scale: Scale) -> Prior:
    return Prior("Gamma", (2, 0.1))


_PROBABILITY = ("logit", "probit", "cloglog")

#: The families, by name.
FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("gaussian", ("identity", "log"), {"sigma": _sd_prior}, gaussian),
        Family("student-t", ("identity", "log"), {"sigma": _sd_prior, "nu": _degrees}, student),
        Family("bernoulli", _PROBABILITY, {}, bernoulli, lowest=0, highest=1),
        Family("binomial", _PROBABILITY, {}, binomial, lowest=0),
        Family("poisson", ("log", "identity"), {}, poisson, lowest=0),
        Family(
            "negative binomial",
            ("log", "identity"),
            {"alpha": _half_cauchy},
            negative_binomial,
            lowest=0,
        ),
        Family(
            "gamma",
            ("log", "inverse", "identity"),
            {"alpha": _half_cauchy},
            gamma,
            False,
            0,
            np.inf,
            True,
        ),
        Family("beta", _PROBABILITY, {"kappa": _half_cauchy}, beta, False, 0, 1, True),
        Family("lognormal", ("identity",), {"sigma": _sd_prior}, lognormal, False, 0, np.inf, True),
        Family("categorical", ("softmax",), {}, categorical, categorical=True),
        Family("ordinal", ("logit", "probit"), {}, ordinal, categorical=True),
    )
}

_OTHER_NAMES = {
    "normal": "gaussian",
    "student": "student-t",
    "studentt": "student-t",
    "t": "student-t",
    "binary": "bernoulli",
    "negativebinomial": "negative binomial",
    "negbinomial": "negative binomial",
    "nbinom": "negative binomial",
    "cumulative": "ordinal",
    "ordered": "ordinal",
    "multinomial": "categorical",
}


def choose_families(families: object, responses: Iterable[str]) -> dict[str, FamilyChoice]:
    """Return the family of every response; ``gaussian`` where none is named.

    `families` (mapping of str to str, mapping or FamilyChoice): ``"bernoulli"``,
    ``"binomial(trials=n, link=probit)"``, or ``{"family": "binomial", "trials": "n"}``.

    Examples
    --------
    >>> choice = choose_families({"y": "binomial(trials=n)"}, ["x", "y"])
    >>> choice["x"].family.name, choice["y"].trials, choice["y"].link
    ('gaussian', 'n', 'logit')
    """
    responses = list(responses)
    if families is not None and not isinstance(families, Mapping):
        raise FormulaError(
            f"families is a {type(families).__name__}.",
            expected='a mapping from responses to families, such as {"y": "bernoulli"}.',
        )
    for name in families or {}:
        if name not in responses:
            raise FormulaError(
                f"families names {name!r}, which has no formula.",
                names=closest(str(name), responses)[:1],
                remedy=f"Responses: {', '.join(responses)}.",
            )
    return {name: _choice((families or {}).get(name, "gaussian"), name) for name in responses}


def _choice(spec: object, response: str) -> FamilyChoice:
    """Read one family."""
    if isinstance(spec, FamilyChoice):
        return spec
    options: dict[str, Any] = {}
    if isinstance(spec, Mapping):
        options = {str(k): v for k, v in spec.items()}
        spec = options.pop("family", None)
    if not isinstance(spec, str):
        raise FormulaError(
            f"The family of {response!r} is {spec!r}.", expected=", ".join(FAMILIES) + "."
        )
    name, bracket, rest = spec.partition("(")
    if bracket:
        options.update(_options(rest, spec, response))
    key = " ".join(name.strip().lower().replace("_", " ").replace("-", " ").split())
    key = {"student t": "student-t", **_OTHER_NAMES}.get(
        key, _OTHER_NAMES.get(key.replace(" ", ""), key)
    )
    family = FAMILIES.get(key)
    if family is None:
        raise FormulaError(
            f"The family of {response!r} is {name.strip()!r}.",
            expected=", ".join(FAMILIES) + ".",
            names=closest(key, FAMILIES)[:1],
        )
    link = str(options.pop("link", family.links[0]))
    if link not in family.links:
        raise FormulaError(
            f"The link of {response!r} is {link!r}.",
            expected=f"for the family {family.name}: {', '.join(family.links)}.",
        )
    trials = options.pop("trials", None)
    levels = options.pop("levels", None)
    sigma = options.pop("sigma", None)
    if options:
        raise FormulaError(
            f"The family of {response!r} has the option {next(iter(options))!r}.",
            expected="link, trials (binomial), levels (categorical, ordinal), sigma (gaussian, "
            "student-t, lognormal).",
        )
    _check_options(family, response, trials, levels, sigma)
    return FamilyChoice(family, link, trials, levels, sigma=sigma)


def _check_options(
    family: Family, response: str, trials: object, levels: object, sigma: object
) -> None:
    """Refuse options that the family does not have."""
    if (family.name == "binomial") != (trials is not None):
        raise FormulaError(
            f"The family of {response!r} is {family.name} "
            + ("without its number of trials." if trials is None else f"with trials={trials!r}."),
            remedy="Write 'binomial(trials=n)', with n a number or a column."
            if trials is None
            else "Only the binomial has trials.",
        )
    if (
        trials is not None
        and not isinstance(trials, str)
        and not (isinstance(trials, int) and trials >= 1)
    ):
        raise FormulaError(
            f"trials={trials!r} of {response!r}.",
            expected="a whole number from 1, or the name of a column.",
        )
    if levels is not None and not (family.categorical and isinstance(levels, int) and levels >= 2):
        raise FormulaError(
            f"levels={levels!r} of {response!r}, whose family is {family.name}.",
            expected="a whole number from 2, for categorical and ordinal.",
        )
    if sigma is not None and ("sigma" not in family.aux or not isinstance(sigma, str)):
        raise FormulaError(
            f"sigma={sigma!r} of {response!r}, whose family is {family.name}.",
            expected="the name of a column on which the scale depends, for gaussian, student-t and "
            "lognormal.",
            remedy="A fixed scale is a prior: priors={...}." if "sigma" in family.aux else None,
        )


def _options(rest: str, spec: str, response: str) -> dict[str, Any]:
    """Read ``trials=n, link=probit)``."""
    wrong = FormulaError(
        f"The family of {response!r} is {spec!r}.",
        expected="a name, with options in brackets: 'binomial(trials=n, link=probit)'.",
    )
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
    except SyntaxError as error:
        raise wrong from error
    if not isinstance(call, ast.Call) or call.args:
        raise wrong
    out: dict[str, Any] = {}
    for keyword in call.keywords:
        value = keyword.value
        if isinstance(value, ast.Name):
            out[str(keyword.arg)] = value.id
        elif isinstance(value, ast.Constant):
            out[str(keyword.arg)] = value.value
        else:
            raise wrong
    return out


def response_scale(choice: FamilyChoice, numeric: np.ndarray | None, response: str) -> Scale:
    """Return location and spread of a response from its data, on the scale of the predictor."""
    if choice.scale is not None:
        if numeric is not None:
            _refuse_outside(choice.family, numeric[np.isfinite(numeric)], response)
        return choice.scale
    family, link = choice.family, choice.link
    probability = family.name in ("bernoulli", "binomial") and link in ("logit", "probit")
    plain = Scale(slope=1.0, intercept=1.5) if probability else Scale()
    if numeric is None or family.categorical:
        return plain
    seen = numeric[np.isfinite(numeric)]
    if not seen.size:
        return plain
    _refuse_outside(family, seen, response)
    if family.name == "lognormal":
        seen = np.log(seen)
    mean, spread = float(seen.mean()), float(seen.std()) or 1.0
    if link == "identity":
        return Scale(mean=mean, sd=spread, spread=spread)
    if link == "log" and mean > 0:
        return Scale(mean=float(np.log(mean)), spread=spread)
    if link == "inverse":
        return Scale(mean=1 / mean, sd=1 / mean, spread=spread)
    return plain


def _refuse_outside(family: Family, seen: np.ndarray, response: str) -> None:
    bad = (seen < family.lowest) | (seen > family.highest)
    if family.open:
        bad |= (seen == family.lowest) | (seen == family.highest)
    if bad.any():
        low, high = f"{family.lowest:g}", f"{family.highest:g}"
        where = f"between {low} and {high}" if np.isfinite(family.highest) else f"from {low} on"
        ends = ", ends excluded" if family.open else ""
        raise FormulaError(
            f"{response!r} is {seen[bad][0]:g} in the data, and its family is {family.name}.",
            expected=f"values {where}{ends}.",
            remedy=f"Name another family for {response!r}.",
        )
