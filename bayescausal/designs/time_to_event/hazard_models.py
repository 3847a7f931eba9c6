"""The model of times to an event: a regression of the time, and what is recorded of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.designs.time_to_event.families import FAMILIES, baseline, cuts_of
from bayescausal.designs.time_to_event.windows import FOREVER, windowed
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.model.formulas.families import Family, FamilyChoice, Scale
from bayescausal.model.formulas.priors import Priors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.designs.time_to_event.families import TimeFamily
    from bayescausal.designs.time_to_event.records import Records

__all__ = ["outcome_model"]

UNIT = "unit"


def outcome_model(
    records: Records,
    family: str,
    pieces: int | Sequence[float] | None,
    priors: Mapping[str, Any] | None,
) -> tuple[pm.Model, pd.DataFrame]:
    """Return the model of the times of a table, and the columns that it is conditioned on."""
    kinds = (records, *records.rivals)
    columns = records.frame.assign(**{k.time: k.times for k in kinds})
    for each in kinds:
        columns = columns.assign(**_bounds(each))
    given = dict(priors or {})
    held = [f"step_{k.time}" for k in kinds]
    own = Priors({n: given.pop(n) for n in held if n in given}, [k.time for k in kinds])
    formulas = []
    for each in kinds:
        terms = [records.treatment, *records.covariates]
        if records.frailty:
            terms.append(f"(1 | {records.frailty})")
            given.setdefault(f"sd_{each.time}_1|{records.frailty}", "HalfNormal(1)")
        formulas.append(f"{each.time} ~ {' + '.join(terms)}")
    model = model_from_formulas(
        formulas,
        families={k.time: _family(k, family, pieces, columns, own) for k in kinds},
        data=columns[[c for c in columns if c in records.frame or c in {k.time for k in kinds}]],
        priors=given,
        levels={records.treatment: records.levels} if records.levels else None,
        noncentered=not _large_groups(records),
    )
    own.refuse_unused()
    model.recipe["families"] = {k.time: family for k in kinds}  # type: ignore[attr-defined]
    return model, columns


# ------------------------------------------------------------------------------- private


def _family(
    records: Records,
    family: str,
    pieces: int | Sequence[float] | None,
    columns: pd.DataFrame,
    own: Priors,
) -> FamilyChoice:
    """Return the family of the time of one kind of event, and how it is recorded."""
    kind = FAMILIES[family]

    def make(
        name: str, eta: TensorVariable, link: str, aux: Mapping[str, TensorVariable], **_: Any
    ) -> TensorVariable:
        held = dict(aux)
        if kind.hazards:
            cuts = cuts_of(family, pieces, records.times, records.events)
            held |= baseline(
                name, family, cuts, lambda label, default, dims: own.make(
                    label, name, (label,), default, dims
                )
            )  # fmt: skip
        _hazard_ratio(records, kind, held)
        return _record(name, kind, eta, held, columns, records)

    form = Family(family, ("identity",), kind.aux, make, lowest=0.0, open=True)
    return FamilyChoice(form, "identity", scale=_scale(records, kind))


def _large_groups(records: Records) -> bool:
    """Whether the data say more of each group's effect than the other groups do."""
    return (
        bool(records.frailty) and len(records.times) > 10 * records.frame[records.frailty].nunique()
    )


def _scale(records: Records, kind: TimeFamily) -> Scale:
    """Return location and spread of a log time, or of a log hazard, from events and exposure.

    Observed times say little where most are censored: those are ends of follow-up. A constant
    hazard explains events and exposure at once.
    """
    middle = float(np.log(records.rate()))
    if kind.hazards:
        return Scale(mean=middle)
    spread = float(np.log(records.times).std()) if records.exact else 0.0
    return Scale(mean=-middle, sd=max(1.0, spread))


def _bounds(records: Records) -> dict[str, np.ndarray]:
    """Return the columns that say how the time is recorded."""
    time, status, end = records.times, records.status, records.end
    if records.exact:
        found = {f"censored_at{records.suffix}": np.where(status == 0, time, end)}
        if (status == 2).any():
            found["seen_until"] = np.where(status == 2, time, 0.0)
        return found
    upper = time if records.upper is None else records.upper
    found = {
        f"window_from{records.suffix}": np.select([status == 1, status == 2], [end, 0.0], time),
        f"window_to{records.suffix}": np.select([status == 2, status == 3], [time, upper], FOREVER),
        "entered_at": np.zeros(len(time)) if records.entry is None else records.entry,
    }
    return found


def _hazard_ratio(records: Records, kind: TimeFamily, aux: Mapping[str, Any]) -> None:
    """Add the log hazard ratio of the treatment, where hazards are proportional."""
    if not (kind.hazards or kind.shape):
        return
    model = pm.modelcontext(None)
    label = f"b_{records.time}_{records.treatment}"
    b = model[label]
    value = b if kind.hazards else -b * (1.0 if kind.shape == "1" else aux[kind.shape])
    pm.Deterministic(
        f"log_hazard_ratio{records.suffix}",
        pt.as_tensor(value) * 1.0,
        dims=model.named_vars_to_dims.get(label),
    )


def _record(
    name: str,
    kind: TimeFamily,
    eta: TensorVariable,
    aux: Mapping[str, Any],
    columns: pd.DataFrame,
    records: Records,
) -> TensorVariable:
    """Add the time, as it is recorded, to the model at hand."""
    parameters, dist = kind.make(eta, aux)
    model, held = pm.modelcontext(None), {}
    for n in ("seen_until", "censored_at", "window_from", "window_to", "entered_at"):
        label = n if n == "entered_at" else f"{n}{records.suffix}"
        if label in model.named_vars:
            held[n] = model[label]
        elif label in columns:
            held[n] = pm.Data(label, columns[label].to_numpy(dtype=float), dims=UNIT)
    if not records.exact:
        return windowed(name, parameters, dist, held, kind.signature)
    lower = held.get("seen_until")
    return pm.Censored(name, dist(*parameters), lower, held["censored_at"], dims=UNIT)
