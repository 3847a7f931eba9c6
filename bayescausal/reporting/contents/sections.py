"""The sections of a report before and after its answers: question, graph, data, parameters.

Each function takes the material and returns a section; none computes an effect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import level_text
from bayescausal.effects.evaluation.population_units import plural
from bayescausal.effects.words.intervention import listed, upper_first
from bayescausal.effects.words.sentence import asked_in_words, identified
from bayescausal.graph.structure.marks import column_causes
from bayescausal.model.formulas.priors import prior_summary
from bayescausal.model.graph_queries.queries import with_latents
from bayescausal.reporting.decision import PROB
from bayescausal.reporting.drawn.dag import plot_graph
from bayescausal.reporting.live.arrows import arrow_blocks
from bayescausal.reporting.page.blocks import (
    Bullets,
    Code,
    Grid,
    Picture,
    Section,
    Text,
    cell,
    grid,
)
from bayescausal.reporting.page.pictures import draw
from bayescausal.reporting.terminal import arrows, shown_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pymc as pm

    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit
    from bayescausal.reporting.contents.material import Material
    from bayescausal.reporting.contents.trust import Outcome

__all__ = ["data", "graph", "identification", "parameters", "question", "shown_parameters"]

MOST_EQUATIONS = 6000  # characters of the model's own text
MOST_LABELS = 12  # levels of a category that are counted one by one


def question(material: Material) -> Section:
    """Return the questions in words and in symbols."""
    blocks: list[Any] = []
    for effect, heading in zip(material.effects, material.headings, strict=True):
        estimand = effect.estimand
        if len(material.effects) > 1:
            blocks.append(Text(heading, "lead"))
        blocks.append(Text(_in_words(effect)))
        blocks.append(Text(estimand.describe(), "symbols", estimand.latex()))
    return Section("Question", tuple(blocks))


def graph(material: Material, outcomes: Sequence[Outcome] = ()) -> Section:
    """Return the graph as a picture and in words, and the equations of the model."""
    fit = material.fit
    dag = with_latents(fit, None)
    first = next((e.estimand for e in material.effects if e.estimand.treatments), None)
    options: dict[str, Any] = {}
    if first is not None:
        names = [n for n in first.treatments if n in dag]
        options = {"treatment": names or None, "outcome": first.outcome_name}
        options["outcome"] = first.outcome_name if first.outcome_name in dag else None
    shown = draw(lambda: plot_graph(dag, **options))
    told = arrows(dag)
    blocks: list[Any] = [
        Picture(shown, f"Causal graph with the arrows {told}.", "Read off the model."),
        *arrow_blocks(fit, dag, (options.get("treatment") or (), options.get("outcome")), outcomes),
        Text(f"Arrows: {told}."),
    ]
    for columns in column_causes(dag).values():
        named = (
            f"Columns without an equation, which may depend on each other: {listed([*columns])}."
        )
        blocks.append(Text(named))
    latent = [n for n in fit.latent if n in dag]
    if latent:
        blocks.append(Text(f"Not measured, drawn from the posterior: {', '.join(latent)}."))
    recipe = getattr(fit.model, "recipe", None)
    if recipe:
        blocks.append(Text("The formulas:"))
        blocks.append(Code(_formulas_text(recipe), "text"))
    equations = _equations(fit.model)
    if equations:
        blocks.append(Text("As distributions:" if recipe else "The model:"))
        blocks.append(Code(equations, "text"))
    return Section("Graph and model", tuple(blocks))


def identification(material: Material) -> Section:
    """Return whether the data can tell, and what that assumes."""
    by_verdict: dict[str, list[Any]] = {}
    for effect in material.effects:
        decided = effect.identification
        key = "" if decided is None else f"{decided.sentence()}|{decided.estimand}"
        by_verdict.setdefault(key, []).append(effect)
    blocks: list[Any] = []
    for effects in by_verdict.values():
        decided = effects[0].identification
        if len(by_verdict) > 1:
            blocks.append(Text(", ".join(e.label for e in effects), "lead"))
        if decided is None:
            blocks.append(Text("There is nothing to identify."))
            continue
        blocks.append(Text(identified(decided), "lead" if len(by_verdict) == 1 else ""))
        if decided.estimand is not None:
            blocks.append(Text("From what is measured it is computed as"))
            blocks.append(Text(str(decided.estimand), "symbols", decided.estimand.latex()))
        if decided.assumptions:
            blocks.append(Text("This assumes:"))
            blocks.append(Bullets(tuple(decided.assumptions)))
        remedies = [
            part
            for part in re.split(r"(?<=[.]) (?=[A-Z])", decided.sentence())
            if part.startswith(("It would be", "A coupling of"))
        ]
        if remedies or decided.warnings:
            blocks.append(Bullets((*remedies, *decided.warnings)))
    blocks.append(
        Text(
            "That the graph is right is for its authors to argue; no number here shows it.", "note"
        )
    )
    return Section("Identification", tuple(blocks))


def data(material: Material) -> Section:
    """Return rows, missing cells and ranges of the variables."""
    fit = material.fit
    if fit.data is None:
        return Section("Data", (Text(f"None: the draws are from the {fit.kind}."),))
    sizes = fit.sizes or {}
    units = " x ".join(f"{sizes[d]:,} {plural(d)}" for d in fit.structure.unit_dims if d in sizes)
    rows = [_column(fit, name) for name in fit.columns]
    heads: tuple[str, ...]
    heads = ("variable", "values", "missing", "mean", "sd", "smallest", "largest", "levels")
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    blocks: list[Any] = [
        Text(f"Rows: {units}."),
        Grid(heads, tuple(rows), "The variables that were observed"),
    ]
    total = sum(int(np.sum(mask)) for mask in fit.missing.values())
    if total:
        blocks.append(Text(f"{total:,} missing cells are unknowns of the model, drawn with it."))
    else:
        blocks.append(Text("No cell is missing."))
    if fit.latent:
        blocks.append(Text(f"Never observed: {', '.join(fit.latent)}."))
    ignored = tuple(getattr(fit.data, "ignored", ()))
    if ignored:
        names = ", ".join(map(str, ignored[:20]))
        blocks.append(Text(f"Columns that the model does not use: {names}."))
    return Section("Data", tuple(blocks))


def parameters(material: Material) -> Section:
    """Return the posterior of the parameters, and how it was drawn."""
    fit = material.fit
    table = fit.summary(shown_parameters(fit), prob=PROB)
    names = {
        "hdi94_lb": "94% HDI from",
        "hdi94_ub": "to",
        "ess_bulk": "ess (bulk)",
        "r_hat": "r_hat",
        "mcse_mean": "mcse",
    }
    wanted = ["mean", "sd", "hdi94_lb", "hdi94_ub", "ess_bulk", "r_hat", "mcse_mean"]
    shown = grid(
        table, "", first="parameter", columns=wanted, names=names, label="Parameters of the model"
    )
    blocks: list[Any] = [shown] if len(table) else [Text("The model has no parameters.")]
    blocks += [Text(message, "note") for message in fit.diagnostics.messages]
    return Section("Parameters", tuple(blocks))


# --------------------------------------------------------------------------- private


def _in_words(effect: Effect) -> str:
    """Return the question as a person would ask it: what is done, to what, over whom."""
    estimand: Any = effect.estimand
    link = "for" if estimand.per_unit else "over"
    over = f", {link} {effect.population}" if effect.population else ""
    split = f", for each value of {' and '.join(estimand.by)}" if estimand.by else ""
    return f"{upper_first(asked_in_words(effect))}{over}{split}?"


def _formulas_text(recipe: Mapping[str, Any]) -> str:
    """Return formulas, families, priors and levels as they are written in a file."""
    lines = [*recipe["formulas"]]
    lines += [f"family {name}: {family}" for name, family in recipe["families"].items()]
    lines += [f"prior {name}: {prior}" for name, prior in recipe["priors"].items()]
    lines += [f"levels {n}: {', '.join(map(str, v))}" for n, v in recipe["levels"].items()]
    return "\n".join(lines)


def _equations(model: pm.Model) -> str:
    """Return the model as text, one variable a line; empty where it cannot be written."""
    try:
        text = str(model.str_repr())
    except Exception:  # the model's own text is an extra: a report stands without it
        return ""
    text = re.sub(r" = Data\(<\w+>\)", " = Data", text)  # what the data are stands elsewhere
    text = re.sub(r"<(?:shared|constant)>", "...", text)
    text = re.sub(r"\d+(?:\.\d+)?e\+\d+", lambda found: level_text(float(found[0])), text)
    lines = sorted(text.splitlines(), key=lambda line: line.partition("~")[0].strip())
    if getattr(model, "recipe", None):
        lines = [_with_prior(line, prior_summary(model)["prior"]) for line in lines]
    whole = "\n".join(lines)
    return whole if len(whole) <= MOST_EQUATIONS else whole[:MOST_EQUATIONS] + "\n..."


def _with_prior(line: str, priors: pd.Series) -> str:
    """Return the line of a parameter with its prior as it is written, without abbreviations."""
    name = line.partition("~")[0]
    return f"{name}~ {priors[name.strip()]}" if name.strip() in priors.index else line


def _column(fit: Fit, name: str) -> tuple[str, ...]:
    """Return one row of the table of data."""
    values = np.asarray(fit.columns[name])
    gone = int(np.sum(fit.missing[name])) if name in fit.missing else 0
    seen = values[~fit.missing[name]] if name in fit.missing else values.ravel()
    count = f"{seen.size:,}"
    labels = fit.labels.get(name)
    if labels:
        counts = [f"{label}: {int((seen == k).sum()):,}" for k, label in enumerate(labels)]
        more = f", and {len(counts) - MOST_LABELS} more" if len(counts) > MOST_LABELS else ""
        return (name, count, f"{gone:,}", *["-"] * 4, ", ".join(counts[:MOST_LABELS]) + more)
    seen = seen.astype(float)
    if not seen.size:
        return (name, "0", f"{gone:,}", *["-"] * 4, "")
    spread = float(seen.std(ddof=1)) if seen.size > 1 else float("nan")
    summary = (float(seen.mean()), spread, float(seen.min()), float(seen.max()))
    years = np.all(seen == np.round(seen)) and seen.min() >= 1000 and seen.max() < 3000
    ends = [f"{v:.0f}" if years else cell(v) for v in summary[2:]]  # 1974 is no amount
    return (name, count, f"{gone:,}", *(cell(v) for v in summary[:2]), *ends, "")
