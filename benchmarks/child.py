"""One measurement in a process of its own: so that its peak memory is its own.

``python -m benchmarks.child '{"task": "ate:ours", "arguments": {...}}'`` runs a function of this
package and prints, as the last line, what it returned, with the peak memory of the process and of
the processes it started.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from typing import Any

__all__ = ["MARK", "main"]

#: Begins the line that holds the answer.
MARK = "benchmark-answer:"


def main(text: str) -> dict[str, Any]:
    """Run the task that a JSON text names, and return what it found.

    Parameters
    ----------
    text : str
        ``{"task": "module:function", "arguments": {...}}``.

    Returns
    -------
    dict
    """
    order = json.loads(text)
    module, name = order["task"].split(":")
    function = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    found = function(**order["arguments"])
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, to MB
    peaks = [
        resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return {**found, "peak": max(peaks) / unit, "versions": _versions()}


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    names = ("bayescausal", "pymc", "pytensor", "nutpie", "numpy", "arviz", "dowhy", "pathmc")
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    print(MARK + json.dumps(main(sys.argv[1])), flush=True)
