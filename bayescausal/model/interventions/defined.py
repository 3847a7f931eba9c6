"""Are the equations defined at the values that a simulation draws, or that the units have?

A logarithm of a dose of 0, a root of a negative number, 0 / 0: NaN inside becomes NaN in the data,
or a count or a category that looks like any other. What can fail
(:mod:`bayescausal.model.interventions.domain`) is evaluated at the values that were drawn, and
refused by the names of the equation, the variable and the level. Where nothing could be drawn
(an index beyond its table, a probability of 2), the equations are gone through one by one. A fit or
an answer that is not finite is explained in the same way (:func:`naming`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pymc as pm

from bayescausal.model.interventions.domain import checks_of, float_parameters
from bayescausal.model.interventions.equation_walk import Check
from bayescausal.model.interventions.undefined import fails, failure
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.parameters import fix_parameters
from bayescausal.model.structure.read import structure_of
from bayescausal.types import (
    BayesCausalError,
    DataError,
    Intervention,
    InterventionError,
    NotFiniteError,
    ParameterError,
    Set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.model.structure.structure import Structure

__all__ = ["Domain", "naming"]


class Domain:
    """What must hold for the equations of a world with known parameters.

    - `structure`: of the model as it was given.
    - `world`: the model under the interventions, with numbers for its parameters.
    - `do`: what is done in it.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> with pm.Model(coords={"unit": [0, 1]}) as model:
    ...     dose = pm.Data("dose", np.array([1.0, 0.0]), dims="unit")
    ...     y = pm.Normal("y", pm.math.log(dose), 1, dims="unit")
    >>> Domain(structure_of(model), model, {}).refuse({"dose": [1, 0], "y": [0.3, -np.inf]})
    Traceback (most recent call last):
    bayescausal.types.DataError: The equation of 'y' is not defined for the data: log(dose) is \
infinite at dose=0. Expected: values at which log(dose) is finite.
    """

    def __init__(self, structure: Structure, world: pm.Model, do: Mapping[Any, Any]) -> None:
        self.structure, self.world = structure, world
        self.acts = {str(getattr(k, "name", k)): v for k, v in do.items()}
        self.columns: frozenset[str] = frozenset()  # variables whose values are those of units
        self._call: Any = None
        self.checks: list[Check] = []
        self._random: frozenset[str] = frozenset()
        after = structure_of(world, unit_dims=structure.unit_dims)
        names = [n for n in after.full if n not in self.acts and n in structure.names()]
        anything = frozenset(world.named_vars)
        found = [c for n in names for c in checks_of(after, n, anything) if c.kind != "spread"]
        for name in names:
            if name in after.random:
                behind = after.full.predecessors(name)
                reads = tuple(n for n in behind if n in after.deterministics)
                roots = float_parameters(after.variable(name)) if reads else []
                found += [Check(name, "number", root, reads) for root in roots]
        self.checks, self._random = found, frozenset(after.random)

    def refuse(self, draws: Mapping[str, Any]) -> None:
        """Refuse values at which an equation is not defined; a Deterministic alone may be NaN."""
        if not any(c.equation in self._random for c in self.checks):
            return
        unknown = self._random - set(draws)
        variables = [v for n in draws if not hasattr(v := self.world[n], "set_value")]
        if self._call is None:
            outputs = [v for check in self.checks for v in self._wanted(check)]
            self._call = pm.compile(variables, outputs, mode=PY_MODE, on_unused_input="ignore")
        values = self._call(*(np.asarray(draws[v.name], dtype=v.type.dtype) for v in variables))
        failed, at = [], 0
        for check in self.checks:
            here = values[at : at + len(self._wanted(check))]
            at += len(here)
            bad = fails(check, here, None)
            if np.any(bad) and not self._rests_on(_at_fault(check, here), unknown):
                failed.append((check, here, bad))
        if any(check.equation in self._random for check, _, _ in failed):
            raise self._refusal(*failed[0])

    def search(self, seed: int | None) -> None:
        """Refuse the first equation that is not defined, where nothing could be drawn."""
        for check in sorted(self.checks, key=lambda c: c.kind != "index"):
            call = pm.compile(
                [],
                self._wanted(check),
                random_seed=None if seed is None else int(seed),
                mode=PY_MODE,
                on_unused_input="ignore",
            )
            try:
                here = call()
            except Exception:  # an equation before it is at fault
                continue
            bad = fails(check, here, None)
            if np.any(bad):
                raise self._refusal(check, here, bad)

    def _rests_on(self, reads: set[str], unknown: frozenset[str]) -> bool:
        """Whether any of these is a variable without values, or a Deterministic of one."""
        named = reads & set(self.structure.deterministics)
        behind = {a for n in named for a in nx.ancestors(self.structure.full, n)}
        return bool(unknown & (reads | behind))

    def _wanted(self, check: Check) -> list[Any]:
        wanted = [check.tested, *([] if check.length is None else [check.length])]
        return [*wanted, *(s.value for s in check.steps), *(self.world[n] for n in check.reads)]

    def _refusal(self, check: Check, here: list[Array], bad: Array) -> Exception:
        words, expected = failure(check, here, bad)
        touched = frozenset(self.acts) | self.structure.descendants(self.acts)
        if touched & set(check.reads):
            said = ", ".join(
                v.describe(n) if isinstance(v, Intervention) else Set(v).describe(n)
                for n, v in self.acts.items()
            )
            return InterventionError(
                f"do({said}) is impossible: the equation of {check.equation!r} is not defined "
                f"there, for {words}.",
                expected=expected,
                remedy="Choose an intervention that stays where the equation is defined.",
            )
        found = f"The equation of {check.equation!r} is not defined for"
        if _at_fault(check, here) <= {*self.structure.data, *self.columns}:
            return DataError(f"{found} the data: {words}.", expected=expected)
        return ParameterError(
            f"{found} values that these parameters give: {words}.",
            expected=expected,
            remedy="Choose parameters that stay where the equation is defined, or change it.",
        )


def _at_fault(check: Check, here: Sequence[Array]) -> set[str]:
    """Return what the first step reads that fails, or else what the check reads."""
    for step, value in zip(check.steps, here[1:], strict=False):
        if not np.all(np.isfinite(value)):
            return set(step.reads)
    return set(check.reads)


@contextmanager
def naming(
    structure: Structure,
    columns: Mapping[str, Array],
    parameters: Callable[[], Iterable[Mapping[str, Array]]] | None = None,
) -> Iterator[None]:
    """Name the equation that is not defined, where something turns out not to be finite.

    - `columns`: of the units.
    - `parameters`: gives values to look with. Default: a draw from the prior, and only what the
      columns alone are to blame for is named.
    """
    try:
        yield
    except (NotFiniteError, pm.logprob.utils.ParameterValueError) as error:
        try:
            found = _prior(structure) if parameters is None else parameters()
            with np.errstate(all="ignore"):
                _look(structure, columns, found)
        except BayesCausalError as reason:
            if parameters is not None or isinstance(reason, DataError):
                raise reason from error
        except Exception:  # what cannot be looked at stays as it was said
            pass
        raise


def _prior(structure: Structure) -> list[dict[str, Array]]:
    names = structure.parameters
    drawn = pm.draw([structure.variable(n) for n in names], random_seed=0) if names else []
    return [dict(zip(names, drawn, strict=True))]


def _look(
    structure: Structure, columns: Mapping[str, Array], parameters: Iterable[Mapping[str, Array]]
) -> None:
    """Refuse the first equation that is not defined for these units and parameters."""
    domain = None
    for values in parameters:
        if domain is None:
            world = fix_parameters(structure.model, values)
            domain = Domain(structure, world, {})
            domain.columns = frozenset(columns)
        for name, value in {**values, **columns}.items():
            if hasattr(held := domain.world[name], "set_value"):
                held.set_value(np.asarray(value, dtype=held.type.dtype))
        whole = {n: v for n, v in columns.items() if np.all(np.isfinite(v))}
        if columns:
            domain.refuse({n: v for n, v in whole.items() if n in structure.nodes})
        else:
            domain.search(0)
