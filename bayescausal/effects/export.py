"""An answer as data and as text: tables, values for JSON, groups that ArviZ reads, notebooks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.draws.intervals import interval
from bayescausal.draws.named import DRAW_DIMS
from bayescausal.draws.summary import interval_columns, summarise
from bayescausal.effects.words.rendering import html_table, one_line, text_table

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect

__all__ = ["as_datatree", "as_dict", "as_html", "as_table", "as_text", "brief_table"]


def as_table(effect: Effect, prob: float, kind: str) -> pd.DataFrame:
    """Return mean, sd, interval, diagnostics and bounds, one row for each cell of the answer."""
    table = summarise(effect.draws, prob, kind)
    cell = effect.draws.isel(dict.fromkeys(DRAW_DIMS, 0), drop=True)
    error = np.nan if effect.mc_error is None else effect.mc_error
    if isinstance(error, xr.DataArray):
        error = error.broadcast_like(cell).transpose(*cell.dims).values.reshape(-1)
    table["mc_error"] = error
    if effect.identification is not None:
        table["identification"] = effect.verdict
    return _with_bounds(effect, table)


def brief_table(effect: Effect) -> pd.DataFrame:
    """Return mean, sd, interval and bounds of each cell, without the slower diagnostics."""
    frame = pd.DataFrame(
        {"mean": np.ravel(effect.mean()), "sd": np.ravel(effect.sd())},
        index=summarise(effect.draws.isel(chain=[0], draw=[0])).index,
    )
    frame[list(interval_columns(0.94))] = interval(effect.draws, 0.94).values.reshape((-1, 2))
    return _with_bounds(effect, frame)


def as_datatree(effect: Effect) -> xr.DataTree:
    """Return the draws, and the bounds if there are any, as variables of one group."""
    # no variable of a DataTree has a slash
    name = effect.label.replace(" / ", " over ").replace("/", "|")
    variables = {name: effect.draws.rename(name)}
    if effect.bounds is not None:
        variables[f"{name} bounds"] = effect.bounds.rename(f"{name} bounds")
    said = {
        "estimand": "" if effect.estimand is None else effect.estimand.describe(),
        "population": effect.population or "",
        "identification": effect.verdict,
        "notes": list(effect.notes),
    }
    data = xr.Dataset(variables).assign_attrs({k: v for k, v in said.items() if v})
    return xr.DataTree.from_dict({"prior" if effect.kind == "prior" else "posterior": data})


def as_dict(effect: Effect, prob: float) -> dict[str, Any]:
    """Return what was asked, over whom, and each cell with its labels, as values for JSON."""
    table = as_table(effect, prob, "hdi")
    rows = []
    for key, row in zip(table.index, table.to_dict("records"), strict=True):
        labels = key if isinstance(key, tuple) else (key,)
        where = {d: _plain(v) for d, v in zip(table.index.names, labels, strict=True)}
        rows.append((where if effect.dims else {}) | {k: _plain(v) for k, v in row.items()})
    verdict = effect.identification
    return {
        "label": effect.label,
        "estimand": None if effect.estimand is None else effect.estimand.describe(),
        "population": effect.population,
        "identification": None if verdict is None else str(verdict),
        "null": effect.null,
        "seed": None if effect.seed is None else int(effect.seed),
        "chains": effect.draws.sizes["chain"],
        "draws": effect.draws.sizes["draw"],
        "interval": {"kind": "hdi", "prob": float(prob)},
        "columns": list(interval_columns(prob)),
        "cells": rows,
        "notes": list(effect.notes),
    }


def as_text(effect: Effect) -> str:
    """Return the answer in one line, or as a table of its cells."""
    table = brief_table(effect)
    if effect.dims:
        title = f"{effect.label}: {effect.verdict}".removesuffix(": ")
        return text_table(title, table, effect.null)
    return f"{one_line(effect.label, table, effect.null)}, {effect.verdict}".removesuffix(", ")


def as_html(effect: Effect) -> str:
    """Return the answer for a notebook."""
    question = "" if effect.estimand is None else effect.estimand.describe()
    decided = effect.identification
    notes = (*effect.notes, *([] if decided is None or not decided else [decided.sentence()]))
    words, table = effect.population or "", brief_table(effect)
    return html_table(effect.label, question, words, table, notes, bool(effect.dims), effect.null)


# --------------------------------------------------------------------------- private


def _with_bounds(effect: Effect, table: pd.DataFrame) -> pd.DataFrame:
    """Add the posterior means of the bounds, if there are any."""
    if effect.bounds is not None:
        ends = effect.bounds.mean(DRAW_DIMS).values.reshape((-1, 2))
        table[["bound_lb", "bound_ub"]] = ends
    return table


def _plain(value: object) -> float | str | None:
    """Return a value that JSON knows; None for NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)
