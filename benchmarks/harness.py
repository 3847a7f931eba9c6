"""Running measurements in child processes, and laying their results out as tables.

Every measurement is a child process: it has a peak memory of its own and cannot warm up the next
one. In a child the work is done several times: the first time is *cold* (what the libraries keep on
disk is there, nothing has been run, and what is loaded at first use is loaded now), the others are
*warm*, and their median is shown.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.child import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Measure", "Table", "clocked", "machine", "measure", "render", "write"]

HERE = Path(__file__).parent
#: Seconds after which a measurement is given up.
LIMIT = 900


@dataclass(frozen=True)
class Measure:
    """What one child process found.

    Attributes
    ----------
    found : dict
        ``cold`` and ``warm`` seconds, ``runs``, and whatever else the task returned.
    why : str
        Why there is nothing; empty where there is.
    """

    found: dict[str, Any] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Table:
    """One table of the results.

    Attributes
    ----------
    title, note : str
    columns : tuple of str
    rows : list of tuple
    versions : dict of str to str
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    versions: dict[str, str] = field(default_factory=dict)


def measure(task: str, python: str | None = None, **arguments: Any) -> Measure:
    """Run one task in a child process.

    Parameters
    ----------
    task : str
        ``"module:function"`` of this package.
    python : str, optional
        Interpreter, for alternatives that are installed elsewhere. Default: this one.
    **arguments
        Of the function; must be JSON.

    Returns
    -------
    Measure
    """
    order = json.dumps({"task": task, "arguments": arguments})
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # libraries are loaded as compiled, not anew
    try:
        done = subprocess.run(
            [python or sys.executable, "-m", "benchmarks.child", order],
            capture_output=True, text=True, env=environment, cwd=HERE.parent, timeout=LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Measure(why=f"not finished after {LIMIT} s")
    answers = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not answers:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Measure(why=last[:200])
    return Measure(json.loads(answers[-1][len(MARK) :]))


def processor() -> float:
    """Return the processor seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def clocked(
    work: Callable[[], dict[str, Any]], runs: int, clock: Callable[[], float] = perf_counter
) -> dict[str, Any]:
    """Do some work several times.

    Parameters
    ----------
    work : callable
        Returns the answer.
    runs : int
        How many times, the cold one included.
    clock : callable, default perf_counter
        Seconds.

    Returns
    -------
    dict
        Of the last answer, with ``cold``, ``warm`` (NaN of one run) and ``runs``.
    """
    seconds, answer = [], {}
    for _ in range(runs):
        start = clock()
        answer = work()
        seconds.append(clock() - start)
    warm = median(seconds[1:]) if runs > 1 else float("nan")
    return {**answer, "cold": seconds[0], "warm": warm, "runs": runs}


def gap(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Return the difference of two answers in Monte Carlo standard errors."""
    error = (one["mcse"] ** 2 + two["mcse"] ** 2) ** 0.5
    return abs(one["mean"] - two["mean"]) / error if error else float("nan")


def beside(
    label: tuple[Any, ...], ours: Measure, *others: Measure, by: tuple[str, ...] = ("by hand",)
) -> list[tuple[Any, ...]]:
    """Return the rows of a comparison, with ratios and the agreement of the answers."""
    rows = [(*label, "bayescausal", *_numbers(ours), "", "")]
    for name, other in zip(by, others, strict=True):
        ratio, agreement = "", ""
        if ours.found and other.found:
            times = [_time(m.found) for m in (other, ours)]
            ratio = f"{times[0] / times[1]:.1f}"
            agreement = f"{gap(ours.found, other.found):.1f}" if other.found["mcse"] else ""
        rows.append((*label, name, *_numbers(other), ratio, agreement))
    return rows


def _time(found: dict[str, Any]) -> float:
    """Return the warm seconds, or the cold ones where there was one run only."""
    return found["warm"] if found["warm"] == found["warm"] else found["cold"]


def _numbers(m: Measure) -> tuple[str, ...]:
    if not m.found:
        return (m.why, "", "", "", "")
    f = m.found
    return (
        number(f["cold"]),
        number(f["warm"]),
        f"{f['peak']:,.0f}",
        f"{f['ess']:,.0f}" if f["mcse"] else "",
        f"{f['mean']:.4f} ± {f['mcse']:.1g}" if f["mcse"] else f"{f['mean']:.4f}",
    )


def number(value: float) -> str:
    """Return seconds with as many digits as mean something."""
    if value != value:
        return ""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def machine() -> str:
    """Return what kind of machine this is, in words."""
    count = getattr(os, "process_cpu_count", os.cpu_count)()
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        memory = f", {size:.0f} GB of memory"
    return f"{count} cores ({platform.machine()}){memory}, Python {platform.python_version()}"


def render(tables: list[Table]) -> str:
    """Return tables as Markdown."""
    parts = []
    for table in tables:
        lines = (
            [f"### {table.title}", "", table.note, ""] if table.note else [f"### {table.title}", ""]
        )
        lines.append("| " + " | ".join(table.columns) + " |")
        lines.append("|" + "---|" * len(table.columns))
        lines += ["| " + " | ".join(str(v) for v in row) + " |" for row in table.rows]
        if table.versions:
            told = ", ".join(f"{n} {v}" for n, v in sorted(table.versions.items()))
            lines += ["", f"Versions: {told}."]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def write(path: Path, name: str, text: str) -> None:
    """Put one section into a file of results, in the place of its former self.

    Parameters
    ----------
    path : Path
    name : str
        Of the section.
    text : str
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = path.read_text() if path.exists() else "# Results of `python -m benchmarks`\n"
    section = f"{begin}\n{text}\n{end}"
    if begin in old:
        head, _, rest = old.partition(begin)
        tail = rest.partition(end)[2]
        path.write_text(f"{head}{section}{tail}")
    else:
        path.write_text(f"{old.rstrip()}\n\n{section}\n")
