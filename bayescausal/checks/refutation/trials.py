r"""The refutations: data changed in a known way, refitted, and the answer that should come out.

Each trial has R refits; refit r gives an effect :math:`\hat e_r` where :math:`e_r` is expected, and
under a right model the two differ by chance with a known standard deviation :math:`a_r`:

=================  ==================================  ==================  =========================
trial              what is changed                     :math:`e_r`         :math:`a_r`
=================  ==================================  ==================  =========================
permuted           the treatment, shuffled             no effect           posterior sd of the refit
redrawn            the treatment, drawn anew from its  no effect           posterior sd of the refit
                   equation
zero               what the treatment reaches,         no effect           posterior sd of the refit
                   simulated with it held
planted            what the treatment reaches,         the effect at the   posterior sd of the refit
                   simulated from one posterior draw   draw
common_cause       a column of noise is added to       the effect          the root of
                   treatment and outcome                                   :math:`|s_r^2 - s^2|
                                                                           + s^2/n + (s/20)^2`
subset             a share f of the units              the effect          :math:`s \sqrt{1/f - 1}`
bootstrap          units, drawn with replacement       the effect          s
clusters           one cluster left out                the effect          :math:`s \sqrt{n_c / (n -
                                                                           n_c)}`
negative_control   an outcome that the treatment       no effect           posterior sd of the refit
                   cannot change
=================  ==================================  ==================  =========================

with s the posterior sd of the fit that is refuted and n its units. Bootstrap and subset look at the
spread: an sd that does not match the data's (units that depend on each other, uneven variances)
shows there [1]_.

References
----------
.. [1] J. A. Hausman, "Specification tests in econometrics", Econometrica 46 (1978), 1251-1271.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.checks.refutation.common_cause import COLUMN, with_common_cause
from bayescausal.checks.refutation.data import (
    columns_of,
    has_unknown_units,
    permuted,
    simulated,
    taken,
    why_units_touch,
    with_parts,
)
from bayescausal.effects.estimate import answer
from bayescausal.effects.evaluation.outcome_distributions import laws_of
from bayescausal.evaluation.evaluate import units_of
from bayescausal.evaluation.measured import plain_name
from bayescausal.inference.sampling.refit import Refitter
from bayescausal.model.noise import noise_rule
from bayescausal.types import BayesCausalError, FitWarning, ModelError, Set

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = ["Bench", "Trial"]

#: Part of the posterior sd that a common cause of noise may move an answer by.
FREE = 0.05
#: A refit with a larger r_hat, or a larger share of divergent draws, does not count.
R_HAT, DIVERGED = 1.1, 0.05


@dataclass(eq=False)
class Trial:
    """The refits of one refutation.

    Attributes
    ----------
    name : str
        Which refutation.
    found, expected, allowed : list of float
        By refit: the effect, what should come out, and by how much chance moves it.
    labels : list of str
        What is special of each refit (the cluster that was left out).
    failed : list of str
        Refits that could not be made, in words.
    refused : str
        Why none could be made.
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
class Bench:
    """A fit and a question, made ready to be refitted.

    Parameters
    ----------
    fit : Fit
        What is refuted.
    estimand : Estimand
        Its question.
    mean, sd : float
        The answer.
    null : float
        The value that means no effect.
    replicates : int
        Refits of each refutation.
    share : float
        Of the units, in a subset.
    seed : int
        Of everything.
    options : mapping
        Of the refits: ``method``, ``draws``, ``chains`` and those of the sampler.
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
    _refitter: Refitter | None = None
    _further: Refitter | None = None

    @property
    def treatments(self) -> tuple[str, ...]:
        """The columns of the treatments; ``recorded(x)`` is the column x."""
        return tuple(plain_name(n) for n in self.estimand.treatments)

    @property
    def outcome(self) -> str:
        """The column of the outcome."""
        return plain_name(self.estimand.outcome_name)

    # ------------------------------------------------------------------ the refits

    def refitter(self) -> Refitter:
        """Return the model, compiled once."""
        if self._refitter is None:
            names = [n for n in self.fit.columns if n in self.fit.structure.random]
            self._refitter = Refitter(
                self.fit.model, names, unit_dims=self.fit.structure.unit_dims, **self.options
            )
        return self._refitter

    def effect(self, data: Mapping[str, Any], seed: int, *, same: bool) -> tuple[float, float]:
        """Refit to data and answer the question.

        Parameters
        ----------
        data : mapping of str to ndarray
            The changed data.
        seed : int
            Of the refit.
        same : bool
            Whether these are the original units, one by one, with other values.

        Returns
        -------
        (float, float)
            Mean and sd of the effect.
        """
        refit = _sound(self.refitter(), data, seed)
        if same:
            columns = {n: np.asarray(data[n]) for n in self.fit.columns}
            where = with_parts(self.fit, refit.posterior, columns)
        elif has_unknown_units(self.fit):
            where = refit
            object.__setattr__(where, "labels", self.fit.labels)
        else:
            where = with_parts(self.fit, refit.posterior)
        draws = answer(where, self.estimand, self.fit.seed).draws
        return float(draws.mean()), float(draws.std(ddof=1))

    def _rng(self, trial: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, *trial.encode()])

    def _each(self, name: str, one: Callable[[Trial, int, np.random.Generator], None]) -> Trial:
        """Run the refits of a trial; note those that fail."""
        trial, rng = Trial(name), self._rng(name)
        for i in range(self.replicates):
            try:
                one(trial, i, rng)
            except (BayesCausalError, NotImplementedError, ArithmeticError) as error:
                trial.failed.append(str(error))
        if not trial.found:
            trial.refused = trial.failed[0] if trial.failed else "No refit was made."
        return trial

    # ------------------------------------------------------------------ the trials

    def permuted(self) -> Trial:
        """Shuffle the treatment."""

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            data = columns_of(self.fit) | permuted(self.fit, self.treatments, rng)
            mean, sd = self.effect(data, self.seed + i, same=True)
            trial.add(mean, self.null, sd)

        return self._each("permuted", one)

    def redrawn(self) -> Trial:
        """Draw the treatment anew from its own equation, given its parents."""
        structure, names = self.fit.structure, self.treatments
        for name in names:
            if name not in structure.random or name in structure.imputed:
                return Trial("redrawn", refused=f"{name} has no equation to be drawn from.")
        units = units_of(self.fit)
        assert units is not None

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            place = int(rng.integers(self.fit.n_draws))
            data = columns_of(self.fit)
            for name in names:
                drawn = laws_of(
                    units, name, _draw, slice(place, place + 1), seed=int(rng.integers(2**31))
                )[0][0]
                data[name] = drawn.astype(data[name].dtype)
            mean, sd = self.effect(data, self.seed + i, same=True)
            trial.add(mean, self.null, sd)

        return self._each("redrawn", one)

    def zero(self) -> Trial:
        """Simulate what the treatment reaches, with the treatment held at one value."""
        held = {n: self._reference(n) for n in self.treatments}

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            place, seed = int(rng.integers(self.fit.n_draws)), int(rng.integers(2**31))
            _, columns = simulated(self.fit, self.treatments, place, seed, held)
            mean, sd = self.effect(columns_of(self.fit) | columns, self.seed + i, same=True)
            trial.add(mean, self.null, sd)

        return self._each("zero", one)

    def planted(self) -> Trial:
        """Simulate what the treatment reaches from one posterior draw, whose effect is known."""
        seen = {n: self.fit.columns[n] for n in self.treatments}

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            place, seed = int(rng.integers(self.fit.n_draws)), int(rng.integers(2**31))
            known, columns = simulated(self.fit, self.treatments, place, seed, seen)
            truth = answer(
                with_parts(known, columns={**self.fit.columns, **columns}),
                self.estimand,
                self.fit.seed,
            )
            mean, sd = self.effect(columns_of(self.fit) | columns, self.seed + i, same=True)
            trial.add(mean, float(truth.draws.mean()), sd)

        return self._each("planted", one)

    def common_cause(self, values: np.ndarray | None) -> Trial:
        """Add noise, or a column that was given, as a common cause of treatment and outcome."""
        structure, outcome = self.fit.structure, self.outcome
        names = tuple(n for n in (*self.treatments, outcome) if n in structure.random)
        if has_unknown_units(self.fit):
            return Trial("common_cause", refused="Something of the units is latent or missing.")
        try:
            shape = np.shape(self.fit.columns[outcome])
            model = with_common_cause(
                self.fit, names, np.zeros(shape) if values is None else values
            )
        except ModelError as error:
            return Trial("common_cause", refused=str(error))
        columns = [n for n in self.fit.columns if n in structure.random]
        if self._further is None:  # compiled once, also where the trial is made again
            self._further = Refitter(model, columns, unit_dims=structure.unit_dims, **self.options)
        refitter = self._further
        size = float(np.prod(shape))

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            column = rng.standard_normal(shape) if values is None else _standard(values)
            data = columns_of(self.fit) | {COLUMN: column}
            refit = _sound(refitter, data, self.seed + i)
            object.__setattr__(refit, "labels", self.fit.labels)
            draws = answer(refit, self.estimand, self.fit.seed).draws
            sd = float(draws.std(ddof=1))
            error = sd / np.sqrt(refit.n_draws) + self.sd / np.sqrt(self.fit.n_draws)
            noise = abs(sd**2 - self.sd**2) + self.sd**2 / size + (FREE * self.sd) ** 2 + error**2
            trial.add(float(draws.mean()), self.mean, float(np.sqrt(noise)))

        if values is None:
            return self._each("common_cause", one)
        trial = Trial("common_cause")
        try:
            one(trial, 0, self._rng("common_cause"))
        except BayesCausalError as error:
            trial.refused = str(error)
        return trial

    def subset(self) -> Trial:
        """Leave out a share of the units."""
        touch = why_units_touch(self.fit)
        if touch is not None:
            return Trial("subset", refused=str(touch))
        first = self.fit.structure.unit_dims[0]
        length = int((self.fit.sizes or {})[first])
        count = max(round(self.share * length), 2)
        allowed = self.sd * np.sqrt(length / count - 1)

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            rows = np.sort(rng.choice(length, count, replace=False))
            mean, _ = self.effect(taken(self.fit, rows), self.seed + i, same=False)
            trial.add(mean, self.mean, float(allowed))

        return self._each("subset", one)

    def bootstrap(self) -> Trial:
        """Draw the units with replacement."""
        touch = why_units_touch(self.fit)
        if touch is not None:
            return Trial("bootstrap", refused=str(touch))
        first = self.fit.structure.unit_dims[0]
        length = int((self.fit.sizes or {})[first])

        def one(trial: Trial, i: int, rng: np.random.Generator) -> None:
            rows = np.sort(rng.integers(length, size=length))
            mean, _ = self.effect(taken(self.fit, rows), self.seed + i, same=False)
            trial.add(mean, self.mean, self.sd)

        return self._each("bootstrap", one)

    def clusters(self, codes: np.ndarray, labels: list[str], most: int) -> Trial:
        """Leave out one cluster at a time, the largest ones where there are many."""
        touch = why_units_touch(self.fit)
        if touch is not None:
            return Trial("clusters", refused=str(touch))
        sizes = np.bincount(codes)
        chosen = np.sort(np.argsort(-sizes, kind="stable")[:most])
        trial = Trial("clusters")
        for k in chosen:
            rows = np.flatnonzero(codes != k)
            try:
                mean, _ = self.effect(taken(self.fit, rows), self.seed + int(k), same=False)
            except BayesCausalError as error:
                trial.failed.append(f"without {labels[k]}: {error}")
                continue
            allowed = self.sd * np.sqrt(sizes[k] / (len(codes) - sizes[k]))
            trial.add(mean, self.mean, float(allowed), labels[k])
        if not trial.found:
            trial.refused = trial.failed[0]
        return trial

    def negative_control(self, values: np.ndarray) -> Trial:
        """Put an outcome that the treatment cannot change in the place of the outcome."""
        outcome = self.outcome
        seen = self.fit.columns[outcome]
        trial = Trial("negative_control")
        if np.issubdtype(seen.dtype, np.floating):  # on the scale that the priors were made for
            values = np.nanmean(seen) + np.nanstd(seen) * _standard(values)
        try:
            data = columns_of(self.fit) | {outcome: values.astype(seen.dtype)}
            mean, sd = self.effect(data, self.seed, same=True)
            trial.add(mean, self.null, sd)
        except BayesCausalError as error:
            trial.refused = str(error)
        return trial

    # ------------------------------------------------------------------ private

    def _reference(self, name: str) -> Any:
        """Return the value at which a treatment is held: the control, or a value in the middle."""
        control = self.estimand.worlds(self.fit.structure.graph).get("control", {}).get(name)
        if isinstance(control, Set) and np.ndim(control.value) == 0:
            labels = list(self.fit.labels.get(name, ()))
            return labels.index(control.value) if control.value in labels else control.value
        seen = np.asarray(self.fit.columns[name])
        return seen.dtype.type(np.quantile(seen, 0.5, method="lower"))


def _standard(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - np.mean(values)) / np.std(values))


def _draw(rv: Any, value: Any, builder: Any) -> list[Any]:
    """Return a new draw of a variable from its own equation."""
    rule = noise_rule(rv)
    return [rule.forward(builder.noise(rv.name, rule))]


def _sound(refitter: Refitter, data: Mapping[str, Any], seed: int) -> Fit:
    """Refit, and refuse a posterior that its sampler did not find."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # said by the trial, as a refit that failed
        refit = refitter.fit(dict(data), seed=seed)
    found = refit.diagnostics
    if found.r_hat > R_HAT or found.divergences > DIVERGED * refit.n_draws:
        raise ModelError(f"The sampler had trouble. {' '.join(found.messages)}")
    return refit
