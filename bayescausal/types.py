"""The words: interventions, reserved names, errors.

Room 0. Everything here is plain data, imports nothing but the standard library and is
understood by every other room.

An *intervention* replaces the mechanism of one variable in one world [1]_:

==================  =====================  ==========================================
``Set(x)``          ``X := x``             the atomic intervention, ``do(X = x)``
``Shift(d)``        ``X := X + d``         acts on the value X would have had
``Scale(k)``        ``X := k * X``         likewise
``Stochastic(D)``   ``X ~ D``              a new, random, mechanism
``Policy(f)``       ``X := f(W)``          a rule that reads other variables
==================  =====================  ==========================================

Every mistake a caller can make has its own class below :class:`BayesCausalError`, and says
what was found, what was expected, what to do, and which names are close.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, sections 3.2 and 4.2.
"""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Names of the dims that results carry: no variable or dim of a model may use them.
RESERVED_NAMES: frozenset[str] = frozenset({"world", "chain", "draw"})


# --------------------------------------------------------------------------- errors


class BayesCausalError(ValueError):
    """A mistake that a caller can mend: what was found, what was expected, what to do.

    Parameters
    ----------
    found : str
        What is wrong, naming the culprit. Always shown first.
    expected : str, optional
        What would have been right.
    remedy : str, optional
        What to do now.
    names : iterable of str, optional
        Close names, shown as "Did you mean ...?".

    Examples
    --------
    >>> import bayescausal as bc
    >>> print(bc.BayesCausalError("x is NaN.", expected="Finite numbers.", remedy="Drop the row."))
    x is NaN. Expected: Finite numbers. Drop the row.
    """

    def __init__(
        self,
        found: str,
        *,
        expected: str | None = None,
        remedy: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        self.found = found
        self.expected = expected
        self.remedy = remedy
        self.names = tuple(names)
        parts = [found]
        if expected:
            parts.append(f"Expected: {expected}")
        if self.names:
            parts.append(f"Did you mean {' or '.join(repr(name) for name in self.names)}?")
        if remedy:
            parts.append(remedy)
        text = parts[0]
        for part in parts[1:]:
            text += part if text.endswith("\n") else f" {part}"
        super().__init__(text)


class UnknownVariableError(BayesCausalError):
    """A name that the model, graph or data does not have."""


class UnitDimsError(BayesCausalError):
    """The unit dimensions cannot be told, or are wrong."""


class FixedUnitsError(BayesCausalError):
    """The model carries arrays of its own length, so the number of units is fixed."""


class ModelError(BayesCausalError):
    """A model that cannot be read or cloned as it stands."""


class MixingError(BayesCausalError):
    """An equation mixes units, and the request needs units that do not depend on each other."""


class FormulaError(BayesCausalError):
    """A formula, a family or a prior that cannot be read, or does not fit the others."""


class ParameterError(BayesCausalError):
    """Parameter values are missing, unknown or of the wrong shape."""


class CouplingError(BayesCausalError):
    """An answer depends on the joint across worlds, and its coupling is missing or unknown."""


class DataError(BayesCausalError):
    """Data that do not fit the model."""


class InterventionError(BayesCausalError):
    """An intervention that the model does not allow."""


class PotentialError(BayesCausalError):
    """A Potential acts on structural variables (a selection), so simulation would be wrong."""


class NoiseFormError(BayesCausalError):
    """A distribution that has no quantile or density function to work with."""


class FitMismatchError(BayesCausalError):
    """A model, its data and its draws that do not belong together."""


class FitWarning(UserWarning):
    """A fit that can be used, but not trusted as it stands: for the sampler, or for a column."""


class FormulaWarning(UserWarning):
    """A formula is read in a way that one may not expect."""


class SparseTableWarning(UserWarning):
    """A table with few or no rows where a formula needs some: the prior answers there."""


class NotFiniteError(DataError):
    """Numbers that are NaN or infinite, where finite ones are needed."""


class EstimandError(BayesCausalError):
    """A question that is not well posed."""


class EmptySubgroupError(EstimandError):
    """A subgroup without a unit."""


class UndefinedEffectError(EstimandError):
    """A functional or scale that does not exist here (a mean of a Cauchy, a zero denominator)."""


class StudyError(BayesCausalError):
    """A simulation study that cannot be run, or a file that holds another one."""


class IdentificationError(BayesCausalError):
    """``strict=True`` was asked for, and the effect is not identified."""


class GraphError(BayesCausalError):
    """A graph that cannot be read, or is not a DAG."""


def closest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names in `known` that are spelled like `name`, best first."""
    pool = [str(k) for k in known]
    folded = {k.casefold(): k for k in reversed(pool)}
    hits = difflib.get_close_matches(str(name).casefold(), list(folded), n=3, cutoff=0.6)
    return tuple(folded[h] for h in hits)


def unknown_variable(
    name: object, known: Iterable[str], *, what: str = "a variable of this model"
) -> UnknownVariableError:
    """Build the error for a name that is not there, listing what is."""
    pool = [str(k) for k in known]
    shown = ", ".join(pool[:40]) + (f", and {len(pool) - 40} more" if len(pool) > 40 else "")
    return UnknownVariableError(
        f"{name!r} is not {what}.",
        remedy=f"Variables: {shown or 'none'}.",
        names=closest(str(name), pool)[:1],
    )


# --------------------------------------------------------------------- interventions


@dataclass(frozen=True, eq=False)
class Intervention:
    """What happens to one variable in one world. Use one of the subclasses."""

    def describe(self, name: str) -> str:
        """Return the intervention on `name` as mathematics."""
        raise TypeError("Intervention is abstract: use Set, Shift, Scale, Stochastic or Policy")


def _short(value: object) -> str:
    """Return a value as a person would write it; arrays by their size."""
    shape = getattr(value, "shape", (len(value),) if isinstance(value, list | tuple) else None)
    if shape not in (None, ()):
        return f"[{' x '.join(map(str, shape))} values]"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    whole = abs(number) < 1e15 and number == round(number)  # as draws.digits.level_text
    return f"{number + 0.0:.0f}" if whole else f"{number:.6g}"


def _family(variable: Any) -> str:
    """Return a distribution with its parameters, and of mixtures with their components."""
    node: Any = getattr(variable, "owner", None)
    op: Any = getattr(node, "op", None)
    if not hasattr(op, "_print_name"):  # a number
        value = variable.eval(mode="FAST_COMPILE") if hasattr(variable, "eval") else variable
        many = getattr(value, "ndim", 1) and 0 < getattr(value, "size", 9) <= 8
        return f"[{', '.join(map(_short, value.ravel()))}]" if many else _short(value)
    if hasattr(op, "extended_signature"):  # made of others
        words = [_family(p) for p in node.inputs if getattr(p.type, "shape", (0,)) != (0,)]
    else:
        given = op.dist_params(node)
        words = [_family(p) for p in given]
        names = [*inspect.signature(op.__call__).parameters]
        if "args" not in names and (names[0] == "scale" or any(p.owner for p in given)):
            words = [f"{n}={w}" for n, w in zip(names, words, strict=False)]
    return f"{op._print_name[0]}({', '.join(words)})"


@dataclass(frozen=True, eq=False)
class Set(Intervention):
    """Set the variable to a value: ``do(X = value)``.

    Parameters
    ----------
    value : float, int, bool or array_like
        A number for every unit, or one value per unit (in the order of the data; the shape
        of the variable for vector nodes).

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Set(1).describe("dilution")
    'dilution=1'
    """

    value: Any

    def describe(self, name: str) -> str:
        """Return ``X=value``."""
        return f"{name}={_short(self.value)}"


@dataclass(frozen=True, eq=False)
class Shift(Intervention):
    """Add `by` to the value the variable would have in that world.

    Parameters
    ----------
    by : float or array_like
        In the units of the variable.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Shift(2.5).describe("dose")
    'dose=dose+2.5'
    """

    by: Any

    def describe(self, name: str) -> str:
        """Return ``X=X+by``."""
        text = _short(self.by)
        return f"{name}={name}{text if text.startswith('-') else '+' + text}"


@dataclass(frozen=True, eq=False)
class Scale(Intervention):
    """Multiply the value the variable would have in that world by `by`.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Scale(1.1).describe("dose")
    'dose=1.1*dose'
    """

    by: Any

    def describe(self, name: str) -> str:
        """Return ``X=by*X``."""
        return f"{name}={_short(self.by)}*{name}"


@dataclass(frozen=True, eq=False)
class Stochastic(Intervention):
    """Draw the variable from a new distribution that reads no other variable.

    Parameters
    ----------
    distribution : TensorVariable
        A PyMC distribution made with ``.dist``, for example ``pm.Bernoulli.dist(0.3)``.

    Examples
    --------
    >>> import bayescausal as bc, pymc as pm
    >>> bc.Stochastic(pm.Bernoulli.dist(0.3)).describe("dilution")
    'dilution~Bernoulli(0.3)'
    """

    distribution: Any

    def describe(self, name: str) -> str:
        """Return ``X~Family(parameters)``, of mixtures with their components."""
        return f"{name}~{_family(self.distribution)}"


@dataclass(frozen=True, eq=False)
class Policy(Intervention):
    """Set the variable by a rule that reads other variables of the same world.

    Parameters
    ----------
    function : callable
        Called with the values of the variables it names (labels of categories that have some),
        elementwise over units: arithmetic, comparisons, PyTensor or NumPy functions.
    reads : sequence of str, optional
        Names of the variables it reads, in the order of its arguments. Default: the names of
        its arguments. The variable itself may be read: that is the value it would have had.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Policy(lambda humid: humid > 0).describe("dilution")
    'dilution=f(humid)'
    """

    function: Callable[..., Any]
    reads: tuple[str, ...] | None = field(default=None)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InterventionError(
                f"Policy takes a function, found {type(self.function).__name__}.",
                remedy="For a fixed value use Set.",
            )
        if self.reads is None:
            names = []
            for parameter in inspect.signature(self.function).parameters.values():
                if parameter.kind not in (
                    parameter.POSITIONAL_ONLY,
                    parameter.POSITIONAL_OR_KEYWORD,
                    parameter.KEYWORD_ONLY,
                ):
                    raise InterventionError(
                        f"The policy takes *{parameter.name}, so what it reads cannot be told.",
                        remedy="Name its arguments after variables, or pass reads=[...].",
                    )
                if parameter.default is parameter.empty:
                    names.append(parameter.name)
            object.__setattr__(self, "reads", tuple(names))
        else:
            reads = (self.reads,) if isinstance(self.reads, str) else tuple(self.reads)
            object.__setattr__(self, "reads", reads)

    def describe(self, name: str) -> str:
        """Return ``X=f(W)``."""
        label = getattr(self.function, "__name__", "f")
        label = "f" if label == "<lambda>" else label
        return f"{name}={label}({', '.join(self.reads or ())})"


@dataclass(frozen=True, eq=False)
class FromWorld(Intervention):
    """Give the variable the value it has in another world: ``Y(x, M(x'))`` is nested this way."""

    world: str  # name of the other world of the same question

    def describe(self, name: str) -> str:
        """Return ``X=X[world]``."""
        return f"{name}={name}[{self.world}]"
