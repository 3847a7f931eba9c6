"""The same simulation again and again: compiled once, seeded and parametrised per data set.

A study draws hundreds of data sets from one model. What :func:`bayescausal.simulate` does each
time (fix the parameters, set the numbers of units, apply the interventions, compile) is done once
here; a data set then costs setting the parameters, seeding the generators and one call,

.. math:: (\\theta, s) \\mapsto v(\\theta, s),

and is the data set that ``simulate`` draws with the same parameters and seed, bit for bit.

References
----------
.. [1] T. P. Morris, I. R. White and M. J. Crowther, "Using simulation studies to evaluate
   statistical methods", Statistics in Medicine 38(11), 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pymc.pytensorf import reseed_rngs
from pytensor.graph.basic import Variable

from bayescausal.model.interventions.defined import Domain
from bayescausal.model.interventions.interventions import intervene
from bayescausal.model.interventions.parse_do import refuse_potentials
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.parameters import fix_parameters, moved
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.simulate import _frame, _resized, drawn, unit_sizes
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from bayescausal.model.design import Design

__all__ = ["Repeater"]


class Repeater:
    """A model made ready to be simulated from again and again.

    - `model`: not changed, and not to be changed.
    - `units`, `do`, `unit_dims`, `ignore_potentials`: as in :func:`bayescausal.simulate`.
    Raises FixedUnitsError, PotentialError, InterventionError as in :func:`bayescausal.simulate`.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Bernoulli("x", 0.5, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> again = Repeater(model, units=4)
    >>> again.draw({"b": 2.0}, seed=1).equals(bc.simulate(model, {"b": 2.0}, units=4, seed=1))
    True
    """

    def __init__(
        self,
        model: pm.Model | Design,
        *,
        units: int | Mapping[str, int] | None = None,
        do: Mapping[Any, Any] | None = None,
        unit_dims: str | Sequence[str] | None = None,
        ignore_potentials: bool = False,
    ) -> None:
        self.structure = structure_of(model, unit_dims=unit_dims)
        if not ignore_potentials:
            refuse_potentials(self.structure)
        self.sizes = unit_sizes(self.structure, units)
        self.do = dict(do or {})
        self._shared: dict[str, Any] = {}
        self._call: Any = None
        self._rngs: list[Any] = []
        self._prior: tuple[Any, list[Any]] | None = None

    def draw(self, params: Mapping[str, Any], seed: int) -> pd.DataFrame:
        """Draw one data set.

        - `params`: a value for every parameter, in its shape and dtype (what
          :func:`~bayescausal.model.structure.parameters.check_parameters` returns).
        - `seed`: same parameters and seed, same data.
        """
        if self._call is None:
            self._compile({k: np.asarray(v) for k, v in params.items()})
        for name, variable in self._shared.items():
            variable.set_value(np.asarray(params[name], dtype=variable.type.dtype))
        if self._rngs:
            reseed_rngs(self._rngs, seed)
        arrays = drawn(self._call, self.structure.nodes, self._domain, seed)
        return _frame(self.structure, arrays, self.sizes)

    def prior(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the parameters from their prior.

        Parameters
        ----------
        seed : int
            Same seed, same values.
        """
        names = self.structure.parameters
        if self._prior is None:
            bound = [p.name for p in self.structure.model.potentials]
            bound = [name for name in bound if name not in self.structure.potentials]
            if bound:
                raise ModelError(
                    f"The Potentials {', '.join(bound)} are part of the prior, so parameters "
                    "cannot be drawn from it one after the other.",
                    remedy="Write the prior with distributions.",
                )
            if odd := moved(self.structure):
                raise ModelError(
                    f"{', '.join(odd)} {'has a transform' if len(odd) == 1 else 'have transforms'} "
                    "that restrict the prior, so it cannot be drawn from as it is written.",
                    remedy="Write the restriction as a distribution, such as pm.Truncated or sums "
                    "of positive steps.",
                )
            outputs = [self.structure.variable(name) for name in names]
            self._prior = _compiled(outputs)
        call, rngs = self._prior
        if rngs:
            reseed_rngs(rngs, seed)
        try:
            values = call()
        except NotImplementedError as error:
            raise ModelError(
                f"A prior cannot be drawn from: {error}",
                expected="Proper priors.",
                remedy="Give a Flat parameter a distribution, such as Normal(0, 10).",
            ) from error
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}

    def _compile(self, values: dict[str, np.ndarray]) -> None:
        """Build the world once, with the parameters as data."""
        structure = self.structure
        options: dict[str, Any] = {"unit_dims": structure.unit_dims, "ignore_potentials": True}
        expressions = {k: v for k, v in self.do.items() if isinstance(v, Variable)}
        plain = {k: v for k, v in self.do.items() if not isinstance(v, Variable)}
        world = structure.model
        if expressions:
            world = intervene(world, expressions, **options)
        world = _resized(fix_parameters(world, values), self.sizes)
        if plain:
            world = intervene(world, plain, **options)
        self._call, self._rngs = _compiled([world[name] for name in structure.nodes])
        self._domain = Domain(structure, world, self.do)
        self._shared = {name: world[name] for name in values if name in world.named_vars}


def _compiled(outputs: list[Any]) -> tuple[Any, list[Any]]:
    """Return a function without arguments, and its generators in the order of their seeds."""
    function, updates = pm.compile(
        [],
        outputs,
        random_seed=False,
        mode=PY_MODE,
        on_unused_input="ignore",
        return_updates=True,
    )
    return function, list(updates)
