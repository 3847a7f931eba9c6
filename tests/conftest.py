"""What all processes of the suite share.

The suite starts some hundred processes (workers, notebooks, commands). Where bytecode is not to be
written beside the sources, each would compile every library anew, for seconds; a folder of its own
serves them all.

Tests run side by side, one process per core. Within a test chains therefore run one after the
other (the draws are the same: `test_same_seed_same_draws_at_once_or_one_after_the_other`), and
linear algebra on one thread.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported, which is later

import pytest

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    folder = Path(tempfile.gettempdir()) / f"bayescausal-bytecode-{os.getuid()}"
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(folder))


@pytest.fixture(autouse=True, scope="session")
def one_chain_at_a_time():
    """Run the chains of a fit one after the other, unless a test says otherwise."""
    from bayescausal.inference.sampling import sample

    before, sample.CORES = sample.CORES, 1
    yield
    sample.CORES = before


#: Tests of more than six seconds, by their node id; they are marked slow as those in the files are.
LONG = frozenset((Path(__file__).parent / "slow.txt").read_text(encoding="utf-8").splitlines()[1:])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark long tests, and run what compiles most first.

    In a process of many compilations each takes ever longer.
    """
    for item in items:
        if item.nodeid in LONG:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: "inference" not in item.path.parts)
