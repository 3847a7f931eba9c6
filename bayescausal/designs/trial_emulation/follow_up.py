r"""Arms and follow-up: from time zero to the outcome, or to why it was not seen.

Without a grace period the arm is known at time zero: who starts then is treated. With one it is
not, and putting those who start later into the treated arm from time zero on gives them time in
which they could not die: *immortal time*. Instead each unit is put into both arms, as two clones,
and a clone is censored when its unit departs from the strategy of its arm [1]_:

* "start within the grace period": at the end of the period, if it has not started;
* "do not start" (within the period): when it starts within it.

Per protocol, a clone is also censored at departures later on: stopping, or starting.

References
----------
.. [1] M. A. Hernan, B. C. Sauer, S. Hernandez-Diaz, R. Platt and I. Shrier, "Specifying a target
   trial prevents immortal time bias and other self-inflicted injuries in observational analyses",
   Journal of Clinical Epidemiology 79, 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.designs.trial_emulation.cohort import Cohort
    from bayescausal.designs.trial_emulation.events import Events
    from bayescausal.designs.trial_emulation.protocol import Protocol

__all__ = ["REASONS", "followed", "histories"]

#: Why follow-up ended.
REASONS = ("outcome", "departed", "lost", "end of follow-up")


def histories(events: Events, protocol: Protocol, cohort: Cohort) -> pd.DataFrame:
    """Return, of each that is eligible, when things happened after time zero."""
    unit = cohort.frame["unit"].to_numpy()
    zero = cohort.frame["zero"].to_numpy(dtype=float)
    lost = [events.next(name, unit, zero) - zero for name in protocol.censoring]
    started = events.next(protocol.treatment, unit, zero) - zero
    stopped = np.full(len(unit), np.inf)
    if protocol.stop is not None:
        after = np.where(np.isfinite(started), zero + started, zero)
        stopped = np.where(
            np.isfinite(started), events.next(protocol.stop, unit, after) - zero, np.inf
        )
    return pd.DataFrame(
        {
            "started": started,
            "stopped": stopped,
            "outcome": events.next(protocol.outcome, unit, zero) - zero,
            "lost": np.min([protocol.end - zero, *lost], axis=0),
        }
    )


def followed(protocol: Protocol, cohort: Cohort, history: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each unit, trial and arm: how long it was followed, and why no longer.

    Columns: those of the cohort, ``arm`` (1 treated), ``time``, ``status`` (1 the outcome) and
    ``reason``.
    """
    started = history["started"].to_numpy()
    if not protocol.clones:
        arm = (started <= 0).astype(int)
        departed = _departure(protocol, history, arm)
        parts = [_ended(protocol, cohort, history, arm, departed)]
    else:
        parts = []
        for level in (1, 0):
            arm = np.full(len(started), level)
            departed = _departure(protocol, history, arm)
            parts.append(_ended(protocol, cohort, history, arm, departed))
    found = pd.concat(parts, ignore_index=True)
    # a departure at time zero itself leaves nothing to follow: the unit is in the other arm
    return found.loc[found["time"] > 0].reset_index(drop=True)


# ------------------------------------------------------------------------------- private


def _departure(protocol: Protocol, history: pd.DataFrame, arm: Array) -> Array:
    """Return when a unit departs from the strategy of its arm; infinity if it does not."""
    started = history["started"].to_numpy()
    grace = protocol.grace
    late = np.where((arm == 1) & (started > grace), grace, np.inf)
    early = np.where((arm == 0) & (started <= grace), started, np.inf)
    found = np.minimum(late, early) if protocol.clones else np.full(len(arm), np.inf)
    if not protocol.per_protocol:
        return found
    begun = np.where(arm == 0, started, np.inf)
    given_up = np.where(arm == 1, history["stopped"].to_numpy(), np.inf)
    return np.minimum.reduce([found, begun, given_up])


def _ended(
    protocol: Protocol, cohort: Cohort, history: pd.DataFrame, arm: Array, departed: Array
) -> pd.DataFrame:
    """Return the end of follow-up and its reason: the first of four; of ties, the outcome."""
    ends = np.stack(
        [
            history["outcome"].to_numpy(),
            departed,
            history["lost"].to_numpy(),
            np.full(len(arm), protocol.follow_up),
        ]
    )
    which = ends.argmin(axis=0)  # the first of those that are least
    return cohort.frame.assign(
        arm=arm,
        time=ends.min(axis=0),
        status=(which == 0).astype(int),
        reason=np.array(REASONS)[which],
    )
