r"""The joint log-density of the structural variables, at every draw and at the truth.

.. math:: \ell(\theta, v) = \sum_j \log p(v_j \mid pa_j, \theta),

summed over all structural variables :math:`j` and units, at each draw of :math:`(\theta,
v_{latent})` and at the true values. As a quantity to be ranked it depends on the data, which ranks
of parameters do not: it sees a posterior that forgot the data and went back to the prior [1]_.

References
----------
.. [1] M. Modrak, A. H. Moon, S. Kim, P. Buerkner, N. Huurre, K. Faltejskova, A. Gelman and
   A. Vehtari, "Simulation-based calibration checking for Bayesian computation: the choice of test
   quantities shapes sensitivity", Bayesian Analysis 20(2), 2025.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm

from bayescausal.evaluation.build import kept_builder
from bayescausal.evaluation.evaluate import argument, units_of
from bayescausal.evaluation.program import Request
from bayescausal.model.structure.function_graph import density_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.inference.record import Fit

__all__ = ["JointDensity"]


class JointDensity:
    """Compiled once per model and set of columns."""

    def __init__(self) -> None:
        self.programs: dict[Any, Any] = {}

    def of(
        self, fit: Fit, complete: Fit, values: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the log-density at the draws, (chain, draw, 1), and at the truth, (1,).

        ``complete``: the truth, with the complete data.
        ``values``: True parameters.
        Result: None where the truth lacks a variable or parameter of the fitted model.
        """
        names = {*fit.structure.random, *fit.structure.data}
        if not set(fit.structure.parameters) <= set(values) or not names <= set(complete.columns):
            return None
        if any(fit.posterior[p].shape[2:] != np.shape(values[p]) for p in fit.parameters):
            return None
        draws = self._value(fit, fit, {})
        known = {n: complete.columns[n] for n in fit.structure.random}
        at_truth = self._value(fit, complete, known | dict(values))
        sizes = fit.draws["posterior"].sizes
        return draws.reshape(sizes["chain"], sizes["draw"], 1), at_truth[:1]

    def _value(self, fit: Fit, source: Fit, known: Mapping[str, Any]) -> np.ndarray:
        """Return the log-density of the fitted model at the draws of a source."""
        program = self._program(fit)
        units = units_of(fit)
        assert units is not None
        count = source.n_draws
        arguments = []
        for item in program.inputs:
            if item.name in known and item.kind == "value":
                value = np.asarray(known[item.name]).astype(item.variable.type.dtype)
                arguments.append(value[None] if item.batched else value)
                continue
            held: dict[str, np.ndarray] = {}
            block = slice(0, count)
            arguments.append(
                argument(item, units, range(count), block, 0, 1, None, slice(None), None, held)
            )
        with np.errstate(all="ignore"):
            found = np.asarray(program.call(*arguments)[0], dtype=float)
        return np.broadcast_to(found.reshape(-1), (count,)) if found.size == 1 else found

    def _program(self, fit: Fit) -> Any:
        structure = fit.structure
        units = units_of(fit)
        assert units is not None
        named = (*structure.nodes, *structure.parameters)
        moving = tuple(sorted(n for n in named if fit.varies(n)))
        key = (id(structure), moving)
        if key not in self.programs:
            builder = kept_builder(structure, units.varies, {})
            terms = []
            for name in structure.random:
                density = density_of(pm.logp, structure.variable(name), builder.kept(name))
                terms.append(density.sum())
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            [output] = builder.substitute([total], builder.only)
            # The structure is held, so that its address is not given to another one.
            request = Request(builder.only, structure.random[0])
            self.programs[key] = (structure, builder.compile((request,), [output]))
        return self.programs[key][1]
