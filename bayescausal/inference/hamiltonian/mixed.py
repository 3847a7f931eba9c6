r"""Generalised linear equations with group effects, curves and shrinkage, drawn without a compiler.

A block is one equation,

.. math::

   g(E[y_i]) = o_i + x_i' e(c, h), \qquad e(c, h) = e_0(h) + E(h)\, c, \qquad
   c_j \sim N(m_j(c, h), s_j(h)),

with an outcome of :mod:`.families`. The coefficients :math:`c` and the few other unknowns :math:`h`
(scales, correlations, a shape) are recognised as those of Normal equations are
(:mod:`..hierarchies.hierarchy`), centred or not, correlated or not. The draws are made in
:mod:`.split_hamiltonian`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from bayescausal.inference.closed_forms.affine import Expressions, NotAffineError
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.design import design_of
from bayescausal.inference.hamiltonian.split_hamiltonian import Rows, draw_about_gaussian
from bayescausal.inference.hierarchies.coefficients import DENSE
from bayescausal.inference.hierarchies.hierarchy import FEW_SCALES, Reading, read_hierarchy
from bayescausal.inference.sampling.families import Equation
from bayescausal.inference.sampling.generalised import form_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.hierarchies.parts import Hierarchy
    from bayescausal.inference.sampling.generalised import Form
    from bayescausal.model.structure.structure import Structure

__all__ = ["MixedBlock", "mixed_block"]


class MixedBlock:
    """A block that is drawn by split Hamiltonian Monte Carlo. Made by the function below.

    `names`, `columns`, `observed`, `method`: as of a
    :class:`~bayescausal.inference.hierarchies.coefficients.CoefficientBlock`.
    """

    method = "hamiltonian (about a Gaussian)"

    def __init__(self, hierarchy: Hierarchy, form: Form, trials: Expressions | None) -> None:
        self.hierarchy, self.form, self.trials = hierarchy, form, trials
        [self.equation] = hierarchy.equations
        self.names: tuple[str, ...] = (*hierarchy.shapes, *hierarchy.others)
        self.observed: tuple[str, ...] = (self.equation.name,)
        more = () if trials is None else trials.reads
        reads = (self.equation.name, *self.equation.reads, *more, *hierarchy.given)
        self.columns: tuple[str, ...] = tuple(dict.fromkeys(reads))

    def statistics(self, chunk: Mapping[str, Array], *, reference: object = None) -> Rows:
        """Return some rows, and the columns of groups that the priors read."""
        y = np.asarray(chunk[self.equation.name], dtype=float)
        design = design_of(
            lambda v: self.equation.mean(v)[0], chunk, self.equation.shapes, y.shape, dense=DENSE
        )
        offset, x = design.sparse(self.equation.size)
        trials = np.ones(y.size)
        if self.trials is not None:
            trials = np.broadcast_to(self.trials(chunk)[0], y.shape).reshape(-1).astype(float)
        rows = Equation(
            self.form.family, offset, x, y.reshape(-1), trials, np.ones(y.size), self.form.power
        )
        return Rows(rows, {n: np.asarray(chunk[n]) for n in self.hierarchy.given})

    def draw(self, statistics: Rows, size: int, seed: Sequence[int]) -> dict[str, Array]:
        """Return draws of the unknowns; refused where their chains do not mix."""
        rng = np.random.default_rng(seed)
        return draw_about_gaussian(self.hierarchy, statistics, size, rng)


def mixed_block(structure: Structure, block: Block, columns: Collection[str]) -> MixedBlock | str:
    """Return the sampler of a block of one equation with coefficients and scales, or why not."""
    work = _Predictor(structure, block, columns)
    try:
        hierarchy, _ = read_hierarchy(work, structure, block, FEW_SCALES)
    except NotAffineError as error:
        return str(error)
    trials = work.form.trials
    if trials is None:
        return MixedBlock(hierarchy, work.form, None)
    return MixedBlock(hierarchy, work.form, Expressions(structure, [trials], columns))


class _Predictor(Reading):
    """What the factors of a block read, of which the equation has a linear predictor."""

    form: Form

    def check(self) -> None:
        """Read the equation; refuse where it is no generalised linear one."""
        if len(self.block.observed) != 1:
            raise NotAffineError("it is not one equation")
        name = self.block.observed[0].name
        form = form_of(self.structure.variable(name))
        if form is None:
            raise NotAffineError(f"{name!r} is no generalised linear equation")
        free = set(self.rv.values())
        if form.trials is not None and named_parents([form.trials], self.leaves) & free:
            raise NotAffineError(f"the trials of {name!r} are unknown")
        if {f.name for f in self.block.factors} - {name, *self.block.unknowns}:
            raise NotAffineError("other factors read it")
        self.form = form
        shape = pt.as_tensor(1.0 if form.shape is None else form.shape)
        self.means[name] = (pt.as_tensor(form.predictor), shape)
        self.families[name] = form.family
