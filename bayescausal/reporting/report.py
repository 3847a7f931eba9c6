"""``report``: a fit and its questions as one page to hand over.

The page holds everything a reader needs in order to trust the answer, or not to: the question in
words and symbols, the graph, what identifies the effect and what that assumes, what is merely seen
beside what would be done, the data, every effect with its interval, its direction and its Monte
Carlo errors, the parameters, the checks, and the code that makes it again. It is one file with no
reference to anything outside, so it opens years later and on a plane.

There is one rule by which it decides (:mod:`~bayescausal.reporting.decision`), and what stands in
the way of believing the answer is said at the top, not in an appendix.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

from bayescausal.effects.as_estimand import as_estimand, not_asked
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.estimate import estimate
from bayescausal.figures.read import as_range
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.given import as_fit
from bayescausal.inference.sampling.prior_and_truth import truth as known_truth
from bayescausal.model.graph_queries.graph_of_anything import question_in
from bayescausal.reporting.contents import method, sections, study, trust
from bayescausal.reporting.contents.answers import answers
from bayescausal.reporting.contents.material import Material
from bayescausal.reporting.contents.naive import beside
from bayescausal.reporting.contents.other_ways import other_ways
from bayescausal.reporting.decision import UNKNOWN
from bayescausal.reporting.files import check_path, write_text
from bayescausal.reporting.live.levels import at_levels
from bayescausal.reporting.live.record import effect_record
from bayescausal.reporting.live.sliders import check_choices
from bayescausal.reporting.page.blocks import Bullets, Section, Text
from bayescausal.reporting.page.render import as_html, as_markdown
from bayescausal.reporting.progress import steps
from bayescausal.types import BayesCausalError, EstimandError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bayescausal.draws.check import Check
    from bayescausal.estimators.estimator import Estimator
    from bayescausal.inference.record import Fit

__all__ = ["Report", "report"]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A report that was written.

    Parameters
    ----------
    title : str
    html : str
        The page.
    markdown : str
        The same as Markdown, drawings included.
    effects : tuple of Effect
        The answers.
    checks : tuple
        What came of each check: its title, verdict, record and seconds.
    path : Path or None
        Where it was written.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Report("Coating", "<html></html>", "# Coating")
    Report('Coating', 0.0 kB, not written)
    """

    title: str
    html: str
    markdown: str
    effects: tuple[Effect, ...] = ()
    checks: tuple[Any, ...] = ()
    path: Path | None = None

    def __repr__(self) -> str:
        where = "not written" if self.path is None else str(self.path)
        return f"Report({self.title!r}, {len(self.html) / 1e3:.1f} kB, {where})"

    def _repr_html_(self) -> str:
        frame = "width: 100%; height: 40em; border: 1px solid #8888"
        return (
            f'<iframe title="{escape(self.title, quote=True)}" style="{frame}" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def report(
    fit: Fit,
    estimands: Estimand | Effect | str | Iterable[Estimand | Effect | str],
    path: str | os.PathLike[str] | None = None,
    *,
    checks: bool | str | Check | Iterable[str | Check] = True,
    title: str | None = None,
    rope: tuple[float, float] | Sequence[tuple[float, float] | None] | None = None,
    truth: Mapping[str, Any] | None = None,
    triangulate: bool | Sequence[Estimator | str] = False,
    levels: Sequence[float | str] | None = None,
    subgroups: Sequence[str] | None = None,
    seed: int | None = None,
    progressbar: bool = True,
) -> Report:
    """Write a report on one or several causal questions.

    Parameters
    ----------
    fit : Fit
        From :func:`bayescausal.fit` (or a prior or truth).
    estimands : Estimand or Effect, or a sequence of them
        The questions; effects are taken as they are.
    path : path, optional
        Ends in ``.html`` or ``.md``. Default: nothing is written.
    checks : bool, str or iterable
        Which checks to run: True all, False none, or names among ``"prior_posterior"``,
        ``"implications"``, ``"overlap"``, ``"posterior_check"``, ``"hidden_confounder"``,
        ``"refute"``; a :class:`Check` that is there already is shown. They run with small
        settings, so that all together take seconds to a few minutes (refutation refits the model
        some times); one that does not apply gives a line with the reason. A fit of a design has the
        checks of the design beside them, unless this is false.
    title : str, optional
        Of the page. Default: made of treatment and outcome.
    rope : (float, float) or sequence of them, optional
        Region of practical equivalence, for all effects or one for each (None for none). It takes
        the place of the value of no effect in the decision.
    truth : mapping of str to float, optional
        The true parameters, where known: true effects are shown beside the estimates.
    triangulate : bool or sequence of Estimator or str, default False
        Whether other estimators are asked the same, as by :func:`bayescausal.triangulate`; or
        which of them. A question that they have no answer to gets a line with the reason.
    levels : sequence of float or str, optional
        Levels of the treatment at which a reader may see the answer. Default: those that units
        have, or seven between the 5% and 95% quantiles.
    subgroups : sequence of str, optional
        Columns in whose subgroups a reader may see the answer: each value of a column with few,
        thirds of one with many. Default: two that the treatment does not act on. Where levels and
        subgroups are not named, they are as many as can be computed in some seconds.
    seed : int, optional
        Of the noise. Default: the fit's.
    progressbar : bool, default True
        Whether a terminal or a notebook shows what is being done.

    Returns
    -------
    Report
        ``html``, ``markdown``, ``effects``, ``checks``, ``path``; shows itself in a notebook.

    Raises
    ------
    EstimandError
        Without a question, for an unknown check or a region that is none.
    DataError
        If the path has another ending or no directory.
    UnknownVariableError
        If a subgroup is no column.

    Notes
    -----
    The file is written whole or not at all. It refers to nothing outside itself. Its script moves
    numbers that were computed beforehand, by :func:`bayescausal.estimate` on all draws: other
    levels of the treatment, subgroups, intervals and strengths of a hidden confounder. For the
    probability of exceeding a threshold the page holds some of the draws and says how many; all
    this is never more than 1 MB. Without a script the page is whole and still.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     b = pm.Normal("b", 0, 1)
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> data = bc.simulate(model, {"b": 2}, units=50, seed=1)
    >>> fit = bc.fit(model, data, seed=2, progressbar=False)
    >>> page = bc.report(fit, bc.ATE("x", "y"), checks=False)
    >>> page.title, page.html.startswith("<!doctype html>")
    ('Effect of x on y', True)
    """
    fit = as_fit(fit, "report")
    if isinstance(estimands, str | PathLike) and question_in(path) is not None:
        raise EstimandError(
            f"The path {str(estimands)!r} stands where the question is needed.",
            expected="report(fit, question, path).",
            remedy="Exchange the two arguments.",
        )
    target = None if path is None else check_path(path)
    asked = trust.chosen(checks)
    questions = _questions(estimands)
    named = [getattr(q, "estimand", q) for q in questions]
    fit = with_columns(fit, [n for q in named for n in q.names])
    _ropes(rope, len(questions))  # what is wrong with them is said before anything is computed
    used = fit.seed if seed is None else int(seed)
    check_choices(fit, named, levels, subgroups)
    choices = None if target is not None and target.suffix.lower() == ".md" else (levels, subgroups)
    with steps(len(asked) + 3, progressbar) as tell:
        material = _material(fit, questions, (rope, truth), choices, used, tell)
        started = time.perf_counter()
        outcomes = trust.run(material, asked, used, tell)
        tables = study.design_tables(fit, bool(checks))
        material.seconds["checks"] = time.perf_counter() - started

    name = title if title is not None else _title(material.effects)
    content = (
        sections.question(material),
        sections.graph(material, outcomes),
        sections.identification(material),
        *study.design_section(fit, tables),
        sections.data(material),
        answers(material),
        *trust.what_would_change(outcomes),
        *([] if triangulate is False else [other_ways(material, triangulate, used)]),
        sections.parameters(material),
        trust.section(outcomes),
        method.section(material, outcomes, used),
    )
    head = _head(material, outcomes, study.design_doubts(tables))
    written = Report(
        name,
        as_html(name, head, content),
        as_markdown(name, head, content),
        tuple(material.effects),
        tuple(outcomes),
        target,
    )
    if target is not None:
        page = written.markdown if target.suffix.lower() == ".md" else written.html
        write_text(target, page)
    return written


# --------------------------------------------------------------------------- private


def _material(
    fit: Fit,
    questions: list[Any],
    known: tuple[object, Mapping[str, Any] | None],
    choices: tuple[Sequence[float | str] | None, Sequence[str] | None] | None,
    seed: int,
    tell: Callable[[str], object],
) -> Material:
    """Return what the report is written from: answers, associations, answers that move.

    ``known``: regions of practical equivalence, and true parameters.
    ``choices``: the levels and subgroups that a reader may choose; None where nothing moves.
    """
    tell(f"answering {len(questions)} question{'s' * (len(questions) > 1)}")
    ropes = _ropes(known[0], len(questions))
    started = time.perf_counter()
    effects = _answered(fit, questions, seed)
    truths = _truths(fit, effects, known[1], seed)
    seconds = {"answers": time.perf_counter() - started}
    tell("what is seen beside it")
    material = Material(fit, effects, ropes=ropes, truths=truths, seconds=seconds)
    material.naive = [beside(fit, effect, seed) for effect in effects]
    if choices is not None:
        tell("other levels and subgroups")
        material.live = [
            effect_record(fit, effect, own, len(effects), *choices, seed)
            for effect, own in zip(effects, ropes, strict=True)
        ]
    return material


def _questions(estimands: object) -> list[Any]:
    """Return the questions as a list; effects that carry theirs stay effects."""
    if question_in(estimands) is not None:
        questions: list[Any] = [estimands]
    elif isinstance(estimands, Iterable) and not isinstance(estimands, str):
        questions = list(estimands)
    else:
        raise not_asked(estimands)
    if not questions:
        raise EstimandError("No question was asked.", expected="one estimand at least.")
    return [each if isinstance(each, Effect) and each.estimand else as_estimand(each)
            for each in questions]  # fmt: skip


def _ropes(rope: object, count: int) -> list[tuple[float, float] | None]:
    """Return one region, or None, for each question."""
    if rope is None or _is_pair(rope):
        return [as_range(rope, "rope")] * count
    ropes = list(rope) if isinstance(rope, Iterable) and not isinstance(rope, str) else []
    if len(ropes) != count:
        raise EstimandError(
            f"rope={rope!r} for {count} questions.",
            expected="(low, high), or a list with one for each question.",
        )
    return [as_range(each, "rope") for each in ropes]


def _is_pair(rope: object) -> bool:
    return isinstance(rope, tuple) and len(rope) == 2 and all(
        isinstance(end, int | float) for end in rope
    )  # fmt: skip


def _answered(fit: Fit, questions: list[Any], seed: int) -> list[Effect]:
    """Return an effect for each question; those that are effects already stay."""
    open_ones = [q for q in questions if isinstance(q, Estimand)]
    found = iter(estimate(fit, open_ones, seed=seed, progressbar=False) if open_ones else [])
    return [next(found) if isinstance(q, Estimand) else q for q in questions]


def _truths(
    fit: Fit, effects: Sequence[Effect], truth: Mapping[str, Any] | None, seed: int
) -> list[Effect | None]:
    """Return the same questions answered under known parameters."""
    if truth is None:
        return [None] * len(effects)

    known = known_truth(
        fit.model, dict(truth), fit.data, seed=seed, unit_dims=fit.structure.unit_dims
    )
    found: list[Effect | None] = []
    for effect in effects:
        try:
            found.append(estimate(known, effect.estimand, seed=seed, progressbar=False))
        except BayesCausalError:
            found.append(None)
    return found


def _title(effects: Sequence[Effect]) -> str:
    pairs = {(e.estimand.treatments, e.estimand.outcome_name) for e in effects}
    if len(pairs) == 1:
        [(causes, outcome)] = pairs
        return f"Effect of {' and '.join(causes)} on {outcome}" if causes else f"On {outcome}"
    return f"{len(effects)} causal questions"


def _unknown(effect: Effect) -> bool:
    """Whether data cannot tell the answer."""
    decided = effect.identification
    return decided is not None and decided.status in UNKNOWN


def _head(
    material: Material, outcomes: Sequence[trust.Outcome], more: Sequence[str] = ()
) -> Section:
    """Return the answers in a sentence each, and what stands in the way of believing them."""
    blocks: list[Any] = [
        Text(at_levels(e.sentence), "" if k else "lead") for k, e in enumerate(material.effects)
    ]
    fit = material.fit
    doubts = [f"The sampler had trouble: {m}" for m in fit.diagnostics.messages]
    doubts += more
    for effect in material.effects:
        decided = effect.identification
        if decided is not None and not decided and not _unknown(effect):
            # of an unknown one the sentence leads with the verdict
            doubts.append(f"{effect.label} is {decided.status}.")
    for outcome in outcomes:
        if outcome.verdict in ("warn", "fail", "undecided", "refuted", "refuted in part"):
            found = str(getattr(outcome.record, "finding", "") or "").strip()
            doubts.append(f"{outcome.title}: {outcome.verdict}. {found}".strip())
    if doubts:
        blocks.append(Text("Before believing it:"))
        blocks.append(Bullets(tuple(dict.fromkeys(doubts))))
    elif outcomes and any(_unknown(effect) for effect in material.effects):
        blocks.append(
            Text("The checks found no other fault. None of them can show what is not identified.")
        )
    elif outcomes:
        blocks.append(Text("Nothing that was checked speaks against it."))
    else:
        blocks.append(Text("No check was run."))
    return Section("In short", tuple(blocks))
