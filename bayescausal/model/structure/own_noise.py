r"""Equations that read the noise of another variable: an instrument by control function.

The equation of the treatment is :math:`x := m(z) + s\,U`. Where the outcome is written with what is
left of the treatment beyond its own mean,

.. math:: y \sim N\bigl(b\,x + \rho\,(x - m(z)),\; \sigma\bigr),

the term :math:`x - m(z)` stands for the treatment's noise, which treatment and outcome share
[1]_. It is no effect of x: setting x leaves the noise that a unit has. Read as an effect it adds
:math:`\rho` to it, and :math:`z`, which enters :math:`y` through :math:`m` alone, looks like a
common cause. So such a term has the value that it has before anything is set, the arrow from z to
y is dropped, and a bidirected arc joins x and y.

It is told from a within-between regression, in which a difference from a mean stands beside the
mean itself: there the mean is a cause of its own. A model that has the product multiplied out,
:math:`(b + \rho)\,x - \rho\,m(z)`, says nothing of the kind, and is read as it stands.

References
----------
.. [1] R. Blundell and J. L. Powell, "Endogeneity in nonparametric and semiparametric regression
   models", in *Advances in Economics and Econometrics*, Cambridge University Press, 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, toposort
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.model.interventions.support import params_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

__all__ = ["OwnNoise", "differences", "noise_readers"]

#: Steps that leave a value as it is.
_SAME = (ps.Identity, ps.Cast)


@dataclass(frozen=True, eq=False)
class OwnNoise:
    """An equation that reads the noise of another variable."""

    equation: str
    of: str  # the variable whose noise it reads
    # What is subtracted from that variable: parameters of its own distribution.
    means: tuple[Variable, ...]
    parents: frozenset[str]  # what the equation reads beside, `of` among it: named variables


def noise_readers(model: pm.Model, random: Sequence[str], nodes: Sequence[str]) -> list[OwnNoise]:
    """Return the equations that read the noise of another variable.

    `random`, `nodes`: random structural variables, and all.
    """
    named = {v: n for n, v in model.named_vars.items()}
    through = set(model.deterministics)
    plain = [n for n in random if n in model.named_vars and _has_parameters(model[n])]
    params = {n: params_of(model[n]) for n in plain}
    above = {n: _named_above(params[n], named, through) for n in plain}
    found = []
    for child in plain:
        for other in above[child] & set(plain) - {child}:
            means = [p for p in params[other] if p.type.ndim and p.owner is not None]
            own = _named_above(means, named, through) - set(nodes)
            if not own & above[child]:
                continue
            one = _of(model, child, other, means, own, named, through)
            found += [] if one is None else [one]
    return found


def _has_parameters(variable: Variable) -> bool:
    """Whether a variable is a distribution of its own, and not put together of two parts."""
    return hasattr(getattr(variable.owner, "op", None), "dist_params")


def differences(
    expressions: Sequence[Variable], variable: Variable, means: Sequence[Variable]
) -> dict[Variable, Variable]:
    """Return the places where a mean is subtracted from a variable, and which mean.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> x, a, z = pt.vector("x"), pt.scalar("a"), pt.vector("z")
    >>> list(differences([3 * (x - (z * a + 1))], x, [a * z + 1]).values())[0] is not None
    True
    >>> differences([3 * (x - z)], x, [a * z + 1])
    {}
    """
    keys = _Keys()
    own = {keys.of(mean): mean for mean in means}
    found: dict[Variable, Variable] = {}
    for node in toposort(list(expressions)):
        if not isinstance(node.op, Elemwise) or not isinstance(node.op.scalar_op, ps.Sub):
            continue
        left, right = (_peeled(v) for v in node.inputs)
        if left is variable and keys.of(right) in own:
            found[node.outputs[0]] = own[keys.of(right)]
    return found


# --------------------------------------------------------------------------- private


def _of(
    model: pm.Model,
    child: str,
    other: str,
    means: Sequence[Variable],
    own: set[str],
    named: Mapping[Variable, str],
    through: set[Variable],
) -> OwnNoise | None:
    """Return the record where the noise is read, and the mean nowhere else."""
    roots = params_of(model[child])
    spots = differences(roots, model[other], means)
    if not spots:
        return None
    left = _named_above(roots, named, through, beyond=spots)
    if other not in left or left & own:
        return None
    return OwnNoise(child, other, tuple(dict.fromkeys(spots.values())), frozenset(left))


def _named_above(
    roots: Sequence[Variable],
    named: Mapping[Variable, str],
    through: set[Variable],
    beyond: Iterable[Variable] = (),
) -> set[str]:
    """Return the named variables that expressions read, Deterministics passed through.

    What is behind `beyond` does not count.
    """
    stops = {v for v in named if v not in through}
    walked = ancestors(list(roots), blockers=[*stops, *beyond])
    return {named[v] for v in walked if v in stops}


def _peeled(variable: Variable) -> Variable:
    """Return what is only copied, cast or laid out along more axes; a named variable stays."""
    while variable.owner is not None:
        op = variable.owner.op
        same = isinstance(op, Elemwise) and isinstance(op.scalar_op, _SAME)
        wide = isinstance(op, DimShuffle) and not op.drop
        if not same and not wide:
            break
        variable = variable.owner.inputs[0]
    return variable


class _Keys:
    """Numbers that two expressions share if they are written the same, sums in any order."""

    def __init__(self) -> None:
        self.memo: dict[Variable, int] = {}
        self.table: dict[Any, int] = {}

    def of(self, root: Variable) -> int:
        """Return the number of an expression."""
        waiting = [root]
        while waiting:
            top = waiting[-1]
            plain = _peeled(top)
            if plain in self.memo:
                self.memo[top] = self.memo[plain]
                waiting.pop()
                continue
            if plain.owner is None:
                fixed = isinstance(plain, Constant)
                own = ("value", np.asarray(plain.data).tobytes()) if fixed else ("leaf", id(plain))
                self.memo[plain] = self.table.setdefault(own, len(self.table))
                continue
            missing = [v for v in plain.owner.inputs if v not in self.memo]
            if missing:
                waiting.extend(missing)
                continue
            parts = [self.memo[v] for v in plain.owner.inputs]
            op = plain.owner.op
            scalar = getattr(op, "scalar_op", None)
            if isinstance(scalar, ps.Add | ps.Mul):
                parts = sorted(parts)
            own = (scalar or op, plain.owner.outputs.index(plain), *parts)
            self.memo[plain] = self.table.setdefault(own, len(self.table))
        return self.memo[root]
