r"""One grouping among the coefficients: its effects are eliminated by classes, not one by one.

Where the effects :math:`u_j` of one grouping (units of a panel) are centred, :math:`u_j \sim N(0,
1/w)`, and every row reads one of them, the precision of all coefficients is

.. math::

   \begin{pmatrix} a\,\mathrm{diag}(n_j) + w I & a\,G_{ub} \\ a\,G_{bu} & a\,G_{bb} + P
   \end{pmatrix}, \qquad a = 1/\sigma^2 ,

with the other coefficients :math:`b` of fixed prior precision :math:`P`. Groups of equal size
:math:`n` enter the integral over :math:`u` through the sums :math:`B_n = \sum_j g_j g_j'` of their
rows :math:`g_j` of :math:`G_{ub}` alone,

.. math:: S = a\,G_{bb} + P - \sum_n \frac{a^2}{a n + w} B_n ,

so that a point of the density costs the cube of the number of :math:`b`, whatever the number of
groups [1]_. In a balanced panel there is one size. The integral is a function of two numbers,
:math:`a` and :math:`w`, and smooth: over many points it is a polynomial
(:mod:`~bayescausal.inference.conditioning.smooth`).

It takes blocks of this form; of others nothing is lost, they go the general way.

References
----------
.. [1] D. Bates, M. Maechler, B. Bolker and S. Walker, Fitting linear mixed-effects models using
   lme4, *Journal of Statistical Software* 67(1), 2015, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, diags_array

from bayescausal.inference.conditioning.smooth import Smooth
from bayescausal.inference.hierarchies.parts import NORMAL

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.affine_map import AffineMap
    from bayescausal.inference.hierarchies.parts import Hierarchy
    from bayescausal.inference.hierarchies.scale_map import ScaleMap, Scales

__all__ = ["GroupedPosterior", "grouped"]

#: Groups from which it pays, sizes of groups, and other coefficients, up to which it does.
LEAST, SIZES, REST = 50, 100, 600
#: Other coefficients from which the integral over them is worth a polynomial.
WORTH = 20
#: Numbers that are held at a time.
NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class _Groups:
    """Sums over the groups of one size."""

    size: float
    count: int
    outer: Array
    moment: Array
    offset: Array
    squares: tuple[float, float, float]


def grouped(
    hierarchy: Hierarchy, made: ScaleMap, affine: AffineMap, sums: list[Any]
) -> GroupedPosterior | None:
    """Return the posterior of a block with one grouping; None where it has another form."""
    if len(sums) != 1 or any(p.family != NORMAL for p in hierarchy.priors):
        return None
    starts = made.starts[:: max(1, len(made.starts) // 12)]
    jacobian, shift = affine(made, starts)
    scales = made.scales(starts)
    if scales.sigmas[0] is None or np.ptp(jacobian, axis=0).any() or np.ptp(shift, axis=0).any():
        return None
    names = list(hierarchy.shapes)
    sizes = [int(np.prod(s)) for s in hierarchy.shapes.values()]
    which = int(np.argmax(sizes))
    if sizes[which] < LEAST or sum(sizes) - sizes[which] > REST:
        return None
    if not hierarchy.priors[which].shared:
        return None
    fixed = []
    for k, spread in enumerate(scales.spreads):
        if k == which:
            continue
        if spread is None or np.ptp(spread, axis=0).any():
            return None
        fixed.append(np.broadcast_to(spread[0], hierarchy.shapes[names[k]]).reshape(-1))
    first = sum(sizes[:which])
    inside = np.arange(first, first + sizes[which])
    matrix = csr_array((jacobian[0], affine.pattern.indices, affine.pattern.indptr))
    matrix.resize(affine.pattern.shape)
    return _assembled(hierarchy, made, affine, sums[0], (matrix, shift[0]), (which, inside, fixed))


def _assembled(
    hierarchy: Hierarchy,
    made: ScaleMap,
    affine: AffineMap,
    sums: Any,
    rows: tuple[csr_array, Array],
    parts: tuple[int, Array, list[Array]],
) -> GroupedPosterior | None:
    """Return the posterior, if its matrices have the form."""
    (matrix, shift), (which, inside, fixed) = rows, parts
    upper = csr_array(matrix[: affine.effective])
    upper.eliminate_zeros()
    if np.diff(upper.indptr).max(initial=0) > 1:
        return None
    # the coefficients at which the effective ones are near the reference
    ends = np.asarray(upper.T @ (sums.reference - shift[: affine.effective]))
    norm = np.asarray((upper.multiply(upper)).sum(axis=0)).reshape(-1)
    centre = np.where(norm > 0, ends / np.where(norm > 0, norm, 1.0), 0.0)
    about = sums.about(upper @ centre + shift[: affine.effective])
    gram = csr_array(upper.T @ about.gram @ upper)
    moment = np.asarray(upper.T @ about.moment)
    rest = np.setdiff1d(np.arange(matrix.shape[1]), inside)
    own = csr_array(gram[inside][:, inside])
    n = own.diagonal()
    if abs(own - diags_array(n)).max() > 0:
        return None
    lower = csr_array(matrix[affine.effective :])
    lower.eliminate_zeros()
    offset = shift[affine.effective :] + lower @ centre
    mine = lower[inside]
    if mine.nnz != len(inside) or csr_array(lower[:, inside]).nnz != len(inside):
        return None
    if not np.all(mine[:, inside].diagonal() == 1.0):
        return None
    values, codes = np.unique(np.round(n, 9), return_inverse=True)
    if len(values) > SIZES:
        return None
    across = csr_array(gram[inside][:, rest])
    classes = []
    for c, size in enumerate(values):
        who = codes == c
        g, m, o = csr_array(across[who]), moment[inside][who], offset[inside][who]
        squares = float(m @ m), float(m @ o), float(o @ o)
        outer = np.asarray((g.T @ g).todense())
        classes.append(_Groups(float(size), int(who.sum()), outer, g.T @ m, g.T @ o, squares))
    prior = np.asarray(lower[rest][:, rest].todense())
    weight = 1.0 / np.concatenate([np.zeros(0), *fixed]) ** 2
    ahead = offset[rest]
    return GroupedPosterior(
        hierarchy,
        made,
        which,
        (inside, rest, centre, n, moment, offset, across),
        classes,
        np.asarray(gram[rest][:, rest].todense()),
        prior.T @ (weight[:, None] * prior),
        prior.T @ (weight * ahead),
        float(weight @ ahead**2),
        about.count,
        about.square,
    )


class GroupedPosterior:
    """The density of the scales, and the coefficients given them. Made by :func:`grouped`."""

    def __init__(
        self,
        hierarchy: Hierarchy,
        made: ScaleMap,
        which: int,
        parts: tuple[Array, Array, Array, Array, Array, Array, csr_array],
        classes: list[_Groups],
        gram: Array,
        prior: Array,
        pull: Array,
        constant: float,
        count: float,
        square: float,
    ) -> None:
        self.hierarchy, self.map, self.which = hierarchy, made, which
        self.inside, self.rest, self.centre, self.n, self.moment, self.offset, self.across = parts
        self.classes, self.gram, self.prior, self.pull = classes, gram, prior, pull
        self.constant, self.count, self.square = constant, count, square
        # what the precisions of the rest are sums of, a matrix a row
        self.parts = np.stack([gram, prior, *(c.outer for c in classes)]).reshape(
            2 + len(classes), -1
        )
        self._smooth_part = Smooth(self._integral, worth=len(self.rest) >= WORTH)

    def _scales(self, points: Array) -> tuple[Scales, Array, Array]:
        """Return the scales, the precision of the noise, and that of the groups."""
        scales = self.map.scales(points)
        sigma, spread = scales.sigmas[0], scales.spreads[self.which]
        assert sigma is not None
        assert spread is not None
        with np.errstate(all="ignore"):
            return scales, 1.0 / sigma**2, 1.0 / np.reshape(spread, (len(points), -1))[:, 0] ** 2

    def _factored(self, a: Array, w: Array) -> tuple[Array, Array, Array]:
        """Return factors of the precisions S of the rest, the pushes, and which S have one."""
        push = a[:, None] * self.moment[self.rest] - self.pull
        shares = [a, np.ones(len(a))]
        for c in self.classes:
            total = a * c.size + w
            shares.append(-(a**2) / total)
            step = (a**2)[:, None] * c.moment - (a * w)[:, None] * c.offset
            push -= step / total[:, None]
        precision = np.stack(shares, axis=1) @ self.parts
        lower, fine = _factors(precision.reshape(len(a), *self.gram.shape))
        return lower, push, fine

    def _chunks(self, points: Array) -> list[Array]:
        step = max(1, NUMBERS // max(len(self.rest) ** 2, 1))
        return [points[i : i + step] for i in range(0, len(points), step)]

    def _integral(self, logs: Array) -> Array:
        """Return what the integral over the rest adds at (log a, log w)."""
        out = []
        for part in self._chunks(logs):
            lower, push, fine = self._factored(*np.exp(part.T))
            half = np.zeros_like(push)
            half[fine] = _half(lower[fine], push[fine])
            volume = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
            out.append(np.where(fine, 0.5 * (half**2).sum(axis=1) - volume, -np.inf))
        return np.concatenate(out)

    def log_density(self, points: Array) -> Array:
        """Return the log-density of unconstrained scales."""
        scales, a, w = self._scales(points)
        out = np.full(len(points), -np.inf)
        good = np.isfinite(scales.log_prior) & np.isfinite(a) & np.isfinite(w) & (a > 0) & (w > 0)
        a, w = a[good], w[good]
        if not len(a):
            return out
        height = scales.log_prior[good] + 0.5 * self.count * np.log(a)
        height = height + 0.5 * len(self.inside) * np.log(w)
        form = a * self.square + self.constant
        for c in self.classes:
            total, (mm, mo, oo) = a * c.size + w, c.squares
            height = height - 0.5 * c.count * np.log(total)
            form = form - (a**2 * mm - 2 * a * w * mo) / total + w * oo * (a * c.size / total)
        out[good] = height - 0.5 * form + self._smooth_part(np.log(np.stack([a, w], axis=1)))
        return out

    def draw(self, points: Array, rng: np.random.Generator) -> dict[str, Array]:
        """Return the unknowns, the coefficients drawn given the scales."""
        size = len(self.inside) + len(self.rest)
        flat = np.empty((len(points), size))
        start = 0
        for part in self._chunks(points):
            _, a, w = self._scales(part)
            lower, push, fine = self._factored(a, w)
            if not fine.all():
                raise ArithmeticError("the coefficients are not determined")
            half = _half(lower, push) + rng.standard_normal(push.shape)
            moved = _back(lower, half)
            total = a[:, None] * self.n + w[:, None]
            own = a[:, None] * (self.moment[self.inside] - (self.across @ moved.T).T)
            own = own - w[:, None] * self.offset[self.inside]
            rows = slice(start, start + len(part))
            flat[rows, self.rest] = moved
            noise = rng.standard_normal(own.shape)
            flat[rows, self.inside] = own / total + noise / np.sqrt(total)
            start += len(part)
        flat += self.centre
        out, start = {}, 0
        for name, shape in self.hierarchy.shapes.items():
            stop = start + int(np.prod(shape))
            out[name] = flat[:, start:stop].reshape(len(points), *shape)
            start = stop
        return out | self.map.values(points)


def _factors(precision: Array) -> tuple[Array, Array]:
    """Return Cholesky factors, and which matrices have one."""
    try:
        return np.linalg.cholesky(precision), np.ones(len(precision), dtype=bool)
    except np.linalg.LinAlgError:
        pass
    out = np.broadcast_to(np.eye(precision.shape[1]), precision.shape).copy()
    fine = np.zeros(len(precision), dtype=bool)
    for k, matrix in enumerate(precision):
        try:
            out[k], fine[k] = np.linalg.cholesky(matrix), True
        except np.linalg.LinAlgError:
            continue
    return out, fine


def _half(lower: Array, push: Array) -> Array:
    """Return ``L^-1 push`` of each, column after column for all at once."""
    out = np.empty_like(push)
    for j in range(push.shape[1]):
        known = np.einsum("nk,nk->n", lower[:, j, :j], out[:, :j])
        out[:, j] = (push[:, j] - known) / lower[:, j, j]
    return out


def _back(lower: Array, half: Array) -> Array:
    """Return ``L'^-1 half`` of each."""
    out = np.empty_like(half)
    for j in reversed(range(half.shape[1])):
        known = np.einsum("nk,nk->n", lower[:, j + 1 :, j], out[:, j + 1 :])
        out[:, j] = (half[:, j] - known) / lower[:, j, j]
    return out
