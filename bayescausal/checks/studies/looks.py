r"""Looking at data while they come in, and stopping when the posterior is sure enough.

With looks after :math:`n_1 < \dots < n_K` units a study ends at the first

.. math:: k: \quad \max\{P(\theta > \theta_0 \mid y_{1:n_k}),
   P(\theta < \theta_0 \mid y_{1:n_k})\} \ge p ,

or else with all units. The posterior does not depend on the rule: if truths are drawn from the
prior, claims made at probability p are right in a share p or more of studies, however often one
looks [1]_. At one fixed truth nothing promises that: without an effect, the share of studies that
are stopped grows with the number of looks, and estimates of those stopped early are too large
[2]_. How often and by how much is what a study by simulation tells.

References
----------
.. [1] A. Deng, J. Lu and S. Chen, "Continuous monitoring of A/B tests without pain: optional
   stopping in Bayesian testing", DSAA 2016.
.. [2] A. P. Grieve, "Idle thoughts of a 'well-calibrated' Bayesian in clinical drug development",
   Pharmaceutical Statistics 15(2), 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.simulation.simulate import unit_sizes
from bayescausal.types import StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.effect import Effect
    from bayescausal.model.structure.structure import Structure

__all__ = ["Looks", "parse_looks"]


@dataclass(frozen=True)
class Looks:
    """After how many units data are looked at, and what stops the study."""

    sizes: tuple[int, ...]
    stop: float | Callable[[Effect], Any]

    def stops(self, effect: Effect) -> bool:
        """Whether the answer to the first question, as it is now, ends the study."""
        if callable(self.stop):
            return bool(np.any(np.asarray(self.stop(effect))))
        draws = effect.draws.transpose("chain", "draw", ...).to_numpy()
        draws = draws.reshape(draws.shape[0] * draws.shape[1], -1)
        assert effect.null is not None
        above, below = (draws > effect.null).mean(axis=0), (draws < effect.null).mean(axis=0)
        return bool((np.maximum(above, below) >= self.stop).any())


def parse_looks(
    looks: int | Iterable[int] | None,
    stop: float | Callable[[Effect], Any],
    units: object,
    structure: Structure,
    questions: Mapping[str, Any],
) -> Looks | None:
    """Return the looks of a study, or None for one that ends with all its units.

    Raises StudyError if they cannot be; FixedUnitsError if the model has a number of units.
    """
    if looks is None:
        return None
    if not isinstance(units, int | np.integer) or len(structure.unit_dims) != 1:
        raise StudyError(
            f"looks= with units={units!r}.",
            expected="The number of units that a study has in the end, along one dim.",
        )
    if isinstance(looks, int | np.integer) and not isinstance(looks, bool) and looks > 0:
        sizes = tuple(int(units * k // looks) for k in range(1, int(looks) + 1))
    else:
        sizes = tuple(looks) if isinstance(looks, Iterable) else ()
    steps = np.diff([0, *sizes]) if all(isinstance(s, int | np.integer) for s in sizes) else [0]
    if not len(sizes) or not np.all(np.asarray(steps) > 0) or sizes[-1] != units:
        raise StudyError(
            f"looks={looks!r} of {units:,} units.",
            expected=f"How often one looks, or after how many units each time: [..., {units}].",
        )
    for size in sizes:
        unit_sizes(structure, int(size))
    if not callable(stop):
        if isinstance(stop, bool) or not isinstance(stop, int | float) or not 0.5 < stop < 1:
            raise StudyError(
                f"stop={stop!r}.",
                expected="A posterior probability between 0.5 and 1, or a function of an effect.",
            )
        name, first = next(iter(questions.items()))
        if getattr(first, "null", None) is None:
            raise StudyError(
                f"{name!r} has no value that means no effect: a probability of its sign cannot "
                "stop the study.",
                remedy="stop=lambda effect: ..., true where the study ends.",
            )
    return Looks(tuple(map(int, sizes)), stop)
