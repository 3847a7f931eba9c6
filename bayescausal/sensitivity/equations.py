"""The equations of a fitted model as numbers: locations, means and residuals, draw by draw.

``Batch`` evaluates expressions of a model for many posterior draws at once, without a compiler.
``Equations`` asks it about some variables of a fit: how far their values lie from what their
parents say (the residuals), and how strongly one parent moves the location of a child.

The *strength* of a parent Z on a variable is the slope of the change in the location on the change
in Z when units exchange their values of Z and keep all else, times the sd of Z: with a linear
equation the coefficient times the sd, with a two-valued Z the average difference that it makes
times its sd. Where Z is a set of categories the changes have no direction: the strength is then
their root mean square over the square root of 2, which is the same size for a linear equation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace, vectorize_graph

from bayescausal.evaluation.label_levels import is_category
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.model.noise import mean_of
from bayescausal.model.noise.location import location_of
from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["Batch", "Equations", "rows_of"]

#: Elements that are evaluated at a time.
BLOCK = 2_000_000
#: Draws for which units exchange their values in the same way.
AT_ONCE = 25


class Batch:
    """Expressions of a model as functions of what they read, over many draws at once.

    ``outputs``: of ``structure.model``.
    ``varying``: names that have a value per draw; all others have one value.
    ``reads``: Random variables and ``pm.Data`` that the expressions read.
    """

    def __init__(
        self, structure: Structure, outputs: Sequence[Variable], varying: Collection[str]
    ) -> None:
        model = structure.model
        leaves = {*model.basic_RVs, *model.data_vars}
        found = sorted(named_parents(list(outputs), leaves), key=lambda v: str(v.name))
        self.reads = tuple(str(v.name) for v in found)
        self._types = {str(v.name): str(v.type.dtype) for v in found}
        single = {
            v: pt.TensorType(v.type.dtype, (None,) * v.type.ndim)(f"in_{v.name}") for v in found
        }
        free = clone_replace(list(outputs), replace=single, rebuild_strict=False)
        self._core = [v.type.ndim for v in free]
        many = {
            single[v]: pt.TensorType(v.type.dtype, (None,) * (v.type.ndim + 1))(f"all_{v.name}")
            for v in found
            if v.name in varying
        }
        batched = vectorize_graph(free, many) if many else free
        inputs = [many.get(single[v], single[v]) for v in found]
        self._call = pytensor.function(inputs, batched, mode=PY_MODE, on_unused_input="ignore")

    def __call__(self, values: Mapping[str, Any], units: int = 1) -> list[np.ndarray]:
        """Return the outputs, the axis of draws first (of length 1 where nothing varies).

        ``values``: for each name that is read.
        ``units``: Axes of the units: outputs with fewer get axes of length 1 after that of the
            draws.
        """
        with np.errstate(all="ignore"):
            found = self._call(*(np.asarray(values[n], dtype=self._types[n]) for n in self.reads))
        out = []
        for value, core in zip(found, self._core, strict=True):
            array = np.asarray(value)
            array = array[None] if array.ndim == core else array
            out.append(array.reshape(len(array), *(1,) * max(0, units - core), *array.shape[1:]))
        return out


def rows_of(units: int) -> int:
    """Return how many draws are evaluated at a time."""
    return max(1, BLOCK // max(1, units))


class Equations:
    """The equations of some variables of a fit.

    ``names``: observed random variables.
    """

    def __init__(self, fit: Fit, names: Sequence[str]) -> None:
        self.fit, self.names = fit, tuple(names)
        self._held = {str(v) for v in fit.posterior.data_vars} | set(fit.missing)

    def _batch(self, outputs: Sequence[Variable]) -> Batch:
        return Batch(self.fit.structure, outputs, self._held)

    def _values(self, batch: Batch, cut: slice) -> dict[str, np.ndarray]:
        return {name: self._value(name, cut) for name in batch.reads}

    def _value(self, name: str, cut: slice) -> np.ndarray:
        """Return a value: a block of draws where it varies, else the one value."""
        return self.fit.value(name, cut)

    def residual_sd(self, name: str, exact: Variable | None = None) -> np.ndarray:
        """Return the root mean square over units of a variable's residuals, draw by draw.

        ``exact``: the sd of the variable as an expression of the model, where it has one.
        """
        structure = self.fit.structure
        output = mean_of(structure.variable(name)) if exact is None else exact
        batch = self._batch([output])
        total = self.fit.n_draws
        out = np.empty(total)
        axes = structure.variable(name).type.ndim
        step = rows_of(np.size(self.fit.columns[name]))
        for start in range(0, total, step):
            cut = slice(start, min(start + step, total))
            [value] = batch(self._values(batch, cut), axes)
            seen = self.fit.value(name, cut)
            seen = seen if self.fit.varies(name) else seen[None]
            square = value**2 if exact is not None else (seen - value) ** 2
            out[cut] = square.reshape(len(square), -1).mean(axis=1)
        return np.sqrt(out)

    def strength(self, child: str, parent: str, *, shuffles: int = 4, draws: int = 200) -> float:
        """Return how strongly one parent moves the location of a variable, per sd of the parent.

        ``shuffles``: how often units exchange values.
        ``draws``: posterior draws that are used, evenly spaced.
        Result: the posterior mean; 0 where the child does not read the parent.
        """
        fit = self.fit
        batch = self._batch([location_of(fit.structure.variable(child))])
        if parent not in batch.reads or (fit.varies(parent) and parent not in fit.missing):
            return 0.0
        nominal = len(fit.labels.get(parent, ())) != 2 and is_category(fit, parent)
        rng = np.random.default_rng(0)
        axes = fit.structure.variable(child).type.ndim
        found = []
        every = range(0, fit.n_draws, max(1, fit.n_draws // draws))
        size = min(AT_ONCE, rows_of(np.size(fit.columns[child])))
        for part in (every[i : i + size] for i in range(0, len(every), size)):
            values = self._values(batch, slice(part.start, part.stop, part.step))
            [before] = batch(values, axes)
            varies = fit.varies(parent)
            units = np.asarray(values[parent] if varies else values[parent][None], dtype=float)
            shape = len(part), *np.shape(fit.columns[child])
            top, bottom = np.zeros((2, len(part)))
            for _ in range(shuffles):
                moved = units[:, rng.permutation(units.shape[1])]
                changed = moved.astype(values[parent].dtype)
                [after] = batch({**values, parent: changed if varies else changed[0]}, axes)
                by = np.stack([_along(v, fit, parent, child) for v in moved - units])
                change, by = (_by_draw(v, shape) for v in (after - before, by))
                top += np.sum(change**2 if nominal else change * by, axis=1)
                bottom += 2 * change.shape[1] if nominal else np.sum(by**2, axis=1)
            with np.errstate(all="ignore"):
                slope = np.where(bottom, top / bottom, 0.0)
            spread = units.reshape(len(units), -1).std(axis=1)
            found.append(np.sqrt(slope) if nominal else slope * spread)
        return float(np.mean(np.concatenate(found)))


def _by_draw(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return values of all units, a row per draw."""
    return np.broadcast_to(values, shape).reshape(shape[0], -1)


def _along(values: np.ndarray, fit: Fit, parent: str, child: str) -> np.ndarray:
    """Return values of the parent with its axes where those of the child are."""
    own = fit.structure.dims.get(parent, ())
    wanted = fit.structure.dims.get(child, ())
    if own == wanted or len(own) != values.ndim or set(own) - set(wanted):
        return values
    order = sorted(range(len(own)), key=lambda i: wanted.index(own[i]))
    shape = [values.shape[own.index(d)] if d in own else 1 for d in wanted]
    return values.transpose(order).reshape(shape)
