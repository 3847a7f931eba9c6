"""Which blocks are linear-Gaussian, told from their expressions (see :mod:`.linear`).

The means of the observed equations have to be affine in the coefficients, the noise a function of
at most one scalar unknown, and the coefficients' own laws Normal with known spread and affine
means. Those laws enter as rows whose noise is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.basic import equal_computations
from pytensor.graph.replace import clone_replace, vectorize_graph
from pytensor.graph.traversal import ancestors
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayescausal.inference.closed_forms.affine import (
    Expressions,
    NotAffineError,
    degree,
    factored,
    shapes_of,
    widened,
)
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.design import design_of
from bayescausal.inference.closed_forms.linear import LinearBlock, LinearEquation, LinearStatistics
from bayescausal.inference.closed_forms.one_dimension import Line
from bayescausal.model.interventions.support import is_data, support_of
from bayescausal.model.structure.function_graph import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.closed_forms.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["linear_block", "on_line", "prior_rows"]

#: Coefficients of a block: their number enters cubed.
MOST = 1_500


def linear_block(
    structure: Structure,
    block: Block,
    columns: Collection[str],
    *,
    flat: frozenset[str] = frozenset(),
) -> LinearBlock | str:
    """Return a block's exact sampler, or why it is not linear-Gaussian.

    `flat` are coefficients whose own laws are left to the caller.
    """
    unknown = {n: structure.variable(n) for n in block.unknowns}
    leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
    means, spreads, families = {}, {}, {}
    for each in block.observed:
        rv = structure.variable(each.name)
        family = type(rv.owner.op).__name__
        if family not in ("NormalRV", "LogNormalRV"):
            return f"{each.name!r} is not Normal"
        means[each.name], spreads[each.name] = rv.owner.op.dist_params(rv.owner)
        families[each.name] = family
    if not means:
        return "no equation reads it"
    scalars = {
        v.name for s in spreads.values() for v in named_parents([s], leaves) if v.name in unknown
    }
    if len(scalars) > 1:
        return f"the noise depends on {len(scalars)} unknowns"
    scalar = next(iter(scalars), None)
    coefficients = [n for n in block.unknowns if n != scalar]
    given = leaves - (held := {unknown[n] for n in coefficients})
    for name, mean in means.items():
        if scalar is not None and unknown[scalar] in named_parents([mean], leaves):
            return f"{scalar!r} is in the mean and in the noise"
        if degree(mean, held, given) > 1:
            return f"the mean of {name!r} is not affine in {', '.join(coefficients)}"
    noise = _shared_noise(block, unknown, scalar, spreads, leaves)
    if isinstance(noise, str):
        return noise
    spread, factors = noise
    shapes = shapes_of(structure, coefficients)
    if sum(int(np.prod(s)) for s in shapes.values()) > MOST:
        return f"it has more than {MOST} coefficients"
    try:
        prior = prior_rows(structure, coefficients, shapes, given, leaves, flat)
    except NotAffineError as error:
        return str(error)
    equations = []
    for name, mean in means.items():
        known = scalar is None or not _reads(spreads[name], unknown[scalar], leaves)
        factor = spreads[name] if known else factors[name]
        outputs = [v for v in (mean, factor) if v is not None]
        equations.append(
            LinearEquation(
                name,
                Expressions(structure, outputs, columns),
                known,
                factor is not None,
                families[name] == "LogNormalRV",
                tuple(structure.dims[name]),
            )
        )
    if scalar is None:
        return LinearBlock(shapes, equations, prior, None, None, None, None)
    rv = unknown[scalar]
    support = support_of(rv)
    line = Line(float(np.min(support.lower)), float(np.max(support.upper)))
    try:
        log_prior = on_line(rv, lambda x: pm.logp(rv, x))
    except (NotAffineError, NotImplementedError, TypeError) as error:
        return f"the density of {scalar!r} is not known: {error}"
    assert spread is not None
    of_s = on_line(rv, lambda x: clone_replace([spread], {rv: x}, rebuild_strict=False)[0])
    return LinearBlock(shapes, equations, prior, scalar, of_s, log_prior, line)


def _shared_noise(
    block: Block,
    unknown: Mapping[str, TensorVariable],
    scalar: str | None,
    spreads: Mapping[str, TensorVariable],
    leaves: set[Any],
) -> tuple[TensorVariable | None, dict[str, TensorVariable | None]] | str:
    """Return the one noise of all equations that read the scalar, and its factors by equation.

    Or why there is none; nothing where nothing of the noise is unknown.
    """
    if scalar is None:
        return None, {}
    rv = unknown[scalar]
    if rv.type.ndim or _is_discrete(rv):
        return f"{scalar!r} is not one continuous number"
    noisy, factors = [], {}
    for name, own in spreads.items():
        if not _reads(own, rv, leaves):
            continue
        parts = factored(own, {rv}, leaves - {rv})
        if parts is None or named_parents([parts[0]], leaves) != {rv}:
            return "the noise is not one number for all units, nor one times known numbers"
        if parts[1] is not None and named_parents([parts[1]], leaves) & set(unknown.values()):
            return "the noise depends on several unknowns"
        noisy.append(parts[0])
        factors[name] = parts[1]
    if not all(equal_computations([noisy[0]], [s]) for s in noisy[1:]):
        return "the noise differs between equations"
    if {p for f in block.factors if f.name == scalar for p in f.parents} & set(unknown):
        return f"the prior of {scalar!r} has unknown parameters"
    return noisy[0], factors


def _reads(expression: TensorVariable, rv: TensorVariable, leaves: set[Any]) -> bool:
    return rv in named_parents([expression], leaves)


def _is_discrete(rv: TensorVariable) -> bool:
    return not str(rv.type.dtype).startswith("float")


def on_line(
    rv: TensorVariable, expression: Callable[[TensorVariable], TensorVariable]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of one number, evaluated at many."""
    held = [v for v in ancestors([pt.as_tensor(expression(rv))]) if is_data(v)]
    if held:
        raise NotAffineError(f"the prior of {rv.name!r} reads the data {held[0].name!r}")
    point = pt.scalar("point", dtype=rv.type.dtype)
    many = pt.vector("points", dtype=rv.type.dtype)
    [batched] = vectorize_graph([pt.as_tensor(expression(point))], {point: many})
    call = pytensor.function([many], batched, mode=PY_MODE, on_unused_input="ignore")

    def at(points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, dtype=rv.type.dtype)
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(call(points)), points.shape)

    return at


def prior_rows(
    structure: Structure,
    coefficients: list[str],
    shapes: dict[str, tuple[int, ...]],
    given: set[Any],
    leaves: set[Any],
    flat: frozenset[str] = frozenset(),
) -> LinearStatistics:
    """Return the coefficients' own laws as rows whose noise is known, about zero."""
    size = sum(int(np.prod(s)) for s in shapes.values())
    held = {structure.variable(n) for n in coefficients}
    roots, start = [np.zeros((0, size + 1))], 0
    for name in coefficients:
        rv = structure.variable(name)
        stop = start + int(np.prod(shapes[name]))
        place, start = slice(start, stop), stop
        family = type(rv.owner.op).__name__
        if family == "FlatRV" or name in flat:
            continue
        params = list(rv.owner.op.dist_params(rv.owner)) if family in _GAUSSIAN else []
        if not params:
            raise NotAffineError(f"the prior of {name!r} is not Normal")
        mean, spread = params[0], params[1]
        if named_parents([spread], leaves) & held:
            raise NotAffineError(f"the prior sd of {name!r} is unknown")
        if named_parents([mean, spread], leaves) - held:
            raise NotAffineError(f"the prior of {name!r} depends on other unknowns or on data")
        if degree(mean, held, given) > 1:
            raise NotAffineError(f"the prior mean of {name!r} is not affine")
        call = Expressions(structure, [mean, spread], ())
        zero = {n: np.zeros(s) for n, s in shapes.items()}
        width = call(zero)[1]

        def at(values: Mapping[str, Any], call: Expressions = call) -> np.ndarray:
            return call(values)[0]

        design = design_of(at, {}, shapes, shapes[name])
        rows = np.zeros((stop - place.start, size))
        rows[:, place] = np.eye(stop - place.start)
        rows -= _dense(design, size)
        both = np.column_stack((rows, design.offset))
        roots.append(_whitened(family, width, shapes[name], both))
    root = np.concatenate(roots)
    rows, right = root[:, :-1], root[:, -1]
    known = rows.T @ rows, rows.T @ right, float(right @ right)
    empty = np.zeros((size, size)), np.zeros(size), 0.0
    return LinearStatistics(np.zeros(size), 0.0, *empty, *known, root)


_GAUSSIAN = ("NormalRV", "MvNormalRV", "MultivariateNormalRV")


def _whitened(
    family: str, width: np.ndarray, shape: tuple[int, ...], rows: np.ndarray
) -> np.ndarray:
    """Return rows divided by their noise."""
    if family == "NormalRV":
        sigma = widened(np.broadcast_to(width, shape).reshape(-1))
        if not np.all(sigma > 0):
            raise NotAffineError("a prior sd is not positive")
        return np.asarray(rows / sigma[:, None])
    if len(shape) != 1 or width.ndim != 2:
        raise NotAffineError("several vectors share one prior covariance")
    try:
        return np.asarray(solve_triangular(cholesky(width, lower=True), rows, lower=True))
    except LinAlgError:
        raise NotAffineError("a prior covariance is not positive definite") from None


def _dense(design: Design, size: int) -> np.ndarray:
    out = np.zeros((len(design.offset), size))
    for place, block in design.dense:
        out[:, place] += block
    for place, index, weight in design.scattered:
        out[np.arange(len(index)), place.start + index] += weight
    return out
