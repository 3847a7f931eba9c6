r"""Which Normal unknowns enter Normal equations linearly, and every cell through one cell alone?

Read off the expressions, whatever the data are. A mean is *affine* in a latent :math:`z` if it is
built from it by sums, products with what does not read it, re-labelled axes and look-ups
:math:`z_{g(i)}`; and it is *cellwise* if all its occurrences lie at the end of one and the same
path of look-ups, so that every cell of the equation reads one cell of :math:`z`. Switches, indices,
rounding, matrix products and everything else that is not on this list are refused, also where they
would do: a latent that is refused only stays an unknown of the Markov chain.

Latents that meet must do so in the same cell. Two that an equation reads at the end of one path
belong to one *level* and are integrated jointly, cell by cell. Where one is read plainly and the
other by a look-up (a pupil's ability, the effect of the school) the plain one is finer and goes
first: what its integral leaves reads the other by that look-up. Levels must be ordered without
contradiction, and latents that are connected may be looked up by one path only; those of two
crossed classifications, or of a value and the one before it, are not integrated together.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import equal_computations
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Add, Cast, Identity, Mul, Neg, Sub, TrueDiv
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.basic import LogNormalRV, NormalRV
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayescausal.inference.closed_forms.blocks import named_parents

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.graph.op import Op

    from bayescausal.model.structure.structure import Structure

__all__ = ["integrable_groups"]

#: Latents that are integrated jointly at most, and columns with empty cells. What is compiled grows
#: steeply with them, and a chain moves a few empty cells well.
MOST, MOST_EMPTY = 2, 1
#: What lies between a latent and an equation: each an operation and what it looks up by.
Path = tuple[tuple[Any, ...], ...]


class _RefusedError(Exception):
    """The latent does not enter so."""


def integrable_groups(
    structure: Structure, names: Sequence[str], empty: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """Return which Normal variables can be integrated out: groups, one after the other.

    `empty` are those of them that are columns with some empty cells.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0], "school": range(3)}) as model:
    ...     where = pm.Data("where", [0], dims="unit")
    ...     effect = pm.Normal("effect", dims="school")
    ...     u, v = pm.Normal("u", dims="unit"), pm.Normal("v", dims="unit")
    ...     x = pm.Normal("x", u + v + effect[where], dims="unit")
    ...     y = pm.Bernoulli("y", logit_p=v, dims="unit")
    >>> integrable_groups(structure_of(model, unit_dims="unit"), ["effect", "u", "v"])
    [('u',), ('effect',)]
    """
    held: list[str] = []
    # Effects before causes: of those that cannot go together, the effects go.
    for name in reversed(names):
        if any(structure.model[name].type.broadcastable):
            continue
        try:
            _groups(_equations(structure, [*held, name]), [*held, name], empty)
        except _RefusedError:
            continue
        held.append(name)
    if not held:
        return []
    order = {n: i for i, n in enumerate(names)}
    found = _groups(_equations(structure, held), held, empty)
    return [tuple(sorted(group, key=order.__getitem__)) for group in found]


# ------------------------------------------------------------------------------- private


def _equations(structure: Structure, names: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return, for every equation that reads some latents, the path to each."""
    model = structure.model
    holes = {model[n]: n for n in names}
    leaves = {*model.basic_RVs, *model.data_vars}
    for potential in model.potentials:
        if named_parents([potential], leaves) & set(holes):
            raise _RefusedError
    out: dict[str, dict[str, Path]] = {}
    for rv in model.basic_RVs:
        reads = named_parents(list(rv.owner.inputs), leaves) & set(holes)
        if rv in holes:
            out[rv.name] = {holes[rv]: ()}
        if not reads:
            continue
        if not isinstance(rv.owner.op, NormalRV | LogNormalRV):
            raise _RefusedError
        mean, spread = rv.owner.op.dist_params(rv.owner)
        others = [v for v in rv.owner.inputs if v is not mean]
        if named_parents([spread, *others], leaves) & set(holes):
            raise _RefusedError
        found = _paths(mean, holes, leaves, {})
        gap = rv.type.ndim - mean.type.ndim
        if gap or mean.type.broadcastable != rv.type.broadcastable:
            step = ("batch", gap, mean.type.broadcastable)
            found = {n: (*p, step) for n, p in found.items()}
        out[rv.name] = {**found, **out.get(rv.name, {})}
    return out


def _paths(
    var: Variable, holes: dict[Any, str], leaves: set[Any], known: dict[Variable, dict[str, Path]]
) -> dict[str, Path]:
    """Return the path from an expression to each latent that it is affine in."""
    if var in holes:
        return {holes[var]: ()}
    if var in leaves or var.owner is None:
        return {}
    if var in known:
        return known[var]
    node = var.owner
    parts = [_paths(v, holes, leaves, known) for v in node.inputs]
    if not any(parts):
        known[var] = {}
        return {}
    op = node.op
    kind = type(op.scalar_op) if isinstance(op, Elemwise) else None
    moving = [i for i, p in enumerate(parts) if p]
    found: dict[str, Path] = {}
    if kind in (Add, Sub, Neg, Identity) or (kind is Mul and len(moving) == 1):
        for part in (_spread(parts[i], node.inputs[i], var) for i in moving):
            for name, path in part.items():
                if name in found and not _same(found[name], path):
                    raise _RefusedError
                found[name] = path
    elif (kind is TrueDiv or _floats(op, var)) and moving == [0]:
        found = _spread(parts[0], node.inputs[0], var)
    elif isinstance(op, SpecifyShape | CheckAndRaise | ViewOp) and moving == [0]:
        found = parts[0]
    elif isinstance(op, DimShuffle) and not op.drop:
        step = ("axes", op.input_ndim, tuple(op.new_order))
        plain = tuple(op.new_order) == tuple(range(op.input_ndim))
        found = {n: p if plain else (*p, step) for n, p in parts[0].items()}
    elif isinstance(op, AdvancedSubtensor) and moving == [0]:
        where = getattr(op, "idx_list", None)
        found = {n: (*p, ("look up", where, *node.inputs[1:])) for n, p in parts[0].items()}
    else:
        raise _RefusedError
    known[var] = found
    return found


def _spread(found: dict[str, Path], one: Variable, many: Variable) -> dict[str, Path]:
    """Return paths on which axes of length one are repeated."""
    before, after = one.type.broadcastable, many.type.broadcastable
    if before == after:
        return found
    return {n: (*p, ("repeat", before, after)) for n, p in found.items()}


def _floats(op: Op, var: Variable) -> bool:
    """Whether an operation turns numbers into floating-point ones."""
    cast = isinstance(op, Elemwise) and isinstance(op.scalar_op, Cast)
    return cast and str(var.type.dtype).startswith("float")


def _same(one: Path, two: Path) -> bool:
    """Whether two paths lead to the same cell."""
    if len(one) != len(two):
        return False
    for a, b in zip(one, two, strict=True):
        if a[:2] != b[:2] or len(a) != len(b):
            return False
        if a[0] == "look up":
            if not equal_computations(list(a[2:]), list(b[2:])):
                return False
        elif a != b:
            return False
    return True


def _groups(
    equations: dict[str, dict[str, Path]], names: Sequence[str], empty: Collection[str]
) -> list[tuple[str, ...]]:
    """Return levels of latents, finer ones first; refuse where there is no such order."""
    level = {n: n for n in names}
    connected = {n: n for n in names}
    for reads in equations.values():
        first, *others = reads
        for other in others:
            _join(connected, first, other)
        for one, two in combinations(reads, 2):
            if _same(reads[one], reads[two]):
                _join(level, one, two)
    seen: dict[str, Path] = {}
    finer: dict[str, set[str]] = {level[n]: set() for n in names}
    for reads in equations.values():
        for name, path in reads.items():
            before = seen.setdefault(connected[name], path) if path else ()
            alone = list(connected.values()).count(connected[name]) == 1
            if path and not alone and not _same(before, path):
                raise _RefusedError
        for one, two in permutations(reads, 2):
            if not reads[one] and reads[two]:
                finer[level[two]].add(level[one])
    members = {root: tuple(n for n in names if level[n] == root) for root in finer}
    # One that only its own equation reads goes by itself: that integrates to one.
    leaves = {n for n in names if not any(n in r for f, r in equations.items() if f != n)}
    for group in members.values():
        joint = set(group) - leaves
        if len(joint) > (MOST_EMPTY if joint & set(empty) else MOST):
            raise _RefusedError
    try:
        return [members[root] for root in TopologicalSorter(finer).static_order()]
    except CycleError as error:
        raise _RefusedError from error


def _join(root: dict[str, str], one: str, two: str) -> None:
    """Put two names under one root."""
    old, new = root[two], root[one]
    for name, held in root.items():
        if held == old:
            root[name] = new
