r"""A Normal latent of the units leaves its effects in sequence: what remains is drawn exactly.

A latent :math:`u \sim N(m_0, v_0)` that Normal variables :math:`x_1, ..., x_k` share (the common
cause behind an instrument's treatment and outcome, a factor behind several measures),

.. math:: x_j \sim N(m_j + l_j u,\; s_j^2),

is integrated out by conditioning on its effects one after the other [1]_. With
:math:`E_j, V_j` the mean and variance of u given the first j of them,

.. math::

   x_j &\sim N(m_j + l_j E_{j-1},\; s_j^2 + l_j^2 V_{j-1}), \qquad
   K_j = V_{j-1} l_j / (s_j^2 + l_j^2 V_{j-1}), \\
   E_j &= E_{j-1} + K_j (x_j - m_j - l_j E_{j-1}), \qquad
   V_j = V_{j-1} s_j^2 / (s_j^2 + l_j^2 V_{j-1}).

Where the noise and the path of a variable have a known factor of the row in common,
:math:`s_j = a_j k_i` and :math:`l_j = b_j k_i` (kernel weights), it stays outside: the spread is
:math:`k_i (a_j^2 + b_j^2 V_{j-1})^{1/2}`, and nothing else of the variances differs between rows.

The rewritten model has the same density, no unknown per unit, and equations that are affine in
whatever the :math:`m_j` are affine in: its coefficients leave the chain as well
(:mod:`bayescausal.inference.hierarchies.coefficients`), and the rows come down to cross-products.
Then u is drawn from :math:`N(E_k, V_k)`, once per posterior draw.

The rewriting is of the density alone. Interventions act on the model as it was written, in which u
is a cause.

References
----------
.. [1] R. E. Kalman, "A new approach to linear filtering and prediction problems", Journal of Basic
   Engineering 82, 1960.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.model.fgraph import ModelDeterministic
from pytensor.compile.ops import ViewOp
from pytensor.graph.replace import clone_replace, vectorize_graph
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Add, Cast, Identity, Mul, Neg, Sub, TrueDiv
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.basic import NormalRV
from pytensor.tensor.shape import SpecifyShape

from bayescausal.inference.closed_forms.affine import factored, stripped
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of
from bayescausal.model.structure.rebuild import close, open_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from pytensor.compile.function.types import Function
    from pytensor.graph.basic import Variable

    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["InSequence", "in_sequence"]

#: Numbers that are held at a time while a latent is drawn back.
NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class InSequence:
    """A model without a latent that its effects share, and the way back to it.

    Attributes
    ----------
    name : str
        The latent.
    structure : Structure
        Of the model without it.
    given : Structure
        Of the model with it.
    mean, variance : Variable
        Of the latent given its effects, as expressions of the model with it.
    seen : frozenset of str
        Columns that are data.
    made : dict
        Functions that were compiled.
    """

    name: str
    structure: Structure
    given: Structure
    mean: Variable
    variance: Variable
    seen: frozenset[str]
    made: dict[tuple[str, ...], tuple[tuple[str, ...], Function]] = field(default_factory=dict)

    def conformed(self, conformed: Conformed) -> Conformed:
        """Return the data for the model without the latent."""
        latent = tuple(n for n in conformed.latent if n != self.name)
        return replace(conformed, latent=latent)

    def recover(
        self, posterior: xr.Dataset, columns: Mapping[str, np.ndarray], seed: int
    ) -> np.ndarray:
        """Draw the latent from its exact conditional, once per draw: (chain, draw, unit)."""
        names, call = self._call(tuple(str(n) for n in posterior.data_vars))
        flat = {}
        for name in names:
            if name in posterior:
                array = posterior[name].transpose("chain", "draw", ...).values
                flat[name] = array.reshape(-1, *array.shape[2:])
        chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
        total = chains * draws
        shape = np.shape(columns[next(n for n in self.given.graph.successors(self.name))])
        rng = np.random.default_rng([seed, 3])
        out = np.empty((total, *shape))
        step = max(1, NUMBERS // int(np.prod(shape)))
        for start in range(0, total, step):
            cut = slice(start, min(start + step, total))
            mean, spread = call(*(flat[n][cut] if n in flat else columns[n] for n in names))
            noise = rng.standard_normal((cut.stop - cut.start, *shape))
            out[cut] = _aligned(mean, shape) + _aligned(spread, shape) * noise
        return out.reshape(chains, draws, *shape)

    def _call(self, drawn: tuple[str, ...]) -> tuple[tuple[str, ...], Function]:
        """Return mean and spread of the latent as a function of draws and columns; kept."""
        if drawn not in self.made:
            model = self.given.model
            outputs = [self.mean, pt.sqrt(self.variance)]
            leaves = {*model.basic_RVs, *model.data_vars}
            read = sorted(named_parents(outputs, leaves), key=lambda v: str(v.name))
            names = tuple(str(v.name) for v in read if v.name in drawn or v.name in self.seen)
            kept = [v for v in read if v.name in names]
            inputs = {v: v.type(f"given_{v.name}") for v in kept}
            outputs = clone_replace(outputs, inputs)
            places = [inputs[v] for v in kept]
            batch = {
                p: pt.TensorType(p.type.dtype, (None,) * (p.type.ndim + 1))(f"all_{p.name}")
                for p, v in zip(places, kept, strict=True)
                if v.name in drawn
            }
            call = pytensor.function(
                [batch.get(p, p) for p in places],
                vectorize_graph(outputs, batch),
                mode=PY_MODE,
                allow_input_downcast=True,
            )
            self.made[drawn] = names, call
        return self.made[drawn]


def in_sequence(structure: Structure, conformed: Conformed) -> InSequence | None:
    """Return the model without a latent whose effects are then drawn exactly; None without one.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table, conform
    >>> from bayescausal.inference.marginalize.in_sequence import in_sequence
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     u = pm.Normal("u", dims="unit")
    ...     s = pm.HalfNormal("s")
    ...     x = pm.Normal("x", pm.Normal("a") + s * u, s, dims="unit")
    ...     y = pm.Normal("y", pm.Normal("b") * x + u, s, dims="unit")
    >>> structure = structure_of(model)
    >>> data = conform(as_table({"x": [0.5, 2.0], "y": [1.0, 3.0]}, structure), structure)
    >>> found = in_sequence(structure, data)
    >>> found.name, [rv.name for rv in found.structure.model.free_RVs]
    ('u', ['s', 'a', 'x', 'b', 'y'])
    """
    if structure.imputed or structure.potentials:
        return None
    columns = set(conformed.columns)
    for name in structure.random:
        if name in columns or name in {rv.name for rv in structure.model.observed_RVs}:
            continue
        effects = _effects(structure, name, columns - set(conformed.missing))
        if not effects:
            continue
        try:
            found = _without(structure, name, effects, conformed.columns)
        except _NotLinearError:
            continue
        plan = make_plan(found.structure, columns, set(conformed.missing))
        if set(effects) <= {n for s in plan.samplers for n in s.observed}:
            return found
    return None


# ------------------------------------------------------------------------------- private


class _NotLinearError(Exception):
    """An equation is not affine in the latent, cell by cell."""


def _effects(structure: Structure, name: str, columns: set[str]) -> tuple[str, ...]:
    """Return what reads a latent, causes first, if all is Normal, seen and of the same units."""
    effects = tuple(n for n in structure.random if n in structure.full.successors(name))
    others = [n for n in structure.full.successors(name) if n not in effects]
    dims = structure.dims[name]
    alike = all(n in columns and structure.dims[n] == dims for n in effects)
    if len(effects) < 2 or not alike or any(n not in structure.deterministics for n in others):
        return ()
    if len(dims) != 1 or dims[0] not in structure.unit_dims:
        return ()
    normal = [isinstance(structure.variable(n).owner.op, NormalRV) for n in (name, *effects)]
    return effects if all(normal) else ()


def _without(
    structure: Structure, name: str, effects: Sequence[str], columns: Mapping[str, np.ndarray]
) -> InSequence:
    """Return the model in which the effects of a latent follow each other."""
    model = structure.model
    leaves = {*model.basic_RVs, *model.data_vars}
    held = {n: np.asarray(columns[n]) for n in structure.data if n in columns}
    reader = _Reader(model[name], leaves, {model[n]: v for n, v in held.items()})
    pairs = [(model[n], model[n]) for n in effects]
    _, mean, variance = _sequence(reader, model[name], pairs)
    fgraph, memo, initvals = open_model(model)
    hole = memo[model[name]]
    marked = [memo[model[n]] for n in effects]
    given = {memo[model[n]]: v for n, v in held.items()}
    reader = _Reader(hole, {memo[v] for v in leaves}, given)
    parameters, _, _ = _sequence(
        reader, hole.owner.inputs[0], [(v, v.owner.inputs[0]) for v in marked]
    )
    replacements = []
    for old, (mu, sigma) in zip(marked, parameters, strict=True):
        rv = old.owner.inputs[0]
        inputs = list(rv.owner.inputs)
        for k, value in zip((-2, -1), (mu, sigma), strict=True):
            inputs[k] = value
        new = rv.owner.op.make_node(*inputs).outputs[-1]
        new = rv.type.filter_variable(new)
        new.name = rv.name
        replacements.append((rv, new))
    drop = {hole} | {
        v
        for v in fgraph.outputs
        if isinstance(v.owner.op, ModelDeterministic) and reader.reads(v.owner.inputs[0])
    }
    for i in reversed(range(len(fgraph.outputs))):
        if fgraph.outputs[i] in drop:
            fgraph.remove_output(i)
    for old, new in replacements:
        fgraph.replace(old, new, import_missing=True)
    made = close(fgraph, {k: v for k, v in initvals.items() if k != name})
    rest_of = structure_of(made, unit_dims=structure.unit_dims)
    return InSequence(name, rest_of, structure, mean, variance, frozenset(columns))


def _sequence(
    reader: _Reader, latent: Variable, effects: Sequence[tuple[Variable, Variable]]
) -> tuple[list[tuple[Variable, Variable]], Variable, Variable]:
    """Return mean and spread of each effect given those before it, and what is left of the latent.

    ``effects``: the variable as others read it, and the random variable that it is.
    """
    centre, spread = latent.owner.op.dist_params(latent.owner)
    centre, variance = stripped(centre), stripped(spread) ** 2
    parameters = []
    known: list[tuple[Any, Any, Any]] = []  # numbers, factors of rows, residuals
    for value, rv in effects:
        mu, sigma = rv.owner.op.dist_params(rv.owner)
        if reader.reads(sigma):
            raise _NotLinearError
        rest, slope = reader.parts(mu)
        if slope is None:
            raise _NotLinearError
        sigma, slope, factor = reader.apart(stripped(sigma), slope)
        parts = [_times(factor, slope * centre)]
        parts += [(slope * g) * _times(factor, _times(f, r)) for g, f, r in known]
        expected = _sum([rest, *parts])
        total = sigma**2 + slope**2 * variance
        parameters.append((expected, _times(factor, pt.sqrt(total))))
        inverse = None if factor is None else 1.0 / factor
        known.append((variance * slope / total, inverse, value - expected))
        variance = variance * sigma**2 / total
    mean = _sum([centre, *(g * _times(f, r) for g, f, r in known)])
    return parameters, mean, variance


class _Reader:
    """Takes equations apart that read a latent themselves, and not through another variable."""

    def __init__(
        self, hole: Variable, leaves: set[Variable], given: Mapping[Variable, np.ndarray]
    ) -> None:
        self.hole, self.leaves, self.given = hole, leaves, given
        self.known: dict[Variable, bool] = {}

    def reads(self, var: Variable) -> bool:
        if var not in self.known:
            self.known[var] = self.hole in named_parents([var], self.leaves)
        return self.known[var]

    def apart(self, sigma: Variable, slope: Variable) -> tuple[Variable, Variable, Variable | None]:
        """Return noise and path as numbers, and the known factor of the rows that both have."""
        unknown = self.leaves - set(self.given)
        both = [factored(v, unknown, set(self.given)) for v in (sigma, slope)]
        if any(found is None or found[1] is None for found in both):
            return sigma, slope, None
        (a, k), (b, other) = both  # type: ignore[misc]
        held = {v: pt.constant(array) for v, array in self.given.items()}
        one, two = pytensor.function([], clone_replace([k, other], held), mode=PY_MODE)()
        return (a, b, k) if np.allclose(one, two, rtol=1e-12) else (sigma, slope, None)

    def parts(self, var: Variable) -> tuple[Variable | None, Variable | None]:
        """Return an expression as rest + slope * hole: (None, slope) without a rest."""
        if var is self.hole:
            return None, pt.constant(1.0)
        if not self.reads(var):
            return var, None
        node = var.owner
        kind = type(node.op.scalar_op) if isinstance(node.op, Elemwise) else None
        moving = [i for i, v in enumerate(node.inputs) if self.reads(v)]
        if kind in (Add, Sub, Neg):
            parts = [self.parts(v) for v in node.inputs]
            signs = [
                -1.0 if kind is Neg or (kind is Sub and i == 1) else 1.0 for i in range(len(parts))
            ]
            return _sum([p[0] for p in parts], signs), _sum([p[1] for p in parts], signs)
        if (kind is Mul and len(moving) == 1) or (kind is TrueDiv and moving == [0]):
            rest, slope = self.parts(node.inputs[moving[0]])
            others = [stripped(v) for i, v in enumerate(node.inputs) if i != moving[0]]

            def scaled(part: Variable | None) -> Variable | None:
                for other in others if part is not None else ():
                    part = part / other if kind is TrueDiv else part * other
                return part

            return scaled(rest), scaled(slope)
        through = isinstance(node.op, SpecifyShape | CheckAndRaise | ViewOp)
        floats = kind is Cast and str(var.type.dtype).startswith("float")
        if (through or floats or kind is Identity) and moving == [0]:
            return self.parts(node.inputs[0])
        raise _NotLinearError


def _times(factor: Variable | None, value: Variable) -> Variable:
    """Return a product with a known factor of each row, if there is one."""
    return value if factor is None else factor * value


def _sum(parts: Sequence[Variable | None], signs: Sequence[float] | None = None) -> Any:
    total: Any = None
    for part, sign in zip(parts, signs or [1.0] * len(parts), strict=True):
        if part is not None:
            one = part if sign > 0 else -part
            total = one if total is None else total + one
    return total


def _aligned(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return draws of numbers, or of one number for all units, with an axis of units."""
    value = np.asarray(value)
    return value[..., None] if value.ndim <= len(shape) else value
