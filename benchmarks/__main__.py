"""The benchmarks: ``python -m benchmarks [names] [--quick] [--python PATH] [--out FILE]``.

Each table is measured in one run beside its alternatives, every measurement in a process of its
own, and put into its section of ``benchmarks/RESULTS.md``; other sections stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from benchmarks import ate, graph, growth, hierarchies, refits, sampling, targets
from benchmarks.harness import HERE, Table, machine, render, write
from benchmarks.models import MODELS

__all__ = ["GROUPS", "main"]

Group = Callable[[argparse.Namespace], list[Table]]


def _case(name: str) -> Group:
    return lambda given: ate.run(name, given.quick, given.by_hand, given.largest)


#: What can be asked for by name.
GROUPS: dict[str, Group] = {
    **{name: _case(name) for name in MODELS},
    "sampling": lambda given: sampling.run(given.quick, given.python),
    "refits": lambda given: refits.run(given.quick),
    "growth": lambda given: growth.run(given.quick),
    "hierarchies": lambda given: hierarchies.run(given.quick),
    "graph": lambda given: graph.run(given.quick),
    "targets": lambda given: targets.run(given.quick, given.only),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are named, all without names.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"among {', '.join(GROUPS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--python", help="interpreter that has the dependency group bench")
    parser.add_argument(
        "--by-hand",
        type=int,
        default=ate.BY_HAND,
        metavar="UNITS",
        help="up to how many units the hand-written flow is run",
    )
    parser.add_argument(
        "--largest",
        type=int,
        default=ate.SIZES[-1],
        metavar="UNITS",
        help="up to how many units the models are measured",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT|TEXT",
        help="of the targets, those whose description has one of these",
    )
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args(arguments)
    unknown = [n for n in given.names if n not in GROUPS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no benchmark; there are {', '.join(GROUPS)}")
    for name in given.names or GROUPS:
        tables = GROUPS[name](given)
        when = f"Measured on {date.today():%d %B %Y}: {machine()}."
        title = f"{name}: {given.only.replace('|', ', ')}" if given.only else name
        text = f"## {title}\n\n{when}\n\n{render(tables)}"
        print(text, flush=True)
        write(given.out, title, text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
