"""Why believe it: the checks of a report, each on its own.

A check may not apply (a treatment that was set has no propensity, a graph may imply nothing that
data could refute), and that is no failure of the report: it gives a line with the reason. Settings
are small, so that all checks of a report together take a bounded time; each can be run again by
itself with more.
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayescausal.checks.falsification.falsify import falsify
from bayescausal.checks.overlap.positivity import overlap
from bayescausal.checks.predictive.posterior import posterior_check
from bayescausal.checks.refutation.refute import refute
from bayescausal.reporting.decision import PROB
from bayescausal.reporting.live.levels import at_levels, in_digits
from bayescausal.reporting.live.surface import hidden_of, surface_record
from bayescausal.reporting.page.blocks import Bullets, Live, Picture, Section, Text, grid
from bayescausal.reporting.page.pictures import draw
from bayescausal.sensitivity.confounding.hidden import hidden_confounder
from bayescausal.sensitivity.priors.prior_posterior import prior_posterior
from bayescausal.types import BayesCausalError, EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.reporting.contents.material import Material

__all__ = ["CHECKS", "Outcome", "chosen", "run", "section", "what_would_change"]

#: Name of a check: its title, the check, what it is asked with, and settings of a report.
CHECKS: dict[str, tuple[str, Callable[..., object], str, dict[str, Any]]] = {
    "prior_posterior": ("Prior and posterior", prior_posterior, "effect", {}),
    "implications": ("What the graph implies", falsify, "data", {"permutations": 20}),
    "overlap": ("Overlap", overlap, "treatment", {"draws": 100}),
    "posterior_check": ("Posterior predictive", posterior_check, "fit", {"draws": 200}),
    "hidden_confounder": (
        "Sensitivity to a hidden confounder",
        hidden_confounder,
        "effect",
        {"draws": 100},
    ),
    "refute": ("Refutation", refute, "effect", {"replicates": 4, "draws": 300}),
}
#: Headings of ends of intervals in tables of checks.
ENDS = {"hdi94_lb": "94% HDI from", "hdi94_ub": "to"}
#: Other names by which they are known.
ALSO = {
    "predictive": "posterior_check",
    "posterior_predictive": "posterior_check",
    "sensitivity": "hidden_confounder",
    "refutation": "refute",
    "falsify": "implications",
    "prior": "prior_posterior",
}


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    ``record``: None where it did not apply.
    ``reason``: Why not.
    ``warned``: Warnings on the way.
    """

    title: str
    record: Any
    reason: str
    seconds: float
    warned: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The verdict of the check; ``not applicable`` without one."""
        if self.record is None:
            return "not applicable"
        return str(getattr(self.record, "verdict", "") or "see below")


def chosen(checks: object) -> list[Any]:
    """Return the checks that are asked for: names, or records that are there already.

    Raises EstimandError for a name that is no check, or something that is neither.
    """
    if isinstance(checks, bool):
        return list(CHECKS) if checks else []
    known = [*CHECKS, *ALSO]
    if isinstance(checks, Mapping):
        return [(str(name), _record(record)) for name, record in checks.items()]
    asked = [checks] if isinstance(checks, str) or not isinstance(checks, Iterable) else [*checks]
    found: list[Any] = []
    for each in asked:
        if not isinstance(each, str):
            found.append((str(getattr(each, "name", "Check")), _record(each)))
            continue
        name = ALSO.get(each, each)
        if name not in CHECKS:
            raise EstimandError(
                f"{each!r} is not a check of a report.",
                expected=f"True, False, or some of {', '.join(CHECKS)}; or a Check itself.",
                names=closest(each, known)[:1],
            )
        found.append(name)
    return list(dict.fromkeys(found))


def run(
    material: Material, asked: list[Any], seed: int, tell: Callable[[str], Any] = str
) -> list[Outcome]:
    """Run checks one by one; what fails says why and stops nothing.

    ``tell``: is told what comes next.
    """
    found = []
    for each in asked:
        if isinstance(each, tuple):
            found.append(Outcome(each[0], each[1], "", 0.0))
            continue
        title, check, wants, settings = CHECKS[each]
        if material.fit.missing and "replicates" in settings:
            settings = {**settings, "replicates": 1}  # each refit compiles: some ten seconds
        for label, arguments in _asked_with(material, wants):
            name = f"{title}: {label}" if label else title
            tell(name)
            found.append(_attempt(name, check, arguments, {**settings, "seed": seed}))
    return found


def section(outcomes: list[Outcome]) -> Section:
    """Return the checks as a section: a table of verdicts, then each."""
    if not outcomes:
        return Section("Checks", (Text("None was asked for."),))
    table = pd.DataFrame(
        {"verdict": [o.verdict for o in outcomes]}, index=[o.title for o in outcomes]
    )
    intro = Text(
        "A check that passes shows that this way of being wrong was not seen. None of them can "
        "show that the graph is right."
    )
    parts = tuple(_part(outcome) for outcome in outcomes)
    return Section("Checks", (intro, grid(table, "Verdicts", first="check")), parts)


def what_would_change(outcomes: list[Outcome]) -> tuple[Section, ...]:
    """Return what a hidden confounder would change as a section; none where that was not asked."""
    found = hidden_of(outcomes)
    if found is None:
        return ()
    record = surface_record(found)

    def own(level: float) -> str:
        _, low, high = in_digits(found.effect, level)
        return f"{100 * level:g}% HDI [{low}, {high}]"

    said = found.sentence()
    blocks: list[Any] = [Text(at_levels(lambda level: said.replace(own(PROB), own(level), 1)))]
    blocks += [] if record is None else [Live("surface", record)]
    return (Section("What would change the answer", tuple(blocks)),)


# --------------------------------------------------------------------------- private


def _record(given: object) -> object:
    """Return something that speaks as a check does, or refuse it."""
    if not (
        callable(getattr(given, "sentence", None)) or callable(getattr(given, "summary", None))
    ):
        raise EstimandError(
            f"{type(given).__name__} is not a check.",
            expected="a name, or a record with sentence() and summary().",
        )
    return given


def _asked_with(material: Material, wants: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Return what a check is asked with, once for each thing it is about."""
    fit = material.fit
    if wants == "fit":
        return [("", (fit,))]
    if wants == "data":
        return [("", (fit, {n: v for n, v in fit.columns.items() if v.ndim == 1}))]
    causal = [e.estimand for e in material.effects if e.estimand.treatments]
    if wants == "treatment":
        pairs = dict.fromkeys((t, e.outcome_name) for e in causal for t in e.treatments)
        several = len(pairs) > 1
        return [(" -> ".join(p) if several else "", (fit, *p)) for p in pairs] or [
            ("", (fit, None))
        ]
    one = causal[:1] or [e.estimand for e in material.effects[:1]]
    several = len(material.effects) > 1
    return [(e.heading() if several else "", (fit, e)) for e in one]


def _attempt(
    title: str, call: Callable[..., object], arguments: tuple[Any, ...], settings: dict[str, Any]
) -> Outcome:
    """Run one check; any failure becomes its reason."""
    started = time.perf_counter()
    accepted = inspect.signature(call).parameters
    options = {key: value for key, value in settings.items() if key in accepted}
    if "progressbar" in accepted:
        options["progressbar"] = False
    record, reason = None, ""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            record = call(*arguments, **options)
        except BayesCausalError as error:
            reason = str(error)
        except Exception as error:  # one check must not take the report with it
            reason = f"it stopped with {type(error).__name__}: {error}"
    said = tuple(
        dict.fromkeys(str(w.message) for w in heard if issubclass(w.category, UserWarning))
    )
    return Outcome(title, record, reason, time.perf_counter() - started, said)


def _part(outcome: Outcome) -> Section:
    """Return one check: what was found and what that means, the numbers, the picture."""
    record = outcome.record
    if record is None:
        return Section(outcome.title, (Text(f"Not applicable: {outcome.reason}"),))
    blocks: list[Any] = [Text(_words(record))]
    blocks += _pictures(outcome.title, record)
    try:
        table = record.summary()
        if len(table):
            surface = [name for name in ("gamma", "delta") if name in table]
            table = table.set_index(surface) if surface else table
            most = 40 if surface else 12  # of a surface, a part says nothing of the whole
            blocks.append(
                grid(
                    table, "", first=_index_name(table), names=ENDS, most=most, label=outcome.title
                )
            )
    except Exception as error:
        blocks.append(Text(f"Its table could not be made: {error}", "note"))
    notes = (*getattr(record, "notes", ()), *outcome.warned)
    if notes:
        blocks.append(Bullets(tuple(map(str, notes))))
    return Section(outcome.title, tuple(blocks))


def _words(record: object) -> str:
    sentence = getattr(record, "sentence", None)
    return str(sentence() if callable(sentence) else record)


def _index_name(table: pd.DataFrame) -> str:
    names = [str(n).replace("_", " ") for n in table.index.names if n is not None]
    return ", ".join(names)


def _pictures(title: str, record: object) -> list[Any]:
    """Return the picture of a check, or none."""
    plot = getattr(record, "plot", None)
    if plot is None or (hasattr(record, "picture") and record.picture is None):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shown = draw(lambda: plot())
        except Exception as error:
            return [Text(f"Its picture could not be drawn: {error}", "note")]
    return [Picture(shown, f"{title}. {_words(record)}")]
