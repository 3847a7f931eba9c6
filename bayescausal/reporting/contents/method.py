"""How it was computed: method, timing, versions, seed, and the code that makes it again."""

from __future__ import annotations

import datetime
import math
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bayescausal.effects.words.as_code import as_code
from bayescausal.model.source.code import model_source
from bayescausal.reporting.live.record import MOST_BYTES, size_of
from bayescausal.reporting.page.blocks import Bullets, Code, Facts, Section, Text
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.inference.record import Fit
    from bayescausal.reporting.contents.material import Material
    from bayescausal.reporting.contents.trust import Outcome

__all__ = ["code", "section"]

PACKAGES = ("bayescausal", "pymc", "pytensor", "arviz", "nutpie", "numpy", "xarray")


def section(material: Material, outcomes: Sequence[Outcome], seed: int) -> Section:
    """Return the section on method, timing and reproduction."""
    fit = material.fit
    sizes = fit.posterior.sizes
    pairs = [
        ("Draws", f"{sizes['chain']} chains of {sizes['draw']:,} from the {fit.kind}"),
        *((names, how) for names, how in fit.methods.items()),
        ("Seed", f"{fit.seed} for the fit, {seed} for the noise of the worlds"),
        ("Time", _times(material, outcomes)),
        ("Versions", _versions()),
        ("Written", datetime.date.today().isoformat()),
        *([("Panels that move", _moving(material))] if any(material.live) else []),
    ]
    blocks: list[Any] = [Facts(tuple(pairs))]
    if fit.notes:
        blocks += [Text("Notes of the fit:"), Bullets(tuple(fit.notes))]
    blocks += [Text("To make it again:"), Code(code(material))]
    blocks.append(
        Text(
            "How it works: both potential outcomes of a unit are computed from the same noise; "
            "everything downstream of the intervention is recomputed; an effect is averaged over "
            "units within each posterior draw, and its interval is taken across draws.",
            "note",
        )
    )
    return Section("Method", tuple(blocks))


def code(material: Material) -> str:
    """Return the calls that make the report again, given model and data."""
    fit = material.fit
    sizes = fit.posterior.sizes
    define: dict[str, str] = {}
    listed = ",\n    ".join(_public(str(as_code(e.estimand, define))) for e in material.effects)
    yours = "".join(f"{name} = ...  # yours to define: {what}\n" for name, what in define.items())
    made = {
        "posterior": f"bc.fit(model, data, draws={sizes['draw']}, chains={sizes['chain']}, "
        f"seed={fit.seed})",
        "prior": f"bc.prior(model, data, draws={sizes['draw']}, seed={fit.seed})",
        "truth": f"bc.truth(model, parameters, data, seed={fit.seed})",
    }[fit.kind]
    return (
        f"import bayescausal as bc\n{_imports(material)}{_model(fit)}\n"
        f"fit = {made}\n{yours}"
        f"questions = [\n    {listed},\n]\n"
        "for effect in bc.estimate(fit, questions):\n"
        "    print(effect.sentence())\n"
        'bc.report(fit, questions, "report.html")\n'
    )


# --------------------------------------------------------------------------- private


def _model(fit: Fit) -> str:
    """Return the code of the model, or why it is not here; and what the data are."""
    columns = f"# data: a table with the columns {', '.join(fit.columns) or '(none)'}\n"
    recipe = getattr(fit.model, "recipe", None)
    if recipe:
        named = ("families", "priors", "levels", "reach")
        options = {key: recipe[key] for key in named if recipe[key]}
        options |= {} if recipe["noncentered"] else {"noncentered": False}
        if "<" not in repr(options):
            formulas = ",\n        ".join(map(repr, recipe["formulas"]))
            more = "".join(f"    {key}={value!r},\n" for key, value in options.items())
            return (
                f"\n{columns}model = bc.model_from_formulas(\n    [\n        {formulas},\n    ],\n"
                f"{more}    data=data,\n)"
            )
    try:
        source = model_source(fit.model).strip()
    except BayesCausalError as error:
        return f"\n{columns}# model: your own PyMC code; it cannot be written here: {error}"
    return f"{columns}{source}\n" if source.startswith("#") else f"{source}\n\n{columns}".rstrip()


def _imports(material: Material) -> str:
    """Return the imports of questions that are not behind ``bc.``."""
    kinds = {type(e.estimand) for e in material.effects}
    own = {(k.__module__, k.__name__) for k in kinds if k.__name__ not in _public_names()}
    return "".join(f"from {m} import {n}\n" for m, n in sorted(own) if m != "__main__")


def _public_names() -> list[str]:
    """Return the names behind ``bc.``; the package is not complete while this file is imported."""
    import bayescausal

    return bayescausal.__all__


def _public(text: str) -> str:
    """Return a question as it is written by a user: names of the package behind ``bc.``."""
    known = {name for name in _public_names() if name[:1].isupper()}
    text = re.sub(
        r"array\((\[[^\]]*\])[^()]*\)",
        lambda found: re.sub(r"\s+", " ", found[1]).replace("[ ", "["),
        text,
    )
    return re.sub(
        r"(?<![\w.'\"])([A-Z]\w*)(?=\()",
        lambda found: f"bc.{found[1]}" if found[1] in known else found[1],
        text,
    )


def _times(material: Material, outcomes: Sequence[Outcome]) -> str:
    """Return how long each step took."""
    parts = []
    if math.isfinite(material.fit.seconds):
        parts.append(f"fit {material.fit.seconds:.1f} s")
    parts.append(f"answers {material.seconds.get('answers', 0.0):.1f} s")
    if outcomes:
        longest = max(outcomes, key=lambda o: o.seconds)
        parts.append(
            f"checks {sum(o.seconds for o in outcomes):.1f} s (most: {longest.title}, "
            f"{longest.seconds:.1f} s)"
        )
    return ", ".join(parts)


def _moving(material: Material) -> str:
    """Return what the panels hold, and how much of the page that is."""
    records = [record for record in material.live if record is not None]
    cells = [cell for record in records for row in record["cells"] for cell in row]
    numbers = sum(len(cell.get("d", ())) for cell in cells if cell)
    return (
        f"{sum(cell is not None and 'd' in cell for cell in cells)} answers with {numbers:,} draws "
        f"in all, {size_of(records) / 1000:,.0f} kB of this page; never more than "
        f"{MOST_BYTES // 1000:,} kB"
    )


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
