"""The sections of a report that need no check: question, graph, data, answers, parameters, method.

Each function takes the material and returns a section; none computes an effect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.digits import level_text, numbers, significant
from bayescausal.draws.named import distinct
from bayescausal.effects.evaluation.population_units import plural
from bayescausal.effects.words.intervention import listed, upper_first
from bayescausal.effects.words.sentence import asked_in_words, identified
from bayescausal.figures.forest import plot_forest
from bayescausal.graph.structure.marks import column_causes
from bayescausal.model.formulas.priors import prior_summary
from bayescausal.model.graph_queries.queries import with_latents
from bayescausal.reporting.blocks import (
    Bullets,
    Code,
    Facts,
    Grid,
    Picture,
    Section,
    Text,
    cell,
    grid,
)
from bayescausal.reporting.dag import plot_graph
from bayescausal.reporting.decision import PROB, UNKNOWN, decide, rule
from bayescausal.reporting.pictures import draw
from bayescausal.reporting.terminal import arrows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

__all__ = [
    "Material",
    "answers",
    "data",
    "graph",
    "identification",
    "parameters",
    "question",
    "shown_parameters",
]

MOST_EQUATIONS = 6000  # characters of the model's own text
MOST_LABELS = 12  # levels of a category that are counted one by one


@dataclass
class Material:
    """All that a report is written from.

    Parameters
    ----------
    naive : list of Effect, (Effect, str), str or None
        What is seen beside each effect, with a note; or words where there is nothing to compare.
    seconds : dict of str to float
        How long each step took.
    """

    fit: Fit
    effects: list[Effect]
    naive: list[Any] = field(default_factory=list)
    ropes: list[Any] = field(default_factory=list)
    truths: list[Any] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def headings(self) -> list[str]:
        """A heading for each effect, no two of them equal."""
        return distinct([effect.label for effect in self.effects])


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


def graph(material: Material) -> Section:
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
        blocks.append(Code(formulas_text(recipe), "text"))
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


def answers(material: Material) -> Section:
    """Return what is seen beside what would be done, then each effect."""
    parts = [_compared(material)] if any(n is not None for n in material.naive) else []
    parts += [_one(material, k) for k in range(len(material.effects))]
    rules = dict.fromkeys(
        rule(effect.null, rope)
        for effect, rope in zip(material.effects, material.ropes, strict=True)
        if effect.null is not None or rope is not None
    )
    blocks: tuple[Any, ...] = tuple(Text(said, "note") for said in rules)
    single = [e for e in material.effects if not e.dims]
    if len(single) > 1 and len({e.null for e in single}) == 1:
        height = 1.1 + 0.4 * len(single)
        shown = draw(lambda ax: plot_forest(single, ax=ax), height=height)
        alt = "; ".join(repr(e) for e in single)
        blocks += (Picture(shown, f"All effects that are one number. {alt}."),)
    return Section("Answers", blocks, tuple(parts))


def parameters(material: Material) -> Section:
    """Return the posterior of the parameters, and how it was drawn."""
    fit = material.fit
    table = fit.summary(shown_parameters(fit), prob=PROB)
    names = {
        "hdi94_lb": "94 % HDI from",
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


def shown_parameters(fit: Fit) -> list[str]:
    """Return the parameters that a reader knows: group effects, not what they are made of.

    A model from formulas draws group effects as standard scores times an sd, and correlations as
    twice a half less one; the reader is shown what comes of it.
    """
    drawn = {str(name) for name in fit.posterior.data_vars}
    if not getattr(fit.model, "recipe", None):
        return [name for name in fit.parameters if name in drawn]
    turned = {"z_": "r_", "half_": "cor_"}
    names = []
    for name in fit.parameters:
        for raw, made in turned.items():
            if name.startswith(raw) and made + name.removeprefix(raw) in drawn:
                name = made + name.removeprefix(raw)
        names.append(name)
    return [name for name in dict.fromkeys(names) if name in drawn]


def formulas_text(recipe: Any) -> str:
    """Return formulas, families, priors and levels as they are written in a file."""
    lines = [*recipe["formulas"]]
    lines += [f"family {name}: {family}" for name, family in recipe["families"].items()]
    lines += [f"prior {name}: {prior}" for name, prior in recipe["priors"].items()]
    lines += [f"levels {n}: {', '.join(map(str, v))}" for n, v in recipe["levels"].items()]
    return "\n".join(lines)


def _equations(model: Any) -> str:
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


def _compared(material: Material) -> Section:
    """Return the association that is seen beside the effect."""
    rows: list[Any] = []
    notes: list[str] = []
    unknown = False
    for effect, naive, true in zip(material.effects, material.naive, material.truths, strict=True):
        if naive is None:
            continue
        if isinstance(naive, str):
            notes.append(f"{effect.label}: {naive}")
            continue
        seen = naive[0] if isinstance(naive, tuple) else naive
        decided = effect.identification
        unknown |= decided is not None and decided.status in UNKNOWN
        mark = f" ({decided.status})" if decided is not None and decided.status in UNKNOWN else ""
        row = (effect.label, _with_ends(seen), _with_ends(effect) + mark)
        notes += [naive[1]] if isinstance(naive, tuple) else []
        rows.append((*row, cell(float(true))) if true is not None else row)
    heads: tuple[str, ...] = ("question", "as seen (association)", "if done (causal)")
    known = any(t is not None for t in material.truths)
    blocks: list[Any] = []
    if rows:
        rows = [(*r, "-") if known and len(r) == 3 else r for r in rows]
        heads = (*heads, "truth") if known else heads
        blocks.append(Grid(heads, tuple(rows), f"Means with {100 * PROB:g} % HDI"))
        blocks.append(
            Text(
                "The association compares units that differ in whatever made their treatment "
                "differ; the effect compares the same units in two worlds. "
                + (
                    "Where the effect is not identified, how far they part is not known from data."
                    if unknown
                    else "Where they part, the rest is confounding (or a selection), not effect."
                )
            )
        )
    blocks += [Text(note, "note") for note in dict.fromkeys(notes)]
    return Section("As seen, and if done", tuple(blocks))


def _with_ends(effect: Effect) -> str:
    mean, low, high = _in_digits(effect)
    return f"{mean} [{low}, {high}]"


def _in_digits(effect: Effect) -> list[str]:
    """Return mean and ends of the interval with the digits that the sd supports."""
    ends = (float(effect), *effect.interval(PROB))
    return numbers(float(effect.sd()), *ends, ends=True, apart=[effect.null])


def _one(material: Material, k: int) -> Section:
    """Return one effect: sentence, decision, numbers, picture."""
    effect, rope, true = material.effects[k], material.ropes[k], material.truths[k]
    blocks: list[Any] = [Text(effect.sentence(PROB), "lead")]
    if effect.dims:
        blocks.append(_cells(effect, rope))
    else:
        blocks.append(_facts(effect, rope, true))
    blocks.append(_picture(material, effect, rope, true))
    decided = effect.identification
    verdict = decided.sentence() if decided is not None else ""  # said once, and first
    notes = [note.removeprefix(verdict).strip() for note in effect.notes]
    notes = [note for note in notes if note not in effect.sentence(PROB)]
    if any(notes):
        blocks.append(Text("Notes:"))
        blocks.append(Bullets(tuple(note for note in notes if note)))
    return Section(material.headings[k], tuple(blocks))


def _status(effect: Effect) -> str:
    return "" if effect.identification is None else str(effect.identification.status)


def directions(effect: Effect) -> list[tuple[str, float]]:
    """Return, for each cell, the side where most of the posterior lies and how much of it."""
    null = effect.null
    if null is None:
        return []
    above = np.ravel(effect.probability(above=null))
    below = np.ravel(effect.probability(below=null))
    return [
        (f"above {null:g}", float(a)) if a >= b else (f"below {null:g}", float(b))
        for a, b in zip(above, below, strict=True)
    ]


def _share(value: float) -> str:
    if 0.9995 < value < 1:
        return "> 0.999"
    return "< 0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def _facts(effect: Effect, rope: Any, true: Any) -> Facts:
    """Return the numbers of one effect."""
    row = effect.summary(PROB).iloc[0]
    low, high = effect.interval(PROB)
    several = effect.draws.sizes["chain"] * effect.draws.sizes["draw"] > 1
    mean, first, last = _in_digits(effect)
    pairs = [("Mean", mean)]
    if several:
        pairs.append((f"{100 * PROB:g} % HDI", f"{first} to {last}"))
        pairs.append(("Posterior sd", numbers(float(row["sd"]), float(row["sd"]))[0]))
        pairs += [(f"Probability {side}", _share(p)) for side, p in directions(effect)]
    if rope is not None:
        inside = float(effect.probability(between=rope))
        pairs.append((f"Probability in the ROPE, {rope[0]:g} to {rope[1]:g}", _share(inside)))
    if true is not None:
        pairs.append(("Truth", cell(float(true))))
    said = decide(low, high, effect.null, rope, _status(effect))
    if said and several:
        pairs.append(("Decision", said))
    if "bound_lb" in row:
        ends = (0.0, row["bound_lb"], row["bound_ub"])
        _, least, most = numbers(float(row["sd"]), *ends, ends=True, apart=[effect.null])
        pairs.append(("Bounds for any coupling", f"{least} to {most}"))
    error = row["mc_error"]
    exact = "0 (the averages over noise are exact)"
    pairs.append(
        (
            "Monte Carlo error in a draw",
            exact if error <= 1e-9 * row["sd"] else significant(error, 2),
        )
    )
    if several:
        pairs.append(("Monte Carlo error of the mean (mcse)", significant(row["mcse_mean"], 2)))
        pairs.append(
            ("Effective draws (bulk, tail)", f"{row['ess_bulk']:,.0f}, {row['ess_tail']:,.0f}")
        )
        pairs.append(("r_hat of this number", cell(row["r_hat"], ".4f")))
    pairs.append(("Population", effect.population or "-"))
    return Facts(tuple(pairs))


def _cells(effect: Effect, rope: Any) -> Grid:
    """Return the numbers of an effect with several cells."""
    table = effect.summary(PROB)
    sides = directions(effect)
    if sides:
        table["probability of direction"] = [f"{_share(p)} ({side})" for side, p in sides]
    if rope is not None:
        table["in the ROPE"] = [_share(p) for p in np.ravel(effect.probability(between=rope))]
    ends = zip(table["hdi94_lb"], table["hdi94_ub"], strict=True)
    said = [decide(low, high, effect.null, rope, _status(effect)) for low, high in ends]
    if any(said):
        table["decision"] = said
    table = table.drop(columns=["identification"], errors="ignore")
    names = {"hdi94_lb": "94 % HDI from", "hdi94_ub": "to", "mcse_mean": "mcse"}
    first = ", ".join(map(str, effect.dims))
    within = "Among" if getattr(effect.estimand, "by", ()) else "Over"
    caption = f"{within} {effect.population}" if effect.population else ""
    options = {"names": names, "most": 30, "null": effect.null, "label": effect.label}
    return grid(table, caption, first=first, **options)  # type: ignore[arg-type]


def _picture(material: Material, effect: Effect, rope: Any, true: Any) -> Picture:
    """Return the picture of an effect."""
    options: dict[str, Any] = {"prob": PROB}
    height = 2.9
    if not effect.dims:
        options |= {"rope": rope, "truth": None if true is None else float(true)}
    elif effect.estimand is not None and effect.estimand.curve is not None:
        options = {"truth": None if true is None else np.ravel(true.mean())}
        if len(effect.dims) > 1:
            options = {}
        options["seen"] = material.fit.columns.get(effect.dims[0])
        height = 3.3
    else:
        options |= {"rope": rope, "truth": None if true is None else np.ravel(true.mean())}
        cells = int(np.prod([effect.draws.sizes[d] for d in effect.dims]))
        height = float(np.clip(1.1 + 0.3 * cells, 1.9, 8.0))
    try:
        shown = draw(lambda ax: effect.plot(ax=ax, **options), height=height)
    except ValueError:  # a curve that cannot be drawn as one is drawn as rows
        shown = draw(lambda ax: plot_forest(effect, ax=ax), height=6.0)
    return Picture(shown, f"Posterior of {effect.label}. {effect.sentence(PROB)}")


def summary_frame(effects: Sequence[Effect]) -> pd.DataFrame:
    """Return all effects in one table, one row for each cell."""
    frames = []
    for effect in effects:
        table = effect.summary(PROB)
        table.index = [
            effect.label if not effect.dims else f"{effect.label}: {key}" for key in table.index
        ]
        frames.append(table)
    return pd.concat(frames)
