"""Refits of a model to changed data, and the answers that they give.

A refutation changes the data in a known way and refits. A refit whose sampler had trouble does not
count: nothing is known from it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.checks.refutation.data import columns_of, has_unknown_units, with_parts
from bayescausal.draws.diagnostics import diagnose
from bayescausal.effects.estimate import answer
from bayescausal.evaluation.evaluate import units_of
from bayescausal.evaluation.measured import plain_name
from bayescausal.inference.sampling.refit import Refitter
from bayescausal.types import FitWarning, ModelError, Set

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm

    from bayescausal.annotations import Array, Number
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.evaluation.evaluate import Units
    from bayescausal.inference.record import Fit

__all__ = ["Refits", "Trial"]

#: A refit with a larger r_hat, or a larger share of divergent draws, does not count.
R_HAT, DIVERGED = 1.1, 0.05


@dataclass(eq=False)
class Trial:
    """The refits of one refutation.

    ``name``: which refutation.
    ``found``, ``expected``, ``allowed``: by refit: the effect, what should come out, and by how
        much chance moves it.
    ``labels``: what is special of each refit (the cluster that was left out).
    ``failed``: Refits that could not be made, in words.
    ``refused``: Why none could be made.
    """

    name: str
    found: list[float] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    allowed: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    refused: str = ""

    def add(self, found: float, expected: float, allowed: float, label: str = "") -> None:
        """Add a refit."""
        self.found.append(found)
        self.expected.append(expected)
        self.allowed.append(allowed)
        self.labels.append(label)


@dataclass(eq=False)
class Refits:
    """A fit and a question, made ready to be refitted.

    ``fit``: what is refuted.
    ``estimand``: its question.
    ``mean``, ``sd``: the answer.
    ``null``: the value that means no effect.
    ``replicates``: Refits of each refutation.
    ``share``: of the units, in a subset.
    ``seed``: of everything.
    ``options``: of the refits: ``method``, ``draws``, ``chains`` and those of the sampler.
    ``given``: what a refutation was given, by its name, as its ``prepare`` returned it.
    """

    fit: Fit
    estimand: Estimand
    mean: float
    sd: float
    null: float
    replicates: int
    share: float
    seed: int
    options: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    _compiled: dict[str, Refitter] = field(default_factory=dict)

    @property
    def treatments(self) -> tuple[str, ...]:
        """The columns of the treatments; ``recorded(x)`` is the column x."""
        return tuple(plain_name(n) for n in self.estimand.treatments)

    @property
    def outcome(self) -> str:
        """The column of the outcome."""
        return plain_name(self.estimand.outcome_name)

    @property
    def columns(self) -> dict[str, Array]:
        """The data, arrays by variable."""
        return columns_of(self.fit)

    @cached_property
    def units(self) -> Units:
        """The units that the model was fitted to."""
        found = units_of(self.fit)
        assert found is not None
        return found

    @property
    def length(self) -> int:
        """How many units there are along the first dim."""
        return int((self.fit.sizes or {})[self.fit.structure.unit_dims[0]])

    def random_place(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return the place of a posterior draw, and a seed."""
        return int(rng.integers(self.fit.n_draws)), int(rng.integers(2**31))

    def reference(self, name: str) -> Number:
        """Return the value at which a treatment is held: the control, or the middle of the data."""
        control = (
            self.estimand.worlds(self.fit.structure.graph_for(self.estimand.names))
            .get("control", {})
            .get(name)
        )
        if isinstance(control, Set) and np.ndim(control.value) == 0:
            labels = list(self.fit.labels.get(name, ()))
            return labels.index(control.value) if control.value in labels else control.value
        seen = np.asarray(self.fit.columns[name])
        return seen.dtype.type(np.quantile(seen, 0.5, method="lower"))

    def refit(
        self,
        data: Mapping[str, Array],
        seed: int,
        model: Callable[[], pm.Model] | None = None,
        key: str = "",
    ) -> Fit:
        """Refit the model, or another one, and refuse a posterior that its sampler did not find.

        ``model``: Makes another model in the place of the fit's.
        ``key``: which model this is: each is compiled once.
        """
        if key not in self._compiled:
            names = [n for n in self.fit.columns if n in self.fit.structure.random]
            self._compiled[key] = Refitter(
                self.fit.model if model is None else model(),
                names,
                unit_dims=self.fit.structure.unit_dims,
                **self.options,
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # said by the trial, as a failed refit
            refit = self._compiled[key].fit(dict(data), seed=seed)
        found = refit.diagnostics
        if found.divergences > DIVERGED * refit.n_draws:
            raise ModelError(f"The sampler had trouble. {' '.join(found.messages)}")
        return refit

    def answered(self, refit: Fit) -> tuple[float, float]:
        """Return mean and sd of the effect in a refit; refuse one on which its chains disagree.

        What counts is the effect that is asked for: single units of a forest, or components of a
        mixture that change places, may mix badly and leave the effect alone.
        """
        draws = answer(refit, self.estimand, self.fit.seed).draws
        cells = draws.transpose(..., "chain", "draw").values
        r_hat = diagnose(cells.reshape(-1, *cells.shape[-2:]))["r_hat"].max()
        if r_hat > R_HAT:
            raise ModelError(
                f"The sampler had trouble: the chains disagree about the effect, with an r_hat of "
                f"{r_hat:.2f}. Draw more."
            )
        return float(draws.mean()), float(draws.std(ddof=1))

    def effect(self, data: Mapping[str, Array], seed: int, *, same: bool) -> tuple[float, float]:
        """Refit to data and answer the question.

        ``same``: whether these are the original units, one by one, with other values.
        Result: mean and sd of the effect.
        """
        refit = self.refit(data, seed)
        if same:
            columns = {n: np.asarray(data[n]) for n in self.fit.columns}
            where = with_parts(self.fit, refit.posterior, columns)
        elif has_unknown_units(self.fit):
            where = refit
            object.__setattr__(where, "labels", self.fit.labels)
        else:
            where = with_parts(self.fit, refit.posterior)
        return self.answered(where)
