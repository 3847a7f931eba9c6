"""The command line: ``bayescausal demo`` and ``bayescausal estimate``.

A question is asked by treatment and outcome, or written as in Python.

Results go to standard output, progress and messages to standard error, so that output can be
piped. The exit code is 0 when the answer stands, 2 when the command or its input is wrong (the
message says what to do) and 1 when something unexpected happened.

Everything heavy is imported inside the commands: ``bayescausal --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import bayescausal as bc
from bayescausal import __version__
from bayescausal.draws.digits import numbers
from bayescausal.model.files import no_file
from bayescausal.reporting.files import check_path, write_json
from bayescausal.reporting.terminal import (
    PROB,
    answer_cells,
    arrows,
    print_answers,
    print_table,
    say,
    table,
)
from bayescausal.types import BayesCausalError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

__all__ = ["main"]

_READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".pq": "read_parquet"}


class BadInput(click.ClickException):
    """A mistake of the caller: the message alone is shown, and the exit code is 2."""

    exit_code = 2


def plain_errors[**P, T](command: Callable[P, T]) -> Callable[P, T]:
    """Turn the errors and warnings a caller can mend into plain messages."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        click.echo(f"Warning: {message}", err=True)

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)  # said, whatever Python was told
            warnings.showwarning = show
            try:
                return command(*args, **kwargs)
            except BayesCausalError as error:
                raise BadInput(str(error)) from error

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="bayescausal")
def main() -> None:
    """Ask causal questions of a PyMC model."""


# ------------------------------------------------------------------------------ demo


@main.command()
@click.option("--seed", default=3, show_default=True, help="Seed of simulation and sampling.")
@plain_errors
def demo(seed: int) -> None:
    """Recover a known effect, then resolve a real paradox.

    First a simulated world, where the truth is known: 1,000 coated parts. Then the kidney
    stones of Charig et al. (1986), 700 patients. Takes well under a minute once compiled.
    """
    started = time.perf_counter()
    _demo_coating(seed)
    _demo_kidney_stones(seed)
    click.echo(f"Done in {time.perf_counter() - started:.0f} s.", err=True)


def _demo_coating(seed: int) -> None:
    """Simulate, fit, estimate, and lay the answer beside the truth."""
    world = bc.datasets.coating()
    assert world.truth is not None
    _title("1. Coating: a simulated world, so the truth is known")
    say(f"Graph read off the model: {arrows(bc.graph_of(world.model))}")
    with _step("Simulating 1,000 units"):
        data = bc.simulate(world.model, world.truth, units=1000, seed=seed)
    fit = _fit(world.model, data, seed=seed + 1)
    with _step("Estimating"):
        ate = bc.estimate(fit, bc.ATE(world.treatment, world.outcome), seed=seed)
    means = data.groupby(world.treatment)[world.outcome].mean()
    naive = float(means[1] - means[0])

    shown = table("Quantity", "Truth", "Posterior mean", "94% HDI")
    shown.add_row("ATE dilution -> coating", f"{world.answers['ATE']:.3f}", *answer_cells(ate))
    for name, row in fit.summary().iterrows():
        true = world.truth[str(name)]
        ends = (row["mean"], row["hdi94_lb"], row["hdi94_ub"])
        mean, low, high = numbers(row["sd"], *ends, ends=True)
        shown.add_row(str(name), f"{true:.3f}", mean, f"[{low}, {high}]")
    print_table(shown)
    say(
        f"The parts that were diluted differ from the others by {naive:+.3f} on average, but they "
        f"were also sprayed in drier air. {ate.sentence(PROB)} "
        f"The truth is {world.answers['ATE']:+.3f}."
    )


def _demo_kidney_stones(seed: int) -> None:
    """Fit the saturated model to 700 patients and adjust for the size of the stone."""
    stones = bc.datasets.kidney_stones()
    exact = stones.answers
    x, y = stones.treatment, stones.outcome
    _title("2. Kidney stones: 700 patients, treatment A (open surgery) against B")
    say(f"Graph read off the model: {arrows(bc.graph_of(stones.model))}")
    fit = _fit(stones.model, stones.data, seed=seed)
    with _step("Estimating"):
        naive, new, here = bc.estimate(
            fit,
            [
                bc.Association(x, y),
                bc.ATE(x, y, population="model"),
                bc.ATE(x, y, population="sample"),
            ],
            seed=seed,
        )
    shown = table("Success, A minus B", "From the counts", "Exact mean", "Mean", "94% HDI")
    shown.add_row("as observed", f"{exact['naive']:.3f}", "", *answer_cells(naive))
    shown.add_row(
        "ATE, new patients",
        f"{exact['ATE']:.3f}",
        f"{exact['posterior mean']:.3f}",
        *answer_cells(new),
    )
    shown.add_row(
        "ATE, these 700",
        f"{exact['ATE']:.3f}",
        f"{exact['posterior mean, sample']:.3f}",
        *answer_cells(here),
    )
    print_table(shown)
    mean, interval = answer_cells(new)
    say(
        f"As observed, A succeeds less often than B: {exact['naive']:+.3f}. But it was "
        f"given to the harder cases. Adjusted for the size of the stone it succeeds more often: "
        f"{exact['ATE']:+.3f} from the counts, {mean} with the uncertainty of 700 "
        f"patients (94% HDI {interval}). The probability that A is "
        f"better is {new.probability(above=0.0):.2f}, if size is the only common cause of "
        f"treatment and success."
    )
    say(f"Data: {stones.source}")


# -------------------------------------------------------------------------- estimate


@main.command()
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path))
@click.option("-x", "--treatment", help="The variable to intervene on.")
@click.option("-y", "--outcome", help="The variable to look at.")
@click.option("-e", "--estimand", default="ATE", show_default=True, help="What to ask of x and y.")
@click.option("--treated", help="Level or label of the treatment. Default: 1.")
@click.option("--control", help="Level or label it is compared with. Default: 0.")
@click.option(
    "-q",
    "--question",
    "questions",
    multiple=True,
    help="Any question as it is written in Python, in place of -x and -y; may be repeated.",
)
@click.option(
    "--population",
    default="sample",
    show_default=True,
    help="Over whom: sample, superpopulation or model.",
)
@click.option("--unit-dim", multiple=True, help="Unit dimension, where the model leaves a choice.")
@click.option("--draws", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--chains", default=4, show_default=True, type=click.IntRange(1))
@click.option("--seed", type=int, help="Seed; the same seed gives the same answer.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a report: .html or .md.")
@click.option("--checks/--no-checks", default=True, help="Whether the report runs its checks.")
@plain_errors
def estimate(
    model: str,
    data: Path,
    treatment: str | None,
    outcome: str | None,
    estimand: str,
    treated: str | None,
    control: str | None,
    questions: tuple[str, ...],
    population: str,
    unit_dim: tuple[str, ...],
    draws: int,
    chains: int,
    seed: int | None,
    out: Path | None,
    report: Path | None,
    checks: bool,
) -> None:
    """Answer causal questions: the average effect of a treatment, or any other.

    MODEL is file.py:name, where name is a PyMC model in that file or a function without
    arguments that returns one; or a text file (.txt) with one formula for each variable. DATA is a
    CSV or Parquet file whose columns are named after the model's variables; other columns are
    ignored.

    \b
    Example:
      bayescausal estimate coating.py:model parts.csv -x dilution -y coating --report out.html
      bayescausal estimate coating.txt parts.csv -x dilution -y coating
      bayescausal estimate study.txt data.csv -x shift -y defects --treated late --control early
      bayescausal estimate study.txt data.csv -q "CATE(dose, pain, given={'sick': 1})" \\
          -q "DoseResponse(dose, pain, values=[0, 1, 2])"

    \b
    coating.txt:
      humid ~ 1
      dilution ~ humid
      coating ~ dilution * humid + (1 | batch)    # comments
      family dilution: bernoulli
      prior b_coating_dilution: Normal(0, 1)
      levels shift: early, late
    """
    from bayescausal.effects.words import from_text
    from bayescausal.model.source.from_file import model_from_file

    _check_asked(treatment, outcome, questions)
    _check_out(out)
    if report is not None:
        check_path(report)
    rows = _read_table(data)
    loaded = model_from_file(model, rows)
    dims = unit_dim or None
    structure = from_text.structure_of(loaded, unit_dims=dims, named=map(str, rows.columns))
    for name in (treatment, outcome):
        structure.require(name) if name else None
    labels = from_text.labels_of(structure, rows)
    if questions:
        asked = [from_text.question_from_text(text) for text in questions]
    else:
        levels = {"treated": treated, "control": control, "population": population}
        asked = [from_text.question_of(estimand, str(treatment), str(outcome), levels, labels)]
    for each in asked:
        from_text.check_question(structure, rows.columns, each, labels)

    fit = _fit(loaded, rows, seed=seed, draws=draws, chains=chains, unit_dims=dims)
    with _step("Estimating"):
        effects = bc.estimate(fit, asked, seed=seed)

    print_answers(effects, fit, f"{data.name}: {len(rows):,} rows", arrows(structure.graph))
    if out is not None:
        write_json(out, _result(model, data, rows, fit, effects))
        click.echo(f"Wrote {out}", err=True)
    if report is not None:
        with _step("Writing the report" if checks else "Writing the report, without checks"):
            bc.report(fit, effects, report, checks=checks, progressbar=sys.stderr.isatty())
        click.echo(f"Wrote {report}", err=True)


def _result(
    model: str, data: Path, rows: pd.DataFrame, fit: Fit, effects: list[Any]
) -> dict[str, Any]:
    """Collect what a reader of the JSON file needs to trust or repeat the result."""
    import pymc as pm

    first = effects[0].to_dict(prob=PROB)
    answers = [_answer(effect) for effect in effects]
    return {
        **(answers[0] if len(answers) == 1 else {"answers": answers}),
        "parameters": {str(name): dict(row) for name, row in fit.summary().iterrows()},
        "model": model,
        "data": {"file": str(data), "rows": len(rows)},
        "chains": first["chains"],
        "draws": first["draws"],
        "seed": fit.seed,
        "notes": list(dict.fromkeys((*fit.notes, *(n for e in effects for n in e.notes)))),
        "versions": {
            "bayescausal": __version__,
            "pymc": pm.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
        },
    }


def _answer(effect: Effect) -> dict[str, Any]:
    """Return one question with its answer."""
    import numpy as np

    said = effect.to_dict(prob=PROB)
    chances = np.ravel(effect.probability(above=0.0))
    cells = [
        {**cell, "probability_above_0": float(chance)}
        for cell, chance in zip(said["cells"], chances, strict=True)
    ]
    return {
        "question": said["estimand"],
        "effect": cells if effect.dims else cells[0],
        "interval": said["interval"],
        "population": said["population"],
        "identification": said["identification"],
    }


# ------------------------------------------------------------------------------ input


def _read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file."""
    import pandas as pd

    if not path.is_file():
        raise no_file(DataError, path, "Give a CSV or Parquet file.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path.name} ends in {path.suffix or 'nothing'!r}.", expected=", ".join(_READERS)
        )
    try:
        return getattr(pd, reader)(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path.name} cannot be read: {error}".rstrip(".") + ".") from error


def _check_asked(treatment: str | None, outcome: str | None, questions: tuple[str, ...]) -> None:
    """Refuse a command that asks nothing, or in two ways."""
    if questions:
        if treatment or outcome:
            raise BadInput("A question is asked by -q, or by -x and -y, not by both.")
        return
    for given, option in ((treatment, "-x / --treatment"), (outcome, "-y / --outcome")):
        if not given:
            raise BadInput(f"Missing option {option}. Or ask with -q 'ATE(x, y)'.")


# ----------------------------------------------------------------------------- output


def _check_out(out: Path | None) -> None:
    """Refuse, before sampling, a result file that could not be written."""
    if out is None:
        return
    if out.is_dir():
        raise BadInput(f"--out {out} is a directory. Give the name of a file.")
    if not out.resolve().parent.is_dir():
        raise BadInput(f"--out {out}: there is no directory {out.resolve().parent}.")


def _fit(model: pm.Model, data: Data, **options: Any) -> Fit:
    """Fit with a progress line, and the sampler's own bars on a terminal."""
    with _step("Fitting (the first run compiles)"):
        return bc.fit(model, data, progressbar=sys.stderr.isatty(), **options)


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """Say on standard error what is being done and how long it took."""
    click.echo(f"{what} ...", err=True)
    started = time.perf_counter()
    yield
    click.echo(f"{what}: {time.perf_counter() - started:.1f} s", err=True)


def _title(text: str) -> None:
    click.echo(f"\n{text}\n{'-' * len(text)}")


if __name__ == "__main__":
    main()
