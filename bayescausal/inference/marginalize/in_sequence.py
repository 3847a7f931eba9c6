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
from pytensor.graph.replace import clone_replace, vectorize_graph
from pytensor.tensor.random.basic import NormalRV

from bayescausal.inference.closed_forms.affine import stripped
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.data.conform import Conformed
from bayescausal.inference.marginalize.latent_terms import NotLinearError, Reader, times
from bayescausal.model.noise.ops import double
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from pytensor.compile.function.types import Function
    from pytensor.graph.basic import Variable

    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "HELD",
    "InSequence",
    "in_sequence",
    "postponed",
    "postponed_draws",
    "refuse_postponed",
]

#: Numbers that are held at a time while a latent is drawn back, and draws of it that a fit keeps.
NUMBERS, HELD = 4_000_000, 100_000_000


@dataclass(frozen=True, eq=False)
class InSequence:
    """A model without a latent that its effects share, and the way back to it."""

    name: str  # the latent
    structure: Structure  # of the model without it
    given: Structure  # of the model with it
    # mean, variance: of the latent given its effects, as expressions of the model with it.
    mean: Variable
    variance: Variable
    seen: frozenset[str]  # columns that are data
    # Functions that were compiled.
    made: dict[tuple[str, ...], tuple[tuple[str, ...], Function]] = field(default_factory=dict)

    def conformed(self, conformed: Conformed) -> Conformed:
        """Return the data for the model without the latent."""
        latent = tuple(n for n in conformed.latent if n != self.name)
        return replace(conformed, latent=latent)

    def shape(self, columns: Mapping[str, np.ndarray]) -> tuple[int, ...]:
        """Return the shape of the latent: that of its effects."""
        return np.shape(columns[next(n for n in self.given.graph.successors(self.name))])

    def rows(
        self, posterior: xr.Dataset, columns: Mapping[str, np.ndarray], seed: int, which: slice
    ) -> np.ndarray:
        """Draw the latent of some draws, counted chain after chain: each has noise of its own."""
        numbers = range(posterior.sizes["chain"] * posterior.sizes["draw"])[which]
        names, call = self._call(tuple(str(n) for n in posterior.data_vars))
        values = []
        for name in names:
            found = columns.get(name)
            if name in posterior:
                array = posterior[name].transpose("chain", "draw", ...).values
                found = array.reshape(-1, *array.shape[2:])[which]
            values.append(found)
        mean, spread = call(*values)
        shape = self.shape(columns)
        noise = np.stack([np.random.default_rng([seed, 3, k]).standard_normal(shape)
                          for k in numbers])  # fmt: skip
        return _aligned(mean, shape) + _aligned(spread, shape) * noise

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
        shape = self.shape(columns)
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
        except NotLinearError:
            continue
        plan = make_plan(found.structure, columns, set(conformed.missing))
        if set(effects) <= {n for s in plan.samplers for n in s.observed}:
            return found
    return None


def postponed(draws: xr.DataTree) -> tuple[str, ...]:
    """Return the latents whose draws a fit makes when they are asked for."""
    name = draws["posterior"].attrs.get("postponed")
    return () if name is None else (str(name),)


def refuse_postponed(draws: xr.DataTree, names: Sequence[str]) -> None:
    """Refuse a table of latents whose draws are made when they are asked for."""
    for name in postponed(draws):
        if name in names:
            raise DataError(
                f"{name!r} has a value for each unit, drawn when it is asked for.",
                expected="parameters.",
                remedy=f"fit.value({name!r}) returns its draws.",
            )


def postponed_draws(fit: Fit, name: str, which: slice) -> np.ndarray:
    """Return some draws of a latent that a fit does not keep: the same whenever they are asked."""
    kept = fit.__dict__.setdefault("_postponed", {})
    if "sequence" not in kept:
        parts = {n: getattr(fit, n) for n in ("columns", "missing", "coords", "labels")}
        sizes = dict(fit.sizes or {})
        conformed = Conformed(**parts, sizes=sizes, latent=(name,), notes=())
        kept["sequence"] = in_sequence(fit.structure, conformed)
    key = (which.start, which.stop, which.step)
    if kept.get("key") != key:  # every world asks for the same block
        found = kept["sequence"]
        kept["block"], kept["key"] = found.rows(fit.posterior, fit.columns, fit.seed, which), key
    block: np.ndarray = kept["block"]
    return block


# ------------------------------------------------------------------------------- private


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
    reader = Reader(model[name], leaves, {model[n]: v for n, v in held.items()})
    pairs = [(model[n], model[n]) for n in effects]
    _, mean, variance = _sequence(reader, model[name], pairs)
    fgraph, memo, initvals = open_model(model)
    hole = memo[model[name]]
    marked = [memo[model[n]] for n in effects]
    given = {memo[model[n]]: v for n, v in held.items()}
    reader = Reader(hole, {memo[v] for v in leaves}, given)
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
    reader: Reader, latent: Variable, effects: Sequence[tuple[Variable, Variable]]
) -> tuple[list[tuple[Variable, Variable]], Variable, Variable]:
    """Return mean and spread of each effect given those before it, and what is left of the latent.

    ``effects``: the variable as others read it, and the random variable that it is.
    """
    centre, spread = latent.owner.op.dist_params(latent.owner)
    centre, variance = stripped(centre), double(stripped(spread)) ** 2
    parameters = []
    known: list[tuple[Any, Any, Any]] = []  # numbers, factors of rows, residuals
    for value, rv in effects:
        mu, sigma = rv.owner.op.dist_params(rv.owner)
        if reader.reads(sigma):
            raise NotLinearError
        rest, slope = reader.parts(mu)
        if slope is None:
            raise NotLinearError
        sigma, slope, factor = reader.apart(stripped(sigma), slope)
        parts = [times(factor, slope * centre)]
        parts += [(slope * g) * times(factor, times(f, r)) for g, f, r in known]
        expected = sum(parts, pt.constant(0.0) if rest is None else rest)
        sigma = double(sigma)
        total = sigma**2 + slope**2 * variance
        parameters.append((expected, times(factor, pt.sqrt(total))))
        inverse = None if factor is None else 1.0 / factor
        known.append((variance * slope / total, inverse, value - expected))
        variance = variance * sigma**2 / total
    return parameters, sum((g * times(f, r) for g, f, r in known), centre), variance


def _aligned(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return draws of numbers, or of one number for all units, with an axis of units."""
    value = np.asarray(value)
    return value[..., None] if value.ndim <= len(shape) else value
