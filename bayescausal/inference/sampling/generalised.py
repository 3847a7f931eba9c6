r"""Generalised linear equations with coefficients of their own, drawn without a compiler.

A block is one equation,

.. math:: g(E[y_i]) = o_i + x_i' c, \qquad c \sim N(m_0, P^{-1}),

with a Bernoulli or Binomial (logit, probit), Poisson, Negative Binomial or Gamma (log) outcome, the
latter two with one shape :math:`a` of any prior, or ordered categories (logit) with cutpoints of a
Normal prior (:mod:`.ordered`). That the predictor is affine in the coefficients
is proved on the expression; the columns of :math:`X` are read off by probing, whatever way they
were written (:mod:`..closed_forms.design`). The draws are made in :mod:`.about_mode`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from bayescausal.inference.closed_forms.affine import (
    Expressions,
    NotAffineError,
    degree,
    shapes_of,
    stripped,
)
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.design import SAME, are_close, basis_of, design_of
from bayescausal.inference.closed_forms.equation import logit_of, probit_of
from bayescausal.inference.closed_forms.linear_form import on_line, prior_rows
from bayescausal.inference.sampling.about_mode import Posterior, draw_about_mode
from bayescausal.inference.sampling.families import Equation
from bayescausal.inference.sampling.ordered import Gaps, binary_rows, cutpoints_of
from bayescausal.model.interventions.support import is_discrete

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.closed_forms.linear import LinearStatistics
    from bayescausal.model.structure.structure import Structure

__all__ = ["Form", "GeneralisedBlock", "form_of", "generalised_block"]

#: Coefficients, and numbers in the design.
MOST, CELLS = 120, 40_000_000


@dataclass(frozen=True, eq=False)
class Form:
    """A family, its linear predictor, its trials, its shape, and the power of that in the scale."""

    family: str
    predictor: Variable
    trials: Variable | None = None
    shape: Variable | None = None
    power: int = 0
    cutpoints: Variable | None = None  # of ordered categories


class GeneralisedBlock:
    """A block that is drawn by independence Metropolis-Hastings. Made by the function below.

    `names`, `columns`, `observed`, `method`: as of a
    :class:`~bayescausal.inference.closed_forms.linear.LinearBlock`.
    """

    method = "laplace (metropolis)"

    def __init__(
        self,
        name: str,
        form: Form,
        shapes: dict[str, tuple[int, ...]],
        call: Expressions,
        prior: LinearStatistics,
        log_prior: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        self.form, self.shapes, self.call = form, shapes, call
        self.prior, self.log_prior = prior, log_prior
        self.observed: tuple[str, ...] = (name,)
        own = () if form.shape is None else (str(form.shape.name),)
        self.names: tuple[str, ...] = (*shapes, *own)
        self.columns = tuple(dict.fromkeys([name, *(n for n in call.reads if n not in shapes)]))
        self.size = sum(int(np.prod(s)) for s in shapes.values())
        self.cuts: slice | None = None
        if form.cutpoints is not None:
            before = list(shapes)[: list(shapes).index(str(form.cutpoints.name))]
            start = sum(int(np.prod(shapes[n])) for n in before)
            self.cuts = slice(start, start + shapes[str(form.cutpoints.name)][0])

    def statistics(
        self, chunk: Mapping[str, np.ndarray], *, reference: np.ndarray | None = None
    ) -> Equation:
        """Return some rows: the predictor's offset and columns, and the outcome."""
        y = np.asarray(chunk[self.observed[0]], dtype=float)
        if y.size * self.size > CELLS:
            raise ArithmeticError("its design is large")

        def predictor(values: Mapping[str, Any]) -> np.ndarray:
            return self.call(values)[0]

        design = design_of(predictor, chunk, self.shapes, y.shape, dense=MOST)
        x = np.zeros((y.size, self.size))
        for place, block in design.dense:
            x[:, place] = block
        trials = np.ones(y.size)
        if self.form.trials is not None:
            zero = {n: np.zeros(s) for n, s in self.shapes.items()}
            trials = np.broadcast_to(self.call({**chunk, **zero})[1], y.shape).reshape(-1)
        rows = Equation(
            self.form.family, design.offset, x, y.reshape(-1), trials.astype(float),
            np.ones(y.size), self.form.power,
        )  # fmt: skip
        return rows if self.cuts is None else binary_rows(rows, self.cuts)

    def draw(self, rows: Equation, size: int, seed: Sequence[int]) -> dict[str, np.ndarray]:
        """Return draws of the unknowns; refused where no Gaussian is near to the posterior."""
        rng = np.random.default_rng(seed)
        rows, prior, basis = rows.merged(), self.prior, None
        gaps = None if self.cuts is None else Gaps.of(rows, self.cuts)
        if are_close(rows.x.T @ rows.x + prior.known_gram):
            if gaps is not None or prior.root is None:
                raise ArithmeticError(SAME)
            basis = basis_of([prior.root[:, :-1], rows.x])
            rows, prior = replace(rows, x=rows.x @ basis), prior.turned(basis)
        posterior = Posterior(rows, prior.known_gram, prior.known_moment, self.log_prior, gaps)
        points = draw_about_mode(posterior, size, rng)
        if basis is not None:
            points[:, : self.size] = points[:, : self.size] @ basis.T
        out: dict[str, np.ndarray] = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            out[name] = points[:, start:stop].reshape(size, *shape)
            start = stop
        if self.form.shape is not None:
            out[str(self.form.shape.name)] = np.exp(points[:, -1])
        return out


def generalised_block(
    structure: Structure, block: Block, columns: Collection[str]
) -> GeneralisedBlock | str:
    """Return the sampler of a block of one generalised linear equation, or why it is none."""
    if len(block.observed) != 1:
        return "it is not one equation"
    name = block.observed[0].name
    form = form_of(structure.variable(name)) or _ordered_form(structure.variable(name))
    if form is None:
        return f"{name!r} is no generalised linear equation"
    unknown = {n: structure.variable(n) for n in block.unknowns}
    leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
    own = None if form.shape is None else str(form.shape.name)
    if own is not None and unknown.get(own) is not form.shape:
        return f"the shape of {name!r} is not one unknown"
    coefficients = [n for n in block.unknowns if n != own]
    held = {unknown[n] for n in coefficients}
    given = leaves - held
    odd = [v for v in (form.shape, form.cutpoints) if v is not None]
    if (block.unknowns and not held) or {*odd} & named_parents([form.predictor], leaves):
        return f"{name!r} has no linear predictor"
    if degree(form.predictor, held, given) > 1:
        return f"the predictor of {name!r} is not affine in {', '.join(coefficients)}"
    if form.cutpoints is not None and form.cutpoints not in held:
        return f"the cutpoints of {name!r} are not one unknown"
    if form.trials is not None and named_parents([form.trials], leaves) & set(unknown.values()):
        return f"the trials of {name!r} are unknown"
    if {f.name for f in block.factors} - {name, *block.unknowns}:
        return "other factors read it"
    shapes = shapes_of(structure, coefficients)
    if sum(int(np.prod(s)) for s in shapes.values()) > MOST:
        return f"it has more than {MOST} coefficients"
    log_prior = None
    try:
        prior = prior_rows(structure, coefficients, shapes, given, leaves)
        if own is not None:
            if {p for f in block.factors if f.name == own for p in f.parents} & set(unknown):
                return f"the prior of {own!r} has unknown parameters"
            rv = unknown[own]
            if is_discrete(rv):
                return f"{own!r} takes whole numbers"
            log_prior = on_line(rv, lambda x: pm.logp(rv, x))
    except (NotAffineError, NotImplementedError, TypeError) as error:
        return str(error)
    outputs = [form.predictor, *([] if form.trials is None else [form.trials])]
    call = Expressions(structure, outputs, columns)
    return GeneralisedBlock(name, form, shapes, call, prior, log_prior)


# ----------------------------------------------------------------------- private


def form_of(rv: TensorVariable) -> Form | None:
    """Return the family and linear predictor of an observed variable."""
    kind = type(rv.owner.op).__name__
    if kind not in ("BernoulliRV", "BinomialRV", "PoissonRV", "NegBinomialRV", "GammaRV"):
        return None
    params = list(rv.owner.op.dist_params(rv.owner))
    if kind in ("BernoulliRV", "BinomialRV"):
        trials = params[0] if kind == "BinomialRV" else None
        for family, found in (("logistic", logit_of), ("probit", probit_of)):
            eta = found(params[-1])
            if eta is not None:
                return Form(family, eta, trials)
        return None
    if kind == "PoissonRV":
        logs = _logarithm(params[0])
        return None if logs is None or logs[1] else Form("poisson", logs[0])
    shape = stripped(params[0])
    if shape.type.ndim or shape.owner is None:
        return None
    if kind == "GammaRV":
        logs = _logarithm(params[1], shape)
        return None if logs is None else Form("gamma", logs[0], None, shape, logs[1])
    mean = _mean_of_odds(params[1], shape)
    logs = None if mean is None else _logarithm(mean)
    if logs is None or logs[1]:
        return None
    return Form("negative binomial", logs[0], None, shape)


def _ordered_form(rv: TensorVariable) -> Form | None:
    """Return the predictor and cutpoints of ordered categories with a logistic law."""
    found = cutpoints_of(rv)
    return None if found is None else Form("ordered logistic", found[0], cutpoints=found[1])


def _logarithm(v: Variable, shape: Variable | None = None) -> tuple[Variable, int] | None:
    """Return the logarithm of a product of exponentials, and the power of the shape in it."""
    if shape is not None and stripped(v) is shape:
        return pt.constant(0.0), 1
    if isinstance(v, Constant):
        return (pt.log(v), 0) if np.all(v.data > 0) else None
    node = v.owner
    if node is None:
        return None
    if isinstance(node.op, DimShuffle):
        inner = _logarithm(node.inputs[0], shape)
        if inner is None or not inner[0].type.ndim:
            return inner
        same = inner[0].type.ndim == node.inputs[0].type.ndim
        return (node.op(inner[0]), inner[1]) if same else None
    if not isinstance(node.op, Elemwise):
        return None
    op = node.op.scalar_op
    if isinstance(op, ps.Exp):
        return node.inputs[0], 0
    if isinstance(op, ps.Mul | ps.TrueDiv | ps.Reciprocal | ps.Identity):
        found = [_logarithm(u, shape) for u in node.inputs]
        parts = [f for f in found if f is not None]
        if len(parts) < len(found):
            return None
        signs = [1] * len(parts)
        if isinstance(op, ps.TrueDiv | ps.Reciprocal):
            signs[-1] = -1
        total: Any = 0.0
        for (log, _), sign in zip(parts, signs, strict=True):
            total = total + sign * log
        return total, sum(s * p for (_, p), s in zip(parts, signs, strict=True))
    return None


def _mean_of_odds(p: Variable, shape: Variable) -> Variable | None:
    """Return the mean of a Negative Binomial, of which p has the log odds log(shape / mean)."""
    odds = logit_of(p)
    if odds is None or not _is(odds, ps.Sub):
        return None
    above, below = stripped(odds.owner.inputs[0]), odds.owner.inputs[1]
    if not _is(above, ps.Log) or not _is(below, ps.Log):
        return None
    return below.owner.inputs[0] if stripped(above.owner.inputs[0]) is shape else None


def _is(v: Variable, kind: type[ps.ScalarOp]) -> bool:
    """Whether a variable is made by one operation, element by element."""
    op = None if v.owner is None else v.owner.op
    return isinstance(op, Elemwise) and isinstance(op.scalar_op, kind)
