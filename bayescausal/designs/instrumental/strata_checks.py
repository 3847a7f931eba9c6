"""Checks of an encouragement that not all follow: who complied, what Wald says, what is sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.check_tables import interval, said

if TYPE_CHECKING:
    from bayescausal.designs.instrumental.linear import InstrumentRoles
    from bayescausal.inference.record import Fit

__all__ = ["compliance", "wald"]


def compliance(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return the shares of the strata."""
    shares = fit.posterior["p_stratum"]
    names = [str(v) for v in shares.coords["stratum_level"].values]
    rows: dict[str, dict[str, float]] = {}
    for k, name in enumerate(names):
        drawn = shares.values[..., k].ravel()
        rows[name] = {"share": float(drawn.mean()), **interval(drawn)}
    table = pd.DataFrame(rows).T
    table.index.name = "stratum"
    share = rows["complier"]["share"]
    few = share < 0.1
    little = ": what is found for them says little about the others"
    text = f"Compliers are {share:.1%} of the units{little if few else ''}."
    return said(table, "warn" if few else "pass", text)


def wald(fit: Fit, roles: InstrumentRoles) -> pd.DataFrame:
    """Return the effect of the assignment on outcome and treatment, and their ratio."""
    z, d, y = (
        np.asarray(fit.columns[n], dtype=float)
        for n in (roles.instruments[0], roles.treatment, roles.outcome)
    )
    moved = {n: v[z == 1].mean() - v[z == 0].mean() for n, v in (("y", y), ("d", d))}
    variance = {
        (a, b): sum(np.cov(v, w, ddof=1)[0, 1] / len(v) for v, w in zip(one, two, strict=True))
        for (a, one), (b, two) in (
            ((p, (u[z == 1], u[z == 0])), (q, (w[z == 1], w[z == 0])))
            for p, u in (("y", y), ("d", d))
            for q, w in (("y", y), ("d", d))
        )
    }
    ratio = moved["y"] / moved["d"]
    spread = variance["y", "y"] - 2 * ratio * variance["y", "d"] + ratio**2 * variance["d", "d"]
    rows = {
        f"{roles.instruments[0]} on {roles.outcome}": (moved["y"], np.sqrt(variance["y", "y"])),
        f"{roles.instruments[0]} on {roles.treatment}": (moved["d"], np.sqrt(variance["d", "d"])),
        "ratio (Wald)": (ratio, np.sqrt(spread) / abs(moved["d"])),
    }
    return pd.DataFrame(rows, index=["value", "se"]).T
